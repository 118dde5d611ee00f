#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# bisect-check on a small tree: what it takes for a failure, and which rows it keeps. Guests are made
# up, builds too but for the last steps.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/defaults.sh"
real=$(cd "$here/../.." && pwd -P)

bad=0 count=0
wrong() {
	printf '%s\n' "$@"
	bad=$((bad + 1))
}

# bisect NAME STATUS TEXT BUILDS [VAR=VALUE...] [OPTION]: TEXT is a part of what it says; BUILDS the
# kernels that it builds, in order
bisect() {
	local name=$1 want=$2 text=$3 builds=$4 status=0 vars=()
	shift 4
	while [[ ${1:-} == *=* ]]; do
		vars+=("$1")
		shift
	done
	count=$((count + 1))
	: >"$tmp/builds"
	env -u NUMA_LOCKED O="$tmp/O" MADE_UP="$tmp" "${vars[@]}" "$lab/scripts/bisect.sh" "$@" \
		>"$tmp/out" 2>&1 </dev/null || status=$?
	[[ $status == "$want" ]] && grep -qF -- "$text" "$tmp/out" && (($(grep -cE '^(error|fatal):' "$tmp/out") == (status % 3 > 0))) || wrong \
		"$name: status $status, want $want and \"$text\", got" "$(sed 's/^/  /' "$tmp/out")"
	[[ $(paste -sd' ' "$tmp/builds") == "$builds" ]] ||
		wrong "$name: built $(paste -sd' ' "$tmp/builds")" "  want $builds"
}

# rows NAME NUMBERS: the table has rows of just these patches, and says how many
rows() {
	local got
	count=$((count + 1))
	got=$(sed -n 's/^| \([0-9]*\) | .*/\1/p' "$seen" | paste -sd' ')
	[[ $got == "$2" ]] || wrong "$1: rows of $got, want $2"
	grep -q "has seen of $(wc -w <<<"$2") of the $patches patches" "$seen" || wrong "$1: the head of the table is wrong"
}

# What bisect.sh calls, made up: a build fails, or the compiler or a guest says something, where a file
# named by it is in $MADE_UP.
made_up() {
	cat >"$lab/scripts/$1"
	chmod +x "$lab/scripts/$1"
}

make_scripts() {
	local name
	for name in config selftests initramfs boot; do
		echo '#!/bin/true' | made_up $name.sh
	done
	made_up build.sh <<-'END'
		#!/usr/bin/env bash
		. "$(dirname "$0")/lib.sh"
		if [[ ${1:-} == --warnings ]]; then
			cat "$MADE_UP/W1-$KERNEL" 2>/dev/null
			exit 0
		fi
		echo "$KERNEL" >>"$MADE_UP/builds"
		mkdir -p "$out"
		cp "$MADE_UP/warns-$KERNEL" "$out/build.log" 2>/dev/null || : >"$out/build.log"
		[[ ! -f $MADE_UP/breaks-$KERNEL ]] || die "building $KERNEL: it is broken"
	END
	made_up verdict.sh <<-'END'
		#!/usr/bin/env bash
		[[ ! -f $MADE_UP/hangs-$KERNEL ]] || { echo "      verdict: hang: no end"; exit 1; }
		echo "      verdict: pass"
	END
}

commit() {
	git -C "$tree" -c user.name="A Tester" -c user.email=tester@localhost commit -qam "$1

A reason.

Proof: none (a test)"
}

# A kernel of two objects, each of more than one file
toy_makefile() {
	cat <<-'END'
		.RECIPEPREFIX = :
		bzImage: $(O)/mm/mempolicy.o $(O)/mm/user.o
		:mkdir -p $(O)/arch/x86/boot
		:cat $^ >$(O)/arch/x86/boot/bzImage
		$(O)/mm/%.o: mm/%.c mm/internal.h mm/part.c
		:@mkdir -p $(@D); echo "  CC      mm/$*.o"
		:gcc -Wall $(if $(W),-Wextra) -c -o $@ $<
		mm/%.o: $(O)/mm/%.o ;
	END
}

# A checkout with our scripts, a base of some files and three patches, one of them of a header.
make_lab() {
	mkdir -p "$lab"/{patches/"$base",Documentation} "$tree/mm" "$tmp/O/$base/selftests/install/numa"
	cp -r "$real/scripts" "$real/config" "$lab/"
	make_scripts
	echo test >"$tmp/O/$base/selftests/install/numa/numa_maps"
	seq -f '// %g' 9 >"$tree/mm/mempolicy.c"
	seq -f '// %g' 9 >"$tree/mm/internal.h"
	printf '#include "%s"\n' internal.h part.c >"$tree/mm/user.c"
	echo 'int part(void); int part(void) { return 0; }' >"$tree/mm/part.c"
	toy_makefile >"$tree/Makefile"
	echo "obj-y += mm/" >"$tree/Kbuild"
	git init -q -b base "$tree"
	git -C "$tree" add -A
	commit base
	printf 'base=%s\nsource=test\nversion=%s\napplied=\nseries=\n' "$(git -C "$tree" rev-parse HEAD)" "$version" >"$tmp/O/$base/state"
	git -C "$tree" checkout -q -b numa
	sed -i 's/1/one/' "$tree/mm/mempolicy.c" && commit "mm/mempolicy: one"
	sed -i 's/9/nine/' "$tree/mm/internal.h" && commit "mm: nine"
	sed -i 's/5/five/' "$tree/mm/mempolicy.c" && commit "mm/mempolicy: five"
	echo 1 >"$lab/COMMIT"
	printf 'Subject: [PATCH] A cover\n\nIts text.\n' >"$lab/patches/$base/0000-cover-letter.patch"
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	# one commit: --sample goes by how many there are
	git init -q "$lab"
	git -C "$lab" add COMMIT
	tree=$lab commit "a lab"
}

