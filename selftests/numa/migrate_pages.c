// SPDX-License-Identifier: GPL-2.0
/*
 * migrate_pages(): which pages of a process go to which node, what stays, what is
 * returned and refused, and that no byte is lost; at the end the question of
 * move_pages() where pages are. The man pages of both say what is expected.
 *
 * An area is written with one letter a page. A to D are the first nodes that have
 * memory, in ascending order, and "." is no page. A system call moves pages of the
 * whole process, of which the area is a part.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <linux/capability.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef MAP_32BIT
#define MAP_32BIT	0
#endif

#define NR_LETTERS	4
#define NR_PAGES	8

/* The same for all tests, see main() */
static struct cpuset cpuset;
static int cpuset_error;
static struct numa_nodes nodes;

static struct nodemask mask_of(const char *letters)
{
	struct nodemask mask = { };

	for (; *letters; letters++)
		nodemask_set(&mask, nodes.mem[*letters - 'A']);
	return mask;
}

/* Are there nodes for all letters? */
static bool letters_exist(const char *letters)
{
	for (; *letters; letters++)
		if (*letters - 'A' >= nodes.nr_mem)
			return false;
	return true;
}

/* A number of no node */
static int absent_node(void)
{
	struct nodemask online;
	char list[4096];
	int node = 0;

	if (file_read("/sys/devices/system/node/online", list, sizeof(list)) ||
	    nodemask_parse(list, &online))
		return -1;
	while (nodemask_isset(&online, node))
		node++;
	return node;
}

static long sys_migrate_pages(int pid, unsigned long maxnode, const void *from, const void *to)
{
	return syscall(SYS_migrate_pages, pid, maxnode, from, to);
}

static long migrate_masks(int pid, const struct nodemask *from, const struct nodemask *to)
{
	return sys_migrate_pages(pid, NUMA_MAX_NODES + 1, from->bits, to->bits);
}

static long migrate(int pid, const char *from, const char *to)
{
	struct nodemask from_mask = mask_of(from), to_mask = mask_of(to);

	return migrate_masks(pid, &from_mask, &to_mask);
}

/* The errno of a call that has to fail, 0 if it did not */
#define ERRNO(call)	((call) == -1 ? errno : 0)

/* No two words of all pages are the same */
static void fill(char *p, size_t size)
{
	uint64_t *words = (uint64_t *)p, word = 1;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		words[i] = word += 0x9e3779b97f4a7c15;
}

static bool intact(const char *p, size_t size)
{
	const uint64_t *words = (const uint64_t *)p;
	uint64_t word = 1;

	for (size_t i = 0; i < size / sizeof(*words); i++) {
		word += 0x9e3779b97f4a7c15;
		if (words[i] != word)
			return false;
	}
	return true;
}

/*
 * @size bytes, aligned to @align and without access around them. @fd of -1 is private
 * and anonymous memory, else @flags say how the file is mapped.
 */
static char *map_area(size_t size, size_t align, int fd, int flags)
{
	char *p = mmap(NULL, size + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return p;
	p++;
	p += -(uintptr_t)p & (align - 1);
	return mmap(p, size, PROT_READ | PROT_WRITE,
		    MAP_FIXED | (fd < 0 ? flags | MAP_PRIVATE | MAP_ANONYMOUS : flags), fd, 0);
}

/* Fill @size bytes whose pages of @page bytes are new, all on the node of @letter */
static bool fill_on(char *p, size_t size, char letter)
{
	struct nodemask mask = NODEMASK(nodes.mem[letter - 'A']);

	if (sys_set_mempolicy(MPOL_BIND, &mask))
		return false;
	fill(p, size);
	return !sys_set_mempolicy(MPOL_DEFAULT, NULL);
}

/* An area of small pages, placed as the letters say; NULL if that does not work */
static char *area_of(const char *letters)
{
	size_t page = page_size(), size = strlen(letters) * page;
	char *p = map_area(size, page, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_NOHUGEPAGE);
	for (int i = 0; letters[i]; i++)
		if (!fill_on(p + i * page, page, letters[i]))
			return NULL;
	fill(p, size);
	return p;
}

/* Where @nr pages of @page bytes are; "disagree" unless numa_maps sees the same */
static const char *where_are(char *p, int nr, size_t page)
{
	static unsigned long sum[NUMA_MAX_NODES], count[NUMA_MAX_NODES];
	static char text[NR_PAGES + 1];
	struct numa_maps nm;

	memset(sum, 0, sizeof(sum));
	for (int i = 0; i < nr; i++) {
		int node = page_node(p + i * page);

		text[i] = node < 0 ? '.' : '?';
		for (int n = 0; n < NR_LETTERS && n < nodes.nr_mem; n++)
			if (nodes.mem[n] == node)
				text[i] = 'A' + n;
		if (node >= 0)
			sum[node] += page / page_size();
	}
	text[nr] = '\0';
	if (numa_maps_get(p, &nm) || numa_maps_nodes(p, nr * page, count) < 0)
		return "disagree";
	for (int n = 0; n < NUMA_MAX_NODES; n++)
		if (sum[n] != count[n] * (nm.pagesize_kb * 1024 / page_size()))
			return "disagree";
	return text;
}

static const char *where(char *p, int nr)
{
	return where_are(p, nr, page_size());
}

/*
 * A reference to each of @nr pages that only the end of the pipe gives back: they
 * can be taken off the LRU lists, but not be migrated.
 */
static bool pin(int pipefd[2], char *p, int nr)
{
	struct iovec iov = { .iov_base = p, .iov_len = nr * page_size() };

	return !pipe(pipefd) && vmsplice(pipefd[1], &iov, 1, 0) == (ssize_t)iov.iov_len;
}

/* Without it only pages that no other process has are moved */
static int drop_sys_nice(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -1;
	data[0].effective &= ~(1u << CAP_SYS_NICE);
	return syscall(SYS_capset, &header, data);
}

/* Run @code in a child until it stops itself by raise(SIGSTOP); gives its @pid */
#define FORK_STOPPED(pid, code) do {					\
	int stopped_;							\
									\
	(pid) = fork();							\
	ASSERT_LE(0, (pid));						\
	if (!(pid)) {							\
		prctl(PR_SET_PDEATHSIG, SIGKILL);			\
		code;							\
		_exit(0);						\
	}								\
	ASSERT_EQ((pid), waitpid((pid), &stopped_, WUNTRACED));		\
	ASSERT_TRUE(WIFSTOPPED(stopped_));				\
} while (0)

