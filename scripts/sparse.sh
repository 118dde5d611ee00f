#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A sparse that the tree accepts: build it where this machine has none.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/debian.sh"

usage() {
	cat <<-END
		usage: sparse.sh [-h]

		Prints the path of a sparse that the tree's scripts/checker-valid.sh accepts: the
		machine's own, or one built earlier in $cache, or one
		built now from the source package in Debian $suite.

		NUMA_STALL: seconds without data after which a download is given up (20)
	END
}

suite=sid

# Older trees take any sparse and have no such script.
accepted() {
	[[ -x $1 ]] || return 1
	[[ ! -f $tree/scripts/checker-valid.sh || $(sh "$tree/scripts/checker-valid.sh" "$1" 2>/dev/null) == 1 ]]
}

# The files that the .dsc names, by the sums in it; apt has checked the .dsc itself by the
# signed lists of the archive.
sums_are_right() {
	sed -n '/^Checksums-Sha256:/,/^[^ ]/s/^ \([0-9a-f]\{64\}\) [0-9]* \(.*\)/\1  \2/p' "$1" >"$tmp/sums"
	[[ -s $tmp/sums ]] && (cd "$tmp" && sha256sum --quiet -c sums) >"$tmp/sums.log" 2>&1
}

build() {
	local dsc source version
	note "asking Debian's archive ($suite) for the source of sparse" >&2
	private_apt_setup deb-src "$suite" >&2 || return 1
	if ! (cd "$tmp" && private_apt apt-get -q source --only-source --download-only sparse) >"$tmp/apt.log" 2>&1; then
		note "Debian: $(grep -m1 '^E: ' "$tmp/apt.log" || tail -n1 "$tmp/apt.log")" >&2
		return 1
	fi
	dsc=("$tmp"/sparse_*.dsc)
	source=("$tmp"/sparse_*.orig.tar.*)
	[[ ${#dsc[@]} == 1 && ${#source[@]} == 1 && -f ${dsc[0]} && -f ${source[0]} ]] || return 1
	if ! sums_are_right "${dsc[0]}"; then
		note "Debian: $(reason_in "$tmp/sums.log"): not used" >&2
		return 1
	fi
	version=$(sed -n 's/^Version: //p' "${dsc[0]}")
	note "building sparse $version" >&2
	mkdir "$tmp/source"
	if ! { tar -xf "${source[0]}" -C "$tmp/source" --strip-components=1 &&
		make -C "$tmp/source" -j"$JOBS" sparse; } >"$tmp/build.log" 2>&1; then
		note "building sparse: $(reason_in "$tmp/build.log")" >&2
		return 1
	fi
	mkdir -p "$cache/sparse-$version"
	# complete under its name, or not there
	mv "$tmp/source/sparse" "$cache/sparse-$version/sparse.$$"
	mv "$cache/sparse-$version/sparse.$$" "$cache/sparse-$version/sparse"
}

# Prints the first that is accepted, the newest of the built ones first.
find_sparse() {
	local path
	while IFS= read -r path; do
		if accepted "$path"; then
			printf '%s\n' "$path"
			return
		fi
	done < <(
		command -v sparse || true
		printf '%s\n' "$cache"/sparse-*/sparse | sort -rV
	)
	return 1
}

main() {
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "sparse.sh takes no argument but -h, not $1" ;;
	esac
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	find_sparse && return
	mkdir -p "$cache" || die "cannot create $cache"
	tmp=$(mktemp -d "$cache/tmp.XXXXXX") || die "cannot write to $cache"
	trap 'rm -rf "$tmp"' EXIT
	build || die "there is no sparse that this tree accepts, and none could be built (above)"
	find_sparse || die "the tree does not accept the sparse that was built: $(printf '%s ' "$cache"/sparse-*/sparse)"
}

main "$@"
