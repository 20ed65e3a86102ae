#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Apps that are started again by their policy, with nobody refused, and apps
# that are asked whether they are well.

load lib

setup_file() {
	mkdir -p "$F"
	TMPDIR=$F image_inside "$F/inside.aci" \
		'.app.environment=[{name:"VERSION",value:"1"}]'
}

# run_app FLAG... -- COMMAND...: a pod named web without network; $pod is its
# directory and $pid the host's number of its init.
run_app() {
	detach_inside --net="${NET:-none}" --pod-name=web "${RUN[@]}" \
		"$F/inside.aci" "$@"
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	pod=$D/data/pods/run/$uuid
}

# pid of the app's main process on the host
app_pid() {
	cat "$pod/generations/inside/1/pid"
}

kill_app() {
	kill -9 "$(app_pid)"
}

load_begin() {
	nsenter --net="/proc/$pid/ns/net" "$BUILD/tests/load" --workers=4 \
		--rate=300 "$@" >"$D/load" &
	loader=$!
}

load_end() {
	kill "$loader"
	wait "$loader" || true
	loader=
	echo "# ${BATS_TEST_DESCRIPTION}: $(tr '\n' ' ' <"$D/load")" >&3
}

load_value() {
	sed -n "s/^$1=//p" "$D/load"
}

nobody_refused() {
	[ "$(load_value answered)" -gt 50 ] || fail "$(cat "$D/load")"
	[ "$(load_value refused)" = 0 ] || fail "$(cat "$D/load")"
	[ "$(load_value timeout)" = 0 ] || fail "$(cat "$D/load")"
}

# status_has LINE
status_has() {
	rkt status web | grep -qx "$1"
}

restarts() {
	rkt status web | sed -n 's/^restarts-inside=//p'
}

opened_again() {
	[ "$(pod_log "$uuid" inside | grep -c listeners=2)" = "$1" ]
}

restarted() {
	[ "$(restarts)" -ge "$1" ] 2>/dev/null
}

nothing_left() {
	[ -z "$(find /sys/fs/cgroup -type d -path "*/rkt/$1*" 2>/dev/null)" ] ||
		fail "cgroups of $1 are left"
	[ -z "$(find /run/netns -type f 2>/dev/null)" ] || fail "netns is left"
	! grep -q "$1" /proc/self/mountinfo || fail "mounts of $1 are left"
	! pgrep -x inside >/dev/null || fail "an app still runs"
}

stop_and_remove() {
	rkt stop --force web
	wait_for 10 pod_is web exited
	rkt rm web
}

# connects PORT: somebody in the pod's network gets a connection.
connects() {
	nsenter --net="/proc/$pid/ns/net" \
		bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null
}

refuses() {
	! connects "$1"
}

# Of the pod's supervisor.
supervisor() {
	awk '/^PPid/ { print $2 }' "/proc/$pid/status"
}

open_files() {
	find "/proc/$(supervisor)/fd" | wc -l
}

setup() {
	setup_test
	loader=
	manager=
	RUN=()
}

teardown() {
	[ -z "$loader" ] || kill "$loader" 2>/dev/null
	[ -z "$manager" ] || kill "$manager" 2>/dev/null
	teardown_test
}

# --- policy --------------------------------------------------------------------

@test "without a policy nothing is started again" {
	run_inside "$F/inside.aci" -- exit-code 3
	expect_status 3
	run_inside "$F/inside.aci" --restart=no -- exit-code 3
	expect_status 3
	run_inside "$F/inside.aci" --restart=on-failure -- exit-code 0
	expect_status 0
}

@test "a wrong policy is refused" {
	run_inside "$F/inside.aci" --restart=sometimes -- exit-code 3
	expect_status 254
	run_inside "$F/inside.aci" --annotation=rkt.io/restart=sometimes -- \
		exit-code 3
	expect_status 254
}

@test "on-failure: again and again, with longer pauses, until it is stopped" {
	run_app --restart=on-failure -- echo begin and exit-code 7
	wait_for 10 restarted 3
	status_has state=running
	status_has last-exit-inside=7
	# 100 + 200 + 400 ms, and the next one would be after 800.
	n=$(restarts)
	[ "$n" -le 5 ] || fail "$n"
	[ "$(pod_log "$uuid" inside | grep -c begin)" -ge 4 ]
	rkt status --format=json web |
		jq -e '.apps[0].restarts >= 3 and .apps[0].last_exit_code == 7'
	run rkt stop web
	expect_status 0
	wait_for 10 pod_is web exited
	n=$(restarts)
	sleep 2
	[ "$(restarts)" = "$n" ]
	status_has app-inside=7
	nothing_left "$uuid"
}

