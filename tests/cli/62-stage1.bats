#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# Which stage1 a pod gets: from an image (a stub that notes what it is given),
# and rkt's own other one, fly.

load lib
load servers

S1=coreos.com/rkt/stage1
FLY=--stage1-name=$S1-fly

# A stage1 that notes what it gets, as files of the pod ($PWD).  Its run ends
# with $STUB_EXIT, or with a signal.
stub_programs() {
	cat >"$1/run" <<'STUB'
#!/bin/sh
printf '%s\n' "$@" >stub-args
env >stub-env
readlink "/proc/self/fd/$RKT_LOCK_FD" >stub-lock
ls "/proc/self/fd/$RKT_STAGE1_ROOT_FD/" >stub-root
ls "/proc/self/fd/${RKT_TREE_FDS##*:}/" >stub-tree
echo stub says hello
[ -z "$STUB_EXIT" ] || exit "$STUB_EXIT"
if [ -n "$STUB_PPID" ]; then
	sleep 1000 &
	printf %s $$ >ppid
	ln -s ready supervisor-status
	wait
fi
printf %s $$ >pid
ln -s ready supervisor-status
exec sleep 1000
STUB
	cat >"$1/enter" <<'STUB'
#!/bin/sh
printf 'enter %s\n' "$@"
pwd
exit 5
STUB
	cat >"$1/gc" <<'STUB'
#!/bin/sh
echo "gc $* in ${PWD##*/}" >>"$STUB_LOG"
STUB
	cat >"$1/stop" <<'STUB'
#!/bin/sh
echo "stop $*" >>"$STUB_LOG"
read -r pid <pid || [ -n "$pid" ]
kill -9 "$pid"
STUB
	chmod 0755 "$1"/*
}

# image_stub FILE [JQ [NAME]]: JQ edits the map of stage1's annotations.
image_stub() {
	local t
	t=$(mktemp -d "$TMPDIR/stub.XXXXXX")
	mkdir -p "$t/i/rootfs/stub" "$t/i/rootfs/bin"
	stub_programs "$t/i/rootfs/stub"
	ln -s /stub/run "$t/i/rootfs/absolute"
	ln -s ../../../../../../../../bin/sh "$t/i/rootfs/outside"
	image_tree "$t/i" "${3:-example.com/stub}" 1.0.0 'del(.app) |
		.annotations = ({run: "/stub/run", enter: "/stub/enter",
			gc: "stub/gc", stop: "/stub/stop",
			"interface-version": "7"} |'"${2:-.}"' | to_entries |
			map({name: ("coreos.com/rkt/stage1/" + .key), value}))'
	mv "$t/i.aci" "$1"
	rm -rf "$t"
}

# image_above FILE: the same, and what it has below it is example.com/under.
image_above() {
	local t
	t=$(mktemp -d "$TMPDIR/stub.XXXXXX")
	mkdir -p "$t/i/rootfs/stub"
	stub_programs "$t/i/rootfs/stub"
	image_tree "$t/i" example.com/above 1.0.0 'del(.app) |
		.dependencies = [{imageName: "example.com/under"}] |
		.annotations = [{name: "coreos.com/rkt/stage1/run",
			value: "/stub/run"}]'
	mv "$t/i.aci" "$1"
	rm -rf "$t"
}

setup_file() {
	mkdir -p "$F"
	image_above "$F/above.aci"
	image_busybox "$F/under.aci" . example.com/under
	image_inside "$F/app.aci" . example.com/app
	image_inside "$F/web.aci" '.app.user="web" | .app.group="log"
		| .app.supplementaryGIDs=[700,701]
		| .app.workingDirectory="/opt/sub"
		| .app.environment=[{name:"COLOUR",value:"blue"}]
		| .app.isolators=[{name:"os/linux/no-new-privileges",value:true}]' \
		example.com/web
	image_busybox "$F/shell.aci" . example.com/shell
	image_stub "$F/stub.aci"
	image_stub "$F/signed.aci"
	export GNUPGHOME=$F/gpg
	mkdir -m 0700 "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' --quick-gen-key \
		"good <good@example.com>" ed25519 sign never
	gpg --batch --armor --export good >"$F/good.asc"
	for image in signed app above under; do
		gpg --batch --quiet --armor --detach-sign "$F/$image.aci"
	done
	gpgconf --kill all
}

teardown_file() {
	load servers
	servers_stop
}

setup() {
	setup_test
	export STUB_EXIT=0 STUB_LOG=$D/stub.log
}

# the_pod: the directory of the only pod.
the_pod() {
	local dirs=("$D"/data/pods/*/*/)
	[ "${#dirs[@]}" = 1 ] || fail "pods: ${dirs[*]}"
	echo "${dirs[0]%/}"
}

