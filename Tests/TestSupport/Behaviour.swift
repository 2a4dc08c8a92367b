/// How the scripted upstream departs from proper service for one response.
///
/// A behaviour is a set of changes to the proper response; `combined` and `and` apply several to the same response, in
/// their order. Offsets count bytes of the body of *this* response (of a 206: of the part that it carries), without
/// chunk framing.
package struct Behaviour: Sendable {
    /// What replaces the proper response altogether.
    enum Takeover: Sendable {
        case close
        case reset
        /// Raw bytes in pieces, with a pause between two of them.
        case raw([[UInt8]], pause: Duration, thenClose: Bool)
        case endless(preface: [UInt8], repeating: [UInt8])
    }

    enum Framing: Sendable {
        case contentLength(Int)
        case chunked(size: Int, sendsEnd: Bool)
        case none
    }

    enum End: Sendable { case close, reset }

    struct Answer: Sendable {
        var status: Int
        var headers: [(name: String, value: String)]
        var body: [UInt8]
    }

    struct Hold: Sendable {
        let offset: Int
        let gate: Gate
    }

    enum HeaderChange: Sendable {
        case add(name: String, value: String)
        case set(name: String, value: String)
        case remove(name: String)
    }

    var gatesBeforeHead: [Gate] = []
    var takeover: Takeover?
    var answer: Answer?
    var ignoresRange = false
    var preface: [UInt8] = []
    var headerChanges: [HeaderChange] = []
    var bodyChanges: [@Sendable (inout [UInt8]) -> Void] = []
    var extraBytes = 0
    var framing: Framing?
    var holds: [Hold] = []
    var end: (kind: End, offset: Int)?
    var bytesPerSecond: Int?

    private init(_ change: (inout Behaviour) -> Void) { change(&self) }

    /// Both behaviours on one response; where only one can hold (framing, end, answer) the later wins.
    package func and(_ other: Behaviour) -> Behaviour {
        Behaviour { result in
            result = self
            result.gatesBeforeHead += other.gatesBeforeHead
            result.takeover = other.takeover ?? result.takeover
            result.answer = other.answer ?? result.answer
            result.ignoresRange = result.ignoresRange || other.ignoresRange
            result.preface += other.preface
            result.headerChanges += other.headerChanges
            result.bodyChanges += other.bodyChanges
            result.extraBytes += other.extraBytes
            result.framing = other.framing ?? result.framing
            result.holds += other.holds
            result.end = other.end ?? result.end
            result.bytesPerSecond = other.bytesPerSecond ?? result.bytesPerSecond
        }
    }

    package static func combined(_ behaviours: [Behaviour]) -> Behaviour {
        behaviours.reduce(.normal) { $0.and($1) }
    }

    package static var normal: Behaviour { Behaviour { _ in } }

    // MARK: Another answer

    package static func status(
        _ status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []
    ) -> Behaviour {
        Behaviour { $0.answer = Answer(status: status, headers: headers, body: body) }
    }

    package static func redirect(to location: String, status: Int = 307) -> Behaviour {
        self.status(status, headers: [("Location", location)])
    }

    /// These bytes and nothing else; without `thenClose` the connection is kept.
    package static func raw(_ bytes: [UInt8], thenClose: Bool) -> Behaviour {
        self.rawPieces([bytes], pause: .zero, thenClose: thenClose)
    }

    package static func raw(_ text: String, thenClose: Bool) -> Behaviour {
        self.raw(Array(text.utf8), thenClose: thenClose)
    }

    /// Raw bytes in separate writes.
    package static func rawPieces(_ pieces: [[UInt8]], pause: Duration, thenClose: Bool) -> Behaviour {
        Behaviour { $0.takeover = .raw(pieces, pause: pause, thenClose: thenClose) }
    }

    /// `preface`, then `repeating` again and again until the peer goes away.
    package static func endless(preface: String, repeating: String) -> Behaviour {
        Behaviour { $0.takeover = .endless(preface: Array(preface.utf8), repeating: Array(repeating.utf8)) }
    }

    /// FIN instead of an answer.
    package static var closeImmediately: Behaviour { Behaviour { $0.takeover = .close } }

    /// RST instead of an answer.
    package static var reset: Behaviour { Behaviour { $0.takeover = .reset } }

    // MARK: Time

    /// Holds before the first byte of the head; also in front of a takeover.
    package static func stallBeforeHead(_ gate: Gate) -> Behaviour { Behaviour { $0.gatesBeforeHead = [gate] } }

    /// Sends the head and `bytes` bytes of the body, and the rest when the gate opens.
    ///
    /// At the body's length or beyond it: before the last chunk, or before the connection is free again.
    package static func holdAfter(bytes: Int, _ gate: Gate) -> Behaviour {
        Behaviour { $0.holds = [Hold(offset: bytes, gate: gate)] }
    }

    /// Limits the body's speed; the head goes at once.
    package static func throttle(bytesPerSecond: Int) -> Behaviour {
        Behaviour { $0.bytesPerSecond = max(1, bytesPerSecond) }
    }

    // MARK: Ends

    /// RST after the head and `bytes` bytes of the body, once the peer's kernel has acknowledged them (or 1 s later).
    ///
    /// A peer that reads before it looks at errors sees all of them.
    package static func resetAfter(bytes: Int) -> Behaviour { Behaviour { $0.end = (.reset, bytes) } }

    /// A clean FIN after the head and `bytes` bytes of the body.
    package static func closeAfter(bytes: Int) -> Behaviour { Behaviour { $0.end = (.close, bytes) } }

    // MARK: Head

    /// Raw bytes before the status line, such as 1xx responses.
    package static func preface(_ text: String) -> Behaviour { Behaviour { $0.preface = Array(text.utf8) } }

    /// One more header field; an existing one of that name stays.
    package static func header(_ name: String, _ value: String) -> Behaviour {
        Behaviour { $0.headerChanges = [.add(name: name, value: value)] }
    }

    package static func replaceHeader(_ name: String, _ value: String) -> Behaviour {
        Behaviour { $0.headerChanges = [.set(name: name, value: value)] }
    }

    package static func withoutHeader(_ name: String) -> Behaviour {
        Behaviour { $0.headerChanges = [.remove(name: name)] }
    }

    package static func wrongContentType(_ type: String) -> Behaviour { self.replaceHeader("Content-Type", type) }

    /// Answers a request with `Range` as if it had none: 200 and everything.
    package static var ignoreRange: Behaviour { Behaviour { $0.ignoresRange = true } }

    // MARK: Body and framing

    /// Flips the lowest bit of one byte; the length stays right. A negative index counts from the end.
    package static func corrupt(at index: Int) -> Behaviour {
        self.editBody { body in
            let position = index < 0 ? body.count + index : index
            if body.indices.contains(position) { body[position] ^= 1 }
        }
    }

    /// Changes the body (drop, double, swap); `Content-Length` follows, the other headers do not.
    package static func editBody(_ change: @escaping @Sendable (inout [UInt8]) -> Void) -> Behaviour {
        Behaviour { $0.bodyChanges = [change] }
    }

    /// Sends more zero bytes than `Content-Length` says, then closes.
    package static func extraBytes(_ count: Int) -> Behaviour { Behaviour { $0.extraBytes = count } }

    /// A `Content-Length` that lies; the body stays, then the connection closes.
    package static func contentLength(_ length: Int) -> Behaviour {
        Behaviour { $0.framing = .contentLength(length) }
    }

    /// No `Content-Length`, chunks of this size.
    package static func chunked(chunkSize: Int = 16_384) -> Behaviour {
        Behaviour { $0.framing = .chunked(size: max(1, chunkSize), sendsEnd: true) }
    }

    /// All the chunks, but a FIN in place of the last one of size 0.
    package static var chunkedWithoutEnd: Behaviour {
        Behaviour { $0.framing = .chunked(size: 16_384, sendsEnd: false) }
    }

    /// Neither length nor chunks: the body ends with the connection.
    package static var unframed: Behaviour { Behaviour { $0.framing = Framing.none } }
}
