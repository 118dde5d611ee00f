# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests that make up what they work on: what make was told of the real tree is not for them,
# and KDIR least of all. To be sourced first.

# shellcheck disable=SC2046 # a word for each variable; all but O
unset $(sed -n 's/^VARIABLES := \(.*\) O$/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../../Makefile")
