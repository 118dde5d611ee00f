// SPDX-License-Identifier: GPL-2.0
/*
 * How long a policy lives, and who has it.
 *
 * A policy belongs to a task, to a VMA or to a part of a shared object ("Scope of
 * Memory Policies" in admin-guide/mm/numa_memory_policy.rst). It is copied when
 * its owner is copied, goes when its owner goes, and its memory is given back.
 * Each is proven here for all that can happen to an owner: fork, exec, threads and
 * exit; split, merge, mremap and munmap; truncation and the end of an object.
 *
 * Policies are written with one letter, see policies[], and those of pages with one
 * letter a page: "BB..", "!" stands for a page that is not mapped. The task policy
 * is 'A' in all tests unless they set another, so a page with '.' is on node A.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <linux/membarrier.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define NR	8		/* pages of an area */
#define MAX_PAGES	64	/* of what policies_of() and placement() look at */

enum { A = 1, B = 2 };		/* bits for the first and the second memory node */

static const struct policy {
	char letter;
	int mode;
	unsigned int nodes;
} policies[] = {
	{ '.', MPOL_DEFAULT },
	{ 'L', MPOL_LOCAL },
	{ 'A', MPOL_BIND, A },
	{ 'B', MPOL_BIND, B },
	{ 'C', MPOL_BIND, A | B },
	{ 'P', MPOL_PREFERRED, B },
	{ 'Q', MPOL_PREFERRED, A },
	{ 'M', MPOL_PREFERRED_MANY, A | B },
	{ 'I', MPOL_INTERLEAVE, A | B },
	{ 'W', MPOL_WEIGHTED_INTERLEAVE, A | B },
	{ 's', MPOL_BIND | MPOL_F_STATIC_NODES, B },
	{ 'r', MPOL_BIND | MPOL_F_RELATIVE_NODES, B },
	{ 'i', MPOL_INTERLEAVE | MPOL_F_RELATIVE_NODES, A | B },
	{ 'n', MPOL_BIND | MPOL_F_NUMA_BALANCING, B },
};

static struct numa_nodes nodes;
static int node_a, node_b;
static size_t page;

static int nodes_init(void)
{
	page = page_size();
	if (numa_nodes_get(&nodes))
		return -1;
	node_a = nodes.mem[0];
	node_b = nodes.mem[1];
	return 0;
}

static struct nodemask policy_mask(const struct policy *p)
{
	bool relative = p->mode & MPOL_F_RELATIVE_NODES;
	struct nodemask m = { };

	if (p->nodes & A)
		nodemask_set(&m, relative ? 0 : node_a);
	if (p->nodes & B)
		nodemask_set(&m, relative ? 1 : node_b);
	return m;
}

/* The policy of the task, or of the page at @addr */
static char policy_of(void *addr)
{
	struct nodemask mask, want;
	int mode;

	if (sys_get_mempolicy(&mode, &mask, addr, addr ? MPOL_F_ADDR : 0))
		return '!';
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		want = policy_mask(&policies[i]);
		if (mode == policies[i].mode && nodemask_equal(&mask, &want))
			return policies[i].letter;
	}
	return '?';
}

/* Set the policy of the task, or of [addr, addr + len) */
static long set_policy(void *addr, size_t len, char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct nodemask mask = policy_mask(&policies[i]);

		if (policies[i].letter != letter)
			continue;
		return addr ? sys_mbind(addr, len, policies[i].mode, &mask, 0) :
			      sys_set_mempolicy(policies[i].mode, &mask);
	}
	errno = ENOENT;
	return -1;
}

/* The policies of the pages from @p on as in @letters */
static long set_policies(char *p, const char *letters)
{
	long err = 0;

	for (; *letters && !err; letters++, p += page)
		err = set_policy(p, page, *letters);
	return err;
}

static const char *policies_of(char *p, int nr)
{
	static char text[MAX_PAGES + 1];

	for (int i = 0; i < nr; i++)
		text[i] = policy_of(p + i * page);
	text[nr] = '\0';
	return text;
}

/*
 * Touch @nr pages from @p on and say on which node each is: 'A', 'B' or '?'. That
 * is what move_pages() says; "disagree" unless numa_maps counts the same.
 */
static const char *placement(char *p, int nr)
{
	static unsigned long moved[NUMA_MAX_NODES], maps[NUMA_MAX_NODES];
	static char text[MAX_PAGES + 1];

	for (int i = 0; i < nr; i++) {
		int node;

		(*(volatile char *)(p + i * page))++;
		node = page_node(p + i * page);
		text[i] = node == node_a ? 'A' : node == node_b ? 'B' : '?';
	}
	text[nr] = '\0';
	if (page_nodes(p, nr * page, page, moved) != nr ||
	    numa_maps_nodes(p, nr * page, maps) != nr || memcmp(moved, maps, sizeof(maps)))
		return "disagree";
	return text;
}

/* The same numbers every time */
static unsigned int rnd(unsigned int n)
{
	static unsigned int x = 1;

	x = x * 1103515245 + 12345;
	return (x >> 16) % n;
}

/*
 * @nr pages of small pages without a mapping next to them that they could be merged
 * with: private memory, or pages @first and following of the object @fd.
 */
static char *map_pages(int nr, int fd, int first)
{
	char *p = mmap(NULL, (nr + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return p;
	p = mmap(p + page, nr * page, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), fd,
		 first * page);
	if (p != MAP_FAILED)
		madvise(p, nr * page, MADV_NOHUGEPAGE);
	return p;
}

/* With the page before and the page after */
static int unmap_pages(char *p, int nr)
{
	return munmap(p - page, (nr + 2) * page);
}

/* Two memory nodes, and the task policy that the tests start with */
static void setup(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, nodes_init());
	NEED_MEMORY_NODES(&nodes, 2);
	ASSERT_EQ(0, set_policy(NULL, 0, 'A'));
}

/*
 * Task policies.
 *
 * "Task policy is inherited by tasks that fork(), and remains across exec*()"; a
 * change concerns only the thread that makes it, and threads that it creates later.
 */
enum kind { FORK, VFORK, THREAD, EXEC };

FIXTURE(task)
{
};

FIXTURE_VARIANT(task)
{
	enum kind kind;
};

FIXTURE_VARIANT_ADD(task, fork) { .kind = FORK };
FIXTURE_VARIANT_ADD(task, vfork) { .kind = VFORK };
FIXTURE_VARIANT_ADD(task, thread) { .kind = THREAD };
FIXTURE_VARIANT_ADD(task, exec) { .kind = EXEC };

FIXTURE_SETUP(task)
{
	setup(_metadata);
}

