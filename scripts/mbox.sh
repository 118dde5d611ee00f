#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Write the series as a thread of mails in one file.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$top/scripts/series.sh"

usage() {
	cat <<-END
		usage: mbox.sh [-h]

		Writes patches/$BASE to $work/series.mbx as it is sent: numbered,
		each patch an answer to the cover letter. "b4 shazam -m FILE" and "git am --empty=drop FILE"
		apply it. The same series gives the same bytes: message ids are made of the change-id and
		the content, dates are those of the patches. Then prints whom get_maintainer.pl names for
		it; no address is written to the file.

		The cover letter has a line "change-id: YYYYMMDD-NAME-HEX", which names the series over all
		of its revisions, and from the second on a line "revision: N". Both are sent below its
		statistics, with the base: "base-commit:" with KDIR, where the base is a commit that others
		have, or where kernel.org's tarball was imported and config/base/$BASE.conf has a line "commit=", the
		hash of that version in its repository; "base: v$(base_value version)" where it was imported from a tarball.
	END
}

# Value of the line "$1: " of the cover letter's text
cover_line() {
	cover_text "$cover" | sed -n "s/^$1: //p" | sed -n 1p
}

# File $1 as number $2 of the thread, with the lines $3 below it
mail() {
	awk -v prefix="$prefix $(printf '%0*d/%d' ${#count} "$2" "$count")" -v id="<$id-$2-$hash@$domain>" \
		-v first="<$id-0-$hash@$domain>" -v number="$2" -v extra="$3" '
		body && number == 0 && /^(change-id|revision): / && !seen[$1]++ { next }
		body && number == 0 && /^$/ && lines[n] == "" { next }
		body { lines[++n] = $0; next }
		# b4 cannot read a header that is folded
		/^[ \t]/ { sub(/^[ \t]+/, " "); head = head $0; next }
		head != "" { print head }
		/^Subject: / { sub(/^Subject: (\[[^]]*\] )?/, "Subject: [" prefix "] ") }
		{ head = $0 }
		/^$/ {
			print "Message-ID: " id
			if (number > 0)
				print "In-Reply-To: " first "\nReferences: " first
			print ""
			body = 1
		}
		END {
			while (n > 0 && lines[n] == "")
				n--
			for (i = 1; i <= n; i++)
				print lines[i]
			if (extra != "")
				print "\n" extra
			print ""
		}' "$1"
}

maintainers() {
	if [[ ! -f $tree/scripts/get_maintainer.pl ]]; then
		note "the tree has no scripts/get_maintainer.pl: no addresses"
		return
	fi
	note "get_maintainer.pl names for it:"
	# the imported base has no history to guess from
	(cd "$tree" && PERL_HASH_SEED=0 perl scripts/get_maintainer.pl --nogit --nogit-fallback "${files[@]}") >"$tmp/to" 2>"$tmp/err" ||
		die "scripts/get_maintainer.pl: $(reason_in "$tmp/err")"
	sed 's/^/        /' "$tmp/to"
}

main() {
	local cover=$patches/0000-cover-letter.patch count prefix change id hash revision domain base commit names nr name bad
	local files=()
	case ${1:-} in
	-h) usage && exit ;;
	?*) usage_error "mbox.sh takes no argument but -h, not $1" ;;
	esac
	take_lock mbox
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	names=$(series_names)
	tree_is_clean || die "the tree $tree has uncommitted changes: commit or stash them first"
	"$top/scripts/refresh.sh" --check >/dev/null || exit 1
	change=$(cover_line change-id)
	[[ $change =~ ^[0-9]{8}-[a-z0-9-]+-[0-9a-f]{12}$ ]] ||
		die "patches/$BASE/0000-cover-letter.patch: needs a line \"change-id: YYYYMMDD-NAME-12HEXDIGITS\", has \"$change\""
	revision=$(cover_line revision)
	: "${revision:=1}"
	is_number "$revision" && ((revision > 0)) ||
		die "patches/$BASE/0000-cover-letter.patch: \"revision: $revision\" is not a number from 1"
	prefix=PATCH
	((revision == 1)) || prefix="PATCH v$revision"
	commit=$(base_words commit)
	if [[ -n $KDIR ]]; then
		base="base-commit: $(state_get base)"
	elif [[ -n $commit && $(state_get source) == "linux-$(base_value version)" ]]; then
		[[ $commit =~ ^[0-9a-f]{40}$ ]] || die "config/base/$BASE.conf: \"commit=$commit\" is not the hash of a commit"
		base="base-commit: $commit"
	else
		base="base: v$(tree_version)"
	fi

	tmp=$(mktemp -d "$work/mbox.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	count=$(wc -l <<<"$names")
	for name in $names; do
		files+=("$patches/$name")
	done
	# such a line ends a mail, and begins the next
	bad=$(awk 'FNR > 1 && /^From / { print FILENAME ":" FNR; exit }' "$cover" "${files[@]}")
	[[ -z $bad ]] || die "${bad#"$top/"}: a line of a mail cannot begin with \"From \": reword it"
	domain=$(git mailinfo /dev/null /dev/null <"$cover" | sed -n 's/^Email: .*@//p')
	hash=$(cat "$cover" "${files[@]}" | sha | cut -c1-12)
	id=${change%-*}-v$revision
	mail "$cover" 0 "$base"$'\n'"change-id: $change" >"$tmp/series.mbx"
	for ((nr = 1; nr <= count; nr++)); do
		mail "${files[nr - 1]}" "$nr" "" >>"$tmp/series.mbx"
	done
	mv "$tmp/series.mbx" "$work/series.mbx"
	maintainers
	note "$count patches and the cover letter, $base, change-id: $change"
	note "$work/series.mbx, sha256 $(sha "$work/series.mbx" | cut -c1-16)"
	note "try it in a clone: b4 shazam -m FILE, or git am --empty=drop FILE"
}

main "$@"
