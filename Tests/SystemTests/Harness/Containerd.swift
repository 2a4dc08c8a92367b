import Foundation

/// A containerd of its own, with `ctr` to talk to it.
struct Containerd: Sendable {
    let socket: String
    private let namespace: String

    /// Starts it.
    ///
    /// - Parameters:
    ///   - configuration: its `config.toml`.
    ///   - namespace: where its images are: `default` for ctr, `k8s.io` for Kubernetes.
    init(configuration: String, namespace: String, folder: URL, in lab: Lab) async throws {
        let socket = folder.appendingPathComponent("containerd.sock").path
        self.socket = socket
        self.namespace = namespace
        let file = folder.appendingPathComponent("config.toml")
        try Data(configuration.utf8).write(to: file)
        let daemon = Daemon(
            "containerd", try Program.containerd.url(),
            [
                "--config", file.path, "--root", folder.appendingPathComponent("root").path,
                "--state", folder.appendingPathComponent("state").path, "--address", socket,
            ],
            environment: ImageClient.environment, log: folder.appendingPathComponent("containerd.log"))
        try await lab.start(daemon) { try await Command(.ctr, ["--address", socket, "version"]).outcome().succeeded }
    }

    func ctr(_ arguments: [String]) throws -> Command {
        try Command(.ctr, ["--address", self.socket, "--namespace", self.namespace] + arguments)
    }

    /// Removes everything that was pulled, and what a failed pull has left.
    func removeImages() async throws {
        let names = try await self.list("images")
        if !names.isEmpty { try await self.ctr(["images", "rm", "--sync"] + names).run() }
        try await eventually("containerd has no content") {
            let content = try await self.list("content")
            // Some of it may just have been collected, which is as good.
            if !content.isEmpty { _ = try await self.ctr(["content", "rm"] + content).outcome() }
            return content.isEmpty
        }
    }

    private func list(_ what: String) async throws -> [String] {
        try await self.ctr([what, "ls", "--quiet"]).run().text.split(separator: "\n").map(String.init)
    }
}
