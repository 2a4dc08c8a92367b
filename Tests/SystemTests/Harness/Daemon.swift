import Foundation

/// A server program that is started, stopped and started again, with one log file for all its lives.
actor Daemon {
    let name: String
    nonisolated let log: URL

    private let program: URL
    private let arguments: [String]
    private let environment: [String: String]
    private var child: ChildProcess?

    init(_ name: String, _ program: URL, _ arguments: [String], environment: [String: String] = [:], log: URL) {
        self.name = name
        self.program = program
        self.arguments = arguments
        self.environment = Program.environment.merging(environment) { _, own in own }
        self.log = log
    }

    var pid: Int32? { self.child.flatMap { $0.exit == nil ? $0.pid : nil } }

    /// Starts it and returns once it is ready; an early end is an error that carries its log.
    func start(within limit: Duration = .seconds(60), until isReady: @Sendable () async throws -> Bool) async throws {
        precondition(self.pid == nil, "\(self.name) runs already")
        let output = try self.appendingHandle()
        let child = try ChildProcess(
            self.program, self.arguments, environment: self.environment, output: output, errors: output)
        try output.close()
        self.child = child
        do {
            try await eventually("\(self.name) is ready", within: limit) {
                if let exit = child.exit {
                    throw ConditionFailure(description: "\(self.name) ended with \(exit) instead of starting")
                }
                return try await isReady()
            }
        } catch {
            await self.kill()
            throw ConditionFailure(description: "\(error)\n\(self.lastLines())")
        }
    }

    /// Asks it to end by SIGTERM, and kills it when it does not.
    ///
    /// - Returns: how it ended, or nil if it had to be killed or was not running.
    @discardableResult
    func terminate(within limit: Duration = .seconds(30)) async -> ChildProcess.Exit? {
        guard let child = self.child else { return nil }
        self.child = nil
        child.send(SIGTERM)
        let exit = await child.exited(within: limit)
        if exit == nil { _ = await child.exited() }
        return exit
    }

    func kill() async {
        guard let child = self.child else { return }
        self.child = nil
        child.send(SIGKILL)
        _ = await child.exited()
    }

    nonisolated func logText() -> String {
        // A daemon that was never started has no log.
        (try? Data(contentsOf: self.log)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    nonisolated func lastLines(_ count: Int = 40) -> String {
        self.logText().split(separator: "\n").suffix(count).joined(separator: "\n")
    }

    private func appendingHandle() throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: self.log.path) { try Data().write(to: self.log) }
        let handle = try FileHandle(forWritingTo: self.log)
        try handle.seekToEnd()
        return handle
    }
}
