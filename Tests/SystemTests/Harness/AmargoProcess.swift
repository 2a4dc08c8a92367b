import Foundation

/// The binary under test, serving.
actor AmargoProcess {
    struct Settings: Sendable {
        var host = "127.0.0.1"
        var port: Int
        var upstream: String
        var store: URL
        var cacheTTL = 1800
        /// `text` or `json`.
        var logFormat = "text"
        /// How many files it may open; nil for as many as this process.
        var descriptors: Int?
        /// Further lines of the store's section.
        var storeLines: [String] = []
        /// Further lines of the registry's section.
        var upstreamLines: [String] = []
        /// Further sections.
        var extraLines: [String] = []
        var arguments: [String] = []
        var environment: [String: String] = [:]
        /// A library that is loaded before all others.
        var preloaded: URL?
        /// Whether it may ask nobody.
        var isOffline = false
        /// Further registries: the names of each, and its address.
        var others: [(namespaces: [String], upstream: String)] = []

        var configuration: String {
            """
            server:
              listen: "\(self.host):\(self.port)"
            store:
              path: \(self.store.path)
            \(self.storeLines.map { "  \($0)\n" }.joined())\
            repositories:
              docker:
                upstream: \(self.upstream)
                namespaces: [docker.io]
                default: true
                cacheTtl: \(self.cacheTTL)
            \(self.upstreamLines.map { "    \($0)\n" }.joined())\
            \(self.others.enumerated().map { Self.other($0.offset, $0.element) }.joined())
            \(self.extraLines.map { "\($0)\n" }.joined())\
            log:
              format: \(self.logFormat)
            """
        }

        private static func other(_ number: Int, _ other: (namespaces: [String], upstream: String)) -> String {
            "  other\(number):\n    upstream: \(other.upstream)\n    namespaces: \(other.namespaces)\n"
        }
    }

    nonisolated let settings: Settings
    nonisolated let daemon: Daemon
    /// The file it is configured by.
    nonisolated let configuration: URL

    nonisolated var url: String { "http://127.0.0.1:\(self.settings.port)" }

    init(_ settings: Settings, in folder: URL) throws {
        self.settings = settings
        self.configuration = folder.appendingPathComponent("amargo.yaml")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var program = try Self.binary()
        var arguments = try Self.arguments(settings, in: folder)
        if let descriptors = settings.descriptors {
            arguments = ["--nofile=\(descriptors)", program.path] + arguments
            program = try Program.prlimit.url()
        }
        if let library = settings.preloaded {
            arguments = ["LD_PRELOAD=\(library.path)", program.path] + arguments
            program = try Program(name: "env", package: "coreutils").url()
        }
        self.daemon = Daemon(
            "amargo",
            program,
            arguments, environment: settings.environment,
            log: folder.appendingPathComponent("amargo.log"))
    }

    /// What `amargo client-config` writes for an engine, unedited.
    func clientConfiguration(for engine: String, in folder: URL) async throws {
        try await Command(
            try Self.binary(), ["client-config", engine, "--config", self.configuration.path, "--output", folder.path]
        ).run()
    }

    /// Starts it, for the first time or again, on the same store and port.
    func start() async throws {
        try await self.daemon.start {
            // Nobody listening yet is no answer, and no reason to give up.
            let health = try? await Curl.get("\(self.url)/health")
            return health?.status == 200
        }
    }

    func terminate() async -> ChildProcess.Exit? {
        await self.daemon.terminate()
    }

    func kill() async {
        await self.daemon.kill()
    }

    /// The most memory it has ever had resident, in bytes, as the kernel counts it.
    func peakMemory() async throws -> Int {
        let pid = await self.daemon.pid ?? 0
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
        else { throw ConditionFailure(description: "no VmHWM in /proc/\(pid)/status") }
        return kibibytes << 10
    }

    /// Seconds of processor time it has taken, by user and kernel.
    func processorTime() async throws -> Double {
        let pid = await self.daemon.pid ?? 0
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The name is in parentheses and may have spaces; user and system time are the 12th and 13th field behind it.
        let fields = text.drop { $0 != ")" }.split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw ConditionFailure(description: "no times in /proc/\(pid)/stat: \(text)")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// A start that is expected to fail by itself.
    static func outcome(_ settings: Settings, in folder: URL) async throws -> Command.Result {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var command = Command(try Self.binary(), try Self.arguments(settings, in: folder))
        command.limit = .seconds(60)
        return try await command.outcome()
    }

    /// `AMARGO_BINARY`, else the one that was built together with this test bundle.
    static func binary() throws -> URL {
        let chosen = ProcessInfo.processInfo.environment["AMARGO_BINARY"].map { URL(fileURLWithPath: $0) }
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let binary = chosen ?? tests.deletingLastPathComponent().appendingPathComponent("amargo")
        guard FileManager.default.isExecutableFile(atPath: binary.path) else {
            throw ConditionFailure(description: "no amargo at \(binary.path): run `swift build`, or set AMARGO_BINARY")
        }
        return binary
    }

    private static func arguments(_ settings: Settings, in folder: URL) throws -> [String] {
        let configuration = folder.appendingPathComponent("amargo.yaml")
        try Data(settings.configuration.utf8).write(to: configuration)
        return ["serve", "--config", configuration.path, "--store", settings.store.path]
            + (settings.isOffline ? ["--offline"] : []) + settings.arguments
    }
}
