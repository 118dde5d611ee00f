// SPDX-License-Identifier: GPL-2.0
/*
 * What a process that calls mbind(MPOL_MF_MOVE) all the time costs others.
 *
 * Stands for: run-times that place every arena they make, beside programs that allocate, on
 * machines where some CPU belongs to a real-time task. Measured: a write fault of a neighbour
 * on another CPU, alone and while the first process moves 64 pages back and forth, by median and
 * the 99th of a hundred; and how long a call takes while a SCHED_FIFO thread has a third CPU
 * for itself. Limit: five percent above the other kernel.
 *
 * lab: shift=3 topo=4node
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bench.h"

#define PAGES	64
#define FAULTS	4096
#define CALLS	20
#define BOUND	1.05

static int node[3];		/* of the caller, the neighbour and the spinner */
static bool stop, ready;

/* Moves @PAGES pages back and forth until it is told to stop, or @calls times; the worst in ns */
static uint64_t moves(int calls)
{
	char *p = bench_map(PAGES * page_size(), page_size(), MAP_PRIVATE);
	struct nodemask to[2] = { NODEMASK(node[0]), NODEMASK(node[1]) };
	uint64_t worst = 0;

	memset(p, 1, PAGES * page_size());
	for (int i = 0; calls ? i < calls : !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		uint64_t start = clock_ns(), cost;

		MUST(!sys_mbind(p, PAGES * page_size(), MPOL_BIND, &to[i & 1], MPOL_MF_MOVE));
		cost = elapsed(start);
		if (cost > worst)
			worst = cost;
	}
	MUST(!munmap(p, PAGES * page_size()));
	return worst;
}

static void faults(const char *name, bool median_only)
{
	static uint64_t cost[FAULTS];
	size_t size = FAULTS * page_size();
	char *p = bench_map(size, page_size(), MAP_PRIVATE), text[64];

	for (int round = 0; round < 2; round++) {
		MUST(!madvise(p, size, MADV_DONTNEED));
		for (int i = 0; i < FAULTS; i++) {
			uint64_t start = clock_ns();

			*(volatile char *)(p + i * page_size()) = 1;
			cost[i] = elapsed(start);
		}
	}
	snprintf(text, sizeof(text), "fault.%s.median", name);
	measure(text, "ns", LOWER, BOUND, median(cost, FAULTS));
	if (!median_only) {
		/* sorted by now */
		snprintf(text, sizeof(text), "fault.%s.p99", name);
		measure(text, "ns", LOWER, BOUND, cost[FAULTS * 99 / 100]);
	}
	for (int percent = 0; percent <= 100; percent++) {
		snprintf(text, sizeof(text), "latency.fault.%s", name);
		sample(text, percent, cost[(FAULTS - 1) * percent / 100]);
	}
	MUST(!munmap(p, size));
}

static void *real_time(void *arg)
{
	struct sched_param param = { .sched_priority = 50 };

	if (numa_run_on(&bench_nodes, node[2]) || sched_setscheduler(0, SCHED_FIFO, &param))
		return NULL;
	__atomic_store_n(&ready, true, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		spin();
	return arg;
}

int main(void)
{
	int nr = 0, status;
	pthread_t thread;
	uint64_t worst;
	void *done;
	pid_t pid;

	bench_begin(2);
	numa_balancing_off();
	for (int i = 0; i < bench_nodes.nr_cpu && nr < 3; i++)
		for (int k = 0; k < bench_nodes.nr_mem; k++)
			if (bench_nodes.mem[k] == bench_nodes.cpu[i])
				node[nr++] = bench_nodes.cpu[i];
	if (nr < 3)
		bench_skip("needs full_nodes=3");

	MUST(!numa_run_on(&bench_nodes, node[1]));
	faults("alone", true);

	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		MUST(!numa_run_on(&bench_nodes, node[0]));
		moves(0);
		_exit(0);
	}
	faults("beside_mbind", false);
	MUST(!kill(pid, SIGKILL));
	MUST(waitpid(pid, &status, 0) == pid);

	/* what a call waits for may be work of the CPU that has no time for it */
	MUST(!numa_run_on(&bench_nodes, node[0]));
	worst = moves(CALLS);
	measure("call.alone.worst", "us", LOWER, BOUND, worst / 1000.);
	MUST(!pthread_create(&thread, NULL, real_time, node));
	while (!__atomic_load_n(&ready, __ATOMIC_RELAXED))
		sched_yield();
	worst = moves(CALLS);
	measure("call.beside_fifo.worst", "us", LOWER, BOUND, worst / 1000.);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	MUST(!pthread_join(thread, &done));
	MUST(done);
	bench_pass();
}
