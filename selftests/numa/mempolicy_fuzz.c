// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls of some processes on one set of mappings, compared with a plain
 * model after every step: policies, nodes of pages, data, results of calls.
 *
 * Each seed is a test of its own. What can be set in the environment:
 *
 *	NUMA_FUZZ_SEED=7	this seed only; the first one, with NUMA_FUZZ_SEEDS
 *	NUMA_FUZZ_SEEDS=100	that many seeds (4, from seed 1 on)
 *	NUMA_FUZZ_STEPS=1000	that many steps of each (10000)
 *
 * A failure names the seed, the step, and the last calls up to the one after which
 * something was not as in the model. The same seed gives the same calls on a machine
 * with the same nodes.
 *
 * There are some processes, of which one at a time makes calls. The model is of pages:
 * each process has a row of slots, which are pages of its address space, one after the
 * other without a gap, so that calls can be about several mappings and holes.
 *
 *	| small | small | small | ... | small |   huge   |   huge   |
 *
 * A slot maps anonymous memory, a THP, a file in tmpfs (MAP_SHARED or MAP_PRIVATE), or
 * nothing. What is there once it has been touched is a frame: a page of memory that is
 * on a node and has a content. Several slots can have the same one: anonymous memory
 * after fork(), and the file's pages. A policy belongs to the slot, but that of shared
 * memory to the page of the file, for all who map it and for write().
 *
 * Nodes have plenty of free memory and nothing is swapped, so the node of each new
 * or moved page is known: Documentation/admin-guide/mm/numa_memory_policy.rst,
 * set_mempolicy(2), mbind(2), migrate_pages(2), move_pages(2). What these leave open
 * is asked of the kernel, and is not much:
 *
 *  - which node is nearer than another, see learn_distances();
 *  - whether a page of a file is mapped before it has been touched, by a fault nearby
 *    or by fork();
 *  - whether the first write copies a page that was shared and is not any more;
 *  - which of the nodes of an interleaved policy a page is moved to by mbind(), if it
 *    is not in the same mapping as the first one that is moved, see mbind_move().
 */
#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif

#define WEIGHTS		"/sys/kernel/mm/mempolicy/weighted_interleave/"

/* Far from where the kernel puts mappings by itself, and aligned for THPs */
#define ARENA		((char *)(sizeof(long) == 8 ? 1UL << 36 : 1UL << 30))

#define NR_PROCS	3
#define NR_SMALL	40
#define NR_HUGE		2
#define MAX_SLOTS	(NR_SMALL + NR_HUGE)
#define FILE_PAGES	24
#define NR_FRAMES	(NR_PROCS * MAX_SLOTS + 2 * FILE_PAGES)
#define NR_CALLS	12		/* that a failure shows */
#define FAULT_AROUND	16		/* pages, on either side */
#define NONE		(-1)

/* Nodes are those of the first word of a nodemask */
typedef unsigned long nodes_t;
#define NR_NODES	((int)(8 * sizeof(nodes_t)))
#define NODE(n)		(1UL << (n))

enum kind { HOLE, ANON, HUGE, SHARED, PRIVATE };

struct policy {
	int mode;		/* with flags, as get_mempolicy() reports it */
	nodes_t user;		/* as given to the call */
	nodes_t nodes;		/* in effect */
	int home;
};

struct frame {
	int node;
	int maps;		/* slots that have it */
	bool cache;		/* page of a file; free if it has neither */
	bool was_shared;	/* fork() since the last write */
	unsigned long value;	/* content, see value_write() */
};

struct slot {
	enum kind kind;
	int prot;
	unsigned long index;	/* page of the file, or number of the page when mapped */
	int frame;		/* NONE if it was not touched, or only read (zero page) */
	struct policy policy;	/* not of SHARED */
};

struct proc {
	pid_t pid;		/* 0: there is none */
	int cpu;		/* runs on nodes.first_cpu[cpu] */
	struct policy task;
	struct slot slot[MAX_SLOTS];
};

struct file {
	int fd;
	unsigned long bias;	/* of the interleave index: the inode number */
	int frame[FILE_PAGES];	/* the page cache */
	struct policy policy[FILE_PAGES];
};

/* Of all processes: only who has the baton uses it */
struct world {
	struct proc proc[NR_PROCS];
	struct file file;
	struct frame frame[NR_FRAMES];
	uint64_t random;
	unsigned long step, value;
	int leaving;		/* process that has ended */
	char call[NR_CALLS][200];
	char failure[300];	/* "" so far */
};

static struct world *w;
static struct proc *me;
static struct {
	int first, end, n;
	char text[40];
} range;				/* slots that this step is about */
static int baton[NR_PROCS][2];
static sigjmp_buf escape;

/* The machine */
static struct numa_nodes nodes;
static nodes_t memory, online;		/* nodes with memory, and with memory or CPUs */
static nodes_t numbers;			/* these, and as many others */
static int balancing_flag;		/* MPOL_F_NUMA_BALANCING, if it is no flag of nodemasks */
static int nearest_nodes[NR_NODES][NR_NODES];	/* with memory, from node */
static long weight[NR_NODES];
static size_t page, huge_page;
static int nr_slots;

/* What the environment says */
static unsigned long first_seed = 1, nr_seeds = 4, nr_steps = 10000;

static uint64_t next_random(void)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* 0 to n - 1 */
static int rnd(int n)
{
	return (next_random() >> 32) * n >> 32;
}

static bool one_in(int n)
{
	return !rnd(n);
}

/*
 * What is printed
 */

/* Texts that last for one message */
static char *buffer(void)
{
	static char text[8][250];
	static int next;

	return text[next++ % 8];
}

static struct nodemask mask_of(nodes_t n)
{
	return (struct nodemask){ .bits = { n } };
}

/* As nodemask_str(), which is slow if it is for every step */
static const char *nodes_str(nodes_t n)
{
	char *text = buffer(), *t = text;

	*t = '\0';
	while (n) {
		int first = __builtin_ctzl(n), end = first;

		for (; end < NR_NODES && n & NODE(end); end++)
			n &= ~NODE(end);
		t += sprintf(t, end - first > 1 ? "%s%d-%d" : "%s%d", t > text ? "," : "", first,
			     end - 1);
	}
	return text;
}

