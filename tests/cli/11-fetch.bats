#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# rkt fetch: local files, signatures, pull policies.

load lib
use_driver tree

gpg_key() {
	gpg --batch --quiet --passphrase '' --quick-gen-key \
		"$1 <$1@example.com>" ed25519 sign "${2:-never}"
	gpg --armor --export "$1@example.com" >"$F/$1.asc"
	gpg --with-colons --list-keys "$1@example.com" |
		awk -F: '/^fpr/ { print tolower($10); exit }' >"$F/$1.fpr"
}

# sign KEY FILE [GPG OPTIONS]: FILE.asc
sign() {
	local key=$1 file=$2
	shift 2
	gpg --batch --yes --quiet --passphrase '' --pinentry-mode loopback \
		"$@" --local-user "$key@example.com" --armor \
		--output "$file.asc" --detach-sign "$file"
}

setup_file() {
	load lib
	mkdir -p "$F"
	export GNUPGHOME=$F/gnupg
	mkdir -m 0700 "$GNUPGHOME"
	gpg_key good
	gpg_key wrong
	gpg_key revoked
	gpg --batch --quiet --passphrase '' --faked-system-time 20200101T000000 \
		--quick-gen-key "expired <expired@example.com>" ed25519 sign 1y
	gpg --armor --export expired@example.com >"$F/expired.asc"
	image_inside "$F/a.aci" '.' example.com/a 1.0.0
	image_inside "$F/b.aci" '.' example.com/b 1.0.0
	sign good "$F/a.aci"
	cp "$F/a.aci.asc" "$F/a.good"
	sign wrong "$F/a.aci"
	mv "$F/a.aci.asc" "$F/a.wrong"
	sign revoked "$F/a.aci"
	mv "$F/a.aci.asc" "$F/a.revoked"
	sign expired "$F/a.aci" --faked-system-time 20200601T000000
	mv "$F/a.aci.asc" "$F/a.expired"
	# A revocation certificate is made with every key.
	local rev
	rev=$GNUPGHOME/openpgp-revocs.d/$(tr a-f A-F <"$F/revoked.fpr").rev
	sed 's/^:-----BEGIN/-----BEGIN/' "$rev" | gpg --batch --quiet --import
	gpg --armor --export revoked@example.com >"$F/revoked.asc"
	gpgconf --kill all
}

count() {
	find "$1" -mindepth 1 -maxdepth 1 | wc -l
}

trust() {
	rkt trust --prefix="$2" --skip-fingerprint-review "$F/$1.asc" \
		>/dev/null 2>&1
}

nothing_stored() {
	[ -z "$(find "$D/data/cas" -type f ! -name 'images.sqlite*' \
		! -name complete 2>/dev/null)" ] ||
		fail "left: $(find "$D/data/cas" -type f)"
}

