import Glibc
import OCI
import SystemPackage

/// An image whose content is on the shelf, and which is to be known under its names from one moment to the next.
package struct IncomingImage: Sendable {
    package struct Name: Sendable {
        package let tag: Tag
        package let digest: Digest
        /// When whoever made the bundle knew the tag to stand for this (Unix seconds); 0 when nobody says.
        package let at: Int64

        package init(tag: Tag, digest: Digest, at: Int64) {
            self.tag = tag
            self.digest = digest
            self.at = at
        }
    }

    package struct StoredManifest: Sendable {
        package let digest: Digest
        package let size: Int64
        package let facts: ManifestFacts

        package init(digest: Digest, size: Int64, facts: ManifestFacts) {
            self.digest = digest
            self.size = size
            self.facts = facts
        }
    }

    package let repository: QualifiedRepository
    /// Configurations, layers and whatever else is no manifest.
    package var blobs: [Digest]
    /// Children before those that name them.
    package var manifests: [StoredManifest]
    package var names: [Name]
    package var pins: [Reference]
    /// All that it consists of, also what the repository has already.
    package let contents: [Digest]

    package init(
        repository: QualifiedRepository, blobs: [Digest], manifests: [StoredManifest], names: [Name], pins: [Reference],
        contents: [Digest]? = nil
    ) {
        self.repository = repository
        self.blobs = blobs
        self.manifests = manifests
        self.names = names
        self.pins = pins
        self.contents = contents ?? blobs + manifests.map(\.digest)
    }
}

/// Taking in what a bundle has: content first, which nobody knows, then all that makes it images in one group of lines.
extension ContentStore {
    /// Whether content can be had here: known, and on the disk with the size that it should have. Blocks.
    package func isThere(_ digest: Digest) -> Bool {
        guard let content = self.catalog.content(digest) else { return false }
        do {
            guard let file = try self.root.status(of: StoreLayout.blob(digest)) else { return false }
            return file.isRegular && file.size == content.size
        } catch {
            return false  // what cannot be looked at is brought again, and fails where it says why
        }
    }

    /// The whole of a stored document; nil when it is not there or larger than a manifest may be. Blocks.
    package func document(_ digest: Digest) throws -> [UInt8]? {
        guard case .success(let file) = self.openNow(digest), file.size <= Int64(Manifest.maximumSize) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(file.size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        return count == bytes.count ? bytes : nil
    }

    /// A spool file that shares the blocks of another file, hashed already; nil where that cannot be. Blocks.
    package func makeWriter(for digest: Digest, cloning descriptor: CInt) throws -> BlobWriter? {
        try BlobWriter.cloning(
            descriptor, of: digest, number: self.nextNumber(), in: self.root, lease: self.writing.lease(digest))
    }

    /// A further name in `spool/` for a file of the store's owner, which nobody can write to from then on, hashed already; nil where that
    /// cannot be. Blocks.
    package func makeWriter(for digest: Digest, linking descriptor: CInt) throws -> BlobWriter? {
        try BlobWriter.linking(
            descriptor, of: digest, number: self.nextNumber(), in: self.root, lease: self.writing.lease(digest))
    }

    private func nextNumber() -> UInt64 { self.spoolNumber.add(1, ordering: .relaxed).newValue }

    /// A file without a name on the store's disk, gone when its descriptor is closed. Blocks.
    package func makeScratchFile() throws -> CInt {
        guard let digest = Digest(.sha256, hash: [UInt8](repeating: 0, count: 32)) else {
            throw StorageError(.io, "no name for a file in \(StoreLayout.spool)")
        }
        // Had it a name, a start would keep what a kill leaves of it, as a download to go on with.
        let path = StoreLayout.partial(digest, self.nextNumber())
        let descriptor = try self.root.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        do {
            try self.root.remove(path)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    /// What eviction has to leave alone, and the bytes that it takes on the disk. Blocks: it looks at everything.
    package func pinned() -> (digests: Set<Digest>, bytes: Int64) {
        let graph = ImageGraph(Inventory(self.catalog))
        var digests: Set<Digest> = []
        var bytes: Int64 = 0
        for node in graph.pinnedNodes {
            let item = graph.items[Int(node)]
            digests.insert(item.digest)
            bytes += DiskSpace.allocated(item.content.size)
        }
        return (digests, bytes)
    }

    /// Bytes that content of this size takes on the disk.
    package static func allocated(_ size: Int64) -> Int64 { DiskSpace.allocated(size) }

    /// Makes images known whose content is stored. Blocks until that is durable.
    ///
    /// Children come before manifests, manifests before indexes, a tag after all of its image: whatever a crash cuts off, nothing is known
    /// that leads to something unknown.
    package func receive(_ images: [IncomingImage]) throws {
        try self.checkWritable()
        let now = self.now()
        try self.journal.changing {
            try self.gate.publishing {
                var records: [JournalRecord] = []
                for image in images { try self.append(image, at: now, to: &records) }
                try self.journal.appendAndWait(records)
                for record in records { self.catalog.apply(record) }
            }
        }
        for image in images {
            for digest in image.blobs + image.manifests.map(\.digest) { self.layouts.note(digest, in: image.repository) }
        }
    }

    private func append(_ image: IncomingImage, at now: Int64, to records: inout [JournalRecord]) throws {
        for digest in image.contents {
            guard self.catalog.contains(digest), !self.catalog.isBeingRemoved(digest) else {
                throw StorageError(.notFound, "\(digest) was removed from the store meanwhile; import again")
            }
        }
        for digest in image.blobs { records.append(.link(digest, image.repository)) }
        for manifest in image.manifests {
            records.append(
                .manifest(manifest.digest, manifest.facts, size: manifest.size, repository: image.repository, at: now))
        }
        // An upstream may have said something newer while the content came.
        for name in image.names where !self.knowsNewer(name, in: image.repository) {
            records.append(.importedTag(name.tag, image.repository, name.digest, at: min(name.at, now)))
        }
        for pin in image.pins where self.catalog.pins(in: image.repository)[pin] == nil {
            records.append(.pin(pin, image.repository, at: now))
        }
    }

    /// Whether a tag is known to have stood for something else later than a bundle says, and that can be had. Blocks.
    package func knowsNewer(_ name: IncomingImage.Name, in repository: QualifiedRepository) -> Bool {
        guard name.at > 0, let entry = self.catalog.tag(name.tag, in: repository) else { return false }
        return entry.digest != name.digest && entry.fetchedAt > name.at && self.isThere(entry.digest)
    }

    /// Removes content that came with images which did not: what no repository holds, and nobody is about to. Blocks.
    package func giveUp(_ digests: [Digest]) throws {
        let going = digests.filter { digest in
            self.catalog.contains(digest) && self.catalog.content(digest)?.manifest == nil
                && self.catalog.repositories(holding: digest).isEmpty
        }
        if !going.isEmpty { try self.remove(going) }
    }
}