FIXTURE_TEARDOWN(task)
{
}

/*
 * What a new task has: the letter, '!' if its pages are elsewhere or if it cannot
 * change the policy to @change, which it does before it ends.
 */
static int inherited(char change)
{
	char policy = policy_of(NULL), *p = map_pages(1, -1, 0);
	int node;

	if (p == MAP_FAILED)
		return '!';
	*p = 1;
	node = page_node(p);
	if ((strchr("AQ", policy) && node != node_a) || (strchr("BPsrn", policy) && node != node_b))
		return '!';
	if (unmap_pages(p, 1) || set_policy(NULL, 0, change) || policy_of(NULL) != change)
		return '!';
	return policy;
}

static void *inherited_thread(void *arg)
{
	return (void *)(long)inherited(*(char *)arg);
}

static int inherited_vfork(void *arg)
{
	return inherited(*(char *)arg);
}

/* This program again, for inherited() or foreign_policies(): see main() */
static void reexec(const char *what, char change)
{
	char arg[] = { change, '\0' };

	execl("/proc/self/exe", "mempolicy_lifetime", what, arg, NULL);
	_exit('!');
}

static int exit_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return '!';
	return WEXITSTATUS(status);
}

/* @fn in a process that shares the memory, while this one waits */
static int run_vfork(int (*fn)(void *arg), void *arg)
{
	static char stack[65536] __attribute__((aligned(16)));

	return exit_status(clone(fn, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, arg));
}

/* inherited() in a new task */
static int inherits(enum kind kind, char change)
{
	pthread_t thread;
	void *ret;
	pid_t pid;

	switch (kind) {
	case VFORK:
		return run_vfork(inherited_vfork, &change);
	case THREAD:
		if (pthread_create(&thread, NULL, inherited_thread, &change) ||
		    pthread_join(thread, &ret))
			return '!';
		return (long)ret;
	default:
		pid = fork();
		if (!pid && kind == EXEC)
			reexec("--inherited", change);
		if (!pid)
			_exit(inherited(change));
		return exit_status(pid);
	}
}

/* Every policy is handed down, and what the new task sets stays its own */
TEST_F(task, inherited)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		char letter = policies[i].letter;
		char change = policies[(i + 3) % ARRAY_SIZE(policies)].letter;

		ASSERT_EQ(0, set_policy(NULL, 0, letter));
		EXPECT_EQ(letter, inherits(variant->kind, change));
		EXPECT_EQ(letter, policy_of(NULL));
	}
}

/* What main() and a thread of it see, one after the other */
struct siblings {
	pthread_barrier_t barrier;
	char at_start, later, own, of_thread, of_child, of_exec;
};

static void *sibling(void *arg)
{
	struct siblings *s = arg;

	s->at_start = policy_of(NULL);
	pthread_barrier_wait(&s->barrier);
	/* the other one has 'B' now */
	pthread_barrier_wait(&s->barrier);
	s->later = policy_of(NULL);
	set_policy(NULL, 0, 'I');
	s->own = policy_of(NULL);
	s->of_thread = inherits(THREAD, 'L');
	s->of_child = inherits(FORK, 'L');
	s->of_exec = inherits(EXEC, 'L');
	pthread_barrier_wait(&s->barrier);
	/* the other one looks */
	pthread_barrier_wait(&s->barrier);
	return NULL;
}

/* Threads that exist keep theirs; new tasks have that of the thread that makes them */
TEST(threads_have_their_own)
{
	struct siblings s;
	pthread_t thread;

	setup(_metadata);
	if (_metadata->exit_code == KSFT_SKIP)
		return;
	ASSERT_EQ(0, pthread_barrier_init(&s.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, sibling, &s));
	pthread_barrier_wait(&s.barrier);
	ASSERT_EQ(0, set_policy(NULL, 0, 'B'));
	pthread_barrier_wait(&s.barrier);
	pthread_barrier_wait(&s.barrier);
	EXPECT_EQ('B', policy_of(NULL));
	pthread_barrier_wait(&s.barrier);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ('A', s.at_start);
	EXPECT_EQ('A', s.later);
	EXPECT_EQ('I', s.own);
	EXPECT_EQ('I', s.of_thread);
	EXPECT_EQ('I', s.of_child);
	EXPECT_EQ('I', s.of_exec);
	/* mpol_put_task_policy() of the threads took nothing that is in use here */
	EXPECT_EQ('B', policy_of(NULL));
}

/*
 * VMA policies.
 */
FIXTURE(vma)
{
	char *p;	/* NR pages */
};

FIXTURE_SETUP(vma)
{
	setup(_metadata);
	self->p = map_pages(NR, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(vma)
{
}

/*
 * "Linux splits the existing virtual memory area into 2 or 3 VMAs, each with its own
 * policy", and VMAs that come to have equal ones are merged again: any policies on
 * any parts give one VMA for each run of pages with the same one.
 */
TEST_F(vma, split_and_merge)
{
	static const char letters[] = "..AABI";
	char want[NR + 1] = "........";

	for (int i = 0; i < 200; i++) {
		int first = rnd(NR), nr = 1 + rnd(NR - first), runs = 1;
		char letter = letters[rnd(strlen(letters))];

		ASSERT_EQ(0, set_policy(self->p + first * page, nr * page, letter));
		memset(want + first, letter, nr);
		for (int n = 1; n < NR; n++)
			runs += want[n] != want[n - 1];
		ASSERT_STREQ(want, policies_of(self->p, NR));
		ASSERT_EQ(runs, vma_count(self->p, NR * page));
	}
	ASSERT_EQ(0, set_policies(self->p, "AABB.BA."));
	EXPECT_STREQ("AABBABAA", placement(self->p, NR));
}

/* Two neighbours are one VMA if and only if mode, flags and nodes are the same */
TEST_F(vma, merge_only_equal)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		for (size_t n = 0; n < ARRAY_SIZE(policies); n++) {
			char two[] = { policies[i].letter, policies[n].letter, '\0' };

			ASSERT_EQ(0, set_policy(self->p, 2 * page, '.'));
			ASSERT_EQ(0, set_policies(self->p, two));
			EXPECT_STREQ(two, policies_of(self->p, 2));
			EXPECT_EQ(i == n ? 1 : 2, vma_count(self->p, 2 * page)) {
				TH_LOG("policies %s", two);
			}
		}
	}
}

