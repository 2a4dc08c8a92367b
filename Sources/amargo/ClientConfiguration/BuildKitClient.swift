import OCI

/// BuildKit's daemon: mirrors at this server's root; it sends `ns=` as containerd does.
///
/// `http` alone: with `insecure` as well it tries TLS before each request.
/// Source: buildkit, docs/buildkitd.toml.md and util/resolver.
enum BuildKitClient {
    static let path = "/etc/buildkit/buildkitd.toml"

    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let mirrors = server.registries.map { registry in
            """
            [registry."\(registry.namespace)"]
              mirrors = ["\(server.address)"]

            """
        }
        let own = """
            [registry."\(server.address)"]
              http = true

            """
        let heading = ClientFile.heading(
            Self.path, then: "Then restart buildkitd, or make a builder with it: docker buildx create --use --config FILE")
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: Self.path, relativePath: "buildkitd.toml",
                    text: ([heading] + mirrors + [own]).joined(separator: "\n"))
            ],
            notes: ["A builder in a container needs an address that it can reach: --host ADDRESS"])
    }
}
