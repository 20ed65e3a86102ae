# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2153,SC2086 # sourced by run.sh
# Ports of pods, many pods at once, many apps in one pod.

ms() {
	echo $(($(date +%s%N) / 1000000))
}

# --- ports ------------------------------------------------------------------

# nginx of one root file system behind a port of the host, by both, and a
# client in a network namespace of its own.
ports_begin() {
	local dir=$W/nginx
	ACTOOL=$BUILD/bin/actool bash "$here/../images/build-images.sh" "$dir" nginx-1 >/dev/null 2>>"$W/log" || return
	mkdir -p "$dir/root"
	tar -C "$dir/root" --strip-components=1 -xf "$dir/nginx-1.aci" rootfs
	tar -C "$dir/root" -c . | in_v1 $PODMAN import -q - bench-nginx >/dev/null
	$RKT --insecure-options=image run --detach --port=http:8080 \
		--uuid-file-save="$W/nginx.uuid" "$dir/nginx-1.aci" >/dev/null 2>>"$W/log" || return
	in_v1 $PODMAN run -d --name=web -p 8081:80 bench-nginx \
		/usr/sbin/nginx -g 'daemon off;' >/dev/null 2>>"$W/log" || return
	ip netns add client
	ip link add toclient type veth peer name eth0 netns client
	ip addr add 192.0.2.1/24 dev toclient
	ip link set toclient up
	ip -n client addr add 192.0.2.2/24 dev eth0
	ip -n client link set lo up
	ip -n client link set eth0 up
	ip -n client route add default via 192.0.2.1
}

ports_end() {
	[ ! -s "$W/nginx.uuid" ] || $RKT stop --force --uuid-file="$W/nginx.uuid" >/dev/null
	in_v1 $PODMAN rm -f web >/dev/null 2>>"$W/log" || true
	ip netns del client 2>/dev/null || true
	ip link del toclient 2>/dev/null || true
	collect
}

# ports_race FILE URL-WITHOUT-PORT [WORDS BEFORE wrk...]
ports_race() {
	local file=$1 url=$2 i who port
	shift 2
	for i in $(seq "$WRK_PAIRS"); do
		# Who comes first changes, too.
		for who in $([ $((i % 2)) = 0 ] && echo rkt podman || echo podman rkt); do
			port=8080
			[ "$who" = rkt ] || port=8081
			echo "$i $who $("$@" wrk -t1 -c16 -d1s -H 'User-Agent: load' \
				"$url:$port/" | awk '/^Requests\/sec/ { r = $2 }
				/Non-2xx|Socket errors/ { r = "" } END { print r }')"
		done
	done >"$file"
}

bench_ports() {
	local from
	echo "== nginx behind a port of the host, wrk, $WRK_PAIRS pairs"
	if [ -z "$rkt" ] || [ -z "$podman" ] || ! have wrk || [ ! -x /usr/sbin/nginx ]; then
		echo "not measured: rkt, podman, wrk or nginx is missing"
		return
	fi
	if ports_begin; then
		ports_race "$W/ports-outside" http://192.0.2.1 $PRIORITY ip netns exec client
		ports_race "$W/ports-host" http://127.0.0.1 $PRIORITY env
		for from in outside host; do
			pairs_ratio "rkt / podman, requests/s from $from" \
				"$W/ports-$from" rkt podman 1 '>='
		done
	else
		echo "not measured: nginx does not start"
		tail -5 "$W/log"
	fi
	ports_end
}

# --- many pods -----------------------------------------------------------------

# many_up NET: fills $W/uuids.
many_up() {
	seq "$PODS" | $PRIORITY xargs -P2 -I% $RKT run --detach --net="$1" \
		"$image" --exec=/bin/sleep -- 1000000 >"$W/uuids" 2>"$W/errors"
	[ "$(wc -l <"$W/uuids")" = "$PODS" ] || {
		echo "only $(wc -l <"$W/uuids") of $PODS pods run: $(tail -1 "$W/errors")"
		return 1
	}
}

pods_left() {
	[ -n "$(find "$W/rkt/pods" -mindepth 2 -maxdepth 2 -print -quit)" ]
}

