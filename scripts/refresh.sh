#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Store the branch "numa" of the tree as patches/BASE.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"

usage() {
	cat <<-END
		usage: refresh.sh [-h | --check]

		Writes git format-patch of the branch "numa" to patches/$BASE, in a form that is the
		same on any machine. The text of the cover letter is kept; edit it in place.
		Refuses where patches/$BASE has changes that are neither applied nor in a commit.
		--check: write nothing; fail where patches/$BASE is not what would be written.
	END
}

main() {
	local check=
	case ${1:-} in
	-h) usage && exit ;;
	--check) check=y ;;
	?*) usage_error "refresh.sh accepts -h and --check, not $1" ;;
	esac
	take_lock refresh
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	need_version
	need_numa
	tree_is_clean || [[ -n $check ]] ||
		die "the tree $tree has uncommitted changes: commit them, so that they become part of a patch"

	tmp=$(mktemp -d "$work/refresh.XXXXXX")
	trap 'rm -rf "$tmp" "$patches.new"' EXIT
	rm -rf "$patches.new"
	series_write numa "$tmp/new" "$patches/0000-cover-letter.patch"
	if diff -rq "$patches" "$tmp/new" >"$tmp/diff"; then
		note "patches/$BASE is what branch numa has"
		[[ -n $check ]] && return
	elif [[ -n $check ]]; then
		sed 's/^/      /' "$tmp/diff"
		die "patches/$BASE is not what branch numa has: make refresh, or make apply"
	elif [[ -n $(state_get series) && $(state_get series) != "$(series_digest 2>/dev/null)" &&
	-n $(git -C "$top" status --porcelain -- "patches/$BASE" 2>/dev/null) ]]; then
		[[ $(tree_git rev-parse numa) == "$(state_get applied)" ]] ||
			die "patches/$BASE has changes that are in no commit here, and branch numa has others:" \
				"commit them, or git stash, or git checkout patches (takes them back), then make refresh"
		die "patches/$BASE has changes that are in no commit here and not on branch numa: make apply takes them," \
			"or commit, stash or check them out first"
	else
		sed "s|$tmp/new|branch numa|; s/^/      /" "$tmp/diff"
		# beside the old ones first: the disk may be full
		cp -r "$tmp/new" "$patches.new" 2>"$tmp/err" ||
			die "writing patches/$BASE, which is as it was: $(reason_in "$tmp/err")"
		rm -f "$patches"/[0-9]*.patch
		mv "$patches.new"/* "$patches/"
		note "$(($(wc -l <"$patches/series") - 1)) patches written to patches/$BASE"
	fi
	state_set applied "$(tree_git rev-parse numa)"
	state_set series "$(series_digest)"
}

main "$@"
