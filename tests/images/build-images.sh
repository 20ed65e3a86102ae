#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build-images.sh DIR [IMAGE...]: images of real programs, made from the
# Debian packages of `make deps` with actool, into DIR; all of them without
# IMAGE.  What DIR has already is kept.  Prints the path of each.
#
#   busybox         static busybox with all its applets, runs sh
#   busybox-mounts  the same with mount points data, config (read-only), file
#   nginx-1 nginx-2 nginx 1.0.0 and 2.0.0 of one name, port 80, as root
#   nginx-nonroot   nginx as www-data on port 8080
#   python          python with http.server and threads, port 8000
#   redis           redis-server with a mount point data, port 6379
#
# ACTOOL    actool (default build/bin/actool)
# SIGN_KEY  secret key file: every image is signed with it
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
ACTOOL=${ACTOOL:-$top/build/bin/actool}
# shellcheck source=tests/images/lib.bash
. "$here/lib.bash"
all=(busybox busybox-mounts nginx-1 nginx-2 nginx-nonroot python redis)

[ $# -ge 1 ] || { echo "usage: build-images.sh DIR [IMAGE...]" >&2; exit 2; }
out=$1
shift
[ $# -gt 0 ] || set -- "${all[@]}"
mkdir -p "$out"
out=$(readlink -f "$out")
# Two tests that want one image build it once.
exec 9>"$out/.lock"
flock 9
work=$(mktemp -d "${TMPDIR:-/tmp}/build-images.XXXXXX")
trap 'rm -rf "$work"' EXIT

# finish IMAGE: nothing is newer than a fixed time, so that the image has the
# same bytes whenever it is built.
finish() {
	find "$L" -newermt @1700000000 -exec touch -h -d @1700000000 {} +
	"$ACTOOL" build --owner-root "$L" "$work/$1.aci"
	if [ -n "${SIGN_KEY-}" ]; then
		"$ACTOOL" sign --key="$SIGN_KEY" "$work/$1.aci" >/dev/null
		mv "$work/$1.aci.asc" "$out/"
	fi
	mv "$work/$1.aci" "$out/"
}

# --- the images ------------------------------------------------------------------

busybox_root() {
	local applet
	root_make
	copy /bin/busybox
	for applet in $(/bin/busybox --list); do
		[ -e "$R/bin/$applet" ] || ln -s busybox "$R/bin/$applet"
	done
}

build_busybox() {
	busybox_root
	manifest busybox 1.35.0 '.app.exec = ["/bin/sh"]'
}

build_busybox_mounts() {
	busybox_root
	mkdir -p "$R/data" "$R/etc/app"
	: >"$R/etc/app.conf"
	manifest busybox-mounts 1.35.0 '.app.exec = ["/bin/sh"]
	| .app.mountPoints = [{name: "data", path: "/data"},
		{name: "config", path: "/etc/app", readOnly: true},
		{name: "file", path: "/etc/app.conf"}]'
}

# nginx_root VERSION USER PORT TEMP: TEMP holds the pid file and bodies.
nginx_root() {
	root_make
	copy_program /usr/sbin/nginx
	copy /etc/nginx/mime.types
	mkdir -p "$R/srv/www" "$R/var/lib/nginx" "$R/var/log/nginx"
	printf '<!doctype html>\n<title>nginx %s</title>\n<h1>version %s</h1>\n' \
		"$1" "$1" >"$R/srv/www/index.html"
	echo "$1" >"$R/srv/www/version"
	cat >"$R/etc/nginx/nginx.conf" <<-EOF
		${2:+user $2;}
		worker_processes 1;
		pid $4/nginx.pid;
		error_log /dev/stderr notice;
		events { worker_connections 1024; }
		http {
		    include mime.types;
		    default_type text/plain;
		    client_body_temp_path $4/body;
		    proxy_temp_path $4/proxy;
		    fastcgi_temp_path $4/fastcgi;
		    uwsgi_temp_path $4/uwsgi;
		    scgi_temp_path $4/scgi;
		    map \$http_user_agent \$is_logged { ~^load 0; default 1; }
		    log_format short '\$remote_addr "\$request" \$status';
		    access_log /dev/stdout short if=\$is_logged;
		    server { listen $3; root /srv/www; }
		}
	EOF
}

# nginx_manifest NAME VERSION USER PORT
nginx_manifest() {
	manifest "$1" "$2" '.app.exec =
		["/usr/sbin/nginx", "-g", "daemon off;"]
	| .app.user = "'"$3"'" | .app.group = "'"$3"'"
	| .app.ports = [{name: "http", protocol: "tcp", port: '"$4"'}]
	| .annotations = [{name: "rkt.io/update/drain-signal",
		value: "SIGQUIT"}]'
}

build_nginx_1() {
	nginx_root 1.0.0 www-data 80 /var/lib/nginx
	nginx_manifest nginx 1.0.0 root 80
}

build_nginx_2() {
	nginx_root 2.0.0 www-data 80 /var/lib/nginx
	nginx_manifest nginx 2.0.0 root 80
}

build_nginx_nonroot() {
	nginx_root 1.0.0 '' 8080 /tmp
	nginx_manifest nginx-nonroot 1.0.0 www-data 8080
}

# The modules a threaded web server loads, found by loading them.
build_python() {
	local python
	python=$(readlink -f /usr/bin/python3)
	root_make
	copy_program "$python"
	ln -s "${python##*/}" "$R/usr/bin/python3"
	"$python" -I -c '
import http.server, threading, socketserver, json, signal, argparse, queue
import os, sys, encodings.idna, encodings.latin_1, runpy, importlib.util
for m in list(sys.modules.values()):
    f = getattr(m, "__file__", None)
    if f:
        print(f)
        c = getattr(m, "__cached__", None)
        if c and os.path.exists(c):
            print(c)
' | grep '^/usr/lib/' | sort -u >"$work/modules"
	while read -r f; do copy_module "$f"; done <"$work/modules"
	mkdir -p "$R/srv/www"
	echo 1.0.0 >"$R/srv/www/version"
	cat >"$R/srv/server.py" <<-'EOF'
		"""Serves /srv/www, one thread a connection; SIGTERM ends it."""
		import functools, http.server, signal, sys, threading

		port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
		handler = functools.partial(
		    http.server.SimpleHTTPRequestHandler, directory="/srv/www")
		server = http.server.ThreadingHTTPServer(("", port), handler)
		stop = lambda *_: threading.Thread(target=server.shutdown).start()
		signal.signal(signal.SIGTERM, stop)
		print("listening on", port, flush=True)
		server.serve_forever()
	EOF
	manifest python 1.0.0 '.app.exec =
		["/usr/bin/python3", "-I", "/srv/server.py"]
	| .app.ports = [{name: "http", protocol: "tcp", port: 8000}]'
}

copy_module() {
	case $1 in
	*.so) copy_program "$1" ;;
	*) copy "$1" ;;
	esac
}

