/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_STAGE1_ABI_H
#define SPEC_STAGE1_ABI_H

/*
 * What stage0 and stage1 share: names in a pod directory, environment of the
 * entrypoints, exit codes and the records of the pod's control socket.  The
 * text that explains it is spec/stage1-abi.md; change both together and
 * raise STAGE1_ABI_VERSION when an old peer would misread the new form.
 */

#include <stdint.h>

#define STAGE1_ABI_VERSION 3

/* --- a stage1 that is an image ---------------------------------------------
 */

#define STAGE1_ANNOTATION_PREFIX "coreos.com/rkt/stage1/" /* run, enter... */
#define STAGE1_ANNOTATION_VERSION STAGE1_ANNOTATION_PREFIX "interface-version"
/* 1 to 6 are rkt's.  7: --system-config, --mds-register, --ready-fd,
 * RKT_TREE_FDS and what else is new in stage1-abi.md. */
#define STAGE1_INTERFACE_VERSION 7

/* rkt's own are called so; the rest of the name is the flavour. */
#define STAGE1_IMAGE_PREFIX "coreos.com/rkt/stage1-"

/* --- files, relative to the pod directory -------------------------------- */

#define POD_MANIFEST_FILE "pod"
#define POD_CREATED_FILE "pod-created" /* its mtime */
#define POD_LOCK_FILE "pod.lck"	       /* flock: one change at a time */
/* flock: who has apps stand still */
#define POD_FREEZE_LOCK_FILE "freeze.lck"
#define POD_NAME_FILE "name" /* named pods only */
/* The pod's stage1; none of the three: rkt's own, native. */
#define POD_FLAVOR_LINK "flavor"	       /* -> another one of rkt's own */
#define POD_STAGE1_ID_FILE "stage1TreeStoreID" /* an image: its id, and */
#define POD_STAGE1_DIR "stage1"
#define POD_STAGE1_MANIFEST_FILE POD_STAGE1_DIR "/manifest" /* its manifest */
#define POD_PID_FILE "pid"	     /* host pid of pod init, text */
#define POD_PPID_FILE "ppid"	     /* instead: of a process with one child */
#define POD_PGID_FILE "pgid"	     /* fly: process group of the app */
#define POD_CONTROL_SOCKET "control" /* SOCK_SEQPACKET */
#define POD_READY_LINK "supervisor-status" /* -> "ready" once apps run */
/* Names in the descriptor store of the host's service manager: stage1-abi.md,
 * section 8. */
#define HOST_STORE_PREFIX "rkt."
#define HOST_STORE_NETNS HOST_STORE_PREFIX "%s.netns" /* of a pod's UUID */
/* Of gc: the pod's network is kept for the next stage1. */
#define GC_KEEP_NETWORK "--keep-network"

#define POD_NETNS_FILE "netns" /* path of the bound netns */
#define POD_NET_INFO_FILE "net-info.json"
#define POD_RESOLV_CONF_FILE                                                   \
	"rkt-resolv.conf"	       /* --dns-conf-mode=resolv=stage0 */
#define POD_HOSTS_FILE "rkt-hosts"     /* --dns-conf-mode=hosts=stage0 */
#define POD_CGROUP_FILE "cgroup"       /* absolute directories, one a line */
#define POD_ISOLATORS_FILE "isolators" /* "APP: NAME: REASON" lines */
#define POD_JOURNAL_FILE "update.journal"
#define POD_HISTORY_FILE "history"
#define POD_AUTO_UPDATE_FILE "auto-update" /* spec/auto_update.h */
#define POD_KEEP_FILE "keep" /* earlier generations that stay, decimal */
#define POD_PRIVATE_USERS_FILE "private-users-prepared" /* SHIFT:COUNT */
#define POD_METADATA_FILE "mds-registered"	   /* AC_METADATA_URL, 0600 */
#define POD_RUNTIME_VERSION_FILE "runtime-version" /* of its stage1, text */
#define POD_RUNTIME_CONFIG_FILE "runtime-config"   /* run arguments, JSON */
#define POD_ARGS_DIR "args"   /* args/APP: JSON array of strings */
#define POD_ASKED_DIR "asked" /* asked/APP: IMAGE argument and its id, JSON */
/* Mutable pods: when the app came (mtime); that it is not to be started with
 * the pod; the manifest with the app that CONTROL_APP_ADD is for. */
