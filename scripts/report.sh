#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The last comparison as one HTML file with pictures.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

snapshot=$top/Documentation/comparison

usage() {
	cat <<-END
		usage: report.sh [-h | --store]

		Writes results/compare/report/report.html from the last "make compare": verdicts, pictures
		(as PNG and SVG beside it too), digests of what was run and the command to do it again. The
		file needs no other and no network.
		--store: keep the table, three pictures and the measures in ${snapshot#"$top/"} too, against
		which "make check" holds a short comparison.
		Exit status: 2 where there is no comparison.
	END
}

# Of each kind of picture the first there is
store() {
	local picture pictures=()
	for picture in scan_sparse-local.64G scan_dense-nodes.256M.per_node mmap_latency-latency.mmap.on; do
		[[ -f $out/report/$picture.svg ]] ||
			die "the comparison has no $picture: --store needs one of all scenarios (make compare)"
		pictures+=("$out/report/$picture.svg")
	done
	mkdir -p "$snapshot"
	rm -f "$snapshot"/*
	# without the directories of this machine
	sed '/^ "dirs": \[$/,/^ \],$/d' "$out/measures.json" >"$snapshot/measures.json"
	# ink that is seen on white and on black: a picture of its own does not know the page's colour
	for picture in "${pictures[@]}"; do
		sed 's/#010203/#808080/g' "$picture" >"$snapshot/${picture##*/}"
	done
	{
		printf '# Comparison\n\nThe last stored one, by `%s` and `scripts/report.sh --store`.\n' \
			"$(sed -n 's/^ "command": "\(.*\)",$/\1/p' "$out/measures.json" | sed 's/\\"/"/g')"
		printf 'Guest time and instructions: the same on any host. Not written by hand.\n\n'
		cat "$out/table.md"
		for picture in "${pictures[@]}"; do
			picture=$(basename "$picture")
			printf '\n![%s](%s)\n' "${picture%.svg}" "$picture"
		done
	} >"$snapshot/README.md"
	note "stored in ${snapshot#"$PWD/"}"
}

main() {
	local store=''
	case ${1:-} in
	-h) usage && exit ;;
	--store) store=y ;;
	?*) usage_error "report.sh accepts -h and --store, not $1" ;;
	esac
	take_lock report
	out=$results/compare
	[[ -f $out/measures.json ]] || usage_error "there is no comparison yet: make compare"
	"$top/scripts/tools.sh" report
	/usr/bin/python3 "$top/scripts/report.py" "$out"
	[[ -z $store ]] || store
}

main "$@"
