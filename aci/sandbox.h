/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_SANDBOX_H
#define ACI_SANDBOX_H

/*
 * The cages of rkt-fetch, rkt-http, rkt-metadata, rkt-api and rkt-forward.
 * Entered once, after the libraries are initialised and before the first
 * untrusted byte; there is no way back. A call the job does not need ends the
 * process (SIGSYS).
 *
 * parse:   nobody's ids and no capability when started by root, otherwise
 *          the caller's; Landlock without any rule; only reads, writes and
 *          memory through the descriptors that are open.
 * extract: root with CHOWN DAC_OVERRIDE FOWNER FSETID MKNOD SETFCAP, own
 *          mount and network namespace, the target directory as "/" and
 *          nothing else mounted; file calls, no sockets.
 *
 * unpack:  as extract; below the target directory may be other mounts, and with
 *          a user namespace all is as its root.
 *
 * pack:    root with DAC_READ_SEARCH; Landlock lets it read one file and below
 *          (a kernel without Landlock all that is readable), and nothing but
 *          the descriptors can be written.
 * http:    as parse, with TCP and UDP, and for reading only what a resolver
 *          and a TLS library look at.
 *
 * serve:   as parse, and takes clients on the listed sockets, at most
 *          SANDBOX_CLIENTS_MAX; it may outlive its parent.
 *
 * forward: as parse, takes clients on the listed sockets and connects to
 *          `ports` alone (TCP; a kernel whose Landlock knows no network: to
 *          any), at most SANDBOX_FORWARD_FDS descriptors; splice(2).
 *
 * show:    as serve, with the ids of `group`; reads what is below `shown`
 *          and waits for changes there.
 *
 * All: no_new_privs, not dumpable, killed with the parent, resource limits,
 * no executable memory, no descriptors but the listed ones.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct sandbox {
	const int *keep_fds;
	size_t n_keep_fds;
	uint64_t max_memory;	/* address space, bytes */
	uint64_t max_cpu;	/* seconds; 0: no limit */
	uint64_t max_file_size; /* bytes */
	/* When started by root; NULL: nobody's. */
	const gid_t *group;
	/* Directories (O_PATH): what is below them may be read, and nothing
	 * else.  Only of a kernel without Landlock more. */
	const int *shown;
	size_t n_shown;
	/* What may be connected to. */
	const uint16_t *ports;
	size_t n_ports;
};

int sandbox_enter_parse(const struct sandbox *s, struct error *err);
/* DIRFD becomes "/" and the working directory; it is closed if not kept. */
int sandbox_enter_extract(const struct sandbox *s, int dirfd,
			  struct error *err);
/* The detached mount MOUNT becomes it; USERNS may be negative. */
int sandbox_enter_unpack(const struct sandbox *s, int mount, int userns,
			 struct error *err);
/* FD, which is kept, is what may be read. */
int sandbox_enter_pack(const struct sandbox *s, int fd, struct error *err);

int sandbox_enter_http(const struct sandbox *s, struct error *err);

#define SANDBOX_CLIENTS_MAX 512
int sandbox_enter_serve(const struct sandbox *s, struct error *err);

#define SANDBOX_FORWARD_FDS 8192
int sandbox_enter_forward(const struct sandbox *s, struct error *err);

#define SANDBOX_SHOW_FDS 8192
int sandbox_enter_show(const struct sandbox *s, struct error *err);

#endif
