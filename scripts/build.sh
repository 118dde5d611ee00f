#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Build the kernel KERNEL, or print where its image is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/ccache.sh"

usage() {
	cat <<-END
		usage: build.sh [-h | --path | --warnings FILE.c...]

		Builds KERNEL=$KERNEL out of tree in $work.
		base: the commit that the series applies to; patched: branch numa as it is, with
		your uncommitted edits; debug: the same with lockdep, KASAN and more; gcov: the same
		with counters in ${instrumented[*]}. A number N: the base with the first N
		commits of branch numa; N-NAME: the same in another configuration, NAME one of
		$variants.
		A kernel that is up to date (same source, configuration and tools) is not built again.
		--path: print the path of the image and nothing else; fail where it is not built.
		--warnings: compile these files again, with W=1, as far as the last build of KERNEL had
		objects of them, and print what the compiler says, each with the file and no line number.
	END
}

instrumented=(mm/mempolicy.c)

# What the source of this kernel is: a commit, or a commit and the edits on it.
source_id() {
	local edits
	if [[ -n $commit ]]; then
		tree_git rev-parse "$commit^{tree}"
		return
	fi
	edits=$(
		tree_git diff HEAD
		tree_git ls-files -o --exclude-standard -z | (cd "$tree" && xargs -0 -r sha256sum)
	)
	tree_git rev-parse 'HEAD^{tree}'
	[[ -z $edits ]] || printf '%s' "$edits" | sha
}

stamp() {
	source_id
	sha "$out/.config" "$top/scripts/ccache.sh"
	gcc --version | head -n1
	ld --version | head -n1
}

# A commit is built in the one tree there is: go there, come back, and give the
# files their times again, so that the other kernels are not rebuilt for it.
to_commit() {
	local f
	no_rebase_under_way
	tree_is_clean || die "building KERNEL=$KERNEL needs the tree $tree without uncommitted changes: commit or stash them first"
	changed=()
	while IFS= read -r -d '' f; do
		[[ -e $tree/$f ]] && changed+=("$f" "$(stat -c %y "$tree/$f")")
	done < <(tree_git diff -z --name-only "$(state_get base)" HEAD)
	state_set switched "$(tree_git symbolic-ref -q --short HEAD || tree_git rev-parse HEAD)"
	tree_git checkout -q --detach "$commit"
	recall_times
}

# Files that the series touches have, in $out/.sources, the content and the time that
# objects were last built from: what is the same again is not newer than its object.
recall_times() {
	local blob time path
	local -A built_from=() built_at=()
	if [[ -f $out/.sources ]]; then
		while IFS=$'\t' read -r blob time path; do
			built_from[$path]=$blob built_at[$path]=$time
		done <"$out/.sources"
		# a build that fails leaves objects of no known source
		rm "$out/.sources"
	fi
	while IFS=$'\t' read -r blob path; do
		if [[ ${built_from[$path]:-} == "$blob" ]]; then
			touch -d "${built_at[$path]}" "$tree/$path"
		else
			touch "$tree/$path"
		fi
	done < <(series_files)
}

record_times() {
	local blob path
	while IFS=$'\t' read -r blob path; do
		printf '%s\t%s\t%s\n' "$blob" "$(stat -c %y "$tree/$path")" "$path"
	done < <(series_files) >"$out/.sources"
}

# "blob TAB path" at $commit, of all files that the series touches
series_files() {
	tree_git diff --name-only "$(state_get base)" numa | (cd "$tree" && xargs -r git ls-tree "$commit") |
		sed -E 's/^[0-9]+ blob ([0-9a-f]+)\t/\1\t/'
}

