import ArgumentParser
import Glibc
import Maintenance
import OCI
import PullThrough
import Storage

struct ListCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the images in the store.",
        discussion: """
            SIZE is everything that is stored of an image, also what it shares with others; amargo rm --dry-run says what its removal \
            would free. STATE is complete when a pull needs no upstream. TAG is fresh while the tag is believed without asking its registry \
            (cacheTtl), then stale; imported when it came in a bundle. REFS counts signatures and whatever else refers to the image. \
            Reads the store beside a running server and without one. Exit code 1 when names or filters are given and nothing matches.
            """)

    /// What `--filter` can ask for.
    enum Filter: String, ExpressibleByArgument, CaseIterable {
        case complete, incomplete, fresh, stale, imported, pinned, tagged, untagged
    }

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case name, size, pulled
    }

    @OptionGroup var options: StoreOptions
    @Option(help: "table or json.") var format = OutputFormat.table
    @Option(help: "By name, size (largest first) or pulled (latest first).") var sort = Order.name
    @Option(help: "Only what is so; given several times, all of it.") var filter: [Filter] = []
    @Option(help: "Only images that are stored for these platforms: linux/amd64,linux/arm64.") var platform: String?
    @Flag(help: "Only what a pull would need an upstream for: the same as --filter incomplete.") var incomplete = false
    @Argument(
        help: "Only images whose name begins like this, such as nginx or ghcr.io/org, or is like a pattern: '*nginx:1.*'.",
        completion: ImageCompletion.kind)
    var names: [String] = []

    func validate() throws { _ = try PlatformOption.selection(self.platform) }

    func run() async throws {
        do {
            let settings = try StoreOwner.settings(self.options)
            let freshness = TagFreshness(settings, now: Int64(time(nil)))
            let filters = self.filter + (self.incomplete ? [.incomplete] : [])
            let platforms = try self.platform.map { try PlatformOption.selection($0) }
            let patterns = self.names.map { ImagePattern($0, settings) }
            var images = ImageListing(try StoreAccess.reader(settings).catalog).images.filter { image in
                (patterns.isEmpty || patterns.contains { $0.matches(image.repository, image.tag, image.digest) })
                    && filters.allSatisfy { Self.passes(image, $0, freshness) }
                    && platforms.map { Self.has(image, $0) } ?? true
            }
            switch self.sort {
            case .name: break
            case .size: images.sort { ($1.size, $0.name) < ($0.size, $1.name) }
            case .pulled: images.sort { ($1.lastPulled, $0.name) < ($0.lastPulled, $1.name) }
            }
            switch self.format {
            case .json: for image in images { print(Self.json(image, freshness)) }
            case .table: Self.printTable(images, freshness)
            }
            let isChosen = !self.names.isEmpty || !filters.isEmpty || platforms != nil
            if isChosen, images.isEmpty {
                StandardStreams.complain("no stored image is like that; amargo ls lists those that are")
                throw ExitCode.failure
            }
        } catch {
            throw Failure.report(error)
        }
    }

    // MARK: - Choosing

    private static func passes(_ image: ImageListing.Image, _ filter: Filter, _ freshness: TagFreshness) -> Bool {
        switch filter {
        case .complete: image.isComplete
        case .incomplete: !image.isComplete
        case .fresh: freshness.isFresh(image) == true
        case .stale: freshness.isFresh(image) == false
        case .imported: image.isImported
        case .pinned: image.isPinned
        case .tagged: image.tag != nil
        case .untagged: image.tag == nil
        }
    }

    /// Whether all platforms of a selection are among those that are stored.
    private static func has(_ image: ImageListing.Image, _ selection: PlatformSelection) -> Bool {
        guard !image.platforms.isEmpty else { return false }
        return selection.choose(among: image.platforms).missing.isEmpty
    }

    // MARK: - Words

    private static func state(_ image: ImageListing.Image) -> String {
        if image.missing > 0 { return "\(image.missing) blobs missing" }
        return image.isComplete ? "complete" : "no platform stored"
    }

    private static func printTable(_ images: [ImageListing.Image], _ freshness: TagFreshness) {
        var rows = [["IMAGE", "DIGEST", "PLATFORMS", "SIZE", "STATE", "TAG", "REFS", "LAST PULLED", "PINNED"]]
        for image in images {
            var platforms = VisibleText.escaped(image.platforms.joined(separator: ","))
            if image.absentPlatforms > 0 { platforms += (platforms.isEmpty ? "" : " ") + "(+\(image.absentPlatforms))" }
            rows.append([
                image.tag == nil ? "\(image.repository)" : image.name, String(image.digest.hex.prefix(12)),
                platforms.isEmpty ? "-" : platforms,
                Quantity.describe(bytes: image.size), Self.state(image), freshness.word(image),
                image.referrers == 0 ? "-" : "\(image.referrers)",
                image.lastPulled == 0 ? "-" : Quantity.date(image.lastPulled), image.isPinned ? "yes" : "-",
            ])
        }
        let widths = rows[0].indices.map { column in rows.lazy.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = zip(row, widths).map { cell, width in cell + String(repeating: " ", count: width - cell.count) }
            print(cells.joined(separator: "  ").trimmingEnd)
        }
    }

    private static func json(_ image: ImageListing.Image, _ freshness: TagFreshness) -> String {
        """
        {"image":\(JSONText.quoted(image.name)),"repository":\(JSONText.quoted("\(image.repository)")),\
        "tag":\(image.tag.map { JSONText.quoted($0.description) } ?? "null"),"digest":"\(image.digest)",\
        "platforms":[\(image.platforms.map(JSONText.quoted).joined(separator: ","))],"absentPlatforms":\(image.absentPlatforms),\
        "bytes":\(image.size),"missingBlobs":\(image.missing),"complete":\(image.isComplete),\
        "fresh":\(freshness.isFresh(image).map(String.init) ?? "null"),"confirmedAt":\(image.entry?.fetchedAt ?? 0),\
        "imported":\(image.isImported),"referrers":\(image.referrers),\
        "lastPulled":\(image.lastPulled),"pinned":\(image.isPinned)}
        """
    }
}

/// Whether a tag is believed without asking, by what the configuration says of its registry.
struct TagFreshness {
    private let lifetimes: [Namespace: Duration]
    private let policy = FreshnessPolicy()
    private let now: Int64

    init(_ settings: Settings, now: Int64) {
        self.now = now
        var lifetimes: [Namespace: Duration] = [:]
        for repository in settings.repositories {
            for namespace in repository.namespaces { lifetimes[namespace] = .seconds(repository.cacheTtl) }
        }
        self.lifetimes = lifetimes
    }

    /// Nil where there is no tag, or no registry that could be asked.
    func isFresh(_ image: ImageListing.Image) -> Bool? {
        guard let entry = image.entry, let lifetime = self.lifetimes[image.repository.namespace] else { return nil }
        return self.policy.age(of: entry, now: self.now, instant: .now) < self.policy.lifetime(of: entry, ttl: lifetime)
    }

    func word(_ image: ImageListing.Image) -> String {
        if image.isImported { return "imported" }
        return self.isFresh(image).map { $0 ? "fresh" : "stale" } ?? "-"
    }
}

extension String {
    /// Without spaces at its end.
    fileprivate var trimmingEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
