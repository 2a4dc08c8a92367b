import OCI
import Storage

/// What a manifest brings along: itself and all it needs.
struct ImageParts: Sendable {
    var blobs: [Digest: Int64] = [:]
    var manifests: [Digest] = []
    var layers: Set<Digest> = []
    /// The platforms of an index's images, or of the image.
    var platforms: [Platform] = []
    /// Whether children of an index are left out, on purpose or because they are missing.
    var isPartial = false
    var isDocker = false

    mutating func add(_ other: ImageParts) {
        self.blobs.merge(other.blobs) { known, _ in known }
        self.manifests += other.manifests
        self.layers.formUnion(other.layers)
        self.isDocker = self.isDocker || other.isDocker
    }
}

/// Finds out what a manifest brings along and what of it is missing. Blocks: it reads manifests.
struct ImageCollector {
    private let blobs: StoredBlobs
    private let receipt: Receipt?
    /// Only these platforms of an index; empty for all.
    private let choices: [PlatformChoice]
    /// The image's name, for what people are told to do.
    private let name: String
    private(set) var gaps: [ExportGap] = []

    init(_ blobs: StoredBlobs, receipt: Receipt?, choices: [PlatformChoice], name: String) {
        self.blobs = blobs
        self.receipt = receipt
        self.choices = choices
        self.name = name
    }

    private static let depth = 4

    /// Everything that is needed of the image a name stands for; nil, with a gap that says why, when it cannot be carried.
    mutating func root(_ digest: Digest) throws -> ImageParts? {
        switch try self.parts(of: digest, platform: nil, choosing: true, depth: 0) {
        case .parts(let parts): return parts
        case .missing(let reason, let remedy):
            self.gaps.append(ExportGap("the image", reason, remedy: remedy))
            return nil
        }
    }

    /// As `root`, of something that belongs to an image; its platforms are not chosen from.
    mutating func companion(_ digest: Digest, called subject: String) throws -> ImageParts? {
        switch try self.parts(of: digest, platform: nil, choosing: false, depth: 0) {
        case .parts(let parts): return parts
        case .missing(let reason, let remedy):
            self.gaps.append(ExportGap(subject, reason, remedy: remedy))
            return nil
        }
    }

    private enum Outcome {
        case parts(ImageParts)
        case missing(String, remedy: String?)
    }

    private static let repair = "amargo verify --repair takes the damaged blob out, so that it is fetched again"

    private func warm(_ platform: Platform?) -> String {
        platform.map { "amargo warm --platform \($0) \(self.name)" } ?? "amargo warm \(self.name)"
    }

    private mutating func parts(of digest: Digest, platform: Platform?, choosing: Bool, depth: Int) throws -> Outcome {
        guard let content = self.blobs.reader.catalog.content(digest), let facts = content.manifest else {
            return .missing("not stored", remedy: self.warm(platform))
        }
        switch try self.blobs.state(of: digest, size: content.size) {
        case .present: break
        case .absent: return .missing("not stored", remedy: self.warm(platform))
        case .damaged: return .missing("its manifest \(digest) is damaged", remedy: Self.repair)
        }
        let document: ManifestDocument
        do {
            document = try ManifestDocument(try self.blobs.contents(of: digest, size: content.size), as: facts.mediaType)
        } catch let error as BundleError where error.code == .damaged {
            return .missing("its manifest \(digest) is damaged", remedy: Self.repair)
        } catch let error as ManifestError {
            return .missing("its manifest \(digest) \(error), and is not carried", remedy: nil)
        }
        var parts = ImageParts()
        parts.blobs[digest] = content.size
        parts.manifests = [digest]
        parts.isDocker = facts.mediaType.isDockerManifest
        guard facts.mediaType.isIndex else { return try self.image(document, parts, platform, choosing: choosing) }
        guard depth < Self.depth else { return .missing("its indexes are nested too deep", remedy: nil) }
        return try self.index(document, parts, choosing: choosing, depth: depth)
    }

    // MARK: - An image

    private mutating func image(
        _ document: ManifestDocument, _ start: ImageParts, _ platform: Platform?, choosing: Bool
    ) throws -> Outcome {
        var parts = start
        var needed = 0
        var absent = 0
        for child in document.manifest.children {
            let descriptor = child.descriptor
            guard parts.blobs[descriptor.digest] == nil else { continue }
            needed += 1
            switch try self.state(descriptor) {
            case .present:
                parts.blobs[descriptor.digest] = descriptor.size
                if child.role == .layer || child.role == .foreignLayer { parts.layers.insert(descriptor.digest) }
            // A registry need not have what its publisher forbids to distribute, and so need no bundle.
            case .absent where child.role == .foreignLayer: needed -= 1
            case .absent: absent += 1
            case .damaged: return .missing("its blob \(descriptor.digest) is damaged", remedy: Self.repair)
            }
        }
        guard absent == 0 else {
            let blobs = needed == 1 ? "its one blob is" : "\(absent) of its \(needed) blobs \(absent == 1 ? "is" : "are")"
            return .missing("\(blobs) not stored", remedy: self.warm(platform))
        }
        guard let own = try platform ?? self.platform(document) else { return .parts(parts) }
        if choosing, platform == nil, !self.choices.isEmpty, !self.choices.contains(where: { $0.includes(own) }) {
            return .missing("it is for \(own) alone", remedy: nil)
        }
        parts.platforms = [own]
        return .parts(parts)
    }

