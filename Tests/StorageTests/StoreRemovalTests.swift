import OCI
import TestSupport
import Testing

@testable import Storage

/// Removal, eviction and pins in a real store.
struct StoreRemovalTests {
    /// An image of one config and one layer that nobody else has, and a layer that all share.
    struct Image {
        let manifest: Sample.Content
        let config: Sample.Content
        let layer: Sample.Content
        let shared: Sample.Content

        init(_ number: Int, layerSize: Int = 5_000) throws {
            self.config = try Self.blob([UInt8](repeating: UInt8(number), count: 100))
            self.layer = try Self.blob([UInt8](repeating: UInt8(number), count: layerSize))
            self.shared = try Self.blob([UInt8](repeating: 0xFF, count: 6_000))
            func descriptor(_ content: Sample.Content, _ type: String) -> Fixtures.Descriptor {
                .init(mediaType: type, digest: "\(content.digest)", size: content.bytes.count)
            }
            let bytes = Fixtures.imageManifest(
                config: descriptor(self.config, ManifestFlavour.oci.configType),
                layers: [
                    descriptor(self.layer, ManifestFlavour.oci.layerType), descriptor(self.shared, ManifestFlavour.oci.layerType),
                ])
            let manifest = try bytes.withUnsafeBytes { try Manifest(parsing: $0, as: .ociManifest) }
            self.manifest = Sample.Content(
                digest: try Digest(parsing: "sha256:\(sha256Hex(bytes))"), bytes: bytes, facts: ManifestFacts(manifest))
        }

        private static func blob(_ bytes: [UInt8]) throws -> Sample.Content {
            Sample.Content(digest: try Digest(parsing: "sha256:\(sha256Hex(bytes))"), bytes: bytes, facts: nil)
        }

        var own: [Digest] { [self.manifest.digest, self.config.digest, self.layer.digest] }

        func put(in store: ContentStore, _ repository: QualifiedRepository, tag: String) async throws {
            for content in [self.config, self.layer, self.shared, self.manifest] { try await store.put(content, in: repository) }
            store.setTag(try Tag(parsing: tag), in: repository, to: self.manifest.digest)
        }
    }

    private static func blobFiles(_ fixture: StoreFixture) throws -> Set<String> {
        var names: Set<String> = []
        for shard in try Disk.names(in: fixture.path("blobs/sha256")) {
            names.formUnion(try Disk.names(in: fixture.path("blobs/sha256/\(shard)")))
        }
        return names
    }

    @Test("a removed image leaves no file, no link and no name, also after a restart; what others use stays")
    func remove() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let (first, second) = (try Image(1), try Image(2))
            try await fixture.withStore { store async throws in
                try await first.put(in: store, repository, tag: "one")
                try await second.put(in: store, repository, tag: "two")
                try await onThread { store.flushLayouts() }
                let plan = try store.planRemoval(of: .tag(Tag(parsing: "one")), in: repository)
                #expect(Set(plan.deletes) == Set(first.own))
                #expect(plan.bytes == 4_096 + 4_096 + 8_192)
                try await onThread { try store.execute(plan) }
                try await onThread { store.flushLayouts() }
                for digest in first.own { #expect(store.catalog.content(digest) == nil) }
                #expect(try store.catalog.tag(Tag(parsing: "one"), in: repository) == nil)
            }
            let stays = Set([second.manifest, second.config, second.layer, second.shared].map(\.digest.hex))
            #expect(try Self.blobFiles(fixture) == stays)
            let layout = fixture.path("repositories/docker.io/library/nginx/_oci/blobs/sha256")
            #expect(Set(try Disk.names(in: layout)) == stays)
            try await fixture.withStore { store async throws in
                for digest in first.own { #expect(store.catalog.content(digest) == nil) }
                #expect(store.catalog.total.blobs == 4)
                #expect(store.catalog.openRemovals.isEmpty)
                #expect(try await onThread { store.adoptUnknownBlobs { false } } == 0)
            }
        }
    }

