#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Without root: what is done to pods that run, images from registries, and what
# is done by itself.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # of apps; of bats

load lib
load rootless
load versions
load servers

setup() {
	rootless_setup
	with_range
	loads=()
}

teardown() {
	servers_stop
	rootless_teardown
}

# ann_runs NAME ARGS...: a pod of a shell in the background
ann_runs() {
	local name=$1
	shift
	[ -e "$F/sh.aci" ] || image_busybox "$F/sh.aci" . example.com/sh
	chmod 0644 "$F/sh.aci"
	uuid=$(ann "$RKT" --insecure-options=image run --net=none --detach \
		--pod-name="$name" "$F/sh.aci" "$@")
	pod=$STORE/pods/run/$uuid
	pid=$(cat "$pod/pid")
}

ann_version() {
	version "$1" "${2:-.}"
	chmod 0644 "$D/$1.aci"
}

@test "cp, in and out, with owners of her range" {
	ann_runs web -- -c 'mkdir /x; echo a >/x/a; chown 7:8 /x/a; echo up; sleep 600'
	wait_for 10 grep -q up "$pod/logs/sh"
	install -o "$UID_OF_ANN" /dev/stdin "$D/home/in" <<<hello
	ann_rkt cp "$D/home/in" web:/x/in
	expect_status 0
	ann_rkt exec web /bin/cat /x/in
	expect_output hello
	ann_rkt cp web:/x "$D/home/out"
	expect_status 0
	[ "$(cat "$D/home/out/a")" = a ]
	[ "$(stat -c %u "$D/home/out/a")" = "$UID_OF_ANN" ]
	# What she may not read herself, rkt does not read for her.
	install -m 0600 /dev/stdin "$D/secret" <<<no
	ann_rkt cp "$D/secret" web:/x/
	expect_status 254
	expect_output 'Permission denied'
	ann_rkt exec web /bin/ls /x
	expect_no_output secret
}

@test "exec and enter: exit codes, users, what they have no right to" {
	ann_runs web -- -c 'sleep 600'
	ann_rkt exec web /bin/sh -c 'exit 7'
	expect_status 7
	ann_rkt enter web /bin/sh -c 'id -u; exit 8'
	expect_status 8
	expect_output 0
	ann_rkt exec --user=5 --group=6 web /bin/id
	expect_status 0
	expect_output 'uid=5' 'gid=6'
	ann_rkt exec web /bin/missing
	expect_status 254
	# Her pod is no way to the host's files.
	ann_rkt exec web /bin/mount -t proc proc /tmp
	[ "$status" != 0 ]
	ann_rkt exec nopod /bin/true
	expect_status 254
}

@test "attach: what is typed and printed" {
	# shellcheck disable=SC2016 # the app's
	ann_runs web --stdin=stream --stdout=stream --stderr=stream -- \
		-c 'while read -r l; do [ "$l" != exit ] || exit 7; echo "got $l"; done'
	printf '%s\n' one two exit >"$D/in"
	run ann "$RKT" attach web <"$D/in"
	expect_status 7
	expect_output 'got one' 'got two'
	ann_rkt attach web
	expect_status 254
	expect_output "isn't currently running"
	ann_rkt rm web
	ann_runs web --stdin=tty --stdout=tty --stderr=tty -- \
		-c 'while read -r l; do [ "$l" != exit ] || exit 7; echo "tty $(tty)"; done'
	run python3 "$TESTS/cli/terminal.py" 24x80 ':send:one\r' 'tty /dev:send:exit\r' \
		-- setpriv --reuid="$UID_OF_ANN" \
		--regid="$UID_OF_ANN" --clear-groups --inh-caps=-all -- \
		env HOME="$D/home" "$RKT" attach web
	expect_status 7
	expect_output 'tty /dev/'
}

@test "logs, top, stats, list, history, cat-manifest, without groups, too" {
	ann_runs web -- -c 'sleep 601 & echo begun; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 602'
	wait_for 10 grep -q begun "$pod/logs/sh"
	ann_rkt logs web
	expect_status 0
	expect_output begun
	wait_for 10 pgrep -fx 'sleep 602' --ns "$pid" --nslist pid
	ann_rkt top web
	expect_status 0
	[ "$(grep -c sleep <<<"$output")" = 2 ] || fail "$output"
	ann_rkt stats --format=json --no-stream web
	expect_status 0
	jq -e '.[0] | .pids >= 2 and .memory_bytes > 0 and .cpu_usec > 0' \
		<<<"$(sed -n '/^\[/,$p' <<<"$output")" || fail "$output"
	ann_rkt list --no-legend
	expect_output "${uuid%%-*}" running
	ann_rkt cat-manifest web
	expect_status 0
	expect_output example.com/sh
	# Not of anybody else.
	run rkt list --no-legend
	expect_no_output "${uuid%%-*}"
}

