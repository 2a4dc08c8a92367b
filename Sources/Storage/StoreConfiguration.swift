import OCI
import SystemPackage

/// What the store is told from outside.
package struct StoreConfiguration: Sendable, Hashable {
    package var path: FilePath
    /// Cap of the whole store in bytes; 0 is none.
    package var maxSize: Int64
    /// Bytes that stay free on the file system; below that nothing is stored.
    package var minFree: Int64
    /// Caps in bytes of what comes from one registry; none for a registry that is missing here.
    package var shares: [Namespace: Int64]
    /// Seconds after its last pull for which an image from a registry is kept, however much room there is; for ever from one that
    /// is missing here.
    package var retention: [Namespace: Int64]

    package init(
        path: FilePath, maxSize: Int64 = 0, minFree: Int64 = 1_000_000_000, shares: [Namespace: Int64] = [:],
        retention: [Namespace: Int64] = [:]
    ) {
        self.retention = retention
        self.path = path
        self.maxSize = maxSize
        self.minFree = minFree
        self.shares = shares
    }

    /// For callers that have the folder as text.
    package init(
        folder: String, maxSize: Int64, minFree: Int64, shares: [Namespace: Int64], retention: [Namespace: Int64] = [:]
    ) {
        self.init(path: FilePath(folder), maxSize: maxSize, minFree: minFree, shares: shares, retention: retention)
    }
}
