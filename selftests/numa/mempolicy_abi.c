// SPDX-License-Identifier: GPL-2.0
/*
 * What set_mempolicy(), mbind() and get_mempolicy() take, refuse and tell.
 *
 * Every mode with every combination of flags and many kinds of nodemasks goes into
 * set_mempolicy() and mbind(). What must come of it is said by model() alone, which
 * follows set_mempolicy(2), mbind(2) and admin-guide/mm/numa_memory_policy.rst. A policy
 * that was accepted must be what get_mempolicy() and numa_maps say afterwards, and a call
 * that failed must leave the old one.
 *
 * Two things in it are custom, the first in spite of the man pages:
 *
 *   - maxnode is the number of bits plus one. Masks are given as BITS(number of bits).
 *   - Of several errors that of the mode and its flags comes first, that of maxnode
 *     and of reading the nodemask second, what is wrong with the nodes last.
 *
 * All nodemasks end where readable memory ends, and bits from maxnode on up to the
 * end of a long are set: neither may matter.
 *
 * Variants with ia32 do the same as a 32-bit program does it, with nodemasks made of
 * 32-bit words. They need not be one: int $0x80 is that entry also in 64-bit code.
 */
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef MAP_32BIT
#define MAP_32BIT	0
#endif

#define NR_MODES	(MPOL_WEIGHTED_INTERLEAVE + 1)
#define USER_FLAGS	(MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)
#define MODE_FLAGS	(USER_FLAGS | MPOL_F_NUMA_BALANCING)
#define BITS(n)		((unsigned long)(n) + 1)

/* One for all, set up anew for each test */
static struct {
	bool ia32;		/* the entry of 32-bit programs */
	bool vma;		/* mbind() of area, or set_mempolicy() */
	struct nodemask mems;	/* nodes that the cpuset allows */
	struct nodemask allowed;	/* those of them that have memory */
	int first, last;	/* of allowed */
	int absent;		/* the first that is not */
	unsigned long nr_ids;	/* node ids that are possible: nr_node_ids */
	unsigned long max_ids;	/* node ids that the kernel is made for: MAX_NUMNODES */
	unsigned long long_bits;	/* in a word of a nodemask */
	unsigned long max_bits;	/* of a nodemask: a page of them */

	/* all in the low 4 GB; between them and around nothing can be touched */
	char *area;		/* a page that is present: what the policies are for */
	struct {
		struct nodemask mask;
		int mode;
	} *out;			/* what get_mempolicy() writes to */
	char *end;		/* nodemasks end here; two pages before it are readable */
} env;

static unsigned long round_up(unsigned long n, unsigned long to)
{
	return (n + to - 1) / to * to;
}

static bool nodemask_empty(const struct nodemask *m)
{
	return nodemask_equal(m, &(struct nodemask){ });
}

static int lowest(const struct nodemask *m)
{
	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(m, i))
			return i;
	return -1;
}

static struct nodemask intersection(const struct nodemask *a, const struct nodemask *b)
{
	struct nodemask m;

	for (size_t i = 0; i < NUMA_MASK_LONGS; i++)
		m.bits[i] = a->bits[i] & b->bits[i];
	return m;
}

/* Bits of @user are numbers of nodes of @allowed, and wrap around when it has no more */
static struct nodemask relative(const struct nodemask *user, const struct nodemask *allowed)
{
	int node[NUMA_MAX_NODES], nr = 0;
	struct nodemask m = { };

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(allowed, i))
			node[nr++] = i;
	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(user, i))
			nodemask_set(&m, node[i % nr]);
	return m;
}

static struct nodemask all_below(unsigned long n)
{
	struct nodemask m = { };

	for (unsigned long i = 0; i < n; i++)
		nodemask_set(&m, i);
	return m;
}

/* To be called with the numbers of both tables, and six arguments */
#define CALL(nr, nr_ia32, ...)						\
	(env.ia32 ? ia32_syscall((nr_ia32), __VA_ARGS__) : syscall((nr), __VA_ARGS__))

static long set_policy(long mode, const void *mask, unsigned long maxnode)
{
	if (env.vma)
		return CALL(SYS_mbind, 274, (long)env.area, (long)page_size(), mode, (long)mask,
			    (long)maxnode, 0L);
	return CALL(SYS_set_mempolicy, 276, mode, (long)mask, (long)maxnode, 0L, 0L, 0L);
}

static long get_policy(int *mode, void *mask, unsigned long maxnode, void *addr,
		       unsigned long flags)
{
	return CALL(SYS_get_mempolicy, 275, (long)mode, (long)mask, (long)maxnode, (long)addr,
		    (long)flags, 0L);
}

/* As above, into env.out, which shows whether it was written to; errno or 0 */
static int get(void *addr, unsigned long flags)
{
	memset(env.out, 0xff, sizeof(*env.out));
	return get_policy(&env.out->mode, &env.out->mask, BITS(NUMA_MAX_NODES), addr, flags) ?
	       errno : 0;
}

/*
 * A nodemask as it is handed over. Its memory is as large as @maxnode says or, if
 * that is more, as @extra needs.
 */
struct shape {
	const char *name;
	unsigned long maxnode;
	struct nodemask nodes;
	unsigned long extra;		/* one more bit, no node's */
	enum { READABLE, ABSENT, UNREADABLE, LAST_WORD_UNREADABLE } memory;
};

static unsigned long shape_bits(const struct shape *s)
{
	return s->maxnode ? s->maxnode - 1 : 0;
}

static void mask_set(char *mask, unsigned long bit)
{
	unsigned long byte = bit / 8;

	if (BYTE_ORDER == BIG_ENDIAN)
		byte ^= sizeof(long) - 1;
	mask[byte] |= 1 << bit % 8;
}

