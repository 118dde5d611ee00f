// SPDX-License-Identifier: GPL-2.0
/*
 * Weighted interleave. First its sysfs interface: weights and their automatic mode,
 * as Documentation/ABI/testing/sysfs-kernel-mm-mempolicy-weighted-interleave has it.
 *
 * Then the node of every single page with weights that differ, as
 * Documentation/admin-guide/mm/numa_memory_policy.rst has it: by the number of the
 * page in its object, or by the counter of the task, with weights and policies that
 * change in between. Then memory that the kernel allocates for itself on behalf of a
 * task, many pages at once. The last part is weights from bandwidths, and a node whose
 * memory comes and goes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "numa_util.h"
#include "kselftest_harness.h"
#include "numa_hotplug.h"

#define DIR	"/sys/kernel/mm/mempolicy/weighted_interleave/"

static const char *weight_path(int node)
{
	static char path[sizeof(DIR) + 16];

	snprintf(path, sizeof(path), DIR "node%d", node);
	return path;
}

/* "true", "false", or "" where the kernel has no automatic mode */
static const char *auto_mode(void)
{
	static char text[16];

	if (file_read(DIR "auto", text, sizeof(text)))
		text[0] = '\0';
	return text;
}

struct state {
	struct numa_nodes nodes;
	long weight[NUMA_MAX_NODES];	/* by index in nodes.mem */
	bool was_auto;
};

/*
 * Bandwidth data, if the firmware has any, gives weights in automatic mode; without,
 * all of them are 1.
 */
static int state_get(struct state *s)
{
	if (numa_nodes_get(&s->nodes))
		return -1;
	for (int i = 0; i < s->nodes.nr_mem; i++)
		if (file_read_long(weight_path(s->nodes.mem[i]), &s->weight[i]))
			return -1;
	s->was_auto = !strcmp(auto_mode(), "true");
	return 0;
}

/* Automatic mode last: each weight that is written ends it */
static void state_restore(const struct state *s)
{
	long now;

	for (int i = 0; i < s->nodes.nr_mem; i++)
		if (!file_read_long(weight_path(s->nodes.mem[i]), &now) && now != s->weight[i])
			file_write_long(weight_path(s->nodes.mem[i]), s->weight[i]);
	if (s->was_auto && strcmp(auto_mode(), "true"))
		file_write(DIR "auto", "true");
}

#define NEED_WEIGHTS() do {						\
	if (access(DIR, F_OK))						\
		SKIP(return, "needs weighted_interleave");		\
} while (0)

/* Newer than weights are; without, they are 1 until they are written */
static bool has_auto_mode(void)
{
	return !access(DIR "auto", F_OK);
}

/*
 * A kernel that knows no automatic mode. 6.18 does, in a file that is called by what a macro
 * makes of its name: what is documented is not there, and not tested.
 */
static bool is_manual_only(void)
{
	return !has_auto_mode() && access(DIR "__auto_type", F_OK);
}

#define NEED_AUTO_MODE() do {						\
	if (!has_auto_mode())						\
		SKIP(return, "needs automatic_weights");		\
} while (0)

/* The lesser of read and write bandwidth of @node in MB/s, 0 if it is not known */
static unsigned long bandwidth(int node)
{
	static const char * const file[] = { "read_bandwidth", "write_bandwidth" };
	char path[128];
	long least = 0, value;

	for (int i = 0; i < ARRAY_SIZE(file); i++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/node/node%d/access1/initiators/%s", node, file[i]);
		if (file_read_long(path, &value))
			return 0;
		if (!i || value < least)
			least = value;
	}
	return least;
}

/*
 * Automatic mode of a machine that has told no bandwidths: all weights are 1. For others
 * see bandwidth.again_after_others.
 */
FIXTURE(auto_mode)
{
	struct state s;
};

FIXTURE_VARIANT(auto_mode)
{
	const char *text;
};

/* what kstrtobool() takes for true */
FIXTURE_VARIANT_ADD(auto_mode, word) { .text = "true" };
FIXTURE_VARIANT_ADD(auto_mode, number) { .text = "1" };
FIXTURE_VARIANT_ADD(auto_mode, letter) { .text = "Y" };

FIXTURE_SETUP(auto_mode)
{
	NEED_ROOT();
	NEED_WEIGHTS();
	NEED_AUTO_MODE();
	ASSERT_EQ(0, state_get(&self->s));
	if (bandwidth(self->s.nodes.mem[0]))
		SKIP(return, "needs unknown_bandwidth");
}

FIXTURE_TEARDOWN_PARENT(auto_mode)
{
	state_restore(&self->s);
}

/* "Writing any true value string will enable auto mode": after a "false" too */
TEST_F(auto_mode, comes_back_after_false)
{
	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	ASSERT_STREQ("false", auto_mode());
	EXPECT_EQ(0, file_write(DIR "auto", variant->text));
	EXPECT_STREQ("true", auto_mode());
}

/* and after a weight was written, which then counts no more */
TEST_F(auto_mode, comes_back_after_a_weight)
{
	int node = self->s.nodes.mem[0];
	long weight;

	ASSERT_EQ(0, file_write_long(weight_path(node), 200));
	ASSERT_STREQ("false", auto_mode());
	EXPECT_EQ(0, file_write(DIR "auto", variant->text));
	EXPECT_STREQ("true", auto_mode());
	ASSERT_EQ(0, file_read_long(weight_path(node), &weight));
	EXPECT_NE(200, weight);
}

/* Automatic mode where there is automatic mode: accepted, nothing changes */
TEST_F(auto_mode, stays)
{
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, file_write(DIR "auto", variant->text));
		EXPECT_STREQ("true", auto_mode());
	}
}

FIXTURE(manual)
{
	struct state s;
};

FIXTURE_SETUP(manual)
{
	NEED_ROOT();
	NEED_WEIGHTS();
	ASSERT_EQ(0, state_get(&self->s));
}

FIXTURE_TEARDOWN_PARENT(manual)
{
	state_restore(&self->s);
}

/* A weight ends automatic mode and changes no other node's weight */
TEST_F(manual, weight_of_one_node)
{
	struct state *s = &self->s;
	int last = s->nodes.nr_mem - 1;

	for (int i = 0; i <= last; i++) {
		long seen, weight = s->weight[i] == 7 ? 8 : 7;

		ASSERT_EQ(0, file_write_long(weight_path(s->nodes.mem[i]), weight));
		if (has_auto_mode())
			EXPECT_STREQ("false", auto_mode());
		for (int j = 0; j <= last; j++) {
			ASSERT_EQ(0, file_read_long(weight_path(s->nodes.mem[j]), &seen));
			EXPECT_EQ(j == i ? weight : s->weight[j], seen);
		}
		ASSERT_EQ(0, file_write_long(weight_path(s->nodes.mem[i]), s->weight[i]));
	}
}