/* ... and let it run to its end */
#define RESUME(pid) do {						\
	int ended_;							\
									\
	ASSERT_EQ(0, kill((pid), SIGCONT));				\
	ASSERT_EQ((pid), waitpid((pid), &ended_, 0));			\
	ASSERT_EQ(0, ended_);						\
} while (0)

/*
 * "As far as possible, the kernel maintains the relative topology relationship inside
 * old_nodes during the migration to new_nodes": the n-th node of the first set
 * gives its pages to the n-th of the second, counted round if there are fewer. Where
 * the sets are of different size, nodes that are in both keep what they have.
 */
FIXTURE(moves)
{
};

FIXTURE_SETUP(moves)
{
	NEED_MEMORY_NODES(&nodes, 2);
}

FIXTURE_TEARDOWN(moves)
{
}

static const struct {
	const char *from, *to, *before, *after;
} moves[] = {
	/* one to one, and what is elsewhere stays */
	{ "A", "B", "ABAB", "BBBB" },
	{ "B", "A", "ABAB", "AAAA" },
	{ "A", "A", "ABAB", "ABAB" },
	{ "AB", "AB", "ABAB", "ABAB" },
	{ "B", "C", "ABC", "ACC" },
	{ "AB", "CD", "ABCDAB", "CDCDCD" },
	{ "CD", "AB", "ABCDDC", "ABABBA" },
	{ "AC", "BD", "ABCDCA", "BBDDDB" },
	/* sets that overlap: no page moves twice */
	{ "AB", "BC", "ABCAB", "BCCBC" },
	{ "BC", "AB", "ABCAB", "AABAA" },
	{ "ABC", "BCD", "ABCDABC", "BCDDBCD" },
	{ "BCD", "ABC", "ABCDDCB", "AABCCBA" },
	{ "AB", "AC", "ABCAB", "ACCAC" },
	/* to fewer: the rest goes round, and nodes of both sets keep theirs */
	{ "AB", "A", "ABAB", "AAAA" },
	{ "AB", "B", "ABAB", "BBBB" },
	{ "ABC", "D", "ABCD", "DDDD" },
	{ "ABCD", "AB", "ABCDCD", "ABABAB" },
	{ "ABC", "AB", "ABCC", "ABAA" },
	{ "ACD", "BC", "ABCDD", "BBCBB" },
	/* to more: the last ones get nothing */
	{ "A", "AB", "ABAB", "ABAB" },
	{ "A", "BC", "ABCA", "BBCB" },
	{ "AB", "BCD", "ABCDA", "BBCDB" },
};

TEST_F(moves, by_position)
{
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		int nr = strlen(moves[i].before);
		long others;
		char *p;

		if (!letters_exist(moves[i].from) || !letters_exist(moves[i].to) ||
		    !letters_exist(moves[i].before))
			continue;
		/* what else the process has, and cannot be moved, fails both times */
		others = migrate(0, moves[i].from, moves[i].to);
		p = area_of(moves[i].before);
		ASSERT_NE(NULL, p);
		ASSERT_STREQ(moves[i].before, where(p, nr));
		EXPECT_EQ(others, migrate(0, moves[i].from, moves[i].to));
		EXPECT_STREQ(moves[i].after, where(p, nr)) {
			TH_LOG("from %s to %s", moves[i].from, moves[i].to);
		}
		EXPECT_TRUE(intact(p, nr * page_size()));
		munmap(p, nr * page_size());
	}
}

/* Numbers of no node count for the position; none of their pages can be anywhere */
TEST_F(moves, absent_nodes)
{
	struct nodemask from, to = mask_of("AB");
	int absent = absent_node();
	char *p = area_of("ABAB");

	ASSERT_NE(NULL, p);
	/* A and an absent one to A and B: A to A, and of B nothing was said */
	from = NODEMASK(nodes.mem[0], absent > nodes.mem[0] ? absent : absent + NUMA_MAX_NODES / 2);
	EXPECT_LE(0, migrate_masks(0, &from, &to));
	EXPECT_STREQ("ABAB", where(p, 4));
	/* absent ones alone */
	from = NODEMASK(absent);
	EXPECT_EQ(0, migrate_masks(0, &from, &to));
	EXPECT_STREQ("ABAB", where(p, 4));
	/* all numbers there can be for a node, to the second: from everywhere */
	memset(&from, 0, sizeof(from));
	from.bits[0] = -1UL;
	to = mask_of("B");
	if (nodes.mem[1] < 8 * sizeof(long)) {
		EXPECT_LE(0, migrate_masks(0, &from, &to));
		EXPECT_STREQ("BBBB", where(p, 4));
	}
	/* an absent one as destination is as if it had not been named */
	from = mask_of("B");
	to = NODEMASK(nodes.mem[0], absent);
	EXPECT_LE(0, migrate_masks(0, &from, &to));
	EXPECT_STREQ("AAAA", where(p, 4));
	EXPECT_TRUE(intact(p, 4 * page_size()));
}

/*
 * "memory policy does not constrain the destination nodes used by migrate_pages()",
 * and it is not changed: new pages go where it says.
 */
