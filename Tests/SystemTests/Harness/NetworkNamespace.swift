import Foundation

/// A network of its own, with loopback and nothing else: no route leads out, and the host's ports are not there.
///
/// What a test starts in `run` is in it; files and Unix sockets are the host's.
struct NetworkNamespace: Sendable {
    /// Where the programs that the running task starts belong; nil for the host's network.
    @TaskLocal private static var current: NetworkNamespace?

    /// The process that keeps it, until the lab is closed.
    private let keeper: Int32

    init(in lab: Lab) async throws {
        let folder = try lab.newFolder("network")
        let ready = folder.appendingPathComponent("ready").path
        // By busybox, which is there for the images: not every system has iproute2.
        let script = "\"$0\" ifconfig lo up && : > \"$1\" && exec tail -f /dev/null"
        let daemon = Daemon(
            "network", try Program.unshare.url(),
            ["--net", try Program.shell.url().path, "-c", script, try Program.busybox.url().path, ready],
            log: folder.appendingPathComponent("network.log"))
        try await lab.start(daemon) { FileManager.default.fileExists(atPath: ready) }
        guard let pid = await daemon.pid else { throw ConditionFailure(description: "nobody keeps the network") }
        self.keeper = pid
    }

    /// Runs a part of a test whose programs are all in this network.
    func run(_ body: () async throws -> Void) async throws {
        try await Self.$current.withValue(self) { try await body() }
    }

    /// Runs a part of such a part that is on the host after all.
    static func onHost<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await Self.$current.withValue(nil) { try await body() }
    }

    /// What to start instead of a program, so that it is in the network it belongs to.
    ///
    /// `nsenter` becomes the program: its process id is the program's.
    static func entering(_ program: URL, _ arguments: [String]) throws -> (program: URL, arguments: [String]) {
        guard let keeper = Self.current?.keeper else { return (program, arguments) }
        return (try Program.nsenter.url(), ["--net=/proc/\(keeper)/ns/net", program.path] + arguments)
    }

    /// The kernel's table of routes, without its head.
    func routes() throws -> [String] {
        try String(contentsOfFile: "/proc/\(self.keeper)/net/route", encoding: .utf8).split(separator: "\n").dropFirst()
            .map(String.init)
    }
}
