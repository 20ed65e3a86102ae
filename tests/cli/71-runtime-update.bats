#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt update --runtime: another stage1 goes on with a pod that runs, and its
# apps see nothing of it.

# shellcheck disable=SC2034,SC2154 # variables of versions.bash and bats

load lib
load network
load versions

setup_file() {
	mkdir -p "$F"
	TMPDIR=$F image_inside "$F/inside.aci" \
		'.app.environment=[{name:"VERSION",value:"1"}]'
	install_rkt next "$BUILD/tests/stage1-next"
	install_rkt one "$BUILD/libexec/rkt/stage1"
	install_rkt two "$BUILD/libexec/rkt/stage1"
}

# install_rkt NAME STAGE1: another rkt, in $F/NAME
install_rkt() {
	mkdir -p "$F/$1/bin" "$F/$1/libexec/rkt"
	cp "$RKT" "$F/$1/bin/rkt"
	cp "$(dirname "$RKT")"/../libexec/rkt/* "$F/$1/libexec/rkt/"
	cp --remove-destination "$2" "$F/$1/libexec/rkt/stage1"
}

# other NAME ARG...: that rkt's
other() {
	local name=$1
	shift
	run "$F/$name/bin/rkt" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image "$@"
}

# goes_on_as NAME: the pod web's supervisor becomes that one's
goes_on_as() {
	other "$1" update --runtime "${2:-web}"
	expect_status 0
	expect_output 'went on as stage1'
}

# stays NAME REASON: it does not, and goes on as it is
stays() {
	local before
	before=$(supervisor)
	other "$1" update --runtime web
	expect_status 11
	expect_output "$2"
	serves
	[ "$(supervisor)" = "$before" ]
}

# start ARG...: a pod named web in the background
start() {
	detach_inside --net="${NET:-none}" --pod-name=web "${RUN[@]}" \
		"$F/inside.aci" "$@"
	begun
}

begun() {
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
}

supervisor() {
	sed -n 's/^PPid:\t//p' "/proc/$pid/status"
}

app_pid() {
	cat "$pod/appsinfo/inside/pid"
}

# The supervisor answers: what is said to it is served.
serves() {
	run rkt update --abort web
	expect_output 'no update'
}

status_has() {
	rkt status web | grep -qx "$1"
}

all_answered() {
	local key name=${1:-load}
	[ "$(load_value "$name" answered)" -gt 50 ] ||
		fail "$(cat "$D/$name.load")"
	for key in refused reset broken timeout other; do
		[ "$(load_value "$name" "$key")" = 0 ] ||
			fail "$(cat "$D/$name.load")"
	done
}

# restarted APP: at least once
restarted() {
	local n
	n=$(rkt status web | sed -n "s/^restarts-$1=//p")
	[ "${n:-0}" -ge 1 ]
}

nothing_tried() {
	! pgrep -f 'adopt --check'
}

# Nothing of the pod is left once it has ended and was removed.
nothing_left() {
	wait_for 10 pod_is web exited
	rkt rm web
	[ -z "$(find /sys/fs/cgroup -type d -path "*/rkt/$uuid*" 2>/dev/null)" ] ||
		fail "cgroups of $uuid are left"
	[ -z "$(find /run/netns -type f 2>/dev/null)" ] || fail "netns is left"
	! grep -q "$uuid" /proc/self/mountinfo || fail "mounts are left"
}

# --- going on ------------------------------------------------------------------

@test "a later version goes on, the app and the process stay" {
	start -- sleep 1000
	status_has runtime=0.1.0
	local before app
	before=$(supervisor) app=$(app_pid)
	other next update --runtime --plan web
	expect_status 0
	expect_output 'stage1 0.1.0 could go on as stage1 0.1.0-next'
	status_has runtime=0.1.0
	goes_on_as next
	expect_output 'stage1 0.1.0 went on as stage1 0.1.0-next'
	[ "$(supervisor)" = "$before" ]
	[ "$(app_pid)" = "$app" ] && kill -0 "$app"
	status_has runtime=0.1.0-next
	run rkt list --full --no-legend
	expect_output 0.1.0-next
	run rkt list --format=json
	jq -e '.[0].runtime_version == "0.1.0-next"' <<<"$output"
	serves
	# It is that one already.
	other next update --runtime --format=json web
	expect_status 0
	jq -e '.[0] | .code == 0 and .text == "it is what runs already"
		and (has("away_us") | not)' <<<"$output"
	rkt stop web
	wait_for 10 status_has app-inside=143
	nothing_left
}

@test "an older one does not know what a later one tells: it stays" {
	start -- sleep 1000
	goes_on_as next
	stays one 'it stays stage1 0.1.0-next: the new stage1 cannot go on: unheard_of: is not known to this stage1'
	status_has runtime=0.1.0-next
	other one update --runtime --plan web
	expect_status 11
}

