# SPDX-License-Identifier: GPL-2.0
# One target a verb; the logic is in scripts/. "make help" lists all of it.

VARIABLES := BASE KDIR KERNEL TOPO TESTS SEED ACCEL TIMEOUT PATCH OLD FROM A B BENCH SEEDS JOBS V O
export $(VARIABLES)

# A misspelt variable on the command line is an error, not a default.
words := $(foreach v,$(MAKEOVERRIDES),$(if $(findstring =,$(v)),$(firstword $(subst =, ,$(v)))))
unknown := $(filter-out $(VARIABLES),$(words))
$(if $(unknown),$(error unknown variable $(unknown); accepted: $(VARIABLES)))

TARGETS := run check check-fast check-debug prove bisect-check coverage static compare report fetch apply refresh \
	range-diff rebase mbox export config menuconfig build kernel-path initramfs shell gdb doctor clean distclean

.PHONY: help $(TARGETS)
.NOTPARALLEL:
.DEFAULT_GOAL := run

run:          ; @scripts/run.sh
check:        ; @scripts/check.sh
check-fast:   ; @scripts/check.sh --fast
check-debug:  ; @scripts/check.sh --debug
prove:        ; @scripts/prove.sh
bisect-check: ; @scripts/bisect.sh
compare:      ; @scripts/compare.sh
report:       ; @scripts/report.sh
coverage:     ; @scripts/coverage.sh
static:       ; @scripts/static.sh
fetch:        ; @scripts/fetch.sh
apply:        ; @scripts/apply.sh
refresh:      ; @scripts/refresh.sh
range-diff:   ; @scripts/range-diff.sh
rebase:       ; @scripts/rebase.sh
mbox:         ; @scripts/mbox.sh
export:       ; @scripts/export.sh
config:       ; @scripts/config.sh
menuconfig:   ; @scripts/config.sh --menu
build:        ; @scripts/config.sh && scripts/build.sh
kernel-path:  ; @scripts/build.sh --path
initramfs:    ; @scripts/selftests.sh && scripts/initramfs.sh
shell:        ; @scripts/boot.sh --shell
gdb:          ; @scripts/boot.sh --gdb
doctor:       ; @scripts/doctor.sh
clean:        ; @scripts/clean.sh
distclean:    ; @scripts/clean.sh --all

help:
	@scripts/help.sh
