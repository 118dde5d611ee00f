#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Judge a run from its directory: exit status, complete KTAP, no splat. Fails closed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: verdict.sh [-h] [-v] RESULTS-DIR

		Reads, of the directory of a run,
		  exit         how the guest ended: "ended", "timeout", "killed N" or "error N"
		  limit        the watchdog's seconds
		  ktap.log     KTAP of kselftest's runner, ended by "# guest: end"
		  console.log  the kernel's console
		  host         optional: the run was on the host, which has no console to judge
		  programs     optional, the tests that were asked for: each must have run
		  promises     word=count: what the topology has; a skip for it is a failure
		  expected     optional, "program:subtest patch or reason": what has to fail
		               here; a * in the subtest stands for any variant
		prints a line a test (-v: a line a subtest) and the reasons of a failure, and writes
		verdict ("pass" or "fail: reason"), tests.tsv, junit.xml and results.json.
		Exit status: 0 pass, 1 fail, 2 no such run.
	END
}

# Consoles of healthy guests never have these. config/console-allow has exceptions.
splats='BUG:|BUG at|WARNING:|Oops|Kernel panic|general protection fault|divide error|invalid opcode'
splats+='|unable to handle|stack segment|double fault|INFO: task .* blocked|soft lockup|hard LOCKUP'
splats+='|INFO: rcu|rcu: INFO:|rcu_.*stall|possible circular locking|INFO: possible|suspicious RCU'
splats+='|inconsistent lock state|DEBUG_LOCKS_WARN|held lock|KASAN:|UBSAN:|KFENCE:|KCSAN:|page_table_check'
splats+='|Bad page|bad page state|Bad rss-counter|Out of memory|refcount_t:|kmemleak:|segfault at|traps:'
splats+='|Call Trace|Attempted to kill init|cut here'

problems=()
problem() {
	problems+=("$*")
}

