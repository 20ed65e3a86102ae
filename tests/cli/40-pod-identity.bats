#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who an app is in its pod: namespaces, environment, program, user, groups.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

@test "a pod has namespaces of its own" {
	run_inside "$F/inside.aci" -- print-ns and print-ids and print-pids
	expect_status 0
	for ns in pid mnt uts ipc net cgroup; do
		[ -n "$(value ns.$ns)" ] || fail "no ns.$ns"
		[ "$(value ns.$ns)" != "$(readlink /proc/self/ns/$ns)" ] ||
			fail "$ns namespace is the host's"
	done
	[ "$(value pid)" != 1 ] || fail "the app is PID 1"
	[ "$(value ppid)" = 0 ] || fail "the app sees its parent"
}

@test "two apps share the pod's namespaces, each has its own mounts" {
	image_inside "$D/b.aci" . example.com/other
	run_inside "$F/inside.aci" -- print-ns --- "$D/b.aci" -- print-ns
	expect_status 0
	for ns in pid uts ipc net; do
		[ "$(grep -c "ns.$ns=" <<<"$output")" = 2 ]
		[ "$(grep -o "ns.$ns=.*" <<<"$output" | sort -u | wc -l)" = 1 ] ||
			fail "the apps differ in $ns"
	done
	[ "$(grep -o "ns.mnt=.*" <<<"$output" | sort -u | wc -l)" = 2 ]
}

@test "the host name is rkt-UUID or --hostname" {
	run_inside --uuid-file-save="$D/uuid" "$F/inside.aci" -- print-hostname
	expect_status 0
	expect_value hostname "rkt-$(cat "$D/uuid")"
	run_inside --hostname=web1 "$F/inside.aci" -- print-hostname and \
		read /etc/hostname
	expect_value hostname web1
	expect_value read web1
	# The image was built on a host of another name.
	mkdir -p "$D/i/rootfs/etc"
	cp "$INSIDE" "$D/i/rootfs/inside"
	echo builder >"$D/i/rootfs/etc/hostname"
	image_tree "$D/i" example.com/built 1.0.0
	run_inside --hostname=web2 "$D/i.aci" -- read /etc/hostname
	expect_value read web2
	rm "$D/i/rootfs/etc/hostname"
	mkdir "$D/i/rootfs/etc/hostname"
	image_tree "$D/i" example.com/built 1.0.0
	run_inside --hostname=web3 "$D/i.aci" -- print-hostname
	expect_value hostname web3
}

@test "what is wrong with an environment file is said with its line" {
	printf '%s\n' '# fine' A=1 'no pair' >"$D/env"
	run_inside --set-env-file="$D/env" "$F/inside.aci" -- print-env
	expect_status 254
	[[ $stderr == *"run: $D/env: line 3: must be given as NAME=VALUE"* ]]
}

@test "a pod manifest that cannot be read is named" {
	echo '{"acKind":' >"$D/bad.json"
	run_inside --pod-manifest="$D/bad.json"
	expect_status 254
	[[ $stderr == *"run: $D/bad.json: line "* ]]
}

@test "a --hostname that is no host name is refused" {
	for name in "two words" $'a\n1.2.3.4 b' "-a" "$(printf 'a%.0s' {1..65})"; do
		run_inside --hostname="$name" "$F/inside.aci" -- print-hostname
		expect_status 254
		[[ $stderr == *"invalid --hostname "* ]]
	done
}

@test "--ipc=parent shares the host's ipc namespace" {
	run_inside --ipc=parent "$F/inside.aci" -- print-ns
	expect_status 0
	expect_value ns.ipc "$(readlink /proc/self/ns/ipc)"
	run_inside --ipc=nonsense "$F/inside.aci" -- print-ns
	expect_status 254
}

@test "an image without environment gets the default variables" {
	run_inside "$F/inside.aci" -- print-env
	expect_status 0
	expect_value env.PATH \
		/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	expect_value env.SHELL /bin/sh
	expect_value env.USER root
	expect_value env.LOGNAME root
	expect_value env.HOME /root
	expect_value env.AC_APP_NAME inside
	expect_no_output RKT_ BATS_ LISTEN_
}

@test "environment: inherited < image < file < --set-env < --environment" {
	image_inside "$D/env.aci" '.app.environment=[
		{name:"V1",value:"image"},{name:"V2",value:"image"},
		{name:"V3",value:"image"},{name:"V4",value:"image"}]'
	printf '%s\n' '# comment' '; another' '' V2=file V3=file V4=file \
		>"$D/env"
	V0=caller V1=caller run_inside --inherit-env --set-env-file="$D/env" \
		--set-env=V3=pod --set-env=V4=pod "$D/env.aci" \
		--environment=V4=app -- print-env
	expect_status 0
	expect_value env.V0 caller
	expect_value env.V1 image
	expect_value env.V2 file
	expect_value env.V3 pod
	expect_value env.V4 app
}

@test "the caller's environment stays outside" {
	SECRET=1 run_inside "$F/inside.aci" -- print-env SECRET
	expect_status 0
	expect_value env.SECRET.unset 1
}

