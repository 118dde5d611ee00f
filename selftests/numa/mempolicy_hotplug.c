// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a policy when the memory of a node goes offline and comes back.
 *
 * Documentation/admin-guide/mm/numa_memory_policy.rst has two reasons for a policy to
 * change: a new one is set, or the set of nodes that a cpuset allows is changed. A node
 * that goes is neither: nobody has asked for another policy, and what is remapped to
 * the nodes that are left cannot be told from what the user wanted once the node is
 * back. So
 *  - a policy that does not name the node stays as it is;
 *  - one that names it and others is obeyed as far as there is memory, and is what it
 *    was when the node is back;
 *  - one that names only it has no node that is allowed, and restricts to nothing:
 *    policy_nodemask() has that for Bind (cpuset_nodemask_valid_mems_allowed()), and
 *    the other modes never restrict. Pages come from what is left, and from the node
 *    when it is back.
 * MPOL_F_STATIC_NODES says this of any change; with MPOL_F_RELATIVE_NODES the nodes
 * are counted anew each time.
 */
#include <fcntl.h>

#include "numa_util.h"
#include "kselftest_harness.h"
#include "numa_hotplug.h"

#define PAGES	64

enum kind { TASK, VMA, SHARED };
static const char * const kind_name[] = { "task", "vma", "shared" };

struct machine {
	struct hotplug h;
	int low, high;		/* others: on most machines one below it and one above */
	struct cpuset cpuset;
	long balancing;
};

static struct nodemask memory_nodes(void)
{
	struct nodemask m = { };
	char buf[4096];

	if (!file_read("/sys/devices/system/node/has_memory", buf, sizeof(buf)))
		nodemask_parse(buf, &m);
	return m;
}

/* Of use in a setup, which has to end if it skips: there is no teardown then */
#define MACHINE_GET(m) do {						\
	struct numa_nodes nodes_;					\
									\
	NEED_ROOT();							\
	ASSERT_EQ(0, numa_nodes_get(&nodes_));				\
	NEED_MEMORY_NODES(&nodes_, 2);					\
	NEED_HOTPLUG(&(m)->h);						\
	ASSERT_EQ(0, numa_run_on(&nodes_, nodes_.cpu[0]));		\
	(m)->low = nodes_.mem[0];					\
	(m)->high = nodes_.mem[nodes_.nr_mem - 1];			\
	(m)->balancing = numa_balancing_off();				\
	(m)->cpuset.name[0] = '\0';					\
} while (0)

static void machine_restore(struct __test_metadata *_metadata, struct machine *m)
{
	EXPECT_EQ(0, hotplug_offline(&m->h));
	/* by a process that has not made the directory, and has no mount of it */
	if (m->cpuset.name[0]) {
		m->cpuset.root = cgroup_mount(m->cpuset.v1);
		EXPECT_EQ(0, cpuset_remove(&m->cpuset));
	}
	numa_balancing_restore(m->balancing);
}

/* The node comes or goes, and the task is allowed what there is */
static void node_online(struct __test_metadata *_metadata, const struct machine *m, bool on)
{
	struct nodemask has, allowed;

	ASSERT_EQ(0, on ? hotplug_online(&m->h) : hotplug_offline(&m->h));
	has = memory_nodes();
	ASSERT_EQ(on, nodemask_isset(&has, m->h.node));
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &allowed, NULL, MPOL_F_MEMS_ALLOWED));
	EXPECT_TRUE(nodemask_equal(&has, &allowed));
}

static int nr_nodes(const struct nodemask *m)
{
	int n = 0;

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		n += nodemask_isset(m, i);
	return n;
}

static struct nodemask both(const struct nodemask *a, const struct nodemask *b)
{
	struct nodemask m = { };

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(a, i) && nodemask_isset(b, i))
			nodemask_set(&m, i);
	return m;
}

