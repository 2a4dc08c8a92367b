import NIOCore

/// What a registry said before a blob's bytes.
package struct BlobHead: Sendable, Hashable {
    /// Where in the blob the body begins.
    package let offset: Int64
    /// Size of the whole blob in bytes; nil when the registry did not say.
    package let size: Int64?

    package init(offset: Int64, size: Int64?) {
        self.offset = offset
        self.size = size
    }
}

/// Takes a blob's bytes as they arrive, on the connection's event loop: nothing here may block.
package protocol BlobReceiver: AnyObject, Sendable {
    /// Called once before any bytes. Throwing ends the transfer.
    func receive(_ head: BlobHead) throws
    /// The next bytes are read from the upstream when the future is done; throwing ends the transfer.
    func receive(_ part: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Void>
}
