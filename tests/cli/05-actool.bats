#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# actool: building, checking and signing images, with gpg as the other side.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

# layout DIR [JQ]: a small layout of all sorts of files.
layout() {
	mkdir -p "$1/rootfs/bin" "$1/rootfs/sub/deep"
	echo one >"$1/rootfs/bin/one"
	chmod 4751 "$1/rootfs/bin/one"
	ln "$1/rootfs/bin/one" "$1/rootfs/zero"
	ln -s ../bin/one "$1/rootfs/sub/link"
	mkfifo "$1/rootfs/sub/fifo"
	printf 'b\303\244h' >"$1/rootfs/sub/b$(printf '\303\244')h"
	head -c 300000 /dev/zero >"$1/rootfs/sub/deep/zeros"
	manifest_of "${2:-.}" >"$1/manifest"
	find "$1" -exec touch -h -d '2024-05-06 07:08:09.123456789' {} +
}

manifest_of() {
	jq -n '{acKind: "ImageManifest", acVersion: "0.8.11",
		name: "example.com/test",
		labels: [{name: "version", value: "1.0.0"},
			{name: "os", value: "linux"},
			{name: "arch", value: "amd64"}],
		app: {exec: ["/bin/one"], user: "0", group: "0"}
	} | '"${1:-.}"
}

# gpg with a home of the test's own, never asking.
gnupg() {
	mkdir -p "$D/gnupg"
	chmod 0700 "$D/gnupg"
	gpg --homedir "$D/gnupg" --batch --no-tty --pinentry-mode loopback \
		--passphrase "${PASSPHRASE-}" "$@"
}

# The agent would outlive the test.
teardown() {
	[ ! -d "$D/gnupg" ] || gpgconf --homedir "$D/gnupg" --kill all
	teardown_test
}

key_of_gpg() {
	PASSPHRASE=${PASSPHRASE-} gnupg --quiet --quick-generate-key \
		"Gpg <gpg@example.com>" "$1" sign "${2:-never}"
	PASSPHRASE=${PASSPHRASE-} gnupg --armor --export-secret-keys >gpg.key
	gnupg --armor --export >gpg.pub
}

# --- build -----------------------------------------------------------------------

@test "build keeps files as they are and tar reads the image" {
	layout l
	run -0 "$ACTOOL" build l i.aci
	[ -z "$output" ]
	run -0 --separate-stderr tar -tvzf i.aci
	[ -z "$stderr" ]
	[[ ${lines[0]} == "-rw-r--r-- "*" manifest" ]]
	[[ ${lines[1]} == "drwx"*" rootfs/" ]]
	expect_output "-rwsr-x--x" "rootfs/zero link to rootfs/bin/one" \
		"rootfs/sub/link -> ../bin/one" "prw-r--r--"
	mkdir x
	tar -xzf i.aci -C x
	cmp l/rootfs/sub/deep/zeros x/rootfs/sub/deep/zeros
	[ "$(stat -c %y x/rootfs/bin/one)" = "$(stat -c %y l/rootfs/bin/one)" ]
	[ "$(stat -c %y x/manifest)" = "$(stat -c %y l/manifest)" ]
}

@test "build gives equal trees equal bytes" {
	layout one
	layout two
	mv two/rootfs two/old
	mkdir two/rootfs
	# The same files, made in the opposite order.
	tar -C two/old --no-recursion --null -T <(cd two/old && find . -print0 |
		sort -rz) -c | tar -C two/rootfs -xp
	rm -rf two/old
	find two -exec touch -h -d '2024-05-06 07:08:09.123456789' {} +
	"$ACTOOL" build one 1.aci
	LC_ALL=C "$ACTOOL" build two 2.aci
	cmp 1.aci 2.aci
	"$ACTOOL" build --no-compression one plain.aci
	zcat 1.aci | cmp - plain.aci
	[ "$(head -c 8 1.aci | od -An -tx1)" = " 1f 8b 08 00 00 00 00 00" ]
}

