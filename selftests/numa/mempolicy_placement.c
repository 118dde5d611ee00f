// SPDX-License-Identifier: GPL-2.0
/*
 * Where pages go: each mode of section "Components of Memory Policies" in
 * Documentation/admin-guide/mm/numa_memory_policy.rst, as task policy and as VMA
 * policy, for anonymous and shared memory, small pages and THPs.
 *
 * Nodes have plenty of free memory, so that nothing but the policy decides, and the
 * place of every page is known beforehand. It is asked of move_pages(), and what
 * numa_maps shows must be the same. Only "the nearest of these nodes" can leave a
 * choice, see nearest().
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif

#define WEIGHTS		"/sys/kernel/mm/mempolicy/weighted_interleave/"
#define MAX_PAGES	32

/* One letter more than a node and a space need */
#define TEXT_SIZE	(MAX_PAGES * 6)

/* What the tests share, embedded in each fixture */
struct machine {
	struct numa_nodes nodes;
	struct nodemask memory;
	long balancing;
	int thp;
	bool weights_changed, weights_auto;
	long weight[NUMA_MAX_NODES];	/* by node */
	long old_weight[NUMA_MAX_NODES];
};

/* A mapping whose pages have not been touched */
struct region {
	char *p, *reserved;
	size_t page, size, reserved_size;
	int nr, fd;
	bool huge;
	unsigned long bias;	/* interleave index of the first page */
};

static const char *weight_file(int node)
{
	static char path[96];

	snprintf(path, sizeof(path), WEIGHTS "node%d", node);
	return path;
}

static int machine_get(struct machine *m)
{
	char text[16];

	m->balancing = m->thp = -1;
	if (numa_nodes_get(&m->nodes))
		return -1;
	for (int i = 0; i < m->nodes.nr_mem; i++) {
		int node = m->nodes.mem[i];

		nodemask_set(&m->memory, node);
		if (file_read_long(weight_file(node), &m->weight[node]))
			m->weight[node] = 1;
		m->old_weight[node] = m->weight[node];
	}
	m->weights_auto = !file_read(WEIGHTS "auto", text, sizeof(text)) && !strcmp(text, "true");
	return 0;
}

/* The last step of a setup: from here on there is a teardown */
static void machine_prepare(struct machine *m, bool thp)
{
	m->thp = thp ? thp_on() : -1;
	m->balancing = numa_balancing_off();
}

static void machine_restore(struct machine *m)
{
	numa_balancing_restore(m->balancing);
	thp_restore(m->thp);
	if (!m->weights_changed)
		return;
	for (int i = 0; i < m->nodes.nr_mem; i++) {
		int node = m->nodes.mem[i];

		if (m->weight[node] != m->old_weight[node])
			file_write_long(weight_file(node), m->old_weight[node]);
	}
	/* where firmware has told no bandwidths the kernel refuses; nothing depends on it */
	if (m->weights_auto)
		file_write(WEIGHTS "auto", "true");
}

/* Each change waits for a grace period, so there is none without need */
static int set_weight(struct machine *m, int node, long weight)
{
	if (weight == m->weight[node])
		return 0;
	m->weights_changed = true;
	m->weight[node] = weight;
	return file_write_long(weight_file(node), weight);
}

/*
 * The nodes of @mask that an allocation on @from may get its page from if all of
 * them have free memory. @from itself if it is one of them, else the nearest.
 * find_next_best_node() adds up to 2 to a distance (a lower node number, CPUs) and
 * takes turns in a draw, so nodes that are so close together are all allowed.
 */
static struct nodemask nearest(const struct machine *m, int from, const struct nodemask *mask)
{
	int best = INT32_MAX, distance[NUMA_MAX_NODES];
	struct nodemask result = { };

	if (nodemask_isset(mask, from) && nodemask_isset(&m->memory, from))
		return NODEMASK(from);
	if (numa_distances(from, distance))
		return result;
	for (int i = 0; i < m->nodes.nr_mem; i++) {
		int node = m->nodes.mem[i];

		if (nodemask_isset(mask, node) && distance[node] < best)
			best = distance[node];
	}
	for (int i = 0; i < m->nodes.nr_mem; i++) {
		int node = m->nodes.mem[i];

		if (nodemask_isset(mask, node) && distance[node] <= best + 2)
			nodemask_set(&result, node);
	}
	return result;
}

static void region_free(struct region *r)
{
	if (r->reserved)
		munmap(r->reserved, r->reserved_size);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->reserved = NULL;
}

