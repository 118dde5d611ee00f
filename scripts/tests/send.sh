#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# range-diff, rebase, mbox, export and the bad input of prove, on small trees.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/defaults.sh"
real=$(cd "$here/../.." && pwd -P)

bad=0 count=0
wrong() {
	printf '%s\n' "$@"
	bad=$((bad + 1))
}

# check NAME STATUS TEXT COMMAND...: TEXT is a line's part; one line of error, or none
check() {
	local name=$1 want=$2 text=$3 status=0
	shift 3
	count=$((count + 1))
	env -u NUMA_LOCKED O="$tmp/O" NUMA_DL="$tmp/dl" NUMA_SOURCES= "$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	if [[ $status == "$want" ]] && grep -qF -- "$text" "$tmp/out" && (($(grep -cE '^(error|fatal):' "$tmp/out") == (status % 3 > 0))); then
		return
	fi
	wrong "$name: status $status, want $want and \"$text\", got" "$(sed 's/^/  /' "$tmp/out")"
}

# says NAME TEXT: the last command has said that too
says() {
	count=$((count + 1))
	grep -qE -- "$2" "$tmp/out" || wrong "$1: not said: $2" "$(sed 's/^/  /' "$tmp/out")"
}

# printed WHAT: the command that the last one has named for it, without the variables of this test
printed() {
	local command
	command=$(sed -n "s/^ *$1: *//p" "$tmp/out")
	echo "unset O BASE FROM; cd $lab && ${command:-false}"
}

# same NAME A B
same() {
	count=$((count + 1))
	[[ $2 == "$3" ]] || wrong "$1:" "  $2" "  $3"
}

tester() {
	git -C "$1" -c user.name="A Tester" -c user.email=tester@localhost "${@:2}"
}

# The source of a base as a tarball in dl/: $1 version, $2 line 20, $3 line 30
make_source() {
	local dir=$tmp/src/linux-$1 tarball=linux-$1.tar.xz
	mkdir -p "$dir"/{mm,scripts,tools/testing/selftests}
	seq -f 'line %g' 1 40 | sed "s/^line 20$/$2/; s/^line 30$/$3/" >"$dir/mm/mempolicy.c"
	echo "obj-y += mm/" | tee "$dir/Kbuild" >"$dir/scripts/keep"
	printf 'List\n\n%s\n' $'NUBUS SUBSYSTEM\nM:\tA\n\nNVIDIA DRIVER\nM:\tB' >"$dir/MAINTAINERS"
	printf '%s\n\n' 'all:' "$(printf '\tgrep -q . numa/Makefile')" 'run_tests: all' "$(printf '\t@cat numa/*.c')" |
		cat <(printf 'TARGETS += net\nTARGETS += pci\n') - >"$dir/tools/testing/selftests/Makefile"
	printf '%s = %s\n' VERSION "${1%%.*}" PATCHLEVEL "$(cut -d. -f2 <<<"$1")" SUBLEVEL "${1##*.}" | cat - "$dir/Kbuild" >"$dir/Makefile"
	[[ $1 != 7.3* ]] || echo "new here" >"$dir/mm/new.c"
	[[ $1 != 6.0* ]] || sed -i '1i above' "$dir/mm/mempolicy.c"
	tar -C "$tmp/src" -cJf "$tmp/dl/$tarball" "linux-$1"
	(cd "$tmp/dl" && sha256sum "$tarball" >"$tarball.sha256")
}

# patch NUMBER SUBJECT FILE SED: one commit on branch numa, by whom git folds the header for
patch() {
	sed -i "$4" "$tree/$3"
	GIT_AUTHOR_NAME="A Tester of Mails with Folded Headers" GIT_AUTHOR_EMAIL=maintainers@users.noreply.a-rather-long-name.example \
		GIT_AUTHOR_DATE="2026-01-0${1}T00:00:00Z" tester "$tree" commit -qam "$2

A reason.

Proof: none (a test)"
}

