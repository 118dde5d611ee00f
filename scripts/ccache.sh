# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The environment of every kernel build: the compiler cache and what makes the
# image the same on any machine. To be sourced after lib.sh.

ccache_setup() {
	# outside of the checkout: a fresh clone is warm. Yours is taken if you have set one.
	: "${CCACHE_DIR:=$cache/ccache}"
	: "${CCACHE_MAXSIZE:=5G}"
	export CCACHE_DIR CCACHE_MAXSIZE
	# source and output by relative paths, so that another checkout hits too
	export CCACHE_BASEDIR=$work
	# __FILE__ would keep the relative path; kbuild strips the absolute one itself
	export KCPPFLAGS=-fmacro-prefix-map=../linux/=
	mkdir -p "$CCACHE_DIR" || die "cannot create CCACHE_DIR=$CCACHE_DIR"
	export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026'
	export KBUILD_BUILD_USER=numa KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1
}
