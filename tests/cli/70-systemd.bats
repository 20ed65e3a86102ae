#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pods as units of a real systemd, which is PID 1 of a machine of its own
# (tests/systemd/boot.sh): one machine for all tests, as a server is.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib
load machine

setup_file() {
	can_boot || return 0 # bats fails a file that skips here
	images_begin
	for v in 1 2; do
		version "$v" listens '["announce", "listen=80"]' \
			'[{name: "http", protocol: "tcp", port: 80}]'
		version "$v" activated '["say=READY=1", "serve"]' \
			'[{name: "http", protocol: "tcp", port: 80, socketActivated: true}]'
	done
	version 3 listens '["exit=3"]' '[]'
	"$TESTS/images/build-images.sh" "$M/data" nginx-1 nginx-2 >&2
	cp "$BUILD/tests/load" "$M/data/load"
	machine_begin
}

# --- the template ---------------------------------------------------------------

@test "units are what systemd-analyze wants" {
	pod_file web
	# shellcheck disable=SC2016 # it is the machine's shell
	run machine sh -c 'systemd-analyze verify --man=no rkt@web.service \
		$(ls /usr/lib/systemd/system/rkt* | grep -v @)'
	expect_status 0
	[ -z "$output" ] || fail "$output"
	# Tenths.  What starts pods needs what pods may have.
	while read -r unit most; do
		run machine systemd-analyze security --no-pager \
			--threshold="$most" "$unit.service"
		expect_status 0
	done <<-END
		rkt-api 40
		rkt-metadata 40
		rkt-gc 90
		rkt-auto-update 92
		rkt@web 96
	END
}

# A line of the app in the unit's journal.
has_line() {
	machine journalctl --no-pager -o json RKT_APP=listens \
		_SYSTEMD_UNIT=rkt-test-lines.service >"$D/line" && [ -s "$D/line" ]
}

@test "lines of apps are in the journal, with fields" {
	machine systemd-run --quiet --wait --unit=rkt-test-lines \
		rkt run --net=host example.com/listens:1.0.0 \
		--exec=/usr/bin/python3 -- -I -c 'print("<3>it is bad")'
	wait_for 10 has_line
	[ "$(wc -l <"$D/line")" = 1 ]
	run jq -r '.MESSAGE, .PRIORITY, .SYSLOG_IDENTIFIER, .RKT_IMAGE, .RKT_GENERATION' \
		"$D/line"
	[ "$output" = $'it is bad\n3\nlistens\nexample.com/listens:1.0.0\n1' ]
	run machine journalctl --no-pager -o cat -u rkt-test-lines
	expect_no_output 'listens['
}

@test "rkt@NAME is the pod of pods.d/NAME.json, started and stopped (row 37)" {
	pod_file web '.flags += ["--hostname=from-file"]'
	machine sh -c 'umask 077; echo SECRET=of-file >/etc/rkt/pods.d/web.env'
	machine systemctl start rkt@web
	answers 1
	show_is rkt@web ActiveState active
	show_is rkt@web Slice machine.slice
	run machine rkt status web
	expect_output state=running
	app=$(app_pid web listens)
	machine sh -c "tr '\\0' '\\n' </proc/$app/environ" | grep -qx SECRET=of-file
	# The unit's process is the pod's supervisor, and all of it is in it.
	machine grep -q stage1 "/proc/$(show rkt@web MainPID)/cmdline"
	machine grep -q 'machine.slice/.*rkt@web.service' "/proc/$app/cgroup"
	machine systemctl stop rkt@web
	show_is rkt@web ActiveState inactive
	show_is rkt@web Result success
	run machine rkt status web
	expect_output state=exited
}

@test "what is wrong with the file is said in the journal" {
	pod_file web '.nets = []'
	run machine systemctl start rkt@web
	[ "$status" != 0 ]
	run machine journalctl --no-pager -o cat -u rkt@web
	expect_output '/etc/rkt/pods.d/web.json: nets: nobody knows this member'
	pod_file web '.apps[0].flags = ["--no-such"]'
	machine systemctl reset-failed rkt@web
	run machine systemctl start rkt@web
	[ "$status" != 0 ]
	run machine journalctl --no-pager -o cat -u rkt@web
	expect_output "run: /etc/rkt/pods.d/web.json: unknown flag: --no-such"
	expect_no_output Usage
}