# A checkout with our scripts, three bases, one of them without a source, and five patches.
make_lab() {
	local name
	mkdir -p "$lab/patches/v7.3" "$lab/config" "$lab/selftests/numa" "$tmp/dl"
	cp -r "$real/scripts" "$lab/"
	cp -r "$real/config" "$real/Makefile" "$lab/"
	rm "$lab"/config/base/*
	for name in v7.3:7.3.4 v6.0:6.0.1 v5.0:5.0.1; do
		printf 'version=%s\ndebian_package=none\ntarball=none\nsha256sums=none\n' "${name#*:}" >"$lab/config/base/${name%:*}.conf"
	done
	printf 'Subject: [PATCH] A cover\n\nIts text.\n\nchange-id: 20260101-a-test-0123456789ab\n' >"$lab/patches/v7.3/0000-cover-letter.patch"
	make_source 7.3.4 "line 20" "line 30"
	make_source 6.0.1 "line twenty" "thirty"
	O=$tmp/O NUMA_DL=$tmp/dl NUMA_SOURCES='' "$lab/scripts/fetch.sh" >/dev/null
	tree=$tmp/O/v7.3/linux
	git -C "$tree" checkout -q -b numa
	patch 1 "mm: ten" mm/mempolicy.c 's/line 10$/ten/'
	patch 2 "mm: 20" mm/mempolicy.c 's/line 20$/20/'
	patch 3 "mm: thirty" mm/mempolicy.c 's/line 30$/thirty/'
	patch 4 "mm: newer" mm/new.c 's/new/newer/'
	patch 5 "mm: forty" mm/mempolicy.c 's/line 40$/forty/'
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	git init -q "$lab"
	git -C "$lab" add -A
	tester "$lab" commit -qm "the series"
}

test_range_diff() {
	local do=$lab/scripts/range-diff.sh
	check "range-diff without OLD" 2 "OLD=REV of this repository, or FROM=v7.3" "$do"
	check "OLD that is nothing" 2 "OLD=nothing is not a commit" OLD=nothing "$do"
	check "nothing changed" 0 "5:  " OLD=HEAD "$do"
	same "five patches, all equal" 5 "$(grep -c ' = ' "$tmp/out")"
	sed -i 's/A reason/Another reason/' "$lab/patches/v7.3/0002-"*
	sed -i 3d "$lab/patches/v7.3/series"
	check "a patch is dropped" 0 "2:  " OLD=HEAD "$do"
	says "dropped" '^2:  [0-9a-f]+ < -:'
	git -C "$lab" checkout -q patches
	sed -i 's/A reason/Another reason/' "$lab/patches/v7.3/0002-"*
	check "a patch is changed" 0 "+    Another reason." OLD=HEAD "$do"
	says "changed" '^2:  [0-9a-f]+ ! 2:'
	git -C "$lab" checkout -q patches
	tester "$lab" rm -q -r --cached patches
	tester "$lab" commit -qm "no series"
	check "OLD before the series" 2 "OLD=HEAD has no patches/v7.3" OLD=HEAD "$do"
	tester "$lab" reset -q HEAD~1
	check "of a base without a tree" 1 "no source tree yet" FROM=v7.3 BASE=v6.0 "$do"
}

# A stable release of the same base, as workflow.md has it
test_release() {
	local fetch=$lab/scripts/fetch.sh refresh=$lab/scripts/refresh.sh conf=$lab/config/base/v7.3.conf said
	said="is Linux 7.3.4, config/base/v7.3.conf names 7.3.5: make distclean fetch"
	cp -r "$tmp/dl" "$tmp/dl.kept"
	sed -i 's/7\.3\.4/7.3.5/' "$conf"
	check "another version, refresh" 1 "$said" "$refresh"
	sed -i 's/7\.3\.4/7.3.5/' "$lab/patches/v7.3/series"
	check "another version, fetch" 1 "$said" "$fetch"
	check "another version, apply" 1 "$said" "$lab/scripts/apply.sh"
	check "another version, mbox" 1 "$said" "$lab/scripts/mbox.sh"
	check "distclean" 0 "removed" "$lab/scripts/clean.sh" --all
	mv "$tmp/dl.kept" "$tmp/dl"
	make_source 7.3.5 "line 20" "line 30"
	sed -i 's/^line 9$/nine/' "$tmp/src/linux-7.3.5/mm/mempolicy.c"
	tar -C "$tmp/src" -cJf "$tmp/dl/linux-7.3.5.tar.xz" linux-7.3.5
	(cd "$tmp/dl" && sha256sum linux-7.3.5.tar.xz >linux-7.3.5.tar.xz.sha256)
	check "fetch of the release" 0 "linux-7.3.5: commit" "$fetch"
	check "apply to the release" 1 "0001-mm-ten.patch does not apply" "$lab/scripts/apply.sh"
	check "range-diff where the old does not apply" 1 "HEAD:patches/v7.3/0001-mm-ten.patch does not apply" OLD=HEAD "$lab/scripts/range-diff.sh"
	rm -rf "$tmp/O/v7.3" "$tmp/src/linux-7.3.5"
	make_source 7.3.5 "line 20" "line 30"
	check "fetch of another" 0 "linux-7.3.5: commit" "$fetch"
	check "apply to it" 0 "5 patches applied" "$lab/scripts/apply.sh"
	check "refresh on it" 0 "is what branch numa has" "$refresh"
	check "range-diff over the two" 0 "HEAD:patches/v7.3 is for Linux 7.3.4" OLD=HEAD "$lab/scripts/range-diff.sh"
	same "all equal over the two" 5 "$(grep -c ' = ' "$tmp/out")"
	check "mbox of the release" 0 "base: v7.3.5" "$lab/scripts/mbox.sh"

	# back; as a state of before has it, and as Debian's nearest release leaves it
	git -C "$lab" checkout -q config patches
	rm -rf "$tmp/O/v7.3"
	check "fetch of the old one" 0 "linux-7.3.4: commit" "$fetch"
	sed -i '/^version=/d' "$tmp/O/v7.3/state"
	check "state without a version" 0 "5 patches applied" "$lab/scripts/apply.sh"
	sed -i 's/7\.3\.4/7.3.3/' "$conf" "$lab/patches/v7.3/series"
	echo version=7.3.3 >>"$tmp/O/v7.3/state"
	check "another one was taken, with a notice" 0 "is in $tree" "$fetch"
	check "refresh where another was taken" 0 "is what branch numa has" "$refresh"
	check "mbox where another was taken" 0 "base: v7.3.4" "$lab/scripts/mbox.sh"
	git -C "$lab" checkout -q config patches
	sed -i '/^version=/d' "$tmp/O/v7.3/state"
	check "the old one again" 0 "5 patches are applied" "$lab/scripts/apply.sh"
}

test_rebase() {
	local do=$lab/scripts/rebase.sh target=$tmp/O/v6.0/linux before after give_up move
	export BASE=v6.0
	check "rebase from nowhere" 2 "needs FROM=, the base whose series is carried; accepted: v7.3" "$do"
	check "rebase from what has no series" 2 "FROM=v5.0 has no series; accepted: v7.3" FROM=v5.0 "$do"
	check "rebase to itself" 2 "FROM=v7.3 is BASE itself" FROM=v7.3 BASE=v7.3 "$do"
	check "nothing to skip" 2 "no rebase to BASE=v6.0 is under way" "$do" --skip
	check "nothing to abort" 2 "no rebase to BASE=v6.0 is under way" "$do" --abort
	check "source that cannot be had" 1 "no source of Linux 5.0.1" FROM=v7.3 BASE=v5.0 "$do"
	export FROM=v7.3
	check "a conflict" 1 "patches/v7.3/0002-mm-20.patch does not go onto v6.0: conflict in mm/mempolicy.c" "$do"
	says "ours" "ours:   HEAD, v6.0 \(6.0.1\)"
	says "base" "base: .* v7.3 before"
	says "theirs" "theirs: .* v7.3 with"
	same "the three sides in the file" "1 1 1" "$(for after in '<<<<<<<' '|||||||' '>>>>>>>'; do grep -c "^$after " "$target/mm/mempolicy.c"; done | paste -sd' ')"
	check "not resolved" 1 "conflict in mm/mempolicy.c" "$do"
	git -C "$target" add -u
	check "markers left" 1 "conflict markers are left in mm/mempolicy.c" "$do"
	sed -i '/^<<<<<<< /d; /^>>>>>>> /d' "$target/mm/mempolicy.c"
	git -C "$target" add -u
	check "markers of diff3 left" 1 "conflict markers are left in mm/mempolicy.c" "$do"
	give_up=$(printed "give up")
	cp -r "$lab/patches/v7.3" "$lab/patches/v5.0"
	check "another rebase under way" 2 "a rebase to v6.0 from v7.3, not from v5.0, is under way" FROM=v5.0 "$do"
	rm -r "$lab/patches/v5.0"
	check "given up, as it was said" 0 "is on base again" bash -c "$give_up"
	same "tree after it" "base " "$(git -C "$target" symbolic-ref --short HEAD) $(git -C "$target" status --porcelain)"
	same "no series after it" "" "$(find "$lab/patches" -mindepth 1 -maxdepth 1 ! -name v7.3)"

	echo mine >>"$target/mm/mempolicy.c"
	check "tree with edits" 1 "has uncommitted changes" "$do"
	git -C "$target" checkout -q mm
	git -C "$target" branch numa
	check "another branch numa" 1 "a branch numa of your own" "$do"
	git -C "$target" branch -qD numa

	check "the conflict again" 1 "conflict in mm/mempolicy.c" "$do"
	sed -i '/^<<<<<<< /,/^>>>>>>> /c twenty' "$target/mm/mempolicy.c"
	check "resolved, not added" 1 "conflict in mm/mempolicy.c" "$do"
	git -C "$target" add -u
	check "resolved, the next conflict" 2 "0004-mm-newer.patch does not go onto v6.0: conflict in mm/new.c" bash -c "$(printed "go on")"
	says "what is in the base" "left out: 0003-mm-thirty.patch: v6.0 has it already"
	says "how the sides differ" "mm/new.c \(v6.0 does not have it\)"
	sed -i 's/^change-id: .*/&\nrevision: 2/' "$lab/patches/v7.3/0000-cover-letter.patch"
	check "skipped, done" 0 "3 patches written to patches/v6.0, 2 left out" bash -c "$(printed "leave the patch out")"
	same "the series" "0001-mm-ten.patch 0002-mm-20.patch 0003-mm-forty.patch" "$(sed -n '2,$p' "$lab/patches/v6.0/series" | paste -sd' ')"
	same "its base" "# base: 6.0.1" "$(head -n1 "$lab/patches/v6.0/series")"
	same "the author stays" "A Tester of Mails with Folded Headers 2026-01-02" "$(git -C "$target" log -1 --format='%an %as' numa~1)"
	same "the cover letter's text" 1 "$(grep -c 'Its text' "$lab/patches/v6.0/0000-cover-letter.patch")"
	move=$(printed "what the move has changed")
	git -C "$lab" checkout -q patches
	check "mbox of it" 0 "3 patches and the cover letter" "$lab/scripts/mbox.sh"
	says "a change-id of its own" 'change-id: [0-9]{8}-a-test-[0-9a-f]{12}$'
	same "the change-id of v7.3, and the revision" "" "$(grep -E '0123456789ab|^revision|PATCH v' "$tmp/O/v6.0/series.mbx")"
	same "no branch is left" "base numa" "$(git -C "$target" branch --format='%(refname:short)' | paste -sd' ')"
	check "round trip" 0 "is what branch numa has" "$lab/scripts/refresh.sh" --check
	check "done already" 2 "patches/v6.0 exists" "$do"
	check "what the move has changed" 0 "-:" bash -c "$move"
	says "changed by it" '^2:  [0-9a-f]+ ! 2:'
	says "left out" '^4:  [0-9a-f]+ < -:'

	# what was resolved and committed by hand, and given up over branch numa
	before=$(git -C "$target" rev-parse numa)
	mv "$lab/patches/v6.0" "$tmp/v6.0"
	check "once more" 1 "conflict in mm/mempolicy.c" "$do"
	sed -i '/^<<<<<<< /,/^>>>>>>> /c twenty' "$target/mm/mempolicy.c"
	git -C "$target" add -u
	GIT_EDITOR=: tester "$target" cherry-pick --continue >/dev/null 2>&1
	check "committed by hand" 1 "conflict in mm/new.c" "$do"
	git -C "$target" branch -qf numa "$(tester "$target" commit-tree -p numa -m mine "numa^{tree}")"
	check "a commit on numa meanwhile" 1 "branch numa of $target has got commits since the rebase began" "$do" --skip
	git -C "$target" branch -qf numa "$before"
	git -C "$target" checkout -q -b other
	echo mine >>"$target/mm/mempolicy.c"
	check "given up beside edits" 1 "is not on branch carry and has uncommitted changes" "$do" --abort
	git -C "$target" checkout -q mm
	check "given up with numa" 0 "is on numa again" "$do" --abort
	same "numa after it" "$before" "$(git -C "$target" rev-parse HEAD)"
	mv "$tmp/v6.0" "$lab/patches/v6.0"
	unset BASE FROM
}

