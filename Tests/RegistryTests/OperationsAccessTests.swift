import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// Who may see the inside of the process, by where a request comes from and whom it asks.
struct OperationsAccessTests {
    private static func access(_ names: [String] = []) -> OperationsAccess {
        var configuration = RegistryConfiguration(version: "test")
        configuration.hostNames = names
        return OperationsAccess(configuration)
    }

    private static func request(host: String?) -> HTTPRequestHead {
        HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/", headers: HTTPHeaders(host.map { [("host", $0)] } ?? []))
    }

    @Test(
        "addresses and names that nobody else can own lead here",
        arguments: [
            "127.0.0.1", "127.0.0.1:3000", "192.168.1.5:3000", "[::1]:3000", "[::1]", "localhost", "localhost:3000",
            "LOCALHOST:3000", "amargo.localhost:3000", "nas", "nas:3000", "cache.lan:3000", "Cache.LAN", "",
        ])
    func ours(_ host: String) {
        #expect(Self.access(["cache.lan"]).isOurs(host))
    }

    @Test(
        "A: DNS rebinding: a name that a page from elsewhere may have is refused, although the request comes from this host",
        arguments: [
            "evil.example", "evil.example:3000", "127.0.0.1.evil.example:3000", "localhost.evil.example", "evil.localhost.",
            "notcache.lan", "cache.lan.evil.example", "1.2.3.x", "localhost.",
        ])
    func others(_ host: String) throws {
        let access = Self.access(["cache.lan"])
        #expect(!access.isOurs(host))
        for route in [Route.health, .ready, .dashboard(.page), .dashboard(.live)] {
            let refusal = try #require(access.refusal(route, Self.request(host: host), isLocal: true))
            #expect(refusal.status == .misdirectedRequest)
        }
    }

    @Test("without a Host nobody is misled: HTTP/1.0 has none")
    func none() {
        #expect(Self.access().refusal(.health, Self.request(host: nil), isLocal: true) == nil)
    }

    @Test("another host gets nothing, and a person there is told what to do")
    func remote() throws {
        let refusal = try #require(Self.access().refusal(.dashboard(.page), Self.request(host: "10.0.0.5:8080"), isLocal: false))
        #expect(refusal.status == .notFound)
        let text = try #require(refusal.text)
        #expect(text.contains("http://127.0.0.1:8080/"))
        #expect(text.contains("ssh -L 8080:127.0.0.1:8080"))
        #expect(text.contains("server.operations: all"))
        let other = try #require(Self.access().refusal(.dashboard(.live), Self.request(host: "10.0.0.5"), isLocal: false))
        #expect(other.text == nil)
    }

    @Test(
        "what a proxy on this host passes on is from elsewhere",
        arguments: ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
    func passedOn(_ field: String) throws {
        var request = Self.request(host: "127.0.0.1:3000")
        #expect(Self.access().refusal(.health, request, isLocal: true) == nil)
        request.headers.add(name: field, value: "203.0.113.7")
        for route in [Route.health, .ready, .dashboard(.page), .dashboard(.live)] {
            #expect(try #require(Self.access().refusal(route, request, isLocal: true)).status == .notFound)
        }
    }

    @Test("with server.operations: all everybody may look, by whatever name")
    func all() {
        var configuration = RegistryConfiguration(version: "test")
        configuration.operations = .all
        let access = OperationsAccess(configuration)
        #expect(access.refusal(.dashboard(.page), Self.request(host: "cache.example.com"), isLocal: false) == nil)
    }
}