/* "false" keeps the weights that are in effect */
TEST_F(manual, keeps_weights)
{
	struct state *s = &self->s;
	long seen;

	NEED_AUTO_MODE();
	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	for (int i = 0; i < s->nodes.nr_mem; i++) {
		ASSERT_EQ(0, file_read_long(weight_path(s->nodes.mem[i]), &seen));
		EXPECT_EQ(s->weight[i], seen);
	}
}

/*
 * "Minimum weight: 1, maximum weight: 255". Without automatic mode 0 stands for the
 * system default.
 */
TEST_F(manual, limits)
{
	static const char * const bad[] = { "256", "-1", "x", "1x", " ", "0" };
	int nr = ARRAY_SIZE(bad) - is_manual_only();
	const char *path = weight_path(self->s.nodes.mem[0]);
	long seen;

	for (long weight = 1; weight <= 255; weight += 127) {
		ASSERT_EQ(0, file_write_long(path, weight));
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(weight, seen);
	}
	for (int i = 0; i < nr; i++) {
		EXPECT_EQ(-1, file_write(path, bad[i]));
		EXPECT_EQ(EINVAL, errno);
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(255, seen);
	}
	if (is_manual_only()) {
		ASSERT_EQ(0, file_write(path, "0"));
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(1, seen);
	}
}

/* "All other strings are ignored and will return -EINVAL" */
TEST_F(manual, what_is_no_truth_value)
{
	static const char * const bad[] = { "2", "maybe", "auto", " " };
	char before[16];

	NEED_AUTO_MODE();
	snprintf(before, sizeof(before), "%s", auto_mode());
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, file_write(DIR "auto", bad[i]));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_STREQ(before, auto_mode());
	}
}

/*
 * Nodes have a file if, and only if, they have memory. Files that do not come and go
 * with it are as old as weights without automatic mode: then all nodes have one.
 */
TEST_F(manual, files)
{
	struct nodemask with_file = { };
	char possible[4096];

	for (int i = 0; i < self->s.nodes.nr_mem; i++)
		nodemask_set(&with_file, self->s.nodes.mem[i]);
	if (is_manual_only()) {
		ASSERT_EQ(0, file_read("/sys/devices/system/node/possible", possible,
				       sizeof(possible)));
		ASSERT_EQ(0, nodemask_parse(possible, &with_file));
	}
	for (int node = 0; node < NUMA_MAX_NODES; node++)
		EXPECT_EQ(nodemask_isset(&with_file, node), !access(weight_path(node), F_OK));
}

/*
 * What the tests of placement share. They use the first nodes of the machine; sets
 * of these are written as bits, and bits of nodes that there are not mean nothing.
 */
#define MAX_NODES	4
#define MAX_PAGES	320

static const int weights[][MAX_NODES] = {
	{ 3, 1, 2, 4 },
	{ 1, 2, 3, 1 },
	{ 1, 255, 1, 1 },
	{ 255, 1, 1, 1 },
	{ 1, 1, 1, 1 },
};

struct machine {
	struct state s;
	int nr, node[MAX_NODES];
	int weight[MAX_NODES];
	long balancing;
	int thp;
};

/* Of use in a setup, which has to end if it skips: there is no teardown then */
#define MACHINE_GET(m) do {						\
	NEED_ROOT();							\
	NEED_WEIGHTS();							\
	ASSERT_EQ(0, state_get(&(m)->s));				\
	NEED_MEMORY_NODES(&(m)->s.nodes, 2);				\
	machine_get(m);							\
	ASSERT_EQ(0, numa_run_on(&(m)->s.nodes, (m)->s.nodes.cpu[0]));	\
} while (0)

static void machine_get(struct machine *m)
{
	m->nr = m->s.nodes.nr_mem < MAX_NODES ? m->s.nodes.nr_mem : MAX_NODES;
	for (int i = 0; i < m->nr; i++) {
		m->node[i] = m->s.nodes.mem[i];
		m->weight[i] = m->s.weight[i];
	}
}

/* The last step of a setup: what changes the machine is for the test itself to do */
static void machine_prepare(struct machine *m)
{
	m->thp = thp_on();
	m->balancing = numa_balancing_off();
}

static void machine_restore(struct machine *m)
{
	numa_balancing_restore(m->balancing);
	thp_restore(m->thp);
	state_restore(&m->s);
}

/* Each change waits for a grace period, so there is none without need */
static int set_weights(struct machine *m, const int *weight)
{
	for (int i = 0; i < m->nr; i++) {
		if (m->weight[i] == weight[i])
			continue;
		if (file_write_long(weight_path(m->node[i]), weight[i]))
			return -1;
		m->weight[i] = weight[i];
	}
	return 0;
}

static unsigned int all_nodes(const struct machine *m)
{
	return (1u << m->nr) - 1;
}

static struct nodemask mask_of(const struct machine *m, unsigned int set)
{
	struct nodemask mask = { };

	for (int i = 0; i < m->nr; i++)
		if (set >> i & 1)
			nodemask_set(&mask, m->node[i]);
	return mask;
}

/* The weight of node @i in @set: with @weighted 0 all are 1, as MPOL_INTERLEAVE has it */
static int weight_in(const struct machine *m, unsigned int set, bool weighted, int i)
{
	if (!(set >> i & 1))
		return 0;
	return weighted ? m->weight[i] : 1;
}

/* The place of page @number: rounds of as many pages as all weights are together */
static int nth_place(const struct machine *m, unsigned int set, bool weighted,
		     unsigned long number)
{
	unsigned long round = 0;
	int i;

	for (i = 0; i < m->nr; i++)
		round += weight_in(m, set, weighted, i);
	number %= round;
	for (i = 0; number >= weight_in(m, set, weighted, i); i++)
		number -= weight_in(m, set, weighted, i);
	return i;
}

/*
 * Are the pages at @addr on the nodes @want? move_pages() is asked about each, and
 * numa_maps shows as many for each node, in units of @unit small pages. Only the
 * first page that is somewhere else is told of.
 */
static void expect_nodes(struct __test_metadata *_metadata, void **addr, const int *want, int nr,
			 int unit, void *map, size_t size)
{
	static unsigned long sum[NUMA_MAX_NODES], shown[NUMA_MAX_NODES];
	int node[MAX_PAGES];

	memset(sum, 0, sizeof(sum));
	ASSERT_EQ(0, sys_move_pages(0, nr, addr, NULL, node, 0));
	for (int i = 0; i < nr; i++) {
		EXPECT_EQ(want[i], node[i]) {
			TH_LOG("page %d of %d", i, nr);
			return;
		}
		sum[want[i]] += unit;
	}
	ASSERT_EQ(nr * unit, numa_maps_nodes(map, size, shown));
	EXPECT_EQ(0, memcmp(sum, shown, sizeof(sum)));
}

