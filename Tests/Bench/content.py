"""The files that all servers get their content from, each under the hexadecimal digits of its digest."""
import hashlib
import json
import os
import random
import shutil

MiB, GiB = 1 << 20, 1 << 30
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_SPARSE = GiB // 2  # files from this size on are holes but for their beginning: they cost no disk, and are as fast from memory


class Blob:
    def __init__(self, hexadecimal, size):
        self.hex, self.size = hexadecimal, size

    @property
    def digest(self):
        return f"sha256:{self.hex}"

    def path(self, repository="bench/app"):
        return f"/v2/{repository}/blobs/{self.digest}"

    def manifest_path(self, repository="bench/app"):
        return f"/v2/{repository}/manifests/{self.digest}"

    def tag_path(self, repository="bench/app"):
        """A tag that names its digest: the upstream needs no table of them."""
        return f"/v2/{repository}/manifests/t{self.hex}"


class Image:
    def __init__(self, repository, manifest, blobs):
        self.repository, self.manifest, self.blobs = repository, manifest, blobs

    def requests(self):
        """What an engine asks for: [(path, length)]."""
        paths = [(self.manifest.tag_path(self.repository), self.manifest.size)]
        return paths + [(blob.path(self.repository), blob.size) for blob in self.blobs]


class Content:
    def __init__(self, folder):
        self.folder = os.path.join(folder, "content")
        os.makedirs(self.folder)
        self._made = {}

    def blob(self, size, number=0):
        """The same for the same size and number; made when it is first asked for."""
        if (size, number) not in self._made:
            self._made[size, number] = self._make(size, f"{size}/{number}")
        return self._made[size, number]

    def bytes(self, data):
        blob = Blob(hashlib.sha256(data).hexdigest(), len(data))
        with open(os.path.join(self.folder, blob.hex), "wb") as file:
            file.write(data)
        return blob

    def image(self, repository, sizes, number):
        layers = [self.blob(size, f"{number}/{index}") for index, size in enumerate(sizes)]
        config = self.bytes(json.dumps({"architecture": "amd64", "os": "linux", "number": number, "rootfs": {
            "type": "layers", "diff_ids": [layer.digest for layer in layers]}}).encode())
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self._descriptor(config, "config.v1+json"),
                    "layers": [self._descriptor(layer, "layer.v1.tar") for layer in layers]}
        return Image(repository, self.bytes(json.dumps(document).encode()), [config, *layers])

    @staticmethod
    def _descriptor(blob, kind):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": blob.digest, "size": blob.size}

    def small_images(self, count):
        """Twelve layers of 4 to 400 KiB each; small ones are more frequent, as they are in life."""
        chance = random.Random(count)
        return [self.image(f"bench/small-{number}", [int(4096 * 100 ** chance.random()) for _ in range(12)], number)
                for number in range(count)]

    def forget(self, *blobs):
        """Takes the files of large blobs off the disk and out of memory."""
        for blob in blobs:
            os.unlink(os.path.join(self.folder, blob.hex))
        gone = {blob.hex for blob in blobs}
        self._made = {key: blob for key, blob in self._made.items() if blob.hex not in gone}

    def _make(self, size, seed):
        part = random.Random(seed).randbytes(min(size, MiB))
        path = os.path.join(self.folder, "new")
        with open(path, "wb") as file:
            if size < _SPARSE:
                for offset in range(0, size, len(part)):
                    file.write(part[:size - offset])
            else:
                file.write(part)
                file.truncate(size)
        with open(path, "rb") as file:
            hexadecimal = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)
        os.rename(path, os.path.join(self.folder, hexadecimal))
        return Blob(hexadecimal, size)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def _sha256(file):
    """For Python before 3.11."""
    hashed = hashlib.sha256()
    while part := file.read(MiB):
        hashed.update(part)
    return hashed.hexdigest()
