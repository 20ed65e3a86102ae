#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images as registries have them, and a registry that lies.

oci.py layout DIR CASE [ARG]   writes an OCI image layout, tagged v1, with
                               digests of the algorithm $DIGEST
oci.py cases good|bad-|broken-|odd-    their names
oci.py saved FILE HOW          writes what `docker save` does, or does not:
                               see SAVED
oci.py serve DIR LOG CERT KEY  serves the layouts below DIR on port 443

The case is a list of layers, each a list of entries, in the table below, or
"busybox": one that runs.  The server has the layout DIR/NAME as the repository
WHAT/NAME; WHAT says what it does:

    good          what it should
    token         wants a token, and for that the password user:secret
    anonymous     wants a token that anybody gets
    basic         wants the password itself
    strange       401 without saying what it wants
    manifest      another manifest than was asked for
    config, layer other bytes than were asked for
    diff          layers that are others when they are unpacked
    missing       404 for layers
    cut           layers that end early
    long          layers with more behind them
    list          an index with this machine's image and one of another
    others        an index without this machine's image
    schema1       a manifest of 2016
    loop          an index that names itself
    html          a page
    larger, smaller   a manifest with another size of the first layer

or of one PART alone, manifest, config or layer, what is in front of ".PART":

    endless       a body that does not end
    quiet         no answer, until the client goes
    unwell        503
    trickle       a body of 8 bytes each tenth of a second
    to-file, to-http, to-loop   redirections, that one to itself
    to-cdn        redirection to another host
    to-thief      the same, which wants a token for the registry's password

and what it does with layers of more than 4 KB (after the "-" a number N):

    stall-N       silent after N bytes, until the client goes, the first time
    plain-N       the same, by a server that knows no parts
    cut-N         the first answer ends after N bytes
    other-N       the first answer has other bytes, and is silent after N
    range-N       as stall; of a part its Content-Range says another one
    total-N       as stall; of a part its Content-Range says another size
    all-N         as stall; instead of a part there is everything behind it
    slow          a fifth of a second for each tenth

What is pushed goes into memory, below the same words token, anonymous and
basic, or:

    into          as it should
    digest        says that it stored something else
    manifest      says that of the manifest
    elsewhere     wants uploads sent to another host
    plain         wants them sent without TLS
    strange-url   wants them sent to what is no URL
    nowhere       does not say where to
    loop          redirects uploads for ever
    denied        403 with docker's errors
    page          403 with a page
    broken        500 to every upload
    once          500 to the first upload of each blob
    hang-N        reads N bytes of each upload, or half of it, and hangs up
    together      has two uploads at once, or refuses them
    silent        reads nothing of uploads, until the client goes
