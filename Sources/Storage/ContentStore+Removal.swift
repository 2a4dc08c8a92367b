import Logging
import NIOConcurrencyHelpers
import OCI

/// How content goes: as a plan, and in an order that a crash cannot turn into a half.
extension ContentStore {
    /// Content that belongs to nobody is left alone for this long (seconds): its manifest may be on the way.
    package static let orphanAge: Int64 = 3600
    /// The journal knows a last use to the hour (seconds), which a restart shows.
    private static let useSlack: Int64 = 3600
    /// How many removals are announced in the journal at once.
    private static let batch = 512

    /// What would go for a goal. Pinned images are never in it, nor what is being read or downloaded. Blocks: it looks at everything.
    package func plan(for goal: EvictionGoal) -> EvictionPlan {
        let busy = self.files.readDigests.union(self.writing.digests)
        let pinCount = self.catalog.pinCount
        var policy = EvictionPolicy(Inventory(self.catalog), busy: busy)
        var plan = policy.plan(for: goal, orphansBefore: self.now() - Self.orphanAge)
        plan.pinCount = pinCount
        return plan
    }

    /// Makes room by eviction; returns the bytes that came free. Blocks.
    ///
    /// Somewhat more goes than is missing, so that a long pull does not look at the whole catalog for each of its layers.
    func makeRoom(_ bytes: Int64, of namespace: Namespace?) -> Int64 {
        let cap = namespace.flatMap { self.configuration.shares[$0] } ?? self.configuration.maxSize
        let surplus = min(max(cap, 0) / 50, 256 << 20)
        let (goal, overflow) = bytes.addingReportingOverflow(surplus)
        let plan = self.plan(for: .room(bytes: overflow ? bytes : goal, of: namespace))
        // What does not do is not begun: the images would be gone, and the content not stored all the same.
        guard plan.gain >= bytes else { return 0 }
        do {
            var freed: Int64 = 0
            try self.execute(plan) { freed += $0.bytes }
            return freed
        } catch {
            self.logger.warning("Nothing could be evicted", metadata: ["error": "\(error)"])
            return 0
        }
    }

    /// Removes what a plan says, image by image. Blocks.
    ///
    /// A plan is as old as its inventory: what was pinned, pulled or opened since stays.
    ///
    /// - Parameters:
    ///   - isStopped: asked between two batches of images.
    ///   - didRemove: called with what has gone.
    /// - Throws: when the journal cannot promise the removal; what the error leaves undone is still stored.
    package func execute(
        _ plan: EvictionPlan, isStopped: () -> Bool = { false }, didRemove: (EvictionPlan.Item) -> Void
    ) throws {
        var items = plan.items[...]
        while !items.isEmpty, !isStopped() {
            let pinned = self.pinnedSince(plan)
            let busy = self.files.readDigests.union(self.writing.digests)
            var contents: [Digest] = []
            var part: [EvictionPlan.Item] = []
            while let item = items.first, contents.isEmpty || contents.count + item.contents.count <= Self.batch {
                items.removeFirst()
                guard self.isStillFree(item, pinned, busy) else { continue }
                contents += item.contents
                part.append(item)
            }
            guard !contents.isEmpty else { continue }
            try self.remove(contents)
            for item in part {
                self.log(item)
                self.counts.noteRemoval(item.reason, bytes: item.bytes)
                didRemove(item)
            }
        }
    }

    /// What is pinned by now, if anything was pinned since the plan was made; it knows what was pinned before.
    private func pinnedSince(_ plan: EvictionPlan) -> Set<Digest> {
        guard self.catalog.pinCount != plan.pinCount else { return [] }
        let graph = ImageGraph(Inventory(self.catalog))
        return Set(graph.pinnedNodes.map { graph.items[Int($0)].digest })
    }

    private func isStillFree(_ item: EvictionPlan.Item, _ pinned: Set<Digest>, _ busy: Set<Digest>) -> Bool {
        item.contents.allSatisfy { digest in
            guard !busy.contains(digest), !pinned.contains(digest), let content = self.catalog.content(digest) else {
                return false
            }
            guard let manifest = content.manifest else { return content.storedAt <= max(item.lastUse, item.newest) }
            return max(content.usedAt, content.storedAt) <= max(item.lastUse, item.newest)
                && !manifest.children.contains { busy.contains($0.digest) }
        }
    }

