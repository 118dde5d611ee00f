// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a policy, and of pages, when cpuset.mems of their task changes.
 *
 * The kernel keeps two things apart: the nodes that a policy is in effect for,
 * which numa_maps shows and allocation obeys, and, with MPOL_F_STATIC_NODES or
 * MPOL_F_RELATIVE_NODES, the nodemask as the user gave it. The first follows the
 * cpuset as Documentation/admin-guide/mm/numa_memory_policy.rst has it, and struct
 * model below says it again in the plainest way. The second is what every rebind
 * starts from and what get_mempolicy() reports, and no rebind may change it.
 *
 * Pages move, or stay, as Documentation/admin-guide/cgroup-v1/cpusets.rst has it
 * for cpuset.memory_migrate, which v2 always has on.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#define MAX_NODES	8	/* the first ones of the machine are used */
#define AREA_PAGES	4
#define DEADLINE_MS	5000

/*
 * The plain model
 */
struct model {
	int mode, flags;
	struct nodemask user;		/* as given to the system call */
	struct nodemask nodes;		/* in effect */
	struct nodemask mems;		/* what the cpuset allows */
};

/* Beyond all node numbers here, so that the plain loops need not go to NUMA_MAX_NODES */
static int nr_ids = MAX_NODES;
static bool balancing_alone;		/* MPOL_F_NUMA_BALANCING is no flag of nodemasks */

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

/* @user's bits are numbers of nodes of @mems, wrapping around */
static struct nodemask relative(const struct nodemask *user, const struct nodemask *mems)
{
	struct nodemask m = { };

	for (int i = 0; i < nr_ids; i++)
		if (nodemask_isset(user, i))
			nodemask_set(&m, nth(mems, i));
	return m;
}

/* Each node gives way to the one with its number in the new set */
static struct nodemask remap(const struct nodemask *nodes, const struct nodemask *old,
			     const struct nodemask *new)
{
	struct nodemask m = { };

	for (int i = 0; i < nr_ids; i++)
		if (nodemask_isset(nodes, i))
			nodemask_set(&m, nth(new, ordinal(old, i)));
	return m;
}

static bool has_nodes(int mode)
{
	return mode != MPOL_DEFAULT && mode != MPOL_LOCAL;
}

/* A new policy. Without nodes in effect it cannot be installed. */
static struct model model_new(int mode, int flags, const struct nodemask *user,
			      const struct nodemask *mems)
{
	struct model p = { .mode = mode, .flags = flags, .user = *user, .mems = *mems };

	if (!has_nodes(mode))
		return p;
	p.nodes = flags & MPOL_F_RELATIVE_NODES ? relative(user, mems) : intersection(user, mems);
	if (mode == MPOL_PREFERRED && weight(&p.nodes))
		p.nodes = NODEMASK(nth(&p.nodes, 0));
	return p;
}

/* The cpuset allows other nodes */
static void model_rebind(struct model *p, const struct nodemask *mems)
{
	switch (p->mode) {
	case MPOL_BIND:
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		if (p->flags & MPOL_F_STATIC_NODES)
			p->nodes = intersection(&p->user, mems);
		else if (p->flags & MPOL_F_RELATIVE_NODES)
			p->nodes = relative(&p->user, mems);
		else
			p->nodes = remap(&p->nodes, &p->mems, mems);
		/* not the default policy: all that is allowed */
		if (!weight(&p->nodes))
			p->nodes = *mems;
		break;
	default:
		/* preferred nodes stay preferred, allowed or not */
		break;
	}
	p->mems = *mems;
}

/* Where a page on @node goes when @from becomes @to */
static int model_move(int node, const struct nodemask *from, const struct nodemask *to)
{
	if (!nodemask_isset(from, node))
		return node;
	/* there is no relative placement to keep, so what may stay does */
	if (weight(from) != weight(to) && nodemask_isset(to, node))
		return node;
	return nth(to, ordinal(from, node));
}

/* nodemask_str() has one buffer, so the masks are compared as masks */
#define EXPECT_MASK(expected, seen, what) do {				\
	const struct nodemask e_ = (expected), s_ = (seen);		\
									\
	EXPECT_TRUE(nodemask_equal(&e_, &s_)) {				\
		TH_LOG("%s:", (what));					\
		TH_LOG("    expected nodes %s", nodemask_str(&e_));	\
		TH_LOG("    seen     nodes %s", nodemask_str(&s_));	\
	}								\
} while (0)

/*
 * The cpusets: one directory P of our own, in it a and b, in either hierarchy. A
 * test's process is in a, unless it says otherwise.
 */
enum how {
	WRITE,		/* the cpuset of the task is changed */
	ATTACH,		/* the task goes to another cpuset */
	PARENT,		/* P is changed, and a has whatever P has: v2 only */
	THREADS,	/* as WRITE; but the process is in P, for threads to go to a */
};

struct way {
	bool v1;
	bool migrate;	/* cpuset.memory_migrate: v2 has no file for it, and it is on */
	enum how how;
};

struct env {
	int nr, node[MAX_NODES];	/* the first nodes with memory */
	struct way way;
	struct cpuset p, child[2];
	int in;				/* number of the child that the task is in */
	bool taken;			/* v1 has the controller because we wanted it */
	long balancing;
	struct nodemask mems;		/* allowed now */
};

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

/* "thread-self", as the main thread may have ended */
static const char *cg_path(const struct cpuset *cs, const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d/%s/%s", cs->root, cs->name, file);
	return path;
}

static int write_mems(const struct cpuset *cs, const struct nodemask *mems)
{
	return file_write(cg_path(cs, "cpuset.mems"), nodemask_str(mems));
}

