import OCI

/// What a registry's 401 asks for: a token from `realm` for `service` and `scope`.
///
/// Sources: RFC 6750, 3; RFC 9110, 11.2 (quoted strings, commas between parameters); distribution's token specification.
package struct BearerChallenge: Sendable, Hashable {
    package let realm: String
    package let service: String?
    package let scope: String?

    /// Reads a `WWW-Authenticate` value strictly; nil for other schemes, junk, or more than 4 KiB.
    package init?(parsing value: String) {
        let bearers = AuthenticationChallenge.all(in: value).compactMap { challenge in
            if case .bearer(let bearer) = challenge { bearer } else { nil }
        }
        guard let first = bearers.first else { return nil }
        self = first
    }

    fileprivate init?(_ parameters: [String: String]) {
        guard let realm = parameters["realm"], !realm.isEmpty else { return nil }
        self.realm = realm
        self.service = parameters["service"]
        self.scope = parameters["scope"]
    }
}

/// One of the ways in which a registry lets itself be convinced.
enum AuthenticationChallenge: Sendable, Hashable {
    case bearer(BearerChallenge)
    /// A name and a password with each request: RFC 7617.
    case basic
    /// A scheme that is not spoken here.
    case other(String)

    /// The challenges of a `WWW-Authenticate` value in their order; none when any part of it is malformed. Source: RFC 9110, 11.6.1.
    static func all(in value: String) -> [AuthenticationChallenge] {
        guard value.utf8.count <= Limits.Upstream.challenge else { return [] }
        var parser = Parser(rest: Substring(value).utf8)
        var challenges: [AuthenticationChallenge] = []
        guard var scheme = parser.token() else { return [] }
        while true {
            let hasParameters = parser.skipSpace()
            var parameters: [String: String] = [:]
            var next: String?
            if hasParameters, !parser.isAtEnd {
                guard parser.parameters(into: &parameters, next: &next) else { return [] }
            } else if !parser.isAtEnd {
                guard parser.consume(UInt8(ascii: ",")) else { return [] }
                parser.skipSpace()
                guard let name = parser.token() else { return [] }
                next = name
            }
            switch scheme.lowercased() {
            case "bearer":
                guard let bearer = BearerChallenge(parameters) else { return [] }
                challenges.append(.bearer(bearer))
            case "basic": challenges.append(.basic)
            default: challenges.append(.other(scheme))
            }
            guard let following = next else { return challenges }
            scheme = following
        }
    }
}

private struct Parser {
    var rest: Substring.UTF8View

    var isAtEnd: Bool { self.rest.isEmpty }

    /// - Returns: whether there was any.
    @discardableResult
    mutating func skipSpace() -> Bool {
        let count = self.rest.count
        self.rest = self.rest.drop { $0 == 0x20 || $0 == 0x09 }
        return self.rest.count != count
    }

    /// Reads `name=value` pairs up to the end, or up to the name of another scheme.
    mutating func parameters(into parameters: inout [String: String], next: inout String?) -> Bool {
        while true {
            guard let name = self.token() else { return false }
            guard self.consume(UInt8(ascii: "=")) else {
                // A token with a space, a comma or nothing behind it begins another challenge; the first has had no parameter yet.
                guard !parameters.isEmpty, self.isAtEnd || self.rest.first == 0x20 || self.rest.first == UInt8(ascii: ",") else {
                    return false
                }
                next = name
                return true
            }
            guard let text = self.quotedString() ?? self.token(),
                parameters.updateValue(text, forKey: name.lowercased()) == nil
            else { return false }
            self.skipSpace()
            if self.isAtEnd { return true }
            guard self.consume(UInt8(ascii: ",")) else { return false }
            self.skipSpace()
        }
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
