import OCI
import Storage

/// All content of a catalog by dense numbers, and what refers to what.
struct UsageGraph: Sendable {
    typealias Node = Int32

    /// What content is to the manifests that refer to it.
    enum Kind: UInt8, Sendable {
        case unknown, config, layer, blob, manifest, index
    }

    private(set) var digests: [Digest] = []
    /// Bytes of content.
    private(set) var sizes: [Int64] = []
    /// Bytes of the disk.
    private(set) var allocated: [Int64] = []
    /// For manifests, Unix seconds of the newest pull, or of their coming; else 0.
    private(set) var times: [Int64] = []
    private(set) var kinds: [Kind] = []
    /// The first repository that holds it, by the catalog's number; 0 for nobody.
    private(set) var homes: [UInt32] = []
    /// The others.
    private(set) var others: [Node: Set<UInt32>] = [:]
    private(set) var subjects: [Node: Digest] = [:]
    /// What is attached to manifests, by the repository's position in the report; most have nothing.
    var attachments: [Int: [Node: [Node]]] = [:]
    /// Content that a scan did not find.
    private(set) var missing = 0
    private var numbers: [Digest: Node] = [:]
    /// Where the children of each begin in `children`, and behind the last, where they end.
    private var starts: [Int32] = []
    private var children: [Node] = []

    func node(_ digest: Digest) -> Node? { self.numbers[digest] }

    /// What of a manifest's children is stored, in its order, each as often as it is named.
    func children(of node: Node) -> ArraySlice<Node> {
        self.children[Int(self.starts[Int(node)])..<Int(self.starts[Int(node) + 1])]
    }

    func isManifest(_ node: Node) -> Bool { self.kinds[Int(node)] == .manifest || self.kinds[Int(node)] == .index }

    init(_ catalog: Catalog, measured scan: BlobScan?) {
        var manifests = self.addContent(catalog, scan)
        manifests.sort { $0.node < $1.node }
        self.starts = [Int32](repeating: 0, count: self.digests.count + 1)
        var next = 0
        for (node, facts) in manifests {
            while next <= Int(node) {
                self.starts[next] = Int32(self.children.count)
                next += 1
            }
            facts.forEachChild { role, digest, _ in
                guard let child = self.numbers[digest] else { return }
                self.children.append(child)
                if self.kinds[Int(child)] == .unknown { self.kinds[Int(child)] = Kind(role) }
            }
            if let subject = facts.subject { self.subjects[node] = subject }
        }
        while next < self.starts.count {
            self.starts[next] = Int32(self.children.count)
            next += 1
        }
    }

    private mutating func addContent(_ catalog: Catalog, _ scan: BlobScan?) -> [(node: Node, facts: ManifestFacts)] {
        typealias Found = (digest: Digest, content: Catalog.Content, first: UInt32, others: Set<UInt32>)
        var found: [Found] = []
        let expected = catalog.total.blobs
        found.reserveCapacity(expected + 64)
        catalog.forEachHolder { found.append(($0, $1, $2, $3)) }
        self.digests.reserveCapacity(found.count)
        self.sizes.reserveCapacity(found.count)
        self.allocated.reserveCapacity(found.count)
        self.times.reserveCapacity(found.count)
        self.kinds.reserveCapacity(found.count)
        self.homes.reserveCapacity(found.count)
        self.numbers.reserveCapacity(found.count)
        var manifests: [(Node, ManifestFacts)] = []
        for (digest, content, first, others) in found {
            let node = Node(self.digests.count)
            self.numbers[digest] = node
            self.digests.append(digest)
            self.sizes.append(content.size)
            if let scan {
                let bytes = scan.allocated(digest)
                if bytes == nil { self.missing += 1 }
                self.allocated.append(bytes ?? 0)
            } else {
                self.allocated.append(DiskSpace.allocated(content.size))
            }
            self.homes.append(first)
            if !others.isEmpty { self.others[node] = others }
            if let facts = content.manifest {
                manifests.append((node, facts))
                self.times.append(max(content.usedAt, content.storedAt))
                self.kinds.append(facts.mediaType.isIndex ? .index : .manifest)
            } else {
                self.times.append(0)
                self.kinds.append(.unknown)
            }
        }
        return manifests
    }
}

extension UsageGraph.Kind {
    init(_ role: Manifest.Role) {
        switch role {
        case .config: self = .config
        case .layer, .foreignLayer: self = .layer
        // A manifest that is stored as a blob only: damaged, or of a type that nobody knows.
        case .manifest, .blob: self = .blob
        }
    }
}
