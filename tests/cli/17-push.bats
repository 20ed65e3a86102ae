#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154,SC2030,SC2031 # bats sets status, output, stderr
# rkt push: to docker-registry, read back by skopeo, umoci and rkt itself; to
# a registry that lies (oci.py) and to a web server (https.py).

load lib
load servers

R=docker://127.0.0.1:5000
S=docker://example.com:5001

# registry PORT MORE: docker-registry in the background
registry() {
	mkdir -p "$F/registry-$1"
	cat >"$F/registry-$1.yml" <<-END
		version: 0.1
		storage: {filesystem: {rootdirectory: $F/registry-$1}}
		log: {level: error}
		$2
	END
	server docker-registry serve "$F/registry-$1.yml"
}

# What all tests push: an app with a dependency, and one whose whitelists
# leave something out.
images() {
	local t=$F/images
	mkdir -p "$t"/{lib,app,white,odd}/rootfs/{etc,usr/share/doc}
	cp /bin/busybox "$t/lib/rootfs/usr/busybox"
	echo lib >"$t/lib/rootfs/etc/of"
	echo doc >"$t/lib/rootfs/usr/share/doc/lib"
	image_tree "$t/lib" example.com/lib 1.0 'del(.app)'
	echo app >"$t/app/rootfs/etc/of"
	ln "$t/app/rootfs/etc/of" "$t/app/rootfs/etc/linked"
	ln -s of "$t/app/rootfs/etc/symlink"
	mkfifo "$t/app/rootfs/etc/fifo"
	echo "odd" >"$t/app/rootfs/etc/ä b"
	truncate -s 1M "$t/app/rootfs/etc/sparse"
	echo end >>"$t/app/rootfs/etc/sparse"
	chown 7:8 "$t/app/rootfs/etc/of"
	chmod 4751 "$t/app/rootfs/usr/share"
	python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.note", b"hi")' \
		"$t/app/rootfs/etc/of"
	image_tree "$t/app" example.com/app 1.0 "$(app_manifest)"
	image_tree "$t/white" example.com/white 1.0 '
		.app.exec=["/usr/busybox", "true"] |
		.dependencies=[{imageName:"example.com/lib"}] |
		.pathWhitelist=["/usr/busybox", "/etc/of"]'
}

app_manifest() {
	cat <<-'END'
		.app = {exec: ["/usr/busybox", "cat", "/etc/of"], user: "7",
			group: "8", supplementaryGIDs: [9],
			workingDirectory: "/etc",
			eventHandlers: [{name: "pre-start", exec: ["/usr/busybox",
				"true"]}],
			environment: [{name: "A", value: "b=c"}],
			mountPoints: [{name: "data", path: "/var/data",
				readOnly: true}],
			ports: [{name: "www", protocol: "tcp", port: 80},
				{name: "many", protocol: "udp", port: 90,
				count: 3}],
			isolators: [{name: "resource/memory",
				value: {limit: "1G"}}]} |
		.dependencies = [{imageName: "example.com/lib"}] |
		.annotations = [
			{name: "created", value: "2020-01-02T03:04:05Z"},
			{name: "authors", value: "me"},
			{name: "org.example/x", value: "y\u00e4"}]
	END
}

setup_file() {
	load lib
	load servers
	mkdir -p "$F/www" "$F/htpasswd" "$F/web/example.com" \
		"$F/web/cdn.example.com"
	certificate
	names_local
	python3 - >"$F/passwords" <<-'END'
		import crypt
		print("user:" + crypt.crypt("secret", "$2y$05$" + 22 * "a"))
	END
	registry 5000 'http: {addr: "127.0.0.1:5000"}'
	registry 5001 "http: {addr: '127.0.0.1:5001', tls: {certificate: $F/cert.pem, key: $F/key.pem}}
auth: {htpasswd: {realm: here, path: $F/passwords}}"
	images
	wait_for 20 curl -sf http://127.0.0.1:5000/v2/ -o /dev/null
	wait_for 20 curl -sk https://example.com:5001/v2/ -o /dev/null
}