@test "always: also after exit code 0; each start in a clean root, with handlers" {
	mkdir "$D/vol"
	image_inside "$D/h.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","append","/v/log","pre"]},
		{name:"post-stop",exec:["/inside","append","/v/log","post"]}]'
	detach_inside --net=none --pod-name=web \
		--volume=v,kind=host,source="$D/vol" "$D/h.aci" --name=inside \
		--mount=volume=v,target=/v --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=10ms -- \
		append /v/log run and append /mine x and exit-code 0
	pod=$D/data/pods/run/$uuid
	wait_for 10 restarted 2
	rkt stop web
	wait_for 10 pod_is web exited
	log=$(tr -d '\n' <"$D/vol/log")
	[[ $log = prerunpostprerunpostprerunpost* ]] || fail "$log"
	# The last one may have been stopped before it wrote.
	mine=$pod/generations/inside/1/upper/mine
	[ ! -e "$mine" ] || [ "$(wc -c <"$mine")" -le 2 ]
}

@test "an app without a policy beside one that has: rkt's rule" {
	image_inside "$D/b.aci" . example.com/other
	detach_inside --net=none --pod-name=web "$F/inside.aci" \
		--restart=always -- exit-code 1 --- "$D/b.aci" -- sleep 1 and \
		exit-code 5
	pod=$D/data/pods/run/$uuid
	wait_for 15 pod_is web exited
	status_has app-other=5
	restarted 1
}

@test "a program that cannot be executed is tried again, not at once" {
	uuid=$("$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--pod-name=web --uuid-file-save="$D/uuid" "$F/inside.aci" \
		--restart=always --exec=/nope >"$D/out" 2>&1 &
		echo $!)
	wait_for 10 restarted 2
	rkt stop web
	wait_for 10 pod_is web exited
}

# --- sockets -------------------------------------------------------------------

crash_under_load() {
	wait_for 10 pod_logged "$uuid" inside serving=1
	sleep 0.1
	load_begin "$@"
	for n in 1 2 3; do
		sleep 0.4
		kill_app
		wait_for 10 restarted "$n"
	done
	sleep 0.5
	load_end
	nobody_refused
	status_has restarts-inside=3
	status_has last-exit-inside=137
}

@test "kill -9 of a server under load: nobody is refused" {
	run_app --restart=on-failure -- serve tcp4:80
	crash_under_load 127.0.0.1 80 /
	rkt stop web
	wait_for 10 pod_is web exited
	nothing_left "$uuid"
}

@test "the same with workers, IPv6, and as another user" {
	RUN=()
	run_app --restart=always -- serve workers:80:3
	crash_under_load 127.0.0.1 80 /
	stop_and_remove
	run_app --restart=always --user=web --group=web -- serve dual:8080
	crash_under_load ::1 8080 /
}

@test "the same on the host's network" {
	NET=host run_app --restart=always -- serve tcp4:8123
	crash_under_load 127.0.0.1 8123 /
	rkt stop web
	wait_for 10 pod_is web exited
	nothing_left "$uuid"
}

@test "the same with a unix socket in a volume" {
	mkdir "$D/vol"
	RUN=(--volume=run,kind=host,source="$D/vol")
	run_app --mount=volume=run,target=/run/s --restart=always -- \
		serve unix:/run/s/sock
	crash_under_load "$D/vol/sock" 0 /
	rkt stop web
	wait_for 10 pod_is web exited
	[ -z "$(find "$D/vol" -name '*rkt-held*')" ]
}

@test "workers on the host's network: who waits is not cut off by the first of them" {
	NET=host run_app --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=1s -- serve workers:8123:4
	wait_for 10 pod_logged "$uuid" inside serving=1
	# When what it listens on is kept.
	sleep 0.3
	kill_app
	sleep 0.3
	"$BUILD/tests/load" --workers=40 --rate=400 --seconds=3 127.0.0.1 8123 / \
		>"$D/load"
	nobody_refused
	[ "$(load_value answered)" = "$(load_value requests)" ] ||
		fail "$(cat "$D/load")"
}

