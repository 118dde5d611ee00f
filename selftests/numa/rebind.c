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
 * The tests are in a cpuset of their own: each installs a policy and then gives
 * the cpuset one set of nodes after the other.
 */
#include "numa_util.h"
#include "kselftest_harness.h"

#define MAX_NODES	4	/* the first ones of the machine are used */
#define AREA_PAGES	MAX_NODES

/* One for all tests, see main() */
static struct cpuset cpuset;
static int cpuset_error;

struct env {
	int nr, node[MAX_NODES];	/* the first nodes with memory */
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

/* Small pages, and a page without access behind them: never merged with another area */
static char *map_area(void)
{
	size_t len = AREA_PAGES * page_size();
	char *p = mmap(NULL, len + page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p, len, PROT_READ | PROT_WRITE))
		return MAP_FAILED;
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

/* A policy under test, and an area that is subject to it */
struct subject {
	struct model p;
	char *area;
	bool vma;		/* a policy of the area, or the task's */
};

static void subject_new(struct __test_metadata *_metadata, struct subject *s,
			const struct env *env, const struct nodemask *mems, bool vma,
			int mode, int flags, unsigned int bits)
{
	struct nodemask user = user_mask(env, mode, flags, bits);

	s->p = model_new(mode, flags, &user, mems);
	s->vma = vma;
	s->area = map_area();
	ASSERT_NE(MAP_FAILED, s->area);
	ASSERT_EQ(0, vma ? sys_mbind(s->area, AREA_PAGES * page_size(), mode | flags, &user, 0) :
			   sys_set_mempolicy(mode | flags, &user));
}

/* The policy as get_mempolicy() reports it, but for a nodemask that is the user's */
static void expect_reported(struct __test_metadata *_metadata, const struct subject *s)
{
	struct nodemask seen;
	int mode;

	ASSERT_EQ(0, sys_get_mempolicy(&mode, &seen, s->vma ? s->area : NULL,
				       s->vma ? MPOL_F_ADDR : 0));
	EXPECT_EQ(s->p.mode | s->p.flags, mode);
	if (!s->p.flags) {
		EXPECT_MASK(s->p.nodes, seen);
	}
}

/*
 * numa_maps shows the nodes in effect. This is true of a task policy as well: it
 * stands at every VMA that has none of its own.
 */
static void expect_in_effect(struct __test_metadata *_metadata, const struct subject *s,
			     const struct numa_maps *nm)
{
	char want[256];

	snprintf(want, sizeof(want), "%s%s%s%s", mpol_mode_name(s->p.mode),
		 s->p.flags & MPOL_F_STATIC_NODES ? "=static" :
		 s->p.flags & MPOL_F_RELATIVE_NODES ? "=relative" : "",
		 weight(&s->p.nodes) ? ":" : "", nodemask_str(&s->p.nodes));
	EXPECT_STREQ(want, nm->policy);
}

/*
 * New pages come from the nodes in effect as far as the cpuset allows them (those
 * of BIND and INTERLEAVE are always allowed), and if it allows none of them, from
 * those that it does allow. Interleaving uses each of its nodes.
 */
static void expect_placement(struct __test_metadata *_metadata, const struct subject *s,
			     const struct numa_maps *nm)
{
	struct nodemask ok = intersection(&s->p.nodes, &s->p.mems);
	static unsigned long count[NUMA_MAX_NODES];
	long inside = 0;

	if (!weight(&ok))
		ok = s->p.mems;
	ASSERT_EQ(AREA_PAGES, page_nodes(s->area, AREA_PAGES * page_size(), page_size(), count));
	EXPECT_EQ(0, memcmp(count, nm->node, sizeof(count)));
	for (int i = 0; i < nr_ids; i++) {
		if (!nodemask_isset(&ok, i))
			continue;
		inside += count[i];
		if (s->p.mode == MPOL_INTERLEAVE) {
			EXPECT_LE(1, count[i]);
		}
	}
	EXPECT_EQ(AREA_PAGES, inside);
}

/* Change cpuset.mems, and compare all subjects with their models */
static void step(struct __test_metadata *_metadata, const struct env *env,
		 struct subject *subjects, int nr, unsigned int bits)
{
	struct nodemask mems = pick(env, bits);
	static struct numa_maps nm;
	char line[4096];
	int found = 0;
	FILE *f;

	set_mems(_metadata, &mems);
	for (struct subject *s = subjects; s < subjects + nr; s++) {
		model_rebind(&s->p, &mems);
		for (int i = 0; i < AREA_PAGES; i++)
			s->area[i * page_size()] = 1;
		expect_reported(_metadata, s);
	}

