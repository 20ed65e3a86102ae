#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# Images of registries and of OCI layouts: docker-registry, filled by skopeo,
# and a registry that lies (oci.py).

load lib
load servers

DIGEST=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

setup_file() {
	load lib
	load servers
	mkdir -p "$F/www" "$F/registry"
	certificate
	oci layout "$F/www/app" busybox one
	oci layout "$F/www/app2" busybox two
	cat >"$F/registry.yml" <<-END
		version: 0.1
		storage: {filesystem: {rootdirectory: $F/registry}}
		http: {addr: "127.0.0.1:5000"}
		log: {level: error}
	END
	server docker-registry serve "$F/registry.yml"
	names_local
	registry_lies "$F/www"
	wait_for 20 curl -sf http://127.0.0.1:5000/v2/ -o /dev/null
	push app one
	push app2 two
}

teardown_file() {
	servers_stop
}

setup() {
	setup_test
	: >"$F/log"
	export CURL_CA_BUNDLE=$F/cert.pem
}

# push LAYOUT TAG: into docker-registry
push() {
	skopeo copy -q --insecure-policy --dest-tls-verify=false \
		"oci:$F/www/$1:v1" "docker://127.0.0.1:5000/test/app:$2"
}

run_plain() {
	run rkt --insecure-options=image,http "$@"
}

n_layers() {
	grep -rL '"dependencies"' "$D/data/cas/manifest" | wc -l
}

@test "docker://: fetched from a registry, run, not downloaded again" {
	run_plain fetch docker://127.0.0.1:5000/test/app:one
	expect_status 0
	[ "$(grep -c "fetching layer" <<<"$output")" = 2 ]
	[ "$(n_layers)" = 2 ]
	run_plain run --net=none docker://127.0.0.1:5000/test/app:one \
		--exec=/bin/busybox -- sh -c \
		"id; pwd; echo \$GREETING; cat version"
	expect_status 0
	expect_output "uid=33(www) gid=44"
	expect_output "/etc"
	expect_output "hello"
	expect_output "one"
	expect_no_output "fetching layer"
	run_plain fetch docker://127.0.0.1:5000/test/app:one
	expect_status 0
	expect_no_output "fetching layer"
	run_plain fetch docker://127.0.0.1:5000/test/app:two
	[ "$(grep -c "fetching layer" <<<"$output")" = 1 ]
	[ "$(n_layers)" = 3 ]
}

@test "docker://: what was fetched is found by what it was fetched from" {
	image=docker://127.0.0.1:5000/test/app
	run_plain fetch --full $image:one
	id=${lines[-1]}
	run rkt image cat-manifest $image:one
	expect_status 0
	jq -e '.name | endswith("/test/app")' <<<"$output"
	run rkt image export $image:one "$D/out.aci"
	expect_status 0
	run rkt image verify $image:one
	expect_status 0
	expect_output "$id"
	run rkt image cat-manifest $image:two
	expect_status 254
	expect_output "image \"$image:two\" not found in the store"
	run rkt image cat-manifest docker://
	expect_status 254
	run rkt image rm $image:one
	expect_status 0
	expect_output "${id:0:30}" '1 image(s) successfully removed'
	run rkt image list --no-legend
	[ -z "$output" ]
}

