import NIOCore
import OCI

/// A body from its first byte, of which the beginning is here already: that part is compared by its hash and dropped.
///
/// For registries that answer a request for the rest with the whole: bytes that clients have must not be followed by those of other
/// content.
struct PrefixReplay: ~Copyable {
    /// What is here already: so many bytes, with this hash.
    struct Known: Sendable {
        let digest: Digest
        let count: Int64

        init(_ verifier: borrowing DigestVerifier) {
            self.digest = verifier.digest()
            self.count = verifier.byteCount
        }
    }

    private let known: Known
    private var verifier: DigestVerifier

    init(of known: Known) {
        self.known = known
        self.verifier = DigestVerifier(known.digest.algorithm)
    }

    var count: Int64 { self.known.count }

    var isOver: Bool { self.verifier.byteCount == self.known.count }

    /// What is new in these parts.
    mutating func rest(of parts: [ByteBuffer]) throws -> [ByteBuffer] {
        var rest: [ByteBuffer] = []
        for var part in parts {
            let known = Int(min(self.count - self.verifier.byteCount, Int64(part.readableBytes)))
            if known > 0, let slice = part.readSlice(length: known) {
                slice.withUnsafeReadableBytes { self.verifier.update($0) }
                if self.isOver, self.verifier.digest() != self.known.digest {
                    throw PullThroughError(.invalidUpstreamResponse, "the upstream went on with other content than it began with")
                }
            }
            if part.readableBytes > 0 { rest.append(part) }
        }
        return rest
    }
}
