import Logging
import NIOPosix
import OCI
import TestSupport
import Testing

@testable import Upstream

/// One time for all that is asked for one answer.
struct AskingTimeTests {
    @Test("what is inside ends with what is outside, never later")
    func nested() async {
        await AskingTime.limited(to: .seconds(10)) {
            let outer = AskingTime.deadline(within: .seconds(1000))
            await AskingTime.limited(to: .seconds(1000)) {
                #expect(AskingTime.deadline(within: .seconds(1000)) == outer)
                #expect(AskingTime.deadline(within: .seconds(1)) < outer)
            }
        }
        #expect(AskingTime.remaining(of: .seconds(1000)) > .seconds(900))
    }

    @Test("no request is made when the time is over")
    func over() async throws {
        let upstream = try ScriptedUpstream()
        upstream.addImage(repository: "library/nginx", tag: "latest")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = RegistryClient(
            UpstreamConfiguration(name: "docker", address: try #require(UpstreamAddress(upstream.url))), group: group,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let repository = try RepositoryName(parsing: "library/nginx")
        let tag = try Tag(parsing: "latest")
        await AskingTime.limited(to: .zero) {
            #expect(AskingTime.remaining(of: .seconds(20)) == .zero)
            let error = await #expect(throws: UpstreamError.self) { try await client.manifestHead(.tag(tag), in: repository) }
            #expect(error?.code == .timeout)
        }
        #expect(upstream.requests.isEmpty)
        #expect(try await client.manifestHead(.tag(tag), in: repository).digest != nil)
        await client.shutdown()
        try await group.shutdownGracefully()
    }
}