static int rmdir_wait(const struct cpuset *cs, long deadline)
{
	int ret;

	/* a task that has been waited for may still be on its way out */
	while ((ret = rmdir(cg_path(cs, ""))) && errno == EBUSY && now_ms() < deadline)
		nap();
	return ret && errno != ENOENT ? -1 : 0;
}

/* By a process that is in none of them, and has not made them */
static int env_remove(struct env *e)
{
	long deadline = now_ms() + DEADLINE_MS;
	int ret = 0;

	numa_balancing_restore(e->balancing);
	e->p.root = cgroup_mount(e->way.v1);
	for (int i = 0; i < 2; i++) {
		e->child[i].root = e->p.root;
		ret |= rmdir_wait(&e->child[i], deadline);
	}
	ret |= cpuset_remove(&e->p);
	if (e->taken)
		ret |= cgroup1_return_cpuset();
	return ret;
}

static int env_fill(struct env *e)
{
	bool threads = e->way.how == THREADS;
	char cpus[4096];

	if (e->way.v1 && (file_read(cg_path(&e->p, "cpuset.cpus"), cpus, sizeof(cpus)) ||
			  write_mems(&e->p, &e->mems)))
		return -1;
	if (!e->way.v1 && file_write(cg_path(&e->p, "cgroup.subtree_control"), "+cpuset"))
		return -1;
	for (int i = 0; i < 2; i++) {
		struct cpuset *c = &e->child[i];

		if (mkdir(cg_path(c, ""), 0755))
			return -1;
		if (e->way.v1 && (file_write(cg_path(c, "cpuset.cpus"), cpus) ||
				  write_mems(c, &e->mems) ||
				  file_write(cg_path(c, "cpuset.memory_migrate"),
					     e->way.migrate ? "1" : "0")))
			return -1;
		if (!e->way.v1 && threads && file_write(cg_path(c, "cgroup.type"), "threaded"))
			return -1;
	}
	return cpuset_enter(threads ? &e->p : &e->child[0]);
}

/* ENODEV: there is no such hierarchy. A failure leaves nothing behind. */
static int env_make(struct env *e)
{
	int v1 = -1, err;

	if (e->way.v1)
		v1 = cgroup1_take_cpuset(&e->taken);
	err = cpuset_create(&e->p);
	if (v1 >= 0)
		close(v1);
	if (err)
		return -1;
	if (e->p.v1 != e->way.v1) {
		cpuset_remove(&e->p);
		errno = ENODEV;
		return -1;
	}
	for (int i = 0; i < 2; i++) {
		e->child[i] = e->p;
		strcat(e->child[i].name, i ? "/b" : "/a");
	}
	e->balancing = numa_balancing_off();
	if (!env_fill(e))
		return 0;
	err = errno;
	env_remove(e);
	errno = err;
	return -1;
}

static void env_setup(struct __test_metadata *_metadata, struct env *e, const struct way *way)
{
	struct numa_nodes nodes;

	NEED_ROOT();
	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	e->way = *way;
	e->nr = nodes.nr_mem < MAX_NODES ? nodes.nr_mem : MAX_NODES;
	for (int i = 0; i < nodes.nr_mem; i++) {
		nodemask_set(&e->mems, nodes.mem[i]);
		if (i < e->nr)
			e->node[i] = nodes.mem[i];
		if (nodes.mem[i] >= nr_ids)
			nr_ids = nodes.mem[i] + 1;
	}
	balancing_alone = !balancing_keeps_nodemask(&nodes);
	if (!env_make(e))
		return;
	if (errno == ENODEV)
		SKIP(return, "needs cpuset");
	ASSERT_EQ(0, errno);
}

static void env_teardown(struct __test_metadata *_metadata, struct env *e)
{
	EXPECT_EQ(0, env_remove(e));
}

#define ENV_FIXTURE(name)						\
	FIXTURE(name) { struct env env; };				\
	FIXTURE_SETUP(name) { env_setup(_metadata, &self->env, &variant->way); } \
	FIXTURE_TEARDOWN_PARENT(name) { env_teardown(_metadata, &self->env); }

/* A fixture whose variants have nothing but a way */
#define WAY_FIXTURE(name)						\
	FIXTURE_VARIANT(name) { struct way way; };			\
	ENV_FIXTURE(name)

/* The nodes of @env whose bit is set in @bits */
static struct nodemask pick(const struct env *e, unsigned int bits)
{
	struct nodemask m = { };

	for (int i = 0; i < e->nr; i++)
		if (bits >> i & 1)
			nodemask_set(&m, e->node[i]);
	return m;
}

/* The same as a nodemask for a system call: numbers if they are to be relative */
static struct nodemask user_mask(const struct env *e, int mode, int flags, unsigned int bits)
{
	struct nodemask m = { };

	if (!has_nodes(mode))
		return m;
	if (!(flags & MPOL_F_RELATIVE_NODES))
		return pick(e, bits);
	for (int i = 0; i < MAX_NODES; i++)
		if (bits >> i & 1)
			nodemask_set(&m, i);
	return m;
}

/* From now on other nodes are allowed, and the task sees it at once */
static void set_mems(struct __test_metadata *_metadata, struct env *e, unsigned int bits)
{
	struct nodemask seen;

	e->mems = pick(e, bits);
	if (e->way.how == ATTACH) {
		e->in = !e->in;
		ASSERT_EQ(0, write_mems(&e->child[e->in], &e->mems));
		ASSERT_EQ(0, file_write(cg_path(&e->child[e->in], "cgroup.procs"), "0"));
	} else {
		ASSERT_EQ(0, write_mems(e->way.how == PARENT ? &e->p : &e->child[e->in],
					&e->mems));
	}
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &seen, NULL, MPOL_F_MEMS_ALLOWED));
	ASSERT_TRUE(nodemask_equal(&e->mems, &seen));
}

