// SPDX-License-Identifier: GPL-2.0
/* What every NUMA kselftest needs; see numa_util.h. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <linux/mount.h>
#include <sys/mount.h>

#include "numa_util.h"

#define NODE_DIR	"/sys/devices/system/node"
#define BALANCING	"/proc/sys/kernel/numa_balancing"

struct nodemask nodemask_of(int n, const int *nodes)
{
	struct nodemask m;

	nodemask_clear(&m);
	for (int i = 0; i < n; i++)
		nodemask_set(&m, nodes[i]);
	return m;
}

int nodemask_parse(const char *list, struct nodemask *m)
{
	const char *p = list;

	nodemask_clear(m);
	while (*p && *p != '\n') {
		char *end;
		long from, to;

		from = to = strtol(p, &end, 10);
		if (end == p)
			goto bad;
		p = end;
		if (*p == '-') {
			to = strtol(++p, &end, 10);
			if (end == p)
				goto bad;
			p = end;
		}
		if (from < 0 || to < from || to >= NUMA_MAX_NODES)
			goto bad;
		for (; from <= to; from++)
			nodemask_set(m, from);
		if (*p == ',')
			p++;
		else if (*p && *p != '\n')
			goto bad;
	}
	return 0;
bad:
	errno = EINVAL;
	return -1;
}

const char *nodemask_str(const struct nodemask *m)
{
	static __thread char buf[1024];
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < NUMA_MAX_NODES && n < sizeof(buf) - 16; i++) {
		int first = i;

		if (!nodemask_isset(m, i))
			continue;
		while (i + 1 < NUMA_MAX_NODES && nodemask_isset(m, i + 1))
			i++;
		n += snprintf(buf + n, sizeof(buf) - n, first == i ? "%s%d" : "%s%d-%d",
			      n ? "," : "", first, i);
	}
	return buf;
}

int file_read(const char *path, char *buf, size_t size)
{
	ssize_t n, got = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while ((n = read(fd, buf + got, size - 1 - got)) > 0)
		got += n;
	close(fd);
	if (n < 0)
		return -1;
	while (got && buf[got - 1] == '\n')
		got--;
	buf[got] = '\0';
	return 0;
}

int file_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd, saved;
	ssize_t n;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	saved = errno;
	close(fd);
	errno = n < 0 ? saved : EIO;
	return n == (ssize_t)len ? 0 : -1;
}

int file_read_long(const char *path, long *value)
{
	char buf[64], *end;

	if (file_read(path, buf, sizeof(buf)))
		return -1;
	errno = 0;
	*value = strtol(buf, &end, 10);
	if (end == buf || *end)
		errno = EINVAL;
	return errno ? -1 : 0;
}

int file_write_long(const char *path, long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", value);
	return file_write(path, buf);
}

static int node_file(const char *name, struct nodemask *m)
{
	char buf[4096];

	if (file_read(name, buf, sizeof(buf)))
		return -1;
	return nodemask_parse(buf, m);
}

int numa_nodes_get(struct numa_nodes *n)
{
	struct nodemask mem, cpu;
	char path[64], buf[4096];

	memset(n, 0, sizeof(*n));
	if (node_file(NODE_DIR "/has_memory", &mem) || node_file(NODE_DIR "/has_cpu", &cpu))
		return -1;
	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		if (nodemask_isset(&mem, i))
			n->mem[n->nr_mem++] = i;
		if (!nodemask_isset(&cpu, i))
			continue;
		snprintf(path, sizeof(path), NODE_DIR "/node%d/cpulist", i);
		if (file_read(path, buf, sizeof(buf)))
			return -1;
		n->first_cpu[n->nr_cpu] = atoi(buf);
		n->cpu[n->nr_cpu++] = i;
	}
	return 0;
}

static bool has_cpu(const struct numa_nodes *n, int node)
{
	for (int i = 0; i < n->nr_cpu; i++)
		if (n->cpu[i] == node)
			return true;
	return false;
}

int numa_nr_both(const struct numa_nodes *n)
{
	int nr = 0;

	for (int i = 0; i < n->nr_mem; i++)
		nr += has_cpu(n, n->mem[i]);
	return nr;
}

int numa_distances(int from, int *distance)
{
	struct nodemask online;
	char path[64], buf[8192], *p = buf, *end;

	if (node_file(NODE_DIR "/online", &online))
		return -1;
	snprintf(path, sizeof(path), NODE_DIR "/node%d/distance", from);
	if (file_read(path, buf, sizeof(buf)))
		return -1;
	/* one number for each node that is online */
	for (int i = 0; i < NUMA_MAX_NODES; i++) {
		distance[i] = -1;
		if (!nodemask_isset(&online, i))
			continue;
		distance[i] = strtol(p, &end, 10);
		if (end == p) {
			errno = EINVAL;
			return -1;
		}
		p = end;
	}
	return 0;
}