    @Test("with another tag on it, only the name goes; a pinned image does not go at all; an unknown one is named")
    func names() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let image = try Image(1)
            let (one, two) = (Reference.tag(try Tag(parsing: "one")), Reference.tag(try Tag(parsing: "two")))
            try await fixture.withStore { store async throws in
                try await image.put(in: store, repository, tag: "one")
                store.setTag(try Tag(parsing: "two"), in: repository, to: image.manifest.digest)
                #expect(try await onThread { try store.pin(one, in: repository) } == true)
                #expect(try await onThread { try store.pin(one, in: repository) } == false)
                let pinned = #expect(throws: ContentStore.NameError.self) { try store.planRemoval(of: one, in: repository) }
                #expect(pinned?.description.contains("unpin docker.io/library/nginx:one") == true)
                let plan = try store.planRemoval(of: two, in: repository)
                #expect(plan.deletes.isEmpty)
                #expect(plan.remaining == ["docker.io/library/nginx:one"])
                try await onThread { try store.execute(plan) }
                let unknown = #expect(throws: ContentStore.NameError.self) { try store.planRemoval(of: two, in: repository) }
                #expect(unknown?.description.contains("is not stored") == true)
            }
            try await fixture.withStore { store async throws in
                #expect(store.catalog.pins(in: repository).keys.contains(one))
                #expect(try await onThread { try store.unpin(one, in: repository) } == true)
                #expect(try store.planRemoval(of: one, in: repository).deletes.count == 4)
            }
        }
    }

    @Test("an image that two repositories hold is taken out of one, and its layer stays for an image that needs it")
    func otherRepository() async throws {
        try await StoreFixture.run { fixture async throws in
            let (nginx, redis) = (try Sample.repository(), try Sample.repository("library/redis"))
            let image = try Image(1)
            try await fixture.withStore { store async throws in
                try await image.put(in: store, nginx, tag: "one")
                // An engine that has the layers already asks the second repository for the manifest alone.
                try await store.put(image.manifest, in: redis)
                store.setTag(try Tag(parsing: "one"), in: redis, to: image.manifest.digest)
                let plan = try store.planRemoval(of: .tag(Tag(parsing: "one")), in: nginx)
                #expect(plan.deletes.isEmpty)
                #expect(plan.unlinks.count == 4)
                try await onThread { try store.execute(plan) }
                try await onThread { store.flushLayouts() }
                #expect(!store.catalog.isHeld(nginx))
                for content in [image.manifest, image.config, image.layer, image.shared] {
                    #expect(store.catalog.repositories(holding: content.digest) == [redis])
                }
            }
            #expect(!Disk.exists(fixture.path("repositories/docker.io/library/nginx")))
            let layout = fixture.path("repositories/docker.io/library/redis/_oci/blobs/sha256")
            #expect(try Disk.names(in: layout).count == 4)
            try await fixture.withStore { store async throws in
                #expect(!store.catalog.holds(image.layer.digest, in: nginx))
                #expect(store.catalog.holds(image.layer.digest, in: redis))
            }
        }
    }

    @Test("a full store evicts what was pulled least recently, and never what is pinned or being read")
    func evicts() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let images = try (1...12).map { try Image($0, layerSize: 200_000) }
            // Room for the folders of a store and about six images.
            try await fixture.withStore(maxSize: 3_700_000) { store async throws in
                var reader: ReadableFile?
                for (index, image) in images.enumerated() {
                    fixture.clock.advance(by: 10)
                    for content in [image.config, image.layer, image.shared, image.manifest] {
                        try await onThread {
                            let reservation = try store.capacity.reserve(Int64(content.bytes.count), for: repository.namespace)
                            var writer = try store.makeWriter(for: content.digest)
                            try content.bytes.withUnsafeBytes { try writer.append($0) }
                            try store.publish(writer, facts: content.facts, in: repository)
                            _ = consume reservation
                        }
                    }
                    store.setTag(try Tag(parsing: "t\(index)"), in: repository, to: image.manifest.digest)
                    #expect(store.capacity.usedBytes <= 3_700_000)
                    if index == 0 { _ = try await onThread { try store.pin(.tag(Tag(parsing: "t0")), in: repository) } }
                    if index == 1 { reader = try await onThread { try store.openNow(image.layer.digest).get() } }
                }
                let stored = images.map { store.catalog.contains($0.layer.digest) }
                #expect(stored[0])
                #expect(stored[1])
                #expect(!stored[2])
                #expect(stored[11])
                // Once a least recently pulled one is there, all later ones are.
                let first = try #require(stored.dropFirst(2).firstIndex(of: true))
                #expect(stored[first...].allSatisfy { $0 })
                #expect(try store.catalog.tag(Tag(parsing: "t2"), in: repository) == nil)
                #expect(reader != nil)
                reader = nil
            }
            try await fixture.withStore(maxSize: 3_700_000) { store async throws in
                #expect(try store.catalog.tag(Tag(parsing: "t11"), in: repository)?.digest == images[11].manifest.digest)
                #expect(store.catalog.contains(images[0].layer.digest))
            }
        }
    }

    @Test("a repository that asked for content while it went holds it when it comes back, in its layout as well")
    func comesBack() async throws {
        try await StoreFixture.run { fixture async throws in
            let (nginx, redis) = (try Sample.repository(), try Sample.repository("library/redis"))
            let abc = try Sample.abc()
            try await fixture.withStore { store async throws in
                try await store.put(abc, in: nginx)
                try await onThread { try store.remove([abc.digest]) }
                // What a request says that saw the content a moment before.
                store.catalog.apply(.link(abc.digest, redis))
                try await store.put(abc, in: nginx)
            }
            for name in ["nginx", "redis"] {
                let link = fixture.path("repositories/docker.io/library/\(name)/_oci/blobs/sha256/\(Sample.abcHex)")
                #expect(try Disk.inode(link) == Disk.inode(fixture.path(StoreFixture.blobPath(abc.digest))))
            }
        }
    }

    @Test("what is pinned, pulled or opened after a plan was made stays", arguments: ["pin", "pull", "open", "nothing"])
    func oldPlan(_ since: String) async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let image = try Image(1)
            try await fixture.withStore { store async throws in
                try await image.put(in: store, repository, tag: "one")
                let plan = try await onThread { store.plan(for: .room(bytes: 1 << 30, of: nil)) }
                #expect(plan.items.count == 1)
                fixture.clock.advance(by: 5)
                var file: ReadableFile?
                switch since {
                case "pin": _ = try await onThread { try store.pin(.tag(Tag(parsing: "one")), in: repository) }
                case "pull": store.noteUse(of: image.manifest.digest)
                case "open": file = try await onThread { try store.openNow(image.layer.digest).get() }
                default: break
                }
                let removed = try await onThread {
                    var removed = 0
                    try store.execute(plan) { _ in removed += 1 }
                    return removed
                }
                #expect(removed == (since == "nothing" ? 1 : 0))
                #expect(store.catalog.contains(image.layer.digest) == (since != "nothing"))
                _ = file
            }
        }
    }

    @Test("an eviction that would not do is not begun")
    func hopeless() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let (kept, free) = (try Image(1, layerSize: 900_000), try Image(2, layerSize: 50_000))
            try await fixture.withStore(maxSize: 3_700_000) { store async throws in
                try await kept.put(in: store, repository, tag: "kept")
                try await free.put(in: store, repository, tag: "free")
                _ = try await onThread { try store.pin(.tag(Tag(parsing: "kept")), in: repository) }
                await #expect(throws: StorageError.self) {
                    _ = try await onThread { try store.capacity.reserve(1_500_000, for: repository.namespace).bytes }
                }
                #expect(store.catalog.contains(free.layer.digest))
            }
        }
    }

    @Test("an image of a pinned index is not removed by its digest")
    func pinnedChild() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let image = try Image(1)
            try await fixture.withStore { store async throws in
                try await image.put(in: store, repository, tag: "child")
                let index = try Sample.digest(77)
                let facts = ManifestFacts(
                    mediaType: .ociIndex, children: [Edge(role: .manifest, digest: image.manifest.digest, size: 1)], subject: nil)
                store.catalog.apply(.manifest(index, facts, size: 1, repository: repository, at: 0))
                store.catalog.apply(.tag(try Tag(parsing: "index"), repository, index, fetchedAt: 0))
                _ = try await onThread { try store.pin(.tag(Tag(parsing: "index")), in: repository) }
                #expect(throws: ContentStore.NameError.self) {
                    try store.planRemoval(of: .digest(image.manifest.digest), in: repository)
                }
            }
        }
    }

    @Test("damaged content whose quarantine is gone is never taken for what is fetched instead")
    func lostQuarantine() async throws {
        try await StoreFixture.run { fixture async throws in
            let abc = try Sample.abc()
            let path = fixture.path(StoreFixture.blobPath(abc.digest))
            for isBlocked in [false, true] {
                try await fixture.withStore { store async throws in
                    try await store.put(abc, in: try Sample.repository())
                    try Disk.remove(fixture.path("quarantine"))
                    // With a file in its place it cannot be made again.
                    if isBlocked { try Disk.write([], to: fixture.path("quarantine")) }
                    try Disk.remove(path)
                    try Disk.write(Array("abd".utf8), to: path)
                    try await onThread { store.quarantine(abc.digest) }
                    try await onThread {
                        var writer = try store.makeWriter(for: abc.digest)
                        try abc.bytes.withUnsafeBytes { try writer.append($0) }
                        try store.publish(writer, facts: nil, in: try Sample.repository())
                    }
                    #expect(try await store.contents(of: abc.digest) == abc.bytes)
                    #expect(try Disk.read(path) == abc.bytes)
                    if isBlocked { try Disk.remove(fixture.path("quarantine")) }
                    try await onThread { try store.remove([abc.digest]) }
                    if !isBlocked {
                        for name in try Disk.names(in: fixture.path("quarantine")) {
                            try Disk.remove(fixture.path("quarantine/\(name)"))
                        }
                    }
                }
            }
        }
    }

    @Test("bytes that have lost their name count until their last reader has let go")
    func unlinkedBytes() async throws {
        try await StoreFixture.run { fixture async throws in
            try await fixture.withStore { store async throws in
                let repository = try Sample.repository()
                let abc = try Sample.abc()
                try await store.put(abc, in: repository)
                var file: ReadableFile? = try await onThread { try store.openNow(abc.digest).get() }
                try await onThread { try store.remove([abc.digest]) }
                #expect(store.catalog.total.blobs == 0)
                #expect(store.capacity.reservedBytes == 4_096)
                #expect(file?.currentSize == 3)
                file = nil
                #expect(store.capacity.reservedBytes == 0)
            }
        }
    }

    @Test("a crash between intent and done is finished by the next start", arguments: ["file", "links", "nothing"])
    func unfinished(_ left: String) async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let image = try Image(1)
            try await fixture.withStore { store async throws in
                try await image.put(in: store, repository, tag: "one")
                try await onThread { store.flushLayouts() }
                try await store.journal.append([.delete(image.layer.digest)])
            }
            let link = fixture.path("repositories/docker.io/library/nginx/_oci/blobs/sha256/\(image.layer.digest.hex)")
            if left != "links" { try Disk.remove(link) }
            if left == "nothing" { try Disk.remove(fixture.path(StoreFixture.blobPath(image.layer.digest))) }
            for _ in 1...2 {
                try await fixture.withStore { store async throws in
                    #expect(store.catalog.content(image.layer.digest) == nil)
                    #expect(store.catalog.openRemovals.isEmpty)
                }
                #expect(!Disk.exists(link))
                #expect(!Disk.exists(fixture.path(StoreFixture.blobPath(image.layer.digest))))
            }
        }
    }

    @Test("what cannot be removed from the disk stays announced and is tried again")
    func retried() async throws {
        try await StoreFixture.run { fixture async throws in
            let abc = try Sample.abc()
            try await fixture.withStore { store async throws in
                try await store.put(abc, in: try Sample.repository())
                let path = fixture.path(StoreFixture.blobPath(abc.digest))
                // A folder in the file's place cannot be unlinked.
                try Disk.remove(path)
                try Disk.makeFolder(path)
                await #expect(throws: StorageError.self) { try await onThread { try store.remove([abc.digest]) } }
                #expect(store.catalog.content(abc.digest) == nil)
                #expect(Set(store.catalog.openRemovals.keys) == [abc.digest])
                try Disk.remove(path)
                try await onThread { store.retryRemovals() }
                #expect(store.catalog.openRemovals.isEmpty)
            }
        }
    }

    @Test("images that nobody has pulled for as long as they are kept go, but a clock that jumps removes nothing")
    func retention() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let (old, new) = (try Image(1), try Image(2))
            let store = try await fixture.open(retention: [repository.namespace: 1_000])
            try await old.put(in: store, repository, tag: "old")
            // The wall clock alone jumps: no time has passed.
            fixture.clock.advance(by: 315_360_000)
            try await onThread { store.removeUnused() }
            #expect(store.catalog.contains(old.manifest.digest))
            try await new.put(in: store, repository, tag: "new")
            await store.close()
        }
    }

    @Test("other caps are in force at once: what is beyond a lower one goes on demand, and a higher one takes more")
    func otherCaps() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let images = try (1...4).map { try Image($0, layerSize: 4_000_000) }
            try await fixture.withStore { store async throws in
                for (number, image) in images.enumerated() {
                    try await image.put(in: store, repository, tag: "v\(number)")
                    fixture.clock.advance(by: 60)
                }
                var configuration = store.configuration
                // Four layers of 4 MB, and somewhat more than 1 MB of folders: two of them fit.
                configuration.maxSize = 12_000_000
                configuration.path = "/elsewhere"
                let lower = configuration
                try await onThread { store.use(lower) }
                #expect(store.configuration.path.string == fixture.path)
                #expect(images.allSatisfy { store.catalog.contains($0.layer.digest) })
                try await onThread { store.removeExcess() }
                #expect(images.map { store.catalog.contains($0.layer.digest) } == [false, false, true, true])
                #expect(try await onThread { (try? store.capacity.reserve(15_000_000, for: repository.namespace)) == nil })
                configuration.maxSize = 40_000_000
                let higher = configuration
                try await onThread { store.use(higher) }
                try await onThread { _ = try store.capacity.reserve(15_000_000, for: repository.namespace) }
            }
        }
    }

    @Test("ages that are measured only from some time on do not count what the process did not see before its start")
    func retentionLater() {
        let start = ContinuousClock.now
        let clock = RetentionClock(now: 3_592_000, instant: start, newest: nil)
        clock.begin { before in
            #expect(before == 3_592_000)
            return 1_000_000
        }
        clock.begin { _ in 3_500_000 }
        #expect(clock.now(wall: 3_592_060, instant: start + .seconds(60)) == 1_000_060)
        // One that knows its store from the start is not asked again.
        let knowing = RetentionClock(now: 3_592_000, instant: start, newest: 3_591_000)
        knowing.begin { _ in 1_000_000 }
        #expect(knowing.now(wall: 3_592_060, instant: start + .seconds(60)) == 3_592_060)
    }

    @Test("the clock of retention counts what this process saw pass, and no jump")
    func retentionClock() {
        let start = ContinuousClock.now
        let clock = RetentionClock(now: 1_000_000, instant: start, newest: 999_000)
        #expect(clock.now(wall: 1_003_600, instant: start + .seconds(3_600)) == 1_003_600)
        // Ten years at once, then an hour.
        #expect(clock.now(wall: 1_003_600 + 315_360_000, instant: start + .seconds(3_610)) == 1_003_610)
        #expect(clock.now(wall: 1_007_200 + 315_360_000, instant: start + .seconds(7_210)) == 1_007_210)
        // Back by a day.
        #expect(clock.now(wall: 1_007_200 + 315_360_000 - 86_400, instant: start + .seconds(7_210)) == 1_007_210)
        // A host that was off for a month: what it did not see does not count.
        let later = RetentionClock(now: 3_592_000, instant: start, newest: 1_000_000)
        #expect(later.now(wall: 3_592_060, instant: start + .seconds(60)) == 1_000_060)
    }
}