/* A policy as numa_maps shows it, if @n are the nodes it is in effect for */
static const char *policy_str(int mode, nodes_t n)
{
	bool balancing = mode & MPOL_F_NUMA_BALANCING;
	const char *flag = mode & MPOL_F_STATIC_NODES ? "=static" :
			   mode & MPOL_F_RELATIVE_NODES ? "=relative" : "";
	char *text = buffer();

	sprintf(text, "%s%s%s%s%s", mpol_mode_name(mode & ~MPOL_MODE_FLAGS), flag,
		!balancing ? "" : *flag ? "|balancing" : "=balancing", n ? ":" : "",
		nodes_str(n));
	return text;
}

static const char *flags_str(unsigned int flags)
{
	char *text = buffer();

	sprintf(text, "%s%s", flags & MPOL_MF_MOVE_ALL ? "MOVE_ALL" :
		flags & MPOL_MF_MOVE ? "MOVE" : flags ? "STRICT" : "0",
		flags > MPOL_MF_STRICT && flags & MPOL_MF_STRICT ? "|STRICT" : "");
	return text;
}

static int number(const struct proc *p)
{
	return p - w->proc;
}

static const char * const kind_name[] = {
	[HOLE] = "no mapping", [ANON] = "anonymous", [HUGE] = "THP", [SHARED] = "shared file",
	[PRIVATE] = "private file",
};

static const char *node_str(int node)
{
	char *text = buffer();

	sprintf(text, node < 0 ? "no page" : "node %d", node);
	return text;
}

/* "page 12 (shared file)"; NONE is what belongs to no page */
static const char *slot_str(int i)
{
	char *text = buffer();

	if (i == NONE)
		return "task";
	sprintf(text, "page %d (%s)", i, kind_name[me->slot[i].kind]);
	return text;
}

/* The step is this call */
static void __attribute__((format(printf, 1, 2))) call(const char *fmt, ...)
{
	char *text = w->call[w->step % NR_CALLS];
	va_list ap;
	int n;

	n = sprintf(text, "step %lu: process %d: ", w->step, number(me));
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(w->call[0]) - n, fmt, ap);
	va_end(ap);
}

/* The first failure counts, and nobody goes on after it */
static void __attribute__((format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	if (!w->failure[0]) {
		va_start(ap, fmt);
		vsnprintf(w->failure, sizeof(w->failure), fmt, ap);
		va_end(ap);
	}
	siglongjmp(escape, 1);
}

static void expect_result(long ret, int expected)
{
	int err = ret ? errno : 0;

	if (err != expected)
		fail("result is \"%s\", expected \"%s\"", strerror(err), strerror(expected));
}

/*
 * The model
 */

static char *addr_of(int i)
{
	if (i < NR_SMALL)
		return ARENA + huge_page - (NR_SMALL - i) * page;
	return ARENA + (1 + i - NR_SMALL) * huge_page;
}

static size_t size_of(int i)
{
	return i < NR_SMALL ? page : huge_page;
}

static int nr_set(nodes_t n)
{
	return __builtin_popcountl(n);
}

static int lowest(nodes_t n)
{
	return __builtin_ctzl(n);
}

/* The node with number @i modulo their number, from 0 */
static int nth(nodes_t n, unsigned long i)
{
	for (i %= nr_set(n); i; i--)
		n &= n - 1;
	return lowest(n);
}

/* Of @allowed, which an allocation on @from gets if all have memory */
static int nearest(int from, nodes_t allowed)
{
	const int *node = nearest_nodes[from];

	while (!(allowed & NODE(*node)))
		node++;
	return *node;
}

static bool of_file(const struct slot *s)
{
	return s->kind == SHARED || s->kind == PRIVATE;
}

/* The policy that was set for the slot, or for what is there */
static struct policy *policy_of(struct slot *s)
{
	return s->kind == SHARED ? &w->file.policy[s->index] : &s->policy;
}

/* The policy that counts for the slot: "will fall back to the task policy" */
static const struct policy *in_force(struct slot *s)
{
	struct policy *pol = policy_of(s);

	return pol->mode == MPOL_DEFAULT ? &me->task : pol;
}

/* The node for a new page at interleave index @index */
static int place(const struct policy *pol, unsigned long index)
{
	int local = nodes.cpu[me->cpu], node;
	unsigned long total = 0;

	switch (pol->mode & ~MPOL_MODE_FLAGS) {
	case MPOL_PREFERRED:
		return lowest(pol->nodes);
	case MPOL_BIND:
	case MPOL_PREFERRED_MANY:
		return nearest(pol->home == NONE ? local : pol->home, pol->nodes);
	case MPOL_INTERLEAVE:
		return nth(pol->nodes, index);
	case MPOL_WEIGHTED_INTERLEAVE:
		for (nodes_t n = pol->nodes; n; n &= n - 1)
			total += weight[lowest(n)];
		index %= total;
		for (nodes_t n = pol->nodes;; n &= n - 1) {
			node = lowest(n);
			if (index < weight[node])
				return node;
			index -= weight[node];
		}
	default:
		return nearest(local, memory);
	}
}

static unsigned long index_of(const struct slot *s)
{
	if (s->kind == HUGE)
		return s->index / (huge_page / page);
	return s->kind == SHARED ? s->index + w->file.bias : s->index;
}

/* Where a page follows the policy */
static nodes_t good_nodes(const struct policy *pol)
{
	return pol->nodes ?: NODE(place(pol, 0));
}

static struct frame *frame_of(const struct slot *s)
{
	return s->frame == NONE ? NULL : &w->frame[s->frame];
}

static int frame_new(int node, bool cache)
{
	int i = 0;

	while (w->frame[i].maps || w->frame[i].cache)
		i++;
	w->frame[i] = (struct frame){ .node = node, .cache = cache };
	return i;
}

static void slot_map(struct slot *s, int frame)
{
	s->frame = frame;
	w->frame[frame].maps++;
}

/* The slot has no page any more */
static void slot_zap(struct slot *s)
{
	if (s->frame != NONE)
		w->frame[s->frame].maps--;
	s->frame = NONE;
}

static void slot_unmap(struct slot *s)
{
	slot_zap(s);
	*s = (struct slot){ .kind = HOLE, .frame = NONE };
}

/* The file has a page at @index, which is placed by the policy that the file has there */
static int file_page(unsigned long index)
{
	const struct policy *pol = &w->file.policy[index];

	if (pol->mode == MPOL_DEFAULT)
		pol = &me->task;
	if (w->file.frame[index] == NONE)
		w->file.frame[index] = frame_new(place(pol, index + w->file.bias), true);
	return w->file.frame[index];
}

/*
 * Comparing with it
 */

/* A page begins with its value and ends with the inverse, or is all zero */
static void value_write(char *p, size_t size, unsigned long value)
{
	((volatile unsigned long *)p)[0] = value;
	((volatile unsigned long *)(p + size))[-1] = ~value;
}

static void value_check(int i, const char *p, size_t size, unsigned long value)
{
	unsigned long first = ((const volatile unsigned long *)p)[0];
	unsigned long last = ((const volatile unsigned long *)(p + size))[-1];

	if (first != value || last != (value ? ~value : 0))
		fail("%s: content is %#lx, %#lx, expected %#lx", slot_str(i), first, last,
		     value);
}

/* The policy of slot @i, or of the task */
static void policy_check(int i, const struct policy *pol)
{
	nodes_t expected = pol->mode & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES) ?
			   pol->user : pol->nodes;
	struct nodemask seen;
	int mode;

	if (sys_get_mempolicy(&mode, &seen, i == NONE ? NULL : addr_of(i),
			      i == NONE ? 0 : MPOL_F_ADDR))
		fail("%s: get_mempolicy: %s", slot_str(i), strerror(errno));
	if (mode != pol->mode || seen.bits[0] != expected)
		fail("%s: policy is %s, expected %s", slot_str(i), policy_str(mode, seen.bits[0]),
		     policy_str(pol->mode, expected));
}

