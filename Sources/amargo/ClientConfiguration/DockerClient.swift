import OCI

/// Docker Engine and Docker Desktop: `registry-mirrors`, which they use for Docker Hub alone.
enum DockerClient {
    static func configuration(for server: ClientServer) -> ClientConfiguration {
        ClientConfiguration(
            files: [ClientFile(path: "/etc/docker/daemon.json", relativePath: "daemon.json", text: Self.daemon(server.url))],
            notes: [
                "Merge it with what is there, then: systemctl restart docker",
                "Docker uses mirrors for Docker Hub alone. Other registries' images: docker pull \(server.address)/ghcr.io/org/app:tag",
            ] + Self.insecureNote(server))
    }

    static func desktopConfiguration(for server: ClientServer) -> ClientConfiguration {
        let port = server.address.split(separator: ":").last.map(String.init) ?? "3000"
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: "Docker Desktop: Settings, Docker Engine", relativePath: "daemon.json",
                    text: Self.daemon("http://host.docker.internal:\(port)"))
            ],
            notes: [
                "Merge it with what is there, then: Apply & restart.",
                "The engine runs in a virtual machine: start Amargo with --listen 0.0.0.0:\(port).",
            ])
    }

    private static func daemon(_ url: String) -> String {
        """
        {
          "registry-mirrors": [\(JSONText.quoted(url))]
        }

        """
    }

    /// Docker takes plain HTTP for granted on loopback only, when an image's name begins with the server.
    private static func insecureNote(_ server: ClientServer) -> [String] {
        guard !server.address.hasPrefix("127."), !server.address.hasPrefix("localhost:") else { return [] }
        return ["For those add \"insecure-registries\": [\(JSONText.quoted(server.address))] as well."]
    }
}
