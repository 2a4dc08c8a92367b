import OCI
import Registry
import Testing

/// Distribution spec, "Endpoints"; RFC 9112, 3.2.
struct RouteTests {
    private static let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    /// A route, or its refusal, as a text for tables.
    private static func describe(_ target: String) -> String {
        do {
            return switch try Route(target: target) {
            case .base: "base"
            case .manifest(let name, let reference, let ns): "manifest \(name) \(reference)\(ns.map { " ns \($0)" } ?? "")"
            case .blob(let name, let digest, let ns): "blob \(name) \(digest.hex.prefix(4))\(ns.map { " ns \($0)" } ?? "")"
            case .tags(let name, let count, let after, let ns):
                Self.words("tags \(name)", ("n", count), ("after", after), ("ns", ns))
            case .referrers(let name, let digest, let type, let ns):
                Self.words("referrers \(name) \(digest.hex.prefix(4))", ("type", type), ("ns", ns))
            case .catalog(let count, let after, let ns): Self.words("catalog", ("n", count), ("after", after), ("ns", ns))
            case .health: "health"
            case .metrics: "metrics"
            case .ready: "ready"
            case .dashboard(let request): "dashboard \(request)"
            }
        } catch {
            return "\(error.status) \(error.code.rawValue)"
        }
    }

    private static func words(_ start: String, _ parts: (String, (any CustomStringConvertible)?)...) -> String {
        parts.reduce(start) { text, part in part.1.map { "\(text) \(part.0) \($0)" } ?? text }
    }

    @Test(
        "what is served",
        arguments: [
            ("/v2/", "base"), ("/v2", "base"), ("/v2/?ns=docker.io", "base"), ("/v2?x", "base"), ("/health", "health"),
            ("/ready", "ready"), ("/metrics", "metrics"), ("/health?verbose", "health"),
            ("/v2/nginx/manifests/latest", "manifest nginx latest"),
            ("/v2/library/nginx/manifests/1.27", "manifest library/nginx 1.27"),
            ("/v2/a/b/c/d/e/manifests/x", "manifest a/b/c/d/e x"), ("/v2/nginx/manifests/\(digest)", "manifest nginx \(digest)"),
            ("/v2/nginx/blobs/\(digest)", "blob nginx ba78"),
            ("/v2/ghcr.io/org/app/blobs/\(digest)", "blob ghcr.io/org/app ba78"),
            // A repository may be called like a part of the path.
            ("/v2/a/manifests/b/manifests/latest", "manifest a/manifests/b latest"),
            ("/v2/a/manifests/b/blobs/\(digest)", "blob a/manifests/b ba78"),
            ("/v2/blobs/manifests/latest", "manifest blobs latest"),
            ("/v2/manifests/manifests/manifests", "manifest manifests manifests"),
            ("/v2/blobs/blobs/\(digest)", "blob blobs ba78"), ("/v2/tags/list/manifests/x", "manifest tags/list x"),
            ("/v2/_catalog/manifests/x", "manifest _catalog x"), ("/v2/v2/manifests/v2", "manifest v2 v2"),
            ("/v2/registry.local:5000/a/manifests/x", "manifest registry.local:5000/a x"),
        ])
    func served(_ target: String, _ expected: String) {
        #expect(Self.describe(target) == expected)
    }

