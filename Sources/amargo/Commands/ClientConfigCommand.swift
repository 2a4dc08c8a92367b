import ArgumentParser
import Foundation

struct ClientConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-config",
        abstract: "Print what an engine needs to pull through this server.",
        discussion: """
            Engines: \(ClientEngine.allCases.map(\.rawValue).joined(separator: ", ")). The files go to standard output, ready to \
            be saved; what else is to be done goes to standard error.
            """)

    @OptionGroup var options: StoreOptions

    @Argument(help: "The engine.", completion: .list(ClientEngine.allCases.map(\.rawValue)))
    var engine: String

    @Option(help: "What clients call this server: host or host:port. Default: the first address it listens on.")
    var host: String?

    @Option(
        help: ArgumentHelp("Write the files below this folder instead of printing them.", valueName: "folder"),
        completion: .directory)
    var output: String?

    func validate() throws {
        do {
            if let host = self.host { _ = try ClientServer.address(host, port: "3000") }
        } catch {
            throw ValidationError("\(error).")
        }
        guard ClientEngine(rawValue: self.engine) == nil else { return }
        let known = ClientEngine.allCases.map(\.rawValue)
        let advice = NearestKey.of(self.engine, among: known).map { " Did you mean \($0)?" } ?? ""
        throw ValidationError(
            "There is no engine \"\(self.engine)\".\(advice) Engines are \(known.joined(separator: ", ")).")
    }

    func run() async throws {
        do {
            guard let engine = ClientEngine(rawValue: self.engine) else { return }  // validate() has seen to it
            let (settings, _) = try SettingsLoader(self.options).load()
            let server = try ClientServer(settings, host: self.host)
            let configuration = try engine.configuration(for: server)
            if let output = self.output {
                try Self.write(configuration.files, below: output)
            } else {
                print(configuration.files.map(\.text).joined(separator: "\n"), terminator: "")
            }
            if self.host == nil, engine != .dockerDesktop, ClientServer.isEverywhere(settings.listen.first ?? "") {
                Self.say("# Amargo listens on all addresses; other hosts need one of them: --host ADDRESS")
            }
            for note in configuration.notes { Self.say("# \(note)") }
        } catch {
            throw Failure.report(error)
        }
    }

    private static func write(_ files: [ClientFile], below folder: String) throws {
        let folder = URL(fileURLWithPath: folder)
        let targets = files.map { (file: $0, url: folder.appendingPathComponent($0.relativePath)) }
        // All or none: somebody else's file is found before the first one is written.
        for (file, url) in targets { try Self.expectOurs(url, file) }
        for (file, url) in targets {
            do {
                try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: url, options: .atomic)
            } catch {
                throw OutputError(description: "cannot write \(url.path): \(error.localizedDescription)")
            }
            Self.say("# wrote \(url.path)")
        }
    }

    /// What an administrator has written is not replaced.
    private static func expectOurs(_ url: URL, _ file: ClientFile) throws {
        guard FileManager.default.fileExists(atPath: url.path) else { return }
        // What cannot be read is not known to be ours.
        let text = (try? Data(contentsOf: url)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard text == file.text || text.contains(ClientFile.signature) else {
            throw OutputError(
                description: "\(url.path) is there and not from client-config; merge what is printed without --output into it")
        }
    }

    private static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }

    private struct OutputError: Error, CustomStringConvertible {
        let description: String
    }
}
