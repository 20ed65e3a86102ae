#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Images made to harm (tests/images/make-hostile.py): each is refused with its
# reason, leaves nothing in the store and nothing anywhere else.

load lib

# Everything an escape would touch is looked at by name and by time.
host_unchanged() {
	! compgen -G '/tmp/evil*' || return 1
	! compgen -G "$D/evil*" || return 1
	! compgen -G '/evil*' || return 1
	[ -z "$(find /etc /root -xdev -newer "$D/mark" -type f 2>/dev/null |
		head -3)" ]
}

store_is_empty() {
	local left
	left=$(find "$D/data" -type f ! -name 'images.sqlite*' ! -name '*.lck' \
		! -name '*lock*')
	[ -z "$left" ] || { echo "left: $left"; return 1; }
	[ -z "$(find "$D/data" -mindepth 2 -path '*tree/*')" ]
}

# refuse_all DIR TABLE: each image of the table.
refuse_all() {
	local name says n=0
	touch "$D/mark"
	while IFS=$'\t' read -r name says; do
		run_rkt fetch "$1/should-fail-$name.aci"
		[ "$status" = 254 ] || fail "$name: exit code $status: $output"
		[[ $output == *"$says"* ]] || fail "$name: $output, not $says"
		! grep -q "[^[:print:][:space:]]" <<<"$output" ||
			fail "$name: unprintable bytes in the message"
		store_is_empty || fail "$name leaves something in the store"
		n=$((n + 1))
	done <"$2"
	host_unchanged || fail "something outside the store was touched"
	[ "$n" = "$(wc -l <"$2")" ]
}

fail() {
	echo "$*"
	return 1
}

@test "every image on the bad-input shelf is refused" {
	refuse_all "$TESTS/images" "$TESTS/images/should-fail.txt"
}

@test "the shelf is what its script writes" {
	host_has python3 || skip "needs python3: not on this host"
	python3 "$TESTS/images/make-hostile.py" "$D/tmp"
	for f in "$D"/tmp/should-fail*; do
		# Compressed bytes may differ between zlib versions.
		[ -e "$TESTS/images/${f##*/}" ] || fail "$f is not on the shelf"
	done
	diff "$D/tmp/should-fail.txt" "$TESTS/images/should-fail.txt"
}

@test "100 GB of zeros do not fill the disk" {
	skip_without not-sanitized # how much, not how
	host_has python3 || skip "needs python3: not on this host"
	python3 "$TESTS/images/make-hostile.py" --big "$D/tmp" \
		zeros-100g-zstd zeros-100g-bzip2 zeros-100g-xz padding-100g-zstd
	before=$(df --output=used -k "$D" | tail -1)
	refuse_all "$D/tmp" "$D/tmp/should-fail-big.txt"
	after=$(df --output=used -k "$D" | tail -1)
	[ $((after - before)) -lt 10000 ]
}

@test "an image larger than the disk is refused before it fills it" {
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	mkdir -p "$t/i/rootfs" "$D/small"
	mount -t tmpfs -o size=16m tmpfs "$D/small"
	head -c 32M /dev/urandom >"$t/i/rootfs/big"
	echo '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/big"}' \
		>"$t/i/manifest"
	tar -C "$t/i" -czf "$t/big.aci" manifest rootfs
	run "$RKT" --dir="$D/small" --insecure-options=image fetch "$t/big.aci"
	used=$(df --output=used -k "$D/small" | tail -1)
	umount "$D/small"
	[ "$status" = 254 ]
	[[ $output == *"the image store has "*" bytes free: "*"more than the limit"* ]]
	[ "$used" -lt 1000 ]
}

@test "a disk that fills up while an image is unpacked is said to be full" {
	use_driver tree
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	mkdir -p "$t/i/rootfs" "$D/small"
	mount -t tmpfs -o size=16m tmpfs "$D/small"
	head -c 12M /dev/urandom >"$t/i/rootfs/big"
	echo '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/big"}' \
		>"$t/i/manifest"
	tar -C "$t/i" -czf "$t/big.aci" manifest rootfs
	run "$RKT" --dir="$D/small" --insecure-options=image fetch "$t/big.aci"
	umount "$D/small"
	[ "$status" = 254 ]
	[[ $output == *"extract rootfs/big: "*"No space left on device" ]]
}

