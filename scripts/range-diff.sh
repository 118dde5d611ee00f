#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Show what changed between two states of the series.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"

usage() {
	cat <<-END
		usage: range-diff.sh [-h]

		OLD=REV: git range-diff from patches/$BASE as they were in commit REV of this repository
		to patches/$BASE as they are, uncommitted edits of them included. FROM=BASE: from the
		series of another base, which has a source tree in O too, to the one of BASE=$BASE. With
		both: from the series of FROM as it was in OLD. Nothing but git objects is written, to
		the source tree of $BASE.
	END
}

# The commits of the old series.
old_series() {
	local BASE=${FROM:-$BASE} patches series_label series_version
	patches=$top/patches/$BASE
	series_label=patches/$BASE
	if [[ -n $OLD ]]; then
		series_label=$OLD:$series_label
		mkdir "$tmp/old"
		git -C "$top" archive "$OLD^{commit}" "patches/$BASE" 2>"$tmp/err" | tar -xf - -C "$tmp/old" 2>/dev/null ||
			usage_error "OLD=$OLD has no patches/$BASE"
		patches=$tmp/old/patches/$BASE
		series_version=$(sed -n '1s/^# base: //p' "$patches/series")
		[[ $series_version == "$(base_value version)" ]] ||
			note "$series_label is for Linux ${series_version:-of no version}: it is compared on the tree that there is"
	fi
	make_small_base "$BASE"
	series_commits "$small_base"
}

main() {
	local old_range color=never
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "range-diff.sh takes no argument but -h, not $1" ;;
	esac
	[[ -n $OLD || -n $FROM ]] ||
		usage_error "make range-diff needs what to compare with: OLD=REV of this repository, or FROM=$(bases_with_series)"
	[[ $FROM != "$BASE" ]] || FROM=
	[[ -n $OLD || -n $FROM ]] || usage_error "FROM=$BASE is BASE itself; give OLD=REV too, or another FROM"
	[[ -d $tree ]] || die "there is no source tree yet: make fetch BASE=$BASE"
	tmp=$(mktemp -d "$work/range-diff.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	old_series
	old_range=$small_base..$series_tip
	make_small_base "$BASE"
	series_commits "$small_base"
	if [[ $(tree_git rev-parse -q --verify refs/heads/numa || true) != "$(state_get applied)" ]]; then
		note "branch numa has commits that patches/$BASE has not: they are not compared (make refresh stores them)"
	fi
	[[ ! -t 1 ]] || color=always
	tree_git --no-pager range-diff --no-notes --color="$color" "$old_range" "$small_base..$series_tip"
}

main "$@"