/*
 * A policy under test, and an area that is subject to it: the area's policy, that
 * of an object (a shared mapping), or that of a thread which touches the area.
 */
struct subject {
	struct model p;
	enum { VMA, SHARED, TASK } kind;
	char *area;
	int node[AREA_PAGES];	/* where the pages have been */
	/* seen by the main thread, or by the thread whose policy it is */
	long err;
	int mode;
	struct nodemask reported, mems;
	char in_effect[64];
	/* TASK only */
	pid_t tid;
	bool busy;		/* makes and frees pages all the time */
	long corrupt;		/* pages with the wrong content */
	sem_t go, done;
};

/* For messages */
static const char *subject_name(const struct subject *s)
{
	static const char * const kind[] = { [VMA] = "vma", [SHARED] = "shared", [TASK] = "task" };
	static char name[256];
	int n;

	n = snprintf(name, sizeof(name), "%s %s flags %x", kind[s->kind],
		     mpol_mode_name(s->p.mode), s->p.flags);
	n += snprintf(name + n, sizeof(name) - n, " user %s", nodemask_str(&s->p.user));
	snprintf(name + n, sizeof(name) - n, " mems %s", nodemask_str(&s->p.mems));
	return name;
}

/* Small pages between pages without access: never merged with another area */
static char *map_area(bool shared)
{
	size_t page = page_size(), len = AREA_PAGES * page;
	char *p = mmap(NULL, len + 2 * page, PROT_NONE,
		       (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + page, len, PROT_READ | PROT_WRITE))
		return MAP_FAILED;
	madvise(p + page, len, MADV_NOHUGEPAGE);
	return p + page;
}

static void touch(char *area)
{
	for (int i = 0; i < AREA_PAGES; i++)
		*(volatile char *)(area + i * page_size()) = i + 1;
}

static int nr_corrupt(const char *area)
{
	int n = 0;

	for (int i = 0; i < AREA_PAGES; i++)
		n += *(volatile char *)(area + i * page_size()) != i + 1;
	return n;
}

static int untouch(char *area, bool shared)
{
	return madvise(area, AREA_PAGES * page_size(), shared ? MADV_REMOVE : MADV_DONTNEED);
}

/* Nodes of the pages of an area, or negative errnos */
static long where(char *area, int *node)
{
	void *pages[AREA_PAGES];

	for (int i = 0; i < AREA_PAGES; i++)
		pages[i] = area + i * page_size();
	return sys_move_pages(0, AREA_PAGES, pages, NULL, node, 0);
}

static long subject_install(struct subject *s)
{
	int mode = s->p.mode | s->p.flags;

	return s->kind == TASK ? sys_set_mempolicy(mode, &s->p.user) :
	       sys_mbind(s->area, AREA_PAGES * page_size(), mode, &s->p.user, 0);
}

/*
 * numa_maps shows the policy of a thread at each VMA that has none of its own: of the
 * program, which is the first. As little as possible is read, for the time it takes.
 */
static long task_in_effect(char *buf, size_t size)
{
	struct numa_maps nm;
	char line[96], *end;
	ssize_t n;
	int fd;

	fd = open("/proc/thread-self/numa_maps", O_RDONLY | O_CLOEXEC);
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	end = strstr(line, " file=");
	if (!end)
		return -1;
	*end = '\0';
	if (numa_maps_parse(line, &nm))
		return -1;
	snprintf(buf, size, "%.*s", (int)size - 1, nm.policy);
	return 0;
}

static void subject_look(struct subject *s)
{
	touch(s->area);
	s->err = sys_get_mempolicy(&s->mode, &s->reported, s->kind == TASK ? NULL : s->area,
				   s->kind == TASK ? 0 : MPOL_F_ADDR) |
		 sys_get_mempolicy(NULL, &s->mems, NULL, MPOL_F_MEMS_ALLOWED);
	if (s->kind == TASK)
		s->err |= task_in_effect(s->in_effect, sizeof(s->in_effect));
}

/* Ends with the process */
static void *subject_thread(void *arg)
{
	struct subject *s = arg;

	s->tid = syscall(SYS_gettid);
	s->err = subject_install(s);
	for (;;) {
		sem_post(&s->done);
		while (s->busy ? sem_trywait(&s->go) : sem_wait(&s->go)) {
			touch(s->area);
			sched_yield();
			s->corrupt += nr_corrupt(s->area);
			untouch(s->area, false);
		}
		subject_look(s);
	}
	return NULL;
}

static void subject_new(struct __test_metadata *_metadata, struct subject *s, struct env *e,
			int kind, int mode, int flags, unsigned int bits)
{
	struct nodemask user = user_mask(e, mode, flags, bits);
	pthread_t thread;

	s->p = model_new(mode, flags, &user, &e->mems);
	s->kind = kind;
	s->area = map_area(kind == SHARED);
	ASSERT_NE(MAP_FAILED, s->area);
	if (kind == TASK) {
		sem_init(&s->go, 0, 0);
		sem_init(&s->done, 0, 0);
		ASSERT_EQ(0, pthread_create(&thread, NULL, subject_thread, s));
		sem_wait(&s->done);
	} else {
		s->err = subject_install(s);
	}
	ASSERT_EQ(0, s->err) {
		TH_LOG("%s", subject_name(s));
	}
}

static void expect_reported(struct __test_metadata *_metadata, const struct subject *s)
{
	bool of_user = s->p.flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	ASSERT_EQ(0, s->err);
	EXPECT_EQ(s->p.mode | s->p.flags, s->mode) {
		TH_LOG("%s", subject_name(s));
	}
	EXPECT_MASK(s->p.mems, s->mems, subject_name(s));
	/* the user's preferred nodes: that is what keeps_user_nodemask is about */
	if (of_user && (s->p.mode == MPOL_PREFERRED || s->p.mode == MPOL_PREFERRED_MANY))
		return;
	EXPECT_MASK(of_user ? s->p.user : s->p.nodes, s->reported, subject_name(s));
}

