#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which update is done, to which pods, and what the user is told of it.

load lib

# version N [JQ [NAME]]: $D/N.aci, version N.0.0 of tests/inside.
version() {
	image_inside "$D/$1.aci" '.app.environment=[{name:"VERSION",value:"'"$1"'"}]
		| '"${2:-.}" "${3:-example.com/inside}" "${VERSION_LABEL:-$1.0.0}"
}

# start NAME FILE ARGS: a pod that serves.
start() {
	local name=$1 file=$2
	shift 2
	detach_inside --net=none --pod-name="$name" "$file" "$@" -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside 'serving=[0-9]*'
}

fetch() {
	run_rkt fetch "$D/$1.aci"
	expect_status 0
}

update() {
	run_rkt update --observe=100ms "$@"
}

generation() {
	rkt status "$1" | sed -n 's/^generation-inside=//p'
}

# is_at POD GENERATION
is_at() {
	[ "$(generation "$1")" = "$2" ] || fail "$1: $(rkt status "$1")"
}

@test "--plan: what changes, the tiers and why, at 80 columns; nothing is done" {
	version 1
	version 2 '.app.ports=[{name:"http",protocol:"tcp",port:80}]
		| .app.isolators=[{name:"resource/memory",value:{limit:"512M"}}]
		| .app.environment+=[{name:"NEW",value:"a long value of several words, so that the line has to be broken somewhere in it"}]
		| .annotations=[{name:"rkt.io/update/overlap",value:"forbidden"}]'
	start web "$D/1.aci"
	before=$(cd "$D/data/pods/run/$uuid" && find . | sort)
	update --plan --image="$D/2.aci" web
	expect_status 0
	expect_output 'inside, generation 1 runs' 'example.com/inside 1.0.0' \
		'example.com/inside 2.0.0' sha512- 'not signed' \
		'label version: 1.0.0 -> 2.0.0' 'environment VERSION: 1 -> 2' \
		'environment NEW: new, a long' 'port http: new, tcp 80' \
		'isolator resource/memory: new' \
		'annotation rkt.io/update/overlap: new, forbidden' \
		'patch     no' 'state     no' 'handover  no' 'restart   taken' \
		'it may go'
	[ -z "$(expand <<<"$output" | grep -v '^image: ' | grep '.\{81\}')" ] ||
		fail "wider than 80 columns: $(expand <<<"$output")"
	run --separate-stderr "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image \
		update --plan --format=json --image="$D/2.aci" web
	expect_status 0
	jq -e --arg u "$uuid" '.pod == $u and .app == "inside" and .generation == 1
		and .result == "may go" and .tier == "restart"
		and .from.version == "1.0.0" and .to.version == "2.0.0"
		and (.to.id | length) == 135 and .refusals == []
		and (.tiers | map(.tier)) == ["patch","state","handover","restart"]
		and (.tiers | map(select(.applies | not) | .reason | length > 0) | all)
		and (.changes | map(select(.what == "environment" and .name == "VERSION"))
			== [{what:"environment",name:"VERSION",from:"1",to:"2"}])' \
		<<<"$output"
	[ "$(cd "$D/data/pods/run/$uuid" && find . | sort)" = "$before" ]
	is_at web 1
	update --plan --image="$D/1.aci" web
	expect_status 0
	expect_output 'nothing to do'
}

@test "--plan: refused is exit code 11, with every reason" {
	version 1
	VERSION_LABEL=0.9.0 version 2 \
		'.app.mountPoints=[{name:"data",path:"/data"}]' example.com/other
	start web "$D/1.aci"
	update --plan --image="$D/2.aci" web
	expect_status 11
	expect_output --allow-rename --allow-downgrade 'mount point "data"'
	update --image="$D/2.aci" web
	expect_status 11
	expect_output --allow-rename --allow-downgrade 'mount point "data"'
	update --plan --allow-rename --allow-downgrade --image="$D/2.aci" web
	expect_status 11
	expect_no_output --allow-rename --allow-downgrade
	# A tier nobody has.
	version 3
	update --plan --strategy=patch --image="$D/3.aci" web
	expect_status 11
	expect_output '--strategy=patch does not apply'
	update --strategy=patch --image="$D/3.aci" web
	expect_status 11
	is_at web 1
	update --strategy=fastest --image="$D/3.aci" web
	expect_status 254
}