TEST_F(moves, policies_stay)
{
	struct nodemask a = mask_of("A"), seen;
	char *p = area_of("AAAA"), *q = area_of("AA");
	int mode;

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, q);
	ASSERT_EQ(0, sys_mbind(p, 4 * page_size(), MPOL_BIND, &a, MPOL_MF_STRICT));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND | MPOL_F_STATIC_NODES, &a));
	EXPECT_LE(0, migrate(0, "A", "B"));
	EXPECT_STREQ("BBBB", where(p, 4));
	EXPECT_STREQ("BB", where(q, 2));
	ASSERT_EQ(0, sys_get_mempolicy(&mode, &seen, p, MPOL_F_ADDR));
	EXPECT_EQ(MPOL_BIND, mode);
	EXPECT_TRUE(nodemask_equal(&a, &seen));
	ASSERT_EQ(0, sys_get_mempolicy(&mode, &seen, NULL, 0));
	EXPECT_EQ(MPOL_BIND | MPOL_F_STATIC_NODES, mode);
	EXPECT_TRUE(nodemask_equal(&a, &seen));
	EXPECT_EQ(1, vma_count(p, 4 * page_size()));

	ASSERT_EQ(0, madvise(p, page_size(), MADV_DONTNEED));
	ASSERT_EQ(0, madvise(q, page_size(), MADV_DONTNEED));
	fill(p, page_size());
	fill(q, page_size());
	EXPECT_STREQ("ABBB", where(p, 4));
	EXPECT_STREQ("AB", where(q, 2));
}

/* Each kind of memory: it moves, keeps every byte and stays what it is */
FIXTURE(kinds)
{
	size_t page;
	long pool[2];		/* hugetlb pages of A and B before */
};

FIXTURE_VARIANT(kinds)
{
	bool huge, shared, hugetlb, locked, no_access;
};

FIXTURE_VARIANT_ADD(kinds, anon) { };
FIXTURE_VARIANT_ADD(kinds, locked) { .locked = true };
FIXTURE_VARIANT_ADD(kinds, no_access) { .no_access = true };
FIXTURE_VARIANT_ADD(kinds, shmem) { .shared = true };
FIXTURE_VARIANT_ADD(kinds, thp) { .huge = true };
FIXTURE_VARIANT_ADD(kinds, thp_locked) { .huge = true, .locked = true };
FIXTURE_VARIANT_ADD(kinds, thp_shmem) { .huge = true, .shared = true };
FIXTURE_VARIANT_ADD(kinds, hugetlb) { .hugetlb = true };
FIXTURE_VARIANT_ADD(kinds, hugetlb_shared) { .hugetlb = true, .shared = true };

static const char *pool_path(int node)
{
	static char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/nr_hugepages",
		 node, hugetlb_size() / 1024);
	return path;
}

FIXTURE_SETUP(kinds)
{
	NEED_MEMORY_NODES(&nodes, 2);
	self->pool[0] = self->pool[1] = -1;
	self->page = page_size();
	if (variant->huge) {
		self->page = thp_size();
		if (!self->page)
			SKIP(return, "needs thp");
		if (variant->shared)
			NEED_ROOT();
	}
	if (variant->hugetlb) {
		NEED_ROOT();
		self->page = hugetlb_size();
		if (!self->page)
			SKIP(return, "needs hugetlb");
	}
}

FIXTURE_TEARDOWN_PARENT(kinds)
{
	for (int i = 0; i < 2; i++)
		if (self->pool[i] >= 0)
			file_write_long(pool_path(nodes.mem[i]), self->pool[i]);
}

/*
 * Pages of the variant's kind that are filled and on A: 8 small ones or 2 huge ones,
 * and as many free ones on A and on B.
 */
static char *kind_area(struct __test_metadata *_metadata, FIXTURE_DATA(kinds) *self,
		       const FIXTURE_VARIANT(kinds) *variant, int nr)
{
	size_t size = nr * self->page;
	int fd = -1, flags = 0;
	char *p;

	for (int i = 0; i < 2 && variant->hugetlb; i++) {
		const char *path = pool_path(nodes.mem[i]);
		long had, has;

		ASSERT_EQ(0, file_read_long(path, &had));
		self->pool[i] = had;
		ASSERT_EQ(0, file_write_long(path, had + nr));
		ASSERT_EQ(0, file_read_long(path, &has));
		ASSERT_EQ(had + nr, has);
	}
	if (variant->shared) {
		flags = MAP_SHARED;
		fd = variant->huge ? file_in_new_fs("tmpfs", "huge", "always") :
		     memfd_create("object", MFD_CLOEXEC | (variant->hugetlb ? MFD_HUGETLB : 0));
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ftruncate(fd, size));
	} else if (variant->hugetlb) {
		flags = MAP_HUGETLB;
	}
	p = map_area(size, self->page, fd, flags);
	ASSERT_NE(MAP_FAILED, p);
	if (!variant->hugetlb)
		ASSERT_EQ(0, madvise(p, size, variant->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
	if (variant->locked)
		ASSERT_EQ(0, syscall(SYS_mlock2, p, size, MLOCK_ONFAULT));
	ASSERT_TRUE(fill_on(p, size, 'A'));
	if (variant->no_access)
		ASSERT_EQ(0, mprotect(p, size, PROT_NONE));
	return p;
}

static int kind_pages(const FIXTURE_DATA(kinds) *self)
{
	return self->page == page_size() ? NR_PAGES : 2;
}

TEST_F(kinds, move)
{
	char all_a[NR_PAGES + 1] = "AAAAAAAA", all_b[NR_PAGES + 1] = "BBBBBBBB", *p;
	int nr = kind_pages(self);
	size_t size = nr * self->page;

	all_a[nr] = all_b[nr] = '\0';
	p = kind_area(_metadata, self, variant, nr);
	ASSERT_STREQ(all_a, where_are(p, nr, self->page));
	if (variant->huge)
		ASSERT_EQ(size / 1024, smaps_kb(p, size, variant->shared ? "ShmemPmdMapped" :
						"AnonHugePages"));

	/* there and back: not a single page is left behind */
	EXPECT_LE(0, migrate(0, "A", "B"));
	EXPECT_STREQ(all_b, where_are(p, nr, self->page));
	EXPECT_LE(0, migrate(0, "B", "A"));
	EXPECT_STREQ(all_a, where_are(p, nr, self->page));
	EXPECT_LE(0, migrate(0, "A", "B"));
	EXPECT_STREQ(all_b, where_are(p, nr, self->page));
	if (variant->huge)
		EXPECT_EQ(size / 1024, smaps_kb(p, size, variant->shared ? "ShmemPmdMapped" :
						"AnonHugePages"));
	if (variant->locked)
		EXPECT_EQ(size / 1024, smaps_kb(p, size, "Locked"));
	if (variant->no_access)
		ASSERT_EQ(0, mprotect(p, size, PROT_READ));
	EXPECT_TRUE(intact(p, size));
}

/* Move all there is from A to B and back until told to stop */
static void *move_about(void *arg)
{
	const bool *stop = arg;

	numa_run_on(&nodes, nodes.cpu[nodes.nr_cpu - 1]);
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		migrate(0, "A", "B");
		migrate(0, "B", "A");
	}
	return NULL;
}

