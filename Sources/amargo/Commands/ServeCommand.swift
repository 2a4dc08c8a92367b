import ArgumentParser
import Logging

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve as a registry mirror.",
        discussion: """
            Without a configuration it listens on 127.0.0.1:3000 and mirrors Docker Hub. SIGTERM and SIGINT let running \
            responses end, for up to 30 seconds.
            """)

    @OptionGroup var options: StoreOptions

    @Option(help: "An address to listen on, host:port; may be given several times. Replaces server.listen.")
    var listen: [String] = []

    @Option(help: "How log lines look: text or json.")
    var logFormat: String?

    @Option(help: "The least severe log lines that are written: trace, debug, info, notice, warning, error, critical.")
    var logLevel: String?

    func run() async throws {
        do {
            var (settings, file) = try SettingsLoader(self.options).load()
            try self.apply(to: &settings)
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

    private func apply(to settings: inout Settings) throws {
        if !self.listen.isEmpty { settings.listen = self.listen }
        if let text = self.logFormat {
            guard let format = Settings.LogFormat(rawValue: text) else {
                throw SettingsError("--log-format must be text or json, not \"\(text)\"")
            }
            settings.logFormat = format
        }
        if let text = self.logLevel {
            guard let level = Logger.Level(rawValue: text) else { throw SettingsError("--log-level has no level \"\(text)\"") }
            settings.logLevel = level
        }
    }
}