# KTAP to lines of "program TAB subtest TAB status TAB reason"; the subtest of a
# program's own result is "-". Damage is a line of "! TAB what".
parse_ktap() {
	awk '
		function damage(what) { printf "!\t%s\n", what }
		function status(line) {
			if (line ~ /^not ok /) return "fail"
			if (line ~ / # SKIP/) return "skip"
			if (line ~ / # XFAIL/) return "xfail"
			if (line ~ / # XPASS/) return "fail"
			return "pass"
		}
		function reason(line) {
			if (line !~ / # /) return ""
			sub(/^.* # (SKIP|XFAIL|XPASS)? */, "", line)
			return line
		}
		function name(line) {
			sub(/^(not )?ok [0-9]+ (- )?/, "", line)
			sub(/ +# .*$/, "", line)
			return line
		}
		function number(line) { sub(/^(not )?ok /, "", line); return line + 0 }
		function leave() {
			if (program == "") return
			if (planned < 0)
				damage(program " printed no plan")
			else if (seen != planned)
				damage(program " planned " planned " tests and reported " seen (why != "" ? " (" why ")" : ""))
			program = ""
		}
		/^TAP version 1[34]$|^KTAP version 1$/ && !started { started = 1; next }
		/^1\.\.[0-9]+/ && program == "" {
			if (plan) damage("a second plan: " $0)
			plan = substr($0, 4) + 0
			next
		}
		/^# selftests: (numa|bench): / {
			if (program != "") { damage(program " has no result"); leave() }
			program = $0
			sub(/^# selftests: (numa|bench): /, "", program)
			planned = -1
			seen = 0
			why = ""
			next
		}
		/^(not )?ok [0-9]+ selftests: (numa|bench): / {
			tops++
			if (number($0) != tops) damage("result " number($0) " where " tops " is due")
			text = name($0)
			sub(/^selftests: (numa|bench): /, "", text)
			if (text != program) damage("result of " text " while " (program == "" ? "nothing" : program) " runs")
			printf "%s\t-\t%s\t%s\n", text, status($0), reason($0)
			why = reason($0)
			leave()
			next
		}
		/^# 1\.\.[0-9]+/ && program != "" {
			if (planned >= 0) damage(program " has a second plan")
			planned = substr($0, 6) + 0
			next
		}
		/^# (not )?ok [0-9]+ / && program != "" {
			line = substr($0, 3)
			seen++
			if (number(line) != seen) damage(program ": result " number(line) " where " seen " is due")
			printf "%s\t%s\t%s\t%s\n", program, name(line), status(line), reason(line)
			next
		}
		/^# guest: end$/ { ended = 1; next }
		/^(not )?ok / { damage("a result of no test: " $0) }
		END {
			if (!started) { damage("no KTAP header"); exit }
			if (program != "") damage(program " did not finish")
			if (!plan) damage("no plan")
			else if (tops != plan) damage("plan of " plan " tests, results of " tops + 0)
			if (!ended) damage("no end mark")
		}' "$1"
}

# The same KTAP with what kselftest nests behind "# " indented, for kunit.py; the
# verdict is one more test, so that no reader of the reports sees a pass where a
# splat or a lost guest is the failure.
indent_ktap() {
	awk -v verdict="$2" '
		/^TAP version/ && !top++ { print "KTAP version 1"; next }
		/^1\.\./ { print "1.." substr($0, 4) + 1; next }
		/^# selftests: (numa|bench): / { n = $0; sub(/.*: /, "", n); printf "    KTAP version 1\n    # Subtest: %s\n", n; next }
		/^(not )?ok / { last++; sub(/ selftests: (numa|bench):/, ""); print; next }
		/^# 1\.\.[0-9]/ || /^# (not )?ok / { print "    " substr($0, 3); next }
		/^# # / { print "    " substr($0, 3); next }
		END {
			if (!top) print "KTAP version 1\n1..1"
			printf "%s %d verdict # %s\n", verdict == "pass" ? "ok" : "not ok", last + 1, verdict
		}' "$1"
}

judge_exit() {
	local how=none
	[[ -f $run/exit ]] && how=$(cat "$run/exit")
	case $how in
	ended) ;;
	timeout) problem "hang: the guest did not end within $(cat "$run/limit" 2>/dev/null || echo '?') s" ;;
	killed*) problem "guest lost: QEMU ended by signal $((${how#killed } - 128))" ;;
	error*) problem "guest lost: QEMU ended with status ${how#error }" ;;
	*) problem "guest lost: no record of its end" ;;
	esac
}

judge_console() {
	local line rest
	if [[ ! -s $run/console.log ]]; then
		problem "console: empty"
		return
	fi
	# the first line that is neither healthy nor allowed names the splat
	line=$(tr -d '\000\r' <"$run/console.log" | grep -aE "$splats" |
		grep -avEf <(sed -E '/^(#|$)/d; s/[[:space:]]+# .*$//' "$top/config/console-allow") | head -n1) || true
	if [[ -n $line ]]; then
		rest=$(sed -E 's/^\[ *[0-9.]+\] *(\[[^]]*\] *)?//' <<<"$line")
		# "cut here" is drawn above what it is about
		if [[ $rest == *"cut here"* ]]; then
			rest=$(tr -d '\000\r' <"$run/console.log" | grep -aA1 -m1 'cut here' | tail -n1 | sed -E 's/^\[ *[0-9.]+\] *//')
		fi
		problem "console: ${rest:0:160}"
	fi
	if [[ $(cat "$run/exit" 2>/dev/null) == ended ]] && ! grep -qaE 'reboot: Restarting system' "$run/console.log"; then
		problem "guest lost: it did not end by itself"
	fi
}

