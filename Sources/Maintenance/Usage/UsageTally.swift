import OCI
import Storage

/// Adds up what images have, image by image in the report's order.
///
/// For every blob it knows the smallest part of the tree that has all of its images: a blob is unique to that and to all around it.
struct UsageTally {
    typealias Figures = DiskUsage.Figures

    private(set) var images: [Figures]
    private(set) var repositories: [Figures]
    private(set) var registries: [Figures]
    private(set) var all = Figures()
    private(set) var orphans = DiskUsage.Orphans()
    /// How many images have each blob.
    private(set) var users: [Int32]

    private let graph: UsageGraph
    private let repositoryOf: [Int32]
    private let registryOf: [Int32]
    /// Per blob, the smallest part that has all of its images: an image by its position, a repository or a registry by its position
    /// behind those before, then everything.
    private var places: [Int32]
    /// The last repository and registry in which each blob was counted.
    private var lastRepository: [Int32]
    private var lastRegistry: [Int32]
    private var image: Int32 = 0
    private var repository: Int32 = 0
    private var registry: Int32 = 0

    init(graph: UsageGraph, repositories: [DiskUsage.Repository], images: [DiskUsage.Image]) {
        self.graph = graph
        self.repositoryOf = images.map { Int32($0.repository) }
        self.registryOf = repositories.map { Int32($0.registry) }
        self.images = [Figures](repeating: Figures(), count: images.count)
        self.repositories = [Figures](repeating: Figures(), count: repositories.count)
        self.registries = [Figures](repeating: Figures(), count: Int(self.registryOf.last ?? -1) + 1)
        let count = graph.sizes.count
        self.users = [Int32](repeating: 0, count: count)
        self.places = [Int32](repeating: -1, count: count)
        self.lastRepository = [Int32](repeating: -1, count: count)
        self.lastRegistry = [Int32](repeating: -1, count: count)
    }

    private var firstRepository: Int32 { Int32(self.images.count) }
    private var firstRegistry: Int32 { self.firstRepository + Int32(self.repositories.count) }
    private var everything: Int32 { self.firstRegistry + Int32(self.registries.count) }

    /// What is added from now on belongs to this image.
    mutating func begin(_ image: Int) {
        self.image = Int32(image)
        self.repository = self.repositoryOf[image]
        self.registry = self.registryOf[Int(self.repository)]
        self.images[image].images = 1
    }

    /// Adds a blob of the present image, once.
    mutating func add(_ node: UsageGraph.Node, pulls: Int64) {
        let blob = Int(node)
        let allocated = self.graph.allocated[blob]
        let isKnown = self.users[blob] > 0
        self.users[blob] += 1
        self.places[blob] = isKnown ? self.place(around: self.places[blob]) : self.image
        // `shared` holds all bytes of the disk until `settle` takes those away that are unique.
        Self.add(node, self.graph, allocated, pulls, to: &self.images[Int(self.image)])
        self.images[Int(self.image)].logical = self.images[Int(self.image)].logical.addingSize(self.graph.sizes[blob])
        if self.lastRepository[blob] != self.repository {
            self.lastRepository[blob] = self.repository
            Self.add(node, self.graph, allocated, pulls, to: &self.repositories[Int(self.repository)])
        }
        if self.lastRegistry[blob] != self.registry {
            self.lastRegistry[blob] = self.registry
            Self.add(node, self.graph, allocated, pulls, to: &self.registries[Int(self.registry)])
        }
        if !isKnown { Self.add(node, self.graph, allocated, pulls, to: &self.all) }
    }

    private static func add(
        _ node: UsageGraph.Node, _ graph: UsageGraph, _ allocated: Int64, _ pulls: Int64, to figures: inout Figures
    ) {
        figures.blobs += 1
        figures.shared += allocated
        figures.lastPulled = max(figures.lastPulled, graph.times[Int(node)])
        figures.pulls += pulls
    }

    /// The smallest part that has a place and the present image.
    private func place(around place: Int32) -> Int32 {
        let repository: Int32
        switch place {
        case self.everything: return place
        case self.firstRegistry...: return place - self.firstRegistry == self.registry ? place : self.everything
        case self.firstRepository...: repository = place - self.firstRepository
        default: repository = self.repositoryOf[Int(place)]
        }
        if repository == self.repository { return self.firstRepository + repository }
        let registry = self.registryOf[Int(repository)]
        return registry == self.registry ? self.firstRegistry + registry : self.everything
    }

    /// Tells unique from shared, and sums up; called when all images are added.
    ///
    /// - Parameter everybody: how many images have each blob, where not all of them were added: what has more is nobody's alone.
    mutating func settle(among everybody: [Int32]? = nil) {
        for blob in self.places.indices {
            let allocated = self.graph.allocated[blob]
            var place = self.places[blob]
            guard place >= 0 else {
                self.orphans.blobs += 1
                self.orphans.logical = self.orphans.logical.addingSize(self.graph.sizes[blob])
                self.orphans.allocated += allocated
                continue
            }
            if let everybody, self.users[blob] < everybody[blob] { continue }
            Self.own(allocated, &self.all)
            if place == self.everything { continue }
            if place < self.firstRepository {
                Self.own(allocated, &self.images[Int(place)])
                place = self.firstRepository + self.repositoryOf[Int(place)]
            }
            if place < self.firstRegistry {
                Self.own(allocated, &self.repositories[Int(place - self.firstRepository)])
                place = self.firstRegistry + self.registryOf[Int(place - self.firstRepository)]
            }
            Self.own(allocated, &self.registries[Int(place - self.firstRegistry)])
        }
        for (image, repository) in self.repositoryOf.enumerated() {
            Self.sum(self.images[image], into: &self.repositories[Int(repository)])
        }
        for (repository, registry) in self.registryOf.enumerated() {
            Self.sum(self.repositories[repository], into: &self.registries[Int(registry)])
        }
        for registry in self.registries { Self.sum(registry, into: &self.all) }
    }

    private static func own(_ bytes: Int64, _ figures: inout Figures) {
        figures.unique += bytes
        figures.shared -= bytes
    }

    private static func sum(_ part: Figures, into whole: inout Figures) {
        whole.images += part.images
        whole.logical = whole.logical.addingSize(part.logical)
    }

    /// Gives an image, and all that it belongs to, its share.
    mutating func attribute(_ bytes: Int64, to image: Int) {
        let repository = Int(self.repositoryOf[image])
        self.images[image].attributed += bytes
        self.repositories[repository].attributed += bytes
        self.registries[Int(self.registryOf[repository])].attributed += bytes
        self.all.attributed += bytes
    }
}