/*
 * While another thread moves the same pages, one finds pages that are under way: they
 * are no page to move, and with MPOL_MF_STRICT possibly misplaced. None of it is lost,
 * and as soon as there is nobody else all of them move.
 */
#define RACES	8

TEST_F_TIMEOUT(kinds, while_moved, 120)
{
	struct nodemask a = mask_of("A");
	char all_b[NR_PAGES + 1] = "BBBBBBBB", *p;
	int nr = kind_pages(self);
	size_t size = nr * self->page;
	bool stop = false;
	pthread_t thread;

	all_b[nr] = '\0';
	p = kind_area(_metadata, self, variant, nr);
	ASSERT_EQ(0, pthread_create(&thread, NULL, move_about, &stop));
	for (int i = 0; i < RACES; i++) {
		long ret = sys_mbind(p, size, MPOL_BIND, &a, MPOL_MF_STRICT);
		int error = ret ? errno : 0;

		EXPECT_TRUE(!error || error == EIO) {
			TH_LOG("%s", strerror(error));
		}
		EXPECT_LE(0, migrate(0, i & 1 ? "A" : "B", i & 1 ? "B" : "A"));
		if (!variant->no_access)
			EXPECT_TRUE(intact(p, size));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_LE(0, migrate(0, "A", "B"));
	EXPECT_STREQ(all_b, where_are(p, nr, self->page));
	if (variant->no_access)
		ASSERT_EQ(0, mprotect(p, size, PROT_READ));
	EXPECT_TRUE(intact(p, size));
}

/* What stays, and what counts as "the number of pages that could not be moved" */
FIXTURE(stay)
{
};

FIXTURE_SETUP(stay)
{
	NEED_MEMORY_NODES(&nodes, 2);
}

FIXTURE_TEARDOWN(stay)
{
}

/* In use for I/O: as soon as that is over it can be moved */
TEST_F(stay, pinned)
{
	long others = migrate(0, "A", "B");
	char *p = area_of("AAAAAA");
	int pipefd[2];

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(pin(pipefd, p + page_size(), 3));
	EXPECT_EQ(others + 3, migrate(0, "A", "B"));
	EXPECT_STREQ("BAAABB", where(p, 6));
	EXPECT_EQ(others + 3, migrate(0, "A", "B"));
	EXPECT_TRUE(intact(p, 6 * page_size()));
	close(pipefd[0]);
	close(pipefd[1]);
	EXPECT_EQ(others, migrate(0, "A", "B"));
	EXPECT_STREQ("BBBBBB", where(p, 6));
	EXPECT_TRUE(intact(p, 6 * page_size()));
}

/* The pages of several nodes add up */
TEST_F(stay, pinned_on_several_nodes)
{
	int one[2], two[2];
	long others;
	char *p;

	NEED_MEMORY_NODES(&nodes, 3);
	others = migrate(0, "AB", "BC");
	p = area_of("AABBCC");
	ASSERT_NE(NULL, p);
	ASSERT_TRUE(pin(one, p + page_size(), 1));
	ASSERT_TRUE(pin(two, p + 3 * page_size(), 2));
	EXPECT_EQ(others + 2, migrate(0, "AB", "BC"));
	EXPECT_STREQ("BACBCC", where(p, 6));
	EXPECT_TRUE(intact(p, 6 * page_size()));
}

/* A pinned huge page stays huge and where it is; how much it counts is not said */
TEST_F(stay, pinned_thp)
{
	size_t size = thp_size();
	int pipefd[2];
	long others;
	char *p;

	if (!size)
		SKIP(return, "needs thp");
	others = migrate(0, "A", "B");
	p = map_area(2 * size, size, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, 2 * size, MADV_HUGEPAGE));
	ASSERT_TRUE(fill_on(p, 2 * size, 'A'));
	ASSERT_EQ(2 * size / 1024, smaps_kb(p, 2 * size, "AnonHugePages"));
	ASSERT_TRUE(pin(pipefd, p + page_size(), 1));
	EXPECT_LT(others, migrate(0, "A", "B"));
	EXPECT_STREQ("AB", where_are(p, 2, size));
	EXPECT_EQ(2 * size / 1024, smaps_kb(p, 2 * size, "AnonHugePages"));
	EXPECT_TRUE(intact(p, 2 * size));
}

/* The zero page belongs to nobody */
TEST_F(stay, zero_page)
{
	long others = migrate(0, "A", "B");
	char *p = map_area(2 * page_size(), page_size(), -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, *(volatile char *)p + *(volatile char *)(p + page_size()));
	EXPECT_EQ(others, migrate(0, "A", "B"));
	EXPECT_STREQ("..", where(p, 2));
}

/*
 * "If the calling process does not have CAP_SYS_NICE, only pages that are used solely
 * by it are moved": others are no failure. With it all of them move, for both.
 */
TEST_F(stay, shared)
{
	char *p;

	NEED_ROOT();
	p = area_of("AAAA");
	ASSERT_NE(NULL, p);
	IN_CHILD({
		long others;

		ASSERT_EQ(0, drop_sys_nice());
		others = migrate(0, "A", "B");
		EXPECT_STREQ("AAAA", where(p, 4));
		/* a copy of its own */
		ASSERT_TRUE(fill_on(p, page_size(), 'A'));
		EXPECT_EQ(others, migrate(0, "A", "B"));
		EXPECT_STREQ("BAAA", where(p, 4));
		EXPECT_TRUE(intact(p, 4 * page_size()));
	});
	EXPECT_STREQ("AAAA", where(p, 4));
	IN_CHILD({
		EXPECT_LE(0, migrate(0, "A", "B"));
		EXPECT_STREQ("BBBB", where(p, 4));
		EXPECT_TRUE(intact(p, 4 * page_size()));
	});
	EXPECT_STREQ("BBBB", where(p, 4));
	EXPECT_TRUE(intact(p, 4 * page_size()));
}

