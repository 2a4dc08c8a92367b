import ArgumentParser
import Foundation
import OCI
import Storage

/// What a shell offers where a command takes images: those in the store.
enum ImageCompletion {
    /// A TAB has to be answered at once: the journal of a larger store is not read for it.
    private static let journalLimit: Int64 = 32 << 20

    private static let candidateLimit = 1000

    static var kind: CompletionKind {
        // `.custom` takes two kinds of closures; the asynchronous one is run once, by the parser that runs last.
        let complete: @Sendable ([String], Int, String) async -> [String] = { words, index, prefix in
            let shell = CompletionShell.requesting
            let line = CommandLineWords(words, completing: index, prefix: prefix, cutsWords: shell == .bash)
            do {
                let images = try await Blocking.run { try Self.candidates(line) }
                // zsh takes what is behind a colon for a description.
                return shell == .zsh ? images.map { $0.replacingOccurrences(of: ":", with: "\\:") } : images
            } catch {
                // Whoever types a command is not helped by an error in the middle of it; the command itself will say it.
                return []
            }
        }
        return .custom(complete)
    }

    /// Blocks for as long as reading the store takes.
    private static func candidates(_ line: CommandLineWords) throws -> [String] {
        var options = try StoreOptions.parse([])
        options.config = line.value(of: "--config")
        options.store = line.value(of: "--store")
        let settings = try SettingsLoader(options).load().settings
        let journal = try FileManager.default.attributesOfItem(atPath: "\(settings.storePath)/journal.jsonl")
        guard (journal[.size] as? NSNumber)?.int64Value ?? 0 <= Self.journalLimit else { return [] }
        let catalog = try StoreReader(folder: settings.storePath).catalog
        let fallback = settings.repositories.first(where: \.isDefault)?.namespaces[0]
        var images: [String] = []
        for repository in catalog.allRepositories {
            images += Self.names(of: repository, in: catalog, default: fallback, line)
        }
        return images.sorted().prefix(Self.candidateLimit).compactMap(line.completion)
    }

    /// A repository's images by the shortest name that goes on from what is typed.
    private static func names(
        of repository: QualifiedRepository, in catalog: Catalog, default fallback: Namespace?, _ line: CommandLineWords
    ) -> [String] {
        let forms = Self.forms(of: repository, default: fallback)
        // A repository that cannot be meant is not looked into.
        guard
            let name = forms.first(where: { "\($0):".hasPrefix(line.typed) || "\($0)@".hasPrefix(line.typed) })
                ?? forms.first(where: { line.typed.hasPrefix("\($0):") || line.typed.hasPrefix("\($0)@") })
        else { return [] }
        if line.typed.hasPrefix("\(name)@") { return catalog.manifests(of: repository).map { "\(name)@\($0)" } }
        // Signatures and the like have tags of their own, which nobody types.
        let tags = catalog.tags(in: repository).filter { catalog.contains($0.value.digest) }.keys.map(\.description)
        return tags.filter { !$0.hasPrefix("sha256-") && !$0.hasPrefix("sha512-") }.map { "\(name):\($0)" }
    }

    /// `nginx`, `library/nginx` and `docker.io/library/nginx`.
    private static func forms(of repository: QualifiedRepository, default fallback: Namespace?) -> [String] {
        guard repository.namespace == fallback else { return ["\(repository)"] }
        let name = repository.name.description
        let library = "library/"
        let isShort = repository.namespace.description == "docker.io" && name.hasPrefix(library)
        let short = isShort && !name.dropFirst(library.count).contains("/") ? [String(name.dropFirst(library.count))] : []
        return short + [name, "\(repository)"]
    }
}
