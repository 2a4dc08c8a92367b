import Foundation

/// A dockerd of its own, whose only way to Docker Hub is the mirror it is given.
///
/// It starts a containerd as its child, needs no network of the kernel's and touches no other Docker on the host.
actor DockerEngine {
    nonisolated let daemon: Daemon

    private let folder: URL
    private let socket: String

    /// - Parameter configuration: a folder with the `daemon.json`, as `amargo client-config docker` writes it.
    init(configuration: URL, in folder: URL) throws {
        self.folder = folder
        self.socket = "unix://\(folder.path)/docker.sock"
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        _ = try Program.runc.url()
        self.daemon = Daemon(
            "dockerd",
            try Program.dockerd.url(),
            [
                "--config-file", configuration.appendingPathComponent("daemon.json").path,
                "--data-root", folder.appendingPathComponent("data").path,
                "--exec-root", folder.appendingPathComponent("exec").path,
                "--pidfile", folder.appendingPathComponent("docker.pid").path,
                "--host", self.socket,
                "--storage-driver", "vfs",
                "--bridge", "none", "--iptables=false", "--ip6tables=false",
            ],
            // dockerd falls back from its mirror to the real registry. Whatever is not on this host ends at a
            // closed port, so that a pull succeeds only if the mirror served it.
            environment: ["HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"],
            log: folder.appendingPathComponent("dockerd.log"))
    }

    func start() async throws {
        try await self.daemon.start { try await self.command(["version"]).outcome().succeeded }
    }

    /// The docker command line on this engine.
    @discardableResult
    func docker(_ arguments: String...) async throws -> Command.Result {
        try await self.command(arguments).run()
    }

    /// The same, where a failure is what the test is about.
    func outcome(_ arguments: String...) async throws -> Command.Result {
        try await self.command(arguments).outcome()
    }

    /// Builds an image with the BuildKit inside dockerd, on nothing that an earlier build has kept.
    ///
    /// By the daemon's own interface: Debian has no buildx, without which the command line does not use BuildKit.
    ///
    /// - Parameter dockerfile: where the daemon finds the Dockerfile.
    func build(_ dockerfile: String, as tag: String) async throws {
        try await self.docker("builder", "prune", "--all", "--force")
        let log = try await Command(
            .curl,
            [
                "--silent", "--show-error", "--max-time", "120", "--unix-socket", "\(self.folder.path)/docker.sock",
                "--request", "POST", "http://localhost/build?version=2&t=\(tag)&remote=\(dockerfile)",
            ]
        ).run().text
        guard log.contains("Successfully tagged \(tag):latest") else {
            throw ConditionFailure(description: "nothing was built: \(log.suffix(1000))")
        }
    }

    /// Removes all images, and says so if one is left.
    func removeImages() async throws {
        let images = try await self.docker("image", "ls", "--all", "--quiet", "--no-trunc").text.split(separator: "\n")
        guard !images.isEmpty else { return }
        try await self.command(["image", "rm", "--force"] + Set(images).map(String.init)).run()
        let left = try await self.docker("image", "ls", "--all", "--quiet").text
        guard left.isEmpty else { throw ConditionFailure(description: "images are left: \(left)") }
    }

    func stop() async throws {
        await self.daemon.terminate()
        // dockerd ends its containerd and undoes its mounts; this is for one that had to be killed.
        let pidFile = self.folder.appendingPathComponent("exec/containerd/containerd.pid")
        if let pid = (try? String(contentsOf: pidFile, encoding: .utf8)).flatMap(Int32.init),
            Self.commandName(of: pid) == "containerd"
        {
            kill(pid, SIGKILL)
        }
        for mount in try Self.mounts(below: self.folder.path).reversed() {
            try await Command(.unmount, ["--lazy", mount]).run()
        }
    }

    private func command(_ arguments: [String]) throws -> Command {
        let configuration = self.folder.appendingPathComponent("client").path
        return try Command(.docker, ["--config", configuration, "--host", self.socket] + arguments)
    }

    private static func commandName(of pid: Int32) -> String? {
        // No such file: no such process.
        (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines)
    }

    private static func mounts(below folder: String) throws -> [String] {
        try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
            .split(separator: "\n")
            .compactMap { $0.split(separator: " ").dropFirst().first.map(String.init) }
            .filter { $0.hasPrefix(folder + "/") }
    }
}
