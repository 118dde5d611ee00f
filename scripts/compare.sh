#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Run the scenarios of selftests/bench on two kernels, and compare what they measure.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: compare.sh [-h | --stored]

		Boots the kernels A=$A and B=$B with each scenario of BENCH (all by default) and each seed
		from 1 to SEEDS=$SEEDS, A beside B, and prints what was measured, the ratio of B to A and
		whether that is within the bound that the scenario states.
		A and B: what KERNEL accepts; BASE:KERNEL of another base; or a directory with the runs of
		an earlier comparison (results/compare/a or b, kept elsewhere).
		BENCH: $(scenarios | tr '\n' ' ')
		Each scenario has a topology of its own; TOPO=NAME puts all of them on another one.
		Runs and the table are kept in results/compare (NUMA_COMPARE: another directory).
		Exit status: 1 where B is worse than a bound allows, or a run has no figures.
		--stored: hold the figures against those of ${stored#"$top/"} instead. Exit status: 0 where all
		are the same, 3 where they are not as what was run has changed, 1 else.
	END
}

stored=$top/Documentation/comparison/measures.json

scenarios() {
	sed -n 's/^TEST_GEN_PROGS [:+]*= //p' "$top/selftests/bench/Makefile"
}

# Value of key $2 in the "lab:" line of scenario $1, or $3
of_scenario() {
	local value
	value=$(sed -nE "s/^ \* lab:.* $2=([^ ]*).*/\1/p" "$top/selftests/bench/$1.c")
	printf '%s' "${value:-$3}"
}

# Sets base and kernel from A or B
split_kernel() {
	base=$BASE kernel=$1
	if [[ $1 =~ ^(v[0-9.]+):(.+)$ ]]; then
		base=${BASH_REMATCH[1]} kernel=${BASH_REMATCH[2]}
	fi
}

prepare() {
	local base kernel
	[[ ! -d $1 ]] || return 0
	split_kernel "$1"
	note "kernel $1"
	BASE=$base KERNEL=$kernel "$top/scripts/fetch.sh"
	BASE=$base KERNEL=$kernel "$top/scripts/apply.sh"
	[[ $kernel == */* ]] || BASE=$base KERNEL=$kernel "$top/scripts/config.sh"
	BASE=$base KERNEL=$kernel "$top/scripts/build.sh"
}

# One guest of kernel $1 with scenario $2 and seed $3 into directory $4
run_one() {
	local base kernel image
	[[ ! -d $1 ]] || return 0
	split_kernel "$1"
	# the same initramfs for both: the image of the one is booted by the other's base
	image=$(BASE=$base KERNEL=$kernel "$top/scripts/build.sh" --path)
	mkdir -p "$4"
	printf '%s\n' "$1" >"$4/kernel"
	# some are long where a kernel is slow: as long as selftests/bench/settings has it
	TIMEOUT=${TIMEOUT:-1800} KERNEL=$image TESTS=$2 SEED=$3 TOPO=${topo:-$(of_scenario "$2" topo 4node)} \
	NUMA_SHIFT=$(of_scenario "$2" shift 3) NUMA_CPU=$(of_scenario "$2" cpu '') judged_guest "$4"
}

main() {
	local topo='' name seed pids=() names dir_a dir_b done=0 all against=()
	case ${1:-} in
	-h) usage && exit ;;
	--stored) against=(--stored "$stored") ;;
	?*) usage_error "compare.sh accepts -h and --stored, not $1" ;;
	esac
	for name in $BENCH; do
		scenarios | grep -qxF -- "$name" ||
			usage_error "BENCH: there is no scenario $name; accepted: $(scenarios | tr '\n' ' ')"
	done
	# 4node is the default of all other commands
	[[ $TOPO == 4node ]] || topo=$TOPO
	names=${BENCH:-$(scenarios)}
	for name in "$A" "$B"; do
		[[ -d $name ]] || (
			split_kernel "$name"
			BASE=$base KERNEL=$kernel "$top/scripts/build.sh" -h >/dev/null
		) || exit 2
	done
	take_lock compare
	trap end_children EXIT
	out=${NUMA_COMPARE:-$results/compare}
	dir_a=$out/a dir_b=$out/b
	[[ ! -d $A ]] || dir_a=$(cd "$A" && pwd -P)
	[[ ! -d $B ]] || dir_b=$(cd "$B" && pwd -P)
	for name in "$A" "$B"; do
		[[ ! -d $name || $(realpath "$name") != "$(realpath -m "$out")"/* ]] ||
			usage_error "$name is where this comparison writes to: move it elsewhere first"
	done
	phase_of=3
	phase "kernels and scenarios"
	prepare "$A"
	prepare "$B"
	"$top/scripts/selftests.sh" >/dev/null
	"$top/scripts/initramfs.sh"
	phase_done
	phase "run"
	[[ -d $A ]] || rm -rf "$dir_a"
	[[ -d $B ]] || rm -rf "$dir_b"
	mkdir -p "$out"
	all=$(($(wc -w <<<"$names") * SEEDS))
	for name in $names; do
		for ((seed = 1; seed <= SEEDS; seed++)); do
			run_one "$A" "$name" "$seed" "$dir_a/$name-$seed" &
			pids=($!)
			run_one "$B" "$name" "$seed" "$dir_b/$name-$seed" &
			pids+=($!)
			wait "${pids[0]}" || true
			wait "${pids[1]}" || true
			done=$((done + 1))
			note "$done of $all: $name, seed $seed"
		done
	done
	phase_done
	phase "compare"
	# the packages that report.py needs are those of the system's python3
	/usr/bin/python3 "$top/scripts/compare.py" "$dir_a" "$dir_b" --names "$A" "$B" --out "$out" "${against[@]}" \
		--scenarios "$(tr '\n' ' ' <<<"$names")" --seeds "$SEEDS" \
		--command "make compare A=$A B=$B SEEDS=$SEEDS${topo:+ TOPO=$topo}${BENCH:+ BENCH=\"$BENCH\"}"
}

main "$@"
