#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What users of CoreOS rkt expect, each by the command line they would type: the
# 60 rows of the list this project was begun with.  Rows that have a file of
# their own are tested there, by a test that says "(row NN)"; the last test here
# counts them.
# shellcheck disable=SC2154 # bats sets status, output, stderr

load lib
load network
load servers

setup_file() {
	load lib
	load servers
	mkdir -p "$F/www/example.com" "$F/www/cdn.example.com" "$F/oci"
	image_inside "$F/inside.aci" \
		'.app.ports=[{name:"web",protocol:"tcp",port:7005}]'
	image_inside "$F/other.aci" . example.com/other 2.0.0
	image_busybox "$F/busybox.aci"
	image_inside "$F/signed.aci" . example.com/signed
	"$ACTOOL" genkey --name="A <a@example.com>" --output="$F/a.key"
	"$ACTOOL" sign --key="$F/a.key" "$F/signed.aci"
	certificate
	names_local
	oci layout "$F/oci/app" busybox one
	server=
	cp "$F/signed.aci" "$F/www/cdn.example.com/signed-1.0.0-linux-amd64.aci"
	cp "$F/signed.aci.asc" \
		"$F/www/cdn.example.com/signed-1.0.0-linux-amd64.aci.asc"
	cp "$F/a.key.pub" "$F/www/cdn.example.com/key.asc"
	cat >"$F/www/example.com.html" <<-END
		<meta name="ac-discovery" content="example.com https://cdn.example.com/signed-{version}-{os}-{arch}.{ext}">
		<meta name="ac-discovery-pubkeys" content="example.com https://cdn.example.com/key.asc">
	END
}

teardown_file() {
	servers_stop
}

setup() {
	skip_without not-sanitized # a file of its own tests each again
	setup_test
	server=
	export CURL_CA_BUNDLE=$F/cert.pem
}

teardown() {
	[ -z "$server" ] || server_stop "$server"
	far_end
	teardown_test
}

# IMG [ARGS]: rkt run of it without a network.
runs() {
	run_rkt run --net=none "$@"
}

# exits [ARGS]: the same, and its UUID is in $uuid.
exits() {
	rm -f "$D/uuid"
	run_rkt run --net=none --uuid-file-save="$D/uuid" "$@"
	uuid=$(cat "$D/uuid")
}

fetched() {
	rkt --insecure-options=image fetch --full "$@"
}

@test "row 1: a local ACI: its output, its exit code" {
	runs "$F/inside.aci" --exec=/inside -- echo hi and exit-code 7
	expect_status 7
	expect_output hi
}

@test "row 2: a docker:// image" {
	registry_lies "$F/oci"
	run_rkt run --net=none docker://example.com/good/app:v1 \
		--exec=/bin/busybox -- echo hi
	expect_status 0
	expect_output hi
}

@test "row 3: several apps in a pod, arguments for each" {
	runs "$F/inside.aci" -- echo one --- "$F/other.aci" -- echo two
	expect_status 0
	expect_output one two
}

@test "row 4: list" {
	exits "$F/inside.aci" -- exit-code 0
	run rkt list
	expect_status 0
	[ "$(head -1 <<<"$output" | tr -s '\t' ,)" = \
		'UUID,APP,IMAGE NAME,STATE,CREATED,STARTED,NETWORKS' ]
	expect_output "${uuid:0:8}" exited example.com/inside:1.0.0
	run rkt list --full
	[[ $(head -1 <<<"$output" | tr -s '\t' ,) == \
		'UUID,APP,IMAGE NAME,IMAGE ID,STATE,CREATED,STARTED,NETWORKS'* ]]
	grep -qE "^$uuid	+inside	+example.com/inside:1.0.0	+sha512-[0-9a-f]{12}	+exited	+20[0-9-]+ [0-9:.]+ [+-][0-9]{4} [A-Z]+	" \
		<<<"$output" || fail "$output"
	run rkt list --no-legend
	[ "${#lines[@]}" = 1 ]
	[[ ${lines[0]} == "${uuid:0:8}"$'\t'* ]]
	for format in json json-pretty; do
		rkt list --format=$format | jq -e --arg u "$uuid" 'length == 1 and
			(.[0] | .name == $u and .state == "exited" and
			.app_names == ["inside"] and .created_at > 1000000000 and
			(.apps[0] | .name == "inside" and .state == "exited" and
			.exit_code == 0 and .created_at > 1000000000000000000 and
			.finished_at >= .started_at and
			(.image_id | startswith("sha512-"))))'
	done
}

@test "row 5: status, with the exit codes of apps" {
	exits "$F/inside.aci" -- exit-code 7
	run rkt status "$uuid"
	expect_status 0
	time='20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}(\.[0-9]+)? [+-][0-9]{4} [A-Z]+'
	for line in state=exited "created=$time" "started=$time" networks= \
		'pid=[0-9]+' exited=true app-inside=7; do
		grep -qxE "$line" <<<"$output" || fail "no $line: $output"
	done
	rkt status --format=json "$uuid" | jq -e '.apps[0].exit_code == 7'
}