    /// What the other side has is as good as here, as far as nobody needs to look into it.
    private func state(_ descriptor: Descriptor) throws -> StoredBlobs.State {
        let state = try self.blobs.state(of: descriptor.digest, size: descriptor.size)
        return state != .present && self.receipt?.contains(descriptor.digest) == true ? .present : state
    }

    private func platform(_ document: ManifestDocument) throws -> Platform? {
        guard let config = document.manifest.children.first(where: { $0.role == .config })?.descriptor,
            config.mediaType.isImageConfiguration, config.size <= Int64(Limits.Documents.manifest),
            try self.blobs.state(of: config.digest, size: config.size) == .present
        else { return nil }
        return Platform(configuration: try self.blobs.contents(of: config.digest, size: config.size))
    }

    // MARK: - An index

    private mutating func index(
        _ document: ManifestDocument, _ start: ImageParts, choosing: Bool, depth: Int
    ) throws -> Outcome {
        var parts = start
        var included: [Digest: String] = [:]
        var unmet = choosing ? self.choices : []
        var missing: [ExportGap] = []
        let children = document.manifest.children.map(\.descriptor)
        let images = children.filter { document.attestations[$0.digest] == nil }
        for child in images where included[child.digest] == nil {
            // Children that say no platform cannot be chosen by it.
            if let platform = child.platform, !platform.description.isEmpty, choosing, !self.choices.isEmpty {
                guard self.choices.contains(where: { $0.includes(platform) }) else {
                    parts.isPartial = true
                    continue
                }
                unmet.removeAll { $0.includes(platform) }
            }
            switch try self.child(child, choosing: choosing, depth: depth) {
            case .parts(let more):
                included[child.digest] = child.platform?.description ?? "\(child.digest)"
                parts.add(more)
                parts.isPartial = parts.isPartial || more.isPartial
                parts.platforms += child.platform.map { [$0] } ?? more.platforms
            case .missing(let reason, let remedy):
                parts.isPartial = true
                missing.append(ExportGap(child.platform?.description ?? "\(child.digest)", reason, remedy: remedy))
            }
        }
        for choice in unmet { missing.append(ExportGap("\(choice)", "the image has none for it")) }
        guard !included.isEmpty || images.isEmpty else {
            return .missing(
                Self.none(missing, isChosen: choosing && !self.choices.isEmpty), remedy: missing.lazy.compactMap(\.remedy).first)
        }
        self.gaps += missing
        try self.addAttestations(children, document, included, depth, to: &parts)
        return .parts(parts)
    }

    private mutating func child(_ child: Descriptor, choosing: Bool, depth: Int) throws -> Outcome {
        if let stored = self.blobs.reader.catalog.content(child.digest), stored.size != child.size {
            return .missing("the index says that its manifest has \(child.size) bytes, and it has \(stored.size)", remedy: nil)
        }
        return try self.parts(of: child.digest, platform: child.platform, choosing: choosing, depth: depth + 1)
    }

    private static func none(_ missing: [ExportGap], isChosen: Bool) -> String {
        let details = missing.prefix(4).map { "\($0.subject) \($0.reason)" }.joined(separator: ", ")
        let more = missing.count > 4 ? " and \(missing.count - 4) more" : ""
        return "none of its \(isChosen ? "chosen " : "")platforms is complete: \(details)\(more)"
    }

    /// An attestation goes with the image that it is about.
    private mutating func addAttestations(
        _ children: [Descriptor], _ document: ManifestDocument, _ included: [Digest: String], _ depth: Int,
        to parts: inout ImageParts
    ) throws {
        for child in children {
            guard let subject = document.attestations[child.digest] else { continue }
            guard let about = included[subject] else {
                parts.isPartial = true
                continue
            }
            guard parts.blobs[child.digest] == nil else { continue }
            switch try self.parts(of: child.digest, platform: nil, choosing: false, depth: depth + 1) {
            case .parts(let more): parts.add(more)
            case .missing(let reason, let remedy):
                parts.isPartial = true
                let advice = remedy == Self.repair ? remedy : "amargo warm --with-referrers \(self.name)"
                self.gaps.append(ExportGap("attestation of \(about)", reason, remedy: advice))
            }
        }
    }
}
