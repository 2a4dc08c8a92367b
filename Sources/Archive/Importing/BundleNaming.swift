import OCI

/// How names in a bundle become names in the store.
package struct BundleNaming: Hashable, Sendable {
    /// Further names of registries, and the one that the store uses.
    package let aliases: [Namespace: Namespace]
    /// The registry of names that do not say one.
    package let fallback: Namespace
    /// What the image, or the repository, is to be called instead.
    package let replacement: ImageReference?

    package init(aliases: [Namespace: Namespace], fallback: Namespace, replacement: ImageReference? = nil) {
        self.aliases = aliases
        self.fallback = fallback
        self.replacement = replacement
    }

    func repository(_ image: ImageReference) -> QualifiedRepository {
        self.repository(image.namespace ?? self.fallback, image.name)
    }

    func repository(_ namespace: Namespace, _ name: RepositoryName) -> QualifiedRepository {
        let namespace = self.aliases[namespace] ?? namespace
        // Docker Hub's `nginx` is `library/nginx`.
        guard namespace.description == "docker.io", !name.description.contains("/"), let library = Self.library,
            let full = name.prefixed(by: library)
        else { return QualifiedRepository(namespace: namespace, name: name) }
        return QualifiedRepository(namespace: namespace, name: full)
    }

    private static let library = try? RepositoryName(parsing: "library")  // a constant that parses
}

/// A descriptor of a bundle's index, and what it is called.
struct BundleRoot: Sendable {
    let entry: LayoutDocument.Entry
    var repository: QualifiedRepository?
    var tag: Tag?
    /// When the name was known to stand for this (Unix seconds); 0 when nobody says.
    let at: Int64
    /// The platforms that were chosen on purpose; nil when nobody says.
    let platforms: Set<String>?

    /// The platforms and names that annotations say.
    init(_ entry: LayoutDocument.Entry, _ naming: BundleNaming) throws {
        self.entry = entry
        let notes = entry.annotations
        self.at = max(0, notes[BundleEntry.Annotation.at].flatMap { Int64($0) } ?? 0)
        self.platforms = notes[BundleEntry.Annotation.platforms].map { Set($0.split(separator: ",").map(String.init)) }
        do {
            if let text = notes[BundleEntry.Annotation.repository] {
                let named = try QualifiedRepository(parsing: text)
                self.repository = naming.repository(named.namespace, named.name)
            }
            guard let text = notes[BundleEntry.Annotation.containerdName] ?? notes[BundleEntry.Annotation.refName] else { return }
            guard text.contains("/") || text.contains(":") || text.contains("@") else {
                self.tag = try Tag(parsing: text)
                return
            }
            let image = try ImageReference(parsing: text)
            if self.repository == nil { self.repository = naming.repository(image) }
            self.tag = try image.tag ?? (image.digest == nil ? Tag(parsing: "latest") : nil)
        } catch {
            throw BundleError(.refused, "its index.json has a name that is none: \(error)")
        }
    }

    /// A tag by which older tools attach something to another image: `sha256-HEX.sig`.
    var subjectOfTag: Digest? {
        guard let text = self.tag?.description, let dash = text.firstIndex(of: "-"),
            let algorithm = Digest.Algorithm(rawValue: String(text[..<dash]))
        else { return nil }
        return Digest(algorithm, hex: Array(text[text.index(after: dash)...].prefix { $0 != "." }.utf8))
    }
}
