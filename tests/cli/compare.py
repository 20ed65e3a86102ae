# SPDX-License-Identifier: Apache-2.0
"""compare.py A B: two trees must be the same: names, types, modes, owners,
times of modification in nanoseconds, sizes, link targets and counts, which
names are one file, device numbers, extended attributes, content."""

import hashlib
import os
import stat
import sys


def content(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while data := f.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def attributes(path):
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
    }


def look(top):
    """One line of facts for each path below TOP."""
    seen, first = {}, {}
    for here, dirs, files in os.walk(top):
        for name in [b""] * (here == top) + dirs + files:
            path = os.path.join(here, name) if name else here
            st = os.lstat(path)
            key = os.path.relpath(path, top)
            fact = {
                "type and mode": oct(st.st_mode),
                "owner": (st.st_uid, st.st_gid),
                "time": st.st_mtime_ns,
                "device": st.st_rdev,
                "attributes": attributes(path),
            }
            if not stat.S_ISDIR(st.st_mode):
                fact["size"] = st.st_size
                fact["links"] = st.st_nlink
            if stat.S_ISLNK(st.st_mode):
                fact["target"] = os.readlink(path)
            if stat.S_ISREG(st.st_mode):
                fact["content"] = content(path)
            seen[key] = (fact, st.st_ino)
    for key in sorted(seen):
        fact, ino = seen[key]
        fact["is"] = first.setdefault(ino, key)
    return {key: fact for key, (fact, _) in seen.items()}


def main():
    a, b = (look(os.fsencode(p)) for p in sys.argv[1:3])
    bad = 0
    for key in sorted(a.keys() | b.keys()):
        x, y = a.get(key, {}), b.get(key, {})
        for what in sorted(x.keys() | y.keys()):
            if x.get(what) != y.get(what):
                print(key, what, x.get(what), y.get(what))
                bad += 1
    print("%d paths, %d differences" % (len(a), bad))
    return 1 if bad or not a else 0


if __name__ == "__main__":
    sys.exit(main())
