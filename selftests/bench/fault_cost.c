// SPDX-License-Identifier: GPL-2.0
/*
 * What the first touch of a page costs under each memory policy.
 *
 * Stands for: every program that allocates. A policy, and what a kernel adds to looking it
 * up, is paid at each fault. Measured: instructions of a write fault that allocates, from
 * user space to user space, as the median over the pages of a mapping whose page tables
 * are there; anonymous pages under a policy of the task and of the VMA, 4K and THP, and
 * shared memory with and without a shared policy. Limit: not more than half a percent above
 * the other kernel.
 *
 * lab: shift=0 cpu=-erms,-fsrm topo=4node
 *
 * Without these two flags clearing a page is a loop of one instruction per byte, which
 * buries all else.
 */
#include "bench.h"

#define PAGES	256
#define HUGE	8
#define BOUND	1.005

static const struct policy {
	const char *name;
	int mode;
	int nodes;		/* 0, 1 or all */
} policies[] = {
	{ "default", MPOL_DEFAULT, 0 },
	{ "local", MPOL_LOCAL, 0 },
	{ "preferred", MPOL_PREFERRED, 1 },
	{ "preferred_many", MPOL_PREFERRED_MANY, 2 },
	{ "bind", MPOL_BIND, 2 },
	{ "interleave", MPOL_INTERLEAVE, 2 },
	{ "weighted_interleave", MPOL_WEIGHTED_INTERLEAVE, 2 },
};

static struct nodemask nodes_of(const struct policy *p)
{
	struct nodemask m = { };

	for (int i = 0; i < bench_nodes.nr_mem && (p->nodes > 1 || i < p->nodes); i++)
		nodemask_set(&m, bench_nodes.mem[i]);
	return m;
}

/* Median cost of the first write to each of @nr pages of @step bytes */
static double faults(char *p, int nr, size_t step, int drop)
{
	uint64_t cost[PAGES], start;

	/* the first round makes page tables, and fills the free lists */
	for (int round = 0; round < 2; round++) {
		MUST(!madvise(p, nr * step, drop));
		for (int i = 0; i < nr; i++) {
			start = clock_ns();
			*(volatile char *)(p + i * step) = 1;
			cost[i] = elapsed(start);
		}
	}
	return median(cost, nr);
}

static void anonymous(const struct policy *pol, bool vma, bool thp)
{
	size_t step = thp ? thp_size() : page_size(), size = (thp ? HUGE : PAGES) * step;
	const struct nodemask mask = nodes_of(pol), *m = pol->nodes ? &mask : NULL;
	char name[96], *p = bench_map(size, thp ? step : page_size(), MAP_PRIVATE);

	if (thp)
		MUST(!madvise(p, size, MADV_HUGEPAGE));
	MUST(!(vma ? sys_mbind(p, size, pol->mode, m, 0) : sys_set_mempolicy(pol->mode, m)));
	snprintf(name, sizeof(name), "%s.%s.%s", thp ? "thp" : "4k", vma ? "vma" : "task", pol->name);
	measure(name, "instructions", LOWER, BOUND, faults(p, size / step, step, MADV_DONTNEED));
	MUST(!sys_set_mempolicy(MPOL_DEFAULT, NULL));
	MUST(!munmap(p, size));
}

static void shared(const struct policy *pol)
{
	const struct nodemask mask = nodes_of(pol), *m = pol->nodes ? &mask : NULL;
	size_t size = PAGES * page_size();
	char name[96], *p = bench_map(size, page_size(), MAP_SHARED);

	if (pol->mode != MPOL_DEFAULT)
		MUST(!sys_mbind(p, size, pol->mode, m, 0));
	snprintf(name, sizeof(name), "shmem.%s", pol->mode == MPOL_DEFAULT ? "none" : pol->name);
	measure(name, "instructions", LOWER, BOUND, faults(p, PAGES, page_size(), MADV_REMOVE));
	MUST(!munmap(p, size));
}

int main(void)
{
	int thp;

	bench_begin(2);
	numa_balancing_off();
	thp = thp_on();
	for (int i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		for (int vma = 0; vma < 2; vma++) {
			anonymous(&policies[i], vma, false);
			if (thp_size())
				anonymous(&policies[i], vma, true);
		}
		shared(&policies[i]);
	}
	thp_restore(thp);
	bench_pass();
}