/* Write the nodemask down and return its address */
static char *shape_put(const struct shape *s)
{
	unsigned long bits = shape_bits(s), size;
	char *mask;

	if (s->memory == ABSENT)
		return NULL;
	if (s->memory == UNREADABLE)
		return env.end;
	size = round_up(bits > s->extra ? bits : s->extra + !!s->extra, env.long_bits) / 8;
	if (size > 2 * page_size())
		size = 2 * page_size();
	mask = env.end - size;
	memset(mask, 0, size);
	for (unsigned long i = 0; i < NUMA_MAX_NODES && i < 8 * size; i++)
		if (nodemask_isset(&s->nodes, i))
			mask_set(mask, i);
	if (s->extra)
		mask_set(mask, s->extra);
	for (unsigned long i = bits; i < 8 * size; i++)
		mask_set(mask, i);
	/* nothing of it has to be kept then */
	return s->memory == LAST_WORD_UNREADABLE ? mask + env.long_bits / 8 : mask;
}

/* A policy as it must be found, all zero is MPOL_DEFAULT */
struct policy {
	int mode;			/* with its flags */
	struct nodemask reported;	/* by get_mempolicy() */
	struct nodemask nodes;		/* in effect, numa_maps has them */
};

/*
 * The nodes that @s names. "A NULL value of nodemask or a maxnode value of zero
 * specifies the empty set of nodes. If the value of maxnode is zero, the nodemask
 * argument is ignored." EINVAL: "maxnode specifies more than a page worth of bits",
 * "nodemask specifies one or more node IDs that are greater than the maximum
 * supported node ID". EFAULT: a part of what nodemask and maxnode specify "points
 * outside your accessible address space".
 */
static int model_nodes(const struct shape *s, struct nodemask *nodes)
{
	unsigned long bits = shape_bits(s);
	struct nodemask given;

	nodemask_clear(nodes);
	if (s->memory == ABSENT || !bits)
		return 0;
	if (bits > env.max_bits)
		return EINVAL;
	if (s->memory != READABLE)
		return EFAULT;
	if (s->extra && s->extra < bits)
		return EINVAL;
	given = all_below(bits < NUMA_MAX_NODES ? bits : NUMA_MAX_NODES);
	*nodes = intersection(&s->nodes, &given);
	return 0;
}

/*
 * What the call has to return: 0 and the new policy, or an errno.
 */
static int model(int mode, int flags, const struct shape *s, struct policy *p)
{
	struct nodemask user;
	int err;

	memset(p, 0, sizeof(*p));
	if (mode < 0 || mode >= NR_MODES || (flags & ~MODE_FLAGS))
		return EINVAL;
	/* "cannot be combined" */
	if ((flags & USER_FLAGS) == USER_FLAGS)
		return EINVAL;
	/* "when mode is MPOL_BIND", and since 6.9 for the other one with a set as well */
	if ((flags & MPOL_F_NUMA_BALANCING) && mode != MPOL_BIND && mode != MPOL_PREFERRED_MANY)
		return EINVAL;

	err = model_nodes(s, &user);
	if (err)
		return err;

	/* "If the nodemask and maxnode arguments specify the empty set, then [...] local" */
	if (mode == MPOL_PREFERRED && nodemask_empty(&user) && !flags)
		mode = MPOL_LOCAL;

	switch (mode) {
	case MPOL_DEFAULT:
		/* "It is an error for the set of nodes [...] to be non-empty" */
		return nodemask_empty(&user) ? 0 : EINVAL;
	case MPOL_LOCAL:
		/* "must specify the empty set"; flags "cannot be used" with an empty one */
		p->mode = MPOL_LOCAL;
		return nodemask_empty(&user) && !flags ? 0 : EINVAL;
	}

	/*
	 * The others require a nodemask, which "must contain at least one node that is
	 * on-line, allowed by the process's current cpuset context, and contains memory".
	 * Relative ones always do: "the remap wraps around to the beginning".
	 */
	if (nodemask_empty(&user))
		return EINVAL;
	p->nodes = flags & MPOL_F_RELATIVE_NODES ? relative(&user, &env.allowed) :
						   intersection(&user, &env.allowed);
	if (nodemask_empty(&p->nodes))
		return EINVAL;
	/* "the first node in the mask will be selected" */
	if (mode == MPOL_PREFERRED)
		p->nodes = NODEMASK(lowest(&p->nodes));
	/* with these flags "the kernel stores the user-passed nodemask" */
	p->reported = flags & USER_FLAGS ? user : p->nodes;
	p->mode = mode | flags;
	return 0;
}

/* As numa_maps has it */
static const char *policy_str(const struct policy *p)
{
	static char text[256];
	int flags = p->mode & MODE_FLAGS;

	snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", mpol_mode_name(p->mode & ~MODE_FLAGS),
		 flags ? "=" : "",
		 flags & MPOL_F_STATIC_NODES ? "static" :
		 flags & MPOL_F_RELATIVE_NODES ? "relative" : "",
		 flags & USER_FLAGS && flags & MPOL_F_NUMA_BALANCING ? "|" : "",
		 flags & MPOL_F_NUMA_BALANCING ? "balancing" : "",
		 nodemask_empty(&p->nodes) ? "" : ":", nodemask_str(&p->nodes));
	return text;
}

static bool interleaves(const struct policy *p)
{
	int mode = p->mode & ~MODE_FLAGS;

	return mode == MPOL_INTERLEAVE || mode == MPOL_WEIGHTED_INTERLEAVE;
}

/* What is being tried, for the log */
static struct {
	int mode, flags;
	const struct shape *shape;
	const char *mask;
} tried;

