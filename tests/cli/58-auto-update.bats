#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt auto-update: what it takes, what it leaves alone and why, what it
# remembers.
# shellcheck disable=SC2034,SC2154 # variables of versions.bash and of bats

load lib
load versions
load servers

LOCAL=--user-label=rkt.io/auto-update=local
# An hour that is not now, whatever the hour.
not_now() {
	LC_ALL=C date -d '+3 days' '+%a 00:00-24:00'
}

teardown_file() {
	servers_stop
}

# labelled [LABEL]: a pod named web, of 1.0.0, that serves.
labelled() {
	version 1
	detach_inside --net=none --pod-name=web "$D/1.aci" "${1-$LOCAL}" \
		-- serve tcp4:80
	wait_for 20 pod_logged "$uuid" inside serving=1
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	pod=$D/data/pods/run/$uuid
}

# bad N: version N never gets ready.
bad() {
	version "$1" '.annotations += [{name:"rkt.io/update/probe",value:"tcp:81"}]'
}

store() {
	run_rkt fetch "$D/$1.aci"
	expect_status 0
}

auto() {
	run_rkt auto-update --observe=100ms --ready-timeout=30s "$@"
}

# fails ARGS: the same, for versions that do not get ready.
fails() {
	run_rkt auto-update --observe=100ms --ready-timeout=1s "$@"
	settled
}

# report ARGS...: the JSON goes to $D/json.
report() {
	"$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image \
		auto-update --observe=100ms --format=json "$@" \
		>"$D/json" 2>"$D/stderr" || true
}

# says JQ TEXT: that is what the report says, compact.
says() {
	[ "$(jq -c "$1" "$D/json")" = "$2" ] ||
		fail "$1 is not $2: $(cat "$D/json" "$D/stderr")"
}

# stage1 has written what it has to write.
settled() {
	wait_for 30 test ! -e "$pod/update.journal"
}

is_at() {
	run rkt status web
	expect_status 0
	expect_output "version-inside=$1.0.0"
}

state_is() {
	tail -1 "$pod/update.journal" | grep -q "\"state\":\"$1\""
}

@test "a higher version in the store: nobody is refused" {
	labelled
	auto
	expect_status 0
	expect_output current
	version 2
	store 2
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	auto
	expect_status 0
	expect_output updated 1.0.0 2.0.0
	settled
	sleep 1
	load_end
	[ "$(load_value load body.2)" -gt 0 ]
	for key in refused reset timeout other; do
		[ "$(load_value load "$key")" = 0 ] || fail "$(cat "$D/load.load")"
	done
	is_at 2
	history_says auto-update COMMITTED
	auto
	expect_status 0
	expect_output current
	# What is remembered goes with the pod.
	grep -q '"state":"successful"' "$pod/auto-update"
}

@test "a bad version is rolled back and held; a higher one is taken" {
	labelled
	bad 2
	store 2
	fails
	expect_status 10
	expect_output rolled-back
	is_at 1
	# Not again, however often it runs.
	n_before=$(wc -l <"$pod/history")
	fails
	expect_status 0
	expect_output held '--to=2.0.0'
	[ "$(wc -l <"$pod/history")" = "$n_before" ] || fail "$n_before: $(cat "$pod/history") $output"
	run rkt status web
	expect_output 'held-inside=example.com/inside:2.0.0: it failed at '
	rkt status --format=json web | jq -e '.apps[0].held[0] |
		.image == "example.com/inside:2.0.0" and
		(.reason | startswith("it failed at "))'
	version 3
	store 3
	auto
	expect_status 0
	expect_output updated 3.0.0
	is_at 3
	run rkt status web
	expect_no_output held-inside
}

@test "tries: a version is held when it has failed so often; --retry" {
	labelled
	bad 2
	store 2
	fails --tries=2
	expect_status 10
	fails --tries=2
	expect_status 10
	fails --tries=2
	expect_status 0
	expect_output held
	fails --retry web
	expect_status 10
	run_rkt auto-update --retry
	expect_status 254
	expect_output 'for pods that are named'
}

