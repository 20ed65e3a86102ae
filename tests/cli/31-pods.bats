#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# prepare, run-prepared, list, status, cat-manifest, rm, gc, start.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci" '.app.mountPoints=[]'
	image_inside "$F/other.aci" . example.com/other 2.0.0
}

prepare() {
	"$RKT" --dir="$D/data" --insecure-options=image prepare --quiet "$@"
}

@test "prepare makes a pod directory, run-prepared runs it once" {
	uuid=$(prepare --volume=v,kind=empty,mode=0711,uid=5,gid=6 \
		--mount=volume=v,target=/v "$F/inside.aci" --user=7 -- \
		exit-code 3)
	p=$D/data/pods/prepared/$uuid
	jq -e '.acKind == "PodManifest" and .apps[0].app.user == "7" and
		.apps[0].app.exec == ["/inside","exit-code","3"]' "$p/pod"
	jq -e '. == ["--mount=volume=v,target=/v","--user=7","--",
		"exit-code","3"]' "$p/args/inside"
	[ "$(stat -c '%a %u %g' "$p/sharedVolumes/v")" = '711 5 6' ]
	[ "$(readlink "$p/appsinfo/inside")" = ../generations/inside/1 ]
	jq -e '.acKind == "ImageManifest"' "$p/appsinfo/inside/manifest"
	grep -qE '^sha512-[0-9a-f]{128}$' "$p/appsinfo/inside/treeStoreID"
	[ "$(stat -c %a "$p/pod")" = 640 ]
	run rkt status "$uuid"
	expect_output state=prepared
	run rkt run-prepared --net=none "$uuid"
	expect_status 3
	run rkt run-prepared --net=none "$uuid"
	expect_status 254
	expect_output "pod \"$uuid\" is not prepared"
	run rkt status "$uuid"
	expect_output state=exited app-inside=3 generation-inside=1
}

@test "list: rows, columns, prefixes and formats" {
	run rkt list
	[ "$(tr -s '\t' '|' <<<"$output")" = \
		'UUID|APP|IMAGE NAME|STATE|CREATED|STARTED|NETWORKS' ]
	run rkt list --format=json
	[ "$output" = null ]
	uuid=$(prepare "$F/inside.aci" "$F/other.aci" --name=second)
	run rkt list --no-legend
	[ "${#lines[@]}" = 2 ]
	[ "$(cut -f1 <<<"${lines[0]}")" = "${uuid:0:8}" ]
	[ "$(tr -s '\t' '|' <<<"${lines[0]}" | cut -d'|' -f2-4)" = \
		'inside|example.com/inside:1.0.0|prepared' ]
	[ "$(tr -s '\t' '|' <<<"${lines[1]}" | cut -d'|' -f2-3)" = \
		'second|example.com/other:2.0.0' ]
	run rkt list --full
	expect_output "$uuid" 'IMAGE ID'
	grep -qE 'sha512-[0-9a-f]{12}	' <<<"$output"
	rkt list --format=json | jq -e --arg u "$uuid" '
		.[0].name == $u and .[0].state == "prepared" and
		.[0].app_names == ["inside","second"] and
		.[0].apps[1].name == "second" and .[0].created_at > 0'
	run rkt list --format=bogus
	expect_status 254
	run rkt status "${uuid:0:6}"
	expect_status 0
	run rkt status "$(tr a-f A-F <<<"$uuid")"
	expect_status 0
	run rkt status nosuch
	expect_status 254
	expect_output 'no matches found for "nosuch"'
}

@test "list and status work after the image is gone" {
	uuid=$(prepare "$F/inside.aci")
	rkt run-prepared --net=none "$uuid" || true
	rkt image rm example.com/inside
	run rkt list --no-legend
	expect_output example.com/inside:1.0.0
	run rkt status "$uuid"
	expect_status 0
}

@test "status: json, timeout, exit codes" {
	uuid=$(prepare "$F/inside.aci")
	run rkt status --wait=200ms "$uuid"
	expect_status 254
	expect_output 'timed out'
	run rkt status --wait=0 "$uuid"
	expect_status 0
	run rkt status --wait=bogus "$uuid"
	expect_status 254
	rkt run-prepared --net=none "$uuid" || true
	run rkt status --wait --wait-ready=false "$uuid"
	expect_status 0
	rkt status --format=json "$uuid" | jq -e '.state == "exited" and
		.apps[0].state == "exited" and .apps[0].exit_code != null and
		.apps[0].finished_at > 1e18 and .apps[0].generation == 1'
}

# times FILTER: what `rkt list` says of the only pod and its only app.
times() {
	rkt list --format=json | jq -e '.[0] | .state as $pod | .apps[0] | '"$1"
}

@test "json: the times of an app in every state of its pod" {
	uuid=$(prepare "$F/inside.aci" -- sleep 60)
	times '$pod == "prepared" and .state == "created" and
		.created_at > 1e18 and .started_at == null and
		.finished_at == null'
	rkt run-prepared --detach --net=none "$uuid"
	times '$pod == "running" and .state == "running" and
		.created_at < .started_at and .finished_at == null'
	rkt stop "$uuid"
	rkt status --wait "$uuid"
	times '$pod == "exited" and .state == "exited" and
		.created_at < .started_at and .started_at < .finished_at'
	rkt list --format=json | jq -e '.[0] | .created_at > 1e9 and
		.created_at <= .started_at'
	rkt start --detach "$uuid"
	times '$pod == "running" and .created_at < .started_at and
		.finished_at == null'
	kill -9 "$(cat "$D/data/pods/run/$uuid/pid")"
	rkt status --wait "$uuid"
	rkt gc --mark-only
	times '$pod == "exited garbage" and .state == "exited" and
		.created_at < .started_at'
	run rkt status "$uuid"
	expect_output created= started=
}

