import NIOCore
import OCI
import Storage

/// A verified manifest in memory: exact bytes, and what they mean.
package struct ManifestContent: Sendable {
    package let digest: Digest
    package let mediaType: MediaType
    package let bytes: ByteBuffer
    /// Nil for a document that is passed on by digest but not kept, because readers could disagree about it.
    let facts: ManifestFacts?

    /// Checks what an upstream sent.
    ///
    /// - Parameters:
    ///   - mediaType: what the upstream says it is.
    ///   - knownType: what the same bytes came as before: a digest means one thing, for ever (CVE-2021-41190).
    ///   - expected: the digest it was asked by; without one the bytes must be a manifest beyond doubt.
    init(
        bytes: ByteBuffer, mediaType: MediaType?, knownType: (Digest) -> MediaType?, expected: Digest?, host: String
    ) throws {
        let digest = bytes.withUnsafeReadableBytes { Digest(expected?.algorithm ?? .sha256, of: $0) }
        guard expected == nil || digest == expected else {
            throw PullThroughError(.invalidUpstreamResponse, "\(host) sent another manifest than \(digest)")
        }
        guard let mediaType = knownType(digest) ?? mediaType else {
            throw PullThroughError(.invalidUpstreamResponse, "\(host) sent a manifest without a media type")
        }
        self.digest = digest
        self.mediaType = mediaType
        self.bytes = bytes
        do {
            self.facts = ManifestFacts(try bytes.withUnsafeReadableBytes { try Manifest(parsing: $0, as: mediaType) })
        } catch {
            guard expected != nil, mediaType.isManifest else {
                throw PullThroughError(.invalidUpstreamResponse, "the manifest that \(host) sent \(error)")
            }
            self.facts = nil
        }
    }
}
