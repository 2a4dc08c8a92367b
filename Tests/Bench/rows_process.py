"""The process itself: its start, its memory, and `verify`."""
import os
import subprocess
import sys
import time

import load
from content import GiB, MiB
from figures import Target
from processes import NotMeasured
from rows import AMARGO, Cold, Row

_MAKE_STORE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Tools", "make-store.py")
_MAKE_JOURNAL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Tools", "make-journal.py")


def _journal(lab, lines):
    """A store that remembers much and has nothing."""
    folder = lab.path(f"journal-{lines}")
    if not os.path.exists(folder):
        subprocess.run([sys.executable, _MAKE_JOURNAL, folder, str(lines)], check=True)
    return folder


class Start(Row):
    name, title = "start", "start to /ready by million journal lines"
    targets = (Target("s", "<=", 1.5, unit="s"),)

    def measure(self, lab, peer):
        lines = lab.pick(1_000_000, 200_000)
        server = lab.server(peer, store=_journal(lab, lines))
        try:
            return {"s": server.started / (lines / 1e6), "MiB at most": server.process.memory()[1]}
        finally:
            lab.end(server)


class IdleMemory(Row):
    name, title, most_rounds = "memory-idle", "memory with 100,000 blobs, idle", 1
    targets = (Target("MiB", "<=", 64, unit="MiB"),)

    def measure(self, lab, peer):
        # Three of four lines of such a journal are a blob or a manifest, which is a blob, too.
        server = lab.server(peer, store=_journal(lab, 133_334))
        try:
            time.sleep(lab.pick(10, 3))
            now, most = server.process.memory()
            return {"MiB": now, "MiB at most": most}
        finally:
            lab.end(server)


class CrowdMemory(Cold):
    name, most_rounds = "memory-64", 1
    title = "memory with 64 clients on an absent blob of 4 GiB (--quick: 256 MiB)"
    targets = (Target("MiB at most", "<=", 128, unit="MiB"),)

    def open(self, lab):
        self.blob = lab.content.blob(lab.pick(4 * GiB, GiB // 4))

    def one(self, lab, server):
        result = load.run(server.port, [[load.get(self.blob.path(), self.blob.size)]] * 64)
        sent = lab.upstream.sent()[1]
        return {"MiB at most": server.process.memory()[1], "s": result.wall, "upstream bytes x": sent / self.blob.size}

    def close(self, lab):
        super().close(lab)
        lab.content.forget(self.blob)


class Verify(Row):
    name, title = "verify", "verify of 4 GiB (--quick: 512 MiB)"
    peers = (AMARGO, "openssl")
    targets = (Target("MB/s", ">=", 0.85, of="openssl"),)

    def open(self, lab):
        self.blobs = [lab.content.blob(lab.pick(256, 64) * MiB, f"verify {number}") for number in range(lab.pick(16, 8))]
        self.size = sum(blob.size for blob in self.blobs)
        self.server = lab.server(AMARGO)
        load.run(self.server.port, [[load.get(blob.path(), blob.size) for blob in self.blobs]])
        for blob in self.blobs:
            lab.store(self.server, blob.path(), blob)
        self.server.process.end()
        lab.settle()

    def measure(self, lab, peer):
        files = "\0".join(self.server.path_of(blob) for blob in self.blobs)
        if peer == AMARGO:
            arguments, given = [lab.binary, "verify", "--store", self.server.store], ""
        else:
            arguments, given = ["xargs", "-0", "-n", "1", "-P", str(os.cpu_count()), "openssl", "dgst", "-sha256"], files
        began = time.monotonic()
        result = subprocess.run(arguments, input=given, capture_output=True, text=True)
        wall = time.monotonic() - began
        if result.returncode != 0 or peer == AMARGO and f"Verified {len(self.blobs)} blobs" not in result.stdout:
            raise NotMeasured(f"{arguments[0]} has ended with {result.returncode}: {(result.stdout + result.stderr)[-300:]}")
        return {"MB/s": self.size / 1e6 / wall}

    def close(self, lab):
        super().close(lab)
        lab.content.forget(*self.blobs)


class DiskUsage(Row):
    name, title = "du", "du of 100,000 blobs beside a server"
    targets = (Target("ms", "<=", 500, unit="ms"),)

    def open(self, lab):
        self.store = lab.path("store-du")
        subprocess.run([sys.executable, _MAKE_STORE, self.store, "100000"], check=True)
        self.server = lab.server(AMARGO, store=self.store)
        lab.settle()

    def measure(self, lab, peer):
        began = time.monotonic()
        result = subprocess.run([lab.binary, "du", "--top", "10", "--store", self.store], capture_output=True, text=True)
        wall = time.monotonic() - began
        if result.returncode != 0 or " in 99990 blobs: " not in result.stdout:
            raise NotMeasured(f"amargo du has ended with {result.returncode}: {(result.stdout + result.stderr)[-300:]}")
        return {"ms": wall * 1e3}


ROWS = [Start(), IdleMemory(), CrowdMemory(), Verify(), DiskUsage()]
