// SPDX-License-Identifier: GPL-2.0
/*
 * The switches of automatic NUMA balancing: numa_balancing= on the command line
 * (kernel-parameters.txt), the sysctl kernel.numa_balancing (sysctl/kernel.rst)
 * and the scanner's knobs in debugfs (scheduler/sched-debug.rst).
 */
#include <ctype.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <sys/klog.h>

#include "kselftest_harness.h"
#include "numa_util.h"

#define SYSCTL		"/proc/sys/kernel/numa_balancing"
#define NOBODY		65534

/* SYSLOG_ACTION_* of syslog(2), that glibc does not name */
#define LOG_READ_ALL	3
#define LOG_SIZE_BUFFER	10

/* Write @text with one write(2): 0 or the errno */
static int write_errno(int fd, const char *text)
{
	size_t len = strlen(text);

	return write(fd, text, len) == (ssize_t)len ? 0 : errno;
}

/* As the kernel compares names of parameters, parameqn() */
static bool same_name(const char *a, const char *b, size_t n)
{
	for (; n; a++, b++, n--)
		if ((*a == '-' ? '_' : *a) != *b)
			return false;
	return true;
}

/*
 * What the last valid numa_balancing= says, -1 without one. As next_arg() reads
 * a command line: blanks within quotes do not separate, the quotes themselves do
 * not count, and what follows "--" is for init.
 */
static int option(const char *p)
{
	static const char name[] = "numa_balancing=";
	const size_t len = strlen(name);
	char word[4096];
	int value = -1;

	while (*p) {
		bool quoted = false;
		size_t n = 0;

		for (; *p && (quoted || !isspace(*p)); p++) {
			if (*p == '"')
				quoted = !quoted;
			else if (n < sizeof(word) - 1)
				word[n++] = *p;
		}
		word[n] = '\0';
		while (isspace(*p))
			p++;
		if (!strcmp(word, "--"))
			break;
		if (n < len || !same_name(word, name, len))
			continue;
		if (!strcmp(word + len, "enable"))
			value = 1;
		else if (!strcmp(word + len, "disable"))
			value = 0;
	}
	return value;
}

/*
 * numa_balancing=enable|disable decides, the last one if there are several.
 * Without a valid one balancing is off on a machine of one node; otherwise it is
 * what the kernel was configured to, which it says in the log
 * (check_numabalancing_enable()). If that line is no longer there, either is
 * right. Holds until somebody writes the sysctl.
 */
TEST(command_line)
{
	struct nodemask online, first;
	char cmdline[4096], nodes[4096], *log;
	int value, size;
	long mode;

	NEED_ROOT();
	NEED_BALANCING();
	mode = numa_balancing_get();
	ASSERT_EQ(0, file_read("/proc/cmdline", cmdline, sizeof(cmdline)));
	value = option(cmdline);
	if (value >= 0) {
		EXPECT_EQ(value, mode);
		return;
	}

	ASSERT_EQ(0, file_read("/sys/devices/system/node/online", nodes, sizeof(nodes)));
	ASSERT_EQ(0, nodemask_parse(nodes, &online));
	nodemask_clear(&first);
	for (int i = NUMA_MAX_NODES - 1; i >= 0; i--) {
		if (!nodemask_isset(&online, i))
			continue;
		nodemask_clear(&first);
		nodemask_set(&first, i);
	}
	if (nodemask_equal(&first, &online)) {
		EXPECT_EQ(0, mode);
		return;
	}

	size = klogctl(LOG_SIZE_BUFFER, NULL, 0);
	ASSERT_LT(0, size);
	log = calloc(1, size + 1);
	ASSERT_NE(NULL, log);
	ASSERT_LE(0, klogctl(LOG_READ_ALL, log, size));
	if (strstr(log, "Enabling automatic NUMA balancing.")) {
		EXPECT_EQ(1, mode);
	} else if (strstr(log, "Disabling automatic NUMA balancing.")) {
		EXPECT_EQ(0, mode);
	} else {
		/* the log begins later than the boot did */
		EXPECT_NULL(strstr(log, "Linux version "));
		EXPECT_LE(0, mode);
		EXPECT_GE(1, mode);
	}
	free(log);
}

