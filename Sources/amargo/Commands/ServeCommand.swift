import ArgumentParser
import Foundation
import Logging
import Registry
import Synchronization
import Upstream

struct ServeCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve as a registry mirror.",
        discussion: """
            Without a configuration it listens on 127.0.0.1:3000 and mirrors Docker Hub. SIGTERM and SIGINT let running \
            responses end, for up to 30 seconds; a second one cuts them.
            """)

    @OptionGroup var options: StoreOptions

    @Option(help: "An address to listen on, host:port; may be given several times. Replaces server.listen.")
    var listen: [String] = []

    @Flag(help: "Ask no registry: serve what is stored, whatever its age, and nothing else.")
    var offline = false

    @Option(help: "How log lines look: text or json.")
    var logFormat: String?

    @Option(help: "The least severe log lines that are written: trace, debug, info, notice, warning, error, critical.")
    var logLevel: String?

    /// What was opened before root became the store's owner.
    private struct Prepared {
        let settings: Settings
        let file: String?
        let sockets: [ListeningSocket]
        let upstreams: [String: UpstreamConfiguration]
    }

    /// A command's value is made of its arguments alone; the process has one server.
    private static let prepared = Mutex<Prepared?>(nil)

    func prepare() throws {
        do {
            var (settings, file) = try SettingsLoader(self.options).load()
            self.apply(to: &settings)
            // Addresses before the store: a busy one must not leave a new store behind, and ports below 1024 are root's.
            let sockets = try settings.listen.map { try ListeningSocket(binding: $0) }
            // What only root may read.
            let upstreams = try settings.upstreams(environment: ProcessInfo.processInfo.environment)
            try StoreOwner.become(ofFolder: settings.storePath)
            Self.prepared.withLock { $0 = Prepared(settings: settings, file: file, sockets: sockets, upstreams: upstreams) }
        } catch {
            throw Failure.report(error)
        }
    }

    func run() async throws {
        guard let prepared = Self.prepared.withLock({ $0.take() }) else { return }
        do {
            let settings = prepared.settings
            let writer = LogWriter()
            let handler = AmargoLogHandler(level: settings.logLevel, format: settings.logFormat, writer: writer)
            let logger = Logger(label: "amargo") { _ in handler }
            do {
                try await ServiceGraph(
                    settings: settings, upstreams: prepared.upstreams, file: prepared.file, logger: logger, hitLog: handler,
                    droppedLogLines: { writer.droppedCount }, isOffline: self.offline
                ).run(on: prepared.sockets)
            } catch {
                await writer.close()
                throw error
            }
            await writer.close()
        } catch {
            throw Failure.report(error)
        }
    }

    func validate() throws {
        if let odd = self.listen.first(where: { !ListeningSocket.isWellFormed($0) }) {
            throw ValidationError("--listen must be host:port, such as 127.0.0.1:3000 or [::1]:3000, not \"\(odd)\".")
        }
        if let text = self.logFormat, Settings.LogFormat(rawValue: text) == nil {
            throw ValidationError("--log-format must be text or json, not \"\(text)\".")
        }
        if let text = self.logLevel, Logger.Level(rawValue: text) == nil {
            throw ValidationError("--log-level must be one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
    }

    private func apply(to settings: inout Settings) {
        if !self.listen.isEmpty { settings.listen = self.listen }
        if let format = self.logFormat.flatMap(Settings.LogFormat.init(rawValue:)) { settings.logFormat = format }
        if let level = self.logLevel.flatMap(Logger.Level.init(rawValue:)) { settings.logLevel = level }
    }
}
