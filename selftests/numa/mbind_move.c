// SPDX-License-Identifier: GPL-2.0
/*
 * mbind() with MPOL_MF_STRICT, MPOL_MF_MOVE and MPOL_MF_MOVE_ALL: which pages it
 * takes for misplaced, which of them it moves, what it returns, and that every
 * byte is still there afterwards.
 *
 * An area is written with one letter a page. Where its pages are:
 *
 *	page      0   1   2   3
 *	        +---+---+---+---+
 *	        | A | B | . | C |		"AB.C"
 *	        +---+---+---+---+
 *
 * A: a node that has memory and CPUs, where the test runs unless it says where
 * else; B and C: other nodes with memory; ".": there is no page. The policies of
 * an area are written in the same way: A, B and C is BIND to that one node, "." is
 * no policy, "!" no mapping, and "?" is anything else.
 *
 * That a page was left alone is seen by its frame (/proc/self/pagemap): migration
 * allocates the new page before it frees the old one, so it never gives back the
 * same frame. Without root all frames read as 0, and tests that have no other
 * witness need root.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#define NR_LETTERS	3
#define NR_PAGES	6

#define STRICT		MPOL_MF_STRICT
#define MOVE		MPOL_MF_MOVE
#define MOVE_ALL	MPOL_MF_MOVE_ALL

/* The same for all tests, see main() */
static struct cpuset cpuset;
static int cpuset_error;
static struct numa_nodes nodes;
static int letter_node[NR_LETTERS];	/* -1: there are fewer nodes */

static void assign_letters(void)
{
	int nr = 0;

	for (int i = 0; i < NR_LETTERS; i++)
		letter_node[i] = -1;
	letter_node[nr++] = numa_node_with_both(&nodes, -1);
	for (int i = 0; i < nodes.nr_mem && nr < NR_LETTERS; i++)
		if (nodes.mem[i] != letter_node[0])
			letter_node[nr++] = nodes.mem[i];
}

/* The node of a letter */
static int node_of(char letter)
{
	return letter_node[letter - 'A'];
}

/* A mask of the nodes of @letters */
static struct nodemask mask_of(const char *letters)
{
	struct nodemask mask = { };

	for (; *letters; letters++)
		nodemask_set(&mask, node_of(*letters));
	return mask;
}

static char letter_of(int node)
{
	for (int i = 0; i < NR_LETTERS; i++)
		if (letter_node[i] == node)
			return 'A' + i;
	return '?';
}

/* No two words of all pages are the same */
static uint64_t first_word(int page)
{
	return (page + 1) * 0x9e3779b97f4a7c15;
}

#define NEXT_WORD	0xd1b54a32d192ed03

static void fill_page(char *p, int page)
{
	size_t size = page_size(), nr = size / sizeof(uint64_t);
	uint64_t *words = (uint64_t *)(p + page * size), word = first_word(page);

	for (size_t i = 0; i < nr; i++, word += NEXT_WORD)
		words[i] = word;
}

/* Does each page of a placement, or of all @nr if it is NULL, have every byte? */
static bool intact(const char *p, int nr, const char *placement)
{
	size_t size = page_size(), nr_words = size / sizeof(uint64_t);

	for (int page = 0; page < nr; page++) {
		const uint64_t *words = (const uint64_t *)(p + page * size);
		uint64_t word = first_word(page);

		if (placement && placement[page] == '.')
			continue;
		for (size_t i = 0; i < nr_words; i++, word += NEXT_WORD)
			if (words[i] != word)
				return false;
	}
	return true;
}

/*
 * @nr small pages, private and anonymous or of the file @fd, without access around
 * them: never merged with another area.
 */
static char *map_area(int nr, int fd, int flags)
{
	size_t page = page_size();
	char *p;

	p = mmap(NULL, (nr + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return p;
	p = mmap(p + page, nr * page, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : flags), fd, 0);
	if (p != MAP_FAILED)
		madvise(p, nr * page, MADV_NOHUGEPAGE);
	return p;
}

static char *map_anon(int nr)
{
	return map_area(nr, -1, 0);
}

/* Fill the pages of @p where the letters say; the task has no policy afterwards */
static bool place(char *p, const char *letters)
{
	for (int i = 0; letters[i]; i++) {
		struct nodemask mask;

		if (letters[i] == '.')
			continue;
		mask = NODEMASK(node_of(letters[i]));
		if (sys_set_mempolicy(MPOL_BIND, &mask))
			return false;
		fill_page(p, i);
	}
	return !sys_set_mempolicy(MPOL_DEFAULT, NULL);
}

/* A new file of @letters pages, which nobody has mapped */
static int file_of(const char *letters)
{
	size_t size = strlen(letters) * page_size();
	int fd = memfd_create("object", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, size))
		return -1;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	madvise(p, size, MADV_NOHUGEPAGE);
	if (!place(p, letters) || munmap(p, size))
		return -1;
	return fd;
}

/* Where the pages of a whole area are; "disagree" unless numa_maps sees the same */
static const char *where(char *p, int nr)
{
	static unsigned long sum[NUMA_MAX_NODES], count[NUMA_MAX_NODES];
	static char text[NR_PAGES + 1];

	memset(sum, 0, sizeof(sum));
	for (int i = 0; i < nr; i++) {
		int node = page_node(p + i * page_size());

		text[i] = node < 0 ? '.' : letter_of(node);
		if (node >= 0)
			sum[node]++;
	}
	text[nr] = '\0';
	if (numa_maps_nodes(p, nr * page_size(), count) < 0 || memcmp(sum, count, sizeof(sum)))
		return "disagree";
	return text;
}

/* The policies of an area */
static const char *policies(char *p, int nr)
{
	static char text[NR_PAGES + 1];

	for (int i = 0; i < nr; i++) {
		struct nodemask mask, one;
		int mode;

		text[i] = '?';
		if (sys_get_mempolicy(&mode, &mask, p + i * page_size(), MPOL_F_ADDR))
			text[i] = '!';
		else if (mode == MPOL_DEFAULT)
			text[i] = '.';
		for (int n = 0; n < NR_LETTERS && text[i] == '?' && mode == MPOL_BIND; n++) {
			if (letter_node[n] < 0)
				continue;
			one = NODEMASK(letter_node[n]);
			if (nodemask_equal(&mask, &one))
				text[i] = 'A' + n;
		}
	}
	text[nr] = '\0';
	return text;
}

/* mbind() of @nr pages from page @first on: 0 or what errno says */
static int mbind_pages(char *p, int first, int nr, int mode, const struct nodemask *mask,
		       unsigned int flags)
{
	return sys_mbind(p + first * page_size(), nr * page_size(), mode, mask, flags) ? errno : 0;
}