judge_ktap() {
	local first
	if [[ ! -s $run/ktap.log ]]; then
		problem "ktap: empty (the guest ran no test)"
		return
	fi
	if LC_ALL=C grep -qaP '[^\x09\x0a\x20-\x7e]' "$run/ktap.log"; then
		problem "ktap: binary garbage in line $(LC_ALL=C grep -naP '[^\x09\x0a\x20-\x7e]' "$run/ktap.log" | head -n1 | cut -d: -f1)"
	fi
	[[ -z $(tail -c1 "$run/ktap.log" | tr -d '\n') ]] || problem "ktap: cut in the middle of a line"
	first=$(awk -F'\t' '$1 == "!" { print $2 }' "$tsv" | head -n3 | paste -sd';' | sed 's/;/; /g')
	[[ -z $first ]] || problem "ktap: $first"
}

# "needs word=count": more than was promised is a skip, anything else is not.
skip_is_right() {
	local word count promised
	[[ $1 =~ ^needs\ ([a-z0-9_]+)(=([0-9]+))?$ ]] || return 1
	word=${BASH_REMATCH[1]} count=${BASH_REMATCH[3]:-1}
	promised=$(sed -n "s/^$word=//p" "$run/promises" 2>/dev/null)
	((count > ${promised:-0}))
}

