/// The tables and keys of a TOML file, as far as engines' configurations need: strings, lists of strings, booleans and numbers.
///
/// It reads tolerantly and says what it passed over: dates, inline tables and whatever else it does not know. Source: TOML 1.0.
struct TOMLDocument: Equatable, Sendable {
    enum Value: Equatable, Sendable {
        case text(String)
        case list([String])
        /// A boolean, a number, a date: as it is written.
        case word(String)
    }

    struct Table: Equatable, Sendable {
        /// `["plugins", "io.containerd.grpc.v1.cri", "registry"]`
        let path: [String]
        /// Which one of an array of tables it is in; nil outside of any.
        var number: Int?
        let line: Int
        /// Dotted keys are joined by dots.
        var values: [String: Value] = [:]
        var lines: [String: Int] = [:]

        func text(_ key: String) -> String? {
            guard case .text(let text)? = self.values[key] else { return nil }
            return text
        }

        func list(_ key: String) -> [String] {
            switch self.values[key] {
            case .list(let list): list
            case .text(let text): [text]
            default: []
            }
        }

        func isTrue(_ key: String) -> Bool { self.values[key] == .word("true") }
    }

    /// In the file's order; the first is the one without a name.
    private(set) var tables: [Table] = [Table(path: [], line: 1)]
    /// Lines that were not understood.
    private(set) var unread: [Int] = []

    func table(_ path: String...) -> Table? { self.tables.first { $0.path == path } }

    /// Values directly in the file.
    var root: Table { self.tables[0] }

    init(_ text: String) {
        var reader = Reader(Array(text.utf8))
        // How many tables an array has so far.
        var counts: [[String]: Int] = [:]
        while reader.skipBlank() {
            let line = reader.line
            if reader.take("[") {
                let isArray = reader.take("[")
                guard let path = reader.path(), reader.take("]"), !isArray || reader.take("]"), reader.endsLine() else {
                    self.unread.append(line)
                    reader.skipLine()
                    continue
                }
                if isArray { counts[path, default: 0] += 1 }
                // A table within an array's element is that element's.
                let number = path.indices.reversed().lazy.compactMap { counts[Array(path[...$0])] }.first
                self.tables.append(Table(path: path, number: number, line: line))
            } else {
                guard let key = reader.path(), reader.take("="), let value = reader.value(), reader.endsLine() else {
                    self.unread.append(line)
                    reader.skipLine()
                    continue
                }
                let name = key.joined(separator: ".")
                self.tables[self.tables.count - 1].values[name] = value
                self.tables[self.tables.count - 1].lines[name] = line
            }
        }
    }

    private struct Reader {
        private let bytes: [UInt8]
        private var position = 0
        private(set) var line = 1

        init(_ bytes: [UInt8]) {
            self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        }

        private var current: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

        private mutating func advance() {
            if self.current == 0x0A { self.line += 1 }
            self.position += 1
        }

        private mutating func skipSpace() {
            while let byte = self.current, byte == 0x20 || byte == 0x09 || byte == 0x0D { self.advance() }
        }

        /// Skips white space, comments and empty lines; false at the end.
        mutating func skipBlank() -> Bool {
            while let byte = self.current {
                switch byte {
                case 0x20, 0x09, 0x0D, 0x0A: self.advance()
                case UInt8(ascii: "#"): self.skipComment()
                default: return true
                }
            }
            return false
        }

        private mutating func skipComment() {
            while let byte = self.current, byte != 0x0A { self.position += 1 }
        }

        mutating func skipLine() {
            self.skipComment()
            if self.current != nil { self.advance() }
        }

        mutating func take(_ character: Character) -> Bool {
            self.skipSpace()
            guard let byte = self.current, byte == character.asciiValue else { return false }
            self.advance()
            return true
        }

        /// Whether nothing but a comment follows on this line.
        mutating func endsLine() -> Bool {
            self.skipSpace()
            if self.current == UInt8(ascii: "#") { self.skipComment() }
            return self.current == nil || self.current == 0x0A
        }

        /// Bare or quoted keys with dots between them.
        mutating func path() -> [String]? {
            var path: [String] = []
            repeat {
                self.skipSpace()
                if self.current == UInt8(ascii: "\"") || self.current == UInt8(ascii: "'") {
                    guard let key = self.string() else { return nil }
                    path.append(key)
                } else {
                    let start = self.position
                    while let byte = self.current, Self.isBare(byte) { self.position += 1 }
                    guard self.position > start else { return nil }
                    path.append(String(decoding: self.bytes[start..<self.position], as: UTF8.self))
                }
            } while self.take(".")
            return path
        }

        private static func isBare(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }

        mutating func value() -> Value? {
            self.skipSpace()
            switch self.current {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): return self.string().map { .text($0) }
            case UInt8(ascii: "["): return self.list()
            case UInt8(ascii: "{"), nil: return nil
            default:
                let start = self.position
                while let byte = self.current, byte != 0x0A, byte != UInt8(ascii: "#"), byte != UInt8(ascii: ","),
                    byte != UInt8(ascii: "]")
                {
                    self.position += 1
                }
                let word = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
                    .split(whereSeparator: \.isWhitespace).joined(separator: " ")
                return word.isEmpty ? nil : .word(word)
            }
        }

        /// A list of values, over several lines; only texts are kept.
        private mutating func list() -> Value? {
            self.advance()
            var texts: [String] = []
            while self.skipBlank() {
                if self.take("]") { return .list(texts) }
                guard let value = self.value() else { return nil }
                if case .text(let text) = value { texts.append(text) }
                _ = self.skipBlank()
                if !self.take(","), self.current != UInt8(ascii: "]") { return nil }
            }
            return nil
        }

        private mutating func string() -> String? {
            guard let quote = self.current else { return nil }
            let isLiteral = quote == UInt8(ascii: "'")
            let isLong = self.bytes[self.position...].starts(with: [quote, quote, quote])
            let end = [UInt8](repeating: quote, count: isLong ? 3 : 1)
            for _ in end { self.advance() }
            // A line break right behind the opening of a long one does not count.
            if isLong, self.current == 0x0A { self.advance() }
            var text: [UInt8] = []
            while let byte = self.current {
                if self.bytes[self.position...].starts(with: end) {
                    for _ in end { self.advance() }
                    return String(decoding: text, as: UTF8.self)
                }
                if byte == 0x0A, !isLong { return nil }
                if byte == UInt8(ascii: "\\"), !isLiteral {
                    self.advance()
                    guard let escape = self.current else { return nil }
                    text += Self.escape(escape)
                } else {
                    text.append(byte)
                }
                self.advance()
            }
            return nil
        }

        /// Those that paths and addresses may have; others stand as they are written.
        private static func escape(_ byte: UInt8) -> [UInt8] {
            switch byte {
            case UInt8(ascii: "n"): [0x0A]
            case UInt8(ascii: "t"): [0x09]
            case UInt8(ascii: "r"): [0x0D]
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): [byte]
            default: [UInt8(ascii: "\\"), byte]
            }
        }
    }
}