/* @nr pages of shared or anonymous memory, small or THPs; "" or what went wrong */
static const char *region_get(struct region *r, bool shared, bool huge, int nr)
{
	struct stat st;

	memset(r, 0, sizeof(*r));
	r->fd = -1;
	r->nr = nr;
	r->huge = huge;
	r->page = huge ? thp_size() : page_size();
	r->size = nr * r->page;
	if (shared) {
		/* memfd_create() has no THPs unless the administrator wants them */
		r->fd = huge ? file_in_new_fs("tmpfs", "huge", "always") :
			       memfd_create("object", MFD_CLOEXEC);
		if (r->fd < 0 || ftruncate(r->fd, r->size) || fstat(r->fd, &st))
			return "no file";
	}
	/* room to align in, and mapped to nothing on either side */
	r->reserved_size = r->size + 2 * r->page;
	r->reserved = mmap(NULL, r->reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->reserved == MAP_FAILED) {
		r->reserved = NULL;
		return "no room";
	}
	r->p = r->reserved + 1;
	r->p += -(uintptr_t)r->p & (r->page - 1);
	if (mmap(r->p, r->size, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		 r->fd, 0) == MAP_FAILED)
		return "no mapping";
	madvise(r->p, r->size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* shmem_get_pgoff_policy(); anonymous memory counts from address 0 */
	r->bias = shared ? st.st_ino : (uintptr_t)r->p / r->page;
	return "";
}

/* Touch pages [first, first + nr) of the region */
static void region_touch(struct region *r, int first, int nr)
{
	for (int i = first; i < first + nr; i++)
		*(volatile char *)(r->p + i * r->page) = 1;
}

/*
 * Where the pages of a region are, in order: "0 1 2 0 1 2". An explanation instead
 * if that is not what it has to be: all there, of the right size, and the same
 * counts in numa_maps.
 */
static const char *region_nodes(struct region *r)
{
	static unsigned long asked[NUMA_MAX_NODES], shown[NUMA_MAX_NODES];
	static char text[TEXT_SIZE];
	long small = r->size / page_size();
	int n = 0;

	if (r->huge && smaps_kb(r->p, r->size, r->fd < 0 ? "AnonHugePages" : "ShmemPmdMapped") !=
	    r->size / 1024)
		return "not huge";
	if (page_nodes(r->p, r->size, r->page, asked) != r->nr)
		return "not present";
	for (int i = 0; i < NUMA_MAX_NODES; i++)
		asked[i] *= r->page / page_size();
	if (numa_maps_nodes(r->p, r->size, shown) != small || memcmp(asked, shown, sizeof(asked)))
		return "move_pages and numa_maps disagree";
	for (int i = 0; i < r->nr; i++)
		n += sprintf(text + n, "%s%d", i ? " " : "", page_node(r->p + i * r->page));
	return text;
}

/* All @nr pages are on one node, which is any of @allowed: the text of region_nodes() */
static const char *on_one_of(const struct nodemask *allowed, int nr, const char *found)
{
	static char text[TEXT_SIZE];
	int node = atoi(found), n = 0;

	if (!isdigit(*found) || !nodemask_isset(allowed, node))
		for (node = 0; node < NUMA_MAX_NODES - 1 && !nodemask_isset(allowed, node);)
			node++;
	for (int i = 0; i < nr; i++)
		n += sprintf(text + n, "%s%d", i ? " " : "", node);
	return text;
}

static const char *on_node(int node, int nr)
{
	struct nodemask mask = NODEMASK(node);

	return on_one_of(&mask, nr, "");
}

/*
 * Interleaving by index: page i of the region has index bias + i, and the indices go
 * round the nodes in ascending order, @weight[node] of them at a time (NULL: one).
 */
static const char *interleaved(struct region *r, const struct nodemask *mask, const long *weight)
{
	static char text[TEXT_SIZE];
	unsigned long total = 0;
	int n = 0;

	for (int node = 0; node < NUMA_MAX_NODES; node++)
		if (nodemask_isset(mask, node))
			total += weight ? weight[node] : 1;
	for (int i = 0; i < r->nr; i++) {
		unsigned long target = (r->bias + i) % total, width;
		int node = 0;

		for (;; node++) {
			if (!nodemask_isset(mask, node))
				continue;
			width = weight ? weight[node] : 1;
			if (target < width)
				break;
			target -= width;
		}
		n += sprintf(text + n, "%s%d", i ? " " : "", node);
	}
	return text;
}

/*
 * One mode after the other. A VMA policy is set while the task policy binds to a
 * node that the VMA policy does not lead to, so that it is seen which of the two
 * was used.
 */
FIXTURE(placement)
{
	struct machine m;
	struct region r;
	int few;		/* pages that show one node */
	/* The nodes that are gone through, as indices: all of them, or the two ends */
	int first_cpu, next_cpu, first_mem;
};

FIXTURE_VARIANT(placement)
{
	bool vma, shared, huge;
};

FIXTURE_VARIANT_ADD(placement, task_anon) { .vma = false };
FIXTURE_VARIANT_ADD(placement, task_shmem) { .shared = true };
FIXTURE_VARIANT_ADD(placement, task_anon_thp) { .huge = true };
FIXTURE_VARIANT_ADD(placement, task_shmem_thp) { .shared = true, .huge = true };
FIXTURE_VARIANT_ADD(placement, vma_anon) { .vma = true };
FIXTURE_VARIANT_ADD(placement, vma_shmem) { .vma = true, .shared = true };
FIXTURE_VARIANT_ADD(placement, vma_anon_thp) { .vma = true, .huge = true };
FIXTURE_VARIANT_ADD(placement, vma_shmem_thp) { .vma = true, .shared = true, .huge = true };

FIXTURE_SETUP(placement)
{
	NEED_ROOT();
	ASSERT_EQ(0, machine_get(&self->m));
	NEED_MEMORY_NODES(&self->m.nodes, 2);
	if (variant->huge && !thp_size())
		SKIP(return, "needs thp");
	/*
	 * The task policy with small anonymous pages goes through all nodes. The others,
	 * which differ in the way to the allocation and not in what it does, through
	 * first and last, and THPs, which take long to clear, through the last.
	 */
	self->few = 4;
	self->next_cpu = 1;
	if (variant->vma || variant->shared || variant->huge) {
		self->next_cpu = self->m.nodes.nr_cpu > 1 ? self->m.nodes.nr_cpu - 1 : 1;
		self->first_mem = self->m.nodes.nr_mem - 1;
	}
	if (variant->huge) {
		self->few = 1;
		self->first_cpu = self->m.nodes.nr_cpu - 1;
	}
	self->r.fd = -1;
	machine_prepare(&self->m, variant->huge);
}

FIXTURE_TEARDOWN_PARENT(placement)
{
	machine_restore(&self->m);
}

/* A node with memory that is not in @mask, or the last one there is */
static int other_node(const struct machine *m, const struct nodemask *mask)
{
	for (int i = 0; i < m->nodes.nr_mem; i++)
		if (!nodemask_isset(mask, m->nodes.mem[i]))
			return m->nodes.mem[i];
	return m->nodes.mem[m->nodes.nr_mem - 1];
}

/*
 * Put @nr new pages somewhere by policy @mode with @mask, @expected to go to these
 * nodes. Returns region_nodes(); the region remains until the next call.
 */
static const char *place(FIXTURE_DATA(placement) *self, const FIXTURE_VARIANT(placement) *variant,
			 int nr, int mode, const struct nodemask *mask,
			 const struct nodemask *expected)
{
	struct nodemask other = NODEMASK(other_node(&self->m, expected));
	const char *err;
	long ret;

	region_free(&self->r);
	err = region_get(&self->r, variant->shared, variant->huge, nr);
	if (*err)
		return err;
	if (variant->vma)
		ret = sys_set_mempolicy(MPOL_BIND, &other) ?:
		      sys_mbind(self->r.p, self->r.size, mode, mask, 0);
	else
		ret = sys_set_mempolicy(mode, mask);
	if (ret)
		return "policy refused";
	region_touch(&self->r, 0, nr);
	if (sys_set_mempolicy(MPOL_DEFAULT, NULL))
		return "default refused";
	return region_nodes(&self->r);
}

/*
 * "A NULL or default task policy will fall back to the system default policy",
 * which is local allocation. "A NULL or default vma policy will fall back to the
 * task policy."
 */
TEST_F(placement, default_policy)
{
	struct machine *m = &self->m;
	const char *found;

	for (int i = self->first_cpu; i < m->nodes.nr_cpu; i += self->next_cpu) {
		struct nodemask near = nearest(m, m->nodes.cpu[i], &m->memory);
		struct nodemask other = NODEMASK(other_node(m, &near));

		ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[i]));
		found = place(self, variant, self->few, MPOL_DEFAULT, NULL, &near);
		EXPECT_STREQ(on_one_of(variant->vma ? &other : &near, self->few, found), found);
	}
}

