#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Print what a bug report needs: tools, accelerator and why, disk, caches, state.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/accel.sh"
. "$top/scripts/ccache.sh"

usage() {
	cat <<-END
		usage: doctor.sh [-h]

		Prints the state of this machine and checkout and changes nothing, but for one thing:
		with ACCEL=auto, KVM is tried once with a built kernel.
	END
}

main() {
	local accel accel_why image
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "doctor.sh takes no argument but -h, not $1" ;;
	esac
	echo "Machine"
	printf '  %-22s %s\n' system "$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-unknown}")" \
		kernel "$(uname -sr)" CPUs "$(nproc)" memory "$(awk '/MemTotal/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo)" \
		"disk free at O" "$(df -Ph "$top" | awk 'NR == 2 { print $4 }')"
	echo "Checkout"
	printf '  %-22s %s\n' commit "$(git -C "$top" describe --always --dirty 2>/dev/null || echo "no git")" \
		base "$BASE ($(base_value version)), source: $(state_get source)" tree "$tree" \
		"base commit" "$(state_get base)" "applied" "$(state_get applied)"
	[[ ! -d $tree ]] || printf '  %-22s %s\n' "tree now" "$(tree_git describe --always --all --dirty 2>/dev/null || true)"
	echo "Kernels"
	for KERNEL in base patched debug; do
		image=$work/$KERNEL/arch/x86/boot/bzImage
		printf '  %-22s %s\n' "$KERNEL" "$([[ -f $image ]] && sha "$image" || echo "not built")"
	done
	KERNEL=patched
	echo "Accelerator"
	if [[ $ACCEL == auto && ! -f $work/patched/arch/x86/boot/bzImage ]]; then
		printf '  %-22s %s\n' auto "unknown until a kernel is built"
	else
		accel_choose "$work/patched/arch/x86/boot/bzImage" "$work/initramfs.cpio"
		printf '  %-22s %s\n' "ACCEL=$ACCEL" "$accel: $accel_why"
	fi
	printf '  %-22s %s\n' /dev/kvm "$([[ -r /dev/kvm && -w /dev/kvm ]] && echo "there (whether it works: ACCEL=auto)" || echo "not usable")"
	echo "Compiler cache"
	ccache_setup
	printf '  %-22s %s\n' CCACHE_DIR "$CCACHE_DIR"
	ccache -s 2>/dev/null | sed 's/^/  /' || true
	echo "Tools"
	"$top/scripts/tools.sh" --list | sed 's/^/  /'
	echo "Last runs"
	find "$results" -mindepth 2 -maxdepth 2 -name verdict 2>/dev/null | sort | tail -n 5 | while read -r image; do
		printf '  %-50s %s\n' "$(basename "$(dirname "$image")")" "$(cat "$image")"
	done
}

main "$@"
