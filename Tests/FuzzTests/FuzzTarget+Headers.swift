import Foundation
import NIOHTTP1
import OCI

@testable import Registry
@testable import Upstream

/// What heads say, of requests and of responses, and request lines.
extension FuzzTarget {
    static let address = FuzzTarget(
        "address",
        corpus: [
            "https://registry-1.docker.io", "http://127.0.0.1:5000", "https://[::1]:8443/", "http://[fe80::1]",
            "https://a_b.c:65535",
            "https://REGISTRY.Local", "https://example.com/artifactory/docker/", "https://harbor.example/v2/proxy",
        ],
        words: nameWords + [
            "https://", "http://", "ftp://", "[", "]", "::", "[::1]", ":0", ":65536", ":-1", ":+1", "?", "#", "user@", "/", "//",
            "/..", "/v2", "%2f",
        ],
        text: { text in
            guard let address = UpstreamAddress(text) else { return .refused }
            guard UpstreamAddress(address.description) == address else { return .broken("\(address) is read as another") }
            if let port = address.port, !(1...65_535).contains(port) { return .broken("has port \(port)") }
            let rest = text.utf8.dropFirst(address.isSecure ? 8 : 7)
            guard text.utf8.starts(with: (address.isSecure ? "https://" : "http://").utf8),
                String(Substring(rest)).lowercased().hasPrefix(address.host)
            else { return .broken("leads to \(address)") }
            // Whoever dials reads the address once more, by Foundation, and must arrive at the same host.
            guard let url = URL(string: "\(address)/v2/") else { return .refused }
            let host = url.host.map { $0.contains(":") && !$0.hasPrefix("[") ? "[\($0)]" : $0 }
            guard host?.lowercased() == address.host, url.port == address.port,
                ["\(address.path)/v2/", "\(address.path)/v2"].contains(url.path),
                url.user == nil
            else { return .broken("\(address) is dialled as \(url.host ?? "nothing"):\(url.port ?? 0)") }
            return .accepted
        })

