# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What fails where patches are missing, by their own word. To be sourced after series.sh.

# Lines of "program:subtest patch", from the "Proof: kselftest" lines of the series:
#   Proof: kselftest PROGRAM:SUBTEST [on TOPOLOGY]
# one a line, with * for any variant; the topology is where it does not skip, if not 4node.
# Every patch needs such a line or "Proof: none (reason)".
# Of the patches that KERNEL has not: all of them on the base, none on the whole series.
# And what fails on the base and stays so, as config/base/BASE.known has it: "program:subtest
# reason" a line.
expected_failures() {
	local name proofs line have=0 known=$top/config/base/$BASE.known
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
		proofs=$(sed -n '/^---$/q; s/^Proof: //p' "$patches/$name")
		[[ -n $proofs ]] || die "patches/$BASE/$name has no \"Proof:\" line"
		while IFS= read -r line; do
			if [[ $line =~ ^kselftest\ ([a-z0-9_]+:[A-Za-z0-9_.*]+)(\ on\ ([a-z0-9-]+))?$ ]]; then
				[[ -z ${BASH_REMATCH[3]} || -f $top/config/topology/${BASH_REMATCH[3]}.conf ]] ||
					die "patches/$BASE/$name: \"$line\": there is no topology ${BASH_REMATCH[3]}"
				printf '%s %s\n' "${BASH_REMATCH[1]}" "$name"
			elif [[ ! $line =~ ^none\ \(.+\)$ ]]; then
				die "patches/$BASE/$name: not a proof: \"$line\"; accepted: kselftest PROGRAM:SUBTEST [on TOPOLOGY], none (reason)"
			fi
		done <<<"$proofs"
	done
}
