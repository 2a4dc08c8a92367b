"""What a hit allocates, counted."""
import os
import struct
import subprocess

import load
from figures import Target
from rows import Row
from rows_requests import small

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "allocations.c")
_MiB = 1 << 20


class Allocations(Row):
    """Of whole hits, log line and all: the program runs with a counting allocator."""

    name, title, most_rounds = "allocations", "allocations of a hit", 1
    # (metric, at most). Small answers are taken from the table of those at hand, large ones go out slice by slice.
    bounds = (("by tag", 2), ("by digest", 2), ("blob 2 KiB", 2), ("blob 1 MiB", 90))
    targets = tuple(Target(metric, "<=", most) for metric, most in bounds)

    def open(self, lab):
        library, self.counted = lab.path("allocations.so"), lab.path("allocations")
        subprocess.run(["cc", "-O2", "-fPIC", "-shared", "-o", library, _SOURCE], check=True)
        large = lab.content.blob(_MiB)
        self.stored = dict(zip((metric for metric, _ in self.bounds),
                               (small(lab, "tag"), small(lab, "digest"), small(lab, "blob"), (large.path(), large))))
        self.server = lab.server("amargo", before=("env", f"LD_PRELOAD={library}", f"ALLOCATIONS={self.counted}"))
        for path, blob in self.stored.values():
            lab.store(self.server, path, blob)

    def measure(self, lab, peer):
        found = {}
        for metric, (path, blob) in self.stored.items():
            hits = lab.pick(20_000, 2_000)
            self._hits(path, blob, 1_000)  # what is made once is not what a hit costs
            before = self._count()
            self._hits(path, blob, hits)
            found[metric] = (self._count() - before) / hits
        return found

    def _hits(self, path, blob, number):
        """One connection, one after the other. Opening it costs something, too, but once."""
        load.run(self.server.port, [[load.get(path, blob.size)] * number])

    def _count(self):
        with open(self.counted, "rb") as file:
            return struct.unpack("=Q", file.read())[0]


ROWS = [Allocations()]
