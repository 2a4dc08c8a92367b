import OCI
import Storage
import Upstream

/// Brings one image: its manifests first, which say what else there is, then everything that is not there yet.
struct ImageWarming {
    /// Manifests of one image, with all that refers to it. More than any has; a registry could list them without end.
    private static let manifestLimit = Limits.Warming.manifests

    let cache: PullThroughCache
    let request: WarmRequest
    let source: RoutedRepository
    let reference: Reference
    let ledger: WarmLedger
    let turns: WarmTurns
    let patience: Duration
    let report: @Sendable (WarmEvent) -> Void
    private var image: WarmedImage
    private var manifests: Set<Digest> = []
    private var blobs: [Edge] = []
    private var known: Set<Digest> = []
    private var foreign: Set<Digest> = []
    private var configs: [Digest] = []
    private var leases: [WriteLease] = []
    private var failures: [WarmFailure] = []

    init(
        _ name: String, _ reference: Reference, in source: RoutedRepository, by cache: PullThroughCache, _ request: WarmRequest,
        _ ledger: WarmLedger, _ turns: WarmTurns, patience: Duration, report: @escaping @Sendable (WarmEvent) -> Void
    ) {
        self.image = WarmedImage(name: name)
        self.reference = reference
        self.source = source
        self.cache = cache
        self.request = request
        self.ledger = ledger
        self.turns = turns
        self.patience = patience
        self.report = report
    }

    /// Does the work. What fails does not keep the rest from coming.
    mutating func run() async -> WarmedImage {
        let begin = ContinuousClock.now
        do {
            let root = try await self.collect(self.reference, isRoot: true)
            self.image.digest = root
            if self.request.withReferrers { try await self.collectReferrers() }
            try await self.bringBlobs()
            try await self.describe(root)
        } catch is CancellationError {
            self.failures.insert(.interrupted, at: 0)
        } catch {
            self.failures.append(self.failure(error))
        }
        // Whatever fails at the end of a run fails because of it.
        self.image.failure = Task.isCancelled && !self.failures.isEmpty ? .interrupted : self.combined()
        self.image.milliseconds = begin.duration(to: .now).milliseconds
        self.ledger.endedImage(self.image.failure == nil ? self.leases : [])
        return self.image
    }

    private func combined() -> WarmFailure? {
        guard var first = self.failures.first(where: \.isInterruption) ?? self.failures.first else { return nil }
        let others = Set(self.failures.map(\.description)).count - 1
        if others > 0, !first.isInterruption {
            let retryAt = first.retryAt
            first = WarmFailure("\(first) (and \(others) more \(others == 1 ? "failure" : "failures"))", retryAt: retryAt)
        }
        return first
    }

    private func note(_ text: String) { self.report(.note(image: self.image.name, text: text)) }

    // MARK: - Manifests

    /// Brings a manifest and those that it leads to, and notes the blobs.
    @discardableResult
    private mutating func collect(_ reference: Reference, isRoot: Bool = false) async throws -> Digest {
        if case .digest(let digest) = reference, self.manifests.contains(digest) { return digest }
        let (digest, facts) = try await self.manifest(reference)
        guard self.manifests.insert(digest).inserted else { return digest }
        guard self.manifests.count <= Self.manifestLimit else {
            throw WarmFailure("more than \(Self.manifestLimit) manifests belong to it")
        }
        self.leases.append(self.cache.store.expect(digest))
        let children = facts.children
        for edge in children where edge.role != .manifest { self.note(edge) }
        let images = children.filter { $0.role == .manifest }
        guard !images.isEmpty else { return digest }
        let choice = self.request.platforms.choose(among: images.map(\.platform))
        if isRoot {
            self.image.platforms = choice.chosen.compactMap { images[$0].platform }
            if !choice.missing.isEmpty { self.failures.append(Self.absence(of: choice.missing, among: images)) }
        }
        var chosen = choice.chosen.map { images[$0].digest }
        if self.request.withReferrers, self.request.platforms != .all {
            chosen += try await self.attestations(in: digest, of: Set(chosen))
        }
        for child in chosen {
            do {
                try await self.collect(.digest(child))
            } catch let error where !(error is CancellationError) {
                self.failures.append(self.failure(error))
            }
        }
        return digest
    }

    private static func absence(of missing: [Platform], among images: [Edge]) -> WarmFailure {
        let offered = Set(images.compactMap(\.platform)).subtracting(["unknown/unknown"]).sorted()
        return WarmFailure(
            "there is no image for \(missing.map(\.description).joined(separator: ", ")); there is one for "
                + "\(offered.joined(separator: ", ")) (--platform chooses, --all-platforms takes all)")
    }

