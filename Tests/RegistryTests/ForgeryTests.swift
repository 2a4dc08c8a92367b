import Foundation
import TestSupport
import Testing

@testable import Registry

/// Requests that would rather be read as something else: as an address, a path, another digest.
@Suite(.serialized) struct ForgeryTests {
    private static let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    // MARK: - Addresses

    /// `SILENT` is the address of somebody who must never be asked.
    private static let targets = [
        "/v2/library/nginx/manifests/x?ns=SILENT", "/v2/library/nginx/manifests/x?ns=http://SILENT/",
        "/v2/library/nginx/manifests/x?ns=//SILENT",
        "/v2/library/nginx/manifests/x?ns=docker.io@SILENT", "/v2/library/nginx/manifests/x?ns=docker.io/SILENT",
        "/v2/library/nginx/manifests/x?ns=docker.io%23SILENT", "/v2/library/nginx/manifests/x?ns=docker.io&ns=SILENT",
        "/v2/library/nginx/manifests/x?ns=SILENT&ns=docker.io", "/v2/library/nginx/manifests/x?NS=SILENT",
        "/v2/library/nginx/manifests/x?namespace=SILENT&url=http://SILENT/&host=SILENT&registry=SILENT&upstream=SILENT",
        "/v2/SILENT/library/nginx/manifests/x", "/v2/docker.io/SILENT/nginx/manifests/x", "/v2/http://SILENT/manifests/x",
        "/v2/http:/SILENT/manifests/x", "/v2/@SILENT/nginx/manifests/x", "http://SILENT/v2/library/nginx/manifests/x",
        "http://SILENT/",
        "http://SILENT/v2/", "HTTP://docker.io@SILENT/v2/library/nginx/manifests/x", "//SILENT/v2/library/nginx/manifests/x",
        "/\\SILENT/v2/library/nginx/manifests/x", "SILENT", "@SILENT/v2/library/nginx/manifests/x", "/v2/_catalog?ns=SILENT",
        "/v2/library/nginx/tags/list?ns=SILENT&last=x", "/v2/library/nginx/tags/list?last=http://SILENT/",
        "/v2/library/nginx/referrers/sha256:\(hex)?ns=SILENT&artifactType=http://SILENT/",
        "/v2/library/nginx/blobs/sha256:\(hex)?ns=SILENT", "/v2/library/nginx/blobs/sha256:\(hex)@SILENT",
        "/v2/library/nginx/manifests/SILENT", "/v2/library/nginx/manifests/http:%2f%2fSILENT",
    ]

    private static let fields = [
        "Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-For", "X-Real-IP", "X-Host", "X-Original-Host",
        "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-HTTP-Host-Override", "Referer", "Origin",
        "Via", "Location", "Content-Location", "Destination", "Proxy", "Proxy-Authorization", "Authorization", "Cookie", "From",
        "Warning", "X-Registry", "Docker-Upload-UUID",
    ]

