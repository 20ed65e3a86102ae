#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# stage1 is killed (kill -9), and systemd, which is PID 1 of a machine of its
# own (tests/systemd/boot.sh), starts it again: what its pod keeps meanwhile.
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
		image_inside "$M/data/inside-$v.aci" \
			".app.environment = [{name: \"VERSION\", value: \"$v\"}]
			| .app.exec = [\"/inside\", \"serve\", \"tcp4:8123\"]
			| .app.ports = [{name: \"http\", protocol: \"tcp\", port: 8123}]" \
			example.com/inside "$v.0.0"
	done
	cp "$BUILD/tests/load" "$M/data/load"
	machine_begin
}

# rules: of the machine's firewall, without counters.
rules() {
	machine nft list ruleset 2>/dev/null |
		sed 's/counter packets [0-9]* bytes [0-9]*//'
}

stored() {
	[ "$(show "$1" NFileDescriptorStore)" -ge "$2" ]
}

@test "a crash of stage1 refuses nobody: network, addresses and ports stay" {
	pod_file web '.flags = ["--port=http:8080"]'
	machine systemctl start rkt@web
	answers 1 8080
	wait_for 10 stored rkt@web 2
	pod=/var/lib/rkt/pods/run/$(machine readlink /var/lib/rkt/names/web)
	state=$(machine cat "$pod/net/state.json")
	netns=$(machine stat -c %i "/run/netns/rkt-${pod##*/}")
	rules=$(rules)
	clients_begin 8080
	for _ in 1 2 3; do
		crash rkt@web
		answers 1 8080
		# Nor is the rkt-forward that was killed with it an obstacle.
		run machine timeout 10 nc -N ::1 8080 <<<hello
		[ "$output" = 1 ] || fail "$output"
	done
	clients_end
	[ "$state" = "$(machine cat "$pod/net/state.json")" ]
	[ "$netns" = "$(machine stat -c %i "/run/netns/rkt-${pod##*/}")" ]
	[ "$rules" = "$(rules)" ]
	run machine rkt status web
	expect_output state=running 'networks=default:'
	# Still a pod as others: it is updated, and an orderly end undoes all.
	machine systemctl reload rkt@web
	answers 2 8080
	machine systemctl stop rkt@web
	run machine sh -c 'iptables-save; ls /run/netns; ip -o link'
	expect_no_output CNI-DN rkt- veth
}

rolled_back_times() {
	[ "$(machine rkt history --format=json web |
		jq 'map(select(.state == "ROLLED_BACK")) | length')" = "$1" ]
}

@test "a crash of stage1 in the midst of an update refuses nobody" {
	local strategy n=0
	pod_file web '.flags = ["--port=http:8080"]'
	machine systemctl start rkt@web
	answers 1 8080
	wait_for 10 stored rkt@web 2
	clients_begin 8080
	for strategy in handover restart; do
		machine rkt update --strategy="$strategy" --wait=switched \
			--observe=600s --to=2.0.0 web
		answers 2 8080
		crash rkt@web
		answers 1 8080
		# It was never committed.
		wait_for 10 rolled_back_times $((++n))
	done
	clients_end
}

@test "another stage1 (rkt update --runtime) goes on as the unit's process" {
	pod_file web '.flags = ["--port=http:8080"]'
	drop_in web '[Service]' WatchdogSec=6s
	machine systemctl start rkt@web
	answers 1 8080
	wait_for 10 stored rkt@web 2
	main=$(show rkt@web MainPID)
	n=$(show rkt@web NFileDescriptorStore)
	clients_begin 8080
	machine rkt update --runtime web
	show_is rkt@web MainPID "$main"
	# It goes on to answer the watchdog.
	stamp=$(show rkt@web WatchdogTimestampMonotonic)
	pinged() { [ "$(show rkt@web WatchdogTimestampMonotonic)" -gt "$stamp" ]; }
	wait_for 10 pinged
	# And what systemd keeps is what the next one finds.
	show_is rkt@web NFileDescriptorStore "$n"
	crash rkt@web
	answers 1 8080
	clients_end
}

@test "a crash of stage1 with socketActivated ports of the pod's own" {
	pod_file web '.apps[0].image = "example.com/activated:1.0.0"'
	machine systemctl start rkt@web
	answers 1
	clients_begin
	crash rkt@web
	answers 1
	crash rkt@web
	clients_end
	answers 1
}

@test "what systemd kept is undone if the file says another network now" {
	pod_file web '.flags = ["--port=http:8080"]'
	machine systemctl start rkt@web
	answers 1 8080
	wait_for 10 stored rkt@web 2
	pod_file web '.flags = ["--port=http:8081"]'
	crash rkt@web
	answers 1 8081
	run says 1 8080
	[ "$status" != 0 ]
	pod_file web '.flags = ["--net=none"]'
	crash rkt@web
	run machine sh -c 'iptables-save; ip -o link'
	expect_no_output CNI-DN veth
	wait_for 10 stored rkt@web 2
	pod_file web
	crash rkt@web
	answers 1 80
	machine systemctl stop rkt@web
	run machine ls /run/netns
	expect_no_output rkt-
}

@test "an orderly end leaves nothing in the store for the next start" {
	pod_file web '.flags = ["--net=none"]
		| .apps[0].flags = ["--exec=/usr/bin/python3"]
		| .apps[0].args = ["-I", "/srv/notify.py", "announce", "sleep=1", "exit=3"]'
	drop_in web '[Service]' Restart=no
	machine systemctl start rkt@web
	wait_for 10 stored rkt@web 1
	wait_for 20 show_is rkt@web ActiveState failed
	show_is rkt@web NFileDescriptorStore 0
	run machine ls /run/netns
	expect_no_output rkt-
}

# --- under load ------------------------------------------------------------------

# load_begin ARGUMENT...: of tests/load, in the machine.
load_begin() {
	machine /data/load --workers=4 --rate=400 "$@" >"$D/load" 3>&- &
	loader=$!
}

# Who was being served is cut off; nobody is refused, and nobody waits for good.
load_end() {
	local key
	machine pkill -TERM -x load
	wait "$loader" || true
	echo "# ${BATS_TEST_DESCRIPTION}: $(tr '\n' ' ' <"$D/load")" >&3
	[ "$(load_value answered)" -gt 100 ] || fail "$(cat "$D/load")"
	for key in refused timeout other; do
		[ "$(load_value "$key")" = 0 ] || fail "$(cat "$D/load")"
	done
}

# pod_init NAME: of the pod, as the machine numbers it.
pod_init() {
	machine cat "/var/lib/rkt/pods/run/$(machine readlink "/var/lib/rkt/names/$1")/pid"
}

@test "private users: users, network and ports are the same after a crash" {
	local userns netns claims
	pod_file web '.flags = ["--private-users", "--port=http:8080"]
		| .apps[0].image = "example.com/inside:1.0.0"'
	machine systemctl start rkt@web
	wait_for 20 machine nc -z 127.0.0.1 8080
	wait_for 10 stored rkt@web 2
	userns=$(machine readlink "/proc/$(pod_init web)/ns/user")
	netns=$(machine readlink "/proc/$(pod_init web)/ns/net")
	claims=$(machine sh -c 'ls -l --time-style=+ /run/rkt/users')
	[ "$userns" != "$(machine readlink /proc/1/ns/user)" ]
	load_begin 127.0.0.1 8080 /
	for _ in 1 2 3; do
		crash rkt@web
		sleep 0.3
	done
	load_end
	[ "$userns" = "$(machine readlink "/proc/$(pod_init web)/ns/user")" ]
	[ "$netns" = "$(machine readlink "/proc/$(pod_init web)/ns/net")" ]
	[ "$claims" = "$(machine sh -c 'ls -l --time-style=+ /run/rkt/users')" ]
	# Its users are still the host's nobodies, its root has what is its.
	run machine grep '^Uid:' "/proc/$(app_pid web inside)/status"
	expect_no_output '	0	'
	machine systemctl stop rkt@web
	run machine sh -c 'iptables-save; ls /run/netns; ip -o link'
	expect_no_output CNI-DN rkt- veth
}

# peer PATH: who is behind a unix socket, as the machine numbers it.
peer() {
	machine python3 -c '
import socket, struct, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1].replace("@", "\0"))
    print(struct.unpack("3i", s.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])' "$1"
}

# on_unix ADDRESS KIND:ARGUMENT FLAG...: a pod that serves there is killed under
# load.  A volume "run" is at /run/s.
on_unix() {
	local flags
	flags=$(printf '%s\n' "${@:3}" | jq -nR '[inputs]')
	pod_file web ".flags = $flags
		| .apps[0].image = \"example.com/inside:1.0.0\"
		| .apps[0].args = [\"serve\", \"$2\"]
		| .apps[0].flags = [\"--exec=/inside\"]
			+ [\"--mount=volume=run,target=/run/s\"][:.flags | map(select(startswith(\"--volume\"))) | length]"
	machine systemctl start rkt@web
	wait_for 20 peer "$1"
	# When it is kept, the app is still who clients see behind it.
	wait_for 10 kept_listener
	[ "$(peer "$1")" = "$(app_pid web inside)" ]
	load_begin "$1" 0 /
	for _ in 1 2 3; do
		crash rkt@web
		sleep 0.5
	done
	load_end
	[ "$(peer "$1")" = "$(app_pid web inside)" ]
}

kept_listener() {
	stored rkt@web 1
}

@test "unix sockets in a volume refuse nobody, nothing of them is left" {
	machine mkdir -p /data/out/vol
	on_unix /data/out/vol/sock unix:/run/s/sock --net=host \
		--volume=run,kind=host,source=/data/out/vol
	machine systemctl stop rkt@web
	run machine find /data/out/vol -name '*rkt-held*'
	[ -z "$output" ]
}

@test "an abstract unix socket refuses nobody" {
	on_unix @rkt-test-crash abstract:rkt-test-crash --net=host
}

@test "a unix socket in a volume in memory is made anew" {
	local root
	pod_file web '.flags = ["--net=host", "--volume=run,kind=empty,medium=memory"]
		| .apps[0].image = "example.com/inside:1.0.0"
		| .apps[0].args = ["serve", "unix:/run/s/sock"]
		| .apps[0].flags = ["--exec=/inside", "--mount=volume=run,target=/run/s"]'
	machine systemctl start rkt@web
	for _ in 1 2 3; do
		root=/proc/$(app_pid web inside)/root
		wait_for 20 peer "$root/run/s/sock"
		wait_for 10 kept_listener
		crash rkt@web
	done
	wait_for 20 peer "/proc/$(app_pid web inside)/root/run/s/sock"
}

# --- at any time after an update -------------------------------------------------

# update_and_kill VERSION MS PID: of stage1, so long after its journal has it that
# the update is committed.
update_and_kill() {
	machine python3 -c '
import os, subprocess, sys, time
version, ms, pid, journal = sys.argv[1:]
update = subprocess.Popen(["rkt", "update", "--strategy=handover",
    "--observe=0s", "--allow-downgrade", "--to=" + version, "web"])
end = time.monotonic() + 20
committed = False
while not committed and time.monotonic() < end:
    # Seen too late, the journal is gone already.
    if update.poll() is not None:
        committed = update.returncode == 0
        break
    try:
        with open(journal) as f:
            committed = "COMMITTED" in f.read()
    except FileNotFoundError:
        pass
    time.sleep(0.0005)
time.sleep(float(ms) / 1000)
os.kill(int(pid), 9)
update.wait()
sys.exit(not committed and "no commit")' "$@" \
		"/var/lib/rkt/pods/run/$(machine readlink /var/lib/rkt/names/web)/update.journal"
}

# crash_after_updates FLAG PORT: handovers there and back, each with a crash a
# little later after its commit than the one before.
crash_after_updates() {
	local ms to=2 main
	pod_file web ".flags = [\"$1\"] | .apps[0].image = \"example.com/inside:1.0.0\""
	drop_in web '[Unit]' StartLimitIntervalSec=0
	machine systemctl start rkt@web
	wait_for 20 machine nc -z 127.0.0.1 "$2"
	wait_for 10 stored rkt@web 1
	load_begin --rate=2000 --workers=8 127.0.0.1 "$2" /
	for ms in 0 2 5 10 15 20 30 40 50 60 70 80 100 150; do
		main=$(show rkt@web MainPID)
		update_and_kill "$to.0.0" "$ms" "$main"
		wait_for 20 restarted rkt@web "$main"
		to=$((3 - to))
		sleep 0.5
	done
	load_end
}

@test "a crash at any time after an update, on the host's network" {
	crash_after_updates --net=host 8123
}

@test "a crash at any time after an update" {
	crash_after_updates --port=http:8080 8080
}
