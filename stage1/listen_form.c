/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/listen_form.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static void add_v4(struct listen_form *form, struct in_addr addr)
{
	form->v4 = addr.s_addr == htonl(INADDR_ANY) ? LISTEN_ANY : LISTEN_ONE;
	form->addr4 = addr;
}

static void add_v6(struct listen_form *form, const struct sockaddr_in6 *addr,
		   bool v6only)
{
	struct in_addr mapped;

	form->port = ntohs(addr->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&addr->sin6_addr)) {
		memcpy(&mapped, addr->sin6_addr.s6_addr + 12, sizeof(mapped));
		add_v4(form, mapped);
	} else if (IN6_IS_ADDR_UNSPECIFIED(&addr->sin6_addr)) {
		form->v6 = LISTEN_ANY;
		form->v4 = v6only ? LISTEN_NONE : LISTEN_ANY;
	} else {
		form->v6 = LISTEN_ONE;
		form->addr6 = addr->sin6_addr;
		form->scope_id = addr->sin6_scope_id;
	}
}

struct listen_form listen_form_make(const struct sockaddr_storage *addr,
				    bool v6only)
{
	const struct sockaddr_in *v4 = (const void *)addr;
	struct listen_form form = {0};

	if (addr->ss_family == AF_INET) {
		form.port = ntohs(v4->sin_port);
		add_v4(&form, v4->sin_addr);
	} else if (addr->ss_family == AF_INET6) {
		add_v6(&form, (const void *)addr, v6only);
	}
	return form;
}

static bool same_v4(const struct listen_form *a, const struct listen_form *b)
{
	return a->v4 == LISTEN_ONE && b->v4 == LISTEN_ONE &&
	       a->addr4.s_addr == b->addr4.s_addr;
}

static bool same_v6(const struct listen_form *a, const struct listen_form *b)
{
	return a->v6 == LISTEN_ONE && b->v6 == LISTEN_ONE &&
	       a->scope_id == b->scope_id &&
	       memcmp(&a->addr6, &b->addr6, sizeof(a->addr6)) == 0;
}

bool listen_form_overlaps(const struct listen_form *a,
			  const struct listen_form *b)
{
	if (a->port != b->port)
		return false;
	if (a->v4 && b->v4 &&
	    (a->v4 == LISTEN_ANY || b->v4 == LISTEN_ANY || same_v4(a, b)))
		return true;
	return a->v6 && b->v6 &&
	       (a->v6 == LISTEN_ANY || b->v6 == LISTEN_ANY || same_v6(a, b));
}

bool listen_form_covered(const struct listen_form *form,
			 const struct listen_form *others, size_t n)
{
	bool v4 = form->v4 == LISTEN_NONE;
	bool v6 = form->v6 == LISTEN_NONE;

	for (size_t i = 0; i < n; i++) {
		const struct listen_form *o = &others[i];

		if (o->port != form->port)
			continue;
		v4 = v4 || o->v4 == LISTEN_ANY || same_v4(form, o);
		v6 = v6 || o->v6 == LISTEN_ANY || same_v6(form, o);
	}
	return v4 && v6;
}

const char *listen_form_text(const struct listen_form *form,
			     char buf[LISTEN_FORM_TEXT])
{
	char addr[INET6_ADDRSTRLEN] = "0.0.0.0";

	if (form->v6 == LISTEN_NONE) {
		if (form->v4 == LISTEN_ONE)
			(void)inet_ntop(AF_INET, &form->addr4, addr,
					sizeof(addr));
		(void)snprintf(buf, LISTEN_FORM_TEXT, "%s:%u", addr,
			       form->port);
		return buf;
	}
	(void)strcpy(addr, "::");
	if (form->v6 == LISTEN_ONE)
		(void)inet_ntop(AF_INET6, &form->addr6, addr, sizeof(addr));
	(void)snprintf(buf, LISTEN_FORM_TEXT, "[%s]:%u%s", addr, form->port,
		       form->v6 == LISTEN_ANY && form->v4 == LISTEN_NONE
			       ? " for IPv6 alone"
			       : "");
	return buf;
}