/* The same for a file that two processes have mapped */
TEST_F(stay, shared_file)
{
	size_t size = 4 * page_size();
	int fd;
	char *p;

	NEED_ROOT();
	fd = memfd_create("object", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, size));
	p = map_area(size, page_size(), fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, size, MADV_NOHUGEPAGE));
	ASSERT_TRUE(fill_on(p, size, 'A'));
	IN_CHILD({
		ASSERT_EQ(0, drop_sys_nice());
		ASSERT_EQ(0, madvise(p, 2 * page_size(), MADV_POPULATE_WRITE));
		EXPECT_LE(0, migrate(0, "A", "B"));
		EXPECT_STREQ("AA..", where(p, 4));
	});
	IN_CHILD({
		ASSERT_EQ(0, madvise(p, 2 * page_size(), MADV_POPULATE_WRITE));
		EXPECT_LE(0, migrate(0, "A", "B"));
		EXPECT_STREQ("BB..", where(p, 4));
	});
	/* of the file only what was mapped there */
	EXPECT_STREQ("BBAA", where(p, 4));
	EXPECT_TRUE(intact(p, size));
}

/* Another process: "pid is the ID of the process whose pages are to be moved" */
FIXTURE(process)
{
};

FIXTURE_SETUP(process)
{
	NEED_ROOT();
	NEED_MEMORY_NODES(&nodes, 2);
}

FIXTURE_TEARDOWN(process)
{
}

TEST_F(process, moves)
{
	char *mine = area_of("AABB");
	pid_t pid;

	ASSERT_NE(NULL, mine);
	FORK_STOPPED(pid, {
		char *p;

		/* none of the pages is shared with the parent any more */
		fill(mine, 4 * page_size());
		p = area_of("ABAB");
		ASSERT_NE(NULL, p);
		raise(SIGSTOP);
		EXPECT_STREQ("BBBB", where(p, 4));
		EXPECT_TRUE(intact(p, 4 * page_size()));
		EXPECT_TRUE(intact(mine, 4 * page_size()));
	});
	EXPECT_LE(0, migrate(pid, "A", "B"));
	EXPECT_STREQ("AABB", where(mine, 4));
	RESUME(pid);
	EXPECT_TRUE(intact(mine, 4 * page_size()));

	EXPECT_LE(0, migrate(getpid(), "A", "B"));
	EXPECT_STREQ("BBBB", where(mine, 4));
	EXPECT_TRUE(intact(mine, 4 * page_size()));
}

/* PTRACE_MODE_READ_REALCREDS: the same user, and a process that may be looked into */
TEST_F(process, of_the_same_user)
{
	for (int dumpable = 0; dumpable < 2; dumpable++) {
		pid_t pid;

		FORK_STOPPED(pid, {
			char *p;

			ASSERT_EQ(0, syscall(SYS_setresuid, 65534, 65534, 65534));
			ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, dumpable));
			p = area_of("AA");
			ASSERT_NE(NULL, p);
			raise(SIGSTOP);
			EXPECT_STREQ(dumpable ? "BB" : "AA", where(p, 2));
			EXPECT_TRUE(intact(p, 2 * page_size()));
		});
		IN_CHILD({
			ASSERT_EQ(0, syscall(SYS_setresuid, 65534, 65534, 65534));
			EXPECT_EQ(dumpable ? 0 : EPERM, ERRNO(migrate(pid, "A", "B")));
		});
		RESUME(pid);
	}
}

TEST_F(process, of_another_user)
{
	pid_t pid;

	FORK_STOPPED(pid, {
		char *p = area_of("AA");

		ASSERT_NE(NULL, p);
		raise(SIGSTOP);
		EXPECT_STREQ("AA", where(p, 2));
	});
	IN_CHILD({
		ASSERT_EQ(0, syscall(SYS_setresuid, 65534, 65534, 65534));
		EXPECT_EQ(EPERM, ERRNO(migrate(pid, "A", "B")));
		EXPECT_EQ(EPERM, ERRNO(migrate(1, "A", "B")));
		EXPECT_EQ(0, ERRNO(migrate(0, "A", "B")));
		EXPECT_EQ(0, ERRNO(migrate(getpid(), "A", "B")));
	});
	RESUME(pid);
}

/* One that there is not, that never had memory, and that has none any more */
TEST_F(process, without_memory)
{
	pid_t pid = fork();
	siginfo_t info;
	char comm[32];

	if (!pid)
		_exit(0);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(EINVAL, ERRNO(migrate(pid, "A", "B")));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(ESRCH, ERRNO(migrate(pid, "A", "B")));
	EXPECT_EQ(ESRCH, ERRNO(migrate(-1, "A", "B")));
	/* in a container it is anything */
	if (!file_read("/proc/2/comm", comm, sizeof(comm)) && !strcmp(comm, "kthreadd"))
		EXPECT_EQ(EINVAL, ERRNO(migrate(2, "A", "B")));
}

/*
 * One that has taken away all of its mappings, and lives only as long as it is not
 * let go on: its tracer has it call munmap().
 */
TEST_F(process, without_mappings)
{
#ifdef __x86_64__
	struct user_regs_struct regs;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(ptrace(PTRACE_TRACEME, 0, 0, 0) || raise(SIGSTOP));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (!WIFSTOPPED(status))
		SKIP(return, "needs ptrace");
	ASSERT_EQ(0, ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, pid, 0, &regs));
	/* the instruction before is the system call that has stopped it */
	regs.rip -= 2;
	regs.rax = SYS_munmap;
	regs.orig_rax = -1;
	regs.rdi = 0;
	regs.rsi = (1UL << 47) - page_size();
	ASSERT_EQ(0, ptrace(PTRACE_SETREGS, pid, 0, &regs));
	for (int i = 0; i < 2; i++) {		/* in, and out */
		ASSERT_EQ(0, ptrace(PTRACE_SYSCALL, pid, 0, 0));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSTOPPED(status));
	}
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, pid, 0, &regs));
	if (regs.rax)
		SKIP(goto out, "needs unsealed_mappings");
	EXPECT_EQ(0, migrate(pid, "A", "B"));
	EXPECT_EQ(0, migrate(pid, "B", "A"));
