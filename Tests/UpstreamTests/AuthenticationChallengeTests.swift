import Testing

@testable import Upstream

/// RFC 9110, 11.6.1: several challenges in one field.
struct AuthenticationChallengeTests {
    @Test("Basic and Bearer, in one field, in either order")
    func both() throws {
        let bearer = try #require(BearerChallenge(parsing: #"Bearer realm="https://a/t",service="s""#))
        #expect(AuthenticationChallenge.all(in: #"Basic realm="x""#) == [.basic])
        #expect(AuthenticationChallenge.all(in: #"Basic realm="x", charset="UTF-8""#) == [.basic])
        #expect(
            AuthenticationChallenge.all(in: #"Bearer realm="https://a/t",service="s", Basic realm="x""#) == [
                .bearer(bearer), .basic,
            ])
        #expect(
            AuthenticationChallenge.all(in: #"Basic realm="x",Bearer realm="https://a/t",service="s""#) == [
                .basic, .bearer(bearer),
            ])
    }

    @Test("schemes without parameters, and those that are not spoken here")
    func others() throws {
        #expect(AuthenticationChallenge.all(in: "Negotiate") == [.other("Negotiate")])
        #expect(AuthenticationChallenge.all(in: #"Negotiate, Basic realm="x""#) == [.other("Negotiate"), .basic])
        #expect(AuthenticationChallenge.all(in: #"Digest realm="x", nonce="y", Basic realm="z""#) == [.other("Digest"), .basic])
        #expect(AuthenticationChallenge.all(in: #"Basic realm="x", Negotiate"#) == [.basic, .other("Negotiate")])
    }

    @Test(
        "malformed in one part is malformed",
        arguments: ["", ",", #"Basic realm="x",,"#, #"Basic realm="x" Bearer realm="y""#, "Basic\u{0}"])
    func malformed(_ text: String) { #expect(AuthenticationChallenge.all(in: text) == []) }
}
