"""Measures Amargo and its peers in interleaved rounds; see scripts/bench for how to run it."""
import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time

import report
import rows_absent
import rows_allocations
import rows_archive
import rows_crowd
import rows_images
import rows_import
import rows_process
import rows_requests
import rows_stored
from lab import Lab
from processes import NotMeasured, Process, allow_many_descriptors
from report import say
from servers import versions

ROWS = [*rows_stored.ROWS, *rows_requests.ROWS, *rows_allocations.ROWS, *rows_absent.ROWS, *rows_images.ROWS, *rows_process.ROWS,
        *rows_crowd.ROWS, *rows_archive.ROWS, *rows_import.ROWS]
_WRONG_USAGE, _NOT_MEASURED = 2, 3  # argparse, too, ends with 2


def options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures Amargo beside nginx and docker-registry.")
    parser.add_argument("--quick", action="store_true", help="one round of everything, with less content: under two minutes")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each row is measured; default: 5, with --quick 1")
    parser.add_argument("--rows", metavar="PATTERN", default="", help="only rows in whose names this regular expression is found")
    parser.add_argument("--list", action="store_true", help="prints the rows' names and ends")
    parser.add_argument("--binary", required=True, help="the program; default: .build-release/release/amargo, built if absent")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the table (.md) and the numbers (.json) go")
    parser.add_argument("--dir", metavar="DIR", help="where all files are meanwhile, on a disk with 12 GB; default: a new folder")
    parser.add_argument("--compare", metavar="OLD.json", help="also prints Amargo's numbers beside those of an earlier run")
    parser.add_argument("--strict", action="store_true", help="ends with 1 when a target is missed")
    return parser.parse_args()


def measure(row, lab, rounds):
    """All rounds of one row. A row that fails leaves its reason and does not stop the others."""
    outcome, began = report.Outcome(row), time.monotonic()
    try:
        row.open(lab)
        for number in range(min(rounds, row.most_rounds)):
            # Another peer begins each time, so that none always comes after the same one.
            peers = lab.only_needed(row)
            turn = number % len(peers)
            for peer in peers[turn:] + peers[:turn]:
                outcome.note(peer, row.measure(lab, peer))
            say(f"{row.name}: round {number + 1}, {time.monotonic() - began:.0f} s")
    except NotMeasured as error:
        outcome.error = str(error)
        say(f"{row.name}: NOT MEASURED: {error}")
    finally:
        row.close(lab)
    return outcome


def main():
    chosen = options()
    rows = [row for row in ROWS if re.search(chosen.rows, row.name)]
    if chosen.list:
        print("\n".join(f"{row.name:16} {row.title}" for row in rows))
        return 0
    if not rows:
        say(f"no row matches {chosen.rows}; --list names them")
        return _WRONG_USAGE
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))  # an exception, so that the servers are ended
    allow_many_descriptors()
    rounds = chosen.rounds or (1 if chosen.quick else 5)
    old = None
    if chosen.compare:
        with open(chosen.compare) as file:
            old = json.load(file)
    folder = tempfile.mkdtemp(prefix="bench-", dir=chosen.dir)
    try:
        began, found = report.machine(), versions(chosen.binary)
        lab = Lab(folder, chosen.binary, chosen.quick)
        outcomes = [measure(row, lab, rounds) for row in rows]
    except NotMeasured as error:
        say(str(error))
        return _NOT_MEASURED
    except KeyboardInterrupt:
        return 130
    finally:
        Process.end_all()
        shutil.rmtree(folder, ignore_errors=True)
    found = report.document(outcomes, found, rounds, chosen.quick, began)
    path = report.write(chosen.out, found)
    print(report.text(found))
    if old:
        print(report.comparison(old, found))
    say(f"written to {path}.md and {path}.json")
    if any(outcome.error for outcome in outcomes):
        return _NOT_MEASURED
    missed = [target for outcome in outcomes for target, _, verdict in outcome.verdicts() if verdict != "reached"]
    return 1 if chosen.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
