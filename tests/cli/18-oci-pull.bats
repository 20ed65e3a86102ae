#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154,SC2030,SC2031 # bats sets status, output, stderr
# Layers on their way: interrupted, gone on with, wanted by two at once, and
# registries that lie about parts (oci.py).  What a layer is, 16-docker has.

load lib
load servers

PART=300000

setup_file() {
	load lib
	load servers
	mkdir -p "$F/www"
	certificate
	names_local
	oci layout "$F/www/app" busybox one
	oci layout "$F/www/app2" busybox two
	registry_lies "$F/www"
}

teardown_file() {
	servers_stop
}

setup() {
	setup_test
	: >"$F/log"
	export CURL_CA_BUNDLE=$F/cert.pem
	# The first layer, as it is transported.
	BIG=$(jq -r '.layers[0].digest' "$(blob "$F/www/app" "$(
		jq -r '.manifests[0].digest' "$F/www/app/index.json")")")
}

# blob LAYOUT DIGEST
blob() {
	echo "$1/blobs/${2/://}"
}

# server_does WORD: an image that no test before has asked the server for
server_does() {
	ln -sfn app "$F/www/app-$BATS_TEST_NUMBER"
	ln -sfn app2 "$F/www/app2-$BATS_TEST_NUMBER"
	IMAGE=docker://example.com/$1/app-$BATS_TEST_NUMBER:v1
	IMAGE2=docker://example.com/$1/app2-$BATS_TEST_NUMBER:v1
}

# fetch_in_background IMAGE FILE: in a process group, as by a shell; its output
# goes to FILE, its pid to $pid
fetch_in_background() {
	setsid env --default-signal=INT "$RKT" --dir="$D/data" --insecure-options=image fetch "$1" \
		>"$2" 2>&1 3>&- &
	pid=$!
}

# partial_has BYTES: of the one blob that is under way
partial_has() {
	[ "$(find "$D/data/cas/download" -type f -size "$1c" | wc -l)" = 1 ]
}

# The big layer's file; a kill may leave that of the small one, too.
partial() {
	find "$D/data/cas/download" -type f -size +1k
}

nothing_partial() {
	[ -z "$(partial)$(find "$D/data/cas/tmp" -type f)" ]
}

# asked N PATTERN: N requests for the big layer were answered so
asked() {
	local n
	n=$(grep -c "/blobs/$BIG $2" "$F/log" || true)
	[ "$n" = "$1" ] && return 0
	echo "$n requests, not $1, are like $2:"
	cat "$F/log"
	return 1
}

# killed: a fetch of IMAGE was killed when PART bytes were there
killed() {
	fetch_in_background "$IMAGE" "$D/out"
	wait_for 10 partial_has "$PART"
	kill -9 "$pid"
	wait "$pid" || true
}

runs() {
	run_rkt run --net=none "$IMAGE" --exec=/bin/busybox -- cat /etc/version
	expect_status 0
	expect_output one
	nothing_partial
}

@test "kill -9 in a layer: the next fetch goes on where it was" {
	server_does "stall-$PART"
	killed
	# Collected only when it is old.
	rkt image gc >/dev/null 2>&1
	partial_has "$PART"
	runs
	asked 1 "200 - -$"
	asked 1 "206 - bytes=$PART-$"
}

# collected: what is left of downloads would be, were it old
collected() {
	find "$D/data/cas/download" -type f -exec touch -d "3 days ago" {} +
	rkt image gc >/dev/null 2>&1
	nothing_partial
}

@test "^C in a layer leaves that and no more, until it is collected" {
	server_does "stall-$PART"
	fetch_in_background "$IMAGE" "$D/out"
	wait_for 10 partial_has "$PART"
	kill -INT -- "-$pid"
	wait "$pid" || true
	partial_has "$PART"
	[ -z "$(find "$D/data/cas/tmp" -type f)" ]
	# Its processes may outlive it by a moment, and hold the file.
	wait_for 10 collected
	runs
	asked 2 "200 - -$"
}

@test "a connection that is cut in a layer" {
	server_does "cut-$PART"
	run_rkt fetch "$IMAGE"
	expect_status 0
	expect_output "trying again"
	asked 1 "200 - -$"
	asked 1 "206 - bytes="
	nothing_partial
}

