#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Servers from Debian packages as pods: what they need is what users need.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

setup_file() {
	mkdir -p "$F"
	"$TESTS/images/build-images.sh" "$F" >&2
}

# start NAME IMAGE [ARG...]: a pod with the default network that is ready.
# Sets $uuid and $ip.
start() {
	local name=$1 image=$2
	shift 2
	uuid=$(rkt --insecure-options=image run --detach --pod-name="$name" \
		"$F/$image.aci" "$@" | tail -1)
	ip=$(rkt status "$uuid" |
		sed -n 's/^networks=default:ip4=\([0-9.]*\).*/\1/p')
	[ -n "$ip" ] || fail "no address"
}

fetch() {
	curl -sS --fail --max-time 5 --retry 50 --retry-delay 0 \
		--retry-max-time 10 --retry-connrefused "http://$1"
}

redis() {
	redis-cli -h "$ip" "$@"
}

end() {
	rkt stop "$1"
	run -0 rkt status --wait=20s "$1"
	run -0 rkt rm "$1"
}

@test "busybox: its applets, and mount points without volumes" {
	run_rkt run --net=none "$F/busybox.aci" --exec=/bin/sh -- \
		-c 'id -u; ls / | sort | head -1; exit 3'
	expect_status 3
	expect_output "]: 0" "]: bin"
	echo from-host >"$D/app.conf"
	run_rkt run --net=none --volume=file,kind=host,source="$D/app.conf" \
		"$F/busybox-mounts.aci" --exec=/bin/sh -- -c 'cat /etc/app.conf
			touch /data/x && echo data ok
			touch /etc/app/x || echo config read-only'
	expect_status 0
	expect_output "]: from-host" "]: data ok" "]: config read-only"
}

@test "nginx: a page from another namespace, and a clean end" {
	skip_without cni
	start web nginx-1
	[ "$(fetch "$ip/version")" = 1.0.0 ]
	fetch "$ip/" | grep -q "<h1>version 1.0.0</h1>"
	grep -q 'GET /version' "$D/data/pods/run/$uuid/logs/nginx"
	end web
}

@test "nginx as www-data: /dev/stdout and /dev/stderr are its own" {
	skip_without cni
	start web nginx-nonroot
	[ "$(fetch "$ip:8080/version")" = 1.0.0 ]
	log=$D/data/pods/run/$uuid/logs/nginx-nonroot
	wait_for 5 grep -q 'stdout F .*GET /version' "$log"
	grep -q 'stderr F .*notice' "$log"
	for pid in $(pgrep -f 'nginx: (master|worker)'); do
		[ "$(stat -c %u "/proc/$pid")" = 33 ]
	done
	end web
}

@test "python: threads and many connections at once" {
	skip_without cni
	start py python
	fetch "$ip:8000/version"
	run -0 "$BUILD/tests/load" --workers=16 --rate=200 --seconds=2 \
		"$ip" 8000 /version
	expect_output refused=0 reset=0 timeout=0 other=0 body.1.0.0=
	end py
}

@test "redis: a volume outlives the pod, writes are the app's" {
	skip_without cni
	mkdir -m 0777 "$D/volume"
	start one redis --volume=data,kind=host,source="$D/volume"
	wait_for 10 redis ping
	redis set key value
	end one
	[ -s "$D/volume/dump.rdb" ]
	start two redis --volume=data,kind=host,source="$D/volume"
	wait_for 10 redis ping
	[ "$(redis get key)" = value ]
	end two
}

@test "two apps of one pod share its network" {
	skip_without cni
	start both nginx-1 "$F/redis.aci" --name=store
	[ "$(fetch "$ip/version")" = 1.0.0 ]
	wait_for 10 redis ping
	run -0 rkt list --no-legend
	expect_output nginx store
	end both
}

@test "nginx: an update and a rollback refuse and cut nothing" {
	skip_without cni
	start web nginx-1
	fetch "$ip/version"
	"$BUILD/tests/load" --rate=300 "$ip" 80 /version >load &
	load=$!
	sleep 0.5
	run_rkt update --image="$F/nginx-2.aci" --observe=0s web
	expect_status 0
	[ "$(fetch "$ip/version")" = 2.0.0 ]
	run_rkt rollback --observe=0s web
	expect_status 0
	[ "$(fetch "$ip/version")" = 1.0.0 ]
	sleep 0.5
	kill "$load"
	wait "$load"
	output=$(cat load)
	expect_output refused=0 reset=0 timeout=0 other=0 \
		body.1.0.0= body.2.0.0=
	end web
}

@test "make demo works as shown and leaves nothing" {
	skip_without cni
	run -0 bash "$TESTS/demo.sh"
	expect_output "is not signed" "COMMITTED" ", 0 refused"
	run -0 find /tmp "$TMPDIR" -maxdepth 1 -name 'rkt-demo*'
	[ -z "$output" ]
}
