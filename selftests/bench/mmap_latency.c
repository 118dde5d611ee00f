// SPDX-License-Identifier: GPL-2.0
/*
 * What scanning does to a process that maps and unmaps meanwhile.
 *
 * Stands for: allocators that return memory, and start-up of threads and libraries, in a
 * process with much memory in use. Measured: the latency of mmap(), munmap() and brk() of a
 * few pages by a thread of a process of 1 GB that two other threads use, with NUMA balancing
 * off and on; median and 99th of a hundred, and the worst of all calls: a turn of the scan that
 * the thread takes itself is part of whichever call it comes in. "half" is with half of the
 * memory to scan in a second, which takes the time that all of it takes where CPUs are twice
 * as fast: what a hundredth of the calls see depends on whether more than a hundredth of the
 * time is spent in scans. Limit: ten percent above the other kernel.
 *
 * lab: shift=0 topo=4node
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

#define SIZE		(1UL << 30)
#define CALLS		2500
#define USERS		2
#define BOUND		1.1

static char *area;
static bool stop;

static const char * const calls[] = { "mmap", "munmap", "brk" };
#define NR_CALLS	(sizeof(calls) / sizeof(*calls))

/* Uses a part of the area, on the node number @arg of those with CPUs */
static void *use(void *arg)
{
	int nr = (long)arg;
	char *p = area + SIZE / USERS * nr;

	if (numa_run_on(&bench_nodes, bench_nodes.cpu[(nr + 1) % bench_nodes.nr_cpu]))
		return NULL;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < SIZE / USERS; i += page_size())
			use_page(p + i);
		cpu_relax();
	}
	return area;
}

static void observe(const char *how)
{
	static uint64_t cost[NR_CALLS][CALLS];
	struct timespec pause = { .tv_nsec = 2000000 };
	size_t len = 4 * page_size();
	uint64_t worst = 0;
	char name[64];

	for (int i = 0; i < CALLS; i++) {
		uint64_t start = clock_ns();
		char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		cost[0][i] = elapsed(start);
		MUST(p != MAP_FAILED);
		start = clock_ns();
		MUST(!munmap(p, len));
		cost[1][i] = elapsed(start);
		start = clock_ns();
		MUST(sbrk(len) != (void *)-1 && sbrk(-len) != (void *)-1);
		cost[2][i] = elapsed(start);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	for (int c = 0; c < NR_CALLS; c++) {
		snprintf(name, sizeof(name), "%s.%s.median", calls[c], how);
		measure(name, "ns", LOWER, BOUND, median(cost[c], CALLS));
		snprintf(name, sizeof(name), "%s.%s.p99", calls[c], how);
		measure(name, "ns", LOWER, BOUND, cost[c][CALLS * 99 / 100]);
		if (cost[c][CALLS - 1] > worst)
			worst = cost[c][CALLS - 1];
		snprintf(name, sizeof(name), "latency.%s.%s", calls[c], how);
		for (int percent = 0; percent <= 100; percent++)
			sample(name, percent, cost[c][(CALLS - 1) * percent / 100]);
	}
	snprintf(name, sizeof(name), "all.%s.worst", how);
	measure(name, "ns", LOWER, BOUND, worst);
}

int main(void)
{
	struct numab_knobs knobs, half;
	pthread_t thread[USERS];
	struct nodemask all;
	long was;

	bench_begin(2);
	all = nodemask_of(bench_nodes.nr_mem, bench_nodes.mem);
	was = bench_balancing();
	if (numab_knobs_get(&knobs))
		bench_skip("needs debugfs");
	half = knobs;
	half.value[NUMAB_SCAN_SIZE] /= 2;
	MUST(!numa_balancing_set(0));
	area = bench_map(SIZE, page_size(), MAP_PRIVATE);
	MUST(!sys_mbind(area, SIZE, MPOL_INTERLEAVE, &all, 0));
	for (size_t i = 0; i < SIZE; i += page_size())
		area[i] = 1;
	MUST(!sys_mbind(area, SIZE, MPOL_DEFAULT, NULL, 0));
	for (long i = 0; i < USERS; i++)
		MUST(!pthread_create(&thread[i], NULL, use, (void *)i));
	observe("off");
	MUST(!numa_balancing_set(1));
	observe("on");
	MUST(!numab_knobs_set(&half));
	observe("half");
	numab_knobs_restore(&knobs);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < USERS; i++) {
		void *done;

		MUST(!pthread_join(thread[i], &done));
		MUST(done);
	}
	numa_balancing_set(was);
	bench_pass();
}
