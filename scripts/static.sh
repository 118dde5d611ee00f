#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What static analysers say of the files that the series touches and did not say before it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/ccache.sh"
. "$top/scripts/series.sh"
. "$top/scripts/findings.sh"

usage() {
	cat <<-END
		usage: static.sh [-h]

		Runs sparse, gcc and clang with W=1, gcc for arm64 and for powerpc too, coccicheck and
		kernel-doc on the files that the series touches, as they are at the base and as they
		are on branch numa with your uncommitted edits, and checkpatch on each commit. Only what is new counts, and fails.

		Then each tool is given a fault made for it, in a copy of the smallest of these files:
		one that does not find it has failed, whatever it said of the series.

		The tools are installed, or built into $cache. Your tree
		is only read: a copy of it below $static is what they run on.
		$results/static: the table, what is new, and all findings and logs.
	END
}

static=$work/static
src=$static/linux
seen=$results/static
# in this order: sparse needs gcc's objects, and coccicheck takes longest
tools=(gcc sparse clang arm64 powerpc kernel-doc checkpatch coccicheck)
# other architectures with NUMA balancing, and the compilers of Debian for them
declare -A cross=([arm64]=aarch64-linux-gnu- [powerpc]=powerpc64le-linux-gnu-)

# in two parts, so that codespell does not find it here
typo=s"eperatedly"

# What each must say of the fault. For the compilers it is a warning that only W=1 has, for
# checkpatch a word that only codespell knows.
declare -A fault_of=(
	[sparse]='dereference of noderef expression'
	[gcc]='variable .value. set but not used'
	[clang]='variable .value. set but not used'
	[arm64]='variable .value. set but not used'
	[powerpc]='variable .value. set but not used'
	[coccicheck]='Unneeded semicolon'
	["kernel-doc"]="'nothing'"
	[checkpatch]="TYPO_SPELLING: '$typo'"
)

fault_text() {
	cat <<-END

		/**
		 * static_fault() - a fault for each tool, done $typo
		 * @kernel: a pointer
		 * @user: a pointer to another address space
		 * @nothing: no such parameter
		 *
		 * Return: what it should not
		 */
		int static_fault(int *kernel, int __user *user);
		int static_fault(int *kernel, int __user *user)
		{
			int value;

			value = 0;
			if (!kernel) {
				kernel = NULL;
			};
			return *user;
		}
	END
}

# A tree with the objects of yours and files of its own, so that yours is not touched.
make_tree() {
	local objects
	objects=$(tree_git rev-parse --path-format=absolute --git-path objects)
	if [[ $(cat "$src/.git/objects/info/alternates" 2>/dev/null) != "$objects" ]]; then
		rm -rf "$src"
		git init -q -b static "$src"
		printf '%s\n' "$objects" >"$src/.git/objects/info/alternates"
	fi
	# the index of an interrupted run
	rm -f "$src/.git/index.lock"
	# whose licenses spdxcheck.py, which checkpatch runs, looks at
	git -C "$src" update-ref refs/heads/static "$(state_get base)"
}

# The tree object of branch numa with the uncommitted edits.
edited_tree() {
	cp "$(tree_git rev-parse --path-format=absolute --git-path index)" "$tmp/index"
	(
		export GIT_INDEX_FILE=$tmp/index GIT_OBJECT_DIRECTORY=$src/.git/objects
		tree_git add -A
		tree_git write-tree
	)
}

# The files of one tree object into $src; what is the same keeps its time.
to_tree() {
	git -C "$src" -c core.autocrlf=false -c core.hooksPath=/dev/null read-tree --reset -u "$1" 2>"$tmp/git.log" ||
		die "the copy of the tree could not be made in $src: $(reason_in "$tmp/git.log")"
}

