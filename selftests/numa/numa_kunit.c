// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own tests of NUMA code: that they are there, and pass. What they prove is
 * said next to the code, in kernel/sched/tests/.
 */
#include <fcntl.h>

#include "kselftest_harness.h"
#include "numa_util.h"

#define SUITES	"/sys/kernel/debug/kunit/"

/*
 * Run a suite (Documentation/dev-tools/kunit/run_manual.rst) and read its KTAP: the plan,
 * a line for each test, and one for the suite.
 */
static void suite(struct __test_metadata *_metadata, const char *name)
{
	char path[128], line[512], last[128];
	int planned = -1, passed = 0, all = 0;
	FILE *f;
	int fd;

	if (access(SUITES, F_OK))
		SKIP(return, "needs kunit");
	snprintf(path, sizeof(path), SUITES "%s/run", name);
	fd = open(path, O_WRONLY);
	ASSERT_LE(0, fd) {
		TH_LOG("%s: %s", path, strerror(errno));
	}
	ASSERT_EQ(1, write(fd, "1", 1));
	close(fd);

	snprintf(path, sizeof(path), SUITES "%s/results", name);
	snprintf(last, sizeof(last), "ok 1 %s\n", name);
	f = fopen(path, "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		const char *text = line + strspn(line, " ");

		if (text - line == 4 && sscanf(text, "1..%d", &planned) == 1)
			continue;
		if (!strcmp(line, last))
			all++;
		else if (!strncmp(text, "ok ", 3) && !strstr(text, "# SKIP"))
			passed++;
		else if (!strncmp(text, "not ok ", 7) || strstr(text, "FAILED") ||
			 strstr(text, "Expected") || strstr(text, "# SKIP"))
			TH_LOG("%.*s", (int)strcspn(text, "\n"), text);
	}
	fclose(f);
	EXPECT_LT(0, planned);
	EXPECT_EQ(planned, passed);
	EXPECT_EQ(1, all);
}

/* The scan of NUMA balancing: back-off, turns, what is left out (numa_scan_kunit.c) */
TEST(numa_scan)
{
	suite(_metadata, "numa_scan");
}

TEST_HARNESS_MAIN