/* The user's nodemask tells policies apart that are in effect for the same nodes */
TEST_F(vma, merge_only_equal_user_nodemask)
{
	const struct nodemask folded = NODEMASK(nodes.nr_mem), first = NODEMASK(0);
	const int mode = MPOL_BIND | MPOL_F_RELATIVE_NODES;

	ASSERT_EQ(0, sys_mbind(self->p, page, mode, &first, 0));
	ASSERT_EQ(0, sys_mbind(self->p + page, page, mode, &folded, 0));
	EXPECT_EQ(2, vma_count(self->p, 2 * page));
	ASSERT_EQ(0, sys_mbind(self->p + page, page, mode, &first, 0));
	EXPECT_EQ(1, vma_count(self->p, 2 * page));
	ASSERT_EQ(0, sys_mbind(self->p + page, page, mode, &folded, 0));
	EXPECT_STREQ("AA", placement(self->p, 2));
}

/* So does the home node, which only set_mempolicy_home_node(2) can give */
TEST_F(vma, merge_only_equal_home_node)
{
	ASSERT_EQ(0, set_policies(self->p, "CCC"));
	ASSERT_EQ(1, vma_count(self->p, 3 * page));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, syscall(SYS_set_mempolicy_home_node, self->p + i * page, page,
				     node_b, 0));
		EXPECT_EQ(2, vma_count(self->p, 3 * page));
	}
	ASSERT_EQ(0, syscall(SYS_set_mempolicy_home_node, self->p, page, node_a, 0));
	EXPECT_EQ(3, vma_count(self->p, 3 * page));
	EXPECT_STREQ("CCC", policies_of(self->p, 3));
}

