#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# apply and refresh on a small tree: strict, repeatable, and nothing of a user's is lost.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/defaults.sh"
real=$(cd "$here/../.." && pwd -P)

bad=0 count=0
# check NAME STATUS TEXT COMMAND...: one line of error at most
check() {
	local name=$1 want=$2 text=$3 status=0
	shift 3
	count=$((count + 1))
	env -u NUMA_LOCKED O="$tmp/O" "$@" >"$tmp/out" 2>&1 || status=$?
	if [[ $status == "$want" ]] && grep -qF -- "$text" "$tmp/out" && (($(grep -c '^error:' "$tmp/out") == (status > 0))); then
		return
	fi
	printf '%s: status %d, want %d and "%s", got\n' "$name" "$status" "$want" "$text"
	sed 's/^/  /' "$tmp/out"
	bad=$((bad + 1))
}

# same NAME A B
same() {
	count=$((count + 1))
	if [[ $2 != "$3" ]]; then
		printf '%s:\n  %s\n  %s\n' "$1" "$2" "$3"
		bad=$((bad + 1))
	fi
}

commit() {
	git -C "$1" -c user.name="A Tester" -c user.email=tester@localhost commit -qam "$2"
}

# A checkout with our scripts, a base of two files and two patches.
make_lab() {
	mkdir -p "$lab/patches/$base" "$tree/mm"
	cp -r "$real/scripts" "$real/config" "$lab/"
	printf '%s\n' one two three four five six seven eight nine ten >"$tree/mm/mempolicy.c"
	echo "obj-y += mm/" >"$tree/Kbuild"
	git init -q -b base "$tree"
	git -C "$tree" add -A
	commit "$tree" base
	printf 'base=%s\nsource=test\nversion=%s\napplied=\nseries=\n' "$(git -C "$tree" rev-parse HEAD)" "$version" >"$tmp/O/$base/state"
	git -C "$tree" checkout -q -b numa
	sed -i 's/two/2/' "$tree/mm/mempolicy.c"
	commit "$tree" "mm/mempolicy: say 2

A reason, with ümlauts, that is as long as the reason of a patch usually is: seventy-five columns.

Proof: none (a test)"
	sed -i 's/nine/9/' "$tree/mm/mempolicy.c"
	commit "$tree" "sched/numa: [with brackets] a subject so long that it is folded into two lines by git"
	printf 'Subject: [PATCH] A cover\n\nIts text\n stays.\n\nProof: (1):\n' >"$lab/patches/$base/0000-cover-letter.patch"
}

# The series anew, as it was.
restore() {
	rm -rf "$lab/patches/$base"
	cp -r "$tmp/series" "$lab/patches/$base"
}

