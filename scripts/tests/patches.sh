#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Each patch by itself: checkpatch --strict, a proof, no sign-off.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
. "$here/../series.sh"
. "$here/../expected.sh"

main() {
	local name bad=0 count=0 names words
	names=$(series_names)
	tmp=$(mktemp)
	trap 'rm -f "$tmp"' EXIT
	words=/usr/lib/python3/dist-packages/codespell_lib/data/dictionary.txt
	[[ -f $words ]] || die "codespell has no dictionary: $words"
	cd "$top"
	# a proof by a program that is not built, or a test that is not, would never run
	KERNEL=base expected_failures >"$tmp"
	for name in $(cut -d: -f1 "$tmp") $(cd selftests/numa && printf '%s\n' *.c | sed '/^numa_util\.c$/d; s/\.c$//'); do
		if ! grep -qE "^TEST_GEN_PROGS [:+]= $name\$" selftests/numa/Makefile; then
			echo "$name is not in TEST_GEN_PROGS of selftests/numa/Makefile"
			bad=$((bad + 1))
		fi
	done
	for name in $names; do
		count=$((count + 1))
		if grep -qE '^(Signed-off-by|Assisted-by|Co-developed-by):' "$patches/$name"; then
			echo "patches/$BASE/$name: sign-offs are left to the person who sends it"
			bad=$((bad + 1))
		fi
		# checkpatch reads .checkpatch.conf here and spells by the tree's word list; a name in a
		# proof cannot be broken into lines, which that of 6.12 asks for
		if ! sed '1,/^---$/s/^Proof: .*/Proof:/' "$patches/$name" |
			perl "$tree/scripts/checkpatch.pl" --root="$tree" --strict --codespell \
				--codespellfile="$words" --no-summary --terse --show-types - >"$tmp" 2>&1; then
			sed "s|^-:|patches/$BASE/$name:|" "$tmp"
			bad=$((bad + 1))
		fi
	done
	printf '%d patches, %d complaints\n' "$count" "$bad"
	((count > 0 && bad == 0))
}

main "$@"
