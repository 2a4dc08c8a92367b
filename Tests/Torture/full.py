"""No room: bytes, inodes, a disk that turns read-only. Pulls go on all the same, and storing does when there is room again.

A round is one amount of room: bytes in steps of 64 KiB or inodes in steps of one, from nothing upwards; every sixth
round the disk turns read-only instead.
"""
import errno
import os
import time

import clients
import disks
from images import Images
from oracle import Oracle
from server import DidNotStart, Server
from upstream import Upstream

_STEP = 64 << 10
_NORMAL = 10  # seconds after which all is as usual, once there is room
_INODES = 1400  # a store makes about 520 folders; the rest is for blobs, layouts and the filler


def run(report, binary):
    reason = disks.missing()
    if reason:
        return report.skip(reason, report.rounds)
    images = Images(report.seed, largest=512 << 10)
    upstream = Upstream(images)
    bytes_tried = inodes_tried = 0
    try:
        for number in range(1, report.rounds + 1):
            kind = ("bytes", "inodes", "bytes", "bytes", "inodes", "read-only")[(number - 1) % 6]
            if kind == "bytes":
                room, bytes_tried = bytes_tried * _STEP, bytes_tried + 1
            elif kind == "inodes":
                room, inodes_tried = inodes_tried, inodes_tried + 1
            else:
                room = 0
            disk = disks.Disk(report.folder, 24, options=["-N", str(_INODES)], 
                              mount_options="errors=remount-ro" if kind == "read-only" else "")
            disk.mount()
            server = Server(binary, report.folder, disk.store, upstream.url)
            first = number * 20
            try:
                problems = _round(kind, room, disk, server, images, first, Oracle(binary))
            except DidNotStart as error:
                problems = [str(error)]
            finally:
                Server.end_all()
                disk.unmount()
            if problems:
                report.fail(
                    f"{number} ({kind}, room {room})", problems, report.keep(disk.image, number), f"--rounds {number}")
            report.finished(number, f"({kind}, room {room})")
    finally:
        Server.end_all()
        disks.Disk.close_all()
        upstream.close()


def _round(kind, room, disk, server, images, first, oracle):
    known = [images.image(first + index) for index in range(2)]
    during = [images.image(first + index) for index in range(2, 8)]
    later = [images.image(first + index) for index in range(8, 10)]
    server.start()
    problems = _pulled("with room", server, known)
    _wait_until_stored(server, known)
    filler = _Filler(disk, kind, room)
    # Each client twice: what was just relayed is asked for again.
    problems += _pulled("without room", server, [*known, *during, *during])
    if not server.is_running:
        return problems + [f"the server ended without room: {server.last_words()}"]
    if kind != "read-only":
        problems += _restarted(server, [*known, *during])
    if kind == "read-only":
        problems += _read_only_is_over(disk, server, [*known, *during])
    else:
        filler.remove()
    began = time.monotonic()
    problems += _pulled("with room again", server, later)
    while time.monotonic() < began + _NORMAL and not _is_normal(server, later):
        time.sleep(0.1)
    if not _is_normal(server, later):
        health = server.health()
        problems.append(f"not normal {_NORMAL} s after room came back: state {health.get('status')}, {health.get('reason')}; "
                        f"last refusal {health.get('store', {}).get('lastRefusal')}")
    problems += _pulled("after all", server, [*known, *during, *later])
    if server.stop() != 0:
        problems.append(f"SIGTERM did not end the server with 0: {server.last_words()}")
    disk.remount()
    look = oracle.inspect(disk.store, is_clean=True)
    problems += look.problems + (oracle.verify(disk.store) or [])
    server.start()
    problems += _pulled("after a restart", server, [*known, *during, *later])
    server.stop()
    return problems


def _restarted(server, images):
    """A full disk is no reason not to start."""
    problems = []
    if server.stop() not in (0, 1):
        problems.append(f"SIGTERM without room did not end the server: {server.last_words()}")
    try:
        server.start()
    except DidNotStart as error:
        raise DidNotStart(f"without room: {error}", error.code)
    return problems + _pulled("started without room", server, images)


def _pulled(when, server, images):
    tally = clients.pull_all(server.port, images, timeout=10, count=3)
    return [f"{when}: {answer}" for answer in tally.problems]


def _wait_until_stored(server, images):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not _is_normal(server, images):
        time.sleep(0.05)
    time.sleep(1.2)  # layouts are written once a second


def _is_normal(server, images):
    """Everything of these images is stored, and the state is not degraded."""
    tally = clients.pull_all(server.port, images, timeout=10)
    blobs = {digest for image in images for digest in (*image.layers, *image.configs)}
    return blobs <= tally.hits and server.health().get("status") == "ok"


def _read_only_is_over(disk, server, images):
    """A disk that an error made read-only comes back only by a mount, so the program is stopped for it."""
    problems = []
    code = server.stop(timeout=15)
    if code not in (0, 1):
        problems.append(f"SIGTERM on a read-only disk ended the server with {code}: {server.last_words()}")
    disk.remount()
    server.start()
    return problems + _pulled("after the mount", server, images)


class _Filler:
    """Takes all the room but a little."""

    def __init__(self, disk, kind, room):
        self._files = []
        if kind == "read-only":
            device = os.path.basename(disk.device)
            with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w") as trigger:
                trigger.write("torture")
        elif kind == "inodes":
            folder = os.path.join(disk.point, "filler")
            os.mkdir(folder)
            self._files.append(folder)
            while os.statvfs(disk.point).f_ffree > room:
                path = os.path.join(folder, str(len(self._files)))
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                self._files.append(path)
        else:
            path = os.path.join(disk.point, "filler")
            fd = os.open(path, os.O_CREAT | os.O_WRONLY)
            self._files.append(path)
            os.fsync(fd)  # commits the log, so that what the store wrote is counted
            size = 0
            while (more := disk.free - room) > 0:
                try:
                    os.posix_fallocate(fd, size, min(more, 1 << 20))
                    size += min(more, 1 << 20)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
            os.close(fd)

    def remove(self):
        for path in reversed(self._files):
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)