out:
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
#else
	SKIP(return, "needs x86_64");
#endif
}

/* cpusets: of the process that is moved, and of the one that calls */
FIXTURE(allowed)
{
};

FIXTURE_SETUP(allowed)
{
	NEED_ROOT();
	NEED_MEMORY_NODES(&nodes, 2);
	if (cpuset_error == ENODEV)
		SKIP(return, "needs cpuset");
	ASSERT_EQ(0, cpuset_error);
}

FIXTURE_TEARDOWN(allowed)
{
}

/* "EPERM: insufficient privilege (CAP_SYS_NICE) to access the specified target nodes" */
TEST_F(allowed, to_the_target)
{
	struct nodemask a = mask_of("A");
	pid_t pid;

	ASSERT_EQ(0, cpuset_set_mems(&cpuset, &a));
	FORK_STOPPED(pid, {
		char *p;

		ASSERT_EQ(0, cpuset_enter(&cpuset));
		p = area_of("AA");
		ASSERT_NE(NULL, p);
		raise(SIGSTOP);
		EXPECT_STREQ("BB", where(p, 2));
		EXPECT_TRUE(intact(p, 2 * page_size()));
	});
	IN_CHILD({
		ASSERT_EQ(0, drop_sys_nice());
		EXPECT_EQ(EPERM, ERRNO(migrate(pid, "A", "B")));
		EXPECT_EQ(EPERM, ERRNO(migrate(pid, "A", "AB")));
		EXPECT_EQ(EPERM, ERRNO(migrate(pid, "", "B")));
		EXPECT_EQ(0, ERRNO(migrate(pid, "A", "A")));
	});
	EXPECT_LE(0, migrate(pid, "A", "B"));
	RESUME(pid);
}

/* "EINVAL: none of the node IDs [...] are on-line and allowed by the [...] cpuset" */
TEST_F(allowed, to_the_caller)
{
	struct nodemask a = mask_of("A");
	char *p = area_of("ABAB");
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, cpuset_set_mems(&cpuset, &a));
	FORK_STOPPED(pid, {
		fill(p, 4 * page_size());
		ASSERT_LE(0, migrate(0, "A", "B"));
		ASSERT_STREQ("BBBB", where(p, 4));
		raise(SIGSTOP);
		EXPECT_STREQ("AAAA", where(p, 4));
		EXPECT_TRUE(intact(p, 4 * page_size()));
	});
	IN_CHILD({
		ASSERT_EQ(0, cpuset_enter(&cpuset));
		EXPECT_EQ(EINVAL, ERRNO(migrate(pid, "A", "B")));
		EXPECT_EQ(EINVAL, ERRNO(migrate(0, "A", "B")));
		/* what is not allowed is left out: not the second to the second */
		EXPECT_LE(0, migrate(pid, "AB", "AB"));
	});
	RESUME(pid);
}

/* Arguments: what is refused moves nothing */
FIXTURE(arguments)
{
	char *p;		/* "AAAA" */
	struct nodemask a, b;
};

FIXTURE_SETUP(arguments)
{
	NEED_MEMORY_NODES(&nodes, 2);
	self->p = area_of("AAAA");
	ASSERT_NE(NULL, self->p);
	self->a = mask_of("A");
	self->b = mask_of("B");
}

FIXTURE_TEARDOWN(arguments)
{
}

/* Nothing to move is no error, nowhere to go is one */
TEST_F(arguments, empty)
{
	static const struct nodemask none;

	EXPECT_EQ(0, migrate_masks(0, &none, &self->b));
	EXPECT_EQ(0, sys_migrate_pages(0, NUMA_MAX_NODES + 1, NULL, self->b.bits));
	EXPECT_EQ(EINVAL, ERRNO(migrate_masks(0, &self->a, &none)));
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, NUMA_MAX_NODES + 1, self->a.bits, NULL)));
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, 0, NULL, NULL)));
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, 0, self->a.bits, self->b.bits)));
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, 1, self->a.bits, self->b.bits)));
	EXPECT_STREQ("AAAA", where(self->p, 4));
}

/* Nodes without memory and numbers of no node are nowhere to go */
TEST_F(arguments, no_such_node)
{
	struct nodemask memory = { }, to;

	for (int i = 0; i < nodes.nr_mem; i++)
		nodemask_set(&memory, nodes.mem[i]);
	for (int i = 0; i < nodes.nr_cpu; i++) {
		if (nodemask_isset(&memory, nodes.cpu[i]))
			continue;
		to = NODEMASK(nodes.cpu[i]);
		EXPECT_EQ(EINVAL, ERRNO(migrate_masks(0, &self->a, &to)));
		to = NODEMASK(nodes.cpu[i], nodes.mem[1]);
		EXPECT_LE(0, migrate_masks(0, &self->a, &to));
		EXPECT_STREQ("BBBB", where(self->p, 4));
		EXPECT_LE(0, migrate(0, "B", "A"));
	}
	to = NODEMASK(absent_node());
	EXPECT_NE(0, ERRNO(migrate_masks(0, &self->a, &to)));
	EXPECT_STREQ("AAAA", where(self->p, 4));
}

/*
 * "greater than the maximum supported node ID": no kernel has as many nodes as a page
 * has bits, and more bits than that are too many, set or not.
 */
TEST_F(arguments, too_many_nodes)
{
	size_t size = page_size() + sizeof(long), bits = page_size() * 8;
	struct nodemask *from = calloc(1, size), *to = calloc(1, size);

	ASSERT_NE(NULL, from);
	ASSERT_NE(NULL, to);
	*from = self->a;
	*to = self->b;
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, bits + 2, from, to)));
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, -1UL, from, to)));
	for (int i = 0; i < 2; i++) {
		unsigned char *last = (unsigned char *)(i ? to : from) + page_size() - 1;

		*last = 0x80;
		EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, bits + 1, from, to)));
		*last = 0;
	}
	EXPECT_STREQ("AAAA", where(self->p, 4));
	EXPECT_LE(0, sys_migrate_pages(0, bits + 1, from, to));
	EXPECT_STREQ("BBBB", where(self->p, 4));
}

