import OCI
import Storage
import Testing

@testable import Maintenance

/// Who has what, worked out by hand.
struct DiskUsageTests {
    /// The store of the first test, in blocks of 4 KiB; every manifest, and every config `c…`, takes one:
    ///
    ///     docker.io/library/app:1, :one   m1 = c1, base (10), one (3)
    ///     docker.io/library/app:2         m2 = c2, base (10), two (5)
    ///     docker.io/library/tool:latest   i  = m3 (linux/amd64) = c3, base (10), tool (1); another platform is not stored
    ///                                     s  = c4, sig (1), attached to m3 by its tag
    ///     ghcr.io/org/app:1               m1, the same as above
    ///     nobody                          lost (7)
    private static func store() throws -> UsageStore {
        var store = UsageStore()
        try store.blob("base", blocks: 10, in: "docker.io/library/app", "docker.io/library/tool", "ghcr.io/org/app")
        try store.blob("one", blocks: 3, in: "docker.io/library/app", "ghcr.io/org/app")
        try store.blob("two", blocks: 5, in: "docker.io/library/app")
        try store.blob("tool", blocks: 1, in: "docker.io/library/tool")
        try store.blob("sig", blocks: 1, in: "docker.io/library/tool")
        try store.blob("lost", blocks: 7, in: "docker.io/library/tool")
        for config in ["c1", "c2", "c3", "c4"] {
            try store.blob(
                config, blocks: 1, in: config == "c1" || config == "c2" ? "docker.io/library/app" : "docker.io/library/tool")
        }
        try store.image("m1", ["c1", "base", "one"], in: "docker.io/library/app", "ghcr.io/org/app", at: 100)
        try store.image("m2", ["c2", "base", "two"], in: "docker.io/library/app", at: 200)
        try store.image("m3", ["c3", "base", "tool"], in: "docker.io/library/tool", at: 300)
        try store.image("s", ["c4", "sig"], in: "docker.io/library/tool", at: 50)
        try store.index("i", ["m3", "absent"], in: "docker.io/library/tool", at: 50)
        try store.tag("1", "m1", in: "docker.io/library/app")
        try store.tag("one", "m1", in: "docker.io/library/app")
        try store.tag("2", "m2", in: "docker.io/library/app")
        try store.tag("latest", "i", in: "docker.io/library/tool")
        try store.tag("sha256-\(try UsageStore.digest("m3").hex).sig", "s", in: "docker.io/library/tool")
        try store.tag("1", "m1", in: "ghcr.io/org/app")
        return store
    }