@test "row 6: prepare and run-prepared" {
	uuid=$(rkt --insecure-options=image prepare --quiet "$F/inside.aci" \
		-- exit-code 3)
	[[ $uuid =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]]
	pod_is "$uuid" prepared
	run rkt run-prepared --net=none "$uuid"
	expect_status 3
	pod_is "$uuid" exited
}

@test "row 7: stop and stop --force" {
	for force in '' --force; do
		detach_inside --net=none "$F/inside.aci" -- sleep 600
		# shellcheck disable=SC2086 # a word or none
		run rkt stop $force "$uuid"
		expect_status 0
		[ "$output" = "\"$uuid\"" ]
		wait_for 15 pod_is "$uuid" exited
	done
	run rkt stop "$uuid"
	expect_status 0
	expect_output "pod \"$uuid\" is already stopped"
}

@test "row 8: rm and gc" {
	exits "$F/inside.aci" -- exit-code 0
	run rkt rm "$uuid"
	expect_status 0
	[ "$output" = "\"$uuid\"" ]
	exits "$F/inside.aci" -- exit-code 0
	run rkt gc --grace-period=0s
	expect_status 0
	expect_output "moving pod \"$uuid\" to garbage" \
		"Garbage collecting pod \"$uuid\""
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
}

@test "row 9: fetch prints the image's ID" {
	run --separate-stderr "$RKT" --dir="$D/data" --insecure-options=image \
		fetch "$F/inside.aci"
	expect_status 0
	[[ $output =~ ^sha512-[0-9a-f]{32}$ ]]
	run --separate-stderr "$RKT" --dir="$D/data" --insecure-options=image \
		fetch --full "$F/inside.aci"
	[[ $output =~ ^sha512-[0-9a-f]{64}$ ]]
}

@test "row 10: image list, cat-manifest, export, extract, render, rm" {
	id=$(fetched "$F/inside.aci")
	run rkt image list
	[ "$(head -1 <<<"$output" | tr -s '\t' ,)" = \
		'ID,NAME,SIZE,IMPORT TIME,LAST USED' ]
	expect_output "${id:0:19}" example.com/inside:1.0.0
	for image in example.com/inside "${id:0:19}"; do
		rkt image cat-manifest "$image" |
			jq -e '.name == "example.com/inside"'
		rkt image export --overwrite "$image" "$D/out.aci"
		cmp "$D/out.aci" <(gzip -dc "$F/inside.aci")
		rkt image extract --overwrite "$image" "$D/x"
		cmp "$D/x/rootfs/inside" "$INSIDE"
		rkt image render --overwrite "$image" "$D/r"
		cmp "$D/r/rootfs/inside" "$INSIDE"
	done
	run rkt image rm "${id:0:19}"
	expect_status 0
	expect_output 'successfully removed aci for image: "'"$id"'"' \
		'rm: 1 image(s) successfully removed'
	run rkt image rm "${id:0:19}"
	expect_status 0
	expect_output "no image IDs found"
	run rkt image list --no-legend
	[ -z "$output" ]
}

@test "row 11: host volumes, for writing and only for reading" {
	mkdir "$D/v"
	runs --volume=v,kind=host,source="$D/v" "$F/busybox.aci" \
		--mount=volume=v,target=/x -- -c 'echo written >/x/f'
	expect_status 0
	[ "$(cat "$D/v/f")" = written ]
	runs --volume=v,kind=host,source="$D/v",readOnly=true "$F/busybox.aci" \
		--mount=volume=v,target=/x -- -c 'cat /x/f; echo again >/x/f'
	[ "$status" != 0 ]
	expect_output written 'Read-only file system'
	[ "$(cat "$D/v/f")" = written ]
}

@test "row 12: an empty volume that two apps share" {
	runs --volume=v,kind=empty --mount=volume=v,target=/x "$F/busybox.aci" \
		--name=one -- -c 'mkfifo /x/f; echo shared >/x/f' --- \
		"$F/busybox.aci" --name=two -- \
		-c 'until [ -p /x/f ]; do sleep 0.1; done; cat /x/f'
	expect_status 0
	expect_output shared
}

@test "row 13: the default network, masqueraded to elsewhere" {
	skip_without cni
	skip_without iptables
	far_begin
	detach_inside "$F/inside.aci" -- print-net and connect 10.9.9.2 7004 \
		and sleep 600
	run rkt list
	expect_output default:ip4=172.16.28.
	wait_for 10 pod_logged "$uuid" inside received=from-far
	pod_log "$uuid" inside | grep -q "ip.eth0=$(address_of "$uuid")"
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	network_clean
}

@test "row 14: --net=host, none, a network of one's own, all, arguments" {
	skip_without cni
	skip_without iptables
	run_rkt run --net=host "$F/inside.aci" -- print-ns
	expect_value ns.net "$(readlink /proc/self/ns/net)"
	runs "$F/inside.aci" -- print-net
	[ "$(grep -o 'if=.*' <<<"$output")" = if=lo ]
	mkdir "$D/local/net.d"
	echo '{"name": "mine", "type": "bridge", "bridge": "br0",
		"isGateway": true, "ipam": {"type": "host-local",
		"subnet": "10.9.1.0/24"}}' >"$D/local/net.d/10-mine.conf"
	run_rkt run --net=mine "$F/inside.aci" -- print-net
	[[ $(value ip.eth0) == 10.9.1.* ]]
	run_rkt run --net=all "$F/inside.aci" -- print-net
	[[ $(value ip.eth0) == 10.9.1.* ]]
	[[ $(value ip.eth2) == 172.16.28.* ]]
	run_rkt run --net=default:IP=172.16.28.42 "$F/inside.aci" -- print-net
	expect_value ip.eth0 172.16.28.42
	run_rkt run --net "$F/inside.aci" -- print-net
	[[ $(value ip.eth0) == 172.16.28.* ]]
	network_clean
	ip link del br0
}

