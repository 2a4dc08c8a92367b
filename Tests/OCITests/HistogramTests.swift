import OCI
import Testing

@Suite struct HistogramTests {
    /// Up to 10 ms, up to 100 ms, more.
    private static func filled(_ milliseconds: Int...) -> Histogram.Snapshot {
        let histogram = Histogram([.milliseconds(10), .milliseconds(100)])
        for value in milliseconds { histogram.add(.milliseconds(value)) }
        return histogram.snapshot
    }

    @Test("a bound belongs to its class, and what is negative counts as nothing")
    func bounds() {
        let snapshot = Self.filled(10, 11, 100, 101, 0, -5)
        #expect(snapshot.counts == [3, 2, 1])
        #expect(snapshot.count == 6)
        #expect(snapshot.sum == .milliseconds(222))
        let histogram = Histogram([.milliseconds(10)])
        histogram.add(.milliseconds(10) + .nanoseconds(1))
        #expect(histogram.snapshot.counts == [0, 1])
        #expect(histogram.snapshot.sum == .nanoseconds(10_000_001))
    }

    @Test(
        "quantiles are spread evenly within a class, and end at the last bound",
        arguments: [(0.25, 5), (0.5, 10), (0.75, 100), (0.625, 55), (0.99, 100), (1, 100), (0, 0)])
    func quantiles(_ share: Double, _ milliseconds: Int) {
        // Two of four in the first class, one in the second, one beyond.
        #expect(Self.filled(5, 5, 50, 2_000).quantile(share) == .milliseconds(milliseconds))
    }

    @Test("of nothing there is no quantile")
    func nothing() {
        #expect(Self.filled().quantile(0.5) == nil)
        #expect(Self.filled().sum == .zero)
    }

    @Test("what many add at once is all counted")
    func concurrent() async {
        let histogram = Histogram(Histogram.network)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { for _ in 0..<10_000 { histogram.add(.microseconds(30)) } } }
        }
        #expect(histogram.snapshot.counts == [40_000] + Array(repeating: 0, count: 12))
        #expect(histogram.snapshot.sum == .milliseconds(1_200))
    }

    @Test("seconds as a number are the nearest to the whole nanoseconds")
    func numbers() {
        #expect(Histogram.network.map(\.secondsNumber) == [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20])
        #expect(Histogram.disk.map(\.secondsNumber).first == 0.0005)
        #expect(Duration.nanoseconds(1).secondsNumber == 1e-9)
    }
}
