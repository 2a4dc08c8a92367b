import OCI

/// podman, buildah, skopeo and CRI-O: mirrors in a file of `registries.conf.d`, the registry's name behind this server's.
///
/// Source: containers-registries.conf(5).
enum PodmanClient {
    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let registries = server.registries.map { Self.registry($0, server) }.joined(separator: "\n")
        let search =
            server.dockerHub == nil
            ? "" : "# Names without a registry mean Docker Hub.\nunqualified-search-registries = [\"docker.io\"]\n\n"
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: "/etc/containers/registries.conf.d/amargo.conf", relativePath: "amargo.conf",
                    text: "# Registries by way of Amargo, and directly when Amargo cannot help.\n\(search)\(registries)")
            ],
            notes: [
                "podman, buildah and skopeo read it at each call; CRI-O: systemctl restart crio",
                "For one user alone: ~/.config/containers/registries.conf.d/amargo.conf",
            ])
    }

    private static func registry(_ registry: ClientServer.Registry, _ server: ClientServer) -> String {
        """
        [[registry]]
        prefix = "\(registry.namespace)"
        location = "\(registry.namespace)"

        [[registry.mirror]]
        location = "\(server.address)/\(registry.namespace)"
        insecure = true

        """
    }
}