/* The same with BIND to the node of @letter */
static int bind_pages(char *p, int first, int nr, char letter,
		      unsigned int flags)
{
	struct nodemask mask = NODEMASK(node_of(letter));

	return mbind_pages(p, first, nr, MPOL_BIND, &mask, flags);
}

/* The frames of @nr pages, 0 where there is no page or no permission to see it */
struct frames {
	uint64_t frame[NR_PAGES];
};

static struct frames frames_of(char *p, int nr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct frames f = { };

	for (int i = 0; i < nr; i++) {
		uintptr_t addr = (uintptr_t)p + i * page_size();

		if (pread(fd, &f.frame[i], sizeof(f.frame[i]),
			  addr / page_size() * sizeof(f.frame[i])) != sizeof(f.frame[i]))
			f.frame[i] = 0;
		f.frame[i] &= (1ULL << 55) - 1;
	}
	close(fd);
	return f;
}

/* Pages that have another frame than before, "--x-" for the third */
static const char *replaced(const struct frames *before, char *p, int nr)
{
	static char text[NR_PAGES + 1];
	struct frames now = frames_of(p, nr);

	for (int i = 0; i < nr; i++)
		text[i] = before->frame[i] == now.frame[i] ? '-' : 'x';
	text[nr] = '\0';
	return text;
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

static void unpin(int pipefd[2])
{
	close(pipefd[0]);
	close(pipefd[1]);
}

#define NEED_CPUSET() do {						\
	NEED_ROOT();							\
	if (cpuset_error == ENODEV)					\
		SKIP(return, "needs cpuset");				\
	ASSERT_EQ(0, cpuset_error);					\
} while (0)

/* A child goes into the cpuset, which is given @mems, and still runs on A */
static void enter_cpuset(struct __test_metadata *_metadata, const struct nodemask *mems)
{
	struct nodemask seen;

	ASSERT_EQ(0, cpuset_set_mems(&cpuset, mems));
	ASSERT_EQ(0, cpuset_enter(&cpuset));
	ASSERT_EQ(0, sys_get_mempolicy(NULL, &seen, NULL, MPOL_F_MEMS_ALLOWED));
	ASSERT_TRUE(nodemask_equal(mems, &seen));
	ASSERT_EQ(0, numa_run_on(&nodes, letter_node[0]));
}

/*
 * A page is misplaced if it is on a node that the new policy is not in effect for.
 *
 * That is not the nodemask of the call: relative node numbers are folded onto the
 * allowed nodes, others are restricted to them, MPOL_PREFERRED uses the first one,
 * and MPOL_LOCAL and MPOL_DEFAULT have none. With MPOL_LOCAL it is the local node
 * that counts, and with MPOL_DEFAULT the policy that the range falls back to.
 */
FIXTURE(effective)
{
};

FIXTURE_SETUP(effective)
{
	NEED_MEMORY_NODES(&nodes, 2);
	NEED_BOTH_NODES(&nodes, 1);
}

FIXTURE_TEARDOWN(effective)
{
}

static const int modes_with_nodes[] = {
	MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE,
};

/* A relative nodemask that wraps around and names A, which has another number */
static struct nodemask wraps_to_a(void)
{
	int i = 0;

	while (nodes.mem[i] != letter_node[0])
		i++;
	return NODEMASK(i + nodes.nr_mem * (letter_node[0] / nodes.nr_mem + 1));
}

/* Pages are where relative node numbers want them */
TEST_F(effective, relative_strict)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes_with_nodes); i++) {
		struct nodemask user = wraps_to_a();
		char *p = map_anon(2);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_TRUE(place(p, "AA"));
		EXPECT_EQ(0, mbind_pages(p, 0, 2, modes_with_nodes[i] | MPOL_F_RELATIVE_NODES,
					 &user, STRICT)) {
			TH_LOG("mode \"%s\"", mpol_mode_name(modes_with_nodes[i]));
		}
		EXPECT_STREQ("??", policies(p, 2));
	}
}

/* ... and are not moved from there to there */
TEST_F(effective, relative_move)
{
	NEED_ROOT();
	for (size_t i = 0; i < ARRAY_SIZE(modes_with_nodes); i++) {
		struct nodemask user = wraps_to_a();
		struct frames before;
		char *p = map_anon(3);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_TRUE(place(p, "ABA"));
		before = frames_of(p, 3);
		EXPECT_EQ(0, mbind_pages(p, 0, 3, modes_with_nodes[i] | MPOL_F_RELATIVE_NODES,
					 &user, MOVE | STRICT));
		EXPECT_STREQ("-x-", replaced(&before, p, 3)) {
			TH_LOG("mode \"%s\"", mpol_mode_name(modes_with_nodes[i]));
		}
		EXPECT_STREQ("AAA", where(p, 3));
		EXPECT_TRUE(intact(p, 3, NULL));
	}
}

/*
 * In a cpuset of B, pages that come from elsewhere: they are of a file, which was
 * written outside. A relative A is B, so that is where they have to go.
 */
TEST_F(effective, cpuset_relative)
{
	struct nodemask mems = mask_of("B"), user = mask_of("A");
	int fd[ARRAY_SIZE(modes_with_nodes)];

	NEED_CPUSET();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = file_of("AA");
		ASSERT_LE(0, fd[i]);
	}
	IN_CHILD({
		enter_cpuset(_metadata, &mems);
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
			int mode = modes_with_nodes[i] | MPOL_F_RELATIVE_NODES;
			char *p = map_area(2, fd[i], MAP_SHARED);

			ASSERT_NE(MAP_FAILED, p);
			ASSERT_TRUE(intact(p, 2, NULL));
			ASSERT_STREQ("AA", where(p, 2));
			EXPECT_EQ(EIO, mbind_pages(p, 0, 2, mode, &user, STRICT)) {
				TH_LOG("mode \"%s\"", mpol_mode_name(modes_with_nodes[i]));
			}
			EXPECT_EQ(0, mbind_pages(p, 0, 2, mode, &user, MOVE | STRICT));
			EXPECT_STREQ("BB", where(p, 2));
			EXPECT_TRUE(intact(p, 2, NULL));
		}
	});
}

/*
 * In a cpuset of two nodes, with the number of one of them, which as a relative
 * number is the other's: in {1,2} number 1 is node 2, and in {0,2} number 2 is
 * node 0.
 */
