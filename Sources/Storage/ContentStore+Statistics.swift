/// Where the counts of what was served are kept: a small file that may be lost.
extension ContentStore {
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
