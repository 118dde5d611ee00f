// SPDX-License-Identifier: GPL-2.0
/*
 * How fast pages that are used get out of slow memory, and what stays there.
 *
 * Stands for: memory behind CXL or persistent memory, a node without a CPU and of a lower
 * tier, from which mode 2 of NUMA balancing promotes. Measured: 128 MB on the slow node of
 * which an eighth is used all the time and the rest not at all; seconds until half and 90 %
 * of the pages in use are on a fast node, pages that were promoted without being used, and
 * what of the thread's time was not its own until then. Limit: five percent worse than the
 * other kernel.
 *
 * lab: shift=4 topo=tiered
 */
#include <stdlib.h>

#include "bench.h"

#define SIZE		(128UL << 20)
#define HOT		(SIZE / 8)
#define GIVE_UP		60	/* guest seconds */
#define LOOKS		512	/* pages of the hot part that are asked for */
#define SHIFT		4
#define BOUND		1.05

static char *area;

static double use(double seconds, double *until, int slow)
{
	static const int percent[] = { 50, 90 };
	static void *page[LOOKS];
	static int status[LOOKS];
	uint64_t begin = clock_ns(), look = begin;
	double pages = 0, now = 0;
	size_t at = 0;
	int next = 0;

	for (int i = 0; i < LOOKS; i++)
		page[i] = area + HOT / LOOKS * i;
	while (now < seconds && next < 2) {
		for (int i = 0; i < 64; i++, at = (at + page_size()) % HOT)
			use_page(area + at);
		pages += 64;
		now = (clock_ns() - begin) / 1e9;
		if (!until || clock_ns() < look)
			continue;
		look += 250000000;
		MUST(!sys_move_pages(0, LOOKS, page, NULL, status, 0));
		{
			int fast = 0;

			for (int i = 0; i < LOOKS; i++)
				fast += status[i] >= 0 && status[i] != slow;
			sample("local.promoted", now, 100. * fast / LOOKS);
			for (; next < 2 && fast >= LOOKS * percent[next] / 100.; next++)
				until[next] = now;
		}
	}
	return pages / now;
}

int main(void)
{
	double until[2] = { GIVE_UP, GIVE_UP }, quiet, rate, waste;
	unsigned long nodes[NUMA_MAX_NODES];
	struct nodemask there;
	long was, promoted;
	int slow;

	bench_begin(2);
	was = bench_balancing();
	slow = numa_slow_node(&bench_nodes);
	if (slow < 0)
		bench_skip("needs slow_tier");
	promoted = vmstat("pgpromote_success");
	MUST(promoted >= 0);
	there = NODEMASK(slow);
	MUST(!numa_balancing_set(0));
	area = bench_map(SIZE, page_size(), MAP_PRIVATE);
	MUST(!sys_mbind(area, SIZE, MPOL_BIND, &there, 0));
	for (size_t i = 0; i < SIZE; i += page_size())
		area[i] = 1;
	MUST(!sys_mbind(area, SIZE, MPOL_DEFAULT, NULL, 0));
	quiet = use(2, NULL, slow);

	MUST(!numa_balancing_set(2));
	rate = use(GIVE_UP, until, slow);
	MUST(!numa_balancing_set(0));
	promoted = vmstat("pgpromote_success") - promoted;
	MUST(page_nodes(area + HOT, SIZE - HOT, page_size(), nodes) > 0);
	waste = (SIZE - HOT) / page_size() - nodes[slow];
	measure("hot.promoted_50", "s", LOWER, BOUND, until[0]);
	measure("hot.promoted_90", "s", LOWER, BOUND, until[1]);
	measure("cold.promoted", "pages", LOWER, BOUND, waste);
	measure("promoted", "pages", LOWER, BOUND, promoted);
	measure("cost", "instructions/s", LOWER, BOUND, lost(quiet, rate, SHIFT));
	numa_balancing_set(was);
	bench_pass();
}
