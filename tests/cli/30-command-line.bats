#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command line: flags, prefixes, help, errors and exit codes.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
	image_inside "$F/other.aci" . example.com/other
}

@test "no command: usage and 2" {
	run --separate-stderr rkt
	expect_status 2
	[ "$stderr" = "rkt: missing command" ]
	expect_output 'NAME:' 'USAGE:' 'VERSION:' 'COMMANDS:' 'OPTIONS:' \
		'	run	Run image(s) in a pod in rkt'
}

@test "help goes to stdout, of a command with its options" {
	for how in 'help run' 'run --help' 'run -h' '--help run' 'help ru'; do
		[ "$how" != 'help ru' ] || continue
		# shellcheck disable=SC2086 # words
		run --separate-stderr rkt $how
		expect_status 0
		[ -z "$stderr" ] || fail "$how: $stderr"
		expect_output '	rkt run - Run image(s)' '      --net[=default]' \
			'      --memory=' '      --volume=' \
			'GLOBAL OPTIONS:' '      --debug[=false]'
		expect_no_output '--cap-retain' '--inherited-environment'
	done
}

@test "help fits 80 columns" {
	rkt help | sed -n '/^COMMANDS/,/^$/s/^\t\([a-z-]*\( [a-z-]*\)\?\)\t.*/\1/p' \
		>"$D/commands"
	[ "$(wc -l <"$D/commands")" -gt 20 ]
	(echo; echo image; cat "$D/commands") | while read -r words; do
		# shellcheck disable=SC2086 # words
		rkt help $words | expand | awk -v c="$words" 'length > 80 {
			print c ": " $0; bad = 1 } END { exit bad }'
	done
}

@test "version" {
	run rkt version
	expect_status 0
	expect_output 'rkt Version: ' 'appc Version: 0.8.11'
	run rkt ver
	expect_status 0
}

@test "unknown and ambiguous commands, unknown flags: 254" {
	run rkt bogus
	expect_status 254
	expect_output 'unknown command "bogus" for "rkt"'
	run rkt image bogus
	expect_status 254
	expect_output 'unknown command "bogus" for "rkt image"'
	run rkt image
	expect_status 0
	expect_output 'cat-manifest'
	run rkt r
	expect_status 254
	run rkt list --bogus
	expect_status 254
	expect_output 'unknown flag: --bogus'
	run rkt list too many
	expect_status 254
}

@test "global flags stand before or after the command" {
	run rkt list --debug --no-legend
	expect_status 0
	run rkt --no-legend --debug list
	expect_status 0
	[ -z "$output" ]
	run rkt --insecure-options=bogus list
	expect_status 254
	expect_output 'unknown option "bogus"'
	run rkt --insecure-options=image,image list
	expect_status 254
	expect_output 'duplicated option "image"'
	run rkt --dir= list
	expect_status 254
	expect_output '"" is not a valid directory'
	run rkt --net=none --insecure-options=image run "$F/inside.aci" -- \
		exit-code 3
	expect_status 3
}

@test "commands that need root say so" {
	command -v setpriv >/dev/null || skip "needs setpriv: not on this host"
	cp "$RKT" "$D/rkt"
	chmod 0755 "$D" "$D/rkt"
	for c in run prepare run-prepared enter exec export stats top gc rm start; do
		run setpriv --reuid=65534 --clear-groups "$D/rkt" "$c"
		expect_status 254
		expect_output "$c: cannot run as unprivileged user"
	done
}