test_mbox() {
	local do=$lab/scripts/mbox.sh mbx=$tmp/O/v7.3/series.mbx cover=$lab/patches/v7.3/0000-cover-letter.patch first
	check mbox 0 "5 patches and the cover letter, base: v7.3.4, change-id: 20260101-a-test-0123456789ab" "$do"
	first=$(sha256sum <"$mbx")
	check "mbox again" 0 "$(cut -c1-16 <<<"$first")" "$do"
	same "mails" "6 6 5" "$(grep -c '^From 0' "$mbx") $(grep -c '^Message-ID: <20260101-a-test-v1-[0-5]-' "$mbx") $(grep -c '^In-Reply-To: <20260101-a-test-v1-0-' "$mbx")"
	same "headers, in a line each" 6 "$(grep -c '^From: A Tester of Mails with Folded Headers <maint' "$mbx")"
	same "trailers" "base: v7.3.4|change-id: 20260101-a-test-0123456789ab" "$(sed -n '/^base:/,/^change-id/p' "$mbx" | paste -sd'|')"
	git clone -q -b base "$tree" "$tmp/clone" 2>/dev/null
	tester "$tmp/clone" am -q --empty=drop "$mbx" >"$tmp/out" 2>&1 || true
	same "git am" "$(git -C "$tree" log --format='%T %s' numa)" "$(git -C "$tmp/clone" log --format='%T %s')"
	if command -v b4 >/dev/null; then
		git -C "$tmp/clone" reset -q --hard origin/base
		git -C "$tmp/clone" config user.name "A Tester"
		git -C "$tmp/clone" config user.email tester@localhost
		(cd "$tmp/clone" && HOME=$tmp b4 -n --offline-mode shazam -m "$mbx") >"$tmp/out" 2>&1 </dev/null || true
		same "b4 shazam" "$(git -C "$tree" log --format='%T %s' numa)" "$(git -C "$tmp/clone" log --format='%T %s')"
	else
		echo "no b4 here: b4 shazam not tried"
	fi
	sed -i 's/^change-id: .*/&\nrevision: 2/' "$cover"
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	check "second revision" 0 "5 patches and" "$do"
	same "its subjects" 6 "$(grep -c '^Subject: \[PATCH v2 [0-5]/5\] ' "$mbx")"
	sed -i 's/^revision: 2/revision: two/' "$cover"
	check "revision that is no number" 1 '"revision: two" is not a number' "$do"
	sed -i '/^revision/d; s/^change-id: .*/change-id: me/' "$cover"
	first=$(sha256sum <"$mbx")
	check "change-id that is none" 1 'needs a line "change-id: YYYYMMDD-NAME-12HEXDIGITS", has "me"' "$do"
	same "the mbox stays" "$first" "$(sha256sum <"$mbx")"
	git -C "$lab" checkout -q patches
	echo "commit=$(printf '%040d' 7)" >>"$lab/config/base/v7.3.conf"
	check "base whose commit is known" 0 "base-commit: $(printf '%040d' 7), change-id: " "$do"
	sed -i "s/^commit=.*/commit=v7.3.4/" "$lab/config/base/v7.3.conf"
	check "commit that is none" 1 "is not the hash of a commit" "$do"
	sed -i 's/^source=.*/source=linux-7.3.40/' "$tmp/O/v7.3/state"
	check "another version in the tree" 0 "base: v7.3.4" "$do"
	sed -i 's/^source=.*/source=linux-source-7.3-7.3.4-1/' "$tmp/O/v7.3/state"
	check "a tree with changes of Debian's" 0 "base: v7.3.4" "$do"
	sed -i 's/^source=.*/source=linux-7.3.4/' "$tmp/O/v7.3/state"
	git -C "$lab" checkout -q config
	sed -i 's/^Its text/From text/' "$cover"
	check "line that ends a mail" 1 'cannot begin with "From "' "$do"
	git -C "$lab" checkout -q patches
	sed -i 's/A reason/Another/' "$lab/patches/v7.3/0002-"*
	check "patches that are not applied" 1 "patches/v7.3 is not what branch numa has: make refresh, or make apply" "$do"
	git -C "$lab" checkout -q patches
	echo mine >>"$tree/mm/mempolicy.c"
	check "mbox of a dirty tree" 1 "has uncommitted changes" "$do"
	git -C "$tree" checkout -q mm
	git clone -q -b base "$tree" "$tmp/mine" 2>/dev/null
	git -C "$tmp/mine" checkout -q -b work
	check "KDIR applied" 0 "5 patches applied" KDIR="$tmp/mine" "$lab/scripts/apply.sh"
	check "mbox of KDIR" 0 "base-commit: $(git -C "$tmp/mine" rev-parse work)" KDIR="$tmp/mine" "$do"
}