from_commit() {
	local i
	back_to_branch
	for ((i = 0; i < ${#changed[@]}; i += 2)); do
		touch -d "${changed[i + 1]}" "$tree/${changed[i]}"
	done
}

# How far: the compiler runs so far, of those that the last full build had.
show_progress() {
	local total=$1 log=$2 start=$SECONDS runs width=30 fill shown=0
	while kill -0 "$make_pid" 2>/dev/null; do
		runs=$(grep -caE '^  [A-Z]+ ' "$log" || true)
		if [[ -t 1 ]]; then
			fill=$((runs * width / total))
			((fill > width)) && fill=$width
			printf '\r      [%-*s] %d of about %d, %s ' "$width" \
				"$(printf '%*s' "$fill" '' | tr ' ' '#')" "$runs" "$total" "$(min_sec $((SECONDS - start)))"
			sleep 1
		else
			sleep 1
			if ((SECONDS - start >= shown + 30)); then
				shown=$((SECONDS - start))
				note "$runs of about $total, $(min_sec $shown)"
			fi
		fi
	done
	if [[ -t 1 ]]; then
		printf '\r%70s\r' ''
	fi
}

stop_make() {
	[[ -z ${make_pid:-} ]] || kill -TERM -- "-$make_pid" 2>/dev/null || true
}

leave() {
	stop_make
	[[ -z $(state_get switched) ]] || from_commit
}

# Of a kernel that has little of what the series is about most objects stay the same where a header
# changes. So ccache shall go by the text that is left of it, without the lines that say where it was,
# which the direct mode cannot do without.
cache_by_text() {
	# shellcheck disable=SC2016 # not of this shell
	printf '#!/bin/sh\nexec "$@" -P\n' >"$out/cpp" && chmod +x "$out/cpp" || die "cannot write $out/cpp"
	export CCACHE_NODIRECT=1 CCACHE_PREFIX_CPP=$out/cpp
}

run_make() {
	local log=$out/build.log total quiet=() counted=() f
	total=$(cat "$out/.objects" 2>/dev/null || base_value objects)
	[[ $V == 1 ]] && quiet=(V=1)
	if [[ $KERNEL == gcov ]]; then
		for f in "${instrumented[@]}"; do
			f=${f##*/}
			counted+=("GCOV_PROFILE_${f%.c}.o=y")
		done
	fi
	: >"$log" || die "cannot write $log"
	# a process group of its own, so that an interrupt ends all of it
	set -m
	become make -C "$tree" O="$out" -j"$JOBS" LOCALVERSION= CC='ccache gcc' HOSTCC='ccache gcc' \
		"${quiet[@]}" "${counted[@]}" bzImage >"$log" 2>&1 &
	make_pid=$!
	set +m
	show_progress "$total" "$log"
	if ! wait "$make_pid"; then
		make_pid=
		die "building $KERNEL: $(reason_in "$log") (see $log)"
	fi
	make_pid=
	total=$(grep -caE '^  [A-Z]+ ' "$log" || true)
	((total < 1000)) || printf '%d\n' "$total" >"$out/.objects"
}

# The objects of the files $@ with W=1, of those that there are in this kernel: an object may be
# that of a later commit, which has the file. What .sources says of all other objects stays true.
print_warnings() {
	local f object objects=()
	trap leave EXIT
	# of a call that was killed
	rm -f "$out/.sources.kept"
	[[ ! -f $out/.sources ]] || cp "$out/.sources" "$out/.sources.kept"
	[[ -z $commit ]] || to_commit
	for f in "$@"; do
		if [[ ! -f $tree/$f ]]; then
			rm -f "$out/${f%.c}.o"
			continue
		fi
		for object in $(object_of "$tree" "$f"); do
			[[ ! -f $out/$object.o ]] || objects+=("$object.o")
		done
	done
	if ((${#objects[@]})); then
		compile_again
	fi
	[[ -z $commit ]] || from_commit
	[[ ! -f $out/.sources.kept ]] || mv "$out/.sources.kept" "$out/.sources"
}

compile_again() {
	(cd "$out" && rm -f "${objects[@]}")
	make -C "$tree" O="$out" -j"$JOBS" LOCALVERSION= CC='ccache gcc' HOSTCC='ccache gcc' W=1 \
		"${objects[@]}" >"$out/warnings.log" 2>&1 ||
		die "compiling ${objects[*]} with W=1: $(reason_in "$out/warnings.log") (see $out/warnings.log)"
	sed -nE 's/^(\.\.\/)*(linux\/)?([^ :]+):[0-9:]+ (warning: .*)/\3: \4/p' "$out/warnings.log"
}

main() {
	local path='' want start=$SECONDS files=() warned=''
	case ${1:-} in
	-h) usage && exit ;;
	--path) path=y ;;
	--warnings)
		(($# > 1)) || usage_error "--warnings needs the names of C files"
		files=("${@:2}")
		;;
	?*) usage_error "build.sh accepts -h, --path and --warnings, not $1" ;;
	esac
	if [[ $KERNEL == */* ]]; then
		[[ -z $path ]] || realpath "$KERNEL"
		return
	fi
	image=$out/arch/x86/boot/bzImage built=$out/.built
	[[ $KERNEL != +([0-9]) ]] || image=$out/$KERNEL.bzImage built=$out/$KERNEL.built
	# of a kernel without objects no file is compiled again, and none would be said to warn
	if [[ -n $path ]] || ((${#files[@]})); then
		[[ -f $image ]] || die "KERNEL=$KERNEL is not built: make build KERNEL=$KERNEL"
	fi
	if [[ -n $path ]]; then
		printf '%s\n' "$image"
		return
	fi
	take_lock build
	[[ -f $out/.config ]] || die "KERNEL=$KERNEL is not configured: make config KERNEL=$KERNEL"
	need_numa
	back_to_branch
	ccache_setup
	[[ $KERNEL != *-* ]] || cache_by_text
	commit=$(commit_of)
	if ((${#files[@]})); then
		print_warnings "${files[@]}"
		return
	fi
	want=$(stamp)
	if [[ -f $image && $(cat "$built" 2>/dev/null) == "$want" ]]; then
		note "the $KERNEL kernel is up to date"
		return
	fi
	rm -f "$built"
	trap leave EXIT
	[[ -z $commit ]] || to_commit
	run_make
	# a step that warns is never up to date: its objects, and what is said of them, are made again
	! is_step || ! grep -q 'warning: ' "$out/build.log" || warned=y
	if [[ -n $commit ]]; then
		[[ -n $warned ]] || record_times
		from_commit
	fi
	[[ $image == */arch/* ]] || cp "$out/arch/x86/boot/bzImage" "$image"
	[[ -f $image ]] || die "the build of $KERNEL left no $image"
	# what was asked for may have been edited while it was built
	[[ -n $warned ]] || printf '%s\n' "$want" >"$built"
	note "$(stat -c %s "$image") bytes, sha256 $(sha "$image" | cut -c1-16), $(min_sec $((SECONDS - start)))"
}

main "$@"
