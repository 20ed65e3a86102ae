#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt app: pods whose apps come, start, stop and go while they run (row 47).

load lib
load app

setup_file() {
	mkdir -p "$F"
	TMPDIR=$F image_inside "$F/inside.aci" \
		'.app.environment=[{name:"VERSION",value:"1"}]'
	TMPDIR=$F image_inside "$F/inside2.aci" \
		'.app.environment=[{name:"VERSION",value:"2"}]' \
		example.com/inside 2.0.0
	TMPDIR=$F image_busybox "$F/busybox.aci"
}

setup() {
	setup_test
	run_rkt fetch "$F/inside.aci" "$F/busybox.aci"
	expect_status 0
}

@test "the life of an app in a mutable pod (row 47)" {
	export RKT_EXPERIMENT_APP=true
	sandbox
	run rkt list --full --no-legend
	expect_output "$uuid" running
	jq -e '.apps == [] and (.annotations | any(.name ==
		"coreos.com/rkt/stage1/mutable" and .value == "true"))' \
		<(rkt cat-manifest "$uuid")
	did list
	[ "$output" = $'NAME\tSTATE' ] || [[ $output == NAME*STATE ]]

	did add example.com/inside --name=one -- print-env and sleep 1000
	did list
	expect_output one created
	state_is one created
	did start --app=one
	state_is one running
	wait_for 10 pod_logged "$uuid" one env.VERSION=1
	did status --app=one --format=json
	jq -e '.name == "one" and .state == "running" and
		.created_at > 0 and .started_at >= .created_at' <<<"$output"
	# Again is no failure.
	did start --app=one
	did stop --app=one
	state_is one exited
	did status --app=one
	expect_output name=one state=exited image_id=sha512- created_at= \
		started_at= finished_at= exit_code=143
	did stop --app=one
	did start --app=one
	state_is one running
	did rm --app=one
	did list --no-legend
	[ -z "$output" ]
	nothing_of one
	pod_is "$uuid" running
	run rkt stop "$uuid"
	expect_status 0
	wait_for 10 pod_is "$uuid" exited
}

@test "two apps talk over localhost and share a volume; one that dies is started again" {
	mkdir "$D/shared"
	sandbox
	did add example.com/busybox --name=web \
		--mnt-volume=target=/www,name=www,kind=host,source="$D/shared" \
		--exec=/bin/httpd -- -f -p 127.0.0.1:80 -h /www
	did add example.com/busybox --name=client \
		--mnt-volume=target=/data,name=data,kind=empty \
		--mnt-volume=target=/www,name=www,kind=host,source="$D/shared",readOnly=true \
		-- -c 'until wget -qO- http://127.0.0.1/page; do sleep 0.1; done
			touch /www/x || echo read-only; echo kept >/data/kept
			exit 7'
	echo from-the-other >"$D/shared/page"
	did start --app=client
	did start --app=web
	wait_for 10 state_is client exited
	wait_for 10 pod_logged "$uuid" client from-the-other
	pod_logged "$uuid" client read-only
	did status --app=client
	expect_output exit_code=7 mounts= "$D/shared:/www:(read_only:true)" \
		:/data:
	# Its failure is nobody else's.
	state_is web running
	pod_is "$uuid" running
	did start --app=client
	wait_for 10 state_is client exited
	# Killed, it is started again by hand too.
	kill -9 "$(cat "$pod/generations/web/1/pid")"
	wait_for 10 state_is web exited
	did start --app=web
	state_is web running
	# Another app gets the volume that one has of its own.
	did status --app=web --format=json-pretty
	[ "$(jq -r '.mounts[0].host_path' <<<"$output")" = "$D/shared" ]
}

@test "the pod's volumes: implicit ones, by name, and what is refused" {
	TMPDIR=$D image_busybox "$D/mp.aci" \
		'.app.mountPoints=[{name:"data",path:"/data"}]' example.com/mp
	run_rkt fetch "$D/mp.aci"
	sandbox
	did add example.com/mp --name=one -- -c 'echo x >/data/x; sleep 1000'
	expect_output 'no volume specified for mount point "data"'
	jq -e '.volumes | any(.name == "one-data")' <(rkt cat-manifest "$uuid")
	did add example.com/busybox --name=two \
		--mount=volume=one-data,target=/in -- \
		-c 'until cat /in/x; do sleep 0.1; done; sleep 1000'
	did start --app=one
	did start --app=two
	wait_for 10 pod_logged "$uuid" two x
	refused 'volume "none" not found' add example.com/busybox --name=three \
		--mount=volume=none,target=/in
	refused 'has a volume one-data already' add example.com/busybox \
		--name=three --mnt-volume=target=/in,name=one-data,kind=empty
	refused 'is not target=PATH,name=NAME,kind' add example.com/busybox \
		--name=three --mnt-volume=target=/in,kind=empty
	# Said at add, by the one who would mount it: stage1.
	refused 'at /dev' add example.com/busybox --name=three \
		--mnt-volume=target=/dev,name=dev,kind=empty
	nothing_of three
	did rm --app=one
	# The volume is the pod's.
	[ "$(cat "$pod/sharedVolumes/one-data/x")" = x ]
}

