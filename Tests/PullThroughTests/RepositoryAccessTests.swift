import OCI
import Testing

@testable import PullThrough

struct RepositoryAccessTests {
    @Test(
        "a star is anything within a component, two are any number of components",
        arguments: [
            ("library/nginx", "library/nginx", true), ("library/nginx", "library/nginx2", false),
            ("library/*", "library/nginx", true),
            ("library/*", "library/a/b", false), ("library/*", "library", false), ("*", "nginx", true),
            ("*", "library/nginx", false),
            ("**", "a", true), ("**", "a/b/c", true), ("org/**", "org/a/b", true), ("org/**", "org", true),
            ("org/**", "organ/a", false),
            ("**/secret", "secret", true), ("**/secret", "a/b/secret", true), ("**/secret", "a/secret/b", false),
            ("**/secret/**", "a/secret/b", true), ("a/**/z", "a/z", true), ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/b/c", false),
            ("*-dev", "web-dev", true), ("*-dev", "web-devel", false), ("a*b*c", "axxbyyc", true), ("a*b*c", "acb", false),
            ("a*a", "a", false), ("a*a", "aa", true), ("*a*b", "xaxbab", true),
        ])
    func patterns(_ pattern: String, _ name: String, _ isMatch: Bool) throws {
        let pattern = try #require(RepositoryAccess.Pattern(pattern))
        #expect(pattern.matches(try RepositoryName(parsing: name)) == isMatch)
    }

    @Test(
        "what could match no name is no pattern",
        arguments: ["", "/", "a/", "/a", "a//b", "A", "a b", "a***", "***", "a:b", "ä", "a**/b"])
    func malformed(_ text: String) { #expect(RepositoryAccess.Pattern(text) == nil) }

    @Test("denied is stronger than allowed, and nothing allowed is everything")
    func rules() throws {
        let all = try #require(RepositoryAccess.Pattern("library/*"))
        let one = try #require(RepositoryAccess.Pattern("library/secret"))
        let (nginx, secret, other) = (
            try RepositoryName(parsing: "library/nginx"), try RepositoryName(parsing: "library/secret"),
            try RepositoryName(parsing: "a/b")
        )
        let none = RepositoryAccess()
        for name in [nginx, secret, other] { #expect(none.refusal(of: name) == nil) }
        let both = RepositoryAccess(allowed: [all], denied: [one])
        #expect(both.refusal(of: nginx) == nil)
        #expect(both.refusal(of: secret)?.contains("library/secret") == true)
        #expect(both.refusal(of: other) != nil)
        let denied = RepositoryAccess(denied: [one])
        #expect(denied.refusal(of: secret) != nil)
        #expect(denied.refusal(of: other) == nil)
    }

    @Test("Docker Hub's nginx is library/nginx: a rule for either is for both")
    func alias() throws {
        let rule = try #require(RepositoryAccess.Pattern("nginx"))
        let (long, short) = (try RepositoryName(parsing: "library/nginx"), try RepositoryName(parsing: "nginx"))
        #expect(RepositoryAccess(denied: [rule]).refusal(of: long, alias: short) != nil)
        #expect(RepositoryAccess(allowed: [rule]).refusal(of: long, alias: short) == nil)
        #expect(RepositoryAccess(denied: [rule]).refusal(of: long) == nil)
    }

    @Test("a pattern of many stars takes no more time than its length asks for")
    func bounded() throws {
        let stars = try #require(RepositoryAccess.Pattern(Array(repeating: "**/a", count: 8).joined(separator: "/") + "/b"))
        let name = try RepositoryName(parsing: Array(repeating: "a", count: 127).joined(separator: "/"))
        #expect(!stars.matches(name))
    }
}
