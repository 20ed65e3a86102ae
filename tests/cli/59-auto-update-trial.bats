#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt auto-update: what becomes of a version after it was committed, and what
# people hold and release.
# shellcheck disable=SC2034,SC2154 # variables of versions.bash and of bats

load lib
load versions

# web [RUN ARGS]: a labelled pod named web, of 1.0.0, that serves.
web() {
	version 1
	detach_inside --net=none --pod-name=web "$D/1.aci" \
		--user-label=rkt.io/auto-update=local "$@" -- serve tcp4:80
	wait_for 20 pod_logged "$uuid" inside serving=1
	pod=$D/data/pods/run/$uuid
}

store() {
	run_rkt fetch "$D/$1.aci"
	expect_status 0
}

auto() {
	run_rkt auto-update --observe=100ms --ready-timeout=30s "$@"
}

# watching ARGS: the same in the background, until committed; its report goes
# to $D/json
watching() {
	"$RKT" --dir="$D/data" --insecure-options=image auto-update \
		--observe=100ms --format=json "$@" >"$D/json" 2>"$D/stderr" 3>&- &
	command=$!
	wait_for 30 record_is serving
}

record_is() {
	grep -q "\"state\":\"$1\"" "$pod/auto-update"
}

# ended CODE JQ: the command that watches has ended so
ended() {
	local code=0
	wait "$command" || code=$?
	[ "$code" = "$1" ] || fail "$code: $(cat "$D/json" "$D/stderr")"
	jq -e "$2" "$D/json" >/dev/null || fail "$(cat "$D/json")"
}

is_at() {
	run rkt status web
	expect_status 0
	expect_output "version-inside=$1.0.0"
}

settled() {
	wait_for 30 test ! -e "$pod/update.journal"
}

# main_of GENERATION: the pid of its main process; killed: and no other one yet
main_of() {
	cat "$pod/generations/inside/$1/pid"
}

other_main() {
	[ "$(main_of "$1")" != "$2" ] && kill -0 "$(main_of "$1")" 2>/dev/null
}

# crash GENERATION: its main process, and waits for the next one
crash() {
	local old
	old=$(main_of "$1")
	kill -9 "$old"
	wait_for 20 other_main "$1" "$old"
}

@test "one that is well is a success when the time is over" {
	web
	version 2
	store 2
	watching --success-after=2s
	# Nobody is kept waiting meanwhile, and does not watch it again for long.
	auto
	expect_status 0
	ended 0 '.apps[0] | .outcome == "updated" and .to == "2.0.0"'
	record_is successful
	is_at 2
}

@test "one that is started again and again goes back, and is held" {
	web --restart=always
	version 2
	store 2
	watching --success-after=10m
	is_at 2
	crash 2
	crash 2
	kill -9 "$(main_of 2)"
	ended 10 '.code == 10 and (.apps[0] | .outcome == "fell-back" and
		.code == 10 and .from == "2.0.0" and .to == "1.0.0" and
		(.reason | test("was not well: it was started again 3 times")))'
	settled
	is_at 1
	run rkt status web
	expect_output 'held-inside=example.com/inside:2.0.0: it was gone back from'
	history_says auto-update COMMITTED
	auto
	expect_status 0
	expect_output held 'it was started again'
	version 3
	store 3
	auto
	expect_status 0
	expect_output updated 3.0.0
}

@test "one whose health probe fails goes back" {
	web
	version 2 '.annotations += [
		{name:"rkt.io/health/probe",value:"tcp:81"},
		{name:"rkt.io/health/interval",value:"200ms"},
		{name:"rkt.io/health/retries",value:"2"}]'
	store 2
	auto --success-after=10m
	expect_status 10
	expect_output fell-back 'its health probe fails'
	settled
	is_at 1
}

@test "what was said of the version before is not said of the new one" {
	version 1 '.annotations += [
		{name:"rkt.io/health/probe",value:"tcp:81"},
		{name:"rkt.io/health/interval",value:"200ms"}]'
	detach_inside --net=none --pod-name=web "$D/1.aci" \
		--user-label=rkt.io/auto-update=local -- serve tcp4:80
	pod=$D/data/pods/run/$uuid
	wait_for 20 grep -q failing: "$pod/status/inside.health"
	version 2
	store 2
	auto --success-after=2s
	expect_status 0
	expect_output updated 2.0.0
	run rkt status web
	expect_no_output health-inside
	record_is successful
}

@test "one that ends the pod: the one before is what starts next" {
	web
	version 2
	store 2
	watching --success-after=10m
	kill -9 "$(main_of 2)"
	ended 10 '.apps[0] | .outcome == "fell-back" and .to == "1.0.0" and
		(.reason | test("ended with exit code 137"))'
	run rkt status web
	expect_output state=exited version-inside=1.0.0
	history_says auto-update COMMITTED
	run_rkt start --detach web
	expect_status 0
	wait_for 20 pod_is web running
	is_at 1
	auto
	expect_status 0
	expect_output held
}

