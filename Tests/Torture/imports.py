"""SIGKILL at random moments of an import: an image is there as a whole or not at all, and the next try completes it."""
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time

from images import OCI_INDEX, Images
from oracle import Oracle
from server import DidNotStart, Server

_EPOCH = 8  # rounds with the same images; then others are made
_FORMS = ("folder", "folder", "link", "tar", "tar", "gzip", "pipe", "parts")
_NAMESPACE = "torture.test"


class Bundle:
    """Some images as `amargo import` can take them."""

    def __init__(self, folder, images):
        self.images = images
        self.layout = os.path.join(folder, "layout")
        shutil.rmtree(self.layout, ignore_errors=True)
        os.makedirs(os.path.join(self.layout, "blobs", "sha256"))
        self.files = []
        entries = []
        for image in images:
            for digest, (_, data) in image.manifests.items():
                self._blob(digest, data)
            for digest, data in image.configs.items():
                self._blob(digest, data)
            for digest, layer in image.layers.items():
                self._blob(digest, layer.make())
            kind, data = image.manifests[image.root]
            name = f"{_NAMESPACE}/{image}"
            entries.append({"mediaType": kind, "digest": image.root, "size": len(data), "annotations": {
                "dev.amargo.repository": f"{_NAMESPACE}/{image.repository}", "dev.amargo.at": "1700000000",
                "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        self._write("index.json", json.dumps(index).encode())
        self._write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.bytes = sum(os.path.getsize(os.path.join(self.layout, name)) for name in self.files)

    def _blob(self, digest, data):
        name = "blobs/sha256/" + digest.split(":")[1]
        if name not in self.files:
            self._write(name, data)

    def _write(self, name, data):
        with open(os.path.join(self.layout, name), "wb") as file:
            file.write(data)
        self.files.append(name)

    def make(self, form, folder):
        """Returns arguments of `amargo import` and what it gets as standard input."""
        if form == "folder":
            return [self.layout], None
        if form == "link":
            copy = os.path.join(folder, "linked")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.layout, copy)
            return ["--link", copy], None
        path = os.path.join(folder, "bundle.tar")
        with tarfile.open(path, "w") as tar:
            for name in self.files:
                tar.add(os.path.join(self.layout, name), name)
        if form == "tar":
            return [path], None
        if form == "parts":
            return [self._split(path)], None
        with open(path, "rb") as plain, gzip.open(path + ".gz", "wb", 1) as packed:
            shutil.copyfileobj(plain, packed)
        return ([path + ".gz"], None) if form == "gzip" else (["-"], path)

    @staticmethod
    def _split(path):
        with open(path, "rb") as file:
            data = file.read()
        lines = []
        size = len(data) // 3 + 1
        for number in range(3):
            part = data[number * size:(number + 1) * size]
            with open(f"{path}.{number + 1:03}", "wb") as file:
                file.write(part)
            lines.append(f"{hashlib.sha256(part).hexdigest()}  {os.path.basename(path)}.{number + 1:03}\n")
        with open(path + ".sha256", "w") as file:
            file.writelines(lines)
        return path + ".sha256"


def run(report, binary):
    if not binary.has("import"):
        report.skip("the program has no import", report.rounds)
        return
    oracle = Oracle(binary)
    store = os.path.join(report.folder, "store")
    bundle = None
    kills = 0
    try:
        for number in range(1, report.rounds + 1):
            rng = report.random(number)
            if bundle is None or (number - 1) % _EPOCH == 0:
                first = (number - 1) // _EPOCH * 8
                images = Images(report.seed, large_every=16)
                bundle = Bundle(report.folder, [images.image(first + count) for count in range(rng.randint(3, 8))])
            shutil.rmtree(store, ignore_errors=True)
            oracle.forget()
            problems, killed = _round(rng, report, binary, oracle, store, bundle)
            kills += killed
            if problems:
                report.fail(number, problems, report.keep(store, number))
            report.finished(number, f"{kills} kills in the middle")
    finally:
        Server.end_all()
    report.notes.append(f"{kills} imports were killed before their end, {oracle.blobs_hashed} blobs hashed")


def _round(rng, report, binary, oracle, store, bundle):
    arguments, stdin = bundle.make(rng.choice(_FORMS), report.folder)
    server = None
    if rng.random() < 0.3:
        server = Server(binary, report.folder, store, "http://127.0.0.1:9")
    problems, kills = [], 0
    # About how long it takes, so that kills fall everywhere; most of a short import is making the store.
    longest = 0.12 + bundle.bytes / 300e6
    for _ in range(rng.randint(1, 3)):
        if server:
            try:
                server.start()
            except DidNotStart as error:
                return [str(error)], kills
        process = _start(binary, store, arguments, stdin, report.folder)
        time.sleep(rng.uniform(0, longest))
        victim = server if server and rng.random() < 0.5 else None
        if victim:
            victim.kill()
            code = _wait(process)
            kills += code != 0
        else:
            process.kill()
            code = process.wait()
            kills += code == -9
            if server:
                server.kill()
        if code is None or code < 0 and code != -9:
            problems.append(f"the import ended with {code}")
        if os.path.isdir(store):
            look = oracle.inspect(store, is_clean=False)
            problems += look.problems + _partial(look, bundle)
    return problems + _complete(binary, oracle, store, bundle, arguments, stdin, server, report.folder), kills


def _start(binary, store, arguments, stdin, folder):
    source = open(stdin, "rb") if stdin else subprocess.DEVNULL
    with open(os.path.join(folder, "import.log"), "ab") as log:
        process = subprocess.Popen([binary.path, "import", "--store", store, *arguments], stdin=source, stdout=log, stderr=log)
    if stdin:
        source.close()
    return process


def _wait(process):
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def _partial(look, bundle):
    """Whatever a name or a known manifest leads to has to be there."""
    problems = []
    entries = look.journal.entries
    for image in bundle.images:
        repository = f"{_NAMESPACE}/{image.repository}"
        named = look.journal.tags.get((repository, image.tag)) == image.root
        known = {digest for digest in image.manifests if digest in entries and entries[digest].children is not None}
        if named and image.root not in known:
            problems.append(f"{image} has its name before its manifest")
        needed = set(image.digests) if image.root in known else set()
        for digest in known:
            needed |= set(entries[digest].children)
        held = look.journal.links.get(repository, set())
        for digest in needed:
            if digest not in entries or digest not in look.blobs:
                problems.append(f"{image} is known, and {digest} is not there")
            elif named and digest not in held:
                problems.append(f"{image} has its name, and its repository does not hold {digest}")
    return problems


def _complete(binary, oracle, store, bundle, arguments, stdin, server, folder):
    """The next try ends well, and everything is there."""
    if server:
        try:
            server.start()
        except DidNotStart as error:
            return [str(error)]
    code = _wait(_start(binary, store, arguments, stdin, folder))
    problems = [] if code == 0 else [f"the last import ended with {code}"]
    if server and server.stop() != 0:
        problems.append("SIGTERM did not end the server with 0")
    oracle.forget()
    look = oracle.inspect(store, is_clean=True)
    problems += look.problems + _partial(look, bundle)
    for image in bundle.images:
        if look.journal.tags.get((f"{_NAMESPACE}/{image.repository}", image.tag)) != image.root:
            problems.append(f"{image} is missing after an import that ended well")
    known = {digest for image in bundle.images for digest in image.digests}
    problems += [f"something else is stored: {digest}" for digest in set(look.journal.entries) - known]
    return problems + (oracle.verify(store) or [])
