#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# Credentials of auth.d, at a web server that checks them by itself (https.py):
# who gets them, and who does not.

load lib
load servers

H=https://example.com
SECRET='s3cr3t/Key+='

setup_file() {
	load lib
	load servers
	certificate
	names_local
	mkdir -p "$F/www/example.com" "$F/www/cdn.example.com"
	image_inside "$F/www/example.com/a.aci" . example.com/a 1.0
	cp "$F/www/example.com/a.aci" "$F/www/cdn.example.com"
	web_serves "$F/www"
}

teardown_file() {
	servers_stop
}

setup() {
	setup_test
	: >"$F/log"
	export CURL_CA_BUNDLE=$F/cert.pem
}

# auth DIR TYPE CREDENTIALS [DOMAIN]
auth() {
	mkdir -p "$D/$1/auth.d"
	jq -n --arg t "$2" --argjson c "$3" --arg d "${4:-example.com}" '{
		rktKind: "auth", rktVersion: "v1", domains: [$d], type: $t,
		credentials: $c}' >"$D/$1/auth.d/auth.json"
}

aws() {
	auth local aws "$(jq -n --arg s "$1" --arg r "${2-}" \
		'{accessKeyID: "AKID", secretAccessKey: $s} +
		if $r == "" then {} else {awsRegion: $r} end')"
}

# nothing_told: neither the output nor a log has the secret
nothing_told() {
	if [[ $output == *s3cr3t* ]] ||
		[[ $output == *$(printf %s "$SECRET" | base64)* ]]; then
		fail "$output"
	fi
}

@test "aws: each request is signed, for its region" {
	run_rkt fetch "$H/aws/a.aci"
	expect_status 254
	aws "$SECRET"
	run_rkt fetch "$H/aws/a.aci"
	cat "$F/log"
	expect_status 0
	run_rkt fetch "$H/aws-eu/a.aci"
	expect_status 254
	grep -q "403 scope" "$F/log"
	aws "$SECRET" eu-central-1
	run_rkt fetch "$H/aws-eu/a.aci"
	expect_status 0
}

@test "aws: a wrong key is refused, and told to nobody" {
	aws "${SECRET}x"
	run_rkt --debug fetch "$H/aws/a.aci"
	expect_status 254
	grep -q "403 signature" "$F/log"
	nothing_told
}

@test "aws: what is pushed is signed, too" {
	aws "$SECRET"
	run rkt push --no-signature "$F/www/example.com/a.aci" "$H/aws/b.aci"
	cat "$F/log"
	expect_status 0
	cmp "$F/www/example.com/a.aci" "$F/www/example.com/b.aci"
	aws "${SECRET}x"
	run rkt --debug push --no-signature "$F/www/example.com/a.aci" \
		"$H/aws/c.aci"
	expect_status 254
	nothing_told
	[ ! -e "$F/www/example.com/c.aci" ]
}

@test "keys and the pages of discovery are asked for with credentials, too" {
	auth local basic '{"user": "user", "password": "password"}'
	run_rkt fetch example.com/nothing
	expect_status 254
	grep -q "GET $H/nothing?ac-discovery=1 .*auth=" "$F/log"
	run rkt trust --prefix=example.com "$H/nokey.asc"
	expect_status 254
	grep -q "GET $H/nokey.asc .*auth=" "$F/log"
}

@test "of two files for a host the local one counts" {
	auth system basic '{"user": "user", "password": "password"}'
	run_rkt fetch "$H/basic/a.aci"
	expect_status 0
	auth local oauth '{"token": "sometoken"}'
	run_rkt fetch --pull-policy=update "$H/bearer/a.aci"
	expect_status 0
	run_rkt fetch --pull-policy=update "$H/basic/a.aci"
	expect_status 254
	# That of another host leaves it alone.
	auth local oauth '{"token": "sometoken"}' cdn.example.com
	run_rkt fetch --pull-policy=update "$H/basic/a.aci"
	expect_status 0
}

