import OCI

/// kaniko, which is told by flags.
enum KanikoClient {
    static func configuration(for server: ClientServer) -> ClientConfiguration {
        var flags = server.registries.map { registry in
            // kaniko knows Docker Hub by the name that it dials.
            let name = registry.namespace.description == "docker.io" ? "index.docker.io" : registry.namespace.description
            return "--registry-map=\(name)=\(server.address)/\(registry.namespace)"
        }
        flags.append("--insecure-registry=\(server.address)")
        flags.append("--insecure-pull")
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: "the executor's arguments", relativePath: "kaniko-flags", text: flags.joined(separator: "\n") + "\n")
            ],
            notes: ["The executor runs in a container: --host must name an address that it can reach."])
    }
}
