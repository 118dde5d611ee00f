// SPDX-License-Identifier: GPL-2.0
/*
 * mbind() with MPOL_MF_STRICT, MPOL_MF_MOVE and MPOL_MF_MOVE_ALL, and move_pages(),
 * by the kind of memory: what is moved, what stays, what is said about it, and that
 * every byte is still there afterwards, for all processes that have it.
 *
 * What is expected is what mbind(2) and move_pages(2) say: MPOL_MF_STRICT alone is
 * EIO for a page that does not follow the policy, with a MOVE flag it is EIO for a
 * page that "could not be moved", and pages of several processes are only to be moved
 * by MPOL_MF_MOVE_ALL; that MPOL_MF_MOVE leaves them is no failure. Where there is no
 * page, or one that is nobody's (the zero page), nothing can be misplaced.
 *
 * Memory of a kind has an ordinary page on each side where that is possible, and one
 * letter each says where they are:
 *
 *	+-------+-------------------+-------+
 *	| plain | memory of a kind  | plain |	"BAB": not the one between
 *	+-------+-------------------+-------+
 *
 * A: a node that has memory and CPUs, where the test runs; B: another one with
 * memory; C: a third one; ".": there is no page; "?": pages are here and there; "!":
 * move_pages() and numa_maps disagree.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/kernel-page-flags.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE		0x08
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447
#endif

#define STRICT		MPOL_MF_STRICT
#define MOVE		MPOL_MF_MOVE
#define MOVE_ALL	MPOL_MF_MOVE_ALL

#define KSM_DIR		"/sys/kernel/mm/ksm/"
#define MTHP_ENABLED	"/sys/kernel/mm/transparent_hugepage/hugepages-%zukB/enabled"

#define NR_LETTERS	3
#define NR_PAGES	5	/* of small kinds */
#define MTHP_PAGES	16
#define MAX_STEP	(32UL << 20)

/* The same for all tests, see main() */
static struct numa_nodes nodes;
static int letter_node[NR_LETTERS];	/* -1: there are fewer nodes */
static char mthp_enabled[128];		/* a file */

/* hugetlb pages that the nodes had before, and how many more there are now */
static long pool_before[NR_LETTERS], pool_added;

/* What another process does with the memory */
enum other_does { HAS, READS, WRITES, WRITES_FIRST };

struct area {
	char *p;
	size_t size;
	size_t step;		/* that much moves as one */
	size_t unit;		/* of what numa_maps counts */
	size_t filled;		/* that much has a content that is known: */
	char *saved;		/* this, or if it is NULL the pattern */
	bool plain;		/* there are pages on both sides */
	bool shared;		/* writes are seen by all processes */
	bool hidden;		/* no access */
	bool readonly;
	bool rewritten;		/* the first page */
	char *twin;		/* another mapping of the same pages, of this process */
	int fd, ring, pipefd[2];
	pid_t other;		/* a process that has the memory as well, see share() */
	int ask, answer;
	enum other_does other_does;
	bool (*still)(const struct area *a);	/* what else must not change */
	void (*release)(struct area *a);	/* it is ordinary memory again */
};

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

static int node_of(char letter)
{
	return letter_node[letter - 'A'];
}

/*
 * Contents. No two words are the same, and where a page begins depends on its number
 * and its version: no two pages have the same word at the same place.
 */
#define NR_VERSIONS	3	/* ours, ours rewritten, the other process's */
#define PATTERN_PAGES	1024
#define PLAIN		(PATTERN_PAGES - 2)

static uint64_t words[NR_VERSIONS * PATTERN_PAGES + (64 << 10) / sizeof(uint64_t)];

static const void *pattern(int page, int version)
{
	return &words[version * PATTERN_PAGES + page % PATTERN_PAGES];
}

/* Not memcmp(), whose vector instructions take an emulated guest ten times as long */
static bool same(const void *p, const void *q, size_t len)
{
	const uint64_t *a = p, *b = q;

	for (size_t i = 0; i < len / sizeof(*a); i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static void fill(const struct area *a, size_t from, size_t to, int version)
{
	size_t page = page_size();

	for (size_t off = from; off < to; off += page)
		memcpy(a->p + off, pattern(off / page, version), page);
}

/* Has the other process a copy of its own of the page at @off? */
static bool is_own(const struct area *a, size_t off)
{
	return a->other_does == WRITES || (a->other_does == WRITES_FIRST && !off);
}

/* Is @data what we see, or what others should see of the same memory? */
static bool is_content(const struct area *a, const char *data, bool other)
{
	size_t page = page_size();

	if (a->saved)
		return same(data, a->saved, a->filled);
	for (size_t off = 0; off < a->filled; off += page) {
		int version = !off && a->rewritten && (!other || a->shared);

		if (other && is_own(a, off))
			version = 2;
		if (!same(data + off, pattern(off / page, version), page))
			return false;
	}
	return true;
}

static bool intact(const struct area *a)
{
	size_t page = page_size();
	char c = a->rewritten;

	if (a->plain && !(same(a->p - page, pattern(PLAIN, 0), page) &&
			  same(a->p + a->size, pattern(PLAIN + 1, 0), page)))
		return false;
	if (!a->hidden && !is_content(a, a->p, false))
		return false;
	if (a->twin && !is_content(a, a->twin, true))
		return false;
	return !a->other || (write(a->ask, &c, 1) == 1 && read(a->answer, &c, 1) == 1 && c);
}

/* Where pages are, one letter for all of them; they are added to @sum by node */
static char letter_of(char *p, size_t len, size_t unit, unsigned long *sum)
{
	static unsigned long count[NUMA_MAX_NODES];
	long n = page_nodes(p, len, unit, count);
	char letter = n ? '?' : '.';

	for (int i = 0; i < NUMA_MAX_NODES; i++)
		sum[i] += count[i];
	for (int i = 0; i < NR_LETTERS && n; i++)
		if (letter_node[i] >= 0 && count[letter_node[i]] == n)
			letter = 'A' + i;
	return letter;
}

/* The same for an area and the pages around it; numa_maps has to show as much */
static const char *where(const struct area *a)
{
	static unsigned long sum[NUMA_MAX_NODES], maps[NUMA_MAX_NODES];
	size_t page = page_size(), side = a->plain ? page : 0;
	static char text[4];

	memset(sum, 0, sizeof(sum));
	text[0] = letter_of(a->p - side, side, page, sum);
	text[1] = letter_of(a->p, a->size, a->unit, sum);
	text[2] = letter_of(a->p + a->size, side, page, sum);
	if (numa_maps_nodes(a->p - side, side + a->size + side, maps) < 0 ||
	    memcmp(sum, maps, sizeof(sum)))
		return "!!!";
	return text;
}

/* ... and for one or more VMAs of small pages */
static char place(char *p, size_t len)
{
	struct area a = { .p = p, .size = len, .unit = page_size() };

	return where(&a)[1];
}

/* What where() should say */
static const char *there(const struct area *a, char kind, char plain)
{
	static char text[4];

	text[0] = a->plain ? plain : '.';
	text[1] = kind;
	text[2] = text[0];
	return text;
}

/* For another process shared pages are at @kind as well, and its own are still on A */
static bool other_at(const struct area *a, char kind)
{
	static void *pages[MAX_STEP / 4096];
	static int node[MAX_STEP / 4096];
	size_t page = page_size(), nr = a->filled / page;

	if (!a->other)
		return true;
	for (size_t i = 0; i < nr; i++)
		pages[i] = a->p + i * page;
	if (sys_move_pages(a->other, nr, pages, NULL, node, 0))
		return false;
	for (size_t i = 0; i < nr; i++)
		if (node[i] != node_of(is_own(a, i * page) ? 'A' : kind))
			return false;
	return true;
}

#define EXPECT_PLACED(a, kind, plain_) do {				\
	EXPECT_STREQ(there(a, kind, plain_), where(a));			\
	EXPECT_TRUE(intact(a));						\
	EXPECT_TRUE(other_at(a, kind));					\
} while (0)

#define EXPECT_STATE(a, kind, plain_) do {				\
	EXPECT_PLACED(a, kind, plain_);					\
	EXPECT_TRUE(!(a)->still || (a)->still(a));			\
} while (0)

