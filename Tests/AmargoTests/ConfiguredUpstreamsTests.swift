import Logging
import NIOPosix
import OCI
import PullThrough
import TestSupport
import Testing
import Upstream

@testable import amargo

/// Which clients a reload keeps, and when the others are shut down.
struct ConfiguredUpstreamsTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Bindings in force, which a text after another replaces.
    private struct Lab {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let upstreams: ConfiguredUpstreams

        init(_ text: String) throws {
            let asking = UpstreamBindings.Asking(group: self.group, connections: 8, logger: quiet)
            let (settings, prepared) = try Self.read(text)
            self.upstreams = ConfiguredUpstreams(UpstreamBindings(settings, prepared, asking), logger: quiet)
        }

        private static func read(_ text: String) throws -> (Settings, [String: UpstreamConfiguration]) {
            var settings = try Settings(storePath: "/var/lib/amargo")
            try ConfigurationFile(path: "amargo.yaml").apply(text, to: &settings)
            return (settings, try settings.upstreams(environment: [:]))
        }

        func reload(_ text: String) throws -> [String] {
            let asking = UpstreamBindings.Asking(group: self.group, connections: 8, logger: quiet)
            let (settings, prepared) = try Self.read(text)
            return self.upstreams.replace { UpstreamBindings(settings, prepared, asking, keeping: $0) }
        }

        /// The binding for a name as a client writes it.
        func binding(_ path: Substring) throws -> UpstreamBinding { try self.upstreams.directory.route(path, ns: nil).upstream }

        func end() async throws {
            await self.upstreams.shutdown()
            try await self.group.shutdownGracefully()
        }
    }

    @Test("what did not change is the same binding; what the cache makes of it changes with the same client")
    func kept() async throws {
        let lab = try Lab("repositories: {lab: {upstream: \"https://lab.example\", bandwidthLimit: 1MB}}")
        let before = try lab.binding("lab.example/a")
        let hub = try lab.binding("library/nginx")
        #expect(try lab.reload("repositories: {lab: {upstream: \"https://lab.example\", bandwidthLimit: 1000000}}") == [])
        #expect(try lab.binding("lab.example/a") === before)
        #expect(
            try lab.reload(
                """
                repositories:
                  lab:
                    upstream: https://lab.example
                    bandwidthLimit: 1MB
                    cacheTtl: 60
                    deny: ["secret/*"]
                    staleOn: [network]
                    finishAbandoned: false
                    namespaces: [lab.example, other.example]
                """) == [])
        let after = try lab.binding("other.example/a")
        #expect(after !== before)
        #expect(after.client === before.client)
        #expect(after.cacheTtl == .seconds(60))
        #expect(!after.finishAbandoned)
        #expect(try lab.binding("library/nginx") === hub)
        #expect(lab.upstreams.retiredCount == 0)
        try await lab.end()
    }

    @Test(
        "whatever changes how a registry is asked makes a new client",
        arguments: [
            "upstream: \"https://other.example\"", "upstream: \"https://lab.example\", mirrors: [\"https://near.example\"]",
            "upstream: \"https://lab.example\", credentials: {username: a, password: b}",
            "upstream: \"https://lab.example\", authHosts: [auth.example]", "upstream: \"https://lab.example\", proxy: none",
            "upstream: \"https://lab.example\", connections: 3", "upstream: \"https://lab.example\", bandwidthLimit: 1MB",
            "upstream: \"https://lab.example\", answerTimeout: 3s",
        ])
    func replaced(_ text: String) async throws {
        let lab = try Lab("repositories: {lab: {upstream: \"https://lab.example\", namespaces: [lab.example]}}")
        let before = try lab.binding("lab.example/a").client
        #expect(try lab.reload("repositories: {lab: {\(text), namespaces: [lab.example]}}") == ["lab"])
        #expect(try lab.binding("lab.example/a").client !== before)
        try await lab.end()
    }

    @Test("a certificate that was renewed in its file makes a new client")
    func certificate() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("ca.pem")
        func make(_ name: String) throws {
            let made = try ShellCommand.run([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                "/CN=\(name)", "-keyout", folder.path("key.pem"), "-out", path,
            ])
            try #require(made.status == 0)
        }
        let text = "repositories: {lab: {upstream: \"https://lab.example\", ca: \(path)}}"
        try make("one")
        let lab = try Lab(text)
        #expect(try lab.reload(text) == [])
        try make("two")
        #expect(try lab.reload(text) == ["lab"])
        try await lab.end()
    }

    @Test("a client that was replaced is shut down when its last user has let go, and not before")
    func drained() async throws {
        let lab = try Lab("repositories: {lab: {upstream: \"https://lab.example\"}}")
        var user: UpstreamBinding? = try lab.binding("lab.example/a")
        weak let client = user?.client
        #expect(
            try lab.reload("repositories: {lab: {upstream: \"https://lab.example\", connections: 3}, mcr: false}") == [
                "mcr", "lab",
            ])
        #expect(lab.upstreams.retiredCount == 2)
        await lab.upstreams.collect()
        // Nobody ever used the other one.
        #expect(lab.upstreams.retiredCount == 1)
        #expect(client != nil)
        #expect(user?.name == "lab")
        user = nil
        await lab.upstreams.collect()
        #expect(lab.upstreams.retiredCount == 0)
        #expect(client == nil)
        try await lab.end()
    }
}
