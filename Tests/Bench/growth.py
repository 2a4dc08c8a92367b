"""Measures how the cost of a store grows with what it holds; see scripts/growth for how to run it."""
import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import plot
import report
from figures import WrkFailed, parse_wrk, shown
from processes import NotMeasured, Process, free_port

_HERE = os.path.dirname(os.path.abspath(__file__))
_MAKE_STORE = os.path.join(os.path.dirname(_HERE), "Tools", "make-store.py")
_SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
_BLOCK = 4_096  # bytes on the disk of each blob: all are smaller
_SECONDS, _STARTS = 5, 3
_NOT_MEASURED = 3

# (name in growth.json, its heading, its unit)
FIGURES = (("ready", "start to `/ready`", "s"), ("memory", "resident memory", "MiB"),
           ("recent p50", "hit of 1,000 manifests, p50", "ms"), ("recent p99", "the same, p99", "ms"),
           ("any p50", "hit of any manifest, p50", "ms"), ("any p99", "the same, p99", "ms"),
           ("eviction", "eviction, each blob", "µs"))


def options():
    parser = argparse.ArgumentParser(prog="scripts/growth", description="Measures how the cost of a store grows.")
    parser.add_argument("--binary", required=True, help="the program; default: .build-release/release/amargo, built if absent")
    parser.add_argument("--out", required=True, metavar="DIR", help="where growth.json and growth.svg go")
    parser.add_argument("--dir", metavar="DIR", help="where the stores are meanwhile, on a disk with 9 GB; default: a new folder")
    parser.add_argument("--most", type=int, metavar="BLOBS", default=_SIZES[-1], help="no store of more blobs than these")
    return parser.parse_args()


class Store:
    """A generated store, and the program at work on it."""

    def __init__(self, folder, binary, blobs):
        self.folder, self.binary, self.blobs = os.path.join(folder, "store"), binary, blobs
        subprocess.run([sys.executable, _MAKE_STORE, self.folder, str(blobs)], check=True)
        with open(f"{self.folder}.paths") as file:
            self.paths = file.read().split()
        subprocess.run(["sync"], check=True)  # writing it back is not to be measured

    def serving(self):
        """{figure: number} of a server: each start is of a process of its own, the last of them is asked."""
        starts = []
        for number in range(_STARTS):
            port = free_port()
            process = Process(
                [self.binary, "serve", "--offline", "--listen", f"127.0.0.1:{port}", "--store", self.folder], f"{self.folder}.log")
            starts.append(process.wait_for(port, "/ready", timeout=120, pause=0.001))
            if number + 1 < _STARTS:
                process.end(patience=60)
        found = {"ready": statistics.median(starts), "memory": process.memory()[0]}
        chance = random.Random(2)
        recent = chance.sample(self.paths, min(1_000, len(self.paths)))
        shuffled = chance.sample(self.paths, len(self.paths))
        for name, paths in (("recent", recent), ("any", shuffled)):
            self.hits(port, paths, 1)  # the first hit of content after a start looks at its bytes
            answer = self.hits(port, paths, _SECONDS)
            found |= {f"{name} {share}": answer[share] * 1e3 for share in ("p50", "p99")}
        process.end(patience=60)
        return found

    def hits(self, port, paths, seconds):
        """What `parse_wrk` says of four connections that ask for these in turn."""
        with open(f"{self.folder}.asked", "w") as file:
            file.writelines(f"{path}\n" for path in paths)
        script = os.path.join(_HERE, "growth.lua")
        result = subprocess.run(
            ["wrk", "-t1", "-c4", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}", "--", file.name],
            capture_output=True, text=True, timeout=seconds + 60)
        try:
            return parse_wrk(result.stdout + result.stderr)
        except WrkFailed as error:
            raise NotMeasured(str(error)) from error

    def eviction(self):
        """Microseconds for each blob of the tenth that does not fit."""
        result, wall = self._collect(int(self.blobs * _BLOCK * 0.9))
        found = re.search(r"([\d,]+) blobs?\b[^\n]*\n?$", result.stdout)
        evicted = int(found.group(1).replace(",", "")) if found else 0
        if result.returncode or not evicted:
            raise NotMeasured(f"amargo gc has ended with {result.returncode}: {(result.stdout + result.stderr)[-300:]}")
        _, without = self._collect(self.blobs * _BLOCK * 2)  # reads the journal and has nothing to do
        return {"eviction": max(0.0, wall - without) * 1e6 / evicted, "evicted": evicted}

    def _collect(self, most):
        configuration = f"{self.folder}.yaml"
        with open(configuration, "w") as file:
            file.write(f"store: {{path: '{self.folder}', maxSize: {most}, minFree: 0}}\n")
        began = time.monotonic()
        result = subprocess.run([self.binary, "gc", "--config", configuration], capture_output=True, text=True)
        return result, time.monotonic() - began

    def remove(self):
        shutil.rmtree(self.folder)


def table(rows):
    lines = ["| blobs | " + " | ".join(f"{title} ({unit})" for _, title, unit in FIGURES) + " |",
             "|" + "---:|" * (len(FIGURES) + 1)]
    for row in rows:
        lines.append(f"| {row['blobs']:,} | " + " | ".join(shown(row[name]) for name, _, _ in FIGURES) + " |")
    return "\n".join(lines)


def main():
    chosen = options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))  # an exception, so that the server is ended
    folder, rows, began = tempfile.mkdtemp(prefix="growth-", dir=chosen.dir), [], report.machine()
    try:
        for blobs in (size for size in _SIZES if size <= chosen.most):
            store = Store(folder, chosen.binary, blobs)
            rows.append({"blobs": blobs} | store.serving() | store.eviction())
            store.remove()
            print(f"growth: {blobs:,} blobs: " + ", ".join(f"{title} {shown(rows[-1][name])} {unit}" for name, title, unit in FIGURES),
                  file=sys.stderr, flush=True)
    except NotMeasured as error:
        print(f"growth: {error}", file=sys.stderr)
        return _NOT_MEASURED
    except KeyboardInterrupt:
        return 130
    finally:
        Process.end_all()
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(chosen.out, exist_ok=True)
    with open(os.path.join(chosen.out, "growth.json"), "w") as file:
        json.dump({"format": 1, "machine": began, "rows": rows}, file, indent=1)
        file.write("\n")
    with open(os.path.join(chosen.out, "growth.svg"), "w") as file:
        file.write(plot.charts(rows))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
