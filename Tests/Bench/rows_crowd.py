"""Good clients in bad company: who reads slowly, who never ends a request, and who hangs up."""
import socket
import struct
import time

import load
from content import MiB
from figures import Target
from processes import NotMeasured
from rows import Warm

_READERS, _HALF_OPEN, _RESETS, _GOOD = 200, 1000, 200, 8


class Crowd:
    """In a process of its own from construction to `stop`, from many addresses, as a crowd comes."""

    def __init__(self, port, path):
        self._pipe, other = load.CONTEXT.Pipe()
        self._process = load.CONTEXT.Process(target=self._run, args=(other, port, path), daemon=True)
        self._process.start()
        other.close()

    def settled(self):
        if not self._pipe.poll(60) or self._pipe.recv() != "ready":
            raise NotMeasured("the crowd could not connect")

    def stop(self):
        """(readers that are still served, half-open connections, resets)."""
        try:
            self._pipe.send("stop")
            return self._pipe.recv() if self._pipe.poll(30) else (0, 0, 0)
        except (OSError, EOFError):
            return 0, 0, 0
        finally:
            self._process.terminate()
            self._process.join()

    def _run(self, pipe, port, path):
        load.leave_interrupts_to_the_bench()
        try:
            half = [_connect(port, number, b"GET /v2/ HTTP/1.1\r\nHost: ben") for number in range(_HALF_OPEN)]
            readers = [_connect(port, number, _ask(path)) for number in range(_READERS)]
            pipe.send("ready")
            pipe.send(self._disturb(pipe, port, path, half, readers))
        except OSError as error:
            pipe.send(f"{type(error).__name__} {error}")

    @staticmethod
    def _disturb(pipe, port, path, half, readers):
        """Ten resets in each tenth of a second; every reader reads once a second."""
        resets, due = 0, time.monotonic()
        while True:
            resetting = [_connect(port, resets + number, _ask(path)) for number in range(10 if resets < _RESETS else 0)]
            if pipe.poll(max(0, due - time.monotonic())):
                break
            for connection in resetting:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            resets += len(resetting)
            turn = int(due * 10) % 10
            for reader in list(readers[turn::10]):
                if not _is_served(reader, 1024):
                    readers.remove(reader)
            due += 0.1
        return len(readers), sum(_is_open(connection) for connection in half), resets


def _ask(path):
    return load.get(path, 0)[0]


def _connect(port, number, text):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.bind((f"127.0.1.{1 + number % 50}", 0))
    connection.connect(("127.0.0.1", port))
    connection.sendall(text)
    connection.setblocking(False)
    return connection


def _is_served(connection, count):
    try:
        return bool(connection.recv(count))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _is_open(connection):
    """A server that waits for the rest of a request has said nothing."""
    try:
        connection.recv(1)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


class GoodBesideBad(Warm):
    name = "crowd"
    title = "8 clients on a stored blob beside 200 readers at 1 KiB/s, 1,000 half-open connections and 200 resets"
    targets = (Target("share of undisturbed", ">=", 0.75),)

    def content(self, lab):
        blob = lab.content.blob(256 * MiB)
        return [(blob.path(), blob)]

    def one(self, lab, server):
        path, blob = self.stored[0]
        plans = [[load.get(path, blob.size)] * lab.pick(3, 2)] * _GOOD
        alone = load.run(server.port, plans)
        crowd = Crowd(server.port, path)
        try:
            crowd.settled()
            beside = load.run(server.port, plans)
        finally:
            readers, half, resets = crowd.stop()
        if readers < _READERS * 0.9 or half < _HALF_OPEN * 0.9 or not resets:
            raise NotMeasured(f"the crowd has shrunk to {readers} readers, {half} half-open connections, {resets} resets")
        return {"share of undisturbed": alone.wall / beside.wall, "alone MB/s": alone.bytes / 1e6 / alone.wall,
                "beside MB/s": beside.bytes / 1e6 / beside.wall, "resets": resets}


ROWS = [GoodBesideBad()]
