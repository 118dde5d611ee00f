// SPDX-License-Identifier: GPL-2.0
/*
 * When there is no memory for what a call needs: it fails as its man page says or
 * does without, the policy is the old one or the new one and nothing between, no byte
 * of the pages is lost, and nothing is left behind.
 *
 * Every call is made again and again. First its first allocation fails, then its
 * second, until none was left to fail (/proc/PID/fail-nth, see
 * Documentation/fault-injection/fault-injection.rst). This needs a kernel with
 * CONFIG_FAULT_INJECTION_DEBUG_FS, CONFIG_FAILSLAB and CONFIG_FAIL_PAGE_ALLOC.
 *
 * At the end, with the same means: great pieces of memory fail, so that vmalloc() has
 * to allocate single pages, many at once, and places them by the policy of the task.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <linux/mount.h>
#include <sys/mount.h>

#include "numa_util.h"
#include "kselftest_harness.h"
#include "numa_hotplug.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif

#define DEBUGFS		"/sys/kernel/debug/"
#define WEIGHTS		"/sys/kernel/mm/mempolicy/weighted_interleave/"
#define NR_PAGES	8
#define TEXT_SIZE	4096
#define MAX_FAILURES	1000	/* more than the longest of the calls has */

/* The knobs of fault injection, with the value that the tests need */
static struct knob {
	const char *path;
	const char *wanted;
	char old[32];
} knobs[] = {
	{ DEBUGFS "failslab/probability", "0" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "failslab/cache-filter", "N" },
	{ DEBUGFS "failslab/task-filter", "Y" },
	{ DEBUGFS "fail_page_alloc/probability", "0" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
	{ DEBUGFS "fail_page_alloc/task-filter", "Y" },
	{ DEBUGFS "fail_page_alloc/times", "-1" },
};

/* What all tests share, by main() and anew for each test by setup() */
static struct {
	bool injects;		/* there are all knobs */
	struct numa_nodes nodes;
	int first, last;	/* two nodes with memory; the first has a CPU too */
	size_t page;
	char *area;		/* NR_PAGES with nothing mapped around them */
	bool shared;		/* they are of an object */
	int object;		/* a file */
	int nth;		/* this thread's fail-nth */
	char weight[64];	/* the file of the first node's */
} env;

/* The same memory for all tests and main() */
static struct shared {
	struct console console;
	long objects[2];	/* in use before the first failure; 0: not known */
} *shared;

/*
 * The n-th allocation that this thread asks for from now on will fail. fail_disarm()
 * says whether there was one.
 */
static bool fail_arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	return pwrite(env.nth, text, len, 0) == len;
}

static bool fail_disarm(void)
{
	char text[16] = "";
	bool hit = pread(env.nth, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	return fail_arm(0) && hit;
}

/* No two words of the pages are the same */
static void fill(void)
{
	uint64_t *words = (uint64_t *)env.area, word = 1;

	for (size_t i = 0; i < NR_PAGES * env.page / sizeof(*words); i++)
		words[i] = word += 0x9e3779b97f4a7c15;
}

static bool intact(void)
{
	const uint64_t *words = (const uint64_t *)env.area;
	uint64_t word = 1;

	for (size_t i = 0; i < NR_PAGES * env.page / sizeof(*words); i++)
		if (words[i] != (word += 0x9e3779b97f4a7c15))
			return false;
	return true;
}

/* New pages instead of those that there are, with no policy; 0 or -1 */
static int area_new(bool shared)
{
	char *p;

	if (env.object >= 0)
		close(env.object);
	env.object = shared ? memfd_create("object", MFD_CLOEXEC) : -1;
	env.shared = shared;
	if (shared && (env.object < 0 || ftruncate(env.object, NR_PAGES * env.page)))
		return -1;
	p = mmap(env.area, NR_PAGES * env.page, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS), env.object, 0);
	if (p != env.area || madvise(p, NR_PAGES * env.page, MADV_NOHUGEPAGE))
		return -1;
	return 0;
}

static long bind_pages(int first, int nr, int mode, const struct nodemask *mask, int flags)
{
	return sys_mbind(env.area + first * env.page, nr * env.page, mode, mask, flags);
}

static struct nodemask both(void)
{
	return NODEMASK(env.first, env.last);
}

/* Mode and nodes, of the task or of the page at @addr */
static int policy_add(char *text, void *addr)
{
	struct nodemask mask;
	int mode;

	if (sys_get_mempolicy(&mode, &mask, addr, addr ? MPOL_F_ADDR : 0))
		return sprintf(text, "errno %d; ", errno);
	return sprintf(text, "%#x {%s}; ", mode, nodemask_str(&mask));
}

/*
 * What a call must leave as it was or bring about: a text, for each kind of call the
 * right one. None of them allocates anything for a policy.
 */