# stub_ran: the stub was the stage1 of the only pod.
stub_ran() {
	expect_status 0
	expect_output "stub says hello"
	[ -s "$(the_pod)/stub-args" ]
}

# run_stub ARGS: a pod of the app, its stage1 chosen by ARGS.
run_stub() {
	run_rkt run --net=none "$@" "$F/app.aci"
}

# in_background ARGS: the same, running: $uuid, and $job to wait for.
in_background() {
	rm -f "$D/uuid"
	"$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image \
		run --uuid-file-save="$D/uuid" "$@" >"$D/out" 2>"$D/err" 3>&- &
	job=$!
	wait_for 10 test -s "$D/uuid"
	uuid=$(cat "$D/uuid")
	wait_for 10 rkt status --wait-ready=10s "$uuid"
}

# --- from an image -------------------------------------------------------------

@test "a stage1 of each flag (row 52)" {
	cp "$F/stub.aci" "$D/stub.aci"
	mkdir -p "$D/local/paths.d"
	echo '{"rktKind": "paths", "rktVersion": "v1",
		"stage1-images": "'"$D"'"}' >"$D/local/paths.d/p.json"
	id=$(rkt --insecure-options=image fetch "$D/stub.aci")
	for flag in "url=file://$D/stub.aci" "path=$D/stub.aci" \
		path=../stub.aci "name=example.com/stub" "hash=$id" \
		name=example.com/stub:1.0.0 from-dir=stub.aci; do
		run_stub "--stage1-$flag"
		stub_ran
		run_rkt gc --grace-period=0s
		expect_status 0
	done
}

@test "run-prepared has the stage1 that prepare was told" {
	uuid=$(rkt --insecure-options=image prepare --quiet \
		--stage1-path="$F/stub.aci" "$F/app.aci")
	[ "$(cat "$D/data/pods/prepared/$uuid/stage1TreeStoreID")" = \
		"$(rkt --insecure-options=image fetch --full "$F/stub.aci" |
			cut -c1-71)$(cut -c72- "$D/data/pods/prepared/$uuid/stage1TreeStoreID")" ]
	run_rkt run-prepared "$uuid"
	stub_ran
	run_rkt start "$uuid"
	stub_ran
}

@test "configured: by name and version, by location, and neither" {
	mkdir -p "$D/local/stage1.d"
	conf() {
		echo '{"rktKind": "stage1", "rktVersion": "v1", '"$1"'}' \
			>"$D/local/stage1.d/s.json"
	}
	conf '"name": "example.com/stub", "version": "1.0.0"'
	run_stub
	expect_status 254
	expect_output "configured stage1: example.com/stub:1.0.0 is not in the store"
	conf '"name": "example.com/stub", "version": "1.0.0",
		"location": "'"$F"'/stub.aci"'
	run_stub
	stub_ran
	run_rkt rm "$(basename "$(the_pod)")"
	expect_status 0
	# It is in the store now.
	conf '"name": "example.com/stub", "version": "1.0.0"'
	run_stub
	stub_ran
	run_rkt rm "$(basename "$(the_pod)")"
	# A flag counts more.
	run_stub "--stage1-name=$S1-native"
	expect_status 0
	expect_no_output stub
	conf '"location": "file://'"$F"'/stub.aci"'
	run rkt config
	expect_output "file://$F/stub.aci"
	rm -r "$D/local/stage1.d"
	run --separate-stderr rkt config
	jq -e '.stage0[] | select(.rktKind == "stage1") |
		.name == "coreos.com/rkt/stage1-native" and .version != ""' \
		<<<"$output"
}

