#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Make the branch "numa" of the tree: the base and the patches of the series on it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"

usage() {
	cat <<-END
		usage: apply.sh [-h]

		Applies patches/$BASE, strictly (no fuzz, nothing left out), to the base and leaves
		the tree on the branch "numa". The patches become commits in a temporary index first:
		where one does not apply, nothing has been touched. Commits of your own on "numa" and
		uncommitted edits are kept; where the series has changed too, apply refuses.

		With KDIR= the base is what your tree has checked out when the branch is first made.
		Your own branch stays as it is; "git switch" brings you back to it.
	END
}

# A build of the base that was killed has left the tree at the base.
back_to_numa() {
	[[ -n $(state_get switched) ]] || return 0
	tree_git checkout -q numa || die "the tree $tree cannot go back to branch numa"
	state_set switched ""
}

# The commit of one patch on top of $parent, in the temporary index.
commit_patch() {
	local name=$1 parent=$2 files who mail when written
	git mailinfo -b --encoding=UTF-8 "$tmp/msg" "$tmp/diff" <"$patches/$name" >"$tmp/info" 2>"$tmp/err" ||
		die "patches/$BASE/$name is not a patch in mail form: $(reason_in "$tmp/err")"
	[[ -s $tmp/diff ]] || die "patches/$BASE/$name has no diff"
	if ! GIT_INDEX_FILE=$tmp/index tree_git apply --cached --whitespace=nowarn "$tmp/diff" 2>"$tmp/err"; then
		files=$(sed -nE 's/^error: patch failed: (.*)$/\1/p; s/^error: (.*): (does not exist|already exists).*/\1/p' \
			"$tmp/err" | sort -u | tr '\n' ' ')
		die "patches/$BASE/$name does not apply: ${files:-$(reason_in "$tmp/err") }(tree left as it was)"
	fi
	{
		sed -n 's/^Subject: //p' "$tmp/info"
		echo
		cat "$tmp/msg"
	} | git stripspace >"$tmp/message"
	who=$(sed -n 's/^Author: //p' "$tmp/info")
	mail=$(sed -n 's/^Email: //p' "$tmp/info")
	when=$(sed -n 's/^Date: //p' "$tmp/info")
	written=$(GIT_INDEX_FILE=$tmp/index tree_git write-tree)
	# committer as author: the same hash on every machine
	env GIT_AUTHOR_NAME="$who" GIT_AUTHOR_EMAIL="$mail" GIT_AUTHOR_DATE="$when" \
		GIT_COMMITTER_NAME="$who" GIT_COMMITTER_EMAIL="$mail" GIT_COMMITTER_DATE="$when" \
		git -C "$tree" -c commit.gpgSign=false commit-tree -p "$parent" -F "$tmp/message" "$written"
}

main() {
	local digest names name parent count=0 current
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "apply.sh takes no argument but -h, not $1" ;;
	esac
	take_lock apply
	[[ -d $tree ]] || die "there is no source tree yet: make fetch"
	names=$(series_names)
	digest=$(series_digest)
	back_to_numa

	current=$(tree_git rev-parse -q --verify refs/heads/numa || true)
	if [[ -n $KDIR ]]; then
		if [[ -n $current && -z $(state_get applied) ]]; then
			die "KDIR has a branch numa that was not made here: rename or delete it"
		fi
		if [[ $(tree_git symbolic-ref -q HEAD || true) != refs/heads/numa ]]; then
			tree_is_clean || die "KDIR=$KDIR has uncommitted changes: commit or stash them first"
			if [[ $(state_get base) != "$(tree_git rev-parse HEAD)" ]]; then
				state_set base "$(tree_git rev-parse HEAD)"
				state_set series ""
			fi
			state_set source "KDIR $(tree_git describe --always --dirty 2>/dev/null || true)"
		fi
	fi

	if [[ -n $current && $(state_get series) == "$digest" ]]; then
		[[ $(tree_git symbolic-ref -q HEAD || true) == refs/heads/numa ]] || tree_git checkout -q numa
		if [[ $current != "$(state_get applied)" ]]; then
			note "branch numa has commits that patches/$BASE has not (make refresh stores them)"
		elif ! tree_is_clean; then
			note "the tree has uncommitted changes; they are built and tested as they are"
		else
			note "$(wc -l <<<"$names") patches are applied"
		fi
		return
	fi
	if [[ -n $current && -n $(state_get series) && $current != "$(state_get applied)" ]]; then
		die "both patches/$BASE and branch numa have changed since the last apply:" \
			"make refresh (keeps the branch), or delete the branch (keeps the patches)"
	fi
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"

	tmp=$(mktemp -d "$work/apply.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	parent=$(state_get base)
	GIT_INDEX_FILE=$tmp/index tree_git read-tree "$parent"
	for name in $names; do
		parent=$(commit_patch "$name" "$parent")
		count=$((count + 1))
	done
	tree_git checkout -q -B numa "$parent" 2>"$tmp/err" ||
		die "the tree could not be moved to branch numa: $(reason_in "$tmp/err")"
	state_set applied "$parent"
	state_set series "$digest"
	note "$count patches applied, branch numa of $tree"
}

main "$@"
