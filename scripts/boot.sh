#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boot a guest: one run of the kselftests with its logs, a shell, or one for gdb.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/topology.sh"
. "$top/scripts/accel.sh"

usage() {
	cat <<-END
		usage: boot.sh [-h | --shell | --gdb] [RESULTS-DIR]

		Boots KERNEL=$KERNEL on TOPO=$TOPO with SEED=$SEED and runs TESTS (all by default).
		Logs go to RESULTS-DIR, by default a new directory of results/; "make run" judges them.
		The directory says "fail: did not finish" until the guest has ended by itself.
		--shell: a shell on the guest's console. --gdb: the guest waits for gdb.

		A run is a function of kernel, initramfs, topology, seed, QEMU and accelerator;
		meta.json has the digest of each. With ACCEL=tcg it is the same bit for bit on any host.
		TESTS may also name scenarios of selftests/bench.

		NUMA_CMDLINE: more kernel arguments; NUMA_SHIFT: a guest nanosecond is 2^-N instructions
		(3); NUMA_CPU: more flags of QEMU's processor. All are part of meta.json.
		NUMA_GDB_PORT: the port of 127.0.0.1 where the guest of --gdb waits (1234).
	END
}

# 8 guest ns an instruction: guest seconds pass fast enough for scan periods. The debug kernel
# takes some four times the instructions for all it does: 2 ns, so that deadlines of tests and
# scan periods mean the same in it.
shift_bits=3
[[ $KERNEL != debug ]] || shift_bits=1
shift_bits=${NUMA_SHIFT:-$shift_bits}