    @Test("what is unique, shared and attributed is as worked out by hand")
    func byHand() throws {
        let usage = DiskUsage(try Self.store().catalog)
        let block: Int64 = 4096
        #expect(usage.registries.map(\.name.description) == ["docker.io", "ghcr.io"])
        #expect(
            usage.repositories.map { "\($0.name)" } == ["docker.io/library/app", "docker.io/library/tool", "ghcr.io/org/app"])
        #expect(
            usage.images.map { usage.name(of: $0) } == [
                "docker.io/library/app:1", "docker.io/library/app:2", "docker.io/library/tool:latest", "ghcr.io/org/app:1",
            ])
        #expect(usage.images[0].tags.map(\.description) == ["1", "one"])

        // app:1 has nothing for itself: ghcr.io has the same. base is divided among four images, m1, c1 and one among two.
        let first = usage.images[0].figures
        #expect(first.unique == 0)
        #expect(first.shared == (1 + 1 + 10 + 3) * block)
        #expect(first.attributed == block / 2 + block / 2 + 10 * block / 4 + 3 * block / 2)
        #expect(first.blobs == 4)
        #expect(first.lastPulled == 100)
        #expect(usage.images[3].figures == first)

        let second = usage.images[1].figures
        #expect(second.unique == (1 + 1 + 5) * block)
        #expect(second.shared == 10 * block)
        #expect(second.attributed == 7 * block + 10 * block / 4)
        #expect(second.blobs == 4)

        // The index, its one image with config and two layers, the signature with config and layer.
        let third = usage.images[2].figures
        #expect(third.blobs == 8)
        #expect(third.unique == (1 + 1 + 1 + 1 + 3) * block)
        #expect(third.shared == 10 * block)
        #expect(third.lastPulled == 300)

        let app = usage.repositories[0].figures
        #expect(app.images == 2)
        #expect(app.blobs == 7)
        #expect(app.unique == 7 * block)
        #expect(app.shared == 15 * block)
        // ghcr.io keeps m1, c1, one and base from being docker.io's alone.
        let docker = usage.registries[0].figures
        #expect(docker.images == 3)
        #expect(docker.unique == 14 * block)
        #expect(docker.shared == 15 * block)
        #expect(usage.registries[1].figures.unique == 0)
        #expect(usage.registries[1].figures.shared == 15 * block)

        #expect(usage.orphans == DiskUsage.Orphans(blobs: 1, logical: 7 * block, allocated: 7 * block))
        // By hand: ten blobs of a block, base 10, one 3, two 5, lost 7; tool and sig are two of the ten, m1 m2 m3 s i, c1 to c4.
        #expect(usage.allocated == (11 + 10 + 3 + 5 + 7) * block)
        #expect(usage.figures.attributed + usage.orphans.allocated == usage.allocated)
        #expect(usage.blobs == 15)
    }

    private static func chosen(_ usage: DiskUsage, _ names: String...) -> DiskUsage.Selection {
        usage.select { names.contains(usage.name(of: $0)) }
    }

    @Test("chosen images are counted as one, against all that were not")
    func selection() throws {
        let usage = DiskUsage(try Self.store().catalog)
        let block: Int64 = 4096
        // Together they have m1, c1 and one for themselves; base stays for app:2 and tool.
        let both = Self.chosen(usage, "docker.io/library/app:1", "ghcr.io/org/app:1")
        #expect(both.all.images == 2)
        #expect(both.all.unique == 5 * block)
        #expect(both.all.shared == 10 * block)
        #expect(both.all.blobs == 4)
        #expect(both.all.logical == 2 * 15 * block)
        #expect(both.repositories.map(\.unique) == [0, 0, 0])
        #expect(both.registries.map(\.shared) == [15 * block, 15 * block])
        #expect(both.all.attributed == 2 * (5 * block / 2 + 10 * block / 4))
        let none = usage.select { _ in false }
        #expect(none.all == DiskUsage.Figures())
        #expect(usage.select { _ in true }.all == usage.figures)
    }

    @Test("a removal says what comes free, alone and together, and for whom the rest stays")
    func removal() throws {
        let usage = DiskUsage(try Self.store().catalog)
        let block: Int64 = 4096
        let one = usage.removal(of: [0])
        #expect(one.freed == 0)
        #expect(one.kept == 15 * block)
        #expect(one.parts[0].keepers.map(\.image) == [3, 1, 2])
        #expect(one.parts[0].keepers.map(\.bytes) == [15 * block, 10 * block, 10 * block])
        let both = usage.removal(of: [0, 3])
        #expect(both.freed == 5 * block)
        #expect(both.blobs == 3)
        #expect(both.later == 0)
        #expect(both.kept == 10 * block)
        #expect(both.parts.map(\.alone) == [0, 0])
        // Five blocks between the two; 3 * 4096 and 4096 are even.
        #expect(both.parts.map(\.together) == [5 * block / 2, 5 * block / 2])
        #expect(both.keepers.map(\.image) == [1, 2])
        let all = usage.removal(of: [0, 1, 2, 3])
        #expect(all.freed == usage.figures.unique)
        #expect(all.kept == 0)
        #expect(all.keepers.isEmpty)
    }

    @Test("layers say how many images have them, and every blob is one of them")
    func blobs() throws {
        let usage = DiskUsage(try Self.store().catalog)
        let block: Int64 = 4096
        let blobs = usage.blobs(of: usage.select { _ in true })
        #expect(blobs.count == 15)
        #expect(blobs.reduce(0) { $0 + $1.figures.attributed } == usage.allocated)
        let base = try #require(blobs.first { $0.digest == (try? UsageStore.digest("base")) })
        #expect(base.kind == "layer")
        #expect(base.figures.images == 4)
        #expect(base.figures.shared == 10 * block)
        #expect(base.figures.unique == 0)
        #expect(base.figures.lastPulled == 300)
        let lost = try #require(blobs.first { $0.digest == (try? UsageStore.digest("lost")) })
        #expect(lost.image == nil)
        #expect(lost.kind == "blob")
        #expect(lost.figures.images == 0)
        #expect(Set(blobs.map(\.kind)) == ["layer", "config", "manifest", "index", "blob"])
        // Of two images: base among them with what these two have of it.
        let some = usage.blobs(of: Self.chosen(usage, "docker.io/library/app:1", "ghcr.io/org/app:1"))
        #expect(some.count == 4)
        #expect(some.first { $0.digest == base.digest }?.figures.attributed == 10 * block / 2)
    }

    @Test("pulls are those of platform manifests, and a manifest that two images have counts once for what is around them")
    func pulls() throws {
        let counts = [
            try UsageStore.digest("m1"): Int64(5), try UsageStore.digest("m3"): 7, try UsageStore.digest("i"): 100,
            try UsageStore.digest("s"): 9,
        ]
        let usage = DiskUsage(try Self.store().catalog) { counts[$0] ?? 0 }
        // Neither the index nor the signature is an image that was pulled.
        #expect(usage.images.map(\.figures.pulls) == [5, 0, 7, 5])
        #expect(usage.registries.map(\.figures.pulls) == [12, 5])
        #expect(usage.figures.pulls == 12)
        let store = try Self.store()
        store.catalog.apply(.use(try UsageStore.digest("m2"), at: 250, pulls: 4))
        #expect(DiskUsage(store.catalog).images.map(\.figures.pulls) == [0, 4, 0, 0])
        #expect(DiskUsage(store.catalog).images[1].figures.lastPulled == 250)
    }

    @Test("a tagged or pinned platform is an image of its own and shared with its index; a name of its own attaches to nobody")
    func named() throws {
        var store = try Self.store()
        let tool = "docker.io/library/tool"
        try store.tag("amd64", "m3", in: tool)
        try store.tag("signature", "s", in: tool)
        let usage = DiskUsage(store.catalog)
        let images = usage.images.filter { "\(usage.repositories[$0.repository].name)" == tool }
        #expect(images.map(\.label) == ["amd64", "latest", "signature"])
        // c3, m3 and tool are those of both; the index alone is the index's.
        #expect(images.map(\.figures.unique) == [0, 4096, 3 * 4096])
        #expect(images[1].figures.blobs == 5)
        var other = try Self.store()
        try other.pin(.digest(try UsageStore.digest("m3")), in: tool)
        let pinned = DiskUsage(other.catalog).images.filter(\.isPinned)
        #expect(pinned.count == 1)
        #expect(pinned.first?.tags.isEmpty == true)
        // The signature belongs to the platform, wherever that belongs.
        #expect(pinned.first?.figures.blobs == 7)
    }

    @Test("what is attached to each other in a ring, what is held by nobody and what is missing confuses nothing")
    func odd() throws {
        var store = UsageStore()
        let repository = "docker.io/a/ring"
        try store.blob("x", blocks: 2, in: repository)
        try store.image("p", ["x", "absent"], in: repository, subject: "q")
        try store.image("q", ["x"], in: repository, subject: "p")
        try store.index("self", ["self", "gone"], in: repository)
        // A manifest of no repository, and a tag of nothing.
        try store.image("stray", ["x"])
        try store.tag("dangling", "nothing", in: repository)
        let usage = DiskUsage(store.catalog)
        #expect(usage.images.count == 2)
        #expect(usage.images.reduce(0) { $0 + $1.figures.unique } == (2 + 1 + 1 + 1) * 4096)
        #expect(usage.orphans.blobs == 1)
        #expect(usage.figures.attributed + usage.orphans.allocated == usage.allocated)
        #expect(DiskUsage(Catalog()).allocated == 0)
    }

    @Test(
        "whatever refers to whatever, the sums agree, and unique is what a search from all others does not find",
        arguments: UInt64(0)..<60)
    func property(_ seed: UInt64) throws {
        var random = Seeded(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
        var store = UsageStore()
        let repositories = (0..<4).map { "\($0 < 2 ? "docker.io" : "ghcr.io")/org/r\($0)" }
        var children: [String: [String]] = [:]
        for number in 0..<12 {
            try store.blob("b\(number)", blocks: Int64(random.next(8)), in: repositories[random.next(4)])
        }
        for number in 0..<8 {
            let layers = (0...random.next(4)).map { _ in "b\(random.next(14))" }  // some are not stored
            children["m\(number)"] = layers
            try store.image("m\(number)", layers, in: repositories[random.next(4)], at: Int64(random.next(1000)))
        }
        for number in 0..<3 {
            let images = (0...random.next(3)).map { _ in "m\(random.next(9))" }
            children["i\(number)"] = images
            try store.index("i\(number)", images, in: repositories[random.next(4)])
        }
        for _ in 0..<6 {
            let name = random.next(3) == 0 ? "i\(random.next(3))" : "m\(random.next(8))"
            try store.tag("t\(random.next(9))", name, in: repositories[random.next(4)])
        }
        let usage = DiskUsage(store.catalog)
        var sizes: [Digest: Int64] = [:]
        store.catalog.forEachContent { digest, content, _ in sizes[digest] = (content.size + 4095) / 4096 * 4096 }
        var names: [Digest: String] = [:]
        for name in Array(children.keys) + (0..<14).map({ "b\($0)" }) { names[try UsageStore.digest(name)] = name }
        func reach(_ image: DiskUsage.Image) throws -> Set<Digest> {
            var found: Set<Digest> = []
            var waiting = [image.digest]
            while let next = waiting.popLast() {
                guard sizes[next] != nil, found.insert(next).inserted else { continue }
                for child in names[next].flatMap({ children[$0] }) ?? [] { waiting.append(try UsageStore.digest(child)) }
            }
            return found
        }
        let all = try usage.images.map(reach)
        let bytes = { (digests: Set<Digest>) -> Int64 in digests.reduce(0) { $0 + (sizes[$1] ?? 0) } }
        for set in 0..<20 {
            let chosen = usage.images.indices.filter { _ in set == 0 || random.next(2) == 0 }
            let inside = chosen.reduce(into: Set<Digest>()) { $0.formUnion(all[$1]) }
            let outside = usage.images.indices.filter { !chosen.contains($0) }.reduce(into: Set<Digest>()) {
                $0.formUnion(all[$1])
            }
            let expected = bytes(inside.subtracting(outside))
            let removal = usage.removal(of: chosen)
            #expect(removal.freed == expected)
            #expect(removal.parts.reduce(0) { $0 + $1.together } == expected)
            #expect(removal.kept == bytes(inside.intersection(outside)))
            var position = -1
            let figures = usage.select { _ in
                position += 1
                return chosen.contains(position)
            }.all
            #expect(figures.unique == expected)
            #expect(figures.allocated == bytes(inside))
            #expect(figures.blobs == inside.count)
        }
        #expect(usage.allocated == bytes(Set(sizes.keys)))
        #expect(usage.images.reduce(0) { $0 + $1.figures.attributed } + usage.orphans.allocated == usage.allocated)
        #expect(usage.registries.reduce(0) { $0 + $1.figures.attributed } == usage.figures.attributed)
        let blobs = usage.blobs(of: usage.select { _ in true })
        #expect(blobs.reduce(0) { $0 + $1.figures.attributed } == usage.allocated)
    }
}

/// A small generator that gives the same numbers for the same seed.
private struct Seeded {
    var state: UInt64

    /// Below `limit`.
    mutating func next(_ limit: Int) -> Int {
        self.state ^= self.state << 13
        self.state ^= self.state >> 7
        self.state ^= self.state << 17
        return Int(self.state % UInt64(limit))
    }
}