@test "build keeps capabilities, attributes, devices and big ids" {
	skip_without mknod
	layout l
	cp /bin/true l/rootfs/capable
	setcap cap_net_raw+ep l/rootfs/capable
	mknod l/rootfs/null c 1 3
	chown 3000000000:2500000 l/rootfs/zero
	run -0 "$ACTOOL" build l i.aci
	mkdir x
	tar --xattrs --xattrs-include='*' -xzpf i.aci -C x
	run -0 getcap x/rootfs/capable
	expect_output cap_net_raw=ep
	[ "$(stat -c %u:%g x/rootfs/bin/one)" = 3000000000:2500000 ]
	[ "$(stat -c %F:%t:%T x/rootfs/null)" = "character special file:1:3" ]
	[ "$(stat -c %i x/rootfs/zero)" = "$(stat -c %i x/rootfs/bin/one)" ]

	run -0 "$ACTOOL" build --owner-root --overwrite l i.aci
	run -0 tar --numeric-owner -tvzf i.aci
	expect_no_output 3000000000
}

@test "build leaves sockets out and says so" {
	layout l
	python3 -c 'import socket
socket.socket(socket.AF_UNIX).bind("l/rootfs/sock")'
	run -0 "$ACTOOL" build l i.aci
	expect_output "warning: rootfs/sock: socket left out"
	run -0 tar -tzf i.aci
	expect_no_output sock
}

@test "build refuses what is no layout, with every reason" {
	layout l
	mv l/rootfs l/real
	ln -s real l/rootfs
	mv l/manifest m
	ln -s ../m l/manifest
	run -1 "$ACTOOL" build l i.aci
	expect_output "l: manifest: must be a file, is a symlink" \
		"l: rootfs: must be a directory, is a symlink" \
		"l: real: only manifest and rootfs may be here"
	[ ! -e i.aci ]

	run -1 "$ACTOOL" build missing i.aci
	expect_output "build: open layout missing: No such file or directory"
}

@test "build validates the manifest first" {
	layout l '.name = "Not Good" | .app.user = ""'
	run -1 "$ACTOOL" build l i.aci
	expect_output "l/manifest: " name
	[ ! -e i.aci ]
}

@test "what the specification allows and rkt run refuses is warned of" {
	local bad=(
		'{name:"resource/memory",value:{limit:"-5"}}'
		'app: warning: rkt run refuses this: isolator resource/memory: limit of -5 is negative'
		'{name:"resource/memory",value:{limit:"4095"}}'
		'limit of 4095 bytes is too low, at least 4096 are needed'
		'{name:"resource/cpu",value:{limit:"1e30"}}'
		'isolator resource/cpu: limit of 1e30 is too large'
		'{name:"os/linux/capabilities-retain-set",value:{set:["CAP_KILL","CAP_NONE","KILL"]}}'
		'app.isolators[0]: warning: rkt run refuses this: unknown capability: CAP_NONE, KILL'
		'{name:"os/linux/seccomp-remove-set",value:{set:["nosuchcall","@no/set"]}}'
		'app.isolators[0]: warning: rkt run refuses this: seccomp: unknown system call or set: nosuchcall, @no/set'
		'{name:"os/linux/seccomp-retain-set",value:{set:["read"],errno:"ENOSUCH"}}'
		'seccomp: unknown errno ENOSUCH'
	)
	for ((n = 0; n < ${#bad[@]}; n += 2)); do
		rm -rf l
		layout l ".app.isolators = [${bad[n]}]"
		run -0 "$ACTOOL" build --overwrite l i.aci
		expect_output "l/manifest: " "${bad[n + 1]}"
		run -0 "$ACTOOL" validate i.aci
		expect_output "i.aci: " "${bad[n + 1]}" \
			'i.aci: valid app container image'
		run_rkt run --net=none i.aci
		expect_status 254
	done
	rm -rf l
	layout l '.app.isolators = [{name:"os/linux/seccomp-retain-set",
		value:{set:["@rkt/default-whitelist","read","cachestat"],
		errno:"EPERM"}},{name:"os/linux/capabilities-remove-set",
		value:{set:["CAP_NET_RAW"]}}]'
	run -0 "$ACTOOL" validate l
	[ "$output" = 'l: valid image layout' ]
	jq -n --slurpfile i l/manifest '{acKind:"PodManifest",
		acVersion:"0.8.11",apps:[{name:"a",image:{id:"sha512-ab"},
		app:($i[0].app|.isolators=[{name:"resource/memory",
		value:{limit:"-5"}}])}]}' >pod
	run -0 "$ACTOOL" validate pod
	expect_output 'pod: apps[0].app: warning: rkt run refuses this: '
	jq '.apps = [] | .volumes = [{name:"v",kind:"empty",mode:"rwx"}] |
		.isolators = [{name:"resource/cpu",value:{limit:"-1"}}]' \
		pod >empty
	run -0 "$ACTOOL" validate empty
	expect_output 'empty: volumes[0]: warning: rkt run refuses this: mode' \
		'empty: isolators[0]: warning: rkt run refuses this: isolator'
}