/*
 * By number: "the page offset of the faulting address" in the object, in units of the
 * page that is allocated.
 */
enum object { ANON, MOVED, PRIVATE_FILE, SHMEM, THP, SHMEM_THP, HUGETLB };

FIXTURE(by_number)
{
	struct machine m;
	size_t page;
	long pool[MAX_NODES];	/* hugetlb pages that there were */
};

FIXTURE_VARIANT(by_number)
{
	enum object object;
	bool task;		/* the policy is the task's, or the VMA's */
};

#define BY_NUMBER_VARIANTS(name, object_)				\
	FIXTURE_VARIANT_ADD(by_number, name)				\
	{ .object = (object_) };					\
	FIXTURE_VARIANT_ADD(by_number, name##_task)			\
	{ .object = (object_), .task = true }

BY_NUMBER_VARIANTS(anon, ANON);
BY_NUMBER_VARIANTS(moved, MOVED);
BY_NUMBER_VARIANTS(private_file, PRIVATE_FILE);
BY_NUMBER_VARIANTS(shmem, SHMEM);
BY_NUMBER_VARIANTS(thp, THP);
BY_NUMBER_VARIANTS(shmem_thp, SHMEM_THP);
BY_NUMBER_VARIANTS(hugetlb, HUGETLB);

#define NR_HUGE	4

static const char *pool_path(int node)
{
	static char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/nr_hugepages",
		 node, hugetlb_size() / 1024);
	return path;
}

FIXTURE_SETUP(by_number)
{
	struct machine *m = &self->m;

	memset(self->pool, -1, sizeof(self->pool));
	MACHINE_GET(m);
	self->page = page_size();
	if (variant->object == THP || variant->object == SHMEM_THP) {
		self->page = thp_size();
		if (!self->page)
			SKIP(return, "needs thp");
	} else if (variant->object == HUGETLB) {
		self->page = hugetlb_size();
		if (!self->page)
			SKIP(return, "needs hugetlb");
	}
	machine_prepare(m);
}

FIXTURE_TEARDOWN_PARENT(by_number)
{
	for (int i = 0; i < self->m.nr; i++)
		if (self->pool[i] >= 0)
			file_write_long(pool_path(self->m.node[i]), self->pool[i]);
	machine_restore(&self->m);
}

