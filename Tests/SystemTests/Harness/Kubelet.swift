import Foundation

/// containerd as a Kubernetes node has it, asked to pull as the kubelet asks: by gRPC, over the Container Runtime Interface.
///
/// The two messages are small enough to be written and read by hand, and curl speaks HTTP/2.
struct Kubelet: Sendable {
    private let folder: URL

    /// Starts containerd with the configuration that README.md gives for Kubernetes.
    init(amargo: AmargoProcess, in lab: Lab) async throws {
        let folder = try lab.newFolder("node")
        self.folder = folder
        let hosts = folder.appendingPathComponent("certs.d")
        try await amargo.clientConfiguration(for: "containerd", in: hosts)
        let configuration = """
            version = 2
            [plugins."io.containerd.grpc.v1.cri".registry]
              config_path = "\(hosts.path)"
            [plugins."io.containerd.grpc.v1.cri".containerd]
              snapshotter = "native"
            """
        let file = folder.appendingPathComponent("config.toml")
        try Data(configuration.utf8).write(to: file)
        let daemon = Daemon(
            "containerd", try Program.containerd.url(),
            [
                "--config", file.path, "--root", folder.appendingPathComponent("root").path,
                "--state", folder.appendingPathComponent("state").path, "--address", Self.socket(in: folder),
            ],
            environment: ImageClient.environment, log: folder.appendingPathComponent("containerd.log"))
        try await lab.start(daemon) { try await Self.ctr(["version"], in: folder).outcome().succeeded }
    }

    /// Pulls an image.
    ///
    /// - Returns: nil, or containerd's word for why not.
    func pull(_ reference: String) async throws -> String? {
        // PullImageRequest { ImageSpec image = 1 { string image = 1 } }, behind gRPC's prefix.
        let message = Self.field(Self.field(Data(reference.utf8)))
        let request = self.folder.appendingPathComponent("request")
        try (Data([0, 0, 0, 0, UInt8(message.count)]) + message).write(to: request)
        var command = try Command(
            .curl,
            [
                "--silent", "--show-error", "--max-time", "60", "--unix-socket", Self.socket(in: self.folder),
                "--http2-prior-knowledge",
                "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", "@\(request.path)",
                "--dump-header", "-", "--output", "/dev/null",
                "http://localhost/runtime.v1.ImageService/PullImage",
            ])
        command.environment = ["NO_PROXY": "*"]
        let lines = try await command.run().text.split(whereSeparator: \.isNewline)
        guard let status = lines.first(where: { $0.hasPrefix("grpc-status:") }) else {
            throw ConditionFailure(description: "not gRPC: \(lines)")
        }
        guard status != "grpc-status: 0" else { return nil }
        return lines.first { $0.hasPrefix("grpc-message:") }.map(String.init) ?? String(status)
    }

    /// Removes everything that was pulled.
    func removeImages() async throws {
        let names = try await Self.ctr(["images", "ls", "--quiet"], in: self.folder).run().text.split(separator: "\n").map(
            String.init)
        if !names.isEmpty { try await Self.ctr(["images", "rm", "--sync"] + names, in: self.folder).run() }
        let content = try await Self.ctr(["content", "ls", "--quiet"], in: self.folder).run().text
        guard content.isEmpty else { throw ConditionFailure(description: "content is left: \(content)") }
    }

    private static func socket(in folder: URL) -> String { folder.appendingPathComponent("containerd.sock").path }

    private static func ctr(_ arguments: [String], in folder: URL) throws -> Command {
        try Command(.ctr, ["--address", Self.socket(in: folder), "--namespace", "k8s.io"] + arguments)
    }

    /// A field with number 1 of fewer than 128 bytes.
    private static func field(_ content: Data) -> Data { Data([0x0A, UInt8(content.count)]) + content }
}
