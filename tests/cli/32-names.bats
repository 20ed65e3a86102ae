#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --pod-name: pods that outlive their runs.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/v1.aci" . example.com/inside 1.0.0
	image_inside "$F/v2.aci" '.annotations=[{name:"v",value:"2"}]' \
		example.com/inside 2.0.0
}

named() {
	run_rkt run --net=none --pod-name=web --uuid-file-save="$D/uuid" "$@"
}

@test "a name is usable wherever a UUID is" {
	named --detach "$F/v1.aci" -- sleep 60
	expect_status 0
	uuid=$(cat "$D/uuid")
	[ "$(readlink "$D/data/names/web")" = "$uuid" ]
	run rkt status web
	expect_output state=running name=web
	rkt list --format=json | jq -e '.[0].pod_name == "web"'
	run rkt enter web /inside exit-code 4
	expect_status 4
	run rkt stop --force web
	expect_output "\"$uuid\""
	run rkt logs web
	expect_status 0
	run rkt rm web
	expect_status 0
	[ ! -e "$D/data/names/web" ] && [ ! -L "$D/data/names/web" ]
}

@test "bad and taken names" {
	run_rkt prepare --pod-name=../x "$F/v1.aci"
	expect_status 254
	run_rkt prepare --pod-name=Web "$F/v1.aci"
	expect_status 254
	[ -z "$(find "$D/data/pods" -mindepth 2 2>/dev/null)" ]
}

@test "the same command starts the exited pod again" {
	named --volume=v,kind=empty --mount=volume=v,target=/v "$F/v1.aci" -- \
		append /v/log x and exit-code 3
	expect_status 3
	first=$(cat "$D/uuid")
	named --volume=v,kind=empty --mount=volume=v,target=/v "$F/v1.aci" -- \
		append /v/log x and exit-code 3
	expect_status 3
	[ "$(cat "$D/uuid")" = "$first" ]
	[ "$(cat "$D/data/pods/run/$first/sharedVolumes/v/log")" = xx ]
	run rkt status web
	expect_output generation-inside=1
	run rkt start web
	expect_status 3
}

@test "another image is a new generation" {
	named "$F/v1.aci" -- exit-code 3
	expect_status 3
	first=$(cat "$D/uuid")
	named "$F/v2.aci" -- exit-code 4
	expect_status 4
	[ "$(cat "$D/uuid")" = "$first" ]
	run rkt status web
	expect_output generation-inside=2
	run rkt list --no-legend
	expect_output example.com/inside:2.0.0
	run rkt start web
	expect_status 4
	rkt cat-manifest web | jq -e '.apps[0].app.exec[2] == "4"'
	# Other apps are another pod.
	named "$F/v2.aci" --name=else
	expect_status 254
	expect_output '--replace'
}

have() {
	run_rkt fetch "$F/$1.aci"
	expect_status 0
}

runs() {
	run rkt status web
	expect_output state=running "generation-inside=$1"
	run rkt list --no-legend
	expect_output "example.com/inside:$2"
}

# again GENERATION VERSION COMMAND...: stopped, and what the command brings.
again() {
	rkt stop web
	wait_for 10 pod_is web exited
	named --detach "${@:3}"
	expect_status 0
	said=$output
	runs "$1" "$2"
}

@test "an update stays until another image is asked for" {
	have v1
	have v2
	named --detach example.com/inside:1.0.0 -- sleep 60
	run_rkt update --observe=50ms --to=2.0.0 web
	expect_status 0
	runs 2 2.0.0
	again 2 2.0.0 example.com/inside:1.0.0 -- sleep 60
	[[ $said == *"app inside goes on as example.com/inside:2.0.0"* ]]
	# Other flags say nothing of the image.
	jq -n '{rktKind: "pod", rktVersion: "v1", flags: [], apps: [{
		image: "example.com/inside:1.0.0", args: ["sleep", "61"]}]}' \
		>"$D/pod.json"
	again 3 2.0.0 --pod-file="$D/pod.json"
	rkt cat-manifest web | jq -e '.apps[0].app.exec[2] == "61"
		and (.apps[0].image.labels | any(.value == "2.0.0"))'
	# The same image as another argument is asked for anew.
	again 4 1.0.0 "$F/v1.aci" -- sleep 60
	again 5 2.0.0 example.com/inside:2.0.0 -- sleep 60
}

@test "what a pod was asked for stays in the store: its next start needs it" {
	have v1
	have v2
	named --detach example.com/inside:1.0.0 -- sleep 60
	run_rkt update --observe=50ms --keep=0 --to=2.0.0 web
	expect_status 0
	run_rkt image gc --grace-period=0s
	expect_status 0
	again 2 2.0.0 example.com/inside:1.0.0 -- sleep 60
}

@test "what was rolled back does not come back by its bare name" {
	have v1
	named --detach example.com/inside -- sleep 60
	have v2
	run_rkt update --observe=50ms --latest web
	expect_status 0
	runs 2 2.0.0
	run_rkt rollback --observe=50ms web
	expect_status 0
	runs 1 1.0.0
	again 1 1.0.0 example.com/inside -- sleep 60
	again 1 1.0.0 example.com/inside -- sleep 60
	again 3 2.0.0 example.com/inside:2.0.0 -- sleep 60
}

@test "a newer image is what its bare name means" {
	have v1
	named --detach example.com/inside -- sleep 60
	have v2
	again 2 2.0.0 example.com/inside -- sleep 60
}

@test "--replace starts clean" {
	named "$F/v1.aci" -- exit-code 3
	first=$(cat "$D/uuid")
	named --replace "$F/v1.aci" -- exit-code 5
	expect_status 5
	[ "$(cat "$D/uuid")" != "$first" ]
	run rkt list --no-legend
	[ "${#lines[@]}" = 1 ]
}

@test "a running pod is not touched" {
	named --detach "$F/v1.aci" -- sleep 60
	named "$F/v2.aci"
	expect_status 254
	expect_output 'rkt update web'
	named --replace "$F/v2.aci"
	expect_status 254
	rkt stop --force web
}

@test "gc keeps named pods, and sweeps names without pod" {
	named "$F/v1.aci" -- exit-code 0
	run_rkt prepare --pod-name=later "$F/v1.aci"
	ln -s aaaaaaaa-0000-4000-8000-000000000000 "$D/data/names/gone"
	run rkt gc --grace-period=0s --expire-prepared=0s
	expect_status 0
	run rkt list --no-legend
	[ "${#lines[@]}" = 2 ]
	[ ! -L "$D/data/names/gone" ]
}
