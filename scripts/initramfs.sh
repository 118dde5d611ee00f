#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Pack the guest's initramfs: the same input gives the same bytes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: initramfs.sh [-h]

		Packs scripts/guest/init, busybox, coreutils' timeout, numactl (with their libraries)
		and the kselftests with the kernel's gen_init_cpio into $work/initramfs.cpio.
	END
}

# gen_init_cpio lines for a program and for the libraries it is linked with.
program() {
	local path lib
	path=$(command -v "$1") || die "this machine has no $1 to put into the initramfs"
	printf 'file %s %s 0755 0 0\n' "$2" "$(realpath "$path")"
	{ ldd "$path" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
		while read -r lib; do
			printf 'file %s %s 0755 0 0\n' "$lib" "$(realpath "$lib")"
		done
}

busybox_links() {
	local applet
	for applet in $(busybox --list); do
		# timeout has to be coreutils': kselftest's runner wants --foreground
		[[ $applet == busybox || $applet == timeout ]] || printf 'slink /bin/%s busybox 0777 0 0\n' "$applet"
	done
}

# Every directory that a file stands in, parents first.
directories() {
	awk '{ n = split($2, part, "/"); dir = ""
		for (i = 2; i < n; i++) { dir = dir "/" part[i]; print dir } }' | sort -u |
		sed 's/.*/dir & 0755 0 0/'
}

main() {
	local out=$work/initramfs install=$work/selftests/install f list
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "initramfs.sh takes no argument but -h, not $1" ;;
	esac
	take_lock initramfs
	[[ -f $install/kselftest-list.txt ]] || die "the kselftests are not built yet: make initramfs"
	mkdir -p "$out"
	gcc -O2 -o "$out/gen_init_cpio" "$tree/usr/gen_init_cpio.c" 2>"$out/log" ||
		die "building gen_init_cpio: $(reason_in "$out/log")"
	{
		program busybox /bin/busybox
		busybox_links
		program timeout /usr/bin/timeout
		program numactl /usr/bin/numactl
		printf 'file /init %s 0755 0 0\n' "$top/scripts/guest/init"
		while IFS= read -r f; do
			printf 'file /selftests/%s %s 0%s 0 0\n' "$f" "$install/$f" \
				"$([[ -x $install/$f ]] && echo 755 || echo 644)"
		done < <(cd "$install" && find . -type f -printf '%P\n' | sort)
	} | sort -u >"$out/files"
	list=$out/list
	{
		cat "$top/scripts/guest/initramfs.list"
		directories <"$out/files" | grep -vxFf <(grep '^dir ' "$top/scripts/guest/initramfs.list") || true
		cat "$out/files"
	} >"$list"
	"$out/gen_init_cpio" -t 0 "$list" >"$work/initramfs.cpio.tmp" 2>"$out/log" ||
		die "packing the initramfs: $(reason_in "$out/log")"
	mv "$work/initramfs.cpio.tmp" "$work/initramfs.cpio"
	note "$(stat -c %s "$work/initramfs.cpio") bytes, sha256 $(sha "$work/initramfs.cpio" | cut -c1-16)"
}

main "$@"
