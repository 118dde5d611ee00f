// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a policy when cpuset.mems of its task changes.
 *
 * The kernel keeps two things apart: the nodes that a policy is in effect for,
 * which numa_maps shows and allocation obeys, and, with MPOL_F_STATIC_NODES or
 * MPOL_F_RELATIVE_NODES, the nodemask as the user gave it. The first follows the
 * cpuset as mpol_rebind_policy() says, and struct model below says it again in
 * the plainest way. The second is what every rebind starts from and what
 * get_mempolicy() reports, and no rebind may change it.
 *
 * A test is a walk: the task is in a cpuset of its own, installs a policy, and
 * then gives the cpuset one set of nodes after the other.
 */
#include "numa_util.h"
#include "kselftest_harness.h"

#define MODE_FLAGS	(MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)
#define MAX_NODES	4	/* of the machine's nodes a walk uses the first ones */
#define STEP_PAGES	MAX_NODES	/* touched in each step */

/* What numa_maps calls the modes */
static const char * const mode_names[] = {
	[MPOL_PREFERRED] = "prefer",
	[MPOL_BIND] = "bind",
	[MPOL_INTERLEAVE] = "interleave",
	[MPOL_LOCAL] = "local",
	[MPOL_PREFERRED_MANY] = "prefer (many)",
	[MPOL_WEIGHTED_INTERLEAVE] = "weighted interleave",
};

struct env {
	struct cpuset cpuset;
	int nr, node[MAX_NODES];	/* nodes with memory */
	int mode, flags;
	bool vma;			/* policy of a VMA, or of the task */
	char *area, *unused;
	size_t size;
};

/* A policy as the plain model has it */
struct model {
	int mode, flags;
	struct nodemask user;		/* as given to the system call */
	struct nodemask nodes;		/* in effect */
	struct nodemask mems;		/* cpuset.mems */
};

static int weight(const struct nodemask *m)
{
	int n = 0;

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		n += nodemask_isset(m, i);
	return n;
}

/* Number of @node in @m, counted from 0 */
static int ordinal(const struct nodemask *m, int node)
{
	int n = 0;

	for (int i = 0; i < node; i++)
		n += nodemask_isset(m, i);
	return n;
}

/* The node of @m that has number @n modulo the number of nodes */
static int nth(const struct nodemask *m, int n)
{
	n %= weight(m);
	for (int i = 0;; i++)
		if (nodemask_isset(m, i) && !n--)
			return i;
}

static struct nodemask intersection(const struct nodemask *a, const struct nodemask *b)
{
	struct nodemask m = { };

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(a, i) && nodemask_isset(b, i))
			nodemask_set(&m, i);
	return m;
}

/* @user's bits are numbers of nodes of @mems, wrapping around: nodes_fold, nodes_onto */
static struct nodemask relative(const struct nodemask *user, const struct nodemask *mems)
{
	struct nodemask m = { };

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(user, i))
			nodemask_set(&m, nth(mems, i));
	return m;
}

/* Each node gives way to the one with its number in the new set: nodes_remap */
static struct nodemask remap(const struct nodemask *nodes, const struct nodemask *old,
			     const struct nodemask *new)
{
	struct nodemask m = { };

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(nodes, i))
			nodemask_set(&m, nodemask_isset(old, i) ? nth(new, ordinal(old, i)) : i);
	return m;
}

/* A new policy: mpol_set_nodemask() */
static struct model model_new(int mode, int flags, const struct nodemask *user,
			      const struct nodemask *mems)
{
	struct model p = { .mode = mode, .flags = flags, .user = *user, .mems = *mems };

	if (mode == MPOL_LOCAL)
		return p;
	p.nodes = flags & MPOL_F_RELATIVE_NODES ? relative(user, mems) : intersection(user, mems);
	if (mode == MPOL_PREFERRED)
		p.nodes = NODEMASK(nth(&p.nodes, 0));
	return p;
}

