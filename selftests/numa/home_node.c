// SPDX-License-Identifier: GPL-2.0
/*
 * set_mempolicy_home_node(): where in the nodemask of MPOL_BIND and
 * MPOL_PREFERRED_MANY pages come from.
 *
 * "A home node is the NUMA node closest to which page allocation will come from.
 * Specifying the home node override the default allocation policy to allocate memory
 * close to the local node for an executing CPU" (numa_memory_policy.rst), and "page
 * allocations will come from the node in the nodemask with sufficient free memory
 * that is closest to the home node" (commit c6018b4b2549). So a policy with home node
 * H places pages as the same policy without one does for a task that runs on H.
 *
 * Nothing shows a home node: it is known by the pages. The tests run on node "near",
 * and a page of a policy for {near, far} comes from there; with home node "far" it
 * comes from far. Where pages are is written with one letter a page, "nffn".
 */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#ifndef MAP_32BIT
#define MAP_32BIT	0
#endif

#define NR_PAGES	4

/* Set by main() for all tests */
static struct numa_nodes nodes;
static int near, far = -1;
static size_t page;
static struct cpuset cpuset;
static int cpuset_error;
static long pool_before[NUMA_MAX_NODES];	/* of huge pages, -1: not changed */

static long set_home(void *p, size_t len, unsigned long node)
{
	return syscall(SYS_set_mempolicy_home_node, p, len, node, 0UL);
}

#define NEED_HOME_NODE() do {						\
	if (set_home(NULL, 0, nodes.mem[0]) && errno == ENOSYS)		\
		SKIP(return, "needs home_node");			\
} while (0)

#define NEED_NEAR_AND_FAR() do {					\
	NEED_MEMORY_NODES(&nodes, 2);					\
	NEED_BOTH_NODES(&nodes, 1);					\
	NEED_HOME_NODE();						\
} while (0)

#define EXPECT_ERRNO(error, call) do {					\
	errno = 0;							\
	EXPECT_EQ(-1, (call));						\
	EXPECT_EQ((error), errno);					\
} while (0)

/*
 * Memory of @size bytes at a multiple of @align, with nothing mapped on either side.
 * Small pages, unless @flags or the caller wants others.
 */