@test "build keeps an existing file unless told to overwrite" {
	layout l
	echo mine >i.aci
	run -1 "$ACTOOL" build l i.aci
	expect_output "i.aci exists (try --overwrite)"
	[ "$(cat i.aci)" = mine ]
	run -0 "$ACTOOL" build --overwrite l i.aci
	gzip -t i.aci
	# The single dash of Go's flags works as well.
	run -0 "$ACTOOL" build -overwrite -no-compression l i.aci
	tar -tf i.aci >/dev/null
	[ "$(find . -name '.actool*' | wc -l)" = 0 ]
}

@test "build wants .aci and leaves nothing behind on failure" {
	layout l
	run -1 "$ACTOOL" build l i.tar
	expect_output "the name of an image ends in .aci: i.tar"
	run -1 "$ACTOOL" build l .aci
	run -1 "$ACTOOL" build l missing/i.aci
	expect_output "open directory missing/: No such file or directory"
	[ "$(ls -A)" = l ]
}

# --- genkey and sign ---------------------------------------------------------------

@test "genkey makes a key gpg reads and gpg verifies our signature" {
	echo image >i.aci
	run -0 "$ACTOOL" genkey --name "Ann Op <ann@example.com>" --output k
	[[ ${lines[0]} =~ ^key\ [0-9A-F]{40}$ ]]
	fpr=${lines[0]#key }
	[ "$(stat -c %a k)" = 600 ]
	[ "$(stat -c %a k.pub)" = 644 ]
	run ! grep -q PRIVATE k.pub

	run -0 "$ACTOOL" sign --key k i.aci
	expect_output "i.aci.asc: signed with key $fpr"
	head -1 i.aci.asc | grep -qx -e '-----BEGIN PGP SIGNATURE-----'
	gnupg --quiet --import k.pub
	run -0 gnupg --status-fd 1 --verify i.aci.asc i.aci
	expect_output "GOODSIG" "Ann Op <ann@example.com>" "VALIDSIG $fpr"
	echo changed >>i.aci
	run gnupg --status-fd 1 --verify i.aci.asc i.aci
	[ "$status" != 0 ]
	expect_output BADSIG
}

@test "gpg signs with a key of genkey" {
	echo image >i.aci
	"$ACTOOL" genkey --output k
	gnupg --quiet --import k
	gnupg --armor --detach-sign -o i.aci.asc i.aci
	run -0 gnupg --verify i.aci.asc i.aci
}

@test "sign uses keys that gpg made and exported" {
	echo image >i.aci
	for algo in ed25519 rsa2048 nistp256; do
		rm -rf "$D/gnupg" i.aci.asc
		key_of_gpg "$algo"
		run -0 "$ACTOOL" sign --key gpg.key i.aci
		run -0 gnupg --status-fd 1 --verify i.aci.asc i.aci
		expect_output GOODSIG
		gpgconf --homedir "$D/gnupg" --kill all
	done
}

@test "sign takes the signing subkey, as gpg does" {
	echo image >i.aci
	gnupg --quiet --quick-generate-key "Sub <s@example.com>" ed25519 cert
	fpr=$(gnupg --with-colons -k | awk -F: '/^fpr/ { print $10; exit }')
	gnupg --quiet --quick-add-key "$fpr" ed25519 sign
	sub=$(gnupg --with-colons -k | awk -F: '/^fpr/ { f = $10 } END { print f }')
	gnupg --armor --export-secret-keys >all.key
	run -0 "$ACTOOL" sign --key all.key i.aci
	expect_output "$sub"
	run -0 gnupg --verify i.aci.asc i.aci

	# The primary's secret may be kept elsewhere.
	gnupg --armor --export-secret-subkeys >sub.key
	run -0 "$ACTOOL" sign --overwrite --key sub.key i.aci
	expect_output "$sub"
	run -0 gnupg --verify i.aci.asc i.aci
}

@test "protected keys: passphrase from a file, wrong, missing, ours and gpg's" {
	echo image >i.aci
	echo secret >pass
	echo wrong >bad
	"$ACTOOL" genkey --passphrase-file pass --output k
	PASSPHRASE=secret key_of_gpg rsa2048
	for key in k gpg.key; do
		run -1 setsid -w "$ACTOOL" sign --key "$key" i.aci
		expect_output "no terminal to ask (use --passphrase-file)"
		run -1 "$ACTOOL" sign --key "$key" --passphrase-file bad i.aci
		expect_output "wrong passphrase"
		[ ! -e i.aci.asc ]
		run -0 "$ACTOOL" sign --key "$key" --passphrase-file pass i.aci
		rm i.aci.asc
	done
}

@test "sign asks for the passphrase on a terminal" {
	echo image >i.aci
	echo secret >pass
	"$ACTOOL" genkey --passphrase-file pass --output k
	run -0 timeout 20 python3 - "$ACTOOL" <<-'EOF'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "sign", "--key", "k", "i.aci"])
		seen = b""
		while b"passphrase of key" not in seen:
		    seen += os.read(fd, 1000)
		os.write(fd, b"secret\n")
		try:
		    while True:
		        more = os.read(fd, 1000)
		        if not more:
		            break
		        seen += more
		except OSError:
		    pass
		print(seen.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF
	expect_output "signed with key"
	expect_no_output secret
	[ -s i.aci.asc ]
}

