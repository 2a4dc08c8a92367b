import Maintenance
import OCI
import Storage

/// Which images go when some names are removed: one goes with the last of its tags.
struct RemovalChoice {
    private let usage: DiskUsage
    private let settings: Settings
    private let positions: [QualifiedRepository: Int]
    private var going: [Int: Set<Tag>] = [:]

    init(_ usage: DiskUsage, _ settings: Settings) {
        self.usage = usage
        self.settings = settings
        self.positions = Dictionary(uniqueKeysWithValues: usage.repositories.enumerated().map { ($1.name, $0) })
    }

    /// Takes in a name, or all that are like a pattern; false when there is no such image.
    ///
    /// - Throws: `ValidationError` for a name that is malformed.
    mutating func add(_ text: String) throws -> Bool {
        guard !text.contains(where: { "*?[".contains($0) }) else { return self.addAll(like: text) }
        let (repository, reference) = try self.settings.image(text)
        guard let position = self.positions[repository] else { return false }
        for number in self.usage.repositories[position].images {
            let image = self.usage.images[number]
            switch reference {
            case .digest(let digest) where digest == image.digest: self.going[number, default: []].formUnion(image.tags)
            case .digest: continue
            case .tag(let tag):
                guard image.tags.contains(tag) else { continue }
                self.going[number, default: []].insert(tag)
            case nil:
                guard let latest = image.tags.first(where: { $0.description == "latest" }) else { continue }
                self.going[number, default: []].insert(latest)
            }
            return true
        }
        return false
    }

    private mutating func addAll(like text: String) -> Bool {
        let pattern = ImagePattern(text, self.settings)
        var hasFound = false
        for (number, image) in self.usage.images.enumerated() {
            let repository = self.usage.repositories[image.repository].name
            if image.tags.isEmpty, pattern.matches(repository, nil, image.digest) {
                self.going[number, default: []] = []
                hasFound = true
            }
            for tag in image.tags where pattern.matches(repository, tag, image.digest) {
                self.going[number, default: []].insert(tag)
                hasFound = true
            }
        }
        return hasFound
    }

    /// Positions of the images that go.
    var images: [Int] { self.going.keys.filter { self.isGoing($0) }.sorted() }

    /// The names that go alone.
    var names: [RemovalReport.Name] {
        self.going.keys.filter { !self.isGoing($0) }.sorted().flatMap { number -> [RemovalReport.Name] in
            let image = self.usage.images[number]
            let repository = self.usage.repositories[image.repository].name
            let tags = self.going[number] ?? []
            let others = image.tags.filter { !tags.contains($0) }.map { "\(repository):\($0)" }
            return image.tags.filter { tags.contains($0) }.map { RemovalReport.Name(name: "\(repository):\($0)", others: others) }
        }
    }

    private func isGoing(_ number: Int) -> Bool {
        let tags = self.going[number] ?? []
        return self.usage.images[number].tags.allSatisfy { tags.contains($0) }
    }
}
