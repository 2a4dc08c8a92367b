import Archive
import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import PullThrough
import Registry
import Storage
import Synchronization
import Upstream

/// The way to change a store: through the process that holds it when there is one, else by holding it for a while.
///
/// Both ways do the same and say the same. A command that holds the store answers on its socket like a server does, and gives way to
/// a server that starts.
struct StoreDoor {
    /// How long a holder may be silent, in seconds, before it is named and left alone.
    static let patience = 10

    let settings: Settings
    /// How registries are asked, for a request that asks them; it makes a store where there is none, too.
    var upstreams: (@Sendable () throws -> [String: UpstreamConfiguration])?

    /// Carries a request out and returns the exit code.
    ///
    /// - Parameter bundles: what the request takes in.
    func perform(
        _ request: AdminRequest, role: String, bundles: [any BundleOpener] = [],
        receive: @escaping @Sendable (AdminEvent) -> Void
    ) async throws -> Int {
        var deadline = ContinuousClock.now + .seconds(Self.patience)
        var losses = 0
        while true {
            // What comes in needs a place, and may be the first to.
            let root = try bundles.isEmpty ? self.root() : self.rootIfThere()
            if let root, let client = try AdminClient(to: root) {
                do {
                    return try await withTaskCancellationHandler {
                        try await Self.onThread {
                            _ = try client.hello(patience: Self.patience)
                            return try client.perform(request, patience: nil, bundles: bundles, receive)
                        }
                    } onCancel: {
                        client.hangUp()
                    }
                } catch is AdminClient.Failure where Task.isCancelled {
                    throw CancellationError()
                } catch AdminClient.Failure.silent {
                    throw Self.silent(root)
                } catch AdminClient.Failure.ended where ContinuousClock.now < deadline {
                    // Its holder is stopping; the store is free in a moment.
                } catch AdminClient.Failure.ended where self.upstreams != nil && losses < 3 {
                    // Killed in the middle of something that takes long, and is gone on with where it was.
                    losses += 1
                    deadline = .now + .seconds(Self.patience)
                } catch AdminClient.Failure.ended {
                    throw StorageError(.inUse, "the process that held the store has ended before this was done; run it again")
                }
            }
            do {
                return try await self.hold(role, request, bundles, receive)
            } catch let error as StorageError where error.code == .inUse {
                // Somebody who has just begun, or is about to end.
                guard ContinuousClock.now < deadline else { throw root.map { Self.silent($0) } ?? error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Waiting for an answer is nothing for the few threads that all tasks share.
    private static func onThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result(catching: work)) }.start()
        }
    }

    static func silent(_ root: StoreRoot) -> StorageError {
        StorageError(
            .inUse,
            "the store \(root.path) is held by \(StoreLock.holder(of: root) ?? "another process"), which has not answered for "
                + "\(Self.patience) seconds; is it stopped?")
    }

    /// The store's folder; nil when there is none and it may be made.
    private func root() throws -> StoreRoot? {
        do {
            return try self.existingRoot()
        } catch let error as StorageError where self.upstreams != nil && (error.code == .notFound || error.code == .unusable) {
            // What is no store, and cannot become one, is refused when it is opened.
            return nil
        }
    }

    /// The store's folder: a command does not make one.
    func existingRoot() throws -> StoreRoot {
        do {
            let root = try StoreRoot(folder: self.settings.storePath)
            guard try root.status(of: StoreLayout.storeFile) != nil else {
                throw StorageError(.unusable, "\(root.path) is not an Amargo store: it has no \(StoreLayout.storeFile)")
            }
            return root
        } catch let error as StorageError where error.code == .notFound {
            throw StorageError(
                .notFound,
                "there is no store at \(self.settings.storePath) (\(self.settings.origins["store.path"] ?? "default")); "
                    + "name another with --store")
        }
    }

    /// The store's folder, if there is one: whether it is a store, or may become one, is found out by opening it.
    private func rootIfThere() throws -> StoreRoot? {
        do {
            return try StoreRoot(folder: self.settings.storePath)
        } catch let error as StorageError where error.code == .notFound {
            return nil
        }
    }

    private func hold(
        _ role: String, _ request: AdminRequest, _ bundles: [any BundleOpener],
        _ receive: @escaping @Sendable (AdminEvent) -> Void
    ) async throws -> Int {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pools = StorePools()
        pools.start()
        let result: Result<Int, any Error>
        do {
            result = .success(try await self.hold(role, request, bundles, receive, group, pools))
        } catch {
            result = .failure(error)
        }
        await pools.shutdown()
        // The error says that it was shut down already, which is what is wanted.
        try? await group.shutdownGracefully()
        return try result.get()
    }

    private func hold(
        _ role: String, _ request: AdminRequest, _ bundles: [any BundleOpener],
        _ receive: @escaping @Sendable (AdminEvent) -> Void, _ group: MultiThreadedEventLoopGroup, _ pools: StorePools
    ) async throws -> Int {
        var logger = Logger(label: "amargo") { _ in StreamLogHandler.standardError(label: "amargo") }
        // What comes of each image is said anyway.
        logger.logLevel = self.upstreams == nil ? .warning : .critical
        let prepared = try self.upstreams?()
        var before: StoreReader?
        if case .verify = request { before = try StoreReader(folder: self.settings.storePath) }
        let store = try ContentStore.open(
            self.settings.storeConfiguration, role: role, pools: pools, loop: group.next(), openFiles: 64, logger: logger,
            now: { Int64(time(nil)) })
        let asking = prepared.map { StandaloneAsking(store, self.settings, $0, group: group, logger: logger) }
        let administration = StoreAdministration(
            store: store, role: role, version: UserAgent.version, before: before, warmer: asking.map { ImageWarmer($0.cache) })
        let server = AdminServer(administration, group: group, logger: logger)
        await server.start()
        let code = Code()
        let perform: @Sendable () async -> Void = {
            await administration.perform(request, BundleSupply(bundles)) { event in
                if event.kind == "end" { code.set(Int(event.number("code"))) } else { receive(event) }
            }
        }
        if let asking { await asking.whileRunning(perform) } else { await perform() }
        await server.stop()
        await store.close()
        await asking?.end()
        return code.value
    }

    /// The exit code that comes with the last event.
    private final class Code: Sendable {
        private let box = Atomic<Int>(1)

        var value: Int { self.box.load(ordering: .relaxed) }

        func set(_ value: Int) { self.box.store(value, ordering: .relaxed) }
    }
}
