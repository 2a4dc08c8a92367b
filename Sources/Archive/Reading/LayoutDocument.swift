import OCI

/// An `index.json`, whoever wrote it.
///
/// Source: image spec, "Image Layout", and for what names mean its "Pre-Defined Annotation Keys" and containerd's import.
struct LayoutDocument: Sendable {
    struct Entry: Sendable {
        let digest: Digest
        /// Bytes.
        let size: Int64
        /// Nil when it is not said, or is none.
        let mediaType: MediaType?
        let annotations: [String: String]
    }

    private(set) var entries: [Entry] = []
    private(set) var annotations: [String: String] = [:]

    init(_ bytes: [UInt8]) throws {
        do {
            var version: Int64?
            var mediaType: String?
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch key {
                        case "schemaVersion": version = try reader.integer()
                        case "mediaType": mediaType = try reader.string()
                        case "manifests":
                            if try reader.peek() == .null { return try reader.skipValue() }
                            try reader.array { self.entries.append(try Self.entry(&$0)) }
                        case "annotations": self.annotations = try Self.texts(&reader)
                        default: try Self.skip(key, &reader, known: ["schemaversion", "mediatype", "manifests", "annotations"])
                        }
                    }
                }
            }
            guard version == 2 else { throw BundleError(.refused, "its index.json is not of schema version 2") }
            guard mediaType == nil || mediaType == "" || mediaType == MediaType.ociIndex.description else {
                throw BundleError(.refused, "its index.json says that it is something else: \(JSONText.quoted(mediaType ?? ""))")
            }
        } catch let error as BundleError {
            throw error
        } catch {
            throw BundleError(.refused, "its index.json \(error)")
        }
    }

    private static func entry(_ reader: inout JSONReader) throws -> Entry {
        var digest: Digest?
        var size: Int64?
        var mediaType: MediaType?
        var annotations: [String: String] = [:]
        try reader.object { reader, key in
            switch key {
            case "digest": digest = try Digest(parsing: try reader.string())
            case "size": size = try reader.integer()
            case "mediaType":
                let text = try reader.string()
                mediaType = try text.isEmpty ? nil : MediaType(parsing: text)
            case "annotations": annotations = try Self.texts(&reader)
            default: try Self.skip(key, &reader, known: ["digest", "size", "mediatype", "annotations"])
            }
        }
        guard let digest, let size, size >= 0 else {
            throw BundleError(.refused, "its index.json has a descriptor without digest or size")
        }
        return Entry(digest: digest, size: size, mediaType: mediaType, annotations: annotations)
    }

    private static func texts(_ reader: inout JSONReader) throws -> [String: String] {
        if try reader.peek() == .null {
            try reader.skipValue()
            return [:]
        }
        var texts: [String: String] = [:]
        try reader.object { reader, key in texts[key] = try reader.string() }
        return texts
    }

    /// Passes over what says nothing here; readers that fold case would take some keys for those they resemble.
    private static func skip(_ key: String, _ reader: inout JSONReader, known: Set<String>) throws {
        guard !known.contains(key.uppercased().lowercased()) else {
            throw BundleError(.refused, "its index.json has the ambiguous key \(JSONText.quoted(key))")
        }
        try reader.skipValue()
    }
}
