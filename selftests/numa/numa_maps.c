// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/PID/numa_maps promises (section "/proc/PID/numa_maps" of
 * Documentation/filesystems/proc.rst, show_numa_map() in fs/proc/task_mmu.c).
 *
 * A line is the start of a mapping, its policy in the words of mpol_to_str(), what
 * the mapping is, and how many of its pages are mapped now, in total and by node:
 *
 *	7f0000000000 bind:0 file=/object dirty=4 active=0 N0=4 kernelpagesize_kB=4
 *
 * Counts are in base pages, also for a THP; in huge pages for hugetlb. Whatever
 * is zero is left out, and so is "mapped" where "anon" or "dirty" says as much,
 * "mapmax" of pages that are mapped once, "active" where it is all of them.
 *
 * "active" depends on the state of the LRU lists, therefore it is looked at apart
 * from the other fields. "swapcache" and "writeback" need a disk and are not covered.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <linux/kernel-page-flags.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#define PART_PAGES	4

/*
 * The text of a line of the file @path, for the mapping that begins at @addr: all
 * after the address, without "active". "none" if there is no such line.
 */
static const char *line_of(const char *path, void *addr)
{
	static char line[4096];
	struct numa_maps nm;
	char *active, *end;
	bool found = false;
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return "no file";
	while (!found && fgets(line, sizeof(line), f))
		found = strtoul(line, &end, 16) == (unsigned long)addr;
	fclose(f);
	if (!found)
		return "none";
	if (numa_maps_parse(line, &nm))
		return "malformed";
	line[strcspn(line, "\n")] = '\0';
	active = strstr(line, " active=");
	if (active) {
		end = active + 1 + strcspn(active + 1, " ");
		memmove(active, end, strlen(end) + 1);
	}
	return strchr(line, ' ') + 1;
}

static const char *self_line(void *addr)
{
	return line_of("/proc/self/numa_maps", addr);
}

static bool shows_active(void *addr)
{
	char line[4096];
	bool shown = false;
	FILE *f;

	f = fopen("/proc/self/numa_maps", "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (strtoul(line, NULL, 16) == (unsigned long)addr)
			shown = strstr(line, " active=");
	fclose(f);
	return shown;
}

/* Run @code in a child; its findings count as the test's */
#define START_CHILD(pid, code) do {					\
	(pid) = fork();							\
	ASSERT_LE(0, (pid));						\
	if (!(pid)) {							\
		prctl(PR_SET_PDEATHSIG, SIGKILL);			\
		code;							\
		_exit(0);						\
	}								\
} while (0)

#define WAIT_CHILD(pid) do {						\
	int status_;							\
									\
	ASSERT_EQ((pid), waitpid((pid), &status_, 0));			\
	ASSERT_EQ(0, status_);						\
} while (0)

/* One byte from one process to another: "I am there" and "go on" */
static bool tell(const int *pipe)
{
	return write(pipe[1], "", 1) == 1;
}

static bool wait_for(const int *pipe)
{
	char c;

	return read(pipe[0], &c, 1) == 1;
}

/* The words of mpol_to_str(), before flags and nodes */
static bool is_policy(const char *text)
{
	static const char * const names[] = {
		"default", "prefer", "bind", "interleave", "local", "prefer (many)",
		"weighted interleave",
	};
	size_t len = strcspn(text, "=:");

	for (int i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && !strncmp(text, names[i], len))
			return true;
	return false;
}

/* The file as it is, NUL-terminated, read in pieces of @chunk bytes; the length */
static ssize_t read_numa_maps(char *buf, size_t size, size_t chunk)
{
	size_t got = 0;
	ssize_t n;
	int fd;

	fd = open("/proc/self/numa_maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	do {
		size_t want = size - 1 - got < chunk ? size - 1 - got : chunk;

		n = want ? read(fd, buf + got, want) : -1;
		if (n > 0)
			got += n;
	} while (n > 0);
	close(fd);
	buf[got] = '\0';
	return n < 0 ? -1 : got;
}

/*
 * Every line has the form that is documented and no field that is not known here,
 * and there is one line for each mapping of maps, in the same order.
 */
