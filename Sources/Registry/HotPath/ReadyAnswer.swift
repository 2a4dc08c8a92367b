import NIOCore
import OCI
import PullThrough

/// An answer as it goes out, for one request target. Of one event loop.
final class ReadyAnswer {
    enum Content {
        case manifest(Reference)
        case blob(Digest)
    }

    /// All that the head says and that is not always the same for one target.
    struct Moment: Equatable {
        let digest: Digest
        let age: Int64?
        let lifetime: Int64?
        /// Unix seconds, for `Date`.
        let second: Int
    }

    let target: [UInt8]
    let hash: UInt64
    let directory: UpstreamDirectory
    let source: RoutedRepository
    let content: Content
    let line: (any HitLine)?
    /// Counts the hits.
    private(set) lazy var traffic = self.source.traffic
    /// Head and body.
    private(set) var bytes = ByteBuffer()
    /// Bytes of the head.
    private(set) var headCount = 0
    private(set) var moment: Moment?

    init(
        target: [UInt8], hash: UInt64, directory: UpstreamDirectory, source: RoutedRepository, content: Content,
        line: (any HitLine)?
    ) {
        self.target = target
        self.hash = hash
        self.directory = directory
        self.source = source
        self.content = content
        self.line = line
    }

    /// The body, if there is one and it is this content's.
    func body(of digest: Digest) -> ByteBuffer? {
        guard self.moment?.digest == digest else { return nil }
        return self.bytes.getSlice(at: self.bytes.readerIndex + self.headCount, length: self.bytes.readableBytes - self.headCount)
    }

    /// - Parameter body: verified.
    func set(_ head: ByteBuffer, _ body: ByteBuffer, at moment: Moment) {
        // A buffer of its own: the old one may still be on its way to somebody.
        var bytes = ByteBuffer()
        bytes.reserveCapacity(minimumWritableBytes: head.readableBytes + body.readableBytes)
        bytes.writeImmutableBuffer(head)
        bytes.writeImmutableBuffer(body)
        self.bytes = bytes
        self.headCount = head.readableBytes
        self.moment = moment
    }

    func forget() {
        self.bytes = ByteBuffer()
        self.headCount = 0
        self.moment = nil
    }

    var head: ByteBuffer { self.bytes.getSlice(at: self.bytes.readerIndex, length: self.headCount) ?? ByteBuffer() }
}
