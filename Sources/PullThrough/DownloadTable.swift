import OCI
import Synchronization

/// The downloads that are running: one for each digest and registry.
package final class DownloadTable: Sendable {
    /// A registry that hangs or denies must not answer for another that has the same content; and where content is not everybody's,
    /// neither may one repository for another.
    private struct Key: Hashable {
        let digest: Digest
        let namespace: Namespace
        let repository: RepositoryName?

        init(_ digest: Digest, _ source: RoutedRepository) {
            self.digest = digest
            self.namespace = source.repository.namespace
            self.repository = source.upstream.isPrivate ? source.repository.name : nil
        }
    }

    private let downloads = Mutex<[Key: BlobDownload]>([:])

    package init() {}

    package var count: Int { self.downloads.withLock { $0.count } }

    var all: [BlobDownload] { self.downloads.withLock { Array($0.values) } }

    package func download(_ digest: Digest, in source: RoutedRepository) -> BlobDownload? {
        self.downloads.withLock { $0[Key(digest, source)] }
    }

    /// The running download of a digest, or the one that `make` makes; it counts one follower more.
    ///
    /// - Parameter make: is given the download that has been told to end and has not yet, if there is one.
    func join(
        _ digest: Digest, in source: RoutedRepository, _ make: (_ predecessor: BlobDownload?) -> BlobDownload
    ) -> (download: BlobDownload, isNew: Bool) {
        let key = Key(digest, source)
        return self.downloads.withLock { downloads in
            let running = downloads[key]
            if let running, running.join() { return (running, false) }
            let download = make(running)
            _ = download.join()
            downloads[key] = download
            return (download, true)
        }
    }

    func remove(_ download: BlobDownload) {
        self.downloads.withLock { downloads in
            let key = Key(download.digest, download.source)
            if downloads[key] === download { downloads[key] = nil }
        }
    }
}
