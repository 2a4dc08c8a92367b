import NIOCore
import OCI

/// Sees what arrives before anything is parsed: the decoder shows nothing of a head that is sent one byte a minute, nor of what a
/// client sends while it is owed an answer.
final class ArrivalWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private enum Mode {
        case requests
        /// A request is being answered; what arrives are further ones.
        case answering(waiting: Int)
        /// Nothing more is answered; what arrives is forgotten.
        case discarding(forgotten: Int)
    }

    /// When the request began to arrive; nil while none is on its way.
    private(set) var beganAt: NIODeadline?
    /// Bytes of the request line, as far as it has arrived: says what was too long when the parser gives up.
    private(set) var requestLine = 0
    private var hasRequestLine = false
    private var mode = Mode.requests
    private let pipelined: Int

    init(pipelined: Int) {
        self.pipelined = pipelined
    }

    /// The request is complete.
    func finish() {
        self.beganAt = nil
        self.hasRequestLine = false
        self.requestLine = 0
    }

    func beginAnswer() { self.mode = .answering(waiting: 0) }

    func endAnswer() {
        guard case .answering = self.mode else { return }
        self.mode = .requests
        // What came in the meantime could not be read on: its time begins now.
        if self.beganAt != nil { self.beganAt = .now() }
    }

    func discard() { self.mode = .discarding(forgotten: 0) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        switch self.mode {
        case .requests: self.note(bytes)
        case .answering(let waiting):
            // The handler behind this one stops reading, but the kernel hands over everything when the client ends its side.
            guard waiting + bytes.readableBytes <= self.pipelined else { return context.close(promise: nil) }
            self.mode = .answering(waiting: waiting + bytes.readableBytes)
            self.note(bytes)
        case .discarding(let forgotten):
            guard forgotten + bytes.readableBytes <= Limits.Server.discarded else { return context.close(promise: nil) }
            self.mode = .discarding(forgotten: forgotten + bytes.readableBytes)
            return
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // Whoever would ask for more may be waiting for an answer that does not come any more.
        if case .discarding = self.mode { context.read() }
    }

    private func note(_ bytes: ByteBuffer) {
        if self.beganAt == nil { self.beganAt = .now() }
        guard !self.hasRequestLine else { return }
        let end = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\n"))
        self.hasRequestLine = end != nil
        self.requestLine += (end ?? bytes.writerIndex) - bytes.readerIndex
    }
}
