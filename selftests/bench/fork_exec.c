// SPDX-License-Identifier: GPL-2.0
/*
 * What NUMA balancing costs processes that end before they are ever scanned, and the boot.
 *
 * Stands for: shells, builds, CGI. Measured: instructions of fork() and of posix_spawn() of a
 * program that ends at once, up to when its parent has waited for it, and of a thread from
 * pthread_create() to pthread_join(); with balancing off and on, as medians; and of all CPUs
 * from the start of the kernel's clock until this program begins. Limit: half a percent above
 * the other kernel.
 *
 * lab: shift=0 topo=4node
 */
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>

#include "bench.h"

#define ROUNDS	200
#define BOUND	1.005

extern char **environ;

static void fork_and_wait(void)
{
	int status;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid)
		_exit(0);
	MUST(waitpid(pid, &status, 0) == pid && !status);
}

static void spawn_and_wait(void)
{
	char *argv[] = { "/proc/self/exe", "ends", NULL };
	int status;
	pid_t pid;

	MUST(!posix_spawn(&pid, argv[0], NULL, NULL, argv, environ));
	MUST(waitpid(pid, &status, 0) == pid && !status);
}

static void *ends(void *arg)
{
	return arg;
}

static void thread_and_join(void)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, ends, NULL));
	MUST(!pthread_join(thread, NULL));
}

/* Without a name only to have what the first time leaves: the stack of a thread, page tables */
static void run(const char *how)
{
	static const struct {
		const char *name;
		void (*round)(void);
	} kinds[] = {
		{ "fork", fork_and_wait },
		{ "spawn", spawn_and_wait },
		{ "thread", thread_and_join },
	};
	uint64_t cost[ROUNDS], start;
	char name[64];

	for (int k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		for (int i = 0; i < ROUNDS; i++) {
			start = clock_ns();
			kinds[k].round();
			cost[i] = elapsed(start);
		}
		if (!how)
			continue;
		snprintf(name, sizeof(name), "%s.%s", kinds[k].name, how);
		measure(name, "instructions", LOWER, BOUND, median(cost, ROUNDS));
	}
}

int main(int argc, char **argv)
{
	long was;

	(void)argv;
	if (argc > 1)
		return 0;
	bench_begin(1);
	measure("boot", "instructions", LOWER, BOUND, clock_ns());
	was = bench_balancing();
	MUST(!numa_balancing_set(0));
	run(NULL);
	run("off");
	MUST(!numa_balancing_set(1));
	run("on");
	numa_balancing_set(was);
	bench_pass();
}
