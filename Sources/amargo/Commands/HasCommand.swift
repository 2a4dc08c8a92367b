import ArgumentParser
import Maintenance
import OCI
import Storage

struct HasCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "has",
        abstract: "Say whether images are in the store, whole.",
        discussion: """
            For each image: complete when a pull for the platform needs no upstream, partial with what is missing, or absent. Reads the \
            journal, and looks for each file; works beside a running server, without one, and on a disk that cannot be written to.

            Exit codes: 0 all are complete, 1 some are partial, 2 some are absent or the store cannot be read, 64 wrong usage, 78 wrong \
            configuration.
            """)

    @OptionGroup var options: StoreOptions
    @Option(help: "Which platforms of a multi-platform image: linux/amd64,linux/arm64. Else this machine's.")
    var platform: String?
    @Flag(help: "All platforms that the image has.") var allPlatforms = false
    @Option(help: "table or json.") var format = OutputFormat.table
    @Argument(
        help: "Images, such as nginx:1.27 or ghcr.io/org/app@sha256:…; without a tag, latest.", completion: ImageCompletion.kind)
    var images: [String]

    func validate() throws {
        if self.allPlatforms, self.platform != nil { throw ValidationError("--platform chooses what --all-platforms takes.") }
        _ = try PlatformOption.selection(self.platform, all: self.allPlatforms)
    }

    func run() async throws {
        do {
            let settings = try StoreOwner.settings(self.options)
            let names = try StoreCommand.names(self.images, settings)
            let selection = try PlatformOption.selection(self.platform, all: self.allPlatforms)
            let reader = try StoreAccess.reader(settings)
            var code: Int32 = 0
            for name in names {
                let image = try ImageReference(parsing: name)
                guard let namespace = image.namespace, let reference = image.reference else { continue }
                let isPrivate = settings.repositories.contains { $0.namespaces.contains(namespace) && $0.connection.isPrivate }
                let found = ImageCompleteness(
                    of: reference, in: QualifiedRepository(namespace: namespace, name: image.name), selection, reading: reader,
                    keepsApart: isPrivate)
                switch self.format {
                case .json: print(Self.json(name, found))
                case .table: for line in Self.lines(name, found) { print(line) }
                }
                switch found.state {
                case .complete: break
                case .partial: code = max(code, 1)
                case .absent: code = max(code, 2)
                }
            }
            guard code == 0 else { throw ExitCode(code) }
        } catch let error as StorageError {
            _ = Failure.report(error)
            throw ExitCode(2)
        } catch {
            throw Failure.report(error)
        }
    }

    // MARK: - Words

    static func lines(_ name: String, _ found: ImageCompleteness) -> [String] {
        let platforms = found.platforms.filter { $0 != "unknown/unknown" }.map(VisibleText.escaped)
        let what = platforms.isEmpty ? "" : " (\(platforms.joined(separator: ", ")))"
        switch found.state {
        case .absent: return ["\(name): absent"]
        case .complete: return ["\(name): complete\(what), \(Quantity.describe(bytes: found.bytes))"]
        case .partial:
            let bytes = found.missing.reduce(Int64(0)) { $0.addingSize($1.size) }
            var lines = [
                "\(name): partial\(found.missing.isEmpty ? "" : ", \(Self.count(found.missing.count)), \(Quantity.describe(bytes: bytes)) missing")"
            ]
            for platform in found.unknownPlatforms { lines.append("  the image has no \(platform)") }
            for gap in found.missing {
                lines.append(
                    "  \(gap.digest)  \(gap.role.rawValue), \(Quantity.describe(bytes: gap.size))"
                        + (gap.platform.map { ", \(VisibleText.escaped($0))" } ?? ""))
            }
            return lines
        }
    }

    private static func count(_ number: Int) -> String { number == 1 ? "1 part" : "\(number) parts" }

    static func json(_ name: String, _ found: ImageCompleteness) -> String {
        func list(_ texts: [String]) -> String { "[\(texts.map(JSONText.quoted).joined(separator: ","))]" }
        let missing = found.missing.map { gap in
            "{\"digest\":\"\(gap.digest)\",\"size\":\(gap.size),\"role\":\"\(gap.role.rawValue)\","
                + "\"platform\":\(gap.platform.map(JSONText.quoted) ?? "null")}"
        }
        return """
            {"image":\(JSONText.quoted(name)),"state":"\(found.state.rawValue)",\
            "digest":\(found.digest.map { "\"\($0)\"" } ?? "null"),"platforms":\(list(found.platforms)),\
            "unknownPlatforms":\(list(found.unknownPlatforms.map(\.description))),"bytes":\(found.bytes),\
            "missing":[\(missing.joined(separator: ","))]}
            """
    }
}