/*
 * Local allocation: the node of the CPU, or the nearest if that has no memory.
 * MPOL_PREFERRED without nodes is another way to say it.
 */
TEST_F(placement, local)
{
	struct machine *m = &self->m;
	const char *found;

	for (int i = self->first_cpu; i < m->nodes.nr_cpu; i += self->next_cpu) {
		struct nodemask near = nearest(m, m->nodes.cpu[i], &m->memory);
		int mode = i == self->first_cpu ? MPOL_LOCAL : MPOL_PREFERRED;

		ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[i]));
		found = place(self, variant, self->few, mode, NULL, &near);
		EXPECT_STREQ(on_one_of(&near, self->few, found), found);
	}
}

/*
 * "the Preferred policy uses a single node", from wherever: of several it is the
 * first, even if another one is the local node.
 */
TEST_F(placement, preferred)
{
	struct machine *m = &self->m;
	struct nodemask mask = NODEMASK(m->nodes.mem[0]);

	ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[m->nodes.nr_cpu - 1]));
	EXPECT_STREQ(on_node(m->nodes.mem[0], self->few),
		     place(self, variant, self->few, MPOL_PREFERRED, &m->memory, &mask));

	ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[0]));
	for (int i = self->first_mem; i < m->nodes.nr_mem && !variant->huge; i++) {
		mask = NODEMASK(m->nodes.mem[i]);
		EXPECT_STREQ(on_node(m->nodes.mem[i], self->few),
			     place(self, variant, self->few, MPOL_PREFERRED, &mask, &mask));
	}
}

/*
 * Of several nodes these policies use the one "that is closest to the node where the
 * allocation takes place": the local node if it may, the nearest of the others if
 * that is left out. Of a single node they use that.
 */
static void closest_node(struct __test_metadata *_metadata, FIXTURE_DATA(placement) *self,
			 const FIXTURE_VARIANT(placement) *variant, int mode)
{
	struct machine *m = &self->m;

	for (int i = self->first_cpu; i < m->nodes.nr_cpu; i += self->next_cpu) {
		struct nodemask near, mask = m->memory;
		const char *found;

		ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[i]));
		near = nearest(m, m->nodes.cpu[i], &mask);
		found = place(self, variant, self->few, mode, &mask, &near);
		EXPECT_STREQ(on_one_of(&near, self->few, found), found);

		/* without the one that it was */
		nodemask_clear(&mask);
		for (int j = 0; j < m->nodes.nr_mem; j++)
			if (m->nodes.mem[j] != atoi(found))
				nodemask_set(&mask, m->nodes.mem[j]);
		near = nearest(m, m->nodes.cpu[i], &mask);
		found = place(self, variant, self->few, mode, &mask, &near);
		EXPECT_STREQ(on_one_of(&near, self->few, found), found);
	}
	for (int i = self->first_mem; i < m->nodes.nr_mem && !variant->huge; i++) {
		struct nodemask mask = NODEMASK(m->nodes.mem[i]);

		EXPECT_STREQ(on_node(m->nodes.mem[i], self->few),
			     place(self, variant, self->few, mode, &mask, &mask));
	}
}

TEST_F(placement, bind)
{
	closest_node(_metadata, self, variant, MPOL_BIND);
}

TEST_F(placement, preferred_many)
{
	closest_node(_metadata, self, variant, MPOL_PREFERRED_MANY);
}

/*
 * "Interleave mode indexes the set of nodes specified by the policy using the page
 * offset of the faulting address [...] modulo the number of nodes": also where it is
 * the task policy, and in units of the page that is allocated.
 */