TEST(every_line_parses)
{
	unsigned long start, end, last_end = 0;
	char line[4096], maps_line[4096];
	struct numa_maps nm;
	int lines = 0;
	FILE *f, *maps;

	f = fopen("/proc/self/numa_maps", "re");
	ASSERT_NE(NULL, f);
	maps = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, maps);
	/* neither buffer is allocated in between */
	while (fgets(line, sizeof(line), f)) {
		unsigned long pages = 0, nr_nodes = 0;

		ASSERT_NE(NULL, fgets(maps_line, sizeof(maps_line), maps));
		ASSERT_EQ(2, sscanf(maps_line, "%lx-%lx ", &start, &end));
		ASSERT_EQ(0, numa_maps_parse(line, &nm));
		EXPECT_EQ(start, nm.start);
		EXPECT_LE(last_end, nm.start);
		last_end = end;
		EXPECT_TRUE(is_policy(nm.policy));
		EXPECT_FALSE(nm.heap && nm.stack);

		for (int i = 0; i < NUMA_MAX_NODES; i++) {
			pages += nm.node[i];
			nr_nodes += !!nm.node[i];
		}
		EXPECT_EQ(nr_nodes, nm.nr_nodes);
		EXPECT_EQ(!pages, !nm.pagesize_kb);
		EXPECT_GE(pages, nm.anon);
		EXPECT_GE(pages, nm.dirty);
		EXPECT_NE(1, nm.mapmax);
		EXPECT_EQ(!strstr(line, " mapped="), pages == nm.anon || pages == nm.dirty);
		if (nm.mapped)
			EXPECT_EQ(pages, nm.mapped);
		if (strstr(line, " active="))
			EXPECT_GT(pages, nm.active);
		lines++;
	}
	/* a page of the kernel, which belongs to no process */
	while (fgets(maps_line, sizeof(maps_line), maps))
		EXPECT_NE(NULL, strstr(maps_line, "[vsyscall]"));
	EXPECT_LT(4, lines);
	fclose(maps);
	fclose(f);
}

/*
 * The file is the same however small the reads: a read that goes on with the next
 * mapping (m_start() with a position) loses and repeats none.
 */
TEST(small_reads)
{
	static const size_t chunk[] = { 7, 100 };
	static char whole[65536], pieces[65536];

	memset(whole, 1, sizeof(whole));
	memset(pieces, 1, sizeof(pieces));
	for (int i = 0; i < ARRAY_SIZE(chunk); i++) {
		ssize_t len = 0, got = 0;

		/* the first time round reading itself brings in pages */
		for (int tries = 0; tries < 10; tries++) {
			len = read_numa_maps(whole, sizeof(whole), sizeof(whole));
			got = read_numa_maps(pieces, sizeof(pieces), chunk[i]);
			if (len == got && !strcmp(whole, pieces))
				break;
		}
		EXPECT_LT(0, len);
		EXPECT_EQ(len, got);
		EXPECT_STREQ(whole, pieces);
	}
}

/*
 * For every mapping of this process, whatever it is, the counts by node are those
 * of a move_pages() query of its pages.
 */
TEST(every_mapping_agrees)
{
	static unsigned long count[NUMA_MAX_NODES];
	static struct numa_maps nm, again;
	unsigned long start, end;
	char line[4096];
	int compared = 0;
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		void *addr;

		ASSERT_EQ(2, sscanf(line, "%lx-%lx ", &start, &end));
		/* pages of the kernel, which are on no node for numa_maps */
		if (strstr(line, "[v"))
			continue;
		addr = (void *)start;
		/* looking can bring in pages of the program and of the stack */
		for (int tries = 0; tries < 10; tries++) {
			ASSERT_EQ(0, numa_maps_get(addr, &nm));
			ASSERT_LE(0, page_nodes(addr, end - start, page_size(), count));
			ASSERT_EQ(0, numa_maps_get(addr, &again));
			if (!memcmp(nm.node, again.node, sizeof(nm.node)))
				break;
		}
		EXPECT_EQ(0, memcmp(nm.node, count, sizeof(count)));
		compared++;
	}
	EXPECT_LT(3, compared);
	fclose(f);
}

enum kind {
	ANON, THP, MEMFD_SHARED, MEMFD_PRIVATE, RAMFS_SHARED, TMPFS_THP,
	HUGETLB_PRIVATE, HUGETLB_SHARED
};

/*
 * A mapping of two parts, each bound to a node of its own, which makes it two VMAs:
 *
 *	p		p + part
 *	|  bind:A	|  bind:B	|
 *
 * A part has PART_PAGES small pages or one huge page.
 */
FIXTURE(mapping)
{
	struct numa_nodes nodes;
	int node[2];
	size_t part;
	size_t grain;		/* bytes that one access makes present */
	size_t unit;		/* bytes of what numa_maps counts */
	const char *name;	/* what the line says between policy and counts */
	char *p;
	long balancing;
	int thp;
	long hugetlb[2];	/* pages of the node's pool before, -1: unchanged */
};

FIXTURE_VARIANT(mapping)
{
	enum kind kind;
};

FIXTURE_VARIANT_ADD(mapping, anon) { .kind = ANON };
FIXTURE_VARIANT_ADD(mapping, thp) { .kind = THP };
FIXTURE_VARIANT_ADD(mapping, memfd_shared) { .kind = MEMFD_SHARED };
FIXTURE_VARIANT_ADD(mapping, memfd_private) { .kind = MEMFD_PRIVATE };
FIXTURE_VARIANT_ADD(mapping, ramfs_shared) { .kind = RAMFS_SHARED };
FIXTURE_VARIANT_ADD(mapping, tmpfs_thp) { .kind = TMPFS_THP };
FIXTURE_VARIANT_ADD(mapping, hugetlb_private) { .kind = HUGETLB_PRIVATE };
FIXTURE_VARIANT_ADD(mapping, hugetlb_shared) { .kind = HUGETLB_SHARED };