/* The policy of an address: a letter for BIND to that node, "." for none */
static char policy_at(char *p)
{
	struct nodemask mask, one;
	int mode;

	if (sys_get_mempolicy(&mode, &mask, p, MPOL_F_ADDR))
		return '!';
	for (int i = 0; i < NR_LETTERS && mode == MPOL_BIND && letter_node[i] >= 0; i++) {
		one = NODEMASK(letter_node[i]);
		if (nodemask_equal(&mask, &one))
			return 'A' + i;
	}
	return mode == MPOL_DEFAULT ? '.' : '?';
}

/* mbind() with BIND to the node of @letter: 0 or what errno says */
static int bind_range(char *p, size_t len, char letter, unsigned int flags)
{
	struct nodemask mask = NODEMASK(node_of(letter));

	return sys_mbind(p, len, MPOL_BIND, &mask, flags) ? errno : 0;
}

/* The same for all there is. A length that ends within a page is for the whole page. */
static int bind_all(const struct area *a, char letter, unsigned int flags)
{
	size_t page = a->plain ? page_size() : 0;

	return bind_range(a->p - page, page + a->size + page - 1, letter, flags);
}

/* An entry of /proc/self/pagemap, 0 if there is none */
static uint64_t pagemap(const char *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	if (pread(fd, &entry, sizeof(entry), (uintptr_t)addr / page_size() * sizeof(entry)) < 0)
		entry = 0;
	close(fd);
	return entry;
}

/* Have the first and the last page a flag of /proc/kpageflags? Without root all have. */
static bool has_flag(const struct area *a, int flag)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	const char *page[] = { a->p, a->p + a->filled - page_size() };
	uint64_t flags = 0, all = ~0ULL;

	if (fd < 0)
		return true;
	for (int i = 0; i < 2; i++) {
		uint64_t frame = pagemap(page[i]) & ((1ULL << 55) - 1);

		if (pread(fd, &flags, sizeof(flags), frame * sizeof(flags)) < 0)
			flags = 0;
		all &= flags;
	}
	close(fd);
	return all >> flag & 1;
}

/*
 * Memory. Where it comes from is up to the policy of the task. A failure is an errno,
 * and with one of absent() this machine has nothing of the kind.
 */
enum memory {
	ANON, PAGE, STACK, DROPPABLE, SHMEM, TMPFS, RAMFS, RAMDISK, SECRET, THP, MTHP, TMPFS_THP,
	HUGETLB, HUGETLB_NO_POOL, HUGETLB_SHM,
};

static bool absent(int error)
{
	return error == ENOSYS || error == ENODEV || error == ENOENT || error == EOPNOTSUPP ||
	       error == EPERM || error == EACCES;
}

/* EINVAL is what older kernels say of a flag */
static bool new_flag(bool ok)
{
	if (!ok && errno == EINVAL)
		errno = ENODEV;
	return ok;
}

static bool still_thp(const struct area *a)
{
	return smaps_kb(a->p, a->size, "AnonHugePages") * 1024 == a->size;
}

static bool still_shmem_thp(const struct area *a)
{
	return smaps_kb(a->p, a->size, "ShmemPmdMapped") * 1024 == a->size;
}

static bool still_large(const struct area *a)
{
	return has_flag(a, KPF_THP);
}

static const char *pool_file(int letter, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s",
		 letter_node[letter], hugetlb_size() / 1024, name);
	return path;
}

/* Give A, B and C so many hugetlb pages more than they had */
static bool pool_set(int a, int b, int c)
{
	int nr[NR_LETTERS] = { a, b, c };

	pool_added = 0;
	for (int i = 0; i < NR_LETTERS && letter_node[i] >= 0; i++) {
		if (file_write_long(pool_file(i, "nr_hugepages"), pool_before[i] + nr[i]))
			return false;
		pool_added += nr[i];
	}
	return true;
}

/* Wherever they are now, there are as many as before, and none of them is surplus */
static bool still_pool(const struct area *a)
{
	long sum = 0, nr, surplus;

	(void)a;
	for (int i = 0; i < NR_LETTERS && letter_node[i] >= 0; i++) {
		if (file_read_long(pool_file(i, "nr_hugepages"), &nr) ||
		    file_read_long(pool_file(i, "surplus_hugepages"), &surplus) || surplus)
			return false;
		sum += nr - pool_before[i];
	}
	return sum == pool_added;
}

#define PRIVATE		(MAP_PRIVATE | MAP_ANONYMOUS)

