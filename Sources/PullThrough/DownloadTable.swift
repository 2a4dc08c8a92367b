import OCI
import Synchronization

/// The downloads that are running: one for each digest and registry.
package final class DownloadTable: Sendable {
    /// A registry that hangs or denies must not answer for another that has the same content.
    private struct Key: Hashable {
        let digest: Digest
        let namespace: Namespace
    }

    private let downloads = Mutex<[Key: BlobDownload]>([:])

    package init() {}

    package var count: Int { self.downloads.withLock { $0.count } }

    package func download(_ digest: Digest, from namespace: Namespace) -> BlobDownload? {
        self.downloads.withLock { $0[Key(digest: digest, namespace: namespace)] }
    }

    /// The running download of a digest, or the one that `make` makes.
    func join(
        _ digest: Digest, from namespace: Namespace, _ make: () -> BlobDownload
    ) -> (download: BlobDownload, isNew: Bool) {
        let key = Key(digest: digest, namespace: namespace)
        return self.downloads.withLock { downloads in
            if let running = downloads[key] { return (running, false) }
            let download = make()
            downloads[key] = download
            return (download, true)
        }
    }

    func remove(_ download: BlobDownload) {
        self.downloads.withLock { downloads in
            let key = Key(digest: download.digest, namespace: download.source.repository.namespace)
            if downloads[key] === download { downloads[key] = nil }
        }
    }
}