@test "as another user, too: actool reads images in the same cage" {
	host_has setpriv || skip "needs setpriv: not on this host"
	chmod 0755 "$D" "$D/tmp"
	while IFS=$'\t' read -r name says; do
		run setpriv --reuid=12345 --regid=12345 --clear-groups \
			"$ACTOOL" validate "$TESTS/images/should-fail-$name.aci"
		[ "$status" != 0 ] || fail "$name: accepted"
		[[ $output == *"$says"* ]] || fail "$name: $output, not $says"
	done < <(grep -E '^(dotdot|size-100g|gzip-cut|manifest-deep)	' \
		"$TESTS/images/should-fail.txt")
}

@test "as root of a user namespace that has no other id" {
	unshare --user --map-root-user true 2>/dev/null ||
		skip "needs userns: not on this host"
	run unshare --user --map-root-user \
		"$ACTOOL" validate "$TESTS/images/should-fail-dotdot.aci"
	[ "$status" != 0 ]
	[[ $output == *"the name contains .."* ]] || fail "$output"
}

# What the process may do, seen from outside while it works.
@test "rkt-fetch runs as nobody, without capabilities, filtered" {
	host_has setpriv || skip "needs setpriv: not on this host"
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	mkdir -p "$t/i/rootfs"
	head -c 300M /dev/urandom >"$t/i/rootfs/big"
	echo '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/big"}' \
		>"$t/i/manifest"
	tar -C "$t/i" -cf "$t/big.aci" manifest rootfs
	rm "$t/i/rootfs/big"
	"$RKT" --dir="$D/data" --insecure-options=image fetch "$t/big.aci" &
	rkt=$!
	seen=
	for _ in $(seq 500); do
		for p in $(pgrep -P $rkt || true); do
			s=$(cat "/proc/$p/status" 2>/dev/null) || continue
			grep -q '^Seccomp:	2' <<<"$s" || continue
			seen=$s
			links=$(readlink "/proc/$p/fd/"* 2>/dev/null || true)
			break 2
		done
		sleep 0.005
	done
	wait $rkt
	rm -rf "$t"
	[ -n "$seen" ] || fail "never seen with a filter"
	grep -q '^Uid:	65534	65534	65534	65534' <<<"$seen"
	grep -q '^Gid:	65534	65534	65534	65534' <<<"$seen"
	grep -Eq '^Groups:[[:space:]]*$' <<<"$seen"
	grep -q '^CapPrm:	0000000000000000' <<<"$seen"
	grep -q '^CapBnd:	0000000000000000' <<<"$seen"
	grep -q '^NoNewPrivs:	1' <<<"$seen"
	# The image, the blob, the manifest, the socket; null three times.
	[ "$(grep -c . <<<"$links")" -le 8 ]
	others=$(grep -v -e /dev/null -e socket: -e memfd:manifest \
		-e big.aci -e '(deleted)' -e "$D/data/cas" <<<"$links" || true)
	[ -z "$others" ] || fail "it has $others"
}

@test "a killed rkt takes its reader along and leaves nothing" {
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	mkdir -p "$t/i/rootfs"
	head -c 200M /dev/urandom >"$t/i/rootfs/big"
	echo '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/big"}' \
		>"$t/i/manifest"
	tar -C "$t/i" -cf "$t/big.aci" manifest rootfs
	rm "$t/i/rootfs/big"
	"$RKT" --dir="$D/data" --insecure-options=image fetch "$t/big.aci" &
	rkt=$!
	reader=
	for _ in $(seq 500); do
		for p in $(pgrep -P $rkt || true); do
			if grep -q '^Seccomp:	2' "/proc/$p/status"; then
				reader=$p
				break 2
			fi
		done
		sleep 0.005
	done
	[ -n "$reader" ] || fail "no reader was seen"
	kill -9 $rkt
	wait $rkt || true
	for _ in $(seq 200); do
		[ -d "/proc/$reader" ] || break
		grep -q '^State:	Z' "/proc/$reader/status" 2>/dev/null && break
		sleep 0.01
	done
	! grep -q '^State:	[RSD]' "/proc/$reader/status" 2>/dev/null ||
		fail "the reader lives on"
	rm -rf "$t"
	store_is_empty || fail "the store is not empty"
	run_rkt image gc
	[ "$status" = 0 ] || fail "$output"
}
