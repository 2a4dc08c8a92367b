import OCI
import Testing

@testable import PullThrough

/// U6 and U9: what is wrong is not fetched again and again.
struct WrongContentTests {
    private static let error = PullThroughError(.invalidUpstreamResponse, "other content")

    private static func digest(_ character: Character) throws -> Digest {
        try Digest(parsing: "sha256:\(String(repeating: character, count: 64))")
    }

    @Test("the third time in a minute is once too often; the first two may be bad luck")
    func third() throws {
        let wrong = WrongContent(UpstreamCaution())
        let digest = try Self.digest("a")
        let now = ContinuousClock.now
        #expect(!wrong.note(digest, Self.error, at: now))
        #expect(!wrong.note(digest, Self.error, at: now + .seconds(30)))
        #expect(wrong.error(digest) == nil)
        #expect(wrong.note(digest, Self.error, at: now + .seconds(59)))
        #expect(wrong.error(digest)?.code == .invalidUpstreamResponse)
        #expect(try wrong.error(Self.digest("b")) == nil)
    }

    @Test("what was wrong a minute ago does not count")
    func window() throws {
        let wrong = WrongContent(UpstreamCaution())
        let digest = try Self.digest("a")
        let now = ContinuousClock.now
        for minute in 0..<10 { #expect(!wrong.note(digest, Self.error, at: now + .seconds(60 * minute))) }
        #expect(wrong.error(digest) == nil)
    }

    @Test("a wrong size is remembered at once")
    func size() throws {
        let wrong = WrongContent(UpstreamCaution())
        let digest = try Self.digest("a")
        wrong.noteSize(of: digest, Self.error)
        #expect(wrong.error(digest) != nil)
    }
}