/* A new cpuset.mems: mpol_rebind_policy() */
static void model_rebind(struct model *p, const struct nodemask *mems)
{
	switch (p->mode) {
	case MPOL_LOCAL:
	case MPOL_PREFERRED:
	case MPOL_PREFERRED_MANY:
		/* the preferred nodes stay preferred, allowed or not */
		break;
	default:
		if (p->flags & MPOL_F_STATIC_NODES)
			p->nodes = intersection(&p->user, mems);
		else if (p->flags & MPOL_F_RELATIVE_NODES)
			p->nodes = relative(&p->user, mems);
		else
			p->nodes = remap(&p->nodes, &p->mems, mems);
		/* not the default policy: all that is allowed */
		if (!weight(&p->nodes))
			p->nodes = *mems;
	}
	p->mems = *mems;
}

/* nodemask_str() has one buffer, so the masks are compared as masks */
#define EXPECT_MASK(expected, seen) do {				\
	const struct nodemask e_ = (expected), s_ = (seen);		\
									\
	EXPECT_TRUE(nodemask_equal(&e_, &s_)) {				\
		TH_LOG("expected nodes %s", nodemask_str(&e_));		\
		TH_LOG("seen     nodes %s", nodemask_str(&s_));		\
	}								\
} while (0)

/* The first @env->nr nodes whose bit is set in @bits */
static struct nodemask pick(const struct env *env, unsigned int bits)
{
	struct nodemask m = { };

	for (int i = 0; i < env->nr; i++)
		if (bits >> i & 1)
			nodemask_set(&m, env->node[i]);
	return m;
}

static unsigned int all(const struct env *env)
{
	return (1U << env->nr) - 1;
}

/* A nodemask for the system call: numbers of nodes if they are to be relative */
static struct nodemask user_mask(const struct env *env, unsigned int bits)
{
	struct nodemask m = { };

	if (env->mode == MPOL_LOCAL || !(env->flags & MPOL_F_RELATIVE_NODES))
		return pick(env, env->mode == MPOL_LOCAL ? 0 : bits);
	for (int i = 0; i < MAX_NODES; i++)
		if (bits >> i & 1)
			nodemask_set(&m, i);
	return m;
}

/* cpuset.mems is written, and the task sees it at once */
static void set_mems(struct __test_metadata *_metadata, struct env *env,
		     const struct nodemask *mems)
{
	struct nodemask seen;

	ASSERT_EQ(0, cpuset_set_mems(&env->cpuset, mems));
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &seen, NULL, MPOL_F_MEMS_ALLOWED));
	ASSERT_TRUE(nodemask_equal(mems, &seen));
}

/* A fresh area, and the policy under test for it or for the task */
static void install(struct __test_metadata *_metadata, struct env *env,
		    const struct nodemask *user)
{
	int mode = env->mode | env->flags;

	if (env->area)
		ASSERT_EQ(0, munmap(env->area, env->size));
	env->area = mmap(NULL, env->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, env->area);
	madvise(env->area, env->size, MADV_NOHUGEPAGE);
	env->unused = env->area;
	if (env->vma)
		ASSERT_EQ(0, sys_mbind(env->area, env->size, mode, user, 0));
	else
		ASSERT_EQ(0, sys_set_mempolicy(mode, user));
}

/* The policy under test as get_mempolicy() reports it */
static void reported(struct __test_metadata *_metadata, struct env *env, int *mode,
		     struct nodemask *nodes)
{
	ASSERT_EQ(0, sys_get_mempolicy(mode, nodes, env->vma ? env->area : NULL,
				       env->vma ? MPOL_F_ADDR : 0));
}

/*
 * numa_maps shows the nodes in effect, also those of a task policy: it stands at
 * every VMA that has no policy of its own.
 */
static void expect_in_effect(struct __test_metadata *_metadata, struct env *env,
			     const struct model *p)
{
	struct numa_maps nm;
	char want[256];

	snprintf(want, sizeof(want), "%s%s%s%s", mode_names[p->mode],
		 p->flags & MPOL_F_STATIC_NODES ? "=static" :
		 p->flags & MPOL_F_RELATIVE_NODES ? "=relative" : "",
		 weight(&p->nodes) ? ":" : "", nodemask_str(&p->nodes));
	ASSERT_EQ(0, numa_maps_get(env->area, &nm));
	EXPECT_STREQ(want, nm.policy);
}

/*
 * New pages come from the nodes in effect, as far as the cpuset allows them
 * (for BIND and INTERLEAVE it always does), and if it allows none of them from
 * those that it does allow. Interleaving uses each of its nodes.
 */
