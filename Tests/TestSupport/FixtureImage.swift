/// An image that a scripted upstream holds.
package struct FixtureImage: Sendable {
    package struct Blob: Sendable {
        package let digest: String
        package let bytes: [UInt8]
    }

    package let repository: String
    package let tag: String?
    package let mediaType: String
    /// Digest and bytes of the manifest.
    package let manifest: Blob
    package let config: Blob
    package let layers: [Blob]

    package var manifestDigest: String { self.manifest.digest }
    package var configDigest: String { self.config.digest }
    package var layerDigests: [String] { self.layers.map(\.digest) }

    /// Config and layers: everything a client fetches from `blobs/`.
    package var blobs: [Blob] { [self.config] + self.layers }

    /// Path and query-free target of a request for the manifest by tag, or by digest without one.
    package var manifestPath: String { "/v2/\(self.repository)/manifests/\(self.tag ?? self.manifest.digest)" }

    package func blobPath(_ digest: String) -> String { "/v2/\(self.repository)/blobs/\(digest)" }

    /// The manifest's descriptor for an index.
    package func descriptor(platform: String? = nil) -> Fixtures.Descriptor {
        Fixtures.Descriptor(
            mediaType: self.mediaType, digest: self.manifest.digest, size: self.manifest.bytes.count,
            platform: platform)
    }
}

extension ScriptedUpstream {
    /// Adds an image with layers of pseudo-random bytes; equal arguments give equal digests, in any repository.
    @discardableResult
    package func addImage(
        repository: String, tag: String? = "latest", layerSizes: [Int] = [1024, 65_536], seed: UInt64 = 1,
        flavour: ManifestFlavour = .oci, platform: String = "linux/amd64"
    ) -> FixtureImage {
        let layers = layerSizes.enumerated().map { index, size in
            let bytes = Fixtures.pseudoRandomBytes(count: size, seed: seed &* 1000 &+ UInt64(index))
            return FixtureImage.Blob(digest: self.addBlob(bytes, in: repository), bytes: bytes)
        }
        let descriptors = layers.map {
            Fixtures.Descriptor(mediaType: flavour.layerType, digest: $0.digest, size: $0.bytes.count)
        }
        let configBytes = Fixtures.imageConfig(layers: descriptors, platform: platform, note: "seed \(seed)")
        let config = FixtureImage.Blob(digest: self.addBlob(configBytes, in: repository), bytes: configBytes)
        let bytes = Fixtures.imageManifest(
            config: Fixtures.Descriptor(
                mediaType: flavour.configType, digest: config.digest, size: configBytes.count),
            layers: descriptors, flavour: flavour)
        let digest = self.addManifest(bytes, mediaType: flavour.manifestType, in: repository, tag: tag)
        return FixtureImage(
            repository: repository, tag: tag, mediaType: flavour.manifestType,
            manifest: FixtureImage.Blob(digest: digest, bytes: bytes), config: config, layers: layers)
    }

    /// Adds an index of images that are there already, each with its platform.
    @discardableResult
    package func addIndex(
        repository: String, tag: String? = "latest", images: [(image: FixtureImage, platform: String)],
        flavour: ManifestFlavour = .oci
    ) -> FixtureImage.Blob {
        let bytes = Fixtures.imageIndex(
            manifests: images.map { $0.image.descriptor(platform: $0.platform) }, flavour: flavour)
        let digest = self.addManifest(bytes, mediaType: flavour.indexType, in: repository, tag: tag)
        return FixtureImage.Blob(digest: digest, bytes: bytes)
    }
}