teardown_file() {
	servers_stop
}

setup() {
	setup_test
	export CURL_CA_BUNDLE=$F/cert.pem
}

run_plain() {
	run --separate-stderr "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image,http "$@"
}

# stored NAME...: the images of images() in this test's store
stored() {
	local name
	for name in "$@"; do
		run_rkt fetch --pull-policy=new "$F/images/$name.aci"
		expect_status 0
	done
}

inspect() {
	skopeo inspect --tls-verify=false "$@"
}

# rendered IMAGE DIR: its root file system in DIR/rootfs
rendered() {
	rkt image render "$1" "$2"
}

same_tree() {
	python3 "$BATS_TEST_DIRNAME/compare.py" "$1" "$2"
}

@test "an ACI and its dependency become layers that skopeo and umoci read" {
	stored lib app
	run_plain push example.com/app "$R/one/app:1.0"
	expect_status 0
	[[ $output =~ ^sha256:[0-9a-f]{64}$ ]]
	local digest=$output
	[ "$(grep -c "^image: pushing layer" <<<"$stderr")" = 2 ]
	run inspect "$R/one/app:1.0"
	expect_status 0
	[ "$(jq -r .Digest <<<"$output")" = "$digest" ]
	[ "$(jq -r '.Layers | length' <<<"$output")" = 2 ]
	run inspect --config "$R/one/app:1.0"
	expect_status 0
	jq -e '.architecture == "amd64" and .os == "linux" and
		.created == "2020-01-02T03:04:05Z" and .author == "me" and
		.config.User == "7:8" and .config.WorkingDir == "/etc" and
		.config.Env == ["A=b=c"] and
		(.config.ExposedPorts | keys) ==
			["80/tcp", "90/udp", "91/udp", "92/udp"] and
		(.config.Volumes | keys) == ["/var/data"] and
		(.config.Entrypoint + .config.Cmd) ==
			["/usr/busybox", "cat", "/etc/of"] and
		.config.Labels["org.example/x"] == "yä"' <<<"$output"
	skopeo copy -q --insecure-policy --src-tls-verify=false \
		"$R/one/app:1.0" "oci:$D/layout:v1"
	umoci raw unpack --image "$D/layout:v1" "$D/umoci"
	rendered example.com/app "$D/rendered"
	find "$D/umoci" "$D/rendered/rootfs" -type d -exec touch -d @0 {} +
	same_tree "$D/umoci" "$D/rendered/rootfs"
}

@test "what is pushed and fetched again is the same app and the same files" {
	local name
	stored lib app white
	for name in app white; do
		run_plain push "example.com/$name" "$R/two/$name"
		expect_status 0
		rkt image cat-manifest "example.com/$name" >"$D/before"
		rendered "example.com/$name" "$D/$name-before"
		run_plain fetch "$R/two/$name"
		expect_status 0
		rkt image cat-manifest "$output" >"$D/after"
		rendered "$output" "$D/$name-after"
		diff <(jq -S .app "$D/before") <(jq -S .app "$D/after")
		diff <(jq -S '.annotations // []' "$D/before") \
			<(jq -S '[.annotations[] | select(.name |
			startswith("appc.io/docker") | not)]' "$D/after")
		# Directories above what a whitelist names have no time.
		[ "$name" = app ] || touch -d @0 "$D/$name"-*/rootfs/{etc,usr}
		same_tree "$D/$name-before/rootfs" "$D/$name-after/rootfs"
	done
	# What a whitelist leaves out is in no layer.
	[ ! -e "$D/white-after/rootfs/usr/share" ]
	run inspect "$R/two/white"
	[ "$(jq -r '.Layers | length' <<<"$output")" = 1 ]
}

@test "the same image is the same bytes, and is not sent twice" {
	stored lib app
	run_plain push example.com/app "$R/three/app:a"
	expect_status 0
	local digest=$output
	run_plain push example.com/app "$R/three/app:b"
	expect_status 0
	[ "$output" = "$digest" ]
	[ "$(grep -c "already there: layer" <<<"$stderr")" = 2 ]
	[[ $stderr != *"pushing layer"* ]]
}

