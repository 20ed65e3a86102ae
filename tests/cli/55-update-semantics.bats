#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an update counts, keeps, holds and remembers.
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2143 # variables of bats and lib

load lib
load versions

update() {
	run_rkt update --observe=100ms "$@" web
}

# said JQ [OPTION...]: of the last object of an update with OPTIONs.
said() {
	local jq=$1
	shift
	run --separate-stderr "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image update \
		--observe=100ms --format=json "$@" web
	jq -se ".[-1] | $jq" <<<"$output" || fail "$output $stderr"
}

is_at() {
	rkt status web | grep -qx "generation-${2:-inside}=$1" ||
		fail "$(rkt status web)"
}

generations() {
	(cd "$pod/generations/inside" && echo [0-9]*)
}

# client NAME: connects to port 80 of the pod, and says REQUEST when there is
# $D/NAME.go; what it gets is in $D/NAME.said.
client() {
	nsenter --net="/proc/$pid/ns/net" timeout 60 python3 -c "
import os, socket, sys, time
s = socket.create_connection(('127.0.0.1', ${PORT:-80}))
open(sys.argv[1], 'w').close()
while not os.path.exists(sys.argv[1] + '.go'):
    time.sleep(0.01)
s.send(b'GET / HTTP/1.0\r\n\r\n')
open(sys.argv[1] + '.sent', 'w').close()
s.settimeout(50)
try:
    print(s.recv(10))
except OSError as e:
    print(e)" "$D/$1" >"$D/$1.said" 2>&1 &
	loads+=($!)
	wait_for 10 test -e "$D/$1"
}

asks() {
	touch "$D/$1.go"
	wait_for 10 test -e "$D/$1.sent"
}

# stuck [APP]: generation 1 of APP does nothing any more, but to be killed.
stuck() {
	sleep 0.3 # it reads of the client it has accepted
	kill -STOP "$(cat "$pod/generations/${1:-inside}/1/pid")"
}

# --- counts ----------------------------------------------------------------------

@test "restart counts who waited and was served, and what was lost" {
	serve tcp4:80
	version 2
	client lost
	stuck
	asks lost
	client waits
	asks waits
	said '.tier == "restart" and .lost == 1 and .moved == 1 and .drained == 0' \
		--strategy=restart --image="$D/2.aci" --drain-timeout=300ms
	wait_for 10 grep -q HTTP "$D/waits.said"
	run grep HTTP "$D/lost.said"
	expect_status 1
	tail -1 "$pod/history" | jq -e '.lost == 1 and .moved == 1'
	run rkt history --full web
	expect_output '1 moved, 0 drained, 1 lost'
}

@test "restart counts who was idle" {
	serve tcp4:80
	version 2
	client idle
	stuck
	said '.lost == 0 and .moved == 0 and .drained == 1' \
		--strategy=restart --image="$D/2.aci" --drain-timeout=300ms
}

@test "restart loses nothing of a server that ends what it has begun" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	said '.tier == "restart" and .lost == 0' --strategy=restart \
		--image="$D/2.aci"
	load_end
	[ "$(load_value load reset)" = 0 ]
}

@test "handover counts who waited in the old one's socket when it ended" {
	serve tcp4:80
	version 2
	client idle
	stuck
	client waits
	asks waits
	said '.tier == "handover" and .moved == 1 and .lost == 0 and .drained == 1' \
		--image="$D/2.aci" --drain-timeout=500ms
	wait_for 10 grep -q HTTP "$D/waits.said"
	run rkt history --full web
	expect_output '1 moved, 1 drained, 0 lost'
}

@test "handover counts what was open when the drain time was over" {
	serve tcp4:80
	version 2
	client lost
	stuck
	asks lost
	said '.tier == "handover" and .lost == 1 and .drained == 0' \
		--image="$D/2.aci" --drain-timeout=500ms
	tail -1 "$pod/history" | jq -e '.lost == 1'
}

@test "what a new version had begun when it was rolled back is lost, too" {
	serve tcp4:80
	version 2
	(
		wait_for 10 grep -q SWITCHED "$pod/update.journal"
		client lost
		sleep 0.3
		kill -STOP "$(cat "$pod/generations/inside/2/pid")"
		asks lost
		rkt update --abort web
	) &
	loads+=($!)
	said '.result == "rolled back" and .lost == 1' \
		--strategy=restart --image="$D/2.aci" --observe=10s
}

