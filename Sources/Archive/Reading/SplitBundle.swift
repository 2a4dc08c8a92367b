import Glibc
import OCI

/// A bundle in numbered parts: `bundle.tar.001`, `.002`, …, and `bundle.tar.sha256`, which names them.
struct SplitBundle {
    /// The name without what is behind its last dot.
    let base: String
    /// Paths, in their order.
    let parts: [String]
    /// What each part should be; empty when there is no `.sha256` file.
    let checksums: [Digest]

    /// Nil for a path that is none of a split bundle's.
    init?(_ path: String) throws {
        guard let dot = path.lastIndex(of: "."), dot > path.startIndex else { return nil }
        let suffix = path[path.index(after: dot)...]
        let isPart = suffix.utf8.count >= 3 && suffix.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isPart || suffix == "sha256" else { return nil }
        self.base = String(path[..<dot])
        let list = "\(self.base).sha256"
        // What merely ends in a number is a file like any other.
        if isPart, access(list, F_OK) != 0, access("\(self.base).001", F_OK) != 0 { return nil }
        if suffix == "sha256" || access(list, F_OK) == 0 {
            (self.parts, self.checksums) = try Self.read(list, base: self.base)
        } else {
            self.parts = try Self.find(self.base)
            self.checksums = []
        }
        if let missing = self.parts.first(where: { access($0, F_OK) != 0 }) {
            throw BundleError(
                .unreadable, "\(missing) is missing; the bundle has \(self.parts.count) parts, and all of them are needed")
        }
    }

    /// The parts that are there, up to the first that is not.
    private static func find(_ base: String) throws -> [String] {
        var parts: [String] = []
        while parts.count < Limits.Bundles.parts {
            let part = "\(base).\(Self.suffix(parts.count + 1))"
            guard access(part, F_OK) == 0 else { break }
            parts.append(part)
        }
        guard !parts.isEmpty else {
            throw BundleError(.unreadable, "\(base).001 is missing; the other parts are nothing without it")
        }
        return parts
    }

    /// The parts that a list names.
    static func partNames(_ list: String) throws -> [String] { try Self.read(list, base: String(list.dropLast(7))).parts }

    private static func suffix(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 3 - text.count)) + text
    }

    /// Reads a file as sha256sum writes it.
    private static func read(_ path: String, base: String) throws -> (parts: [String], checksums: [Digest]) {
        let refusal = BundleError(.refused, "\(path) does not name the parts \(base).001, .002 and so on with their checksums")
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw BundleError(.unreadable, "\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        let bytes = try BundlePiece(whole: try BundleFile([descriptor])).contents()
        let folder = base.lastIndex(of: "/").map { String(base[...$0]) } ?? ""
        let name = String(base.dropFirst(folder.count))
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        if lines.count == 1, lines[0].dropFirst(64) == "  \(name)",
            let digest = Digest(.sha256, hex: Array(lines[0].utf8.prefix(64)))
        {
            return ([base], [digest])  // of a bundle that is whole
        }
        var checksums: [Digest] = []
        for line in lines {
            let expected = "\(name).\(Self.suffix(checksums.count + 1))"
            let text = line.dropFirst(64)
            guard let digest = Digest(.sha256, hex: Array(line.utf8.prefix(64))),
                text == "  \(expected)" || text == " *\(expected)", checksums.count < Limits.Bundles.parts
            else { throw refusal }
            checksums.append(digest)
        }
        guard !checksums.isEmpty else { throw refusal }
        return (checksums.indices.map { "\(base).\(Self.suffix($0 + 1))" }, checksums)
    }
}

extension BundlePiece {
    /// A whole file.
    init(whole file: BundleFile) { self.init(file, size: file.size) }
}
