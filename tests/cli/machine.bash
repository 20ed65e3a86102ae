# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests in a machine that systemd has booted (tests/systemd/boot.sh), one
# for all tests of a file, as a server is.  `load machine` after `load lib`
# gives setup, teardown and teardown_file; setup_file is
#
#	can_boot || return 0
#	images_begin; version ... ; machine_begin
#
#   $M               the machine's directory; $M/data is its /data
#   machine COMMAND  runs that in there

M=$F/machine

can_boot() {
	host_has not-sanitized && host_has systemctl
}

# Images are made of this one.
images_begin() {
	mkdir -p "$M/data" "$F/py"
	"$TESTS/images/build-images.sh" "$F" python >&2
	tar -C "$F/py" -xf "$F/python.aci"
	cp "$BATS_TEST_DIRNAME/notify.py" "$F/py/rootfs/srv/notify.py"
	cp "$F/py/manifest" "$F/manifest"
}

# Its store has the images that are there, but for versions 3.
machine_begin() {
	local image
	sign
	"$TESTS/systemd/boot.sh" "$M" >&2 3>&- &
	echo $! >"$M/script"
	wait_for 20 test -s "$M/pid"
	wait_for 60 booted
	machine rkt trust --prefix=example.com --skip-fingerprint-review \
		/data/key.pub >&2
	for image in "$M"/data/*.aci; do
		[[ $image == *-3.aci ]] ||
			machine rkt fetch "/data/${image##*/}" >&2
	done
}

teardown_file() {
	[ -e "$M/script" ] || return 0
	kill -RTMIN+4 "$(cat "$M/pid")" 2>/dev/null || true
	for _ in $(seq 100); do
		[ -e "$M/pid" ] || break
		sleep 0.1
	done
	[ ! -e "$M/pid" ] || kill -9 "$(cat "$M/pid")"
	tail -f --pid="$(cat "$M/script")" /dev/null
}

setup() {
	skip_without not-sanitized
	skip_without systemctl
	setup_test
	rm -rf "$M/data/out"
}

# What a test left running in the machine, as a loop of clients: who came in by
# nsenter.  systemd stops all processes before it ends them, and nsenter stops
# with its own, which is then never reaped: the machine would not end.
strays_end() {
	local pid parent
	while read -r pid parent; do
		kill -9 "$pid" "$parent" 2>/dev/null || true
	done < <(ps -eo pid=,ppid=,pidns=,comm= |
		awk -v init="$(cat "$M/pid")" '
		{ parent[$1] = $2; ns[$1] = $3; name[$1] = $4 }
		END { for (p in ns) if (ns[p] == ns[init] &&
			name[parent[p]] == "nsenter") print p, parent[p] }')
}

# Every unit a test has made, with its pod.
teardown() {
	can_boot || return 0
	strays_end
	[ "$BATS_TEST_COMPLETED" = 1 ] ||
		machine journalctl --no-pager -n 60 -o cat
	# shellcheck disable=SC2016 # it is the machine's shell
	machine sh -c '
		systemctl stop "rkt@*" "rkt-test-*" "rkt@*.socket" 2>/dev/null
		rm -rf /etc/systemd/system/rkt-test-* /etc/systemd/system/rkt@* \
			/etc/rkt/pods.d /run/systemd/transient/rkt-test-*
		systemctl daemon-reload
		systemctl reset-failed
		for n in /var/lib/rkt/names/*; do
			[ ! -L "$n" ] || rkt rm "${n##*/}" >/dev/null
		done
		rkt gc --grace-period=0s >/dev/null 2>&1' || true
	teardown_test
}

# version N NAME ARGS PORTS: $M/data/NAME-N.aci, whose app is notify.py.
version() {
	jq --arg version "$1" --arg name "$2" '.labels[0].value = $version + ".0.0"
		| .name = "example.com/" + $name
		| .app.exec = ["/usr/bin/python3", "-I", "/srv/notify.py"] + '"$3"'
		| .app.environment = [{name: "VERSION", value: $version}]
		| .annotations = [{name: "appc.io/executor/supports-systemd-notify", value: "true"}]
		| .app.ports = '"$4" "$F/manifest" >"$F/py/manifest"
	"$ACTOOL" build --overwrite "$F/py" "$M/data/$2-$1.aci" >&2
}

