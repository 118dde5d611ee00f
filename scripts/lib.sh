# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Shared by all scripts: the variables of the Makefile, paths, errors, the lock,
# phases. To be sourced after "set -euo pipefail".

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# Exit 2 for what the caller did wrong, 1 for what went wrong.
usage_error() {
	printf 'error: %s\n' "$*" >&2
	exit 2
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

note() {
	printf '      %s\n' "$*"
}

# What make was told. Kbuild takes O and V from its command line only.
: "${BASE:=v7.3}" "${KDIR:=}" "${KERNEL:=patched}" "${TOPO:=4node}" "${TESTS:=}"
: "${SEED:=1}" "${ACCEL:=tcg}" "${TIMEOUT:=}" "${PATCH:=}" "${JOBS:=}" "${V:=0}" "${O:=$top/build}"
: "${OLD:=}" "${FROM:=}" "${A:=base}" "${B:=patched}" "${BENCH:=}" "${SEEDS:=1}"
export BASE KDIR KERNEL TOPO TESTS SEED ACCEL TIMEOUT PATCH OLD FROM A B BENCH SEEDS JOBS V O
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS ARCH CROSS_COMPILE LLVM
unset KBUILD_OUTPUT KCFLAGS LOCALVERSION
export LC_ALL=C TZ=UTC

results=$top/results
dl=${NUMA_DL:-$top/dl}
# outside of the checkout: a fresh clone finds what an earlier one has made
cache=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/numa-series

# Names separated by spaces, of the files DIR/*SUFFIX.
names_in() {
	local dir=$1 suffix=$2 f names=()
	for f in "$dir"/*"$suffix"; do
		[[ -e $f ]] && names+=("$(basename "$f" "$suffix")")
	done
	printf '%s' "${names[*]}"
}

# Bases that have a directory in patches/
bases_with_series() {
	local base names=()
	for base in $(names_in "$top/config/base" .conf); do
		[[ -f $top/patches/$base/series ]] && names+=("$base")
	done
	printf '%s' "${names[*]}"
}

is_number() {
	[[ $1 =~ ^(0|[1-9][0-9]{0,8})$ ]]
}

# Other configurations that KERNEL=N-NAME has, to be compiled only: config/kernel/NAME.config
variants="nonuma nobalancing i386"

# Fragments that the configuration of KERNEL=$1 is merged from, in this order; a line each
fragments_of() {
	local name parts="numa guest kunit"
	case $1 in
	debug | gcov) parts+=" $1" ;;
	[0-9]*-*) parts="numa compiled ${1#*-}" ;;
	esac
	for name in $parts; do
		printf '%s\n' "$top/config/kernel/$name.config"
	done
}

# KERNEL=N or N-NAME: the base with the first N patches
is_step() {
	[[ $KERNEL != */* && $KERNEL == [0-9]* ]]
}

# The series is in the tree, or it is said how it gets there.
need_numa() {
	tree_git rev-parse -q --verify refs/heads/numa >/dev/null || die "the tree has no branch numa: make apply"
}

# The commit that is built, empty: the tree as it is.
commit_of() {
	local count nr
	if [[ $KERNEL == base || $KERNEL == 0 ]]; then
		state_get base
	elif is_step; then
		nr=${KERNEL%%-*}
		count=$(tree_git rev-list --count "$(state_get base)..numa")
		((nr <= count)) || usage_error "KERNEL=$KERNEL: branch numa has $count commits; accepted: 0 to $count"
		tree_git rev-parse "numa~$((count - nr))"
	fi
}