@test "one that crashes while it is watched; one somebody went back from" {
	labelled
	version 2
	store 2
	"$RKT" --dir="$D/data" --insecure-options=image auto-update \
		--observe=60s >"$D/out" 2>&1 3>&- &
	command=$!
	wait_for 30 state_is SWITCHED
	kill -9 "$(cat "$pod/generations/inside/2/pid")"
	code=0
	wait "$command" || code=$?
	[ "$code" = 10 ] || fail "$code: $(cat "$D/out")"
	settled
	is_at 1
	auto
	expect_status 0
	expect_output held
	version 3
	store 3
	auto
	expect_status 0
	is_at 3
	settled
	run_rkt rollback --observe=100ms web
	expect_status 0
	settled
	auto
	expect_status 0
	expect_output held 'somebody went back from it'
	is_at 1
	# Lifted by who wants it.
	run_rkt update --observe=100ms --to=3.0.0 web
	expect_status 0
	settled
	auto
	expect_status 0
	expect_output current
}

@test "killed in the middle: stage1 goes on, the next run takes note" {
	labelled
	version 2
	store 2
	"$RKT" --dir="$D/data" --insecure-options=image auto-update \
		--observe=12s >"$D/out" 2>&1 3>&- &
	command=$!
	wait_for 30 state_is SWITCHED
	kill -9 "$command"
	wait "$command" 2>/dev/null || true
	grep -q '"state":"trying"' "$pod/auto-update"
	# As long as it is under way, it is left alone.
	if [ -e "$pod/update.journal" ]; then
		auto
		[ "$status" = 11 ] || expect_status 0
	fi
	settled
	auto
	expect_status 0
	expect_output current
	is_at 2
	grep -q '"state":"successful"' "$pod/auto-update"
}

@test "the host goes down during a try: held, whatever the history says" {
	labelled
	version 2
	store 2
	jq -n '{images: [{app: "inside", image: "example.com/inside:2.0.0",
		state: "trying", since: 1, boot: "another", failed: 0,
		lost: 0}]}' >"$pod/auto-update"
	auto
	expect_status 0
	expect_output held 'the host went down'
	is_at 1
	run rkt status web
	expect_output held-inside=
	# A record that is none is no reason to forget.
	echo nonsense >"$pod/auto-update"
	auto
	expect_status 254
	expect_output 'what was tried before'
	is_at 1
}

@test "not signed, not labelled, labelled otherwise" {
	labelled
	version 2
	store 2
	run rkt auto-update
	expect_status 11
	expect_output refused 'signed'
	is_at 1
	run rkt stop --force web
	wait_for 20 pod_is web exited
	run rkt rm web
	expect_status 0
	auto
	expect_status 0
	expect_output 'no running pod has an app with'
	labelled --user-label=a=b
	auto
	expect_status 0
	expect_output 'no running pod has an app with'
	auto web
	expect_status 11
	expect_output refused 'none of its apps has'
	auto nobody
	expect_status 254
	expect_output 'no matches found'
}

@test "what the app says counts before what its image says" {
	version 1 '.annotations += [{name:"rkt.io/auto-update",value:"local"}]'
	version 2 '.annotations += [{name:"rkt.io/auto-update",value:"local"}]'
	store 2
	for name in web no bad; do
		label=()
		[ "$name" != no ] ||
			label=(--annotation=rkt.io/auto-update=no)
		[ "$name" != bad ] ||
			label=(--user-annotation=rkt.io/auto-update=yes)
		detach_inside --net=none --pod-name="$name" "$D/1.aci" \
			"${label[@]}" -- serve tcp4:80
		wait_for 20 pod_logged "$uuid" inside serving=1
	done
	report
	says '[.apps[] | .name + ":" + .outcome] | sort' \
		'["bad:refused","web:updated"]'
	says .code 11
}

