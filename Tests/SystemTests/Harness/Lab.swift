import Foundation

/// One test's programs and folder: what it started is stopped when the test is over, however it ends.
actor Lab {
    nonisolated let folder: URL
    nonisolated let images: FixtureImages

    private var daemons: [Daemon] = []
    private var engines: [DockerEngine] = []

    private init() throws {
        self.folder = try TemporaryDirectory().url
        self.images = try FixtureImages(in: self.folder.appendingPathComponent("images"))
    }

    /// Runs a test. If it throws, the last lines of every log go with the error.
    static func run(_ test: @Sendable (Lab) async throws -> Void) async throws {
        let lab = try Lab()
        do {
            try await test(lab)
        } catch {
            let failure = ConditionFailure(description: "\(error)\n\(await lab.logs())")
            // Should tidying up fail as well, the test's own failure is the one to report.
            try? await lab.close()
            throw failure
        }
        try await lab.close()
    }

    func registry() async throws -> DockerRegistry {
        let registry = try DockerRegistry(in: self.newFolder("registry"))
        self.daemons.append(registry.daemon)
        try await registry.start()
        return registry
    }

    func throttle(_ registry: DockerRegistry, bytesPerSecond: Int) async throws -> Throttle {
        let throttle = try Throttle(to: registry.port, bytesPerSecond: bytesPerSecond, in: self.newFolder("throttle"))
        self.daemons.append(throttle.daemon)
        try await throttle.start()
        return throttle
    }

    func engine(mirror: AmargoProcess) async throws -> DockerEngine {
        let configuration = try self.newFolder("daemon")
        try await mirror.clientConfiguration(for: "docker", in: configuration)
        let engine = try DockerEngine(configuration: configuration, in: self.newFolder("engine"))
        self.engines.append(engine)
        try await engine.start()
        return engine
    }

    /// Puts a text on a web server of its own.
    func page(_ text: String) async throws -> String {
        let folder = try self.newFolder("pages")
        try Data(text.utf8).write(to: folder.appendingPathComponent("page"))
        let port = try LoopbackPort.free()
        let url = "http://127.0.0.1:\(port)/page"
        let daemon = Daemon(
            "pages", try Program.python.url(),
            ["-m", "http.server", "\(port)", "--bind", "127.0.0.1", "--directory", folder.path],
            log: folder.appendingPathComponent("pages.log"))
        try await self.start(daemon) { try await Curl.answers(url) }
        return url
    }

    /// Starts a further program, which is stopped with the others.
    func start(_ daemon: Daemon, until isReady: @Sendable () async throws -> Bool) async throws {
        self.daemons.append(daemon)
        try await daemon.start(until: isReady)
    }

    nonisolated func settings(upstream: String) throws -> AmargoProcess.Settings {
        AmargoProcess.Settings(
            port: try LoopbackPort.free(), upstream: upstream, store: self.folder.appendingPathComponent("store"))
    }

    func amargo(upstream: String) async throws -> AmargoProcess {
        try await self.amargo(try self.settings(upstream: upstream))
    }

    func amargo(_ settings: AmargoProcess.Settings) async throws -> AmargoProcess {
        let amargo = try AmargoProcess(settings, in: self.newFolder("amargo"))
        self.daemons.append(amargo.daemon)
        try await amargo.start()
        return amargo
    }

    nonisolated func newFolder(_ name: String) throws -> URL {
        let suffix = String(UInt16.random(in: .min ... .max), radix: 36)
        let url = self.folder.appendingPathComponent("\(name)-\(suffix)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        return url
    }

    private func logs() -> String {
        (self.daemons + self.engines.map(\.daemon))
            .map { "--- \($0.log.lastPathComponent)\n\($0.lastLines(25))" }
            .joined(separator: "\n")
    }

    private func close() async throws {
        for engine in self.engines { try await engine.stop() }
        for daemon in self.daemons.reversed() { await daemon.terminate() }
        // Not through a mount point: what could not be unmounted is not this test's to delete.
        try await Command(.remove, ["--recursive", "--force", "--one-file-system", self.folder.path]).run()
    }
}
