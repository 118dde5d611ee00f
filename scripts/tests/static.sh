#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# make static on series of one patch: what is new fails, each tool by its own fault; what is
# old or has moved does not; a tool that is blind or broken fails. Needs the base and the
# tools; takes minutes, so it is not in make check.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
unset OLD # the lab has no commits
. "$here/../lib.sh"

file=mm/mmzone.c

bad=0 count=0
# check NAME STATUS PATTERN...: static.sh with the series as it is; a line for each pattern
check() {
	local name=$1 want=$2 pattern status=0 missing=()
	shift 2
	count=$((count + 1))
	env -u NUMA_LOCKED -u KDIR O="$tmp/O" "$tmp/lab/scripts/static.sh" >"$tmp/out" 2>&1 </dev/null || status=$?
	for pattern in "$@"; do
		grep -qE -- "$pattern" "$tmp/out" || missing+=("$pattern")
	done
	[[ $(git -C "$lab_tree" rev-parse HEAD) == "$tip" && -z $(git -C "$lab_tree" status --porcelain) ]] ||
		missing+=("the tree as it was")
	[[ $status != "$want" ]] || ((${#missing[@]})) || return 0
	printf '%s: status %d, want %d; not there:\n' "$name" "$status" "$want"
	printf '  %s\n' "${missing[@]}"
	sed 's/^/    /' "$tmp/out"
	bad=$((bad + 1))
}

# A series of one patch: the base with $file as standard input changes it (a sed script)
series_of() {
	git -C "$lab_tree" checkout -q -B numa base
	sed -i -f - "$lab_tree/$file"
	[[ -z ${1:-} ]] || cat "$1" >>"$lab_tree/$file"
	git -C "$lab_tree" -c user.name="A Tester" -c user.email=tester@localhost commit -qam "mm/mmzone: a test

A reason that is as long as the reason of a patch usually is: some columns.

Proof: none (a test)"
	tip=$(git -C "$lab_tree" rev-parse HEAD)
	env -u NUMA_LOCKED -u KDIR O="$tmp/O" "$tmp/lab/scripts/refresh.sh" >/dev/null
}

# The base's objects in a tree of few files: static.sh makes a full one for itself.
make_lab() {
	mkdir -p "$lab_tree" "$tmp/lab/patches/$BASE" "$tmp/O/$BASE/patched"
	cp -r "$top/scripts" "$top/config" "$top/.checkpatch.conf" "$tmp/lab/"
	git init -q -b numa "$lab_tree"
	tree_git rev-parse --path-format=absolute --git-path objects >"$lab_tree/.git/objects/info/alternates"
	git -C "$lab_tree" branch base "$(state_get base)"
	git -C "$lab_tree" sparse-checkout set --no-cone /scripts/ /tools/docs/ /tools/lib/python/ /Kbuild /mm/
	git -C "$lab_tree" checkout -q base
	printf 'base=%s\nsource=test\napplied=\nseries=\n' "$(state_get base)" >"$tmp/O/$BASE/state"
	cp "$work"/patched/.config "$work"/patched/.fragments "$tmp/O/$BASE/patched/"
	printf 'Subject: [PATCH] A cover\n\nIts text.\n\nProof: (1):\n' >"$tmp/lab/patches/$BASE/0000-cover-letter.patch"
}

main() {
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	KERNEL=patched "$top/scripts/config.sh" >/dev/null
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	lab_tree=$tmp/O/$BASE/linux
	make_lab

	cat >"$tmp/faults.c" <<-'END'

		/**
		 * mmzone_fault() - faults
		 * @other: not the parameter's name
		 */
		void __user *mmzone_fault(int *kernel);
		void __user *mmzone_fault(int *kernel)
		{
			int unused;

			if(kernel) {
				pr_info("there\n");
			};
			return kernel;
		}
	END
	series_of "$tmp/faults.c" </dev/null
	check "a fault for each" 1 "^ *sparse .* [1-9][0-9]* +found +FAILED: . new" \
		"new: sparse: $file: .*different address spaces" \
		"new: gcc: $file: warning: unused variable" "new: clang: $file: warning: unused variable" \
		"new: coccicheck: $file: Unneeded semicolon" "new: kernel-doc: $file: .*'other'" \
		"new: checkpatch: .*patch: ERROR:SPACING:" "error: static analysis: "

	series_of <<<'1a/* Lines that come first move all others. */'
	mkdir "$tmp/bin"
	check "a patch without fault" 0 "^ *sparse .* 0 +found +pass" "^ *gcc .*pass" "^ *clang .*pass" \
		"^ *coccicheck.*pass" "^ *kernel-doc .*pass" "^ *checkpatch .*pass" "^ *smatch .*not available"

	# what says nothing about anything is accepted by scripts/checker-valid.sh
	printf '#!/bin/sh\n' >"$tmp/bin/sparse"
	printf '#!/bin/sh\n[ "$1" = --version ] && exec /usr/bin/spatch --version\nexit 1\n' >"$tmp/bin/spatch"
	chmod +x "$tmp"/bin/*
	PATH=$tmp/bin:$PATH check "a blind tool and a broken one" 1 "^ *sparse .*FAILED: does not find the fault" \
		"^ *coccicheck.*FAILED: could not run at the base" "^ *gcc .*pass"

	series_of <<<'1a#error no'
	check "a patch that does not compile" 1 "new: gcc: $file: error: #error no" "new: clang: $file: error: no" \
		"^ *sparse .*FAILED: "
	printf '%d runs, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
