#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Print every target and every variable, with default and accepted values, and what else is read.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

main() {
	cat <<-END
		Targets
		  make, make run     tools, fetch, apply, build, kselftests, guest, verdict
		  make check         all that CI asserts; last line "N passed, N failed, N skipped"
		  make check-fast    its part without guests and kernel builds
		  make check-debug   all tests on all topologies with lockdep and KASAN: an hour
		  make prove         each patch: what it names as its proof fails before and passes after
		  make bisect-check  each patch builds without a new warning in four configurations, and boots
		  make coverage      lines and branches of mm/mempolicy.c that the tests run
		  make static        what sparse, W=1, coccicheck and others find in the series, new findings only
		  make compare       scenarios of selftests/bench on two kernels side by side, a table
		  make report        the last comparison as one HTML file with pictures
		  make fetch         get the base's source into a git tree below O
		  make apply         put the patches on it, branch numa
		  make refresh       store branch numa as patches/BASE
		  make range-diff    what changed in the series since OLD, or in the move from base FROM
		  make rebase        carry the series of FROM to BASE; again to continue after a conflict
		  make mbox          the series as a thread of mails, for b4 shazam -m or git am
		  make export        the kselftests as patches to the kernel tree; built and run there
		  make config        configure KERNEL from config/kernel; menuconfig to edit it
		  make build         configure and build KERNEL
		  make kernel-path   print the path of KERNEL's bzImage and nothing else
		  make initramfs     build the kselftests and pack the guest's initramfs
		  make shell         a guest with a shell: busybox, numactl, the tests
		  make gdb           a guest that waits for gdb; prints what to type
		  make doctor        what to paste into a bug report
		  make clean         remove what was built (the source tree, results/ and dl/ stay)
		  make distclean     remove all of BASE below O, results/ and dl/ (refuses to lose commits of yours)
		  make help          this text

		Variables             default      accepted
		  KERNEL              patched      base, patched, debug, gcov, a number (of the last patch
		                                   applied), or a path to a bzImage; for make build also
		                                   N-CONFIG, CONFIG one of $variants
		  TOPO                4node        $(names_in "$top/config/topology" .conf), or a path to a file
		  TESTS               all          names of kselftests, "shared_policy numa_maps"
		  SEED                1            0 to 999999999: what varies a deterministic guest
		  ACCEL               tcg          tcg (deterministic), kvm (fast, for races), auto (kvm where it boots)
		  TIMEOUT             600          host seconds for a guest (2400 for KERNEL=debug, 1800 for a measure)
		  PATCH               all          for make prove and bisect-check: a number, or a range like 2-5
		  OLD                 none         for make range-diff: a commit of this repository
		  FROM                none         for make rebase and range-diff: $(bases_with_series)
		  A, B                base, patched  for make compare: what KERNEL accepts, BASE:KERNEL, or a
		                                   directory with the runs of an earlier comparison
		  BENCH               all          for make compare: names of scenarios
		  SEEDS               1            for make compare: runs with seeds 1 to this number
		  BASE                v7.3         $(names_in "$top/config/base" .conf)
		  KDIR                none         your own git tree of Linux instead of the fetched one
		  O                   build        directory for the source tree and everything built
		  JOBS                $(nproc) (CPUs)     1 or more, for builds
		  V                   0            0, 1: commands, and a line for each subtest

		Environment           default      written before make: NUMA_GDB_PORT=1235 make gdb
		  NUMA_DL             dl           directory for the sources that were downloaded
		  NUMA_SOURCES        all          which of "kernel.org debian" may be asked for them
		  NUMA_TARBALL        config/base  address of kernel.org's tarball
		  NUMA_SHA256SUMS     config/base  address of kernel.org's list of sums
		  NUMA_STALL          20           seconds without data after which a download is given up
		  NUMA_CMDLINE        none         more arguments for the guest's kernel; those of single tests are
		                                   in Documentation/testing.md
		  NUMA_SHIFT          3            an instruction is 2^N guest nanoseconds (1 for KERNEL=debug)
		  NUMA_CPU            none         more flags of QEMU's processor
		  NUMA_GDB_PORT       1234         for make gdb: the port of 127.0.0.1 where QEMU waits for it
		  NUMA_CANARY         20           for ACCEL=auto: seconds that a first guest of KVM has
		  NUMA_COMPARE        results/compare  for make compare: where runs and table are kept

		BASE=v6.12 is Linux 6.12, the kernel of Debian 13, with patches/v6.12: make BASE=v6.12 KERNEL=base
		More: scripts/NAME.sh -h, README.md, Documentation/
	END
}

main "$@"