int numa_node_with_both(const struct numa_nodes *n, int not)
{
	for (int i = 0; i < n->nr_mem; i++)
		if (n->mem[i] != not && has_cpu(n, n->mem[i]))
			return n->mem[i];
	return -1;
}

#define TIER_DIR	"/sys/devices/virtual/memory_tiering"

int numa_slow_node(const struct numa_nodes *n)
{
	int tier[NUMA_MAX_NODES] = { }, best = INT_MAX, found = -1, nr;
	char path[512], list[4096];
	DIR *dir = opendir(TIER_DIR);
	struct dirent *entry;
	struct nodemask m;

	while (dir && (entry = readdir(dir))) {
		if (sscanf(entry->d_name, "memory_tier%d", &nr) != 1)
			continue;
		snprintf(path, sizeof(path), TIER_DIR "/%s/nodelist", entry->d_name);
		if (file_read(path, list, sizeof(list)) || nodemask_parse(list, &m))
			continue;
		for (int i = 0; i < n->nr_mem; i++) {
			if (!nodemask_isset(&m, n->mem[i]))
				continue;
			tier[i] = nr;
			if (nr < best)
				best = nr;
		}
	}
	if (dir)
		closedir(dir);
	/* the lower the number the faster */
	for (int i = n->nr_mem - 1; i >= 0; i--)
		if (tier[i] > best)
			found = n->mem[i];
	return found;
}

int numa_run_on(const struct numa_nodes *n, int node)
{
	cpu_set_t set;

	for (int i = 0; i < n->nr_cpu; i++) {
		if (n->cpu[i] != node)
			continue;
		CPU_ZERO(&set);
		CPU_SET(n->first_cpu[i], &set);
		return sched_setaffinity(0, sizeof(set), &set);
	}
	errno = ENODEV;
	return -1;
}

/* The kernel takes maxnode as the number of bits plus one */
#define MAXNODE(m)	((m) ? (unsigned long)NUMA_MAX_NODES + 1 : 0UL)

#ifdef __x86_64__
/* %rbp cannot be named as an operand. The kernel's return value is negative on error. */
long ia32_syscall(long nr, long a1, long a2, long a3, long a4, long a5, long a6)
{
	register long bp __asm__("r12") = a6;

	__asm__ volatile("xchg %%r12, %%rbp\n\tint $0x80\n\txchg %%r12, %%rbp"
			 : "+a"(nr), "+r"(bp)
			 : "b"(a1), "c"(a2), "d"(a3), "S"(a4), "D"(a5)
			 : "r8", "r9", "r10", "r11", "cc", "memory");
	if ((int)nr >= 0)
		return (int)nr;
	errno = -(int)nr;
	return -1;
}

/* Without that entry, int $0x80 is a fault */
bool ia32_works(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(ia32_syscall(20, 0, 0, 0, 0, 0, 0) != getpid());
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}
#else
long ia32_syscall(long nr, long a1, long a2, long a3, long a4, long a5, long a6)
{
	errno = ENOSYS;
	return -1;
}

bool ia32_works(void)
{
	return false;
}
#endif

long sys_set_mempolicy(int mode, const struct nodemask *m)
{
	return syscall(SYS_set_mempolicy, mode, m ? m->bits : NULL, MAXNODE(m));
}

long sys_get_mempolicy(int *mode, struct nodemask *m, void *addr, unsigned long flags)
{
	if (m)
		nodemask_clear(m);
	return syscall(SYS_get_mempolicy, mode, m ? m->bits : NULL, MAXNODE(m), addr, flags);
}

long sys_mbind(void *addr, size_t len, int mode, const struct nodemask *m, unsigned int flags)
{
	return syscall(SYS_mbind, addr, len, mode, m ? m->bits : NULL, MAXNODE(m), flags);
}

long sys_move_pages(int pid, unsigned long count, void **pages, const int *nodes,
		    int *status, int flags)
{
	return syscall(SYS_move_pages, pid, count, pages, nodes, status, flags);
}

int page_node(void *addr)
{
	int status = -ENODATA;

	if (sys_move_pages(0, 1, &addr, NULL, &status, 0))
		return -errno;
	return status;
}