build_redis() {
	root_make
	copy_program "$(readlink -f /usr/bin/redis-server)" /usr/bin/redis-cli
	[ -e "$R/usr/bin/redis-server" ] ||
		ln -s redis-check-rdb "$R/usr/bin/redis-server"
	mkdir -p "$R/var/lib/redis"
	cat >"$R/etc/redis.conf" <<-'EOF'
		bind * -::*
		protected-mode no
		port 6379
		dir /var/lib/redis
		logfile ""
		save 900 1
	EOF
	manifest redis 7.0.15 '.app.exec =
		["/usr/bin/redis-server", "/etc/redis.conf"]
	| .app.mountPoints = [{name: "data", path: "/var/lib/redis"}]
	| .app.ports = [{name: "redis", protocol: "tcp", port: 6379}]'
}

for image; do
	case " ${all[*]} " in
	*" $image "*) ;;
	*) echo "build-images.sh: no image \"$image\"" >&2; exit 2 ;;
	esac
	if [ ! -e "$out/$image.aci" ] ||
		{ [ -n "${SIGN_KEY-}" ] && [ ! -e "$out/$image.aci.asc" ]; }; then
		L=$work/$image R=$work/$image/rootfs
		mkdir -p "$R"
		"build_${image//-/_}"
		finish "$image"
	fi
	echo "$out/$image.aci"
done
