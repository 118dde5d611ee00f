// SPDX-License-Identifier: GPL-2.0
/*
 * Automatic NUMA balancing from end to end, kernel.numa_balancing = 1: the
 * scanner (task_numa_work()) takes away the PTEs of a buffer, the hinting
 * faults that follow (do_numa_page(), do_huge_pmd_numa_page()) bring its pages
 * to the node whose CPU touches them. Which memory that holds for is decided by
 * the policy (mpol_misplaced(), vma_policy_mof()), by the VMA and by the page
 * (task_numa_work() and change_prot_numa() of the base, numa_scan.c, numa_hint.c).
 *
 * Nothing here waits for a time to pass. Where memory must move, it is touched
 * until it did. Where it must stay, a second buffer that is free to move has to
 * be fetched from the far node several times over while both are touched: each
 * time the scanner went over the whole address space.
 *
 * What does the touching is a child forked after the scanner was sped up. A task
 * gets its first scan period in init_numa_balancing(), and being the only user
 * of its mm it faults on memory of other nodes only.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "numa_util.h"

#define BUFFER_SIZE	(2UL << 20)	/* or two huge pages */
#define CONTROL_SIZE	(1UL << 20)
#define DEADLINE_MS	10000	/* of the slowest machine; usual is 0.1 s */
#define SCAN_MS		4
#define CHECK_MS	10
#define ROUNDS		3

/* For a scan beside others: from turn to turn, the memory for one, what another thread locks */
#define TURNS		6
#define TURN_MS		400
#define TURN_SIZE	(1UL << 20)
#define LARGE_SIZE	(16 * TURN_SIZE)
#define LOCKED_SIZE	(16UL << 20)

/* A page here and there */
#define SPARSE_SIZE	(1UL << 30)
#define SPARSE_STEP	(8UL << 20)
#define SPARSE_MS	100	/* from turn to turn */
#define SPARSE_TURNS	8

/*
 * A scan that finds nothing: from turn to turn at first, for how long, and how many passes
 * at most when each doubles the time to the next; twice as many to be sure. After that time
 * the next would be further away than WAKE_MS, which is time for a turn for each VMA.
 */
#define IDLE_MS		4
#define IDLE_MAX_MS	10000
#define IDLE_TIME_MS	2500
#define IDLE_PASSES	20
#define WAKE_MS		1000

/* A process that is woken again and again: its threads, and its scan period */
#define WOKEN_THREADS	8
#define WOKEN_MS	20

/*
 * Mappings without anything to mark that their only thread has not used of late, the time
 * from turn to turn, and how many passes over them there are in UNUSED_TIME_MS. With a turn
 * for each of them there is time for two.
 */
#define UNUSED_VMAS	60
#define UNUSED_MS	20
#define UNUSED_TIME_MS	3000
#define UNUSED_PASSES	10

/*
 * VMAs that two threads use all the time, so many in a buffer of USED_SIZE that is four scans:
 * in how many seconds there have to be hints, in each of them on average for USED_PERCENT of the
 * pages that there were hints for in the first, when all VMAs are for everybody; and VMAs of a
 * page each that another thread uses now and then, beside which it is RARE_PERCENT
 */
#define USED_SIZE	(16UL << 20)
#define USED_VMAS	64
#define USED_SCANS	4
#define USED_MS		100
#define USED_SECONDS	3
#define USED_PERCENT	25
#define RARE_VMAS	32
#define RARE_MS		20
#define RARE_PERCENT	40

/* A scan of so much in a period, and the part of it that no turn has more of */
#define SPREAD_SIZE	(16UL << 20)
#define SPREAD_MS	1000
#define SPREAD_PARTS	3

/* and in how many periods all of it has hints, a turn in each of which would not do */
#define SPREAD_PERIODS	4

/*
 * Beside a thread that sleeps, mostly: if its period counts for all there is no second pass
 * in QUIET_MS, as the first puts it off.
 */
#define QUIET_PERIOD_MS	3000
#define QUIET_MS	1000
#define QUIET_SLEEP_MS	20
#define QUIET_PASSES	2

/*
 * A device that has memory of its own, of the kernel's test driver for HMM
 * (lib/test_hmm_uapi.h, which is not installed): what it is asked, how it moves a range of
 * the caller's memory to itself, and how it says what pages of a range are.
 */
#define HMM_DEVICE		"/dev/hmm_dmirror0"
#define HMM_MIGRATE_TO_DEV	_IOWR('H', 0x02, struct hmm_command)
#define HMM_SNAPSHOT		_IOWR('H', 0x04, struct hmm_command)
#define HMM_WRITABLE_THERE	(0x20 | 0x02)

/* Share of a buffer that has to be where it belongs, in percent */
#define ENOUGH		95

/* A turn of the scan has ended; in an instance of our own */
#define TRACEFS		"/sys/kernel/tracing/"
#define TRACE_DIR	TRACEFS "instances/numab_scan/"
#define SCAN_END	"sched_numa_scan_end"

static const struct numab_knobs fast = NUMAB_KNOBS_FAST(SCAN_MS);

/* Kinds of memory, besides private anonymous */
enum {
	HUGE		= 0x01,	/* transparent huge pages, otherwise base pages */
	SHARED		= 0x02,
	LOCKED		= 0x04,
	RDONLY		= 0x08,	/* after it was filled */
	NOACCESS	= 0x10,	/* likewise */
	FORKED		= 0x20,	/* a child has it too, copy on write */
	TASK		= 0x40,	/* the policy is the task's, not the VMA's */
	SCANNED		= 0x80,	/* is faulted on, though it stays */
};

/* A policy is for the far node, the touching CPU's ("near"), or both */
enum { NONE, FAR, NEAR, BOTH };

struct memory {
	int flags, mode, nodes;
};

struct env {
	struct numa_nodes nodes;
	int far, near;
	long mode;
	struct numab_knobs knobs;
};

struct buffer {
	char *addr;
	size_t len;
	int flags;
};

/*
 * @addr: where the range begins; @ptr: where the answer goes to, what pages contain now or a
 * byte for each; @cpages: how many there are of them
 */
struct hmm_command {
	uint64_t addr, ptr, npages, cpages, faults;
};

struct events {
	long updates, huge_updates, faults, migrated;
};

static bool thp_usable(void)
{
	char buf[128];

	return thp_size() &&
	       !file_read("/sys/kernel/mm/transparent_hugepage/enabled", buf, sizeof(buf)) &&
	       !strstr(buf, "[never]");
}

/*
 * The far node is the last one with memory, if possible one without CPUs. Only
 * looks: what it finds is put back by the teardown in the parent, that also runs
 * if a test dies.
 */
static void env_get(struct __test_metadata *_metadata, struct env *e, int flags)
{
	NEED_ROOT();
	NEED_BALANCING();
	ASSERT_EQ(0, numa_nodes_get(&e->nodes));
	NEED_MEMORY_NODES(&e->nodes, 2);
	NEED_BOTH_NODES(&e->nodes, 1);
	e->far = e->nodes.mem[e->nodes.nr_mem - 1];
	e->near = numa_node_with_both(&e->nodes, e->far);
	if (e->near < 0) {
		e->near = e->far;
		e->far = e->nodes.mem[0];
	}
	if ((flags & HUGE) && !thp_usable())
		SKIP(return, "needs thp");
	e->mode = numa_balancing_get();
	if (numab_knobs_get(&e->knobs))
		SKIP(return, "needs debugfs");
}

static void env_restore(const struct env *e)
{
	numa_balancing_set(e->mode);
	numab_knobs_restore(&e->knobs);
}

/*
 * Run fn(arg) in a child bound to the near node's CPU, that the scanner visits
 * every SCAN_MS of its CPU time once fn() has turned balancing on.
 */
static void in_child(struct __test_metadata *_metadata, const struct env *e,
		     void (*fn)(struct __test_metadata *, const struct env *, const void *),
		     const void *arg)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, numab_knobs_set(&fast));
	ASSERT_EQ(0, numa_balancing_set(0));
	ASSERT_EQ(0, numa_run_on(&e->nodes, e->near));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fn(_metadata, e, arg);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

static struct events events(void)
{
	struct events ev = {
		.updates	= vmstat("numa_pte_updates"),
		.huge_updates	= vmstat("numa_huge_pte_updates"),
		.faults		= vmstat("numa_hint_faults"),
		.migrated	= vmstat("numa_pages_migrated"),
	};

	return ev;
}

static struct events events_since(const struct events *old)
{
	struct events ev = events();

	ev.updates -= old->updates;
	ev.huge_updates -= old->huge_updates;
	ev.faults -= old->faults;
	ev.migrated -= old->migrated;
	return ev;
}

