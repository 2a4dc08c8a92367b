import OCI

/// k3s and RKE2, which write containerd's files themselves from this one.
///
/// Source: k3s, "Private Registry Configuration".
enum K3sClient {
    static let path = "/etc/rancher/k3s/registries.yaml"

    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let heading = ClientFile.heading(
            Self.path, then: "On every node, then: systemctl restart k3s, on agents: systemctl restart k3s-agent")
        let mirrors = server.registries.map { registry in
            """
              "\(registry.namespace)":
                endpoint:
                  - "\(server.url)"

            """
        }
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: Self.path, relativePath: "registries.yaml", text: "\(heading)mirrors:\n\(mirrors.joined())")
            ],
            notes: [
                "RKE2 reads /etc/rancher/rke2/registries.yaml.",
                "127.0.0.1 is each node itself; --host ADDRESS names the one that has Amargo.",
            ])
    }
}
