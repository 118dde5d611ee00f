// SPDX-License-Identifier: GPL-2.0
/*
 * All that changes an address space, against a scan for NUMA balancing at the highest
 * rate: map and unmap, mprotect(), mremap(), madvise(), transparent huge pages that come
 * together and apart, KSM, migration, fork(), exec and exit, threads that change nodes,
 * and a cpuset that changes its memory.
 *
 * Nothing is said about where memory is in the end. But no byte of it may be lost, no call
 * may fail, and the kernel must not complain; that is worth most with lockdep and KASAN.
 *
 * In the environment: NUMA_STRESS_SECONDS=450, how long each test takes (3 without).
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "numa_util.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef SYS_migrate_pages
#error no migrate_pages()
#endif

#define SECONDS		3
#define NR_PROCESSES	2
#define NR_THREADS	2	/* of each process */
#define NR_SLOTS	6	/* of each thread */
#define SMALL_PAGES	24
#define SCAN_MS		4
#define LEAST_FREE_MB	128	/* more than all processes have: 24 slots of 4 MB */
#define CPUSET_MS	50
#define EXEC_ENV	"NUMA_STRESS_EXEC"
#define KSM_RUN		"/sys/kernel/mm/ksm/run"

struct slot {
	char *addr;
	size_t pages;
	uint64_t tag;		/* the first page begins with it, the next with one more */
	bool shared;
};

struct worker {
	const struct numa_nodes *nodes;
	struct slot slot[NR_SLOTS];
	uint64_t random;
	long deadline;
	unsigned long steps;
	bool confined;		/* to a cpuset, that changes */
	const char *what;	/* the last step */
};

#define CHECK(w, x) do {							\
	if (!(x)) {								\
		printf("# step %lu, %s: %s: %s\n", (w)->steps, (w)->what, #x,	\
		       strerror(errno));					\
		fflush(stdout);							\
		_exit(1);							\
	}									\
} while (0)

/* What the program is for when a step has exec'ed it */
__attribute__((constructor)) static void exec_ends_here(void)
{
	if (getenv(EXEC_ENV))
		_exit(0);
}

static unsigned int pick(struct worker *w, unsigned int n)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

static size_t slot_len(const struct slot *s)
{
	return s->pages * page_size();
}

static uint64_t *slot_word(const struct slot *s, size_t page)
{
	return (uint64_t *)(s->addr + page * page_size());
}

static void slot_write(struct worker *w, struct slot *s)
{
	s->tag = (w->random | 1) << 20;
	for (size_t i = 0; i < s->pages; i++) {
		*slot_word(s, i) = s->tag + i;
		cpu_relax();
	}
}

static void slot_verify(struct worker *w, const struct slot *s)
{
	for (size_t i = 0; i < s->pages; i++) {
		CHECK(w, *slot_word(s, i) == s->tag + i);
		cpu_relax();
	}
}

