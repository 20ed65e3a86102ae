#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The README's table of what podman's users would type: every command in its
# right column is run, in its order, and does what the left column means.
# shellcheck disable=SC2154 # status, output come from bats
# shellcheck disable=SC2001,SC2016,SC2314 # quoted patterns; "!" is last

load lib
load servers

setup_file() {
	load lib
	load servers
	mkdir -p "$F/registry"
	certificate
	names_local
	cat >"$F/registry.yml" <<-END
		version: 0.1
		storage: {filesystem: {rootdirectory: $F/registry}}
		http: {addr: "example.com:443",
			tls: {certificate: $F/cert.pem, key: $F/key.pem}}
		log: {level: error}
	END
	server docker-registry serve "$F/registry.yml"
	wait_for 20 curl -sfk https://example.com/v2/ -o /dev/null
	images
}

teardown_file() {
	servers_stop
}

setup() {
	skip_without cni
	skip_without iptables
	skip_without busybox
	setup_test
	export CURL_CA_BUNDLE=$F/cert.pem
}

# docker://IMAGE serves /etc/x; IMAGE says what it sees, and then what it reads.
images() {
	mkdir -p "$F/s/rootfs/etc"
	cp -r --parents /bin/busybox "$F/s/rootfs"
	ln -s busybox "$F/s/rootfs/bin/sh"
	ln -s busybox "$F/s/rootfs/bin/ls"
	ln -s busybox "$F/s/rootfs/bin/id"
	ln -s busybox "$F/s/rootfs/bin/tty"
	echo x >"$F/s/rootfs/etc/x"
	image_tree "$F/s" example.com/web 1.0.0 '.app.exec=["/bin/busybox",
		"httpd", "-f", "-p", "80", "-h", "/etc"]'
	"$RKT" --dir="$F/data" --insecure-options=image fetch "$F/s.aci"
	mkdir -p "$F/t/rootfs/bin" "$F/t/rootfs/dst" "$F/t/rootfs/tmp" \
		"$F/t/rootfs/etc"
	cp /bin/busybox "$F/t/rootfs/bin/busybox"
	printf '#!/bin/busybox sh\nexit 0\n' >"$F/t/rootfs/check"
	cat >"$F/t/rootfs/facts" <<-'END'
		#!/bin/busybox sh
		see() { echo "$1=$(busybox $2 $3 $4 2>&1 | busybox tr '\n' ';')"; }
		see ids id
		see pwd pwd
		see env env
		see dst ls /dst
		see mounts cat /proc/mounts
		see info cat /proc/self/mountinfo
		see new touch /new
		see hosts cat /etc/hosts
		see dns cat /etc/resolv.conf
		see host hostname
		see caps grep CapBnd /proc/self/status
		see users cat /proc/self/uid_map
		see net readlink /proc/self/ns/net
		while read -r line && [ "$line" != end ]; do
			echo "heard=$line"
		done
		exit 0
	END
	chmod 0755 "$F/t/rootfs/check" "$F/t/rootfs/facts"
	chmod 1777 "$F/t/rootfs/tmp"
	image_tree "$F/t" example.com/facts 1.0.0 '.app.exec=["/facts"] |
		.app.environment=[{name:"PATH",value:"/bin"}]'
	CURL_CA_BUNDLE=$F/cert.pem "$RKT" --dir="$F/data" push \
		example.com/web docker://example.com/serve
	unseal "$F/data"
	rm -rf "$F/data"
}

# table: the lines "PODMAN | RKT" of the README.
table() {
	sed -n '/^| podman | rkt |/,/^$/p' "$TESTS/../README.md" |
		sed '1,2d; /^$/d; s/^| //; s/ |$//'
}

# typed LINE: with what LINE has capital letters for.
typed() {
	sed "s,docker://IMAGE,docker://example.com/serve,
		s,docker://host/name,docker://example.com/pushed,
		s,IMAGE1,$F/t.aci,; s,IMAGE2,$F/t.aci --name=two,
		s,IMAGE,$F/t.aci,; s,FILE.aci,$D/out.aci,; s,FILE,$D/env,
		s,/src,$D/src,; s,^rkt ,," <<<"$1"
}

# types LINE [COMMAND...]: runs it, below COMMAND.
types() {
	local words
	read -ra words <<<"$(typed "$1")"
	run timeout 60 "${@:2}" "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image "${words[@]}"
}

on_terminal() {
	types "$2" python3 "$TESTS/cli/terminal.py" 24x80 "$1" --
}

sees() {
	value "$1" | grep -qE "$2" || fail "$1 is not $2: $output"
}