static void expect_placement(struct __test_metadata *_metadata, struct env *env,
			     const struct model *p)
{
	static unsigned long count[NUMA_MAX_NODES], maps[NUMA_MAX_NODES];
	struct nodemask ok = intersection(&p->nodes, &p->mems);
	size_t len = STEP_PAGES * page_size();
	long inside = 0;

	if (!weight(&ok))
		ok = p->mems;
	ASSERT_LE(env->unused + len, env->area + env->size);
	for (size_t off = 0; off < len; off += page_size())
		env->unused[off] = 1;
	ASSERT_EQ(STEP_PAGES, page_nodes(env->unused, len, page_size(), count));
	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		if (!nodemask_isset(&ok, i))
			continue;
		inside += count[i];
		if (p->mode == MPOL_INTERLEAVE)
			EXPECT_LE(1, count[i]);
	}
	EXPECT_EQ(STEP_PAGES, inside);
	env->unused += len;

	/* numa_maps agrees, for all pages of the area */
	ASSERT_LE(STEP_PAGES, page_nodes(env->area, env->size, page_size(), count));
	ASSERT_LE(STEP_PAGES, numa_maps_nodes(env->area, env->size, maps));
	EXPECT_EQ(0, memcmp(count, maps, sizeof(count)));
}

/* The policy as seen from outside is the model's, apart from a nodemask of the user */
static void expect_model(struct __test_metadata *_metadata, struct env *env,
			 const struct model *p)
{
	struct nodemask nodes;
	int mode;

	reported(_metadata, env, &mode, &nodes);
	EXPECT_EQ(p->mode | p->flags, mode);
	if (!p->flags)
		EXPECT_MASK(p->nodes, nodes);
	expect_in_effect(_metadata, env, p);
	expect_placement(_metadata, env, p);
}

/*
 * Walk through all subsets of the nodes in an order without order, from several
 * policies and cpusets to start with, and compare with the model at every step.
 */
static void walk(struct __test_metadata *_metadata, struct env *env)
{
	static const struct {
		unsigned int user, from;	/* bits as pick() takes them */
	} starts[] = {
		{ 0x2, 0xf },	/* one node, from all */
		{ 0x9, 0x1 },	/* first and last, while the first alone is allowed */
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct nodemask user = user_mask(env, starts[i].user);
		struct nodemask mems = pick(env, starts[i].from);
		struct model p = model_new(env->mode, env->flags, &user, &mems);

		set_mems(_metadata, env, &mems);
		install(_metadata, env, &user);
		expect_model(_metadata, env, &p);
		for (unsigned int set = 5; set &= all(env); set += 5) {
			mems = pick(env, set);
			set_mems(_metadata, env, &mems);
			model_rebind(&p, &mems);
			expect_model(_metadata, env, &p);
		}
	}
}

static void enter(struct __test_metadata *_metadata, struct env *env)
{
	struct numa_nodes nodes;
	struct nodemask first;

	NEED_ROOT();
	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	env->nr = nodes.nr_mem < MAX_NODES ? nodes.nr_mem : MAX_NODES;
	for (int i = 0; i < env->nr; i++)
		env->node[i] = nodes.mem[i];
	/* a step for each subset and one to begin with */
	env->size = (1 << env->nr) * STEP_PAGES * page_size();

	/*
	 * Not all nodes: a task that comes into a v2 cpuset with the nodes of its
	 * parent keeps the mems_allowed that it has, which may be more than that.
	 */
	first = pick(env, 1);
	if (cpuset_enter(&env->cpuset, &first)) {
		if (errno == ENODEV)
			SKIP(return, "needs cpuset");
		ASSERT_EQ(0, errno);
	}
}

/*
 * Policies with a nodemask that is the user's.
 */
FIXTURE(rebind)
{
	struct env env;
};

FIXTURE_VARIANT(rebind)
{
	int mode, flags;
	bool vma;
};