@test "a pod that does not run is refused, and the plan still shown" {
	version 1
	version 2
	start web "$D/1.aci"
	rkt stop web
	wait_for 10 pod_is web exited
	update --image="$D/2.aci" web
	expect_status 11
	expect_output 'only a running pod'
	update --plan --image="$D/2.aci" web
	expect_status 11
	expect_output 'label version: 1.0.0 -> 2.0.0' 'only a running pod'
}

@test "--latest, --to and nothing: from the store, never an older one" {
	version 3
	start web "$D/3.aci"
	for n in 1 2; do
		version "$n"
		fetch "$n"
	done
	update web
	expect_status 0
	expect_output 'no higher version'
	is_at web 1
	version 20
	fetch 20
	version 10
	fetch 10
	VERSION_LABEL=30.0.0 version 30 . example.com/other
	fetch 30
	# Signed ones only, unless told.
	run rkt update web
	expect_status 0
	expect_output 'no higher version is in the store that is signed'
	run rkt update --to=10.0.0 web
	expect_status 11
	expect_output 'not signed'
	is_at web 1
	update --latest web
	expect_status 0
	is_at web 2
	run rkt status web
	expect_output version-inside=20.0.0
	update --to=10.0.0 web
	expect_status 11
	expect_output --allow-downgrade
	update --to=10.0.0 --allow-downgrade web
	expect_status 0
	is_at web 3
	update --to=11.0.0 web
	expect_status 11
	expect_output 'no version 11.0.0 of example.com/inside'
	update --to=1.0.0 --latest web
	expect_status 254
}

@test "--latest takes the highest that is signed" {
	version 1
	start web "$D/1.aci"
	"$ACTOOL" genkey --name='A <a@example.com>' --output="$D/key"
	rkt trust --prefix=example.com/inside --skip-fingerprint-review "$D/key.pub"
	version 2
	"$ACTOOL" sign --key="$D/key" "$D/2.aci"
	run rkt fetch "$D/2.aci"
	expect_status 0
	version 3
	fetch 3
	run rkt update --plan web
	expect_status 0
	expect_output 'example.com/inside 2.0.0' 'signed by'
	run rkt update --observe=100ms web
	expect_status 0
	run rkt status web
	expect_output version-inside=2.0.0 generation-inside=2
}

@test "progress as JSON: an object a state, and one at the end" {
	version 1
	version 2
	version 3 '.app.exec=["/inside","exit-code","7"] | .app.eventHandlers=[]'
	start web "$D/1.aci"
	run --separate-stderr "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image update \
		--observe=100ms --format=json --image="$D/2.aci" web
	expect_status 0
	jq -se 'map(.state // empty) == ["PLANNED","FETCHED","STAGED","STARTED",
		"VERIFIED","SWITCHED","OBSERVED","COMMITTED"]
		and (map(select(.state)) | map(.us) | . == sort)
		and (.[-1] | .result == "committed" and .code == 0 and .from == 1
			and .to == 2 and .tier == "handover" and .kept == 1
			and .switch_us > 0 and .lost == 0)' <<<"$output"
	# Nothing to do, refused, failed: an object, too.
	run --separate-stderr rkt --insecure-options=image update --format=json --image="$D/2.aci" web
	jq -e '.result == "nothing to do" and .code == 0' <<<"$output"
	run --separate-stderr rkt --insecure-options=image update --format=json --image="$D/1.aci" web
	expect_status 11
	jq -e '.result == "refused" and .code == 11' <<<"$output"
	run --separate-stderr rkt update --format=json --image="$D/none.aci" web
	expect_status 254
	jq -e '.result == "failed" and .code == 254' <<<"$output"
}

@test "the summary says what is known, and what was kept" {
	version 1
	version 2
	start web "$D/1.aci"
	update --image="$D/2.aci" web
	expect_status 0
	expect_output 'app inside: generation 2 serves by handover, switched in' \
		'0 lost' 'generation 1 kept for rollback'
	version 3
	update --keep=0 --strategy=restart --image="$D/3.aci" web
	expect_status 0
	expect_output 'serves by restart, switched in' ', 0 moved'
	expect_no_output 'kept for rollback'
	# It came through nothing that was not looked at.
	expect_no_output 18446744073709551615
}

