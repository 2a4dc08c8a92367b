import Foundation
import Glibc
import OCI
import Testing

/// RELIABILITY.md, "parser blow-up": no document makes its reader do more than the document is long.
///
/// Work is measured as this thread's time on a processor, so that a busy machine changes nothing. What is not linear takes
/// minutes and hours for these sizes; the bound is for the slowest builds, unoptimized and with sanitizers. One at a time, so that
/// a thread of the cooperative pool is always free for tests that wait for answers.
@Suite(.serialized) struct ParserBlowUpTests {
    private static let bound = 30.0
    /// As large as a manifest may be where sizes are those of real life.
    private static let size = ProcessInfo.processInfo.environment["AMARGO_LONG_TESTS"] == "1" ? 4 << 20 : 512 << 10

    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        let start = now()
        try body()
        return now() - start
    }

    /// A document of about that size: one piece again and again between a beginning and an end.
    private static func filled(_ start: String, _ end: String, _ piece: (Int) -> String) -> [UInt8] {
        var bytes = Array(start.utf8)
        var number = 0
        while true {
            let next = piece(number).utf8
            guard bytes.count + next.count + end.utf8.count <= Self.size else { break }
            bytes += next
            number += 1
        }
        return bytes + Array(end.utf8)
    }

    struct Shape: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// Whether it is JSON that is believed.
        let isTaken: Bool
        let document: @Sendable () -> [UInt8]

        init(_ name: String, isTaken: Bool, _ document: @escaping @Sendable () -> [UInt8]) {
            self.testDescription = name
            self.isTaken = isTaken
            self.document = document
        }
    }

    private static let shapes: [Shape] = [
        Shape("one string", isTaken: true) { filled("\"", "\"") { _ in "xxxxxxxx" } },
        Shape("one string without end", isTaken: false) { filled("\"", "") { _ in "xxxxxxxx" } },
        Shape("escapes", isTaken: true) { filled("\"", "\"") { _ in "\\n" } },
        Shape("Unicode escapes", isTaken: true) { filled("\"", "\"") { _ in "\\u0041" } },
        Shape("surrogate pairs", isTaken: true) { filled("\"", "\"") { _ in "\\ud83d\\ude00" } },
        Shape("letters that are not ASCII", isTaken: true) { filled("{\"", "\":1}") { _ in "é" } },
        Shape("letters that decompose", isTaken: true) { filled("{\"", "\":1}") { _ in "\u{1E69}" } },
        Shape("Hangul that composes", isTaken: true) { filled("{\"", "\":1}") { _ in "\u{1161}" } },
        Shape("one number", isTaken: true) { filled("1", "") { _ in "00000000" } },
        Shape("numbers", isTaken: true) { filled("[0", "]") { _ in ",0" } },
        Shape("empty strings", isTaken: true) { filled("[0", "]") { _ in ",\"\"" } },
        Shape("empty objects", isTaken: true) { filled("[0", "]") { _ in ",{}" } },
        Shape("space", isTaken: true) { filled("", "0") { _ in "        " } },
        Shape("short keys", isTaken: true) { filled("{\"\":0", "}") { ",\"\(String($0, radix: 36))\":0" } },
        Shape("long keys", isTaken: true) { filled("{\"\":0", "}") { ",\"\(String(repeating: "k", count: 200))\($0)\":0" } },
        Shape("long keys that are not ASCII", isTaken: true) {
            filled("{\"\":0", "}") { ",\"\(String(repeating: "é", count: 200))\($0)\":0" }
        },
        Shape("equal keys", isTaken: false) { filled("{\"k\":0", "}") { _ in ",\"k\":0" } },
        Shape("an equal key at the end", isTaken: false) { filled("{\"\":0", ",\"0\":0}") { ",\"\(String($0, radix: 36))\":0" } },
        Shape("objects in which the last key is equal", isTaken: true) {
            filled("[0", "]") { _ in ",{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0}" }
        },
        Shape("lists without end", isTaken: false) { filled("", "") { _ in "[" } },
        Shape("objects without end", isTaken: false) { filled("", "") { _ in "{\"a\":" } },
        Shape("levels that are left again", isTaken: true) {
            filled("[0", "]") { _ in "," + String(repeating: "[", count: 60) + String(repeating: "]", count: 60) }
        },
        // Unicode's canonical order is a sort of each run of marks, and texts are compared in that order.
        Shape("marks in a value", isTaken: false) { filled("\"a", "\"") { _ in "\u{301}\u{323}" } },
        Shape("marks in a key", isTaken: false) { filled("{\"a", "\":1}") { _ in "\u{301}\u{323}" } },
        Shape("escaped marks in a key", isTaken: false) { filled("{\"a", "\":1}") { _ in "\\u0301\\u0323" } },
        Shape("runs of thirty marks in keys", isTaken: true) {
            filled("{\"\":0", "}") { ",\"\(String(repeating: "\u{301}\u{323}", count: 15))\($0)\":0" }
        },
    ]

    @Test("a large document of any shape is judged in bounded work", arguments: Self.shapes)
    func work(_ shape: Shape) {
        let document = shape.document()
        #expect(document.count <= Self.size && document.count > Self.size - 1024)
        var isTaken = false
        let seconds = Self.seconds {
            isTaken = (try? document.withUnsafeBytes { bytes in try JSONReader.read(bytes) { try $0.skipValue() } }) != nil
        }
        #expect(isTaken == shape.isTaken)
        #expect(seconds < Self.bound)
    }

    /// The same as a part of a manifest that is right but for it.
    @Test("a large manifest is judged in bounded work, whatever it holds besides", arguments: Self.shapes)
    func manifest(_ shape: Shape) {
        let document =
            Array("{\"schemaVersion\":2,\"manifests\":[],\"x\":".utf8) + shape.document().prefix(Self.size - 64) + [0x7D]
        let seconds = Self.seconds { _ = try? document.withUnsafeBytes { try Manifest(parsing: $0, as: .ociIndex) } }
        #expect(seconds < Self.bound)
    }

    @Test("a key of 256 KiB of marks, which sorting them would take a minute for")
    func marks() {
        let key = "m" + String(repeating: "\u{301}\u{323}", count: 64 << 10)
        let document = Array("{\"schemaVersion\":2,\"manifests\":[],\"\(key)\":1}".utf8)
        let seconds = Self.seconds { _ = try? document.withUnsafeBytes { try Manifest(parsing: $0, as: .ociIndex) } }
        #expect(seconds < 5)
    }

    @Test("a hundred thousand layers are more than a manifest may have bytes; as many as fit are read")
    func layers() throws {
        let layer = "{\"digest\":\"sha256:\(String(repeating: "a", count: 64))\",\"size\":1}"
        func document(_ count: Int) -> [UInt8] {
            let config = "{\"schemaVersion\":2,\"config\":\(layer),\"layers\":["
            return Array((config + Array(repeating: layer, count: count).joined(separator: ",") + "]}").utf8)
        }
        let error = #expect(throws: ManifestError.self) {
            try document(100_000).withUnsafeBytes { try Manifest(parsing: $0, as: .ociManifest) }
        }
        #expect(error?.description == "is larger than 4 MiB")
        let fitting = document(Self.size / 110)
        var children = 0
        let seconds = try Self.seconds {
            children = try fitting.withUnsafeBytes { try Manifest(parsing: $0, as: .ociManifest) }.children.count
        }
        #expect(children == Self.size / 110 + 1)
        #expect(seconds < Self.bound)
        // Not a descriptor among them: refused at the first.
        let hollow = Self.filled("{\"schemaVersion\":2,\"layers\":[{}", "]}") { _ in ",{}" }
        #expect(throws: ManifestError.self) { try hollow.withUnsafeBytes { try Manifest(parsing: $0, as: .ociManifest) } }
    }
}
