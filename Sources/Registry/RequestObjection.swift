import NIOHTTP1
import OCI

/// What makes a request that the parser took unfit to be answered: it could mean something else to whatever stands in front.
/// Sources: RFC 9112, 3.2 and 6.1; RFC 9110, 7.2.
extension ErrorResponse {
    /// - Returns: nil for a request that can be read in one way only.
    init?(objectingTo request: HTTPRequestHead) {
        let codings = Self.values("transfer-encoding", of: request)
        if request.version.major != 1 {
            self.init(.httpVersionNotSupported, .unsupported, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        } else if request.uri.utf8.count > Limits.Server.target {
            self.init(.uriTooLong, .unsupported, "a request target has at most \(Limits.Server.target) bytes")
        } else if !request.headers.allSatisfy({ $0.name.utf8.count + $0.value.utf8.count <= Limits.Server.headField }) {
            // The parser counts a name and its value by themselves.
            self.init(.headerOverflow, isInTarget: false)
        } else if !Self.areHosts(Self.values("host", of: request), asOf: request.version) {
            self.init(
                .badRequest, .unsupported, "an HTTP/1.1 request has one Host header: a name or an address, and perhaps a port")
        } else if !codings.isEmpty, request.version.minor == 0 {
            self.init(.badRequest, .unsupported, "HTTP/1.0 has no Transfer-Encoding")
        } else if codings.count > 1 || codings.contains(where: { $0.lowercased() != "chunked" }) {
            // The parser looks at the end of the last one only.
            self.init(.notImplemented, .unsupported, "the only Transfer-Encoding understood here is chunked")
        } else {
            return nil
        }
        self.endsConnection = true
    }

    /// One value a field. The parser leaves the whitespace behind a value.
    private static func values(_ name: String, of request: HTTPRequestHead) -> [Substring] {
        request.headers[name].map { value in
            let end = value.utf8.lastIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
            return end.map { value[...$0] } ?? ""
        }
    }

    /// HTTP/1.1 has exactly one, which may be empty; HTTP/1.0 need not have any.
    private static func areHosts(_ hosts: [Substring], asOf version: HTTPVersion) -> Bool {
        guard hosts.count == 1 else { return hosts.isEmpty && version.minor == 0 }
        return Self.isHost(hosts[0].utf8)
    }

    /// `uri-host [ ":" port ]`: RFC 3986, 3.2.2 and 3.2.3. It chooses nothing here, so its meaning is not looked at.
    private static func isHost(_ text: Substring.UTF8View) -> Bool {
        let isLiteral = text.first == UInt8(ascii: "[")
        let end = isLiteral ? text.firstIndex(of: UInt8(ascii: "]")) : text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
        guard let end else { return false }
        let name = isLiteral ? text[..<end].dropFirst() : text[..<end]
        let port = isLiteral ? text[end...].dropFirst() : text[end...]
        return (isLiteral ? name.allSatisfy(Self.isLiteralByte) : Self.isRegisteredName(name))
            && (port.isEmpty || port.first == UInt8(ascii: ":")) && port.dropFirst().allSatisfy { (0x30...0x39).contains($0) }
    }

    /// `*( unreserved / pct-encoded / sub-delims )`
    private static func isRegisteredName(_ name: Substring.UTF8View) -> Bool {
        var rest = name
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.prefix(2).count == 2, rest.prefix(2).allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
                    return false
                }
                rest = rest.dropFirst(2)
            } else if !Self.isPlainByte(byte) {
                return false
            }
        }
        return true
    }

    private static func isPlainByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "-._~!$&'()*+,;=".utf8.contains(byte)
        }
    }

    private static func isLiteralByte(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ":") || Self.isPlainByte(byte) }
}

extension HTTPRequestHead {
    /// Whether the client would rather speak another protocol from here on.
    var offersUpgrade: Bool {
        self.headers.contains(name: "upgrade")
            && self.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
    }
}