/* Inaccessible pages on both sides keep the VMA from merging with a neighbour */
static void buffer_map(struct __test_metadata *_metadata, struct buffer *b, int flags, size_t len)
{
	size_t align = flags & HUGE ? thp_size() : page_size();
	int map = MAP_ANONYMOUS | (flags & SHARED ? MAP_SHARED : MAP_PRIVATE);
	char *p;

	b->flags = flags;
	b->len = flags & HUGE ? 2 * align : (len + align - 1) / align * align;
	p = mmap(NULL, b->len + 2 * align, PROT_NONE, map | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	b->addr = (char *)(((uintptr_t)p + align) / align * align);
	ASSERT_EQ(0, mprotect(b->addr, b->len, PROT_READ | PROT_WRITE));
	if (thp_size())
		ASSERT_EQ(0, madvise(b->addr, b->len,
				     flags & HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
}

static size_t nr_pages(const struct buffer *b)
{
	return b->len / page_size();
}

/* All pages onto @node; the policy is the default again afterwards */
static void buffer_place(struct __test_metadata *_metadata, const struct buffer *b, int node)
{
	struct nodemask mask = NODEMASK(node);
	unsigned long count[NUMA_MAX_NODES];

	ASSERT_EQ(0, sys_mbind(b->addr, b->len, MPOL_BIND, &mask, MPOL_MF_MOVE));
	for (size_t off = 0; off < b->len; off += page_size())
		*(size_t *)(b->addr + off) = off;
	ASSERT_EQ(0, sys_mbind(b->addr, b->len, MPOL_DEFAULT, NULL, 0));
	ASSERT_EQ(0, lru_drain_all(b->addr));
	ASSERT_EQ(nr_pages(b), page_nodes(b->addr, b->len, page_size(), count));
	ASSERT_EQ(nr_pages(b), count[node]);
}

static void buffer_touch(const struct buffer *b)
{
	if (b->flags & NOACCESS)
		return;
	for (size_t off = 0; off < b->len; off += page_size()) {
		(void)*(volatile size_t *)(b->addr + off);
		cpu_relax();
	}
}

/* Are the pages still those that buffer_place() wrote? */
static bool buffer_intact(const struct buffer *b)
{
	if (b->flags & NOACCESS && mprotect(b->addr, b->len, PROT_READ))
		return false;
	for (size_t off = 0; off < b->len; off += page_size())
		if (*(size_t *)(b->addr + off) != off)
			return false;
	return true;
}

static bool buffer_is_on(const struct buffer *b, int node)
{
	unsigned long count[NUMA_MAX_NODES];

	return page_nodes(b->addr, b->len, page_size(), count) == nr_pages(b) &&
	       count[node] * 100 >= nr_pages(b) * ENOUGH;
}

/* Touch both buffers, @with may be NULL, until @b is on @node or time is up */
static bool touch_until_on(const struct buffer *b, const struct buffer *with, int node,
			   long deadline)
{
	while (!buffer_is_on(b, node)) {
		long next = now_ms() + CHECK_MS;

		if (next > deadline)
			return false;
		do {
			buffer_touch(b);
			if (with)
				buffer_touch(with);
		} while (now_ms() < next);
	}
	return true;
}

static struct nodemask policy_nodes(const struct env *e, int which)
{
	struct nodemask m;

	nodemask_clear(&m);
	if (which & FAR)
		nodemask_set(&m, e->far);
	if (which & NEAR)
		nodemask_set(&m, e->near);
	return m;
}

static void policy_set(struct __test_metadata *_metadata, const struct env *e,
		       const struct buffer *b, const struct memory *m)
{
	struct nodemask mask = policy_nodes(e, m->nodes);
	struct nodemask *nodes = m->nodes == NONE ? NULL : &mask;
	long ret;

	if (m->flags & TASK)
		ret = sys_set_mempolicy(m->mode, nodes);
	else
		ret = sys_mbind(b->addr, b->len, m->mode, nodes, 0);
	ASSERT_EQ(0, ret);
}

/* What numa_maps calls the policy, mpol_to_str() */
static void policy_name(const struct env *e, const struct memory *m, char *buf, size_t size)
{
	struct nodemask mask = policy_nodes(e, m->nodes);

	snprintf(buf, size, "%s%s%s%s", mpol_mode_name(m->mode & ~MPOL_F_NUMA_BALANCING),
		 m->mode & MPOL_F_NUMA_BALANCING ? "=balancing" : "",
		 m->nodes == NONE ? "" : ":", nodemask_str(&mask));
}

/* numa_maps has the policy that was set, and puts the pages where move_pages() does */
static void expect_numa_maps(struct __test_metadata *_metadata, const struct env *e,
			     const struct buffer *b, const struct memory *m)
{
	unsigned long count[NUMA_MAX_NODES];
	struct numa_maps nm;
	char policy[256];

	policy_name(e, m, policy, sizeof(policy));
	ASSERT_EQ(nr_pages(b), page_nodes(b->addr, b->len, page_size(), count));
	ASSERT_EQ(0, numa_maps_get(b->addr, &nm));
	EXPECT_STREQ(policy, nm.policy);
	for (int i = 0; i < NUMA_MAX_NODES; i++)
		EXPECT_EQ(count[i] * page_size(), nm.node[i] * nm.pagesize_kb * 1024);
}

static void fetch(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const struct memory *m = arg;
	unsigned long count[NUMA_MAX_NODES];
	long moved, units;
	struct buffer b;
	struct events ev;

	buffer_map(_metadata, &b, m->flags, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	policy_set(_metadata, e, &b, m);
	if (m->flags & LOCKED)
		ASSERT_EQ(0, mlock(b.addr, b.len));
	if (m->flags & RDONLY)
		ASSERT_EQ(0, mprotect(b.addr, b.len, PROT_READ));

	ev = events();
	ASSERT_EQ(0, numa_balancing_set(1));
	EXPECT_TRUE(touch_until_on(&b, NULL, e->near, now_ms() + DEADLINE_MS));
	ev = events_since(&ev);

	/* Each page that moved was taken away, faulted on and migrated once or more */
	ASSERT_EQ(nr_pages(&b), page_nodes(b.addr, b.len, page_size(), count));
	moved = count[e->near];
	units = m->flags & HUGE ? moved / (thp_size() / page_size()) : moved;
	EXPECT_GE(ev.updates, moved);
	EXPECT_GE(ev.faults, units);
	EXPECT_GE(ev.migrated, moved);
	if (m->flags & HUGE)
		EXPECT_GE(ev.huge_updates, units);

	expect_numa_maps(_metadata, e, &b, m);
	EXPECT_TRUE(buffer_intact(&b));
}

/* Memory that comes to the CPU that uses it */
FIXTURE(fetched)
{
	struct env env;
};

FIXTURE_VARIANT(fetched)
{
	struct memory memory;
};

FIXTURE_VARIANT_ADD(fetched, base_pages) { };
FIXTURE_VARIANT_ADD(fetched, huge_pages) { .memory.flags = HUGE };
FIXTURE_VARIANT_ADD(fetched, shared) { .memory.flags = SHARED };
FIXTURE_VARIANT_ADD(fetched, mlocked) { .memory.flags = LOCKED };

/* only file mappings are exempt when read-only */
FIXTURE_VARIANT_ADD(fetched, read_only) { .memory.flags = RDONLY };

FIXTURE_VARIANT_ADD(fetched, bind_balancing) {
	.memory = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, BOTH },
};

FIXTURE_VARIANT_ADD(fetched, preferred_many_balancing) {
	.memory = { 0, MPOL_PREFERRED_MANY | MPOL_F_NUMA_BALANCING, BOTH },
};

FIXTURE_VARIANT_ADD(fetched, task_bind_balancing) {
	.memory = { TASK, MPOL_BIND | MPOL_F_NUMA_BALANCING, BOTH },
};

FIXTURE_SETUP(fetched)
{
	env_get(_metadata, &self->env, variant->memory.flags);
}

FIXTURE_TEARDOWN_PARENT(fetched)
{
	env_restore(&self->env);
}

/*
 * numa_balancing in sysctl/kernel.rst: "Memory is moved automatically to nodes
 * that access it often". No policy of its own, or one with MPOL_F_NUMA_BALANCING
 * that allows both nodes (set_mempolicy(2)).
 */
TEST_F(fetched, by_its_user)
{
	in_child(_metadata, &self->env, fetch, &variant->memory);
}

static void leave(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const struct memory *m = arg;
	/* Of the default policy, unless the task has one of its own */
	const struct memory free_to_move = {
		.mode = m->flags & TASK ? MPOL_BIND | MPOL_F_NUMA_BALANCING : MPOL_DEFAULT,
		.nodes = m->flags & TASK ? BOTH : NONE,
	};
	long deadline = now_ms() + DEADLINE_MS;
	unsigned long count[NUMA_MAX_NODES];
	struct buffer b, control;
	int fds[2], status;
	struct events ev;
	pid_t pid = 0;
	char c;

	buffer_map(_metadata, &b, m->flags, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	if (m->flags & FORKED) {
		ASSERT_EQ(0, pipe(fds));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			/* until the parent closes its end, or dies */
			close(fds[1]);
			_exit(read(fds[0], &c, 1));
		}
		close(fds[0]);
	}
	policy_set(_metadata, e, &b, m);
	if (m->flags & RDONLY)
		ASSERT_EQ(0, mprotect(b.addr, b.len, PROT_READ));
	if (m->flags & NOACCESS)
		ASSERT_EQ(0, mprotect(b.addr, b.len, PROT_NONE));

	buffer_map(_metadata, &control, 0, CONTROL_SIZE);
	ev = events();
	ASSERT_EQ(0, numa_balancing_set(1));
	for (int i = 0; i < ROUNDS; i++) {
		buffer_place(_metadata, &control, e->far);
		policy_set(_metadata, e, &control, &free_to_move);
		ASSERT_TRUE(touch_until_on(&control, &b, e->near, deadline));
	}
	ev = events_since(&ev);
	if (m->flags & SCANNED)
		EXPECT_GE(ev.faults, nr_pages(&b) + ROUNDS * nr_pages(&control) * ENOUGH / 100);

	ASSERT_EQ(nr_pages(&b), page_nodes(b.addr, b.len, page_size(), count));
	EXPECT_EQ(nr_pages(&b), count[e->far]);
	expect_numa_maps(_metadata, e, &b, m);
	EXPECT_TRUE(buffer_intact(&b));

	if (pid) {
		close(fds[1]);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
}

/* Memory that stays where it is, whoever uses it */
FIXTURE(left)
{
	struct env env;
};

FIXTURE_VARIANT(left)
{
	struct memory memory;
};

/* vma_policy_mof(): explicit policies are not for the balancer to override */
FIXTURE_VARIANT_ADD(left, bind) { .memory = { 0, MPOL_BIND, FAR } };
FIXTURE_VARIANT_ADD(left, bind_both) { .memory = { 0, MPOL_BIND, BOTH } };
FIXTURE_VARIANT_ADD(left, preferred) { .memory = { 0, MPOL_PREFERRED, FAR } };
FIXTURE_VARIANT_ADD(left, preferred_many) { .memory = { 0, MPOL_PREFERRED_MANY, BOTH } };
FIXTURE_VARIANT_ADD(left, interleave) { .memory = { 0, MPOL_INTERLEAVE, BOTH } };

FIXTURE_VARIANT_ADD(left, weighted_interleave) {
	.memory = { 0, MPOL_WEIGHTED_INTERLEAVE, BOTH },
};

FIXTURE_VARIANT_ADD(left, local) { .memory = { 0, MPOL_LOCAL, NONE } };
FIXTURE_VARIANT_ADD(left, task_bind) { .memory = { TASK, MPOL_BIND, FAR } };
FIXTURE_VARIANT_ADD(left, bind_shared) { .memory = { SHARED, MPOL_BIND, FAR } };
FIXTURE_VARIANT_ADD(left, bind_huge) { .memory = { HUGE, MPOL_BIND, FAR } };

/* mpol_misplaced(): balanced, but not beyond the mask */
FIXTURE_VARIANT_ADD(left, outside_mask) {
	.memory = { SCANNED, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR },
};

/* The VMA: read-only file mappings; shared anonymous memory is a file */
FIXTURE_VARIANT_ADD(left, file_read_only) { .memory.flags = SHARED | RDONLY };

/* The VMA: without access */
FIXTURE_VARIANT_ADD(left, prot_none) { .memory.flags = NOACCESS };

/* The page: shared for copy on write */
FIXTURE_VARIANT_ADD(left, copy_on_write) { .memory.flags = FORKED };

FIXTURE_SETUP(left)
{
	env_get(_metadata, &self->env, variant->memory.flags);
}

FIXTURE_TEARDOWN_PARENT(left)
{
	env_restore(&self->env);
}

/*
 * Not one page moves, and the policy is the one that was set, while the scanner
 * passed by ROUNDS times.
 */
TEST_F(left, where_it_is)
{
	in_child(_metadata, &self->env, leave, &variant->memory);
}

static void keep(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	long deadline = now_ms() + DEADLINE_MS;
	const struct memory *m = arg;
	unsigned long count[NUMA_MAX_NODES];
	struct events ev;
	struct buffer b;

	buffer_map(_metadata, &b, m->flags, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	policy_set(_metadata, e, &b, m);

	/*
	 * PTEs that were taken away before may still fault: wait for a time of
	 * twenty scan periods without an event.
	 */
	do {
		long next = now_ms() + 20 * SCAN_MS;

		ev = events();
		do {
			buffer_touch(&b);
		} while (now_ms() < next);
		ev = events_since(&ev);
	} while ((ev.updates || ev.huge_updates || ev.faults || ev.migrated) &&
		 now_ms() < deadline);

	EXPECT_EQ(0, ev.updates);
	EXPECT_EQ(0, ev.huge_updates);
	EXPECT_EQ(0, ev.faults);
	EXPECT_EQ(0, ev.migrated);
	ASSERT_EQ(nr_pages(&b), page_nodes(b.addr, b.len, page_size(), count));
	EXPECT_EQ(nr_pages(&b), count[e->far]);
	expect_numa_maps(_metadata, e, &b, m);
}

/* kernel.numa_balancing = 0 */
FIXTURE(off)
{
	struct env env;
};

FIXTURE_VARIANT(off)
{
	struct memory memory;
};

FIXTURE_VARIANT_ADD(off, base_pages) { };
FIXTURE_VARIANT_ADD(off, huge_pages) { .memory.flags = HUGE };

FIXTURE_VARIANT_ADD(off, bind_balancing) {
	.memory = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, BOTH },
};

FIXTURE_SETUP(off)
{
	env_get(_metadata, &self->env, variant->memory.flags);
}

FIXTURE_TEARDOWN_PARENT(off)
{
	env_restore(&self->env);
}

/*
 * Memory that "fetched" sees move stays on its node, and no scanner runs: the
 * counters, which are the system's, stand still. MPOL_F_NUMA_BALANCING permits
 * balancing, it does not turn it on.
 */
TEST_F(off, nothing_moves)
{
	in_child(_metadata, &self->env, keep, &variant->memory);
}

static void keep_tier(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	ASSERT_EQ(0, numa_balancing_set(2));
	keep(_metadata, e, arg);
}

/* Nor does it where only promotion is on, which is for memory of lower tiers */
TEST_F(off, top_tier_stays)
{
	if (numa_slow_node(&self->env.nodes) >= 0)
		SKIP(return, "needs one_memory_tier");
	in_child(_metadata, &self->env, keep_tier, &variant->memory);
}

/* Of three buffers in slow memory one is used, one is used and has the policy, one is idle */
static void promote(struct __test_metadata *_metadata, const struct env *env, const void *arg)
{
	const struct memory *m = arg;
	struct buffer used, policed, idle, *all[] = { &used, &policed, &idle };
	struct env e = *env;

	e.far = numa_slow_node(&e.nodes);
	for (int i = 0; i < 3; i++) {
		buffer_map(_metadata, all[i], m->flags, BUFFER_SIZE);
		buffer_place(_metadata, all[i], e.far);
	}
	policy_set(_metadata, &e, &policed, m);
	ASSERT_EQ(0, numa_balancing_set(2));
	EXPECT_TRUE(touch_until_on(&used, &policed, e.near, now_ms() + DEADLINE_MS));
	if (m->nodes != NONE && !(m->mode & MPOL_F_NUMA_BALANCING)) {
		EXPECT_TRUE(buffer_is_on(&policed, e.far));
	} else {
		EXPECT_TRUE(touch_until_on(&policed, NULL, e.near, now_ms() + DEADLINE_MS));
	}
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_TRUE(buffer_is_on(&idle, e.far));
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(buffer_intact(all[i]));
}

FIXTURE(promotion)
{
	struct env env;
};

FIXTURE_VARIANT(promotion)
{
	struct memory memory;
};

FIXTURE_VARIANT_ADD(promotion, base_pages) { };
FIXTURE_VARIANT_ADD(promotion, huge_pages) { .memory.flags = HUGE };
FIXTURE_VARIANT_ADD(promotion, prefer_near) { .memory = { 0, MPOL_PREFERRED, NEAR } };
FIXTURE_VARIANT_ADD(promotion, bind_slow) { .memory = { 0, MPOL_BIND, FAR } };

FIXTURE_VARIANT_ADD(promotion, bind_balancing) {
	.memory = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, BOTH },
};

FIXTURE_SETUP(promotion)
{
	env_get(_metadata, &self->env, variant->memory.flags);
	if (numa_slow_node(&self->env.nodes) < 0)
		SKIP(return, "needs slow_tier");
}

FIXTURE_TEARDOWN_PARENT(promotion)
{
	env_restore(&self->env);
}

/*
 * numa_balancing=2 (admin-guide/sysctl/kernel.rst): pages that are used leave the slow
 * memory, unless they have a policy without MPOL_F_NUMA_BALANCING; what is not used stays.
 */
TEST_F(promotion, used_pages_come_up)
{
	in_child(_metadata, &self->env, promote, &variant->memory);
}

static void tour(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const struct memory *m = arg;
	struct nodemask has_memory = nodemask_of(e->nodes.nr_mem, e->nodes.mem);
	struct buffer b;
	int home = e->far;

	buffer_map(_metadata, &b, 0, CONTROL_SIZE);
	buffer_place(_metadata, &b, home);
	ASSERT_EQ(0, numa_balancing_set(1));
	for (int i = 0; i < e->nodes.nr_cpu; i++) {
		long deadline = now_ms() + DEADLINE_MS;
		struct events start, ev;

		ASSERT_EQ(0, lru_drain_all(b.addr));
		ASSERT_EQ(0, numa_run_on(&e->nodes, e->nodes.cpu[i]));
		if (nodemask_isset(&has_memory, e->nodes.cpu[i])) {
			home = e->nodes.cpu[i];
			EXPECT_TRUE(touch_until_on(&b, NULL, home, deadline));
		} else {
			start = events();
			do {
				buffer_touch(&b);
				ev = events_since(&start);
			} while (ev.faults < ROUNDS * nr_pages(&b) && now_ms() < deadline);
			EXPECT_GE(ev.faults, ROUNDS * nr_pages(&b));
			EXPECT_TRUE(buffer_is_on(&b, home));
		}
		expect_numa_maps(_metadata, e, &b, m);
	}
	EXPECT_TRUE(buffer_intact(&b));
}

FIXTURE(tour)
{
	struct env env;
};

FIXTURE_SETUP(tour)
{
	env_get(_metadata, &self->env, 0);
	if (self->env.nodes.nr_cpu < 2 && !_metadata->exit_code)
		SKIP(return, "needs cpu_nodes=%d", 2);
}

FIXTURE_TEARDOWN_PARENT(tour)
{
	env_restore(&self->env);
}

/*
 * A task goes from one CPU to the next, a buffer follows it to each node. Of a
 * node without memory its faults must not make it go anywhere
 * (should_numa_migrate_memory()).
 */
TEST_F_TIMEOUT(tour, memory_follows, 120)
{
	static const struct memory plain;

	in_child(_metadata, &self->env, tour, &plain);
}

/* What a process does over and over while it is scanned */
enum { NOTHING, FORK, VFORK };

struct forking {
	int how;
	bool threaded;
};

/* Far longer than the time from one fork to the next, two times CHECK_MS */
#define FORK_DELAY_MS	100
#define NR_FORKS	100

/* What /proc/self/sched has for @name, -1 if the kernel does not tell */
static long sched_value(const char *name)
{
	static char buf[16384];
	char *line;
	long value;

	if (file_read("/proc/self/sched", buf, sizeof(buf)))
		return -1;
	line = strstr(buf, name);
	return line && sscanf(line, "%*[^:]: %ld", &value) == 1 ? value : -1;
}

/* How often all of this process's memory was scanned */
static long scan_seq(void)
{
	return sched_value("mm->numa_scan_seq");
}

/* A child that ends at once, or a copy that first looks at its scan_seq(): its status */
static int spawn(int how, bool look)
{
	int status = 0;
	pid_t pid;

	if (how == NOTHING)
		return 0;
	pid = how == VFORK ? vfork() : fork();
	if (!pid)
		_exit(look && how == FORK && scan_seq());
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void *sleeper(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void forking_start(struct __test_metadata *_metadata, const struct forking *f)
{
	struct numab_knobs knobs = fast;
	pthread_t thread;

	knobs.value[NUMAB_SCAN_DELAY] = FORK_DELAY_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	if (f->threaded)
		ASSERT_EQ(0, pthread_create(&thread, NULL, sleeper, NULL));
}

static void fetch_and_fork(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const struct forking *f = arg;
	struct buffer b;
	bool moved = false;

	forking_start(_metadata, f);
	buffer_map(_metadata, &b, 0, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	ASSERT_EQ(0, spawn(f->how, false));
	ASSERT_EQ(0, numa_balancing_set(1));
	for (int i = 0; !moved && i < NR_FORKS; i++) {
		moved = touch_until_on(&b, NULL, e->near, now_ms() + 2 * CHECK_MS);
		ASSERT_EQ(0, spawn(f->how, false));
	}
	EXPECT_TRUE(moved);
	EXPECT_TRUE(buffer_intact(&b));
}

static void scan_and_fork(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	long deadline = now_ms() + DEADLINE_MS, seq;
	const struct forking *f = arg;
	struct buffer b;

	forking_start(_metadata, f);
	buffer_map(_metadata, &b, 0, CONTROL_SIZE);
	buffer_place(_metadata, &b, e->far);
	ASSERT_EQ(0, numa_balancing_set(1));
	do {
		buffer_touch(&b);
		seq = scan_seq();
	} while (!seq && now_ms() < deadline);

	/* From here on no scanner runs */
	ASSERT_EQ(0, numa_balancing_set(0));
	seq = scan_seq();
	ASSERT_LT(0, seq);
	EXPECT_EQ(0, spawn(f->how, true));
	EXPECT_EQ(seq, scan_seq());
}

/* A process that has children */
FIXTURE(forking)
{
	struct env env;
};

FIXTURE_VARIANT(forking)
{
	struct forking forking;
};

FIXTURE_VARIANT_ADD(forking, none) { };
FIXTURE_VARIANT_ADD(forking, fork) { .forking.how = FORK };
FIXTURE_VARIANT_ADD(forking, vfork) { .forking.how = VFORK };
FIXTURE_VARIANT_ADD(forking, fork_threaded) { .forking = { FORK, true } };

FIXTURE_SETUP(forking)
{
	env_get(_metadata, &self->env, 0);
}

FIXTURE_TEARDOWN_PARENT(forking)
{
	env_restore(&self->env);
}

/*
 * Memory follows a process that forks again and again within the scan delay:
 * the delay of the child (init_numa_balancing()) is not one of the parent.
 */
TEST_F(forking, memory_follows)
{
	in_child(_metadata, &self->env, fetch_and_fork, &variant->forking);
}

/* The scan of the parent goes on where it was, that of a copy of its mm begins */
TEST_F(forking, scans_apart)
{
	if (scan_seq() < 0)
		SKIP(return, "needs sched_debug");
	in_child(_metadata, &self->env, scan_and_fork, &variant->forking);
}

struct neighbour {
	const struct env *e;
	int node;
	char *p;
	bool wanted, locks, failed;
};

/* Has mmap_lock for writing, again and again, for as long as that is wanted */
static void *locker(void *arg)
{
	const struct sched_param real_time = { .sched_priority = 1 };
	struct neighbour *n = arg;
	/* the scan has no ticks of the real-time classes: all turns are the other thread's */
	bool ok = !numa_run_on(&n->e->nodes, n->node) &&
		  !sched_setscheduler(0, SCHED_FIFO, &real_time);

	while (ok) {
		bool wanted = __atomic_load_n(&n->wanted, __ATOMIC_ACQUIRE);

		if (wanted)
			ok = !mprotect(n->p, LOCKED_SIZE, PROT_READ) &&
			     !mprotect(n->p, LOCKED_SIZE, PROT_READ | PROT_WRITE);
		else
			cpu_relax();
		__atomic_store_n(&n->locks, wanted, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&n->failed, true, __ATOMIC_RELEASE);
	return NULL;
}

/* What it locks, with a policy that keeps the scanner off */
static void neighbour_map(struct __test_metadata *_metadata, const struct env *e,
			  struct neighbour *n)
{
	struct nodemask mask = NODEMASK(e->near);

	n->e = e;
	n->node = numa_node_with_both(&e->nodes, e->near);
	n->p = mmap(NULL, LOCKED_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, n->p);
	ASSERT_EQ(0, sys_mbind(n->p, LOCKED_SIZE, MPOL_BIND, &mask, 0));
	ASSERT_EQ(0, madvise(n->p, LOCKED_SIZE, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, madvise(n->p, LOCKED_SIZE, MADV_POPULATE_WRITE));
}

/* Whether such a thread shall have the lock; false if it has ended */
static bool neighbour_locks(struct neighbour *n, bool wanted)
{
	__atomic_store_n(&n->wanted, wanted, __ATOMIC_RELEASE);
	while (__atomic_load_n(&n->locks, __ATOMIC_ACQUIRE) != wanted) {
		if (__atomic_load_n(&n->failed, __ATOMIC_ACQUIRE))
			return false;
		cpu_relax();
	}
	return true;
}

/* What this thread has run, by which its turns are due */
static long run_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void run_until(long ms)
{
	while (run_ms() < ms)
		cpu_relax();
}

/* Use @b until there are more hints than @updates, or @deadline of run_ms(): are there? */
static bool hints_come(const struct buffer *b, long updates, long deadline)
{
	while (vmstat("numa_pte_updates") == updates) {
		if (run_ms() >= deadline)
			return false;
		buffer_touch(b);
	}
	return true;
}

static void scan_beside_lock(struct __test_metadata *_metadata, const struct env *e,
			     const void *arg)
{
	const struct memory stays = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR };
	struct numab_knobs knobs = fast;
	struct neighbour n = { 0 };
	long turn, updates;
	int came = 0;
	pthread_t thread;
	struct buffer b;

	(void)arg;
	/* task_scan_min() divides the minimum by what the process has, in scan sizes */
	knobs.value[NUMAB_PERIOD_MIN] = TURN_MS * ((LARGE_SIZE + LOCKED_SIZE) / TURN_SIZE + 1);
	knobs.value[NUMAB_PERIOD_MAX] = TURN_MS;
	knobs.value[NUMAB_SCAN_SIZE] = TURN_SIZE >> 20;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, LARGE_SIZE);
	buffer_place(_metadata, &b, e->far);
	policy_set(_metadata, e, &b, &stays);
	neighbour_map(_metadata, e, &n);
	ASSERT_EQ(0, pthread_create(&thread, NULL, locker, &n));
	ASSERT_EQ(0, numa_balancing_set(1));
	/* The first turn is late by what ran without balancing, and not by so much the second */
	for (int i = 0; i <= TURNS; i++) {
		/* on the base turns for the VMAs that it does not use, one by one, give no hints */
		ASSERT_TRUE(hints_come(&b, vmstat("numa_pte_updates"), run_ms() + 16 * TURN_MS));
		if (!i)
			continue;
		turn = run_ms();
		updates = vmstat("numa_pte_updates");
		/* the next one is due while the lock is taken, the one after it when all is over */
		run_until(turn + TURN_MS * 6 / 10);
		ASSERT_TRUE(neighbour_locks(&n, true));
		run_until(turn + TURN_MS * 13 / 10);
		ASSERT_TRUE(neighbour_locks(&n, false));
		came += hints_come(&b, updates, turn + TURN_MS * 16 / 10);
	}
	TH_LOG("%d of %d turns came soon after the lock", came, TURNS);
	EXPECT_LE(TURNS / 2, came);
	EXPECT_TRUE(buffer_intact(&b));
}

/* Another thread has mmap_lock */
FIXTURE(contended)
{
	struct env env;
};

FIXTURE_SETUP(contended)
{
	env_get(_metadata, &self->env, 0);
	NEED_BOTH_NODES(&self->env.nodes, 2);
}

FIXTURE_TEARDOWN_PARENT(contended)
{
	env_restore(&self->env);
}

/*
 * A turn of the scan for which another thread has the address space locked is not lost, it
 * comes at a later tick (task_numa_work()).
 */
TEST_F(contended, turns_are_not_lost)
{
	in_child(_metadata, &self->env, scan_beside_lock, NULL);
}

/* How many pages got hints since there were @updates: waits for @nr, but no longer than @ms */
static long marked(long updates, long nr, long ms)
{
	long deadline = now_ms() + ms;

	while (vmstat("numa_pte_updates") - updates < nr && now_ms() < deadline)
		cpu_relax();
	return vmstat("numa_pte_updates") - updates;
}

/* Another thread, where there is another CPU for it */
static void beside(struct __test_metadata *_metadata, const struct env *e,
		   void *(*does)(void *), void *arg)
{
	pthread_t thread;

	/* it begins where its creator is */
	ASSERT_EQ(0, numa_run_on(&e->nodes, e->nodes.cpu[1 % e->nodes.nr_cpu]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, does, arg));
	ASSERT_EQ(0, numa_run_on(&e->nodes, e->near));
}

static void mark_sparse(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const long nr = SPARSE_SIZE / SPARSE_STEP;
	struct nodemask mask = NODEMASK(e->far);
	struct numab_knobs knobs = fast;
	long updates;
	char *p;

	(void)arg;
	knobs.value[NUMAB_PERIOD_MIN] = SPARSE_MS;
	knobs.value[NUMAB_PERIOD_MAX] = SPARSE_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	p = mmap(NULL, SPARSE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	if (thp_size())
		ASSERT_EQ(0, madvise(p, SPARSE_SIZE, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, sys_mbind(p, SPARSE_SIZE, MPOL_BIND, &mask, 0));
	for (size_t off = 0; off < SPARSE_SIZE; off += SPARSE_STEP)
		*(size_t *)(p + off) = off;
	ASSERT_EQ(0, sys_mbind(p, SPARSE_SIZE, MPOL_DEFAULT, NULL, 0));
	ASSERT_EQ(0, lru_drain_all(p));

	updates = vmstat("numa_pte_updates");
	ASSERT_EQ(0, numa_balancing_set(1));
	updates = marked(updates, nr, SPARSE_TURNS * SPARSE_MS);
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(nr, updates);
	for (size_t off = 0; off < SPARSE_SIZE; off += SPARSE_STEP)
		EXPECT_EQ(off, *(size_t *)(p + off));
}

/* Pages of @len bytes at @addr that are the device's, and that it may write to; -1 on failure */
static long writable_there(int device, const char *addr, size_t len)
{
	unsigned char page[BUFFER_SIZE >> 12];
	struct hmm_command cmd = {
		.addr	= (uintptr_t)addr,
		.ptr	= (uintptr_t)page,
		.npages	= len / page_size(),
	};
	long n = 0;

	if (ioctl(device, HMM_SNAPSHOT, &cmd))
		return -1;
	for (size_t i = 0; i < cmd.npages; i++)
		n += page[i] == HMM_WRITABLE_THERE;
	return n;
}

static void scan_device(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	long deadline, updates, there;
	static char content[BUFFER_SIZE / 2];
	struct hmm_command cmd = { };
	struct events ev;
	struct buffer b;
	int device;

	(void)arg;
	buffer_map(_metadata, &b, 0, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);

	/* The driver is for the address space of who opens it */
	device = open(HMM_DEVICE, O_RDWR);
	ASSERT_LE(0, device);
	cmd.addr = (uintptr_t)b.addr;
	cmd.ptr = (uintptr_t)content;
	cmd.npages = nr_pages(&b) / 2;
	ASSERT_EQ(0, ioctl(device, HMM_MIGRATE_TO_DEV, &cmd));
	ASSERT_EQ(cmd.npages, cmd.cpages);
	there = writable_there(device, b.addr, b.len);
	ASSERT_EQ(cmd.npages, there);

	/* Hints for the other half, that comes last */
	updates = vmstat("numa_pte_updates");
	ASSERT_EQ(0, numa_balancing_set(1));
	deadline = now_ms() + DEADLINE_MS;
	while (vmstat("numa_pte_updates") - updates < nr_pages(&b) / 2 && now_ms() < deadline)
		cpu_relax();
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_EQ(there, writable_there(device, b.addr, b.len));

	/* It was this memory that the scan went over; the device's comes back when it is read */
	ev = events();
	for (size_t off = b.len / 2; off < b.len; off += page_size())
		EXPECT_EQ(off, *(size_t *)(b.addr + off));
	ev = events_since(&ev);
	EXPECT_GE(ev.faults * 100, nr_pages(&b) / 2 * ENOUGH);
	EXPECT_TRUE(buffer_intact(&b));
}

FIXTURE(device)
{
	struct env env;
};

FIXTURE_SETUP(device)
{
	env_get(_metadata, &self->env, 0);
	if (access(HMM_DEVICE, R_OK | W_OK))
		SKIP(return, "needs hmm");
}

FIXTURE_TEARDOWN_PARENT(device)
{
	env_restore(&self->env);
}

/*
 * Pages that are a device's have entries that are not present. They stay what they are: if
 * they lost the write permission the device had to fault for it (hint_table()).
 */
TEST_F(device, keeps_write_permission)
{
	in_child(_metadata, &self->env, scan_device, NULL);
}

FIXTURE(sparse)
{
	struct env env;
};

FIXTURE_SETUP(sparse)
{
	env_get(_metadata, &self->env, 0);
}

FIXTURE_TEARDOWN_PARENT(sparse)
{
	env_restore(&self->env);
}

/*
 * A turn of the scan is charged for what it does: pages that are few and far between are no
 * more than the same number side by side, for which one turn is enough.
 */
TEST_F(sparse, marked_in_one_pass)
{
	in_child(_metadata, &self->env, mark_sparse, NULL);
}

/* Uses the CPU and no memory, not even its stack: has no faults, and takes turns */
static void *spinner(void *arg)
{
	for (;;) {
		for (int i = 0; i < 10000; i++)
			__asm__ volatile("");
		cpu_relax();
	}
	return arg;
}

/* What is going to give a scan something to do again */
enum { TASK_POLICY, POLICY, MEMORY, PROTECTION, CPU };

/* Passes in IDLE_TIME_MS */
static long idle(void)
{
	long deadline = now_ms() + IDLE_TIME_MS, seq = scan_seq();

	while (now_ms() < deadline)
		cpu_relax();
	return scan_seq() - seq;
}

static void scan_idle(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const int what = *(const int *)arg;
	const struct memory stays = { what == TASK_POLICY ? TASK : 0, MPOL_BIND, FAR };
	const struct memory far = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR };
	const int other = numa_node_with_both(&e->nodes, e->near);
	const struct numa_nodes nodes = e->nodes;
	struct numab_knobs knobs = fast;
	struct buffer b, more;
	long updates, seq;
	int ret = 0;

	knobs.value[NUMAB_PERIOD_MIN] = IDLE_MS;
	knobs.value[NUMAB_PERIOD_MAX] = IDLE_MAX_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, BUFFER_SIZE);
	buffer_place(_metadata, &b, what == CPU ? e->near : e->far);
	if (what == TASK_POLICY || what == POLICY)
		policy_set(_metadata, e, &b, &stays);
	if (what == MEMORY) {
		buffer_map(_metadata, &more, 0, 2 * BUFFER_SIZE);
		policy_set(_metadata, e, &more, &far);
	}
	ASSERT_EQ(0, numa_balancing_set(1));
	seq = idle();

	/*
	 * No ASSERT or EXPECT from here to the end, nor what @e has: that is memory which the harness
	 * shares with us, and a hint on it would bring the scan back, whatever else does.
	 */
	updates = vmstat("numa_pte_updates");
	switch (what) {
	case TASK_POLICY:
		ret = sys_set_mempolicy(MPOL_DEFAULT, NULL);
		break;
	case POLICY:
		ret = sys_mbind(b.addr, b.len, MPOL_DEFAULT, NULL, 0);
		break;
	case MEMORY:
		/* nothing tells of it but how much there is */
		b = more;
		for (size_t off = 0; off < b.len; off += page_size())
			*(size_t *)(b.addr + off) = off;
		break;
	case PROTECTION:
		ret = mprotect(b.addr, b.len, PROT_READ);
		break;
	case CPU:
		ret = numa_run_on(&nodes, other);
		break;
	}
	updates = marked(updates, nr_pages(&b), WAKE_MS);
	ASSERT_EQ(0, numa_balancing_set(0));
	ASSERT_EQ(0, ret);
	EXPECT_GE(IDLE_PASSES, seq);
	EXPECT_LE(nr_pages(&b), updates);
	EXPECT_TRUE(buffer_intact(&b));
}

/* Changes memory that is of no interest to the scan, again and again */
static void *changer(void *arg)
{
	char *p = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	while (p != MAP_FAILED && !mprotect(p, page_size(), PROT_READ) &&
	       !mprotect(p, page_size(), PROT_READ | PROT_WRITE))
		usleep(2000);
	return arg;
}

/* Many threads, nothing to mark, and something new all the time */
static void scan_woken(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const struct memory stays = { TASK, MPOL_BIND, FAR };
	struct numab_knobs knobs = fast;
	pthread_t thread;
	struct buffer b;

	(void)arg;
	/* what a new thread begins with */
	knobs.value[NUMAB_SCAN_DELAY] = WOKEN_MS;
	knobs.value[NUMAB_PERIOD_MIN] = WOKEN_MS;
	knobs.value[NUMAB_PERIOD_MAX] = IDLE_MAX_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	policy_set(_metadata, e, &b, &stays);
	/* a thread runs where its creator does */
	for (int i = 0; i < WOKEN_THREADS; i++) {
		ASSERT_EQ(0, numa_run_on(&e->nodes, e->nodes.cpu[i % e->nodes.nr_cpu]));
		ASSERT_EQ(0, pthread_create(&thread, NULL, spinner, NULL));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, changer, NULL));
	ASSERT_EQ(0, numa_balancing_set(1));
	EXPECT_GE(IDLE_TIME_MS / WOKEN_MS + 1, idle());
	ASSERT_EQ(0, numa_balancing_set(0));
}

static void *bound(void *arg)
{
	if (sys_set_mempolicy(MPOL_BIND, arg))
		_exit(1);
	return spinner(NULL);
}

static void scan_awake(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	struct nodemask mask = policy_nodes(e, FAR);
	struct numab_knobs knobs = fast;
	struct buffer b;
	long updates;

	(void)arg;
	knobs.value[NUMAB_PERIOD_MIN] = IDLE_MS;
	knobs.value[NUMAB_PERIOD_MAX] = IDLE_MAX_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	beside(_metadata, e, bound, &mask);
	updates = vmstat("numa_pte_updates");
	ASSERT_EQ(0, numa_balancing_set(1));
	usleep(IDLE_TIME_MS * 1000);
	updates = marked(updates, nr_pages(&b), WAKE_MS);
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(nr_pages(&b), updates);
	EXPECT_TRUE(buffer_intact(&b));
}

/* A process with nothing to scan, until it has something */
FIXTURE(idle)
{
	struct env env;
};

FIXTURE_VARIANT(idle)
{
	int what;
};

FIXTURE_VARIANT_ADD(idle, task_policy) { .what = TASK_POLICY };
FIXTURE_VARIANT_ADD(idle, policy) { .what = POLICY };
FIXTURE_VARIANT_ADD(idle, memory) { .what = MEMORY };
FIXTURE_VARIANT_ADD(idle, protection) { .what = PROTECTION };
FIXTURE_VARIANT_ADD(idle, cpu) { .what = CPU };

FIXTURE_SETUP(idle)
{
	env_get(_metadata, &self->env, 0);
	if (variant->what == CPU)
		NEED_BOTH_NODES(&self->env.nodes, 2);
	if (scan_seq() < 0)
		SKIP(return, "needs sched_debug");
}

FIXTURE_TEARDOWN_PARENT(idle)
{
	env_restore(&self->env);
}

/*
 * Passes that mark nothing become fewer and fewer (scan_interval()), and the first change
 * that may give them something to do brings them back at once (numa_scan_wake()).
 */
TEST_F(idle, backs_off_and_comes_back)
{
	in_child(_metadata, &self->env, scan_idle, &variant->what);
}

/*
 * At once, but not before the scan period of the last pass is over: who changes something
 * all the time is not scanned more often for each of his threads.
 */
FIXTURE(woken)
{
	struct env env;
};

FIXTURE_SETUP(woken)
{
	env_get(_metadata, &self->env, 0);
	if (scan_seq() < 0)
		SKIP(return, "needs sched_debug");
}

FIXTURE_TEARDOWN_PARENT(woken)
{
	env_restore(&self->env);
}

TEST_F(woken, keeps_the_period)
{
	in_child(_metadata, &self->env, scan_woken, NULL);
}

/*
 * A thread with a policy that is without hints has found nothing while the others slept: the
 * memory without a policy is there for the first of them to run (numa_scan_blind).
 */
TEST_F(woken, by_who_sees_more)
{
	in_child(_metadata, &self->env, scan_awake, NULL);
}

static void scan_unused(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const size_t step = 2 * page_size();
	struct numab_knobs knobs = fast;
	long deadline, seq;
	char *p;

	(void)arg;
	(void)e;
	knobs.value[NUMAB_PERIOD_MIN] = UNUSED_MS;
	/* passes that mark nothing are no fewer for that */
	knobs.value[NUMAB_PERIOD_MAX] = UNUSED_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	p = mmap(NULL, UNUSED_VMAS * step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < UNUSED_VMAS; i++) {
		p[i * step] = 1;
		ASSERT_EQ(0, munmap(p + i * step + page_size(), page_size()));
	}
	ASSERT_EQ(0, numa_balancing_set(1));

	/* two passes are for everybody */
	for (deadline = now_ms() + DEADLINE_MS; scan_seq() < 3 && now_ms() < deadline;)
		cpu_relax();
	seq = scan_seq();
	ASSERT_LE(3, seq);
	for (deadline = now_ms() + UNUSED_TIME_MS; now_ms() < deadline;)
		cpu_relax();
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(UNUSED_PASSES, scan_seq() - seq);
	for (int i = 0; i < UNUSED_VMAS; i++)
		EXPECT_EQ(1, p[i * step]);
}

/* Mappings that nobody uses */
FIXTURE(unused)
{
	struct env env;
};

FIXTURE_SETUP(unused)
{
	env_get(_metadata, &self->env, 0);
	if (scan_seq() < 0)
		SKIP(return, "needs sched_debug");
}

FIXTURE_TEARDOWN_PARENT(unused)
{
	env_restore(&self->env);
}

/*
 * A VMA that the task has not used of late is scanned when nothing else is left to do, and
 * ends the turn only if there was something to mark in it (scan_turn(), before: task_numa_work()).
 */
TEST_F(unused, do_not_hold_up)
{
	in_child(_metadata, &self->env, scan_unused, NULL);
}

static void *toucher(void *arg)
{
	for (;;)
		buffer_touch(arg);
	return arg;
}

/* Some buffers, the last of which has no length */
static void *rare_toucher(void *arg)
{
	for (;;) {
		for (struct buffer *b = arg; b->len; b++)
			buffer_touch(b);
		usleep(RARE_MS * 1000);
	}
	return arg;
}

static void stay_map(struct __test_metadata *_metadata, const struct env *e, struct buffer *b,
		     size_t len)
{
	const struct memory stays = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR };

	buffer_map(_metadata, b, 0, len);
	buffer_place(_metadata, b, e->far);
	policy_set(_metadata, e, b, &stays);
}

/* Pages that got hints in the time @ms in which this thread uses @b too */
static long marked_by_use(const struct buffer *b, long ms)
{
	long deadline = now_ms() + ms, updates = vmstat("numa_pte_updates");

	while (now_ms() < deadline)
		buffer_touch(b);
	return vmstat("numa_pte_updates") - updates;
}

/* @arg: how many VMAs another thread uses now and then */
static void scan_used(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	const size_t step = 2 * USED_SIZE / USED_VMAS;
	struct buffer b, rare[RARE_VMAS + 1] = { };
	struct numab_knobs knobs = fast;
	long first, later;
	int nr_rare = *(const int *)arg, percent = nr_rare ? RARE_PERCENT : USED_PERCENT;

	knobs.value[NUMAB_SCAN_DELAY] = USED_MS / 10;
	/* task_scan_min() divides the minimum by what the process has, in scan sizes */
	knobs.value[NUMAB_PERIOD_MIN] = (USED_SCANS + 1) * USED_MS;
	knobs.value[NUMAB_PERIOD_MAX] = USED_MS;
	knobs.value[NUMAB_SCAN_SIZE] = USED_SIZE / USED_SCANS >> 20;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	stay_map(_metadata, e, &b, USED_SIZE);
	/* in halves that cannot be merged */
	for (size_t off = 0; off < b.len; off += step)
		ASSERT_EQ(0, madvise(b.addr + off, step / 2, MADV_DONTDUMP));
	for (int i = 0; i < nr_rare; i++)
		stay_map(_metadata, e, &rare[i], page_size());
	beside(_metadata, e, toucher, &b);
	if (nr_rare)
		beside(_metadata, e, rare_toucher, rare);
	ASSERT_EQ(0, numa_balancing_set(1));
	first = marked_by_use(&b, 1000);
	ASSERT_LE(nr_pages(&b), first);
	later = marked_by_use(&b, USED_SECONDS * 1000);
	ASSERT_EQ(0, numa_balancing_set(0));
	TH_LOG("%ld pages with hints in a second, %ld in the next %d", first, later, USED_SECONDS);
	EXPECT_LE(first * USED_SECONDS * percent / 100, later);
	EXPECT_TRUE(buffer_intact(&b));
}

/* Mappings that all threads use */
FIXTURE(used)
{
	struct env env;
};

FIXTURE_SETUP(used)
{
	env_get(_metadata, &self->env, 0);
}

FIXTURE_TEARDOWN_PARENT(used)
{
	env_restore(&self->env);
}

/*
 * Who has used a VMA is known until it has hints again, whose faults will tell, however long
 * a pass takes (vma_age_pids()).
 */
TEST_F(used, stay_used)
{
	const int nr_rare = 0;

	in_child(_metadata, &self->env, scan_used, &nr_rare);
}

/* And they do not wait for those that are used by others, a scan period for each (scan_turn()) */
TEST_F(used, do_not_wait_for_unused)
{
	const int nr_rare = RARE_VMAS;

	in_child(_metadata, &self->env, scan_used, &nr_rare);
}

/* What an unused mapping at address 0 needs: its page table has room behind it */
#define ZERO_PAGES	16
#define ZERO_PASSES	8

static volatile char *map_at_0(void)
{
	return mmap(NULL, ZERO_PAGES * page_size(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void scan_at_0(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	struct numab_knobs knobs = fast;
	volatile char *p;
	long deadline;

	(void)arg;
	(void)e;
	knobs.value[NUMAB_PERIOD_MIN] = UNUSED_MS;
	knobs.value[NUMAB_PERIOD_MAX] = UNUSED_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	p = map_at_0();
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < ZERO_PAGES; i++)
		p[i * page_size()] = i;
	ASSERT_EQ(0, numa_balancing_set(1));
	for (deadline = now_ms() + DEADLINE_MS; scan_seq() < ZERO_PASSES && now_ms() < deadline;)
		cpu_relax();
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(ZERO_PASSES, scan_seq());
	for (int i = 0; i < ZERO_PAGES; i++)
		EXPECT_EQ(i, p[i * page_size()]);
}

/*
 * Where a pass comes back to has 0 for nothing, so address 0 is noted as another one. No page
 * begins there (scan_turn()).
 */
TEST_F(unused, at_address_0)
{
	volatile char *p = map_at_0();

	if (p == MAP_FAILED)
		SKIP(return, "needs root");
	ASSERT_EQ(0, munmap((void *)p, ZERO_PAGES * page_size()));
	in_child(_metadata, &self->env, scan_at_0, NULL);
}

static void scan_in_parts(struct __test_metadata *_metadata, const struct env *e,
			  const void *arg)
{
	long deadline, begin, before, updates, most = 0, all;
	struct numab_knobs knobs = fast;
	struct buffer b;

	(void)arg;
	/* task_scan_min() divides the minimum by what the process has, in scan sizes */
	knobs.value[NUMAB_PERIOD_MIN] = 2 * SPREAD_MS;
	knobs.value[NUMAB_PERIOD_MAX] = 2 * SPREAD_MS;
	knobs.value[NUMAB_SCAN_SIZE] = SPREAD_SIZE >> 20;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, SPREAD_SIZE);
	buffer_place(_metadata, &b, e->far);
	begin = before = vmstat("numa_pte_updates");
	ASSERT_EQ(0, numa_balancing_set(1));
	/* A turn of this thread's comes between one look at the counter and the next */
	deadline = now_ms() + DEADLINE_MS;
	do {
		updates = vmstat("numa_pte_updates");
		if (updates - before > most)
			most = updates - before;
		before = updates;
		all = updates - begin;
	} while (all < nr_pages(&b) && now_ms() < deadline);
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(nr_pages(&b), all);
	EXPECT_GE(nr_pages(&b) / SPREAD_PARTS, most);
	EXPECT_TRUE(buffer_intact(&b));
}

static void scan_without_others(struct __test_metadata *_metadata, const struct env *e,
				const void *arg)
{
	const struct memory task = { TASK, MPOL_BIND, FAR };
	const struct memory memory = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR };
	struct numab_knobs knobs = fast;
	struct buffer b;
	long updates;

	(void)arg;
	/* a new thread begins with the delay, and the minimum is that of scan_in_parts() */
	knobs.value[NUMAB_SCAN_DELAY] = SPREAD_MS;
	knobs.value[NUMAB_PERIOD_MIN] = 2 * SPREAD_MS;
	knobs.value[NUMAB_PERIOD_MAX] = 2 * SPREAD_MS;
	knobs.value[NUMAB_SCAN_SIZE] = SPREAD_SIZE >> 20;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, SPREAD_SIZE);
	buffer_place(_metadata, &b, e->far);
	policy_set(_metadata, e, &b, &memory);
	policy_set(_metadata, e, &b, &task);
	/* which has the policy of its creator */
	beside(_metadata, e, spinner, NULL);
	updates = vmstat("numa_pte_updates");
	ASSERT_EQ(0, numa_balancing_set(1));
	updates = marked(updates, nr_pages(&b), SPREAD_PERIODS * SPREAD_MS);
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(nr_pages(&b), updates);
	EXPECT_TRUE(buffer_intact(&b));
}

FIXTURE(spread)
{
	struct env env;
};

FIXTURE_SETUP(spread)
{
	env_get(_metadata, &self->env, 0);
}

FIXTURE_TEARDOWN_PARENT(spread)
{
	env_restore(&self->env);
}

/*
 * A scan is spread over its period in many turns, so that the task is never kept from its
 * own work for long; and all of it is marked (scan_gap(), scan_pages()).
 */
TEST_F(spread, no_turn_is_long)
{
	in_child(_metadata, &self->env, scan_in_parts, NULL);
}

/*
 * To a task with a policy that is without hints all is unsuitable but what has one of its
 * own, and it leaves its turns to others. Where all threads are of that kind they have none
 * to leave them to (scan_is_for_others()).
 */
TEST_F(spread, where_no_thread_is_of_another_kind)
{
	in_child(_metadata, &self->env, scan_without_others, NULL);
}

static void sleep_and_fault(struct __test_metadata *_metadata, const struct env *e,
			    const void *arg)
{
	const struct memory stays = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR };
	struct numab_knobs knobs = fast;
	long deadline, seq;
	pthread_t thread;
	struct buffer b;

	(void)arg;
	/* This thread begins with a long period, and has used it when it has a turn */
	knobs.value[NUMAB_PERIOD_MIN] = QUIET_PERIOD_MS;
	knobs.value[NUMAB_PERIOD_MAX] = IDLE_MAX_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	buffer_map(_metadata, &b, 0, page_size());
	buffer_place(_metadata, &b, e->far);
	policy_set(_metadata, e, &b, &stays);
	/* Its first turn is due at once: one more, and a hinting fault, and the period is longer */
	seq = scan_seq();
	ASSERT_EQ(0, numa_balancing_set(1));
	for (deadline = now_ms() + DEADLINE_MS; scan_seq() == seq && now_ms() < deadline;)
		cpu_relax();
	ASSERT_LT(seq, scan_seq());

	/* The other one with a short one, that begins after this one's */
	knobs.value[NUMAB_PERIOD_MIN] = SCAN_MS;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	ASSERT_EQ(0, pthread_create(&thread, NULL, spinner, NULL));
	usleep(QUIET_PERIOD_MS * 1000);

	/* Each fault finds a pass over, with no local or shared faults in it */
	seq = scan_seq();
	for (deadline = now_ms() + QUIET_MS; now_ms() < deadline; usleep(QUIET_SLEEP_MS * 1000))
		*(volatile char *)b.addr = b.addr[0];
	ASSERT_EQ(0, numa_balancing_set(0));
	EXPECT_LE(QUIET_PASSES, scan_seq() - seq);
}

FIXTURE(quiet)
{
	struct env env;
};

FIXTURE_SETUP(quiet)
{
	env_get(_metadata, &self->env, 0);
	if (scan_seq() < 0)
		SKIP(return, "needs sched_debug");
}

FIXTURE_TEARDOWN_PARENT(quiet)
{
	env_restore(&self->env);
}

/*
 * A thread that has few hinting faults is scanned for less and less often. It says nothing
 * about the other threads of its process (update_task_scan_period()).
 */
TEST_F(quiet, others_are_scanned)
{
	in_child(_metadata, &self->env, sleep_and_fault, NULL);
}

struct seen {
	long turns, pages, flushes, updates;
};

static struct seen seen(void)
{
	struct seen s = {
		.turns		= vmstat("numa_scan_turns"),
		.pages		= vmstat("numa_scan_pages"),
		.flushes	= vmstat("numa_scan_flushes"),
		.updates	= vmstat("numa_pte_updates"),
	};

	return s;
}

static void look_at_counters(struct __test_metadata *_metadata, const struct env *e,
			     const void *arg)
{
	long deadline = now_ms() + DEADLINE_MS, cost;
	struct seen before, after;
	struct buffer b;

	(void)arg;
	buffer_map(_metadata, &b, 0, BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	before = seen();
	ASSERT_LE(0, before.turns);
	ASSERT_LE(0, before.pages);
	ASSERT_LE(0, before.flushes);
	EXPECT_EQ(0, sched_value("numa_scan_cost"));
	EXPECT_EQ(0, sched_value("mm->numa_scan_idle"));

	/* Not touched: marked once, looked at again by the passes that follow */
	ASSERT_EQ(0, numa_balancing_set(1));
	while (sched_value("mm->numa_scan_idle") < ROUNDS && now_ms() < deadline)
		cpu_relax();
	ASSERT_EQ(0, numa_balancing_set(0));
	after = seen();
	EXPECT_LE(ROUNDS, sched_value("mm->numa_scan_idle"));
	EXPECT_LE(ROUNDS + 1, after.turns - before.turns);
	EXPECT_LE(nr_pages(&b), after.updates - before.updates);
	EXPECT_LE(after.updates - before.updates, after.pages - before.pages);
	/* once or more, and not page by page */
	EXPECT_LE(1, after.flushes - before.flushes);
	EXPECT_GE(nr_pages(&b) / 8, after.flushes - before.flushes);

	/* A turn takes some of its task's time, and less than all of it */
	cost = sched_value("numa_scan_cost");
	EXPECT_LT(0, cost);
	EXPECT_GT(DEADLINE_MS * 1000000L, cost);

	/* And nothing is counted where nothing is done */
	before = seen();
	for (deadline = now_ms() + 20 * SCAN_MS; now_ms() < deadline;)
		cpu_relax();
	after = seen();
	EXPECT_EQ(before.turns, after.turns);
	EXPECT_EQ(before.pages, after.pages);
	EXPECT_EQ(before.flushes, after.flushes);
	EXPECT_EQ(cost, sched_value("numa_scan_cost"));
}

/* What the kernel says of the turns of this process */
struct told {
	long turns, looked, marked, flushes, cost;
	int pass, work, other;		/* why they ended */
};

static int told(struct told *sum)
{
	FILE *f = fopen(TRACE_DIR "trace", "r");
	char line[512], why[16], *p;
	struct told turn;
	int tgid;

	memset(sum, 0, sizeof(*sum));
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		p = strstr(line, SCAN_END ": ");
		if (!p || sscanf(p, SCAN_END ": pid=%*d tgid=%d end=%*x vmas=%*u looked=%ld "
				 "marked=%ld flushes=%ld cost=%ld why=%15s", &tgid, &turn.looked,
				 &turn.marked, &turn.flushes, &turn.cost, why) != 6 ||
		    tgid != getpid())
			continue;
		sum->turns++;
		sum->looked += turn.looked;
		sum->marked += turn.marked;
		sum->flushes += turn.flushes;
		sum->cost += turn.cost;
		if (!strcmp(why, "pass"))
			sum->pass++;
		else if (!strcmp(why, "work"))
			sum->work++;
		else
			sum->other++;
	}
	return fclose(f);
}

static void look_at_trace(struct __test_metadata *_metadata, const struct env *e,
			  const void *arg)
{
	long deadline = now_ms() + DEADLINE_MS;
	struct numab_knobs knobs = fast;
	struct seen before, after;
	struct told sum;
	struct buffer b;

	(void)arg;
	buffer_map(_metadata, &b, 0, 3 * BUFFER_SIZE);
	buffer_place(_metadata, &b, e->far);
	knobs.value[NUMAB_SCAN_SIZE] = 1;
	ASSERT_EQ(0, numab_knobs_set(&knobs));
	ASSERT_EQ(0, file_write_long(TRACE_DIR "events/sched/" SCAN_END "/enable", 1));
	before = seen();
	ASSERT_EQ(0, numa_balancing_set(1));
	while (sched_value("mm->numa_scan_idle") < 1 && now_ms() < deadline)
		cpu_relax();
	ASSERT_EQ(0, numa_balancing_set(0));
	after = seen();
	ASSERT_EQ(0, file_write_long(TRACE_DIR "events/sched/" SCAN_END "/enable", 0));
	ASSERT_EQ(0, told(&sum));

	/* A turn may mark 1 MB, and the rest of a page table; there is more than one to do */
	EXPECT_LE(2, sum.work);
	/* The pass that marks, and the one that finds nothing */
	EXPECT_LE(2, sum.pass);
	EXPECT_GE(DEADLINE_MS / SCAN_MS, sum.turns);
	EXPECT_LE(nr_pages(&b), sum.marked);
	EXPECT_LE(sum.marked, sum.looked);
	EXPECT_LE(1, sum.flushes);

	/* The counters are of the whole machine, but for the cost */
	EXPECT_GE(after.turns - before.turns, sum.turns);
	EXPECT_GE(after.pages - before.pages, sum.looked);
	EXPECT_GE(after.updates - before.updates, sum.marked);
	EXPECT_GE(after.flushes - before.flushes, sum.flushes);
	EXPECT_EQ(sched_value("numa_scan_cost"), sum.cost);
}

FIXTURE(seen)
{
	struct env env;
	bool tracefs;		/* mounted by this test */
};

FIXTURE_SETUP(seen)
{
	env_get(_metadata, &self->env, 0);
	if (scan_seq() < 0)
		SKIP(return, "needs sched_debug");
}

FIXTURE_TEARDOWN_PARENT(seen)
{
	rmdir(TRACE_DIR);
	if (self->tracefs)
		umount(TRACEFS);
	env_restore(&self->env);
}

/* What Documentation/scheduler/sched-debug.rst says about the counters of the scan */
TEST_F(seen, in_vmstat_and_sched)
{
	in_child(_metadata, &self->env, look_at_counters, NULL);
}

/* What it says about the trace event, with a trace of its own */
TEST_F(seen, in_the_trace)
{
	self->tracefs = access(TRACEFS "trace", F_OK) &&
			!mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (mkdir(TRACE_DIR, 0700))
		SKIP(return, "needs tracefs");
	in_child(_metadata, &self->env, look_at_trace, NULL);
}

static void write_once(struct __test_metadata *_metadata, const struct env *e, const void *arg)
{
	long deadline = now_ms() + DEADLINE_MS, faults, updates;
	const struct memory *m = arg;
	bool moves = m->nodes != FAR;
	struct rusage before, after;
	struct events ev;
	int from = e->far;
	struct buffer b;
	size_t units;

	/* of a lower tier's page should_numa_migrate_memory() wants to see a second fault */
	if (moves && from == numa_slow_node(&e->nodes))
		from = numa_node_with_both(&e->nodes, e->near);
	buffer_map(_metadata, &b, m->flags, BUFFER_SIZE);
	buffer_place(_metadata, &b, from);
	policy_set(_metadata, e, &b, m);
	units = m->flags & HUGE ? b.len / thp_size() : nr_pages(&b);

	/* Hints for all of it, by a single pass as none of it is touched, and no more */
	updates = vmstat("numa_pte_updates");
	ASSERT_EQ(0, numa_balancing_set(1));
	while (vmstat("numa_pte_updates") - updates < nr_pages(&b) && now_ms() < deadline)
		cpu_relax();
	ASSERT_EQ(0, numa_balancing_set(0));

	ev = events();
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &before));
	for (size_t off = 0; off < b.len; off += page_size())
		*(volatile size_t *)(b.addr + off) = off;
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &after));
	ev = events_since(&ev);
	faults = after.ru_minflt - before.ru_minflt;

	/* All had a hint and all went where they belong */
	EXPECT_GE(ev.faults * 100, units * ENOUGH);
	EXPECT_TRUE(buffer_is_on(&b, moves ? e->near : e->far));
	if (moves) {
		EXPECT_GE(ev.migrated * 100, nr_pages(&b) * ENOUGH);
	} else {
		EXPECT_EQ(0, ev.migrated);
	}

	/* One fault each; half as many are spare */
	EXPECT_GE(faults * 100, units * ENOUGH);
	EXPECT_LE(faults, units * 3 / 2);
	EXPECT_TRUE(buffer_intact(&b));
}

