/// Something that was asked for, or belongs to what was, and is not carried along.
package struct ExportGap: Hashable, Sendable, CustomStringConvertible {
    /// What is missing: a platform, an attestation, a referrer, or the image itself.
    package let subject: String
    package let reason: String
    /// What people can do about it; nil when there is nothing.
    package let remedy: String?

    package init(_ subject: String, _ reason: String, remedy: String? = nil) {
        self.subject = subject
        self.reason = reason
        self.remedy = remedy
    }

    package var description: String { "\(self.subject): \(self.reason)" + (self.remedy.map { "; \($0)" } ?? "") }
}

/// What became of one image that was asked for.
package struct ExportedImage: Hashable, Sendable {
    package enum State: String, Sendable {
        /// Everything that was asked for is in the bundle.
        case complete
        /// The image is, with some of its platforms or of what belongs to it missing.
        case partial
        /// Nothing of it is.
        case leftOut = "left-out"
    }

    /// The full name.
    package let name: String
    /// What the name stands for; nil when it stands for nothing here.
    package let digest: String?
    package let mediaType: String?
    package let state: State
    package let platforms: [String]
    package let layers: Int
    /// Manifests that are about it: by their `subject`, or by a tag made of its digest.
    package let referrers: Int
    package let blobs: Int
    /// Bytes of everything that belongs to it, also what it shares with others or the other side has.
    package let bytes: Int64
    package let gaps: [ExportGap]
    /// Whether a manifest of it has one of Docker's types.
    package let isDocker: Bool
}
