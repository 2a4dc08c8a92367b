import NIOCore
import OCI
import Testing

@testable import PullThrough

/// U8: a body from its first byte on, of which the beginning is here already.
struct PrefixReplayTests {
    private static func replay(of text: String) -> PrefixReplay {
        var verifier = DigestVerifier(.sha256)
        Array(text.utf8).withUnsafeBytes { verifier.update($0) }
        return PrefixReplay(of: PrefixReplay.Known(verifier))
    }

    private static func text(_ parts: [ByteBuffer]) -> String { parts.map { String(buffer: $0) }.joined() }

    @Test("what is known is dropped, however the bytes are cut", arguments: [1, 2, 3, 4, 5, 6, 11])
    func drops(_ size: Int) throws {
        var replay = Self.replay(of: "hello")
        let whole = Array("hello world".utf8)
        var rest = ""
        for start in stride(from: 0, to: whole.count, by: size) {
            let part = ByteBuffer(bytes: whole[start..<min(whole.count, start + size)])
            rest += Self.text(try replay.rest(of: [part]))
            let isOver = replay.isOver
            #expect(isOver == (start + size >= 5))
        }
        #expect(rest == " world")
    }

    @Test("another beginning is refused before anything of it passes")
    func differs() throws {
        var replay = Self.replay(of: "hello")
        let rest = try replay.rest(of: [ByteBuffer(string: "hell")])
        #expect(rest.isEmpty)
        do {
            let more = try replay.rest(of: [ByteBuffer(string: "a world")])
            Issue.record("\(more.count) parts passed")
        } catch let error as PullThroughError {
            #expect(error.code == .invalidUpstreamResponse)
        }
    }
}
