import OCI
import Synchronization

/// What is known of each repository, found by its name or by a small number, from 1, so that content needs four bytes for its holder.
///
/// A number is never given twice, and an entry stays when nothing is left in it.
final class RepositoryTable: Sendable {
    final class Entry: Sendable {
        let name: QualifiedRepository
        let number: UInt32
        fileprivate let registry: Registry
        private let contents = Mutex(Contents())

        fileprivate init(name: QualifiedRepository, number: UInt32, registry: Registry) {
            self.name = name
            self.number = number
            self.registry = registry
        }

        func withLock<T>(_ body: (inout Contents) -> sending T) -> sending T { self.contents.withLock { body(&$0) } }
    }

    struct Contents {
        var tags: [Tag: Catalog.TagEntry] = [:]
        /// Since when, in Unix seconds.
        var pins: [Reference: Int64] = [:]
        var manifests: Set<Digest> = []
        /// How much content it holds.
        var members = 0

        var isEmpty: Bool { self.tags.isEmpty && self.pins.isEmpty && self.members <= 0 }
    }

    /// A registry's share: bytes on the disk of what was pulled first from there.
    fileprivate final class Registry: Sendable {
        let namespace: Namespace
        let bytes = Atomic<Int64>(0)

        init(_ namespace: Namespace) { self.namespace = namespace }
    }

    private struct Numbers {
        var entries: [Entry] = []
        var registries: [Registry] = []
    }

    private final class Shard: Sendable {
        let entries = Mutex<[QualifiedRepository: Entry]>([:])
    }

    private let shards = (0..<16).map { _ in Shard() }
    private let numbers = Mutex(Numbers())
    /// How many have anything in them.
    private let occupied = Atomic<Int>(0)

    private func shard(_ name: QualifiedRepository) -> Shard { self.shards[name.shardHint & 15] }

    /// The entry of a repository, which is made when it is missing.
    func entry(_ name: QualifiedRepository) -> Entry {
        self.shard(name).entries.withLock { entries in
            if let entry = entries[name] { return entry }
            let entry = self.numbers.withLock { numbers in
                let registry: Registry
                if let known = numbers.registries.first(where: { $0.namespace == name.namespace }) {
                    registry = known
                } else {
                    registry = Registry(name.namespace)
                    numbers.registries.append(registry)
                }
                let entry = Entry(name: name, number: UInt32(numbers.entries.count + 1), registry: registry)
                numbers.entries.append(entry)
                return entry
            }
            entries[name] = entry
            return entry
        }
    }

    /// The entry of a repository that has been heard of.
    func known(_ name: QualifiedRepository) -> Entry? { self.shard(name).entries.withLock { $0[name] } }

    /// Nil for 0, which is nobody.
    func entry(_ number: UInt32) -> Entry? {
        number == 0 ? nil : self.numbers.withLock { $0.entries[Int(number) - 1] }
    }

    func name(_ number: UInt32) -> QualifiedRepository? { self.entry(number)?.name }

    /// Changes what is in an entry, and counts it if it has anything in it now, or nothing any more.
    func change(_ entry: Entry, _ body: (inout Contents) -> Void) {
        let difference = entry.withLock { contents -> Int in
            let wasEmpty = contents.isEmpty
            body(&contents)
            // What is left of nothing is nothing: a count that went below, say, by a line that came twice.
            if contents.isEmpty, !wasEmpty { contents = Contents() }
            return (contents.isEmpty ? 0 : 1) - (wasEmpty ? 0 : 1)
        }
        if difference != 0 { self.occupied.add(difference, ordering: .relaxed) }
    }

    /// The entries that have anything in them.
    var all: [Entry] {
        self.numbers.withLock { $0.entries }.filter { entry in entry.withLock { !$0.isEmpty } }
    }

    var count: Int { self.occupied.load(ordering: .relaxed) }

    /// Adds to the share of a repository's registry; nobody has number 0.
    func add(_ bytes: Int64, to number: UInt32) {
        guard bytes != 0, let entry = self.entry(number) else { return }
        self.add(bytes, to: entry)
    }

    func add(_ bytes: Int64, to entry: Entry) { entry.registry.bytes.add(bytes, ordering: .relaxed) }

    /// Bytes on the disk of what was pulled first from this registry.
    func share(of namespace: Namespace) -> Int64 {
        self.numbers.withLock { $0.registries.first { $0.namespace == namespace } }?.bytes.load(ordering: .relaxed) ?? 0
    }
}
