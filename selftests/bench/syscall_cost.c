// SPDX-License-Identifier: GPL-2.0
/*
 * What the system calls of memory policy cost, and mprotect(), which shares a walk with
 * NUMA balancing.
 *
 * Stands for: run-times that bind each arena and thread (numactl, the JVM, databases,
 * schedulers of VMs that move memory). Measured: instructions of a call, as the median of
 * repeated calls. Limit: not more than half a percent above the other kernel for calls that
 * move nothing; two percent for those that do, where other CPUs take part.
 *
 * lab: shift=0 cpu=-erms,-fsrm topo=4node
 */
#include "bench.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif

#define REPEAT	32
#define BOUND	1.005
#define MOVING	1.02
#define MOST	4096
#define LARGE	(1UL << 30)

static struct nodemask first, second, all;

#define COST(name, bound, nr, prepare, call) do {			\
	uint64_t cost_[REPEAT], start_;					\
	for (int round = 0; round < (nr); round++) {			\
		prepare;						\
		start_ = clock_ns();					\
		long ret_ = (call);					\
		cost_[round] = elapsed(start_);				\
		MUST(ret_ >= 0);					\
	}								\
	measure(name, "instructions", LOWER, bound, median(cost_, (nr)));	\
} while (0)

static void policies(void)
{
	size_t size = 16 * page_size();
	struct nodemask got;
	int mode;
	char *p = bench_map(size, page_size(), MAP_PRIVATE);

	COST("set_mempolicy.default", BOUND, REPEAT, , sys_set_mempolicy(MPOL_DEFAULT, NULL));
	COST("set_mempolicy.bind", BOUND, REPEAT, , sys_set_mempolicy(MPOL_BIND, &first));
	COST("set_mempolicy.interleave", BOUND, REPEAT, , sys_set_mempolicy(MPOL_INTERLEAVE, &all));
	COST("get_mempolicy.task", BOUND, REPEAT, , sys_get_mempolicy(&mode, &got, NULL, 0));
	MUST(!sys_set_mempolicy(MPOL_DEFAULT, NULL));
	COST("get_mempolicy.addr", BOUND, REPEAT, , sys_get_mempolicy(&mode, &got, p, MPOL_F_ADDR));
	*p = 1;
	COST("get_mempolicy.node", BOUND, REPEAT, ,
	     sys_get_mempolicy(&mode, NULL, p, MPOL_F_NODE | MPOL_F_ADDR));
	COST("mbind.same", BOUND, REPEAT, , sys_mbind(p, size, MPOL_BIND, &first, 0));
	COST("mbind.other", BOUND, REPEAT, , sys_mbind(p, size, MPOL_BIND, round & 1 ? &first : &second, 0));
	COST("mbind.part", BOUND, REPEAT, MUST(!sys_mbind(p, size, MPOL_BIND, &first, 0)),
	     sys_mbind(p + 4 * page_size(), 4 * page_size(), MPOL_BIND, &second, 0));
	MUST(!sys_mbind(p, size, MPOL_BIND, &all, 0));
	COST("home_node", BOUND, REPEAT, ,
	     syscall(SYS_set_mempolicy_home_node, (long)p, size, bench_nodes.mem[round & 1], 0));
	MUST(!munmap(p, size));
}

/* mbind() with MPOL_MF_MOVE: pages that are right already, and pages to move */
static void moves(void)
{
	static const int nr[] = { 1, 16, 256, MOST };
	char name[64], *p = bench_map(MOST * page_size(), page_size(), MAP_PRIVATE);

	for (int n = 0; n < sizeof(nr) / sizeof(*nr); n++) {
		size_t size = nr[n] * page_size();

		MUST(!sys_mbind(p, size, MPOL_BIND, &first, 0));
		for (int i = 0; i < nr[n]; i++)
			p[i * page_size()] = 1;
		snprintf(name, sizeof(name), "mbind.move_nothing.%d", nr[n]);
		COST(name, MOVING, REPEAT, , sys_mbind(p, size, MPOL_BIND, &first, MPOL_MF_MOVE));
		snprintf(name, sizeof(name), "mbind.move.%d", nr[n]);
		COST(name, MOVING, nr[n] > 256 ? 4 : REPEAT, ,
		     sys_mbind(p, size, MPOL_BIND, round & 1 ? &first : &second, MPOL_MF_MOVE));
		MUST(page_node(p) == bench_nodes.mem[0]);
		MUST(!madvise(p, size, MADV_DONTNEED));
		MUST(!sys_mbind(p, MOST * page_size(), MPOL_DEFAULT, NULL, 0));
	}
	MUST(!munmap(p, MOST * page_size()));
}

/* Of a process that has 64 MB on the first node, to another one and back */
static void whole_process(void)
{
	size_t size = 64UL << 20;
	unsigned long pages = 64;
	void *addr[64];
	int to[64], status[64];
	struct nodemask full;
	char *p = bench_map(size, page_size(), MAP_PRIVATE);

	memset(&full, 0xff, sizeof(full));
	MUST(!sys_mbind(p, size, MPOL_PREFERRED, &first, 0));
	for (size_t i = 0; i < size; i += page_size())
		p[i] = 1;
	COST("migrate_pages.nothing", MOVING, 4, ,
	     syscall(SYS_migrate_pages, 0, NUMA_MAX_NODES + 1, second.bits, second.bits));
	COST("migrate_pages.one", MOVING, 4, ,
	     round & 1 ? syscall(SYS_migrate_pages, 0, NUMA_MAX_NODES + 1, second.bits, first.bits) :
			 syscall(SYS_migrate_pages, 0, NUMA_MAX_NODES + 1, first.bits, second.bits));
	COST("migrate_pages.all_nodes", MOVING, 4, ,
	     syscall(SYS_migrate_pages, 0, NUMA_MAX_NODES + 1, all.bits, first.bits));
	COST("migrate_pages.all_ones", MOVING, 4, ,
	     syscall(SYS_migrate_pages, 0, NUMA_MAX_NODES + 1, full.bits, first.bits));
	for (int i = 0; i < pages; i++)
		addr[i] = p + i * page_size();
	COST("move_pages.query", BOUND, REPEAT, , sys_move_pages(0, pages, addr, NULL, status, 0));
	COST("move_pages.64", MOVING, REPEAT,
	     for (int i = 0; i < pages; i++) to[i] = bench_nodes.mem[!(round & 1)],
	     sys_move_pages(0, pages, addr, to, status, MPOL_MF_MOVE));
	MUST(!munmap(p, size));
}

/* Base pages that are present, from writable to read-only and back */
static void protect(void)
{
	char *p = bench_map(LARGE, page_size(), MAP_PRIVATE);

	MUST(!sys_mbind(p, LARGE, MPOL_INTERLEAVE, &all, 0));
	MUST(!madvise(p, LARGE, MADV_POPULATE_WRITE));
	COST("mprotect.1G", BOUND, 4, ,
	     mprotect(p, LARGE, round & 1 ? PROT_READ | PROT_WRITE : PROT_READ));
	MUST(!munmap(p, LARGE));
}

int main(void)
{
	bench_begin(2);
	numa_balancing_off();
	first = NODEMASK(bench_nodes.mem[0]);
	second = NODEMASK(bench_nodes.mem[1]);
	for (int i = 0; i < bench_nodes.nr_mem; i++)
		nodemask_set(&all, bench_nodes.mem[i]);
	policies();
	moves();
	whole_process();
	protect();
	bench_pass();
}