/* Addresses for @size bytes at a multiple of @align, with nothing around them */
static char *reserve(size_t size, size_t align)
{
	char *p = mmap(NULL, size + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p++;
	return p + (-(uintptr_t)p & (align - 1));
}

/* @nr untouched pages, and the number of the first; files are mapped from the third on */
static char *object_map(enum object object, int nr, size_t page, unsigned long *number)
{
	bool huge = object == THP || object == SHMEM_THP;
	size_t size = nr * page;
	char *p = reserve(size, page), *from;
	struct stat st;
	int fd;

	if (object == MOVED) {
		/* only a mapping that has a page, the first, keeps its numbers */
		from = reserve(size + page, page);
		if (mmap(from, size + page, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ||
		    madvise(from, size + page, MADV_NOHUGEPAGE))
			return NULL;
		*from = 1;
		*number = (uintptr_t)from / page + 1;
		p = reserve(size + 2 * page, page) + page;
		p = mremap(from, size + page, size + page, MREMAP_MAYMOVE | MREMAP_FIXED, p);
		return p == MAP_FAILED || munmap(p, page) ? NULL : p + page;
	}
	if (object == ANON || object == THP) {
		*number = (uintptr_t)p / page;
		p = mmap(p, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	} else {
		fd = object == PRIVATE_FILE ? file_in_new_fs("ramfs", NULL, NULL) :
		     object == HUGETLB ? memfd_create("object", MFD_CLOEXEC | MFD_HUGETLB) :
		     file_in_new_fs("tmpfs", "huge", huge ? "always" : "never");
		if (fd < 0 || ftruncate(fd, size + 2 * page) || fstat(fd, &st))
			return NULL;
		*number = 2;
		/* shmem_get_pgoff_policy(): small files do not all begin on the same node */
		if (object == SHMEM || object == SHMEM_THP)
			*number += st.st_ino;
		p = mmap(p, size, PROT_READ | PROT_WRITE,
			 MAP_FIXED | (object == PRIVATE_FILE ? MAP_PRIVATE : MAP_SHARED),
			 fd, 2 * page);
		close(fd);
	}
	if (p == MAP_FAILED)
		return NULL;
	if (object != HUGETLB)
		madvise(p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return p;
}

/* New pages of the object by a policy for the nodes of @set */
static void place(struct __test_metadata *_metadata, FIXTURE_DATA(by_number) *self,
		  const FIXTURE_VARIANT(by_number) *variant, unsigned int set, int nr)
{
	int unit = variant->object == HUGETLB ? 1 : self->page / page_size();
	struct nodemask mask = mask_of(&self->m, set);
	size_t size = nr * self->page;
	unsigned long number = 0;
	void *addr[MAX_PAGES];
	int want[MAX_PAGES];
	char *p;

	p = object_map(variant->object, nr, self->page, &number);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, variant->task ? sys_set_mempolicy(MPOL_WEIGHTED_INTERLEAVE, &mask) :
				     sys_mbind(p, size, MPOL_WEIGHTED_INTERLEAVE, &mask, 0));
	for (int i = 0; i < nr; i++) {
		addr[i] = p + i * self->page;
		*(volatile char *)addr[i] = 1;
		want[i] = self->m.node[nth_place(&self->m, set, true, number + i)];
	}
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	if (variant->object == THP || variant->object == SHMEM_THP)
		ASSERT_EQ(size / 1024, smaps_kb(p, size, variant->object == THP ? "AnonHugePages" :
						"ShmemPmdMapped"));
	expect_nodes(_metadata, addr, want, nr, unit, p, size);
	munmap(p, size);
}

/*
 * All of the nodes, and some: those that are left out have no part in the numbers; and
 * the least and the greatest weight that there is.
 */
TEST_F(by_number, nodes)
{
	static const struct {
		int weights, nr;
		unsigned int set;
	} cases[] = {
		{ 0, 32, 0xf }, { 0, 32, 0x5 }, { 0, 32, 0xe }, { 0, 16, 0x2 }, { 2, 300, 0xf },
	};

	for (int i = 0; i < self->m.nr && variant->object == HUGETLB; i++) {
		const char *path = pool_path(self->m.node[i]);
		long had, has;

		ASSERT_EQ(0, file_read_long(path, &had));
		self->pool[i] = had;
		ASSERT_EQ(0, file_write_long(path, had + NR_HUGE));
		ASSERT_EQ(0, file_read_long(path, &has));
		ASSERT_EQ(had + NR_HUGE, has);
	}
	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, set_weights(&self->m, weights[cases[i].weights]));
		place(_metadata, self, variant, cases[i].set & all_nodes(&self->m),
		      self->page == page_size() ? cases[i].nr : NR_HUGE);
		/* large pages take long to clear */
		if (self->page != page_size() && i)
			break;
	}
}

/*
 * Large pages of one mapping that begins between two of them. The numbers are of the
 * mapping and not of its parts: a change of one part that needs a VMA of its own does
 * not change where the pages of the others go.
 */
FIXTURE(split_mapping)
{
	struct machine m;
};

FIXTURE_SETUP(split_mapping)
{
	MACHINE_GET(&self->m);
	if (!thp_size())
		SKIP(return, "needs thp");
	machine_prepare(&self->m);
}

FIXTURE_TEARDOWN_PARENT(split_mapping)
{
	machine_restore(&self->m);
}

/*
 *	|  small | THP | THP  :  THP | THP |
 *	                      ^ two VMAs if split
 */
TEST_F(split_mapping, thp)
{
	size_t size = thp_size(), before = size / 2, len = before + NR_HUGE * size;
	struct nodemask all = mask_of(&self->m, all_nodes(&self->m));
	int node[2][NR_HUGE];
	char *start;

	start = reserve(len + before, size) + before;
	for (int split = 0; split < 2; split++) {
		char *p = start + before;

		ASSERT_EQ(start, mmap(start, len, PROT_READ | PROT_WRITE,
				      MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		ASSERT_EQ(0, madvise(start, len, MADV_HUGEPAGE));
		ASSERT_EQ(0, sys_mbind(start, len, MPOL_INTERLEAVE, &all, 0));
		if (split)
			ASSERT_EQ(0, madvise(p + 2 * size, 2 * size, MADV_DONTFORK));
		for (int i = 0; i < NR_HUGE; i++) {
			p[i * size] = 1;
			node[split][i] = page_node(p + i * size);
		}
		ASSERT_EQ(NR_HUGE * size / 1024, smaps_kb(start, len, "AnonHugePages"));
	}
	for (int i = 0; i < NR_HUGE; i++)
		EXPECT_EQ(node[0][i], node[1][i]);
}

/*
 * By the counter of the task, which page cache of ramfs follows (that has no policy of
 * its own). The page that is written is the only one that is allocated: the file has
 * a page in each node of its tree beforehand. So every step of the counter is known.
 *
 * A child takes the steps, and its parent has a turn where there is something to change.
 */
#define MAX_STEPS	10
#define TREE_SLOTS	64

enum { INTERLEAVE = 1, WEIGHTED, BIND, WRITE, WEIGHTS, MEMS };

struct step {
	int what;
	unsigned int arg;	/* set of nodes, number of pages or index of weights[] */
};

struct shared {
	int turn;		/* odd: the parent's */
	int next[MAX_PAGES];	/* what MPOL_F_NODE told before each page */
};

FIXTURE(by_counter)
{
	struct machine m;
	struct cpuset cpuset;
	struct shared *shared;
	int fd;
};

FIXTURE_VARIANT(by_counter)
{
	struct step steps[MAX_STEPS];
	bool cpuset;
};

/* { 3, 1, 2, 4 } all along: the first nodes in full, and round */
FIXTURE_VARIANT_ADD(by_counter, rounds) {
	.steps = { { WEIGHTED, 0xf }, { WRITE, 40 } },
};
FIXTURE_VARIANT_ADD(by_counter, some_nodes) {
	.steps = { { WEIGHTED, 0x5 }, { WRITE, 12 }, { WEIGHTED, 0xe }, { WRITE, 15 },
		   { WEIGHTED, 0x2 }, { WRITE, 5 } },
};
FIXTURE_VARIANT_ADD(by_counter, not_weighted) {
	.steps = { { INTERLEAVE, 0xf }, { WRITE, 9 }, { INTERLEAVE, 0x5 }, { WRITE, 5 } },
};
/* a policy begins at its lowest node, whatever there was before */
FIXTURE_VARIANT_ADD(by_counter, new_policy) {
	.steps = { { WEIGHTED, 0xf }, { WRITE, 2 }, { WEIGHTED, 0xf }, { WRITE, 5 },
		   { INTERLEAVE, 0xf }, { WRITE, 3 }, { WEIGHTED, 0xe }, { WRITE, 4 } },
};
FIXTURE_VARIANT_ADD(by_counter, bind_between) {
	.steps = { { WEIGHTED, 0xf }, { WRITE, 5 }, { BIND, 0x2 }, { WRITE, 3 },
		   { WEIGHTED, 0xf }, { WRITE, 8 } },
};
/* pages that are left of the old weight come first: new ones count from the next node on */
FIXTURE_VARIANT_ADD(by_counter, new_weights) {
	.steps = { { WEIGHTED, 0xf }, { WRITE, 1 }, { WEIGHTS, 1 }, { WRITE, 12 },
		   { WEIGHTS, 0 }, { WRITE, 12 } },
};
/* ... also if the old weight was used up */
FIXTURE_VARIANT_ADD(by_counter, new_weights_at_the_end) {
	.steps = { { WEIGHTED, 0xf }, { WRITE, 3 }, { WEIGHTS, 1 }, { WRITE, 9 } },
};
FIXTURE_VARIANT_ADD(by_counter, limits) {
	.steps = { { WEIGHTS, 2 }, { WEIGHTED, 0xf }, { WRITE, 260 } },
};
FIXTURE_VARIANT_ADD(by_counter, from_255_to_1) {
	.steps = { { WEIGHTS, 3 }, { WEIGHTED, 0xf }, { WRITE, 5 }, { WEIGHTS, 4 },
		   { WRITE, 260 } },
};
/* a node that is no longer allowed is left at once, and the next has its full weight */
FIXTURE_VARIANT_ADD(by_counter, cpuset) {
	.cpuset = true,
	.steps = { { WEIGHTED, 0xf }, { WRITE, 1 }, { MEMS, 0xe }, { WRITE, 9 },
		   { MEMS, 0xf }, { WRITE, 9 } },
};
/* one that remains keeps what is left of its weight */
FIXTURE_VARIANT_ADD(by_counter, cpuset_keeps) {
	.cpuset = true,
	.steps = { { WEIGHTED, 0xf }, { WRITE, 1 }, { MEMS, 0x3 }, { WRITE, 9 } },
};

FIXTURE_SETUP(by_counter)
{
	struct machine *m = &self->m;

	MACHINE_GET(m);
	self->fd = file_in_new_fs("ramfs", NULL, NULL);
	ASSERT_LE(0, self->fd);
	for (int i = 0; i < MAX_PAGES; i += TREE_SLOTS)
		ASSERT_EQ(1, pwrite(self->fd, "", 1, i * page_size()));
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	if (variant->cpuset && cpuset_create(&self->cpuset)) {
		if (errno == ENODEV)
			SKIP(return, "needs cpuset");
		ASSERT_EQ(0, errno);
	}
	machine_prepare(m);
}

FIXTURE_TEARDOWN_PARENT(by_counter)
{
	if (self->cpuset.name[0])
		cpuset_remove(&self->cpuset);
	machine_restore(&self->m);
}

/* The node that the task's counter names for the next page, or -1 */
static int next_node(void)
{
	int node;

	return sys_get_mempolicy(&node, NULL, NULL, MPOL_F_NODE) ? -1 : node;
}

/* The page of the file that is written as number @i: all but those that are there */
static int file_page(int i)
{
	return i + i / (TREE_SLOTS - 1) + 1;
}

/* Wait for a turn; nothing that would allocate a page */
static void wait_turn(struct shared *s, int odd)
{
	while (__atomic_load_n(&s->turn, __ATOMIC_ACQUIRE) % 2 != odd) {
		sched_yield();
		cpu_relax();
	}
}

static void end_turn(struct shared *s)
{
	__atomic_add_fetch(&s->turn, 1, __ATOMIC_RELEASE);
}

/* In the child */
static bool take_steps(FIXTURE_DATA(by_counter) *self, const struct step *step)
{
	static const int mode[] = {
		[INTERLEAVE] = MPOL_INTERLEAVE,
		[WEIGHTED] = MPOL_WEIGHTED_INTERLEAVE | MPOL_F_STATIC_NODES,
		[BIND] = MPOL_BIND,
	};
	struct nodemask mask;
	int written = 0;

	/* from here on no page is missing but those that are written */
	wait_turn(self->shared, 0);
	self->shared->next[0] = next_node();
	if (pwrite(self->fd, "", 1, 0) != 1)
		return false;
	for (; step->what; step++) {
		switch (step->what) {
		case WRITE:
			for (int i = 0; i < step->arg; i++, written++) {
				self->shared->next[written] = next_node();
				if (pwrite(self->fd, "", 1, file_page(written) * page_size()) != 1)
					return false;
			}
			break;
		case WEIGHTS:
		case MEMS:
			end_turn(self->shared);
			wait_turn(self->shared, 0);
			break;
		default:
			mask = mask_of(&self->m, step->arg);
			if (sys_set_mempolicy(mode[step->what], &mask))
				return false;
		}
	}
	return true;
}

/* The counter as a plain model has it: MPOL_F_STATIC_NODES makes it easy with cpusets */
struct counter {
	int mode;
	unsigned int set, mems;
	int last, left;		/* place of the last page, pages that are due there */
};

/* Where the next page goes to */
static int counter_peek(const struct counter *c)
{
	unsigned int set = c->set & c->mems;
	int i = c->last;

	if (c->left && set >> i & 1)
		return i;
	do
		i = (i + 1) % MAX_NODES;
	while (!(set >> i & 1));
	return i;
}

static void counter_step(const struct machine *m, struct counter *c)
{
	int place = counter_peek(c);

	if (c->mode == BIND)
		return;
	if (c->mode == INTERLEAVE || place != c->last || !c->left)
		c->left = weight_in(m, c->set, c->mode == WEIGHTED, place);
	c->left--;
	c->last = place;
}

/* Have the steps taken; @want and @next become the nodes that the model has */
static int run_steps(struct __test_metadata *_metadata, FIXTURE_DATA(by_counter) *self,
		     const struct step *step, int *want, int *next)
{
	struct counter c = { .mems = all_nodes(&self->m) };
	struct machine *m = &self->m;
	struct nodemask mask;
	int nr = 0, status;
	pid_t pid;

	ASSERT_EQ(0, set_weights(m, weights[0]));
	mask = mask_of(m, c.mems);
	if (self->cpuset.name[0])
		ASSERT_EQ(0, cpuset_set_mems(&self->cpuset, &mask));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (self->cpuset.name[0] && (cpuset_enter(&self->cpuset) ||
		    numa_run_on(&m->s.nodes, m->s.nodes.cpu[0])))
			_exit(1);
		_exit(!take_steps(self, step));
	}
	ASSERT_LT(0, pid);
	for (; step->what; step++) {
		switch (step->what) {
		case WRITE:
			for (int i = 0; i < step->arg; i++, nr++) {
				int place = counter_peek(&c);

				want[nr] = m->node[place];
				next[nr] = c.mode == BIND ? -1 : want[nr];
				counter_step(m, &c);
			}
			break;
		case WEIGHTS:
		case MEMS:
			wait_turn(self->shared, 1);
			if (step->what == WEIGHTS) {
				ASSERT_EQ(0, set_weights(m, weights[step->arg]));
			} else {
				c.mems = step->arg & all_nodes(m);
				mask = mask_of(m, c.mems);
				ASSERT_EQ(0, cpuset_set_mems(&self->cpuset, &mask));
			}
			end_turn(self->shared);
			break;
		default:
			c = (struct counter) {
				.mode = step->what,
				.set = step->arg & all_nodes(m),
				.mems = c.mems,
				.last = MAX_NODES - 1,
			};
		}
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	return nr;
}

TEST_F(by_counter, placement)
{
	int want[MAX_PAGES], next[MAX_PAGES], nr;
	size_t size = MAX_PAGES * page_size();
	void *addr[MAX_PAGES];
	char *p;

	nr = run_steps(_metadata, self, variant->steps, want, next);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < nr; i++) {
		addr[i] = p + file_page(i) * page_size();
		(void)*(volatile char *)addr[i];
	}
	/* what was there before is not part of it, but was mapped with its neighbours */
	for (int i = 0; i < MAX_PAGES; i += TREE_SLOTS)
		ASSERT_EQ(0, madvise(p + i * page_size(), page_size(), MADV_DONTNEED));
	expect_nodes(_metadata, addr, want, nr, 1, p, size);
}

/*
 * get_mempolicy(MPOL_F_NODE): "the node ID of the next node that will be used for
 * interleaving of internal kernel pages allocated on behalf of the thread"
 */
TEST_F(by_counter, next_node)
{
	int want[MAX_PAGES], next[MAX_PAGES], nr;

	nr = run_steps(_metadata, self, variant->steps, want, next);
	for (int i = 0; i < nr; i++) {
		ASSERT_EQ(next[i], self->shared->next[i]) {
			TH_LOG("before page %d of %d", i, nr);
		}
	}
}

/*
 * Each thread has a counter of its own, which begins where that of its creator is. The
 * kernel allocates some dozens of pages to make a thread, so weights are great.
 *
 *	|      first: 250 pages      |  second: 250 pages  |
 *	   10 |       the rest     |
 *	      |  thread: 120  |
 */
static void *write_some(void *arg)
{
	int *self = arg, nr = 0;

	while (nr < 120 && next_node() == self[1])
		if (pwrite(self[0], "", 1, file_page(nr++) * page_size()) != 1)
			break;
	self[2] = nr;
	return NULL;
}

FIXTURE(threads)
{
	struct machine m;
};

FIXTURE_SETUP(threads)
{
	MACHINE_GET(&self->m);
	machine_prepare(&self->m);
}

FIXTURE_TEARDOWN_PARENT(threads)
{
	machine_restore(&self->m);
}

TEST_F(threads, own_counter)
{
	static const int great[MAX_NODES] = { 250, 250, 1, 1 };
	struct nodemask mask = mask_of(&self->m, 0x3);
	int arg[3] = { -1, self->m.node[0] }, nr = 0, fd;
	pthread_t thread;

	ASSERT_EQ(0, set_weights(&self->m, great));
	fd = file_in_new_fs("ramfs", NULL, NULL);
	arg[0] = file_in_new_fs("ramfs", NULL, NULL);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, arg[0]);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_WEIGHTED_INTERLEAVE, &mask));
	for (; nr < 10; nr++)
		ASSERT_EQ(1, pwrite(fd, "", 1, nr * page_size()));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_some, arg));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(120, arg[2]);
	for (; next_node() == self->m.node[0] && nr < 300; nr++)
		ASSERT_EQ(1, pwrite(fd, "", 1, nr * page_size()));
	EXPECT_GE(250, nr);
	EXPECT_LT(180, nr);
}

