// SPDX-License-Identifier: GPL-2.0
/*
 * How fast memory that is in use throughout follows its threads, and what that costs.
 *
 * Stands for: HPC codes and databases whose threads are bound after their memory was placed
 * by another one, as numa01 and numa02 of the autonuma benchmark. Measured: pages on one node
 * that threads on other nodes use, each its own part or all of them the same; seconds until
 * 95 % of the pages (of the parts) are with their thread, and what of the threads' time was
 * not spent in using them, in instructions for each page that has moved; as curves the share of
 * pages that are with their thread, and of hinting faults that are on the faulting node, and as
 * snapshots of numa_maps how many pages are on which node. Limit: two percent later or dearer
 * than the other kernel.
 *
 * lab: shift=4 topo=4node
 */
#include <pthread.h>
#include <time.h>
#include <stdlib.h>

#include "bench.h"

#define MAX_THREADS	8
#define GIVE_UP		120	/* guest seconds */
#define SHARED_SECONDS	10	/* there is no end to wait for */
#define LOOKS		512	/* pages that are asked for */
/* numa_maps looks at each page: the more there are, the rarer the snapshots, in pages a second */
#define SNAPSHOT_RATE	65536
#define SHIFT		4
#define BOUND		1.02

static const struct layout {
	const char *name;
	size_t size;
	bool threads;		/* one on each node, else only one */
	bool shared;		/* all use all pages */
} layouts[] = {
	{ "64M.one", 64UL << 20, false, false },
	{ "256M.one", 256UL << 20, false, false },
	{ "256M.per_node", 256UL << 20, true, false },
	{ "1G.per_node", 1UL << 30, true, false },
	{ "64M.shared", 64UL << 20, true, true },
};

static struct thread {
	pthread_t id;
	int node;
	char *start;
	size_t size;
	unsigned long used, idle;	/* pages; idle is when nothing is balanced */
} threads[MAX_THREADS];
static int nr;
static enum { RUN, PAUSE, STOP } state;
static pthread_barrier_t pause_begins, pause_ends;

static void *use(void *arg)
{
	struct thread *t = arg;
	int now;

	MUST(!numa_run_on(&bench_nodes, t->node));
	for (size_t i = 0;; i = (i + page_size()) % t->size) {
		now = __atomic_load_n(&state, __ATOMIC_RELAXED);
		if (now == STOP)
			return NULL;
		if (now == PAUSE) {
			pthread_barrier_wait(&pause_begins);
			pthread_barrier_wait(&pause_ends);
		}
		use_page(t->start + i);
		t->used++;
	}
}

/*
 * Pages by node as numa_maps has them, at @ran seconds; returns how long that took, in ns. The
 * threads wait, so that it takes the same time from all of them, and is none of their cost.
 */
static uint64_t snapshot(const struct layout *l, char *p, double ran)
{
	static unsigned long count[NUMA_MAX_NODES];
	uint64_t start = clock_ns();
	char name[96];

	__atomic_store_n(&state, PAUSE, __ATOMIC_RELAXED);
	pthread_barrier_wait(&pause_begins);
	MUST(numa_maps_nodes(p, l->size, count) > 0);
	__atomic_store_n(&state, RUN, __ATOMIC_RELAXED);
	pthread_barrier_wait(&pause_ends);
	for (int n = 0; n < bench_nodes.nr_mem; n++) {
		snprintf(name, sizeof(name), "nodes.%s.%d", l->name, bench_nodes.mem[n]);
		sample(name, ran, count[bench_nodes.mem[n]]);
	}
	return clock_ns() - start;
}

/*
 * The threads, until @reached seconds have passed, or with @balanced the pages are where they
 * are used; then @reached is when that was. @ran is how long they did run.
 */
