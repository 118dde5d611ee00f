#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Guests and builds that go wrong: each time one clear line, a failure, and the
# next run works. Needs a built KERNEL=patched.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
unset KERNEL OLD # the built one; the copy of the checkout below has no commits
. "$here/../lib.sh"

bad=0 count=0
# check NAME WANT GOT
check() {
	count=$((count + 1))
	# shellcheck disable=SC2053 # a pattern, on purpose
	[[ $3 == $2 ]] && return
	printf '%s:\n  want %s\n  got  %s\n' "$1" "$2" "$3"
	bad=$((bad + 1))
}

# boot NAME [VAR=VALUE...]: a guest with logs in $tmp/NAME
boot() {
	local name=$1
	shift
	mkdir -p "$tmp/$name"
	env NUMA_QUIET=y TESTS=numab_knobs "$@" "$top/scripts/boot.sh" "$tmp/$name" >"$tmp/$name.out" 2>&1
}

verdict() {
	"$top/scripts/verdict.sh" "$tmp/$1" >"$tmp/$1.judged" 2>&1 || true
	cat "$tmp/$1/verdict"
}

# Wait up to 60 s for a line in a guest's console.
await_console() {
	local i
	for ((i = 0; i < 600; i++)); do
		grep -qa "$2" "$tmp/$1/console.log" 2>/dev/null && return
		sleep 0.1
	done
	return 1
}

# PIDs of the children of a process, and of theirs.
descendants() {
	local pid
	for pid in $(ps -o pid= --ppid "$1"); do
		echo "$pid"
		descendants "$pid"
	done
}

qemu_of() {
	local pid
	for pid in $(descendants "$1"); do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) == qemu-system-x86 ]] && echo "$pid"
	done
	return 0
}

# A child as a terminal would start it (a session of its own, and a script's
# background children would ignore Ctrl-C), into $job.
start_job() {
	setsid env --default-signal=INT "$@" >"$tmp/job.out" 2>&1 &
	job=$!
}

in_guests() {
	local qemu status
	boot hang TIMEOUT=8 NUMA_CMDLINE=rdinit=/bin/cat
	check "a guest that hangs" "fail: hang: the guest did not end within 8 s" "$(verdict hang)"
	boot panic NUMA_CMDLINE=rdinit=/nothing
	check "a guest that panics" "fail: console: *Kernel panic - not syncing: *" "$(verdict panic)"
	boot skip TOPO="$tmp/promises-too-much.conf" TESTS=numab_scan
	check "a topology that promises what is not there" "fail: unexpected skip: numab_scan:*" "$(verdict skip)"

	mkdir "$tmp/killed"
	start_job env NUMA_QUIET=y "$top/scripts/boot.sh" "$tmp/killed"
	await_console killed "Run /init" || echo "the guest to be killed did not start"
	check "before the end" "fail: did not finish" "$(cat "$tmp/killed/verdict")"
	kill -KILL "$(qemu_of "$job")"
	wait "$job" || true
	check "QEMU killed" "fail: guest lost: QEMU ended by signal 9" "$(verdict killed)"

	mkdir "$tmp/interrupt"
	start_job env NUMA_QUIET=y "$top/scripts/boot.sh" "$tmp/interrupt"
	await_console interrupt "Run /init" || echo "the guest to be interrupted did not start"
	qemu=$(qemu_of "$job")
	kill -INT -- "-$job"
	status=0
	wait "$job" || status=$?
	check "status after Ctrl-C in a guest" 1 "$status"
	check "message of Ctrl-C in a guest" "error: interrupted; *" "$(tail -n1 "$tmp/job.out")"
	check "verdict of Ctrl-C in a guest" "fail: interrupted" "$(cat "$tmp/interrupt/verdict")"
	sleep 1
	check "QEMU after Ctrl-C" "gone" "$([[ -d /proc/$qemu ]] && echo there || echo gone)"

	# SIGKILL leaves no time for a trap
	mkdir "$tmp/lost"
	start_job env NUMA_QUIET=y "$top/scripts/boot.sh" "$tmp/lost"
	await_console lost "Run /init" || echo "the guest to be lost did not start"
	qemu=$(qemu_of "$job")
	kill -KILL "$job"
	wait "$job" 2>/dev/null || true
	sleep 2
	check "QEMU after its script was killed" "gone" "$([[ -d /proc/$qemu ]] && echo there || echo gone)"
	check "verdict after its script was killed" "fail: did not finish" "$(cat "$tmp/lost/verdict")"

	# as make prove, bisect-check, coverage and check have them
	start_job bash -c '. "$0"; trap end_children EXIT; judged_guest "$1" & wait' \
		"$top/scripts/lib.sh" "$tmp/child"
	await_console child "Run /init" || echo "the guest in the background did not start"
	qemu=$(qemu_of "$job")
	check "a guest in the background" "there" "$([[ -d /proc/$qemu ]] && echo there || echo gone)"
	kill -TERM "$job"
	wait "$job" 2>/dev/null || true
	sleep 2
	check "QEMU after a script with guests was ended" "gone" "$([[ -d /proc/$qemu ]] && echo there || echo gone)"

	boot good
	check "the next run" "pass" "$(verdict good)"
}