    @Test(
        "containerd's ns, and other parameters, which mean nothing",
        arguments: [
            ("/v2/a/manifests/x?ns=docker.io", "manifest a x ns docker.io"),
            ("/v2/a/manifests/x?ns=registry.local%3A5000", "manifest a x ns registry.local:5000"),
            ("/v2/a/manifests/x?ns=registry.local:5000", "manifest a x ns registry.local:5000"),
            ("/v2/a/blobs/\(digest)?x=1&ns=ghcr.io&y=2", "blob a ba78 ns ghcr.io"),
            ("/v2/a/manifests/x?ns=ghcr.io#ns=quay.io", "manifest a x ns ghcr.io"), ("/v2/a/manifests/x?", "manifest a x"),
            ("/v2/a/manifests/x?ns=", "manifest a x"), ("/v2/a/manifests/x?ns", "manifest a x"),
            ("/v2/a/manifests/x?NS=ghcr.io", "manifest a x"), ("/v2/a/manifests/x?dns=ghcr.io", "manifest a x"),
            ("/v2/a/manifests/x?ns=nothost", "notFound NAME_UNKNOWN"), ("/v2/a/manifests/x?ns=../x", "notFound NAME_UNKNOWN"),
            ("/v2/a/manifests/x?ns=http://169.254.169.254/", "notFound NAME_UNKNOWN"),
            ("/v2/a/manifests/x?ns=user@ghcr.io", "notFound NAME_UNKNOWN"),
            ("/v2/a/manifests/x?ns=ghcr.io%0d%0aX:y", "badRequest NAME_INVALID"),
            ("/v2/a/manifests/x?ns=ghcr.io%00", "badRequest NAME_INVALID"),
            ("/v2/a/manifests/x?ns=ghcr.io%0", "badRequest NAME_INVALID"),
            ("/v2/a/manifests/x?ns=%ff", "badRequest NAME_INVALID"),
            ("/v2/a/manifests/x?ns=ghcr.io&ns=quay.io", "badRequest NAME_INVALID"),
        ])
    func namespaces(_ target: String, _ expected: String) {
        #expect(Self.describe(target) == expected)
    }

    @Test(
        "the absolute form is a path like any other; its host chooses nothing",
        arguments: [
            ("http://evil.example/v2/a/manifests/x", "manifest a x"), ("HTTPS://evil.example:1/v2/", "base"),
            ("http://evil.example", "dashboard page"), ("http:///v2/", "badRequest UNSUPPORTED"),
            ("http://:80/v2/", "badRequest UNSUPPORTED"), ("http://", "badRequest UNSUPPORTED"),
            ("http://?x", "badRequest UNSUPPORTED"), ("http://evil.example?x=/v2/", "dashboard page"),
            ("http://user:pass@evil.example/v2/a/manifests/x?ns=ghcr.io", "manifest a x ns ghcr.io"),
            ("*", "badRequest UNSUPPORTED"),
            ("evil.example:443", "badRequest UNSUPPORTED"), ("", "badRequest UNSUPPORTED"), ("v2/", "badRequest UNSUPPORTED"),
            ("ftp://x/v2/", "badRequest UNSUPPORTED"), ("?ns=docker.io", "badRequest UNSUPPORTED"),
        ])
    func absoluteForms(_ target: String, _ expected: String) {
        #expect(Self.describe(target) == expected)
    }

    @Test(
        "A: encoded paths: a path is decoded once, and what would need a second time is refused",
        arguments: [
            "/v2/a%2fb/manifests/x", "/v2/a%2Fb/manifests/x", "/v2%2fa/manifests/x", "/v2/a%252fb/manifests/x",
            "/v2/a%25/manifests/x", "/v2/a%3fb/manifests/x", "/v2/a%23b/manifests/x", "/v2/a/manifests/x%3Fns=b",
            "/v2/a/manifests/x%00", "/v2/a/manifests/%00", "/v2/a/manifests/x\u{0}", "/v2/a%5cb/manifests/x",
            "/v2/a%5Cb/manifests/x",
            "/v2/a\\b/manifests/x", "/v2/a%0d%0ab/manifests/x", "/v2/a%20b/manifests/x", "/v2/a b/manifests/x",
            "/v2/a%7f/manifests/x",
            "/v2/a%c0%af/manifests/x", "/v2/a%c0%ae%c0%ae/manifests/x", "/v2/a%e0%80%af/manifests/x",
            "/v2/a%f0%80%80%af/manifests/x",
            "/v2/a%ed%a0%80/manifests/x", "/v2/a%ff/manifests/x", "/v2/a%c3%a9/manifests/x", "/v2/aé/manifests/x",
            "/v2/a%/manifests/x",
            "/v2/a%2/manifests/x", "/v2/a%zz/manifests/x", "/v2/a/manifests/x%", "/v2/a/manifests/x%2", "/v2/a%u002f/manifests/x",
            "/v2/a%+2/manifests/x", "/health%00", "/%00",
        ])
    func refusedEscapes(_ target: String) {
        #expect(Self.describe(target) == "badRequest NAME_INVALID")
    }

