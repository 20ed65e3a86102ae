/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_POD_ARG_H
#define CMD_RKT_POD_ARG_H

/*
 * What every command on pods begins and ends with: the words that mean pods
 * (a UUID, a unique prefix of one, or a name) are opened, the command works
 * on each, errors are printed.
 */

struct cmd_call;
struct error;
struct option_row;
struct pod;

/* A row `--uuid-file` whose target is a const char *. */
#define UUID_FILE_OPTION_ROW(type, field)                                      \
	{                                                                      \
		.name = "uuid-file", .kind = OPTION_STRING,                    \
		.offset = offsetof(type, field),                               \
		.values = OPTION_VALUES_FILES,                                 \
		.help = "read the pod's UUID from this file"                   \
	}

/* The work on one open pod: rkt's exit code, or a negative errno. */
typedef int (*pod_work)(struct cmd_call *call, struct pod *pod,
			struct error *err);

/*
 * These open and close the pod, print the work's error and return rkt's exit
 * code.  The first is for the pod of WORD; the second for that of the
 * command's only word, or of the file FILE (may be NULL).
 */
int pod_arg_word(struct cmd_call *call, const char *word, pod_work work);
int pod_arg_only(struct cmd_call *call, const char *file, pod_work work);

/* For each word, or the one pod of FILE; what fails keeps WORK from no other.
 * *RET_FAILED is how many did. */
int pod_arg_each(struct cmd_call *call, const char *file, pod_work work,
		 int *ret_failed);

#endif