@test "while it waits, clients do, too; when it is stopped, they do not" {
	run_app --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=2s \
		--annotation=rkt.io/restart/max-delay=20s -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	sleep 0.1
	kill_app
	sleep 0.3
	connects 80
	wait_for 10 restarted 1
	sleep 0.2
	# Now its pause is four seconds.
	kill_app
	sleep 0.2
	connects 80
	run rkt stop web
	expect_status 0
	wait_for 10 pod_is web exited
	status_has app-inside=137
	nothing_left "$uuid"
}

@test "what the app closes itself is not kept, and it may open it again" {
	run_app --restart=always -- serve probe:80 tcp6:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	sleep 0.2
	connects 80
	first=$(app_pid)
	kill -HUP "$first"
	wait_for 5 pod_logged "$uuid" inside listeners=0
	wait_for 3 refuses 80
	for n in 1 2 3; do
		kill -USR1 "$first"
		wait_for 5 opened_again "$n"
		connects 80
	done
	[ "$(app_pid)" = "$first" ]
	[ "$(pod_log "$uuid" inside | grep -c error)" = 0 ]
	# All of that is kept, too.
	sleep 0.2
	kill_app
	sleep 0.05
	connects 80
	wait_for 10 restarted 1
}

@test "an app that waits to be started is replaced" {
	run_app --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=20s \
		--annotation=rkt.io/restart/max-delay=20s -- exit-code 1
	image_inside "$D/2.aci" . example.com/inside 2.0.0
	image_inside "$D/3.aci" . example.com/inside 3.0.0
	pod=$D/data/pods/run/$uuid
	wait_for 10 test ! -e "/proc/$(cat "$pod/generations/inside/1/pid")"
	sleep 0.3
	run rkt enter web /inside echo hi
	expect_status 254
	run_rkt update --plan --image="$D/2.aci" web
	expect_status 0
	expect_output 'restart   taken' 'it waits to be started again'
	run_rkt update --strategy=handover --image="$D/2.aci" web
	expect_status 11
	# What is no better: it waits again.
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 12
	expect_output 'generation 1 waits to be started again'
	status_has generation-inside=1 state=running
	jq -cn '["--","sleep","60"]' >"$pod/args/inside"
	run_rkt update --observe=100ms --image="$D/3.aci" web
	expect_status 0
	expect_output 'serves by restart (it does not run'
	status_has version-inside=3.0.0 state=running
	run rkt enter web /inside echo hi
	expect_status 0
	run rkt stop web
	expect_status 0
	wait_for 5 pod_is web exited
}

@test "clients of one that crashes wait for the version that does not" {
	run_app --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=20s \
		--annotation=rkt.io/restart/max-delay=20s -- serve tcp4:80
	image_inside "$D/2.aci" '.app.environment=[{name:"VERSION",value:"2"}]' \
		example.com/inside 2.0.0
	pod=$D/data/pods/run/$uuid
	wait_for 10 pod_logged "$uuid" inside serving=1
	sleep 0.3
	kill -9 "$(cat "$pod/generations/inside/1/pid")"
	stay_connected "s.send(b'GET / HTTP/1.0\r\n\r\n'); print(s.recv(1000))"
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output ' 1 moved'
	wait "$client"
	grep -q '200 OK' "$D/said"
}

@test "an update that can neither go on nor back leaves it to the policy" {
	mkdir "$D/vol"
	RUN=(--volume=v,kind=host,source="$D/vol")
	run_app --mount=volume=v,target=/v --restart=on-failure -- serve tcp4:80
	image_inside "$D/2.aci" \
		'.app.eventHandlers=[{name:"pre-start",exec:["/inside","sleep","1"]}]' \
		example.com/inside 2.0.0
	wait_for 10 pod_logged "$uuid" inside serving=1
	(
		wait_for 10 test -d "$pod/generations/inside/2/upper"
		sleep 0.3
		mv "$D/vol" "$D/gone"
	) &
	run_rkt update --strategy=restart --ready-timeout=300ms \
		--probe=tcp:81 --image="$D/2.aci" web
	wait $!
	expect_status 12
	status_has state=running
	mv "$D/gone" "$D/vol"
	wait_for 20 connects 80
	status_has generation-inside=1
	restarted 1
}

begun() {
	[ "$(grep -c 'cwd=' "$pod/logs/inside")" -ge "$1" ]
}

