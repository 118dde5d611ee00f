# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The series as data: what apply and refresh both need. To be sourced after lib.sh.

# Names of the patches, one a line, in order. Line 1 of the file names the base.
series_names() {
	local line nr=0 names=0
	[[ -f $patches/series ]] || die "patches/$BASE/series does not exist"
	while IFS= read -r line || [[ -n $line ]]; do
		nr=$((nr + 1))
		if ((nr == 1)); then
			[[ $line == "# base: $(base_value version)" ]] ||
				die "patches/$BASE/series:1: must be \"# base: $(base_value version)\", is \"$line\""
			continue
		fi
		[[ -z $line || $line == \#* ]] && continue
		[[ $line =~ ^[0-9]{4}-[A-Za-z0-9._-]+\.patch$ ]] ||
			die "patches/$BASE/series:$nr: not the name of a patch: \"$line\""
		[[ -f $patches/$line ]] ||
			die "patches/$BASE/series:$nr: there is no patches/$BASE/$line"
		printf '%s\n' "$line"
		names=$((names + 1))
	done <"$patches/series"
	((names > 0)) || die "patches/$BASE/series names no patch"
}

# PATCH=N or FIRST-LAST, empty: all, of $1 patches: sets first and last
patch_range() {
	first=1 last=$1
	[[ -n $PATCH ]] || return 0
	[[ $PATCH =~ ^([0-9]{1,4})(-([0-9]{1,4}))?$ ]] ||
		usage_error "PATCH=$PATCH is neither a number nor a range like 2-5; accepted: 1 to $1"
	first=$((10#${BASH_REMATCH[1]})) last=$((10#${BASH_REMATCH[3]:-${BASH_REMATCH[1]}}))
	((first >= 1 && first <= last && last <= $1)) ||
		usage_error "PATCH=$PATCH is out of range; accepted: 1 to $1"
}

# Subject of patch number $1 of names
subject_of() {
	git mailinfo -b /dev/null /dev/null <"$patches/${names[$1 - 1]}" | sed -n 's/^Subject: //p'
}

# One sum over the list and the files it names.
series_digest() {
	local names
	names=$(series_names) || exit
	{
		printf '%s\n' "$names"
		(cd "$patches" && xargs cat <<<"$names")
	} | sha
}

# git format-patch of base..$1 into directory $2, the same bytes on any machine:
# no version signature, no commit hash, and the cover letter dated as the last
# patch. The text of the cover letter $3 is kept, its statistics are made anew.
series_write() {
	local tip=$1 out=$2 cover=$3 base last
	base=$(state_get base)
	[[ -n $(tree_git rev-list "$base..$tip") ]] || die "branch numa has no commit on top of the base"
	# -N and in-order names: a new patch must not change the others
	tree_git -c branch.numa.description="$(cover_text "$cover")" -c format.signOff=false \
		-c diff.noprefix=false -c diff.mnemonicPrefix=false -c diff.algorithm=myers \
		-c diff.renames=true -c diff.context=3 -c core.abbrev=12 -c format.subjectPrefix=PATCH \
		-c format.headers= -c format.thread=false -c format.useAutoBase=false \
		-c log.showSignature=false -c core.quotePath=true -c format.notes=false \
		-c format.encodeEmailHeaders=true \
		format-patch -q -N --no-signature --zero-commit --no-base --no-attach --cover-letter \
		--cover-from-description=subject --stat=72 --stat-graph-width=10 \
		--output-directory "$out" "$base..$tip" --
	# git dates the cover letter now and signs it by whoever runs this: take both
	# from the last patch
	last=$(cd "$out" && printf '%s\n' [0-9]*.patch | tail -n1)
	awk 'NR == FNR { if (FNR == 1) next; if (/^Subject:/) nextfile; head = head $0 "\n"; next }
		FNR == 1 { print; printf "%s", head; skip = 1; next }
		skip && /^Subject:/ { skip = 0 }
		skip { next }
		{ print }' "$out/$last" "$out/0000-cover-letter.patch" | cat -s >"$out/cover"
	mv "$out/cover" "$out/0000-cover-letter.patch"
	{
		printf '# base: %s\n' "$(base_value version)"
		(cd "$out" && printf '%s\n' [0-9]*.patch | grep -v '^0000-')
	} >"$out/series"
}

# Subject and text of a cover letter, without the statistics that git adds.
cover_text() {
	[[ -f $1 ]] || die "there is no cover letter ${1#"$top/"}"
	awk '
		!text && /^Subject: / { sub(/^Subject: (\[[^]]*\] )?/, ""); subject = $0; folded = 1; next }
		!text && folded && /^ / { subject = subject $0; next }
		!text && /^$/ { text = 1; printf "%s\n", subject; next }
		!text { folded = 0; next }
		{ lines[++n] = $0 }
		END {
			# the shortlog begins with "Author (N):" and ends the text
			for (i = 1; i <= n; i++)
				if (lines[i] ~ /^[^ ].* \([0-9]+\):$/ && lines[i + 1] ~ /^  /)
					break
			last = i - 1
			while (last > 0 && lines[last] == "")
				last--
			print ""
			for (i = 1; i <= last; i++)
				print lines[i]
		}' "$1" | cat -s
}
