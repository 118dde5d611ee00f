// SPDX-License-Identifier: GPL-2.0
/*
 * Policies of shared memory objects.
 *
 * mbind() of a shared mapping of shmem sets the policy of the *object*: it is
 * kept by page index in a tree of the inode (struct shared_policy), is used by
 * everyone who has the object mapped, and outlives the mapping through which it
 * was set ("Shared Policy" in admin-guide/mm/numa_memory_policy.rst). The VMA
 * also remembers in vm_policy what was last asked for through itself. That copy
 * decides about splitting and merging VMAs and nothing else: another mapping can
 * change the tree at any time, and then the copy is stale.
 *
 * Most tests map one object twice in the same process. It has four blocks of
 * BLOCK_PAGES pages, and its policies are written with one letter a block:
 *
 *	block        0     1     2     3
 *	          +-----+-----+-----+-----+
 *	   x -->  |  A  |  B  |  .  |  .  |  <-- y	"AB.."
 *	          +-----+-----+-----+-----+
 *
 * A and B: bound to the first and the second memory node; ".": no policy, so the
 * task policy counts, which is BIND{A} in all tests; "?": anything else. Where
 * pages are is written in the same way, so a page of a block "." is on A.
 *
 * The tests named exact_range_ and stale_cache_ cover two independent
 * properties. exact_range_ tests never ask for what the VMA's own copy already
 * says; stale_cache_ tests look only at the blocks that were asked for, in VMAs
 * that have no neighbour to merge with. So neither group needs the other
 * property to hold.
 */
#include <time.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#define NR_BLOCKS	4
#define BLOCK_PAGES	2

enum { NONE = -1 };	/* for bind_blocks(): MPOL_DEFAULT */

enum kind { MEMFD, TMPFS, SYSV };

FIXTURE(shared_policy)
{
	struct numa_nodes nodes;
	int a, b;		/* the two nodes */
	size_t block, size;	/* bytes of a block and of the object */
	int fd, shmid;
	char *x, *y;		/* two mappings of the whole object */
};

FIXTURE_VARIANT(shared_policy)
{
	enum kind kind;
};

/* shmem_anon_vm_ops */
FIXTURE_VARIANT_ADD(shared_policy, memfd) { .kind = MEMFD };
/* shmem_vm_ops */
FIXTURE_VARIANT_ADD(shared_policy, tmpfs) { .kind = TMPFS };
/* shm_vm_ops, which wraps shmem's; its VMAs have a close(), so none is merged away */
FIXTURE_VARIANT_ADD(shared_policy, sysv) { .kind = SYSV };

/* Map blocks [first, first + nr) of the object, MAP_FAILED on error */
static char *map_blocks(FIXTURE_DATA(shared_policy) *self, int first, int nr)
{
	char *p;

	if (self->fd >= 0) {
		p = mmap(NULL, nr * self->block, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
			 first * self->block);
	} else {
		size_t before = first * self->block, len = nr * self->block;

		/* shmat() knows no offset: attach everything, cut off the rest */
		p = shmat(self->shmid, NULL, 0);
		if (p == MAP_FAILED)
			return p;
		if ((before && munmap(p, before)) ||
		    (before + len < self->size &&
		     munmap(p + before + len, self->size - before - len)))
			return MAP_FAILED;
		p += before;
	}
	/* small pages, so that each is placed by the policy of its own index */
	if (p != MAP_FAILED)
		madvise(p, nr * self->block, MADV_NOHUGEPAGE);
	return p;
}

/* mbind() blocks [first, first + nr) of the mapping @map to @node or to NONE */
static long bind_blocks(FIXTURE_DATA(shared_policy) *self, char *map, int first, int nr, int node)
{
	struct nodemask mask;

	if (node != NONE)
		mask = NODEMASK(node);
	return sys_mbind(map + first * self->block, nr * self->block,
			 node == NONE ? MPOL_DEFAULT : MPOL_BIND,
			 node == NONE ? NULL : &mask, 0);
}

