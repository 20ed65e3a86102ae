/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_CONFIG_LOAD_H
#define ACI_CONFIG_LOAD_H

/* rkt's configuration as it lies below the configuration directories. */

#include "spec/config.h"

struct error;

/* In the order they count; NULL or a missing directory says nothing. */
struct config_dirs {
	const char *system_dir; /* /usr/lib/rkt */
	const char *local_dir;	/* /etc/rkt */
	const char *user_dir;
};

#define CONFIG_BIT(subdir) (1U << (subdir))
#define CONFIG_ALL (CONFIG_BIT(CONFIG_SUBDIR_MAX) - 1)

/*
 * Reads the sub-directories in SUBDIRS (CONFIG_BIT()s): regular files called
 * *.json directly in them, in the order of their names.  Symbolic links and
 * whatever else lies there are left alone.  Errors name the file.  A file
 * with credentials that any user may read is used, with a warning.
 */
int config_load(const struct config_dirs *dirs, unsigned int subdirs,
		struct config *ret, struct error *err);

#endif
