"""One run for each file call of a scripted workload, with that call killed or failed.

The script: start, pull, pull more than the cap holds, compact, stop, start again, pull again. Afterwards the server
starts without faults, everything is pulled, and the store must be sound. A preloaded library counts the calls of all
threads and processes of a run; see faultshim.c.
"""
import os
import shutil
import subprocess
import time

import clients
from images import Images
from oracle import Oracle
from server import DidNotStart, Server
from upstream import Upstream

_CHANGING = "open-create,write,fsync,fdatasync,rename,link,unlink,mkdir,rmdir,ftruncate,fallocate,fchmod"
_TAKING_ROOM = "open-create,write,fsync,fdatasync,rename,link,mkdir,fallocate"
_ACTS = {  # name: (what happens, whether to every later call as well, which calls count)
    "kill": ("kill", False, _CHANGING),
    "kill-new": ("kill", False, _CHANGING),  # while the store is being made
    "eio": ("eio", False, _CHANGING + ",open,read,sendfile"),
    "eio-sticky": ("eio", True, _CHANGING + ",open,read,sendfile"),
    "enospc": ("enospc", False, _TAKING_ROOM),
    "enospc-sticky": ("enospc", True, _TAKING_ROOM),
}
_PATIENCE = 5  # seconds that a fault may cost any one step
_MOST_CALLS = 1000  # a script that makes more is not what was meant


def run(report, binary, acts=None, only=None):
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if not compiler:
        return report.skip("there is no C compiler for faultshim.c")
    shim = os.path.join(report.folder, "faultshim.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faultshim.c")
    subprocess.run([compiler, "-O2", "-fPIC", "-shared", "-o", shim, source, "-ldl"], check=True)
    images = Images(report.seed, largest=300 << 10, repositories=2, shared=2)
    upstream = Upstream(images)
    try:
        sweep = _Sweep(report, binary, shim, images, upstream)
        for act in acts or _ACTS:
            sweep.run(act, report.rounds, only)
    finally:
        Server.end_all()
        upstream.close()


