import Glibc
import TestSupport
import Testing

@testable import Archive

struct TarWriterTests {
    /// Keeps what is written.
    private final class Memory: BundleOutput {
        var bytes: [UInt8] = []

        func write(_ bytes: UnsafeRawBufferPointer) throws { self.bytes += bytes }
        func publish() throws {}
    }

    private static func archive(_ members: [(String, [UInt8])]) throws -> [UInt8] {
        let memory = Memory()
        var tar = TarWriter(memory)
        for (name, bytes) in members { try tar.member(name, bytes) }
        try tar.finish()
        return memory.bytes
    }

    private static let long = "blobs/sha512/" + String(repeating: "0123456789abcdef", count: 8)

    @Test("GNU tar lists what was written: names, sizes, mode, no owner, no time")
    func listing() throws {
        let folder = try TemporaryDirectory()
        let members: [(String, [UInt8])] = [
            ("oci-layout", Array("{}".utf8)), ("empty", []), ("a/block", [UInt8](repeating: 7, count: 512)),
            (Self.long, Array("long".utf8)),
        ]
        let path = folder.path("a.tar")
        try Disk.write(try Self.archive(members), to: path)
        let text = String(decoding: try ExportLab.tar("-tvf", path, "--numeric-owner"), as: UTF8.self)
        #expect(
            text == """
                -rw-r--r-- 0/0               2 1970-01-01 00:00 oci-layout
                -rw-r--r-- 0/0               0 1970-01-01 00:00 empty
                -rw-r--r-- 0/0             512 1970-01-01 00:00 a/block
                -rw-r--r-- 0/0               4 1970-01-01 00:00 \(Self.long)

                """)
        for (name, bytes) in members { #expect(try ExportLab.tar("-xOf", path, name) == bytes) }
    }

    @Test("the size that is foretold is the size that comes", arguments: [0, 1, 511, 512, 513, 5000])
    func length(_ count: Int) throws {
        for name in ["x", Self.long] {
            let bytes = try Self.archive([(name, [UInt8](repeating: 1, count: count))])
            #expect(Int64(bytes.count) == TarWriter.length(of: name, size: Int64(count)) + TarWriter.trailer)
        }
    }

    @Test(
        "a size beyond eleven octal digits stands in a PAX header, and one less does not",
        arguments: [((Int64(8) << 30) - 1, 512), (Int64(8) << 30, 512 * 3), ((Int64(1) << 40) + 5, 512 * 3)])
    func large(_ size: Int64, _ headers: Int) throws {
        let folder = try TemporaryDirectory()
        let memory = Memory()
        var tar = TarWriter(memory)
        try tar.begin("blobs/large", size: size)
        #expect(memory.bytes.count == headers)
        let path = folder.path("large.tar")
        try Disk.write(memory.bytes, to: path)
        // A hole stands for the member's bytes and for the end.
        try Disk.setSize(TarWriter.length(of: "blobs/large", size: size) + TarWriter.trailer, of: path)
        let text = String(decoding: try ExportLab.tar("-tvf", path, "--numeric-owner"), as: UTF8.self)
        #expect(text.contains(" \(size) 1970-01-01 00:00 blobs/large\n"), "\(text)")
    }
}
