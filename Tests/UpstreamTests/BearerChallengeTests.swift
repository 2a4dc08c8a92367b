import Testing

@testable import Upstream

/// RFC 6750, 3; RFC 9110, 11; what registries really send.
struct BearerChallengeTests {
    private static let dockerHub =
        #"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#

    @Test("Docker Hub")
    func dockerHub() throws {
        let challenge = try #require(BearerChallenge(parsing: Self.dockerHub))
        #expect(challenge.realm == "https://auth.docker.io/token")
        #expect(challenge.service == "registry.docker.io")
        #expect(challenge.scope == "repository:library/nginx:pull")
    }

    @Test("Docker Hub after a token that is not good enough")
    func dockerHubError() throws {
        let challenge = try #require(BearerChallenge(parsing: Self.dockerHub + #",error="invalid_token""#))
        #expect(challenge.scope == "repository:library/nginx:pull")
    }

    @Test("ghcr.io")
    func ghcr() throws {
        let text = #"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull""#
        let challenge = try #require(BearerChallenge(parsing: text))
        #expect(challenge.realm == "https://ghcr.io/token")
        #expect(challenge.service == "ghcr.io")
        #expect(challenge.scope == "repository:user/image:pull")
    }

    @Test("quay.io sends no scope with its ping")
    func quay() throws {
        let challenge = try #require(BearerChallenge(parsing: #"Bearer realm="https://quay.io/v2/auth",service="quay.io""#))
        #expect(challenge.realm == "https://quay.io/v2/auth")
        #expect(challenge.service == "quay.io")
        #expect(challenge.scope == nil)
    }

    @Test(
        "spelling that the grammar leaves free",
        arguments: [
            #"bearer realm="https://a/t""#, #"BEARER REALM="https://a/t""#, #"Bearer   realm="https://a/t""#,
            #"Bearer realm="https://a/t" , service="s""#, "Bearer realm=\"https://a/t\",\tservice=s",
            #"Bearer service=s,realm="https://a/t""#, "Bearer realm=https://a/t", #"Bearer realm="https:\/\/a/t""#,
            #"Bearer x-unknown="1",realm="https://a/t""#,
        ])
    func spellings(_ text: String) {
        #expect(BearerChallenge(parsing: text)?.realm == "https://a/t")
    }

    @Test("a quoted string may hold commas, escaped quotes and equals signs")
    func quoted() throws {
        let text = #"Bearer realm="https://a/t?x=1,2",service="a \"b\" \\ c, scope=\"no\"",scope="repository:a:pull,push""#
        let challenge = try #require(BearerChallenge(parsing: text))
        #expect(challenge.realm == "https://a/t?x=1,2")
        #expect(challenge.service == #"a "b" \ c, scope="no""#)
        #expect(challenge.scope == "repository:a:pull,push")
    }

    @Test(
        "everything else is no challenge",
        arguments: [
            "", " ", "Bearer", "Bearer ", "Bearer,", "Bearer =", "Bearer realm", "Bearer realm=", #"Bearer realm="""#,
            #"Bearer service="s""#, #"realm="https://a/t""#, #"Basic realm="https://a/t""#, #"Negotiate"#,
            #"Digest realm="https://a/t",nonce="x""#, #"Bearerrealm="https://a/t""#, #"Bearer realm="https://a/t"#,
            #"Bearer realm="https://a/t\"#, #"Bearer realm="https://a/t\""#, #"Bearer realm="https://a/t" service="s""#,
            #"Bearer realm="https://a/t","#, #"Bearer realm="https://a/t";service="s""#,
            #"Bearer realm="https://a/t",service="s"#, #"Bearer realm = "https://a/t""#,
            #"Bearer realm="https://a/t"x"#, "Bearer realm=\"https://a/t\r\nX: y\"", "Bearer realm=\"https://a/t\u{0}\"",
            "Bearer realm=\"https://a/t\u{7F}\"", "Bearer \u{FEFF}realm=\"https://a/t\"",
        ])
    func junk(_ text: String) {
        #expect(BearerChallenge(parsing: text) == nil)
    }

    @Test(
        "a parameter that comes twice has two meanings",
        arguments: [
            #"Bearer realm="https://a/t",realm="https://b/t""#, #"Bearer realm="https://a/t",REALM="https://b/t""#,
            #"Bearer realm="https://a/t",service="s",service="s""#,
        ])
    func duplicates(_ text: String) {
        #expect(BearerChallenge(parsing: text) == nil)
    }

    @Test("4 KiB is the longest challenge", arguments: [(4_096, true), (4_097, false), (5_120, false), (65_536, false)])
    func length(_ count: Int, _ isRead: Bool) {
        let start = #"Bearer realm="https://a/t",service=""#
        let text = start + String(repeating: "s", count: count - start.utf8.count - 1) + "\""
        #expect(text.utf8.count == count)
        #expect((BearerChallenge(parsing: text) != nil) == isRead)
    }
}