#define REBIND_VARIANTS(name, mode_)					\
	FIXTURE_VARIANT_ADD(rebind, name##_static_task)			\
	{ .mode = (mode_), .flags = MPOL_F_STATIC_NODES };		\
	FIXTURE_VARIANT_ADD(rebind, name##_static_vma)			\
	{ .mode = (mode_), .flags = MPOL_F_STATIC_NODES, .vma = true };	\
	FIXTURE_VARIANT_ADD(rebind, name##_relative_task)		\
	{ .mode = (mode_), .flags = MPOL_F_RELATIVE_NODES };		\
	FIXTURE_VARIANT_ADD(rebind, name##_relative_vma)		\
	{ .mode = (mode_), .flags = MPOL_F_RELATIVE_NODES, .vma = true }

REBIND_VARIANTS(preferred, MPOL_PREFERRED);
REBIND_VARIANTS(preferred_many, MPOL_PREFERRED_MANY);
REBIND_VARIANTS(bind, MPOL_BIND);
REBIND_VARIANTS(interleave, MPOL_INTERLEAVE);
REBIND_VARIANTS(weighted_interleave, MPOL_WEIGHTED_INTERLEAVE);

FIXTURE_SETUP(rebind)
{
	self->env.mode = variant->mode;
	self->env.flags = variant->flags;
	self->env.vma = variant->vma;
	enter(_metadata, &self->env);
}

FIXTURE_TEARDOWN_PARENT(rebind)
{
	EXPECT_EQ(0, cpuset_remove(&self->env.cpuset));
}

/*
 * get_mempolicy() reports the nodemask that the user gave (do_get_mempolicy():
 * w.user_nodemask), whatever cpuset.mems has been since.
 *
 *	cpuset.mems	{0,1}	{0}	{1}	{0,1}
 *	reported	{1}	{1}	{1}	{1}
 */
TEST_F(rebind, keeps_user_nodemask)
{
	static const unsigned int steps[] = { 0x3, 0x1, 0x2, 0x3 };
	struct env *env = &self->env;
	struct nodemask user = user_mask(env, 0x2), mems, seen;
	int mode;

	mems = pick(env, 0x3);
	set_mems(_metadata, env, &mems);
	install(_metadata, env, &user);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		mems = pick(env, steps[i]);
		set_mems(_metadata, env, &mems);
		reported(_metadata, env, &mode, &seen);
		EXPECT_EQ(env->mode | env->flags, mode);
		EXPECT_MASK(user, seen);
	}
}

/*
 * STATIC: the user's nodes that are allowed, or all that are if none is.
 * RELATIVE: the user's numbers folded onto the allowed nodes.
 * PREFERRED and PREFERRED_MANY: what they became when they were made.
 */
TEST_F(rebind, nodes_in_effect)
{
	walk(_metadata, &self->env);
}

/*
 * Policies without one: BIND and both INTERLEAVEs are remapped, PREFERRED and
 * PREFERRED_MANY are deliberately not, LOCAL has nothing to remap.
 */
FIXTURE(rebind_plain)
{
	struct env env;
};

FIXTURE_VARIANT(rebind_plain)
{
	int mode;
	bool vma;
};

#define PLAIN_VARIANTS(name, mode_)					\
	FIXTURE_VARIANT_ADD(rebind_plain, name##_task)			\
	{ .mode = (mode_) };						\
	FIXTURE_VARIANT_ADD(rebind_plain, name##_vma)			\
	{ .mode = (mode_), .vma = true }

PLAIN_VARIANTS(preferred, MPOL_PREFERRED);
PLAIN_VARIANTS(preferred_many, MPOL_PREFERRED_MANY);
PLAIN_VARIANTS(bind, MPOL_BIND);
PLAIN_VARIANTS(interleave, MPOL_INTERLEAVE);
PLAIN_VARIANTS(weighted_interleave, MPOL_WEIGHTED_INTERLEAVE);
PLAIN_VARIANTS(local, MPOL_LOCAL);

FIXTURE_SETUP(rebind_plain)
{
	self->env.mode = variant->mode;
	self->env.vma = variant->vma;
	enter(_metadata, &self->env);
}

FIXTURE_TEARDOWN_PARENT(rebind_plain)
{
	EXPECT_EQ(0, cpuset_remove(&self->env.cpuset));
}

TEST_F(rebind_plain, nodes_in_effect)
{
	walk(_metadata, &self->env);
}

TEST_HARNESS_MAIN
