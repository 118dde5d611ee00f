#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Show for each patch that what it names as its proof fails without it and passes with it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"
. "$top/scripts/expected.sh"

evidence=$top/Documentation/evidence-$BASE.md out=$results/prove/$BASE
# what is proven of another tree is no document of the base
[[ -z $KDIR ]] || evidence=$work/evidence.md out=$work/prove

usage() {
	cat <<-END
		usage: prove.sh [-h | --stale]

		For each patch, or PATCH=N or PATCH=FIRST-LAST, builds KERNEL=N-1 and KERNEL=N, runs the
		kselftests that the patch names in "Proof:" lines on 4node, or on the topology that the
		line names, and prints a line: how many of
		the named tests fail before it and pass after it. Both runs must also be right in all else: what
		later patches fix fails, and nothing else does. Where the line names a measure of
		selftests/bench, it must be at most, or at least, so many times what it is before the patch.
		A patch without behaviour ("Proof: none") is shown to leave the object code as it was, or what differs.
		The table is kept in ${out#"$top/"}/table.md. A row of an earlier call stays in it as long as
		what it was made from is the same: the two kernels, the programs, the topology, the guest.
		Without PATCH such a patch is not proven anew, so that an interrupted call is continued by the
		next. Once the table has all patches, and all are proven, it is written to
		${evidence#"$top/"} too, each row with a sum over subject, proof, and source
		before and after the patch. Exit status: 1 where a patch is not proven.
		--stale: only say how many patches have a row there that has this sum. Exit status: 3 where one has not.
	END
}

# Names of the programs of the patterns on topology $2 of patch number $1
programs_of() {
	proofs_of "$1" "$2" | cut -d: -f1 | sort -u | paste -sd' '
}

# Patterns "program:subtest" of patch number $1 on topology $2
proofs_of() {
	all_proofs_of "$1" | awk -v topo="$2" '($3 == "" ? "4node" : $3) == topo { print $1 }'
}

# Lines "program:subtest [on topology]" of patch number $1
all_proofs_of() {
	sed -n '/^---$/q; s/^Proof: kselftest //p' "$patches/${names[$1 - 1]}"
}

# Lines "SCENARIO MEASURE most|least BOUND" of patch number $1
measures_of() {
	sed -nE '/^---$/q; s/^Proof: measure ([^:]*):(.*) at (most|least) (.*)$/\1 \2 \3 \4/p' "$patches/${names[$1 - 1]}"
}

# What the row of patch number $1 is made from
made_from() {
	local pattern word topo
	{
		subject_of "$1"
		sources_of "$1"
		fragments_of "$1" | xargs cat "$top/scripts/guest/init" "$top/scripts/prove.sh"
		while read -r pattern word topo; do
			printf '%s %s %s\n' "$pattern" "$word" "$topo"
			sha "$work/selftests/install/numa/${pattern%%:*}" "$top/config/topology/${topo:-4node}.conf"
		done < <(all_proofs_of "$1")
		while read -r word pattern; do
			printf '%s %s\n' "$word" "$pattern"
			sha "$work/selftests/install/bench/$word" "$top"/scripts/compare.{sh,py}
		done < <(measures_of "$1")
	} | sha
}

# Is there a row of patch number $1, and of what there is now?
row_holds() {
	[[ -f $out/$1.rows && $(cat "$out/$1.made" 2>/dev/null) == "$(made_from "$1")" ]]
}

build_step() {
	local step
	for step in "$@"; do
		KERNEL=$step "$top/scripts/config.sh" >"$out/build.out" 2>&1 &&
			KERNEL=$step "$top/scripts/build.sh" >"$out/build.out" 2>&1 || {
			cat "$out/build.out" >&2
			die "KERNEL=$step cannot be built (above)"
		}
	done
}

# Of the tests in the run $1 on TOPO that match the patterns of patch $2: how many, and how many
# have status $3
count() {
	local key status program sub pattern
	matched=0 hits=0
	while IFS=$'\t' read -r program sub status _; do
		[[ $sub != - ]] || continue
		key=$program:$sub
		while IFS= read -r pattern; do
			# shellcheck disable=SC2053 # a pattern, on purpose
			[[ $key == $pattern ]] || continue
			matched=$((matched + 1))
			[[ $status != "$3" ]] || hits=$((hits + 1))
			break
		done < <(proofs_of "$2" "$TOPO")
	done <"$1/tests.tsv"
}

row() {
	printf '| %s | %s | %s | %s | %s |\n' "$@" >>"$out/$1.rows.new"
	printf '%-6s %2s  %-62.62s %s; %s\n' "$5" "$1" "$2" "$3" "$4"
}

# Patch number $1 on topology $2
prove_kselftest() {
	local nr=$1 tests before after verdict=proven pids=() status=0
	export TOPO=$2
	tests=$(programs_of "$nr" "$TOPO")
	build_step $((nr - 1)) "$nr"
	KERNEL=$((nr - 1)) TESTS=$tests judged_guest "$out/$nr-$TOPO-before" &
	pids=($!)
	KERNEL=$nr TESTS=$tests judged_guest "$out/$nr-$TOPO-after" &
	pids+=($!)
	wait "${pids[0]}" || status=1
	wait "${pids[1]}" || status=1
	count "$out/$nr-$TOPO-before" "$nr" known
	before="$hits of $matched fail"
	((hits == matched && matched > 0)) || status=1
	count "$out/$nr-$TOPO-after" "$nr" pass
	after="$hits of $matched pass"
	((hits == matched && matched > 0)) || status=1
	((status == 0)) || verdict=FAILED
	row "$nr" "$(subject_of "$nr")" "$tests on $TOPO: $before" "$after" "$verdict"
	((status == 0)) || sed 's/^/        /' "$out/$nr-$TOPO-before/out" "$out/$nr-$TOPO-after/out"
	return $status
}

# The measures of patch number $1 in scenario $2
prove_measure() {
	local nr=$1 scenario=$2 name measure way bound unit before after ratio verdict status=0 compared=$out/$1-$2
	build_step $((nr - 1)) "$nr"
	# its status is about all the measures there are
	A=$((nr - 1)) B=$nr BENCH=$scenario SEEDS=1 TOPO=4node NUMA_COMPARE=$compared \
		"$top/scripts/compare.sh" >"$out/compare.out" 2>&1 || true
	while read -r name measure way bound; do
		[[ $name == "$scenario" ]] || continue
		IFS=$'\t' read -r unit before after ratio < <(awk -F' *[|] *' -v name="$measure" \
			'$3 == name { print $4 "\t" $5 "\t" $6 "\t" $7 }' "$compared/table.md" 2>/dev/null) || true
		if [[ -z $ratio ]]; then
			row "$nr" "$(subject_of "$nr")" "$name:$measure" "not measured" FAILED
			sed 's/^/        /' "$out/compare.out"
			return 1
		fi
		verdict=proven
		awk -v r="$ratio" -v b="$bound" -v way="$way" 'BEGIN { exit !(way == "most" ? r <= b : r >= b) }' ||
			verdict=FAILED status=1
		row "$nr" "$(subject_of "$nr")" "$name:$measure $before $unit" "$after; $ratio times, at $way $bound wanted" "$verdict"
	done < <(measures_of "$nr")
	return $status
}

# The text of each function in the objects of the C files that patch $1 touches, at KERNEL=$2.
# They are compiled anew: the kernel may have been built long ago, and others in its directory since.
object_code() {
	local file files object
	mapfile -t files < <(sed -n 's/^+++ b\///p' "$patches/${names[$1 - 1]}" | grep '\.c$')
	((${#files[@]})) || return 0
	KERNEL=$2 "$top/scripts/build.sh" --warnings "${files[@]}" >"$out/build.out" 2>&1 || {
		cat "$out/build.out" >&2
		die "KERNEL=$2: the files of patch $1 cannot be compiled (above)"
	}
	for object in $(for file in "${files[@]}"; do object_of "$tree" "$file"; done | sort -u); do
		file=$object.c object=$work/step/$object.o
		[[ ! -f $object ]] || objdump -d --no-show-raw-insn --no-addresses "$object" |
			sed "s|^.*file format.*|$file|; s/+0x[0-9a-f]*>/>/g"
	done
}

prove_none() {
	local nr=$1 what changed
	if ! grep -qE '^\+\+\+ b/.*\.[ch]$' "$patches/${names[nr - 1]}"; then
		row "$nr" "$(subject_of "$nr")" "no C file" "no C file" proven
		return
	fi
	build_step $((nr - 1))
	object_code "$nr" $((nr - 1)) >"$out/$nr-before.s"
	build_step "$nr"
	object_code "$nr" "$nr" >"$out/$nr-after.s"
	if [[ ! -s $out/$nr-after.s ]]; then
		what="no object of its own: not compared"
	elif cmp -s "$out/$nr-before.s" "$out/$nr-after.s"; then
		what="same object code"
	else
		changed=$({ diff <(functions "$out/$nr-before.s") <(functions "$out/$nr-after.s") || true; } |
			sed -nE 's/^[<>] [0-9a-f]+ //p' | sort -u | paste -sd' ')
		what="object code differs in ${changed:-data}"
	fi
	row "$nr" "$(subject_of "$nr")" "none to show" "$what" told
}

# "checksum function" of a disassembly
functions() {
	awk '/^<.*>:$/ { name = $0; gsub(/[<>:]/, "", name); next } name { print name "\t" $0 }' "$1" |
		awk -F'\t' '{ text[$1] = text[$1] $2 $3 } END { for (n in text) print n "\t" text[n] }' |
		while IFS=$'\t' read -r name text; do
			printf '%s %s\n' "$(cksum <<<"$text" | cut -d' ' -f1)" "$name"
		done | sort -k2
}

# Says of how many patches $evidence is
stale() {
	local nr count=0
	for ((nr = 1; nr <= ${#names[@]}; nr++)); do
		! grep -qs "^| $nr |.*| $(input_of "$nr") |$" "$evidence" || count=$((count + 1))
	done
	note "$count of ${#names[@]} patches have a row in ${evidence#"$top/"} of the series as it is (make prove)"
	((count == ${#names[@]})) || exit 3
}

# All rows there are; with all patches in it and each proven, into Documentation.
table() {
	local nr missing=0
	{
		printf '| nr | patch | before | after | verdict | made from |\n|---|---|---|---|---|---|\n'
		for ((nr = 1; nr <= ${#names[@]}; nr++)); do
			if row_holds "$nr"; then
				sed "s/\$/ $(input_of "$nr") |/" "$out/$nr.rows"
			else
				missing=$((missing + 1))
			fi
		done
	} >"$out/table.md"
	note "table: ${out#"$PWD/"}/table.md"
	((missing == 0)) || note "$missing of ${#names[@]} patches are not in it yet: make prove, or PATCH="
	if ((missing)) || grep -q '| FAILED | [0-9a-f]* |$' "$out/table.md"; then
		return
	fi
	{
		cat <<-END
			# Evidence

			What \`make prove\` shows of each patch of \`patches/$BASE\`, on Linux $(tree_version): the
			kselftests or measures that its \`Proof:\` lines name, on the kernel without it and with it, all
			else being equal.
			Written by \`make prove\`, not by hand. The last column is a sum over the patch and its source.

		END
		cat "$out/table.md"
	} >"$evidence.new"
	mv "$evidence.new" "$evidence"
	note "all patches are proven: ${evidence#"$PWD/"}"
}

main() {
	local nr topo name made stale='' status=0
	case ${1:-} in
	-h) usage && exit ;;
	--stale) stale=y ;;
	?*) usage_error "prove.sh accepts -h and --stale, not $1" ;;
	esac
	take_lock prove
	trap end_children EXIT
	mapfile -t names < <(series_names)
	((${#names[@]})) || exit 1
	patch_range "${#names[@]}"
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	"$top/scripts/refresh.sh" --check >/dev/null || exit 1
	if [[ -n $stale ]]; then
		stale
		return
	fi
	KERNEL=base expected_failures >/dev/null
	"$top/scripts/selftests.sh" >/dev/null
	check_proofs "$work/selftests/install/numa"
	"$top/scripts/initramfs.sh" >/dev/null
	mkdir -p "$out"
	for ((nr = first; nr <= last; nr++)); do
		if [[ -z $PATCH ]] && row_holds "$nr" && ! grep -q '| FAILED |$' "$out/$nr.rows"; then
			printf '%-6s %2s  %s\n' kept "$nr" "$(subject_of "$nr")"
			continue
		fi
		rm -rf "$out/$nr.rows" "$out/$nr.rows.new" "$out/$nr.made" "$out/$nr"-*
		made=$(made_from "$nr")
		[[ -n $(all_proofs_of "$nr")$(measures_of "$nr") ]] || prove_none "$nr"
		for topo in $(all_proofs_of "$nr" | awk '{ print $3 == "" ? "4node" : $3 }' | sort -u); do
			prove_kselftest "$nr" "$topo" || status=1
		done
		for name in $(measures_of "$nr" | cut -d' ' -f1 | sort -u); do
			prove_measure "$nr" "$name" || status=1
		done
		mv "$out/$nr.rows.new" "$out/$nr.rows"
		printf '%s\n' "$made" >"$out/$nr.made"
	done
	table
	((status == 0)) || die "a patch is not proven (above)"
}

main "$@"
