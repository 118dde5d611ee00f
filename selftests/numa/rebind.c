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

#define MAX_NODES	4		/* a walk uses the first nodes of the machine */
#define AREA_PAGES	MAX_NODES

/* What numa_maps calls the modes */
static const char * const mode_names[] = {
	[MPOL_PREFERRED] = "prefer",
	[MPOL_BIND] = "bind",
	[MPOL_INTERLEAVE] = "interleave",
	[MPOL_LOCAL] = "local",
	[MPOL_PREFERRED_MANY] = "prefer (many)",
	[MPOL_WEIGHTED_INTERLEAVE] = "weighted interleave",
};

/* One for all tests: each of them is a process that enters it and stays */
static struct cpuset cpuset;
static int cpuset_error;

struct env {
	int nr, node[MAX_NODES];	/* nodes with memory */
};

/* A policy as the plain model has it */
struct model {
	int mode, flags;
	struct nodemask user;		/* as given to the system call */
	struct nodemask nodes;		/* in effect */
	struct nodemask mems;		/* cpuset.mems */
};

/* Beyond all node numbers here, so that the plain loops need not go to NUMA_MAX_NODES */
static int nr_ids = MAX_NODES;

static int weight(const struct nodemask *m)
{
	int n = 0;

	for (int i = 0; i < nr_ids; i++)
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

	for (int i = 0; i < nr_ids; i++)
		if (nodemask_isset(a, i) && nodemask_isset(b, i))
			nodemask_set(&m, i);
	return m;
}

/* @user's bits are numbers of nodes of @mems, wrapping around: nodes_fold, nodes_onto */
static struct nodemask relative(const struct nodemask *user, const struct nodemask *mems)
{
	struct nodemask m = { };

	for (int i = 0; i < nr_ids; i++)
		if (nodemask_isset(user, i))
			nodemask_set(&m, nth(mems, i));
	return m;
}

/* Each node gives way to the one with its number in the new set: nodes_remap */
static struct nodemask remap(const struct nodemask *nodes, const struct nodemask *old,
			     const struct nodemask *new)
{
	struct nodemask m = { };

	for (int i = 0; i < nr_ids; i++)
		if (nodemask_isset(nodes, i))
			nodemask_set(&m, nth(new, ordinal(old, i)));
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

/* The nodes of @env whose bit is set in @bits */
static struct nodemask pick(const struct env *env, unsigned int bits)
{
	struct nodemask m = { };

	for (int i = 0; i < env->nr; i++)
		if (bits >> i & 1)
			nodemask_set(&m, env->node[i]);
	return m;
}

/* The same as a nodemask for a system call: numbers if they are to be relative */
static struct nodemask user_mask(const struct env *env, int mode, int flags, unsigned int bits)
{
	struct nodemask m = { };

	if (mode == MPOL_LOCAL)
		return m;
	if (!(flags & MPOL_F_RELATIVE_NODES))
		return pick(env, bits);
	for (int i = 0; i < MAX_NODES; i++)
		if (bits >> i & 1)
			nodemask_set(&m, i);
	return m;
}

/* cpuset.mems is written, and the task sees it at once */
static void set_mems(struct __test_metadata *_metadata, const struct nodemask *mems)
{
	struct nodemask seen;

	ASSERT_EQ(0, cpuset_set_mems(&cpuset, mems));
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &seen, NULL, MPOL_F_MEMS_ALLOWED));
	ASSERT_TRUE(nodemask_equal(mems, &seen));
}

