import OCI

/// The `index.json` of a bundle: an OCI image index whose descriptors say what each manifest is called.
///
/// It is written in one way only, so that the same content gives the same bytes, and read strictly: a document that two readers could
/// understand differently is refused.
package struct BundleIndex: Hashable, Sendable {
    /// The key of the annotation by which a delta names the receipt that it was made for.
    package static let deltaAnnotation = "dev.amargo.delta"

    /// In the order of the document.
    package var entries: [BundleEntry]
    package var annotations: [String: String]

    package init(entries: [BundleEntry], annotations: [String: String] = [:]) {
        self.entries = entries
        self.annotations = annotations
    }

    /// The hash of the receipt's bytes, 64 hex digits; nil for a bundle that needs nothing else.
    package var delta: String? { self.annotations[Self.deltaAnnotation] }
}

// MARK: - Writing

extension BundleIndex {
    /// The document: fixed order of members and descriptors, no spaces, ASCII, no line break at its end.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes += "{\"schemaVersion\":2,\"mediaType\":\"\(MediaType.ociIndex)\",\"manifests\":[".utf8
        for (number, entry) in self.entries.sorted(by: BundleEntry.precedes).enumerated() {
            if number > 0 { bytes.append(UInt8(ascii: ",")) }
            let descriptor = entry.descriptor
            bytes += "{\"mediaType\":\"\(descriptor.mediaType)\",\"digest\":\"".utf8
            descriptor.digest.write(to: &bytes)
            bytes += "\",\"size\":\(descriptor.size),\"annotations\":".utf8
            Self.append(entry.annotations, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: "]"))
        if !self.annotations.isEmpty {
            bytes += ",\"annotations\":".utf8
            let sorted = self.annotations.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            Self.append(sorted.map { (key: $0.key, value: $0.value) }, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    private static func append(_ annotations: [(key: String, value: String)], to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        for (number, annotation) in annotations.enumerated() {
            if number > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += "\(JSONText.quoted(annotation.key)):\(JSONText.quoted(annotation.value))".utf8
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

// MARK: - Reading

extension BundleIndex {
    /// Reads the document.
    ///
    /// - Throws: `BundleError`: `.malformed` when it is no index that could be believed, `.foreign` when it is one of another program.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(BundleError) {
        do {
            // One meaning only: no equal keys, no two kinds of document in one, no keys that others fold together.
            _ = try Manifest(parsing: bytes, as: .ociIndex)
        } catch {
            throw BundleError(.malformed, "index.json \(error)")
        }
        var index = BundleIndex(entries: [])
        do {
            try JSONReader.read(bytes) { try index.read(&$0) }
        } catch let error as BundleError {
            throw error
        } catch {
            throw BundleError(.malformed, "index.json \(error)")
        }
        self = index
    }

    private mutating func read(_ reader: inout JSONReader) throws {
        var entries: [BundleEntry] = []
        var annotations: [String: String] = [:]
        try reader.object { reader, key in
            switch (key, try reader.peek()) {
            case ("manifests", .array): try reader.array { entries.append(try Self.readEntry(&$0)) }
            case ("annotations", .object): annotations = try Self.readAnnotations(&reader)
            default: try reader.skipValue()
            }
        }
        var names: Set<String> = []
        for name in entries.lazy.compactMap(\.name) where !names.insert(name).inserted {
            throw BundleError(.malformed, "index.json has the name \(name) twice")
        }
        if let delta = annotations[Self.deltaAnnotation] {
            guard Digest(.sha256, hex: Array(delta.utf8)) != nil else {
                throw BundleError(
                    .malformed, "index.json names the receipt of its delta by \"\(delta.prefix(80))\", which is no hash")
            }
        }
        self = BundleIndex(entries: entries, annotations: annotations)
    }

    private static func readEntry(_ reader: inout JSONReader) throws -> BundleEntry {
        var mediaType: MediaType?
        var digest: Digest?
        var size: Int64?
        var annotations: [String: String] = [:]
        try reader.object { reader, key in
            switch key {
            case "mediaType": mediaType = try MediaType(parsing: try reader.string())
            case "digest": digest = try Digest(parsing: try reader.string())
            case "size": size = try reader.integer()
            case "annotations": annotations = try Self.readAnnotations(&reader)
            default: try reader.skipValue()
            }
        }
        guard let digest, let size, size >= 0, let mediaType else {
            throw BundleError(.malformed, "index.json has a descriptor without media type, digest or size")
        }
        let descriptor = Descriptor(mediaType: mediaType, digest: digest, size: size)
        let entry = try BundleEntry(descriptor, annotations: annotations)
        guard mediaType.isManifest else {
            throw BundleError(.malformed, "index.json lists \(digest) as \(mediaType), which is no manifest type")
        }
        return entry
    }

    private static func readAnnotations(_ reader: inout JSONReader) throws -> [String: String] {
        var annotations: [String: String] = [:]
        try reader.object { reader, key in annotations[key] = try reader.string() }
        return annotations
    }
}