@test "row 15: a port of the host, from itself and from elsewhere" {
	skip_without cni
	skip_without iptables
	far_begin
	detach_inside --port=web:8080 "$F/inside.aci" -- listen 7005 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7005
	run "$INSIDE" connect 127.0.0.1 8080
	expect_output received=from-pod
	far_connects 10.9.9.1 8080
	expect_output received=from-pod
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	detach_inside --port=web:127.0.0.1:8080 "$F/inside.aci" -- \
		listen 7005 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7005
	run "$INSIDE" connect 127.0.0.1 8080
	expect_output received=from-pod
	far_connects 10.9.9.1 8080
	expect_no_output received
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	network_clean
}

@test "row 16: enter" {
	detach_inside --net=none "$F/busybox.aci" -- -c 'sleep 600'
	run rkt enter "$uuid" /bin/id
	expect_status 0
	expect_output 'uid=0(root) gid=0(root)'
	run rkt enter --app=busybox "$uuid" /bin/sh -c 'exit 9'
	expect_status 9
	run rkt enter --app=none "$uuid" /bin/id
	expect_status 254
	rkt stop --force "$uuid"
}

@test "row 17: --interactive, and ^] three times ends it" {
	run python3 "$TESTS/cli/terminal.py" 24x80 '/ #:send:tty; exit 4\n' \
		-- "$RKT" --dir="$D/data" --insecure-options=image run \
		--net=none --interactive "$F/busybox.aci" --exec=/bin/sh
	expect_status 4
	expect_output /dev/pts
	run python3 "$TESTS/cli/terminal.py" 24x80 'ready=1:send:\x1d\x1d\x1d' \
		-- "$RKT" --dir="$D/data" --insecure-options=image run \
		--net=none --interactive "$F/inside.aci" -- ready and sleep 600
	expect_status 1
}

@test "row 18: environment: which of five wins" {
	image_inside "$D/env.aci" '.app.environment=[
		{name:"V1",value:"image"},{name:"V2",value:"image"},
		{name:"V3",value:"image"},{name:"V4",value:"image"}]'
	printf '%s\n' '# comment' V2=file V3=file V4=file >"$D/env"
	export V0=caller V1=caller
	runs --inherit-env --set-env-file="$D/env" --set-env=V3=pod \
		--set-env=V4=pod "$D/env.aci" --environment=V4=app -- print-env
	expect_status 0
	expect_value env.V0 caller
	expect_value env.V1 image
	expect_value env.V2 file
	expect_value env.V3 pod
	expect_value env.V4 app
	expect_value env.AC_APP_NAME inside
}

@test "row 19: user, group and supplementary groups" {
	runs "$F/inside.aci" --user=200 --group=300 --supplementary-gids=1,2 -- \
		print-ids
	expect_status 0
	expect_value uid 200
	expect_value gid 300
	expect_value groups 1,2
}

@test "row 20: signatures are checked by default" {
	run rkt run --net=none "$F/signed.aci" -- echo hi
	expect_status 254
	run rkt trust --prefix=example.com --skip-fingerprint-review \
		"$F/a.key.pub"
	expect_status 0
	run rkt run --net=none "$F/signed.aci" -- echo hi
	expect_status 0
	expect_output 'signature verified:' 'A <a@example.com>'
	run rkt run --net=none "$F/inside.aci" -- echo hi
	expect_status 254
}

@test "row 21: keys by prefix, for all, and by discovery" {
	run rkt trust --prefix=example.com/x --skip-fingerprint-review \
		"$F/a.key.pub"
	expect_status 0
	expect_output 'gpg key fingerprint is: ' 'Added key for prefix'
	run find "$D/local/trustedkeys/prefix.d/example.com/x" -type f -printf '%f'
	[[ $output =~ ^[0-9a-f]{40}$ ]]
	run rkt trust --root --skip-fingerprint-review "$F/a.key.pub"
	expect_status 0
	[ -n "$(ls "$D/local/trustedkeys/root.d")" ]
	web_serves "$F/www"
	run rkt trust --prefix=example.com --skip-fingerprint-review
	expect_status 0
	run find "$D/local/trustedkeys/prefix.d/example.com" -maxdepth 1 \
		-type f -printf '%f'
	[[ $output =~ ^[0-9a-f]{40}$ ]]
}

@test "row 22: images are discovered by their names" {
	web_serves "$F/www"
	run rkt --trust-keys-from-https fetch example.com/signed:1.0.0
	expect_status 0
	expect_output 'signature verified:'
	run rkt run --net=none example.com/signed:1.0.0 -- echo hi
	expect_status 0
	expect_output hi
}

