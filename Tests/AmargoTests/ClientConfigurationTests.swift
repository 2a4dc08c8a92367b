import OCI
import Testing

@testable import amargo

/// The engines' files to the letter, for Docker Hub and a registry with a port.
@Suite struct ClientConfigurationTests {
    /// - Parameter lab: the second registry's keys.
    private static func server(
        listen: String = "127.0.0.1:3000", host: String? = nil, lab: String = #"namespaces: ["registry.lab:5000"]"#
    ) throws -> ClientServer {
        var settings = try Settings(storePath: "/store")
        let configuration = """
            server: {listen: "\(listen)"}
            repositories:
              ghcr: false
              quay: false
              kubernetes: false
              gcr: false
              mcr: false
              ecr-public: false
              lab: {upstream: "http://10.0.0.7:5000", \(lab)}
            """
        try ConfigurationFile(path: "test.yaml").apply(configuration, to: &settings)
        return try ClientServer(settings, host: host)
    }

    private static func text(_ engine: ClientEngine, _ server: ClientServer) throws -> String {
        try engine.configuration(for: server).files.map(\.text).joined(separator: "---\n")
    }

    private static let twoNames = #"namespaces: ["registry.lab:5000", "registry.lab"]"#

    @Test(
        "the address is the one that clients can use",
        arguments: [
            ("127.0.0.1:3000", nil, "127.0.0.1:3000"),
            ("0.0.0.0:3001", nil, "127.0.0.1:3001"),
            ("[::]:3001", nil, "127.0.0.1:3001"),
            ("[::1]:3001", nil, "[::1]:3001"),
            ("0.0.0.0:3001", "cache.lan", "cache.lan:3001"),
            ("0.0.0.0:3001", "cache.lan:80", "cache.lan:80"),
            ("0.0.0.0:3001", "[fd00::1]", "[fd00::1]:3001"),
            ("0.0.0.0:3001", "[fd00::1]:80", "[fd00::1]:80"),
            ("0.0.0.0:3001", "fd00::1", "[fd00::1]:3001"),
        ] as [(String, String?, String)])
    func address(_ listen: String, _ host: String?, _ expected: String) throws {
        #expect(try Self.server(listen: listen, host: host).address == expected)
    }

    @Test(
        "what is no host is refused",
        arguments: [
            "", ":3000", "0.0.0.0", "[::]", "http://cache.lan", "cache.lan/docker.io", "cache.lan:", "cache.lan:http",
            "cache.lan:80:80", "cache lan", "cache\"lan", "cache_1",
        ])
    func noHost(_ host: String) {
        #expect(throws: SettingsError.self) { try Self.server(host: host) }
    }

    @Test("a port that the kernel chooses is no address for clients, until they are told one")
    func noPort() throws {
        #expect(throws: SettingsError.self) { try Self.server(listen: "127.0.0.1:0") }
        #expect(try Self.server(listen: "127.0.0.1:0", host: "127.0.0.1:3000").address == "127.0.0.1:3000")
    }