@test "--wait=switched: the pod commits by itself" {
	version 1
	version 2
	start web "$D/1.aci"
	run_rkt update --observe=2s --wait=switched --image="$D/2.aci" web
	expect_status 0
	expect_output SWITCHED 'by itself'
	expect_no_output COMMITTED
	is_at web 1
	run rkt status web
	expect_output 'update-inside=SWITCHED 1 -> 2'
	run rkt status --format=json web
	jq -e '.update | .app == "inside" and .state == "SWITCHED" and .to == 2' \
		<<<"$output"
	# Another one has to wait.
	update --image="$D/2.aci" web
	expect_status 254
	expect_output 'under way'
	wait_for 10 sh -c '"$RKT" --dir="$D/data" status web | grep -qx generation-inside=2'
	# The old one still drains.
	wait_for 10 sh -c '! "$RKT" --dir="$D/data" status web | grep -q update-inside'
	run_rkt update --wait=never --image="$D/2.aci" web
	expect_status 254
	# Nothing is under way.
	run --separate-stderr rkt update --abort --format=json web
	expect_status 254
	jq -e '.code == 254 and .result == "failed"' <<<"$output"
	run rkt update --resume web
	expect_status 254
	expect_output 'no update is under way'
}

@test "history: who, when, from and to, tier, outcome, and when each state was" {
	version 1
	version 2
	start web "$D/1.aci"
	SUDO_USER=alice update --image="$D/2.aci" web
	expect_status 0
	run_rkt rollback --strategy=restart --observe=100ms --generation=1 web
	expect_status 0
	run rkt history web
	expect_output WHO 'alice by sudo' '1 -> 2' \
		'example.com/inside:1.0.0 -> 2.0.0' handover restart COMMITTED
	run rkt history --full --no-legend web
	expect_output 'PLANNED ' 'SWITCHED ' 'switched in'
	expect_no_output STATES
	run rkt history --format=json web
	jq -e 'length == 2 and .[0].who == "alice by sudo" and .[0].tier == "handover" and .[1].tier == "restart"
		and .[0].from_image == "example.com/inside:1.0.0"
		and .[0].to_image == "example.com/inside:2.0.0"
		and .[1].from_image == "example.com/inside:2.0.0"
		and .[1].rollback and (.[0].rollback | not)
		and .[0].switch_us > 0
		and (.[0].states | map(.state)) == ["PLANNED","FETCHED","STAGED",
			"STARTED","VERIFIED","SWITCHED","OBSERVED","COMMITTED"]
		and (.[0].states | map(.us) | . == sort)' <<<"$output"
	run rkt list --full
	[[ ${lines[0]} =~ NETWORKS[[:space:]]+GENERATION[[:space:]]+RUNTIME$ ]]
	[[ ${lines[1]} =~ [[:space:]]1[[:space:]]+[0-9.]+$ ]]
	run rkt list --format=json
	jq -e '.[0].apps[0] | .version == "1.0.0" and .generation == 1' <<<"$output"
}

@test "several pods: by image name, by label, --all; the worst exit code" {
	version 1
	version 2
	version 1 . example.com/other
	mv "$D/1.aci" "$D/other.aci"
	version 1
	start one "$D/1.aci" --user-label=tier=front
	start two "$D/1.aci" --user-label=tier=back
	start three "$D/other.aci" --name=inside --user-label=tier=back
	fetch 2
	update example.com/inside
	expect_status 0
	is_at one 2
	is_at two 2
	is_at three 1
	version 3
	fetch 3
	update --all --label=tier=front
	expect_status 0
	is_at one 3
	is_at two 2
	update --all
	expect_status 0
	expect_output 'committed, or nothing to do'
	is_at two 3
	is_at three 1
	# One that is refused for the one of another name; the order is that
	# of the UUIDs.
	version 4
	update --all --keep-going --image="$D/4.aci"
	expect_status 11
	is_at one 4
	is_at two 4
	is_at three 1
	run --separate-stderr rkt --insecure-options=image update --all --keep-going \
		--format=json --image="$D/4.aci"
	expect_status 11
	jq -se '.[-1] | .code == 11 and (.pods | length) == 3
		and (.pods | map(.code) | sort) == [0,0,11]' <<<"$output"
	# Without --keep-going the first failure is the last.
	version 5 '.app.exec=["/inside","exit-code","7"]'
	sleep 0.1
	update --all --image="$D/5.aci" --allow-rename --ready-timeout=2s
	expect_status 10
	[ "$(grep -c 'not tried' <<<"$output")" = 2 ] || fail "$output"
	update --all --label=tier=none
	expect_status 0
	update example.com/nobody
	expect_status 254
	update --all web
	expect_status 254
	update --all --label=tier
	expect_status 254
}