@test "sign refuses keys that cannot sign, with the reason" {
	echo image >i.aci
	"$ACTOOL" genkey --output k
	echo "no key" >garbage
	run -1 "$ACTOOL" sign --key k.pub i.aci
	expect_output "a public key cannot sign: give the secret key's file"
	run -1 "$ACTOOL" sign --key garbage i.aci
	expect_output "OpenPGP key"
	[ "${#lines[@]}" = 1 ]
	run -1 "$ACTOOL" sign --key missing i.aci
	expect_output "read key missing: No such file or directory"
	run -2 "$ACTOOL" sign i.aci
	expect_output "--key says with which key"

	key_of_gpg rsa2048 seconds=1
	sleep 2
	run -1 "$ACTOOL" sign --key gpg.key i.aci
	expect_output "the key cannot sign: it is expired"
	[ ! -e i.aci.asc ]
}

@test "sign refuses a revoked key" {
	echo image >i.aci
	key_of_gpg ed25519
	fpr=$(gnupg --with-colons -k | awk -F: '/^fpr/ { print $10; exit }')
	sed 's/^:-----BEGIN/-----BEGIN/' \
		"$D/gnupg/openpgp-revocs.d/$fpr.rev" | gnupg --quiet --import
	gnupg --armor --export-secret-keys >gpg.key
	run -1 "$ACTOOL" sign --key gpg.key i.aci
	expect_output "the key cannot sign: it is revoked"
}

