/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

const uint64_t caps_default =
	CAPS_BIT(CAP_AUDIT_WRITE) | CAPS_BIT(CAP_CHOWN) |
	CAPS_BIT(CAP_DAC_OVERRIDE) | CAPS_BIT(CAP_FSETID) |
	CAPS_BIT(CAP_FOWNER) | CAPS_BIT(CAP_KILL) | CAPS_BIT(CAP_MKNOD) |
	CAPS_BIT(CAP_NET_RAW) | CAPS_BIT(CAP_NET_BIND_SERVICE) |
	CAPS_BIT(CAP_SETUID) | CAPS_BIT(CAP_SETGID) | CAPS_BIT(CAP_SETPCAP) |
	CAPS_BIT(CAP_SETFCAP) | CAPS_BIT(CAP_SYS_CHROOT);

int caps_make(const struct caps_request *req, uint64_t *ret, struct error *err)
{
	uint64_t set = 0;
	int r;

	/* ace.md, capabilities-retain-set: "only one of". */
	if (req->retain && req->remove)
		return error_set(err, EINVAL,
				 "capabilities: an app has either a retain-set "
				 "or a remove-set");
	*ret = req->unrestricted ? CAPS_ALL : caps_default;
	if (!req->retain && !req->remove)
		return 0;
	r = caps_parse(req->retain ? req->retain : req->remove, &set, err);
	if (r < 0)
		return r;
	if (!req->unrestricted)
		*ret = req->retain ? set : caps_default & ~set;
	return 0;
}

uint64_t caps_missing(uint64_t caps)
{
	uint64_t missing = 0;

	/* -EINVAL past the last capability this kernel knows. */
	for (int cap = 0; cap < 64; cap++)
		if ((caps & CAPS_BIT(cap)) &&
		    prctl(PR_CAPBSET_READ, cap, 0, 0, 0) <= 0)
			missing |= CAPS_BIT(cap);
	return missing;
}

int caps_drop_bounding(uint64_t keep, struct error *err)
{
	for (int cap = 0; cap < 64; cap++) {
		if ((keep & CAPS_BIT(cap)) ||
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* Past the last capability this kernel knows. */
		if (errno == EINVAL)
			return 0;
		return error_sys(err, errno,
				 "drop capability %d from the bounding set",
				 cap);
	}
	return 0;
}

int caps_keep_on_setuid(struct error *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno,
				 "keep capabilities across setresuid");
	return 0;
}

/* libcap's cap_t is on the heap; this runs between clone and exec. */
static int caps_get_permitted(uint64_t *ret, struct error *err)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return error_sys(err, errno, "read the capabilities");
	*ret = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return 0;
}

static int caps_set(uint64_t permitted, struct error *err)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	const struct __user_cap_data_struct data[2] = {
		{(uint32_t)permitted, (uint32_t)permitted, 0},
		{(uint32_t)(permitted >> 32), (uint32_t)(permitted >> 32), 0},
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return error_sys(err, errno, "set the capabilities");
	return 0;
}

int caps_raise_permitted(struct error *err)
{
	uint64_t have = 0;
	int r = caps_get_permitted(&have, err);

	return r < 0 ? r : caps_set(have, err);
}

int caps_drop_permitted(struct error *err)
{
	return caps_set(0, err);
}

static int caps_clear_ambient(struct error *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_sys(err, errno, "clear the ambient capabilities");
	return 0;
}

int caps_set_for_exec(uint64_t keep, uid_t uid, struct error *err)
{
	uint64_t wanted = CAPS_BIT(CAP_SYS_ADMIN);
	uint64_t have = 0;
	int r;

	r = caps_get_permitted(&have, err);
	if (r < 0)
		return r;
	if (uid == 0)
		wanted |= keep;
	r = caps_clear_ambient(err);
	if (r < 0)
		return r;
	return caps_set(wanted & have, err);
}
