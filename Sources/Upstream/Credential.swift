/// What somebody proves to a registry who they are with. Never printed: its description says nothing of it.
package struct Credential: Sendable, Hashable {
    package enum Secret: Sendable, Hashable {
        case password(String)
        /// A refresh token, given to the token service for access tokens: Docker's `identitytoken`.
        case identityToken(String)
    }

    package let username: String
    package let secret: Secret

    package init(username: String, secret: Secret) {
        self.username = username
        self.secret = secret
    }

    /// The value of an `Authorization` header by the Basic scheme: RFC 7617; nil for what is no password.
    var basic: String? {
        guard case .password(let password) = self.secret else { return nil }
        return "Basic \(Base64.encode(Array("\(self.username):\(password)".utf8)))"
    }
}

extension Credential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Where a registry's credential comes from. Asked for each time it is needed, since files change and helpers renew what they give.
package protocol CredentialSource: Sendable {
    /// The credential for a registry; nil when there is none. May read files and run programs: never on an event loop.
    ///
    /// - Parameters:
    ///   - address: the registry that is asked.
    ///   - rejected: what the registry has just refused; something else is wanted if there is anything.
    func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential?
}

/// Base 64 without line breaks: RFC 4648, 4.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (16 - 8 * UInt32($1.offset)) }
            for index in 0..<4 {
                text.append(index <= group.count ? self.alphabet[Int(bits >> (18 - 6 * UInt32(index)) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
