import Glibc
import OCI
import TestSupport
import Testing

@testable import Archive
@testable import Storage

/// Where a bundle goes, and that nothing is seen of one that is not complete.
struct BundleTargetTests {
    private static let name = "docker.io/library/nginx:alpine"

    private static func withImage(
        layers: [Int] = [5000, 300], _ body: (ExportLab, ExportLab.Image, ExportRequest) async throws -> Void
    ) async throws {
        try await ExportLab.run { lab in
            let image = try ExportLab.image(1, layers: layers)
            try await lab.put(image)
            try lab.tag("alpine", image.manifest)
            try await body(lab, image, try lab.request(Self.name))
        }
    }

    @Test("what people write is understood")
    func targets() throws {
        let folder = try TemporaryDirectory()
        #expect(try BundleTarget("b.tar", partSize: nil) == .archive("b.tar"))
        #expect(try BundleTarget("b", partSize: 1 << 20) == .parts("b", size: 1 << 20))
        #expect(try BundleTarget("b//", partSize: nil) == .folder("b"))
        #expect(try BundleTarget(folder.path, partSize: nil) == .folder(folder.path))
        #expect(try BundleTarget("-", partSize: nil) == .standardOutput)
        for (text, size) in [
            ("", nil), ("-", 1 << 20), ("b/", 1 << 20), ("/", nil), ("./", nil), ("b.tar.gz", nil), ("b.tgz", nil), ("b", 100),
        ] as [(String, Int64?)] {
            #expect(throws: BundleError.self, "\(text)") { try BundleTarget(text, partSize: size) }
        }
    }

    @Test("a folder is made of links to the store's files, and has what the tar has")
    func links() async throws {
        try await Self.withImage { lab, image, request in
            let outcome = try await lab.export(request, to: lab.out("bundle/"))
            #expect(outcome.links == 4 && outcome.obstacle == nil)
            for content in image.all {
                #expect(try Disk.inode("\(lab.out("bundle"))/\(content.member)") == (try Disk.inode(lab.path(content))))
            }
            try await lab.export(request, to: lab.out("bundle.tar"))
            try Disk.makeFolder(lab.out("unpacked"))
            _ = try ExportLab.tar("-xf", lab.out("bundle.tar"), "-C", lab.out("unpacked"))
            let (status, output) = try ShellCommand.run(["diff", "-r", lab.out("bundle"), lab.out("unpacked")])
            #expect(status == 0, "\(String(decoding: output, as: UTF8.self))")
            // An empty folder is as good as none.
            try Disk.makeFolder(lab.out("empty"))
            #expect(try await lab.export(request, to: lab.out("empty")).links == 4)
            var copying = ImageExporter.Options()
            copying.linksFiles = false
            #expect(try await lab.export(request, to: lab.out("copies/"), options: copying).links == 0)
            #expect(try Disk.inode("\(lab.out("copies"))/\(image.config.member)") != (try Disk.inode(lab.path(image.config))))
            #expect(try Disk.names(in: lab.out("")) == ["bundle", "bundle.tar", "copies", "empty", "unpacked"])
        }
    }

    @Test("on another file system a folder is made of copies, which is said once")
    func copies() async throws {
        try await Self.withImage { lab, image, request in
            let other = "/dev/shm/amargo-test-\(UInt64.random(in: .min ... .max))"
            try Disk.makeFolder(other)
            defer { _ = try? ShellCommand.run(["rm", "-r", other]) }
            let devices = (try Disk.status(other).st_dev, try Disk.status(lab.out("")).st_dev)
            try #require(devices.0 != devices.1, "another file system")
            let outcome = try await lab.export(request, to: "\(other)/bundle/")
            #expect(outcome.links == 0)
            #expect(outcome.obstacle?.contains("another file system") == true)
            for content in image.all {
                let path = "\(other)/bundle/\(content.member)"
                #expect(try Disk.read(path) == content.bytes)
                #expect(try Disk.status(path).st_mode & 0o777 == 0o644)
            }
        }
    }

