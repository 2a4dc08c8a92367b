"""A store many times too small: what goes, goes whole, nobody who reads it notices, and the cap holds at every moment.

What counts is what the disk gives the store, folders and files, those included that are removed and still open.
"""
import os
import random
import stat
import threading
import time

import clients
from images import Images
from oracle import Oracle
from server import DidNotStart, Server
from upstream import Upstream

_CAP = 40_000_000
_STALLED = 60  # seconds without one removal


def run(report, binary):
    images = Images(report.seed, largest=2 << 20)
    upstream = Upstream(images)
    rng = report.random(0)
    server = Server(binary, report.folder, os.path.join(report.folder, "store"), upstream.url, _CAP, ttl=3600)
    watch = None
    try:
        server.start()
        watch = _Watch(server, upstream)
        pinned = _pin(report, server, binary, images.image(0))
        problems, highest = _pull_until(report, server, images, upstream, watch, rng)
        if watch.removed == 0:
            report.skip("evictions: the binary removes nothing to make room; the cap is looked at all the same", report.rounds)
        else:
            report.done = watch.removed
        problems += pinned.problems() if pinned else []
        problems += _afterwards(server, images, highest, Oracle(binary))
    except DidNotStart as error:
        problems = [str(error)]
    finally:
        if watch:
            watch.stop()
        Server.end_all()
        upstream.close()
    if watch:
        problems += watch.problems
        report.notes.append(
            f"{watch.removed} blobs removed, {watch.samples} samples, at most {watch.peak / 1e6:.2f} MB of {_CAP / 1e6:.0f} MB "
            f"({watch.peak_in_flight / 1e6:.2f} MB of it in flight), open but unlinked up to {watch.unlinked / 1e6:.2f} MB")
    if problems:
        report.fail(report.rounds, problems, report.keep(server.store, report.rounds))


class _Pinned:
    """An image that has to stay whatever comes."""

    def __init__(self, server, image):
        self._server, self._image = server, image

    def problems(self):
        hits = clients.pull_all(self._server.port, [self._image]).hits
        gone = {*self._image.layers, *self._image.configs} - hits
        return [f"the pinned image {self._image} has lost {digest}" for digest in sorted(gone)]


def _pin(report, server, binary, image):
    if not binary.has("pin"):
        report.skip("pins: the binary has no pin")
        return None
    clients.pull_all(server.port, [image])
    result = binary.run("pin", f"torture.test/{image}", "--config", server.configuration, "--store", server.store)
    if result.returncode != 0:
        report.skip(f"pins: amargo pin ends with {result.returncode}: {result.stderr.strip()[-200:]}")
        return None
    return _Pinned(server, image)


def _pull_until(report, server, images, upstream, watch, rng):
    """Pulls until enough has been removed, or it is clear that nothing will be; returns problems and the last image."""
    state = {"next": 0}
    lock = threading.Lock()

    def choose(client):
        with lock:
            recent = max(0, state["next"] - 12)
            # Slow readers stay with what is about to go; the others mostly bring what has not been there.
            if client >= 0 and rng.random() < 0.6 or state["next"] == 0:
                state["next"] += 1
                return images.image(state["next"] - 1)
            return images.image(rng.randrange(recent, state["next"]))

    fast = clients.Swarm(server.port, 5, choose, rng, timeout=30)
    slow = clients.Swarm(server.port, 4, lambda _client: choose(-1), rng, timeout=30, bytes_per_second=1 << 20)
    problems, stalled_since, seen = [], time.monotonic(), 0
    try:
        while watch.removed < report.rounds and server.is_running:
            time.sleep(0.2)
            report.finished(watch.removed, f"removed, image {state['next']}")
            if watch.removed > seen:
                seen, stalled_since = watch.removed, time.monotonic()
            pulled = sum(images.image(number).size for number in range(state["next"])) if seen == 0 else 0
            if seen == 0 and pulled > 4 * _CAP:
                break
            if time.monotonic() - stalled_since > _STALLED:
                problems.append(f"nothing was removed for {_STALLED} s after {seen} blobs")
                break
    finally:
        fast.stop()
        slow.stop()
        fast.join()
        slow.join()
        report.done = 0
    if not server.is_running:
        problems.append(f"the server ended by itself: {server.last_words()}")
    problems += [f"a client: {answer}" for answer in fast.tally.problems]
    problems += [f"a slow client: {answer}" for answer in slow.tally.problems]
    return problems, state["next"]