# two: apps inside on port 80 and b on port 81, both in version 1; 2.aci and
# b2.aci are what comes next.
two() {
	image_inside "$D/b1.aci" '.app.environment=[{name:"VERSION",value:"1"}]
		| '"${B_JQ:-.}" example.com/b 1.0.0
	image_inside "$D/b2.aci" '.app.environment=[{name:"VERSION",value:"2"}]
		| '"${B_JQ:-.}" example.com/b 2.0.0
	version 1
	version 2
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80 --- \
		"$D/b1.aci" -- serve tcp4:81
	wait_for 10 pod_logged "$uuid" inside serving=1
	wait_for 10 pod_logged "$uuid" b serving=1
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
}

BOTH=(--app=inside --app=b)

@test "several apps: the counts of each, and the sum" {
	two
	client a
	PORT=81 client b
	stuck
	stuck b
	asks a
	asks b
	said '.lost == 2 and (.apps | map(.lost)) == [1, 1]
		and (.apps | map(.tier)) == ["handover", "handover"]' \
		"${BOTH[@]}" --image="$D/2.aci" --image="$D/b2.aci" \
		--drain-timeout=500ms
}

# --- what is kept ----------------------------------------------------------------

@test "what is too old goes when it is committed, whoever looks on" {
	serve tcp4:80
	for n in 2 3 4; do version "$n"; done
	for n in 2 3; do
		update --image="$D/$n.aci"
		expect_status 0
	done
	update --wait=switched --observe=1s --image="$D/4.aci"
	expect_status 0
	[ "$(generations)" = "1 2 3 4" ]
	wait_for 10 is_at 4
	wait_for 10 sh -c "[ \"\$(ls $pod/generations/inside | xargs)\" = '2 3 4' ]"
}

@test "--keep is remembered for the pod" {
	serve tcp4:80
	for n in 2 3 4 5; do version "$n"; done
	update --keep=1 --image="$D/2.aci"
	expect_status 0
	update --image="$D/3.aci"
	expect_status 0
	[ "$(generations)" = "2 3" ] || fail "$(generations)"
	run_rkt rollback --observe=100ms web
	expect_status 0
	# What was gone back from can be gone to again, until the next update.
	[ "$(generations)" = "2 3" ] || fail "$(generations)"
	update --keep=0 --image="$D/4.aci"
	expect_status 0
	expect_no_output 'kept for rollback'
	update --image="$D/5.aci"
	expect_status 0
	expect_no_output 'kept for rollback'
	[ "$(generations)" = 5 ] || fail "$(generations)"
	update --keep=-1 --image="$D/4.aci"
	expect_status 254
}

# --- on hold ---------------------------------------------------------------------

# sick VERSION...: an app whose servers answer 500 while there is $D/vol/sick,
# from now on; ANNOTATION of all versions.
sick() {
	mkdir -m 777 "$D/vol"
	RUN=("--volume=v,kind=host,source=$D/vol")
	JQ='.app.mountPoints=[{name:"v",path:"/tmp"}] | .annotations+=[
		{name:"rkt.io/update/overlap",value:"'"$1"'"}]'
	serve tcp4:80
	version 2 "$JQ"
	touch "$D/vol/sick"
}

# follow NAME OPTION...: rkt update in the background, until it is on hold.
follow() {
	local name=$1
	shift
	"$RKT" --dir="$D/data" --insecure-options=image update --observe=100ms \
		"$@" web >"$D/$name" 2>&1 &
	last=$!
	loads+=("$last")
	wait_for 20 grep -q 'on hold' "$D/$name"
}

followed() {
	local r=0
	wait "$last" || r=$?
	[ "$r" = "$1" ] || fail "$r: $(cat "$D/$2")"
}

HOLD=(--on-fail=hold --probe=http:/ --ready-timeout=700ms)

@test "restart on hold: the old one serves, the new one is put away, then tries again" {
	sick forbidden
	follow first "${HOLD[@]}" --image="$D/2.aci"
	grep -q 'the new one is put away' "$D/first"
	is_at 1
	[ "$(generations)" = "1 2" ]
	# No rootfs but the old one's runs; and the old one can be reached.
	rm "$D/vol/sick"
	run nsenter --net="/proc/$pid/ns/net" curl -sS http://127.0.0.1/
	expect_output 1
	run_rkt update --resume web
	expect_status 0
	expect_output 'serves by restart'
	is_at 2
	run rkt status web
	expect_no_output update-inside
}

@test "restart on hold: --abort ends it, and what was put away goes" {
	sick forbidden
	follow first "${HOLD[@]}" --image="$D/2.aci"
	follow second --resume
	run rkt update --abort web
	expect_status 0
	followed 10 second
	is_at 1
	[ "$(generations)" = 1 ] || fail "$(generations)"
}

