import NIOCore
import PullThrough
import Storage

/// Where a response's body comes from. The connection pulls: nothing is read before it can be sent.
enum BodySource {
    case none
    case bytes(ByteBuffer)
    /// Stored content, sent by `sendfile` where the transport can.
    case file(ReadableFile, position: Int64, end: Int64)
    /// A download that is running; `end` is nil while nobody knows the size.
    case download(BlobDownload, position: Int64, end: Int64?)
    /// A stream of this client's own; bytes before `position` are skipped.
    case relay(BlobRelay, position: Int64, end: Int64?)
}
