import OCI
import Testing

/// Image spec, "Image Manifest" and "Image Index"; Docker's schema 2 and manifest list.
struct ManifestTests {
    // printf abc | sha256sum; printf '' | sha256sum; printf 'hello\n' | sha256sum
    static let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    static let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let hello = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

    static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
    static let ociIndex = "application/vnd.oci.image.index.v1+json"
    static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    static let dockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
    static let artifact = "application/vnd.oci.artifact.manifest.v1+json"

    static let config = "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"\(abc)\",\"size\":3}"

    static func layer(_ digest: String = hello, type: String = "application/vnd.oci.image.layer.v1.tar+gzip", size: String = "6")
        -> String
    {
        "{\"mediaType\":\"\(type)\",\"digest\":\"\(digest)\",\"size\":\(size)}"
    }

    static func parse(_ text: String, as type: String) throws -> Manifest {
        let mediaType = try MediaType(parsing: type)
        return try Array(text.utf8).withUnsafeBytes { try Manifest(parsing: $0, as: mediaType) }
    }

    @Test("an image: its config comes first, then its layers in order", arguments: [ociManifest, dockerManifest])
    func image(_ type: String) throws {
        let text = """
            {"schemaVersion":2,"mediaType":"\(type)","layers":[\(Self.layer()),\(Self.layer(Self.empty, size: "0"))],
             \(Self.config),"annotations":{"a":"b"}}
            """
        let manifest = try Self.parse(text, as: type)
        #expect(manifest.mediaType.description == type)
        #expect(manifest.children.map(\.role) == [.config, .layer, .layer])
        #expect(manifest.children.map(\.descriptor.digest.description) == [Self.abc, Self.hello, Self.empty])
        #expect(manifest.children.map(\.descriptor.size) == [3, 6, 0])
        #expect(manifest.children[1].descriptor.mediaType.description == "application/vnd.oci.image.layer.v1.tar+gzip")
        #expect(manifest.subject == nil)
    }

    @Test("an index: its manifests with their platforms", arguments: [ociIndex, dockerList])
    func index(_ type: String) throws {
        let text = """
            {"schemaVersion":2,"mediaType":"\(type)","manifests":[
             {"mediaType":"\(Self.ociManifest)","digest":"\(Self.abc)","size":3,
              "platform":{"architecture":"amd64","os":"linux","os.version":"1"}},
             {"mediaType":"\(Self.ociManifest)","digest":"\(Self.hello)","size":6,
              "platform":{"os":"linux","architecture":"arm","variant":"v7"}},
             {"digest":"\(Self.empty)","size":0,"platform":null}]}
            """
        let manifest = try Self.parse(text, as: type)
        #expect(manifest.children.map(\.role) == [.manifest, .manifest, .manifest])
        #expect(manifest.children.map(\.descriptor.platform?.description) == ["linux/amd64", "linux/arm/v7", nil])
        #expect(manifest.children[2].descriptor.mediaType == .octetStream)
    }

    @Test("the withdrawn artifact manifest has blobs and no schema version")
    func artifactManifest() throws {
        let text = """
            {"mediaType":"\(Self.artifact)","artifactType":"application/x","blobs":[\(Self.layer())],
             "subject":{"mediaType":"\(Self.ociManifest)","digest":"\(Self.abc)","size":3}}
            """
        let manifest = try Self.parse(text, as: Self.artifact)
        #expect(manifest.children.map(\.role) == [.blob])
        #expect(manifest.subject?.digest.description == Self.abc)
    }

    @Test("a subject is what the referrers API asks for")
    func subject() throws {
        let subject = "\"subject\":{\"mediaType\":\"\(Self.ociManifest)\",\"digest\":\"\(Self.empty)\",\"size\":7}"
        let image = try Self.parse("{\"schemaVersion\":2,\(Self.config),\"layers\":[],\(subject)}", as: Self.ociManifest)
        #expect(image.subject?.digest.description == Self.empty)
        #expect(image.subject?.size == 7)
        #expect(image.children.map(\.role) == [.config])
        let index = try Self.parse("{\"schemaVersion\":2,\"manifests\":[],\(subject)}", as: Self.ociIndex)
        #expect(index.subject?.digest.description == Self.empty)
        let none = try Self.parse("{\"schemaVersion\":2,\"manifests\":[],\"subject\":null}", as: Self.ociIndex)
        #expect(none.subject == nil)
    }

