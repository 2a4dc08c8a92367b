import Foundation

/// A program run to its end, with everything it printed.
struct Command: Sendable {
    struct Result: Sendable {
        let exit: ChildProcess.Exit
        let output: Data
        let errors: Data

        /// Standard output as text, without the final line break.
        var text: String { Self.text(self.output) }
        var errorText: String { Self.text(self.errors) }
        var succeeded: Bool { self.exit == .code(0) }

        private static func text(_ data: Data) -> String {
            String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let commandLine: String
        let reason: String
        let result: Result

        var description: String {
            "\(self.commandLine): \(self.reason)\n\(self.result.errorText)\n\(self.result.text)"
        }
    }

    let program: URL
    let arguments: [String]
    var environment: [String: String] = [:]
    var limit: Duration = .seconds(180)

    init(_ program: Program, _ arguments: [String]) throws {
        self.init(try program.url(), arguments)
    }

    init(_ program: URL, _ arguments: [String]) {
        self.program = program
        self.arguments = arguments
    }

    /// Runs it; anything but exit code 0 is an error that carries the whole output.
    @discardableResult
    func run() async throws -> Result {
        let result = try await self.outcome()
        guard result.succeeded else {
            throw Failure(commandLine: self.commandLine, reason: "ended with \(result.exit)", result: result)
        }
        return result
    }

    /// Runs it; how it ended is for the caller to judge. Only taking too long is an error.
    func outcome() async throws -> Result {
        let folder = try TemporaryDirectory()
        defer { folder.remove() }
        let output = try folder.file("stdout")
        let errors = try folder.file("stderr")
        let child = try ChildProcess(
            self.program,
            self.arguments,
            environment: Program.environment.merging(self.environment) { _, own in own },
            output: output.handle,
            errors: errors.handle)
        // The child has its own. Foundation keeps the process object, and with it ours, for ever; and Process.run()
        // itself reads past the end of its memory once there are some 1,360 of them.
        try output.handle.close()
        try errors.handle.close()
        let exit = await child.exited(within: self.limit)
        let result = Result(
            exit: exit ?? .signal(SIGKILL),
            output: try Data(contentsOf: output.url),
            errors: try Data(contentsOf: errors.url))
        guard exit != nil else {
            throw Failure(commandLine: self.commandLine, reason: "not done after \(self.limit)", result: result)
        }
        return result
    }

    private var commandLine: String {
        ([self.program.lastPathComponent] + self.arguments).joined(separator: " ")
    }
}
