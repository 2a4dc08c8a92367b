import OCI
import Testing

/// Distribution spec, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
struct TagTests {
    @Test(
        "tags of the specification's grammar",
        arguments: [
            "latest", "1.27", "1", "_", "_x", "A", "v1.0.0-rc.1_amd64", "a.", "a-", "a..b", "a--b",
            "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.sig", String(repeating: "x", count: 128),
        ])
    func accepts(_ text: String) throws {
        #expect(try Tag(parsing: text).description == text)
        #expect(try Reference(parsing: text).description == text)
    }

    @Test(
        "everything else is refused",
        arguments: [
            "", ".", "..", ".a", "-a", "a b", " a", "a ", "a/b", "../a", "a+b", "a@b", "a\n", "a\r\nb", "a\u{0}", "a%2e", "é",
            "\u{FF41}", "a\u{301}", ".\u{301}", "a\\b", String(repeating: "x", count: 129),
        ])
    func refuses(_ text: String) {
        let error = #expect(throws: ReferenceError.self) { try Tag(parsing: text) }
        #expect(error?.code == .invalidTag)
        #expect(throws: ReferenceError.self) { try Reference(parsing: text) }
    }

    @Test("with a colon it can only be a digest")
    func references() throws {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(try Reference(parsing: text) == .digest(Digest(parsing: text)))
        #expect(try Reference(parsing: "1.27") == .tag(Tag(parsing: "1.27")))
        for bad in ["sha256:", "sha256:00", "md5:00", "latest:1", ":"] {
            let error = #expect(throws: ReferenceError.self) { try Reference(parsing: bad) }
            #expect(error?.code == .invalidDigest || error?.code == .unsupportedDigest)
        }
    }
}
