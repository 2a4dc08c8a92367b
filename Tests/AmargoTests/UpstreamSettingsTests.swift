import Foundation
import PullThrough
import TestSupport
import Testing
import Upstream

@testable import amargo

/// What `repositories.NAME` says of how a registry is reached.
struct UpstreamSettingsTests {
    private static func connection(_ lines: String...) throws -> (UpstreamSettings, Settings) {
        let text = "repositories:\n  docker:\n" + lines.map { "    \($0)\n" }.joined()
        let settings = try ConfigurationFileTests.read(text)
        return (try #require(settings.repositories.first { $0.name == "docker" }).connection, settings)
    }

    @Test("every key has its place")
    func reads() throws {
        let (connection, settings) = try Self.connection(
            "mirrors: [https://one.example.com, \"http://two.example.com:81/x\"]",
            "credentials: { username: me, password: canary-password }", "authHosts: [auth.example.com, \"other:5001\"]",
            "ca: ca.pem", "certificate: /c.pem", "key: /k.pem", "proxy: http://u:canary-proxy@proxy:3128", "connectTimeout: 3",
            "answerTimeout: 1m", "stallTimeout: 20s", "connections: 12", "allow: library/*", "deny: [a/**, b]",
            "bandwidthLimit: 20MB",
            "staleOn: [network, notFound]", "finishAbandoned: false")
        #expect(connection.mirrors.map(\.description) == ["https://one.example.com", "http://two.example.com:81/x"])
        #expect(connection.credentials == .password(Credential(username: "me", secret: .password("canary-password"))))
        #expect(connection.authHosts == ["auth.example.com", "other:5001"])
        #expect(connection.authorities == "/etc/ca.pem", "below the folder of the file")
        #expect(connection.certificate == "/c.pem")
        #expect(connection.key == "/k.pem")
        #expect(connection.proxy == ProxyRules.Server("http://u:canary-proxy@proxy:3128").map { .server($0) })
        #expect(connection.connectTimeout == 3)
        #expect(connection.answerTimeout == 60)
        #expect(connection.stallTimeout == 20)
        #expect(connection.connections == 12)
        #expect(connection.access.allowed.map(\.description) == ["library/*"])
        #expect(connection.access.denied.map(\.description) == ["a/**", "b"])
        #expect(connection.bandwidthLimit == 20_000_000)
        #expect(connection.stalePolicy.served == [.network, .notFound])
        #expect(!connection.finishAbandoned)
        let printed = EffectiveConfiguration(settings: settings).text
        #expect(!printed.contains("canary"))
        #expect(printed.contains("proxy: http://proxy:3128"))
        #expect(printed.contains("# /etc/amargo.yaml, line 4"))
    }

    @Test(
        "what cannot be meant is refused with its line, and without the secret",
        arguments: [
            ("mirrors: [nonsense]", "must be addresses"),
            ("mirrors: [\"https://u:canary@m.example\"]", "without a name and a password"),
            ("upstream: https://u:canary@m.example", "without a name and a password"),
            ("authHosts: [\"u:canary@m.example\"]", "without a name and a password"),
            ("credentials: { password: canary }", "need a username"),
            ("credentials: { username: a }", "need either a password or a passwordFile"),
            ("credentials: { username: a, password: canary, passwordFile: b }", "need either"),
            ("credentials: { username: \"a:b\", password: canary }", "without a colon"),
            ("credentials: { username: a, dockerConfig: b }", "stands alone"),
            ("credentials: { usrname: a }", "did you mean repositories.docker.credentials.username?"),
            ("authHosts: [\"https://a\"]", "must be hosts"), ("authHosts: [\"a/b\"]", "must be hosts"),
            ("key: a", "needs a certificate"),
            ("proxy: socks5://u:canary@p", "must be http://"), ("connections: 0", "from 1 to 4096"),
            ("connectTimeout: 0", "more than nothing"),
            ("allow: [\"A B\"]", "must be repositories"), ("bandwidthLimit: fast", "must be a size"),
            ("staleOn: [netwrok]", "did you mean network?"),
        ])
    func refuses(_ line: String, _ words: String) throws {
        let error = #expect(throws: SettingsError.self) { try Self.connection(line) }
        let text = "\(try #require(error))"
        #expect(text.contains("line 3") && text.contains(words), "\(text)")
        #expect(!text.contains("canary"))
    }

    @Test("files that are wanted and not there are named before anything is served")
    func missingFiles() throws {
        for line in [
            "ca: /no/ca.pem", "credentials: { username: a, passwordFile: /no/secret }",
            "credentials: { dockerConfig: /no/config }",
        ] {
            let (_, settings) = try Self.connection(line)
            let error = #expect(throws: SettingsError.self) { try settings.upstreams(environment: [:]) }
            #expect("\(try #require(error))".contains("repositories.docker: /no/"))
        }
    }

    @Test("a name and a password of the environment win over the file, and belong together")
    func environment() throws {
        let folder = try TemporaryDirectory()
        let file = folder.path("amargo.yaml")
        let text =
            "repositories:\n  my-own.one:\n    upstream: https://r.example.com\n    credentials: { username: a, password: b }\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        func load(_ environment: [String: String]) throws -> Settings {
            try SettingsLoader(try StoreOptions.parse(["--config", file]), environment: environment).load().settings
        }
        let settings = try load(["AMARGO_MY_OWN_ONE_USERNAME": "x", "AMARGO_MY_OWN_ONE_PASSWORD": "y"])
        let connection = try #require(settings.repositories.last).connection
        #expect(connection.credentials == .password(Credential(username: "x", secret: .password("y"))))
        #expect(throws: SettingsError.self) { try load(["AMARGO_MY_OWN_ONE_USERNAME": "x"]) }
    }

    @Test("Docker Hub's token service is known; a malformed proxy variable is named")
    func builtIns() throws {
        let settings = try Settings(storePath: "/x")
        let upstreams = try settings.upstreams(environment: ["HTTPS_PROXY": "http://proxy:1"])
        #expect(upstreams["docker"]?.authHosts == ["auth.docker.io"])
        let error = #expect(throws: SettingsError.self) { try settings.upstreams(environment: ["HTTPS_PROXY": "socks5://p"]) }
        #expect("\(try #require(error))".contains("HTTPS_PROXY"))
    }
}