@test "sign keeps an existing signature unless told to overwrite" {
	echo image >i.aci
	echo mine >i.aci.asc
	"$ACTOOL" genkey --output k
	run -1 "$ACTOOL" sign --key k i.aci
	expect_output "i.aci.asc exists (try --overwrite)"
	[ "$(cat i.aci.asc)" = mine ]
	run -0 "$ACTOOL" sign --key k --output other.asc i.aci
	run -0 "$ACTOOL" sign --key k --overwrite i.aci
	[ "$(cat i.aci.asc)" != mine ]
}

@test "genkey touches no file that exists and knows times" {
	echo mine >k.pub
	run -1 "$ACTOOL" genkey --output k
	expect_output "k.pub exists"
	[ ! -e k ] && [ "$(cat k.pub)" = mine ]
	rm k.pub
	run -2 "$ACTOOL" genkey --output k --expire soon
	expect_output '--expire' "0 (never)"
	run -2 "$ACTOOL" genkey --output k --expire 200y
	run -0 "$ACTOOL" genkey --output k --expire 2y
	gnupg --quiet --import k.pub
	run -0 gnupg --with-colons -k
	created=$(awk -F: '/^pub/ { print $6 }' <<<"$output")
	expires=$(awk -F: '/^pub/ { print $7 }' <<<"$output")
	[ $((expires - created)) = $((2 * 365 * 86400)) ]
	run -2 "$ACTOOL" genkey
	expect_output "--output says where the key goes"
}

# --- validate and cat-manifest ---------------------------------------------------------

@test "validate accepts images of every compression, layouts and manifests" {
	layout l
	"$ACTOOL" build --no-compression l plain.aci
	gzip -c plain.aci >gzip.aci
	bzip2 -c plain.aci >bzip2.aci
	xz -c plain.aci >xz.aci
	zstd -qc plain.aci >zstd.aci
	run -0 --separate-stderr "$ACTOOL" validate plain.aci gzip.aci \
		bzip2.aci xz.aci zstd.aci l l/manifest
	[ -z "$stderr" ]
	[ "${lines[0]}" = "plain.aci: valid app container image" ]
	[ "${lines[4]}" = "zstd.aci: valid app container image" ]
	[ "${lines[5]}" = "l: valid image layout" ]
	[ "${lines[6]}" = "l/manifest: valid ImageManifest" ]
	run -0 "$ACTOOL" validate --quiet plain.aci l
	[ -z "$output" ]
}

@test "validate names every problem of a manifest with its path" {
	manifest_of '.name = "Bad Name" | .app.exec = "one"
		| .app.ports = [{name: "web", protocol: "tcp", port: "80"}]
		| .labels += [{name: "version", value: "2"}]' >m
	run -1 --separate-stderr "$ACTOOL" validate m
	[ -z "$output" ]
	output=$stderr
	expect_output "m: name: " "m: app.exec: " "m: app.ports[0].port: " \
		"m: labels"
}

@test "validate names line and column of broken JSON" {
	printf '{\n  "acKind": "ImageManifest",\n  "name" "x"\n}\n' >m
	run -1 "$ACTOOL" validate m
	expect_output "m: line 3, column "
}

@test "validate knows pod manifests" {
	jq -n '{acKind: "PodManifest", acVersion: "0.8.11", apps: [{
		name: "one", image: {id: ("sha512-" + "a" * 128)}}]}' >pod
	run -0 "$ACTOOL" validate pod
	expect_output "pod: valid PodManifest"
	jq '.apps[0].name = "Not A Name"' pod >bad
	run -1 "$ACTOOL" validate bad
	expect_output "bad: apps[0].name: "
}

