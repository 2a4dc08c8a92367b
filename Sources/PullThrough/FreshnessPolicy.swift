import OCI
import Storage

/// Whether a tag is still believed without asking its upstream. Content by digest never needs this.
package struct FreshnessPolicy: Sendable {
    /// Nobody waits longer than this for a tag's revalidation when an older answer is at hand.
    package let patience: Duration

    package init(patience: Duration = Limits.Upstream.revalidation) {
        self.patience = patience
    }

    /// Seconds since the upstream last confirmed the tag.
    ///
    /// Within one process the monotonic clock decides; what an earlier process was told is dated by the wall clock, and
    /// a date in the future is taken for now, so that a jump of the clock makes tags old but never young for long.
    package func age(of entry: Catalog.TagEntry, now: Int64, instant: ContinuousClock.Instant) -> Int64 {
        if let confirmedAt = entry.confirmedAt { return max(0, confirmedAt.duration(to: instant).components.seconds) }
        return max(0, now - entry.fetchedAt)
    }

    /// The tag's own time to live in seconds: the configured one ± 10 %, always the same for one confirmation, so that
    /// tags which came together do not expire together.
    package func lifetime(of entry: Catalog.TagEntry, ttl: Duration) -> Int64 {
        let seconds = ttl.components.seconds
        // Any well-spread bits will do, as long as they are the same at each look.
        let bits = UInt64(bitPattern: Int64(entry.digest.shardHint)) &+ UInt64(bitPattern: entry.fetchedAt)
        let mixed = (bits &* 0x9E37_79B9_7F4A_7C15) >> 48
        return seconds * 9 / 10 + seconds / 5 * Int64(mixed % 1024) / 1023
    }
}
