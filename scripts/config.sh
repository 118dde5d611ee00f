#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Configure the kernel KERNEL from the fragments in config/kernel.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
		usage: config.sh [-h | --menu]

		Merges the fragments of config/kernel on top of allnoconfig into the build directory
		of KERNEL=$KERNEL and checks that every line of every fragment is in the result: but for
		options that BASE=$BASE does not know, as the line without= of its file says, and
		for KUnit suites that come with a later patch.
		--menu: then edit it by menuconfig. What you change there lasts until a fragment
		changes; the difference from the fragments is printed, for you to store.
	END
}

# Lines of the fragments that the configuration has not: "fragment:line: text". Of several
# fragments that set the same, the last one counts.
lost_lines() {
	local fragment nr text name line
	local -A last=()
	for fragment in "${fragments[@]}"; do
		while IFS=: read -r nr text; do
			name=${text#\# }
			last[${name%%[ =]*}]="${fragment#"$top/"}:$nr: $text"
		done < <(grep -nE '^(CONFIG_|# CONFIG_)' "$fragment")
	done
	for name in "${!last[@]}"; do
		line=${last[$name]}
		text=${line#*: }
		grep -qxF -- "$text" "$1" && continue
		[[ " $without " != *" $name "* ]] || continue
		# "is not set" also holds where the symbol is not visible at all
		if [[ $text == "# "*" is not set" ]]; then
			grep -q "^$name=" "$1" || continue
		fi
		printf '%s\n' "$line"
	done | sort -t: -k1,1 -k2,2n
}

# Does the source of this kernel have the option $1?
has_option() {
	tree_git grep -qE "^[[:space:]]*(menu)?config ${1#CONFIG_}\$" ${commit:+"$commit"} -- '*Kconfig*'
}

# What the base is said not to have must not be there: the line would hide a lost one.
check_without() {
	local option
	for option in $without; do
		! has_option "$option" ||
			die "config/base/$BASE.conf: without= names $option, and $BASE has it"
	done
}

# The KUnit suites of kunit.config that this kernel has not got: they are of later patches. A build
# drops the lines, so the configuration is another from where they are known.
suites_to_come() {
	local option
	while IFS='=' read -r option _; do
		has_option "$option" || printf ' %s' "$option"
	done < <(grep -E '^CONFIG_[A-Z0-9_]*_KUNIT_TEST=' "$top/config/kernel/kunit.config")
}

kconfig() {
	make -C "$tree" O="$out" HOSTCC='ccache gcc' "$1"
}

main() {
	local menu='' digest lost without commit
	case ${1:-} in
	-h) usage && exit ;;
	--menu) menu=y ;;
	?*) usage_error "config.sh accepts -h and --menu, not $1" ;;
	esac
	[[ $KERNEL != */* ]] || usage_error "KERNEL=$KERNEL is a file: there is nothing to configure"
	take_lock config
	[[ -d $tree ]] || die "there is no source tree yet: make fetch apply"
	need_numa
	commit=$(commit_of)
	mapfile -t fragments < <(fragments_of "$KERNEL")
	mkdir -p "$out"

	without=$(base_words without)$(suites_to_come)
	digest=$(printf '%s' "$without" | cat "${fragments[@]}" - | sha)
	if [[ ! -f $out/.config || $(cat "$out/.fragments" 2>/dev/null) != "$digest" ]]; then
		check_without
		rm -f "$out/.fragments"
		(cd "$tree" && HOSTCC='ccache gcc' scripts/kconfig/merge_config.sh -n -Q -O "$out" \
			"${fragments[@]}") >"$out/config.log" 2>&1 ||
			die "configuring $KERNEL: $(reason_in "$out/config.log") (see $out/config.log)"
		kconfig olddefconfig >>"$out/config.log" 2>&1 ||
			die "configuring $KERNEL: $(reason_in "$out/config.log") (see $out/config.log)"
		lost=$(lost_lines "$out/.config")
		if [[ -n $lost ]]; then
			rm -f "$out/.config"
			sed 's/^/      /' <<<"$lost" >&2
			die "the configuration of $KERNEL has lost $(wc -l <<<"$lost") line(s) of its fragments (above):" \
				"a dependency is missing or the symbol is gone"
		fi
		printf '%s\n' "$digest" >"$out/.fragments"
		cp "$out/.config" "$out/.config.fragments"
		note "$(grep -c '=[ym]$' "$out/.config") options of $KERNEL are on"
	else
		note "the configuration of $KERNEL is up to date"
	fi
	if [[ -n $menu ]]; then
		[[ -t 0 && -t 1 ]] || die "menuconfig needs a terminal"
		kconfig menuconfig || die "menuconfig failed (it needs the package libncurses-dev)"
		note "changed against the fragments:"
		"$tree/scripts/diffconfig" "$out/.config.fragments" "$out/.config"
	fi
}

main "$@"
