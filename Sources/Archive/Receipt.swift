import Glibc
import OCI
import Storage

/// The inventory of a store, small enough to be carried back: a delta holds what is not on it.
///
/// It is JSON, one digest a line in their order: `{"amargo":"receipt","format":1,"store":…,"at":…,"blobs":[`, the digests, `]}`.
/// Only a file that is written exactly so is read.
package struct Receipt: Sendable {
    package static let format: Int64 = 1
    /// Bytes of a line; a digest's has 140 at most.
    fileprivate static let lineLimit = 1024

    /// The id of the store that it is of.
    package let store: String
    /// When it was written, in Unix seconds.
    package let at: Int64
    /// The SHA-256 of the file's bytes, in hex digits.
    package let fingerprint: String
    /// In their order.
    package let blobs: [Digest]

    package func contains(_ digest: Digest) -> Bool {
        var low = 0
        var high = self.blobs.count
        while low < high {
            let middle = (low + high) / 2
            if self.blobs[middle] < digest { low = middle + 1 } else { high = middle }
        }
        return low < self.blobs.count && self.blobs[low] == digest
    }
}

// MARK: - Reading

extension Receipt {
    /// Reads a receipt. Blocks.
    package init(reading path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw BundleError(.unusable, "cannot open the receipt \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        do {
            self = try Self.read(descriptor, path)
        } catch let error as ReceiptError {
            throw BundleError(
                .malformed,
                "\(path) is not a receipt as amargo receipt writes it: \(error.description); carry it over again unchanged")
        }
    }

    private static func read(_ descriptor: CInt, _ path: String) throws -> Receipt {
        var parser = ReceiptParser()
        var verifier = DigestVerifier(.sha256)
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw BundleError.call("read", path)
            }
            if count == 0 { break }
            try chunk.withUnsafeBytes { bytes in
                let part = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                verifier.update(part)
                try parser.read(part)
            }
        }
        let (store, at) = try parser.end()
        return Receipt(store: store, at: at, fingerprint: verifier.digest().hex, blobs: parser.blobs)
    }
}

/// Why a file is no receipt.
private struct ReceiptError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Takes a receipt's bytes as they come, line by line.
private struct ReceiptParser {
    private(set) var blobs: [Digest] = []
    private var head: (store: String, at: Int64)?
    private var line: [UInt8] = []
    private var number = 0
    private var isAtEnd = false

    mutating func read(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            self.line += rest[..<end]
            rest = rest[(end + 1)...]
            self.number += 1
            try self.take()
            self.line.removeAll(keepingCapacity: true)
        }
        self.line += rest
        guard self.line.count <= Receipt.lineLimit else { throw ReceiptError("line \(self.number + 1) is too long") }
    }

    mutating func end() throws -> (store: String, at: Int64) {
        guard let head = self.head, self.isAtEnd, self.line.isEmpty else { throw ReceiptError("its end is missing") }
        return head
    }

    private mutating func take() throws {
        guard !self.isAtEnd else { throw ReceiptError("something follows its end") }
        guard self.head != nil else { return self.head = try self.readHead() }
        if self.line.elementsEqual("]}".utf8), self.blobs.isEmpty { return self.isAtEnd = true }
        let isLast = self.line.suffix(2).elementsEqual("]}".utf8)
        let ending = isLast ? 2 : 1
        guard isLast || self.line.last == UInt8(ascii: ","), self.line.count > ending + 2, self.line.first == UInt8(ascii: "\""),
            self.line[self.line.count - ending - 1] == UInt8(ascii: "\""),
            let digest = self.line.withUnsafeBytes({ line in
                Digest(parsing: UnsafeRawBufferPointer(rebasing: line[1..<(line.count - ending - 1)]))
            })
        else { throw ReceiptError("line \(self.number) is no digest") }
        if let last = self.blobs.last, !(last < digest) { throw ReceiptError("line \(self.number) is not in order") }
        guard self.blobs.count < Limits.Bundles.receipt else {
            throw ReceiptError("it lists more than \(Limits.Bundles.receipt) blobs")
        }
        self.blobs.append(digest)
        self.isAtEnd = isLast
    }

    private func readHead() throws -> (store: String, at: Int64) {
        var kind: String?
        var format: Int64?
        var store: String?
        var at: Int64?
        do {
            // Its last two characters close what the line leaves open.
            try (self.line + Array("]}".utf8)).withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch key {
                        case "amargo": kind = try reader.string()
                        case "format": format = try reader.integer()
                        case "store": store = try reader.string()
                        case "at": at = try reader.integer()
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            throw ReceiptError("its first line \(error)")
        }
        guard kind == "receipt", let format, let store, let at else {
            throw ReceiptError("its first line is that of something else")
        }
        guard format == Receipt.format else {
            throw ReceiptError("it has format \(format), and this version of Amargo knows \(Receipt.format)")
        }
        guard self.line.suffix(9).elementsEqual("\"blobs\":[".utf8) else {
            throw ReceiptError("its first line does not end in a list")
        }
        return (store, at)
    }
}

// MARK: - Writing

extension Receipt {
    /// Where a receipt goes.
    package enum Target: Sendable {
        case file(String)
        case standardOutput
    }

    /// Writes what a store has: only blobs whose files are there, with the right size. Blocks for as long as there are blobs.
    ///
    /// - Returns: how many those are.
    package static func write(of reader: StoreReader, to target: Target, at time: Int64) throws -> Int {
        var present: [Digest] = []
        let blobs = StoredBlobs(reader: reader)
        try reader.catalog.forEachContent { digest, content, _ in
            if try blobs.state(of: digest, size: content.size) == .present { present.append(digest) }
        }
        present.sort()
        let output: any BundleOutput
        switch target {
        case .standardOutput: output = StreamOutput.standardOutput
        case .file(let path): output = try BundleTarget.openFile(path, outside: reader)
        }
        try Self.write(present, store: reader.identity.id, at: time, to: output)
        try output.publish()
        return present.count
    }

    private static func write(_ blobs: [Digest], store: String, at time: Int64, to output: any BundleOutput) throws {
        var bytes = Array(
            "{\"amargo\":\"receipt\",\"format\":\(Self.format),\"store\":\(JSONText.quoted(store)),\"at\":\(time),\"blobs\":[\n"
                .utf8)
        for (index, digest) in blobs.enumerated() {
            if index > 0 { bytes += ",\n".utf8 }
            bytes.append(UInt8(ascii: "\""))
            digest.write(to: &bytes)
            bytes.append(UInt8(ascii: "\""))
            guard bytes.count >= 1 << 20 else { continue }
            try bytes.withUnsafeBytes { try output.write($0) }
            bytes.removeAll(keepingCapacity: true)
        }
        bytes += "]}\n".utf8
        try bytes.withUnsafeBytes { try output.write($0) }
    }
}
