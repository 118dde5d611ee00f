// SPDX-License-Identifier: GPL-2.0
/*
 * lockstep: preloaded into QEMU by boot.sh, keeps its main loop out of the way
 * of a running vCPU.
 *
 * Under icount all vCPUs run in turn on one host thread, and guest time is what
 * that thread has executed. QEMU's main loop is another thread: it moves the
 * clock on when every vCPU is halted, runs timers that are due and kicks vCPUs.
 * Where it comes to that while a vCPU still runs, which the host's scheduler
 * decides, it sees a vCPU that has halted and whose last instructions are not
 * yet counted, and moves the clock too far; or it ends the turn of a vCPU at an
 * instruction of its own choice. Both make a guest that differs from its repeat
 * by microseconds and then by everything.
 *
 * Here the main loop returns from ppoll() only while the vCPU thread waits for
 * work: the two take turns at places that only the guest decides. A guest that
 * computes for long keeps the main loop waiting, which nobody sees: devices with
 * a say in the guest's time are served by the vCPU's thread.
 *
 * And the host's clock is kept from the vCPU. QEMU's software TLB grows and
 * shrinks with its use in the last 100 ms of the host; how large it is decides
 * which entries it still has, so when the guest's page tables are walked again
 * and their accessed bits set, which the guest sees. gettimeofday() therefore
 * counts its calls, which is how often a TLB was flushed, the same in each repeat.
 *
 * A signal to the main loop (end of run, Ctrl-C) ends its wait.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* What the vCPU thread waits on; NULL while it runs. */
static _Atomic(pthread_cond_t *) waits_on;
static _Atomic(pthread_mutex_t *) big_lock;	/* and the lock that it gives up for that */
static atomic_uint turn;	/* changes whenever waits_on is set */

static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static int (*real_cond_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*real_cond_signal)(pthread_cond_t *);
static int (*real_cond_broadcast)(pthread_cond_t *);

/* x86 still has the condition variables of 20 years ago under the plain name. */
static void *real(const char *name)
{
	void *f = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");

	if (!f)
		f = dlsym(RTLD_NEXT, name);
	if (!f)
		abort();
	return f;
}

__attribute__((constructor)) static void find_real(void)
{
	real_ppoll = real("ppoll");
	real_cond_wait = real("pthread_cond_wait");
	real_cond_signal = real("pthread_cond_signal");
	real_cond_broadcast = real("pthread_cond_broadcast");
}

static int main_thread(void)
{
	return gettid() == getpid();
}

/* QEMU's vCPU thread waits for work: the main loop's turn. */
int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	int ret;

	if (main_thread())
		return real_cond_wait(cond, mutex);
	atomic_store(&big_lock, mutex);
	atomic_store(&waits_on, cond);
	atomic_fetch_add(&turn, 1);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	ret = real_cond_wait(cond, mutex);
	/* whoever woke it has done so already, or the wakeup was a spurious one */
	atomic_store(&waits_on, NULL);
	return ret;
}

int pthread_cond_signal(pthread_cond_t *cond)
{
	if (atomic_load(&waits_on) == cond)
		atomic_store(&waits_on, NULL);
	return real_cond_signal(cond);
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
	if (atomic_load(&waits_on) == cond)
		atomic_store(&waits_on, NULL);
	return real_cond_broadcast(cond);
}

/*
 * Not with the lock held, as when QEMU shuts down: the vCPU thread needs it to
 * come to where it waits. And not before there is one. glibc keeps the owner's id.
 */
static int may_wait(void)
{
	pthread_mutex_t *lock = atomic_load(&big_lock);

	return lock && lock->__data.__owner != gettid();
}

int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout, const sigset_t *mask)
{
	int ret = real_ppoll(fds, nfds, timeout, mask), error = errno;

	while (main_thread() && may_wait()) {
		unsigned int seen = atomic_load(&turn);

		if (atomic_load(&waits_on))
			break;
		if (syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0) < 0 && errno == EINTR)
			break;
	}
	errno = error;
	return ret;
}

/*
 * A window of the TLB is 100 ms: two thousand flushes. Only what the vCPU does
 * moves this clock; both threads read it, as the first window begins in the main one.
 */
static unsigned long long microseconds(void)
{
	static atomic_ullong flushes;

	return 50 * (main_thread() ? atomic_load(&flushes) : atomic_fetch_add(&flushes, 1));
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	unsigned long long us = microseconds();

	(void)tz;
	tv->tv_sec = us / 1000000;
	tv->tv_usec = us % 1000000;
	return 0;
}

/* What a QEMU after 7.2 asks, by glib */
long long g_get_real_time(void)
{
	return microseconds();
}
