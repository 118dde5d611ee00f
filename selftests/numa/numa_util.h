/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every NUMA kselftest needs: the nodes of this machine, the policy system
 * calls (no libnuma: it hides errors and knows only some of the modes), where a
 * page is, and numa_maps as data.
 *
 * Unless a comment says otherwise a function returns 0 or a value, and -1 with
 * errno set on failure.
 */
#ifndef NUMA_UTIL_H
#define NUMA_UTIL_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/mempolicy.h>

#ifndef MPOL_F_NUMA_BALANCING
#define MPOL_F_NUMA_BALANCING	(1 << 13)
#endif

/* Newer than some installed headers: an enumerator, so it cannot be asked for */
#define MPOL_WEIGHTED_INTERLEAVE	6

/* More than any kernel has (CONFIG_NODES_SHIFT is at most 10) */
#define NUMA_MAX_NODES		1024
#define NUMA_MASK_LONGS		(NUMA_MAX_NODES / (8 * sizeof(long)))

struct nodemask {
	unsigned long bits[NUMA_MASK_LONGS];
};

static inline void nodemask_clear(struct nodemask *m)
{
	memset(m, 0, sizeof(*m));
}

static inline void nodemask_set(struct nodemask *m, int node)
{
	m->bits[node / (8 * sizeof(long))] |= 1UL << (node % (8 * sizeof(long)));
}

static inline bool nodemask_isset(const struct nodemask *m, int node)
{
	return m->bits[node / (8 * sizeof(long))] >> (node % (8 * sizeof(long))) & 1;
}

static inline bool nodemask_equal(const struct nodemask *a, const struct nodemask *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* A mask of @n nodes given one by one: NODEMASK(0, 2) */
struct nodemask nodemask_of(int n, const int *nodes);
#define NODEMASK(...)							\
	nodemask_of(sizeof((int[]){ __VA_ARGS__ }) / sizeof(int),	\
		    (int[]){ __VA_ARGS__ })

/* "0-2,5" or "0-2,5\n" to a mask; an empty list is an empty mask */
int nodemask_parse(const char *list, struct nodemask *m);

/* A mask as a list, "0-2,5"; static buffer of the calling thread */
const char *nodemask_str(const struct nodemask *m);

/*
 * The nodes of the machine. mem[] and cpu[] are node numbers in ascending
 * order: nodes that have memory and nodes that have CPUs. They need not be
 * contiguous, and neither set contains the other.
 */
struct numa_nodes {
	int nr_mem, nr_cpu;
	int mem[NUMA_MAX_NODES];
	int cpu[NUMA_MAX_NODES];
	int first_cpu[NUMA_MAX_NODES];	/* lowest CPU of cpu[i] */
};

int numa_nodes_get(struct numa_nodes *n);

/* First node with memory and CPUs other than @not (-1: any), or -1 */
int numa_node_with_both(const struct numa_nodes *n, int not);

/*
 * First node with memory of a lower tier than that of others, -1 where there is none: which
 * tiers there are is in /sys/devices/virtual/memory_tiering
 */
int numa_slow_node(const struct numa_nodes *n);

/* Run on the first CPU of @node */
int numa_run_on(const struct numa_nodes *n, int node);

/*
 * A test needs @n nodes of a kind that this machine lacks. The wording is what
 * the lab compares with what a topology promises: keep "needs <word>=<n>" or
 * "needs <word>".
 */
#define NEED_MEMORY_NODES(nodes, n) do {				\
	if ((nodes)->nr_mem < (n))					\
		SKIP(return, "needs memory_nodes=%d", (n));		\
} while (0)

#define NEED_BOTH_NODES(nodes, n) do {					\
	if (numa_nr_both(nodes) < (n))					\
		SKIP(return, "needs full_nodes=%d", (n));		\
} while (0)

#define NEED_ROOT() do {						\
	if (geteuid())							\
		SKIP(return, "needs root");				\
} while (0)

/* Run @code in a child and wait for it; the child's findings count as the test's */
#define IN_CHILD(code) do {						\
	pid_t pid_ = fork();						\
	int status_;							\
									\
	ASSERT_LE(0, pid_);						\
	if (!pid_) {							\
		prctl(PR_SET_PDEATHSIG, SIGKILL);			\
		code;							\
		_exit(0);						\
	}								\
	ASSERT_EQ(pid_, waitpid(pid_, &status_, 0));			\
	ASSERT_EQ(0, status_);						\
} while (0)

/* Number of nodes that have memory and CPUs */
int numa_nr_both(const struct numa_nodes *n);

