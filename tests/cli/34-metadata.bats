#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt metadata-service, and pods with --mds-register.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci" \
		'.annotations=[{name:"a", value:"image"}, {name:"b", value:"image"}]'
	"$TESTS/images/build-images.sh" "$F" busybox >&2
}

setup() {
	setup_test
	SERVICE=
}

teardown() {
	service_end
	teardown_test
}

# service [ARG...]: runs until service_end, its log in $D/service.
service() {
	"$RKT" metadata-service "$@" 2>"$D/service" 3>&- &
	SERVICE=$!
	wait_for 10 answers
}

answers() {
	curl -s --unix-socket /run/rkt/metadata-svc.sock -o /dev/null http://rkt/
}

service_end() {
	[ -n "$SERVICE" ] || return 0
	kill "$SERVICE" 2>/dev/null || true
	wait "$SERVICE" || true
	SERVICE=
	rm -f /run/rkt/metadata-svc.sock # it has no right to
}

# registered ARG...: a pod of --net=host with annotations of its own; $url.
registered() {
	detach_inside --mds-register --net=host "$@" "$F/inside.aci" -- sleep 600
	pod=$(echo "$D"/data/pods/run/"$uuid")
	url=$(cat "$pod/mds-registered")/acMetadata/v1
}

# register METHOD PATH [CURL-ARG...]: the status.
register() {
	curl -s -o "$D/answer" -w '%{http_code}' -X "$1" \
		--unix-socket /run/rkt/metadata-svc.sock "${@:3}" "http://rkt$2"
}

# ask PATH [CURL-ARG...]: status and type; the body is in $D/answer.
ask() {
	curl -s -o "$D/answer" -w '%{http_code} %{content_type}' \
		"${@:2}" "$url$1"
}

expect_answer() {
	[ "$(cat "$D/answer")" = "$1" ] || fail "$(cat "$D/answer")"
}

TEXT='text/plain; charset=us-ascii'
TOKEN=00112233445566778899aabbccddeeff