#define LOG_TRIED(fmt, ...)							\
	TH_LOG("mode %d, flags %#x, nodemask: %s" fmt, tried.mode, tried.flags,	\
	       tried.shape->name, ##__VA_ARGS__)

/* @p is in effect for the task or for env.area, and nothing for the other */
static void expect_policy(struct __test_metadata *_metadata, const struct policy *p)
{
	static const struct policy none;
	const struct policy *task = env.vma ? &none : p, *vma = env.vma ? p : &none;
	const struct {
		unsigned long flags;
		void *addr;
		int err, value;
		const struct nodemask *mask;
	} asked[] = {
		/* first, as it changes with allocations: interleaving begins with the lowest */
		{ MPOL_F_NODE, NULL, interleaves(task) ? 0 : EINVAL, lowest(&task->nodes),
		  &task->reported },
		{ 0, NULL, 0, task->mode, &task->reported },
		{ MPOL_F_ADDR, env.area, 0, vma->mode, &vma->reported },
		{ MPOL_F_NODE | MPOL_F_ADDR, env.area, 0, page_node(env.area), &vma->reported },
		{ MPOL_F_MEMS_ALLOWED, NULL, 0, 0, &env.mems },
	};
	static struct numa_maps nm;

	/* what the kernel has allocated for itself in between was interleaved too: once more */
	for (int again = 0; interleaves(task) && again < 8; again++) {
		if (get(NULL, MPOL_F_NODE) || env.out->mode == lowest(&task->nodes) ||
		    set_policy(tried.mode | tried.flags, tried.mask, tried.shape->maxnode))
			break;
	}
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		EXPECT_EQ(asked[i].err, get(asked[i].addr, asked[i].flags)) {
			LOG_TRIED("; get_mempolicy flags %lu", asked[i].flags);
		}
		if (asked[i].err)
			continue;
		/* "the mode argument is ignored" */
		if (asked[i].flags != MPOL_F_MEMS_ALLOWED) {
			EXPECT_EQ(asked[i].value, env.out->mode) {
				LOG_TRIED("; get_mempolicy flags %lu", asked[i].flags);
			}
		}
		EXPECT_TRUE(nodemask_equal(asked[i].mask, &env.out->mask)) {
			LOG_TRIED("; get_mempolicy flags %lu: nodes %s", asked[i].flags,
				  nodemask_str(&env.out->mask));
		}
	}
	/* it takes long to read; with another size it is about which bits were taken */
	if (tried.shape->maxnode != BITS(env.max_ids))
		return;
	ASSERT_EQ(0, numa_maps_get(env.area, &nm));
	EXPECT_STREQ(policy_str(p), nm.policy) {
		LOG_TRIED("; numa_maps");
	}
}

/* A mode with flags and a nodemask, and another policy is there */
static void try_one(struct __test_metadata *_metadata, int mode, int flags,
		    const struct shape *s, const char *mask)
{
	const int old = MPOL_WEIGHTED_INTERLEAVE | MPOL_F_RELATIVE_NODES;
	const struct nodemask old_nodes = NODEMASK(0, 2, 3);
	static bool in_place;	/* false again in each test, as it is a new process */
	struct policy want;
	int err, got;

	tried = (typeof(tried)){ mode, flags, s, mask };
	if (!in_place) {
		env.out->mask = old_nodes;
		ASSERT_EQ(0, set_policy(old, &env.out->mask, BITS(NUMA_MAX_NODES)));
	}
	err = model(mode, flags, s, &want);
	got = set_policy(mode | flags, mask, s->maxnode) ? errno : 0;
	EXPECT_EQ(err, got) {
		LOG_TRIED("");
	}
	in_place = got;
	if (!err && !got)
		expect_policy(_metadata, &want);
	if (got) {
		EXPECT_EQ(0, get(env.vma ? env.area : NULL, env.vma ? MPOL_F_ADDR : 0));
		EXPECT_TRUE(env.out->mode == old &&
			    nodemask_equal(&old_nodes, &env.out->mask)) {
			LOG_TRIED("; the old policy has changed");
		}
	}
}

/* From FIRST_USER_FLAG on the nodemask is kept as it was given; the static ones are last */
#define FIRST_USER_FLAG		6
#define NR_STATIC_FLAGS		2
static const int flags[] = {
	0,
	MPOL_F_NUMA_BALANCING,
	MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES,
	MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING,
	1 << 12,
	1 << 16,
	MPOL_F_RELATIVE_NODES,
	MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING,
	MPOL_F_STATIC_NODES,
	MPOL_F_STATIC_NODES | MPOL_F_NUMA_BALANCING,
};

static void try_range(struct __test_metadata *_metadata, const struct shape *shapes, size_t nr,
		      size_t first_flag, size_t nr_flags)
{
	for (const struct shape *s = shapes; s < shapes + nr; s++) {
		const char *mask = shape_put(s);

		for (int mode = -1; mode <= NR_MODES + 1; mode++)
			for (size_t f = first_flag; f < first_flag + nr_flags; f++)
				try_one(_metadata, mode, flags[f], s, mask);
	}
}

#define TRY(shapes)	try_range(_metadata, shapes, ARRAY_SIZE(shapes), 0, ARRAY_SIZE(flags))

/* Which nodes there are, and how many there could be */
static int nodes_get(void)
{
	struct nodemask possible, memory = { };
	struct numa_nodes nodes;
	char line[8192];
	int ret = -1;
	FILE *f;

	if (numa_nodes_get(&nodes) ||
	    file_read("/sys/devices/system/node/possible", line, sizeof(line)) ||
	    nodemask_parse(line, &possible))
		return -1;
	f = fopen("/proc/self/status", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "Mems_allowed_list:\t", 19))
			ret = nodemask_parse(line + 19, &env.mems);
	fclose(f);

	for (int i = 0; i < nodes.nr_mem; i++)
		nodemask_set(&memory, nodes.mem[i]);
	env.allowed = intersection(&env.mems, &memory);
	env.first = lowest(&env.allowed);
	env.absent = -1;
	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		if (nodemask_isset(&possible, i))
			env.nr_ids = i + 1;
		if (nodemask_isset(&env.allowed, i))
			env.last = i;
		else if (env.absent < 0)
			env.absent = i;
	}
	/* a power of two, and nothing tells which: any id below it is a relative one */
	for (env.max_ids = 1; env.max_ids < NUMA_MAX_NODES; env.max_ids *= 2) {
		struct nodemask next = NODEMASK(env.max_ids);

		if (sys_set_mempolicy(MPOL_BIND | MPOL_F_RELATIVE_NODES, &next))
			break;
	}
	return ret || sys_set_mempolicy(MPOL_DEFAULT, NULL) || env.max_ids < env.nr_ids;
}