    @Test("a folder that holds something is refused, and so is a missing one around a file")
    func refusals() async throws {
        try await Self.withImage { lab, _, request in
            try await lab.export(request, to: lab.out("bundle/"))
            let before = try Disk.inode("\(lab.out("bundle"))/index.json")
            await #expect(throws: BundleError.self) { try await lab.export(request, to: lab.out("bundle/")) }
            #expect(try Disk.inode("\(lab.out("bundle"))/index.json") == before)
            await #expect(throws: BundleError.self) { try await lab.export(request, to: lab.folder.path) }
            await #expect(throws: BundleError.self) { try await lab.export(request, to: lab.out("no/bundle.tar")) }
            try Disk.write([1], to: lab.out("file"))
            await #expect(throws: BundleError.self) { try await lab.export(request, to: lab.out("file/")) }
            #expect(try Disk.names(in: lab.out("")) == ["bundle", "file"])
        }
    }

    @Test("an older file is replaced by a complete one only, also behind a link", arguments: [false, true])
    func replacing(_ interrupts: Bool) async throws {
        try await Self.withImage { lab, _, request in
            try Disk.write(Array("old".utf8), to: lab.out("real.tar"))
            try Disk.link("real.tar", at: lab.out("bundle.tar"))
            let progress = ExportProgress()
            if interrupts {
                let error = await #expect(throws: BundleError.self) {
                    try await lab.export(request, to: lab.out("bundle.tar"), progress: progress) { _ in progress.interrupt() }
                }
                #expect(error?.code == .interrupted)
                #expect(try Disk.text(lab.out("real.tar")) == "old")
            } else {
                try await lab.export(request, to: lab.out("bundle.tar"))
                #expect(try ExportLab.members(of: lab.out("real.tar")).count == 6)
                #expect(try Disk.status(lab.out("bundle.tar")).st_mode & S_IFMT == S_IFLNK)
            }
            #expect(try Disk.names(in: lab.out("")) == ["bundle.tar", "real.tar"])
        }
    }

    @Test("an interrupted folder or split leaves nothing", arguments: ["bundle/", "bundle.tar"])
    func interrupted(_ output: String) async throws {
        try await Self.withImage { lab, _, request in
            let progress = ExportProgress()
            let error = await #expect(throws: BundleError.self) {
                try await lab.export(
                    request, to: lab.out(output), split: output.hasSuffix("/") ? nil : 1 << 20, progress: progress
                ) { _ in
                    progress.interrupt()
                }
            }
            #expect(error?.code == .interrupted)
            let names = try Disk.names(in: lab.out(""))
            #expect(names.isEmpty)
        }
    }

    @Test("a full device ends in a sentence")
    func full() async throws {
        try await Self.withImage { lab, _, request in
            let error = await #expect(throws: BundleError.self) { try await lab.export(request, to: "/dev/full") }
            #expect(error?.code == .full)
            #expect(error?.message == "there is no room left for /dev/full")
        }
    }

    @Test("a damaged blob does not travel, in whatever form it would be hashed", arguments: ["bundle.tar", "copies/"])
    func damaged(_ output: String) async throws {
        try await Self.withImage(layers: [3_000_000, 300]) { lab, image, request in
            try Disk.setMode(0o644, of: lab.path(image.layers[0]))
            var bytes = image.layers[0].bytes
            bytes[2_999_999] ^= 1
            try Disk.write(bytes, to: lab.path(image.layers[0]))
            var options = ImageExporter.Options()
            options.linksFiles = false
            let error = await #expect(throws: BundleError.self) {
                try await lab.export(request, to: lab.out(output), options: options)
            }
            #expect(error?.code == .damaged)
            #expect(error?.message.contains("\(image.layers[0].digest)") == true)
            #expect(error?.message.contains("amargo verify --repair") == true)
            #expect(try Disk.names(in: lab.out("")).isEmpty)
        }
    }

    @Test("a bundle does not go into the store, by whatever name")
    func intoTheStore() async throws {
        try await Self.withImage { lab, _, request in
            try Disk.link(lab.folder.path("store"), at: lab.out("link"))
            for place in [lab.folder.path("store", "b.tar"), lab.folder.path("store", "blobs", "b"), "\(lab.out("link"))/b.tar"] {
                let error = await #expect(throws: BundleError.self) { try await lab.export(request, to: place + "/") }
                #expect(error?.message.contains("belongs to the store") == true)
                await #expect(throws: BundleError.self) { try await lab.export(request, to: place, split: 1 << 20) }
                await #expect(throws: BundleError.self) { try await lab.export(request, to: place) }
            }
        }
    }

    @Test("what is evicted after the first byte travels all the same")
    func evicted() async throws {
        try await Self.withImage(layers: [3_000_000, 300]) { lab, image, request in
            let paths = image.all.map { lab.path($0) }
            let progress = ExportProgress { _, _ in
                for path in paths { _ = try? Disk.remove(path) }  // all but the first time they are gone
            }
            let outcome = try await lab.export(request, to: lab.out("bundle.tar"), progress: progress)
            #expect(outcome.plan.images.map(\.state) == [.complete])
            for content in image.all {
                #expect(try ExportLab.tar("-xOf", lab.out("bundle.tar"), content.member) == content.bytes)
            }
        }
    }

    @Test(
        "a blob that is taken away meanwhile makes another plan, and never a bundle without it",
        arguments: ["bundle.tar", "bundle/"])
    func vanishing(_ output: String) async throws {
        try await Self.withImage { lab, image, _ in
            let other = try ExportLab.image(2)
            try await lab.put(other)
            try lab.tag("stable", other.manifest)
            let request = try lab.request(Self.name, "docker.io/library/nginx:stable")
            let victim = lab.path(image.layers[0])
            var options = ImageExporter.Options()
            options.openFiles = 0
            // As with more blobs than descriptors, where each is opened when it is its turn.
            let outcome = try await lab.export(request, to: lab.out(output), options: options) { _ in
                if Disk.exists(victim) { try Disk.remove(victim) }
            }
            #expect(outcome.wasWritten && outcome.plan.images.map(\.state) == [.leftOut, .complete])
            #expect(try ExportLab.index(of: lab.out(output)).entries.map(\.name) == ["docker.io/library/nginx:stable"])
            #expect(try Disk.names(in: lab.out("")).count == 1)
        }
    }

    @Test("a split bundle is the tar in parts, with checksums that sha256sum agrees with, and nothing of an older one")
    func split() async throws {
        try await Self.withImage(layers: [2_500_000]) { lab, _, request in
            for number in 4...6 { try Disk.write([1], to: lab.out("b.tar.00\(number)")) }
            let outcome = try await lab.export(request, to: lab.out("b.tar"), split: 1 << 20)
            #expect(outcome.parts == 3)
            #expect(try Disk.names(in: lab.out("")) == ["b.tar.001", "b.tar.002", "b.tar.003", "b.tar.sha256"])
            try await lab.export(request, to: lab.out("whole.tar"))
            let parts = try (1...3).flatMap { try Disk.read(lab.out("b.tar.00\($0)")) }
            #expect(parts == (try Disk.read(lab.out("whole.tar"))))
            #expect(try Disk.status(lab.out("b.tar.001")).st_size == 1 << 20)
            let (status, _) = try ShellCommand.run([
                "sh", "-c", "cd \"$1\" && sha256sum --strict -c b.tar.sha256 > /dev/null", "sh", lab.out(""),
            ])
            #expect(status == 0)
        }
    }

    @Test("what a killed export has left is removed by the next one, and what is at work is not")
    func leftovers() async throws {
        try await Self.withImage { lab, _, request in
            // A minute ago nobody can have been about to lock it: the clock of a file cannot be set, so the age is.
            for name in [".amargo-export-1-old", ".amargo-export-2-busy"] {
                try Disk.makeFolder(lab.out(name))
                try Disk.makeFolder(lab.out("\(name)/blobs"))
                try Disk.write([1], to: lab.out("\(name)/index.json"))
            }
            let busy = open(lab.out(".amargo-export-2-busy"), O_RDONLY)
            defer { close(busy) }
            try #require(flock(busy, LOCK_EX) == 0)
            let folder = try TargetFolder(opening: lab.out(""))
            folder.removeLeftovers()
            #expect(try Disk.names(in: lab.out("")).count == 2, "they are too new")
            folder.removeLeftovers(olderThan: -1)
            #expect(try Disk.names(in: lab.out("")) == [".amargo-export-2-busy"])
            try await lab.export(request, to: lab.out("bundle.tar"))
        }
    }
}