static const char *state_task(void)
{
	static char text[TEXT_SIZE];

	policy_add(text, NULL);
	return text;
}

static const char *state_area(void)
{
	static char text[TEXT_SIZE];
	int n = 0;

	for (int i = 0; i < NR_PAGES; i++)
		n += policy_add(text + n, env.area + i * env.page);
	strcpy(text + n, intact() ? "intact" : "damaged");
	return text;
}

/* Also where new pages come from, which is how a home node is seen */
static const char *state_homes(void)
{
	static char text[TEXT_SIZE];
	int n = 0;

	for (int i = 0; i < NR_PAGES; i++) {
		n += policy_add(text + n, env.area + i * env.page);
		*(volatile char *)(env.area + i * env.page) = 1;
		n += sprintf(text + n, "%d; ", page_node(env.area + i * env.page));
	}
	if (madvise(env.area, NR_PAGES * env.page, env.shared ? MADV_REMOVE : MADV_DONTNEED))
		return "no advice";
	return text;
}

static const char *state_object(void)
{
	static char text[TEXT_SIZE];
	char *p = mmap(NULL, env.page, PROT_READ, MAP_SHARED, env.object, 0);

	if (p == MAP_FAILED)
		return "";
	policy_add(text, p);
	munmap(p, env.page);
	return text;
}

static const char *state_weight(void)
{
	static char text[TEXT_SIZE];

	return file_read(env.weight, text, sizeof(text)) ? "unreadable" : text;
}

static const char *state_auto(void)
{
	static char text[TEXT_SIZE];

	return file_read(WEIGHTS "auto", text, sizeof(text)) ? "unreadable" : text;
}

/* A call, and how to make the state that it finds. 0, or -1 with errno. */
struct op {
	int (*prepare)(void);
	int (*call)(void);
	const char *(*state)(void);
	int error;	/* that it may fail with besides ENOMEM */
	bool does_without;	/* success, and things are as before */
	bool partly;	/* failure, and things are as wanted already */
	int rounds;	/* to look for what is left behind; 0: as many as usual */
};

static int prepare_task(void)
{
	struct nodemask mask = both();

	return sys_set_mempolicy(MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, &mask);
}

static int call_set_mempolicy(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return sys_set_mempolicy(MPOL_BIND, &mask);
}

static int call_set_preferred(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return sys_set_mempolicy(MPOL_PREFERRED | MPOL_F_RELATIVE_NODES, &mask);
}

/* Filled pages on the first node */
static int prepare_area(bool shared)
{
	struct nodemask mask = NODEMASK(env.first);

	if (area_new(shared) || sys_set_mempolicy(MPOL_BIND, &mask))
		return -1;
	fill();
	return sys_set_mempolicy(MPOL_DEFAULT, NULL);
}

static int prepare_anon(void)
{
	return prepare_area(false);
}

static int prepare_shared(void)
{
	return prepare_area(true);
}

/* The same with a policy for all pages */
static int prepare_bound(void)
{
	struct nodemask mask = both();

	return prepare_area(false) || bind_pages(0, NR_PAGES, MPOL_INTERLEAVE, &mask, 0) ? -1 : 0;
}

static int prepare_shared_bound(void)
{
	struct nodemask mask = both();

	return prepare_area(true) || bind_pages(0, NR_PAGES, MPOL_INTERLEAVE, &mask, 0) ? -1 : 0;
}

static int call_mbind(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return bind_pages(0, NR_PAGES, MPOL_BIND, &mask, 0);
}

/* In the middle of a VMA or of what an object has one policy for */
static int call_mbind_middle(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return bind_pages(3, 2, MPOL_PREFERRED_MANY, &mask, 0);
}

static int call_mbind_default(void)
{
	return bind_pages(3, 2, MPOL_DEFAULT, NULL, 0);
}

static int call_mbind_move(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return bind_pages(0, NR_PAGES, MPOL_BIND, &mask, MPOL_MF_MOVE);
}

static int call_mbind_strict(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return bind_pages(0, NR_PAGES, MPOL_BIND, &mask, MPOL_MF_MOVE | MPOL_MF_STRICT);
}

static int prepare_homes(bool shared)
{
	struct nodemask mask = both();

	return area_new(shared) || bind_pages(0, NR_PAGES, MPOL_BIND, &mask, 0) ? -1 : 0;
}

static int prepare_homes_anon(void)
{
	return prepare_homes(false);
}

static int prepare_homes_shared(void)
{
	return prepare_homes(true);
}

static int call_home(void)
{
	return syscall(SYS_set_mempolicy_home_node, env.area, NR_PAGES * env.page,
		       (long)env.last, 0L);
}

static int call_home_middle(void)
{
	return syscall(SYS_set_mempolicy_home_node, env.area + 3 * env.page, 2 * env.page,
		       (long)env.last, 0L);
}

