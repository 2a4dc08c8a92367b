"""Says whether a store is sound, without any of the program's own code.

Two states are told apart. *Crashed*: no process has the store; what a start would mend (a torn tail, open deletes, the
spool) may be there. *Clean*: the program was started, was stopped by SIGTERM and had time to mend.
"""
import hashlib
import json
import os
import re
import stat

import journal as journals

_ROOT = re.compile(r"store\.json|\.store\.json\.tmp|store\.lock|amargo\.sock|journal\.jsonl(\.new|\.torn|\.bad-\d+)?"
                   r"|statistics\.json(\.bad)?|\.statistics\.json\.tmp|blobs|repositories|spool|quarantine|lost\+found")
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}
_SPOOL = re.compile(r"(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})\.\d+")
_QUARANTINE = re.compile(r"sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128}")
_LAYOUT_FILES = {"oci-layout", "index.json", ".index.json.tmp", ".oci-layout.tmp"}
_RESUMABLE = 16 << 20  # spool files from this size on wait for a resume
_MANIFEST_LIMIT = 4 << 20


class Oracle:
    def __init__(self, binary):
        self.binary = binary
        self._hashed = {}  # path: (inode, mtime, size) of what was right when it was last looked at
        self.blobs_hashed = 0
        self.layouts = self.layouts_behind = 0  # seen in clean stores; those that lack what the journal has

    def forget(self):
        """The next look hashes everything again."""
        self._hashed = {}

    def inspect(self, store, is_clean, quarantine_expected=False, damage_expected=False):
        """Looks at a store that nobody has open; see `Look` for what was found."""
        look = Look(self, store, is_clean, quarantine_expected, damage_expected)
        look.run()
        return look

    def verify(self, store):
        """The program's own opinion; None when the binary has no `verify`."""
        if not self.binary.has("verify"):
            return None
        result = self.binary.run("verify", "--store", store)
        if result.returncode == 0:
            return []
        text = (result.stdout + result.stderr).strip().splitlines()
        return [f"amargo verify ends with {result.returncode}: {' | '.join(text[-6:])}"]


