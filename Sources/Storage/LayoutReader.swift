import OCI

/// Reads names back from the repositories' layouts, for a store whose journal is gone.
///
/// A layout says which tags a repository had and which content; when an upstream last confirmed them it does not say, so
/// every tag counts as expired. Nothing read here is believed to be content: blobs are adopted by hash alone.
struct LayoutReader {
    private static let indexLimit = 64 << 20

    let root: StoreRoot

    /// Hands over a record for every tag and every link that the layouts hold. Blocks.
    func records(_ emit: (JournalRecord) -> Void) {
        for namespaceName in self.names(in: StoreLayout.repositories) {
            guard let namespace = try? Namespace(parsing: namespaceName) else { continue }  // not one of ours
            self.visit(namespace, [], emit)
        }
    }

    /// Empty for what is no folder: a link or a file that somebody put there must not keep the store from opening.
    private func names(in folder: StorePath) -> [String] {
        do {
            return try self.root.entries(of: folder)
        } catch {
            return []
        }
    }

    private func visit(_ namespace: Namespace, _ components: [String], _ emit: (JournalRecord) -> Void) {
        let name = components.joined(separator: "/")
        guard let folder = StoreLayout.repositoryFolder(namespace, components) else { return }
        for entry in self.names(in: folder) {
            if entry == "_oci" {
                guard let repository = try? RepositoryName(parsing: name) else { continue }  // not one of ours
                self.read(QualifiedRepository(namespace: namespace, name: repository), emit)
            } else if components.count < 128 {
                self.visit(namespace, components + [entry], emit)
            }
        }
    }

    private func read(_ repository: QualifiedRepository, _ emit: (JournalRecord) -> Void) {
        for algorithm in Digest.Algorithm.allCases {
            for name in self.names(in: StoreLayout.layoutBlobs(algorithm, in: repository)) {
                guard let digest = Digest(algorithm, hex: Array(name.utf8)) else { continue }
                emit(.link(digest, repository))
            }
        }
        do {
            guard let bytes = try self.root.contents(of: StoreLayout.layoutIndex(repository), limit: Self.indexLimit) else {
                return
            }
            for (tag, digest) in try Self.tags(in: bytes) { emit(.tag(tag, repository, digest, fetchedAt: 0)) }
        } catch {
            return  // a damaged index names nothing; its content is found by the sweep all the same
        }
    }

    private static func tags(in bytes: [UInt8]) throws -> [(Tag, Digest)] {
        var tags: [(Tag, Digest)] = []
        try bytes.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    guard key == "manifests" else { return try reader.skipValue() }
                    try reader.array { reader in
                        var digest: Digest?
                        var name: String?
                        try reader.object { reader, key in
                            switch key {
                            case "digest": digest = try Digest(parsing: try reader.string())
                            case "annotations":
                                try reader.object { reader, key in
                                    let value = try reader.string()
                                    if key == "org.opencontainers.image.ref.name" { name = value }
                                }
                            default: try reader.skipValue()
                            }
                        }
                        if let digest, let name { tags.append((try Tag(parsing: name), digest)) }
                    }
                }
            }
        }
        return tags
    }
}
