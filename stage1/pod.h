/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_POD_H
#define STAGE1_POD_H

/*
 * A pod as its supervisor sees it: what was asked for (options, manifest),
 * what it owns (pod init, cgroup, network) and its apps.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strv.h"
#include "spec/pod_manifest.h"
#include "stage1/activation.h"
#include "stage1/cgroup.h"
#include "stage1/event.h"
#include "stage1/host_ports.h"
#include "stage1/host_sockets.h"
#include "stage1/host_store.h"
#include "stage1/machine.h"
#include "stage1/options.h"
#include "stage1/output.h"
#include "stage1/pod_init.h"
#include "stage1/rootfs.h"
#include "stage1/users.h"

struct attach;
struct error;
struct fd_store;
struct bind_call;
struct generation;
struct network;
struct console;
struct control;
struct handover;
struct held_listener;
struct reexec;
struct restart;
struct runtime_request;
struct update;

/* What `rkt app` asked for and waits for: app_change.h. */
struct app_wish {
	uint32_t op; /* CONTROL_APP_*; 0: nothing */
	int conn;    /* -EBADF: nobody waits */
};

struct pod_app {
	struct pod *pod;
	char *name;
	/* The generation that serves.  NULL only before the first one. */
	struct generation *current;
	struct output_log log;
	struct attach *attach;	    /* attach.h; NULL: nobody ever was */
	struct held_listener *held; /* during an update: listeners.h */
	size_t n_held;
	uint64_t n_moved; /* waited in held sockets that were taken over */
	/* What its processes inherit from the pod: listen_fds.h. */
	struct activation activation;
	struct fd_store *store;	   /* NULL until something is stored */
	bool has_notified;	   /* status/APP.notify is there */
	struct handover *handover; /* during one */
	struct restart *restart;   /* restart.h; NULL: not looked after */
	/* Tree of the image the pod was started with; taken by the first
	 * generation.  In a mutable pod that of an app that does not run. */
	int tree_fd;
	unsigned int committed; /* number appsinfo/APP points to */
	/* Nothing of it runs, or will: it ended for good, or waits for
	 * CONTROL_APP_START. */
	bool done;
	int exit_code;
	struct app_wish wish;
};

/* Who changes the apps of a mutable pod: app_change.h. */
struct app_change_ops {
	/* G, which CONTROL_APP_START asked for, stands at its barrier (who
	 * asked may have been answered). */
	void (*held)(struct generation *g);
	/* It cannot be started, because of ERR; its end follows. */
	void (*failed)(struct pod_app *app, const struct error *err);
	/* It has ended; its generation is gone afterwards, and so may be the
	 * app. */
	void (*ended)(struct pod_app *app);
};

struct pod {
	struct run_options options;
	struct strv run_args; /* as given, for rkt enter */
	int dirfd;
	int lockfd;
	int selffd; /* what stage1 was executed through, or -EBADF */
	/* To come back from the pod's; -EBADF if nobody can (without root), or
	 * if the pod has the host's. */
	int own_pidns;
	int own_netns;
	int seccomp_cache; /* directory, or -EBADF */
	struct pod_manifest manifest;
	struct strv ignored; /* "APP: NAME: REASON" */

	struct event_loop loop;
	struct users users;
	struct pod_init init;
	struct event_source init_source;
	struct event_source init_said;
	struct cgroup *cgroup;
	struct network *network;
	bool has_network; /* to be torn down */
	struct rootfs_files files;
	char *hostname;
	struct output output;
	struct console *console; /* --interactive */
	struct control *control;
	struct update *update;		      /* the running transaction */
	void (*on_stopping)(struct pod *pod); /* set while it runs */
	const struct app_change_ops *changes;
	/* Another stage1 is asked for; takes both descriptors. */
	void (*on_runtime)(struct pod *pod, const struct runtime_request *rec,
			   int program, int conn);
	struct reexec *reexec; /* it is being tried */
	/* TCP ports apps asked for, and whether they are shareable only
	 * because we made them so. */
	struct bound_port {
		const struct generation *by;
		int domain;
		uint16_t port;
		bool made_reuseport;
	} * bound;
	size_t n_bound;

	struct pod_app **apps;
	size_t n_apps;
	struct generation *generations; /* every one there is */

	struct event_source signals;
	struct event_timer stop_timer;
	char *host_notify;	   /* NOTIFY_SOCKET of the host, or NULL */
	uint64_t host_watchdog_us; /* 0: it does not watch us */
	struct event_timer host_ping;
	struct host_sockets host_sockets;
	struct host_store host_store;
	struct host_ports host_ports;
	struct machine machine;
	int adopted_netns; /* of a stage1 that was killed, or -EBADF */
	/* An app that tells when it serves has told. */
	void (*on_told)(struct pod *pod);
	/* An app asks for an address: before it is answered. */
	void (*on_bind)(struct generation *g, const struct bind_call *call);
	bool running; /* every app has been let go */
	bool ready;   /* and those that tell have said that they serve */
	bool stopping;
	bool asked_to_stop; /* by a signal or request, not by a failure */
	bool has_failed;
	int exit_code; /* of the first app that failed */
};

/* Nothing is open yet. */
void pod_empty(struct pod *pod);
/* Takes the options ARGV, which it borrows. */
int pod_take_options(struct pod *pod, int argc, char *const argv[],
		     struct error *err);
/* Takes options and inherited descriptors.  The pod directory is the cwd. */
int pod_take(struct pod *pod, int argc, char *const argv[], struct error *err);
/* Reads manifest and apps. */
int pod_load(struct pod *pod, struct error *err);
void pod_release(struct pod *pod);

/* Writes the manifest's file. */
int pod_save_manifest(const struct pod *pod, struct error *err);

/* An app that the pod's directory has, with its committed generation; and
 * takes it out again: nothing of it runs. */
int pod_add_app(struct pod *pod, const char *name, struct pod_app **ret,
		struct error *err);
void pod_remove_app(struct pod *pod, struct pod_app *app);

/* NULL if there is no app NAME. */
/*
 * Between the two, sockets are made in the pod's network namespace; -errno if
 * it cannot be joined.
 */
int pod_net_enter(const struct pod *pod);
void pod_net_leave(const struct pod *pod);

struct pod_app *pod_find_app(struct pod *pod, const char *name);

/* G asked for a TCP port; MADE: SO_REUSEPORT was set by us. */
void pod_note_bound(struct pod *pod, const struct generation *g, int domain,
		    uint16_t port, bool made);
/* Did G ask for this port, in either domain? */
bool pod_has_bound(const struct pod *pod, const struct generation *g,
		   uint16_t port);
/* Was SO_REUSEPORT set by us on a socket of this port of another generation
 * than G? */
bool pod_made_reuseport(const struct pod *pod, const struct generation *g,
			uint16_t port);
void pod_forget_bound(struct pod *pod, const struct generation *g);

/* Drops the rows of the app WHO. */
void pod_forget_ignored(struct pod *pod, const char *who);
/* Rows "NAME: REASON" of WHO (an app or "pod") for rkt status. */
void pod_note_ignored(struct pod *pod, const char *who,
		      const struct strv *rows);

#endif
