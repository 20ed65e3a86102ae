#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt api-service: gRPC's own library asks it, and Prometheus' own parser reads
# its metrics.
# shellcheck disable=SC2154 # status, output come from bats

load lib
load app

# Debian's, which has the two libraries.
PYTHON=/usr/bin/python3
PROTO=$RKT_TEST_DIR/proto
AT=127.0.0.1:15441

setup_file() {
	mkdir -p "$F" "$PROTO"
	protoc -I "$TESTS/../spec/api/v1alpha" --python_out="$PROTO" api.proto
	image_inside "$F/inside.aci" '.annotations=[{name:"a", value:"b"}]'
	"$TESTS/images/build-images.sh" "$F" busybox >&2
}

# The data directory is where nobody may go.
setup() {
	D=/run/api-$BATS_TEST_NUMBER
	setup_test
	RKT_ARGS=(--dir="$D/data" --local-config="$D/local"
		--system-config="$D/system" --insecure-options=image)
	SERVICE=
	LISTENER=
}

teardown() {
	[ -z "$LISTENER" ] || { kill "$LISTENER" 2>/dev/null || true; }
	service_end
	teardown_test
}

# service [ARG...]: runs until service_end, its log in $D/service.
service() {
	"$RKT" "${RKT_ARGS[@]}" api-service "$@" 2>"$D/service" 3>&- &
	SERVICE=$!
	wait_for 20 is_listening
}

is_listening() {
	(exec 9<>/dev/tcp/127.0.0.1/15441) 2>/dev/null ||
		[ -S "$D/api.sock" ] || [ ! -d "/proc/$SERVICE" ]
}

service_end() {
	[ -n "$SERVICE" ] || return 0
	kill "$SERVICE" 2>/dev/null || true
	wait "$SERVICE" || true
	SERVICE=
}

# api METHOD [REQUEST [FLAG...]]: bats `run` of the client.
api() {
	run "$PYTHON" "$TESTS/cli/api.py" "$PROTO" "$AT" "$@"
}

# listen METHOD REQUEST: the same in the background, its answers in $D/heard,
# from when the service has taken the call.
listen() {
	"$PYTHON" "$TESTS/cli/api.py" "$PROTO" "$AT" "$1" "$2" \
		--ready="$D/ready" >"$D/heard" 2>&1 3>&- &
	LISTENER=$!
	wait_for 30 test -e "$D/ready"
}

# heard TYPE FROM: an event of that kind.
heard() {
	jq -se --arg t "EVENT_TYPE_$1" --arg f "$2" \
		'any(.[].events[]; .type == $t and .from == $f)' \
		"$D/heard" >/dev/null 2>&1
}

expect_heard() {
	wait_for 30 heard "$@" || fail "$* is not in $(cat "$D/heard"); log: $(cat "$D/service")"
}

# json FILTER: of the output, compact.
json() {
	jq -c "$1" <<<"$output"
}

