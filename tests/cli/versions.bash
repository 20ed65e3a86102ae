# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of those who load it
# For tests that replace what a pod runs: two versions of a server, and load.
# After `load lib`.

setup() {
	setup_test
	loads=()
	RUN=()
}

teardown() {
	local p
	for p in "${loads[@]}"; do kill "$p" 2>/dev/null; done
	teardown_test
}

# version N [JQ [NAME]]: $D/N.aci, an image of tests/inside whose server
# answers N.
version() {
	image_inside "$D/$1.aci" '.app.environment=[{name:"VERSION",value:"'"$1"'"}]
		| .annotations=[{name:"rkt.io/update/drain-signal",value:"SIGQUIT"}]
		| '"${2:-.}" "${3:-example.com/inside}" "${VERSION_LABEL:-$1.0.0}"
}

# serve ARGS: a pod named web of version 1 without network, serving ARGS.
serve() {
	version 1 "${JQ:-.}"
	detach_inside --net="${NET:-none}" --pod-name=web "${RUN[@]}" "$D/1.aci" \
		-- serve "$@"
	wait_for 10 pod_logged "$uuid" inside serving=1
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	pod=$D/data/pods/run/$uuid
}

# load_begin NAME [OPTION...] ADDRESS PORT PATH: until load_end.
load_begin() {
	local name=$1
	shift
	nsenter --net="/proc/$pid/ns/net" "$BUILD/tests/load" --workers=4 \
		--rate=300 "$@" >"$D/$name.load" &
	loads+=($!)
}

load_value() {
	sed -n "s/^$2=//p" "$D/$1.load"
}

load_end() {
	local p
	for p in "${loads[@]}"; do kill "$p"; done
	for p in "${loads[@]}"; do wait "$p" || true; done
	loads=()
	for p in "$D"/*.load; do
		echo "# ${BATS_TEST_DESCRIPTION}: ${p##*/}: $(tr '\n' ' ' <"$p")" >&3
	done
}

# none_of KEY... -- NAME...: enough was answered, and KEY did not happen.
none_of() {
	local keys=() key name
	while [ "$1" != -- ]; do
		keys+=("$1")
		shift
	done
	shift
	for name in "${@:-load}"; do
		[ "$(load_value "$name" answered)" -gt 50 ] ||
			fail "$name: $(cat "$D/$name.load")" || return 1
		for key in "${keys[@]}"; do
			[ "$(load_value "$name" "$key")" = 0 ] ||
				fail "$name: $(cat "$D/$name.load")" || return 1
		done
	done
}

history_says() {
	run rkt history --no-legend web
	expect_status 0
	output=$(tail -1 <<<"$output")
	expect_output "$@"
}

# reshape KIND:ARG...: what the version after this one serves.
reshape() {
	jq -cn '["--","serve"] + $ARGS.positional' --args "$@" \
		>"$pod/args/inside"
}

# real IMAGE PORT [RUN ARGS]: a pod of $F/IMAGE-1.aci, named web.
real() {
	app=$1 port=$2
	shift 2
	uuid=$("$RKT" --dir="$D/data" --insecure-options=image run --detach \
		--net="${NET:-none}" --pod-name=web "$@" "$F/$app-1.aci")
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
	wait_for 20 nsenter --net="/proc/$pid/ns/net" \
		python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)"
}

# two_versions IMAGE: $F/IMAGE-1.aci and -2.aci of the image build-images.sh
# makes.
two_versions() {
	local t v
	bash "$TESTS/images/build-images.sh" "$F" "$1" >/dev/null
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	(cd "$t" && tar xf "$F/$1.aci")
	for v in 1 2; do
		jq --arg v "$v.0.0" --arg name "example.com/$1" '.name = $name
			| (.labels[] | select(.name == "version")).value = $v' \
			"$t/manifest" >"$t/m"
		mv "$t/m" "$t/manifest"
		[ ! -d "$t/rootfs/srv/www" ] || echo "$v" >"$t/rootfs/srv/www/version"
		"$ACTOOL" build --overwrite "$t" "$F/$1-$v.aci"
	done
	rm -rf "$t"
}