/* The page is allocated by the call */
static int prepare_absent(void)
{
	return prepare_shared_bound() || madvise(env.area, env.page, MADV_REMOVE) ? -1 : 0;
}

static const char *state_absent(void)
{
	static char text[TEXT_SIZE];

	policy_add(text, env.area);
	return text;
}

static int call_get_mempolicy(void)
{
	struct nodemask mask;
	int mode;

	if (sys_get_mempolicy(&mode, &mask, NULL, MPOL_F_MEMS_ALLOWED) ||
	    sys_get_mempolicy(&mode, &mask, env.area, MPOL_F_ADDR))
		return -1;
	return sys_get_mempolicy(&mode, NULL, env.area, MPOL_F_NODE | MPOL_F_ADDR);
}

static int call_migrate(void)
{
	struct nodemask from = NODEMASK(env.first), to = NODEMASK(env.last);

	return syscall(SYS_migrate_pages, 0, NUMA_MAX_NODES + 1, from.bits, to.bits) < 0 ? -1 : 0;
}

/* A filesystem without and one with a policy, and an object in each */
static int prepare_mount(void)
{
	if (env.object >= 0)
		close(env.object);
	env.object = file_in_new_fs("tmpfs", NULL, NULL);
	return env.object < 0 ? -1 : 0;
}

static int call_mount(void)
{
	char policy[32];
	int fd;

	snprintf(policy, sizeof(policy), "bind=static:%d", env.last);
	fd = file_in_new_fs("tmpfs", "mpol", policy);
	if (fd < 0)
		return -1;
	close(env.object);
	env.object = fd;
	return 0;
}

static int prepare_weight(void)
{
	return file_write(env.weight, "3");
}

static int call_weight(void)
{
	return file_write(env.weight, "5");
}

static int call_auto(void)
{
	return file_write(WEIGHTS "auto", "true");
}

/* The child has what the parent has, or there is none */
static int prepare_fork(void)
{
	struct nodemask mask = NODEMASK(env.last);

	return prepare_bound() || bind_pages(3, 2, MPOL_BIND, &mask, 0) || prepare_task() ? -1 : 0;
}

static const char *state_fork(void)
{
	static char text[2 * TEXT_SIZE];

	snprintf(text, sizeof(text), "%s%s", state_task(), state_area());
	return text;
}

static int call_fork(void)
{
	static char before[2 * TEXT_SIZE];
	pid_t pid;
	int status;

	strcpy(before, state_fork());
	pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		_exit(strcmp(before, state_fork()) != 0);
	if (pid < 0)
		return -1;
	if (waitpid(pid, &status, 0) == pid && !status)
		return 0;
	errno = EPROTO;
	return -1;
}

/* A part goes: what is left is split, and has the policy as before */
static int call_unmap(void)
{
	return munmap(env.area + 3 * env.page, 2 * env.page);
}

static const char *state_unmap(void)
{
	static char text[TEXT_SIZE];
	int n = 0;

	for (int i = 0; i < NR_PAGES; i++)
		n += policy_add(text + n, env.area + i * env.page);
	return text;
}

static int call_numa_maps(void)
{
	static char maps[1 << 16];
	char want[32];

	if (file_read("/proc/self/numa_maps", maps, sizeof(maps)))
		return -1;
	snprintf(want, sizeof(want), "%lx interleave:", (unsigned long)env.area);
	if (strstr(maps, want))
		return 0;
	errno = EPROTO;
	return -1;
}

FIXTURE(failures)
{
};

FIXTURE_VARIANT(failures)
{
	struct op op;
};

FIXTURE_VARIANT_ADD(failures, set_mempolicy)
{ { .prepare = prepare_task, .call = call_set_mempolicy, .state = state_task } };
FIXTURE_VARIANT_ADD(failures, set_mempolicy_relative)
{ { .prepare = prepare_task, .call = call_set_preferred, .state = state_task } };
FIXTURE_VARIANT_ADD(failures, mbind)
{ { .prepare = prepare_anon, .call = call_mbind, .state = state_area } };
FIXTURE_VARIANT_ADD(failures, mbind_replace)
{ { .prepare = prepare_bound, .call = call_mbind, .state = state_area } };
FIXTURE_VARIANT_ADD(failures, mbind_split)
{ { .prepare = prepare_bound, .call = call_mbind_middle, .state = state_area } };
FIXTURE_VARIANT_ADD(failures, mbind_default)
{ { .prepare = prepare_bound, .call = call_mbind_default, .state = state_area } };
/* pages that could not be moved are no failure ... */
FIXTURE_VARIANT_ADD(failures, mbind_move)
{ { .prepare = prepare_anon, .call = call_mbind_move, .state = state_area } };
/* ... without this flag: "EIO: MPOL_MF_MOVE or [...] MPOL_MF_STRICT" */
FIXTURE_VARIANT_ADD(failures, mbind_strict)
{ { .prepare = prepare_anon, .call = call_mbind_strict, .state = state_area, .error = EIO,
    .partly = true } };
