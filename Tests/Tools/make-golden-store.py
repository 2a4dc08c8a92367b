#!/usr/bin/env python3
"""Makes a small store with a release, to be read by every later one: images, an image that was removed, tags, a pin.

    Tests/Tools/make-golden-store.py AMARGO FILE.tar.gz

Prints what a later version has to find in it. The times are those of the day on which it was made.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Torture"))
from images import Images  # noqa: E402
from upstream import Upstream  # noqa: E402


def get(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read()


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    amargo, target = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    images = Images(1, smallest=200, largest=2000, repositories=2, shared=2)
    upstream = Upstream(images)
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        configuration = os.path.join(folder, "amargo.yaml")
        with open(configuration, "w") as file:
            file.write(f"server: {{ listen: '127.0.0.1:{port}' }}\nstore: {{ path: '{folder}/store' }}\n")
            file.write(f"repositories: {{ docker: {{ upstream: '{upstream.url}' }} }}\n")
        server = subprocess.Popen([amargo, "serve", "--config", configuration], stderr=subprocess.DEVNULL)
        base = f"http://127.0.0.1:{port}"
        while True:
            try:
                get(f"{base}/ready")
                break
            except OSError:
                if server.poll() is not None:
                    sys.exit("amargo has not started")
                time.sleep(0.05)
        for number in range(5):
            pull(base, images.image(number))
        removed, pinned = images.image(4), images.image(0)
        for command in (["pin", f"{pinned.repository}:{pinned.tag}"], ["rm", f"{removed.repository}:{removed.tag}"]):
            subprocess.run([amargo, *command, "--config", configuration], check=True, stdout=subprocess.DEVNULL)
        server.terminate()
        server.wait(60)
        subprocess.run([amargo, "verify", "--config", configuration], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["tar", "--owner=0", "--group=0", "-czf", target, "-C", folder, "store"], check=True)
    upstream.close()
    for number in range(4):
        image = images.image(number)
        print(f"{image.repository}:{image.tag}")


def pull(base, image):
    body = get(f"{base}/v2/{image.repository}/manifests/{image.tag}")
    document = json.loads(body)
    manifests = [document]
    if "manifests" in document:
        manifests = [json.loads(get(f"{base}/v2/{image.repository}/manifests/{each['digest']}")) for each in document["manifests"]]
    for manifest in manifests:
        for descriptor in [manifest["config"], *manifest["layers"]]:
            content = get(f"{base}/v2/{image.repository}/blobs/{descriptor['digest']}")
            assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]


if __name__ == "__main__":
    main()