@test "row 23: pull policies" {
	web_serves "$F/www"
	url=https://cdn.example.com/etag/signed-1.0.0-linux-amd64.aci
	mkdir -p "$D/local"
	rkt trust --prefix=example.com --skip-fingerprint-review "$F/a.key.pub"
	run rkt run --net=none --pull-policy=never $url
	expect_status 254
	run rkt run --net=none $url -- echo hi
	expect_status 0
	: >"$F/log"
	run rkt run --net=none --pull-policy=new $url -- echo hi
	expect_status 0
	[ ! -s "$F/log" ]
	run rkt run --net=none --pull-policy=update $url -- echo hi
	expect_status 0
	grep -q ' 304 if-none-match=' "$F/log"
	: >"$F/log"
	for flag in --store-only --pull-policy=never; do
		run rkt run --net=none $flag example.com/signed -- echo hi
		expect_status 0
	done
	run rkt run --net=none --store-only --no-store $url
	expect_status 254
	expect_output 'both --store-only and --no-store specified'
	[ ! -s "$F/log" ]
}

@test "row 24: limits of memory and processor" {
	skip_without memory-limit
	skip_without cpu-limit
	detach_inside --net=none "$F/inside.aci" --memory=42Mi --cpu=500m -- \
		sleep 600
	limits=$(while read -r dir; do
		find "$dir" \( -name memory.limit_in_bytes -o \
			-name memory.max -o -name cpu.max -o \
			-name cpu.cfs_quota_us \) -exec cat {} + 2>/dev/null ||
			true # pids and others of the pod alone
	done <"$D/data/pods/run/$uuid/cgroup")
	grep -q 44040192 <<<"$limits" || fail "$limits"
	grep -q 50000 <<<"$limits" || fail "$limits"
	rkt stop --force "$uuid"
	runs "$F/inside.aci" --memory=42Mi -- oom 200
	expect_status 137
}

@test "row 25: capabilities: default, retain, remove" {
	runs "$F/inside.aci" -- print-caps
	expect_value capbnd 00000000a80425fb
	runs "$F/inside.aci" --caps-retain=CAP_NET_ADMIN -- print-caps
	expect_value capbnd 0000000000001000
	runs "$F/inside.aci" --caps-remove=CAP_CHOWN -- print-caps
	expect_value capbnd 00000000a80425fa
	run_rkt --insecure-options=capabilities run --net=none "$F/inside.aci" \
		-- print-caps
	[ "$(value capbnd)" = "$(awk '/^CapBnd/ { print $2 }' /proc/self/status)" ]
}

@test "row 26: system call filters: default, remove, retain" {
	runs "$F/inside.aci" -- try reboot mount
	expect_status 0
	[[ $(value try.reboot) =~ EPERM|SIGSYS ]]
	[[ $(value try.mount) =~ EPERM|SIGSYS ]]
	runs "$F/inside.aci" -- try keyctl
	[[ $(value try.keyctl) =~ EPERM|SIGSYS ]]
	runs "$F/inside.aci" --seccomp=mode=remove,errno=EPERM,chmod,fchmodat -- \
		chmod /etc/greeting 600
	expect_value chmod.error EPERM
	runs "$F/inside.aci" --seccomp=mode=retain,@appc.io/all -- try keyctl
	[[ ! $(value try.keyctl) =~ EPERM|SIGSYS ]]
}

@test "row 27: no new privileges" {
	image_inside "$D/i.aci" '.app.isolators=[
		{name:"os/linux/no-new-privileges",value:true}]'
	runs "$D/i.aci" -- print-caps
	expect_value nonewprivs 1
	runs "$F/inside.aci" -- print-caps
	expect_value nonewprivs 0
	runs "$F/inside.aci" --user=200 --group=300 -- print-caps
	expect_value nonewprivs 1
}

@test "row 28: /proc and /sys: masked and read-only" {
	runs "$F/busybox.aci" -- -c 'echo 0 >/proc/sys/vm/panic_on_oom'
	[ "$status" != 0 ]
	expect_output 'Read-only file system'
	if [ -e /proc/sysrq-trigger ]; then
		runs "$F/busybox.aci" -- -c 'echo h >/proc/sysrq-trigger'
		[ "$status" != 0 ]
		expect_output 'Read-only file system'
	fi
	for path in /sys/block /sys/bus /sys/class /sys/dev /sys/devices \
		/sys/kernel; do
		runs "$F/busybox.aci" -- -c "touch $path/new"
		[ "$status" != 0 ] || fail "$path"
	done
	runs "$F/busybox.aci" -- -c 'ls -ld /sys/firmware /sys/fs /sys/module'
	[ "$(grep -c ': d---------' <<<"$output")" = 3 ]
	runs "$F/busybox.aci" -- -c 'cat /proc/kcore /sys/firmware/* | wc -c'
	expect_output ': 0'
	run_rkt --insecure-options=paths run --net=none "$F/busybox.aci" -- \
		-c 'test -w /proc/sys/vm/panic_on_oom && ls /sys/module | head -1'
	expect_status 0
}

@test "row 29: a root file system for reading only" {
	runs "$F/busybox.aci" --readonly-rootfs=true -- -c 'echo x >/etc/new'
	[ "$status" != 0 ]
	expect_output 'Read-only file system'
}

