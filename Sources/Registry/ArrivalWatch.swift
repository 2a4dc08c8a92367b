import NIOCore

/// Notes when the first byte of a request came, before anything is parsed: the decoder shows nothing of a head that is sent
/// one byte a minute.
final class ArrivalWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// When the request began to arrive; nil while none is on its way.
    private(set) var beganAt: NIODeadline?

    /// The request is complete.
    func finish() { self.beganAt = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if self.beganAt == nil { self.beganAt = .now() }
        context.fireChannelRead(data)
    }
}