static void setup(struct __test_metadata *_metadata, bool ia32, bool vma, bool shared)
{
	size_t page = page_size();
	struct numa_nodes nodes;
	char *p;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	if (access("/sys/kernel/mm/mempolicy/weighted_interleave", F_OK))
		SKIP(return, "needs weighted_interleave");
	if (ia32 && !ia32_works())
		SKIP(return, "needs ia32");
	ASSERT_EQ(0, nodes_get());
	env.ia32 = ia32;
	env.vma = vma;
	env.long_bits = ia32 ? 32 : 8 * sizeof(long);
	env.max_bits = 8 * page;

	/*	| - | area | - | out |  nodemasks  | - |	*/
	p = mmap(NULL, 7 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	env.area = mmap(p + page, page, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_ANONYMOUS |
			(shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	ASSERT_EQ(p + page, env.area);
	*env.area = 1;
	ASSERT_EQ(0, mprotect(p + 3 * page, 3 * page, PROT_READ | PROT_WRITE));
	env.out = (void *)(p + 3 * page);
	env.end = p + 6 * page;
}

/*
 * All modes and flags, with all kinds of nodemasks.
 */
FIXTURE(set)
{
};

FIXTURE_VARIANT(set)
{
	bool ia32, vma, shared;
};

FIXTURE_VARIANT_ADD(set, task) { .vma = false };
FIXTURE_VARIANT_ADD(set, vma) { .vma = true };
FIXTURE_VARIANT_ADD(set, shared) { .vma = true, .shared = true };
#ifdef __x86_64__
FIXTURE_VARIANT_ADD(set, ia32_task) { .ia32 = true };
FIXTURE_VARIANT_ADD(set, ia32_vma) { .ia32 = true, .vma = true };
FIXTURE_VARIANT_ADD(set, ia32_shared) { .ia32 = true, .vma = true, .shared = true };
#endif

FIXTURE_SETUP(set)
{
	setup(_metadata, variant->ia32, variant->vma, variant->shared);
}

FIXTURE_TEARDOWN(set)
{
}

TEST_F(set, no_nodes)
{
	const struct shape shapes[] = {
		{ "none, maxnode 0", 0, .memory = ABSENT },
		{ "none", BITS(env.max_ids), .memory = ABSENT },
		{ "none, greatest maxnode", -1UL, .memory = ABSENT },
		{ "empty", BITS(env.max_ids) },
		{ "no bits", BITS(0), env.allowed },
	};

	TRY(shapes);
}

TEST_F(set, nodes)
{
	const struct shape shapes[] = {
		{ "the first node", BITS(env.max_ids), NODEMASK(env.first) },
		{ "the last node", BITS(env.max_ids), NODEMASK(env.last) },
		{ "both", BITS(env.max_ids), NODEMASK(env.first, env.last) },
		{ "all", BITS(env.max_ids), env.allowed },
	};

	TRY(shapes);
}

/* A node that does not exist, is offline or has no memory */
TEST_F(set, absent_nodes)
{
	const unsigned long word = env.max_ids < 32 ? env.max_ids : round_up(env.nr_ids, 32);
	const struct shape shapes[] = {
		{ "an absent node", BITS(env.max_ids), NODEMASK(env.absent) },
		{ "and the first", BITS(env.max_ids), NODEMASK(env.absent, env.first) },
		{ "and the last", BITS(env.max_ids), NODEMASK(env.absent, env.last) },
		{ "a word of nodes", BITS(env.max_ids), all_below(word) },
	};

	TRY(shapes);
}

/* Node ids that can never be; with static and relative nodes see below */
#define FAR_NODES(name)									\
	const struct shape name[] = {							\
		{ "the greatest id", BITS(env.max_ids), NODEMASK(env.max_ids - 1) },	\
		{ "and the first node", BITS(env.max_ids),				\
		  NODEMASK(env.max_ids - 1, env.first) },				\
		{ "all ids", BITS(env.max_ids), all_below(env.max_ids) },		\
	}

TEST_F(set, far_nodes)
{
	FAR_NODES(shapes);

	try_range(_metadata, shapes, ARRAY_SIZE(shapes), 0, FIRST_USER_FLAG);
}

TEST_F(set, maxnode)
{
	const struct shape shapes[] = {
		{ "up to the first node", BITS(env.first + 1), env.allowed },
		{ "up to before the last", BITS(env.last), env.allowed },
		{ "up to the last", BITS(env.last + 1), env.allowed },
		{ "1 bit", BITS(1), env.allowed },
		{ "2 bits", BITS(2), env.allowed },
		{ "31 bits", BITS(31), env.allowed },
		{ "32 bits", BITS(32), env.allowed },
		{ "33 bits", BITS(33), env.allowed },
		{ "63 bits", BITS(63), env.allowed },
		{ "64 bits", BITS(64), env.allowed },
		{ "one bit less than the kernel's", BITS(env.max_ids - 1), env.allowed },
		{ "64 bits more", BITS(round_up(env.max_ids, 64) + 64), env.allowed },
		{ "a page", BITS(env.max_bits), env.allowed },
		{ "one bit more than a page", BITS(env.max_bits + 1), env.allowed },
		{ "two pages", BITS(2 * env.max_bits), env.allowed },
		{ "the greatest maxnode", -1UL, env.allowed },
	};

	TRY(shapes);
}

/* Bits that the kernel has no room for, before and after maxnode */
TEST_F(set, beyond_ids)
{
	const unsigned long next = round_up(env.max_ids, 64);
	const struct shape shapes[] = {
		{ "the first bit", BITS(next + 64), env.allowed, .extra = env.max_ids },
		{ "the 64th bit", BITS(next + 64), env.allowed, .extra = next + 63 },
		{ "the last bit", BITS(env.max_bits), env.allowed, .extra = env.max_bits - 1 },
		{ "not in maxnode", BITS(env.max_ids), env.allowed, .extra = next },
	};

	TRY(shapes);
}

TEST_F(set, unreadable)
{
	const struct shape shapes[] = {
		{ "all", BITS(env.max_ids), .memory = UNREADABLE },
		{ "1 bit", BITS(1), .memory = UNREADABLE },
		{ "no bits", BITS(0), .memory = UNREADABLE },
		{ "too long", BITS(env.max_bits + 1), .memory = UNREADABLE },
		{ "the last word", BITS(env.max_ids), .memory = LAST_WORD_UNREADABLE },
		{ "the last word of a page", BITS(env.max_bits), .memory = LAST_WORD_UNREADABLE },
	};

	TRY(shapes);
}

/* "int mode": what else is in the register does not matter */
TEST_F(set, int_mode)
{
	const struct shape all = { "all", BITS(env.max_ids), env.allowed };
	struct policy p;

	tried.shape = &all;
	ASSERT_EQ(0, model(MPOL_BIND, 0, &all, &p));
	ASSERT_EQ(0, set_policy(ULONG_MAX << 16 << 16 | MPOL_BIND, shape_put(&all), all.maxnode));
	expect_policy(_metadata, &p);
}

/*
 * Exactly what is asked for: not a bit more than maxnode says, and none less in
 * what is kept.
 */
FIXTURE(set_exact)
{
};

FIXTURE_VARIANT(set_exact)
{
	bool ia32, vma;
};

FIXTURE_VARIANT_ADD(set_exact, task) { .vma = false };
FIXTURE_VARIANT_ADD(set_exact, vma) { .vma = true };
#ifdef __x86_64__
FIXTURE_VARIANT_ADD(set_exact, ia32_task) { .ia32 = true };
FIXTURE_VARIANT_ADD(set_exact, ia32_vma) { .ia32 = true, .vma = true };
#endif

FIXTURE_SETUP(set_exact)
{
	setup(_metadata, variant->ia32, variant->vma, false);
}

FIXTURE_TEARDOWN(set_exact)
{
}

/* "If the value of maxnode is zero, the nodemask argument is ignored" */
TEST_F(set_exact, maxnode_zero)
{
	const struct shape shapes[] = {
		{ "maxnode 0", 0, env.allowed },
		{ "maxnode 0, unreadable", 0, .memory = UNREADABLE },
	};

	TRY(shapes);
}

/*
 * "The bit mask size is rounded to the next multiple of sizeof(unsigned long), but the
 * kernel will use bits only up to maxnode", and no memory after it, also when that is
 * longer than the kernel's own masks.
 */
TEST_F(set_exact, tail)
{
	const unsigned long n = env.max_ids;
	const struct shape shapes[] = {
		{ "1 bit more", BITS(n + 1), env.allowed },
		{ "31 bits more", BITS(n + 31), env.allowed },
		{ "32 bits more", BITS(n + 32), env.allowed },
		{ "33 bits more", BITS(n + 33), env.allowed },
		{ "63 bits more", BITS(n + 63), env.allowed },
		{ "65 bits more", BITS(n + 65), env.allowed },
		{ "one bit less than a page", BITS(env.max_bits - 1), env.allowed },
		{ "1 bit more, and it is set", BITS(n + 1), env.allowed, .extra = n },
		{ "63 bits more, and the last is set", BITS(n + 63), env.allowed,
		  .extra = n + 62 },
	};

	TRY(shapes);
}

/*
 * With static and with relative nodes "the kernel stores the user-passed nodemask", and
 * what get_mempolicy() returns "may be used to restore the thread's policy".
 */
TEST_F(set_exact, user_nodemask)
{
	FAR_NODES(shapes);

	try_range(_metadata, shapes, ARRAY_SIZE(shapes), FIRST_USER_FLAG,
		  ARRAY_SIZE(flags) - FIRST_USER_FLAG);
}

/*
 * In a cpuset that has only the first node. Missing are static nodes that are all
 * outside: the man pages say that this is local allocation until a node of them is
 * allowed, but the kernel does not take them.
 */
static struct cpuset cpuset;
static int cpuset_error;

FIXTURE(set_in_cpuset)
{
};

FIXTURE_VARIANT(set_in_cpuset)
{
	bool vma;
};

FIXTURE_VARIANT_ADD(set_in_cpuset, task) { .vma = false };
FIXTURE_VARIANT_ADD(set_in_cpuset, vma) { .vma = true };

FIXTURE_SETUP(set_in_cpuset)
{
	NEED_ROOT();
	setup(_metadata, false, variant->vma, false);
	if (env.first == env.last)
		SKIP(return, "needs memory_nodes=2");
	if (cpuset_error == ENODEV)
		SKIP(return, "needs cpuset");
	ASSERT_EQ(0, cpuset_error);
}

FIXTURE_TEARDOWN(set_in_cpuset)
{
}

TEST_F(set_in_cpuset, nodes)
{
	const struct shape inside[] = {
		{ "the node", BITS(env.max_ids), NODEMASK(env.first) },
		{ "and one outside", BITS(env.max_ids), NODEMASK(env.first, env.last) },
	};
	const struct shape outside[] = {
		{ "only one outside", BITS(env.max_ids), NODEMASK(env.last) },
	};

	IN_CHILD({
		ASSERT_EQ(0, cpuset_enter(&cpuset));
		ASSERT_EQ(0, nodes_get());
		ASSERT_EQ(env.first, env.last);
		TRY(inside);
		try_range(_metadata, outside, 1, 0, ARRAY_SIZE(flags) - NR_STATIC_FLAGS);
	});
}

/*
 * "mpol" of a tmpfs: nodes outside of the cpuset of the process that creates an object
 * are no nodes for it, and the object has no policy if there are no others.
 */
TEST_F(set_in_cpuset, tmpfs)
{
	const struct {
		const char *name;
		int mode;
		struct nodemask mask;
	} objects[] = {
		{ .name = "inside", .mode = MPOL_BIND, .mask = NODEMASK(env.first) },
		{ .name = "both", .mode = MPOL_BIND, .mask = NODEMASK(env.first, env.last) },
		{ .name = "outside", .mode = MPOL_DEFAULT, .mask = NODEMASK(env.last) },
	};
	int mnt[ARRAY_SIZE(objects)];

	for (int i = 0; i < ARRAY_SIZE(objects); i++) {
		char option[64];
		int fs = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

		snprintf(option, sizeof(option), "bind:%s", nodemask_str(&objects[i].mask));
		ASSERT_LE(0, fs);
		ASSERT_EQ(0, syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mpol", option, 0));
		ASSERT_EQ(0, syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
		mnt[i] = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
		ASSERT_LE(0, mnt[i]);
	}
	IN_CHILD({
		struct nodemask want = { };

		ASSERT_EQ(0, cpuset_enter(&cpuset));
		for (int i = 0; i < ARRAY_SIZE(objects); i++) {
			int fd = openat(mnt[i], "object", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

			ASSERT_LE(0, fd);
			ASSERT_EQ(0, ftruncate(fd, page_size()));
			ASSERT_EQ(env.area, mmap(env.area, page_size(), PROT_READ | PROT_WRITE,
						 MAP_FIXED | MAP_SHARED, fd, 0));
			ASSERT_EQ(0, get(env.area, MPOL_F_ADDR));
			nodemask_clear(&want);
			if (objects[i].mode == MPOL_BIND)
				nodemask_set(&want, env.first);
			EXPECT_EQ(objects[i].mode, env.out->mode) {
				TH_LOG("%s", objects[i].name);
			}
			EXPECT_TRUE(nodemask_equal(&want, &env.out->mask)) {
				TH_LOG("%s", objects[i].name);
			}
		}
	});
}

/*
 * EINVAL: "addr + len was less than addr", also where len overflows by rounding up.
 * Other ranges, and the flags of mbind(), are tested in mbind_move.
 */
FIXTURE(mbind_exact)
{
};

FIXTURE_SETUP(mbind_exact)
{
	setup(_metadata, false, true, false);
}

FIXTURE_TEARDOWN(mbind_exact)
{
}

TEST_F(mbind_exact, length)
{
	const struct shape all = { "all", BITS(env.max_ids), env.allowed };
	const struct policy none = { };

	for (unsigned long less = 1; less < page_size(); less *= 2) {
		long ret = syscall(SYS_mbind, env.area, -less, MPOL_BIND, shape_put(&all),
				   all.maxnode, 0);

		EXPECT_EQ(EINVAL, ret ? errno : 0) {
			TH_LOG("length -%lu", less);
		}
	}
	tried.shape = &all;
	expect_policy(_metadata, &none);
}

/*
 * get_mempolicy(): what it takes, and where it writes.
 */
FIXTURE(get)
{
};

FIXTURE_VARIANT(get)
{
	bool ia32;
};

FIXTURE_VARIANT_ADD(get, native) { .ia32 = false };
#ifdef __x86_64__
FIXTURE_VARIANT_ADD(get, ia32) { .ia32 = true };
#endif

FIXTURE_SETUP(get)
{
	setup(_metadata, variant->ia32, false, false);
}

FIXTURE_TEARDOWN(get)
{
}

/* What there is at an address */
struct place {
	const char *name;
	void *addr;
	bool mapped, readable;
	struct policy policy;
};

/* Where to put a result */
enum target { GOOD, NONE, BAD, SHORT };
static const char * const target_name[] = { "good", "NULL", "bad", "short" };

/*
 * EINVAL: "The value specified by maxnode is less than the number of node IDs
 * supported by the system. Or flags specified values other than" those there are,
 * "or flags did not specify MPOL_F_ADDR and addr is not NULL. Or, flags specified
 * MPOL_F_NODE but not MPOL_F_ADDR and the current thread policy is not MPOL_INTERLEAVE"
 * or the weighted one. "Or, flags specified MPOL_F_MEMS_ALLOWED with" another. All
 * that comes before EFAULT.
 */
static int model_get(unsigned long flags, const struct place *at, enum target mode,
		     enum target mask, const struct policy *task)
{
	bool addr = flags & MPOL_F_ADDR, node = flags & MPOL_F_NODE;

	if (flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return EINVAL;
	if ((flags & MPOL_F_MEMS_ALLOWED) && (addr || node))
		return EINVAL;
	if (mask == SHORT || (at->addr && !addr) || (node && !addr && !interleaves(task)))
		return EINVAL;

	if (addr && (!at->mapped || (node && !at->readable)))
		return EFAULT;
	return mode == BAD || mask == BAD ? EFAULT : 0;
}

static void get_one(struct __test_metadata *_metadata, unsigned long flags,
		    const struct place *at, enum target mode, enum target mask,
		    const struct policy *task)
{
	const struct policy *p = flags & MPOL_F_ADDR ? &at->policy : task;
	int err = model_get(flags, at, mode, mask, task);
	typeof(*env.out) want;
	int got;

#define LOG_ASKED(what)									\
	TH_LOG("%s: task policy %s, flags %#lx, addr %s, mode %s, nodemask %s", what,	\
	       policy_str(task), flags, at->name, target_name[mode], target_name[mask])

	memset(&want, 0xff, sizeof(want));
	*env.out = want;
	got = get_policy(mode == GOOD ? &env.out->mode : mode == BAD ? (int *)env.end : NULL,
			 mask == NONE ? NULL : mask == BAD ? (void *)env.end : &env.out->mask,
			 mask == SHORT ? env.nr_ids - 1 :
			 mask == NONE ? 0 : BITS(NUMA_MAX_NODES), at->addr, flags) ? errno : 0;
	EXPECT_EQ(err, got) {
		LOG_ASKED("errno");
	}
	/* one may have been written before the other failed */
	if (err != got || (err && (mode == BAD || mask == BAD)))
		return;

	if (!err && mask == GOOD)
		want.mask = flags == MPOL_F_MEMS_ALLOWED ? env.mems : p->reported;
	if (!err && mode == GOOD)
		want.mode = flags == (MPOL_F_NODE | MPOL_F_ADDR) ? page_node(at->addr) : p->mode;
	/* "the mode argument is ignored" */
	if (flags == MPOL_F_MEMS_ALLOWED)
		want.mode = env.out->mode;
	/* any of them: a page that the kernel allocates for itself also counts */
	if (!err && flags == MPOL_F_NODE && mode == GOOD && env.out->mode >= 0 &&
	    nodemask_isset(&task->nodes, env.out->mode))
		want.mode = env.out->mode;
	EXPECT_EQ(want.mode, env.out->mode) {
		LOG_ASKED("mode");
	}
	EXPECT_TRUE(nodemask_equal(&want.mask, &env.out->mask)) {
		LOG_ASKED("nodemask");
	}
}

/*
 * Everything with everything. What fails writes nothing. Missing is what the kernel
 * always did in another way than the man page says: MPOL_F_MEMS_ALLOWED does not look
 * at addr, and NULL with MPOL_F_ADDR is EFAULT like all that is not mapped.
 */
TEST_F(get, arguments)
{
	static const int modes[] = {
		MPOL_DEFAULT, MPOL_LOCAL, MPOL_PREFERRED, MPOL_PREFERRED_MANY,
		MPOL_BIND | MPOL_F_STATIC_NODES, MPOL_INTERLEAVE,
		MPOL_WEIGHTED_INTERLEAVE | MPOL_F_RELATIVE_NODES,
	};
	struct shape s = { "all", BITS(env.max_ids), env.allowed };
	struct place places[] = {
		{ "NULL", NULL, false, false },
		{ "unmapped", (void *)page_size(), false, false },
		{ "mapped", env.out, true, true },
		{ "unreadable", env.end, true, false },
		{ "with policy", env.area, true, true },
	};
	struct policy task;

	ASSERT_EQ(0, model(MPOL_BIND, MPOL_F_NUMA_BALANCING, &s, &places[4].policy));
	env.vma = true;
	ASSERT_EQ(0, set_policy(places[4].policy.mode, shape_put(&s), s.maxnode));
	env.vma = false;

	for (size_t i = 0; i < ARRAY_SIZE(modes) * ARRAY_SIZE(places); i++) {
		const struct place *at = &places[i % ARRAY_SIZE(places)];
		int mode = modes[i / ARRAY_SIZE(places)];

		s.memory = mode == MPOL_DEFAULT || mode == MPOL_LOCAL ? ABSENT : READABLE;
		ASSERT_EQ(0, model(mode & ~MODE_FLAGS, mode & MODE_FLAGS, &s, &task));
		ASSERT_EQ(0, set_policy(mode, shape_put(&s), s.maxnode));

		/* all that are defined together, then one undefined after the other */
		for (unsigned int bit = 0; bit < 8 + env.long_bits - 3; bit++) {
			unsigned long flags = bit < 8 ? bit : 1UL << (bit - 8 + 3);

			if (at->addr ? flags == MPOL_F_MEMS_ALLOWED : flags & MPOL_F_ADDR)
				continue;
			for (int to = GOOD; to <= BAD; to++)
				for (int mask = GOOD; mask <= SHORT; mask++)
					get_one(_metadata, flags, at, to, mask, &task);
		}
	}
}

/*
 * "If no page has yet been allocated for the specified address, get_mempolicy() will
 * allocate a page as if the thread had performed a read (load) access"
 */
TEST_F(get, allocates)
{
	static unsigned long count[NUMA_MAX_NODES];
	size_t page = page_size();

	for (int node = env.first; node <= env.last; node++) {
		struct nodemask mask = NODEMASK(node);

		if (!nodemask_isset(&env.allowed, node))
			continue;
		ASSERT_EQ(env.area, mmap(env.area, page, PROT_READ,
					 MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0));
		ASSERT_EQ(0, sys_mbind(env.area, page, MPOL_BIND, &mask, 0));
		ASSERT_GT(0, page_node(env.area));
		EXPECT_EQ(0, get(env.area, MPOL_F_NODE | MPOL_F_ADDR));
		EXPECT_EQ(node, env.out->mode);
		EXPECT_EQ(node, page_node(env.area));
		EXPECT_EQ(1, numa_maps_nodes(env.area, page, count));
		EXPECT_EQ(1, count[node]);
	}
	/* private memory has the page of zeros then, wherever that is */
	ASSERT_EQ(env.area, mmap(env.area, page, PROT_READ,
				 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(0, get(env.area, MPOL_F_NODE | MPOL_F_ADDR));
	EXPECT_LE(0, env.out->mode);
	EXPECT_GT(env.nr_ids, env.out->mode);
}

/* Beyond the end of a file there is nothing to read, but a policy */
TEST_F(get, beyond_file)
{
	const struct nodemask mask = NODEMASK(env.last);
	int fd = memfd_create("empty", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(env.area, mmap(env.area, page_size(), PROT_READ, MAP_FIXED | MAP_SHARED, fd, 0));
	ASSERT_EQ(0, sys_mbind(env.area, page_size(), MPOL_BIND, &mask, 0));
	EXPECT_EQ(EFAULT, get(env.area, MPOL_F_NODE | MPOL_F_ADDR));
	EXPECT_EQ(0, get(env.area, MPOL_F_ADDR));
	EXPECT_EQ(MPOL_BIND, env.out->mode);
	EXPECT_TRUE(nodemask_equal(&mask, &env.out->mask));
}

/*
 * A nodemask of maxnode node ids, "always rounded to a multiple of
 * sizeof(unsigned long)*8", at the end of what can be written to. By the custom that
 * maxnode is one more, the last long need not be written if there is only that one in it.
 */
static void get_size(struct __test_metadata *_metadata, unsigned long maxnode)
{
	int err = maxnode < env.nr_ids || maxnode - 1 > env.max_bits ? EINVAL : 0;
	unsigned long needed = maxnode > env.nr_ids ? maxnode - 1 : env.nr_ids;
	unsigned char *mask, want[env.max_bits / 8];
	size_t size, sure;
	int got;

	size = err ? 0 : round_up(maxnode, env.long_bits) / 8;
	sure = err ? 0 : round_up(needed, env.long_bits) / 8;
	memset(want, 0, sizeof(want));
	for (int i = env.first; i <= env.last; i++)
		if (nodemask_isset(&env.allowed, i))
			mask_set((char *)want, i);

	mask = (unsigned char *)env.end - size;
	memset(mask, 0xff, size);
	got = get_policy(NULL, mask, maxnode, NULL, 0) ? errno : 0;
	EXPECT_EQ(err, got) {
		TH_LOG("maxnode %lu", maxnode);
	}
	if (err || got)
		return;
	EXPECT_EQ(0, memcmp(mask, want, sure)) {
		TH_LOG("maxnode %lu", maxnode);
	}
	for (size_t i = sure; i < size; i++) {
		EXPECT_TRUE(mask[i] == 0 || mask[i] == 0xff) {
			TH_LOG("maxnode %lu, byte %zu", maxnode, i);
		}
	}
	/* and with one long less there */
	got = get_policy(NULL, env.end - sure + env.long_bits / 8, maxnode, NULL, 0) ? errno : 0;
	EXPECT_EQ(EFAULT, got) {
		TH_LOG("maxnode %lu, not enough memory", maxnode);
	}
}

/*
 * Where a number of longs is odd for 32-bit programs, where the last possible node is
 * the first one in its long, or where maxnode is too great to be rounded up.
 */
static bool is_odd(unsigned long maxnode)
{
	return maxnode == ULONG_MAX ||
	       round_up(maxnode - 1, 64) > round_up(maxnode, env.long_bits) ||
	       (maxnode == env.nr_ids && maxnode % env.long_bits == 1);
}

static void get_sizes(struct __test_metadata *_metadata, bool odd)
{
	const unsigned long maxnodes[] = {
		0, env.nr_ids - 1, env.nr_ids, env.nr_ids + 1, 31, 32, 33, 34, 63, 64, 65, 66,
		95, 96, 97, 98, 127, 128, 129, 130, 160, 161, 162, env.max_ids - 1, env.max_ids,
		env.max_ids + 1, env.max_ids + 2, env.max_ids + 33, env.max_bits - 1,
		env.max_bits, env.max_bits + 1, env.max_bits + 2, 2 * env.max_bits,
		INT_MAX, UINT_MAX, ULONG_MAX,
	};
	const struct shape all = { "all", BITS(env.max_ids), env.allowed };

	ASSERT_EQ(0, set_policy(MPOL_BIND, shape_put(&all), all.maxnode));
	for (size_t i = 0; i < ARRAY_SIZE(maxnodes); i++)
		if (is_odd(maxnodes[i]) == odd && (!env.ia32 || maxnodes[i] <= UINT_MAX))
			get_size(_metadata, maxnodes[i]);
}

TEST_F(get, maxnode)
{
	get_sizes(_metadata, false);
}

/* The same where the number of longs is not even for the kernel, see is_odd() */
FIXTURE(get_exact)
{
};

FIXTURE_VARIANT(get_exact)
{
	bool ia32;
};

FIXTURE_VARIANT_ADD(get_exact, native) { .ia32 = false };
#ifdef __x86_64__
FIXTURE_VARIANT_ADD(get_exact, ia32) { .ia32 = true };
#endif

FIXTURE_SETUP(get_exact)
{
	setup(_metadata, variant->ia32, false, false);
}

FIXTURE_TEARDOWN(get_exact)
{
}

TEST_F(get_exact, maxnode)
{
	get_sizes(_metadata, true);
}

/*
 * The cpuset is there before the harness begins and goes after it has ended, which
 * is why that has a process of its own.
 */
int main(int argc, char **argv)
{
	struct nodemask first;
	pid_t pid;
	int status;

	if (geteuid() || nodes_get())
		return test_harness_run(argc, argv);

	first = NODEMASK(env.first);
	if (cpuset_create(&cpuset) || cpuset_set_mems(&cpuset, &first))
		cpuset_error = errno;
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	if (cpuset.name[0] && cpuset_remove(&cpuset)) {
		ksft_print_msg("the cpuset could not be removed: %s\n", strerror(errno));
		return KSFT_FAIL;
	}
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
