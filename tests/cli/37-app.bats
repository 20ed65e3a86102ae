#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt app: pods whose apps come, start, stop and go while they run (row 47).

load lib

setup_file() {
	mkdir -p "$F"
	TMPDIR=$F image_inside "$F/inside.aci" \
		'.app.environment=[{name:"VERSION",value:"1"}]'
	TMPDIR=$F image_inside "$F/inside2.aci" \
		'.app.environment=[{name:"VERSION",value:"2"}]' \
		example.com/inside 2.0.0
	TMPDIR=$F image_busybox "$F/busybox.aci"
}

setup() {
	setup_test
	run_rkt fetch "$F/inside.aci" "$F/busybox.aci"
	expect_status 0
}

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

# Directories of the pod that are named for an app.
left_of() {
	find "$pod" -path "$pod/sharedVolumes" -prune -o \
		\( -name "$1" -o -name "$1.*" -o -name "$1-started" \) -print
	for dir in $(cat "$pod/cgroup"); do
		find "$dir" -name "$1.*" 2>/dev/null
	done
}

@test "the life of an app in a mutable pod (row 47)" {
	export RKT_EXPERIMENT_APP=true
	sandbox
	run rkt list --full --no-legend
	expect_output "$uuid" running
	jq -e '.apps == [] and (.annotations | any(.name ==
		"coreos.com/rkt/stage1/mutable" and .value == "true"))' \
		<(rkt cat-manifest "$uuid")
	did list
	[ "$output" = $'NAME\tSTATE' ] || [[ $output == NAME*STATE ]]

	did add example.com/inside --name=one -- print-env and sleep 1000
	did list
	expect_output one created
	state_is one created
	did start --app=one
	state_is one running
	wait_for 10 pod_logged "$uuid" one env.VERSION=1
	did status --app=one --format=json
	jq -e '.name == "one" and .state == "running" and
		.created_at > 0 and .started_at >= .created_at' <<<"$output"
	# Again is no failure.
	did start --app=one
	did stop --app=one
	state_is one exited
	did status --app=one
	expect_output name=one state=exited image_id=sha512- created_at= \
		started_at= finished_at= exit_code=143
	did stop --app=one
	did start --app=one
	state_is one running
	did rm --app=one
	did list --no-legend
	[ -z "$output" ]
	[ -z "$(left_of one)" ] || fail "$(left_of one)"
	pod_is "$uuid" running
	run rkt stop "$uuid"
	expect_status 0
	wait_for 10 pod_is "$uuid" exited
}
