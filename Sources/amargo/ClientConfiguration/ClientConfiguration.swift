import OCI

/// A file of an engine's configuration, ready to be saved.
struct ClientFile: Equatable {
    /// Where it goes on the engine's host.
    let path: String
    /// The same below a folder of one's own, for `--output`.
    let relativePath: String
    let text: String
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
    func configuration(for server: ClientServer) -> ClientConfiguration {
        switch self {
        case .docker: DockerClient.configuration(for: server)
        case .dockerDesktop: DockerClient.desktopConfiguration(for: server)
        case .containerd: ContainerdClient.configuration(for: server)
        case .podman: PodmanClient.configuration(for: server)
        case .buildkit: BuildKitClient.configuration(for: server)
        case .k3s: K3sClient.configuration(for: server)
        case .kaniko: KanikoClient.configuration(for: server)
        }
    }
}

/// This server as its clients see it.
struct ClientServer: Equatable {
    struct Registry: Equatable {
        /// As image references name it.
        let namespace: Namespace
        /// The registry itself, for when the mirror cannot help.
        let address: String
        /// Whether names without a registry mean this one.
        let isDefault: Bool
    }

    /// `host:port`.
    let address: String
    let registries: [Registry]

    var url: String { "http://\(self.address)" }

    /// Docker Hub, if it is mirrored here.
    var dockerHub: Registry? { self.registries.first { $0.namespace.description == "docker.io" } }

    /// - Parameter host: what clients call this server, `host` or `host:port`; nil for the first address it listens on.
    init(_ settings: Settings, host: String?) {
        let listen = settings.listen.first ?? "127.0.0.1:3000"
        let port = listen.split(separator: ":").last.map(String.init) ?? "3000"
        if let host {
            let hasPort = host.hasSuffix("]") ? false : host.contains(":") && !host.hasPrefix("[") || host.contains("]:")
            self.address = hasPort ? host : "\(host):\(port)"
        } else {
            self.address = Self.isEverywhere(listen) ? "127.0.0.1:\(port)" : listen
        }
        self.registries = settings.repositories.flatMap { repository in
            // Aliases of Docker Hub occur in no image's name that an engine would look up.
            repository.namespaces.prefix(repository.namespaces[0].description == "docker.io" ? 1 : .max).map { namespace in
                Registry(namespace: namespace, address: repository.upstream.description, isDefault: repository.isDefault)
            }
        }
    }

    /// Whether an address to listen on stands for all of the host's.
    static func isEverywhere(_ listen: String) -> Bool {
        ["0.0.0.0:", "[::]:", "*:", ":"].contains { listen.hasPrefix($0) }
    }
}
