#!/usr/bin/env python3
"""Writes a journal of many lines into a new store folder, to measure a start with it.

    Tests/Tools/make-journal.py FOLDER [LINES]        a million lines unless told; the blobs themselves do not exist

The mix: 60 % blob, 15 % manifest with 6 to 12 edges, 10 % link, 10 % tag, 5 % use. Equal arguments give equal bytes.
"""

import os
import random
import sys
import zlib

KINDS = ["blob"] * 60 + ["manifest"] * 15 + ["link"] * 10 + ["tag"] * 10 + ["use"] * 5


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    chance = random.Random(1)
    os.makedirs(folder, mode=0o700)
    with open(os.path.join(folder, "store.json"), "w") as file:
        file.write('{"amargo":"store","format":1,"id":"4f6c1b0e"}\n')
    repositories = [f"docker.io/library/image-{number}" for number in range(500)]
    repositories += [f"ghcr.io/organisation-{number % 97}/team/project-{number}" for number in range(1_500)]
    blobs, manifests = [new_digest(chance)], [new_digest(chance)]
    with open(os.path.join(folder, "journal.jsonl"), "wb", buffering=1 << 20) as file:
        file.write(sealed(f'{{"amargo":"journal","format":1,"minReader":1,"g":1,"store":"4f6c1b0e","live":{1 << 40}'))
        for sequence in range(1, count + 1):
            members = one(chance, chance.choice(KINDS), chance.choice(repositories), 1_764_000_000 + sequence, blobs, manifests)
            file.write(sealed(f'{{"g":1,"q":{sequence},{members}'))


def one(chance, kind, repository, now, blobs, manifests):
    if kind == "blob":
        blobs.append(new_digest(chance))
        size = chance.randrange(1 << chance.randrange(8, 30))
        return f'"op":"blob","d":"{blobs[-1]}","size":{size},"repo":"{repository}","at":{now}'
    if kind == "manifest":
        manifests.append(new_digest(chance))
        edges = [("config" if n == 0 else "layer", chance.choice(blobs)) for n in range(chance.randrange(6, 13))]
        kids = ",".join(f'["{role}","{digest}",{chance.randrange(1 << 27)}]' for role, digest in edges)
        return (
            f'"op":"manifest","d":"{manifests[-1]}","size":{chance.randrange(500, 4_000)}'
            f',"type":"application/vnd.oci.image.manifest.v1+json","repo":"{repository}"'
            f',"n":{len(edges)},"kids":[{kids}],"at":{now}'
        )
    if kind == "link":
        return f'"op":"link","d":"{chance.choice(blobs)}","repo":"{repository}"'
    if kind == "tag":
        tag = f"{chance.randrange(30)}.{chance.randrange(30)}"
        return f'"op":"tag","repo":"{repository}","ref":"{tag}","d":"{chance.choice(manifests)}","at":{now}'
    return f'"op":"use","d":"{chance.choice(manifests)}","at":{now}'


def new_digest(chance):
    return f"sha256:{chance.getrandbits(256):064x}"


def sealed(body):
    body = body.encode()
    return body + b',"c":"%08x"}\n' % zlib.crc32(body)


main()
