/// What a registry's 401 asks for: a token from `realm` for `service` and `scope`.
///
/// Sources: RFC 6750, 3; RFC 9110, 11.2 (quoted strings, commas between parameters); distribution's token specification.
package struct BearerChallenge: Sendable, Hashable {
    package let realm: String
    package let service: String?
    package let scope: String?

    /// Reads a `WWW-Authenticate` value strictly; nil for other schemes, junk, or more than 4 KiB.
    package init?(parsing value: String) {
        guard value.utf8.count <= 4096 else { return nil }
        var parser = Parser(rest: Substring(value).utf8)
        guard let scheme = parser.token(), scheme.lowercased() == "bearer" else { return nil }
        parser.skipSpace()
        var parameters: [String: String] = [:]
        while true {
            guard let name = parser.token()?.lowercased(), parser.consume(UInt8(ascii: "=")),
                let text = parser.quotedString() ?? parser.token()
            else { return nil }
            guard parameters.updateValue(text, forKey: name) == nil else { return nil }
            parser.skipSpace()
            if parser.isAtEnd { break }
            guard parser.consume(UInt8(ascii: ",")) else { return nil }
            parser.skipSpace()
        }
        guard let realm = parameters["realm"], !realm.isEmpty else { return nil }
        self.realm = realm
        self.service = parameters["service"]
        self.scope = parameters["scope"]
    }
}

private struct Parser {
    var rest: Substring.UTF8View

    var isAtEnd: Bool { self.rest.isEmpty }

    mutating func skipSpace() {
        self.rest = self.rest.drop { $0 == 0x20 || $0 == 0x09 }
    }

    mutating func consume(_ byte: UInt8) -> Bool {
        guard self.rest.first == byte else { return false }
        self.rest = self.rest.dropFirst()
        return true
    }

    mutating func token() -> String? {
        let token = self.rest.prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "!#$%&'*+-.^_`|~:/".utf8.contains(byte)
            }
        }
        guard !token.isEmpty else { return nil }
        self.rest = self.rest.dropFirst(token.count)
        return String(Substring(token))
    }

    mutating func quotedString() -> String? {
        var position = self.rest.startIndex
        guard position != self.rest.endIndex, self.rest[position] == UInt8(ascii: "\"") else { return nil }
        var bytes: [UInt8] = []
        position = self.rest.index(after: position)
        while position != self.rest.endIndex {
            var byte = self.rest[position]
            position = self.rest.index(after: position)
            if byte == UInt8(ascii: "\"") {
                self.rest = self.rest[position...]
                return String(validating: bytes, as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") {
                guard position != self.rest.endIndex else { return nil }
                byte = self.rest[position]
                position = self.rest.index(after: position)
            }
            guard byte >= 0x20, byte != 0x7F else { return nil }
            bytes.append(byte)
        }
        return nil
    }
}
