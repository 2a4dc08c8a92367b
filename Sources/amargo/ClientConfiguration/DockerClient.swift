import OCI

/// Docker Engine and Docker Desktop: `registry-mirrors`, which they use for Docker Hub alone.
///
/// The file is JSON, which has no comments: where it goes is in the notes.
enum DockerClient {
    static func configuration(for server: ClientServer) throws -> ClientConfiguration {
        try Self.expectDockerHub(server)
        return ClientConfiguration(
            files: [ClientFile(path: "/etc/docker/daemon.json", relativePath: "daemon.json", text: Self.daemon(server.url))],
            notes: [
                "/etc/docker/daemon.json: merge it with what is there, then: systemctl restart docker",
                "Docker uses mirrors for Docker Hub alone. Other registries' images: docker pull \(server.address)/ghcr.io/org/app:tag",
            ] + Self.insecureNote(server))
    }

    static func desktopConfiguration(for server: ClientServer) throws -> ClientConfiguration {
        try Self.expectDockerHub(server)
        let url = server.isChosen ? server.url : "http://host.docker.internal:\(server.port)"
        return ClientConfiguration(
            files: [ClientFile(path: "Docker Desktop", relativePath: "daemon.json", text: Self.daemon(url))],
            notes: [
                "Docker Desktop, Settings, Docker Engine: merge it with what is there, then: Apply & restart",
                "The engine runs in a virtual machine: start Amargo with --listen 0.0.0.0:\(server.port)",
            ])
    }

    private static func daemon(_ url: String) -> String {
        """
        {
          "registry-mirrors": [\(JSONText.quoted(url))]
        }

        """
    }

    /// Docker asks a mirror for `library/nginx` and means Docker Hub's; another default would answer with its own.
    private static func expectDockerHub(_ server: ClientServer) throws {
        guard server.dockerHub?.isDefault == true else {
            let other = server.registries.first(where: \.isDefault).map { "\($0.namespace)" } ?? "nothing"
            throw SettingsError(
                """
                Docker asks its mirrors for Docker Hub's images without naming Docker Hub, and names without a registry mean \
                \(other) here; make the repository of docker.io the default
                """)
        }
    }

    /// Docker takes plain HTTP for granted on loopback only, when an image's name begins with the server.
    private static func insecureNote(_ server: ClientServer) -> [String] {
        guard !server.address.hasPrefix("127."), !server.address.hasPrefix("localhost:") else { return [] }
        return ["For those add \"insecure-registries\": [\(JSONText.quoted(server.address))] as well."]
    }
}