@test "a stop while a pre-start runs that does not mind it" {
	local job r=0
	image_inside "$D/1.aci" \
		'.app.eventHandlers=[{name:"pre-start",exec:["/inside",
			"print-cwd","and","ignore-term","and","sleep","1"]}]'
	rkt --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$D/1.aci" --restart=always -- \
		exit-code 3 >"$D/out" 2>&1 3>&- &
	job=$!
	wait_for 10 test -s "$D/uuid"
	uuid=$(cat "$D/uuid")
	pod=$D/data/pods/run/$uuid
	# Of the second start, by the policy.
	wait_for 20 begun 2
	rkt stop "$uuid"
	wait "$job" || r=$?
	[ "$r" = 0 ] || fail "$r: $(cat "$D/out")"
	[ -e "$pod/status/inside" ]
}

# --- crash loops ---------------------------------------------------------------

has_files() {
	[ "$(open_files)" -le "$1" ]
}

@test "200 starts leak nothing and do not spin" {
	run_app --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=10ms \
		--annotation=rkt.io/restart/max-delay=10ms --memory=64M -- \
		exit-code 1
	wait_for 20 restarted 10
	mounts=$(wc -l <"/proc/$(supervisor)/mountinfo")
	files=$(open_files)
	groups=$(find /sys/fs/cgroup -path "*$uuid*" -type d | wc -l)
	memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$(supervisor)/status")
	wait_for 60 restarted 210
	[ "$(wc -l <"/proc/$(supervisor)/mountinfo")" -le "$((mounts + 1))" ]
	# In the middle of a start there are more.
	wait_for 5 has_files "$((files + 12))" ||
		fail "$files files, now $(open_files)"
	[ "$(find /sys/fs/cgroup -path "*$uuid*" -type d | wc -l)" \
		-le "$((groups + 3))" ]
	now=$(awk '/^VmRSS/ { print $2 }' "/proc/$(supervisor)/status")
	# AddressSanitizer holds back what is freed.
	! host_has not-sanitized || [ "$now" -le "$((memory + 512))" ] ||
		fail "$memory kB, now $now"
	[ ! -e "$pod/isolators" ] || [ "$(wc -l <"$pod/isolators")" -le 4 ]
	rkt stop web
	wait_for 10 pod_is web exited
	nothing_left "$uuid"
}

@test "waiting for the next start costs no time" {
	run_app --annotation=rkt.io/restart=always \
		--annotation=rkt.io/restart/delay=30s -- exit-code 1
	sleep 0.5
	before=$(awk '{ print $14 + $15 }' "/proc/$(supervisor)/stat")
	sleep 1
	after=$(awk '{ print $14 + $15 }' "/proc/$(supervisor)/stat")
	[ "$((after - before))" -le 2 ] || fail "$before $after"
	[ "$(rkt status web | sed -n 's/^restarts-inside=//p')" = "" ]
}

# --- health --------------------------------------------------------------------

HEALTH=(--annotation=rkt.io/health/interval=100ms
	--annotation=rkt.io/health/timeout=300ms
	--annotation=rkt.io/health/retries=2)

sicken() {
	rkt enter web /inside write /tmp/sick x
}

@test "health: an app that is not well is said to be so, and better again" {
	run_app "${HEALTH[@]}" --annotation=rkt.io/health/probe=http:/ -- \
		serve tcp4:80
	wait_for 5 status_has health-inside=ok
	first=$(app_pid)
	sicken
	wait_for 5 status_has 'health-inside=failing: it answers GET / with 500'
	rkt status --format=json web | jq -e '.apps[0].health | test("500")'
	rkt enter web /inside unlink /tmp/sick
	wait_for 5 status_has health-inside=ok
	[ "$(app_pid)" = "$first" ]
	[ "$(restarts)" = "" ]
}

@test "health: with a policy it is started again, and nobody is refused" {
	run_app "${HEALTH[@]}" --restart=on-failure \
		--annotation=rkt.io/health/probe=http:80/ -- \
		serve tcp4:80
	wait_for 5 status_has health-inside=ok
	load_begin 127.0.0.1 80 /
	sicken
	wait_for 10 restarted 1
	wait_for 10 status_has health-inside=ok
	sleep 0.3
	load_end
	nobody_refused
	# It ends with 0, as one that was asked to.
	status_has last-exit-inside=0
}