@test "row 30: overlays by default, copies with --no-overlay" {
	skip_without overlay
	runs "$F/busybox.aci" -- -c 'grep " / " /proc/self/mountinfo; echo x >/new'
	expect_output ' overlay '
	runs --no-overlay "$F/busybox.aci" -- \
		-c 'ls /new; grep " / " /proc/self/mountinfo; echo x >/new'
	expect_output 'No such file'
	expect_no_output ' overlay '
	run rkt image verify example.com/busybox
	expect_status 0
	runs "$F/busybox.aci" -- -c 'ls /new'
	expect_output 'No such file'
}

@test "row 31: users of the pod's own" {
	for copy in --no-overlay ''; do
		# shellcheck disable=SC2086 # a word or none
		runs --private-users $copy "$F/busybox.aci" -- \
			-c 'id -u; cat /proc/self/uid_map'
		expect_status 0
		expect_output ': 0'
		shift=$(grep -oE '0 +[0-9]+ +65536' <<<"$output" | awk '{print $2}')
		((shift > 0 && shift % 65536 == 0))
	done
}

@test "row 32: --pod-manifest" {
	id=$(fetched "$F/inside.aci")
	jq -n --arg id "$id" '{acVersion: "0.8.11", acKind: "PodManifest",
		apps: [["one", "from-one"], ["two", "from-two"]] | map({name: .[0],
		image: {id: $id}, app: {exec: ["/inside", "echo", .[1]],
		user: "0", group: "0"}})}' >"$D/pod.json"
	runs --pod-manifest="$D/pod.json"
	expect_status 0
	expect_output from-one from-two
	for flag in "$F/inside.aci" --volume=v,kind=empty --port=web:80 \
		--mount=volume=v,target=/x --inherit-env --set-env=A=1 \
		--set-env-file=/dev/null --pull-policy=update \
		--pull-policy=never --no-store --store-only; do
		runs --pod-manifest="$D/pod.json" "$flag"
		expect_status 254
		expect_output 'conflicting flags set with --pod-manifest (see --help)'
	done
}

@test "row 33: resolv.conf" {
	runs --dns=8.8.8.8 --dns=8.8.4.4 --dns-search=search.org \
		--dns-opt=debug --dns-domain=my.dom "$F/busybox.aci" -- \
		-c 'cat /etc/resolv.conf >&2'
	expect_status 0
	[ "$(sed 's/^\[[^]]*\] [^ ]*: //' <<<"$output" |
		sed -n '/^# Generated/,$p')" = '# Generated by rkt run

search search.org
nameserver 8.8.8.8
nameserver 8.8.4.4
options debug
domain my.dom' ] || fail "$output"
	runs --dns=host "$F/busybox.aci" -- -c 'md5sum /etc/resolv.conf'
	expect_output "$(md5sum </etc/resolv.conf | cut -d' ' -f1)"
	runs --dns=8.8.8 "$F/inside.aci"
	expect_status 254
	expect_output 'Invalid IP passed to --dns: 8.8.8'
}

@test "row 34: hosts and host name" {
	runs --hosts-entry=1.2.3.4=foo --hosts-entry=1.2.3.4=bar --hostname=h \
		"$F/busybox.aci" -- -c 'cat /etc/hosts /etc/hostname; hostname'
	expect_status 0
	expect_output $'1.2.3.4\tfoo' 127.0.0.1 '# Added by rkt run --hosts-entry'
	grep -q ': h$' <<<"$output"
	exits "$F/busybox.aci" -- -c hostname
	expect_output "rkt-$uuid"
}

@test "row 35: the first app that fails ends the pod; its exit code" {
	exits "$F/inside.aci" --name=a -- exit-code 0 --- "$F/inside.aci" \
		--name=b -- sleep 1 and exit-code 5 --- "$F/inside.aci" \
		--name=c -- sleep 600 and exit-code 6
	expect_status 5
	run rkt status "$uuid"
	expect_output app-a=0 app-b=5
	expect_no_output app-c=6
}

@test "row 36: SIGTERM to rkt run is an orderly end" {
	"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- signals 60 \
		>"$D/out" 2>&1 3>&- &
	pid=$!
	wait_for 10 grep -q ready=1 "$D/out"
	kill -TERM "$pid"
	wait "$pid" || fail "code $?"
	grep -q signal=TERM "$D/out"
	pod_is "$(cat "$D/uuid")" exited
}

@test "row 37: a unit for a pod" {
	detach_inside --net=none --pod-name=web "$F/inside.aci" -- sleep 600
	run rkt generate systemd web
	expect_status 0
	expect_output KillMode=mixed Slice=machine.slice 'ExecStart='
	rkt stop --force web
	# Started and stopped by a real systemd, machinectl, journalctl: 70-systemd.bats,
	# 72-machined.bats.
}

@test "row 39: what is installed" {
	make -s -C "$TESTS/.." -o all -o man install DESTDIR="$D/root" \
		PREFIX=/usr B="$BUILD" >"$D/make.log" 2>&1 || fail "$(cat "$D/make.log")"
	for file in bin/rkt lib/systemd/system/rkt-gc.{timer,service} \
		lib/systemd/system/rkt-metadata.{socket,service} \
		lib/tmpfiles.d/rkt.conf lib/sysusers.d/rkt.conf \
		share/bash-completion/completions/rkt share/man/man1/rkt-run.1; do
		[ -s "$D/root/usr/$file" ] || fail "no $file"
	done
	run rkt completion bash
	expect_status 0
}

