"""`amargo serve` as a child process, and what its binary can do."""
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import time

_CONFIGURATION = """\
server:
  listen: "127.0.0.1:{port}"
store:
  maxSize: "{max_size}"
  minFree: 0
repositories:
  docker: false
  torture:
    upstream: {upstream}
    namespaces: [torture.test]
    default: true
    cacheTtl: {ttl}
"""


def free_port():
    """A port that stays free while the server is down: below those that the kernel gives to connections."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest = int(file.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(lowest, 20_000))
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Binary:
    """The program under test; asked for its commands, because a harness outlives many versions."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        text = subprocess.run([self.path, "--help"], capture_output=True, text=True, check=True).stdout
        listed = text.split("SUBCOMMANDS:")[-1]
        self.commands = set(re.findall(r"^  ([a-z][a-z-]*)(?:\s|,|$)", listed, re.MULTILINE))

    def has(self, command):
        return command in self.commands

    def run(self, *arguments, timeout=120, environment=None):
        return subprocess.run(
            [self.path, *arguments], capture_output=True, text=True, errors="replace", timeout=timeout,
            env=dict(os.environ, **(environment or {})))


class DidNotStart(Exception):
    """The server ended, or was silent, before it was ready."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code  # exit code; negative for a signal; None when it hung


class Server:
    """Started, killed and started again on one store and one port."""

    running = []  # whatever ends the harness ends these too

    def __init__(self, binary, folder, store, upstream, max_size=0, ttl=1, name="serve"):
        self.binary, self.store, self.max_size = binary, store, max_size
        self.port = free_port()
        self.configuration = os.path.join(folder, f"{name}.yaml")
        self.log = os.path.join(folder, f"{name}.log")
        self.process = None
        self.write_configuration(upstream, max_size, ttl)

    def write_configuration(self, upstream, max_size, ttl):
        with open(self.configuration, "w") as file:
            file.write(_CONFIGURATION.format(port=self.port, max_size=max_size, upstream=upstream, ttl=ttl))

    def start(self, environment=None, timeout=20):
        """Returns when it answers; raises `DidNotStart`."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary.path, "serve", "--config", self.configuration, "--store", self.store], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=dict(os.environ, **(environment or {})))
        Server.running.append(self)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            code = self.process.poll()
            if code is not None:
                self._ended()
                raise DidNotStart(f"the server ended with {code} before it was ready: {self.last_words()}", code)
            if self.ask("/ready", timeout=1)[0] == 200:
                return
            time.sleep(0.004)
        self.kill()
        raise DidNotStart(f"the server was not ready within {timeout} s", None)

    def ask(self, path, timeout=5):
        """(status, text) of a small document; (0, reason) when there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(1 << 20).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, f"{type(error).__name__} {error}"
        finally:
            connection.close()

    def health(self):
        status, text = self.ask("/health")
        try:
            return json.loads(text) if status == 200 else {}
        except ValueError:
            return {}

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL; returns the exit code, which tells a process that had ended before."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        code = self.process.wait()
        self._ended()
        return code

    def stop(self, timeout=40):
        """SIGTERM; the exit code, or None when it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        self._ended()
        return code

    def _ended(self):
        if self in Server.running:
            Server.running.remove(self)

    def last_words(self, lines=3):
        with open(self.log, "rb") as file:
            file.seek(max(0, os.path.getsize(self.log) - 4096))
            text = file.read().decode(errors="replace")
        return " | ".join(text.strip().splitlines()[-lines:])

    @classmethod
    def end_all(cls):
        for server in list(cls.running):
            server.kill()
