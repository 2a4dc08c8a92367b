/// Cuts the bytes of one connection into responses; confined to the connection's thread.
struct ResponseReader {
    private enum Framing {
        case length(remaining: Int)
        /// Inside a chunk: what is left of it.
        case chunk(remaining: Int)
        /// Before a chunk's size line; `isFirst` has no CR LF of a chunk before it.
        case chunkSize(isFirst: Bool)
        case untilClose
        case ended(RawEnding)
    }

    private static let readSize = 256 * 1024
    private static let lineLimit = 1 << 20

    let socket: Socket
    let timeout: Duration
    private var buffer: [UInt8] = []
    private var position = 0
    private var framing = Framing.ended(.complete)

    init(socket: Socket, timeout: Duration) {
        self.socket = socket
        self.timeout = timeout
    }

    private var available: Int { self.buffer.count - self.position }

    // MARK: Head

    /// The next head that is not 1xx; what is left of the body before it is not skipped.
    mutating func readHead(of method: String) throws -> RawHead {
        var informational: [Int] = []
        while true {
            let (status, reason, headers, raw) = try self.readAnyHead()
            if (100..<200).contains(status), status != 101 {
                informational.append(status)
                continue
            }
            let head = RawHead(
                status: status, reason: reason, headers: headers, informational: informational, raw: raw)
            self.framing = Self.framing(of: head, method: method)
            return head
        }
    }

    private mutating func readAnyHead() throws -> (Int, String, [(name: String, value: String)], [UInt8]) {
        while true {
            if let length = HeadLines.headLength(in: self.buffer[self.position...]) {
                let raw = Array(self.buffer[self.position..<(self.position + length)])
                self.position += length
                let lines = HeadLines.split(raw)
                let words = (lines.first ?? "").split(separator: " ", maxSplits: 2).map(String.init)
                guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
                    throw TestSupportError(.malformed, "status line \(lines.first ?? "")")
                }
                return (status, words.count > 2 ? words[2] : "", HeadLines.headers(lines.dropFirst()), raw)
            }
            guard self.available < Self.lineLimit else { throw TestSupportError(.malformed, "endless head") }
            guard try self.fill() else {
                throw TestSupportError(.closed, "before the end of a head, after \(self.available) bytes")
            }
        }
    }

    private static func framing(of head: RawHead, method: String) -> Framing {
        if method == "HEAD" || [204, 304].contains(head.status) { return .ended(.complete) }
        if let coding = head.header("Transfer-Encoding") {
            guard coding.lowercased() == "chunked", head.header("Content-Length") == nil else {
                return .ended(.malformed("Transfer-Encoding \(coding) with Content-Length or unknown"))
            }
            return .chunkSize(isFirst: true)
        }
        let lengths = head.headerValues("Content-Length")
        guard let text = lengths.first else { return .untilClose }
        guard lengths.count == 1, let length = Int(text), length >= 0 else {
            return .ended(.malformed("Content-Length \(lengths)"))
        }
        return length == 0 ? .ended(.complete) : .length(remaining: length)
    }

    // MARK: Body

    /// How the body ended, once it has.
    var ending: RawEnding? {
        if case .ended(let ending) = self.framing { return ending }
        return nil
    }

    /// How many bytes of body are still to come, when the head said so.
    var declaredRemainder: Int? {
        if case .length(let remaining) = self.framing { return remaining }
        return nil
    }

    /// Hands at most `limit` decoded bytes to `body`; without a call the body has ended.
    mutating func readPiece(upTo limit: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        while self.ending == nil {
            if case .chunkSize(let isFirst) = self.framing {
                try self.readChunkSize(isFirst: isFirst)
                continue
            }
            if self.available == 0, try !self.fillBody() { continue }
            let count = self.take(upTo: min(limit, self.available))
            try self.buffer.withUnsafeBytes { bytes in
                try body(UnsafeRawBufferPointer(rebasing: bytes[(self.position - count)..<self.position]))
            }
            return
        }
    }

    /// Counts the bytes off the framing and moves past them.
    private mutating func take(upTo limit: Int) -> Int {
        var count = limit
        switch self.framing {
        case .length(let remaining):
            count = min(count, remaining)
            self.framing = count == remaining ? .ended(.complete) : .length(remaining: remaining - count)
        case .chunk(let remaining):
            count = min(count, remaining)
            self.framing = count == remaining ? .chunkSize(isFirst: false) : .chunk(remaining: remaining - count)
        case .untilClose, .chunkSize, .ended: break
        }
        self.position += count
        return count
    }

    private mutating func readChunkSize(isFirst: Bool) throws {
        if !isFirst {
            guard let line = try self.readLine() else { return }
            guard line.isEmpty else { return self.end(.malformed("no line end after a chunk")) }
        }
        guard let line = try self.readLine() else { return }
        guard let size = Int(line.prefix { $0 != ";" }, radix: 16), size >= 0 else {
            return self.end(.malformed("chunk size \(line)"))
        }
        guard size == 0 else { return self.framing = .chunk(remaining: size) }
        while let trailer = try self.readLine() {
            if trailer.isEmpty { return self.end(.complete) }
        }
    }

    private mutating func readLine() throws -> String? {
        while true {
            if let lineFeed = self.buffer[self.position...].firstIndex(of: 10) {
                let line = self.buffer[self.position..<lineFeed]
                self.position = lineFeed + 1
                return String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
            }
            guard self.available < Self.lineLimit else {
                self.end(.malformed("endless line"))
                return nil
            }
            guard try self.fillBody() else { return nil }
        }
    }

    private mutating func end(_ ending: RawEnding) { self.framing = .ended(ending) }

    // MARK: Bytes

    /// Bytes as they come, without regard to heads and chunks; empty at the end of the connection.
    mutating func readRaw(upTo limit: Int) throws -> [UInt8] {
        if self.available == 0, try !self.fill() { return [] }
        let count = min(limit, self.available)
        self.position += count
        return Array(self.buffer[(self.position - count)..<self.position])
    }

    /// Fills the buffer; the end of the connection becomes the end of the body, and `false`.
    private mutating func fillBody() throws -> Bool {
        do {
            if try self.fill() { return true }
            if case .untilClose = self.framing { self.end(.unframed) } else { self.end(.closed) }
        } catch let error as TestSupportError where error.code == .reset {
            self.end(.reset)
        }
        return false
    }

    private mutating func fill() throws -> Bool {
        let (socket, timeout) = (self.socket, self.timeout)
        func receive(_ capacity: Int) throws -> [UInt8] {
            try [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                count = try socket.receive(into: UnsafeMutableRawBufferPointer(buffer), within: timeout)
            }
        }
        let bytes = try receive(Self.readSize)
        if self.available == 0 {
            self.buffer = bytes
        } else {
            self.buffer.removeFirst(self.position)
            self.buffer += bytes
        }
        self.position = 0
        return !bytes.isEmpty
    }
}