FIXTURE_VARIANT_ADD(failures, mbind_object)
{ { .prepare = prepare_shared, .call = call_mbind, .state = state_area } };
FIXTURE_VARIANT_ADD(failures, mbind_object_split)
{ { .prepare = prepare_shared_bound, .call = call_mbind_middle, .state = state_area } };
FIXTURE_VARIANT_ADD(failures, mbind_object_default)
{ { .prepare = prepare_shared_bound, .call = call_mbind_default, .state = state_area } };
FIXTURE_VARIANT_ADD(failures, mbind_object_move)
{ { .prepare = prepare_shared, .call = call_mbind_strict, .state = state_area, .error = EIO,
    .partly = true } };
FIXTURE_VARIANT_ADD(failures, home_node)
{ { .prepare = prepare_homes_anon, .call = call_home, .state = state_homes } };
FIXTURE_VARIANT_ADD(failures, home_node_split)
{ { .prepare = prepare_homes_anon, .call = call_home_middle, .state = state_homes } };
FIXTURE_VARIANT_ADD(failures, home_node_object)
{ { .prepare = prepare_homes_shared, .call = call_home, .state = state_homes } };
FIXTURE_VARIANT_ADD(failures, home_node_object_split)
{ { .prepare = prepare_homes_shared, .call = call_home_middle, .state = state_homes } };
FIXTURE_VARIANT_ADD(failures, get_mempolicy)
{ { .prepare = prepare_absent, .call = call_get_mempolicy, .state = state_absent,
    .error = EFAULT } };
/* what could not be moved is counted, or ENOMEM; policies are no part of it */
FIXTURE_VARIANT_ADD(failures, migrate_pages)
{ { .prepare = prepare_bound, .call = call_migrate, .state = state_area } };
/* an object whose policy could not be made has none */
FIXTURE_VARIANT_ADD(failures, tmpfs)
{ { .prepare = prepare_mount, .call = call_mount, .state = state_object, .error = EINVAL,
    .does_without = true } };
FIXTURE_VARIANT_ADD(failures, weight)
{ { .prepare = prepare_weight, .call = call_weight, .state = state_weight, .rounds = 4 } };
FIXTURE_VARIANT_ADD(failures, weight_auto)
{ { .prepare = prepare_weight, .call = call_auto, .state = state_auto, .rounds = 4 } };
FIXTURE_VARIANT_ADD(failures, fork)
{ { .prepare = prepare_fork, .call = call_fork, .state = state_fork, .error = EAGAIN,
    .rounds = 2 } };
FIXTURE_VARIANT_ADD(failures, munmap)
{ { .prepare = prepare_bound, .call = call_unmap, .state = state_unmap } };
FIXTURE_VARIANT_ADD(failures, numa_maps)
{ { .prepare = prepare_bound, .call = call_numa_maps, .state = state_area } };

/* Room for the area; fail-nth is the thread's own, so each test opens its own */
static void setup(struct __test_metadata *_metadata)
{
	char *p;

	env.page = page_size();
	p = mmap(NULL, (NR_PAGES + 2) * env.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	env.area = p + env.page;
	env.object = -1;
	env.nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, env.nth);
	ASSERT_EQ(0, numa_run_on(&env.nodes, env.first));
}

#define NEED_INJECTION() do {						\
	NEED_ROOT();							\
	NEED_MEMORY_NODES(&env.nodes, 2);				\
	NEED_BOTH_NODES(&env.nodes, 1);					\
	if (!env.injects)						\
		SKIP(return, "needs faultinjection");			\
} while (0)

FIXTURE_SETUP(failures)
{
	NEED_INJECTION();
	setup(_metadata);
}

FIXTURE_TEARDOWN(failures)
{
}

/* Is it one that the call may fail with? */
static bool expected_error(const struct op *op, int error)
{
	return error == ENOMEM || (op->error && error == op->error) ||
	       (op->call == call_mount && (error == ENOSPC || error == ENFILE));
}