@test "a signed image is fetched, rendered and shown" {
	trust good example.com
	cp "$F/a.aci" "$D/a.aci" && cp "$F/a.good" "$D/a.aci.asc"
	run --separate-stderr rkt fetch "$D/a.aci"
	expect_status 0
	[[ $output =~ ^sha512-[0-9a-f]{32}$ ]]
	[ "$stderr" = "image: signature verified:
  good <good@example.com>" ]
	local id
	id=sha512-$(gzip -dc "$D/a.aci" | sha512sum | cut -d' ' -f1)
	[ "${id:0:39}" = "$output" ]
	[ -f "$D/data/cas/blob/$id.tar" ]
	[ -f "$D/data/cas/manifest/$id" ]
	[ -x "$D/data/cas/tree/$id/rootfs/inside" ]
	[ "$(stat -c %a "$D/data/cas/tree")" = 700 ]
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
	run rkt fetch --full "$D/a.aci"
	expect_output "${id:0:71}"
}

@test "a signature file by name; twice the same image" {
	trust good example.com/a
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	local before
	before=$(stat -c %i "$D"/data/cas/tree/*)
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	[ "$before" = "$(stat -c %i "$D"/data/cas/tree/*)" ]
	run rkt fetch --signature="$F/a.good" "$F/a.aci"
	expect_status 254
	expect_output "--signature must follow an image"
}

@test "an unsigned image is refused" {
	trust good example.com
	run rkt fetch "$F/b.aci"
	expect_status 254
	expect_output "is not signed" "--insecure-options=image"
	nothing_stored
}

@test "no key trusted for the name" {
	trust good example.com/b
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "no key is trusted for its name" \
		'rkt trust --prefix=example.com/a KEYFILE'
	nothing_stored
}

@test "signed by a key that is not trusted" {
	trust good example.com
	run rkt fetch "$F/a.aci" --signature="$F/a.wrong"
	expect_status 254
	expect_output "image example.com/a is refused" "rkt trust --prefix"
	nothing_stored
}

@test "an expired key" {
	trust expired example.com
	run rkt fetch "$F/a.aci" --signature="$F/a.expired"
	expect_status 254
	expect_output "is refused" "expired"
	nothing_stored
}

@test "a revoked key" {
	trust revoked example.com
	run rkt fetch "$F/a.aci" --signature="$F/a.revoked"
	expect_status 254
	expect_output "is refused" "revoked"
	nothing_stored
}

@test "a signature of other bytes, and no signature at all" {
	trust good example.com
	run rkt fetch "$F/b.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "is refused" "does not match"
	# Not what helps here.
	expect_no_output "rkt trust" "--insecure-options"
	echo garbage >"$D/x.asc"
	run rkt fetch "$F/a.aci" --signature="$D/x.asc"
	expect_status 254
	expect_output "is refused"
	: >"$D/x.asc"
	run rkt fetch "$F/a.aci" --signature="$D/x.asc"
	expect_status 254
	nothing_stored
}

@test "a damaged trusted key is named" {
	trust good example.com
	local key="$D/local/trustedkeys/prefix.d/example.com"
	echo garbage >"$key/0000000000000000000000000000000000000000"
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "is refused: trusted key $key/0000000000000000000000000000000000000000: "
	nothing_stored
}

@test "a signature from the future is told from an expired one" {
	trust good example.com
	GNUPGHOME=$F/gnupg
	gpg --batch --yes --quiet --armor -u good@example.com \
		--faked-system-time 20990101T000000 -o "$D/late.asc" \
		--detach-sign "$F/a.aci"
	gpgconf --kill all
	run rkt fetch "$F/a.aci" --signature="$D/late.asc"
	expect_status 254
	expect_output "was made in the future"
	nothing_stored
}

@test "a key under another key's name does not count" {
	mkdir -p "$D/local/trustedkeys/root.d"
	cp "$F/wrong.asc" "$D/local/trustedkeys/root.d/$(cat "$F/good.fpr")"
	run rkt fetch "$F/a.aci" --signature="$F/a.wrong"
	expect_status 254
	expect_output "is refused"
	nothing_stored
}

@test "an empty local file withdraws a system key" {
	mkdir -p "$D/system/trustedkeys/root.d"
	cp "$F/good.asc" "$D/system/trustedkeys/root.d/$(cat "$F/good.fpr")"
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	mkdir -p "$D/local/trustedkeys/root.d"
	: >"$D/local/trustedkeys/root.d/$(cat "$F/good.fpr")"
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "no key is trusted"
}

@test "--insecure-options=image says so" {
	run --separate-stderr "$RKT" --dir="$D/data" --insecure-options=image \
		fetch "$F/a.aci" "$F/b.aci"
	expect_status 0
	[ "${#lines[@]}" = 2 ]
	[ "$stderr" = "image: warning: image signature verification has been disabled" ]
}

@test "a signature does not vouch for what came without one" {
	run_rkt fetch "$F/a.aci"
	expect_status 0
	trust good example.com
	run rkt --debug fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	expect_output "stored without signature"
	run rkt --debug fetch "$F/a.aci" --signature="$F/a.good"
	expect_no_output "stored without signature"
	# As if the unsigned image had taken over its parser.
	rkt image rm example.com/a
	run_rkt fetch "$F/a.aci"
	echo evil >"$(echo "$D"/data/cas/tree/*)/rootfs/etc/greeting"
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "/etc/greeting differs"
	rkt image rm example.com/a
	run_rkt fetch "$F/a.aci" "$F/b.aci"
	gzip -dc "$F/b.aci" >"$D/b.tar"
	unseal "$D/data"
	cp "$D/b.tar" "$D/data/cas/blob/sha512-$(gzip -dc "$F/a.aci" |
		sha512sum | cut -d' ' -f1).tar"
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "holds other bytes"
}

@test "a signature does not vouch for what a pod keeps of a removed image" {
	run_rkt fetch "$F/a.aci"
	expect_status 0
	run_rkt prepare --quiet --no-overlay example.com/a --exec=/x
	expect_status 0
	run rkt image rm example.com/a
	expect_status 0
	echo evil >"$(echo "$D"/data/cas/tree/*)/rootfs/etc/greeting"
	trust good example.com
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "/etc/greeting differs"
	run rkt image verify "$(basename "$D"/data/cas/blob/*.tar .tar)"
	expect_status 0
	expect_output "rebuilding"
	run rkt fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	pods_destroy "$D/data"
}

@test "names and policies" {
	run_rkt fetch "$F/a.aci"
	expect_status 0
	run rkt fetch --pull-policy=never example.com/a
	expect_status 0
	run rkt fetch --pull-policy=new example.com/a:1.0.0,os=linux
	expect_status 0
	run rkt fetch --store-only example.com/a:1.0.0
	expect_status 0
	run rkt fetch --pull-policy=never example.com/a:2.0.0
	expect_status 254
	run rkt fetch --pull-policy=new example.com/a,arch=aarch64
	expect_status 254
	run rkt fetch example.com/a
	expect_status 254
	expect_output "no key is trusted for its name"
	run rkt fetch --store-only --no-store example.com/a
	expect_status 254
	expect_output "both --store-only and --no-store specified"
	run rkt fetch --pull-policy=x example.com/a
	expect_status 254
}

@test "distribution URIs" {
	local file=${F//\//%2F}%2Fa.aci
	run_rkt fetch "cimd:aci-archive:v=0:file%3A%2F%2F$file"
	expect_status 0
	run rkt fetch --store-only "cimd:appc:v=0:example.com/a?version=1.0.0"
	expect_status 0
	run rkt fetch --store-only "cimd:appc:v=0:example.com/a?version=2"
	expect_status 254
	run rkt fetch cimd:docker:v=0:busybox
	expect_status 254
	expect_output "signature verification for docker images"
	run rkt fetch cimd:docker:v=1:busybox
	expect_status 254
	expect_output "only version v=0 is known"
}

@test "images nobody can sign, and words that are no images" {
	run rkt fetch docker://busybox
	expect_status 254
	expect_output "signature verification for docker images is not supported (try --insecure-options=image)"
	run rkt fetch https://example.com/x
	expect_status 254
	expect_output "invalid image string"
	run rkt fetch ftp://example.com/x.aci
	expect_status 254
	expect_output "its scheme is none of file, http, https, docker, oci"
	run rkt fetch example.com/x:1,arch
	expect_status 254
	expect_output 'image "example.com/x:1,arch": label "arch" has no value'
	run rkt fetch sha512-0123
	expect_status 254
	expect_output "a hash names what is stored already"
	run rkt fetch
	expect_status 254
	expect_output "must provide at least one image"
	run rkt fetch "$F/a.aci" -- x
	expect_status 254
	expect_output "app arguments unsupported"
}

@test "several processes fetch the same images at once" {
	local i n=0
	for i in 1 2 3 4 5 6; do
		"$RKT" --dir="$D/data" --insecure-options=image fetch \
			"$F/a.aci" "$F/b.aci" >"$D/out.$i" 2>&1 &
	done
	for i in 1 2 3 4 5 6; do
		wait -n || n=$((n + 1))
	done
	[ "$n" = 0 ] || fail "$(cat "$D"/out.*)"
	run rkt image list --no-legend --fields=name --sort=name
	expect_status 0
	[ "$output" = "example.com/a:1.0.0
example.com/b:1.0.0" ]
	[ "$(count "$D/data/cas/tree")" = 2 ]
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
}

@test "compressions are told by content" {
	gzip -dc "$F/a.aci" >"$D/plain.aci"
	bzip2 -kc "$D/plain.aci" >"$D/bz.aci"
	xz -kc "$D/plain.aci" >"$D/xz.aci"
	zstd -qc "$D/plain.aci" >"$D/zst.aci"
	# As pzstd writes: a skippable frame, then the data.
	{
		printf '\x50\x2a\x4d\x18\x04\x00\x00\x00abcd'
		cat "$D/zst.aci"
	} >"$D/pzst.aci"
	local want
	want=sha512-$(sha512sum <"$D/plain.aci" | cut -c1-32)
	for f in plain bz xz zst pzst; do
		run_rkt fetch "$D/$f.aci"
		expect_status 0
		expect_output "$want"
	done
}

@test "something that is no image leaves nothing" {
	head -c 100000 /dev/urandom >"$D/x.aci"
	run_rkt fetch "$D/x.aci"
	expect_status 254
	mkdir "$D/dir.aci"
	run_rkt fetch "$D/dir.aci"
	expect_status 254
	head -c 1000 "$F/a.aci" >"$D/y.aci"
	run_rkt fetch "$D/y.aci"
	expect_status 254
	nothing_stored
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
}

@test "a file system without O_TMPFILE" {
	skip_without strace
	without() {
		# LeakSanitizer does not work under ptrace.
		ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 \
			strace -o /dev/null -P tmp -e trace=openat \
			-e inject=openat:error=EOPNOTSUPP "$RKT" \
			--dir="$D/data" --local-config="$D/local" "$@"
	}
	run without fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 254
	expect_output "no key is trusted"
	nothing_stored
	trust good example.com
	run without fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	run without fetch "$F/a.aci" --signature="$F/a.good"
	expect_status 0
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
	[ "$(count "$D/data/cas/tree")" = 1 ]
	run rkt image verify example.com/a
	expect_status 0
}

@test "of several files the wrong one is named" {
	echo garbage >"$D/bad.aci"
	run_rkt fetch "$F/a.aci" "$D/bad.aci"
	expect_status 254
	expect_output "fetch: $D/bad.aci: not an image"
	echo garbage >"$D/bad.key"
	run rkt trust --root --skip-fingerprint-review "$F/good.asc" "$D/bad.key"
	expect_status 254
	expect_output "key $D/bad.key: "
}

@test "a store on a file system that knows no size" {
	mkdir "$D/ram"
	mount -t ramfs none "$D/ram"
	run "$RKT" --dir="$D/ram/data" --insecure-options=image fetch "$F/a.aci"
	umount "$D/ram"
	expect_status 0
}

@test "access control lists come out as they went in" {
	mkdir -p "$D/i/rootfs/dir"
	echo secret >"$D/i/rootfs/file"
	# user::rw-, user:1000:rw-, group::---, mask::rw-, other::---
	local acl=0200000001000600ffffffff02000600e803000004000000ffffffff
	acl+=10000600ffffffff20000000ffffffff
	python3 - "$D/i/rootfs" "$acl" <<-X
	import os, sys
	root, acl = sys.argv[1], bytes.fromhex(sys.argv[2])
	os.setxattr(root + "/file", "system.posix_acl_access", acl)
	os.setxattr(root + "/dir", "system.posix_acl_default", acl)
	X
	image_tree "$D/i" example.com/acl 1.0.0
	run_rkt fetch "$D/i.aci"
	expect_status 0
	run python3 - "$D"/data/cas/tree/*/rootfs <<-X
	import os, sys
	root = sys.argv[1]
	print(os.getxattr(root + "/file", "system.posix_acl_access").hex())
	print(os.getxattr(root + "/dir", "system.posix_acl_default").hex())
	X
	[ "$output" = "$acl"$'\n'"$acl" ] || fail "$output"
}

@test "names are bytes: what looks alike stays apart" {
	mkdir -p "$D/i/rootfs"
	# The same letter composed and not, one sign that has another form, a
	# syllable in parts, and no UTF-8 at all.
	local one=$'\xc3\xa9' two=$'e\xcc\x81' name
	for name in "$one" "$two" $'\xe2\x84\xab' $'\xe1\x84\x80\xe1\x85\xa1' \
		$'\xe9'; do
		echo "$name" >"$D/i/rootfs/$name"
	done
	ln -s "$two" "$D/i/rootfs/link"
	ln "$D/i/rootfs/$two" "$D/i/rootfs/z"
	image_tree "$D/i" example.com/names 1.0.0
	tar -C "$D/i" --format=posix -cf "$D/gnu.aci" manifest rootfs
	for f in "$D/i.aci" "$D/gnu.aci"; do
		rm -rf "$D/data"
		run_rkt fetch "$f"
		expect_status 0
		diff -r "$D/i/rootfs" "$D"/data/cas/tree/*/rootfs
		[ "$(readlink "$D"/data/cas/tree/*/rootfs/link)" = "$two" ]
		[ "$(stat -c %h "$D"/data/cas/tree/*/rootfs/z)" = 2 ]
	done
}