@test "exec: a bare name is found in PATH" {
	image_inside "$D/i.aci" '.app.exec=["in-path","print-exe"]'
	run_inside "$D/i.aci"
	expect_status 0
	expect_value exe /inside
}

@test "exec: a relative path starts at the working directory" {
	image_inside "$D/i.aci" \
		'.app.exec=["sub/run","print-cwd"]|.app.workingDirectory="/opt"'
	run_inside "$D/i.aci"
	expect_status 0
	expect_value cwd /opt
}

@test "exec: --exec replaces the program, arguments follow" {
	run_inside "$F/inside.aci" --exec=/usr/bin/in-path -- echo replaced
	expect_status 0
	expect_output replaced
}

@test "exec: a missing program is named" {
	run_inside "$F/inside.aci" --exec=/nope
	[ "$status" != 0 ]
	case $stderr in *'Unable to open "/nope"'*) ;; *) fail "$stderr" ;; esac
}

@test "exec: a missing interpreter is named" {
	mkdir -p "$D/i/rootfs"
	cp "$INSIDE" "$D/i/rootfs/inside"
	printf '#!/bin/missing\n' >"$D/i/rootfs/script"
	chmod 0755 "$D/i/rootfs/script"
	image_tree "$D/i" example.com/script 1 '.app.exec=["/script"]'
	run_inside "$D/i.aci"
	[ "$status" != 0 ]
	case $stderr in *'/bin/missing'*) ;; *) fail "$stderr" ;; esac
}

@test "the working directory is the image's or --working-dir" {
	run_inside "$F/inside.aci" -- print-cwd
	expect_value cwd /
	image_inside "$D/i.aci" '.app.workingDirectory="/opt/sub"'
	run_inside "$D/i.aci" -- print-cwd
	expect_value cwd /opt/sub
	run_inside "$D/i.aci" --working-dir=/tmp -- print-cwd
	expect_value cwd /tmp
}

@test "user and group as numbers" {
	run_inside "$F/inside.aci" --user=200 --group=300 -- print-ids
	expect_status 0
	expect_value uid 200
	expect_value euid 200
	expect_value gid 300
	expect_value egid 300
}

@test "user and group as names of the image" {
	run_inside "$F/inside.aci" --user=web --group=log -- print-ids
	expect_status 0
	expect_value uid 501
	expect_value gid 600
	run_inside "$F/inside.aci" --user=nobody-here -- print-ids
	[ "$status" != 0 ]
}

@test "user and group as the owner of a path in the image" {
	run_inside "$F/inside.aci" --user=/etc/owned --group=/etc/owned -- \
		print-ids
	expect_status 0
	expect_value uid 700
	expect_value gid 701
}

@test "user and group from the image manifest, root by name" {
	image_inside "$D/i.aci" '.app.user="web"|.app.group="root"'
	run_inside "$D/i.aci" -- print-ids
	expect_status 0
	expect_value uid 501
	expect_value gid 0
}

@test "a path owner behind a symlink stays in the image" {
	mkdir -p "$D/i/rootfs/etc"
	cp "$INSIDE" "$D/i/rootfs/inside"
	chown 800:801 "$D/i/rootfs/inside"
	ln -s ../../../../inside "$D/i/rootfs/etc/link"
	image_tree "$D/i" example.com/link 1
	run_inside "$D/i.aci" --user=/etc/link --group=/etc/link -- print-ids
	expect_status 0
	expect_value uid 800
	expect_value gid 801
}

@test "supplementary groups are exactly those asked for" {
	run_inside "$F/inside.aci" -- print-ids
	expect_status 0
	[ -z "$(value groups)" ] || [ "$(value groups)" = 0 ]
	run_inside "$F/inside.aci" --user=200 --group=300 \
		--supplementary-gids=7,9 -- print-ids
	expect_status 0
	[ "$(value groups | tr , '\n' | sort -n | tr '\n' ' ')" = "7 9 " ] ||
		[ "$(value groups | tr , '\n' | sort -n | tr '\n' ' ')" = \
			"7 9 300 " ] || fail "groups $(value groups)"
}

@test "orphans are reaped by the pod's init" {
	run_inside "$F/inside.aci" -- fork-orphans 20
	expect_status 0
	expect_value zombies 0
}

@test "no descriptor of the host reaches the app" {
	run_inside "$F/inside.aci" -- print-fds
	expect_status 0
	[ "$(grep -c 'fd\.[0-9]*=' <<<"$output")" = 3 ] ||
		fail "descriptors: $output"
	expect_value fd.0 /dev/null
}

@test "a non-root app can reopen /dev/stdout and /dev/stderr" {
	run_inside "$F/inside.aci" --user=200 --group=300 -- \
		append /dev/stdout through-stdout and append /dev/stderr x
	expect_status 0
	expect_output through-stdout append=ok
}

@test "the exit code is the app's" {
	run_inside "$F/inside.aci" -- exit-code 7
	expect_status 7
	run_inside "$F/inside.aci" -- kill-self 9
	expect_status 137
}
