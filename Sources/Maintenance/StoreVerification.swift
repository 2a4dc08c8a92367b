import NIOCore
import NIOPosix
import OCI
import Storage
import Synchronization

/// Compares what a store's journal says with its blobs and its image layouts, hashes the blobs on all cores, and mends what it finds.
///
/// Without the lock it only reads, also beside a running server: what the server changes meanwhile is looked at again, and is
/// no finding. In the process that holds the store it repairs, too.
package struct StoreVerification: Sendable {
    enum Access: Sendable {
        case reading(StoreReader)
        case holding(ContentStore, before: StoreReader, Activity)
    }

    package enum Activity: Sendable {
        /// Nobody but this verification uses the store.
        case idle
        /// Clients pull meanwhile.
        case serving
    }

    private let access: Access

    /// Looks at a store that another process may be serving.
    package init(reading reader: StoreReader) {
        self.access = .reading(reader)
    }

    /// Looks at, and may repair, the store that this process holds.
    ///
    /// - Parameter before: the store as it was before it was opened: opening mends the journal. When it is served, as it is now.
    package init(of store: ContentStore, before: StoreReader, _ activity: Activity) {
        self.access = .holding(store, before: before, activity)
    }

    /// Looks at everything. When the task is cancelled, it ends soon and tells what it has found so far.
    ///
    /// - Parameter report: called with each finding and several times a second with the progress, from any thread, never twice at
    ///   once. The last event is the outcome.
    @discardableResult
    package func run(
        _ options: VerificationOptions, report: @escaping @Sendable (VerificationEvent) -> Void
    ) async throws -> VerificationOutcome {
        let threads = options.threads > 0 ? options.threads : System.coreCount
        let pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
        let run = VerificationRun(self.access, options, pool: pool, threads: threads, report: report)
        do {
            let outcome = try await withTaskCancellationHandler {
                try await run.everything()
            } onCancel: {
                run.stop()
            }
            try await pool.shutdownGracefully()
            report(.end(outcome))
            return outcome
        } catch {
            // The failure is the news, not that of a pool that ends.
            try? await pool.shutdownGracefully()
            throw error
        }
    }
}

/// One verification, from its beginning to its end.
final class VerificationRun: Sendable {
    struct Tally {
        var outcome = VerificationOutcome()
        var progress = VerificationEvent.Progress()
        /// Content that has had its line already.
        var condemned: Set<Digest> = []
        /// Whether a blob with a second link was seen.
        var isLinkSeen = false
        var hasLinks = true
        /// Unknown content whose bytes are right.
        var soundStrangers: [Digest] = []
    }

    struct Blob: Sendable {
        let digest: Digest
        let size: Int64
    }

    let access: StoreVerification.Access
    let options: VerificationOptions
    let pool: NIOThreadPool
    let threads: Int
    let root: StoreRoot
    let tally = Mutex(Tally())
    private let stopFlag = StopFlag()
    private let start = ContinuousClock.now
    private let report: @Sendable (VerificationEvent) -> Void
    private let reporting = Mutex(())

    init(
        _ access: StoreVerification.Access, _ options: VerificationOptions, pool: NIOThreadPool, threads: Int,
        report: @escaping @Sendable (VerificationEvent) -> Void
    ) {
        self.access = access
        self.options = options
        self.pool = pool
        self.threads = threads
        self.report = report
        switch access {
        case .reading(let reader): self.root = reader.root
        case .holding(let store, _, _): self.root = store.folder
        }
    }

    var isStopped: Bool { self.stopFlag.isRaised }

    func stop() { self.stopFlag.raise() }

    private var hasLinks: Bool { self.tally.withLock { $0.hasLinks } }

    /// The store, when this run may change it.
    var repairing: ContentStore? {
        guard self.options.purpose == .repair, case .holding(let store, _, _) = self.access else { return nil }
        return store
    }

    var before: StoreReader {
        switch self.access {
        case .reading(let reader): reader
        case .holding(_, let before, _): before
        }
    }

    /// The store as it is now. Blocks.
    func look() throws -> StoreInspection {
        switch self.access {
        case .reading(let reader): self.inspection(try reader.reopened())
        case .holding: self.firstLook()
        }
    }

    func firstLook() -> StoreInspection {
        switch self.access {
        case .reading(let reader): self.inspection(reader)
        case .holding(let store, let before, let activity):
            // What was opened after a crash is in order again; what is not has the weight that it had before.
            StoreInspection(
                root: self.root, catalog: store.catalog, isCatalogKnown: true, isInUse: activity == .serving,
                isAbandoned: before.lock == .abandoned, hasLinks: self.hasLinks)
        }
    }

    private func inspection(_ reader: StoreReader) -> StoreInspection {
        let isHeld = if case .held = reader.lock { true } else { false }
        return StoreInspection(
            root: self.root, catalog: reader.catalog, isCatalogKnown: reader.isJournalReadable, isInUse: isHeld,
            isAbandoned: reader.lock == .abandoned, hasLinks: self.hasLinks)
    }

    // MARK: - The phases

