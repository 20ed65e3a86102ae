#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# The configuration directories and rkt config.

load lib

# config DIR FILE JSON: a file of $D/DIR, readable by its owner alone
config() {
	mkdir -p "$(dirname "$D/$1/$2")"
	(umask 077 && printf '%s\n' "$3" >"$D/$1/$2")
}

# basic DOMAINS USER: a file with basic credentials
basic() {
	echo '{"rktKind": "auth", "rktVersion": "v1", "domains": ['"$1"'],
		"type": "basic", "credentials": {"user": "'"$2"'",
		"password": "secret"}}'
}

paths() {
	echo '{"rktKind": "paths", "rktVersion": "v1", "data": "'"$1"'"}'
}

# as_configured ARGS: rkt without --dir
as_configured() {
	"$RKT" --local-config="$D/local" --system-config="$D/system" "$@"
}

@test "config prints what counts, in rkt's form" {
	run --separate-stderr rkt config
	expect_status 0
	[ -z "$stderr" ]
	jq -e '(.stage0 | map(.rktKind)) == ["paths", "stage1"] and
		.stage0[0].data == "/var/lib/rkt" and
		all(.stage0[]; .rktVersion == "v1")' <<<"$output"
	[[ $output == *$'\n\t"stage0": ['* ]]
	run rkt config --pretty-print=false
	[ "${#lines[@]}" = 1 ]
	run rkt config extra
	expect_status 254
}

@test "later directories override: per domain, registry and path" {
	config system auth.d/common.json '{"rktKind": "auth",
		"rktVersion": "v1", "type": "oauth",
		"domains": ["coreos.com", "tectonic.com", "kubernetes.io"],
		"credentials": {"token": "common-token"}}'
	config local auth.d/mine.json "$(basic '"coreos.com"' foo)"
	config user auth.d/me.json "$(basic '"kubernetes.io"' me)"
	config system auth.d/docker.json '{"rktKind": "dockerAuth",
		"rktVersion": "v1", "registries": ["quay.io", "gcr.io"],
		"credentials": {"user": "a", "password": "b"}}'
	config local auth.d/docker.json '{"rktKind": "dockerAuth",
		"rktVersion": "v1", "registries": ["gcr.io"],
		"credentials": {"user": "goo", "password": "gle"}}'
	config local auth.d/aws.json '{"rktKind": "auth", "rktVersion": "v1",
		"domains": ["my.s3.amazonaws.com"], "type": "aws",
		"credentials": {"accessKeyID": "i", "secretAccessKey": "k"}}'
	config system paths.d/paths.json '{"rktKind": "paths",
		"rktVersion": "v1", "data": "/a", "stage1-images": "/b"}'
	config local paths.d/other.json "$(paths /c)"
	config local stage1.d/s.json '{"rktKind": "stage1",
		"rktVersion": "v1", "name": "example.com/stage1",
		"version": "1.2.3", "location": "https://example.com/s.aci"}'
	run --separate-stderr rkt --user-config="$D/user" config
	expect_status 0
	[ -z "$stderr" ]
	jq -ce '.stage0[] | del(.rktVersion)' <<<"$output" >got
	cat >want <<-'END'
		{"rktKind":"auth","domains":["coreos.com"],"type":"basic","credentials":{"user":"foo","password":"secret"}}
		{"rktKind":"auth","domains":["kubernetes.io"],"type":"basic","credentials":{"user":"me","password":"secret"}}
		{"rktKind":"auth","domains":["my.s3.amazonaws.com"],"type":"aws","credentials":{"accessKeyID":"i","secretAccessKey":"k"}}
		{"rktKind":"auth","domains":["tectonic.com"],"type":"oauth","credentials":{"token":"common-token"}}
		{"rktKind":"dockerAuth","registries":["gcr.io"],"credentials":{"user":"goo","password":"gle"}}
		{"rktKind":"dockerAuth","registries":["quay.io"],"credentials":{"user":"a","password":"b"}}
		{"rktKind":"paths","data":"/c","stage1-images":"/b"}
		{"rktKind":"stage1","name":"example.com/stage1","version":"1.2.3","location":"https://example.com/s.aci"}
	END
	diff want got
}

@test "only regular files called .json count" {
	config local paths.d/a.json "$(paths /c)"
	config local paths.d/a.json.bak broken
	config local paths.d/README broken
	config local paths.d/sub.json/b.json broken
	ln -s /dev/null "$D/local/paths.d/link.json"
	mkfifo "$D/local/paths.d/fifo.json"
	run rkt config
	expect_status 0
	jq -e '.stage0[0].data == "/c"' <<<"$output"
}

@test "what is wrong is named with file and place" {
	config local paths.d/p.json '{"rktKind": "paths",
		"rktVersion": "v1", "data": "c"}'
	run rkt config
	expect_status 254
	expect_output "configuration file $D/local/paths.d/p.json: data: must be an absolute path"
	config local paths.d/p.json '{"rktKind": "paths",'
	run rkt config
	expect_status 254
	expect_output "$D/local/paths.d/p.json: line 2, column 1: "
	config local paths.d/p.json '{"rktVersion": "v1"}'
	run rkt config
	expect_output "p.json: \"rktKind\" is missing"
	rm "$D/local/paths.d/p.json"
	config local auth.d/1.json "$(basic '"a.com", "b.com"' x)"
	config local auth.d/2.json "$(basic '"c.com", "b.com"' x)"
	run rkt config
	expect_status 254
	expect_output "auth.d/2.json: domains[1]: credentials for \"b.com\" are already specified in this directory"
	# What nobody asks for is not read.
	run rkt image list
	expect_status 0
}

@test "the data directory: --dir, then paths.d" {
	config system paths.d/p.json "$(paths "$D/from-system")"
	image_inside "$D/i.aci"
	run as_configured --insecure-options=image fetch "$D/i.aci"
	expect_status 0
	[ -d "$D/from-system/cas" ]
	config local paths.d/p.json "$(paths "$D/from-local")"
	run as_configured image list --no-legend
	expect_status 0
	[ -z "$output" ]
	run as_configured --dir="$D/from-system" image list --no-legend
	expect_output example.com/inside
	config local paths.d/q.json "$(paths "$D/again")"
	run as_configured image list
	expect_status 254
	expect_output "q.json: data: is already specified in this directory"
	run as_configured --dir="$D/from-system" image list --no-legend
	expect_status 0
}

@test "credentials for all to read are used, with a warning" {
	config local auth.d/a.json "$(basic '"a.com"' x)"
	chmod 0644 "$D/local/auth.d/a.json"
	run --separate-stderr rkt config
	expect_status 0
	[[ $stderr == "config: warning: $D/local/auth.d/a.json holds credentials and every user may read it"* ]]
	jq -e '.stage0[0].credentials.user == "x"' <<<"$output"
}