TEST_F(effective, cpuset_relative_swapped)
{
	const int *mem = nodes.mem;
	struct nodemask mems, user, want;
	int from, to;

	NEED_MEMORY_NODES(&nodes, 3);
	NEED_CPUSET();
	from = mem[1];
	to = from % 2 ? mem[2] : mem[0];
	mems = NODEMASK(from, to);
	user = NODEMASK(from);
	want = NODEMASK(to);
	IN_CHILD({
		char *p = map_anon(2);

		ASSERT_NE(MAP_FAILED, p);
		enter_cpuset(_metadata, &mems);
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &user));
		fill_page(p, 0);
		ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &want));
		fill_page(p, 1);
		ASSERT_EQ(from, page_node(p));
		ASSERT_EQ(to, page_node(p + page_size()));

		EXPECT_EQ(EIO, mbind_pages(p, 0, 1, MPOL_BIND | MPOL_F_RELATIVE_NODES, &user,
					   STRICT));
		EXPECT_EQ(0, mbind_pages(p, 1, 1, MPOL_BIND | MPOL_F_RELATIVE_NODES, &user,
					 STRICT));
		EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_BIND | MPOL_F_RELATIVE_NODES, &user,
					 MOVE | STRICT));
		EXPECT_EQ(to, page_node(p));
		EXPECT_EQ(to, page_node(p + page_size()));
		EXPECT_TRUE(intact(p, 2, NULL));
	});
}

/*
 * Without flags and with MPOL_F_STATIC_NODES "the intersection" with the cpuset
 * is used: A is in the mask, but not in the policy.
 */
TEST_F(effective, cpuset_intersection)
{
	static const int flags[] = { 0, MPOL_F_STATIC_NODES };
	struct nodemask mems = mask_of("B"), user = mask_of("AB");
	int fd[ARRAY_SIZE(flags)];

	NEED_CPUSET();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = file_of("AA");
		ASSERT_LE(0, fd[i]);
	}
	IN_CHILD({
		enter_cpuset(_metadata, &mems);
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
			char *p = map_area(2, fd[i], MAP_SHARED);

			ASSERT_NE(MAP_FAILED, p);
			ASSERT_TRUE(intact(p, 2, NULL));
			ASSERT_STREQ("AA", where(p, 2));
			EXPECT_EQ(EIO, mbind_pages(p, 0, 2, MPOL_BIND | flags[i], &user, STRICT));
			EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_BIND | flags[i], &user,
						 MOVE | STRICT));
			EXPECT_STREQ("BB", where(p, 2));
			EXPECT_TRUE(intact(p, 2, NULL));
		}
	});
}

/* MPOL_PREFERRED: of several nodes the first one is the preferred */
TEST_F(effective, preferred_first_node)
{
	struct nodemask user = mask_of("AB");
	char first = letter_node[0] < letter_node[1] ? 'A' : 'B';
	const char *want = first == 'A' ? "AA" : "BB";
	char *p = map_anon(2);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_TRUE(place(p, "AB"));
	EXPECT_EQ(EIO, mbind_pages(p, 0, 2, MPOL_PREFERRED, &user, STRICT));
	EXPECT_STREQ("..", policies(p, 2));
	EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_PREFERRED, &user, MOVE | STRICT));
	EXPECT_STREQ(want, where(p, 2));
	EXPECT_TRUE(intact(p, 2, NULL));
}

/* MPOL_LOCAL, which MPOL_PREFERRED without nodes is another name for */
static const int local_modes[] = { MPOL_LOCAL, MPOL_PREFERRED };

TEST_F(effective, local_strict)
{
	struct nodemask none = { };

	for (size_t i = 0; i < ARRAY_SIZE(local_modes); i++) {
		char *p = map_anon(2);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_TRUE(place(p, "AA"));
		EXPECT_EQ(0, mbind_pages(p, 0, 2, local_modes[i], &none, STRICT)) {
			TH_LOG("mode \"%s\"", mpol_mode_name(local_modes[i]));
		}
		EXPECT_STREQ("??", policies(p, 2));
		EXPECT_STREQ("AA", where(p, 2));
	}
}

TEST_F(effective, local_move)
{
	struct nodemask none = { };

	NEED_ROOT();
	for (size_t i = 0; i < ARRAY_SIZE(local_modes); i++) {
		struct frames before;
		char *p = map_anon(4);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_TRUE(place(p, "ABAA"));
		before = frames_of(p, 4);
		EXPECT_EQ(0, mbind_pages(p, 0, 4, local_modes[i], &none, MOVE | STRICT));
		EXPECT_STREQ("-x--", replaced(&before, p, 4)) {
			TH_LOG("mode \"%s\"", mpol_mode_name(local_modes[i]));
		}
		EXPECT_STREQ("AAAA", where(p, 4));
		EXPECT_TRUE(intact(p, 4, NULL));
	}
}

/* Nothing has to be moved, so it does not matter that nothing can be */
TEST_F(effective, local_pinned)
{
	struct nodemask none = { };
	char *p = map_anon(2);
	int pipefd[2];

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_TRUE(place(p, "AA"));
	ASSERT_TRUE(pin(pipefd, p, 2));
	EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_LOCAL, &none, MOVE | STRICT));
	EXPECT_STREQ("AA", where(p, 2));
	unpin(pipefd);
}

/* Memory just got from the local node is local, also if that node has no memory itself */
TEST_F(effective, local_everywhere)
{
	struct nodemask none = { };

	for (int i = 0; i < nodes.nr_cpu; i++) {
		struct frames before;
		char *p = map_anon(2);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, numa_run_on(&nodes, nodes.cpu[i]));
		fill_page(p, 0);
		fill_page(p, 1);
		before = frames_of(p, 2);
		EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_LOCAL, &none, STRICT)) {
			TH_LOG("on node %d, pages on node %d", nodes.cpu[i], page_node(p));
		}
		EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_LOCAL, &none, MOVE | STRICT));
		EXPECT_STREQ("--", replaced(&before, p, 2)) {
			TH_LOG("on node %d", nodes.cpu[i]);
		}
		EXPECT_TRUE(intact(p, 2, NULL));
	}
}

/* A cpuset that has no memory of the local node: as near as is allowed */
TEST_F(effective, cpuset_local)
{
	struct nodemask mems = mask_of("B"), none = { };

	NEED_CPUSET();
	IN_CHILD({
		struct frames before;
		char *p = map_anon(2);

		ASSERT_NE(MAP_FAILED, p);
		enter_cpuset(_metadata, &mems);
		fill_page(p, 0);
		fill_page(p, 1);
		ASSERT_STREQ("BB", where(p, 2));
		before = frames_of(p, 2);
		EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_LOCAL, &none, STRICT));
		EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_LOCAL, &none, MOVE | STRICT));
		EXPECT_STREQ("--", replaced(&before, p, 2));
		/* no task policy: local as well, and as little to move */
		EXPECT_EQ(0, mbind_pages(p, 0, 2, MPOL_DEFAULT, NULL, MOVE));
		EXPECT_STREQ("--", replaced(&before, p, 2));
		EXPECT_TRUE(intact(p, 2, NULL));
	});
}

