import OCI

/// What people do to images by name.
extension ContentStore {
    /// Why something cannot be done to an image.
    package struct NameError: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String

        init(description: String) {
            self.description = description
        }

        /// A name that does not say which registry or which version.
        package init(_ incomplete: String) {
            self.description = "\(incomplete) is no full image name; write REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST"
        }
    }

    /// Keeps an image from being evicted: what the name stands for, now and later. Blocks until it is durable.
    ///
    /// - Returns: whether it was not pinned before.
    package func pin(_ reference: Reference, in repository: QualifiedRepository) throws -> Bool {
        try self.checkWritable()
        guard self.digest(of: reference, in: repository) != nil else { throw Self.unknown(reference, repository) }
        guard self.catalog.pins(in: repository)[reference] == nil else { return false }
        try self.change([.pin(reference, repository, at: self.now())])
        return true
    }

    /// Takes a pin back. Blocks until that is durable.
    ///
    /// - Returns: whether it was pinned.
    package func unpin(_ reference: Reference, in repository: QualifiedRepository) throws -> Bool {
        try self.checkWritable()
        guard self.catalog.pins(in: repository)[reference] != nil else { return false }
        try self.change([.unpin(reference, repository)])
        return true
    }

    /// What a name stands for, if its manifest is stored.
    package func digest(of reference: Reference, in repository: QualifiedRepository) -> Digest? {
        let digest: Digest? =
            switch reference {
            case .tag(let tag): self.catalog.tag(tag, in: repository)?.digest
            case .digest(let digest): self.catalog.holds(digest, in: repository) ? digest : nil
            }
        return digest.flatMap { self.catalog.content($0)?.manifest == nil ? nil : $0 }
    }

    /// What removing an image would take along. Blocks: it looks at everything.
    ///
    /// A tag goes; what it named goes when no other tag and no index of the repository names it. With it go an index's images that no other index and no
    /// other tag of the repository names, what is attached to them, and blobs that nothing else in the repository uses. What other
    /// repositories hold, or need, stays there and is only taken out of this one.
    package func planRemoval(of reference: Reference, in repository: QualifiedRepository) throws -> RemovalPlan {
        guard let digest = self.digest(of: reference, in: repository) else {
            if case .tag(let tag) = reference, self.catalog.tag(tag, in: repository) != nil {
                return RemovalPlan(untags: [.untag(tag, repository)], unlinks: [], deletes: [], bytes: 0, remaining: [])
            }
            throw Self.unknown(reference, repository)
        }
        let pins = self.catalog.pins(in: repository)
        let tags = self.catalog.tags(in: repository).filter { $0.value.digest == digest }.keys
        let going: [Tag] =
            switch reference {
            case .tag(let tag): [tag]
            case .digest: Array(tags)
            }
        if let pinned = (going.map { Reference.tag($0) } + [.digest(digest)]).first(where: { pins[$0] != nil }) {
            throw NameError(
                description:
                    "\(Self.name(pinned, repository)) is pinned; take the pin back first: amargo unpin \(Self.name(pinned, repository))"
            )
        }
        let remaining = tags.filter { !going.contains($0) }
        if remaining.isEmpty {
            // What another repository has pinned stays there.
            let graph = ImageGraph(Inventory(self.catalog).withPins(of: repository))
            if let node = graph.node(digest), graph.pinnedNodes.contains(node) {
                throw NameError(
                    description:
                        "\(Self.name(reference, repository)) belongs to an image that is pinned; amargo ls shows which, and "
                        + "amargo unpin takes the pin back")
            }
        }
        let untags = going.sorted { $0.description < $1.description }.map { JournalRecord.untag($0, repository) }
        guard remaining.isEmpty else {
            return RemovalPlan(
                untags: untags, unlinks: [], deletes: [], bytes: 0, remaining: remaining.map { "\(repository):\($0)" }.sorted())
        }
        // An index that stays keeps its images, whatever other names they have; who names a digest means just that.
        if case .tag = reference, let indexes = self.indexes(naming: digest, in: repository) {
            return RemovalPlan(untags: untags, unlinks: [], deletes: [], bytes: 0, remaining: indexes)
        }
        var removal = ImageRemoval(Inventory(self.catalog), of: digest, from: repository, catalog: self.catalog)
        return removal.plan(untags: untags)
    }

    /// What the repository's manifests are called that have this one as a child; nil when there are none.
    private func indexes(naming digest: Digest, in repository: QualifiedRepository) -> [String]? {
        let parents = self.catalog.manifests(of: repository).filter { parent in
            parent != digest && self.catalog.content(parent)?.manifest?.child(digest) != nil
        }
        guard !parents.isEmpty else { return nil }
        let tags = self.catalog.tags(in: repository)
        return parents.flatMap { parent -> [String] in
            let names = tags.filter { $0.value.digest == parent }.keys.map { Self.name(.tag($0), repository) }
            return names.isEmpty ? [Self.name(.digest(parent), repository)] : names
        }.sorted()
    }

    /// Carries a removal out. Blocks until it is durable.
    package func execute(_ plan: RemovalPlan) throws {
        try self.checkWritable()
        let records = plan.untags + plan.relinks + plan.unlinks
        if plan.deletes.isEmpty {
            try self.change(records)
        } else {
            try self.remove(plan.deletes, with: records)
            self.counts.noteRemoval(.removed, bytes: plan.bytes)
        }
        self.removeLinks(plan.unlinks)
    }

    private func removeLinks(_ records: [JournalRecord]) {
        self.gate.removing {
            for case .unlink(let digest, let repository) in records where !self.catalog.holds(digest, in: repository) {
                do {
                    try self.root.removeIfThere(StoreLayout.layoutBlob(digest, in: repository))
                } catch {
                    self.logger.warning("A link stays in a layout", metadata: ["digest": "\(digest)", "error": "\(error)"])
                }
                self.layouts.note(nil, in: repository)
            }
        }
    }

    private func change(_ records: [JournalRecord]) throws {
        try self.journal.changing {
            try self.journal.appendAndWait(records)
            for record in records { self.catalog.apply(record) }
        }
        for record in records {
            switch record {
            case .untag(_, let repository): self.layouts.note(nil, in: repository)
            case .link(let digest, let repository): self.layouts.note(digest, in: repository)
            default: break
            }
        }
    }

    func checkWritable() throws {
        if self.isReadOnly { throw StorageError(.readOnly, self.degradation ?? "the store is read-only") }
    }

    private static func unknown(_ reference: Reference, _ repository: QualifiedRepository) -> NameError {
        NameError(description: "\(Self.name(reference, repository)) is not stored; amargo ls shows what is")
    }

    private static func name(_ reference: Reference, _ repository: QualifiedRepository) -> String {
        switch reference {
        case .tag(let tag): "\(repository):\(tag)"
        case .digest(let digest): "\(repository)@\(digest)"
        }
    }

    /// Writes the journal anew if a good part of it is dead. Blocks; returns its size in bytes before and after.
    package func compactJournal() throws -> (before: Int64, after: Int64) {
        let before = self.journal.size
        try self.journal.compactAndWait()
        return (before, self.journal.size)
    }
}