static void expect_in_effect(struct __test_metadata *_metadata, const struct subject *s,
			     const struct numa_maps *nm)
{
	static const char * const flags[] = {
		"", "=static", "=relative", "=balancing", "=static|balancing", "=relative|balancing"
	};
	char want[64];

	snprintf(want, sizeof(want), "%s%s%s%s", mpol_mode_name(s->p.mode),
		 flags[(s->p.flags & MPOL_F_STATIC_NODES ? 1 :
			s->p.flags & MPOL_F_RELATIVE_NODES ? 2 : 0) +
		       (s->p.flags & MPOL_F_NUMA_BALANCING ? 3 : 0)],
		 weight(&s->p.nodes) ? ":" : "", nodemask_str(&s->p.nodes));
	EXPECT_STREQ(want, s->kind == TASK ? s->in_effect : nm->policy) {
		TH_LOG("%s", subject_name(s));
	}
}

/*
 * New pages come from the nodes in effect as far as the cpuset allows them, and if it
 * allows none of them, from those that it does allow. Interleaving takes one node
 * after the other; in a shared object that may be one that is not allowed, for which
 * another stands in.
 */
static void expect_placement(struct __test_metadata *_metadata, const struct subject *s,
			     const struct numa_maps *nm)
{
	struct nodemask ok = intersection(&s->p.nodes, &s->p.mems);
	unsigned long count[NUMA_MAX_NODES] = { };
	int node[AREA_PAGES];

	if (!weight(&ok) || (s->kind == SHARED && (s->p.mode == MPOL_INTERLEAVE ||
						   s->p.mode == MPOL_WEIGHTED_INTERLEAVE)))
		ok = s->p.mems;
	ASSERT_EQ(0, where(s->area, node));
	for (int i = 0; i < AREA_PAGES; i++) {
		ASSERT_LE(0, node[i]);
		count[node[i]]++;
		EXPECT_TRUE(nodemask_isset(&ok, node[i])) {
			TH_LOG("%s: page %d on node %d", subject_name(s), i, node[i]);
		}
		if (i && s->p.mode == MPOL_INTERLEAVE && s->kind != SHARED) {
			EXPECT_EQ(nth(&ok, ordinal(&ok, node[i - 1]) + 1), node[i]) {
				TH_LOG("%s", subject_name(s));
			}
		}
	}
	EXPECT_EQ(0, memcmp(count, nm->node, sizeof(count)));
}

/* Make pages anew, and compare all subjects with their models */
static void check(struct __test_metadata *_metadata, struct subject *subjects, int nr)
{
	struct subject *end = subjects + nr;
	static struct numa_maps nm;
	char line[4096];
	int found = 0;
	FILE *f;

	for (struct subject *s = subjects; s < end; s++)
		if (s->kind == TASK)
			sem_post(&s->go);
		else
			subject_look(s);
	for (struct subject *s = subjects; s < end; s++) {
		if (s->kind == TASK)
			sem_wait(&s->done);
		expect_reported(_metadata, s);
		EXPECT_EQ(0, s->corrupt);
	}

	/* once for all subjects: most of the time goes into reading it */
	f = fopen("/proc/thread-self/numa_maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		char *start = (char *)strtoul(line, NULL, 16);

		for (struct subject *s = subjects; s < end; s++) {
			if (s->area != start)
				continue;
			found++;
			ASSERT_EQ(0, numa_maps_parse(line, &nm));
			expect_in_effect(_metadata, s, &nm);
			if (!s->busy)
				expect_placement(_metadata, s, &nm);
		}
	}
	fclose(f);
	ASSERT_EQ(nr, found);
}

/* Change cpuset.mems; the pages of before move or stay, and new ones are right */
static void step(struct __test_metadata *_metadata, struct env *e, struct subject *subjects,
		 int nr, unsigned int bits)
{
	struct nodemask old = e->mems;
	struct subject *end = subjects + nr;
	int node[AREA_PAGES], wrong;

	for (struct subject *s = subjects; s < end; s++)
		ASSERT_EQ(0, where(s->area, s->node));
	set_mems(_metadata, e, bits);
	for (struct subject *s = subjects; s < end; s++) {
		if (s->kind == SHARED)
			s->p.mems = e->mems;
		else
			model_rebind(&s->p, &e->mems);
		if (s->busy)
			continue;
		ASSERT_EQ(0, where(s->area, node));
		wrong = 0;
		for (int i = 0; i < AREA_PAGES; i++)
			wrong += node[i] != (e->way.migrate ?
					     model_move(s->node[i], &old, &e->mems) : s->node[i]);
		EXPECT_EQ(0, wrong) {
			TH_LOG("%s: page 0 was on node %d and is on node %d", subject_name(s),
			       s->node[0], node[0]);
		}
		EXPECT_EQ(0, nr_corrupt(s->area));
		ASSERT_EQ(0, untouch(s->area, s->kind == SHARED));
	}
	check(_metadata, subjects, nr);
}

/* All policies there are */
#define for_each_policy(mode, flags)					\
	for (int mode = MPOL_DEFAULT; mode <= MPOL_WEIGHTED_INTERLEAVE; mode++)	\
		for (int i_ = 0, flags = 0; flags = flags_of(mode, i_), flags >= 0; i_++)

static int flags_of(int mode, int i)
{
	static const int flags[] = {
		0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES,
		MPOL_F_STATIC_NODES | MPOL_F_NUMA_BALANCING,
		MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING, MPOL_F_NUMA_BALANCING,
	};
	int nr = !has_nodes(mode) ? 1 :
		 mode != MPOL_BIND && mode != MPOL_PREFERRED_MANY ? 3 : balancing_alone ? 6 : 5;

	return i < nr ? flags[i] : -1;
}

