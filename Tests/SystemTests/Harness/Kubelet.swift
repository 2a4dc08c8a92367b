import Foundation

/// containerd as a Kubernetes node has it, asked to pull as the kubelet asks: by gRPC, over the Container Runtime Interface.
///
/// The two messages are small enough to be written and read by hand, and curl speaks HTTP/2.
struct Kubelet: Sendable {
    private let folder: URL
    private let containerd: Containerd

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
        self.containerd = try await Containerd(configuration: configuration, namespace: "k8s.io", folder: folder, in: lab)
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
                "--silent", "--show-error", "--max-time", "60", "--unix-socket", self.containerd.socket,
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
    func removeImages() async throws { try await self.containerd.removeImages() }

    /// A field with number 1 of fewer than 128 bytes.
    private static func field(_ content: Data) -> Data { Data([0x0A, UInt8(content.count)]) + content }
}
