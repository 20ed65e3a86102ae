/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NOTIFY_H
#define STAGE1_NOTIFY_H

/*
 * sd_notify(3) of the apps: each generation has a socket of its own, a node
 * in its /dev, which any user of it may write to.  Nobody but processes of
 * the generation's cgroup is believed, whoever else gets hold of the node.
 * What a generation itself does with it is declared in stage1/generation.h.
 */

#include <stdint.h>

struct generation;

/* Annotations of an image. */
#define NOTIFY_ANNOTATION "appc.io/executor/supports-systemd-notify"
#define WATCHDOG_ANNOTATION "rkt.io/watchdog" /* a duration */

enum notify_readiness {
	NOTIFY_UNUSED,	/* the image does not say that it tells */
	NOTIFY_AWAITED, /* it does, and has not told yet */
	NOTIFY_READY,
};

enum notify_readiness notify_readiness(const struct generation *g);

/* How much longer than planned it asked to be waited for (from now on, ms);
 * 0 = it did not ask. */
uint64_t notify_extended_ms(const struct generation *g);

/* Microseconds between two pings of its watchdog; 0 = none. */
uint64_t notify_watchdog_usec(const struct generation *g);

#endif
