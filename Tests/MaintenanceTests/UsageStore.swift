import OCI
import Storage

/// A catalog that is written down by names; sizes are whole blocks of 4 KiB.
struct UsageStore {
    let catalog = Catalog()

    static func digest(_ name: String) throws -> Digest {
        let text = String(name.utf8.map { byte in String(byte, radix: 16) }.joined().prefix(60))
        return try Digest(parsing: "sha256:\(text)\(String(repeating: "0", count: 64 - text.count))")
    }

    mutating func blob(_ name: String, blocks: Int64, in repositories: String...) throws {
        try self.add(repositories) {
            .blob(try Self.digest(name), size: blocks * 4096, repository: $0, at: 10)
        } name: {
            try Self.digest(name)
        }
    }

    mutating func image(
        _ name: String, _ children: [String], in repositories: String..., at time: Int64 = 10, subject: String? = nil
    ) throws {
        let edges = try children.enumerated().map {
            Edge(role: $0.offset == 0 ? .config : .layer, digest: try Self.digest($0.element), size: 1)
        }
        try self.manifest(name, .ociManifest, edges, repositories, time, subject)
    }

    mutating func index(_ name: String, _ children: [String], in repositories: String..., at time: Int64 = 10) throws {
        let edges = try children.map { Edge(role: .manifest, digest: try Self.digest($0), size: 1, platform: "linux/\($0)") }
        try self.manifest(name, .ociIndex, edges, repositories, time, nil)
    }

    private func manifest(
        _ name: String, _ type: MediaType, _ edges: [Edge], _ repositories: [String], _ time: Int64, _ subject: String?
    ) throws {
        let facts = ManifestFacts(mediaType: type, children: edges, subject: try subject.map { try Self.digest($0) })
        try self.add(repositories) {
            .manifest(try Self.digest(name), facts, size: 4096, repository: $0, at: time)
        } name: {
            try Self.digest(name)
        }
    }

    private func add(
        _ repositories: [String], _ record: (QualifiedRepository?) throws -> JournalRecord, name: () throws -> Digest
    ) throws {
        self.catalog.apply(try record(try repositories.first.map { try QualifiedRepository(parsing: $0) }))
        for repository in repositories.dropFirst() {
            self.catalog.apply(.link(try name(), try QualifiedRepository(parsing: repository)))
        }
    }

    mutating func pin(_ reference: Reference, in repository: String) throws {
        self.catalog.apply(.pin(reference, try QualifiedRepository(parsing: repository), at: 10))
    }

    mutating func tag(_ tag: String, _ name: String, in repository: String) throws {
        self.catalog.apply(
            .tag(try Tag(parsing: tag), try QualifiedRepository(parsing: repository), try Self.digest(name), fetchedAt: 10))
    }
}
