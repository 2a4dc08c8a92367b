import Archive
import Glibc
import OCI
import Storage
import TestSupport
import Testing

/// What must not get in: each is refused with a sentence, before anything is written.
@Suite("Hostile archives")
struct HostileArchiveTests {
    @Test("each is refused with a sentence that says why, and nothing new is anywhere")
    func refused() async throws {
        let archives = HostileArchives.all
        #expect(archives.count >= 60)
        #expect(Set(archives.map(\.name)).count == archives.count)
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                try Disk.write([], to: lab.folder.path("bundle"))
                let before = try lab.files()
                for archive in archives {
                    let outcome = try await lab.bring(archive.bytes(), to: store)
                    let problem = outcome.problems.first ?? outcome.lines.joined(separator: ", ")
                    #expect(outcome.tally.exitCode == 2, "\(archive.name): \(problem)")
                    #expect(outcome.problems.count == 1, "\(archive.name): \(outcome.problems)")
                    #expect(problem.contains(archive.because), "\(archive.name): \(problem)")
                    #expect(problem.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(archive.name): \(problem)")
                    #expect(store.catalog.total.blobs == 0, "\(archive.name)")
                    #expect(try lab.files() == before, "\(archive.name)")
                }
                #expect(store.catalog.allRepositories.isEmpty)
                // The store takes what is right all the same.
                let good = try await lab.bring(LayoutText.simple().archive, to: store)
                #expect(good.lines == ["docker.io/library/app:1 imported"])
            }
        }
    }

    @Test(
        "a folder's links, FIFOs and devices are neither followed nor waited for",
        arguments: ["oci-layout", "index.json", "blob", "blobs"])
    func folders(_ place: String) async throws {
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                var layout = LayoutText()
                let image = layout.addImage(seed: 3)
                layout.name(image.manifest, "docker.io/library/app", "1")
                for kind in ["link", "fifo", "folder"] where !(place == "blobs" && kind == "folder") {
                    let path = lab.folder.path("layout-\(kind)")
                    try layout.write(toFolder: path)
                    let victim = place == "blob" ? "\(path)/blobs/sha256/\(image.layers[1].dropFirst(7))" : "\(path)/\(place)"
                    let aside = lab.folder.path("aside-\(kind)")
                    #expect(rename(victim, aside) == 0)
                    switch kind {
                    case "link": #expect(symlink(aside, victim) == 0)
                    case "fifo": #expect(mkfifo(victim, 0o600) == 0)
                    default: try Disk.makeFolder(victim)
                    }
                    let outcome = try await lab.bring([path], to: store)
                    let problem = outcome.problems.first ?? ""
                    #expect(outcome.tally.exitCode == 2, "\(kind)")
                    #expect(problem.contains("regular file"), "\(kind): \(problem)")
                    #expect(store.catalog.total.blobs == 0)
                }
            }
        }
    }

    @Test("what is no bundle at all says so", arguments: ["/dev/null", "/dev/zero", "/nothing/there"])
    func noBundle(_ path: String) async throws {
        try await ImportLab.run { lab in
            try await lab.withStore { store in
                let outcome = try await lab.bring([path], to: store)
                #expect(outcome.tally.exitCode == 2)
                #expect(outcome.problems.first?.hasPrefix(path) == true)
            }
        }
    }
}
