#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Manual pages and completion, both made from the table of commands.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

SCRIPTS=$TESTS/../dist/completion

setup_file() {
	local uuid
	mkdir -p "$F/pages" "$F/data"
	sh "$TESTS/../dist/man/build.sh" "$BUILD" "$F/pages" 2026-01-01
	image_inside "$F/inside.aci"
	PATH=$BUILD/bin:$PATH rkt_of_file image import "$F/inside.aci"
	uuid=$(rkt_of_file prepare --quiet --pod-name=web-one "$F/inside.aci" \
		--exec=/inside)
	echo "$uuid" >"$F/uuid"
}

# Pods and images of the whole file.
rkt_of_file() {
	"$RKT" --dir="$F/data" --insecure-options=image "$@"
}

setup() {
	setup_test
	PATH=$BUILD/bin:$PATH
}

teardown_file() {
	pods_destroy "$F/data"
	rm -rf "$F"
}

# --- manual pages ------------------------------------------------------------

@test "every command has a page" {
	rkt help | sed -n '/^COMMANDS/,/^$/s/^\t\([a-z][a-z-]*\( [a-z-]*\)\?\)\t.*/\1/p' \
		>"$D/commands"
	[ "$(wc -l <"$D/commands")" -gt 20 ]
	while read -r words; do
		[ -s "$F/pages/rkt-${words// /-}.1" ] || fail "no page of rkt $words"
	done <"$D/commands"
	for page in rkt.1 actool.1 actool-build.1 actool-sign.1 rkt.conf.5 aci.5 \
		rkt-update.7; do
		[ -s "$F/pages/$page" ] || fail "no $page"
	done
}

@test "pages render without a warning" {
	run sh -c 'mandoc -T lint -W warning "$@"' - "$F"/pages/*
	expect_status 0
	[ -z "$output" ] || fail "$output"
	run groff -man -ww -z "$F"/pages/*
	expect_status 0
	[ -z "$output" ] || fail "$output"
}

# A page as it is read, on one line.
shown() {
	mandoc -T utf8 "$F/pages/$1" | col -b | tr -s ' \t\n' ' '
}

@test "a page says what help says, and more" {
	output=$(shown rkt-run.1)
	expect_output 'rkt-run - Run image(s) in a pod in rkt' \
		'--memory=value memory limit of the preceding image (16Mi, 50M, 1G)' \
		'--net[=default] networks of the pod: NAME[:ARGS],' \
		'--detach print the pod' 'EXAMPLES' 'SEE ALSO rkt(1)' \
		'--insecure-options, --local-config' 'rkt run a.aci --name=one -- -v'
	output=$(shown rkt-logs.1)
	expect_output '-f, --follow go on with'
	output=$(shown rkt.1)
	expect_output 'rkt-image-list(1) List images in the local store' \
		'rkt-update(7)' '/var/lib/rkt' '--dir=/var/lib/rkt rkt data directory'
	output=$(shown actool-build.1)
	expect_output 'actool build [FLAGS] LAYOUT OUTPUT.aci' '--overwrite'
	expect_no_output '@'
}

@test "every flag that help shows is on the page" {
	rkt help | sed -n '/^COMMANDS/,/^$/s/^\t\([a-z][a-z-]*\( [a-z-]*\)\?\)\t.*/\1/p' |
		while read -r words; do
			text=$(shown "rkt-${words// /-}.1")
			# shellcheck disable=SC2086 # words
			for flag in $(rkt help $words |
				sed -n 's/^ .*[ ]\(--[a-z-]*\).*/\1/p'); do
				case $text in
				*"$flag"*) ;;
				*) fail "rkt $words: no $flag" ;;
				esac
			done
		done
}

@test "what is added to a page has a page" {
	for more in "$TESTS"/../dist/man/more/*; do
		[ -e "$F/pages/${more##*/}.1" ] || fail "no page for $more"
		grep -qxF "$(sed -n 2p "$more")" "$F/pages/${more##*/}.1"
	done
}

# --- completion --------------------------------------------------------------

