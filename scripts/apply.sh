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

main() {
	local digest names branch current
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "apply.sh takes no argument but -h, not $1" ;;
	esac
	take_lock apply
	[[ -d $tree ]] || die "there is no source tree yet: make fetch"
	need_version
	names=$(series_names)
	digest=$(series_digest)
	no_rebase_under_way
	back_to_branch

	branch=$(tree_git symbolic-ref -q HEAD || true)
	# a checkout would carry them along
	[[ $branch == refs/heads/numa ]] || tree_is_clean ||
		die "the tree $tree has uncommitted changes, and is not on branch numa: commit or stash them first"
	current=$(tree_git rev-parse -q --verify refs/heads/numa || true)
	if [[ -n $KDIR ]]; then
		if [[ -n $current && -z $(state_get applied) ]]; then
			die "KDIR has a branch numa that was not made here: rename or delete it"
		fi
		if [[ $branch != refs/heads/numa ]]; then
			if [[ $(state_get base) != "$(tree_git rev-parse HEAD)" ]]; then
				state_set base "$(tree_git rev-parse HEAD)"
				state_set series ""
			fi
			state_set source "KDIR $(tree_git describe --always --dirty 2>/dev/null || true)"
		fi
	fi

	if [[ -n $current && $(state_get series) == "$digest" ]]; then
		[[ $branch == refs/heads/numa ]] || tree_git checkout -q numa
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
	series_commits "$(state_get base)"
	tree_git checkout -q -B numa "$series_tip" 2>"$tmp/err" ||
		die "the tree could not be moved to branch numa: $(reason_in "$tmp/err")"
	state_set applied "$series_tip"
	state_set series "$digest"
	note "$(wc -l <<<"$names") patches applied, branch numa of $tree"
}

main "$@"