/* kernel.numa_balancing takes and shows each documented value */
FIXTURE(sysctl)
{
	long old;
};

FIXTURE_VARIANT(sysctl)
{
	long value;
};

FIXTURE_VARIANT_ADD(sysctl, disabled) { .value = 0 };
FIXTURE_VARIANT_ADD(sysctl, normal) { .value = 1 };
FIXTURE_VARIANT_ADD(sysctl, memory_tiering) { .value = 2 };
FIXTURE_VARIANT_ADD(sysctl, both) { .value = 3 };

FIXTURE_SETUP(sysctl)
{
	NEED_ROOT();
	NEED_BALANCING();
	self->old = numa_balancing_get();
}

FIXTURE_TEARDOWN_PARENT(sysctl)
{
	numa_balancing_set(self->old);
}

TEST_F(sysctl, accepted)
{
	/* from either side: a write that does nothing is seen */
	for (long from = 0; from <= 1; from++) {
		ASSERT_EQ(0, numa_balancing_set(from));
		ASSERT_EQ(0, numa_balancing_set(variant->value));
		EXPECT_EQ(variant->value, numa_balancing_get());
	}
}

/* Anything else is EINVAL and changes nothing */
FIXTURE(sysctl_bad)
{
	long old;
};

FIXTURE_VARIANT(sysctl_bad)
{
	const char *text;
};

FIXTURE_VARIANT_ADD(sysctl_bad, negative) { .text = "-1" };
FIXTURE_VARIANT_ADD(sysctl_bad, most_negative) { .text = "-2147483648" };
/* neither bit of the mask: accepted before kernel.numa_balancing was limited to 3 */
FIXTURE_VARIANT_ADD(sysctl_bad, no_such_mode) { .text = "4" };
FIXTURE_VARIANT_ADD(sysctl_bad, beyond) { .text = "5" };
FIXTURE_VARIANT_ADD(sysctl_bad, word) { .text = "enable" };
FIXTURE_VARIANT_ADD(sysctl_bad, trailing_word) { .text = "1x" };
FIXTURE_VARIANT_ADD(sysctl_bad, sign_only) { .text = "-" };
/* would be 0 and 1 if only the lower 32 bits counted */
FIXTURE_VARIANT_ADD(sysctl_bad, wraps_to_0) { .text = "4294967296" };
FIXTURE_VARIANT_ADD(sysctl_bad, wraps_to_1) { .text = "4294967297" };

FIXTURE_SETUP(sysctl_bad)
{
	struct numa_nodes nodes;

	self->old = numa_balancing_get();
	ASSERT_EQ(0, numa_nodes_get(&nodes));
	NEED_MEMORY_NODES(&nodes, 2);
	NEED_ROOT();
	NEED_BALANCING();
}

FIXTURE_TEARDOWN_PARENT(sysctl_bad)
{
	numa_balancing_set(self->old);
}

