#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Carry the series of base FROM to BASE, patch by patch.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"

usage() {
	cat <<-END
		usage: rebase.sh [-h | --skip | --abort]

		Gets the sources of FROM and BASE=$BASE and cherry-picks patches/FROM, one patch after
		the other, onto the base of BASE, on a branch "carry" of its source tree. It stops at a
		conflict and names its three sides. Resolve it there, "git add" the files, and run the
		same command again. A patch that changes nothing any more is left out, and said to be.
		When all are done, patches/$BASE is written, in one step, and applied: branch numa.
		--skip: leave out the patch that it has stopped at, and go on.
		--abort: give up; the source tree is what it was, but for branch carry, which is gone.
	END
}

# For commands in messages, which are to be copied
of_here="BASE=$BASE"
[[ $O == "$top/build" ]] || of_here+=" O=$O"

# The committer is the author, as apply has it. What is deleted in one base is not looked for in
# the thousands of files of the other.
carry_git() {
	local who mail when
	IFS=$'\t' read -r who mail when < <(tree_git log -1 --format='%an%x09%ae%x09%ad' --date=raw "$commit")
	GIT_COMMITTER_NAME=$who GIT_COMMITTER_EMAIL=$mail GIT_COMMITTER_DATE="@$when" GIT_EDITOR=: \
		tree_git -c merge.renames=false -c merge.conflictStyle=diff3 -c rerere.enabled=false "$@"
}

in_progress() {
	[[ -n $(state_get carry_from) ]]
}

# The name of patch number $1, as it was when the rebase began
name_of() {
	state_get carry_names | cut -d' ' -f"$1"
}

# Files with a conflict that is not resolved, and how each side has them
conflicts() {
	local path
	tree_git diff --name-only --diff-filter=U | while read -r path; do
		case $(tree_git ls-files -u -- "$path" | cut -f1 | cut -d' ' -f3 | paste -sd,) in
		1,2,3) echo "$path" ;;
		1,2) echo "$path (the patch deletes it)" ;;
		1,3) echo "$path ($BASE does not have it)" ;;
		2,3) echo "$path (both add it)" ;;
		*) echo "$path (renamed or moved)" ;;
		esac
	done
}

