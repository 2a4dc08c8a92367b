import OCI
import Storage

/// Decides what goes into a bundle: reads the manifests of all that is asked for and looks whether their blobs are there.
struct ExportPlanner {
    private let blobs: StoredBlobs
    private let request: ExportRequest
    private let progress: ExportProgress
    private var repositories: [QualifiedRepository: RepositoryContents] = [:]
    private var entries: [EntryKey: BundleEntry] = [:]
    private var needed: [Digest: Int64] = [:]
    private var images: [ExportedImage] = []

    /// One name, or one manifest without a name, of a repository.
    private struct EntryKey: Hashable {
        let repository: QualifiedRepository
        let digest: Digest
        let tag: Tag?
    }

    private init(_ reader: StoreReader, _ request: ExportRequest, _ progress: ExportProgress) {
        self.blobs = StoredBlobs(reader: reader)
        self.request = request
        self.progress = progress
    }

    /// Blocks: it reads every manifest that is asked for.
    static func plan(_ request: ExportRequest, _ reader: StoreReader, _ progress: ExportProgress) throws -> ExportPlan {
        var planner = ExportPlanner(reader, request, progress)
        switch request.selection {
        case .images(let images):
            var seen: Set<ExportRequest.Image> = []
            for image in images where seen.insert(image).inserted { try planner.add(image) }
        case .all: try planner.addAll()
        }
        return try planner.finish()
    }

    private var catalog: Catalog { self.blobs.reader.catalog }

    private mutating func contents(of repository: QualifiedRepository) -> RepositoryContents {
        if let known = self.repositories[repository] { return known }
        let contents = RepositoryContents(repository, self.catalog)
        self.repositories[repository] = contents
        return contents
    }

    // MARK: - Everything

    private mutating func addAll() throws {
        for repository in self.catalog.allRepositories.sorted(by: { $0.description < $1.description }) {
            let contents = self.contents(of: repository)
            // Images first: what belongs to them comes along, and is not an image of its own then.
            let tags = contents.tags.filter { self.catalog.content($0.value.digest)?.manifest != nil }.keys
                .sorted { $0.description < $1.description }
            for tag in tags where RepositoryContents.subject(of: tag) == nil {
                try self.add(ExportRequest.Image(repository: repository, reference: .tag(tag)))
            }
            for digest in contents.nameless {
                try self.add(ExportRequest.Image(repository: repository, reference: .digest(digest)))
            }
            for tag in tags where RepositoryContents.subject(of: tag) != nil {
                guard let digest = contents.tags[tag]?.digest,
                    self.entries[EntryKey(repository: repository, digest: digest, tag: tag)] == nil
                else { continue }
                try self.add(ExportRequest.Image(repository: repository, reference: .tag(tag)))
            }
            self.repositories[repository] = nil
        }
    }

    // MARK: - One image

    private mutating func add(_ image: ExportRequest.Image) throws {
        try self.progress.checkStop()
        let contents = self.contents(of: image.repository)
        guard let digest = self.resolve(image, contents) else {
            let gap = ExportGap("the image", "not stored", remedy: "amargo warm \(image.name)")
            return self.images.append(Self.leftOut(image, nil, nil, [gap]))
        }
        let type = self.catalog.content(digest)?.manifest?.mediaType
        var collector = ImageCollector(
            self.blobs, receipt: self.request.receipt, choices: self.request.platforms, name: image.name)
        guard var parts = try collector.root(digest) else {
            return self.images.append(Self.leftOut(image, digest, type, collector.gaps))
        }
        let tag: Tag? = if case .tag(let tag) = image.reference { tag } else { nil }
        self.note(digest, tag, contents, platforms: parts.isPartial ? parts.platforms : nil)
        let platforms = parts.platforms
        let referrers = try self.addCompanions(of: &parts, contents, &collector)
        for (digest, size) in parts.blobs { self.needed[digest] = size }
        self.images.append(
            ExportedImage(
                name: image.name, digest: "\(digest)", mediaType: type?.description,
                state: collector.gaps.isEmpty ? .complete : .partial, platforms: platforms.map(\.description),
                layers: parts.layers.count, referrers: referrers, blobs: parts.blobs.count,
                bytes: parts.blobs.values.reduce(0, +), gaps: collector.gaps, isDocker: parts.isDocker))
    }