/* The policy goes with the mapping: what is mapped there later has none */
TEST_F(vma, gone_with_munmap)
{
	char *hole = self->p + 2 * page;

	for (int fixed = 0; fixed < 2; fixed++) {
		ASSERT_EQ(0, set_policy(self->p, NR * page, 'B'));
		ASSERT_EQ(0, madvise(self->p, NR * page, MADV_DONTNEED));
		EXPECT_STREQ("BBBBBBBB", placement(self->p, NR));
		if (!fixed) {
			ASSERT_EQ(0, munmap(hole, 3 * page));
			EXPECT_STREQ("BB!!!BBB", policies_of(self->p, NR));
		}
		/* the second time with the old mapping still there */
		ASSERT_EQ(hole, mmap(hole, 3 * page, PROT_READ | PROT_WRITE,
				     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		EXPECT_STREQ("BB...BBB", policies_of(self->p, NR));
		EXPECT_EQ(3, vma_count(self->p, NR * page));
		EXPECT_STREQ("BBAAABBB", placement(self->p, NR));
	}
}

/* mprotect() of a part splits the VMA, and all parts keep the policy */
TEST_F(vma, kept_by_mprotect)
{
	ASSERT_EQ(0, set_policies(self->p, "BBBBBBAA"));
	ASSERT_EQ(0, mprotect(self->p + 3 * page, 2 * page, PROT_READ));
	EXPECT_EQ(4, vma_count(self->p, NR * page));
	EXPECT_STREQ("BBBBBBAA", policies_of(self->p, NR));
	ASSERT_EQ(0, mprotect(self->p + 3 * page, 2 * page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(2, vma_count(self->p, NR * page));
	EXPECT_STREQ("BBBBBBAA", policies_of(self->p, NR));
	EXPECT_STREQ("BBBBBBAA", placement(self->p, NR));
}

/* Growing in place: new pages have the policy of the VMA that grows */
TEST_F(vma, mremap_grow)
{
	ASSERT_EQ(0, munmap(self->p + 4 * page, 5 * page));
	ASSERT_EQ(0, set_policies(self->p, "AABB"));
	EXPECT_STREQ("AABB", placement(self->p, 4));
	ASSERT_EQ(self->p + 2 * page, mremap(self->p + 2 * page, 2 * page, 6 * page, 0));
	EXPECT_EQ(2, vma_count(self->p, NR * page));
	EXPECT_STREQ("AABBBBBB", policies_of(self->p, NR));
	EXPECT_STREQ("AABBBBBB", placement(self->p, NR));
}

/* Shrinking takes the policy of what is cut off away, and of nothing else */
TEST_F(vma, mremap_shrink)
{
	ASSERT_EQ(0, set_policy(self->p, NR * page, 'B'));
	ASSERT_EQ(self->p, mremap(self->p, NR * page, 3 * page, 0));
	EXPECT_STREQ("BBB!!!!!", policies_of(self->p, NR));
	ASSERT_EQ(self->p + 3 * page, mmap(self->p + 3 * page, 5 * page, PROT_READ | PROT_WRITE,
					   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EXPECT_STREQ("BBB.....", policies_of(self->p, NR));
	EXPECT_STREQ("BBBAAAAA", placement(self->p, NR));
}

/*
 * A part moves onto a mapping that has another policy: it brings its own, for pages
 * that it has already and for new ones. MREMAP_DONTUNMAP leaves a mapping behind,
 * which is empty and has the policy too.
 */
TEST_F(vma, mremap_move)
{
	static const struct {
		int flags;
		const char *left;
	} cases[] = {
		{ 0, "BB!!!BBB" },
		{ MREMAP_DONTUNMAP, "BBBBBBBB" },
	};
	char *q = map_pages(NR, -1, 0);

	ASSERT_NE(MAP_FAILED, q);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *p = map_pages(NR, -1, 0);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, set_policy(p, NR * page, 'B'));
		ASSERT_EQ(0, set_policy(q, NR * page, 'I'));
		p[2 * page] = q[4 * page] = 'x';
		p[3 * page] = 'y';
		ASSERT_EQ(q + 4 * page, mremap(p + 2 * page, 3 * page, 3 * page,
					       MREMAP_MAYMOVE | MREMAP_FIXED | cases[i].flags,
					       q + 4 * page));
		EXPECT_STREQ("IIIIBBBI", policies_of(q, NR));
		EXPECT_STREQ(cases[i].left, policies_of(p, NR));
		EXPECT_EQ('x', q[4 * page]);
		EXPECT_EQ('y', q[5 * page]);
		EXPECT_STREQ("BBB", placement(q + 4 * page, 3));
		if (cases[i].flags) {
			EXPECT_EQ(0, p[2 * page]);
			EXPECT_STREQ("BBBBBBBB", placement(p, NR));
		}
	}
}

/* Several VMAs at once (since 6.17): each keeps its own policy */
TEST_F(vma, mremap_move_several)
{
	char *q = map_pages(NR, -1, 0);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, set_policies(self->p, "AABB.IBA"));
	ASSERT_EQ(0, set_policy(q, NR * page, 'P'));
	self->p[3 * page] = 'x';
	if (mremap(self->p, NR * page, NR * page, MREMAP_MAYMOVE | MREMAP_FIXED, q) != q) {
		ASSERT_EQ(EFAULT, errno);
		SKIP(return, "needs mremap_several");
	}
	EXPECT_STREQ("AABB.IBA", policies_of(q, NR));
	EXPECT_STREQ("!!!!!!!!", policies_of(self->p, NR));
	EXPECT_EQ('x', q[3 * page]);
	EXPECT_EQ(6, vma_count(q, NR * page));
	ASSERT_EQ(0, set_policy(q + 5 * page, page, 'B'));
	EXPECT_STREQ("AABBABBA", placement(q, NR));
}

/* The heap is a mapping as any other: what brk() adds is new and has no policy */
TEST_F(vma, brk)
{
	char *heap = (char *)(((unsigned long)sbrk(0) + page - 1) & -page);
	struct numa_maps nm;

	ASSERT_EQ(0, brk(heap + 4 * page));
	ASSERT_EQ(0, set_policy(heap, 4 * page, 'B'));
	ASSERT_EQ(0, brk(heap + NR * page));
	EXPECT_STREQ("BBBB....", policies_of(heap, NR));
	ASSERT_EQ(0, brk(heap + 2 * page));
	EXPECT_STREQ("BB!!!!!!", policies_of(heap, NR));
	ASSERT_EQ(0, brk(heap + NR * page));
	EXPECT_STREQ("BB......", policies_of(heap, NR));
	/* reading a file can change the heap, so only now */
	ASSERT_EQ(0, numa_maps_get(heap, &nm));
	EXPECT_TRUE(nm.heap);
	EXPECT_STREQ("BBAAAAAA", placement(heap, NR));
}

/* A stack grows with the policy of its lowest VMA */
TEST_F(vma, stack_growth)
{
	/* the kernel keeps a gap below a stack, 1 MB by default */
	const size_t room = 16UL << 20;
	char *top = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;

	ASSERT_NE(MAP_FAILED, top);
	ASSERT_EQ(0, munmap(top, room));
	top += room;
	p = top - 4 * page;
	ASSERT_EQ(p, mmap(p, 4 * page, PROT_READ | PROT_WRITE,
			  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
	ASSERT_EQ(0, set_policies(p, "BB.."));
	p -= 4 * page;
	EXPECT_STREQ("!!!!BB..", policies_of(p, NR));
	*(volatile char *)p = 1;
	EXPECT_STREQ("BBBBBB..", policies_of(p, NR));
	EXPECT_EQ(2, vma_count(p, NR * page));
	EXPECT_STREQ("BBBBBBAA", placement(p, NR));
}

/* "they are inherited across fork()", and from then on each has its own */
TEST_F(vma, fork_copies)
{
	int go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, set_policies(self->p, "BBAAI.BB"));
	ASSERT_EQ(0, madvise(self->p + 2 * page, page, MADV_DONTFORK));
	ASSERT_EQ(0, madvise(self->p + 6 * page, page, MADV_WIPEONFORK));
	self->p[6 * page] = 'x';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		EXPECT_STREQ("BB!AI.BB", policies_of(self->p, NR));
		EXPECT_EQ(0, self->p[6 * page]);
		/* the other one changes its own */
		EXPECT_EQ(1, read(go[0], &c, 1));
		EXPECT_STREQ("BB!AI.BB", policies_of(self->p, NR));
		EXPECT_EQ(0, set_policies(self->p, "AB"));
		EXPECT_EQ(0, set_policies(self->p + 4 * page, "B"));
		EXPECT_STREQ("AB!AB.BB", policies_of(self->p, NR));
		EXPECT_STREQ("BABB", placement(self->p + 4 * page, 4));
		_exit(0);
	}
	ASSERT_EQ(0, set_policy(self->p + 3 * page, 2 * page, 'L'));
	ASSERT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_STREQ("BBALL.BB", policies_of(self->p, NR));
	EXPECT_EQ('x', self->p[6 * page]);
}

/* A process that shares the address space shares the VMA policies as well */
static int bind_in_vfork(void *arg)
{
	return set_policy(arg, page, 'B') ? '!' : 0;
}

TEST_F(vma, vfork_shares)
{
	EXPECT_EQ(0, run_vfork(bind_in_vfork, self->p + page));
	EXPECT_STREQ(".B......", policies_of(self->p, NR));
	EXPECT_STREQ("ABAAAAAA", placement(self->p, NR));
}

/* MADV_DONTNEED throws pages away, not the policy that the next ones have */
TEST_F(vma, kept_by_dontneed)
{
	ASSERT_EQ(0, set_policies(self->p, "BB.."));
	for (int i = 0; i < 2; i++) {
		EXPECT_STREQ("BBAAAAAA", placement(self->p, NR));
		ASSERT_EQ(0, madvise(self->p, NR * page, MADV_DONTNEED));
		EXPECT_STREQ("BB......", policies_of(self->p, NR));
		EXPECT_EQ(0, *self->p);
	}
}

/* VMAs that numa_maps shows with another policy than 'P': at most 100, -1 on error */
static int foreign_policies(void)
{
	char line[4096], task[64];
	struct numa_maps nm;
	int found = 0;
	FILE *f;

	snprintf(task, sizeof(task), "%s:%d", mpol_mode_name(MPOL_PREFERRED), node_b);
	f = fopen("/proc/self/numa_maps", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f) && found < 100)
		found += numa_maps_parse(line, &nm) || strcmp(nm.policy, task);
	fclose(f);
	return found;
}

/*
 * "VMA policies are NOT inheritable across exec()". Mappings of files are left alone:
 * the program may be on tmpfs, and then a policy would be the file's.
 */
TEST_F(vma, gone_with_exec)
{
	static struct { unsigned long start, end; } vma[256];
	int nr = 0, bound = 0;
	char line[4096];
	pid_t pid;
	FILE *f;

	ASSERT_EQ(0, set_policy(NULL, 0, 'P'));
	ASSERT_EQ(0, foreign_policies());
	/* all at once: a policy that is set splits and merges what is still to be read */
	f = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, f);
	while (nr < ARRAY_SIZE(vma) && fgets(line, sizeof(line), f))
		nr += sscanf(line, "%lx-%lx", &vma[nr].start, &vma[nr].end) == 2 &&
		      !strchr(line, '/') && !strstr(line, "[v");
	fclose(f);
	pid = fork();
	if (!pid) {
		while (nr--)
			bound += !set_policy((void *)vma[nr].start, vma[nr].end - vma[nr].start,
					     'B');
		/* the heap, the stack, data and the area */
		if (bound < 4 || foreign_policies() < 4)
			_exit('!');
		reexec("--foreign", 'P');
	}
	EXPECT_EQ(0, exit_status(pid));
}

/*
 * hugetlbfs has no shared policies ("their support for shared policy has not been
 * completed"): the policy is that of the VMA and goes with it. Nothing is touched, so
 * no huge page is needed.
 */
TEST_F(vma, hugetlb_is_per_vma)
{
	size_t size = hugetlb_size();
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_NORESERVE;
	char *x, *y;
	int fd;

	if (!size)
		SKIP(return, "needs hugetlb");
	fd = memfd_create("object", MFD_CLOEXEC | MFD_HUGETLB);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 2 * size));
	x = mmap(NULL, 2 * size, prot, flags, fd, 0);
	y = mmap(NULL, 2 * size, prot, flags, fd, 0);
	ASSERT_NE(MAP_FAILED, x);
	ASSERT_NE(MAP_FAILED, y);

	ASSERT_EQ(0, set_policy(x + size, size, 'B'));
	EXPECT_EQ('.', policy_of(x));
	EXPECT_EQ('B', policy_of(x + size));
	EXPECT_EQ('.', policy_of(y + size));
	EXPECT_EQ(2, vma_count(x, 2 * size));
	/* a huge page cannot be split */
	EXPECT_EQ(-1, set_policy(x, page, 'B'));
	EXPECT_EQ(EINVAL, errno);
	IN_CHILD({
		EXPECT_EQ('B', policy_of(x + size));
		EXPECT_EQ(0, set_policy(x + size, size, 'A'));
	});
	EXPECT_EQ('B', policy_of(x + size));
	ASSERT_EQ(0, munmap(x, 2 * size));
	ASSERT_EQ(x, mmap(x, 2 * size, prot, flags | MAP_FIXED, fd, 0));
	EXPECT_EQ('.', policy_of(x + size));
}

