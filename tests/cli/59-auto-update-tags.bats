#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt auto-update of images of registries: an app follows its tag.
# shellcheck disable=SC2034,SC2154 # variables of versions.bash and of bats

load lib
load versions
load servers

GOOD='exec busybox httpd -f -p 8080 -h /etc #'
LABEL=--user-label=rkt.io/auto-update=registry

setup_file() {
	load lib
	load servers
	mkdir -p "$F/www"
	certificate
	names_local
	registry_lies "$F/www"
}

teardown_file() {
	servers_stop
}

setup() {
	setup_test
	export CURL_CA_BUNDLE=$F/cert.pem
	repo=app-$BATS_TEST_NUMBER
	loads=()
}

# publish SCRIPT [N]: what the app of the tag v1 runs from now on; N is in
# what it serves, too.
publish() {
	local top=$F/www/$repo
	oci layout "$top.new" busybox "$1${2-}"
	mkdir -p "$top"
	cp -r "$top.new/." "$top/"
	rm -rf "$top.new"
	: >"$F/log"
}

# pod NAME [LABEL [WHAT]]: of the tag v1; serves what runs.
pod() {
	run_rkt run --detach --net=none --pod-name="$1" \
		"docker://example.com/${3-good}/$repo:v1" "${2-$LABEL}" \
		--exec=/bin/busybox -- sh /etc/version
	expect_status 0
	wait_for 20 serves "$1" "busybox httpd"
}

# serves POD TEXT
serves() {
	nsenter --net="/proc/$(cat "$(dir "$1")/pid")/ns/net" \
		curl -sf http://127.0.0.1:8080/version | grep -qF "$2"
}

# dir POD: its directory
dir() {
	echo "$D/data/pods/run/$(rkt status "$1" --format=json | jq -r .name)"
}

auto() {
	run_rkt auto-update --observe=100ms --ready-timeout=20s "$@"
}

settled() {
	wait_for 30 test ! -e "$(dir "$1")/update.journal"
}

# asked TEXT...: these requests, and no others
asked() {
	diff <([ $# = 0 ] || printf '%s\n' "$@") <(cut -d' ' -f1-3 "$F/log" |
		sed "s|/v2/||; s|$repo|REPO|; s|sha256:.*\$|DIGEST|") ||
		fail "other requests"
}

@test "a tag that means the same costs one request; one that moves is followed" {
	publish "$GOOD" one
	pod web
	pod web2
	: >"$F/log"
	auto
	expect_status 0
	expect_output current
	asked "HEAD good/REPO/manifests/v1 200"
	publish "$GOOD" two
	auto --percent=0
	expect_status 0
	expect_output not-in-stage
	# Both by one fetch.
	[ "$(grep -c manifests "$F/log")" = 2 ] || fail "$(cat "$F/log")"
	: >"$F/log"
	"$RKT" --dir="$D/data" --insecure-options=image auto-update \
		--observe=100ms --format=json >"$D/json"
	jq -e '.code == 0 and (.apps | length) == 2 and (.apps | all(
		.outcome == "updated" and .mode == "registry" and
		(.from | test("^v1@sha512-[0-9a-f]{12}$")) and .from != .to and
		(.to | test("^v1@sha512-[0-9a-f]{12}$")) and
		(.to_id | test("^sha512-[0-9a-f]{128}$"))))' "$D/json" ||
		fail "$(cat "$D/json")"
	# It is there already.
	asked "HEAD good/REPO/manifests/v1 200"
	serves web two
	serves web2 two
	settled web
	: >"$F/log"
	auto
	expect_status 0
	expect_output current
	asked "HEAD good/REPO/manifests/v1 200"
	grep -q '"state":"successful"' "$(dir web)/auto-update"
}

@test "of an index, and of a registry that wants a token" {
	publish "$GOOD" one
	pod web "$LABEL" list
	pod web2 "$LABEL" anonymous
	: >"$F/log"
	auto
	expect_status 0
	expect_output current
	[ "$(grep -c '^HEAD .* 200' "$F/log")" = 2 ] || fail "$(cat "$F/log")"
	! grep '^GET /v2' "$F/log" || fail "more than the digest"
	publish "$GOOD" two
	auto
	expect_status 0
	expect_no_output current
	serves web two
	serves web2 two
}