@test "under load, there and back: nobody is refused and no line is lost" {
	start --restart=always -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin load 127.0.0.1 80 /
	for _ in 1 2 3 4 5; do
		goes_on_as one
		goes_on_as two
	done
	sleep 0.3
	load_end
	all_answered
	# What is kept for its next process is still there: nobody is refused,
	# but whom the killed one was just answering is cut off.
	load_begin load 127.0.0.1 80 /
	kill -9 "$(app_pid)"
	goes_on_as one
	wait_for 10 restarted inside
	goes_on_as two
	sleep 0.3
	load_end
	[ "$(load_value load refused)" = 0 ]
	[ "$(load_value load timeout)" = 0 ]
	[ "$(load_value load answered)" -gt 20 ]
}

@test "every line reaches the log once and whole" {
	image_busybox "$D/sh.aci"
	# shellcheck disable=SC2016 # for the shell in the pod
	detach_inside --net=none --pod-name=web "$D/sh.aci" --name=inside -- -c '
		i=0
		until [ -e /tmp/stop ]; do
			i=$((i + 1))
			printf "number "
			echo $i
			[ $((i % 20)) != 0 ] || sleep 0.001
		done
		echo last $i'
	begun
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		goes_on_as one
		goes_on_as two
	done
	rkt enter web /bin/touch /tmp/stop
	wait_for 20 pod_is web exited
	pod_log "$uuid" inside >"$D/got"
	seq -f 'number %.0f' "$(sed -n 's/^last //p' "$D/got")" >"$D/expected"
	tail -1 "$D/got" >>"$D/expected"
	[ "$(wc -l <"$D/got")" -gt 1000 ]
	cmp "$D/expected" "$D/got"
}

@test "an update and a rollback after it, and one while it is under way" {
	version 1
	version 2
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80
	begun
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin load 127.0.0.1 80 /
	goes_on_as one
	run_rkt update --strategy=handover --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'switched in'
	goes_on_as two
	run_rkt rollback --strategy=handover --observe=100ms web
	expect_status 0
	goes_on_as one
	run_rkt update --strategy=restart --observe=100ms --image="$D/2.aci" web
	expect_status 0
	goes_on_as two
	run rkt history --no-legend web
	[ "$(grep -c COMMITTED <<<"$output")" = 3 ]
	# One that observes.
	run_rkt rollback --strategy=handover --observe=60s web &
	local job=$!
	wait_for 10 grep -q SWITCHED "$pod/update.journal"
	other one update --runtime web
	expect_status 11
	expect_output 'an update of the pod is under way'
	rkt update --abort web
	wait "$job" || true
	wait_for 10 test ! -e "$pod/update.journal"
	goes_on_as one
	load_end
	all_answered
}

@test "several apps: one that has ended, one that waits, one with users of its own" {
	RUN=(--private-users "$F/inside.aci" --name=over -- exit-code 0 ---
		"$F/inside.aci" --name=waits --restart=always
		--annotation=rkt.io/restart/delay=2s -- exit-code 3 ---)
	start --name=stays -- sleep 1000
	wait_for 10 grep -qx 0 "$pod/status/over"
	for _ in 1 2 3; do
		goes_on_as one
		goes_on_as two
	done
	grep -qx 0 "$pod/status/over"
	# It is started again, after the pause it had before.
	wait_for 20 restarted waits
	goes_on_as one
	run rkt enter --app=stays web /inside print-ids
	expect_status 0
	expect_output uid=0
	rkt stop web
	nothing_left
}

@test "a terminal: what is typed and shown before and after" {
	image_busybox "$D/sh.aci"
	python3 "$TESTS/cli/terminal.py" 24x80 '#:send:echo fir""st\n' \
		'again:send:exit 7\n' -- "$RKT" --dir="$D/data" \
		--insecure-options=image run --net=none --interactive \
		--pod-name=web "$D/sh.aci" >"$D/shown" &
	local job=$!
	wait_for 10 grep -q first "$D/shown"
	uuid=$(basename "$(readlink "$D/data/names/web")")
	begun
	goes_on_as one
	goes_on_as two
	rkt enter web /bin/sh -c 'echo again >/dev/console'
	local code=0
	wait "$job" || code=$?
	[ "$code" = 7 ] || fail "exit code $code: $(cat "$D/shown")"
}

