#!/usr/bin/env python3
"""Presses TAB in real shells on terminals of their own, with the completions of an unpacked package.

    Tests/Packaging/complete.py UNPACKED-PACKAGE STORE WORK-FOLDER

The store is the golden one: torture/r0:t0 and :t2, torture/r1:t1 and :t3. A shell that is not installed is passed over, and said.
"""

import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sys
import time

# Waiting ends when what is expected has come; this is when it never does.
PATIENCE = 60

ESCAPES = re.compile(r"\x1b\[[0-9;?>=]*[a-zA-Z]|\x1b[()=>][B0]?|\x1b\][^\x07]*\x07|\r")


class Terminal:
    def __init__(self, command, environment):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.seen = ""

    def type(self, keys):
        self.seen = ""
        os.write(self.descriptor, keys.encode())

    def await_text(self, pattern):
        """Reads until the pattern is on the screen; says what was there instead when it never comes."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, ESCAPES.sub("", self.seen), re.S):
            if time.monotonic() > end or not select.select([self.descriptor], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"no {pattern!r} in {ESCAPES.sub('', self.seen)[-2000:]!r}")
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the shell has ended: {ESCAPES.sub('', self.seen)[-2000:]!r}")
            self.seen += data.decode(errors="replace")
            # fish asks what terminal it is on, and waits for the answer.
            if "\x1b[c" in self.seen or "\x1b[0c" in self.seen:
                self.seen = self.seen.replace("\x1b[c", "").replace("\x1b[0c", "")
                os.write(self.descriptor, b"\x1b[?1;2c")

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


# What is typed, and what has to be there then.
CASES = [
    ("amargo expo\t", r"amargo export "),
    ("amargo ls --format j\t", r"--format json"),
    ("amargo serve --log-level warn\t", r"--log-level warning"),
    ("amargo client-config docker-\t", r"client-config docker-desktop"),
    ("amargo ls --stor\t", r"ls --store "),
    ("amargo rm tortu\t", r"rm torture/r"),
    ("amargo rm torture/r1:t3\t", r"rm torture/r1:t3 "),
    ("amargo pin torture/r0:\t\t", r"t0\s+\S*t2"),
    ("amargo import bund\t", r"import bundle\.tar"),
    ("amargo rm --store STORE docker.io/torture/r1:\t\t", r"t1\s+\S*t3"),
]


def shells(unpacked, work, environment):
    prompt = "READY>"
    share = unpacked / "usr/share"
    if shutil.which("bash"):
        profile = work / "bashrc"
        profile.write_text(
            "PS1='%s '\nbind 'set enable-bracketed-paste off'\nbind 'set bell-style none'\nbind 'set show-all-if-ambiguous on'\n"
            # As a login shell of Debian has it: the file of a command is read at its first TAB.
            ". /usr/share/bash-completion/bash_completion\n" % prompt)
        extra = {"BASH_COMPLETION_USER_DIR": str(share / "bash-completion")}
        yield "bash", ["bash", "--noprofile", "--rcfile", str(profile), "-i"], {**environment, **extra}, prompt
    if shutil.which("zsh"):
        (work / ".zshrc").write_text(
            "PS1='%s '\nunsetopt zle_bracketed_paste beep\nunset zle_bracketed_paste\nfpath=(%s $fpath)\nautoload -Uz compinit\ncompinit -u -D\n"
            % (prompt, share / "zsh/vendor-completions"))
        extra = {"ZDOTDIR": str(work)}
        yield "zsh", ["zsh", "--no-globalrcs", "-i"], {**environment, **extra}, prompt
    if shutil.which("fish"):
        init = "function fish_prompt; echo -n '%s '; end; function fish_greeting; end; set -g fish_autosuggestion_enabled 0" % prompt
        extra = {"XDG_DATA_DIRS": str(share) + ":/usr/local/share:/usr/share", "XDG_CONFIG_HOME": str(work), "XDG_DATA_HOME": str(work)}
        yield "fish", ["fish", "--interactive", "--init-command", init], {**environment, **extra}, prompt


def main():
    unpacked, store, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    work.mkdir(parents=True, exist_ok=True)
    (work / "bundle.tar").touch()
    environment = {
        "PATH": f"{unpacked}/usr/bin:/usr/bin:/bin", "HOME": str(work), "TERM": "xterm", "LC_ALL": "C.UTF-8",
        "AMARGO_STORE": str(store), "COLUMNS": "100", "LINES": "40",
    }
    os.chdir(work)
    failures = 0
    tested = []
    for name, command, variables, prompt in shells(unpacked, work, environment):
        terminal = Terminal(command, variables)
        try:
            terminal.await_text(re.escape(prompt))
            for keys, expected in CASES:
                terminal.type(keys.replace("STORE", str(store)))
                try:
                    terminal.await_text(expected)
                except AssertionError as error:
                    failures += 1
                    print(f"{name}: {keys!r}: {error}")
                # What was typed is given up, and a new line begun.
                terminal.type("\x15\r")
                terminal.await_text(re.escape(prompt))
            tested.append(name)
        finally:
            terminal.end()
    print("completed in " + ", ".join(tested))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