@test "an app of a pod with a network asks for its UUID, and is the only one to" {
	skip_without cni
	skip_without iptables
	service
	RKT_ARGS=(--dir="$D/data" --local-config="$D/local"
		--system-config="$D/system" --insecure-options=image)
	# shellcheck disable=SC2016 # it is the app's shell
	run --separate-stderr "$RKT" "${RKT_ARGS[@]}" run --mds-register \
		--uuid-file-save="$D/uuid" "$F/busybox.aci" --exec=/bin/busybox \
		-- sh -c 'echo "url=$AC_METADATA_URL"
			wget -qO- "$AC_METADATA_URL/acMetadata/v1/pod/uuid"; echo
			wget -qO- --post-data=content=hello \
				"$AC_METADATA_URL/acMetadata/v1/pod/hmac/sign"'
	expect_status 0
	[[ $output =~ url=http://172\.16\.28\.1:18112/[0-9a-f]{32} ]]
	[[ $output == *"$(cat "$D/uuid")"* ]]
	[[ $output =~ [A-Za-z0-9+/]{86}== ]]
	# It has ended: its token is nobody's.
	url=$(grep -o 'http://[^ ]*' <<<"$output")
	url=${url/172.16.28.1/127.0.0.1}/acMetadata/v1
	[ "$(ask /pod/uuid)" = "401 $TEXT" ]
	# Tokens are secrets: not in the log.
	grep -q "GET /${url:23:4}.../acMetadata/v1/pod/uuid - 200" "$D/service"
	if grep -q "${url:23:32}" "$D/service"; then fail "$(cat "$D/service")"; fi
}

@test "each endpoint answers as the specification says" {
	service
	registered
	[ "$(ask /pod/uuid)" = "200 $TEXT" ]
	expect_answer "$uuid"
	[ "$(ask /pod/annotations)" = "200 application/json" ]
	expect_answer '[{"name":"coreos.com/rkt/stage1/mutable","value":"false"}]'
	[ "$(ask /pod/annotations/coreos.com/rkt/stage1/mutable)" = "200 $TEXT" ]
	expect_answer false
	[ "$(ask /pod/manifest)" = "200 application/json" ]
	[ "$(jq -r '.acKind, .apps[0].name' "$D/answer")" = $'PodManifest\ninside' ]
	[ "$(ask /apps/inside/annotations)" = "200 application/json" ]
	expect_answer '[{"name":"a","value":"image"},{"name":"b","value":"image"}]'
	[ "$(ask /apps/inside/annotations/b)" = "200 $TEXT" ]
	expect_answer image
	[ "$(ask /apps/inside/image/manifest)" = "200 application/json" ]
	jq -e '.acKind == "ImageManifest" and .app.exec' "$D/answer"
	[ "$(ask /apps/inside/image/id)" = "200 $TEXT" ]
	expect_answer "$(cat "$pod/appsinfo/inside/treeStoreID")"
	for path in /pod/annotations/x /apps/inside/annotations/c /apps/other/image/id \
		/pod /pod/uuid/ /pod/uuid/x /apps/inside /apps//image/id /../pod/uuid; do
		[ "$(ask "$path" --path-as-is)" = "404 $TEXT" ] || fail "$path"
	done
	[ "$(ask /pod/uuid -X POST)" = "405 $TEXT" ]
	[ "$(ask /pod/hmac/sign)" = "405 $TEXT" ]
	[ "$(ask /pod/uuid -X DELETE -D "$D/headers")" = "405 $TEXT" ]
	grep -qix $'Allow: GET, HEAD\r' "$D/headers"
	url=http://127.0.0.1:18112/$TOKEN/acMetadata/v1
	[ "$(ask /pod/uuid)" = "401 $TEXT" ]
	url=http://127.0.0.1:18112/acMetadata/v1
	[ "$(ask /pod/uuid)" = "404 $TEXT" ]
	# The log has neither a token that is somewhere else, nor what somebody
	# sends to terminals.
	token=$(basename "$(cat "$pod/mds-registered")")
	url=http://127.0.0.1:18112//$token
	[ "$(ask /pod/uuid -X $'\e[3m' --path-as-is)" = "404 $TEXT" ]
	grep -qF ': ?[3m /... - 404' "$D/service"
	if grep -q "$token" "$D/service"; then fail "$(cat "$D/service")"; fi
}

@test "signatures: of the pod that asks, and nothing else is one" {
	service
	registered
	[ "$(ask /pod/hmac/sign --data-urlencode content='a & b=%')" = "200 $TEXT" ]
	signature=$(cat "$D/answer")
	[ ${#signature} = 88 ]
	verify() {
		ask /pod/hmac/verify --data-urlencode "content=$1" \
			--data-urlencode "uuid=$2" \
			--data-urlencode "signature=$3"
	}
	[ "$(verify 'a & b=%' "$uuid" "$signature")" = "200 $TEXT" ]
	[ "$(verify 'a & b=%' "${uuid//-/}" "$signature")" = "200 $TEXT" ]
	[ "$(verify 'a & b=' "$uuid" "$signature")" = "403 $TEXT" ]
	[ "$(verify 'a & b=%' 00000000-0000-4000-8000-000000000000 \
		"$signature")" = "403 $TEXT" ]
	flipped=$(tr 'A-Za-z' 'N-ZA-Mn-za-m' <<<"${signature:0:86}")==
	[ "$(verify 'a & b=%' "$uuid" "$flipped")" = "403 $TEXT" ]
	for s in "" "${signature:0:84}" "$signature=" "${signature:0:87}!" '*'; do
		[ "$(verify 'a & b=%' "$uuid" "$s")" = "400 $TEXT" ] || fail "$s"
	done
	[ "$(verify 'a & b=%' x "$signature")" = "400 $TEXT" ]
	[ "$(verify '' "$uuid" "$signature")" = "400 $TEXT" ]
	[ "$(ask /pod/hmac/sign -d content=)" = "400 $TEXT" ]
	[ "$(ask /pod/hmac/sign -d other=1)" = "400 $TEXT" ]
	[ "$(ask /pod/hmac/sign -H 'Content-Type: text/plain' -d content=x)" = \
		"400 $TEXT" ]
	head -c 70000 /dev/zero | tr '\0' x >"$D/large"
	[ "$(ask /pod/hmac/sign --data-urlencode "content@$D/large")" = "413 $TEXT" ]
	# The same signature by another pod's token says another pod.
	first=$signature
	registered
	ask /pod/hmac/sign --data-urlencode content='a & b=%'
	[ "$(cat "$D/answer")" != "$first" ]
}

@test "an update, a rollback and another stage1: what is told follows" {
	service
	image_inside "$F/2.aci" '.app.environment=[{name:"VERSION",value:"2"}]' \
		example.com/inside 2.0.0
	registered --pod-name=web
	ask /apps/inside/image/id
	before=$(cat "$D/answer")
	run_rkt update web --image="$F/2.aci" --strategy=restart --observe=10ms
	expect_status 0
	ask /apps/inside/image/id
	expect_answer "$(cat "$pod/appsinfo/inside/treeStoreID")"
	[ "$(cat "$D/answer")" != "$before" ]
	ask /pod/manifest
	[ "$(jq -r '.apps[0].image.id' "$D/answer")" != "$before" ]
	ask /apps/inside/image/manifest
	jq -e '.app.environment[0].value == "2"' "$D/answer"
	run rkt update --runtime web
	expect_status 0
	run_rkt rollback web --strategy=restart --observe=10ms
	expect_status 0
	ask /apps/inside/image/id
	expect_answer "$before"
	# Entered, the app's environment is the same.
	run rkt enter web /inside print-env AC_METADATA_URL
	[[ $output == *"${url%/acMetadata/v1}"* ]]
}

@test "a pod that ends, in order or killed, is forgotten" {
	service
	registered
	rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
	[ "$(ask /pod/uuid)" = "401 $TEXT" ]
	[ ! -e "$pod/mds-registered" ]
	registered
	# Not the other way round: it would see its pod end, and say so.
	kill -9 "$(pgrep -f "stage1 run.*$uuid")" "$(cat "$pod/pid")"
	wait_for 10 pod_is "$uuid" exited
	[ "$(ask /pod/uuid)" = "200 $TEXT" ]
	rkt gc --grace-period=0s
	[ "$(ask /pod/uuid)" = "401 $TEXT" ]
}

@test "no service: said before a pod is made; one that ends meanwhile" {
	run_rkt run --mds-register --net=host "$F/inside.aci" -- exit 0
	expect_status 254
	[[ $output == *"start it with \"rkt metadata-service\""* ]]
	[ -z "$(ls "$D/data/pods/run" 2>/dev/null)" ]
	service
	run_rkt run --mds-register --net=none "$F/inside.aci" -- exit 0
	expect_status 254
	[[ $output == *"--mds-register flag does not work with --net=none"* ]]
	registered
	kill "$SERVICE"
	wait "$SERVICE"
	# Nobody waits for it, nor fails without it.
	rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run_rkt run --mds-register --net=host "$F/inside.aci" -- exit 0
	expect_status 254
	[[ $output == *"does not answer at /run/rkt/metadata-svc.sock"* ]]
	# One that was killed is no obstacle to the next.
	service
	registered
	kill -9 "$SERVICE"
	wait "$SERVICE" || true
	service
	[ "$(ask /pod/uuid)" = "401 $TEXT" ]
	run_rkt metadata-service
	expect_status 254
	[[ $output == *"port 18112 is in use"* ]]
	run_rkt metadata-service --listen-port=18113
	expect_status 254
	[[ $output == *"a metadata service runs already"* ]]
	for port in 0 65536 x; do
		run_rkt metadata-service --listen-port=$port
		expect_status 254
	done
}

@test "registration: another port, root alone, bad and too many things" {
	service --listen-port=18200
	registered
	[[ $url == http://127.0.0.1:18200/* ]]
	[ "$(stat -c '%U:%G %a' /run/rkt/metadata-svc.sock)" = "root:root 660" ]
	path=/pods/11111111-1111-4111-8111-111111111111
	cp "$pod/pod" "$D/pod.json"
	cp "$pod/appsinfo/inside/manifest" "$D/image.json"
	[ "$(register PUT "$path?token=$TOKEN" -T "$D/pod.json")" = 200 ]
	expect_answer 18200
	[ "$(register PUT "$path/inside" -T "$D/image.json")" = 200 ]
	[ "$(register PUT "$path/other" -T "$D/image.json")" = 404 ]
	[ "$(register PUT "$path/inside" -T "$D/pod.json")" = 400 ]
	[ "$(register PUT "$path/.." --path-as-is -T "$D/image.json")" = 404 ]
	for token in '' x "${TOKEN}0" "${TOKEN^^}"; do
		[ "$(register PUT "$path?token=$token" -T "$D/pod.json")" = 400 ] ||
			fail "$token"
	done
	[ "$(register PUT "${path/1111-4/2222-4}?token=$TOKEN" \
		-T "$D/pod.json")" = 409 ]
	for bad in '' '{' '{}' '[]' '{"acKind":"PodManifest"}'; do
		printf %s "$bad" >"$D/bad"
		[ "$(register PUT "$path?token=$TOKEN" -T "$D/bad")" = 400 ] ||
			fail "$bad"
	done
	head -c 5M /dev/zero >"$D/large"
	[ "$(register PUT "$path?token=$TOKEN" -T "$D/large")" = 413 ]
	[ "$(register GET "$path")" = 405 ]
	[ "$(register DELETE "$path/inside")" = 405 ]
	[ "$(register DELETE /pods/x)" = 404 ]
	# A pod without annotations has none, which is not the same as null.
	jq -c 'del(.annotations)' "$D/pod.json" >"$D/bare.json"
	[ "$(register PUT "$path?token=$TOKEN" -T "$D/bare.json")" = 200 ]
	url=http://127.0.0.1:18200/$TOKEN/acMetadata/v1
	[ "$(ask /pod/annotations)" = "200 application/json" ]
	expect_answer '[]'
	ask /pod/manifest
	jq -e '.annotations == []' "$D/answer"
	# It is as it was before all that.
	url=http://127.0.0.1:18200/$TOKEN/acMetadata/v1
	[ "$(ask /pod/uuid)" = "200 $TEXT" ]
	[ "$(register DELETE "$path")" = 200 ]
	[ "$(register DELETE "$path")" = 404 ]
	# The pods' port is not for registering.
	url=http://127.0.0.1:18200
	[ "$(ask "$path" -X DELETE)" = "404 $TEXT" ]
}

@test "the service holds nothing it could lose, and slow clients do not stay" {
	service
	registered
	grep -q '^Uid:	65534	65534	65534	65534' "/proc/$SERVICE/status"
	grep -q '^CapEff:	0000000000000000' "/proc/$SERVICE/status"
	grep -q '^CapBnd:	0000000000000000' "/proc/$SERVICE/status"
	grep -q '^Seccomp:	2' "/proc/$SERVICE/status"
	grep -q '^NoNewPrivs:	1' "/proc/$SERVICE/status"
	python3 - "$url" <<-'E'
	import socket, sys, time
	def client(text):
	    s = socket.create_connection(("127.0.0.1", 18112))
	    s.sendall(text)
	    return s
	path = sys.argv[1].split(":18112")[1].encode()
	good = b"GET " + path + b"/pod/uuid HTTP/1.1\r\nHost: x\r\n\r\n"
	# Many that say nothing: those of one address are bounded ...
	idle = [client(b"GET /") for i in range(100)]
	refused = 0
	for s in idle:
	    s.settimeout(0.05)
	    try:
	        refused += s.recv(1) == b""
	    except ConnectionError:
	        refused += 1
	    except TimeoutError:
	        pass
	assert refused >= 30, refused
	# ... and end, whether or not they say a letter now and then.
	end = time.monotonic() + 40
	while idle and time.monotonic() < end:
	    for s in idle[:]:
	        try:
	            s.sendall(b"a")
	            if s.recv(1) == b"":
	                idle.remove(s)
	        except TimeoutError:
	            pass
	        except OSError:
	            idle.remove(s)
	assert not idle, len(idle)
	# Header and body are one segment.
	s = client(good)
	answer = s.recv(65536)
	assert b"200 OK" in answer, answer
	assert len(answer.split(b"\r\n\r\n")[1]) == 36, answer
	# Garbage, and headers without an end.
	for text in b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 9999:
	    try:
	        s = client(text)
	        s.settimeout(15)
	        while s.recv(65536):
	            pass
	    except ConnectionError:
	        pass
	assert client(good).recv(65536).startswith(b"HTTP/1.1 200")
	E
	kill -0 "$SERVICE"
}

@test "some addresses with many clients do not keep out the others" {
	service
	registered
	python3 - "$url" <<-'E'
	import socket, sys
	path = sys.argv[1].split(":18112")[1].encode()
	good = b"GET " + path + b"/pod/uuid HTTP/1.1\r\nHost: x\r\n\r\n"
	def client(address, text):
	    s = socket.create_connection(("127.0.0.1", 18112),
	                                 source_address=(address, 0))
	    s.sendall(text)
	    return s
	def answer(s):
	    return s.recv(4096).startswith(b"HTTP/1.1 200 ")
	def is_open(s):
	    s.setblocking(False)
	    try:
	        return s.recv(1) != b""
	    except BlockingIOError:
	        return True
	    except ConnectionError:
	        return False
	# The eldest of all, and the only one of its address.
	first = client("127.0.0.9", good)
	assert answer(first)
	# All there may be, and more.
	idle = [client(f"127.0.1.{n}", b"GET /") for n in range(8)
	        for i in range(64)]
	last = client("127.0.0.10", good)
	assert answer(last)
	# That was not because the time of the others was over.
	left = sum(is_open(s) for s in idle)
	assert left > 300, left
	first.sendall(good)
	assert answer(first)
	E
}

@test "apps of a mutable pod are known as they come and go" {
	service
	run_rkt fetch "$F/inside.aci"
	uuid=$(rkt app sandbox --detach --mds-register --net=host)
	url=$(cat "$D/data/pods/run/$uuid/mds-registered")/acMetadata/v1
	[ "$(ask /pod/annotations/coreos.com/rkt/stage1/mutable)" = "200 $TEXT" ]
	expect_answer true
	[[ $(ask /apps/one/image/id) == 404* ]]
	run_rkt app add "$uuid" example.com/inside --name=one
	expect_status 0
	[[ $(ask /apps/one/image/id) == 200* ]]
	run_rkt app rm --app=one "$uuid"
	expect_status 0
	[[ $(ask /apps/one/image/id) == 404* ]]
}
