import Logging
import NIOCore
import OCI
import Storage
import Synchronization
import Upstream

/// Where an answer came from.
package enum CacheState: Sendable, Hashable {
    case hit
    /// Confirmed by the upstream just now.
    case revalidated
    case miss
    /// The upstream could not confirm it.
    case stale(reason: String)
}

/// A manifest as it can be answered.
package struct ManifestAnswer: Sendable {
    package enum Body: Sendable {
        /// On the shelf.
        case stored(Catalog.Content)
        case memory(ByteBuffer)
        /// Known by HEAD alone.
        case absent(size: Int64?)
    }

    package let digest: Digest
    package let mediaType: MediaType?
    package let body: Body
    package let state: CacheState
    /// Seconds since the upstream last confirmed it; nil for content by digest.
    package let age: Int64?
    /// Seconds for which it is still fresh; nil for content by digest.
    package let lifetime: Int64?
}

extension PullThroughCache {
    /// What asking the upstream about a tag found.
    enum TagVerdict: Sendable {
        case digest(Digest, MediaType?, size: Int64?)
        /// The registry does not say the digest: ask by GET.
        case unspecified
    }

    package enum ManifestMethod: Sendable {
        case get
        case head
    }

    /// A manifest that can be answered without waiting for anything; nil when a job is needed. Never blocks.
    package func storedManifest(_ reference: Reference, in source: RoutedRepository) -> ManifestAnswer? {
        switch reference {
        case .digest(let digest):
            guard self.shelf(source).content(digest) != nil, self.isServable(digest, in: source) else { return nil }
            return self.shelved(digest, in: source, state: .hit, entry: nil)
        case .tag(let tag):
            guard let entry = self.store.catalog.tag(tag, in: source.repository), self.isServable(entry.digest, in: source) else {
                return nil
            }
            if self.remainingLifetime(of: entry, source) > 0 {
                return self.shelved(entry.digest, in: source, state: .hit, entry: entry)
            }
            guard source.upstream.isOffline else { return nil }
            return self.stale(entry, in: source, reason: "Amargo is offline")
        }
    }

    /// Whether a stored manifest leads to something: with its upstream down or never asked, an image that is stored in part would only keep
    /// an engine from going where it can be had whole.
    func isServable(_ digest: Digest, in source: RoutedRepository) -> Bool {
        guard source.upstream.isOffline || source.upstream.client.status.isDown,
            let facts = self.store.catalog.content(digest)?.manifest
        else { return true }
        return self.shelf(source).isComplete(facts)
    }

    private static func incomplete(_ reference: Reference, _ reason: String) -> PullThroughError {
        PullThroughError(
            .notFound(.manifestUnknown), "\(reference) is stored only in part, and the rest cannot be had now: \(reason)")
    }

    /// A manifest by whatever it takes. The completion is called once, from anywhere.
    package func manifest(
        _ reference: Reference, in source: RoutedRepository, method: ManifestMethod,
        then completion: @escaping @Sendable (Result<ManifestAnswer, PullThroughError>) -> Void
    ) {
        switch reference {
        case .digest(let digest):
            self.start(completion) { try await self.manifest(by: digest, in: source, method: method) }
        case .tag(let tag):
            self.resolve(tag, in: source, method: method, completion)
        }
    }

    func shelved(
        _ digest: Digest, in source: RoutedRepository, state: CacheState, entry: Catalog.TagEntry?
    ) -> ManifestAnswer? {
        guard let content = self.store.catalog.content(digest), let facts = content.manifest else { return nil }
        if !self.store.catalog.holds(digest, in: source.repository) { self.store.link(digest, to: source.repository) }
        self.store.noteUse(of: digest)
        return ManifestAnswer(
            digest: digest, mediaType: facts.mediaType, body: .stored(content), state: state,
            // A tag read back from a layout was confirmed nobody knows when.
            age: entry.flatMap { $0.fetchedAt > 0 ? self.age(of: $0) : nil },
            lifetime: entry.map { max(0, self.remainingLifetime(of: $0, source)) })
    }

    // MARK: - By digest

    func manifest(by digest: Digest, in source: RoutedRepository, method: ManifestMethod) async throws -> ManifestAnswer {
        if let arrived = self.arrived(digest, in: source) { return Self.answer(arrived, state: .hit) }
        let isHere = try await self.shelf(source).has(digest) {
            if let error = self.refusal(of: digest, in: source) { throw error }
            return try await self.head(of: digest, in: source).size
        }
        if isHere, let answer = try await self.stored(digest, in: source) { return answer }
        if let error = self.refusal(of: digest, in: source) { throw error }
        if method == .head {
            let head = try await self.head(of: digest, in: source)
            return ManifestAnswer(
                digest: digest, mediaType: head.mediaType, body: .absent(size: head.size), state: .miss, age: nil, lifetime: nil)
        }
        return Self.answer(try await self.fetch(.digest(digest), in: source), state: .miss)
    }

    private func head(of digest: Digest, in source: RoutedRepository) async throws -> RegistryClient.ManifestHead {
        try await self.noting(.digest(digest), in: source) {
            try await source.ask { try await $0.manifestHead(.digest(digest), in: $1) }
        }
    }

    /// The stored manifest, unless it is stored in part and its upstream, asked once more, is still down.
    private func stored(_ digest: Digest, in source: RoutedRepository) async throws -> ManifestAnswer? {
        if !self.isServable(digest, in: source) {
            do {
                _ = try await source.ask { try await $0.manifestHead(.digest(digest), in: $1) }
            } catch {
                if !self.isServable(digest, in: source) {
                    throw Self.incomplete(.digest(digest), PullThroughError(error).message)
                }
            }
        }
        return self.shelved(digest, in: source, state: .hit, entry: nil)
    }

