import Synchronization

/// A manifest's facts, and when and how often it was pulled: the only things of content that change.
final class StoredManifest: Sendable {
    let facts: ManifestFacts
    private let lastUse = Atomic<Int64>(0)
    /// When the journal was last told.
    private let noted = Atomic<Int64>(0)
    private let pulls = Atomic<Int64>(0)
    /// As many of them as the journal was told.
    private let notedPulls = Atomic<Int64>(0)

    init(_ facts: ManifestFacts) {
        self.facts = facts
    }

    /// Unix seconds; 0 when it was never pulled.
    var usedAt: Int64 { self.lastUse.load(ordering: .relaxed) }

    /// Takes a pull from the journal in. The last use never goes back.
    ///
    /// - Parameter pulls: in all, as far as the line says.
    func use(at time: Int64, pulls: Int64) {
        self.lastUse.max(time, ordering: .relaxed)
        self.noted.max(time, ordering: .relaxed)
        self.pulls.max(pulls, ordering: .relaxed)
        self.notedPulls.max(pulls, ordering: .relaxed)
    }

    /// How often it was sent to a client; what was counted in the minute before a kill may be missing.
    var pullCount: Int64 { self.pulls.load(ordering: .relaxed) }

    func notePull(count: Int64) { self.pulls.wrappingAdd(count, ordering: .relaxed) }

    /// Takes note that the journal is told of all pulls now; false when it has been.
    func noteTold() -> Bool {
        let pulls = self.pullCount
        return self.notedPulls.exchange(pulls, ordering: .relaxed) < pulls
    }

    /// Notes a pull at this moment; true when the last one that was told is an hour old.
    func noteUse(at time: Int64) -> Bool {
        self.lastUse.max(time, ordering: .relaxed)
        let noted = self.noted.load(ordering: .relaxed)
        guard time - noted >= 3600 else { return false }
        guard self.noted.compareExchange(expected: noted, desired: time, ordering: .relaxed).exchanged else { return false }
        self.notedPulls.store(self.pullCount, ordering: .relaxed)
        return true
    }
}