/*
 * numa_maps of a process whose threads change their policies all the time, until it
 * ends or is killed.
 */
#define CHANGING	"AB.I"

static char *changing;
static volatile int stop;

static void *change_vmas(void *)
{
	struct nodemask b = NODEMASK(node_b);

	for (unsigned int i = 0; !stop; i++) {
		int first = i * 7 % NR, nr = 1 + i * 5 % (NR - first);

		if (set_policy(changing + first * page, nr * page, CHANGING[i % 4]) ||
		    (i % 8 == 0 && sys_mbind(changing, page, MPOL_BIND, &b, MPOL_MF_MOVE)))
			return "mbind";
	}
	return NULL;
}

/* In the child: the main thread is the one whose policy numa_maps shows */
static int change(int ready, int until)
{
	pthread_t thread;
	struct pollfd pfd = { .fd = until, .events = POLLIN };
	void *error;

	for (int i = 0; i < NR; i++)
		memset(changing + i * page, i + 1, page);
	if (pthread_create(&thread, NULL, change_vmas, NULL) || write(ready, "", 1) != 1)
		return 1;
	for (unsigned int i = 0; !poll(&pfd, 1, 0); i++)
		if (set_policy(NULL, 0, CHANGING[i % 4]))
			return 2;
	stop = 1;
	if (pthread_join(thread, &error) || error)
		return 3;
	for (int i = 0; i < NR; i++)
		for (size_t n = 0; n < page; n++)
			if (changing[i * page + n] != i + 1)
				return 4;
	return 0;
}

/* How numa_maps shows the policies of CHANGING */
static bool is_changing(const char *policy)
{
	struct nodemask a = NODEMASK(node_a), b = NODEMASK(node_b), i = NODEMASK(node_a, node_b);
	char name[3][64];

	snprintf(name[0], sizeof(name[0]), "bind:%s", nodemask_str(&a));
	snprintf(name[1], sizeof(name[1]), "bind:%s", nodemask_str(&b));
	snprintf(name[2], sizeof(name[2]), "interleave:%s", nodemask_str(&i));
	return !strcmp(policy, name[0]) || !strcmp(policy, name[1]) || !strcmp(policy, name[2]) ||
	       !strcmp(policy, "default");
}

FIXTURE(changing)
{
};

FIXTURE_VARIANT(changing)
{
	bool killed;
};

FIXTURE_VARIANT_ADD(changing, until_exit) { .killed = false };
FIXTURE_VARIANT_ADD(changing, until_killed) { .killed = true };

FIXTURE_SETUP(changing)
{
	setup(_metadata);
	changing = map_pages(NR, -1, 0);
	ASSERT_NE(MAP_FAILED, changing);
}

FIXTURE_TEARDOWN(changing)
{
}

TEST_F(changing, numa_maps)
{
	enum { READS = 12 };
	int ready[2], until[2], reads = 0, after = 0, lines = 0, status;
	char path[64], line[4096], c;
	struct numa_maps nm;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(until));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(change(ready[1], until[0]));
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	snprintf(path, sizeof(path), "/proc/%d/numa_maps", pid);

	/* the end is somewhere in the last reads, which go on until it is over */
	for (bool gone = false; !gone; reads++) {
		FILE *f;

		if (reads == READS) {
			ASSERT_EQ(0, variant->killed ? kill(pid, SIGKILL) :
						       write(until[1], "", 1) - 1);
		} else if (reads > READS) {
			pid_t ret = waitpid(pid, &status, WNOHANG);

			ASSERT_LE(0, ret);
			gone = ret == pid;
		}
		f = fopen(path, "re");
		if (!f)
			continue;
		for (; fgets(line, sizeof(line), f); lines++) {
			ASSERT_EQ(0, numa_maps_parse(line, &nm)) {
				TH_LOG("line %s", line);
			}
			ASSERT_TRUE(is_changing(nm.policy)) {
				TH_LOG("policy %s", nm.policy);
			}
			after += gone;
		}
		fclose(f);
	}
	EXPECT_EQ(0, after);
	EXPECT_LE(READS * 5, lines);
	EXPECT_EQ(variant->killed, WIFSIGNALED(status));
	if (!variant->killed) {
		EXPECT_EQ(0, WEXITSTATUS(status));
	}
}

/*
 * Policies of shared objects.
 */
enum object_kind { MEMFD, TMPFS, SYSV };

FIXTURE(object)
{
	enum object_kind kind;
	int fd, shmid;
};

FIXTURE_VARIANT(object)
{
	enum object_kind kind;
};

FIXTURE_VARIANT_ADD(object, memfd) { .kind = MEMFD };
FIXTURE_VARIANT_ADD(object, tmpfs) { .kind = TMPFS };
FIXTURE_VARIANT_ADD(object, sysv) { .kind = SYSV };

