import TestSupport

/// An image layout as documents and blobs, written by the image spec, without the code under test.
struct LayoutText {
    /// In the order in which they were added: `blobs/…` first.
    private(set) var blobs: [(name: String, content: [UInt8])] = []
    var entries: [String] = []
    var annotations: [(String, String)] = []
    /// Replaces `index.json` as it would be.
    var index: [UInt8]?

    static let layout = Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8)
    static let manifestType = "application/vnd.oci.image.manifest.v1+json"
    static let indexType = "application/vnd.oci.image.index.v1+json"

    mutating func put(_ bytes: [UInt8]) -> String {
        let hex = sha256Hex(bytes)
        let name = "blobs/sha256/\(hex)"
        if !self.blobs.contains(where: { $0.name == name }) { self.blobs.append((name, bytes)) }
        return "sha256:\(hex)"
    }

    mutating func remove(_ digest: String) {
        self.blobs.removeAll { $0.name == "blobs/sha256/\(digest.dropFirst(7))" }
    }

    /// Puts other bytes in a blob's place.
    mutating func replace(_ digest: String, with bytes: [UInt8]) {
        for index in self.blobs.indices where self.blobs[index].name == "blobs/sha256/\(digest.dropFirst(7))" {
            self.blobs[index].content = bytes
        }
    }

    struct Image {
        var manifest: Fixtures.Descriptor
        var config: String
        var layers: [String]
    }

    /// Adds an image without naming it.
    mutating func addImage(
        seed: UInt64, layers sizes: [Int] = [2000, 70_000], platform: String = "linux/amd64", subject: String? = nil
    ) -> Image {
        var layers: [Fixtures.Descriptor] = []
        for (number, size) in sizes.enumerated() {
            let bytes = Fixtures.pseudoRandomBytes(count: size, seed: seed &* 100 &+ UInt64(number))
            layers.append(.init(mediaType: ManifestFlavour.oci.layerType, digest: self.put(bytes), size: size))
        }
        let config = Fixtures.imageConfig(layers: layers, platform: platform, note: "\(seed)")
        let digest = self.put(config)
        var bytes = Fixtures.imageManifest(
            config: .init(mediaType: ManifestFlavour.oci.configType, digest: digest, size: config.count), layers: layers)
        if let subject { bytes = bytes.dropLast() + Array(",\"subject\":\(subject)}".utf8) }
        let manifest = Fixtures.Descriptor(
            mediaType: Self.manifestType, digest: self.put(bytes), size: bytes.count, platform: platform)
        return Image(manifest: manifest, config: digest, layers: layers.map(\.digest))
    }

    mutating func addIndex(of images: [Image]) -> Fixtures.Descriptor {
        let bytes = Fixtures.imageIndex(manifests: images.map(\.manifest))
        return Fixtures.Descriptor(mediaType: Self.indexType, digest: self.put(bytes), size: bytes.count)
    }

    static func json(_ descriptor: Fixtures.Descriptor, _ annotations: [(String, String)] = []) -> String {
        let notes = annotations.map { "\"\($0.0)\":\"\($0.1)\"" }.joined(separator: ",")
        return "{\"mediaType\":\"\(descriptor.mediaType)\",\"digest\":\"\(descriptor.digest)\",\"size\":\(descriptor.size)"
            + (annotations.isEmpty ? "" : ",\"annotations\":{\(notes)}") + "}"
    }

    /// As Amargo exports it.
    mutating func name(
        _ descriptor: Fixtures.Descriptor, _ repository: String, _ tag: String?, at: Int? = nil, platforms: String? = nil
    ) {
        var notes = [("dev.amargo.repository", repository)]
        if let tag {
            notes.append(("io.containerd.image.name", "\(repository):\(tag)"))
            notes.append(("org.opencontainers.image.ref.name", "\(repository):\(tag)"))
        }
        if let at { notes.append(("dev.amargo.at", "\(at)")) }
        if let platforms { notes.append(("dev.amargo.platforms", platforms)) }
        self.entries.append(Self.json(descriptor, notes))
    }

    /// As skopeo names it.
    mutating func name(_ descriptor: Fixtures.Descriptor, _ name: String) {
        self.entries.append(Self.json(descriptor, [("org.opencontainers.image.ref.name", name)]))
    }

    var documents: [(name: String, content: [UInt8])] {
        let notes = self.annotations.map { "\"\($0.0)\":\"\($0.1)\"" }.joined(separator: ",")
        let index =
            self.index
            ?? Array(
                "{\"schemaVersion\":2,\"manifests\":[\(self.entries.joined(separator: ","))]\(notes.isEmpty ? "" : ",\"annotations\":{\(notes)}")}"
                    .utf8)
        return [("oci-layout", Self.layout), ("index.json", index)]
    }

    var members: [(name: String, content: [UInt8])] { self.documents + self.blobs }

    var archive: [UInt8] { TarText.archive(self.members) }

    func write(toFolder path: String) throws {
        for folder in ["", "/blobs", "/blobs/sha256"] where !Disk.exists(path + folder) { try Disk.makeFolder(path + folder) }
        for member in self.members { try Disk.write(member.content, to: "\(path)/\(member.name)") }
    }

    /// One image by one name.
    static func simple(_ repository: String = "docker.io/library/app", _ tag: String = "1", seed: UInt64 = 1, at: Int? = 1000)
        -> LayoutText
    {
        var layout = LayoutText()
        let image = layout.addImage(seed: seed)
        layout.name(image.manifest, repository, tag, at: at)
        return layout
    }
}
