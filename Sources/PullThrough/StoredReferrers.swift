import OCI
import Storage
import Upstream

/// Finds out from the store alone what refers to a manifest. Blocks: it reads manifests.
///
/// Source: distribution spec, "Listing Referrers": the artifact type of an image manifest without one is its config's type.
struct StoredReferrers {
    let store: ContentStore

    /// Nil when nothing is stored that refers to the manifest: then nobody knows.
    func list(of digest: Digest, in repository: QualifiedRepository) throws -> ListCache.Value? {
        var referrers: [RegistryClient.Referrer] = []
        for candidate in self.store.catalog.manifests(of: repository).sorted() {
            guard let content = self.store.catalog.content(candidate), let facts = content.manifest, facts.subject == digest,
                let bytes = try self.bytes(of: candidate, size: content.size)
            else { continue }
            referrers.append(try Self.describe(candidate, content.size, facts.mediaType, bytes))
        }
        return referrers.isEmpty ? nil : .referrers(referrers)
    }

    private func bytes(of digest: Digest, size: Int64) throws -> [UInt8]? {
        guard case .success(let file) = self.store.openNow(digest), size <= Int64(Manifest.maximumSize) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        return count == bytes.count ? bytes : nil
    }

    private static func describe(
        _ digest: Digest, _ size: Int64, _ type: MediaType, _ bytes: [UInt8]
    ) throws -> RegistryClient.Referrer {
        var artifactType: String?
        var configType: String?
        var annotations: String?
        try bytes.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    switch (key, try reader.peek()) {
                    case ("artifactType", .string): artifactType = try reader.string()
                    case ("annotations", .object): annotations = try reader.rawValue()
                    case ("config", .object):
                        try reader.object { reader, key in
                            guard key == "mediaType", try reader.peek() == .string else { return try reader.skipValue() }
                            configType = try reader.string()
                        }
                    default: try reader.skipValue()
                    }
                }
            }
        }
        let kind = artifactType.flatMap { $0.isEmpty ? nil : $0 } ?? configType
        var json = "{\"mediaType\":\(JSONText.quoted(type.description)),\"digest\":\"\(digest)\",\"size\":\(size)"
        if let kind { json += ",\"artifactType\":\(JSONText.quoted(kind))" }
        if let annotations { json += ",\"annotations\":\(annotations)" }
        return RegistryClient.Referrer(json: json + "}", artifactType: kind)
    }
}
