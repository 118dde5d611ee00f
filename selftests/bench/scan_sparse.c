// SPDX-License-Identifier: GPL-2.0
/*
 * How fast NUMA balancing finds the few pages of a large reservation.
 *
 * Stands for: heaps of managed run-times, sanitizers' shadows and databases that reserve far
 * more than they use. Measured: private mappings of which one page in 64 MB is present, and
 * one of which a random page in a hundred is; all pages are on another node than the only
 * thread, which uses them. PTEs that are marked per guest second until 90 % are, and seconds
 * until 50, 90 and 99 % of the pages are on the thread's node; the time given up after where
 * they never get there. Limit: five percent worse than the other kernel.
 *
 * A scan may take 3 % of its task's time. So that this is not what is measured the guest's
 * clock counts an instruction as a nanosecond, which is still slow.
 *
 * lab: shift=0 topo=4node
 */
#include <stdlib.h>

#include "bench.h"

#define BOUND_SLOWER	1.05
#define BOUND_FEWER	0.95

static const struct layout {
	const char *name;
	size_t size;
	size_t step;		/* 0: one page in a hundred, at random */
	int give_up;		/* guest seconds */
} layouts[] = {
	{ "16G", 16UL << 30, 64UL << 20, 6 },
	{ "64G", 64UL << 30, 64UL << 20, 8 },
	{ "1T", 1UL << 40, 64UL << 20, 6 },
	{ "random.1G", 1UL << 30, 0, 6 },
};

static void **page;
static int *status;
static int nr;

static int chosen(const struct layout *l)
{
	return l->step ? l->size / l->step : l->size / page_size() / 100;
}

/* In each step at a place of its own, or anywhere */
static void *place(const struct layout *l, char *base, int i)
{
	size_t room = l->step ? l->step : 100 * page_size();

	return base + i * room + bench_random() % (room / page_size()) * page_size();
}

static int local(int node)
{
	int n = 0;

	MUST(!sys_move_pages(0, nr, page, NULL, status, 0));
	for (int i = 0; i < nr; i++)
		n += status[i] == node;
	return n;
}

static void run(const void *arg)
{
	const struct layout *l = arg;
	static const int percent[] = { 50, 90, 99 };
	int node = numa_node_with_both(&bench_nodes, -1), other = -1, next = 0;
	double reached[3] = { l->give_up, l->give_up, l->give_up }, now = 0, marked_at = l->give_up;
	long before, marked = 0;
	uint64_t start, look;
	struct nodemask far;
	char name[96], *p;

	for (int i = 0; i < bench_nodes.nr_mem && other < 0; i++)
		if (bench_nodes.mem[i] != node)
			other = bench_nodes.mem[i];
	far = NODEMASK(other);
	nr = chosen(l);
	page = calloc(nr, sizeof(*page));
	status = calloc(nr, sizeof(*status));
	MUST(page && status);
	MUST(!numa_balancing_set(0));
	p = bench_map(l->size, page_size(), MAP_PRIVATE);
	MUST(!sys_set_mempolicy(MPOL_PREFERRED, &far));
	for (int i = 0; i < nr; i++) {
		page[i] = place(l, p, i);
		*(volatile char *)page[i] = 1;
	}
	MUST(!sys_set_mempolicy(MPOL_DEFAULT, NULL));
	MUST(local(other) > nr * 9 / 10);
	before = vmstat("numa_pte_updates");
	MUST(before >= 0);
	MUST(!numa_balancing_set(1));

	start = look = clock_ns();
	while (next < 3 && now < l->give_up) {
		/* and some work in between: each page is a TLB miss, which is dear for the host */
		for (int i = 0; i < nr; i++) {
			(*(volatile char *)page[i])++;
			if (i % 16 == 0)
				spin();
		}
		if (clock_ns() < look)
			continue;
		look += 250000000;
		now = (clock_ns() - start) / 1e9;
		if (marked_at == l->give_up) {
			marked = vmstat("numa_pte_updates") - before;
			if (marked >= nr * 0.9)
				marked_at = now;
		}
		for (int n = local(node); next < 3 && n >= nr * percent[next] / 100.; next++)
			reached[next] = now;
		snprintf(name, sizeof(name), "local.%s", l->name);
		sample(name, now, 100. * local(node) / nr);
	}
	snprintf(name, sizeof(name), "%s.marked", l->name);
	measure(name, "PTEs/s", HIGHER, BOUND_FEWER, marked / (marked_at < now ? marked_at : now));
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s.local_%d", l->name, percent[i]);
		measure(name, "s", LOWER, BOUND_SLOWER, reached[i]);
	}
	MUST(!munmap(p, l->size));
	free(page);
	free(status);
}

int main(void)
{
	long was;

	bench_begin(2);
	was = bench_balancing();
	for (int i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		bench_apart(run, &layouts[i]);
	numa_balancing_set(was);
	bench_pass();
}