static void run_for(const struct layout *l, char *p, bool balanced, double *reached, double *ran)
{
	static void *page[LOOKS];
	static int status[LOOKS], want[LOOKS];
	double every = (double)l->size / page_size() / SNAPSHOT_RATE, next = every;
	long faults = vmstat("numa_hint_faults"), local = vmstat("numa_hint_faults_local");
	uint64_t start, paused = 0;
	char name[96];
	int looks = 0, near;

	for (int t = 0; t < nr && balanced && !l->shared; t++)
		for (int i = 0; i < LOOKS / nr; i++, looks++) {
			page[looks] = threads[t].start + threads[t].size / (LOOKS / nr) * i;
			page[looks] = (void *)((uintptr_t)page[looks] & -page_size());
			want[looks] = threads[t].node;
		}
	state = RUN;
	MUST(!pthread_barrier_init(&pause_begins, NULL, nr + 1));
	MUST(!pthread_barrier_init(&pause_ends, NULL, nr + 1));
	start = clock_ns();
	for (int t = 0; t < nr; t++)
		MUST(!pthread_create(&threads[t].id, NULL, use, &threads[t]));
	for (*ran = 0; *ran < *reached;) {
		struct timespec wait = { .tv_nsec = 250000000 };

		nanosleep(&wait, NULL);
		*ran = (clock_ns() - start - paused) / 1e9;
		if (!balanced)
			continue;
		if (vmstat("numa_hint_faults") > faults) {
			long all = vmstat("numa_hint_faults"), own = vmstat("numa_hint_faults_local");

			snprintf(name, sizeof(name), "faults.%s", l->name);
			sample(name, *ran, 100. * (own - local) / (all - faults));
			faults = all;
			local = own;
		}
		near = 0;
		if (looks) {
			MUST(!sys_move_pages(0, looks, page, NULL, status, 0));
			for (int i = 0; i < looks; i++)
				near += status[i] == want[i];
			snprintf(name, sizeof(name), "local.%s", l->name);
			sample(name, *ran, 100. * near / looks);
			if (near >= looks * 0.95)
				*reached = *ran;
		}
		if (*ran >= next || *ran >= *reached) {
			paused += snapshot(l, p, *ran);
			next += every;
		}
	}
	__atomic_store_n(&state, STOP, __ATOMIC_RELAXED);
	for (int t = 0; t < nr; t++)
		MUST(!pthread_join(threads[t].id, NULL));
}

static void run(const void *arg)
{
	const struct layout *l = arg;
	struct nodemask from = NODEMASK(numa_node_with_both(&bench_nodes, -1));
	double reached, ran, idle_ran, spent = 0;
	long migrated;
	char name[96], *p;

	nr = 0;
	for (int i = 0; i < bench_nodes.nr_cpu && nr < MAX_THREADS; i++) {
		int node = bench_nodes.cpu[i];

		/* where memory is that can be near */
		if (nodemask_isset(&from, node) && !l->threads)
			continue;
		threads[nr++] = (struct thread){ .node = node };
		if (!l->threads)
			break;
	}
	MUST(nr);
	p = bench_map(l->size, page_size(), MAP_PRIVATE);
	MUST(!sys_mbind(p, l->size, MPOL_PREFERRED, &from, 0));
	for (size_t i = 0; i < l->size; i += page_size())
		p[i] = 1;
	MUST(!sys_mbind(p, l->size, MPOL_DEFAULT, NULL, 0));
	for (int t = 0; t < nr; t++) {
		threads[t].size = l->shared ? l->size : l->size / nr & -page_size();
		threads[t].start = l->shared ? p : p + t * threads[t].size;
	}

	/* how many pages it is in a second when nothing is scanned */
	MUST(!numa_balancing_set(0));
	reached = 1;
	run_for(l, p, false, &reached, &idle_ran);
	for (int t = 0; t < nr; t++) {
		threads[t].idle = threads[t].used;
		threads[t].used = 0;
	}

	migrated = vmstat("numa_pages_migrated");
	MUST(!numa_balancing_set(1));
	reached = l->shared ? SHARED_SECONDS : GIVE_UP;
	run_for(l, p, true, &reached, &ran);
	migrated = vmstat("numa_pages_migrated") - migrated;
	for (int t = 0; t < nr; t++)
		spent += ran - idle_ran * threads[t].used / threads[t].idle;
	/* a second of the guest is shared by all CPUs that are busy */
	spent /= nr;
	if (!l->shared) {
		snprintf(name, sizeof(name), "%s.local_95", l->name);
		measure(name, "s", LOWER, BOUND, reached);
	}
	snprintf(name, sizeof(name), "%s.cost", l->name);
	if (!l->shared && migrated > 0)
		measure(name, "instructions/page", LOWER, BOUND,
			spent * 1e9 / (1 << SHIFT) / migrated);
	else
		measure(name, "instructions/s", LOWER, BOUND, spent * 1e9 / (1 << SHIFT) / ran);
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