/* Nodes of the pages of [first, end), or why there is none */
static void ask_nodes(int first, int end, int *status)
{
	void *pages[MAX_SLOTS];

	for (int i = first; i < end; i++)
		pages[i - first] = addr_of(i);
	if (sys_move_pages(0, end - first, pages, NULL, status, 0))
		fail("move_pages: %s", strerror(errno));
}

static void check(int first, int end)
{
	int status[MAX_SLOTS];

	ask_nodes(first, end, status);
	for (int i = first; i < end; i++) {
		struct slot *s = &me->slot[i];
		struct frame *f = frame_of(s);
		int node = status[i - first], mode;
		struct nodemask mask;

		/* EFAULT is the zero page, or no mapping */
		if (f ? node != f->node : node != -EFAULT && (node != -ENOENT || s->kind == HOLE))
			fail("%s: %s, expected %s", slot_str(i), node_str(node),
			     node_str(f ? f->node : NONE));
		if (f && s->kind == HUGE && page_node(addr_of(i + 1) - page) != node)
			fail("%s: on more than one node", slot_str(i));
		if (s->kind != HOLE)
			policy_check(i, policy_of(s));
		else if (!sys_get_mempolicy(&mode, &mask, addr_of(i), MPOL_F_ADDR))
			fail("%s: has a policy", slot_str(i));
		if (f && s->prot & PROT_READ)
			value_check(i, addr_of(i), size_of(i), f->value);
	}
}

/* numa_maps: the policy of each mapping, and how many pages are on which node */
static void check_numa_maps(void)
{
	unsigned long expected[NR_NODES] = { }, seen[NR_NODES] = { };
	static struct numa_maps nm;
	char line[1024];
	FILE *f;

	for (int i = 0; i < nr_slots; i++)
		if (me->slot[i].frame != NONE)
			expected[frame_of(&me->slot[i])->node] += size_of(i) / page;
	f = fopen("/proc/self/numa_maps", "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long start = strtoul(line, NULL, 16);
		const struct policy *pol;
		int i = 0;

		if (start < (unsigned long)addr_of(0) ||
		    start >= (unsigned long)(addr_of(nr_slots - 1) + size_of(nr_slots - 1)))
			continue;
		while (i < nr_slots - 1 && start != (unsigned long)addr_of(i))
			i++;
		if (numa_maps_parse(line, &nm))
			fail("numa_maps: %s: cannot be parsed", slot_str(i));
		pol = in_force(&me->slot[i]);
		if (strcmp(nm.policy, policy_str(pol->mode, pol->nodes)))
			fail("numa_maps: %s: policy is %s, expected %s", slot_str(i), nm.policy,
			     policy_str(pol->mode, pol->nodes));
		for (int n = 0; n < NR_NODES; n++)
			seen[n] += nm.node[n];
	}
	if (!f)
		fail("numa_maps: %s", strerror(errno));
	fclose(f);
	for (int n = 0; n < NR_NODES; n++)
		if (seen[n] != expected[n])
			fail("numa_maps: %lu pages on node %d, expected %lu", seen[n], n,
			     expected[n]);
}

static void check_all(void)
{
	policy_check(NONE, &me->task);
	check(0, nr_slots);
}

/* Pages of files are mapped in [first, end) or not, as the kernel likes */
static void learn_mapped(int first, int end)
{
	int status[MAX_SLOTS];

	if (first < 0)
		first = 0;
	if (end > NR_SMALL)
		end = NR_SMALL;
	ask_nodes(first, end, status);
	for (int i = first; i < end; i++) {
		struct slot *s = &me->slot[i];

		if (of_file(s) && s->frame == NONE && w->file.frame[s->index] != NONE &&
		    status[i - first] >= 0)
			slot_map(s, w->file.frame[s->index]);
	}
}

/*
 * The steps
 */

static void set_range(int first, int n, int limit)
{
	range.first = first;
	range.end = first + n < limit ? first + n : limit;
	range.n = range.end - first;
	sprintf(range.text, "pages %d..%d", range.first, range.end - 1);
}

/* What a step is about: small pages, and now and then the huge ones as well */
static void random_range(void)
{
	if (nr_slots > NR_SMALL && one_in(64))
		set_range(NR_SMALL - 2 + rnd(NR_HUGE + 2), 1 + rnd(4), nr_slots);
	else
		set_range(rnd(NR_SMALL), 1 + rnd(6), NR_SMALL);
}

/* The first slots of the range for which @ok; there may be none */
static bool trim_range(bool (*ok)(const struct slot *s))
{
	int n = 0;

	while (n < range.n && ok(&me->slot[range.first + n]))
		n++;
	set_range(range.first, n, range.end);
	return n;
}

static char *range_addr(void)
{
	return addr_of(range.first);
}

static size_t range_size(void)
{
	return addr_of(range.end - 1) + size_of(range.end - 1) - range_addr();
}

/* Some of @from, not none */
static nodes_t random_nodes(nodes_t from)
{
	nodes_t n;

	do {
		n = next_random() & from;
	} while (!n);
	return n;
}

static int random_node(nodes_t from)
{
	return nth(from, rnd(nr_set(from)));
}

