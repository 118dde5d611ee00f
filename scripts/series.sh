# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# The series as data: what apply, refresh and those that send it need. To be sourced after lib.sh.

# What messages call the directory $patches, and the base that $tree has.
series_label=patches/$BASE
base_of_tree=$BASE

# Names of the patches, one a line, in order. Line 1 of the file names the base: the version
# $series_version, or that of config/base.
series_names() {
	local line nr=0 names=0 version=${series_version:-$(base_value version)}
	[[ -f $patches/series ]] || die "$series_label/series does not exist"
	while IFS= read -r line || [[ -n $line ]]; do
		nr=$((nr + 1))
		if ((nr == 1)); then
			[[ $line == "# base: $version" ]] ||
				die "$series_label/series:1: must be \"# base: $version\", is \"$line\""
			continue
		fi
		[[ -z $line || $line == \#* ]] && continue
		[[ $line =~ ^[0-9]{4}-[A-Za-z0-9._-]+\.patch$ ]] ||
			die "$series_label/series:$nr: not the name of a patch: \"$line\""
		[[ -f $patches/$line ]] ||
			die "$series_label/series:$nr: there is no $series_label/$line"
		printf '%s\n' "$line"
		names=$((names + 1))
	done <"$patches/series"
	((names > 0)) || die "$series_label/series names no patch"
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

# The source of branch numa before and after patch number $1 of names, but for documents, which are
# no part of a kernel
sources_of() {
	local commit
	for commit in "numa~$((${#names[@]} - $1 + 1))" "numa~$((${#names[@]} - $1))"; do
		tree_git ls-tree "$commit" | grep -v '[[:space:]]Documentation$'
	done
}

# A sum over patch number $1 of names: what it says and proves, and the source
input_of() {
	{
		subject_of "$1"
		sed -n '/^---$/q; /^Proof:/p' "$patches/${names[$1 - 1]}"
		sources_of "$1"
	} | sha | cut -c1-12
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

# Commits of the series on top of commit $1, by an index in directory $tmp: $series_tip is the last
# one. The tree and its branches are not touched.
series_commits() {
	local name names
	names=$(series_names)
	series_tip=$1
	GIT_INDEX_FILE=$tmp/index tree_git read-tree "$series_tip"
	for name in $names; do
		series_tip=$(commit_patch "$name" "$series_tip")
	done
}

# The commit of one patch on top of $parent, in the temporary index.
commit_patch() {
	local name=$1 parent=$2 files who mail when written
	git mailinfo -b --encoding=UTF-8 "$tmp/msg" "$tmp/diff" <"$patches/$name" >"$tmp/info" 2>"$tmp/err" ||
		die "$series_label/$name is not a patch in mail form: $(reason_in "$tmp/err")"
	[[ -s $tmp/diff ]] || die "$series_label/$name has no diff"
	if ! GIT_INDEX_FILE=$tmp/index tree_git apply --cached --whitespace=nowarn "$tmp/diff" 2>"$tmp/err"; then
		files=$(sed -nE 's/^error: patch failed: (.*)$/\1/p; s/^error: (.*): (does not exist|already exists).*/\1/p' \
			"$tmp/err" | sort -u | tr '\n' ' ')
		die "$series_label/$name does not apply: ${files:-$(reason_in "$tmp/err") }(tree left as it was)"
	fi
	{
		sed -n 's/^Subject: //p' "$tmp/info"
		echo
		cat "$tmp/msg"
	} | git stripspace >"$tmp/message"
	who=$(sed -n 's/^Author: //p' "$tmp/info")
	mail=$(sed -n 's/^Email: //p' "$tmp/info")
	when=$(sed -n 's/^Date: //p' "$tmp/info")
	written=$(GIT_INDEX_FILE=$tmp/index tree_git write-tree)
	# committer as author: the same hash on every machine
	env GIT_AUTHOR_NAME="$who" GIT_AUTHOR_EMAIL="$mail" GIT_AUTHOR_DATE="$when" \
		GIT_COMMITTER_NAME="$who" GIT_COMMITTER_EMAIL="$mail" GIT_COMMITTER_DATE="$when" \
		git -C "$tree" -c commit.gpgSign=false commit-tree -p "$parent" -F "$tmp/message" "$written"
}

# The commit $small_base in the tree: nothing but the files that the series touches, as they are in
# the base $1, whose tree may be another one in O. The series applies to it as it does there, but
# in a moment; only these files are copied from one repository to the other.
make_small_base() {
	local from_tree=$tree from_base paths index=$tmp/small-index written
	from_base=$(state_get base)
	if [[ $1 != "$base_of_tree" ]]; then
		from_tree=$O/$1/linux
		from_base=$(state_get base "$O/$1")
	fi
	[[ -n $from_base && -d $from_tree ]] || die "there is no source tree of $1 yet: make fetch BASE=$1"
	paths=$(series_names | (cd "$patches" && xargs cat) | sed -n 's|^diff --git a/\([^ ]*\) b/\([^ ]*\)$|\1\n\2|p' | sort -u)
	[[ -n $paths ]] || die "$series_label touches no file"
	xargs -d '\n' git -C "$from_tree" ls-tree "$from_base" <<<"$paths" >"$tmp/files"
	if [[ $from_tree != "$tree" ]]; then
		sed -n 's/^[0-9]* blob \([0-9a-f]*\)\t.*/\1/p' "$tmp/files" |
			git -C "$from_tree" pack-objects -q --stdout | tree_git unpack-objects -q
	fi
	GIT_INDEX_FILE=$index tree_git read-tree --empty
	GIT_INDEX_FILE=$index tree_git update-index --index-info <"$tmp/files"
	written=$(GIT_INDEX_FILE=$index tree_git write-tree)
	small_base=$(env GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' \
		GIT_COMMITTER_NAME=base GIT_COMMITTER_EMAIL=base@localhost GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' \
		git -C "$tree" -c commit.gpgSign=false commit-tree -m "files of $1 that the series touches" "$written")
}

# checkpatch PATCH TREE: what it says of a patch, a line each; fails where it says anything. A name
# in a proof cannot be broken into lines, which that of 6.12 asks for.
checkpatch() {
	local words=/usr/lib/python3/dist-packages/codespell_lib/data/dictionary.txt
	[[ -f $words ]] || die "codespell has no dictionary: $words"
	# it reads .checkpatch.conf here and spells by the tree's word list; what it runs for a license is
	# for the system's python3
	(cd "$top" && sed '1,/^---$/s/^Proof: .*/Proof:/' "$1" |
		PATH=/usr/bin:$PATH perl "$2/scripts/checkpatch.pl" --root="$2" --strict --codespell \
			--codespellfile="$words" --no-summary --terse --show-types - |
		sed "s|^-:|$1:|")
}

# git format-patch with the options "$@", whatever the user has configured. The description of
# branch $tip, if there is one, is the cover letter's text.
series_format() {
	local description=
	[[ -z $(tree_git config --get-all format.headers || true) ]] ||
		die "git's format.headers would be part of every patch: git config --unset-all format.headers"
	[[ -z ${cover:-} ]] || description=$(cover_text "$cover")
	tree_git -c "branch.$tip.description=$description" -c format.signOff=false \
		-c diff.noprefix=false -c diff.mnemonicPrefix=false -c diff.algorithm=myers \
		-c diff.renames=true -c diff.context=3 -c core.abbrev=12 -c format.subjectPrefix=PATCH \
		-c format.thread=false -c format.useAutoBase=false \
		-c log.showSignature=false -c core.quotePath=true -c format.notes=false \
		-c format.encodeEmailHeaders=true \
		format-patch -q --no-signature --zero-commit --no-base --no-attach \
		--stat=72 --stat-graph-width=10 "$@"
}

# git format-patch of base..$1 into directory $2, the same bytes on any machine: no version
# signature, no commit hash, no numbers (a new patch must not change the others), and the cover
# letter dated as the last patch. The text of the cover letter $3 is kept, its statistics are made
# anew.
series_write() {
	local tip=$1 out=$2 cover=$3 base last
	base=$(state_get base)
	[[ -n $(tree_git rev-list "$base..$tip") ]] || die "branch numa has no commit on top of the base"
	series_format -N --cover-letter --cover-from-description=subject --output-directory "$out" "$base..$tip" --
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
