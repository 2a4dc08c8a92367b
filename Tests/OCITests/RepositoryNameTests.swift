import OCI
import Testing

/// Distribution spec, "Pulling manifests".
struct RepositoryNameTests {
    @Test(
        "names of the specification's grammar",
        arguments: [
            "a", "0", "nginx", "library/nginx", "a/b/c/d/e/f/g", "a.b", "a_b", "a__b", "a-b", "a--b", "a----b", "a-b_c.d__e",
            "1.2.3/4-5", "blobs", "manifests", "a/manifests/b", "tags/list", "a/blobs/sha256", "a/index.json", "a/oci-layout",
            "docker.io/library/nginx", "localhost/a", String(repeating: "a", count: 255),
            String(repeating: "a/", count: 127) + "b",
        ])
    func accepts(_ text: String) throws {
        let name = try RepositoryName(parsing: text)
        #expect(name.description == text)
        #expect(name.components.joined(separator: "/") == text)
    }

    @Test(
        "everything else is refused",
        arguments: [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", ".a", "a.", "_a", "a_", "-a", "a-",
            "a..b", "a___b", "a._b", "a-_b", "a_-b", "a.-b", "a-.b", "a_.b", "a__-b", "a--_b", "a_/b", "a/_b", "a/-b", "a/.b",
            "a./b", "_oci", "a/_oci", "A", "aB", "library/Nginx", "a b", " a", "a ", "a\n", "a\r\nb", "a\u{0}b", "a%2fb",
            "a\\b", "a:b", "a@b", "a+b", "a~b", "é", "e\u{301}", "\u{FF41}", "a\u{661}", "a\u{2215}b",
            String(repeating: "a", count: 256), String(repeating: "a/", count: 127) + "bb",
        ])
    func refuses(_ text: String) {
        let error = #expect(throws: ReferenceError.self) { try RepositoryName(parsing: text) }
        #expect(error?.code == .invalidName)
    }

    @Test("a name is put below another, as long as it fits")
    func prefixed() throws {
        let library = try RepositoryName(parsing: "library")
        #expect(try RepositoryName(parsing: "nginx").prefixed(by: library)?.description == "library/nginx")
        let longest = try RepositoryName(parsing: String(repeating: "a", count: 247))
        #expect(longest.prefixed(by: library)?.description.utf8.count == 255)
        #expect(try RepositoryName(parsing: String(repeating: "a", count: 248)).prefixed(by: library) == nil)
    }

    @Test("a qualified name is cut at its first slash")
    func qualified() throws {
        let repository = try QualifiedRepository(parsing: "registry.local:5000/a/b")
        #expect(repository.namespace.description == "registry.local:5000")
        #expect(repository.name.description == "a/b")
        #expect(repository.description == "registry.local:5000/a/b")
    }

    @Test("a qualified name needs both parts", arguments: ["", "docker.io", "docker.io/", "/a", "library/nginx", "docker.io/A"])
    func refusesQualified(_ text: String) {
        #expect(throws: ReferenceError.self) { try QualifiedRepository(parsing: text) }
    }
}