#define POD_ADDED_DIR "added"
#define POD_IDLE_DIR "idle"
#define POD_ADD_FILE "pod.add"
#define POD_NO_OVERLAY_FILE "no-overlay"  /* its apps are copies */
#define POD_APPSINFO_DIR "appsinfo"	  /* appsinfo/APP -> generation */
#define POD_GENERATIONS_DIR "generations" /* generations/APP/N/ */
#define POD_VOLUMES_DIR "sharedVolumes"
#define POD_LOGS_DIR "logs"
#define POD_STATUS_DIR "status"
#define STATUS_NOTIFY_SUFFIX                                                   \
	".notify" /* status/APP.notify: sd_notify lines                        \
		   */
#define STATUS_RESTARTS_SUFFIX                                                 \
	".restarts" /* "N CODE": starts again, last exit code */
#define STATUS_HEALTH_SUFFIX ".health" /* "ok" or "failing: REASON" */

/* --- files, relative to generations/APP/N/ -------------------------------- */

#define GENERATION_MANIFEST_FILE "manifest" /* canonical ImageManifest */
#define GENERATION_IMAGE_ID_FILE "treeStoreID"
#define GENERATION_APP_FILE "app"	/* RuntimeApp as in the pod manifest */
#define GENERATION_PID_FILE "pid"	/* host pid of its main process */
#define GENERATION_FAILED_FILE "failed" /* exit code that ended the pod */
#define GENERATION_UPPER_DIR "upper"
#define GENERATION_WORK_DIR "work"
#define GENERATION_ROOTFS_DIR "rootfs" /* a copy: --no-overlay only */

/* --- elsewhere -------------------------------------------------------------
 */

/* Locked by who takes ports of the host; links PROTOCOL-PORT-UUID to pods that
 * have some (stage1/port_claims.h). */
#define HOST_PORTS_DIR "/run/rkt/ports"
/* Compiled system call filters, root only; may be removed at any time. */
#define SECCOMP_CACHE_DIR "/run/rkt/seccomp"

/* --- environment of the run entrypoint ------------------------------------ */

/* Descriptor of the locked pod directory; open for the pod's whole life. */
#define STAGE1_ENV_LOCK_FD "RKT_LOCK_FD"
/*
 * Descriptor stage1 was executed through, a detached mount of its own binary;
 * optional.  Closed where nobody waits for it: putting a mount away costs an
 * RCU grace period.
 */
#define STAGE1_ENV_SELF_FD "RKT_STAGE1_FD"
/* "APP:FD,APP:FD": each app's rendered rootfs, O_PATH|O_DIRECTORY. */
#define STAGE1_ENV_TREE_FDS "RKT_TREE_FDS"
#define STAGE1_ENV_SECRET_FDS "RKT_SECRET_FDS" /* "name:fd,name2:fd" */

/* Of a stage1 that is an image: its rendered rootfs, as above. */
#define STAGE1_ENV_ROOT_FD "RKT_STAGE1_ROOT_FD"

/* Where rkt's programs are, for those that stage1 executes; optional. */
#define STAGE1_ENV_LIBEXEC_DIR "RKT_LIBEXEC_DIR"

/* Set in a user namespace of an ordinary user: pid and network namespace are
 * not ours there, so there is no coming back to them.  Optional. */
#define STAGE1_ENV_ROOTLESS "RKT_ROOTLESS"

/* --- exit codes ------------------------------------------------------------
 */

#define RKT_EXIT_FAILURE 254	/* rkt itself failed */
#define RKT_EXIT_USAGE 2	/* no subcommand */
#define RKT_EXIT_ROLLED_BACK 10 /* update: old generation serves again */
#define RKT_EXIT_REFUSED 11	/* update: the plan refused it */
#define RKT_EXIT_DEGRADED 12	/* update: rolled back, pod not healthy */

/* --- limits ----------------------------------------------------------------
 */

#define MANIFEST_MAX (4UL * 1024 * 1024) /* bytes of any manifest */
#define POD_APPS_MAX 64
/* Bytes.  The name of an app, and that of an empty volume, become names of
 * files and control groups (at most 255) with more around them. */
#define APP_NAME_MAX 200
#define VOLUME_NAME_MAX 255

/* --- control socket --------------------------------------------------------
 */

/*
 * One SOCK_SEQPACKET connection carries one request and its replies.  stage1
 * answers only uid 0 (SO_PEERCRED) and drops a connection at the first
 * record that is short, long, of another version, or not permitted now.
 * Descriptors travel by SCM_RIGHTS with the request.
 */