@test "apps come and go in a pod of hers" {
	ann_version 1
	uuid=$(ann "$RKT" app sandbox --detach --net=none)
	ann_rkt app add "$uuid" "$D/1.aci" --name=one -- sleep 600
	expect_status 0
	ann_rkt app start "$uuid" --app=one
	expect_status 0
	ann_rkt app exec --app=one "$uuid" /inside exit-code 3
	expect_status 3
	ann_rkt app list "$uuid"
	expect_output one running
	ann_rkt app stop "$uuid" --app=one
	expect_status 0
	ann_rkt app rm "$uuid" --app=one
	expect_status 0
	ann_rkt app list --no-legend "$uuid"
	expect_status 0
	[ -z "$output" ] || fail "$output"
	pid=$(cat "$STORE/pods/run/$uuid/pid")
	run pgrep -fa /inside --ns "$pid" --nslist pid
	expect_status 1
	ann_rkt stop "$uuid"
	expect_status 0
}

@test "another stage1 goes on with her pod, which serves on" {
	mkdir -p "$D/next/bin" "$D/next/libexec/rkt"
	cp "$BUILD/bin/rkt" "$D/next/bin/"
	cp "$BUILD"/libexec/rkt/* "$D/next/libexec/rkt/"
	cp --remove-destination "$BUILD/tests/stage1-next" \
		"$D/next/libexec/rkt/stage1"
	ann_version 1
	ann_version 2
	uuid=$(ann "$RKT" --insecure-options=image run --net=host --detach \
		--pod-name=web "$D/1.aci" -- serve tcp4:18065)
	pod=$STORE/pods/run/$uuid
	pid=$(cat "$pod/pid")
	wait_for 10 ann_logged "$uuid" serving=1
	load_begin a 127.0.0.1 18065 /
	run ann "$D/next/bin/rkt" update --runtime web
	expect_status 0
	expect_output 'went on as stage1'
	ann_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'by handover'
	sleep 0.3
	load_end
	[ "$(load_value a refused)$(load_value a reset)" = 00 ] ||
		fail "$(cat "$D/a.load")"
	# One that others may write to is not executed.
	chmod 0777 "$D/next/libexec/rkt/stage1"
	cp --remove-destination "$BUILD/libexec/rkt/stage1" \
		"$D/next/libexec/rkt/stage1"
	chmod 0777 "$D/next/libexec/rkt/stage1"
	run ann "$D/next/bin/rkt" update --runtime web
	expect_status 11
	expect_output 'others than root may write'
}

@test "images of a registry: fetched and run" {
	certificate
	names_local
	chmod 0644 "$F/cert.pem"
	mkdir -p "$F/www"
	oci layout "$F/www/app" busybox one
	registry_lies "$F/www"
	export CURL_CA_BUNDLE=$F/cert.pem
	ann_rkt fetch docker://example.com/plain/app:v1
	expect_status 0
	ann_rkt run --net=none docker://example.com/plain/app:v1 \
		--exec=/bin/sh -- -c 'id -u; exit 3'
	expect_status 3
	# The image's user.
	expect_output 'app[2]: 33'
	[ ! -e /var/lib/rkt/cas ]
	ann_rkt fetch docker://example.com/plain/missing:v1
	expect_status 254
	ann_rkt image list
	expect_output plain/app
}

@test "auto-update of pods that ask for it" {
	ann_version 1
	ann_version 2
	uuid=$(ann "$RKT" --insecure-options=image run --net=host --detach \
		--pod-name=web "$D/1.aci" \
		--user-label=rkt.io/auto-update=local -- serve tcp4:18065)
	wait_for 10 ann_logged "$uuid" serving=1
	ann_rkt fetch "$D/2.aci"
	expect_status 0
	ann_rkt auto-update --dry-run
	expect_status 0
	expect_output 2.0.0
	ann_rkt auto-update --observe=100ms
	expect_status 0
	ann_rkt status web
	expect_output version-inside=2.0.0
}

@test "start again as it was, and what a crash of the supervisor leaves" {
	ann_runs web --restart=always -- -c 'echo begun; exec sleep 600'
	wait_for 10 grep -q begun "$pod/logs/sh"
	kill -9 "$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")"
	wait_for 10 test ! -e "/proc/$pid"
	ann_rkt status web
	expect_output state=exited
	ann "$RKT" start web </dev/null >"$D/started" 2>&1 3>&- &
	wait_for 10 ann_is web running
	ann_rkt stop web
	expect_status 0
	wait
	ann_rkt rm web
	expect_status 0
	ann_rkt gc --grace-period=0s
	expect_status 0
	[ -z "$(ls -A "$STORE"/pods/*)" ] || ls -R "$STORE/pods"
}

ann_is() {
	ann "$RKT" status "$1" | grep -qx "state=$2"
}
