/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every scenario needs. A scenario is a kselftest of one case: it passes if it
 * could do what it is for, whatever the figures are, and prints these as lines
 *
 *   # measure: NAME UNIT lower|higher BOUND VALUE
 *   # sample: CURVE X VALUE
 *
 * NAME and CURVE have no blanks. A curve local.NAME is percent over guest seconds,
 * nodes.NAME.NODE are pages on a node over guest seconds, and latency.NAME is the ns that X
 * percent of the calls took at most. lower or higher is what is better; BOUND is the ratio of
 * B to A that counts as worse when VALUE goes beyond it: 1.005 is half a percent more for
 * what is better lower, 0.995 half a percent less for what is better higher.
 *
 * The comment at the head of a scenario says what it stands for, what is measured and
 * what the limit is, and has a line for the lab:
 *
 *   lab: shift=N [cpu=FLAGS] [topo=NAME]
 *
 * shift: a guest nanosecond is 2^-N instructions; 0 where instructions are counted, so that
 * nanoseconds of the guest's clock are instructions, and 3 where guest seconds are to pass.
 * cpu: flags of QEMU's processor.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include "numa_util.h"

enum better { LOWER, HIGHER };

/*
 * All of it goes to stdout. bench_begin() finds the nodes and moves the caller to the
 * first CPU of the first node that has memory too; it ends the program, as skipped, where
 * there are less than @memory_nodes nodes with memory.
 */
extern struct numa_nodes bench_nodes;
void bench_begin(int memory_nodes);
/* The mode of NUMA balancing, to be set again at the end; skipped where there is none */
long bench_balancing(void);
void measure(const char *name, const char *unit, enum better better, double bound, double value);
void sample(const char *curve, double x, double value);

/* The end of a scenario: bench_fail() says why it could not do what it is for */
void __attribute__((noreturn)) bench_pass(void);
void __attribute__((noreturn, format(printf, 1, 2))) bench_fail(const char *why, ...);
void __attribute__((noreturn, format(printf, 1, 2))) bench_skip(const char *why, ...);

/* Set-up that has to work */
#define MUST(cond) do {							\
	if (!(cond))							\
		bench_fail("%s:%d: %s: %s", __FILE_NAME__, __LINE__,	\
			   #cond, strerror(errno));			\
} while (0)

/*
 * @fn with @arg in a process of its own: what the scan knows of one, its sequence, its periods
 * and what it owes, does not decide on the next.
 */
void bench_apart(void (*fn)(const void *arg), const void *arg);

/* lab.seed of the kernel's command line, 1 without; and numbers that follow from it */
unsigned long bench_seed(void);
uint64_t bench_random(void);

/* The guest's clock in ns; elapsed() is what has passed less what reading it costs */
uint64_t clock_ns(void);
uint64_t elapsed(uint64_t since);

/*
 * Instructions by guest second that are lost to a thread that did @quiet units of work in a
 * second and does @rate, when a guest ns is 2^-@shift instructions. A thousandth of all is
 * noise, and the least that is told.
 */
double lost(double quiet, double rate, int shift);

/* Costs of the same thing done again and again, in the order of time; sorts @cost */
uint64_t median(uint64_t *cost, int nr);

/* @size bytes without THP, not populated; aligned to @align, a power of 2 */
char *bench_map(size_t size, size_t align, int flags);

/*
 * Write to each cache line of a page, as a program would that works on it; a loop that
 * writes once in a page spends its time in TLB misses, which cost the guest nothing and the
 * host much. The CPUs of the guest take turns: with a pause in each page a turn is short, and
 * what others see of it is not mistaken for a latency.
 */
static inline void use_page(char *p)
{
	for (size_t i = 0, size = page_size(); i < size; i += 64)
		(*(volatile char *)(p + i))++;
	cpu_relax();
}

/* A thousand instructions that use no memory; a pause, which ends a turn, is dear for the host */
static inline void spin(void)
{
	for (volatile int i = 0; i < 200; i++)
		;
	cpu_relax();
}

#endif /* BENCH_H */
