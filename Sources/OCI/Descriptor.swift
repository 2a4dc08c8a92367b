/// What a manifest says of another piece of content.
///
/// Source: image spec, "OCI Content Descriptors". `urls` are read by nobody: content comes from the registry or not at all.
package struct Descriptor: Hashable, Sendable {
    package let mediaType: MediaType
    package let digest: Digest
    /// Size in bytes, never negative.
    package let size: Int64
    package let platform: Platform?

    package init(mediaType: MediaType, digest: Digest, size: Int64, platform: Platform? = nil) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.platform = platform
    }
}

/// The operating system and processor an image is for: image spec, "Image Index", `platform`.
package struct Platform: Hashable, Sendable, CustomStringConvertible {
    package let os: String
    package let architecture: String
    package let variant: String?

    package init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    package var description: String {
        if let variant = self.variant { "\(self.os)/\(self.architecture)/\(variant)" } else { "\(self.os)/\(self.architecture)" }
    }
}