# In the middle of patch $nr: say what there is to do.
stopped() {
	local name
	name=$(name_of "$nr")
	printf 'error: patches/%s/%s does not go onto %s: %s\n' "$from" "$name" "$BASE" "$1" >&2
	shift
	{
		while (($#)); do
			note "conflict in $1"
			shift
		done
		note "ours:   HEAD, $BASE ($(base_value version)) with the patches before it"
		note "base:   $(tree_git rev-parse --short "$commit^"), the files of $from before the patch"
		note "theirs: $(tree_git rev-parse --short "$commit"), the files of $from with the patch"
		note "in $tree: resolve, git add; then in $top, one of"
		note "go on:               make rebase $of_here FROM=$from"
		note "leave the patch out: $of_here scripts/rebase.sh --skip"
		note "give up:             $of_here scripts/rebase.sh --abort"
	} >&2
	exit 1
}

# Patch $nr is done, or left out ($1, the reason).
next() {
	local left
	if [[ -n ${1:-} ]]; then
		note "left out: $(name_of "$nr"): $1"
		left=$(state_get carry_left)
		state_set carry_left "$((${left:-0} + 1))"
	fi
	state_set carry_head "$(tree_git rev-parse HEAD)"
	nr=$((nr + 1))
	state_set carry_next "$nr"
}

# A commit whose tree is its parent's is taken back.
drop_if_empty() {
	if [[ $(tree_git rev-parse 'HEAD^{tree}') == "$(tree_git rev-parse 'HEAD^^{tree}')" ]]; then
		tree_git reset -q --soft 'HEAD^'
		next "$1"
	else
		next
	fi
}

# What the last call stopped at has been worked on since, or not.
resume() {
	local head marked picking
	commit=$(state_get carry_commits | cut -d' ' -f"$nr")
	head=$(tree_git rev-parse HEAD)
	picking=$(tree_git rev-parse -q --verify CHERRY_PICK_HEAD || true)
	[[ $(tree_git symbolic-ref -q HEAD || true) == refs/heads/carry ]] ||
		die "the source tree of $BASE is not on branch carry, where a rebase from $from has stopped: switch back, or $of_here scripts/rebase.sh --abort"
	if [[ $head == "$(state_get carry_head)" && -n $picking ]]; then
		mapfile -t marked < <(conflicts)
		((${#marked[@]} == 0)) || stopped "conflict in $(paste -sd' ' <<<"${marked[0]%% *}")" "${marked[@]}"
		# not "diff --check", which takes a heading underlined by seven = for a marker
		mapfile -t marked < <(tree_git diff --cached --name-only |
			(cd "$tree" && xargs -r -d '\n' git grep --cached -lE '^(<{7}|[|]{7}|>{7}) ' --))
		((${#marked[@]} == 0)) || stopped "conflict markers are left in ${marked[*]}"
		tree_git diff --quiet || stopped "what was resolved is not added: $(tree_git diff --name-only | paste -sd' ')"
		carry_git commit -q --allow-empty -C "$commit" >"$tmp/out" 2>&1 ||
			die "committing what was resolved: $(reason_in "$tmp/out")"
		drop_if_empty "resolved to nothing"
	elif [[ $head == "$(state_get carry_head)" ]]; then
		# the pick was given up by hand: try it again
		tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	elif [[ $(tree_git rev-parse 'HEAD^') == "$(state_get carry_head)" ]]; then
		tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
		drop_if_empty "resolved to nothing"
	else
		die "branch carry has other commits than the resolved patch: git -C $tree reset --hard $(state_get carry_head | cut -c1-12), or $of_here scripts/rebase.sh --abort"
	fi
}

# Branch numa is what the series was applied to, or is not there
numa_is_ours() {
	local tip
	tip=$(tree_git rev-parse -q --verify refs/heads/numa) || return 0
	[[ $tip == "$(state_get applied)" ]]
}

begin() {
	local names
	[[ ! -e $patches ]] || usage_error "patches/$BASE exists: rebase writes a new one (git rm -r patches/$BASE first, or take another BASE)"
	BASE=$FROM "$top/scripts/fetch.sh"
	"$top/scripts/fetch.sh"
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	numa_is_ours ||
		die "the tree $tree has a branch numa of your own: rename it first"
	! tree_git rev-parse -q --verify refs/heads/carry >/dev/null ||
		die "the tree $tree has a branch carry that is not of this command: rename it first"
	series_of_from
	names=$(cd "$top/patches/$FROM" && sed -n '2,$p' series | grep -E '^[0-9]' | paste -sd' ')
	state_set carry_names "$names"
	state_set carry_commits "$(tree_git rev-list --reverse "$small_base..$series_tip" | paste -sd' ')"
	state_set carry_left 0
	state_set carry_next 1
	state_set carry_head "$(state_get base)"
	state_set carry_back "$(tree_git symbolic-ref -q --short HEAD || tree_git rev-parse HEAD)"
	tree_git checkout -q -B carry "$(state_get base)" 2>"$tmp/err" ||
		die "the tree could not be moved to branch carry: $(reason_in "$tmp/err")"
	state_set carry_from "$FROM"
}

series_of_from() {
	local BASE=$FROM patches=$top/patches/$FROM series_label=patches/$FROM
	make_small_base "$FROM"
	series_commits "$small_base"
}

pick_all() {
	local commits list
	read -r -a commits < <(state_get carry_commits)
	while ((nr <= ${#commits[@]})); do
		commit=${commits[nr - 1]}
		if ! carry_git cherry-pick --allow-empty --keep-redundant-commits "$commit" >"$tmp/out" 2>&1; then
			mapfile -t list < <(conflicts)
			((${#list[@]})) || die "patches/$from/$(name_of "$nr"): $(reason_in "$tmp/out")"
			stopped "conflict in ${list[0]%% *}$( ((${#list[@]} == 1)) || echo " and $((${#list[@]} - 1)) more")" "${list[@]}"
		fi
		drop_if_empty "$BASE has it already"
	done
}

forget() {
	sed -i '/^carry_/d' "$work/state"
}

# The series of BASE is not the one of FROM: it begins at its first revision, with a change-id of
# its own in the cover letter $1.
new_change_id() {
	local old id
	old=$(sed -n 's/^change-id: //p' "$1" | sed -n 1p)
	[[ $old =~ ^[0-9]{8}-([a-z0-9-]+)-[0-9a-f]{12}$ ]] || return 0
	id=$(date +%Y%m%d)-${BASH_REMATCH[1]}-$(sha <<<"$old $BASE" | cut -c1-12)
	sed -i "s/^change-id: .*/change-id: $id/; /^revision: [0-9]*$/d" "$1"
	note "the cover letter is that of $from, with a change-id of its own: $id"
}

# All patches are on branch carry: from there to patches/BASE, and by apply to branch numa.
finish() {
	local base commits
	base=$(state_get base)
	commits=$(tree_git rev-list --count "$base..carry")
	numa_is_ours ||
		die "branch numa of $tree has got commits since the rebase began: rename it, then run the same command again"
	((commits > 0)) || die "no patch of patches/$from is left: nothing to write ($of_here scripts/rebase.sh --abort)"
	rm -rf "$patches.new"
	series_write carry "$patches.new" "$top/patches/$from/0000-cover-letter.patch"
	new_change_id "$patches.new/0000-cover-letter.patch"
	mv "$patches.new" "$patches"
	note "$commits patches written to patches/$BASE, $(state_get carry_left) left out"
	forget
	state_set series ""
	"$top/scripts/apply.sh"
	tree_git branch -q -D carry
	note "what the move has changed: make range-diff $of_here FROM=$from"
}

abort() {
	local back
	in_progress || usage_error "no rebase to BASE=$BASE is under way"
	# what carry has is given up, what is elsewhere is not
	[[ $(tree_git symbolic-ref -q HEAD || true) == refs/heads/carry ]] || tree_is_clean ||
		die "the source tree of $BASE is not on branch carry and has uncommitted changes: commit or stash them first"
	back=$(state_get carry_back)
	tree_git checkout -q -f "$back" 2>"$tmp/err" || die "the tree cannot go back to $back: $(reason_in "$tmp/err")"
	! tree_git rev-parse -q --verify refs/heads/carry >/dev/null || tree_git branch -q -D carry
	forget
	note "given up; the source tree of $BASE is on $back again"
}

skip() {
	in_progress || usage_error "no rebase to BASE=$BASE is under way"
	[[ $(tree_git symbolic-ref -q HEAD || true) == refs/heads/carry ]] ||
		die "the source tree of $BASE is not on branch carry, where a rebase from $from has stopped"
	tree_git reset -q --hard "$(state_get carry_head)"
	next "as asked"
}

main() {
	local from nr commit='' verb=
	case ${1:-} in
	-h) usage && exit ;;
	--skip | --abort) verb=${1#--} ;;
	?*) usage_error "rebase.sh accepts -h, --skip and --abort, not $1" ;;
	esac
	[[ -z $KDIR ]] || usage_error "make rebase works between the bases of config/base, not in KDIR; there, git am -3 of make mbox does"
	take_lock rebase
	from=$(state_get carry_from)
	if [[ -z $verb ]]; then
		[[ -n $FROM ]] || usage_error "make rebase needs FROM=, the base whose series is carried; accepted: $(bases_with_series)"
		[[ $FROM != "$BASE" ]] || usage_error "FROM=$FROM is BASE itself; accepted for BASE: $(names_in "$top/config/base" .conf)"
		[[ -z $from || $from == "$FROM" ]] ||
			usage_error "a rebase to $BASE from $from, not from $FROM, is under way: FROM=$from continues it, $of_here scripts/rebase.sh --abort ends it"
	fi
	mkdir -p "$work"
	tmp=$(mktemp -d "$work/rebase.XXXXXX")
	trap 'rm -rf "$tmp" "$patches.new"' EXIT
	if [[ $verb == abort ]]; then
		abort
		return
	fi
	nr=$(state_get carry_next)
	if [[ $verb == skip ]]; then
		skip
	elif in_progress; then
		resume
	else
		begin
		from=$FROM nr=1
	fi
	pick_all
	finish
}

main "$@"