/* What get_mempolicy() says about @nr blocks from @map on, one letter for each */
static const char *policies(FIXTURE_DATA(shared_policy) *self, char *map, int nr)
{
	static char text[NR_BLOCKS + 1];
	struct nodemask a = NODEMASK(self->a), b = NODEMASK(self->b), none = { };

	for (int i = 0; i < nr; i++) {
		for (int page = 0; page < BLOCK_PAGES; page++) {
			char *addr = map + i * self->block + page * page_size(), c = '?';
			struct nodemask mask;
			int mode;

			if (sys_get_mempolicy(&mode, &mask, addr, MPOL_F_ADDR))
				c = '!';
			else if (mode == MPOL_DEFAULT && nodemask_equal(&mask, &none))
				c = '.';
			else if (mode == MPOL_BIND && nodemask_equal(&mask, &a))
				c = 'A';
			else if (mode == MPOL_BIND && nodemask_equal(&mask, &b))
				c = 'B';
			/* a block is one thing */
			text[i] = !page || text[i] == c ? c : '?';
		}
	}
	text[nr] = '\0';
	return text;
}

/*
 * Touch all pages of @nr blocks from @map on and say where they are: move_pages()
 * by block; "disagree" unless numa_maps sees the same for the mapping.
 */
static const char *placement(FIXTURE_DATA(shared_policy) *self, char *map, int nr)
{
	static unsigned long sum[NUMA_MAX_NODES], count[NUMA_MAX_NODES];
	static char text[NR_BLOCKS + 1];

	for (size_t off = 0; off < nr * self->block; off += page_size())
		((volatile char *)map)[off] = 1;
	for (int i = 0; i < nr; i++) {
		page_nodes(map + i * self->block, self->block, page_size(), count);
		text[i] = count[self->a] == BLOCK_PAGES ? 'A' :
			  count[self->b] == BLOCK_PAGES ? 'B' : '?';
	}
	text[nr] = '\0';
	if (page_nodes(map, nr * self->block, page_size(), sum) != nr * BLOCK_PAGES ||
	    numa_maps_nodes(map, nr * self->block, count) != nr * BLOCK_PAGES ||
	    memcmp(sum, count, sizeof(sum)))
		return "disagree";
	return text;
}

FIXTURE_SETUP(shared_policy)
{
	struct nodemask a;

	self->fd = self->shmid = -1;
	ASSERT_EQ(0, numa_nodes_get(&self->nodes));
	NEED_MEMORY_NODES(&self->nodes, 2);
	self->a = self->nodes.mem[0];
	self->b = self->nodes.mem[1];
	self->block = BLOCK_PAGES * page_size();
	self->size = NR_BLOCKS * self->block;

	switch (variant->kind) {
	case MEMFD:
		self->fd = memfd_create("object", MFD_CLOEXEC);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, ftruncate(self->fd, self->size));
		break;
	case TMPFS:
		NEED_ROOT();
		self->fd = file_in_new_fs("tmpfs", NULL, NULL);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, ftruncate(self->fd, self->size));
		break;
	case SYSV:
		self->shmid = shmget(IPC_PRIVATE, self->size, IPC_CREAT | 0600);
		ASSERT_LE(0, self->shmid);
		/* keeps the segment alive, and its end ends the segment */
		EXPECT_NE(MAP_FAILED, shmat(self->shmid, NULL, 0));
		ASSERT_EQ(0, shmctl(self->shmid, IPC_RMID, NULL));
		break;
	}
	self->x = map_blocks(self, 0, NR_BLOCKS);
	ASSERT_NE(MAP_FAILED, self->x);
	self->y = map_blocks(self, 0, NR_BLOCKS);
	ASSERT_NE(MAP_FAILED, self->y);

	a = NODEMASK(self->a);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &a));
}

/* All that a test makes belongs to its process and goes with it */
FIXTURE_TEARDOWN(shared_policy)
{
}

/*
 * (A) mbind() changes [start, end) and nothing else.
 *
 * "The mbind() system call applies a policy to [start, start+len)". A VMA of the
 * range may be merged with a neighbour that remembers the same policy
 * (vma_modify_policy()), but the neighbour's part of the object was not asked
 * for, and what it remembers may be long out of date.
 */

