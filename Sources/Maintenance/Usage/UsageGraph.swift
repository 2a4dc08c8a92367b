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
    /// How often manifests were pulled, where the catalog knows.
    private(set) var pulls: [Node: Int64] = [:]
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

    /// The bytes of the disk of a blob that the `number`th of its users gets, from 0: what a division leaves goes to the first of them.
    func share(of node: Node, among users: Int32, number: Int32) -> Int64 {
        let (each, rest) = self.allocated[Int(node)].quotientAndRemainder(dividingBy: Int64(users))
        return each + (Int64(number) < rest ? 1 : 0)
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
        let expected = catalog.total.blobs + 64
        self.digests.reserveCapacity(expected)
        self.sizes.reserveCapacity(expected)
        self.allocated.reserveCapacity(expected)
        self.times.reserveCapacity(expected)
        self.kinds.reserveCapacity(expected)
        self.homes.reserveCapacity(expected)
        self.numbers.reserveCapacity(expected)
        var manifests: [(Node, ManifestFacts)] = []
        catalog.forEachHolder { digest, content, first, others in
            let node = Node(self.digests.count)
            self.numbers[digest] = node
            self.digests.append(digest)
            self.sizes.append(content.size)
            self.allocated.append(scan == nil ? DiskSpace.allocated(content.size) : Self.unseen)
            self.homes.append(first)
            if !others.isEmpty { self.others[node] = others }
            if let facts = content.manifest {
                manifests.append((node, facts))
                if content.pulls > 0 { self.pulls[node] = content.pulls }
                self.times.append(max(content.usedAt, content.storedAt))
                self.kinds.append(facts.mediaType.isIndex ? .index : .manifest)
            } else {
                self.times.append(0)
                self.kinds.append(.unknown)
            }
        }
        if let scan { self.measure(scan) }
        return manifests
    }

    /// Stands for the bytes of what a scan has yet to find.
    private static let unseen: Int64 = -1

    private mutating func measure(_ scan: BlobScan) {
        for (digest, bytes) in zip(scan.digests, scan.bytes) {
            if let node = self.numbers[digest] { self.allocated[Int(node)] = bytes }
        }
        for blob in self.allocated.indices where self.allocated[blob] == Self.unseen {
            self.allocated[blob] = 0
            self.missing += 1
        }
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
