/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/events.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/grpc.h"
#include "cmd/rkt-api/messages.h"
#include "cmd/rkt-api/methods.h"
#include "cmd/rkt-api/service.h"
#include "cmd/rkt-api/watch.h"
#include "spec/protobuf.h"

#define REMEMBERED_MAX 1024
#define QUEUED_MAX (1UL << 20) /* of a listener */

/* An event, for who listens later. */
struct remembered {
	enum api_event_type type;
	char *id, *from;
	int64_t time;
	struct strbuf message; /* a ListenEventsResponse */
};

struct listener {
	struct listener *next, **at;
	struct grpc_call *call;
	struct api_event_filter filter;
};

struct events {
	const struct service *service;
	struct watch *watch;
	size_t fd_at; /* in the poll set */
	struct remembered ring[REMEMBERED_MAX];
	size_t first, n;
	struct listener *listeners;
};

/* --- what happened ---------------------------------------------------------
 */

static struct remembered *remember(struct events *e,
				   const struct watch_event *event)
{
	struct remembered *r = &e->ring[(e->first + e->n) % REMEMBERED_MAX];

	if (e->n == REMEMBERED_MAX) {
		e->first = (e->first + 1) % REMEMBERED_MAX;
		free(r->id);
		free(r->from);
		strbuf_release(&r->message);
	} else {
		e->n++;
	}
	*r = (struct remembered){
		.type = event->facts.type,
		.id = xstrdup(event->facts.id),
		.from = xstrdup(event->facts.from),
		.time = event->facts.time,
		.message = STRBUF_INIT,
	};
	return r;
}

static void make_message(const struct watch_event *event, struct strbuf *out)
{
	size_t mark = protobuf_open(out, 1);

	protobuf_add_uint(out, 1, event->facts.type);
	protobuf_add_text(out, 2, event->facts.id);
	protobuf_add_text(out, 3, event->facts.from);
	protobuf_add_int(out, 4, event->facts.time);
	if (event->data)
		add_pairs(out, 5, event->data);
	protobuf_close(out, mark);
}

static void listener_free(struct listener *l)
{
	*l->at = l->next;
	if (l->next)
		l->next->at = l->at;
	api_event_filter_release(&l->filter);
	free(l);
}

static void listener_gone(void *data)
{
	listener_free(data);
}

/* False: it does not listen any more. */
static bool tell(struct listener *l, const struct remembered *r)
{
	const struct api_event_facts facts = {
		.type = r->type, .id = r->id, .from = r->from, .time = r->time};

	if (!api_event_is_meant(&l->filter, &facts))
		return true;
	if (grpc_call_queued(l->call) > QUEUED_MAX) {
		grpc_call_finish(l->call, GRPC_RESOURCE_EXHAUSTED,
				 "events come faster than they are taken");
		listener_free(l);
		return false;
	}
	grpc_call_send(l->call, &r->message);
	return true;
}

static void on_event(void *data, const struct watch_event *event)
{
	struct events *e = data;
	struct remembered *r = remember(e, event);
	struct listener *next;

	make_message(event, &r->message);
	for (struct listener *l = e->listeners; l; l = next) {
		next = l->next;
		(void)tell(l, r);
	}
}

/* --- who listens -----------------------------------------------------------
 */

/* What has happened since the time that is asked for. */
static void tell_past(const struct events *e, struct listener *l)
{
	size_t n = l->filter.since_time > 0 ? e->n : 0;
	bool listens = true;

	for (size_t i = 0; i < n && listens; i++)
		listens = tell(l, &e->ring[(e->first + i) % REMEMBERED_MAX]);
}

void listen_events(void *data, struct grpc_call *call, const char *request,
		   size_t len)
{
	struct events *e = ((struct service *)data)->events;
	struct listener *l = xcalloc(1, sizeof(*l));
	struct error err = ERROR_INIT;
	int r = api_listen_events_parse(request, len, &l->filter, &err);

	*l = (struct listener){
		.next = e->listeners,
		.at = &e->listeners,
		.call = call,
		.filter = l->filter,
	};
	if (l->next)
		l->next->at = &l->next;
	e->listeners = l;
	if (r < 0) {
		listener_free(l);
		call_fail(call, r, &err);
		return;
	}
	grpc_call_on_end(call, listener_gone, l);
	grpc_call_begin(call);
	tell_past(e, l);
}

/* Streams end at the time that was asked for. */
static void end_streams(struct events *e)
{
	int64_t now = time(NULL);
	struct listener *next;

	for (struct listener *l = e->listeners; l; l = next) {
		next = l->next;
		if (l->filter.until_time <= 0 || now <= l->filter.until_time)
			continue;
		grpc_call_finish(l->call, GRPC_OK, NULL);
		listener_free(l);
	}
}

/* --- the loop --------------------------------------------------------------
 */

int events_new(const struct service *s, struct events **ret, struct error *err)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->service = s;
	*ret = e;
	return watch_new(s, on_event, e, &e->watch, err);
}

void events_add_fds(struct events *e, struct poll_set *set)
{
	e->fd_at = poll_set_add(set, watch_fd(e->watch), POLLIN);
}

bool events_run(struct events *e, const struct poll_set *set)
{
	watch_run(e->watch);
	end_streams(e);
	return set->v[e->fd_at].revents != 0;
}

int events_timeout(const struct events *e)
{
	int ms = watch_timeout(e->watch);

	for (const struct listener *l = e->listeners; l; l = l->next)
		if (l->filter.until_time > 0 && ms > 500)
			ms = 500;
	return ms;
}
