import OCI

/// What `docker save` wrote before version 25, and what other tools write in that form: configurations and layers without a manifest.
///
/// A manifest is made, always the same for the same archive. It is of Docker's types, as the configuration is: readers of OCI's types drop
/// what those do not know (HEALTHCHECK, ONBUILD, SHELL). Such an image has another digest than the one it was once pulled by, whose
/// manifest and compressed layers the archive does not have.
struct DockerArchive: BundleSource {
    private let archive: LayoutArchive
    private let pieces: [Digest: BundlePiece]
    /// An `index.json` for what was made.
    let index: [UInt8]

    /// Blocks: layers that are compressed are read to know their digests.
    init(_ archive: LayoutArchive) throws {
        self.archive = archive
        var pieces: [Digest: BundlePiece] = [:]
        var descriptors: [String] = []
        var layers: [TarDirectory.Place: Digest] = [:]
        for image in try DockerArchiveImage.all(in: try archive.document(.dockerManifest) ?? []) {
            let manifest = try Self.manifest(of: image, archive, &pieces, &layers)
            let digest = manifest.withUnsafeBytes { Digest(.sha256, of: $0) }
            pieces[digest] = BundlePiece(manifest)
            let start = "{\"mediaType\":\"\(MediaType.dockerManifest)\",\"digest\":\"\(digest)\",\"size\":\(manifest.count)"
            for name in image.names {
                descriptors.append(
                    "\(start),\"annotations\":{\"\(BundleEntry.Annotation.containerdName)\":\(JSONText.quoted(name))}}")
            }
            if image.names.isEmpty { descriptors.append("\(start)}") }
        }
        self.pieces = pieces
        self.index = Array("{\"schemaVersion\":2,\"manifests\":[\(descriptors.joined(separator: ","))]}".utf8)
    }

    func piece(_ digest: Digest) -> BundlePiece? { self.pieces[digest] }

    var contents: [Digest]? { self.pieces.keys.sorted() }

    func release(_ piece: BundlePiece) { self.archive.release(piece) }

    // MARK: - Making a manifest

    private static func manifest(
        of image: DockerArchiveImage, _ archive: LayoutArchive, _ pieces: inout [Digest: BundlePiece],
        _ hashed: inout [TarDirectory.Place: Digest]
    ) throws -> [UInt8] {
        let place = try Self.find(image.config, archive)
        let bytes = try archive.piece(at: place).contents()
        let config = bytes.withUnsafeBytes { Digest(.sha256, of: $0) }
        try Self.check(image.config, config)
        pieces[config] = archive.piece(at: place)
        let diffIDs = try DockerArchiveImage.diffIDs(in: bytes)
        guard diffIDs.count == image.layers.count else {
            throw BundleError(
                .refused, "its image \(image.title) has \(image.layers.count) layers, and its configuration says \(diffIDs.count)"
            )
        }
        var layers: [String] = []
        for (name, diffID) in zip(image.layers, diffIDs) {
            let place = try Self.find(name, archive)
            let piece = archive.piece(at: place)
            let (digest, type) = try Self.layer(piece, diffID) { hash in
                // Named a million times, it is read once.
                if let known = hashed[place] { return known }
                let digest = try hash()
                hashed[place] = digest
                return digest
            }
            pieces[digest] = piece
            layers.append("{\"mediaType\":\"\(type)\",\"digest\":\"\(digest)\",\"size\":\(piece.size)}")
        }
        return Array(
            """
            {"schemaVersion":2,"mediaType":"\(MediaType.dockerManifest)","config":{\
            "mediaType":"application/vnd.docker.container.image.v1+json","digest":"\(config)","size":\(bytes.count)},\
            "layers":[\(layers.joined(separator: ","))]}
            """.utf8)
    }