@test "row 40: configuration files and rkt config" {
	mkdir -p "$D"/{system,local}/{auth.d,paths.d}
	for dir in system local; do
		(umask 077; jq -n --arg u "$dir" '{rktKind: "auth", rktVersion: "v1",
			domains: ["example.com"], type: "basic",
			credentials: {user: $u, password: "p"}}' \
			>"$D/$dir/auth.d/x.json")
	done
	echo '{"rktKind": "paths", "rktVersion": "v1", "data": "'"$D"'/elsewhere"}' \
		>"$D/local/paths.d/p.json"
	rkt config | jq -e '.stage0 |
		(map(select(.rktKind == "auth")) | .[0].credentials.user == "local") and
		any(.[]; .rktKind == "paths") and any(.[]; .rktKind == "stage1")'
	run "$RKT" --local-config="$D/local" --insecure-options=image fetch \
		"$F/inside.aci"
	expect_status 0
	[ -d "$D/elsewhere/cas" ]
}

@test "row 41: downloads with a password" {
	web_serves "$F/www"
	url=https://cdn.example.com/basic/signed-1.0.0-linux-amd64.aci
	run_rkt fetch $url
	expect_status 254
	expect_output 401
	mkdir "$D/local/auth.d"
	(umask 077; echo '{"rktKind": "auth", "rktVersion": "v1",
		"domains": ["cdn.example.com"], "type": "basic",
		"credentials": {"user": "user", "password": "password"}}' \
		>"$D/local/auth.d/x.json")
	run_rkt fetch $url
	expect_status 0
}

@test "row 42: --insecure-options" {
	for option in none image tls ondisk http pubkey capabilities paths \
		seccomp all-fetch all-run all image,tls Image; do
		run rkt --insecure-options=$option list
		[ "$status" = 0 ] || fail "$option: $output"
	done
	run rkt --insecure-options=bogus list
	expect_status 254
	expect_output 'unknown option "bogus"'
	run rkt --insecure-options=tls,tls list
	expect_status 254
	expect_output 'duplicated option "tls"'
}

@test "row 43: parts of UUIDs, and files of them" {
	exits "$F/inside.aci" -- exit-code 0
	run rkt status "${uuid:0:8}"
	expect_status 0
	run rkt status "${uuid^^}"
	expect_status 0
	for command in status cat-manifest stop rm; do
		run rkt $command --uuid-file="$D/uuid"
		expect_status 0
	done
	run rkt status "$uuid"
	expect_status 254
	expect_output "no matches found for \"$uuid\""
}

@test "row 44: status --wait and --wait-ready, with a time" {
	detach_inside --net=none "$F/inside.aci" -- sleep 600
	run rkt status --wait-ready "$uuid"
	expect_status 0
	expect_output state=running
	run timeout 60 "$RKT" --dir="$D/data" status --wait=1s "$uuid"
	expect_status 254
	rkt stop --force "$uuid"
	run timeout 60 "$RKT" --dir="$D/data" status --wait "$uuid"
	expect_status 0
	expect_output state=exited
}

@test "row 45: cat-manifest" {
	exits "$F/inside.aci" -- exit-code 0
	rkt cat-manifest "$uuid" | jq -e '.acKind == "PodManifest" and
		.apps[0].name == "inside"'
	run rkt cat-manifest --pretty-print=false "$uuid"
	[ "${#lines[@]}" = 1 ]
}

@test "row 46: handlers, working directory, where programs are found" {
	mkdir "$D/v"
	image_busybox "$D/i.aci" '.app.exec=["sh", "-c", "pwd; echo app >>/v/log"] |
		.app.workingDirectory="/etc" |
		.app.environment=[{name:"PATH", value:"/bin"}] |
		.app.mountPoints=[{name:"v", path:"/v"}] | .app.eventHandlers=[
		{name:"pre-start", exec:["/bin/sh","-c","echo pre >>/v/log"]},
		{name:"post-stop", exec:["/bin/sh","-c","echo post >>/v/log"]}]'
	runs --volume=v,kind=host,source="$D/v" "$D/i.aci"
	expect_status 0
	expect_output ': /etc'
	[ "$(cat "$D/v/log")" = $'pre\napp\npost' ]
	runs --volume=v,kind=host,source="$D/v" "$D/i.aci" --working-dir=/tmp
	expect_output ': /tmp'
}

@test "row 48: attach: what there is to join, and joining it" {
	detach_inside --net=none "$F/busybox.aci" --stdin=stream \
		--stdout=stream -- -c 'read line; echo "heard $line"; exit 3'
	run rkt attach --mode=list "$uuid"
	expect_status 0
	jq -e '.version == 1 and (.targets | length > 0)' <<<"$output"
	run bash -c 'echo word | "$@"' sh "$RKT" --dir="$D/data" attach \
		--mode=stdin,stdout "$uuid"
	expect_output 'heard word'
	expect_status 3
}