@test "docker://: its size in the list is that of all its layers" {
	run_plain fetch docker://127.0.0.1:5000/test/app:one
	run_plain fetch docker://127.0.0.1:5000/test/app:two
	rkt image list --format=json >list
	rkt image list --all --format=json >all
	tars=$(stat -c %s "$D"/data/cas/blob/*.tar | awk '{ n += $1 } END { print n }')
	[ "$(jq 'map(.size) | add' all)" = "$tars" ]
	[ "$(jq length list)" = 2 ]
	# One layer is in both: busybox.
	jq -e --argjson tars "$tars" --argjson shared "$(jq 'map(.size) | max' all)" \
		'map(.size) | add == $tars + $shared' list
	[ "$(rkt image list --no-legend --full --fields=size | sort -n)" = \
		"$(jq '.[].size' list | sort -n)" ]
}

@test "docker://: the manifest says what the configuration said" {
	run_plain fetch docker://127.0.0.1:5000/test/app:one
	run rkt image cat-manifest 127.0.0.1_5000/test/app:one
	expect_status 0
	jq -e '.app.exec == ["/bin/busybox", "id"] and .app.user == "www" and
		.app.workingDirectory == "/etc" and
		.app.ports[0].name == "80-tcp" and
		.app.mountPoints[0].path == "/var/data" and
		(.labels | map({(.name): .value}) | add) ==
		{version: "one", os: "linux", arch: "amd64"} and
		(.annotations | map({(.name): .value}) | add |
		.created == "2020-01-02T03:04:05Z" and .authors == "me" and
		."org.example/x" == "y" and
		."appc.io/docker/stopsignal" == "SIGQUIT" and
		."appc.io/docker/repository" == "test/app") and
		(.dependencies | length) == 2' <<<"$output"
}

@test "docker://: by digest, by digest of an index, for another machine" {
	local digest
	digest=$(skopeo inspect --raw --tls-verify=false \
		docker://127.0.0.1:5000/test/app:one | sha256sum)
	run_plain fetch "docker://127.0.0.1:5000/test/app@sha256:${digest%% *}"
	expect_status 0
	run_plain fetch "docker://127.0.0.1:5000/test/app@$DIGEST"
	expect_status 254
	expect_output 404
	run_rkt fetch docker://example.com/list/app:v1
	expect_status 0
	run_rkt fetch docker://example.com/others/app:v1
	expect_status 254
	expect_output "there is no image for linux/amd64 in the index, but: v1 linux/vax"
	run_rkt fetch docker://example.com/list/app:v1,arch=s390x
	expect_status 254
	expect_output "no image for linux/s390x"
}

@test "what is not allowed: without a signature, without https" {
	run rkt fetch docker://127.0.0.1:5000/test/app:one
	expect_status 254
	expect_output "signature verification for docker images is not supported (try --insecure-options=image)"
	run rkt fetch "oci:$F/www/app:v1"
	expect_status 254
	expect_output "--insecure-options=image"
	run_rkt fetch docker://127.0.0.1:5000/test/app:one
	expect_status 254
	run_rkt fetch docker://127.0.0.1:5000/Test
	expect_status 254
	expect_output 'invalid image string "docker://127.0.0.1:5000/Test"'
	run_rkt fetch --pull-policy=never docker://example.com/good/app:v1
	expect_status 254
	expect_output "the pull policy is never"
}

# stops IMAGE SIGNAL [OPTION...]: an app of IMAGE that knows only SIGNAL ends
# by it when its pod is stopped
stops() {
	local image=$1 signal=$2 pod
	shift 2
	pod=$("$RKT" --dir="$D/data" --insecure-options=image run --detach \
		--net=none "$image" --name=app "$@" --exec=/bin/busybox -- \
		sh -c "trap '' TERM; trap 'exit 7' $signal; echo ready
			while :; do busybox sleep 0.05; done")
	wait_for 10 pod_logged "$pod" app ready
	rkt stop "$pod"
	wait_for 10 pod_is "$pod" exited
	run rkt status "$pod"
	expect_output "app-app=7"
}

@test "a pod is stopped by the image's StopSignal, or what is said instead" {
	stops "oci:$F/www/app" QUIT
	stops "oci:$F/www/app" HUP --annotation=rkt.io/stop-signal=1
	image_busybox "$D/plain.aci" \
		'.annotations=[{name:"rkt.io/stop-signal",value:"SIGUSR1"}]'
	stops "$D/plain.aci" USR1
	run_rkt run --net=none "oci:$F/www/app" --exec=/bin/busybox \
		--annotation=rkt.io/stop-signal=NONE
	expect_status 254
	expect_output "annotation rkt.io/stop-signal: must be a signal"
}

@test "an update stops the old version by its StopSignal" {
	uuid=$("$RKT" --dir="$D/data" --insecure-options=image run --detach \
		--net=none "oci:$F/www/app" --name=app --exec=/bin/busybox -- \
		sh -c 'trap "echo quit; exit 0" QUIT; trap "" TERM
			echo ready; while :; do busybox sleep 0.05; done')
	wait_for 10 pod_logged "$uuid" app ready
	run_rkt update --strategy=restart --observe=200ms --allow-rename \
		--image="oci:$F/www/app2" "$uuid"
	echo "$output"
	expect_status 0
	grep -h -q " quit$" "$D"/data/pods/run/"$uuid"/logs/*
	rkt stop --force "$uuid"
}

@test "tokens and passwords" {
	run_rkt fetch docker://example.com/anonymous/app:v1
	expect_status 0
	grep -q "GET /v2/anonymous/app/manifests/v1 200 Bearer t0ken.anonymous" \
		"$F/log"
	for what in token basic; do
		run_rkt fetch "docker://example.com/$what/app:v1"
		expect_status 254
	done
	expect_output "asks for a user and a password: put them into a file of kind dockerAuth"
	# That is no reason to try it without TLS.
	run_plain fetch docker://example.com/basic/app:v1
	expect_status 254
	expect_output "asks for a user and a password"
	expect_no_output "http://"
	run_plain --debug fetch docker://example.com/unwell.manifest/app:v1
	expect_status 254
	expect_output "503 Service Unavailable"
	expect_no_output "trying http"
	password wrong example.com
	run_rkt fetch docker://example.com/basic/app:v1
	expect_status 254
	password secret example.com
	for what in token basic; do
		run_rkt fetch "docker://example.com/$what/app:v1"
		expect_status 0
	done
	grep -q "service=a%20b&scope=repository:token/app:pull 200 Basic" \
		"$F/log"
	run_rkt fetch docker://example.com/strange/app:v1
	expect_status 254
	expect_output "without saying what it wants"
}

@test "a registry that lies is believed nothing" {
	local what
	while read -r what text; do
		run_rkt fetch "docker://example.com/$what/app:v1"
		expect_status 254
		expect_output "$text"
		[ -z "$(find "$D/data/cas/tmp" -type f)" ]
	done <<-END
		config has the digest sha256:
		layer layer sha256:
		diff layer sha256:
		missing 404
		cut layer sha256:
		long sha256:
		schema1 a manifest of schema 1
		loop the manifest has the digest
		html the manifest:
	END
	run rkt image list --no-legend
	expect_no_output "example.com"
	# By digest the manifest itself is checked.
	what=$(jq -r '.manifests[0].digest' "$F/www/app/index.json")
	run_rkt fetch "docker://example.com/manifest/app@$what"
	expect_status 254
	expect_output "the manifest has the digest"
	# What came whole before is used.
	run_rkt fetch docker://example.com/good/app:v1
	expect_status 0
}

@test "oci: layouts: by tag, without one, and what is none" {
	run_rkt fetch "oci:$F/www/app:v1"
	expect_status 0
	run_rkt run --net=none "oci:$F/www/app" --exec=/bin/busybox -- \
		cat /etc/version
	expect_status 0
	expect_output one
	run_rkt fetch "oci:$F/www/app:v2"
	expect_status 254
	expect_output "tagged v2 in the index, but: v1"
	run_rkt fetch "oci:$D"
	expect_status 254
	expect_output "is no OCI image layout"
	run_rkt fetch oci:
	expect_status 254
	expect_output "it names no directory"
}

@test "sha512: digests of it are as good as those of sha256" {
	local digest what
	mkdir -p "$F/www"
	DIGEST=sha512 oci layout "$F/www/long" busybox long
	run_rkt fetch "oci:$F/www/long:v1"
	expect_status 0
	digest=$(jq -r '.manifests[0].digest' "$F/www/long/index.json")
	[ ${#digest} = 135 ]
	run_rkt fetch "docker://example.com/good/long@$digest"
	expect_status 0
	# The layers are those of the layout.
	expect_no_output "fetching layer"
	run rkt image cat-manifest example.com/good/long
	jq -e --arg d "$digest" '.annotations | map({(.name): .value}) | add |
		."appc.io/docker/manifesthash" == $d and
		(."appc.io/docker/imageid" | startswith("sha512:"))' \
		<<<"$output"
	run_rkt run --net=none docker://example.com/good/long:v1 \
		--exec=/bin/busybox -- cat /etc/version
	expect_status 0
	expect_output long
	run_rkt fetch "docker://example.com/manifest/long@$digest"
	expect_status 254
	expect_output "the manifest has the digest sha512:"
	rm -rf "$D/data"
	mkdir "$D/data"
	for what in config layer diff; do
		run_rkt fetch "docker://example.com/$what/long:v1"
		expect_status 254
		expect_output "has the digest sha512:"
	done
	run_rkt fetch docker://example.com/slow/long:v1
	expect_status 0
	expect_output "fetching layer sha512:"
}

@test "digests of an algorithm nobody registered are one clear error" {
	DIGEST=blake2b oci layout "$F/www/other" plain
	run_rkt fetch "oci:$F/www/other:v1"
	expect_status 254
	expect_output "the digest is one of blake2b, and only sha256 and sha512 can be checked"
	[ "$(grep -c '^fetch: ' <<<"$output")" = 1 ]
	run_rkt fetch "docker://example.com/good/app@md5:0123456789abcdef0123456789abcdef"
	expect_status 254
	expect_output "one of md5"
	run_rkt fetch "docker://example.com/good/app@sha512:0123"
	expect_status 254
	expect_output 'the digest is not "sha512:" and 128 hex digits'
}

@test "oci-archive: what skopeo makes, compressed or not, and what is none" {
	local file
	skopeo copy -q --insecure-policy "oci:$F/www/app:v1" \
		"oci-archive:$D/app.tar:v1"
	gzip -c "$D/app.tar" >"$D/app2.tar.gz"
	zstd -q -c "$D/app.tar" >"$D/app3.tar.zst"
	tar -cf "$D/app4.tar" -C "$F/www/app" .
	for file in app.tar app2.tar.gz app3.tar.zst app4.tar; do
		run_rkt run --net=none "oci-archive:$D/$file:v1" \
			--exec=/bin/busybox -- cat /etc/version
		expect_status 0
		expect_output one
		[ -z "$(find "$D/data/cas/tmp" -type f)" ]
	done
	run rkt image list --no-legend --fields=name
	expect_output "app:v1" "app4:v1"
	# Its layers were stored with the first.
	[ "$(rkt image list --no-legend --all --fields=name |
		grep -c oci-layer)" = 2 ]
	run_rkt fetch "oci-archive:$D/app.tar:v2"
	expect_status 254
	expect_output "tagged v2 in the index, but: v1"
	run_rkt fetch "oci-archive:$D/missing.tar"
	expect_status 254
	expect_output "missing.tar"
	echo nothing >"$D/nothing.tar"
	tar -cf "$D/other.tar" -C "$F/www/app" index.json
	head -c 100000 "$D/app.tar" >"$D/cut.tar"
	head -c 100000 "$D/app2.tar.gz" >"$D/cut.tar.gz"
	for file in nothing.tar other.tar cut.tar cut.tar.gz; do
		run_rkt fetch "oci-archive:$D/$file"
		echo "$file: $output"
		expect_status 254
		[ -z "$(find "$D/data/cas/tmp" -type f)" ]
	done
	run_rkt fetch "oci-archive:$D/other.tar"
	expect_output "is no OCI image layout: it has no file oci-layout"
}

@test "oci-archive: a layer that is another one, or a link, is refused" {
	local layer
	cp -r "$F/www/app" "$D/lie"
	layer=$(find "$D/lie/blobs" -size +100k)
	printf X | dd of="$layer" bs=1 seek=5000 conv=notrunc status=none
	tar -cf "$D/lie.tar" -C "$D/lie" .
	run_rkt fetch "oci-archive:$D/lie.tar"
	expect_status 254
	expect_output ": layer sha256:"
	ln -sf /etc/passwd "$layer"
	tar -cf "$D/link.tar" -C "$D/lie" .
	run_rkt fetch "oci-archive:$D/link.tar"
	expect_status 254
	expect_output "there is no blobs/sha256/${layer##*/} in the archive"
}