static bool is_hugetlb(enum kind kind)
{
	return kind == HUGETLB_PRIVATE || kind == HUGETLB_SHARED;
}

static bool is_private(enum kind kind)
{
	return kind == ANON || kind == THP || kind == MEMFD_PRIVATE || kind == HUGETLB_PRIVATE;
}

static const char *hugetlb_file(int node, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s",
		 node, hugetlb_size() / 1024, name);
	return path;
}

static void hugetlb_restore(FIXTURE_DATA(mapping) *self)
{
	for (int i = 0; i < 2; i++)
		if (self->hugetlb[i] >= 0)
			file_write_long(hugetlb_file(self->node[i], "nr_hugepages"),
					self->hugetlb[i]);
}

/* One more page in the pool of each of the two nodes than there was */
static bool hugetlb_reserve(FIXTURE_DATA(mapping) *self)
{
	for (int i = 0; i < 2; i++) {
		long old, now = -1;

		if (!file_read_long(hugetlb_file(self->node[i], "nr_hugepages"), &old) &&
		    !file_write_long(hugetlb_file(self->node[i], "nr_hugepages"), old + 1)) {
			self->hugetlb[i] = old;
			file_read_long(hugetlb_file(self->node[i], "nr_hugepages"), &now);
		}
		if (now != old + 1) {
			hugetlb_restore(self);
			return false;
		}
	}
	return true;
}