@test "one flag, once" {
	run_stub "--stage1-path=$F/stub.aci" --stage1-name=example.com/stub
	expect_status 254
	expect_output "flags --stage1-name and --stage1-path are mutually exclusive"
	run_stub "--stage1-path=$F/stub.aci" "--stage1-path=$F/stub.aci"
	expect_status 254
	expect_output "--stage1-path already used"
	run_stub --stage1-hash=
	expect_status 254
	run_stub --stage1-from-dir=../x.aci
	expect_status 254
	expect_output "--stage1-path takes paths"
	run_stub --stage1-url=ftp://example.com/x.aci
	expect_status 254
	run_stub --stage1-path=/nowhere.aci
	expect_status 254
	expect_output "/nowhere.aci" "--stage1-name=$S1-fly"
	run_stub --stage1-hash=sha512-00
	expect_status 254
	[ ! -d "$D/data/pods/run" ] || [ -z "$(ls "$D/data/pods/run")" ]
}

@test "what an image need not know is refused, not left out" {
	mkdir "$D/v"
	for args in "--volume=m,kind=empty,size=1Mi|a volume in memory" \
		"--secret=s,source=/etc/passwd|a secret" \
		"--mount=volume=v,target=/v,subPath=x|subPath, readOnly or propagation of a mount" \
		"--mount=volume=v,target=/v,readOnly=true|subPath, readOnly or propagation of a mount"; do
		run_stub "--stage1-path=$F/stub.aci" \
			"--volume=v,kind=host,source=$D/v" "${args%|*}"
		expect_status 254
		expect_output "${args#*|} is not possible with stage1 example.com/stub"
	done
	[ ! -e "$STUB_LOG" ]
	[ ! -d "$D/data/pods/run" ] || [ -z "$(ls "$D/data/pods/run")" ]
	run_stub "--stage1-path=$F/stub.aci" "--volume=v,kind=host,source=$D/v" \
		--mount=volume=v,target=/v
	stub_ran
}

@test "rkt's own have names; old ones are taken for native, kvm is refused" {
	run_stub "--stage1-name=$S1-native"
	expect_status 0
	for name in coreos:1.30.0 src host; do
		run_stub "--stage1-name=$S1-$name"
		expect_status 0
		expect_output "stage1: $S1-${name%:*} is taken for $S1-native:"
	done
	run_stub --stage1-from-dir=stage1-coreos.aci
	expect_status 0
	expect_output "is taken for"
	run_stub "--stage1-name=$S1-kvm:1.30.0"
	expect_status 254
	expect_output 'flavour "kvm": there is none; this rkt has native, fly'
}

@test "an unsigned stage1 is refused, a signed one of a trusted key is not" {
	run rkt trust --prefix=example.com --skip-fingerprint-review \
		"$F/good.asc"
	expect_status 0
	unsigned() {
		run rkt run --net=none "$@" "$F/app.aci"
		expect_status 254
		[ -z "$(ls "$D/data/pods/run" 2>/dev/null)" ]
	}
	unsigned "--stage1-path=$F/stub.aci"
	expect_output "is not signed"
	unsigned "--stage1-url=file://$F/stub.aci"
	# One that is stored, for a pod.
	rkt --insecure-options=image fetch "$F/stub.aci"
	unsigned --stage1-name=example.com/stub
	expect_output "was not signed by a trusted key"
	rkt image rm example.com/stub
	run rkt run --net=none "--stage1-path=$F/signed.aci" "$F/app.aci"
	stub_ran
	rkt rm "$(basename "$(the_pod)")"
	run rkt run --net=none --stage1-name=example.com/stub "$F/app.aci"
	stub_ran
}

@test "an unsigned stage1 that was stored from a URL is refused" {
	local url=https://example.com
	certificate
	names_local
	mkdir -p "$F/web/example.com"
	cp "$F"/{stub,signed}.aci "$F/signed.aci.asc" "$F/web/example.com"
	web_serves "$F/web"
	export CURL_CA_BUNDLE=$F/cert.pem
	rkt trust --prefix=example.com --skip-fingerprint-review "$F/good.asc"
	run_rkt fetch $url/stub.aci
	expect_status 0
	run rkt run --net=none --stage1-url=$url/stub.aci "$F/app.aci"
	expect_status 254
	expect_output "was not signed by a trusted key"
	run rkt run --net=none --stage1-url=$url/signed.aci "$F/app.aci"
	stub_ran
}