int lru_drain_all(void *addr)
{
	int node = page_node(addr), status;

	if (node < 0) {
		errno = -node;
		return -1;
	}
	return sys_move_pages(0, 1, &addr, &node, &status, MPOL_MF_MOVE) ? -1 : 0;
}

long page_nodes(void *addr, size_t len, size_t step, unsigned long *count)
{
	enum { BATCH = 512 };
	void *pages[BATCH];
	int status[BATCH];
	long present = 0;

	memset(count, 0, NUMA_MAX_NODES * sizeof(*count));
	for (size_t off = 0; off < len;) {
		unsigned long n = 0;

		for (; n < BATCH && off < len; off += step)
			pages[n++] = (char *)addr + off;
		if (sys_move_pages(0, n, pages, NULL, status, 0))
			return -1;
		for (unsigned long i = 0; i < n; i++) {
			if (status[i] < 0)
				continue;
			count[status[i]]++;
			present++;
		}
	}
	return present;
}

const char *mpol_mode_name(int mode)
{
	static const char * const name[] = {
		[MPOL_DEFAULT]			= "default",
		[MPOL_PREFERRED]		= "prefer",
		[MPOL_BIND]			= "bind",
		[MPOL_INTERLEAVE]		= "interleave",
		[MPOL_LOCAL]			= "local",
		[MPOL_PREFERRED_MANY]		= "prefer (many)",
		[MPOL_WEIGHTED_INTERLEAVE]	= "weighted interleave",
	};

	return name[mode];
}

/* "name=value" with a whole number as value */
static bool field(const char *tok, const char *name, unsigned long *value)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(tok, name, len) || tok[len] != '=' || !isdigit(tok[len + 1]))
		return false;
	*value = strtoul(tok + len + 1, &end, 10);
	return !*end;
}

static bool node_field(const char *tok, struct numa_maps *nm)
{
	unsigned long node;
	char *end;

	if (tok[0] != 'N' || !isdigit(tok[1]))
		return false;
	node = strtoul(tok + 1, &end, 10);
	if (*end != '=' || !isdigit(end[1]) || node >= NUMA_MAX_NODES)
		return false;
	nm->node[node] = strtoul(end + 1, &end, 10);
	nm->nr_nodes++;
	return !*end;
}

/* The words that stand in numa_maps between the policy and its first field */
static bool is_field(const char *tok)
{
	return !strncmp(tok, "file=", 5) || !strcmp(tok, "heap") || !strcmp(tok, "stack") ||
	       !strcmp(tok, "huge") || !strncmp(tok, "anon=", 5) || !strncmp(tok, "dirty=", 6) ||
	       !strncmp(tok, "mapped=", 7) || !strncmp(tok, "mapmax=", 7) ||
	       !strncmp(tok, "swapcache=", 10) || !strncmp(tok, "active=", 7) ||
	       !strncmp(tok, "writeback=", 10) || !strncmp(tok, "kernelpagesize_kB=", 18) ||
	       (tok[0] == 'N' && isdigit(tok[1]));
}

int numa_maps_parse(const char *line, struct numa_maps *nm)
{
	char copy[4096], *tok, *save, *end;
	bool in_policy = true;

	memset(nm, 0, sizeof(*nm));
	if (strlen(line) >= sizeof(copy))
		goto bad;
	strcpy(copy, line);
	tok = strtok_r(copy, " \n", &save);
	if (!tok)
		goto bad;
	nm->start = strtoul(tok, &end, 16);
	if (*end)
		goto bad;
	while ((tok = strtok_r(NULL, " \n", &save))) {
		/* a policy may have spaces: "weighted interleave:0-1" */
		if (in_policy && !(nm->policy[0] && is_field(tok))) {
			size_t len = strlen(nm->policy);

			snprintf(nm->policy + len, sizeof(nm->policy) - len, "%s%s",
				 len ? " " : "", tok);
			continue;
		}
		in_policy = false;
		if (!strncmp(tok, "file=", 5))
			snprintf(nm->file, sizeof(nm->file), "%s", tok + 5);
		else if (!strcmp(tok, "(deleted)") && nm->file[0])
			continue;
		else if (!strcmp(tok, "heap"))
			nm->heap = true;
		else if (!strcmp(tok, "stack"))
			nm->stack = true;
		else if (!strcmp(tok, "huge"))
			nm->huge = true;
		else if (!field(tok, "anon", &nm->anon) && !field(tok, "dirty", &nm->dirty) &&
			 !field(tok, "mapped", &nm->mapped) && !field(tok, "mapmax", &nm->mapmax) &&
			 !field(tok, "swapcache", &nm->swapcache) &&
			 !field(tok, "active", &nm->active) &&
			 !field(tok, "writeback", &nm->writeback) &&
			 !field(tok, "kernelpagesize_kB", &nm->pagesize_kb) &&
			 !node_field(tok, nm))
			goto bad;
	}
	if (nm->policy[0])
		return 0;
bad:
	errno = EINVAL;
	return -1;
}

