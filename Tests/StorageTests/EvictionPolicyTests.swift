import OCI
import Testing

@testable import Storage

/// Who goes first: DESIGN §3, "Eviction". Every blob here takes one block of 4,096 bytes.
struct EvictionPolicyTests {
    /// A store's names and content, built up line by line.
    private struct Shelf {
        let catalog = Catalog()
        var busy: Set<Digest> = []

        func blob(_ number: Int, at: Int64 = 0, in repository: String = "library/a", of namespace: String = "docker.io") throws {
            self.catalog.apply(
                .blob(try Sample.digest(number), size: 10, repository: try Sample.repository(repository, in: namespace), at: at))
        }

        func image(
            _ number: Int, _ blobs: [Int], at: Int64 = 0, used: Int64 = 0, subject: Int? = nil,
            in repository: String = "library/a",
            of namespace: String = "docker.io"
        ) throws {
            for blob in blobs { try self.blob(blob, at: at, in: repository, of: namespace) }
            try self.manifest(.ociManifest, number, .layer, blobs, at, used, subject, repository, namespace)
        }

        func index(_ number: Int, _ images: [Int], at: Int64 = 0, used: Int64 = 0, in repository: String = "library/a") throws {
            try self.manifest(.ociIndex, number, .manifest, images, at, used, nil, repository, "docker.io")
        }

        private func manifest(
            _ type: MediaType, _ number: Int, _ role: Manifest.Role, _ children: [Int], _ at: Int64, _ used: Int64,
            _ subject: Int?,
            _ repository: String, _ namespace: String
        ) throws {
            let facts = ManifestFacts(
                mediaType: type, children: try children.map { Edge(role: role, digest: try Sample.digest($0), size: 10) },
                subject: try subject.map { try Sample.digest($0) })
            let digest = try Sample.digest(number)
            let name = try Sample.repository(repository, in: namespace)
            self.catalog.apply(.manifest(digest, facts, size: 10, repository: name, at: at))
            if used > 0 { self.catalog.apply(.use(digest, at: used)) }
        }

        func tag(_ text: String, _ number: Int, in repository: String = "library/a") throws {
            self.catalog.apply(
                .tag(try Tag(parsing: text), try Sample.repository(repository), try Sample.digest(number), fetchedAt: 0))
        }

        func pin(_ text: String, in repository: String = "library/a") throws {
            self.catalog.apply(.pin(try Reference(parsing: text), try Sample.repository(repository), at: 0))
        }

        func plan(_ goal: EvictionGoal, orphansBefore: Int64 = 0) -> EvictionPlan {
            var policy = EvictionPolicy(Inventory(self.catalog), busy: self.busy)
            return policy.plan(for: goal, orphansBefore: orphansBefore)
        }

        /// The numbers of what goes, item by item, each sorted.
        func goes(_ goal: EvictionGoal, orphansBefore: Int64 = 0) throws -> [[Int]] {
            let numbers = Dictionary(uniqueKeysWithValues: try (0...99).map { (try Sample.digest($0), $0) })
            return self.plan(goal, orphansBefore: orphansBefore).items.map { $0.contents.compactMap { numbers[$0] }.sorted() }
        }

        func goes(blocks: Int64) throws -> [[Int]] { try self.goes(.room(bytes: blocks * 4_096, of: nil)) }
    }

    @Test("the image pulled least recently goes first, whole, and no more than is needed")
    func order() throws {
        let shelf = Shelf()
        try shelf.image(1, [11, 12], at: 5, used: 30)
        try shelf.image(2, [21], at: 6, used: 20)
        try shelf.image(3, [31], at: 25)
        #expect(try shelf.goes(blocks: 1) == [[2, 21]])
        #expect(try shelf.goes(blocks: 2) == [[2, 21]])
        #expect(try shelf.goes(blocks: 3) == [[2, 21], [3, 31]])
        #expect(try shelf.goes(blocks: 99) == [[2, 21], [3, 31], [1, 11, 12]])
        #expect(try shelf.goes(blocks: 0) == [])
        #expect(shelf.plan(.room(bytes: 1, of: nil)).bytes == 8_192)
    }

