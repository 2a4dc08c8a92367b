import Maintenance
import OCI
import Storage

/// What `amargo du` lists: the chosen images of a store, by whatever part of it was asked for.
struct UsageRows {
    let usage: DiskUsage
    let selection: DiskUsage.Selection
    /// The tags that are listed; nil for all of them.
    var isListed: (DiskUsage.Image, Tag) -> Bool = { _, _ in true }

    /// The first rows of an order, and what is left behind them.
    struct Part {
        var rows: [UsageRow]
        var left = 0
        /// Bytes of the disk that are attributed to those.
        var leftBytes: Int64 = 0
    }

    func part(by grouping: UsageGrouping, _ order: UsageOrder, top: Int?) -> Part {
        if grouping == .layer { return self.layers(order, top: top) }
        var rows = self.rows(by: grouping)
        order.sort(&rows)
        let left = rows.dropFirst(top ?? rows.count)
        let bytes = left.reduce(0) { $0 + $1.figures.attributed }
        return Part(rows: Array(rows.dropLast(left.count)), left: left.count, leftBytes: bytes)
    }

    /// Every blob is many: only what is shown is made into a row. Those that are equal come by their digests.
    private func layers(_ order: UsageOrder, top: Int?) -> Part {
        let blobs = self.usage.blobs(of: self.selection).map { (key: order.key($0.figures), blob: $0) }.sorted { left, right in
            left.key == right.key ? left.blob.digest < right.blob.digest : left.key > right.key
        }
        let left = blobs.dropFirst(top ?? blobs.count)
        let bytes = left.reduce(0) { $0 + $1.blob.figures.attributed }
        return Part(rows: blobs.dropLast(left.count).map { self.row($0.blob) }, left: left.count, leftBytes: bytes)
    }

    private func rows(by grouping: UsageGrouping) -> [UsageRow] {
        switch grouping {
        case .registry:
            zip(self.usage.registries, self.selection.registries).compactMap { registry, figures in
                figures.images == 0 ? nil : UsageRow(kind: "registry", name: "\(registry.name)", figures: figures)
            }
        case .repository:
            zip(self.usage.repositories, self.selection.repositories).compactMap { repository, figures in
                figures.images == 0 ? nil : UsageRow(kind: "repository", name: "\(repository.name)", figures: figures)
            }
        case .image: self.chosen.map { self.row($0) }
        case .tag: self.chosen.flatMap { self.tagRows($0) }
        case .layer: []
        }
    }

    private var chosen: [DiskUsage.Image] {
        zip(self.usage.images, self.selection.isChosen).compactMap { $1 ? $0 : nil }
    }

    func row(_ image: DiskUsage.Image) -> UsageRow {
        UsageRow(
            kind: "image", name: self.usage.name(of: image), digest: image.digest, tags: image.tags.map(\.description),
            isPinned: image.isPinned, figures: image.figures)
    }

    /// A tag's removal frees nothing while the image has another. What it has a share in is divided among its tags.
    private func tagRows(_ image: DiskUsage.Image) -> [UsageRow] {
        guard !image.tags.isEmpty else {
            var row = self.row(image)
            row.kind = "tag"
            return [row]
        }
        let repository = self.usage.repositories[image.repository].name
        let (share, rest) = image.figures.attributed.quotientAndRemainder(dividingBy: Int64(image.tags.count))
        return image.tags.enumerated().compactMap { number, tag in
            guard self.isListed(image, tag) else { return nil }
            var figures = image.figures
            figures.attributed = share + (Int64(number) < rest ? 1 : 0)
            if image.tags.count > 1 {
                figures.shared = figures.allocated
                figures.unique = 0
            }
            return UsageRow(
                kind: "tag", name: "\(repository):\(tag)", digest: image.digest, tags: [tag.description],
                isPinned: image.pins.contains { $0 == .tag(tag) || $0 == .digest(image.digest) }, figures: figures)
        }
    }

    private func row(_ blob: DiskUsage.Blob) -> UsageRow {
        UsageRow(
            kind: "layer", name: blob.image.map { self.usage.name(of: self.usage.images[$0]) } ?? "", digest: blob.digest,
            content: blob.kind, figures: blob.figures)
    }

    /// What belongs to no image; nil when there is nothing, or when only some images were chosen.
    var orphans: UsageRow? {
        guard self.usage.orphans.blobs > 0, !self.selection.isChosen.contains(false) else { return nil }
        var figures = DiskUsage.Figures()
        figures.logical = self.usage.orphans.logical
        figures.unique = self.usage.orphans.allocated
        figures.attributed = self.usage.orphans.allocated
        figures.blobs = self.usage.orphans.blobs
        return UsageRow(kind: "orphans", name: "(content of no image)", figures: figures)
    }
}

/// By what `amargo du` lists.
enum UsageGrouping: String, CaseIterable {
    case registry, repository, tag, image, layer
}

/// In which order. Sizes and counts have the largest first, `last` what was pulled longest ago.
enum UsageOrder: String, CaseIterable {
    case attributed, unique, shared, logical, blobs, pulls, last, name

    func sort(_ rows: inout [UsageRow]) {
        rows.sort { left, right in
            let (a, b) = (self.key(left.figures), self.key(right.figures))
            if a != b { return a > b }
            return left.name == right.name ? Self.precedes(left.digest, right.digest) : left.name < right.name
        }
    }

    private static func precedes(_ left: Digest?, _ right: Digest?) -> Bool {
        guard let left, let right else { return left != nil && right == nil }
        return left < right
    }

    /// More comes first.
    func key(_ figures: DiskUsage.Figures) -> Int64 {
        switch self {
        case .attributed: figures.attributed
        case .unique: figures.unique
        case .shared: figures.shared
        case .logical: figures.logical
        case .blobs: Int64(figures.blobs)
        case .pulls: figures.pulls
        case .last: -figures.lastPulled
        case .name: 0
        }
    }

    /// What bars show: the size that is asked for, else the share.
    func bytes(_ figures: DiskUsage.Figures) -> Int64 {
        switch self {
        case .unique, .shared, .logical: self.key(figures)
        default: figures.attributed
        }
    }
}
