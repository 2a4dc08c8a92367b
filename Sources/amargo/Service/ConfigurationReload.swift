import Archive
import Foundation
import Logging
import PullThrough
import Registry
import ServiceLifecycle
import Storage
import UnixSignals
import Upstream

/// Reads the configuration again at SIGHUP, and puts what it says in force for the requests that come: registries, times, caps, limits and
/// the level of the log. What it cannot change, it names; a configuration that is wrong changes nothing.
///
/// Answers and downloads that are running go on with what they began with.
actor ConfigurationReload: Service {
    /// The parts of a server that are told.
    struct Parts: Sendable {
        let upstreams: ConfiguredUpstreams
        let cache: PullThroughCache
        let server: RegistryServer
        let watches: [ImportWatch]
        let report: SupervisorReport
        let supervisor: Supervisor
        let level: LogLevel
        let asking: UpstreamBindings.Asking
    }

    private let signals: UnixSignalsSequence
    private let load: @Sendable () throws -> (settings: Settings, file: String?)
    private let environment: [String: String]
    private let parts: Parts
    private let logger: Logger
    /// What is in force.
    private var settings: Settings

    /// - Parameters:
    ///   - signals: SIGHUP, trapped already.
    ///   - load: reads the settings as at the start.
    init(
        _ signals: UnixSignalsSequence, _ settings: Settings, _ parts: Parts, environment: [String: String], logger: Logger,
        load: @escaping @Sendable () throws -> (settings: Settings, file: String?)
    ) {
        self.signals = signals
        self.settings = settings
        self.parts = parts
        self.environment = environment
        self.logger = logger
        self.load = load
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // What a lower cap leaves too much of may take its time to go: nobody waits for it.
            let (reloads, noted) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            await withDiscardingTaskGroup { group in
                group.addTask {
                    for await _ in reloads { await self.settle() }
                }
                for await _ in self.signals {
                    if await self.reload() { noted.yield() }
                }
                group.cancelAll()
            }
        }
    }

    /// What the files say, before any of it is in force.
    private struct Found: Sendable {
        let settings: Settings
        let file: String?
        let upstreams: [String: UpstreamConfiguration]
        /// What could not be read and need not be: what it said before holds.
        let unreadable: [String]
    }

    /// Does it once; false when nothing was put in force.
    @discardableResult
    func reload() async -> Bool {
        await self.parts.supervisor.reloading()
        let (load, environment) = (self.load, self.environment)
        let (old, configurations) = (self.settings, self.parts.upstreams.configurations)
        let isDone: Bool
        do {
            let found = try await Blocking.run {
                try Self.find(load, after: old, configurations, environment)
            }
            try await self.parts.cache.store.run { [store = self.parts.cache.store] in
                store.use(found.settings.storeConfiguration)
            }
            self.use(found)
            self.parts.report.note(trouble: nil)
            isDone = true
        } catch {
            self.logger.error("The configuration was not reloaded, what was in force still is: \(error)")
            self.parts.report.note(trouble: "the configuration was not reloaded: \(error)")
            isDone = false
        }
        await self.parts.report.ready()
        return isDone
    }

    private func settle() async {
        let store = self.parts.cache.store
        let isStopped = StopFlag()
        await withTaskCancellationHandler {
            // When the store is being closed, the next pull that needs room, or the next hour, does it.
            try? await store.run {
                store.removeUnused()
                store.removeExcess { isStopped.isRaised }
            }
        } onCancel: {
            isStopped.raise()
        }
    }

    // MARK: - Reading

    private static func find(
        _ load: () throws -> (settings: Settings, file: String?), after old: Settings,
        _ configurations: [String: UpstreamConfiguration], _ environment: [String: String]
    ) throws -> Found {
        let (settings, file) = try self.explaining { try load() }
        var upstreams: [String: UpstreamConfiguration] = [:]
        var unreadable: [String] = []
        for repository in settings.repositories {
            do {
                upstreams[repository.name] = try self.explaining(repository.connection.files) {
                    try repository.connection.configuration(repository.name, repository.upstream, environment: environment)
                }
            } catch let error as LostPermission {
                // Of a registry that is asked as before nothing needs to be read: what root read at the start holds.
                let before = old.repositories.first { $0.name == repository.name }
                guard let known = configurations[repository.name], before?.isAsked(like: repository) == true else { throw error }
                upstreams[repository.name] = known
                unreadable.append("\(error.reason); the registry is asked as before, with what was read when Amargo started")
            }
        }
        return Found(settings: settings, file: file, upstreams: upstreams, unreadable: unreadable)
    }

    /// A process that was root's and has become the store's owner may not read what it could.
    private struct LostPermission: Error, CustomStringConvertible {
        let reason: String
        let uid: uid_t

        var description: String {
            "\(self.reason); Amargo has become user \(self.uid), the store's owner, since root started it: "
                + "let that user read it, or restart Amargo"
        }
    }

    /// - Parameter files: what is read by the way, and may be what cannot be.
    private static func explaining<T>(_ files: [String] = [], _ read: () throws -> T) throws -> T {
        do {
            return try read()
        } catch {
            let denial = String(cString: strerror(EACCES)).lowercased()
            let isDenied = "\(error)".lowercased().contains(denial) || files.contains { access($0, R_OK) != 0 && errno == EACCES }
            guard isDenied, let uid = StoreOwner.taken.withLock({ $0 }) else { throw error }
            throw LostPermission(reason: "\(error)", uid: uid)
        }
    }

    // MARK: - Putting in force

    private func use(_ found: Found) {
        let changes = SettingsChanges(from: self.settings, to: found.settings)
        let settings = SettingsChanges.inForce(found.settings, after: self.settings)
        self.settings = settings
        let replaced = self.parts.upstreams.replace {
            UpstreamBindings(settings, found.upstreams, self.parts.asking, keeping: $0)
        }
        self.parts.cache.use(self.parts.upstreams.directory)
        self.parts.server.reload(operations: settings.operations)
        if let naming = try? settings.bundleNaming() {  // throws for a constant alone
            for watch in self.parts.watches { watch.use(ImportOptions(naming: naming)) }
        }
        // Said if either level has it said.
        self.parts.level.level = min(self.parts.level.level, settings.logLevel)
        // The configuration says the same of them, and they are asked anew all the same.
        let renewed = settings.repositories.map(\.name).filter { name in
            replaced.contains(name) && !changes.applied.contains { $0.hasPrefix("[\(name)] ") }
        }.map { "[\($0)] certificates read again" }
        let news = changes.applied.isEmpty && !renewed.isEmpty ? renewed : [changes.summary] + renewed
        self.logger.notice("Reloaded \(found.file ?? "the built-in defaults"): \(news.joined(separator: "; "))")
        for sentence in found.unreadable + changes.postponed { self.logger.warning("\(sentence)") }
        self.parts.level.level = settings.logLevel
    }
}