/*
 * Pages that the kernel allocates for itself, many at once: the file descriptor table
 * (8 MB, more than kmalloc() has) and the local descriptor table (2 to 16 pages) of
 * the process. /proc/vmallocinfo has a line for each with the pages by node.
 */
#define TABLE_PAGES	(8 << 20 >> 12)

/* Pages by place of the allocations of @nr pages by @caller; false if there is none */
static bool vmalloc_places(const struct machine *m, const char *caller, int nr, long *count)
{
	char line[1024], want[32], *p, *save;
	bool found = false;
	FILE *f = fopen("/proc/vmallocinfo", "re");
	int node, pages;

	memset(count, 0, MAX_NODES * sizeof(*count));
	if (!f)
		return false;
	snprintf(want, sizeof(want), " pages=%d ", nr);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, caller) || !strstr(line, want))
			continue;
		found = true;
		for (p = strtok_r(line, " \n", &save); p; p = strtok_r(NULL, " \n", &save)) {
			if (sscanf(p, "N%d=%d", &node, &pages) != 2)
				continue;
			for (int i = 0; i < m->nr; i++)
				if (m->node[i] == node)
					count[i] += pages;
		}
	}
	fclose(f);
	return found;
}

/* A table for 1 M of file descriptors, once in the life of a process */
static bool fd_table(void)
{
	int nr = TABLE_PAGES * page_size() / sizeof(void *);
	struct rlimit limit = { nr, nr };

	return !setrlimit(RLIMIT_NOFILE, &limit) && dup2(0, nr - 1) == nr - 1;
}

