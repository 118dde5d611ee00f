// SPDX-License-Identifier: GPL-2.0
/*
 * The sysfs interface of weighted interleave: weights and their automatic mode,
 * as Documentation/ABI/testing/sysfs-kernel-mm-mempolicy-weighted-interleave has
 * it. Where the pages go is the business of mempolicy_placement.
 */
#include <stdlib.h>

#include "numa_util.h"
#include "kselftest_harness.h"

#define DIR	"/sys/kernel/mm/mempolicy/weighted_interleave/"

static const char *weight_path(int node)
{
	static char path[sizeof(DIR) + 16];

	snprintf(path, sizeof(path), DIR "node%d", node);
	return path;
}

/* "true", "false", or "" if it cannot be read */
static const char *auto_mode(void)
{
	static char text[16];

	if (file_read(DIR "auto", text, sizeof(text)))
		text[0] = '\0';
	return text;
}

struct state {
	struct numa_nodes nodes;
	long weight[NUMA_MAX_NODES];	/* by index in nodes.mem */
	bool was_auto;
};

/*
 * Bandwidth data, if the firmware has any, gives weights in automatic mode; without,
 * all of them are 1. The lab's guests have none.
 */
static int state_get(struct state *s)
{
	if (numa_nodes_get(&s->nodes))
		return -1;
	for (int i = 0; i < s->nodes.nr_mem; i++)
		if (file_read_long(weight_path(s->nodes.mem[i]), &s->weight[i]))
			return -1;
	s->was_auto = !strcmp(auto_mode(), "true");
	return 0;
}

/* Automatic mode last: each weight that is written ends it */
static void state_restore(const struct state *s)
{
	long now;

	for (int i = 0; i < s->nodes.nr_mem; i++)
		if (!file_read_long(weight_path(s->nodes.mem[i]), &now) && now != s->weight[i])
			file_write_long(weight_path(s->nodes.mem[i]), s->weight[i]);
	if (s->was_auto && strcmp(auto_mode(), "true"))
		file_write(DIR "auto", "true");
}

FIXTURE(auto_mode)
{
	struct state s;
};

FIXTURE_VARIANT(auto_mode)
{
	const char *text;
};

/* what kstrtobool() takes for true */
FIXTURE_VARIANT_ADD(auto_mode, word) { .text = "true" };
FIXTURE_VARIANT_ADD(auto_mode, number) { .text = "1" };
FIXTURE_VARIANT_ADD(auto_mode, letter) { .text = "Y" };

FIXTURE_SETUP(auto_mode)
{
	NEED_ROOT();
	ASSERT_EQ(0, state_get(&self->s));
}

FIXTURE_TEARDOWN_PARENT(auto_mode)
{
	state_restore(&self->s);
}

/* "Writing any true value string will enable auto mode": after a "false" too */
TEST_F(auto_mode, comes_back_after_false)
{
	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	ASSERT_STREQ("false", auto_mode());
	EXPECT_EQ(0, file_write(DIR "auto", variant->text));
	EXPECT_STREQ("true", auto_mode());
}

/* and after a weight was written, which then counts no more */
TEST_F(auto_mode, comes_back_after_a_weight)
{
	int node = self->s.nodes.mem[0];
	long weight;

	ASSERT_EQ(0, file_write_long(weight_path(node), 200));
	ASSERT_STREQ("false", auto_mode());
	EXPECT_EQ(0, file_write(DIR "auto", variant->text));
	EXPECT_STREQ("true", auto_mode());
	ASSERT_EQ(0, file_read_long(weight_path(node), &weight));
	EXPECT_NE(200, weight);
}

/* Automatic mode where there is automatic mode: accepted, nothing changes */
TEST_F(auto_mode, stays)
{
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, file_write(DIR "auto", variant->text));
		EXPECT_STREQ("true", auto_mode());
	}
}

FIXTURE(manual)
{
	struct state s;
};

FIXTURE_SETUP(manual)
{
	NEED_ROOT();
	ASSERT_EQ(0, state_get(&self->s));
}

FIXTURE_TEARDOWN_PARENT(manual)
{
	state_restore(&self->s);
}

/* A weight ends automatic mode and changes no other node's weight */
TEST_F(manual, weight_of_one_node)
{
	struct state *s = &self->s;
	int last = s->nodes.nr_mem - 1;

	for (int i = 0; i <= last; i++) {
		long seen, weight = s->weight[i] == 7 ? 8 : 7;

		ASSERT_EQ(0, file_write_long(weight_path(s->nodes.mem[i]), weight));
		EXPECT_STREQ("false", auto_mode());
		for (int j = 0; j <= last; j++) {
			ASSERT_EQ(0, file_read_long(weight_path(s->nodes.mem[j]), &seen));
			EXPECT_EQ(j == i ? weight : s->weight[j], seen);
		}
		ASSERT_EQ(0, file_write_long(weight_path(s->nodes.mem[i]), s->weight[i]));
	}
}

/* "false" keeps the weights that are in effect */
TEST_F(manual, keeps_weights)
{
	struct state *s = &self->s;
	long seen;

	ASSERT_EQ(0, file_write(DIR "auto", "false"));
	for (int i = 0; i < s->nodes.nr_mem; i++) {
		ASSERT_EQ(0, file_read_long(weight_path(s->nodes.mem[i]), &seen));
		EXPECT_EQ(s->weight[i], seen);
	}
}

/* "Minimum weight: 1, maximum weight: 255" */
TEST_F(manual, limits)
{
	static const char * const bad[] = { "0", "256", "-1", "x", "1x", " " };
	const char *path = weight_path(self->s.nodes.mem[0]);
	long seen;

	for (long weight = 1; weight <= 255; weight += 127) {
		ASSERT_EQ(0, file_write_long(path, weight));
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(weight, seen);
	}
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, file_write(path, bad[i]));
		EXPECT_EQ(EINVAL, errno);
		ASSERT_EQ(0, file_read_long(path, &seen));
		EXPECT_EQ(255, seen);
	}
}

/* "All other strings are ignored and will return -EINVAL" */
TEST_F(manual, what_is_no_truth_value)
{
	static const char * const bad[] = { "2", "maybe", "auto", " " };
	char before[16];

	snprintf(before, sizeof(before), "%s", auto_mode());
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, file_write(DIR "auto", bad[i]));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_STREQ(before, auto_mode());
	}
}

/* Nodes have a file if, and only if, they have memory */
TEST_F(manual, files)
{
	struct nodemask memory = { };

	for (int i = 0; i < self->s.nodes.nr_mem; i++)
		nodemask_set(&memory, self->s.nodes.mem[i]);
	for (int node = 0; node < NUMA_MAX_NODES; node++)
		EXPECT_EQ(nodemask_isset(&memory, node), !access(weight_path(node), F_OK));
}

TEST_HARNESS_MAIN