/*
 *	x:	|  a  |     |     |     |	x remembers A for block 0
 *	y:	|  B  |     |     |     |	the tree has had B since
 *	x:	      |--A--|			merges with block 0 in x
 */
TEST_F(shared_policy, exact_range_merge_prev)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 1, self->a));
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, 1, self->b));
	ASSERT_STREQ("B...", policies(self, self->x, NR_BLOCKS));

	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 1, self->a));
	EXPECT_STREQ("BA..", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BA..", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("BAAA", placement(self, self->x, NR_BLOCKS));
}

/*
 *	x:	|     |     |     |  a  |	x remembers A for block 3
 *	y:	|     |     |     |  B  |	the tree has had B since
 *	x:	            |--A--|		merges with block 3 in x
 */
TEST_F(shared_policy, exact_range_merge_next)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 3, 1, self->a));
	ASSERT_EQ(0, bind_blocks(self, self->y, 3, 1, self->b));

	ASSERT_EQ(0, bind_blocks(self, self->x, 2, 1, self->a));
	EXPECT_STREQ("..AB", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("..AB", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("AAAB", placement(self, self->x, NR_BLOCKS));
}

/*
 *	x:	|  a  |     |  a  |     |	x remembers A for 0 and 2
 *	y:	|  B  |     |  B  |     |	the tree has had B since
 *	x:	      |--A--|			fills the gap: one VMA of three
 *
 * VMAs of a SysV segment are not removed by merging, so there is no merge there.
 */
TEST_F(shared_policy, exact_range_merge_both)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 1, self->a));
	ASSERT_EQ(0, bind_blocks(self, self->x, 2, 1, self->a));
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, 1, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->y, 2, 1, self->b));

	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 1, self->a));
	EXPECT_STREQ("BAB.", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BAB.", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("BABA", placement(self, self->x, NR_BLOCKS));
}

/*
 * The same with MPOL_DEFAULT, the likely case: x knows nothing of what y has set,
 * takes back its own policy, and must not take back y's.
 *
 *	y:	|  B  |     |     |     |
 *	x:	|     |--A--|--A--|     |
 *	x:	      | def |			merges with block 0 in x
 */
TEST_F(shared_policy, exact_range_default)
{
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, 1, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 2, self->a));
	ASSERT_STREQ("BAA.", policies(self, self->x, NR_BLOCKS));

	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 1, NONE));
	EXPECT_STREQ("B.A.", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("B.A.", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("BAAA", placement(self, self->x, NR_BLOCKS));
}

/*
 * A range of two VMAs, each of which is merged with what stands before it.
 *
 *	x:	|  a  |  b  |     |     |	x remembers A and B
 *	y:	|  B  |     |     |  B  |	the tree has B for 0 and 3
 *	x:	      |-----A-----|
 *
 * The block after the range has B too, which x does not know, and keeps it. Here
 * too SysV has no merge that reaches block 0.
 */
TEST_F(shared_policy, exact_range_two_vmas)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 1, self->a));
	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 1, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, 1, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->y, 3, 1, self->b));

	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 2, self->a));
	EXPECT_STREQ("BAAB", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BAAB", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("BAAB", placement(self, self->x, NR_BLOCKS));
}

/*
 * (B) mbind() of a shared object takes effect whatever the VMA remembers.
 *
 * That the VMA's vm_policy equals the new policy does not mean that the object
 * has it: success must mean that it does now.
 */

/* x: A, y: B, and A again through x, which still remembers A */
TEST_F(shared_policy, stale_cache_same_policy)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, NR_BLOCKS, self->a));
	ASSERT_STREQ("AAAA", policies(self, self->x, NR_BLOCKS));

	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
	EXPECT_STREQ("BBBB", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BBBB", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("BBBB", placement(self, self->x, NR_BLOCKS));
}