@test "cat-manifest" {
	uuid=$(prepare "$F/inside.aci")
	rkt cat-manifest "$uuid" | jq -e '.acKind == "PodManifest"'
	run rkt cat-manifest --pretty-print=false "$uuid"
	[ "${#lines[@]}" = 1 ]
}

@test "rm: prepared and exited pods, not running ones" {
	a=$(prepare "$F/inside.aci")
	b=$(prepare "$F/inside.aci")
	rkt run-prepared --net=none "$b" || true
	detach_inside --net=none "$F/inside.aci" -- sleep 60
	run rkt rm "$a" "$b" "$uuid"
	expect_status 254
	expect_output "\"$a\"" "\"$b\"" "pod \"$uuid\" is currently running" \
		'failed to remove one or more pods'
	run rkt list --no-legend
	[ "${#lines[@]}" = 1 ]
	run rkt stop "$a"
	expect_status 254
	run rkt stop --force "$uuid"
	expect_status 0
	run rkt rm "$uuid"
	expect_status 0
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
}

@test "gc: marks, waits for the grace period, removes" {
	exited=$(prepare "$F/inside.aci")
	rkt run-prepared --net=none "$exited" || true
	prepared=$(prepare "$F/inside.aci")
	mkdir "$D/data/pods/prepare/aaaaaaaa-0000-4000-8000-000000000000" \
		"$D/data/pods/embryo/aaaaaaaa-0000-4000-8000-000000000001"
	run rkt gc --mark-only
	expect_status 0
	expect_output "moving pod \"$exited\" to garbage" \
		'moving failed prepare "aaaaaaaa-0000-4000-8000-000000000000"'
	run rkt status "$exited"
	expect_output 'state=exited garbage'
	run rkt gc
	expect_status 0
	expect_output "pod \"$exited\" not removed: still within grace period (30m0s)"
	run rkt gc --grace-period=0s
	expect_status 0
	expect_output "Garbage collecting pod \"$exited\""
	run rkt list --no-legend
	[ "${#lines[@]}" = 1 ]
	run rkt gc --expire-prepared=0
	expect_output "moving expired prepared pod \"$prepared\" to garbage"
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
}

@test "start: exited pods only, also marked ones" {
	uuid=$(prepare --volume=v,kind=empty --mount=volume=v,target=/v \
		"$F/inside.aci" -- append /v/log x and exit-code 5)
	run rkt start "$uuid"
	expect_status 254
	expect_output 'use rkt run-prepared'
	run rkt run-prepared --net=none "$uuid"
	expect_status 5
	rkt gc --mark-only
	run rkt start "$uuid"
	expect_status 5
	# Volumes stay, the rest begins anew.
	[ "$(cat "$D/data/pods/run/$uuid/sharedVolumes/v/log")" = xx ]
	detach_inside --net=none "$F/inside.aci" -- sleep 60
	run rkt start "$uuid"
	expect_status 254
	expect_output "pod \"$uuid\" is running"
	rkt stop --force "$uuid"
}

@test "--no-overlay copies the tree with all that is in it" {
	use_driver tree
	uuid=$(prepare --no-overlay "$F/inside.aci")
	p=$D/data/pods/prepared/$uuid/generations/inside/1/rootfs
	t=$(echo "$D"/data/cas/tree/*/rootfs)
	diff <(cd "$p" && find . -printf '%P %y %m %U %G %s %l %T@\n' | sort) \
		<(cd "$t" && find . -printf '%P %y %m %U %G %s %l %T@\n' | sort)
	run rkt run-prepared --net=none "$uuid"
	rkt rm "$uuid"
}

@test "--no-overlay keeps the holes of files" {
	mkdir -p "$D/i/rootfs"
	cp "$INSIDE" "$D/i/rootfs/inside"
	truncate -s 300M "$D/i/rootfs/hole"
	printf middle | dd of="$D/i/rootfs/hole" bs=1 seek=100M conv=notrunc
	printf end >>"$D/i/rootfs/hole"
	image_tree "$D/i" example.com/sparse 1.0.0
	tar -C "$D/i" -Scf "$D/sparse.aci" manifest rootfs
	uuid=$(prepare --no-overlay "$D/sparse.aci")
	p=$D/data/pods/prepared/$uuid/generations/sparse/1/rootfs
	cmp "$p/hole" "$D/i/rootfs/hole"
	[ "$(du -m "$p/hole" | cut -f1)" -lt 10 ]
}

@test "where overlays do not work rkt copies and says so" {
	skip_without overlay
	mkdir "$D/lower" "$D/upper" "$D/work" "$D/over"
	mount -t overlay -o "lowerdir=$D/lower,upperdir=$D/upper,workdir=$D/work" \
		overlay "$D/over"
	run "$RKT" --dir="$D/over/data" --insecure-options=image run --net=none \
		"$F/inside.aci" -- exit-code 3
	"$RKT" --dir="$D/over/data" gc --grace-period=0s
	# Its image is mounted from there.
	"$RKT" --dir="$D/over/data" image gc
	umount "$D/over"
	expect_status 3
	expect_output 'disabling overlay support: "unsupported filesystem: overlayfs"'
}

@test "twenty pods prepared at once" {
	"$RKT" --dir="$D/data" --insecure-options=image fetch "$F/inside.aci"
	for _ in {1..20}; do prepare example.com/inside >>"$D/uuids" & done
	wait
	[ "$(sort -u "$D/uuids" | wc -l)" = 20 ]
	[ "$(rkt list --no-legend | grep -c prepared)" = 20 ]
}
