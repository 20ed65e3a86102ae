#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# rkt fetch and rkt trust over the network: a server with a certificate of its
# own authority, https.py, plays example.com.

load lib
use_driver tree

certificates() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$F/ca.key" \
		-out "$F/ca.pem" -days 2 -subj "/CN=authority" 2>/dev/null
	openssl req -newkey rsa:2048 -nodes -keyout "$F/server.key" \
		-out "$F/server.csr" -subj "/CN=example.com" 2>/dev/null
	echo "subjectAltName=DNS:example.com,DNS:*.example.com" >"$F/ext"
	openssl x509 -req -in "$F/server.csr" -CA "$F/ca.pem" \
		-CAkey "$F/ca.key" -CAcreateserial -out "$F/server.pem" \
		-days 2 -extfile "$F/ext" 2>/dev/null
}

# page NAME [KEYS-URL]: the discovery page of NAME
page() {
	mkdir -p "$(dirname "$F/www/$1")"
	cat >"$F/www/$1.html" <<-EOF
		<!DOCTYPE html>
		<html><head><title>$1</title>
		<!-- <meta name="ac-discovery" content="$1 https://no/{ext}"> -->
		<META content="$1 https://cdn.example.com/etag/{name}-{version}-{os}-{arch}.{ext}"
			name='ac-discovery'/>
		<meta name="ac-discovery-pubkeys"
			content="$1 ${2:-https://cdn.example.com/good.asc}">
		</head><body><p>Images</body></html>
	EOF
}

# image NAME VERSION [JQ]: a signed one where page() says it is
image() {
	local t=$F/www/cdn.example.com/$1-$2-linux-amd64
	mkdir -p "$t/rootfs/bin"
	head -c 400000 /dev/urandom >"$t/rootfs/bin/data"
	image_tree "$t" "$1" "$2" "${3:-.}"
	rm -rf "$t"
	gpg --batch --yes --quiet --passphrase '' --pinentry-mode loopback \
		--local-user good@example.com --armor \
		--output "$t.aci.asc" --detach-sign "$t.aci"
}

setup_file() {
	load lib
	mkdir -p "$F/www/cdn.example.com" "$F/www/example.com"
	export GNUPGHOME=$F/gnupg
	mkdir -m 0700 "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' --quick-gen-key \
		"good <good@example.com>" ed25519 sign never
	gpg --armor --export good@example.com >"$F/www/cdn.example.com/good.asc"
	certificates
	image example.com/lib 1.0
	image example.com/base 2.0 \
		'.dependencies=[{imageName:"example.com/lib"}]'
	image example.com/app 1.0 '.dependencies=[
		{imageName:"example.com/base",
		 labels:[{name:"version",value:"2.0"}]},
		{imageName:"example.com/lib",
		 labels:[{name:"version",value:"1.0"}]}]'
	image example.com/plain 1.0
	cp "$F/www/cdn.example.com/example.com/plain-1.0-linux-amd64.aci" \
		"$F/www/cdn.example.com/p.aci"
	cp "$F/www/cdn.example.com/example.com/plain-1.0-linux-amd64.aci.asc" \
		"$F/www/cdn.example.com/p.aci.asc"
	cp "$F/www/cdn.example.com/example.com/lib-1.0-linux-amd64.aci" \
		"$F/www/cdn.example.com/example.com/lib-latest-linux-amd64.aci"
	cp "$F/www/cdn.example.com/example.com/lib-1.0-linux-amd64.aci.asc" \
		"$F/www/cdn.example.com/example.com/lib-latest-linux-amd64.aci.asc"
	page example.com
	gpgconf --kill all
	echo "127.0.0.1 localhost example.com cdn.example.com" >"$F/hosts"
	mount --bind "$F/hosts" /etc/hosts
	: >"$F/log"
	python3 "$TESTS/cli/https.py" "$F/www" "$F/log" "$F/server.pem" \
		"$F/server.key" >"$F/server.out" 2>&1 &
	echo $! >"$F/server.pid"
	wait_for 10 curl -s --cacert "$F/ca.pem" https://example.com/
}