main() {
	local apply refresh lab tree tip name version
	base=v7.3
	version=$(sed -n 's/^version=//p' "$real/config/base/$base.conf")
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	lab=$tmp/lab tree=$tmp/O/$base/linux
	make_lab
	apply=$lab/scripts/apply.sh refresh=$lab/scripts/refresh.sh

	check "first refresh" 0 "2 patches written" "$refresh"
	cp -r "$lab/patches/$base" "$tmp/series"
	check "refresh again" 0 "is what branch numa has" "$refresh"
	git -C "$tree" checkout -q base
	git -C "$tree" branch -qD numa
	sed -i 's/^applied=.*/applied=/; s/^series=.*/series=/' "$tmp/O/$base/state"
	check "apply" 0 "2 patches applied" "$apply"
	check "round trip" 0 "is what branch numa has" "$refresh" --check
	tip=$(git -C "$tree" rev-parse numa)
	check "apply again" 0 "2 patches are applied" "$apply"
	same "the hash of the branch is a function of base and series" "$tip" "$(
		git -C "$tree" checkout -q base && git -C "$tree" branch -qD numa
		sed -i 's/^applied=.*/applied=/; s/^series=.*/series=/' "$tmp/O/$base/state"
		O=$tmp/O "$apply" >/dev/null && git -C "$tree" rev-parse numa
	)"

	# damage in the series; the tree stays at $tip
	name=$(sed -n 3p "$lab/patches/$base/series")
	sed -i 's/^ ten/ zehn/' "$lab/patches/$base/$name"
	check "patch that does not apply" 1 "patches/$base/$name does not apply: mm/mempolicy.c:" "$apply"
	same "tree after it" "$tip" "$(git -C "$tree" rev-parse HEAD)"
	restore
	sed -i 's/^@@ -6/@@ -5/; s/^ seven/ seven\n eight/' "$lab/patches/$base/$name"
	check "patch that needs fuzz" 1 "$name" "$apply"
	restore
	head -n 1 "$tmp/series/series" >"$lab/patches/$base/series"
	check "empty series" 1 "names no patch" "$apply"
	: >"$lab/patches/$base/series"
	check "no series" 1 "names no patch" "$apply"
	restore
	sed -i '1s/.*/# base: 1.0/' "$lab/patches/$base/series"
	check "other base" 1 'series:1: must be "# base: '"$version" "$apply"
	restore
	echo "0003-gone.patch" >>"$lab/patches/$base/series"
	check "patch that is not there" 1 "series:4: there is no patches/$base/0003-gone.patch" "$apply"
	restore
	echo "no mail" >"$lab/patches/$base/$name"
	check "patch that is no patch" 1 "$name" "$apply"
	restore
	same "tree after all of it" "$tip" "$(git -C "$tree" rev-parse HEAD)"

	# what a user has done is kept
	echo eleven >>"$tree/mm/mempolicy.c"
	check "uncommitted edits, series as it was" 0 "uncommitted changes; they are built" "$apply"
	check "uncommitted edits and refresh" 1 "has uncommitted changes" "$refresh"
	git -C "$tree" checkout -q -b other
	check "uncommitted edits on another branch" 1 "has uncommitted changes, and is not on branch numa" "$apply"
	same "that branch after it" refs/heads/other "$(git -C "$tree" symbolic-ref HEAD)"
	git -C "$tree" checkout -q numa
	git -C "$tree" branch -qd other
	sed -i 's/reason/ground/' "$lab/patches/$base/0001-"*
	check "uncommitted edits and another series" 1 "has uncommitted changes" "$apply"
	cp "$tree/.git/index" "$tmp/index"
	echo damage >"$tree/.git/index"
	check "edits that git cannot see, and refresh" 1 "git status fails in $tree" "$refresh"
	cp "$tmp/index" "$tree/.git/index"
	commit "$tree" "mine"
	check "own commit and another series" 1 "have changed since the last apply" "$apply"
	restore
	check "own commit, series as it was" 0 "branch numa has commits" "$apply"
	check "own commit is not the series" 1 "is not what branch numa has" "$refresh" --check
	check "own commit into the series" 0 "3 patches written" "$refresh"

	# edits of a patch that are in no commit, and a rebase that has stopped
	git init -q "$lab"
	git -C "$lab" add patches
	commit "$lab" "the series"
	sed -i 's/reason/ground/' "$lab/patches/$base/0001-"*
	check "refresh over an edited patch" 1 "patches/$base has changes that are in no commit here" "$refresh"
	same "the edit" 1 "$(grep -c 'A ground' "$lab/patches/$base/0001-"*)"
	echo twelve >>"$tree/mm/mempolicy.c"
	commit "$tree" "mine too"
	check "refresh over an edited patch, and a commit" 1 "git checkout patches" "$refresh"
	check "apply of the same" 1 "have changed since the last apply" "$apply"
	git -C "$lab" checkout -q patches
	mkdir "$tmp/bin"
	printf '#!/bin/sh\necho "cp: No space left on device" >&2\nexit 1\n' >"$tmp/bin/cp"
	chmod +x "$tmp/bin/cp"
	check "refresh on a full disk" 1 "patches/$base, which is as it was: cp: No space" PATH="$tmp/bin:$PATH" "$refresh"
	same "patches after it" "" "$(git -C "$lab" status --porcelain patches)"
	check "refresh when there is space" 0 "4 patches written" "$refresh"
	git -C "$tree" reset -q --hard numa~1
	check "refresh without it" 0 "3 patches written" "$refresh"
	GIT_SEQUENCE_EDITOR='sed -i 1s/pick/edit/' git -C "$tree" -c user.name="A Tester" \
		-c user.email=tester@localhost rebase -q -i base >/dev/null 2>&1
	tip=$(git -C "$tree" rev-parse HEAD)
	check "apply in a rebase" 1 "a git rebase or git am is under way" "$apply"
	same "tree after it" "$tip" "$(git -C "$tree" rev-parse HEAD)"
	git -C "$tree" rebase --abort
	git -C "$tree" branch mine
	check "distclean with a branch of one's own" 1 "which would be lost: mine;" "$lab/scripts/clean.sh" --all
	git -C "$tree" branch -qD mine

	# a tree of one's own
	restore
	git clone -q -b base "$tree" "$tmp/mine"
	git -C "$tmp/mine" checkout -q -b work
	echo mine >"$tmp/mine/mine"
	git -C "$tmp/mine" add mine
	check "KDIR that is dirty" 1 "has uncommitted changes" KDIR="$tmp/mine" "$apply"
	commit "$tmp/mine" "mine"
	tip=$(git -C "$tmp/mine" rev-parse work)
	check "KDIR" 0 "2 patches applied" KDIR="$tmp/mine" "$apply"
	same "own branch after it" "$tip" "$(git -C "$tmp/mine" rev-parse work)"
	same "own commit is the base" "$tip" "$(git -C "$tmp/mine" rev-parse numa~2)"
	check "KDIR round trip" 0 "is what branch numa has" KDIR="$tmp/mine" "$refresh" --check
	git clone -q "$tmp/mine" "$tmp/other"
	git -C "$tmp/other" checkout -q -b work2 2>/dev/null
	git -C "$tmp/other" branch -qf numa
	check "KDIR with another numa" 1 "was not made here" KDIR="$tmp/other" "$apply"
	check "KDIR that is no tree" 2 "is not a git work tree" KDIR="$tmp" "$apply"
	printf '%d steps, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