test_export() {
	local do=$lab/scripts/export.sh out=$tmp/O/v7.3/export said
	printf 'TEST_GEN_PROGS := one\n' >"$lab/selftests/numa/Makefile"
	printf '%s\n' '# selftests: numa: one' '# 1..1' '# ok 1 a.test' 'ok 1 selftests: numa: one' >"$lab/selftests/numa/one.c"
	touch "$lab/selftests/numa"/{config,settings,one.h}
	check export 0 "verdict: pass, 1 passed" "$do"
	said=$(printed "try it")
	git -C "$tmp/clone" fetch -q origin
	git -C "$tmp/clone" reset -q --hard origin/numa
	tester "$tmp/clone" am -q "$out"/0006-*.patch >"$tmp/out" 2>&1 || true
	same "what it adds" "MAINTAINERS Makefile .gitignore Makefile config one.c one.h settings" \
		"$(git -C "$tmp/clone" diff --name-only origin/numa HEAD | sed 's|.*/||' | paste -sd' ')"
	same "order of the targets" "net numa pci" "$(sed -n 's/^TARGETS += //p' "$tmp/clone/tools/testing/selftests/Makefile" | paste -sd' ')"
	same "order of the entries" "NUBUS NUMA NVIDIA" "$(sed -n 's/^\(N[A-Z]*\) .*/\1/p' "$tmp/clone/MAINTAINERS" | paste -sd' ')"
	check "export, tried as it was said" 0 "Applying: selftests/numa" env GIT_COMMITTER_NAME="A Tester" \
		GIT_COMMITTER_EMAIL=tester@localhost bash -c "$said"
	check "the series stays" 0 "is what branch numa has" "$lab/scripts/refresh.sh" --check
	check "it can be made again" 0 "verdict: pass, 1 passed" "$do"
	git -C "$tree" switch -q numa
	git -C "$tree" branch -qD numa-selftests
	sed -i 's/ok 1 a.test/not &/' "$lab/selftests/numa/one.c"
	check "export of what fails" 1 "tools/testing/selftests/numa fails on this machine" "$do"
	sed -i '$d' "$lab/selftests/numa/one.c"
	check "export of what does not finish" 1 "fails on this machine" "$do"
	says "why" "verdict: fail: .*did not finish"
	: >"$lab/selftests/numa/Makefile"
	check "export without programs" 1 "names no program" "$do"
	echo mine >>"$tree/mm/mempolicy.c"
	check "export of a dirty tree" 1 "has uncommitted changes" "$do"
	git -C "$tree" checkout -q mm
	same "the tree after all of it" "numa " "$(git -C "$tree" symbolic-ref --short HEAD) $(git -C "$tree" status --porcelain)"
}