teardown_file() {
	kill "$(cat "$F/server.pid")"
	umount /etc/hosts
}

setup() {
	setup_test
	: >"$F/log"
	export CURL_CA_BUNDLE=$F/ca.pem
	unset SSL_CERT_FILE RKT_HTTP_TIMEOUT https_proxy
}

trust_good() {
	rkt trust --prefix=example.com --skip-fingerprint-review \
		"$F/www/cdn.example.com/good.asc" >/dev/null 2>&1
}

CDN=https://cdn.example.com
D_APP=$CDN/etag/example.com/app-1.0-linux-amd64.aci

# asked N PATTERN: N requests were as PATTERN says
asked() {
	local n
	n=$(grep -cE "$2" "$F/log" || true)
	[ "$n" = "$1" ] && return 0
	echo "$n requests, not $1, are like $2:"
	cat "$F/log"
	return 1
}

# Nothing is left of downloads, finished or not.
nothing_partial() {
	[ -z "$(find "$D/data/cas/download" "$D/data/cas/tmp" -type f \
		2>/dev/null)" ]
}

images() {
	rkt image list --no-legend --fields=name --sort=name | tr '\n' ' '
}

# refused URL TEXT...: an image is not fetched from URL, and why
refused() {
	local url=$1
	shift
	run_rkt fetch "$url"
	expect_status 254
	expect_output "$@"
	[ -z "$(ls -A "$D/data/cas/blob")" ]
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
}

# --- names -------------------------------------------------------------------

@test "a name: discovered, verified, with its dependencies" {
	trust_good
	run --separate-stderr rkt fetch example.com/app:1.0
	expect_status 0
	[[ $output =~ ^sha512-[0-9a-f]{32}$ ]]
	[[ $stderr = *"signature verified:"*"good <good@example.com>"* ]]
	[ "$(images)" = "example.com/app:1.0 example.com/base:2.0 example.com/lib:1.0 " ]
	nothing_partial
	asked 1 "^GET https://example.com/app\?ac-discovery=1 404"
	asked 1 "^GET $D_APP 200"
	asked 1 "^GET $D_APP.asc 200"
	asked 1 "^GET $CDN/etag/example.com/base-2.0-linux-amd64.aci 200"
	# What is stored is not asked for again, dependencies neither.
	: >"$F/log"
	run rkt fetch --pull-policy=new example.com/app:1.0
	expect_status 0
	run rkt fetch --pull-policy=never example.com/app
	expect_status 0
	asked 0 .
	run rkt image cat-manifest example.com/lib
	expect_status 0
}

