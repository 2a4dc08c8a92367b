import OCI
import Storage
import Upstream

/// What a warmer asks of the cache: the same as an engine would, but that it waits, and wants to have it stored.
extension PullThroughCache {
    /// A manifest as its upstream has it now; by a tag that is fresh, as it is stored.
    ///
    /// Nobody is given something old for the sake of a quick answer: what could not be confirmed says so by its state.
    func current(_ reference: Reference, in source: RoutedRepository) async throws -> ManifestAnswer {
        guard case .tag(let tag) = reference else {
            guard case .digest(let digest) = reference else { preconditionFailure("a reference is a tag or a digest") }
            return try await self.manifest(by: digest, in: source, method: .get)
        }
        if let answer = self.storedManifest(reference, in: source) { return answer }
        if let entry = self.store.catalog.tag(tag, in: source.repository),
            try await self.store.run({ self.store.adopt(entry.digest, in: source.repository) })
        {
            return try await self.revalidated(tag, entry, in: source, method: .get)
        }
        return try await self.unknownTag(tag, in: source, method: .get)
    }

    /// Sees to it that an answered manifest is stored, and returns what it says.
    ///
    /// - Throws: `StorageError` when it cannot be kept.
    func settle(_ answer: ManifestAnswer, in source: RoutedRepository) async throws -> ManifestFacts {
        if case .memory(let bytes) = answer.body {
            let manifest = try ManifestContent(
                bytes: bytes, mediaType: answer.mediaType, knownType: { _ in nil }, expected: answer.digest,
                host: source.upstream.client.configuration.address.authority)
            guard let facts = manifest.facts else {
                throw PullThroughError(
                    .invalidUpstreamResponse,
                    "the manifest \(answer.digest) is not kept, because it can be understood in more than one way")
            }
            // The cache stores it too, in a job of its own; whoever comes second finds it there.
            try await self.store.run {
                try self.publish(manifest, facts, in: source)
                self.nameStored(manifest.digest, in: source)
            }
            return facts
        }
        guard let facts = self.store.catalog.content(answer.digest)?.manifest else {
            throw PullThroughError(.unavailable, "the manifest \(answer.digest) was removed a moment ago")
        }
        return facts
    }

    /// What refers to a manifest, as the upstream says now, or said within a tag's time.
    func currentReferrers(of digest: Digest, in source: RoutedRepository) async throws -> [Digest] {
        let key = ListCache.Key.referrers(source.repository, digest)
        let entry: ListCache.Entry
        if let known = self.lists.entry(key), known.confirmedAt.duration(to: .now) < source.upstream.tagLifetime {
            entry = known
        } else {
            (entry, _) = try await self.listFlights.run(key) {
                (self.lists.set(key, .referrers(try await source.ask { try await $0.referrers(of: digest, in: $1) })), .miss)
            }
        }
        guard case .referrers(let list) = entry.value else { preconditionFailure("a list is of its own kind") }
        return list.compactMap { referrer in
            var digest: Digest?
            try? Array(referrer.json.utf8).withUnsafeBytes { bytes in  // read without error before
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        guard key == "digest", try reader.peek() == .string else { return try reader.skipValue() }
                        digest = try Digest(parsing: try reader.string())
                    }
                }
            }
            return digest
        }
    }

    /// The bytes of a stored document; nil when it is not there, or larger than a manifest. Blocks.
    func document(_ digest: Digest) -> [UInt8]? {
        guard case .success(let file) = self.store.openNow(digest), file.size <= Int64(Manifest.maximumSize) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(file.size))
        do {
            let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
            return count == bytes.count ? bytes : nil
        } catch {
            return nil  // whoever sends it finds out why
        }
    }
}