FIXTURE_SETUP(mapping)
{
	int flags = is_private(variant->kind) ? MAP_PRIVATE : MAP_SHARED, fd = -1;
	size_t size;
	char *p;

	self->hugetlb[0] = self->hugetlb[1] = -1;
	ASSERT_EQ(0, numa_nodes_get(&self->nodes));
	NEED_MEMORY_NODES(&self->nodes, 2);
	/* the two ends: with sparse node numbers they are not neighbours */
	self->node[0] = self->nodes.mem[0];
	self->node[1] = self->nodes.mem[self->nodes.nr_mem - 1];
	self->unit = page_size();
	self->grain = page_size();
	self->part = PART_PAGES * page_size();

	switch (variant->kind) {
	case THP:
	case TMPFS_THP:
		self->grain = self->part = thp_size();
		if (!self->part)
			SKIP(return, "needs thp");
		break;
	case HUGETLB_PRIVATE:
	case HUGETLB_SHARED:
		NEED_ROOT();
		self->grain = self->part = self->unit = hugetlb_size();
		if (!self->part || !hugetlb_reserve(self))
			SKIP(return, "needs hugetlb");
		break;
	default:
		break;
	}

	size = 2 * self->part;
	switch (variant->kind) {
	case ANON:
	case THP:
		self->name = "";
		flags |= MAP_ANONYMOUS;
		break;
	case MEMFD_SHARED:
	case MEMFD_PRIVATE:
		self->name = " file=/memfd:object\\040(deleted)";
		fd = memfd_create("object", MFD_CLOEXEC);
		ASSERT_LE(0, fd);
		break;
	case RAMFS_SHARED:
	case TMPFS_THP:
		NEED_ROOT();
		self->name = " file=/object";
		fd = variant->kind == RAMFS_SHARED ? file_in_new_fs("ramfs", NULL, NULL) :
						     file_in_new_fs("tmpfs", "huge", "always");
		ASSERT_LE(0, fd);
		break;
	case HUGETLB_PRIVATE:
	case HUGETLB_SHARED:
		self->name = " file=/anon_hugepage\\040(deleted) huge";
		flags |= MAP_ANONYMOUS | MAP_HUGETLB;
		break;
	}
	if (fd >= 0)
		ASSERT_EQ(0, ftruncate(fd, size));

	if (is_hugetlb(variant->kind)) {
		self->p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (self->p == MAP_FAILED) {
			hugetlb_restore(self);
			SKIP(return, "needs hugetlb");
		}
	} else {
		/* aligned to the size of a part, which is what THPs need */
		p = mmap(NULL, size + self->part, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, p);
		p += -(uintptr_t)p & (self->part - 1);
		self->p = mmap(p, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
		ASSERT_EQ(p, self->p);
		madvise(p, size, self->part == self->grain ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	self->thp = self->part == self->grain && !is_hugetlb(variant->kind) ? thp_on() : -1;
	self->balancing = numa_balancing_off();
}

FIXTURE_TEARDOWN_PARENT(mapping)
{
	numa_balancing_restore(self->balancing);
	thp_restore(self->thp);
	hugetlb_restore(self);
}

static bool bind_parts(FIXTURE_DATA(mapping) *self)
{
	for (int i = 0; i < 2; i++) {
		struct nodemask mask = NODEMASK(self->node[i]);

		if (sys_mbind(self->p + i * self->part, self->part, MPOL_BIND, &mask, 0))
			return false;
	}
	return true;
}

/*
 * Read all pages of the parts, or write them. The task policy changes with the
 * part: pages of a ramfs file are placed by nothing else.
 */
static bool touch_parts(FIXTURE_DATA(mapping) *self, bool write)
{
	for (int i = 0; i < 2; i++) {
		struct nodemask mask = NODEMASK(self->node[i]);
		volatile char *p = self->p + i * self->part;

		if (sys_set_mempolicy(MPOL_BIND, &mask))
			return false;
		for (size_t off = 0; off < self->part; off += page_size()) {
			if (write)
				p[off] = 1;
			else
				(void)p[off];
		}
	}
	return !sys_set_mempolicy(MPOL_DEFAULT, NULL);
}

/* What is mapped of a part, in bytes */
struct content {
	size_t present, anon, dirty;
	int mapmax;
};

/* The line that part @i must have */
static const char *expected(FIXTURE_DATA(mapping) *self, int i, const struct content *c)
{
	size_t pages = c->present / self->unit, anon = c->anon / self->unit;
	size_t dirty = c->dirty / self->unit;
	static char text[512];
	int n;

	n = sprintf(text, "bind:%d%s", self->node[i], self->name);
	if (!pages)
		return text;
	if (anon)
		n += sprintf(text + n, " anon=%zu", anon);
	if (dirty)
		n += sprintf(text + n, " dirty=%zu", dirty);
	if (pages != anon && pages != dirty)
		n += sprintf(text + n, " mapped=%zu", pages);
	if (c->mapmax > 1)
		n += sprintf(text + n, " mapmax=%d", c->mapmax);
	sprintf(text + n, " N%d=%zu kernelpagesize_kB=%zu", self->node[i], pages,
		self->unit / 1024);
	return text;
}

/* Do move_pages() and numa_maps say the same about the mapping, @pages in total? */
static bool agree(FIXTURE_DATA(mapping) *self, size_t pages)
{
	static unsigned long asked[NUMA_MAX_NODES], shown[NUMA_MAX_NODES];
	size_t size = 2 * self->part;

	return page_nodes(self->p, size, self->unit, asked) == pages &&
	       numa_maps_nodes(self->p, size, shown) == pages &&
	       !memcmp(asked, shown, sizeof(asked));
}

/*
 * Pages of [addr, addr + len) that are active or unevictable according to
 * kpageflags; -1 if that cannot be known.
 */
static long count_active(char *addr, size_t len)
{
	long active = 0;
	int map, flags;

	map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	for (size_t off = 0; off < len && active >= 0; off += page_size()) {
		uint64_t pfn, f;

		if (pread(map, &pfn, 8, (uintptr_t)(addr + off) / page_size() * 8) != 8 ||
		    !(pfn &= (1ULL << 55) - 1) || pread(flags, &f, 8, pfn * 8) != 8)
			active = -1;
		else
			active += !!(f & (1ULL << KPF_ACTIVE | 1ULL << KPF_UNEVICTABLE));
	}
	close(map);
	close(flags);
	return active;
}

/*
 * A mapping without pages has a policy, a name and nothing else. Pages that are
 * written are dirty, those of private mappings are anonymous.
 *
 * "active" is how many pages are active or unevictable, and is left out if that is
 * all: after mlock() it has to be. It is never shown for hugetlb.
 */
TEST_F(mapping, written)
{
	struct content none = { 0 }, all = {
		.present = self->part,
		.dirty = self->part,
		.anon = is_private(variant->kind) ? self->part : 0,
	};

	ASSERT_TRUE(bind_parts(self));
	for (int i = 0; i < 2; i++)
		EXPECT_STREQ(expected(self, i, &none), self_line(self->p + i * self->part));
	EXPECT_TRUE(agree(self, 0));

	ASSERT_TRUE(touch_parts(self, true));
	for (int i = 0; i < 2; i++)
		EXPECT_STREQ(expected(self, i, &all), self_line(self->p + i * self->part));
	EXPECT_TRUE(agree(self, 2 * self->part / self->unit));
	if (variant->kind == THP)
		EXPECT_EQ(2 * self->part / 1024,
			  smaps_kb(self->p, 2 * self->part, "AnonHugePages"));
	if (variant->kind == TMPFS_THP)
		EXPECT_EQ(2 * self->part / 1024,
			  smaps_kb(self->p, 2 * self->part, "ShmemPmdMapped"));

	if (self->grain == page_size()) {
		struct numa_maps nm, again;
		long active = -1;

		/* until nothing changes while we look */
		for (int tries = 0; tries < 1000; tries++) {
			ASSERT_EQ(0, numa_maps_get(self->p, &nm));
			active = count_active(self->p, self->part);
			ASSERT_EQ(0, numa_maps_get(self->p, &again));
			if (nm.active == again.active)
				break;
		}
		if (active >= 0) {
			EXPECT_EQ(active < PART_PAGES, shows_active(self->p));
			EXPECT_EQ(active < PART_PAGES ? active : 0, nm.active);
		}
	}
	if (!is_hugetlb(variant->kind)) {
		ASSERT_EQ(0, mlock(self->p, 2 * self->part));
		/* in a batch of the CPU that touched it, a page is neither */
		ASSERT_EQ(0, lru_drain_all(self->p));
	}
	for (int i = 0; i < 2; i++)
		EXPECT_FALSE(shows_active(self->p + i * self->part));
}

/*
 * Pages that are only read are not dirty: of a file they are "mapped", and
 * anonymous memory has none at all, because the zero page is on no node. Pages of
 * hugetlb are the exception: there is no zero page, and a shared writable mapping
 * maps its pages dirty at once.
 *
 * With one write after that a page (small or huge) of the first part becomes dirty,
 * or a private copy, and the others of the part remain as they were.
 */
TEST_F(mapping, read)
{
	bool zero_page = variant->kind == ANON || variant->kind == THP;
	struct content c = {
		.present = zero_page ? 0 : self->part,
		.anon = variant->kind == HUGETLB_PRIVATE ? self->part : 0,
		.dirty = variant->kind == HUGETLB_SHARED ? self->part : 0,
	};

	ASSERT_TRUE(bind_parts(self));
	ASSERT_TRUE(touch_parts(self, false));
	for (int i = 0; i < 2; i++)
		EXPECT_STREQ(expected(self, i, &c), self_line(self->p + i * self->part));
	EXPECT_TRUE(agree(self, 2 * c.present / self->unit));

	*(volatile char *)self->p = 1;
	c.present = zero_page ? self->grain : self->part;
	c.anon = is_private(variant->kind) ? self->grain : 0;
	c.dirty = self->grain;
	EXPECT_STREQ(expected(self, 0, &c), self_line(self->p));
}

/*
 * "mapmax" is in how many address spaces a page is mapped: two while a child has
 * it mapped as well, and so it is for the child.
 */
TEST_F(mapping, mapped_twice)
{
	int there[2], go_on[2];
	struct content all = {
		.present = self->part,
		.dirty = self->part,
		.anon = is_private(variant->kind) ? self->part : 0,
		.mapmax = 2,
	};
	pid_t pid;

	ASSERT_TRUE(bind_parts(self));
	ASSERT_TRUE(touch_parts(self, true));
	ASSERT_EQ(0, pipe(there));
	ASSERT_EQ(0, pipe(go_on));
	START_CHILD(pid, {
		close(go_on[1]);
		/* fork() does not fill in the page tables of shared mappings */
		ASSERT_TRUE(touch_parts(self, false));
		for (int i = 0; i < 2; i++)
			EXPECT_STREQ(expected(self, i, &all),
				     self_line(self->p + i * self->part));
		ASSERT_TRUE(tell(there));
		wait_for(go_on);
	});
	close(there[1]);
	ASSERT_TRUE(wait_for(there));
	for (int i = 0; i < 2; i++)
		EXPECT_STREQ(expected(self, i, &all), self_line(self->p + i * self->part));
	ASSERT_TRUE(tell(go_on));
	WAIT_CHILD(pid);

	all.mapmax = 1;
	for (int i = 0; i < 2; i++)
		EXPECT_STREQ(expected(self, i, &all), self_line(self->p + i * self->part));
	EXPECT_TRUE(agree(self, 2 * self->part / self->unit));
}

/*
 * Two VMAs may share a huge page: then it is mapped by small entries, and either
 * VMA counts those that it has. hugetlb is left whole: it cannot be divided.
 *
 *	p	     p + half	      p + part
 *	|   bind:A   |  bind:A, ro    |	  bind:B	|
 */
TEST_F(mapping, divided)
{
	size_t half = is_hugetlb(variant->kind) ? self->part : self->part / 2;
	struct content c = {
		.present = half,
		.dirty = half,
		.anon = is_private(variant->kind) ? half : 0,
	};

	ASSERT_TRUE(bind_parts(self));
	ASSERT_TRUE(touch_parts(self, true));
	ASSERT_EQ(0, mprotect(self->p + half, self->part - half, PROT_READ));
	/* a huge page of a file is unmapped by the division */
	ASSERT_TRUE(touch_parts(self, false));
	EXPECT_STREQ(expected(self, 0, &c), self_line(self->p));
	if (half < self->part)
		EXPECT_STREQ(expected(self, 0, &c), self_line(self->p + half));
	EXPECT_TRUE(agree(self, 2 * self->part / self->unit));
}

/* Pages of one VMA on two nodes: a field for each node, in the order of the nodes */
TEST_F(mapping, two_nodes)
{
	size_t nr = self->part / self->unit;
	char fields[64];

	/* one VMA, because the two task policies that place the pages leave no trace */
	ASSERT_TRUE(touch_parts(self, true));
	snprintf(fields, sizeof(fields), " N%d=%zu N%d=%zu kernelpagesize_kB=%zu",
		 self->node[0], nr, self->node[1], nr, self->unit / 1024);
	ASSERT_EQ(1, vma_count(self->p, 2 * self->part));
	EXPECT_NE(NULL, strstr(self_line(self->p), fields));
	EXPECT_TRUE(agree(self, 2 * nr));
}

/* "heap" is memory of brk(), and it stays so in each VMA that mbind() makes of it */
TEST(heap)
{
	size_t part = PART_PAGES * page_size();
	struct numa_nodes nodes;
	struct numa_maps nm;
	char want[256], *p;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	p = sbrk(0);
	ASSERT_NE((void *)-1, sbrk((-(uintptr_t)p & (page_size() - 1)) + 2 * part));
	p += -(uintptr_t)p & (page_size() - 1);
	madvise(p, 2 * part, MADV_NOHUGEPAGE);
	for (int i = 0; i < 2; i++) {
		struct nodemask mask = NODEMASK(nodes.mem[i]);

		ASSERT_EQ(0, sys_mbind(p + i * part, part, MPOL_BIND, &mask, 0));
	}
	memset(p, 1, 2 * part);
	for (int i = 0; i < 2; i++) {
		snprintf(want, sizeof(want),
			 "bind:%d heap anon=%d dirty=%d N%d=%d kernelpagesize_kB=%zu",
			 nodes.mem[i], PART_PAGES, PART_PAGES, nodes.mem[i], PART_PAGES,
			 page_size() / 1024);
		EXPECT_STREQ(want, self_line(p + i * part));
	}
	/* other anonymous memory is not */
	p = mmap(NULL, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, numa_maps_get(p, &nm));
	EXPECT_FALSE(nm.heap);
}

/* "stack" is the mapping that the main stack is in, and no other */
TEST(stack)
{
	unsigned long start, end, addr = (unsigned long)&start;
	struct numa_maps nm;
	char line[4096];
	int stacks = 0;
	FILE *f;

	f = fopen("/proc/self/numa_maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		ASSERT_EQ(0, numa_maps_parse(line, &nm));
		stacks += nm.stack;
	}
	fclose(f);
	EXPECT_EQ(1, stacks);

	f = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		ASSERT_EQ(2, sscanf(line, "%lx-%lx ", &start, &end));
		if (addr < start || addr >= end)
			continue;
		ASSERT_EQ(0, numa_maps_get((void *)start, &nm));
		EXPECT_TRUE(nm.stack);
		EXPECT_LT(0, nm.anon);
	}
	fclose(f);
}

/* A name with characters that mean something in the line is shown with escapes */
TEST(file_name)
{
	struct numa_maps nm;
	char *p;
	int fd;

	fd = memfd_create("a b\tc=d\ne", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, page_size()));
	p = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, numa_maps_get(p, &nm));
	EXPECT_STREQ("/memfd:a\\040b\\011c\\075d\\012e\\040(deleted)", nm.file);
}