TEST_F(placement, interleave)
{
	struct machine *m = &self->m;
	int first = m->nodes.mem[0], last = m->nodes.mem[m->nodes.nr_mem - 1];
	struct nodemask mask = variant->huge ? NODEMASK(first, last) : m->memory;
	const char *found;

	ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[0]));
	found = place(self, variant, variant->huge ? 2 : MAX_PAGES, MPOL_INTERLEAVE, &mask, &mask);
	EXPECT_STREQ(interleaved(&self->r, &mask, NULL), found);
}

/*
 * The same in rounds of as many pages for each node as its weight is: "if nodes [0,1]
 * are weighted [5,2], 5 pages will be allocated on node0 for every 2 pages allocated
 * on node1". First with the weights that the system has, then with more for one node.
 */
TEST_F(placement, weighted_interleave)
{
	struct machine *m = &self->m;
	int first = m->nodes.mem[0], last = m->nodes.mem[m->nodes.nr_mem - 1];
	struct nodemask mask = variant->huge ? NODEMASK(first, last) : m->memory;
	const char *found;

	ASSERT_EQ(0, numa_run_on(&m->nodes, m->nodes.cpu[0]));
	if (!variant->huge) {
		found = place(self, variant, MAX_PAGES, MPOL_WEIGHTED_INTERLEAVE, &mask, &mask);
		EXPECT_STREQ(interleaved(&self->r, &mask, m->weight), found);
	}
	ASSERT_EQ(0, set_weight(m, first, variant->huge ? 2 : 3));
	ASSERT_EQ(0, set_weight(m, last, 1));
	found = place(self, variant, variant->huge ? 2 : MAX_PAGES, MPOL_WEIGHTED_INTERLEAVE,
		      &mask, &mask);
	EXPECT_STREQ(interleaved(&self->r, &mask, m->weight), found);
}

/* What does not depend on the kind of memory, with small anonymous pages */
FIXTURE(details)
{
	struct machine m;
	struct region r;
	int first, last;	/* nodes with memory */
	struct nodemask one, two;	/* their masks */
};

FIXTURE_SETUP(details)
{
	ASSERT_EQ(0, machine_get(&self->m));
	NEED_MEMORY_NODES(&self->m.nodes, 2);
	self->first = self->m.nodes.mem[0];
	self->last = self->m.nodes.mem[self->m.nodes.nr_mem - 1];
	self->one = NODEMASK(self->first);
	self->two = NODEMASK(self->last);
	ASSERT_EQ(0, numa_run_on(&self->m.nodes, self->m.nodes.cpu[0]));
	ASSERT_STREQ("", region_get(&self->r, false, false, 32));
	machine_prepare(&self->m, false);
}

FIXTURE_TEARDOWN_PARENT(details)
{
	machine_restore(&self->m);
}

/*
 * mbind() of a part "splits the existing virtual memory area". The pages on either
 * side are interleaved as if that had not happened.
 *
 *	| interleave |   bind:last   | interleave |
 */
TEST_F(details, interleave_around_a_part)
{
	char want[TEXT_SIZE], *p = want;
	struct nodemask *all = &self->m.memory;
	int i = 0;

	strcpy(want, interleaved(&self->r, all, NULL));
	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_INTERLEAVE, all, 0));
	ASSERT_EQ(0, sys_mbind(self->r.p + 8 * page_size(), 16 * page_size(), MPOL_BIND,
			       &self->two, 0));
	ASSERT_EQ(3, vma_count(self->r.p, self->r.size));
	region_touch(&self->r, 0, self->r.nr);

	/* the outer pages by the whole pattern, the inner by the other policy */
	for (char *word = strtok(strdup(want), " "); word; word = strtok(NULL, " "), i++)
		p += sprintf(p, "%s%d", i ? " " : "", i >= 8 && i < 24 ? self->last : atoi(word));
	EXPECT_STREQ(want, region_nodes(&self->r));
}

/*
 * Either policy "applies only to pages allocated after the policy is installed. Any
 * pages already faulted in [...] remain where they were".
 */
TEST_F(details, later_pages_only)
{
	char want[TEXT_SIZE];
	int n = 0;

	for (int i = 0; i < 32; i++)
		n += sprintf(want + n, "%s%d", i ? " " : "",
			     i / 8 % 2 ? self->first : self->last);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->two));
	region_touch(&self->r, 0, 8);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->one));
	region_touch(&self->r, 8, 8);
	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_BIND, &self->two, 0));
	region_touch(&self->r, 16, 8);
	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_BIND, &self->one, 0));
	region_touch(&self->r, 24, 8);
	EXPECT_STREQ(want, region_nodes(&self->r));
}

/*
 * MPOL_F_RELATIVE_NODES: numbers are positions in the list of allowed nodes with
 * memory, and those beyond its end wrap around.
 */
TEST_F(details, relative_nodes)
{
	int nr = self->m.nodes.nr_mem;
	struct nodemask mask;

	mask = NODEMASK(nr - 1);
	ASSERT_EQ(0, sys_mbind(self->r.p, 16 * page_size(), MPOL_BIND | MPOL_F_RELATIVE_NODES,
			       &mask, 0));
	mask = NODEMASK(2 * nr - 1);
	ASSERT_EQ(0, sys_mbind(self->r.p + 16 * page_size(), 16 * page_size(),
			       MPOL_BIND | MPOL_F_RELATIVE_NODES, &mask, 0));
	region_touch(&self->r, 0, self->r.nr);
	EXPECT_STREQ(on_node(self->last, self->r.nr), region_nodes(&self->r));
}

/* MPOL_F_STATIC_NODES: numbers are nodes, and of several modes each works as ever */
TEST_F(details, static_nodes)
{
	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_INTERLEAVE | MPOL_F_STATIC_NODES,
			       &self->m.memory, 0));
	region_touch(&self->r, 0, self->r.nr);
	EXPECT_STREQ(interleaved(&self->r, &self->m.memory, NULL), region_nodes(&self->r));
}

