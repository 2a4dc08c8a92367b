import OCI

/// Something that an import has to say.
package enum ImportEvent: Sendable {
    /// What became of an image.
    case image(ImportedImage)
    /// Something worth knowing that is no failure.
    case note(String)
    /// A bundle, or an image of it, cannot be taken.
    case problem(String)
    case progress(ImportProgress)
}

package struct ImportProgress: Hashable, Sendable {
    package enum Stage: String, Sendable {
        /// Something packed, or piped, is read to its end.
        case reading
        /// Content is hashed and stored.
        case storing
    }

    package let stage: Stage
    package let bytes: Int64
    /// 0 when it is not known.
    package let totalBytes: Int64
    package let milliseconds: Int64

    package init(stage: Stage, bytes: Int64, totalBytes: Int64, milliseconds: Int64) {
        self.stage = stage
        self.bytes = bytes
        self.totalBytes = totalBytes
        self.milliseconds = milliseconds
    }
}

package struct ImportedImage: Sendable {
    package enum Outcome: String, Sendable, CaseIterable {
        case imported
        /// It is in the store just so.
        case unchanged
        /// The store knows newer content by its name.
        case older
        /// Something that it needs is neither in the bundle nor in the store.
        case incomplete
        /// Content of it is not what its name says.
        case damaged
        /// With a dry run: it would be imported.
        case planned

        package var isFailure: Bool { self == .incomplete || self == .damaged }
    }

    package let outcome: Outcome
    package let title: String
    package let digest: Digest
    package let platforms: [String]
    package let absentPlatforms: [String]
    package let blobs: Int
    package let bytes: Int64
    /// What of that was not in the store before.
    package let newBytes: Int64
    /// What is missing or damaged.
    package let faults: [Digest]
    package let namespace: Namespace
    package let isAttachment: Bool
    /// Whether a manifest was made for it, so that its digest is a new one.
    package let isRebuilt: Bool

    init(_ image: BundleImage, _ outcome: Outcome, newBytes: Int64 = 0, faults: [Digest] = [], form: Bundle.Form) {
        self.outcome = outcome
        self.title = image.title
        self.digest = image.digest
        self.platforms = image.platforms
        self.absentPlatforms = image.absentPlatforms
        self.blobs = image.contents.count
        self.bytes = image.bytes
        self.newBytes = newBytes
        self.faults = faults
        self.namespace = image.repository.namespace
        self.isAttachment = image.isAttachment
        self.isRebuilt = form == .docker
    }
}

/// How many images came to what end.
package struct ImportTally: Hashable, Sendable {
    package var done = 0
    package var failed = 0
    package var newBytes: Int64 = 0

    package init() {}

    /// 0 when all were taken, 1 when some, 2 when none.
    package var exitCode: Int { self.failed == 0 ? 0 : self.done > 0 ? 1 : 2 }

    mutating func add(_ image: ImportedImage) {
        if image.outcome.isFailure { self.failed += 1 } else { self.done += 1 }
        self.newBytes += image.newBytes
    }
}