@test "row 49: export of a pod as an image" {
	exits "$F/busybox.aci" -- -c 'echo kept >/etc/kept'
	run rkt export "$uuid" "$D/out.aci"
	expect_status 0
	runs "$D/out.aci" -- -c 'cat /etc/kept'
	expect_status 0
	expect_output kept
	run rkt export "$uuid" "$D/out.aci"
	expect_status 254
	expect_output 'target file exists (try --overwrite)'
	run rkt export "$uuid" "$D/out.tar"
	expect_status 254
	expect_output 'extension must be .aci'
}

@test "row 50: the metadata service: UUID, signing, verifying" {
	"$RKT" metadata-service 2>"$D/service" 3>&- &
	server=$!
	wait_for 10 curl -s --unix-socket /run/rkt/metadata-svc.sock \
		-o /dev/null http://rkt/
	detach_inside --net=host --mds-register "$F/inside.aci" -- sleep 600
	url=$(cat "$D/data/pods/run/$uuid/mds-registered")/acMetadata/v1
	[ "$(curl -s "$url/pod/uuid")" = "$uuid" ]
	signature=$(curl -s --data content=hello "$url/pod/hmac/sign")
	verify() {
		curl -s -o /dev/null -w '%{http_code}' "$url/pod/hmac/verify" \
			--data uuid="$uuid" --data content="$1" \
			--data-urlencode signature="$signature"
	}
	[ "$(verify hello)" = 200 ]
	[ "$(verify tampered)" = 403 ]
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	server_stop "$server"
	server=
	rm -f /run/rkt/metadata-svc.sock
}

@test "row 53: dependencies and path whitelists" {
	for name in b c d; do
		mkdir -p "$D/$name/rootfs/etc"
		echo "$name" >"$D/$name/rootfs/etc/$name"
		echo "$name" >"$D/$name/rootfs/etc/which"
		image_tree "$D/$name" "example.com/$name" 1.0.0
		fetched "$D/$name.aci"
	done
	image_busybox "$D/a.aci" '.dependencies=[{imageName:"example.com/b"},
		{imageName:"example.com/c"},{imageName:"example.com/d"}] |
		.pathWhitelist=["/bin/busybox","/bin/sh","/bin/ls","/bin/cat",
		"/etc/b","/etc/d","/etc/which"]' example.com/a
	runs "$D/a.aci" -- -c 'ls /etc; cat /etc/which'
	expect_status 0
	expect_output ': b' ': d' ': which'
	expect_no_output ': c'
}

