import Glibc
import NIOHTTP1

/// Who may see the inside of this process: with `server.operations: loopback` its own host, by a name that is this host's.
///
/// A browser on this host is on this host whatever page it shows. A page from elsewhere whose name is made to lead here (DNS rebinding)
/// could read all of it, so a name that somebody else may own is refused; an address, `localhost`, a name without a dot and this host's
/// own are nobody else's. A proxy on this host is on this host whoever it asks for: what says that it was passed on is from elsewhere.
struct OperationsAccess {
    let reach: RegistryConfiguration.Reach
    /// In small letters.
    let names: Set<String>

    init(_ configuration: RegistryConfiguration) {
        self.reach = configuration.operations
        self.names = Set((configuration.hostNames + [Self.ownName]).map { $0.lowercased() })
    }

    /// Why a request for something operational is refused; nil when it is not.
    func refusal(_ route: Route, _ request: HTTPRequestHead, isLocal: Bool) -> ErrorResponse? {
        guard self.reach == .loopback else { return nil }
        guard isLocal, !Self.isPassedOn(request) else {
            var error = ErrorResponse(
                .notFound, .nameUnknown, "this path is served to its own host only (server.operations: loopback)")
            if case .dashboard(.page) = route { error.text = Self.explanation(request) }
            return error
        }
        guard let host = request.headers.first(name: "host"), !self.isOurs(host) else { return nil }
        return ErrorResponse(
            .misdirectedRequest, .denied,
            "this path is served by an address, by localhost or by this host's name only (server.operations: loopback)")
    }

    /// - Parameter host: as in the field of that name: `host`, `host:port`, `[address]:port`.
    func isOurs(_ host: String) -> Bool {
        let text = host.lowercased()
        if text.hasPrefix("[") { return true }
        let name = String(text.prefix { $0 != ":" })
        // An address with digits and dots alone is no name: WHATWG URL, "ends in a number".
        let last = name.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
        let isAddress = !last.isEmpty && last.utf8.allSatisfy { (0x30...0x39).contains($0) }
        return isAddress || !name.contains(".") || name.hasSuffix(".localhost") || self.names.contains(name)
    }

    /// Whether a proxy says that it asks for somebody else: RFC 7239, and what most write instead.
    private static func isPassedOn(_ request: HTTPRequestHead) -> Bool {
        ["forwarded", "x-forwarded-for", "x-real-ip"].contains { request.headers.contains(name: $0) }
    }

    private static var ownName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, 255) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// For whoever opened it in a browser.
    private static func explanation(_ request: HTTPRequestHead) -> String {
        let digits = request.headers.first(name: "host")?.split(separator: ":").last.map(String.init) ?? ""
        let port = digits.utf8.allSatisfy { (0x30...0x39).contains($0) } && !digits.isEmpty ? digits : "3000"
        return """
            This is Amargo, a cache for container images.

            Its dashboard shows private names, so it is served to the host that Amargo runs on and to no other:

              - open http://127.0.0.1:\(port)/ there,
              - or from here by way of ssh:  ssh -L \(port):127.0.0.1:\(port) HOST
              - or let everybody see it who reaches this port:  server.operations: all  in Amargo's configuration.

            """
    }
}