@test "validate says why an image is none" {
	layout l
	mkdir x
	cp -a l/. x
	echo extra >x/extra
	tar -C x -czf extra.aci manifest rootfs extra
	tar -C x -czf noroot.aci manifest
	head -c 2000 /dev/urandom | gzip >noise.aci
	"$ACTOOL" build l cut.aci
	truncate -s 300 cut.aci
	echo text >text
	run -1 --separate-stderr "$ACTOOL" validate extra.aci noroot.aci \
		noise.aci cut.aci text missing
	[ -z "$output" ]
	output=$stderr
	expect_output "validate: extra.aci: " "validate: noroot.aci: " \
		"validate: noise.aci: " "validate: cut.aci: " \
		"text: neither an image, a layout nor a manifest (try --type)" \
		"open missing: No such file or directory"
	run -1 "$ACTOOL" validate --type=manifest text
	expect_output "text: line 1, column "
	run -2 "$ACTOOL" validate --type=picture text
	expect_output "must be appimage, layout or manifest"
}

@test "validate names every problem of an image's manifest, too" {
	layout l
	manifest_of '.name = "Bad Name" | .app.exec = "one"' >l/manifest
	tar -C l -czf i.aci manifest rootfs
	run -1 "$ACTOOL" validate i.aci
	expect_output "i.aci: image manifest: name: " "; app.exec: "
	manifest_of '.labels = [range(60) | {name: "No \(.)", value: ""}]' \
		>l/manifest
	tar -C l -czf i.aci manifest rootfs
	run -1 "$ACTOOL" validate i.aci
	expect_output "labels[0].name: " "; and " " more"
}

@test "one bad file does not hide the good ones" {
	layout l
	echo '{}' >bad
	run -1 --separate-stderr "$ACTOOL" validate bad l
	[ "$output" = "l: valid image layout" ]
}

@test "cat-manifest prints what was put in" {
	layout l
	"$ACTOOL" build l i.aci
	run -0 "$ACTOOL" cat-manifest i.aci
	[ "${#lines[@]}" = 1 ]
	[ "$(jq -S . <<<"$output")" = "$(jq -S . l/manifest)" ]
	run -0 "$ACTOOL" cat-manifest --pretty-print i.aci
	[ "${#lines[@]}" -gt 5 ]
	[ "$(jq -S . <<<"$output")" = "$(jq -S . l/manifest)" ]
	run -1 "$ACTOOL" cat-manifest l/manifest
}

# --- the program -------------------------------------------------------------------------

# --- patch-manifest --------------------------------------------------------------

# others FILE: what `tar` says of all entries but the manifest, and their bytes
others() {
	tar --exclude=./manifest --exclude=manifest --full-time -tvf "$1"
	tar --exclude=./manifest --exclude=manifest -xOf "$1" | sha256sum
}