# Each image gets NAME.aci.asc, by a key that data/key.pub belongs to.
sign() {
	local image
	GNUPGHOME=$(mktemp -d)
	export GNUPGHOME
	gpg --batch --quiet --passphrase '' --quick-generate-key \
		'Tests <tests@example.com>' ed25519 sign never
	gpg --batch --armor --export >"$M/data/key.pub"
	for image in "$M"/data/*.aci; do
		gpg --batch --quiet --armor --output "$image.asc" \
			--detach-sign "$image"
	done
	gpgconf --kill all
	rm -rf "$GNUPGHOME"
}

# machine COMMAND...: in there.
machine() {
	nsenter -t "$(cat "$M/pid")" -m -u -i -n -p -C -- \
		env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LANG=C.UTF-8 "$@"
}

booted() {
	local state
	state=$(machine systemctl is-system-running) || true
	case $state in
	running) ;;
	degraded)
		machine systemctl --failed --no-pager
		return 1
		;;
	*) return 1 ;;
	esac
}

# unit NAME: a unit from stdin.
unit() {
	machine sh -c "cat >/etc/systemd/system/$1"
	machine systemctl daemon-reload
}

# drop_in NAME LINE...: more of rkt@NAME.service.
drop_in() {
	machine mkdir -p "/etc/systemd/system/rkt@$1.service.d"
	printf '%s\n' "${@:2}" | unit "rkt@$1.service.d/x.conf"
}

# pod_file NAME JQ: /etc/rkt/pods.d/NAME.json.
pod_file() {
	jq -n '{rktKind: "pod", rktVersion: "v1",
		flags: ["--net=host"],
		apps: [{image: "example.com/listens:1.0.0"}]} | '"${2:-.}" |
		machine sh -c "mkdir -p /etc/rkt/pods.d; cat >/etc/rkt/pods.d/$1.json"
}

show() {
	machine systemctl show --value -p "$2" "$1"
}

show_is() {
	[ "$(show "$1" "$2")" = "$3" ] ||
		fail "$2 of $1 is $(show "$1" "$2"), not $3"
}

# app_pid POD APP: its process, as the machine numbers it.
app_pid() {
	local dir
	dir=/var/lib/rkt/pods/run/$(machine readlink "/var/lib/rkt/names/$1")
	machine cat "$dir/appsinfo/$2/pid"
}

# ask [PORT]: what the server there says.
ask() {
	machine timeout 10 nc -N 127.0.0.1 "${1:-80}" <<<hello
}

says() {
	[ "$(ask "${2:-80}")" = "$1" ]
}

# answers TEXT [PORT]: in the end; an app is ready before it listens.
answers() {
	wait_for 20 says "$@"
}

# clients FILE [PORT]: one after the other, until $D/end is there; $clients.
# Who is being served when a process is killed is cut off, and not refused.
clients() {
	machine sh -c "until [ -e /data/out/end ]; do
		timeout 20 nc -vN 127.0.0.1 ${2:-80} </data/out/hello 2>/data/out/said
		[ \$? != 124 ] || echo refused: no answer
		grep -o refused /data/out/said || true
	done" >"$1" 2>/dev/null 3>&- &
	clients=$!
	wait_for 10 test -s "$1"
}

clients_begin() {
	mkdir -p "$M/data/out"
	echo hello >"$M/data/out/hello"
	clients "$D/answers" "$@"
}

# How many there were is the machine's; all were answered.
clients_end() {
	touch "$M/data/out/end"
	wait "$clients"
	sort "$D/answers" | uniq -c
	! grep -q refused "$D/answers"
}

# --- the template ---------------------------------------------------------------

# What the load said of KEY.
load_value() {
	sed -n "s/^$1=//p" "$D/load"
}

restarted() {
	local now
	now=$(show "$1" MainPID)
	[ "$now" != 0 ] && [ "$now" != "$2" ] && show_is "$1" ActiveState active
}

# crash UNIT: kill -9 of its stage1; returns when the next one is there.
crash() {
	local main
	main=$(show "$1" MainPID)
	machine kill -9 "$main"
	wait_for 20 restarted "$1" "$main"
}
