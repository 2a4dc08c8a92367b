import Archive
import Glibc
import OCI
import Storage
import TestSupport
import Testing

/// What comes into a store, by which name, and what stays out.
@Suite("Importing images")
struct ImageImportTests {
    private static func digest(_ text: String) throws -> Digest { try Digest(parsing: text) }

    private static func repository(_ text: String = "docker.io/library/app") throws -> QualifiedRepository {
        try QualifiedRepository(parsing: text)
    }

    private static func tag(_ name: String, _ store: ContentStore, in repository: String = "docker.io/library/app") throws
        -> String?
    {
        store.catalog.tag(try Tag(parsing: name), in: try Self.repository(repository))?.digest.description
    }

    @Test("an index comes with all its images, pinned and marked, in every form that a bundle has")
    func forms() async throws {
        var layout = LayoutText()
        let amd64 = layout.addImage(seed: 1)
        let arm64 = layout.addImage(seed: 2, platform: "linux/arm64")
        let index = layout.addIndex(of: [amd64, arm64])
        layout.name(index, "docker.io/library/app", "1", at: 1_900_000_000)
        for form in ["archive", "gzip", "folder", "split", "PAX"] {
            try await ImportLab.run { lab in
                let path = lab.folder.path("bundle")
                switch form {
                case "archive": try Disk.write(layout.archive, to: path)
                case "gzip": try Disk.write(GzipText.stored(layout.archive), to: path)
                case "folder": try layout.write(toFolder: path)
                case "PAX":
                    var tar = TarText()
                    for member in layout.members {
                        tar.addPAX(TarText.record("mtime", "1.5") + TarText.record("path", "./\(member.name)"))
                        tar.add("short", member.content)
                    }
                    try Disk.write(tar.bytes + TarText.end, to: path)
                default:
                    let bytes = layout.archive
                    var list = ""
                    for (number, start) in stride(from: 0, to: bytes.count, by: 60_000).enumerated() {
                        let part = Array(bytes[start..<min(start + 60_000, bytes.count)])
                        try Disk.write(part, to: "\(path).00\(number + 1)")
                        list += "\(sha256Hex(part))  bundle.00\(number + 1)\n"
                    }
                    try Disk.write(Array(list.utf8), to: "\(path).sha256")
                }
                let paths = form == "split" ? ["\(path).sha256", "\(path).002", "\(path).001"] : [path]
                try await lab.withStore { store in
                    let outcome = try await lab.bring(paths, to: store)
                    #expect(outcome.problems == [], "\(form)")
                    #expect(outcome.lines == ["docker.io/library/app:1 imported"], "\(form)")
                    #expect(outcome.images.first?.platforms == ["linux/amd64", "linux/arm64"])
                    #expect(outcome.tally.exitCode == 0)
                    let entry = store.catalog.tag(try Tag(parsing: "1"), in: try Self.repository())
                    #expect(entry?.digest.description == index.digest)
                    #expect(entry?.isImported == true)
                    #expect(entry?.fetchedAt == 1_900_000_000)
                    let pins = store.catalog.pins(in: try Self.repository())
                    #expect(Array(pins.values) == [2_000_000_000])
                    #expect(store.catalog.total.blobs == layout.blobs.count)
                    for blob in layout.blobs {
                        let digest = try Digest(parsing: "sha256:\(sha256Hex(blob.content))")
                        let isHeld = store.catalog.holds(digest, in: try Self.repository())
                        #expect(isHeld)
                        let file = try Disk.read(lab.folder.path("store", "blobs/sha256/\(digest.hex.prefix(2))/\(digest.hex)"))
                        #expect(file == blob.content)
                    }
                    let again = try await lab.bring(paths, to: store)
                    #expect(again.lines == ["docker.io/library/app:1 unchanged"])
                    #expect(again.tally.newBytes == 0)
                }
                // A start knows it all from the journal.
                try await lab.withStore { store in
                    let entry = store.catalog.tag(try Tag(parsing: "1"), in: try Self.repository())
                    #expect(entry?.isImported == true)
                    let facts = store.catalog.content(try Self.digest(index.digest))?.manifest
                    #expect(facts?.children.count == 2)
                    let pins = store.catalog.pins(in: try Self.repository())
                    #expect(pins.count == 1)
                }
            }
        }
    }