/* No policy anywhere: local */
TEST_F(effective, default_is_local)
{
	struct frames before;
	char *p = map_anon(4);

	NEED_ROOT();
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_TRUE(place(p, "ABAB"));
	before = frames_of(p, 4);
	EXPECT_EQ(0, mbind_pages(p, 0, 4, MPOL_DEFAULT, NULL, MOVE));
	EXPECT_STREQ("-x-x", replaced(&before, p, 4));
	EXPECT_STREQ("AAAA", where(p, 4));
	EXPECT_TRUE(intact(p, 4, NULL));
}

/* The task's policy allows both nodes, and its pages on both stay */
TEST_F(effective, default_is_task_policy)
{
	static const int modes[] = {
		MPOL_BIND, MPOL_PREFERRED_MANY, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE,
	};
	struct nodemask both = mask_of("AB");

	NEED_ROOT();
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct frames before;
		char *p = map_anon(4);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_TRUE(place(p, "ABBA"));
		before = frames_of(p, 4);
		ASSERT_EQ(0, sys_set_mempolicy(modes[i], &both));
		EXPECT_EQ(0, mbind_pages(p, 0, 4, MPOL_DEFAULT, NULL, MOVE));
		EXPECT_STREQ("----", replaced(&before, p, 4)) {
			TH_LOG("mode \"%s\"", mpol_mode_name(modes[i]));
		}
		EXPECT_STREQ("ABBA", where(p, 4));
		EXPECT_TRUE(intact(p, 4, NULL));
	}
}

/* The task's policy is for one node, which is not the local one */
TEST_F(effective, default_is_remote)
{
	static const int modes[] = { MPOL_BIND, MPOL_PREFERRED, MPOL_PREFERRED_MANY };
	struct nodemask b = mask_of("B");

	NEED_ROOT();
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct frames before;
		char *p = map_anon(4);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_TRUE(place(p, "BABB"));
		before = frames_of(p, 4);
		ASSERT_EQ(0, sys_set_mempolicy(modes[i], &b));
		EXPECT_EQ(0, mbind_pages(p, 0, 4, MPOL_DEFAULT, NULL, MOVE));
		EXPECT_STREQ("-x--", replaced(&before, p, 4)) {
			TH_LOG("mode \"%s\"", mpol_mode_name(modes[i]));
		}
		EXPECT_STREQ("BBBB", where(p, 4));
		EXPECT_TRUE(intact(p, 4, NULL));
	}
}

/*
 * What is moved, and what must stay as it is. Most of it is the same for private
 * anonymous memory and for a file that is mapped shared.
 */
FIXTURE(move)
{
	int fd;
	char *p;		/* NR_PAGES, none of them touched */
};

FIXTURE_VARIANT(move)
{
	bool shmem;
};

FIXTURE_VARIANT_ADD(move, anon) { .shmem = false };
FIXTURE_VARIANT_ADD(move, shmem) { .shmem = true };

FIXTURE_SETUP(move)
{
	NEED_MEMORY_NODES(&nodes, 2);
	NEED_BOTH_NODES(&nodes, 1);
	self->fd = -1;
	if (variant->shmem) {
		self->fd = memfd_create("object", MFD_CLOEXEC);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, ftruncate(self->fd, NR_PAGES * page_size()));
	}
	self->p = map_area(NR_PAGES, self->fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(move)
{
}

/* For the tests of this fixture, all about its one area */
#define PLACE(letters)		ASSERT_TRUE(place(self->p, letters))
#define BIND(first, nr, letter, flags)					\
	bind_pages(self->p, first, nr, letter, flags)
#define EXPECT_WHERE(letters) do {					\
	EXPECT_STREQ(letters, where(self->p, NR_PAGES));	\
	EXPECT_TRUE(intact(self->p, NR_PAGES, letters));		\
} while (0)
#define EXPECT_POLICIES(letters)					\
	EXPECT_STREQ(letters, policies(self->p, NR_PAGES))

/* The range, and neither the page before nor the page after it */
TEST_F(move, exact_range)
{
	PLACE("AAAAAA");
	EXPECT_EQ(0, BIND(2, 2, 'B', MOVE | STRICT));
	EXPECT_WHERE("AABBAA");
	EXPECT_POLICIES("..BB..");
	EXPECT_EQ(0, BIND(0, 1, 'B', MOVE | STRICT));
	EXPECT_WHERE("BABBAA");
	EXPECT_EQ(0, BIND(5, 1, 'B', MOVE | STRICT));
	EXPECT_WHERE("BABBAB");
	EXPECT_POLICIES("B.BB.B");
	EXPECT_EQ(0, BIND(1, 3, 'A', MOVE));
	EXPECT_WHERE("BAAAAB");
	EXPECT_POLICIES("BAAA.B");
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_WHERE("BBBBBB");
	EXPECT_POLICIES("BBBBBB");
}

/* A length that ends within a page is for the whole page */
TEST_F(move, length_rounds_up)
{
	struct nodemask b = mask_of("B");

	PLACE("AAAAAA");
	EXPECT_EQ(0, sys_mbind(self->p, 1, MPOL_BIND, &b, MOVE | STRICT));
	EXPECT_WHERE("BAAAAA");
	EXPECT_EQ(0, sys_mbind(self->p + 2 * page_size(), page_size() + 1, MPOL_BIND, &b,
			       MOVE | STRICT));
	EXPECT_WHERE("BABBAA");
	EXPECT_POLICIES("B.BB..");
}

/* Pages that are right are not moved */
TEST_F(move, only_misplaced)
{
	struct frames before;

	NEED_ROOT();
	PLACE("ABABBA");
	before = frames_of(self->p, NR_PAGES);
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_STREQ("x-x--x", replaced(&before, self->p, NR_PAGES));
	EXPECT_WHERE("BBBBBB");

	before = frames_of(self->p, NR_PAGES);
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_STREQ("------", replaced(&before, self->p, NR_PAGES));
}

/* Pages that are not there yet are not missed, and come where the policy says */
TEST_F(move, only_present)
{
	PLACE("A.A..A");
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_WHERE("B.B..B");
	fill_page(self->p, 1);
	fill_page(self->p, 4);
	EXPECT_WHERE("BBB.BB");
}

