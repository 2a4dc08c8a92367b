import OCI

/// A stored manifest as it is read for an export: what it refers to, and which of an index's children are attestations of which.
struct ManifestDocument: Sendable {
    let manifest: Manifest
    /// The image that an attestation of an index is about, by the attestation's digest. Source: BuildKit, "Attestation storage".
    let attestations: [Digest: Digest]

    /// - Throws: `ManifestError` when the document could mean two things; such a one is not carried anywhere.
    init(_ bytes: [UInt8], as mediaType: MediaType) throws {
        self.manifest = try bytes.withUnsafeBytes { bytes in try Manifest(parsing: bytes, as: mediaType) }
        guard mediaType.isIndex else {
            self.attestations = [:]
            return
        }
        var attestations: [Digest: Digest] = [:]
        try bytes.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    guard key == "manifests", try reader.peek() == .array else { return try reader.skipValue() }
                    try reader.array { reader in
                        if let (digest, subject) = try Self.attestation(&reader) { attestations[digest] = subject }
                    }
                }
            }
        }
        self.attestations = attestations
    }

    private static func attestation(_ reader: inout JSONReader) throws -> (Digest, Digest)? {
        var digest: Digest?
        var subject: Digest?
        var isAttestation = false
        try reader.object { reader, key in
            switch (key, try reader.peek()) {
            case ("digest", .string): digest = try Digest(parsing: try reader.string())
            case ("annotations", .object):
                try reader.object { reader, key in
                    guard try reader.peek() == .string else { return try reader.skipValue() }
                    let value = try reader.string()
                    switch key {
                    case "vnd.docker.reference.type": isAttestation = value == "attestation-manifest"
                    // One that is no digest says nothing.
                    case "vnd.docker.reference.digest": subject = try? Digest(parsing: value)
                    default: break
                    }
                }
            default: try reader.skipValue()
            }
        }
        guard isAttestation, let digest, let subject else { return nil }
        return (digest, subject)
    }
}

extension Platform {
    /// What an image's configuration says it is for; nil when it is no image's, or says nothing. Source: image spec, "Properties".
    package init?(configuration bytes: [UInt8]) {
        var os = ""
        var architecture = ""
        var variant: String?
        do {
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch (key, try reader.peek()) {
                        case ("os", .string): os = try reader.string()
                        case ("architecture", .string): architecture = try reader.string()
                        case ("variant", .string): variant = try reader.string()
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            return nil  // whatever it is, it does not say a platform that could be believed
        }
        guard !os.isEmpty, !architecture.isEmpty else { return nil }
        self.init(os: os, architecture: architecture, variant: variant?.isEmpty == true ? nil : variant)
    }
}

extension MediaType {
    /// Whether a blob of this type is the configuration of an image that runs on some platform.
    var isImageConfiguration: Bool {
        ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"].contains(self.description)
    }

    /// Whether a manifest has one of Docker's types, which not every tool reads from an image layout.
    var isDockerManifest: Bool { self == .dockerManifest || self == .dockerList }
}