    /// A layer that is not compressed is what the configuration says; that is compared when its bytes are read.
    private static func layer(
        _ piece: BundlePiece, _ diffID: Digest, _ once: (() throws -> Digest) throws -> Digest
    ) throws -> (Digest, type: String) {
        let plain = "application/vnd.docker.image.rootfs.diff.tar"
        var prefix = [UInt8](repeating: 0, count: Compression.prefix)
        let count = try prefix.withUnsafeMutableBytes { try piece.read(at: 0, into: $0) }
        switch Compression(prefix[..<count]) {
        case .none: return (diffID, plain)
        case .gzip:
            let digest = try once {
                guard let digest = try piece.digest(.sha256) else { throw CancellationError() }
                return digest
            }
            return (digest, "\(plain).gzip")
        case .other(let name, _):
            throw BundleError(.refused, "it has a layer that is compressed with \(name), for which Docker's images have no type")
        }
    }

    private static func find(_ name: String, _ archive: LayoutArchive) throws -> TarDirectory.Place {
        guard let place = archive.directory.place(of: name) else {
            throw BundleError(.refused, "its manifest.json names \(JSONText.quoted(name)), which the archive does not have")
        }
        return place
    }

    /// A configuration whose name is a digest is what that says.
    private static func check(_ name: String, _ digest: Digest) throws {
        var text = name.split(separator: "/").last ?? ""
        if text.hasSuffix(".json") { text = text.dropLast(5) }
        if text.hasPrefix("sha256:") { text = text.dropFirst(7) }
        guard let said = Digest(.sha256, hex: Array(text.utf8)) else { return }
        guard said == digest else {
            throw BundleError(.damaged, "its configuration \(JSONText.quoted(name)) is not what its name says")
        }
    }
}

/// An element of a `manifest.json`.
struct DockerArchiveImage {
    private(set) var config = ""
    private(set) var names: [String] = []
    private(set) var layers: [String] = []

    var title: String { self.names.first ?? self.config }

    static func all(in bytes: [UInt8]) throws -> [DockerArchiveImage] {
        var images: [DockerArchiveImage] = []
        do {
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    guard try reader.peek() == .array else {
                        throw BundleError(.refused, "its manifest.json is not one that docker save writes")
                    }
                    try reader.array { images.append(try DockerArchiveImage(&$0)) }
                }
            }
        } catch let error as BundleError {
            throw error
        } catch {
            throw BundleError(.refused, "its manifest.json \(error)")
        }
        guard !images.isEmpty else { throw BundleError(.refused, "its manifest.json names no image") }
        return images
    }

    private init(_ reader: inout JSONReader) throws {
        var config: String?
        try reader.object { reader, key in
            switch key {
            case "Config": config = try reader.string()
            case "RepoTags": self.names = try Self.texts(&reader)
            case "Layers": self.layers = try Self.texts(&reader)
            default:
                guard !["config", "repotags", "layers"].contains(key.uppercased().lowercased()) else {
                    throw BundleError(.refused, "its manifest.json has the ambiguous key \(JSONText.quoted(key))")
                }
                try reader.skipValue()
            }
        }
        guard let config else { throw BundleError(.refused, "its manifest.json names an image without a configuration") }
        self.config = config
    }

    private static func texts(_ reader: inout JSONReader) throws -> [String] {
        if try reader.peek() == .null {
            try reader.skipValue()
            return []
        }
        var texts: [String] = []
        try reader.array { texts.append(try $0.string()) }
        return texts
    }

    /// The digests of the layers as a configuration says them: image spec, "Image JSON", `rootfs`.
    static func diffIDs(in bytes: [UInt8]) throws -> [Digest] {
        var digests: [Digest] = []
        do {
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        guard key == "rootfs" else { return try reader.skipValue() }
                        try reader.object { reader, key in
                            guard key == "diff_ids", try reader.peek() == .array else { return try reader.skipValue() }
                            try reader.array { digests.append(try Digest(parsing: try $0.string())) }
                        }
                    }
                }
            }
        } catch {
            throw BundleError(.refused, "a configuration in it \(error)")
        }
        return digests
    }
}
