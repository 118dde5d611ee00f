// SPDX-License-Identifier: GPL-2.0
/*
 * The mount option mpol= of tmpfs: what is accepted, what is shown, what a
 * remount does, and what it means for files.
 *
 *	mpol=<mode>[=<flag>[|<flag>]][:<nodes>]		filesystems/tmpfs.rst
 *
 * The policy is a default for files: each one that is created takes a copy of it
 * (mpol_shared_policy_init()) and knows nothing of the mount afterwards.
 *
 * There are two ways to give the option. fsconfig() takes it as a string of its
 * own; mount(2) takes all options as one, separated by commas, and a comma is part
 * of the list of nodes if a digit follows (shmem_next_opt()).
 *
 * There is one way to see it: the options in /proc/self/mountinfo and mounts,
 * where fields are separated by spaces. A filesystem may have a space in what it
 * shows, as two of the modes do, if it writes \040 (proc_pid_mountinfo(5)). The
 * fixture shown is about that and about nothing else. All other tests take what
 * stands between ",mpol=" and the end of the line, which is right in either case:
 * nothing that is used here is shown after it.
 *
 * The fixture parser is about words of which the parser should know more than it
 * did: names without a space, and balancing. Those are all that it uses, and they
 * are used nowhere else, except where they have to be refused.
 *
 * The program has a mount namespace of its own, and with it go all mounts.
 */
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <linux/mount.h>
#include <sys/mount.h>

#include "numa_util.h"
#include "kselftest_harness.h"

/* Where the tests mount, in a /tmp that they alone see */
#define DIR	"/tmp/one"
#define DIR2	"/tmp/two"

#define MOUNTINFO	"/proc/self/mountinfo"
#define MOUNTS		"/proc/self/mounts"
/* Fields of a line of mountinfo (there are no optional ones) and of mounts */
enum { MI_DIR = 4, MI_DASH = 6, MI_TYPE, MI_SOURCE, MI_OPTIONS, MI_FIELDS };
enum { M_SOURCE, M_DIR, M_TYPE, M_OPTIONS, M_FREQ, M_PASSNO, M_FIELDS };

/* Ways to write nodes after a mode */
enum form {
	NONE,		/* nothing, no colon either */
	EMPTY,		/* ":" */
	ONE,		/* the last node with memory */
	RANGE,		/* the first two, "0-1"; there may be others in between */
	LIST,		/* the first and the last, "0,3" */
	ALL,
	NR_FORMS
};

enum api { FSCONFIG, MOUNT };

struct text {
	char s[256];
};

/* The harness keeps pointers to strings for longer than what is returned lives */
#define EXPECT_TEXT(expected, seen) do {				\
	const struct text seen_ = (seen);				\
									\
	EXPECT_STREQ((expected), seen_.s);				\
} while (0)

static struct text __attribute__((format(printf, 1, 2))) text(const char *fmt, ...)
{
	struct text t;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t.s, sizeof(t), fmt, ap);
	va_end(ap);
	return t;
}

/* The same for all tests, see prepare() */
static struct env {
	struct numa_nodes nodes;
	int last;			/* node with memory */
	struct text given[NR_FORMS];	/* ":0,1" */
	struct text shown[NR_FORMS];	/* ":0-1" */
	struct nodemask mask[NR_FORMS];
	bool range;			/* RANGE has no other nodes in between */
	size_t len;			/* of files, a multiple of the nodes of all forms */
	int error;			/* errno if it could not be prepared */
} env;

static int prepare(void)
{
	struct numa_nodes *n = &env.nodes;
	struct nodemask all = { };

	if (numa_nodes_get(n))
		return -1;
	if (n->nr_mem < 2)
		return 0;
	env.last = n->mem[n->nr_mem - 1];
	env.range = n->mem[1] == n->mem[0] + 1;
	env.len = 2 * n->nr_mem * page_size();

	for (int i = 0; i < n->nr_mem; i++)
		nodemask_set(&all, n->mem[i]);
	env.given[EMPTY] = text(":");
	env.given[ONE] = text(":%d", env.last);
	env.given[RANGE] = text(":%d-%d", n->mem[0], n->mem[1]);
	env.given[LIST] = text(":%d,%d", n->mem[0], env.last);
	env.given[ALL] = text(":%s", nodemask_str(&all));
	for (int form = ONE; form < NR_FORMS; form++) {
		if (nodemask_parse(env.given[form].s + 1, &env.mask[form]))
			return -1;
		env.shown[form] = text(":%s", nodemask_str(&env.mask[form]));
	}

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/tmp", "tmpfs", 0, NULL))
		return -1;
	return mkdir(DIR, 0700) || mkdir(DIR2, 0700) ? -1 : 0;
}

static void setup(struct __test_metadata *_metadata)
{
	NEED_ROOT();
	ASSERT_EQ(0, env.error);
	NEED_MEMORY_NODES(&env.nodes, 2);
	/* left by the test before */
	while (!umount2(DIR, MNT_DETACH) || !umount2(DIR2, MNT_DETACH))
		;
}

/* A policy as one writes it, and as it is shown */
static struct text given(const char *name, enum form form)
{
	return text("%s%s", name, env.given[form].s);
}

static struct text shown(const char *name, enum form form)
{
	return text("%s%s", name, env.shown[form].s);
}

static int set_option(int ctx, const char *key, const char *value)
{
	return value ? syscall(SYS_fsconfig, ctx, FSCONFIG_SET_STRING, key, value, 0) : 0;
}

