#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Build the kselftests for the guest: static programs and kselftest's own runner.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: selftests.sh [-h]

		Builds selftests/numa and selftests/bench against the tree's lib.mk into
		$work/selftests and installs them with run_kselftest.sh into $work/selftests/install.
		V=1 shows the commands.
	END
}

main() {
	local out=$work/selftests dir install src=$tree/tools/testing/selftests log
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "selftests.sh takes no argument but -h, not $1" ;;
	esac
	take_lock selftests
	[[ -f $src/lib.mk ]] || die "there is no source tree yet: make fetch apply"
	install=$out/install
	log=$out/build.log
	rm -rf "$install"
	mkdir -p "$install/kselftest"
	: >"$log"
	for dir in numa bench; do
		mkdir -p "$out/$dir" "$install/$dir"
		make -C "$top/selftests/$dir" --no-print-directory -j"$JOBS" V="$V" KSRC="$tree" \
			OUTPUT="$out/$dir" INSTALL_PATH="$install/$dir" CC=gcc \
			USERLDFLAGS=-static USERCFLAGS=-Werror install >>"$log" 2>&1 ||
			die "building the kselftests: $(reason_in "$log") (see $log)"
		make -C "$top/selftests/$dir" --no-print-directory -s KSRC="$tree" OUTPUT="$out/$dir" \
			COLLECTION="$dir" emit_tests 2>>"$log" | sort >>"$install/kselftest-list.txt" ||
			die "listing the kselftests: $(reason_in "$log")"
		grep -q "^$dir:" "$install/kselftest-list.txt" || die "selftests/$dir builds no test"
	done
	[[ $V == 0 ]] || cat "$log"
	cp "$src"/kselftest/{runner.sh,ktap_helpers.sh,prefix.pl} "$install/kselftest/"
	cp "$src/run_kselftest.sh" "$install/"
	note "$(grep -c '^numa:' "$install/kselftest-list.txt") kselftests: $(sed -n 's/^numa://p' "$install/kselftest-list.txt" | tr '\n' ' ')"
	note "$(grep -c '^bench:' "$install/kselftest-list.txt") scenarios: $(sed -n 's/^bench://p' "$install/kselftest-list.txt" | tr '\n' ' ')"
}

main "$@"