/* A descriptor table of @nr pages in place of the one before, which may not be longer */
static bool local_table(int nr)
{
#ifdef SYS_modify_ldt
	struct {
		unsigned int entry, base, limit, flags;
	} empty = { .entry = nr * page_size() / 8 - 1, .flags = 0x28 };

	return !syscall(SYS_modify_ldt, 0x11, &empty, sizeof(empty));
#else
	return false;
#endif
}

/*
 * Has @node all that the table is made of in blocks of the greatest order? vmalloc() asks
 * for these first, and where the policy does not bind it takes them from another node rather
 * than smaller ones from this one.
 */
static bool has_blocks(int node)
{
	char line[512];
	long need = TABLE_PAGES;
	FILE *f = fopen("/proc/buddyinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		int nr, at = 0, step, order = 0;
		long blocks, last = 0;

		if (sscanf(line, "Node %d, zone %*s%n", &nr, &at) != 1 || nr != node)
			continue;
		for (; sscanf(line + at, "%ld%n", &blocks, &step) == 1; at += step, order++)
			last = blocks;
		need -= last << (order - 1);
	}
	if (f)
		fclose(f);
	return f && need <= 0;
}

/* One node */
FIXTURE(vmalloc)
{
	struct machine m;
	int local;		/* place */
};

FIXTURE_VARIANT(vmalloc)
{
	int mode;
};

