"""SIGKILL at random moments, thousands of times: eight clients pull, the server dies, the store must be sound."""
import os
import random
import shutil
import subprocess
import threading
import time

import clients
from images import Images
from oracle import Oracle
from server import DidNotStart, Server
from upstream import Upstream

_EPOCH = 25  # rounds on one store; then everything is hashed and pulled again, and the next store is made
_CAP = "48MB"  # every second store has it, so that what makes room is killed as well


class Choice:
    """Which image a client pulls next: mostly known ones, and a few that nobody has asked for before."""

    def __init__(self, images, first, rng):
        self._images, self._first, self._rng = images, first, rng
        self._lock = threading.Lock()
        self.next = first
        self._limit = first

    def allow(self, more):
        with self._lock:
            self._limit = self.next + more

    def __call__(self, _client):
        with self._lock:
            known = self.next - self._first
            if self.next < self._limit and (known == 0 or self._rng.random() < 0.3):
                number, self.next = self.next, self.next + 1
            elif known:
                number = self._rng.randrange(self._first, self.next)
            else:
                return None
        return self._images.image(number)


def run(report, binary):
    images = Images(report.seed, large_every=16)
    upstream = Upstream(images)
    oracle = Oracle(binary)
    store, first = os.path.join(report.folder, "store"), 0
    server = choice = memory = None
    try:
        for number in range(1, report.rounds + 1):
            rng = report.random(number)
            if (number - 1) % _EPOCH == 0:
                shutil.rmtree(store, ignore_errors=True)
                oracle.forget()
                first, memory = choice.next if choice else 0, Memory()
                choice = Choice(images, first, report.random("choice", number))
                server = Server(binary, report.folder, store, upstream.url, _CAP if (number // _EPOCH) % 2 else 0)
            problems = _round(rng, server, choice, upstream, oracle, memory)
            if not problems and (number % _EPOCH == 0 or number == report.rounds):
                oracle.forget()
                upstream.pace = None
                problems = finale(server, oracle, [images.image(n) for n in range(first, choice.next)])
            if problems:
                report.fail(number, problems, report.keep(store, number))
                shutil.rmtree(store, ignore_errors=True)  # later rounds shall not report the same again
                oracle.forget()
                memory = Memory()
            report.finished(number, f"{sum(upstream.counts.values())} upstream requests")
    finally:
        Server.end_all()
        upstream.close()
    if oracle.layouts_behind:
        report.notes.append(f"{oracle.layouts_behind} of {oracle.layouts} layouts lacked what the journal has, after a clean stop")
    report.notes.append(f"{oracle.blobs_hashed} blobs hashed, {sum(upstream.counts.values())} upstream requests")


def _round(rng, server, choice, upstream, oracle, memory):
    choice.allow(rng.randint(1, 8))
    upstream.pace = _paces(rng)
    try:
        server.start()
    except DidNotStart as error:
        return [str(error)]
    swarm = clients.Swarm(server.port, 8, choice, rng)
    compaction = _compaction(server) if rng.random() < 0.3 else None
    time.sleep(rng.uniform(0, 2))
    moment = time.monotonic()
    code = server.kill()
    swarm.join()
    problems = [f"before the kill: {answer}" for answer in swarm.tally.before(moment)]
    problems += [f"WRONG BYTES: {answer}" for answer in swarm.tally.wrong]
    if code != -9:
        problems.append(f"the server had ended by itself with {code}: {server.last_words()}")
    if compaction:
        compaction.kill()
        if compaction.wait() < 0 and compaction.returncode != -9:
            problems.append(f"amargo gc crashed with {compaction.returncode}")
    look = oracle.inspect(server.store, is_clean=False)
    return problems + look.problems + memory.check(look, swarm.tally.hits, server)


class Memory:
    """What the server once said it has, as long as nothing has removed it."""

    def __init__(self):
        self._hits, self._generation = set(), None

    def check(self, look, hits, server):
        """Adds what a round heard; returns what is missing now."""
        self._hits |= hits
        generation = None
        if server.max_size:  # only there anything is removed
            generation = self._generation if self._generation is not None else look.generation
        problems = look.missing(self._hits, generation)
        self._generation = look.generation
        self._hits &= set(look.blobs)
        return problems


def _compaction(server):
    """A compaction beside the server, if the program has a command for it."""
    if not server.binary.has("gc"):
        return None
    return subprocess.Popen([server.binary.path, "gc", "--config", server.configuration, "--store", server.store],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _paces(rng):
    """Some answers come slowly, so that the kill finds downloads at every stage."""
    seed = rng.getrandbits(64)

    def pace(digest):
        mine = random.Random(f"{seed}/{digest}")
        return mine.choice([None, None, 1 << 20, 8 << 20])

    return pace


def finale(server, oracle, images):
    """Everything can be had again, and a clean stop leaves a clean store."""
    try:
        server.start()
    except DidNotStart as error:
        return [str(error)]
    tally = clients.pull_all(server.port, images)
    problems = [f"second pull: {answer}" for answer in tally.problems]
    if server.stop() != 0:
        problems.append(f"SIGTERM did not end the server with 0: {server.last_words()}")
    return problems + oracle.inspect(server.store, is_clean=True).problems + (oracle.verify(server.store) or [])