TEST_F(sysctl_bad, refused)
{
	for (long from = 0; from <= 1; from++) {
		int fd, err;

		ASSERT_EQ(0, numa_balancing_set(from));
		fd = open(SYSCTL, O_WRONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		err = write_errno(fd, variant->text);
		close(fd);
		EXPECT_EQ(EINVAL, err);
		EXPECT_EQ(from, numa_balancing_get());
	}
}

FIXTURE(unprivileged)
{
	long old;
};

FIXTURE_SETUP(unprivileged)
{
	NEED_ROOT();
	NEED_BALANCING();
	self->old = numa_balancing_get();
}

FIXTURE_TEARDOWN_PARENT(unprivileged)
{
	numa_balancing_set(self->old);
}

/*
 * Without CAP_SYS_ADMIN the file cannot be opened for writing, and a descriptor
 * that root opened does not help either (sysctl_numa_balancing()). Reading is
 * for everyone.
 */
TEST_F(unprivileged, refused)
{
	char other[2] = { '0' + !self->old };
	int fd, status;
	pid_t pid;

	fd = open(SYSCTL, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, setgroups(0, NULL));
		ASSERT_EQ(0, setgid(NOBODY));
		ASSERT_EQ(0, setuid(NOBODY));
		EXPECT_EQ(-1, open(SYSCTL, O_WRONLY | O_CLOEXEC));
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(EPERM, write_errno(fd, other));
		EXPECT_EQ(self->old, numa_balancing_get());
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(self->old, numa_balancing_get());
}

/* What all tests of the knobs change and put back */
struct knobs {
	long mode;
	struct numab_knobs old;
};

static void knobs_get(struct __test_metadata *_metadata, struct knobs *k)
{
	NEED_ROOT();
	NEED_BALANCING();
	k->mode = numa_balancing_get();
	if (numab_knobs_get(&k->old))
		SKIP(return, "needs debugfs");
}

static void knobs_restore(const struct knobs *k)
{
	numab_knobs_restore(&k->old);
	numa_balancing_set(k->mode);
}

/* Every knob is there, and is a number that root can set */
FIXTURE(knob)
{
	struct knobs knobs;
};

FIXTURE_VARIANT(knob)
{
	int knob;
};

FIXTURE_VARIANT_ADD(knob, scan_delay_ms) { .knob = NUMAB_SCAN_DELAY };
FIXTURE_VARIANT_ADD(knob, scan_period_min_ms) { .knob = NUMAB_PERIOD_MIN };
FIXTURE_VARIANT_ADD(knob, scan_period_max_ms) { .knob = NUMAB_PERIOD_MAX };
FIXTURE_VARIANT_ADD(knob, scan_size_mb) { .knob = NUMAB_SCAN_SIZE };
FIXTURE_VARIANT_ADD(knob, hot_threshold_ms) { .knob = NUMAB_HOT_THRESHOLD };

FIXTURE_SETUP(knob)
{
	knobs_get(_metadata, &self->knobs);
}

FIXTURE_TEARDOWN_PARENT(knob)
{
	knobs_restore(&self->knobs);
}

/* A legal value is what is read afterwards, and no other knob changes with it */
TEST_F(knob, is_set)
{
	const struct numab_knobs *old = &self->knobs.old;
	long was = old->value[variant->knob];
	long value = was > 1 ? was - 1 : was + 1, seen;

	EXPECT_EQ(0, file_write_long(numab_knob_path(variant->knob), value));
	for (int i = 0; i < NR_NUMAB_KNOBS; i++) {
		ASSERT_EQ(0, file_read_long(numab_knob_path(i), &seen));
		EXPECT_EQ(i == variant->knob ? value : old->value[i], seen);
	}
}

/* What is not a number is EINVAL and changes nothing */
TEST_F(knob, garbage_refused)
{
	static const char * const garbage[] = { "x", "1x", "-", "\n" };
	const char *path = numab_knob_path(variant->knob);
	long seen;
	int fd;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		EXPECT_EQ(EINVAL, write_errno(fd, garbage[i]));
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(self->knobs.old.value[variant->knob], seen);
	}
	close(fd);
}

/*
 * scan_size_mb has to be 1 at least, and a scan goes over up to eight times as
 * many pages, which have to fit an int.
 */
static int mb_to_pages_shift(void)
{
	return 20 - __builtin_ctzl(page_size());
}

static long scan_size_max(void)
{
	return INT_MAX >> (mb_to_pages_shift() + 3);
}

FIXTURE(scan_size_legal)
{
	struct knobs knobs;
};

FIXTURE_VARIANT(scan_size_legal)
{
	bool max;
};

