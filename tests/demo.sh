#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh: what rkt is for, in a minute.  Two signed versions of a web server
# image are built; the first runs as a pod with its own network; it is
# updated to the second and rolled back while clients connect all the time.
# Every command shown is run as shown.  Fails if a connection was refused.
#
# BUILD  the build directory (default build)
# Everything is kept in a temporary directory: no image, pod or key of the
# host is seen or touched.  Root is needed, as for any pod.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
BUILD=$(readlink -f "${BUILD:-build}")
RATE=${RATE:-400}
NAME=demo

[ "$(id -u)" = 0 ] || { echo "demo: pods need root" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/rkt-demo.XXXXXX")
load_pid=

rkt() {
	"$BUILD/bin/rkt" --dir="$work/data" --local-config="$work/etc" \
		--system-config="$work/usr" "$@"
}

actool() {
	"$BUILD/bin/actool" "$@"
}

# Whatever happened: no pod, mount, process or file of ours stays.
cleanup() {
	local code=$? pid
	trap - EXIT INT TERM
	set +e
	[ -z "$load_pid" ] || kill "$load_pid" 2>/dev/null
	if [ -d "$work/data/pods" ]; then
		rkt stop --force "$NAME"
		rkt status --wait=5s "$NAME"
		for pid in "$work"/data/pods/run/*/pid; do
			[ -e "$pid" ] && kill -9 "$(cat "$pid")"
		done
		rkt status --wait=5s "$NAME"
		rkt rm "$NAME"
		rkt gc --grace-period=0s
		# Images stay mounted as long as they are stored.
		rkt image gc --grace-period=0s
	fi >/dev/null 2>&1
	cd /
	# Without its data rkt could not remove a pod later.
	if [ -n "$(find "$work/data/pods" -mindepth 2 2>/dev/null)" ]; then
		echo "demo: pods could not be removed: see $work" >&2
		code=1
	else
		chattr -f -i "$work"/data/cas/blob/*.tar 2>/dev/null
		rm -rf "$work"
	fi
	[ "$code" = 0 ] || echo "demo: failed" >&2
	exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- what is shown -----------------------------------------------------------

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

chapter() {
	printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

say() {
	printf '%s%s%s\n' "$dim" "$1" "$plain"
}

# show COMMAND...: prints the command, runs it, output indented; returns its
# exit code.
show() {
	printf '  $ %s\n' "$*"
	"$@" 2>&1 | fold -s -w 76 | sed 's/^/    /'
	return "${PIPESTATUS[0]}"
}

# The same for tables.
show_table() {
	printf '  $ %s\n' "$*"
	"$@" | tr -s '\t' | column -t -s $'\t' -o '  ' | sed 's/^/  /'
}

fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

# --- helpers -------------------------------------------------------------------

pod_address() {
	rkt status "$NAME" |
		sed -n 's/^networks=.*default:ip4=\([0-9.]*\).*/\1/p'
}

page() {
	curl -sS --fail --max-time 5 --retry 20 --retry-delay 0 \
		--retry-max-time 10 --retry-connrefused "http://$address/version"
}

value() {
	sed -n "s/^$1=//p" "$work/load"
}

# --- the demo --------------------------------------------------------------------

cd "$work"
mkdir images
cat <<EOF
${bold}rkt: run signed images, update them without refusing a connection${plain}
Everything below happens in $work
and is gone afterwards.  (rkt stands for rkt --dir=... --local-config=...)
EOF

chapter "1. Build and sign two versions of an nginx image"
show actool genkey --name="Demo <demo@example.com>" --output=key
ACTOOL=$BUILD/bin/actool "$top/tests/images/build-images.sh" images \
	nginx-1 nginx-2 >/dev/null
say "    (layouts made from Debian's nginx, packed with: actool build LAYOUT IMAGE)"
show actool sign --key=key images/nginx-1.aci
show actool sign --key=key images/nginx-2.aci
show actool validate images/nginx-1.aci images/nginx-2.aci

chapter "2. Nothing runs that is not signed by a key you trust"
mkdir unsigned
cp images/nginx-1.aci unsigned/nginx.aci
if show rkt run --detach unsigned/nginx.aci; then
	fail "an unsigned image was run"
fi
if show rkt run --detach images/nginx-1.aci; then
	fail "an image with an unknown key was run"
fi
show rkt trust --prefix=example.com/nginx --skip-fingerprint-review key.pub

chapter "3. Run version 1 as a pod with its own network"
show rkt run --detach --pod-name="$NAME" images/nginx-1.aci
rkt status --wait-ready=30s "$NAME" >/dev/null
address=$(pod_address)
[ -n "$address" ] || fail "the pod has no address"
[ "$(page)" = 1.0.0 ] || fail "not version 1"
show curl -sS "http://$address/version"
show_table rkt list

chapter "4. Update to version 2 and back, with $RATE new connections a second"
"$BUILD/tests/load" --rate="$RATE" "$address" 80 /version >load &
load_pid=$!
sleep 1
show rkt update --observe=2s --image=images/nginx-2.aci "$NAME"
[ "$(page)" = 2.0.0 ] || fail "not version 2 after the update"
show curl -sS "http://$address/version"
sleep 1
show rkt rollback --observe=2s "$NAME"
[ "$(page)" = 1.0.0 ] || fail "not version 1 after the rollback"
show curl -sS "http://$address/version"
sleep 1
kill "$load_pid"
wait "$load_pid" || true
load_pid=
cat <<EOF

    connections made       $(value requests)
    answered by version 1  $(value body.1.0.0)
    answered by version 2  $(value body.2.0.0)
    ${bold}refused                $(value refused)${plain}
    cut off, timed out     $(($(value reset) + $(value timeout) + $(value other)))
    longest wait           $(value longest_ms) ms
EOF
[ "$(value refused)" = 0 ] || fail "connections were refused"
[ "$(value body.2.0.0)" -gt 0 ] || fail "version 2 answered nothing"

chapter "5. What happened"
show_table rkt list
show rkt status "$NAME"
show_table rkt history "$NAME"
printf '  $ rkt logs %s | tail -2\n' "$NAME"
rkt logs "$NAME" 2>&1 | tail -2 | cut -c1-74 | sed 's/^/    /'

chapter "6. Stop it and leave nothing"
show rkt stop "$NAME"
rkt status --wait=30s "$NAME" >/dev/null
show rkt rm "$NAME"
show rkt gc --grace-period=0s
show rkt image gc --grace-period=0s
[ -z "$(rkt list --no-legend)" ] || fail "a pod is left"
if grep -q " $work/" /proc/self/mountinfo; then fail "a mount is left"; fi
printf '\n%sdone: %s connections, %s refused%s\n' "$bold" "$(value requests)" \
	"$(value refused)" "$plain"