/* The old state or the new one, whichever allocation fails, and which is said */
TEST_F_TIMEOUT(failures, all_or_nothing, 120)
{
	static char before[2 * TEXT_SIZE], after[2 * TEXT_SIZE];
	const struct op *op = &variant->op;
	int failed = 0, n;

	/* all that has to be there but once comes with the first time */
	ASSERT_EQ(0, op->prepare());
	strcpy(before, op->state());
	ASSERT_EQ(0, op->call());
	strcpy(after, op->state());

	for (n = 1; n < MAX_FAILURES; n++) {
		int error, ret;
		bool hit;

		ASSERT_EQ(0, op->prepare());
		ASSERT_STREQ(before, op->state());
		ASSERT_TRUE(fail_arm(n));
		ret = op->call();
		error = errno;
		hit = fail_disarm();
		if (ret) {
			failed++;
			EXPECT_TRUE(hit && expected_error(op, error)) {
				TH_LOG("allocation %d: %s", n, strerror(error));
			}
		}
		if (ret ? !op->partly : op->does_without && hit) {
			const char *now = op->state();

			EXPECT_TRUE(!strcmp(before, now) ||
				    (!ret && !strcmp(after, now))) {
				TH_LOG("allocation %d: %s, was %s", n, now, before);
			}
		} else {
			const char *now = op->state();

			EXPECT_TRUE(!strcmp(after, now) || (ret && !strcmp(before, now))) {
				TH_LOG("allocation %d: %s, not %s", n, now, after);
			}
		}
		if (!hit)
			break;
	}
	EXPECT_LT(1, n);
	EXPECT_GT(MAX_FAILURES, n);
	/* and it is no test without a failure; one alone may do without */
	EXPECT_LT(0, failed);
}

/*
 * Objects of the policies' own slab caches in use, as SLUB counts them slab by slab;
 * what waits in a CPU's caches is flushed first. A few more are other processes'.
 */
#define LEAK_BOUND	40
#define LEAK_ROUNDS	60	/* one object each would not go unnoticed */

static const char * const caches[] = { "numa_policy", "shared_policy_node" };

static long slab_objects(const char *cache)
{
	char path[128], buf[4096];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	if (file_write(path, "1"))
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return file_read(path, buf, sizeof(buf)) ? -1 : atol(buf);
}

/* ... after what kfree_rcu() has collected has gone, which may take 5 s, or is few enough */
static long slab_settled(const char *cache, long enough)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	long end = now_ms() + 6000, least = LONG_MAX;

	while (now_ms() < end && least > enough) {
		long now = slab_objects(cache);

		if (now < least) {
			least = now;
			end = now_ms() + 6000;
		}
		nanosleep(&pause, NULL);
	}
	return least;
}

/* Nothing is left behind by all these failures */
TEST_F_TIMEOUT(failures, nothing_left, 240)
{
	const struct op *op = &variant->op;
	int rounds = op->rounds ? op->rounds : LEAK_ROUNDS;

	for (int i = 0; i < ARRAY_SIZE(caches); i++)
		if (slab_objects(caches[i]) < 0)
			SKIP(return, "needs slub_debug");
	for (int i = 0; i < ARRAY_SIZE(caches); i++)
		if (!shared->objects[i])
			shared->objects[i] = slab_settled(caches[i], 0);
	for (int round = 0; round < rounds; round++) {
		pid_t pid = fork();
		int status;

		ASSERT_LE(0, pid);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			env.nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
			ASSERT_LE(0, env.nth);
			for (int n = 1; n < MAX_FAILURES; n++) {
				ASSERT_EQ(0, op->prepare());
				ASSERT_TRUE(fail_arm(n));
				op->call();
				if (!fail_disarm())
					break;
			}
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		/* after fork() it may be the copy of its own stack that fails */
		if (op->call != call_fork || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
			ASSERT_EQ(0, status);
	}
	for (int i = 0; i < ARRAY_SIZE(caches); i++) {
		long most = shared->objects[i] + LEAK_BOUND;

		EXPECT_GE(most, slab_settled(caches[i], most)) {
			TH_LOG("%s", caches[i]);
		}
	}
}

/*
 * Descriptor tables of 16 pages, which are single pages here: all greater pieces fail.
 * /proc/vmallocinfo has a line for each table with the pages by node.
 */
#define TABLE_PAGES	16

/* A table of @nr pages in place of the one before, which may not be longer */
static bool local_table(int nr)
{
#ifdef SYS_modify_ldt
	struct {
		unsigned int entry, base, limit, flags;
	} empty = { .entry = nr * 4096 / 8 - 1, .flags = 0x28 };
	int ret = syscall(SYS_modify_ldt, 0x11, &empty, sizeof(empty));

	/* a return value of 32 bits: no error to the C library */
	if (ret < 0 && ret != -1)
		errno = -ret;
	return !ret;
#else
	errno = ENOSYS;
	return false;
#endif
}

/* Pages by node of all tables of @nr pages; their number */
static long table_pages(int nr, long *count)
{
	char line[1024], want[32], *p, *save;
	FILE *f = fopen("/proc/vmallocinfo", "re");
	long sum = 0;
	int node, pages;

	memset(count, 0, NUMA_MAX_NODES * sizeof(*count));
	if (!f)
		return -1;
	snprintf(want, sizeof(want), " pages=%d ", nr);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "alloc_ldt_struct") || !strstr(line, want))
			continue;
		for (p = strtok_r(line, " \n", &save); p; p = strtok_r(NULL, " \n", &save))
			if (sscanf(p, "N%d=%d", &node, &pages) == 2 && node < NUMA_MAX_NODES) {
				count[node] += pages;
				sum += pages;
			}
	}
	fclose(f);
	return sum;
}