@test "patch-manifest changes the manifest and no other byte" {
	layout l
	run -0 "$ACTOOL" build l a.aci
	run -0 "$ACTOOL" patch-manifest --name=example.com/other \
		--exec="/bin/one --debug" --user=100 --group=200 \
		--capability=CAP_NET_BIND_SERVICE,CAP_KILL \
		--mounts=work,path=/opt,readOnly=true:more,path=/more \
		--ports=http,protocol=tcp,port=8080 \
		--supplementary-groups=10,20 --environment=A=1 \
		--environment B=2 \
		--isolators=resource/memory,limit=64Mi:os/linux/no-new-privileges,true \
		--seccomp-mode=remove,errno=EPERM --seccomp-set=chmod,@rkt/default-blacklist \
		a.aci b.aci
	[ -z "$output" ]
	"$ACTOOL" cat-manifest b.aci | jq -e '.name == "example.com/other" and
		.labels[0].value == "1.0.0" and
		.app.exec == ["/bin/one", "--debug"] and
		.app.user == "100" and .app.group == "200" and
		.app.supplementaryGIDs == [10, 20] and
		(.app.environment | length) == 2 and
		(.app.mountPoints | length) == 2 and
		.app.ports[0].port == 8080 and
		(.app.isolators | map(.name)) == [
			"os/linux/capabilities-retain-set", "resource/memory",
			"os/linux/no-new-privileges",
			"os/linux/seccomp-remove-set"]'
	diff <(others a.aci) <(others b.aci)
	# Equal inputs, equal outputs; gzip as of `build`.
	"$ACTOOL" cat-manifest a.aci | tr -d '\n' >l/manifest
	touch -d '2024-05-06 07:08:09' l/manifest
	run -0 "$ACTOOL" build --overwrite l a.aci
	run -0 "$ACTOOL" patch-manifest --name=example.com/other a.aci c.aci
	run -0 "$ACTOOL" patch-manifest --name=example.com/other a.aci d.aci
	cmp c.aci d.aci
	run -0 "$ACTOOL" patch-manifest --name=example.com/test c.aci e.aci
	cmp a.aci e.aci
}

@test "patch-manifest reads every archive, and puts the entry where it was" {
	layout l
	tar -C l --format=gnu -cf gnu.aci rootfs manifest
	tar -C l --format=pax -cJf pax.aci manifest rootfs
	tar -C l --format=ustar -c ./rootfs ./manifest | bzip2 >dot.aci
	tar -C l --format=posix --xattrs --mtime=@1.5 -c rootfs/bin manifest \
		rootfs/sub rootfs/zero rootfs --no-recursion | zstd -q >mid.aci
	for f in gnu pax dot; do
		run -0 "$ACTOOL" patch-manifest -user 7 --no-compression \
			$f.aci $f-new.aci
		run -0 "$ACTOOL" validate $f-new.aci
		diff <(others $f.aci) <(others $f-new.aci)
		[ "$("$ACTOOL" cat-manifest $f-new.aci | jq -r .app.user)" = 7 ]
		[ "$(tar -tf $f.aci | grep -n manifest | cut -d: -f1)" = \
			"$(tar -tf $f-new.aci | grep -n manifest | cut -d: -f1)" ]
	done
}

@test "patch-manifest --manifest, --replace, --overwrite" {
	layout l
	run -0 "$ACTOOL" build l a.aci
	touch a.aci.asc
	manifest_of '.name = "example.com/new" | .new = 1' >m
	run -0 "$ACTOOL" patch-manifest --manifest=m --replace a.aci
	expect_output "warning: a.aci.asc is of other bytes now: sign a.aci again"
	tar -xOf a.aci manifest | cmp - m
	cp a.aci b.aci
	run -1 "$ACTOOL" patch-manifest --user=1 a.aci b.aci
	expect_output "b.aci exists (try --overwrite)"
	cmp a.aci b.aci
	run -0 "$ACTOOL" patch-manifest --overwrite --user=1 a.aci b.aci
	[ "$("$ACTOOL" cat-manifest b.aci | jq -r .app.user)" = 1 ]
	[ "$(find . -maxdepth 1 -name '.*' -type f)" = "" ]
}

