import Maintenance
import Storage

/// A store as it is at this moment, for commands that say what is in it: its journal and its files are read side by side.
struct StoreSurvey: Sendable {
    let usage: DiskUsage
    let space: StoreSpace

    /// - Parameter isMeasured: whether the disk is asked for every file; else sizes are made up from the journal.
    static func read(_ settings: Settings, isMeasured: Bool) async throws -> StoreSurvey {
        let path = settings.storePath
        async let blobs = Blocking.run { isMeasured ? try BlobScan(StoreRoot(folder: path)) : nil }
        async let folder = Blocking.run { isMeasured ? try FolderScan(StoreRoot(folder: path)) : nil }
        // Should there be no store, this says so best.
        let reader = try await Blocking.run {
            RunningServer.settlePulls(in: path)
            return try StoreAccess.reader(settings)
        }
        let (scan, rest) = (try await blobs, try await folder)
        return try await Blocking.run {
            let usage = DiskUsage(reader.catalog, measured: scan)
            if let scan, let rest {
                var space = StoreSpace(rest, scan, usage, in: reader.root)
                (space.maxSize, space.minFree) = (settings.maxSize, settings.minFree)
                return StoreSurvey(usage: usage, space: space)
            }
            var space = StoreSpace()
            space.journal = reader.replay?.size ?? 0
            space.folders = DiskSpace.overhead(
                blobs: reader.catalog.total.blobs, repositories: reader.catalog.repositoryCount)
            space.free = reader.root.availableBytes
            (space.maxSize, space.minFree) = (settings.maxSize, settings.minFree)
            return StoreSurvey(usage: usage, space: space)
        }
    }
}
