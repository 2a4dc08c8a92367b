import OCI
import Storage

/// Who fills the disk: every image of a store with what it has for itself and what it shares.
///
/// A tree: registries, their repositories, their images. An image is what a repository's tags or a pull by digest stand for: its
/// manifest, for an index those of its platforms, their blobs, and what is attached to any of them (referrers, and `sha256-…` tags). It is
/// one image however many tags it has, and another one in another repository. What has a tag or a pin of its own is an image of its own,
/// and as a platform of an index it belongs to the index, too. Content that belongs to no image makes `orphans`.
///
/// Of a set of images - an image, a repository, a registry, or any that somebody chooses -
/// - *logical* are the bytes of content that they would have if nothing were shared between images: each image's distinct blobs,
///   summed up;
/// - *unique* are the bytes of the disk that no image outside of the set needs: what comes free when all of it is removed;
/// - *shared* are the bytes of the disk that an image outside of the set needs, too: unique and shared are all that it has;
/// - *attributed* is its fair share: of each blob the bytes of the disk divided by the number of images that have it. What a
///   division leaves goes in single bytes to the first of them by name, so that the images and `orphans` make up the total exactly.
///
/// What is missing, such as a foreign layer or a platform that nobody asked for, counts nothing. Bytes of the disk are what `BlobScan` has
/// measured; without one they are the content's bytes in full blocks of 4 KiB, which is what common file systems give.
package struct DiskUsage: Sendable {
    /// The numbers of a set of images.
    package struct Figures: Hashable, Sendable {
        /// Bytes of content, as if nothing were shared.
        package var logical: Int64 = 0
        /// Bytes of the disk that come free without the set.
        package var unique: Int64 = 0
        /// Bytes of the disk that somebody else needs, too.
        package var shared: Int64 = 0
        /// Its share of the bytes of the disk; adds up.
        package var attributed: Int64 = 0
        /// Distinct blobs, manifests among them.
        package var blobs = 0
        package var images = 0
        /// Unix seconds of the newest pull of any of its manifests; what was never pulled came then.
        package var lastPulled: Int64 = 0
        /// Pulls of its images, without those of attached manifests.
        package var pulls: Int64 = 0

        package init() {}

        /// Bytes of the disk that the set has, each blob once.
        package var allocated: Int64 { self.unique + self.shared }
    }

    package struct Image: Sendable {
        package let digest: Digest
        /// In their order; empty for what was pulled by digest.
        package let tags: [Tag]
        /// Those of the tags that are pinned, and the digest if that is.
        package let pins: [Reference]
        /// Position in `repositories`.
        package let repository: Int
        package internal(set) var figures = Figures()

        package var isPinned: Bool { !self.pins.isEmpty }
        /// Below its repository: the tags, else the digest.
        package var label: String {
            self.tags.isEmpty ? "\(self.digest)" : self.tags.lazy.map(\.description).joined(separator: ", ")
        }
    }

    package struct Repository: Sendable {
        package let name: QualifiedRepository
        /// Position in `registries`.
        package let registry: Int
        /// Positions in `images`.
        package internal(set) var images: Range<Int>
        package internal(set) var figures = Figures()
    }

    package struct Registry: Sendable {
        package let name: Namespace
        /// Positions in `repositories`.
        package internal(set) var repositories: Range<Int>
        package internal(set) var figures = Figures()
    }

    /// Content of no image.
    package struct Orphans: Hashable, Sendable {
        package var blobs = 0
        /// Bytes of content.
        package var logical: Int64 = 0
        /// Bytes of the disk.
        package var allocated: Int64 = 0
    }

    /// By name, as are the repositories of each.
    package let registries: [Registry]
    package let repositories: [Repository]
    /// The images of one repository follow each other, by the first tag; those without one come last.
    package let images: [Image]
    package let orphans: Orphans
    /// Of all images. Nobody is outside of this set, so all that it has is unique.
    package let figures: Figures
    /// Blobs that the journal names and a scan has not found.
    package let missing: Int
    let graph: UsageGraph
    /// How many images have each blob.
    let users: [Int32]
    /// How often each manifest of an image was pulled, where it was.
    let pulls: [UsageGraph.Node: Int64]
    /// The catalog's number of each repository.
    let numbers: [UInt32]

    /// Looks at everything: not for event loops, nor for the cooperative pool.
    ///
    /// - Parameters:
    ///   - scan: what the blobs were found to take on the disk.
    ///   - pulls: how often a platform manifest was pulled; nil for what the catalog knows of that.
    package init(_ catalog: Catalog, measured scan: BlobScan? = nil, pulls: ((Digest) -> Int64)? = nil) {
        let graph = UsageGraph(catalog, measured: scan)
        var tree = UsageTree(graph: graph)
        tree.build(catalog)
        let (users, orphans) = tree.count(pulls)
        self.registries = tree.registries
        self.repositories = tree.repositories
        self.images = tree.images
        self.figures = tree.figures
        self.orphans = orphans
        self.missing = graph.missing
        self.graph = tree.graph
        self.users = users
        self.pulls = tree.pulls
        self.numbers = tree.numbers
    }

    /// Blobs of images, and of none.
    package var blobs: Int { self.figures.blobs + self.orphans.blobs }

    /// Bytes of the disk that all blobs take.
    package var allocated: Int64 { self.figures.unique + self.orphans.allocated }

    /// Bytes of content of all blobs.
    package var contentBytes: Int64 { self.graph.sizes.reduce(0) { $0.addingSize($1) } }

    /// `docker.io/library/nginx:1.27`; the first of its tags, if it has several.
    package func name(of image: Image) -> String {
        let repository = self.repositories[image.repository].name
        return image.tags.first.map { "\(repository):\($0)" } ?? "\(repository)@\(image.digest)"
    }
}