/* A policy that the kernel accepts, and which mode it is given for that */
static struct policy random_policy(int *call_mode)
{
	static const int modes[] = {
		MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL,
		MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE,
	};
	static const int flags[] = { 0, 0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES };
	int mode = modes[rnd(ARRAY_SIZE(modes))];
	struct policy pol = { .mode = mode, .home = NONE };

	*call_mode = mode;
	if (mode == MPOL_DEFAULT)
		return pol;
	if (mode == MPOL_LOCAL) {
		/* "If the nodemask is empty": another name for it */
		*call_mode = one_in(2) ? MPOL_LOCAL : MPOL_PREFERRED;
		return pol;
	}
	pol.mode |= flags[rnd(ARRAY_SIZE(flags))];
	if ((mode == MPOL_BIND || mode == MPOL_PREFERRED_MANY) && one_in(8))
		pol.mode |= balancing_flag;
	*call_mode = pol.mode;
	if (pol.mode & MPOL_F_RELATIVE_NODES) {
		/* positions in the list of nodes, which begins anew after its end */
		pol.user = random_nodes(numbers);
		for (nodes_t n = pol.user; n; n &= n - 1)
			pol.nodes |= NODE(nth(memory, lowest(n)));
	} else {
		/* numbers without memory are left out */
		pol.nodes = random_nodes(memory);
		pol.user = pol.nodes | (one_in(4) ? next_random() & numbers & ~memory : 0);
	}
	if (mode == MPOL_PREFERRED)
		pol.nodes &= -pol.nodes;
	return pol;
}

static void step_set_mempolicy(void)
{
	int mode;
	struct policy pol = random_policy(&mode);
	struct nodemask mask = mask_of(pol.user);

	call("set_mempolicy(%s)", policy_str(mode, pol.user));
	expect_result(sys_set_mempolicy(mode, &mask), 0);
	me->task = pol;
	policy_check(NONE, &me->task);
}

static bool in_range(enum kind kind)
{
	for (int i = range.first; i < range.end; i++)
		if (me->slot[i].kind == kind)
			return true;
	return false;
}

/*
 * MPOL_MF_MOVE: pages of the range that are not on @good go to where @pol has them.
 * The first one does so exactly, and if the policy is interleaved those that have an
 * index of the same kind; unless it is a page of the file, and the file is mapped in
 * both ways, so that there are two indices for it.
 */
static void mbind_move(const struct policy *pol, nodes_t good, bool all)
{
	bool ambiguous = in_range(SHARED) && in_range(PRIVATE);
	const struct slot *first = NULL;

	for (int i = range.first; i < range.end; i++) {
		struct slot *s = &me->slot[i];
		struct frame *f = frame_of(s);
		bool exact;

		if (!f || good & NODE(f->node) || (f->maps > 1 && !all))
			continue;
		if (!first)
			first = s;
		exact = s == first || (s->kind != PRIVATE && first->kind != PRIVATE &&
				       (s->kind == SHARED) == (first->kind == SHARED));
		if (exact && !(of_file(first) && ambiguous))
			f->node = place(pol, index_of(s));
		else
			f->node = page_node(addr_of(i));
		if (f->node < 0 || !(good & NODE(f->node)))
			fail("%s: moved to %s, expected one of %s", slot_str(i), node_str(f->node),
			     nodes_str(good));
	}
}

static void step_mbind(void)
{
	static const unsigned int all_flags[] = {
		0, MPOL_MF_MOVE, MPOL_MF_MOVE, MPOL_MF_MOVE | MPOL_MF_STRICT, MPOL_MF_STRICT,
		MPOL_MF_MOVE_ALL, MPOL_MF_MOVE_ALL | MPOL_MF_STRICT,
	};
	unsigned int flags = all_flags[rnd(ARRAY_SIZE(all_flags))];
	bool move_all = flags & MPOL_MF_MOVE_ALL, move = flags & MPOL_MF_MOVE || move_all;
	bool empty = true, misplaced = false;
	int mode;
	struct policy pol = random_policy(&mode);
	struct nodemask mask = mask_of(pol.user);
	bool strict = flags & MPOL_MF_STRICT && pol.mode != MPOL_DEFAULT;
	const struct policy *target = pol.mode == MPOL_DEFAULT ? &me->task : &pol;
	nodes_t good = good_nodes(target);
	long ret;

	random_range();
	call("mbind(%s, %s, %s)", range.text, policy_str(mode, pol.user), flags_str(flags));
	ret = sys_mbind(range_addr(), range_size(), mode, &mask, flags);
	for (int i = range.first; i < range.end; i++) {
		const struct slot *s = &me->slot[i];

		empty = empty && s->kind == HOLE;
		misplaced = misplaced || (s->frame != NONE && !(good & NODE(frame_of(s)->node)));
	}
	misplaced = misplaced && strict && !move;
	if (empty || (in_range(HOLE) && pol.mode != MPOL_DEFAULT)) {
		/* or a misplaced page was found earlier */
		expect_result(ret, misplaced && errno == EIO ? EIO : EFAULT);
		return;
	}
	expect_result(ret, misplaced ? EIO : 0);
	if (misplaced)
		return;

	for (int i = range.first; i < range.end; i++)
		if (me->slot[i].kind != HOLE)
			*policy_of(&me->slot[i]) = pol;
	if (move)
		mbind_move(target, good, move_all);
}

static void step_home_node(void)
{
	int node = random_node(online), expected = ENOENT;

	random_range();
	call("set_mempolicy_home_node(%s, %d)", range.text, node);
	for (int i = range.first; i < range.end; i++) {
		struct policy *pol = policy_of(&me->slot[i]);
		int mode = pol->mode & ~MPOL_MODE_FLAGS;

		if (mode == MPOL_DEFAULT)
			continue;	/* or nothing is mapped */
		if (mode != MPOL_BIND && mode != MPOL_PREFERRED_MANY) {
			/* what comes before has it nevertheless */
			expected = EOPNOTSUPP;
			break;
		}
		pol->home = node;
		expected = 0;
	}
	expect_result(syscall(SYS_set_mempolicy_home_node, range_addr(), range_size(), node, 0),
		      expected);
}