# kbuild gcc|clang|ARCHITECTURE ARGUMENT...
kbuild() {
	local compiler=(CC='ccache gcc' HOSTCC='ccache gcc' KCFLAGS=-fno-diagnostics-show-caret)
	if [[ $1 == clang ]]; then
		compiler=(LLVM="$llvm" CC="ccache clang$llvm" HOSTCC="ccache clang$llvm" KCFLAGS=-fno-caret-diagnostics)
	elif [[ -n ${cross[$1]:-} ]]; then
		compiler+=(ARCH="$1" CROSS_COMPILE="${cross[$1]}" CC="ccache ${cross[$1]}gcc")
	fi
	# the kernel's Makefile gives LC_ALL up, and compilers quote as the language does
	env -u LANGUAGE -u LC_CTYPE -u LC_MESSAGES LANG=C make -C "$src" O="$static/$1" -j"$JOBS" -k LOCALVERSION= "${compiler[@]}" \
		"${@:2}" </dev/null
}

# What the kernel of this compiler is configured from
configured_from() {
	if [[ -z ${cross[$1]:-} ]]; then
		printf '%s\n' "$work/patched/.config" "$top/config/kernel/static.config"
		return
	fi
	fragments_of patched
	[[ ! -f $top/config/kernel/$1.config ]] || printf '%s\n' "$top/config/kernel/$1.config"
}

configure() {
	local fragments option log=$static/$1/config.log
	mapfile -t fragments < <(configured_from "$1")
	mkdir -p "$static/$1"
	cat "${fragments[@]}" >"$static/$1/.config"
	kbuild "$1" olddefconfig >"$log" 2>&1 || return
	# most options are those of x86; without these there is little to compile
	for option in NUMA NUMA_BALANCING PER_VMA_LOCK TRANSPARENT_HUGEPAGE; do
		grep -qx "CONFIG_$option=y" "$static/$1/.config" || {
			printf 'error: CONFIG_%s is not in the configuration\n' "$option" >>"$log"
			return 1
		}
	done
}

# The objects of the C files $@ that this tree has
objects_of() {
	local file
	for file in "$@"; do
		[[ ! -f $src/$file ]] || object_of "$src" "$file"
	done | sort -u
}

