import Foundation
import TestSupport
import Testing

struct ScriptedUpstreamTests {
    private let upstream: ScriptedUpstream
    private let image: FixtureImage
    private var layer: FixtureImage.Blob { self.image.layers[0] }
    private var layerPath: String { self.image.blobPath(self.layer.digest) }

    init() throws {
        self.upstream = try ScriptedUpstream()
        self.image = self.upstream.addImage(repository: "org/app", tag: "v1", layerSizes: [100_000])
    }

    private func get(_ path: String, _ headers: [(String, String)] = []) async throws -> RawResponse {
        try await RawHTTPClient.get(port: self.upstream.port, path: path, headers: headers)
    }

    @Test("manifests come by tag and by digest, blobs whole")
    func serves() async throws {
        #expect(try await self.get("/v2/").text == "{}")
        for path in [self.image.manifestPath, "/v2/org/app/manifests/\(self.image.manifestDigest)"] {
            let response = try await self.get(path)
            #expect(response.status == 200 && response.isComplete)
            #expect(response.body == self.image.manifest.bytes)
            #expect(response.header("content-type") == "application/vnd.oci.image.manifest.v1+json")
            #expect(response.header("Docker-Content-Digest") == self.image.manifestDigest)
        }
        #expect(try await self.get(self.layerPath).body == self.layer.bytes)
        let head = try await RawHTTPClient.head(port: self.upstream.port, path: self.layerPath)
        #expect(head.header("Content-Length") == "100000" && head.body.isEmpty && head.isComplete)
    }

    @Test(
        "unknown things are 404 with the right code",
        arguments: [
            ("/v2/org/app/manifests/v2", "MANIFEST_UNKNOWN"), ("/v2/org/app/blobs/sha256:00", "BLOB_UNKNOWN"),
            ("/v2/org/other/manifests/v1", "NAME_UNKNOWN"),
        ])
    func unknown(_ path: String, _ code: String) async throws {
        let response = try await self.get(path)
        #expect(response.status == 404 && response.text.contains(code))
    }

