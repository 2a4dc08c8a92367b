import Foundation

/// A slow line to another port of 127.0.0.1.
actor Throttle {
    nonisolated let port: Int
    nonisolated let daemon: Daemon

    nonisolated var url: String { "http://127.0.0.1:\(self.port)" }

    init(to target: Int, bytesPerSecond: Int, in folder: URL) throws {
        self.port = try LoopbackPort.free()
        let script = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Programs/throttle.py")
        self.daemon = Daemon(
            "throttle",
            try Program.python.url(),
            [script.path, "\(self.port)", "\(target)", "\(bytesPerSecond)"],
            log: folder.appendingPathComponent("throttle.log"))
    }

    func start() async throws {
        try await self.daemon.start { try await Curl.answers("\(self.url)/v2/") }
    }
}