/*
 * Policies are made where FIRST is allowed, for USER. Then comes one step after the
 * other, for any number of nodes from 2: never without a node.
 */
#define FIRST	0x77
#define USER	0x26

static const unsigned int steps[] = {
	0xaa,	/* less, and others */
	0x55,	/* none in common with the last */
	0x66,	/* as many, shifted */
	0x11,	/* one of four */
	0xff,	/* all */
	0x33,	/* half */
	FIRST,
};

/*
 * The nodemask that the user gave.
 */
FIXTURE_VARIANT(rebind)
{
	int mode, flags;
	bool vma;	/* policy of a VMA, or of the task */
	struct way way;
};

#define REBIND_VARIANT(name, mode_, flags_, vma_)			\
	FIXTURE_VARIANT_ADD(rebind, name)				\
	{ .mode = (mode_), .flags = (flags_), .vma = (vma_), .way.migrate = true }
#define REBIND_VARIANTS(name, mode_)					\
	REBIND_VARIANT(name##_static_task, mode_, MPOL_F_STATIC_NODES, false);	\
	REBIND_VARIANT(name##_static_vma, mode_, MPOL_F_STATIC_NODES, true);	\
	REBIND_VARIANT(name##_relative_task, mode_, MPOL_F_RELATIVE_NODES, false); \
	REBIND_VARIANT(name##_relative_vma, mode_, MPOL_F_RELATIVE_NODES, true)

ENV_FIXTURE(rebind);
REBIND_VARIANTS(preferred, MPOL_PREFERRED);
REBIND_VARIANTS(preferred_many, MPOL_PREFERRED_MANY);
REBIND_VARIANTS(bind, MPOL_BIND);
REBIND_VARIANTS(interleave, MPOL_INTERLEAVE);
REBIND_VARIANTS(weighted_interleave, MPOL_WEIGHTED_INTERLEAVE);

/*
 * get_mempolicy() reports the nodemask that the user gave (do_get_mempolicy():
 * w.user_nodemask), whatever cpuset.mems has been since.
 *
 *	cpuset.mems	{0,1}	{0}	{0,1}
 *	reported	 {1}	{1}	 {1}
 */
TEST_F(rebind, keeps_user_nodemask)
{
	static const unsigned int mems[] = { 0x3, 0x1, 0x3 };
	int mode = variant->mode | variant->flags, seen_mode;
	char *area = map_area(false);
	struct nodemask user, seen;

	ASSERT_NE(MAP_FAILED, area);
	user = user_mask(&self->env, variant->mode, variant->flags, 0x2);
	set_mems(_metadata, &self->env, mems[0]);
	ASSERT_EQ(0, variant->vma ? sys_mbind(area, page_size(), mode, &user, 0) :
				    sys_set_mempolicy(mode, &user));
	for (size_t i = 0; i < ARRAY_SIZE(mems); i++) {
		set_mems(_metadata, &self->env, mems[i]);
		ASSERT_EQ(0, sys_get_mempolicy(&seen_mode, &seen, variant->vma ? area : NULL,
					       variant->vma ? MPOL_F_ADDR : 0));
		EXPECT_EQ(mode, seen_mode);
		EXPECT_MASK(user, seen, "reported");
	}
}

/*
 * The nodes in effect, the pages that are there and those that come, with every
 * policy there is and through one set of nodes after the other.
 */
FIXTURE_VARIANT(follow)
{
	struct way way;
	int nr_steps;
};

ENV_FIXTURE(follow);

/* One way takes all steps, the others the two where most happens */
FIXTURE_VARIANT_ADD(follow, v2)
{ .way = { .migrate = true }, .nr_steps = ARRAY_SIZE(steps) };
FIXTURE_VARIANT_ADD(follow, v2_attach)
{ .way = { .migrate = true, .how = ATTACH }, .nr_steps = 2 };
FIXTURE_VARIANT_ADD(follow, v2_parent)
{ .way = { .migrate = true, .how = PARENT }, .nr_steps = 2 };
FIXTURE_VARIANT_ADD(follow, v1)
{ .way = { .v1 = true }, .nr_steps = 2 };
FIXTURE_VARIANT_ADD(follow, v1_attach)
{ .way = { .v1 = true, .how = ATTACH }, .nr_steps = 2 };
FIXTURE_VARIANT_ADD(follow, v1_migrate)
{ .way = { .v1 = true, .migrate = true }, .nr_steps = 2 };
FIXTURE_VARIANT_ADD(follow, v1_migrate_attach)
{ .way = { .v1 = true, .migrate = true, .how = ATTACH }, .nr_steps = 2 };

static void follow(struct __test_metadata *_metadata, struct env *e, int kind, int nr_steps)
{
	static struct subject s[32];
	int nr = 0;

	set_mems(_metadata, e, FIRST);
	for_each_policy(mode, flags)
		subject_new(_metadata, &s[nr++], e, kind, mode, flags, USER);
	check(_metadata, s, nr);
	for (int i = 0; i < nr_steps; i++)
		step(_metadata, e, s, nr, steps[i]);
}

TEST_F(follow, vma_policies)
{
	follow(_metadata, &self->env, VMA, variant->nr_steps);
}

/* Each is the policy of a thread, and all threads follow */
TEST_F(follow, task_policies)
{
	follow(_metadata, &self->env, TASK, variant->nr_steps);
}

/*
 * "A shared policy is not rebound when the cpuset of a task that uses it changes": it
 * belongs to the object. The cpuset restricts the pages all the same.
 */
WAY_FIXTURE(shared);
FIXTURE_VARIANT_ADD(shared, v2) { .way = { .migrate = true } };
FIXTURE_VARIANT_ADD(shared, v1_attach) { .way = { .v1 = true, .how = ATTACH } };

TEST_F(shared, stays_in_cpuset)
{
	follow(_metadata, &self->env, SHARED, ARRAY_SIZE(steps));
}

/*
 * Threads that make and free pages all the time lose none, and none of them hangs.
 */
WAY_FIXTURE(busy);
FIXTURE_VARIANT_ADD(busy, v2_attach) { .way = { .migrate = true, .how = ATTACH } };
FIXTURE_VARIANT_ADD(busy, v1_migrate) { .way = { .v1 = true, .migrate = true } };

TEST_F(busy, threads)
{
	static struct subject s[MPOL_WEIGHTED_INTERLEAVE + 1];

	set_mems(_metadata, &self->env, FIRST);
	for (int mode = MPOL_DEFAULT; mode < (int)ARRAY_SIZE(s); mode++) {
		s[mode].busy = true;
		subject_new(_metadata, &s[mode], &self->env, TASK, mode,
			    has_nodes(mode) ? MPOL_F_RELATIVE_NODES : 0, USER);
	}
	for (int i = 0; i < 3; i++)
		step(_metadata, &self->env, s, ARRAY_SIZE(s), steps[i]);
}

/*
 * The examples of numa_memory_policy.rst and of cpusets.rst, as numbers.
 */
WAY_FIXTURE(documented);
FIXTURE_VARIANT_ADD(documented, v2) { .way.migrate = true };

#define BITS(from, to)	((1U << ((to) + 1)) - (1U << (from)))

TEST_F(documented, examples)
{
	static const struct {
		int flags;
		unsigned int mems, user;
		struct {
			unsigned int mems, nodes;
		} then[2];
	} example[] = {
		/* "the Interleave will now occur over nodes 3, 4, and 5" */
		{ 0, BITS(1, 3), BITS(1, 3), { { BITS(3, 5), BITS(3, 5) } } },
		/* "only occurs over that node" */
		{ MPOL_F_STATIC_NODES, BITS(1, 3), BITS(1, 3), { { BITS(3, 5), BITS(3, 3) } } },
		/* "over nodes 3,5-7 ... then the interleave occurs over nodes 0,2-3,5" */
		{ MPOL_F_RELATIVE_NODES, BITS(2, 5), BITS(2, 5),
		  { { BITS(3, 7), 1 << 3 | BITS(5, 7) },
		    { 1 << 0 | BITS(2, 3) | 1 << 5, 1 << 0 | BITS(2, 3) | 1 << 5 } } },
	};
	struct env *e = &self->env;

	if (e->nr < 8)
		SKIP(return, "needs memory_nodes=8");
	for (size_t i = 0; i < ARRAY_SIZE(example); i++) {
		struct subject s;

		set_mems(_metadata, e, example[i].mems);
		subject_new(_metadata, &s, e, VMA, MPOL_INTERLEAVE, example[i].flags,
			    example[i].user);
		for (int t = 0; t < 2 && example[i].then[t].mems; t++) {
			struct numa_maps nm;

			set_mems(_metadata, e, example[i].then[t].mems);
			s.p.nodes = pick(e, example[i].then[t].nodes);
			s.p.mems = e->mems;
			subject_look(&s);
			expect_reported(_metadata, &s);
			ASSERT_EQ(0, numa_maps_get(s.area, &nm));
			expect_in_effect(_metadata, &s, &nm);
			expect_placement(_metadata, &s, &nm);
			ASSERT_EQ(0, untouch(s.area, false));
		}
	}
}

/*
 * What the cpuset leaves no node of is "considered invalid and cannot be installed",
 * and the policy that was there stays.
 */
TEST_F(documented, invalid_outside)
{
	struct nodemask user, inside;
	struct env *e = &self->env;
	struct subject s, t;

	set_mems(_metadata, e, 0x1);
	subject_new(_metadata, &s, e, VMA, MPOL_BIND, 0, 0x1);
	subject_new(_metadata, &t, e, VMA, MPOL_DEFAULT, 0, 0);
	inside = pick(e, 0x1);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &inside));
	for_each_policy(mode, flags) {
		bool valid = !has_nodes(mode) || flags & MPOL_F_RELATIVE_NODES;

		user = user_mask(e, mode, flags, 0x2);
		EXPECT_EQ(valid ? 0 : -1, sys_mbind(t.area, page_size(), mode | flags, &user, 0));
		if (valid)
			continue;
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, sys_mbind(s.area, page_size(), mode | flags, &user, 0));
		EXPECT_EQ(-1, sys_set_mempolicy(mode | flags, &user));
		EXPECT_EQ(EINVAL, errno);
	}
	subject_look(&s);
	expect_reported(_metadata, &s);
	ASSERT_EQ(0, sys_get_mempolicy(&s.mode, &s.reported, NULL, 0));
	EXPECT_EQ(MPOL_BIND, s.mode);
	EXPECT_MASK(inside, s.reported, "task");
}

/*
 * v2: a cpuset without nodes of its own, or no cpuset any more, has the parent's.
 */
TEST_F(documented, parents_nodes)
{
	struct env *e = &self->env;
	struct nodemask both = pick(e, 0x3), seen;
	struct cpuset *p = &e->p;

	ASSERT_EQ(0, write_mems(p, &both));
	for (int i = 0; i < 2; i++) {
		struct subject s;

		set_mems(_metadata, e, 0x1);
		subject_new(_metadata, &s, e, VMA, MPOL_INTERLEAVE, MPOL_F_STATIC_NODES, 0x3);
		ASSERT_EQ(0, i ? file_write(cg_path(p, "cgroup.subtree_control"), "-cpuset") :
				 file_write(cg_path(&e->child[0], "cpuset.mems"), "\n"));
		ASSERT_EQ(0, sys_get_mempolicy(NULL, &seen, NULL, MPOL_F_MEMS_ALLOWED));
		EXPECT_MASK(both, seen, "allowed");
		model_rebind(&s.p, &both);
		check(_metadata, &s, 1);
	}
	/* and with a cpuset again, which has no nodes of its own yet */
	ASSERT_EQ(0, file_write(cg_path(p, "cgroup.subtree_control"), "+cpuset"));
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &seen, NULL, MPOL_F_MEMS_ALLOWED));
	EXPECT_MASK(both, seen, "allowed");
	set_mems(_metadata, e, 0x2);
}