@test "one that ends the pod, which its unit starts again at once" {
	web
	version 2
	store 2
	watching --success-after=10m
	kill -STOP "$command"
	kill -9 "$(main_of 2)"
	wait_for 20 pod_is web exited
	run_rkt start --detach web
	expect_status 0
	wait_for 20 pod_is web running
	is_at 2
	kill -CONT "$command"
	ended 10 '.apps[0] | .outcome == "fell-back" and .to == "1.0.0" and
		(.reason | test("ended with exit code 137"))'
	settled
	is_at 1
	# What it did once is not said of it when it is tried anew.
	auto --retry --success-after=1s web
	expect_status 0
	expect_output updated 2.0.0
	record_is successful
}

@test "a pod that cannot be read any more" {
	web
	version 2
	store 2
	watching --success-after=10m
	mv "$pod/pod" "$pod/away"
	ended 254 '.apps | length == 1 and .[0].outcome == "failed" and
		(.[0].reason | test("manifest of the pod"))'
	mv "$pod/away" "$pod/pod"
}

@test "a pod that is stopped is not to blame" {
	web
	version 2
	store 2
	watching --success-after=10m
	run rkt stop web
	expect_status 0
	ended 0 '.apps[0].outcome == "updated"'
	is_at 2
	record_is serving
	auto
	expect_status 0
	is_at 2
}

@test "the watch is killed: the next run goes back, whatever the time" {
	web --restart=always
	version 2
	store 2
	watching --success-after=10m
	kill -9 "$command"
	wait "$command" 2>/dev/null || true
	crash 2
	crash 2
	crash 2
	auto --dry-run --success-after=10m
	expect_status 0
	expect_output planned 'it would go back' 'started again 3 times'
	is_at 2
	auto --window="$(LC_ALL=C date -d '+3 days' '+%a 00:00-24:00')" --tries=2 \
		--success-after=10m
	expect_status 10
	expect_output fell-back
	settled
	is_at 1
	# The first try of two.
	auto --tries=2
	expect_status 0
	expect_output updated 2.0.0
	record_is successful
}

@test "killed between the verdict and the way back" {
	web
	version 2
	store 2
	watching --success-after=10m
	kill -9 "$command"
	wait "$command" 2>/dev/null || true
	# As a kill would leave it.
	jq -c '.images[0] += {state: "unwell", unwell: 1, why: "it is so"}' \
		"$pod/auto-update" >"$D/record"
	cp "$D/record" "$pod/auto-update"
	auto --success-after=10m
	expect_status 10
	expect_output fell-back 'it is so'
	settled
	is_at 1
	jq -e '.images[0] | .state == "lost" and .unwell == 1' "$pod/auto-update"
	auto
	expect_status 0
	expect_output held 'it is so'
}

@test "no version to go back to: it says so, and again" {
	web --restart=always
	version 2
	store 2
	watching --success-after=10m
	rm -rf "$pod/generations/inside/1"
	crash 2
	crash 2
	kill -9 "$(main_of 2)"
	ended 11 '.apps[0] | .outcome == "failed" and
		(.reason | test("2.0.0 is not well: .* it cannot go back: "))'
	is_at 2
	auto
	expect_status 11
	expect_output 'generation 1 of app inside'
}

@test "--hold and --release: a pod, a version, all pods" {
	web
	version 2 '.annotations += [{name:"rkt.io/update/probe",value:"tcp:81"}]'
	store 2
	auto --hold web
	expect_status 0
	expect_output held 'held since'
	run rkt status web
	expect_output auto-update-held=
	rkt status --format=json web | jq -e '.auto_update_held_at > 0'
	since=$(jq .held "$pod/auto-update")
	auto --hold web
	expect_status 0
	[ "$(jq .held "$pod/auto-update")" = "$since" ]
	for args in "" --dry-run; do
		# shellcheck disable=SC2086 # none or one
		auto $args
		expect_status 0
		expect_output held '--release lifts that'
	done
	is_at 1
	auto --release web
	expect_status 0
	expect_output released
	run rkt status web
	expect_no_output auto-update-held
	auto --ready-timeout=1s
	expect_status 10
	settled
	auto --ready-timeout=1s
	expect_status 0
	expect_output held 'it failed at'
	auto --release-all
	expect_status 0
	expect_output released
	run rkt status web
	expect_no_output held-inside
	auto --ready-timeout=1s
	expect_status 10
	settled
	auto --dry-run
	expect_status 0
	expect_output held
}

@test "--hold and --release: wrong use" {
	web
	for args in --hold --release "--release-all web" "--hold --release web" \
		"--hold --dry-run web" "--release --retry web"; do
		# shellcheck disable=SC2086 # words
		run_rkt auto-update $args
		expect_status 254
	done
	run_rkt auto-update --hold nobody
	expect_status 254
	expect_output 'no matches found'
	[ ! -e "$pod/auto-update" ]
	echo nonsense >"$pod/auto-update"
	run_rkt auto-update --release web
	expect_status 254
	expect_output 'what was tried before'
	rm "$pod/auto-update"
	detach_inside --net=none --pod-name=plain "$D/1.aci" -- serve tcp4:81
	run_rkt auto-update --hold plain
	expect_status 11
	expect_output 'none of its apps has'
}
