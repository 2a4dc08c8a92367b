import OCI
import Storage

/// Brings images into the store ahead of whoever will pull them: through the cache, so that everything holds that holds for a pull.
package final class ImageWarmer: Sendable {
    private let cache: PullThroughCache
    /// How often progress is reported, and how long a registry that limits us is waited for.
    private let interval: Duration
    private let patience: Duration

    package init(
        _ cache: PullThroughCache, interval: Duration = .milliseconds(200), patience: Duration = Limits.Warming.cooldown
    ) {
        self.cache = cache
        self.interval = interval
        self.patience = patience
    }

    private struct Target: Sendable {
        let name: String
        let reference: Reference
        let source: RoutedRepository
    }

    /// Brings what a request names, each image once.
    ///
    /// Ends soon after its task is cancelled, or `isStopped` says so: downloads that nobody else follows end, and their parts are kept.
    ///
    /// - Parameters:
    ///   - isStopped: asked a few times a second.
    ///   - report: called from several tasks.
    package func run(
        _ request: WarmRequest, isStopped: @escaping @Sendable () -> Bool = { false },
        report: @escaping @Sendable (WarmEvent) -> Void
    ) async -> WarmSummary {
        var seen: Set<String> = []
        let names = request.images.filter { seen.insert($0).inserted }
        let ledger = WarmLedger(images: names.count)
        let turns = WarmTurns(request.jobs)
        var summary = WarmSummary()
        await withTaskGroup(of: WarmedImage?.self) { group in
            group.addTask {
                await self.watch(ledger, isStopped, report)
                return nil
            }
            var waiting = names[...]
            var running = 0
            func beginNext() {
                guard let name = waiting.popFirst() else { return }
                running += 1
                group.addTask { await self.warm(name, request, ledger, turns, report) }
            }
            for _ in 0..<request.jobs { beginNext() }
            while running > 0, let ended = await group.next() {
                guard let image = ended else {
                    // The watch has ended: nothing more is begun.
                    group.cancelAll()
                    continue
                }
                running -= 1
                Self.count(image, in: &summary)
                if image.failure?.isInterruption != true { report(.ended(image)) }
                if !Task.isCancelled, !group.isCancelled { beginNext() }
            }
            summary.interrupted += waiting.count
            group.cancelAll()
        }
        summary.milliseconds = ledger.milliseconds
        return summary
    }

    private static func count(_ image: WarmedImage, in summary: inout WarmSummary) {
        summary.fetchedBlobs += image.fetchedBlobs
        summary.fetchedBytes = summary.fetchedBytes.addingSize(image.fetchedBytes)
        switch image.failure {
        case nil:
            summary.complete += 1
            if image.isUnchanged { summary.unchanged += 1 }
        case let failure? where failure.isInterruption: summary.interrupted += 1
        default: summary.failed += 1
        }
    }

    /// Reports progress until the run is over, or is to be.
    private func watch(
        _ ledger: WarmLedger, _ isStopped: @Sendable () -> Bool, _ report: @Sendable (WarmEvent) -> Void
    ) async {
        var last = ledger.progress
        while !isStopped() {
            do {
                try await Task.sleep(for: self.interval)
            } catch {
                return  // cancelled: the run is over
            }
            let progress = ledger.progress
            // A server need not say again and again that it waits.
            guard
                progress.layers != last.layers || progress.received != last.received || progress.endedImages != last.endedImages
                    || progress.milliseconds - last.milliseconds >= 1000
            else { continue }
            last = progress
            report(.progress(progress))
        }
    }

    private func warm(
        _ name: String, _ request: WarmRequest, _ ledger: WarmLedger, _ turns: WarmTurns,
        _ report: @escaping @Sendable (WarmEvent) -> Void
    ) async -> WarmedImage {
        if Task.isCancelled { return Self.failed(name, .interrupted) }
        report(.began(image: name))
        let target: Target
        do {
            target = try self.target(name)
        } catch {
            ledger.endedImage([])
            return Self.failed(name, (error as? WarmFailure) ?? WarmFailure("\(error)"))
        }
        var warming = ImageWarming(
            name, target.reference, in: target.source, by: self.cache, request, ledger, turns, patience: self.patience,
            report: report)
        return await warming.run()
    }

    private static func failed(_ name: String, _ failure: WarmFailure) -> WarmedImage {
        var image = WarmedImage(name: name)
        image.failure = failure
        return image
    }

    private func target(_ name: String) throws -> Target {
        let image = try ImageReference(parsing: name)
        guard let namespace = image.namespace else { throw ContentStore.NameError(name) }
        guard let binding = self.cache.directory.binding(namespace) else {
            throw WarmFailure(
                "\(namespace) is none of the configured registries; add it as repositories.NAME.upstream, with "
                    + "repositories.NAME.namespaces: [\(namespace)]")
        }
        let reference = try image.reference ?? .tag(try Tag(parsing: "latest"))
        return Target(name: name, reference: reference, source: try binding.routed(image.name))
    }
}
