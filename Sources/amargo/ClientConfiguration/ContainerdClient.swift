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
                "No restart is needed, but /etc/containerd/config.toml must name the folder, once:",
                "  [plugins.\"io.containerd.grpc.v1.cri\".registry]",
                "    config_path = \"\(Self.folder)\"",
                "Save all files at once: amargo client-config containerd --output \(Self.folder)",
                "ctr and nerdctl take the folder with --hosts-dir \(Self.folder)",
            ])
    }

    private static func hosts(_ registry: ClientServer.Registry, _ server: ClientServer) -> String {
        """
        # \(registry.namespace) by way of Amargo, and directly when Amargo cannot help.
        server = "\(registry.address)"

        [host."\(server.url)"]
          capabilities = ["pull", "resolve"]

        """
    }
}