/*
 * Mount a tmpfs at @dir, or remount the one that is there; NULL: without that
 * option. Returns 0 or the errno of what was refused.
 */
static int tmpfs(enum api api, bool remount, const char *dir, const char *size, const char *mpol)
{
	int ctx, mnt, err = 0;
	char data[1024];

	if (api == MOUNT) {
		snprintf(data, sizeof(data), "%s%s%s%s%s", size ? "size=" : "", size ?: "",
			 size && mpol ? "," : "", mpol ? "mpol=" : "", mpol ?: "");
		return mount("none", dir, "tmpfs", remount ? MS_REMOUNT : 0, data) ? errno : 0;
	}

	ctx = remount ? syscall(SYS_fspick, AT_FDCWD, dir, FSPICK_CLOEXEC) :
			syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (ctx < 0)
		return errno;
	if (set_option(ctx, "size", size) || set_option(ctx, "mpol", mpol) ||
	    syscall(SYS_fsconfig, ctx, remount ? FSCONFIG_CMD_RECONFIGURE : FSCONFIG_CMD_CREATE,
		    NULL, NULL, 0)) {
		err = errno;
	} else if (!remount) {
		mnt = syscall(SYS_fsmount, ctx, FSMOUNT_CLOEXEC, 0);
		if (mnt < 0 || syscall(SYS_move_mount, mnt, "", AT_FDCWD, dir,
				       MOVE_MOUNT_F_EMPTY_PATH))
			err = errno;
		if (mnt >= 0)
			close(mnt);
	}
	close(ctx);
	return err;
}

static int tmpfs_mount(const char *dir, const char *mpol)
{
	return tmpfs(FSCONFIG, false, dir, NULL, mpol);
}

/* Split at every single space; the number of fields, of which @max are kept */
static int split(char *line, char **fields, int max)
{
	int n = 0;

	for (char *tok; (tok = strsep(&line, " ")); n++)
		if (n < max)
			fields[n] = tok;
	for (int i = n; i < max; i++)
		fields[i] = "";
	return n;
}

/* The line of @file for the mount at @dir, without the newline; NULL if there is none */
static char *mount_line(const char *file, const char *dir)
{
	static char buf[1 << 18];
	char *p;

	if (file_read(file, buf, sizeof(buf)))
		return NULL;
	/* no space is escaped before it, and none of the options can look like it */
	p = strstr(buf, text(" %s ", dir).s);
	if (!p)
		return NULL;
	p[strcspn(p, "\n")] = '\0';
	while (p > buf && p[-1] != '\n')
		p--;
	return p;
}

/* "\040" to " ", and the like */
static struct text unescape(const char *s)
{
	struct text t;
	size_t n = 0;

	while (*s && n < sizeof(t) - 1) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			t.s[n++] = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 4;
		} else {
			t.s[n++] = *s++;
		}
	}
	t.s[n] = '\0';
	return t;
}

/* What is to be escaped in a policy: there are no other blanks in one */
static struct text escape(const char *s)
{
	struct text t = { };

	for (size_t n = 0; *s && n < sizeof(t) - 5; s++)
		n += snprintf(t.s + n, sizeof(t) - n, *s == ' ' ? "\\040" : "%c", *s);
	return t;
}

/* The value of mpol= where it is the last of @options, else "" */
static const char *mpol_of(const char *options)
{
	const char *p = strstr(options, ",mpol=");

	return p ? p + strlen(",mpol=") : "";
}

/* The policy that the mount at @dir shows, "" if none */
static struct text mount_mpol(const char *dir)
{
	char *line = mount_line(MOUNTINFO, dir);

	return line ? unescape(mpol_of(line)) : text("not mounted");
}

/* Is this the size= that the mount shows? */
static bool mount_size(const char *dir, const char *size)
{
	char *line = mount_line(MOUNTINFO, dir), *p = line ? strstr(line, ",size=") : NULL;

	return p && !strncmp(p + strlen(",size="), size, strlen(size)) &&
	       strchr(",", p[strlen(",size=") + strlen(size)]);
}

/* Create or open @path in full length, and map it with small pages */
static char *map_file(const char *path)
{
	char *p = MAP_FAILED;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return p;
	if (!ftruncate(fd, env.len))
		p = mmap(NULL, env.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		madvise(p, env.len, MADV_NOHUGEPAGE);
	return p;
}

/* What get_mempolicy() says about @map, in the words of mpol_to_str() */
static struct text file_mpol(void *map)
{
	struct nodemask nodes, none = { };
	int mode, flags;

	if (sys_get_mempolicy(&mode, &nodes, map, MPOL_F_ADDR))
		return text("no answer");
	flags = mode & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING);
	return text("%s%s%s%s%s%s%s%s", mpol_mode_name(mode & ~flags),
		    flags ? "=" : "",
		    flags & MPOL_F_STATIC_NODES ? "static" : "",
		    flags & MPOL_F_RELATIVE_NODES ? "relative" : "",
		    flags & MPOL_F_NUMA_BALANCING && flags != MPOL_F_NUMA_BALANCING ? "|" : "",
		    flags & MPOL_F_NUMA_BALANCING ? "balancing" : "",
		    nodemask_equal(&nodes, &none) ? "" : ":", nodemask_str(&nodes));
}

/*
 * The nodes that a policy for the nodes of @form is in effect for here, where all
 * are allowed: the same, or with =relative those that have these numbers.
 */
static struct nodemask in_effect(const char *name, enum form form)
{
	const struct nodemask *user = &env.mask[form];
	struct nodemask m = { };

