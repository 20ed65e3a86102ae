#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt exec: a command in an app, as the app itself runs.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/web.aci" '.app.user="web" | .app.group="log"
		| .app.supplementaryGIDs=[700,701]
		| .app.workingDirectory="/opt/sub"
		| .app.environment=[{name:"COLOUR",value:"blue"}]
		| .app.isolators=[{name:"os/linux/no-new-privileges",value:true},
			{name:"os/linux/capabilities-retain-set",
			 value:{set:["CAP_KILL","CAP_CHOWN"]}}]' example.com/web
	image_inside "$F/root.aci" . example.com/root
}

# What an app prints of itself, but for what differs from process to process.
about() {
	grep -E '^(uid|euid|gid|egid|groups|cap...|nonewprivs|seccomp|cwd|cgroup.*|limit[.].*|ns[.].*|env[.].*)=' |
		grep -Ev '^(ns.cgroup|env.NOTIFY_SOCKET)=' | sort
}

ABOUT='print-ids and print-caps and print-cwd and print-cgroup and print-limits and print-ns and print-env'

@test "user, groups, capabilities, filter, limits, environment, directory: the app's" {
	(
		ulimit -S -n 321
		ulimit -c 0
		# shellcheck disable=SC2086 # several words
		detach_inside --net=none "$F/web.aci" -- $ABOUT and ready \
			and sleep 1000
		echo "$uuid" >"$D/uuid"
	)
	uuid=$(cat "$D/uuid")
	wait_for 10 pod_logged "$uuid" web ready=1
	pod_log "$uuid" web | about >"$D/app"
	# shellcheck disable=SC2086
	rkt exec "$uuid" -- /inside $ABOUT </dev/null >"$D/said"
	about <"$D/said" >"$D/exec"
	run diff "$D/app" "$D/exec"
	expect_status 0
	output=$(cat "$D/exec")
	expect_value uid 501
	expect_value gid 600
	expect_value groups 700,701
	expect_value capbnd 0000000000000021
	expect_value nonewprivs 1
	expect_value cwd /opt/sub
	[[ $(value limit.nofile) == 321:* ]] || fail "$output"
	# rkt enter is root, at /, within the same limits.
	run --separate-stderr rkt enter "$uuid" /inside print-ids and \
		print-cwd and print-limits and print-caps
	expect_status 0
	expect_value uid 0
	expect_value cwd /
	expect_value capbnd 0000000000000021
	[[ $(value limit.nofile) == 321:* ]] || fail "$output"
}

@test "another user, group, directory and environment" {
	detach_inside --net=none "$F/web.aci" -- sleep 1000
	run --separate-stderr rkt exec --user=root -w /tmp -e COLOUR=red \
		--set-env=MORE=a=b "$uuid" /inside print-ids and print-cwd \
		and print-env and print-caps
	expect_status 0
	expect_value uid 0
	expect_value gid 0
	expect_value groups ""
	expect_value cwd /tmp
	expect_value capbnd 0000000000000021
	expect_output COLOUR=red MORE=a=b
	run --separate-stderr rkt exec -u 1234 "$uuid" /inside print-ids
	expect_value uid 1234
	expect_value gid 1234
	expect_value groups ""
	run --separate-stderr rkt exec --user=web "$uuid" /inside print-ids
	expect_value uid 501
	expect_value gid 502
	run --separate-stderr rkt exec --group=web "$uuid" /inside print-ids
	expect_value uid 501
	expect_value gid 502
	expect_value groups 700,701
	run --separate-stderr rkt exec --user=/etc/owned "$uuid" \
		/inside print-ids
	expect_value uid 700
	expect_value gid 701
}

@test "exit codes" {
	detach_inside --net=none "$F/root.aci" -- sleep 1000
	run rkt exec "$uuid" /inside exit-code 7
	expect_status 7
	run rkt exec "$uuid" -- /inside kill-self 9
	expect_status 137
	run rkt exec "$uuid" -- /missing
	expect_status 254
	expect_output /missing
	run rkt exec --user=nobody-here "$uuid" /inside
	expect_status 254
	expect_output nobody-here
	run rkt exec --working-dir=/nowhere "$uuid" /inside
	expect_status 254
	expect_output /nowhere
	run rkt exec --app=other "$uuid" /inside
	expect_status 254
	expect_output 'app "other" not found'
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run rkt exec "$uuid" /inside
	expect_status 254
	expect_output "isn't currently running"
}

