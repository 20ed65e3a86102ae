#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-cli.sh [FILE|DIR]...: the black-box tests, each file in a world of its
# own: new mount, pid, network and ipc namespaces, an empty tmpfs on /run,
# /var/lib/rkt, /var/lib/cni and the test directory, and in that an ext4 where
# there are loop devices, because images can be mounted from it.  Nothing of the host's
# pods, firewall or leases is seen or touched, whatever fails; what a file
# leaves behind inside is reported as a failed test.
#
# BUILD           build directory (default build)
# CLI_JOBS        files at a time (default 1, whose lines are seen as they come)
# CLI_TIMEOUT     seconds a file may take (default 900)
# BATS_FILTER     only tests whose name matches this regular expression
# ALLOWED_SKIPS   if set: a skip whose feature is not in this list fails
# CLI_RETRY       if set: where up to three tests of a file fail, those run once
#                 more, and what passes then is said to be FLAKY, not failed
# RESULTS         append "cli PASSED FAILED SKIPPED" to this file
set -eu
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$self")")
BUILD=$(readlink -f "${BUILD:-build}")
export BUILD

if [ "${1-}" = --inside ]; then
	flock 9
	# In the new namespaces: $2 the test directory, $3 the file.  Every
	# mount is shared, as systemd leaves them.
	mount --make-rshared /
	ip link set lo up
	mount -t tmpfs -o mode=0755 tmpfs /run
	for d in /var/lib/rkt /var/lib/cni; do
		mkdir -p "$d"
		mount -t tmpfs -o mode=0755 tmpfs "$d"
	done
	mount -t tmpfs -o mode=0755,size=8g tmpfs "$2"
	mkdir "$2/tmp" /run/lock
	export RKT_TEST_DIR="$2/tests" TMPDIR="$2/tmp"
	mkdir "$RKT_TEST_DIR"
	truncate -s 8G "$2/disk"
	mkfs.ext4 -q -m 0 -E lazy_itable_init=1,lazy_journal_init=1 "$2/disk"
	mount -o loop "$2/disk" "$RKT_TEST_DIR" ||
		echo "# no loop devices: all tests on tmpfs"
	rm -rf "$RKT_TEST_DIR/lost+found"
	# Sanitizers report into files: pods close or redirect stderr.
	mkdir -m 1777 "$2/san"
	export ASAN_OPTIONS="log_path=$2/san/asan:detect_leaks=1"
	export UBSAN_OPTIONS="log_path=$2/san/ubsan:print_stacktrace=1"
	sh "$root/tests/leaks.sh" snapshot "$2/before"
	r=0
	timeout -k 10 "${CLI_TIMEOUT:-900}" \
		bats --tap --timing ${BATS_FILTER:+--filter "$BATS_FILTER"} \
			"$3" </dev/null || r=$?
	[ $r -lt 124 ] || echo "not ok 0 $3: no end after ${CLI_TIMEOUT:-900} s"
	# Images stay mounted for the pods that come: one mount an image, until
	# it is removed.
	find /run/rkt/img -mindepth 2 -maxdepth 2 \
		-exec umount -l {} \; 2>/dev/null || true
	find /run/rkt/img -depth -type d -empty -delete 2>/dev/null || true
	if ! left=$(sh "$root/tests/leaks.sh" compare "$2/before"); then
		echo "not ok 0 $3: leaves something behind"
		echo "$left" | sed 's/^/# /'
	fi
	for f in "$2"/san/*; do
		[ -e "$f" ] || continue
		echo "not ok 0 $3: sanitizer report"
		head -60 "$f" | sed 's/^/# /'
	done
	exit 0
fi

[ "$(id -u)" = 0 ] || { echo "run-cli.sh: the tests need root" >&2; exit 1; }
[ $# -gt 0 ] || set -- "$root/tests/cli"
work=$(mktemp -d /tmp/rkt-cli.XXXXXX)
# Whatever ends this, the worlds of the running files end first, with all in
# them: removing a directory that is a mount point in another world detaches
# what is mounted there, and loop devices are never freed.
finish() {
	: >"$work/ended"
	for w in "$work"/worker.*; do
		[ ! -s "$w/world" ] || kill -9 "$(cat "$w/world")" 2>/dev/null || true
		[ ! -e "$w/alive" ] || flock "$w/alive" true
	done
	rm -rf "$work"
	# Where pods have their groups: no other run has one there now.
	rmdir /sys/fs/cgroup/rkt /sys/fs/cgroup/*/rkt 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