enum control_op {
	CONTROL_STATUS = 1, /* -> CONTROL_DONE */
	CONTROL_STOP = 2,   /* orderly stop -> CONTROL_DONE when accepted */
	CONTROL_UPDATE = 3, /* one app; 1 fd: the new generation's tree */
	CONTROL_ABORT = 4,  /* end the running transaction by rolling back */
	CONTROL_RESUME = 5, /* follow it; one that is on hold tries again */
	CONTROL_PLAN = 6,   /* one app: which tier -> CONTROL_DONE */
	CONTROL_ATTACH = 7, /* one app; flags CONTROL_ATTACH_*: see below */
	/* Mutable pods, one app each -> CONTROL_DONE or CONTROL_ERROR: */
	CONTROL_APP_ADD = 8, /* 1 fd: its tree; POD_ADD_FILE has the app */
	CONTROL_APP_START = 9,
	CONTROL_APP_STOP = 10, /* when it has ended */
	CONTROL_APP_REMOVE = 11,
	CONTROL_OP_MAX
};

#define CONTROL_APP_NAME_MAX 256 /* bytes, more than APP_NAME_MAX */
#define CONTROL_PROBE_MAX 1024	 /* bytes, with the NUL */
#define CONTROL_WHO_MAX 64	 /* bytes, with the NUL */

struct control_request {
	uint32_t version;    /* STAGE1_ABI_VERSION */
	uint32_t op;	     /* enum control_op */
	uint32_t generation; /* CONTROL_UPDATE, _APP_ADD: N of generations/APP/N
			      */
	uint32_t strategy;   /* enum update_strategy */
	uint64_t ready_timeout_ms;
	uint64_t observe_ms;
	uint64_t stop_timeout_ms;	/* SIGTERM to SIGKILL of the old one */
	uint32_t flags;			/* enum control_flags */
	uint32_t keep;			/* CONTROL_KEEP: POD_KEEP_FILE */
	char app[CONTROL_APP_NAME_MAX]; /* NUL-terminated AC Name */
	char who[CONTROL_WHO_MAX];	/* who asks, for the history; "" */
	uint64_t canary_ms;		/* how long, */
	uint32_t canary_share;		/* and how many of 10,000 connections */
	uint32_t reserved2;		/* 0 */
	char probe[CONTROL_PROBE_MAX];	/* spec/probe.h; "" = tcp */
};

enum control_flags {
	/* The target served before; without it, it must not have. */
	CONTROL_ROLLBACK = 1 << 0,
	/* A failure gives everything back to the old ones, but the
	 * transaction stays until CONTROL_RESUME or CONTROL_ABORT: the new
	 * one runs on (handover), or is put away with its files (restart). */
	CONTROL_HOLD = 1 << 1,
	/* Another CONTROL_UPDATE of the same transaction follows on this
	 * connection. */
	CONTROL_MORE = 1 << 2,
	/* If it is committed, `keep` is what POD_KEEP_FILE says from then. */
	CONTROL_KEEP = 1 << 3,
	/* CONTROL_ATTACH: what of the app; none: only asks what there is. */
	CONTROL_ATTACH_STDIN = 1 << 8,
	CONTROL_ATTACH_STDOUT = 1 << 9,
	CONTROL_ATTACH_STDERR = 1 << 10,
	CONTROL_ATTACH_TTY_IN = 1 << 11,
	CONTROL_ATTACH_TTY_OUT = 1 << 12,
	CONTROL_ATTACH_FLAGS = CONTROL_ATTACH_STDIN | CONTROL_ATTACH_STDOUT |
			       CONTROL_ATTACH_STDERR | CONTROL_ATTACH_TTY_IN |
			       CONTROL_ATTACH_TTY_OUT,
	CONTROL_FLAGS_KNOWN = CONTROL_ROLLBACK | CONTROL_HOLD | CONTROL_MORE |
			      CONTROL_KEEP | CONTROL_ATTACH_FLAGS,
};

enum update_strategy {
	UPDATE_AUTO = 0,
	UPDATE_RESTART = 1,
	UPDATE_HANDOVER = 2,
	UPDATE_STATE = 3,
	UPDATE_PATCH = 4,
};

/* 1 << enum update_strategy: what this rkt's stage1 can do. */
#define STAGE1_UPDATE_TIERS (1U << UPDATE_RESTART | 1U << UPDATE_HANDOVER)

/* States of an update transaction, in order; two are final. */
enum update_state {
	UPDATE_PLANNED = 1,
	UPDATE_FETCHED,
	UPDATE_STAGED,
	UPDATE_STARTED,
	UPDATE_VERIFIED,
	UPDATE_SWITCHED,
	UPDATE_OBSERVED,
	UPDATE_COMMITTED,
	UPDATE_ROLLED_BACK,
};

enum control_reply_kind {
	CONTROL_PROGRESS = 1, /* an update reached `state` */
	CONTROL_DONE = 2,     /* last record; `code` is 0 or a RKT_EXIT_* */
	CONTROL_ERROR = 3,    /* last record; `code` RKT_EXIT_*, `text` why */
	CONTROL_APP = 4,      /* what became of `app`; before CONTROL_DONE */
};