    @Test(
        "ranges are exact",
        arguments: [
            ("bytes=0-", 206, "bytes 0-99999/100000"), ("bytes=99999-", 206, "bytes 99999-99999/100000"),
            ("bytes=5-9", 206, "bytes 5-9/100000"), ("bytes=-4", 206, "bytes 99996-99999/100000"),
            ("bytes=99990-200000", 206, "bytes 99990-99999/100000"), ("bytes=100000-", 416, "bytes */100000"),
            ("bytes=0-1,4-5", 200, ""), ("bytes=x", 200, ""),
        ])
    func ranges(_ range: String, _ status: Int, _ contentRange: String) async throws {
        let response = try await self.get(self.layerPath, [("Range", range)])
        #expect(response.status == status)
        #expect(response.header("Content-Range") ?? "" == contentRange)
        if range == "bytes=5-9" { #expect(response.body == Array(self.layer.bytes[5...9])) }
    }

    @Test("curl gets the same bytes, ranged and whole")
    func curl() async throws {
        let url = self.upstream.url + self.layerPath
        let whole = try await onThread { try Self.run("curl", "-sf", url) }
        #expect(whole == self.layer.bytes)
        self.upstream.script(.blob(), .chunked(chunkSize: 777))
        let chunked = try await onThread { try Self.run("curl", "-sf", url) }
        #expect(chunked == self.layer.bytes)
        let part = try await onThread { try Self.run("curl", "-sf", "-r", "10-19", url) }
        #expect(part == Array(self.layer.bytes[10...19]))
        #expect(self.upstream.requests.last?.header("user-agent")?.hasPrefix("curl/") == true)
    }

    private static func run(_ arguments: String...) throws -> [UInt8] {
        try ShellCommand.run(arguments).output
    }

    @Test("behaviours are taken in turn, then service is proper again")
    func queue() async throws {
        self.upstream.script(.manifest("v1"), .status(500), .redirect(to: "/elsewhere"))
        self.upstream.scriptForever(.manifest("v1"), .header("X-Late", "1"))
        let path = self.image.manifestPath
        #expect(try await self.get(path).status == 500)
        let redirect = try await self.get(path)
        #expect(redirect.status == 307 && redirect.header("Location") == "/elsewhere")
        #expect(self.upstream.pendingBehaviourCount == 0)
        #expect(try await self.get(path).header("x-late") == "1")
        self.upstream.clearScripts()
        #expect(try await self.get(path).header("x-late") == nil)
        #expect(self.upstream.requests("GET", contains: "/manifests/").count == 4)
    }

    @Test("every way of ending a body is told apart")
    func endings() async throws {
        let cases: [(Behaviour, RawEnding, ClosedRange<Int>)] = [
            (.normal, .complete, 100_000...100_000),
            (.chunked(chunkSize: 999), .complete, 100_000...100_000),
            (.closeAfter(bytes: 5000), .closed, 5000...5000),
            (.resetAfter(bytes: 5000), .reset, 5000...5000),
            (.chunkedWithoutEnd, .closed, 100_000...100_000),
            (.chunked().and(.closeAfter(bytes: 20_000)), .closed, 20_000...20_000),
            (.contentLength(100_001), .closed, 100_000...100_000),
            (.contentLength(99_999), .complete, 99_999...99_999),
            (.extraBytes(10), .complete, 100_000...100_000),
            (.unframed, .unframed, 100_000...100_000),
        ]
        for (behaviour, ending, counts) in cases {
            self.upstream.script(.blob(), behaviour)
            let response = try await self.get(self.layerPath)
            #expect(response.ending == ending)
            #expect(counts.contains(response.body.count))
            #expect(response.body == Array(self.layer.bytes.prefix(response.body.count)))
        }
    }

    @Test("no head at all is an error that says how")
    func noHead() async throws {
        let cases: [(Behaviour, TestSupportError.Code)] = [
            (.closeImmediately, .closed), (.reset, .reset), (.raw("SSH-2.0-nope\r\n\r\n", thenClose: true), .malformed),
        ]
        for (behaviour, code) in cases {
            self.upstream.script(.any, behaviour)
            let error = await #expect(throws: TestSupportError.self) { try await self.get("/v2/") }
            #expect(error?.code == code)
        }
    }

    @Test("bodies are changed as asked")
    func bodies() async throws {
        self.upstream.script(.blob(), .corrupt(at: 17), .corrupt(at: -1), .editBody { $0.removeLast() })
        var expected = self.layer.bytes
        expected[17] ^= 1
        #expect(try await self.get(self.layerPath).body == expected)
        let last = try await self.get(self.layerPath)
        #expect(last.body.last == self.layer.bytes[99_999] ^ 1 && last.isComplete)
        let short = try await self.get(self.layerPath)
        #expect(short.isComplete && short.body.count == 99_999)
        self.upstream.script(.blob(), .ignoreRange.and(.wrongContentType("text/html")).and(.withoutHeader("ETag")))
        let full = try await self.get(self.layerPath, [("Range", "bytes=5-")])
        #expect(full.status == 200 && full.body == self.layer.bytes)
        #expect(full.header("content-type") == "text/html" && full.header("etag") == nil)
    }

    @Test("the client copes with 1xx, and the upstream with pieces")
    func prefaces() async throws {
        self.upstream.script(.any, .preface("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"))
        let response = try await self.get("/v2/")
        #expect(response.status == 200 && response.head.informational == [103, 100])
        let pieces = ["HTT", "P/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r", "\nhi"].map { Array($0.utf8) }
        self.upstream.script(.any, .rawPieces(pieces, pause: .milliseconds(5), thenClose: false))
        #expect(try await self.get("/v2/").text == "hi")
    }

    @Test("a throttled body takes its time")
    func throttle() async throws {
        self.upstream.script(.blob(), .throttle(bytesPerSecond: 400_000))
        let start = ContinuousClock.now
        #expect(try await self.get(self.layerPath).body == self.layer.bytes)
        #expect(start.duration(to: .now) > .milliseconds(200))
    }
}
