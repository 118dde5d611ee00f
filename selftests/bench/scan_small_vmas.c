// SPDX-License-Identifier: GPL-2.0
/*
 * How many TLB shootdowns it takes to mark the pages of many small mappings.
 *
 * Stands for: allocators and run-times whose memory is in mappings of some pages each, while
 * threads of the process run on all nodes. Measured: mappings of 4 pages with a gap in
 * between; TLB shootdown interrupts for each PTE that is marked, and PTEs marked by guest
 * second. Where all threads use all pages, these move from node to node, and each that does is
 * a shootdown too; "own" is without: each thread has its part of the mappings, with pages on
 * its node. Limit: five percent worse than the other kernel.
 *
 * lab: shift=2 topo=4node
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

#define PAGES		4
#define MAX_THREADS	8
#define SECONDS		5

static const struct layout {
	const char *name;
	int nr;
	bool own;
} layouts[] = {
	{ "4k", 4000, false },
	{ "20k", 20000, false },
	{ "60k", 60000, false },
	{ "4k.own", 4000, true },
	{ "20k.own", 20000, true },
	{ "60k.own", 60000, true },
};

static struct thread {
	pthread_t id;
	int node;
	int first, last;	/* of its mappings, and the one behind it */
	bool ready;
} threads[MAX_THREADS];
static char *area;
static size_t step;
static bool stop, go;

static void touch(const struct thread *t)
{
	for (int i = t->first; i < t->last; i++)
		for (int k = 0; k < PAGES; k++)
			(*(volatile char *)(area + i * step + k * page_size()))++;
}

static void *use(void *arg)
{
	struct thread *t = arg;

	if (numa_run_on(&bench_nodes, t->node))
		return NULL;
	/* what is not there yet is allocated where it is used */
	touch(t);
	__atomic_store_n(&t->ready, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		cpu_relax();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		touch(t);
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
	MUST(!numa_balancing_set(0));
	area = bench_map(l->nr * step, page_size(), MAP_PRIVATE);
	for (int i = 0; i < l->nr; i++)
		MUST(!munmap(area + i * step + PAGES * page_size(), page_size()));
	nr = bench_nodes.nr_cpu < MAX_THREADS ? bench_nodes.nr_cpu : MAX_THREADS;
	for (int i = 0; i < nr; i++)
		threads[i] = (struct thread){
			.node = bench_nodes.cpu[i],
			.first = l->own ? l->nr * i / nr : 0,
			.last = l->own ? l->nr * (i + 1) / nr : l->nr,
		};
	if (!l->own) {
		MUST(!sys_set_mempolicy(MPOL_PREFERRED, &from));
		touch(&threads[0]);
		MUST(!sys_set_mempolicy(MPOL_DEFAULT, NULL));
	}

	stop = go = false;
	for (int i = 0; i < nr; i++) {
		MUST(!pthread_create(&threads[i].id, NULL, use, &threads[i]));
		while (!__atomic_load_n(&threads[i].ready, __ATOMIC_ACQUIRE))
			cpu_relax();
	}
	MUST(!numa_balancing_set(1));
	interrupts = shootdowns();
	marked = vmstat("numa_pte_updates");
	__atomic_store_n(&go, true, __ATOMIC_RELEASE);
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