    private mutating func note(_ edge: Edge) {
        guard edge.role != .foreignLayer else {
            // Its publisher has it, at an address in the manifest; nobody is led anywhere by a manifest.
            if self.foreign.insert(edge.digest).inserted {
                self.note("the layer \(edge.digest) is not to be had from registries (a foreign layer) and is not brought")
            }
            return
        }
        if edge.role == .config { self.configs.append(edge.digest) }
        guard self.known.insert(edge.digest).inserted else { return }
        self.leases.append(self.cache.store.expect(edge.digest))
        self.blobs.append(edge)
    }

    private mutating func manifest(_ reference: Reference) async throws -> (Digest, ManifestFacts) {
        let (cache, source) = (self.cache, self.source)
        let (answer, facts) = try await self.patiently { () async throws -> (ManifestAnswer, ManifestFacts) in
            let answer = try await cache.current(reference, in: source)
            if case .stale(let reason) = answer.state {
                throw PullThroughError(
                    .upstreamUnavailable, "\(reason); what is stored of \(reference) may be older than what the registry has")
            }
            return (answer, try await cache.settle(answer, in: source))
        }
        var fetchedBytes: Int64?
        if case .memory(let bytes) = answer.body { fetchedBytes = Int64(bytes.readableBytes) }
        let digest = answer.digest
        if fetchedBytes == nil, try await !cache.store.run({ cache.store.isPresent(digest) }) {
            // The journal knew it and the disk does not have it: now it is known, and it is fetched.
            let again = try await cache.current(.digest(digest), in: source)
            _ = try await cache.settle(again, in: source)
            fetchedBytes = Int64(cache.store.catalog.content(digest)?.size ?? 0)
        }
        if case .tag(let tag) = reference, cache.store.catalog.tag(tag, in: source.repository)?.digest != digest {
            cache.store.setTag(tag, in: source.repository, to: digest)
        }
        if !self.manifests.contains(digest) {
            self.image.manifests += 1
            self.image.bytes += cache.store.catalog.content(digest)?.size ?? 0
            self.image.fetchedManifests += fetchedBytes == nil ? 0 : 1
            self.image.fetchedBytes += fetchedBytes ?? 0
        }
        return (digest, facts)
    }

    /// The attestations of an index that are about these images.
    private func attestations(in index: Digest, of images: Set<Digest>) async throws -> [Digest] {
        let cache = self.cache
        guard let bytes = try await cache.store.run({ cache.document(index) }) else { return [] }
        return IndexAttestations(in: bytes).subjects.filter { images.contains($0.value) }.keys.sorted()
    }

    // MARK: - Referrers

    /// Brings what refers to the image's manifests, and what refers to that.
    private mutating func collectReferrers() async throws {
        var waiting = self.manifests.sorted()
        let own = self.manifests.count
        var isOwn = Set(waiting)
        while let digest = waiting.popLast() {
            let before = self.manifests
            do {
                let (cache, source) = (self.cache, self.source)
                for referrer in try await self.patiently({ try await cache.currentReferrers(of: digest, in: source) }) {
                    try await self.collectAttached(.digest(referrer))
                }
                if isOwn.remove(digest) != nil { try await self.collectTags(of: digest) }
            } catch let error where !(error is CancellationError) {
                self.failures.append(self.failure(error))
            }
            waiting += self.manifests.subtracting(before).sorted()
        }
        self.image.referrers = self.manifests.count - own
    }

    /// By the names that tools give to what they attach where a registry has no referrers API, and cosign everywhere.
    ///
    /// Sources: distribution spec, "Referrers Tag Schema"; cosign, "Signature Specification".
    private mutating func collectTags(of digest: Digest) async throws {
        for suffix in ["", ".sig", ".att", ".sbom"] {
            guard let tag = try? Tag(parsing: "\(digest.algorithm.rawValue)-\(digest.hex)\(suffix)") else { continue }
            try await self.collectAttached(.tag(tag))
        }
    }

    /// What may well be missing.
    private mutating func collectAttached(_ reference: Reference) async throws {
        do {
            try await self.collect(reference)
        } catch let error as PullThroughError {
            if case .notFound = error.code, case .tag = reference { return }
            throw error
        }
    }

    // MARK: - Blobs

    private mutating func bringBlobs() async throws {
        let (cache, source, blobs) = (self.cache, self.source, self.blobs)
        self.image.blobs = blobs.count
        self.image.bytes = blobs.reduce(self.image.bytes) { $0.addingSize($1.size) }
        let absent = try await cache.store.run {
            blobs.filter { cache.storedBlob($0.digest, in: source) == nil || !cache.store.isPresent($0.digest) }
        }
        self.ledger.want(absent)
        let this = self
        let results = try await withThrowingTaskGroup(of: Result<Edge?, WarmFailure>.self) { group in
            for edge in absent { group.addTask { try await this.bring(edge) } }
            var results: [Result<Edge?, WarmFailure>] = []
            for try await result in group { results.append(result) }
            return results
        }
        for result in results {
            switch result {
            case .success(let edge?):
                self.image.fetchedBlobs += 1
                self.image.fetchedBytes = self.image.fetchedBytes.addingSize(edge.size)
            case .success(nil): break
            case .failure(let failure): self.failures.append(failure)
            }
        }
    }

