#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Logs of static analysers: what is a finding in them, and what is a new one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../findings.sh"

bad=0 count=0
# check NAME KIND LOG WANT: the findings, "FILE: text<TAB>LINE"
check() {
	local got
	count=$((count + 1))
	got=$(findings_in "$2" /src/ <<<"$3")
	[[ $got != "$(printf '%b' "$4")" ]] || return 0
	printf '%s:\n  want %s\n  got  %s\n' "$1" "$(printf '%b' "$4")" "$got"
	bad=$((bad + 1))
}

# compare NAME WANT BEFORE AFTER: how many of these compilers' logs' findings are new
compare() {
	local got
	count=$((count + 1))
	findings_in compiler /src/ <<<"$3" >"$tmp/before"
	findings_in compiler /src/ <<<"$4" >"$tmp/after"
	got=$(new_findings "$tmp/before" "$tmp/after")
	[[ $got != "$2" ]] || return 0
	printf '%s:\n  want %s\n  got  %s\n' "$1" "$2" "$got"
	bad=$((bad + 1))
}

main() {
	local one='/src/mm/a.c:12:3: warning: unused' two='/src/mm/a.c:40:3: warning: unused'
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	check "gcc" compiler "In file included from /src/mm/a.c:3:
/src/mm/a.c: In function 'f':
../linux/include/b.h:7:1: warning: it [-Wit]
/src/mm/a.c:9:1: note: there
  CC      mm/a.o
cc1: all warnings being treated as errors
make[2]: *** [x] Error 1" 'include/b.h: warning: it [-Wit]\t7'
	check "sparse: lines of their own" compiler "$one (address spaces)
/src/mm/a.c:12:3:    expected int *
/src/mm/a.c:12:3:    got int __user *
/src/mm/b.c:1:1: error: too" 'mm/a.c: warning: unused (address spaces), expected int *, got int __user *\t12\nmm/b.c: error: too\t1'
	check "a path that names its way" compiler "/src/arch/x86/kvm/../../../virt/kvm/a.c:1:1: fatal error: no" \
		'virt/kvm/a.c: fatal error: no\t1'
	check "a header in two objects, and twice on a line" compiler "/src/b.h:1:2: warning: no
/src/b.h:1:2: warning: no
/src/b.h:1:9: warning: no" 'b.h: warning: no\t1\nb.h: warning: no\t1'
	check "objtool" compiler "mm/a.o: warning: objtool: f+0x1f: no" 'mm/a.o: warning: objtool: f: no\t-'
	check "kernel-doc, Python and Perl" kernel-doc "Warning: mm/a.c:7 No description
mm/b.c:8: warning: No description
Info: mm/c.c:1 Scanning" 'mm/a.c: warning: No description\t7\nmm/b.c: warning: No description\t8'
	check "coccicheck" coccicheck "12 files match
/src/mm/a.c:7:2-9: WARNING: free at line 8." 'mm/a.c: WARNING: free at line N.\t7'
	check "checkpatch" checkpatch "/src/1.patch:7: CHECK:SPACING: blanks" '1.patch: CHECK:SPACING: blanks\t7'
	check "nothing" compiler "" ''

	compare "the same" "" "$one" "$one"
	compare "it has moved" "" "$one" "$two"
	compare "one more of the same" "mm/a.c: warning: unused (line 40)" "$one" "$one"$'\n'"$two"
	compare "one less" "" "$one"$'\n'"$two" "$two"
	compare "in another file" "mm/b.c: warning: unused (line 12)" "$one" "${one/a.c/b.c}"
	compare "another text of sparse" "mm/a.c: warning: unused, got long (line 12)" \
		"$one"$'\n'"/src/mm/a.c:12:3:    got int" "$one"$'\n'"/src/mm/a.c:12:3:    got long"
	compare "the first ever" "mm/a.c: warning: unused (line 12)" "" "$one"
	printf '%d logs read, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
