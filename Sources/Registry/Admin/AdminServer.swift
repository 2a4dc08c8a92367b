import Archive
import Glibc
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Storage
import Synchronization

/// Answers on `amargo.sock` for whoever holds the store: a request is one line of JSON, and so is each event of the answer.
///
/// The socket lies in the store's folder and is its owner's alone; nothing that is reachable over the network changes a store.
package final class AdminServer: Service {
    /// A request's line may have so many bytes: names of ten thousand images.
    private static let lineLimit = 4 << 20

    private let administration: StoreAdministration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let listener = Mutex<(any Channel)?>(nil)

    package init(_ administration: StoreAdministration, group: any EventLoopGroup, logger: Logger) {
        self.administration = administration
        self.group = group
        self.logger = logger
    }

    /// Listens until the process is asked to stop.
    package func run() async throws {
        await self.start()
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        await withGracefulShutdownHandler {
            for await _ in stream {}
        } onGracefulShutdown: {
            continuation.finish()
        }
        await self.stop()
    }

    /// Begins to listen. A store whose disk has no sockets is served all the same; commands cannot reach its holder then.
    package func start() async {
        guard !self.administration.store.isReadOnly else { return }
        do {
            let descriptor = try await self.administration.store.run { try self.administration.store.listenForCommands() }
            let administration = self.administration
            let channel = try await ServerBootstrap(group: self.group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            ByteToMessageHandler(LineDecoder(), maximumBufferSize: Self.lineLimit))
                        try channel.pipeline.syncOperations.addHandler(Handler(administration))
                    }
                }
                .withBoundSocket(descriptor).get()
            self.listener.withLock { $0 = channel }
        } catch {
            self.logger.warning("Commands cannot reach this process: \(error)")
        }
    }

    package func stop() async {
        let channel = self.listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        guard let channel else { return }
        try? await channel.close()  // it may have failed by itself
        // Nothing may change the store once its lock is given back.
        await self.administration.finish()
        do {
            try await self.administration.store.run { self.administration.store.stopListening() }
        } catch {
            self.logger.debug("The socket's name stays", metadata: ["error": "\(error)"])
        }
    }

    /// Cuts at LF.
    private struct LineDecoder: ByteToMessageDecoder {
        typealias InboundOut = [UInt8]

        mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) -> DecodingState {
            guard let length = buffer.readableBytesView.firstIndex(of: 0x0A).map({ $0 - buffer.readerIndex }),
                let line = buffer.readBytes(length: length)
            else { return .needMoreData }
            buffer.moveReaderIndex(forwardBy: 1)
            context.fireChannelRead(Self.wrapInboundOut(line))
            return .continue
        }

        mutating func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) -> DecodingState {
            .needMoreData
        }
    }

    /// One request after the other, on one connection.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = [UInt8]
        typealias OutboundOut = ByteBuffer

        private let administration: StoreAdministration
        /// End what was begun for this client and is for it alone.
        private var endings: [@Sendable () -> Void] = []

        init(_ administration: StoreAdministration) {
            self.administration = administration
        }

        func channelInactive(context: ChannelHandlerContext) {
            for end in self.endings { end() }
            self.endings = []
            context.fireChannelInactive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let channel = context.channel
            let emit: @Sendable (AdminEvent) -> Void = { event in
                // Who does not listen now hears how far it is later.
                guard event.kind != "progress" || channel.isWritable else { return }
                channel.writeAndFlush(ByteBuffer(string: event.json + "\n"), promise: nil)
            }
            let request: AdminRequest
            do {
                let event = try AdminEvent(parsing: Self.unwrapInboundIn(data))
                guard let known = AdminRequest(event) else {
                    emit(AdminEvent("error").with("message", "the process that holds the store does not know \"\(event.kind)\""))
                    emit(AdminEvent("end").with("code", 1))
                    return
                }
                request = known
            } catch {
                emit(AdminEvent("error").with("message", "the request \(error)"))
                emit(AdminEvent("end").with("code", 1))
                return
            }
            let administration = self.administration
            if administration.answer(request, emit) { return }
            guard case .importBundles(_, let inputs) = request else {
                if let end = administration.start(request, emit: emit) { self.endings.append(end) }
                return
            }
            guard let supply = Self.supply(inputs.count, context, emit) else {
                emit(AdminEvent("error").with("message", "no descriptor is left for the connection"))
                return emit(AdminEvent("end").with("code", 2))
            }
            administration.start(request, supply) { event in
                emit(event)
                // What comes from here on are requests again.
                if event.kind == "end" { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
            }
        }

        /// The bundles of who is at the other end. Descriptors come beside bytes, where the event loop does not look: while an import runs,
        /// its thread is the one that reads.
        private static func supply(
            _ count: Int, _ context: ChannelHandlerContext, _ emit: @escaping @Sendable (AdminEvent) -> Void
        ) -> BundleSupply? {
            context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
            // Who asks sends nothing before it is asked, so nothing is lost between the two.
            let socket = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
                dup($0)
            }
            guard let socket, socket >= 0 else { return nil }
            _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
            return BundleSupply(count, RemoteBundles(socket: socket) { emit(BundleQuestion.event($0, $1)) })
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
