// SPDX-License-Identifier: GPL-2.0
/*
 * What NUMA balancing costs processes that gain nothing by it.
 *
 * Stands for: programs that are bound, that have all memory where they run, or whose cpuset
 * has one node: most of a well-run machine. Their memory is in some thousand mappings, as a
 * larger program's is. Measured: what of a busy thread's time is not its
 * own, in instructions by guest second, in the first ten seconds and in the last ten of five
 * minutes. Limit: five percent above the other kernel.
 *
 * lab: shift=6 topo=4node
 */
#include <stdlib.h>

#include "bench.h"

#define MAPPINGS	2000
#define PAGES		8	/* of each */
#define WARM_UP		280	/* guest seconds */
#define WINDOW		10
#define SHIFT		6
#define BOUND		1.05

static char *mapping[MAPPINGS];

/* Pages used by second, in @seconds: a page is some 300 instructions, a look at the clock 100 */
static double use(int seconds)
{
	uint64_t begin = clock_ns(), now = begin;
	static int at;
	double pages = 0;

	while (now - begin < seconds * 1000000000ULL) {
		for (int i = 0; i < PAGES; i++)
			use_page(mapping[at] + i * page_size());
		at = (at + 1) % MAPPINGS;
		pages += PAGES;
		now = clock_ns();
	}
	return pages / ((now - begin) / 1e9);
}

static void run(const char *what)
{
	double quiet, early, late;
	char name[64];

	MUST(!numa_balancing_set(0));
	quiet = use(WINDOW);
	MUST(!numa_balancing_set(1));
	early = use(WINDOW);
	use(WARM_UP);
	late = use(WINDOW);
	snprintf(name, sizeof(name), "%s.first", what);
	measure(name, "instructions/s", LOWER, BOUND, lost(quiet, early, SHIFT));
	snprintf(name, sizeof(name), "%s.later", what);
	measure(name, "instructions/s", LOWER, BOUND, lost(quiet, late, SHIFT));
}

static void fill(const struct nodemask *nodes)
{
	for (int i = 0; i < MAPPINGS; i++) {
		if (nodes)
			MUST(!sys_mbind(mapping[i], PAGES * page_size(), MPOL_BIND, nodes, MPOL_MF_MOVE));
		for (int k = 0; k < PAGES; k++)
			mapping[i][k * page_size()] = 1;
	}
}

/* All memory where the thread runs */
static void local(const void *arg)
{
	(void)arg;
	fill(NULL);
	run("local");
}

/* Bound to other nodes: nothing may move */
static void bound(const void *nodes)
{
	fill(nodes);
	run("bound");
}

/* Entered for ever */
static void confined(const void *cs)
{
	MUST(!cpuset_enter(cs));
	fill(NULL);
	run("cpuset");
}

int main(void)
{
	struct nodemask here, there;
	int other = -1, node;
	struct cpuset cs;
	size_t len;
	char *area;
	long was;

	bench_begin(2);
	was = bench_balancing();
	node = numa_node_with_both(&bench_nodes, -1);
	for (int i = 0; i < bench_nodes.nr_mem && other < 0; i++)
		if (bench_nodes.mem[i] != node)
			other = bench_nodes.mem[i];
	here = NODEMASK(node);
	there = NODEMASK(other);
	/* with a hole after each, so that they are never one */
	len = (PAGES + 1) * page_size();
	area = bench_map(MAPPINGS * len, page_size(), MAP_PRIVATE);
	for (int i = 0; i < MAPPINGS; i++) {
		mapping[i] = area + i * len;
		MUST(!munmap(mapping[i] + PAGES * page_size(), page_size()));
	}

	bench_apart(local, NULL);
	if (!cpuset_create(&cs)) {
		MUST(!cpuset_set_mems(&cs, &here));
		bench_apart(confined, &cs);
		cpuset_remove(&cs);
	}
	bench_apart(bound, &there);
	numa_balancing_set(was);
	bench_pass();
}
