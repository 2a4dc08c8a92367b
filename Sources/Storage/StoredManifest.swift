import Synchronization

/// A manifest's facts, and when it was last pulled: the one thing of content that changes.
final class StoredManifest: Sendable {
    let facts: ManifestFacts
    private let lastUse = Atomic<Int64>(0)
    /// When the journal was last told.
    private let noted = Atomic<Int64>(0)

    init(_ facts: ManifestFacts) {
        self.facts = facts
    }

    /// Unix seconds; 0 when it was never pulled.
    var usedAt: Int64 { self.lastUse.load(ordering: .relaxed) }

    /// Takes a pull from the journal in. The last use never goes back.
    func use(at time: Int64) {
        self.lastUse.max(time, ordering: .relaxed)
        self.noted.max(time, ordering: .relaxed)
    }

    /// Notes a pull at this moment; true when the last one that was told is an hour old.
    func noteUse(at time: Int64) -> Bool {
        self.lastUse.max(time, ordering: .relaxed)
        let noted = self.noted.load(ordering: .relaxed)
        guard time - noted >= 3600 else { return false }
        return self.noted.compareExchange(expected: noted, desired: time, ordering: .relaxed).exchanged
    }
}