@test "health: tcp and exec, and what does not answer" {
	run_app "${HEALTH[@]}" --annotation=rkt.io/health/probe=tcp -- \
		serve tcp4:80 tcp6:81
	wait_for 5 status_has health-inside=ok
	kill -STOP "$(app_pid)"
	sleep 0.5
	# Its kernel accepts for it.
	status_has health-inside=ok
	kill -CONT "$(app_pid)"
	stop_and_remove
	run_app "${HEALTH[@]}" \
		'--annotation=rkt.io/health/probe=exec:/inside read "/tmp/well" and exit-code 4' \
		-- sleep 100
	wait_for 5 status_has \
		'health-inside=failing: /inside: exit code 4'
	stop_and_remove
	run_app "${HEALTH[@]}" '--annotation=rkt.io/health/probe=exec:/inside sleep 100' \
		-- sleep 100
	wait_for 5 status_has \
		'health-inside=failing: it did not answer within 300 ms'
	# No process of an attempt outlives it for long.
	[ "$(pgrep -fc '/inside sleep 100')" -le 2 ]
	stop_and_remove
	nothing_left "$uuid"
	run_app "${HEALTH[@]}" --annotation=rkt.io/health/probe=http:/ -- \
		serve tcp4:80
	wait_for 5 status_has health-inside=ok
	kill -STOP "$(app_pid)"
	wait_for 5 status_has \
		'health-inside=failing: it did not answer within 300 ms'
	kill -CONT "$(app_pid)"
}

@test "health: failures of the start period do not count" {
	run_app "${HEALTH[@]}" --restart=on-failure \
		--annotation=rkt.io/health/probe=tcp:80 \
		--annotation=rkt.io/health/start-period=30s -- \
		sleep 2 and serve tcp4:80
	sleep 1.5
	[ "$(restarts)" = "" ]
	[ "$(rkt status web | grep -c failing)" = 0 ]
	wait_for 5 status_has health-inside=ok
}

@test "an update of an app with a policy, and a crash after it" {
	image_inside "$D/2.aci" '.app.environment=[{name:"VERSION",value:"2"}]' \
		example.com/inside 2.0.0
	run_app --restart=on-failure "${HEALTH[@]}" \
		--annotation=rkt.io/health/probe=http:/ -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin 127.0.0.1 80 /
	run_rkt update --observe=200ms --image="$D/2.aci" web
	expect_status 0
	sleep 0.3
	kill -9 "$(cat "$pod/generations/inside/2/pid")"
	wait_for 10 restarted 1
	wait_for 5 status_has health-inside=ok
	run_rkt rollback --observe=200ms web
	expect_status 0
	sleep 0.3
	kill_app
	wait_for 10 restarted 2
	sleep 0.3
	load_end
	nobody_refused
	[ "$(load_value body.2)" -gt 0 ]
	[ "$(load_value other)" = 0 ]
}

committed() {
	grep -q COMMITTED "$pod/update.journal"
}

# drain_crash NET SERVE [JQ]: the new version, changed by JQ, is killed while the
# old one drains.  RESTART: the policy of both, or neither's.
drain_crash() {
	local idle updater
	image_inside "$D/2.aci" '.app.environment=[{name:"VERSION",value:"2"}]
		| '"${3:-.}" example.com/inside 2.0.0
	NET=$1 run_app ${RESTART-"--restart=on-failure"} -- serve "$2"
	wait_for 10 pod_logged "$uuid" inside serving=1
	# Who stays with the old one.
	nsenter --net="/proc/$pid/ns/net" nc 127.0.0.1 8123 < <(exec sleep 60) \
		>/dev/null 3>&- &
	idle=$!
	sleep 0.2
	rkt --insecure-options=image update --strategy=handover --observe=0s \
		--drain-timeout=20s --image="$D/2.aci" web >"$D/updated" 3>&- &
	updater=$!
	wait_for 10 committed
	load_begin 127.0.0.1 8123 /
	sleep 0.4
	committed
	kill -9 "$(cat "$pod/generations/inside/2/pid")"
	wait_for 10 restarted 1
	sleep 0.4
	load_end
	kill "$idle"
	wait "$updater" || true
	nobody_refused
	# One at most was being served.
	[ "$(load_value reset)" -le 1 ] || fail "$(cat "$D/load")"
	[ "$(load_value body.2)" = "$(load_value answered)" ]
	rkt stop web
	wait_for 10 pod_is web exited
	nothing_left "$uuid"
}

