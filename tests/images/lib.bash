# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts that build images share.  The caller sets
#
#   L  the layout directory of the image, with its manifest
#   R  $L/rootfs

case $(uname -m) in
x86_64) arch=amd64 ;;
i?86) arch=i386 ;;
*) arch=$(uname -m) ;;
esac

# The directories every root has, /usr merged as Debian has it.
root_make() {
	local d
	mkdir -p "$R"/{etc,usr/bin,usr/sbin,usr/lib,usr/lib64,run,tmp,root,var/log}
	chmod 1777 "$R/tmp"
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$R/$d"; done
	printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' \
		'www-data:x:33:33:www-data:/srv/www:/bin/false' \
		'postgres:x:70:70:postgres:/var/lib/postgresql:/bin/sh' \
		'redis:x:100:101:redis:/var/lib/redis:/bin/false' \
		>"$R/etc/passwd"
	printf '%s\n' 'root:x:0:' 'www-data:x:33:' 'postgres:x:70:' \
		'redis:x:101:' >"$R/etc/group"
}

# copy FILE...: to the same path below $R, symlinks followed.
copy() {
	local f
	for f in "$@"; do
		mkdir -p "$R${f%/*}"
		cp -pL "$f" "$R$f"
	done
}

# copy_libraries FILE...: the shared libraries and the loader FILE names, that
# $R does not have yet.
copy_libraries() {
	local f
	for f in "$@"; do
		ldd "$f" | sed -n 's,^[^/]*\(/[^ ]*\).*,\1,p' | while read -r lib; do
			[ -e "$R$lib" ] || copy "$lib"
		done
	done
}

# copy_program FILE...: with the shared libraries and the loader it names.
copy_program() {
	copy "$@"
	copy_libraries "$@"
}

# manifest NAME VERSION [JQ]: the layout's manifest; JQ edits it.
manifest() {
	jq -n --arg name "example.com/$1" --arg version "$2" \
		--arg arch "$arch" '{
		acKind: "ImageManifest", acVersion: "0.8.11", name: $name,
		labels: [{name: "version", value: $version},
			{name: "os", value: "linux"},
			{name: "arch", value: $arch}],
		app: {exec: [], user: "0", group: "0"}
	} | '"${3:-.}" >"$L/manifest"
}
