"""What a run says: its seed first, a line of progress now and then, failures as they come, one summary at the end."""
import os
import random
import shutil
import sys
import time

SKIPPED = 77
_MOST_KEPT = 12  # stores and disks of failed rounds; a program that always fails would fill the disk


class Report:
    def __init__(self, name, options, default_rounds):
        self.name = name
        self.seed = options.seed if options.seed is not None else random.randrange(1 << 32)
        self.rounds = options.rounds if options.rounds is not None else default_rounds
        self.folder = os.path.join(os.path.abspath(options.work), name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.done = self.failures = self.skipped = 0
        self.notes = []
        self._began = self._told = time.monotonic()
        self.say(f"seed {self.seed}, folder {self.folder}")

    def say(self, text):
        print(f"torture {self.name}: {text}", flush=True)

    def random(self, *parts):
        """Every round has its own source, so that what one round does cannot shift the next."""
        return random.Random("/".join(map(str, (self.seed, self.name, *parts))))

    def finished(self, number, detail=""):
        self.done += 1
        now = time.monotonic()
        if now - self._told > 10:
            self._told = now
            self.say(f"round {number}, {self.failures} failures, {now - self._began:.0f} s {detail}".rstrip())

    def fail(self, number, problems, evidence=None, repeat=None):
        """One failed round with all that was found; `repeat`: the options that run it again, beside the seed."""
        self.failures += 1
        problems = list(problems)
        self.say(f"FAILURE in round {number} (--seed {self.seed} {repeat or f'--rounds {number}'})")
        for problem in problems[:12]:
            print(f"    {problem}")
        if len(problems) > 12:
            print(f"    and {len(problems) - 12} more")
        if evidence:
            print(f"    kept: {evidence}")
        sys.stdout.flush()

    def skip(self, reason, count=1):
        self.skipped += count
        self.say(f"SKIPPED: {reason}")

    def keep(self, path, number):
        """Moves or copies what a failed round left out of the way of the next; returns where it is."""
        if self.failures >= _MOST_KEPT:
            return f"nothing, as {_MOST_KEPT} are kept already"
        kept = os.path.join(self.folder, f"failed-{number}")
        shutil.rmtree(kept, ignore_errors=True)
        if os.path.isdir(path):
            shutil.copytree(path, kept, symlinks=True, ignore=lambda folder, names: [n for n in names if n.endswith(".sock")])
        else:
            shutil.copyfile(path, kept)
        return kept

    def end(self):
        for note in self.notes:
            self.say(note)
        self.say(f"{self.done} rounds, {self.failures} failures, {self.skipped} skipped, seed {self.seed}, "
                 f"{time.monotonic() - self._began:.0f} s")
        if self.failures:
            return 1
        return SKIPPED if self.done == 0 and self.skipped else 0
