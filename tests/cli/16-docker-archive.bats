#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# docker-archive:FILE: what skopeo and `docker save` write, and what neither
# would (oci.py).

load lib
load servers

# runs ARCHIVE VERSION: it has a busybox, and /etc/version says that
runs() {
	run_rkt run --net=none "docker-archive:$1" --exec=/bin/busybox -- \
		cat /etc/version
	expect_status 0
	expect_output "$2"
	nothing_left
}

nothing_left() {
	[ -z "$(find "$D/data/cas/tmp" -type f)" ]
}

# refused ARCHIVE TEXT...: it is not fetched, and nothing of it is kept
refused() {
	run_rkt fetch "docker-archive:$1"
	echo "$1: $output"
	expect_status 254
	[ "$(grep -c '^fetch: ' <<<"$output")" = 1 ]
	[[ $output != *$'\e'* ]]
	expect_output "${@:2}"
	nothing_left
}

@test "what skopeo writes, compressed or not" {
	local file
	oci layout "$D/app" busybox gzip
	skopeo copy -q --insecure-policy "oci:$D/app:v1" \
		"docker-archive:$D/app.tar:test/app:one"
	skopeo copy -q --insecure-policy "oci:$D/app:v1" \
		"docker-archive:$D/plain.tar"
	gzip -c "$D/app.tar" >"$D/app.tar.gz"
	for file in app.tar app.tar:test/app:one app.tar:docker.io/test/app:one \
		app.tar:@0 app.tar.gz plain.tar; do
		runs "$D/$file" gzip
	done
	run rkt image list --no-legend --fields=name
	expect_output "registry-1.docker.io/test/app:one" plain
	# All have the same layers.
	[ "$(rkt image list --no-legend --all --fields=name |
		grep -c oci-layer)" = 2 ]
	run rkt image cat-manifest registry-1.docker.io/test/app:one
	jq -e '.app.user == "www" and .app.workingDirectory == "/etc" and
		(.annotations | map({(.name): .value}) | add |
		."appc.io/docker/stopsignal" == "SIGQUIT" and
		(."appc.io/docker/config" | fromjson | .author) == "me" and
		has("appc.io/docker/manifest") == false)' <<<"$output"
	refused "$D/app.tar:test/app" \
		"there is no image test/app in it, but: docker.io/test/app:one"
	refused "$D/app.tar:@1" "there is no image @1 in it"
}

@test "what docker save writes, and wrote" {
	local how
	for how in legacy blobs manifest-twice linked-list hard-layer; do
		oci saved "$D/$how.tar" "$how"
		runs "$D/$how.tar" "$how"
	done
	oci saved "$D/legacy.tgz" legacy
	runs "$D/legacy.tgz:test/legacy:v1" legacy
}

@test "several images in one: the reference chooses" {
	oci saved "$D/a.tar" several
	refused "$D/a.tar" \
		"manifest.json: there are 3 images in it, say which by FILE:NAME:TAG or FILE:@N: test/several:v1, @1, a/b:c"
	runs "$D/a.tar:example.com:5000/d:latest" several
	runs "$D/a.tar:example.com:5000/d" several
	runs "$D/a.tar:a/b:c" several
	runs "$D/a.tar:@1" several
	run rkt image list --no-legend --fields=name
	expect_output "example.com_5000/d:latest" \
		"registry-1.docker.io/a/b:c" $'\na'
}

@test "what is no archive of docker's, and what no docker made" {
	local how text
	echo nothing >"$D/x.tar"
	refused "$D/x.tar" "not an image"
	refused "$D" "it is not an archive"
	refused "$D/missing.tar" "missing.tar: No such file"
	refused "" "it names no file"
	refused "$D/x.tar:UPPER" "invalid image string"
	refused "$D/x.tar:@x" "behind the '@' is no number"
	oci layout "$D/layout" plain
	tar -cf "$D/layout.tar" -C "$D/layout" .
	refused "$D/layout.tar" "is no archive of docker's: it has no file manifest.json"
	while read -r how text; do
		oci saved "$D/$how.tar" "$how"
		refused "$D/$how.tar" "$text"
		unlink "$D/$how.tar"
	done <<-END
		none there is no image in it
		not-json manifest.json:
		huge-json open manifest.json: it is longer than
		deep-json manifest.json:
		list-outside it has no file manifest.json
		list-is-a-link-to-itself it has no file manifest.json
		list-is-a-directory it has no file manifest.json
		layer-outside layer.tar in the archive
		layer-in-a-loop layer.tar in the archive
		layer-above manifest.json:
		config-above manifest.json:
		layer-missing layer.tar in the archive
		config-missing .json in the archive
		layer-other unpacked it has the digest sha256:
		config-other the image's configuration has the digest sha256:
		layer-too-many the archive has 5 layers, the configuration 4
		layer-too-few the archive has 3 layers, the configuration 4
		no-layers the archive has 0 layers, the configuration 4
		layer-is-a-directory layer.tar in the archive
		sparse-layer holes
	END
	run rkt image list --no-legend
	[ -z "$output" ]
	# Cut anywhere, it is an error and not a part of an image.
	oci saved "$D/legacy.tar" legacy
	for how in 1000 100000 1900000; do
		head -c "$how" "$D/legacy.tar" >"$D/cut.tar"
		refused "$D/cut.tar"
	done
}

@test "a signature is not asked for, but that nobody checks one is" {
	oci saved "$D/a.tar" blobs
	run rkt fetch "docker-archive:$D/a.tar"
	expect_status 254
	expect_output "signature verification for docker images is not supported (try --insecure-options=image)"
}
