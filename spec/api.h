/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_API_H
#define SPEC_API_H

/*
 * rkt's gRPC interface v1alpha.PublicAPI (spec/api/v1alpha/api.proto): its
 * numbers, what clients ask, and which pods, images and events are meant by
 * that.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/name_value.h"

struct error;

#define API_VERSION "1.0.0-alpha" /* rkt 1.30's */
#define API_LISTEN "localhost:15441"
/* Names, ids, pairs and filters in one request. */
#define API_TERMS_MAX 1024

enum api_pod_state {
	API_POD_UNDEFINED = 0,
	API_POD_EMBRYO = 1,
	API_POD_PREPARING = 2,
	API_POD_PREPARED = 3,
	API_POD_RUNNING = 4,
	API_POD_ABORTED_PREPARE = 5,
	API_POD_EXITED = 6,
	API_POD_DELETING = 7,
	API_POD_GARBAGE = 8,
};

enum api_app_state {
	API_APP_UNDEFINED = 0,
	API_APP_RUNNING = 1,
	API_APP_EXITED = 2,
};

enum api_event_type {
	API_EVENT_UNDEFINED = 0,
	API_EVENT_POD_PREPARED = 1,
	API_EVENT_POD_PREPARE_ABORTED = 2,
	API_EVENT_POD_STARTED = 3,
	API_EVENT_POD_EXITED = 4,
	API_EVENT_POD_GARBAGE_COLLECTED = 5,
	API_EVENT_APP_STARTED = 6,
	API_EVENT_APP_EXITED = 7,
	API_EVENT_IMAGE_IMPORTED = 8,
	API_EVENT_IMAGE_REMOVED = 9,
};

#define API_IMAGE_TYPE_APPC 1

/* --- requests --------------------------------------------------------------
 *
 * Each _parse reads the LEN bytes of a message; -EBADMSG what is none,
 * -E2BIG more than API_TERMS_MAX.  RET must be zero, and is to be released
 * also then.
 */

/* Values of an enum. */
struct api_set {
	bool is_given;
	uint32_t bits; /* 1 << value */
};

struct api_pod_filter {
	struct strv ids, app_names, image_ids, network_names, cgroups;
	struct strv sub_cgroups;
	struct api_set states;
	struct name_values annotations;
};

struct api_list_pods {
	struct api_pod_filter *filters;
	size_t n_filters;
	bool detail;
};

int api_list_pods_parse(const char *data, size_t len, struct api_list_pods *ret,
			struct error *err);
void api_list_pods_release(struct api_list_pods *request);
#define cleanup_api_list_pods                                                  \
	__attribute__((__cleanup__(api_list_pods_release)))

struct api_image_filter {
	struct strv ids, prefixes, base_names, keywords, full_names;
	struct name_values labels, annotations;
	int64_t imported_after, imported_before; /* seconds; 0: not asked */
};

struct api_list_images {
	struct api_image_filter *filters;
	size_t n_filters;
	bool detail;
};

int api_list_images_parse(const char *data, size_t len,
			  struct api_list_images *ret, struct error *err);
void api_list_images_release(struct api_list_images *request);
#define cleanup_api_list_images                                                \
	__attribute__((__cleanup__(api_list_images_release)))

struct api_event_filter {
	struct strv ids, names;
	struct api_set types;
	int64_t since_time, until_time; /* seconds; 0: not asked */
};

int api_listen_events_parse(const char *data, size_t len,
			    struct api_event_filter *ret, struct error *err);
void api_event_filter_release(struct api_event_filter *filter);
#define cleanup_api_event_filter                                               \
	__attribute__((__cleanup__(api_event_filter_release)))

struct api_get_logs {
	char *pod_id, *app_name; /* NULL: not given */
	int32_t lines;		 /* the last ones; 0: all */
	bool follow;
	int64_t since_time, until_time; /* seconds; 0: not asked */
};

int api_get_logs_parse(const char *data, size_t len, struct api_get_logs *ret,
		       struct error *err);
void api_get_logs_release(struct api_get_logs *request);
#define cleanup_api_get_logs __attribute__((__cleanup__(api_get_logs_release)))

/* InspectPodRequest and InspectImageRequest: malloc'ed, "" if not given. */
int api_inspect_parse(const char *data, size_t len, char **ret,
		      struct error *err);

/* --- which are meant -------------------------------------------------------
 *
 * No filter means all; one that asks for nothing does, too.  As in rkt: the
 * terms of one filter are combined by AND, filters by OR; of several ids,
 * states, cgroups and forms of names one has to fit, of apps, images of apps,
 * networks and pairs all.
 */

/* All borrowed. */
struct api_pod_facts {
	const char *id;
	enum api_pod_state state;
	struct strv apps, images, networks; /* v may hold others' strings */
	const struct name_values *annotations;
	const char *cgroup; /* "" if it does not run */
};

bool api_pod_is_meant(const struct api_list_pods *request,
		      const struct api_pod_facts *facts);

struct api_image_facts {
	const char *id, *name;
	const struct name_values *labels, *annotations;
	int64_t imported; /* seconds */
};

bool api_image_is_meant(const struct api_list_images *request,
			const struct api_image_facts *facts);

struct api_event_facts {
	enum api_event_type type;
	const char *id, *from;
	int64_t time; /* seconds */
};

bool api_event_is_meant(const struct api_event_filter *filter,
			const struct api_event_facts *facts);

#endif
