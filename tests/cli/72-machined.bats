#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pods as machines of systemd-machined, and what is in the journal of them, in
# a machine that systemd has booted (machine.bash).
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib
load machine

setup_file() {
	can_boot || return 0 # bats fails a file that skips here
	images_begin
	for v in 1 2; do
		version "$v" listens '["announce", "listen=80"]' \
			'[{name: "http", protocol: "tcp", port: 80}]'
	done
	machine_begin
}

# listed: the machines there are, a line each.
listed() {
	machine machinectl list --no-legend --no-pager | awk '{print $1, $2, $3}'
}

# is_listed NAME: the pod of that name, as the only machine.
is_listed() {
	[ "$(listed)" = "$(name_of "$1") container rkt" ]
}

name_of() {
	echo "rkt-$(machine readlink "/var/lib/rkt/names/$1")"
}

nothing_listed() {
	[ -z "$(listed)" ]
}

# of_machine NAME PROPERTY
of_machine() {
	machine machinectl show --value -p "$2" "$(name_of "$1")"
}

leader_of() {
	machine cat "/var/lib/rkt/pods/run/$(machine readlink "/var/lib/rkt/names/$1")/pid"
}

leads() {
	local pid
	pid=$(leader_of "$1") && [ "$(of_machine "$1" Leader)" = "$pid" ]
}

# leads_anew NAME LEADER: another process than LEADER, and nobody else is left.
leads_anew() {
	[ "$(leader_of "$1")" != "$2" ] && leads "$1" && is_listed "$1"
}

# Of its first network, as rkt knows it.
address_of() {
	machine rkt status "$1" | sed -n 's/^networks=default:ip4=\([0-9.]*\).*/\1/p'
}

# start_web [JQ]
start_web() {
	pod_file web "${1-}"
	drop_in web '[Service]' Restart=no
	machine systemctl start rkt@web
	wait_for 20 is_listed web
}

@test "a pod that is a unit's process is a machine, where it is (row 37)" {
	start_web '.flags = []'
	leads web
	[ "$(of_machine web Unit)" = rkt@web.service ]
	[ "$(of_machine web Id)" = "$(machine readlink /var/lib/rkt/names/web | tr -d -)" ]
	run machine cat "/proc/$(leader_of web)/cgroup"
	expect_output machine.slice/ rkt@web.service
	run machine machinectl status --no-pager "$(name_of web)"
	expect_status 0
	expect_output "Service: rkt; class container" "Unit: rkt@web.service"
	address=$(address_of web)
	[ -n "$address" ]
	run machine machinectl list --no-legend --no-pager
	expect_output "$address"
	machine systemctl stop rkt@web
	show_is rkt@web Result success
	wait_for 20 nothing_listed
}

@test "machinectl terminate: the pod ends as if it had been stopped" {
	start_web
	machine machinectl terminate "$(name_of web)"
	wait_for 20 show_is rkt@web ActiveState inactive
	show_is rkt@web Result success
	wait_for 20 nothing_listed
	run machine rkt status web
	expect_output state=exited app-listens=
}

@test "machinectl poweroff and reboot stop the pod, and no app can" {
	start_web
	# An app's root may send signals to PID 1 of its pod.
	machine rkt enter web /usr/bin/python3 -I -c '
import os, signal
for s in signal.SIGTERM, signal.SIGINT, signal.SIGRTMIN + 3, signal.SIGRTMIN + 4:
    os.kill(1, s)'
	# A pod that ends refuses to be updated.
	machine systemctl reload rkt@web
	answers 2
	is_listed web
	machine machinectl poweroff "$(name_of web)"
	wait_for 20 show_is rkt@web ActiveState inactive
	show_is rkt@web Result success
	wait_for 20 nothing_listed
	run machine rkt status web
	expect_output state=exited
	# With a policy of restarts it is one.
	drop_in web '[Service]' Restart=always
	machine systemctl start rkt@web
	wait_for 20 is_listed web
	leader=$(leader_of web)
	machine machinectl reboot "$(name_of web)"
	wait_for 20 leads_anew web "$leader"
}

@test "a machine that was killed is replaced; another stage1 goes on with it" {
	pod_file web
	machine systemctl start rkt@web
	wait_for 20 is_listed web
	leader=$(leader_of web)
	machine rkt update --runtime web
	leads web
	machine kill -9 "$(show rkt@web MainPID)"
	wait_for 20 leads_anew web "$leader"
	leader=$(leader_of web)
	# What pod init says is heard by the next stage1, too.
	machine rkt update --runtime web
	machine machinectl poweroff "$(name_of web)"
	wait_for 20 leads_anew web "$leader"
	machine systemctl stop rkt@web
	wait_for 20 nothing_listed
}

# logs ARGS: what `rkt logs` says, without times.
logs() {
	machine rkt logs "$@" | sed 's/^\[[-0-9]* [:.0-9]*\] //'
}

@test "rkt logs --journal: the same lines, also when the pod is gone" {
	machine systemd-run --quiet --wait --unit=rkt-test-lines \
		rkt run --net=host --uuid-file-save=/data/uuid \
		example.com/listens:1.0.0 --exec=/usr/bin/python3 -- -I -c \
		'print("<3>bad"); print("good"); print("x" * 20000)'
	# Another pod's lines, and those of somebody who only says so.
	machine systemd-run --quiet --wait --unit=rkt-test-others \
		rkt run --net=host example.com/listens:1.0.0 \
		--exec=/usr/bin/python3 -- -I -c 'print("other")'
	uuid=$(cat "$M/data/uuid")
	machine setpriv --reuid=65534 python3 -I -c "
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect('/run/systemd/journal/socket')
s.send(b'MESSAGE=forged\nRKT_APP=listens\nRKT_POD=$uuid\n')"
	machine journalctl --sync
	logs "$uuid" >"$D/file"
	[ "$(wc -l <"$D/file")" = 3 ]
	logs --journal "$uuid" >"$D/journal"
	cmp "$D/file" "$D/journal"
	logs --journal --app=listens "$uuid" | cmp "$D/file" -
	run machine rkt logs --journal --app=other "$uuid"
	expect_status 254
	expect_output "has no app other"
	machine rkt rm "$uuid"
	run machine rkt logs "$uuid"
	expect_status 254
	logs --journal "$uuid" | cmp "$D/file" -
	run machine rkt logs --journal --app=other "$uuid"
	expect_status 0
	[ -z "$output" ]
}

@test "rkt logs --journal --follow ends with the pod" {
	start_web
	machine rkt logs --journal --follow web >"$D/followed" 3>&- &
	follower=$!
	wait_for 20 grep -q serving=1 "$D/followed"
	machine systemctl stop rkt@web
	wait "$follower"
	# What came so late that nobody waited for it may be missing.
	machine rkt logs --journal web >"$D/all"
	head -c "$(stat -c %s "$D/followed")" "$D/all" | cmp - "$D/followed"
}

@test "a pod in somebody else's unit is no machine; nor is machined needed" {
	machine systemd-run --quiet --unit=rkt-test-shell \
		sh -c 'rkt run --net=host --pod-name=web example.com/listens:1.0.0; true'
	answers 1
	nothing_listed
	machine systemctl stop rkt-test-shell
	machine systemctl mask --now --quiet systemd-machined
	pod_file web2
	machine systemctl start rkt@web2
	answers 1
	machine systemctl stop rkt@web2
	show_is rkt@web2 Result success
	run machine journalctl --no-pager -o cat -u rkt@web2
	expect_no_output machine
	machine systemctl unmask --quiet systemd-machined
}
