import ArgumentParser
import Logging
import Registry

struct ServeCommand: AsyncParsableCommand {
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

    @Option(help: "How log lines look: text or json.")
    var logFormat: String?

    @Option(help: "The least severe log lines that are written: trace, debug, info, notice, warning, error, critical.")
    var logLevel: String?

    func run() async throws {
        StandardStreams.open()
        do {
            var (settings, file) = try SettingsLoader(self.options).load()
            self.apply(to: &settings)
            let writer = LogWriter()
            let logger = Logger(label: "amargo") { [settings] _ in
                AmargoLogHandler(level: settings.logLevel, format: settings.logFormat, writer: writer)
            }
            do {
                try await ServiceGraph(settings: settings, file: file, logger: logger).run()
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
