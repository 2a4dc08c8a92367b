import NIOCore
import Testing

@testable import Upstream

@Suite struct UpstreamErrorTests {
    @Test(
        "a connection that the registry closed as it was to be used is worth another attempt",
        arguments: [ChannelError.ioOnClosedChannel, .alreadyClosed, .inputClosed, .outputClosed, .eof])
    func closed(_ error: ChannelError) {
        let described = RegistryClient.describe(error, host: "registry.example.com")
        #expect(described.code == .interrupted)
        #expect(described.isWorthRetrying)
        #expect(described.message == "registry.example.com closed the connection")
    }

    @Test("what is an answer is no error; all others have a class of their own")
    func classes() {
        let codes: [(UpstreamError.Code, String?)] = [
            (.notFound(nil), nil), (.rangeIgnored, nil), (.cancelled, nil), (.denied, "denied"),
            (.rateLimited(retryAfter: 3), "rate_limited"), (.unavailable, "server_error"), (.timeout, "timeout"),
            (.unreachable, "unreachable"), (.invalidResponse, "invalid"), (.notModified, "invalid"),
            (.interrupted, "interrupted"),
        ]
        for (code, name) in codes { #expect(UpstreamErrorClass(code)?.name == name, "\(code)") }
        #expect(UpstreamErrorClass.allCases.map(\.rawValue) == Array(0..<8))
    }

    @Test("attempts are counted by class, and the recent latency follows slowly")
    func status() {
        let status = UpstreamStatus()
        for _ in 0..<3 { status.count(UpstreamError(.timeout, "slow")) }
        status.count(UpstreamError(.notFound(nil), "none"))
        status.noteWrongContent()
        #expect(UpstreamErrorClass.allCases.map { status.errors($0) } == [0, 3, 0, 0, 0, 0, 0, 1])
        #expect(status.snapshot.recentLatency == nil)
        status.noteHead(after: .milliseconds(100))
        #expect(status.snapshot.recentLatency == .milliseconds(100))
        status.noteHead(after: .milliseconds(200))
        #expect(status.snapshot.recentLatency == .milliseconds(110))
        #expect(status.latency.snapshot.count == 2)
        #expect(status.latency.snapshot.sum == .milliseconds(300))
    }
}
