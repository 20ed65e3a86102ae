#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# For `make install`, which says where things go: below ROOT, in directories
# that are relative to it.  BUILD is what was built.
set -eu
cd "$(dirname "$0")/.."

# put MODE DIRECTORY FILE...
put() {
	mode=$1 dir=$ROOT/$2
	shift 2
	install -d "$dir"
	install -m "$mode" "$@" "$dir"
}

put 0755 bin "$BUILD/bin/rkt" "$BUILD/bin/actool"
put 0755 libexec/rkt "$BUILD"/libexec/rkt/*
for section in 1 5 7; do
	put 0644 "$MANDIR/man$section" "$BUILD"/man/*."$section"
done

put 0644 "$BASHDIR" dist/completion/rkt.bash
mv "$ROOT/$BASHDIR/rkt.bash" "$ROOT/$BASHDIR/rkt"
ln -sf rkt "$ROOT/$BASHDIR/actool"
put 0644 "$ZSHDIR" dist/completion/_rkt
put 0644 "$FISHDIR" dist/completion/rkt.fish
ln -sf rkt.fish "$ROOT/$FISHDIR/actool.fish"

put 0644 "$SYSUSERSDIR" dist/sysusers.d/rkt.conf
put 0644 "$TMPFILESDIR" dist/tmpfiles.d/rkt.conf
for unit in dist/systemd/*.*; do
	put 0644 "$UNITDIR" "$unit"
	# Units name programs by their paths.
	sed -i "s,/usr/bin/rkt,$PREFIX/bin/rkt,g" "$ROOT/$UNITDIR/${unit##*/}"
done
put 0644 "$USERUNITDIR" dist/systemd/user/rkt@.service
sed -i "s,/usr/bin/rkt,$PREFIX/bin/rkt,g" "$ROOT/$USERUNITDIR/rkt@.service"

put 0644 "$DOCDIR" README.md LICENSE docs/*.md spec/*.md \
	spec/api/v1alpha/api.proto