@test "a server without parts is asked for all again" {
	server_does "plain-$PART"
	killed
	runs
	asked 1 "200 - -$"
	asked 1 "200 - bytes=$PART-$"
}

@test "a layer that was another one the first time" {
	server_does "other-$PART"
	killed
	run_rkt fetch "$IMAGE"
	expect_status 0
	expect_output "cannot be gone on with: fetching it anew"
	asked 1 "206 - bytes=$PART-$"
	asked 2 "200 - -$"
	nothing_partial
}

@test "false Content-Range: another part, another size, more than was asked" {
	local word
	for word in range total all; do
		server_does "$word-$PART"
		: >"$F/log"
		killed
		run_rkt fetch "$IMAGE"
		echo "$word: $output"
		expect_status 0
		asked 1 "206 - bytes=$PART-$"
		nothing_partial
		rm -rf "$D/data"
		mkdir "$D/data"
	done
}

@test "what is left is whole already: nothing is asked for" {
	server_does "stall-$PART"
	local left
	killed
	left=$(partial)
	cp "$(blob "$F/www/app" "$BIG")" "$left"
	runs
	asked 1 ""
	# As long, and wrong.
	rm -rf "$D/data"
	mkdir "$D/data"
	server_does "stall-$((PART + 1))"
	PART=$((PART + 1)) killed
	left=$(partial)
	head -c "$(stat -c %s "$(blob "$F/www/app" "$BIG")")" /dev/zero \
		>"$left"
	runs
	# And longer than it can be.
	rm -rf "$D/data"
	mkdir "$D/data"
	server_does "stall-$((PART + 2))"
	PART=$((PART + 2)) killed
	left=$(partial)
	head -c 4M /dev/zero >"$left"
	runs
}

@test "two images with one layer at once: it is downloaded once" {
	local first
	server_does slow
	fetch_in_background "$IMAGE" "$D/out1"
	first=$pid
	wait_for 10 asked 1 200
	fetch_in_background "$IMAGE2" "$D/out2"
	wait "$first" "$pid"
	grep "another rkt instance is downloading layer ${BIG:0:19}, waiting..." \
		"$D/out2"
	asked 1 200
	for n in 1 2; do
		grep -q ^sha512- "$D/out$n"
	done
	nothing_partial
	run rkt image verify "$(tail -1 "$D/out2")"
	expect_status 0
}

@test "the one that waits takes over from one that is killed" {
	local first
	server_does "stall-$PART"
	fetch_in_background "$IMAGE" "$D/out1"
	first=$pid
	wait_for 10 partial_has "$PART"
	fetch_in_background "$IMAGE2" "$D/out2"
	wait_for 10 grep waiting "$D/out2"
	kill -9 "$first"
	wait "$first" || true
	wait "$pid"
	grep -q ^sha512- "$D/out2"
	asked 1 "206 - bytes=$PART-$"
	nothing_partial
}

@test "without a terminal each layer has a line at its end" {
	server_does good
	run_rkt fetch "$IMAGE"
	expect_status 0
	[ "$(grep -c "^Downloading layer sha256:[0-9a-f]\{12\}: " \
		<<<"$output")" = 2 ]
	expect_output "Downloading layer ${BIG:0:19}: "
}

@test "on a terminal notices leave no stale line of progress" {
	server_does "cut-$PART"
	run python3 "$TESTS/cli/terminal.py" 24x100 --screen -- "$RKT" \
		--dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image fetch \
		"$IMAGE"
	expect_status 0
	expect_output "trying again"
	[ "$(grep -c "^Downloading layer ${BIG:0:19}: \[=*>\? *\]" \
		<<<"$output")" = 1 ]
	[ "$(grep -c "^Downloading" <<<"$output")" = 2 ]
}

# refused IMAGE TEXT: it is not fetched, and nothing is left
refused() {
	run_rkt fetch "docker://example.com/$1:v1"
	echo "$1: $output"
	expect_status 254
	[ "$(grep -c '^fetch: ' <<<"$output")" = 1 ]
	expect_output "$2"
	nothing_partial
}