# tree_of ID: where ID's root file system is mounted
tree_of() {
	local m
	for m in /run/rkt/img/*/"$1"/rootfs; do
		[ ! -d "$m" ] || echo "$m"
	done
}

@test "layers: unpacked, mounted and umoci's, all the same" {
	local case id
	skip_without mountable
	for case in $(oci cases good); do
		oci layout "$D/$case" "$case" gzip
		umoci raw unpack --image "$D/$case:v1" "$D/umoci-$case"
		id=$(rkt --insecure-options=image fetch --full \
			"oci:$D/$case:v1" 2>/dev/null)
		id=$(basename "$(echo "$D"/data/cas/manifest/"$id"*)")
		rkt image render "$id" "$D/rendered-$case"
		# An image is mounted for its first pod.
		rkt run --net=none "$id" >/dev/null 2>&1 || true
		echo "$case"
		[ -n "$(tree_of "$id")" ]
		python3 "$BATS_TEST_DIRNAME/compare.py" \
			"$D/rendered-$case/rootfs" "$(tree_of "$id")"
		# When umoci removed something from a directory is seen there.
		find "$D/umoci-$case" "$D/rendered-$case/rootfs" -type d \
			-exec touch -d @0 {} +
		python3 "$BATS_TEST_DIRNAME/compare.py" "$D/umoci-$case" \
			"$D/rendered-$case/rootfs"
		run rkt image verify "$id"
		expect_status 0
	done
}

@test "layers: an exported image has them in it" {
	local case id other
	for case in replace opaque-new hard-links-below hard-link-moves \
		odd-names; do
		oci layout "$D/$case" "$case" gzip
		id=$(rkt --insecure-options=image fetch --full \
			"oci:$D/$case:v1" 2>/dev/null)
		rkt image render "$id" "$D/rendered-$case"
		rkt image extract "$id" "$D/extracted-$case"
		rkt image export "$id" "$D/$case.aci"
		"$ACTOOL" validate "$D/$case.aci"
		rkt image cat-manifest "$id" | jq 'del(.dependencies)' \
			>"$D/want.json"
		rm -rf "$D/data"
		mkdir "$D/data"
		id=$(rkt --insecure-options=image fetch --full "$D/$case.aci" \
			2>/dev/null)
		echo "$case"
		rkt image cat-manifest "$id" | jq . | diff - "$D/want.json"
		jq . "$D/rendered-$case/manifest" | diff - "$D/want.json"
		rkt image render "$id" "$D/again-$case"
		for other in again extracted; do
			python3 "$BATS_TEST_DIRNAME/compare.py" \
				"$D/rendered-$case/rootfs" \
				"$D/$other-$case/rootfs"
		done
	done
}

@test "layers: an image is exported with its layers, a layer is not" {
	local id
	run_rkt fetch "oci:$F/www/app:v1"
	id=$(tail -1 <<<"$output")
	run rkt image export "$id" "$D/one.aci"
	expect_status 0
	run rkt image export --overwrite "$id" "$D/one.aci"
	expect_status 0
	id=$(rkt image list --no-legend --all --full --fields=id,name |
		awk '/oci-layer/ { print $1; exit }')
	run rkt image export "$id" "$D/layer.aci"
	expect_status 254
	expect_output "it is a layer of an OCI image and no image by itself"
	[ ! -e "$D/layer.aci" ]
	rm -rf "$D/data"
	mkdir "$D/data"
	run rkt --insecure-options=image image import - <"$D/one.aci"
	expect_status 0
	run_rkt run --net=none "$(tail -1 <<<"$output")" \
		--exec=/bin/busybox -- cat /etc/version
	expect_status 0
	expect_output one
}

@test "layers: what leads out of them is refused, what is odd is not" {
	local case driver
	for case in $(oci cases bad-); do
		oci layout "$D/$case" "$case"
		run_rkt fetch "oci:$D/$case:v1"
		echo "$case: $output"
		expect_status 254
		expect_output ": layer sha256:"
	done
	# Each layer is one, their sum is not.
	for case in $(oci cases broken-); do
		oci layout "$D/$case" "$case"
		for driver in erofs tree; do
			run_rkt --image-driver=$driver fetch "oci:$D/$case:v1"
			echo "$case: $output"
			expect_status 254
			expect_output "it is a hard link to" \
				"no layer below it has such a file"
		done
	done
	for case in $(oci cases odd-); do
		oci layout "$D/$case" "$case"
		run_rkt fetch "oci:$D/$case:v1"
		expect_status 0
	done
	[ ! -e "$D/x" ]
}

@test "layers are not listed, stay with their image and go with it" {
	run_plain fetch docker://127.0.0.1:5000/test/app:one
	run rkt image list --no-legend --fields=name
	expect_output "127.0.0.1_5000/test/app:one"
	expect_no_output "oci-layer/"
	run rkt image list --no-legend --all --fields=name
	[ "$(grep -c oci-layer/sha256- <<<"$output")" = 2 ]
	# Though its manifest, as it is stored, does not name them any more.
	sed -i 's/"dependencies"/"dependenciez"/' "$(grep -l '"dependencies"' \
		"$D"/data/cas/manifest/*)"
	run rkt image gc --grace-period=0s --keep-newest=1
	expect_status 0
	[ "$(n_layers)" = 2 ]
	run_plain run --net=none --pull-policy=never \
		docker://127.0.0.1:5000/test/app:one \
		--exec=/bin/busybox -- cat /etc/version
	expect_status 0
	rkt gc --grace-period=0s
	run rkt image gc --grace-period=0s
	expect_status 0
	[ "$(n_layers)" = 0 ]
}

@test "no App Container Image may take the name of a layer" {
	image_inside "$D/a.aci" '.' "oci-layer/sha256-${DIGEST#*:}" 1.0.0
	run_rkt fetch "$D/a.aci"
	expect_status 254
	expect_output "belong to layers of OCI images"
}

@test "killed at any time: gc leaves nothing, the next fetch is whole" {
	local i pid
	for i in 1 2 3 4; do
		rkt --insecure-options=image fetch \
			docker://example.com/good/app:v1 >/dev/null 2>&1 &
		pid=$!
		sleep "0.$((i * 11))"
		pkill -9 -P $pid rkt || true
		kill -9 $pid 2>/dev/null || true
		wait $pid || true
		rkt image gc --grace-period=0s
		[ -z "$(find "$D/data/cas/tmp" -type f)" ]
		[ -z "$(find "$D/data/cas/blob" -type f)" ]
	done
	run_rkt run --net=none docker://example.com/good/app:v1 \
		--exec=/bin/busybox -- cat /etc/version
	expect_status 0
	expect_output one
}

@test "an image that was changed is pushed as it is now" {
	local id
	run_plain fetch docker://127.0.0.1:5000/test/app:one
	id=$(grep -l '"dependencies"' "$D"/data/cas/manifest/*)
	"$ACTOOL" patch-manifest --name=example.com/changed \
		--exec="/bin/busybox echo changed" \
		"$D/data/cas/blob/${id##*/}.tar" "$D/changed.aci"
	run_plain fetch "$D/changed.aci"
	expect_status 0
	run_plain push example.com/changed \
		docker://127.0.0.1:5000/test/changed:1
	expect_status 0
	skopeo inspect --config --tls-verify=false \
		docker://127.0.0.1:5000/test/changed:1 >"$D/config"
	jq -e '.config | .Entrypoint + .Cmd |
		. == ["/bin/busybox", "echo", "changed"]' "$D/config"
}
