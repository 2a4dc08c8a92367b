import ArgumentParser
import Registry
import Storage

/// How a command's results look.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
}

/// What commands that change the store have in common.
enum StoreCommand {
    /// Carries a request out and prints what it says: results on standard output, errors on standard error.
    static func run(
        _ options: StoreOptions, role: String, format: OutputFormat, request: (Settings) throws -> AdminRequest,
        describe: @escaping @Sendable (AdminEvent) -> String?
    ) async throws {
        do {
            let settings = try StoreOwner.settings(options)
            let request = try request(settings)
            let code = try await StoreDoor(settings: settings).perform(request, role: role) { event in
                if event.kind == "error" {
                    StandardStreams.complain(event.text("message") ?? "it failed without saying why")
                } else if format == .json {
                    print(event.json)
                } else if let line = describe(event) {
                    print(line)
                }
            }
            guard code == 0 else { throw ExitCode(Int32(code)) }
        } catch {
            throw Failure.report(error)
        }
    }

    /// The full names of images as people wrote them; one without a tag means `latest`.
    static func names(_ images: [String], _ settings: Settings) throws -> [String] {
        try images.map { text in
            let (repository, reference) = try settings.image(text)
            switch reference {
            case .digest(let digest): return "\(repository)@\(digest)"
            case .tag(let tag): return "\(repository):\(tag)"
            case nil: return "\(repository):latest"
            }
        }
    }
}
