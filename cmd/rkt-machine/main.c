/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-machine: tells systemd-machined which pods there are, for stage1, which
 * is static and so without libsystemd (stage1/machine.h).
 *
 *	rkt-machine register UUID LEADER	the pod in the current directory
 *	rkt-machine unregister UUID
 *
 * LEADER is its pod init, in a unit that ends with the pod.  Exit code: 0 it
 * is done; 1 not, and why is on standard error; 3 there is no machined.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/process.h"

#define SERVICE "org.freedesktop.machine1"
#define MANAGER "/org/freedesktop/machine1"
#define MANAGER_INTERFACE SERVICE ".Manager"
#define MACHINE_INTERFACE SERVICE ".Machine"

#define ANSWER_USEC (10ULL * 1000 * 1000)
#define NO_MACHINED 3
/* What machinectl(1) shows as the service of a machine. */
#define OURS "rkt"

DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref);
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref);
#define cleanup_bus cleanup_with(sd_bus_flush_close_unref_cleanup)
#define cleanup_message cleanup_with(sd_bus_message_unref_cleanup)
#define cleanup_bus_error cleanup_with(sd_bus_error_free)

/* -ENXIO: nobody has that name, and nobody would start it. */
static int bus_failed(struct error *err, int r, const sd_bus_error *e,
		      const char *what)
{
	static const char *const absent[] = {
		SD_BUS_ERROR_SERVICE_UNKNOWN,
		SD_BUS_ERROR_NAME_HAS_NO_OWNER,
		"org.freedesktop.systemd1.NoSuchUnit",
		"org.freedesktop.systemd1.UnitMasked",
	};

	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (sd_bus_error_has_name(e, absent[i]))
			return error_set(err, ENXIO, "%s: %s", what,
					 e->message);
	return error_set(err, -r, "%s: %s", what,
			 e->message ? e->message : strerrordesc_np(-r));
}

static int unregister(sd_bus *bus, const char *name, bool may_start,
		      struct error *err)
{
	cleanup_bus_error sd_bus_error e = SD_BUS_ERROR_NULL;
	cleanup_message sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SERVICE, MANAGER,
					       MANAGER_INTERFACE,
					       "UnregisterMachine");

	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, may_start);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", name);
	if (r >= 0)
		r = sd_bus_call(bus, m, ANSWER_USEC, &e, NULL);
	/* machined forgets those by itself whose unit has ended. */
	if (r >= 0 || sd_bus_error_has_name(&e, SERVICE ".NoSuchMachine"))
		return 0;
	return bus_failed(err, r, &e, "unregister the machine");
}

static bool has_unit(sd_bus *bus, const char *path, const char *unit)
{
	cleanup_free char *of = NULL;

	return sd_bus_get_property_string(bus, SERVICE, path, MACHINE_INTERFACE,
					  "Unit", NULL, &of) >= 0 &&
	       strcmp(of, unit) == 0;
}

/* Pods that ran in UNIT and were killed, and one that is called NAME. */
static int unregister_former(sd_bus *bus, const char *name, const char *unit,
			     struct error *err)
{
	cleanup_bus_error sd_bus_error e = SD_BUS_ERROR_NULL;
	cleanup_message sd_bus_message *list = NULL;
	const char *other, *service, *path;
	int r = sd_bus_call_method(bus, SERVICE, MANAGER, MANAGER_INTERFACE,
				   "ListMachines", &e, &list, NULL);

	if (r < 0)
		return bus_failed(err, r, &e, "list the machines");
	r = sd_bus_message_enter_container(list, 'a', "(ssso)");
	while (r >= 0 && (r = sd_bus_message_read(list, "(ssso)", &other, NULL,
						  &service, &path)) > 0) {
		if (strcmp(service, OURS) != 0 ||
		    (strcmp(other, name) != 0 && !has_unit(bus, path, unit)))
			continue;
		r = unregister(bus, other, true, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? error_sys(err, -r, "read the list of machines") : 0;
}

static int call_register(sd_bus *bus, const char *name, sd_id128_t id,
			 pid_t leader, struct error *err)
{
	cleanup_bus_error sd_bus_error e = SD_BUS_ERROR_NULL;
	cleanup_message sd_bus_message *m = NULL;
	cleanup_free char *directory = getcwd(NULL, 0);
	int r = sd_bus_message_new_method_call(bus, &m, SERVICE, MANAGER,
					       MANAGER_INTERFACE,
					       "RegisterMachine");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", name);
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', &id, sizeof(id));
	if (r >= 0)
		r = sd_bus_message_append(m, "ssus", OURS, "container",
					  (uint32_t)leader,
					  directory ? directory : "");
	if (r >= 0)
		r = sd_bus_call(bus, m, ANSWER_USEC, &e, NULL);
	return r < 0 ? bus_failed(err, r, &e, "register the pod as a machine")
		     : 0;
}

static int do_register(sd_bus *bus, const char *name, sd_id128_t id,
		       const char *leader, struct error *err)
{
	cleanup_free char *unit = NULL;
	uint64_t pid;
	int r;

	if (parse_uint(leader, INT32_MAX, &pid) < 0)
		return error_set(err, EINVAL, "%s is no process number",
				 leader);
	r = sd_pid_get_unit((pid_t)pid, &unit);
	if (r < 0)
		return error_sys(err, -r, "find the unit of process %s",
				 leader);
	r = unregister_former(bus, name, unit, err);
	return r < 0 ? r : call_register(bus, name, id, (pid_t)pid, err);
}

static int run(int argc, char *const argv[], struct error *err)
{
	cleanup_bus sd_bus *bus = NULL;
	cleanup_free char *name = NULL;
	bool registers = argc == 4 && strcmp(argv[1], "register") == 0;
	sd_id128_t id;
	/* What machined looks at is the user. */
	int r = process_drop_capabilities(err);

	if (r < 0)
		return r;
	if ((!registers && (argc != 3 || strcmp(argv[1], "unregister") != 0)) ||
	    sd_id128_from_string(argv[2], &id) < 0)
		return error_set(err, EINVAL,
				 "rkt-machine is started by rkt: register UUID "
				 "LEADER, or unregister UUID");
	r = sd_bus_open_system(&bus);
	if (r < 0)
		return error_set(err, ENXIO, "connect to the system bus: %s",
				 strerrordesc_np(-r));
	name = xasprintf("rkt-%s", argv[2]);
	return registers ? do_register(bus, name, id, argv[3], err)
			 : unregister(bus, name, false, err);
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int r;

	process_open_standard_fds();
	log_init("rkt-machine", false);
	r = run(argc, argv, &err);
	if (r == -ENXIO)
		return NO_MACHINED;
	if (r < 0)
		log_failure(&err, NULL);
	return r < 0 ? 1 : 0;
}