static char *map_area(size_t size, size_t align, int flags, int fd)
{
	char *p = mmap(NULL, size + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return p;
	p += align - ((uintptr_t)p & (align - 1));
	p = mmap(p, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (p != MAP_FAILED)
		madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

static char *map_anon(void)
{
	return map_area(NR_PAGES * page, page, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/*
 * Touch @nr pages that begin a mapping, say where they are, and take them away again
 * with @advice; "disagree" unless numa_maps counts the same.
 */
static const char *new_pages(char *p, int nr, int advice)
{
	static unsigned long asked[NUMA_MAX_NODES], shown[NUMA_MAX_NODES];
	static char text[NR_PAGES + 1];

	for (int i = 0; i < nr; i++) {
		int node;

		*(volatile char *)(p + i * page) = 1;
		node = page_node(p + i * page);
		text[i] = node == near ? 'n' : node == far ? 'f' : '?';
	}
	text[nr] = '\0';
	if (page_nodes(p, nr * page, page, asked) != nr ||
	    numa_maps_nodes(p, nr * page, shown) != nr || memcmp(asked, shown, sizeof(asked)))
		return "disagree";
	return madvise(p, nr * page, advice) ? "no advice" : text;
}

#define ANON_PAGES(p)	new_pages(p, NR_PAGES, MADV_DONTNEED)
#define SHMEM_PAGES(p)	new_pages(p, NR_PAGES, MADV_REMOVE)

/* mbind() pages [first, first + nr) of @p to {near, far} */
static long bind_both(char *p, int first, int nr, int mode)
{
	struct nodemask both = NODEMASK(near, far);

	return sys_mbind(p + first * page, nr * page, mode, &both, 0);
}

static long home_pages(char *p, int first, int nr, int node)
{
	return set_home(p + first * page, nr * page, node);
}

/* The policy of @p as get_mempolicy() and, at the begin of a mapping, numa_maps say it */
static const char *policy_text(char *p)
{
	static char text[1400];
	struct numa_maps nm;
	struct nodemask mask;
	int mode;

	if (sys_get_mempolicy(&mode, &mask, p, MPOL_F_ADDR))
		return "no policy";
	if (numa_maps_get(p, &nm))
		nm.policy[0] = '\0';
	snprintf(text, sizeof(text), "%#x {%s} %s", mode, nodemask_str(&mask), nm.policy);
	return text;
}

/*
 * Is @node one of those of @mask that are nearest to @home? find_next_best_node() adds
 * up to 2 to a @distance from there (a lower number, CPUs), so nodes that are so close
 * together are equal; but nothing is as near as the home node itself.
 */
static bool is_nearest(int node, int home, const int *distance, const struct nodemask *mask)
{
	if (!nodemask_isset(mask, node))
		return false;
	for (int i = 0; i < nodes.nr_mem; i++) {
		int other = nodes.mem[i];

		if (nodemask_isset(mask, other) &&
		    (other == home ? node != home : distance[node] > distance[other] + 2))
			return false;
	}
	return true;
}

/* The nodes that are online, also those without memory or without CPUs */
static int online_nodes(struct nodemask *online)
{
	char buf[4096];

	return file_read("/sys/devices/system/node/online", buf, sizeof(buf)) ||
	       nodemask_parse(buf, online) ? -1 : 0;
}

/*
 * Arguments, on any machine: an error changes nothing.
 */
FIXTURE(arguments)
{
	struct nodemask first;
	int node;
	char *p, before[1400];
};

FIXTURE_SETUP(arguments)
{
	NEED_HOME_NODE();
	self->node = nodes.mem[0];
	self->first = NODEMASK(self->node);
	self->p = map_anon();
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, sys_mbind(self->p, NR_PAGES * page, MPOL_BIND, &self->first, 0));
	strcpy(self->before, policy_text(self->p));
}

FIXTURE_TEARDOWN(arguments)
{
	EXPECT_STREQ(self->before, policy_text(self->p));
	EXPECT_EQ(1, vma_count(self->p, NR_PAGES * page));
}

/* "flags" is for the future and must be 0, whatever the range */
TEST_F(arguments, flags)
{
	static const unsigned long flags[] = { 1, 2, 4, 1UL << 15, ~0UL / 2 + 1, ~0UL };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		for (size_t len = 0; len <= page; len += page)
			EXPECT_ERRNO(EINVAL, syscall(SYS_set_mempolicy_home_node, self->p, len,
						     (unsigned long)self->node, flags[i]));
}

/* The home node must be online; the argument is not cut to a smaller type */
TEST_F(arguments, node)
{
	unsigned long bad[] = {
		NUMA_MAX_NODES, INT32_MAX, UINT32_MAX, ~0UL, ~0UL / 2 + 1,
		sizeof(long) > 4 ? (unsigned long)(1ULL << 32) + self->node : ~0UL,
		0,	/* the first that is not online */
	};
	struct nodemask online;

	ASSERT_EQ(0, online_nodes(&online));
	while (nodemask_isset(&online, bad[ARRAY_SIZE(bad) - 1]))
		bad[ARRAY_SIZE(bad) - 1]++;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t len = 0; len <= page; len += page)
			EXPECT_ERRNO(EINVAL, set_home(self->p, len, bad[i]));
	for (int node = 0; node < NUMA_MAX_NODES; node++)
		if (nodemask_isset(&online, node)) {
			EXPECT_EQ(0, set_home(self->p, NR_PAGES * page, node));
		}
}

TEST_F(arguments, unaligned_start)
{
	static const unsigned long offsets[] = { 1, 8, 2048, 4095 };

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
		for (size_t len = 0; len <= page; len += page)
			EXPECT_ERRNO(EINVAL, set_home(self->p + offsets[i], len, self->node));
}

/* A range that ends below its start; one that ends with the address space is valid */
TEST_F(arguments, wraps)
{
	size_t to_end = -(uintptr_t)self->p;

	EXPECT_ERRNO(EINVAL, set_home(self->p, to_end, self->node));
	EXPECT_ERRNO(EINVAL, set_home(self->p, to_end + page, self->node));
	EXPECT_ERRNO(EINVAL, set_home(self->p, -page, self->node));
	EXPECT_ERRNO(EINVAL, set_home((char *)-page, page, self->node));
	EXPECT_EQ(0, set_home(self->p, to_end - page, self->node));
}

/* Nothing to do: as for mbind() success, also where nothing is mapped */
TEST_F(arguments, zero_length)
{
	EXPECT_EQ(0, set_home(self->p, 0, self->node));
	EXPECT_EQ(0, set_home(self->p - page, 0, self->node));
	EXPECT_EQ(0, set_home((char *)-page, 0, self->node));
	EXPECT_EQ(0, set_home(NULL, 0, self->node));
}

/* No mapping in the range, or none that has a policy; the task's does not count */
TEST_F(arguments, nothing_there)
{
	char *hole = map_anon(), *plain = map_anon();

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_NE(MAP_FAILED, plain);
	ASSERT_EQ(0, munmap(hole, NR_PAGES * page));
	EXPECT_ERRNO(ENOENT, set_home(hole, NR_PAGES * page, self->node));
	EXPECT_ERRNO(ENOENT, set_home(plain, NR_PAGES * page, self->node));
	EXPECT_ERRNO(ENOENT, set_home(NULL, page, self->node));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->first));
	EXPECT_ERRNO(ENOENT, set_home(plain, NR_PAGES * page, self->node));
}

/* By the entry of 32-bit programs: the same errors, and the same home node */
TEST_F(arguments, ia32)
{
	const long set_home_nr = 450, size = NR_PAGES * page;
	struct nodemask both;
	char *p;

	if (!ia32_works())
		SKIP(return, "needs ia32");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		 -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	madvise(p, size, MADV_NOHUGEPAGE);
#define IA32_HOME(start, len, node, flags)						\
	ia32_syscall(set_home_nr, (long)(start), (len), (node), (flags), 0, 0)
	EXPECT_ERRNO(ENOENT, IA32_HOME(p, size, self->node, 0));
	ASSERT_EQ(0, sys_mbind(p, size, MPOL_INTERLEAVE, &self->first, 0));
	EXPECT_ERRNO(EOPNOTSUPP, IA32_HOME(p, size, self->node, 0));
	ASSERT_EQ(0, sys_mbind(p, size, MPOL_BIND, &self->first, 0));
	EXPECT_ERRNO(EINVAL, IA32_HOME(p, size, self->node, 1));
	EXPECT_ERRNO(EINVAL, IA32_HOME(p, size, -1, 0));
	EXPECT_ERRNO(EINVAL, IA32_HOME(p, size, NUMA_MAX_NODES, 0));
	EXPECT_ERRNO(EINVAL, IA32_HOME(p + 1, size, self->node, 0));
	EXPECT_EQ(0, IA32_HOME(p, 0, self->node, 0));
	EXPECT_EQ(0, IA32_HOME(p, size, self->node, 0));
	if (far < 0 || near < 0)
		return;
	both = NODEMASK(near, far);
	ASSERT_EQ(0, sys_mbind(p, size, MPOL_BIND, &both, 0));
	ASSERT_STREQ("nnnn", ANON_PAGES(p));
	EXPECT_EQ(0, IA32_HOME(p, size, far, 0));
	EXPECT_STREQ("ffff", ANON_PAGES(p));
}

/*
 * Which policies have a home node, and that nothing else of them changes: mode, mode
 * flags and nodemask as get_mempolicy() and numa_maps show them.
 */
TEST_F(arguments, modes)
{
	static const struct {
		int mode, error;
	} modes[] = {
		{ MPOL_DEFAULT,						ENOENT },
		{ MPOL_LOCAL,						EOPNOTSUPP },
		{ MPOL_PREFERRED,					EOPNOTSUPP },
		{ MPOL_PREFERRED | MPOL_F_STATIC_NODES,			EOPNOTSUPP },
		{ MPOL_INTERLEAVE,					EOPNOTSUPP },
		{ MPOL_WEIGHTED_INTERLEAVE,				EOPNOTSUPP },
		{ MPOL_BIND,						0 },
		{ MPOL_BIND | MPOL_F_STATIC_NODES,			0 },
		{ MPOL_BIND | MPOL_F_RELATIVE_NODES,			0 },
		{ MPOL_BIND | MPOL_F_NUMA_BALANCING,			0 },
		{ MPOL_BIND | MPOL_F_NUMA_BALANCING | MPOL_F_STATIC_NODES, 0 },
		{ MPOL_PREFERRED_MANY,					0 },
		{ MPOL_PREFERRED_MANY | MPOL_F_STATIC_NODES,		0 },
		{ MPOL_PREFERRED_MANY | MPOL_F_RELATIVE_NODES,		0 },
	};
	struct nodemask zero = NODEMASK(0);
	char *p = map_anon(), before[1400];

	ASSERT_NE(MAP_FAILED, p);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int mode = modes[i].mode;
		bool bare = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;

		ASSERT_EQ(0, sys_mbind(p, NR_PAGES * page, mode, bare ? NULL :
				       mode & MPOL_F_RELATIVE_NODES ? &zero : &self->first, 0)) {
			TH_LOG("mode %#x", mode);
		}
		strcpy(before, policy_text(p));
		errno = 0;
		EXPECT_EQ(modes[i].error ? -1 : 0, set_home(p, NR_PAGES * page, self->node)) {
			TH_LOG("mode %#x", mode);
		}
		EXPECT_EQ(modes[i].error, errno);
		EXPECT_STREQ(before, policy_text(p));
	}
}