# Every variable is checked by every script, so that a typo is never a default.
check_variables() {
	[[ -f $top/config/base/$BASE.conf ]] ||
		usage_error "BASE=$BASE is not known; accepted: $(names_in "$top/config/base" .conf)"
	[[ -z $KDIR || -e $KDIR/.git ]] ||
		usage_error "KDIR=$KDIR is not a git work tree of Linux"
	[[ -z $KDIR || -f $KDIR/Kbuild && -f $KDIR/mm/mempolicy.c ]] ||
		usage_error "KDIR=$KDIR is not a Linux tree: it has no mm/mempolicy.c"
	[[ -z $KDIR ]] || KDIR=$(cd "$KDIR" && pwd -P)
	case $KERNEL in
	base | patched | debug | gcov) ;;
	*/*) [[ -f $KERNEL ]] || usage_error "KERNEL=$KERNEL: there is no such file" ;;
	*)
		[[ $KERNEL =~ ^(0|[1-9][0-9]{0,3})(-([a-z0-9]+))?$ ]] ||
			usage_error "KERNEL=$KERNEL is not known; accepted: base, patched, debug, gcov, the number of a patch, or a path to a bzImage"
		[[ -z ${BASH_REMATCH[3]:-} || " $variants " == *" ${BASH_REMATCH[3]} "* ]] ||
			usage_error "KERNEL=$KERNEL: there is no configuration ${BASH_REMATCH[3]}; accepted: $variants"
		;;
	esac
	case $ACCEL in
	tcg | kvm | auto) ;;
	*) usage_error "ACCEL=$ACCEL is not known; accepted: tcg, kvm, auto" ;;
	esac
	[[ -f $top/config/topology/$TOPO.conf || ($TOPO == */* && -f $TOPO) ]] ||
		usage_error "TOPO=$TOPO is not known; accepted: $(names_in "$top/config/topology" .conf), or a path to a file"
	is_number "$SEED" || usage_error "SEED=$SEED is not a number; accepted: 0 to 999999999"
	is_number "$SEEDS" && ((SEEDS > 0)) ||
		usage_error "SEEDS=$SEEDS is not a number of seeds; accepted: 1 or more"
	[[ -z $TIMEOUT ]] || { is_number "$TIMEOUT" && ((TIMEOUT > 0)); } ||
		usage_error "TIMEOUT=$TIMEOUT is not a number of host seconds; accepted: 1 to 999999999"
	[[ -z $OLD ]] || git -C "$top" rev-parse -q --verify "$OLD^{commit}" >/dev/null 2>&1 ||
		usage_error "OLD=$OLD is not a commit of $top; accepted: what git rev-parse takes there, like HEAD~3"
	[[ -z $FROM || -f $top/config/base/$FROM.conf && -f $top/patches/$FROM/series ]] ||
		usage_error "FROM=$FROM has no series; accepted: $(bases_with_series)"
	[[ -z $JOBS ]] || { is_number "$JOBS" && ((JOBS > 0)); } ||
		usage_error "JOBS=$JOBS is not a number; accepted: 1 or more"
	[[ $V == 0 || $V == 1 ]] || usage_error "V=$V is not known; accepted: 0, 1"
	[[ $O == /* ]] || O=$PWD/$O
	[[ $O$top$KDIR != *[[:space:]:]* ]] ||
		usage_error "a kernel cannot be built below a path with blanks or colons: $O, $top${KDIR:+, $KDIR}"
}

# Value of a key in config/base/$BASE.conf
base_value() {
	local value
	value=$(sed -n "s/^$1=//p" "$top/config/base/$BASE.conf")
	[[ -n $value ]] || die "config/base/$BASE.conf has no line $1="
	printf '%s\n' "$value"
}

# Words of a key that the file need not have
base_words() {
	sed -n "s/^$1=//p" "$top/config/base/$BASE.conf"
}

check_variables
: "${JOBS:=$(nproc)}"
patches=$top/patches/$BASE
if [[ -n $KDIR ]]; then
	work=$O/kdir-$(printf '%s' "$KDIR" | cksum | cut -d' ' -f1)
	tree=$KDIR
else
	work=$O/$BASE
	tree=$work/linux
fi

# Where KERNEL is built: the kernels "up to patch N" one after the other in one place.
out=$work/$KERNEL
if is_step; then
	out=$work/step
	[[ $KERNEL != *-* ]] || out=$work/step-${KERNEL#*-}
fi

# The state of the tree is kept beside it, not in it: lines of key=value. $2: that of another tree.
state_get() {
	local file=${2:-$work}/state
	[[ -f $file ]] && sed -n "s/^$1=//p" "$file"
	return 0
}

state_set() {
	mkdir -p "$work"
	{
		[[ -f $work/state ]] && grep -v "^$1=" "$work/state"
		printf '%s=%s\n' "$1" "$2"
	} >"$work/state.tmp" || true
	mv "$work/state.tmp" "$work/state"
}

# git in the tree, whatever the user has configured for line ends or hooks.
tree_git() {
	git -C "$tree" -c core.autocrlf=false -c core.hooksPath=/dev/null -c commit.gpgSign=false \
		-c advice.detachedHead=false -c gc.auto=0 "$@"
}

tree_is_clean() {
	local changes
	changes=$(tree_git status --porcelain --untracked-files=no 2>/dev/null) || die "git status fails in $tree"
	[[ -z $changes ]]
}

# The version of Linux that the base in the tree is, by its Makefile
tree_version() {
	{ tree_git show "$(state_get base):Makefile" 2>/dev/null || true; } | awk -F' *= *' '
		/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRA[A-Z]*) *=/ { of[++n] = $2 }
		END { print n < 3 ? "of no version" : of[1] "." of[2] (of[3] > 0 ? "." of[3] : "") of[4] }'
}

# The fetched tree is the version that config/base names, or what fetch took for it (Debian has not
# every one), or it is said how the two meet.
need_version() {
	local version
	[[ -z $KDIR ]] || return 0
	version=$(base_value version)
	[[ $(state_get version) == "$version" || $(tree_version) == "$version" ]] ||
		die "the tree $tree is Linux $(tree_version), config/base/$BASE.conf names $version:" \
			"make distclean fetch, or put the version back"
}

# To the branch that a build of a commit has left, numa where that is gone; one that was killed has
# not gone back.
back_to_branch() {
	local left
	left=$(state_get switched)
	[[ -n $left ]] || return 0
	tree_git checkout -q "$left" 2>/dev/null || tree_git checkout -q numa ||
		die "the tree $tree cannot go back to branch numa"
	state_set switched ""
}

# The HEAD of a rebase that has stopped is on no branch: whoever leaves it loses what was amended there.
no_rebase_under_way() {
	local dir
	for dir in rebase-merge rebase-apply; do
		[[ ! -d $(tree_git rev-parse --path-format=absolute --git-path $dir) ]] ||
			die "a git rebase or git am is under way in $tree: finish it first, or --abort it"
	done
}

# Of what objects the C file $2 of the tree $1 is a part, without .o; a line each. Another file may
# include it, beside it or above, as those of kernel/sched do; KVM's common part is compiled in the
# directory of x86.
object_of() {
	local dir=${2%/*} name=${2##*/} user users
	users=$(cd "$1" && shopt -s nullglob &&
		grep -lE "^#include \"(${dir##*/}/)?${name//./\\.}\"" "$dir"/*.c "${dir%/*}"/*.c) || true
	if [[ -n $users ]]; then
		for user in $users; do
			printf '%s\n' "${user%.c}"
		done
	elif [[ $dir == virt/kvm ]]; then
		printf '%s\n' "arch/x86/kvm/../../../${2%.c}"
	else
		printf '%s\n' "${2%.c}"
	fi
}

# One command at a time in an output directory; children of the holder may enter.
take_lock() {
	[[ -n ${NUMA_LOCKED:-} ]] && return
	mkdir -p "$O" 2>/dev/null || die "cannot create O=$O"
	exec {lock_fd}<>"$O/.lock" || die "cannot write to O=$O"
	if ! flock -n "$lock_fd"; then
		die "another command works in $O: $(cat "$O/.lock" 2>/dev/null); wait for it, or use another O="
	fi
	printf 'pid %d, make %s, since %s\n' "$$" "${1:-}" "$(date '+%F %T %Z')" >"$O/.lock"
	export NUMA_LOCKED=$$ NUMA_LOCK_FD=$lock_fd
}

# In the background, become a long-lived child (... &): it must not keep the lock
# where it outlives us, and our end must be seen by it, not by a shell in between.
become() {
	if [[ -n ${NUMA_LOCK_FD:-} ]]; then
		exec {NUMA_LOCK_FD}>&-
	fi
	exec "$@"
}

# A guest of KERNEL on TOPO with SEED and TESTS into directory $1, judged; what is said of it
# goes to $1/out. It ends when the shell that runs this function does.
judged_guest() {
	mkdir -p "$1"
	{
		NUMA_QUIET=y setpriv --pdeathsig TERM "$top/scripts/boot.sh" "$1" &&
			if declare -F expected_failures >/dev/null; then expected_failures >"$1/expected"; fi &&
			"$top/scripts/verdict.sh" "$1"
	} >"$1/out" 2>&1 </dev/null
}

# For an EXIT trap: guests in the background do not outlive a script that is ended.
end_children() {
	local pid
	for pid in $(jobs -pr); do
		kill "$pid" 2>/dev/null || true
	done
}

min_sec() {
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# The phase a user sees: "[2/7] fetch Linux 7.3.4", then "done in 0:12".
phase_nr=0
phase_of=${phase_of:-0}
phase() {
	phase_nr=$((phase_nr + 1))
	phase_start=$SECONDS
	printf '[%d/%d] %s\n' "$phase_nr" "$phase_of" "$*"
}

phase_done() {
	note "done in $(min_sec $((SECONDS - phase_start)))${1:+, $1}"
}

sha() {
	sha256sum "$@" | cut -d' ' -f1
}

# A failure in a log, in one line: the first that looks like the reason.
reason_in() {
	local line
	line=$(grep -m1 -aE 'No space left on device' "$1" ||
		grep -m1 -aE '(error|Error|ERROR|fatal|undefined reference)[: ]' "$1" ||
		tail -n1 "$1") || true
	printf '%s' "${line:-no output}"
}
