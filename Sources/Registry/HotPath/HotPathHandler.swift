import NIOCore

/// Answers plain requests for small content that is at hand, before any parser sees them; hands on everything else.
///
/// What is handed on is whole requests, as long as all that came on the connection could be told apart. From the first byte that could
/// not, the connection is the parser's alone: nobody but the parser knows where in it a request begins.
final class HotPathHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Step {
        case answer(ByteBuffer, count: Int)
        case handOn(count: Int)
        case parse
    }

    private let answers: ReadyAnswers
    /// In the same pipeline, and as long-lived.
    private unowned let connection: RegistryHandler
    private var isParsed = false
    private var hasAnswered = false

    init(answers: ReadyAnswers, connection: RegistryHandler) {
        self.answers = answers
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if self.isParsed { return context.fireChannelRead(data) }
        var bytes = self.unwrapInboundIn(data)
        while bytes.readableBytes > 0 {
            switch bytes.withUnsafeReadableBytes({ self.step($0, context) }) {
            case .answer(let answer, let count):
                bytes.moveReaderIndex(forwardBy: count)
                context.write(self.wrapOutboundOut(answer), promise: nil)
                self.hasAnswered = true
            case .handOn(let count):
                guard let request = bytes.readSlice(length: count) else { return }
                context.fireChannelRead(self.wrapInboundOut(request))
            case .parse:
                self.isParsed = true
                context.fireChannelRead(self.wrapInboundOut(bytes))
                return
            }
        }
    }

    private func step(_ bytes: UnsafeRawBufferPointer, _ context: ChannelHandlerContext) -> Step {
        guard let request = PlainRequest(in: bytes) else { return .parse }
        // In its turn, and not to somebody who does not take what he asked for already.
        guard self.connection.isAtRest, context.channel.isWritable, let answer = self.answers.answer(request, in: bytes) else {
            return .handOn(count: request.count)
        }
        return .answer(answer, count: request.count)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.hasAnswered {
            self.hasAnswered = false
            self.connection.noteAnswerAhead()
            context.flush()
        }
        context.fireChannelReadComplete()
    }
}