# What bisect-check of patch $1 builds when all is well
all_of() {
	echo "$1 $1-nonuma $1-nobalancing $1-i386"
}

refused() {
	local all
	all="$(all_of 1) $(all_of 2) $(all_of 3)"
	touch "$tmp/breaks-2-i386"
	bisect "a patch that does not build" 1 "i386: error: building 2-i386: it is broken" "$all"
	rm "$tmp/breaks-2-i386"
	rows "it has no row" "1 3"
	bisect "only that one is done again" 0 "kept    3" "$(all_of 2)"
	rows "all have" "1 2 3"
	bisect "none is stale" 0 "3 of 3 patches have a row" "" --stale

	echo "mm/x.c:1:1: warning: unused" >"$tmp/warns-1-nonuma"
	bisect "a build that warns" 1 "nonuma: warns: mm/x.c:1:1: warning: unused" "$(all_of 1)" PATCH=1
	rm "$tmp/warns-1-nonuma"
	rows "its row is gone, the others stay" "2 3"
	touch "$tmp/hangs-1"
	bisect "a patch that does not boot" 1 "2node: hang: no end" "$(all_of 1)"
	rm "$tmp/hangs-1"
	rows "no row either" "2 3"

	echo "mm/mempolicy.c: warning: old" | tee "$tmp/W1-0" >"$tmp/W1-1"
	bisect "W=1 says what it says of the parent" 0 "ok      1" "1 0 1 1-nonuma 1-nobalancing 1-i386"
	echo "mm/mempolicy.c: warning: new" >>"$tmp/W1-1"
	bisect "W=1 says more" 1 "guest: new with W=1: mm/mempolicy.c: warning: new" \
		"1 0 1 1-nonuma 1-nobalancing 1-i386" PATCH=1
	rm "$tmp"/W1-*
	bisect "and no more" 0 "ok      1" "$(all_of 1)"
	rows "all again" "1 2 3"
}

# With each commit another patch and configuration, until it was all of them
samples() {
	local i got
	count=$((count + 1))
	for ((i = 0; i < 12; i++)); do
		: >"$tmp/builds"
		env -u NUMA_LOCKED O="$tmp/O" MADE_UP="$tmp" "$lab/scripts/bisect.sh" --sample >"$tmp/out" 2>&1 || wrong "sample $i:" "$(cat "$tmp/out")"
		cat "$tmp/builds" >>"$tmp/all"
		git -C "$lab" -c user.name="A Tester" -c user.email=tester@localhost commit -q --allow-empty -m "commit $i"
	done
	got=$(sort "$tmp/all" | paste -sd' ')
	[[ $got == "$({ all_of 1 && all_of 2 && all_of 3; } | tr ' ' '\n' | sort | paste -sd' ')" ]] ||
		wrong "twelve samples were not each of three patches in each of four configurations: $got"
	git -C "$lab" reset -q --soft HEAD~12
}