/* The nodes that have the numbers @user among those of @mems, wrapping around */
static struct nodemask relative(const struct nodemask *user, const struct nodemask *mems)
{
	struct nodemask m = { };
	int n;

	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		if (!nodemask_isset(user, i))
			continue;
		n = i % nr_nodes(mems);
		for (int node = 0; node < NUMA_MAX_NODES; node++)
			if (nodemask_isset(mems, node) && !n--)
				nodemask_set(&m, node);
	}
	return m;
}

/* A policy and memory that is subject to it */
struct subject {
	enum kind kind;
	int mode, flags;
	struct nodemask user;
	char *area;
};

static void subject_new(struct __test_metadata *_metadata, struct subject *s, enum kind kind,
			int mode, int flags, struct nodemask user)
{
	size_t size = PAGES * page_size();

	*s = (struct subject){ .kind = kind, .mode = mode, .flags = flags, .user = user };
	/* of several only the first is preferred */
	if (mode == MPOL_PREFERRED)
		for (int i = NUMA_MAX_NODES - 1; i >= 0; i--)
			if (nodemask_isset(&user, i))
				s->user = NODEMASK(i);
	/* between pages without access: never merged with another mapping */
	s->area = mmap(NULL, size + 2 * page_size(), PROT_NONE,
		       (kind == SHARED ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s->area);
	s->area += page_size();
	ASSERT_EQ(0, mprotect(s->area, size, PROT_READ | PROT_WRITE));
	madvise(s->area, size, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, kind == TASK ? sys_set_mempolicy(mode | flags, &user) :
				    sys_mbind(s->area, size, mode | flags, &user, 0));
}

/* What the policy is in effect for; with flags, get_mempolicy() has the user's nodes */
static void expect_policy(struct __test_metadata *_metadata, const struct subject *s,
			  const struct nodemask *nodes)
{
	const struct nodemask *report = s->flags ? &s->user : nodes;
	struct nodemask reported;
	struct numa_maps nm;
	char want[256];
	int mode;

	snprintf(want, sizeof(want), "%s%s:%s", mpol_mode_name(s->mode),
		 s->flags & MPOL_F_STATIC_NODES ? "=static" :
		 s->flags & MPOL_F_RELATIVE_NODES ? "=relative" : "", nodemask_str(nodes));
	ASSERT_EQ(0, numa_maps_get(s->area, &nm));
	EXPECT_STREQ(want, nm.policy) {
		TH_LOG("of the %s", kind_name[s->kind]);
	}
	ASSERT_EQ(0, sys_get_mempolicy(&mode, &reported, s->kind == TASK ? NULL : s->area,
				       s->kind == TASK ? 0 : MPOL_F_ADDR));
	EXPECT_EQ(s->mode | s->flags, mode);
	EXPECT_TRUE(nodemask_equal(report, &reported)) {
		TH_LOG("of the %s: reported nodes %s", kind_name[s->kind],
		       nodemask_str(&reported));
	}
}

/*
 * New pages: all from the nodes @only, and some from each of @each. Then the counts of
 * move_pages() and of numa_maps are the same.
 */
static void expect_pages(struct __test_metadata *_metadata, const struct subject *s,
			 const struct nodemask *only, const struct nodemask *each)
{
	static unsigned long count[NUMA_MAX_NODES], shown[NUMA_MAX_NODES];
	size_t size = PAGES * page_size();

	ASSERT_EQ(0, madvise(s->area, size, s->kind == SHARED ? MADV_REMOVE : MADV_DONTNEED));
	for (int i = 0; i < PAGES; i++)
		s->area[i * page_size()] = i + 1;
	ASSERT_EQ(PAGES, page_nodes(s->area, size, page_size(), count));
	ASSERT_EQ(PAGES, numa_maps_nodes(s->area, size, shown));
	EXPECT_EQ(0, memcmp(count, shown, sizeof(count)));
	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		EXPECT_TRUE(!count[i] || nodemask_isset(only, i)) {
			TH_LOG("of the %s: %lu pages on node %d", kind_name[s->kind], count[i], i);
		}
		EXPECT_TRUE(count[i] || !nodemask_isset(each, i)) {
			TH_LOG("of the %s: no page on node %d", kind_name[s->kind], i);
		}
	}
}