/*
 * A thread in a cpuset of its own has the nodes of that; the process's memory follows
 * the thread group leader (cgroup-v2.rst, cpuset.mems).
 */
WAY_FIXTURE(one_thread);
FIXTURE_VARIANT_ADD(one_thread, v2) { .way = { .migrate = true, .how = THREADS } };
FIXTURE_VARIANT_ADD(one_thread, v1) { .way = { .v1 = true, .how = THREADS } };

TEST_F(one_thread, has_its_own_nodes)
{
	struct env *e = &self->env;
	struct cpuset *a = &e->child[0];
	const char *tasks = e->way.v1 ? "tasks" : "cgroup.threads";
	struct nodemask first = pick(e, 0x1), second = pick(e, 0x2);
	static struct subject s[2];
	char tid[16];

	subject_new(_metadata, &s[0], e, VMA, MPOL_INTERLEAVE, 0, 0x3);
	subject_new(_metadata, &s[1], e, TASK, MPOL_BIND, MPOL_F_STATIC_NODES, 0x3);
	ASSERT_EQ(0, write_mems(a, &second));
	snprintf(tid, sizeof(tid), "%d", s[1].tid);
	ASSERT_EQ(0, file_write(cg_path(a, tasks), tid));
	model_rebind(&s[1].p, &second);
	check(_metadata, s, 2);

	ASSERT_EQ(0, write_mems(a, &first));
	model_rebind(&s[1].p, &first);
	ASSERT_EQ(0, untouch(s[1].area, false));
	check(_metadata, s, 2);

	/* and the other way round: in v1 the children must be within the parent */
	ASSERT_EQ(0, write_mems(&e->child[1], &first));
	ASSERT_EQ(0, write_mems(&e->p, &first));
	model_rebind(&s[0].p, &first);
	ASSERT_EQ(0, untouch(s[0].area, false));
	check(_metadata, s, 2);
}