@test "(row 51) a gRPC client asks for versions, pods and images" {
	service
	api GetInfo
	expect_status 0
	[ "$(json '.info | [.appc_version, .api_version]')" = \
		'["0.8.11","1.0.0-alpha"]' ] || fail "$output"
	[ "$(json .info.rkt_version)" = \
		"\"$(rkt version | sed -n 's/^rkt Version: //p')\"" ]
	[ "$(json '.info.global_flags | [.dir, .insecure_flags]')" = \
		"[\"$D/data\",\"image\"]" ] || fail "$output"
	api ListPods
	[ "$output" = '{}' ] || fail "$output"
	api ListImages
	[ "$output" = '{}' ] || fail "$output"

	detach_inside --net=none "$F/inside.aci" -- sleep 600
	api ListPods
	expect_status 0
	[ "$(json '.pods | map([.id, .state, .apps[0].name, .apps[0].state])')" = \
		"[[\"$uuid\",\"POD_STATE_RUNNING\",\"inside\",null]]" ] || fail "$output"
	[ "$(json '.pods[0].pid')" = "$(cat "$D/data/pods/run/$uuid/pid")" ]
	[ "$(json '.pods[0].manifest')" = null ]
	cgroup=$(json '.pods[0].cgroup' | tr -d '"')
	grep -q "$cgroup\$" "$D/data/pods/run/$uuid/cgroup" || fail "$cgroup"
	for id in "$uuid" "${uuid:0:8}"; do
		api InspectPod "{\"id\": \"$id\"}"
		expect_status 0
		[ "$(json '.pod.apps[0] | [.state, .image.name, .image.version]')" = \
			'["APP_STATE_RUNNING","example.com/inside","1.0.0"]' ] ||
			fail "$output"
	done
	json '.pod.manifest' | tr -d '"' | base64 -d | jq -e \
		'.acKind == "PodManifest" and .apps[0].name == "inside"'
	json '.pod.apps[0].image.manifest' | tr -d '"' | base64 -d | jq -e \
		'.name == "example.com/inside"'

	api ListImages '{"detail": true}'
	id=$(json '.images[0].id' | tr -d '"')
	[ "$id" = "$(rkt image list --full --no-legend --fields=id)" ] ||
		fail "$output"
	[ "$(json '.images | map([.name, .version, .base_format.type])')" = \
		'[["example.com/inside","1.0.0","IMAGE_TYPE_APPC"]]' ]
	[ "$(json '.images[0].annotations')" = '[{"Key":"a","value":"b"}]' ]
	for prefix in "$id" "${id:0:20}"; do
		api InspectImage "{\"id\": \"$prefix\"}"
		expect_status 0
		[ "$(json .image.id)" = "\"$id\"" ] || fail "$output"
	done

	rkt stop "$uuid"
	wait_for 20 pod_is "$uuid" exited
	api InspectPod "{\"id\": \"$uuid\"}"
	[ "$(json '.pod | [.state, .apps[0].state, .cgroup]')" = \
		'["POD_STATE_EXITED","APP_STATE_EXITED",null]' ] || fail "$output"
}

@test "(row 51) pods and images by filters" {
	service
	detach_inside --net=none "$F/inside.aci" --name=one -- sleep 600
	first=$uuid
	rkt --insecure-options=image prepare "$F/inside.aci" --name=two -- sleep 1
	image=$(rkt image list --full --no-legend --fields=id)
	api ListPods
	cgroup=$(json '[.pods[].cgroup | select(.)][0]' | tr -d '"')
	cat >"$D/pods" <<-END
		one,two {}
		one {"ids":["$first"]}
		one,two {"ids":["$first"]},{"app_names":["two"]}
		one {"states":["POD_STATE_RUNNING","POD_STATE_EXITED"]}
		two {"states":["POD_STATE_PREPARED"]}
		none {"states":["POD_STATE_GARBAGE"]}
		none {"app_names":["one","two"]}
		one,two {"image_ids":["$image"]}
		none {"network_names":["default"]}
		one,two {"annotations":[{"Key":"coreos.com/rkt/stage1/mutable","value":"false"}]}
		none {"annotations":[{"Key":"coreos.com/rkt/stage1/mutable","value":"x"}]}
		one {"cgroups":["$cgroup"]}
		none {"cgroups":["${cgroup%/*}"]}
		one {"pod_sub_cgroups":["$cgroup/x/y"]}
	END
	cat >"$D/images" <<-END
		inside {"ids":["$image"]}
		inside {"prefixes":["example."]}
		inside {"base_names":["inside"]}
		none {"base_names":["example.com"]}
		inside {"keywords":["com/in"]}
		inside {"full_names":["example.com/inside"]}
		inside {"labels":[{"Key":"version","value":"1.0.0"}]}
		none {"labels":[{"Key":"version","value":"2"}]}
		none {"imported_before":1000}
		inside {"imported_after":1000}
	END
	cut -d' ' -f1 "$D/pods" "$D/images" >"$D/expected"
	{
		sed 's/^[^ ]* \(.*\)/ListPods {"filters":[\1]}/' "$D/pods"
		sed 's/^[^ ]* \(.*\)/ListImages {"filters":[\1]}/' "$D/images"
	} >"$D/requests"
	api - <"$D/requests"
	expect_status 0
	jq -r '[.pods[]?.apps[0].name, (.images[]?.name | sub(".*/"; ""))]
		| sort | join(",") | if . == "" then "none" else . end' \
		<<<"$output" >"$D/got"
	diff "$D/expected" "$D/got" || fail "$output"
}