class _Sweep:
    def __init__(self, report, binary, shim, images, upstream):
        self.report, self.binary, self.shim = report, binary, shim
        self.first = [images.image(number) for number in (0, 1, 2)]
        self.second = [images.image(number) for number in (3, 4)]
        self.template, self.store = os.path.join(report.folder, "template"), os.path.join(report.folder, "store")
        self.log, self.counter = os.path.join(report.folder, "calls"), os.path.join(report.folder, "counter")
        self.oracle = Oracle(binary)
        cap = self._cap(upstream)
        self.server = Server(binary, report.folder, self.store, upstream.url, cap, ttl=3600)
        # Making a store is hundreds of calls, most of them one mkdir after the other; that has an act of its own.
        maker = Server(binary, report.folder, self.template, upstream.url, cap, name="template")
        maker.start()
        maker.stop()
        self.evicts = None

    def _cap(self, upstream):
        """Room for most of what is pulled: the last of it fits only when something goes."""
        folder = os.path.join(self.report.folder, "measure")
        server = Server(self.binary, self.report.folder, folder, upstream.url, name="measure")
        server.start()
        clients.pull_all(server.port, self.first + self.second)
        server.stop()
        blocks = 0
        for path, _, names in os.walk(folder):
            # Links count once: each layout's folder of blobs is left out.
            sizes = [os.path.getsize(os.path.join(path, name)) for name in names] if "/_oci/blobs" not in path else []
            blocks += 1 + sum((size + 4095) // 4096 for size in sizes)
        shutil.rmtree(folder)
        return blocks * 4096 - sum(image.size for image in self.second) // 2

    def run(self, act, rounds, only):
        # A baseline for each act: not all count the same calls.
        ordinary, problems, journal = self._one(act, 0, self.report.random(act, 0))
        total = len(ordinary.calls)
        if not problems and not any(call.split(" ")[1] == "rename" and "blobs/" in call for call in ordinary.calls):
            problems = ["nothing is stored: the cap is not what was meant"]
        if problems or ordinary.refused:
            self.report.fail(f"0 of {act} (without any fault)", problems or [f"no start: {self.server.last_words()}"])
            return
        if total > _MOST_CALLS:
            return self.report.skip(f"{act}: the script makes {total} calls")
        if self.evicts is None:
            self.evicts = bool(journal.removed)
            if not self.evicts:
                self.report.skip("evictions: the binary removes nothing to make room")
            if not self.binary.has("gc"):
                self.report.skip("compactions: the binary has no gc")
        wanted = min(rounds or total, total)
        numbers = sorted({1 + index * total // wanted for index in range(wanted)}) if only is None else [only]
        refused, unreached, began, failures = 0, 0, time.monotonic(), self.report.failures
        for number in numbers:
            state, problems, _ = self._one(act, number, self.report.random(act, number))
            refused += state.refused
            unreached += state.call is None
            if problems:
                what = state.call or "not reached"
                self.report.fail(
                    f"{number} of {act} ({what})", problems, self.report.keep(self.store, f"{act}-{number}"),
                    f"--act {act} --at {number}")
            self.report.finished(number, f"({act}, of {total})")
        self.report.say(
            f"{act}: {len(numbers)} of {total} calls, {self.report.failures - failures} failures, {refused} starts refused, "
            f"{unreached} not reached, {(time.monotonic() - began) / max(1, len(numbers)):.2f} s each")

    def _one(self, act, number, rng):
        """The script with one fault, then a start without; returns the script's state, what was wrong, and the journal."""
        shutil.rmtree(self.store, ignore_errors=True)
        if act != "kill-new":
            subprocess.run(["cp", "-a", self.template, self.store], check=True)
        self.oracle.forget()
        state = _Script(self, act, number)
        state.run()
        state.judge()
        problems = state.problems
        if act.startswith("kill") and number and rng.random() < 0.5:
            # What a kill left is mended by a start that is killed as well.
            try:
                self.server.start(state.environment(rng.randint(1, 30)))
                self.server.kill()
            except DidNotStart as error:
                if error.code != -9:
                    problems.append(f"a second kill: {error}")
        quarantine = act.startswith("eio")  # an error while reading may send a blob there
        journal = None
        try:
            self.server.start()
            tally = clients.pull_all(self.server.port, [*self.first, *self.second], timeout=10)
            problems += [f"after the fault: {answer}" for answer in tally.problems]
            if self.server.stop() != 0:
                problems.append(f"SIGTERM did not end the server with 0: {self.server.last_words()}")
            look = self.oracle.inspect(self.store, is_clean=True, quarantine_expected=quarantine)
            journal = look.journal
            problems += look.problems + (self.oracle.verify(self.store) or [])
        except DidNotStart as error:
            problems.append(f"after the fault: {error}")
        return state, problems, journal


class _Script:
    """The workload under one fault, and what it did."""

    def __init__(self, sweep, act, number):
        self.sweep, self.server, self.act, self.number = sweep, sweep.server, act, number
        self.action = _ACTS[act][0]
        self.problems, self.answers = [], []
        self.refused = False  # the server would not start, which an error at a start may cause
        self.dead = False

    def environment(self, number):
        action, sticky, calls = _ACTS[self.act]
        for path in (self.sweep.log, self.sweep.counter):
            with open(path, "wb") as file:
                file.write(bytes(8) if path == self.sweep.counter else b"")
        return {
            "LD_PRELOAD": self.sweep.shim, "FAULT_PATH": os.path.realpath(self.server.store), "FAULT_LOG": self.sweep.log,
            "FAULT_COUNTER": self.sweep.counter, "FAULT_AT": str(number), "FAULT_ACT": action,
            "FAULT_STICKY": str(int(sticky)), "FAULT_CALLS": calls}

    def run(self):
        environment = self.environment(self.number)
        sweep = self.sweep
        if self._start(environment):
            self._pull(sweep.first)
            if self.act != "kill-new":
                self._pull(sweep.second)
            if sweep.binary.has("gc") and self.server.is_running:
                self._compact(environment)
            self._stop()
        if not self.dead and self.act != "kill-new" and self._start(environment):
            self._pull([sweep.first[0], sweep.second[0]])
            self._stop()
        if self.server.is_running:
            self.server.kill()
        with open(sweep.log, errors="replace") as file:
            self.calls = file.read().splitlines()
        # Threads write their lines as they come; the number is in the line.
        numbered = {int(line.split(" ", 1)[0]): line.split(" ", 1)[1] for line in self.calls}
        self.call = numbered.get(self.number)
        sticky = _ACTS[self.act][1]
        self.failing = [name for at, name in numbered.items() if at == self.number or (sticky and at > self.number)]

    def _start(self, environment):
        try:
            self.server.start(environment, timeout=10)
            return True
        except DidNotStart as error:
            if error.code is None:
                self.problems.append(f"a hang: {error}")
            elif error.code == -9 and self.action == "kill":
                self.dead = True
            elif error.code > 0:
                self.refused = True
            else:
                self.problems.append(f"a crash: {error}")
            return False

    def _pull(self, images):
        if not self.server.is_running:
            return self._ended()
        tally = clients.pull_all(self.server.port, images, timeout=_PATIENCE, count=2)
        self.answers += tally.problems
        deadline = time.monotonic() + 1
        while self.server.is_running and time.monotonic() < deadline:  # what was pulled is being stored
            if self.server.health().get("downloads") == 0:
                break
            time.sleep(0.01)
        if not self.server.is_running:
            self._ended()

    def _compact(self, environment):
        try:
            result = self.sweep.binary.run(
                "gc", "--config", self.server.configuration, "--store", self.server.store, timeout=20, environment=environment)
            if result.returncode < 0 and self.action != "kill":
                self.problems.append(f"a crash: gc ended with {result.returncode}: {result.stderr.strip()[-300:]}")
        except subprocess.TimeoutExpired:
            self.problems.append("a hang: gc did not end within 20 s")

    def _stop(self):
        if not self.server.is_running:
            return self._ended()
        began = time.monotonic()
        code = self.server.stop(timeout=30)
        if code is None or time.monotonic() - began > _PATIENCE:
            self.problems.append(f"a hang: SIGTERM took {time.monotonic() - began:.1f} s")
        if code == -9 and self.action == "kill":
            self.dead = True
        elif code not in (0, 1, None):
            self.problems.append(f"a crash: SIGTERM ended the server with {code}: {self.server.last_words()}")

    def _ended(self):
        if self.dead:
            return
        self.dead = True
        code = self.server.process.poll()
        self.server._ended()
        if not (code == -9 and self.action == "kill"):
            self.problems.append(f"the server ended by itself with {code}: {self.server.last_words()}")

    def judge(self):
        for answer in self.answers:
            if answer.outcome == clients.WRONG:
                self.problems.append(f"WRONG BYTES: {answer}")
            elif answer.outcome == clients.TIMEOUT:
                self.problems.append(f"a hang: {answer}")
            elif not self._is_excused():
                self.problems.append(f"not passed through: {answer}")

    def _is_excused(self):
        """Whether a request may fail. What cannot be stored is relayed; but whoever reads a file that failed is cut."""
        if self.number == 0 or not self.failing:
            return False
        if self.action == "kill":
            return True
        return any(name.startswith(("fsync", "fdatasync", "open ", "read", "sendfile")) for name in self.failing)
