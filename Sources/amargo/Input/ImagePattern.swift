import Glibc
import OCI
import Storage

/// How people choose images of a store: by the beginning of a name, by a whole one, or by a pattern.
struct ImagePattern {
    private let text: String
    private let isPattern: Bool
    /// What the text names, if it is a whole name.
    private let named: (repository: QualifiedRepository, reference: Reference?)?
    /// What a name of the default registry may be written without.
    private let prefixes: [String]

    init(_ text: String, _ settings: Settings) {
        self.text = text
        self.isPattern = text.contains { "*?[".contains($0) }
        self.named = self.isPattern ? nil : try? settings.image(text)  // else it is only a beginning
        let fallback = settings.repositories.first(where: \.isDefault)?.namespaces[0].description ?? ""
        self.prefixes = ["\(fallback)/", "library/"]
    }

    func matches(_ repository: QualifiedRepository, _ tag: Tag?, _ digest: Digest) -> Bool {
        let name = tag.map { "\(repository):\($0)" } ?? "\(repository)@\(digest)"
        if self.isPattern { return self.names(name).contains { fnmatch(self.text, $0, 0) == 0 } }
        if name.hasPrefix(self.text) || self.names(name).contains(where: { $0.hasPrefix("\(self.text)/") }) { return true }
        guard let named = self.named else { return false }
        guard let reference = named.reference else {
            return repository == named.repository || name.hasPrefix("\(named.repository)/")
        }
        return repository == named.repository && (tag.map { .tag($0) } == reference || .digest(digest) == reference)
    }

    /// How a pattern may see it: in full, and as people shorten it.
    private func names(_ name: String) -> [String] {
        var names = [name]
        for prefix in self.prefixes {
            guard let last = names.last, last.hasPrefix(prefix), names.count > 1 || prefix != "library/" else { continue }
            names.append(String(last.dropFirst(prefix.count)))
        }
        return names
    }
}
