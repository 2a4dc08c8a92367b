import OCI
import Testing

/// Documents that are no manifest, or that two readers could take for two different ones (CVE-2021-41190).
struct ManifestRefusalTests {
    private typealias Good = ManifestTests

    private static func refusal(_ text: String, as type: String = Good.ociManifest) -> String? {
        do {
            _ = try Good.parse(text, as: type)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("what it says of itself must be what it came as")
    func mediaTypeMismatch() {
        let image = "{\"schemaVersion\":2,\"mediaType\":\"\(Good.dockerManifest)\",\(Good.config),\"layers\":[]}"
        #expect(Self.refusal(image)?.contains("but came as") == true)
        #expect(Self.refusal(image, as: Good.dockerManifest) == nil)
        let index = "{\"schemaVersion\":2,\"mediaType\":\"\(Good.ociIndex)\",\"manifests\":[]}"
        #expect(Self.refusal(index, as: Good.dockerList)?.contains("but came as") == true)
        #expect(Self.refusal(index, as: Good.ociManifest)?.contains("but came as") == true)
        let junk = "{\"schemaVersion\":2,\"mediaType\":\"junk\",\"manifests\":[]}"
        #expect(Self.refusal(junk, as: Good.ociIndex) != nil)
    }

    @Test(
        "what it says of itself is compared to the letter by others: spaces, capitals and parameters are another type there",
        arguments: [
            "\(ManifestTests.ociManifest) ", " \(ManifestTests.ociManifest)", "Application/vnd.oci.image.manifest.v1+json",
            "\(ManifestTests.ociManifest);x=1",
        ])
    func inexactMediaType(_ type: String) {
        #expect(Self.refusal("{\"schemaVersion\":2,\"mediaType\":\"\(type)\",\(Good.config),\"layers\":[]}") != nil)
    }

    @Test("an image type with an index's fields, and the other way round")
    func shapeMismatch() {
        let image = "{\"schemaVersion\":2,\(Good.config),\"layers\":[]}"
        #expect(Self.refusal(image, as: Good.ociIndex) == "is an index without manifests")
        let index = "{\"schemaVersion\":2,\"manifests\":[]}"
        #expect(Self.refusal(index) == "is an image without config or layers")
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config)}") != nil)
        #expect(Self.refusal("{\"schemaVersion\":2,\"layers\":[]}") != nil)
        #expect(Self.refusal("{\"schemaVersion\":2}", as: Good.ociIndex) != nil)
    }

    @Test("a document that could be both is neither", arguments: [ManifestTests.ociManifest, ManifestTests.ociIndex])
    func bothKinds(_ type: String) {
        let documents = [
            "{\"schemaVersion\":2,\"manifests\":[],\(Good.config),\"layers\":[]}",
            "{\"schemaVersion\":2,\"manifests\":null,\(Good.config),\"layers\":[]}",
            "{\"schemaVersion\":2,\"manifests\":[],\"layers\":null}",
            "{\"schemaVersion\":2,\"manifests\":[],\(Good.config)}",
        ]
        for document in documents {
            #expect(Self.refusal(document, as: type) == "could be an image as well as an index")
        }
    }

