# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by handover
# What people do today to get a new version of a server running: the same
# images' root file systems, the same clients, one after the other in the
# same run.  nginx and haproxy run on the host's network here, which is the
# best case of podman.

# shellcheck source=tests/bench/podman.bash
. "$here/podman.bash"

# roots SERVER: its versions' root file systems as $W/roots/SERVER-N.
roots() {
	local n
	images "$1" || return
	for n in 0 1; do
		mkdir -p "$W/roots/$1-$n"
		tar -xf "${files[$n]}" -C "$W/roots/$1-$n" --strip-components=1 rootfs
		chroot_ready "$W/roots/$1-$n"
	done
}

# Nothing of the host's /dev is in there: what is done to $W stays in $W.
chroot_ready() { # ROOT
	mkdir -p "$1/dev" "$1/proc"
	mount -t tmpfs -o mode=0755 tmpfs "$1/dev"
	mknod -m 0666 "$1/dev/null" c 1 3
	ln -s /proc/self/fd/1 "$1/dev/stdout"
	ln -s /proc/self/fd/2 "$1/dev/stderr"
	mount -t proc -o ro,nosuid,nodev,noexec proc "$1/proc"
}

# process_start ROOT COMMAND...: sets $process.
process_start() {
	local root=$1
	shift
	chroot "$root" "$@" >>"$W/log" 2>&1 &
	process=$!
}

process_end() { # SIGNAL
	kill -s "$1" "$process" 2>/dev/null || true
	wait "$process" || true
}

wait_until() { # COMMAND...
	local _
	for _ in $(seq 200); do
		! "$@" 2>/dev/null || return 0
		sleep 0.02
	done
	return 1
}

answers_now() {
	curl -sf --max-time 1 -o "$W/tmp/answer" http://127.0.0.1:8080/version
}

# --- a plain restart, as a service manager does it ------------------------------

NGINX=(/usr/sbin/nginx -g 'daemon off;')

plain_begin() {
	process_start "$W/roots/nginx-0" "${NGINX[@]}"
}

plain_replace() {
	process_end QUIT
	process_start "$W/roots/nginx-$1" "${NGINX[@]}"
}

plain_end() {
	process_end QUIT
}

# --- nginx's own upgrade of its binary --------------------------------------------

# The server's files of version N into the root it runs in.
put_version() { # SERVER N FILE...
	local server=$1 n=$2 f
	shift 2
	for f in "$@"; do
		cp -p "$W/roots/$server-$n$f" "$W/roots/$server$f.new"
		mv "$W/roots/$server$f.new" "$W/roots/$server$f"
	done
}

own_root() { # SERVER
	[ -e "$W/roots/$1" ] && return
	mkdir "$W/roots/$1"
	tar -C "$W/roots/$1-0" --exclude=./dev --exclude=./proc -c . |
		tar -C "$W/roots/$1" -x
	chroot_ready "$W/roots/$1"
}

usr2_begin() {
	own_root nginx
	# As a daemon: it refuses to be replaced while its parent lives.
	chroot "$W/roots/nginx" "${NGINX[0]}" >>"$W/log" 2>&1
}

is_gone() { # PID
	! [ -e "/proc/$1/exe" ]
}

usr2_replace() {
	local pidfile=$W/roots/nginx/run/nginx.pid old
	old=$(cat "$pidfile")
	put_version nginx "$1" /usr/sbin/nginx /srv/www/version
	kill -USR2 "$old"
	wait_until test -s "$pidfile.oldbin" && wait_until test -s "$pidfile"
	sleep 0.2
	kill -WINCH "$old"
	sleep 0.2
	kill -QUIT "$old"
	wait_until is_gone "$old"
}

usr2_end() {
	local pid
	pid=$(cat "$W/roots/nginx/run/nginx.pid")
	kill -QUIT "$pid"
	wait_until is_gone "$pid"
}

