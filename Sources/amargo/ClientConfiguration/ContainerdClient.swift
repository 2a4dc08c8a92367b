import OCI

/// containerd and whatever uses its resolver: a `hosts.toml` a registry, all at this server's root; `ns=` says which is meant.
///
/// Source: containerd, docs/hosts.md.
enum ContainerdClient {
    static let folder = "/etc/containerd/certs.d"

    static func configuration(for server: ClientServer) -> ClientConfiguration {
        ClientConfiguration(
            files: server.registries.map { registry in
                let path = "\(registry.namespace)/hosts.toml"
                return ClientFile(path: "\(Self.folder)/\(path)", relativePath: path, text: Self.hosts(registry, server))
            },
            notes: [
                "Each registry has a folder of its own: amargo client-config containerd --output \(Self.folder)",
                "For Kubernetes /etc/containerd/config.toml must name the folder, once, then restart containerd:",
                "  [plugins.\"io.containerd.grpc.v1.cri\".registry]",
                "    config_path = \"\(Self.folder)\"",
                "ctr takes the folder with --hosts-dir \(Self.folder)",
            ])
    }

    /// Versions that do not know `dial_timeout` pass over it; to the others it says that a host of one's own answers soon or never.
    private static func hosts(_ registry: ClientServer.Registry, _ server: ClientServer) -> String {
        let heading = ClientFile.heading(
            "\(Self.folder)/\(registry.namespace)/hosts.toml", then: "Read at each pull; nothing has to be restarted.",
            what: "\(registry.namespace)")
        return """
            \(heading)
            server = "\(registry.address)"

            [host."\(server.url)"]
              capabilities = ["pull", "resolve"]
              dial_timeout = "1s"

            """
    }
}