@test "sockets and descriptors the pod keeps, the watchdog, sd_notify" {
	local t=$D/py
	"$TESTS/images/build-images.sh" "$D" python >&2
	mkdir "$t"
	tar -C "$t" -xf "$D/python.aci"
	cp "$BATS_TEST_DIRNAME/notify.py" "$t/rootfs/srv/notify.py"
	jq '.app.exec = ["/usr/bin/python3", "-I", "/srv/notify.py"]
		| .app.environment = [{name: "VERSION", value: "1"}]
		| .app.ports = [{name: "http", protocol: "tcp", port: 80, socketActivated: true}]
		| .annotations = [
			{name: "appc.io/executor/supports-systemd-notify", value: "true"},
			{name: "rkt.io/restart", value: "always"},
			{name: "rkt.io/watchdog", value: "60s"}]' \
		"$t/manifest" >"$D/m"
	mv "$D/m" "$t/manifest"
	"$ACTOOL" build "$t" "$D/1.aci"
	detach_inside --net=none --pod-name=web "$D/1.aci" --name=notify -- \
		fds store=state barrier say=STATUS=before announce serve
	begun
	wait_for 10 status_has ready-notify=true
	for _ in 1 2 3; do
		goes_on_as one
		goes_on_as two
	done
	status_has 'status-notify=version 1'
	# A crash: its port and what it stored are there for the next.
	nsenter --net="/proc/$pid/ns/net" timeout 10 nc -N 127.0.0.1 80 \
		<<<crash || true
	wait_for 10 restarted notify
	wait_for 10 pod_logged "$uuid" notify names=http,state
	goes_on_as one
	[ "$(nsenter --net="/proc/$pid/ns/net" timeout 10 nc -N 127.0.0.1 80 <<<hi)" = 1 ]
	wait_for 10 status_has ready-notify=true
}

@test "health: what is asked goes on being asked" {
	start --restart=on-failure --annotation=rkt.io/health/probe=http:80/ \
		--annotation=rkt.io/health/interval=100ms \
		--annotation=rkt.io/health/timeout=2s \
		--annotation=rkt.io/health/retries=2 -- serve tcp4:80
	wait_for 10 status_has health-inside=ok
	for _ in 1 2 3 4 5; do
		goes_on_as one
		goes_on_as two
	done
	status_has health-inside=ok
	rkt enter web /inside write /tmp/sick ""
	goes_on_as one
	wait_for 20 restarted inside
	wait_for 10 status_has health-inside=ok
}

@test "nginx and redis under load" {
	bash "$TESTS/images/build-images.sh" "$D" nginx-1 redis >&2
	detach_inside --net=none --pod-name=web "$D/nginx-1.aci" \
		"$D/redis.aci" --name=redis
	begun
	wait_for 20 nsenter --net="/proc/$pid/ns/net" \
		redis-cli -h 127.0.0.1 ping
	load_begin load --keepalive=20 127.0.0.1 80 /version
	load_begin redis --protocol=redis --keepalive=50 127.0.0.1 6379 /
	for _ in 1 2 3 4 5; do
		goes_on_as one
		goes_on_as two
	done
	sleep 0.3
	load_end
	all_answered load
	all_answered redis
}

@test "the default network and a forwarded port, under load" {
	skip_without nginx
	skip_without cni
	skip_without iptables
	bash "$TESTS/images/build-images.sh" "$D" nginx-1 >&2
	detach_inside --pod-name=web --port=http:18080 "$D/nginx-1.aci"
	begun
	before=$(rkt status web | grep ^networks=)
	wait_for 20 curl -sfo "$D/page" http://127.0.0.1:18080/version
	"$BUILD/tests/load" --workers=4 --rate=300 127.0.0.1 18080 /version \
		>"$D/load.load" &
	loads+=($!)
	for _ in 1 2 3; do
		goes_on_as one
		goes_on_as two
	done
	sleep 0.3
	load_end
	all_answered
	[ "$(rkt status web | grep ^networks=)" = "$before" ]
	# What undoes it is known to who goes on.
	rkt stop web
	nothing_left
	network_clean
}

@test "a hundred times: no descriptor, process or memory is left" {
	start --restart=always -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	for _ in 1 2 3 4 5; do
		goes_on_as one
		goes_on_as two
	done
	local fds memory
	fds=$(find "/proc/$(supervisor)/fd" -type l | wc -l)
	memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' \
		"/proc/$(supervisor)/status")
	for _ in $(seq 45); do
		goes_on_as one
		goes_on_as two
	done
	[ "$(find "/proc/$(supervisor)/fd" -type l | wc -l)" = "$fds" ]
	[ "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' \
		"/proc/$(supervisor)/status")" -le $((memory + 512)) ]
	# pod init and the app.
	[ "$(pgrep -c -P "$(supervisor)")" = 2 ]
}

