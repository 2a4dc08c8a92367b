#!/usr/bin/env python3
"""Writes the manual pages, from what the binary's argument parser says of itself.

    amargo --experimental-dump-help | packaging/manual.py --version 0.1.0 --date 2026-11-28 --output FOLDER

There is amargo(1), with the sections of amargo.mdoc behind what the parser knows, and a page for each command, amargo-ls(1) and so
on, which `man amargo ls` finds as well. The language is mdoc(7).
"""

import argparse
import datetime
import json
import pathlib
import re
import sys
import textwrap

WIDTH = 78


class Page:
    """Lines of mdoc, with text from elsewhere made safe."""

    def __init__(self):
        self.lines = []

    def macro(self, *words):
        self.lines.append(" ".join(words))

    def raw(self, text):
        self.lines.extend(text.rstrip("\n").split("\n"))

    def text(self, text):
        """Running text: paragraphs between empty lines, as they are where they are indented."""
        first = True
        for paragraph in re.split(r"\n[ \t]*\n", text.strip("\n")):
            if not paragraph.strip():
                continue
            indented = all(line.startswith("  ") for line in paragraph.split("\n"))
            if not first and not indented:
                self.macro(".Pp")
            first = False
            if indented:
                self.macro(".Bd -literal -offset indent")
                for line in textwrap.dedent(paragraph).split("\n"):
                    self.lines.append(guard(escape(line)))
                self.macro(".Ed")
            else:
                self.paragraph(" ".join(paragraph.split()))

    def paragraph(self, text):
        # mdoc wants each sentence on a line of its own.
        for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z\-`\"(])", text):
            for line in textwrap.wrap(sentence, WIDTH - 8, break_long_words=False, break_on_hyphens=False):
                self.lines.append(guard(styled(line)))

    def __str__(self):
        return "\n".join(self.lines) + "\n"


def escape(text):
    text = text.replace("\\", "\\e")
    # A minus that somebody copies has to stay one.
    text = re.sub(r"-(?=-)|(?<=-)-|(?<![\w])-(?=\w)", r"\\-", text)
    # A path that is hyphenated is another path.
    text = re.sub(r"(?<!\S)(?=[^\s/]*/[^\s/])", r"\\%", text)
    # Terminals without Unicode have no ellipsis.
    text = text.replace("\u2026", "...")
    return "".join(c if ord(c) < 128 else "\\[u%04X]" % ord(c) for c in text)


def styled(text):
    """`code` is bold, whatever is within."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(escape(part) if i % 2 == 0 else "\\fB" + escape(part) + "\\fP" for i, part in enumerate(parts))


def guard(line):
    """A line that begins like a macro is none."""
    return "\\&" + line if line[:1] in (".", "'") else line


def word(text):
    """Text as one argument of a macro: what is a macro's name or punctuation means itself."""
    text = escape(text)
    if not text or re.fullmatch(r"[A-Z][A-Za-z0-9]|[.,:;()\[\]?!|]", text):
        text = "\\&" + text
    return '"%s"' % text.replace('"', "\\(dq") if " " in text or '"' in text else text


def visible(items):
    return [item for item in items or [] if item.get("shouldDisplay", True)]


def spelled(name):
    """An option's name as arguments of .Fl, which writes the first minus itself."""
    return word("-" + name["name"]) if name["kind"] == "long" else word(name["name"])


def value_of(argument):
    return argument.get("valueName") or "value"


def arguments_of(command):
    return visible(command.get("arguments"))


def is_common(argument):
    return any(name["name"] in ("help", "version") for name in argument.get("names") or [])


def subcommands_of(command):
    return [c for c in visible(command.get("subcommands")) if c["commandName"] != "help"]


def synopsis(page, path, command):
    page.macro(".Nm", word(path[0]))
    for name in path[1:]:
        page.macro(".Cm", word(name))
    for argument in arguments_of(command):
        if is_common(argument):
            continue
        if argument["kind"] == "positional":
            parts = [".Ar", word(value_of(argument))]
        else:
            name = argument.get("preferredName") or argument["names"][0]
            parts = [".Fl", spelled(name)]
            if argument["kind"] == "option":
                parts += ["Ar", word(value_of(argument))]
        if argument.get("isRepeating"):
            parts.append("...")
        if argument.get("isOptional"):
            parts = [".Op", parts[0][1:]] + parts[1:]
        page.macro(*parts)


def options(page, command):
    shown = arguments_of(command)
    page.macro(".Bl -tag -width Ds")
    for argument in shown:
        if argument["kind"] == "positional":
            tag = [".It", "Ar", word(value_of(argument))]
            if argument.get("isRepeating"):
                tag.append("...")
        else:
            tag = [".It"]
            # The long name first, as in the synopsis.
            names = sorted(argument["names"], key=lambda name: name["kind"] != "long")
            for i, name in enumerate(names):
                tag += ["Fl", spelled(name)]
                if argument["kind"] == "option":
                    tag += ["Ar", word(value_of(argument))]
                if i + 1 < len(names):
                    tag.append(",")
        page.macro(*tag)
        page.text(described(argument))
    page.macro(".El")


def described(argument):
    """What the help says of an argument, with what the parser knows besides."""
    parts = [argument.get("abstract") or "", argument.get("discussion") or ""]
    text = "\n\n".join(part for part in parts if part) or "No description."
    values = argument.get("allValues") or ((argument.get("completionKind") or {}).get("list") or {}).get("values") or []
    extra = []
    if values and not all(re.search(r"\b%s\b" % re.escape(v), text) for v in values):
        extra.append("One of " + ", ".join(values) + ".")
    if argument.get("defaultValue") and argument["kind"] == "option":
        extra.append("Default: " + argument["defaultValue"] + ".")
    if argument.get("isRepeating") and argument["kind"] == "option" and "several times" not in text:
        extra.append("May be given several times.")
    if extra and not re.search(r"[.!?]$", text):
        text += "."
    return " ".join([text] + extra)


def split_exit_codes(text):
    """Divides a discussion into what it says of exit codes and the rest."""
    codes, rest = [], []
    for paragraph in re.split(r"\n[ \t]*\n", text or ""):
        match = re.search(r"(?:^|(?<=\. ))Exit codes? .*|(?:^|(?<=\. ))Exit codes?: .*", paragraph, re.S)
        if match:
            codes.append(match.group(0).strip())
            paragraph = paragraph[: match.start()].strip()
        if paragraph:
            rest.append(paragraph)
    return "\n\n".join(codes), "\n\n".join(rest)


def exit_status(page, text):
    """A list, when it is said as one: "Exit codes: 0 done, 1 failed"."""
    match = re.fullmatch(r"Exit codes: (\d+ .*)", " ".join(text.split()))
    if not match:
        page.text(text)
        return
    page.macro(".Bl -tag -width Ds")
    for item in re.split(r"[,;] (?=\d+ )", match.group(1).rstrip(".")):
        code, _, meaning = item.partition(" ")
        page.macro(".It", code)
        page.text(meaning[:1].upper() + meaning[1:] + ".")
    page.macro(".El")


def lowered(abstract):
    text = abstract.rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def head(page, name, abstract, settings):
    page.raw('.\\" Generated by packaging/manual.py from the argument parser.')
    page.macro(".Dd", settings.date.strftime("%B %-d, %Y"))
    page.macro(".Dt", name.upper(), "1")
    page.macro(".Os", word("Amargo " + settings.version))
    page.macro(".Sh NAME")
    page.macro(".Nm", word(name))
    # One sentence, and short enough for the list of pages.
    page.macro(".Nd", styled(lowered(abstract)))


def command_page(command, path, settings, siblings):
    page = Page()
    name = "-".join(path)
    codes, discussion = split_exit_codes(command.get("discussion"))
    head(page, name, command.get("abstract") or name, settings)
    page.macro(".Sh SYNOPSIS")
    leaves = leaves_of(command, path)
    for leaf_path, leaf in leaves:
        synopsis(page, leaf_path, leaf)
    page.macro(".Sh DESCRIPTION")
    page.text((command.get("abstract") or "") + "\n\n" + discussion)
    inner = [(leaf_path, leaf) for leaf_path, leaf in leaves if leaf is not command]
    for leaf_path, leaf in inner:
        leaf_codes, leaf_text = split_exit_codes(leaf.get("discussion"))
        page.macro(".Ss", word(" ".join(leaf_path[1:])))
        page.text((leaf.get("abstract") or "") + "\n\n" + leaf_text)
        options(page, leaf)
        if leaf_codes:
            codes = (codes + "\n\n" + leaf_codes).strip()
    if not inner:
        page.macro(".Sh OPTIONS")
        options(page, command)
    page.macro(".Sh EXIT STATUS")
    exit_status(page, codes or "Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.")
    page.macro(".Sh SEE ALSO")
    others = ["amargo"] + [s for s in mentioned(command, siblings) if s != name]
    for i, other in enumerate(sorted(set(others))):
        page.macro(".Xr", other, "1", "," if i + 1 < len(set(others)) else "")
    page.lines = [line.rstrip() for line in page.lines]
    return page


def mentioned(command, siblings):
    text = json.dumps(command)
    return [name for name in siblings if re.search(r"\bamargo " + re.escape(name[len("amargo-"):]) + r"\b", text)]


def leaves_of(command, path):
    inner = subcommands_of(command)
    if not inner:
        return [(path, command)]
    return [leaf for sub in inner for leaf in leaves_of(sub, path + [sub["commandName"]])]


def main_page(root, settings):
    page = Page()
    _, discussion = split_exit_codes(root.get("discussion"))
    head(page, root["commandName"], root["abstract"], settings)
    page.macro(".Sh SYNOPSIS")
    page.macro(".Nm", word(root["commandName"]))
    page.macro(".Ar command")
    page.macro(".Op Ar options")
    page.macro(".Nm", word(root["commandName"]))
    page.macro(".Cm help Ar command")
    page.macro(".Nm", word(root["commandName"]))
    page.macro(".Fl -version")
    page.macro(".Sh DESCRIPTION")
    page.text(root["abstract"] + "\n\n" + discussion)
    page.macro(".Pp")
    page.text("Each command has a page of its own.")
    page.macro(".Bl -tag -width Ds")
    for command in subcommands_of(root):
        page.macro(".It", "Xr", "-".join([root["commandName"], command["commandName"]]), "1")
        page.text(command.get("abstract") or "")
    page.macro(".El")
    page.raw((pathlib.Path(__file__).parent / "amargo.mdoc").read_text())
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True)
    parser.add_argument("--date", required=True, type=datetime.date.fromisoformat)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    settings = parser.parse_args()
    root = json.load(sys.stdin)["command"]
    settings.output.mkdir(parents=True, exist_ok=True)
    name = root["commandName"]
    siblings = ["-".join([name, c["commandName"]]) for c in subcommands_of(root)]
    pages = {name: main_page(root, settings)}
    for command in subcommands_of(root):
        path = [name, command["commandName"]]
        pages["-".join(path)] = command_page(command, path, settings, siblings)
    for title, page in pages.items():
        (settings.output / (title + ".1")).write_text(str(page))


if __name__ == "__main__":
    main()