/*
 * A mapping without a policy shows that of the task whose file it is, and not that
 * of the reader; a policy of its own goes before (hold_task_mempolicy()).
 */
TEST(policy_of_other_process)
{
	struct nodemask first, last;
	struct numa_nodes nodes;
	int there[2], go_on[2];
	char path[64], want[64];
	char *p, *q;
	pid_t pid;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	first = NODEMASK(nodes.mem[0]);
	last = NODEMASK(nodes.mem[nodes.nr_mem - 1]);
	p = mmap(NULL, page_size(), PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	q = mmap(NULL, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, sys_mbind(q, page_size(), MPOL_PREFERRED, &first, 0));
	ASSERT_EQ(0, pipe(there));
	ASSERT_EQ(0, pipe(go_on));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_INTERLEAVE, &first));
	START_CHILD(pid, {
		close(go_on[1]);
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &last));
		ASSERT_TRUE(tell(there));
		wait_for(go_on);
	});
	close(there[1]);
	ASSERT_TRUE(wait_for(there));

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", pid);
	snprintf(want, sizeof(want), "bind:%d file=/dev/zero\\040(deleted)",
		 nodes.mem[nodes.nr_mem - 1]);
	EXPECT_STREQ(want, line_of(path, p));
	snprintf(want, sizeof(want), "prefer:%d", nodes.mem[0]);
	EXPECT_STREQ(want, line_of(path, q));
	EXPECT_STREQ(want, self_line(q));
	snprintf(want, sizeof(want), "interleave:%d file=/dev/zero\\040(deleted)", nodes.mem[0]);
	EXPECT_STREQ(want, self_line(p));

	ASSERT_TRUE(tell(go_on));
	WAIT_CHILD(pid);
}

