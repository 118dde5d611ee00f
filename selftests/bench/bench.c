// SPDX-License-Identifier: GPL-2.0
/* What every scenario needs; see bench.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "kselftest.h"

struct numa_nodes bench_nodes;

void bench_begin(int memory_nodes)
{
	int node;

	ksft_print_header();
	ksft_set_plan(1);
	if (numa_nodes_get(&bench_nodes))
		bench_skip("needs numa");
	if (bench_nodes.nr_mem < memory_nodes)
		bench_skip("needs memory_nodes=%d", memory_nodes);
	node = numa_node_with_both(&bench_nodes, -1);
	if (node < 0)
		bench_skip("needs full_nodes=1");
	MUST(!numa_run_on(&bench_nodes, node));
}

long bench_balancing(void)
{
	long mode = numa_balancing_get();

	if (mode < 0)
		bench_skip("needs balancing");
	return mode;
}

void measure(const char *name, const char *unit, enum better better, double bound, double value)
{
	ksft_print_msg("measure: %s %s %s %g %.6g\n", name, unit,
		       better == LOWER ? "lower" : "higher", bound, value);
}

void sample(const char *curve, double x, double value)
{
	ksft_print_msg("sample: %s %.3f %.6g\n", curve, x, value);
}

void bench_pass(void)
{
	ksft_test_result_pass("measured\n");
	ksft_finished();
}

void bench_fail(const char *why, ...)
{
	char text[512];
	va_list args;

	va_start(args, why);
	vsnprintf(text, sizeof(text), why, args);
	va_end(args);
	ksft_print_msg("%s\n", text);
	ksft_test_result_fail("measured\n");
	ksft_finished();
}

void bench_skip(const char *why, ...)
{
	char text[512];
	va_list args;

	va_start(args, why);
	vsnprintf(text, sizeof(text), why, args);
	va_end(args);
	ksft_test_result_skip("measured: %s\n", text);
	ksft_finished();
}

unsigned long bench_seed(void)
{
	static unsigned long seed;
	char cmdline[4096], *at;

	if (!seed) {
		seed = 1;
		if (!file_read("/proc/cmdline", cmdline, sizeof(cmdline))) {
			at = strstr(cmdline, "lab.seed=");
			if (at)
				seed = strtoul(at + strlen("lab.seed="), NULL, 10) + 1;
		}
	}
	return seed;
}

/* splitmix64 */
uint64_t bench_random(void)
{
	static uint64_t state;
	uint64_t z;

	if (!state)
		state = bench_seed();
	z = state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t elapsed(uint64_t since)
{
	static uint64_t reading;
	uint64_t now = clock_ns();

	if (!reading) {
		reading = UINT64_MAX;
		for (int i = 0; i < 64; i++) {
			uint64_t start = clock_ns(), cost = clock_ns() - start;

			if (cost < reading)
				reading = cost;
		}
	}
	now -= since;
	return now > reading ? now - reading : 0;
}

double lost(double quiet, double rate, int shift)
{
	double share = 1 - rate / quiet;

	return (share > 0.001 ? share : 0.001) * 1e9 / (1 << shift);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t median(uint64_t *cost, int nr)
{
	qsort(cost, nr, sizeof(*cost), ascending);
	return cost[nr / 2];
}

char *bench_map(size_t size, size_t align, int flags)
{
	char *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
	char *start;

	MUST(p != MAP_FAILED);
	start = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));
	/* what is around it would be merged, or get the same policy */
	if (start > p)
		MUST(!munmap(p, start - p));
	if (start + size < p + size + align)
		MUST(!munmap(start + size, p + align - start));
	madvise(start, size, MADV_NOHUGEPAGE);
	return start;
}

void bench_apart(void (*fn)(const void *arg), const void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (!pid) {
		fn(arg);
		exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid && !status);
}