@test "a changed file is what a restart brings: image, flags, environment" {
	pod_file web
	machine systemctl start rkt@web
	answers 1
	pod_file web '.apps[0].image = "example.com/listens:2.0.0"'
	machine systemctl restart rkt@web
	answers 2
	pod_file web '.apps[0].image = "example.com/listens:2.0.0"
		| .flags += ["--set-env=VERSION=flag"]'
	machine systemctl restart rkt@web
	answers flag
}

@test "a restart or a crash undoes no update" {
	pod_file web
	drop_in web '[Service]' ExecReload= \
		'ExecReload=/usr/bin/rkt update --latest --observe=100ms %i'
	machine systemctl start rkt@web
	answers 1
	machine systemctl reload rkt@web
	answers 2
	machine systemctl restart rkt@web
	answers 2
	crash rkt@web
	answers 2
	# Other flags say nothing of the image.
	pod_file web '.flags += ["--set-env=VERSION=flag"]'
	machine systemctl restart rkt@web
	answers flag
	run machine rkt list --no-legend
	expect_output example.com/listens:2.0.0
}

# The journal has a line of the pod web soon after it was said.
logs_have() {
	machine rkt logs web | grep -q "$1"
}

@test "lines kept in the journal alone are what rkt logs shows" {
	machine systemd-run --quiet --unit=rkt-test-web --service-type=exec \
		rkt run --net=host --log=journal --pod-name=web \
		example.com/listens:1.0.0 --exec=/usr/bin/python3 -- -I -c '
import time
print("it is there", flush=True)
time.sleep(1000)'
	wait_for 10 logs_have 'it is there'
	machine sh -c 'test ! -s /var/lib/rkt/pods/run/*/logs/listens'
}

@test "rkt logs waits for the last lines, which journald has not written yet" {
	local journald waker follower
	machine systemd-run --quiet --unit=rkt-test-web --service-type=exec \
		rkt run --net=host --log=journal --pod-name=web \
		example.com/listens:1.0.0 --exec=/usr/bin/python3 -- -I -c '
import signal, sys
signal.signal(signal.SIGTERM, lambda *a: sys.exit(print("it is over")))
print("it is there", flush=True)
while True: signal.pause()'
	wait_for 10 logs_have 'it is there'
	machine rkt logs -f web >"$D/followed" 3>&- &
	follower=$!
	wait_for 10 grep -q 'it is there' "$D/followed"
	journald=$(show systemd-journald MainPID)
	# Whatever happens here, it goes on.
	machine sh -c "kill -STOP $journald; sleep 3; kill -CONT $journald" 3>&- &
	waker=$!
	sleep 0.2
	machine rkt stop web
	machine rkt logs web >"$D/logs"
	wait "$waker" "$follower"
	grep -q 'it is over' "$D/logs"
	grep -q 'it is over' "$D/followed"
}

@test "nginx at 1,000 requests a second is reloaded, and none fails" {
	local load
	skip_without nginx
	pod_file web '.apps[0].image = "example.com/nginx:1.0.0"'
	machine systemctl start rkt@web
	wait_for 20 machine nc -z 127.0.0.1 80
	machine /data/load --rate=1000 --workers=16 --seconds=8 127.0.0.1 80 \
		/version >"$D/load" 3>&- &
	load=$!
	sleep 2
	machine systemctl reload rkt@web
	wait "$load"
	echo "# $(tr '\n' ' ' <"$D/load")" >&3
	[ "$(load_value requests)" -ge 4000 ]
	[ "$(load_value answered)" = "$(load_value requests)" ]
	[ "$(load_value body.1.0.0)" -gt 0 ]
	[ "$(load_value body.2.0.0)" -gt 0 ]
}