FIXTURE_VARIANT_ADD(vmalloc, default) { .mode = MPOL_DEFAULT };
FIXTURE_VARIANT_ADD(vmalloc, local) { .mode = MPOL_LOCAL };
FIXTURE_VARIANT_ADD(vmalloc, preferred) { .mode = MPOL_PREFERRED };
FIXTURE_VARIANT_ADD(vmalloc, preferred_many) { .mode = MPOL_PREFERRED_MANY };
FIXTURE_VARIANT_ADD(vmalloc, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(vmalloc, interleave) { .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(vmalloc, weighted_interleave) { .mode = MPOL_WEIGHTED_INTERLEAVE };

FIXTURE_SETUP(vmalloc)
{
	long max;

	MACHINE_GET(&self->m);
	NEED_BOTH_NODES(&self->m.s.nodes, 1);
	if (file_read_long("/proc/sys/fs/nr_open", &max) ||
	    max < TABLE_PAGES * page_size() / sizeof(void *))
		SKIP(return, "needs nr_open");
	while (self->m.node[self->local] != numa_node_with_both(&self->m.s.nodes, -1))
		self->local++;
	ASSERT_EQ(0, numa_run_on(&self->m.s.nodes, self->m.node[self->local]));
	machine_prepare(&self->m);
}

FIXTURE_TEARDOWN_PARENT(vmalloc)
{
	machine_restore(&self->m);
}

/* The only node of the policy, or the local one if there are several or none */
TEST_F(vmalloc, on_one_node)
{
	bool no_nodes = variant->mode == MPOL_DEFAULT || variant->mode == MPOL_LOCAL;
	bool rounds = variant->mode == MPOL_INTERLEAVE ||
		      variant->mode == MPOL_WEIGHTED_INTERLEAVE;
	unsigned int all = all_nodes(&self->m);
	int tried = 0;

	for (int i = 0; i <= (no_nodes ? 0 : self->m.nr); i++) {
		unsigned int set = i < self->m.nr ? 1u << i : all;
		int place = i < self->m.nr && !no_nodes ? i : self->local;
		struct nodemask mask = mask_of(&self->m, set);
		long before[MAX_NODES], after[MAX_NODES];

		/* many nodes are not one; the first of them is preferred */
		if (set == all && rounds)
			break;
		if (set == all && variant->mode == MPOL_PREFERRED)
			place = 0;
		if (variant->mode != MPOL_BIND && !has_blocks(self->m.node[place]))
			continue;
		tried++;
		IN_CHILD({
			vmalloc_places(&self->m, "alloc_fdtable", TABLE_PAGES, before);
			ASSERT_EQ(0, sys_set_mempolicy(variant->mode, no_nodes ? NULL : &mask));
			ASSERT_TRUE(fd_table());
			ASSERT_TRUE(vmalloc_places(&self->m, "alloc_fdtable", TABLE_PAGES, after));
			for (int n = 0; n < self->m.nr; n++)
				EXPECT_EQ(n == place ? TABLE_PAGES : 0, after[n] - before[n]);
		});
	}
	EXPECT_LT(0, tried);
}

/*
 * All nodes, in turn: "page allocations be interleaved, on a page granularity".
 *
 * vmalloc() asks for great pieces of memory and splits them, and for single pages, up
 * to 100 at once (alloc_pages_bulk_mempolicy()), for what is left.
 */
FIXTURE(vmalloc_round)
{
	struct machine m;
	struct nodemask all;
};

FIXTURE_VARIANT(vmalloc_round)
{
	int mode;
};

FIXTURE_VARIANT_ADD(vmalloc_round, interleave) { .mode = MPOL_INTERLEAVE };

FIXTURE_SETUP(vmalloc_round)
{
	MACHINE_GET(&self->m);
	if (!local_table(2))
		SKIP(return, "needs ldt");
	self->all = mask_of(&self->m, all_nodes(&self->m));
	machine_prepare(&self->m);
}

FIXTURE_TEARDOWN_PARENT(vmalloc_round)
{
	machine_restore(&self->m);
}

/*
 * What is allocated next goes to the node after the last: five pages, or four and one.
 * Nearly always, where it works, and never, where it does not: in between the kernel
 * may allocate for the task, which takes a turn too.
 */
TEST_F(vmalloc_round, goes_on)
{
	struct machine *m = &self->m;
	unsigned int nodes = all_nodes(m);
	int judged = 0, right = 0;

	ASSERT_TRUE(local_table(5));
	for (int i = 0; i < 48; i++) {
		long count[MAX_NODES];
		bool known = false, went_on = false;
		int next;

		ASSERT_EQ(0, sys_set_mempolicy(variant->mode, &self->all));
		ASSERT_TRUE(local_table(5));
		next = next_node();
		ASSERT_TRUE(vmalloc_places(m, "alloc_ldt_struct", 5, count));
		/* from which place of the round did it go, and what comes then? */
		for (int from = 0; from < 64; from++) {
			long pages[MAX_NODES] = { }, pieces[MAX_NODES] = { };
			int steps;

			for (int n = 0; n < 5; n++)
				pages[nth_place(m, nodes, false, from + n)]++;
			for (int n = 0; n < 2; n++)
				pieces[nth_place(m, nodes, false, from + n)] += n ? 1 : 4;
			if (!memcmp(count, pages, sizeof(pages)))
				steps = 5;
			else if (!memcmp(count, pieces, sizeof(pieces)))
				steps = 2;
			else
				continue;
			known = true;
			if (next == m->node[nth_place(m, nodes, false, from + steps)])
				went_on = true;
		}
		judged += known;
		right += went_on;
	}
	EXPECT_LE(8, judged);
	EXPECT_LT(judged / 2, right) {
		TH_LOG("%d of %d", right, judged);
	}
}

/*
 * Weights from bandwidths: "In auto mode, all node weights are re-calculated and
 * overwritten (visible via the nodeN interfaces)". The bandwidths are those that sysfs
 * has for access by CPUs, and the model is that of reduce_interleave_weights(): shares
 * of 32 for all nodes with memory, not less than 1, by their greatest common divisor.
 */
#define WEIGHTINESS	32

static int greatest_divisor(int a, int b)
{
	return b ? greatest_divisor(b, a % b) : a;
}

/* The automatic weights of the nodes that have memory now */
static void automatic_weights(const struct numa_nodes *nodes, int *weight)
{
	unsigned long sum = 0, share;
	int divisor = 0;

	for (int i = 0; i < nodes->nr_mem; i++)
		sum += bandwidth(nodes->mem[i]);
	for (int i = 0; i < nodes->nr_mem; i++) {
		share = WEIGHTINESS * bandwidth(nodes->mem[i]);
		weight[i] = share > sum ? share / sum : 1;
		divisor = greatest_divisor(weight[i], divisor);
	}
	for (int i = 0; i < nodes->nr_mem; i++)
		weight[i] /= divisor;
}

/* Automatic mode is on, and each node that has memory now has its weight */
static void expect_automatic(struct __test_metadata *_metadata)
{
	static struct numa_nodes nodes;
	int want[NUMA_MAX_NODES];
	long seen;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	automatic_weights(&nodes, want);
	EXPECT_STREQ("true", auto_mode());
	for (int i = 0; i < nodes.nr_mem; i++) {
		ASSERT_EQ(0, file_read_long(weight_path(nodes.mem[i]), &seen));
		EXPECT_EQ(want[i], seen) {
			TH_LOG("node %d", nodes.mem[i]);
		}
	}
}

#define NEED_BANDWIDTH(nodes) do {					\
	for (int i_ = 0; i_ < (nodes)->nr_mem; i_++)			\
		if (!bandwidth((nodes)->mem[i_]))			\
			SKIP(return, "needs bandwidth");		\
} while (0)

FIXTURE(bandwidth)
{
	struct machine m;
};

FIXTURE_SETUP(bandwidth)
{
	MACHINE_GET(&self->m);
	NEED_AUTO_MODE();
	NEED_BANDWIDTH(&self->m.s.nodes);
	if (!self->m.s.was_auto)
		SKIP(return, "needs weighted_interleave");
	machine_prepare(&self->m);
}

FIXTURE_TEARDOWN_PARENT(bandwidth)
{
	machine_restore(&self->m);
}

/* As nobody has changed anything; and not only because all weights are the same */
TEST_F(bandwidth, weights)
{
	const struct state *s = &self->m.s;
	bool twice = false, differ = false;

	expect_automatic(_metadata);
	for (int i = 1; i < s->nodes.nr_mem; i++) {
		unsigned long first = bandwidth(s->nodes.mem[0]);
		unsigned long this = bandwidth(s->nodes.mem[i]);

		twice |= this >= 2 * first || first >= 2 * this;
		differ |= s->weight[i] != s->weight[0];
	}
	EXPECT_TRUE(differ || !twice);
}

/* "false" keeps them; "true" has them again, whatever was written in between */
TEST_F(bandwidth, again_after_others)
{
	const struct state *s = &self->m.s;
	long seen;

	for (int i = 0; i < s->nodes.nr_mem; i++) {
		ASSERT_EQ(0, file_write(DIR "auto", "false"));
		ASSERT_EQ(0, file_read_long(weight_path(s->nodes.mem[i]), &seen));
		EXPECT_EQ(s->weight[i], seen);
		ASSERT_EQ(0, file_write_long(weight_path(s->nodes.mem[i]), 200));
		ASSERT_EQ(0, file_write(DIR "auto", "true"));
		expect_automatic(_metadata);
	}
}

/* Pages are placed by them: as the weights of the files, by the number of the page */
TEST_F(bandwidth, placement)
{
	struct machine *m = &self->m;
	unsigned int all = all_nodes(m);
	struct nodemask mask = mask_of(m, all);
	int want[MAX_PAGES], automatic[NUMA_MAX_NODES], nr = 128;
	void *addr[MAX_PAGES];
	unsigned long number;
	char *p;

	automatic_weights(&m->s.nodes, automatic);
	for (int i = 0; i < m->nr; i++)
		m->weight[i] = automatic[i];
	p = object_map(ANON, nr, page_size(), &number);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, sys_mbind(p, nr * page_size(), MPOL_WEIGHTED_INTERLEAVE, &mask, 0));
	for (int i = 0; i < nr; i++) {
		addr[i] = p + i * page_size();
		*(volatile char *)addr[i] = 1;
		want[i] = m->node[nth_place(m, all, true, number + i)];
	}
	expect_nodes(_metadata, addr, want, nr, 1, p, nr * page_size());
}