kept() {
	bisect "nothing to do" 0 "kept    2" ""
	bisect "PATCH= does it anew" 0 "ok      2" "$(all_of 2)" PATCH=2
	cp "$seen" "$tmp/seen"
	# as it is after an interruption
	sed -i '/^| 3 |/d' "$seen"
	bisect "goes on where it was" 0 "kept    2" "$(all_of 3)"
	rows "the whole again" "1 2 3"

	echo "# other" >>"$lab/config/kernel/nonuma.config"
	bisect "another configuration" 0 "ok      1" "$(all_of 1) $(all_of 2) $(all_of 3)"
	echo other >"$tmp/O/$base/selftests/install/numa/numa_maps"
	bisect "another test, one patch" 0 "ok      1" "$(all_of 1)" PATCH=1
	rows "those of the test before are gone" "1"
	bisect "another test, the others" 0 "kept    1" "$(all_of 2) $(all_of 3)"

	# the second of three becomes another: the first stays
	git -C "$tree" reset -q --hard numa~2
	sed -i 's/9/neun/' "$tree/mm/internal.h" && commit "mm: nine"
	sed -i 's/5/five/' "$tree/mm/mempolicy.c" && commit "mm/mempolicy: five"
	cp "$seen" "$tmp/seen"
	bisect "branch and patches differ" 1 "error: patches/$base is not what branch numa has: make refresh, or make apply" ""
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	bisect "stale rows" 3 "1 of 3 patches have a row in Documentation/bisect-$base.md of what there is now" "" --stale
	cmp "$seen" "$tmp/seen" || wrong "asking for stale rows changed the table"
	bisect "another patch, and what comes after it" 0 "kept    1" "$(all_of 2) $(all_of 3)"
	git -C "$tree" reset -q --hard numa~1
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	patches=2
	bisect "a patch dropped" 0 "kept    2" ""
	rows "its row goes" "1 2"

	cp "$seen" "$tmp/seen"
	touch "$tmp/breaks-2-nonuma"
	# by the only commit there is: patch 1 % 2 + 1, configuration 1 % 2 + 1 / 2
	bisect "a sample" 1 "nonuma: error: building 2-nonuma: it is broken" "2-nonuma" --sample
	rm "$tmp/breaks-2-nonuma"
	cmp "$seen" "$tmp/seen" || wrong "a sample changed the table"
	echo edit >>"$tree/mm/mempolicy.c"
	bisect "a tree with edits" 1 "has uncommitted changes" ""
	git -C "$tree" checkout -q mm
	bisect "no tree" 1 "there is no source tree yet" "" O="$tmp/none"
}

# In a tree of one's own, on a branch of it
own_tree() {
	local own
	git clone -q -b base "$tree" "$tmp/mine"
	git -C "$tmp/mine" checkout -q -b work
	echo '// mine' >>"$tmp/mine/mm/part.c" && tree=$tmp/mine commit "mine"
	O=$tmp/O KDIR=$tmp/mine "$lab/scripts/apply.sh" >/dev/null
	own=$(echo "$tmp"/O/kdir-*)
	mkdir -p "$own/selftests/install"
	cp -r "$tmp/O/$base/selftests/install/numa" "$own/selftests/install/"
	cp "$seen" "$tmp/seen"
	bisect "KDIR" 0 "ok      2" "$(all_of 1) $(all_of 2)" KDIR="$tmp/mine"
	cmp "$seen" "$tmp/seen" || wrong "a KDIR changed the table of the base"
	seen=$own/bisect.md rows "it has a table of its own" "1 2"
}

# With build.sh as it is
for_real() {
	local head
	cp "$real/scripts/build.sh" "$lab/scripts/"
	made_up config.sh <<-'END'
		#!/usr/bin/env bash
		. "$(dirname "$0")/lib.sh"
		mkdir -p "$out"
		touch "$out/.config"
	END
	patches=1
	git -C "$tree" reset -q --hard base
	echo 'static int unused;' >>"$tree/mm/internal.h" && commit "mm: one that warns in files it does not touch"
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	bisect "a header that makes others warn" 1 "i386: warns: mm/internal.h:10:12: warning:" ""
	bisect "the same again" 1 "guest: warns: " ""
	rows "it has none" ""
	git -C "$tree" reset -q --hard base
	echo 'int more(int x); int more(int x) { return 0; }' >>"$tree/mm/part.c" && commit "mm: more of a part"
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	bisect "W=1 of a file that another includes" 1 "guest: new with W=1: mm/part.c: warning: unused parameter" ""
	git -C "$tree" reset -q --hard base
	echo 'int more(void); int more(void) { return 0; }' >>"$tree/mm/part.c" && commit "mm: more of a part"
	O=$tmp/O "$lab/scripts/refresh.sh" >/dev/null
	bisect "nothing wrong" 0 "ok      1" ""
	rows "it has one" "1"

	# as a build leaves the tree that is killed
	head=$(git -C "$tree" rev-parse numa)
	git -C "$tree" checkout -q --detach base
	sed -i "s/^switched=.*/switched=numa/" "$tmp/O/$base/state"
	mkdir -p "$tmp/O/$base/patched" && touch "$tmp/O/$base/patched/.config"
	O=$tmp/O "$lab/scripts/build.sh" >"$tmp/out" 2>&1 || wrong "a build after one that was killed:" "$(cat "$tmp/out")"
	[[ $(git -C "$tree" symbolic-ref HEAD) == refs/heads/numa && $(git -C "$tree" rev-parse HEAD) == "$head" ]] ||
		wrong "the tree was not on branch numa for it"
	git -C "$tree" checkout -q -b b4/numa
	bisect "on a branch on top of numa" 0 "ok      1" "" PATCH=1
	[[ $(git -C "$tree" symbolic-ref HEAD) == refs/heads/b4/numa ]] || wrong "the tree has left its branch"
}

main() {
	local lab tree seen version
	base=${BASE:-v7.3}
	version=$(sed -n 's/^version=//p' "$real/config/base/$base.conf")
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	lab=$tmp/lab tree=$tmp/O/$base/linux seen=$tmp/lab/Documentation/bisect-$base.md patches=3
	make_lab
	refused
	samples
	kept
	own_tree
	for_real
	printf '%d steps, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