@test "handover on hold: one that ended is put away, and tries again" {
	serve tcp4:80
	version 2
	jq -cn '["--","exit-code","7"]' >"$pod/args/inside"
	follow first --on-fail=hold --image="$D/2.aci"
	grep -q 'the new one is put away' "$D/first"
	[ "$(generations)" = "1 2" ]
	follow second --resume
	run rkt stop web
	expect_status 0
	wait_for 10 pod_is web exited
	followed 10 second
}

@test "several apps on hold: all old ones serve, then all go" {
	mkdir -m 777 "$D/vol"
	B_JQ='.app.mountPoints=[{name:"v",path:"/tmp"}]'
	image_inside "$D/b1.aci" '.app.environment=[{name:"VERSION",value:"1"}]
		| '"$B_JQ" example.com/b 1.0.0
	image_inside "$D/b2.aci" '.app.environment=[{name:"VERSION",value:"2"}]
		| '"$B_JQ" example.com/b 2.0.0
	version 1
	version 2
	detach_inside --net=none --pod-name=web \
		"--volume=v,kind=host,source=$D/vol" "$D/1.aci" -- serve tcp4:80 \
		--- "$D/b1.aci" -- serve tcp4:81
	wait_for 10 pod_logged "$uuid" inside serving=1
	wait_for 10 pod_logged "$uuid" b serving=1
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
	touch "$D/vol/sick"
	# b writes to a volume: restart; inside: handover.
	follow first "${HOLD[@]}" "${BOTH[@]}" --image="$D/2.aci" \
		--image="$D/b2.aci"
	wait_for 10 grep -q 'b: on hold: .*put away' "$D/first"
	wait_for 10 grep -q 'inside: on hold: .*runs on' "$D/first"
	is_at 1
	is_at 1 b
	run nsenter --net="/proc/$pid/ns/net" curl -sS http://127.0.0.1/
	expect_output 1
	rm "$D/vol/sick"
	run_rkt update --resume web
	expect_status 0
	is_at 2
	is_at 2 b
	# And again, to be ended.
	touch "$D/vol/sick"
	follow second "${HOLD[@]}" "${BOTH[@]}" --allow-downgrade \
		--image="$D/1.aci" --image="$D/b1.aci"
	wait_for 10 grep -q 'b: on hold' "$D/second"
	wait_for 10 grep -q 'inside: on hold' "$D/second"
	run rkt update --abort web
	expect_status 0
	followed 10 second
	is_at 2
	is_at 2 b
}

# --- ill -------------------------------------------------------------------------

@test "restart: bad answers end it long before the time is over, 503 does not" {
	serve tcp4:80
	version 2 '.app.environment+=[{name:"STATUS",value:"500 No"}]
		| .annotations+=[{name:"rkt.io/update/retries",value:"2"}]'
	update --strategy=restart --probe=http:/ --ready-timeout=10m \
		--image="$D/2.aci"
	expect_status 10
	expect_output 'it was not well 2 times in a row: it answers GET / with 500'
	is_at 1
	version 3 '.app.environment+=[{name:"STATUS",value:"503 Not yet"}]
		| .annotations+=[{name:"rkt.io/update/retries",value:"1"}]'
	update --strategy=restart --probe=http:/ --ready-timeout=700ms \
		--image="$D/3.aci"
	expect_status 10
	expect_output 'it was not well within 700 ms: it answers GET / with 503'
	is_at 1
}

# --- plans -----------------------------------------------------------------------

# planned JQ COMMAND [OPTION...]: of the plan.
planned() {
	local jq=$1 command=$2
	shift 2
	run --separate-stderr "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image "$command" \
		--plan --format=json "$@" web
	jq -se ".[-1] | $jq" <<<"$output" || fail "$output $stderr"
}

@test "rollback --plan shows what would run again, and changes nothing" {
	serve tcp4:80
	version 2
	planned '.result == "refused" and .code == 11' rollback
	update --image="$D/2.aci"
	expect_status 0
	run_rkt rollback --plan web
	expect_status 0
	expect_output 'generation 2 runs, back to generation 1' \
		'label version: 2.0.0 -> 1.0.0' 'handover  taken' 'it may go'
	[ -z "$(expand <<<"$output" | grep -v '^image: ' | grep '.\{81\}')" ]
	planned '.result == "may go" and .generation == 2 and .to_generation == 1
		and .from.version == "2.0.0" and .to.version == "1.0.0"
		and .tier == "handover"' rollback
	is_at 2
	run_rkt rollback --plan --strategy=patch web
	expect_status 11
	run_rkt rollback --strategy=patch web
	expect_status 11
	expect_output '--strategy=patch does not apply'
	is_at 2
	run_rkt rollback --observe=100ms web
	expect_status 0
	is_at 1
	run rkt stop web
	wait_for 10 pod_is web exited
	planned '.refusals | any(test("only a running pod"))' rollback --generation=2
	expect_status 11
}

