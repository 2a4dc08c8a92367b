"""Replays a store's journal without any of the program's own code.

A line is a JSON object that ends in `,"c":"XXXXXXXX"}` and LF: zlib's CRC-32 of all bytes before that suffix. The first
is the header, every other one carries its generation `g` and a number `q` that rises by one.
"""
import json
import os
import zlib

_SUFFIX = 16
_LONGEST = 16 << 10


class Entry:
    def __init__(self, size, children=None):
        self.size = size
        self.children = children  # digests, for a manifest whose edges are all there


class Journal:
    """What the file says, and what is wrong with it."""

    def __init__(self):
        self.header = None
        self.entries = {}  # digest: Entry
        self.links = {}  # repository: digests
        self.tags = {}  # (repository, tag): digest
        self.pins = set()
        self.intents = set()  # "delete" without "deleted"
        self.removed = set()  # every digest that a "delete" or "deleted" line ever named
        self.deletes = 0  # "delete" lines
        self.lines = 0
        self.torn = 0  # bytes behind the last valid line
        self.problems = []
        self._edges = {}

    def _apply(self, fields):
        operation, digest, repository = fields.get("op"), fields.get("d"), fields.get("repo")
        if operation == "edges":
            self._edges.setdefault(digest, []).extend(fields["kids"])
        elif operation in ("blob", "manifest"):
            children = None
            if operation == "manifest":
                kids = self._edges.pop(digest, []) + fields.get("kids", [])
                children = [kid[1] for kid in kids] if len(kids) == fields.get("n") else None
            known = self.entries.get(digest)
            self.entries[digest] = Entry(fields["size"], children if children is not None else known and known.children)
            self.intents.discard(digest)
            if repository:
                self.links.setdefault(repository, set()).add(digest)
        elif operation == "link":
            self.links.setdefault(repository, set()).add(digest)
        elif operation == "unlink":
            self.links.get(repository, set()).discard(digest)
        elif operation == "tag":
            self.tags[repository, fields["ref"]] = digest
            # Later generations begin with a snapshot, in which a name may have outlived its content.
            if self.header["g"] == 1 and digest not in self.entries and digest not in self.removed:
                self.problems.append(f"line {self.lines}: the tag {repository}:{fields['ref']} comes before its manifest {digest}")
        elif operation == "untag":
            self.tags.pop((repository, fields["ref"]), None)
        elif operation == "delete":
            self.entries.pop(digest, None)
            self.intents.add(digest)
            self.removed.add(digest)
            self.deletes += 1
        elif operation == "deleted":
            self.entries.pop(digest, None)
            self.intents.discard(digest)
            self.removed.add(digest)
        elif operation in ("pin", "unpin"):
            name = (repository, fields.get("ref"), digest)
            self.pins.add(name) if operation == "pin" else self.pins.discard(name)
        # `use` and what this harness does not know change nothing here.


def _fields(line):
    """The members of an intact line, or None."""
    if not _SUFFIX < len(line) < _LONGEST or line[:1] != b"{" or any(not 0x20 <= byte < 0x7F for byte in line):
        return None
    body, suffix = line[:-_SUFFIX], line[-_SUFFIX:]
    if suffix != b',"c":"%08x"}' % zlib.crc32(body):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def read(path):
    """Replays a file. A missing one is an empty journal without a header."""
    journal = Journal()
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return journal
    offset, good, last = 0, 0, 0
    damaged = None  # number of the first line that is not valid
    number = 0
    while offset < len(data):
        end = data.find(b"\n", offset)
        line, offset = data[offset:end if end >= 0 else len(data)], end + 1 if end >= 0 else len(data)
        number += 1
        fields = _fields(line) if end >= 0 else None
        if fields is None:
            damaged = damaged or number
            continue
        if journal.header is None:
            if damaged or fields.get("amargo") != "journal":
                break
            journal.header, good = fields, offset
            continue
        if damaged:
            journal.problems.append(f"line {damaged} is damaged and line {number} behind it is valid")
            damaged = None
        if fields.get("g") != journal.header["g"]:
            journal.problems.append(f"line {number} has generation {fields.get('g')} instead of {journal.header['g']}")
        elif fields.get("q") != last + 1:
            journal.problems.append(f"line {number} has the number {fields.get('q')} behind {last}")
        last, good = fields.get("q", last), offset
        journal.lines = number
        journal._apply(fields)
    if journal.header is None:
        if data:
            journal.problems.append(f"no header in {len(data)} bytes beginning with {data[:40]!r}")
    else:
        journal.torn = len(data) - good
    return journal


def compact_bytes(folder):
    """Bytes of the journal's files in a store."""
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.startswith("journal.jsonl"))