	if (!strstr(name, "=relative"))
		return *user;
	for (int i = 0; i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(user, i))
			nodemask_set(&m, env.nodes.mem[i % env.nodes.nr_mem]);
	return m;
}

/*
 * numa_maps shows @policy for @map. All pages, once they are touched, are on
 * @nodes, and with @evenly each node has as many as the others; move_pages() and
 * numa_maps agree.
 */
static void expect_placement(struct __test_metadata *_metadata, char *map, const char *policy,
			     const struct nodemask *nodes, bool evenly)
{
	static unsigned long count[NUMA_MAX_NODES];
	long pages = env.len / page_size(), inside = 0;
	static struct numa_maps nm;
	int weight = 0;

	for (size_t off = 0; off < env.len; off += page_size())
		map[off] = 1;
	ASSERT_EQ(pages, page_nodes(map, env.len, page_size(), count));
	ASSERT_EQ(0, numa_maps_get(map, &nm));
	EXPECT_EQ(0, memcmp(count, nm.node, sizeof(count)));
	EXPECT_STREQ(policy, nm.policy);
	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		if (!nodemask_isset(nodes, i))
			continue;
		inside += count[i];
		weight++;
	}
	EXPECT_EQ(pages, inside);
	for (int i = 0; evenly && i < NUMA_MAX_NODES; i++)
		if (nodemask_isset(nodes, i))
			EXPECT_EQ(pages / weight, count[i]);
}

/*
 * What is accepted.
 */
FIXTURE(parsed)
{
};

FIXTURE_SETUP(parsed)
{
	setup(_metadata);
}

FIXTURE_TEARDOWN(parsed)
{
}

/*
 * Mount with @mpol, and say what came of it: the policy that is shown, or "EINVAL"
 * if that was the answer and nothing is mounted. Nothing is left mounted.
 */
static struct text outcome(enum api api, const char *mpol)
{
	int err = tmpfs(api, false, DIR, NULL, mpol);
	struct text seen = err ? text("%s", "") : mount_mpol(DIR);
	bool mounted = !umount2(DIR, MNT_DETACH);

	if (!err)
		return seen;
	return text("%s%s", err == EINVAL ? "EINVAL" : "another error",
		    mounted ? ", but mounted" : "");
}

static void expect_outcome(struct __test_metadata *_metadata, enum api api, const char *want,
			   const char *mpol)
{
	struct text seen = outcome(api, mpol);

	EXPECT_STREQ(want, seen.s) {
		TH_LOG("given: mpol=%s", mpol);
	}
}

/* Every mode with every flag and every way to write nodes */
TEST_F(parsed, every_mode)
{
	enum { NO = '-', NOTHING = '.', LOCAL = 'l', EVERY = 'a', SAME = '=' };
	static const struct {
		const char *name;
		/* per form: refused, nothing is shown, "local", all nodes, or as given */
		char want[NR_FORMS + 1];
	} table[] = {
		/*				 NONE
		 *				 |EMPTY
		 *				 ||ONE
		 *				 |||RANGE
		 *				 ||||LIST
		 *				 |||||ALL
		 */
		{ "default",			".-----" },
		{ "local",			"l-----" },
		{ "local=static",		"------" },
		{ "local=relative",		"------" },
		{ "prefer",			"l-=---" },
		{ "prefer=static",		"--=---" },
		{ "prefer=relative",		"--=---" },
		{ "bind",			"--====" },
		{ "bind=static",		"--====" },
		{ "bind=relative",		"--====" },
		{ "interleave",			"a-====" },
		{ "interleave=static",		"a-====" },
		{ "interleave=relative",	"a-====" },
		{ "weighted interleave",	"a-====" },
		{ "weighted interleave=static",	"a-====" },
		{ "weighted interleave=relative", "a-====" },
		{ "prefer (many)",		"--====" },
		{ "prefer (many)=static",	"--====" },
		{ "prefer (many)=relative",	"--====" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *name = table[i].name;

		for (int form = 0; form < NR_FORMS; form++) {
			struct text mpol = given(name, form), want = text("EINVAL");

			switch (table[i].want[form]) {
			case NOTHING:
				want = text("%s", "");
				break;
			case LOCAL:
				want = text("local");
				break;
			case EVERY:
				want = shown(name, ALL);
				break;
			case SAME:
				/* a node without memory is refused wherever it stands */
				if (form != RANGE || env.range)
					want = shown(name, form);
				break;
			}
			expect_outcome(_metadata, FSCONFIG, want.s, mpol.s);
		}
	}
}

/* Names that are nearly one are none: nothing is matched by its beginning */
TEST_F(parsed, unknown_mode)
{
	static const char * const names[] = {
		"", " ", "0", "Bind", "BIND", "bin", "bind ", " bind", "binding", "preferred",
		"prefer ", "prefer many", "prefer(many)", "prefer  (many)", "weighted",
		"weighted  interleave", "interleaved", "balancing", "static",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		expect_outcome(_metadata, FSCONFIG, "EINVAL", names[i]);
		expect_outcome(_metadata, FSCONFIG, "EINVAL", given(names[i], ONE).s);
	}
}

/* Modes that take nodes and flags */
static const char * const modes[] = {
	"prefer", "bind", "interleave", "weighted interleave", "prefer (many)",
};

TEST_F(parsed, unknown_flag)
{
	static const char * const flags[] = {
		"=", "=stat", "=statically", "=Static", "= static", "=static ", "=dynamic", "=1",
		"=|", "=static|", "=|static", "=static|dynamic", "=dynamic|static",
		"=static=relative",
	};

	for (size_t mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			struct text name = text("%s%s", modes[mode], flags[i]);

			expect_outcome(_metadata, FSCONFIG, "EINVAL", given(name.s, ONE).s);
		}
	}
}