    private static func leftOut(
        _ image: ExportRequest.Image, _ digest: Digest?, _ type: MediaType?, _ gaps: [ExportGap]
    ) -> ExportedImage {
        ExportedImage(
            name: image.name, digest: digest?.description, mediaType: type?.description, state: .leftOut, platforms: [],
            layers: 0,
            referrers: 0, blobs: 0, bytes: 0, gaps: gaps, isDocker: false)
    }

    private func resolve(_ image: ExportRequest.Image, _ contents: RepositoryContents) -> Digest? {
        switch image.reference {
        case .tag(let tag): contents.tags[tag]?.digest
        case .digest(let digest): self.catalog.holds(digest, in: image.repository) ? digest : nil
        }
    }

    /// What is about any manifest of the image, and what is about that: by `subject`, and by tags made of digests.
    private mutating func addCompanions(
        of parts: inout ImageParts, _ contents: RepositoryContents, _ collector: inout ImageCollector
    ) throws -> Int {
        var waiting = parts.manifests
        var seen = Set(waiting)
        var count = 0
        while let subject = waiting.popLast() {
            let tags = contents.companions[subject] ?? []
            let tagged = tags.compactMap { tag in contents.tags[tag].map { (digest: $0.digest, tag: Optional(tag)) } }
            let referrers = (contents.referrers[subject] ?? []).map { (digest: $0, tag: Tag?.none) }
            for (digest, tag) in tagged + referrers {
                let name = tag.map { "tag \($0)" } ?? "referrer \(digest)"
                // What is already on board needs a line of its own all the same.
                guard seen.insert(digest).inserted else {
                    self.note(digest, tag, contents, platforms: nil)
                    continue
                }
                guard let more = try collector.companion(digest, called: name) else { continue }
                count += 1
                self.note(digest, tag, contents, platforms: more.isPartial ? more.platforms : nil)
                parts.add(more)
                waiting += more.manifests.filter { $0 == digest || seen.insert($0).inserted }
            }
        }
        return count
    }

    /// Puts a line into the index.
    private mutating func note(_ digest: Digest, _ tag: Tag?, _ contents: RepositoryContents, platforms: [Platform]?) {
        guard let content = self.catalog.content(digest), let type = content.manifest?.mediaType else { return }
        let key = EntryKey(repository: contents.repository, digest: digest, tag: tag)
        guard self.entries[key] == nil else { return }
        self.entries[key] = BundleEntry(
            descriptor: Descriptor(mediaType: type, digest: digest, size: content.size), repository: contents.repository,
            tag: tag,
            at: tag.flatMap { contents.tags[$0]?.fetchedAt }, platforms: platforms)
    }

    // MARK: - The end

    private func finish() throws -> ExportPlan {
        let receipt = self.request.receipt
        // A line with a name says all that one without says.
        let named = Set(
            self.entries.keys.lazy.filter { $0.tag != nil }.map {
                EntryKey(repository: $0.repository, digest: $0.digest, tag: nil)
            })
        let lines = self.entries.filter { $0.key.tag != nil || !named.contains($0.key) }.map(\.value)
        let annotations = receipt.map { [BundleIndex.deltaAnnotation: $0.fingerprint] } ?? [:]
        let index = BundleIndex(entries: lines, annotations: annotations).encoded
        var members: [ExportPlan.Member] = []
        var spared: (blobs: Int, bytes: Int64) = (0, 0)
        for (digest, size) in self.needed {
            if receipt?.contains(digest) == true {
                spared.blobs += 1
                spared.bytes += size
            } else {
                members.append(ExportPlan.Member(digest: digest, size: size))
            }
        }
        guard members.count + 2 <= Limits.Bundles.members, index.count <= Limits.Bundles.document else {
            throw BundleError(
                .unusable,
                "\(self.images.count) images with \(members.count) blobs are more than a bundle may hold (\(Limits.Bundles.members) files, "
                    + "\(Limits.Bundles.document >> 20) MiB of index); export them in several bundles")
        }
        members.sort { $0.digest < $1.digest }
        return ExportPlan(
            members: members, index: index, images: self.images, byteCount: members.reduce(0) { $0 + $1.size },
            sparedBlobs: spared.blobs, sparedBytes: spared.bytes)
    }
}
