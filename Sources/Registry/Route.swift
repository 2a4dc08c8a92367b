import OCI

/// What a request line asks for. Strings from outside end here.
///
/// One table, everything that is not in it is refused. Sources: distribution spec, "Endpoints"; RFC 9112, 3.2 for the
/// forms of a request target.
package enum Route: Hashable, Sendable {
    /// `/v2/`: is this a registry?
    case base
    case manifest(name: Substring, Reference, ns: Namespace?)
    case blob(name: Substring, Digest, ns: Namespace?)
    /// `count` is what the client asked for, at most; nil when it did not say.
    case tags(name: Substring, count: Int?, after: Tag?, ns: Namespace?)
    case referrers(name: Substring, Digest, artifactType: String?, ns: Namespace?)
    case catalog(count: Int?, after: String?, ns: Namespace?)
    case health
    case ready
    case dashboard(DashboardRequest)
    case metrics

    /// Whether the route shows the inside of this process, private names included.
    package var isOperational: Bool {
        switch self {
        case .health, .ready, .metrics, .dashboard: true
        default: false
        }
    }

    package init(target: String) throws(RouteError) {
        let (path, query) = try Self.split(target)
        switch path {
        case "/v2/", "/v2": self = .base
        case "/health": self = .health
        case "/ready": self = .ready
        case "/": self = .dashboard(.page)
        case _ where path.hasPrefix("/dashboard/"): self = try Self.dashboard(path.dropFirst(11), query)
        case "/metrics": self = .metrics
        default:
            guard path.hasPrefix("/v2/") else { throw RouteError(.notFound, .nameUnknown, "there is nothing at this path") }
            self = try Self.resource(path.dropFirst(4), query)
        }
    }

    private static func resource(_ path: Substring, _ query: Substring) throws(RouteError) -> Route {
        let ns = try Self.namespace(in: query)
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Substring($0) }
        guard !parts.contains(where: \.isEmpty) else {
            throw RouteError(.badRequest, .nameInvalid, "the path has an empty component")
        }
        if path == "_catalog" {
            return .catalog(count: try Self.count(in: query), after: try Self.parameter("last", in: query), ns: ns)
        }
        guard parts.count >= 3 else { throw RouteError(.notFound, .nameUnknown, "there is nothing at this path") }
        let name = path[..<parts[parts.count - 3].endIndex]
        let last = parts[parts.count - 1]
        do {
            switch parts[parts.count - 2] {
            case "manifests": return .manifest(name: name, try Reference(parsing: last), ns: ns)
            case "blobs": return .blob(name: name, try Digest(parsing: last), ns: ns)
            case "tags" where last == "list":
                let mark = try Self.parameter("last", in: query)
                return .tags(name: name, count: try Self.count(in: query), after: try mark.map { try Tag(parsing: $0) }, ns: ns)
            case "referrers":
                let type = try Self.parameter("artifactType", in: query)
                return .referrers(name: name, try Digest(parsing: last), artifactType: type, ns: ns)
            default: throw RouteError(.notFound, .nameUnknown, "there is nothing at this path")
            }
        } catch let error as ReferenceError {
            let code: RegistryErrorCode = error.code == .invalidTag ? .tagInvalid : .digestInvalid
            throw RouteError(.badRequest, code, error.description)
        } catch let error as RouteError {
            throw error
        } catch {
            throw RouteError(.badRequest, .nameInvalid, "\(error)")
        }
    }

    /// Takes the path out of an origin-form or absolute-form target and decodes it once.
    private static func split(_ target: String) throws(RouteError) -> (path: Substring, query: Substring) {
        var rest = Substring(target)
        if rest.utf8.first != UInt8(ascii: "/") {
            guard let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) }) else {
                throw RouteError(.badRequest, .unsupported, "the request target is no path")
            }
            rest = rest.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            // RFC 9110, 4.2.1: without a host it is no such URI.
            guard !authority.isEmpty, !authority.hasPrefix(":") else {
                throw RouteError(.badRequest, .unsupported, "the request target has no host")
            }
            rest = rest.dropFirst(authority.count)
            if !rest.hasPrefix("/") { rest = "/" + rest }
        }
        // By bytes: every character of a path that is none of ASCII's is refused.
        let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
        let query = Substring(rest.utf8[end...].dropFirst().prefix { $0 != UInt8(ascii: "#") })
        return (try Self.decode(rest[..<end]), query)
    }

    private static func decode(_ path: Substring) throws(RouteError) -> Substring {
        guard path.utf8.contains(UInt8(ascii: "%")) else {
            guard path.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }) else {
                throw RouteError(.badRequest, .nameInvalid, "the path has a character that no name has")
            }
            return path
        }
        guard let decoded = Self.percentDecoded(path.utf8) else {
            throw RouteError(.badRequest, .nameInvalid, "the path has a malformed escape")
        }
        // An escape that makes a separator, or another escape, can only be meant to be read twice.
        let escapes = path.lowercased()
        guard !escapes.contains("%2f"), !escapes.contains("%5c"), !decoded.utf8.contains(where: { "%?#".utf8.contains($0) }),
            decoded.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") })
        else { throw RouteError(.badRequest, .nameInvalid, "the path has an escape that no name needs") }
        return Substring(decoded)
    }

    private static func percentDecoded(_ text: Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        var iterator = text.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = iterator.next().flatMap(Self.hexValue), let low = iterator.next().flatMap(Self.hexValue) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// A parameter's value, decoded once; nil when it is missing or empty. One that stands twice means nothing.
    static func parameter(_ name: String, in query: Substring) throws(RouteError) -> String? {
        guard !query.isEmpty else { return nil }
        let pairs = query.split(separator: "&").filter { $0.hasPrefix("\(name)=") }
        guard let pair = pairs.first else { return nil }
        guard pairs.count == 1, let text = Self.percentDecoded(pair.dropFirst(name.utf8.count + 1).utf8),
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }), text.isStreamSafe
        else { throw RouteError(.badRequest, .nameInvalid, "the parameter \(name) is malformed") }
        return text.isEmpty ? nil : text
    }

    /// The parameter `n`, at most 1,000: distribution spec, "Listing Tags".
    private static func count(in query: Substring) throws(RouteError) -> Int? {
        guard let text = try Self.parameter("n", in: query) else { return nil }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw RouteError(.badRequest, .paginationNumberInvalid, "n must be a number, not \"\(text.prefix(32))\"")
        }
        return min(Int(text) ?? .max, Limits.Server.page)
    }

    /// containerd's `ns`: the registry that the image is of. Other parameters mean nothing here and go nowhere.
    private static func namespace(in query: Substring) throws(RouteError) -> Namespace? {
        guard let text = try Self.parameter("ns", in: query) else { return nil }
        do {
            return try Namespace(parsing: text)
        } catch {
            throw RouteError(.notFound, .nameUnknown, error.description)
        }
    }
}

/// Why a request line leads nowhere.
package struct RouteError: Error, Hashable, Sendable {
    package enum Status: Sendable {
        case badRequest, notFound
    }

    package let status: Status
    package let code: RegistryErrorCode
    package let message: String

    init(_ status: Status, _ code: RegistryErrorCode, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }
}