@test "--all, as JSON; what is not running is no failure of the others" {
	start -- sleep 1000
	detach_inside --net=none --pod-name=two "$F/inside.aci" \
		--user-label=tier=back -- sleep 1000
	other next update --runtime --all --label=tier=back
	expect_status 0
	[ "$(grep -c 'went on' <<<"$output")" = 1 ]
	run rkt status two
	expect_output runtime=0.1.0-next
	other one update --runtime --all --format=json
	expect_status 11
	jq -es '.[-1] | map(.code) | sort == [0, 11]' <<<"$output"
	other next update --runtime --all
	expect_status 0
	rkt stop two
	wait_for 10 pod_is two exited
	other one update --runtime two
	expect_status 254
	expect_output 'is not running'
	other one update --runtime
	expect_status 254
	other one update --runtime --latest web
	expect_status 254
}

# --- staying -------------------------------------------------------------------

@test "what is no stage1 that can go on is not executed" {
	start -- sleep 1000
	cp -r "$F/one" "$D/bad"
	local stage1=$D/bad/libexec/rkt/stage1
	: >"$stage1"
	F=$D stays bad 'it cannot be executed: Exec format error'
	head -c 100000 "$F/one/libexec/rkt/stage1" >"$stage1"
	F=$D stays bad 'the new stage1 cannot go on'
	cp "$BUILD/bin/actool" "$stage1"
	F=$D stays bad 'the new stage1 cannot go on'
	cp /bin/true "$stage1"
	F=$D stays bad 'it does not say that it could'
	cp "$F/one/libexec/rkt/stage1" "$stage1"
	chmod 777 "$stage1"
	F=$D stays bad 'others than root may write to the new stage1'
	chmod 755 "$stage1"
	chown 1000 "$stage1"
	F=$D stays bad "is no file of root's"
	run rkt enter web /inside print-ids
	expect_status 0
}

@test "a program the pod could write to is refused, and half a request" {
	start -- sleep 1000
	cat >"$D/ask.py" <<-'END'
		import os, socket, struct, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect(sys.argv[1])
		fd = os.open(sys.argv[2], os.O_RDONLY)
		text = struct.pack("IIII", 0x31746b72, 2, 0, int(sys.argv[3]))
		socket.send_fds(s, [text], [fd])
		print(s.recv(4096)[144:].rstrip(b"\0").decode())
	END
	run python3 "$D/ask.py" "$pod/control" "$F/one/libexec/rkt/stage1" 0
	expect_output 'its mount is writable'
	run python3 "$D/ask.py" "$pod/control" "$F/one/libexec/rkt/stage1" 1
	[ -z "$output" ]
	serves
}

@test "one that dies in its trial, or never answers, is not executed" {
	RKT_TEST_STOP_AT=adopt-check start -- sleep 1000
	stays next 'signal 9'
	rkt stop --force web
	rkt rm web
	RKT_TEST_HANG_AT=adopt-check start -- sleep 1000
	other next update --runtime web &
	local job=$!
	wait_for 10 pgrep -P "$(supervisor)" -f 'adopt --check'
	# The pod is supervised meanwhile.
	serves
	other one update --runtime web
	expect_status 11
	expect_output 'is being tried already'
	kill -9 "$(pgrep -P "$(supervisor)" -f 'adopt --check')"
	wait "$job" || true
	stays next 'does not say whether it can go on'
	[ "$(pgrep -c -P "$(supervisor)")" = 2 ]
	goes_on_as one
}

@test "one that fails after all goes back to the one before" {
	RKT_TEST_FAIL_AT=adopted start --restart=always -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin load 127.0.0.1 80 /
	for _ in 1 2 3; do
		stays next 'the one before goes on'
	done
	status_has runtime=0.1.0
	goes_on_as one
	sleep 0.3
	load_end
	all_answered
	rkt stop web
	nothing_left
}

# --- killed --------------------------------------------------------------------

@test "the command killed at any time: the pod goes on, as one or the other" {
	start -- sleep 1000
	local before i
	before=$(supervisor)
	for i in $(seq 20); do
		"$F/one/bin/rkt" --dir="$D/data" update --runtime web \
			>/dev/null 2>&1 &
		sleep "0.0$((i % 5))$((i % 7))"
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		"$F/two/bin/rkt" --dir="$D/data" update --runtime web \
			>/dev/null 2>&1 || true
	done
	[ "$(supervisor)" = "$before" ]
	wait_for 10 serves
	rkt stop web
	nothing_left
}

@test "the pod ends while another one is tried: nothing is left" {
	local how
	for how in stop 'stop --force' kill; do
		RKT_TEST_HANG_AT=adopt-check start -- sleep 1000
		other next update --runtime web &
		local job=$!
		wait_for 10 pgrep -P "$(supervisor)" -f 'adopt --check'
		if [ "$how" = kill ]; then
			kill -9 "$(supervisor)"
			wait_for 10 pod_is web exited
			rkt gc --grace-period=0s
		else
			# shellcheck disable=SC2086 # words
			rkt $how web
		fi
		wait "$job" || true
		wait_for 10 pod_is web exited
		rkt rm web || true
		wait_for 10 nothing_tried
	done
}