/*
 * A length so large that it is 0 when rounded up to pages. madvise() refuses it; success
 * would say that all of the range has the policy or the home node.
 */
TEST(length_rounded_up_to_zero)
{
	struct nodemask first = NODEMASK(nodes.mem[0]);
	char *p = map_anon();

	NEED_HOME_NODE();
	NEED_MEMORY_NODES(&nodes, 2);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, sys_mbind(p, NR_PAGES * page, MPOL_BIND, &first, 0));
	ASSERT_EQ(-1, madvise(p, -1UL, MADV_NORMAL));
	ASSERT_EQ(EINVAL, errno);
	EXPECT_ERRNO(EINVAL, sys_mbind(p, -1UL, MPOL_BIND, &first, 0));
	EXPECT_ERRNO(EINVAL, set_home(p, -1UL, nodes.mem[0]));
	EXPECT_ERRNO(EINVAL, set_home(p, -(page - 1), nodes.mem[0]));
}

/*
 * A pointer with a tag: the range is the one without. mbind() takes it, so what it has
 * set can be given a home node.
 */
static bool tags_on(int *shift)
{
#if defined(__x86_64__)
	*shift = 57;
	return !syscall(SYS_arch_prctl, 0x4002 /* ARCH_ENABLE_TAGGED_ADDR */, 6UL);
#elif defined(__aarch64__)
	*shift = 56;
	return !prctl(55 /* PR_SET_TAGGED_ADDR_CTRL */, 1 /* PR_TAGGED_ADDR_ENABLE */, 0, 0, 0);
#else
	*shift = 0;
	return false;
#endif
}

TEST(tagged_address)
{
	struct nodemask first = NODEMASK(nodes.mem[0]);
	char *p = map_anon(), *tagged;
	int shift;

	NEED_HOME_NODE();
	ASSERT_NE(MAP_FAILED, p);
	if (!tags_on(&shift))
		SKIP(return, "needs tagged_addresses");
	tagged = (char *)((uintptr_t)p | (uintptr_t)5 << shift);
	ASSERT_EQ(0, sys_mbind(tagged, NR_PAGES * page, MPOL_BIND, &first, 0));
	EXPECT_EQ(0, set_home(tagged, NR_PAGES * page, nodes.mem[0]));
	EXPECT_ERRNO(ENOENT, set_home(tagged + NR_PAGES * page, page, nodes.mem[0]));
}

/*
 * Ranges and VMAs, in anonymous memory.
 */
FIXTURE(range)
{
	char *p;		/* NR_PAGES for {near, far} */
};

FIXTURE_VARIANT(range)
{
	int mode;
};

FIXTURE_VARIANT_ADD(range, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(range, preferred_many) { .mode = MPOL_PREFERRED_MANY };

FIXTURE_SETUP(range)
{
	NEED_NEAR_AND_FAR();
	self->p = map_anon();
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, bind_both(self->p, 0, NR_PAGES, variant->mode));
	ASSERT_STREQ("nnnn", ANON_PAGES(self->p));
}

FIXTURE_TEARDOWN(range)
{
}

/* All of it, and another home node later */
TEST_F(range, whole)
{
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	EXPECT_STREQ("ffff", ANON_PAGES(self->p));
	ASSERT_EQ(0, home_pages(self->p, 0, 4, near));
	EXPECT_STREQ("nnnn", ANON_PAGES(self->p));
	EXPECT_EQ(1, vma_count(self->p, 4 * page));
}

/* A part of a VMA splits it; what becomes equal again is merged */
TEST_F(range, part)
{
	ASSERT_EQ(0, home_pages(self->p, 1, 2, far));
	EXPECT_STREQ("nffn", ANON_PAGES(self->p));
	EXPECT_EQ(3, vma_count(self->p, 4 * page));
	ASSERT_EQ(0, home_pages(self->p, 3, 1, far));
	EXPECT_STREQ("nfff", ANON_PAGES(self->p));
	EXPECT_EQ(2, vma_count(self->p, 4 * page));
	ASSERT_EQ(0, home_pages(self->p, 2, 1, near));
	EXPECT_STREQ("nfnf", ANON_PAGES(self->p));
	EXPECT_EQ(4, vma_count(self->p, 4 * page));
	ASSERT_EQ(0, home_pages(self->p, 0, 3, far));
	EXPECT_STREQ("ffff", ANON_PAGES(self->p));
	EXPECT_EQ(1, vma_count(self->p, 4 * page));
}

/* A home node that is the local node is not the same as none */
TEST_F(range, part_with_local_node)
{
	ASSERT_EQ(0, home_pages(self->p, 1, 1, near));
	EXPECT_EQ(3, vma_count(self->p, 4 * page));
	EXPECT_STREQ("nnnn", ANON_PAGES(self->p));
}

/* The same again, for all or a part, changes and splits nothing */
TEST_F(range, same_again)
{
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	ASSERT_EQ(0, home_pages(self->p, 1, 2, far));
	EXPECT_STREQ("ffff", ANON_PAGES(self->p));
	EXPECT_EQ(1, vma_count(self->p, 4 * page));
}

/* The length is rounded up to pages */
TEST_F(range, unaligned_length)
{
	ASSERT_EQ(0, set_home(self->p + page, 1, far));
	EXPECT_STREQ("nfnn", ANON_PAGES(self->p));
	ASSERT_EQ(0, set_home(self->p + page, page + 1, far));
	EXPECT_STREQ("nffn", ANON_PAGES(self->p));
}

