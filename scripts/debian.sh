# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian's archive, asked without touching the system's sources and lists. To be sourced
# after lib.sh; the caller sets tmp, a directory.

# seconds without data after which a download is given up
stall=${NUMA_STALL:-20}

# The mirror that apt uses for Debian's main archive on this machine.
debian_mirror() {
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 2>/dev/null |
		awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }'
}

# apt with lists and state of its own: the system's are not touched.
private_apt() {
	APT_CONFIG=$tmp/apt/apt.conf "$@"
}

# private_apt_setup deb|deb-src SUITE: apt's signed lists of SUITE, below $tmp/apt. What is
# then fetched has the sums that these lists give.
private_apt_setup() {
	local mirror
	if ! command -v apt-get >/dev/null; then
		note "Debian: this machine has no apt-get"
		return 1
	fi
	mirror=$(debian_mirror)
	if [[ -z $mirror ]]; then
		# lists may never have been updated: read what is configured instead
		mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
			/etc/apt/sources.list.d/*.list 2>/dev/null |
			sed -nE 's/^(URIs:|deb( \[[^]]*\])?) *([^ ]+\/debian\/?)( .*)?$/\3/p' | head -n1)
	fi
	if [[ -z $mirror ]]; then
		note "Debian: apt is configured with no mirror of Debian's archive"
		return 1
	fi
	mkdir -p "$tmp/apt"/{lists/partial,cache/archives/partial,state}
	printf '%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
		"$1" "$mirror" "$2" >"$tmp/apt/sources.list"
	: >"$tmp/apt/status"
	cat >"$tmp/apt/apt.conf" <<-END
		Dir::Etc::sourcelist "$tmp/apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State "$tmp/apt/state";
		Dir::State::lists "$tmp/apt/lists";
		Dir::State::status "$tmp/apt/status";
		Dir::Cache "$tmp/apt/cache";
		APT::Sandbox::User "$(id -un)";
		Acquire::Languages "none";
		Acquire::http::Timeout "$stall";
		Acquire::Retries "1";
	END
	if ! private_apt apt-get -q update >"$tmp/apt.log" 2>&1 || grep -q '^[EW]: ' "$tmp/apt.log"; then
		note "Debian: $(grep -m1 '^[EW]: ' "$tmp/apt.log" || tail -n1 "$tmp/apt.log")"
		return 1
	fi
}
