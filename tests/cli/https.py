#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A web server that behaves, or does not: https.py ROOT LOG [CERT KEY]

Listens on port 443 with a certificate, on port 80 without.  Files lie in
ROOT/HOST/..., the page of example.com/app in ROOT/example.com/app.html and
that of the host itself in ROOT/example.com.html.  Each request is a line of
LOG: METHOD SCHEME://HOST/PATH STATUS and what it asked for.  The first part of
a path may say what is to happen; the file is what follows it:

    etag              (all files have one; here for the log)
    max-age-N         with Cache-Control: max-age=N
    cut-N             the first answer ends after N bytes
    cutall-N          every answer ends N bytes after its beginning
    plain-cut-N       the same without ranges or entity tags, once
    changed-cut-N     each answer has another entity tag, the first ends early
    long, short       a Content-Length that is 100 bytes off, no entity tag
    endless           never ends
    stall-N           silent after N bytes, until the client goes, once
    stalled-N         the same each time
    slow              a fifth of a second for each tenth of the file
    status-N          that status, without a body
    once-N            that status once, then the file
    to-file, to-http, to-loop, to-files   redirections
    defer             202 until the file without .asc was asked for
    basic, bearer     401 without the right Authorization
    aws, aws-eu       403 without a signature of version 4, for S3 in that
                      region, by the key AKID with the secret "s3cr3t/Key+="
    noise             bytes that are no HTTP

PUT makes the file, and understands status-N, once-N, basic, bearer, aws and the
redirections (as 307) in front of it, and besides:

    deny, deny-N      403 with a page, of about N bytes, that is no text for
                      a terminal
    drop-N            the connection ends after N bytes, once
    lose              201, and the file is not there
    short-N           201, and only N bytes are there