@test "rm and add again under the same name, other arguments, nothing left" {
	sandbox
	local before
	add_one
	did rm --app=one
	nothing_of one
	before=$(find "/proc/$(supervisor)/fd" -mindepth 1 | wc -l)
	for n in 1 2 3 4 5; do
		did add example.com/inside --name=one --environment=N=$n -- \
			print-env and sleep 1000
		did start --app=one
		wait_for 10 pod_logged "$uuid" one env.N=$n
		[ $((n % 2)) = 0 ] || did stop --app=one
		did rm --app=one
		nothing_of one
	done
	[ "$(find "/proc/$(supervisor)/fd" -mindepth 1 | wc -l)" = "$before" ]
	jq -e '.apps == []' <(rkt cat-manifest "$uuid")
	run_rkt app list "$uuid"
	expect_no_output one
}

@test "bad input" {
	local none=12345678-1234-4234-8234-123456789abc
	sandbox
	did add example.com/inside --name=one
	refused 'the pod has already an app one' add example.com/inside --name=one
	refused 'the pod has no app two' start --app=two
	refused 'the pod has no app two' stop --app=two
	refused 'the pod has no app two' rm --app=two
	refused 'the pod has no app ../one' rm --app=../one
	refused 'must provide the app with --app=NAME' start
	refused 'must provide the pod UUID and an IMAGEID' add
	refused 'must give only one app' add example.com/inside example.com/busybox
	refused 'use --mnt-volume' add example.com/inside --name=x \
		--volume=a,kind=empty
	refused 'of a whole pod' add example.com/inside --name=x --port=a:80
	refused 'of a whole pod' add example.com/inside --name=x \
		--secret=s,source=/etc/passwd
	refused '--nonsense' add example.com/inside --name=x --nonsense
	refused 'must follow an image' add --name=x example.com/inside
	refused 'value cannot be empty' add example.com/inside --name=x --exec=
	refused 'example.com/none' add example.com/none
	refused sha512-0000 add sha512-00000000000000000000000000000000
	run_rkt app start --app=one $none
	expect_status 254
	expect_output 'no matches found'
	run_rkt app list $none
	expect_status 1
	run_rkt app status --app=two "$uuid"
	expect_status 1
	expect_output 'cannot find app "two" in the pod'
	run_rkt app status "$uuid"
	expect_status 1
	run_rkt app sandbox "$F/inside.aci"
	expect_status 1
	expect_output 'use rkt app add'
	run_rkt app sandbox --net=none --port=http:tcp:80:0.0.0.0:8080
	expect_status 1
	expect_output "does not work with 'none' networking"
	for port in http:80 http:tcp:80:8080 http:sctp:80:0.0.0.0:80 \
		http:tcp:0:0.0.0.0:80 http:tcp:80:x:80 HTTP:tcp:80:0.0.0.0:80; do
		run_rkt app sandbox --port=$port
		expect_status 254
		expect_output --port
	done
	[ "$(ls "$D/data/pods/run")" = "$uuid" ]
	refused example.com/inside:9.9.9 add example.com/inside:9.9.9 --name=x
	state_is one created
	run rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
	refused "isn't currently running" add example.com/inside --name=x
	refused "isn't currently running" start --app=one
	refused "isn't currently running" rm --app=one
	did list
	expect_output one created
}

@test "a pod that is not mutable says so; its apps are listed" {
	detach_inside --net=none "$F/inside.aci" -- sleep 1000
	pod=$D/data/pods/run/$uuid
	for verb in start stop rm; do
		refused 'immutable pod' $verb --app=inside
	done
	refused 'immutable pod' add example.com/inside --name=x
	did list
	expect_output inside running
	did status --app=inside
	expect_output name=inside state=running
}

@test "a 65th app is refused" {
	sandbox
	for n in $(seq 64); do
		did add example.com/inside --name=app$n -- sleep 1000
	done
	refused 'a pod has at most 64 apps' add example.com/inside --name=more
	[ "$(rkt app list --no-legend "$uuid" | wc -l)" = 64 ]
	did start --app=app64
	state_is app64 running
	did rm --app=app1
	did add example.com/inside --name=more -- sleep 1000
	did start --app=more
	state_is more running
}

