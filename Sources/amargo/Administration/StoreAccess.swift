import Storage

/// The store for commands that only read it.
enum StoreAccess {
    /// Blocks for as long as the journal is long.
    static func reader(_ settings: Settings) throws -> StoreReader {
        do {
            return try StoreReader(folder: settings.storePath)
        } catch let error as StorageError where error.code == .notFound {
            throw StorageError(
                .notFound,
                "there is no store at \(settings.storePath) (\(settings.origins["store.path"] ?? "default")); "
                    + "name another with --store")
        }
    }
}