/* Begin and end in holes, or the range is everything: what has a policy is found */
TEST_F(range, from_hole_to_hole)
{
	ASSERT_EQ(0, set_home(self->p - page, 3 * page, far));
	EXPECT_STREQ("ffnn", ANON_PAGES(self->p));
	ASSERT_EQ(0, set_home(self->p + 3 * page, 2 * page, far));
	EXPECT_STREQ("ffnf", ANON_PAGES(self->p));
	ASSERT_EQ(0, set_home(NULL, (uintptr_t)self->p + 2 * page, near));
	EXPECT_STREQ("nnnf", ANON_PAGES(self->p));
	ASSERT_EQ(0, set_home(NULL, -page, far));
	EXPECT_STREQ("ffff", ANON_PAGES(self->p));
}

/* "Other address ranges are ignored": VMAs without a policy, and holes */
TEST_F(range, no_policy_ignored)
{
	ASSERT_EQ(0, sys_mbind(self->p, page, MPOL_DEFAULT, NULL, 0));
	ASSERT_EQ(0, sys_mbind(self->p + 2 * page, page, MPOL_DEFAULT, NULL, 0));
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	EXPECT_STREQ("nfnf", ANON_PAGES(self->p));
	EXPECT_STREQ("0 {} default", policy_text(self->p));
}

TEST_F(range, hole_inside)
{
	ASSERT_EQ(0, munmap(self->p + page, page));
	ASSERT_EQ(0, home_pages(self->p, 0, 3, far));
	EXPECT_STREQ("f", new_pages(self->p, 1, MADV_DONTNEED));
	EXPECT_STREQ("fn", new_pages(self->p + 2 * page, 2, MADV_DONTNEED));
}

/* Each VMA keeps its own mode and nodes, and equal home nodes do not make them equal */
TEST_F(range, different_policies)
{
	struct nodemask near_only = NODEMASK(near);
	int other = variant->mode == MPOL_BIND ? MPOL_PREFERRED_MANY : MPOL_BIND;

	ASSERT_EQ(0, bind_both(self->p, 1, 1, other));
	ASSERT_EQ(0, sys_mbind(self->p + 2 * page, page, variant->mode, &near_only, 0));
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	EXPECT_STREQ("ffnf", ANON_PAGES(self->p));
	EXPECT_EQ(4, vma_count(self->p, 4 * page));
	ASSERT_EQ(0, bind_both(self->p, 1, 2, variant->mode));
	EXPECT_STREQ("fnnf", ANON_PAGES(self->p));
	EXPECT_EQ(3, vma_count(self->p, 4 * page));
}

/*
 * A policy that has no home node ends the call: VMAs before it have the home node
 * ("we don't reset the home node for vmas we already updated"), those behind do not.
 */
TEST_F(range, stops_at_wrong_mode)
{
	static const int modes[] = {
		MPOL_PREFERRED, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_WEIGHTED_INTERLEAVE,
	};
	struct nodemask near_only = NODEMASK(near);
	char before[1400];

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, bind_both(self->p, 0, 4, variant->mode));
		ASSERT_EQ(0, sys_mbind(self->p + 2 * page, page, modes[i],
				       modes[i] == MPOL_LOCAL ? NULL : &near_only, 0));
		strcpy(before, policy_text(self->p + 2 * page));
		EXPECT_ERRNO(EOPNOTSUPP, home_pages(self->p, 0, 4, far));
		EXPECT_STREQ("ffnn", ANON_PAGES(self->p));
		EXPECT_STREQ(before, policy_text(self->p + 2 * page));
		/* outside of the range it does not matter */
		EXPECT_EQ(0, home_pages(self->p, 3, 1, far));
		EXPECT_STREQ("ffnf", ANON_PAGES(self->p));
	}
}

/* mbind() makes a new policy, which has no home node, even if all else is the same */
TEST_F(range, mbind_forgets)
{
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	ASSERT_EQ(0, bind_both(self->p, 1, 2, variant->mode));
	EXPECT_STREQ("fnnf", ANON_PAGES(self->p));
	ASSERT_EQ(0, bind_both(self->p, 0, 4, variant->mode));
	EXPECT_STREQ("nnnn", ANON_PAGES(self->p));
	EXPECT_EQ(1, vma_count(self->p, 4 * page));
}

/* Pages that are there stay where they are */
TEST_F(range, moves_nothing)
{
	unsigned long count[NUMA_MAX_NODES];

	for (int i = 0; i < NR_PAGES; i++)
		self->p[i * page] = 1;
	ASSERT_EQ(0, home_pages(self->p, 0, 4, far));
	ASSERT_EQ(4, page_nodes(self->p, 4 * page, page, count));
	EXPECT_EQ(4, count[near]);
	ASSERT_EQ(0, madvise(self->p + page, page, MADV_DONTNEED));
	EXPECT_STREQ("nfnn", ANON_PAGES(self->p));
}

/* A child begins with the same home node; afterwards each has its own */
TEST_F(range, fork)
{
	ASSERT_EQ(0, home_pages(self->p, 2, 2, far));
	IN_CHILD({
		EXPECT_STREQ("nnff", ANON_PAGES(self->p));
		ASSERT_EQ(0, home_pages(self->p, 1, 2, near));
		ASSERT_EQ(0, home_pages(self->p, 0, 1, far));
		EXPECT_STREQ("fnnf", ANON_PAGES(self->p));
	});
	EXPECT_STREQ("nnff", ANON_PAGES(self->p));
}