# run_TOOL LOG FILE...: fails with a reason in $reason where the tool has not done its work on
# all of the files.
run_compiler() {
	local tool=$1 log=$2 objects object
	shift 2
	mapfile -t objects < <(objects_of "$@")
	((${#objects[@]})) || return 0
	if ! configure "$tool"; then
		reason="configuring: $(reason_in "$static/$tool/config.log")"
		return 1
	fi
	(cd "$static/$tool" && rm -f "${objects[@]/%/.o}")
	kbuild "$tool" W=1 "${objects[@]/%/.o}" >"$log" 2>&1 || true
	for object in "${objects[@]}"; do
		if [[ ! -f $static/$tool/$object.o ]]; then
			reason="no object of ${object##*/../}.c: $(reason_in "$log")"
			return 1
		fi
	done
}

run_gcc() {
	run_compiler gcc "$@"
}

run_clang() {
	run_compiler clang "$@"
}

run_arm64() {
	run_compiler arm64 "$@"
}

run_powerpc() {
	run_compiler powerpc "$@"
}

# After gcc, so that only the checker runs.
run_sparse() {
	local log=$1 objects object
	shift
	mapfile -t objects < <(objects_of "$@")
	((${#objects[@]})) || return 0
	if ! kbuild gcc W=1 C=2 CHECK="$sparse" CF='-fmax-errors=unlimited -fmax-warnings=unlimited' \
		"${objects[@]/%/.o}" >"$log" 2>&1; then
		reason=$(reason_in "$log")
		return 1
	fi
	# kbuild goes on where it does not like the checker
	for object in "${objects[@]}"; do
		if ! grep -qxF "  CHECK   $object.c" "$log"; then
			reason="kbuild has not run it on ${object##*/../}.c"
			return 1
		fi
	done
}

# On copies of the files, as coccicheck knows directories only.
run_coccicheck() {
	local log=$1 file include=$src/include gen=$static/gcc/arch/x86/include/generated
	shift
	(($#)) || return 0
	rm -rf "$static/cocci"
	mkdir -p "$static/cocci"
	for file in "$@"; do
		if [[ -f $src/$file ]] && ! (cd "$src" && cp --parents "$file" "$static/cocci") >"$log" 2>&1; then
			reason=$(reason_in "$log")
			return 1
		fi
	done
	# spatch would ask the git around it which files may match: the lab's, which knows none
	(
		cd "$static"
		export srctree=$src srcroot=$static/cocci MODE=report J=$JOBS V=0 SPFLAGS=--use-coccigrep
		export LINUXINCLUDE="-I$src/arch/x86/include -I$gen -I$include -I$static/gcc/include -I$src/arch/x86/include/uapi -I$gen/uapi -I$include/uapi -include $include/linux/compiler-version.h -include $include/linux/kconfig.h"
		unset C COCCI DEBUG_FILE SPATCH KBUILD_EXTMOD
		bash "$src/scripts/coccicheck"
	) >"$log" 2>&1 </dev/null && return
	reason=$(grep -B1 -m1 '^coccicheck failed' "$log" | head -n1)
	reason=${reason:-$(reason_in "$log")}
	return 1
}

run_kernel-doc() {
	local log=$1 file files=()
	shift
	for file in "$@"; do
		[[ ! -f $src/$file ]] || files+=("$file")
	done
	((${#files[@]})) || return 0
	if ! (cd "$src" && PYTHONDONTWRITEBYTECODE=1 scripts/kernel-doc -none -Wall "${files[@]}") >"$log" 2>&1 ||
		grep -q '^Traceback' "$log"; then
		reason=$(reason_in "$log")
		return 1
	fi
}

# The files are patches here. It says nothing of a base.
run_checkpatch() {
	local log=$1 patch
	shift
	for patch in "$@"; do
		(checkpatch "$patch" "$src") >>"$log" 2>&1 || true
	done
	# each line has to be a finding
	if grep -vE '^[^ ]+\.patch:[0-9]+: (ERROR|WARNING|CHECK):' "$log" >"$tmp/other"; then
		reason=$(head -n1 "$tmp/other")
		return 1
	fi
}

# The files, or patches, that a tool is for
files_of() {
	case $1 in
	sparse | gcc | clang) printf '%s\n' "${compiled[@]}" ;;
	arm64 | powerpc) printf '%s\n' "${compiled[@]}" | grep -vE '^(arch|virt)/' ;;
	checkpatch) sed "1d; s|^|$static/patches/|" "$static/patches/series" ;;
	*) printf '%s\n' "${touched[@]}" ;;
	esac | sed '/^$/d'
}

# run_tool TOOL SIDE FILE...: findings in SIDE/TOOL, or the reason why not in SIDE/TOOL.failed
run_tool() {
	local tool=$1 dir=$seen/$2 kind=compiler start=$SECONDS reason=
	shift 2
	case $tool in
	coccicheck | kernel-doc | checkpatch) kind=$tool ;;
	esac
	: >"$dir/$tool.log"
	if ! "run_$tool" "$dir/$tool.log" "$@"; then
		printf '%s\n' "${reason:-no reason given}" >"$dir/$tool.failed"
	fi
	findings_in "$kind" "$src/" "$static/cocci/" "$static/" <"$dir/$tool.log" >"$dir/$tool"
	note "$tool: $(wc -l <"$dir/$tool") findings in $(min_sec $((SECONDS - start)))"
}

# What the findings at the base depend on
base_key() {
	printf '%s\n' "$base_tree" "${touched[@]}" "${version[@]}"
	sha "$top/scripts/static.sh" "$top/scripts/findings.sh" "$work/patched/.config" "$top"/config/kernel/*.config
}

at_base() {
	local tool files
	mkdir -p "$seen/base"
	if [[ $(cat "$static/base/key" 2>/dev/null) == "$(base_key)" ]]; then
		cp "$static/base"/* "$seen/base/"
		note "the findings of an earlier run on the same files with the same tools"
		return
	fi
	to_tree "$base_tree"
	for tool in "${tools[@]}"; do
		[[ $tool != checkpatch ]] || continue
		mapfile -t files < <(files_of "$tool")
		run_tool "$tool" base "${files[@]}"
	done
	: >"$seen/base/checkpatch"
	rm -rf "$static/base"
	if [[ -z $(find "$seen/base" -name '*.failed') ]]; then
		cp -r "$seen/base" "$static/base"
		base_key >"$static/base/key"
	fi
}

with_series() {
	local tool files
	mkdir -p "$seen/patched"
	to_tree "$patched_tree"
	rm -rf "$static/patches"
	series_write numa "$static/patches" "$patches/0000-cover-letter.patch"
	for tool in "${tools[@]}"; do
		mapfile -t files < <(files_of "$tool")
		run_tool "$tool" patched "${files[@]}"
	done
	not_compiled >"$seen/not-compiled"
}

# Files that are in no object, neither by themselves nor as a header
not_compiled() {
	local file object
	while IFS= read -r object; do
		cat "$static/gcc/${object%/*}/.${object##*/}.o.cmd" 2>/dev/null || true
	done < <(objects_of "${compiled[@]}") | tr ' ' '\n' | grep '\.[ch]$' | sort -u >"$tmp/deps"
	for file in "${compiled[@]}" "${headers[@]}"; do
		[[ ! -f $src/$file ]] || grep -qE "(^|/)${file//./\\.}\$" "$tmp/deps" || printf '%s\n' "$file"
	done
}

# A fault for each tool in one file; to see that they look.
with_faults() {
	local tool file
	mkdir -p "$seen/fault"
	file=$(cd "$src" && { files_of arm64 && echo mm/mempolicy.c; } | xargs stat -c '%s %n' 2>/dev/null | sort -n | sed -n '1s/^[0-9]* //p') || true
	fault_text >>"$src/$file"
	{
		printf 'From: A Tester <tester@localhost>\nSubject: [PATCH] mm: a fault\n\nIt has a reason that is long enough.\n---\n'
		git -C "$src" diff "$file"
	} >"$tmp/fault.patch"
	for tool in "${tools[@]}"; do
		run_tool "$tool" fault "$([[ $tool == checkpatch ]] && echo "$tmp/fault.patch" || echo "$file")"
	done
	to_tree "$patched_tree"
}

# failure_of TOOL FAULT: why a tool has failed, or nothing
failure_of() {
	local tool=$1 new
	new=$(wc -l <"$seen/$tool.new")
	if [[ -f $seen/base/$tool.failed ]]; then
		printf 'could not run at the base: %s' "$(cat "$seen/base/$tool.failed")"
	elif ((new)); then
		printf '%d new' "$new"
	elif [[ -f $seen/patched/$tool.failed ]]; then
		printf 'could not run: %s' "$(cat "$seen/patched/$tool.failed")"
	elif [[ $2 == missed ]]; then
		printf 'does not find the fault made for it'
	elif [[ $tool == gcc && -s $seen/not-compiled ]]; then
		printf 'no object has %s' "$(paste -sd' ' "$seen/not-compiled")"
	fi
}

row() {
	printf '| %s | %s | %s | %s | %s | %s |\n' "$@" >>"$seen/table.md"
	printf '      %-24s %5s %8s %5s %7s  %s\n' "$@"
}

judge() {
	local tool files fault why found status=0
	row tool files "at base" new fault verdict
	printf '|---|---|---|---|---|---|\n' >>"$seen/table.md"
	for tool in "${tools[@]}"; do
		mapfile -t files < <(files_of "$tool")
		new_findings "$seen/base/$tool" "$seen/patched/$tool" >"$seen/$tool.new"
		new_findings "$seen/patched/$tool" "$seen/fault/$tool" >"$seen/fault/$tool.new"
		fault=missed
		! grep -qE -- "${fault_of[$tool]}" "$seen/fault/$tool.new" || fault=found
		why=$(failure_of "$tool" "$fault")
		found=$(wc -l <"$seen/base/$tool")
		[[ $tool != checkpatch ]] || found=-
		row "${version[$tool]}" "${#files[@]}" "$found" "$(wc -l <"$seen/$tool.new")" "$fault" "${why:+FAILED: }${why:-pass}"
		[[ -z $why ]] || status=1
	done
	row smatch - - - - "not available: Debian has neither a package nor its source"
	for tool in "${tools[@]}"; do
		sed "s/^/      new: $tool: /" "$seen/$tool.new"
	done
	return $status
}

# Touched files by what can be done with them; says which are left to other eyes.
sort_files() {
	local file others=0
	touched=() compiled=() headers=()
	while IFS= read -r file; do
		if [[ $file != *.[ch] ]]; then
			others=$((others + 1))
			continue
		fi
		touched+=("$file")
		if [[ $file =~ ^(tools|samples|Documentation)/ || ($file == arch/* && $file != arch/x86/*) ]]; then
			note "$file: in no x86 kernel, so neither compiled nor given to sparse"
		elif [[ $file == *.c ]]; then
			compiled+=("$file")
		else
			headers+=("$file")
		fi
	done < <(git -C "$src" diff --name-only --no-renames "$base_tree" "$patched_tree")
	note "${#touched[@]} C files and headers, of them ${#compiled[@]} to compile; $others other files"
}

sparse_version() {
	local dir=${sparse%/sparse}
	case $dir in
	"$cache"/sparse-*) printf '%s\n' "${dir##*/sparse-}" ;;
	*) "$sparse" --version ;;
	esac
}

main() {
	local start=$SECONDS
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "static.sh takes no argument but -h, not $1" ;;
	esac
	take_lock static
	export KERNEL=patched
	ccache_setup
	llvm=-19
	phase_of=6
	phase "tools"
	"$top/scripts/tools.sh" static
	phase_done
	phase "fetch Linux $(base_value version), apply patches/$BASE, copy the tree"
	"$top/scripts/fetch.sh"
	"$top/scripts/apply.sh"
	"$top/scripts/config.sh"
	sparse=$("$top/scripts/sparse.sh")
	mkdir -p "$static"
	tmp=$(mktemp -d "$static/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	make_tree
	base_tree=$(tree_git rev-parse "$(state_get base)^{tree}")
	patched_tree=$(edited_tree)
	tree_is_clean || note "uncommitted edits are checked too, but not by checkpatch"
	sort_files
	declare -gA version=(
		[sparse]="sparse $(sparse_version)"
		[gcc]="gcc $(gcc -dumpfullversion) W=1"
		[clang]="clang $("clang$llvm" -dumpversion) W=1"
		[coccicheck]="coccicheck, spatch $(spatch --version | awk 'NR == 1 { print $3 }')"
		[arm64]="gcc $("${cross[arm64]}gcc" -dumpfullversion) for arm64 W=1"
		[powerpc]="gcc $("${cross[powerpc]}gcc" -dumpfullversion) for powerpc W=1"
		["kernel-doc"]="kernel-doc -Wall"
		[checkpatch]="checkpatch --strict"
	)
	rm -rf "$seen"
	mkdir -p "$seen"
	phase_done
	phase "findings at the base"
	at_base
	phase_done
	phase "findings with the series"
	with_series
	phase_done
	phase "a fault for each tool"
	with_faults
	phase_done
	phase "verdict"
	judge || {
		note "logs and findings: ${seen#"$PWD/"}/{base,patched,fault}"
		die "static analysis: new findings, or a tool that has not done its work (above)"
	}
	phase_done "$(min_sec $((SECONDS - start))) in all; all findings: ${seen#"$PWD/"}"
}

main "$@"