/*
 * "A home node is the NUMA node closest to which page allocation will come from":
 * it takes the place of the local node for bind and preferred many.
 */
TEST_F(details, home_node)
{
	static const int modes[] = { MPOL_BIND, MPOL_PREFERRED_MANY };
	struct machine *m = &self->m;

	for (int i = 0; i < ARRAY_SIZE(modes); i++) {
		for (int j = 0; j < m->nodes.nr_mem; j++) {
			int home = m->nodes.mem[j];

			region_free(&self->r);
			ASSERT_STREQ("", region_get(&self->r, false, false, 4));
			ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, modes[i], &m->memory, 0));
			ASSERT_EQ(0, syscall(SYS_set_mempolicy_home_node, self->r.p,
					     self->r.size, home, 0));
			region_touch(&self->r, 0, self->r.nr);
			EXPECT_STREQ(on_node(home, self->r.nr), region_nodes(&self->r));
		}
	}
}

/*
 * Nodes without memory in a mask are left out, and a mask that has no others is no
 * policy: "If the result is the empty set, the policy is considered invalid".
 */
TEST_F(details, memoryless_node)
{
	struct machine *m = &self->m;
	struct nodemask mask;
	int node = -1;

	for (int i = 0; i < m->nodes.nr_cpu; i++)
		if (!nodemask_isset(&m->memory, m->nodes.cpu[i]))
			node = m->nodes.cpu[i];
	/* a number that no node has will do as well */
	for (int i = 0; node < 0; i++)
		if (!nodemask_isset(&m->memory, i))
			node = i;

	mask = NODEMASK(node);
	EXPECT_EQ(-1, sys_mbind(self->r.p, self->r.size, MPOL_BIND, &mask, 0));
	EXPECT_EQ(EINVAL, errno);
	mask = NODEMASK(node, self->last);
	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_INTERLEAVE, &mask, 0));
	region_touch(&self->r, 0, self->r.nr);
	EXPECT_STREQ(on_node(self->last, self->r.nr), region_nodes(&self->r));
}

/*
 * The weights' ABI (sysfs-kernel-mm-mempolicy-weighted-interleave): 1 to 255, and
 * writing one ends automatic mode.
 */
TEST_F(details, weights)
{
	static const char * const bad[] = { "0", "256", "-1", "", "x" };
	char text[16];

	NEED_ROOT();
	/* before there was automatic mode, 0 and "" stood for the default */
	if (access(WEIGHTS "auto", F_OK))
		SKIP(return, "needs automatic_weights");
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		/* an empty write() does not reach the file */
		EXPECT_EQ(-1, file_write(weight_file(self->first), *bad[i] ? bad[i] : "\n"));
		EXPECT_EQ(EINVAL, errno);
	}
	ASSERT_EQ(0, set_weight(&self->m, self->first, 255));
	ASSERT_EQ(0, file_read(weight_file(self->first), text, sizeof(text)));
	EXPECT_STREQ("255", text);
	ASSERT_EQ(0, file_read(WEIGHTS "auto", text, sizeof(text)));
	EXPECT_STREQ("false", text);
	/* the others keep theirs */
	for (int i = 1; i < self->m.nodes.nr_mem; i++) {
		long weight;

		ASSERT_EQ(0, file_read_long(weight_file(self->m.nodes.mem[i]), &weight));
		EXPECT_EQ(self->m.weight[self->m.nodes.mem[i]], weight);
	}
}

/*
 * Changed weights "only affect new allocations": the second half of a mapping is
 * interleaved by the new ones.
 */
TEST_F(details, weights_change)
{
	struct machine *m = &self->m;
	struct nodemask mask = NODEMASK(self->first, self->last);
	char before[TEXT_SIZE], after[TEXT_SIZE], want[2 * TEXT_SIZE] = "";
	char *save, *word, *word2, *save2;

	NEED_ROOT();
	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_WEIGHTED_INTERLEAVE, &mask, 0));
	ASSERT_EQ(0, set_weight(m, self->first, 1));
	ASSERT_EQ(0, set_weight(m, self->last, 2));
	strcpy(before, interleaved(&self->r, &mask, m->weight));
	region_touch(&self->r, 0, 16);
	ASSERT_EQ(0, set_weight(m, self->first, 4));
	strcpy(after, interleaved(&self->r, &mask, m->weight));
	region_touch(&self->r, 16, 16);

	word = strtok_r(before, " ", &save);
	word2 = strtok_r(after, " ", &save2);
	for (int i = 0; i < 32; i++) {
		sprintf(want + strlen(want), "%s%s", i ? " " : "", i < 16 ? word : word2);
		word = strtok_r(NULL, " ", &save);
		word2 = strtok_r(NULL, " ", &save2);
	}
	EXPECT_STREQ(want, region_nodes(&self->r));
}

/*
 * fork(): the task policy "is inherited", VMA policies "are inherited across fork()",
 * and each process has its own from then on.
 */