@test "row 54: image gc and verify; a damaged tree is mended" {
	use_driver tree
	id=$(fetched "$F/inside.aci")
	runs "$id" -- exit-code 0
	tree=$(ls -d "$D"/data/cas/tree/*)/rootfs
	echo damaged >"$tree/etc/greeting"
	run rkt image verify "$id"
	expect_status 0
	expect_output 'tree cache verification failed for image' rebuilding...
	[ "$(cat "$tree/etc/greeting")" = hello ]
	run rkt image verify "$id"
	expect_output 'successfully verified checksum for image: "'
	rkt gc --grace-period=0s
	run rkt image gc --grace-period=0s
	expect_status 0
	run rkt image list --no-legend
	[ -z "$output" ]
}

@test "row 55: many at once; killed in the middle" {
	fetched "$F/inside.aci"
	pids=
	for i in $(seq 20); do
		"$RKT" --dir="$D/data" --insecure-options=image prepare --quiet \
			example.com/inside >"$D/out.$i" 2>&1 3>&- &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || fail "$(cat "$D"/out.*)"
	done
	[ "$(cat "$D"/out.* | sort -u | wc -l)" = 20 ]
	[ "$(rkt list --no-legend | grep -c prepared)" = 20 ]
	for n in 1 2 3 4; do
		"$RKT" --dir="$D/data" --insecure-options=image prepare --quiet \
			"$F/busybox.aci" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.0$n"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" || true
	done
	rkt gc --grace-period=0s --expire-prepared=0s
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
	rkt image gc
	runs "$F/busybox.aci" -- -c 'echo whole'
	expect_output whole
}

@test "row 56: a device as a volume" {
	device=/dev/full
	runs --volume=d,kind=host,source=$device "$F/inside.aci" \
		--mount=volume=d,target=/dev/mine -- stat /dev/mine and \
		open /dev/mine
	expect_status 0
	expect_value type char
	expect_value open ok
	skip_without loop
	runs "$F/inside.aci" -- open /dev/loop-control
	expect_value open.error ENOENT
	for users in --no-overlay=false --private-users; do
		runs "$users" --volume=d,kind=host,source=/dev/loop-control \
			"$F/inside.aci" \
			--mount=volume=d,target=/dev/loop-control -- \
			open /dev/loop-control
		expect_value open ok
	done
}

@test "row 57: members of the group rkt read, without being root" {
	exits "$F/inside.aci" -- exit-code 0
	mkdir -p /run/open
	cp -r "$BUILD/bin" "$BUILD/libexec" /run/open/
	mkdir -p /run/open/data
	"$RKT" --dir="$D/data" image export example.com/inside /run/open/i.aci
	chgrp 64001 /run/open/data
	chmod 2770 /run/open/data
	member() {
		run setpriv --reuid=65001 --regid=64001 --clear-groups \
			/run/open/bin/rkt --dir=/run/open/data "$@"
	}
	member --insecure-options=image fetch /run/open/i.aci
	fetch=$status$output
	member list
	list=$status$output
	member image list
	images=$status$output
	member run example.com/inside
	denied=$status$output
	unseal /run/open/data
	rm -rf /run/open
	[[ $fetch == 0*sha512-* ]] || fail "$fetch"
	[[ $list == 0UUID* ]] || fail "$list"
	[[ $images == 0ID*example.com/inside* ]] || fail "$images"
	[[ $denied == 254*'run: cannot run as unprivileged user'* ]] || fail "$denied"
}

@test "row 58: one clear line, 254, and the whole chain with --debug" {
	local lines_of=(
		"run $D/none.aci" none.aci
		'run --bogus x' 'unknown flag: --bogus'
		"run --net=nowhere $F/inside.aci" 'networks not found: nowhere'
		'status 00000000' 'no matches found for "00000000"'
		'enter' ''
	)
	for ((n = 0; n < ${#lines_of[@]}; n += 2)); do
		# shellcheck disable=SC2086 # words
		run --separate-stderr rkt --insecure-options=image ${lines_of[n]}
		expect_status 254
		[[ $stderr == *"${lines_of[n + 1]}"* ]] || fail "$stderr"
		[ "$(grep -vc warning: <<<"$stderr")" -le 1 ] || fail "$stderr"
	done
	mkdir -p "$D/local/net.d"
	echo '{"name": "mine", "type": "none-such"}' >"$D/local/net.d/10-mine.conf"
	run rkt --debug --insecure-options=image run --net=mine "$F/inside.aci"
	expect_status 254
	expect_output 'stage1: ' '└─' 'Could not find plugin "none-such"'
}

@test "row 59: a program, loader or interpreter that is missing is named" {
	runs "$F/inside.aci" --exec=/nope
	[ "$status" != 0 ]
	expect_output 'Unable to open "/nope"'
	mkdir -p "$D/t/rootfs"
	printf '#!/no/interpreter\n' >"$D/t/rootfs/script"
	chmod 0755 "$D/t/rootfs/script"
	image_tree "$D/t" example.com/t 1.0.0 '.app.exec=["/script"]'
	runs "$D/t.aci"
	[ "$status" != 0 ]
	expect_output /no/interpreter
}

# left_by_rkt UUID: an exited pod as rkt 1.30 leaves it.
left_by_rkt() {
	local pod=$D/data/pods/run/$1
	mkdir -p "$pod/appsinfo/web" "$pod/stage1/rootfs/rkt/status" \
		"$D/data/pods"/{embryo,prepare,prepared,exited-garbage,garbage}
	jq -n --arg id "sha512-$(printf 'ab%.0s' {1..32})" '{
		acVersion: "1.30.0", acKind: "PodManifest", apps: [{name: "web",
		image: {name: "example.com/web", id: $id,
			labels: [{name: "version", value: "1.0"}]},
		app: {exec: ["/web"], user: "0", group: "0"}}],
		volumes: null, isolators: null, ports: null, annotations: [
		{name: "coreos.com/rkt/stage1/mutable", value: "false"}]}' \
		>"$pod/pod"
	echo '{"acKind": "ImageManifest", "acVersion": "0.8.11",
		"name": "example.com/web"}' >"$pod/appsinfo/web/manifest"
	printf deps-sha512-ab >"$pod/appsinfo/web/treeStoreID"
	printf deps-sha512-cd >"$pod/stage1TreeStoreID"
	printf 1 >"$pod/ppid"
	: >"$pod/pod-created"
}

# SELinux labels and TPM events are not made: docs/differences-from-rkt.md.
@test "row 60: pods of CoreOS rkt, and either version of control groups" {
	uuid=0cf61fd6-3c3b-4a3b-9a3e-2f2a1b0c4d5e
	left_by_rkt $uuid
	run rkt list --no-legend
	expect_status 0
	expect_output 0cf61fd6 web example.com/web:1.0 exited
	run rkt status $uuid
	expect_status 0
	expect_output state=exited
	rkt cat-manifest $uuid | jq -e '.apps[0].name == "web"'
	for command in start enter; do
		run rkt $command $uuid
		expect_status 254
	done
	run rkt rm $uuid
	expect_status 0
	left_by_rkt $uuid
	rkt gc --grace-period=0s
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
	run rkt version
	expect_output 'Features: -TPM'
	detach_inside --net=none "$F/inside.aci" -- sleep 600
	while read -r dir; do
		[[ $dir == */rkt/$uuid ]] || fail "$dir"
	done <"$D/data/pods/run/$uuid/cgroup"
	rkt stop --force "$uuid"
}

@test "each of the 60 has a test, or a line in the list of differences" {
	for row in $(seq 60); do
		grep -qE "^@test .*\<row $row(:|\))" "$TESTS"/cli/*.bats ||
			grep -q "(row $row)" "$TESTS/../docs/differences-from-rkt.md" ||
			echo "row $row"
	done >missing
	diff /dev/null missing
}