@test "a missing dependency is fetched for an image that is there" {
	run_rkt fetch --pull-policy=new example.com/base:2.0
	expect_status 0
	run_rkt image rm example.com/lib
	# What is rendered needs them no more.
	run_rkt fetch --pull-policy=never example.com/base
	expect_status 0
	rm -rf "$D"/data/cas/tree/*
	run_rkt fetch --pull-policy=never example.com/base
	expect_status 254
	expect_output "dependency example.com/lib is not in the store and the pull policy is never"
	run_rkt fetch --pull-policy=new example.com/base
	expect_status 0
	[ "$(images)" = "example.com/base:2.0 example.com/lib:1.0 " ]
}

@test "a dependency must have the ID and size it was given" {
	local id size file=$F/www/cdn.example.com/example.com/lib-1.0-linux-amd64.aci
	id=sha512-$(gzip -dc "$file" | sha512sum | cut -c1-128)
	size=$(stat -c %s "$file")
	mkdir -p "$D/u/rootfs"
	for i in "\"$id\",size:$size 0" "\"${id%????}0000\" 254" \
		"\"$id\",size:$((size - 1)) 254" \
		"\"$id\",size:$((size + 1)) 254"; do
		image_tree "$D/u" example.com/user 1.0 \
			".dependencies=[{imageName:\"example.com/lib\",
			 labels:[{name:\"version\",value:\"1.0\"}],
			 imageID:${i% *}}]"
		rm -rf "$D/data"
		run_rkt fetch "$D/u.aci"
		expect_status "${i##* }"
	done
	expect_output "$size bytes"
}

@test "an image that is not what was asked for is refused" {
	local at=$F/www/cdn.example.com/example.com
	trust_good
	cp "$at/plain-1.0-linux-amd64.aci" "$at/wrong-1.0-linux-amd64.aci"
	cp "$at/plain-1.0-linux-amd64.aci.asc" \
		"$at/wrong-1.0-linux-amd64.aci.asc"
	run rkt fetch example.com/wrong:1.0
	expect_status 254
	expect_output "the image's name is example.com/plain, example.com/wrong was asked for"
	cp "$at/plain-1.0-linux-amd64.aci" "$at/plain-9-linux-amd64.aci"
	cp "$at/plain-1.0-linux-amd64.aci.asc" "$at/plain-9-linux-amd64.aci.asc"
	run rkt fetch example.com/plain:9
	expect_status 254
	expect_output "label version is 1.0, 9 was asked for"
	run rkt fetch "example.com/plain:1.0,channel=a"$'\u202e'"b"
	expect_status 254
	expect_output "no label channel, a?b was asked for"
	[ -z "$(images)" ]
}

@test "names without page, host or usable template" {
	run_rkt fetch example.com/nothing:7
	expect_status 254
	expect_output "nothing-7-linux-amd64.aci: the server answered 404"
	run_rkt fetch nowhere.invalid/app
	expect_status 254
	expect_output "discovery of image \"nowhere.invalid/app\" found nothing"
	echo '<meta name="ac-discovery" content="example.com/tab https://x/{name}-{unknown}.{ext}">' \
		>"$F/www/example.com/tab.html"
	run_rkt fetch example.com/tab:1
	expect_status 254
	rm "$F/www/example.com/tab.html"
	asked 1 "example.com/tab\?ac-discovery=1 200"
	asked 2 "example.com/\?ac-discovery=1 200"
}

@test "http for pages and images only if allowed" {
	mkdir -p "$F/www/plain.example.com"
	echo '<meta name="ac-discovery" content="plain.example.com http://plain.example.com/{name}.{ext}">' \
		>"$F/www/plain.example.com.html"
	echo "127.0.0.1 localhost example.com cdn.example.com plain.example.com" \
		>"$F/hosts"
	local t=$F/www/plain.example.com/plain.example.com/x
	mkdir -p "$t/rootfs"
	image_tree "$t" plain.example.com/x 1.0
	# No certificate is for it without the authority.
	CURL_CA_BUNDLE=/dev/null run_rkt fetch plain.example.com/x
	expect_status 254
	expect_output "certificate"
	run_rkt fetch plain.example.com/x
	expect_status 254
	expect_output "only https is allowed (see --insecure-options)"
	run rkt --insecure-options=image,http fetch plain.example.com/x
	expect_status 0
	asked 1 "^GET http://plain.example.com/plain.example.com/x.aci 200"
}

@test "a page that is no page" {
	head -c 100000 /dev/urandom >"$F/www/example.com/odd.html"
	run_rkt fetch example.com/odd:1
	expect_status 254
	cp "$F/www/cdn.example.com/p.aci" "$F/www/example.com/odd.html"
	run_rkt fetch example.com/odd:1
	expect_status 254
	(printf '<a>%.0s' {1..20000}; echo '<meta name=ac-discovery content="example.com/odd x">') \
		>"$F/www/example.com/odd.html"
	run_rkt fetch example.com/odd:1
	expect_status 254
	expect_output "odd-1-linux-amd64.aci: the server answered 404"
	head -c 2000000 /dev/zero >"$F/www/example.com/odd.html"
	run --separate-stderr rkt --debug --insecure-options=image fetch \
		example.com/odd:1
	[[ $stderr = *"more than the 1048576 that are allowed"* ]]
	rm "$F/www/example.com/odd.html"
}

# --- keys ----------------------------------------------------------------------

@test "keys are discovered by rkt trust" {
	run --separate-stderr rkt trust --prefix=example.com/app \
		--skip-fingerprint-review
	expect_status 0
	expect_output "gpg key fingerprint is: " "good <good@example.com>" \
		"Trusting \"$CDN/good.asc\" for prefix \"example.com/app\" without fingerprint review." \
		'Added key for prefix "example.com/app" at "'
	[[ $stderr = *"key: \"$CDN/good.asc\""* ]]
	run rkt fetch example.com/app:1.0
	expect_status 254
	expect_output "image example.com/base is refused: no key is trusted" \
		"rkt trust --prefix=example.com/base"
	run rkt trust --root
	expect_status 254
	expect_output "a root key is not discovered"
}

@test "keys by URL, with the question" {
	run rkt trust --prefix=example.com "$CDN/good.asc"
	expect_status 254
	expect_output "lack of tty"
	run python3 "$TESTS/cli/terminal.py" 24x200 \
		'(yes/no)?:send:yes\n' -- "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		trust --prefix=example.com "$CDN/good.asc"
	expect_status 0
	expect_output "after fingerprint review."
	run rkt trust --prefix=example.com "http://cdn.example.com/good.asc" \
		--skip-fingerprint-review
	expect_status 254
	expect_output "only https is allowed (--insecure-allow-http)"
	run rkt trust --prefix=example.com "http://cdn.example.com/good.asc" \
		--skip-fingerprint-review --insecure-allow-http
	expect_status 0
}

@test "--trust-keys-from-https" {
	run rkt fetch example.com/plain:1.0
	expect_status 254
	expect_output "no key is trusted for its name"
	asked 0 "aci"
	run rkt --trust-keys-from-https fetch example.com/plain:1.0
	expect_status 0
	expect_output "without fingerprint review" "signature verified:"
	# A page that names keys over http does not get them trusted.
	page example.com/sly http://cdn.example.com/good.asc
	run rkt --trust-keys-from-https fetch example.com/sly:1.0
	expect_status 254
	expect_output "only https is allowed (--insecure-options=pubkey)"
	asked 0 "^GET http://"
}

@test "keys that are no keys" {
	page example.com/sly "$CDN/p.aci"
	run rkt trust --prefix=example.com/sly --skip-fingerprint-review
	expect_status 254
	page example.com/sly https://example.com/sly?ac-discovery=1
	run rkt trust --prefix=example.com/sly --skip-fingerprint-review
	expect_status 254
	expect_output "https://example.com/sly?ac-discovery=1"
	page example.com/sly "$CDN/endless/p.aci"
	run rkt trust --prefix=example.com/sly --skip-fingerprint-review
	expect_status 254
	expect_output "more than the 1048576 bytes that are allowed"
	[ ! -e "$D/local/trustedkeys" ]
}

# --- URLs ----------------------------------------------------------------------

@test "a URL: signature, ETag, Cache-Control" {
	trust_good
	run rkt fetch "$CDN/etag/p.aci"
	expect_status 0
	local id=${lines[-1]}
	run --separate-stderr rkt fetch "$CDN/etag/p.aci"
	expect_status 0
	[ "$output" = "$id" ]
	asked 1 "^GET $CDN/etag/p.aci 200"
	asked 1 '^GET '"$CDN"'/etag/p.aci 304 if-none-match="'
	run rkt fetch --pull-policy=new "$CDN/etag/p.aci"
	expect_status 0
	asked 2 "^GET $CDN/etag/p.aci "
	run rkt fetch "$CDN/max-age-1000/p.aci"
	run --separate-stderr rkt --debug fetch "$CDN/max-age-1000/p.aci"
	expect_status 0
	[[ $stderr = *"image for $CDN/max-age-1000/p.aci isn't expired, not fetching."* ]]
	asked 1 "^GET $CDN/max-age-1000/p.aci 200"
	run rkt fetch --pull-policy=never "$CDN/other/p.aci"
	expect_status 254
	expect_output "not in the store and the pull policy is never"
}

@test "what was stored unsigned is downloaded again to be verified" {
	trust_good
	run_rkt fetch "$CDN/max-age-1000/p.aci"
	expect_status 0
	run rkt fetch "$CDN/max-age-1000/p.aci"
	expect_status 0
	expect_output "signature verified:"
	asked 2 "^GET $CDN/max-age-1000/p.aci 200"
}

@test "unsigned, wrongly signed, signed by a file" {
	trust_good
	cp "$F/www/cdn.example.com/p.aci" "$F/www/cdn.example.com/u.aci"
	run rkt fetch "$CDN/u.aci"
	expect_status 254
	expect_output "image $CDN/u.aci is not signed: there is no $CDN/u.aci.asc"
	asked 0 "GET $CDN/u.aci "
	cp "$F/www/cdn.example.com/example.com/lib-1.0-linux-amd64.aci.asc" \
		"$F/www/cdn.example.com/u.aci.asc"
	run rkt fetch "$CDN/u.aci"
	expect_status 254
	expect_output "refused"
	run rkt fetch "$CDN/u.aci" --signature="$F/www/cdn.example.com/p.aci.asc"
	expect_status 0
	rm "$F/www/cdn.example.com/u.aci" "$F/www/cdn.example.com/u.aci.asc"
	nothing_partial
}

@test "a deferred signature" {
	trust_good
	run rkt fetch "$CDN/defer/p.aci"
	expect_status 0
	expect_output "server requested deferring the signature download" \
		"signature verified:"
	[ "$(grep -o '/p.aci[^ ]* [0-9]*' "$F/log" | tr '\n' ,)" = \
		"/p.aci.asc 202,/p.aci 200,/p.aci.asc 200," ]
	cp "$F/www/cdn.example.com/p.aci" "$F/www/cdn.example.com/status-202.aci"
	run rkt fetch "$CDN/status-202/p.aci"
	expect_status 254
	[ "$(images)" = "example.com/plain:1.0 " ]
}

@test "redirects: followed, but not anywhere" {
	run_rkt fetch "$CDN/to-files/p.aci"
	expect_status 0
	rm -rf "$D/data"
	refused "$CDN/to-file/p.aci" "only https is allowed"
	refused "$CDN/to-http/p.aci" "only https is allowed"
	refused "$CDN/to-loop/p.aci" "redirects more than 10 times"
	refused http://cdn.example.com/to-file/p.aci \
		"only http and https is allowed"
	asked 0 "^GET http://cdn.example.com/p.aci"
	trust_good
	run rkt fetch http://cdn.example.com/p.aci
	expect_status 0
}

@test "certificates" {
	CURL_CA_BUNDLE=/dev/null refused "$CDN/p.aci" "certificate"
	refused https://localhost/p.aci "localhost"
	unset CURL_CA_BUNDLE
	SSL_CERT_FILE=$F/ca.pem run_rkt fetch "$CDN/p.aci"
	expect_status 0
	SSL_CERT_FILE=$D/missing run_rkt fetch "$CDN/p.aci"
	expect_status 254
	expect_output "$D/missing"
	run rkt --insecure-options=image,tls fetch "$CDN/etag/p.aci"
	expect_status 0
}

@test "credentials go to their host, over TLS" {
	mkdir -p "$D/local/auth.d"
	refused "$CDN/basic/p.aci" "401 Unauthorized"
	cat >"$D/local/auth.d/a.json" <<-'EOF'
		{"rktKind": "auth", "rktVersion": "v1", "type": "basic",
		 "domains": ["cdn.example.com"],
		 "credentials": {"user": "user", "password": "password"}}
	EOF
	chmod 600 "$D/local/auth.d/a.json"
	run_rkt fetch "$CDN/basic/p.aci"
	expect_status 0
	run_rkt fetch http://cdn.example.com/basic/p.aci
	expect_status 254
	expect_output "401 Unauthorized"
	sed -i 's/"basic"/"oauth"/; s/"user": .*/"token": "sometoken"}}/' \
		"$D/local/auth.d/a.json"
	run_rkt fetch "$CDN/bearer/p.aci"
	expect_status 0
}

