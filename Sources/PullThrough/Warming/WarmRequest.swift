import OCI

/// What is to be brought into the store.
package struct WarmRequest: Hashable, Sendable {
    /// Full names: `docker.io/library/nginx:alpine`, `ghcr.io/org/app@sha256:…`.
    package var images: [String]
    /// Which images of an index.
    package var platforms: PlatformSelection
    /// Whether signatures, attestations and whatever else refers to them come along.
    package var withReferrers: Bool
    /// How many images, and how many blobs, are brought at a time.
    package var jobs: Int

    package static let usualJobs = 4
    package static let jobsLimit = 64

    package init(
        images: [String], platforms: PlatformSelection = .own, withReferrers: Bool = false, jobs: Int = WarmRequest.usualJobs
    ) {
        self.images = images
        self.platforms = platforms
        self.withReferrers = withReferrers
        self.jobs = min(max(1, jobs), Self.jobsLimit)
    }
}

/// What a warmer has to say.
package enum WarmEvent: Sendable {
    case began(image: String)
    case progress(WarmProgress)
    /// Something that a person should know and that is no failure.
    case note(image: String, text: String)
    case ended(WarmedImage)
}

/// How far a run is.
package struct WarmProgress: Hashable, Sendable {
    package struct Layer: Hashable, Sendable {
        package let digest: Digest
        package let received: Int64
        /// Bytes in all.
        package let size: Int64
        package let image: String

        package init(digest: Digest, received: Int64, size: Int64, image: String) {
            self.digest = digest
            self.received = received
            self.size = size
            self.image = image
        }
    }

    /// What is coming at this moment.
    package var layers: [Layer] = []
    /// Bytes of blobs that have come.
    package var received: Int64 = 0
    /// Bytes of blobs that have to come, as far as is known.
    package var wanted: Int64 = 0
    package var images = 0
    package var endedImages = 0
    package var milliseconds: Int64 = 0
}

/// What became of one image.
package struct WarmedImage: Hashable, Sendable {
    package let name: String
    package var digest: Digest?
    /// Those of which it has something now.
    package var platforms: [String] = []
    package var manifests = 0
    /// Blobs that it needs, and how many of them had to be fetched.
    package var blobs = 0
    package var fetchedBlobs = 0
    package var fetchedManifests = 0
    /// Bytes of all of them, and of those that were fetched.
    package var bytes: Int64 = 0
    package var fetchedBytes: Int64 = 0
    /// Manifests that refer to it.
    package var referrers = 0
    package var milliseconds: Int64 = 0
    /// Nil: all that was wanted is stored.
    package var failure: WarmFailure?

    package init(name: String) {
        self.name = name
    }

    /// Whether everything was there already.
    package var isUnchanged: Bool { self.failure == nil && self.fetchedBlobs == 0 && self.fetchedManifests == 0 }
}

/// Why an image is not, or not wholly, in the store: a sentence with the cause and the way out.
package struct WarmFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    /// When to try again, in Unix seconds, where a registry has said so.
    package var retryAt: Int64?
    /// Whether the run was ended before the image was done.
    package var isInterruption = false

    package init(_ description: String, retryAt: Int64? = nil) {
        self.description = description
        self.retryAt = retryAt
    }

    static var interrupted: WarmFailure {
        var failure = WarmFailure("interrupted before it was done")
        failure.isInterruption = true
        return failure
    }
}

/// What became of a run.
package struct WarmSummary: Hashable, Sendable {
    package var complete = 0
    /// Of those, the ones for which nothing had to be done.
    package var unchanged = 0
    package var failed = 0
    /// Those that were not begun, or not ended, when the run was.
    package var interrupted = 0
    package var fetchedBlobs = 0
    package var fetchedBytes: Int64 = 0
    package var milliseconds: Int64 = 0
}
