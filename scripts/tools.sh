#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Make sure that the tools are there: install what is missing, or say how.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: tools.sh [-h | --list] [check | static | report]

		Looks for the tools that "make" needs (with "check", "static" or "report", also those
		of "make check", "make static" or "make report").
		What is missing is installed with apt-get by root; anyone else is told the command.
		--list: print "tool package version-or-missing" for each and install nothing.
	END
}

# tool or file, package of Debian
run_tools=(git:git make:make gcc:gcc ld:binutils flex:flex bison:bison bc:bc perl:perl
	python3:python3 xz:xz-utils tar:tar curl:curl rsync:rsync ccache:ccache
	awk:mawk flock:util-linux setpriv:util-linux ldd:libc-bin
	/usr/include/stdlib.h:libc6-dev /usr/include/libelf.h:libelf-dev
	/etc/ssl/certs/ca-certificates.crt:ca-certificates
	/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
	qemu-system-x86_64:qemu-system-x86 /usr/share/seabios/bios-256k.bin:seabios
	busybox:busybox-static numactl:numactl timeout:coreutils)
# checkpatch, which asks spdxcheck.py about licenses
checkpatch_tools=(codespell:codespell /usr/lib/python3/dist-packages/ply:python3-ply
	/usr/lib/python3/dist-packages/git:python3-git)
check_tools=(shellcheck:shellcheck shfmt:shfmt b4:b4)
# some of coccicheck's scripts are OCaml
static_tools=(clang-19:clang-19 ld.lld-19:lld-19 llvm-ar-19:llvm-19
	spatch:coccinelle ocamlopt:ocaml
	aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu powerpc64le-linux-gnu-gcc:gcc-powerpc64le-linux-gnu)

# of the system's python3, whatever others there are
report_tools=(/usr/bin/python3:python3 /usr/lib/python3/dist-packages/matplotlib:python3-matplotlib
	/usr/lib/python3/dist-packages/scipy:python3-scipy)

present() {
	case $1 in
	/*) [[ -e $1 ]] ;;
	# a busybox with libraries does not run as the guest's only program
	busybox) command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

version() {
	case $1 in
	/*) echo present ;;
	busybox) "$1" 2>&1 | head -n1 | cut -d' ' -f2 ;;
	flex | bison | make | gcc | ld | git | perl | python3 | qemu-system-x86_64 | ccache | curl | tar | shellcheck)
		"$1" --version 2>/dev/null | grep -oE -m1 '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n1
		;;
	*) echo present ;;
	esac
}

main() {
	local tools=("${run_tools[@]}") list='' tool missing=() packages=() sudo=()
	while (($#)); do
		case $1 in
		-h) usage && exit ;;
		--list) list=y && tools+=("${checkpatch_tools[@]}" "${check_tools[@]}" "${static_tools[@]}" "${report_tools[@]}") ;;
		check) tools+=("${checkpatch_tools[@]}" "${check_tools[@]}") ;;
		static) tools+=("${checkpatch_tools[@]}" "${static_tools[@]}") ;;
		report) tools+=("${report_tools[@]}") ;;
		*) usage_error "tools.sh accepts -h, --list, check, static and report, not $1" ;;
		esac
		shift
	done
	for tool in "${tools[@]}"; do
		if present "${tool%%:*}"; then
			[[ -z $list ]] || printf '%-48s %-24s %s\n' "${tool%%:*}" "${tool##*:}" "$(version "${tool%%:*}")"
		else
			[[ -z $list ]] || printf '%-48s %-24s %s\n' "${tool%%:*}" "${tool##*:}" MISSING
			missing+=("${tool%%:*}")
			packages+=("${tool##*:}")
		fi
	done
	if [[ -n $list ]] || ((${#missing[@]} == 0)); then
		[[ -n $list ]] || note "all ${#tools[@]} tools are there"
		return
	fi
	mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
	note "missing: ${missing[*]}"
	if ! command -v apt-get >/dev/null; then
		usage_error "these tools are missing and this is not Debian: ${missing[*]}"
	fi
	if ((EUID != 0)); then
		if sudo -n true 2>/dev/null; then
			sudo=(sudo)
		else
			usage_error "as root: apt-get install --no-install-recommends ${packages[*]}"
		fi
	fi
	note "installing: ${packages[*]}"
	mkdir -p "$O"
	if ! { "${sudo[@]}" apt-get -q update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -q install -y --no-install-recommends "${packages[@]}"; } >"$O/tools.log" 2>&1; then
		die "apt-get could not install ${packages[*]}: $(reason_in "$O/tools.log") (see $O/tools.log)"
	fi
	for tool in "${missing[@]}"; do
		present "$tool" || die "$tool is still missing after its package was installed"
	done
}

main "$@"