static const struct {
	int flags, advice;
	bool (*still)(const struct area *a);
} memories[] = {
	[ANON]		= { PRIVATE, MADV_NOHUGEPAGE },
	[PAGE]		= { PRIVATE, MADV_NOHUGEPAGE },
	[STACK]		= { PRIVATE | MAP_STACK | MAP_GROWSDOWN, MADV_NOHUGEPAGE },
	[DROPPABLE]	= { MAP_DROPPABLE | MAP_ANONYMOUS, MADV_NOHUGEPAGE },
	[SHMEM]		= { MAP_SHARED, MADV_NOHUGEPAGE },
	[TMPFS]		= { MAP_SHARED, MADV_NOHUGEPAGE },
	[RAMFS]		= { MAP_SHARED, MADV_NOHUGEPAGE },
	[RAMDISK]	= { MAP_SHARED, MADV_RANDOM },		/* no readahead */
	[SECRET]	= { MAP_SHARED, MADV_NORMAL },
	[THP]		= { PRIVATE, MADV_HUGEPAGE, still_thp },
	[MTHP]		= { PRIVATE, MADV_HUGEPAGE, still_large },
	[TMPFS_THP]	= { MAP_SHARED, MADV_HUGEPAGE, still_shmem_thp },
	[HUGETLB]	= { PRIVATE | MAP_HUGETLB, MADV_NORMAL, still_pool },
	[HUGETLB_NO_POOL] = { PRIVATE | MAP_HUGETLB, MADV_NORMAL, still_pool },
	[HUGETLB_SHM]	= { MAP_SHARED, MADV_NORMAL, still_pool },
};

/* Bytes that move as one; 0 if there is no such memory */
static size_t step_of(enum memory memory)
{
	switch (memory) {
	case THP:
	case TMPFS_THP:
		return thp_size();
	case MTHP:
		return access(mthp_enabled, W_OK) ? 0 : MTHP_PAGES * page_size();
	case HUGETLB:
	case HUGETLB_NO_POOL:
	case HUGETLB_SHM:
		return hugetlb_size();
	default:
		return page_size();
	}
}

/* A ram disk that nobody uses and that is empty: it is to be left like this */
static int open_ramdisk(size_t size)
{
	int fd = open("/dev/ram0", O_RDWR | O_EXCL | O_CLOEXEC);
	char *data = calloc(2, size);

	if (fd >= 0 && (pread(fd, data, size, 0) != size || memcmp(data, data + size, size) ||
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))) {
		close(fd);
		fd = -1;
		errno = ENODEV;
	}
	free(data);
	return fd;
}

static int open_object(enum memory memory, size_t size)
{
	switch (memory) {
	case SHMEM:
		return memfd_create("object", MFD_CLOEXEC);
	case TMPFS:
		return file_in_new_fs("tmpfs", NULL, NULL);
	case TMPFS_THP:
		return file_in_new_fs("tmpfs", "huge", "always");
	case RAMFS:
		return file_in_new_fs("ramfs", NULL, NULL);
	case RAMDISK:
		return open_ramdisk(size);
	case SECRET:
		return syscall(SYS_memfd_secret, O_CLOEXEC);
	default:
		return memfd_create("object", MFD_CLOEXEC | MFD_HUGETLB);
	}
}

/*
 * Memory for @nr of what moves as one, filled. Of hugetlb pages all nodes have some to
 * spare, or there is only the one on A.
 */
static bool map_area(struct area *a, enum memory memory, int nr)
{
	int flags = memories[memory].flags, advice = memories[memory].advice;
	size_t page = page_size(), step = step_of(memory);
	char *p;

	*a = (struct area) { .step = step, .size = nr * step, .fd = -1 };
	a->unit = memory >= HUGETLB ? step : page;
	a->still = memories[memory].still;
	a->shared = flags == MAP_SHARED;
	if (!step || step > MAX_STEP) {
		errno = ENODEV;
		return false;
	}
	if (memory >= HUGETLB && !(memory == HUGETLB_NO_POOL ? pool_set(1, 0, 0) :
							       pool_set(2, 2, 3)))
		return false;

	p = mmap(NULL, a->size + step + 4 * page, PROT_NONE, PRIVATE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	p += page;
	a->p = p + (-(uintptr_t)p & (step - 1));
	for (int i = 0; i < 2; i++) {
		p = i ? a->p + a->size : a->p - page;
		/* not for other processes, and never merged with what is between */
		if (mprotect(p, page, PROT_READ | PROT_WRITE) || madvise(p, page, MADV_DONTFORK))
			return false;
		memcpy(p, pattern(PLAIN + i, 0), page);
	}
	a->plain = true;

	if (a->shared) {
		a->fd = open_object(memory, a->size);
		if (a->fd < 0 || (memory != RAMDISK && ftruncate(a->fd, a->size)))
			return false;
	}
	p = mmap(a->p, a->size, PROT_READ | PROT_WRITE, MAP_FIXED | flags, a->fd, 0);
	if (p == MAP_FAILED)
		return new_flag(false);
	madvise(p, a->size, advice);
	a->filled = a->size;
	fill(a, 0, a->size, 0);
	errno = 0;
	if (a->still && !a->still(a))
		return false;
	if (memory == MTHP)
		a->still = NULL;	/* for a first move only, see mthp_moves_again */
	return true;
}

/*
 * What is done to memory to make it of a kind.
 */

/* It has another content than the pattern now */
static bool save(struct area *a)
{
	a->saved = malloc(a->size);
	return a->saved && memcpy(a->saved, a->p, a->size);
}

/* The zero page, small or huge */
static bool is_zero_page(const struct area *a)
{
	return has_flag(a, KPF_ZERO_PAGE);
}

static bool read_zeroes(struct area *a)
{
	a->still = is_zero_page;
	a->saved = calloc(1, a->size);
	return !madvise(a->p, a->size, MADV_DONTNEED) && intact(a) && is_zero_page(a);
}

/* Pages of a file that nobody has ever written to */
static bool read_hole(struct area *a)
{
	a->saved = calloc(1, a->size);
	return !ftruncate(a->fd, 0) && !ftruncate(a->fd, a->size) && intact(a);
}

static bool empty(struct area *a)
{
	a->filled = 0;
	return !madvise(a->p, a->size, MADV_DONTNEED);
}

static bool is_guarded(const struct area *a)
{
	int pipefd[2], open = 0;

	if (pipe(pipefd))
		return false;
	for (size_t off = 0; off < a->size; off += page_size())
		open += write(pipefd[1], a->p + off, 1) != -1 || errno != EFAULT;
	close(pipefd[0]);
	close(pipefd[1]);
	return !open;
}

static bool guard(struct area *a)
{
	a->filled = 0;
	a->still = is_guarded;
	return new_flag(!madvise(a->p, a->size, MADV_GUARD_INSTALL)) && is_guarded(a);
}

static bool is_forbidden(const struct area *a)
{
	bool same = !mprotect(a->p, a->size, PROT_READ) && is_content(a, a->p, false);

	return !mprotect(a->p, a->size, PROT_NONE) && same;
}

static bool forbid(struct area *a)
{
	a->hidden = true;
	a->readonly = true;
	a->still = is_forbidden;
	return is_forbidden(a);
}

static bool is_locked(const struct area *a)
{
	return smaps_kb(a->p, a->size, "Locked") * 1024 == a->size;
}

static bool lock(struct area *a)
{
	a->still = is_locked;
	return !mlock(a->p, a->size) && is_locked(a);
}

static bool is_lazyfree(const struct area *a)
{
	return smaps_kb(a->p, a->size, "LazyFree") * 1024 == a->size;
}

static bool free_lazily(struct area *a)
{
	a->still = is_lazyfree;
	return !madvise(a->p, a->size, MADV_FREE) && !lru_drain_all(a->p) && is_lazyfree(a);
}

#define PM_UFFD_WP	57	/* Documentation/admin-guide/mm/pagemap.rst */

static bool is_uffd_protected(const struct area *a)
{
	for (size_t off = 0; off < a->size; off += page_size())
		if (!(pagemap(a->p + off) >> PM_UFFD_WP & 1))
			return false;
	return true;
}

static bool uffd_protect(struct area *a)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = {
		.range = { (uintptr_t)a->p, a->size }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	a->readonly = true;
	a->still = is_uffd_protected;
	a->fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	return a->fd >= 0 && new_flag(!ioctl(a->fd, UFFDIO_API, &api)) &&
	       !ioctl(a->fd, UFFDIO_REGISTER, &reg) && !ioctl(a->fd, UFFDIO_WRITEPROTECT, &wp) &&
	       is_uffd_protected(a);
}

/* A second mapping, of the same process */
static bool map_twice(struct area *a)
{
	a->twin = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	return a->twin != MAP_FAILED && !madvise(a->twin, a->size, MADV_POPULATE_WRITE);
}

static void end_other(struct area *a)
{
	kill(a->other, SIGKILL);
	waitpid(a->other, NULL, 0);
	a->other = 0;
}

/*
 * A second process, a child, which has come as far as it should when this returns. Then
 * it is asked again and again, with what there is to know, if its content is right.
 */
static bool share(struct area *a, enum other_does does)
{
	int ask[2], answer[2];
	char c;

	if (pipe(ask) || pipe(answer))
		return false;
	a->other_does = does;
	a->release = end_other;
	a->other = fork();
	if (!a->other) {
		close(ask[1]);
		if (does == READS && madvise(a->p, a->size, MADV_POPULATE_READ))
			_exit(1);
		if (does == WRITES || does == WRITES_FIRST)
			fill(a, 0, does == WRITES ? a->size : page_size(), 2);
		do {
			c = is_content(a, a->p, true);
		} while (write(answer[1], &c, 1) == 1 && read(ask[0], &a->rewritten, 1) == 1);
		_exit(0);
	}
	close(answer[1]);
	a->ask = ask[1];
	a->answer = answer[0];
	return a->other > 0 && read(a->answer, &c, 1) == 1 && c;
}

static bool fork_only(struct area *a)
{
	return share(a, HAS);
}

static bool fork_read(struct area *a)
{
	return share(a, READS);
}

static bool fork_write(struct area *a)
{
	return share(a, WRITES);
}

static bool fork_write_first(struct area *a)
{
	a->still = NULL;
	return share(a, WRITES_FIRST);
}

/* Have pages of this process that are the same made one: @nr are to be found */
static bool ksm_merge(long nr)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	long deadline = now_ms() + 10000, merged = 0;

	if (file_write_long(KSM_DIR "run", 1))
		return false;
	while (!file_read_long("/proc/self/ksm_merging_pages", &merged) && merged < nr &&
	       now_ms() < deadline)
		nanosleep(&pause, NULL);
	return !file_write_long(KSM_DIR "run", 0) && merged == nr;
}

