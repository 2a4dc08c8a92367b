import OCI
import Testing

@testable import Upstream

struct RetryPolicyTests {
    private static let plenty = Duration.seconds(20)

    private static func error(_ code: UpstreamError.Code) -> UpstreamError { UpstreamError(code, "test") }

    @Test("what may pass is asked again", arguments: [UpstreamError.Code.unavailable, .timeout, .unreachable, .interrupted])
    func retries(_ code: UpstreamError.Code) {
        #expect(RetryPolicy().delay(before: 2, after: Self.error(code), remaining: Self.plenty, random: 0.5) != nil)
    }

    @Test(
        "what will not pass is not",
        arguments: [
            UpstreamError.Code.notFound(nil), .notFound(.manifestUnknown), .denied, .rateLimited(retryAfter: nil),
            .rateLimited(retryAfter: 1), .invalidResponse, .rangeIgnored, .cancelled,
        ])
    func givesUp(_ code: UpstreamError.Code) {
        #expect(RetryPolicy().delay(before: 1, after: Self.error(code), remaining: Self.plenty, random: 0) == nil)
    }

    @Test("five attempts in all", arguments: 1...8)
    func attempts(_ number: Int) {
        let delay = RetryPolicy().delay(before: number, after: Self.error(.timeout), remaining: Self.plenty, random: 0.5)
        #expect((delay != nil) == (number < 5))
    }

    @Test("a connection that was closed as we used it is worth one attempt at once")
    func atOnce() {
        let policy = RetryPolicy()
        #expect(policy.delay(before: 1, after: Self.error(.interrupted), remaining: Self.plenty, random: 0.9) == .zero)
        #expect((policy.delay(before: 2, after: Self.error(.interrupted), remaining: Self.plenty, random: 0.9) ?? .zero) > .zero)
        #expect((policy.delay(before: 1, after: Self.error(.timeout), remaining: Self.plenty, random: 0.9) ?? .zero) > .zero)
    }

    @Test("the limit doubles up to the longest delay, and the delay is anything below it")
    func limits() {
        var policy = RetryPolicy()
        policy.attempts = 100
        policy.firstDelay = .milliseconds(100)
        policy.longestDelay = .seconds(1)
        let limits = [(1, 200), (2, 400), (3, 800), (4, 1_000), (5, 1_000), (64, 1_000), (99, 1_000)]
        for (number, milliseconds) in limits {
            for (random, expected) in [(0.0, 0), (0.5, milliseconds / 2), (1.0, milliseconds)] {
                let delay = policy.delay(before: number, after: Self.error(.timeout), remaining: Self.plenty, random: random)
                #expect(delay == .milliseconds(expected))
            }
        }
    }

    @Test("no delay outlasts the budget")
    func budget() {
        var policy = RetryPolicy()
        policy.firstDelay = .milliseconds(100)
        let timeout = Self.error(.timeout)
        #expect(policy.delay(before: 1, after: timeout, remaining: .milliseconds(101), random: 0.5) == .milliseconds(100))
        #expect(policy.delay(before: 1, after: timeout, remaining: .milliseconds(100), random: 0.5) == nil)
        #expect(policy.delay(before: 1, after: timeout, remaining: .zero, random: 0) == nil)
        #expect(policy.delay(before: 1, after: timeout, remaining: .seconds(-1), random: 0) == nil)
    }
}
