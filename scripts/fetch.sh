#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Get the Linux source of BASE and import it as one commit with a fixed hash.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/debian.sh"

usage() {
	cat <<-END
		usage: fetch.sh [-h]

		Takes the source of BASE=$BASE, in this order, from
		  1. dl/ (what an earlier fetch stored, or a tarball that you put there
		     together with its checksum: NAME.sha256, as sha256sum writes it)
		  2. kernel.org, checked against its published sha256 sums
		  3. Debian's source package, from the mirror this machine is configured with
		and imports it into O=$O as the branch "base" of a git tree. With KDIR there is
		nothing to fetch.

		NUMA_TARBALL, NUMA_SHA256SUMS: other addresses for kernel.org's two files
		NUMA_STALL: seconds without data after which a download is given up (20)
		NUMA_SOURCES: which of "kernel.org debian" may be asked (both)
		NUMA_DL: another place for dl/
	END
}

version=$(base_value version)
branch_version=${version%.*}
tarball_url=${NUMA_TARBALL:-$(base_value tarball)}
sums_url=${NUMA_SHA256SUMS:-$(base_value sha256sums)}
tarball=linux-$version.tar.xz

# dl/NAME is used only with a checksum beside it that it meets.
stored() {
	[[ -f $dl/$1 && -f $dl/$1.sha256 ]] || return 1
	if (cd "$dl" && sha256sum --status -c "$1.sha256" 2>/dev/null); then
		return 0
	fi
	note "dl/$1 does not match dl/$1.sha256: removed"
	rm -f "$dl/$1" "$dl/$1.sha256"
	return 1
}

# Into dl/ under its name only when it is complete and its sum is known. As in all that "ask" calls,
# errexit is off here.
store() {
	local from=$1 name=$2
	(cd "$(dirname "$from")" && sha256sum "$(basename "$from")") |
		sed "s|  .*|  $name|" >"$tmp/sum" || return 1
	mv "$from" "$dl/$name" || return 1
	mv "$tmp/sum" "$dl/$name.sha256"
}

download() {
	curl -fsSL --connect-timeout "$stall" --speed-limit 1 --speed-time "$stall" \
		-o "$2" "$1" 2>"$2.err" && return
	note "kernel.org: $(tail -n1 "$2.err" | sed 's/^curl: //')"
	return 1
}

from_kernel_org() {
	local want got
	note "asking $tarball_url"
	download "$sums_url" "$tmp/sums" || return 1
	want=$(awk -v f="$tarball" '$2 == f && length($1) == 64 { print $1 }' "$tmp/sums" | head -n1)
	if [[ -z $want ]]; then
		note "kernel.org: its list of sums does not name $tarball"
		return 1
	fi
	download "$tarball_url" "$tmp/$tarball" || return 1
	got=$(sha "$tmp/$tarball")
	if [[ $got != "$want" ]]; then
		note "kernel.org: $tarball has sha256 $got, published is $want: not used"
		return 1
	fi
	store "$tmp/$tarball" "$tarball"
}