"""
import hashlib
import hmac
import http.server
import os
import re
import ssl
import sys
import threading
import time

ROOT, LOG = os.path.abspath(sys.argv[1]), sys.argv[2]
AUTH = {"basic": "Basic dXNlcjpwYXNzd29yZA==", "bearer": "Bearer sometoken"}
KNOWN = {"aws", "aws-eu", "status", "once", "basic", "bearer", "deny", "drop", "lose",
         "short", "to-file", "to-http", "to-loop", "to-files",
         "to-cdn"}
AWS = {"aws": "us-east-1", "aws-eu": "eu-central-1"}
seen = set()
lock = threading.Lock()


def first(key):
    with lock:
        is_first = key not in seen
        seen.add(key)
        return is_first


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scheme = "http"
    wbufsize = 0

    def log_message(self, *args):
        pass

    def note(self, status):
        h = self.headers
        asked = [f"{k}={h[n]}" for k, n in (
            ("auth", "Authorization"), ("range", "Range"), ("if-range", "If-Range"),
            ("if-none-match", "If-None-Match")) if h[n]]
        with lock, open(LOG, "a") as f:
            print(self.command, f"{self.scheme}://{self.host}{self.path}",
                  status, *asked, file=f)

    def head(self, status, length=0, **headers):
        self.note(f"{status} {headers['X_Why']}" if "X_Why" in headers
                  else status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        # What is sent cannot be sent again as a GET can.
        if self.command == "PUT":
            self.send_header("Connection", "close")
        self.end_headers()

    def signature_fault(self, region, data):
        """What is wrong with it, by Amazon's "Signature Version 4"."""
        m = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=AKID/(\d{8})/([a-z0-9-]+)/s3/"
            r"aws4_request, SignedHeaders=([a-z0-9;-]+), "
            r"Signature=([0-9a-f]{64})", self.headers.get("Authorization", ""))
        if not m:
            return "form"
        date, its_region, names, signature = m.groups()
        time_given = self.headers.get("X-Amz-Date", "")
        payload = self.headers.get("X-Amz-Content-Sha256", "")
        names = names.split(";")
        if its_region != region or not time_given.startswith(date):
            return "scope"
        if "host" not in names or "x-amz-date" not in names or \
                "x-amz-content-sha256" not in names:
            return "headers"
        if payload not in (hashlib.sha256(data).hexdigest(),
                           "UNSIGNED-PAYLOAD"):
            return "payload"
        path, _, query = self.path.partition("?")
        request = "\n".join(
            [self.command, path, "&".join(sorted(query.split("&")))] +
            [f"{n}:{self.headers[n].strip()}" for n in names] +
            ["", ";".join(names), payload])
        scope = f"{date}/{region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", time_given, scope,
                          hashlib.sha256(request.encode()).hexdigest()])
        key = b"AWS4s3cr3t/Key+="
        for part in scope.split("/") + [text]:
            key = hmac.new(key, part.encode(), "sha256").digest()
        return "" if key.hex() == signature else "signature"

    def refuses(self, word, data=b""):
        """Answers for who may not have it."""
        if word in AUTH and self.headers.get("Authorization") != AUTH[word]:
            self.head(401, WWW_Authenticate=word)
        elif word in AWS and (why := self.signature_fault(AWS[word], data)):
            self.head(403, X_Why=why)
        else:
            return False
        return True

    def do_GET(self):
        self.close_connection = True
        self.host = self.headers.get("Host", "").split(":")[0]
        path, _, query = self.path.partition("?")
        if query == "ac-discovery=1":
            return self.page(path.rstrip("/"))
        what, _, name = path.lstrip("/").partition("/")
        file = os.path.join(ROOT, self.host, name)
        if not os.path.isfile(file) and not what.startswith(("to-", "noise")):
            file, what = os.path.join(ROOT, self.host, path.lstrip("/")), ""
        word, _, number = what.rpartition("-")
        if not number.isdigit():
            word, number = what, 0
        return self.act(word, int(number), name, file)

    def do_PUT(self):
        self.close_connection = True
        self.host = self.headers.get("Host", "").split(":")[0]
        what, _, name = self.path.lstrip("/").partition("/")
        word, _, number = what.rpartition("-")
        if not number.isdigit():
            word, number = what, 0
        if word not in KNOWN:
            word, name = "", self.path.lstrip("/")
        return self.put(word, int(number), name,
                        os.path.join(ROOT, self.host, name))

    def put(self, word, number, name, file):
        targets = {"to-file": f"file://{file}",
                   "to-http": f"http://{self.host}/{name}",
                   "to-loop": f"{self.scheme}://{self.host}/to-loop/{name}",
                   "to-files": f"/{name}",
                   "to-cdn": f"https://cdn.example.com/basic/{name}"}
        if word == "drop" and first(self.path):
            self.rfile.read(number)
            return self.note(0)
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if word in targets:
            return self.head(307, Location=targets[word])
        if self.refuses(word, data):
            return None
        if word == "deny":
            body = b"\n <p>No \x1b[31mway\x1b[0m: " + (number or 500) * b"x"
            self.head(403, len(body))
            return self.wfile.write(body)
        if word == "status" or word == "once" and first(self.path):
            return self.head(number)
        if word == "short":
            data = data[:number]
        if word != "lose":
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as f:
                f.write(data)
        return self.head(201)

    def do_HEAD(self):
        self.close_connection = True
        self.host = self.headers.get("Host", "").split(":")[0]
        what, _, name = self.path.lstrip("/").partition("/")
        word = what.rpartition("-")[0] or what
        if word not in KNOWN and what not in KNOWN:
            name = self.path.lstrip("/")
        if word == "status":
            return self.head(405)
        try:
            size = os.path.getsize(os.path.join(ROOT, self.host, name))
        except OSError:
            return self.head(404)
        return self.head(200, size)

    def page(self, path):
        try:
            with open(f"{ROOT}/{self.host}{path}.html", "rb") as f:
                body = f.read()
        except OSError:
            return self.head(404)
        self.head(200, len(body), Content_Type="text/html")
        self.wfile.write(body)

    def act(self, word, number, name, file):
        loop = f"{self.scheme}://{self.host}/to-loop/{name}"
        targets = {"to-file": f"file://{file}",
                   "to-http": f"http://{self.host}/{name}",
                   "to-loop": loop, "to-files": f"/{name}",
                   "to-cdn": f"https://cdn.example.com/{name}"}
        if word in targets:
            return self.head(302, Location=targets[word])
        if word == "noise":
            self.note(0)
            return self.wfile.write(os.urandom(4096))
        if word == "status" or word == "once" and first(self.path):
            return self.head(number)
        if word == "defer" and name.endswith(".asc"):
            if self.path[:-len(".asc")] not in seen:
                return self.head(202)
        if self.refuses(word):
            return None
        if not os.path.isfile(file):
            return self.head(404)
        with open(file, "rb") as f:
            data = f.read()
        if word == "endless":
            self.head(200, None)
            while True:
                self.wfile.write(data)
        return self.send(word, number, data)

    def send(self, word, number, data):
        is_first = first(self.path)
        tag = '"%s"' % hashlib.md5(data).hexdigest()
        if word == "changed-cut":
            tag = '"%d"' % time.time_ns()
        headers = {"ETag": tag}
        if word in ("plain-cut", "long", "short"):
            headers = {}
        if word == "max-age":
            headers["Cache-Control"] = f"max-age={number}"
        if headers and self.headers.get("If-None-Match") == tag:
            return self.head(304, None, **headers)
        start, status = 0, 200
        m = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if m and headers and self.headers.get("If-Range", tag) == tag:
            start, status = int(m[1]), 206
            if start >= len(data):
                return self.head(
                    416, Content_Range=f"bytes */{len(data)}")
            headers["Content-Range"] = \
                f"bytes {start}-{len(data) - 1}/{len(data)}"
        length = len(data) - start
        length += {"long": 100, "short": -100}.get(word, 0)
        self.head(status, length, **headers)
        end = len(data)
        if word == "cutall" or word.endswith("cut") and is_first:
            end = start + number
        if word == "stalled" or word == "stall" and is_first:
            self.wfile.write(data[:number])
            self.connection.settimeout(60)
            return self.connection.recv(1)
        step = len(data) // 10 + 1 if word == "slow" else 1 << 20
        while start < end:
            self.wfile.write(data[start:min(start + step, end)])
            start += step
            if word == "slow":
                time.sleep(0.2)


class Secure(Handler):
    scheme = "https"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def finish_request(self, request, client_address):
        if self.context:
            request.settimeout(30)
            request = self.context.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request, client_address):
        pass


def main():
    plain = Server(("127.0.0.1", 80), Handler)
    if len(sys.argv) > 3:
        secure = Server(("127.0.0.1", 443), Secure)
        secure.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.context.load_cert_chain(sys.argv[3], sys.argv[4])
        threading.Thread(target=secure.serve_forever, daemon=True).start()
    plain.serve_forever()


main()