static bool is_merged(const struct area *a)
{
	return has_flag(a, KPF_KSM);
}

static bool merge(struct area *a)
{
	a->still = is_merged;
	a->twin = mmap(NULL, a->size, PROT_READ | PROT_WRITE, PRIVATE, -1, 0);
	if (a->twin == MAP_FAILED)
		return false;
	memcpy(a->twin, a->p, a->size);
	return new_flag(!madvise(a->p, a->size, MADV_MERGEABLE) &&
			!madvise(a->twin, a->size, MADV_MERGEABLE)) &&
	       ksm_merge(2 * a->size / page_size()) && is_merged(a);
}

/* Merged pages of which all but one mapping are gone */
static bool merge_and_part(struct area *a)
{
	bool merged = merge(a) && !munmap(a->twin, a->size);

	a->twin = NULL;
	return merged;
}

/* A long-term pin, of a registered buffer of io_uring */
static void unregister(struct area *a)
{
	syscall(SYS_io_uring_register, a->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

static bool register_range(struct area *a, char *p, size_t len)
{
	struct io_uring_params params = { };
	struct iovec iov = { p, len };

	a->release = unregister;
	a->ring = syscall(SYS_io_uring_setup, 1, &params);
	return a->ring >= 0 &&
	       !syscall(SYS_io_uring_register, a->ring, IORING_REGISTER_BUFFERS, &iov, 1);
}

static bool register_all(struct area *a)
{
	return register_range(a, a->p, a->size);
}

static bool register_page(struct area *a)
{
	return register_range(a, a->p + a->size / 2, page_size());
}

/* A short-term reference, of a pipe */
static void end_pipe(struct area *a)
{
	close(a->pipefd[0]);
	close(a->pipefd[1]);
}

static bool splice_all(struct area *a)
{
	struct iovec iov = { a->p, a->size };

	a->release = end_pipe;
	return !pipe(a->pipefd) && vmsplice(a->pipefd[1], &iov, 1, 0) == a->size;
}

/* A huge page that is mapped by page table entries, and is one as before */
static bool split_table(struct area *a)
{
	size_t page = page_size();

	a->still = NULL;
	return !mprotect(a->p + page, page, PROT_READ) &&
	       !mprotect(a->p + page, page, PROT_READ | PROT_WRITE) &&
	       !smaps_kb(a->p, a->size, "AnonHugePages") && still_large(a);
}

/* One that is waiting to be split, as half of it is not needed any more */
static bool unmap_half(struct area *a)
{
	a->filled = a->size / 2;
	a->still = NULL;
	return !madvise(a->p + a->filled, a->filled, MADV_DONTNEED);
}

/* Memory of the kernel that it may move as it knows where it uses it itself */
static bool aio_works(const struct area *a)
{
	aio_context_t ctx = (uintptr_t)a->p;
	struct timespec limit = { .tv_sec = 10 };
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = a->fd,
		.aio_buf = (uintptr_t)"x", .aio_nbytes = 1,
	}, *cbs = &cb;
	struct io_event event;

	return syscall(SYS_io_submit, ctx, 1, &cbs) == 1 &&
	       syscall(SYS_io_getevents, ctx, 1, 1, &event, &limit) == 1 && event.res == 1;
}

static bool aio_ring(struct area *a)
{
	aio_context_t ctx = 0;

	a->still = aio_works;
	a->fd = memfd_create("object", MFD_CLOEXEC);
	return empty(a) && !syscall(SYS_io_setup, 1, &ctx) &&
	       mremap((void *)ctx, a->size, a->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		      a->p) == a->p && aio_works(a);
}

/* Memory of the kernel that it may not move; it chooses the address, too */
static bool uring_ring(struct area *a)
{
	struct io_uring_params params = { };

	a->plain = false;
	a->readonly = true;
	a->ring = syscall(SYS_io_uring_setup, 1, &params);
	if (a->ring < 0)
		return false;
	a->p = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, a->ring,
		    IORING_OFF_SQ_RING);
	return a->p != MAP_FAILED && save(a);
}

