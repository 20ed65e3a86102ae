/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/environment.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/strv.h"
#include "spec/name_value.h"

static void expect_env(const struct strv *env, const char *name,
		       const char *value)
{
	const char *got = strv_env_get(env, name);

	if (value)
		cr_expect(got && strcmp(got, value) == 0, "%s=%s", name,
			  got ? got : "(unset)");
	else
		cr_expect_null(got, "%s=%s", name, got);
}

Test(environment, defaults)
{
	struct strv env cleanup_strv = STRV_INIT;
	struct environment_request req = {.app_name = "redis"};

	environment_make(&req, &env);
	expect_env(&env, "PATH",
		   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		   "/sbin:/bin");
	expect_env(&env, "AC_APP_NAME", "redis");
	expect_env(&env, "container", "rkt");
	expect_env(&env, "SHELL", "/bin/sh");
	expect_env(&env, "USER", "root");
	expect_env(&env, "LOGNAME", "root");
	expect_env(&env, "HOME", "/root");
	expect_env(&env, "AC_METADATA_URL", NULL);
	cr_expect_eq(env.n, 7);
}

Test(environment, who_wins)
{
	struct name_values app cleanup_name_values = NAME_VALUES_INIT;
	struct strv extra cleanup_strv = STRV_INIT;
	struct strv env cleanup_strv = STRV_INIT;
	struct environment_request req = {
		.app = &app,
		.app_name = "a",
		.metadata_url = "http://10.0.0.1:18112/token",
		.extra = &extra,
	};

	name_values_add(&app, "PATH", "/only");
	name_values_add(&app, "HOME", "");
	name_values_add(&app, "AC_APP_NAME", "fake");
	name_values_add(&app, "AC_METADATA_URL", "fake");
	name_values_add(&app, "NOTIFY_SOCKET", "fake");
	name_values_add(&app, "LISTEN_PID", "fake");
	name_values_add(&app, "WATCHDOG_USEC", "fake");
	name_values_add(&app, "EQ", "a=b $HOME");
	strv_push(&extra, "NOTIFY_SOCKET=/run/systemd/notify");
	strv_push(&extra, "LISTEN_FDS=2");
	environment_make(&req, &env);
	expect_env(&env, "PATH", "/only");
	expect_env(&env, "HOME", "");
	expect_env(&env, "USER", "root");
	expect_env(&env, "AC_APP_NAME", "a");
	expect_env(&env, "AC_METADATA_URL", "http://10.0.0.1:18112/token");
	expect_env(&env, "NOTIFY_SOCKET", "/run/systemd/notify");
	expect_env(&env, "LISTEN_FDS", "2");
	expect_env(&env, "LISTEN_PID", NULL);
	expect_env(&env, "WATCHDOG_USEC", NULL);
	/* Never substituted (appc B21). */
	expect_env(&env, "EQ", "a=b $HOME");
	for (size_t i = 0; i < env.n; i++)
		for (size_t k = i + 1; k < env.n; k++)
			cr_expect_neq(strncmp(env.v[i], env.v[k],
					      strcspn(env.v[i], "=") + 1),
				      0, "%s twice", env.v[i]);
}