/* Distances of @from to all nodes into distance[NUMA_MAX_NODES], -1 if not online */
int numa_distances(int from, int *distance);

/* The system calls. A NULL mask passes a NULL pointer and maxnode 0. */
long sys_set_mempolicy(int mode, const struct nodemask *m);
long sys_get_mempolicy(int *mode, struct nodemask *m, void *addr, unsigned long flags);
long sys_mbind(void *addr, size_t len, int mode, const struct nodemask *m, unsigned int flags);
long sys_move_pages(int pid, unsigned long count, void **pages, const int *nodes,
		    int *status, int flags);

/*
 * There are kernels, 6.12 is one, that take MPOL_F_NUMA_BALANCING for a flag that keeps the
 * nodemask of the user, which shows as a node that is not there. mempolicy_abi:set tells of it;
 * in other tests, which ask this, it would hide all else. The policy of the thread is the
 * default then.
 */
static inline bool balancing_keeps_nodemask(const struct numa_nodes *nodes)
{
	struct nodemask set = { }, seen = { };
	int mode, absent = 0;
	bool keeps;

	for (int i = 0; i < nodes->nr_mem; i++)
		nodemask_set(&set, nodes->mem[i]);
	while (nodemask_isset(&set, absent))
		absent++;
	nodemask_set(&set, absent);
	keeps = sys_set_mempolicy(MPOL_BIND | MPOL_F_NUMA_BALANCING, &set) ||
		sys_get_mempolicy(&mode, &seen, NULL, 0) || nodemask_isset(&seen, absent);
	return sys_set_mempolicy(MPOL_DEFAULT, NULL) || keeps;
}

/*
 * A system call by the entry of 32-bit programs, with its number in their table:
 * int $0x80 is that entry also in 64-bit code, for pointers below 4 GB. It does not
 * work on other machines, or where 32-bit programs are not supported.
 */
long ia32_syscall(long nr, long a1, long a2, long a3, long a4, long a5, long a6);
bool ia32_works(void);

/* Node of the page at @addr, or the negative errno that move_pages reports */
int page_node(void *addr);

/*
 * Empty the LRU batches of all CPUs, where a page can be neither isolated nor marked
 * active or unevictable: a move_pages() of the page at @addr to where it is does it.
 */
int lru_drain_all(void *addr);

/*
 * Pages of @step bytes in [addr, addr + len) by node, into count[NUMA_MAX_NODES].
 * Returns the number of pages that are present, -1 on error.
 */
long page_nodes(void *addr, size_t len, size_t step, unsigned long *count);

/* What mpol_to_str() calls a mode without its flags: "prefer (many)" */
const char *mpol_mode_name(int mode);

/* One line of numa_maps. Counts are in units of pagesize_kb. */
struct numa_maps {
	unsigned long start;
	char policy[256];
	char file[256];		/* "" without file= */
	bool heap, stack, huge;
	unsigned long anon, dirty, mapped, mapmax, swapcache, active, writeback;
	unsigned long node[NUMA_MAX_NODES];
	unsigned long nr_nodes;	/* number of N<node>= fields */
	unsigned long pagesize_kb;	/* 0 if the line has no pages */
};

/* The line of this process's mapping that begins at @addr; ENOENT if none */
int numa_maps_get(void *addr, struct numa_maps *nm);

/*
 * Parse one line; strict: an unknown or malformed field is EINVAL, so that a
 * new kernel field is noticed instead of ignored.
 */
int numa_maps_parse(const char *line, struct numa_maps *nm);

/*
 * Pages by node that numa_maps shows for the VMAs that begin in [addr, addr + len),
 * added up into count[NUMA_MAX_NODES]; the number of pages, -1 on error.
 */
long numa_maps_nodes(void *addr, size_t len, unsigned long *count);

/* Number of VMAs of this process that overlap [addr, addr + len) */
long vma_count(void *addr, size_t len);

/* Value of a /proc/vmstat counter, -1 with ENOENT if this kernel lacks it */
long vmstat(const char *name);

/* Whole small files: text without the final newline */
int file_read(const char *path, char *buf, size_t size);
int file_write(const char *path, const char *text);
int file_read_long(const char *path, long *value);
int file_write_long(const char *path, long value);

/*
 * kernel.numa_balancing off, so that nothing but the policy under test places
 * pages. Returns the value to give to numa_balancing_restore(), or -1 where the
 * kernel has no balancing or it cannot be changed (then nothing is to restore).
 */
long numa_balancing_off(void);
void numa_balancing_restore(long old);

/* kernel.numa_balancing as it is: -1 with ENOENT where the kernel has none */
long numa_balancing_get(void);
int numa_balancing_set(long mode);

