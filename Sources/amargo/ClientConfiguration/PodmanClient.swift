import OCI

/// podman, buildah, skopeo and CRI-O: mirrors in a file of `registries.conf.d`, the registry's name behind this server's.
///
/// Source: containers-registries.conf(5).
enum PodmanClient {
    static let path = "/etc/containers/registries.conf.d/amargo.conf"

    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let heading = ClientFile.heading(
            Self.path, then: "podman, buildah and skopeo read it at each call; CRI-O: systemctl restart crio")
        let registries = server.registries.map { Self.registry($0, server) }
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: Self.path, relativePath: "amargo.conf", text: ([heading] + registries).joined(separator: "\n"))
            ],
            notes: ["For one user alone: ~/.config/containers/registries.conf.d/amargo.conf"])
    }

    private static func registry(_ registry: ClientServer.Registry, _ server: ClientServer) -> String {
        guard let mirror = Self.mirror(registry, server) else {
            // With a port in the middle of the name they refuse to pull at all, from wherever.
            return """
                # \(registry.namespace) is not here: its port cannot stand behind "\(server.address)/". Give it one more name in
                # Amargo's configuration, without a port: namespaces: ["\(registry.namespace)", "registry.example"]

                """
        }
        return """
            [[registry]]
            prefix = "\(registry.namespace)"
            location = "\(registry.namespace)"

            [[registry.mirror]]
            location = "\(mirror)"
            insecure = true

            """
    }

    private static func mirror(_ registry: ClientServer.Registry, _ server: ClientServer) -> String? {
        if let name = registry.pathName { return "\(server.address)/\(name)" }
        // Names without a registry mean this one.
        return registry.isDefault ? server.address : nil
    }
}