/*
 * Flags that exclude each other, and balancing where set_mempolicy() and mbind()
 * refuse it as well: sanitize_mpol_flags().
 */
TEST_F(parsed, wrong_combination)
{
	static const char * const flags[] = {
		"=static|relative", "=relative|static", "=static|relative|balancing",
		"=balancing|relative|static",
	};
	static const char * const balancing[] = {
		"prefer=balancing", "prefer=static|balancing", "prefer=relative|balancing",
		"interleave=balancing", "interleave=static|balancing",
		"interleave=relative|balancing", "weighted interleave=balancing",
		"weighted interleave=static|balancing", "weighted interleave=relative|balancing",
		"local=balancing",
	};

	for (size_t mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			struct text name = text("%s%s", modes[mode], flags[i]);

			expect_outcome(_metadata, FSCONFIG, "EINVAL", given(name.s, ONE).s);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(balancing); i++) {
		expect_outcome(_metadata, FSCONFIG, "EINVAL", balancing[i]);
		expect_outcome(_metadata, FSCONFIG, "EINVAL", given(balancing[i], ONE).s);
	}
}

/* Nodes that have no memory, alone and with others that do; and what is no list */
TEST_F(parsed, wrong_nodes)
{
	const struct numa_nodes *n = &env.nodes;
	int a = n->mem[0], b = n->mem[1], last = env.last, nr = 11;
	struct text lists[12] = {
		text("%d", last + 1), text("%d-%d", last, last + 1), text("%d,%d", a, last + 1),
		/* beyond what any kernel has */
		text("1000000"),
		text("x"), text("-"), text("%d-%d", b, a), text("%d-", a), text("-%d", a),
		text("%d:%d", a, a), text("%dx", a),
	};

	/* a hole in the numbers */
	for (int i = 1; i < n->nr_mem && nr < ARRAY_SIZE(lists); i++)
		if (n->mem[i] != n->mem[i - 1] + 1)
			lists[nr++] = text("%d", n->mem[i - 1] + 1);

	for (size_t mode = 0; mode < ARRAY_SIZE(modes); mode++)
		for (int i = 0; i < nr; i++)
			expect_outcome(_metadata, FSCONFIG, "EINVAL",
				       text("%s:%s", modes[mode], lists[i].s).s);
}

/*
 * All options in one string: a comma before a digit does not end mpol=, any other
 * does, whatever stands before and after it.
 */
FIXTURE(one_string)
{
};

FIXTURE_SETUP(one_string)
{
	setup(_metadata);
}

FIXTURE_TEARDOWN(one_string)
{
}

