import OCI

/// A request as engines send it, found in the bytes that have arrived without making anything of them.
///
/// Only what can be read in one way is taken: `GET` or `HEAD` by HTTP/1.1, visible ASCII, CRLF at each line's end, one plain `Host`,
/// no body, nothing that changes what follows on the connection. That is a part of what the parser takes, and both agree on where it
/// ends (RFC 9112, 2.1, 3 and 5). Everything else is the parser's.
struct PlainRequest {
    enum Method {
        case get, head
    }

    let method: Method
    /// Where the target is, counted from the first byte.
    let target: Range<Int>
    /// Where the values of `Accept` are.
    private(set) var accepts: Values
    /// Whether some field asks for more than the whole content: a part of it, or a condition.
    let isQualified: Bool
    /// Bytes, with the empty line.
    let count: Int

    /// A few ranges in place: a list would be memory for each request.
    struct Values {
        static let capacity = 8
        private var bounds: InlineArray<8, Range<UInt16>> = .init(repeating: 0..<0)
        private(set) var count = 0

        /// False when there is no room.
        mutating func append(_ range: Range<Int>) -> Bool {
            guard self.count < Self.capacity else { return false }
            self.bounds[self.count] = UInt16(range.lowerBound)..<UInt16(range.upperBound)
            self.count += 1
            return true
        }

        subscript(index: Int) -> Range<Int> { Int(self.bounds[index].lowerBound)..<Int(self.bounds[index].upperBound) }
    }

    /// Nil for what is not plain, or not whole.
    init?(in bytes: UnsafeRawBufferPointer) {
        // Longer ones are rare, and their offsets do not fit.
        let bytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(8 << 10))
        guard bytes.count >= 16 else { return nil }
        var position: Int
        switch bytes.loadUnaligned(as: UInt32.self).bigEndian {
        case 0x4745_5420:  // "GET "
            self.method = .get
            position = 4
        case 0x4845_4144 where bytes[4] == UInt8(ascii: " "):  // "HEAD"
            self.method = .head
            position = 5
        default: return nil
        }
        let start = position
        while position < bytes.count, Self.isTargetByte(bytes[position]) { position += 1 }
        self.target = start..<position
        guard position - start <= 2 << 10, bytes[start] == UInt8(ascii: "/"), Self.isVersion(bytes, at: position) else {
            return nil
        }
        position += 11
        var accepts = Values()
        var isQualified = false
        var hosts = 0
        var fields = 0
        while true {
            guard position + 1 < bytes.count else { return nil }
            if bytes[position] == UInt8(ascii: "\r") {
                guard bytes[position + 1] == UInt8(ascii: "\n") else { return nil }
                break
            }
            guard let field = Field(in: bytes, at: position), fields < 32 else { return nil }
            fields += 1
            position = field.end
            switch field.meaning(in: bytes) {
            case .none: break
            case .host: hosts += 1
            case .accept: guard accepts.append(field.value) else { return nil }
            case .qualifier: isQualified = true
            case .other: return nil
            }
        }
        guard hosts == 1 else { return nil }
        self.accepts = accepts
        self.isQualified = isQualified
        self.count = position + 2
    }

    /// ` HTTP/1.1` and the end of the line.
    private static func isVersion(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
        guard position + 11 <= bytes.count else { return false }
        return bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self).bigEndian == 0x2048_5454_502F_312E  // " HTTP/1."
            && bytes[position + 8] == UInt8(ascii: "1") && bytes[position + 9] == UInt8(ascii: "\r")
            && bytes[position + 10] == UInt8(ascii: "\n")
    }

    /// Visible, and nothing that has to be decoded or cut off: RFC 3986, 2.
    private static func isTargetByte(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "%") && byte != UInt8(ascii: "#") && byte != UInt8(ascii: "\\")
    }
}

extension PlainRequest {
    /// One line of the head.
    private struct Field {
        enum Meaning {
            /// Nothing here.
            case none
            case host, accept
            /// It asks for something else than the whole content.
            case qualifier
            /// It changes how the request, or what follows it, is read.
            case other
        }

        let name: Range<Int>
        /// Without the space around it.
        let value: Range<Int>
        /// Behind the line's end.
        let end: Int

        init?(in bytes: UnsafeRawBufferPointer, at start: Int) {
            var position = start
            while position < bytes.count, Self.isNameByte(bytes[position]) { position += 1 }
            guard position > start, position < bytes.count, bytes[position] == UInt8(ascii: ":") else { return nil }
            self.name = start..<position
            position += 1
            while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
            let first = position
            while position < bytes.count, (0x20...0x7E).contains(bytes[position]) || bytes[position] == 0x09 { position += 1 }
            guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\r"), bytes[position + 1] == UInt8(ascii: "\n")
            else {
                return nil
            }
            self.end = position + 2
            var last = position
            while last > first, Self.isSpace(bytes[last - 1]) { last -= 1 }
            self.value = first..<last
        }

