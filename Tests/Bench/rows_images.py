"""Many small images, as a cluster pulls them."""
import os
import signal

import load
from figures import Target, parse_syncs
from processes import NotMeasured
from rows import AMARGO, PROXY, REGISTRY, Cold, Row

_CLIENTS = 16


def _pull(server, images):
    plans = [[load.get(*request) for image in images[client::_CLIENTS] for request in image.requests()]
             for client in range(_CLIENTS)]
    return load.run(server.port, plans)


class SmallImages(Cold):
    name, title = "images", "200 small images of 12 layers (--quick: 16), 16 clients"
    peers = (AMARGO, PROXY, REGISTRY)
    targets = (Target("cold images/s", ">=", 2, of=REGISTRY), Target("warm images/s", ">=", 20, of=REGISTRY))

    def open(self, lab):
        self.images = lab.content.small_images(lab.pick(200, 16))
        for peer in lab.only_needed(self):
            server = lab.server(peer)
            for image in self.images[:lab.pick(20, 4)]:
                for blob in image.blobs:
                    load.check(server.port, blob.path(image.repository), blob)
            lab.end(server)

    def one(self, lab, server):
        cold = _pull(server, self.images)
        for _ in range(20):  # docker-registry stores behind its answers
            lab.upstream.sent()
            _pull(server, self.images)
            if lab.upstream.sent()[0] == 0:
                break
        else:
            raise NotMeasured(f"{server.key} goes on asking the upstream for blobs")
        before = server.process.cpu()
        warm = _pull(server, self.images)
        cpu = server.process.cpu() - before
        return {"cold images/s": len(self.images) / cold.wall, "warm images/s": len(self.images) / warm.wall,
                "warm CPU ms/image": 1e3 * cpu / len(self.images)}


class Syncs(Row):
    """Counted by strace, which slows the program down: a row without a speed."""

    name, title, most_rounds = "images-syncs", "the same images, cold: syncs of data by blob", 1
    targets = (Target("of data/blob", "<=", 1),)

    def measure(self, lab, peer):
        images = lab.content.small_images(lab.pick(200, 16))
        calls = lab.path("strace")
        server = lab.server(peer, before=(
            "strace", "-f", "-y", "-o", calls, "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync"))
        _pull(server, images)
        os.kill(server.process.tree()[1], signal.SIGTERM)
        server.process.wait(60)
        with open(calls) as file:
            found = parse_syncs(file.read(), server.store)
        blobs = sum(1 + len(image.blobs) for image in images)
        return {"of data/blob": found["data"] / blobs, "of folders/blob": found["folders"] / blobs,
                "of the journal": found["journal"], "blobs": blobs}


ROWS = [SmallImages(), Syncs()]
