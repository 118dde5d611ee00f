#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Remove what was built, or everything that is not in git.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: clean.sh [-h | --all]

		Removes kernels, kselftests and initramfs from $work.
		--all: removes that, the fetched source tree, results/ and dl/ too. It refuses where
		branch numa has commits or edits that patches/$BASE has not, or the tree has other branches. A
		tree of your own (KDIR) and the compiler cache are never touched.
	END
}

main() {
	local own
	case ${1:-} in
	-h) usage && exit ;;
	--all) ;;
	?*) usage_error "clean.sh accepts -h and --all, not $1" ;;
	esac
	take_lock clean
	if [[ ${1:-} == --all && -z $KDIR && -d $tree ]]; then
		if ! tree_is_clean || [[ $(tree_git rev-parse -q --verify refs/heads/numa || true) != "$(state_get applied)" ]]; then
			die "the tree $tree has work that patches/$BASE has not: make refresh, or remove the tree by hand"
		fi
		own=$(tree_git for-each-ref --format='%(refname:short)' refs/heads refs/stash | grep -vxE 'base|numa' | paste -sd' ') || true
		[[ -z $own ]] || die "the tree $tree has more than the series, which would be lost: $own; delete it, or remove the tree by hand"
	fi
	rm -rf "$work"/{base,patched,debug,gcov,step,step-nonuma,step-nobalancing,step-i386,static,selftests,initramfs,initramfs.cpio,export,export.log,series.mbx} \
		"$work"/{apply,refresh,range-diff,rebase,mbox,export}.??????
	note "removed what was built in $work"
	if [[ ${1:-} == --all ]]; then
		rm -rf "$work" "$results" "$dl" "$O"/{accel,tools.log,lockstep-*}
		[[ -n $(ls "$O" 2>/dev/null) ]] || rm -rf "$O"
		note "removed $work, $results and $dl"
	fi
}

main "$@"