struct thread {
	pthread_barrier_t barrier;
	struct nodemask mask;
	pid_t tid;
	long ret;
};

static void *thread_with_policy(void *arg)
{
	struct thread *t = arg;

	t->tid = syscall(SYS_gettid);
	t->ret = sys_set_mempolicy(MPOL_BIND, &t->mask);
	pthread_barrier_wait(&t->barrier);
	pthread_barrier_wait(&t->barrier);
	return NULL;
}

/*
 * The task policy is one of a thread: /proc/PID/task/TID/numa_maps shows that of
 * the thread, /proc/PID/numa_maps that of the leader.
 */
TEST(policy_of_thread)
{
	struct numa_nodes nodes;
	char path[64], want[64];
	pthread_t thread;
	struct thread t;
	char *p;

	ASSERT_EQ(0, numa_nodes_get(&nodes));
	t.mask = NODEMASK(nodes.mem[0]);
	p = mmap(NULL, page_size(), PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pthread_barrier_init(&t.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, thread_with_policy, &t));
	pthread_barrier_wait(&t.barrier);
	EXPECT_EQ(0, t.ret);

	snprintf(path, sizeof(path), "/proc/self/task/%d/numa_maps", t.tid);
	snprintf(want, sizeof(want), "bind:%d file=/dev/zero\\040(deleted)", nodes.mem[0]);
	EXPECT_STREQ(want, line_of(path, p));
	EXPECT_STREQ("default file=/dev/zero\\040(deleted)", self_line(p));

	pthread_barrier_wait(&t.barrier);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

enum which { NONE, LAST, SEVERAL };	/* nodes of a policy */

/*
 * Each mode and flag in the words of mpol_to_str(), followed by the nodes that the
 * policy has now.
 */
FIXTURE(policy_text)
{
	struct numa_nodes nodes;
	struct nodemask asked;
	char want[128];
};

FIXTURE_VARIANT(policy_text)
{
	int mode;
	enum which nodes;
	const char *text;
	bool first_only;	/* of several nodes the policy keeps one */
};

FIXTURE_VARIANT_ADD(policy_text, default) { MPOL_DEFAULT, NONE, "default" };
FIXTURE_VARIANT_ADD(policy_text, local) { MPOL_LOCAL, NONE, "local" };
FIXTURE_VARIANT_ADD(policy_text, preferred) { MPOL_PREFERRED, LAST, "prefer" };
FIXTURE_VARIANT_ADD(policy_text, preferred_several) {
	MPOL_PREFERRED, SEVERAL, "prefer", true
};

/* "local allocation is always preferred by passing an empty nodemask" */
FIXTURE_VARIANT_ADD(policy_text, preferred_none) { MPOL_PREFERRED, NONE, "local" };
FIXTURE_VARIANT_ADD(policy_text, preferred_static) {
	MPOL_PREFERRED | MPOL_F_STATIC_NODES, LAST, "prefer=static"
};

FIXTURE_VARIANT_ADD(policy_text, preferred_relative) {
	MPOL_PREFERRED | MPOL_F_RELATIVE_NODES, LAST, "prefer=relative"
};

FIXTURE_VARIANT_ADD(policy_text, bind) { MPOL_BIND, LAST, "bind" };
FIXTURE_VARIANT_ADD(policy_text, bind_several) { MPOL_BIND, SEVERAL, "bind" };
FIXTURE_VARIANT_ADD(policy_text, bind_static) {
	MPOL_BIND | MPOL_F_STATIC_NODES, SEVERAL, "bind=static"
};

FIXTURE_VARIANT_ADD(policy_text, bind_relative) {
	MPOL_BIND | MPOL_F_RELATIVE_NODES, SEVERAL, "bind=relative"
};

FIXTURE_VARIANT_ADD(policy_text, bind_balancing) {
	MPOL_BIND | MPOL_F_NUMA_BALANCING, SEVERAL, "bind=balancing"
};

FIXTURE_VARIANT_ADD(policy_text, bind_static_balancing) {
	MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_NUMA_BALANCING, SEVERAL,
	"bind=static|balancing"
};

FIXTURE_VARIANT_ADD(policy_text, bind_relative_balancing) {
	MPOL_BIND | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING, SEVERAL,
	"bind=relative|balancing"
};

FIXTURE_VARIANT_ADD(policy_text, many) { MPOL_PREFERRED_MANY, SEVERAL, "prefer (many)" };
FIXTURE_VARIANT_ADD(policy_text, many_static) {
	MPOL_PREFERRED_MANY | MPOL_F_STATIC_NODES, SEVERAL, "prefer (many)=static"
};

FIXTURE_VARIANT_ADD(policy_text, many_relative) {
	MPOL_PREFERRED_MANY | MPOL_F_RELATIVE_NODES, SEVERAL, "prefer (many)=relative"
};

FIXTURE_VARIANT_ADD(policy_text, many_balancing) {
	MPOL_PREFERRED_MANY | MPOL_F_NUMA_BALANCING, SEVERAL, "prefer (many)=balancing"
};

FIXTURE_VARIANT_ADD(policy_text, interleave) { MPOL_INTERLEAVE, SEVERAL, "interleave" };
FIXTURE_VARIANT_ADD(policy_text, interleave_static) {
	MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, SEVERAL, "interleave=static"
};

FIXTURE_VARIANT_ADD(policy_text, interleave_relative) {
	MPOL_INTERLEAVE | MPOL_F_RELATIVE_NODES, SEVERAL, "interleave=relative"
};

FIXTURE_VARIANT_ADD(policy_text, weighted) {
	MPOL_WEIGHTED_INTERLEAVE, SEVERAL, "weighted interleave"
};

FIXTURE_VARIANT_ADD(policy_text, weighted_static) {
	MPOL_WEIGHTED_INTERLEAVE | MPOL_F_STATIC_NODES, SEVERAL, "weighted interleave=static"
};

FIXTURE_VARIANT_ADD(policy_text, weighted_relative) {
	MPOL_WEIGHTED_INTERLEAVE | MPOL_F_RELATIVE_NODES, SEVERAL,
	"weighted interleave=relative"
};

FIXTURE_SETUP(policy_text)
{
	struct nodemask shown = { };
	int first, last;

	ASSERT_EQ(0, numa_nodes_get(&self->nodes));
	/* up to four nodes; long_list has more */
	last = self->nodes.nr_mem - 1;
	first = variant->nodes == LAST ? last : last < 3 ? 0 : last - 3;
	for (int i = first; i <= last && variant->nodes != NONE; i++) {
		/* relative nodes are positions in the list of nodes with memory */
		nodemask_set(&self->asked, variant->mode & MPOL_F_RELATIVE_NODES ?
					   i : self->nodes.mem[i]);
		if (!variant->first_only || i == first)
			nodemask_set(&shown, self->nodes.mem[i]);
	}
	snprintf(self->want, sizeof(self->want), "%s%s%s", variant->text,
		 variant->nodes == NONE ? "" : ":", nodemask_str(&shown));
}

/* No state outlives the process */
FIXTURE_TEARDOWN(policy_text)
{
}

/*
 * mbind() changes the line of its range, whatever the task policy is, and MPOL_DEFAULT
 * takes it away again.
 */
static void text_of_vma(struct __test_metadata *_metadata, const struct numa_nodes *nodes,
			int mode, const struct nodemask *asked, const char *want)
{
	struct nodemask mask = NODEMASK(nodes->mem[0]);
	size_t size = page_size();
	char *p;

	p = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	if (mode != MPOL_DEFAULT)
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_PREFERRED, &mask));
	ASSERT_EQ(0, sys_mbind(p + size, size, mode, asked, 0));
	EXPECT_STREQ(want, self_line(mode == MPOL_DEFAULT ? p : p + size));

	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));
	ASSERT_EQ(0, sys_mbind(p, 3 * size, MPOL_DEFAULT, NULL, 0));
	EXPECT_EQ(1, vma_count(p + size, size));
	EXPECT_STREQ("default", self_line(p));
}

