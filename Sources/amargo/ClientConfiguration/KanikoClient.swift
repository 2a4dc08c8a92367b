import OCI

/// kaniko, which is told by flags.
///
/// A mapping is `registry=host/prefix`; kaniko puts the prefix in front of the repository's name and reads the result as
/// a reference. A prefix with a dot in its first component, such as `ghcr.io`, would become the host and lead past this
/// server, so the server's own address comes first once more.
/// Source: kaniko, pkg/image/remote, and go-containerregistry's name.NewRepository.
enum KanikoClient {
    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let mappings = server.registries.compactMap { registry -> String? in
            // kaniko knows Docker Hub by the name that it dials.
            let name = registry.isDockerHub ? "index.docker.io" : registry.namespace.description
            if registry.isDefault { return "--registry-map=\(name)=\(server.address)" }
            // kaniko ends with an error when there is a port in the prefix.
            return registry.pathName.map { "--registry-map=\(name)=\(server.address)/\(server.address)/\($0)" }
        }
        // Not --insecure-pull: it would allow plain HTTP to the registries themselves, too.
        let flags = mappings + ["--insecure-registry=\(server.address)"]
        let absent = server.registries.filter { !$0.isDefault && $0.pathName == nil }.map(\.namespace)
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: "the executor's arguments", relativePath: "kaniko-flags", text: flags.joined(separator: "\n") + "\n")
            ],
            notes: [
                "Add these to the executor's arguments.",
                "The executor runs in a container: --host must name an address that it can reach.",
            ]
                + absent.map {
                    "\($0) is not among them: give it one more name in Amargo's configuration, without a port"
                })
    }
}
