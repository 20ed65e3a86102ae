#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt of an ordinary user: who she is in her pods, what is hers, and what is
# refused.

load lib
load rootless

@test "a user runs a pod: her users are the pod's" {
	with_range
	ann_inside print-ids
	expect_value uid 0
	ann_inside read /proc/self/uid_map
	expect_output "0       1500          1" "1     300000      65536"
	[ "$(stat -c '%u %a' "$STORE")" = "$UID_OF_ANN 700" ]
	[ ! -e /var/lib/rkt/cas ]
}

@test "files of the image and of the app have owners of her range" {
	with_range
	ann_inside stat /etc/owned
	expect_output 700 701
	ann_inside check-dev
	ann_starts web sleep 600
	pid=$(cat "$STORE/pods/run/$uuid/pid")
	run sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$pid/status"
	[ "$output" = 365533 ]
	ann_rkt stop web
	expect_status 0
	ann_rkt rm web
	expect_status 0
	[ ! -e "$STORE/pods/run/$uuid" ]
}

@test "credentials of the host that she may not read are not hers" {
	local text='{"rktKind": "auth", "rktVersion": "v1", "type": "basic",
		"domains": ["DOMAIN"], "credentials":
		{"user": "ann", "password": "secret"}}'
	mkdir -p /etc/rkt/auth.d "$D/home/.config/rkt/auth.d"
	install -m 0600 /dev/stdin /etc/rkt/auth.d/host.json \
		<<<"${text/DOMAIN/host.example.com}"
	install -m 0600 -o "$UID_OF_ANN" /dev/stdin \
		"$D/home/.config/rkt/auth.d/hers.json" \
		<<<"${text/DOMAIN/hers.example.com}"
	for mode in 0755 0700; do
		chmod "$mode" /etc/rkt/auth.d
		ann_rkt config
		expect_status 0
		expect_output hers.example.com
		expect_no_output host.example.com
	done
	# Her own she can mend.
	chmod 0 "$D/home/.config/rkt/auth.d/hers.json"
	ann_rkt config
	expect_status 254
	expect_output 'hers.json: open: Permission denied'
}

@test "without a range the user is alone in her pods" {
	image_inside "$D/alone.aci" && chmod 0644 "$D/alone.aci"
	ann_rkt run --net=none "$D/alone.aci" -- print-ids
	expect_status 254
	expect_output "/etc/owned" "user=700"
	mkdir -p alone/rootfs
	cp "$INSIDE" alone/rootfs/inside
	image_tree alone example.com/alone 1.0.0 '.app.exec=["/inside"]'
	chmod 0644 alone.aci
	ann_rkt run --net=none "$PWD/alone.aci" -- read /proc/self/uid_map
	expect_status 0
	expect_output "0       1500          1"
	ann_rkt run --net=none "$PWD/alone.aci" --user=7 -- print-ids
	expect_status 254
	expect_output "user 7" /etc/subuid
}

@test "networks of pods and private users are refused in one line" {
	with_range
	ann_rkt run "$F/inside.aci" -- print-ids
	expect_status 254
	expect_output "networks of pods need root" "--net=host" "--net=none"
	ann_rkt run --net=none --private-users "$F/inside.aci" -- print-ids
	expect_status 254
	expect_output "--private-users needs root"
	ann_rkt metadata-service
	expect_status 254
	expect_output "cannot run as unprivileged user"
}

@test "one namespace for all who work on a store, none after them" {
	with_range
	ann_starts one sleep 600
	first=$(readlink "/proc/$(cat "$STORE/pods/run/$uuid/pid")/ns/user")
	ann_starts two sleep 600
	second=$(readlink "/proc/$(cat "$STORE/pods/run/$uuid/pid")/ns/user")
	[ "$first" = "$second" ]
	# Its holder is killed: a pod leads there, and there is a new one.
	read -r holder _ <"$STORE/users"
	kill -9 "$holder"
	ann_rkt enter one /inside print-ids
	expect_status 0
	expect_value uid 0
	ann_rkt exec two /inside print-ids
	expect_status 0
	ann_starts three sleep 600
	third=$(readlink "/proc/$(cat "$STORE/pods/run/$uuid/pid")/ns/user")
	[ "$first" = "$third" ]
	for name in one two three; do
		ann_rkt stop --force "$name"
		expect_status 0
	done
	wait_for 10 no_holder
}

