#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make-odd.py DIR: images that are right and seldom seen, one file each.

Whatever makes a root file system of them has to make the same one.  Sizes,
owners, times and names at the edges of what the formats hold; every form of
long names, of sparse files and of extended attributes.
"""

import io
import os
import random
import struct
import subprocess
import sys
import tarfile

FILE, DIR, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE
SYM, FIFO = tarfile.SYMTYPE, tarfile.FIFOTYPE
CHR, BLK = tarfile.CHRTYPE, tarfile.BLKTYPE


def manifest(name):
    return (
        b'{"acKind":"ImageManifest","acVersion":"0.8.11",'
        b'"name":"example.com/odd/%s",'
        b'"labels":[{"name":"os","value":"linux"},'
        b'{"name":"arch","value":"amd64"}]}' % name.encode()
    )


class Image:
    """One tar; entries below rootfs/."""

    def __init__(self, where, name, form=tarfile.PAX_FORMAT):
        path = os.path.join(where, "odd-%s.aci" % name)
        self.tar = tarfile.open(path, "w", format=form, encoding="utf-8",
                                errors="surrogateescape")
        self.raw("manifest", FILE, manifest(name))
        self.raw("rootfs", DIR)

    def raw(self, name, kind=FILE, data=b"", **more):
        info = tarfile.TarInfo(name)
        info.type = kind
        info.size = len(data) if kind == FILE else 0
        info.mode = 0o755 if kind == DIR else 0o644
        info.mtime = 1234567890
        for key, value in more.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(data) if info.size else None)

    def add(self, name, *args, **more):
        self.raw("rootfs/" + name, *args, **more)

    def close(self):
        self.tar.close()


def types(where):
    im = Image(where, "types", tarfile.USTAR_FORMAT)
    im.add("file", data=b"hello\n")
    im.add("empty")
    im.add("hard", LINK, linkname="rootfs/file")
    im.add("hard2", LINK, linkname="rootfs/hard")
    im.add("symlink", SYM, linkname="file")
    im.add("hardsymlink", LINK, linkname="rootfs/symlink")
    im.add("fifo", FIFO)
    im.add("chr", CHR, devmajor=5, devminor=1)
    im.add("blk", BLK, devmajor=8, devminor=255)
    im.add("dir", DIR, mode=0o1777)
    im.add("dir/below", data=b"x")
    im.add("implied/by/this", data=b"y")
    im.add("setuid", data=b"z", mode=0o4755)
    im.add("setgid", data=b"z", mode=0o2711)
    im.add("none", data=b"z", mode=0)
    im.add("late", DIR, mode=0o700)
    im.close()


def numbers(where):
    im = Image(where, "numbers")
    im.add("owners", data=b"1", uid=3000000000, gid=4000000000)
    im.add("nobody", data=b"1", uid=65534, gid=65536)
    im.add("old", data=b"1", mtime=-315619200)
    im.add("epoch", data=b"1", mtime=0)
    im.add("late", data=b"1", mtime=7258118400)
    im.add("nanoseconds", data=b"1",
           pax_headers={"mtime": "1234567890.123456789"})
    im.add("minor", CHR, devmajor=10, devminor=70000)
    im.add("major", BLK, devmajor=4095, devminor=1048575)
    im.close()
    im = Image(where, "base256", tarfile.GNU_FORMAT)
    im.add("owners", data=b"1", uid=3000000000, gid=4000000000)
    im.add("old", data=b"1", mtime=-315619200)
    im.add("late", data=b"1", mtime=17179869184 // 2)
    im.close()


def sizes(where):
    rand = random.Random(4)
    im = Image(where, "sizes")
    for n in (1, 511, 512, 513, 4095, 4096, 4097, 65536, 1048575, 1048577):
        im.add("%d" % n, data=rand.randbytes(n))
    # Chunks of the reader end in the middle of these.
    for n in range(40):
        im.add("many/%d" % n, data=rand.randbytes(rand.randrange(100000)))
    im.add("zeros", data=bytes(300000))
    im.close()


def names(where):
    for label, form in (("gnu", tarfile.GNU_FORMAT),
                        ("pax", tarfile.PAX_FORMAT)):
        im = Image(where, "names-" + label, form)
        im.add("n" * 255, data=b"long")
        im.add("/".join(["d" * 100] * 15) + "/deep", data=b"deep")
        im.add("to-long", SYM, linkname="x/" * 1500 + "y")
        im.add("link-to-long", LINK, linkname="rootfs/" + "n" * 255)
        im.add("new\nline", data=b"1")
        im.add("!before-dots", data=b"1")
        im.add("...", data=b"1")
        im.add("\u00e9", data=b"composed")
        im.add("e\u0301", data=b"two characters")
        im.add("./odd//path/./file", data=b"1")
        for n in (1, 100, 375, 376, 377, 383, 384, 385, 440, 480, 511, 512):
            im.add("symlink%d" % n, SYM, linkname="t" * n)
        im.close()
    im = Image(where, "names-bytes", tarfile.GNU_FORMAT)
    im.add("\udcff\udcfe", data=b"not UTF-8")
    im.close()


def directories(where):
    im = Image(where, "directories")
    for count in (0, 1, 5, 13, 14, 20, 35, 36, 37, 100, 1000):
        im.add("%d" % count, DIR)
        for i in range(count):
            im.add("%d/%05d" % (count, i), data=b"%d" % (i % 3))
    for i in range(1, 60):
        im.add("lengths/" + "l" * i)
        im.add("lengths%d/" % i + "m" * (i * 4))
    im.close()


def xattr_records(values):
    return {"SCHILY.xattr." + k: v for k, v in values.items()}


def attributes(where):
    im = Image(where, "xattrs")
    im.add("one", data=b"1", pax_headers=xattr_records({"user.k": "value"}))
    im.add("dir", DIR, pax_headers=xattr_records({"user.d": "dir"}))
    im.add("several", data=b"2", pax_headers=xattr_records(
        {"user.%d" % i: "v" * i for i in range(1, 40)}))
    im.add("large", data=b"3", pax_headers=xattr_records(
        {"user.large": "v" * 3000}))
    im.add("dropped", data=b"4", pax_headers=xattr_records(
        {"trusted.overlay.opaque": "y", "security.selinux": "x",
         "user.stays": "yes"}))
    im.add("capable", data=b"5", mode=0o755, pax_headers=xattr_records(
        {"security.capability":
         struct.pack("<5I", 0x02000001, 0x3000, 0, 0, 0).decode("latin-1")}))
    im.add("libarchive", data=b"6", pax_headers={
        "LIBARCHIVE.xattr.user.encoded": "dmFsdWU="})
    im.close()
    im = Image(where, "acls")
    named = "user::rwx,user:1000:r--:1000,group::r-x,group:7:rwx:7,mask::%s,other::---"
    im.add("access", data=b"1", pax_headers={
        "SCHILY.acl.access": named % "r-x"})
    im.add("dir", DIR, pax_headers={
        "SCHILY.acl.access": named % "rwx",
        "SCHILY.acl.default": named % "rw-"})
    im.add("plain", data=b"2", mode=0o600, pax_headers={
        "SCHILY.acl.access": "user::rw-,group::r--,other::r--"})
    im.close()


def sparse(where):
    """By GNU tar, in all its forms, and by hand where it would not go."""
    tree = os.path.join(where, "tree")
    os.makedirs(tree + "/rootfs")
    with open(tree + "/manifest", "wb") as f:
        f.write(manifest("sparse"))

    def hole(name, size, pieces):
        with open(tree + "/rootfs/" + name, "wb") as f:
            f.truncate(size)
            for at, data in pieces:
                f.seek(at)
                f.write(data)

    hole("all", 1 << 20, [])
    hole("end", 10 << 20, [((10 << 20) - 5, b"end")])
    hole("start", 10 << 20, [(0, b"start")])
    hole("middle", (30 << 20) + 17, [(10 << 20, b"middle" * 1000)])
    hole("many", 12 << 20, [(i << 16, b"%d" % i) for i in range(180)])
    hole("odd", 123457, [(0, b"a" * 5000), (65536 + 100, b"b" * 3)])
    for label, args in (
        ("oldgnu", ["--format=oldgnu"]),
        ("gnu", ["--format=gnu"]),
        ("0.0", ["--format=pax", "--sparse-version=0.0"]),
        ("0.1", ["--format=pax", "--sparse-version=0.1"]),
        ("1.0", ["--format=pax", "--sparse-version=1.0"]),
    ):
        subprocess.run(
            ["tar", "-C", tree, "--sparse", "--hole-detection=raw", "-cf",
             os.path.join(where, "odd-sparse-%s.aci" % label)] + args +
            ["manifest", "rootfs"], check=True)
    subprocess.run(["rm", "-r", tree], check=True)
    # Pieces that lie at no multiple of 512 in the file, or in the archive.
    im = Image(where, "sparse-unaligned")
    for name, size, pieces in (
        ("shifted", 5000, [(100, 700), (1500, 512), (4999, 1)]),
        ("tails", 40000, [(0, 600), (4096, 100), (8192, 1), (39000, 1000)]),
        ("touching", 3000, [(0, 100), (100, 100), (200, 2800)]),
        ("empty-piece", 1024, [(0, 10), (500, 0), (512, 512)]),
    ):
        data = b"".join(
            bytes([65 + i]) * n for i, (_, n) in enumerate(pieces))
        im.add(name, data=data, pax_headers={
            "GNU.sparse.size": "%d" % size,
            "GNU.sparse.numblocks": "%d" % len(pieces),
            "GNU.sparse.map": ",".join(
                "%d,%d" % piece for piece in pieces)})
    im.close()


def main():
    where = sys.argv[1]
    for make in (types, numbers, sizes, names, directories, attributes,
                 sparse):
        make(where)


if __name__ == "__main__":
    main()
