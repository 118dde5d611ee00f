#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Show that each patch builds without a new warning in every configuration, and boots.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"
. "$top/scripts/expected.sh"

usage() {
	cat <<-END
		usage: bisect.sh [-h | --sample]

		For each patch, or PATCH=N or PATCH=FIRST-LAST: builds KERNEL=N in the configuration of the
		guests and in $variants, compiles the C files that the patch touches with W=1 and compares
		what the compiler says with its parent, and boots the first in a guest of topology 2node with
		the kselftest $smoke. Prints a line for each patch, and a table in results/bisect/table.md.
		What was good is kept in results/bisect/kept and not done again as long as source,
		configuration and test are the same: a run that was interrupted goes on where it was.
		--sample: one patch in one configuration, which are others at each commit of this repository.
		Exit status: 1 where a patch does not build, has a new warning or does not boot.
	END
}

# Short, and asks all that the series is about
smoke=numa_maps

# KERNEL=$1 in configuration $2 ("guest": that of the guests)
kernel_name() {
	[[ $2 == guest ]] && printf '%s' "$1" || printf '%s-%s' "$1" "$2"
}

# Build KERNEL=$1; what the compiler warns of without W=1 goes to $out/warned
build_one() {
	local log
	KERNEL=$1 "$top/scripts/config.sh" >"$out/build.out" 2>&1 &&
		KERNEL=$1 "$top/scripts/build.sh" >"$out/build.out" 2>&1 || {
		failed_why=$(grep -m1 '^error: ' "$out/build.out" || tail -n1 "$out/build.out")
		return 1
	}
	log=$work/step/build.log
	[[ $1 != *-* ]] || log=$work/step-${1#*-}/build.log
	if grep -qE 'warning: ' "$log"; then
		failed_why="warns: $(grep -m1 -E 'warning: ' "$log")"
		return 1
	fi
}

# What W=1 says of the files of patch $1 at KERNEL=$2, sorted
warnings_at() {
	local files
	mapfile -t files < <(sed -n 's|^+++ b/||p' "$patches/${names[$1 - 1]}" | grep '\.c$')
	((${#files[@]})) || return 0
	KERNEL=$2 "$top/scripts/build.sh" --warnings "${files[@]}" 2>"$out/build.out" | sort
}

# Patch $1 in configuration $2: sets failed_why where it fails
check_build() {
	local nr=$1 config=$2 new
	failed_why=
	build_one "$(kernel_name "$nr" "$config")" || return
	warnings_at "$nr" "$(kernel_name "$nr" "$config")" >"$out/after" || {
		failed_why=$(grep -m1 '^error: ' "$out/build.out")
		return 1
	}
	[[ -s $out/after ]] || return 0
	# the parent, only where there is something to compare
	build_one "$(kernel_name $((nr - 1)) "$config")" || return
	warnings_at "$nr" "$(kernel_name $((nr - 1)) "$config")" >"$out/before"
	new=$(comm -13 "$out/before" "$out/after")
	build_one "$(kernel_name "$nr" "$config")" || return
	[[ -z $new ]] || {
		failed_why="new with W=1: $(head -n1 <<<"$new")"
		return 1
	}
}

# KERNEL=$1 in a guest, beside what is built next
begin_boot() {
	rm -rf "$out/$1-guest"
	KERNEL=$1 TOPO=2node SEED=1 TESTS=$smoke judged_guest "$out/$1-guest" &
	booting=$!
}

end_boot() {
	wait "$booting" || {
		failed_why=$(sed -n 's/^ *verdict: //p' "$out/$1-guest/out" | head -n1)
		return 1
	}
}

# Where what is said of patch $1 in configuration $2 is kept: all that it depends on is in the name
kept_name() {
	local tree_after tree_before
	tree_after=$(tree_git rev-parse "numa~$((${#names[@]} - $1))^{tree}")
	tree_before=$(tree_git rev-parse "numa~$((${#names[@]} - $1 + 1))^{tree}")
	printf '%s %s %s %s %s' "$tree_before" "$tree_after" "$2" \
		"$(fragments_of "$(kernel_name "$1" "$2")" | xargs cat | sha)" \
		"$([[ $2 != guest ]] || sha "$work/initramfs.cpio" "$top/config/topology/2node.conf")" | sha
}

check_patch() {
	local nr=$1 config cells=() why=() begin=$SECONDS verdict=ok kept booting=''
	for config in "${configs[@]}"; do
		kept=$keep/$(kept_name "$nr" "$config")
		if [[ -f $kept ]]; then
			cells+=("$(cat "$kept")")
		elif ! check_build "$nr" "$config"; then
			cells+=("$config FAILS") why+=("$config: $failed_why")
		else
			cells+=("$config builds")
			if [[ $config == guest ]]; then
				begin_boot "$nr"
			else
				printf '%s builds' "$config" >"$kept"
			fi
		fi
	done
	# the first of configs
	if [[ -z $booting ]]; then
		:
	elif end_boot "$nr"; then
		cells[0]="guest builds, boots"
		printf '%s' "${cells[0]}" >"$keep/$(kept_name "$nr" guest)"
	else
		cells[0]="guest does NOT boot" why+=("2node: ${failed_why:-no verdict}")
	fi
	((${#why[@]} == 0)) || verdict=FAILED
	printf '%-6s %2d  %-52.52s %s, %s\n' "$verdict" "$nr" "$(subject_of "$nr")" \
		"$(printf '%s, ' "${cells[@]}" | sed 's/, $//')" "$(min_sec $((SECONDS - begin)))"
	printf '| %d | %s | %s | %s |\n' "$nr" "$(subject_of "$nr")" \
		"$(printf '%s, ' "${cells[@]}" | sed 's/, $//')" "$verdict" >>"$out/table.md"
	((${#why[@]} == 0)) || {
		printf '        %s\n' "${why[@]}"
		return 1
	}
}

main() {
	local nr status=0 sample='' at start=$SECONDS
	configs=(guest)
	# shellcheck disable=SC2206 # words
	configs+=($variants)
	case ${1:-} in
	-h) usage && exit ;;
	--sample) sample=y ;;
	?*) usage_error "bisect.sh accepts -h and --sample, not $1" ;;
	esac
	take_lock bisect-check
	trap end_children EXIT
	mapfile -t names < <(series_names)
	((${#names[@]})) || exit 1
	patch_range "${#names[@]}"
	if [[ -n $sample ]]; then
		[[ -z $PATCH ]] || usage_error "--sample chooses the patch by itself: PATCH must be empty"
		at=$(git -C "$top" rev-list --count HEAD 2>/dev/null) || die "--sample needs this directory to be a git clone"
		first=$((at % ${#names[@]} + 1)) last=$first
		configs=("${configs[at % ${#configs[@]}]}")
	fi
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	"$top/scripts/refresh.sh" --check >/dev/null ||
		die "branch numa is not what patches/$BASE has: make refresh, or make apply"
	out=$results/bisect
	keep=$out/kept
	if [[ -n $sample ]]; then
		keep=$out/sample
		rm -rf "$keep"
	fi
	mkdir -p "$keep"
	printf '| nr | patch | what was done | verdict |\n|---|---|---|---|\n' >"$out/table.md"
	if [[ " ${configs[*]} " == *" guest "* ]]; then
		"$top/scripts/selftests.sh" >/dev/null
		"$top/scripts/initramfs.sh" >/dev/null
	fi
	for ((nr = first; nr <= last; nr++)); do
		check_patch "$nr" || status=1
	done
	note "table: ${out#"$PWD/"}/table.md; $(min_sec $((SECONDS - start)))"
	((status == 0)) || die "a patch does not build clean or does not boot (above)"
}

main "$@"