# prove ends before it builds or boots anything.
test_prove() {
	local do=$lab/scripts/prove.sh
	printf '#!/bin/sh\n' >"$lab/scripts/selftests.sh"
	mkdir -p "$tmp/O/v7.3/selftests/install/numa"
	printf '#!/bin/sh\n%s\nexit 4\n' "printf '%-20s %-25s %s\n' '# FIXTURE' VARIANT TEST a '' one '' '' two >&2" \
		>"$tmp/O/v7.3/selftests/install/numa/policy"
	chmod +x "$tmp/O/v7.3/selftests/install/numa/policy"
	printf '#!/bin/sh\necho "error: got as far as packing" >&2\nexit 1\n' >"$lab/scripts/initramfs.sh"
	proof() {
		git -C "$tree" commit -q --amend --author="A Tester <tester@localhost>" -m "mm: forty" -m "Proof: $1"
		O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	}
	git -C "$tree" config user.name "A Tester"
	git -C "$tree" config user.email tester@localhost
	check "no such patch" 2 "PATCH=6 is out of range; accepted: 1 to 5" PATCH=6 "$do"
	check "patch 0" 2 "PATCH=0 is out of range; accepted: 1 to 5" PATCH=0 "$do"
	check "range backwards" 2 "PATCH=3-2 is out of range" PATCH=3-2 "$do"
	check "no number" 2 "PATCH=two is neither a number nor a range" PATCH=two "$do"
	proof "kselftest policy:a.two"
	check "proof that is there" 1 "got as far as packing" PATCH=5 "$do"
	proof "kselftest policy:a.three"
	check "no such test" 1 'patches/v7.3/0005-mm-forty.patch: "Proof: kselftest policy:a.three": policy has no such test' PATCH=5 "$do"
	proof "kselftest politics:a.one"
	check "no such program" 1 '"Proof: kselftest politics:a.one": there is no program politics in selftests/numa; accepted: policy' PATCH=5 "$do"
	proof "kselftest policy:a.one on 5node"
	check "no such topology" 1 "there is no topology 5node; accepted: 2node 4node " PATCH=5 "$do"
	proof "measure speed:4k.worst at most 0.5"
	mkdir -p "$lab/selftests/bench" "$lab/Documentation/comparison"
	echo "TEST_GEN_PROGS := faults" >"$lab/selftests/bench/Makefile"
	check "no such scenario" 1 '"Proof: measure speed:4k.worst at most 0.5": there is no scenario speed in selftests/bench; accepted: faults' PATCH=5 "$do"
	touch "$lab/selftests/bench/speed.c"
	check "scenario that is there" 1 "got as far as packing" PATCH=5 "$do"
	printf '"scenario": "%s",\n"measure": "%s",\n' faults 4k.worst speed 4k.best speed thp.best >"$lab/Documentation/comparison/measures.json"
	check "no such measure" 1 'at most 0.5": speed has no measure 4k.worst; accepted: 4k.best thp.best' PATCH=5 "$do"
	proof "measure speed:thp.best at most 0.5"
	check "measure that is there" 1 "got as far as packing" PATCH=5 "$do"
	proof "measure speed:4k.worst below 0.5"
	check "no bound" 1 'not a proof: "Proof: measure speed:4k.worst below 0.5"; accepted after "Proof: ": kselftest' PATCH=5 "$do"
	proof "well tested"
	check "no proof" 1 'not a proof: "Proof: well tested"; accepted after "Proof: ": kselftest' PATCH=5 "$do"
	proof "none (a test)"$'\nProof:kselftest policy:a.one'
	check "a blank forgotten" 1 'not a proof: "Proof:kselftest policy:a.one"' PATCH=5 "$do"
	proof "none (a test)"$'\nproof: kselftest policy:a.one'
	check "a small letter" 1 'not a proof: "proof: kselftest policy:a.one"' PATCH=5 "$do"
	echo mine >>"$tree/mm/mempolicy.c"
	check "prove in a dirty tree" 1 "has uncommitted changes" PATCH=5 "$do"
	git -C "$tree" checkout -q mm
	check "prove without a tree" 1 "there is no source tree yet" O="$tmp/none" "$do"
}

