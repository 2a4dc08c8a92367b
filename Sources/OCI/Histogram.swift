import Synchronization

/// How long things took, counted in classes. Adding takes no lock and allocates nothing.
package final class Histogram: Sendable {
    /// For what goes over a network: 5 ms to 20 s.
    package static let network = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000].map(Duration.milliseconds)
    /// For what a disk is asked to keep: 0.5 ms to 10 s.
    package static let disk = [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000].map(
        Duration.microseconds)

    /// The counts at one moment. What is added meanwhile may be in the sum and not yet in a class, or the other way round.
    package struct Snapshot: Sendable {
        /// The largest value of each class but the last, rising.
        package let bounds: [Duration]
        /// Values in each class; the last is for those beyond all bounds.
        package let counts: [Int64]
        package let sum: Duration

        package var count: Int64 { self.counts.reduce(0, +) }

        /// The value that this share of all values, 0...1, does not pass, taken to be spread evenly within its class; nil when there are
        /// no values. What lies beyond all bounds is taken for the last of them.
        package func quantile(_ share: Double) -> Duration? {
            let rank = share * Double(self.count)
            guard self.count > 0 else { return nil }
            var below = 0.0
            for (index, bound) in self.bounds.enumerated() {
                let here = Double(self.counts[index])
                if here > 0, below + here >= rank {
                    let start = index == 0 ? Duration.zero : self.bounds[index - 1]
                    return start + (bound - start) * (max(0, rank - below) / here)
                }
                below += here
            }
            return self.bounds.last
        }
    }

    /// How many classes there may be, the last one included.
    private static let limit = 16

    private let bounds: [Duration]
    private let limits: [Int64]
    private let counts: InlineArray<16, Atomic<Int64>>
    private let sum = Atomic<Int64>(0)

    /// - Parameter bounds: the largest value of each class but the last, rising.
    package init(_ bounds: [Duration]) {
        precondition(bounds.count < Self.limit, "a histogram has at most \(Self.limit) classes")
        self.bounds = bounds
        self.limits = bounds.map(\.nanoseconds)
        self.counts = InlineArray { _ in Atomic(0) }
    }

    package func add(_ duration: Duration) {
        let value = max(0, duration.nanoseconds)
        var index = 0
        while index < self.limits.count, value > self.limits[index] { index += 1 }
        self.counts[index].wrappingAdd(1, ordering: .relaxed)
        self.sum.wrappingAdd(value, ordering: .relaxed)
    }

    package var snapshot: Snapshot {
        Snapshot(
            bounds: self.bounds, counts: (0...self.bounds.count).map { self.counts[$0].load(ordering: .relaxed) },
            sum: .nanoseconds(self.sum.load(ordering: .relaxed)))
    }
}

extension Duration {
    /// Whole nanoseconds.
    fileprivate var nanoseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000
    }

    /// As a number, the nearest one to the whole nanoseconds.
    package var secondsNumber: Double { Double(self.nanoseconds) / 1e9 }
}
