"""Images made from a seed: the same seed gives the same bytes, so that a failure can be repeated.

They have what real ones have: OCI and Docker types, indexes with two platforms, layers that several images share.
Layers are made again whenever they are asked for, because those of a long run would not fit the memory.
"""
import collections
import hashlib
import json
import random
import threading

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEXES = (OCI_INDEX, DOCKER_LIST)
MANIFESTS = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layer:
    """Random bytes that are known by their key and size."""

    def __init__(self, key, size):
        self.key, self.size = key, size
        self.digest = digest_of(self.make())

    def make(self):
        return random.Random(self.key).randbytes(self.size)


class Image:
    """A tag in a repository and everything that hangs on it."""

    def __init__(self, number, repository, tag):
        self.number, self.repository, self.tag = number, repository, tag
        self.root = None  # digest of what the tag points to
        self.manifests = {}  # digest: (media type, bytes), children before parents
        self.layers = {}  # digest: Layer
        self.configs = {}  # digest: bytes
        self.images = []  # digests of the manifests with layers

    @property
    def size(self):
        return (sum(layer.size for layer in self.layers.values()) + sum(map(len, self.configs.values()))
                + sum(len(data) for _, data in self.manifests.values()))

    @property
    def digests(self):
        return [*self.manifests, *self.configs, *self.layers]

    def __str__(self):
        return f"{self.repository}:{self.tag}"


class Images:
    """All images of a seed, numbered from 0 and made when they are first asked for."""

    def __init__(self, seed, smallest=1 << 10, largest=4 << 20, repositories=4, shared=8, large_every=0, large=20 << 20):
        self.seed, self.smallest, self.largest = seed, smallest, largest
        self.repositories, self.shared = repositories, shared
        self.large_every, self.large = large_every, large
        self._lock = threading.RLock()
        self._images = {}
        self._by_name = {}
        self._small = {}  # digest: (media type, bytes) of manifests and configs
        self._layers = {}
        self._cache = collections.OrderedDict()
        self._cached = 0

    def image(self, number):
        with self._lock:
            if number not in self._images:
                image = self._make(number)
                self._images[number] = image
                self._by_name[image.repository, image.tag] = image
            return self._images[number]

    def named(self, repository, tag):
        """The image of a name, made if it does not exist yet; None when no image has that name."""
        with self._lock:
            if (repository, tag) not in self._by_name and tag[:1] == "t" and tag[1:].isdigit():
                self.image(int(tag[1:]))
            return self._by_name.get((repository, tag))

    def tags(self, repository):
        with self._lock:
            return sorted(tag for name, tag in self._by_name if name == repository)

    def content(self, digest):
        """(media type, bytes) of anything, or None."""
        with self._lock:
            if digest in self._small:
                return self._small[digest]
            if digest in self._cache:
                self._cache.move_to_end(digest)
                return "application/octet-stream", self._cache[digest]
            layer = self._layers.get(digest)
        if layer is None:
            return None
        data = layer.make()
        with self._lock:
            if digest not in self._cache:
                self._cache[digest] = data
                self._cached += len(data)
            while self._cached > 96 << 20 and len(self._cache) > 1:
                self._cached -= len(self._cache.popitem(last=False)[1])
        return "application/octet-stream", data

    def _layer(self, key, size):
        layer = Layer(key, size)
        return self._layers.setdefault(layer.digest, layer)

    def _size(self, rng):
        """Small ones are as frequent as large ones: the logarithm is what is spread evenly."""
        return int(self.smallest * (self.largest / self.smallest) ** rng.random())

    def _make(self, number):
        rng = random.Random(f"{self.seed}/image/{number}")
        image = Image(number, f"torture/r{number % self.repositories}", f"t{number}")
        docker, listed = number % 2 == 1, number % 4 >= 2
        platforms = ["amd64", "arm64"] if listed else ["amd64"]
        for architecture in platforms:
            self._platform(image, rng, docker, architecture, is_large=self.large_every and number % self.large_every == 1)
        if listed:
            children = [
                {"mediaType": image.manifests[digest][0], "digest": digest, "size": len(image.manifests[digest][1]),
                 "platform": {"architecture": architecture, "os": "linux"}}
                for digest, architecture in zip(image.images, platforms)]
            self._add(image, {"schemaVersion": 2, "mediaType": DOCKER_LIST if docker else OCI_INDEX, "manifests": children})
        image.root = list(image.manifests)[-1]
        return image

    def _platform(self, image, rng, docker, architecture, is_large):
        layers = []
        for index in range(rng.randint(1, 4)):
            if rng.random() < 0.3:
                base = rng.randrange(self.shared)
                size = self._size(random.Random(f"{self.seed}/base/{base}"))
                layers.append(self._layer(f"{self.seed}/base/{base}", size))
            else:
                size = self.large if is_large and index == 0 else self._size(rng)
                layers.append(self._layer(f"{self.seed}/{image.number}/{architecture}/{index}", size))
        config = json.dumps({
            "architecture": architecture, "os": "linux", "config": {"Labels": {"number": str(image.number)}},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]}}).encode()
        config_digest = digest_of(config)
        image.configs[config_digest] = config
        self._small[config_digest] = ("application/octet-stream", config)
        image.layers.update({layer.digest: layer for layer in layers})
        image.images.append(self._add(image, {
            "schemaVersion": 2, "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG if docker else OCI_CONFIG, "digest": config_digest, "size": len(config)},
            "layers": [{"mediaType": DOCKER_LAYER if docker else OCI_LAYER, "digest": layer.digest, "size": layer.size}
                       for layer in layers]}))

    def _add(self, image, document):
        data = json.dumps(document, indent=3).encode()
        digest = digest_of(data)
        image.manifests[digest] = (document["mediaType"], data)
        self._small[digest] = image.manifests[digest]
        return digest
