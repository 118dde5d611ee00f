#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Wrong topology files are refused with the line and what is accepted; right ones load.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/defaults.sh"
. "$here/../lib.sh"
. "$here/../topology.sh"

good='node 0 cpus=1 memory=1G
node 1 cpus=0 memory=512M # no CPU
node 2 absent
total nodes=2 cpus=1 memory=1536M
promise memory_nodes=2 thp'

# a dimm, and bandwidths
tiered='node 0 cpus=1 memory=1G
node 1 cpus=0 memory=512M
node 2 cpus=1 hotplug
dimm 2 memory=256M
bandwidth 0 0 20000
bandwidth 0 1 9000
bandwidth 0 2 8000
bandwidth 2 0 7000
bandwidth 2 1 10000
bandwidth 2 2 5000
total nodes=3 cpus=2 memory=1536M
promise memory_nodes=2 hotplug bandwidth'

bad=0 count=0
# check WANT TEXT: WANT is "" for a file that loads, else a part of the message
check() {
	local got status=0
	count=$((count + 1))
	printf '%s\n' "$2" >"$tmp/t.conf"
	got=$( (topology_load "$tmp/t.conf") 2>&1) || status=$?
	if [[ -z $1 ]]; then
		((status == 0)) && [[ -z $got ]] && return
	elif ((status == 2)) && [[ $got == *"$1"* && $(wc -l <<<"$got") == 1 ]]; then
		return
	fi
	printf 'status %d\n  want %s\n  got  %s\n' "$status" "${1:-a topology}" "$got"
	bad=$((bad + 1))
}

main() {
	local file
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	check '' "$good"
	check 't.conf:1: unknown statement "nodes"; accepted: node, dimm, distance, bandwidth, total, promise' "nodes 4"
	check 't.conf:2: node 2 follows node 0' "${good/node 1/node 2}"
	check 't.conf:2: node 0 follows node 0' "${good/node 1/node 0}"
	check 't.conf:2: "x" is not a node id' "${good/node 1/node x}"
	check 't.conf:2: expected "node N cpus=C memory=M"' "${good/cpus=0/cpu=0}"
	check 't.conf:2: expected "node N cpus=C memory=M"' "${good/512M/512K}"
	check 't.conf:2: node 1 has neither CPUs nor memory' "${good/512M/0}"
	check 't.conf:2: memory=32M: a node has 0 or at least 64M' "${good/512M/32M}"
	check 't.conf:1: node 0 boots the guest' "${good/cpus=1 memory=1G/cpus=0 memory=1G}"
	check 't.conf:4: total says memory=1536M, the nodes have 1280M' "${good/512M/256M}"
	check 't.conf:4: total says cpus=1, the nodes have 3' "${good/cpus=0/cpus=2}"
	check 't.conf:4: total says nodes=3, the nodes are 2' "${good/nodes=2/nodes=3}"
	check 't.conf:4: no "total" line' "$(sed '/^total/d' <<<"$good")"
	check 't.conf:4: no "promise" line' "$(sed '/^promise/d' <<<"$good")"
	check 't.conf:5: cannot promise "tph"; accepted: memory_nodes' "${good/thp/tph}"
	check 't.conf:5: "memory_nodes=two" has no number' "${good/memory_nodes=2/memory_nodes=two}"
	check 't.conf:6: distance 9 is not in 11 to 254' "$good"$'\n'"distance 0 1 9"
	check 't.conf:6: there is no node 7 above' "$good"$'\n'"distance 0 7 20"
	check 't.conf:6: 1 distances are given, all 6 or none' "$good"$'\n'"distance 0 1 20"
	check 'no node' "# nothing"

	check '' "$tiered"
	check '' "$(sed '/^bandwidth/d' <<<"$tiered")"
	check '' "${tiered/cpus=1 hotplug/cpus=1 memory=512M}"$'\n'"total nodes=3 cpus=2 memory=2G"
	check '' "$tiered"$'\n'"dimm 2 memory=1G"
	check 't.conf:1: node 0 boots the guest' "${tiered/memory=1G/hotplug}"
	check 't.conf:3: expected "node N cpus=C memory=M", "node N cpus=C hotplug" or' "${tiered/hotplug/dimm}"
	check 't.conf:3: node 2 has no dimm' "$(sed '/^dimm/d' <<<"$tiered")"
	check 't.conf:2: node 1 has no dimm' "${tiered/cpus=0 memory=512M/cpus=1 hotplug}"$'\n'"total nodes=3 cpus=3 memory=1G"
	check 't.conf:4: node 1 is not the last: the firmware'"'"'s range for dimms is of node 2' "${tiered/dimm 2/dimm 1}"
	check 't.conf:4: there is no node 3 above' "${tiered/dimm 2/dimm 3}"
	check 't.conf:6: node 2 is absent: it cannot have a dimm' "$good"$'\n'"dimm 2 memory=256M"
	check 't.conf:4: expected "dimm N memory=M"' "${tiered/dimm 2 memory=256M/dimm 2 256M}"
	check 't.conf:4: expected "dimm N memory=M"' "${tiered/256M/256K}"
	check 't.conf:4: memory=100M: a dimm has a multiple of 128M' "${tiered/256M/100M}"
	check 't.conf:4: memory=0M: a dimm has a multiple of 128M' "${tiered/256M/0M}"
	check 't.conf:5: expected "bandwidth FROM TO MBPS"' "${tiered/20000/20G}"
	check 't.conf:5: expected "bandwidth FROM TO MBPS"' "${tiered/20000/}"
	check 't.conf:5: bandwidth 0 is not in 1 to 65535' "${tiered/20000/0}"
	check 't.conf:5: bandwidth 65536 is not in 1 to 65535' "${tiered/20000/65536}"
	check 't.conf:8: there is no node 4 above' "${tiered/bandwidth 2 0/bandwidth 4 0}"
	check 't.conf:8: there is no node 4 above' "${tiered/bandwidth 2 0/bandwidth 2 4}"
	check 't.conf:8: node 1 has no CPU' "${tiered/bandwidth 2 0/bandwidth 1 0}"
	check 't.conf:8: bandwidth 0 1 was given already' "${tiered/bandwidth 2 0/bandwidth 0 1}"
	check 't.conf:9: 5 bandwidths are given, all 6 or none' "$(sed '/^bandwidth 2 2/d' <<<"$tiered")"
	check 't.conf:6: node 1 has no memory: with bandwidths all nodes have some' "$(sed 's/cpus=0 memory=512M/cpus=1 memory=0/; s/^total.*/total nodes=2 cpus=2 memory=1G/' <<<"$good")"$'\n'"bandwidth 0 0 1"
	check 't.conf:11: total says memory=1792M, the nodes have 1536M' "${tiered/memory=1536M/memory=1792M}"

	for file in "$top"/config/topology/*.conf; do
		check '' "$(cat "$file")"
	done
	printf '%d topologies read, %d wrong\n' "$count" "$bad"
	((bad == 0))
}

main "$@"