/*
 * A child made in another cpuset has the nodes of that, and its parent keeps its own.
 */
WAY_FIXTURE(clone_into);
FIXTURE_VARIANT_ADD(clone_into, v2) { .way.migrate = true };

static struct clone_args clone_args(int cgroup, unsigned long flags)
{
	return (struct clone_args) {
		.flags = flags | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup,
	};
}

TEST_F(clone_into, forked_child)
{
	struct env *e = &self->env;
	struct nodemask second = pick(e, 0x2);
	struct clone_args args;
	static struct subject s[32];
	int nr = 0, status, fd;
	pid_t pid;

	set_mems(_metadata, e, 0x1);
	ASSERT_EQ(0, write_mems(&e->child[1], &second));
	for_each_policy(mode, flags)
		subject_new(_metadata, &s[nr++], e, VMA, mode, flags, 0x3);
	fd = open(cg_path(&e->child[1], ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	args = clone_args(fd, 0);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	ASSERT_LE(0, pid);
	if (!pid) {
		for (int i = 0; i < nr; i++)
			model_rebind(&s[i].p, &second);
		check(_metadata, s, nr);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	check(_metadata, s, nr);
}

/*
 * A process whose main thread has ended is a process all the same.
 */
WAY_FIXTURE(leader_exited);
FIXTURE_VARIANT_ADD(leader_exited, v2) { .way.migrate = true };
FIXTURE_VARIANT_ADD(leader_exited, v2_attach) { .way = { .migrate = true, .how = ATTACH } };
FIXTURE_VARIANT_ADD(leader_exited, v1_migrate) { .way = { .v1 = true, .migrate = true } };
FIXTURE_VARIANT_ADD(leader_exited, v1_migrate_attach)
{ .way = { .v1 = true, .migrate = true, .how = ATTACH } };

struct survivor {
	struct env *env;
	struct subject *subjects;
	int nr;
	struct __test_metadata *metadata;
};

static void *survivor(void *arg)
{
	struct survivor *v = arg;
	struct __test_metadata *_metadata = v->metadata;
	long deadline = now_ms() + DEADLINE_MS;
	char stat[256];

	/* of the main thread: "pid (comm) state" */
	do {
		ASSERT_EQ(0, file_read("/proc/self/stat", stat, sizeof(stat)));
		ASSERT_LT(now_ms(), deadline);
		nap();
	} while (!strstr(stat, ") Z "));
	check(_metadata, v->subjects, v->nr);
	step(_metadata, v->env, v->subjects, v->nr, 0x2);
	_exit(0);
}

TEST_F(leader_exited, others_follow)
{
	static struct subject s[2];
	struct survivor v = { &self->env, s, ARRAY_SIZE(s), _metadata };
	pthread_t thread;

	set_mems(_metadata, &self->env, 0x1);
	subject_new(_metadata, &s[0], &self->env, VMA, MPOL_BIND, 0, 0x3);
	subject_new(_metadata, &s[1], &self->env, VMA, MPOL_INTERLEAVE, MPOL_F_STATIC_NODES, 0x3);
	IN_CHILD({
		ASSERT_EQ(0, pthread_create(&thread, NULL, survivor, &v));
		syscall(SYS_exit, 0);
	});
}

/*
 * get_mempolicy(MPOL_F_NODE) tells the next node of a policy that interleaves, which
 * is one of its nodes.
 */
#define WEIGHTS	"/sys/kernel/mm/mempolicy/weighted_interleave/"

FIXTURE(next_node)
{
	struct env env;
	long weight[2];
	char was_auto[16];
};

FIXTURE_VARIANT(next_node)
{
	struct way way;
	int mode;
};

FIXTURE_VARIANT_ADD(next_node, interleave) { .way.migrate = true, .mode = MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(next_node, weighted_interleave)
{ .way.migrate = true, .mode = MPOL_WEIGHTED_INTERLEAVE };

static const char *weight_path(const struct env *e, int i)
{
	static char path[sizeof(WEIGHTS) + 16];

	snprintf(path, sizeof(path), WEIGHTS "node%d", e->node[i]);
	return path;
}

FIXTURE_SETUP(next_node)
{
	env_setup(_metadata, &self->env, &variant->way);
}

FIXTURE_TEARDOWN_PARENT(next_node)
{
	for (int i = 0; i < 2; i++)
		if (self->weight[i])
			file_write_long(weight_path(&self->env, i), self->weight[i]);
	if (!strcmp(self->was_auto, "true"))
		file_write(WEIGHTS "auto", "true");
	env_teardown(_metadata, &self->env);
}

TEST_F(next_node, is_a_node_of_the_policy)
{
	struct nodemask user = pick(&self->env, 0x3);
	int fd, node;
	char c = 1;

	file_read(WEIGHTS "auto", self->was_auto, sizeof(self->was_auto));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, file_read_long(weight_path(&self->env, i), &self->weight[i]));
		ASSERT_EQ(0, file_write_long(weight_path(&self->env, i), 200));
	}
	set_mems(_metadata, &self->env, 0x3);
	ASSERT_EQ(0, sys_set_mempolicy(variant->mode, &user));
	/* a page of a file comes from the next node, and begins its share */
	fd = file_in_new_fs("ramfs", NULL, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, write(fd, &c, 1));
	for (int i = 1; i >= 0; i--) {
		set_mems(_metadata, &self->env, 1 << i);
		ASSERT_EQ(0, sys_get_mempolicy(&node, NULL, NULL, MPOL_F_NODE));
		EXPECT_EQ(self->env.node[i], node);
	}
}

/*
 * A shared policy that is set again after a change takes effect, whatever the change
 * has made of what the VMA remembers.
 */
WAY_FIXTURE(shared_again);
FIXTURE_VARIANT_ADD(shared_again, v2) { .way.migrate = true };

TEST_F(shared_again, takes_effect)
{
	struct env *e = &self->env;
	int node[AREA_PAGES];
	struct subject s;

	set_mems(_metadata, e, 0x3);
	subject_new(_metadata, &s, e, SHARED, MPOL_BIND, 0, 0x1);
	set_mems(_metadata, e, 0x2);
	s.p.user = pick(e, 0x2);
	ASSERT_EQ(0, subject_install(&s));
	set_mems(_metadata, e, 0x3);
	subject_look(&s);
	EXPECT_MASK(s.p.user, s.reported, "reported");
	ASSERT_EQ(0, where(s.area, node));
	for (int i = 0; i < AREA_PAGES; i++)
		EXPECT_EQ(e->node[1], node[i]);
}

/*
 * v1: "If the per-cpuset boolean flag file 'cpuset.memory_spread_page' is set, then
 * the kernel will spread the file system buffers (page cache) evenly over all the
 * nodes", which the flag makes independent of the policy of the task.
 */
WAY_FIXTURE(spread_page);
FIXTURE_VARIANT_ADD(spread_page, v1) { .way.v1 = true };
FIXTURE_VARIANT_ADD(spread_page, v1_attach) { .way = { .v1 = true, .how = ATTACH } };

TEST_F(spread_page, evenly)
{
	static const struct {
		unsigned int mems;
		bool spread;
	} state[] = { { 0x77, true }, { 0xff, true }, { 0x33, true }, { 0x33, false } };
	size_t size = 2 * MAX_NODES * page_size();
	unsigned long count[NUMA_MAX_NODES];
	struct env *e = &self->env;
	struct nodemask bind;
	long long buf[4096];
	char *p;
	int fd;

	memset(buf, 1, sizeof(buf));
	set_mems(_metadata, e, 0xff);
	bind = pick(e, 0x1);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND | MPOL_F_STATIC_NODES, &bind));
	for (size_t i = 0; i < ARRAY_SIZE(state); i++) {
		set_mems(_metadata, e, state[i].mems);
		ASSERT_EQ(0, file_write(cg_path(&e->child[e->in], "cpuset.memory_spread_page"),
					state[i].spread ? "1" : "0"));
		fd = file_in_new_fs("ramfs", NULL, NULL);
		ASSERT_LE(0, fd);
		for (size_t n = 0; n < size; n += sizeof(buf))
			ASSERT_EQ(sizeof(buf), write(fd, buf, sizeof(buf)));
		p = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		close(fd);
		ASSERT_EQ(size / page_size(), page_nodes(p, size, page_size(), count));
		for (int n = 0; n < e->nr; n++) {
			const struct nodemask *from = state[i].spread ? &e->mems : &bind;
			long some = nodemask_isset(from, e->node[n]) * size / page_size();

			/* the rest of an uneven division may be anywhere */
			EXPECT_LE(some / weight(from), count[e->node[n]]);
			EXPECT_GE((some + weight(from) - 1) / weight(from), count[e->node[n]]);
		}
		ASSERT_EQ(0, munmap(p, size));
	}
}

TEST_HARNESS_MAIN
