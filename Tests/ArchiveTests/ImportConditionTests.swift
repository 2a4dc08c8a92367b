import Archive
import Glibc
import OCI
import Storage
import TestSupport
import Testing

/// Room, links, and archives that are no image layouts.
@Suite("Importing into what there is")
struct ImportConditionTests {
    private static func repository(_ text: String = "docker.io/library/app") throws -> QualifiedRepository {
        try QualifiedRepository(parsing: text)
    }

    private static func tag(_ name: String, _ store: ContentStore) throws -> String? {
        store.catalog.tag(try Tag(parsing: name), in: try Self.repository())?.digest.description
    }

    @Test("an import that waits for a pipe ends when it is told to", .timeLimit(.minutes(1)))
    func silentPipe() async throws {
        try await ImportLab.run { lab in
            let path = lab.folder.path("pipe")
            try #require(mkfifo(path, 0o600) == 0)
            // Somebody who holds it open and never writes.
            let writer = open(path, O_RDWR | O_CLOEXEC)
            defer { close(writer) }
            try await lab.withStore { store in
                let options = ImportOptions(naming: try ImportLab.naming())
                let tally = try await onThread {
                    let bundle = try #require(try BundlePaths.open([path]).first)
                    return ImageImporter(store, options, isStopped: { true }, report: { _ in }).run(bundle.input, opener: bundle)
                }
                #expect(tally.exitCode == 2)
            }
        }
    }