TEST_F(one_string, commas)
{
	static const struct {
		const char *before, *name, *after;
	} around[] = {
		{ "size=1m,",		"bind=static",		"" },
		{ "",			"interleave",		",size=1m" },
		{ "nr_inodes=99,",	"prefer (many)",	",size=1m" },
		/* of the same option the last one counts */
		{ "size=1m,mpol=local,", "weighted interleave=static", "" },
		{ "mpol=interleave,size=1m,", "bind",		",mode=0700" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
		struct text data = text("%smpol=%s%s", around[i].before,
					given(around[i].name, LIST).s, around[i].after);
		struct text want = shown(around[i].name, LIST);

		ASSERT_EQ(0, mount("none", DIR, "tmpfs", 0, data.s)) {
			TH_LOG("options: %s", data.s);
		}
		EXPECT_TEXT(want.s, mount_mpol(DIR));
		EXPECT_TRUE(mount_size(DIR, "1024k"));
		ASSERT_EQ(0, umount2(DIR, MNT_DETACH));
	}
	/* also if the last one is that there is no policy */
	ASSERT_EQ(0, mount("none", DIR, "tmpfs", 0, "mpol=local,mpol=default"));
	EXPECT_TEXT("", mount_mpol(DIR));
}

/* mount(2) fails for the same reasons; the kernel logs each, so there are few here */
TEST_F(one_string, refused)
{
	expect_outcome(_metadata, MOUNT, "EINVAL", "bind");
	expect_outcome(_metadata, MOUNT, "EINVAL", "local,mpol=none");
	expect_outcome(_metadata, MOUNT, "EINVAL", given("interleave=dynamic", LIST).s);
	expect_outcome(_metadata, MOUNT, "EINVAL", given("bind=static|relative", LIST).s);
	expect_outcome(_metadata, MOUNT, "EINVAL", given("prefer=balancing", ONE).s);
	expect_outcome(_metadata, MOUNT, "EINVAL", text("bind:%d,%d", env.last, env.last + 1).s);
}

/*
 * The line of a mount has the number of fields that it should have, and mpol= in
 * the one with the options: spaces are escaped. Nothing else is, though a list of
 * nodes has commas: they have never been escaped, and neither has '='.
 */
FIXTURE(shown)
{
	struct text want, raw;
};

FIXTURE_VARIANT(shown)
{
	const char *name;
	enum form form;
};

/* Each mode without a flag and with each one, for nodes written in different ways */
#define SHOWN_VARIANTS(variant, mode, form0, form1, form2)		\
	FIXTURE_VARIANT_ADD(shown, variant)				\
	{ .name = (mode), .form = (form0) };				\
	FIXTURE_VARIANT_ADD(shown, variant##_static)			\
	{ .name = mode "=static", .form = (form1) };			\
	FIXTURE_VARIANT_ADD(shown, variant##_relative)			\
	{ .name = mode "=relative", .form = (form2) }

FIXTURE_VARIANT_ADD(shown, local) { .name = "local", .form = NONE };
SHOWN_VARIANTS(prefer, "prefer", ONE, ONE, ONE);
SHOWN_VARIANTS(bind, "bind", ALL, LIST, ONE);
SHOWN_VARIANTS(interleave, "interleave", ALL, LIST, ONE);
SHOWN_VARIANTS(weighted_interleave, "weighted interleave", ALL, LIST, ONE);
SHOWN_VARIANTS(prefer_many, "prefer (many)", ALL, LIST, ONE);

FIXTURE_SETUP(shown)
{
	setup(_metadata);
	if (_metadata->exit_code)
		return;
	self->want = shown(variant->name, variant->form);
	self->raw = escape(self->want.s);
	ASSERT_EQ(0, tmpfs_mount(DIR, given(variant->name, variant->form).s));
}

FIXTURE_TEARDOWN(shown)
{
}

TEST_F(shown, splits_into_fields)
{
	char *line, *fields[MI_FIELDS];
	struct mntent *m;
	FILE *f;

	line = mount_line(MOUNTINFO, DIR);
	ASSERT_NE(NULL, line);
	EXPECT_EQ(MI_FIELDS, split(line, fields, MI_FIELDS));
	EXPECT_STREQ("-", fields[MI_DASH]);
	EXPECT_STREQ("tmpfs", fields[MI_TYPE]);
	EXPECT_STREQ("none", fields[MI_SOURCE]);
	EXPECT_STREQ(self->raw.s, mpol_of(fields[MI_OPTIONS]));
	EXPECT_TEXT(self->want.s, unescape(mpol_of(fields[MI_OPTIONS])));

	line = mount_line(MOUNTS, DIR);
	ASSERT_NE(NULL, line);
	EXPECT_EQ(M_FIELDS, split(line, fields, M_FIELDS));
	EXPECT_STREQ("none", fields[M_SOURCE]);
	EXPECT_STREQ("tmpfs", fields[M_TYPE]);
	EXPECT_STREQ(self->raw.s, mpol_of(fields[M_OPTIONS]));
	EXPECT_TEXT(self->want.s, unescape(mpol_of(fields[M_OPTIONS])));
	EXPECT_STREQ("0", fields[M_FREQ]);
	EXPECT_STREQ("0", fields[M_PASSNO]);

	/* what programs use, and it unescapes */
	f = setmntent(MOUNTS, "re");
	ASSERT_NE(NULL, f);
	while ((m = getmntent(f)) && strcmp(m->mnt_dir, DIR))
		;
	ASSERT_NE(NULL, m);
	EXPECT_STREQ("tmpfs", m->mnt_type);
	EXPECT_STREQ(self->want.s, mpol_of(m->mnt_opts));
	endmntent(f);
}

/*
 * What is shown can be given, and is the same policy: as shown, and for files.
 */
FIXTURE(round_trip)
{
};

FIXTURE_VARIANT(round_trip)
{
	const char *name;
	enum form form;
	bool flags;
};

FIXTURE_VARIANT_ADD(round_trip, local) { "local", NONE };
FIXTURE_VARIANT_ADD(round_trip, prefer) { "prefer", ONE, true };
FIXTURE_VARIANT_ADD(round_trip, bind) { "bind", ALL, true };
FIXTURE_VARIANT_ADD(round_trip, interleave) { "interleave", LIST, true };
FIXTURE_VARIANT_ADD(round_trip, weighted_interleave) { "weighted interleave", LIST, true };
FIXTURE_VARIANT_ADD(round_trip, prefer_many) { "prefer (many)", LIST, true };

FIXTURE_SETUP(round_trip)
{
	setup(_metadata);
}

FIXTURE_TEARDOWN(round_trip)
{
}

/*
 * Mount with @mpol at DIR and see @want; mount with what was seen at DIR2, and see
 * the same; and so do files.
 */
static void expect_round_trip(struct __test_metadata *_metadata, const char *mpol,
			      const char *want)
{
	struct text seen;
	char *map;

	ASSERT_EQ(0, tmpfs(FSCONFIG, false, DIR, NULL, mpol)) {
		TH_LOG("given: mpol=%s", mpol);
	}
	seen = mount_mpol(DIR);
	EXPECT_STREQ(want, seen.s);
	map = map_file(DIR "/file");
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TEXT(want, file_mpol(map));

	ASSERT_EQ(0, tmpfs(MOUNT, false, DIR2, NULL, seen.s));
	EXPECT_TEXT(want, mount_mpol(DIR2));
	map = map_file(DIR2 "/file");
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TEXT(want, file_mpol(map));
	ASSERT_EQ(0, umount2(DIR, MNT_DETACH));
	ASSERT_EQ(0, umount2(DIR2, MNT_DETACH));
}

TEST_F(round_trip, same_policy)
{
	static const char * const flags[] = { "", "=static", "=relative" };

	for (size_t i = 0; i < (variant->flags ? ARRAY_SIZE(flags) : 1); i++) {
		struct text name = text("%s%s", variant->name, flags[i]);

		expect_round_trip(_metadata, given(name.s, variant->form).s,
				  shown(name.s, variant->form).s);
	}
}

/*
 * Names without a space, and balancing with and without another flag: everything
 * that is shown can be given, and everything can be given without a space.
 */
FIXTURE(parser)
{
	struct text given, want;
};

FIXTURE_VARIANT(parser)
{
	const char *name, *shown;
	enum form form;
};

FIXTURE_VARIANT_ADD(parser, weighted_interleave)
{ "weighted_interleave", "weighted interleave", NONE };
FIXTURE_VARIANT_ADD(parser, weighted_interleave_static)
{ "weighted_interleave=static", "weighted interleave=static", LIST };
FIXTURE_VARIANT_ADD(parser, weighted_interleave_relative)
{ "weighted_interleave=relative", "weighted interleave=relative", LIST };
FIXTURE_VARIANT_ADD(parser, prefer_many)
{ "prefer_many", "prefer (many)", ALL };
FIXTURE_VARIANT_ADD(parser, prefer_many_static)
{ "prefer_many=static", "prefer (many)=static", ONE };
FIXTURE_VARIANT_ADD(parser, prefer_many_relative)
{ "prefer_many=relative", "prefer (many)=relative", ONE };
FIXTURE_VARIANT_ADD(parser, prefer_many_balancing)
{ "prefer_many=balancing", "prefer (many)=balancing", LIST };
FIXTURE_VARIANT_ADD(parser, prefer_many_static_balancing)
{ "prefer_many=static|balancing", "prefer (many)=static|balancing", ONE };
FIXTURE_VARIANT_ADD(parser, prefer_many_relative_balancing)
{ "prefer_many=relative|balancing", "prefer (many)=relative|balancing", LIST };
FIXTURE_VARIANT_ADD(parser, prefer_many_with_space_balancing)
{ "prefer (many)=balancing", "prefer (many)=balancing", ONE };
FIXTURE_VARIANT_ADD(parser, bind_balancing)
{ "bind=balancing", "bind=balancing", ONE };
FIXTURE_VARIANT_ADD(parser, bind_static_balancing)
{ "bind=static|balancing", "bind=static|balancing", LIST };
FIXTURE_VARIANT_ADD(parser, bind_relative_balancing)
{ "bind=relative|balancing", "bind=relative|balancing", ONE };

FIXTURE_SETUP(parser)
{
	setup(_metadata);
	if (_metadata->exit_code)
		return;
	self->given = given(variant->name, variant->form);
	self->want = shown(variant->shown, variant->form ?: ALL);
}

FIXTURE_TEARDOWN(parser)
{
}

TEST_F(parser, accepted)
{
	struct nodemask nodes = in_effect(variant->name, variant->form ?: ALL);
	char *line, *map;

	expect_round_trip(_metadata, self->given.s, self->want.s);

	/* also by mount(2), and instead of another one */
	ASSERT_EQ(0, tmpfs(MOUNT, false, DIR, NULL, self->given.s));
	EXPECT_TEXT(self->want.s, mount_mpol(DIR));
	ASSERT_EQ(0, tmpfs_mount(DIR2, "local"));
	ASSERT_EQ(0, tmpfs(MOUNT, true, DIR2, NULL, self->given.s));
	EXPECT_TEXT(self->want.s, mount_mpol(DIR2));

	/* '|' is shown as it is, like all that stands after the mode */
	line = mount_line(MOUNTINFO, DIR2);
	ASSERT_NE(NULL, line);
	EXPECT_NE(NULL, strstr(line, strpbrk(self->want.s, "=:")));

	/* all of it reaches a file: get_mempolicy(), numa_maps and where pages are */
	map = map_file(DIR "/file");
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TEXT(self->want.s, file_mpol(map));
	expect_placement(_metadata, map, text("%s:%s", variant->shown, nodemask_str(&nodes)).s,
			 &nodes, false);
}

/*
 * Flags where they have no place: the default policy has none, and they stand
 * before the nodes. They are not flags there, whatever they say.
 */
FIXTURE(misplaced)
{
};

FIXTURE_SETUP(misplaced)
{
	setup(_metadata);
}

FIXTURE_TEARDOWN(misplaced)
{
}

static const char * const misplaced[] = {
	"=static", "=relative", "=balancing", "=static|balancing", "=garbage", "=",
};

TEST_F(misplaced, default)
{
	for (size_t i = 0; i < ARRAY_SIZE(misplaced); i++) {
		struct text name = text("default%s", misplaced[i]);

		expect_outcome(_metadata, FSCONFIG, "EINVAL", name.s);
		expect_outcome(_metadata, FSCONFIG, "EINVAL", given(name.s, ONE).s);
	}
	expect_outcome(_metadata, MOUNT, "EINVAL", "default=static");
}

TEST_F(misplaced, after_nodes)
{
	for (size_t mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		for (size_t i = 0; i < ARRAY_SIZE(misplaced); i++) {
			for (int form = EMPTY; form < NR_FORMS; form++)
				expect_outcome(_metadata, FSCONFIG, "EINVAL",
					       text("%s%s", given(modes[mode], form).s,
						    misplaced[i]).s);
			/* also after flags where they belong */
			expect_outcome(_metadata, FSCONFIG, "EINVAL",
				       text("%s=static%s%s", modes[mode], env.given[ONE].s,
					    misplaced[i]).s);
		}
	}
	expect_outcome(_metadata, MOUNT, "EINVAL", text("%s=static", given("bind", ONE).s).s);
}

TEST_F(misplaced, remount)
{
	const struct text wrong[] = {
		text("default=static"), text("%s=relative", given("interleave", ONE).s),
	};
	struct text old = shown("bind", ONE);

	ASSERT_EQ(0, tmpfs_mount(DIR, old.s));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (int api = FSCONFIG; api <= MOUNT; api++)
			EXPECT_EQ(EINVAL, tmpfs(api, true, DIR, NULL, wrong[i].s)) {
				TH_LOG("given: mpol=%s", wrong[i].s);
			}
		EXPECT_TEXT(old.s, mount_mpol(DIR));
	}
}

/*
 * A list of nodes is shown whole, however long it is.
 */
FIXTURE(long_list)
{
	struct nodemask nodes;
	struct text want;
};

FIXTURE_VARIANT(long_list)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(long_list, bind) { "bind" };
FIXTURE_VARIANT_ADD(long_list, interleave_static) { "interleave=static" };
FIXTURE_VARIANT_ADD(long_list, prefer_many_relative) { "prefer (many)=relative" };
FIXTURE_VARIANT_ADD(long_list, weighted_interleave) { "weighted interleave" };

FIXTURE_SETUP(long_list)
{
	setup(_metadata);
	if (_metadata->exit_code)
		return;
	NEED_MEMORY_NODES(&env.nodes, 40);
	/* two of three, "0-1,3-4,6-7" and so on: with all it would be short */
	for (int i = 0; i < 40; i++)
		if (i % 3 != 2)
			nodemask_set(&self->nodes, env.nodes.mem[i]);
	self->want = text("%s:%s", variant->name, nodemask_str(&self->nodes));
	/* what a char[64] holds */
	ASSERT_LT(63, strlen(self->want.s));
}

FIXTURE_TEARDOWN(long_list)
{
}

TEST_F(long_list, shown)
{
	struct text line = text("%s 0 0", self->want.s);

	ASSERT_EQ(0, tmpfs_mount(DIR, self->want.s));
	EXPECT_TEXT(self->want.s, mount_mpol(DIR));
	/* the two fields after the options are at the end of the line */
	ASSERT_NE(NULL, mount_line(MOUNTS, DIR));
	EXPECT_TEXT(line.s, unescape(mpol_of(mount_line(MOUNTS, DIR))));
}

TEST_F(long_list, same_policy)
{
	expect_round_trip(_metadata, self->want.s, self->want.s);
}

/*
 * Remount: "Preserve previous mempolicy unless mpol remount option was specified"
 * (shmem_reconfigure()). The mount begins with a policy that binds to one node.
 */
FIXTURE(remount)
{
	struct text old;
};

FIXTURE_VARIANT(remount)
{
	enum api api;
};

FIXTURE_VARIANT_ADD(remount, fsconfig) { .api = FSCONFIG };
FIXTURE_VARIANT_ADD(remount, mount) { .api = MOUNT };

FIXTURE_SETUP(remount)
{
	setup(_metadata);
	if (_metadata->exit_code)
		return;
	self->old = shown("bind", ONE);
	ASSERT_EQ(0, tmpfs(variant->api, false, DIR, "1m", self->old.s));
	EXPECT_TEXT(self->old.s, mount_mpol(DIR));
}

FIXTURE_TEARDOWN(remount)
{
}

TEST_F(remount, another_policy)
{
	static const char * const names[] = {
		"interleave", "prefer (many)=static", "bind=relative", "weighted interleave",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct text want = shown(names[i], LIST);

		ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, given(names[i], LIST).s));
		EXPECT_TEXT(want.s, mount_mpol(DIR));
	}
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, "local"));
	EXPECT_TEXT("local", mount_mpol(DIR));
	EXPECT_TRUE(mount_size(DIR, "1024k"));

	/* "It can be added later, when the tmpfs is already mounted" (tmpfs.rst) */
	ASSERT_EQ(0, tmpfs(variant->api, false, DIR2, NULL, NULL));
	EXPECT_TEXT("", mount_mpol(DIR2));
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR2, NULL, self->old.s));
	EXPECT_TEXT(self->old.s, mount_mpol(DIR2));
}