/* By the entry of 32-bit programs: masks of 32-bit words, below 4 GB */
TEST_F(arguments, ia32)
{
	const long migrate_nr = 294;
	char *low, *end;
	struct nodemask *from, *to;

	if (!ia32_works())
		SKIP(return, "needs ia32");
	low = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, low);
	ASSERT_EQ(0, mprotect(low + page_size(), page_size(), PROT_NONE));
	from = (struct nodemask *)low;
	to = from + 1;
	*from = self->a;
	*to = self->b;
	end = low + page_size();
#define IA32_MIGRATE(pid, maxnode, from, to)						\
	ia32_syscall(migrate_nr, (pid), (maxnode), (long)(from), (long)(to), 0, 0)
	EXPECT_EQ(ESRCH, ERRNO(IA32_MIGRATE(-1, NUMA_MAX_NODES + 1, from, to)));
	EXPECT_EQ(EINVAL, ERRNO(IA32_MIGRATE(0, NUMA_MAX_NODES + 1, from, NULL)));
	EXPECT_EQ(EINVAL, ERRNO(IA32_MIGRATE(0, 0, from, to)));
	EXPECT_EQ(EINVAL, ERRNO(IA32_MIGRATE(0, -1, from, to)));
	EXPECT_EQ(EFAULT, ERRNO(IA32_MIGRATE(0, 33, from, end)));
	EXPECT_EQ(EFAULT, ERRNO(IA32_MIGRATE(0, 33, end, to)));
	EXPECT_STREQ("AAAA", where(self->p, 4));
	EXPECT_LE(0, IA32_MIGRATE(0, NUMA_MAX_NODES + 1, from, to));
	EXPECT_STREQ("BBBB", where(self->p, 4));
	/* one word is enough for low numbers, and it is not read on */
	if (nodes.mem[1] < 32) {
		*(uint32_t *)(end - sizeof(uint32_t)) = self->a.bits[0];
		EXPECT_LE(0, IA32_MIGRATE(0, 33, to, end - sizeof(uint32_t)));
		EXPECT_STREQ("AAAA", where(self->p, 4));
	}
}

/* Masks that cannot be read, whole or in part, are told from what is in them */
TEST_F(arguments, pointers)
{
	char *end = self->p + 4 * page_size();
	struct nodemask zero = { };
	void *bad[] = { (void *)sizeof(long), end, end - sizeof(long) };

	memset(end - sizeof(long), 0, sizeof(long));
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(EFAULT, ERRNO(sys_migrate_pages(0, 129, bad[i], self->b.bits)));
		EXPECT_EQ(EFAULT, ERRNO(sys_migrate_pages(0, 129, self->a.bits, bad[i])));
		EXPECT_EQ(EFAULT, ERRNO(sys_migrate_pages(-1, 129, zero.bits, bad[i])));
		/* more than a node mask of this kernel */
		EXPECT_EQ(EFAULT, ERRNO(sys_migrate_pages(0, 8 * page_size() + 1, bad[i],
							  self->b.bits)));
	}
	EXPECT_STREQ("AAAA", where(self->p, 4));
}

/* "the bits beyond those specified by maxnode are ignored", in the word that has the last */
TEST_F(arguments, bits_beyond)
{
	unsigned long maxnode = nodes.mem[1] + 2;
	struct nodemask from = self->a, to = self->b;

	if (maxnode % (8 * sizeof(long)) == 1)
		return;		/* there are none in the last word */
	for (unsigned long i = maxnode - 1; i % (8 * sizeof(long)); i++) {
		nodemask_set(&from, i);
		nodemask_set(&to, i);
	}
	EXPECT_LE(0, sys_migrate_pages(0, maxnode, from.bits, to.bits));
	EXPECT_STREQ("BBBB", where(self->p, 4));
}

/* Sizes of masks that get_nodes() once took in another way than the man pages have it */
FIXTURE(maxnode)
{
	char *p;		/* "AAAA" */
};

