import OCI
import Storage

extension DiskUsage {
    /// What comes back when some images are removed together, and who keeps the rest.
    package struct Removal: Sendable {
        /// An image that stays, and how much it keeps of those that go.
        package struct Keeper: Hashable, Sendable {
            /// Position in `images`.
            package let image: Int
            /// Bytes of the disk.
            package let bytes: Int64
        }

        package struct Part: Sendable {
            /// Position in `images`.
            package let image: Int
            /// Bytes of the disk that come free when only this image goes.
            package var alone: Int64 = 0
            /// Its share of what comes free when all of them go; adds up.
            package var together: Int64 = 0
            /// Bytes of the disk that images keep that stay.
            package var kept: Int64 = 0
            /// The largest first.
            package var keepers: [Keeper] = []
        }

        package var parts: [Part] = []
        /// Bytes of the disk that come free.
        package var freed: Int64 = 0
        /// How many blobs go.
        package var blobs = 0
        /// Bytes of those that come free only with the next collection: a repository holds them without an image that needs them.
        package var later: Int64 = 0
        /// Bytes of the disk that stay, for others.
        package var kept: Int64 = 0
        /// The largest first.
        package var keepers: [Keeper] = []
    }

    /// Keepers are told for each image when there are no more than this.
    private static let mostParts = 64

    /// - Parameter removed: positions in `images`. Not for event loops.
    package func removal(of removed: [Int]) -> Removal {
        var walk = UsageWalk(self.graph)
        let count = self.graph.sizes.count
        // By blob, how many of those that go have it, and which.
        var going = [Int32](repeating: 0, count: count)
        var owners: [UsageGraph.Node: [Int]] = [:]
        var holders: [UsageGraph.Node: Set<UInt32>] = [:]
        for (number, position) in removed.enumerated() {
            let repository = self.numbers[self.images[position].repository]
            self.visit(self.images[position], &walk) { node, _ in
                going[Int(node)] += 1
                if removed.count <= Self.mostParts { owners[node, default: []].append(number) }
                if self.graph.homes[Int(node)] == repository || self.graph.others[node]?.contains(repository) == true {
                    holders[node, default: []].insert(repository)
                }
            }
        }
        func goes(_ blob: Int) -> Bool { going[blob] > 0 && going[blob] == self.users[blob] }
        var removal = Removal()
        for blob in 0..<count where going[blob] > 0 {
            let bytes = self.graph.allocated[blob]
            guard goes(blob) else {
                removal.kept += bytes
                continue
            }
            removal.freed += bytes
            removal.blobs += 1
            let node = UsageGraph.Node(blob)
            let home = self.graph.homes[blob]
            let all = (self.graph.others[node]?.count ?? 0) + (home == 0 ? 0 : 1)
            if home == 0 || holders[node]?.count != all { removal.later += bytes }
        }
        var given = [Int32](repeating: 0, count: count)
        for position in removed {
            var part = Removal.Part(image: position, alone: self.images[position].figures.unique)
            self.visit(self.images[position], &walk) { node, _ in
                let blob = Int(node)
                if goes(blob) {
                    part.together += self.graph.share(of: node, among: going[blob], number: given[blob])
                    given[blob] += 1
                } else {
                    part.kept += self.graph.allocated[blob]
                }
            }
            removal.parts.append(part)
        }
        self.addKeepers(to: &removal, removed, going, owners)
        return removal
    }

    private func addKeepers(
        to removal: inout Removal, _ removed: [Int], _ going: [Int32], _ owners: [UsageGraph.Node: [Int]]
    ) {
        guard removal.kept > 0 else { return }
        var walk = UsageWalk(self.graph)
        let isRemoved = Set(removed)
        for (position, image) in self.images.enumerated() where !isRemoved.contains(position) {
            var all: Int64 = 0
            var each: [Int: Int64] = [:]
            self.visit(image, &walk) { node, _ in
                guard going[Int(node)] > 0 else { return }
                let bytes = self.graph.allocated[Int(node)]
                all += bytes
                for number in owners[node] ?? [] { each[number, default: 0] += bytes }
            }
            if all > 0 { removal.keepers.append(Removal.Keeper(image: position, bytes: all)) }
            for (number, bytes) in each { removal.parts[number].keepers.append(Removal.Keeper(image: position, bytes: bytes)) }
        }
        Self.sort(&removal.keepers)
        for number in removal.parts.indices { Self.sort(&removal.parts[number].keepers) }
    }

    private static func sort(_ keepers: inout [Removal.Keeper]) {
        keepers.sort { ($1.bytes, $0.image) < ($0.bytes, $1.image) }
    }
}
