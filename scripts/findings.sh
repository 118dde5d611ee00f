# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What a tool has found, in a form that can be compared: lines "FILE: text<TAB>LINE".
# To be sourced.

# findings_in KIND [PREFIX...]: the findings in a log on standard input. KIND is how the log
# says them: compiler (gcc, clang, sparse), kernel-doc, coccicheck or checkpatch. Each PREFIX
# of a path is dropped. A place in a header that many files include is one finding.
findings_in() {
	local kind=$1 prefix drop=()
	shift
	for prefix in "$@"; do
		drop+=(-e "s#(^|[ :'\"(])$prefix#\\1#g")
	done
	sed -E "${drop[@]}" -e 's#(\.\./)+linux/##g; s#arch/x86/kvm/\.\./\.\./\.\./##g' | awk -v kind="$kind" '
		function flush() {
			if (text != "" && !seen[place, text]++)
				print file ": " text "\t" line
			text = ""
		}
		# tools/docs/kernel-doc says "Warning: FILE:LINE text", its older self as a compiler does
		kind == "kernel-doc" && match($0, /^(Warning|Error): [^ :]+:[0-9]+:? /) {
			at = $2
			sub(/:$/, "", at)
			$0 = at ": " tolower($1) " " substr($0, RLENGTH + 1)
		}
		# objtool knows no line, but an offset
		/^[^ :]+\.o: (warning|error): / {
			flush()
			gsub(/\+0x[0-9a-f]+/, "")
			file = $1
			sub(/:$/, "", file)
			sub(/^[^ ]+ /, "")
			text = $0
			place = file
			line = "-"
			next
		}
		match($0, /^[^ :]+:[0-9]+(:[0-9]+(-[0-9]+)?)?: */) {
			split($0, part, ":")
			rest = substr($0, RLENGTH + 1)
			spaces = substr($0, RSTART, RLENGTH) ~ /:  +$/
			gsub(/line [0-9]+/, "line N", rest)
			gsub(/[ \t]+/, " ", rest)
			if (kind == "compiler" || kind == "kernel-doc") {
				# what sparse expected and got instead is on lines of their own
				if (spaces && text != "") {
					text = text ", " rest
					next
				}
				flush()
				if (rest !~ /^(fatal )?(warning|error): /)
					next
			} else
				flush()
			file = part[1]
			place = substr($0, RSTART, RLENGTH)
			line = part[2]
			text = rest
			next
		}
		{ flush() }
		END { flush() }' | LC_ALL=C sort
}

# new_findings BEFORE AFTER: what AFTER has more often than BEFORE. Lines move, so they do not
# count; of several with the same text the last ones are named.
new_findings() {
	awk -F'\t' '
		FILENAME == ARGV[1] { had[$1]++; next }
		had[$1] > 0 { had[$1]--; next }
		{ print $1 " (line " $2 ")" }' "$1" "$2"
}