from_debian() {
	local package suite found deb
	package=$(base_value debian_package)
	suite=$(base_value debian_suite)
	if ! command -v dpkg-deb >/dev/null; then
		note "Debian: this machine has no dpkg-deb"
		return 1
	fi
	note "asking Debian's archive ($suite) for $package"
	private_apt_setup deb "$suite" || return 1
	# the exact version first, else the newest stable release of the same branch
	found=$(private_apt apt-cache madison "$package" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' |
		sort -rV | awk -v v="$version" -v b="$branch_version" '
			index($0, v "-") == 1 { exact = exact ? exact : $0 }
			index($0, b ".") == 1 { near = near ? near : $0 }
			END { print exact ? exact : near }')
	if [[ -z $found ]]; then
		note "Debian: $suite has no $package of $branch_version.y"
		return 1
	fi
	if [[ $found != "$version"-* ]]; then
		note "NOTICE: Debian has no $version; taking $found instead"
	fi
	if ! (cd "$tmp" && private_apt apt-get -q download "$package=$found") >"$tmp/apt.log" 2>&1; then
		note "Debian: $(grep -m1 '^E: ' "$tmp/apt.log" || tail -n1 "$tmp/apt.log")"
		return 1
	fi
	deb=("$tmp/${package}"_*.deb)
	if ! { dpkg-deb --fsys-tarfile "${deb[0]}" |
		tar -xf - -C "$tmp" --strip-components=3 "./usr/src/$package.tar.xz"; } 2>"$tmp/err"; then
		note "Debian: unpacking $(basename "${deb[0]}"): $(reason_in "$tmp/err")"
		return 1
	fi
	store "$tmp/$package.tar.xz" "$package-$found.tar.xz"
}

ask() {
	[[ " ${NUMA_SOURCES-kernel.org debian} " == *" $1 "* ]] && "$2"
}

# Prints the newest usable file of dl/: kernel.org's first, then Debian's.
in_dl() {
	local f package
	if stored "$tarball" >&2; then
		printf '%s\n' "$tarball"
		return
	fi
	package=$(base_value debian_package)
	for f in "$dl/$package-$version"-*.tar.xz "$dl/$package-$branch_version".*.tar.xz; do
		[[ -f $f ]] || continue
		f=$(basename "$f")
		if stored "$f" >&2; then
			printf '%s\n' "$f"
			return
		fi
	done
	return 1
}

# One commit whose hash depends on the files alone.
import() {
	local name=$1 dir=$work/linux.import source
	source=${name%.tar.xz}
	note "unpacking $name"
	rm -rf "$dir"
	mkdir -p "$dir"
	tar -xf "$dl/$name" -C "$dir" --strip-components=1 2>"$work/import.log" ||
		die "unpacking dl/$name: $(reason_in "$work/import.log") (if it is the file: rm $dl/$name)"
	[[ -f $dir/mm/mempolicy.c ]] || die "dl/$name has no mm/mempolicy.c: not a Linux source (rm $dl/$name)"
	note "importing it into git"
	git init -q -b base "$dir"
	# hashing is the cost, not the disk: 93,000 files are compressed lightly
	git -C "$dir" -c core.autocrlf=false -c core.excludesFile=/dev/null -c core.attributesFile=/dev/null \
		-c core.compression=1 -c gc.auto=0 add -A -f . \
		2>"$work/import.log" ||
		die "importing dl/$name: $(reason_in "$work/import.log")"
	GIT_AUTHOR_NAME="Linux $BASE" GIT_AUTHOR_EMAIL=linux@localhost \
		GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' \
		GIT_COMMITTER_NAME="Linux $BASE" GIT_COMMITTER_EMAIL=linux@localhost \
		GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' \
		git -C "$dir" -c commit.gpgSign=false -c core.hooksPath=/dev/null -c gc.auto=0 \
		-c maintenance.auto=false commit -q -m "$source" # no gc that goes on with our lock
	state_set base "$(git -C "$dir" rev-parse HEAD)"
	state_set source "$source"
	state_set version "$version"
	state_set applied ""
	state_set series ""
	mv "$dir" "$tree"
}

main() {
	local name
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "fetch.sh takes no argument but -h, not $1" ;;
	esac
	take_lock fetch
	if [[ -n $KDIR ]]; then
		note "KDIR=$KDIR: nothing to fetch"
		return
	fi
	if [[ -d $tree ]]; then
		need_version
		note "$(state_get source) is in $tree"
		return
	fi
	mkdir -p "$dl" "$work"
	trap 'rm -rf "${tmp:-}" "$work/linux.import"' EXIT
	if ! name=$(in_dl); then
		tmp=$(mktemp -d "$dl/fetch.XXXXXX")
		ask kernel.org from_kernel_org || ask debian from_debian ||
			die "no source of Linux $version: not in dl/, and neither kernel.org nor Debian's archive" \
				"gave it (put $tarball and $tarball.sha256 into dl/, or use KDIR=)"
		name=$(in_dl) || die "what was fetched is not in dl/"
	else
		note "taking dl/$name"
	fi
	import "$name"
	note "$(state_get source): commit $(state_get base | cut -c1-12)"
}

main "$@"