    @Test("an escape that stands for an ordinary character is that character")
    func ordinaryEscapes() {
        #expect(Self.describe("/v2/%61/manifests/1%2e0") == "manifest a 1.0")
        #expect(Self.describe("/v2/a/manifests/sha256%3A\(Self.digest.dropFirst(7))") == "manifest a \(Self.digest)")
        #expect(Self.describe("/%76%32/") == "base")
    }

    @Test(
        "A: encoded paths: empty components, and steps upwards, never make a name",
        arguments: [
            "/v2//manifests/x", "/v2/a//manifests/x", "/v2//a/manifests/x", "/v2/a/manifests//x", "/v2/a/manifests/",
            "/v2/a/manifests/x/",
            "/v2//", "//v2/", "/v2/./manifests/x", "/v2/../manifests/x", "/v2/a/../manifests/x", "/v2/%2e%2e/manifests/x",
            "/v2/a/%2e%2e/%2e%2e/manifests/x", "/v2/.%2e/manifests/x", "/v2/a/..%2fmanifests/x", "/v2/../../etc/passwd",
            "/v2/..;/manifests/x", "/v2/a/manifests/..", "/v2/a/manifests/%2e%2e", "/v2/a/blobs/..", "/../v2/a/manifests/x",
            "/v2/a/_oci/manifests/x", "/v2/A/manifests/x",
        ])
    func traversal(_ target: String) {
        do {
            let route = try Route(target: target)
            guard case .manifest(let name, _, _) = route else {
                Issue.record("\(target) is \(route)")
                return
            }
            // The name is judged where its registry is known, by the one parser of names.
            #expect(throws: ReferenceError.self) { try RepositoryName(parsing: name) }
        } catch {
            #expect([RegistryErrorCode.nameInvalid, .nameUnknown, .tagInvalid, .digestInvalid].contains(error.code))
        }
    }

    @Test(
        "lists, and how much of them",
        arguments: [
            ("/v2/a/b/tags/list", "tags a/b"), ("/v2/tags/tags/list", "tags tags"), ("/v2/a/tags/list?n=10", "tags a n 10"),
            ("/v2/a/tags/list?n=0", "tags a n 0"), ("/v2/a/tags/list?n=", "tags a"), ("/v2/a/tags/list?n=1000", "tags a n 1000"),
            ("/v2/a/tags/list?n=1001", "tags a n 1000"), ("/v2/a/tags/list?n=2147483648", "tags a n 1000"),
            ("/v2/a/tags/list?n=9223372036854775808", "tags a n 1000"),
            ("/v2/a/tags/list?n=18446744073709551616", "tags a n 1000"),
            ("/v2/a/tags/list?ns=ghcr.io&last=v1.0&n=2", "tags a n 2 after v1.0 ns ghcr.io"),
            ("/v2/a/tags/list?last=%761", "tags a after v1"), ("/v2/a/tags/list?n=-1", "badRequest PAGINATION_NUMBER_INVALID"),
            ("/v2/a/tags/list?n=%2b1", "badRequest PAGINATION_NUMBER_INVALID"),
            ("/v2/a/tags/list?n=abc", "badRequest PAGINATION_NUMBER_INVALID"),
            ("/v2/a/tags/list?n=1.5", "badRequest PAGINATION_NUMBER_INVALID"),
            ("/v2/a/tags/list?n=\u{661}", "badRequest PAGINATION_NUMBER_INVALID"),
            ("/v2/a/tags/list?n=1&n=1", "badRequest NAME_INVALID"), ("/v2/a/tags/list?last=-x", "badRequest TAG_INVALID"),
            ("/v2/a/tags/list?last=../x", "badRequest TAG_INVALID"), ("/v2/a/tags/list?last=a%0ab", "badRequest NAME_INVALID"),
            ("/v2/_catalog", "catalog"),
            ("/v2/_catalog?n=5&last=library/nginx&ns=ghcr.io", "catalog n 5 after library/nginx ns ghcr.io"),
            ("/v2/_catalog?n=-1", "badRequest PAGINATION_NUMBER_INVALID"), ("/v2/a/referrers/\(digest)", "referrers a ba78"),
            (
                "/v2/a/referrers/\(digest)?artifactType=application%2Fvnd.x%2Bjson&ns=ghcr.io",
                "referrers a ba78 type application/vnd.x+json ns ghcr.io"
            ), ("/v2/a/referrers/latest", "badRequest DIGEST_INVALID"),
            ("/v2/a/referrers/sha256:00", "badRequest DIGEST_INVALID"),
        ])
    func lists(_ target: String, _ expected: String) {
        #expect(Self.describe(target) == expected)
    }