@test "what came from a registry goes back with its digests" {
	local digest
	oci layout "$D/app" busybox one
	skopeo copy -q --insecure-policy --dest-tls-verify=false \
		"oci:$D/app:v1" "$R/four/app:one"
	digest=$(inspect "$R/four/app:one" | jq -r .Digest)
	run_plain fetch "$R/four/app:one"
	expect_status 0
	local id=$output
	# To the same repository and to another one of the registry.
	for to in four/app:two other/app:two; do
		run_plain push "$id" "$R/$to"
		expect_status 0
		[ "$output" = "$digest" ]
		[ "$(grep -c "already there: layer" <<<"$stderr")" = 2 ]
		[ "$(inspect "$R/$to" | jq -r .Digest)" = "$digest" ]
	done
	# Elsewhere nothing is there: the configuration stays what it is.
	password secret example.com:5001
	run rkt --insecure-options=image push "$id" "$S/five/app:two"
	expect_status 0
	expect_output "compressed anew"
	diff <(inspect --raw --config "$R/four/app:one") \
		<(inspect --creds user:secret --raw --config "$S/five/app:two")
	# What was compressed by us once is the same ever after.
	run_plain fetch "$S/five/app:two"
	expect_status 0
	digest=$(inspect --creds user:secret "$S/five/app:two" | jq -r .Digest)
	run_plain push "$output" "$R/six/app:two"
	expect_status 0
	[ "$output" = "$digest" ]
}

@test "what has sha512 digests goes back with them" {
	local id digest
	DIGEST=sha512 oci layout "$D/app" busybox one
	run_plain fetch "oci:$D/app:v1"
	expect_status 0
	id=$output
	# The second layer is compressed as we never would: only where it is
	# already, or with another manifest.
	lying
	run rkt push "$id" "$E/into/app:one"
	expect_status 0
	expect_output "compressed anew"
	digest=$(tail -1 <<<"$output")
	curl -sk "https://example.com/v2/into/app/manifests/one" >"$D/manifest"
	[ "$(jq -r '.config.digest, .layers[].digest | .[:7]' "$D/manifest" |
		sort | uniq -c | tr -s ' ')" = " 3 sha512:" ]
	[ "$(jq -r .config.digest "$D/manifest")" = "$(jq -r \
		'.annotations[] | select(.name == "appc.io/docker/imageid") |
		.value' <(rkt image cat-manifest "$id"))" ]
	# That one can be made again bit by bit.
	run_rkt fetch --pull-policy=update "$E/into/app:one"
	expect_status 0
	id=$(tail -1 <<<"$output")
	run rkt push "$id" "$E/anonymous/app:two"
	expect_status 0
	expect_no_output "compressed anew"
	[ "$(tail -1 <<<"$output")" = "$digest" ]
	# docker-registry keeps it, too.
	run_plain push "$id" "$R/long/app:two"
	expect_status 0
	[ "$output" = "$digest" ]
	run_plain fetch "$R/long/app:two"
	expect_status 0
}

@test "a file is stored first, and must be signed for that" {
	stored lib
	run rkt push "$F/images/app.aci" "$S/x"
	expect_status 254
	run_plain push "$F/images/app.aci" "$R/seven/app"
	expect_status 0
	run_plain fetch "$R/seven/app"
	expect_status 0
}

@test "passwords, certificates and plain http" {
	stored lib app
	run rkt push example.com/app "$R/app"
	expect_status 254
	run rkt push example.com/app "$S/app"
	expect_status 254
	expect_output "put them into a file of kind dockerAuth"
	password wrong example.com:5001
	run rkt push example.com/app "$S/app"
	expect_status 254
	expect_output "401"
	password secret example.com:5001
	run rkt push example.com/app "$S/app"
	expect_status 0
	inspect --creds user:secret "$S/app" >/dev/null
	unset CURL_CA_BUNDLE
	run rkt push example.com/app "$S/app"
	expect_status 254
	expect_output "certificate"
	run rkt --insecure-options=tls push example.com/app "$S/app"
	expect_status 0
}

@test "what cannot be pushed, or not there" {
	stored lib app
	run rkt push
	expect_status 254
	run rkt push example.com/app
	expect_status 254
	run rkt push example.com/app ftp://example.com/x
	expect_status 254
	expect_output "a destination is docker://"
	run rkt push example.com/none "$R/app"
	expect_status 254
	run rkt push docker://busybox "$R/app"
	expect_status 254
	expect_output "docker://registry-1.docker.io/library/busybox:latest\" not found"
	run rkt push example.com/app "$R/app@sha256:$(printf 'a%.0s' {1..64})"
	expect_status 254
	expect_output "to a tag"
	run rkt push example.com/app "$R/app:1,os=linux"
	expect_status 254
	run rkt push example.com/app "$R/Not/Lower"
	expect_status 254
	run rkt push --signature=x --no-signature example.com/app "$R/app"
	expect_status 254
	run rkt push --signature=x example.com/app "$R/app"
	expect_status 254
	expect_output "leave --signature out"
	# A dependency that is gone.
	rkt image rm "$(rkt image list --no-legend --full --fields=id,name |
		awk '/lib/ { print $1 }')"
	run_plain push example.com/app "$R/app"
	expect_status 254
	[[ $stderr == *"example.com/lib"* ]]
}

