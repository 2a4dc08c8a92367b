#!/usr/bin/env python3
"""Makes a whole store of small images: journal and content, as a server would have left it, to measure how its cost grows.

    Tests/Tools/make-store.py FOLDER BLOBS        about that many blobs, of 4 KiB on the disk each

An image is a manifest, a config and nine layers; ten images make a repository, `docker.io/library/image-NUMBER`, with the tags 0 to
9. The paths of the manifests, by digest, are written to FOLDER.paths, one a line. Equal arguments give equal bytes. The image layouts are left to the
server, which makes a repository's when something in it changes.
"""

import hashlib
import json
import os
import random
import sys
import zlib

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYERS = 9


class Store:
    def __init__(self, folder):
        self.folder = folder
        self.sequence = 0
        for algorithm in ("sha256", "sha512"):
            for shard in range(256):
                os.makedirs(f"{folder}/blobs/{algorithm}/{shard:02x}", mode=0o755)
        for name in ("repositories", "spool", "quarantine"):
            os.mkdir(f"{folder}/{name}", mode=0o700)
        os.chmod(folder, 0o700)
        open(f"{folder}/store.lock", "x").close()
        with open(f"{folder}/store.json", "x") as file:
            file.write('{"amargo":"store","format":1,"id":"4f6c1b0e"}\n')
        self.journal = open(f"{folder}/journal.jsonl", "xb", buffering=1 << 20)
        self.journal.write(sealed('{"amargo":"journal","format":1,"minReader":1,"g":1,"store":"4f6c1b0e","live":0'))

    def line(self, members):
        self.sequence += 1
        self.journal.write(sealed(f'{{"g":1,"q":{self.sequence},{members}'))

    def content(self, data):
        """Stores bytes; returns their descriptor's digest and size."""
        digest = hashlib.sha256(data).hexdigest()
        descriptor = os.open(f"{self.folder}/blobs/sha256/{digest[:2]}/{digest}", os.O_WRONLY | os.O_CREAT, 0o444)
        os.write(descriptor, data)
        os.close(descriptor)
        return f"sha256:{digest}", len(data)


def sealed(body):
    body = body.encode()
    return body + b',"c":"%08x"}\n' % zlib.crc32(body)


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder, blobs = sys.argv[1], int(sys.argv[2])
    chance = random.Random(1)
    store = Store(folder)
    with open(f"{folder}.paths", "w") as paths:
        for image in range(blobs // (LAYERS + 2)):
            name = f"library/image-{image // 10}"
            digest = store_image(store, f"docker.io/{name}", image % 10, 1_764_000_000 + image, chance)
            paths.write(f"/v2/{name}/manifests/{digest}\n")
    store.journal.close()


def store_image(store, repository, tag, now, chance):
    layers = [store.content(chance.randbytes(chance.randrange(200, 4_000))) for _ in range(LAYERS)]
    config = store.content(json.dumps({"os": "linux", "architecture": "amd64", "created": f"{now}"}).encode() + b" " * (now % 50))
    parts = [("config", CONFIG, *config)] + [("layer", LAYER, *layer) for layer in layers]
    described = [{"mediaType": kind, "digest": digest, "size": size} for _, kind, digest, size in parts]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
    digest, size = store.content(json.dumps(manifest).encode())
    for _, _, blob, bytes_ in parts:
        store.line(f'"op":"blob","d":"{blob}","size":{bytes_},"repo":"{repository}","at":{now}')
    kids = ",".join(f'["{role}","{blob}",{bytes_}]' for role, _, blob, bytes_ in parts)
    store.line(
        f'"op":"manifest","d":"{digest}","size":{size},"type":"{MANIFEST}","repo":"{repository}","n":{len(parts)},"kids":[{kids}]'
        f',"at":{now}'
    )
    store.line(f'"op":"tag","repo":"{repository}","ref":"{tag}","d":"{digest}","at":{now}')
    store.line(f'"op":"use","d":"{digest}","at":{now}')
    return digest


main()
