import NIOCore
import OCI

/// What a token service answers with: distribution, "Token Authentication Specification", "Requesting a Token".
struct TokenResponse: Hashable, Sendable, CustomStringConvertible {
    /// Never empty; printable ASCII without spaces, so that it can stand in a header.
    let token: String
    /// How long it is used, in seconds: within our own bounds whatever the service says.
    let lifetime: Int64
    /// What to ask with the next time, if the service gave it: RFC 6749, 1.5.
    let refreshToken: String?

    var description: String { "<redacted>" }

    /// - Parameter host: the service's, for messages.
    init(parsing body: ByteBuffer, host: String) throws {
        var value: String?
        var lifetime: Int64 = 60
        var refresh: String?
        do {
            try body.withUnsafeReadableBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch (key, try reader.peek()) {
                        case ("token", .string): value = try reader.string()
                        case ("access_token", .string):
                            let text = try reader.string()
                            value = value ?? text
                        case ("refresh_token", .string): refresh = try reader.string()
                        case ("expires_in", .number):
                            // A lifetime that is no integer is replaced by the default, not believed.
                            var copy = reader
                            if let seconds = try? copy.integer() { lifetime = seconds }
                            try reader.skipValue()
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            throw UpstreamError(.unavailable, "\(host) sent a token response that cannot be read: it \(error)")
        }
        guard let value, !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw UpstreamError(.unavailable, "\(host) sent a token response without a token")
        }
        self.token = value
        self.refreshToken = refresh
        self.lifetime = min(max(lifetime, 10), Limits.Upstream.tokenLifetime)
    }
}
