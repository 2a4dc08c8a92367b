"""Large stored blobs: how fast and at which price they leave the disk's cache."""
import random

import load
from content import MiB
from rows import AMARGO, NGINX, REGISTRY, Warm, measured
from figures import Target

_SPAN = 8 * MiB


class StoredBlob(Warm):
    peers = (AMARGO, NGINX, REGISTRY)

    def __init__(self, name, title, connections, is_ranged, bound):
        self.name, self.title = name, f"stored blob 256 MiB, {title}"
        self._connections, self._is_ranged = connections, is_ranged
        self.targets = (Target("MB/s", ">=", bound, of=NGINX), Target("CPU s/GB", "<=", 1.2, of=NGINX))

    def content(self, lab):
        blob = lab.content.blob(256 * MiB)
        return [(blob.path(), blob)]

    def one(self, lab, server):
        path, blob = self.stored[0]
        each = lab.pick(24, 8) // self._connections  # whole blobs for each connection
        chance = random.Random(1)  # the same ranges for everybody
        plans = []
        for _ in range(self._connections):
            if self._is_ranged:
                starts = [chance.randrange(blob.size - _SPAN) for _ in range(each * blob.size // _SPAN)]
                plans.append([load.get(path, _SPAN, (start, start + _SPAN - 1)) for start in starts])
            else:
                plans.append([load.get(path, blob.size)] * each)
        result, cpu = measured(server, lambda: load.run(server.port, plans))
        return {"MB/s": result.bytes / 1e6 / result.wall, "CPU s/GB": cpu / (result.bytes / 1e9)}


ROWS = [
    StoredBlob("stored-1", "1 connection", 1, False, 0.9),
    StoredBlob("stored-4", "4 connections", 4, False, 1.0),
    StoredBlob("stored-ranges", "ranges of 8 MiB on 4 connections", 4, True, 1.0),
]
