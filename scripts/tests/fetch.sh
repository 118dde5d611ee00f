#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The kernel.org path of fetch, against an HTTP server on loopback that can do harm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
top=$(cd "$here/../.." && pwd -P)

# After a failure nothing half-done is left, after a success the tree is there.
left_clean() {
	if (($1)); then
		[[ ! -e $tmp/O/v7.3/linux && -z $(ls "$tmp/dl") ]]
	else
		[[ -f $tmp/O/v7.3/linux/mm/mempolicy.c ]]
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

# /stall: promises 1000 bytes and sends 10. /cut: closes after half of them.
start_server() {
	python3 - "$tmp/www" "$tmp/port" <<-'END' &
		import functools, http.server, os, sys, time

		class Handler(http.server.SimpleHTTPRequestHandler):
		    def do_GET(self):
		        if not self.path.startswith(("/stall", "/cut")):
		            return super().do_GET()
		        self.send_response(200)
		        self.send_header("Content-Length", "1000")
		        self.end_headers()
		        self.wfile.write(b"x" * 10)
		        self.wfile.flush()
		        if self.path.startswith("/stall"):
		            time.sleep(20)

		    def log_message(self, *args):
		        pass

		server = http.server.ThreadingHTTPServer(
		    ("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
		with open(sys.argv[2] + ".tmp", "w") as f:
		    f.write(str(server.server_port))
		os.rename(sys.argv[2] + ".tmp", sys.argv[2])
		server.serve_forever()
	END
	server=$!
	for ((i = 0; i < 100; i++)); do
		[[ ! -f $tmp/port ]] || break
		sleep 0.1
	done
	url=http://127.0.0.1:$(cat "$tmp/port")
}

main() {
	local first
	version=$(sed -n 's/^version=//p' "$top/config/base/v7.3.conf")
	tarball=linux-$version.tar.xz
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"; kill "${server:-}" 2>/dev/null || true' EXIT
	make_tarball
	start_server

	check good 0 "linux-$version: commit"
	first=$(git -C "$tmp/O/v7.3/linux" rev-parse base)
	cp -r "$tmp/dl" "$tmp/keep"
	check "good again" 0 "commit ${first:0:12}"
	check "stored in dl/" 0 "taking dl/$tarball" NUMA_TARBALL="$url/none" NUMA_SHA256SUMS="$url/none"
	echo damage >>"$tmp/keep/$tarball"
	check "stored and damaged" 0 "does not match" NUMA_DL="$tmp/dl"
	check "wrong sum" 1 "not used" NUMA_SHA256SUMS="$url/wrong-sums"
	check "no sum" 1 "does not name $tarball" NUMA_SHA256SUMS="$url/other-sums"
	check "truncated file" 1 "not used" NUMA_TARBALL="$url/short.tar.xz"
	check "connection cut" 1 "kernel.org: (18)" NUMA_TARBALL="$url/cut"
	check "404" 1 "kernel.org: (22)" NUMA_TARBALL="$url/none"
	check "404 of the sums" 1 "kernel.org: (22)" NUMA_SHA256SUMS="$url/none"
	check "server that stalls" 1 "kernel.org: (28)" NUMA_TARBALL="$url/stall"
	check "no server" 1 "kernel.org: (7)" NUMA_SHA256SUMS=http://127.0.0.1:9/sums
	check "no source allowed" 1 "no source of Linux $version" NUMA_SOURCES=
	printf '%d fetches, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