    @Test(
        "references and digests are parsed at once",
        arguments: [
            ("/v2/a/manifests/-x", "badRequest TAG_INVALID"), ("/v2/a/manifests/.x", "badRequest TAG_INVALID"),
            ("/v2/a/manifests/x@y", "badRequest TAG_INVALID"), ("/v2/a/manifests/sha256:00", "badRequest DIGEST_INVALID"),
            ("/v2/a/manifests/md5:00000000000000000000000000000000", "badRequest DIGEST_INVALID"),
            ("/v2/a/blobs/latest", "badRequest DIGEST_INVALID"), ("/v2/a/blobs/sha256:00", "badRequest DIGEST_INVALID"),
            ("/v2/a/blobs/SHA256:\(digest.dropFirst(7))", "badRequest DIGEST_INVALID"),
            ("/v2/a/blobs/\(digest)0", "badRequest DIGEST_INVALID"),
            ("/v2/a/manifests/\(String(repeating: "x", count: 129))", "badRequest TAG_INVALID"),
        ])
    func badReferences(_ target: String, _ expected: String) {
        #expect(Self.describe(target) == expected)
    }

    @Test(
        "there is nothing else",
        arguments: [
            ("/dashboard", "notFound NAME_UNKNOWN"), ("/dashboard/x", "notFound NAME_UNKNOWN"), ("/v1/", "notFound NAME_UNKNOWN"),
            ("/V2/", "notFound NAME_UNKNOWN"),
            ("/v2x", "notFound NAME_UNKNOWN"), ("/healthz", "notFound NAME_UNKNOWN"), ("/health/", "notFound NAME_UNKNOWN"),
            ("/metrics/", "notFound NAME_UNKNOWN"), ("/v2/a", "notFound NAME_UNKNOWN"),
            ("/v2/manifests/x", "notFound NAME_UNKNOWN"),
            ("/v2/a/b/c", "notFound NAME_UNKNOWN"), ("/v2/a/Manifests/x", "notFound NAME_UNKNOWN"),
            ("/v2/a/tags/other", "notFound NAME_UNKNOWN"), ("/v2/a/blobs/uploads/", "badRequest NAME_INVALID"),
        ])
    func others(_ target: String, _ expected: String) {
        #expect(Self.describe(target) == expected)
    }

    @Test(
        "what shows the inside of the process",
        arguments: [("/health", true), ("/ready", true), ("/metrics", true), ("/v2/", false), ("/v2/a/manifests/x", false)])
    func operational(_ target: String, _ expected: Bool) throws {
        #expect(try Route(target: target).isOperational == expected)
    }
}