static int object_new(FIXTURE_DATA(object) *self)
{
	switch (self->kind) {
	case MEMFD:
		self->fd = memfd_create("object", MFD_CLOEXEC);
		break;
	case TMPFS:
		self->fd = file_in_new_fs("tmpfs", NULL, NULL);
		break;
	case SYSV:
		self->shmid = shmget(IPC_PRIVATE, NR * page, IPC_CREAT | 0600);
		return self->shmid < 0 ? -1 : 0;
	}
	return self->fd < 0 ? -1 : ftruncate(self->fd, NR * page);
}

/* Drop the last reference but those of mappings */
static int object_drop(FIXTURE_DATA(object) *self)
{
	int shmid = self->shmid, fd = self->fd;

	self->shmid = self->fd = -1;
	return shmid >= 0 ? shmctl(shmid, IPC_RMID, NULL) : close(fd);
}

static char *object_map(FIXTURE_DATA(object) *self)
{
	char *p;

	if (self->kind != SYSV)
		return map_pages(NR, self->fd, 0);
	p = shmat(self->shmid, NULL, 0);
	if (p != MAP_FAILED)
		madvise(p, NR * page, MADV_NOHUGEPAGE);
	return p;
}

static int object_unmap(FIXTURE_DATA(object) *self, char *p)
{
	return self->kind == SYSV ? shmdt(p) : unmap_pages(p, NR);
}

FIXTURE_SETUP(object)
{
	self->kind = variant->kind;
	self->fd = self->shmid = -1;
	if (self->kind == TMPFS) {
		NEED_ROOT();
	}
	setup(_metadata);
	/* a segment that is made now would stay */
	if (_metadata->exit_code == KSFT_SKIP)
		return;
	ASSERT_EQ(0, object_new(self));
}

/* A segment stays until it is removed, also if the test is killed */
FIXTURE_TEARDOWN_PARENT(object)
{
	if (self->shmid >= 0)
		shmctl(self->shmid, IPC_RMID, NULL);
}

/* "the policies are remembered even when nobody has memory mapped" (mempolicy.c) */
TEST_F(object, kept_without_mapping)
{
	char *p = object_map(self);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, set_policies(p, "AB.BIABB"));
	ASSERT_EQ(0, object_unmap(self, p));
	p = object_map(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_STREQ("AB.BIABB", policies_of(p, NR));
	ASSERT_EQ(0, set_policy(p + 4 * page, page, 'P'));
	EXPECT_STREQ("ABABBABB", placement(p, NR));
}

/* Nor does it end with the process that has set it */
TEST_F(object, kept_after_exit)
{
	char *p;

	IN_CHILD({
		p = object_map(self);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, set_policies(p, "BB..BB"));
	});
	p = object_map(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_STREQ("BB..BB..", policies_of(p, NR));
	EXPECT_STREQ("BBAABBAA", placement(p, NR));
}

/* A new object has none, whatever the one had whose memory it may have got */
TEST_F(object, gone_with_object)
{
	for (int i = 0; i < 50; i++) {
		char *p = object_map(self);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_STREQ("........", policies_of(p, NR));
		ASSERT_EQ(0, set_policy(p, NR * page, 'B'));
		/* a mapping is a reference as any other */
		ASSERT_EQ(0, object_drop(self));
		ASSERT_STREQ("BBBBBBBB", policies_of(p, NR));
		if (!i) {
			EXPECT_STREQ("BBBBBBBB", placement(p, NR));
		}
		ASSERT_EQ(0, object_unmap(self, p));
		ASSERT_EQ(0, object_new(self));
	}
}

/* Pages go, policies stay: they are of parts of the object, present or not */
TEST_F(object, kept_without_pages)
{
	char *p = object_map(self);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, set_policies(p, "AB.BBABA"));
	EXPECT_STREQ("ABABBABA", placement(p, NR));
	ASSERT_EQ(0, madvise(p + page, 3 * page, MADV_REMOVE));
	EXPECT_EQ(0, p[page]);
	EXPECT_STREQ("AB.BBABA", policies_of(p, NR));
	EXPECT_STREQ("ABABBABA", placement(p, NR));
	if (self->fd < 0)
		return;
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_STREQ("AB.BBABA", policies_of(p, NR));
	ASSERT_EQ(0, ftruncate(self->fd, NR * page));
	EXPECT_STREQ("AB.BBABA", policies_of(p, NR));
	EXPECT_STREQ("ABABBABA", placement(p, NR));
}

/* An object that is mapped in a child stays as it is when the parent unmaps it */
TEST_F(object, kept_in_child)
{
	char *p = object_map(self);
	int go[2], fd = self->fd;
	pid_t pid;
	char c;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, set_policies(p, "BB"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fd >= 0)
			close(fd);
		EXPECT_EQ(1, read(go[0], &c, 1));
		/* the mapping here is all that is left of it */
		EXPECT_STREQ("BB.B....", policies_of(p, NR));
		EXPECT_STREQ("BBABAAAA", placement(p, NR));
		_exit(0);
	}
	ASSERT_EQ(0, set_policy(p + 3 * page, page, 'B'));
	ASSERT_EQ(0, object_unmap(self, p));
	ASSERT_EQ(0, object_drop(self));
	ASSERT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(0, exit_status(pid));
}

/*
 * A private mapping of a shmem file. "If the file mapping used the MAP_PRIVATE flag,
 * the VMA policy will only be applied when an anonymous page is allocated on an attempt
 * to write to the mapping", and a shared policy is one of objects that are "mapped
 * shared": so mbind() of it is not about the object.
 */
FIXTURE(private_shmem)
{
	char *p, *shared;	/* NR pages, private and shared */
};

