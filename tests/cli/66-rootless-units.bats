#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pods of an ordinary user as units of her own service manager, in a machine
# that systemd has booted.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib
load machine

PORT=18070

setup_file() {
	can_boot || return 0 # bats fails a file that skips here
	host_has newuidmap || return 0
	mkdir -p "$M/data"
	for v in 1 2; do
		TMPDIR=$F image_inside "$M/data/$v.aci" \
			'.app.environment=[{name:"VERSION",value:"'$v'"}]' \
			example.com/inside $v.0.0
	done
	chmod 0755 "$M/data"
	cp "$BUILD/tests/load" "$M/data/load"
	machine_begin
	her_manager
}

setup() {
	skip_without not-sanitized
	skip_without systemctl
	skip_without newuidmap
	setup_test
}

teardown() {
	can_boot && host_has newuidmap || return 0
	strays_end
	[ "$BATS_TEST_COMPLETED" = 1 ] ||
		machine journalctl --no-pager -n 60 >&3
	for unit in rkt@web rkt-web; do
		ann systemctl --user stop "$unit" || true
		ann systemctl --user reset-failed "$unit" 2>/dev/null || true
	done
	ann sh -c 'rkt rm web; rm -rf ~/.config/rkt ~/.config/systemd' || true
	teardown_test
}

# What logind would start when she logs in, without the login.
her_manager() {
	machine sh -eu <<-'EOT'
		echo ann:x:1500:1500::/home/ann:/bin/sh >>/etc/passwd
		echo ann:x:1500: >>/etc/group
		echo ann:300000:65536 >/etc/subuid
		echo ann:300000:65536 >/etc/subgid
		mkdir -p /home/ann /run/user/1500
		chown 1500:1500 /home/ann /run/user/1500
		chmod 0700 /run/user/1500
		mount -t tmpfs -o uid=1500,gid=1500,mode=0700 tmpfs /home/ann
		systemd-run --quiet --unit=user-of-ann --service-type=notify \
			-p User=1500 -p Delegate=yes -p KillMode=mixed \
			-E HOME=/home/ann -E XDG_RUNTIME_DIR=/run/user/1500 \
			/lib/systemd/systemd --user
	EOT
}

ann() {
	machine setpriv --reuid=1500 --regid=1500 --clear-groups \
		--inh-caps=-all -- env XDG_RUNTIME_DIR=/run/user/1500 \
		HOME=/home/ann LOGNAME=ann "$@"
}

her_file() {
	ann mkdir -p /home/ann/.config/rkt/pods.d
	ann sh -c 'cat >~/.config/rkt/pods.d/web.json' <<-EOT
		{"rktKind": "pod", "rktVersion": "v1", "flags": ["--net=host"],
		 "apps": [{"image": "example.com/inside",
		           "args": ["serve", "tcp4:$PORT"]}]}
	EOT
	ann rkt fetch /data/1.aci
}

show() {
	ann systemctl --user show -P "$2" "$1"
}

version_is() {
	[ "$(ann rkt status web | sed -n 's/^version-inside=//p')" = "$1" ]
}

load_begin() {
	machine /data/load --workers=4 --rate=300 127.0.0.1 "$PORT" / \
		>"$D/load" 2>&1 3>&- &
	load=$!
	wait_for 10 machine pgrep -x load
}

load_end() {
	machine pkill -x load
	wait "$load" || true
	echo "# $BATS_TEST_DESCRIPTION: $(tr '\n' ' ' <"$D/load")" >&3
	grep -q 'answered=[1-9]' "$D/load"
	grep -qx refused=0 "$D/load"
}

@test "the unit is what systemd-analyze wants" {
	run ann systemd-analyze --user verify --man=no rkt@web.service
	expect_status 0
	[ -z "$output" ] || fail "$output"
}

@test "her pod is a unit: start, reload is a live update, stop" {
	her_file
	ann systemctl --user start rkt@web
	[ "$(show rkt@web ActiveState)" = active ]
	version_is 1.0.0
	load_begin
	ann rkt fetch /data/2.aci
	ann systemctl --user reload rkt@web
	wait_for 20 version_is 2.0.0
	sleep 0.3
	load_end
	grep -qx reset=0 "$D/load"
	run ann rkt history --no-legend web
	expect_output handover COMMITTED
	ann systemctl --user restart rkt@web
	version_is 2.0.0
	ann systemctl --user stop rkt@web
	[ "$(show rkt@web ActiveState)" = inactive ]
	[ "$(show rkt@web Result)" = success ]
	run machine pgrep -u 1500 -x inside
	expect_status 1
	# Machines are root's: nobody asked for one.
	run machine journalctl --no-pager
	expect_no_output rkt-machine
}

@test "kill -9 of its supervisor: nobody is refused" {
	her_file
	ann systemctl --user start rkt@web
	wait_for 10 stored
	load_begin
	main=$(show rkt@web MainPID)
	ann kill -9 "$main"
	wait_for 20 restarted
	sleep 1
	load_end
	version_is 1.0.0
}

stored() {
	[ "$(show rkt@web NFileDescriptorStore)" -ge 1 ]
}

restarted() {
	[ "$(show rkt@web MainPID)" != "$main" ] &&
		[ "$(show rkt@web ActiveState)" = active ]
}

@test "rkt generate systemd prints a unit of hers" {
	ann rkt fetch /data/1.aci
	ann rkt run --net=host --detach --pod-name=web example.com/inside \
		-- serve "tcp4:$PORT" 3>&-
	ann mkdir -p /home/ann/.config/systemd/user
	ann sh -c 'rkt generate systemd web >~/.config/systemd/user/rkt-web.service'
	run ann cat /home/ann/.config/systemd/user/rkt-web.service
	expect_output 'systemctl --user' WantedBy=default.target
	expect_no_output machine.slice network-online
	run ann systemd-analyze --user verify --man=no \
		/home/ann/.config/systemd/user/rkt-web.service
	expect_status 0
	[ -z "$output" ] || fail "$output"
	ann rkt stop web
	ann systemctl --user daemon-reload
	ann systemctl --user start rkt-web
	[ "$(show rkt-web ActiveState)" = active ]
	run ann rkt status web
	expect_output state=running
}