# complete_line LINE: what bash would offer for the line, sorted.
complete_line() {
	# shellcheck disable=SC1003 # a quote in quotes
	output=$(COMP=$1 bash --norc -c '
		source "$1/rkt.bash"
		compopt() { :; }
		COMP_WORDBREAKS=$'\'' \t\n"\'\''><=;|&(:'\''
		COMP_LINE=$COMP COMP_POINT=${#COMP}
		_rkt "${COMP%% *}"
		printf "%s\n" "${COMPREPLY[@]}" | sort' - "$SCRIPTS")
}

@test "bash: commands, groups and flags" {
	complete_line 'rkt st'
	[ "$output" = $'start\nstats\nstatus\nstop' ]
	complete_line 'rkt '
	expect_output image fetch run update
	expect_no_output __complete
	complete_line 'rkt image l'
	[ "$output" = list ]
	complete_line 'rkt help ima'
	[ "$output" = image ]
	complete_line 'rkt --debug imag'
	[ "$output" = image ]
	complete_line 'rkt run --memo'
	[ "$output" = --memory= ]
	complete_line 'rkt list --no-l'
	[ "$output" = --no-legend ]
	complete_line 'rkt image list --f'
	[ "$output" = $'--fields=\n--format=\n--full' ]
	complete_line 'rkt nonsense '
	[ -z "$output" ]
	complete_line 'actool b'
	[ "$output" = build ]
	complete_line 'actool build --ov'
	[ "$output" = --overwrite ]
}

@test "bash: values of flags" {
	complete_line 'rkt list --format=js'
	[ "$output" = $'json\njson-pretty' ]
	complete_line 'rkt update --wait sw'
	[ "$output" = switched ]
	complete_line 'rkt --image-driver=e'
	[ "$output" = erofs ]
	complete_line 'rkt completion '
	[ "$output" = $'bash\nfish\nzsh' ]
	: >"manifest.json"
	complete_line 'rkt run --pod-manifest=mani'
	[ "$output" = manifest.json ]
	complete_line 'rkt run --pod-manifest mani'
	[ "$output" = manifest.json ]
}

@test "bash: pods and images" {
	uuid=$(cat "$F/uuid")
	complete_line "rkt --dir=$F/data status web"
	[ "$output" = web-one ]
	complete_line "rkt --dir=$F/data rm ${uuid:0:6}"
	[ "$output" = "$uuid" ]
	complete_line "rkt --dir $F/data run-prepared "
	[ "$output" = "$(printf '%s\n' web-one "$uuid" | sort)" ]
	complete_line "rkt --dir=$F/data image rm example"
	[ "$output" = example.com/inside:1.0.0 ]
	# readline gets back what it thinks the word is.
	complete_line "rkt --dir=$F/data image rm example.com/inside:1"
	[ "$output" = 1.0.0 ]
	complete_line "rkt --dir=$F/data image cat-manifest sha512-"
	expect_output sha512-
	: >inside.aci
	complete_line "rkt --dir=$F/data run insi"
	[ "$output" = inside.aci ]
	complete_line "rkt --dir=$F/data run x.aci -- web"
	[ -z "$output" ]
	# There is nothing to make or to say where there is nothing.
	complete_line "rkt --dir=$D/none status "
	[ -z "$output" ]
	[ ! -e "$D/none" ]
}

@test "bash: typed on a terminal" {
	PS1='$ ' run python3 "$TESTS/cli/terminal.py" 24x100 \
		"ready:send:rkt --dir=$F/data status we\\t\\n" \
		'state=prepared:send:exit\n' -- \
		bash --norc -c "source '$SCRIPTS/rkt.bash'
			export -f _rkt
			exec bash --rcfile <(echo 'source $SCRIPTS/rkt.bash; echo rea\"\"dy') -i"
	expect_output 'state=prepared' 'name=web-one'
}

@test "rkt completion prints the scripts" {
	for shell in bash:rkt.bash zsh:_rkt fish:rkt.fish; do
		rkt completion "${shell%:*}" | cmp - "$SCRIPTS/${shell#*:}"
	done
	run --separate-stderr rkt completion ksh
	expect_status 254
	[ "$stderr" = "completion: 'ksh' shell is not supported: use bash, zsh or fish" ]
	run rkt completion
	expect_status 254
	expect_output 'must provide the name of one shell'
}

@test "zsh offers the same" {
	zsh -n "$SCRIPTS/_rkt"
	run zsh -f -c '
		compdef() { : }
		_describe() { print -rl -- "${(@P)4}" }
		_files() { print files }
		source "$1"
		words=(rkt image l) CURRENT=3
		_rkt
		words=(rkt run --memo) CURRENT=3
		_rkt
		words=(rkt image import "") CURRENT=4
		_rkt' - "$SCRIPTS/_rkt"
	expect_status 0
	expect_output 'list:List images in the local store' '--memory=:memory limit'
	[ "${lines[-1]}" = files ]
}

@test "fish offers the same" {
	fish --no-execute "$SCRIPTS/rkt.fish"
	HOME=$D run fish --no-config -c "source '$SCRIPTS/rkt.fish'
		complete -C 'rkt image l'
		complete -C 'rkt --dir=$F/data status we'"
	expect_status 0
	expect_output $'list\tList images in the local store' $'web-one\tprepared'
}