/* set_mempolicy() changes the lines of all mappings that have no policy of their own */
static void text_of_task(struct __test_metadata *_metadata, int mode,
			 const struct nodemask *asked, const char *want)
{
	size_t len = strlen(want);
	char line[4096];
	FILE *f;

	ASSERT_EQ(0, sys_set_mempolicy(mode, asked));
	f = fopen("/proc/self/numa_maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		char *policy = strchr(line, ' ') + 1;

		ASSERT_LT(len, strlen(policy));
		EXPECT_NE(NULL, strchr(" \n", policy[len]));
		policy[len] = '\0';
		EXPECT_STREQ(want, policy);
	}
	fclose(f);
}

TEST_F(policy_text, vma_and_task)
{
	const struct nodemask *asked = variant->nodes == NONE ? NULL : &self->asked;

	text_of_vma(_metadata, &self->nodes, variant->mode, asked, self->want);
	text_of_task(_metadata, variant->mode, asked, self->want);
}

/* A list of nodes is shown whole, however long it is */
FIXTURE(long_list)
{
	struct numa_nodes nodes;
	struct nodemask mask;
	char want[256];
};

FIXTURE_VARIANT(long_list)
{
	int mode;
	const char *text;
};

FIXTURE_VARIANT_ADD(long_list, bind) { MPOL_BIND, "bind" };
FIXTURE_VARIANT_ADD(long_list, bind_static_balancing) {
	MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_NUMA_BALANCING, "bind=static|balancing"
};

