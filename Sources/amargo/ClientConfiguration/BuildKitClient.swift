import OCI

/// BuildKit's daemon: mirrors at this server's root; it sends `ns=` as containerd does.
///
/// Source: buildkit, docs/buildkitd.toml.md.
enum BuildKitClient {
    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let mirrors = server.registries.map { registry in
            """
            [registry."\(registry.namespace)"]
              mirrors = ["\(server.address)"]

            """
        }.joined(separator: "\n")
        let text = """
            # Registries by way of Amargo, and directly when Amargo cannot help.
            \(mirrors)
            [registry."\(server.address)"]
              http = true

            """
        return ClientConfiguration(
            files: [ClientFile(path: "/etc/buildkit/buildkitd.toml", relativePath: "buildkitd.toml", text: text)],
            notes: [
                "Restart buildkitd, or make a builder with it: docker buildx create --use --config buildkitd.toml",
                "A builder in a container needs an address that it can reach: --host ADDRESS",
            ])
    }
}
