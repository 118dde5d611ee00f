# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What fails where patches are missing, by their own word. To be sourced after series.sh.

# Lines of "program:subtest patch", from the "Proof: kselftest" lines of the series:
#   Proof: kselftest PROGRAM:SUBTEST [on TOPOLOGY]
# one a line, with * for any variant; the topology is where it does not skip, if not 4node.
# Every patch needs such a line, or one about a measure of selftests/bench, RATIO times what it is
# without the patch,
#   Proof: measure SCENARIO:MEASURE at most|least RATIO
# or "Proof: none (reason)".
# Of the patches that KERNEL has not: all of them on the base, none on the whole series.
# And what fails on the base and stays so, as config/base/BASE.known has it: "program:subtest
# reason" a line.
expected_failures() {
	local name proofs line measures have=0 known=$top/config/base/$BASE.known
	if [[ -f $known && $KERNEL != */* ]]; then
		while IFS= read -r line; do
			[[ -z $line || $line == \#* ]] && continue
			[[ $line =~ ^[a-z0-9_]+:[A-Za-z0-9_.*]+\ .+$ ]] ||
				die "config/base/$BASE.known: not \"PROGRAM:SUBTEST reason\": \"$line\""
			printf '%s\n' "$line"
		done <"$known"
	fi
	if is_step; then
		have=${KERNEL%%-*}
	elif [[ $KERNEL != base ]]; then
		return 0
	fi
	for name in $(series_names | tail -n "+$((have + 1))"); do
		# what is nearly such a line, too: prove and the verdict do not see it
		proofs=$(sed -n '/^---$/q; /^[Pp]roof *:/p' "$patches/$name")
		[[ -n $proofs ]] || die "patches/$BASE/$name has no \"Proof:\" line"
		while IFS= read -r line; do
			if [[ $line =~ ^Proof:\ kselftest\ ([a-z0-9_]+:[A-Za-z0-9_.*]+)(\ on\ ([a-z0-9-]+))?$ ]]; then
				[[ -z ${BASH_REMATCH[3]} || -f $top/config/topology/${BASH_REMATCH[3]}.conf ]] ||
					die "patches/$BASE/$name: \"$line\": there is no topology ${BASH_REMATCH[3]};" \
						"accepted: $(names_in "$top/config/topology" .conf)"
				printf '%s %s\n' "${BASH_REMATCH[1]}" "$name"
			elif [[ $line =~ ^Proof:\ measure\ ([a-z0-9_]+):([A-Za-z0-9_.]+)\ at\ (most|least)\ [0-9]+(\.[0-9]+)?$ ]]; then
				[[ -f $top/selftests/bench/${BASH_REMATCH[1]}.c ]] ||
					die "patches/$BASE/$name: \"$line\": there is no scenario ${BASH_REMATCH[1]} in selftests/bench;" \
						"accepted: $(sed -n 's/^TEST_GEN_PROGS [:+]*= //p' "$top/selftests/bench/Makefile" | paste -sd' ')"
				measures=$(measures_stored "${BASH_REMATCH[1]}")
				[[ -z $measures || " $measures " == *" ${BASH_REMATCH[2]} "* ]] ||
					die "patches/$BASE/$name: \"$line\": ${BASH_REMATCH[1]} has no measure ${BASH_REMATCH[2]};" \
						"accepted: $measures"
			elif [[ ! $line =~ ^Proof:\ none\ \(.+\)$ ]]; then
				die "patches/$BASE/$name: not a proof: \"$line\"; accepted after \"Proof: \": kselftest PROGRAM:SUBTEST [on TOPOLOGY]," \
					"measure SCENARIO:MEASURE at most|least RATIO, none (reason)"
			fi
		done <<<"$proofs"
	done
}

# Names of the measures of scenario $1 in the stored comparison; none, where it is a new one
measures_stored() {
	awk -F'"' -v scenario="$1" '$2 == "scenario" { name = $4 } $2 == "measure" && name == scenario { print $4 }' \
		"$top/Documentation/comparison/measures.json" 2>/dev/null | paste -sd' ' || true
}

# Names of the tests of the program $1, by its own list: fixture[.variant].test
tests_of() {
	# the status of a list is that of a skip
	{ "$1" -l 2>&1 </dev/null || true; } | awk '
		function leave(v, t) {
			for (t = 1; t <= tests; t++) {
				if (!variants)
					print fixture "." test[t]
				for (v = 1; v <= variants; v++)
					print fixture "." variant[v] "." test[t]
			}
			tests = variants = 0
		}
		/^# FIXTURE/ { next }
		/^-+$/ { leave(); next }
		{
			field = 1
			if (/^[^ ]/) fixture = $(field++)
			last = NF
			if (/[^ ]$/) test[++tests] = $(last--)
			if (field <= last) variant[++variants] = $field
		}
		END { leave() }'
}

# Each proof names tests of the programs in directory $1.
check_proofs() {
	local key patch program pattern name found proofs
	local -A known=()
	proofs=$(KERNEL=base expected_failures) || exit
	while read -r key patch; do
		[[ -n $key ]] || continue
		program=${key%%:*} pattern=${key#*:} found=
		[[ -x $1/$program ]] ||
			die "patches/$BASE/$patch: \"Proof: kselftest $key\": there is no program $program in selftests/numa;" \
				"accepted: $(find "$1" -maxdepth 1 -type f -executable -printf '%f\n' | sort | paste -sd' ')"
		[[ -n ${known[$program]:-} ]] || known[$program]=$(tests_of "$1/$program")
		for name in ${known[$program]}; do
			# shellcheck disable=SC2053 # a pattern, on purpose
			[[ $name != $pattern ]] || found=y
		done
		[[ -n $found ]] || die "patches/$BASE/$patch: \"Proof: kselftest $key\": $program has no such test; accepted: what $program -l lists"
	done <<<"$proofs"
}
