#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The main job: from nothing to a verdict.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"
. "$top/scripts/expected.sh"

usage() {
	cat <<-END
		usage: run.sh [-h]

		Installs missing tools, fetches the base, applies the series, builds KERNEL=$KERNEL and
		the kselftests, boots TOPO=$TOPO, runs the tests and judges the run. What is up to date
		is not done again. Exit status: 0 pass, 1 fail, 2 wrong use.
	END
}

# The tree as it is for a kernel of one's own, which needs only the tests' part of it.
prepare_tree() {
	phase "fetch Linux $(base_value version)"
	"$top/scripts/fetch.sh"
	phase_done
	phase "apply patches/$BASE"
	"$top/scripts/apply.sh"
	phase_done
}

main() {
	local start=$SECONDS run status=0 verbose=()
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "run.sh takes no argument but -h, not $1" ;;
	esac
	phase_of=7
	take_lock run
	phase "tools"
	"$top/scripts/tools.sh"
	phase_done
	prepare_tree
	phase "build the $KERNEL kernel"
	if [[ $KERNEL != */* ]]; then
		"$top/scripts/config.sh"
	fi
	"$top/scripts/build.sh"
	phase_done
	phase "build the kselftests and the initramfs"
	"$top/scripts/selftests.sh"
	"$top/scripts/initramfs.sh"
	phase_done
	phase "boot"
	"$top/scripts/boot.sh"
	run=$(readlink -f "$results/latest")
	phase_done
	phase "verdict"
	[[ $V == 0 ]] || verbose=(-v)
	# where patches are missing, what they fix has to fail, and nothing else
	expected_failures >"$run/expected"
	"$top/scripts/verdict.sh" "${verbose[@]}" "$run" || status=1
	phase_done "$(min_sec $((SECONDS - start))) in all"
	note "logs: ${run#"$PWD/"}/{console.log,ktap.log,meta.json,junit.xml,results.json}"
	hint "$status"
	return $status
}

# What to try next.
hint() {
	if (($1 != 0)); then
		note "next: the failed test alone, with all its subtests: make TESTS=NAME V=1"
		note "      how to read a failure: README.md; for a bug report: make doctor"
	elif [[ $KERNEL == patched && $TOPO == 4node && -z $TESTS ]]; then
		note "next: make KERNEL=base   (the same tests where the series is not applied)"
		note "      make TOPO=cpuless  (or any other of $(names_in "$top/config/topology" .conf))"
		note "      make shell, make help"
	fi
}

main "$@"