@test "systemctl reload is a live update: nobody is refused, watched in the status" {
	pod_file web '.apps[0].flags = ["--set-env=X=1"]'
	drop_in web '[Service]' ExecReload= \
		'ExecReload=/usr/bin/rkt update --latest --wait=switched --observe=60s %i'
	machine systemctl start rkt@web
	main=$(show rkt@web MainPID)
	clients_begin
	machine systemctl reload rkt@web
	answers 2
	# Its end is the pod's affair; the command is gone.
	show_is rkt@web ActiveState active
	run machine rkt history web
	expect_no_output COMMITTED
	run show rkt@web StatusText
	expect_output "update of listens to example.com/listens:2.0.0: SWITCHED: "
	machine rkt update --abort web
	answers 1
	rolled_back() { machine rkt history web | grep -q ROLLED_BACK; }
	wait_for 30 rolled_back
	wait_for 10 status_has rkt@web ROLLED_BACK
	clients_end
	show_is rkt@web MainPID "$main"
	# What was rolled back is not tried again by itself.
	machine systemctl reload rkt@web
	answers 1
}

status_has() {
	show "$1" StatusText | grep -qF "$2"
}

@test "an update that is refused, or fails, leaves unit and pod as they were" {
	pod_file web '.apps[0].image = "example.com/listens:2.0.0"'
	machine systemctl start rkt@web
	machine rkt fetch /data/listens-3.aci
	run machine systemctl reload rkt@web
	[ "$status" != 0 ]
	show_is rkt@web ActiveState active
	answers 2
	machine rkt image rm example.com/listens:3.0.0
}

# --- hand-written units ---------------------------------------------------------

# by_hand NAME [LINE...]: a unit as a newcomer writes it.
by_hand() {
	{
		cat <<-EOT
		[Service]
		Type=notify
		ExecStart=/usr/bin/rkt run --net=host --pod-name=$1 example.com/${IMAGE:-listens:1.0.0}
		ExecReload=/usr/bin/rkt update --latest --wait=switched $1
		KillMode=mixed
		Delegate=yes
		Slice=machine.slice
		EOT
		printf '%s\n' "${@:2}"
	} | unit "rkt-test-$1.service"
}

# held_by UNIT PATH: what the cgroup of a unit has in PATH, "CONTROLLER/FILE"
# of cgroup v1 or FILE of v2.
held_by() {
	local group
	group=$(show "$1" ControlGroup)
	if machine test -e /sys/fs/cgroup/cgroup.controllers; then
		machine cat "/sys/fs/cgroup$group/$3"
	else
		machine cat "/sys/fs/cgroup/${2%/*}$group/${2##*/}"
	fi
}

# Where the tests are in a container, its cgroup may have no controllers for
# those below it.
can_limit() {
	machine test -d /sys/fs/cgroup/memory ||
		machine grep -qw memory /sys/fs/cgroup/cgroup.controllers ||
		skip "needs cgroup2-memory: not in the machine"
}

@test "limits of the unit are the pod's" {
	can_limit
	by_hand web MemoryMax=200M TasksMax=77 CPUQuota=50%
	machine systemctl start rkt-test-web
	answers 1
	[ "$(held_by rkt-test-web memory/memory.limit_in_bytes memory.max)" = 209715200 ]
	[ "$(held_by rkt-test-web pids/pids.max pids.max)" = 77 ]
	# The app is below that group, wherever it is.
	app=$(app_pid web listens)
	run machine cat "/proc/$app/cgroup"
	if machine test -e /sys/fs/cgroup/cgroup.controllers; then
		expect_output rkt-test-web.service
	else
		for controller in memory pids name=systemd; do
			grep -q ":$controller:/machine.slice/rkt-test-web.service" \
				<<<"$output" || fail "$controller: $output"
		done
	fi
}

@test "an app that runs out of the unit's memory is killed, and said so" {
	can_limit
	by_hand web MemoryMax=100M
	machine sed -i 's|^ExecStart=.*|& --exec=/usr/bin/python3 -- -c "import time; x = bytearray(300 << 20); time.sleep(60)"|; s/^Type=.*/Type=exec/' \
		/etc/systemd/system/rkt-test-web.service
	machine systemctl daemon-reload
	machine systemctl start rkt-test-web || true
	wait_for 20 show_is rkt-test-web ActiveState failed
	run machine rkt status web
	expect_output app-listens=137
}

