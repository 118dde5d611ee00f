#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Judge each stored run of golden/ and compare the verdict with its file "want".
set -euo pipefail
. "$(dirname "$0")/defaults.sh"

main() {
	local here dir want got status bad=0 count=0
	here=$(cd "$(dirname "$0")" && pwd -P)
	run=$(mktemp -d)
	trap 'rm -rf "$run"' EXIT
	for dir in "$here"/golden/*/; do
		rm -rf "$run/case"
		cp -r "$dir" "$run/case"
		status=0
		"$here/../verdict.sh" "$run/case" >"$run/out" 2>&1 || status=$?
		want=$(cat "$run/case/want")
		got=$(cat "$run/case/verdict")
		count=$((count + 1))
		if [[ $got != "$want" || $status != $([[ $want == pass ]] && echo 0 || echo 1) ]]; then
			printf '%s: status %d\n  want %s\n  got  %s\n' "$(basename "$dir")" "$status" "$want" "$got"
			bad=$((bad + 1))
		fi
	done
	((count > 0)) || bad=1
	printf '%d stored runs judged, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
