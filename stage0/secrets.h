/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_SECRETS_H
#define STAGE0_SECRETS_H

/*
 * What secrets of a pod (spec/secret.h) are made of, on its way to stage1: in
 * pipes, which are never swapped out.  Their descriptors are all that is
 * written down.
 */

struct error;
struct pod;
struct strv;

/*
 * Reads the secrets that the manifest of POD asks for and names their
 * descriptors, to be inherited, in ENV (STAGE1_ENV_SECRET_FDS).  Errors say
 * which one is missing.
 */
int pod_secrets_pass(const struct pod *pod, struct strv *env,
		     struct error *err);

#endif