# two: a pod with inside on port 80 and other on port 81, both version 1.
two() {
	version 1
	image_inside "$D/o1.aci" '.app.environment=[{name:"VERSION",value:"o1"}]' \
		example.com/other 1.0.0
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80 --- \
		"$D/o1.aci" -- serve tcp4:81
	wait_for 10 pod_logged "$uuid" inside serving=1
	wait_for 10 pod_logged "$uuid" other serving=o1
}

are_at() {
	run rkt status web
	expect_output "generation-inside=$1" "generation-other=$2"
}

@test "two apps: one transaction, forward and back" {
	two
	version 2
	image_inside "$D/o2.aci" '.app.environment=[{name:"VERSION",value:"o2"}]' \
		example.com/other 2.0.0
	update --image="$D/2.aci" web
	expect_status 254
	expect_output --app
	update --app=inside --app=other --image="$D/2.aci" web
	expect_status 11
	expect_output 'app other: the image is example.com/inside'
	are_at 1 1
	update --plan --app=inside --app=other --image="$D/2.aci" \
		--image="$D/o2.aci" web
	expect_status 0
	expect_output 'inside, generation 1' 'other, generation 1'
	update --app=inside --app=other --image="$D/2.aci" \
		--image="$D/o2.aci" web
	expect_status 0
	expect_output 'app inside: generation 2 serves by handover, switched' \
		'app other: generation 2 serves by handover, switched' \
		'generation 1 kept for rollback' 'all 2 apps: switched in'
	are_at 2 2
	run rkt history --format=json web
	jq -e 'map([.app, .from, .to, .state])
		== [["inside",1,2,"COMMITTED"],["other",1,2,"COMMITTED"]]' <<<"$output"
	run_rkt rollback --observe=100ms --app=inside --app=other web
	expect_status 0
	are_at 1 1
	# What is new in the store, of all apps; one has nothing.
	version 3
	fetch 3
	image_inside "$D/o3.aci" '.app.environment=[{name:"VERSION",value:"o3"}]' \
		example.com/other 3.0.0
	fetch o3
	run --separate-stderr rkt --insecure-options=image update \
		--observe=100ms --format=json web
	expect_status 0
	jq -se '.[-1] | .result == "committed" and .lost == 0
		and (.apps | map([.app, .from, .to, .kept, .tier, .lost])) == [
		["inside",1,3,1,"handover",0], ["other",1,3,1,"handover",0]]' \
		<<<"$output"
	jq -se 'map(select(.state == "COMMITTED") | .app) | sort
		== ["inside","other"]' <<<"$output"
	are_at 3 3
	update --app=inside --app=inside --image="$D/3.aci" web
	expect_status 254
	update --app=inside --image="$D/3.aci" --image="$D/2.aci" web
	expect_status 254
}

@test "two apps: one fails, both stay as they were" {
	two
	version 2
	image_inside "$D/o2.aci" '.app.exec=["/inside","exit-code","7"]' \
		example.com/other 2.0.0
	update --app=inside --app=other --image="$D/2.aci" \
		--image="$D/o2.aci" web
	expect_status 10
	are_at 1 1
	run rkt history --format=json web
	jq -e 'map([.app, .state]) | sort
		== [["inside","ROLLED_BACK"],["other","ROLLED_BACK"]]' <<<"$output"
	[ "$(ls "$D/data/pods/run/$uuid/generations/inside")" = 1 ]
	[ "$(ls "$D/data/pods/run/$uuid/generations/other")" = 1 ]
}