/* Moved pages are as writable as before */
TEST_F(move, write_after)
{
	size_t len = NR_PAGES * page_size();
	struct frames before;

	PLACE("AAAAAA");
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	before = frames_of(self->p, NR_PAGES);
	for (int page = 0; page < NR_PAGES; page++) {
		memset(self->p + page * (len / NR_PAGES), 0, len / NR_PAGES);
		fill_page(self->p, page);
	}
	EXPECT_STREQ("------", replaced(&before, self->p, NR_PAGES));
	EXPECT_WHERE("BBBBBB");
}

/* Parts of two VMAs, which differ in protection */
TEST_F(move, two_vmas)
{
	PLACE("AAAAAA");
	ASSERT_EQ(0, mprotect(self->p, 3 * page_size(), PROT_READ));
	EXPECT_EQ(0, BIND(1, 4, 'B', MOVE | STRICT));
	EXPECT_WHERE("ABBBBA");
	EXPECT_POLICIES(".BBBB.");
	EXPECT_EQ(4, vma_count(self->p, NR_PAGES * page_size()));
}

/* No flags: pages stay, and STRICT fails because of them */
TEST_F(move, no_flags)
{
	struct frames before;

	PLACE("AAA...");
	before = frames_of(self->p, NR_PAGES);
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', 0));
	EXPECT_POLICIES("BBBBBB");
	EXPECT_STREQ("------", replaced(&before, self->p, NR_PAGES));
	EXPECT_WHERE("AAA...");
	fill_page(self->p, 4);
	EXPECT_WHERE("AAA.B.");
}

/* STRICT alone: one misplaced page is enough, and nothing is changed */
TEST_F(move, strict_alone)
{
	PLACE("BBBB.A");
	EXPECT_EQ(EIO, BIND(0, NR_PAGES, 'B', STRICT));
	EXPECT_POLICIES("......");
	EXPECT_WHERE("BBBB.A");
	EXPECT_EQ(EIO, BIND(5, 1, 'B', STRICT));
	EXPECT_POLICIES("......");

	/* without that page it succeeds */
	EXPECT_EQ(0, BIND(0, 5, 'B', STRICT));
	EXPECT_POLICIES("BBBBB.");
	EXPECT_WHERE("BBBB.A");

	/* a policy that is there already makes no difference */
	EXPECT_EQ(EIO, BIND(0, NR_PAGES, 'A', STRICT));
	EXPECT_EQ(EIO, BIND(0, NR_PAGES, 'B', STRICT));
	EXPECT_POLICIES("BBBBB.");
}

/* STRICT alone, and the misplaced page is in the second VMA */
TEST_F(move, strict_alone_two_vmas)
{
	PLACE("BBBBBA");
	ASSERT_EQ(0, mprotect(self->p, 3 * page_size(), PROT_READ));
	EXPECT_EQ(EIO, BIND(0, NR_PAGES, 'B', STRICT));
	EXPECT_POLICIES("......");
	EXPECT_EQ(2, vma_count(self->p, NR_PAGES * page_size()));
}

/* MPOL_DEFAULT has nothing to be strict about */
TEST_F(move, strict_default)
{
	PLACE("AB.BAB");
	ASSERT_EQ(0, BIND(0, NR_PAGES, 'B', 0));
	EXPECT_EQ(0, mbind_pages(self->p, 0, NR_PAGES, MPOL_DEFAULT, NULL, STRICT));
	EXPECT_POLICIES("......");
	EXPECT_WHERE("AB.BAB");
}

/*
 * A page that cannot be moved does not keep others from it, nor the policy from
 * being installed; with STRICT one is told.
 */
TEST_F(move, unmovable)
{
	int pipefd[2];

	PLACE("AAAAAA");
	ASSERT_TRUE(pin(pipefd, self->p + 2 * page_size(), 2));
	EXPECT_EQ(0, BIND(0, 5, 'B', MOVE));
	EXPECT_WHERE("BBAABA");
	EXPECT_POLICIES("BBBBB.");

	EXPECT_EQ(EIO, BIND(1, 5, 'B', MOVE | STRICT));
	EXPECT_WHERE("BBAABB");
	EXPECT_POLICIES("BBBBBB");

	/* nothing is left of the failures */
	unpin(pipefd);
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_WHERE("BBBBBB");
}

/* Without access, without having been given it for the move */
TEST_F(move, prot_none)
{
	size_t len = 4 * page_size();

	PLACE("AAAAAA");
	ASSERT_EQ(0, mprotect(self->p + page_size(), len, PROT_NONE));
	EXPECT_EQ(EIO, BIND(1, 4, 'B', STRICT));
	EXPECT_EQ(0, BIND(1, 4, 'B', MOVE | STRICT));
	EXPECT_STREQ("ABBBBA", where(self->p, NR_PAGES));
	ASSERT_EQ(0, mprotect(self->p + page_size(), len, PROT_READ));
	EXPECT_WHERE("ABBBBA");
}

/* Locked pages are moved and stay locked */
TEST_F(move, mlocked)
{
	size_t len = NR_PAGES * page_size();

	PLACE("AAAAAA");
	ASSERT_EQ(0, mlock(self->p, len));
	EXPECT_EQ(0, BIND(1, 4, 'B', MOVE | STRICT));
	EXPECT_WHERE("ABBBBA");
	EXPECT_EQ(len / 1024, smaps_kb(self->p, len, "Locked"));
	ASSERT_EQ(0, munlock(self->p, len));
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'A', MOVE | STRICT));
	EXPECT_WHERE("AAAAAA");
}

/* Interleaving does not redistribute what is on its nodes, however it is spread */
TEST_F(move, interleave_keeps)
{
	static const int modes[] = { MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE };
	struct nodemask both = mask_of("AB");
	struct frames before;

	NEED_ROOT();
	PLACE("BBBBBA");
	before = frames_of(self->p, NR_PAGES);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(0, mbind_pages(self->p, 0, NR_PAGES, modes[i], &both, STRICT));
		EXPECT_EQ(0, mbind_pages(self->p, 0, NR_PAGES, modes[i], &both, MOVE | STRICT));
		EXPECT_STREQ("------", replaced(&before, self->p, NR_PAGES));
	}
	EXPECT_WHERE("BBBBBA");
}