static void expect_content(struct __test_metadata *_metadata, const struct subject *s)
{
	struct nodemask has = memory_nodes();
	int wrong = 0, lost = 0;

	for (int i = 0; i < PAGES; i++) {
		int node = page_node(s->area + i * page_size());

		wrong += s->area[i * page_size()] != i + 1;
		lost += node < 0 || !nodemask_isset(&has, node);
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, lost);
}

/* The policy is in effect for @nodes, which have memory, and pages come from them */
static void expect_whole(struct __test_metadata *_metadata, const struct subject *s,
			 const struct nodemask *nodes)
{
	struct nodemask none = { };
	bool rounds = s->mode == MPOL_INTERLEAVE || s->mode == MPOL_WEIGHTED_INTERLEAVE;

	expect_policy(_metadata, s, nodes);
	expect_pages(_metadata, s, nodes, rounds ? nodes : &none);
}

/*
 * A part of the policy's nodes has memory, or none: what it restricts to is that part,
 * or all there is. Interleaving takes another node in place of one without memory, so
 * that only the share of those with memory is certain.
 */
static void expect_rest(struct __test_metadata *_metadata, const struct subject *s)
{
	struct nodemask has = memory_nodes(), rest = both(&s->user, &has), none = { };
	bool rounds = s->mode == MPOL_INTERLEAVE || s->mode == MPOL_WEIGHTED_INTERLEAVE;
	bool is_static = s->flags & MPOL_F_STATIC_NODES;

	if (!nr_nodes(&rest))
		expect_pages(_metadata, s, &has, &none);
	else if (rounds)
		expect_pages(_metadata, s, is_static ? &rest : &has, &rest);
	else
		expect_pages(_metadata, s, &rest, &none);
}

FIXTURE(policy)
{
	struct machine m;
};

FIXTURE_VARIANT(policy)
{
	int mode, flags;
};