    @Test("a list that Go wrote as null is an empty one")
    func nullLists() throws {
        let image = try Self.parse("{\"schemaVersion\":2,\(Self.config),\"layers\":null}", as: Self.ociManifest)
        #expect(image.children.count == 1)
        let index = try Self.parse("{\"schemaVersion\":2,\"manifests\":null}", as: Self.ociIndex)
        #expect(index.children.isEmpty)
    }

    @Test(
        "layers that their publisher forbids to distribute are told apart",
        arguments: [
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Manifest.Role.foreignLayer),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", .foreignLayer),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar", .foreignLayer),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", .layer),
            ("application/vnd.oci.image.layer.v1.tar+zstd", .layer),
        ])
    func foreignLayers(_ type: String, _ role: Manifest.Role) throws {
        let layer = """
            {"mediaType":"\(type)","digest":"\(Self.hello)","size":6,"urls":["https://evil.example/x"]}
            """
        let manifest = try Self.parse("{\"schemaVersion\":2,\(Self.config),\"layers\":[\(layer)]}", as: Self.dockerManifest)
        #expect(manifest.children.last?.role == role)
    }

    @Test("the same layer may come several times; sha512 children are content like others")
    func repeatedLayers() throws {
        let long =
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        let layers = [Self.layer(), Self.layer(), Self.layer(long)].joined(separator: ",")
        let manifest = try Self.parse("{\"schemaVersion\":2,\(Self.config),\"layers\":[\(layers)]}", as: Self.ociManifest)
        #expect(manifest.children.map(\.descriptor.digest.description) == [Self.abc, Self.hello, Self.hello, long])
    }

    @Test("4 MiB is the largest manifest")
    func largest() throws {
        let limit = 4_194_304
        let start = "{\"schemaVersion\":2,\"manifests\":[]"
        func document(_ size: Int) -> String { start + String(repeating: " ", count: size - start.utf8.count - 1) + "}" }
        #expect(try Self.parse(document(limit), as: Self.ociIndex).children.isEmpty)
        let error = #expect(throws: ManifestError.self) { try Self.parse(document(limit + 1), as: Self.ociIndex) }
        #expect(error?.description == "is larger than 4 MiB")
    }

    @Test("ten thousand layers are read")
    func many() throws {
        let layers = Array(repeating: Self.layer(), count: 10_000).joined(separator: ",")
        let manifest = try Self.parse("{\"schemaVersion\":2,\(Self.config),\"layers\":[\(layers)]}", as: Self.ociManifest)
        #expect(manifest.children.count == 10_001)
    }

    @Test(
        "the type of a document that came without one",
        arguments: [
            ("{\"schemaVersion\":2,\"mediaType\":\"\(dockerList)\",\"manifests\":[]}", dockerList),
            ("{\"schemaVersion\":2,\"manifests\":[]}", ociIndex),
            ("{\"schemaVersion\":2,\(config),\"layers\":[]}", ociManifest),
            ("{\"mediaType\":\"application/json\",\"manifests\":[]}", nil),
            ("{\"schemaVersion\":2,\(config)}", nil),
            ("{\"architecture\":\"amd64\"}", nil),
            ("{}", nil),
            ("[]", nil),
            ("", nil),
            ("{\"manifests\":[],\"manifests\":[]}", nil),
        ] as [(String, String?)])
    func declaredType(_ text: String, _ expected: String?) {
        #expect(Array(text.utf8).withUnsafeBytes { Manifest.declaredType(of: $0) }?.description == expected)
    }
}