@test "events of pods, apps and images come as they happen" {
	service
	listen ListenEvents '{}'
	rkt --insecure-options=image fetch "$F/inside.aci"
	expect_heard IMAGE_IMPORTED example.com/inside
	uuid=$(rkt --insecure-options=image prepare "$F/inside.aci" \
		-- exit-code 7)
	expect_heard POD_PREPARED "$uuid"
	run_rkt run-prepared --net=none "$uuid"
	expect_status 7
	for event in POD_STARTED POD_EXITED; do
		expect_heard "$event" "$uuid"
	done
	for event in APP_STARTED APP_EXITED; do
		expect_heard "$event" inside
	done
	jq -se 'map(.events[]) | map(select(.type == "EVENT_TYPE_APP_EXITED"))[0].data
		== [{Key: "exit_code", value: "7"}]' "$D/heard" ||
		fail "$(cat "$D/heard")"
	rkt gc --grace-period=0s
	expect_heard POD_GARBAGE_COLLECTED "$uuid"
	rkt image rm example.com/inside
	expect_heard IMAGE_REMOVED example.com/inside
	# Each of them once, in that order.
	run jq -rs 'map(.events[].type | ltrimstr("EVENT_TYPE_")) | join(" ")' \
		"$D/heard"
	[ "$output" = "IMAGE_IMPORTED POD_PREPARED POD_STARTED APP_STARTED APP_EXITED POD_EXITED POD_GARBAGE_COLLECTED IMAGE_REMOVED" ] ||
		fail "$output"
	# They are remembered, for who asks for the past.
	api ListenEvents '{"filter": {"since_time": 1, "types": ["EVENT_TYPE_POD_STARTED"]}}' \
		--first=1
	expect_status 0
	expect_output "$uuid"
	# And until a time that is over nothing comes.
	api ListenEvents '{"filter": {"until_time": 1}}'
	expect_status 0
	[ -z "$output" ] || fail "$output"
}

@test "events: a kill -9, another run of a named pod, an app its policy restarts" {
	service
	listen ListenEvents '{"filter": {"types": ["EVENT_TYPE_POD_STARTED", "EVENT_TYPE_POD_EXITED"]}}'
	detach_inside --net=none --pod-name=web "$F/inside.aci" -- sleep 600
	expect_heard POD_STARTED web
	kill -9 "$(awk '/^PPid/ { print $2 }' \
		"/proc/$(cat "$D/data/pods/run/$uuid/pid")/status")"
	expect_heard POD_EXITED web
	kill "$LISTENER"
	command rm "$D/ready"
	listen ListenEvents '{"filter": {"types": ["EVENT_TYPE_POD_STARTED"]}}'
	rkt start --detach web
	expect_heard POD_STARTED web
	kill "$LISTENER"
	command rm "$D/ready"
	listen ListenEvents '{"filter": {"types": ["EVENT_TYPE_APP_EXITED"]}}'
	image_inside "$D/again.aci" \
		'.app.exec=["/inside","exit-code","3"] | .annotations=[{name:"rkt.io/restart", value:"on-failure"}]' \
		example.com/again
	detach_inside --net=none "$D/again.aci"
	expect_heard APP_EXITED again
}

# heard_all: types and names of what was heard, in order
heard_all() {
	jq -rs 'map(.events[] | (.type | ltrimstr("EVENT_TYPE_")) + ":" + .from)
		| join(" ")' "$D/heard"
}

# app_times NAME: of the running pod
app_times() {
	rkt app status "$uuid" --app="$1" --format=json |
		jq -c '[.created_at, .started_at // 0, .state]'
}

