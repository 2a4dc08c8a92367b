import NIOCore
import OCI

/// Tells a client that there is no room for its connection, and closes it without looking at what it asked.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let lingering: Duration
    private var forgotten = 0

    init(lingering: Duration) {
        self.lingering = lingering
    }

    func channelActive(context: ChannelHandlerContext) {
        let error = ErrorResponse(
            .serviceUnavailable, .unavailable, "there are too many connections; come back in a moment",
            retryAfter: Limits.Server.retryAfter)
        var response = ByteBuffer(string: error.closingResponse)
        response.writeImmutableBuffer(error.body)
        context.writeAndFlush(self.wrapOutboundOut(response), promise: nil)
        // Closing while the request is on its way would make the client see a reset instead of the answer.
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(self.lingering)) { [channel = context.channel] in
            channel.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.forgotten += self.unwrapInboundIn(data).readableBytes
        if self.forgotten > Limits.Server.pipelined { context.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