@test "stopping takes as long as the app does, and not the whole patience" {
	by_hand web TimeoutStopSec=60
	machine systemctl start rkt-test-web
	answers 1
	machine systemctl stop rkt-test-web
	show_is rkt-test-web Result success
}

@test "a pod that cannot start is not tried for ever" {
	by_hand web Restart=always RestartSec=10ms
	machine sed -i 's|^ExecStart=.*|& --exec=/no/such|
		s/^\[Service\]/[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=60\n[Service]/' \
		/etc/systemd/system/rkt-test-web.service
	machine systemctl daemon-reload
	machine systemctl start rkt-test-web || true
	given_up() {
		run machine journalctl --no-pager -o cat -u rkt-test-web
		expect_output /no/such "Start request repeated too quickly"
	}
	wait_for 30 given_up
	show_is rkt-test-web ActiveState failed
	show_is rkt-test-web NRestarts 3
}

@test "the service manager's watchdog is answered, and a stage1 that stands is ended" {
	by_hand web WatchdogSec=5s Restart=no
	machine systemctl start rkt-test-web
	answers 1
	stamp=$(show rkt-test-web WatchdogTimestampMonotonic)
	pinged() { [ "$(show rkt-test-web WatchdogTimestampMonotonic)" -gt "$stamp" ]; }
	wait_for 10 pinged
	machine kill -STOP "$(show rkt-test-web MainPID)"
	wait_for 20 show_is rkt-test-web Result watchdog
	wait_for 20 show_is rkt-test-web ActiveState failed
	run says 1
	[ "$status" != 0 ]
}

@test "systemd-run --service-type=notify: active when the app says so (row 38)" {
	machine systemd-run --quiet --unit=rkt-test-once --service-type=notify \
		--slice=machine -p NotifyAccess=main \
		rkt run --net=host --pod-name=once \
		example.com/listens:2.0.0 -- announce listen=80
	show_is rkt-test-once ActiveState active
	answers 2
	machine systemctl stop rkt-test-once
}

# --- sockets ----------------------------------------------------------------------

@test "a socket unit: nobody is refused by a restart, an update, or by waiting (row 38)" {
	printf '%s\n' '[Socket]' ListenStream=127.0.0.1:8080 \
		FileDescriptorName=http Service=rkt-test-web.service |
		unit rkt-test-web.socket
	IMAGE=activated:1.0.0 by_hand web Restart=always RestartSec=100ms
	machine sed -i 's/--net=host/--net=none/' \
		/etc/systemd/system/rkt-test-web.service
	machine systemctl daemon-reload
	machine systemctl start rkt-test-web.socket
	# Who connects starts it.
	clients_begin 8080
	show_is rkt-test-web ActiveState active
	machine systemctl restart rkt-test-web
	answers 1 8080
	machine systemctl reload rkt-test-web
	answers 2 8080
	machine systemctl stop rkt-test-web
	answers 1 8080
	machine kill -9 "$(show rkt-test-web MainPID)"
	answers 1 8080
	clients_end
	machine systemctl stop rkt-test-web.socket rkt-test-web
}

@test "rkt generate systemd: the pod as it is becomes a unit" {
	uuid=$(machine rkt run --detach --net=host --pod-name=web \
		example.com/listens:1.0.0)
	answers 1
	machine rkt update --observe=100ms --latest web
	answers 2
	machine sh -c 'rkt generate systemd web >/etc/systemd/system/rkt-test-web.service'
	run machine systemd-analyze verify --man=no rkt-test-web.service
	expect_status 0
	[ -z "$output" ] || fail "$output"
	machine rkt stop web
	machine systemctl daemon-reload
	machine systemctl enable --now rkt-test-web
	show_is rkt-test-web ActiveState active
	# The same pod, and its committed version.
	answers 2
	[ "$uuid" = "$(machine readlink /var/lib/rkt/names/web)" ]
	machine systemctl reload rkt-test-web
	clients_begin
	crash rkt-test-web
	clients_end
	answers 2
	machine systemctl disable --now rkt-test-web
	# Another data directory is in the unit, quoted.
	run machine rkt --dir='/tmp/a $b%c "d"' generate systemd web
	expect_status 254
	uuid=$(machine rkt run --detach --net=none example.com/listens:1.0.0)
	run machine rkt generate systemd "$uuid"
	expect_status 254
	expect_output "has no name"
	machine rkt stop "$uuid"
	wait_for 10 exited "$uuid"
	machine rkt rm "$uuid"
}

exited() {
	machine rkt status "$1" | grep -qx state=exited
}

@test "rkt generate systemd quotes what systemd would read otherwise" {
	machine mkdir -p '/data/a $b%c "d"'
	machine rkt --dir='/data/a $b%c "d"' --insecure-options=image run \
		--net=none --pod-name=odd /data/listens-3.aci || true
	run machine rkt --dir='/data/a $b%c "d"' generate systemd odd
	expect_status 0
	expect_output 'ExecStart="/usr/bin/rkt" "--dir=/data/a $$b%%c \"d\"" start odd'
	unit rkt-test-odd.service <<<"$output"
	run machine systemd-analyze verify --man=no rkt-test-odd.service
	[ -z "$output" ] || fail "$output"
	machine systemctl start rkt-test-odd || true
	run machine journalctl --no-pager -o cat -u rkt-test-odd
	# Its app ends with 3 at once: it was found, and has run.
	expect_output 'status=3/'
	machine systemctl stop rkt-test-odd || true
	machine rkt --dir='/data/a $b%c "d"' rm odd
	machine rkt --dir='/data/a $b%c "d"' image gc --grace-period=0s >/dev/null
	machine sh -c 'umount -l /run/rkt/img/*/* 2>/dev/null; chattr -R -i "/data/a \$b%c \"d\"" 2>/dev/null; rm -rf "/data/a \$b%c \"d\""' || true
}

@test "the metadata service comes with the first pod that registers" {
	machine systemctl start rkt-metadata.socket
	run show rkt-metadata ActiveState
	[ "$output" = inactive ]
	run --separate-stderr machine rkt run --mds-register --net=host \
		--uuid-file-save=/data/out example.com/listens:1.0.0 \
		--exec=/usr/bin/python3 -- -I -c '
import os, socket
_, _, host, token = os.environ["AC_METADATA_URL"].split("/")
s = socket.create_connection(host.split(":"))
s.sendall(b"GET /%s/acMetadata/v1/pod/uuid HTTP/1.0\r\n\r\n" % token.encode())
print("uuid", s.makefile().read().split()[-1])'
	expect_status 0
	expect_output "uuid $(cat "$M/data/out")"
	show_is rkt-metadata ActiveState active
	machine systemctl stop rkt-metadata.service rkt-metadata.socket
	machine test ! -e /run/rkt/metadata-svc.sock
}

@test "the API service comes with its first client" {
	machine systemctl start rkt-api-tcp.socket
	run show rkt-api ActiveState
	[ "$output" = inactive ]
	# GetInfo, whose request is an empty message.
	printf '\0\0\0\0\0' >"$M/data/request"
	machine curl -sf --max-time 60 --http2-prior-knowledge \
		-H 'content-type: application/grpc' -H 'te: trailers' \
		--data-binary @/data/request -o /data/answer \
		http://127.0.0.1:15441/v1alpha.PublicAPI/GetInfo
	grep -qa '1\.0\.0-alpha' "$M/data/answer"
	show_is rkt-api ActiveState active
	pid=$(machine systemctl show -P MainPID rkt-api)
	run machine grep -E '^(Uid|CapPrm|NoNewPrivs)' "/proc/$pid/status"
	expect_output 'Uid:	65534	65534	65534	65534' \
		'CapPrm:	0000000000000000' 'NoNewPrivs:	1'
	machine systemctl stop rkt-api.service rkt-api-tcp.socket
}