@test "what cannot be started says why, and the pod stays" {
	sandbox
	did add example.com/inside --name=one --exec=/none
	refused '/none' start --app=one
	wait_for 10 state_is one exited
	did status --app=one
	expect_output exit_code=203
	did add example.com/inside --name=two --user=nobody2
	refused nobody2 start --app=two
	pod_is "$uuid" running
	did rm --app=one
	add_one
	state_is one running
}

@test "exec, enter, logs, stats, status, list and export work with apps that came" {
	sandbox
	did add example.com/inside --name=two -- sleep 1000
	add_one --user-label=a=b --user-annotation=c=d
	run_rkt app exec --app=one "$uuid" /inside print-ids
	expect_status 0
	run_rkt exec --app=one "$uuid" /inside print-ids
	expect_status 0
	run_rkt enter --app=one "$uuid" /inside print-ids
	expect_status 0
	run_rkt exec --app=two "$uuid" /inside print-ids
	expect_status 254
	run_rkt stats --no-stream "$uuid"
	expect_status 0
	expect_output one
	run_rkt status "$uuid"
	expect_output state=running generation-one=1
	run_rkt list
	expect_output one two running
	did status --app=one
	expect_output user_annotations=c:d user_labels=a:b
	run_rkt logs --app=one "$uuid"
	expect_status 0
	did stop --app=one
	run_rkt exec --app=one "$uuid" /inside print-ids
	expect_status 254
	run rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run_rkt export --app=one "$uuid" "$D/tmp/one.aci"
	expect_status 0
	run "$ACTOOL" validate "$D/tmp/one.aci"
	expect_status 0
}

@test "a restart policy holds until the app is stopped" {
	sandbox
	did add example.com/inside --name=one --restart=always -- exit-code 3
	did start --app=one
	wait_for 10 test -e "$pod/status/one.restarts"
	did stop --app=one
	state_is one exited
	# By itself, or by SIGTERM as it was just on its way.
	[[ $(cat "$pod/status/one") =~ ^(3|143)$ ]]
	did start --app=one
	[ ! -e "$pod/status/one" ]
	wait_for 10 test -e "$pod/status/one.restarts"
	did rm --app=one
	nothing_of one
	pod_is "$uuid" running
}

@test "rkt start brings the sandbox back, with the apps that ran" {
	sandbox
	did add example.com/inside --name=ran -- sleep 1000
	did add example.com/inside --name=failed -- exit-code 5
	did add example.com/inside --name=stopped -- sleep 1000
	did add example.com/inside --name=created -- sleep 1000
	did start --app=ran
	did start --app=failed
	did start --app=stopped
	did stop --app=stopped
	wait_for 10 state_is failed exited
	run rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
	# What a killed command left goes with it.
	mkdir -p "$pod/generations/ghost/1"
	touch "$pod/args/ghost"
	run_rkt start --detach "$uuid"
	expect_status 0
	state_is ran running
	state_is stopped created
	state_is created created
	wait_for 10 state_is failed exited
	pod_is "$uuid" running
	nothing_of ghost
	did start --app=created
	did start --app=stopped
	did rm --app=ran
	state_is stopped running
	run rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
}

@test "a sandbox in the foreground ends with 0, whatever its apps did" {
	"$RKT" --dir="$D/data" app sandbox --net=none \
		--uuid-file-save="$D/uuid" \
		--hostname=box --annotation=example.com/k=v \
		--user-annotation=ua=1 --user-label=ul=2 3>&- &
	local sandbox=$!
	wait_for 10 test -s "$D/uuid"
	uuid=$(cat "$D/uuid")
	run_rkt status --wait-ready=10s "$uuid"
	expect_status 0
	run_rkt app add --uuid-file="$D/uuid" example.com/inside --name=one -- \
		exit-code 9
	expect_status 0
	run_rkt app start --app=one --uuid-file="$D/uuid"
	expect_status 0
	wait_for 10 state_is one exited
	jq -e '(.annotations | any(.name == "example.com/k" and .value == "v")) and
		.userAnnotations == {ua: "1"} and .userLabels == {ul: "2"}' \
		<(rkt cat-manifest "$uuid")
	kill -TERM $sandbox
	local code=0
	wait $sandbox || code=$?
	[ $code = 0 ]
	pod_is "$uuid" exited
}

@test "copies instead of overlays" {
	sandbox --no-overlay
	add_one
	[ -d "$pod/generations/one/1/rootfs" ]
	[ ! -e "$pod/generations/one/1/upper" ]
	did stop --app=one
	did start --app=one
	state_is one running
	did rm --app=one
	nothing_of one
}

