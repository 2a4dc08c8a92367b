import NIOCore
import Testing

@testable import Upstream

struct BandwidthLimitTests {
    @Test("what fits the bucket is free, the rest takes the time that the rate says")
    func rate() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        let limit = BandwidthLimit(rate: 1_000_000, now: start)
        // A quarter of a second's worth.
        #expect(limit.take(250_000, now: start) == .zero)
        #expect(limit.take(1_000_000, now: start) == .seconds(1))
        // Waited for: nothing is owed and nothing is saved up.
        #expect(limit.take(500_000, now: start + .seconds(1)) == .milliseconds(500))
    }

    @Test("over ten seconds of steady taking, ten seconds' worth comes, and one bucket")
    func steady() {
        var now = NIODeadline.uptimeNanoseconds(1)
        let start = now
        let limit = BandwidthLimit(rate: 10_000_000, now: now)
        var bytes = 0
        while now < start + .seconds(10) {
            bytes += 65_536
            now = now + limit.take(65_536, now: now)
        }
        #expect((100_000_000...102_700_000).contains(bytes))
    }
}