def _afterwards(server, images, highest, oracle):
    """Every name still answers, images are whole again when they are asked for, and what is left is sound."""
    if not server.is_running:
        return []
    problems = []
    client = clients.Client(server.port)
    for number in range(highest):
        image = images.image(number)
        answer = client.get(f"/v2/{image.repository}/manifests/{image.tag}", image.root, accept=clients.ACCEPT)
        if answer.outcome != clients.COMPLETE:
            problems.append(f"afterwards {image}: {answer}")
    client.close()
    some = sorted({random.Random(highest).randrange(highest) for _ in range(20)} | {highest - 1})
    tally = clients.pull_all(server.port, [images.image(number) for number in some])
    problems += [f"afterwards: {answer}" for answer in tally.problems]
    if server.stop() != 0:
        problems.append(f"SIGTERM did not end the server with 0: {server.last_words()}")
    look = oracle.inspect(server.store, is_clean=True)
    return problems + look.problems + (oracle.verify(server.store) or [])


class _Watch:
    """Looks at the store ten times a second from outside."""

    def __init__(self, server, upstream):
        self.removed = self.samples = self.peak = self.peak_in_flight = self.unlinked = 0
        self.problems = []
        self._server, self._upstream = server, upstream
        self._known = set()
        self._highest_excess = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopped.set()
        self._thread.join()
        if self._highest_excess > 0:
            self.problems.append(self._worst)

    def _run(self):
        due = time.monotonic()
        while not self._stopped.wait(max(0.01, due - time.monotonic())):
            due = time.monotonic() + 0.1
            if not self._server.is_running:
                continue
            before = self._upstream.in_flight()
            used, blobs, unlinked, parts = self._look()
            # Downloads that began or ended during the look count in any case: the look is no snapshot.
            in_flight = sum({**before, **self._upstream.in_flight()}.values())
            self.samples += 1
            self.removed += len(self._known - blobs)
            self._known = blobs
            self.unlinked = max(self.unlinked, unlinked)
            if used > self.peak:
                self.peak, self.peak_in_flight = used, in_flight
            excess = used - _CAP - in_flight
            if excess > self._highest_excess:
                self._highest_excess = excess
                self._worst = (
                    f"the store took {used} bytes of the disk, {excess} more than its cap of {_CAP} and the {in_flight} in "
                    f"flight: {', '.join(f'{name} {size}' for name, size in sorted(parts.items()))}")

    def _look(self):
        """Bytes that the disk gives, the blobs' names, bytes of unlinked files, and bytes by folder."""
        seen, blobs, parts = set(), set(), {}

        def count(status, part):
            if stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR) and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                parts[part] = parts.get(part, 0) + status.st_blocks * 512

        waiting = [self._server.store]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                continue
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        count(entry.stat(follow_symlinks=False), "folders")
                        continue
                    part = os.path.relpath(entry.path, self._server.store).split(os.sep)[0]
                    count(entry.stat(follow_symlinks=False), part)
                    if part == "blobs":
                        blobs.add(entry.name)
                except FileNotFoundError:
                    continue
        listed = sum(parts.values())
        folder = f"/proc/{self._server.process.pid}/fd"
        try:
            descriptors = os.listdir(folder)
        except OSError:
            descriptors = []
        for descriptor in descriptors:
            path = os.path.join(folder, descriptor)
            try:
                if os.readlink(path).startswith(os.path.realpath(self._server.store) + "/"):
                    count(os.stat(path), "open but unlinked")
            except OSError:
                continue
        return sum(parts.values()), blobs, sum(parts.values()) - listed, parts
