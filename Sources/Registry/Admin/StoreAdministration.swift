import Archive
import Glibc
import Logging
import Maintenance
import NIOPosix
import OCI
import PullThrough
import Storage
import Synchronization

/// Carries out administrative requests on a store that this process holds: the same for a server and for a command.
package final class StoreAdministration: Sendable {
    package let store: ContentStore
    /// What this process does with the store: `serve`, `gc`.
    package let role: String
    let version: String
    private let givesWay = StopFlag()
    /// The store as it was found: opening it mends the journal. Nil for a server, whose store is as it is when it is asked.
    private let before: StoreReader?
    /// Nil where no registry is asked.
    let warmer: ImageWarmer?
    /// What is served from this store; nil in a command.
    let serving: PullThroughCache?
    let startedAt = ContinuousClock.now

    package init(
        store: ContentStore, role: String, version: String, before: StoreReader? = nil, warmer: ImageWarmer? = nil,
        serving: PullThroughCache? = nil
    ) {
        self.serving = serving
        self.before = before
        self.warmer = warmer
        self.store = store
        self.role = role
        self.version = version
    }

    /// Whether a server waits for this process to end.
    package var isAskedToEnd: Bool { self.givesWay.isRaised }

    /// Ends what runs at its next image.
    package func end() { self.givesWay.raise() }

    private struct Work {
        var tasks: [Int: Task<Void, Never>] = [:]
        var number = 0
        var isFinished = false
    }

    private let work = Mutex(Work())

    /// Carries a request out in a task of its own.
    ///
    /// - Returns: what ends it when whoever asked is gone; nil for what is then done all the same.
    @discardableResult
    func start(
        _ request: AdminRequest, _ supply: BundleSupply? = nil, emit: @escaping @Sendable (AdminEvent) -> Void
    ) -> (@Sendable () -> Void)? {
        let task = self.work.withLock { work -> Task<Void, Never>? in
            if work.isFinished { return nil }
            work.number += 1
            let number = work.number
            let task = Task {
                await self.perform(request, supply, emit: emit)
                self.work.withLock { _ = $0.tasks.removeValue(forKey: number) }
            }
            work.tasks[number] = task
            return task
        }
        guard let task else {
            emit(AdminEvent("error").with("message", "the process that holds the store is ending; try again"))
            emit(AdminEvent("end").with("code", 1))
            return nil
        }
        if case .warm = request { return { task.cancel() } }
        return nil
    }

    /// Ends what runs and returns when it has ended; nothing is begun after that.
    func finish() async {
        self.end()
        let tasks = self.work.withLock { work in
            work.isFinished = true
            return Array(work.tasks.values)
        }
        for task in tasks {
            task.cancel()
            await task.value
        }
    }

    /// Carries a request out, off the event loops; the last event is `end`, with the exit code of a command that asked.
    ///
    /// - Parameter supply: where the bundles of an import come from.
    package func perform(
        _ request: AdminRequest, _ supply: BundleSupply? = nil, emit: @escaping @Sendable (AdminEvent) -> Void
    ) async {
        if !self.answer(request, emit) {
            do {
                let code: Int
                if case .verify(let options) = request {
                    code = try await self.verify(options, emit)
                } else if case .warm(let request) = request {
                    code = try await self.warm(request, emit)
                } else if case .importBundles(let options, let inputs) = request {
                    code = try await Self.onOwnThread { self.importBundles(options, inputs, supply, emit) }
                } else {
                    code = try await self.store.run { try self.performNow(request, emit) }
                }
                emit(AdminEvent("end").with("code", Int64(code)))
            } catch {
                emit(AdminEvent("error").with("message", "\(error)"))
                emit(AdminEvent("end").with("code", 1))
            }
        }
    }

    /// Answers what needs no work, on any thread; false for everything else.
    func answer(_ request: AdminRequest, _ emit: (AdminEvent) -> Void) -> Bool {
        switch request {
        case .hello:
            emit(
                AdminEvent("hello").with("pid", Int64(getpid())).with("role", self.role).with("version", self.version)
                    .with("state", self.store.degradation == nil ? "ok" : "degraded"))
        case .giveWay:
            // A server does not: it would only end every collection from now on.
            if self.role != "serve" { self.end() }
            emit(AdminEvent("end").with("code", self.role == "serve" ? 1 : 0))
        default: return false
        }
        return true
    }

    /// Blocks. Returns the exit code.
    private func performNow(_ request: AdminRequest, _ emit: (AdminEvent) -> Void) throws -> Int {
        switch request {
        case .hello, .giveWay, .verify, .warm, .importBundles: return 0
        case .statistics(let windows): return self.reportStatistics(windows, emit)
        case .activity: return self.reportActivity(emit)
        case .tellPulls:
            try self.store.tellPulls()
            return 0
        case .pin(let images):
            return try self.eachImage(images, emit) { name, reference, repository in
                let isNew = try self.store.pin(reference, in: repository)
                emit(AdminEvent("pinned").with("image", name).with("isNew", isNew))
            }
        case .unpin(let images):
            return try self.eachImage(images, emit) { name, reference, repository in
                let was = try self.store.unpin(reference, in: repository)
                emit(AdminEvent("unpinned").with("image", name).with("was", was))
            }
        case .remove(let images, let dryRun):
            return try self.eachImage(images, emit) { name, reference, repository in
                let plan = try self.store.planRemoval(of: reference, in: repository)
                if !dryRun { try self.store.execute(plan) }
                emit(
                    AdminEvent("removed").with("image", name).with("dryRun", dryRun).with("bytes", plan.bytes)
                        .with("blobs", Int64(plan.deletes.count)).with("shared", Int64(plan.unlinks.count))
                        .with("otherNames", plan.remaining))
            }
        case .collect(let dryRun): return try self.collect(dryRun: dryRun, emit)
        }
    }

    /// Runs what may wait long for somebody else, as for a pipe: the store's own threads are not to wait with it.
    private static func onOwnThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let result: Result<T, any Error>
        do {
            result = .success(try await pool.runIfActive(work))
        } catch {
            result = .failure(error)
        }
        try await pool.shutdownGracefully()
        return try result.get()
    }

    /// Takes in one bundle after the other. Blocks.
    private func importBundles(
        _ options: ImportOptions, _ inputs: [BundleInput], _ supply: BundleSupply?,
        _ emit: @escaping @Sendable (AdminEvent) -> Void
    ) -> Int {
        let openers = supply?.openers ?? []
        let importer = ImageImporter(
            self.store, options, isStopped: { self.isAskedToEnd || supply?.isGone() == true }, report: { emit(AdminEvent($0)) })
        var total = ImportTally()
        for (input, opener) in zip(inputs, openers) {
            let tally = importer.run(input, opener: opener)
            total.done += tally.done
            total.failed += tally.failed
            total.newBytes += tally.newBytes
        }
        emit(
            AdminEvent("imported").with("done", Int64(total.done)).with("failed", Int64(total.failed))
                .with("newBytes", total.newBytes).with("dryRun", options.purpose == .look))
        return total.exitCode
    }

    /// Does something to each image; one that fails is reported and does not keep the others from it.
    private func eachImage(
        _ images: [String], _ emit: (AdminEvent) -> Void, _ body: (String, Reference, QualifiedRepository) throws -> Void
    ) throws -> Int {
        var code = 0
        for text in images {
            do {
                let image = try ImageReference(parsing: text)
                guard let namespace = image.namespace, let reference = image.reference else {
                    throw ContentStore.NameError(text)
                }
                try body(text, reference, QualifiedRepository(namespace: namespace, name: image.name))
            } catch {
                code = 1
                emit(AdminEvent("error").with("message", "\(error)"))
            }
        }
        return code
    }

    private func verify(_ options: VerificationOptions, _ emit: @escaping @Sendable (AdminEvent) -> Void) async throws -> Int {
        let before: StoreReader
        if let found = self.before {
            before = found
        } else {
            before = try await self.store.run { try StoreReader(opening: self.store.configuration.path) }
        }
        let verification = StoreVerification(of: self.store, before: before, self.role == "serve" ? .serving : .idle)
        let outcome = try await verification.run(options) { emit(AdminEvent("verification").with("line", $0.json)) }
        return outcome.verdict == .findingsLeft ? 2 : outcome.verdict == .repaired ? 1 : 0
    }

    private func collect(dryRun: Bool, _ emit: (AdminEvent) -> Void) throws -> Int {
        var images = 0
        var blobs = 0
        var bytes: Int64 = 0
        var isInterrupted = false
        for plan in self.store.collectionPlans() {
            if plan.untouchable > 0 { emit(AdminEvent("untouchable").with("images", Int64(plan.untouchable))) }
            func count(_ item: EvictionPlan.Item) {
                emit(Self.event(item, dryRun: dryRun))
                if item.reason != .orphan { images += 1 }
                blobs += item.contents.count
                bytes += item.bytes
            }
            if dryRun {
                plan.items.forEach(count)
            } else {
                do {
                    try self.store.execute(plan, isStopped: { self.isAskedToEnd }, didRemove: count)
                } catch {
                    emit(AdminEvent("error").with("message", "what is left stays for now: \(error)"))
                    isInterrupted = true
                }
                isInterrupted = isInterrupted || self.isAskedToEnd
            }
        }
        let leftovers = self.store.collectLeftovers(dryRun: dryRun)
        for file in leftovers {
            emit(AdminEvent("leftover").with("file", file.name).with("bytes", file.bytes).with("why", file.reason))
        }
        bytes += leftovers.reduce(0) { $0 + $1.bytes }
        var summary = AdminEvent("collected").with("dryRun", dryRun).with("images", Int64(images)).with("blobs", Int64(blobs))
            .with("files", Int64(leftovers.count)).with("bytes", bytes)
        if !dryRun, !isInterrupted {
            let (before, after) = try self.store.compactJournal()
            summary = summary.with("journalBefore", before).with("journalAfter", after)
        }
        emit(summary.with("interrupted", isInterrupted))
        return isInterrupted ? 1 : 0
    }

    package static func event(_ item: EvictionPlan.Item, dryRun: Bool) -> AdminEvent {
        AdminEvent(dryRun ? "wouldGo" : "goes").with("digest", "\(item.root)").with("names", item.names)
            .with("why", item.reason.rawValue).with("bytes", item.bytes).with("blobs", Int64(item.contents.count))
            .with("lastUse", item.lastUse)
    }
}
