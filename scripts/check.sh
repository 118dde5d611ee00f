#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# All that CI asserts, fast parts first.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"
. "$top/scripts/expected.sh"

usage() {
	cat <<-END
		usage: check.sh [-h | --fast | --debug]

		Runs every check and prints a line for each; the output of a failed one follows it.
		--fast: only what needs neither a kernel build nor a guest.
		--debug: instead of them all, every kselftest on every topology with KERNEL=debug; the
		guests are kept in $results/check-debug.
		The last line is "N passed, N failed, N skipped"; the status is 1 if one failed.
	END
}

passed=0 failed=0 skipped=0

line() {
	printf '%-5s %-58s %s\n' "$1" "$2" "$(min_sec "$3")"
}

# check NAME COMMAND...: the output is shown if it fails, or always with V=1
check() {
	local name=$1 start=$SECONDS status=0
	shift
	"$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	count_result "$name" "$status" "$start"
	((status == 0)) && [[ $V == 0 ]] || sed 's/^/        /' "$tmp/out"
}

# check_stored NAME COMMAND...: status 3 says that what is stored is of something else, the last line why
check_stored() {
	local name=$1 start=$SECONDS status=0
	shift
	"$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	if ((status == 3)); then
		skipped=$((skipped + 1))
		line skip "$name" $((SECONDS - start))
		tail -n 1 "$tmp/out" | sed 's/^ */        /'
		return
	fi
	count_result "$name" "$status" "$start"
	((status == 0)) && [[ $V == 0 ]] || sed 's/^/        /' "$tmp/out"
}

# check_loud NAME COMMAND...: long work whose progress is shown
check_loud() {
	local name=$1 start=$SECONDS status=0
	shift
	printf '....  %s\n' "$name"
	"$@" </dev/null || status=$?
	count_result "$name" "$status" "$start"
}

count_result() {
	if (($2 == 0)); then
		passed=$((passed + 1))
		line ok "$1" $((SECONDS - $3))
	else
		failed=$((failed + 1))
		line FAIL "$1" $((SECONDS - $3))
	fi
}