TEST_F(details, fork_task_policy)
{
	static const int modes[] = {
		MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL,
		MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE,
	};
	struct machine *m = &self->m;
	const char *found, *want;
	int mode;

	for (int i = 0; i < ARRAY_SIZE(modes); i++) {
		struct nodemask mask = self->two, near, now;

		if (modes[i] == MPOL_INTERLEAVE || modes[i] == MPOL_WEIGHTED_INTERLEAVE)
			mask = m->memory;
		else if (modes[i] == MPOL_LOCAL)
			nodemask_clear(&mask);
		near = modes[i] == MPOL_LOCAL ? nearest(m, m->nodes.cpu[0], &m->memory) : mask;
		ASSERT_EQ(0, sys_set_mempolicy(modes[i], &mask));
		IN_CHILD({
			ASSERT_EQ(0, sys_get_mempolicy(&mode, &now, NULL, 0));
			EXPECT_EQ(modes[i], mode);
			EXPECT_STREQ(nodemask_str(&mask), strdup(nodemask_str(&now)));
			region_touch(&self->r, 0, self->r.nr);
			found = region_nodes(&self->r);
			want = modes[i] == MPOL_INTERLEAVE ?
			       interleaved(&self->r, &mask, NULL) :
			       modes[i] == MPOL_WEIGHTED_INTERLEAVE ?
			       interleaved(&self->r, &mask, m->weight) :
			       on_one_of(&near, self->r.nr, found);
			EXPECT_STREQ(want, found);
			ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->one));
		});
		ASSERT_EQ(0, sys_get_mempolicy(&mode, &now, NULL, 0));
		EXPECT_EQ(modes[i], mode);
		EXPECT_TRUE(nodemask_equal(&mask, &now));
	}
}

TEST_F(details, fork_vma_policy)
{
	struct nodemask *all = &self->m.memory;
	size_t half = self->r.size / 2;

	ASSERT_EQ(0, sys_mbind(self->r.p, self->r.size, MPOL_INTERLEAVE, all, 0));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->one));
	IN_CHILD({
		region_touch(&self->r, 0, self->r.nr);
		EXPECT_STREQ(interleaved(&self->r, all, NULL), region_nodes(&self->r));
		ASSERT_EQ(0, sys_mbind(self->r.p, half, MPOL_BIND, &self->two, 0));
	});
	EXPECT_EQ(1, vma_count(self->r.p, self->r.size));
	region_touch(&self->r, 0, self->r.nr);
	EXPECT_STREQ(interleaved(&self->r, all, NULL), region_nodes(&self->r));
}

/*
 * A page that both have after fork() is copied by the one that writes to it: the
 * copy is placed by the policy of the writer, and the other's page stays.
 */
TEST_F(details, fork_copy)
{
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->one));
	region_touch(&self->r, 0, self->r.nr);
	IN_CHILD({
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->two));
		EXPECT_STREQ(on_node(self->first, self->r.nr), region_nodes(&self->r));
		region_touch(&self->r, 0, self->r.nr);
		EXPECT_STREQ(on_node(self->last, self->r.nr), region_nodes(&self->r));
	});
	EXPECT_STREQ(on_node(self->first, self->r.nr), region_nodes(&self->r));
}

/*
 * Page cache of a file in ramfs, which knows no policies of its own. A page is
 * allocated when the file is written.
 */
FIXTURE(page_cache)
{
	struct machine m;
	struct nodemask one, two;
	int first, last, fd;
};

FIXTURE_SETUP(page_cache)
{
	NEED_ROOT();
	ASSERT_EQ(0, machine_get(&self->m));
	NEED_MEMORY_NODES(&self->m.nodes, 2);
	self->first = self->m.nodes.mem[0];
	self->last = self->m.nodes.mem[self->m.nodes.nr_mem - 1];
	self->one = NODEMASK(self->first);
	self->two = NODEMASK(self->last);
	ASSERT_EQ(0, numa_run_on(&self->m.nodes, self->m.nodes.cpu[0]));
	self->fd = file_in_new_fs("ramfs", NULL, NULL);
	ASSERT_LE(0, self->fd);
	machine_prepare(&self->m, false);
}

FIXTURE_TEARDOWN_PARENT(page_cache)
{
	machine_restore(&self->m);
}

/* Map @nr pages of the file, so that region_nodes() can be asked about them */
static bool map_file(FIXTURE_DATA(page_cache) *self, struct region *r, int nr, int flags)
{
	memset(r, 0, sizeof(*r));
	r->fd = self->fd;
	r->page = page_size();
	r->nr = nr;
	r->size = nr * r->page;
	r->p = mmap(NULL, r->size, PROT_READ | PROT_WRITE, flags, self->fd, 0);
	return r->p != MAP_FAILED;
}

static void read_pages(struct region *r)
{
	for (int i = 0; i < r->nr; i++)
		(void)*(volatile char *)(r->p + i * r->page);
}

/* Allocate page @i of the file */
static bool write_page(FIXTURE_DATA(page_cache) *self, int i)
{
	return pwrite(self->fd, "", 1, i * page_size()) == 1;
}

/* The node that the task's counter names for the next page, or -1 */
static int next_node(void)
{
	int node;

	return sys_get_mempolicy(&node, NULL, NULL, MPOL_F_NODE) ? -1 : node;
}

/*
 * "If a VMA policy is applied to a file mapping, it will be ignored if the mapping
 * used the MAP_SHARED flag": the task policy counts.
 */
TEST_F(page_cache, shared_mapping)
{
	struct region r;

	ASSERT_EQ(0, ftruncate(self->fd, 16 * page_size()));
	ASSERT_TRUE(map_file(self, &r, 16, MAP_SHARED));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->two));
	ASSERT_EQ(0, sys_mbind(r.p, r.size, MPOL_BIND, &self->one, 0));
	region_touch(&r, 0, r.nr);
	EXPECT_STREQ(on_node(self->last, r.nr), region_nodes(&r));
}

/*
 * "If the file mapping used the MAP_PRIVATE flag, the VMA policy will only be applied
 * when an anonymous page is allocated on an attempt to write to the mapping"
 */