    @Test(
        "schema 1 is not carried",
        arguments: [
            "application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ])
    func schema1(_ type: String) {
        let text = "{\"schemaVersion\":1,\"name\":\"a\",\"tag\":\"b\",\"fsLayers\":[],\"history\":[]}"
        #expect(Self.refusal(text, as: type)?.contains("schema 1") == true)
        #expect(Self.refusal(text) != nil)
    }

    @Test("the schema version is 2", arguments: ["", "\"schemaVersion\":1,", "\"schemaVersion\":3,", "\"schemaVersion\":\"2\","])
    func schemaVersion(_ field: String) {
        #expect(Self.refusal("{\(field)\(Good.config),\"layers\":[]}") != nil)
        #expect(Self.refusal("{\(field)\"manifests\":[]}", as: Good.ociIndex) != nil)
    }

    @Test("another type than a manifest's", arguments: ["application/json", "text/html", "application/octet-stream"])
    func otherTypes(_ type: String) {
        #expect(
            Self.refusal("{\"schemaVersion\":2,\(Good.config),\"layers\":[]}", as: type)?.contains("no manifest type") == true)
    }

    @Test(
        "a key that Go would fold into a known one",
        arguments: [
            "Layers", "LAYERS", "layerS", "Config", "CONFIG", "Manifests", "SchemaVersion", "schemaversion", "MediaType",
            "Subject", "Blobs", "FsLayers",
            // U+017F folds to s: encoding/json, `foldRune`.
            "layer\u{17F}", "manife\u{17F}t\u{17F}", "\u{17F}ubject", "blob\u{17F}",
        ])
    func foldedKeys(_ key: String) {
        let image = "{\"schemaVersion\":2,\(Good.config),\"layers\":[],\"\(key)\":null}"
        #expect(Self.refusal(image)?.contains("ambiguous") == true)
        let index = "{\"schemaVersion\":2,\"manifests\":[],\"\(key)\":[]}"
        #expect(Self.refusal(index, as: Good.ociIndex)?.contains("ambiguous") == true)
    }

    @Test(
        "the same in a descriptor",
        arguments: ["Digest", "DIGEST", "Size", "MediaType", "mediatype", "\u{17F}ize", "dige\u{17F}t"])
    func foldedDescriptorKeys(_ key: String) {
        let layer = "{\"mediaType\":\"a/b\",\"digest\":\"\(Good.hello)\",\"size\":6,\"\(key)\":null}"
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config),\"layers\":[\(layer)]}")?.contains("ambiguous") == true)
    }

    @Test("equal keys")
    func equalKeys() {
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config),\(Good.config),\"layers\":[]}")?.contains("twice") == true)
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config),\"layers\":[],\"layer\\u0073\":[]}")?.contains("twice") == true)
        let layer = "{\"digest\":\"\(Good.hello)\",\"size\":6,\"size\":7}"
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config),\"layers\":[\(layer)]}")?.contains("twice") == true)
    }

    @Test(
        "descriptors that cannot be believed",
        arguments: [
            "{}", "null", "[]", "\"\(ManifestTests.hello)\"", "{\"size\":6}", "{\"digest\":\"\(ManifestTests.hello)\"}",
            "{\"digest\":\"\(ManifestTests.hello)\",\"size\":-1}", "{\"digest\":\"\(ManifestTests.hello)\",\"size\":1.5}",
            "{\"digest\":\"\(ManifestTests.hello)\",\"size\":9223372036854775808}",
            "{\"digest\":\"\(ManifestTests.hello)\",\"size\":\"6\"}", "{\"digest\":\"\(ManifestTests.hello)\",\"size\":null}",
            "{\"digest\":\"md5:00\",\"size\":6}", "{\"digest\":\"../../etc\",\"size\":6}", "{\"digest\":null,\"size\":6}",
            "{\"mediaType\":\"no type\",\"digest\":\"\(ManifestTests.hello)\",\"size\":6}",
        ])
    func descriptors(_ descriptor: String) {
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config),\"layers\":[\(descriptor)]}") != nil)
        #expect(Self.refusal("{\"schemaVersion\":2,\"config\":\(descriptor),\"layers\":[]}") != nil)
        #expect(Self.refusal("{\"schemaVersion\":2,\"manifests\":[\(descriptor)]}", as: Good.ociIndex) != nil)
    }

    @Test(
        "documents that are none",
        arguments: ["", "{", "[]", "null", "\"x\"", "<html></html>", "{}", "\u{FEFF}{}", "{\"schemaVersion\":2}{}"])
    func noDocuments(_ text: String) {
        #expect(Self.refusal(text) != nil)
    }

    @Test("lists are lists", arguments: ["{}", "1", "\"\"", "true"])
    func lists(_ value: String) {
        #expect(Self.refusal("{\"schemaVersion\":2,\(Good.config),\"layers\":\(value)}") != nil)
        #expect(Self.refusal("{\"schemaVersion\":2,\"manifests\":\(value)}", as: Good.ociIndex) != nil)
    }
}
