/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/listeners.h"

enum bind_action bind_decide(const struct bind_facts *f)
{
	/* EADDRINUSE stays true among sockets of its own. */
	if (f->is_held && f->overlaps_own && !f->has_reuseport)
		return BIND_CONTINUE;
	if (f->is_held && (!f->is_tcp || f->host_net || !f->held_reuseport))
		return BIND_SUBSTITUTE;
	if (f->is_held)
		return BIND_JOIN;
	/* And among those of other apps. */
	if (f->overlaps_held && !f->made_reuseport &&
	    (!f->overlaps_own || f->has_reuseport))
		return BIND_BESIDE;
	/* Sharing a port of the host could be seen by other programs of the
	 * host, and a restart there substitutes anyway. */
	if (!f->is_tcp || !f->has_port || f->host_net)
		return BIND_CONTINUE;
	if (!f->in_use)
		return BIND_REUSEPORT;
	/* The other socket would not be shareable without us. */
	if (f->has_reuseport && f->made_reuseport)
		return BIND_IN_USE;
	return BIND_CONTINUE;
}