FIXTURE_SETUP(private_shmem)
{
	int fd = memfd_create("object", MFD_CLOEXEC);

	setup(_metadata);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR * page));
	self->shared = map_pages(NR, fd, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->p = map_pages(NR, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(self->p, mmap(self->p, NR * page, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_FIXED, fd, 0));
}

FIXTURE_TEARDOWN(private_shmem)
{
}

/* The object's pages, and the policies of all others who have it, stay as they were */
TEST_F(private_shmem, mbind_leaves_object_alone)
{
	ASSERT_EQ(0, set_policies(self->p, "BB"));
	EXPECT_STREQ("........", policies_of(self->shared, NR));
	EXPECT_STREQ("AAAAAAAA", placement(self->shared, NR));
}

/* It is about the pages that a write to the private mapping makes */
TEST_F(private_shmem, mbind_is_for_own_pages)
{
	ASSERT_EQ(0, set_policies(self->p, "BB"));
	EXPECT_STREQ("BB......", policies_of(self->p, NR));
	EXPECT_STREQ("BBAAAAAA", placement(self->p, NR));
}

/*
 * The tree of a shared object (shared_policy_replace() and what it calls) against an
 * array of pages: ranges that are the same, inside of another, overlap on the left or
 * on the right, or span several, at random.
 *
 * Each range is set through a mapping of its own, of exactly this range, so that no
 * VMA has anything to split or to merge. The mappings that are going to take policies
 * away have set one before all else, as the VMA of 7.3.4 takes MPOL_DEFAULT for no
 * change if it has none itself (shared_policy.c has tests for that).
 */
#define TREE_PAGES	24
#define TREE_STEPS	400

FIXTURE(tree)
{
	int fd;
};

FIXTURE_VARIANT(tree)
{
	const char *letters;
	bool mount_option;	/* mpol=bind:B, one node of the tree for a whole file */
};

FIXTURE_VARIANT_ADD(tree, memfd)
{
	.letters = "..AABP",
};

FIXTURE_VARIANT_ADD(tree, mount_option)
{
	.letters = "AABPQ", .mount_option = true,
};

FIXTURE_SETUP(tree)
{
	char mpol[64];

	if (variant->mount_option) {
		NEED_ROOT();
	}
	setup(_metadata);
	snprintf(mpol, sizeof(mpol), "bind:%d", node_b);
	self->fd = variant->mount_option ? file_in_new_fs("tmpfs", "mpol", mpol) :
					   memfd_create("object", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, TREE_PAGES * page));
}

FIXTURE_TEARDOWN(tree)
{
}

TEST_F(tree, as_array)
{
	static struct {
		int first, nr;
		char letter, *map;
	} step[TREE_STEPS];
	char want[TREE_PAGES + 1] = "", *p;

	for (int i = 0; i < TREE_STEPS; i++) {
		step[i].first = rnd(TREE_PAGES);
		step[i].nr = 1 + rnd(TREE_PAGES - step[i].first);
		/* more small ranges than large ones, or few remain to be met */
		if (i % 4)
			step[i].nr = 1 + step[i].nr / 4;
		step[i].letter = variant->letters[rnd(strlen(variant->letters))];
		step[i].map = map_pages(step[i].nr, self->fd, step[i].first);
		ASSERT_NE(MAP_FAILED, step[i].map);
		if (step[i].letter == '.') {
			ASSERT_EQ(0, set_policy(step[i].map, step[i].nr * page, 'L'));
		}
	}
	memset(want, variant->mount_option ? 'B' : '.', TREE_PAGES);
	p = map_pages(TREE_PAGES, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	if (!variant->mount_option) {
		ASSERT_EQ(0, set_policy(p, TREE_PAGES * page, 'L'));
		ASSERT_EQ(0, set_policy(p, TREE_PAGES * page, '.'));
	}
	ASSERT_STREQ(want, policies_of(p, TREE_PAGES));
	ASSERT_EQ(0, unmap_pages(p, TREE_PAGES));

	for (int i = 0; i < TREE_STEPS; i++) {
		ASSERT_EQ(0, set_policy(step[i].map, step[i].nr * page, step[i].letter));
		ASSERT_EQ(0, unmap_pages(step[i].map, step[i].nr));
		memset(want + step[i].first, step[i].letter, step[i].nr);
		p = map_pages(TREE_PAGES, self->fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_STREQ(want, policies_of(p, TREE_PAGES)) {
			TH_LOG("step %d: %d pages from %d on, %c", i, step[i].nr, step[i].first,
			       step[i].letter);
		}
		ASSERT_EQ(0, unmap_pages(p, TREE_PAGES));
	}

	p = map_pages(TREE_PAGES, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (char *c = want; *c; c++)
		*c = strchr("BP", *c) ? 'B' : 'A';
	EXPECT_STREQ(want, placement(p, TREE_PAGES));
}

/*
 * Policies and the nodes of a shared object's tree are given back: many rounds do not
 * leave more of them than there were. The bound is far less than one object in ten
 * rounds.
 */
#define LEAK_BOUND	40
#define HELD		(3 * LEAK_BOUND)	/* and this many are missed by no one */

enum { NR_CACHES = 2 };

static const char * const caches[NR_CACHES] = { "numa_policy", "shared_policy_node" };

/* What there was before the first of these tests, for all of them: shared memory */
static struct baseline {
	bool known;
	long objects[NR_CACHES];
} *baseline;

/*
 * Objects in use, as SLUB counts them slab by slab: also those that wait in a CPU's
 * caches, which are flushed first. A cache that is merged with others is a link to
 * the one that they share.
 */
static long slab_objects(const char *cache)
{
	char path[128], buf[4096];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	if (file_write(path, "1"))
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return file_read(path, buf, sizeof(buf)) ? -1 : atol(buf);
}

/*
 * Wait until there are at most @max objects of each cache, or until no more go away:
 * kfree_rcu() may collect for 5 s what it has to free (KFREE_DRAIN_JIFFIES).
 */
static void slab_settle(const long *max, long *objects)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	long still = now_ms() + 6000;

	objects[0] = objects[1] = LONG_MAX;
	while (now_ms() < still && (objects[0] > max[0] || objects[1] > max[1])) {
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		for (int i = 0; i < NR_CACHES; i++) {
			long now = slab_objects(caches[i]);

			if (now >= objects[i])
				continue;
			objects[i] = now;
			still = now_ms() + 6000;
		}
		nanosleep(&pause, NULL);
	}
}

/* All of @held more than at first, and nothing else */
static void expect_growth(struct __test_metadata *_metadata, const long *held)
{
	long max[NR_CACHES], objects[NR_CACHES];

	for (int i = 0; i < NR_CACHES; i++)
		max[i] = baseline->objects[i] + held[i] + LEAK_BOUND;
	slab_settle(max, objects);
	for (int i = 0; i < NR_CACHES; i++) {
		EXPECT_GE(LEAK_BOUND, labs(objects[i] - baseline->objects[i] - held[i])) {
			TH_LOG("%s", caches[i]);
		}
	}
}

FIXTURE(slab)
{
};

FIXTURE_VARIANT(slab)
{
	int (*round)(int i);
	int rounds;
	long held[NR_CACHES];	/* at the end of the rounds, where that is much */
};

FIXTURE_SETUP(slab)
{
	static const long none[NR_CACHES];

	NEED_ROOT();
	if (slab_objects(caches[0]) < 0 || slab_objects(caches[1]) < 0)
		SKIP(return, "needs slub_debug");
	setup(_metadata);
	if (!baseline->known)
		slab_settle(none, baseline->objects);
	baseline->known = true;
}

FIXTURE_TEARDOWN(slab)
{
}

/*
 * A round returns 0 if all was as it should be. What it leaves open is closed with the
 * process that the rounds are in.
 */
static int round_task(int i)
{
	return set_policy(NULL, 0, policies[i % ARRAY_SIZE(policies)].letter);
}

/* Split a VMA, give a part of it a home node, and merge it again */
static int round_vma(int)
{
	static char *p;

	if (!p)
		p = map_pages(3, -1, 0);
	return set_policy(p + page, page, 'C') ||
	       syscall(SYS_set_mempolicy_home_node, p + page, page, node_b, 0) ||
	       set_policy(p, 3 * page, '.');
}

/* An object for every 100 rounds: policies that are replaced, used, looked at, left */
static int round_object(int i)
{
	enum { ROUNDS = 100, PAGES = 8 };
	int first = rnd(PAGES), nr = 1 + rnd(PAGES - first), err;
	static char *p;
	static int fd;
	char letter;

	if (i % ROUNDS == 0) {
		fd = memfd_create("object", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, PAGES * page))
			return -1;
		p = map_pages(PAGES, fd, 0);
	}
	letter = "ABI."[rnd(4)];
	err = set_policy(p + first * page, nr * page, letter) || policy_of(p + first * page) == '!';
	/* a fault and a numa_maps line each take a reference for a while */
	if (i % 8 == 0) {
		p[first * page] = 1;
		err |= madvise(p + first * page, page, MADV_REMOVE);
	}
	if (i % ROUNDS == ROUNDS - 1)
		err |= foreign_policies() < 0 || unmap_pages(p, PAGES) || close(fd);
	return err;
}

static int exit_vfork(void *)
{
	return 0;
}

/* Policies of a task that ends */
static int round_exit(int)
{
	return run_vfork(exit_vfork, NULL);
}

/* Policies of an address space that ends: MAX_PAGES a round */
static int round_fork(int)
{
	static char *p;
	pid_t pid;

	if (!p) {
		p = map_pages(MAX_PAGES, -1, 0);
		for (int i = 0; i < MAX_PAGES; i++)
			if (set_policy(p + i * page, page, "AB"[i % 2]))
				return -1;
	}
	pid = fork();
	if (!pid)
		_exit(0);
	return exit_status(pid);
}

#define FAILS(call, err)	((call) != -1 || errno != (err))

/* Calls that fail, at different times after they have made a policy */
static int round_failed(int i)
{
	static struct nodemask nowhere, b;
	static char *p, *shared, *hole;
	int no_memory = 0;

	if (!p) {
		for (int n = 0; n < nodes.nr_mem && nodes.mem[n] == no_memory; n++)
			no_memory++;
		nowhere = NODEMASK(no_memory);
		b = NODEMASK(node_b);
		p = map_pages(3, -1, 0);
		*p = 1;
		hole = p + 2 * page;
		shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);
		if (munmap(hole, page) || set_policy(p + page, page, 'I'))
			return -1;
	}
	switch (i % 6) {
	case 0:
		return FAILS(sys_set_mempolicy(MPOL_BIND | MPOL_F_STATIC_NODES, &nowhere), EINVAL);
	case 1:
		return FAILS(sys_mbind(p, page, MPOL_BIND | MPOL_F_STATIC_NODES, &nowhere, 0),
			     EINVAL);
	case 2:
		return FAILS(sys_mbind(hole, page, MPOL_BIND, &b, 0), EFAULT);
	case 3:
		return FAILS(sys_mbind(p, page, MPOL_BIND, &b, MPOL_MF_STRICT), EIO);
	case 4:
		return FAILS(syscall(SYS_set_mempolicy_home_node, p + page, page, node_b, 0),
			     EOPNOTSUPP);
	default:
		/* each time another policy, as one object can be lost only once */
		return set_policy(shared, page, "AB"[i / 6 % 2]) ||
		       FAILS(sys_get_mempolicy((int *)hole, NULL, shared, MPOL_F_ADDR), EFAULT);
	}
}