#define NEED_BALANCING() do {						\
	if (numa_balancing_get() < 0)					\
		SKIP(return, "needs balancing");			\
} while (0)

/*
 * The scanner's knobs in debugfs, mounted if it is not. numab_knobs_get()
 * returns ENOENT without debugfs; numab_knobs_restore() also unmounts again.
 */
#define NUMAB_DIR	"/sys/kernel/debug/sched/numa_balancing/"
enum {
	NUMAB_SCAN_DELAY, NUMAB_PERIOD_MIN, NUMAB_PERIOD_MAX, NUMAB_SCAN_SIZE,
	NUMAB_HOT_THRESHOLD, NR_NUMAB_KNOBS
};

struct numab_knobs {
	long value[NR_NUMAB_KNOBS];
	bool mounted;
};

/*
 * A turn of the scan every @ms of CPU time. 8 MB is all in one go for a test, and
 * task_scan_min() has a floor of 1000 / (2560 / size) ms.
 */
#define NUMAB_KNOBS_FAST(ms) {			\
	.value = {				\
		[NUMAB_SCAN_DELAY]	= (ms),	\
		[NUMAB_PERIOD_MIN]	= (ms),	\
		[NUMAB_PERIOD_MAX]	= (ms),	\
		[NUMAB_SCAN_SIZE]	= 8,	\
		[NUMAB_HOT_THRESHOLD]	= 1000,	\
	},					\
}

const char *numab_knob_path(int knob);
int numab_knobs_get(struct numab_knobs *k);
int numab_knobs_set(const struct numab_knobs *k);
void numab_knobs_restore(const struct numab_knobs *k);

/* CLOCK_MONOTONIC in milliseconds, for deadlines */
long now_ms(void);

/* For every busy loop: a guest whose CPUs take turns stalls the others without */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("pause" ::: "memory");
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/*
 * A cpuset cgroup. Only processes that will exit may enter it: nothing takes them
 * out again, and cpuset_remove() waits for the last to be gone. The hierarchy
 * (v2, or v1 where v2 lacks the controller) is reached through a detached mount:
 * no mount point is needed, and none is left behind.
 */
struct cpuset {
	int root;		/* the mount; inherited by children */
	bool v1;
	bool enabled;		/* +cpuset in the root is ours */
	char name[32];		/* empty: there is none */
};

/* ENODEV: no cpuset controller within reach. A failure leaves nothing behind. */
int cpuset_create(struct cpuset *cs);
int cpuset_set_mems(const struct cpuset *cs, const struct nodemask *mems);
/* The calling process goes in; mems must have been set */
int cpuset_enter(const struct cpuset *cs);
int cpuset_remove(struct cpuset *cs);
/* The root of v2, or of the v1 hierarchy of cpusets, as a detached mount; or -1 */
int cgroup_mount(bool v1);
/*
 * The same for v1, which takes the controller once v2 has no trace of a cpuset; @taken: v2
 * had it, so that cgroup1_return_cpuset() is to give it back, which takes an unmount
 * that finds no directory left. Both wait for that.
 */
int cgroup1_take_cpuset(bool *taken);
int cgroup1_return_cpuset(void);

/*
 * Nothing of the kernel's log below KERN_EMERG goes to the console: for a test that
 * has the kernel report what is no fault of its own, and with a stack trace.
 * console_unmute() sets the level back and looks at what was logged meanwhile: a
 * kernel bug is never hidden, its first line goes into @bug, which is "" if there was
 * none. console_restore() is for a teardown in another process: it does nothing where
 * the level is as before.
 */
struct console {
	int level;		/* before; 0: not changed */
	int log;
};

int console_mute(struct console *c);
int console_unmute(struct console *c, char *bug, size_t size);
void console_restore(struct console *c);

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Size of a transparent huge page, 0 without THP */
size_t thp_size(void);

/* Size of the default hugetlb page, 0 without hugetlbfs */
size_t hugetlb_size(void);

/*
 * Let MADV_HUGEPAGE give THPs. Returns the value to give to thp_restore(), -1
 * where it needs no change or it cannot be changed (then nothing is to restore).
 */
int thp_on(void);
void thp_restore(int old);

/* Sum of a field ("AnonHugePages") of smaps over the VMAs that begin in the range */
long smaps_kb(void *addr, size_t len, const char *field);

/*
 * An empty file "object" in a new filesystem of type @fs that is mounted nowhere:
 * it goes away with its last user. @option: a mount option, or NULL.
 */
int file_in_new_fs(const char *fs, const char *option, const char *value);

#endif /* NUMA_UTIL_H */
