import OCI
import TestSupport
import Testing

@testable import Archive

struct BundleIndexTests {
    private static let hexA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    private static let hexB = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
    private static let receipt = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private static let document = """
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[\
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:\(hexA)","size":400,\
        "annotations":{"dev.amargo.repository":"docker.io/library/nginx"}},\
        {"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:\(hexB)","size":1024,\
        "annotations":{"dev.amargo.at":"1795510142","dev.amargo.platforms":"linux/amd64,linux/arm64/v8",\
        "dev.amargo.repository":"docker.io/library/nginx",\
        "io.containerd.image.name":"docker.io/library/nginx:alpine",\
        "org.opencontainers.image.ref.name":"docker.io/library/nginx:alpine"}},\
        {"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"sha256:\(hexA)","size":400,\
        "annotations":{"dev.amargo.at":"5","dev.amargo.repository":"ghcr.io/org/app",\
        "io.containerd.image.name":"ghcr.io/org/app:v1","org.opencontainers.image.ref.name":"ghcr.io/org/app:v1"}}],\
        "annotations":{"dev.amargo.delta":"\(receipt)"}}
        """

    private static func entries() throws -> [BundleEntry] {
        let nginx = try QualifiedRepository(parsing: "docker.io/library/nginx")
        let (a, b) = (try Digest(parsing: "sha256:\(hexA)"), try Digest(parsing: "sha256:\(hexB)"))
        return [
            BundleEntry(descriptor: Descriptor(mediaType: .ociManifest, digest: a, size: 400), repository: nginx),
            BundleEntry(
                descriptor: Descriptor(mediaType: .ociIndex, digest: b, size: 1024), repository: nginx,
                tag: try Tag(parsing: "alpine"), at: 1_795_510_142,
                platforms: [
                    Platform(os: "linux", architecture: "amd64"), Platform(os: "linux", architecture: "arm64", variant: "v8"),
                ]),
            BundleEntry(
                descriptor: Descriptor(mediaType: .dockerManifest, digest: a, size: 400),
                repository: try QualifiedRepository(parsing: "ghcr.io/org/app"), tag: try Tag(parsing: "v1"), at: 5),
        ]
    }

    private static func parse(_ text: String) throws -> BundleIndex {
        try Array(text.utf8).withUnsafeBytes { bytes in try BundleIndex(parsing: bytes) }
    }

    @Test("it is written in one way, whatever the order of its entries")
    func canonical() throws {
        let entries = try Self.entries()
        let annotations = ["dev.amargo.delta": Self.receipt]
        for order in [entries, entries.reversed(), [entries[1], entries[2], entries[0]]] {
            let bytes = BundleIndex(entries: order, annotations: annotations).encoded
            #expect(String(decoding: bytes, as: UTF8.self) == Self.document)
        }
        let empty = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}"
        #expect(String(decoding: BundleIndex(entries: []).encoded, as: UTF8.self) == empty)
    }

    @Test("what was written is read")
    func reading() throws {
        let index = try Self.parse(Self.document)
        #expect(index.entries == (try Self.entries()))
        #expect(index.delta == Self.receipt)
        #expect(index.entries.map(\.name) == [nil, "docker.io/library/nginx:alpine", "ghcr.io/org/app:v1"])
    }

    @Test(
        "a document that contradicts itself is refused",
        arguments: [
            ("\"schemaVersion\":2", "\"schemaVersion\":1", "schema version"),
            ("\"size\":400,", "\"size\":-1,", "size"),
            ("\"size\":400,", "\"size\":400,\"size\":400,", "twice"),
            ("\"size\":400,", "\"Size\":7,\"size\":400,", "ambiguous"),
            ("image.manifest.v1+json", "image.layer.v1.tar", "no manifest type"),
            ("\"dev.amargo.at\":\"5\"", "\"dev.amargo.at\":\"-5\"", "number of seconds"),
            ("\"dev.amargo.at\":\"5\"", "\"dev.amargo.at\":\"99999999999999999999\"", "number of seconds"),
            ("linux/amd64,", "linux,", "platform"),
            ("\"dev.amargo.repository\":\"ghcr.io/org/app\"", "\"dev.amargo.repository\":\"ghcr.io/../app\"", "repository"),
            ("\"dev.amargo.repository\":\"ghcr.io/org/app\"", "\"dev.amargo.repository\":\"ghcr.io/org/other\"", "name"),
            ("ref.name\":\"ghcr.io/org/app:v1\"", "ref.name\":\"ghcr.io/org/app:v2\"", "name"),
            ("ghcr.io/org/app:v1", "ghcr.io/org/app:-v1", "none"),
            ("\"dev.amargo.delta\":\"e3", "\"dev.amargo.delta\":\"E3", "no hash"),
            ("\"manifests\":[", "\"layers\":[],\"manifests\":[", "as well as"),
        ])
    func refusals(_ old: String, _ new: String, _ words: String) throws {
        let text = Self.document.replacing(old, with: new)
        try #require(text != Self.document)
        let error = #expect(throws: BundleError.self) { try Self.parse(text) }
        #expect(error?.code == .malformed)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "nothing")")
    }

    @Test("two entries with one name are refused, one manifest under two names is not")
    func names() throws {
        let twice = Self.document.replacing("ghcr.io/org/app", with: "docker.io/library/nginx").replacing(":v1", with: ":alpine")
        let error = #expect(throws: BundleError.self) { try Self.parse(twice) }
        #expect(error?.message.contains("twice") == true)
        var entries = try Self.entries()
        let other = BundleEntry(
            descriptor: entries[1].descriptor, repository: entries[1].repository, tag: try Tag(parsing: "latest"), at: 7)
        entries.append(other)
        let index = try BundleIndex(entries: entries).encoded.withUnsafeBytes { bytes in try BundleIndex(parsing: bytes) }
        #expect(index.entries.contains(other))
    }

    @Test("another program's layout is told apart")
    func foreign() throws {
        let text = """
            {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",\
            "digest":"sha256:\(Self.hexA)","size":400,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}
            """
        let error = #expect(throws: BundleError.self) { try Self.parse(text) }
        #expect(error?.code == .foreign)
    }
}
