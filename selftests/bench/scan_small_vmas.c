// SPDX-License-Identifier: GPL-2.0
/*
 * How many TLB shootdowns it takes to mark the pages of many small mappings.
 *
 * Stands for: allocators and run-times whose memory is in mappings of some pages each, while
 * threads of the process run on all nodes. Measured: mappings of 4 pages with a gap in
 * between, pages on one node, a busy thread on each of the others; TLB shootdown interrupts
 * for each PTE that is marked, and PTEs marked by guest second. Limit: five percent worse than
 * the other kernel.
 *
 * lab: shift=4 topo=4node
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

#define PAGES		4
#define MAX_THREADS	8
#define SECONDS		6

static const struct layout {
	const char *name;
	int nr;
} layouts[] = {
	{ "4k", 4000 },
	{ "20k", 20000 },
};

static struct thread {
	pthread_t id;
	int node;
} threads[MAX_THREADS];
static char *area;
static size_t step;
static int nr_vmas;
static bool stop;

/* All use all of it, so that no page is private to one */
static void *use(void *arg)
{
	struct thread *t = arg;

	if (numa_run_on(&bench_nodes, t->node))
		return NULL;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < nr_vmas; i++)
			for (int k = 0; k < PAGES; k++)
				(*(volatile char *)(area + i * step + k * page_size()))++;
		cpu_relax();
	}
	return t;
}

/* Of all CPUs, from the line TLB of /proc/interrupts */
static double shootdowns(void)
{
	static char buf[1 << 20];
	double sum = 0;
	char *at, *end;

	MUST(!file_read("/proc/interrupts", buf, sizeof(buf)));
	at = strstr(buf, "TLB:");
	MUST(at);
	for (at += 4;; at = end) {
		unsigned long n = strtoul(at, &end, 10);

		if (end == at)
			return sum;
		sum += n;
	}
}

static void run(const void *arg)
{
	const struct layout *l = arg;
	struct timespec wait = { .tv_sec = SECONDS };
	struct nodemask from = NODEMASK(numa_node_with_both(&bench_nodes, -1));
	double interrupts, marked;
	int nr = 0;
	char name[64];

	step = (PAGES + 1) * page_size();
	nr_vmas = l->nr;
	MUST(!numa_balancing_set(0));
	area = bench_map(l->nr * step, page_size(), MAP_PRIVATE);
	for (int i = 0; i < l->nr; i++)
		MUST(!munmap(area + i * step + PAGES * page_size(), page_size()));
	MUST(!sys_set_mempolicy(MPOL_PREFERRED, &from));
	for (int i = 0; i < l->nr; i++)
		for (int k = 0; k < PAGES; k++)
			area[i * step + k * page_size()] = 1;
	MUST(!sys_set_mempolicy(MPOL_DEFAULT, NULL));

	stop = false;
	for (int i = 0; i < bench_nodes.nr_cpu && nr < MAX_THREADS; i++)
		threads[nr++] = (struct thread){ .node = bench_nodes.cpu[i] };
	MUST(!numa_balancing_set(1));
	interrupts = shootdowns();
	marked = vmstat("numa_pte_updates");
	for (int i = 0; i < nr; i++)
		MUST(!pthread_create(&threads[i].id, NULL, use, &threads[i]));
	nanosleep(&wait, NULL);
	interrupts = shootdowns() - interrupts;
	marked = vmstat("numa_pte_updates") - marked;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < nr; i++) {
		void *done;

		MUST(!pthread_join(threads[i].id, &done));
		MUST(done);
	}
	MUST(marked > 0);
	snprintf(name, sizeof(name), "%s.shootdowns", l->name);
	measure(name, "interrupts/PTE", LOWER, 1.05, interrupts / marked);
	snprintf(name, sizeof(name), "%s.marked", l->name);
	measure(name, "PTEs/s", HIGHER, 0.95, marked / SECONDS);
	MUST(!munmap(area, l->nr * step));
}

int main(void)
{
	long was;

	bench_begin(2);
	was = bench_balancing();
	if (bench_nodes.nr_cpu < 2)
		bench_skip("needs cpu_nodes=2");
	for (int i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		bench_apart(run, &layouts[i]);
	numa_balancing_set(was);
	bench_pass();
}
