/// A TCP connection that a test drives byte by byte, on a thread of its own.
///
/// Calls run in order. `close()` and `reset()` also end a call that is under way, which then throws `aborted`.
/// The connection closes when the last reference goes.
package final class RawConnection: Sendable {
    private let socket: Socket
    private let thread: SerialThread<ResponseReader>
    private let timeout: Duration

    private init(socket: Socket, timeout: Duration) {
        self.socket = socket
        self.timeout = timeout
        self.thread = SerialThread { ResponseReader(socket: socket, timeout: timeout) }
    }

    deinit { self.close() }

    /// - Parameters:
    ///   - receiveBuffer: `SO_RCVBUF`; a small one makes a slow reader felt by the server soon.
    ///   - timeout: the longest time without progress in any call.
    package static func connect(
        _ port: Int, receiveBuffer: Int? = nil, timeout: Duration = .seconds(30)
    ) async throws -> RawConnection {
        let socket = try await onThread { try Socket.connected(to: port, receiveBuffer: receiveBuffer) }
        return RawConnection(socket: socket, timeout: timeout)
    }

    // MARK: Sending

    package func send(_ bytes: [UInt8]) async throws {
        let timeout = self.timeout
        try await self.thread.run { try $0.socket.send(bytes, within: timeout) }
    }

    package func send(_ text: String) async throws { try await self.send(Array(text.utf8)) }

    /// Sends a request head; `Host` is added unless given.
    package func request(
        _ method: String = "GET", _ target: String, headers: [(String, String)] = []
    ) async throws {
        var text = "\(method) \(target) HTTP/1.1\r\n"
        if !headers.contains(where: { $0.0.lowercased() == "host" }) { text += "Host: 127.0.0.1\r\n" }
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        try await self.send(text + "\r\n")
    }

    /// Ends our side with FIN, as a client does that has asked all it wants to.
    package func endSending() async throws { try await self.thread.run { $0.socket.endSending() } }

    // MARK: Receiving

    /// The next head that is not 1xx. Read the body before it to its end first.
    ///
    /// - Parameter method: of the request it answers; a HEAD has no body.
    package func readHead(method: String = "GET") async throws -> RawHead {
        try await self.thread.run { try $0.readHead(of: method) }
    }

    /// One to `limit` bytes of the body as soon as some are there; empty when it has ended, see `ending()`.
    package func read(upTo limit: Int) async throws -> [UInt8] {
        try await self.thread.run { reader in
            var result: [UInt8] = []
            try reader.readPiece(upTo: limit) { result = Array($0) }
            return result
        }
    }

    /// Exactly `count` bytes of the body; throws `closed` if it ends before, however it ends.
    package func readBody(count: Int) async throws -> [UInt8] {
        try await self.thread.run { reader in
            var result: [UInt8] = []
            result.reserveCapacity(count)
            while result.count < count {
                try reader.readPiece(upTo: count - result.count) { result.append(contentsOf: $0) }
                if result.count < count, let ending = reader.ending {
                    throw TestSupportError(.closed, "\(ending) after \(result.count) of \(count) bytes")
                }
            }
            return result
        }
    }

    /// The rest of the body, whatever its end; only timeouts and our own closing throw.
    package func readToEnd(discardingBytes: Bool = false) async throws -> RawBody {
        try await self.thread.run { reader in
            let hasher = discardingBytes ? ContentHasher() : nil
            var bytes: [UInt8] = []
            if !discardingBytes, let count = reader.declaredRemainder { bytes.reserveCapacity(min(count, 1 << 30)) }
            var count = 0
            while reader.ending == nil {
                try reader.readPiece(upTo: .max) { piece in
                    count += piece.count
                    if let hasher { hasher.update(piece) } else { bytes.append(contentsOf: piece) }
                }
            }
            return RawBody(
                bytes: bytes, count: count, sha256: hasher?.finalizeHex(), ending: reader.ending ?? .complete)
        }
    }

    /// How the current body ended; `nil` while more may come.
    package func ending() async throws -> RawEnding? {
        try await self.thread.run { $0.ending }
    }

    /// Bytes as they come, heads and chunks included; empty after FIN, throws `reset` after RST.
    package func readRaw(upTo limit: Int) async throws -> [UInt8] {
        try await self.thread.run { try $0.readRaw(upTo: limit) }
    }

    // MARK: Ending

    package func close() {
        self.socket.abort()
        self.thread.enqueue { $0.socket.close() }
    }

    /// Ends the connection with RST; at once, or within 0.1 s if a call is under way.
    package func reset() {
        self.socket.abort(sendingFIN: false)
        self.thread.enqueue { $0.socket.reset() }
    }
}