FIXTURE_SETUP(maxnode)
{
	NEED_MEMORY_NODES(&nodes, 2);
	self->p = area_of("AAAA");
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(maxnode)
{
}

/* As above with more bits than the kernel has nodes */
TEST_F(maxnode, bits_beyond)
{
	enum { LONG = 8 * sizeof(long), LAST = 4 * NUMA_MAX_NODES / LONG };
	unsigned long maxnode = LAST * LONG + LONG / 2 + 1;
	struct nodemask a = mask_of("A"), b = mask_of("B");
	unsigned long from[LAST + 1] = { }, to[LAST + 1] = { };

	memcpy(from, &a, sizeof(a));
	memcpy(to, &b, sizeof(b));
	/* half of the last word is used */
	from[LAST] = 1UL << LONG / 2;
	to[LAST] = 1UL << (LONG - 1);
	EXPECT_LE(0, sys_migrate_pages(0, maxnode, from, to));
	EXPECT_STREQ("BBBB", where(self->p, 4));
	to[LAST] = 1UL << (LONG / 2 - 1);
	EXPECT_EQ(EINVAL, ERRNO(sys_migrate_pages(0, maxnode, from, to)));
}

/* mbind(2) and others: "If the value of maxnode is zero, the nodemask argument is ignored" */
TEST_F(maxnode, zero)
{
	struct nodemask b = mask_of("B");
	int mode;

	EXPECT_EQ(0, syscall(SYS_set_mempolicy, MPOL_DEFAULT, b.bits, 0));
	EXPECT_EQ(0, syscall(SYS_mbind, self->p, page_size(), MPOL_DEFAULT, b.bits, 0, 0));
	/* no node to prefer is the local one */
	EXPECT_EQ(0, syscall(SYS_set_mempolicy, MPOL_PREFERRED, b.bits, 0));
	ASSERT_EQ(0, sys_get_mempolicy(&mode, NULL, NULL, 0));
	EXPECT_EQ(MPOL_LOCAL, mode);
	EXPECT_EQ(EINVAL, ERRNO(syscall(SYS_set_mempolicy, MPOL_BIND, b.bits, 0)));
}

/*
 * move_pages() without nodes: "status will return the node on which each page
 * resides", -EFAULT for "a zero page or the memory area is not mapped", and -ENOENT
 * where there is no page. The kernel asks in portions of 16.
 */
FIXTURE(query)
{
	char *p;		/* ABAB, a page never touched, the zero page, a hole */
};

#define NR_QUERY	7

FIXTURE_SETUP(query)
{
	NEED_MEMORY_NODES(&nodes, 2);
	self->p = map_area(NR_QUERY * page_size(), page_size(), -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	madvise(self->p, NR_QUERY * page_size(), MADV_NOHUGEPAGE);
	for (int i = 0; i < 4; i++)
		ASSERT_TRUE(fill_on(self->p + i * page_size(), page_size(), "ABAB"[i]));
	ASSERT_EQ(0, *(volatile char *)(self->p + 5 * page_size()));
	ASSERT_EQ(0, munmap(self->p + 6 * page_size(), page_size()));
}

FIXTURE_TEARDOWN(query)
{
}

/* What the status of page @i of the area has to be */
static int status_of(int i)
{
	static const int status[NR_QUERY] = { 0, 0, 0, 0, -ENOENT, -EFAULT, -EFAULT };

	return i < 4 ? nodes.mem[i % 2] : status[i];
}

TEST_F(query, portions)
{
	static const int counts[] = { 1, 15, 16, 17, 31, 32, 33, 100 };
	void *pages[101];
	int status[101];

	for (int c = 0; c < ARRAY_SIZE(counts); c++) {
		/* in an order of its own, anywhere in the page */
		for (int i = 0; i <= counts[c]; i++) {
			pages[i] = self->p + i * 3 % NR_QUERY * page_size() + i;
			status[i] = 12345;
		}
		ASSERT_EQ(0, sys_move_pages(0, counts[c], pages, NULL, status, 0));
		for (int i = 0; i < counts[c]; i++)
			EXPECT_EQ(status_of(i * 3 % NR_QUERY), status[i]);
		EXPECT_EQ(12345, status[counts[c]]);
	}
	EXPECT_EQ(0, sys_move_pages(0, 0, NULL, NULL, NULL, 0));
}

/* What was answered before an address or a status is out of reach is there */
TEST_F(query, pointers)
{
	size_t size = 2 * page_size();
	char *area = map_area(size, page_size(), -1, 0);
	int status[40], *end_status;
	void *pages[40], **end;

	ASSERT_NE(MAP_FAILED, area);
	for (int i = 0; i < 40; i++) {
		pages[i] = self->p;
		status[i] = 12345;
	}
	end = (void **)(area + size) - 20;
	memcpy(end, pages, 20 * sizeof(*end));
	EXPECT_EQ(EFAULT, ERRNO(sys_move_pages(0, 40, end, NULL, status, 0)));
	EXPECT_EQ(nodes.mem[0], status[0]);
	EXPECT_EQ(nodes.mem[0], status[15]);
	EXPECT_EQ(12345, status[39]);
	end_status = (int *)(area + size) - 20;
	EXPECT_EQ(EFAULT, ERRNO(sys_move_pages(0, 40, pages, NULL, end_status, 0)));
	EXPECT_EQ(nodes.mem[0], end_status[15]);
	EXPECT_EQ(EFAULT, ERRNO(sys_move_pages(0, 1, NULL, NULL, status, 0)));
	EXPECT_EQ(EFAULT, ERRNO(sys_move_pages(0, 1, pages, NULL, NULL, 0)));
}

/* Flags that there are not, and who may ask about whom */
TEST_F(query, permission)
{
	void *page = self->p;
	int status = 12345;
	pid_t pid;

	EXPECT_EQ(EINVAL, ERRNO(sys_move_pages(0, 1, &page, NULL, &status, MPOL_MF_STRICT)));
	EXPECT_EQ(EINVAL, ERRNO(sys_move_pages(0, 1, &page, NULL, &status, 1 << 3)));
	EXPECT_EQ(ESRCH, ERRNO(sys_move_pages(-1, 1, &page, NULL, &status, 0)));
	NEED_ROOT();
	EXPECT_EQ(12345, status);
	FORK_STOPPED(pid, {
		/* away from where the parent has it */
		ASSERT_EQ(0, madvise(page, page_size(), MADV_DONTNEED));
		ASSERT_TRUE(fill_on(page, page_size(), 'B'));
		raise(SIGSTOP);
	});
	ASSERT_EQ(0, sys_move_pages(pid, 1, &page, NULL, &status, 0));
	EXPECT_EQ(nodes.mem[1], status);
	IN_CHILD({
		ASSERT_EQ(0, syscall(SYS_setresuid, 65534, 65534, 65534));
		EXPECT_EQ(EPERM, ERRNO(sys_move_pages(pid, 1, &page, NULL, &status, 0)));
		EXPECT_EQ(EPERM, ERRNO(sys_move_pages(0, 1, &page, NULL, &status,
						      MPOL_MF_MOVE_ALL)));
		EXPECT_EQ(0, sys_move_pages(0, 1, &page, NULL, &status, MPOL_MF_MOVE));
	});
	RESUME(pid);
}

/*
 * What all tests need is prepared once. Children of tests go into the cpuset and
 * leave it by their end. The harness has a process of its own, so that all is
 * restored whatever becomes of it.
 */
int main(int argc, char **argv)
{
	struct nodemask first;
	long balancing;
	pid_t pid;
	int status, thp;

	if (numa_nodes_get(&nodes))
		return KSFT_FAIL;
	numa_run_on(&nodes, nodes.cpu[0]);
	if (nodes.nr_mem < 2 || geteuid())
		return test_harness_run(argc, argv);	/* tests say why not */

	first = NODEMASK(nodes.mem[0]);
	if (cpuset_create(&cpuset) || cpuset_set_mems(&cpuset, &first))
		cpuset_error = errno;
	balancing = numa_balancing_off();
	thp = thp_on();
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	thp_restore(thp);
	numa_balancing_restore(balancing);
	if (cpuset.name[0] && cpuset_remove(&cpuset)) {
		ksft_print_msg("the cpuset could not be removed: %s\n", strerror(errno));
		return KSFT_FAIL;
	}
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