@test "the new version is killed while the old one drains: who connects waits" {
	drain_crash none tcp4:8123
}

@test "the same on the host's network, with workers" {
	drain_crash host workers:8123:3
}

@test "the same if only the new version is to be started again" {
	RESTART='' drain_crash none tcp4:8123 \
		'.annotations=[{name:"rkt.io/restart",value:"on-failure"}]'
}

# --- probes of updates -----------------------------------------------------------

# new_version JQ: $D/2.aci
new_version() {
	image_inside "$D/2.aci" '.app.environment=[{name:"VERSION",value:"2"}]
		| '"$1" example.com/inside 2.0.0
}

SICK='.app.environment+=[{name:"STATUS",value:"500 No"}]'
ASKED='.annotations=[{name:"rkt.io/update/probe",value:"http:/"}]'

update() {
	run_rkt update --observe=100ms --ready-timeout=700ms \
		--image="$D/2.aci" "$@" web
}

@test "restart: a new version that answers 500 is rolled back, nobody is refused" {
	new_version "$SICK"
	run_app -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin 127.0.0.1 80 /
	update --strategy=restart --probe=http:/
	expect_status 10
	expect_output 'answers GET / with 500'
	sleep 0.3
	load_end
	nobody_refused
	status_has generation-inside=1
	# Without a probe it is as good as any.
	update --strategy=restart
	expect_status 0
	nothing=$(find /sys/fs/cgroup -path "*/rkt/$uuid/*probe*" -type d)
	[ -z "$nothing" ] || fail "$nothing"
}

@test "the image says how its update is probed, in every tier" {
	new_version "$SICK | $ASKED"
	run_app -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	for tier in restart handover; do
		update --strategy=$tier
		expect_status 10
		expect_output 'answers GET / with 500'
		status_has generation-inside=1
	done
	new_version "$ASKED"
	for tier in restart handover; do
		update --strategy=$tier
		expect_status 0
		run_rkt rollback --observe=100ms web
		expect_status 0
	done
	new_version '.annotations=[{name:"rkt.io/update/probe",value:"gopher:/"}]'
	update
	[ "$status" -ne 0 ]
	expect_output rkt.io/update/probe
	status_has generation-inside=1
}

serves_again() {
	[ "$(pod_log "$uuid" inside | grep -c serving=1)" = 2 ]
}

@test "a crash in a handover: the service manager keeps no port from the next process" {
	command -v python3 >/dev/null || skip "needs python3: not on this host"
	new_version "$SICK"
	python3 "$TESTS/cli/fdstore.py" "$D/notify" 3>&- &
	manager=$!
	wait_for 10 test -S "$D/notify"
	NOTIFY_SOCKET=$D/notify FDSTORE=64 run_app --restart=on-failure -- \
		serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	rkt --insecure-options=image update --strategy=handover --probe=http:/ \
		--ready-timeout=60s --image="$D/2.aci" web 3>&- &
	updater=$!
	wait_for 10 grep -q STARTED "$pod/update.journal"
	kill_app
	wait "$updater" || [ $? = 12 ]
	wait_for 20 serves_again
	connects 80
}

@test "an exec probe reaches the new generation only" {
	skip_without cgroup2
	image_inside "$D/1.aci" ".app.environment=[{name:\"VERSION\",value:\"1\"}]
		| $SICK"
	new_version .
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	wait_for 10 pod_logged "$uuid" inside serving=1
	run rkt enter web /inside get 80
	expect_status 5
	update --strategy=handover '--probe=exec:/inside get 80'
	expect_status 0
	status_has generation-inside=2
	# And back: the old one fails its probe.
	run_rkt rollback --strategy=handover --observe=100ms \
		--ready-timeout=500ms '--probe=exec:/inside get 80' web
	expect_status 10
	expect_output 'exit code 5'
	status_has generation-inside=2
}

@test "an exec probe may not do what its app may not" {
	run_app "${HEALTH[@]}" \
		'--annotation=rkt.io/health/probe=exec:/inside mknod /tmp/sda b 8 0' \
		-- sleep 100
	wait_for 5 status_has health-inside=ok
	# It could not even be made.
	run rkt enter web /inside stat /tmp/sda
	expect_output ENOENT
}
