import OCI
import Testing

/// RFC 9110, 8.3.1.
struct MediaTypeTests {
    @Test(
        "parameters, space around it and case are no part of a type",
        arguments: [
            ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.manifest.v1+json"),
            ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", "application/vnd.oci.image.manifest.v1+json"),
            ("application/vnd.oci.image.index.v1+json;charset=UTF-8;x=y", "application/vnd.oci.image.index.v1+json"),
            (" \ttext/HTML \t;charset=\"utf-8\"", "text/html"),
            ("Application/JSON", "application/json"),
            ("application/x;", "application/x"),
            ("a/!#$%&'*+-.^_`|~", "a/!#$%&'*+-.^_`|~"),
        ])
    func parses(_ text: String, _ expected: String) throws {
        #expect(try MediaType(parsing: text).description == expected)
    }

    @Test(
        "everything else is refused",
        arguments: [
            "", ";", "json", "/", "a/", "/b", "a/b/c", "a//b", "a b/c", "a/b c", "application / json", "a/b,c/d", "a/b\r\nX: y",
            "a/\u{0}", "a/é", "a/\u{212A}", "a/(b)", "a/\"b\"", "; charset=utf-8", String(repeating: "a", count: 254) + "/b",
        ])
    func refuses(_ text: String) {
        let error = #expect(throws: ReferenceError.self) { try MediaType(parsing: text) }
        #expect(error?.code == .invalidMediaType)
    }

    @Test("255 bytes are the longest type")
    func longest() throws {
        let text = String(repeating: "a", count: 253) + "/b"
        #expect(try MediaType(parsing: text).description == text)
    }

    @Test(
        "the kinds of manifest",
        arguments: [
            ("application/vnd.oci.image.index.v1+json", true, true, false),
            ("application/vnd.docker.distribution.manifest.list.v2+json", true, true, false),
            ("application/vnd.oci.image.manifest.v1+json", true, false, false),
            ("application/vnd.docker.distribution.manifest.v2+json", true, false, false),
            ("application/vnd.oci.artifact.manifest.v1+json", true, false, false),
            ("application/vnd.docker.distribution.manifest.v1+json", false, false, true),
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", false, false, true),
            ("application/json", false, false, false),
            ("application/octet-stream", false, false, false),
        ])
    func kinds(_ text: String, _ isManifest: Bool, _ isIndex: Bool, _ isSchema1: Bool) throws {
        let type = try MediaType(parsing: text)
        #expect(type.isManifest == isManifest)
        #expect(type.isIndex == isIndex)
        #expect(type.isSchema1 == isSchema1)
    }
}