static void write_slot(int i)
{
	struct slot *s = &me->slot[i];
	struct frame *f = frame_of(s);
	int node = place(in_force(s), index_of(s));
	bool open = false;

	if (s->kind == SHARED) {
		if (!f)
			slot_map(s, file_page(s->index));
	} else if (!f || f->cache || f->maps > 1) {
		if (s->kind == PRIVATE && !f)
			file_page(s->index);	/* of which it is a copy */
		slot_zap(s);
		slot_map(s, frame_new(node, false));
	} else {
		open = f->was_shared;
	}
	value_write(addr_of(i), size_of(i), ++w->value);
	f = frame_of(s);
	f->value = w->value;
	f->was_shared = false;
	if (open && page_node(addr_of(i)) == node)
		f->node = node;
}

static void read_slot(int i)
{
	struct slot *s = &me->slot[i];
	bool fault = of_file(s) && s->frame == NONE;

	if (fault)
		slot_map(s, file_page(s->index));
	value_check(i, addr_of(i), size_of(i), s->frame == NONE ? 0 : frame_of(s)->value);
	if (fault)
		learn_mapped(i - FAULT_AROUND, i + FAULT_AROUND);
}

static void step_touch(void)
{
	bool write = !one_in(3);

	random_range();
	call("%s(%s)", write ? "write" : "read", range.text);
	for (int i = range.first; i < range.end; i++) {
		struct slot *s = &me->slot[i];
		struct frame *f = frame_of(s);

		/* no zero page and no copy of a part */
		if (s->kind == HUGE && (write ? f && f->maps > 1 : !f))
			continue;
		if (write && s->prot & PROT_WRITE)
			write_slot(i);
		else if (!write && s->prot & PROT_READ)
			read_slot(i);
	}
}

static void step_munmap(void)
{
	random_range();
	call("munmap(%s)", range.text);
	expect_result(munmap(range_addr(), range_size()), 0);
	for (int i = range.first; i < range.end; i++)
		slot_unmap(&me->slot[i]);
}

static bool same_size(const struct slot *s)
{
	return (range.first < NR_SMALL) == (s < me->slot + NR_SMALL);
}

