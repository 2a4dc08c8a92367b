import Glibc
import OCI
import Storage
import TestSupport
import Testing

@testable import Maintenance

/// Our numbers beside those of coreutils' `du`.
struct BlobScanTests {
    /// Bytes of the disk of all files below `blobs/`, each inode once.
    private static func blobFiles(_ lab: StoreLab) throws -> Int64 {
        try Self.number("find '\(lab.path("blobs"))' -type f -print0 | du --block-size=1 --files0-from=- -c | tail -n 1")
    }

    private static func number(_ command: String) throws -> Int64 {
        let (status, output) = try ShellCommand.run(["sh", "-c", command])
        let text = String(decoding: output, as: UTF8.self)
        return try #require(status == 0 ? Int64(text.prefix { $0 != "\t" }) : nil, "\(command): \(text)")
    }

    private static func usage(_ lab: StoreLab) throws -> (DiskUsage, BlobScan, StoreSpace) {
        let reader = try StoreReader(folder: lab.path("."))
        let scan = try BlobScan(reader.root)
        let usage = DiskUsage(reader.catalog, measured: scan)
        return (usage, scan, StoreSpace(try FolderScan(reader.root), scan, usage, in: reader.root))
    }

    @Test("the total is what du says of the blobs, and with the rest what it says of the whole store")
    func agrees() async throws {
        try await StoreLab.run { lab in
            try await lab.withStore { store in
                let other = try QualifiedRepository(parsing: "ghcr.io/org/app")
                for content in lab.contents { store.link(content.digest, to: other) }
                store.setTag(try Tag(parsing: "v1"), in: other, to: lab.manifest.digest)
                for size in [0, 1, 4_095, 4_096, 4_097, 70_000] {
                    let bytes = Fixtures.pseudoRandomBytes(count: size, seed: UInt64(size) + 1)
                    try await lab.put(try StoreLab.Content(bytes), into: store)
                }
            }
            let (usage, scan, space) = try await onThread { try Self.usage(lab) }
            #expect(scan.count == 9)
            #expect(usage.allocated == (try Self.blobFiles(lab)))
            #expect(usage.images.count == 2)
            #expect(usage.figures.unique == DiskSpace.allocated(1_300_001) + 2 * 4096)
            #expect(space.copies == 0)
            #expect(space.unknown == 0)
            #expect(usage.missing == 0)
            // Links in layouts are the same files.
            #expect(usage.allocated + space.bytes == (try Self.number("du -s --block-size=1 '\(lab.path("."))'")))
        }
    }

    @Test("holes, strangers, missing blobs, copies instead of links and other people's files are counted as du counts them")
    func odd() async throws {
        try await StoreLab.run { lab in
            try await lab.withStore { store in
                try await lab.put(try StoreLab.Content(Fixtures.pseudoRandomBytes(count: 50_000, seed: 3)), into: store)
            }
            // A stranger beside the blobs and one that a start would take in; a blob that has gone; a hole.
            try Disk.write([1, 2, 3], to: lab.path("blobs/sha256/00/notes"))
            let unknown = try StoreLab.Content(Array("unknown".utf8))
            try Disk.write(unknown.bytes, to: lab.path(unknown))
            try Disk.remove(lab.path(lab.config))
            try Disk.setMode(0o644, of: lab.path(lab.layer))
            try Disk.setSize(0, of: lab.path(lab.layer))
            try Disk.setSize(1_300_001, of: lab.path(lab.layer))
            // A copy that did not keep its link, a partial, something damaged, and a folder of somebody's.
            let copy = lab.path("\(StoreLab.layout)/blobs/sha256/\(lab.manifest.digest.hex)")
            try Disk.remove(copy)
            try Disk.write(lab.manifest.bytes, to: copy)
            try Disk.write([UInt8](repeating: 7, count: 9_000), to: lab.path("spool/sha256-\(lab.layer.digest.hex).1"))
            try Disk.write([UInt8](repeating: 7, count: 5_000), to: lab.path("quarantine/sha256-\(lab.layer.digest.hex)"))
            try Disk.makeFolder(lab.path("mine"))
            try Disk.write([UInt8](repeating: 7, count: 5_000), to: lab.path("mine/backup"))
            let (usage, _, space) = try await onThread { try Self.usage(lab) }
            #expect(usage.missing == 1)
            #expect(space.unknown == 2 * 4096)
            // The manifest's copy, and the config's link, whose file has no other name now.
            #expect(space.copies == 2 * 4096)
            #expect(usage.allocated + space.unknown == (try Self.blobFiles(lab)))
            #expect(usage.allocated + space.bytes == (try Self.number("du -s --block-size=1 '\(lab.path("."))'")))
            #expect(usage.figures.attributed + usage.orphans.allocated == usage.allocated)
            // The layer is a hole: its image has the manifest alone.
            #expect(usage.images.map(\.figures.unique) == [4096])
        }
    }

    @Test("without a look at the disk the same comes out, in full blocks")
    func estimate() async throws {
        try await StoreLab.run { lab in
            let reader = try await onThread { try StoreReader(folder: lab.path(".")) }
            let scan = try await onThread { try BlobScan(reader.root) }
            let measured = DiskUsage(reader.catalog, measured: scan)
            let estimated = DiskUsage(reader.catalog)
            #expect(measured.figures == estimated.figures)
            #expect(measured.allocated == (try Self.blobFiles(lab)))
        }
    }
}
