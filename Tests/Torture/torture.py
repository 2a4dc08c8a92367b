"""Breaks a running Amargo in every way it promises to survive, and looks at what is left.

One subcommand a way; each ends with one line that says how many rounds were run, failed and were skipped, and with
which seed. Exit codes: 0 nothing failed, 1 something did, 77 everything was skipped.
"""
import argparse
import importlib
import os
import signal
import sys
import tempfile

from disks import Disk, enter_namespace
from report import SKIPPED, Report
from server import Binary, Server

# name: (default rounds, what it does); each default takes less than a minute
MODES = {
    "kill": (25, "SIGKILL at random moments under eight clients"),
    "faults": (8, "one file call after the other killed or failed; rounds: calls tried for each act, 0: every one"),
    "power": (12, "power cuts of the disk (root)"),
    "writeback": (3, "a disk that accepts bytes and cannot keep them (root)"),
    "full": (12, "no room, no inodes, read-only (root)"),
    "evict": (200, "a store many times too small; rounds: blobs to be removed"),
    "import": (15, "SIGKILL at random moments of an import"),
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("mode", choices=[*MODES, "all"], metavar="MODE",
                        help="; ".join(f"{name}: {text}" for name, (_, text) in MODES.items()) + "; all: each of them")
    parser.add_argument("--rounds", type=int, help="how many; each mode has its own small default")
    parser.add_argument("--seed", type=int, help="repeats a run's choices; default: a new one, which is printed")
    parser.add_argument("--amargo", required=True, metavar="BINARY", help="the program; default: .build-release/release/amargo")
    parser.add_argument("--work", metavar="DIR", help="where stores and disk images go; what failed is kept there")
    parser.add_argument("--act", action="append", help="faults: only this act (kill, kill-new, eio, eio-sticky, enospc, enospc-sticky)")
    parser.add_argument("--at", type=int, help="faults: only the call with this number")
    options = parser.parse_args()
    options.work = options.work or tempfile.mkdtemp(prefix="torture-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that mounts and servers are cleaned up
    binary = Binary(options.amargo)
    codes = []
    try:
        for name in MODES if options.mode == "all" else [options.mode]:
            report = Report(name, options, MODES[name][0])
            module = importlib.import_module({"import": "imports"}.get(name, name))
            if name == "faults":
                module.run(report, binary, options.act, options.at)
            else:
                module.run(report, binary)
            codes.append(report.end())
    except KeyboardInterrupt:
        return 130
    finally:
        Server.end_all()
        Disk.close_all()
    if 1 in codes:
        return 1
    return SKIPPED if set(codes) == {SKIPPED} else 0


if __name__ == "__main__":
    enter_namespace()
    os.chdir("/")  # a mount below the folder this was started in can then always be unmounted
    sys.exit(main())