@test "a file that would be a whiteout is refused" {
	mkdir -p "$D/wh/rootfs/a"
	touch "$D/wh/rootfs/a/.wh.b"
	image_tree "$D/wh" example.com/wh 1.0
	run_rkt fetch "$D/wh.aci"
	expect_status 0
	run_plain push example.com/wh "$R/wh"
	expect_status 254
	[[ $stderr == *"a/.wh.b: in an OCI image a file of this name removes another"* ]]
}

# --- a registry that lies -----------------------------------------------------

E=docker://example.com

lying() {
	stored lib
	registry_lies "$F/www"
}

teardown() {
	[ -z "${server-}" ] || server_stop "$server"
	teardown_test
}

# refused WHAT TEXT: a push to it fails with that
refused() {
	run rkt push example.com/lib "$E/$1/app"
	echo "$1: $output"
	expect_status 254
	expect_output "$2"
	[ "$(grep -c "^push: " <<<"$output")" = 1 ]
	[[ $output != *$'\e'* ]]
}

@test "tokens are asked for with the right to push" {
	lying
	password secret example.com
	for what in into token anonymous basic; do
		run rkt push example.com/lib "$E/$what/app"
		expect_status 0
	done
	grep -q "scope=repository:token/app:pull,push 200 Basic" "$F/log"
	grep -q "PUT /v2/token/app/manifests/latest 201 Bearer t0ken.token" \
		"$F/log"
	run_rkt fetch "$E/into/app"
	expect_status 0
	run rkt push example.com/lib "$E/strange/app"
	expect_status 254
	expect_output "without saying what it wants"
}

