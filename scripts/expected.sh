# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What fails on the base, by the patches' own word. To be sourced after series.sh.

# Lines of "program:subtest patch", from the "Proof: kselftest" lines of the series:
#   Proof: kselftest PROGRAM:SUBTEST
# one a line, with * for any variant. Every patch needs such a line or "Proof: none (reason)".
expected_failures() {
	local name proofs line
	for name in $(series_names); do
		proofs=$(sed -n '/^---$/q; s/^Proof: //p' "$patches/$name")
		[[ -n $proofs ]] || die "patches/$BASE/$name has no \"Proof:\" line"
		while IFS= read -r line; do
			if [[ $line =~ ^kselftest\ ([a-z0-9_]+:[A-Za-z0-9_.*]+)$ ]]; then
				printf '%s %s\n' "${BASH_REMATCH[1]}" "$name"
			elif [[ ! $line =~ ^none\ \(.+\)$ ]]; then
				die "patches/$BASE/$name: not a proof: \"$line\"; accepted: kselftest PROGRAM:SUBTEST, none (reason)"
			fi
		done <<<"$proofs"
	done
}