/* A mapping that has never set a policy can remove the one that another has set */
TEST_F(shared_policy, stale_cache_default)
{
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, NR_BLOCKS, self->b));
	ASSERT_STREQ("BBBB", policies(self, self->x, NR_BLOCKS));

	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, NONE));
	EXPECT_STREQ("....", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("....", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("AAAA", placement(self, self->x, NR_BLOCKS));
}

/* Part of a VMA: what was asked for is set, wherever it lies in the VMA */
TEST_F(shared_policy, stale_cache_part)
{
	for (int i = 0; i < NR_BLOCKS; i++) {
		char *z = map_blocks(self, i, 1);

		ASSERT_NE(MAP_FAILED, z);
		ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, NONE));
		ASSERT_EQ(0, bind_blocks(self, self->y, 0, NR_BLOCKS, NONE));
		ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
		ASSERT_EQ(0, bind_blocks(self, self->y, 0, NR_BLOCKS, self->a));

		ASSERT_EQ(0, bind_blocks(self, self->x, i, 1, self->b));
		EXPECT_STREQ("B", policies(self, z, 1));
		EXPECT_STREQ("B", placement(self, z, 1));
		ASSERT_EQ(0, munmap(z, self->block));
	}
}

/*
 * A range of two VMAs of which only the first remembers the policy. They differ
 * in protection, so they stay two.
 *
 *	x:	|  b  |     |     |     |	block 0 is read-only
 *	y:	|  A  |     |     |     |
 *	x:	|-----------B-----------|
 */
TEST_F(shared_policy, stale_cache_two_vmas)
{
	ASSERT_EQ(0, mprotect(self->x, self->block, PROT_READ));
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 1, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->y, 0, 1, self->a));

	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
	EXPECT_STREQ("BBBB", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BBBB", placement(self, self->y, NR_BLOCKS));
}

/*
 * What both properties must leave as it is.
 */

/* Two mappings of an object see one policy, and numa_maps shows it for either */
TEST_F(shared_policy, two_mappings)
{
	struct nodemask b = NODEMASK(self->b);
	char want[64];
	struct numa_maps nm;

	snprintf(want, sizeof(want), "bind:%s", nodemask_str(&b));
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
	EXPECT_STREQ("BBBB", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BBBB", policies(self, self->y, NR_BLOCKS));
	ASSERT_EQ(0, numa_maps_get(self->x, &nm));
	EXPECT_STREQ(want, nm.policy);
	ASSERT_EQ(0, numa_maps_get(self->y, &nm));
	EXPECT_STREQ(want, nm.policy);
	EXPECT_STREQ("BBBB", placement(self, self->y, NR_BLOCKS));
}

/*
 * A process that has the object mapped shares its policies, in both directions,
 * and what it has set stays when it is gone.
 */
TEST_F(shared_policy, two_processes)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 1, self->b));
	IN_CHILD({
		EXPECT_STREQ("B...", policies(self, self->x, NR_BLOCKS));
		EXPECT_STREQ("B", placement(self, self->x, 1));
		ASSERT_EQ(0, bind_blocks(self, self->x, 1, 2, self->b));
	});
	EXPECT_STREQ("BBB.", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BBBA", placement(self, self->x, NR_BLOCKS));
}

/* The policy is the object's: it stays when the mapping that set it is gone */
TEST_F(shared_policy, survives_munmap)
{
	char *z;

	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 2, self->b));
	ASSERT_EQ(0, munmap(self->x, self->size));
	ASSERT_EQ(0, munmap(self->y, self->size));
	z = map_blocks(self, 0, NR_BLOCKS);
	ASSERT_NE(MAP_FAILED, z);
	EXPECT_STREQ("BB..", policies(self, z, NR_BLOCKS));
	EXPECT_STREQ("BBAA", placement(self, z, NR_BLOCKS));
}

/* The task policy counts only where the object has none, before and after */
TEST_F(shared_policy, task_policy_does_not_override)
{
	struct nodemask b = NODEMASK(self->b);

	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 2, self->a));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &b));
	EXPECT_STREQ("AA..", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("AABB", placement(self, self->x, NR_BLOCKS));
}

/*
 * Policies belong to parts of the object, not to addresses: bind block 1 through
 * a mapping that begins there, look through mappings that begin elsewhere.
 *
 *	z:	      |--B--|     |
 *	x:	|     |  B  |     |     |
 */