@test "words it refuses" {
	local refused=(
		'' 'must provide the UUID or name of one pod'
		'x' 'must provide the command to run'
		'x --' 'must provide the command to run'
		'-e COLOUR x /inside' 'must be NAME=VALUE'
		'-e =red x /inside' 'must be NAME=VALUE'
		'-w tmp x /inside' 'must be an absolute path'
		'-q x /inside' 'unknown shorthand flag'
		'--tty=maybe x /inside' 'invalid argument "maybe" for --tty'
		'nopod /inside' 'no matches found'
	)
	for ((i = 0; i < ${#refused[@]}; i += 2)); do
		# shellcheck disable=SC2086 # several words
		run rkt exec ${refused[i]}
		expect_status 254
		expect_output "${refused[i + 1]}"
	done
}

@test "what it cannot run it says as itself" {
	detach_inside --net=none "$F/root.aci" -- sleep 600
	run rkt exec "$uuid" nope
	expect_status 254
	expect_output 'exec: Unable to find "nope" in "'
	expect_no_output enter:
	run rkt enter "$uuid" nope
	expect_status 254
	expect_output 'enter: Unable to find "nope" in "'
}

@test "standard input, output and a terminal" {
	detach_inside --net=none "$F/root.aci" -- sleep 1000
	run bash -c "echo typed | $RKT --dir=$D/data exec $uuid /inside stdin"
	expect_status 0
	expect_output stdin=typed stdin.end=1
	run bash -c "echo typed |
		$RKT --dir=$D/data exec --interactive=false $uuid /inside stdin"
	expect_status 0
	expect_output stdin.end=1
	expect_no_output typed
	run rkt exec -it "$uuid" /inside </dev/null
	expect_status 254
	expect_output 'standard input is not a terminal'

	command -v python3 >/dev/null || skip "needs python3: not on this host"
	run python3 "$TESTS/cli/terminal.py" 31x91 -- "$RKT" --dir="$D/data" \
		exec "$uuid" /inside print-tty
	expect_status 0
	expect_value isatty.0 1
	expect_value isatty.1 1
	expect_value winsize 31x91
	expect_value tty /dev/pts/0
	# The caller's own is not handed in, also where the output is a file.
	run python3 "$TESTS/cli/terminal.py" 31x91 -- sh -c \
		"$RKT --dir=$D/data exec $uuid /inside print-tty >$D/out"
	expect_status 0
	output=$(cat "$D/out")
	expect_value isatty.0 0
	expect_value isatty.2 0
	expect_value tty /dev/null
	# It could be read from: only what is printed goes there.
	for command in exec enter; do
		run python3 "$TESTS/cli/terminal.py" 31x91 -- sh -c \
			"$RKT --dir=$D/data $command $uuid /inside print-tty \
			and exit-code 9 </dev/null"
		expect_status 9
		expect_value isatty.1 0
		expect_value isatty.2 0
	done
	run python3 "$TESTS/cli/terminal.py" 31x91 -- sh -c \
		"$RKT --dir=$D/data exec --tty=false $uuid /inside stdin"
	expect_status 0
	expect_output stdin.end=1
}

@test "^] three times ends the command, and nothing else" {
	detach_inside --net=none "$F/root.aci" -- sleep 1000
	for command in exec enter; do
		run python3 "$TESTS/cli/terminal.py" 24x80 \
			'ready=1:send:\x1d\x1d\x1d' -- "$RKT" --dir="$D/data" \
			"$command" "$uuid" /inside ready and sleep 1000
		expect_status 1
		expect_output ready=1
	done
	pod_is "$uuid" running
	run rkt exec "$uuid" /inside print-tty </dev/null
	expect_status 0
}

@test "one app of several" {
	detach_inside --net=none "$F/web.aci" -- sleep 1000 --- "$F/root.aci" \
		-- sleep 1000
	run rkt exec "$uuid" /inside print-ids
	expect_status 254
	expect_output 'specify app using "rkt exec --app= ..."'
	run rkt exec --app=root "$uuid" /inside print-ids
	expect_status 0
	expect_value uid 0
	run rkt exec --app=web "$uuid" /inside print-ids
	expect_value uid 501
}

@test "private users" {
	detach_inside --net=none --private-users "$F/web.aci" -- print-caps \
		and print-ns and print-ids and ready and sleep 1000
	wait_for 10 pod_logged "$uuid" web ready=1
	pod_log "$uuid" web | about >"$D/app"
	rkt exec "$uuid" /inside print-caps and print-ns and print-ids \
		</dev/null >"$D/said"
	about <"$D/said" >"$D/exec"
	run diff "$D/app" "$D/exec"
	expect_status 0
	output=$(cat "$D/said")
	expect_value uid 501
	expect_value groups 700,701
	run rkt exec --user=70000 "$uuid" /inside print-ids
	expect_status 254
	expect_output 'is not below 65536'
}