@test "commands of a user: from fetch to gc" {
	with_range
	ann_rkt fetch "$F/inside.aci"
	expect_status 0
	ann_rkt image list
	expect_output example.com/inside
	ann_rkt prepare "$F/inside.aci" -- exit-code 3
	expect_status 0
	uuid=$(tail -1 <<<"$output")
	ann_rkt run-prepared --net=none "$uuid"
	expect_status 3
	ann_rkt list
	expect_output "${uuid%%-*}" exited
	ann_rkt status "$uuid"
	expect_output app-inside=3
	ann_rkt export --overwrite "$uuid" "$D/home/x.aci"
	expect_status 0
	[ "$(stat -c %u "$D/home/x.aci")" = "$UID_OF_ANN" ]
	ann_rkt gc --grace-period=0s
	expect_status 0
	ann_rkt image gc --grace-period=0s
	expect_status 0
	ann_rkt image list --no-legend
	[ -z "$output" ]
	[ -z "$(ls -A "$STORE/cas/tree")" ]
}

@test "what a user configures and trusts is her own" {
	mkdir "$D/home/keys" && chown "$UID_OF_ANN" "$D/home/keys"
	ann "$PROGRAMS/bin/actool" help >/dev/null
	ann_rkt config
	expect_status 0
	expect_output "$STORE"
}

@test "pods are nobody else's, though the directory is open to others" {
	with_range
	[ "$(ann sh -c 'umask 022; mkdir ~/open; stat -c %a ~/open')" = 755 ]
	ann_rkt --dir="$D/home/open" run --net=none "$F/inside.aci" -- print-ids
	expect_status 0
	[ "$(stat -c %a "$D/home/open")" = 755 ]
	[ "$(stat -c %a "$D/home/open/pods")" = 700 ]
	[ "$(stat -c %a "$D/home/open/cas/tree")" = 700 ]
	pods_destroy "$D/home/open"
}

@test "ranges: by her number, and lines that are none" {
	with_range
	echo "bob:300000:65536" >/etc/subuid
	echo "$UID_OF_ANN:300000:65536" >>/etc/subuid
	ann_inside print-ids
	: >/etc/subgid
	echo "ann:5:x" >/etc/subgid
	wait_for 10 no_holder
	# None that can be read is none.
	ann_rkt run --net=none "$F/inside.aci" --user=7 -- print-ids
	expect_status 254
	expect_output "user 7" newuidmap
}

@test "a directory of root stays root's, and root's mark is no user's" {
	ann_rkt --dir="$D/data" run --net=none "$F/inside.aci" -- print-ids
	expect_status 254
	expect_output "cannot run as unprivileged user" "$D/data is not yours"
	RKT_ROOTLESS=1500 run_rkt run --net=none "$F/inside.aci" -- print-ids
	expect_status 0
	[ -d "$D/data/pods" ]
}

@test "parts of volumes, what propagates, and secrets" {
	with_range
	mkdir -p "$D/home/v/sub/deep"
	echo part >"$D/home/v/sub/file"
	ln -s /etc "$D/home/v/out"
	echo hidden >"$D/home/secret"
	chown -R "$UID_OF_ANN:$UID_OF_ANN" "$D/home"
	mounts() {
		run --separate-stderr ann "$RKT" --insecure-options=image run \
			--net=none --volume=v,kind=host,source="$D/home/v" \
			--volume=e,kind=empty,mode=0711,uid=5 \
			--volume=m,kind=empty,size=1Mi,mode=0710,gid=6 \
			--secret=s,source="$D/home/secret" "$F/inside.aci" "$@"
	}
	mounts --mount=volume=v,target=/v,subPath=sub,readOnly=true \
		--mount=volume=e,target=/e,subPath=a/b \
		--mount=volume=m,target=/m,subPath=c -- read /v/file and \
		open-write /v/file and stat /e and stat /m and \
		read /run/secrets/s
	expect_status 0
	expect_output read=part open-write.error=EROFS mode=0711 owner=5:0 \
		mode=0710 owner=0:6 read=hidden
	mounts --mount=volume=v,target=/v,subPath=out -- read /v/passwd
	expect_status 254
	[[ $stderr == *"subPath out leads out of the volume"* ]] || fail "$stderr"
	# Her mounts are her own: the host's come, hers stay.
	mount --bind "$D/home/v" "$D/home/v"
	uuid=$(ann "$RKT" --insecure-options=image run --net=none --detach \
		--volume=v,kind=host,source="$D/home/v" "$F/inside.aci" \
		--mount=volume=v,target=/v,propagation=rslave -- \
		sleep 1000)
	mount -t tmpfs tmpfs "$D/home/v/sub"
	echo later >"$D/home/v/sub/file"
	ann_rkt enter "$uuid" /inside read /v/sub/file
	umount "$D/home/v/sub" "$D/home/v"
	expect_output read=later
	ann "$RKT" stop --force "$uuid"
}