TEST_F(remount, without_mpol_keeps_it)
{
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, NULL));
	EXPECT_TEXT(self->old.s, mount_mpol(DIR));
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, "2m", NULL));
	EXPECT_TEXT(self->old.s, mount_mpol(DIR));
	EXPECT_TRUE(mount_size(DIR, "2048k"));
}

/*
 * "can be adjusted on the fly via 'mount -o remount ...'" (tmpfs.rst), and the
 * default is a value like any other: no policy is left, for files that come.
 */
TEST_F(remount, to_default)
{
	struct nodemask first = NODEMASK(env.nodes.mem[0]);
	struct text another = shown("interleave", LIST);
	char *old, *new;

	old = map_file(DIR "/old");
	ASSERT_NE(MAP_FAILED, old);
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, "2m", "default"));
	EXPECT_TEXT("", mount_mpol(DIR));
	EXPECT_TRUE(mount_size(DIR, "2048k"));

	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &first));
	EXPECT_TEXT(self->old.s, file_mpol(old));
	expect_placement(_metadata, old, self->old.s, &env.mask[ONE], true);
	new = map_file(DIR "/new");
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_TEXT("default", file_mpol(new));
	expect_placement(_metadata, new, text("bind:%d", env.nodes.mem[0]).s, &first, true);

	/* again, by no option, and to another one */
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, "default"));
	EXPECT_TEXT("", mount_mpol(DIR));
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, NULL));
	EXPECT_TEXT("", mount_mpol(DIR));
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, given("interleave", LIST).s));
	EXPECT_TEXT(another.s, mount_mpol(DIR));
}

