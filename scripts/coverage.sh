#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# How much of the kernel code of the series the kselftests run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: coverage.sh [-h]

		Builds KERNEL=gcov and the kselftests, runs them on every topology and adds the counts up.
		Prints, for each instrumented file, the lines that were run and the branches that were
		taken, both of those the compiler has emitted, and fails below $min_lines % and $min_branches %.
		$results/coverage/FILE.gcov: the source with its counts, ##### where it never ran.
	END
}

min_lines=95 min_branches=85

# Guest $1 on TOPO, judged, in the background
start_guest() {
	judged_guest "$out/$1" &
	pids+=($!)
	if ((${#pids[@]} == $(nproc))); then
		wait "${pids[@]}" || true
		pids=()
	fi
}

# Guests on every topology, as many at a time as there are CPUs; and those that are
# booted with each word that numa_balancing= has, and with none of them.
run_guests() {
	local topo dir word pids=() status=0
	for topo in $(names_in "$top/config/topology" .conf); do
		TOPO=$topo start_guest "$topo"
	done
	for word in enable disable perhaps; do
		TOPO=2node TESTS=numab_knobs NUMA_CMDLINE=numa_balancing=$word start_guest "2node-$word"
	done
	wait
	for dir in "$out"/*/; do
		[[ $(cat "$dir/verdict") == pass ]] || status=1
	done
	sed 's/^ *//' "$out"/*/out | grep '^verdict' | sort | uniq -c | sed 's/^ */      /'
	((status == 0)) || cat "$out"/*/out >&2
	return $status
}

# add_up: the counts of all guests into one directory, $sum
add_up() {
	local dir first=y
	for dir in "$out"/*/; do
		[[ -s $dir/gcov.tar ]] || die "the guest on $(basename "$dir") has sent no counts"
		mkdir "$dir/gcov"
		tar -xf "$dir/gcov.tar" -C "$dir/gcov"
		if [[ -n $first ]]; then
			cp -r "$dir/gcov" "$sum"
		else
			gcov-tool merge "$sum" "$dir/gcov" -o "$sum.new" >"$out/merge.log" 2>&1 ||
				die "adding up the counts: $(reason_in "$out/merge.log")"
			rm -r "$sum"
			mv "$sum.new" "$sum"
		fi
		first=
	done
}

# The table, from gcov's own summary: lines and branches of each instrumented file.
judge() {
	local file name lines branches status=0
	printf '      %-24s %10s %10s\n' file lines branches
	for file in "$sum"/*.gcda; do
		name=$(basename "$file" .gcda)
		object=$(cd "$work/gcov" && find . -name "$name.gcno" -print -quit)
		[[ -n $object ]] || die "the build has no notes for $name: make build KERNEL=gcov"
		cp "$work/gcov/$object" "$sum/"
		(cd "$work/gcov" && gcov -b -p "$file" && mv ./*"$name.c.gcov" "$out/$name.c.gcov" && rm -f ./*.gcov) \
			>"$out/$name.log" 2>&1 || die "gcov: $(reason_in "$out/$name.log")"
		read -r lines branches < <(awk -v name="/$name.c'" '
			/^File / { on = index($0, name) }
			on && /^Lines executed/ { split($2, l, ":") }
			on && /^Taken at least once/ { split($4, b, ":") }
			END { print l[2] + 0, b[2] + 0 }' "$out/$name.log")
		printf '      %-24s %8s %% %8s %%\n' "${object#./}" "$lines" "$branches"
		awk -v l="$lines" -v b="$branches" -v ml="$min_lines" -v mb="$min_branches" \
			'BEGIN { exit !(l >= ml && b >= mb) }' || status=1
	done
	return $status
}

main() {
	local status=0
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "coverage.sh takes no argument but -h, not $1" ;;
	esac
	take_lock coverage
	trap end_children EXIT
	export KERNEL=gcov TESTS=
	out=$results/coverage sum=$results/coverage/sum
	phase_of=4
	phase "build the gcov kernel"
	"$top/scripts/config.sh"
	"$top/scripts/build.sh"
	phase_done
	phase "build the kselftests and the initramfs"
	"$top/scripts/selftests.sh"
	"$top/scripts/initramfs.sh"
	phase_done
	phase "kselftests on every topology"
	rm -rf "$out"
	mkdir -p "$out"
	run_guests || die "a run failed (above): the counts would be of something else"
	phase_done
	phase "counts"
	add_up
	judge || status=1
	note "counted source: ${out#"$PWD/"}/*.gcov"
	((status == 0)) || die "less than $min_lines % of lines or $min_branches % of branches"
}

main "$@"