@test "a registry that lies is believed nothing" {
	lying
	refused digest "the registry stored sha256:0000"
	refused manifest "the registry stored sha256:0000"
	refused plain "which is not encrypted"
	refused strange-url "which is no URL of http"
	refused nowhere "does not say where to send"
	refused loop "redirects more than 10 times"
	refused denied "403 Forbidden: DENIED: no ?[31mway; X"
	refused page "403 Forbidden: <h1>Go ?[31maway</h1>xxx"
	[ ${#output} -lt 1000 ]
}

@test "credentials do not go to another host" {
	lying
	password secret example.com
	run rkt push example.com/lib "$E/elsewhere/app"
	expect_status 0
	grep -q "PUT /v2/elsewhere/app/up/.* 201 -" "$F/log"
}

@test "what breaks off is gone on with" {
	lying
	run rkt push example.com/lib "$E/hang-1000/app"
	expect_status 0
	expect_output "trying again"
	grep -q "PATCH /v2/hang-1000/app/up/1 202" "$F/log"
	run_rkt fetch "$E/hang-1000/app"
	expect_status 0
	run rkt push example.com/lib "$E/once/app"
	expect_status 0
	refused broken "500 Internal Server Error"
}

@test "layers are sent several at a time" {
	lying
	stored app
	run rkt push example.com/app "$E/together/app"
	expect_status 0
	# Without a terminal there is a line for each that was sent.
	[ "$(grep -c "^image: pushing layer sha256:" <<<"$output")" = 2 ]
	[ "$(grep -c "^Uploading layer sha256:[0-9a-f]\{12\}: " \
		<<<"$output")" = 2 ]
	run_rkt fetch --pull-policy=update "$E/together/app"
	expect_status 0
	# The same blob of two layers is one upload.
	oci layout "$D/twice" same-twice gzip
	run_rkt fetch "oci:$D/twice:v1"
	expect_status 0
	run rkt push "$(tail -1 <<<"$output")" "$E/into/twice"
	expect_status 0
	[ "$(grep -c "^image: pushing layer" <<<"$output")" = 3 ]
}

# on_terminal STEP...: rkt push of example.com/app with them, to $1
on_terminal() {
	local to=$1
	shift
	run python3 "$TESTS/cli/terminal.py" 24x100 "$@" -- "$RKT" \
		--dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" push example.com/app "$to"
}

@test "on a terminal a line for each layer, and notices above them" {
	lying
	stored app
	on_terminal "$E/once/app" --screen
	expect_status 0
	[ "$(grep -c "^Uploading layer sha256:[0-9a-f]\{12\}: \[=*>\? *\] " \
		<<<"$output")" = 2 ]
	[ "$(grep -c "^Uploading" <<<"$output")" = 2 ]
	[ "$(grep -c "^image: .* 500 .*; trying again" <<<"$output")" -ge 2 ]
	[ "$(grep -c "^image: pushing layer" <<<"$output")" = 2 ]
}

# nobody_works: no process has the mark of this test in its environment
nobody_works() {
	! grep -qz "^RKT_TEST_MARK=$D\$" /proc/[0-9]*/environ 2>/dev/null
}

@test "interrupted it says so, and leaves nothing" {
	lying
	stored app
	rkt push example.com/app "$E/into/first" >/dev/null 2>&1
	find "$D/data/cas/tmp" | sort >"$D/before"
	export RKT_TEST_MARK=$D
	on_terminal "$E/silent/app" 'Uploading layer:send:\x03'
	unset RKT_TEST_MARK
	[ "$status" = 254 ] # ended by the signal
	expect_output "push: interrupted: it is not complete, and nothing of it is left on this machine"
	[ "$(grep -c "push: " <<<"$output")" = 1 ]
	wait_for 20 nobody_works
	find "$D/data/cas/tmp" | sort | diff "$D/before" -
	run rkt push example.com/app "$E/into/app"
	expect_status 0
}

# --- to a web server ----------------------------------------------------------

W=https://example.com

# signed NAME: $D/NAME.aci, whose .asc is by a key in $D/key
signed() {
	export GNUPGHOME=$D/gnupg
	mkdir -m 0700 "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' --quick-gen-key \
		"good <good@example.com>" ed25519 sign never
	gpg --armor --export good@example.com >"$D/key"
	cp "$F/images/$1.aci" "$D/$1.aci"
	gpg --batch --yes --quiet --armor --output "$D/$1.aci.asc" \
		--detach-sign "$D/$1.aci"
	gpgconf --kill all
}

put_refused() {
	run rkt push --no-signature "$F/images/lib.aci" "$W/$1/x.aci"
	echo "$1: $output"
	expect_status 254
	expect_output "$2"
	[[ $output != *$'\e'* ]]
}

@test "PUT: a file and its signature, which fetch then trusts" {
	web_serves "$F/web"
	signed lib
	run rkt push "$D/lib.aci" "$W/dir/lib.aci"
	expect_status 0
	expect_output "no key of who signed is trusted for example.com/lib"
	expect_output "Uploading ACI: " "Uploading signature: "
	cmp "$D/lib.aci" "$F/web/example.com/dir/lib.aci"
	cmp "$D/lib.aci.asc" "$F/web/example.com/dir/lib.aci.asc"
	rkt trust --prefix=example.com --skip-fingerprint-review "$D/key" \
		>/dev/null 2>&1
	run rkt push "$D/lib.aci" "$W/dir/lib.aci"
	expect_status 0
	expect_no_output "unchecked"
	run rkt fetch "$W/dir/lib.aci"
	expect_status 0
	# A signature of something else is not sent.
	rm "$F/web/example.com/dir/lib.aci"
	run rkt push --signature="$D/lib.aci.asc" "$F/images/app.aci" \
		"$W/dir/lib.aci"
	expect_status 254
	[ ! -e "$F/web/example.com/dir/lib.aci" ]
	run rkt push --signature="$D/none" "$D/lib.aci" "$W/dir/lib.aci"
	expect_status 254
	expect_output "open signature"
}

@test "PUT: a stored image, compressed, or as it was signed" {
	web_serves "$F/web"
	stored lib app
	run rkt push example.com/app "$W/app.aci"
	expect_status 0
	expect_output "compressed with gzip"
	[ "$(zcat "$F/web/example.com/app.aci" | sha512sum)" = \
		"$(sha512sum <"$D"/data/cas/blob/"$(id_of app)".tar)" ]
	[ ! -e "$F/web/example.com/app.aci.asc" ]
	rkt image export example.com/app "$D/app.aci"
	signed lib
	gpg --batch --yes --quiet --armor --output "$D/app.asc" \
		--detach-sign "$D/app.aci"
	gpgconf --kill all
	rkt trust --prefix=example.com --skip-fingerprint-review "$D/key" \
		>/dev/null 2>&1
	run rkt push --signature="$D/app.asc" example.com/app "$W/app.aci"
	expect_status 0
	expect_output "uncompressed"
	run rkt fetch --pull-policy=new "$W/app.aci"
	expect_status 0
}

id_of() {
	rkt image list --no-legend --full --fields=id,name |
		awk -v n="$1" '$2 ~ n { print $1 }' |
		xargs -I{} sh -c "basename $D/data/cas/blob/{}*.tar .tar"
}

@test "PUT: credentials, redirections, servers that fail" {
	web_serves "$F/web"
	mkdir -p "$D/local/auth.d"
	put_refused basic "401 Unauthorized (credentials for a host come from auth.d"
	echo '{"rktKind": "auth", "rktVersion": "v1", "type": "basic",
		"domains": ["example.com"], "credentials":
		{"user": "user", "password": "password"}}' \
		>"$D/local/auth.d/auth.json"
	for what in basic to-files once-503 drop-100 status-200; do
		run rkt push --no-signature "$F/images/lib.aci" \
			"$W/$what/$what.aci"
		echo "$what: $output"
		expect_status 0
		[ "$what" = status-200 ] || cmp "$F/images/lib.aci" \
			"$F/web/example.com/$what.aci"
	done
	expect_no_output "PUT"
	put_refused to-cdn "401 Unauthorized"
	put_refused to-http "only https is allowed"
	put_refused to-file "only https is allowed"
	put_refused to-loop "redirects more than 10 times"
	put_refused deny "403 Forbidden: <p>No ?[31mway?[0m: xxx"
	put_refused deny-5000 "403 Forbidden: <p>No ?[31mway?[0m: xxx"
	put_refused status-409 "409"
	put_refused lose "has it not (404)"
	put_refused short-10 "the server has 10 bytes"
	run rkt push --no-signature "$F/images/lib.aci" \
		http://example.com/plain.aci
	expect_status 0
	cmp "$F/images/lib.aci" "$F/web/example.com/plain.aci"
}

@test "PUT: what is no image is not sent" {
	web_serves "$F/web"
	echo nothing >"$D/x.aci"
	run rkt push "$D/x.aci" "$W/x.aci"
	expect_status 254
	expect_output "image $D/x.aci"
	run rkt push "$D/none.aci" "$W/x.aci"
	expect_status 254
	run grep -c PUT "$F/log"
	[ "$output" = 0 ]
}