@test "the plan knows what the running app allows" {
	version 2
	for forms in "tcp4:80 udp:5353" "abstract:web tcp4:80" "ephemeral"; do
		# shellcheck disable=SC2086 # words
		serve $forms
		case $forms in
		*udp*) why='it has a UDP port' ;;
		abstract*) why='it listens on a unix socket' ;;
		*) why='it listens nowhere' ;;
		esac
		planned '.tier == "restart" and (.tiers[] | select(.tier == "handover")
			| .applies == false and (.reason | startswith("'"$why"'")))' \
			update --image="$D/2.aci"
		expect_status 0
		update --strategy=handover --image="$D/2.aci"
		expect_status 11
		expect_output "--strategy=handover does not apply: $why"
		# What was looked at is as it was.
		planned '.tier == "restart"' update --image="$D/2.aci"
		said '.tier == "restart" and (.note | startswith("'"$why"'"))' \
			--image="$D/2.aci"
		is_at 2
		rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
	done
}

@test "what fails is an object, too, wherever it fails" {
	run --separate-stderr rkt update --format=json nobody
	expect_status 254
	jq -e '.result == "failed" and .code == 254 and (.text | length > 0)' <<<"$output"
	for command in "update --abort" "update --resume" rollback; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr rkt $command --format=json nobody
		expect_status 254
		jq -e '.result == "failed" and .code == 254' <<<"$output"
	done
	run --separate-stderr rkt update --format=json --all web
	expect_status 254
	jq -e '.text | test("--all")' <<<"$output"
	version 1
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80 --- \
		"$D/1.aci" --name=b -- serve tcp4:81
	run --separate-stderr rkt rollback --format=json web
	expect_status 254
	jq -e '.text | test("say which with --app")' <<<"$output"
	run rkt rollback web
	expect_status 254
	expect_no_output '"result"'
}

# --- which version ---------------------------------------------------------------

# build N: version N of tests/inside, a build of 1.2.3, in the store.
build() {
	VERSION_LABEL=1.2.3+deb12u$1 version "$1"
	run_rkt fetch "$D/$1.aci"
	expect_status 0
}

@test "builds of one version: the newer one, and none is older" {
	JQ='.labels |= map(if .name == "version" then .value = "1.2.3+deb12u9" else . end)' \
		serve tcp4:80
	build 8
	update
	expect_status 0
	expect_output 'no higher version is in the store'
	build 10
	# The first import of 8 is older than that of 10, and so is its build.
	update
	expect_status 0
	run rkt status web
	expect_output version-inside=1.2.3+deb12u10
	update
	expect_output 'no higher version'
	# By precedence they are one version: to say which is enough.
	update --to=1.2.3+deb12u8
	expect_status 0
}

@test "what was rolled back is not tried again, but by name" {
	serve tcp4:80
	version 2 '.app.exec=["/inside","exit-code","7"] | .app.eventHandlers=[]'
	jq -cn '["--","exit-code","7"]' >"$pod/args/inside"
	run_rkt fetch "$D/2.aci"
	update
	expect_status 10
	update
	expect_status 0
	expect_output 'example.com/inside 1.0.0 runs; 2.0.0 is held since it was rolled back at 20' \
		--to=2.0.0
	said '.result == "nothing to do" and (.text | test("2.0.0 is held since"))'
	update --latest
	expect_status 0
	expect_output 'is held since'
	update --to=2.0.0
	expect_status 10
	# A higher one is no such thing; but it is when somebody goes back.
	jq -cn '["--","serve","tcp4:80"]' >"$pod/args/inside"
	version 3
	run_rkt fetch "$D/3.aci"
	update
	expect_status 0
	run rkt status web
	expect_output version-inside=3.0.0
	run_rkt rollback --observe=100ms web
	expect_status 0
	update
	expect_status 0
	expect_output '3.0.0 is held since'
	update --image=example.com/inside:3.0.0
	expect_status 0
	run rkt status web
	expect_output version-inside=3.0.0
}

@test "a version is not to blame for a pod that was stopped" {
	serve tcp4:80
	version 2
	run_rkt fetch "$D/2.aci"
	(
		wait_for 10 grep -q SWITCHED "$pod/update.journal"
		rkt stop web
	) &
	loads+=($!)
	run_rkt update --observe=20s web
	expect_status 10
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	update
	expect_status 0
	run rkt status web
	expect_output version-inside=2.0.0
}