    func everything() async throws -> VerificationOutcome {
        let first = self.firstLook()
        try await self.perform { self.judgeJournal() }
        let listing = try await self.perform { try self.list(first) }
        try await self.settle(listing.doubtful)
        try await self.hash(self.choose(from: listing), first)
        let strangers = self.tally.withLock { $0.soundStrangers }
        if self.isNamingLost {
            try await self.perform { self.adoptQuietly(strangers) }
        } else {
            try await self.settle(strangers.map { .blob($0) })
        }
        try await self.judgeLayouts()
        try await self.perform { try self.judgeRest() }
        return self.tally.withLock { tally in
            tally.outcome.milliseconds = self.elapsed
            tally.outcome.isComplete = !self.isStopped
            return tally.outcome
        }
    }

    /// Runs blocking work on one of the threads, also when the task is cancelled: the flag ends what is long.
    func perform<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            self.pool.submit { state in
                guard state == .active else { return continuation.resume(throwing: CancellationError()) }
                continuation.resume(with: Result(catching: work))
            }
        }
    }

    private func judgeLayouts() async throws {
        if self.isStopped { return }
        try await self.perform { try self.judgeLinks() }
        let subjects = try await self.perform { () -> [StoreInspection.Subject] in
            let inspection = try self.look()
            guard inspection.isCatalogKnown else { return [] }
            let holdings = Holdings(inspection.catalog)
            let repositories = Set(inspection.catalog.allRepositories).union(LayoutFolders(root: self.root).all())
            return try repositories.sorted { $0.description < $1.description }.compactMap { repository in
                guard !self.isStopped else { return nil }
                let subject = StoreInspection.Subject.layout(repository)
                return try inspection.findings(subject, holdings).isEmpty ? nil : subject
            }
        }
        try await self.settle(subjects)
    }

    /// On a file system without links each layout would be a finding that nothing can mend. One note for all of them instead.
    private func judgeLinks() throws {
        guard self.tally.withLock({ !$0.isLinkSeen && $0.outcome.blobs > 0 }) else { return }
        // Links are made before documents: without any document the layouts are on their way, or gone.
        let catalog = try self.look().catalog
        guard
            try catalog.allRepositories.contains(where: {
                try catalog.isHeld($0) && self.root.status(of: StoreLayout.layoutIndex($0)) != nil
            })
        else { return }
        // A store that somebody took the links from looks the same: whoever is to mend it tries.
        if let store = self.repairing, try store.canLink() { return }
        self.tally.withLock { $0.hasLinks = false }
        self.tell(
            Finding(
                .noLinks, "\(StoreLayout.repositories)",
                "no blob has a hard link: the image layouts have their documents alone, as on a file system without hard links",
                remedy: "pulls need no links; verify --repair makes them if it can"), .found)
    }

    /// Looks at what seemed wrong again, until it is sure that it is, or that it was only on its way.
    ///
    /// What the catalog says must have held for as long as a layout may lag behind, and still hold when the disk was looked at.
    private func settle(_ subjects: [StoreInspection.Subject]) async throws {
        var open = subjects
        for _ in 0..<3 where !open.isEmpty {
            let needsHoldings = open.contains { if case .layout = $0 { true } else { false } }
            let asked = open
            let (expected, isLive) = try await self.perform { () -> ([StoreInspection.Expectation], Bool) in
                let inspection = try self.look()
                let holdings = needsHoldings ? Holdings(inspection.catalog) : nil
                return (asked.map { inspection.expectation(of: $0, holdings) }, inspection.isInUse)
            }
            if isLive, !self.isStopped {
                do {
                    // Layouts are written by a thread that may have much to do.
                    try await Task.sleep(for: needsHoldings ? self.options.settling * 2 : self.options.settling)
                } catch {
                    return  // it is to end: what is not sure is not told
                }
            }
            open = try await self.perform { try self.conclude(asked, expected, isLive: isLive, needsHoldings: needsHoldings) }
        }
    }

    /// Returns the subjects of which nothing can be said yet.
    private func conclude(
        _ subjects: [StoreInspection.Subject], _ expected: [StoreInspection.Expectation], isLive: Bool, needsHoldings: Bool
    ) throws -> [StoreInspection.Subject] {
        let seen = try self.look()
        let holdings = needsHoldings ? Holdings(seen.catalog) : nil
        let findings = try subjects.map { try seen.findings($0, holdings) }
        let after = isLive ? try self.look() : seen
        let holdingsAfter = isLive && needsHoldings ? Holdings(after.catalog) : holdings
        var open: [StoreInspection.Subject] = []
        for (index, subject) in subjects.enumerated() where !findings[index].isEmpty {
            if isLive, after.expectation(of: subject, holdingsAfter) != expected[index] {
                open.append(subject)
            } else {
                self.confirm(findings[index], subject, holdings)
            }
        }
        return open
    }

    // MARK: - Telling

    var elapsed: Int64 {
        let passed = self.start.duration(to: .now).components
        return passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000
    }

    func tell(_ finding: Finding, _ resolution: Resolution) {
        self.tally.withLock { tally in
            guard finding.weight == .finding else { return tally.outcome.notes += 1 }
            if resolution == .repaired { tally.outcome.repaired += 1 } else { tally.outcome.left += 1 }
        }
        self.reporting.withLock { _ in self.report(.finding(finding, resolution)) }
    }

    func tellProgress() {
        let progress = self.tally.withLock { tally in
            tally.progress.milliseconds = self.elapsed
            return tally.progress
        }
        self.reporting.withLock { _ in self.report(.progress(progress)) }
    }
}

extension StoreReader {
    /// Whether the journal has told anything.
    var isJournalReadable: Bool { self.replay.map { $0.damage != .unreadable } ?? false }
}
