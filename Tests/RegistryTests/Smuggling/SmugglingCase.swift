/// Raw bytes in front of a second request, and what RFC 9112 and RFC 9110 make of them.
struct SmugglingCase: Sendable {
    enum Verdict: Sendable {
        /// One error response, then the end of the connection; the second request does not exist.
        case refused
        /// A well-formed request; the second one is a request of its own.
        case accepted
        /// A well-formed request after which the connection ends; the second request does not exist.
        case last
        /// The specifications leave the choice: refused, or read as what it says, never as a third thing.
        case either
    }

    /// One character a byte: U+0080 to U+00FF stand for the bytes of those values.
    let text: String
    let verdict: Verdict
    let why: String

    init(_ verdict: Verdict, _ text: String, _ why: String) {
        self.text = text
        self.verdict = verdict
        self.why = why
    }

    var bytes: [UInt8] { self.text.unicodeScalars.map { UInt8($0.value) } }

    /// A request line and Host, to which fields are added.
    static let start = "GET /v2/ HTTP/1.1\r\nHost: a\r\n"

    /// A request with one more field line, or several, and whatever comes behind its head.
    static func field(_ verdict: Verdict, _ line: String, _ body: String, _ why: String) -> SmugglingCase {
        SmugglingCase(verdict, "\(Self.start)\(line)\r\n\r\n\(body)", why)
    }

    static func field(_ verdict: Verdict, _ line: String, _ why: String) -> SmugglingCase {
        Self.field(verdict, line, "", why)
    }

    static func chunks(_ verdict: Verdict, _ body: String, _ why: String) -> SmugglingCase {
        Self.field(verdict, "Transfer-Encoding: chunked", body, why)
    }

    static func line(_ verdict: Verdict, _ line: String, _ why: String) -> SmugglingCase {
        SmugglingCase(verdict, "\(line)\r\nHost: a\r\n\r\n", why)
    }
}

/// The cases, by what they twist.
enum SmugglingCorpus: String, CaseIterable, Sendable {
    case lengths, codings, chunks, names, values, lineEnds, hosts, requestLines, connections

    var cases: [SmugglingCase] {
        switch self {
        case .lengths: Self.lengthCases
        case .codings: Self.codingCases
        case .chunks: Self.chunkCases
        case .names: Self.nameCases
        case .values: Self.valueCases
        case .lineEnds: Self.lineEndCases
        case .hosts: Self.hostCases
        case .requestLines: Self.requestLineCases
        case .connections: Self.connectionCases
        }
    }
}
