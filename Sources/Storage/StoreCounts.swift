import Synchronization

/// What has happened to a store's content since this process began.
final class StoreCounts: Sendable {
    /// By reason.
    private let removals: InlineArray<4, Atomic<Int64>>
    private let removedBytes: InlineArray<4, Atomic<Int64>>
    private let failureCount = Atomic<Int64>(0)
    private let damageCount = Atomic<Int64>(0)

    init() {
        self.removals = InlineArray { _ in Atomic(0) }
        self.removedBytes = InlineArray { _ in Atomic(0) }
    }

    /// Writing that the disk refused.
    var failures: Int64 { self.failureCount.load(ordering: .relaxed) }
    /// Content that was found damaged, and is served no more.
    var damages: Int64 { self.damageCount.load(ordering: .relaxed) }

    func noteFailure() { self.failureCount.wrappingAdd(1, ordering: .relaxed) }
    func noteDamage() { self.damageCount.wrappingAdd(1, ordering: .relaxed) }

    /// Counts an image that went, or content that belonged to none.
    func noteRemoval(_ reason: EvictionPlan.Reason, bytes: Int64) {
        self.removals[Self.place(reason)].wrappingAdd(1, ordering: .relaxed)
        self.removedBytes[Self.place(reason)].wrappingAdd(bytes, ordering: .relaxed)
    }

    func removals(_ reason: EvictionPlan.Reason) -> (count: Int64, bytes: Int64) {
        (
            self.removals[Self.place(reason)].load(ordering: .relaxed),
            self.removedBytes[Self.place(reason)].load(ordering: .relaxed)
        )
    }

    private static func place(_ reason: EvictionPlan.Reason) -> Int {
        switch reason {
        case .orphan: 0
        case .leastRecentlyPulled: 1
        case .unused: 2
        case .removed: 3
        }
    }
}
