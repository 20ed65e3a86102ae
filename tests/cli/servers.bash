# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Servers that tests talk to; `load servers` after lib, and again in setup_file.
#
#   oci ARGS             oci.py
#   certificate          $F/cert.pem and $F/key.pem, of example.com and its cdn
#   names_local          example.com is this machine, until servers_stop
#   server COMMAND       in the background, until servers_stop; its pid is in
#                        $server
#   registry_lies, web_serves DIR   oci.py and https.py on port 443, for DIR;
#                        what they were asked for is in $F/log
#   password PASSWORD HOST...   dockerAuth of this test for those registries

oci() {
	python3 "$TESTS/cli/oci.py" "$@"
}

certificate() {
	mkdir -p "$F"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$F/key.pem" \
		-out "$F/cert.pem" -days 2 -subj "/CN=example.com" \
		-addext "subjectAltName=DNS:example.com,DNS:cdn.example.com" \
		2>/dev/null
}

names_local() {
	echo "127.0.0.1 localhost example.com cdn.example.com" >"$F/hosts"
	mount --bind "$F/hosts" /etc/hosts
}

server() {
	"$@" >>"$F/server.log" 2>&1 3>&- &
	server=$!
	echo "$server" >>"$F/pids"
}

registry_lies() {
	: >"$F/log"
	server python3 "$TESTS/cli/oci.py" serve "$1" "$F/log" "$F/cert.pem" \
		"$F/key.pem"
	wait_for 20 curl -sfk https://example.com/token/anonymous -o /dev/null
}

web_serves() {
	: >"$F/log"
	server python3 "$TESTS/cli/https.py" "$1" "$F/log" "$F/cert.pem" \
		"$F/key.pem"
	wait_for 20 curl -sk https://example.com/ -o /dev/null
}

# server_stop PID
server_stop() {
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	wait_for 20 gone "$1"
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

servers_stop() {
	local pid
	! mountpoint -q /etc/hosts || umount /etc/hosts
	[ -e "$F/pids" ] || return 0
	while read -r pid; do
		server_stop "$pid"
	done <"$F/pids"
}

password() {
	mkdir -p "$D/local/auth.d"
	jq -n --arg p "$1" '{rktKind: "dockerAuth", rktVersion: "v1",
		registries: $ARGS.positional,
		credentials: {user: "user", password: $p}}' \
		--args "${@:2}" >"$D/local/auth.d/docker.json"
}