static void slot_map(struct worker *w, struct slot *s)
{
	bool huge = thp_size() && !pick(w, 3);

	s->shared = !pick(w, 4);
	s->pages = huge ? 2 * thp_size() / page_size() : 1 + pick(w, SMALL_PAGES);
	s->addr = mmap(NULL, slot_len(s), PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | (s->shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	CHECK(w, s->addr != MAP_FAILED);
	if (huge)
		madvise(s->addr, slot_len(s), MADV_HUGEPAGE);
	slot_write(w, s);
}

static void slot_remap(struct worker *w, struct slot *s)
{
	CHECK(w, !munmap(s->addr, slot_len(s)));
	slot_map(w, s);
}

static void slot_protect(struct worker *w, struct slot *s)
{
	static const int prot[] = { PROT_NONE, PROT_READ };
	size_t first = pick(w, s->pages), n = 1 + pick(w, s->pages - first);
	char *p = s->addr + first * page_size();

	CHECK(w, !mprotect(p, n * page_size(), prot[pick(w, 2)]));
	CHECK(w, !mprotect(p, n * page_size(), PROT_READ | PROT_WRITE));
	slot_verify(w, s);
}

static void slot_move(struct worker *w, struct slot *s)
{
	char *p = mmap(NULL, slot_len(s), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(w, p != MAP_FAILED);
	CHECK(w, mremap(s->addr, slot_len(s), slot_len(s), MREMAP_MAYMOVE | MREMAP_FIXED,
			p) == p);
	s->addr = p;
	slot_verify(w, s);
}

static void slot_shrink(struct worker *w, struct slot *s)
{
	size_t pages = 1 + pick(w, s->pages);

	CHECK(w, mremap(s->addr, slot_len(s), pages * page_size(), 0) == s->addr);
	s->pages = pages;
	slot_verify(w, s);
}

static void slot_drop(struct worker *w, struct slot *s)
{
	size_t page = pick(w, s->pages);

	CHECK(w, !madvise(s->addr + page * page_size(), page_size(), MADV_DONTNEED));
	CHECK(w, *slot_word(s, page) == (s->shared ? s->tag + page : 0));
	*slot_word(s, page) = s->tag + page;
	slot_verify(w, s);
}

/* May fail where there is no THP, or none to be had */
static void slot_collapse(struct worker *w, struct slot *s)
{
	madvise(s->addr, slot_len(s), pick(w, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	madvise(s->addr, slot_len(s), MADV_COLLAPSE);
	slot_verify(w, s);
}

/* May fail without KSM */
static void slot_merge(struct worker *w, struct slot *s)
{
	madvise(s->addr, slot_len(s), pick(w, 2) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
	slot_verify(w, s);
}

static int some_node(struct worker *w)
{
	return w->nodes->mem[pick(w, w->nodes->nr_mem)];
}

/* With a cpuset that changes there may be no node left for it, or a full one */
static void slot_bind(struct worker *w, struct slot *s)
{
	struct nodemask m = NODEMASK(some_node(w));

	if (sys_mbind(s->addr, slot_len(s), MPOL_BIND, &m, pick(w, 2) ? MPOL_MF_MOVE : 0))
		CHECK(w, errno == EINVAL);
	slot_verify(w, s);
	CHECK(w, !sys_mbind(s->addr, slot_len(s), MPOL_DEFAULT, NULL, 0));
}

/* Not to a node that is leaving the cpuset meanwhile: the kernel would log that it cannot */
static void slot_migrate(struct worker *w, struct slot *s)
{
	int node = some_node(w), status;
	void *p = slot_word(s, pick(w, s->pages));

	if (w->confined)
		return;
	if (sys_move_pages(0, 1, &p, &node, &status, MPOL_MF_MOVE) < 0)
		CHECK(w, errno == EACCES || errno == ENODEV || errno == ENOMEM);
	slot_verify(w, s);
}

static void process_migrate(struct worker *w, struct slot *s)
{
	struct nodemask from = nodemask_of(w->nodes->nr_mem, w->nodes->mem);
	struct nodemask to = NODEMASK(some_node(w));

	if (w->confined)
		return;
	if (syscall(SYS_migrate_pages, 0, (unsigned long)NUMA_MAX_NODES, from.bits, to.bits) < 0)
		CHECK(w, errno == EPERM || errno == EINVAL || errno == ENOMEM);
	slot_verify(w, s);
}

static void process_fork(struct worker *w, struct slot *s)
{
	static char *const argv[] = { "numab_stress", NULL };
	static char *const envp[] = { EXEC_ENV "=1", NULL };
	bool exec = pick(w, 2);
	int status;
	pid_t pid;

	pid = fork();
	CHECK(w, pid >= 0);
	if (!pid) {
		for (int i = 0; i < NR_SLOTS; i++)
			slot_verify(w, &w->slot[i]);
		if (!s->shared)
			slot_write(w, s);
		if (exec)
			execve("/proc/self/exe", argv, envp);
		_exit(exec);
	}
	CHECK(w, waitpid(pid, &status, 0) == pid && !status);
	slot_verify(w, s);
}

static void thread_move(struct worker *w, struct slot *s)
{
	int i = pick(w, w->nodes->nr_cpu);

	CHECK(w, !numa_run_on(w->nodes, w->nodes->cpu[i]));
	slot_verify(w, s);
}

static void slot_rewrite(struct worker *w, struct slot *s)
{
	slot_verify(w, s);
	slot_write(w, s);
}

static const struct step {
	const char *name;
	void (*fn)(struct worker *w, struct slot *s);
	int often;
} steps[] = {
	{ "rewrite",		slot_rewrite,	8 },
	{ "map again",		slot_remap,	6 },
	{ "mprotect",		slot_protect,	6 },
	{ "mremap",		slot_move,	4 },
	{ "shrink",		slot_shrink,	2 },
	{ "drop",		slot_drop,	4 },
	{ "collapse",		slot_collapse,	3 },
	{ "merge",		slot_merge,	2 },
	{ "mbind",		slot_bind,	3 },
	{ "move_pages",		slot_migrate,	3 },
	{ "migrate_pages",	process_migrate, 1 },
	{ "fork",		process_fork,	1 },
	{ "another node",	thread_move,	2 },
};

static void *work(void *arg)
{
	struct worker *w = arg;
	int sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		sum += steps[i].often;
	w->what = "map";
	for (int i = 0; i < NR_SLOTS; i++)
		slot_map(w, &w->slot[i]);
	while (now_ms() < w->deadline) {
		const struct step *step = steps;
		int n = pick(w, sum);

		while ((n -= step->often) >= 0)
			step++;
		w->what = step->name;
		w->steps++;
		step->fn(w, &w->slot[pick(w, NR_SLOTS)]);
	}
	for (int i = 0; i < NR_SLOTS; i++)
		slot_verify(w, &w->slot[i]);
	return NULL;
}

/* One process: its threads, and what they have in common, the address space */
static void process(const struct numa_nodes *nodes, const struct cpuset *cs, long deadline,
		    int number)
{
	static struct worker w[NR_THREADS];
	pthread_t thread[NR_THREADS];

	for (int i = 0; i < NR_THREADS; i++) {
		w[i].nodes = nodes;
		w[i].deadline = deadline;
		w[i].random = number * NR_THREADS + i;
		w[i].confined = cs;
		w[i].what = "start";
	}
	CHECK(&w[0], !cs || !cpuset_enter(cs));
	for (int i = 0; i < NR_THREADS; i++)
		CHECK(&w[i], !pthread_create(&thread[i], NULL, work, &w[i]));
	for (int i = 0; i < NR_THREADS; i++)
		CHECK(&w[i], !pthread_join(thread[i], NULL));
	for (int i = 0; i < NR_THREADS; i++)
		CHECK(&w[i], w[i].steps > 0);
	_exit(0);
}

/* Free memory of the node that has least, in MB; what does not fit would be logged */
static long least_free_mb(const struct numa_nodes *nodes)
{
	static char buf[8192];
	long least = -1, kb;
	char path[96], *p;

	for (int i = 0; i < nodes->nr_mem; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo",
			 nodes->mem[i]);
		if (file_read(path, buf, sizeof(buf)))
			return -1;
		p = strstr(buf, "MemFree:");
		if (!p || sscanf(p, "MemFree: %ld", &kb) != 1)
			return -1;
		if (least < 0 || kb / 1024 < least)
			least = kb / 1024;
	}
	return least;
}

FIXTURE(stress)
{
	struct numa_nodes nodes;
	struct numab_knobs knobs;
	struct cpuset cpuset;
	long mode, ksm;
	int thp;
};

FIXTURE_VARIANT(stress)
{
	bool cpuset;
};

FIXTURE_VARIANT_ADD(stress, free) { };
FIXTURE_VARIANT_ADD(stress, cpuset) { .cpuset = true };

FIXTURE_SETUP(stress)
{
	long free_mb;

	NEED_ROOT();
	NEED_BALANCING();
	ASSERT_EQ(0, numa_nodes_get(&self->nodes));
	NEED_MEMORY_NODES(&self->nodes, 2);
	free_mb = least_free_mb(&self->nodes);
	ASSERT_LE(0, free_mb);
	if (free_mb < LEAST_FREE_MB)
		SKIP(return, "needs node_mb=%d", LEAST_FREE_MB);
	self->mode = numa_balancing_get();
	self->thp = -1;
	if (file_read_long(KSM_RUN, &self->ksm))
		self->ksm = -1;
	if (numab_knobs_get(&self->knobs))
		SKIP(return, "needs debugfs");
	if (variant->cpuset && cpuset_create(&self->cpuset))
		SKIP(return, "needs cpuset");
}

FIXTURE_TEARDOWN_PARENT(stress)
{
	if (self->ksm >= 0)
		file_write_long(KSM_RUN, self->ksm);
	thp_restore(self->thp);
	numa_balancing_set(self->mode);
	numab_knobs_restore(&self->knobs);
	if (self->cpuset.name[0])
		cpuset_remove(&self->cpuset);
}

/*
 * mm/numa_hint.c marks pages under the lock of their VMA only, and lets other CPUs know
 * later: nothing that others do in the meantime may see half of it.
 */
TEST_F_TIMEOUT(stress, nothing_is_lost, 7200)
{
	const char *seconds = getenv("NUMA_STRESS_SECONDS");
	long deadline = now_ms() + (seconds ? atol(seconds) : SECONDS) * 1000;
	const struct numab_knobs fast = NUMAB_KNOBS_FAST(SCAN_MS);
	struct nodemask all = nodemask_of(self->nodes.nr_mem, self->nodes.mem);
	pid_t pid[NR_PROCESSES];
	int status;

	ASSERT_LT(now_ms(), deadline) {
		TH_LOG("NUMA_STRESS_SECONDS=%s is no number above 0", seconds);
	}
	self->thp = thp_on();
	if (self->ksm >= 0)
		ASSERT_EQ(0, file_write_long(KSM_RUN, 1));
	ASSERT_EQ(0, numab_knobs_set(&fast));
	if (variant->cpuset)
		ASSERT_EQ(0, cpuset_set_mems(&self->cpuset, &all));
	ASSERT_EQ(0, numa_balancing_set(1));
	for (int i = 0; i < NR_PROCESSES; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			process(&self->nodes, variant->cpuset ? &self->cpuset : NULL, deadline, i);
	}
	for (int i = 0; variant->cpuset && now_ms() < deadline; i++) {
		struct nodemask one = NODEMASK(self->nodes.mem[i % self->nodes.nr_mem]);

		usleep(CPUSET_MS * 1000);
		ASSERT_EQ(0, cpuset_set_mems(&self->cpuset, i % 2 ? &one : &all));
	}
	for (int i = 0; i < NR_PROCESSES; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

TEST_HARNESS_MAIN
