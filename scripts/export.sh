#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Turn selftests/numa into patches to the kernel tree, build and run them there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"

usage() {
	cat <<-END
		usage: export.sh [-h]

		Writes to $work/export
		  NNNN-*.patch  selftests/numa as tools/testing/selftests/numa, its line in the Makefile
		                there, and an entry in MAINTAINERS: numbered after the series, on top of
		                which they apply
		  linux         what kselftest needs of the tree with these patches
		  run           what the programs said
		and runs "make -C tools/testing/selftests TARGETS=numa run_tests" in linux: on this machine
		and its kernel, as whoever you are. The programs leave the machine as it was; they skip
		what it lacks, which is nearly everything where there is one node. The branches of the
		tree stay as they are.
	END
}

in_tree=tools/testing/selftests/numa

# One more commit on top of $tip, of what is in the index: message from stdin
commit_index() {
	local written
	written=$(export_git write-tree)
	tip=$(GIT_AUTHOR_NAME=$who GIT_AUTHOR_EMAIL=$mail GIT_AUTHOR_DATE=$when \
		GIT_COMMITTER_NAME=$who GIT_COMMITTER_EMAIL=$mail GIT_COMMITTER_DATE=$when \
		export_git -c commit.gpgSign=false commit-tree -p "$tip" "$written")
}

export_git() {
	GIT_INDEX_FILE=$tmp/index tree_git "$@"
}

# put PATH MODE FILE: FILE as PATH into the index
put() {
	local blob
	blob=$(tree_git hash-object -w --no-filters "$3")
	export_git update-index --add --cacheinfo "$2,$blob,$1"
}

# The line of the kselftests, in its place in the alphabet.
with_target() {
	tree_git show "numa:tools/testing/selftests/Makefile" | awk '
		!done && /^TARGETS \+= / && $3 > "numa" { print "TARGETS += numa"; done = 1 }
		{ print }
		END { exit !done }'
}

# An entry of whoever has written the series, in its place in the alphabet.
with_entry() {
	tree_git show numa:MAINTAINERS | awk -v who="$who <$mail>" -v dir="$in_tree/" '
		{ lines[NR] = $0 }
		END {
			heading = "NUMA SELFTESTS"
			for (i = 1; i <= NR; i++) {
				if (!done && lines[i - 1] == "" && lines[i + 1] ~ /^[A-Z]:\t/ && lines[i] ~ /^[0-9A-Z]/ &&
				    lines[i] > heading) {
					printf "%s\nM:\t%s\nL:\tlinux-mm@kvack.org\nL:\tlinux-kselftest@vger.kernel.org\n", heading, who
					printf "S:\tMaintained\nF:\t%s\n\n", dir
					done = 1
				}
				print lines[i]
			}
			exit !done
		}'
}

make_commits() {
	local file programs
	programs=$(sed -n 's/^TEST_GEN_PROGS [+:]= //p' "$top/selftests/numa/Makefile")
	[[ -n $programs ]] || die "selftests/numa/Makefile names no program"
	export_git read-tree numa
	for file in "$top"/selftests/numa/{Makefile,config,settings,*.[ch]}; do
		put "$in_tree/${file##*/}" 100644 "$file"
	done
	{
		echo "# SPDX-License-Identifier: GPL-2.0-only"
		sort <<<"$programs"
	} >"$tmp/ignore"
	put "$in_tree/.gitignore" 100644 "$tmp/ignore"
	with_target >"$tmp/targets" || die "tools/testing/selftests/Makefile of the tree has no place for TARGETS += numa"
	put tools/testing/selftests/Makefile 100644 "$tmp/targets"
	with_entry >"$tmp/maintainers" || die "MAINTAINERS of the tree has no place for an entry"
	put MAINTAINERS 100644 "$tmp/maintainers"
	commit_index <<-END
		selftests/numa: tests of NUMA memory policy and NUMA balancing

		Some kselftests use the system calls of NUMA memory policy in passing; none
		tests them: which pages a policy places where, what mbind(),
		migrate_pages() and move_pages() move and report, what a cpuset or a fork
		changes, and whether NUMA balancing moves memory to its user.

		Add $(wc -l <<<"$programs") programs on kselftest_harness.h. They discover the nodes, whose
		ids may have gaps and which may lack CPUs or memory; ask the kernel where
		each page is, by move_pages() and by numa_maps, which must agree; and skip,
		with the reason, what the machine has not. They restore what they change.

		Proof: none (tests)
	END
}

# make's own lines are not KTAP, and the plan is what the Makefile names.
run_tests() {
	local run=$new/run status=0
	mkdir "$run"
	echo "fail: did not finish" >"$run/verdict"
	# the programs by the names that the tree's Makefile builds
	(cd "$new/linux/$in_tree" && sed -n 's/^TEST_GEN_PROGS [+:]= //p' Makefile) >"$run/programs"
	tree_make run_tests >"$run/make.log" 2>&1 </dev/null || status=$?
	{
		printf 'TAP version 13\n1..%d\n' "$(wc -l <"$run/programs")"
		grep -aE '^(#|ok |not ok )' "$run/make.log" || true
		echo "# guest: end"
	} >"$run/ktap.log"
	if ((status == 0)); then
		echo ended >"$run/exit"
	else
		echo "error $status" >"$run/exit"
	fi
	uname -sr >"$run/host"
	"$top/scripts/verdict.sh" "$run"
}

tree_make() {
	env -u O -u V -u TESTS make -C "$new/linux/tools/testing/selftests" -j"$JOBS" TARGETS=numa FORCE_TARGETS=1 "$@"
}

main() {
	local tip who mail when count cover='' status=0
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "export.sh takes no argument but -h, not $1" ;;
	esac
	take_lock export
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	need_numa
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	[[ -z $(tree_git ls-tree numa "$in_tree/") ]] || die "the tree has $in_tree already"

	tmp=$(mktemp -d "$work/export.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	new=$tmp/new
	mkdir "$new" "$new/linux"
	IFS=$'\t' read -r who mail when < <(tree_git log -1 --format='%an%x09%ae%x09@%ad' --date=raw numa)
	count=$(tree_git rev-list --count "$(state_get base)..numa")
	tip=numa
	make_commits
	series_format -N --start-number $((count + 1)) --output-directory "$new" "numa..$tip" --
	# tools/ and what its Makefiles include: kselftest needs no more
	tree_git archive "$tip" Makefile scripts tools | tar -xf - -C "$new/linux"
	tree_make >"$new/build.log" 2>&1 </dev/null ||
		die "building the kselftests in the tree: $(cp "$new/build.log" "$work/export.log" && reason_in "$new/build.log") (see $work/export.log)"
	rm -rf "$work/export"
	mv "$new" "$work/export"
	new=$work/export
	note "$(cd "$new" && printf '%s ' ./[0-9]*.patch)in $new: built in the tree"
	run_tests || status=$?
	if ((status)); then
		die "$in_tree fails on this machine: $(uname -sr), which need not have the series (see $new/run)"
	fi
	note "try it: git -C $tree switch -c numa-selftests numa && git -C $tree am $work/export/[0-9]*.patch"
}

main "$@"