@test "bodies without an end, redirections, false sizes" {
	local what text
	while read -r what text; do
		refused "$what/app" "$text"
	done <<-END
		endless.manifest more than the 4194304 bytes that are allowed
		endless.config more than the 4194304 bytes that are allowed
		endless.layer layer sha256:
		to-file.manifest only https is allowed
		to-file.config only https is allowed
		to-file.layer only https is allowed
		to-http.manifest only https is allowed
		to-http.layer only https is allowed
		to-loop.manifest redirects more than 10 times
		to-loop.layer redirects more than 10 times
		larger layer sha256:
		smaller layer sha256:
	END
	run rkt image list --no-legend
	[ -z "$output" ]
}

@test "a registry that never answers is given up" {
	export RKT_HTTP_TIMEOUT=1
	refused quiet.config/app "Operation too slow"
	expect_output "trying again"
}

@test "one that trickles is given up, too, and 0 seconds are no limit" {
	RKT_HTTP_TIMEOUT=1 refused trickle.config/app "Operation too slow"
	for what in 0 1s -1 86401 ""; do
		RKT_HTTP_TIMEOUT=$what refused good/app \
			"RKT_HTTP_TIMEOUT=$what: it is a number of seconds from 1 to 86400"
	done
}

@test "a layer from another host gets no credentials" {
	password secret example.com cdn.example.com
	run_rkt fetch docker://example.com/to-cdn.layer/app:v1
	expect_status 0
	grep -q "GET /v2/to-cdn.layer/app/blobs/.* 307 -" "$F/log"
	[ "$(grep -c "GET /v2/good/app/blobs/.* 200 - -" "$F/log")" = 2 ]
}

@test "another host cannot ask for the registry's password" {
	local part
	password secret example.com
	for part in manifest config layer; do
		run_rkt fetch "docker://example.com/to-thief.$part/app:v1"
		expect_status 254
		grep -q "GET /v2/thief/app/.* 401 - -" "$F/log"
		[ "$(grep -c "/token/thief" "$F/log")" = 0 ]
		expect_output "it is not told the credentials of example.com"
	done
}

@test "layers there is no room for are not begun" {
	server_does good
	mount -t tmpfs -o size=200k tmpfs "$D/data"
	run_rkt fetch "$IMAGE"
	expect_status 254
	expect_output " bytes for its layers, and the image store has " "rkt image gc"
	[ "$(grep -c 'GET .*/blobs/' "$F/log")" = 1 ] || fail "$(cat "$F/log")"
	[ -z "$(find "$D/data/cas/tmp" "$D/data/cas/blob" -type f)" ]
	mount -o remount,size=64m "$D/data"
	run_rkt fetch "$IMAGE"
	expect_status 0
	umount "$D/data"
}

@test "a full disk: what came is gone on with when there is room" {
	server_does good
	mount -t tmpfs -o size=1600k tmpfs "$D/data"
	run_rkt fetch "$IMAGE"
	echo "$output"
	[ "$status" = 254 ]
	# Of the download, or of what is unpacked of it.
	[[ $output = *"No space left on device"* || $output = *" bytes free"* ]]
	[ "$(grep -c '^fetch: ' <<<"$output")" = 1 ]
	[ -z "$(find "$D/data/cas/tmp" -type f)" ]
	mount -o remount,size=64m "$D/data"
	run_rkt fetch "$IMAGE"
	expect_status 0
	nothing_partial
	unseal "$D/data"
	umount "$D/data"
}

@test "progress: a line a layer on a terminal, none wider than that" {
	server_does slow
	run python3 "$TESTS/cli/terminal.py" 24x80 -- "$RKT" --dir="$D/data" \
		--insecure-options=image fetch "$IMAGE"
	expect_status 0
	expect_output "Downloading layer ${BIG:0:19}: [=" $'\e['
	# What is between two moves of the cursor, without them.
	[ -z "$(tr '\r' '\n' <<<"$output" | sed 's/\x1b\[[0-9]*[A-Z]//g' |
		grep Downloading | grep -E '^.{80,}')" ]
	run_rkt --dir="$D/other" fetch "$IMAGE"
	expect_no_output $'\e['
}