@test "a proxy is asked, as curl does" {
	https_proxy=http://proxy.invalid:9 run_rkt fetch "$CDN/p.aci"
	expect_status 254
	expect_output "proxy.invalid"
	https_proxy=http://proxy.invalid:9 no_proxy=cdn.example.com \
		run_rkt fetch "$CDN/p.aci"
	expect_status 0
}

# --- connections that break ------------------------------------------------------

@test "a download that breaks is gone on with" {
	trust_good
	run rkt fetch "$CDN/cut-100000/p.aci"
	expect_status 0
	expect_output "trying again"
	asked 1 "^GET $CDN/cut-100000/p.aci 200$"
	asked 1 "^GET $CDN/cut-100000/p.aci 206 range=bytes=100000- if-range="
	# Parts that never end what is missing.
	run_rkt fetch "$CDN/cutall-150000/p.aci"
	expect_status 0
	asked 3 "^GET $CDN/cutall-150000/p.aci 20[06]"
	nothing_partial
}

@test "what cannot be gone on with is not patched together" {
	refused "$CDN/plain-cut-100000/p.aci" "cannot be resumed"
	nothing_partial
	run_rkt fetch "$CDN/changed-cut-100000/p.aci"
	expect_status 0
	nothing_partial
}

@test "a false Content-Length" {
	refused "$CDN/long/p.aci" "cannot be resumed" "100 bytes remaining"
	refused "$CDN/short/p.aci" "ends early"
	nothing_partial || rkt image gc --grace-period=0s
	nothing_partial
}