@test "nobody signs them: somebody has to allow them" {
	publish "$GOOD" one
	pod web
	publish "$GOOD" two
	run rkt auto-update --observe=100ms
	expect_status 11
	expect_output refused "\"unsigned\": [\"example.com/good/$repo\"]"
	asked
	mkdir -p "$D/local/auto-update.d"
	jq -n '{rktKind: "auto-update", rktVersion: "v1",
		unsigned: ["example.com/goo"]}' >"$D/local/auto-update.d/a.json"
	run rkt auto-update --observe=100ms
	expect_status 11
	jq -n '{rktKind: "auto-update", rktVersion: "v1",
		unsigned: ["example.com/good"]}' >"$D/local/auto-update.d/a.json"
	run rkt auto-update --observe=100ms
	expect_status 0
	expect_output updated
	serves web two
	# No other command takes that for an answer.
	run rkt fetch "docker://example.com/good/$repo:v1"
	expect_status 254
}

@test "a registry that is down, or has not got the tag any more" {
	publish "$GOOD" one
	pod web
	mv "$F/www/$repo" "$F/www/$repo.gone"
	auto
	expect_status 254
	expect_output failed
	serves web one
	mv "$F/www/$repo.gone" "$F/www/$repo"
	server_stop "$(tail -1 "$F/pids")"
	auto
	expect_status 254
	expect_output failed
	serves web one
	[ ! -e "$(dir web)/auto-update" ]
	registry_lies "$F/www"
	publish "$GOOD" two
	auto
	expect_status 0
	expect_output updated
}

@test "a bad image is held, by its ID: the tag goes back, or on" {
	publish "$GOOD" one
	pod web
	publish "exit 3"
	auto
	expect_status 10
	expect_output rolled-back
	settled web
	auto
	expect_status 0
	expect_output held '--release'
	run rkt status web
	expect_output "held-$repo=sha512-" "it failed at"
	serves web one
	# The tag means again what it did.
	publish "$GOOD" one
	auto
	expect_status 0
	expect_output current
	publish "$GOOD" two
	auto
	expect_status 0
	expect_output updated
	settled web
	serves web two
	# That is where it is to be, if the tag says so.
	publish "$GOOD" one
	auto
	expect_status 0
	expect_output updated
	settled web
	serves web one
	# Somebody else goes back.
	publish "$GOOD" three
	auto
	expect_status 0
	settled web
	run_rkt rollback --observe=100ms web
	expect_status 0
	settled web
	auto
	expect_status 0
	expect_output held 'somebody went back'
	run_rkt auto-update --release web
	expect_status 0
	expect_output released
	auto
	expect_status 0
	expect_output updated
	serves web three
}

@test "local: what was fetched last; a digest stays" {
	publish "$GOOD" one
	pod web --user-label=rkt.io/auto-update=local
	digest=$(jq -r '.manifests[0].digest' "$F/www/$repo/index.json")
	run_rkt run --detach --net=none --pod-name=fixed \
		"docker://example.com/good/$repo@$digest" "$LABEL" \
		--exec=/bin/busybox -- sh /etc/version
	expect_status 0
	publish "$GOOD" two
	auto
	expect_status 0
	expect_output 'by digest'
	expect_no_output updated
	asked
	run_rkt fetch --pull-policy=update "docker://example.com/good/$repo:v1"
	expect_status 0
	: >"$F/log"
	auto
	expect_status 0
	expect_output updated
	asked
	serves web two
	serves fixed one
}

@test "killed in the middle: the next run takes note" {
	publish "$GOOD" one
	pod web
	publish "$GOOD" two
	"$RKT" --dir="$D/data" --insecure-options=image auto-update \
		--observe=10s >"$D/out" 2>&1 3>&- &
	command=$!
	wait_for 30 grep -q '"state":"SWITCHED"' "$(dir web)/update.journal"
	kill -9 "$command"
	wait "$command" 2>/dev/null || true
	grep -q '"state":"trying"' "$(dir web)/auto-update"
	settled web
	auto
	expect_status 0
	expect_output current
	serves web two
	grep -q '"state":"successful"' "$(dir web)/auto-update"
}