FIXTURE_VARIANT_ADD(long_list, many) { MPOL_PREFERRED_MANY, "prefer (many)" };
FIXTURE_VARIANT_ADD(long_list, interleave) { MPOL_INTERLEAVE, "interleave" };
FIXTURE_VARIANT_ADD(long_list, weighted_static) {
	MPOL_WEIGHTED_INTERLEAVE | MPOL_F_STATIC_NODES, "weighted interleave=static"
};

FIXTURE_SETUP(long_list)
{
	ASSERT_EQ(0, numa_nodes_get(&self->nodes));
	NEED_MEMORY_NODES(&self->nodes, 40);
	/* two of three, "0-1,3-4,6-7" and so on: with all it would be short */
	for (int i = 0; i < 40; i++)
		if (i % 3 != 2)
			nodemask_set(&self->mask, self->nodes.mem[i]);
	snprintf(self->want, sizeof(self->want), "%s:%s", variant->text,
		 nodemask_str(&self->mask));
	/* what a char[64] holds */
	ASSERT_LT(63, strlen(self->want));
}

/* No state outlives the process */
FIXTURE_TEARDOWN(long_list)
{
}

TEST_F(long_list, vma_and_task)
{
	text_of_vma(_metadata, &self->nodes, variant->mode, &self->mask, self->want);
	text_of_task(_metadata, variant->mode, &self->mask, self->want);
}

TEST_HARNESS_MAIN