int numa_maps_get(void *addr, struct numa_maps *nm)
{
	char line[4096];
	int ret = -1;
	FILE *f;

	f = fopen("/proc/self/numa_maps", "re");
	if (!f)
		return -1;
	errno = ENOENT;
	while (fgets(line, sizeof(line), f)) {
		if (strtoul(line, NULL, 16) != (unsigned long)addr)
			continue;
		ret = numa_maps_parse(line, nm);
		break;
	}
	fclose(f);
	return ret;
}

long numa_maps_nodes(void *addr, size_t len, unsigned long *count)
{
	unsigned long first = (unsigned long)addr;
	struct numa_maps nm;
	char line[4096];
	long pages = 0;
	FILE *f;

	memset(count, 0, NUMA_MAX_NODES * sizeof(*count));
	f = fopen("/proc/self/numa_maps", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		unsigned long start = strtoul(line, NULL, 16);

		if (start < first || start - first >= len)
			continue;
		if (numa_maps_parse(line, &nm)) {
			pages = -1;
			break;
		}
		for (int i = 0; i < NUMA_MAX_NODES; i++) {
			count[i] += nm.node[i];
			pages += nm.node[i];
		}
	}
	fclose(f);
	return pages;
}

long vma_count(void *addr, size_t len)
{
	unsigned long from = (unsigned long)addr, start, end;
	char line[4096];
	long n = 0;
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			n += start < from + len && end > from;
	fclose(f);
	return n;
}

long vmstat(const char *name)
{
	size_t len = strlen(name);
	char line[256];
	long value = -1;
	FILE *f;

	f = fopen("/proc/vmstat", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ' ')
			value = atol(line + len + 1);
	fclose(f);
	if (value < 0)
		errno = ENOENT;
	return value;
}

long numa_balancing_off(void)
{
	long old;

	if (file_read_long(BALANCING, &old) || !old || file_write_long(BALANCING, 0))
		return -1;
	return old;
}

void numa_balancing_restore(long old)
{
	if (old >= 0)
		file_write_long(BALANCING, old);
}

long numa_balancing_get(void)
{
	long mode;

	return file_read_long(BALANCING, &mode) ? -1 : mode;
}

int numa_balancing_set(long mode)
{
	return file_write_long(BALANCING, mode);
}

const char *numab_knob_path(int knob)
{
	static const char * const path[NR_NUMAB_KNOBS] = {
		[NUMAB_SCAN_DELAY]	= NUMAB_DIR "scan_delay_ms",
		[NUMAB_PERIOD_MIN]	= NUMAB_DIR "scan_period_min_ms",
		[NUMAB_PERIOD_MAX]	= NUMAB_DIR "scan_period_max_ms",
		[NUMAB_SCAN_SIZE]	= NUMAB_DIR "scan_size_mb",
		[NUMAB_HOT_THRESHOLD]	= NUMAB_DIR "hot_threshold_ms",
	};

	return path[knob];
}

int numab_knobs_get(struct numab_knobs *k)
{
	k->mounted = access("/sys/kernel/debug/sched", F_OK) &&
		     !mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	for (int i = 0; i < NR_NUMAB_KNOBS; i++) {
		if (!file_read_long(numab_knob_path(i), &k->value[i]))
			continue;
		if (k->mounted)
			umount("/sys/kernel/debug");
		errno = ENOENT;
		return -1;
	}
	return 0;
}

int numab_knobs_set(const struct numab_knobs *k)
{
	for (int i = 0; i < NR_NUMAB_KNOBS; i++)
		if (file_write_long(numab_knob_path(i), k->value[i]))
			return -1;
	return 0;
}

void numab_knobs_restore(const struct numab_knobs *k)
{
	for (int i = 0; i < NR_NUMAB_KNOBS; i++)
		file_write_long(numab_knob_path(i), k->value[i]);
	if (k->mounted)
		umount("/sys/kernel/debug");
}

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define PRINTK		"/proc/sys/kernel/printk"