/* VM_PFNMAP: there are no pages as far as memory management is concerned */
static bool perf_ring(struct area *a)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_DUMMY, .size = sizeof(attr),
		.disabled = 1, .exclude_kernel = 1,
	};

	a->filled = 0;
	a->fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	return a->fd >= 0 && mmap(a->p, a->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				  a->fd, 0) == a->p;
}

static bool make_kind(struct area *a, enum memory memory, bool (*make)(struct area *a))
{
	int nr = memory == PAGE || memory >= THP ? 1 : NR_PAGES;

	return map_area(a, memory, nr) && (!make || make(a));
}

/* Make memory on the node of @letter, which may be absent if there is a @word for it */
#define SETUP_ON(letter, make, word) do {				\
	struct nodemask mask_;						\
	const char *word_ = word;					\
	bool made_;							\
									\
	NEED_MEMORY_NODES(&nodes, letter == 'C' ? 3 : 2);		\
	NEED_BOTH_NODES(&nodes, 1);					\
	mask_ = NODEMASK(node_of(letter));				\
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_BIND, &mask_));		\
	made_ = make;							\
	if (!made_ && absent(errno) && (geteuid() || word_))		\
		SKIP(return, "needs %s", geteuid() ? "root" : word_);	\
	ASSERT_TRUE(made_) {						\
		TH_LOG("no memory of the kind: %s", strerror(errno));	\
	}								\
	ASSERT_EQ(0, sys_set_mempolicy(MPOL_DEFAULT, NULL));		\
} while (0)

/*
 * What is to be expected of a kind.
 */
#define LEFT	1	/* move_pages() does not say what is with a page, but counts it */

struct outcome {
	char move, move_all;		/* where the pages are after a move from A to B */
	int strict, move_strict, move_all_strict;	/* errno of mbind() */
	int status, status_all;		/* of move_pages() with MOVE and MOVE_ALL; 0: the node */
};

static const struct outcome
	moves		= { 'B', 'B',	EIO, 0, 0,	0, 0 },
	is_shared	= { 'A', 'B',	EIO, 0, 0,	-EACCES, 0 },
	cannot_move	= { 'A', 'A',	EIO, EIO, EIO,	LEFT, LEFT },
	kernels_own	= { 'A', 'A',	EIO, EIO, EIO,	-EBUSY, -EBUSY },
	is_nobodys	= { '.', '.',	0, 0, 0,	-EFAULT, -EFAULT },
	has_no_page	= { '.', '.',	0, 0, 0,	-ENOENT, -ENOENT };

FIXTURE(kind)
{
	struct area a;
};

FIXTURE_VARIANT(kind)
{
	const struct outcome *is;
	enum memory memory;
	bool (*make)(struct area *a);
	const char *needs;
};

FIXTURE_VARIANT_ADD(kind, anon)			{ &moves,	ANON };
FIXTURE_VARIANT_ADD(kind, stack)		{ &moves,	STACK };
FIXTURE_VARIANT_ADD(kind, droppable)		{ &moves,	DROPPABLE, NULL, "droppable" };
FIXTURE_VARIANT_ADD(kind, lazyfree)		{ &moves,	ANON, free_lazily };
FIXTURE_VARIANT_ADD(kind, mlocked)		{ &moves,	ANON, lock };
FIXTURE_VARIANT_ADD(kind, prot_none)		{ &moves,	ANON, forbid };
FIXTURE_VARIANT_ADD(kind, uffd_wp)		{ &moves,	ANON, uffd_protect, "userfaultfd" };
FIXTURE_VARIANT_ADD(kind, registered)		{ &cannot_move,	ANON, register_all, "io_uring" };
FIXTURE_VARIANT_ADD(kind, spliced)		{ &cannot_move,	ANON, splice_all };
FIXTURE_VARIANT_ADD(kind, cow)			{ &is_shared,	ANON, fork_only };
FIXTURE_VARIANT_ADD(kind, cow_copied)		{ &moves,	ANON, fork_write };
FIXTURE_VARIANT_ADD(kind, ksm)			{ &is_shared,	ANON, merge, "ksm" };
FIXTURE_VARIANT_ADD(kind, ksm_last)		{ &moves,	ANON, merge_and_part, "ksm" };
FIXTURE_VARIANT_ADD(kind, zero_page)		{ &is_nobodys,	ANON, read_zeroes };
FIXTURE_VARIANT_ADD(kind, not_present)		{ &has_no_page,	ANON, empty };
FIXTURE_VARIANT_ADD(kind, guard)		{ &has_no_page,	ANON, guard, "guard" };

FIXTURE_VARIANT_ADD(kind, shmem)		{ &moves,	SHMEM };
FIXTURE_VARIANT_ADD(kind, shmem_twice)		{ &is_shared,	SHMEM, map_twice };
FIXTURE_VARIANT_ADD(kind, shmem_shared)		{ &is_shared,	SHMEM, fork_read };
FIXTURE_VARIANT_ADD(kind, shmem_registered)	{ &cannot_move,	SHMEM, register_all, "io_uring" };
FIXTURE_VARIANT_ADD(kind, tmpfs)		{ &moves,	TMPFS };
FIXTURE_VARIANT_ADD(kind, ramfs)		{ &cannot_move,	RAMFS, NULL, "ramfs" };
FIXTURE_VARIANT_ADD(kind, ramfs_clean)		{ &moves,	RAMFS, read_hole, "ramfs" };
FIXTURE_VARIANT_ADD(kind, ramdisk)		{ &moves,	RAMDISK, NULL, "ramdisk" };
FIXTURE_VARIANT_ADD(kind, secret)		{ &cannot_move,	SECRET, NULL, "secretmem" };

