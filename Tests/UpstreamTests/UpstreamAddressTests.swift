import OCI
import Testing

@testable import Upstream

struct UpstreamAddressTests {
    @Test(
        "scheme, host and port",
        arguments: [
            ("https://registry-1.docker.io", true, "registry-1.docker.io", nil, "https://registry-1.docker.io"),
            ("https://registry-1.docker.io/", true, "registry-1.docker.io", nil, "https://registry-1.docker.io"),
            ("http://127.0.0.1:5000", false, "127.0.0.1", 5_000, "http://127.0.0.1:5000"),
            ("https://Registry.Example.COM:443/", true, "registry.example.com", 443, "https://registry.example.com:443"),
            ("http://localhost", false, "localhost", nil, "http://localhost"),
            ("http://my_registry:1", false, "my_registry", 1, "http://my_registry:1"),
            ("http://[::1]:65535", false, "[::1]", 65_535, "http://[::1]:65535"),
            ("https://[2001:db8::1]", true, "[2001:db8::1]", nil, "https://[2001:db8::1]"),
        ] as [(String, Bool, String, Int?, String)])
    func reads(_ text: String, _ isSecure: Bool, _ host: String, _ port: Int?, _ description: String) throws {
        let address = try #require(UpstreamAddress(text))
        #expect(address.isSecure == isSecure)
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.description == description)
    }

    @Test(
        "a path stands before /v2, unless it has /v2 itself; then names follow it, in scopes as well",
        arguments: [
            ("https://host", "https://host/v2/a/b/manifests/x", "a/b"),
            ("https://host/docker/remote/", "https://host/docker/remote/v2/a/b/manifests/x", "a/b"),
            ("https://host/v2", "https://host/v2/a/b/manifests/x", "a/b"),
            ("https://host/v2/proxy", "https://host/v2/proxy/a/b/manifests/x", "proxy/a/b"),
            ("https://host:1/x/v2/p/q", "https://host:1/x/v2/p/q/a/b/manifests/x", "p/q/a/b"),
        ])
    func paths(_ text: String, _ url: String, _ name: String) throws {
        let address = try #require(UpstreamAddress(text))
        let repository = try RepositoryName(parsing: "a/b")
        #expect(address.url(of: repository, "manifests/x") == url)
        #expect(address.name(of: repository) == name)
    }

    @Test(
        "anything more, or less, is no address",
        arguments: [
            "", "registry-1.docker.io", "https://", "https:///", "https:registry", "//host", "ftp://host", "file:///etc/passwd",
            "HTTPS://host", " https://host", "https://host ", "https://host\n", "https://host/../v2", "https://host//",
            "https://host/a//b", "https://host/a%2fb", "https://host/.", "https://host/a b",
            "https://host?x=1",
            "https://host#x", "https://user@host", "https://user:pass@host", "https://host:", "https://:5000", "https://host:0",
            "https://host:65536", "https://host:-1", "https://host:+1", "https://host:abc", "https://a:1:2", "https://::1",
            "https://[::1", "https://::1]", "https://[::1]x", "https://[::1]:", "https://[]", "https://[", "https://]",
            "https://host]", "https://ho[st", "https://x[::1]", "https://[[::1]]", "https://h\u{F6}st", "https://host%2f",
            "https://host\\x", "https://host\u{0}",
        ])
    func refuses(_ text: String) {
        #expect(UpstreamAddress(text) == nil)
    }
}
