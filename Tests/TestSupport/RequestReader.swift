/// The head of a request, parsed with as little ceremony as possible.
struct RequestHead {
    let method: String
    let target: String
    let headers: [(name: String, value: String)]

    var path: String { String(self.target.prefix { $0 != "?" }) }

    init(parsing bytes: some Sequence<UInt8>) throws {
        let lines = HeadLines.split(Array(bytes))
        let words = (lines.first ?? "").split(separator: " ").map(String.init)
        guard words.count == 3 else {
            throw TestSupportError(.malformed, "request line \(lines.first ?? "")")
        }
        self.method = words[0]
        self.target = words[1]
        self.headers = HeadLines.headers(lines.dropFirst())
    }
}

/// What heads of requests and responses have in common.
enum HeadLines {
    static let terminator: [UInt8] = [13, 10, 13, 10]

    /// Splits bytes, not characters: to `String`, CR LF is one character.
    static func split(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 10, omittingEmptySubsequences: true).map { line in
            String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
        }.filter { !$0.isEmpty }
    }

    static func headers(_ lines: some Sequence<String>) -> [(name: String, value: String)] {
        lines.map { line in
            let name = line.prefix { $0 != ":" }
            let value = line.dropFirst(name.count + 1).drop { $0 == " " || $0 == "\t" }
            return (String(name), String(value))
        }
    }

    /// The length of the head with its empty line, once `bytes` hold all of it.
    static func headLength(in bytes: some Collection<UInt8>) -> Int? {
        var seen = 0
        var matched = 0
        for byte in bytes {
            seen += 1
            matched = byte == self.terminator[matched] ? matched + 1 : (byte == 13 ? 1 : 0)
            if matched == self.terminator.count { return seen }
        }
        return nil
    }
}

/// Cuts the bytes of one connection into requests; confined to the connection's thread.
struct RequestReader {
    private static let headLimit = 1 << 20

    let socket: Socket
    private var buffer: [UInt8] = []

    init(socket: Socket) { self.socket = socket }

    /// `nil` when the peer has closed between two requests.
    mutating func next() throws -> (head: RequestHead, raw: [UInt8], body: [UInt8])? {
        var headLength = HeadLines.headLength(in: self.buffer)
        while headLength == nil {
            guard self.buffer.count < Self.headLimit else { throw TestSupportError(.malformed, "endless head") }
            guard try self.fill() else {
                if self.buffer.isEmpty { return nil }
                throw TestSupportError(.closed, "inside a request head")
            }
            headLength = HeadLines.headLength(in: self.buffer)
        }
        let length = headLength ?? 0
        let head = try RequestHead(parsing: self.buffer.prefix(length))
        let declared = head.headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) } ?? 0
        while self.buffer.count < length + max(0, declared) {
            guard try self.fill() else { throw TestSupportError(.closed, "inside a request body") }
        }
        let raw = Array(self.buffer.prefix(length + max(0, declared)))
        self.buffer.removeFirst(raw.count)
        return (head, raw, Array(raw.dropFirst(length)))
    }

    private mutating func fill() throws -> Bool {
        let socket = self.socket
        let bytes = try [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
            count = try socket.receive(into: UnsafeMutableRawBufferPointer(buffer), within: nil)
        }
        self.buffer += bytes
        return !bytes.isEmpty
    }
}
