import Logging
import OCI
import Storage
import Upstream

/// A list and where it came from.
package struct ListAnswer<Element: Sendable>: Sendable {
    package let elements: [Element]
    /// Whether there is more behind the last of them.
    package let hasMore: Bool
    package let state: CacheState
    /// Seconds since the upstream gave it.
    package let age: Int64
    /// Seconds for which it is fresh.
    package let lifetime: Int64
}

/// What refers to a manifest: a descriptor as JSON, and what it is filtered by.
package struct ReferrerEntry: Sendable, Hashable {
    package let json: String
    package let artifactType: String?
}

extension PullThroughCache {
    // MARK: - Tags

    /// The tags of a repository: the upstream's page, else the page that it last gave, else what is stored.
    package func tags(
        in source: RoutedRepository, count: Int?, after last: Tag?,
        then completion: @escaping @Sendable (Result<ListAnswer<String>, PullThroughError>) -> Void
    ) {
        self.list(
            .tags(source.repository, count: count, after: last), in: source,
            ask: { .tags(try await source.ask { try await $0.tags(in: $1, count: count, after: last) }) },
            stored: { self.storedTags(in: source, count: count, after: last) },
            then: { result in
                completion(
                    result.map { entry, state in
                        guard case .tags(let page) = entry.value else { preconditionFailure("a list is of its own kind") }
                        return self.answer(page.tags, hasMore: page.hasMore, entry, state, source)
                    })
            })
    }

    func storedTags(in source: RoutedRepository, count: Int?, after last: Tag?) -> ListCache.Value? {
        let tags = self.store.catalog.tags(in: source.repository).keys.map(\.description).sorted()
        guard !tags.isEmpty else { return nil }
        let rest = last.map { last in tags.filter { $0 > last.description } } ?? tags
        let page = count.map { Array(rest.prefix($0)) } ?? rest
        return .tags(.init(tags: page, hasMore: page.count < rest.count))
    }

    // MARK: - Referrers

    /// What refers to a manifest, of every artifact type.
    package func referrers(
        of digest: Digest, in source: RoutedRepository,
        then completion: @escaping @Sendable (Result<ListAnswer<ReferrerEntry>, PullThroughError>) -> Void
    ) {
        self.list(
            .referrers(source.repository, digest), in: source,
            ask: { .referrers(try await source.ask { try await $0.referrers(of: digest, in: $1) }) },
            stored: {
                let list = try await self.store.run {
                    try StoredReferrers(store: self.store).list(of: digest, in: source.repository)
                }
                // Nobody else will ever be asked what refers to it: nothing that is known here does.
                let isAll = source.upstream.isOffline && self.store.catalog.holds(digest, in: source.repository)
                return list ?? (isAll ? .referrers([]) : nil)
            },
            then: { result in
                completion(
                    result.map { entry, state in
                        guard case .referrers(let list) = entry.value else { preconditionFailure("a list is of its own kind") }
                        let entries = list.map { ReferrerEntry(json: $0.json, artifactType: $0.artifactType) }
                        return self.answer(entries, hasMore: false, entry, state, source)
                    })
            })
    }

    // MARK: - Catalog

    /// The names of what is stored, as a client of this server writes them, in lexical order.
    ///
    /// - Parameter ns: only this registry's, without its name in front, as with every request that carries `ns`.
    package func storedNames(ns: Namespace?) -> [String] {
        let directory = self.directory
        return self.store.catalog.allRepositories.compactMap { repository in
            guard self.store.catalog.isHeld(repository),
                directory.binding(repository.namespace)?.refusal(of: repository.name) == nil
            else { return nil }
            if let ns {
                return directory.binding(ns)?.namespace == repository.namespace ? repository.name.description : nil
            }
            return directory.isFallback(repository.namespace) ? repository.name.description : repository.description
        }.sorted()
    }

    // MARK: - Freshness

    func answer<Element: Sendable>(
        _ elements: [Element], hasMore: Bool, _ entry: ListCache.Entry, _ state: CacheState, _ source: RoutedRepository
    ) -> ListAnswer<Element> {
        ListAnswer(
            elements: elements, hasMore: hasMore, state: state, age: entry.age,
            lifetime: max(0, source.upstream.tagLifetime.components.seconds - entry.age))
    }

    /// A list from memory while it is fresh, else from the upstream, else as it last was, else from the store.
    private func list(
        _ key: ListCache.Key, in source: RoutedRepository, ask: @escaping @Sendable () async throws -> ListCache.Value,
        stored: @escaping @Sendable () async throws -> ListCache.Value?,
        then completion: @escaping @Sendable (Result<(ListCache.Entry, CacheState), PullThroughError>) -> Void
    ) {
        let known = self.lists.entry(key)
        if let known, known.confirmedAt.duration(to: .now) < source.upstream.tagLifetime {
            return completion(.success((known, .hit)))
        }
        self.patiently(
            completion,
            stale: {
                guard source.upstream.stalePolicy.served.contains(.network) else { return nil }
                return known.map { ($0, .stale(reason: "the upstream is slow to answer")) }
            },
            {
                do {
                    return try await self.listFlights.run(key) { (self.lists.set(key, try await ask()), .miss) }
                } catch {
                    let failure = PullThroughError(error)
                    guard source.upstream.stalePolicy.serves(after: failure) else { throw failure }
                    // That an upstream is never asked is no news.
                    self.logger.log(
                        level: failure.code == .offline ? .debug : .warning,
                        "[\(source.upstream.name)] Answering a list from what is known: \(failure)")
                    if let known { return (known, .stale(reason: failure.message)) }
                    guard let value = try await stored() else { throw failure }
                    return (ListCache.Entry(value: value, confirmedAt: .now), .stale(reason: failure.message))
                }
            })
    }
}
