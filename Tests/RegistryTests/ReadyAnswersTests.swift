import NIOCore
import OCI
import TestSupport
import Testing

@testable import Registry

/// What an event loop has at hand, and how much of it.
@Suite struct ReadyAnswersTests {
    private struct Silence: HitLog {
        func line(_ message: String) -> (any HitLine)? { nil }
    }

    private static func ask(_ answers: ReadyAnswers, _ digest: String) -> ByteBuffer? {
        Array("GET /v2/library/nginx/blobs/\(digest) HTTP/1.1\r\nHost: a\r\n\r\n".utf8).withUnsafeBytes { bytes in
            PlainRequest(in: bytes).flatMap { answers.answer($0, in: bytes) }
        }
    }

    @Test("limits: ready answers, and the bytes of all of them: each is given, and the oldest make room")
    func limit() async throws {
        let upstream = try ScriptedUpstream()
        let blobs = (0..<20).map { seed in
            let bytes = Fixtures.pseudoRandomBytes(count: 2048, seed: UInt64(seed))
            return (upstream.addBlob(bytes, in: "library/nginx"), bytes)
        }
        let large = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 16_385, seed: 99), in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for digest in blobs.map(\.0) + [large] {
                #expect(try await server.blob(digest).status == 200)
                try await server.waitUntilStored(digest)
                // Opened once: what has to be opened is for the pool.
                #expect(try await server.blob(digest, headers: [("TE", "trailers")]).status == 200)
            }
            let answers = ReadyAnswers(cache: server.cache, dates: DateHeader(), log: Silence(), limit: 16_000)
            for _ in 0..<3 {
                for (digest, bytes) in blobs {
                    let answer = try #require(Self.ask(answers, digest))
                    #expect(Array(answer.readableBytesView.suffix(2048)) == bytes)
                    #expect((2048...16_000).contains(answers.byteCount))
                }
            }
            #expect(Self.ask(answers, large) == nil)
            #expect(Self.ask(answers, "sha256:" + String(repeating: "0", count: 64)) == nil)
        }
    }
}