/* What is elsewhere comes to the nodes in turn, by its place in the area */
TEST_F(move, interleave_distributes)
{
	struct nodemask both = mask_of("AB");
	struct frames before;
	const char *now;

	NEED_MEMORY_NODES(&nodes, 3);
	NEED_ROOT();
	PLACE("CACCBC");
	before = frames_of(self->p, NR_PAGES);
	EXPECT_EQ(EIO, mbind_pages(self->p, 0, NR_PAGES, MPOL_INTERLEAVE, &both, STRICT));
	EXPECT_EQ(0, mbind_pages(self->p, 0, NR_PAGES, MPOL_INTERLEAVE, &both, MOVE | STRICT));
	EXPECT_STREQ("x-xx-x", replaced(&before, self->p, NR_PAGES));
	now = where(self->p, NR_PAGES);
	/* which of the two comes first depends on the address or the inode number */
	EXPECT_TRUE(!strcmp(now, "AAABBB") || !strcmp(now, "BABABA")) {
		TH_LOG("pages are %s", now);
	}
	EXPECT_TRUE(intact(self->p, NR_PAGES, NULL));
}

/* A hole anywhere in the range: nothing is done */
TEST_F(move, hole)
{
	PLACE("AAAAAA");
	ASSERT_EQ(0, munmap(self->p + 2 * page_size(), page_size()));
	for (unsigned int flags = 0; flags <= (MOVE | STRICT); flags++) {
		EXPECT_EQ(EFAULT, BIND(0, NR_PAGES, 'B', flags));
		EXPECT_EQ(EFAULT, BIND(2, 2, 'B', flags));
		EXPECT_EQ(EFAULT, BIND(0, 3, 'B', flags));
		EXPECT_EQ(EFAULT, BIND(2, 1, 'B', flags));
	}
	EXPECT_WHERE("AA.AAA");
	EXPECT_POLICIES("..!...");
}

/*
 * A hole that is found when pages of a VMA before it are on their way already:
 * they are put back, and can be moved later.
 */
TEST_F(move, hole_found_late)
{
	struct frames before;

	PLACE("AAAAAA");
	ASSERT_EQ(0, mprotect(self->p, 2 * page_size(), PROT_READ));
	ASSERT_EQ(0, munmap(self->p + 4 * page_size(), page_size()));
	before = frames_of(self->p, NR_PAGES);
	EXPECT_EQ(EFAULT, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_STREQ("------", replaced(&before, self->p, NR_PAGES));
	EXPECT_WHERE("AAAA.A");
	EXPECT_POLICIES("....!.");

	EXPECT_EQ(0, BIND(0, 4, 'B', MOVE | STRICT));
	EXPECT_WHERE("BBBB.A");
}

/* MPOL_DEFAULT takes holes, but not a range that is nothing else */
TEST_F(move, hole_default)
{
	PLACE("AAAAAA");
	ASSERT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	ASSERT_EQ(0, munmap(self->p + 2 * page_size(), page_size()));
	EXPECT_EQ(EFAULT, mbind_pages(self->p, 2, 1, MPOL_DEFAULT, NULL, MOVE));
	EXPECT_WHERE("BB.BBB");
	EXPECT_POLICIES("BB!BBB");

	EXPECT_EQ(0, mbind_pages(self->p, 1, 4, MPOL_DEFAULT, NULL, MOVE));
	EXPECT_WHERE("BA.AAB");
	EXPECT_POLICIES("B.!..B");
}

/*
 * Pages that another process has mapped as well are nobody's to move, and that is
 * no failure. The private copy of one of them that a write makes is.
 */
TEST_F(move, shared_stay)
{
	PLACE("AAAAAA");
	IN_CHILD({
		struct frames before;

		/* the shared mapping of a file comes without its pages */
		ASSERT_TRUE(intact(self->p, NR_PAGES, NULL));
		if (!variant->shmem)
			fill_page(self->p, 1);
		before = frames_of(self->p, NR_PAGES);
		EXPECT_EQ(EIO, BIND(0, NR_PAGES, 'B', STRICT));
		EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
		if (variant->shmem) {
			EXPECT_STREQ("------", replaced(&before, self->p, NR_PAGES));
			EXPECT_WHERE("AAAAAA");
		} else {
			EXPECT_WHERE("ABAAAA");
		}
		EXPECT_POLICIES("BBBBBB");
	});
	EXPECT_WHERE("AAAAAA");

	/* again the only process that has them */
	EXPECT_EQ(0, BIND(0, NR_PAGES, 'B', MOVE | STRICT));
	EXPECT_WHERE("BBBBBB");
}

/* MOVE_ALL moves them for both */
TEST_F(move, all_moves_shared)
{
	NEED_ROOT();
	PLACE("AAAAAA");
	IN_CHILD({
		ASSERT_TRUE(intact(self->p, NR_PAGES, NULL));
		EXPECT_EQ(0, BIND(1, 3, 'B', MOVE_ALL | STRICT));
		EXPECT_WHERE("ABBBAA");
		EXPECT_POLICIES(".BBB..");
	});
	EXPECT_WHERE("ABBBAA");
	/* a VMA has its own policy in each process, an object has one for all */
	EXPECT_POLICIES(variant->shmem ? ".BBB.." : "......");
}

/* MOVE_ALL needs CAP_SYS_NICE, before all else */
TEST_F(move, all_needs_capability)
{
	NEED_ROOT();
	PLACE("AAAAAA");
	IN_CHILD({
		ASSERT_EQ(0, syscall(SYS_setuid, 65534));
		EXPECT_EQ(EPERM, BIND(0, NR_PAGES, 'B', MOVE_ALL));
		EXPECT_EQ(EPERM, BIND(0, NR_PAGES, 'B', MOVE_ALL | MOVE | STRICT));
		EXPECT_EQ(EPERM, BIND(0, 0, 'B', MOVE_ALL));
		EXPECT_POLICIES("......");
	});
	EXPECT_WHERE("AAAAAA");
	EXPECT_POLICIES("......");
}

/* No nodemask: pages move to the local node, or to where the task policy wants them */
TEST_F(move, without_nodes)
{
	struct nodemask b = mask_of("B"), none = { };

	PLACE("BBBBBB");
	EXPECT_EQ(EIO, mbind_pages(self->p, 0, 2, MPOL_LOCAL, &none, STRICT));
	EXPECT_EQ(0, mbind_pages(self->p, 0, 2, MPOL_LOCAL, &none, MOVE | STRICT));
	EXPECT_WHERE("AABBBB");
	EXPECT_EQ(0, mbind_pages(self->p, 2, 2, MPOL_DEFAULT, NULL, MOVE));
	EXPECT_WHERE("AAAABB");
	EXPECT_POLICIES("??....");
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &b));
	EXPECT_EQ(0, mbind_pages(self->p, 0, NR_PAGES, MPOL_DEFAULT, NULL, MOVE));
	EXPECT_WHERE("BBBBBB");
	EXPECT_POLICIES("......");
}