        private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

        /// RFC 9110, 5.6.2, without those marks that no field's name in use has.
        private static func isNameByte(_ byte: UInt8) -> Bool {
            switch byte | 0x20 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte & 0x40 != 0
            default: (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
            }
        }

        func meaning(in bytes: UnsafeRawBufferPointer) -> Meaning {
            switch self.name.count {
            case 2 where self.isNamed("te", bytes): .other
            case 4 where self.isNamed("host", bytes): self.isPlainHost(bytes) ? .host : .other
            case 5 where self.isNamed("range", bytes): .qualifier
            case 6 where self.isNamed("accept", bytes): .accept
            case 6 where self.isNamed("expect", bytes): .other
            case 7 where self.isNamed("upgrade", bytes) || self.isNamed("trailer", bytes): .other
            case 8 where self.isNamed("if-range", bytes) || self.isNamed("if-match", bytes): .qualifier
            case 10 where self.isNamed("connection", bytes): self.hasValue("keep-alive", bytes) ? .none : .other
            case 13 where self.isNamed("if-none-match", bytes): .qualifier
            case 14 where self.isNamed("content-length", bytes): .other
            case 16 where self.isNamed("proxy-connection", bytes): .other
            case 17 where self.isNamed("transfer-encoding", bytes): .other
            default: .none
            }
        }

        private func isNamed(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) -> Bool {
            Self.equals(self.name, name, bytes)
        }

        private func hasValue(_ value: StaticString, _ bytes: UnsafeRawBufferPointer) -> Bool {
            Self.equals(self.value, value, bytes)
        }

        /// Without regard to case; the text is in lower case.
        private static func equals(_ range: Range<Int>, _ text: StaticString, _ bytes: UnsafeRawBufferPointer) -> Bool {
            guard range.count == text.utf8CodeUnitCount else { return false }
            for offset in 0..<range.count {
                let byte = bytes[range.lowerBound + offset]
                let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
                guard lower == text.utf8Start[offset] else { return false }
            }
            return true
        }

        /// A name or an IPv4 address, and perhaps a port: RFC 3986, 3.2.2.
        private func isPlainHost(_ bytes: UnsafeRawBufferPointer) -> Bool {
            var isPort = false
            for index in self.value {
                switch bytes[index] {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): break
                case UInt8(ascii: ":") where !isPort && index > self.value.lowerBound: isPort = true
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."),
                    UInt8(ascii: "-"), UInt8(ascii: "_"):
                    if isPort { return false }
                default: return false
                }
            }
            return !self.value.isEmpty
        }
    }
}

extension PlainRequest {
    /// Whether a client takes a type, as `AcceptHeader` has it; nil where a parameter or a quoted string has a say in it.
    func accepts(_ type: MediaType, in bytes: UnsafeRawBufferPointer) -> Bool? {
        var isSilent = true
        var isTaken = false
        var name = type.description
        return name.withUTF8 { name -> Bool? in
            let family = name.firstIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
            for index in 0..<self.accepts.count {
                var rest = UnsafeRawBufferPointer(rebasing: bytes[self.accepts[index]])
                while !rest.isEmpty {
                    var length = 0
                    while length < rest.count, rest[length] != UInt8(ascii: ",") {
                        guard rest[length] != UInt8(ascii: ";"), rest[length] != UInt8(ascii: "\"") else { return nil }
                        length += 1
                    }
                    let range = Self.trimmed(UnsafeRawBufferPointer(rebasing: rest[..<length]))
                    if !range.isEmpty {
                        isSilent = false
                        isTaken = isTaken || Self.covers(range, name, family)
                    }
                    rest = UnsafeRawBufferPointer(rebasing: rest[min(length + 1, rest.count)...])
                }
            }
            return isSilent || isTaken
        }
    }

    private static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var (start, end) = (0, bytes.count)
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    /// - Parameter family: how much of the name is in front of the subtype, with the slash.
    private static func covers(_ range: UnsafeRawBufferPointer, _ name: UnsafeBufferPointer<UInt8>, _ family: Int) -> Bool {
        func begins(_ count: Int) -> Bool {
            for index in 0..<count {
                let byte = range[index]
                let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
                guard lower == name[index] else { return false }
            }
            return true
        }
        if range.count == name.count, begins(name.count) { return true }
        guard range.count >= 3, range[range.count - 1] == UInt8(ascii: "*") else { return false }
        if range.count == 3, range[0] == UInt8(ascii: "*"), range[1] == UInt8(ascii: "/") { return true }
        return range.count == family + 1 && begins(family)
    }
}