TEST_F(page_cache, private_mapping)
{
	struct region r;

	ASSERT_EQ(0, ftruncate(self->fd, 16 * page_size()));
	ASSERT_TRUE(map_file(self, &r, 16, MAP_PRIVATE));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->two));
	ASSERT_EQ(0, sys_mbind(r.p, r.size, MPOL_BIND, &self->one, 0));
	read_pages(&r);
	EXPECT_STREQ(on_node(self->last, r.nr), region_nodes(&r));
	region_touch(&r, 0, r.nr);
	EXPECT_STREQ(on_node(self->first, r.nr), region_nodes(&r));
}

/*
 * "For allocation of page cache pages, Interleave mode indexes the set of nodes
 * specified by the policy using a node counter maintained per task. This counter
 * wraps around to the lowest specified node after it reaches the highest": it begins
 * there, and get_mempolicy(MPOL_F_NODE) tells which node is next.
 *
 * Each page that the kernel allocates for itself meanwhile also counts, hence only
 * those steps are judged in which the counter went on by one.
 */
TEST_F(page_cache, interleave_counter)
{
	struct machine *m = &self->m;
	/* twice round at least */
	int nr = 32 + 2 * m->nodes.nr_mem;
	int expected[nr], judged = 0, wrapped = 0;
	struct region r;

	ASSERT_EQ(0, ftruncate(self->fd, nr * page_size()));
	ASSERT_TRUE(map_file(self, &r, nr, MAP_SHARED));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_INTERLEAVE, &m->memory));
	EXPECT_EQ(self->first, next_node());
	for (int i = 0; i < nr; i++) {
		int after = self->first;

		expected[i] = next_node();
		ASSERT_TRUE(write_page(self, i));
		for (int j = 0; j < m->nodes.nr_mem - 1; j++)
			if (m->nodes.mem[j] == expected[i])
				after = m->nodes.mem[j + 1];
		if (next_node() != after)
			expected[i] = -1;
	}
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	read_pages(&r);
	for (int i = 0; i < nr; i++) {
		if (expected[i] < 0)
			continue;
		judged++;
		wrapped += expected[i] == self->last;
		EXPECT_EQ(expected[i], page_node(r.p + i * r.page));
	}
	EXPECT_LE(nr / 2, judged);
	EXPECT_LT(0, wrapped);
}

/*
 * The counter is inherited, so that a child goes on where its parent is and does not
 * begin anew. Big weights make that visible: kernel allocations of fork() move the
 * counter by no more than some dozens.
 *
 *	|  first: 160 pages  |  last: 160 pages  |
 *	                            ^ fork()
 */
TEST_F(page_cache, fork_counter)
{
	struct nodemask mask = NODEMASK(self->first, self->last);
	int written = 0;
	struct region r;

	ASSERT_EQ(0, set_weight(&self->m, self->first, 160));
	ASSERT_EQ(0, set_weight(&self->m, self->last, 160));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_WEIGHTED_INTERLEAVE, &mask));
	EXPECT_EQ(self->first, next_node());
	while (next_node() == self->first && written < 200)
		ASSERT_TRUE(write_page(self, written++));
	EXPECT_GE(160, written);
	EXPECT_LT(100, written);
	for (int i = 0; i < 50; i++)
		ASSERT_TRUE(write_page(self, written++));
	ASSERT_EQ(self->last, next_node());

	IN_CHILD({
		EXPECT_EQ(self->last, next_node());
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		for (int i = 0; i < 4; i++)
			ASSERT_TRUE(write_page(self, i));
		ASSERT_TRUE(map_file(self, &r, 4, MAP_SHARED));
		read_pages(&r);
		EXPECT_STREQ(on_node(self->last, 4), region_nodes(&r));
	});
	/* a new policy does begin anew */
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_WEIGHTED_INTERLEAVE, &mask));
	EXPECT_EQ(self->first, next_node());
}

/*
 * The pool of huge pages: "the task's NUMA memory policy is used to derive the set of
 * nodes" that pages are allocated on and freed from when nr_hugepages_mempolicy is
 * written (admin-guide/mm/hugetlbpage.rst), the same number on each.
 */
#define POOL_SYSCTL	"/proc/sys/vm/nr_hugepages_mempolicy"
#define POOL_SHARE	2

FIXTURE(hugetlb_pool)
{
	struct machine m;
	bool saved;
	long before[NUMA_MAX_NODES];
};

FIXTURE_VARIANT(hugetlb_pool)
{
	int mode;
	enum { NO_NODES, ONE_NODE, TWO_NODES } nodes;
};

FIXTURE_VARIANT_ADD(hugetlb_pool, default) { .mode = MPOL_DEFAULT };
FIXTURE_VARIANT_ADD(hugetlb_pool, local) { .mode = MPOL_LOCAL };
FIXTURE_VARIANT_ADD(hugetlb_pool, preferred) { .mode = MPOL_PREFERRED, .nodes = ONE_NODE };
FIXTURE_VARIANT_ADD(hugetlb_pool, preferred_many)
{ .mode = MPOL_PREFERRED_MANY, .nodes = TWO_NODES };
FIXTURE_VARIANT_ADD(hugetlb_pool, bind) { .mode = MPOL_BIND, .nodes = ONE_NODE };
FIXTURE_VARIANT_ADD(hugetlb_pool, bind_two) { .mode = MPOL_BIND, .nodes = TWO_NODES };
FIXTURE_VARIANT_ADD(hugetlb_pool, interleave) { .mode = MPOL_INTERLEAVE, .nodes = TWO_NODES };
FIXTURE_VARIANT_ADD(hugetlb_pool, weighted_interleave)
{ .mode = MPOL_WEIGHTED_INTERLEAVE, .nodes = TWO_NODES };

static const char *pool_file(int node)
{
	static char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/nr_hugepages",
		 node, hugetlb_size() / 1024);
	return path;
}