	/* once for all subjects: most of the time goes into reading it */
	f = fopen("/proc/self/numa_maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		char *start = (char *)strtoul(line, NULL, 16);

		for (struct subject *s = subjects; s < subjects + nr; s++) {
			if (s->area != start)
				continue;
			found++;
			ASSERT_EQ(0, numa_maps_parse(line, &nm));
			expect_in_effect(_metadata, s, &nm);
			expect_placement(_metadata, s, &nm);
		}
	}
	fclose(f);
	ASSERT_EQ(nr, found);

	/* the next time they are new again, and the cpuset has nothing to move */
	for (struct subject *s = subjects; s < subjects + nr; s++) {
		ASSERT_EQ(0, madvise(s->area, AREA_PAGES * page_size(), MADV_DONTNEED));
	}
}

static void setup(struct __test_metadata *_metadata, struct env *env)
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
	first = pick(env, 0x1);
	set_mems(_metadata, &first);
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
	setup(_metadata, &self->env);
}

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
 * The nodes that a policy is in effect for.
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
	setup(_metadata, &self->env);
}

FIXTURE_TEARDOWN(rebind_nodes)
{
}

/*
 * A policy of a VMA and the same of the task, for the second and the third node.
 * The first node is always allowed, so that the cpuset has few pages to move.
 */
TEST_F(rebind_nodes, follow_cpuset)
{
	static const unsigned int steps[] = { 0x5, 0xf, 0x1 };
	struct nodemask mems = pick(&self->env, 0xf);
	struct subject s[2];

	set_mems(_metadata, &mems);
	for (int vma = 0; vma < 2; vma++)
		subject_new(_metadata, &s[vma], &self->env, &mems, vma, variant->mode,
			    variant->flags, 0x6);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		step(_metadata, &self->env, s, ARRAY_SIZE(s), steps[i]);
}

/*
 * VMAs with every policy there is, for the first and the last node but made while
 * the first alone is allowed, and for the second made while all are; then one set
 * of nodes after the other, also sets that have no node in common.
 */
FIXTURE(rebind_vmas)
{
	struct env env;
};

FIXTURE_SETUP(rebind_vmas)
{
	setup(_metadata, &self->env);
}

FIXTURE_TEARDOWN(rebind_vmas)
{
}

TEST_F(rebind_vmas, follow_cpuset)
{
	static const struct {
		unsigned int mems, user;
	} made[] = {
		{ 0x1, 0x9 },
		{ 0xf, 0x2 },
	};
	static const unsigned int steps[] = { 0xf, 0x5, 0xa, 0x1 };
	static const int flags[] = { 0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES };
	static struct subject s[ARRAY_SIZE(made) * MPOL_MAX * ARRAY_SIZE(flags)];
	int nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		struct nodemask mems = pick(&self->env, made[i].mems);

		set_mems(_metadata, &mems);
		for (int n = 0; n < nr; n++)
			model_rebind(&s[n].p, &mems);
		for (int mode = MPOL_PREFERRED; mode <= MPOL_WEIGHTED_INTERLEAVE; mode++)
			for (size_t f = 0; f < (mode == MPOL_LOCAL ? 1 : ARRAY_SIZE(flags)); f++)
				subject_new(_metadata, &s[nr++], &self->env, &mems, true, mode,
					    flags[f], made[i].user);
	}
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		step(_metadata, &self->env, s, nr, steps[i]);
}

/*
 * The tests run in a child that is in the cpuset, and are in it from the start:
 * going there anew for each would take most of the time. The child does not leave
 * it, it ends; and the cpuset goes even if the child is killed.
 */
int main(int argc, char **argv)
{
	struct numa_nodes nodes;
	struct nodemask first;
	pid_t pid;
	int status;

	if (numa_nodes_get(&nodes) || nodes.nr_mem < 2 || geteuid())
		return test_harness_run(argc, argv);	/* all tests say why not */

	first = NODEMASK(nodes.mem[0]);
	if (cpuset_create(&cpuset)) {
		cpuset_error = errno;
		return test_harness_run(argc, argv);
	}
	pid = fork();
	if (!pid) {
		/* v1 lets no task in while mems is empty; the tests begin with one node */
		if (cpuset_set_mems(&cpuset, &first) || cpuset_enter(&cpuset))
			cpuset_error = errno;
		return test_harness_run(argc, argv);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	if (cpuset_remove(&cpuset)) {
		ksft_print_msg("the cpuset could not be removed: %s\n", strerror(errno));
		return KSFT_FAIL;
	}
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
