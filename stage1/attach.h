/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ATTACH_H
#define STAGE1_ATTACH_H

/*
 * Clients of `rkt attach` (records: spec/stage1_abi.h).  An app is attached to,
 * not a generation of it: every client sees what all its generations print from
 * then on, and what is typed goes to the one that serves.
 *
 * The app never waits for a client: one that does not take its output is sent
 * away when ATTACH_QUEUE_MAX bytes wait for it.  What the app does not take of
 * its input stays with the clients, but for one record.
 */

#include <stddef.h>
#include <stdint.h>

#include "spec/stage1_abi.h"

#define ATTACH_QUEUE_MAX (1024UL * 1024)
#define ATTACH_CLIENTS_MAX 16 /* of one app */
/* What waits for a client that another stage1 goes on with. */
#define ATTACH_SAVED_MAX (16UL * 1024)
/* What clients may take for the last output of a pod that ends. */
#define ATTACH_LAST_MS 1000

struct attach;
struct error;
struct json_node;
struct pod;
struct pod_app;
struct state_writer;

/* The names of what APP can be attached to, as CONTROL_ATTACH_* flags. */
int attach_targets(const struct pod_app *app, uint32_t *ret, struct error *err);

/* Adds the client of CONN (taken, also on failure), which wants the
 * CONTROL_ATTACH_* flags WANTS. */
int attach_add(struct pod_app *app, uint32_t wants, int conn,
	       struct error *err);

/* APP's output as it comes: taps of its streams; DATA is the app. */
void attach_tap_stdout(void *data, const char *buf, size_t n);
void attach_tap_stderr(void *data, const char *buf, size_t n);
void attach_tap_tty(void *data, const char *buf, size_t n);

/* Gives the slave TTY of a new generation the size clients have told. */
void attach_set_size(const struct pod_app *app, int tty);
/* FD, one end of an input of APP's, is about to be closed. */
void attach_forget_input(struct pod_app *app, int fd);

/* APP has ended for good: so do its clients. */
void attach_app_ended(struct pod_app *app, int exit_code);
/* What clients of the pod have not taken yet is waited for, up to WAIT_MS for
 * all of them. */
void attach_finish(struct pod *pod, unsigned int wait_ms);
/* Frees what APP has; its clients are gone then. */
void attach_release(struct pod_app *app);

/* Another stage1 goes on with the clients, but for those who have not taken
 * ATTACH_SAVED_MAX bytes: their connections end. */
void attach_save(const struct attach *attach, struct state_writer *w,
		 const char *key);
int attach_restore(const struct json_node *node, struct pod_app *app,
		   struct error *err);

/*
 * -EPROTO unless BUF, LEN bytes, is one record that a client who WANTS these
 * may send.  Pure; this is what is fuzzed.
 */
int attach_record_check(const void *buf, size_t len, uint32_t wants,
			struct attach_head *ret);

#endif