#define CONTROL_TEXT_MAX 1024

#define UPDATE_NOT_COUNTED UINT64_MAX

/* Generations before the committed one that stay for rollbacks, where
 * POD_KEEP_FILE does not say another number. */
#define UPDATE_KEEP 2
#define UPDATE_KEEP_MAX 1000

/* What an update did to the clients.  UPDATE_NOT_COUNTED: not looked at. */
struct update_counts {
	/* handover: the call that moves new connections; of one rolled back
	 * after that, the call that moved them back.  restart: from the
	 * end of the old one to the new one listening. */
	uint64_t switch_us;
	uint64_t moved;	  /* waited in the old socket, served by the new one */
	uint64_t drained; /* idle ones that ended with their generation */
	uint64_t lost;	  /* requests it left without an answer */
};
#define UPDATE_COUNTS_UNKNOWN                                                  \
	{                                                                      \
		UPDATE_NOT_COUNTED, UPDATE_NOT_COUNTED, UPDATE_NOT_COUNTED,    \
			UPDATE_NOT_COUNTED                                     \
	}

struct control_reply {
	uint32_t version;
	uint32_t kind;
	uint32_t state; /* enum update_state, 0 outside updates */
	int32_t code;
	uint64_t elapsed_us; /* since the request was accepted */
	uint32_t strategy;   /* enum update_strategy: the tier; 0 undecided */
	uint32_t reserved;   /* 0 */
	struct update_counts counts;	/* CONTROL_APP; DONE: of all together */
	char app[CONTROL_APP_NAME_MAX]; /* whose; "" = the whole update's */
	char text[CONTROL_TEXT_MAX];
};

/* --- attached clients -------------------------------------------------------
 */

/*
 * CONTROL_ATTACH is answered with CONTROL_DONE, whose `text` has the names of
 * what can be attached to: of stdin, stdout, stderr, tty-in and tty-out, with
 * blanks between.  With flags the connection stays, and carries records of
 * these kinds, both ways; no descriptor goes over it.
 */
enum attach_kind {
	ATTACH_INPUT = 1,  /* client: for the app's input */
	ATTACH_SIZE = 2,   /* client: struct attach_size, of its window */
	ATTACH_EOF = 3,	   /* client: no more input; without output of the app
			    * to wait for, ATTACH_END follows when all of it
			    * was delivered */
	ATTACH_OUTPUT = 4, /* stage1: of stdout or the terminal */
	ATTACH_ERROR = 5,  /* stage1: of stderr */
	ATTACH_END = 6,	   /* stage1, the last: struct attach_end */
	ATTACH_KIND_MAX
};

#define ATTACH_DATA_MAX 16384

struct attach_head {
	uint32_t kind;	 /* enum attach_kind */
	uint32_t length; /* of what follows, 0 to ATTACH_DATA_MAX */
};

struct attach_size {
	uint16_t rows, columns;
};

struct attach_end {
	/* The app's exit code, or RKT_EXIT_FAILURE with a `text`: the client
	 * is sent away, and the app goes on. */
	int32_t code;
	char text[256]; /* NUL-terminated */
};

/* --- another stage1 for a running pod ----------------------------------------
 */

/*
 * Over the control socket, too, but for any version of rkt to ask of any
 * version of stage1: these two records never change, whatever
 * STAGE1_ABI_VERSION is.  One request a connection, with one descriptor: the
 * stage1 to go on as, for execveat(2), as entrypoints are started.  One answer,
 * by whoever is the supervisor then.
 */
#define RUNTIME_MAGIC 0x31746b72U

enum runtime_op {
	RUNTIME_CHECK = 1,   /* only says whether it could */
	RUNTIME_REPLACE = 2, /* goes on as that one, or stays as it is */
	RUNTIME_OP_MAX
};

struct runtime_request {
	uint32_t magic; /* RUNTIME_MAGIC */
	uint32_t op;	/* enum runtime_op */
	uint32_t reserved[2];
};

#define RUNTIME_VERSION_MAX 64 /* bytes, with the NUL */

struct runtime_reply {
	uint32_t magic;
	/* 0: it is done, or could be; RKT_EXIT_REFUSED: the old one goes on,
	 * and `text` says why; RKT_EXIT_FAILURE. */
	int32_t code;
	uint64_t away_us; /* how long nobody supervised; 0: nothing was done */
	char old_version[RUNTIME_VERSION_MAX];
	char new_version[RUNTIME_VERSION_MAX];
	char text[CONTROL_TEXT_MAX];
};

#endif
