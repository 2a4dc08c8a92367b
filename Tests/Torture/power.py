"""Power cuts under four clients: what was acknowledged is there afterwards, what was not is absent or whole."""
import os
import shutil
import time

import clients
import disks
from images import Images
from kill import Choice, Memory, finale
from oracle import Oracle
from server import DidNotStart, Server
from upstream import Upstream

_EPOCH = 10  # rounds on one disk
_CAP = "40MB"


def run(report, binary):
    reason = disks.missing()
    if reason:
        return report.skip(reason, report.rounds)
    images = Images(report.seed, largest=2 << 20)
    upstream = Upstream(images)
    oracle = Oracle(binary)
    disk = choice = server = None
    try:
        for number in range(1, report.rounds + 1):
            rng = report.random(number)
            if disk is None or (number - 1) % _EPOCH == 0:
                disk = disks.Disk(report.folder, 160)
                choice = Choice(images, choice.next if choice else 0, report.random("choice", number))
                server = Server(binary, report.folder, disk.store, upstream.url, _CAP)
                first, memory = choice.next, Memory()
            problems = _round(rng, report, number, disk, server, choice, oracle, memory)
            if not problems:
                disk.mount()
                oracle.forget()
                problems = finale(server, oracle, [images.image(n) for n in range(first, choice.next)])
                disk.unmount()
            before = disk.image + ".before"
            if problems:
                report.fail(number, problems, report.keep(before, number))
                disk = None
            os.unlink(before)
            report.finished(number)
    finally:
        Server.end_all()
        disks.Disk.close_all()
        upstream.close()
    if oracle.layouts_behind:
        report.notes.append(f"{oracle.layouts_behind} of {oracle.layouts} layouts lacked what the journal has, after a clean stop")


def _round(rng, report, number, disk, server, choice, oracle, memory):
    """Start, pull, cut, kill, mount and look; the disk is unmounted afterwards."""
    choice.allow(rng.randint(1, 6))
    disk.mount()
    problems, hits = [], set()
    try:
        try:
            server.start()
            swarm = clients.Swarm(server.port, 4, choice, rng)
            time.sleep(rng.uniform(0, 1.5))
            # Two of three cuts let the log go as well: flushing everything hides most mistakes.
            flag = rng.choice([2, 2, 1, 1, 2, 0])
            moment = time.monotonic()
            disk.cut(flag)
            time.sleep(rng.choice([0, 0, 0.2]))  # the program may notice that its disk is gone, or not
            hits = set(swarm.tally.hits)
            if server.kill() != -9:
                problems.append(f"the server ended by itself: {server.last_words()}")
            swarm.join()
            problems += [f"before the cut: {answer}" for answer in swarm.tally.before(moment)]
            problems += [f"WRONG BYTES: {answer}" for answer in swarm.tally.wrong]
        except DidNotStart as error:
            problems.append(str(error))
    finally:
        Server.end_all()
        disk.unmount()
    shutil.copyfile(disk.image, disk.image + ".before")
    disk.mount()
    oracle.forget()  # nothing that was read before the cut says what is on the disk now
    if os.path.isdir(disk.store):
        look = oracle.inspect(disk.store, is_clean=False)
        problems += look.problems + memory.check(look, hits, server)
    disk.unmount()
    return problems