@test "an app that came is updated and rolled back live" {
	sandbox
	run_rkt fetch "$F/inside2.aci"
	did add example.com/inside:1.0.0 --name=one -- print-env and \
		serve tcp4:80
	did start --app=one
	wait_for 10 pod_logged "$uuid" one serving=1
	run_rkt update --app=one --observe=100ms --image="$F/inside2.aci" "$uuid"
	expect_status 0
	expect_output COMMITTED
	pod_logged "$uuid" one env.VERSION=2
	run_rkt status "$uuid"
	expect_output generation-one=2
	run_rkt rollback --app=one --observe=100ms "$uuid"
	expect_status 0
	did stop --app=one
	did start --app=one
	state_is one running
	# It does not run: nothing to update.
	did stop --app=one
	run_rkt update --app=one --image="$F/inside2.aci" "$uuid"
	expect_status 11
	did rm --app=one
	nothing_of one
	# Numbers go on: what runs is never mistaken for what ran.
	did add example.com/inside:1.0.0 --name=one
	[ "$(ls "$pod/generations/one")" = 3 ]
}

@test "no update while an app is being stopped, though nobody waits for that" {
	local asker
	sandbox
	run_rkt fetch "$F/inside2.aci"
	did add example.com/inside:1.0.0 --name=one -- ignore-term and \
		sleep 1000
	did start --app=one
	"$RKT" --dir="$D/data" app stop --app=one "$uuid" 3>&- &
	asker=$!
	wait_for 10 test -e "$pod/idle/one"
	kill -9 "$asker"
	run_rkt update --app=one --image="$F/inside2.aci" "$uuid"
	expect_status 11
	expect_output 'app one is being started, stopped or removed'
}

begun() {
	[ "$(grep -c 'cwd=' "$pod/logs/one")" = "$1" ]
}

@test "an app whose pre-start does not end can be stopped and removed" {
	local asker n=0
	TMPDIR=$D image_inside "$D/stuck.aci" \
		'.app.eventHandlers=[{name:"pre-start",exec:["/inside",
			"print-cwd","and","sleep","1000"]}]' example.com/stuck
	run_rkt fetch "$D/stuck.aci"
	sandbox
	did add example.com/stuck --name=one -- sleep 1000
	for verb in stop rm; do
		n=$((n + 1))
		"$RKT" --dir="$D/data" app start --app=one "$uuid" 3>&- &
		asker=$!
		wait_for 10 begun "$n"
		kill -9 "$asker"
		did $verb --app=one
	done
	nothing_of one
}

@test "another stage1 goes on with apps that run, ended and wait" {
	mkdir -p "$F/next/bin" "$F/next/libexec/rkt"
	cp "$BUILD/bin/rkt" "$F/next/bin/rkt"
	cp "$BUILD"/libexec/rkt/* "$F/next/libexec/rkt/"
	cp --remove-destination "$BUILD/tests/stage1-next" \
		"$F/next/libexec/rkt/stage1"
	sandbox
	add_one
	did add example.com/inside --name=two -- exit-code 4
	did add example.com/inside --name=three -- sleep 1000
	did start --app=two
	wait_for 10 state_is two exited
	run "$F/next/bin/rkt" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" update --runtime "$uuid"
	expect_status 0
	expect_output 'went on as stage1'
	state_is one running
	did start --app=two
	did start --app=three
	state_is three running
	did stop --app=one
	did start --app=one
	did rm --app=one
	did rm --app=two
	did rm --app=three
	nothing_of three
	pod_is "$uuid" running
}

@test "commands at the same time wait for one another" {
	sandbox
	local pids=()
	for n in 1 2 3 4; do
		rkt app add "$uuid" example.com/inside --name=app$n -- \
			sleep 1000 3>&- &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	pids=()
	for n in 1 2 3 4; do
		rkt app start --app=app$n "$uuid" 3>&- &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	[ "$(rkt app list --no-legend "$uuid" | grep -c running)" = 4 ]
}

@test "nginx and redis come to one pod; nginx is updated live" {
	local page=()
	"$TESTS/images/build-images.sh" "$F" nginx-1 nginx-2 redis >&2
	run_rkt fetch "$F/nginx-1.aci" "$F/redis.aci"
	expect_status 0
	sandbox
	did add example.com/nginx --name=web
	did add example.com/redis --name=store
	did start --app=web
	did start --app=store
	page=(nsenter "--net=/proc/$(cat "$pod/pid")/ns/net")
	wait_for 10 "${page[@]}" curl -sSf http://127.0.0.1/version
	wait_for 10 "${page[@]}" redis-cli ping
	[ "$("${page[@]}" redis-cli set key value)" = OK ]
	run_rkt update --app=web --observe=100ms --image="$F/nginx-2.aci" "$uuid"
	expect_status 0
	[ "$("${page[@]}" curl -sSf http://127.0.0.1/version)" = 2.0.0 ]
	did stop --app=web
	[ "$("${page[@]}" redis-cli get key)" = value ]
	did start --app=web
	wait_for 10 "${page[@]}" curl -sSf http://127.0.0.1/version
	did rm --app=web
	nothing_of web
}