@test "endless bodies end" {
	mkdir "$D/small"
	mount -t tmpfs -o size=4m tmpfs "$D/small"
	run rkt --dir="$D/small" --insecure-options=image fetch \
		"$CDN/endless/p.aci"
	expect_status 254
	[ -z "$(find "$D/small" -path '*/blob/*')" ]
	umount "$D/small"
	trust_good
	cp "$F/www/cdn.example.com/p.aci.asc" \
		"$F/www/cdn.example.com/e.aci.asc"
	run rkt fetch "$CDN/endless/e.aci"
	expect_status 254
	expect_output "more than the 262144 bytes that are allowed"
}

@test "a server that stalls is given up, or asked again" {
	export RKT_HTTP_TIMEOUT=1
	run_rkt fetch "$CDN/stall-150000/p.aci"
	expect_status 0
	asked 1 "^GET $CDN/stall-150000/p.aci 206 range=bytes=150000-"
	rm -rf "$D/data"
	run_rkt fetch "$CDN/once-503/p.aci"
	expect_status 0
	asked 2 "^GET $CDN/once-503/p.aci "
}

@test "a server that never gets well" {
	export RKT_HTTP_TIMEOUT=1
	refused "$CDN/status-503/p.aci" "503 Service Unavailable"
	asked 5 "^GET $CDN/status-503/p.aci 503"
	refused "$CDN/noise/p.aci" "$CDN/noise/p.aci: Received HTTP/0.9"
}

