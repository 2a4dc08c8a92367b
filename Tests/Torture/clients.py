"""Clients that believe nothing: every body is hashed, and an answer is complete only if HTTP says so.

A complete answer with wrong bytes is a failure whatever was done to the server. A cut answer or an error is for the
caller to judge.
"""
import collections
import hashlib
import http.client
import json
import random
import socket
import threading
import time

from images import INDEXES, MANIFESTS

ACCEPT = ", ".join(MANIFESTS)
COMPLETE, WRONG, CUT, ERROR, TIMEOUT = "complete", "wrong", "cut", "error", "timeout"


class Answer:
    """What became of one request."""

    def __init__(self, path):
        self.path = path
        self.outcome, self.detail = CUT, ""
        self.status, self.headers, self.body = 0, {}, b""
        self.began = time.monotonic()
        self.ended = self.began

    @property
    def is_hit(self):
        return self.outcome == COMPLETE and self.headers.get("X-Amargo-Cache") == "HIT"

    def __str__(self):
        return f"{self.outcome} after {self.ended - self.began:.2f} s: GET {self.path}: {self.detail}"


class Tally:
    """What became of the requests of many clients."""

    def __init__(self):
        self._lock = threading.Lock()
        self.counts = collections.Counter()
        self.bytes = 0
        self.problems = []  # every answer that is not complete
        self.hits = set()  # blobs that the server said it has; a manifest may be a HIT while it is being stored
        self.images = set()  # images of which everything came

    def note(self, answer, digest):
        with self._lock:
            self.counts[answer.outcome] += 1
            if answer.outcome != COMPLETE:
                self.problems.append(answer)
            elif answer.is_hit and "/blobs/" in answer.path:
                self.hits.add(digest)

    def note_image(self, image):
        with self._lock:
            self.images.add(image.number)
            self.bytes += image.size

    @property
    def wrong(self):
        return [answer for answer in self.problems if answer.outcome == WRONG]

    def before(self, moment):
        """Problems that were seen before something was done to the server."""
        return [answer for answer in self.problems if answer.ended < moment]


class Client:
    """One connection to the server, opened again when it breaks."""

    def __init__(self, port, timeout=20, bytes_per_second=None):
        self.port, self.timeout, self.bytes_per_second = port, timeout, bytes_per_second
        self._connection = None

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def get(self, path, digest=None, keep=False, accept=None):
        """One GET. `digest`: what the body has to be; `keep`: whether the caller wants the body."""
        answer = Answer(path)
        try:
            is_new = self._connection is None
            if is_new:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            try:
                self._connection.request("GET", path, headers={"Accept": accept} if accept else {})
                response = self._connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A server may close an idle connection at any time; only on a fresh one this means something.
                if is_new:
                    raise
                self.close()
                return self.get(path, digest, keep, accept)
            self._read(response, answer, digest, keep)
        except (socket.timeout, TimeoutError) as error:  # one and the same since Python 3.10
            answer.outcome, answer.detail = TIMEOUT, f"nothing for {self.timeout} s ({error})"
        except (OSError, http.client.HTTPException) as error:
            answer.outcome, answer.detail = CUT, f"{type(error).__name__} {error}"
        answer.ended = time.monotonic()
        if answer.outcome != COMPLETE:
            self.close()
        return answer

    def _read(self, response, answer, digest, keep):
        answer.status, answer.headers = response.status, response.headers
        length = response.headers.get("Content-Length")
        hashed, count, parts = hashlib.sha256(), 0, []
        while True:
            part = response.read(64 << 10)
            if not part:
                break
            hashed.update(part)
            count += len(part)
            if keep or response.status != 200:
                parts.append(part)
            if self.bytes_per_second:
                time.sleep(len(part) / self.bytes_per_second)
        answer.body = b"".join(parts)
        if response.will_close:
            self.close()
        if length is not None and count != int(length):
            answer.outcome, answer.detail = CUT, f"{count} of {length} bytes"
        elif response.status != 200:
            answer.outcome, answer.detail = ERROR, f"{response.status} {answer.body[:200].decode(errors='replace').strip()}"
        elif length is None and not response.chunked:
            answer.outcome, answer.detail = WRONG, "the body has no length and no chunks: its end cannot be told from a cut"
        elif digest and "sha256:" + hashed.hexdigest() != digest:
            answer.outcome, answer.detail = WRONG, f"{count} bytes that hash to {hashed.hexdigest()}"
        elif digest and response.headers.get("Docker-Content-Digest", digest) != digest:
            answer.outcome, answer.detail = WRONG, f"called {response.headers['Docker-Content-Digest']}"
        else:
            answer.outcome, answer.detail = COMPLETE, f"{count} bytes"

    def pull(self, image, tally, stop=None, rng=None):
        """As an engine does: tag, manifests by digest, config and layers. True when all of it came.

        With `rng` one platform is chosen, without it every platform is pulled.
        """
        base = f"/v2/{image.repository}"

        def fetch(kind, reference, digest, keep=False):
            answer = self.get(f"{base}/{kind}/{reference}", digest, keep, ACCEPT if kind == "manifests" else None)
            tally.note(answer, digest)
            return answer if answer.outcome == COMPLETE else None

        top = fetch("manifests", image.tag, image.root, keep=True)
        if not top:
            return False
        document = json.loads(top.body)
        chosen = [image.root]
        if top.headers.get("Content-Type") in INDEXES:
            chosen = [child["digest"] for child in document["manifests"]]
            if rng:
                chosen = [rng.choice(chosen)]
        for digest in chosen:
            manifest = fetch("manifests", digest, digest, keep=True)
            if not manifest:
                return False
            document = json.loads(manifest.body)
            for descriptor in [document["config"], *document["layers"]]:
                if stop and stop.is_set():
                    return False
                if not fetch("blobs", descriptor["digest"], descriptor["digest"]):
                    return False
        if not rng:
            tally.note_image(image)
        return True


class Swarm:
    """Clients in threads that pull until they are told to stop.

    `choose` is called with a client's number and returns the next image, or None when there is nothing to do at present.
    """

    def __init__(self, port, count, choose, rng, timeout=20, bytes_per_second=None):
        self.tally = Tally()
        self._stop = threading.Event()
        self._choose = choose
        self._clients = [Client(port, timeout, bytes_per_second) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._run, args=(index, client, rng.getrandbits(64)), daemon=True)
            for index, client in enumerate(self._clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, index, client, seed):
        rng = random.Random(seed)
        while not self._stop.is_set():
            image = self._choose(index)
            if image is None:
                time.sleep(0.02)
                continue
            if not client.pull(image, self.tally, self._stop, rng):
                time.sleep(0.01)  # a server that is down answers at once, thousands of times a second
        client.close()

    def stop(self):
        self._stop.set()

    def join(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def pull_all(port, images, timeout=20, count=4):
    """Pulls every platform of every image once; returns the tally."""
    tally, waiting, lock = Tally(), list(images), threading.Lock()

    def run():
        client = Client(port, timeout)
        while True:
            with lock:
                if not waiting:
                    break
                image = waiting.pop()
            client.pull(image, tally)
        client.close()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(count, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally
