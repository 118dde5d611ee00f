#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# fetch from kernel.org, an HTTP server on loopback that can do harm, and from Debian, by made-up
# programs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/defaults.sh"
top=$(cd "$here/../.." && pwd -P)

# After a failure nothing half-done is left, after a success the tree is there.
left_clean() {
	if (($1)); then
		[[ -z $(ls -d "$tmp/O/$base/linux"* 2>/dev/null) && ($name == stored* || -z $(ls "$tmp/dl")) ]]
	else
		[[ -f $tmp/O/$base/linux/mm/mempolicy.c ]]
	fi
}

bad=0 count=0
# check NAME STATUS TEXT [VAR=VALUE...]: fetch into a new O and dl/
check() {
	local name=$1 want=$2 text=$3 status=0
	shift 3
	count=$((count + 1))
	rm -rf "$tmp/O" "$tmp/dl"
	[[ $name != stored* ]] || cp -r "$tmp/keep" "$tmp/dl"
	env -u NUMA_LOCKED O="$tmp/O" NUMA_DL="$tmp/dl" NUMA_SOURCES=kernel.org NUMA_STALL=3 \
		NUMA_TARBALL="$url/$tarball" NUMA_SHA256SUMS="$url/sums" "$@" \
		"$top/scripts/fetch.sh" >"$tmp/out" 2>&1 || status=$?
	if [[ $status == "$want" ]] && grep -qF -- "$text" "$tmp/out" && left_clean "$status"; then
		return
	fi
	printf '%s: status %d, want %d and "%s", got\n' "$name" "$status" "$want" "$text"
	sed 's/^/  /' "$tmp/out"
	bad=$((bad + 1))
}

# A source that is small and looks like Linux to fetch.
make_tarball() {
	local dir=$tmp/src/linux-$version
	mkdir -p "$dir/mm" "$tmp/www"
	echo "int policy;" >"$dir/mm/mempolicy.c"
	echo "obj-y += mm/" >"$dir/Kbuild"
	tar -C "$tmp/src" --sort=name --mtime=@0 --owner=0 --group=0 -cJf "$tmp/www/$tarball" "linux-$version"
	head -c 100 "$tmp/www/$tarball" >"$tmp/www/short.tar.xz"
	(cd "$tmp/www" && sha256sum "$tarball") >"$tmp/www/sums"
	sed 's/^......../00000000/' "$tmp/www/sums" >"$tmp/www/wrong-sums"
	echo "nothing here" >"$tmp/www/other-sums"
}

# What Debian's package is got by. dpkg-deb stops half way with PART=half.
make_debian() {
	local package
	package=$(sed -n 's/^debian_package=//p' "$top/config/base/$base.conf")
	mkdir -p "$tmp/bin" "$tmp/deb/usr/src"
	cp "$tmp/www/$tarball" "$tmp/deb/usr/src/$package.tar.xz"
	tar -C "$tmp/deb" -cf "$tmp/whole" ./usr
	head -c 1600 "$tmp/whole" >"$tmp/half" # three headers, of two directories and the file
	printf '%s\n' '#!/bin/sh' "echo '$package | $version-1 | x'" >"$tmp/bin/apt-cache"
	cat >"$tmp/bin/apt-get" <<-END
		#!/bin/sh
		case "\$*" in
		indextargets*) echo http://127.0.0.1:9 Debian Debian ;;
		*download*) touch ${package}_1_all.deb ;;
		esac
	END
	cat >"$tmp/bin/dpkg-deb" <<-END
		#!/bin/sh
		cat $tmp/\${PART:-whole}
		[ -z "\$PART" ] || { echo "dpkg-deb: error: subprocess was killed" >&2; exit 2; }
	END
	chmod +x "$tmp"/bin/*
}

# busybox's httpd; two programs of it promise 1000 bytes and send 10: cut ends then,
# stall waits.
start_server() {
	local i port
	mkdir "$tmp/www/cgi-bin"
	printf '#!/bin/sh\nprintf "Content-Length: 1000\\r\\n\\r\\n0123456789"\n' >"$tmp/www/cgi-bin/cut"
	{
		cat "$tmp/www/cgi-bin/cut"
		echo "exec sleep 30"
	} >"$tmp/www/cgi-bin/stall"
	chmod +x "$tmp"/www/cgi-bin/*
	for ((i = 0; i < 20; i++)); do
		port=$((20000 + RANDOM % 20000))
		busybox httpd -f -p "127.0.0.1:$port" -h "$tmp/www" 2>/dev/null &
		server=$!
		sleep 0.2
		# it ends at once where the port is taken
		if kill -0 "$server" 2>/dev/null; then
			url=http://127.0.0.1:$port
			return
		fi
	done
	echo "no server on loopback: no free port"
	exit 1
}

main() {
	local first
	base=v7.3
	version=$(sed -n 's/^version=//p' "$top/config/base/$base.conf")
	tarball=linux-$version.tar.xz
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"; kill "${server:-}" 2>/dev/null || true' EXIT
	make_tarball
	make_debian
	start_server

	check good 0 "linux-$version: commit"
	first=$(git -C "$tmp/O/$base/linux" rev-parse base)
	cp -r "$tmp/dl" "$tmp/keep"
	check "good again" 0 "commit ${first:0:12}"
	check "stored in dl/" 0 "taking dl/$tarball" NUMA_TARBALL="$url/none" NUMA_SHA256SUMS="$url/none"
	echo damage >>"$tmp/keep/$tarball"
	check "stored and damaged" 0 "does not match" NUMA_DL="$tmp/dl"
	check "wrong sum" 1 "not used" NUMA_SHA256SUMS="$url/wrong-sums"
	check "no sum" 1 "does not name $tarball" NUMA_SHA256SUMS="$url/other-sums"
	check "truncated file" 1 "not used" NUMA_TARBALL="$url/short.tar.xz"
	check "connection cut" 1 "kernel.org: (18)" NUMA_TARBALL="$url/cgi-bin/cut"
	check "404" 1 "kernel.org: (22)" NUMA_TARBALL="$url/none"
	check "404 of the sums" 1 "kernel.org: (22)" NUMA_SHA256SUMS="$url/none"
	check "server that stalls" 1 "kernel.org: (28)" NUMA_TARBALL="$url/cgi-bin/stall"
	check "no server" 1 "kernel.org: (7)" NUMA_SHA256SUMS=http://127.0.0.1:9/sums
	check "Debian's package" 0 "linux-source-${base#v}-$version-1: commit" NUMA_SOURCES=debian PATH="$tmp/bin:$PATH"
	check "Debian's package, cut" 1 "_1_all.deb: dpkg-deb: error: subprocess was killed" \
		NUMA_SOURCES=debian PATH="$tmp/bin:$PATH" PART=half
	rm -r "$tmp/keep"
	mkdir "$tmp/keep"
	cp "$tmp/www/short.tar.xz" "$tmp/keep/$tarball"
	(cd "$tmp/keep" && sha256sum "$tarball" >"$tarball.sha256")
	check "stored, and no archive" 1 "if it is the file: rm $tmp/dl/$tarball" NUMA_SOURCES=
	check "no source allowed" 1 "no source of Linux $version" NUMA_SOURCES=
	printf '%d fetches, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