/* The mount stays as it is, in everything */
TEST_F(remount, refused_changes_nothing)
{
	const struct text wrong[] = {
		text("bind"), given("bind=dynamic", ONE),
		text("interleave:%d", env.last + 1),
	};
	char *map = map_file(DIR "/file");

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(EINVAL, tmpfs(variant->api, true, DIR, "2m", wrong[i].s)) {
			TH_LOG("given: mpol=%s", wrong[i].s);
		}
		EXPECT_TEXT(self->old.s, mount_mpol(DIR));
		EXPECT_TRUE(mount_size(DIR, "1024k"));
	}

	/* a good one, refused because of another option: less than what is in use */
	ASSERT_NE(MAP_FAILED, map);
	memset(map, 1, env.len);
	EXPECT_EQ(EINVAL, tmpfs(variant->api, true, DIR, "4k", given("interleave", ALL).s));
	EXPECT_EQ(EINVAL, tmpfs(variant->api, true, DIR, "4k", "default"));
	EXPECT_TEXT(self->old.s, mount_mpol(DIR));
	EXPECT_TRUE(mount_size(DIR, "1024k"));
}

/*
 * A file has the policy that the mount had when it was created: files of before a
 * remount keep theirs, also when they are opened anew and get their first pages.
 */
TEST_F(remount, files_keep_theirs)
{
	struct text want = shown("interleave", ALL);
	char *old, *new, *none;

	old = map_file(DIR "/old");
	ASSERT_NE(MAP_FAILED, old);
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR, NULL, given("interleave", ALL).s));
	EXPECT_TEXT(self->old.s, file_mpol(old));
	expect_placement(_metadata, old, self->old.s, &env.mask[ONE], true);
	ASSERT_EQ(0, munmap(old, env.len));
	old = map_file(DIR "/old");
	ASSERT_NE(MAP_FAILED, old);
	EXPECT_TEXT(self->old.s, file_mpol(old));

	new = map_file(DIR "/new");
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_TEXT(want.s, file_mpol(new));
	expect_placement(_metadata, new, want.s, &env.mask[ALL], true);

	/* the same for a file that has none */
	ASSERT_EQ(0, tmpfs(variant->api, false, DIR2, NULL, "default"));
	none = map_file(DIR2 "/file");
	ASSERT_NE(MAP_FAILED, none);
	ASSERT_EQ(0, tmpfs(variant->api, true, DIR2, NULL, self->old.s));
	EXPECT_TEXT("default", file_mpol(none));
}

