import Logging
import NIOPosix
import OCI
import TestSupport
import Testing

@testable import Upstream

/// Who may lead where.
struct TransportTests {
    @Test("a mirror next door opens no door to the registry's own redirects, also after it has answered")
    func neighbourhoods() async throws {
        let mirror = try ScriptedUpstream()
        mirror.addImage(repository: "library/nginx", tag: "latest")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = UpstreamConfiguration(
            name: "docker", address: try #require(UpstreamAddress("https://registry.example")))
        configuration.mirrors = [try #require(UpstreamAddress(mirror.url))]
        let client = RegistryClient(
            configuration, group: group, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let repository = try RepositoryName(parsing: "library/nginx")
        _ = try await client.manifest(.tag(try Tag(parsing: "latest")), in: repository)
        #expect(!mirror.requests.isEmpty)
        let (near, far) = (client.endpoints[0].transport, client.endpoints[1].transport)
        _ = try near.client(.blobs, .away, host: "127.0.0.1", port: 80, isSecure: false)
        #expect(throws: ForbiddenAddress.self) {
            try far.client(.blobs, .away, host: "127.0.0.1", port: 80, isSecure: false)
        }
        // What the configuration names is trusted wherever it is.
        _ = try far.client(.metadata, .trusted, host: "127.0.0.1", port: 80, isSecure: false)
        await client.shutdown()
        try await group.shutdownGracefully()
    }
}