    // MARK: - By tag

    private func resolve(
        _ tag: Tag, in source: RoutedRepository, method: ManifestMethod,
        _ completion: @escaping @Sendable (Result<ManifestAnswer, PullThroughError>) -> Void
    ) {
        guard let entry = self.store.catalog.tag(tag, in: source.repository) else {
            self.start(completion) { try await self.unknownTag(tag, in: source, method: method) }
            return
        }
        self.patiently(
            completion,
            stale: {
                guard source.upstream.stalePolicy.served.contains(.network), self.isServable(entry.digest, in: source) else {
                    return nil
                }
                return self.stale(entry, in: source, reason: "the upstream is slow to confirm the tag")
            },
            {
                // The journal may know a name whose content it lost; the disk may have it all the same.
                guard try await self.store.run({ self.store.adopt(entry.digest, in: source.repository) }) else {
                    return try await self.unknownTag(tag, in: source, method: method)
                }
                return try await self.revalidated(tag, entry, in: source, method: method)
            })
    }

    private func stale(_ entry: Catalog.TagEntry, in source: RoutedRepository, reason: String) -> ManifestAnswer? {
        self.shelved(entry.digest, in: source, state: .stale(reason: reason), entry: entry)
    }

    /// A stored tag whose time is over: asked for by HEAD, and served as it is when the upstream cannot say.
    func revalidated(
        _ tag: Tag, _ entry: Catalog.TagEntry, in source: RoutedRepository, method: ManifestMethod
    ) async throws -> ManifestAnswer {
        do {
            let verdict = try await self.ask(tag, in: source)
            if case .digest(let digest, _, _) = verdict, self.store.catalog.content(digest)?.manifest != nil {
                self.store.setTag(tag, in: source.repository, to: digest)
                let fresh = self.store.catalog.tag(tag, in: source.repository) ?? entry
                if let answer = self.shelved(digest, in: source, state: .revalidated, entry: fresh) { return answer }
            }
            return try await self.moved(tag, verdict, in: source, method: method)
        } catch {
            let failure = PullThroughError(error)
            let isUnknown = if case .notFound = failure.code { true } else { false }
            // What was brought here need not be known anywhere else.
            guard source.upstream.stalePolicy.serves(after: failure) || isUnknown && entry.isImported else {
                // Said by the registry itself, this is news of the tag; any other failure says nothing about it.
                if isUnknown { self.store.removeTag(tag, in: source.repository) }
                throw failure
            }
            guard self.isServable(entry.digest, in: source) else { throw Self.incomplete(.tag(tag), failure.message) }
            guard let answer = self.stale(entry, in: source, reason: failure.message) else { throw failure }
            self.logger.warning(
                "[\(source.upstream.name)] Serving the stored manifest \(source.repository.name):\(tag): \(failure)")
            return answer
        }
    }

    /// A tag that nothing is stored for.
    func unknownTag(_ tag: Tag, in source: RoutedRepository, method: ManifestMethod) async throws -> ManifestAnswer {
        if let recent = self.recentTags.entry(tag, in: source.repository),
            recent.confirmedAt.duration(to: .now) < source.upstream.tagLifetime
        {
            return try await self.moved(
                tag, .digest(recent.digest, recent.mediaType, size: recent.size), in: source, method: method)
        }
        if let error = self.absences.error(.tag(tag), in: source.repository) { throw error }
        // It may have been stored since the first look.
        if let answer = self.storedManifest(.tag(tag), in: source) { return answer }
        guard method == .head else {
            // One request instead of two: a GET by tag says everything that a HEAD does.
            return Self.answer(try await self.fetch(.tag(tag), in: source), state: .miss, lifetime: source)
        }
        return try await self.moved(tag, try await self.ask(tag, in: source), in: source, method: method)
    }

    /// Answers for a tag whose digest was just learned and whose manifest may be absent.
    private func moved(
        _ tag: Tag, _ verdict: TagVerdict, in source: RoutedRepository, method: ManifestMethod
    ) async throws -> ManifestAnswer {
        if case .digest(let digest, let mediaType, let size) = verdict {
            if self.store.catalog.content(digest)?.manifest != nil {
                self.store.setTag(tag, in: source.repository, to: digest)
                self.recentTags.remove(tag, in: source.repository, if: digest)
                let entry = self.store.catalog.tag(tag, in: source.repository)
                if let answer = self.shelved(digest, in: source, state: .miss, entry: entry) { return answer }
            }
            if let arrived = self.arrived(digest, in: source) {
                return Self.answer(arrived, state: .miss, lifetime: source)
            }
            if method == .head {
                return ManifestAnswer(
                    digest: digest, mediaType: mediaType, body: .absent(size: size), state: .miss, age: 0,
                    lifetime: source.upstream.tagLifetime.components.seconds)
            }
        }
        return Self.answer(try await self.fetch(.tag(tag), in: source), state: .miss, lifetime: source)
    }

    /// One HEAD for all who ask; its answer is remembered.
    private func ask(_ tag: Tag, in source: RoutedRepository) async throws -> TagVerdict {
        let key = ManifestKey(repository: source.repository, reference: .tag(tag))
        return try await self.headFlights.run(key) {
            let head = try await self.noting(.tag(tag), in: source) {
                try await source.ask { try await $0.manifestHead(.tag(tag), in: $1) }
            }
            guard let digest = head.digest else { return .unspecified }
            self.recentTags.set(
                tag, in: source.repository,
                .init(digest: digest, mediaType: head.mediaType, size: head.size, confirmedAt: .now))
            return .digest(digest, head.mediaType, size: head.size)
        }
    }
}
