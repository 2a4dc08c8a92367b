import Logging
import NIOPosix
import OCI
import Testing
import Upstream

@testable import PullThrough

/// PROTOCOL.md §4.
struct UpstreamDirectoryTests {
    private struct Upstream {
        let name: String
        let namespaces: [String]

        static let docker = Upstream(name: "docker", namespaces: ["docker.io", "index.docker.io", "registry-1.docker.io"])
        static let github = Upstream(name: "github", namespaces: ["ghcr.io"])
        static let local = Upstream(name: "local", namespaces: ["registry.local:5000", "localhost"])
    }

    /// Runs `body` with a directory whose first upstream is the fallback; nothing is ever dialled.
    private static func with(
        _ upstreams: [Upstream], hasFallback: Bool = true, _ body: (UpstreamDirectory) throws -> Void
    ) async throws {
        let address = try #require(UpstreamAddress("http://127.0.0.1:1"))
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let bindings = try upstreams.map { upstream in
            UpstreamBinding(
                name: upstream.name, namespaces: try upstream.namespaces.map { try Namespace(parsing: $0) },
                cacheTtl: .seconds(60),
                client: RegistryClient(UpstreamConfiguration(name: upstream.name, address: address), group: group, logger: logger)
            )
        }
        let result = Result { try body(UpstreamDirectory(bindings: bindings, fallback: hasFallback ? bindings.first : nil)) }
        for binding in bindings { await binding.client.shutdown() }
        try result.get()
    }

    private static func route(_ directory: UpstreamDirectory, _ path: String, ns: String?) throws -> String {
        let routed = try directory.route(path[...], ns: try ns.map { try Namespace(parsing: $0) })
        return "\(routed.upstream.name): \(routed.repository)"
    }

    @Test("who a name belongs to, and under which name it is kept")
    func routes() async throws {
        // path, ns, upstream and repository
        let table: [(String, String?, String)] = [
            ("nginx", nil, "docker: docker.io/library/nginx"),
            ("library/nginx", nil, "docker: docker.io/library/nginx"),
            ("org/app", nil, "docker: docker.io/org/app"),
            ("a/b/c/d", nil, "docker: docker.io/a/b/c/d"),
            // with ns the path is literal
            ("nginx", "docker.io", "docker: docker.io/library/nginx"),
            ("library/nginx", "index.docker.io", "docker: docker.io/library/nginx"),
            ("nginx", "registry-1.docker.io", "docker: docker.io/library/nginx"),
            ("app", "ghcr.io", "github: ghcr.io/app"),
            ("org/app", "ghcr.io", "github: ghcr.io/org/app"),
            ("ghcr.io/org/app", "ghcr.io", "github: ghcr.io/ghcr.io/org/app"),
            ("docker.io/library/nginx", "ghcr.io", "github: ghcr.io/docker.io/library/nginx"),
            ("app", "registry.local:5000", "local: registry.local:5000/app"),
            ("app", "localhost", "local: registry.local:5000/app"),
            // a first component that is a namespace chooses and is removed
            ("docker.io/nginx", nil, "docker: docker.io/library/nginx"),
            ("index.docker.io/nginx", nil, "docker: docker.io/library/nginx"),
            ("docker.io/library/nginx", nil, "docker: docker.io/library/nginx"),
            ("ghcr.io/org/app", nil, "github: ghcr.io/org/app"),
            ("ghcr.io/app", nil, "github: ghcr.io/app"),
            ("ghcr.io/docker.io/nginx", nil, "github: ghcr.io/docker.io/nginx"),
            ("registry.local:5000/a", nil, "local: registry.local:5000/a"),
            ("localhost/a/b", nil, "local: registry.local:5000/a/b"),
        ]
        try await Self.with([.docker, .github, .local]) { (directory) throws in
            for (path, ns, expected) in table {
                #expect(try Self.route(directory, path, ns: ns) == expected, "\(path), ns \(ns ?? "-")")
            }
        }
    }

    @Test("a registry that is not configured is never asked, and Docker Hub never hears its names")
    func unknown() async throws {
        let table: [(String, String?)] = [
            ("nginx", "quay.io"), ("nginx", "localhost:5000"), ("library/nginx", "docker.io:443"), ("quay.io/org/app", nil),
            ("registry.internal/secret/app", nil), ("localhost:1/app", nil), ("ghcr.io:443/app", nil),
            ("registry.local/app", nil),
            ("GHCR.IO/app", nil), ("docker.io./nginx", nil), ("127.0.0.1/app", nil), ("../app", nil), ("a.b/c", nil),
        ]
        try await Self.with([.docker, .github, .local]) { (directory) throws in
            for (path, ns) in table {
                let error = #expect(throws: PullThroughError.self, "\(path), ns \(ns ?? "-")") {
                    try Self.route(directory, path, ns: ns)
                }
                #expect(error?.code == .notFound(.nameUnknown))
            }
        }
    }

    @Test("malformed names are errors wherever they would go")
    func malformed() async throws {
        let table: [(String, String?)] = [
            ("", nil), ("A", nil), ("a//b", nil), ("a/../b", nil), ("_a", nil), ("", "ghcr.io"), ("../x", "ghcr.io"),
            ("Org/app", "ghcr.io"), ("ghcr.io/", nil), ("ghcr.io//a", nil), ("ghcr.io/../a", nil), ("ghcr.io/_oci", nil),
            ("a/_oci", nil), (String(repeating: "a", count: 256), nil),
        ]
        try await Self.with([.docker, .github]) { (directory) throws in
            for (path, ns) in table {
                #expect(throws: ReferenceError.self, "\(path), ns \(ns ?? "-")") { try Self.route(directory, path, ns: ns) }
            }
        }
    }

    @Test("another default than Docker Hub gets names with dots, and no library/")
    func otherDefault() async throws {
        try await Self.with([.github, .docker]) { (directory) throws in
            #expect(try Self.route(directory, "app", ns: nil) == "github: ghcr.io/app")
            #expect(try Self.route(directory, "some.thing/app", ns: nil) == "github: ghcr.io/some.thing/app")
            #expect(try Self.route(directory, "docker.io/nginx", ns: nil) == "docker: docker.io/library/nginx")
            let error = #expect(throws: PullThroughError.self) { try Self.route(directory, "app", ns: "quay.io") }
            #expect(error?.code == .notFound(.nameUnknown))
        }
    }

    @Test("without a default a name needs its registry")
    func noDefault() async throws {
        try await Self.with([.docker, .github], hasFallback: false) { (directory) throws in
            #expect(try Self.route(directory, "ghcr.io/app", ns: nil) == "github: ghcr.io/app")
            #expect(try Self.route(directory, "nginx", ns: "docker.io") == "docker: docker.io/library/nginx")
            for path in ["nginx", "org/app", "quay.io/app"] {
                let error = #expect(throws: PullThroughError.self) { try Self.route(directory, path, ns: nil) }
                #expect(error?.code == .notFound(.nameUnknown))
            }
        }
    }

    @Test("a name too long for library/ is kept as it is")
    func longName() async throws {
        let name = String(repeating: "a", count: 250)
        try await Self.with([.docker]) { (directory) throws in
            #expect(try Self.route(directory, name, ns: nil) == "docker: docker.io/\(name)")
        }
    }
}
