"""Bundles: how fast images leave the store for a folder or a tar."""
import os
import shutil
import subprocess
import time

import load
from content import MiB
from figures import Target
from processes import NotMeasured
from rows import AMARGO, Row

_CLIENTS = 16


class Exported(Row):
    """A row of a store that is filled once and that nobody serves while it is exported."""

    def fill(self, lab, images):
        self.server = lab.server(AMARGO)
        plans = [[load.get(*request) for image in images[client::_CLIENTS] for request in image.requests()]
                 for client in range(_CLIENTS)]
        load.run(self.server.port, [plan for plan in plans if plan])
        self.server.process.end()
        self.folder = lab.path("bundles")
        os.makedirs(self.folder)
        lab.settle()

    def export(self, lab, output, images, *options):
        """Seconds of an export of everything, which has to be complete."""
        arguments = [lab.binary, "export", "--store", self.server.store, "--all", "--output", output, *options]
        began = time.monotonic()
        result = subprocess.run(arguments, capture_output=True, text=True)
        wall = time.monotonic() - began
        if result.returncode != 0 or f": {images:,} image" not in result.stdout:
            raise NotMeasured(f"export has ended with {result.returncode}: {(result.stdout + result.stderr)[-300:]}")
        return wall

    def close(self, lab):
        super().close(lab)
        shutil.rmtree(self.folder, ignore_errors=True)


class Links(Exported):
    name, title = "export-links", "export of 1,000 images to a folder by links (--quick: 50)"
    targets = (Target("s", "<=", 2, unit="s"),)

    def open(self, lab):
        self.images = lab.content.small_images(lab.pick(1000, 50))
        self.fill(lab, self.images)

    def measure(self, lab, peer):
        output = os.path.join(self.folder, "bundle")
        wall = self.export(lab, output + "/", len(self.images))
        blob = self.images[0].blobs[0]
        if not os.path.samefile(os.path.join(output, "blobs", "sha256", blob.hex), self.server.path_of(blob)):
            raise NotMeasured("the folder is not made of links")
        shutil.rmtree(output)
        return {"s": wall}


class Archive(Exported):
    name, title = "export-tar", "export of 4 GiB to a tar (--quick: 512 MiB), beside cp and sync of the same blobs"
    peers = (AMARGO, "cp")
    targets = (Target("MB/s", ">=", 0.8, of="cp"),)

    def open(self, lab):
        layers = [lab.pick(256, 64) * MiB] * 4
        self.images = [lab.content.image(f"bench/large-{number}", layers, f"export {number}") for number in range(lab.pick(4, 2))]
        self.fill(lab, self.images)
        self.blobs = [blob for image in self.images for blob in [image.manifest, *image.blobs]]
        self.size = sum(blob.size for blob in self.blobs)

    def measure(self, lab, peer):
        lab.settle()
        output = os.path.join(self.folder, "bundle.tar")
        if peer == AMARGO:
            wall = self.export(lab, output, len(self.images))
            os.unlink(output)
        else:
            files = [self.server.path_of(blob) for blob in self.blobs]
            os.makedirs(output)
            began = time.monotonic()
            subprocess.run(["cp", *files, output], check=True)
            subprocess.run(["sync", "--file-system", output], check=True)
            wall = time.monotonic() - began
            shutil.rmtree(output)
        return {"MB/s": self.size / 1e6 / wall}

    def close(self, lab):
        super().close(lab)
        lab.content.forget(*(blob for image in self.images for blob in image.blobs[1:]))


ROWS = [Links(), Archive()]
