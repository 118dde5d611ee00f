// SPDX-License-Identifier: GPL-2.0
/*
 * What mappings that can never be scanned cost a process and its other threads.
 *
 * Stands for: run-times with a mapping for each object, guard page or library, of which none
 * is of interest to NUMA balancing. Measured: processes with more and more small read-only
 * mappings of a file, one thread that is busy and a neighbour that maps and unmaps a page; the
 * worst latency of the neighbour, which runs too little to have turns of the scan itself, and
 * what of the busy thread's time is not its own, by guest second. Limit: ten percent above the
 * other kernel.
 *
 * lab: shift=4 topo=4node
 */
#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#include "bench.h"

#define SECONDS	8
#define SHIFT	4
#define BOUND	1.1

static const struct layout {
	const char *name;
	int nr;
} layouts[] = {
	{ "0", 0 },
	{ "1k", 1000 },
	{ "10k", 10000 },
	{ "100k", 100000 },
	{ "1M", 1000000 },
};

static bool stop;
static unsigned long rounds;
static uint64_t worst;

static void *busy(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		spin();
		rounds++;
	}
	return NULL;
}

/* For SECONDS; a turn is due after a second of run time, of which this has a tenth */
static void *neighbour(void *arg)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	uint64_t begin = clock_ns(), start, cost;

	while (clock_ns() - begin < SECONDS * 1000000000ULL) {
		char *p;

		start = clock_ns();
		p = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		MUST(p != MAP_FAILED && !munmap(p, page_size()));
		cost = elapsed(start);
		if (cost > worst)
			worst = cost;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	return arg;
}

/* The busy thread's rounds in SECONDS; and the worst of mmap() and munmap() in them */
static unsigned long observe(void)
{
	pthread_t threads[2];

	stop = false;
	rounds = 0;
	worst = 0;
	MUST(!pthread_create(&threads[0], NULL, busy, NULL));
	MUST(!pthread_create(&threads[1], NULL, neighbour, NULL));
	MUST(!pthread_join(threads[1], NULL));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	MUST(!pthread_join(threads[0], NULL));
	return rounds;
}

static void run(const void *arg)
{
	const struct layout *l = arg;
	unsigned long idle, scanned;
	size_t step = 2 * page_size();
	char name[64], *p = NULL;
	int fd;

	if (l->nr) {
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		MUST(fd >= 0);
		p = mmap(NULL, l->nr * step, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
		MUST(p != MAP_FAILED);
		/* every other page, so that they are never merged */
		for (int i = 0; i < l->nr / 2; i++)
			MUST(mmap(p + i * step, page_size(), PROT_READ, MAP_PRIVATE | MAP_FIXED,
				  fd, 0) != MAP_FAILED);
		close(fd);
	}
	MUST(!numa_balancing_set(0));
	idle = observe();
	MUST(!numa_balancing_set(1));
	/* the first scan is due a second after the first tick */
	scanned = observe();
	snprintf(name, sizeof(name), "%s.worst", l->name);
	measure(name, "us", LOWER, BOUND, worst / 1000.);
	snprintf(name, sizeof(name), "%s.cost", l->name);
	measure(name, "instructions/s", LOWER, BOUND,
		lost(idle, scanned, SHIFT));
	if (p)
		MUST(!munmap(p, l->nr * step));
}

int main(void)
{
	long was, maps;

	bench_begin(2);
	was = bench_balancing();
	if (file_read_long("/proc/sys/vm/max_map_count", &maps) ||
	    file_write_long("/proc/sys/vm/max_map_count", 2000000))
		bench_skip("needs root");
	for (int i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		bench_apart(run, &layouts[i]);
	file_write_long("/proc/sys/vm/max_map_count", maps);
	numa_balancing_set(was);
	bench_pass();
}
