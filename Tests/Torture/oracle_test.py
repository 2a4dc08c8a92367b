"""Shows that the oracle sees what it is there to see: `python3 Tests/Torture/oracle_test.py`."""
import json
import os
import shutil
import tempfile
import unittest
import zlib

import journal as journals
from images import Images
from oracle import Oracle


def line(fields):
    body = json.dumps(fields, separators=(",", ":"))[:-1].encode()
    return body + b',"c":"%08x"}\n' % zlib.crc32(body)


class NoBinary:
    def has(self, _command):
        return False


class OracleTest(unittest.TestCase):
    def setUp(self):
        self.store = tempfile.mkdtemp(prefix="oracle-")
        self.addCleanup(shutil.rmtree, self.store)
        for folder in ("spool", "quarantine", "blobs/sha512"):
            os.makedirs(self.path(folder))
        self.image = Images(1, largest=4096).image(2)
        self.layout = "repositories/torture.test/r/_oci"
        os.makedirs(self.path(self.layout, "blobs/sha256"))
        self.lines = [line({"amargo": "journal", "format": 1, "minReader": 1, "g": 1, "store": "00000001", "live": 0})]
        images = Images(1, largest=4096)
        images.image(2)
        for digest in self.image.digests:
            data = images.content(digest)[1]
            path = self.blob(digest)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o444)
            os.link(path, self.path(self.layout, "blobs", *digest.split(":")))
            self.add(op="blob", d=digest, size=len(data), repo="torture.test/r")
        self.add(op="tag", repo="torture.test/r", ref="t2", d=self.image.root, at=1)
        self.write("store.json", b"{}")
        self.write("store.lock", b"")
        self.write(self.layout + "/oci-layout", b"{}")
        self.write(self.layout + "/index.json", json.dumps({"manifests": [{"digest": self.image.root}]}).encode())

    def path(self, *parts):
        return os.path.join(self.store, *parts)

    def blob(self, digest):
        return self.path("blobs", digest.split(":")[0], digest.split(":")[1][:2], digest.split(":")[1])

    def write(self, name, data):
        path = self.path(name)
        if os.path.exists(path):
            os.chmod(path, 0o644)
        with open(path, "wb") as file:
            file.write(data)

    def add(self, **fields):
        self.lines.append(line({"g": 1, "q": len(self.lines), **fields}))

    def found(self, is_clean=True, acknowledged=()):
        self.write("journal.jsonl", b"".join(self.lines))
        look = Oracle(NoBinary()).inspect(self.store, is_clean)
        return " ".join(look.problems + look.missing(acknowledged))

    def test_a_sound_store_is_sound(self):
        self.assertEqual(self.found(), "")
        self.assertEqual(self.found(is_clean=False, acknowledged=self.image.digests), "")

    def test_the_checksums_are_those_of_the_format(self):
        for text in ('{"amargo":"journal","format":1,"minReader":1,"g":42,"store":"4f6c1b0e","c":"ccb21616"}',
                     '{"g":42,"q":17,"op":"pin","repo":"docker.io/library/nginx","ref":"1.27","at":1764000000,"c":"60ced3b6"}'):
            self.assertIsNotNone(journals._fields(text.encode()))
            self.assertIsNone(journals._fields(text.replace("1", "2", 1).encode()))

    def test_damaged_blobs(self):
        path = self.blob(self.image.root)
        with open(path, "rb") as file:
            data = file.read()
        for damaged in (b"x" + data[1:], data[:-1], b"", bytes(len(data))):
            os.chmod(path, 0o644)
            with open(path, "r+b") as file:
                file.truncate(0)
                file.write(damaged)
            os.chmod(path, 0o444)
            self.assertIn("is damaged", self.found())

    def test_a_missing_blob(self):
        os.unlink(self.blob(self.image.root))
        self.assertIn("there is no such blob", self.found())
        self.assertIn("acknowledged content is gone", self.found(acknowledged=[self.image.root]))

    def test_a_copy_in_the_place_of_a_link(self):
        path = self.path(self.layout, "blobs", *self.image.root.split(":"))
        shutil.copyfile(path, path + "x")
        os.rename(path + "x", path)
        self.assertIn("another file than the one in blobs/", self.found())

    def test_strangers(self):
        for name in ("core", "blobs/sha256/x", "spool/x", "quarantine/x", self.layout + "/x", "repositories/x"):
            self.write(name, b"")
            self.assertIn("a stranger in the store", self.found(), name)
            os.unlink(self.path(name))

    def test_what_a_clean_stop_leaves_behind(self):
        self.write("spool/" + self.image.root.replace(":", "-") + ".1", b"x")
        self.assertIn("left behind", self.found())
        self.assertEqual(self.found(is_clean=False), "")

    def test_an_open_delete(self):
        self.add(op="delete", d=self.image.root)
        self.assertIn("never finished", self.found())
        self.assertEqual(self.found(is_clean=False), "")
        self.add(op="deleted", d=self.image.root)
        self.assertEqual(self.found(is_clean=False), "")

    def test_damage_in_the_journal(self):
        whole = list(self.lines)
        self.lines[2:3] = []
        self.assertIn("has the number 3 behind 1", self.found())
        self.lines[:] = whole
        self.lines[2] = b"\0" * 20 + b"\n"
        self.assertIn("line 3 is damaged", self.found())
        self.lines[:] = whole
        self.lines[2] = self.lines[2].replace(b'"g":1', b'"g":2')
        self.assertIn("line 3 is damaged", self.found())

    def test_a_torn_tail(self):
        for tail in (b"\0" * 30, b'{"g":1'):
            self.lines.append(tail)
            self.assertEqual(self.found(is_clean=False), "")
            self.assertIn("torn tail", self.found())
            self.lines.pop()

    def test_a_tag_before_its_manifest(self):
        self.lines[1:] = []
        self.add(op="tag", repo="torture.test/r", ref="t2", d=self.image.root, at=1)
        self.assertIn("comes before its manifest", self.found(is_clean=False))

    def test_wrong_edges(self):
        data = self.image.manifests[self.image.root][1]
        self.add(op="manifest", d=self.image.root, size=len(data), type="x", n=1, kids=[["layer", self.image.root, 1]])
        self.assertIn("edges", self.found())


if __name__ == "__main__":
    unittest.main()