FIXTURE_SETUP(hugetlb_pool)
{
	NEED_ROOT();
	ASSERT_EQ(0, machine_get(&self->m));
	NEED_MEMORY_NODES(&self->m.nodes, 2);
	NEED_BOTH_NODES(&self->m.nodes, 1);
	if (!hugetlb_size() || access(POOL_SYSCTL, W_OK))
		SKIP(return, "needs hugetlb");
	ASSERT_EQ(0, numa_run_on(&self->m.nodes, numa_node_with_both(&self->m.nodes, -1)));
	for (int i = 0; i < self->m.nodes.nr_mem; i++) {
		int node = self->m.nodes.mem[i];

		ASSERT_EQ(0, file_read_long(pool_file(node), &self->before[node]));
	}
	self->saved = true;
}

FIXTURE_TEARDOWN_PARENT(hugetlb_pool)
{
	for (int i = 0; self->saved && i < self->m.nodes.nr_mem; i++) {
		int node = self->m.nodes.mem[i];

		file_write_long(pool_file(node), self->before[node]);
	}
}

/* More pages on the nodes of the policy, on no other, and the same way back */
TEST_F(hugetlb_pool, by_policy)
{
	struct machine *m = &self->m;
	struct nodemask mask = { };
	long total, pages;
	int nr = 0;

	for (int i = 0; i < m->nodes.nr_mem; i++) {
		int node = m->nodes.mem[i];
		bool in = variant->nodes == ONE_NODE ? i == m->nodes.nr_mem - 1 :
			  variant->nodes == TWO_NODES ? !i || i == m->nodes.nr_mem - 1 :
			  variant->mode == MPOL_LOCAL ? node == numa_node_with_both(&m->nodes, -1) :
			  true;

		if (in)
			nodemask_set(&mask, node);
		nr += in;
	}
	ASSERT_EQ(0, file_read_long(POOL_SYSCTL, &total));
	ASSERT_EQ(0, sys_set_mempolicy(variant->mode, variant->nodes ? &mask : NULL));
	for (int more = 1; more >= 0; more--) {
		ASSERT_EQ(0, file_write_long(POOL_SYSCTL, total + more * nr * POOL_SHARE));
		for (int i = 0; i < m->nodes.nr_mem; i++) {
			int node = m->nodes.mem[i];
			long want = more && nodemask_isset(&mask, node) ? POOL_SHARE : 0;

			ASSERT_EQ(0, file_read_long(pool_file(node), &pages));
			EXPECT_EQ(want, pages - self->before[node]) {
				TH_LOG("node %d", node);
			}
		}
	}
}

/*
 * No memory left on the nodes that MPOL_BIND allows: "only processes whose policy may
 * have memory there" are killed for it, and these are all but those that are bound to
 * other nodes (mempolicy_in_oom_domain()), whatever their oom_score_adj says.
 *
 * This takes all memory of a node, and kills: only in a guest of the lab.
 */
FIXTURE(oom)
{
	struct machine m;
	struct nodemask here, elsewhere, all;
	struct console console;
};

FIXTURE_SETUP(oom)
{
	char cmdline[4096];

	NEED_ROOT();
	ASSERT_EQ(0, machine_get(&self->m));
	NEED_MEMORY_NODES(&self->m.nodes, 2);
	if (file_read("/proc/cmdline", cmdline, sizeof(cmdline)) || !strstr(cmdline, "lab.mode="))
		SKIP(return, "needs lab");
	/* the first node has what the kernel itself and all others use */
	self->elsewhere = NODEMASK(self->m.nodes.mem[0]);
	self->here = NODEMASK(self->m.nodes.mem[self->m.nodes.nr_mem - 1]);
	self->all = self->m.memory;
	machine_prepare(&self->m, false);
}

FIXTURE_TEARDOWN_PARENT(oom)
{
	console_restore(&self->console);
	machine_restore(&self->m);
}

/* A process that any OOM killer takes first, which sleeps; its pid or -1 */
static pid_t candidate(int mode, const struct nodemask *mask)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sys_set_mempolicy(mode, mask) ||
		    file_write("/proc/self/oom_score_adj", "1000") || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &c, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

TEST_F_TIMEOUT(oom, killed_by_policy, 120)
{
	pid_t bound, interleaved, other, hog;
	int status;
	char bug[256];

	bound = candidate(MPOL_BIND, &self->here);
	interleaved = candidate(MPOL_INTERLEAVE, &self->all);
	other = candidate(MPOL_BIND, &self->elsewhere);
	ASSERT_LT(0, bound);
	ASSERT_LT(0, interleaved);
	ASSERT_LT(0, other);

	/* reports of the OOM killer come with a stack */
	ASSERT_EQ(0, console_mute(&self->console));
	hog = fork();
	if (!hog) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sys_set_mempolicy(MPOL_BIND, &self->here))
			_exit(1);
		for (;;) {
			const size_t size = 4 << 20;
			char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

			if (p == MAP_FAILED)
				_exit(2);
			for (size_t i = 0; i < size; i += page_size())
				*(volatile char *)(p + i) = 1;
		}
	}
	ASSERT_LT(0, hog);
	/* it has the largest part of the node; the others were preferred to it */
	ASSERT_EQ(hog, waitpid(hog, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(bound, waitpid(bound, &status, WNOHANG));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(interleaved, waitpid(interleaved, &status, WNOHANG));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(0, waitpid(other, &status, WNOHANG));
	kill(other, SIGKILL);
	EXPECT_EQ(other, waitpid(other, &status, 0));
	ASSERT_EQ(0, console_unmute(&self->console, bug, sizeof(bug)));
	EXPECT_STREQ("", bug);
}

TEST_HARNESS_MAIN
