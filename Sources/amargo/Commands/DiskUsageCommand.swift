import ArgumentParser
import Glibc
import Maintenance
import OCI
import Storage

struct DiskUsageCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "du",
        abstract: "Say what fills the disk: which images have what for themselves, and what they share.",
        discussion: """
            LOGICAL is the content of an image, or of several added up, as if nothing were shared. The others are bytes of the disk: UNIQUE is \
            what nothing else needs, so what comes free by its removal (amargo rm; with a repository or registry, of all its images), SHARED \
            what others need, too, ATTRIBUTED its share of all of that: each blob divided among its images, so that the images and \
            what belongs to none add up to the total, which is what du says of the files in blobs/. LAST PULLED counts from its coming \
            for what was never pulled. PULLS are those of the content, by whatever name and repository. With --without it says what would come free if these images were removed together, and for \
            whom the rest stays. Reads the store beside a running server and without one. Exit code 1 when names or --older-than are \
            given and nothing matches, or an image of --without is not stored.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, csv
    }

    @OptionGroup var options: StoreOptions
    @Option(help: "List registries, repositories, tags, images or layers (every blob).") var by: UsageGrouping?
    @Flag(help: "A tree of registries, repositories and images with bars; --by ends it sooner.") var tree = false
    @Option(help: "Only so many, in a tree of each level.") var top: Int?
    @Option(help: "Largest first by attributed, unique, shared, logical, blobs or pulls; longest ago first by last; or by name.")
    var sort = UsageOrder.attributed
    @Option(help: "Only images that nobody has pulled for this long: 30d, 12h.") var olderThan: String?
    @Option(help: "table, json (a line each, in a tree one document) or csv.") var format = Format.table
    @Flag(help: "Do not look at the files: sizes from the journal, in blocks of 4 KiB.") var estimate = false
    @Option(
        parsing: .upToNextOption,
        help: "What would removing these images free? Without a tag, latest; patterns such as 'nginx:*' choose several.")
    var without: [String] = []
    @Argument(help: "Only images whose name begins like this, such as nginx or ghcr.io/org, or is like a pattern: '*nginx:1.*'.")
    var names: [String] = []

    func validate() throws {
        if let top = self.top, top < 1 { throw ValidationError("--top needs a number from 1.") }
        if let text = self.olderThan, Quantity.seconds(text) == nil {
            throw ValidationError("--older-than \(text) is no duration; write 30d, 12h, 45m or seconds.")
        }
        if self.tree, self.by == .layer { throw ValidationError("A tree ends at images; leave --tree out to list layers.") }
        if self.tree, self.format == .csv { throw ValidationError("A tree is no table; use --format json, or leave --tree out.") }
        guard !self.without.isEmpty else { return }
        guard self.names.isEmpty, !self.tree, self.by == nil, self.top == nil, self.olderThan == nil else {
            throw ValidationError(
                "--without goes with --format and --estimate alone: the images that it names are what it tells of.")
        }
    }

    func run() async throws {
        do {
            let settings = try StoreOwner.settings(self.options)
            let survey = try await StoreSurvey.read(settings, isMeasured: !self.estimate)
            if self.without.isEmpty {
                try self.list(survey, settings)
            } else {
                try self.tellRemoval(survey.usage, settings)
            }
        } catch {
            throw Failure.report(error)
        }
    }

    // MARK: - Listing

    private func list(_ survey: StoreSurvey, _ settings: Settings) throws {
        let usage = survey.usage
        let patterns = self.names.map { ImagePattern($0, settings) }
        let before = self.olderThan.flatMap { Quantity.seconds($0) }.map { Int64(time(nil)) - $0 }
        func isListed(_ image: DiskUsage.Image, _ tag: Tag?) -> Bool {
            let repository = usage.repositories[image.repository].name
            return patterns.isEmpty || patterns.contains { $0.matches(repository, tag, image.digest) }
        }
        let selection = usage.select { image in
            (before.map { image.figures.lastPulled < $0 } ?? true)
                && (image.tags.isEmpty ? isListed(image, nil) : image.tags.contains { isListed(image, $0) })
        }
        let isChoice = !patterns.isEmpty || before != nil
        let summary = UsageSummary(usage: usage, selection: isChoice ? selection : nil, space: survey.space)
        let rows = UsageRows(usage: usage, selection: selection) { isListed($0, $1) }
        if self.tree {
            self.printTree(rows, summary)
        } else {
            self.printRows(rows, summary)
        }
        if isChoice, selection.all.images == 0 {
            StandardStreams.complain("no stored image is like that; amargo du lists those that are")
            throw ExitCode.failure
        }
    }

    private func printTree(_ rows: UsageRows, _ summary: UsageSummary) {
        let nodes = rows.tree(to: self.by ?? .image, self.sort)
        if self.format == .json {
            let trees = nodes.map { Self.json($0, top: self.top) }.joined(separator: ",")
            return Self.write("{\"tree\":[\(trees)],\"total\":\(summary.json)}\n")
        }
        let tree = UsageTreeText(order: self.sort, top: self.top, shape: .output)
        Self.write(tree.text(nodes, whole: rows.usage.allocated) + "\n" + summary.text)
    }

    private static func json(_ node: UsageTreeText.Node, top: Int?) -> String {
        let children = node.children.prefix(top ?? node.children.count).map { Self.json($0, top: top) }
        return "{\"name\":\(JSONText.quoted(node.name)),\(node.figures.json),\"children\":[\(children.joined(separator: ","))]}"
    }

    private func printRows(_ list: UsageRows, _ summary: UsageSummary) {
        let grouping = self.by ?? .image
        let part = list.part(by: grouping, self.sort, top: self.top)
        // Layers list every blob, those of no image among them.
        let rows = part.rows + [grouping == .layer ? nil : list.orphans].compactMap { $0 }
        switch self.format {
        case .json: Self.write(rows.map { "\($0.json)\n" }.joined() + summary.json + "\n")
        case .csv: Self.write(CSVText.record(UsageRow.csvHeader) + rows.map { CSVText.record($0.csv) }.joined())
        case .table:
            let text = UsageTable(part: part, orphans: grouping == .layer ? nil : list.orphans, grouping: grouping).text
            Self.write(text + "\n" + summary.text)
        }
    }

    private static func write(_ text: String) { StandardStreams.write(text, to: STDOUT_FILENO) }

    // MARK: - Removing

    private func tellRemoval(_ usage: DiskUsage, _ settings: Settings) throws {
        var choice = RemovalChoice(usage, settings)
        var isComplete = true
        for text in self.without {
            if try !choice.add(text) {
                StandardStreams.complain("\(text) is no stored image by itself; amargo du lists those that are")
                isComplete = false
            }
        }
        let report = RemovalReport(usage: usage, removal: usage.removal(of: choice.images), names: choice.names)
        switch self.format {
        case .table: Self.write(report.text())
        case .json: Self.write(report.json())
        case .csv: Self.write(report.csv())
        }
        if !isComplete { throw ExitCode.failure }
    }
}

extension UsageGrouping: ExpressibleByArgument {}

extension UsageOrder: ExpressibleByArgument {}