    @Test("what another image uses stays until that goes, too")
    func shared() throws {
        let shelf = Shelf()
        try shelf.image(1, [10, 11], used: 1)
        try shelf.image(2, [10, 12], used: 2)
        #expect(try shelf.goes(blocks: 1) == [[1, 11]])
        #expect(try shelf.goes(blocks: 3) == [[1, 11], [2, 10, 12]])
    }

    @Test("an index lives while one of its images does")
    func index() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 9)
        // An image that was never pulled is named by the index all the same.
        try shelf.index(5, [1, 2, 3], used: 3)
        try shelf.tag("latest", 5)
        #expect(try shelf.goes(blocks: 1) == [[1, 11]])
        #expect(try shelf.goes(blocks: 3) == [[1, 11], [2, 5, 12]])
        #expect(shelf.plan(.room(bytes: 1, of: nil)).items.first?.names == ["docker.io/library/a:latest"])
    }

    @Test("whoever has an image asks for its index alone, and keeps it by that")
    func indexUse() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.index(5, [1], used: 9)
        try shelf.image(2, [12], used: 5)
        #expect(try shelf.goes(blocks: 1) == [[2, 12]])
    }

    @Test("a plan says what it gains of what it was made for")
    func gain() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12, 13], used: 2, in: "org/app", of: "ghcr.io")
        shelf.catalog.apply(.link(try Sample.digest(11), try Sample.repository("org/app", in: "ghcr.io")))
        #expect(shelf.plan(.room(bytes: 1 << 40, of: nil)).gain == 5 * 4_096)
        #expect(shelf.plan(.room(bytes: 1 << 40, of: try Namespace(parsing: "ghcr.io"))).gain == 3 * 4_096)
    }

    @Test("an index of which nothing is stored is a unit of its own, and one of indexes goes with the last image")
    func indexAlone() throws {
        let shelf = Shelf()
        try shelf.index(5, [1, 2], used: 3)
        #expect(try shelf.goes(blocks: 1) == [[5]])
        let nested = Shelf()
        try nested.image(1, [11], used: 1)
        try nested.index(5, [1])
        try nested.index(6, [5])
        #expect(try nested.goes(blocks: 1) == [[1, 5, 6, 11]])
    }

    @Test("referrers and sha256- tags go with what they are attached to, and their pulls keep it")
    func attachments() throws {
        let shelf = Shelf()
        let hex = try Sample.digest(1).hex
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 5)
        try shelf.image(3, [13], subject: 1)
        try shelf.image(4, [14])
        try shelf.tag("sha256-\(hex).sig", 4)
        #expect(try shelf.goes(blocks: 1) == [[1, 3, 4, 11, 13, 14]])
        shelf.catalog.apply(.use(try Sample.digest(4), at: 7))
        #expect(try shelf.goes(blocks: 1) == [[2, 12]])
        #expect(try shelf.goes(blocks: 3).last == [1, 3, 4, 11, 13, 14])
    }

    @Test("what is attached to an index goes with the index")
    func indexAttachments() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 2)
        try shelf.index(5, [1, 2])
        try shelf.image(6, [16], subject: 5)
        #expect(try shelf.goes(blocks: 1) == [[1, 11]])
        #expect(try shelf.goes(blocks: 3) == [[1, 11], [2, 5, 6, 12, 16]])
    }

    @Test("what has a name of its own is nobody's attachment, nor is what is attached to something absent")
    func ownName() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 2, subject: 1)
        try shelf.tag("v2", 2)
        try shelf.image(3, [13], used: 3, subject: 77)
        #expect(try shelf.goes(blocks: 99) == [[1, 11], [2, 12], [3, 13]])
    }

    @Test("what is attached to each other in a ring goes at last")
    func ring() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 2)
        try shelf.tag("sha256-\(try Sample.digest(1).hex)", 2)
        try shelf.tag("sha256-\(try Sample.digest(2).hex)", 1)
        #expect(try shelf.goes(blocks: 99).flatMap { $0 }.sorted() == [1, 2, 11, 12])
    }

    @Test("pins hold what a name stands for, with all that is below and attached; the name's old content is free")
    func pins() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 2)
        try shelf.index(5, [1, 2])
        try shelf.image(3, [13], used: 3, subject: 5)
        try shelf.image(4, [14, 11], used: 4)
        try shelf.tag("lts", 5)
        try shelf.pin("lts")
        #expect(try shelf.goes(blocks: 99) == [[4, 14]])
        #expect(shelf.plan(.room(bytes: 1 << 40, of: nil)).untouchable == 2)
        try shelf.tag("lts", 4)
        #expect(try shelf.goes(blocks: 99) == [[1], [2, 3, 5, 12, 13]])
        try shelf.pin(try Sample.digest(1).description)
        #expect(try shelf.goes(blocks: 99) == [[2, 12]])
    }

    @Test("what is being read stays, and what waits for content on its way")
    func busy() throws {
        var shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12], used: 2)
        try shelf.image(3, [13], used: 3)
        // Its layer has not come yet.
        shelf.catalog.apply(.deleted(try Sample.digest(12)))
        shelf.busy = [try Sample.digest(11), try Sample.digest(12)]
        #expect(try shelf.goes(blocks: 99) == [[3, 13]])
        #expect(shelf.plan(.room(bytes: 1 << 40, of: nil)).untouchable == 2)
    }

    @Test("content that belongs to no image goes first, the oldest before the newer, but not before its hour has passed")
    func orphans() throws {
        var shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.blob(21, at: 50)
        try shelf.blob(22, at: 40)
        try shelf.blob(23, at: 100)
        #expect(try shelf.goes(.room(bytes: 1, of: nil), orphansBefore: 100) == [[22]])
        #expect(try shelf.goes(.room(bytes: 3 * 4_096, of: nil), orphansBefore: 100) == [[22], [21], [1, 11]])
        // One that came a moment ago goes in its turn: with nothing older left, and before what was pulled after it.
        #expect(try shelf.goes(.room(bytes: 99 * 4_096, of: nil), orphansBefore: 100) == [[22], [21], [1, 11], [23]])
        shelf.catalog.apply(.use(try Sample.digest(1), at: 101))
        #expect(try shelf.goes(.room(bytes: 3 * 4_096, of: nil), orphansBefore: 100) == [[22], [21], [23]])
        #expect(try shelf.goes(.orphans(before: 0), orphansBefore: 101) == [[22], [21], [23]])
        shelf.busy = [try Sample.digest(22)]
        try shelf.pin(try Sample.digest(21).description)
        #expect(try shelf.goes(.orphans(before: 0), orphansBefore: 101) == [[23]])
    }

    @Test("for one registry's cap only what counts for it goes")
    func share() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], used: 1)
        try shelf.image(2, [12, 13], used: 2, in: "org/app", of: "ghcr.io")
        try shelf.image(3, [14], used: 3, in: "org/app", of: "ghcr.io")
        let ghcr = try Namespace(parsing: "ghcr.io")
        #expect(try shelf.goes(.room(bytes: 1, of: ghcr)) == [[2, 12, 13]])
        #expect(try shelf.goes(.room(bytes: 1 << 40, of: ghcr)) == [[2, 12, 13], [3, 14]])
        #expect(try shelf.goes(.room(bytes: 1, of: try Namespace(parsing: "quay.io"))) == [])
    }

    @Test("images unused since a moment go, however much room there is")
    func unused() throws {
        let shelf = Shelf()
        try shelf.image(1, [11], at: 1)
        try shelf.image(2, [12], at: 1, used: 10)
        try shelf.blob(21)
        #expect(try shelf.goes(.unused(since: 10, of: nil), orphansBefore: 99) == [[1, 11]])
        #expect(shelf.plan(.unused(since: 11, of: nil)).items.map(\.reason) == [.unused, .unused])
        #expect(try shelf.goes(.unused(since: 1, of: nil)) == [])
    }

    @Test("manifests come before blobs and indexes before manifests")
    func halves() throws {
        let shelf = Shelf()
        try shelf.image(1, [11, 12], used: 1)
        try shelf.index(5, [1])
        let contents = try #require(shelf.plan(.room(bytes: 1, of: nil)).items.first?.contents)
        #expect(contents.count == 4)
        #expect(Array(contents.prefix(2)) == [try Sample.digest(5), try Sample.digest(1)])
    }
}