@test "events and states of a mutable pod: apps that come, stop, start and go" {
	local created first second
	service
	sandbox
	rkt --insecure-options=image fetch "$F/inside.aci"
	listen ListenEvents \
		'{"filter": {"types": ["EVENT_TYPE_APP_STARTED", "EVENT_TYPE_APP_EXITED"]}}'
	did add example.com/inside --name=one -- sleep 1000
	api InspectPod "{\"id\": \"$uuid\"}"
	[ "$(json '.pod.apps | map([.name, .state])')" = '[["one",null]]' ] ||
		fail "$output"
	created=$(app_times one)
	did start --app=one
	expect_heard APP_STARTED one
	first=$(app_times one)
	api InspectPod "{\"id\": \"$uuid\"}"
	[ "$(json '.pod.apps[0].state')" = '"APP_STATE_RUNNING"' ] ||
		fail "$output"
	did stop --app=one
	expect_heard APP_EXITED one
	api InspectPod "{\"id\": \"$uuid\"}"
	[ "$(json '.pod.apps[0] | [.state, .exit_code]')" = \
		'["APP_STATE_EXITED",143]' ] || fail "$output"
	did start --app=one
	wait_for 30 bash -c "[ \$(grep -c APP_STARTED '$D/heard') = 2 ]"
	second=$(app_times one)
	api InspectPod "{\"id\": \"$uuid\"}"
	[ "$(json '.pod.apps[0] | [.state, .exit_code]')" = \
		'["APP_STATE_RUNNING",null]' ] || fail "$output"
	# It was added once, and started twice.
	jq -e --argjson created "$created" --argjson first "$first" '
		.[0] == $created[0] and .[0] == $first[0] and
		$created[1:] == [0, "created"] and
		.[1] > $first[1] and $first[1] >= .[0] and
		.[2] == "running"' <<<"$second" ||
		fail "$created $first $second"
	did rm --app=one
	api InspectPod "{\"id\": \"$uuid\"}"
	[ "$(json '.pod.apps // []')" = '[]' ] || fail "$output"
	# Another one of that name.
	did add example.com/inside --name=one -- exit-code 5
	did start --app=one
	wait_for 30 bash -c "[ \$(grep -c APP_EXITED '$D/heard') = 3 ]"
	[ "$(heard_all)" = "APP_STARTED:one APP_EXITED:one APP_STARTED:one APP_EXITED:one APP_STARTED:one APP_EXITED:one" ] ||
		fail "$(heard_all)"
}

@test "logs: all lines, the last ones, one app's, those of a time" {
	service
	# shellcheck disable=SC2016 # it is the app's shell
	run_rkt run --net=none --uuid-file-save="$D/uuid" \
		"$F/busybox.aci" --name=one --exec=/bin/busybox -- sh -c \
		'echo a; echo b; printf "c\\377\\n"; echo d >&2' --- \
		"$F/busybox.aci" --name=two --exec=/bin/busybox -- sh -c 'echo other'
	expect_status 0
	uuid=$(cat "$D/uuid")
	api GetLogs "{\"pod_id\": \"$uuid\"}"
	expect_status 0
	[ "$(jq -s 'map(.lines[]) | length' <<<"$output")" = 5 ] || fail "$output"
	api GetLogs "{\"pod_id\": \"$uuid\", \"app_name\": \"one\", \"lines\": 2}"
	[ "$(jq -rs 'map(.lines[] | sub("^.*] "; "")) | join("|")' <<<"$output")" = \
		'one: c�|one: d' ] || fail "$output"
	api GetLogs "{\"pod_id\": \"$uuid\", \"since_time\": 1, \"until_time\": 2}"
	expect_status 0
	[ -z "$output" ] || fail "$output"
	api GetLogs "{\"pod_id\": \"$uuid\", \"since_time\": 1, \"app_name\": \"two\"}"
	expect_output 'two: other'
	api GetLogs "{\"pod_id\": \"$uuid\", \"app_name\": \"three\"}"
	[ "$status" = 1 ]
	expect_output "NOT_FOUND: pod $uuid has no app three"
}

@test "logs are followed until the pod exits" {
	service
	mkfifo "$D/go"
	detach_inside --net=none --volume=go,kind=host,source="$D/go" \
		"$F/busybox.aci" --mount=volume=go,target=/go --exec=/bin/busybox \
		-- sh -c 'echo first; cat /go; echo last'
	listen GetLogs "{\"pod_id\": \"$uuid\", \"follow\": true}"
	wait_for 20 grep -q 'busybox: first' "$D/heard"
	echo second >"$D/go"
	wait_for 20 grep -q 'busybox: last' "$D/heard"
	wait_for 20 test ! -d "/proc/$LISTENER"
	wait "$LISTENER"
	[ "$(jq -rs 'map(.lines[] | sub("^.*] "; "")) | join("|")' "$D/heard")" = \
		'busybox: first|busybox: second|busybox: last' ] ||
		fail "$(cat "$D/heard")"
}

@test "a large log comes whole, however slowly it is taken" {
	service
	run_rkt run --net=none --uuid-file-save="$D/uuid" "$F/busybox.aci" \
		--exec=/bin/busybox -- seq 1 30000 >/dev/null
	expect_status 0
	api GetLogs "{\"pod_id\": \"$(cat "$D/uuid")\"}" >/dev/null
	expect_status 0
	[ "$(jq -rs 'map(.lines[] | sub("^.*: "; "")) | join(" ")' <<<"$output" |
		tr ' ' '\n' | cmp - <(seq 1 30000) && echo same)" = same ]
}

