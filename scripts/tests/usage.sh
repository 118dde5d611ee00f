#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Every script explains itself; wrong arguments and variables end with status 2
# and one line that says what is accepted.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/scripts/tests/defaults.sh"

bad=0 count=0
# check STATUS TEXT COMMAND...
check() {
	local want=$1 text=$2 status=0
	shift 2
	count=$((count + 1))
	env -u NUMA_LOCKED O="$tmp/O" "$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	if [[ $status == "$want" ]] && grep -qF -- "$text" "$tmp/out"; then
		return
	fi
	printf '%s: status %d, want %d and "%s", got\n' "$*" "$status" "$want" "$text"
	head -n 5 "$tmp/out" | sed 's/^/  /'
	bad=$((bad + 1))
}

main() {
	local script name names
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	for script in "$top"/scripts/*.sh; do
		name=$(basename "$script")
		[[ -x $script && $name != help.sh ]] || continue
		check 0 "usage: $name" "$script" -h
		check 2 "error: " "$script" --no-such-option
	done
	script=$top/scripts/build.sh
	check 2 "KERNEL=foo is not known; accepted: base, patched, debug" KERNEL=foo "$script"
	check 2 "there is no such file" KERNEL=./foo "$script"
	check 2 "KERNEL=3-foo: there is no configuration foo; accepted: nonuma nobalancing i386" KERNEL=3-foo "$script"
	check 2 "--warnings needs the names of C files" "$script" --warnings
	check 2 "TOPO=5node is not known; accepted: " TOPO=5node "$script"
	check 2 "BASE=v1.0 is not known; accepted: v6.12 v7.3" BASE=v1.0 "$script"
	check 2 "ACCEL=hvf is not known; accepted: tcg, kvm, auto" ACCEL=hvf "$script"
	check 2 "SEED=one is not a number" SEED=one "$script"
	check 2 "TIMEOUT=0 is not a number of host seconds" TIMEOUT=0 "$script"
	check 2 "JOBS=-1 is not a number" JOBS=-1 "$script"
	check 2 "V=2 is not known; accepted: 0, 1" V=2 "$script"
	check 2 "KDIR=/nowhere is not a git work tree" KDIR=/nowhere "$script"
	mkdir -p "$tmp/a b/.git" "$tmp/a b/mm"
	touch "$tmp/a b/Kbuild" "$tmp/a b/mm/mempolicy.c"
	check 2 "cannot be built below a path with blanks or colons: $tmp/O, $top, $tmp/a b" KDIR="$tmp/a b" "$script"
	check 2 "cannot be built below a path with blanks" O="$tmp/a b" "$script"
	for name in prove bisect; do
		check 2 "PATCH=0 is out of range; accepted: 1 to " PATCH=0 "$top/scripts/$name.sh"
		check 2 "PATCH=3-1000 is out of range; accepted: 1 to " PATCH=3-1000 "$top/scripts/$name.sh"
		check 2 "PATCH=x is neither a number nor a range like 2-5" PATCH=x "$top/scripts/$name.sh"
	done
	check 2 "PATCH must be empty" PATCH=1 "$top/scripts/bisect.sh" --sample
	check 1 "is not built: make build KERNEL=debug" KERNEL=debug "$script" --path
	check 1 "is not built: make build KERNEL=debug" KERNEL=debug "$script" --warnings mm/mempolicy.c
	check 2 "unknown variable TOPOLOGY; accepted: BASE KDIR KERNEL TOPO" make -C "$top" help TOPOLOGY=4node
	check 0 "make kernel-path" make -C "$top" help
	# but those by which scripts tell each other something
	names=$(grep -ohE '\$\{NUMA_[A-Z0-9_]+' "$top"/scripts/*.sh | cut -c3- | sort -u | grep -vE '_(LOCKED|LOCK_FD|QUIET)$')
	for name in $names; do
		check 0 "  $name " make -C "$top" help
	done
	for name in series topology golden; do
		check 0 ", 0 wrong" BASE=v6.12 KDIR=/nowhere OLD=nothing FROM=nothing "$top/scripts/tests/$name.sh"
	done
	printf '%d calls, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
