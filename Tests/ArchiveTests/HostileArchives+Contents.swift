import OCI
import TestSupport

/// What is in an archive, beyond its headers.
extension HostileArchives {
    static var compressions: [HostileArchive] {
        let magics: [(String, [UInt8], String)] = [
            ("zstd", [0x28, 0xB5, 0x2F, 0xFD], "zstd -d"), ("xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "xz -d"),
            ("bzip2", Array("BZh91AY".utf8), "bzip2 -d"), ("lz4", [0x04, 0x22, 0x4D, 0x18], "lz4 -d"),
            ("lzip", Array("LZIP".utf8), "lzip -d"), ("zip", [0x50, 0x4B, 3, 4], "unzip"),
        ]
        return magics.map { name, magic, program in
            Self.archive("compressed with \(name)", "unpack it first with \(program)") {
                magic + [UInt8](repeating: 1, count: 1000)
            }
        } + [
            Self.archive("gzip: cut off", "cut off") { Array(GzipText.stored(LayoutText.simple().archive).dropLast(100)) },
            Self.archive("gzip: damaged", "damaged") {
                var bytes = GzipText.stored(LayoutText.simple().archive)
                for index in 2000..<2100 { bytes[index] ^= 0x55 }
                return bytes
            },
            Self.archive("gzip: header alone", "cut off") { [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] },
            Self.archive("gzip: something behind", "behind its gzip data") {
                GzipText.stored(LayoutText.simple().archive) + Array("evil".utf8)
            },
            Self.archive("gzip: twice", "packed once more") { GzipText.stored(GzipText.stored(LayoutText.simple().archive)) },
            Self.archive("gzip: xz within", "packed once more") { GzipText.stored([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 1, 2, 3]) },
            Self.archive("gzip: a bomb", "more than 100 times") { try GzipText.packed([UInt8](repeating: 0, count: 64 << 20)) },
            Self.archive("gzip: of something else", "no tar archive") {
                GzipText.stored(Array(String(repeating: "text\n", count: 200).utf8))
            },
        ]
    }

    static var documents: [HostileArchive] {
        func index(_ title: String, _ text: String, _ because: String) -> HostileArchive {
            Self.archive("index.json: \(title)", because) {
                var layout = LayoutText.simple()
                layout.index = Array(text.utf8)
                return layout.archive
            }
        }
        func layout(_ title: String, _ text: String, _ because: String) -> HostileArchive {
            Self.archive("oci-layout: \(title)", because) {
                TarText.archive([("oci-layout", Array(text.utf8))] + LayoutText.simple().members.dropFirst())
            }
        }
        let digest = "sha256:\(Self.abc)"
        return [
            layout("another version", "{\"imageLayoutVersion\":\"2.0.0\"}", "not 1.0.0"),
            layout("no JSON", "1.0.0", "oci-layout"),
            layout("key twice", "{\"imageLayoutVersion\":\"1.0.0\",\"imageLayoutVersion\":\"1.0.0\"}", "twice"),
            index("no JSON", "hello", "index.json lacks"), index("empty", "", "index.json lacks"),
            index("key twice", "{\"schemaVersion\":2,\"manifests\":[],\"manifests\":[]}", "twice"),
            index("folded key", "{\"schemaVersion\":2,\"manifests\":[],\"Manifests\":[]}", "ambiguous"),
            index("byte order mark", "\u{FEFF}{\"schemaVersion\":2,\"manifests\":[]}", "index.json"),
            index("something behind", "{\"schemaVersion\":2,\"manifests\":[]}{}", "behind its end"),
            index("schema version 1", "{\"schemaVersion\":1,\"manifests\":[]}", "schema version 2"),
            index("no images", "{\"schemaVersion\":2,\"manifests\":[]}", "no image"),
            index("another type", "{\"schemaVersion\":2,\"mediaType\":\"text/plain\",\"manifests\":[]}", "something else"),
            index(
                "path as digest", "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../../etc\",\"size\":1}]}",
                "not a digest"),
            index(
                "negative size", "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"\(digest)\",\"size\":-1}]}",
                "without digest or size"),
            index(
                "size 2^64", "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"\(digest)\",\"size\":18446744073709551616}]}",
                "64-bit"),
            index("deep", String(repeating: "[", count: 100_000), "index.json"),
            Self.archive("index.json: a name that leads out", "a name that is none") {
                var layout = LayoutText()
                let image = layout.addImage(seed: 1)
                layout.name(image.manifest, "docker.io/../../etc/passwd:1")
                return layout.archive
            },
            Self.archive("index.json: larger than 4 MiB", "larger than 4 MiB") {
                var layout = LayoutText.simple()
                layout.index = [UInt8](repeating: 0x20, count: (4 << 20) + 1)
                return layout.archive
            },
            Self.archive("no index.json", "no index.json") { TarText.archive([("oci-layout", LayoutText.layout)]) },
            Self.archive("neither form", "neither an OCI image layout nor") { TarText.archive([("index.json", [])]) },
        ]
    }

    static var contents: [HostileArchive] {
        func manifest(_ title: String, _ text: String, type: String = LayoutText.manifestType, _ because: String)
            -> HostileArchive
        {
            Self.archive("manifest: \(title)", because) {
                var layout = LayoutText()
                let bytes = Array(text.utf8)
                layout.name(
                    Fixtures.Descriptor(mediaType: type, digest: layout.put(bytes), size: bytes.count), "docker.io/library/app",
                    "1")
                return layout.archive
            }
        }
        let config = "\"config\":{\"mediaType\":\"a/b\",\"digest\":\"sha256:\(Self.abc)\",\"size\":1}"
        return [
            manifest("no JSON", "hello", "the manifest"),
            manifest("key twice", "{\"schemaVersion\":2,\"schemaVersion\":2}", "twice"),
            manifest("both kinds", "{\"schemaVersion\":2,\(config),\"layers\":[],\"manifests\":[]}", "image as well as an index"),
            manifest(
                "another type than it was named by",
                "{\"schemaVersion\":2,\"mediaType\":\"\(LayoutText.indexType)\",\"manifests\":[]}",
                "but came as"),
            manifest("schema 1", "{\"schemaVersion\":1,\(config),\"layers\":[]}", "schema version 2"),
            manifest("folded key", "{\"schemaVersion\":2,\(config),\"layers\":[],\"Layers\":[]}", "ambiguous"),
            Self.archive("manifest: another size than it was named by", "bytes, and what needs it says") {
                var layout = LayoutText()
                var image = layout.addImage(seed: 1).manifest
                image = .init(mediaType: image.mediaType, digest: image.digest, size: image.size + 1)
                layout.name(image, "docker.io/library/app", "1")
                return layout.archive
            },
            Self.archive("layer: another size than the manifest says", "bytes, and what needs it says") {
                var layout = LayoutText()
                let image = layout.addImage(seed: 1)
                layout.replace(image.layers[0], with: [1, 2, 3])
                layout.name(image.manifest, "docker.io/library/app", "1")
                return layout.archive
            },
            Self.archive("manifest: other bytes of the same size", "is damaged") {
                var layout = LayoutText()
                let image = layout.addImage(seed: 1)
                layout.replace(image.manifest.digest, with: [UInt8](repeating: 0x20, count: image.manifest.size))
                layout.name(image.manifest, "docker.io/library/app", "1")
                return layout.archive
            },
            Self.archive("indexes within each other", "more than 8 indexes") {
                var layout = LayoutText()
                var inner = layout.addImage(seed: 1).manifest
                for _ in 0..<10 {
                    let bytes = Fixtures.imageIndex(manifests: [inner])
                    inner = .init(mediaType: LayoutText.indexType, digest: layout.put(bytes), size: bytes.count)
                }
                layout.name(inner, "docker.io/library/app", "1")
                return layout.archive
            },
            Self.archive("two images by one name", "two images by the name") {
                var layout = LayoutText.simple()
                layout.name(layout.addImage(seed: 2).manifest, "docker.io/library/app", "1")
                return layout.archive
            },
            Self.archive("an image without a name", "without a name") {
                var layout = LayoutText()
                layout.entries.append(LayoutText.json(layout.addImage(seed: 1).manifest))
                return layout.archive
            },
            Self.archive("an image with a tag alone", "only by the tag") {
                var layout = LayoutText()
                layout.name(layout.addImage(seed: 1).manifest, "latest")
                return layout.archive
            },
        ]
    }

    static var dockerArchives: [HostileArchive] {
        func docker(
            _ title: String, _ because: String, _ manifest: String, _ change: @escaping (inout TarText) -> Void = { _ in }
        )
            -> HostileArchive
        {
            Self.archive("docker save: \(title)", because) {
                var tar = TarText()
                tar.add("manifest.json", Array(manifest.utf8))
                change(&tar)
                return tar.bytes + TarText.end
            }
        }
        let layer = Fixtures.pseudoRandomBytes(count: 600, seed: 5)
        let config = "{\"rootfs\":{\"diff_ids\":[\"sha256:\(sha256Hex(layer))\"]}}"
        let manifest = "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\"],\"Layers\":[\"l/layer.tar\"]}]"
        func link(_ target: String) -> TarText.Header { TarText.Header(name: "l/layer.tar", size: 0, type: "2", link: target) }
        return [
            docker("no list", "not one that docker save writes", "{}"), docker("empty list", "names no image", "[]"),
            docker("no configuration", "without a configuration", "[{\"Layers\":[]}]"),
            docker("configuration leads out", "does not have", "[{\"Config\":\"../../etc/passwd\",\"Layers\":[]}]"),
            docker("key twice", "twice", "[{\"Config\":\"a\",\"Config\":\"b\"}]"),
            docker("folded key", "ambiguous", "[{\"Config\":\"a\",\"config\":\"b\"}]"),
            docker("missing layer", "does not have", manifest) { $0.add("c.json", Array(config.utf8)) },
            docker("more layers than the configuration says", "layers, and its configuration says", manifest) {
                $0.add("c.json", Array("{}".utf8))
                $0.add("l/layer.tar", layer)
            },
            docker("link out", "is a link", manifest) {
                $0.add("c.json", Array(config.utf8))
                $0.add(link("../../../etc/passwd"))
            },
            docker("absolute link", "is a link", manifest) {
                $0.add("c.json", Array(config.utf8))
                $0.add(link("/etc/passwd"))
            },
            docker("link to nothing there", "does not have", manifest) {
                $0.add("c.json", Array(config.utf8))
                $0.add(link("../x.tar"))
            },
            docker("links in a circle", "does not have", manifest) {
                $0.add("c.json", Array(config.utf8))
                $0.add(link("../m.tar"))
                $0.add(TarText.Header(name: "m.tar", size: 0, type: "2", link: "l/layer.tar"))
            },
            docker(
                "configuration of another name", "not what its name says", manifest.replacing("c.json", with: "\(Self.abc).json")
            ) {
                $0.add("\(Self.abc).json", Array(config.utf8))
                $0.add("l/layer.tar", layer)
            },
            docker("layer packed with zstd", "compressed with zstd", manifest) {
                $0.add("c.json", Array(config.utf8))
                $0.add("l/layer.tar", [0x28, 0xB5, 0x2F, 0xFD, 1, 2, 3, 4])
            },
        ]
    }

    static var many: [HostileArchive] {
        [
            Self.archive("a document twice, with other content", "twice") {
                Self.with(Self.file("oci-layout") { $0.size = LayoutText.layout.count }, LayoutText.layout)
            },
            Self.archive("a blob twice", "twice") {
                let layout = LayoutText.simple()
                return TarText.archive(layout.members + [layout.blobs[0]])
            },
            Self.archive("a blob twice, once with a dot", "twice") {
                let layout = LayoutText.simple()
                return TarText.archive(layout.members + [("./\(layout.blobs[0].name)", [1, 2, 3])])
            },
            Self.archive("more than 100,000 members", "more than 100000 members") {
                let header = TarText.Header(name: "blobs/", size: 0, type: "5").bytes
                var bytes: [UInt8] = []
                bytes.reserveCapacity(52_000_000)
                for _ in 0...100_000 { bytes += header }
                return bytes + TarText.end
            },
            Self.archive("many members that no layout has", "more than 20000 members") {
                var tar = TarText()
                for number in 0...20_000 { tar.add("x\(number)", []) }
                return tar.bytes + TarText.end
            },
        ]
    }
}
