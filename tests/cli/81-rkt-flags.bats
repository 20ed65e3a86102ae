#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every command and flag of CoreOS rkt 1.30 is here, or docs/differences-from-rkt.md
# says why not.
# shellcheck disable=SC2154 # bats sets status, output, stderr

load lib

DIFFERENCES=$TESTS/../docs/differences-from-rkt.md

GLOBAL="debug=true dir=/tmp system-config=/tmp local-config=/tmp user-config=/tmp \
insecure-options=image trust-keys-from-https=true cpuprofile=x memprofile=x"

# Of the image in front of them.
APP="exec=/x working-dir=/x readonly-rootfs=true mount=volume=v,target=/x user=1 \
group=1 supplementary-gids=1,2 name=x annotation=a=b user-annotation=a=b \
user-label=a=b environment=a=b memory=16Mi cpu=500m cpu-shares=10 \
caps-retain=CAP_KILL caps-remove=CAP_KILL seccomp=mode=remove,chmod oom-score-adj=5 \
stdin=null stdout=log stderr=log"
ONCE="cap-retain=CAP_KILL cap-remove=CAP_KILL signature=/x"
NET="net=none net dns=8.8.8.8 dns-search=a dns-opt=a dns-domain=a \
hosts-entry=1.2.3.4=a hostname=a"
LAUNCH="$NET interactive=true mds-register=true ipc=auto"
STAGE1="stage1-url=https://example.com/s.aci stage1-path=/x stage1-name=a \
stage1-hash=sha512-aa stage1-from-dir=a"
MAKE="port=http:80 volume=v,kind=empty inherit-env=true set-env=a=b \
set-env-file=/dev/null no-overlay=true private-users=true pull-policy=new \
store-only=true no-store=true pod-manifest=/x $STAGE1"

# Command: its flags.  Behind a "|", those that follow an image.
COMMANDS="run: $MAKE $LAUNCH uuid-file-save=/x | $APP $ONCE
prepare: $MAKE quiet=true | $APP $ONCE
run-prepared: $LAUNCH
fetch: pull-policy=update full=true store-only=true no-store=true | signature=/x
list: full=true no-legend=true format=json
status: wait=1s wait wait-ready=1s wait-ready format=json uuid-file=/x
stop: force=true uuid-file=/x
rm: uuid-file=/x
gc: grace-period=30m expire-prepared=24h mark-only=true
enter: app=a
attach: app=a mode=auto
cat-manifest: pretty-print=true uuid-file=/x
export: app=a overwrite=true
image list: fields=id,name sort=importtime order=asc no-legend=true full=true format=json
image cat-manifest: pretty-print=true
image export: overwrite=true
image extract: rootfs-only=true overwrite=true
image render: rootfs-only=true overwrite=true
image rm:
image verify:
image gc: grace-period=24h
image fetch: full=true
trust: prefix=a root=true skip-fingerprint-review=true insecure-allow-http=true
config: pretty-print=true
version:
metadata-service: listen-port=18112
api-service: listen=localhost:15441
completion:
help:
app sandbox: uuid-file-save=/x $NET no-overlay=true port=a:tcp:80:127.0.0.1:80 \
annotation=a=b user-annotation=a=b user-label=a=b $STAGE1
app add: | $APP mnt-volume=target=/x,name=v,kind=empty
app start: app=a
app stop: app=a
app rm: app=a
app exec: app=a
app list: no-legend=true
app status: app=a format=json"

# refused WORDS: what to say of them in the list of differences.
refused() {
	grep -qF "\`$1\`" "$DIFFERENCES" ||
		echo "rkt $1 is not there, and differences-from-rkt.md does not say so"
}

# known FLAG ARGS: rkt knows the flag, whatever it does; --help behind it keeps
# anything from being done.
known() {
	run timeout 60 "$RKT" --dir="$D/data" "${@:2}" --help
	case $output in
	*'unknown flag'* | *'unknown command'*) refused "--${1%%=*}" ;;
	esac
}

@test "every command of rkt's is there, or the list of differences says why not" {
	while IFS=: read -r command _; do
		# shellcheck disable=SC2086 # words
		run timeout 60 "$RKT" --dir="$D/data" $command --help
		[ "$status" = 0 ] || refused "$command"
	done <<<"$COMMANDS" >missing
	diff /dev/null missing
}

@test "every flag of rkt's is there, or the list of differences says why not" {
	while IFS=: read -r command flags; do
		for f in ${flags%%|*}; do
			# shellcheck disable=SC2086 # words
			known "$f" $command "--$f"
		done
		for f in ${flags#"${flags%%|*}"}; do
			# shellcheck disable=SC2086 # words
			[ "$f" = '|' ] || known "$f" $command image "--$f"
		done
	done <<<"$COMMANDS" >missing
	diff /dev/null missing
}

@test "every global flag of rkt's is there, on either side of the command" {
	for f in $GLOBAL; do
		known "$f" list "--$f"
		known "$f" "--$f" list
	done >missing
	diff /dev/null missing
}

@test "a deprecated flag works, and says what to use" {
	image_inside "$D/inside.aci"
	run_rkt run --net=none "$D/inside.aci" --cap-retain=CAP_KILL -- print-caps
	expect_status 0
	expect_value capbnd 0000000000000020
	expect_output 'flag --cap-retain has been deprecated, use --caps-retain instead'
	[ "$(grep -c 'has been deprecated' <<<"$output")" = 1 ] ||
		fail "$output"
	run_rkt run --net=none "$D/inside.aci" --cap-remove=CAP_KILL -- print-caps
	expect_status 0
	expect_output 'flag --cap-remove has been deprecated, use --caps-remove instead'
	run_rkt fetch --store-only example.com/inside
	expect_status 0
	expect_output 'flag --store-only has been deprecated, use --pull-policy=never instead'
	run_rkt prepare --no-store "$D/inside.aci"
	expect_status 0
	expect_output 'flag --no-store has been deprecated, use --pull-policy=update instead'
	for f in cap-retain cap-remove store-only no-store; do
		run rkt help run
		expect_no_output "--$f="
	done
}

@test "help has rkt's sections, in rkt's order" {
	local all=$'NAME:\nUSAGE:\nVERSION:\nCOMMANDS:\nDESCRIPTION:\nOPTIONS:\nGLOBAL OPTIONS:'
	for command in '' run list 'image list' trust; do
		# shellcheck disable=SC2086 # words
		rkt help $command | grep -oE '^[A-Z ]+:$' >got
		grep -Fxf got <<<"$all" | diff - got
		if [ -n "$command" ]; then
			! grep -E '^(VERSION|COMMANDS):' got
			grep -Fx 'GLOBAL OPTIONS:' got
		else
			grep -Fx VERSION: got
		fi
	done
	run rkt help list
	expect_output $'\trkt list - ' '      --full[=false]' \
		'      --no-legend[=false]'
}
