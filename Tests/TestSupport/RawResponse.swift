/// The head of a response as it came.
package struct RawHead: Sendable {
    package let status: Int
    package let reason: String
    package let headers: [(name: String, value: String)]
    /// Status codes of the 1xx responses before it.
    package let informational: [Int]
    /// The bytes of the head, status line to empty line.
    package let raw: [UInt8]

    /// The first value of a header, whatever the case of its name.
    package func header(_ name: String) -> String? { self.headerValues(name).first }

    package func headerValues(_ name: String) -> [String] {
        self.headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
}

/// How a body ended.
package enum RawEnding: Sendable, Equatable {
    /// As its framing promised: all of `Content-Length`, or the last chunk.
    case complete
    /// By FIN alone, without a length or chunks that could say whether it is whole.
    case unframed
    /// By FIN, short of what was promised.
    case closed
    /// By RST.
    case reset
    case malformed(String)
}

/// A body, decoded from its chunks.
package struct RawBody: Sendable {
    /// Empty when the bytes were discarded.
    package let bytes: [UInt8]
    package let count: Int
    /// Lowercase hex of what was discarded, `nil` when the bytes were kept.
    package let sha256: String?
    package let ending: RawEnding

    package var isComplete: Bool { self.ending == .complete }
}

/// A response as a client without any leniency sees it.
package struct RawResponse: Sendable {
    package let head: RawHead
    package let content: RawBody

    package init(head: RawHead, content: RawBody) {
        self.head = head
        self.content = content
    }

    package var status: Int { self.head.status }
    package var headers: [(name: String, value: String)] { self.head.headers }
    package var body: [UInt8] { self.content.bytes }
    package var text: String { String(decoding: self.content.bytes, as: UTF8.self) }
    package var byteCount: Int { self.content.count }
    package var sha256: String? { self.content.sha256 }
    package var ending: RawEnding { self.content.ending }

    /// False when the body was cut, and when only the end of the connection ended it.
    package var isComplete: Bool { self.content.isComplete }

    package func header(_ name: String) -> String? { self.head.header(name) }
}