json() {
	local s=${1//\\/\\\\}
	printf '"%s"' "${s//\"/\\\"}"
}

write_meta() {
	local sep='' arg
	{
		printf '{\n\t"kernel": %s,\n\t"kernel_sha256": %s,\n' "$(json "$KERNEL")" "$(json "$(sha "$image")")"
		printf '\t"initramfs_sha256": %s,\n' "$(json "$(sha "$work/initramfs.cpio")")"
		printf '\t"topology": %s,\n\t"topology_sha256": %s,\n' "$(json "$TOPO")" "$(json "$(sha "$topo_file")")"
		printf '\t"seed": %d,\n\t"tests": %s,\n' "$SEED" "$(json "$TESTS")"
		printf '\t"accelerator": %s,\n\t"icount_shift": %d,\n' "$(json "$accel")" "$shift_bits"
		printf '\t"lockstep_sha256": %s,\n' "$(json "${preload:+$(sha "$top/scripts/lockstep.c")}")"
		printf '\t"qemu": %s,\n' "$(json "$(qemu-system-x86_64 --version | head -n1)")"
		printf '\t"cmdline": %s,\n\t"qemu_args": [' "$(json "$cmdline")"
		for arg in "${qemu[@]}"; do
			printf '%s\n\t\t%s' "$sep" "$(json "${arg//"$run"/RESULTS}")"
			sep=,
		done
		printf '\n\t]\n}\n'
	} >"$run/meta.json"
}

# The guest's command line in the array qemu. QEMU must not outlive this script.
qemu_command() {
	local mode=$1 console=$2
	# every door that could let the host in is shut: clocks are guest time, -seed
	# feeds what would be host randomness, virtio is served in the vCPU's thread
	cmdline="console=ttyS0 nokaslr norandmaps random.trust_cpu=off tsc=reliable oops=panic panic=-1"
	cmdline+=" lab.mode=$mode lab.tests=$listed lab.seed=$SEED${NUMA_CMDLINE:+ $NUMA_CMDLINE}"
	qemu=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -M q35)
	if [[ $accel == kvm ]]; then
		[[ " ${topo_args[*]} " != *max-x86_64-cpu* ]] || usage_error "TOPO=$TOPO has absent nodes and needs ACCEL=tcg"
		qemu+=(-cpu host -accel kvm)
	elif [[ $mode == shell ]]; then
		qemu+=(-cpu max -accel tcg,thread=single -seed "$SEED")
	else
		qemu+=(-cpu "max${NUMA_CPU:+,$NUMA_CPU}" -accel tcg,tb-size=1024 -icount "shift=$shift_bits,sleep=off"
			-rtc base=2026-01-01,clock=vm -seed "$SEED")
	fi
	qemu+=("${topo_args[@]}" -kernel "$image" -initrd "$work/initramfs.cpio" -append "$cmdline")
	qemu+=(-chardev "$console" -serial chardev:console)
}

# What QEMU needs to have no race of its own in the guest's time: see lockstep.c.
build_lockstep() {
	preload=$O/lockstep-$(sha "$top/scripts/lockstep.c").so
	[[ ! -f $preload ]] || return 0
	gcc -O2 -Wall -Wextra -shared -fPIC -o "$preload.new.$$" "$top/scripts/lockstep.c" -ldl ||
		die "scripts/lockstep.c does not compile"
	mv "$preload.new.$$" "$preload"
}

# End QEMU when we end, whatever ends us.
stop_guest() {
	[[ -z ${guest_pid:-} ]] || kill -TERM "$guest_pid" 2>/dev/null || true
}

interrupted() {
	echo "fail: interrupted" >"$run/verdict"
	printf '\n' >&2
	die "interrupted; the guest was ended, what it wrote is in $run"
}

# One line now and then: which test the guest is at.
show_progress() {
	local start=$SECONDS shown=0 at
	while kill -0 "$guest_pid" 2>/dev/null; do
		sleep 0.2
		at=$(grep -a '^# selftests: ' "$run/ktap.log" 2>/dev/null | tail -n1 || true)
		at=${at##*: }
		if [[ -t 1 && -z ${NUMA_QUIET:-} ]]; then
			printf '\r      %-30s %s ' "${at:-booting}" "$(min_sec $((SECONDS - start)))"
		elif ((SECONDS - start >= shown + 30)); then
			shown=$((SECONDS - start))
			[[ -n ${NUMA_QUIET:-} ]] || note "${at:-booting}, $(min_sec $shown)"
		fi
	done
	[[ ! -t 1 || -n ${NUMA_QUIET:-} ]] || printf '\r%50s\r' ''
}

run_guest() {
	local status=0 word preload=
	[[ $accel == kvm ]] || build_lockstep
	qemu_command run "file,id=console,path=$run/console.log"
	qemu+=(-device "virtio-serial-pci,ioeventfd=off,vectors=0"
		-chardev "file,id=ktap,path=$run/ktap.log" -device virtserialport,chardev=ktap,name=ktap)
	if [[ $KERNEL == gcov ]]; then
		qemu+=(-chardev "file,id=gcov,path=$run/gcov.tar" -device virtserialport,chardev=gcov,name=gcov)
	fi
	write_meta
	printf '%s\n' "$limit" >"$run/limit"
	{
		for word in "${!topo_promised[@]}"; do
			printf '%s=%s\n' "$word" "${topo_promised[$word]}"
		done
		# what the base's kernel has; another tree or kernel may be older
		if [[ -z $KDIR && $KERNEL != */* ]]; then
			for word in $(base_words promise); do
				printf '%s=1\n' "$word"
			done
		fi
	} | sort >"$run/promises"
	printf '%q ' ${preload:+env LD_PRELOAD="$preload"} "${qemu[@]}" >"$run/qemu.cmd"
	printf '\n' >>"$run/qemu.cmd"
	if [[ -n $TESTS ]]; then
		# shellcheck disable=SC2086 # a list of names
		printf '%s\n' $TESTS
	else
		sed -n 's/^numa://p' "$list"
	fi >"$run/programs"
	: >"$run/ktap.log"
	: >"$run/console.log"
	[[ $V == 0 ]] || cat "$run/qemu.cmd"

	trap interrupted INT TERM
	trap stop_guest EXIT
	become setpriv --pdeathsig TERM timeout -k 5 "$limit" env LD_PRELOAD="$preload" "${qemu[@]}" \
		</dev/null >"$run/qemu.log" 2>&1 &
	guest_pid=$!
	show_progress
	wait "$guest_pid" || status=$?
	guest_pid=
	trap - INT TERM
	# 124: the watchdog ended it; 137: by force
	case $status in
	0) echo ended ;;
	124 | 137) if ((SECONDS >= limit)); then echo "timeout"; else echo "killed $status"; fi ;;
	*) if ((status > 128)); then echo "killed $status"; else echo "error $status"; fi ;;
	esac >"$run/exit"
	if [[ -s $run/qemu.log && $(cat "$run/exit") != ended ]]; then
		note "QEMU: $(tail -n1 "$run/qemu.log")"
	fi
}

main() {
	local mode=run list=$work/selftests/install/kselftest-list.txt t base listed=
	run=
	while (($#)); do
		case $1 in
		-h) usage && exit ;;
		--shell) mode=shell ;;
		--gdb) mode=gdb ;;
		-*) usage_error "boot.sh accepts -h, --shell, --gdb and a directory, not $1" ;;
		*) run=$1 ;;
		esac
		shift
	done
	topo_file=$TOPO
	[[ $TOPO == */* ]] || topo_file=$top/config/topology/$TOPO.conf
	topology_load "$topo_file"
	image=$("$top/scripts/build.sh" --path)
	[[ -f $work/initramfs.cpio ]] || die "there is no initramfs: make initramfs"
	for t in $TESTS; do
		listed+=${listed:+,}$(grep -xF -e "numa:$t" -e "bench:$t" "$list") ||
			usage_error "TESTS: there is no test $t; accepted: $(sed 's/^[a-z]*://' "$list" | tr '\n' ' ')"
	done
	limit=$TIMEOUT
	if [[ -z $limit ]]; then
		limit=600
		[[ $KERNEL != debug ]] || limit=2400
	fi
	accel_choose "$image" "$work/initramfs.cpio"

	case $mode in
	shell)
		[[ -t 0 ]] || die "a shell needs a terminal"
		qemu_command shell "stdio,id=console,signal=off"
		note "$(basename "$image") of $KERNEL on $TOPO by $accel; poweroff -f ends the guest"
		exec setpriv --pdeathsig TERM "${qemu[@]}"
		;;
	gdb)
		qemu_command run "stdio,id=console,signal=off"
		qemu+=(-S -gdb "tcp:127.0.0.1:${NUMA_GDB_PORT:-1234}")
		note "the guest waits; in another terminal:"
		note "gdb -ex 'target remote 127.0.0.1:${NUMA_GDB_PORT:-1234}' $(dirname "$image" | sed 's|/arch/x86/boot$||')/vmlinux"
		[[ $KERNEL == debug ]] || note "types and lines are in KERNEL=debug; $KERNEL has symbols only"
		exec setpriv --pdeathsig TERM "${qemu[@]}" </dev/null
		;;
	esac

	if [[ -z $run ]]; then
		base=$results/$(date +%Y%m%d-%H%M%S)-$(basename "$KERNEL")-$(basename "$TOPO" .conf)-$SEED
		run=$base
		while ! mkdir -p "$results" || ! mkdir "$run" 2>/dev/null; do
			[[ -d $run ]] || die "cannot create $run"
			run=$base-$((++t))
		done
		ln -sfn "$(basename "$run")" "$results/latest"
	fi
	run=$(cd "$run" && pwd -P)
	echo "fail: did not finish" >"$run/verdict"
	[[ -n ${NUMA_QUIET:-} ]] ||
		note "$KERNEL on $TOPO, seed $SEED, accelerator $accel ($accel_why)"
	SECONDS=0
	run_guest
}

main "$@"
