import Foundation
import TestSupport
import Testing

@testable import Registry

/// The same question asked in other words, and words that are no question at all.
@Suite(.serialized) struct RequestVariantTests {
    private static let fields: [(String, String)] = [
        ("Accept", "*/*"), ("Accept", "application/*"), ("Accept-Encoding", "zstd, gzip, deflate"),
        ("Accept-Encoding", "identity;q=0"),
        ("Accept-Language", "de"), ("Accept-Charset", "utf-16"), ("Host", "evil.example"), ("X-Forwarded-Host", "evil.example"),
        ("Cookie", "a=b"), ("Authorization", "Basic YTpi"), ("User-Agent", "containerd/2.3.4"),
        ("Cache-Control", "no-cache, no-store"),
        ("Pragma", "no-cache"), ("Origin", "http://evil.example"), ("TE", "trailers"), ("X-Amargo-Cache", "MISS"), ("Age", "1"),
    ]
    private static let queries = [
        "", "?", "?x=1", "?ns=docker.io", "?ns=index.docker.io", "?ns=registry-1.docker.io", "?x=1&ns=docker.io&y=2", "?ns=",
        "?platform=linux/arm64",
        "?digest=sha256:00", "#x",
    ]

    @Test("A: cache key with too much or too little: fields, queries and other names of one repository change nothing")
    func keys() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let layer = image.layers[0]
        try await ServerHarness.run(upstream) { server async throws in
            for name in ["library/nginx", "nginx", "docker.io/library/nginx", "docker.io/nginx", "index.docker.io/library/nginx"]
            {
                for query in Self.queries where !(name.contains(".") && query.contains("ns=") && !query.hasSuffix("ns=")) {
                    let manifest = try await server.get("/v2/\(name)/manifests/latest\(query)")
                    #expect(manifest.body == image.manifest.bytes, "\(name) \(query)")
                    #expect(
                        try await server.get("/v2/\(name)/blobs/\(layer.digest)\(query)").body == layer.bytes, "\(name) \(query)")
                }
            }
            for field in Self.fields {
                let manifest = try await server.get("/v2/nginx/manifests/latest", headers: [field])
                #expect(manifest.body == image.manifest.bytes, "\(field)")
                let blob = try await server.get("/v2/nginx/blobs/\(layer.digest)", headers: [field])
                #expect(blob.body == layer.bytes, "\(field)")
                #expect(manifest.header("content-encoding") == nil && blob.header("content-encoding") == nil)
            }
            try await server.waitUntilStored(layer.digest)
            #expect(upstream.requests("GET", contains: "/manifests/").count == 1)
            #expect(upstream.requests("GET", contains: "/blobs/").count == 1)
            #expect(upstream.requests.allSatisfy { !$0.target.contains("?") })
            // Another repository, or another tag, is another question.
            #expect(try await server.get("/v2/library/nginx2/manifests/latest").status == 404)
            #expect(try await server.get("/v2/library/nginx/manifests/Latest").status == 404)
        }
    }

    private static let words = [
        "\r\n", "\n", "\r", "\u{0}", " ", "\t", ":", "%", "%2f", "%00", "?", "&", "=", "/", "//", "..", "HTTP/1.0", "HTTP/1.1",
        "GET ", "HEAD ", "PUT ",
        "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "5\r\nhello\r\n", "Host: a\r\n",
        "Connection: close\r\n",
        "Expect: 100-continue\r\n", "Upgrade: h2c\r\nConnection: upgrade\r\n", "Range: bytes=", "sha256:", "ns=docker.io", "n=",
        "last=", "\u{FF}", "\u{2028}",
    ]

    @Test("B: a trap reached from outside: five hundred damaged requests, and the server serves")
    func damaged() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 100_000, seed: 308)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let end = "HTTP/1.1\r\nHost: a\r\n"
        let requests = [
            "GET /v2/library/nginx/blobs/\(digest) \(end)Range: bytes=100-200,300-\r\nIf-Range: \"\(digest)\"\r\n\r\n",
            "GET /v2/library/nginx/manifests/latest?ns=docker.io \(end)Accept: a/b;q=0.5, */*\r\nIf-None-Match: W/\"x\", *\r\n\r\n",
            "GET /v2/library/nginx/tags/list?n=5&last=a \(end)Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            "HEAD http://a:80/v2/_catalog?n=5 \(end)Content-Length: 5\r\n\r\nhelloGET /v2/ \(end)\r\n",
            "PUT /v2/ \(end)Expect: 100-continue\r\n\r\n",
        ]
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            for seed in 0..<500 {
                var mutator = ByteMutator(seed: UInt64(seed), words: Self.words)
                var request = Array(requests[mutator.number(below: requests.count)].utf8)
                mutator.mutate(&request)
                let connection = try await RawConnection.connect(server.port)
                defer { connection.close() }
                do {
                    try await connection.send(request)
                    try await connection.endSending()
                    while try await !connection.readRaw(upTo: 1 << 20).isEmpty {}
                } catch let error as TestSupportError where error.code == .reset {
                    // An end as well. That there is none, in time, is not.
                }
            }
            #expect(try await server.blob(digest).body == bytes)
            try await server.expectQuiet()
        }
    }
}
