"""Bundles: how fast images come into the store."""
import hashlib
import json
import os
import shutil
import subprocess
import time

from content import MiB
from figures import Target
from processes import NotMeasured
from rows import AMARGO, Row

_OCI = "application/vnd.oci.image."


class Links(Row):
    name = "import-links"
    title = "import of a 4 GiB folder with --link (--quick: 512 MiB), beside openssl dgst -sha256 of the same files on all cores"
    peers = (AMARGO, "openssl")
    targets = (Target("MB/s", ">=", 0.85, of="openssl"),)

    def open(self, lab):
        self.folder, self.store = lab.path("import"), lab.path("import-store")
        os.makedirs(os.path.join(self.folder, "blobs", "sha256"))
        self.files, entries = [], []
        for image in range(lab.pick(8, 4)):
            layers = [self._descriptor("layer.v1.tar+gzip", os.urandom(lab.pick(128, 32) * MiB)) for _ in range(4)]
            config = self._descriptor("config.v1+json", json.dumps({"os": "linux", "architecture": "amd64", "image": image}).encode())
            document = {"schemaVersion": 2, "config": config, "layers": layers}
            entry = self._descriptor("manifest.v1+json", json.dumps(document).encode())
            entry["annotations"] = {"org.opencontainers.image.ref.name": f"docker.io/bench/image{image}:1"}
            entries.append(entry)
        self._write("index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
        self._write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.size = sum(map(os.path.getsize, self.files))
        lab.settle()

    def _descriptor(self, kind, data):
        digest = hashlib.sha256(data).hexdigest()
        self.files.append(self._write(f"blobs/sha256/{digest}", data))
        return {"mediaType": _OCI + kind, "digest": f"sha256:{digest}", "size": len(data)}

    def _write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def measure(self, lab, peer):
        shutil.rmtree(self.store, ignore_errors=True)
        given = None
        if peer == AMARGO:
            command = [lab.binary, "import", "--link", "--store", self.store, self.folder]
        else:
            command = ["xargs", "-0", "-n", "1", "-P", str(os.cpu_count()), "openssl", "dgst", "-sha256"]
            given = "\0".join(self.files)
        began = time.monotonic()
        result = subprocess.run(command, input=given, capture_output=True, text=True)
        wall = time.monotonic() - began
        if result.returncode != 0:
            raise NotMeasured(f"{peer} has ended with {result.returncode}: {(result.stdout + result.stderr)[-300:]}")
        if peer == AMARGO and os.stat(self.files[0]).st_nlink < 2:
            raise NotMeasured("nothing was linked")
        return {"MB/s": self.size / 1e6 / wall}

    def close(self, lab):
        super().close(lab)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.store, ignore_errors=True)


ROWS = [Links()]