FIXTURE_VARIANT_ADD(scan_size_legal, min) { .max = false };
FIXTURE_VARIANT_ADD(scan_size_legal, max) { .max = true };

FIXTURE_SETUP(scan_size_legal)
{
	knobs_get(_metadata, &self->knobs);
}

FIXTURE_TEARDOWN_PARENT(scan_size_legal)
{
	knobs_restore(&self->knobs);
}

/* Both ends of the range can be set, also while balancing is on */
TEST_F(scan_size_legal, accepted)
{
	const char *path = numab_knob_path(NUMAB_SCAN_SIZE);
	long value = variant->max ? scan_size_max() : 1, seen;

	for (long mode = 0; mode <= 1; mode++) {
		ASSERT_EQ(0, numa_balancing_set(mode));
		EXPECT_EQ(0, file_write_long(path, value));
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(value, seen);
		ASSERT_EQ(0, file_write_long(path, self->knobs.old.value[NUMAB_SCAN_SIZE]));
	}
}

FIXTURE(scan_size)
{
	struct knobs knobs;
};

enum { ZERO, WRAP, TOO_LARGE, ABOVE_32_BITS };

FIXTURE_VARIANT(scan_size)
{
	int value;
};

FIXTURE_VARIANT_ADD(scan_size, zero) { .value = ZERO };
FIXTURE_VARIANT_ADD(scan_size, wrap) { .value = WRAP };
FIXTURE_VARIANT_ADD(scan_size, too_large) { .value = TOO_LARGE };
FIXTURE_VARIANT_ADD(scan_size, above_32_bits) { .value = ABOVE_32_BITS };

FIXTURE_SETUP(scan_size)
{
	knobs_get(_metadata, &self->knobs);
}

FIXTURE_TEARDOWN_PARENT(scan_size)
{
	knobs_restore(&self->knobs);
}

/*
 * What would make the scanner divide by zero, since MB_TO_PAGES() of it is 0 in
 * 32 bits, or overflow, is EINVAL and changes nothing.
 *
 * A kernel that takes the value must survive the test. With balancing off the
 * tick does not look at it (task_tick_numa() and task_numa_fault() are not
 * called, or return), and a scan that was queued before returns when there are
 * no pages to scan. Making a thread still divides by it (init_numa_balancing()),
 * so the old value is written back right after, by a task that shall not be
 * preempted in between.
 */
TEST_F(scan_size, refused)
{
	const struct sched_param fifo = { .sched_priority = 1 };
	const struct sched_param other = { .sched_priority = 0 };
	int shift = mb_to_pages_shift(), fd, err, err_back;
	const char *path = numab_knob_path(NUMAB_SCAN_SIZE);
	char value[32], old[32];
	long seen;

	snprintf(old, sizeof(old), "%ld", self->knobs.old.value[NUMAB_SCAN_SIZE]);
	snprintf(value, sizeof(value), "%lld",
		 variant->value == ZERO ? 0LL :
		 variant->value == WRAP ? 1LL << (32 - shift) :
		 variant->value == ABOVE_32_BITS ? (1LL << 32) + 1 : scan_size_max() + 1LL);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, numa_balancing_set(0));

	/* best effort: may not be permitted in a cgroup */
	sched_setscheduler(0, SCHED_FIFO, &fifo);
	err = write_errno(fd, value);
	err_back = err ? 0 : write_errno(fd, old);
	sched_setscheduler(0, SCHED_OTHER, &other);

	close(fd);
	ASSERT_EQ(0, err_back);
	ASSERT_EQ(0, file_read_long(path, &seen));
	/* a value that was refused and nevertheless stored */
	if (seen != self->knobs.old.value[NUMAB_SCAN_SIZE])
		file_write(path, old);
	ASSERT_EQ(0, numa_balancing_set(self->knobs.mode));
	EXPECT_EQ(EINVAL, err);
	EXPECT_EQ(self->knobs.old.value[NUMAB_SCAN_SIZE], seen);
}

TEST_HARNESS_MAIN
