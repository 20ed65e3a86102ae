#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# rkt trust and the key store.

load lib

# gpg_key NAME [EXPIRES]: a key pair in $GNUPGHOME, $F/NAME.asc and .fpr
gpg_key() {
	gpg --batch --quiet --passphrase '' --quick-gen-key \
		"$1 (test key) <$1@example.com>" ed25519 sign "${2:-never}"
	gpg --armor --export "$1@example.com" >"$F/$1.asc"
	gpg --with-colons --list-keys "$1@example.com" |
		awk -F: '/^fpr/ { print tolower($10); exit }' >"$F/$1.fpr"
}

setup_file() {
	load lib
	mkdir -p "$F"
	export GNUPGHOME=$F/gnupg
	mkdir -m 0700 "$GNUPGHOME"
	gpg_key good
	gpg_key other
	gpg --batch --quiet --passphrase '' --pinentry-mode loopback \
		--quick-add-key "$(cat "$F/good.fpr")" ed25519 sign never
	gpg --armor --export good@example.com >"$F/good.asc"
	gpgconf --kill all
}

# grouped FILE: the fingerprint as gpg and rkt print it
grouped() {
	tr a-f A-F <"$1" | sed 's/..../& /g; s/ $//; s/^.\{24\}/& /'
}

@test "a key for a prefix: texts, place, modes" {
	run --separate-stderr rkt trust --prefix=example.com/app \
		--skip-fingerprint-review "$F/good.asc"
	expect_status 0
	local at="$D/local/trustedkeys/prefix.d/example.com/app"
	at=$at/$(cat "$F/good.fpr")
	expect_output "gpg key fingerprint is: $(grouped "$F/good.fpr")" \
		"    Subkey fingerprint: " \
		"	good (test key) <good@example.com>" \
		"Trusting \"$F/good.asc\" for prefix \"example.com/app\" without fingerprint review." \
		"Added key for prefix \"example.com/app\" at \"$at\""
	[ "$stderr" = "pubkey: prefix: \"example.com/app\"
key: \"$F/good.asc\"" ]
	cmp "$at" "$F/good.asc"
	[ "$(stat -c %a "$at")" = 644 ]
	[ "$(stat -c %a "$(dirname "$at")")" = 755 ]
}

@test "a root key" {
	run rkt trust --root --skip-fingerprint-review "$F/good.asc"
	expect_status 0
	local at
	at=$D/local/trustedkeys/root.d/$(cat "$F/good.fpr")
	expect_output "Added root key at \"$at\""
	[ -s "$at" ]
}

@test "several key files, binary form" {
	gpg --dearmor <"$F/other.asc" >"$D/other.gpg"
	run rkt trust --prefix=a.b --skip-fingerprint-review "$F/good.asc" \
		"$D/other.gpg"
	expect_status 0
	[ -s "$D/local/trustedkeys/prefix.d/a.b/$(cat "$F/good.fpr")" ]
	[ -s "$D/local/trustedkeys/prefix.d/a.b/$(cat "$F/other.fpr")" ]
}

@test "without a terminal nobody can be asked" {
	run rkt trust --prefix=a.b "$F/good.asc"
	expect_status 254
	expect_output "error reviewing key: unable to ask user to review fingerprint due to lack of tty"
	[ ! -e "$D/local/trustedkeys" ]
}

@test "on a terminal: yes, no, anything else" {
	local ask="$RKT --dir=$D/data --local-config=$D/local trust --prefix=a.b $F/good.asc"
	local at
	at=$D/local/trustedkeys/prefix.d/a.b/$(cat "$F/good.fpr")
	run script -qec "$ask" /dev/null <<<$'maybe\nno'
	expect_status 0
	expect_output "Are you sure you want to trust this key (yes/no)?" \
		"Please enter 'yes' or 'no'" "not trusting"
	[ ! -e "$at" ]
	run script -qec "$ask" /dev/null <<<yes
	expect_status 0
	expect_output "after fingerprint review."
	[ -s "$at" ]
}

@test "what is refused" {
	run rkt trust "$F/good.asc"
	expect_status 254
	expect_output "aborting due to implicit unbounded trust (root domain)" \
		"rkt trust --prefix" "rkt trust --root PUBKEY"
	run rkt trust
	expect_status 254
	expect_output "Usage:"
	run rkt trust --root --prefix=a.b "$F/good.asc"
	expect_status 254
	expect_output "--root and --prefix usage mutually exclusive"
	run rkt trust --prefix=https://a.b "$F/good.asc"
	expect_status 254
	expect_output "--prefix must not contain a URL scheme, omit https://"
	for p in ../x a/../b /a A; do
		run rkt trust --prefix="$p" --skip-fingerprint-review \
			"$F/good.asc"
		expect_status 254
	done
	run rkt trust --prefix=a.b --skip-fingerprint-review "$D/none.asc"
	expect_status 254
	expect_output "none.asc: No such file or directory"
	echo "no key" >"$D/no.asc"
	run rkt trust --prefix=a.b --skip-fingerprint-review "$D/no.asc"
	expect_status 254
	[ ! -e "$D/local/trustedkeys" ]
}

@test "a secret key is not stored, nor one of several" {
	export GNUPGHOME=$F/gnupg
	gpg --batch --armor --passphrase '' --pinentry-mode loopback \
		--export-secret-keys good@example.com >"$D/secret.asc"
	gpgconf --kill all
	run rkt trust --prefix=a.b --skip-fingerprint-review "$D/secret.asc"
	expect_status 254
	expect_output "secret"
	gpg --armor --export good@example.com other@example.com >"$D/two.asc"
	gpgconf --kill all
	run rkt trust --prefix=a.b --skip-fingerprint-review "$D/two.asc"
	expect_status 254
	expect_output "holds 2 keys"
	[ ! -e "$D/local/trustedkeys" ]
}
