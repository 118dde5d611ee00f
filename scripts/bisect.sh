#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Show that each patch builds without a new warning in every configuration, and boots.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"
. "$top/scripts/expected.sh"

seen=$top/Documentation/bisect-$BASE.md out=$results/bisect/$BASE
# what is seen of another tree is no document of the base
[[ -z $KDIR ]] || seen=$work/bisect.md out=$work/bisect

usage() {
	cat <<-END
		usage: bisect.sh [-h | --sample | --stale]

		For each patch, or PATCH=N or PATCH=FIRST-LAST: builds KERNEL=N in the configuration of the
		guests and in $variants, compiles the C files that the patch touches with W=1 and compares
		what the compiler says with its parent, and boots the first in a guest of topology 2node with
		the kselftest $smoke. Prints a line for each patch.
		What was good becomes a row of ${seen#"$top/"}, with a sum over all that it
		was made from: source before and after the patch, configurations, compiler, test. Without
		PATCH a patch whose row has that sum is not done again, so that a run that was interrupted goes
		on where it was, on another machine too; and rows that do not hold any more go. With KDIR the
		table is kept below O.
		--sample: one patch in one configuration, which are others at each commit of this repository.
		--stale: only say how many patches have a row that holds. Exit status: 3 where one has not.
		Exit status: 1 where a patch does not build, has a new warning or does not boot.
	END
}

# Short, and asks all that the series is about
smoke=numa_maps

# KERNEL=$1 in configuration $2 ("guest": that of the guests)
kernel_name() {
	[[ $2 == guest ]] && printf '%s' "$1" || printf '%s-%s' "$1" "$2"
}

# Build KERNEL=$1, where the compiler says nothing without W=1: sets failed_why where it fails
build_one() {
	local log=$work/step/build.log
	[[ $1 != *-* ]] || log=$work/step-${1#*-}/build.log
	# that of another kernel, where this one is up to date
	rm -f "$log"
	KERNEL=$1 "$top/scripts/config.sh" >"$out/build.out" 2>&1 &&
		KERNEL=$1 "$top/scripts/build.sh" >"$out/build.out" 2>&1 || {
		failed_why=$(grep -m1 '^error: ' "$out/build.out" || tail -n1 "$out/build.out")
		return 1
	}
	if grep -qsE 'warning: ' "$log"; then
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

# What the row of patch number $1 is made from
made_from() {
	local config
	{
		sources_of "$1"
		for config in "${configs[@]}"; do
			fragments_of "$(kernel_name "$1" "$config")" | xargs cat
		done
		gcc --version | head -n1
		sha "$top/config/topology/2node.conf" "$top/scripts/guest/init" "$work/selftests/install/numa/$smoke"
	} | sha | cut -c1-16
}

# Is there a row of patch number $1, and of what there is now?
row_holds() {
	[[ -n ${rows[$1]:-} && ${rows[$1]} == *"| $(made_from "$1") |" ]]
}

# Rows by the number of the patch
read_rows() {
	local line
	rows=()
	[[ -f $seen ]] || return 0
	while IFS= read -r line; do
		[[ ! $line =~ ^\|\ ([0-9]+)\ \| ]] || ((BASH_REMATCH[1] > ${#names[@]})) || rows[BASH_REMATCH[1]]=$line
	done <"$seen"
}

write_rows() {
	{
		cat <<-END
			# Each patch builds, and boots

			What \`make bisect-check\` has seen of ${#rows[@]} of the ${#names[@]} patches of \`patches/$BASE\`, on Linux
			$(tree_version): no new warning in any of these configurations, and \`$smoke\` passes on 2node.
			Written by \`make bisect-check\`, not by hand. The last column is a sum over what was built and run.

			| nr | patch |$(printf ' %s |' "${configs[@]}") time | made from |
			|---|---|$(printf -- '---|%.0s' "${configs[@]}")---|---|
		END
		((${#rows[@]} == 0)) || printf '%s\n' "${rows[@]}"
	} >"$seen.new" && mv "$seen.new" "$seen" || die "cannot write $seen"
}

check_patch() {
	local nr=$1 config cells=() why=() begin=$SECONDS since verdict=ok booting='' took
	for config in "${configs[@]}"; do
		since=$SECONDS
		if check_build "$nr" "$config"; then
			cells+=(builds)
			[[ $config != guest ]] || begin_boot "$nr"
		else
			cells+=(FAILS) why+=("$config: $failed_why")
		fi
		note "$nr $config: ${cells[-1]}, $(min_sec $((SECONDS - since)))"
	done
	# the first of configs
	if [[ -z $booting ]]; then
		:
	elif end_boot "$nr"; then
		cells[0]="builds, boots"
	else
		cells[0]="builds, does NOT boot" why+=("2node: ${failed_why:-no verdict}")
	fi
	((${#why[@]} == 0)) || verdict=FAILED
	took=$(min_sec $((SECONDS - begin)))
	printf '%-6s %2d  %-52.52s %s\n' "$verdict" "$nr" "$(subject_of "$nr")" \
		"$(for config in "${!configs[@]}"; do printf '%s %s, ' "${configs[config]}" "${cells[config]}"; done)$took"
	((${#why[@]} == 0)) || {
		printf '        %s\n' "${why[@]}"
		return 1
	}
	rows[nr]="| $nr | $(subject_of "$nr") |$(printf ' %s |' "${cells[@]}") $took | $made |"
}

main() {
	local nr status=0 sample='' stale='' at start=$SECONDS made='' rows=()
	configs=(guest)
	# shellcheck disable=SC2206 # words
	configs+=($variants)
	case ${1:-} in
	-h) usage && exit ;;
	--sample) sample=y ;;
	--stale) stale=y ;;
	?*) usage_error "bisect.sh accepts -h, --sample and --stale, not $1" ;;
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
		# another with each patch and, where it comes round to one again, with each round
		configs=("${configs[(first - 1 + at / ${#names[@]}) % ${#configs[@]}]}")
	fi
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	"$top/scripts/refresh.sh" --check >/dev/null || exit 1
	mkdir -p "$out"
	if [[ -z $sample || ${configs[0]} == guest ]]; then
		"$top/scripts/selftests.sh" >/dev/null
		"$top/scripts/initramfs.sh" >/dev/null
	fi
	if [[ -n $sample ]]; then
		check_patch "$first" || die "the patch does not build clean or does not boot (above)"
		return
	fi
	read_rows
	for nr in "${!rows[@]}"; do
		row_holds "$nr" || unset "rows[nr]"
	done
	if [[ -n $stale ]]; then
		note "${#rows[@]} of ${#names[@]} patches have a row in ${seen#"$top/"} of what there is now (make bisect-check)"
		((${#rows[@]} == ${#names[@]})) || exit 3
		return
	fi
	for ((nr = first; nr <= last; nr++)); do
		if [[ -z $PATCH ]] && row_holds "$nr"; then
			printf '%-6s %2d  %s\n' kept "$nr" "$(subject_of "$nr")"
			continue
		fi
		unset "rows[nr]"
		made=$(made_from "$nr")
		check_patch "$nr" || status=1
		write_rows
	done
	write_rows
	note "table: ${seen#"$PWD/"}; $(min_sec $((SECONDS - start)))"
	((status == 0)) || die "a patch does not build clean or does not boot (above)"
}

main "$@"
