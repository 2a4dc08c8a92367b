import Glibc
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
        } catch let error as StorageError where Self.isSomebodyElses(settings.storePath) {
            throw StorageError(error.code, "\(error.message); it belongs to somebody else, so run this as root or as its owner")
        }
    }

    private static func isSomebodyElses(_ path: String) -> Bool {
        var status = stat()
        return geteuid() != 0 && stat(path, &status) == 0 && status.st_uid != geteuid()
    }
}
