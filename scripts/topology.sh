# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# A topology file as QEMU arguments and promises. To be sourced after lib.sh.
#
# The file has one statement a line; # begins a comment:
#   node N cpus=C memory=M     a node: C CPUs (0: none), M like 512M or 1G (0: none)
#   node N absent              the id exists in the firmware's tables, the node does not
#   node N cpus=C hotplug      a node that has its memory from dimms only
#   dimm N memory=M            a memory device of the last node, in whole blocks of 128M
#   distance FROM TO D         10 to 254, one direction; where none is given all are 20
#   bandwidth FROM TO MBPS     1 to 65535, from a node with CPUs to one with memory: all or none
#   total nodes=N cpus=C memory=M   what the nodes must add up to, without dimms
#   promise WORD[=COUNT]...    what tests find here: a skip for it is a failure
# Ids begin at 0 and have no gaps; "absent" makes the gaps that a guest sees.
#
# The memory of a dimm is there when the guest has booted, and it is offline: who wants it
# writes to /sys/devices/system/memory. The firmware's range for it is of the last node.
# Bandwidths, and latencies of 10 ns for each 1 of the distance, are an ACPI HMAT.

topo_promises="memory_nodes full_nodes cpu_nodes thp hugetlb cpuset balancing debugfs tracefs kunit root node_mb hotplug bandwidth slow_tier"