static void map_range(enum kind kind)
{
	int flags = MAP_FIXED | (kind == SHARED ? MAP_SHARED : MAP_PRIVATE);
	int fd = -1, index = 0;

	if (kind < SHARED) {
		flags |= MAP_ANONYMOUS;
		call("mmap(%s, %s)", range.text, kind_name[kind]);
	} else {
		fd = w->file.fd;
		index = rnd(FILE_PAGES - range.n + 1);
		call("mmap(%s, %s from page %d)", range.text, kind_name[kind], index);
	}
	if (mmap(range_addr(), range_size(), PROT_READ | PROT_WRITE, flags, fd, index * page) !=
	    range_addr())
		fail("mmap: %s", strerror(errno));
	madvise(range_addr(), range_size(), kind == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (int i = range.first; i < range.end; i++) {
		struct slot *s = &me->slot[i];

		slot_unmap(s);
		s->kind = kind;
		s->prot = PROT_READ | PROT_WRITE;
		s->index = kind < SHARED ? (uintptr_t)addr_of(i) / page :
			   index + i - range.first;
		s->policy.home = NONE;
	}
}

static void step_mmap(void)
{
	static const enum kind kinds[] = { ANON, ANON, SHARED, SHARED, PRIVATE };

	random_range();
	trim_range(same_size);
	map_range(range.first < NR_SMALL ? kinds[rnd(ARRAY_SIZE(kinds))] : HUGE);
}

/*
 * What mremap() can move: anonymous memory has to be written before, since until then
 * its interleave index is that of its address.
 */
static bool movable(const struct slot *s)
{
	if (s->kind != me->slot[range.first].kind)
		return false;
	return of_file(s) || (s->prot & PROT_WRITE &&
			      (s->kind != HUGE || s->frame == NONE || frame_of(s)->maps == 1));
}

static void step_mremap(void)
{
	int to, first = 0, last = NR_SMALL;
	void *ret;

	random_range();
	if (!trim_range(movable))
		return;
	if (range.first >= NR_SMALL) {
		first = NR_SMALL;
		last = nr_slots;
	}
	to = first + rnd(last - first - range.n + 1);
	if (to > range.first - range.n && to < range.end)
		return;
	call("mremap(%s, to page %d)", range.text, to);
	for (int i = 0; i < range.n; i++) {
		if (!of_file(&me->slot[range.first + i]))
			write_slot(range.first + i);
		slot_unmap(&me->slot[to + i]);
	}
	munmap(addr_of(to), range_size());
	ret = mremap(range_addr(), range_size(), range_size(), MREMAP_MAYMOVE | MREMAP_FIXED,
		     addr_of(to));
	if (ret == MAP_FAILED && errno == EFAULT && range.n > 1)
		return;		/* several mappings, before Linux 6.17 */
	if (ret != addr_of(to))
		fail("mremap: %s", strerror(errno));
	for (int i = 0; i < range.n; i++) {
		struct slot *s = &me->slot[range.first + i];

		me->slot[to + i] = *s;
		s->frame = NONE;
		slot_unmap(s);
	}
	check(to, to + range.n);
}

static bool mapped(const struct slot *s)
{
	return s->kind != HOLE;
}

static void step_mprotect(void)
{
	static const struct {
		const char *name;
		int prot;
	} prots[] = {
		{ "READ|WRITE", PROT_READ | PROT_WRITE }, { "READ|WRITE", PROT_READ | PROT_WRITE },
		{ "READ", PROT_READ }, { "NONE", PROT_NONE },
	};
	int p = rnd(ARRAY_SIZE(prots));

	random_range();
	if (!trim_range(mapped))
		return;
	call("mprotect(%s, %s)", range.text, prots[p].name);
	expect_result(mprotect(range_addr(), range_size(), prots[p].prot), 0);
	for (int i = range.first; i < range.end; i++)
		me->slot[i].prot = prots[p].prot;
}

static void step_dontneed(void)
{
	int expected = 0;

	random_range();
	call("madvise(%s, DONTNEED)", range.text);
	for (int i = range.first; i < range.end; i++) {
		slot_zap(&me->slot[i]);
		if (me->slot[i].kind == HOLE)
			expected = ENOMEM;
	}
	expect_result(madvise(range_addr(), range_size(), MADV_DONTNEED), expected);
}

/* The file loses pages, and all that map them; private copies stay */
static void step_punch_hole(void)
{
	int first = rnd(FILE_PAGES), n = 1 + rnd(FILE_PAGES - first < 4 ? FILE_PAGES - first : 4);

	call("fallocate(file, PUNCH_HOLE, pages %d..%d)", first, first + n - 1);
	expect_result(fallocate(w->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				first * page, n * page), 0);
	for (int i = first; i < first + n; i++) {
		int frame = w->file.frame[i];

		for (int j = 0; j < NR_PROCS * nr_slots && frame != NONE; j++) {
			struct slot *s = &w->proc[j / nr_slots].slot[j % nr_slots];

			if (s->kind != HOLE && s->frame == frame)
				slot_zap(s);
		}
		if (frame != NONE)
			w->frame[frame].cache = false;
		w->file.frame[i] = NONE;
	}
}

/* A page of the file that comes without a fault */
static void step_pwrite(void)
{
	static unsigned long text[65536 / sizeof(long)];
	int index = rnd(FILE_PAGES);

	call("pwrite(file, page %d)", index);
	value_write((char *)text, page, ++w->value);
	w->frame[file_page(index)].value = w->value;
	if (pwrite(w->file.fd, text, page, index * page) != page)
		fail("pwrite: %s", strerror(errno));
}

static void step_cpu(void)
{
	cpu_set_t set;

	me->cpu = rnd(nodes.nr_cpu);
	call("sched_setaffinity(to node %d)", nodes.cpu[me->cpu]);
	CPU_ZERO(&set);
	CPU_SET(nodes.first_cpu[me->cpu], &set);
	expect_result(sched_setaffinity(0, sizeof(set), &set), 0);
}

static struct proc *random_proc(void)
{
	struct proc *p;

	do {
		p = &w->proc[rnd(NR_PROCS)];
	} while (!p->pid);
	return p;
}

static void step_move_pages(void)
{
	struct proc *p = random_proc();
	bool all = one_in(3);
	int n = 1 + rnd(6), page_of[6], node[6], status[6], expected[6];
	void *pages[6];
	char text[100] = "", *t = text;

	for (int i = 0; i < n; i++) {
		page_of[i] = rnd(one_in(32) ? nr_slots : NR_SMALL);
		pages[i] = addr_of(page_of[i]);
		node[i] = random_node(memory);
		t += sprintf(t, "%s%d to %d", i ? ", " : "", page_of[i], node[i]);
	}
	call("move_pages(process %d, %s, %s)", number(p), text, all ? "MOVE_ALL" : "MOVE");
	for (int i = 0; i < n; i++) {
		struct slot *s = &p->slot[page_of[i]];
		struct frame *f = frame_of(s);

		expected[i] = s->kind == HOLE ? -EFAULT : !f ? -ENOENT :
			      f->node != node[i] && f->maps > 1 && !all ? -EACCES : node[i];
		if (f && expected[i] == node[i])
			f->node = node[i];
	}
	expect_result(sys_move_pages(p == me ? 0 : p->pid, n, pages, node, status,
				     all ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE), 0);
	for (int i = 0; i < n; i++) {
		if (status[i] == -EFAULT && expected[i] == -ENOENT)
			continue;	/* the zero page */
		if (status[i] != expected[i])
			fail("page %d of process %d: status is %d, expected %d", page_of[i],
			     number(p), status[i], expected[i]);
	}
}

/*
 * migrate_pages() tries to keep the distances: the node with some number in @from
 * gives its pages to the one with this number in @to, beginning with pairs of which
 * the second has nothing left to give: do_migrate_pages().
 */
static void step_migrate_pages(void)
{
	struct proc *p = random_proc();
	nodes_t from = random_nodes(memory), to = random_nodes(memory), left = from;
	struct nodemask from_mask = mask_of(from), to_mask = mask_of(to);

	call("migrate_pages(process %d, %s, %s)", number(p), nodes_str(from), nodes_str(to));
	/* what cannot be moved is counted, and there is more than the model knows of */
	if (syscall(SYS_migrate_pages, p == me ? 0 : p->pid, NR_NODES + 1, from_mask.bits,
		    to_mask.bits) < 0)
		fail("migrate_pages: %s", strerror(errno));
	while (left) {
		int source = NONE, dest = NONE;

		for (nodes_t n = left; n; n &= n - 1) {
			int s = lowest(n), d = nth(to, nr_set(from & (NODE(s) - 1)));

			if (s == d || (nr_set(from) != nr_set(to) && to & NODE(s)))
				continue;
			source = s;
			dest = d;
			if (!(left & NODE(d)))
				break;
		}
		if (source == NONE)
			break;
		left &= ~NODE(source);
		for (int i = 0; i < nr_slots; i++)
			if (p->slot[i].frame != NONE && frame_of(&p->slot[i])->node == source)
				frame_of(&p->slot[i])->node = dest;
	}
}

/* Calls that fail, and change nothing */
static const struct {
	const char *name;
	int mode;
	bool some_nodes;
	unsigned int flags;
	int offset;		/* of the address */
	int err;
} bad_calls[] = {
	{ "no such mode", 99, true, 0, 0, EINVAL },
	{ "static and relative", MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, true,
	  0, 0, EINVAL },
	{ "balancing of interleaved", MPOL_INTERLEAVE | MPOL_F_NUMA_BALANCING, true, 0, 0,
	  EINVAL },
	{ "no nodes", MPOL_BIND, false, 0, 0, EINVAL },
	{ "no nodes", MPOL_INTERLEAVE, false, MPOL_MF_MOVE, 0, EINVAL },
	{ "no nodes", MPOL_PREFERRED | MPOL_F_STATIC_NODES, false, 0, 0, EINVAL },
	{ "local with nodes", MPOL_LOCAL, true, MPOL_MF_MOVE, 0, EINVAL },
	{ "local and static", MPOL_LOCAL | MPOL_F_STATIC_NODES, false, 0, 0, EINVAL },
	{ "default with nodes", MPOL_DEFAULT, true, MPOL_MF_MOVE, 0, EINVAL },
	{ "no such flag", MPOL_BIND, true, 1 << 7, 0, EINVAL },
	{ "address in a page", MPOL_BIND, true, MPOL_MF_MOVE, 8, EINVAL },
};

static void step_bad_policy(void)
{
	int i = rnd(ARRAY_SIZE(bad_calls));
	struct nodemask mask = mask_of(bad_calls[i].some_nodes ? random_nodes(memory) : 0);

	random_range();
	call("mbind(%s) and set_mempolicy(), %s", range.text, bad_calls[i].name);
	expect_result(sys_mbind(range_addr() + bad_calls[i].offset, range_size(),
				bad_calls[i].mode, &mask, bad_calls[i].flags), bad_calls[i].err);
	if (bad_calls[i].flags <= MPOL_MF_VALID && !bad_calls[i].offset)
		expect_result(sys_set_mempolicy(bad_calls[i].mode, &mask), bad_calls[i].err);
	policy_check(NONE, &me->task);
}

/* A mask that is not readable, nodes without memory, nodes that cannot be */
static void step_bad_nodes(void)
{
	struct nodemask mask = { };
	int status, node = 1 << 20;
	void *addr;

	random_range();
	addr = range_addr();
	call("mbind(%s), move_pages() and others, bad nodes", range.text);
	expect_result(syscall(SYS_mbind, addr, range_size(), MPOL_BIND, 8, NR_NODES,
			      MPOL_MF_MOVE), EFAULT);
	expect_result(syscall(SYS_set_mempolicy, MPOL_BIND, 8, NR_NODES), EFAULT);
	expect_result(syscall(SYS_migrate_pages, 0, NR_NODES, mask.bits, mask.bits), EINVAL);
	expect_result(sys_move_pages(0, 1, &addr, &node, &status, MPOL_MF_MOVE), ENODEV);
	expect_result(syscall(SYS_set_mempolicy_home_node, addr, page, node, 0), EINVAL);
	mask = mask_of(random_nodes(numbers) & ~memory);
	expect_result(sys_mbind(addr, range_size(), MPOL_BIND, &mask, MPOL_MF_MOVE), EINVAL);
	expect_result(sys_set_mempolicy(MPOL_INTERLEAVE, &mask), EINVAL);
	policy_check(NONE, &me->task);
}

static void step_numa_maps(void)
{
	call("numa_maps");
	check_numa_maps();
}

static void pass_baton(struct proc *to)
{
	if (write(baton[number(to)][1], "", 1) != 1)
		_exit(KSFT_FAIL);
}

static void wait_for_baton(void)
{
	char c;

	if (read(baton[number(me)][0], &c, 1) != 1)
		_exit(KSFT_FAIL);
}

/* In the first process, when it has got the baton back */
static void reap(void)
{
	if (!w->leaving)
		return;
	waitpid(w->proc[w->leaving].pid, NULL, 0);
	w->proc[w->leaving].pid = 0;
	w->leaving = 0;
}

/* The first process makes all others: it is the one that can wait for their end */
static void step_fork(void)
{
	struct proc *child = w->proc;
	pid_t pid;

	while (child < w->proc + NR_PROCS && child->pid)
		child++;
	if (me != w->proc || child == w->proc + NR_PROCS)
		return;
	call("fork() of process %d", number(child));
	*child = *me;
	for (int i = 0; i < nr_slots; i++) {
		struct slot *s = &child->slot[i];

		if (s->frame == NONE)
			continue;
		if (frame_of(s)->cache) {
			s->frame = NONE;
			continue;
		}
		frame_of(s)->maps++;
		frame_of(s)->was_shared = true;
	}
	pid = fork();
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		me = child;
		wait_for_baton();
		learn_mapped(0, nr_slots);
		check_all();
		pass_baton(w->proc);
		wait_for_baton();
		siglongjmp(escape, 1);
	}
	child->pid = pid;
	pass_baton(child);
	wait_for_baton();
	reap();
}

