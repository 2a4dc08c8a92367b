import Logging
import NIOCore
import OCI
import Storage
import Synchronization
import Upstream

/// How manifests come and are put on the shelf.
extension PullThroughCache {
    /// One GET for all who ask. The bytes are answered at once and stored behind the answer.
    func fetch(_ reference: Reference, in source: RoutedRepository) async throws -> ManifestContent {
        let key = ManifestKey(repository: source.repository, reference: reference)
        return try await self.manifestFlights.run(key) {
            // Another flight may have landed between the caller's last look and the start of this one.
            if let arrived = self.arrived(reference, in: source) { return arrived }
            let response = try await self.noting(reference, in: source) {
                try await source.upstream.client.manifest(reference, in: source.repository.name)
            }
            var expected: Digest?
            if case .digest(let digest) = reference { expected = digest }
            let manifest = try ManifestContent(
                bytes: response.bytes, mediaType: response.mediaType, expected: expected,
                host: source.upstream.client.configuration.address.authority)
            if case .tag(let tag) = reference {
                self.recentTags.set(
                    tag, in: source.repository,
                    .init(
                        digest: manifest.digest, mediaType: manifest.mediaType, size: Int64(manifest.bytes.readableBytes),
                        confirmedAt: .now))
            }
            self.keep(manifest, in: source)
            return manifest
        }
    }

    /// The image for linux/amd64 of a stored or just arrived index, for clients that know no index.
    package func defaultImage(of index: Digest) -> Digest? {
        let facts = self.store.catalog.content(index)?.manifest ?? self.arrivedManifests.withLock { $0[index]?.facts }
        return facts?.children.first { $0.role == .manifest && $0.platform == "linux/amd64" }?.digest
    }

    private func arrived(_ reference: Reference, in source: RoutedRepository) -> ManifestContent? {
        switch reference {
        case .digest(let digest): return self.arrivedManifests.withLock { $0[digest] }
        case .tag(let tag):
            guard let recent = self.recentTags.entry(tag, in: source.repository),
                recent.confirmedAt.duration(to: .now) < .seconds(1)
            else { return nil }
            return self.arrivedManifests.withLock { $0[recent.digest] }
        }
    }

    /// Stores a manifest in a job of its own: the client is owed correctness, not durability.
    private func keep(_ manifest: ManifestContent, in source: RoutedRepository) {
        guard let facts = manifest.facts else { return }
        self.arrivedManifests.withLock { $0[manifest.digest] = manifest }
        self.service.start {
            do {
                try await self.store.run { try self.publish(manifest, facts, in: source) }
                // Into the catalog first: at every moment one of the two knows the tag.
                for (tag, confirmedAt) in self.recentTags.tags(waitingFor: manifest.digest, in: source.repository) {
                    // Dated when it was said: what was said long ago is stored as old, and asked for again.
                    self.store.setTag(tag, in: source.repository, to: manifest.digest, confirmedAt: confirmedAt)
                    self.recentTags.remove(tag, in: source.repository, if: manifest.digest)
                }
                self.logger.info("[\(source.upstream.name)] Cached manifest \(source.repository.name)@\(manifest.digest)")
            } catch {
                self.logger.warning("[\(source.upstream.name)] Manifest \(manifest.digest) is not stored: \(error)")
            }
            self.arrivedManifests.withLock { _ = $0.removeValue(forKey: manifest.digest) }
        }
    }

    private func publish(_ manifest: ManifestContent, _ facts: ManifestFacts, in source: RoutedRepository) throws {
        let size = Int64(manifest.bytes.readableBytes)
        if self.store.catalog.content(manifest.digest)?.manifest == nil {
            let reservation = try self.store.capacity.reserve(size, for: source.repository.namespace)
            var writer = try self.store.makeWriter(for: manifest.digest)
            try manifest.bytes.withUnsafeReadableBytes { try writer.append($0) }
            try writer.publish()
            self.store.didPublish(manifest.digest, size: size, facts: facts, in: source.repository)
            _ = consume reservation
        } else if !self.store.catalog.holds(manifest.digest, in: source.repository) {
            self.store.link(manifest.digest, to: source.repository)
        }
    }

    static func answer(
        _ manifest: ManifestContent, state: CacheState, lifetime source: RoutedRepository? = nil
    ) -> ManifestAnswer {
        ManifestAnswer(
            digest: manifest.digest, mediaType: manifest.mediaType, body: .memory(manifest.bytes), state: state,
            age: source == nil ? nil : 0, lifetime: source?.upstream.cacheTtl.components.seconds)
    }
}