    @Test("docker: registry-mirrors, and nothing that is not JSON")
    func docker() throws {
        #expect(
            try Self.text(.docker, Self.server()) == """
                {
                  "registry-mirrors": ["http://127.0.0.1:3000"]
                }

                """)
    }

    @Test("docker-desktop: the host as its virtual machine calls it, unless another is named")
    func dockerDesktop() throws {
        #expect(
            try Self.text(.dockerDesktop, Self.server(listen: "0.0.0.0:3001")) == """
                {
                  "registry-mirrors": ["http://host.docker.internal:3001"]
                }

                """)
        #expect(
            try Self.text(.dockerDesktop, Self.server(host: "cache.lan")) == """
                {
                  "registry-mirrors": ["http://cache.lan:3000"]
                }

                """)
    }

    @Test("docker is not sent to a mirror whose default is not Docker Hub", arguments: [ClientEngine.docker, .dockerDesktop])
    func otherDefault(_ engine: ClientEngine) throws {
        let server = try Self.server(lab: "default: true")
        #expect(throws: SettingsError.self) { try engine.configuration(for: server) }
    }

    @Test("containerd: a hosts.toml a registry, each at the root, with the registry itself behind")
    func containerd() throws {
        let configuration = try ClientEngine.containerd.configuration(for: Self.server())
        #expect(configuration.files.map(\.relativePath) == ["docker.io/hosts.toml", "registry.lab:5000/hosts.toml"])
        #expect(
            configuration.files.map(\.text) == [
                """
                # /etc/containerd/certs.d/docker.io/hosts.toml
                # Read at each pull; nothing has to be restarted.
                # docker.io by way of Amargo, and directly when Amargo cannot help.

                server = "https://registry-1.docker.io"

                [host."http://127.0.0.1:3000"]
                  capabilities = ["pull", "resolve"]
                  dial_timeout = "1s"

                """,
                """
                # /etc/containerd/certs.d/registry.lab:5000/hosts.toml
                # Read at each pull; nothing has to be restarted.
                # registry.lab:5000 by way of Amargo, and directly when Amargo cannot help.

                server = "http://10.0.0.7:5000"

                [host."http://127.0.0.1:3000"]
                  capabilities = ["pull", "resolve"]
                  dial_timeout = "1s"

                """,
            ])
    }

    @Test("podman: mirrors behind this server's name; a port there goes by the registry's other name")
    func podman() throws {
        #expect(
            try Self.text(.podman, Self.server(lab: Self.twoNames)) == """
                # /etc/containers/registries.conf.d/amargo.conf
                # podman, buildah and skopeo read it at each call; CRI-O: systemctl restart crio
                # Registries by way of Amargo, and directly when Amargo cannot help.

                [[registry]]
                prefix = "docker.io"
                location = "docker.io"

                [[registry.mirror]]
                location = "127.0.0.1:3000/docker.io"
                insecure = true

                [[registry]]
                prefix = "registry.lab:5000"
                location = "registry.lab:5000"

                [[registry.mirror]]
                location = "127.0.0.1:3000/registry.lab"
                insecure = true

                [[registry]]
                prefix = "registry.lab"
                location = "registry.lab"

                [[registry.mirror]]
                location = "127.0.0.1:3000/registry.lab"
                insecure = true

                """)
    }

    @Test("podman: a registry that only has a name with a port is left alone, unless it is the default")
    func podmanPort() throws {
        #expect(
            try Self.text(.podman, Self.server()) == """
                # /etc/containers/registries.conf.d/amargo.conf
                # podman, buildah and skopeo read it at each call; CRI-O: systemctl restart crio
                # Registries by way of Amargo, and directly when Amargo cannot help.

                [[registry]]
                prefix = "docker.io"
                location = "docker.io"

                [[registry.mirror]]
                location = "127.0.0.1:3000/docker.io"
                insecure = true

                # registry.lab:5000 is not here: its port cannot stand behind "127.0.0.1:3000/". Give it one more name in
                # Amargo's configuration, without a port: namespaces: ["registry.lab:5000", "registry.example"]

                """)
        let own = try Self.text(.podman, Self.server(lab: #"namespaces: ["registry.lab:5000"], default: true"#))
        #expect(own.contains("prefix = \"registry.lab:5000\"\n"))
        #expect(own.contains("location = \"127.0.0.1:3000\"\n"))
    }

    @Test("buildkit: mirrors at the root, which speaks plain HTTP")
    func buildKit() throws {
        #expect(
            try Self.text(.buildkit, Self.server()) == """
                # /etc/buildkit/buildkitd.toml
                # Then restart buildkitd, or make a builder with it: docker buildx create --use --config FILE
                # Registries by way of Amargo, and directly when Amargo cannot help.

                [registry."docker.io"]
                  mirrors = ["127.0.0.1:3000"]

                [registry."registry.lab:5000"]
                  mirrors = ["127.0.0.1:3000"]

                [registry."127.0.0.1:3000"]
                  http = true

                """)
    }

    @Test("k3s: endpoints at the root")
    func k3s() throws {
        #expect(
            try Self.text(.k3s, Self.server()) == """
                # /etc/rancher/k3s/registries.yaml
                # On every node, then: systemctl restart k3s, on agents: systemctl restart k3s-agent
                # Registries by way of Amargo, and directly when Amargo cannot help.
                mirrors:
                  "docker.io":
                    endpoint:
                      - "http://127.0.0.1:3000"
                  "registry.lab:5000":
                    endpoint:
                      - "http://127.0.0.1:3000"

                """)
    }

    @Test("kaniko: a map for each registry; this server's name once more, where a prefix would be taken for the host")
    func kaniko() throws {
        #expect(
            try Self.text(.kaniko, Self.server(lab: Self.twoNames)) == """
                --registry-map=index.docker.io=127.0.0.1:3000
                --registry-map=registry.lab:5000=127.0.0.1:3000/127.0.0.1:3000/registry.lab
                --registry-map=registry.lab=127.0.0.1:3000/127.0.0.1:3000/registry.lab
                --insecure-registry=127.0.0.1:3000

                """)
        #expect(
            try Self.text(.kaniko, Self.server()) == """
                --registry-map=index.docker.io=127.0.0.1:3000
                --insecure-registry=127.0.0.1:3000

                """)
    }

    @Test("of Docker Hub's names only the one that images are named by occurs", arguments: ClientEngine.allCases)
    func aliases(_ engine: ClientEngine) throws {
        let text = try Self.text(engine, Self.server(host: "cache.lan"))
        #expect(!text.contains("\"index.docker.io\""))
        #expect(!text.contains("\"registry-1.docker.io\""))
    }
}