FIXTURE_VARIANT_ADD(policy, preferred) { .mode = MPOL_PREFERRED };
FIXTURE_VARIANT_ADD(policy, preferred_many) { .mode = MPOL_PREFERRED_MANY };
FIXTURE_VARIANT_ADD(policy, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(policy, interleave) { .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(policy, weighted_interleave) { .mode = MPOL_WEIGHTED_INTERLEAVE };
FIXTURE_VARIANT_ADD(policy, bind_static) { .mode = MPOL_BIND, .flags = MPOL_F_STATIC_NODES };
FIXTURE_VARIANT_ADD(policy, interleave_static)
{ .mode = MPOL_INTERLEAVE, .flags = MPOL_F_STATIC_NODES };

FIXTURE_SETUP(policy)
{
	MACHINE_GET(&self->m);
}

FIXTURE_TEARDOWN_PARENT(policy)
{
	machine_restore(_metadata, &self->m);
}

/* Installed with the node, which it does not name: goes, comes, and nothing changes */
static void not_named(struct __test_metadata *_metadata, const struct machine *m,
		      enum kind kind, int mode, int flags, bool there)
{
	struct subject s;

	node_online(_metadata, m, there);
	subject_new(_metadata, &s, kind, mode, flags, NODEMASK(m->high));
	expect_whole(_metadata, &s, &s.user);
	for (int i = 0; i < 2; i++) {
		there = !there;
		node_online(_metadata, m, there);
		expect_whole(_metadata, &s, &s.user);
	}
}

TEST_F(policy, not_named_by_task)
{
	not_named(_metadata, &self->m, TASK, variant->mode, variant->flags, true);
}

TEST_F(policy, not_named_by_vma)
{
	not_named(_metadata, &self->m, VMA, variant->mode, variant->flags, true);
}

TEST_F(policy, not_named_by_shared)
{
	not_named(_metadata, &self->m, SHARED, variant->mode, variant->flags, true);
}

/* The same where the node comes first: it does not get into a policy by coming */
TEST_F(policy, new_to_task)
{
	not_named(_metadata, &self->m, TASK, variant->mode, variant->flags, false);
}

TEST_F(policy, new_to_vma)
{
	not_named(_metadata, &self->m, VMA, variant->mode, variant->flags, false);
}

TEST_F(policy, new_to_shared)
{
	not_named(_metadata, &self->m, SHARED, variant->mode, variant->flags, false);
}

/* Named with others, or alone; pages that were on the node are not lost with it */
static void named(struct __test_metadata *_metadata, const struct machine *m, enum kind kind,
		  int mode, int flags, struct nodemask user)
{
	struct subject s;

	node_online(_metadata, m, true);
	subject_new(_metadata, &s, kind, mode, flags, user);
	expect_whole(_metadata, &s, &s.user);
	node_online(_metadata, m, false);
	expect_content(_metadata, &s);
	expect_rest(_metadata, &s);
	node_online(_metadata, m, true);
	expect_whole(_metadata, &s, &s.user);
}

TEST_F(policy, named_with_others_by_task)
{
	named(_metadata, &self->m, TASK, variant->mode, variant->flags,
	      NODEMASK(self->m.h.node, self->m.high));
}

TEST_F(policy, named_with_others_by_vma)
{
	named(_metadata, &self->m, VMA, variant->mode, variant->flags,
	      NODEMASK(self->m.h.node, self->m.high));
}

TEST_F(policy, named_with_others_by_shared)
{
	named(_metadata, &self->m, SHARED, variant->mode, variant->flags,
	      NODEMASK(self->m.h.node, self->m.high));
}

TEST_F(policy, named_alone_by_task)
{
	named(_metadata, &self->m, TASK, variant->mode, variant->flags,
	      NODEMASK(self->m.h.node));
}

TEST_F(policy, named_alone_by_vma)
{
	named(_metadata, &self->m, VMA, variant->mode, variant->flags,
	      NODEMASK(self->m.h.node));
}

TEST_F(policy, named_alone_by_shared)
{
	named(_metadata, &self->m, SHARED, variant->mode, variant->flags,
	      NODEMASK(self->m.h.node));
}

/*
 * "MPOL_F_RELATIVE_NODES: the nodemask passed by the user will be interpreted relative
 * to the task or VMA's set of allowed nodes", of which there are now less, now more.
 */
FIXTURE(relative_nodes)
{
	struct machine m;
};

FIXTURE_VARIANT(relative_nodes)
{
	int mode;
};

FIXTURE_VARIANT_ADD(relative_nodes, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(relative_nodes, interleave) { .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(relative_nodes, weighted_interleave) { .mode = MPOL_WEIGHTED_INTERLEAVE };

FIXTURE_SETUP(relative_nodes)
{
	MACHINE_GET(&self->m);
}

FIXTURE_TEARDOWN_PARENT(relative_nodes)
{
	machine_restore(_metadata, &self->m);
}

TEST_F(relative_nodes, counted_anew)
{
	struct subject s[2];
	struct nodemask has, nodes;

	node_online(_metadata, &self->m, true);
	for (enum kind kind = TASK; kind <= VMA; kind++)
		subject_new(_metadata, &s[kind], kind, variant->mode, MPOL_F_RELATIVE_NODES,
			    NODEMASK(1, 3));
	for (int i = 0; i < 3; i++) {
		has = memory_nodes();
		nodes = relative(&s[0].user, &has);
		expect_whole(_metadata, &s[TASK], &nodes);
		expect_whole(_metadata, &s[VMA], &nodes);
		if (i < 2)
			node_online(_metadata, &self->m, i);
	}
}

/* Policies that are made while the node is not there */
FIXTURE(without_node)
{
	struct machine m;
};

FIXTURE_VARIANT(without_node)
{
	int mode;
};

FIXTURE_VARIANT_ADD(without_node, preferred) { .mode = MPOL_PREFERRED };
FIXTURE_VARIANT_ADD(without_node, preferred_many) { .mode = MPOL_PREFERRED_MANY };
FIXTURE_VARIANT_ADD(without_node, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(without_node, interleave) { .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(without_node, weighted_interleave) { .mode = MPOL_WEIGHTED_INTERLEAVE };

FIXTURE_SETUP(without_node)
{
	MACHINE_GET(&self->m);
}

FIXTURE_TEARDOWN_PARENT(without_node)
{
	machine_restore(_metadata, &self->m);
}

/* "EINVAL: ... contains no online node with memory": the node alone, until it is there */
TEST_F(without_node, refused)
{
	struct nodemask user = NODEMASK(self->m.h.node);

	for (int on = 0; on < 3; on++) {
		node_online(_metadata, &self->m, on & 1);
		errno = 0;
		EXPECT_EQ(on & 1 ? 0 : -1, sys_set_mempolicy(variant->mode, &user));
		EXPECT_EQ(on & 1 ? 0 : EINVAL, errno);
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	}
}

/* A policy is for the nodes that it got; with MPOL_F_STATIC_NODES for all it asked for */
TEST_F(without_node, got_the_others)
{
	struct machine *m = &self->m;
	struct nodemask user = NODEMASK(m->h.node, m->high), others = NODEMASK(m->high);
	bool prefers = variant->mode == MPOL_PREFERRED || variant->mode == MPOL_PREFERRED_MANY;
	struct subject s[2];

	subject_new(_metadata, &s[TASK], TASK, variant->mode, 0, user);
	subject_new(_metadata, &s[VMA], VMA, variant->mode, MPOL_F_STATIC_NODES, user);
	for (int on = 0; on < 3; on++) {
		node_online(_metadata, m, on & 1);
		expect_whole(_metadata, &s[TASK], &others);
		/* what is preferred is not rebound */
		if (!prefers)
			expect_whole(_metadata, &s[VMA], on & 1 ? &user : &others);
	}
}

/*
 * In a cpuset (v2): cpuset.mems is what was asked for and stays, and "cpuset.mems.
 * effective" is what it has, which is "affected by memory nodes hotplug events".
 */
FIXTURE(in_cpuset)
{
	struct machine m;
};

FIXTURE_VARIANT(in_cpuset)
{
	int mode, flags;
};

FIXTURE_VARIANT_ADD(in_cpuset, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(in_cpuset, interleave) { .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(in_cpuset, weighted_interleave) { .mode = MPOL_WEIGHTED_INTERLEAVE };
FIXTURE_VARIANT_ADD(in_cpuset, bind_static) { .mode = MPOL_BIND, .flags = MPOL_F_STATIC_NODES };

FIXTURE_SETUP(in_cpuset)
{
	MACHINE_GET(&self->m);
	if (cpuset_create(&self->m.cpuset)) {
		ASSERT_EQ(ENODEV, errno);
		numa_balancing_restore(self->m.balancing);
		SKIP(return, "needs cpuset");
	}
	if (self->m.cpuset.v1) {
		cpuset_remove(&self->m.cpuset);
		numa_balancing_restore(self->m.balancing);
		SKIP(return, "needs cpuset");
	}
}

FIXTURE_TEARDOWN_PARENT(in_cpuset)
{
	machine_restore(_metadata, &self->m);
}

static void enter(struct __test_metadata *_metadata, const struct machine *m)
{
	struct nodemask all;

	node_online(_metadata, m, true);
	all = memory_nodes();
	ASSERT_EQ(0, cpuset_set_mems(&m->cpuset, &all));
	ASSERT_EQ(0, cpuset_enter(&m->cpuset));
}

TEST_F(in_cpuset, not_named)
{
	enter(_metadata, &self->m);
	not_named(_metadata, &self->m, TASK, variant->mode, variant->flags, true);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	not_named(_metadata, &self->m, VMA, variant->mode, variant->flags, true);
}

TEST_F(in_cpuset, named_with_others)
{
	struct nodemask user = NODEMASK(self->m.h.node, self->m.high);

	enter(_metadata, &self->m);
	named(_metadata, &self->m, TASK, variant->mode, variant->flags, user);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	named(_metadata, &self->m, VMA, variant->mode, variant->flags, user);
}

TEST_F(in_cpuset, named_alone)
{
	struct nodemask user = NODEMASK(self->m.h.node);

	enter(_metadata, &self->m);
	named(_metadata, &self->m, TASK, variant->mode, variant->flags, user);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	named(_metadata, &self->m, VMA, variant->mode, variant->flags, user);
}

/*
 * In a hierarchy of v1 a task's policy is bound to the nodes of the cpuset whenever it is
 * moved, also where these are the nodes that it has. That changes nothing, whatever came
 * and went before.
 */
FIXTURE(moved)
{
	struct machine m;
	bool taken;
};

FIXTURE_VARIANT(moved)
{
	int mode;
};

FIXTURE_VARIANT_ADD(moved, bind) { .mode = MPOL_BIND };
FIXTURE_VARIANT_ADD(moved, interleave) { .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(moved, weighted_interleave) { .mode = MPOL_WEIGHTED_INTERLEAVE };

FIXTURE_SETUP(moved)
{
	int v1, err;

	MACHINE_GET(&self->m);
	v1 = cgroup1_take_cpuset(&self->taken);
	err = cpuset_create(&self->m.cpuset);
	if (v1 >= 0)
		close(v1);
	if (err || !self->m.cpuset.v1) {
		if (!err)
			cpuset_remove(&self->m.cpuset);
		if (self->taken)
			cgroup1_return_cpuset();
		numa_balancing_restore(self->m.balancing);
		SKIP(return, "needs cpuset");
	}
}

FIXTURE_TEARDOWN_PARENT(moved)
{
	machine_restore(_metadata, &self->m);
	if (self->taken)
		EXPECT_EQ(0, cgroup1_return_cpuset());
}

TEST_F(moved, to_the_same_nodes)
{
	struct nodemask user = NODEMASK(self->m.high), here;
	struct subject s;

	node_online(_metadata, &self->m, true);
	subject_new(_metadata, &s, TASK, variant->mode, 0, user);
	node_online(_metadata, &self->m, false);
	here = memory_nodes();
	ASSERT_EQ(0, cpuset_set_mems(&self->m.cpuset, &here));
	ASSERT_EQ(0, cpuset_enter(&self->m.cpuset));
	expect_policy(_metadata, &s, &user);
}

/* The nodes of a policy are not all that allocation begins with */
FIXTURE(other)
{
	struct machine m;
};

FIXTURE_SETUP(other)
{
	MACHINE_GET(&self->m);
}

FIXTURE_TEARDOWN_PARENT(other)
{
	machine_restore(_metadata, &self->m);
}

/* The home node is where the search begins: without memory it is the next that begins */
TEST_F(other, home_node_gone)
{
	struct machine *m = &self->m;
	struct nodemask user = NODEMASK(m->low, m->high), none = { };
	struct subject s;

	node_online(_metadata, m, true);
	subject_new(_metadata, &s, VMA, MPOL_BIND, MPOL_F_STATIC_NODES, user);
	ASSERT_EQ(0, syscall(SYS_set_mempolicy_home_node, s.area, PAGES * page_size(),
			     m->h.node, 0));
	for (int i = 0; i < 3; i++) {
		expect_policy(_metadata, &s, &user);
		expect_pages(_metadata, &s, &user, &none);
		if (i < 2)
			node_online(_metadata, m, i);
	}
}

/* Local: on the CPU of the node, which the node keeps */
TEST_F(other, local_memory_gone)
{
	struct nodemask has, local = NODEMASK(self->m.h.node), none = { };
	struct numa_nodes nodes;
	struct subject s;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	if (numa_run_on(&nodes, self->m.h.node))
		SKIP(return, "needs cpu_nodes=%d", nodes.nr_cpu + 1);
	subject_new(_metadata, &s, VMA, MPOL_LOCAL, 0, none);
	for (int on = 0; on < 3; on++) {
		node_online(_metadata, &self->m, on & 1);
		has = memory_nodes();
		expect_pages(_metadata, &s, on & 1 ? &local : &has, &none);
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	}
}

TEST_HARNESS_MAIN