static void leave(void)
{
	for (int i = 0; i < nr_slots; i++)
		slot_unmap(&me->slot[i]);
	w->leaving = number(me);
	pass_baton(w->proc);
	_exit(0);
}

static void step_exit(void)
{
	if (me == w->proc)
		return;
	call("exit()");
	leave();
}

static const struct {
	void (*run)(void);
	int share;
} steps[] = {
	{ step_touch, 280 },
	{ step_mbind, 240 },
	{ step_set_mempolicy, 80 },
	{ step_mmap, 80 },
	{ step_munmap, 8 },
	{ step_mremap, 20 },
	{ step_mprotect, 50 },
	{ step_dontneed, 50 },
	{ step_punch_hole, 20 },
	{ step_pwrite, 20 },
	{ step_home_node, 40 },
	{ step_cpu, 30 },
	{ step_move_pages, 30 },
	{ step_migrate_pages, 2 },
	{ step_bad_policy, 20 },
	{ step_bad_nodes, 10 },
	{ step_numa_maps, 2 },
	{ step_fork, 8 },
	{ step_exit, 4 },
};

static void random_step(void)
{
	int n = 0, i = 0;

	for (int j = 0; j < ARRAY_SIZE(steps); j++)
		n += steps[j].share;
	n = rnd(n);
	while (n >= steps[i].share)
		n -= steps[i++].share;
	w->step++;
	range.n = 0;
	w->call[w->step % NR_CALLS][0] = '\0';
	steps[i].run();
	if (range.n)
		check(range.first, range.end);
	i = rnd(nr_slots - 2);
	check(i, i + 2);
}

static void crashed(int sig, siginfo_t *info, void *context __attribute__((unused)))
{
	int i = 0;

	while (i < nr_slots && ((char *)info->si_addr < addr_of(i) ||
				(char *)info->si_addr >= addr_of(i) + size_of(i)))
		i++;
	fail("%s at page %d", strsignal(sig), i < nr_slots ? i : NONE);
}

/* The life of a process; returns in the first one, when there is no other any more */
static void run(void)
{
	struct sigaction sa = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	/* fail() comes back here, and a new process */
	if (!sigsetjmp(escape, 1)) {
		set_range(0, NR_SMALL, NR_SMALL);
		map_range(ANON);
		if (nr_slots > NR_SMALL) {
			set_range(NR_SMALL, NR_HUGE, nr_slots);
			map_range(HUGE);
		}
		step_cpu();
	}
	while (!w->failure[0] && w->step < nr_steps) {
		check_all();
		do {
			random_step();
		} while (w->step < nr_steps && !one_in(20));
		pass_baton(w->step < nr_steps ? random_proc() : w->proc);
		wait_for_baton();
		if (me == w->proc)
			reap();
	}
	if (!w->failure[0]) {
		check_all();
		check_numa_maps();
	}
	if (me != w->proc)
		leave();
	for (struct proc *p = w->proc + 1; p < w->proc + NR_PROCS; p++) {
		while (p->pid) {
			pass_baton(p);
			wait_for_baton();
			reap();
		}
	}
}

/*
 * The tests
 */

static const char *weight_file(int node)
{
	char *text = buffer();

	sprintf(text, WEIGHTS "node%d", node);
	return text;
}

/*
 * The order in which the kernel tries the nodes for an allocation on @from, which
 * is not only a matter of the distance: always of those left the one it takes.
 */