# Of patches without behaviour, and with builds that are made up
test_evidence() {
	local do=$lab/scripts/prove.sh evidence=$lab/Documentation/evidence-v7.3.md name
	for name in config build selftests initramfs; do
		printf '#!/bin/sh\n' >"$lab/scripts/$name.sh"
	done
	proof "none (a test)"
	check "no evidence" 3 "0 of 5 patches have a row in Documentation/evidence-v7.3.md" "$do" --stale
	check "prove all" 0 "all patches are proven" "$do"
	check "evidence of all" 0 "5 of 5 patches have a row" "$do" --stale
	proof "none (another)"
	check "another proof" 3 "4 of 5 patches have a row" "$do" --stale
	check "prove the other" 0 "kept    4" "$do"
	check "evidence of all again" 0 "5 of 5 patches have a row" "$do" --stale
	cp "$evidence" "$tmp/evidence"
	git -C "$tmp/mine" checkout -q -f work
	git -C "$tmp/mine" branch -qD numa
	sed -i '/^applied=/d; /^series=/d' "$tmp"/O/kdir-*/state
	echo mine >>"$tmp/mine/Kbuild"
	tester "$tmp/mine" commit -qam mine
	check "KDIR applied again" 0 "5 patches applied" KDIR="$tmp/mine" "$lab/scripts/apply.sh"
	check "prove all of KDIR" 0 "/evidence.md" KDIR="$tmp/mine" "$do"
	same "the evidence of the base" "$(cat "$tmp/evidence")" "$(cat "$evidence")"
	check "evidence of KDIR" 0 "5 of 5 patches have a row" KDIR="$tmp/mine" "$do" --stale
}

