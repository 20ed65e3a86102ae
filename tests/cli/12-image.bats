#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# rkt image: list, rm, cat-manifest, gc, verify.

load lib
use_driver tree

setup_file() {
	load lib
	mkdir -p "$F"
	image_inside "$F/a1.aci" '.' example.com/a 1.0.0
	image_inside "$F/a2.aci" '.' example.com/a 2.0.0
	image_inside "$F/b.aci" '.' example.com/b 1.0.0
}

fetch() {
	"$RKT" --dir="$D/data" --insecure-options=image fetch --full "$@" \
		2>/dev/null
}

count() {
	find "$1" -mindepth 1 -maxdepth 1 | wc -l
}

@test "list: header, columns, short and full" {
	run rkt image list
	expect_status 0
	[[ $output == ID$'\t'*NAME*SIZE*"IMPORT TIME"*"LAST USED" ]]
	local id
	id=$(fetch "$F/a1.aci")
	run rkt image list --no-legend
	expect_status 0
	IFS=$'\n' read -r -a row <<<"$(tr -s '\t' '\n' <<<"$output" | paste -sd'|')"
	[[ ${row[0]} =~ ^${id:0:19}\|example.com/a:1.0.0\|[0-9.]+\ [KM]iB\|(now|[0-9]+\ seconds?\ ago)\|(now|[0-9]+\ seconds?\ ago)$ ]]
	run rkt image list --no-legend --full
	[[ $output =~ ^$id$'\t'+example.com/a:1.0.0$'\t'+[0-9]+$'\t'+20[0-9]{2}-[0-9-]+\ [0-9:.]+\ [+-][0-9]{4}\ [A-Z0-9+-]+ ]]
}

