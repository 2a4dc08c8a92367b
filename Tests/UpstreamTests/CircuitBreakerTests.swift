import Testing

@testable import Upstream

struct CircuitBreakerTests {
    private static let start = ContinuousClock.now

    private static func breaker() -> CircuitBreaker { CircuitBreaker(threshold: 3, window: .seconds(30), pause: .seconds(5)) }

    private static func stop(_ verdict: CircuitBreaker.Verdict) -> Int? {
        if case .stop(let seconds, _) = verdict { seconds } else { nil }
    }

    @Test("it opens with the third failure in a row, says why, and lets one request through after the pause")
    func opens() {
        let breaker = Self.breaker()
        #expect(!breaker.failed("a", now: Self.start))
        #expect(!breaker.failed("b", now: Self.start))
        #expect(breaker.verdict(now: Self.start) == .go)
        #expect(breaker.failed("no route", now: Self.start))
        #expect(breaker.isOpen)
        guard case .stop(let seconds, let reason) = breaker.verdict(now: Self.start + .seconds(1)) else {
            Issue.record("it lets requests through")
            return
        }
        #expect((4...5).contains(seconds))
        #expect(reason == "no route")
        let probe = Self.start + .seconds(5)
        #expect(breaker.verdict(now: probe) == .go)
        #expect(Self.stop(breaker.verdict(now: probe)) != nil, "the probe is one request")
    }

    @Test("a probe that fails starts the pause anew, one that succeeds closes it")
    func probes() {
        let breaker = Self.breaker()
        for _ in 0..<3 { breaker.failed("x", now: Self.start) }
        let probe = Self.start + .seconds(6)
        #expect(breaker.verdict(now: probe) == .go)
        #expect(!breaker.failed("still", now: probe))
        #expect(Self.stop(breaker.verdict(now: probe + .seconds(4))) == 2)
        #expect(breaker.verdict(now: probe + .seconds(5)) == .go)
        breaker.succeeded()
        #expect(!breaker.isOpen)
        #expect(breaker.verdict(now: probe + .seconds(5)) == .go)
        #expect(breaker.verdict(now: probe + .seconds(5)) == .go)
    }

    @Test("failures that are far apart, or have a success between them, are not in a row")
    func notInARow() {
        let breaker = Self.breaker()
        for seconds in [0, 20, 40, 60, 80] { breaker.failed("x", now: Self.start + .seconds(seconds)) }
        #expect(!breaker.isOpen)
        breaker.succeeded()
        breaker.failed("x", now: Self.start + .seconds(81))
        breaker.failed("x", now: Self.start + .seconds(81))
        breaker.succeeded()
        breaker.failed("x", now: Self.start + .seconds(82))
        #expect(!breaker.isOpen)
    }
}
