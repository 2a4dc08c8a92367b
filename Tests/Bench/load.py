"""Clients that cost next to nothing: bodies are taken with MSG_TRUNC, which lets the kernel drop them uncopied.

A few processes share the connections. Every answer must be 200 or 206 and of the right length; content is looked at by
`digest_of`, in rounds that are not measured.
"""
import collections
import hashlib
import mmap
import multiprocessing
import os
import selectors
import signal
import socket
import subprocess
import time

from content import MANIFEST
from figures import WrkFailed, parse_wrk
from processes import NotMeasured

_BUFFER = 16 << 20  # at most this at a time; the pages are never touched
CONTEXT = multiprocessing.get_context("fork")

Answer = collections.namedtuple("Answer", "first total length")  # seconds to the first byte of the body, to the last; bytes
Result = collections.namedtuple("Result", "began ended wall bytes answers")


class WrongContent(NotMeasured):
    """A server has sent other bytes than it should."""


def get(path, length, span=None):
    """A request and the length that its answer must have. `span`: (first, last) byte."""
    wanted = f"Range: bytes={span[0]}-{span[1]}\r\n" if span else ""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {MANIFEST}, */*\r\n{wanted}\r\n".encode(), length


class Connection:
    """One connection that has its requests answered one after the other."""

    def __init__(self, port, requests, source="127.0.0.1"):
        self.port, self.waiting, self.source = port, collections.deque(requests), source
        self.answers = []

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(self.source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self):
        """False when there is nothing left."""
        if not self.waiting:
            self.socket.close()
            return False
        text, self._length = self.waiting.popleft()
        self._line = text.split(b"\r\n")[0].decode()
        self._head, self._left, self._first = b"", None, None
        self._began = time.monotonic()
        self.socket.sendall(text)
        return True

    def receive(self, buffer):
        """True when the answer is complete."""
        if self._left is None:
            part = self.socket.recv(64 << 10)
            self._head += part
            head, separator, body = self._head.partition(b"\r\n\r\n")
            if not separator:
                return self._need(part)
            self._left = self._promised(head) - len(body)
            if body:
                self._first = time.monotonic()
        else:
            count = self.socket.recv_into(buffer, min(self._left, len(buffer)), socket.MSG_TRUNC)
            self._need(count)
            if self._first is None:
                self._first = time.monotonic()
            self._left -= count
        if self._left:
            return False
        self.answers.append(Answer((self._first or time.monotonic()) - self._began, time.monotonic() - self._began, self._length))
        return True

    def _need(self, part):
        if not part:
            raise NotMeasured(f"{self._line}: cut off with {self._left} of {self._length} bytes to come")
        return False

    def _promised(self, head):
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(":", 1) for line in lines[1:])
        length = fields.get("content-length", "none").strip()
        if lines[0].split(" ")[1] not in ("200", "206") or length != str(self._length):
            raise NotMeasured(f"{self._line}: {lines[0]}, {length} bytes instead of {self._length}")
        return self._length


def _serve(pipe, connections):
    """In a process of its own: connects, waits for the word, has all its connections answered."""
    leave_interrupts_to_the_bench()
    try:
        selector, buffer = selectors.DefaultSelector(), mmap.mmap(-1, _BUFFER)
        for connection in connections:
            connection.open()
        pipe.send("ready")
        pipe.recv()
        began = time.monotonic()
        for connection in connections:
            if connection.ask():
                selector.register(connection.socket, selectors.EVENT_READ, connection)
        while selector.get_map():
            for key, _ in selector.select():
                connection = key.data
                if connection.receive(buffer):
                    descriptor = connection.socket.fileno()
                    if not connection.ask():
                        selector.unregister(descriptor)
        pipe.send((began, time.monotonic(), [answer for connection in connections for answer in connection.answers]))
    except NotMeasured as error:
        pipe.send(str(error))
    except OSError as error:
        pipe.send(f"{type(error).__name__} {error}")


def leave_interrupts_to_the_bench():
    """^C goes to every process of a terminal; who started this one will end it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Load:
    """Clients in processes of their own, running from construction on."""

    def __init__(self, connections, processes=None):
        count = min(len(connections), processes or 2 * os.cpu_count())
        self._parts = []
        for index in range(count):
            pipe, other = CONTEXT.Pipe()
            process = CONTEXT.Process(target=_serve, args=(other, connections[index::count]), daemon=True)
            process.start()
            other.close()
            self._parts.append((process, pipe))
        try:
            for _, pipe in self._parts:
                self._said(pipe, 60)
            for _, pipe in self._parts:
                pipe.send("go")
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def _said(pipe, patience):
        if not pipe.poll(patience):
            raise NotMeasured(f"the clients had nothing to say for {patience:.0f} s")
        try:
            said = pipe.recv()
        except EOFError:
            raise NotMeasured("a client process has died") from None
        if isinstance(said, str) and said != "ready":
            raise NotMeasured(said)
        return said

    @property
    def is_running(self):
        """Whether every process still has answers to get."""
        return all(not pipe.poll(0) for _, pipe in self._parts)

    def result(self, patience=600):
        try:
            parts = [self._said(pipe, patience) for _, pipe in self._parts]
        finally:
            self.stop()
        answers = [answer for _, _, some in parts for answer in some]
        began, ended = min(part[0] for part in parts), max(part[1] for part in parts)
        return Result(began, ended, ended - began, sum(answer.length for answer in answers), answers)

    def stop(self):
        for process, pipe in self._parts:
            pipe.close()
            if process.is_alive():
                process.terminate()
            process.join()


def run(port, plans, processes=None):
    """Has the requests of each plan answered on a connection of its own; returns when all are."""
    return Load([Connection(port, plan) for plan in plans], processes).result()


def wrk(port, path, duration, connections=32):
    """Requests/s and latencies, as `parse_wrk` says."""
    result = subprocess.run(
        ["wrk", f"-t{os.cpu_count()}", f"-c{connections}", f"-d{duration}s", "--timeout", "10s", "--latency",
         "-H", f"Accept: {MANIFEST}, */*", f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, timeout=duration + 60)
    try:
        return parse_wrk(result.stdout + result.stderr)
    except WrkFailed as error:
        raise NotMeasured(f"{path}: {error}") from error


def digest_of(port, path, length):
    """sha256 of a body, read whole."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(get(path, length)[0].replace(b"Host:", b"Connection: close\r\nHost:"))
        with connection.makefile("rb", buffering=1 << 20) as file:
            status = file.readline().split(b" ")
            while file.readline().strip():
                pass
            hashed, left = hashlib.sha256(), length
            while left and (part := file.read(min(left, 1 << 20))):
                hashed.update(part)
                left -= len(part)
    if status[1:2] != [b"200"] or left:
        raise NotMeasured(f"GET {path}: {b' '.join(status).decode().strip()}, {left} bytes short")
    return f"sha256:{hashed.hexdigest()}"


def check(port, path, blob):
    found = digest_of(port, path, blob.size)
    if found != blob.digest:
        raise WrongContent(f"GET {path}: the body hashes to {found}")