@test "list: fields, sort, order, json" {
	fetch "$F/b.aci" "$F/a1.aci" >/dev/null
	run rkt image list --no-legend --fields=name
	[ "$output" = "example.com/b:1.0.0
example.com/a:1.0.0" ]
	run rkt image list --no-legend --fields=NAME --order=desc
	[ "${lines[0]}" = example.com/a:1.0.0 ]
	run rkt image list --no-legend --fields=name --sort=name
	[ "${lines[0]}" = example.com/a:1.0.0 ]
	run rkt image list --fields=name,id
	[[ ${lines[0]} =~ ^NAME$'\t'+ID$ ]]
	run rkt image list --format=json
	jq -e 'length == 2 and .[0].name == "example.com/b:1.0.0" and
		(.[0].id | startswith("sha512-")) and .[0].size > 0 and
		.[0].import_time > 1e18 and .[0].last_used_time > 1e18' \
		<<<"$output"
	run rkt image list --format=json-pretty
	[ "${#lines[@]}" -gt 10 ]
	jq -e 'length == 2' <<<"$output"
	for bad in --fields=x --sort=id --order=up --format=xml --fields=id,id; do
		run rkt image list "$bad"
		expect_status 254
	done
}

@test "cat-manifest by name, prefix and id" {
	local id
	id=$(fetch "$F/a1.aci")
	for i in "$id" "${id:0:20}" example.com/a example.com/a:1.0.0; do
		run rkt image cat-manifest "$i"
		expect_status 0
		jq -e '.name == "example.com/a" and .acKind == "ImageManifest"' \
			<<<"$output"
	done
	run rkt image cat-manifest --pretty-print=false example.com/a
	[ "${#lines[@]}" = 1 ]
	run rkt image cat-manifest example.com/none
	expect_status 254
	run rkt image cat-manifest sha512-0000
	expect_status 254
	expect_output "no image IDs found"
}

@test "rm: texts and exit codes" {
	local a b
	a=$(fetch "$F/a1.aci")
	b=$(fetch "$F/b.aci")
	run --separate-stderr rkt image rm "$a" example.com/b example.com/b
	expect_status 0
	[ "$output" = "successfully removed aci for image: \"$a\"
successfully removed aci for image: \"$b\"" ]
	[ "$stderr" = "rm: 2 image(s) successfully removed" ]
	run rkt image list --no-legend
	[ -z "$output" ]
	[ -z "$(find "$D/data/cas" -mindepth 2)" ]
	run rkt image rm example.com/b
	expect_status 0
	expect_output "not found"
	run rkt image rm
	expect_status 254
	expect_output "must provide at least one image ID"
}

@test "a name without version is the newest import" {
	fetch "$F/a1.aci" "$F/a2.aci" >/dev/null
	run rkt image cat-manifest example.com/a
	jq -e '.labels[] | select(.name == "version").value == "2.0.0"' \
		<<<"$output"
	fetch "$F/a1.aci" >/dev/null
	run rkt image cat-manifest example.com/a
	jq -e '.labels[] | select(.name == "version").value == "1.0.0"' \
		<<<"$output"
}

@test "gc: grace period, pods keep images" {
	local a b
	a=$(fetch "$F/a1.aci")
	b=$(fetch "$F/b.aci")
	run rkt image gc
	expect_status 0
	[ -z "$output" ]
	local blob tree
	blob=$(basename "$D"/data/cas/blob/"$a"*)
	tree=${blob%.tar}
	mkdir -p "$D/data/pods/prepared/x/generations/app/1"
	echo "$tree" >"$D/data/pods/prepared/x/generations/app/1/treeStoreID"
	run --separate-stderr rkt image gc --grace-period=0s
	expect_status 0
	[ "$output" = "successfully removed aci for image: \"$b\"" ]
	[ -d "$D/data/cas/tree/$tree/rootfs" ]
	# Removed by hand while a pod has it: the tree stays until gc.
	run rkt image rm "$a"
	expect_status 0
	[ -d "$D/data/cas/tree/$tree/rootfs" ]
	run rkt image gc
	[ -d "$D/data/cas/tree/$tree/rootfs" ]
	rm -r "$D/data/pods"
	run rkt image gc
	expect_status 0
	expect_output "removed treestore \"$tree\""
	[ ! -e "$D/data/cas/tree/$tree" ]
}

@test "gc mends a store" {
	local a blob
	a=$(fetch "$F/a1.aci")
	fetch "$F/b.aci" >/dev/null
	rm "$D"/data/cas/images.sqlite
	mkdir -p "$D/data/cas/tmp/tree-1/rootfs"
	: >"$D/data/cas/tmp/import-1"
	run rkt image list --no-legend
	[ -z "$output" ]
	run rkt image gc
	expect_status 0
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
	run rkt image list --no-legend --fields=name --sort=name
	[ "$output" = "example.com/a:1.0.0
example.com/b:1.0.0" ]
	blob=$(ls "$D"/data/cas/blob/"$a"*)
	rm "$blob"
	run rkt image gc
	run rkt image list --no-legend --fields=name
	[ "$output" = example.com/b:1.0.0 ]
	[ "$(count "$D/data/cas/manifest")" = 1 ]
	[ "$(count "$D/data/cas/tree")" = 1 ]
}

@test "verify finds and mends a changed tree, and a changed blob" {
	local a tree
	a=$(fetch "$F/a1.aci")
	tree=$(ls -d "$D"/data/cas/tree/*)
	run rkt image verify example.com/a
	expect_status 0
	expect_output "successfully verified checksum for image: \"example.com/a\" (\"$a\")"
	echo changed >>"$tree/rootfs/etc/greeting"
	run rkt image verify "$a"
	expect_status 0
	expect_output "tree cache verification failed for image $a: size of /etc/greeting differs;  rebuilding..."
	[ "$(cat "$tree/rootfs/etc/greeting")" = hello ]
	rm -r "$tree"
	run rkt image verify "$a"
	expect_output "not rendered; no verification needed"
	# What cannot be made again is not run.
	unseal "$D/data"
	printf X | dd of="$(ls "$D"/data/cas/blob/*)" bs=1 seek=900 conv=notrunc \
		2>/dev/null
	run rkt image verify "$a"
	expect_status 254
	expect_output "image $a: the stored image is damaged and will not be run: fetch $a again"
	run_rkt run --net=none "$a"
	expect_status 254
	expect_output "no image IDs found"
	[ "$(fetch "$F/a1.aci")" = "$a" ]
	run rkt image verify "$a"
	expect_status 0
	run rkt image gc
	expect_status 0
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
}

@test "dependencies and path whitelists are rendered" {
	mkdir -p "$D"/{base,top}/rootfs/etc "$D/base/rootfs/opt"
	echo base >"$D/base/rootfs/etc/a"
	echo base >"$D/base/rootfs/etc/b"
	echo base >"$D/base/rootfs/etc/hidden"
	ln "$D/base/rootfs/etc/b" "$D/base/rootfs/opt/linked"
	echo top >"$D/top/rootfs/etc/b"
	image_tree "$D/base" example.com/base 1.0.0
	image_tree "$D/top" example.com/top 1.0.0 \
		'.dependencies=[{imageName:"example.com/base"}] |
		.pathWhitelist=["/etc/a","/etc/b","/opt/linked"]'
	run_rkt fetch --pull-policy=never "$D/top.aci"
	expect_status 254
	expect_output "dependency example.com/base is not in the store"
	run_rkt fetch "$D/base.aci"
	expect_status 0
	run_rkt fetch --pull-policy=new "$D/top.aci"
	expect_status 0
	local id tree
	id=$(rkt image list --full --no-legend --fields=id,name |
		awk '/top/ { print $1 }')
	tree=$(ls -d "$D"/data/cas/tree/"$id"*)/rootfs
	[ "$(cat "$tree/etc/a")" = base ]
	[ "$(cat "$tree/etc/b")" = top ]
	[ "$(cat "$tree/opt/linked")" = base ]
	[ ! -e "$tree/etc/hidden" ]
	run rkt image verify example.com/top
	expect_status 0
}

@test "export gives the stored bytes" {
	local a
	a=$(fetch "$F/a1.aci")
	run rkt image export example.com/a "$D/out.aci"
	expect_status 0
	cmp "$D/out.aci" <(gzip -dc "$F/a1.aci")
	run rkt image export "$a" "$D/out.aci"
	expect_status 254
	expect_output "output ACI file exists (try --overwrite)"
	echo old >"$D/out.aci"
	run rkt image export --overwrite "$a" "$D/out.aci"
	expect_status 0
	cmp "$D/out.aci" <(gzip -dc "$F/a1.aci")
	run rkt image export "$a" "$D/none/out.aci"
	expect_status 254
	[ "$(find "$D" -maxdepth 1 -name '.rkt-*')" = "" ]
	# As /dev/null and /dev/stdout are.
	mkfifo "$D/fifo"
	ln -s out.aci "$D/link"
	for name in fifo link; do
		run rkt image export --overwrite "$a" "$D/$name"
		expect_status 254
		expect_output "$D/$name is no regular file: it is not replaced"
	done
	[ -p "$D/fifo" ] && [ -L "$D/link" ]
}

@test "extract and render" {
	mkdir -p "$D/top/rootfs/etc"
	echo top >"$D/top/rootfs/etc/greeting"
	image_tree "$D/top" example.com/top 1.0.0 \
		'.dependencies=[{imageName:"example.com/a"}]'
	fetch "$F/a1.aci" >/dev/null
	fetch --pull-policy=new "$D/top.aci" >/dev/null
	run rkt image extract example.com/top "$D/x"
	expect_status 0
	[ "$(cat "$D/x/rootfs/etc/greeting")" = top ]
	[ ! -e "$D/x/rootfs/inside" ]
	jq -e '.name == "example.com/top"' "$D/x/manifest"
	run rkt image render example.com/top "$D/x"
	expect_status 254
	expect_output "output directory exists (try --overwrite)"
	run rkt image render --overwrite --rootfs-only example.com/top "$D/x"
	expect_status 0
	[ "$(cat "$D/x/etc/greeting")" = top ]
	cmp "$D/x/inside" "$INSIDE"
	[ ! -e "$D/x/manifest" ]
	run rkt image render example.com/top "$D/y"
	expect_status 0
	[ -x "$D/y/rootfs/inside" ]
	jq -e '.name == "example.com/top"' "$D/y/manifest"
	run rkt image extract example.com/top /
	expect_status 254
	: >"$D/file"
	run rkt image extract --overwrite example.com/top "$D/file"
	expect_status 254
	[ "$(find "$D" -maxdepth 1 -name '*.tmp')" = "" ]
}

@test "a real pod keeps its image, and its tree when that is removed" {
	local pod
	skip_without overlay
	run --separate-stderr "$RKT" --dir="$D/data" \
		--insecure-options=image prepare --quiet "$F/a1.aci" -- \
		exit-code 7
	expect_status 0
	pod=${lines[-1]}
	run --separate-stderr rkt image gc --grace-period=0s
	expect_status 0
	[ -z "$output" ]
	run rkt image rm example.com/a
	expect_status 0
	run rkt run-prepared --net=none "$pod"
	expect_status 7
	rkt rm "$pod"
	run rkt image gc --grace-period=0s
	expect_output "removed treestore"
	[ -z "$(find "$D/data/cas" -mindepth 2)" ]
}

@test "starting a stored image opens no table and syncs nothing" {
	skip_without strace
	skip_without overlay
	local id
	# LeakSanitizer does not work under ptrace.
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	fetch "$F/a1.aci" >/dev/null
	id=$(basename "$D"/data/cas/tree/*)
	run strace -f -o "$D/trace" "$RKT" --dir="$D/data" run --net=none \
		"$id" -- exit-code 3
	expect_status 3
	run grep -E 'images\.sqlite|f(data)?sync\(|syncfs\(|getdents.*cas' "$D/trace"
	[ -z "$output" ]
	# By an abbreviation: one directory is read, still no table.
	run strace -f -o "$D/trace" "$RKT" --dir="$D/data" run --net=none \
		"${id:0:20}" -- exit-code 3
	expect_status 3
	run grep -E 'images\.sqlite|f(data)?sync\(|syncfs\(' "$D/trace"
	[ -z "$output" ]
}

@test "a damaged image table: what to do, and that it helps" {
	run_rkt fetch "$F/a1.aci"
	expect_status 0
	echo garbage >"$D/data/cas/images.sqlite"
	run rkt image rm example.com/a
	expect_status 254
	expect_output 'not a database' 'remove the file: "rkt image gc"'
	rm "$D/data/cas/images.sqlite"*
	run rkt image gc
	expect_status 0
	run rkt image list
	expect_output 'example.com/a'
}

# table SQL...: done to the table of images, and all rows after it
table() {
	python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for statement in sys.argv[2:]:
    db.execute(statement)
db.commit()
for row in db.execute("SELECT name, version, source, signer FROM image ORDER BY serial"):
    print(*row)' "$D/data/cas/images.sqlite" "$@"
}

@test "a row that is not what was written: nobody believes it, gc and verify mend it" {
	local a change right damaged='is damaged and not used: "rkt image gc" mends it'
	a=$(fetch "$F/a1.aci")
	right=$(rkt image list --no-legend --fields=id,name,signer --full)
	for change in "name = 'example.com/b'" "version = '2.0.0'" \
		"labels = replace(labels, '1.0.0', '2.0.0')" \
		"size = size + 4096" "signer = 'ABCDEF'" "sum = sum + 1" \
		"imported = imported - 1" "latest = 1" "etag = 'x'" \
		"source = '/other'" "expiry = 1" "unpacked = unpacked + 1"; do
		table "UPDATE image SET $change" >/dev/null
		run rkt image cat-manifest example.com/b
		expect_status 254
		run rkt image cat-manifest example.com/a:2.0.0
		expect_status 254
		run rkt image list --no-legend
		expect_status 0
		expect_output "$damaged"
		[ "${#lines[@]}" = 1 ]
		run rkt image gc
		expect_status 0
		run rkt image list --no-legend --fields=id,name,signer --full
		[ "$output" = "$right" ]
	done
	table "UPDATE image SET name = 'example.com/b', signer = 'A'" >/dev/null
	run_rkt run --net=none --pull-policy=never example.com/b
	expect_status 254
	expect_output "$damaged"
	run rkt image verify "$a"
	expect_status 0
	expect_output "the image table is wrong about image $a"
	run rkt image list --no-legend --fields=id,name,signer --full
	[ "$output" = "$right" ]
	# a row of another image than its blob is that of none
	table "UPDATE image SET id = replace(id, 'sha512-', 'sha512-0')" >/dev/null
	run rkt image gc
	expect_status 0
	run rkt image list --no-legend --fields=id,name,signer --full
	[ "$output" = "$right" ]
}

# index_flip WORD OTHER: in the table's index of names, and nowhere else
index_flip() {
	python3 -c '
import sqlite3, sys
file, word, other = sys.argv[1:]
db = sqlite3.connect(file)
root, = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?",
                   ("image_name",)).fetchone()
size, = db.execute("PRAGMA page_size").fetchone()
db.close()
with open(file, "r+b") as f:
    f.seek((root - 1) * size)
    page = f.read(size)
    assert word.encode() in page
    f.seek((root - 1) * size)
    f.write(page.replace(word.encode(), other.encode()))
' "$D/data/cas/images.sqlite" "$@"
}

@test "an index of the table that is not what was written: gc makes it anew" {
	fetch "$F/b.aci" "$F/a1.aci" >/dev/null
	index_flip example.com/a example.com/z
	run rkt image cat-manifest example.com/a
	expect_status 254
	run rkt image gc
	expect_status 0
	expect_output "is damaged" "making its indexes anew"
	run rkt image cat-manifest example.com/a
	expect_status 0
	run rkt image gc
	expect_no_output "is damaged"
}

@test "what is none of ours in the store's directories does not stop gc" {
	fetch "$F/a1.aci" >/dev/null
	mkdir -p "$D/data/cas/manifest/stray/dir" "$D/data/cas/used/stray"
	run rkt image gc
	expect_status 0
	[ ! -e "$D/data/cas/manifest/stray" ]
	[ ! -e "$D/data/cas/used/stray" ]
	run rkt image cat-manifest example.com/a
	expect_status 0
}

@test "a table of an older rkt is brought up to date" {
	local before
	fetch "$F/b.aci" "$F/a1.aci" >/dev/null
	before=$(rkt image list --full --fields=id,name,size,importtime,signer,source)
	table "ALTER TABLE image DROP COLUMN sum" "PRAGMA user_version = 1" >/dev/null
	# Or read as it is where nothing can be written.
	mount --bind "$D/data/cas" "$D/data/cas"
	mount -o remount,ro,bind "$D/data/cas"
	run rkt image list --full --fields=id,name,size,importtime,signer,source
	umount "$D/data/cas"
	expect_status 0
	[ "$output" = "$before" ]
	run rkt image list --full --fields=id,name,size,importtime,signer,source
	expect_status 0
	[ "$output" = "$before" ]
	run table
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[0]} == "example.com/b 1.0.0 $F/b.aci "* ]]
}

@test "a damaged manifest or tree in the store is mended by a fetch" {
	run_rkt fetch "$F/a1.aci"
	expect_status 0
	local manifest
	manifest=$(echo "$D"/data/cas/manifest/*)
	echo '{}' >"$manifest"
	run rkt image cat-manifest example.com/a
	expect_status 254
	run_rkt fetch "$F/a1.aci"
	expect_status 0
	run rkt image cat-manifest example.com/a
	expect_status 0
	rm "$manifest"
	run rkt image gc
	expect_status 254
	expect_output '"rkt image verify" of the image mends it'
	run rkt image verify example.com/a
	expect_status 0
	run rkt image gc
	expect_status 0
	rm -rf "$D"/data/cas/tree/*/rootfs
	run_rkt fetch "$F/a1.aci"
	expect_status 0
	[ -d "$(echo "$D"/data/cas/tree/*/rootfs)" ]
	rm -rf "$D/data/cas/tree"
	run_rkt fetch "$F/a1.aci"
	expect_status 0
	[ -d "$(echo "$D"/data/cas/tree/*/rootfs)" ]
	[ "$(stat -c %a "$D/data/cas/tree")" = 700 ]
}

@test "diff: files, manifest, text and json" {
	require_root
	local i
	for i in 1 2; do
		mkdir -p "d$i/rootfs/etc" "d$i/rootfs/same"
		echo "equal" >"d$i/rootfs/same/file"
		echo "$i" >"d$i/rootfs/etc/content"
		touch -d "2020-01-0$i" "d$i/rootfs/etc/content" \
			"d$i/rootfs/same/file"
		ln -s "to$i" "d$i/rootfs/link"
		echo x >"d$i/rootfs/etc/mode"
		chmod 60$((2 * i)) "d$i/rootfs/etc/mode"
	done
	chown 5:6 d2/rootfs/etc/mode
	echo x | tee d1/rootfs/capable >d2/rootfs/capable
	setcap cap_net_raw+ep d2/rootfs/capable
	printf '%01000d' 0 >d1/rootfs/gone
	mkdir d2/rootfs/new
	printf '%02000d' 0 >d2/rootfs/new/file
	mkdir d1/rootfs/kind
	echo kind >d2/rootfs/kind
	touch "d2/rootfs/odd"$'\n'"name"
	image_tree d1 example.com/d 1.0.0
	image_tree d2 example.com/d 2.0.0 '.app.environment=[{name: "A",
		value: "b"}] | .app.user="7"'
	fetch "$PWD/d1.aci" "$PWD/d2.aci" >ids
	run --separate-stderr rkt image diff example.com/d:1.0.0 example.com/d:2.0.0
	expect_status 0
	diff - <(echo "$output") <<-'END'
		manifest:
		~ labels[version]: "1.0.0" -> "2.0.0"
		~ app.user: "0" -> "7"
		+ app.environment: [{"name":"A","value":"b"}]
		files:
		~ /capable (xattrs) 2 B
		~ /etc/content (content) 2 B
		~ /etc/mode (mode, owner) 2 B
		- /gone 1000 B
		~ /kind (type) 5 B
		~ /link (target)
		+ /new
		+ /new/file 2.0 KiB
		+ /odd?name
		3 added, 1 removed, 5 changed; files 1012 B -> 2.0 KiB
	END
	run --separate-stderr rkt image diff --format=json "$(sed -n 1p ids)" \
		"$(sed -n 2p ids)"
	expect_status 0
	jq -e '(.manifest | length) == 3 and
		.manifest[1] == {path: "app.user", before: "0", after: "7"} and
		(.files | map(select(.change == "added")) | length) == 3 and
		(.files[] | select(.path == "/gone")) ==
			{path: "/gone", change: "removed", size_before: 1000} and
		(.files[] | select(.path == "/etc/mode")).differs ==
			["mode", "owner"] and
		.size_after - .size_before == 1005' <<<"$output"
	run --separate-stderr rkt image diff example.com/d:1.0.0 example.com/d:1.0.0
	[ "$output" = "0 added, 0 removed, 0 changed; files 1012 B -> 1012 B" ]
	run rkt image diff example.com/d
	expect_status 254
	run rkt image diff example.com/d example.com/none
	expect_status 254
}

# last_use FILE AGE ID...: the image was last used that long ago
last_use() {
	local blob
	blob=$(basename "$D"/data/cas/blob/"$2"*.tar .tar)
	touch -d "$1" "$D/data/cas/used/$blob"
}

@test "gc: the newest of each name, and no more than a size" {
	local a1 a2 a3 b size
	a1=$(fetch "$F/a1.aci")
	a2=$(fetch "$F/a2.aci")
	image_inside "$D/a3.aci" '.' example.com/a 3.0.0
	a3=$(fetch "$D/a3.aci")
	b=$(fetch "$F/b.aci")
	last_use '-3 hours' "$a1"
	last_use '-2 hours' "$a2"
	last_use '-1 hours' "$a3"
	last_use '-4 hours' "$b"
	run rkt image gc --grace-period=0s --keep-newest=2
	expect_status 0
	expect_output "removed aci for image: \"$a1\""
	run rkt image list --no-legend --fields=name --sort=name,importtime
	[ "$output" = "example.com/a:2.0.0
example.com/a:3.0.0
example.com/b:1.0.0" ]
	# Room for two: the one used longest ago goes, within the grace period.
	size=$(stat -c %s "$D"/data/cas/blob/"$a2"*)
	run rkt image gc --max-size=$((size * 5 / 2))
	expect_status 0
	expect_output "removed aci for image: \"$b\""
	run rkt image gc --max-size=1k --keep-newest=1
	expect_status 0
	run rkt image list --no-legend --fields=name
	[ "$output" = "example.com/a:3.0.0" ]
	run rkt image gc --max-size=1k
	run rkt image list --no-legend
	[ -z "$output" ]
	for bad in --max-size=x --max-size=-1 --max-size=0 --keep-newest=x \
		--keep-newest=-1; do
		run rkt image gc "$bad"
		expect_status 254
	done
}

@test "list: who signed, and where it came from" {
	fetch "$F/a1.aci" >/dev/null
	run rkt image list --no-legend --fields=name,signer,source
	[[ $output =~ ^example.com/a:1.0.0$'\t'+-$'\t'+$F/a1.aci$ ]]
	run rkt image list --format=json
	jq -e --arg s "$F/a1.aci" '.[0].source == $s and
		(.[0] | has("signer") | not)' <<<"$output"
	run rkt image list --sort=signer
	expect_status 254
}

@test "a version that steers terminals makes no lines and no colours" {
	local version=$'1\e[31m\nstate=exited'
	image_inside "$D/steers.aci" '.' example.com/steers "$version"
	fetch "$D/steers.aci" >/dev/null
	rkt image list --no-legend --fields=name,id >"$D/list"
	[ "$(wc -l <"$D/list")" = 1 ]
	grep -q "example.com/steers:1?\[31m?state=exited" "$D/list"
	uuid=$(rkt prepare --quiet example.com/steers)
	rkt status "$uuid" >"$D/status"
	cat -v "$D/status"
	[ "$(grep -c "^state=" "$D/status")" = 1 ]
	grep -q "^version-steers=1?\[31m?state=exited$" "$D/status"
	rkt list --no-legend >"$D/list"
	[ "$(wc -l <"$D/list")" = 1 ]
	rkt rm "$uuid"
}

@test "import: a file, stdin, what it refuses" {
	"$ACTOOL" genkey --name=Tester --output="$D/key" >/dev/null
	rkt trust --root --skip-fingerprint-review "$D/key.pub" >/dev/null 2>&1
	cp "$F/a1.aci" a.aci
	run rkt image import a.aci
	expect_status 254
	run rkt image import - <a.aci
	expect_status 254
	expect_output "an image from stdin needs --signature"
	"$ACTOOL" sign --key="$D/key" a.aci >/dev/null
	run --separate-stderr rkt image import a.aci
	expect_status 0
	[[ $output =~ ^sha512-[0-9a-f]{32}$ ]]
	[[ $stderr == *"signature verified:"* ]]
	run rkt image list --no-legend --fields=signer --full
	[ "$output" = "$(gpg --show-keys --with-colons "$D/key.pub" 2>/dev/null |
		awk -F: '/^fpr/ { print tolower($10); exit }')" ]
	rkt image rm example.com/a >/dev/null
	# shellcheck disable=SC2094
	head -c 1G a.aci | { run rkt image import --full --signature=a.aci.asc -
		echo "$status $output" >"$D/result"; }
	grep -qx 'sha512-[0-9a-f]\{64\}' "$D/result"
	run rkt image list --no-legend --fields=source
	[ "$output" = stdin ]
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
	echo nonsense | { run_rkt image import -
		echo "$status $output" >"$D/result"; }
	grep -q '^254 ' "$D/result"
	[ -z "$(ls -A "$D/data/cas/tmp")" ]
	run rkt image import example.com/a
	expect_status 254
	expect_output "is no file"
	run rkt image import a.aci a.aci
	expect_status 254
}

# sealed FILE: nobody may write it, and not even root may remove it
sealed() {
	[ "$(stat -c %a "$1")" = 440 ]
	[[ $(lsattr "$1") == ????i* ]]
	! command rm -f "$1" 2>/dev/null
	! printf X 2>/dev/null >>"$1"
}

@test "a stored tar cannot be changed; rm and gc remove it" {
	require_root
	skip_without immutable
	local a b blob
	a=$(fetch "$F/a1.aci")
	b=$(fetch "$F/b.aci")
	sealed "$D"/data/cas/blob/"$a"*
	sealed "$D"/data/cas/blob/"$b"*
	run rkt image rm "$a"
	expect_status 0
	run rkt image gc --grace-period=0s
	expect_status 0
	expect_output "removed aci for image: \"$b\""
	[ -z "$(ls -A "$D/data/cas/blob")" ]
	# Fetching it again finds nothing in its way.
	[ "$(fetch "$F/a1.aci")" = "$a" ]
	blob=$(echo "$D"/data/cas/blob/*)
	[ "$(fetch "$F/a1.aci")" = "$a" ]
	sealed "$blob"
}

@test "fs-verity where the file system has it" {
	require_root
	skip_without fsverity
	truncate -s 64M fs.img
	mkfs.ext4 -q -b 4096 -O verity fs.img
	mkdir fs
	mount -o loop fs.img fs
	"$RKT" --dir="$D/tmp/fs/data" --insecure-options=image fetch \
		"$F/a1.aci" >/dev/null 2>&1
	lsattr fs/data/cas/blob/*.tar | grep -q '^[^ ]*V'
	# What changes below the file system is not read.
	local blob block
	blob=$(echo fs/data/cas/blob/*.tar)
	umount fs
	block=$(debugfs -R "blocks ${blob#fs}" fs.img 2>/dev/null | cut -d' ' -f9)
	printf X | dd of=fs.img bs=1 seek=$((block * 4096 + 99)) conv=notrunc \
		2>/dev/null
	mount -o loop fs.img fs
	run cat "$blob"
	[ "$status" != 0 ]
	run "$RKT" --dir="$D/tmp/fs/data" image verify example.com/a
	expect_status 254
	expect_output "Input/output error"
	"$RKT" --dir="$D/tmp/fs/data" image rm example.com/a
	[ -z "$(ls -A fs/data/cas/blob)" ]
	umount fs
}

@test "an image on stdin does not fill the disk" {
	mkdir "$D/small"
	mount -t tmpfs -o size=8m tmpfs "$D/small"
	run bash -c 'head -c 20000000 /dev/zero |
		"$0" --dir="$1" --insecure-options=image image import -' \
		"$RKT" "$D/small"
	expect_status 254
	expect_output "the image on stdin has more than half of the " "rkt image gc"
	[ -z "$(find "$D/small/cas/tmp" "$D/small/cas/blob" -type f)" ]
	umount "$D/small"
}