/* Policies that are in use, to see that these are what is counted: by VMAs */
static int round_held_by_vmas(int i)
{
	static char *p;

	if (!p)
		p = map_pages(HELD, -1, 0);
	return set_policy(p + i * page, page, "AB"[i % 2]);
}

/* By an object of which nothing but the file is left */
static int round_held_by_object(int i)
{
	static char *p;

	if (!p) {
		int fd = memfd_create("object", MFD_CLOEXEC);

		if (fd < 0 || ftruncate(fd, HELD * page))
			return -1;
		p = map_pages(HELD, fd, 0);
	}
	return set_policy(p + i * page, page, "AB"[i % 2]) ||
	       (i == HELD - 1 && unmap_pages(p, HELD));
}

FIXTURE_VARIANT_ADD(slab, task) { .round = round_task, .rounds = 10000 };
FIXTURE_VARIANT_ADD(slab, vma) { .round = round_vma, .rounds = 4000 };
FIXTURE_VARIANT_ADD(slab, object) { .round = round_object, .rounds = 4000 };
FIXTURE_VARIANT_ADD(slab, exit) { .round = round_exit, .rounds = 1000 };
FIXTURE_VARIANT_ADD(slab, fork) { .round = round_fork, .rounds = 160 };
FIXTURE_VARIANT_ADD(slab, failed_call) { .round = round_failed, .rounds = 10000 };
FIXTURE_VARIANT_ADD(slab, held_by_vmas)
{
	.round = round_held_by_vmas, .rounds = HELD, .held = { HELD, 0 },
};

FIXTURE_VARIANT_ADD(slab, held_by_object)
{
	.round = round_held_by_object, .rounds = HELD, .held = { HELD, HELD },
};

TEST_F(slab, given_back)
{
	int done[2], go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(done));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < variant->rounds; i++) {
			ASSERT_EQ(0, variant->round(i));
		}
		_exit(write(done[1], "", 1) != 1 || read(go[0], &c, 1) != 1);
	}
	close(done[1]);
	ASSERT_EQ(1, read(done[0], &c, 1));
	if (variant->held[0])
		expect_growth(_metadata, variant->held);
	ASSERT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(0, exit_status(pid));
	expect_growth(_metadata, (const long[NR_CACHES]){ });
}

int main(int argc, char **argv)
{
	baseline = mmap(NULL, sizeof(*baseline), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (baseline == MAP_FAILED)
		return KSFT_FAIL;
	/* this program was executed by a test: see reexec() */
	if (argc == 3 && !nodes_init()) {
		if (!strcmp(argv[1], "--inherited"))
			return inherited(*argv[2]);
		if (!strcmp(argv[1], "--foreign"))
			return foreign_policies();
	}
	return test_harness_run(argc, argv);
}
