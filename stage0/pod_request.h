/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_REQUEST_H
#define STAGE0_POD_REQUEST_H

/*
 * What the user asked for, as data: `run` and `prepare` fill it from the
 * command line, pod_build makes a Pod Manifest of it.
 *
 *	IMAGE [app flags] [-- ARGS... [---]] IMAGE ...
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/option.h"
#include "base/strv.h"
#include "spec/mount.h"
#include "spec/port.h"
#include "spec/secret.h"
#include "spec/volume.h"
#include "stage0/app_args.h"

struct error;

struct app_request {
	char *image;	   /* as typed */
	struct strv words; /* flags and "--" ARGS: what args/APP will hold */
	struct app_options options; /* of words */
};

struct pod_request {
	struct app_request *apps;
	size_t n_apps;
	struct volume *volumes;
	size_t n_volumes;
	struct strv mounts; /* --mount before any image: for all of them */
	struct secret *secrets;
	size_t n_secrets;
	struct exposed_port *ports;
	size_t n_ports;
	bool is_mutable; /* apps come later: there may be none */
	bool inherit_env;
	struct strv set_env;	  /* NAME=VALUE */
	struct strv set_env_file; /* paths */
};

#define POD_REQUEST_INIT                                                       \
	{                                                                      \
		0                                                              \
	}

void pod_request_release(struct pod_request *req);
#define cleanup_pod_request __attribute__((__cleanup__(pod_request_release)))

void pod_request_add_port(struct pod_request *req,
			  const struct exposed_port *port);

/*
 * Rows of pod-level flags whose target is a struct pod_request: --volume,
 * --mount, --port, --inherit-env, --set-env, --set-env-file.
 */
extern const struct option_row pod_request_rows[];

/*
 * Reads ARGV, which starts at the first word that is no flag.  Flags of SETS
 * (pod and global level) may stand between images; those of an app follow
 * its image.
 */
int pod_request_parse(struct pod_request *req, char *const *argv,
		      const struct option_set *sets, size_t n_sets,
		      struct error *err);

/*
 * Gives every app what was said for all: mounts, and the environment of
 * ENVIRON (--inherit-env), files and --set-env.  Every mount must name a
 * volume.  Reads the environment files; call once, before building.
 */
int pod_request_resolve(struct pod_request *req, const struct strv *environment,
			struct error *err);

#endif