    @Test("A: SSRF by ns=, absolute URI: a name is a key, never an address", arguments: ["127.0.0.1", "localhost", "localhost."])
    func targets(_ host: String) async throws {
        let upstream = try ScriptedUpstream()
        let silent = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for method in ["GET", "HEAD", "CONNECT", "OPTIONS"] {
                for target in Self.targets {
                    let written = target.replacing("SILENT", with: "\(host):\(silent.port)")
                    let response = try await server.get(written, method: method)
                    #expect(response.headers.allSatisfy { !$0.value.contains("\(silent.port)") }, "\(written)")
                }
            }
            #expect(silent.acceptedConnectionCount == 0)
            #expect(upstream.requests.allSatisfy { $0.header("host") == "127.0.0.1:\(upstream.port)" })
        }
    }

    @Test("A: SSRF by Host, X-Forwarded-Host: no field of a request goes upstream, and none chooses one")
    func fields() async throws {
        let upstream = try ScriptedUpstream()
        let silent = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            for (number, field) in Self.fields.enumerated() {
                for value in ["127.0.0.1:\(silent.port)", "http://127.0.0.1:\(silent.port)/"]
                where field != "Host" || !value.hasPrefix("http") {
                    let absent = try await server.get("/v2/library/nginx/manifests/t\(number)", headers: [(field, value)])
                    #expect(absent.status == 404, "\(field)")
                    #expect(absent.headers.allSatisfy { !$0.value.contains("\(silent.port)") }, "\(field)")
                }
            }
            let fields =
                Self.fields.map { ($0, "127.0.0.1:\(silent.port)") } + [("Forwarded", "host=127.0.0.1:\(silent.port);for=canary")]
            let whole = try await server.get("/v2/library/nginx/manifests/latest", headers: fields)
            #expect(whole.body == image.manifest.bytes)
            #expect(silent.acceptedConnectionCount == 0)
            #expect(!upstream.requests.isEmpty)
            for request in upstream.requests {
                #expect(!String(decoding: request.raw, as: UTF8.self).contains("\(silent.port)"), "\(request)")
                #expect(request.header("host") == "127.0.0.1:\(upstream.port)")
            }
        }
    }

    @Test("A: CRLF into upstream requests: what goes up is built from what was parsed")
    func upstreamRequests() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for target in [
                "/v2/library/nginx/manifests/x%0d%0aX-Canary:1", "/v2/library/nginx/manifests/x?ns=docker.io%0d%0aX-Canary:1",
                "/v2/library/nginx/tags/list?last=x%0d%0aX-Canary:1", "/v2/library/nginx/tags/list?n=1%0d%0aX-Canary:1",
                "/v2/library/nginx/referrers/sha256:\(Self.hex)?artifactType=x%0d%0aX-Canary:1",
                "/v2/a%0d%0aX-Canary:1/manifests/x",
                "/v2/library/nginx/manifests/x?ns=docker.io&canary=1", "/v2/library/nginx/tags/list?n=5&last=a&canary=1",
                "/v2/library/nginx/referrers/sha256:\(Self.hex)?artifactType=canary/x%20HTTP/1.1&canary=1",
            ] {
                _ = try await server.get(target, headers: [("Accept", "canary/x"), ("User-Agent", "canary"), ("X-Canary", "1")])
            }
            for request in upstream.requests {
                #expect(!String(decoding: request.raw, as: UTF8.self).lowercased().contains("canary"), "\(request)")
            }
        }
    }

    // MARK: - Digests

    private static let digestTexts: [String] = [
        String(hex.dropLast()), hex + "0", hex.uppercased(), hex.replacing("b", with: "B"), String(repeating: "g", count: 64),
        String(repeating: "0", count: 128), "../" + hex.dropFirst(3), "..%2f" + hex.dropFirst(3),
        "%2e%2e/" + hex.dropFirst(3), "", "%00",
        hex + "%00", hex + "%0d%0aX:y", hex + "%20", "%20" + hex, hex + ".", hex + "/", hex + "/..", hex + ";x", hex + "+x",
        hex + "@x",
        "\\" + hex, String(repeating: "%d9%a5", count: 64), String(repeating: "%ef%bc%90", count: 64),
        hex.replacing("b", with: "%d0%b2"),
    ]

    @Test(
        "A: digest text as path or bypass: a digest is sha256 or sha512 in lower-case hex, or a 400")
    func digests() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for text in Self.digestTexts {
                for kind in ["blobs", "manifests", "referrers"] {
                    let response = try await server.get("/v2/library/nginx/\(kind)/sha256:\(text)")
                    #expect(response.status == 400 || response.status == 404, "\(kind) \(text)")
                    let code = ["NAME_INVALID", "DIGEST_INVALID", "NAME_UNKNOWN"].first { response.text.contains("\"\($0)\"") }
                    #expect(code != nil, "\(kind) \(text): \(response.text)")
                }
                #expect(upstream.requests.isEmpty)
            }
        }
    }

    private static let algorithms: [String] = [
        "md5", "sha1", "sha384", "SHA256", "Sha256", "sha-256", "sha256+b64", "sha256:sha256", "blake3", "", "sha256%00",
        "sha512256",
        "multihash+base58", "tarsum.v1+sha256", "none", "../sha256", "sha256%20",
    ]

    @Test(
        "A: digest text as path or bypass: an algorithm that is not known is never \"not verified\"")
    func unknownAlgorithms() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for algorithm in Self.algorithms {
                upstream.addBlob(Array("anything".utf8), in: "library/nginx", claiming: "\(algorithm):\(Self.hex)")
                for kind in ["blobs", "manifests", "referrers"] {
                    let response = try await server.get("/v2/library/nginx/\(kind)/\(algorithm):\(Self.hex)")
                    #expect(response.status == 400 || (response.status == 404 && algorithm.contains("/")), "\(kind) \(algorithm)")
                }
                #expect(upstream.requests.isEmpty)
            }
        }
    }

    // MARK: - Paths

    @Test("A: encoded paths: %2f, %252f, %00, //, backslash, overlong UTF-8, %2e%2e are a 400 or a 404, and nobody is asked")
    func paths() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for part in [
                "%2f", "%2F", "%252f", "%25252f", "%5c", "%5C", "%255c", "%00", "%0a", "%0d%0a", "%09", "%20", "%7f", "%80",
                "%ff", "%c0%af", "%c0%ae",
                "%c1%9c", "%e0%80%af", "%e0%80%ae", "%f0%80%80%af", "%f8%80%80%80%af", "%ed%a0%80", "%ef%bc%8f", "%e2%81%84",
                "%u002f", "%", "%2", "%zz",
                "\\", "//", "/./", "/../", "/%2e/", "/%2e%2e/", "/.%2e/", "/%2E./", "/..;/", "/..%2f", "/%2e%2e%2f", "/..%5c",
                "/%252e%252e/", "/~/",
            ] {
                for target in [
                    "/v2/library\(part)nginx/manifests/latest", "/v2\(part)library/nginx/manifests/latest",
                    "/v2/library/nginx/manifests/a\(part)b",
                ] {
                    let response = try await server.get(target)
                    #expect(response.status == 400 || response.status == 404, "\(target)")
                    #expect(response.header("content-type") == "application/json", "\(target)")
                }
            }
            #expect(upstream.requests.isEmpty, "\(upstream.requests)")
        }
    }

    @Test("A: encoded paths: what leads out of the store in any reading shows nothing of this host")
    func files() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for up in ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "..\\", "..%5c", "..%c0%af", "..;/", "....//"] {
                let steps = String(repeating: up, count: 8)
                for prefix in [
                    "/", "/v2/", "/v2/library/nginx/blobs/", "/v2/library/nginx/manifests/", "/v2/library/nginx/blobs/sha256:",
                ] {
                    let response = try await server.get("\(prefix)\(steps)etc/passwd")
                    #expect(response.status == 400 || response.status == 404)
                    #expect(!response.text.contains("root:"))
                }
            }
            #expect(upstream.requests.isEmpty)
        }
    }
}