class Look:
    """One walk over a store: `problems`, its `journal`, and its `blobs`."""

    def __init__(self, oracle, store, is_clean, quarantine_expected, damage_expected):
        self.oracle, self.store, self.is_clean = oracle, store, is_clean
        self.quarantine_expected, self.damage_expected = quarantine_expected, damage_expected
        self.problems = []
        self.blobs = {}  # digest: stat
        self.quarantined = {}  # inode: name
        self.journal = None

    def missing(self, acknowledged, generation=None):
        """What the server said it has and nothing but a delete may have removed.

        `generation`: that of the journal when the deletes before were counted; a compaction since then has dropped the lines
        of other deletes, so that nothing can be said. None: nothing is removed in this store.
        """
        if generation is not None and self.generation != generation:
            return []
        gone = set(acknowledged) - set(self.blobs) - self.journal.removed
        return [f"acknowledged content is gone: {digest}" for digest in sorted(gone)]

    @property
    def generation(self):
        return (self.journal.header or {}).get("g", 0)

    def problem(self, text):
        self.problems.append(text)

    def run(self):
        self._root()
        self.journal = journals.read(os.path.join(self.store, "journal.jsonl"))
        if not self.damage_expected:
            self.problems += [f"journal: {text}" for text in self.journal.problems]
        if self.is_clean:
            if self.journal.header is None:
                self.problem("journal: missing or without a header")
            if self.journal.torn:
                self.problem(f"journal: {self.journal.torn} bytes of torn tail after a clean stop")
            for digest in self.journal.intents:
                self.problem(f"journal: the delete of {digest} was never finished")
        self._blobs()
        self._catalog()
        self._spool()
        self._quarantine()
        self._layouts()

    def _entries(self, *path):
        folder = os.path.join(self.store, *path)
        try:
            return sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return []

    def _root(self):
        for entry in self._entries():
            if not _ROOT.fullmatch(entry.name):
                self.problem(f"a stranger in the store: {entry.name}")
            elif self.is_clean and entry.name in (".store.json.tmp", "journal.jsonl.new", ".statistics.json.tmp"):
                self.problem(f"left behind after a clean stop: {entry.name}")
            elif entry.name.startswith("journal.jsonl.bad-") and not self.damage_expected:
                self.problem(f"the journal was found damaged: there is {entry.name}")
            elif entry.name == "statistics.json.bad" and not self.damage_expected:
                self.problem("statistics were found damaged, which are replaced as a whole")

    def _blobs(self):
        for algorithm in self._entries("blobs"):
            pattern = _HEX.get(algorithm.name)
            if not pattern:
                self.problem(f"a stranger in the store: blobs/{algorithm.name}")
                continue
            for shard in self._entries("blobs", algorithm.name):
                if not re.fullmatch(r"[0-9a-f]{2}", shard.name):
                    self.problem(f"a stranger in the store: blobs/{algorithm.name}/{shard.name}")
                    continue
                for entry in self._entries("blobs", algorithm.name, shard.name):
                    status = entry.stat(follow_symlinks=False)
                    if not pattern.fullmatch(entry.name) or entry.name[:2] != shard.name or not stat.S_ISREG(status.st_mode):
                        self.problem(f"a stranger in the store: {os.path.relpath(entry.path, self.store)}")
                        continue
                    self._blob(f"{algorithm.name}:{entry.name}", entry.path, status)

    def _blob(self, digest, path, status):
        self.blobs[digest] = status
        if status.st_mode & 0o222:
            self.problem(f"{digest} may be written to (mode {stat.S_IMODE(status.st_mode):o})")
        fingerprint = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self.oracle._hashed.get(path) == fingerprint:
            return
        algorithm, expected = digest.split(":")
        hashed, first = hashlib.new(algorithm), b""
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                first = first or part
                hashed.update(part)
        self.oracle.blobs_hashed += 1
        if hashed.hexdigest() == expected:
            self.oracle._hashed[path] = fingerprint
            return
        nuls = " of NULs" if first and not first.strip(b"\0") else ""
        self.problem(f"{digest} is damaged: {status.st_size} bytes{nuls} that hash to {hashed.hexdigest()}")

    def _catalog(self):
        for digest, entry in self.journal.entries.items():
            status = self.blobs.get(digest)
            if status is None:
                self.problem(f"the catalog has {digest} ({entry.size} bytes) and there is no such blob")
            elif status.st_size != entry.size:
                self.problem(f"the catalog gives {digest} {entry.size} bytes and the blob has {status.st_size}")
            elif entry.children is not None and status.st_size <= _MANIFEST_LIMIT:
                self._edges(digest, entry)

    def _edges(self, digest, entry):
        """What the journal says of a manifest's children, compared with the manifest."""
        algorithm, name = digest.split(":")
        with open(os.path.join(self.store, "blobs", algorithm, name[:2], name), "rb") as file:
            data = file.read()
        try:
            document = json.loads(data)
        except ValueError:
            return  # damaged, which has been said
        children = [child["digest"] for child in document.get("manifests", [])]
        children += [document["config"]["digest"]] if "config" in document else []
        children += [layer["digest"] for layer in document.get("layers", [])]
        if set(children) != set(entry.children):
            self.problem(f"the journal's edges of {digest} are not those of the manifest")

    def _spool(self):
        for entry in self._entries("spool"):
            size = entry.stat(follow_symlinks=False).st_size
            if not _SPOOL.fullmatch(entry.name):
                self.problem(f"a stranger in the store: spool/{entry.name}")
            elif self.is_clean and size < _RESUMABLE:
                self.problem(f"left behind after a clean stop: spool/{entry.name} ({size} bytes)")

    def _quarantine(self):
        for entry in self._entries("quarantine"):
            self.quarantined[entry.inode()] = entry.name
            if not _QUARANTINE.fullmatch(entry.name):
                self.problem(f"a stranger in the store: quarantine/{entry.name}")
            elif not self.quarantine_expected:
                self.problem(f"a blob was found damaged: quarantine/{entry.name}")

    def _layouts(self):
        waiting = ["repositories"]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder):
                path = os.path.join(folder, entry.name)
                if not entry.is_dir(follow_symlinks=False):
                    self.problem(f"a stranger in the store: {path}")
                elif entry.name == "_oci":
                    self._layout(path)
                else:
                    waiting.append(path)

    def _layout(self, folder):
        repository = folder[len("repositories/"):-len("/_oci")]
        for entry in self._entries(folder):
            if entry.name == "blobs" and entry.is_dir(follow_symlinks=False):
                for algorithm in self._entries(folder, "blobs"):
                    for link in self._entries(folder, "blobs", algorithm.name):
                        self._link(f"{algorithm.name}:{link.name}", link.inode(), repository)
            elif entry.name not in _LAYOUT_FILES:
                self.problem(f"a stranger in the store: {folder}/{entry.name}")
        if self.is_clean:
            self._index(folder)
            self._completeness(folder, repository)

    def _link(self, digest, inode, repository):
        blob = self.blobs.get(digest)
        if blob is not None and blob.st_ino == inode:
            return
        # A blob in quarantine keeps its links until its successor's take their place.
        if not self.is_clean and (digest in self.journal.intents or inode in self.quarantined):
            return
        what = "which is not in blobs/" if blob is None else "which is another file than the one in blobs/"
        self.problem(f"the layout of {repository} has {digest}, {what}")

    def _index(self, folder):
        """After a clean stop a layout's index names only what is in the layout."""
        try:
            with open(os.path.join(self.store, folder, "index.json"), "rb") as file:
                document = json.load(file)
        except FileNotFoundError:
            return
        except ValueError as error:
            return self.problem(f"{folder}/index.json is no JSON: {error}")
        for descriptor in document.get("manifests", []):
            algorithm, name = descriptor["digest"].split(":")
            if not os.path.exists(os.path.join(self.store, folder, "blobs", algorithm, name)):
                self.problem(f"{folder}/index.json names {descriptor['digest']}, which the layout does not have")

    def _completeness(self, folder, repository):
        """Layouts are derived and may be behind after a crash; how often is counted, and no failure."""
        self.oracle.layouts += 1
        wanted = self.journal.links.get(repository, set()) & set(self.journal.entries)
        names = {entry.name for entry in self._entries(folder)}
        if not {"index.json", "oci-layout"} <= names or any(
                not os.path.exists(os.path.join(self.store, folder, "blobs", *digest.split(":"))) for digest in wanted):
            self.oracle.layouts_behind += 1