/*
 * Special kinds of memory.
 */
FIXTURE(kinds)
{
};

FIXTURE_SETUP(kinds)
{
	NEED_MEMORY_NODES(&nodes, 2);
	NEED_BOTH_NODES(&nodes, 1);
}

FIXTURE_TEARDOWN(kinds)
{
}

/* The zero page is everybody's, on any node, and never misplaced */
TEST_F(kinds, zero_page)
{
	char *p = map_anon(4), *zeroes = calloc(1, page_size());
	struct frames before;

	ASSERT_NE(NULL, zeroes);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_TRUE(place(p, ".A.."));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(i == 1 ? (char)first_word(1) : 0,
			  ((volatile char *)p)[i * page_size()]);
	before = frames_of(p, 4);
	for (char letter = 'A'; letter <= 'B'; letter++) {
		EXPECT_EQ(0, bind_pages(p, 2, 1, letter, STRICT));
		EXPECT_EQ(0, bind_pages(p, 0, 4, letter, MOVE | STRICT));
	}
	/* without root no frame is known */
	EXPECT_STREQ(geteuid() ? "----" : "-x--", replaced(&before, p, 4));
	EXPECT_STREQ(".B..", where(p, 4));
	for (int i = 0; i < 3; i += 2)
		EXPECT_EQ(0, memcmp(p + i * page_size(), zeroes, page_size()));
	EXPECT_TRUE(intact(p, 4, ".B.."));

	/* it is replaced when it is written to, as ever */
	fill_page(p, 0);
	EXPECT_STREQ("BB..", where(p, 4));
	EXPECT_TRUE(intact(p, 4, "BB.."));
}

/*
 * Only pages that are mapped in the range: other pages of the file stay. Writing maps
 * one page, where reading maps those around it as well.
 */
TEST_F(kinds, file_not_mapped)
{
	int fd = file_of("AAAA");
	char *p;

	ASSERT_LE(0, fd);
	p = map_area(4, fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p + page_size(), page_size(), MADV_POPULATE_WRITE));
	ASSERT_STREQ(".A..", where(p, 4));
	EXPECT_EQ(0, bind_pages(p, 0, 4, 'B', MOVE | STRICT));
	EXPECT_TRUE(intact(p, 4, NULL));
	EXPECT_STREQ("ABAA", where(p, 4));
	EXPECT_EQ(0, bind_pages(p, 0, 4, 'B', MOVE | STRICT));
	EXPECT_STREQ("BBBB", where(p, 4));
	EXPECT_TRUE(intact(p, 4, NULL));
}

/* Mapped twice is shared, also by the same process */
TEST_F(kinds, mapped_twice)
{
	int fd = file_of("AAAA");
	char *p, *q;

	NEED_ROOT();
	ASSERT_LE(0, fd);
	p = map_area(4, fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	q = map_area(4, fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, madvise(p, 4 * page_size(), MADV_POPULATE_WRITE));
	ASSERT_EQ(0, madvise(q + page_size(), 2 * page_size(), MADV_POPULATE_WRITE));
	ASSERT_STREQ(".AA.", where(q, 4));
	EXPECT_EQ(0, bind_pages(p, 0, 4, 'B', MOVE | STRICT));
	EXPECT_STREQ("BAAB", where(p, 4));
	EXPECT_EQ(0, bind_pages(p, 0, 4, 'B', MOVE_ALL | STRICT));
	EXPECT_STREQ("BBBB", where(p, 4));
	EXPECT_TRUE(intact(p, 4, NULL));
	EXPECT_TRUE(intact(q, 4, NULL));
	EXPECT_STREQ("BBBB", where(q, 4));
}

/* A private mapping has pages of the file and copies of its own */
TEST_F(kinds, file_private)
{
	int fd = file_of("AAAA");
	struct nodemask a = mask_of("A");
	char *p, *q, *copies;

	ASSERT_LE(0, fd);
	p = map_area(4, fd, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, 4 * page_size(), MADV_POPULATE_READ));
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &a));
	copies = p + 2 * page_size();
	fill_page(copies, 0);
	fill_page(copies, 1);
	ASSERT_STREQ("AAAA", where(p, 4));
	EXPECT_EQ(0, bind_pages(p, 1, 2, 'B', MOVE | STRICT));
	EXPECT_STREQ("ABBA", where(p, 4));
	EXPECT_TRUE(intact(p, 2, NULL));
	EXPECT_TRUE(intact(copies, 2, NULL));

	/* the file has lost nothing, and of its pages only the mapped one has moved */
	q = map_area(4, fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_TRUE(intact(q, 4, NULL));
	EXPECT_STREQ("ABAA", where(q, 4));
}

/* A huge page on A, filled; NULL if there is none to have */
static char *map_thp(void)
{
	struct nodemask a = mask_of("A");
	size_t size = thp_size();
	char *p;

	p = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	p += 1;
	p += -(uintptr_t)p & (size - 1);
	p = mmap(p, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, size, MADV_HUGEPAGE) || sys_set_mempolicy(MPOL_BIND, &a))
		return NULL;
	for (size_t i = 0; i < size / page_size(); i++)
		fill_page(p, i);
	if (sys_set_mempolicy(MPOL_DEFAULT, NULL) ||
	    smaps_kb(p, size, "AnonHugePages") * 1024 != size)
		return NULL;
	return p;
}

/* A huge page moves as one */
TEST_F(kinds, thp)
{
	static unsigned long count[NUMA_MAX_NODES];
	long size = thp_size(), pages = size / page_size();
	char *p;

	if (!size)
		SKIP(return, "needs thp");
	p = map_thp();
	ASSERT_NE(NULL, p);
	EXPECT_EQ(EIO, bind_pages(p, 0, pages, 'B', STRICT));
	EXPECT_EQ(0, bind_pages(p, 0, pages, 'A', STRICT));
	EXPECT_EQ(0, bind_pages(p, 0, pages, 'B', MOVE | STRICT));
	EXPECT_EQ(size, smaps_kb(p, size, "AnonHugePages") * 1024);
	EXPECT_EQ(pages, page_nodes(p, size, page_size(), count));
	EXPECT_EQ(pages, count[letter_node[1]]);
	EXPECT_EQ(pages, numa_maps_nodes(p, size, count));
	EXPECT_EQ(pages, count[letter_node[1]]);
	EXPECT_TRUE(intact(p, pages, NULL));
}

/*
 * A range that is part of a huge page: all of the range moves. Whether the rest
 * comes along is up to the kernel.
 */
