import OCI
import Testing

@testable import amargo

/// The engines' files, as their own documentation wants them.
@Suite struct ClientConfigurationTests {
    private static func server(listen: String = "127.0.0.1:3000", host: String? = nil) throws -> ClientServer {
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
              lab:
                upstream: http://10.0.0.7:5000
                namespaces: ["registry.lab:5000"]
            """
        try ConfigurationFile(path: "test.yaml").apply(configuration, to: &settings)
        return ClientServer(settings, host: host)
    }

    private static func text(_ engine: ClientEngine, _ server: ClientServer) -> String {
        engine.configuration(for: server).files.map(\.text).joined(separator: "---\n")
    }

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
        ] as [(String, String?, String)])
    func address(_ listen: String, _ host: String?, _ expected: String) throws {
        #expect(try Self.server(listen: listen, host: host).address == expected)
    }

    @Test("docker: registry-mirrors")
    func docker() throws {
        #expect(
            Self.text(.docker, try Self.server()) == """
                {
                  "registry-mirrors": ["http://127.0.0.1:3000"]
                }

                """)
        #expect(
            Self.text(.dockerDesktop, try Self.server()) == """
                {
                  "registry-mirrors": ["http://host.docker.internal:3000"]
                }

                """)
    }

    @Test("containerd: a hosts.toml a registry, each at the root, with the registry itself behind")
    func containerd() throws {
        let configuration = ClientEngine.containerd.configuration(for: try Self.server())
        #expect(configuration.files.map(\.relativePath) == ["docker.io/hosts.toml", "registry.lab:5000/hosts.toml"])
        #expect(
            configuration.files[0].text == """
                # docker.io by way of Amargo, and directly when Amargo cannot help.
                server = "https://registry-1.docker.io"

                [host."http://127.0.0.1:3000"]
                  capabilities = ["pull", "resolve"]

                """)
        #expect(configuration.files[1].text.contains("server = \"http://10.0.0.7:5000\""))
    }

    @Test("podman: mirrors behind this server's name, plain HTTP allowed")
    func podman() throws {
        #expect(
            Self.text(.podman, try Self.server()) == """
                # Registries by way of Amargo, and directly when Amargo cannot help.
                # Names without a registry mean Docker Hub.
                unqualified-search-registries = ["docker.io"]

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
                location = "127.0.0.1:3000/registry.lab:5000"
                insecure = true

                """)
    }

    @Test("buildkit, k3s and kaniko: the root, the root, the name in front")
    func others() throws {
        let server = try Self.server()
        #expect(
            Self.text(.buildkit, server) == """
                # Registries by way of Amargo, and directly when Amargo cannot help.
                [registry."docker.io"]
                  mirrors = ["127.0.0.1:3000"]

                [registry."registry.lab:5000"]
                  mirrors = ["127.0.0.1:3000"]

                [registry."127.0.0.1:3000"]
                  http = true

                """)
        #expect(
            Self.text(.k3s, server) == """
                # Registries by way of Amargo, and directly when Amargo cannot help.
                mirrors:
                  "docker.io":
                    endpoint:
                      - "http://127.0.0.1:3000"
                  "registry.lab:5000":
                    endpoint:
                      - "http://127.0.0.1:3000"

                """)
        #expect(
            Self.text(.kaniko, server) == """
                --registry-map=index.docker.io=127.0.0.1:3000/docker.io
                --registry-map=registry.lab:5000=127.0.0.1:3000/registry.lab:5000
                --insecure-registry=127.0.0.1:3000
                --insecure-pull

                """)
    }
}