/*
 * What the policy of the mount does for a file. The task's own policy is to bind
 * to the first node, and counts where the mount has none.
 */
FIXTURE(files)
{
	struct nodemask first;
};

FIXTURE_SETUP(files)
{
	setup(_metadata);
	if (_metadata->exit_code)
		return;
	self->first = NODEMASK(env.nodes.mem[0]);
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &self->first));
}

FIXTURE_TEARDOWN(files)
{
}

/* Each file is in the only tmpfs at DIR */
static char *new_file(struct __test_metadata *_metadata, const char *mpol, const char *want)
{
	char *map;

	while (!umount2(DIR, MNT_DETACH))
		;
	ASSERT_EQ(0, tmpfs_mount(DIR, mpol));
	map = map_file(DIR "/file");
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TEXT(want, file_mpol(map));
	return map;
}

/*
 * The nodes of =relative are counted in those that the task may use, here all;
 * get_mempolicy() reports the numbers as given, numa_maps shows the nodes.
 */
TEST_F(files, placed_by_policy)
{
	static const struct {
		const char *name;
		enum form form;
		bool evenly;
	} policies[] = {
		{ "prefer", ONE },
		{ "bind", ONE },
		{ "bind=static", LIST },
		{ "bind=relative", ONE },
		{ "interleave", LIST, true },
		{ "interleave=static", ALL, true },
		{ "weighted interleave", LIST },
		{ "prefer (many)", ONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		const char *name = policies[i].name;
		struct text want = shown(name, policies[i].form);
		struct nodemask nodes = in_effect(name, policies[i].form);
		char *map = new_file(_metadata, given(name, policies[i].form).s, want.s);

		expect_placement(_metadata, map, text("%s:%s", name, nodemask_str(&nodes)).s,
				 &nodes, policies[i].evenly);
	}
}

/* The node of the CPU, not what the task policy says */
TEST_F(files, local)
{
	char *map = new_file(_metadata, "local", "local");
	int node = numa_node_with_both(&env.nodes, env.nodes.mem[0]);
	struct nodemask local;

	if (node < 0) {
		/* at most the first has CPUs: bind the task elsewhere */
		node = env.nodes.mem[0];
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &env.mask[ONE]));
	}
	/* else local is whatever is nearest */
	if (numa_run_on(&env.nodes, node))
		return;
	local = NODEMASK(node);
	expect_placement(_metadata, map, "local", &local, true);
}

/* The task policy counts */
TEST_F(files, default)
{
	char *map = new_file(_metadata, "default", "default");

	/* numa_maps shows it, as there is no other */
	expect_placement(_metadata, map, text("bind:%d", env.nodes.mem[0]).s, &self->first, true);
}

int main(int argc, char **argv)
{
	/* the tests say what is missing */
	if (!geteuid() && prepare())
		env.error = errno ?: EINVAL;
	return test_harness_run(argc, argv);
}