FIXTURE_VARIANT_ADD(kind, thp)			{ &moves,	THP, NULL, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_table)		{ &moves,	THP, split_table, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_half)		{ &moves,	THP, unmap_half, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_registered)	{ &cannot_move,	THP, register_page, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_cow)		{ &is_shared,	THP, fork_only, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_cow_mixed)	{ &is_shared,	THP, fork_write_first, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_zero)		{ &is_nobodys,	THP, read_zeroes, "thp" };
FIXTURE_VARIANT_ADD(kind, thp_tmpfs_shared)	{ &is_shared,	TMPFS_THP, fork_read, "thp" };
FIXTURE_VARIANT_ADD(kind, mthp)			{ &moves,	MTHP, NULL, "mthp" };
FIXTURE_VARIANT_ADD(kind, mthp_cow)		{ &is_shared,	MTHP, fork_only, "mthp" };

FIXTURE_VARIANT_ADD(kind, hugetlb)		{ &moves,	HUGETLB_NO_POOL, NULL, "hugetlb" };
FIXTURE_VARIANT_ADD(kind, hugetlb_registered)	{ &cannot_move,	HUGETLB, register_page, "hugetlb" };
FIXTURE_VARIANT_ADD(kind, hugetlb_cow)		{ &is_shared,	HUGETLB, fork_only, "hugetlb" };
FIXTURE_VARIANT_ADD(kind, hugetlb_shared)	{ &is_shared,	HUGETLB_SHM, fork_read, "hugetlb" };

FIXTURE_VARIANT_ADD(kind, aio_ring)		{ &moves,	PAGE, aio_ring, "aio" };
FIXTURE_VARIANT_ADD(kind, uring_ring)		{ &kernels_own,	PAGE, uring_ring, "io_uring" };
FIXTURE_VARIANT_ADD(kind, perf_ring)		{ &is_nobodys,	PAGE, perf_ring, "perf" };

FIXTURE_SETUP(kind)
{
	SETUP_ON('A', make_kind(&self->a, variant->memory, variant->make), variant->needs);
}

FIXTURE_TEARDOWN(kind)
{
	if (self->a.other)
		end_other(&self->a);
	if (variant->memory == RAMDISK && self->a.filled) {
		memset(self->a.p, 0, self->a.size);
		fsync(self->a.fd);
	}
}

/* Where it is before a move */
#define HERE	(variant->is->move == '.' ? '.' : 'A')

/*
 * Without STRICT the policy alone counts. With STRICT one is told of what has not come
 * with it. In the end a write to the first page does what it has always done, and what
 * has kept pages from being moved goes away.
 */
static void try_move(struct __test_metadata *_metadata, struct area *a, unsigned int flags,
		     char moved, int strict)
{
	EXPECT_EQ(0, bind_all(a, 'B', flags));
	EXPECT_EQ('B', policy_at(a->p));
	EXPECT_STATE(a, moved, 'B');
	EXPECT_EQ(strict, bind_all(a, 'B', flags | STRICT));
	EXPECT_EQ('B', policy_at(a->p));
	EXPECT_STATE(a, moved, 'B');

	if (a->filled && !a->readonly && !a->saved) {
		fill(a, 0, page_size(), 1);
		a->rewritten = true;
		EXPECT_TRUE(intact(a));
	}
	if (a->release) {
		a->release(a);
		EXPECT_EQ(0, bind_all(a, 'B', MOVE | STRICT));
		EXPECT_PLACED(a, 'B', 'B');
	}
}

TEST_F(kind, move)
{
	struct area *a = &self->a;

	/* STRICT alone only asks: it moves nothing, and sets no policy if it fails */
	EXPECT_EQ(variant->is->strict, bind_range(a->p, a->size, 'B', STRICT));
	EXPECT_EQ(variant->is->strict ? '.' : 'B', policy_at(a->p));
	EXPECT_STATE(a, HERE, 'A');
	EXPECT_EQ(0, bind_range(a->p, a->size, 'A', STRICT));
	EXPECT_EQ('A', policy_at(a->p));

	try_move(_metadata, a, MOVE, variant->is->move, variant->is->move_strict);
}

TEST_F(kind, move_all)
{
	NEED_ROOT();
	try_move(_metadata, &self->a, MOVE_ALL, variant->is->move_all,
		 variant->is->move_all_strict);
}

/* What MOVE leaves, MOVE_ALL is asked for */
TEST_F(kind, move_pages)
{
	enum { UNTOUCHED = -1000 };
	struct area *a = &self->a;
	int node[NR_PAGES], status[NR_PAGES], nr = a->size / a->step;
	void *pages[NR_PAGES];
	int want = 0;

	for (int all = 0; !all || (want && all <= !geteuid()); all++) {
		want = all ? variant->is->status_all : variant->is->status;
		for (int i = 0; i < nr; i++) {
			pages[i] = a->p + i * a->step;
			node[i] = node_of('B');
			status[i] = UNTOUCHED;
		}
		EXPECT_EQ(want == LEFT ? nr : 0,
			  sys_move_pages(0, nr, pages, node, status, all ? MOVE_ALL : MOVE));
		for (int i = 0; i < nr; i++) {
			EXPECT_EQ(want == LEFT ? UNTOUCHED : want ? : node[i], status[i]);
		}
		EXPECT_STATE(a, want ? HERE : 'B', 'A');
	}
}

/*
 * A range that ends in a hole, which is found when pages before it are on their way: they
 * are put back, and can be moved later. What comes after memory is only known where it
 * has been put on purpose.
 */
static void try_hole(struct __test_metadata *_metadata, struct area *a, char here)
{
	unsigned int flags[] = { MOVE, MOVE | STRICT, MOVE_ALL | STRICT };
	size_t page = page_size();

	ASSERT_EQ(0, munmap(a->p + a->size + page, page));
	for (size_t i = 0; i < ARRAY_SIZE(flags) - !!geteuid(); i++) {
		EXPECT_EQ(EFAULT, bind_range(a->p, a->size + 2 * page, 'B', flags[i]));
	}
	EXPECT_EQ('.', policy_at(a->p));
	EXPECT_STATE(a, here, 'A');
}

/*
 * A range that begins and ends inside: all of it is moved as ever. What is mapped by one
 * entry may come along as a whole, but a hugetlb page has one policy.
 */
static void try_part(struct __test_metadata *_metadata, struct area *a, char moved, int strict)
{
	size_t page = page_size(), pages = a->size / page, len = pages / 2 * page;
	char *p = a->p + pages / 4 * page;

	if (a->unit > page) {
		EXPECT_EQ(EINVAL, bind_range(p, len, 'B', MOVE | STRICT));
		EXPECT_EQ('.', policy_at(p));
		EXPECT_STATE(a, 'A', 'A');
		return;
	}
	EXPECT_EQ(strict, bind_range(p, len, 'B', MOVE | STRICT));
	EXPECT_EQ('B', policy_at(p));
	EXPECT_EQ('.', policy_at(p - page));
	EXPECT_EQ('.', policy_at(p + len));
	/* reading maps the pages of a file again */
	EXPECT_TRUE(intact(a));
	EXPECT_EQ(moved, place(p, len));
}