# What make check makes of a bad proof, all else being made up
test_check() {
	local name status=0
	mkdir "$tmp/bin"
	for name in shellcheck shfmt codespell; do
		ln -s /bin/true "$tmp/bin/$name"
	done
	for name in "$lab"/scripts/{tools,config,build,selftests,initramfs}.sh "$lab"/scripts/tests/*.sh; do
		printf '#!/bin/sh\n' >"$name"
	done
	printf '#\nfaults\n' >"$lab/selftests/bench/.gitignore"
	proof "kselftest policy:a.three"
	env -u NUMA_LOCKED O="$tmp/O" PATH="$tmp/bin:$PATH" "$lab/scripts/check.sh" >"$tmp/out" 2>&1 </dev/null || status=$?
	same "status of a check that fails" 1 "$status"
	says "the check that fails" '^FAIL  each proof names a test that there is '
	says "why it fails" '^        error: .*0005-mm-forty.patch: "Proof: kselftest policy:a.three": policy has no such test'
	says "checks that pass" '^ok    refresh gives the same bytes'
	says "evidence of the patch before" '^skip  evidence is of this series'
}

main() {
	local lab tree
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	lab=$tmp/lab
	make_lab
	test_range_diff
	test_release
	test_rebase
	test_mbox
	test_export
	test_prove
	test_evidence
	test_check
	printf '%d steps, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
