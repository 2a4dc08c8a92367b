import Testing

@testable import Upstream

/// As curl reads its proxy variables: https://everything.curl.dev/usingcurl/proxies/env.html
struct ProxyRulesTests {
    private static func rules(_ environment: [String: String]) throws -> ProxyRules { try ProxyRules(environment: environment) }

    @Test("each scheme has its own proxy, lower case wins, ALL_PROXY is for what has none")
    func variables() throws {
        let rules = try Self.rules([
            "HTTPS_PROXY": "http://upper:1", "https_proxy": "http://secure:3128", "ALL_PROXY": "http://all:3",
        ])
        #expect(rules.server(for: "ghcr.io", port: 443, isSecure: true)?.description == "http://secure:3128")
        #expect(rules.server(for: "ghcr.io", port: 80, isSecure: false)?.description == "http://all:3")
        let none = try Self.rules([:])
        #expect(none.server(for: "ghcr.io", port: 443, isSecure: true) == nil)
        #expect(try Self.rules(["HTTPS_PROXY": ""]).server(for: "ghcr.io", port: 443, isSecure: true) == nil)
    }

    @Test(
        "NO_PROXY: domains with all below them, ports, addresses, networks, and all",
        arguments: [
            ("example.com", "example.com", 443, true), ("example.com", "registry.example.com", 443, true),
            ("example.com", "notexample.com", 443, false), (".example.com", "a.example.com", 443, true),
            (".example.com", "example.com", 443, true), ("*.example.com", "a.example.com", 443, true),
            ("example.com:5000", "example.com", 5000, true), ("example.com:5000", "example.com", 443, false),
            ("10.0.0.0/8", "10.1.2.3", 443, true), ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("192.168.4.0/22", "192.168.7.255", 443, true), ("192.168.4.0/22", "192.168.8.0", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true), ("10.1.2.3", "10.1.2.30", 443, false),
            ("2001:db8::/32", "[2001:db8::5]", 443, true),
            ("2001:db8::/32", "[2001:db9::5]", 443, false), ("*", "anything.example", 443, true), ("", "example.com", 443, false),
            ("EXAMPLE.com", "example.COM", 443, true), ("a.com, example.com b.com", "example.com", 443, true),
            ("0.0.0.0/0", "8.8.8.8", 443, true), ("10.0.0.0/33", "10.0.0.0", 443, false),
        ] as [(String, String, Int, Bool)])
    func exceptions(_ list: String, _ host: String, _ port: Int, _ isDirect: Bool) throws {
        let rules = try Self.rules(["HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": list])
        #expect((rules.server(for: host, port: port, isSecure: true) == nil) == isDirect)
    }

    @Test("this machine is always asked directly", arguments: ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
    func loopback(_ host: String) throws {
        #expect(try Self.rules(["HTTP_PROXY": "http://proxy:1"]).server(for: host, port: 80, isSecure: false) == nil)
    }

    @Test("a name and a password in the address, percent-encoded, never printed")
    func credential() throws {
        let server = try #require(ProxyRules.Server("http://us%40er:p%3Aass@proxy.example:8080/"))
        #expect(server.host == "proxy.example")
        #expect(server.port == 8080)
        #expect(server.credential == Credential(username: "us@er", secret: .password("p:ass")))
        #expect("\(server)" == "http://proxy.example:8080")
        #expect(!String(reflecting: server).contains("p:ass"))
    }

    @Test("what is no proxy for plain HTTP is refused by the name of its variable, not by what it holds")
    func malformed() throws {
        for text in ["socks5://user:hunter2@proxy:1080", "https://user:hunter2@proxy", "http://user:hunter2@", "http://pro xy:1"]
        {
            let error = #expect(throws: ProxyRules.MalformedProxy.self) { try Self.rules(["https_proxy": text]) }
            #expect("\(try #require(error))".contains("https_proxy"))
            #expect(!"\(try #require(error))".contains("hunter2"))
        }
    }
}