static char *map_area(void)
{
	char *p = mmap(NULL, AREA_PAGES * page_size(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		madvise(p, AREA_PAGES * page_size(), MADV_NOHUGEPAGE);
	return p;
}

/*
 * numa_maps shows the nodes in effect. This is true of a task policy as well: it
 * stands at every VMA that has none of its own.
 */
static void expect_in_effect(struct __test_metadata *_metadata, char *area,
			     const struct model *p)
{
	struct numa_maps nm;
	char want[256];

	snprintf(want, sizeof(want), "%s%s%s%s", mode_names[p->mode],
		 p->flags & MPOL_F_STATIC_NODES ? "=static" :
		 p->flags & MPOL_F_RELATIVE_NODES ? "=relative" : "",
		 weight(&p->nodes) ? ":" : "", nodemask_str(&p->nodes));
	ASSERT_EQ(0, numa_maps_get(area, &nm));
	EXPECT_STREQ(want, nm.policy);
}

/*
 * New pages come from the nodes in effect as far as the cpuset allows them (those
 * of BIND and INTERLEAVE are always allowed), and if it allows none of them, from
 * those that it does allow. Interleaving uses each of its nodes.
 */
static void expect_placement(struct __test_metadata *_metadata, char *area,
			     const struct model *p)
{
	static unsigned long count[NUMA_MAX_NODES], maps[NUMA_MAX_NODES];
	struct nodemask ok = intersection(&p->nodes, &p->mems);
	size_t len = AREA_PAGES * page_size();
	long inside = 0;

	if (!weight(&ok))
		ok = p->mems;
	for (size_t off = 0; off < len; off += page_size())
		area[off] = 1;
	ASSERT_EQ(AREA_PAGES, page_nodes(area, len, page_size(), count));
	ASSERT_EQ(AREA_PAGES, numa_maps_nodes(area, len, maps));
	EXPECT_EQ(0, memcmp(count, maps, sizeof(count)));
	for (int i = 0; i < nr_ids; i++) {
		if (!nodemask_isset(&ok, i))
			continue;
		inside += count[i];
		if (p->mode == MPOL_INTERLEAVE) {
			EXPECT_LE(1, count[i]);
		}
	}
	EXPECT_EQ(AREA_PAGES, inside);
	/* the next time they are new again, and the cpuset has nothing to move */
	ASSERT_EQ(0, madvise(area, len, MADV_DONTNEED));
}

static void enter(struct __test_metadata *_metadata, struct env *env)
{
	struct numa_nodes nodes;
	struct nodemask first;

	NEED_ROOT();
	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	if (cpuset_error == ENODEV)
		SKIP(return, "needs cpuset");
	ASSERT_EQ(0, cpuset_error);
	env->nr = nodes.nr_mem < MAX_NODES ? nodes.nr_mem : MAX_NODES;
	for (int i = 0; i < env->nr; i++) {
		env->node[i] = nodes.mem[i];
		if (nodes.mem[i] >= nr_ids)
			nr_ids = nodes.mem[i] + 1;
	}
	/*
	 * Not all nodes: a task that comes into a v2 cpuset with the nodes of its
	 * parent keeps the mems_allowed that it has, which may be more than that.
	 */
	first = pick(env, 1);
	ASSERT_EQ(0, cpuset_set_mems(&cpuset, &first));
	ASSERT_EQ(0, cpuset_enter(&cpuset));
}

/*
 * The nodemask that the user gave.
 */
FIXTURE(rebind)
{
	struct env env;
};

FIXTURE_VARIANT(rebind)
{
	int mode, flags;
	bool vma;	/* policy of a VMA, or of the task */
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
	enter(_metadata, &self->env);
}

/* The cpuset outlives the test, and what is in it does not: see main() */
FIXTURE_TEARDOWN(rebind)
{
}

/*
 * get_mempolicy() reports the nodemask that the user gave (do_get_mempolicy():
 * w.user_nodemask), whatever cpuset.mems has been since.
 *
 *	cpuset.mems	{0,1}	{0}	{0,1}
 *	reported	 {1}	{1}	 {1}
 */
TEST_F(rebind, keeps_user_nodemask)
{
	static const unsigned int steps[] = { 0x3, 0x1, 0x3 };
	int mode = variant->mode | variant->flags, seen_mode;
	struct nodemask user, mems, seen;
	char *area = map_area();

	ASSERT_NE(MAP_FAILED, area);
	user = user_mask(&self->env, variant->mode, variant->flags, 0x2);
	mems = pick(&self->env, steps[0]);
	set_mems(_metadata, &mems);
	ASSERT_EQ(0, variant->vma ? sys_mbind(area, page_size(), mode, &user, 0) :
				    sys_set_mempolicy(mode, &user));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		mems = pick(&self->env, steps[i]);
		set_mems(_metadata, &mems);
		ASSERT_EQ(0, sys_get_mempolicy(&seen_mode, &seen, variant->vma ? area : NULL,
					       variant->vma ? MPOL_F_ADDR : 0));
		EXPECT_EQ(mode, seen_mode);
		EXPECT_MASK(user, seen);
	}
}

/*
 * The nodes that a policy is in effect for. One policy is that of the task and of
 * a VMA at the same time.
 *
 * No flag: BIND and both INTERLEAVEs are remapped; PREFERRED and PREFERRED_MANY
 * are, deliberately, not; LOCAL has nothing to remap.
 * STATIC: the user's nodes that are allowed, or all that are if none is.
 * RELATIVE: the user's numbers folded onto the allowed nodes.
 */
FIXTURE(rebind_nodes)
{
	struct env env;
};

FIXTURE_VARIANT(rebind_nodes)
{
	int mode, flags;
};

#define NODES_VARIANTS(name, mode_)					\
	FIXTURE_VARIANT_ADD(rebind_nodes, name)				\
	{ .mode = (mode_) };						\
	FIXTURE_VARIANT_ADD(rebind_nodes, name##_static)		\
	{ .mode = (mode_), .flags = MPOL_F_STATIC_NODES };		\
	FIXTURE_VARIANT_ADD(rebind_nodes, name##_relative)		\
	{ .mode = (mode_), .flags = MPOL_F_RELATIVE_NODES }

NODES_VARIANTS(preferred, MPOL_PREFERRED);
NODES_VARIANTS(preferred_many, MPOL_PREFERRED_MANY);
NODES_VARIANTS(bind, MPOL_BIND);
NODES_VARIANTS(interleave, MPOL_INTERLEAVE);
NODES_VARIANTS(weighted_interleave, MPOL_WEIGHTED_INTERLEAVE);
FIXTURE_VARIANT_ADD(rebind_nodes, local) { .mode = MPOL_LOCAL };

FIXTURE_SETUP(rebind_nodes)
{
	enter(_metadata, &self->env);
}

FIXTURE_TEARDOWN(rebind_nodes)
{
}

/*
 * Made while the first node alone is allowed, for the first and the last, and made
 * while all are, for the second; then cpuset.mems changes, and at every step the
 * policy is what the model says.
 */
TEST_F(rebind_nodes, follow_cpuset)
{
	static const struct {
		unsigned int user, mems[5];
	} walks[] = {
		{ 0x9, { 0x1, 0xf, 0x3, 0x1, 0xf } },
		{ 0x2, { 0xf, 0x5, 0xf, 0x1, 0xe } },
	};
	int mode = variant->mode | variant->flags, seen_mode;
	char *area = map_area(), *task_area = map_area();
	struct nodemask user, mems, seen;
	struct model p;

	ASSERT_NE(MAP_FAILED, area);
	ASSERT_NE(MAP_FAILED, task_area);
	for (size_t w = 0; w < ARRAY_SIZE(walks); w++) {
		user = user_mask(&self->env, variant->mode, variant->flags, walks[w].user);
		mems = pick(&self->env, walks[w].mems[0]);
		p = model_new(variant->mode, variant->flags, &user, &mems);
		set_mems(_metadata, &mems);
		ASSERT_EQ(0, sys_mbind(area, AREA_PAGES * page_size(), mode, &user, 0));
		ASSERT_EQ(0, sys_set_mempolicy(mode, &user));

		for (size_t i = 0; i < ARRAY_SIZE(walks[w].mems); i++) {
			mems = pick(&self->env, walks[w].mems[i]);
			set_mems(_metadata, &mems);
			model_rebind(&p, &mems);
			expect_in_effect(_metadata, area, &p);
			expect_in_effect(_metadata, task_area, &p);
			expect_placement(_metadata, area, &p);
			expect_placement(_metadata, task_area, &p);
			if (variant->flags)
				continue;
			ASSERT_EQ(0, sys_get_mempolicy(&seen_mode, &seen, area, MPOL_F_ADDR));
			EXPECT_EQ(mode, seen_mode);
			EXPECT_MASK(p.nodes, seen);
			ASSERT_EQ(0, sys_get_mempolicy(&seen_mode, &seen, NULL, 0));
			EXPECT_EQ(mode, seen_mode);
			EXPECT_MASK(p.nodes, seen);
		}
	}
}

static void remove_cpuset(void)
{
	if (cpuset_remove(&cpuset))
		ksft_print_msg("the cpuset could not be removed: %s\n", strerror(errno));
}

/*
 * The parent of all tests makes the cpuset and removes it, so it goes even if a
 * test is killed. That it is made once and not for each test saves most of the
 * time. test_harness_run() ends with exit().
 */
int main(int argc, char **argv)
{
	if (cpuset_create(&cpuset))
		cpuset_error = errno;
	else
		atexit(remove_cpuset);
	return test_harness_run(argc, argv);
}