/* Threads that write the log to a console: is one of them at work? */
static bool console_busy(void)
{
	char path[300], stat[512], *state;
	struct dirent *entry;
	bool busy = false;
	DIR *dir = opendir("/proc");

	while (dir && !busy && (entry = readdir(dir))) {
		if (!isdigit(*entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if (file_read(path, stat, sizeof(stat)) || !strstr(stat, " (pr/"))
			continue;
		state = strrchr(stat, ')');
		busy = state && strncmp(state, ") S", 3) && strncmp(state, ") I", 3);
	}
	if (dir)
		closedir(dir);
	return busy;
}

int console_mute(struct console *c)
{
	char buf[64];

	c->level = 0;
	c->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (c->log < 0 || lseek(c->log, 0, SEEK_END) < 0 || file_read(PRINTK, buf, sizeof(buf)))
		return -1;
	c->level = atoi(buf);
	return file_write(PRINTK, "1");
}

void console_restore(struct console *c)
{
	if (!c->level)
		return;
	/* the level counts when a line is written, not when it is logged */
	for (long end = now_ms() + 5000; console_busy() && now_ms() < end;)
		sched_yield();
	file_write_long(PRINTK, c->level);
	c->level = 0;
}

int console_unmute(struct console *c, char *bug, size_t size)
{
	static const char * const bugs[] = {
		"BUG:", "BUG at", "WARNING:", "Oops", "fault:", "possible", "rcu: INFO",
		"suspicious RCU", "KASAN:", "UBSAN:", "Bad page", "Bad rss-counter",
		"refcount_t:", "cut here",
	};
	char line[8192];
	ssize_t n;

	*bug = '\0';
	/* a line without an end is ended by the next, and is written with it */
	if (file_write("/dev/kmsg", "<7>numa: console muted until here\n"))
		return -1;
	while ((n = read(c->log, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = '\0';
		for (size_t i = 0; i < sizeof(bugs) / sizeof(*bugs) && !*bug; i++)
			if (strstr(line, bugs[i]))
				snprintf(bug, size, "%s", strchrnul(line, ';'));
	}
	if (n < 0 && errno != EAGAIN)
		return -1;
	close(c->log);
	console_restore(c);
	return 0;
}

size_t thp_size(void)
{
	long size;

	if (file_read_long("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", &size))
		return 0;
	return size;
}

size_t hugetlb_size(void)
{
	unsigned long kb = 0;
	char line[256];
	FILE *f;

	f = fopen("/proc/meminfo", "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %lu kB", &kb) == 1)
			break;
	fclose(f);
	return kb * 1024;
}

#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"

int thp_on(void)
{
	char buf[64];

	if (file_read(THP_ENABLED, buf, sizeof(buf)) || !strstr(buf, "[never]") ||
	    file_write(THP_ENABLED, "madvise"))
		return -1;
	return 0;
}

void thp_restore(int old)
{
	if (!old)
		file_write(THP_ENABLED, "never");
}

long smaps_kb(void *addr, size_t len, const char *field)
{
	unsigned long first = (unsigned long)addr, start, end, kb;
	size_t field_len = strlen(field);
	bool inside = false;
	char line[4096];
	long sum = 0;
	FILE *f;

	f = fopen("/proc/self/smaps", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!isupper(*line) && sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start >= first && start - first < len;
		else if (inside && !strncmp(line, field, field_len) &&
			 sscanf(line + field_len, ": %lu kB", &kb) == 1)
			sum += kb;
	}
	fclose(f);
	return sum;
}

int file_in_new_fs(const char *fs, const char *option, const char *value)
{
	int ctx, mnt = -1, fd = -1;

	ctx = syscall(SYS_fsopen, fs, FSOPEN_CLOEXEC);
	if (ctx < 0)
		return -1;
	if ((!option || !syscall(SYS_fsconfig, ctx, FSCONFIG_SET_STRING, option, value, 0)) &&
	    !syscall(SYS_fsconfig, ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mnt = syscall(SYS_fsmount, ctx, FSMOUNT_CLOEXEC, 0);
	if (mnt >= 0) {
		fd = openat(mnt, "object", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		close(mnt);
	}
	close(ctx);
	return fd;
}

int cgroup_mount(bool v1)
{
	int fs, fd = -1, saved;

	fs = syscall(SYS_fsopen, v1 ? "cgroup" : "cgroup2", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -1;
	if ((!v1 || !syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "cpuset", NULL, 0)) &&
	    !syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	saved = errno;
	close(fs);
	errno = saved;
	return fd;
}

struct cgroup_path {
	char name[128];
};

static struct cgroup_path cgroup_path(const struct cpuset *cs, const char *dir, const char *file)
{
	struct cgroup_path path;

	/* not "self": the main thread may have ended */
	snprintf(path.name, sizeof(path.name), "/proc/thread-self/fd/%d/%s/%s", cs->root, dir,
		 file);
	return path;
}

/* Does a file of the hierarchy's root have the word "cpuset"? */
static bool lists_cpuset(const struct cpuset *cs, const char *file)
{
	char buf[4096], *tok, *save;

	if (file_read(cgroup_path(cs, ".", file).name, buf, sizeof(buf)))
		return false;
	for (tok = strtok_r(buf, " ", &save); tok; tok = strtok_r(NULL, " ", &save))
		if (!strcmp(tok, "cpuset"))
			return true;
	return false;
}

int cpuset_create(struct cpuset *cs)
{
	char cpus[4096];
	int saved;

	memset(cs, 0, sizeof(*cs));
	cs->root = cgroup_mount(false);
	if (cs->root < 0 || !lists_cpuset(cs, "cgroup.controllers")) {
		if (cs->root >= 0)
			close(cs->root);
		cs->v1 = true;
		cs->root = cgroup_mount(true);
	}
	if (cs->root < 0) {
		errno = ENODEV;
		return -1;
	}
	if (!cs->v1 && !lists_cpuset(cs, "cgroup.subtree_control")) {
		if (file_write(cgroup_path(cs, ".", "cgroup.subtree_control").name, "+cpuset"))
			goto undo;
		cs->enabled = true;
	}
	snprintf(cs->name, sizeof(cs->name), "numa_test.%d", getpid());
	if (mkdir(cgroup_path(cs, cs->name, "").name, 0755)) {
		cs->name[0] = '\0';
		goto undo;
	}
	/* v1 inherits no CPUs */
	if (!cs->v1 ||
	    (!file_read(cgroup_path(cs, ".", "cpuset.cpus").name, cpus, sizeof(cpus)) &&
	     !file_write(cgroup_path(cs, cs->name, "cpuset.cpus").name, cpus)))
		return 0;
undo:
	saved = errno;
	cpuset_remove(cs);
	errno = saved;
	return -1;
}

int cpuset_set_mems(const struct cpuset *cs, const struct nodemask *mems)
{
	return file_write(cgroup_path(cs, cs->name, "cpuset.mems").name, nodemask_str(mems));
}

int cpuset_enter(const struct cpuset *cs)
{
	return file_write(cgroup_path(cs, cs->name, "cgroup.procs").name, "0");
}

/* Waiting for cgroups: for five seconds at most */
#define CGROUP_TRIES	5000
static const struct timespec cgroup_pause = { .tv_nsec = 1000000 };

int cpuset_remove(struct cpuset *cs)
{
	int tries = CGROUP_TRIES, ret = 0;

	/* a task that has been waited for may still be on its way out */
	while (cs->name[0] && (ret = rmdir(cgroup_path(cs, cs->name, "").name)) &&
	       errno == EBUSY && tries--)
		nanosleep(&cgroup_pause, NULL);
	if (!ret && cs->enabled)
		ret = file_write(cgroup_path(cs, ".", "cgroup.subtree_control").name, "-cpuset");
	close(cs->root);
	return ret;
}

static bool cgroup2_lists_cpuset(const char *file)
{
	struct cpuset v2 = { .root = cgroup_mount(false) };
	bool yes = v2.root >= 0 && lists_cpuset(&v2, file);

	close(v2.root);
	return yes;
}

int cgroup1_take_cpuset(bool *taken)
{
	int tries = CGROUP_TRIES, fd;

	*taken = cgroup2_lists_cpuset("cgroup.controllers");
	while ((fd = cgroup_mount(true)) < 0 && errno == EBUSY && tries-- &&
	       !cgroup2_lists_cpuset("cgroup.subtree_control"))
		nanosleep(&cgroup_pause, NULL);
	return fd;
}

int cgroup1_return_cpuset(void)
{
	int tries = CGROUP_TRIES;

	while (!cgroup2_lists_cpuset("cgroup.controllers")) {
		if (!tries--)
			return -1;
		close(cgroup_mount(true));
		nanosleep(&cgroup_pause, NULL);
	}
	return 0;
}