# topology_load FILE: sets
#   topo_args      array, QEMU arguments
#   topo_memory    MiB in all
#   topo_cpus      CPUs present
#   topo_promised  associative array, word to count (1 without a count)
topology_load() {
	local file=$1 nr=0 line words node key
	local -A cpus=() memory=() distance=() hotplug=() bandwidth=()
	local dimms=() dimm_memory=0 hmat_line=0 last
	local ids=() total_line=0 sum_cpus=0 sum_memory=0 sum_nodes=0 t_nodes t_cpus t_memory
	topo_args=() topo_memory=0 topo_cpus=0
	declare -gA topo_promised=()

	bad() {
		usage_error "${file#"$top/"}:$1: $2"
	}
	# 512M, 1G or 0 to MiB, into $mib
	to_mib() {
		case $1 in
		0) mib=0 ;;
		*M) mib=${1%M} ;;
		*G) mib=${1%G} ;;
		*) return 1 ;;
		esac
		is_number "$mib" || return 1
		[[ $1 != *G ]] || mib=$((mib * 1024))
	}

	local mib
	while IFS= read -r line || [[ -n $line ]]; do
		nr=$((nr + 1))
		read -ra words <<<"${line%%#*}" || true
		((${#words[@]})) || continue
		case ${words[0]} in
		node)
			node=${words[1]:-}
			is_number "$node" && ((node < 64)) || bad $nr "\"$node\" is not a node id (0 to 63)"
			((node == ${#ids[@]})) || bad $nr "node $node follows node $((${#ids[@]} - 1)): ids have no gaps (use \"node N absent\")"
			ids+=("$node")
			if [[ ${words[*]:2} == absent ]]; then
				cpus[$node]=absent memory[$node]=0
				continue
			fi
			if [[ ${words[*]:2} =~ ^cpus=([0-9]{1,3})\ hotplug$ ]]; then
				((node > 0)) || bad $nr "node 0 boots the guest: it needs a CPU and at least 256M"
				cpus[$node]=${BASH_REMATCH[1]} memory[$node]=0 hotplug[$node]=$nr
				sum_nodes=$((sum_nodes + 1)) sum_cpus=$((sum_cpus + cpus[$node]))
				continue
			fi
			[[ ${words[*]:2} =~ ^cpus=([0-9]{1,3})\ memory=([0-9]+[MG]?)$ ]] ||
				bad $nr "expected \"node N cpus=C memory=M\", \"node N cpus=C hotplug\" or \"node N absent\", got \"$line\""
			cpus[$node]=${BASH_REMATCH[1]}
			to_mib "${BASH_REMATCH[2]}" || bad $nr "memory=${BASH_REMATCH[2]} is not like 512M, 1G or 0"
			memory[$node]=$mib
			((cpus[$node] + mib > 0)) || bad $nr "node $node has neither CPUs nor memory (use \"node N absent\")"
			((node > 0 || (cpus[$node] > 0 && mib >= 256))) ||
				bad $nr "node 0 boots the guest: it needs a CPU and at least 256M"
			((mib == 0 || mib >= 64)) || bad $nr "${words[3]}: a node has 0 or at least 64M"
			sum_nodes=$((sum_nodes + 1)) sum_cpus=$((sum_cpus + cpus[$node])) sum_memory=$((sum_memory + mib))
			;;
		distance)
			[[ ${words[*]:1} =~ ^([0-9]{1,2})\ ([0-9]{1,2})\ ([0-9]{1,3})$ ]] ||
				bad $nr "expected \"distance FROM TO D\", got \"$line\""
			[[ -n ${cpus[${words[1]}]:-} ]] || bad $nr "there is no node ${words[1]} above this line"
			[[ -n ${cpus[${words[2]}]:-} ]] || bad $nr "there is no node ${words[2]} above this line"
			((words[1] != words[2])) || bad $nr "the distance of a node to itself is always 10"
			((words[3] > 10 && words[3] < 255)) || bad $nr "distance ${words[3]} is not in 11 to 254"
			key=${words[1]},${words[2]}
			[[ -z ${distance[$key]:-} ]] || bad $nr "distance ${words[1]} ${words[2]} was given already"
			distance[$key]=${words[3]}
			;;
		dimm)
			[[ ${words[*]:1} =~ ^([0-9]{1,2})\ memory=([0-9]+[MG])$ ]] ||
				bad $nr "expected \"dimm N memory=M\", got \"$line\""
			node=${BASH_REMATCH[1]}
			[[ -n ${cpus[$node]:-} ]] || bad $nr "there is no node $node above this line"
			[[ ${cpus[$node]} != absent ]] || bad $nr "node $node is absent: it cannot have a dimm"
			to_mib "${BASH_REMATCH[2]}" || bad $nr "memory=${BASH_REMATCH[2]} is not like 512M or 1G"
			((mib > 0 && mib % 128 == 0)) || bad $nr "${words[2]}: a dimm has a multiple of 128M"
			dimms+=("$nr $node $mib") dimm_memory=$((dimm_memory + mib))
			;;
		bandwidth)
			[[ ${words[*]:1} =~ ^([0-9]{1,2})\ ([0-9]{1,2})\ (0|[1-9][0-9]{0,5})$ ]] ||
				bad $nr "expected \"bandwidth FROM TO MBPS\", got \"$line\""
			[[ -n ${cpus[${words[1]}]:-} ]] || bad $nr "there is no node ${words[1]} above this line"
			[[ -n ${cpus[${words[2]}]:-} ]] || bad $nr "there is no node ${words[2]} above this line"
			[[ ${cpus[${words[1]}]} =~ ^[0-9]*[1-9] ]] ||
				bad $nr "node ${words[1]} has no CPU: nothing reads or writes from there"
			((words[3] >= 1 && words[3] <= 65535)) ||
				bad $nr "bandwidth ${words[3]} is not in 1 to 65535"
			key=${words[1]},${words[2]}
			[[ -z ${bandwidth[$key]:-} ]] || bad $nr "bandwidth ${words[1]} ${words[2]} was given already"
			bandwidth[$key]=${words[3]} hmat_line=$nr
			;;
		total)
			[[ ${words[*]:1} =~ ^nodes=([0-9]{1,2})\ cpus=([0-9]{1,3})\ memory=([0-9]+[MG])$ ]] ||
				bad $nr "expected \"total nodes=N cpus=C memory=M\", got \"$line\""
			t_nodes=${BASH_REMATCH[1]} t_cpus=${BASH_REMATCH[2]}
			to_mib "${BASH_REMATCH[3]}" || bad $nr "memory=${BASH_REMATCH[3]} is not like 512M or 1G"
			t_memory=$mib total_line=$nr
			;;
		promise)
			local word
			for word in "${words[@]:1}"; do
				[[ " $topo_promises " == *" ${word%%=*} "* ]] ||
					bad $nr "cannot promise \"$word\"; accepted: $topo_promises"
				[[ $word != *=* ]] || is_number "${word#*=}" || bad $nr "\"$word\" has no number"
				topo_promised[${word%%=*}]=$([[ $word == *=* ]] && echo "${word#*=}" || echo 1)
			done
			;;
		*) bad $nr "unknown statement \"${words[0]}\"; accepted: node, dimm, distance, bandwidth, total, promise" ;;
		esac
	done <"$file"

	((${#ids[@]})) || bad $nr "no node"
	((total_line)) || bad $nr "no \"total\" line"
	((sum_nodes == t_nodes)) || bad $total_line "total says nodes=$t_nodes, the nodes are $sum_nodes"
	((sum_cpus == t_cpus)) || bad $total_line "total says cpus=$t_cpus, the nodes have $sum_cpus"
	((sum_memory == t_memory)) || bad $total_line "total says memory=${t_memory}M, the nodes have ${sum_memory}M"
	((${#topo_promised[@]})) || bad $nr "no \"promise\" line: without one no skip could be wrong"
	local pairs=$((${#ids[@]} * (${#ids[@]} - 1)))
	((${#distance[@]} == 0 || ${#distance[@]} == pairs)) ||
		bad $nr "${#distance[@]} distances are given, all $pairs or none are needed"

	local dimm with_cpus=0
	last=$((${#ids[@]} - 1))
	for dimm in "${dimms[@]}"; do
		read -r nr node mib <<<"$dimm"
		((node == last)) || bad "$nr" "node $node is not the last: the firmware's range for dimms is of node $last"
	done
	for node in "${!hotplug[@]}"; do
		((node == last && dimm_memory)) || bad "${hotplug[$node]}" "node $node has no dimm"
	done
	if ((hmat_line)); then
		for node in "${ids[@]}"; do
			# one node that is no memory makes the kernel refuse the whole table
			((memory[$node] || node == last && dimm_memory)) ||
				bad $hmat_line "node $node has no memory: with bandwidths all nodes have some"
			with_cpus=$((with_cpus + (cpus[$node] > 0)))
		done
		pairs=$((with_cpus * ${#ids[@]}))
		((${#bandwidth[@]} == pairs)) ||
			bad $hmat_line "${#bandwidth[@]} bandwidths are given, all $pairs or none are needed"
		topo_args+=(-machine hmat=on)
	fi

	# A socket of its own for every CPU: otherwise the boot warns of CPUs of one
	# socket on several nodes. CPUs of absent nodes are possible and not plugged.
	local index=0 plugged=() i c
	for node in "${ids[@]}"; do
		local arg=node,nodeid=$node
		if ((memory[$node] > 0)); then
			topo_args+=(-object "memory-backend-ram,id=mem$node,size=${memory[$node]}M")
			arg+=,memdev=mem$node
		fi
		c=${cpus[$node]}
		if [[ $c == absent ]]; then
			arg+=,cpus=$index
			index=$((index + 1))
		elif ((c > 0)); then
			arg+=,cpus=$index-$((index + c - 1))
			for ((i = 0; i < c; i++)); do
				plugged+=($((index + i)))
			done
			index=$((index + c))
		elif ((hmat_line)); then
			# whose bandwidth counts as the node's: the greatest, as it is nearest
			local best=0 from=
			for i in "${ids[@]}"; do
				key=$i,$node
				if ((${bandwidth[$key]:-0} > best)); then
					best=${bandwidth[$key]} from=$i
				fi
			done
			arg+=,initiator=$from
		fi
		topo_args+=(-numa "$arg")
	done
	while IFS= read -r key; do
		[[ -z $key ]] || topo_args+=(-numa "dist,src=${key%,*},dst=${key#*,},val=${distance[$key]}")
	done < <(printf '%s\n' "${!distance[@]}" | sort -t, -k1,1n -k2,2n)
	while IFS= read -r key; do
		[[ -n $key ]] || continue
		arg=hmat-lb,initiator=${key%,*},target=${key#*,},hierarchy=memory
		i=${distance[$key]:-20}
		((${key%,*} != ${key#*,})) || i=10
		topo_args+=(-numa "$arg,data-type=access-latency,latency=$((10 * i))")
		topo_args+=(-numa "$arg,data-type=access-bandwidth,bandwidth=${bandwidth[$key]}M")
	done < <(printf '%s\n' "${!bandwidth[@]}" | sort -t, -k1,1n -k2,2n)
	topo_cpus=$sum_cpus topo_memory=$sum_memory
	if ((index == sum_cpus)); then
		topo_args+=(-smp "$index,sockets=$index,cores=1,threads=1")
	else
		# CPU 0 is there from the start, the others are plugged before it runs
		topo_args+=(-smp "1,maxcpus=$index,sockets=$index,cores=1,threads=1")
		for i in "${plugged[@]:1}"; do
			topo_args+=(-device "max-x86_64-cpu,socket-id=$i,core-id=0,thread-id=0")
		done
	fi
	if ((dimm_memory == 0)); then
		topo_args+=(-m "${sum_memory}M")
		return
	fi
	topo_args+=(-m "${sum_memory}M,slots=${#dimms[@]},maxmem=$((sum_memory + dimm_memory))M")
	for i in "${!dimms[@]}"; do
		read -r nr node mib <<<"${dimms[i]}"
		topo_args+=(-object "memory-backend-ram,id=hp$i,size=${mib}M")
		topo_args+=(-device "pc-dimm,id=dimm$i,memdev=hp$i,node=$node")
	done
}