FIXTURE(write_faults)
{
	struct env env;
};

FIXTURE_VARIANT(write_faults)
{
	struct memory memory;
};

FIXTURE_VARIANT_ADD(write_faults, base_pages) { };
FIXTURE_VARIANT_ADD(write_faults, huge_pages) { .memory.flags = HUGE };

/* as left.outside_mask */
FIXTURE_VARIANT_ADD(write_faults, base_pages_stay) {
	.memory = { 0, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR },
};

FIXTURE_VARIANT_ADD(write_faults, huge_pages_stay) {
	.memory = { HUGE, MPOL_BIND | MPOL_F_NUMA_BALANCING, FAR },
};

FIXTURE_SETUP(write_faults)
{
	env_get(_metadata, &self->env, variant->memory.flags);
}

FIXTURE_TEARDOWN_PARENT(write_faults)
{
	env_restore(&self->env);
}

/*
 * A write to a page with a hint costs one fault: do_numa_page() makes the PTE
 * writable again where the page stays, and one that was migrated must not be
 * mapped read-only for a second fault either (remove_migration_pte()).
 */
TEST_F(write_faults, one_for_each_page)
{
	if (numa_slow_node(&self->env.nodes) >= 0)
		NEED_BOTH_NODES(&self->env.nodes, 2);
	in_child(_metadata, &self->env, write_once, &variant->memory);
}

TEST_HARNESS_MAIN