    @Test("what two images share is new once: the sum is what came", arguments: [true, false])
    func shared(_ isDry: Bool) async throws {
        var layout = LayoutText()
        let one = layout.addImage(seed: 1)
        let index = layout.addIndex(of: [one, layout.addImage(seed: 2, platform: "linux/arm64")])
        layout.name(one.manifest, "docker.io/library/one", "1")
        layout.name(index, "docker.io/library/two", "1")
        let bytes = Int64(layout.blobs.reduce(0) { $0 + $1.content.count })
        try await ImportLab.run { lab in
            let path = lab.folder.path("bundle")
            try Disk.write(layout.archive, to: path)
            try await lab.withStore { store in
                let outcome = try await lab.bring([path], to: store) { if isDry { $0.purpose = .look } }
                #expect(outcome.problems == [])
                #expect(outcome.images.count == 2)
                #expect(outcome.tally.newBytes == bytes)
            }
        }
    }

    @Test("a pipe is read to its end and imported like a file, packed or not", arguments: [true, false])
    func pipe(_ isPacked: Bool) async throws {
        let archive = LayoutText.simple().archive
        let bytes = isPacked ? GzipText.stored(archive) : archive
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let path = lab.folder.path("fifo")
                #expect(mkfifo(path, 0o600) == 0)
                // Opened for reading and writing, it lets a writer in before its reader, and does not end before either has come.
                let holder = open(path, O_RDWR | O_NONBLOCK)
                let writer = open(path, O_WRONLY)
                #expect(holder >= 0 && writer >= 0)
                async let writing: Void = onThread {
                    defer { close(writer) }
                    try Disk.append(bytes, to: writer)
                }
                let outcome = try await onThread {
                    let bundle = try #require(try BundlePaths.open([path]).first)
                    close(holder)
                    return (bundle.input, bundle)
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        let tally = try await onThread {
                            ImageImporter(store, ImportOptions(naming: try ImportLab.naming())) { _ in }
                                .run(outcome.0, opener: outcome.1)
                        }
                        #expect(tally.exitCode == 0)
                    }
                    try await group.waitForAll()
                }
                try await writing
                #expect(try Self.tag("1", store) != nil)
            }
        }
    }

    @Test("what neither the bundle nor the store has keeps its image out, and is named; the others come")
    func incomplete() async throws {
        var layout = LayoutText()
        let whole = layout.addImage(seed: 1)
        let broken = layout.addImage(seed: 2)
        layout.name(broken.manifest, "docker.io/library/broken", "1", at: 5)
        layout.name(whole.manifest, "docker.io/library/app", "1", at: 5)
        var delta = layout
        delta.annotations = [("dev.amargo.delta", String(repeating: "ab", count: 32))]
        delta.remove(broken.layers[1])
        let (full, part) = (layout.archive, delta.archive)
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring(part, to: store)
                #expect(outcome.lines == ["docker.io/library/broken:1 incomplete", "docker.io/library/app:1 imported"])
                #expect(outcome.images[0].faults.map(\.description) == [broken.layers[1]])
                #expect(outcome.tally.exitCode == 1)
                #expect(outcome.notes.first?.contains("is a delta") == true)
                // Nothing of it is left, not even what the bundle had.
                for digest in [broken.manifest.digest, broken.config, broken.layers[0]] {
                    let isThere = store.catalog.contains(try Self.digest(digest))
                    #expect(!isThere)
                }
                #expect(store.catalog.total.blobs == 4)
                // With its base here, the delta does.
                _ = try await lab.bring(full, to: store)
                #expect(try await lab.bring(part, to: store).lines.allSatisfy { $0.hasSuffix("unchanged") })
            }
        }
    }

    @Test("content that is not what its name says keeps its image out and nothing of it in", arguments: [0, 1, 69_999])
    func damaged(_ place: Int) async throws {
        var layout = LayoutText()
        let whole = layout.addImage(seed: 1)
        let broken = layout.addImage(seed: 2)
        var bytes = Fixtures.pseudoRandomBytes(count: 70_000, seed: 201)
        bytes[place] ^= 1
        layout.replace(broken.layers[1], with: bytes)
        layout.name(whole.manifest, "docker.io/library/app", "1", at: 5)
        layout.name(broken.manifest, "docker.io/library/broken", "1", at: 5)
        let archive = layout.archive
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring(archive, to: store)
                #expect(outcome.lines == ["docker.io/library/app:1 imported", "docker.io/library/broken:1 damaged"])
                #expect(outcome.images[1].faults.map(\.description) == [broken.layers[1]])
                #expect(outcome.tally.exitCode == 1)
                #expect(store.catalog.total.blobs == 4)
                #expect(try Self.tag("1", store, in: "docker.io/library/broken") == nil)
            }
        }
    }

    @Test("a bundle that is older than what the store has leaves that alone; a newer one, or one without times, does not")
    func older() async throws {
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let first = LayoutText.simple(seed: 1, at: 1000)
                let newest = LayoutText.simple(seed: 2, at: 3000)
                #expect(try await lab.bring(first.archive, to: store).lines == ["docker.io/library/app:1 imported"])
                let old = try Self.tag("1", store)
                #expect(try await lab.bring(newest.archive, to: store).lines == ["docker.io/library/app:1 imported"])
                let new = try Self.tag("1", store)
                #expect(new != old)
                let outcome = try await lab.bring(LayoutText.simple(seed: 3, at: 2000).archive, to: store)
                #expect(outcome.lines == ["docker.io/library/app:1 older"])
                #expect(outcome.tally.exitCode == 0)
                #expect(try Self.tag("1", store) == new)
                #expect(store.catalog.total.blobs == 8)
                #expect(
                    try await lab.bring(LayoutText.simple(seed: 3, at: nil).archive, to: store).lines == [
                        "docker.io/library/app:1 imported"
                    ])
                // What an upstream confirmed is newer, and stays confirmed when the bundle has the same.
                try await onThread {
                    store.setTag(try Tag(parsing: "1"), in: try Self.repository(), to: try Self.digest(try #require(new)))
                }
                #expect(try await lab.bring(first.archive, to: store).lines == ["docker.io/library/app:1 older"])
                #expect(try await lab.bring(newest.archive, to: store).lines == ["docker.io/library/app:1 unchanged"])
                let entry = store.catalog.tag(try Tag(parsing: "1"), in: try Self.repository())
                #expect(entry?.isImported == false)
            }
        }
    }

    @Test(
        "names of others mean what they mean to their engines",
        arguments: [
            ("docker.io/library/app:1", "docker.io/library/app:1"), ("app:1", "docker.io/library/app:1"),
            ("index.docker.io/app:1", "docker.io/library/app:1"), ("org/app:1", "docker.io/org/app:1"),
            ("localhost/app:latest", "localhost/app:latest"), ("quay.io/org/app", "quay.io/org/app:latest"),
            ("registry.local:5000/a/b/c:v1", "registry.local:5000/a/b/c:v1"),
        ])
    func names(_ written: String, _ meant: String) async throws {
        var layout = LayoutText()
        layout.name(layout.addImage(seed: 1).manifest, written)
        let archive = layout.archive
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring(archive, to: store)
                #expect(outcome.lines == ["\(meant) imported"])
            }
        }
    }

    @Test("--as names one image, or moves all tags of a repository")
    func renaming() async throws {
        var bare = LayoutText()
        bare.name(bare.addImage(seed: 1).manifest, "v1")
        var two = bare
        two.name(two.addImage(seed: 2).manifest, "v2")
        var repositories = LayoutText.simple()
        repositories.name(repositories.addImage(seed: 9).manifest, "quay.io/other", "1")
        var nameless = LayoutText()
        nameless.entries.append(LayoutText.json(nameless.addImage(seed: 1).manifest))
        let cases: [(LayoutText, String, [String])] = [
            (bare, "app", ["docker.io/library/app:v1 imported"]), (bare, "app:new", ["docker.io/library/app:new imported"]),
            (two, "ghcr.io/me/app", ["ghcr.io/me/app:v1 imported", "ghcr.io/me/app:v2 imported"]), (two, "app:new", []),
            (repositories, "app", []), (nameless, "app", ["docker.io/library/app:latest imported"]),
            (LayoutText.simple(), "quay.io/x/y:2", ["quay.io/x/y:2 imported"]),
        ]
        for (layout, name, expected) in cases {
            try await ImportLab.run { lab in
                try await lab.withStore { store in
                    let outcome = try await lab.bring(layout.archive, to: store, as: name)
                    #expect(outcome.lines == expected, "\(name): \(outcome.problems)")
                    #expect(outcome.problems.isEmpty == !expected.isEmpty)
                    if expected.isEmpty { #expect(outcome.problems.first?.contains("--as") == true) }
                }
            }
        }
    }

    @Test("referrers and signature tags come with their image, wherever it goes", arguments: [nil, "quay.io/x/y"])
    func attachments(_ name: String?) async throws {
        var layout = LayoutText()
        let image = layout.addImage(seed: 1)
        let referrer = layout.addImage(seed: 2, layers: [10], subject: LayoutText.json(image.manifest))
        let signature = layout.addImage(seed: 3, layers: [10])
        layout.entries.append(LayoutText.json(referrer.manifest))
        layout.name(signature.manifest, "docker.io/library/app", "sha256-\(image.manifest.digest.dropFirst(7)).sig", at: 5)
        layout.name(image.manifest, "docker.io/library/app", "1", at: 5)
        let archive = layout.archive
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring(archive, to: store, as: name)
                #expect(outcome.problems == [])
                let target = name ?? "docker.io/library/app"
                #expect(outcome.lines.first == "\(target):1 imported")
                #expect(outcome.tally.done == 3)
                let repository = try Self.repository(target)
                for digest in [image.manifest.digest, referrer.manifest.digest, signature.manifest.digest] {
                    let isHeld = store.catalog.holds(try Self.digest(digest), in: repository)
                    #expect(isHeld)
                }
                let facts = store.catalog.content(try Self.digest(referrer.manifest.digest))?.manifest
                #expect(facts?.subject?.description == image.manifest.digest)
                #expect(store.catalog.tags(in: repository).count == 2)
                #expect(store.catalog.pins(in: repository).count == 1)
            }
        }
    }

    @Test("a chosen part of an index is complete; what was chosen and is missing is not")
    func platforms() async throws {
        var layout = LayoutText()
        let amd64 = layout.addImage(seed: 1)
        let arm64 = layout.addImage(seed: 2, platform: "linux/arm64")
        let index = layout.addIndex(of: [amd64, arm64])
        for digest in [arm64.manifest.digest, arm64.config] + arm64.layers { layout.remove(digest) }
        var some = layout
        some.name(index, "docker.io/library/app", "1", platforms: "linux/amd64")
        var both = layout
        both.name(index, "docker.io/library/app", "1", platforms: "linux/amd64,linux/arm64")
        var none = layout
        none.name(index, "docker.io/library/app", "1")
        for digest in [amd64.manifest.digest, amd64.config] + amd64.layers { none.remove(digest) }
        let archives = (some.archive, both.archive, none.archive)
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                #expect(try await lab.bring(archives.1, to: store).lines == ["docker.io/library/app:1 incomplete"])
                #expect(try await lab.bring(archives.2, to: store).lines == ["docker.io/library/app:1 incomplete"])
                #expect(store.catalog.total.blobs == 0)
                let outcome = try await lab.bring(archives.0, to: store)
                #expect(outcome.lines == ["docker.io/library/app:1 imported"])
                #expect(outcome.images[0].platforms == ["linux/amd64"])
                #expect(outcome.images[0].absentPlatforms == ["linux/arm64"])
            }
        }
    }
}