TEST_F(shared_policy, other_offset)
{
	char *z = map_blocks(self, 1, 2);

	ASSERT_NE(MAP_FAILED, z);
	ASSERT_EQ(0, bind_blocks(self, z, 0, 1, self->b));
	EXPECT_STREQ(".B..", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("B.", policies(self, z, 2));

	/* and back: block 2 is the second of z */
	ASSERT_EQ(0, bind_blocks(self, self->x, 2, 1, self->a));
	EXPECT_STREQ("BA", policies(self, z, 2));
	EXPECT_STREQ("ABAA", placement(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BA", placement(self, z, 2));
}

/*
 * MPOL_DEFAULT takes the policy out of the object, so that the task policy counts
 * again, at first for a part: shared_policy_replace() cuts one range into two.
 */
TEST_F(shared_policy, default_removes)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 1, NONE));
	EXPECT_STREQ("B.BB", policies(self, self->y, NR_BLOCKS));
	EXPECT_STREQ("BABB", placement(self, self->x, NR_BLOCKS));

	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, NONE));
	EXPECT_STREQ("....", policies(self, self->y, NR_BLOCKS));
	ASSERT_EQ(0, madvise(self->x, self->size, MADV_REMOVE));
	EXPECT_STREQ("AAAA", placement(self, self->x, NR_BLOCKS));
}

/*
 * Asking for what the VMA remembers splits nothing, and changes nothing outside
 * of the range: block 3 is A for the object, whatever x remembers.
 */
TEST_F(shared_policy, same_policy_keeps_one_vma)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, NR_BLOCKS, self->b));
	ASSERT_EQ(0, bind_blocks(self, self->y, 3, 1, self->a));
	ASSERT_EQ(1, vma_count(self->x, self->size));

	EXPECT_EQ(0, bind_blocks(self, self->x, 1, 1, self->b));
	EXPECT_EQ(1, vma_count(self->x, self->size));
	EXPECT_STREQ("BBBA", policies(self, self->x, NR_BLOCKS));
	EXPECT_STREQ("BBBA", placement(self, self->x, NR_BLOCKS));
}

/* VMAs that come to remember the same policy are merged, as before */
TEST_F(shared_policy, merges_vmas)
{
	ASSERT_EQ(0, bind_blocks(self, self->x, 0, 1, self->b));
	ASSERT_EQ(2, vma_count(self->x, self->size));
	ASSERT_EQ(0, bind_blocks(self, self->x, 1, 1, self->b));
	EXPECT_EQ(2, vma_count(self->x, self->size));
	EXPECT_STREQ("BB..", policies(self, self->x, NR_BLOCKS));
}

/*
 * Private memory has no second place for policies: the VMA's is the truth. The
 * same policy again, for all or a part, splits nothing; another one does.
 */
TEST(private_same_policy_keeps_one_vma)
{
	size_t page = page_size(), size = 4 * page;
	struct numa_nodes nodes;
	struct nodemask a, b;
	char *p;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	a = NODEMASK(nodes.mem[0]);
	b = NODEMASK(nodes.mem[1]);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);

	ASSERT_EQ(0, sys_mbind(p, size, MPOL_BIND, &b, 0));
	ASSERT_EQ(1, vma_count(p, size));
	EXPECT_EQ(0, sys_mbind(p, size, MPOL_BIND, &b, 0));
	EXPECT_EQ(0, sys_mbind(p + page, page, MPOL_BIND, &b, 0));
	EXPECT_EQ(1, vma_count(p, size));

	ASSERT_EQ(0, sys_mbind(p + page, page, MPOL_BIND, &a, 0));
	EXPECT_EQ(3, vma_count(p, size));
	ASSERT_EQ(0, sys_mbind(p + page, page, MPOL_BIND, &b, 0));
	EXPECT_EQ(1, vma_count(p, size));
	*p = 1;
	EXPECT_EQ(nodes.mem[1], page_node(p));
}

