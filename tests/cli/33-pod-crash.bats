#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt killed at every state boundary of a pod: gc leaves nothing, names can be
# used again.  Needs a build with -DRKT_TEST_HOOKS, made here.

load lib
load app

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
	make -s -C "$TESTS/.." B="$F/hooks" CPPFLAGS=-DRKT_TEST_HOOKS \
		"$F/hooks/bin/rkt" "$F/hooks/libexec/rkt/stage1"
	for program in "$BUILD"/libexec/rkt/*; do
		[ -e "$F/hooks/libexec/rkt/${program##*/}" ] ||
			cp "$program" "$F/hooks/libexec/rkt/"
	done
}

killed_at() {
	local point=$1
	shift
	RKT_TEST_STOP_AT=$point run "$F/hooks/bin/rkt" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image "$@"
	expect_status 137
}

nothing_left() {
	run rkt gc --grace-period=0s --expire-prepared=0s
	expect_status 0
	[ -z "$(find "$D/data/pods" -mindepth 2)" ] ||
		fail "$(find "$D/data/pods" -mindepth 2 | head)"
}

@test "run killed before the pod runs" {
	for point in new-embryo new-prepare prepare-files prepare-apps \
		run-prepared run-moved; do
		killed_at $point run --net=none "$F/inside.aci"
		nothing_left
	done
}

@test "run killed when its pod has users of its own" {
	killed_at prepare-users run --net=none --private-users "$F/inside.aci"
	[ -n "$(find "$D/data/pods/prepare" -name private-users-prepared)" ]
	nothing_left
	run_rkt run --net=none --private-users "$F/inside.aci" -- exit-code 3
	expect_status 3
	nothing_left
}

@test "run of a named pod killed before it runs" {
	for point in prepare-name run-prepared; do
		killed_at $point run --net=none --pod-name=web "$F/inside.aci"
		nothing_left
		[ ! -L "$D/data/names/web" ]
	done
	# The name is not lost with what was killed.
	killed_at prepare-name run --net=none --pod-name=web "$F/inside.aci"
	run_rkt run --net=none --pod-name=web "$F/inside.aci" -- exit-code 3
	expect_status 3
	rkt rm web
	nothing_left
}

@test "rm and gc killed in between" {
	for point in delete-exited delete-cleaned delete-garbage; do
		run_rkt run --net=none --uuid-file-save="$D/uuid" \
			"$F/inside.aci" -- exit-code 0
		killed_at $point rm "$(cat "$D/uuid")"
		nothing_left
		run_rkt run --net=none "$F/inside.aci" -- exit-code 0
		killed_at $point gc --grace-period=0s
		nothing_left
	done
}

@test "rkt app killed at every step: the next command repairs it" {
	run_rkt fetch "$F/inside.aci"
	sandbox
	for point in app-generation app-files app-written; do
		killed_at $point app add "$uuid" example.com/inside --name=one
		did list --no-legend
		[ -z "$output" ]
		[ -n "$(left_of one)" ]
		# Any other command would do.
		did add example.com/inside --name=two
		nothing_of one
		[ ! -e "$pod/pod.add" ]
		did rm --app=two
	done
	killed_at app-added app add "$uuid" example.com/inside --name=one -- sleep 1000
	did start --app=one
	state_is one running
	for point in app-changed app-files-removed; do
		killed_at $point app rm --app=one "$uuid"
		did list --no-legend
		[ -z "$output" ]
		add_one
		state_is one running
	done
	did rm --app=one
	nothing_of one
}

@test "stage1 killed as it adds or removes an app: rkt start finds the pod whole" {
	run_rkt fetch "$F/inside.aci"
	for point in stage1-app-added stage1-app-removed; do
		uuid=$(RKT_TEST_STOP_AT=$point "$F/hooks/bin/rkt" \
			--dir="$D/data" app sandbox --detach --net=none)
		pod=$D/data/pods/run/$uuid
		app add example.com/inside --name=one -- sleep 1000
		if [ $point = stage1-app-removed ]; then
			expect_status 0
			did start --app=one
			refused 'went away' rm --app=one
		else
			expect_status 254
			expect_output 'went away'
		fi
		wait_for 10 pod_is "$uuid" exited
		run_rkt start --detach "$uuid"
		expect_status 0
		if [ $point = stage1-app-removed ]; then
			nothing_of one
			did add example.com/inside --name=one -- sleep 1000
		fi
		state_is one created
		did start --app=one
		did rm --app=one
		nothing_of one
	done
}
