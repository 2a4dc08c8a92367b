import OCI
import Synchronization
import Upstream

/// Lists that upstreams gave: tags and referrers. They have a tag's freshness and go stale like one; bounded, in memory alone,
/// because the store itself can tell what it has.
final class ListCache: Sendable {
    enum Key: Hashable, Sendable {
        case tags(QualifiedRepository, count: Int?, after: Tag?)
        case referrers(QualifiedRepository, Digest)
    }

    enum Value: Sendable {
        case tags(RegistryClient.TagPage)
        case referrers([RegistryClient.Referrer])
    }

    struct Entry: Sendable {
        let value: Value
        let confirmedAt: ContinuousClock.Instant

        /// Seconds since the upstream gave it.
        var age: Int64 { self.confirmedAt.duration(to: .now).components.seconds }
    }

    private static let limit = Limits.Memory.lists
    private let entries = Mutex<[Key: Entry]>([:])

    func entry(_ key: Key) -> Entry? { self.entries.withLock { $0[key] } }

    func set(_ key: Key, _ value: Value) -> Entry {
        let entry = Entry(value: value, confirmedAt: .now)
        self.entries.withLock { entries in
            if entries.count >= Self.limit, let oldest = entries.min(by: { $0.value.confirmedAt < $1.value.confirmedAt })?.key {
                entries[oldest] = nil
            }
            entries[key] = entry
        }
        return entry
    }
}
