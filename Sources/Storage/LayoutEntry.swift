import OCI

/// A line of a layout's `index.json`, as far as this program understands it.
struct LayoutEntry: Hashable {
    let digest: Digest
    /// Bytes; nil when the document does not say.
    let size: Int64?
    let mediaType: String?
    let tag: Tag?

    /// - Throws: when the document is no index that could be believed.
    static func all(in bytes: [UInt8]) throws -> [LayoutEntry] {
        var entries: [LayoutEntry] = []
        try bytes.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    guard key == "manifests" else { return try reader.skipValue() }
                    try reader.array { reader in
                        if let entry = try Self.read(&reader) { entries.append(entry) }
                    }
                }
            }
        }
        return entries
    }

    private static func read(_ reader: inout JSONReader) throws -> LayoutEntry? {
        var digest: Digest?
        var size: Int64?
        var mediaType: String?
        var name: String?
        try reader.object { reader, key in
            switch key {
            case "digest": digest = try Digest(parsing: try reader.string())
            case "size": size = try reader.integer()
            case "mediaType": mediaType = try reader.string()
            case "annotations":
                try reader.object { reader, key in
                    let value = try reader.string()
                    if key == "org.opencontainers.image.ref.name" { name = value }
                }
            default: try reader.skipValue()
            }
        }
        let tag = try name.map { try Tag(parsing: $0) }
        return digest.map { LayoutEntry(digest: $0, size: size, mediaType: mediaType, tag: tag) }
    }
}
