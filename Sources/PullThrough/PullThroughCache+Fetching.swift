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
                try await source.ask { try await $0.manifest(reference, in: $1) }
            }
            source.traffic?.add(Int64(response.bytes.readableBytes), to: .bytesFetched)
            let manifest = try self.manifest(in: response, reference, source)
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

    /// Checks what came; a registry that says something else of it than it is, is noted.
    private func manifest(
        in response: RegistryClient.ManifestResponse, _ reference: Reference, _ source: RoutedRepository
    ) throws -> ManifestContent {
        var expected: Digest?
        if case .digest(let digest) = reference { expected = digest }
        do {
            let manifest = try ManifestContent(
                bytes: response.bytes, mediaType: response.mediaType, knownType: { self.knownType(of: $0, in: source) },
                expected: expected,
                host: source.upstream.client.configuration.address.authority)
            // By another algorithm it may be right all the same.
            if let claim = response.claim, claim.hasPrefix(manifest.digest.algorithm.rawValue),
                claim != manifest.digest.description
            {
                self.logger.warning(
                    "[\(source.upstream.name)] The registry says a wrong Docker-Content-Digest",
                    metadata: ["digest": "\(manifest.digest)", "claim": "\(claim.prefix(200))"])
            }
            return manifest
        } catch let error as PullThroughError {
            if let expected, response.bytes.withUnsafeReadableBytes({ Digest(expected.algorithm, of: $0) }) != expected {
                source.noteWrongContent(expected, error, self.logger)
            }
            throw error
        }
    }

    /// A manifest that has come and is not on the shelf yet.
    func arrived(_ digest: Digest, in source: RoutedRepository) -> ManifestContent? {
        self.arrivedManifests.withLock { $0[ManifestKey(repository: source.repository, reference: .digest(digest))] }
    }

    /// The image for linux/amd64 of a stored or just arrived index, for clients that know no index.
    package func defaultImage(of index: Digest, in source: RoutedRepository) -> Digest? {
        let facts = self.shelf(source).content(index)?.manifest ?? self.arrived(index, in: source)?.facts
        return facts?.children.first { $0.role == .manifest && $0.platform == "linux/amd64" }?.digest
    }

    /// The type of a manifest that is stored, or about to be.
    private func knownType(of digest: Digest, in source: RoutedRepository) -> MediaType? {
        self.store.catalog.content(digest)?.manifest?.mediaType ?? self.arrived(digest, in: source)?.mediaType
    }

    private func arrived(_ reference: Reference, in source: RoutedRepository) -> ManifestContent? {
        switch reference {
        case .digest(let digest): return self.arrived(digest, in: source)
        case .tag(let tag):
            guard let recent = self.recentTags.entry(tag, in: source.repository),
                recent.confirmedAt.duration(to: .now) < .seconds(1)
            else { return nil }
            return self.arrived(recent.digest, in: source)
        }
    }

    /// Stores a manifest in a job of its own: the client is owed correctness, not durability.
    private func keep(_ manifest: ManifestContent, in source: RoutedRepository) {
        guard let facts = manifest.facts else { return }
        let key = ManifestKey(repository: source.repository, reference: .digest(manifest.digest))
        self.arrivedManifests.withLock { $0[key] = manifest }
        self.service.start {
            do {
                try await self.store.run {
                    try self.publish(manifest, facts, in: source)
                    self.nameStored(manifest.digest, in: source)
                }
                self.logger.info("[\(source.upstream.name)] Cached manifest \(source.repository.name)@\(manifest.digest)")
            } catch {
                self.logger.warning("[\(source.upstream.name)] Manifest \(manifest.digest) is not stored: \(error)")
            }
            self.arrivedManifests.withLock { _ = $0.removeValue(forKey: key) }
            self.countArrivedPulls(of: manifest.digest)
        }
    }

    /// Gives a manifest that was just stored the tags that were waiting for it. Blocks.
    func nameStored(_ digest: Digest, in source: RoutedRepository) {
        let tags = self.recentTags.tags(waitingFor: digest, in: source.repository)
        // Into the catalog first: at every moment one of the two knows the tag. Dated when it was said: what was said long ago is stored
        // as old, and asked for again.
        self.store.setTags(tags, in: source.repository, to: digest)
        for (tag, _) in tags { self.recentTags.remove(tag, in: source.repository, if: digest) }
    }

    func publish(_ manifest: ManifestContent, _ facts: ManifestFacts, in source: RoutedRepository) throws {
        let size = Int64(manifest.bytes.readableBytes)
        if self.store.catalog.content(manifest.digest)?.manifest == nil {
            // Its blobs may be here already, and nobody's as yet.
            let leases = [self.store.expect(manifest.digest)] + facts.children.map { self.store.expect($0.digest) }
            defer { withExtendedLifetime(leases) {} }
            let reservation = try self.store.capacity.reserve(size, for: source.repository.namespace)
            var writer = try self.store.makeWriter(for: manifest.digest)
            try manifest.bytes.withUnsafeReadableBytes { try writer.append($0) }
            try self.store.publish(writer, facts: facts, in: source.repository)
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
            age: source == nil ? nil : 0, lifetime: source?.upstream.tagLifetime.components.seconds)
    }
}
