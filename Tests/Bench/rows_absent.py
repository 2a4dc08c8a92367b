"""Blobs that are not there yet: how fast, how soon, and how often the upstream is asked."""
import statistics
import time

import load
from content import MiB
from figures import Target
from processes import NotMeasured
from rows import AMARGO, PROXY, REGISTRY, Cold


class AbsentBlob(Cold):
    peers = (AMARGO, PROXY, REGISTRY)

    def __init__(self, name, clients, targets):
        self.name, self.targets, self._clients = name, targets, clients
        self.title = f"absent blob 256 MiB (--quick: 32), {'one client' if clients == 1 else f'{clients} clients at once'}"

    def open(self, lab):
        self.blob = lab.content.blob(lab.pick(256, 32) * MiB)
        for peer in lab.only_needed(self):
            server = lab.server(peer)
            lab.store(server, self.blob.path(), self.blob)
            lab.end(server)

    def one(self, lab, server):
        plans = [[load.get(self.blob.path(), self.blob.size)] for _ in range(self._clients)]
        before = server.process.cpu()
        clients = load.Load([load.Connection(server.port, plan) for plan in plans])
        stored = _stored(server, self.blob)
        result = clients.result()
        stored, cpu = max(stored, result.ended) - result.began, server.process.cpu() - before
        requests, sent = lab.upstream.sent()
        lab.store(server, self.blob.path(), self.blob)
        return {"s": result.wall, "stored s": stored, "MB/s": result.bytes / 1e6 / stored, "CPU s/GB": cpu / (result.bytes / 1e9),
                "upstream bytes x": sent / self.blob.size, "upstream requests": requests}


def _stored(server, blob):
    """The moment from which on it is in the store."""
    deadline = time.monotonic() + 120
    while not server.has(blob.path(), blob):
        if time.monotonic() > deadline:
            raise NotMeasured(f"{server.key} has not stored what it was asked for")
        time.sleep(0.001)
    return time.monotonic()


class FirstByte(Cold):
    name, title = "first-byte", "first byte of an absent blob of 1 MiB, over asking the upstream directly"
    peers = (AMARGO, PROXY, REGISTRY)
    targets = (Target("over direct ms", "<=", 3, unit="ms"),)

    def open(self, lab):
        self.blobs = [lab.content.blob(MiB, number) for number in range(lab.pick(60, 30))]

    def one(self, lab, server):
        plan = [load.get(blob.path(), blob.size) for blob in self.blobs]
        direct = load.run(lab.upstream.port, [plan])
        through = load.run(server.port, [plan])
        first, directly = (statistics.median(answer.first for answer in result.answers) for result in (through, direct))
        return {"over direct ms": 1e3 * (first - directly), "direct ms": 1e3 * directly, "first byte ms": 1e3 * first}


def _crowd(clients):
    return AbsentBlob(f"absent-{clients}", clients, (
        Target("upstream bytes x", "<=", 1.001, unit="x"),
        Target("s", "<=", 1.0, of=PROXY), Target("s", "<=", 0.5, of=REGISTRY)))


ROWS = [
    AbsentBlob("absent-1", 1, (Target("MB/s", ">=", 1.0, of=REGISTRY), Target("MB/s", ">=", 1.3, of=PROXY))),
    FirstByte(), _crowd(16), _crowd(64),
]
