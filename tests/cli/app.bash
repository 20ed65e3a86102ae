# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of those who load it
# A mutable pod and its apps; `load app` after lib.

# sandbox ARG...: one in the background; its UUID is in $uuid.
sandbox() {
	uuid=$(rkt app sandbox --detach --net=none "$@")
	[ ${#uuid} = 36 ] || fail "rkt app sandbox printed $uuid"
	pod=$D/data/pods/run/$uuid
}

# app VERB ARG...: of the sandbox
app() {
	local verb=$1
	shift
	run_rkt app "$verb" "$uuid" "$@"
}

did() {
	app "$@"
	expect_status 0
}

# refused TEXT VERB ARG...
refused() {
	local text=$1
	shift
	app "$@"
	expect_status 254
	expect_output "$text"
}

state_of() {
	rkt app status "$uuid" --app="$1" | sed -n 's/^state=//p'
}

state_is() {
	[ "$(state_of "$1")" = "$2" ]
}

# Files and control groups of the pod that are named for an app.
left_of() {
	local dir
	find "$pod" -path "$pod/sharedVolumes" -prune -o \
		\( -name "$1" -o -name "$1.*" -o -name "$1-started" \) -print
	while read -r dir; do
		find "$dir" -name "$1.*" 2>/dev/null
	done <"$pod/cgroup"
}

nothing_of() {
	[ -z "$(left_of "$1")" ] || fail "$(left_of "$1")"
}

# add_one [ARG...]: the app `one`, running; in it runs sleep.
add_one() {
	did add example.com/inside --name=one "$@" -- sleep 1000
	did start --app=one
}

supervisor() {
	fuser "$pod/control" 2>/dev/null | tr -d ' ' | head -1
}
