import OCI
import Synchronization

/// The downloads that are running: one for each digest.
package final class DownloadTable: Sendable {
    private let downloads = Mutex<[Digest: BlobDownload]>([:])

    package init() {}

    package var count: Int { self.downloads.withLock { $0.count } }

    package func download(_ digest: Digest) -> BlobDownload? { self.downloads.withLock { $0[digest] } }

    /// The running download of a digest, or the one that `make` makes.
    func join(_ digest: Digest, _ make: () -> BlobDownload) -> (download: BlobDownload, isNew: Bool) {
        self.downloads.withLock { downloads in
            if let running = downloads[digest] { return (running, false) }
            let download = make()
            downloads[digest] = download
            return (download, true)
        }
    }

    func remove(_ download: BlobDownload) {
        self.downloads.withLock { downloads in
            if downloads[download.digest] === download { downloads[download.digest] = nil }
        }
    }
}
