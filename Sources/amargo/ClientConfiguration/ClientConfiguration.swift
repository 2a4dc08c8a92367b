import OCI

/// A file of an engine's configuration, ready to be saved.
struct ClientFile: Equatable {
    /// Where it goes on the engine's host.
    let path: String
    /// The same below a folder of one's own, for `--output`.
    let relativePath: String
    let text: String

    /// By this a file is known to have been written by `client-config`, and may be written again.
    static let signature = "by way of Amargo"

    /// The comment that a file begins with, where its format has comments: it says all that somebody who finds it must know.
    static func heading(_ path: String, then: String, what: String = "Registries") -> String {
        "# \(path)\n# \(then)\n# \(what) \(Self.signature), and directly when Amargo cannot help.\n"
    }
}

/// What an engine needs in order to pull through this server.
struct ClientConfiguration: Equatable {
    let files: [ClientFile]
    /// What is not part of a file: what to restart, what to mind.
    let notes: [String]
}

/// An engine that `client-config` knows.
enum ClientEngine: String, CaseIterable {
    case docker
    case dockerDesktop = "docker-desktop"
    case containerd
    case podman
    case buildkit
    case k3s
    case kaniko

    /// The engine's configuration for a server and its registries.
    ///
    /// - Throws: `SettingsError` when this engine cannot be served as things are configured.
    func configuration(for server: ClientServer) throws -> ClientConfiguration {
        switch self {
        case .docker: try DockerClient.configuration(for: server)
        case .dockerDesktop: try DockerClient.desktopConfiguration(for: server)
        case .containerd: ContainerdClient.configuration(for: server)
        case .podman: PodmanClient.configuration(for: server)
        case .buildkit: BuildKitClient.configuration(for: server)
        case .k3s: K3sClient.configuration(for: server)
        case .kaniko: KanikoClient.configuration(for: server)
        }
    }
}