scripts_lint() {
	local files=("$top"/scripts/*.sh "$top"/scripts/tests/*.sh "$top/scripts/guest/init" "$top/.ci/run")
	cd "$top"
	"$1" "${@:2}" "${files[@]}"
}

# What a stranger finds: no dead link, no program that git takes for a new file.
documents() {
	local file link dir bad=0
	cd "$top"
	for dir in selftests/numa selftests/bench; do
		diff <(sed -n 's/^TEST_GEN_PROGS [+:]= //p' $dir/Makefile) <(sed 1d $dir/.gitignore) || bad=1
	done
	for file in README.md Documentation/*.md; do
		while IFS= read -r link; do
			[[ $link == *://* || -e $(dirname "$file")/$link ]] && continue
			echo "$file: there is no $link"
			bad=1
		done < <(grep -oE '\]\([^)#]+\)' "$file" | sed 's/^](//; s/)$//')
	done
	codespell README.md Documentation scripts selftests config || bad=1
	return $bad
}

fast_checks() {
	check "shellcheck" scripts_lint shellcheck -x
	check "shfmt" scripts_lint shfmt -d
	check "documents: links and spelling; ignored files" documents
	check "scripts explain themselves, wrong use is refused" "$top/scripts/tests/usage.sh"
	check "topology files: mistakes name their line" "$top/scripts/tests/topology.sh"
	check "verdicts of stored runs" "$top/scripts/tests/golden.sh"
	check "findings of static analysers, old and new" "$top/scripts/tests/findings.sh"
	check "fetch against a server on loopback" "$top/scripts/tests/fetch.sh"
	check "apply and refresh on a small tree" "$top/scripts/tests/series.sh"
	check "comparisons and reports of made-up runs" "$top/scripts/tests/compare.sh"
	check "bisect-check on a small tree: failures, and rows that stay" "$top/scripts/tests/bisect.sh"
	check "range-diff, rebase, mbox, export on small trees" "$top/scripts/tests/send.sh"
	check_loud "fetch $BASE" "$top/scripts/fetch.sh"
	check "series applies strictly" "$top/scripts/apply.sh"
	check "refresh gives the same bytes" "$top/scripts/refresh.sh" --check
	check "checkpatch --strict, a proof for each patch" "$top/scripts/tests/patches.sh"
	((failed)) || check_stored "evidence is of this series" "$top/scripts/prove.sh" --stale
}

# One guest in the background, judged: its directory is $guests/NAME
guest() {
	KERNEL=$1 TOPO=$2 SEED=$3 TESTS='' judged_guest "$guests/$4"
}

# guest_checks KERNEL...: each on every topology, as many guests at a time as there are CPUs;
# the patched kernel also with another seed.
guest_checks() {
	local kernel topo names=() pids=() starts=() i next width
	width=$(nproc)
	((width <= 8)) || width=8
	for topo in $(names_in "$top/config/topology" .conf); do
		for kernel in "$@"; do
			names+=("$kernel $topo 1 $kernel-$topo")
		done
	done
	[[ " $* " != *" patched "* ]] || names+=("patched 4node 2 patched-4node-seed2")
	echo "....  kselftests in ${#names[@]} guests, $width at a time"
	for ((next = 0; next < ${#names[@]}; next++)); do
		# a slot is free when the guest that began first of the running ones ends
		if ((next >= width)); then
			guest_result $((next - width))
		fi
		# shellcheck disable=SC2086 # four words
		guest ${names[next]} &
		pids[next]=$! starts[next]=$SECONDS
	done
	for ((i = ${#names[@]} > width ? ${#names[@]} - width : 0; i < ${#names[@]}; i++)); do
		guest_result "$i"
	done
}

# Wait for guest number $1 of guest_checks and count it.
guest_result() {
	local name dir status=0
	read -r name topo _ dir <<<"${names[$1]}"
	wait "${pids[$1]}" || status=$?
	count_result "$dir: $(sed -n 's/^ *verdict: //p' "$guests/$dir/out" | head -n1 | cut -c1-70)" "$status" "${starts[$1]}"
	((status == 0)) && [[ $V == 0 ]] || sed 's/^/        /' "$guests/$dir/out"
}

# The same run again, now with both CPUs busy elsewhere: the same bytes.
deterministic() {
	local busy=() pid status=0 file
	for ((pid = 0; pid < $(nproc); pid++)); do
		(while :; do :; done) &
		busy+=($!)
	done
	# which takes twice as long, or longer
	TIMEOUT=${TIMEOUT:-1200} guest patched 4node 1 again || {
		status=1
		sed -n 's/^ *verdict: //p' "$guests/again/out" | head -n1
	}
	kill "${busy[@]}"
	for file in console.log ktap.log; do
		if ! cmp "$guests/patched-4node/$file" "$guests/again/$file"; then
			diff -a "$guests/patched-4node/$file" "$guests/again/$file" | head -n 10
			status=1
		fi
	done
	if ((status)); then
		# to look for where they part
		rm -rf "$results/differ"
		mkdir -p "$results/differ"
		cp -r "$guests/patched-4node" "$guests/again" "$results/differ/"
		echo "both runs: $results/differ"
	fi
	return $status
}

other_seed_differs() {
	! cmp -s "$guests/patched-4node/console.log" "$guests/patched-4node-seed2/console.log"
}

# A short comparison against the stored one. With other kernels, or another QEMU, than were run
# for that the figures are others: then there is nothing to hold them against, and why is said.
stored_figures() {
	A=base B=patched BENCH=fork_exec SEEDS=1 TOPO=4node NUMA_COMPARE=$tmp/compare \
		"$top/scripts/compare.sh" --stored
}

# In a shell of its own, as a bad one ends it
proofs_name_tests() {
	(check_proofs "$work/selftests/install/numa")
}

builds() {
	KERNEL=$1 "$top/scripts/config.sh" && KERNEL=$1 "$top/scripts/build.sh"
}

userspace() {
	"$top/scripts/selftests.sh" && "$top/scripts/initramfs.sh"
}

same_initramfs() {
	local first
	first=$(sha "$work/initramfs.cpio")
	rm -rf "$work/selftests" "$work/initramfs" "$work/initramfs.cpio"
	userspace
	[[ $(sha "$work/initramfs.cpio") == "$first" ]]
}

# What is slow and meant to find what no test asserts.
debug_checks() {
	check_loud "fetch $BASE" "$top/scripts/fetch.sh"
	check "series applies strictly" "$top/scripts/apply.sh"
	((failed)) || check_loud "build the debug kernel" builds debug
	((failed)) || check "build the kselftests and the initramfs" userspace
	((failed)) || guest_checks debug
}

all_checks() {
	local fast=$1
	fast_checks
	if [[ -z $fast ]] && ((failed == 0)); then
		check_loud "build the base kernel" builds base
		check_loud "build the patched kernel" builds patched
		check "build the kselftests and the initramfs" userspace
		check "each proof names a test that there is" proofs_name_tests
		((failed)) || check_stored "bisect-check is of this series" "$top/scripts/bisect.sh" --stale
		check "the initramfs is the same when built again" same_initramfs
		((failed)) || guest_checks base patched
		((failed)) || check_loud "bisect-check, a sample" "$top/scripts/bisect.sh" --sample
		if ((failed == 0)); then
			check "the same run under load gives the same bytes" deterministic
			check "another seed gives another run" other_seed_differs
			check_stored "figures of fork_exec are as stored" stored_figures
			check "faults: one line, a failure, and the next run works" "$top/scripts/tests/faults.sh"
		fi
	fi
	((failed == 0)) || echo "stopped after the failure above; what comes later was not run"
}

main() {
	local which=all start=$SECONDS
	case ${1:-} in
	-h) usage && exit ;;
	--fast) which=fast ;;
	--debug) which=debug ;;
	?*) usage_error "check.sh accepts -h, --fast and --debug, not $1" ;;
	esac
	take_lock check
	tmp=$(mktemp -d)
	trap 'end_children; rm -rf "$tmp"' EXIT
	guests=$tmp/guests
	if [[ $which == debug ]]; then
		guests=$results/check-debug
		rm -rf "$guests"
	fi
	mkdir -p "$guests"
	check_loud "tools" "$top/scripts/tools.sh" check report
	case $which in
	all) all_checks '' ;;
	fast) all_checks y ;;
	debug) debug_checks ;;
	esac
	printf '%s in all\n' "$(min_sec $((SECONDS - start)))"
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	((failed == 0 && passed > 0))
}

main "$@"
