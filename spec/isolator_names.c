/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/error.h"
#include "spec/capability.h"
#include "spec/isolator.h"
#include "spec/seccomp_sets.h"

static int check_seccomp(const struct isolator_seccomp *s, struct error *err)
{
	if (s->errno_name && seccomp_errno_find(s->errno_name) == 0)
		return error_set(err, EINVAL, "seccomp: unknown errno %s",
				 s->errno_name);
	return seccomp_set_check(&s->set, err);
}

int isolator_check_names(const struct isolator *isolator, struct error *err)
{
	uint64_t caps;

	switch (isolator->kind) {
	case ISOLATOR_CAPS_REMOVE_SET:
	case ISOLATOR_CAPS_RETAIN_SET:
		return caps_parse(&isolator->u.caps, &caps, err);
	case ISOLATOR_SECCOMP_REMOVE_SET:
	case ISOLATOR_SECCOMP_RETAIN_SET:
		return check_seccomp(&isolator->u.seccomp, err);
	default:
		return 0;
	}
}
