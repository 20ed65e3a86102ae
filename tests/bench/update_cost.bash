# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by handover
# What an app pays for being updatable while nobody updates it.

# shellcheck source=tests/bench/ratio.bash
. "$here/ratio.bash"

# Two nginx below the app's filter, one without the update rule, asked in turn.
wrk_pairs() { # PAIRS
	local n=0 kind port
	if ! command -v wrk >/dev/null || [ ! -x /usr/sbin/nginx ]; then
		echo "wrk or nginx is not installed: not measured"
		return
	fi
	# Its workers are nobody.
	umask 022
	for kind in without with; do
		port=$((8090 + n++))
		mkdir -p "$W/wrk/$kind"
		echo hello >"$W/wrk/$kind/index.html"
		printf '%s\n' 'worker_processes 1;' "pid $W/wrk/$kind.pid;" \
			'events { worker_connections 1024; }' \
			"http { access_log off; keepalive_requests 10000000; server { listen $port; root $W/wrk/$kind; } }" \
			>"$W/wrk/$kind.conf"
		"$BUILD/tests/filter_cost" exec "$kind" /usr/sbin/nginx \
			-e "$W/log" -g 'daemon off;' -c "$W/wrk/$kind.conf" >>"$W/log" 2>&1 &
		servers+=($!)
	done
	sleep 1
	: >"$W/pairs"
	for n in $(seq "$1"); do
		# Who comes first changes, too.
		set -- without with
		[ $((n % 2)) = 0 ] || set -- with without
		for kind; do
			port=8090
			[ "$kind" = without ] || port=8091
			echo "$n $kind $(wrk -t1 -c16 -d1s "http://127.0.0.1:$port/" |
				awk '/^Requests\/sec/ { print $2 }')"
		done >>"$W/pairs"
	done
	for n in "${servers[@]}"; do kill "$n" || true; done
	for n in "${servers[@]}"; do wait "$n" || true; done
}

bench_cost() {
	local servers=()
	echo "== the update rule while nothing is updated"
	"$BUILD/tests/filter_cost" calls 20 >"$W/calls"
	sed 's/^/   /' "$W/calls"
	judge 'ns the rule adds to a getppid, least of 20 interleaved runs' \
		"$(sed -n 's/^added_ns=//p' "$W/calls")" 2
	wrk_pairs "${WRK_PAIRS:-12}"
	[ ! -s "$W/pairs" ] || pairs_ratio "wrk, nginx with the rule / without" "$W/pairs" with without
}