@test "credentials do not go along with a redirection to another host" {
	local kind
	for kind in basic oauth aws; do
		case $kind in
		basic) auth local basic '{"user": "u", "password": "s3cr3t"}' ;;
		oauth) auth local oauth '{"token": "s3cr3t"}' ;;
		aws) aws "$SECRET" ;;
		esac
		: >"$F/log"
		run_rkt fetch --pull-policy=update "$H/to-cdn/a.aci"
		expect_status 0
		grep -q "GET $H/to-cdn/a.aci 302 auth=" "$F/log"
		grep -q "GET https://cdn.example.com/a.aci [23]" "$F/log"
		[ "$(grep -c "cdn.example.com/a.aci.*auth=" "$F/log")" = 0 ]
	done
	# Nor in the clear.
	: >"$F/log"
	run rkt --insecure-options=image,http fetch --pull-policy=update \
		http://example.com/a.aci
	[ "$(grep -c "auth=" "$F/log")" = 0 ]
}

# arguments_of PARENT: those of all its descendants
arguments_of() {
	local child
	for child in $(pgrep -P "$1"); do
		# It may have ended.
		tr '\0' '\n' <"/proc/$child/cmdline" || true
		tr '\0' '\n' <"/proc/$child/environ" || true
		arguments_of "$child"
	done
}

asked() {
	grep -q "stalled-1000/a.aci 200 auth=" "$F/log"
}

@test "no secret is among the arguments or in the environment of a process" {
	local pid
	auth local basic '{"user": "user", "password": "s3cr3t"}'
	rkt --insecure-options=image fetch "$H/stalled-1000/a.aci" \
		>/dev/null 2>&1 &
	pid=$!
	wait_for 20 asked
	arguments_of "$pid" >"$D/arguments" 2>/dev/null
	pkill -9 -P "$pid" || true
	kill -9 "$pid" || true
	wait "$pid" || true
	grep -q "rkt-http" "$D/arguments"
	[ "$(grep -c s3cr3t "$D/arguments")" = 0 ]
}

# The password of the URLs that follow: "s3cr3t@:x".
GIVEN='user:s3cr3t%40%3Ax@'

# stored_nowhere: no file has the secret
stored_nowhere() {
	run grep -rl s3cr3t "$D/data"
	[ "$status" = 1 ]
}

@test "a password in a URL is used, and neither shown nor stored" {
	local wanted
	wanted="auth=Basic $(printf 'user:s3cr3t@:x' | base64)"
	run_rkt --debug fetch "https://${GIVEN}example.com/to-cdn/a.aci"
	expect_status 0
	nothing_told
	grep -qF "GET $H/to-cdn/a.aci 302 $wanted" "$F/log"
	run grep "cdn.example.com/a.aci.*auth=" "$F/log"
	[ "$status" = 1 ]
	stored_nowhere
	run rkt image list --all --format=json
	expect_status 0
	[[ $output == *"$H/to-cdn/a.aci"* ]] || fail "$output"
	nothing_told
	run_rkt prepare --pod-name=web "https://${GIVEN}example.com/to-cdn/a.aci"
	expect_status 0
	stored_nowhere
	# It is the image of that URL, whoever asks.
	run_rkt fetch --pull-policy=new "$H/to-cdn/a.aci"
	expect_status 0
}

@test "a password in a URL is in no error and no progress" {
	local what
	run_rkt --debug fetch "https://${GIVEN}example.com/once-503/a.aci"
	expect_status 0
	expect_output "$H/once-503/a.aci: the server answered 503; trying again"
	nothing_told
	for what in status-404/a.aci a.tar; do
		run_rkt --debug fetch "https://${GIVEN}example.com/$what"
		expect_status 254
		nothing_told
	done
	run_rkt --debug fetch --pull-policy=never \
		"https://${GIVEN}example.com/no.aci"
	expect_status 254
	nothing_told
	run rkt --debug trust --prefix=example.com \
		"https://${GIVEN}example.com/nokey.asc"
	expect_status 254
	nothing_told
	run rkt --debug push --no-signature "$F/www/example.com/a.aci" \
		"https://${GIVEN}example.com/status-403/b.aci"
	expect_status 254
	nothing_told
	grep -q "PUT $H/status-403/b.aci 403 auth=" "$F/log"
	stored_nowhere
}