/* The home node goes where the VMA goes */
TEST_F(range, split_and_moved)
{
	char *to = map_anon();

	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(0, home_pages(self->p, 0, 3, far));
	ASSERT_EQ(0, mprotect(self->p + page, page, PROT_READ));
	ASSERT_EQ(0, mprotect(self->p + page, page, PROT_READ | PROT_WRITE));
	EXPECT_STREQ("fffn", ANON_PAGES(self->p));
	ASSERT_EQ(to, mremap(self->p, 3 * page, 3 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_STREQ("fff", new_pages(to, 3, MADV_DONTNEED));
}

/*
 * Placement: every home node there is with several nodemasks, in many of which it is
 * not, and CPUs that are elsewhere.
 */
enum kind { ANON, THP, SHMEM, HUGETLB };

FIXTURE(placement)
{
	char *p;
	size_t step;		/* bytes of a page */
	int nr, advice;
	struct nodemask online, *mask;	/* page i has mask[i] */
};

FIXTURE_VARIANT(placement)
{
	int mode;
	enum kind kind;
};

#define PLACEMENT_VARIANTS(name, mode_)						\
	FIXTURE_VARIANT_ADD(placement, name##_anon)				\
	{ .mode = (mode_), .kind = ANON };					\
	FIXTURE_VARIANT_ADD(placement, name##_thp)				\
	{ .mode = (mode_), .kind = THP };					\
	FIXTURE_VARIANT_ADD(placement, name##_shmem)				\
	{ .mode = (mode_), .kind = SHMEM };					\
	FIXTURE_VARIANT_ADD(placement, name##_hugetlb)				\
	{ .mode = (mode_), .kind = HUGETLB }

PLACEMENT_VARIANTS(bind, MPOL_BIND);
PLACEMENT_VARIANTS(preferred_many, MPOL_PREFERRED_MANY);

static const char *pool_file(int node, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s",
		 node, hugetlb_size() / 1024, name);
	return path;
}

/* Exactly @want free huge pages on @node */
static bool pool_set(int node, long want)
{
	long nr, unused;

	return !file_read_long(pool_file(node, "nr_hugepages"), &nr) &&
	       !file_read_long(pool_file(node, "free_hugepages"), &unused) &&
	       (unused == want ||
		!file_write_long(pool_file(node, "nr_hugepages"), nr - unused + want)) &&
	       !file_read_long(pool_file(node, "free_hugepages"), &unused) && unused == want;
}

/* At most eight nodes with memory, from the first to the last */
static int nr_some(void)
{
	return nodes.nr_mem < 8 ? nodes.nr_mem : 8;
}

static int some(int i)
{
	return nodes.mem[i % nr_some() * (nodes.nr_mem - 1) / (nr_some() - 1)];
}

#define NEED_POOL(node, want) do {					\
	if (!pool_set((node), (want)))					\
		SKIP(return, "needs hugetlb");				\
} while (0)

FIXTURE_SETUP(placement)
{
	bool small = variant->kind == ANON || variant->kind == SHMEM;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;

	NEED_NEAR_AND_FAR();
	ASSERT_EQ(0, online_nodes(&self->online));
	self->nr = small ? 2 * nr_some() : nr_some();
	self->step = page;
	self->advice = MADV_DONTNEED;
	switch (variant->kind) {
	case ANON:
		break;
	case THP:
		NEED_ROOT();	/* for thp_on() */
		self->step = thp_size();
		if (!self->step)
			SKIP(return, "needs thp");
		break;
	case SHMEM:
		flags = MAP_SHARED;
		fd = memfd_create("object", MFD_CLOEXEC);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ftruncate(fd, self->nr * self->step));
		self->advice = MADV_REMOVE;
		break;
	case HUGETLB:
		NEED_ROOT();
		self->step = hugetlb_size();
		if (!self->step)
			SKIP(return, "needs hugetlb");
		for (int i = 0; i < nr_some(); i++)
			NEED_POOL(some(i), self->nr);
		flags |= MAP_HUGETLB;
		break;
	}
	self->p = map_area(self->nr * self->step, self->step, flags, fd);
	ASSERT_NE(MAP_FAILED, self->p);
	if (variant->kind == THP) {
		ASSERT_EQ(0, madvise(self->p, self->nr * self->step, MADV_HUGEPAGE));
	}

	/* two nodes a page: the one half of the machine and the other; then neighbours */
	self->mask = calloc(self->nr, sizeof(*self->mask));
	for (int i = 0; i < self->nr; i++) {
		int apart = i < nr_some() ? (nr_some() + 1) / 2 : 1;

		self->mask[i] = NODEMASK(some(i), some(i + apart));
	}
}

FIXTURE_TEARDOWN(placement)
{
}

/* Touch all pages, say where each is, and take them away */
static void place(struct __test_metadata *_metadata, FIXTURE_DATA(placement) *self,
		  enum kind kind, int *node)
{
	static unsigned long asked[NUMA_MAX_NODES], shown[NUMA_MAX_NODES];
	/* numa_maps counts small pages, but for hugetlb */
	int unit = kind == THP ? self->step / page : 1;
	size_t size = self->nr * self->step;

	memset(asked, 0, sizeof(asked));
	for (int i = 0; i < self->nr; i++) {
		*(volatile char *)(self->p + i * self->step) = 1;
		node[i] = page_node(self->p + i * self->step);
		ASSERT_LE(0, node[i]);
		asked[node[i]] += unit;
	}
	if (kind == THP) {
		ASSERT_EQ(size / 1024, smaps_kb(self->p, size, "AnonHugePages"));
	}
	ASSERT_EQ(self->nr * unit, numa_maps_nodes(self->p, size, shown));
	ASSERT_EQ(0, memcmp(asked, shown, sizeof(asked)));
	ASSERT_EQ(0, madvise(self->p, size, self->advice));
}

/* Each page comes from where it would come from for a task on the home node */
TEST_F(placement, nearest_to_home)
{
	bool small = variant->kind == ANON || variant->kind == SHMEM;
	int *local = calloc(self->nr, sizeof(int)), *found = calloc(self->nr, sizeof(int));
	int distance[NUMA_MAX_NODES], first = -1, last = -1;

	for (int home = 0; home < NUMA_MAX_NODES; home++)
		if (nodemask_isset(&self->online, home)) {
			first = first < 0 ? home : first;
			last = home;
		}
	for (int home = first; home <= last; home++) {
		bool has_cpu;

		/* the two ends will do for pages that take long to clear */
		if (!nodemask_isset(&self->online, home) ||
		    ((!small || (home - first) % ((last - first) / 8 + 1)) &&
		     home != first && home != last))
			continue;
		ASSERT_EQ(0, numa_distances(home, distance));
		for (int i = 0; i < self->nr; i++) {
			ASSERT_EQ(0, sys_mbind(self->p + i * self->step, self->step,
					       variant->mode, &self->mask[i], 0));
		}
		has_cpu = !numa_run_on(&nodes, home);
		if (has_cpu)
			place(_metadata, self, variant->kind, local);
		ASSERT_EQ(0, set_home(self->p, self->nr * self->step, home));

		for (int c = 0; c < nodes.nr_cpu; c += nodes.nr_cpu > 1 ? nodes.nr_cpu - 1 : 1) {
			if (nodes.cpu[c] == home)
				continue;
			ASSERT_EQ(0, numa_run_on(&nodes, nodes.cpu[c]));
			place(_metadata, self, variant->kind, found);
			for (int i = 0; i < self->nr; i++) {
				EXPECT_TRUE(is_nearest(found[i], home, distance, &self->mask[i])) {
					TH_LOG("home %d, on %d: page %d is on %d", home,
					       nodes.cpu[c], i, found[i]);
				}
				if (has_cpu) {
					EXPECT_EQ(local[i], found[i]);
				}
			}
		}
	}
}

/*
 * "With sufficient free memory": the pool of huge pages runs out where ordinary memory
 * would take long to. A SysV segment of huge pages has vm_ops with a set_policy()
 * that does nothing: its policy is the VMA's.
 */
FIXTURE(room)
{
	size_t huge;
	char *p;		/* four huge pages */
};

FIXTURE_VARIANT(room)
{
	int mode;
	bool sysv;
};

FIXTURE_VARIANT_ADD(room, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(room, bind_sysv) { .mode = MPOL_BIND, .sysv = true };
FIXTURE_VARIANT_ADD(room, preferred_many) { .mode = MPOL_PREFERRED_MANY };
FIXTURE_VARIANT_ADD(room, preferred_many_sysv) { .mode = MPOL_PREFERRED_MANY, .sysv = true };

FIXTURE_SETUP(room)
{
	int id;

	NEED_ROOT();
	NEED_NEAR_AND_FAR();
	self->huge = hugetlb_size();
	if (!self->huge)
		SKIP(return, "needs hugetlb");
	for (int i = 0; i < nodes.nr_mem; i++)
		NEED_POOL(nodes.mem[i], nodes.mem[i] == far ? 2 : 1);
	if (!variant->sysv) {
		self->p = map_area(4 * self->huge, self->huge, MAP_PRIVATE | MAP_ANONYMOUS |
				   MAP_HUGETLB | MAP_NORESERVE, -1);
		ASSERT_NE(MAP_FAILED, self->p);
		return;
	}
	id = shmget(IPC_PRIVATE, 4 * self->huge, IPC_CREAT | SHM_HUGETLB | SHM_NORESERVE | 0600);
	ASSERT_LE(0, id);
	self->p = shmat(id, NULL, 0);
	ASSERT_EQ(0, shmctl(id, IPC_RMID, NULL));
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(room)
{
}

/* The home node first, while it has room, and then the nearest to it */
TEST_F(room, home_then_nearest)
{
	struct nodemask all = { }, others = { };
	int distance[NUMA_MAX_NODES];

	for (int i = 0; i < nodes.nr_mem; i++) {
		nodemask_set(&all, nodes.mem[i]);
		if (nodes.mem[i] != far)
			nodemask_set(&others, nodes.mem[i]);
	}
	ASSERT_EQ(0, numa_distances(far, distance));
	ASSERT_EQ(0, sys_mbind(self->p, 4 * self->huge, variant->mode, &all, 0));
	ASSERT_EQ(0, set_home(self->p, 4 * self->huge, far));
	for (int i = 0; i < 3; i++)
		self->p[i * self->huge] = 1;
	EXPECT_EQ(far, page_node(self->p));
	EXPECT_EQ(far, page_node(self->p + self->huge));
	EXPECT_TRUE(is_nearest(page_node(self->p + 2 * self->huge), far, distance, &others));
}

/*
 * The home node is not in the nodemask. When that is exhausted BIND fails, and for
 * PREFERRED_MANY "the allocation will be attempted from the closest numa node to the
 * home node in the system", which is itself.
 */
TEST_F(room, mask_exhausted)
{
	struct nodemask mask = NODEMASK(near);

	ASSERT_EQ(0, sys_mbind(self->p, 4 * self->huge, variant->mode, &mask, 0));
	ASSERT_EQ(0, set_home(self->p, 4 * self->huge, far));
	EXPECT_EQ(0, madvise(self->p, self->huge, MADV_POPULATE_WRITE));
	EXPECT_EQ(near, page_node(self->p));
	if (variant->mode == MPOL_BIND) {
		EXPECT_EQ(-1, madvise(self->p + self->huge, self->huge, MADV_POPULATE_WRITE));
	} else {
		EXPECT_EQ(0, madvise(self->p + self->huge, self->huge, MADV_POPULATE_WRITE));
		EXPECT_EQ(far, page_node(self->p + self->huge));
	}
}

/* A VMA is split between huge pages only, as for mbind() */
TEST_F(room, part_of_huge_page)
{
	struct nodemask both = NODEMASK(near, far);

	ASSERT_EQ(0, sys_mbind(self->p, 4 * self->huge, variant->mode, &both, 0));
	EXPECT_ERRNO(EINVAL, set_home(self->p, page, far));
	EXPECT_ERRNO(EINVAL, set_home(self->p + self->huge - page, page, far));
	EXPECT_EQ(1, vma_count(self->p, 4 * self->huge));
	EXPECT_EQ(0, set_home(self->p + self->huge, self->huge, far));
	EXPECT_EQ(3, vma_count(self->p, 4 * self->huge));
	self->p[0] = self->p[self->huge] = 1;
	EXPECT_EQ(near, page_node(self->p));
	EXPECT_EQ(far, page_node(self->p + self->huge));
}

/*
 * A home node is a place in the machine and not one of the policy's nodes: it may be
 * outside of the nodemask, and of cpuset.mems, which is not looked at when it is set.
 * So a change of cpuset.mems, after which nodes may have other numbers, leaves it as it
 * is, and pages come from the allowed nodes that are closest to it.
 */
FIXTURE(rebind)
{
	char *p;
};

FIXTURE_SETUP(rebind)
{
	NEED_ROOT();
	NEED_NEAR_AND_FAR();
	if (cpuset_error == ENODEV)
		SKIP(return, "needs cpuset");
	ASSERT_EQ(0, cpuset_error);
	self->p = map_anon();
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(rebind)
{
}

static void enter(struct __test_metadata *_metadata, const struct nodemask *mems)
{
	ASSERT_EQ(0, cpuset_set_mems(&cpuset, mems));
	ASSERT_EQ(0, cpuset_enter(&cpuset));
	ASSERT_EQ(0, numa_run_on(&nodes, near));
}

/* Modes that keep their nodemask: what is allowed of it comes and goes */
TEST_F(rebind, home_node_comes_back)
{
	static const int modes[] = { MPOL_BIND | MPOL_F_STATIC_NODES, MPOL_PREFERRED_MANY };
	struct nodemask one = NODEMASK(near), both = NODEMASK(near, far);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		IN_CHILD({
			enter(_metadata, &both);
			ASSERT_EQ(0, bind_both(self->p, 0, NR_PAGES, modes[i]));
			ASSERT_EQ(0, home_pages(self->p, 0, 2, far));
			EXPECT_STREQ("ffnn", ANON_PAGES(self->p));
			ASSERT_EQ(0, cpuset_set_mems(&cpuset, &one));
			EXPECT_STREQ("nnnn", ANON_PAGES(self->p));
			/* also set while it is not allowed */
			EXPECT_EQ(0, home_pages(self->p, 0, 3, far));
			EXPECT_STREQ("nnnn", ANON_PAGES(self->p));
			ASSERT_EQ(0, cpuset_set_mems(&cpuset, &both));
			EXPECT_STREQ("fffn", ANON_PAGES(self->p));
		});
	}
}

/* The nodemask is remapped: {0,1} is {1,2} afterwards, and home node 1 is still 1 */
TEST_F(rebind, not_remapped)
{
	static const int flags[] = { 0, MPOL_F_RELATIVE_NODES };
	int *mem = nodes.mem;

	NEED_MEMORY_NODES(&nodes, 3);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct nodemask before = NODEMASK(mem[0], mem[1]);
		struct nodemask after = NODEMASK(mem[1], mem[2]);
		struct nodemask user = flags[i] ? NODEMASK(0, 1) : before;

		IN_CHILD({
			enter(_metadata, &before);
			ASSERT_EQ(0, sys_mbind(self->p, page, MPOL_BIND | flags[i], &user, 0));
			ASSERT_EQ(0, home_pages(self->p, 0, 1, mem[1]));
			self->p[0] = 1;
			EXPECT_EQ(mem[1], page_node(self->p));
			ASSERT_EQ(0, madvise(self->p, page, MADV_DONTNEED));
			ASSERT_EQ(0, cpuset_set_mems(&cpuset, &after));
			self->p[0] = 1;
			EXPECT_EQ(mem[1], page_node(self->p));
		});
	}
}

/*
 * Shared memory. The policy belongs to the object, and a VMA only has a copy of what
 * was last set through itself: see shared_policy.c. A home node is a part of the policy.
 */
FIXTURE(object)
{
	int fd;
	char *x, *y;		/* two mappings of all of the object */
};

FIXTURE_SETUP(object)
{
	NEED_NEAR_AND_FAR();
	self->fd = memfd_create("object", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, NR_PAGES * page));
	self->x = map_area(NR_PAGES * page, page, MAP_SHARED, self->fd);
	ASSERT_NE(MAP_FAILED, self->x);
	self->y = map_area(NR_PAGES * page, page, MAP_SHARED, self->fd);
	ASSERT_NE(MAP_FAILED, self->y);
}

FIXTURE_TEARDOWN(object)
{
}

/* Everyone who has the object has the home node, mapped or not, also afterwards */
TEST_F(object, shared)
{
	ASSERT_EQ(0, bind_both(self->x, 0, NR_PAGES, MPOL_BIND));
	ASSERT_EQ(0, home_pages(self->x, 1, 2, far));
	EXPECT_STREQ("nffn", SHMEM_PAGES(self->x));
	EXPECT_STREQ("nffn", SHMEM_PAGES(self->y));
	IN_CHILD({
		EXPECT_STREQ("nffn", SHMEM_PAGES(self->y));
	});
	/* a page that write() makes */
	for (int i = 0; i < NR_PAGES; i++) {
		ASSERT_EQ(1, pwrite(self->fd, "", 1, i * page));
	}
	EXPECT_STREQ("nffn", SHMEM_PAGES(self->y));
	ASSERT_EQ(0, munmap(self->x, NR_PAGES * page));
	EXPECT_STREQ("nffn", SHMEM_PAGES(self->y));
	ASSERT_EQ(0, bind_both(self->y, 2, 1, MPOL_PREFERRED_MANY));
	EXPECT_STREQ("nfnn", SHMEM_PAGES(self->y));
}

/* The asked part and nothing else, and the object still has one policy otherwise */
TEST_F(object, part)
{
	ASSERT_EQ(0, bind_both(self->x, 0, NR_PAGES, MPOL_PREFERRED_MANY));
	for (int i = 0; i < NR_PAGES; i++) {
		static const char * const want[] = { "fnnn", "ffnn", "fffn", "ffff" };

		ASSERT_EQ(0, home_pages(self->x, i, 1, far));
		EXPECT_STREQ(want[i], SHMEM_PAGES(self->y));
	}
	ASSERT_EQ(0, home_pages(self->x, 1, 2, near));
	EXPECT_STREQ("fnnf", SHMEM_PAGES(self->y));
}

/* The mapping's own copy has the home node already, the object no longer has it */
FIXTURE(object_stale_copy)
{
	FIXTURE_DATA(object) o;
};

FIXTURE_SETUP(object_stale_copy)
{
	object_setup(_metadata, &self->o, NULL);
}

FIXTURE_TEARDOWN(object_stale_copy)
{
}

TEST_F(object_stale_copy, same_again)
{
	char *x = self->o.x, *y = self->o.y;

	ASSERT_EQ(0, bind_both(x, 0, NR_PAGES, MPOL_BIND));
	ASSERT_EQ(0, home_pages(x, 0, NR_PAGES, far));
	ASSERT_EQ(0, bind_both(y, 0, NR_PAGES, MPOL_BIND));
	ASSERT_STREQ("nnnn", SHMEM_PAGES(y));

	EXPECT_EQ(0, home_pages(x, 0, NR_PAGES, far));
	EXPECT_STREQ("ffff", SHMEM_PAGES(y));
}

/*
 * The policy that gets the home node is the object's, whatever the copy in the VMA is
 * that the call came through: absent, older, or removed.
 */
FIXTURE(object_policy)
{
	FIXTURE_DATA(object) o;
};

FIXTURE_SETUP(object_policy)
{
	object_setup(_metadata, &self->o, NULL);
}

FIXTURE_TEARDOWN(object_policy)
{
}

/* A mapping through which no policy was set has that of the object */
TEST_F(object_policy, other_mapping)
{
	char *x = self->o.x, *y = self->o.y;

	ASSERT_EQ(0, bind_both(x, 0, NR_PAGES, MPOL_BIND));
	ASSERT_STREQ("nnnn", SHMEM_PAGES(y));
	EXPECT_EQ(0, home_pages(y, 1, 2, far));
	EXPECT_STREQ("nffn", SHMEM_PAGES(x));
}

/* The policy of a file that came with the mount option */
TEST_F(object_policy, of_mount_option)
{
	struct nodemask both = NODEMASK(near, far);
	char option[64], *p;
	int fd;

	NEED_ROOT();
	snprintf(option, sizeof(option), "bind:%s", nodemask_str(&both));
	fd = file_in_new_fs("tmpfs", "mpol", option);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR_PAGES * page));
	p = map_area(NR_PAGES * page, page, MAP_SHARED, fd);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_STREQ("nnnn", SHMEM_PAGES(p));
	EXPECT_EQ(0, home_pages(p, 0, NR_PAGES, far));
	EXPECT_STREQ("ffff", SHMEM_PAGES(p));
}

/* Each part of the object keeps its own policy, and a part without one stays without */
TEST_F(object_policy, several_ranges)
{
	struct nodemask near_only = NODEMASK(near);
	char *x = self->o.x, *y = self->o.y, before[NR_PAGES][1400];

	ASSERT_EQ(0, bind_both(x, 0, 1, MPOL_BIND));
	ASSERT_EQ(0, bind_both(x, 2, 1, MPOL_PREFERRED_MANY));
	ASSERT_EQ(0, sys_mbind(x + 3 * page, page, MPOL_BIND, &near_only, 0));
	for (int i = 0; i < NR_PAGES; i++)
		strcpy(before[i], policy_text(x + i * page));
	EXPECT_EQ(0, home_pages(y, 0, NR_PAGES, far));
	EXPECT_STREQ("fnfn", SHMEM_PAGES(x));
	for (int i = 0; i < NR_PAGES; i++) {
		EXPECT_STREQ(before[i], policy_text(x + i * page));
	}
}

/* mbind() through another mapping is not taken back */
TEST_F(object_policy, newer_policy_kept)
{
	char *x = self->o.x, *y = self->o.y, before[1400];

	ASSERT_EQ(0, bind_both(x, 0, NR_PAGES, MPOL_BIND));
	ASSERT_EQ(0, bind_both(y, 0, NR_PAGES, MPOL_PREFERRED_MANY));
	strcpy(before, policy_text(x));
	EXPECT_EQ(0, home_pages(x, 0, NR_PAGES, far));
	EXPECT_STREQ(before, policy_text(x));
	EXPECT_STREQ("ffff", SHMEM_PAGES(y));
}

/* A policy that was removed through another mapping does not come back */
TEST_F(object_policy, removed_policy_stays_removed)
{
	char *x = self->o.x, *y = self->o.y;

	ASSERT_EQ(0, bind_both(x, 0, NR_PAGES, MPOL_BIND));
	ASSERT_EQ(0, bind_both(y, 0, NR_PAGES, MPOL_PREFERRED_MANY));
	ASSERT_EQ(0, sys_mbind(y, NR_PAGES * page, MPOL_DEFAULT, NULL, 0));
	ASSERT_STREQ("0 {} default", policy_text(x));
	EXPECT_ERRNO(ENOENT, home_pages(x, 0, NR_PAGES, far));
	EXPECT_STREQ("0 {} default", policy_text(x));
	EXPECT_STREQ("nnnn", SHMEM_PAGES(x));
}

/* The mode that decides is the object's: one without home nodes now */
TEST_F(object_policy, newer_mode_refused)
{
	char *x = self->o.x, *y = self->o.y, before[1400];

	ASSERT_EQ(0, bind_both(x, 0, NR_PAGES, MPOL_BIND));
	ASSERT_EQ(0, bind_both(y, 0, NR_PAGES, MPOL_INTERLEAVE));
	strcpy(before, policy_text(x));
	EXPECT_ERRNO(EOPNOTSUPP, home_pages(x, 0, NR_PAGES, far));
	EXPECT_STREQ(before, policy_text(x));
}

/* ... and one with home nodes now */
TEST_F(object_policy, older_mode_ignored)
{
	char *x = self->o.x, *y = self->o.y;

	ASSERT_EQ(0, bind_both(x, 0, NR_PAGES, MPOL_INTERLEAVE));
	ASSERT_EQ(0, bind_both(y, 0, NR_PAGES, MPOL_BIND));
	EXPECT_EQ(0, home_pages(x, 0, NR_PAGES, far));
	EXPECT_STREQ("ffff", SHMEM_PAGES(y));
}

/*
 * What the tests share is prepared once, and restored whatever becomes of them: they
 * are in a process of their own. They run on "near".
 */
int main(int argc, char **argv)
{
	struct nodemask first;
	long balancing;
	pid_t pid;
	int status, thp;

	page = page_size();
	if (numa_nodes_get(&nodes))
		return KSFT_FAIL;
	near = numa_node_with_both(&nodes, -1);
	for (int i = 0; i < nodes.nr_mem; i++)
		if (nodes.mem[i] != near)
			far = nodes.mem[i];
	numa_run_on(&nodes, near);
	if (nodes.nr_mem < 2 || geteuid())
		return test_harness_run(argc, argv);	/* tests say why not */

	first = NODEMASK(nodes.mem[0]);
	if (cpuset_create(&cpuset) || cpuset_set_mems(&cpuset, &first))
		cpuset_error = errno;
	for (int i = 0; i < nodes.nr_mem; i++)
		if (file_read_long(pool_file(nodes.mem[i], "nr_hugepages"), &pool_before[i]))
			pool_before[i] = -1;
	balancing = numa_balancing_off();
	thp = thp_on();
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	thp_restore(thp);
	numa_balancing_restore(balancing);
	for (int i = 0; i < nodes.nr_mem; i++)
		if (pool_before[i] >= 0)
			file_write_long(pool_file(nodes.mem[i], "nr_hugepages"), pool_before[i]);
	if (cpuset.name[0] && cpuset_remove(&cpuset)) {
		ksft_print_msg("the cpuset could not be removed: %s\n", strerror(errno));
		return KSFT_FAIL;
	}
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