TEST_F(kind, range)
{
	struct area *a = &self->a;

	if (a->plain)
		try_hole(_metadata, a, HERE);
	if (a->size > page_size())
		try_part(_metadata, a, variant->is->move, variant->is->move_strict);
	EXPECT_EQ(variant->is->move_strict, bind_all(a, 'B', MOVE | STRICT));
	EXPECT_PLACED(a, variant->is->move, 'B');
}

/*
 * A page that stands in the range, or in the array of move_pages(), a second time is on
 * its way already when its turn comes. It is moved, and that is what has to be said.
 */
FIXTURE(again)
{
	struct area a;
};

FIXTURE_VARIANT(again)
{
	bool (*make)(struct area *a);
	const char *needs;
	unsigned int flags;
};

/* Pages 0 and 2 are one page, and so are pages 1 and 3 */
static bool ksm_again(struct area *a)
{
	size_t page = page_size();

	if (!map_area(a, ANON, 4))
		return false;
	memcpy(a->p + 2 * page, a->p, 2 * page);
	return new_flag(!madvise(a->p, a->size, MADV_MERGEABLE)) && ksm_merge(4) && save(a);
}

static bool shmem_again(struct area *a)
{
	size_t page = page_size();

	return map_area(a, SHMEM, 4) &&
	       mmap(a->p + 2 * page, 2 * page, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED | MAP_POPULATE, a->fd, 0) != MAP_FAILED && save(a);
}

/* Pages 0 and 2 are of one huge page, pages 1 and 3 are of another one */
static bool thp_again(struct area *a)
{
	size_t page = page_size();
	struct area huge[2];

	for (int i = 0; i < 2; i++)
		if (!map_area(&huge[i], THP, 1))
			return false;
	if (!map_area(a, ANON, 4))
		return false;
	for (int i = 0; i < 4; i++)
		if (mremap(huge[i % 2].p + i / 2 * page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
			   a->p + i * page) == MAP_FAILED)
			return false;
	return save(a);
}

static bool mthp_again(struct area *a)
{
	return map_area(a, MTHP, 1);
}

FIXTURE_VARIANT_ADD(again, ksm) { ksm_again, "ksm", MOVE_ALL };
FIXTURE_VARIANT_ADD(again, shmem) { shmem_again, NULL, MOVE_ALL };
FIXTURE_VARIANT_ADD(again, thp) { thp_again, "thp", MOVE };
FIXTURE_VARIANT_ADD(again, mthp) { mthp_again, "mthp", MOVE };

FIXTURE_SETUP(again)
{
	if (variant->flags == MOVE_ALL)
		NEED_ROOT();
	SETUP_ON('A', variant->make(&self->a), variant->needs);
}

FIXTURE_TEARDOWN(again)
{
}

TEST_F(again, mbind)
{
	EXPECT_STATE(&self->a, 'A', 'A');
	EXPECT_EQ(0, bind_all(&self->a, 'B', variant->flags | STRICT));
	EXPECT_STATE(&self->a, 'B', 'B');
}

TEST_F(again, move_pages)
{
	int node[MTHP_PAGES], status[MTHP_PAGES], nr = self->a.size / page_size();
	void *pages[MTHP_PAGES];

	for (int i = 0; i < nr; i++) {
		pages[i] = self->a.p + i * page_size();
		node[i] = node_of('B');
	}
	EXPECT_EQ(0, sys_move_pages(0, nr, pages, node, status, variant->flags));
	for (int i = 0; i < nr; i++) {
		EXPECT_EQ(node[i], status[i]);
	}
	EXPECT_STATE(&self->a, 'B', 'A');
}

/*
 * A large page that is mapped by several entries is one as before when it has been moved,
 * and so it is when it is moved again.
 */
TEST(mthp_moves_again)
{
	struct area a;

	NEED_ROOT();	/* or nobody could tell */
	SETUP_ON('A', map_area(&a, MTHP, 1), "mthp");
	for (int i = 0; i < 4; i++) {
		char to = i % 2 ? 'A' : 'B';

		EXPECT_EQ(0, bind_all(&a, to, MOVE | STRICT));
		EXPECT_PLACED(&a, to, to);
		EXPECT_TRUE(still_large(&a)) {
			TH_LOG("after move %d", i + 1);
		}
	}
}

/*
 * A child that has written to one page of a huge page has a small page of its own in
 * the middle of a large one that is shared: MOVE moves the one, MOVE_ALL both.
 */
TEST(thp_copied_page)
{
	size_t page = page_size();
	struct area a;
	char *own;

	SETUP_ON('A', map_area(&a, THP, 1), "thp");
	own = a.p + a.size / 2;
	IN_CHILD({
		a.plain = false;
		fill(&a, own - a.p, own - a.p + page, 0);
		EXPECT_EQ(EIO, bind_all(&a, 'B', STRICT));
		EXPECT_EQ('A', place(a.p, a.size));
		EXPECT_EQ(0, bind_all(&a, 'B', MOVE | STRICT));
		EXPECT_EQ(node_of('A'), page_node(own - page));
		EXPECT_EQ(node_of('B'), page_node(own));
		EXPECT_EQ(node_of('A'), page_node(own + page));
		EXPECT_TRUE(intact(&a));
		EXPECT_EQ(geteuid() ? EPERM : 0, bind_all(&a, 'B', MOVE_ALL | STRICT));
		EXPECT_EQ(geteuid() ? '?' : 'B', place(a.p, a.size));
		EXPECT_TRUE(intact(&a));
	});
	EXPECT_STATE(&a, geteuid() ? 'A' : 'B', 'A');
}

/*
 * Code that the kernel gives to every process: it is nobody's, on any node, as the zero
 * page is. Its data, in front of it, may be what it likes, but it must go on working.
 */