# many_down FILE: from the stop to the last file of the last pod; adds the
# milliseconds to FILE.
many_down() {
	local start
	mapfile -t uuids <"$W/uuids"
	note_pods
	start=$(ms)
	$PRIORITY $RKT stop "${uuids[@]}" >/dev/null 2>>"$W/errors"
	while pods_left && [ $(($(ms) - start)) -lt 120000 ]; do
		$PRIORITY $RKT gc --grace-period=0s >/dev/null 2>>"$W/errors"
	done
	! pods_left || echo "not all pods are gone: $(tail -1 "$W/errors")"
	echo $(($(ms) - start)) >>"$1"
}

# What rkt adds to the apps: stage1 and pod init of every pod.
many_pss() {
	local uuid init
	while read -r uuid; do
		init=$(cat "$W/rkt/pods/run/$uuid/pid")
		echo "$init"
		awk '/^PPid:/ { print $2 }' "/proc/$init/status"
	done <"$W/uuids" | xargs "$RACE" pss
}

least() {
	sort -n "$1" | head -1
}

# The plugin of rkt's default network, called as rkt calls it.
many_floor() {
	printf '%s' '{"cniVersion":"0.1.0","name":"floor","type":"ptp",' \
		'"ipMasq":false,"ipam":{"type":"host-local","subnet":"172.16.29.0/24",' \
		'"routes":[{"dst":"0.0.0.0/0"}]}}' >"$W/floor.conf"
	$PRIORITY "$W/cni_floor" add "$PODS" 2 /usr/lib/cni/ptp "$W/floor.conf" >/dev/null
	$PRIORITY "$W/cni_floor" del "$PODS" 2 /usr/lib/cni/ptp "$W/floor.conf" >>"$1"
}

bench_many() {
	local round kib
	echo "== $PODS pods at once, least of $ROUNDS_MANY rounds"
	[ -n "$rkt" ] || { echo "not measured"; return 0; }
	gcc -D_GNU_SOURCE -std=gnu17 -O2 -o "$W/cni_floor" "$here/cni_floor.c"
	# What the first pod makes stays for all others.
	$RKT run "$image"
	collect
	sh "$here/../leaks.sh" snapshot "$W/before"
	: >"$W/down-net"
	: >"$W/down-none"
	: >"$W/floor-del"
	: >"$W/commands"
	add list - "$RKT list"
	for round in $(seq "$ROUNDS_MANY"); do
		many_up default || return 0
		if [ "$round" = 1 ]; then
			$PRIORITY "$RACE" rounds 21 "$W/commands" >"$W/list"
			kib=$(many_pss)
		fi
		many_down "$W/down-net"
		many_floor "$W/floor-del"
		many_up none || return 0
		many_down "$W/down-none"
	done
	ratio "rkt list / 50 ms" "$(column "$W/list" list 2)" 50 1 '<='
	ratio "PSS KiB of rkt, a pod / 3 MiB" $((kib / PODS)) 3072 1 '<='
	ratio "stop and gc / plugin DELs two at a time" \
		"$(least "$W/down-net")" "$(least "$W/floor-del")" 1.3 '<='
	ratio "stop and gc, --net=none / 5 s" "$(least "$W/down-none")" 5000 1 '<='
	left_behind $((PODS * ROUNDS_MANY * 2))
}

# --- many apps --------------------------------------------------------------------

apps_words() { # COUNT: sleepers, which --detach leaves running
	local i
	for i in $(seq "$1"); do
		printf '%s --name=app%d --exec=/bin/sleep -- 1000000 --- ' "$image" "$i"
	done
}

bench_apps() {
	local net n
	echo "== a pod with 10 apps and one with 1, until all run, median of $ROUNDS"
	[ -n "$rkt" ] || { echo "not measured"; return 0; }
	: >"$W/commands"
	for net in default none; do
		for n in 1 10; do
			add "$net-$n" - "$RKT run --detach --net=$net $(apps_words "$n")"
		done
	done
	$PRIORITY "$RACE" rounds "$ROUNDS" "$W/commands" >"$W/apps" 2>"$W/errors"
	table "$W/apps"
	for net in default none; do
		ratio "10 apps / 1 app, --net=$net" "$(column "$W/apps" "$net-10" 2)" \
			"$(column "$W/apps" "$net-1" 2)" 2 '<='
	done
	$RKT list --no-legend --full | awk '$1 ~ /-/ { print $1 }' >"$W/uuids"
	many_down "$W/apps-down"
}
