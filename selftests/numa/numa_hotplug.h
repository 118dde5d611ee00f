/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A node whose memory comes and goes, for the tests that need one. To be included
 * after numa_util.h and kselftest_harness.h.
 *
 * Memory is taken offline here only after it was found offline and was brought
 * online by this very test, as movable memory, and only in a guest of the lab: its
 * kernel command line says lab.mode=. On any other machine there is no such node.
 */
#ifndef NUMA_HOTPLUG_H
#define NUMA_HOTPLUG_H

#include <stdlib.h>

#define HOTPLUG_BLOCKS		8
#define HOTPLUG_MAX_BLOCK	1024	/* blocks with a higher number are not looked for */
#define HOTPLUG_MAX_BYTES	(1UL << 30)
#define HOTPLUG_DEADLINE_MS	10000

struct hotplug {
	int node;			/* no memory of it is online at first */
	int nr;
	int block[HOTPLUG_BLOCKS];	/* all of the node's, in ascending order */
};

static inline int hotplug_read(int block, const char *file, char *buf, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/%s", block, file);
	return file_read(path, buf, size);
}

static inline int hotplug_write(int block, const char *state)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/state", block);
	return file_write(path, state);
}

static inline bool hotplug_is_online(int block)
{
	char state[32];

	return !hotplug_read(block, "state", state, sizeof(state)) && !strcmp(state, "online");
}

/* The node's blocks, if all of them are offline, may be movable, and are not many */
static inline bool hotplug_blocks(struct hotplug *h, unsigned long block_bytes)
{
	char path[96], buf[64];

	h->nr = 0;
	for (int block = 0; block < HOTPLUG_MAX_BLOCK; block++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/memory%d",
			 h->node, block);
		if (access(path, F_OK))
			continue;
		if (h->nr == HOTPLUG_BLOCKS || (h->nr + 1) * block_bytes > HOTPLUG_MAX_BYTES ||
		    hotplug_read(block, "state", buf, sizeof(buf)) || strcmp(buf, "offline") ||
		    hotplug_read(block, "valid_zones", buf, sizeof(buf)) ||
		    !strstr(buf, "Movable"))
			return false;
		h->block[h->nr++] = block;
	}
	return h->nr;
}

/* The first such node; ENODEV if there is none */
static inline int hotplug_get(struct hotplug *h)
{
	struct nodemask online, memory;
	unsigned long block_bytes;
	char buf[4096];

	h->nr = 0;
	if (file_read("/proc/cmdline", buf, sizeof(buf)) || !strstr(buf, "lab.mode="))
		goto none;
	if (file_read("/sys/devices/system/memory/block_size_bytes", buf, sizeof(buf)))
		goto none;
	block_bytes = strtoul(buf, NULL, 16);
	if (file_read("/sys/devices/system/node/online", buf, sizeof(buf)) ||
	    nodemask_parse(buf, &online) ||
	    file_read("/sys/devices/system/node/has_memory", buf, sizeof(buf)) ||
	    nodemask_parse(buf, &memory))
		goto none;
	for (h->node = 0; h->node < NUMA_MAX_NODES; h->node++)
		if (nodemask_isset(&online, h->node) && !nodemask_isset(&memory, h->node) &&
		    hotplug_blocks(h, block_bytes))
			return 0;
none:
	h->nr = 0;
	errno = ENODEV;
	return -1;
}

/* 0: the memory of the node is there */
static inline int hotplug_online(const struct hotplug *h)
{
	for (int i = 0; i < h->nr; i++)
		if (!hotplug_is_online(h->block[i]) &&
		    hotplug_write(h->block[i], "online_movable"))
			return -1;
	return 0;
}

/* A page that is in use by the kernel for the moment makes it EBUSY: until the deadline */
static inline int hotplug_offline_block(int block)
{
	long deadline = now_ms() + HOTPLUG_DEADLINE_MS;

	while (hotplug_is_online(block) && hotplug_write(block, "offline")) {
		if (errno != EBUSY || now_ms() >= deadline)
			return -1;
		cpu_relax();
	}
	return 0;
}

/* 0: the node has no memory. All blocks are tried, whatever becomes of the others. */
static inline int hotplug_offline(const struct hotplug *h)
{
	int ret = 0;

	for (int i = 0; i < h->nr; i++)
		ret |= hotplug_offline_block(h->block[i]);
	return ret;
}

/* Of use in a setup, which ends if it skips */
#define NEED_HOTPLUG(h) do {						\
	if (hotplug_get(h))						\
		SKIP(return, "needs hotplug");				\
} while (0)

#endif /* NUMA_HOTPLUG_H */