# --- haproxy's reload -------------------------------------------------------------

reload_begin() {
	own_root haproxy
	process_start "$W/roots/haproxy" /usr/sbin/haproxy -W -f /etc/haproxy.cfg
}

reload_replace() {
	put_version haproxy "$1" /usr/sbin/haproxy /etc/haproxy.cfg
	kill -USR2 "$process"
	sleep 0.5
}

reload_end() {
	process_end TERM
}

# --- podman -------------------------------------------------------------------------

podman_run() { # N
	in_v1 $PODMAN run -d --network=host --name=web "bench:$1" "${NGINX[@]}" \
		>>"$W/log" 2>&1
}

podman_begin() {
	local n
	podman_configure
	for n in 0 1; do
		tar -C "$W/roots/nginx-$n" --exclude=./dev --exclude=./proc -c . |
			in_v1 $PODMAN import -q - "bench:$n" >>"$W/log" 2>&1 || return
	done
	podman_run 0
}

podman_replace() {
	in_v1 $PODMAN stop web >>"$W/log" 2>&1
	in_v1 $PODMAN rm web >>"$W/log" 2>&1
	podman_run "$1"
}

podman_end() {
	in_v1 $PODMAN rm -f web >>"$W/log" 2>&1 || true
}

# --- all of them ----------------------------------------------------------------------

peer() { # KIND SERVER
	local i
	tier=$1 server=$2 rate=$(rate_of "$2")
	if ! "$1_begin" || ! wait_until answers_now; then
		echo "$2 by $1: not measured: does not work here"
		"$1_end" || true
		return
	fi
	measure_quiet
	clients_begin '' 1
	for i in $(seq "$PEER_ROUNDS"); do
		echo "$(ms) $1 STARTED" >>"$W/marks"
		"$1_replace" $((i % 2))
		wait_until answers_now
		echo "$(ms) $1 SWITCHED" >>"$W/marks"
		echo "$(ms) $1 ENDED" >>"$W/marks"
		sleep 0.3
	done
	clients_end
	row "$2" "$1" fresh - - - 0
	row "$2" "$1" kept - - - 0
	draw "$2-$1"
	"$1_end"
}

bench_peers() {
	local server tier rate protocol=http port=8080 netns=/proc/self/ns/net
	echo "== what people use instead: $PEER_ROUNDS replacements each, the same clients"
	echo "   podman: stop, rm, run on the host's network; plain: stop and start of the process;"
	echo "   usr2: nginx's upgrade; reload: haproxy's, with its listening sockets passed on"
	head_line
	if roots haproxy; then peer reload haproxy; else echo "haproxy: not measured: its packages are not there"; fi
	if ! roots nginx; then
		echo "nginx: not measured: its packages are not there"
		return
	fi
	peer usr2 nginx
	peer plain nginx
	if command -v podman >/dev/null; then peer podman nginx; else echo "podman: not measured: not installed"; fi
	side_by_side
}

# One replacement of each: requests that failed, longest gap.
side_by_side() {
	echo "failed requests of one replacement of nginx or haproxy (both clients), longest gap:"
	awk -F'\t' -v rounds="$ROUNDS" -v peer_rounds="$PEER_ROUNDS" '
	NR > 1 && ($1 == "nginx" || $1 == "haproxy") {
		key = $1 " " $2
		if (!(key in gap)) order[++n] = key
		failed[key] += $6 + $7 + $8 + $9
		if ($16 + 0 > gap[key] + 0) gap[key] = $16
		per[key] = $2 == "restart" || $2 == "handover" ? rounds : peer_rounds
		rkt[key] = $2 == "restart" || $2 == "handover"
	} END {
		for (i = 1; i <= n; i++) {
			k = order[i]
			printf "  %-24s %9.1f %9.1f ms\n", (rkt[k] ? "rkt " : "") k,
				failed[k] / per[k], gap[k]
		}
	}' "$tsv"
}
