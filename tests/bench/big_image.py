#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""big_image.py TAR [MiB FILES]: an image of what this machine has installed.

Files of Debian packages, package after package in the order of their names,
until there are MiB (1100) and FILES (41000) of them; as an uncompressed ACI.
Packages of more than 24 MiB are left out: a few of them are most of a machine.
"""
import glob
import io
import json
import os
import stat
import sys
import tarfile

MANIFEST = {
    "acKind": "ImageManifest", "acVersion": "0.8.11",
    "name": "example.com/big",
    "labels": [{"name": "version", "value": "1.0.0"},
               {"name": "os", "value": "linux"},
               {"name": "arch", "value": "amd64"}],
    "app": {"exec": ["/bin/true"], "user": "0", "group": "0"},
}


def packages():
    """Lists of files, those that start with what every root has first."""
    lists = sorted(glob.glob("/var/lib/dpkg/info/*.list"))
    first = ("libc6:", "coreutils.", "dash.", "perl-base.", "busybox-static.")
    lists.sort(key=lambda p: not os.path.basename(p).startswith(first))
    for path in lists:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            yield f.read().splitlines()


def size_of(paths):
    total = 0
    for path in paths:
        try:
            st = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(st.st_mode):
            total += st.st_size
    return total


class Image:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self.seen = set()
        self.size = self.files = 0

    def add_bytes(self, name, data, kind=tarfile.REGTYPE, mode=0o644,
                  target=""):
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.type = len(data), mode, kind
        info.linkname = target
        self.tar.addfile(info, io.BytesIO(data))

    def add(self, path):
        """PATH of the host with its parents; what a list repeats, once."""
        # Lists still have the names from before /usr was merged.
        if path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/")):
            path = "/usr" + path
        if path in self.seen or not path.startswith("/usr"):
            return
        parent = os.path.dirname(path)
        if os.path.realpath(parent) != parent:
            return
        try:
            st = os.lstat(path)
        except OSError:
            return
        if parent != "/":
            self.add(parent)
        self.seen.add(path)
        self.files += 1
        if not stat.S_ISREG(st.st_mode):
            self.tar.add(path, "rootfs" + path, recursive=False)
            return
        info = self.tar.gettarinfo(path, "rootfs" + path)
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", st.st_size
        with open(path, "rb") as f:
            self.tar.addfile(info, f)
        self.size += st.st_size


def main():
    want_size = int(sys.argv[2]) << 20 if len(sys.argv) > 2 else 1100 << 20
    want_files = int(sys.argv[3]) if len(sys.argv) > 3 else 41000
    image = Image(sys.argv[1])
    image.add_bytes("manifest", json.dumps(MANIFEST).encode())
    image.add_bytes("rootfs", b"", tarfile.DIRTYPE, 0o755)
    for name in ("bin", "sbin", "lib", "lib64"):
        image.add_bytes("rootfs/" + name, b"", tarfile.SYMTYPE, 0o777,
                        "usr/" + name)
    for name in ("etc", "dev", "proc", "sys", "tmp"):
        image.add_bytes("rootfs/" + name, b"", tarfile.DIRTYPE, 0o755)
    for paths in packages():
        if image.size >= want_size and image.files >= want_files:
            break
        if size_of(paths) > 24 << 20:
            continue
        for path in paths:
            image.add(path)
    image.tar.close()
    print(f"{image.size >> 20} MiB in {image.files} files")
    return image.size < want_size or image.files < want_files


if __name__ == "__main__":
    sys.exit(main())