for f in "$@"; do
	if [ -d "$f" ]; then ls "$f"/*.bats; else echo "$f"; fi
done >"$work/files"

# in_world FILE FILTER: its lines, on stdout and in $w/one.
in_world() {
	{
		sh -c 'echo $$ >"$1" && shift && exec "$@"' sh "$w/world" \
			env BATS_FILTER="$2" \
			unshare --mount --pid --net --ipc --fork --kill-child \
			--mount-proc --propagation private -- \
			sh "$self" --inside "$w/t" "$1" 9>"$w/alive" ||
			echo "not ok 0 $1: did not run"
	} 2>&1 | tee "$w/one"
	[ ! -e "$work/ended" ] && [ -e "$w/alive" ] || exit 1
	rm "$w/world"
}

# The names of the failed tests as a regular expression; none if too many did,
# or if something else than a test failed.
to_retry() {
	[ -n "${CLI_RETRY-}" ] || return 0
	sed -n 's/^not ok [1-9][0-9]* \(.*\) in [0-9]*ms$/\1/p' "$w/one" \
		>"$w/names"
	n=$(wc -l <"$w/names")
	[ "$n" -le 3 ] && [ "$n" = "$(grep -c '^not ok ' "$w/one")" ] ||
		return 0
	sed 's/[][\.*^$+?(){}|]/\\&/g' "$w/names" | paste -s -d '|' |
		sed 's/..*/^(&)$/'
}

# run_file FILE: its lines on stdout; what counts of them in $w/tap.
run_file() {
	echo "# $1"
	f=$(readlink -f "$1")
	in_world "$f" "${BATS_FILTER-}"
	again=$(to_retry)
	if [ -z "$again" ]; then
		cp "$w/one" "$w/tap"
		return
	fi
	grep -v '^not ok' "$w/one" >"$w/tap"
	echo "# once more: $again"
	in_world "$f" "$again"
	cat "$w/one" >>"$w/tap"
	sed -n "s|^ok [0-9]* \(.*\) in [0-9]*ms|${f##*/}: \1|p" "$w/one" \
		>>"$work/flaky"
}

# The next file, on stdout; nothing when all are taken.
take() {
	flock "$work/turn" sed -n -i -e '1w /dev/stdout' -e '1!p' "$work/files"
}

# worker N: one file after the other.
worker() {
	w=$work/worker.$1
	mkdir -p "$w/t"
	while file=$(take) && [ -n "$file" ]; do
		if [ "${CLI_JOBS:-1}" = 1 ]; then
			run_file "$file"
		else
			run_file "$file" >"$w/lines"
			flock "$work/turn" cat "$w/lines"
		fi
		flock "$work/turn" tee -a "$work/tap" <"$w/tap" >/dev/null
	done
}

: >"$work/tap"
workers=
for n in $(seq "${CLI_JOBS:-1}"); do
	worker "$n" &
	workers="$workers $!"
done
for pid in $workers; do
	wait "$pid" # not in the foreground: a trap would wait for its end
done

# A test that skips names the host feature it misses ("needs FEATURE").
if [ -n "${ALLOWED_SKIPS+set}" ]; then
	sed -n 's/.*# skip needs \([^ :]*\).*/\1/p' "$work/tap" | sort -u |
	while read -r feature; do
		case " $ALLOWED_SKIPS " in
		*" $feature "*) ;;
		*) echo "not ok 0 unexpected skip: this host misses $feature" ;;
		esac
	done | tee "$work/unexpected"
	cat "$work/unexpected" >>"$work/tap"
fi

passed=$(grep -c '^ok ' "$work/tap" || true)
skipped=$(grep -c '^ok .*# skip' "$work/tap" || true)
failed=$(grep -c '^not ok ' "$work/tap" || true)
passed=$((passed - skipped))
if [ -n "${RESULTS-}" ]; then
	echo "cli $passed $failed $skipped" >>"$RESULTS"
fi
grep '^not ok' "$work/tap" | sed 's/^/FAILED: /' || true
[ ! -e "$work/flaky" ] || sed 's/^/FLAKY: /' "$work/flaky"
echo "cli: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
