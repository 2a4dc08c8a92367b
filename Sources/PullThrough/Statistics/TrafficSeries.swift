/// Counts over time, in a bounded number of buckets: the finer, the shorter they are kept.
package struct TrafficSeries: Equatable, Sendable {
    /// Buckets of one width. All are aligned to the epoch.
    package struct Tier: Hashable, Sendable {
        /// Seconds.
        package let width: Int64
        /// Whole buckets besides the one that is being filled.
        package let count: Int64

        /// For the last hour, day and week of everything.
        static let fiveMinutes = Tier(width: 300, count: 12)
        static let hours = Tier(width: 3_600, count: 24)
        static let quarterDays = Tier(width: 21_600, count: 28)
        /// For pictures of the last hour, day and week, of all together.
        package static let minutes = Tier(width: 60, count: 60)
        package static let quarterHours = Tier(width: 900, count: 96)
        package static let fineHours = Tier(width: 3_600, count: 168)

        static let plain = [Tier.fiveMinutes, .hours, .quarterDays]
        static let fine = [Tier.minutes, .quarterHours, .fineHours]

        func start(of time: Int64) -> Int64 { time - time % self.width }
        /// The start of the oldest bucket that is kept.
        func oldest(at now: Int64) -> Int64 { self.start(of: now) - self.count * self.width }
    }

    package struct Bucket: Equatable, Sendable {
        /// Unix seconds.
        package let start: Int64
        package internal(set) var counts: TrafficCounts
    }

    let tiers: [Tier]
    /// Since statistics began.
    package private(set) var total = TrafficCounts()
    /// Unix seconds of the last change; 0 when there was none.
    private(set) var lastChange: Int64 = 0
    /// For each tier those buckets that have counts, oldest first.
    private(set) var buckets: [[Bucket]]

    init(_ tiers: [Tier]) {
        self.tiers = tiers
        self.buckets = tiers.map { _ in [] }
    }

    /// As read from a file. What makes no sense is left out.
    init(_ tiers: [Tier], total: TrafficCounts, lastChange: Int64, buckets: [Int64: [Bucket]]) {
        self.init(tiers)
        self.total = total
        self.lastChange = lastChange
        for (index, tier) in tiers.enumerated() {
            var kept: [Bucket] = []
            for bucket in (buckets[tier.width] ?? []).sorted(by: { $0.start < $1.start })
            where bucket.start >= 0 && bucket.start % tier.width == 0 && bucket.start != kept.last?.start {
                kept.append(bucket)
            }
            self.buckets[index] = Array(kept.suffix(Int(tier.count) + 1))
        }
    }

    /// - Parameter now: Unix seconds. Should the clock have been ahead, what it counted then is in the total alone.
    mutating func add(_ counts: TrafficCounts, at now: Int64) {
        guard !counts.isZero else { return }
        self.total += counts
        self.lastChange = now
        for (index, tier) in self.tiers.enumerated() {
            let start = tier.start(of: now)
            self.buckets[index].removeAll { $0.start > start || $0.start < tier.oldest(at: now) }
            if let last = self.buckets[index].last, last.start == start {
                self.buckets[index][self.buckets[index].count - 1].counts += counts
            } else {
                self.buckets[index].append(Bucket(start: start, counts: counts))
            }
        }
    }

    /// Takes in all of another series, which is about the same tiers.
    mutating func merge(_ other: TrafficSeries) {
        self.total += other.total
        self.lastChange = max(self.lastChange, other.lastChange)
        for index in self.tiers.indices {
            var merged = Dictionary(self.buckets[index].map { ($0.start, $0.counts) }) { first, _ in first }
            for bucket in other.buckets[index] { merged[bucket.start, default: TrafficCounts()] += bucket.counts }
            self.buckets[index] = merged.map { Bucket(start: $0.key, counts: $0.value) }.sorted { $0.start < $1.start }
        }
    }

    package func counts(in window: TrafficWindow, at now: Int64) -> TrafficCounts {
        guard let tier = window.tier, let index = self.tiers.firstIndex(of: tier) else { return self.total }
        var sum = TrafficCounts()
        for bucket in self.buckets[index] where bucket.start >= tier.oldest(at: now) && bucket.start <= now {
            sum += bucket.counts
        }
        return sum
    }

    /// The buckets of a tier, oldest first, those without counts too.
    package func points(_ tier: Tier, at now: Int64) -> [Bucket] {
        guard let index = self.tiers.firstIndex(of: tier) else { return [] }
        let known = Dictionary(self.buckets[index].map { ($0.start, $0.counts) }) { first, _ in first }
        return stride(from: tier.oldest(at: now), through: tier.start(of: now), by: Int(tier.width)).map { start in
            Bucket(start: start, counts: known[start] ?? TrafficCounts())
        }
    }
}
