import ArgumentParser
import Foundation

struct ClientConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-config",
        abstract: "Print what an engine needs to pull through this server.",
        discussion: """
            Engines: \(ClientEngine.allCases.map(\.rawValue).joined(separator: ", ")). The files go to standard output, where they \
            go and what they need to standard error.
            """)

    @OptionGroup var options: StoreOptions

    @Argument(help: "The engine.")
    var engine: String

    @Option(help: "What clients call this server: host or host:port. Default: the first address it listens on.")
    var host: String?

    @Option(help: "Write the files below this folder instead of printing them.")
    var output: String?

    func run() async throws {
        do {
            guard let engine = ClientEngine(rawValue: self.engine) else { throw self.unknownEngine() }
            let (settings, _) = try SettingsLoader(self.options).load()
            let server = ClientServer(settings, host: self.host)
            let configuration = engine.configuration(for: server)
            if self.host == nil, engine != .dockerDesktop, ClientServer.isEverywhere(settings.listen.first ?? "") {
                Self.say("# Amargo listens on all addresses; other hosts need one of them: --host ADDRESS")
            }
            if let output = self.output {
                try Self.write(configuration.files, below: output)
            } else {
                Self.print(configuration.files)
            }
            for note in configuration.notes { Self.say("# \(note)") }
        } catch {
            throw Failure.report(error)
        }
    }

    private func unknownEngine() -> SettingsError {
        let known = ClientEngine.allCases.map(\.rawValue)
        let advice = NearestKey.of(self.engine, among: known).map { "did you mean \($0)?" } ?? "known are"
        return SettingsError("there is no engine \"\(self.engine)\"; \(advice) (\(known.joined(separator: ", ")))")
    }

    private static func print(_ files: [ClientFile]) {
        for file in files {
            Self.say("# \(file.path):")
            // Several files in one stream need a line that tells them apart; it is a comment in each of their formats.
            if files.count > 1 { Swift.print("# \(file.path)") }
            Swift.print(file.text, terminator: files.count > 1 ? "\n" : "")
        }
    }

    private static func write(_ files: [ClientFile], below folder: String) throws {
        for file in files {
            let url = URL(fileURLWithPath: folder).appendingPathComponent(file.relativePath)
            do {
                try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: url, options: .atomic)
            } catch {
                throw SettingsError("cannot write \(url.path): \(error.localizedDescription)")
            }
            Self.say("# wrote \(url.path)")
        }
    }

    private static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}