@test "kill -9 in the middle, then the rest" {
	"$RKT" --dir="$D/data" --insecure-options=image fetch \
		"$CDN/stall-200000/p.aci" >/dev/null 2>&1 &
	local pid=$!
	partial_is() {
		[ "$(find "$D/data/cas/download" -size 200000c | wc -l)" = 1 ]
	}
	wait_for 10 partial_is
	kill -9 $pid
	wait $pid || true
	[ -z "$(images)" ]
	[ -e "$D/data/cas/download/$(printf %s "$CDN/stall-200000/p.aci" |
		sha256sum | cut -d" " -f1)" ]
	# Collected only when it is old.
	rkt image gc >/dev/null 2>&1
	partial_is
	run_rkt fetch "$CDN/stall-200000/p.aci"
	expect_status 0
	asked 1 "^GET $CDN/stall-200000/p.aci 206 range=bytes=200000- if-range="
	nothing_partial
	[ "$(images)" = "example.com/plain:1.0 " ]
}

@test "gc during a download waits for it, and takes no part of it" {
	"$RKT" --dir="$D/data" --insecure-options=image fetch \
		"$CDN/slow/p.aci" >"$D/out" 2>&1 &
	local fetch=$!
	wait_for 10 test -e "$D/data/cas/download"
	"$RKT" --dir="$D/data" image gc --grace-period=0s >"$D/gc" 2>&1 ||
		fail "$(cat "$D/gc")"
	wait "$fetch" || fail "$(cat "$D/out")"
	grep -q '^sha512-' "$D/out"
	asked 1 "^GET $CDN/slow/p.aci 200"
	nothing_partial
}

