import TestSupport
import Testing

@testable import Upstream

/// Which hosts a certificate is for: RFC 6125, 6.4.3.
struct CertificateFactsTests {
    @Test(
        "a star stands for one label, the first",
        arguments: [
            ("registry.example", true), ("REGISTRY.example", true), ("a.wild.example", true), ("a.b.wild.example", false),
            ("wild.example", false), ("10.0.0.1", true), ("other.example", false), ("localhost", false),
        ])
    func names(_ host: String, _ isForIt: Bool) {
        let facts = CertificateFacts(begins: 0, ends: 1, names: ["registry.example", "*.wild.example", "10.0.0.1"])
        #expect(facts.isFor(host: host) == isForIt)
    }

    @Test("work that does not come back in time is left behind")
    func bounded() async throws {
        #expect(try await BoundedWork.run(within: .seconds(10)) { 7 } == 7)
        let (stream, end) = AsyncStream.makeStream(of: Void.self)
        let gate = Gate()
        #expect(
            try await BoundedWork.run(within: .milliseconds(10)) {
                gate.wait()
                end.finish()
                return 7
            } == nil)
        gate.open()
        for await _ in stream {}
        await #expect(throws: CancellationError.self) {
            try await BoundedWork.run(within: .seconds(10)) { throw CancellationError() }
        }
    }
}
