import OCI
import Storage

/// What can be had without asking any upstream: for clients that say `Cache-Control: only-if-cached` (RFC 9111, 5.2.1.7).
extension PullThroughCache {
    /// A manifest that is here, by a tag also one whose time is over. Never blocks.
    package func manifestOnlyIfStored(_ reference: Reference, in source: RoutedRepository) -> ManifestAnswer? {
        if let answer = self.storedManifest(reference, in: source) { return answer }
        switch reference {
        case .digest(let digest): return self.arrived(digest, in: source).map { Self.answer($0, state: .hit) }
        case .tag(let tag):
            // What was heard of it last, before what is stored of it.
            if let recent = self.recentTags.entry(tag, in: source.repository),
                let arrived = self.arrived(recent.digest, in: source)
            {
                return Self.answer(arrived, state: .hit, lifetime: source)
            }
            guard let entry = self.store.catalog.tag(tag, in: source.repository), self.isServable(entry.digest, in: source)
            else { return nil }
            return self.shelved(
                entry.digest, in: source, state: .stale(reason: "the client wants what is stored, and nothing else"), entry: entry
            )
        }
    }

    /// A page of the tags that are known here: as the upstream last gave it, else of what is stored.
    package func tagsOnlyIfStored(in source: RoutedRepository, count: Int?, after last: Tag?) -> ListAnswer<String>? {
        let known = self.lists.entry(.tags(source.repository, count: count, after: last))
        let entry =
            known ?? self.storedTags(in: source, count: count, after: last).map { ListCache.Entry(value: $0, confirmedAt: .now) }
        guard let entry, case .tags(let page) = entry.value else { return nil }
        return self.answer(page.tags, hasMore: page.hasMore, entry, self.state(of: entry, isKnown: known != nil, source), source)
    }

    /// What is known here to refer to a manifest: as the upstream last gave it, else by what is stored.
    package func referrersOnlyIfStored(
        of digest: Digest, in source: RoutedRepository,
        then completion: @escaping @Sendable (Result<ListAnswer<ReferrerEntry>?, PullThroughError>) -> Void
    ) {
        let known = self.lists.entry(.referrers(source.repository, digest))
        self.start(completion) {
            let stored = {
                try await self.store.run { try StoredReferrers(store: self.store).list(of: digest, in: source.repository) }
            }
            let entry: ListCache.Entry
            if let known {
                entry = known
            } else if let list = try await stored() {
                entry = ListCache.Entry(value: list, confirmedAt: .now)
            } else {
                return nil
            }
            guard case .referrers(let list) = entry.value else { return nil }
            return self.answer(
                list.map { ReferrerEntry(json: $0.json, artifactType: $0.artifactType) }, hasMore: false, entry,
                self.state(of: entry, isKnown: known != nil, source), source)
        }
    }

    private func state(of entry: ListCache.Entry, isKnown: Bool, _ source: RoutedRepository) -> CacheState {
        if isKnown, entry.confirmedAt.duration(to: .now) < source.upstream.tagLifetime { return .hit }
        return .stale(reason: "the client wants what is known here, and nothing else")
    }
}