    @Test("what an upstream says while content comes stays, and no image comes without all of its content")
    func overtaken() async throws {
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                _ = try await lab.bring(LayoutText.simple(seed: 1, at: 1000).archive, to: store)
                _ = try await lab.bring(LayoutText.simple(seed: 2, at: 3000).archive, to: store)
                let repository = try QualifiedRepository(parsing: "docker.io/library/app")
                let tag = try Tag(parsing: "1")
                let newest = try #require(store.catalog.tag(tag, in: repository)?.digest)
                let old = try #require(store.catalog.manifests(of: repository).first { $0 != newest })
                func receive(_ contents: [Digest]) async throws {
                    let image = IncomingImage(
                        repository: repository, blobs: [], manifests: [], names: [.init(tag: tag, digest: old, at: 2000)],
                        pins: [], contents: contents)
                    try await onThread { try store.receive([image]) }
                }
                try await receive([old])
                #expect(store.catalog.tag(tag, in: repository)?.digest == newest)
                let gone = try Digest(parsing: "sha256:\(String(repeating: "a", count: 64))")
                await #expect(throws: StorageError.self) { try await receive([old, gone]) }
            }
        }
    }

    @Test("pins that would pass the cap are refused with numbers before anything is written")
    func cap() async throws {
        try await ImportLab.run { lab in
            try await lab.withStore(maxSize: 10 << 20) { store in
                var layout = LayoutText()
                layout.name(layout.addImage(seed: 1, layers: [5 << 20]).manifest, "docker.io/library/app", "1", at: 5)
                #expect(try await lab.bring(layout.archive, to: store).lines == ["docker.io/library/app:1 imported"])
                let blobs = store.catalog.total.blobs
                var more = LayoutText()
                more.name(more.addImage(seed: 2, layers: [3 << 20, 3 << 20]).manifest, "docker.io/library/more", "1", at: 5)
                let outcome = try await lab.bring(more.archive, to: store)
                #expect(outcome.tally.exitCode == 2)
                let problem = outcome.problems.first ?? ""
                #expect(problem.contains("store.maxSize (10485760 bytes)"), "\(problem)")
                #expect(problem.contains("nothing was stored"))
                #expect(store.catalog.total.blobs == blobs)
                // Not pinned, what is there makes room.
                _ = try await onThread { try store.unpin(.tag(try Tag(parsing: "1")), in: try Self.repository()) }
                #expect(try await lab.bring(more.archive, to: store).lines == ["docker.io/library/more:1 imported"])
                #expect(try Self.tag("1", store) == nil)
            }
        }
    }

    @Test("a linked file is the store's own from then on, and read-only")
    func links() async throws {
        var layout = LayoutText()
        let image = layout.addImage(seed: 1)
        layout.name(image.manifest, "docker.io/library/app", "1", at: 5)
        let blobs = layout.blobs
        let chosen = layout
        try await ImportLab.run { lab in
            try chosen.write(toFolder: lab.folder.path("layout"))
            try await lab.withStore { store in
                let outcome = try await lab.bring([lab.folder.path("layout")], to: store) { $0.transfer = .link }
                #expect(outcome.lines == ["docker.io/library/app:1 imported"])
                #expect(outcome.notes == [])
                for blob in blobs {
                    let hex = sha256Hex(blob.content)
                    let file = lab.folder.path("layout", blob.name)
                    let inodes = (
                        try Disk.inode(file), try Disk.inode(lab.folder.path("store", "blobs/sha256/\(hex.prefix(2))/\(hex)"))
                    )
                    #expect(inodes.0 == inodes.1)
                    #expect(try Disk.status(file).st_mode & 0o777 == 0o444)
                }
            }
        }
    }

    @Test("a file that somebody is writing to is copied, not linked; one that was changed is refused")
    func linksOfOthers() async throws {
        var layout = LayoutText()
        let image = layout.addImage(seed: 1)
        layout.name(image.manifest, "docker.io/library/app", "1", at: 5)
        let chosen = layout
        try await ImportLab.run { lab in
            let path = lab.folder.path("layout")
            try chosen.write(toFolder: path)
            let file = "\(path)/blobs/sha256/\(image.layers[1].dropFirst(7))"
            let writer = open(file, O_RDWR)
            defer { close(writer) }
            try await lab.withStore { store in
                let outcome = try await lab.bring([path], to: store) { $0.transfer = .link }
                #expect(outcome.lines == ["docker.io/library/app:1 imported"])
                #expect(outcome.notes.first?.contains("are copied") == true)
                let hex = image.layers[1].dropFirst(7)
                let stored = lab.folder.path("store", "blobs/sha256/\(hex.prefix(2))/\(hex)")
                let inodes = (try Disk.inode(file), try Disk.inode(stored))
                #expect(inodes.0 != inodes.1)
                var byte: UInt8 = 0
                #expect(pwrite(writer, &byte, 1, 0) == 1)
                let bytes = try Disk.read(stored)
                #expect(sha256Hex(bytes) == hex)
            }
        }
    }

    @Test("a dry run says what would be done and does nothing")
    func dryRun() async throws {
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring(LayoutText.simple().archive, to: store) { $0.purpose = .look }
                #expect(outcome.lines == ["docker.io/library/app:1 planned"])
                #expect(outcome.images[0].newBytes > 72_000)
                #expect(store.catalog.total.blobs == 0)
                #expect(store.catalog.allRepositories.isEmpty)
            }
        }
    }

    @Test("a docker save archive gets a manifest, always the same, and its links are followed by name")
    func dockerArchive() async throws {
        let layer = Fixtures.pseudoRandomBytes(count: 6000, seed: 5)
        let config = Array(
            "{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"sha256:\(sha256Hex(layer))\",\"sha256:\(sha256Hex(layer))\"]}}".utf8)
        let name = "\(sha256Hex(config)).json"
        var tar = TarText()
        tar.add("first/layer.tar", layer)
        tar.add(TarText.Header(name: "second/layer.tar", size: 0, type: "2", link: "../first/layer.tar"))
        tar.add("second/VERSION", Array("1.0".utf8))
        tar.add(name, config)
        tar.add(
            "manifest.json",
            Array(
                "[{\"Config\":\"\(name)\",\"RepoTags\":[\"app:1\",\"app:2\"],\"Layers\":[\"first/layer.tar\",\"second/layer.tar\"]}]"
                    .utf8))
        tar.add("repositories", Array("{}".utf8))
        let archive = tar.bytes + TarText.end
        // printf of the manifest, by hand, into sha256sum.
        let descriptor =
            "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar\",\"digest\":\"sha256:\(sha256Hex(layer))\",\"size\":6000}"
        let manifest =
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{\"mediaType\":"
            + "\"application/vnd.docker.container.image.v1+json\",\"digest\":\"sha256:\(sha256Hex(config))\",\"size\":\(config.count)},"
            + "\"layers\":[\(descriptor),\(descriptor)]}"
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring(archive, to: store)
                #expect(outcome.lines == ["docker.io/library/app:1, :2 imported"])
                #expect(outcome.images[0].isRebuilt)
                #expect(try Self.tag("1", store) == "sha256:\(sha256Hex(Array(manifest.utf8)))")
                let tags = (try Self.tag("1", store), try Self.tag("2", store))
                #expect(tags.0 == tags.1)
                #expect(store.catalog.total.blobs == 3)
                #expect(try await lab.bring(archive, to: store).lines == ["docker.io/library/app:1, :2 unchanged"])
            }
        }
    }

    @Test("a missing part is named, and so is a list of parts that is none")
    func split() async throws {
        try await ImportLab.run { lab in
            let path = lab.folder.path("bundle.tar")
            try Disk.write([1], to: "\(path).001")
            try Disk.write(
                Array(
                    "\(String(repeating: "0", count: 64))  bundle.tar.001\n\(String(repeating: "0", count: 64))  bundle.tar.002\n"
                        .utf8), to: "\(path).sha256")
            #expect { try BundlePaths.open(["\(path).001"]) } throws: { "\($0)".contains("bundle.tar.002 is missing") }
            try Disk.write(Array("evil  ../../etc/passwd\n".utf8), to: "\(path).sha256")
            #expect { try BundlePaths.open(["\(path).sha256"]) } throws: { "\($0)".contains("does not name the parts") }
            try Disk.write([1], to: lab.folder.path("app-1.100"))
            #expect(try BundlePaths.open([lab.folder.path("app-1.100")]).first?.input.parts == [lab.folder.path("app-1.100")])
        }
    }
}
