import OCI

/// How often manifests were pulled, and where the counts of what was served are kept: a small file that may be lost.
extension ContentStore {
    /// Remembers that a manifest was pulled; the journal is told at most once an hour. Never blocks.
    package func noteUse(of digest: Digest) {
        if let record = self.catalog.noteUse(of: digest, at: self.now()) { self.journal.note(record) }
    }

    /// Counts pulls of a manifest; false when it is not stored. The journal is told with its next use, or by `notePulls`. Never blocks.
    @discardableResult
    package func notePull(of digest: Digest, count: Int64 = 1) -> Bool { self.catalog.notePull(of: digest, count: count) }

    /// Tells the journal of all pulls that it does not know yet. Not for event loops: it looks at everything.
    package func notePulls() {
        guard !self.isReadOnly else { return }
        for record in self.catalog.takeUntoldPulls() { self.journal.note(record) }
    }

    /// The same, and waits until the journal has them, for who reads it. Blocks.
    package func tellPulls() throws {
        guard !self.isReadOnly else { return }
        let records = self.catalog.takeUntoldPulls()
        if !records.isEmpty { try self.journal.appendAndWait(records) }
    }

    /// Nil when there are none, or the file is larger than `limit` bytes. Blocks.
    package func statistics(limit: Int) throws -> [UInt8]? { try self.root.contents(of: StoreLayout.statistics, limit: limit) }

    /// Replaces the file, durably. It has names of repositories, so it is its owner's, as the journal is. Blocks.
    package func keep(statistics bytes: [UInt8]) throws {
        try self.root.replace(StoreLayout.statistics, by: StoreLayout.newStatistics, with: bytes, mode: 0o600)
    }

    /// Moves a file that cannot be read out of the way. Blocks.
    package func putStatisticsAside() {
        guard !self.isReadOnly else { return }
        try? self.root.rename(StoreLayout.statistics, to: StoreLayout.badStatistics)  // the next file replaces it all the same
    }
}