/*
 * A node whose memory comes and goes. The file of its weight comes and goes with it,
 * and in manual mode "nodes that are onlined with previously set weights will reuse
 * those weights. If they were not previously set [...] the weights will use a default
 * weight of 1".
 */
FIXTURE(hotplug)
{
	struct state s;
	struct hotplug h;
};

FIXTURE_SETUP(hotplug)
{
	NEED_ROOT();
	NEED_WEIGHTS();
	NEED_AUTO_MODE();
	ASSERT_EQ(0, state_get(&self->s));
	if (!self->s.was_auto)
		SKIP(return, "needs weighted_interleave");
	NEED_HOTPLUG(&self->h);
}

/* Last, automatic mode anew: it forgets a weight of the node that is gone */
FIXTURE_TEARDOWN_PARENT(hotplug)
{
	EXPECT_EQ(0, hotplug_offline(&self->h));
	file_write(DIR "auto", "false");
	state_restore(&self->s);
}

TEST_F(hotplug, file_of_the_node)
{
	struct numa_nodes nodes;
	char path[64];
	int fd, left;
	char c;

	snprintf(path, sizeof(path), "%s", weight_path(self->h.node));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-1, access(path, F_OK));
		EXPECT_EQ(ENOENT, errno);
		ASSERT_EQ(0, hotplug_online(&self->h));
		fd = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(1, pread(fd, &c, 1, 0));

		/* a part of its memory is memory enough */
		for (left = self->h.nr; left > 1; left--) {
			ASSERT_EQ(0, hotplug_offline_block(self->h.block[left - 1]));
			EXPECT_EQ(0, access(path, F_OK));
		}
		ASSERT_EQ(0, hotplug_offline(&self->h));

		/* who has it open has nothing any more */
		EXPECT_EQ(-1, pread(fd, &c, 1, 0));
		EXPECT_EQ(ENODEV, errno);
		EXPECT_EQ(-1, pwrite(fd, "9", 1, 0));
		EXPECT_EQ(ENODEV, errno);
		close(fd);
		ASSERT_EQ(0, numa_nodes_get(&nodes));
		for (int n = 0; n < nodes.nr_mem; n++)
			EXPECT_EQ(0, access(weight_path(nodes.mem[n]), F_OK));
	}
}

TEST_F(hotplug, weight_is_kept)
{
	long seen;

	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	ASSERT_EQ(0, hotplug_online(&self->h));
	ASSERT_EQ(0, file_write_long(weight_path(self->h.node), 9));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, hotplug_offline(&self->h));
		EXPECT_STREQ("false", auto_mode());
		ASSERT_EQ(0, hotplug_online(&self->h));
		EXPECT_STREQ("false", auto_mode());
		ASSERT_EQ(0, file_read_long(weight_path(self->h.node), &seen));
		EXPECT_EQ(9, seen);
		for (int n = 0; n < self->s.nodes.nr_mem; n++) {
			ASSERT_EQ(0, file_read_long(weight_path(self->s.nodes.mem[n]), &seen));
			EXPECT_EQ(self->s.weight[n], seen);
		}
	}
}

TEST_F(hotplug, default_weight)
{
	long seen;

	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	ASSERT_EQ(0, hotplug_online(&self->h));
	ASSERT_EQ(0, file_read_long(weight_path(self->h.node), &seen));
	EXPECT_EQ(1, seen);
}

/* The mode is set while the node is there, and while it is gone */
TEST_F(hotplug, automatic_mode_set_anew)
{
	NEED_BANDWIDTH(&self->s.nodes);
	for (int on = 1; on >= 0; on--) {
		ASSERT_EQ(0, on ? hotplug_online(&self->h) : hotplug_offline(&self->h));
		ASSERT_EQ(0, file_write(DIR "auto", "false"));
		ASSERT_EQ(0, file_write(DIR "auto", "true"));
		expect_automatic(_metadata);
	}
}

/* "whenever new bandwidth data is made available during either boot or hotplug events" */
TEST_F(hotplug, automatic_weights_when_it_comes)
{
	NEED_BANDWIDTH(&self->s.nodes);
	ASSERT_EQ(0, hotplug_online(&self->h));
	expect_automatic(_metadata);
}

TEST_F(hotplug, automatic_weights_when_it_goes)
{
	NEED_BANDWIDTH(&self->s.nodes);
	ASSERT_EQ(0, hotplug_online(&self->h));
	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	ASSERT_EQ(0, file_write(DIR "auto", "true"));
	ASSERT_EQ(0, hotplug_offline(&self->h));
	expect_automatic(_metadata);
}

TEST_HARNESS_MAIN