in_builds() {
	local status
	check "two commands at once" "error: another command works in *" \
		"$(mkdir -p "$tmp/O" && exec 8<>"$tmp/O/.lock" && flock -n 8 && env -u NUMA_LOCKED O="$tmp/O" "$top/scripts/fetch.sh" 2>&1)"

	# a lost line of a fragment; with a copy of the checkout, on the same tree
	mkdir -p "$tmp/lab"
	cp -r "$top/scripts" "$top/config" "$top/patches" "$top/selftests" "$tmp/lab/"
	echo "CONFIG_NO_SUCH_SYMBOL=y" >>"$tmp/lab/config/kernel/guest.config"
	status=0
	mkdir -p "$tmp/lost-line/$BASE"
	ln -s "$tree" "$tmp/lost-line/$BASE/linux"
	O=$tmp/lost-line KERNEL=patched "$tmp/lab/scripts/config.sh" >"$tmp/out" 2>&1 || status=$?
	check "a fragment line that is lost" "config/kernel/guest.config:*: CONFIG_NO_SUCH_SYMBOL=y 1" \
		"$(grep -o 'config/kernel/guest.config.*' "$tmp/out") $status"
	check "its error" "error: the configuration of patched has lost 1 line(s)*" "$(tail -n1 "$tmp/out")"

	# Ctrl-C in a build: the compilers end, the next build goes on
	mkdir -p "$tmp/build/$BASE"
	ln -s "$tree" "$tmp/build/$BASE/linux"
	cp "$work/state" "$tmp/build/$BASE/state"
	O=$tmp/build KERNEL=patched "$top/scripts/config.sh" >/dev/null
	start_job env O="$tmp/build" KERNEL=patched JOBS=2 "$top/scripts/build.sh"
	sleep 5
	kill -INT -- "-$job"
	status=0
	wait "$job" || status=$?
	check "status after Ctrl-C in a build" "130" "$status"
	sleep 1
	check "compilers after Ctrl-C" "" "$(descendants "$job")"

	# a disk that is full: in a mount namespace, where no root is needed for it
	mkdir -p "$tmp/small"
	printf '%s\n' 'set -e; mount -t tmpfs -o size=24m tmpfs "$1/small"; mkdir "$1/small/$BASE"' \
		'ln -s "$2" "$1/small/$BASE/linux"; cp "$3/state" "$1/small/$BASE/state"; export O=$1/small KERNEL=patched' \
		'"$4/scripts/config.sh" >/dev/null; exec "$4/scripts/build.sh"' >"$tmp/in-small"
	status=0
	unshare "$( ((EUID)) && echo -rm || echo -m)" bash "$tmp/in-small" "$tmp" "$tree" "$work" "$top" \
		>"$tmp/out" 2>&1 || status=$?
	check "a full disk" "error: building patched: *No space left on device* 1" "$(grep '^error:' "$tmp/out") $status"
}

main() {
	[[ -f $work/patched/arch/x86/boot/bzImage ]] || die "KERNEL=patched is not built"
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	export NUMA_LOCKED=${NUMA_LOCKED:-$$}
	printf '%s\n' "node 0 cpus=1 memory=1G" "total nodes=1 cpus=1 memory=1G" \
		"promise memory_nodes=2 full_nodes=2 cpu_nodes=2 thp balancing debugfs root" >"$tmp/promises-too-much.conf"
	in_guests
	in_builds
	printf '%d faults, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