    /// Returns what was fetched; nil when it was there by the time of its turn, or came for another image of this run.
    private func bring(_ edge: Edge) async throws -> Result<Edge?, WarmFailure> {
        do {
            let isFetched = try await self.patiently {
                try await self.turns.pass { try await self.download(edge) }
            }
            if !isFetched { self.ledger.skip(edge) }
            return .success(isFetched ? edge : nil)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            self.ledger.skip(edge)
            return .failure(self.failure(error))
        }
    }

    private func download(_ edge: Edge) async throws -> Bool {
        let cache = self.cache
        if cache.storedBlob(edge.digest, in: self.source) != nil { return false }
        if let refusal = cache.refusal(of: edge.digest, in: self.source) { throw refusal }
        let download = cache.download(edge.digest, in: self.source).download
        self.ledger.began(edge, download, for: self.image.name)
        let outcome: BlobDownload.Outcome
        do {
            outcome = try await download.wait()
            download.leave()
        } catch {
            // Whoever ends this run wants no more of it; what others want goes on.
            download.leave(givingUp: true)
            self.ledger.ended(edge, isStored: false)
            throw error
        }
        switch outcome {
        case .stored where cache.storedBlob(edge.digest, in: self.source) != nil:
            // Found on the disk, or confirmed by the registry for this repository, it has not come by way of the network.
            return self.ledger.ended(edge, isStored: true) && (download.releasedCount > 0 || edge.size == 0)
        case .stored:
            self.ledger.ended(edge, isStored: false)
            throw PullThroughError(.unavailable, "\(edge.digest) was removed a moment after it had come")
        case .unstored(let error):
            self.ledger.ended(edge, isStored: false)
            throw error
        case .failed(let error):
            self.ledger.ended(edge, isStored: false)
            throw error
        }
    }

    // MARK: - Words

    /// What an image by itself is for, which only its configuration says.
    private mutating func describe(_ root: Digest) async throws {
        guard self.image.platforms.isEmpty, self.failures.isEmpty, let config = self.configs.first else { return }
        let cache = self.cache
        guard let bytes = try await cache.store.run({ cache.document(config) }), let platform = ConfigPlatform(in: bytes).platform
        else { return }
        self.image.platforms = [platform.description]
        if !self.request.platforms.contains(platform) { self.note("it is an image for \(platform) alone") }
    }

    /// Waits for a registry that says how long it wants to be left alone, if that is not long.
    private func patiently<T: Sendable>(_ work: () async throws -> T) async throws -> T {
        var attempts = 0
        while true {
            do {
                return try await work()
            } catch let cause where cause is UpstreamError || cause is PullThroughError {
                try Task.checkCancellation()
                let error = PullThroughError(cause)
                guard case .rateLimited(let seconds?) = error.code, .seconds(seconds) <= self.patience, attempts < 5 else {
                    throw error
                }
                attempts += 1
                if attempts == 1 { self.note("waiting for \(seconds) s: \(error.message)") }
                try await Task.sleep(for: .seconds(seconds))
            }
        }
    }

    private func failure(_ error: any Error) -> WarmFailure {
        switch error {
        case let error as WarmFailure: return error
        case let error as StorageError where error.code == .full:
            return WarmFailure("there is no room: \(error.message); raise the limit, or remove images (amargo rm, amargo gc)")
        case let error as StorageError: return WarmFailure(error.message)
        default: break
        }
        let error = PullThroughError(error)
        let name = self.source.upstream.name
        switch error.code {
        case .denied:
            return WarmFailure(
                "\(error.message): there is no such repository, or it takes other credentials (repositories.\(name).credentials)")
        case .rateLimited(let seconds):
            return WarmFailure(error.message, retryAt: self.cache.wallClock + Int64(seconds ?? 60))
        case .offline: return WarmFailure("\(error.message); start the server without --offline to bring it")
        default: return WarmFailure(error.message)
        }
    }
}

/// What an image's configuration says that it is for. Source: image spec, "Image Configuration".
struct ConfigPlatform {
    private(set) var platform: Platform?

    init(in config: [UInt8]) {
        var os = ""
        var architecture = ""
        var variant: String?
        do {
            try config.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    guard try reader.peek() == .object else { return try reader.skipValue() }
                    try reader.object { reader, key in
                        switch (key, try reader.peek()) {
                        case ("os", .string): os = try reader.string()
                        case ("architecture", .string): architecture = try reader.string()
                        case ("variant", .string): variant = try reader.string()
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            return  // the configuration of something else than an image
        }
        guard !os.isEmpty, !architecture.isEmpty else { return }
        self.platform = Platform(os: os, architecture: architecture, variant: variant.flatMap { $0.isEmpty ? nil : $0 })
    }
}
