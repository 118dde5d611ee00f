#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Each patch by itself: checkpatch --strict, a proof, no sign-off; each series has a change-id.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
. "$here/../series.sh"
. "$here/../expected.sh"

main() {
	local name bad=0 count=0 names
	names=$(series_names)
	tmp=$(mktemp)
	trap 'rm -f "$tmp"' EXIT
	cd "$top"
	# a proof by a program that is not built, or a test that is not, would never run
	KERNEL=base expected_failures >"$tmp"
	for name in $(cut -d: -f1 "$tmp") $(cd selftests/numa && printf '%s\n' *.c | sed '/^numa_util\.c$/d; s/\.c$//'); do
		if ! grep -qE "^TEST_GEN_PROGS [:+]= $name\$" selftests/numa/Makefile; then
			echo "$name is not in TEST_GEN_PROGS of selftests/numa/Makefile"
			bad=$((bad + 1))
		fi
	done
	# by which mails of one series are told from those of another
	if (($(sed -n 's/^change-id: //p' patches/*/0000-cover-letter.patch | sort -u | wc -l) != $(bases_with_series | wc -w))); then
		echo "patches/*/0000-cover-letter.patch: not each has a change-id of its own"
		bad=$((bad + 1))
	fi
	for name in $names; do
		count=$((count + 1))
		if grep -qE '^(Signed-off-by|Assisted-by|Co-developed-by):' "$patches/$name"; then
			echo "patches/$BASE/$name: sign-offs are left to the person who sends it"
			bad=$((bad + 1))
		fi
		if ! checkpatch "$patches/$name" "$tree" >"$tmp" 2>&1; then
			cat "$tmp"
			bad=$((bad + 1))
		fi
	done
	printf '%d patches, %d complaints\n' "$count" "$bad"
	((count > 0 && bad == 0))
}

main "$@"
