import OCI

/// A place below the store's root. Built from types only: no text from outside ever becomes a path.
package struct StorePath: Hashable, Sendable, CustomStringConvertible {
    /// Relative, `/` between components, never empty.
    package let description: String

    fileprivate init(_ description: String) {
        self.description = description
    }

    /// The folder this lies in; nil directly below the root.
    package var parent: StorePath? {
        guard let slash = self.description.lastIndex(of: "/") else { return nil }
        return StorePath(String(self.description[..<slash]))
    }

    package var name: String {
        guard let slash = self.description.lastIndex(of: "/") else { return self.description }
        return String(self.description[self.description.index(after: slash)...])
    }

    package var components: [String] { self.description.split(separator: "/").map(String.init) }
}

/// Where everything lies in a store: DESIGN's tree as functions.
package enum StoreLayout {
    package static let format = 1
    /// Bytes from which what is left in `spool/` is kept, to be gone on with.
    package static let resumableSize = PartialTable.minimumSize

    package static let storeFile = StorePath("store.json")
    package static let newStoreFile = StorePath(".store.json.tmp")
    package static let lock = StorePath("store.lock")
    package static let socket = StorePath("amargo.sock")
    package static let journal = StorePath("journal.jsonl")
    package static let newJournal = StorePath("journal.jsonl.new")
    package static let tornJournal = StorePath("journal.jsonl.torn")
    package static let statistics = StorePath("statistics.json")
    package static let newStatistics = StorePath(".statistics.json.tmp")
    package static let badStatistics = StorePath("statistics.json.bad")
    package static let spool = StorePath("spool")
    package static let blobs = StorePath("blobs")
    package static let repositories = StorePath("repositories")
    package static let quarantine = StorePath("quarantine")

    /// Every name that may stand directly in a store's root.
    package static func isOwn(rootEntry name: String) -> Bool {
        let known = [
            "store.json", ".store.json.tmp", "store.lock", "amargo.sock", "blobs", "repositories", "spool", "quarantine",
            "statistics.json", ".statistics.json.tmp", "statistics.json.bad", "lost+found",
        ]
        return known.contains(name) || name.hasPrefix("journal.jsonl")
    }

    package static func badJournal(_ generation: Int64) -> StorePath { StorePath("journal.jsonl.bad-\(generation)") }

    package static func algorithm(_ algorithm: Digest.Algorithm) -> StorePath { StorePath("blobs/\(algorithm.rawValue)") }

    /// `blobs/sha256/9f`: 256 folders an algorithm, made when the store is created.
    package static func shard(_ algorithm: Digest.Algorithm, _ number: UInt8) -> StorePath {
        let hex = String(number, radix: 16)
        return StorePath("blobs/\(algorithm.rawValue)/\(hex.count == 1 ? "0" + hex : hex)")
    }

    package static func shard(of digest: Digest) -> StorePath {
        StorePath("blobs/\(digest.algorithm.rawValue)/\(digest.hex.prefix(2))")
    }

    package static func blob(_ digest: Digest) -> StorePath {
        let hex = digest.hex
        return StorePath("blobs/\(digest.algorithm.rawValue)/\(hex.prefix(2))/\(hex)")
    }

    package static func quarantined(_ digest: Digest) -> StorePath {
        StorePath("quarantine/\(digest.algorithm.rawValue)-\(digest.hex)")
    }

    /// Something found in `quarantine/`; nil for a name that this program does not give.
    static func quarantineEntry(_ name: String) -> StorePath? {
        guard let dash = name.firstIndex(of: "-"), let algorithm = Digest.Algorithm(rawValue: String(name[..<dash])),
            let digest = Digest(algorithm, hex: Array(name[name.index(after: dash)...].utf8))
        else { return nil }
        return Self.quarantined(digest)
    }

    /// A download in progress; `number` keeps two of one digest apart.
    package static func partial(_ digest: Digest, _ number: UInt64) -> StorePath {
        StorePath("spool/\(digest.algorithm.rawValue)-\(digest.hex).\(number)")
    }

    package static func spoolEntry(_ name: SpoolName) -> StorePath { StorePath("spool/\(name.description)") }

    /// Something that a listing of a folder named; nil for what cannot be the name of one entry.
    package static func found(_ name: String, in folder: StorePath?) -> StorePath? {
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")) else { return nil }
        return StorePath(folder.map { "\($0)/\(name)" } ?? name)
    }

    /// Where something strange goes: quarantine, under a number.
    static func stranger(_ number: Int, _ name: String) -> StorePath? {
        Self.found("found-\(number)-\(name)", in: Self.quarantine)
    }

    /// The OCI image layout of a repository. `_oci`, because no component of a repository name begins with `_`.
    package static func layout(_ repository: QualifiedRepository) -> StorePath {
        StorePath("repositories/\(repository.namespace)/\(repository.name)/_oci")
    }

    /// A folder on the way to a layout, by names found on the disk; nil for names that no repository has.
    static func repositoryFolder(_ namespace: Namespace, _ components: [String]) -> StorePath? {
        guard !components.isEmpty else { return StorePath("repositories/\(namespace)") }
        guard let name = try? RepositoryName(parsing: components.joined(separator: "/")) else { return nil }  // not one of ours
        return StorePath("repositories/\(namespace)/\(name)")
    }

    package static func layoutBlobs(_ algorithm: Digest.Algorithm, in repository: QualifiedRepository) -> StorePath {
        StorePath("\(Self.layout(repository))/blobs/\(algorithm.rawValue)")
    }

    package static func layoutFile(_ repository: QualifiedRepository) -> StorePath {
        StorePath("\(Self.layout(repository))/oci-layout")
    }

    package static func layoutIndex(_ repository: QualifiedRepository) -> StorePath {
        StorePath("\(Self.layout(repository))/index.json")
    }

    package static func newLayoutIndex(_ repository: QualifiedRepository) -> StorePath {
        StorePath("\(Self.layout(repository))/.index.json.tmp")
    }

    package static func newLayoutFile(_ repository: QualifiedRepository) -> StorePath {
        StorePath("\(Self.layout(repository))/.oci-layout.tmp")
    }

    package static func layoutBlob(_ digest: Digest, in repository: QualifiedRepository) -> StorePath {
        StorePath("\(Self.layout(repository))/blobs/\(digest.algorithm.rawValue)/\(digest.hex)")
    }
}

/// The name of a file found in `spool/`, checked to be one that this program gives.
package struct SpoolName: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package let digest: Digest

    package init?(_ name: String) {
        guard let dot = name.firstIndex(of: "."), let dash = name.firstIndex(of: "-"), dash < dot,
            let algorithm = Digest.Algorithm(rawValue: String(name[..<dash])),
            let digest = Digest(algorithm, hex: Array(name[name.index(after: dash)..<dot].utf8)),
            UInt64(name[name.index(after: dot)...]) != nil
        else { return nil }
        self.description = name
        self.digest = digest
    }
}
