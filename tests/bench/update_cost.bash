# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by handover
# What an app pays for being updatable while nobody updates it.

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

# The geometric mean of the pairs' ratios, which one disturbed pair moves as
# much either way, with the 95 % interval of Student's t.
wrk_ratio() {
	awk '{ v[$1, $2] = $3; if ($1 > n) n = $1 }
	END {
		for (i = 1; i <= n; i++) {
			if (!v[i, "with"] || !v[i, "without"]) continue
			r[++m] = log(v[i, "with"] / v[i, "without"])
			sum += r[m]; a += v[i, "with"]; b += v[i, "without"]
		}
		if (m < 2) { print "wrk: not measured"; exit }
		mean = sum / m
		for (i = 1; i <= m; i++) var += (r[i] - mean) ^ 2
		t = m >= 20 ? 2.09 : m >= 12 ? 2.20 : m >= 10 ? 2.26 : m >= 8 ? 2.36 : m >= 5 ? 2.78 : 4.30
		half = t * sqrt(var / (m - 1) / m)
		printf "wrk, nginx with the rule / without: %.0f / %.0f requests/s = %.4f, 95 %% interval %.4f to %.4f (%d pairs)\n",
			a / m, b / m, exp(mean), exp(mean - half), exp(mean + half), m
	}' "$W/pairs"
}

bench_cost() {
	local servers=()
	echo "== the update rule while nothing is updated"
	"$BUILD/tests/filter_cost" calls 20 >"$W/calls"
	sed 's/^/   /' "$W/calls"
	judge 'ns the rule adds to a getppid, least of 20 interleaved runs' \
		"$(sed -n 's/^added_ns=//p' "$W/calls")" 2
	wrk_pairs "${WRK_PAIRS:-12}"
	[ ! -s "$W/pairs" ] || wrk_ratio
}
