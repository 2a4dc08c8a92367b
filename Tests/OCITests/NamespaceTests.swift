import OCI
import Testing

struct NamespaceTests {
    @Test(
        "hosts as image references name them",
        arguments: [
            "docker.io", "ghcr.io", "registry-1.docker.io", "public.ecr.aws", "localhost", "localhost:5000", "myhost:5000",
            "registry.local:5000", "127.0.0.1", "127.0.0.1:3000", "a.b", "xn--bcher-kva.example", "a.b:65535",
            String(repeating: "a", count: 63) + ".b",
        ])
    func accepts(_ text: String) throws {
        #expect(try Namespace(parsing: text).description == text)
    }

    @Test(
        "a text that is no host, or could be the first part of a name, is none",
        arguments: [
            "", "docker", "library", "localhosts", ".", "..", ":", ":5000", "docker.io:", "docker.io:abc", "docker.io:123456",
            "docker.io:-1", "docker.io:+1", "docker.io:5000:1", "Docker.io", "DOCKER.IO", ".docker.io", "docker.io.",
            "docker..io",
            "-docker.io", "docker-.io", "docker.io-", "docker.-io", "docker_hub.io", "docker.io/library", "https://docker.io",
            "user@docker.io", "docker.io?x", "docker io.x", "docker.io\n", "docker.io\u{0}", "docker%2eio", "[::1]", "[::1]:5000",
            "::1", "dócker.io", "docker\u{3002}io", String(repeating: "a", count: 64) + ".b",
            String(repeating: "abc.", count: 64) + "io",
        ])
    func refuses(_ text: String) {
        let error = #expect(throws: ReferenceError.self) { try Namespace(parsing: text) }
        #expect(error?.code == .invalidNamespace)
    }

    @Test(
        "what looks like a host",
        arguments: [
            ("docker.io", true), ("localhost", true), ("a:1", true), ("..", true), ("library", false), ("localhosts", false),
            ("a-b", false), ("", false),
        ])
    func looksLikeHost(_ text: String, _ expected: Bool) {
        #expect(Namespace.looksLikeHost(text) == expected)
    }
}