"""
import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time

FILE, DIR, LINK, HARD, CHAR = "f", "d", "l", "h", "c"
TYPES = {DIR: tarfile.DIRTYPE, LINK: tarfile.SYMTYPE, HARD: tarfile.LNKTYPE,
         CHAR: tarfile.CHRTYPE, FILE: tarfile.REGTYPE}
BASE = [("./", DIR), ("a/", DIR), ("a/x", FILE, "1"), ("a/y", FILE, "2"),
        ("b/", DIR), ("b/x", FILE, "1"), ("b/d/", DIR), ("b/d/e", FILE, "5"),
        ("c", FILE, "c"), ("c2", HARD, "c"), ("s", LINK, "/a"),
        ("f/", DIR), ("f/g", FILE, "g"), ("k/", DIR), ("k/l", FILE, "kl")]
CASES = {
    "plain": [BASE],
    "whiteout": [BASE, [("a/.wh.x", FILE, ""), (".wh.c", FILE, "")]],
    "whiteout-directory": [BASE, [(".wh.b", FILE, "")]],
    "whiteout-and-new": [BASE, [(".wh.b", FILE, ""), ("b/", DIR),
                                ("b/new", FILE, "n")]],
    "new-and-whiteout": [BASE, [("b/", DIR), ("b/new", FILE, "n"),
                                (".wh.b", FILE, "")]],
    "whiteout-of-nothing": [BASE, [("a/.wh.zzz", FILE, "")]],
    "opaque": [BASE, [("b/", DIR), ("b/.wh..wh..opq", FILE, ""),
                      ("b/new", FILE, "n")]],
    "opaque-last": [BASE, [("b/", DIR), ("b/new", FILE, "n"),
                           ("b/.wh..wh..opq", FILE, "")]],
    "opaque-new": [BASE, [("n/", DIR), ("n/.wh..wh..opq", FILE, ""),
                          ("n/m/", DIR), ("n/m/.wh.q", FILE, ""),
                          ("n/m/o", FILE, "o")]],
    "hard-links": [BASE, [("c", FILE, "changed")],
                   [("h1", FILE, "h"), ("h2", HARD, "h1")],
                   [(".wh.h1", FILE, "")]],
    "hard-links-below": [BASE, [("c3", HARD, "c"), ("b/d/c4", HARD, "c3"),
                                ("n/a", HARD, "a/x"), ("s2", HARD, "s")],
                         [("a/x", FILE, "changed"), (".wh.c", FILE, "")],
                         [("c5", HARD, "c3"), ("a/x2", HARD, "a/x")]],
    "hard-link-moves": [BASE, [("moved", HARD, "c"), (".wh.c", FILE, "")],
                        [("a/", DIR), ("a/z", HARD, "a/x"),
                         ("a/.wh..wh..opq", FILE, "")],
                        [("old", HARD, "k/l"), ("k/l", FILE, "new")]],
    "replace": [BASE, [("a", FILE, "file now"), ("s/", DIR),
                       ("s/t", FILE, "t"), ("f", LINK, "k")],
                [("c/", DIR), ("c/in", FILE, "in")]],
    "implied": [BASE, [("b/d/new", FILE, "n")]],
    "same-twice": [BASE, [("a/x", FILE, "2")], [], [("a/x", FILE, "2")], []],
    # What must be refused.
    "bad-dotdot": [[("../x", FILE, "x")]],
    "bad-inner": [[("a/", DIR), ("a/../../x", FILE, "x")]],
    "bad-link": [[("a", LINK, "/tmp"), ("a/x", FILE, "x")]],
    "bad-hard": [[("a", HARD, "../../../etc/passwd")]],
    "bad-hard-self": [[("a", HARD, "a")]],
    "broken-hard-nothing": [[("a", HARD, "b")]],
    "broken-hard-gone": [BASE, [(".wh.c", FILE, "")], [("d", HARD, "c")]],
    "broken-hard-directory": [BASE, [("d", HARD, "a")]],
    "broken-hard-through": [BASE, [("d", HARD, "s/x")]],
    "bad-whiteout-dotdot": [BASE, [("a/.wh...", FILE, "")]],
    "bad-whiteout-dot": [BASE, [("a/.wh..", FILE, "")]],
    "bad-whiteout-empty": [BASE, [("a/.wh.", FILE, "")]],
    "bad-whiteout-link": [BASE, [("a/.wh.x", LINK, "x")]],
    "bad-whiteout-below": [BASE, [(".wh.a/x", FILE, "")]],
    "bad-whiteout-hard": [[("a", FILE, ""), (".wh.b", FILE, ""),
                           ("h", HARD, ".wh.b")]],
    "bad-twice": [[("a", FILE, "1"), ("a", FILE, "2")]],
    "bad-aci": [[("manifest", FILE, "{}"), ("rootfs/", DIR)]],
    # Odd and right.
    "odd-absolute": [[("/x/", DIR), ("/x/y", FILE, "y"),
                      ("z", LINK, "/x/y")]],
    "odd-device": [[("d/", DIR), ("d/null", CHAR, "")]],
    "odd-none": [],
    "odd-names": [BASE, [("\u00e9", FILE, "one"), ("e\u0301", FILE, "two"),
                         ("\udcff\udc80", FILE, "bytes"),
                         ("long/" + "x" * 200, FILE, "long"),
                         ("link", LINK, "\udcff" * 120)]],
}


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, kind, *rest in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.mode = TYPES[kind], 1000, 0o755
            info.uid, info.gid = 7, 8
            data = rest[0] if rest else ""
            data = data.encode(errors="surrogateescape") if isinstance(data, str) else data
            if kind == FILE:
                info.size = len(data)
            elif kind == CHAR:
                info.devmajor, info.devminor = 1, 3
            else:
                info.linkname = data.decode(errors="surrogateescape")
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest(data, algorithm="sha256"):
    return algorithm + ":" + hashlib.new(algorithm, data).hexdigest()


def blob_file(top, name):
    """The file of the blob NAME."""
    return f"{top}/blobs/{name.replace(':', '/')}"


# What layouts are made with: any that hashlib knows.
DIGEST = os.environ.get("DIGEST", "sha256")


def pack(data, number):
    """Each way a layer may come, in turn."""
    oci = "application/vnd.oci.image.layer.v1.tar"
    if number % 3 == 1:
        return oci + "+zstd", subprocess.run(
            ["zstd", "-q", "-c"], input=data, check=True,
            stdout=subprocess.PIPE).stdout
    return (oci, data) if number % 3 else (oci + "+gzip", gzip.compress(data, mtime=0))


def put(top, data, media=None, **more):
    with open(blob_file(top, digest(data, DIGEST)), "wb") as f:
        f.write(data)
    kind = {"mediaType": media} if media else {}
    return {**kind, "digest": digest(data, DIGEST), "size": len(data), **more}


def layout(top, case, arg=""):
    os.makedirs(f"{top}/blobs/{DIGEST}", exist_ok=True)
    if case == "busybox":
        with open("/bin/busybox", "rb") as f:
            data = f.read()
        layers = [[("bin/", DIR), ("bin/busybox", FILE, data),
                   ("bin/sh", LINK, "busybox"), ("etc/", DIR),
                   ("etc/passwd", FILE, "www:x:33:44::/:/bin/sh\n")],
                  [("etc/version", FILE, arg)]]
    else:
        layers = CASES[case]
    tars = [tar(layer) for layer in layers]
    # umoci does not know zstd.
    packed = [pack(t, 0 if arg == "gzip" else i) for i, t in enumerate(tars)]
    config = json.dumps({
        "os": "linux", "architecture": "amd64", "created":
        "2020-01-02T03:04:05Z", "author": "me", "config": {
            "Entrypoint": ["/bin/busybox"], "Cmd": ["id"], "User": "www",
            "Env": ["PATH=/bin", "GREETING=hello"], "WorkingDir": "/etc",
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/var/data": {}},
            "StopSignal": "SIGQUIT", "Labels": {"org.example/x": "y"}},
        "rootfs": {"type": "layers",
                   "diff_ids": [digest(t, DIGEST) for t in tars]},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(top, config,
                      "application/vnd.oci.image.config.v1+json"),
        "layers": [put(top, data, media) for media, data in packed],
    }).encode()
    entry = put(top, manifest, "application/vnd.oci.image.manifest.v1+json",
                annotations={"org.opencontainers.image.ref.name": "v1"})
    with open(top + "/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, f)
    with open(top + "/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')


# What `docker save` writes: the images by their files in the archive.
SAVED = ("legacy", "blobs", "several", "manifest-twice", "linked-list",
         "hard-layer", "none", "not-json", "huge-json", "deep-json",
         "list-outside", "list-is-a-link-to-itself", "layer-outside",
         "layer-above", "config-above", "layer-missing", "config-missing",
         "layer-other", "config-other", "layer-too-many", "layer-too-few",
         "layer-is-a-directory", "list-is-a-directory", "layer-in-a-loop",
         "no-layers", "sparse-layer")


def saved(path, how):
    """Writes a docker archive of busybox, as the words of SAVED say."""
    files, links = {}, {}
    with open("/bin/busybox", "rb") as f:
        busybox = f.read()
    tars = [tar([("bin/", DIR), ("bin/busybox", FILE, busybox)]),
            tar([]), tar([("etc/", DIR), ("etc/version", FILE, how)]),
            tar([])]
    names = [f"{digest(t + bytes([i]))[7:]}/layer.tar"
             for i, t in enumerate(tars)]
    if how == "blobs":
        names = ["blobs/sha256/" + digest(t)[7:] for t in tars]
    files = dict(zip(names, tars))
    config = json.dumps({
        "os": "linux", "architecture": "amd64",
        "config": {"Cmd": ["/bin/busybox"], "Labels": {"how": how}},
        "rootfs": {"diff_ids": [digest(t) for t in tars]}}).encode()
    config_name = digest(config)[7:] + ".json"
    if how == "blobs":
        config_name = "blobs/sha256/" + digest(config)[7:]
    files[config_name] = config
    image = {"Config": config_name, "RepoTags": ["test/" + how + ":v1"],
             "Layers": list(names)}
    images = [image]
    if how == "legacy":
        # The same layer again is a link to the first.
        del files[names[3]]
        links[names[3]] = "../" + names[1]
    elif how == "several":
        images = [image, dict(image, RepoTags=None),
                  dict(image, RepoTags=["a/b:c", "example.com:5000/d"])]
    elif how == "layer-outside":
        del files[names[0]]
        links[names[0]] = "../../../../../../bin/busybox"
    elif how == "layer-in-a-loop":
        del files[names[0]], files[names[2]]
        links[names[0]], links[names[2]] = "../" + names[2], "../" + names[0]
    elif how == "layer-above":
        image["Layers"][0] = "../" + names[0]
    elif how == "config-above":
        image["Config"] = "/" + config_name
    elif how == "layer-missing":
        del files[names[0]]
    elif how == "config-missing":
        del files[config_name]
    elif how == "layer-other":
        files[names[0]] = files[names[0]].replace(b"BusyBox v", b"BusyBox w")
    elif how == "config-other":
        files[config_name] = config.replace(b"amd64", b"arm64")
    elif how == "layer-too-many":
        image["Layers"].append(names[0])
    elif how == "layer-too-few":
        image["Layers"].pop()
    elif how == "layer-is-a-directory":
        files[names[0]] = None
    elif how == "no-layers":
        del image["Layers"]
    listed = json.dumps(images).encode()
    listed = {"not-json": b"<html>", "none": b"[]",
              "huge-json": b"[" + b" " * (5 << 20) + b"]",
              "deep-json": b"[" * 100000}.get(how, listed)
    if how == "list-outside":
        links["manifest.json"] = "/etc/passwd"
    elif how == "list-is-a-link-to-itself":
        links["manifest.json"] = "./manifest.json"
    elif how == "list-is-a-directory":
        files["manifest.json"] = None
    elif how == "linked-list":
        files["else/list.json"] = listed
        links["manifest.json"] = "else/../else/list.json"
    else:
        files["manifest.json"] = listed
    order = list(files.items())
    if how == "manifest-twice":
        order.insert(0, ("manifest.json", b"[]"))
    write_saved(path, how, order, links)


def write_saved(path, how, files, links):
    hard = None
    with tarfile.open(path, "w:gz" if path.endswith("z") else "w",
                      format=tarfile.PAX_FORMAT) as t:
        for name, data in files:
            info = tarfile.TarInfo(name)
            if how == "hard-layer" and data and hard:
                # The empty layers are one file of two names.
                if data == hard[1]:
                    info.type, info.linkname, data = \
                        tarfile.LNKTYPE, hard[0], b""
            elif how == "hard-layer" and data == tar([]):
                hard = name, data
            if data is None:
                info.type = tarfile.DIRTYPE
            elif how == "sparse-layer" and name.endswith("layer.tar"):
                info.pax_headers = {"GNU.sparse.major": "1",
                                    "GNU.sparse.minor": "0",
                                    "GNU.sparse.name": name,
                                    "GNU.sparse.realsize": "1000000"}
                data = b"1\n0\n3\n".ljust(512, b"\0") + b"abc"
            info.size = len(data or b"")
            t.addfile(info, io.BytesIO(data or b""))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            t.addfile(info)


seen = set()
lock = threading.Lock()


def first(key):
    with lock:
        is_first = key not in seen
        seen.add(key)
        return is_first


BLOBS, UPLOADS = {}, {}
MEETING = threading.Barrier(2)


class Pushed:
    """What uploads need; mixed into Registry."""

    def where(self):
        path = self.path.split("?")[0]
        _, _, what, name, rest = path.split("/", 4)
        return what, name, rest

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def do_HEAD(self):
        what, name, rest = self.where()
        if rest.startswith("manifests/"):
            return self.do_GET()
        if not self.may(what):
            return None
        data = BLOBS.get((what, name, rest.split("/")[-1]))
        if data is None:
            return self.answer(404, b"")
        return self.answer(200, b"", size=len(data))

    def do_POST(self):
        what, name, rest = self.where()
        self.body()
        if not self.may(what):
            return None
        if what == "denied":
            return self.answer(403, json.dumps({"errors": [
                {"code": "DENIED", "message": "no \u001b[31mway"},
                {"code": "X"}]}).encode())
        if what == "page":
            return self.answer(403, b"<h1>Go \x1b[31maway</h1>" + 400 * b"x")
        number = len(UPLOADS) + 1
        UPLOADS[str(number)] = b""
        path = f"/v2/{what}/{name}/up/{number}"
        location = {
            "elsewhere": "https://cdn.example.com" + path,
            "plain": "http://example.com" + path,
            "strange-url": "gopher://example.com" + path,
            "nowhere": None}.get(what, path)
        headers = {"Location": location} if location else {}
        return self.answer(202, b"", **headers)

    def do_PATCH(self):
        what, _, rest = self.where()
        if not self.may(what):
            return None
        number = rest.split("/")[1]
        start = self.headers["Content-Range"].split("-")[0]
        data = self.body()
        if int(start) != len(UPLOADS[number]):
            return self.answer(416, b"")
        UPLOADS[number] += data
        return self.answer(202, b"", Location=self.path)

    def status(self, number):
        data = UPLOADS.get(number)
        if not data:
            return self.answer(404, b"")
        return self.answer(204, b"", Range=f"0-{len(data) - 1}")

    def meet(self):
        """The first two wait for each other."""
        if not first("meet 1") and not first("meet 2"):
            return True
        try:
            MEETING.wait(30)
        except threading.BrokenBarrierError:
            return False
        return True

    def do_PUT(self):
        what, name, rest = self.where()
        if not self.may(what):
            return None
        if rest.startswith("manifests/"):
            data = self.body()
            BLOBS[what, name, rest.split("/")[1]] = data
            BLOBS[what, name, digest(data)] = data
            lie = "sha256:" + 64 * "0"
            return self.answer(201, b"", Docker_Content_Digest=lie
                               if what == "manifest" else digest(data))
        number = rest.split("/")[1]
        if what == "loop":
            self.body()
            return self.answer(307, b"", Location=self.path)
        if what.startswith("hang-") and first(("hang", number)) and \
                not UPLOADS[number]:
            size = int(self.headers["Content-Length"])
            UPLOADS[number] = self.rfile.read(min(int(what[5:]), size // 2))
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if what == "silent":
            self.connection.settimeout(60)
            while self.connection.recv(1, socket.MSG_PEEK):
                time.sleep(0.1)
            return None
        data = UPLOADS[number] + self.body()
        if what == "together" and not self.meet():
            return self.answer(400, b"")
        key = self.path.split("digest=")[1]
        if what == "broken" or what == "once" and first(("once", key)):
            return self.answer(500, b"")
        if digest(data, key.split(":")[0]) != key:
            return self.answer(400, b"")
        BLOBS[what, name, key] = data
        lie = "sha256:" + 64 * "0"
        return self.answer(201, b"", Docker_Content_Digest=lie
                           if what == "digest" else key)


class Registry(Pushed, http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, status):
        with open(sys.argv[3], "a") as f:
            f.write(f"{self.command} {self.path} {status} "
                    f"{self.headers.get('Authorization', '-')} "
                    f"{self.headers.get('Range', '-')}\n")

    def answer(self, status, data, **headers):
        self.note(status)
        self.send_response(status)
        size = headers.pop("size", len(data))
        self.send_header("Content-Length", str(size))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def may(self, what):
        given = self.headers.get("Authorization", "")
        password = "Basic " + base64.b64encode(b"user:secret").decode()
        if what == "basic":
            return given == password or self.answer(
                401, b"", WWW_Authenticate='Basic realm="here"')
        if what in ("token", "anonymous"):
            return given == "Bearer t0ken." + what or self.answer(
                401, b"", WWW_Authenticate='Bearer realm='
                f'"https://example.com/token/{what}",service="a b",'
                'scope="repository:x:pull"')
        if what == "thief":
            return self.answer(401, b"", WWW_Authenticate='Bearer realm='
                               '"https://cdn.example.com/token/thief"')
        if what == "strange":
            return self.answer(401, b"")
        return True

    def token(self):
        what = self.path.split("?")[0].split("/")[2]
        given = self.headers.get("Authorization", "")
        if what == "token" and not given.startswith("Basic "):
            return self.answer(401, b"")
        return self.answer(
            200, json.dumps({"token": "t0ken." + what}).encode())

    def do_GET(self):
        if self.path.startswith("/token/"):
            return self.token()
        _, _, what, name, kind, ref = self.path.split("/")
        if not self.may(what):
            return None
        if kind == "up":
            return self.status(ref)
        what, _, part = what.partition(".")
        if part and part == self.part(kind, name, ref):
            return self.misbehave(what, f"/v2/good/{name}/{kind}/{ref}")
        if (what, name, ref) in BLOBS:
            return self.answer(200, BLOBS[what, name, ref])
        if not os.path.isdir(f"{sys.argv[2]}/{name}"):
            return self.answer(404, b"")
        return self.manifest(what, name, ref) if kind == "manifests" \
            else self.blob(what, name, ref)

    def part(self, kind, name, ref):
        if kind == "manifests":
            return "manifest"
        with open(blob_file(f"{sys.argv[2]}/{name}", ref), "rb") as f:
            return "config" if f.read(1) == b"{" else "layer"

    def misbehave(self, how, path):
        targets = {"to-file": "file:///etc/passwd",
                   "to-http": "http://example.com" + path,
                   "to-loop": self.path,
                   "to-cdn": "https://cdn.example.com" + path,
                   "to-thief": "https://cdn.example.com"
                               + path.replace("/good/", "/thief/")}
        if how in targets:
            return self.answer(307, b"", Location=targets[how])
        if how == "unwell":
            return self.answer(503, b"")
        self.close_connection = True
        self.note(0)
        if how == "quiet":
            self.connection.settimeout(60)
            return self.connection.recv(1)
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                if how == "trickle":
                    time.sleep(0.1)
                self.wfile.write(b"{" * (8 if how == "trickle" else 65536))
        except OSError:
            return None

    def manifest(self, what, name, ref):
        top = f"{sys.argv[2]}/{name}"
        with open(top + "/index.json") as f:
            entry = json.load(f)["manifests"][0]
        with open(blob_file(top, entry["digest"]), "rb") as f:
            data = f.read()
        other = dict(entry, platform={"os": "linux", "architecture": "vax"},
                     digest="sha256:" + 64 * "0")
        mine = dict(entry, platform={"os": "linux", "architecture": "amd64"})
        lists = {"list": [other, mine], "others": [other],
                 "loop": [dict(mine, digest=entry["digest"])]}
        if what == "manifest" and ":" in ref:
            data += b" "
        elif what == "schema1":
            data = b'{"schemaVersion":1,"name":"x","fsLayers":[]}'
        elif what == "html":
            data = b"<html>Please log in</html>"
        elif what in ("larger", "smaller"):
            manifest = json.loads(data)
            manifest["layers"][0]["size"] += 9 if what == "larger" else -9
            data = json.dumps(manifest).encode()
        elif what == "diff":
            manifest = json.loads(data)
            manifest["layers"].reverse()
            data = json.dumps(manifest).encode()
        elif what == "loop" or what in lists and ref == "v1":
            data = json.dumps({"schemaVersion": 2,
                               "manifests": lists[what]}).encode()
        return self.answer(200, data, Docker_Content_Digest=digest(data))

    def blob(self, what, name, ref):
        with open(blob_file(f"{sys.argv[2]}/{name}", ref), "rb") as f:
            data = f.read()
        is_config = data.startswith(b"{")
        if what == "missing" and not is_config:
            return self.answer(404, b"")
        if is_config and what == "config":
            data = data.replace(b"busybox", b"buzybox")
        elif is_config:
            pass
        elif what == "layer":
            data = data[:-9] + b"X" + data[-8:]
        elif what == "cut":
            data = data[:-9]
        elif what == "long":
            data += b"more"
        elif len(data) > 4096 and ("-" in what or what == "slow"):
            return self.parts(*what.partition("-")[::2], data)
        return self.answer(200, data)


    def parts(self, word, number, data):
        # A layer of two images is one.
        is_first = first(self.path.replace("app2", "app"))
        number = int(number or 0)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and word != "plain" else 0
        if start and start >= len(data):
            return self.answer(416, b"",
                               Content_Range=f"bytes */{len(data)}")
        self.note(206 if start else 200)
        self.send_response(206 if start else 200)
        if start:
            begin = start + 1 if word == "range" else start
            total = len(data) - 9 if word == "total" else len(data)
            self.send_header("Content-Range",
                             f"bytes {begin}-{len(data) - 1}/{total}")
            data = data + data[start:] * (word == "all")
        data = data[start:]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if is_first and word not in ("cut", "slow"):
            data = b"X" * len(data) if word == "other" else data
            self.wfile.write(data[:number])
            self.connection.settimeout(60)
            return self.connection.recv(1)
        step = len(data) // 10 + 1
        self.close_connection = is_first and word == "cut"
        for at in range(0, len(data), step):
            self.wfile.write(data[at:at + step])
            if self.close_connection and at + step > number:
                return None
            if word == "slow":
                time.sleep(0.2)
        return None


def serve(cert, key):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if sys.argv[1] == "layout":
    layout(*sys.argv[2:])
elif sys.argv[1] == "saved":
    saved(*sys.argv[2:])
elif sys.argv[1] == "cases":
    kinds = ("bad-", "broken-", "odd-")
    print("\n".join(c for c in CASES if c.startswith(sys.argv[2])
                    or sys.argv[2] == "good" and not c.startswith(kinds)))
else:
    serve(*sys.argv[4:])
