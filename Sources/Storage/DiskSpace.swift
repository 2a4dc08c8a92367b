/// What files take on a disk, where the file system need not be asked.
package enum DiskSpace {
    /// The unit in which the usual file systems hand out room, in bytes.
    static let block: Int64 = 4096

    /// Folders that every store has, in blocks: two algorithms with 256 shards each, and what is around them.
    private static let folders: Int64 = 2 * 257 + 16
    /// Blocks of a repository's layout besides the blobs it links: six folders, `oci-layout`, `index.json` and its successor.
    private static let layout: Int64 = 10
    /// What the names of a blob take in two folders, and its descriptor in an `index.json`, in bytes.
    private static let names: Int64 = 512

    /// Bytes of a store that are neither blobs nor files whose size is known otherwise.
    package static func overhead(blobs: Int, repositories: Int) -> Int64 {
        (Self.folders + Self.layout * Int64(repositories)) * Self.block + Self.names * Int64(blobs)
    }

    /// Bytes that a file of this size takes.
    package static func allocated(_ size: Int64) -> Int64 {
        let (rounded, overflow) = size.addingReportingOverflow(Self.block - 1)
        return overflow ? size : rounded / Self.block * Self.block
    }
}
