"""Child processes: started here, measured by /proc, and ended by their pid whatever ends the bench."""
import http.client
import os
import random
import resource
import signal
import socket
import subprocess
import time

_TICK = os.sysconf("SC_CLK_TCK")


class NotMeasured(Exception):
    """A row cannot be measured, or what was measured is not what was meant."""


class Process:
    running = []  # whatever ends the bench ends these too

    def __init__(self, arguments, log):
        self.log = log
        self.began = time.monotonic()
        with open(log, "ab") as file:
            # A session of its own: ^C is for the bench, which then ends its servers in order.
            self._popen = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
        self.pid = self._popen.pid
        Process.running.append(self)

    def wait_for(self, port, path, timeout=30, pause=0.005):
        """Seconds from the start of the process to the first 200."""
        while time.monotonic() - self.began < timeout:
            if self._popen.poll() is not None:
                raise NotMeasured(f"{self._popen.args[0]} has ended with {self._popen.returncode}: {self.last_words()}")
            if ask(port, path)[0] == 200:
                return time.monotonic() - self.began
            time.sleep(pause)
        raise NotMeasured(f"{self._popen.args[0]} was not ready within {timeout} s: {self.last_words()}")

    def tree(self):
        """Its pid and those of its descendants."""
        children = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
        found, waiting = [], [self.pid]
        while waiting:
            found.append(waiting.pop())
            waiting += children.get(found[-1], [])
        return found

    def cpu(self):
        """Seconds of CPU, user's and kernel's, of the whole tree."""
        ticks = 0
        for pid in self.tree():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    ticks += sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
            except OSError:
                continue
        return ticks / _TICK

    def memory(self):
        """(resident now, resident at most) in MiB, of the whole tree."""
        now = most = 0
        for pid in self.tree():
            with open(f"/proc/{pid}/status") as file:
                fields = dict(line.split(":", 1) for line in file if line.startswith("Vm"))
            now += int(fields["VmRSS"].split()[0])
            most += int(fields["VmHWM"].split()[0])
        return now / 1024, most / 1024

    def wait(self, patience):
        """For a program that was asked to end."""
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"{self._popen.args[0]} has not ended within {patience} s") from None

    def end(self, patience=5):
        if self._popen.poll() is not None:  # its pid may be somebody else's by now
            return self._forget()
        tree = self.tree()
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            for pid in tree:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._popen.wait()
        self._forget()

    def _forget(self):
        if self in Process.running:
            Process.running.remove(self)

    def last_words(self):
        with open(self.log, "rb") as file:
            file.seek(max(0, os.path.getsize(self.log) - 2048))
            return " | ".join(file.read().decode(errors="replace").strip().splitlines()[-3:])

    @classmethod
    def end_all(cls):
        for process in list(cls.running):
            process.end(patience=1)


def ask(port, path, method="GET", headers=None, timeout=60):
    """(status, headers, body) of something small; (0, {}, reason) when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, f"{type(error).__name__} {error}".encode()
    finally:
        connection.close()


def free_port():
    """A free one below those that the kernel gives to connections: nobody takes it between two starts."""
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


def allow_many_descriptors():
    """The crowd needs them, and the servers inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