# The patch whose listed failure this is, into $patch.
listed() {
	local i
	for ((i = 0; i < ${#expected[@]}; i++)); do
		# shellcheck disable=SC2053 # a pattern, on purpose
		if [[ $1 == ${expected[i]} ]]; then
			patch=${expected_by[i]}
			return
		fi
	done
	return 1
}

judge_tests() {
	local program sub status reason key patch failed=0 i hits
	local -A ran=() seen=() program_fails=()
	local expected=() expected_by=()
	known_failures=0 skips=0
	if [[ -f $run/expected ]]; then
		while read -r key patch; do
			expected+=("$key") expected_by+=("$patch")
		done <"$run/expected"
	fi
	while IFS=$'\t' read -r program sub status reason; do
		if [[ $program == '!' ]]; then
			printf '!\t%s\n' "$sub"
			continue
		fi
		ran[$program]=1
		key=$program:$sub
		if [[ $sub == - ]]; then
			# a program that fails without a failed subtest crashed or timed out
			if [[ $status == fail && -z ${program_fails[$program]:-} ]]; then
				problem "$program: failed${reason:+ ($reason)} with no failed subtest"
			fi
			if [[ $status == skip ]] && ! skip_is_right "$reason"; then
				problem "$program: unexpected skip (${reason:-no reason})"
			fi
		else
			case $status in
			fail)
				program_fails[$program]=1
				if listed "$key"; then
					known_failures=$((known_failures + 1))
					status=known reason=$patch
				else
					failed=$((failed + 1))
					((failed > 5)) || problem "failed: $key"
				fi
				;;
			skip)
				skips=$((skips + 1))
				skip_is_right "$reason" || problem "unexpected skip: $key (${reason:-no reason})"
				;;
			esac
			seen[$key]=$status
		fi
		printf '%s\t%s\t%s\t%s\n' "$program" "$sub" "$status" "$reason"
	done <"$tsv" >"$tsv.judged"
	mv "$tsv.judged" "$tsv"
	if [[ -f $run/programs ]]; then
		while read -r program; do
			[[ -n ${ran[$program]:-} ]] || problem "did not run: $program"
		done <"$run/programs"
	fi
	((failed <= 5)) || problem "and $((failed - 5)) more failed"
	for ((i = 0; i < ${#expected[@]}; i++)); do
		[[ -n ${ran[${expected[i]%%:*}]:-} ]] || continue
		hits=0
		for key in "${!seen[@]}"; do
			# shellcheck disable=SC2053 # a pattern, on purpose
			[[ $key == ${expected[i]} ]] || continue
			hits=$((hits + 1))
			[[ ${seen[$key]} != pass ]] || problem "passed without ${expected_by[i]}: $key"
		done
		((hits)) || problem "named by ${expected_by[i]} and not there: ${expected[i]}"
	done
}

# A line a test, or a subtest.
print_tests() {
	awk -F'\t' -v verbose="$verbose" '
		$1 == "!" { next }
		$2 != "-" {
			n[$1]++
			c[$1, $3]++
			if (verbose || $3 == "fail")
				lines[$1] = lines[$1] sprintf("      %-7s   %s%s\n", $3 == "fail" ? "FAIL" : $3, $2,
					$4 != "" ? " (" $4 ")" : "")
			next
		}
		{
			state = "pass"
			if ($3 == "skip" || n[$1] && c[$1, "skip"] == n[$1]) state = "skip"
			if (c[$1, "known"]) state = "known"
			if (c[$1, "fail"] || $3 == "fail" && !c[$1, "known"]) state = "FAIL"
			text = sprintf("%d of %d passed", c[$1, "pass"], n[$1])
			if (c[$1, "known"]) text = text sprintf(", %d failed as listed", c[$1, "known"])
			if (c[$1, "skip"]) text = text sprintf(", %d skipped", c[$1, "skip"])
			if (c[$1, "fail"]) text = text sprintf(", %d FAILED", c[$1, "fail"])
			if ($4 != "") text = text " (" $4 ")"
			printf "      %-7s %-20s %s\n%s", state, $1, text, lines[$1]
		}' "$tsv"
}

write_reports() {
	local kunit=$tree/tools/testing/kunit/kunit.py
	[[ -f $kunit ]] || return 0
	indent_ktap <(tr -d '\000\r' <"$run/ktap.log") "$1" >"$run/ktap.indented"
	# a damaged log is our verdict's business; whatever kunit.py makes of it is no pass
	(cd "$tree" && PYTHONDONTWRITEBYTECODE=1 python3 "$kunit" parse --junit="$run/junit.xml" \
		--json="$run/results.json" "$run/ktap.indented" >/dev/null 2>&1) || true
	rm -f "$run/ktap.indented"
}

main() {
	local verdict passed
	verbose=
	while (($#)); do
		case $1 in
		-h) usage && exit ;;
		-v) verbose=1 ;;
		-*) usage_error "verdict.sh accepts -h, -v and a directory, not $1" ;;
		*) run=$1 ;;
		esac
		shift
	done
	[[ -n ${run:-} && -d $run ]] || usage_error "verdict.sh needs the directory of a run"
	run=$(cd "$run" && pwd -P)
	echo "fail: did not finish" >"$run/verdict"
	tsv=$run/tests.tsv
	: >"$tsv"
	[[ ! -s $run/ktap.log ]] || parse_ktap <(tr -d '\000\r' <"$run/ktap.log") >"$tsv"
	judge_exit
	[[ -f $run/host ]] || judge_console
	judge_ktap
	judge_tests
	passed=$(awk -F'\t' '$2 != "-" && $3 == "pass"' "$tsv" | wc -l)
	((passed + known_failures > 0)) || ((${#problems[@]})) || problem "no test passed: nothing is proven"
	verdict=pass
	((${#problems[@]} == 0)) || verdict="fail: ${problems[0]}"
	write_reports "$verdict"
	print_tests
	if ((${#problems[@]})); then
		printf '      verdict: %s\n' "$verdict"
		((${#problems[@]} == 1)) || printf '      also:    %s\n' "${problems[@]:1}"
		if [[ ${problems[0]} == console:* || ${problems[0]} == guest\ lost* || ${problems[0]} == hang* ]]; then
			printf '      the console ends with:\n'
			tail -n 5 "$run/console.log" 2>/dev/null | tr -d '\000\r' | cut -c1-150 | sed 's/^/        /'
		fi
	else
		printf '      verdict: pass, %d passed' "$passed"
		((known_failures == 0)) || printf ', %d failed as listed' "$known_failures"
		((skips == 0)) || printf ', %d skipped' "$skips"
		printf '\n'
	fi
	printf '%s\n' "$verdict" >"$run/verdict.tmp"
	mv "$run/verdict.tmp" "$run/verdict"
	[[ $verdict == pass ]]
}

main "$@"
