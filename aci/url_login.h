/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_URL_LOGIN_H
#define ACI_URL_LOGIN_H

/*
 * https://USER:PASSWORD@HOST/PATH, as people give it: taken apart before
 * anything is done with it, so that no message, file or table has the password.
 * Pure.
 */

#include <stdbool.h>

#include "spec/config.h"

struct http_request;

struct url_login {
	char *url; /* for requests, people and the disk */
	bool is_given;
	struct config_auth auth; /* if is_given, of kind basic */
};

#define URL_LOGIN_INIT                                                         \
	{                                                                      \
		0                                                              \
	}

/* Of what is no http or https URL all is RET's url. */
void url_login_make(const char *text, struct url_login *ret);
void url_login_release(struct url_login *login);
#define cleanup_url_login __attribute__((__cleanup__(url_login_release)))

/*
 * Has REQ ask with what LOGIN (may be NULL) gives, or else with what CONFIG
 * (may be NULL) has for REQ's URL.  Both are borrowed.
 */
void url_login_apply(const struct url_login *login, const struct config *config,
		     struct http_request *req);

#endif