@test "the service is nobody, in the group of its directory, and may do nothing" {
	chgrp 64001 "$D/data"
	chmod 2750 "$D/data"
	service --metrics-listen=localhost:15442
	run cat "/proc/$SERVICE/status"
	for line in 'Uid:	65534	65534	65534	65534' \
		'Gid:	64001	64001	64001	64001' \
		'CapEff:	0000000000000000' 'CapPrm:	0000000000000000' \
		'CapBnd:	0000000000000000' 'NoNewPrivs:	1' 'Seccomp:	2' \
		'Threads:	1'; do
		grep -qx "$line" <<<"$output" || fail "$line: $output"
	done
	# What it may read it does read.
	detach_inside --net=none "$F/inside.aci" -- sleep 600
	api ListPods
	expect_output "$uuid"
	api ListImages
	expect_output example.com/inside
	kill "$SERVICE"
	wait "$SERVICE"
	SERVICE=
	# So may a member of the group, who needs no root for it.
	setpriv --reuid=65001 --regid=64001 --clear-groups "$RKT" \
		"${RKT_ARGS[@]}" api-service 2>"$D/service" 3>&- &
	SERVICE=$!
	wait_for 20 is_listening
	api ListPods
	expect_output "$uuid"
}

@test "metrics are what Prometheus reads" {
	service --metrics-listen=localhost:15442
	detach_inside --net=none --pod-name=web "$F/inside.aci" --name=app \
		--memory=100Mi -- sleep 600
	curl -sf -D "$D/headers" http://localhost:15442/metrics >"$D/metrics"
	grep -qi '^content-type: text/plain; version=0.0.4' "$D/headers"
	"$PYTHON" - "$D/metrics" "$uuid" <<-'END'
		import sys
		from prometheus_client.parser import text_string_to_metric_families
		text = open(sys.argv[1]).read()
		families = {f.name: f for f in text_string_to_metric_families(text)}
		def value(name, **labels):
		    base = name[:-6] if name.endswith("_total") else name
		    for s in families[base].samples:
		        if s.name == name and labels.items() <= s.labels.items():
		            return s.value
		    raise SystemExit(f"no {name} {labels}: {text}")
		app = dict(pod=sys.argv[2], pod_name="web", app="app",
		           image="example.com/inside:1.0.0")
		assert value("rkt_pods", state="running") == 1
		assert value("rkt_pods", state="exited") == 0
		assert value("rkt_images") == 1
		assert value("rkt_image_store_bytes") > 0
		assert value("rkt_app_cpu_seconds_total", **app) >= 0
		assert value("rkt_app_memory_bytes", **app) > 0
		assert value("rkt_app_tasks", **app) == 1
		assert value("rkt_app_processes", **app) == 1
		assert value("rkt_app_restarts_total", **app) == 0
		assert value("rkt_app_updates_total", **app) == 0
		assert value("rkt_app_rollbacks_total", **app) == 0
		assert value("rkt_app_generation", **app) == 1
		assert value("rkt_app_start_time_seconds", **app) > 1e9
		for f in families.values():
		    assert f.documentation and f.type in ("gauge", "counter"), f
	END
	[ "$(curl -s -o /dev/null -w '%{http_code}' http://localhost:15442/)" = 404 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST \
		http://localhost:15442/metrics)" = 405 ]
	rkt stop "$uuid"
	wait_for 20 pod_is "$uuid" exited
	run curl -sf http://localhost:15442/metrics
	expect_output 'rkt_pods{state="exited"} 1'
	expect_no_output rkt_app_
}

@test "metrics count updates, and those that went back" {
	service --metrics-listen=localhost:15442
	image_inside "$D/2.aci" . example.com/inside 2.0.0
	detach_inside --net=none --pod-name=web "$F/inside.aci" -- sleep 600
	run_rkt update web --image="$D/2.aci"
	expect_status 0
	run_rkt rollback web
	expect_status 0
	run curl -sf http://localhost:15442/metrics
	expect_output 'rkt_app_updates_total{' 'rkt_app_rollbacks_total{'
	grep -q '^rkt_app_updates_total{.*} 2$' <<<"$output" || fail "$output"
	grep -q '^rkt_app_rollbacks_total{.*} 1$' <<<"$output" || fail "$output"
}

@test "what is no call: garbage, HTTP/1.1, unknown methods, messages too large" {
	service
	head -c 100000 /dev/urandom >"$D/garbage"
	for _ in 1 2 3; do
		timeout 20 bash -c 'exec 9<>/dev/tcp/127.0.0.1/15441
			cat "$1" >&9; cat <&9' sh "$D/garbage" >/dev/null 2>&1 || true
	done
	run timeout 20 curl -s --http1.1 "http://$AT/"
	[ "$status" != 0 ] && [ "$status" != 124 ]
	run timeout 20 curl -s -o /dev/null -w '%{http_code}' \
		--http2-prior-knowledge "http://$AT/v1alpha.PublicAPI/GetInfo"
	[ "$output" = 405 ] || fail "$output"
	run timeout 20 curl -s -o /dev/null -w '%{http_code}' \
		--http2-prior-knowledge -d x "http://$AT/v1alpha.PublicAPI/GetInfo"
	[ "$output" = 415 ] || fail "$output"
	# call PATH FILE: the status of gRPC.
	call() {
		timeout 20 curl -s -D - -o /dev/null --http2-prior-knowledge \
			-H 'content-type: application/grpc' -H 'te: trailers' \
			--data-binary "@$2" "http://$AT$1" | tr -d '\r' |
			sed -n 's/^grpc-status: //p'
	}
	printf '\0\0\0\0\0' >"$D/empty"
	[ "$(call /v1alpha.PublicAPI/GetInfo "$D/empty")" = 0 ]
	[ "$(call /v1alpha.PublicAPI/GetNothing "$D/empty")" = 12 ]
	printf '\1\0\0\0\0' >"$D/compressed"
	[ "$(call /v1alpha.PublicAPI/ListPods "$D/compressed")" = 12 ]
	printf '\0\0\0\0\5\n\5\n\t\0' >"$D/cut"
	[ "$(call /v1alpha.PublicAPI/ListPods "$D/cut")" = 3 ]
	printf '\0\0\0\0\1' >"$D/short"
	[ "$(call /v1alpha.PublicAPI/ListPods "$D/short")" = 3 ]
	: >"$D/nothing"
	[ "$(call /v1alpha.PublicAPI/ListPods "$D/nothing")" = 3 ]
	head -c 100000 /dev/zero >"$D/large"
	[ "$(call /v1alpha.PublicAPI/ListPods "$D/large")" = 8 ]
	api InspectPod '{"id": "nobody"}'
	expect_output 'NOT_FOUND: no matches found for "nobody"'
	api InspectPod '{"id": ""}'
	[ "$status" = 1 ]
	api InspectImage '{"id": "sha512-abcdef"}'
	expect_output NOT_FOUND
	api InspectImage '{"id": "abc"}'
	expect_output INVALID_ARGUMENT
	api GetInfo
	expect_status 0
}

@test "the longest time there is for a call is no short one" {
	service
	local out=$D/headers
	# timed SECONDS TIME: what a call has said by then
	timed() {
		printf '\0\0\0\0\0' | timeout "$1" curl -s -D - -o /dev/null \
			--http2-prior-knowledge -H 'te: trailers' \
			-H 'content-type: application/grpc' \
			-H "grpc-timeout: $2" --data-binary @- \
			"http://$AT/v1alpha.PublicAPI/ListenEvents" >"$out"
	}
	timed 20 1m
	grep -q '^grpc-status: 4' "$out"
	rm "$out"
	timed 8 99999999H 3>&- &
	wait_for 20 grep -qs '^HTTP/2 200' "$out"
	api GetInfo
	expect_status 0
	! wait $! || fail "it is over"
	! grep grpc-status "$out" || fail "it ended"
}

@test "clients that say nothing are ended, the others do not wait for them" {
	service
	for _ in $(seq 300); do
		exec {fd}<>/dev/tcp/127.0.0.1/15441
		fds+=("$fd")
	done
	# 256 of them are taken, and ended after ten seconds.
	api GetInfo '{}' --timeout=60
	expect_status 0
	for fd in "${fds[@]}"; do exec {fd}>&-; done
}

@test "clients that take nothing by HTTP/2's windows are ended" {
	service
	api GetInfo
	expect_status 0
	# 512 calls: all there may be.
	"$PYTHON" "$TESTS/cli/http2.py" "$AT" 8 64 "$D/full" 3>&- &
	LISTENER=$!
	wait_for 20 test -e "$D/full"
	api GetInfo
	[ "$status" = 1 ]
	wait "$LISTENER"
	api GetInfo
	expect_status 0
	LISTENER=
}

@test "a thousand calls while pods come and go" {
	service
	detach_inside --net=none "$F/inside.aci" -- sleep 600
	"$PYTHON" - "$PROTO" "$AT" >"$D/calls" 2>&1 3>&- <<-'END' &
		import sys
		sys.path.insert(0, sys.argv[1])
		import api_pb2, grpc
		c = grpc.insecure_channel(sys.argv[2])
		call = {m: c.unary_unary("/v1alpha.PublicAPI/" + m,
		    request_serializer=lambda r: r.SerializeToString(),
		    response_deserializer=getattr(api_pb2, m + "Response").FromString)
		    for m in ("ListPods", "InspectPod", "ListImages")}
		seen = set()
		for _ in range(250):
		    pods = call["ListPods"](api_pb2.ListPodsRequest(detail=True)).pods
		    call["ListImages"](api_pb2.ListImagesRequest(detail=True))
		    for pod in list(pods)[:2]:
		        seen.add(pod.id)
		        try:
		            call["InspectPod"](api_pb2.InspectPodRequest(id=pod.id))
		        except grpc.RpcError as e:
		            assert e.code() == grpc.StatusCode.NOT_FOUND, e
		print("calls done", len(seen))
	END
	calls=$!
	for _ in 1 2 3 4; do
		run_rkt run --net=none "$F/inside.aci" -- exit-code 0
		expect_status 0
		rkt gc --grace-period=0s >/dev/null
	done
	wait "$calls" || fail "$(cat "$D/calls")"
	grep -q 'calls done' "$D/calls" || fail "$(cat "$D/calls")"
	[ -d "/proc/$SERVICE" ] || fail "$(cat "$D/service")"
	# What was opened for them is closed.
	run find "/proc/$SERVICE/fd" -type l
	[ "${#lines[@]}" -lt 40 ] || fail "$(ls -l "/proc/$SERVICE/fd")"
}

@test "a socket of the file system, for the group; sockets that are given" {
	service --listen="unix:$D/api.sock"
	AT=unix:$D/api.sock
	api GetInfo
	expect_status 0
	[ "$(stat -c %a "$D/api.sock")" = 660 ]
	run_rkt api-service --listen="unix:$D/api.sock"
	expect_status 254
	expect_output "is in use"
	service_end
	service --listen="unix:$D/api.sock" # what was left is in nobody's way
	api GetInfo
	expect_status 0
	service_end
	"$PYTHON" - "$RKT" "${RKT_ARGS[@]}" 2>"$D/service" 3>&- <<-'END' &
		import os, socket, sys
		s = socket.socket()
		s.bind(("127.0.0.1", 15555))
		s.listen()
		if s.fileno() != 3:
		    os.dup2(s.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
		os.execv(sys.argv[1], sys.argv[1:] + ["api-service"])
	END
	SERVICE=$!
	AT=127.0.0.1:15555
	wait_for 20 given_answers
}

given_answers() {
	"$PYTHON" "$TESTS/cli/api.py" "$PROTO" "$AT" GetInfo --timeout=5 \
		>/dev/null 2>&1
}

@test "addresses: every form, and what is none" {
	for address in :15441 '0.0.0.0:15441' localhost:15441; do
		service --listen="$address"
		api GetInfo
		expect_status 0
		service_end
	done
	if host_has ipv6; then
		service --listen=localhost:15441
		AT='[::1]:15441'
		api GetInfo
		expect_status 0
	else
		service --listen=localhost:15441
	fi
	run_rkt api-service
	expect_status 254
	expect_output 'localhost:15441 is in use' '(--listen)'
	service_end
	for address in '' x 15441 example.com:80 localhost: localhost:0 \
		localhost:65536 'unix:x' ':::1:2'; do
		run_rkt api-service --listen="$address"
		expect_status 254
		expect_output "--listen=$address: must be localhost:PORT"
	done
	run_rkt api-service word
	expect_status 254
	expect_output "wrong number of arguments"
	run_rkt help api-service
	expect_output '--listen="localhost:15441"'
	mkdir -m 0700 "$D/closed"
	run "$RKT" --dir="$D/closed/data" api-service
	expect_status 254
	expect_output "$D/closed/data as a member of group"
}