/*
 * (C) A futex with FUTEX2_MPOL is found by all who map the object.
 *
 * The flag puts the futex on the node of the policy of its memory. Memory that is
 * shared has one policy, so waiter and waker have to come to the same node,
 * through whichever mapping it was set (__futex_key_to_node()).
 */

/* Newer than some installed headers: enumerators, so they cannot be asked for */
enum {
	NR_FUTEX_WAKE = 454,
	NR_FUTEX_WAIT = 455,
	U32_MPOL = 0x02 | 0x08,		/* FUTEX2_SIZE_U32 | FUTEX2_MPOL, not private */
};

#define WAIT_MS		5000		/* usual is 1 ms */

FIXTURE(futex)
{
	int nodes[2];
	int fd;
	uint32_t *futex;		/* the waker's mapping: [0] futex, [1] waiter is ready */
};

FIXTURE_VARIANT(futex)
{
	bool waiter_binds, waker_binds;
};

FIXTURE_VARIANT_ADD(futex, none) { };
FIXTURE_VARIANT_ADD(futex, both) { .waiter_binds = true, .waker_binds = true };
FIXTURE_VARIANT_ADD(futex, waiter_binds) { .waiter_binds = true };
FIXTURE_VARIANT_ADD(futex, waker_binds) { .waker_binds = true };

static uint32_t *futex_map(int fd)
{
	return mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static long futex_prefer(uint32_t *futex, int node)
{
	struct nodemask mask = NODEMASK(node);

	return sys_mbind(futex, page_size(), MPOL_PREFERRED, &mask, 0);
}

static long futex_wake(uint32_t *futex)
{
	return syscall(NR_FUTEX_WAKE, futex, 0xffffffffUL, 1, U32_MPOL);
}

static long futex_wait(uint32_t *futex)
{
	int64_t until[2] = { (now_ms() + WAIT_MS) / 1000 + 1, 0 };

	return syscall(NR_FUTEX_WAIT, futex, 0UL, 0xffffffffUL, U32_MPOL, until, CLOCK_MONOTONIC);
}

/* State of a process in /proc/PID/stat, '?' if there is none */
static char task_state(pid_t pid)
{
	char path[64], buf[1024], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, buf, sizeof(buf)))
		return '?';
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : '?';
}

FIXTURE_SETUP(futex)
{
	struct numa_nodes nodes;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	self->nodes[0] = nodes.mem[0];
	self->nodes[1] = nodes.mem[1];
	self->fd = memfd_create("futex", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, page_size()));
	self->futex = futex_map(self->fd);
	ASSERT_NE(MAP_FAILED, self->futex);
	if (futex_wake(self->futex) < 0 && (errno == ENOSYS || errno == EINVAL))
		SKIP(return, "needs futex_mpol");
}

FIXTURE_TEARDOWN(futex)
{
}

/*
 * For two nodes in turn, as a futex without a policy has a node too, and that may
 * be the one of the policy. The policy is set before anyone waits. Who said to be
 * ready and sleeps, does so in futex_wait().
 */
TEST_F(futex, waker_finds_waiter)
{
	for (int i = 0; i < ARRAY_SIZE(self->nodes); i++) {
		long deadline = now_ms() + WAIT_MS, woken;
		volatile uint32_t *ready = self->futex + 1;
		int status;
		pid_t pid;

		*ready = 0;
		if (variant->waker_binds)
			ASSERT_EQ(0, futex_prefer(self->futex, self->nodes[i]));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			uint32_t *futex = futex_map(self->fd);

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			ASSERT_NE(MAP_FAILED, futex);
			if (variant->waiter_binds)
				ASSERT_EQ(0, futex_prefer(futex, self->nodes[i]));
			*ready = 1;
			_exit(!!futex_wait(futex));
		}
		while (!(*ready && task_state(pid) == 'S') && now_ms() < deadline)
			cpu_relax();

		woken = futex_wake(self->futex);
		EXPECT_EQ(1, woken);
		if (woken != 1)
			kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (woken == 1)
			EXPECT_EQ(0, status);
	}
}

TEST_HARNESS_MAIN
