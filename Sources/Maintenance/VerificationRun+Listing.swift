import OCI
import Storage

/// What is on the disk, by names and sizes.
extension VerificationRun {
    struct Listing: Sendable {
        var known: [Blob] = []
        /// Content that the journal does not know.
        var unknown: [Blob] = []
        var doubtful: [StoreInspection.Subject] = []
    }

    /// Whether the journal that knew the names is gone: then everything on the disk is unknown, and that is one finding.
    var isNamingLost: Bool { !self.before.isJournalReadable }

    func list(_ inspection: StoreInspection) throws -> Listing {
        var listing = Listing()
        for name in try self.root.entries(of: nil) where !StoreLayout.isOwn(rootEntry: name) {
            listing.doubtful.append(.rootEntry(name))
        }
        for folder in [StoreLayout.spool, StoreLayout.repositories, StoreLayout.quarantine] {
            try self.note(.folder(folder), inspection, &listing)
        }
        for name in self.names(in: StoreLayout.spool) { try self.note(.spool(name), inspection, &listing) }
        for name in self.names(in: StoreLayout.blobs) where Digest.Algorithm(rawValue: name) == nil {
            listing.doubtful += Self.stranger(name, StoreLayout.blobs)
        }
        var seen: Set<Digest> = []
        for algorithm in Digest.Algorithm.allCases {
            let folder = StoreLayout.algorithm(algorithm)
            let shards = Dictionary(
                uniqueKeysWithValues: (UInt8.min...UInt8.max).map { (StoreLayout.shard(algorithm, $0).name, $0) })
            for name in self.names(in: folder) where shards[name] == nil { listing.doubtful += Self.stranger(name, folder) }
            for shard in UInt8.min...UInt8.max where !self.isStopped {
                try self.list(algorithm, shard, inspection, &listing, &seen)
            }
        }
        if inspection.isCatalogKnown, !self.isStopped {
            inspection.catalog.forEachContent { digest, _, _ in
                if !seen.contains(digest) { listing.doubtful.append(.blob(digest)) }
            }
        }
        let blobs = Int64(seen.count)
        self.tally.withLock { $0.outcome.blobs = blobs }
        return listing
    }

    private func list(
        _ algorithm: Digest.Algorithm, _ shard: UInt8, _ inspection: StoreInspection, _ listing: inout Listing,
        _ seen: inout Set<Digest>
    ) throws {
        let folder = StoreLayout.shard(algorithm, shard)
        try self.note(.folder(folder), inspection, &listing)
        for name in self.names(in: folder) {
            guard let digest = Digest(algorithm, hex: Array(name.utf8)), StoreLayout.shard(of: digest) == folder else {
                listing.doubtful += Self.stranger(name, folder)
                continue
            }
            guard let status = try self.root.status(of: StoreLayout.blob(digest)) else { continue }
            seen.insert(digest)
            if status.linkCount > 1 { self.tally.withLock { $0.isLinkSeen = true } }
            let content = inspection.catalog.content(digest)
            guard status.isRegular, content == nil || content?.size == status.size else {
                listing.doubtful.append(.blob(digest))
                continue
            }
            let blob = Blob(digest: digest, size: status.size)
            if content != nil {
                listing.known.append(blob)
            } else if inspection.catalog.openRemovals[digest] != nil || (self.options.depth == .quick && !self.isNamingLost) {
                listing.doubtful.append(.blob(digest))
            } else {
                listing.unknown.append(blob)
            }
        }
    }

    private func note(
        _ subject: StoreInspection.Subject, _ inspection: StoreInspection, _ listing: inout Listing
    ) throws {
        if try !inspection.findings(subject, nil).isEmpty { listing.doubtful.append(subject) }
    }

    /// Empty for what cannot be listed, which has a finding of its own.
    private func names(in folder: StorePath) -> [String] {
        do {
            return try self.root.entries(of: folder)
        } catch {
            return []
        }
    }

    private static func stranger(_ name: String, _ folder: StorePath) -> [StoreInspection.Subject] {
        StoreLayout.found(name, in: folder).map { [.stranger($0)] } ?? []
    }

    /// What is to be hashed, the largest first, so that no thread is left with a long one at the end.
    func choose(from listing: Listing) -> [Blob] {
        var chosen: [Blob]
        switch self.options.depth {
        case .full: chosen = listing.known + listing.unknown
        case .quick:
            // Names are read back only for bytes that are right.
            chosen = self.repairing != nil && self.isNamingLost ? listing.unknown : []
        case .sample(let share):
            var generator = SplitMix(state: self.options.seed)
            let total = listing.known.reduce(0) { $0 + $1.size }
            let goal = Double(total) * share
            var bytes: Int64 = 0
            chosen = listing.unknown
            for blob in listing.known.sorted(by: { $0.digest < $1.digest }).shuffled(using: &generator) {
                guard bytes == 0 || Double(bytes) < goal else { break }
                bytes += blob.size
                chosen.append(blob)
            }
        }
        chosen.sort { $0.size != $1.size ? $0.size > $1.size : $0.digest < $1.digest }
        return chosen
    }
}

/// The same numbers for the same seed, on every machine. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators".
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
