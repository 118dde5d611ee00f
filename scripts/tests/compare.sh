#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Comparisons of made-up runs: each verdict, runs without figures, runs that cannot be compared,
# and the report.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/defaults.sh"
. "$here/../lib.sh"

bad=0 count=0
# check NAME WANT GOT: WANT is a pattern
check() {
	count=$((count + 1))
	# shellcheck disable=SC2053 # a pattern, on purpose
	[[ $3 == $2 ]] && return
	printf '%s:\n  want %s\n  got  %s\n' "$1" "$2" "$3"
	bad=$((bad + 1))
}

# run SIDE NAME-SEED LINE...: a run that passed with these lines in its log
run() {
	local dir=$tmp/$1/$2
	mkdir -p "$dir"
	printf '{"seed": %d, "topology": "2node", "topology_sha256": "t", "initramfs_sha256": "i",
		"accelerator": "tcg", "icount_shift": 0, "qemu": "q", "lockstep_sha256": "l",
		"kernel_sha256": "%s", "qemu_args": ["-cpu", "max"]}\n' "${2##*-}" "$1" >"$dir/meta.json"
	echo pass >"$dir/verdict"
	printf '[ 1.0] one\n[ 2.0] the last line\n' >"$dir/console.log"
	printf '# # %s\n' "${@:3}" >"$dir/ktap.log"
}

# compare SCENARIOS SEEDS [OPTION...]: its output in $got, its status in $status
compare() {
	status=0
	got=$(/usr/bin/python3 "$top/scripts/compare.py" "$tmp/a" "$tmp/b" --names base patched \
		--out "$tmp/out" --scenarios "$1" --seeds "$2" --command "make compare" "${@:3}" 2>&1) || status=$?
}

row() {
	grep -E "^$1 +$2 " <<<"$got" | tr -s ' ' || true
}

verdicts() {
	run a s-1 "measure: low ns lower 1.05 100" "measure: high PTEs/s higher 0.95 100"
	run b s-1 "measure: low ns lower 1.05 104" "measure: high PTEs/s higher 0.95 96"
	compare s 1
	check "within the bounds" "0 s low ns 100.0 104.0 1.040 same" "$status $(row s low)"
	check "within the bounds" "s high PTEs/s 100.0 96.0 0.960 same" "$(row s high)"
	run b s-1 "measure: low ns lower 1.05 106" "measure: high PTEs/s higher 0.95 94"
	compare s 1
	check "worse" "1 s low ns 100.0 106.0 1.060 worse" "$status $(row s low)"
	check "worse" "s high PTEs/s 100.0 94.0 0.940 worse" "$(row s high)"
	check "the sum" "0 better, 0 the same, 2 worse, 0 without figures; *" "$(tail -n1 <<<"$got")"
	run b s-1 "measure: low ns lower 1.05 90" "measure: high PTEs/s higher 0.95 200"
	compare s 1
	check "better" "0 s low ns 100.0 90.0 0.900 better" "$status $(row s low)"
	check "better" "s high PTEs/s 100.0 200.0 2.000 better" "$(row s high)"
	run a s-1 "measure: low ns lower 1.05 0" "measure: high PTEs/s higher 0.95 0"
	compare s 1
	check "from nothing" "1 s low ns 0.0 90.0 inf worse" "$status $(row s low)"
	check "from nothing" "s high PTEs/s 0.0 200.0 inf better" "$(row s high)"
}

seeds() {
	run a m-1 "measure: low ns lower 1.05 100"
	run a m-2 "measure: low ns lower 1.05 110"
	run a m-3 "measure: low ns lower 1.05 120"
	run b m-1 "measure: low ns lower 1.05 10"
	run b m-2 "measure: low ns lower 1.05 11"
	run b m-3 "measure: low ns lower 1.05 500"
	compare m 3
	check "median and range" "0 m low ns 110.0 (100.0 to 120.0) 11.0 (10.0 to 500.0) 0.100 better" \
		"$status $(row m low)"
	run b m-2 "measure: other ns lower 1.05 11"
	compare m 3
	check "missing in one seed" "1 m low * FAILED: not measured in every run" "$status $(row m low)"
}

without_figures() {
	run a s-1 "measure: low ns lower 1.05 100"
	run b s-1 "measure: low ns lower 1.05 100"
	run a c-1 "measure: low ns lower 1.05 100"
	run b c-1 "measure: low ns lower 1.05 100"
	echo "fail: console: Oops" >"$tmp/b/c-1/verdict"
	compare "c s" 1
	check "a crash is a row" "1 c - FAILED" "$status $(row c -)"
	check "a crash has its reason" "*patched, seed 1: fail: console: Oops*the last line*" "$got"
	check "the others are still there" "s low ns 100.0 100.0 1.000 same" "$(row s low)"
	rm -r "$tmp/b/c-1"
	compare "c s" 1
	check "a run that is not there" "1 c - FAILED" "$status $(row c -)"
	run b c-1 "nothing"
	compare c 1
	check "a run without figures" "*patched, seed 1: it passed and measured nothing*" "$got"
	printf '{"seed": 1' >"$tmp/b/c-1/meta.json"
	compare c 1
	check "a meta.json that is cut" "1 *patched, seed 1: no run: *" "$status $(tail -n +2 <<<"$got" | tr '\n' ' ')"
}