# Whatever else the rows do, each has its line here.
means() {
	case $1 in
	'rkt run --interactive'*)
		on_terminal '/ #:send:tty; exit 4\n' "$1"
		expect_output /dev/pts
		expect_status 4
		return
		;;
	'rkt logs --follow '* | 'rkt stats')
		types "$1" timeout 3
		expect_status 124
		;;
	'rkt attach in')
		types "$1" sh -c 'printf "words\nend\n" | "$@"' sh
		expect_status 0
		expect_output heard=words
		return
		;;
	'rkt exec web sh')
		types "$1" sh -c 'echo "pwd; exit 3" | "$@"' sh
		expect_status 3
		expect_output /
		return
		;;
	'rkt app sandbox' | 'rkt app add')
		# Run to their ends in 37-app.bats.
		types "$1 --help"
		expect_output "$1"
		;;
	*)
		types "$1"
		expect_status 0
		;;
	esac
	case $1 in
	'rkt run --detach --pod-name=web'*)
		wait_for 10 curl -sf http://127.0.0.1:8080/x
		[ "$(curl -s http://127.0.0.1:8080/x)" = x ]
		;;
	*' --exec=ls '*) expect_output bin etc ;;
	*subPath=s*) sees info '/s /d [^;]*' ;;
	*propagation=rslave*) sees dst '^from-host;' && sees info ' /dst [^;]*master:' ;;
	*/src*) sees dst '^from-host;' && sees mounts ' /dst [^;]* ro[, ]' ;;
	*size=64Mi*) sees mounts '/dst tmpfs [^;]*size=65536k' ;;
	*--environment=A=b*)
		sees ids '^uid=5 gid=6' && sees pwd '^/tmp;' && sees env '\<A=b;'
		;;
	*--set-env-file*) sees env '\<A=of-file;' ;;
	*--hostname*)
		sees host '^h;' && sees hosts $'10.0.0.5\tdb;' &&
			sees dns 'nameserver 8.8.8.8'
		;;
	*--memory*) ;; # what the kernel was told: 80-rkt-features.bats, row 24
	*--readonly-rootfs*)
		sees new 'Read-only file system' && sees caps 'a80425fa;'
		;;
	*--net=host*) sees net "^$(readlink /proc/self/ns/net | sed 's/\[/\\[/');" ;;
	*--private-users*) sees users ' 0 +[1-9][0-9]+ +65536' ;;
	*--restart=on-failure*) [ "$(grep -c 'ids=' <<<"$output")" = 1 ] ;;
	*rkt.io/health*) ;; # asked and answered: 52-restart-health.bats
	*IMAGE2*) [ "$(grep -cE '(t|facts|two)\[.*: ids=' <<<"$output")" = 2 ] ;;
	*--pod-name=in*) ;; # the next has its input
	'rkt list') expect_output "$web_uuid" running NETWORKS ;;
	'rkt logs'*) ;;
	'rkt stats') expect_output CPU "$web_uuid" ;;
	'rkt top web') expect_output busybox ;;
	'rkt exec --user=5'*) expect_output uid=5 ;;
	'rkt cp'*) [ "$(cat x)" = x ] ;;
	'rkt status --format=json web') jq -e '.state == "running"' <<<"$output" ;;
	'rkt cat-manifest web') jq -e '.acKind == "PodManifest"' <<<"$output" ;;
	'rkt generate systemd web') expect_output 'ExecStart=' ;;
	'rkt auto-update') expect_output 'no running pod' ;;
	'rkt stop --wait web') pod_is web exited ;;
	'rkt export web'*) "$ACTOOL" validate "$D/out.aci" && rm "$D/out.aci" ;;
	'rkt start --detach web') pod_is web running ;;
	'rkt stop --force web') ;;
	'rkt status --wait web') expect_output state=exited ;;
	'rkt rm web') ! rkt status web ;;
	'rkt gc'*) expect_output 'Garbage collecting pod' ;;
	'rkt image list') expect_output example.com/facts example.com/serve ;;
	'rkt fetch'*) expect_output sha512- ;;
	'rkt push'*) [[ $output == *sha256:* ]] ;;
	'rkt image export'*) "$ACTOOL" validate "$D/out.aci" ;;
	'rkt image rm'*) ! rkt image cat-manifest docker://example.com/serve ;;
	'rkt image gc'*) # the pod "in" is there, and needs its image
		[ "$(rkt image list --all --no-legend --fields=name)" = \
			example.com/facts:1.0.0 ]
		;;
	'rkt app'*) ;;
	*) fail "nothing looks at what this does" ;;
	esac
}

@test "every command beside podman's does what podman's does" {
	local line
	mkdir "$D/src"
	: >"$D/src/from-host"
	echo A=of-file >"$D/env"
	table | sed 's/.* | //' | grep -oE '`rkt [^`]*' | tr -d '`' >lines
	[ "$(wc -l <lines)" -gt 40 ]
	while read -r line <&3; do
		echo "$line"
		means "$line"
		[[ $line != *--pod-name=web* ]] ||
			web_uuid=${output: -36:8}
	done 3<lines
	curl -sf --cacert "$F/cert.pem" https://example.com/v2/pushed/tags/list |
		jq -e '.tags == ["latest"]'
}

@test "every row of the table has both sides" {
	table >rows
	[ "$(wc -l <rows)" -gt 20 ]
	! grep -vE '^`.*` \| `rkt .*`$' rows
}