@test "--dry-run shows the plan and changes nothing; the report as JSON" {
	labelled
	version 2
	store 2
	before=$(cd "$pod" && find . -name generations -prune -o -type f -print \
		| grep -v logs | sort | xargs sha256sum; ls generations/inside)
	auto --dry-run
	expect_status 0
	expect_output planned 'it may go' 'handover  taken'
	report --dry-run
	says '.apps[0].plan[0].to.version' '"2.0.0"'
	says '[.dry_run, .apps[0].outcome, .apps[0].tier]' \
		'[true,"planned","handover"]'
	after=$(cd "$pod" && find . -name generations -prune -o -type f -print \
		| grep -v logs | sort | xargs sha256sum; ls generations/inside)
	[ "$before" = "$after" ] || fail "$before / $after"
	report
	says '.apps[0] | [.outcome, .from, .to, .mode, .app, .name, .code]' \
		'["updated","1.0.0","2.0.0","local","inside","web",0]'
	says '[.code, .dry_run, (.apps | length)]' '[0,false,1]'
	says '.apps[0] | .began < .ended' true
	says '.apps[0].pod' "\"$uuid\""
}

@test "windows, percentages, configured and by flags" {
	labelled
	version 2
	store 2
	auto --window="$(not_now)"
	expect_status 0
	expect_output outside-window
	auto --percent=0
	expect_status 0
	expect_output not-in-stage 2.0.0
	mkdir -p "$D/local/auto-update.d"
	jq -n --arg w "$(not_now)" '{rktKind: "auto-update", rktVersion: "v1",
		windows: [$w], percent: 0}' >"$D/local/auto-update.d/a.json"
	auto
	expect_status 0
	expect_output outside-window
	auto --window=
	expect_status 0
	expect_output not-in-stage
	is_at 1
	[ ! -e "$pod/auto-update" ]
	auto --window= --percent=100
	expect_status 0
	is_at 2
	auto --window=2:00-4:00
	expect_status 254
	expect_output 'no times'
	auto --percent=200
	expect_status 254
	expect_output 'no percentage'
	run_rkt config
	expect_output '"auto-update"'
}

@test "two at once; a pod that somebody updates" {
	labelled
	version 2
	store 2
	"$RKT" --dir="$D/data" --insecure-options=image auto-update \
		--observe=60s >"$D/out" 2>&1 3>&- &
	command=$!
	wait_for 30 state_is SWITCHED
	auto
	expect_status 11
	expect_output 'another rkt auto-update is under way'
	report --dry-run
	says '.apps[0].reason | test("is under way")' true
	kill -9 "$command"
	wait "$command" 2>/dev/null || true
	auto
	expect_status 11
	expect_output refused 'is under way'
	run_rkt update --abort web
	expect_status 0
	settled
}

# page: example.com/inside is where the versions are.
page() {
	mkdir -p "$F/www/example.com" "$F/www/cdn.example.com/example.com"
	cat >"$F/www/example.com.html" <<-EOF
		<html><head><meta name="ac-discovery"
			content="example.com https://cdn.example.com/{name}-{version}-{os}-{arch}.{ext}">
		</head></html>
	EOF
}

# publish N: the signed version N is the latest.
publish() {
	local at=$F/www/cdn.example.com/example.com/inside-latest-linux-amd64.aci
	"$ACTOOL" sign --key="$D/key" "$D/$1.aci"
	cp "$D/$1.aci" "$at"
	cp "$D/$1.aci.asc" "$at.asc"
}

@test "registry: the name is discovered, and must be signed" {
	certificate
	names_local
	page
	export CURL_CA_BUNDLE=$F/cert.pem
	web_serves "$F/www"
	"$ACTOOL" genkey --name='A <a@example.com>' --output="$D/key"
	rkt trust --prefix=example.com/inside --skip-fingerprint-review \
		"$D/key.pub"
	labelled --user-label=rkt.io/auto-update=registry
	version 2
	publish 2
	run rkt auto-update --observe=100ms
	expect_status 0
	expect_output updated 2.0.0
	settled
	is_at 2
	version 3
	publish 3
	# Signed for another file.
	cp "$D/2.aci.asc" "$F/www/cdn.example.com/example.com/inside-latest-linux-amd64.aci.asc"
	run rkt auto-update --observe=100ms
	expect_status 11
	expect_output refused
	is_at 2
	servers_stop
	run rkt auto-update --observe=100ms
	expect_status 254
	expect_output failed
	is_at 2
}
