"""A disk that takes bytes and cannot keep them: the first fsync fails, the next ones lie, pages turn wrong later.

The store lies on a sparse image on an outer disk that is full. What the image has blocks for already (its log, its
inodes, folders made before) still reaches the disk; new content does not.
"""
import os
import subprocess
import time

import clients
import disks
from images import Images
from oracle import Oracle
from server import DidNotStart, Server
from upstream import Upstream

_HEALED = 30  # seconds; the program tries its journal again every ten


def run(report, binary):
    reason = disks.missing()
    if reason:
        return report.skip(reason, report.rounds)
    images = Images(report.seed, largest=1 << 20)
    upstream = Upstream(images)
    failed_syncs = 0
    try:
        for number in range(1, report.rounds + 1):
            outer = disks.Disk(report.folder, 40, name="outer")
            outer.mount()
            try:
                inner = disks.Disk(outer.point, 96, name="inner", options=[
                    "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-J", "size=4"])
                inner.mount()
                server = Server(binary, report.folder, inner.store, upstream.url)
                problems, failed = _round(report.random(number), outer, inner, server, images, number * 40, Oracle(binary))
                failed_syncs += failed
                if not failed:
                    report.skip(f"round {number}: no sync failed, so nothing was tried")
            except DidNotStart as error:
                problems = [str(error)]
            finally:
                Server.end_all()
                disks.Disk.close_all()
            if problems:
                report.fail(number, problems, report.keep(outer.image, number))
            report.finished(number)
    finally:
        Server.end_all()
        disks.Disk.close_all()
        upstream.close()
    report.notes.append(f"{failed_syncs} syncs failed")


def _round(rng, outer, inner, server, images, first, oracle):
    known = [images.image(first + index) for index in range(8)]
    during = [images.image(first + index) for index in range(8, 20)]
    later = [images.image(first + index) for index in range(20, 24)]
    server.start()
    problems = [f"on a good disk: {answer}" for answer in clients.pull_all(server.port, known).problems]
    time.sleep(1.5)  # layouts are written once a second
    subprocess.run(["sync", "-f", inner.point], check=True)
    subprocess.run(["sync", "-f", outer.point], check=True)
    filler = _fill(outer)
    before = os.path.getsize(server.log)

    # Whoever reads a file whose sync fails is cut, and has to ask again; nobody gets a wrong byte.
    broken = []
    for attempt in range(3):
        tally = clients.pull_all(server.port, [*during, *known], timeout=10)
        problems += [f"WRONG BYTES: {answer}" for answer in tally.wrong]
        problems += [f"a hang: {answer}" for answer in tally.problems if answer.outcome == clients.TIMEOUT]
        broken += tally.problems
        disks.drop_pages(inner.store)  # clean pages that never reached the disk are read back as what the disk has
        if not server.is_running:
            return problems + [f"the server ended by itself: {server.last_words()}"], 1
    if rng.random() < 0.3:
        server.kill()  # what a start makes of a disk that still fails is tried as well
        try:
            server.start()
            tally = clients.pull_all(server.port, [*during, *known], timeout=10)
            problems += [f"WRONG BYTES: {answer}" for answer in tally.wrong]
        except DidNotStart as error:
            if error.code != 1:
                problems.append(f"on a failing disk: {error}")

    os.unlink(filler)
    subprocess.run(["sync", "-f", outer.point], check=True)
    with open(server.log, errors="replace") as log:
        log.seek(before)
        text = log.read()
    failed = sum("sync" in line and ("ERROR" in line or "WARNING" in line) for line in text.splitlines())
    if _is_dead(inner):
        # The file system itself has given up, which a mount repairs; the program starts again with it.
        if server.is_running:
            server.stop()
        inner.remount()
    if not server.is_running:
        server.start()

    deadline = time.monotonic() + _HEALED
    while time.monotonic() < deadline and server.health().get("status") != "ok":
        # The state is degraded until something has been stored again, so there has to be something to store.
        clients.pull_all(server.port, [*during, *later])
        time.sleep(0.25)
    if server.health().get("status") != "ok":
        problems.append(f"not healed {_HEALED} s after the disk: {server.health().get('reason')}")
    everything = [*known, *during, *later]
    # A blob of which the disk lost pages may be found only while it is sent; the second time it is whole.
    tally = clients.pull_all(server.port, everything)
    problems += [f"after the disk recovered: {answer}" for answer in tally.problems if answer.outcome != clients.CUT]
    tally = clients.pull_all(server.port, everything)
    problems += [f"after the disk recovered, second pull: {answer}" for answer in tally.problems]
    if server.stop() != 0:
        problems.append(f"SIGTERM did not end the server with 0: {server.last_words()}")
    inner.remount()
    look = oracle.inspect(inner.store, is_clean=True, quarantine_expected=True)
    problems += look.problems + (oracle.verify(inner.store) or [])
    server.start()
    problems += [f"after a restart: {answer}" for answer in clients.pull_all(server.port, everything).problems]
    server.stop()
    return problems, failed


def _is_dead(disk):
    probe = os.path.join(disk.point, "probe")
    try:
        with open(probe, "wb") as file:
            file.write(b"x")
            os.fsync(file.fileno())
        os.unlink(probe)
        return False
    except OSError:
        return True


def _fill(disk):
    """Writes until the disk is full; returns the file."""
    path = os.path.join(disk.point, "filler")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    for size in (1 << 20, 1 << 16, 1 << 12, 1 << 10):
        try:
            while True:
                os.write(fd, b"\1" * size)
        except OSError:
            pass
    try:
        os.fsync(fd)
    except OSError:
        pass
    os.close(fd)
    return path
