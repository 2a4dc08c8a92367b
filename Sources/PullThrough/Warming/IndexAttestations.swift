import OCI

/// The attestations in an index, and which of its images each is about.
///
/// BuildKit adds them as children of the platform `unknown/unknown`; the annotation `vnd.docker.reference.digest` names the image.
/// Source: BuildKit, docs/attestations/attestation-storage.md.
struct IndexAttestations {
    private(set) var subjects: [Digest: Digest] = [:]

    /// Empty for what is no index, or has none.
    init(in index: [UInt8]) {
        var subjects: [Digest: Digest] = [:]
        do {
            try index.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        guard key == "manifests", try reader.peek() == .array else { return try reader.skipValue() }
                        try reader.array { reader in
                            var digest: Digest?
                            var subject: Digest?
                            try reader.object { reader, key in
                                switch (key, try reader.peek()) {
                                case ("digest", .string): digest = try Digest(parsing: try reader.string())
                                case ("annotations", .object): subject = try Self.subject(&reader)
                                default: try reader.skipValue()
                                }
                            }
                            if let digest, let subject { subjects[digest] = subject }
                        }
                    }
                }
            }
            self.subjects = subjects
        } catch {
            return  // it was read as a manifest before; what is odd about it has been said then
        }
    }

    private static func subject(_ reader: inout JSONReader) throws -> Digest? {
        var subject: Digest?
        try reader.object { reader, key in
            guard key == "vnd.docker.reference.digest", try reader.peek() == .string else { return try reader.skipValue() }
            subject = try? Digest(parsing: try reader.string())  // somebody else's annotation then
        }
        return subject
    }
}