@test "an unsigned image below a signed stage1 is refused" {
	rkt trust --prefix=example.com --skip-fingerprint-review "$F/good.asc"
	run_rkt fetch "$F/under.aci"
	expect_status 0
	for arg in "--stage1-path=$F/above.aci" --stage1-name=example.com/above; do
		run rkt run --net=none "$arg" "$F/app.aci"
		expect_status 254
		expect_output "stage1 example.com/above" \
			"image example.com/under was not signed"
	done
	rkt fetch "$F/under.aci"
	run rkt run --net=none "$arg" "$F/app.aci"
	stub_ran
}

@test "what run is given: working directory, lock, trees, options, UUID" {
	run_stub "--stage1-path=$F/stub.aci" --hostname=h --ipc=parent
	stub_ran
	pod=$(the_pod)
	uuid=${pod##*/}
	[ "$(cat "$pod/stub-lock")" = "$pod" ]
	[ "$(tail -1 "$pod/stub-args")" = "$uuid" ]
	for arg in --net=none --hostname=h --ipc=parent \
		"--local-config=$D/local" "--system-config=$D/system"; do
		grep -qxe "$arg" "$pod/stub-args" || fail "no $arg"
	done
	grep -q '^RKT_LIBEXEC_DIR=' "$pod/stub-env"
	grep -qx stub "$pod/stub-root"
	grep -qx inside "$pod/stub-tree"
	jq -e '.name == "example.com/stub"' "$pod/stage1/manifest"
	STUB_EXIT=9 run_stub "--stage1-path=$F/stub.aci"
	expect_status 9
}

@test "interface versions 1 to 7: what each does not know is left out and said" {
	said() {
		if [ "$2" -le "$version" ]; then
			grep -qe "^$1" "$pod/stub-args" || fail "v$version: no $1"
			expect_no_output "$1 option is not supported"
		else
			! grep -e "^$1" "$pod/stub-args" || fail "v$version: $1"
			expect_output "run: warning: $1 option is not supported by stage1"
		fi
	}
	for version in 1 2 3 4 5 6 7; do
		set_version=".\"interface-version\"=\"$version\""
		[ $version != 1 ] || set_version='del(."interface-version")'
		image_stub "$D/v.aci" "$set_version"
		run rkt --insecure-options=image,all-run run --net=none \
			--stage1-path="$D/v.aci" --hostname=h --ipc=private \
			--hosts-entry=1.2.3.4=x "$F/app.aci"
		stub_ran
		pod=$(the_pod)
		grep -qx -e --net=none "$pod/stub-args"
		said --hostname 2
		said --disable-seccomp 3
		said --disable-paths 3
		said --disable-capabilities-restriction 3
		said --dns-conf-mode 4
		said --ipc 6
		if [ $version -lt 7 ]; then
			run ! grep -e --system-config "$pod/stub-args"
		fi
		run_rkt rm "${pod##*/}"
		expect_status 0
	done
}

@test "a version from the future, no version, no program" {
	refused() {
		image_stub "$D/r.aci" "$1"
		shift
		run_stub "--stage1-path=$D/r.aci"
		expect_status 254
		expect_output "$@"
		expect_no_output "stub says"
	}
	refused '."interface-version"="99"' \
		"wants interface version 99, this rkt knows 1 to 7"
	refused '."interface-version"="x"' '"x" is no version'
	refused '."interface-version"="0"' '"0" is no version'
	refused 'del(.run)' "is no stage1" coreos.com/rkt/stage1/run
	[ -z "$(ls "$D/data/pods/run" 2>/dev/null)" ]
	refused '.run="/outside"' "stage1 example.com/stub: open /outside"
	refused '.run="../../../../../../bin/sh"' "open ../../../../../../bin/sh"
	refused '.run="/stub"' "/stub is no program"
	refused '.run="/proc/self/exe"' "open /proc/self/exe"
	run_stub "--stage1-path=$F/app.aci"
	expect_status 254
	expect_output "image example.com/app is no stage1"
	image_stub "$D/a.aci" '.run="/absolute"'
	run_rkt gc --grace-period=0s
	run_stub "--stage1-path=$D/a.aci"
	stub_ran
}

@test "enter, stop, gc and rm are the pod's own stage1's" {
	STUB_EXIT='' in_background --net=none \
		--stage1-path="$F/stub.aci" "$F/app.aci"
	pod_is "$uuid" running
	run rkt list --no-legend
	expect_output running
	run rkt enter "$uuid" /bin/true x
	expect_status 5
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	[ "${lines[0]}" = "enter --pid=$pid" ]
	[ "${lines[1]}" = "enter --appname=app" ]
	[ "${lines[2]}" = "enter --" ]
	[ "${lines[3]}" = "enter /bin/true" ]
	[ "${lines[5]}" = "$D/data/pods/run/$uuid" ]
	# Only native can.
	for args in "exec $uuid /bin/true" "update $uuid --latest" \
		"update --runtime $uuid"; do
		# shellcheck disable=SC2086 # words
		run rkt --insecure-options=image $args
		[ "$status" != 0 ] || fail "$args"
		expect_output "made with stage1 example.com/stub:1.0.0, which cannot"
	done
	# The image goes, its pod does not mind.
	run rkt image rm example.com/stub
	run rkt image gc --grace-period=0s
	expect_status 0
	run rkt stop "$uuid"
	expect_status 0
	[ "$output" = "\"$uuid\"" ]
	wait "$job" || true
	wait_for 10 pod_is "$uuid" exited
	run rkt rm "$uuid"
	expect_status 0
	run cat "$STUB_LOG"
	[ "$output" = "stop $uuid
gc $uuid in $uuid" ]
}

@test "nothing of another user's pod is executed by root" {
	run_stub "--stage1-path=$F/stub.aci"
	stub_ran
	uuid=$(rkt list --full --no-legend | cut -f1)
	: >"$STUB_LOG"
	chown 65534 "$D/data/pods/run/$uuid"
	run rkt rm "$uuid"
	expect_status 254
	expect_output "pod $uuid belongs to user 65534"
	[ ! -s "$STUB_LOG" ] || fail "$(cat "$STUB_LOG")"
	chown 0 "$D/data/pods/exited-garbage/$uuid"
	run rkt rm "$uuid"
	expect_status 0
	grep -q '^gc ' "$STUB_LOG"
}

@test "a stage1 without enter, stop and gc" {
	image_stub "$D/bare.aci" '{run}'
	STUB_EXIT='' in_background --net=none --stage1-path="$D/bare.aci" \
		"$F/app.aci"
	for command in enter stop; do
		run rkt $command "$uuid"
		expect_status 254
		expect_output "rkt $command not implemented for pod's stage1"
	done
	kill -9 "$(cat "$D/data/pods/run/$uuid/pid")"
	wait "$job" || true
	wait_for 10 pod_is "$uuid" exited
	run rkt rm "$uuid"
	expect_status 0
}

@test "a stage1 that names the parent of its first process" {
	STUB_EXIT='' STUB_PPID=yes in_background --net=none \
		--stage1-path="$F/stub.aci" "$F/app.aci"
	ppid=$(cat "$D/data/pods/run/$uuid/ppid")
	run rkt enter "$uuid" /bin/true
	expect_status 5
	[ "${lines[0]}" = "enter --pid=$(tr -d ' ' <"/proc/$ppid/task/$ppid/children")" ]
	run rkt status "$uuid"
	expect_output started= stage1=example.com/stub:1.0.0
	kill -9 "$ppid" "$(tr -d ' ' <"/proc/$ppid/task/$ppid/children")"
	wait "$job" || true
	wait_for 10 pod_is "$uuid" exited
}

@test "in the background only where stage1 can: interface version 7" {
	image_stub "$D/old.aci" '."interface-version"="6"'
	run_rkt run --net=none --detach --stage1-path="$D/old.aci" "$F/app.aci"
	expect_status 254
	expect_output "--detach is not possible with stage1 example.com/stub:1.0.0"
	[ -z "$(ls "$D/data/pods/run" 2>/dev/null)" ]
}

@test "a named pod keeps its stage1" {
	named() {
		run_rkt run --net=none --pod-name=n "$@" "$F/app.aci"
	}
	named --stage1-path="$F/stub.aci"
	stub_ran
	named
	stub_ran
	named "--stage1-name=$S1-native"
	expect_status 254
	expect_output "pod n has stage1 example.com/stub:1.0.0" --replace
	named --replace "--stage1-name=$S1-native"
	expect_status 0
	[ ! -e "$(the_pod)/stub-args" ]
}

# --- fly -------------------------------------------------------------------------

# run_fly ARGS: stdout and stderr apart.
run_fly() {
	run --separate-stderr "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image run \
		"$FLY" "$@"
}

@test "fly: the host's namespaces, a root of its own, raw output (row 52)" {
	run_fly "$F/app.aci" --exec=/inside -- print-ns and print-ids and \
		print-caps and print-cwd
	expect_status 0
	[[ $stderr != *stage1* ]]
	for ns in pid net uts ipc cgroup user; do
		expect_value "ns.$ns" "$(readlink "/proc/self/ns/$ns")"
	done
	[ "$(value ns.mnt)" != "$(readlink /proc/self/ns/mnt)" ]
	expect_value uid 0
	expect_value capeff "$(awk '/^CapEff/ { print $2 }' /proc/self/status)"
	expect_value cwd /
	expect_no_output "]:"
	run_fly "$F/shell.aci" --exec=/bin/echo -- hello
	[ "$output" = hello ] || fail "$output"
}

@test "fly: user, groups, environment, directory; all of root's capabilities or none" {
	run_fly "$F/web.aci" -- print-ids and print-cwd and print-caps and \
		print-env and print-limits
	expect_status 0
	expect_value uid 501
	expect_value gid 600
	expect_value groups 700,701
	expect_value cwd /opt/sub
	expect_value capeff 0000000000000000
	expect_value capbnd "$(awk '/^CapBnd/ { print $2 }' /proc/self/status)"
	expect_output COLOUR=blue AC_APP_NAME=web HOME=/root
	expect_no_output NOTIFY_SOCKET RKT_LOCK_FD "$D"
	rkt status "$(basename "$(the_pod)")" >status
	grep -q 'os/linux/no-new-privileges: stage1-fly isolates nothing' status
	run_fly "$F/web.aci" --user=root --group=root --working-dir=/tmp \
		--environment=COLOUR=red -- print-ids and print-cwd and print-env
	expect_value uid 0
	expect_value cwd /tmp
	expect_output COLOUR=red
}

@test "fly: exit codes, signals, missing programs" {
	run_fly "$F/app.aci" -- exit-code 7
	expect_status 7
	run_fly "$F/app.aci" -- kill-self 9
	expect_status 137
	run_fly "$F/app.aci" --exec=/nope
	expect_status 254
	[[ $stderr == *"/nope"* ]]
	run_fly "$F/app.aci" --user=nobody-here
	expect_status 254
	[[ $stderr == *"nobody-here"* ]]
	run_fly "$F/app.aci" --working-dir=/nowhere
	expect_status 254
	# What it could not start is exited, not running.
	run rkt list --no-legend
	expect_no_output running
	run_rkt gc --grace-period=0s
	expect_status 0
	[ -z "$(ls "$D/data/pods/run" "$D/data/pods/exited-garbage")" ] ||
		run_rkt gc --grace-period=0s
}

@test "fly: the whole life, and nothing left on the host" {
	before=$(wc -l </proc/self/mountinfo)
	in_background "$FLY" "$F/web.aci" -- print-ids and sleep 1000
	pod_is "$uuid" running
	wait_for 10 grep -q uid=501 "$D/out"
	rkt status "$uuid" >status
	pid=$(sed -n 's/^pid=//p' status)
	[ "$pid" = "$job" ]
	grep -qx "stage1=$S1-fly:$(rkt version | sed -n 's/^rkt Version: //p')" status
	rkt status --format=json "$uuid" |
		jq -e '.stage1 | startswith("coreos.com/rkt/stage1-fly:")'
	[ "$(cat "$D/data/pods/run/$uuid/pgid")" = "$(ps -o pgid= "$pid" | tr -d ' ')" ]
	[ "$(readlink "$D/data/pods/run/$uuid/flavor")" = fly ]
	run rkt list --no-legend
	expect_output web running
	run --separate-stderr rkt enter "$uuid" /inside print-ids and print-cwd \
		and print-env and print-ns
	expect_status 0
	expect_value uid 0
	expect_value cwd /
	expect_value ns.mnt "$(readlink "/proc/$pid/ns/mnt")"
	expect_output COLOUR=blue
	run rkt enter "$uuid" /inside exit-code 3
	expect_status 3
	run rkt enter "$uuid" /nope
	expect_status 254
	run rkt rm "$uuid"
	expect_status 254
	expect_output "currently running"
	run rkt stop "$uuid"
	expect_status 0
	[ "$output" = "\"$uuid\"" ]
	r=0
	wait "$job" || r=$?
	[ "$r" = 143 ]
	wait_for 10 pod_is "$uuid" exited
	run rkt stop "$uuid"
	expect_status 0
	expect_output "already stopped"
	[ "$(wc -l </proc/self/mountinfo)" -le $((before + 1)) ] # the image's
	run ! grep "$uuid" /proc/self/mountinfo
	run rkt rm "$uuid"
	expect_status 0
	run rkt list --no-legend
	[ -z "$output" ]
}

@test "fly: stop by force, and of what outlives the app's process" {
	in_background "$FLY" "$F/app.aci" -- ignore-term and sleep 1000
	rkt stop --force "$uuid"
	r=0
	wait "$job" || r=$?
	[ "$r" = 137 ]
	wait_for 10 pod_is "$uuid" exited
	# A group of its own, as in a unit or from an interactive shell.
	rm -f "$D/uuid"
	setsid --fork "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image run \
		"$FLY" --uuid-file-save="$D/uuid" "$F/shell.aci" \
		--exec=/bin/sh -- -c 'sleep 1000 & exit 0' 3>&- &
	wait_for 10 test -s "$D/uuid"
	uuid=$(cat "$D/uuid")
	wait_for 10 test -L "$D/data/pods/run/$uuid/supervisor-status"
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	wait_for 10 test ! -e "/proc/$pid"
	pod_is "$uuid" running
	run rkt stop "$uuid"
	expect_status 0
	wait_for 10 pod_is "$uuid" exited
}

@test "fly: prepared, started again, with copies, by configuration" {
	uuid=$(rkt --insecure-options=image prepare --quiet "$FLY" --no-overlay \
		"$F/app.aci" -- exit-code 4)
	run_rkt run-prepared "$uuid"
	expect_status 4
	run rkt start "$uuid"
	expect_status 4
	run rkt rm "$uuid"
	expect_status 0
	mkdir -p "$D/local/stage1.d"
	echo '{"rktKind": "stage1", "rktVersion": "v1", "version": "1.30.0",
		"name": "'"$S1"'-fly"}' >"$D/local/stage1.d/s.json"
	run_rkt run "$F/app.aci" -- exit-code 5
	expect_status 5
	expect_output "stage1: $S1-fly:1.30.0 is taken for the one of this rkt"
	[ "$(readlink "$(the_pod)/flavor")" = fly ]
	run_rkt run --stage1-from-dir=stage1-fly.aci "$F/app.aci" -- exit-code 6
	expect_status 6
}

@test "fly: /dev, /proc and /sys are the host's, /tmp is new, the rest the image's" {
	mkdir -p "$D/tmp/x"
	run_fly "$F/shell.aci" --exec=/bin/sh -- -c '
		stat -f -c %T /tmp; ls /tmp | wc -l; stat -c %a /tmp
		grep -c . /proc/1/comm; ls -d /sys/kernel /dev/null
		ls -d /etc/debian_version; echo there >/etc/mine; cat /etc/mine'
	expect_status 0
	[ "${lines[0]} ${lines[1]} ${lines[2]} ${lines[3]}" = "tmpfs 0 1777 1" ] ||
		fail "$output"
	expect_output /sys/kernel /dev/null there
	[[ $stderr == *"/etc/debian_version"* ]]
	[ ! -e /etc/mine ]
	run_fly "$F/shell.aci" --readonly-rootfs=true --exec=/bin/sh -- \
		-c 'echo x >/etc/mine'
	[ "$status" != 0 ]
	[[ $stderr == *"Read-only"* ]]
}

@test "fly: part of a volume, only to read, and what propagates" {
	mkdir -p "$D/v/sub/deep"
	echo part >"$D/v/sub/file"
	ln -s / "$D/v/out"
	part() {
		run_fly --volume="v,kind=host,source=$D/v,recursive=true" \
			"$F/shell.aci" "--mount=volume=v,target=/v,$1" \
			--exec=/bin/sh -- -c "$2"
	}
	part subPath=sub,readOnly=true 'cat /v/file; (echo x >/v/new) 2>&1; true'
	expect_status 0
	expect_output part 'Read-only file system'
	part subPath=out true
	expect_status 254
	[[ $stderr == *"subPath out leads out of the volume"* ]] || fail "$stderr"
	part propagation=private 'mount -t tmpfs tmpfs /v/sub/deep && echo mounted'
	expect_output mounted
	run ! mountpoint -q "$D/v/sub/deep"
	part propagation=rslave 'mount -t tmpfs tmpfs /v/sub/deep && echo mounted'
	expect_output mounted
	run ! mountpoint -q "$D/v/sub/deep"
	part propagation=rshared 'mount -t tmpfs tmpfs /v/sub/deep && echo mounted'
	expect_output mounted
	umount "$D/v/sub/deep"
}

@test "fly: volumes, not recursive unless asked, shared with the host's" {
	mkdir -p "$D/v/below" "$D/ro"
	mount -t tmpfs tmpfs "$D/v/below"
	echo deep >"$D/v/below/file"
	echo file >"$D/v/file"
	vol() {
		run_fly --volume="v,kind=host,source=$D/v$1" \
			--volume="e,kind=empty,mode=0711" \
			--volume="d,kind=host,source=/dev/null" \
			"$F/shell.aci" --mount=volume=v,target=/v \
			--mount=volume=e,target=/e --mount=volume=d,target=/d \
			--exec=/bin/sh -- -c "$2"
	}
	vol '' 'cat /v/file; ls /v/below | wc -l; stat -c %a /e; echo x >/d; stat -c %t:%T /d'
	expect_status 0
	[ "${lines[*]}" = "file 0 711 1:3" ] || fail "$output"
	vol ,recursive=true 'cat /v/below/file; echo new >/v/made'
	expect_status 0
	[ "$output" = deep ] || fail "$output"
	[ "$(cat "$D/v/made")" = new ]
	vol ,readOnly=true 'echo x >/v/other'
	[ "$status" != 0 ]
	# What the app mounts there, the host sees.
	vol ,recursive=true 'mkdir /v/new && mount -t tmpfs tmpfs /v/new'
	expect_status 0
	mountpoint -q "$D/v/new"
	umount "$D/v/new" "$D/v/below"
}

@test "fly: what it does not do is said or refused" {
	run_rkt run "$FLY" "$F/app.aci" --name=a -- exit-code 0 --- \
		"$F/app.aci" --name=b
	expect_status 254
	expect_output "a pod of several apps is not possible with stage1 $S1-fly:"
	run_rkt run "$FLY" --detach "$F/app.aci"
	expect_status 254
	expect_output "--detach is not possible with stage1 $S1-fly:"
	run_rkt app sandbox "$FLY"
	expect_status 1
	expect_output "stage1 $S1-fly:" "does not support mutable pods"
	[ ! -d "$D/data/pods/run" ] || [ -z "$(ls "$D/data/pods/run")" ]
	run_rkt run "$FLY" --volume=m,kind=empty,medium=memory \
		--mount=volume=m,target=/m "$F/app.aci"
	expect_status 254
	expect_output "a volume in memory is not possible with stage1 $S1-fly:" \
		"only $S1-native can"
	run_rkt prepare "$FLY" --secret=s,source=/etc/passwd "$F/app.aci"
	expect_status 254
	expect_output "a secret is not possible with stage1 $S1-fly:"
	[ -z "$(find "$D"/data/pods/{run,prepared} -name '*-*' 2>/dev/null)" ]
	run_rkt run "$FLY" --net=none --hostname=h --dns=1.2.3.4 --ipc=private \
		"$F/app.aci" -- exit-code 3
	expect_status 3
	for option in --net --hostname "--dns, --hosts-entry"; do
		expect_output "stage1-fly: warning: $option ignored"
	done
	run_rkt run "$FLY" --net=host "$F/app.aci" -- exit-code 0
	expect_status 0
	expect_no_output warning:\ --net
	in_background "$FLY" "$F/app.aci" -- sleep 1000
	for args in "exec $uuid /inside" "update $uuid --latest" \
		"rollback $uuid" "update --runtime $uuid" "logs $uuid" \
		"top $uuid" "stats --no-stream $uuid" "attach $uuid" \
		"cp $uuid:/etc/greeting $D/x"; do
		# shellcheck disable=SC2086 # words
		run rkt --insecure-options=image $args
		[ "$status" != 0 ] || fail "$args"
		expect_output "was made with stage1 $S1-fly:"
	done
	run rkt stats --no-stream
	expect_status 0
	expect_no_output "${uuid:0:8}"
	rkt stop "$uuid"
	wait "$job" || true
}