@test "patch-manifest refuses wrong uses and leaves nothing" {
	layout l 'del(.app)'
	run -0 "$ACTOOL" build l a.aci
	for bad in "--user=1 a.aci b.aci|no app in the supplied manifest" \
		"--name=UPPER a.aci b.aci|--name: " \
		"--exec=/x a.aci b.aci|the patched manifest: app: user is required" \
		"--name=x none.aci b.aci|open none.aci" \
		"--name=x l/manifest b.aci|l/manifest: " \
		"--manifest=l/rootfs/zero a.aci b.aci|is no valid image manifest"; do
		# shellcheck disable=SC2086 # words
		run -1 "$ACTOOL" patch-manifest ${bad%%|*}
		expect_output "${bad#*|}"
	done
	for bad in "a.aci b.aci|no change is asked for" \
		"--name=x a.aci|must provide input and output" \
		"--name=x --replace a.aci b.aci|--replace takes one file" \
		"--name=x --replace --overwrite a.aci|exclude each other" \
		"--name=x --manifest=m a.aci b.aci|goes with no other change" \
		"--name=x a.aci b.tar|ends in .aci"; do
		# shellcheck disable=SC2086 # words
		run -2 "$ACTOOL" patch-manifest ${bad%%|*}
		expect_output "${bad#*|}"
	done
	[ ! -e b.aci ]
	[ ! -e b.tar ]
}

@test "help, version and wrong uses" {
	run -0 "$ACTOOL" help
	expect_output build validate cat-manifest patch-manifest sign \
		genkey version
	run -0 "$ACTOOL" --help
	for c in build validate cat-manifest patch-manifest sign genkey \
		discover version help; do
		run -0 "$ACTOOL" help "$c"
		expect_output "actool $c" USAGE
		# Nothing is wider than 80 columns.
		run ! grep -E '.{81}' <(expand <<<"$output")
		run -0 "$ACTOOL" "$c" --help
		expect_output "actool $c" USAGE
	done
	run -0 "$ACTOOL" version
	[[ ${lines[0]} =~ ^actool\ version\ [0-9.]+$ ]]
	[ "${lines[1]}" = "appc version 0.8.11" ]

	run -2 "$ACTOOL"
	expect_output "missing command"
	run -2 "$ACTOOL" frobnicate
	expect_output 'no command "frobnicate"'
	run -2 "$ACTOOL" build one
	expect_output "too few arguments" "usage: actool build"
	run -2 "$ACTOOL" build one two three
	expect_output "too many arguments"
	run -2 "$ACTOOL" build --frobnicate one two.aci
	expect_output "unknown flag: --frobnicate"
	run -2 "$ACTOOL" sign --key
	expect_output "flag needs an argument: --key"
}

@test "everything works without root" {
	require_root
	layout l
	chmod -R a+rX l
	chmod 0777 .
	as_user() {
		run setpriv --reuid=1000 --regid=1000 --clear-groups "$@"
	}
	as_user "$ACTOOL" build l i.aci
	expect_status 0
	as_user "$ACTOOL" validate i.aci l
	expect_status 0
	as_user "$ACTOOL" cat-manifest i.aci
	expect_status 0
	as_user "$ACTOOL" genkey --output k
	expect_status 0
	as_user "$ACTOOL" sign --key k i.aci
	expect_status 0
	[ "$(stat -c %u i.aci.asc)" = 1000 ]
	chmod 0 l/rootfs/sub/deep
	as_user "$ACTOOL" build l no.aci
	expect_status 1
	expect_output "open rootfs/sub/deep: Permission denied"
	[ ! -e no.aci ]
}

@test "the images of real programs build, validate and are reproducible" {
	"$ACTOOL" genkey --output k
	SIGN_KEY=k "$TESTS/images/build-images.sh" a busybox nginx-1
	"$TESTS/images/build-images.sh" b nginx-1
	cmp a/nginx-1.aci b/nginx-1.aci
	gnupg --quiet --import k.pub
	run -0 gnupg --verify a/nginx-1.aci.asc b/nginx-1.aci
	run -0 "$ACTOOL" validate a/busybox.aci a/nginx-1.aci
}

@test "--debug before the command" {
	for flag in --debug -debug; do
		run "$ACTOOL" $flag validate /nonexistent
		[ "$status" = 1 ]
		[[ $output == *"/nonexistent"* ]]
	done
	run "$ACTOOL" --debug version
	[ "$status" = 0 ]
	run "$ACTOOL" --debug
	[ "$status" = 2 ]
}