static bool learn_distances(int from)
{
	nodes_t left = memory;
	bool ok = mmap(ARENA, page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == ARENA;

	for (int i = 0; left && ok; i++) {
		struct nodemask mask = mask_of(left);
		int node;

		ok = !sys_mbind(ARENA, page, MPOL_BIND, &mask, 0) &&
		     !syscall(SYS_set_mempolicy_home_node, ARENA, page, from, 0);
		*(volatile char *)ARENA = 1;
		node = page_node(ARENA);
		ok = ok && node >= 0 && left & NODE(node) && !madvise(ARENA, page, MADV_DONTNEED);
		left &= ~NODE(node);
		nearest_nodes[from][i] = node;
	}
	munmap(ARENA, page);
	return ok && (!(memory & NODE(from)) || nearest_nodes[from][0] == from);
}

FIXTURE(fuzz)
{
	long balancing;
	int thp;
	bool weights_auto;
	long old_weight[NR_NODES];
};

FIXTURE_VARIANT(fuzz)
{
	unsigned long seed;
};

FIXTURE_SETUP(fuzz)
{
	struct nodemask allowed;
	struct stat st;
	char text[16];

	NEED_ROOT();
	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	if (access(WEIGHTS, F_OK))
		SKIP(return, "needs weighted_interleave");
	/* all that follows is about nodes that fit into a word */
	if (nodes.mem[nodes.nr_mem - 1] >= NR_NODES / 2 ||
	    nodes.cpu[nodes.nr_cpu - 1] >= NR_NODES / 2)
		SKIP(return, "needs low_node_numbers");
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &allowed, NULL, MPOL_F_MEMS_ALLOWED));
	memory = online = numbers = 0;
	for (int i = 0; i < nodes.nr_mem; i++) {
		memory |= NODE(nodes.mem[i]) & allowed.bits[0];
		numbers |= NODE(i) | NODE(i + nodes.nr_mem);
	}
	if (nr_set(memory) < 2)
		SKIP(return, "needs memory_nodes=2");
	for (int i = 0; i < nodes.nr_cpu; i++)
		online |= NODE(nodes.cpu[i]);
	online |= memory;
	numbers |= online;
	balancing_flag = balancing_keeps_nodemask(&nodes) ? 0 : MPOL_F_NUMA_BALANCING;

	page = page_size();
	huge_page = thp_size();
	nr_slots = NR_SMALL + NR_HUGE;
	if (!huge_page || huge_page > (4 << 20)) {
		huge_page = 2 << 20;
		nr_slots = NR_SMALL;
	}
	for (nodes_t n = online; n; n &= n - 1)
		ASSERT_TRUE(learn_distances(lowest(n)));

	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, w);
	me = w->proc;
	me->pid = getpid();
	me->task.home = NONE;
	for (int i = 0; i < nr_slots; i++)
		me->slot[i].frame = NONE;
	w->random = variant->seed;
	/* of a new filesystem, so that the inode number does not depend on other tests */
	w->file.fd = file_in_new_fs("tmpfs", NULL, NULL);
	ASSERT_LE(0, w->file.fd);
	ASSERT_EQ(0, ftruncate(w->file.fd, FILE_PAGES * page));
	ASSERT_EQ(0, fstat(w->file.fd, &st));
	w->file.bias = st.st_ino;
	for (int i = 0; i < FILE_PAGES; i++) {
		w->file.frame[i] = NONE;
		w->file.policy[i].home = NONE;
	}
	for (int i = 0; i < NR_PROCS; i++)
		ASSERT_EQ(0, pipe(baton[i]));

	/* from here on there is a teardown */
	self->balancing = numa_balancing_off();
	self->thp = thp_on();
	self->weights_auto = !file_read(WEIGHTS "auto", text, sizeof(text)) &&
			     !strcmp(text, "true");
	for (int i = 0; i < nodes.nr_mem; i++) {
		int node = nodes.mem[i];

		weight[node] = 1 + i % 3;
		EXPECT_EQ(0, file_read_long(weight_file(node), &self->old_weight[node]));
		EXPECT_EQ(0, file_write_long(weight_file(node), weight[node]));
	}
}

FIXTURE_TEARDOWN_PARENT(fuzz)
{
	numa_balancing_restore(self->balancing);
	thp_restore(self->thp);
	/* in a process that has not found the nodes */
	for (int node = 0; node < NR_NODES; node++)
		if (self->old_weight[node])
			file_write_long(weight_file(node), self->old_weight[node]);
	/* where firmware has told no bandwidths the kernel refuses; nothing depends on it */
	if (self->weights_auto)
		file_write(WEIGHTS "auto", "true");
}

TEST_F_TIMEOUT(fuzz, model, 600)
{
	run();
	EXPECT_STREQ("", w->failure) {
		TH_LOG("seed %lu, the last calls:", variant->seed);
		for (int i = 1; i <= NR_CALLS; i++)
			if (w->call[(w->step + i) % NR_CALLS][0])
				TH_LOG("%s", w->call[(w->step + i) % NR_CALLS]);
	}
}

/* A variable of the environment, @value if it is not set */
static unsigned long variable(const char *name, unsigned long value)
{
	const char *text = getenv(name);
	char *end;

	if (!text)
		return value;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (!isdigit(*text) || *end || errno || !value)
		ksft_exit_fail_msg("%s=%s: not a positive number\n", name, text);
	return value;
}

int main(int argc, char **argv)
{
	FIXTURE_VARIANT(fuzz) *seed;
	struct __fixture_variant_metadata *variant;

	first_seed = variable("NUMA_FUZZ_SEED", first_seed);
	nr_seeds = variable("NUMA_FUZZ_SEEDS", getenv("NUMA_FUZZ_SEED") ? 1 : nr_seeds);
	nr_steps = variable("NUMA_FUZZ_STEPS", nr_steps);

	seed = calloc(nr_seeds, sizeof(*seed));
	variant = calloc(nr_seeds, sizeof(*variant));
	if (!seed || !variant)
		ksft_exit_fail_msg("NUMA_FUZZ_SEEDS=%lu: out of memory\n", nr_seeds);
	for (unsigned long i = 0; i < nr_seeds; i++) {
		char name[32];

		seed[i].seed = first_seed + i;
		sprintf(name, "seed_%lu", first_seed + i);
		variant[i].name = strdup(name);
		variant[i].data = &seed[i];
		__register_fixture_variant(&_fuzz_fixture_object, &variant[i]);
	}
	return test_harness_run(argc, argv);
}
