import Foundation

/// A program that pulls images by their own names, by way of the mirrors it was told of.
///
/// None of them can reach a real registry: whatever is not on this host ends at a closed port.
struct ImageClient: Sendable {
    static let environment = [
        "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost",
    ]

    enum Kind: String, CaseIterable, Sendable {
        case containerd
        case podman
        case buildah
        case skopeo
    }

    let kind: Kind
    private let folder: URL
    private let configuration: URL
    /// Only containerd itself needs a daemon.
    private var containerd: Containerd?

    /// Makes the program ready, with the configuration that Amargo prints for it.
    init(_ kind: Kind, amargo: AmargoProcess, in lab: Lab) async throws {
        self.kind = kind
        self.folder = try lab.newFolder(kind.rawValue)
        self.configuration = self.folder.appendingPathComponent("configuration")
        try await amargo.clientConfiguration(for: kind == .containerd ? "containerd" : "podman", in: self.configuration)
        switch kind {
        case .containerd:
            let plain = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
            self.containerd = try await Containerd(configuration: plain, namespace: "default", folder: self.folder, in: lab)
        case .podman, .buildah, .skopeo: try self.writePolicy()
        }
    }

    /// Pulls an image; the outcome is for the caller to judge.
    func pull(_ reference: String, platform: FixtureImage.Platform? = nil) async throws -> Command.Result {
        var command: Command
        switch self.kind {
        case .containerd:
            guard let containerd = self.containerd else { throw ConditionFailure(description: "containerd does not run") }
            let chosen = platform.map { ["--platform", $0.text] } ?? []
            command = try containerd.ctr(
                ["images", "pull", "--hosts-dir", self.configuration.path, "--snapshotter", "native"] + chosen + [reference])
        case .podman:
            let chosen = platform.map { ["--os", $0.os, "--arch", $0.architecture] } ?? []
            command = try Command(.podman, self.storage + ["--runtime", "runc", "pull"] + chosen + [reference])
        case .buildah:
            let chosen = platform.map { ["--os", $0.os, "--arch", $0.architecture] } ?? []
            command = try Command(.buildah, self.storage + ["pull"] + chosen + [reference])
        case .skopeo:
            let target = self.folder.appendingPathComponent("image-\(UInt32.random(in: .min ... .max))")
            let chosen = platform.map { ["--override-os", $0.os, "--override-arch", $0.architecture] } ?? []
            command = try Command(
                .skopeo,
                ["--insecure-policy", "--registries-conf", self.configuration.appendingPathComponent("amargo.conf").path]
                    + chosen + ["copy", "docker://\(reference)", "dir:\(target.path)"])
        }
        command.environment = Self.environment.merging(self.home) { $1 }
        command.limit = .seconds(60)
        return try await command.outcome()
    }

    /// The digests by which the program knows an image that it has pulled.
    func digests(of reference: String) async throws -> String {
        var command: Command
        switch self.kind {
        case .containerd:
            guard let containerd = self.containerd else { throw ConditionFailure(description: "containerd does not run") }
            command = try containerd.ctr(["images", "ls", "name==\(reference)"])
        case .podman, .buildah:
            // Their storage is of one kind, and only podman tells.
            command = try Command(
                .podman, self.storage + ["--runtime", "runc", "image", "inspect", "--format", "{{.RepoDigests}}", reference])
        case .skopeo:
            // It keeps nothing, so that this is what it would pull.
            command = try Command(
                .skopeo,
                ["--registries-conf", self.configuration.appendingPathComponent("amargo.conf").path]
                    + ["inspect", "--raw", "docker://\(reference)"])
        }
        command.environment = Self.environment.merging(self.home) { $1 }
        let result = try await command.run()
        guard self.kind == .skopeo else { return result.text }
        let manifest = self.folder.appendingPathComponent("manifest")
        try result.output.write(to: manifest)
        return try await FixtureImages.digest(of: manifest)
    }

    /// Removes everything that was pulled.
    func removeImages() async throws {
        switch self.kind {
        case .containerd:
            try await self.containerd?.removeImages()
        case .podman, .buildah:
            var command = try Command(self.kind == .podman ? .podman : .buildah, self.storage + ["rmi", "--all", "--force"])
            command.environment = Self.environment.merging(self.home) { $1 }
            try await command.run()
        case .skopeo: break
        }
    }

    // MARK: - Settings

    private var home: [String: String] {
        [
            "HOME": self.folder.path, "XDG_RUNTIME_DIR": self.folder.path,
            "CONTAINERS_REGISTRIES_CONF": self.configuration.appendingPathComponent("amargo.conf").path,
        ]
    }

    private var storage: [String] {
        [
            "--root", self.folder.appendingPathComponent("root").path, "--runroot",
            self.folder.appendingPathComponent("run").path,
            "--storage-driver", "vfs",
        ]
    }

    /// Whether signatures are asked for is not Amargo's affair; without this file nothing is pulled at all.
    private func writePolicy() throws {
        let folder = self.folder.appendingPathComponent(".config/containers")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(#"{"default":[{"type":"insecureAcceptAnything"}]}"#.utf8).write(to: folder.appendingPathComponent("policy.json"))
    }
}
