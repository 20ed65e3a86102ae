#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make-fixtures.sh: the keys and signatures beside it, as GnuPG makes them.
# New keys every time; needed again only for a new case.
set -eu
cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
# A fixed time in the past: valid whatever a machine's clock says.
gpg() { command gpg --faked-system-time '20200101T000000!' --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' "$@"; }
key() { gpg "$@" 2>/dev/null; }
sign() { # KEY OUTPUT OPTIONS...
	k=$1 o=$2
	shift 2
	rm -f "$o"
	gpg "$@" --local-user "$k" --armor --detach-sign --output "$o" image
}
fingerprint() { gpg --with-colons --list-keys "$1" | awk -F: '$1 == "fpr" { print $10; exit }'; }
echo 'the bytes of an image' >image
echo 'other bytes' >changed

key --quick-generate-key 'Good RSA <rsa@example.com>' rsa2048 sign never
gpg --armor --export rsa@example.com >rsa.pub
sign rsa@example.com rsa.sig
gpg --dearmor <rsa.sig >rsa-binary.sig
gpg --dearmor <rsa.pub >rsa-binary.pub
sign rsa@example.com sha1.sig --digest-algo SHA1
sign rsa@example.com md5.sig --digest-algo MD5 || rm -f md5.sig
sign rsa@example.com signature-expired.sig --default-sig-expire 1d
gpg --armor --export-secret-keys rsa@example.com >secret.pub

key --quick-generate-key 'Subkey <sub@example.com>' ed25519 cert never
key --quick-add-key "$(fingerprint sub@example.com)" ed25519 sign never
gpg --armor --export sub@example.com >subkey.pub
sign sub@example.com subkey.sig

key --quick-generate-key 'Expired <old@example.com>' ed25519 sign 1y
sign old@example.com key-expired.sig
gpg --armor --export old@example.com >key-expired.pub

key --quick-generate-key 'Revoked <gone@example.com>' ed25519 sign never
sign gone@example.com key-revoked.sig
gpg --armor --export gone@example.com >key-before-revocation.pub
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$(fingerprint gone@example.com).rev" | gpg --import
gpg --armor --export gone@example.com >key-revoked.pub

key --quick-generate-key 'Stranger <stranger@example.com>' ed25519 sign never
gpg --armor --export stranger@example.com >stranger.pub
sign stranger@example.com stranger.sig
cat stranger.sig rsa.sig >two-blocks.sig
{ gpg --dearmor <stranger.sig; cat rsa-binary.sig; } >two-signatures.sig
cat rsa.pub stranger.pub >two-keys.pub
gpg --armor --export rsa@example.com stranger@example.com >keyring.pub

key --quick-generate-key "$(printf 'Ok \342\200\256moc.live\033[2J <bidi@example.com>')" ed25519 sign never || true
gpg --armor --export bidi@example.com >odd-user-id.pub

printf 'hello\n' >text.sig
: >empty.sig
sed 's/^[A-Za-z0-9]/!/' rsa.sig >damaged-armor.sig
head -c 100 rsa-binary.sig >cut.sig
head -c 100 rsa-binary.pub >cut.pub
gpg --local-user rsa@example.com --clearsign --output clear.sig image
gpg --local-user rsa@example.com --armor --sign --output inline.sig image
