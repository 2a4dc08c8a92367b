import OCI

/// k3s and RKE2, which write containerd's files themselves from this one.
///
/// Source: k3s, "Private Registry Configuration".
enum K3sClient {
    static func configuration(for server: ClientServer) -> ClientConfiguration {
        let mirrors = server.registries.map { registry in
            """
              "\(registry.namespace)":
                endpoint:
                  - "\(server.url)"

            """
        }.joined()
        return ClientConfiguration(
            files: [
                ClientFile(
                    path: "/etc/rancher/k3s/registries.yaml", relativePath: "registries.yaml",
                    text: "# Registries by way of Amargo, and directly when Amargo cannot help.\nmirrors:\n\(mirrors)")
            ],
            notes: [
                "On every node, then: systemctl restart k3s (or k3s-agent)",
                "RKE2 reads /etc/rancher/rke2/registries.yaml. 127.0.0.1 is each node itself: --host ADDRESS names another.",
            ])
    }
}