TEST(vdso)
{
	unsigned long start = 0, end, data = 0;
	char line[4096], *copy;
	struct timespec ts;
	FILE *f;

	NEED_MEMORY_NODES(&nodes, 2);
	NEED_BOTH_NODES(&nodes, 1);
	f = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, f);
	while (!start && fgets(line, sizeof(line), f)) {
		if (strstr(line, "[vvar]"))
			sscanf(line, "%lx-", &data);
		else if (strstr(line, "[vdso]"))
			sscanf(line, "%lx-%lx", &start, &end);
	}
	fclose(f);
	if (!start)
		SKIP(return, "needs vdso");
	copy = malloc(end - start);
	ASSERT_NE(NULL, copy);
	memcpy(copy, (void *)start, end - start);
	ASSERT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &ts));
	for (char to = 'A'; to <= 'B'; to++) {
		EXPECT_EQ(0, bind_range((void *)start, end - start, to, STRICT));
		EXPECT_EQ(0, bind_range((void *)start, end - start, to, MOVE | STRICT));
		EXPECT_EQ(geteuid() ? EPERM : 0,
			  bind_range((void *)start, end - start, to, MOVE_ALL | STRICT));
		EXPECT_EQ(0, memcmp(copy, (void *)start, end - start));
		if (data) {
			EXPECT_EQ(0, bind_range((void *)data, end - data, to, MOVE));
		}
		EXPECT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &ts));
	}
}

/*
 * What comes from elsewhere is interleaved by what moves as one, not by the page.
 */
FIXTURE(interleave)
{
	struct area a;
};

#define NR_UNITS	3

FIXTURE_VARIANT(interleave)
{
	enum memory memory;
	const char *needs;
};

FIXTURE_VARIANT_ADD(interleave, thp_tmpfs) { .memory = TMPFS_THP, .needs = "thp" };
FIXTURE_VARIANT_ADD(interleave, mthp) { .memory = MTHP, .needs = "mthp" };
FIXTURE_VARIANT_ADD(interleave, hugetlb) { .memory = HUGETLB, .needs = "hugetlb" };

FIXTURE_SETUP(interleave)
{
	SETUP_ON('C', map_area(&self->a, variant->memory, NR_UNITS), variant->needs);
}

FIXTURE_TEARDOWN(interleave)
{
}

TEST_F(interleave, moves)
{
	struct nodemask both = NODEMASK(node_of('A'), node_of('B'));
	static unsigned long count[NUMA_MAX_NODES];
	struct area *a = &self->a;
	char is_at[NR_UNITS + 1] = "";

	EXPECT_STATE(a, 'C', 'C');
	EXPECT_EQ(0, sys_mbind(a->p, a->size, MPOL_INTERLEAVE, &both, MOVE | STRICT));
	EXPECT_STATE(a, '?', 'C');
	for (int i = 0; i < NR_UNITS; i++)
		is_at[i] = letter_of(a->p + i * a->step, a->step, a->unit, count);
	/* which of the two comes first depends on the address or the inode number */
	EXPECT_TRUE(!strcmp(is_at, "ABA") || !strcmp(is_at, "BAB")) {
		TH_LOG("they are at %s", is_at);
	}
}

/*
 * The new hugetlb page comes from where the policy wants it, if there is a way to get it
 * there: "If the current node is unable to allocate" is the condition for another one
 * (Documentation/admin-guide/mm/hugetlbpage.rst). That the pool of B is empty and the one
 * of A is not is none.
 */
FIXTURE(spare)
{
	struct area a;
};

FIXTURE_VARIANT(spare)
{
	int mode;
};

FIXTURE_VARIANT_ADD(spare, bind) { MPOL_BIND };
FIXTURE_VARIANT_ADD(spare, preferred) { MPOL_PREFERRED };
FIXTURE_VARIANT_ADD(spare, interleave) { MPOL_INTERLEAVE };
FIXTURE_VARIANT_ADD(spare, weighted_interleave) { MPOL_WEIGHTED_INTERLEAVE };

FIXTURE_SETUP(spare)
{
	SETUP_ON('A', map_area(&self->a, HUGETLB_NO_POOL, 1) && pool_set(2, 0, 0), "hugetlb");
}

FIXTURE_TEARDOWN(spare)
{
}

TEST_F(spare, hugetlb)
{
	struct nodemask b = NODEMASK(node_of('B'));
	struct area *a = &self->a;

	EXPECT_EQ(0, sys_mbind(a->p, a->size, variant->mode, &b, MOVE | STRICT));
	EXPECT_STATE(a, 'B', 'A');
	EXPECT_EQ(0, sys_mbind(a->p, a->size, variant->mode, &b, STRICT));
}

/* The value of a file of the kind "always [madvise] never" */
static bool file_read_choice(const char *path, char *word, size_t size)
{
	char buf[128], *p;

	if (file_read(path, buf, sizeof(buf)))
		return false;
	p = strchr(buf, '[');
	if (!p)
		return false;
	snprintf(word, size, "%.*s", (int)strcspn(p + 1, "]"), p + 1);
	return true;
}

/*
 * What all tests need is prepared once, by a process that restores it whatever becomes
 * of them.
 */
int main(int argc, char **argv)
{
	static const struct {
		const char *file;
		long value;
	} ksm[] = {
		{ KSM_DIR "run", 0 },
		{ KSM_DIR "pages_to_scan", 1000 },
		{ KSM_DIR "sleep_millisecs", 1 },
	};
	long balancing, ksm_before[ARRAY_SIZE(ksm)];
	char mthp_before[16] = "";
	int status, thp;
	pid_t pid;

	if (numa_nodes_get(&nodes))
		return KSFT_FAIL;
	assign_letters();
	numa_run_on(&nodes, letter_node[0]);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = (i + 1) * 0x9e3779b97f4a7c15;
	snprintf(mthp_enabled, sizeof(mthp_enabled), MTHP_ENABLED, MTHP_PAGES * page_size() / 1024);
	if (nodes.nr_mem < 2 || geteuid())
		return test_harness_run(argc, argv);	/* tests say why not */

	balancing = numa_balancing_off();
	thp = thp_on();
	if (file_read_choice(mthp_enabled, mthp_before, sizeof(mthp_before)))
		file_write(mthp_enabled, "madvise");
	for (size_t i = 0; i < ARRAY_SIZE(ksm); i++)
		if (file_read_long(ksm[i].file, &ksm_before[i]) ||
		    file_write_long(ksm[i].file, ksm[i].value))
			ksm_before[i] = -1;
	for (int i = 0; i < NR_LETTERS && letter_node[i] >= 0; i++)
		if (file_read_long(pool_file(i, "nr_hugepages"), &pool_before[i]))
			pool_before[i] = -1;

	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;

	for (int i = 0; i < NR_LETTERS && letter_node[i] >= 0; i++)
		if (pool_before[i] >= 0)
			file_write_long(pool_file(i, "nr_hugepages"), pool_before[i]);
	for (int i = ARRAY_SIZE(ksm) - 1; i >= 0; i--)
		if (ksm_before[i] >= 0)
			file_write_long(ksm[i].file, ksm_before[i]);
	if (mthp_before[0])
		file_write(mthp_enabled, mthp_before);
	thp_restore(thp);
	numa_balancing_restore(balancing);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