TEST_F(kinds, thp_part)
{
	static unsigned long count[NUMA_MAX_NODES], maps[NUMA_MAX_NODES];
	long size = thp_size(), pages = size / page_size(), part = pages / 4;
	char *p;

	if (!size)
		SKIP(return, "needs thp");
	p = map_thp();
	ASSERT_NE(NULL, p);
	EXPECT_EQ(EIO, bind_pages(p, part, part, 'B', STRICT));
	EXPECT_EQ(0, bind_pages(p, part, part, 'B', MOVE | STRICT));
	EXPECT_EQ(part, page_nodes(p + part * page_size(), part * page_size(), page_size(), count));
	EXPECT_EQ(part, count[letter_node[1]]);
	EXPECT_EQ(3, vma_count(p, size));
	EXPECT_EQ(pages, page_nodes(p, size, page_size(), count));
	EXPECT_EQ(pages, numa_maps_nodes(p, size, maps));
	EXPECT_EQ(0, memcmp(count, maps, sizeof(count)));
	EXPECT_TRUE(intact(p, pages, NULL));

	/* and the rest can still be moved */
	EXPECT_EQ(0, bind_pages(p, 0, pages, 'B', MOVE | STRICT));
	EXPECT_EQ(pages, page_nodes(p, size, page_size(), count));
	EXPECT_EQ(pages, count[letter_node[1]]);
	EXPECT_TRUE(intact(p, pages, NULL));
}

/*
 * Arguments: what is refused changes nothing.
 */
FIXTURE(arguments)
{
	char *p;		/* NR_PAGES on A */
};

FIXTURE_SETUP(arguments)
{
	NEED_MEMORY_NODES(&nodes, 2);
	NEED_BOTH_NODES(&nodes, 1);
	self->p = map_anon(NR_PAGES);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_TRUE(place(self->p, "AAAAAA"));
}

FIXTURE_TEARDOWN(arguments)
{
}

TEST_F(arguments, range)
{
	struct nodemask b = mask_of("B");
	size_t page = page_size(), overflow = -page;

	for (size_t off = 1; off < page; off *= 2) {
		ASSERT_EQ(-1, sys_mbind(self->p + off, page, MPOL_BIND, &b, MOVE));
		EXPECT_EQ(EINVAL, errno);
		ASSERT_EQ(-1, sys_mbind(self->p + off, 0, MPOL_DEFAULT, NULL, 0));
		EXPECT_EQ(EINVAL, errno);
	}
	ASSERT_EQ(-1, sys_mbind(self->p, overflow, MPOL_BIND, &b, MOVE));
	EXPECT_EQ(EINVAL, errno);
	/* up to the last byte there is: the end is 0 */
	ASSERT_EQ(-1, sys_mbind(self->p, -(uintptr_t)self->p - 1, MPOL_BIND, &b, MOVE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_WHERE("AAAAAA");
	EXPECT_POLICIES("......");
}

/* Nothing to do, so that it does not matter whether there is anything */
TEST_F(arguments, no_length)
{
	ASSERT_EQ(0, munmap(self->p, page_size()));
	for (unsigned int flags = 0; flags <= (MOVE | STRICT); flags++) {
		EXPECT_EQ(0, BIND(0, 0, 'B', flags));
		EXPECT_EQ(0, BIND(1, 0, 'B', flags));
	}
	EXPECT_WHERE(".AAAAA");
	EXPECT_POLICIES("!.....");
}

/* The kernel's own flags are among those that are refused */
TEST_F(arguments, flags)
{
	struct nodemask b = mask_of("B");

	for (int bit = 3; bit < 32; bit++) {
		for (unsigned int more = 0; more <= (MOVE | STRICT); more++) {
			ASSERT_EQ(-1, sys_mbind(self->p, page_size(), MPOL_BIND, &b,
						1u << bit | more));
			EXPECT_EQ(EINVAL, errno);
		}
		ASSERT_EQ(-1, sys_mbind(self->p, 0, MPOL_DEFAULT, NULL, 1u << bit));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_WHERE("AAAAAA");
	EXPECT_POLICIES("......");
}

TEST_F(arguments, policy)
{
	struct nodemask b = mask_of("B"), none = { };
	struct nodemask absent = NODEMASK(NUMA_MAX_NODES - 1);
	const struct {
		int mode;
		const struct nodemask *mask;
	} bad[] = {
		{ -1, &b },
		{ 100, &b },
		{ MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, &b },
		{ MPOL_BIND | 1 << 12, &b },
		{ MPOL_DEFAULT, &b },
		{ MPOL_LOCAL, &b },
		{ MPOL_LOCAL | MPOL_F_STATIC_NODES, &none },
		{ MPOL_LOCAL | MPOL_F_RELATIVE_NODES, &none },
		{ MPOL_PREFERRED | MPOL_F_STATIC_NODES, &none },
		{ MPOL_PREFERRED | MPOL_F_RELATIVE_NODES, &none },
		{ MPOL_BIND, &none },
		{ MPOL_BIND, NULL },
		{ MPOL_INTERLEAVE, &none },
		{ MPOL_WEIGHTED_INTERLEAVE, &none },
		{ MPOL_PREFERRED_MANY, &none },
		{ MPOL_BIND, &absent },
		{ MPOL_PREFERRED, &absent },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(EINVAL, mbind_pages(self->p, 0, NR_PAGES, bad[i].mode, bad[i].mask,
					      MOVE | STRICT)) {
			TH_LOG("policy %zu", i);
		}
	}
	/* more bits than the kernel takes, and a mask that cannot be read */
	ASSERT_EQ(-1, syscall(SYS_mbind, self->p, page_size(), MPOL_BIND, b.bits,
			      page_size() * 8 + 2, MOVE));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, syscall(SYS_mbind, self->p, page_size(), MPOL_BIND,
			      self->p - page_size(), 65, MOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_WHERE("AAAAAA");
	EXPECT_POLICIES("......");
}

/*
 * What all tests need is prepared once, as it takes longer than most of them. They
 * run on A. Children of tests go into the cpuset, one after the other, and leave it
 * by their end. The harness has a process of its own, so that all is restored
 * whatever becomes of it.
 */
int main(int argc, char **argv)
{
	struct nodemask first;
	long balancing;
	pid_t pid;
	int status, thp;

	if (numa_nodes_get(&nodes))
		return KSFT_FAIL;
	assign_letters();
	numa_run_on(&nodes, letter_node[0]);
	if (nodes.nr_mem < 2 || geteuid())
		return test_harness_run(argc, argv);	/* tests say why not */

	first = NODEMASK(nodes.mem[0]);
	if (cpuset_create(&cpuset))
		cpuset_error = errno;
	else if (cpuset_set_mems(&cpuset, &first))
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
