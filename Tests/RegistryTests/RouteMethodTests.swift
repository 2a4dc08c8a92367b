import Foundation
import TestSupport
import Testing

@testable import Registry

/// Every method on every route, against one table: what is not in it is not served.
@Suite(.serialized) struct RouteMethodTests {
    private static let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let blob = "/v2/library/nginx/blobs/sha256:\(Self.hex)"

    /// All that a registry, or a careless one, has; with what a GET is answered here when nothing is stored anywhere.
    static let routes: [(target: String, status: Int)] = [
        ("/v2/", 200), ("/v2", 200), ("/health", 200), ("/ready", 200), ("/metrics", 200), ("/v2/_catalog", 200),
        ("/v2/library/nginx/manifests/latest", 404), ("/v2/library/nginx/manifests/sha256:\(Self.hex)", 404), (Self.blob, 404),
        ("/v2/library/nginx/tags/list", 404), ("/v2/library/nginx/referrers/sha256:\(Self.hex)", 404),
        ("/", 200), ("/dashboard/live.json", 200), ("/dashboard/disk.json", 200), ("/dashboard/images.json", 200),
        ("/dashboard/traffic.json", 200), ("/dashboard/engines.json", 200), ("/dashboard/", 404), ("/dashboard", 404),
        ("/dashboard/style.css", 404), ("/index.html", 404), ("/favicon.ico", 404),
        // Where the distribution specification puts writes.
        ("/v2/library/nginx/blobs/uploads/", 400), ("/v2/library/nginx/blobs/uploads", 400),
        ("/v2/library/nginx/blobs/uploads/?mount=sha256:\(Self.hex)&from=library/a", 400),
        ("/v2/library/nginx/blobs/uploads/?digest=sha256:\(Self.hex)", 400),
        ("/v2/library/nginx/blobs/uploads/4f6c1b0e-0000", 404), ("/v2/library/nginx/blobs/uploads/4f6c1b0e-0000?digest=x", 404),
        // What others have, or had, beside it.
        ("/v1/", 404), ("/v2/token", 404), ("/token", 404), ("/metric", 404), ("/debug/vars", 404),
        ("/debug/pprof/", 404), ("/admin", 404), ("/api/v2.0/projects", 404), ("/v2/_oci/ext/discover", 404),
        ("/v2/_amargo/gc", 404), ("/amargo.sock", 404), ("/journal.jsonl", 404), ("/store.json", 404), ("/.env", 404),
        ("/robots.txt", 404),
    ]

    /// Those of RFC 9110, 9.3, RFC 5789, WebDAV and caches; what is no method at all is in the corpus of raw requests.
    static let refusedMethods = [
        "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK",
        "UNLOCK", "SEARCH", "REPORT", "LINK", "UNLINK", "PURGE", "BIND", "ACL", "SUBSCRIBE", "NOTIFY",
    ]

    @Test("A: one route forgets a check: GET and HEAD of each route are as the table says")
    func reads() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for (target, status) in Self.routes {
                #expect(try await server.get(target).status == status, "GET \(target)")
                #expect(try await server.get(target, method: "HEAD").status == status, "HEAD \(target)")
            }
        }
    }

    @Test("A: clients write into the cache: any other method, on any route, is a 405 that nobody hears of")
    func writes() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let before = try FileManager.default.subpathsOfDirectory(atPath: server.storePath).sorted()
            for (target, _) in Self.routes {
                for method in Self.refusedMethods {
                    let response = try await server.get(target, headers: [("Content-Length", "0")], method: method)
                    #expect(response.status == 405, "\(method) \(target)")
                    #expect(response.header("allow") == "GET, HEAD", "\(method) \(target)")
                    #expect(response.text.contains("\"UNSUPPORTED\""), "\(method) \(target)")
                }
            }
            #expect(upstream.acceptedConnectionCount == 0)
            #expect(try FileManager.default.subpathsOfDirectory(atPath: server.storePath).sorted() == before)
        }
    }

    private static let overrides: [(name: String, value: String)] = [
        ("X-HTTP-Method-Override", "DELETE"), ("X-HTTP-Method", "PUT"), ("X-Method-Override", "DELETE"),
        ("X-Amargo-Cache", "MISS"),
        ("Cache-Control", "no-store"), ("Docker-Content-Digest", "sha256:00"), ("Content-Location", "/etc/passwd"),
    ]

    @Test(
        "A: clients write into the cache: no field and no parameter turns a GET into another method")
    func overriding() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1000, seed: 311)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for (name, value) in Self.overrides {
                for _ in 0..<2 {
                    let target = "/v2/library/nginx/blobs/\(digest)?_method=DELETE&\(name)=\(value)"
                    #expect(try await server.get(target, headers: [(name, value)]).body == bytes)
                    try await server.waitUntilStored(digest)
                }
                #expect(upstream.requests.count == 1)
                #expect(upstream.requests.allSatisfy { !$0.target.contains("?") && $0.header(name) != value })
            }
        }
    }

    @Test(
        "A: clients write into the cache: C8: PUT, POST, PATCH, DELETE of what is stored leave it as it is",
        arguments: ["PUT", "POST", "PATCH", "DELETE"])
    func stored(_ method: String) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.get("/v2/library/nginx/manifests/latest")
            _ = try await server.blob(image.layers[0].digest)
            try await server.waitUntilStored(image.manifestDigest)
            try await server.waitUntilStored(image.layers[0].digest)
            let asked = upstream.requests.count
            for target in [
                "manifests/latest", "manifests/\(image.manifestDigest)", "manifests/new", "blobs/\(image.layers[0].digest)",
                "blobs/uploads/",
            ] {
                let response = try await server.get(
                    "/v2/library/nginx/\(target)", headers: [("Content-Length", "0")], method: method)
                #expect(response.status == 405)
            }
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(try await server.blob(image.layers[0].digest).header("x-amargo-cache") == "HIT")
            #expect(upstream.requests.count == asked)
        }
    }
}