    static let challenge = FuzzTarget(
        "challenge",
        corpus: [
            #"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#,
            #"Basic realm="x", Bearer realm="http://a/token",service="s", Negotiate"#, #"bearer realm="http://a/token""#,
            #"Bearer realm=https://a/token , service=b"#,
            #"BEARER scope="a b c", realm="x\"y\\z" ,error="insufficient_scope""#,
        ],
        words: [
            "Bearer ", "Basic ", "Negotiate", "realm=", "realm=\"", "\"", "\\\"", "\\", ",", ", ", ",,", "=", "==", " ", "\t",
            "\r\n", "\n",
            "\u{0}", "é", "\u{7F}", "service=", "scope=\"", "REALM=\"x\"", "realm*=utf-8''x", "http://",
            String(repeating: "a", count: 4000),
        ],
        text: { text in
            guard let challenge = BearerChallenge(parsing: text) else { return .refused }
            // It may stand behind others: RFC 9110, 11.6.1.
            guard text.utf8.count <= 4096, text.lowercased().contains("bearer") else { return .broken("is no Bearer challenge") }
            let values = [challenge.realm, challenge.service, challenge.scope].compactMap { $0 }
            guard !challenge.realm.isEmpty, values.allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }) else {
                return .broken("has control characters, or no realm")
            }
            // RFC 9110, 5.6.4: the same written as quoted strings.
            func member(_ name: String, _ value: String?) -> String? {
                value.map { "\(name)=\"\($0.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\"" }
            }
            let members = [
                member("realm", challenge.realm), member("service", challenge.service), member("scope", challenge.scope),
            ]
            let written = "Bearer \(members.compactMap { $0 }.joined(separator: ", "))"
            guard written.utf8.count <= 4096 else { return .accepted }
            return BearerChallenge(parsing: written) == challenge ? .accepted : .broken("\(written) is read as another")
        })

    private static let rangeWords = [
        "bytes=", "bytes ", "bytes", "items=", "-", "--", ",", ", ", "=", "/", "*", " ", "+", "0", "00", "5", "x", "0x",
        "\u{661}", "\u{301}",
        "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "\u{0}", "\r\n",
        String(repeating: "9", count: 60), String(repeating: "0", count: 60),
    ]

    static let range = FuzzTarget(
        "range",
        corpus: [
            "bytes=0-0", "bytes=0-", "bytes=-5", "bytes=2-7", "bytes=-0", "bytes=5-4", "bytes=0-9223372036854775807",
            "bytes=9223372036854775807-", "bytes=1-2,3-4", "bytes=-9223372036854775808",
        ], words: rangeWords,
        check: { bytes, number in
            let sizes: [Int64] = [0, 1, 2, 7, 10, 65_536, 1 << 32, .max - 1, .max]
            let size = sizes[number % sizes.count]
            let text = String(decoding: bytes, as: UTF8.self)
            let expected = Self.range(text, size: size)
            let range = ByteRange(text, size: size)
            if case .part(let first, let end) = range, !(0 <= first && first < end && end <= size) {
                return .broken("\(range) is not within \(size)")
            }
            // RFC 9110, 14.2: a range that ends before it begins may be ignored as well as refused.
            let isInvalid = expected == .whole && range == .unsatisfiable && Grammar.byteRange.matches(text)
            guard range == expected || isInvalid else { return .broken("\(range) of \(size), not \(expected)") }
            if case .part = range { return .accepted } else { return .refused }
        })

    /// RFC 9110, 14.1.2, with numbers of any length: compared as digits, never converted before they are known to be small.
    private static func range(_ text: String, size: Int64) -> ByteRange {
        let groups = Grammar.byteRange.groups(text)
        guard groups.count == 3, !groups[1].isEmpty || !groups[2].isEmpty else { return .whole }
        let (first, last) = (Digits(groups[1]), Digits(groups[2]))
        if groups[1].isEmpty {
            guard last != Digits("0"), size > 0 else { return .unsatisfiable }
            return .part(first: last < Digits(String(size)) ? size - last.value : 0, end: size)
        }
        if !groups[2].isEmpty, last < first { return .whole }
        guard first < Digits(String(size)) else { return .unsatisfiable }
        let isOpen = groups[2].isEmpty || !(last < Digits(String(size)))
        return .part(first: first.value, end: isOpen ? size : last.value + 1)
    }

    static let contentRange = FuzzTarget(
        "content-range",
        corpus: [
            "bytes 0-0/1", "bytes 42-1233/1234", "bytes 42-1233/*", "bytes 0-9223372036854775806/9223372036854775807",
            "bytes 7-7/8",
        ], words: rangeWords,
        text: { text in
            let groups = Grammar.contentRange.groups(text)
            var expected = false
            if groups.count == 4 {
                let (first, last, size) = (Digits(groups[1]), Digits(groups[2]), Digits(groups[3]))
                let limit = Digits("9223372036854775808")
                expected = !(last < first) && last < limit && (groups[3] == "*" || last < size && size < limit)
            }
            guard let range = ContentRange(parsing: text) else {
                return expected ? .broken("a range by RFC 9110 is refused") : .refused
            }
            guard expected else { return .broken("no range by RFC 9110") }
            guard range.first == Digits(groups[1]).value, range.last == Digits(groups[2]).value,
                range.size == (groups[3] == "*" ? nil : Digits(groups[3]).value), 0 <= range.first, range.first <= range.last,
                range.size.map({ range.last < $0 }) ?? true
            else { return .broken("is \(range)") }
            return .accepted
        })

    static let accept = FuzzTarget(
        "accept",
        corpus: [
            "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json;q=0.5", "*/*",
            "application/*;q=0.1",
            "application/vnd.oci.image.index.v1+json;q=0, text/plain", "", "APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON",
        ],
        words: [
            ",", ", ", ";", ";q=0", "; q=0.000", ";q=1", ";q=", "q=0.0", "*/*", "*", "/", "application/", "application/*", " ",
            "\t", "\"", "\\",
            "\u{0}", "\u{301}", "é", "\u{212A}", "text/plain", ",,", ";;", String(repeating: ",", count: 500),
        ],
        text: { text in
            let header = AcceptHeader(HTTPHeaders([("Accept", text)]))
            var taken = false
            for type in [MediaType.ociManifest, .ociIndex, .dockerList] where header.accepts(type) {
                taken = true
                // RFC 9110, 12.5.1: who says something takes nothing that none of its ranges covers.
                let ranges = text.lowercased().filter { $0 != " " && $0 != "\t" }
                let isCovered = ["\(type)", "application/*", "*/*"].contains { ranges.contains($0) }
                let isSilent = text.split(separator: ",").allSatisfy { element in
                    let element = element.lowercased().filter { $0 != " " && $0 != "\t" }
                    return element.prefix { $0 != ";" }.isEmpty || element.contains("q=0") || element.contains("\u{0}")
                }
                guard isCovered || isSilent else { return .broken("takes \(type)") }
            }
            return taken ? .accepted : .refused
        })

    static let link = FuzzTarget(
        "link",
        corpus: [
            #"</v2/a/tags/list?n=2&last=b>; rel="next""#, "<https://evil.example/v2/_catalog?last=x>; rel=next",
            "<?n=1>;rel=\"next\"",
            #"</v2/a/referrers/sha256:00?page=2>; title="x"; rel="next""#,
        ],
        words: [
            "<", ">", "?", "#", "&", "=", ";", "rel=\"next\"", "rel=next", "rel=\"prev\"", ",", " ", "\r\n", "\n", "\u{0}", "é",
            "%0d%0a", "..",
            "//evil.example", "http://", "@", String(repeating: "x", count: 4090),
        ],
        text: { text in
            let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: HTTPHeaders([("Link", text)]))
            guard let query = RegistryClient.nextPage(head) else { return .refused }
            guard query.utf8.count <= 4096, query.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") })
            else {
                return .broken("the query \(query) ends a request line")
            }
            guard Data(text.utf8).range(of: Data("?\(query)>".utf8)) != nil else { return .broken("\(query) stands in no link") }
            return .accepted
        })

    static let route = FuzzTarget(
        "route",
        corpus: [
            "/v2/", "/health", "/v2/library/nginx/manifests/latest", "/v2/a/manifests/sha256:\(abc)?ns=docker.io",
            "/v2/ghcr.io/org/app/blobs/sha512:\(longABC)", "/v2/a/tags/list?n=10&last=v1&ns=registry.local%3A5000",
            "/v2/_catalog?n=5&last=a/b",
            "/v2/a/referrers/sha256:\(abc)?artifactType=application%2Fvnd.x%2Bjson", "http://evil.example/v2/a/manifests/x",
            "/v2/%61/manifests/1%2e0", "/v2/a/blobs/sha256%3A\(abc)",
        ],
        words: nameWords + [
            "/v2/", "/manifests/", "/blobs/", "/tags/list", "/referrers/", "_catalog", "?", "&", "=", "#", "ns=", "n=", "last=",
            "%2e%2e", "%2F",
            "%5c", "%25", "%00", "%c0%af", "%zz", "%41", "%C3%A9", "http://", "https://", "*", "+", "9223372036854775808",
            "artifactType=", "n=-1", "/", "/dashboard/images.json?q=", "/dashboard/disk.json?registry=", "&repository=",
            "&limit=", "&offset=",
            "&sort=size", "&order=desc", "/dashboard/traffic.json?window=",
        ],
        text: { text in
            guard let route = try? Route(target: text) else { return .refused }
            if let problem = Self.problem(with: route) { return .broken(problem) }
            // The same, written as plainly as can be, is the same request.
            let written = Self.target(of: route)
            guard let again = try? Route(target: written) else { return .broken("\(written) is refused") }
            return again == route ? .accepted : .broken("\(written) is \(again), not \(route)")
        })

    private static func problem(with route: Route) -> String? {
        func name(_ text: Substring) -> String? {
            // What is not the grammar's is refused where its registry is known; until then it must not be able to hide anything.
            let isPlain = text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"%\\".utf8.contains($0) }
            guard isPlain, !text.isEmpty, !"/\(text)/".contains("//") else { return "the name \(text) can be read in two ways" }
            let isName = (try? RepositoryName(parsing: text)) != nil
            return isName == Grammar.isName(text) ? nil : "the name \(text) is not judged by the grammar"
        }
        switch route {
        case .base, .health, .ready, .metrics: return nil
        case .dashboard(.images(let query)):
            let isSound = (1...100).contains(query.limit) && (0...1_000_000_000).contains(query.offset) && query.words.count <= 8
            return isSound ? nil : "a page is \(query)"
        case .dashboard(.disk(let registry, let repository)):
            return registry != nil || repository == nil ? nil : "\(repository, default: "") is of no registry"
        case .dashboard: return nil
        case .manifest(let path, .tag(let tag), _):
            return name(path) ?? (Grammar.tag.matches(tag.description) ? nil : "\(tag) is no tag")
        case .manifest(let path, .digest(let digest), _), .blob(let path, let digest, _), .referrers(let path, let digest, _, _):
            return name(path) ?? (Grammar.digest.matches(digest.description) ? nil : "\(digest) is no digest")
        case .tags(let path, let count, let after, _):
            if let after, !Grammar.tag.matches(after.description) { return "\(after) is no tag" }
            return name(path) ?? (count.map { (0...1000).contains($0) } ?? true ? nil : "the page has \(count ?? 0) elements")
        case .catalog(let count, let after, _):
            if let after, after.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "control characters in \(after)" }
            return count.map { (0...1000).contains($0) } ?? true ? nil : "the page has \(count ?? 0) elements"
        }
    }

    private static func target(of route: Route) -> String {
        func query(_ parts: (String, (any CustomStringConvertible)?)...) -> String {
            let pairs = parts.compactMap { name, value in
                value.map { value in
                    name + "=" + "\(value)".utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                }
            }
            return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
        }
        switch route {
        case .base: return "/v2/"
        case .health: return "/health"
        case .metrics: return "/metrics"
        case .ready: return "/ready"
        case .dashboard(.page): return "/"
        case .dashboard(.live): return "/dashboard/live.json"
        case .dashboard(.engines): return "/dashboard/engines.json"
        case .dashboard(.traffic(let window)): return "/dashboard/traffic.json\(query(("window", window.rawValue)))"
        case .dashboard(.disk(let registry, let repository)):
            return "/dashboard/disk.json\(query(("registry", registry), ("repository", repository)))"
        case .dashboard(.images(let page)):
            let order = page.isDescending ? "desc" : "asc"
            let words = page.words.joined(separator: " ")
            return "/dashboard/images.json"
                + query(
                    ("q", words), ("sort", page.order.rawValue), ("order", order), ("offset", page.offset), ("limit", page.limit))
        case .manifest(let name, let reference, let ns): return "/v2/\(name)/manifests/\(reference)\(query(("ns", ns)))"
        case .blob(let name, let digest, let ns): return "/v2/\(name)/blobs/\(digest)\(query(("ns", ns)))"
        case .tags(let name, let count, let after, let ns):
            return "/v2/\(name)/tags/list\(query(("n", count), ("last", after), ("ns", ns)))"
        case .referrers(let name, let digest, let type, let ns):
            return "/v2/\(name)/referrers/\(digest)\(query(("artifactType", type), ("ns", ns)))"
        case .catalog(let count, let after, let ns): return "/v2/_catalog\(query(("n", count), ("last", after), ("ns", ns)))"
        }
    }
}

/// A natural number of any length.
private struct Digits: Comparable {
    let text: Substring

    init(_ text: String) { self.text = text.drop { $0 == "0" } }

    /// Of one that is known to be small enough.
    var value: Int64 { Int64("0" + self.text) ?? -1 }

    static func < (left: Digits, right: Digits) -> Bool {
        (left.text.utf8.count, String(left.text)) < (right.text.utf8.count, String(right.text))
    }
}
