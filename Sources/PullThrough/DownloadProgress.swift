import OCI

/// How far a running download is, for people.
package struct DownloadProgress: Sendable {
    package let digest: Digest
    /// The registry's name in the configuration.
    package let upstream: String
    package let repository: QualifiedRepository
    /// Bytes that have come, also those of an earlier attempt.
    package let received: Int64
    /// Bytes of the whole; nil while nobody has said.
    package let size: Int64?
    /// Clients and others that wait for it.
    package let followers: Int
    package let elapsed: Duration
}

extension DownloadTable {
    /// The running downloads, the oldest first.
    package var progress: [DownloadProgress] {
        self.all.map(\.progress).sorted { ($0.elapsed, $0.digest.description) > ($1.elapsed, $1.digest.description) }
    }
}