@test "the app grammar: errors" {
	local errors=(
		'' 'must provide at least one image or specify the pod manifest'
		'-- x' 'an image is required before any app arguments'
		'--exec=/x a' '--exec must follow an image'
		'a -- x --- -- y'
		'only one set of app arguments allowed per image'
		'a --name=A' 'invalid argument "A" for --name'
		'--replace a' '--replace needs --pod-name'
		'--pod-manifest=m a' 'conflicting flags set with --pod-manifest'
		'--pod-manifest=m --volume=v,kind=empty' 'conflicting flags set'
		'a --caps-retain=CAP_KILL --caps-remove=CAP_KILL'
		'cannot use both'
		'a --caps-retain=CAP_KILL,CAP_NONE' 'unknown capability: CAP_NONE'
		'--volume=v,kind=bogus a' 'invalid argument'
	)
	for ((i = 0; i < ${#errors[@]}; i += 2)); do
		# shellcheck disable=SC2086 # words
		run_rkt run ${errors[i]}
		expect_status 254
		expect_output "${errors[i + 1]}"
	done
	[ -z "$(find "$D/data/pods" -mindepth 2 2>/dev/null)" ]
}

@test "options that contradict each other or the image" {
	run_rkt run --net=none --port=http:80 "$F/inside.aci"
	expect_status 254
	expect_output 'port name "http" could not be found in any apps'
	image_inside "$D/port.aci" \
		'.app.ports=[{name:"http",protocol:"tcp",port:80}]'
	for net in none host; do
		run_rkt run --net=$net --port=http:80 "$D/port.aci"
		expect_status 254
		expect_output "--port flag does not work with '$net' networking"
	done
	run_rkt run --port=http:8080 --port=http:127.0.0.1:8080 "$D/port.aci"
	expect_status 254
	expect_output 'port tcp-127.0.0.1:8080 already mapped to pod port 80'
	run_rkt prepare --port=http:127.0.0.1:8080 --port=http:127.0.0.2:8080 \
		--port=http:8081 "$D/port.aci"
	expect_status 0
	rkt rm "${lines[-1]}"
	for net in none host; do
		run_rkt run --net=$net,default "$F/inside.aci"
		expect_status 254
		expect_output "network \"$net\" excludes all others"
	done
	run_rkt run --ipc=bogus "$F/inside.aci"
	expect_status 254
	expect_output 'invalid --ipc "bogus"'
	run_rkt run --interactive --detach "$F/inside.aci"
	expect_status 254
	run_rkt run --dns=8.8.8 "$F/inside.aci"
	expect_status 254
	expect_output 'Invalid IP passed to --dns: 8.8.8'
	run_rkt run "$F/inside.aci" "$F/inside.aci"
	expect_status 254
	expect_output 'error: multiple apps with name inside'
	run_rkt run --volume=v,kind=empty "$F/inside.aci" \
		--mount=volume=w,target=/x
	expect_status 254
	expect_output 'dangling mount point "/x": volume "w" not found'
	[ -z "$(find "$D/data/pods" -mindepth 2 2>/dev/null)" ]
}

@test "an error in a pod of several apps names the app" {
	id=$(rkt --insecure-options=image fetch --full "$F/inside.aci")
	local errors=(
		'--user=nobody' 'no user nobody'
		'--group=nobody' 'no group nobody'
		'--user=/none' '/none'
		'--working-dir=/none' '/none'
		'--exec=/none' 'Unable to open "/none"'
		'--seccomp=mode=retain,nosuchcall' 'nosuchcall'
		'--seccomp=mode=remove,errno=ENONE,mkdir' 'ENONE'
		'--mount=volume=v,target=/etc/greeting' 'mount volume v at /etc/greeting: the image has something there'
		'--mount=volume=gone,target=/opt/gone' 'source /none/such of volume gone'
		'--mount=volume=v,target=/' 'no path inside'
	)
	for ((n = 0; n < ${#errors[@]}; n += 2)); do
		run_rkt run --net=none --volume=v,kind=empty \
			--volume=gone,kind=host,source=/none/such \
			"$F/inside.aci" --name=first "${errors[n]}" -- \
			sleep 9 --- "$F/other.aci" --name=second -- sleep 9
		[ "$status" != 0 ]
		expect_output "${errors[n + 1]}" first
	done
	image_inside "$D/bad.aci" '.app.isolators = [{name:"resource/memory",
		value:{limit:"-1"}}] | .name = "example.com/bad"'
	run_rkt run --net=none "$F/inside.aci" -- sleep 9 --- "$D/bad.aci"
	expect_status 254
	expect_output 'app bad: isolator resource/memory: limit of -1 is negative'
	image_inside "$D/bad.aci" '.app.eventHandlers = [{name:"pre-start",
		exec:["/inside","exit-code","3"]}] | .name = "example.com/bad"'
	run_rkt run --net=none "$F/inside.aci" -- sleep 9 --- "$D/bad.aci" -- \
		sleep 9
	expect_output 'app bad: pre-start'
	image_inside "$D/bad.aci" '.labels = [] | .name = "example.com/bad"'
	run_rkt run --net=none "$F/inside.aci" -- sleep 9 --- "$D/bad.aci"
	expect_status 254
	expect_output 'image example.com/bad: missing os label'
}

@test "names too long for a file are refused before anything is made" {
	long=$(printf 'a%.0s' {1..201})
	run_rkt run --net=none "$F/inside.aci" --name="$long"
	expect_status 254
	expect_output 'longer than 200 characters (choose one with --name)'
	image_inside "$D/long.aci" . "example.com/$long"
	run_rkt prepare "$D/long.aci"
	expect_status 254
	expect_output 'the app name aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... is'
	run_rkt run --net=none --volume="$long$long,kind=empty" \
		"$F/inside.aci" --mount=volume="$long$long",target=/tmp
	expect_status 254
	expect_output 'longer than 255 characters'
	[ -z "$(find "$D/data/pods" -mindepth 2 2>/dev/null)" ]
	run_rkt run --net=none "$F/inside.aci" --name="${long:1}" -- exit-code 0
	expect_status 0
	rkt logs "$(find "$D/data/pods/run" -mindepth 1 -maxdepth 1 -printf %f)"
}

@test "an image for another system is refused" {
	local edits=(
		'.labels=[]' 'missing os label in the image manifest'
		'.labels=[{name:"os",value:"linux"}]'
		'missing arch label in the image manifest'
		'.labels=[{name:"os",value:"freebsd"},{name:"arch",value:"amd64"}]'
		'bad os "freebsd"'
		'.labels=[{name:"os",value:"linux"},{name:"arch",value:"ppc64le"}]'
		'bad arch "ppc64le"'
	)
	for ((i = 0; i < ${#edits[@]}; i += 2)); do
		image_inside "$D/x.aci" "${edits[i]}"
		run_rkt run --net=none "$D/x.aci"
		expect_status 254
		expect_output "${edits[i + 1]}"
	done
}

@test "an image without app needs --exec" {
	image_inside "$D/x.aci" 'del(.app)'
	run_rkt run --net=none "$D/x.aci"
	expect_status 254
	expect_output 'has no app section and --exec argument is not provided'
	run_rkt run --net=none "$D/x.aci" --exec=/inside -- exit-code 4
	expect_status 4
}

@test "--uuid-file-save and --uuid-file" {
	run_rkt run --net=none --uuid-file-save="$D/uuid" "$F/inside.aci" -- \
		exit-code 0
	expect_status 0
	[ "$(stat -c %s "$D/uuid")" = 36 ]
	run rkt status --uuid-file="$D/uuid"
	expect_status 0
	expect_output state=exited
	run rkt status --uuid-file="$D/none"
	expect_status 1
	run rkt stop --uuid-file="$D/none"
	expect_status 1
	run rkt cat-manifest --uuid-file="$D/none"
	expect_status 254
	for command in stop rm status logs cat-manifest; do
		run rkt "$command" --uuid-file="$D/uuid" "$(cat "$D/uuid")"
		expect_status 254
		expect_output "rkt $command "
	done
	run rkt rm --uuid-file="$D/uuid"
	expect_status 0
	run rkt status --uuid-file="$D/uuid"
	expect_status 254
	expect_output 'no matches found for'
}

@test "--pod-manifest" {
	id=$(rkt --insecure-options=image fetch --full "$F/inside.aci")
	cat >"$D/pod.json" <<-EOT
		{"acVersion":"0.8.11","acKind":"PodManifest","apps":[
		{"name":"one","image":{"id":"$id"},"app":{"exec":["/inside",
		"exit-code","6"],"user":"0","group":"0"}}]}
	EOT
	run_rkt run --net=none --pod-manifest="$D/pod.json"
	expect_status 6
	run_rkt prepare --pod-manifest="$D/pod.json"
	expect_status 0
	echo '{"acVersion":"0.8.11","acKind":"PodManifest","apps":[]}' \
		>"$D/pod.json"
	run_rkt run --net=none --pod-manifest="$D/pod.json"
	expect_status 254
	expect_output 'pod must contain at least one application'
	sed "s/$id/sha512-00000000/" >"$D/pod.json" <<-EOT
		{"acVersion":"0.8.11","acKind":"PodManifest","apps":[
		{"name":"one","image":{"id":"$id"}}]}
	EOT
	run_rkt run --net=none --pod-manifest="$D/pod.json"
	expect_status 254
}

@test "--debug prints the chain of an error as a tree" {
	run rkt --debug run "$D/none.aci"
	expect_status 254
	expect_output 'run: '
}

@test "stage1 runs from a file nobody can write" {
	detach_inside --net=none "$F/inside.aci" -- sleep 60
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	ppid=$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")
	run bash -c "echo >>/proc/$ppid/exe"
	[ "$status" != 0 ]
	rkt stop --force "$uuid"
}

@test "output that cannot be written is a failure with a reason" {
	run_rkt fetch "$F/inside.aci"
	expect_status 0
	for c in list 'list --format=json' 'image list' version help \
		'image cat-manifest example.com/inside'; do
		# shellcheck disable=SC2086 # words
		run bash -c "\"\$0\" --dir=\"$D/data\" $c >/dev/full" "$RKT"
		expect_status 254
		expect_output 'write the output: No space left on device'
	done
	run bash -c "\"\$0\" --dir=\"$D/data\" --insecure-options=image \
		fetch $F/inside.aci >/dev/full" "$RKT"
	expect_status 254
	expect_output 'cannot write the output'
	run bash -c '"$0" version >/dev/full' "$ACTOOL"
	expect_status 1
	expect_output 'write the output: No space left on device'
}

@test "closed stdin, stdout and stderr become no file of ours" {
	skip_without strace
	# LeakSanitizer cannot work below a tracer.
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	bash -c "\"\$0\" --dir=\"$D/data\" --insecure-options=image --debug \
		run --net=none $F/inside.aci -- sleep 0 <&- >&- 2>&-" "$RKT" ||
		true
	for f in "$D"/data/cas/blob/*.tar "$D"/data/pods/run/*/pod; do
		run cat "$f"
		expect_no_output 'image: ' 'run: '
	done
	run bash -c "strace -f -e trace=openat -o $D/calls \"\$0\" \
		--dir=\"$D/data\" --insecure-options=image fetch \
		$F/inside.aci <&- >&- 2>&-" "$RKT"
	run grep -c 'dev/null.* = [012]$' "$D/calls"
	expect_output 3
	run grep ' = [012]$' "$D/calls"
	expect_no_output 'data/cas' 'inside.aci'
}

@test "files named on the command line may be links and pipes" {
	run_rkt fetch --full "$F/inside.aci"
	expect_status 0
	local id=${lines[-1]}
	cat >"$D/pod.json" <<-X
	{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [{
	 "name": "a", "image": {"id": "$id"}}]}
	X
	ln -s pod.json "$D/link.json"
	run_rkt prepare --quiet --pod-manifest="$D/link.json"
	expect_status 0
	run_rkt prepare --quiet --pod-manifest=<(cat "$D/pod.json")
	expect_status 0
	echo "  ${lines[-1]} " >"$D/uuid"
	ln -s uuid "$D/uuid-link"
	run rkt status --uuid-file="$D/uuid-link"
	expect_status 0
	expect_output 'state=prepared'
	run rkt status --uuid-file=<(cat "$D/uuid")
	expect_status 0
	expect_output 'state=prepared'
}

@test "a pod manifest that exposes a port no app has is refused" {
	run_rkt fetch --full "$F/inside.aci"
	expect_status 0
	local id=${lines[-1]}
	manifest() {
		cat >"$D/pod.json" <<-X
		{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [{
		 "name": "a", "image": {"id": "$id"}}],
		 "ports": [{"name": "http", "hostPort": 8080$1}]}
		X
	}
	manifest
	run_rkt prepare --quiet --pod-manifest="$D/pod.json"
	expect_status 254
	expect_output 'port name "http" could not be found in any apps'
	manifest ', "podPort": {"name": "http", "protocol": "tcp", "port": 80}'
	run_rkt prepare --quiet --pod-manifest="$D/pod.json"
	expect_status 0
	run rkt list --no-legend
	expect_output 'example.com/inside:1.0.0'
}

@test "usage names the whole command" {
	run rkt image cat-manifest
	expect_status 254
	expect_output '  rkt image cat-manifest IMAGE'
	run rkt exec pod
	expect_output $'Usage:\n  rkt exec '
	run rkt app exec pod
	expect_output $'Usage:\n  rkt app exec '
	run rkt image list extra
	expect_status 254
	expect_output $'Usage:\n  rkt image list\n'
}

@test "after a misuse the reason is what is seen last" {
	for words in run 'run --bogus' 'list extra' 'status --wait=x y'; do
		# shellcheck disable=SC2086 # words
		run rkt $words
		expect_status 254
		[[ ${lines[0]} == Usage: ]]
		[[ ${lines[-1]} == "${words%% *}: "* ]] || fail "$output"
		# shellcheck disable=SC2086 # words
		run --separate-stderr rkt $words
		[[ $stderr == "${words%% *}: "* && $stderr != *$'\n'* ]]
		[[ $output == Usage:* && $output != *"$stderr"* ]]
	done
}
