# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Which accelerator, and why. To be sourced after lib.sh.

# accel_choose KERNEL INITRAMFS: sets accel (tcg or kvm) and accel_why.
# /dev/kvm can be there, take a virtual machine and still never run a line of a
# kernel: only a timed boot of a real one tells. The answer is remembered until
# the host is booted again or QEMU changes.
accel_choose() {
	local key answer
	case $ACCEL in
	tcg)
		accel=tcg accel_why="deterministic"
		;;
	kvm)
		[[ -r /dev/kvm && -w /dev/kvm ]] || die "ACCEL=kvm: /dev/kvm is missing or not open to this user"
		accel=kvm accel_why="asked for; not deterministic"
		;;
	auto)
		if [[ ! -r /dev/kvm || ! -w /dev/kvm ]]; then
			accel=tcg accel_why="/dev/kvm is missing or not open to this user"
			return
		fi
		key="$(cat /proc/sys/kernel/random/boot_id) $(qemu-system-x86_64 --version | head -n1)"
		answer=$(sed -n 2p "$O/accel" 2>/dev/null || true)
		if [[ $(head -n1 "$O/accel" 2>/dev/null) != "$key" ]]; then
			note "trying KVM: a boot that has ${canary_seconds} s"
			answer=tcg
			accel_canary "$1" "$2" && answer=kvm
			printf '%s\n%s\n' "$key" "$answer" >"$O/accel"
		fi
		accel=$answer
		if [[ $answer == kvm ]]; then
			accel_why="a canary guest booted; not deterministic"
		else
			accel_why="/dev/kvm is there, and a canary guest did not boot on it (it had $canary_seconds s)"
		fi
		;;
	esac
}

canary_seconds=${NUMA_CANARY:-20}

accel_canary() {
	timeout -k 2 "$canary_seconds" setpriv --pdeathsig KILL \
		qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -M q35 -cpu host \
		-accel kvm -m 512M -kernel "$1" -initrd "$2" -serial stdio \
		-append "console=ttyS0 panic=-1 lab.mode=canary" </dev/null 2>&1 | grep -qa 'lab: canary alive'
}