FIXTURE(bulk)
{
	long weight[NUMA_MAX_NODES], old_weight[NUMA_MAX_NODES];
	char old_auto[16];
	bool weighted;		/* the weights can be set */
};

FIXTURE_VARIANT(bulk)
{
	int mode;
	enum { FIRST, LAST, BOTH, ALL, NONE } nodes;
	enum { FROM_POLICY, FROM_LOCAL } from;
	bool wait;		/* only what waits for memory gets any */
	bool weights;		/* 1, 2, 3, 1, 2, 3, ... instead of all 1 */
};

FIXTURE_VARIANT_ADD(bulk, default)
{ .mode = MPOL_DEFAULT, .nodes = NONE, .from = FROM_LOCAL };
FIXTURE_VARIANT_ADD(bulk, local)
{ .mode = MPOL_LOCAL, .nodes = NONE, .from = FROM_LOCAL };
FIXTURE_VARIANT_ADD(bulk, preferred)
{ .mode = MPOL_PREFERRED, .nodes = LAST };
FIXTURE_VARIANT_ADD(bulk, bind)
{ .mode = MPOL_BIND, .nodes = LAST };
FIXTURE_VARIANT_ADD(bulk, bind_nearest)
{ .mode = MPOL_BIND, .nodes = BOTH, .from = FROM_LOCAL };
FIXTURE_VARIANT_ADD(bulk, preferred_many)
{ .mode = MPOL_PREFERRED_MANY, .nodes = LAST };
FIXTURE_VARIANT_ADD(bulk, preferred_many_nearest)
{ .mode = MPOL_PREFERRED_MANY, .nodes = BOTH, .from = FROM_LOCAL };
FIXTURE_VARIANT_ADD(bulk, preferred_many_empty)
{ .mode = MPOL_PREFERRED_MANY, .nodes = LAST, .from = FROM_LOCAL, .wait = true };
FIXTURE_VARIANT_ADD(bulk, interleave)
{ .mode = MPOL_INTERLEAVE, .nodes = ALL };
FIXTURE_VARIANT_ADD(bulk, interleave_one)
{ .mode = MPOL_INTERLEAVE, .nodes = LAST };
FIXTURE_VARIANT_ADD(bulk, weighted_no_table)
{ .mode = MPOL_WEIGHTED_INTERLEAVE, .nodes = ALL };
FIXTURE_VARIANT_ADD(bulk, weighted)
{ .mode = MPOL_WEIGHTED_INTERLEAVE, .nodes = ALL, .weights = true };
FIXTURE_VARIANT_ADD(bulk, weighted_one)
{ .mode = MPOL_WEIGHTED_INTERLEAVE, .nodes = LAST, .weights = true };

static const char *weight_file(int node)
{
	static char path[96];

	snprintf(path, sizeof(path), WEIGHTS "node%d", node);
	return path;
}

FIXTURE_SETUP(bulk)
{
	NEED_INJECTION();
	setup(_metadata);
	if (!local_table(1))
		SKIP(return, "needs ldt");
	for (int i = 0; i < env.nodes.nr_mem; i++) {
		int node = env.nodes.mem[i];

		ASSERT_EQ(0, file_read_long(weight_file(node), &self->old_weight[node]));
		self->weight[node] = variant->weights ? 1 + i % 3 : 1;
	}
	ASSERT_EQ(0, file_read(WEIGHTS "auto", self->old_auto, sizeof(self->old_auto)));
	self->weighted = true;
	/* weights of 1 without a table of them, unless firmware tells bandwidths */
	if (!variant->weights)
		ASSERT_EQ(0, file_write(WEIGHTS "auto", "true"));
	for (int i = 0; i < env.nodes.nr_mem; i++) {
		int node = env.nodes.mem[i];
		long now;

		ASSERT_EQ(0, file_read_long(weight_file(node), &now));
		if (now != self->weight[node])
			ASSERT_EQ(0, file_write_long(weight_file(node), self->weight[node]));
	}
}