find_partial() {
	[ -n "$(find "$D/data/cas/download" -type f -size +100k)" ]
}

@test "^C leaves what can be gone on with, until it is collected" {
	run python3 "$TESTS/cli/terminal.py" 24x100 '200 KB:send:\x03' -- "$RKT" \
		--dir="$D/data" --insecure-options=image fetch \
		"$CDN/stalled-200000/p.aci"
	[ "$status" != 0 ]
	find_partial
	[ -z "$(find "$D/data/cas/tmp" "$D/data/cas/blob" -mindepth 1)" ]
	touch -d "3 days ago" "$D"/data/cas/download/*
	rkt image gc >/dev/null 2>&1
	nothing_partial
}

@test "two at once download once" {
	local i
	for i in 1 2 3; do
		"$RKT" --dir="$D/data" --insecure-options=image fetch \
			"$CDN/slow/p.aci" >"$D/out.$i" 2>&1 &
	done
	for i in 1 2 3; do
		wait -n || fail "$(cat "$D"/out.*)"
	done
	asked 1 "^GET $CDN/slow/p.aci 200"
	[ "$(cat "$D"/out.* | grep -c 'another rkt instance is downloading this file, waiting...')" = 2 ]
	[ "$(cat "$D"/out.* | grep -c '^sha512-')" = 3 ]
	nothing_partial
}

@test "progress: a line, or a bar on a terminal" {
	run --separate-stderr rkt --insecure-options=image fetch "$CDN/p.aci"
	[[ $stderr = *"Downloading ACI: 4"*" KB/4"*" KB"*"$CDN/p.aci"* ]]
	run python3 "$TESTS/cli/terminal.py" 24x100 -- "$RKT" --dir="$D/data" \
		--insecure-options=image fetch "$CDN/slow/p.aci"
	expect_status 0
	expect_output "Downloading ACI: [=====" "=>" "] 4"
}

@test "actool discover" {
	run "$ACTOOL" discover example.com/app:1.0 example.com/lib
	expect_status 0
	[ "$output" = "ACI: $D_APP, ASC: $D_APP.asc
PublicKeys: $CDN/good.asc
ACI: $CDN/etag/example.com/lib-latest-linux-amd64.aci, ASC: $CDN/etag/example.com/lib-latest-linux-amd64.aci.asc
PublicKeys: $CDN/good.asc" ]
	run "$ACTOOL" discover --json example.com/app:1.0
	[ "$(jq -r '.ACIEndpoints[0].ACI, .PublicKeys[0]' <<<"$output")" = \
		"$D_APP
$CDN/good.asc" ]
	run "$ACTOOL" discover --port=9 example.com/app
	expect_status 1
	expect_output "example.com:9/app"
	CURL_CA_BUNDLE=/dev/null run "$ACTOOL" discover --insecure example.com/app
	expect_status 0
	CURL_CA_BUNDLE=/dev/null run "$ACTOOL" discover example.com/app
	expect_status 1
	run "$ACTOOL" discover
	expect_status 2
}

@test "rkt-http is no command" {
	run "$BUILD/libexec/rkt/rkt-http" http
	expect_status 254
	expect_output "this program is run by rkt"
}
