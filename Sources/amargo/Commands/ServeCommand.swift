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
            responses end, for up to 30 seconds; a second one cuts them. SIGHUP reads the configuration again; what it cannot \
            change (server.listen, store.path, import.watch, log.format) it names, and a wrong one changes nothing.
            """)

    @OptionGroup var options: StoreOptions

    @Option(
        help: ArgumentHelp(
            "An address to listen on, host:port; may be given several times. Replaces server.listen.", valueName: "address"))
    var listen: [String] = []

    @Flag(help: "Ask no registry: serve what is stored, whatever its age, and nothing else.")
    var offline = false

    @Option(
        help: ArgumentHelp("How log lines look: text or json.", valueName: "format"),
        completion: .list(Settings.LogFormat.allCases.map(\.rawValue)))
    var logFormat: String?

    @Option(
        help: ArgumentHelp(
            "The least severe log lines that are written: trace, debug, info, notice, warning, error, critical.",
            valueName: "level"),
        completion: .list(Logger.Level.allCases.map(\.rawValue)))
    var logLevel: String?

    /// What was opened before root became the store's owner.
    private struct Prepared {
        let settings: Settings
        let file: String?
        let sockets: [ListeningSocket]
        let upstreams: [String: UpstreamConfiguration]
        let environment: [String: String]
        let supervision: Supervision
    }

    /// A command's value is made of its arguments alone; the process has one server.
    private static let prepared = Mutex<Prepared?>(nil)

    func prepare() throws {
        do {
            let supervision = Supervision.take(from: ProcessInfo.processInfo.environment)
            let environment = ProcessInfo.processInfo.environment
            let (settings, file) = try self.load(environment)
            // Addresses before the store: a busy one must not leave a new store behind, and ports below 1024 are root's.
            let sockets = try settings.listen.map { try ListeningSocket(binding: $0) }
            // What only root may read.
            let upstreams = try settings.upstreams(environment: environment)
            try StoreOwner.become(ofFolder: settings.storePath)
            Self.prepared.withLock {
                $0 = Prepared(
                    settings: settings, file: file, sockets: sockets, upstreams: upstreams, environment: environment,
                    supervision: supervision)
            }
        } catch {
            throw Failure.report(error)
        }
    }

    func run() async throws {
        guard let prepared = Self.prepared.withLock({ $0.take() }) else { return }
        do {
            let settings = prepared.settings
            let writer = LogWriter()
            let level = LogLevel(settings.logLevel)
            let handler = AmargoLogHandler(level: level, format: settings.logFormat, writer: writer)
            let logger = Logger(label: "amargo") { _ in handler }
            do {
                try await ServiceGraph(
                    settings: settings, upstreams: prepared.upstreams, file: prepared.file, logger: logger, level: level,
                    hitLog: handler, droppedLogLines: { writer.droppedCount }, isOffline: self.offline,
                    supervisor: Supervisor(prepared.supervision, logger: logger), environment: prepared.environment,
                    load: { try self.load(prepared.environment, from: prepared.file) }
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

    /// The settings in force, as files, variables and options say them.
    ///
    /// - Parameter file: the configuration file, when it was found and read before.
    private func load(_ environment: [String: String], from file: String? = nil) throws -> (settings: Settings, file: String?) {
        var options = self.options
        if let file {
            try ConfigurationText.checkIsReadableAgain(file)
            options.config = file
        }
        var (settings, found) = try SettingsLoader(options, environment: environment).load()
        self.apply(to: &settings)
        return (settings, found)
    }

    private func apply(to settings: inout Settings) {
        if !self.listen.isEmpty { settings.listen = self.listen }
        if let format = self.logFormat.flatMap(Settings.LogFormat.init(rawValue:)) { settings.logFormat = format }
        if let level = self.logLevel.flatMap(Logger.Level.init(rawValue:)) { settings.logLevel = level }
    }
}