FIXTURE_TEARDOWN_PARENT(bulk)
{
	file_write(DEBUGFS "fail_page_alloc/probability", "0");
	file_write(DEBUGFS "fail_page_alloc/min-order", "0");
	file_write(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N");
	if (!self->weighted)
		return;
	for (int i = 0; i < env.nodes.nr_mem; i++)
		file_write_long(weight_file(env.nodes.mem[i]),
				self->old_weight[env.nodes.mem[i]]);
	file_write(WEIGHTS "auto", self->old_auto);
}

/*
 * Where a table of @nr pages has to be. With a mode that goes round this is known but
 * for where it begins, as the kernel has allocated for itself meanwhile: any @nr pages
 * in a row have whole rounds of a node's weight, and at most once more.
 */
static void expect_table(struct __test_metadata *_metadata, const FIXTURE_VARIANT(bulk) *variant,
			 const FIXTURE_DATA(bulk) *self, const struct nodemask *mask, int nr,
			 const long *count)
{
	bool round = variant->mode == MPOL_INTERLEAVE || variant->mode == MPOL_WEIGHTED_INTERLEAVE;
	bool weighted = variant->mode == MPOL_WEIGHTED_INTERLEAVE;
	int only = variant->from == FROM_LOCAL ? env.first : env.last;
	long total = 0;

	for (int i = 0; i < env.nodes.nr_mem; i++)
		if (nodemask_isset(mask, env.nodes.mem[i]))
			total += weighted ? self->weight[env.nodes.mem[i]] : 1;
	for (int i = 0; i < env.nodes.nr_mem; i++) {
		int node = env.nodes.mem[i];
		long weight = weighted ? self->weight[node] : 1;
		long least = round ? nr / total * weight : nr, most = least + weight;

		if (!round)
			most = least = node == only ? nr : 0;
		else if (!nodemask_isset(mask, node))
			most = least = 0;
		else if (!(nr % total))
			most = least;
		EXPECT_LE(least, count[node]) {
			TH_LOG("%d pages, node %d", nr, node);
		}
		EXPECT_GE(most, count[node]) {
			TH_LOG("%d pages, node %d", nr, node);
		}
	}
}

/* Pages that vmalloc() asks for together go where each alone would: by the policy */
TEST_F(bulk, placement)
{
	struct nodemask mask = variant->nodes == BOTH ? both() :
			       NODEMASK(variant->nodes == FIRST ? env.first : env.last);

	for (int i = 0; variant->nodes == ALL && i < env.nodes.nr_mem; i++)
		nodemask_set(&mask, env.nodes.mem[i]);
	ASSERT_EQ(0, file_write(DEBUGFS "fail_page_alloc/min-order", variant->wait ? "0" : "1"));
	ASSERT_EQ(0, file_write(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "Y"));
	for (int nr = 2; nr <= TABLE_PAGES; nr++) {
		static long before[NUMA_MAX_NODES], after[NUMA_MAX_NODES];
		long pages = table_pages(nr, before);
		bool done;

		/* a table is never smaller than the one before */
		IN_CHILD({
			ASSERT_LE(0, pages);
			ASSERT_EQ(0, file_write("/proc/self/make-it-fail", "1"));
			ASSERT_EQ(0, sys_set_mempolicy(variant->mode,
						       variant->nodes == NONE ? NULL : &mask));
			ASSERT_EQ(0, file_write(DEBUGFS "fail_page_alloc/probability", "100"));
			done = local_table(nr);
			ASSERT_EQ(0, file_write(DEBUGFS "fail_page_alloc/probability", "0"));
			ASSERT_TRUE(done);
			ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
			ASSERT_EQ(pages + nr, table_pages(nr, after));
			for (int i = 0; i < NUMA_MAX_NODES; i++)
				after[i] -= before[i];
			expect_table(_metadata, variant, self, &mask, nr, after);
		});
	}
}

/*
 * vmalloc() without memory, by a policy that needs some for itself to distribute its
 * pages: there is a whole table or ENOMEM. The kernel tells of it on the console.
 */
FIXTURE(bulk_failures)
{
};

FIXTURE_SETUP(bulk_failures)
{
	NEED_INJECTION();
	setup(_metadata);
	if (!local_table(1))
		SKIP(return, "needs ldt");
}

FIXTURE_TEARDOWN_PARENT(bulk_failures)
{
	console_restore(&shared->console);
}

TEST_F(bulk_failures, whole_or_none)
{
	static const int modes[] = {
		MPOL_DEFAULT, MPOL_BIND, MPOL_PREFERRED_MANY, MPOL_INTERLEAVE,
		MPOL_WEIGHTED_INTERLEAVE,
	};
	struct nodemask mask = both();
	char bug[256];

	ASSERT_EQ(0, console_mute(&shared->console));
	for (int i = 0; i < ARRAY_SIZE(modes); i++) {
		bool more = true;

		for (int n = 1; more && n < MAX_FAILURES; n++) {
			static long count[NUMA_MAX_NODES];
			pid_t pid = fork();
			int status;

			ASSERT_LE(0, pid);
			if (!pid) {
				bool done, hit;
				int error;

				prctl(PR_SET_PDEATHSIG, SIGKILL);
				env.nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
				sys_set_mempolicy(modes[i], modes[i] ? &mask : NULL);
				fail_arm(n);
				done = local_table(3);
				error = errno;
				hit = fail_disarm();
				sys_set_mempolicy(MPOL_DEFAULT, NULL);
				if (done != (table_pages(3, count) == 3) ||
				    (!done && (error != ENOMEM || !hit)))
					_exit(2);
				_exit(hit);
			}
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			ASSERT_TRUE(WIFEXITED(status));
			EXPECT_GE(1, WEXITSTATUS(status)) {
				TH_LOG("mode %d, allocation %d", modes[i], n);
			}
			more = WEXITSTATUS(status);
		}
		EXPECT_FALSE(more);
	}
	ASSERT_EQ(0, console_unmute(&shared->console, bug, sizeof(bug)));
	EXPECT_STREQ("", bug);
}

/*
 * Memory of a node comes while there is none for what the kernel keeps about the node: it
 * comes nevertheless, or it does not. Whatever is missing then, it is complete the next time.
 */
FIXTURE(node_failures)
{
	struct hotplug h;
};

FIXTURE_SETUP(node_failures)
{
	NEED_INJECTION();
	NEED_HOTPLUG(&self->h);
	setup(_metadata);
}

FIXTURE_TEARDOWN_PARENT(node_failures)
{
	console_restore(&shared->console);
	EXPECT_EQ(0, hotplug_offline(&self->h));
}

TEST_F_TIMEOUT(node_failures, comes_or_not, 240)
{
	char path[128], bug[256];
	int n, without = 0;

	snprintf(path, sizeof(path), WEIGHTS "node%d", self->h.node);
	ASSERT_EQ(0, console_mute(&shared->console));
	/* what a node gets the first time that it has memory, and keeps */
	ASSERT_EQ(0, hotplug_online(&self->h));
	ASSERT_EQ(0, hotplug_offline(&self->h));
	for (n = 1; n < MAX_FAILURES; n++) {
		int ret, error;
		bool hit;

		ASSERT_TRUE(fail_arm(n));
		ret = hotplug_write(self->h.block[0], "online_movable");
		error = errno;
		hit = fail_disarm();
		/* some notifiers say no more than NOTIFY_BAD, which is EPERM */
		EXPECT_TRUE(!ret || (hit && (error == ENOMEM || error == EPERM))) {
			TH_LOG("allocation %d: %s", n, strerror(error));
		}
		EXPECT_EQ(!ret, hotplug_is_online(self->h.block[0]));
		without += !ret && access(path, F_OK);
		ASSERT_EQ(0, hotplug_offline(&self->h));
		EXPECT_NE(0, access(path, F_OK));
		if (!hit)
			break;
	}
	EXPECT_GT(MAX_FAILURES, n);
	ASSERT_EQ(0, hotplug_write(self->h.block[0], "online_movable"));
	EXPECT_EQ(0, access(path, F_OK));
	ASSERT_EQ(0, console_unmute(&shared->console, bug, sizeof(bug)));
	EXPECT_STREQ("", bug);
	/* the file, its name and its entry can each be what there is no memory for */
	EXPECT_LT(0, without);
}

static bool knobs_set(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		if (file_read(knobs[i].path, knobs[i].old, sizeof(knobs[i].old)))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		if (file_write(knobs[i].path, knobs[i].wanted))
			return false;
	return true;
}

/*
 * The knobs, balancing and the weight are set and restored here: the harness has a
 * process of its own, whatever becomes of it.
 */
int main(int argc, char **argv)
{
	char old_auto[16] = "";
	bool mounted = false;
	long balancing, weight = -1;
	int status;
	pid_t pid;

	if (numa_nodes_get(&env.nodes))
		return KSFT_FAIL;
	env.first = numa_node_with_both(&env.nodes, -1);
	for (int i = 0; i < env.nodes.nr_mem; i++)
		if (env.nodes.mem[i] != env.first)
			env.last = env.nodes.mem[i];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return KSFT_FAIL;
	if (geteuid() || access("/proc/thread-self/fail-nth", W_OK))
		return test_harness_run(argc, argv);	/* tests say why not */

	if (access(DEBUGFS "failslab", F_OK))
		mounted = !mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	env.injects = knobs_set();
	snprintf(env.weight, sizeof(env.weight), WEIGHTS "node%d", env.first);
	if (file_read(WEIGHTS "auto", old_auto, sizeof(old_auto)) ||
	    file_read_long(env.weight, &weight))
		weight = -1;
	balancing = numa_balancing_off();
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	numa_balancing_restore(balancing);
	if (weight >= 0) {
		file_write_long(env.weight, weight);
		file_write(WEIGHTS "auto", old_auto);
	}
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		if (*knobs[i].old)
			file_write(knobs[i].path, knobs[i].old);
	if (mounted)
		umount(DEBUGFS);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
