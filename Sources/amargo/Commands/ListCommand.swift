import ArgumentParser
import Glibc
import Maintenance
import OCI
import Storage

struct ListCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the images in the store.",
        discussion: """
            SIZE is everything that is stored of an image, also what it shares with others; amargo rm --dry-run says what its removal \
            would free. STATE is complete when a pull needs no upstream. Reads the store beside a running server and without one.
            """)

    @OptionGroup var options: StoreOptions
    @Option(help: "table or json.") var format = OutputFormat.table
    @Argument(help: "Only images whose name begins like this, such as nginx or ghcr.io/org.") var names: [String] = []

    func run() async throws {
        do {
            let settings = try StoreOwner.settings(self.options)
            let reader: StoreReader
            do {
                reader = try StoreReader(folder: settings.storePath)
            } catch let error as StorageError where error.code == .notFound {
                throw StorageError(
                    .notFound,
                    "there is no store at \(settings.storePath) (\(settings.origins["store.path"] ?? "default")); "
                        + "name another with --store")
            }
            let images = ImageListing(reader.catalog).images.filter { image in
                self.names.isEmpty || self.names.contains { Self.matches(image, $0, settings) }
            }
            switch self.format {
            case .json: for image in images { print(Self.json(image)) }
            case .table: Self.printTable(images)
            }
            if !self.names.isEmpty, images.isEmpty { throw ExitCode.failure }
        } catch {
            throw Failure.report(error)
        }
    }

    private static func matches(_ image: ImageListing.Image, _ text: String, _ settings: Settings) -> Bool {
        if image.name.hasPrefix(text) { return true }
        guard let (repository, reference) = try? settings.image(text) else { return false }  // then it is only a beginning
        guard let reference else { return image.repository == repository || image.name.hasPrefix("\(repository)/") }
        return image.repository == repository && (image.tag.map { .tag($0) } == reference || .digest(image.digest) == reference)
    }

    private static func state(_ image: ImageListing.Image) -> String {
        if image.missing > 0 { return "\(image.missing) blobs missing" }
        if !image.platforms.isEmpty { return "complete" }
        return image.absentPlatforms > 0 ? "no platform stored" : "complete"
    }

    private static func printTable(_ images: [ImageListing.Image]) {
        var rows = [["IMAGE", "DIGEST", "PLATFORMS", "SIZE", "STATE", "LAST PULLED", "PINNED"]]
        for image in images {
            var platforms = image.platforms.joined(separator: ",")
            if image.absentPlatforms > 0 { platforms += (platforms.isEmpty ? "" : " ") + "(+\(image.absentPlatforms))" }
            rows.append([
                image.tag == nil ? "\(image.repository)" : image.name, String(image.digest.hex.prefix(12)),
                platforms.isEmpty ? "-" : platforms,
                Quantity.describe(bytes: image.size), Self.state(image),
                image.lastPulled == 0 ? "-" : Quantity.date(image.lastPulled), image.isPinned ? "yes" : "-",
            ])
        }
        let widths = rows[0].indices.map { column in rows.lazy.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = zip(row, widths).map { cell, width in cell + String(repeating: " ", count: width - cell.count) }
            print(cells.joined(separator: "  ").trimmingEnd)
        }
    }

    private static func json(_ image: ImageListing.Image) -> String {
        """
        {"image":\(JSONText.quoted(image.name)),"repository":\(JSONText.quoted("\(image.repository)")),\
        "tag":\(image.tag.map { JSONText.quoted($0.description) } ?? "null"),"digest":"\(image.digest)",\
        "platforms":[\(image.platforms.map(JSONText.quoted).joined(separator: ","))],"absentPlatforms":\(image.absentPlatforms),\
        "bytes":\(image.size),"missingBlobs":\(image.missing),"lastPulled":\(image.lastPulled),"pinned":\(image.isPinned)}
        """
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
