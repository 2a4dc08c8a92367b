"""Small answers by the ten thousand, on an idle server and beside downloads."""
import load
from content import GiB
from processes import NotMeasured
from rows import AMARGO, PROXY, REGISTRY, Warm, measured
from figures import Target


class Requests(Warm):
    peers = (AMARGO, PROXY, REGISTRY)

    def __init__(self, kind, title):
        self.kind = kind
        self.name, self.title = f"requests-{kind}", f"{title}, 32 connections"
        self.targets = (Target("requests/s", ">=", 0.75, of=PROXY), Target("requests/s", ">=", 50, of=REGISTRY))

    def content(self, lab):
        return [small(lab, self.kind)]

    def one(self, lab, server):
        said, cpu = measured(server, lambda: load.wrk(server.port, self.stored[0][0], lab.pick(6, 2)))
        return {"requests/s": said["requests/s"], "p50 ms": 1e3 * said["p50"], "p99 ms": 1e3 * said["p99"],
                "CPU us/request": 1e6 * cpu / said["requests"]}


def small(lab, kind):
    """(path, blob) of one small thing."""
    if kind == "blob":
        blob = lab.content.blob(2048)
        return blob.path(), blob
    manifest = lab.content.image("bench/app", [4096, 8192, 2048], "requests").manifest
    return (manifest.tag_path() if kind == "tag" else manifest.manifest_path()), manifest


class BesidePulls(Warm):
    """The slowest per cent while four clients pull what is absent."""

    def __init__(self, kind, title):
        self.kind = kind
        self.name, self.title = f"p99-{kind}", f"{title}, 32 connections, beside 4 cold pulls of 1 GiB (--quick: 512 MiB)"
        self.targets = (Target("p99 beside/idle", "<=", 10, unit="x"), Target("max ms", "<=", 50, unit="ms"))

    def open(self, lab):
        self.large = [lab.content.blob(lab.pick(GiB, GiB // 2), number) for number in range(4)]

    def content(self, lab):
        return [small(lab, self.kind)]

    def measure(self, lab, peer):
        """With a new server each time: only once is a blob absent."""
        server = lab.server(peer)
        try:
            path, blob = small(lab, self.kind)
            lab.store(server, path, blob)
            lab.settle()
            duration = lab.pick(3, 1)
            load.wrk(server.port, path, 1)  # the first second of a process is slower than all others
            idle = load.wrk(server.port, path, duration)
            pulls = load.Load([load.Connection(server.port, [load.get(large.path(), large.size)]) for large in self.large])
            try:
                beside = load.wrk(server.port, path, duration)
                if not pulls.is_running:
                    raise NotMeasured(f"a cold pull has ended within the {duration} s of the measurement")
            finally:
                pulls.stop()
            return {"p99 idle ms": 1e3 * idle["p99"], "p99 ms": 1e3 * beside["p99"],
                    "p99 beside/idle": beside["p99"] / idle["p99"], "max idle ms": 1e3 * idle["max"], "max ms": 1e3 * beside["max"], "requests/s": beside["requests/s"]}
        finally:
            lab.end(server)


_KINDS = [("tag", "manifest by fresh tag"), ("digest", "manifest by digest"), ("blob", "stored blob 2 KiB")]
ROWS = [Requests(*kind) for kind in _KINDS] + [BesidePulls(*kind) for kind in _KINDS]