    /// Removes images that nobody has pulled for as long as the configuration keeps them. Blocks.
    package func removeUnused() {
        guard !self.configuration.retention.isEmpty, !self.isReadOnly, !self.condition.isStanding else { return }
        let now = self.retentionClock.now(wall: self.now())
        for (namespace, seconds) in self.configuration.retention where seconds > 0 {
            let plan = self.plan(for: .unused(since: now - seconds - Self.useSlack, of: namespace))
            guard !plan.items.isEmpty else { continue }
            do {
                try self.execute(plan) { _ in }
                self.logger.notice(
                    "Removed what nobody has pulled for \(seconds) seconds",
                    metadata: ["registry": "\(namespace)", "images": "\(plan.items.count)", "bytes": "\(plan.bytes)"])
            } catch {
                self.logger.warning("What nobody pulls could not be removed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Removes what is there beyond the caps, as far as it may go: after one was lowered, say. Blocks.
    ///
    /// - Parameter isStopped: asked between two batches of images.
    package func removeExcess(isStopped: () -> Bool = { false }) {
        guard !self.isReadOnly, !self.condition.isStanding else { return }
        for (namespace, missing) in self.capacity.excesses(besides: 0) {
            let plan = self.plan(for: .room(bytes: missing, of: namespace))
            guard !plan.items.isEmpty, !isStopped() else { continue }
            do {
                try self.execute(plan, isStopped: isStopped) { _ in }
                self.logger.notice(
                    "Removed what was there beyond \(namespace.map { "the cap of \($0)" } ?? "store.maxSize or store.minFree")",
                    metadata: ["images": "\(plan.items.count)", "bytes": "\(plan.bytes)"])
            } catch {
                self.logger.warning("What is there beyond the caps could not be removed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// What a collection removes, in this order: content of no image, what is kept no longer, what passes a cap. Blocks.
    ///
    /// Each is made for the store as it is now: an image that two of them name goes once, and is counted with the first.
    package func collectionPlans() -> [EvictionPlan] {
        var plans = [self.plan(for: .orphans(before: 0))]
        let now = self.retentionClock.now(wall: self.now())
        for (namespace, seconds) in self.configuration.retention.sorted(by: { $0.key.description < $1.key.description })
        where seconds > 0 {
            plans.append(self.plan(for: .unused(since: now - seconds - Self.useSlack, of: namespace)))
        }
        for (namespace, missing) in self.capacity.excesses(besides: plans.reduce(0) { $0 + $1.bytes }) {
            plans.append(self.plan(for: .room(bytes: missing, of: namespace)))
        }
        var seen: Set<Digest> = []
        for index in plans.indices { plans[index].items.removeAll { !seen.insert($0.root).inserted } }
        return plans.filter { !$0.items.isEmpty || $0.untouchable > 0 }
    }

    /// A file that belongs to nothing.
    package struct Leftover: Sendable {
        package let name: String
        package let bytes: Int64
        package let reason: String
    }

    /// Partial downloads that nobody has gone on with for a week (seconds).
    private static let partialAge: Int64 = 7 * 86_400

    /// Removes partial downloads that nobody went on with for a week. Blocks.
    package func collectLeftovers(dryRun: Bool) -> [Leftover] {
        var found: [Leftover] = []
        for (digest, entry) in self.partials.all {
            do {
                guard let status = try self.root.status(of: entry.path), self.now() - status.changedAt > Self.partialAge else {
                    continue
                }
                if !dryRun {
                    guard let taken = self.partials.take(digest) else { continue }
                    try self.root.remove(taken.path)
                }
                found.append(
                    Leftover(
                        name: entry.path.description, bytes: status.allocated,
                        reason: "partial download, not gone on with for a week"))
            } catch {
                self.logger.warning("A partial download could not be removed", metadata: ["error": "\(error)"])
            }
        }
        return found
    }

    private func log(_ item: EvictionPlan.Item) {
        let name = item.names.first ?? "\(item.root)"
        let more = item.names.count > 1 ? " and \(item.names.count - 1) more" : ""
        self.logger.info(
            "Removed \(item.reason == .orphan ? "content of no image" : name + more) (\(item.reason.rawValue))",
            metadata: ["bytes": "\(item.bytes)", "blobs": "\(item.contents.count)", "digest": "\(item.root)"])
    }

    /// Removes content from every repository. Blocks.
    ///
    /// Order: the intent is durable before anything goes, links go before the canonical files, and "deleted" is said when the folders
    /// are synced. A start finishes what a crash leaves in between.
    ///
    /// - Parameter records: what else is to be made durable with the intent, such as names that go.
    package func remove(_ digests: [Digest], with records: [JournalRecord] = []) throws {
        let names = self.names(of: Set(digests))
        try self.journal.changing {
            try self.journal.appendAndWait(records + names + digests.map { .delete($0) })
            try self.gate.removing {
                let touched = self.apply(records + names, removing: digests)
                defer { for repository in touched { self.layouts.note(nil, in: repository) } }
                try self.finishRemovals(digests)
            }
        }
    }

    /// Takes content and names out of the catalog; returns the repositories that had any of it.
    private func apply(_ records: [JournalRecord], removing digests: [Digest]) -> Set<QualifiedRepository> {
        var touched: Set<QualifiedRepository> = []
        for record in records {
            self.catalog.apply(record)
            if case .untag(_, let repository) = record { touched.insert(repository) }
        }
        for digest in digests {
            touched.formUnion(self.catalog.repositories(holding: digest))
            self.release(digest)
            self.catalog.apply(.delete(digest))
        }
        // Tags that came while the intent was written.
        for record in self.names(of: Set(digests), in: touched) {
            self.catalog.apply(record)
            self.journal.note(record)
        }
        return touched
    }

    /// The tags that would name nothing any more.
    private func names(of digests: Set<Digest>) -> [JournalRecord] {
        var repositories: Set<QualifiedRepository> = []
        for digest in digests where self.catalog.content(digest)?.manifest != nil {
            repositories.formUnion(self.catalog.repositories(holding: digest))
        }
        return self.names(of: digests, in: repositories)
    }

    private func names(of digests: Set<Digest>, in repositories: Set<QualifiedRepository>) -> [JournalRecord] {
        repositories.flatMap { repository in
            self.catalog.tags(in: repository).compactMap { tag, entry in
                digests.contains(entry.digest) ? .untag(tag, repository) : nil
            }
        }
    }

    /// Lets go of an open file; while somebody reads from it, its bytes stay on the disk and count.
    private func release(_ digest: Digest) {
        let content = self.catalog.content(digest)
        self.forgetCheck(of: digest)
        guard let file = self.files.remove(digest), let content, let origin = self.catalog.origin(of: digest) else { return }
        file.hold(self.capacity.hold(DiskSpace.allocated(content.size), for: origin))
    }

    /// Removes the files of content whose removal was announced, and says so. What fails stays announced, and is tried again.
    func finishRemovals(_ digests: some Sequence<Digest>) throws {
        let open = self.catalog.openRemovals
        var folders: Set<StorePath> = []
        var removed: [Digest] = []
        var failure: (any Error)?
        for digest in digests {
            guard let holders = open[digest] else { continue }
            do {
                for repository in holders {
                    let link = StoreLayout.layoutBlob(digest, in: repository)
                    try self.root.removeIfThere(link)
                    folders.formUnion([link.parent].compactMap { $0 })
                }
                try self.root.removeIfThere(StoreLayout.blob(digest))
                folders.insert(StoreLayout.shard(of: digest))
                removed.append(digest)
            } catch {
                failure = error
            }
        }
        for folder in folders {
            do {
                try self.root.synchronizeDirectory(folder)
            } catch let error as StorageError where error.code == .notFound {
                continue  // a folder that is gone keeps no name
            }
        }
        for digest in removed {
            self.catalog.apply(.deleted(digest))
            self.journal.note(.deleted(digest))
        }
        if let failure { throw failure }
    }

    /// Tries again what an error has left of earlier removals. Blocks.
    package func retryRemovals() {
        let open = self.catalog.openRemovals
        guard !open.isEmpty else { return }
        do {
            try self.gate.removing { try self.finishRemovals(open.keys) }
        } catch {
            self.logger.warning(
                "Removed content is still on the disk", metadata: ["count": "\(open.count)", "error": "\(error)"])
        }
    }
}

extension Journal {
    /// As `append`, for threads that may block.
    func appendAndWait(_ records: [JournalRecord]) throws { try Self.wait { self.append(records, then: $0) } }

    /// As `compact`, for threads that may block.
    func compactAndWait() throws { try Self.wait { self.compact(then: $0) } }

    private static func wait(for work: (@escaping @Sendable ((any Error)?) -> Void) -> Void) throws {
        let done = ConditionLock(value: false)
        nonisolated(unsafe) var failure: (any Error)?  // written before the lock says so, read after
        work { error in
            done.lock()
            failure = error
            done.unlock(withValue: true)
        }
        done.lock(whenValue: true)
        done.unlock()
        if let failure { throw failure }
    }
}
