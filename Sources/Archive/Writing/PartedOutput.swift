import Glibc
import OCI

/// A tar cut into numbered parts, `bundle.tar.001` and so on, with `bundle.tar.sha256` to check them by.
///
/// Nothing has a name before everything is written; the checksums get theirs last, so that where they are all parts are.
final class PartedOutput: BundleOutput {
    /// Three digits.
    static let maximumParts: Int64 = 999

    private let folder: TargetFolder
    private let name: String
    private let partSize: Int64
    private var parts: [(file: PendingFile, hash: String)] = []
    private var current: PendingFile
    private var verifier = DigestVerifier(.sha256)

    init(_ name: String, in folder: TargetFolder, partSize: Int64) throws {
        self.folder = folder
        self.name = name
        self.partSize = partSize
        self.current = try PendingFile(Self.partName(name, 1), in: folder)
    }

    static func partName(_ name: String, _ number: Int) -> String {
        let digits = "\(number)"
        return "\(name).\(String(repeating: "0", count: max(0, 3 - digits.count)))\(digits)"
    }

    /// What the names of the parts begin with, and what was made of them.
    var count: Int { self.parts.count }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while rest.count > 0 {
            if self.current.size == self.partSize { try self.beginPart() }
            let count = Int(min(Int64(rest.count), self.partSize - self.current.size))
            let piece = UnsafeRawBufferPointer(rebasing: rest[..<count])
            self.verifier.update(piece)
            try self.current.write(piece)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    private func endPart() throws {
        try self.current.synchronize()
        self.parts.append((self.current, self.verifier.digest().hex))
        self.verifier = DigestVerifier(.sha256)
    }

    private func beginPart() throws {
        try self.endPart()
        self.current = try PendingFile(Self.partName(self.name, self.parts.count + 1), in: self.folder)
    }

    func publish() throws {
        try self.endPart()
        let sums = try PendingFile("\(self.name).sha256", in: self.folder)
        let text = self.parts.map { "\($0.hash)  \($0.file.name)\n" }.joined()
        try Array(text.utf8).withUnsafeBytes { try sums.write($0) }
        try sums.synchronize()
        // The sums of an older bundle would speak of parts that are being replaced.
        guard unlinkat(self.folder.descriptor, sums.name, 0) == 0 || errno == ENOENT else {
            throw BundleError.call("replace", sums.path)
        }
        var published = 0
        do {
            for part in self.parts {
                try part.file.publish()
                published += 1
            }
            try self.folder.synchronize()
            try sums.publish()
        } catch {
            for part in self.parts[..<published] { unlinkat(self.folder.descriptor, part.file.name, 0) }
            throw error
        }
        // Further parts of an older, larger bundle.
        var number = self.parts.count + 1
        while number <= Self.maximumParts, unlinkat(self.folder.descriptor, Self.partName(self.name, number), 0) == 0 {
            number += 1
        }
        try self.folder.synchronize()
    }
}
