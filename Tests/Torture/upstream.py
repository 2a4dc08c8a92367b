"""A registry on loopback that serves generated images, counts what it is asked, and can be slow."""
import collections
import http.server
import json
import re
import threading
import time

_ROUTE = re.compile(r"/v2/(?P<name>[a-z0-9/._-]+)/(?P<kind>manifests|blobs|tags)/(?P<reference>[^/?]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_SLICE = 64 << 10


class Upstream:
    """Runs in threads of this process from construction to `close`."""

    def __init__(self, images):
        self.images = images
        self.counts = collections.Counter()  # (method, kind): requests
        self.pace = None  # called with a digest; bytes a second for that answer, or None for as fast as it goes
        self._lock = threading.Lock()
        self._running = {}  # number of an answer: (digest, size)
        self._ended = collections.deque()  # (moment, digest, size)
        self._number = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.upstream = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def in_flight(self, grace=1.0):
        """Digests and sizes of the bodies that are being sent or ended a moment ago: storing them takes its time."""
        with self._lock:
            while self._ended and self._ended[0][0] < time.monotonic() - grace:
                self._ended.popleft()
            return {**{digest: size for _, digest, size in self._ended}, **dict(self._running.values())}

    def began(self, digest, size):
        with self._lock:
            self._number += 1
            self._running[self._number] = (digest, size)
            return self._number

    def ended(self, number):
        with self._lock:
            self._ended.append((time.monotonic(), *self._running.pop(number)))

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Whoever is being killed leaves connections half-way; that is no news here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; together with delayed ACKs each would cost 40 ms
    wbufsize = 0

    def log_message(self, format, *arguments):
        pass

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, with_body):
        upstream = self.server.upstream
        if self.path in ("/v2/", "/v2"):
            return self._send(200, "application/json", b"{}", with_body)
        match = _ROUTE.match(self.path)
        if not match:
            return self._refuse(with_body)
        name, kind, reference = match.group("name", "kind", "reference")
        upstream.counts[self.command, kind] += 1
        if kind == "tags":
            body = json.dumps({"name": name, "tags": upstream.images.tags(name)}).encode()
            return self._send(200, "application/json", body, with_body)
        if kind == "manifests" and ":" not in reference:
            image = upstream.images.named(name, reference)
            reference = image.root if image else ""
        found = upstream.images.content(reference)
        if not found:
            return self._refuse(with_body)
        return self._send(200, found[0], found[1], with_body, reference)

    def _refuse(self, with_body):
        self._send(404, "application/json", b'{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}', with_body)

    def _send(self, status, media_type, body, with_body, digest=None):
        start, end = 0, len(body)
        wanted = _RANGE.match(self.headers.get("Range") or "")
        if wanted and status == 200 and int(wanted.group(1)) < len(body):
            start = int(wanted.group(1))
            end = min(end, int(wanted.group(2)) + 1) if wanted.group(2) else end
            status = 206
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(end - start))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.end_headers()
        if not with_body:
            return
        number = self.server.upstream.began(digest, len(body))
        try:
            self._body(memoryview(body)[start:end], digest)
        finally:
            self.server.upstream.ended(number)

    def _body(self, body, digest):
        pace = self.server.upstream.pace
        rate = pace(digest) if pace and digest else None
        if not rate:
            self.wfile.write(body)
            return
        began = time.monotonic()
        for offset in range(0, len(body), _SLICE):
            self.wfile.write(body[offset:offset + _SLICE])
            ahead = (offset + _SLICE) / rate - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(min(ahead, 1))