refused() {
	local key
	run a r-1 "measure: low ns lower 1.05 100"
	for key in topology_sha256 initramfs_sha256 accelerator icount_shift qemu seed lockstep_sha256; do
		run b r-1 "measure: low ns lower 1.05 100"
		sed -i "s/\"$key\": [^,]*,/\"$key\": 7,/" "$tmp/b/r-1/meta.json"
		compare r 1
		check "$key" "2 error: r: $key differs: *" "$status $got"
	done
	check "an unknown scenario" "error: BENCH: there is no scenario nosuch; accepted: *scan_sparse*" \
		"$(BENCH=nosuch "$top/scripts/compare.sh" 2>&1 || true)"
	check "an unknown kernel" "error: KERNEL=nosuch *" "$(A=nosuch "$top/scripts/compare.sh" 2>&1 || true)"
	mkdir -p "$tmp/cmp/b"
	check "the runs of before, in the way" "error: $tmp/cmp/b is where this comparison writes to: *" \
		"$(A=$tmp/cmp/b O=$tmp/O NUMA_COMPARE=$tmp/cmp "$top/scripts/compare.sh" 2>&1 || true)"
	check "they are still there" "yes" "$([[ -d $tmp/cmp/b ]] && echo yes)"
	check "no seeds" "error: SEEDS=0 *" "$(SEEDS=0 "$top/scripts/compare.sh" 2>&1 || true)"
	check "no comparison" "*/empty has no comparison *: make compare first" \
		"$(mkdir "$tmp/empty" && /usr/bin/python3 "$top/scripts/report.py" "$tmp/empty" 2>&1 || true)"
}

stored() {
	run a t-1 "measure: low ns lower 1.05 100"
	run b t-1 "measure: low ns lower 1.05 200"
	compare t 1
	cp "$tmp/out/measures.json" "$tmp/stored.json"
	compare t 1 --stored "$tmp/stored.json"
	check "as stored, though worse" "0 2 figures, each as stored" "$status $(tail -n1 <<<"$got")"
	run b t-1 "measure: low ns lower 1.05 201"
	compare t 1 --stored "$tmp/stored.json"
	check "another figure of the same run" "1 t: low: B *201*, stored *200*, of the same run" \
		"$status $(tail -n1 <<<"$got")"
	sed -i 's/"kernel_sha256": "b"/"kernel_sha256": "c"/' "$tmp/b/t-1/meta.json"
	compare t 1 --stored "$tmp/stored.json"
	check "another figure of another kernel" "3 1 figures as stored; others are not, *: kernel_sha256" \
		"$status $(tail -n1 <<<"$got")"
	run b t-1 "measure: new ns lower 1.05 200"
	compare t 1 --stored "$tmp/stored.json"
	check "a figure that was not stored" "1 t: *not in both" "$status $(tail -n1 <<<"$got")"
	compare t 1 --stored "$tmp/nowhere.json"
	check "nothing stored" "2 error: */nowhere.json is no stored comparison: *" "$status $(tail -n1 <<<"$got")"
}

report() {
	local page=$tmp/out/report/report.html
	run a p-1 "measure: low ns lower 1.05 100" "sample: local.x 0.25 10" "sample: local.x 0.5 99" \
		"sample: nodes.x.0 0.25 10" "sample: nodes.x.1 0.25 90" "sample: latency.f 0 10" "sample: latency.f 100 99"
	run b p-1 "measure: low ns lower 1.05 50" "sample: local.x 0.25 50" "sample: latency.f 0 10"
	rm -rf "$tmp/b/c-1"
	compare "p c" 1
	/usr/bin/python3 "$top/scripts/report.py" "$tmp/out" >"$tmp/report.out" 2>&1 || true
	check "pictures" "*report.html, 4 pictures" "$(cat "$tmp/report.out")"
	check "a PNG for each SVG" "4" "$(find "$tmp/out/report" -name '*.png' | wc -l)"
	check "needs nothing else" "" "$(grep -oE "(src|href)=['\"]?[^#'\"][^ >]{,8}" "$page" | grep -v data: | head -n1)"
	check "a row for what failed" "*<td class=FAILED>FAILED</td>*" "$(cat "$page")"
	cp "$page" "$tmp/first.html"
	/usr/bin/python3 "$top/scripts/report.py" "$tmp/out" >"$tmp/report.out" 2>&1 || true
	check "the same page again" "same" "$(cmp "$tmp/first.html" "$page" && echo same)"
}

main() {
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir "$tmp/out"
	verdicts
	seeds
	without_figures
	refused
	stored
	report
	printf '%d comparisons checked, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
