import Foundation
import OCI
import Storage
import SystemPackage
import TestSupport
import Testing

@testable import Maintenance

/// What `has` says of an image.
struct ImageCompletenessTests {
    private static func look(
        _ lab: StoreLab, _ reference: String = "latest", _ platforms: PlatformSelection = .own, keepsApart: Bool = false,
        in repository: String? = nil
    ) throws -> ImageCompleteness {
        let reader = try StoreReader(opening: FilePath(lab.path("")))
        return ImageCompleteness(
            of: try Reference(parsing: reference),
            in: try repository.map { try QualifiedRepository(parsing: $0) } ?? lab.repository,
            platforms, reading: reader, keepsApart: keepsApart)
    }

    @Test("by tag and by digest, whole")
    func complete() async throws {
        try await StoreLab.run { lab in
            for reference in ["latest", "\(lab.manifest.digest)"] {
                let found = try Self.look(lab, reference)
                #expect(found.state == .complete)
                #expect(found.digest == lab.manifest.digest)
                #expect(found.bytes == Int64(lab.contents.reduce(0) { $0 + $1.bytes.count }))
            }
            #expect(try Self.look(lab, "other").state == .absent)
            #expect(try Self.look(lab, "sha256:\(String(repeating: "a", count: 64))").state == .absent)
            #expect(try Self.look(lab, in: "docker.io/library/redis").state == .absent)
        }
    }

    @Test("what is not on the disk, or is cut short there, is missing, whatever the journal says", arguments: [true, false])
    func missing(_ isGone: Bool) async throws {
        try await StoreLab.run { lab in
            if isGone {
                try FileManager.default.removeItem(atPath: lab.path(lab.layer))
            } else {
                try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: lab.path(lab.layer))
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: lab.path(lab.layer)))
                try file.truncate(atOffset: 10)
                try file.close()
            }
            let found = try Self.look(lab)
            #expect(found.state == .partial)
            #expect(
                found.missing == [
                    .init(digest: lab.layer.digest, size: Int64(lab.layer.bytes.count), role: .layer, platform: nil)
                ])
            try FileManager.default.removeItem(atPath: lab.path(lab.manifest))
            #expect(try Self.look(lab).state == .absent)
        }
    }

    @Test("of an index, only the platforms that are asked for count; one that it does not have is named")
    func platforms() async throws {
        try await StoreLab.run { lab in
            let absent = try Digest(parsing: "sha256:\(String(repeating: "b", count: 64))")
            let edges = [
                Edge(
                    role: .manifest, digest: lab.manifest.digest, size: Int64(lab.manifest.bytes.count), platform: "linux/amd64"),
                Edge(role: .manifest, digest: absent, size: 77, platform: "linux/arm64/v8"),
            ]
            let facts = ManifestFacts(mediaType: .ociIndex, children: edges, subject: nil)
            let index = try StoreLab.Content(Array("an index, as far as the journal is concerned".utf8), facts: facts)
            try await lab.withStore { store in
                try await lab.put(index, into: store)
                store.setTag(try Tag(parsing: "multi"), in: lab.repository, to: index.digest)
            }
            func selection(_ texts: String...) throws -> PlatformSelection {
                PlatformSelection(try texts.map { try #require(Platform(parsing: $0)) })
            }
            let amd64 = try Self.look(lab, "multi", try selection("linux/amd64"))
            #expect(amd64.state == .complete)
            #expect(amd64.platforms == ["linux/amd64"])
            for wanted in [try selection("linux/amd64", "linux/arm64"), .all] {
                let both = try Self.look(lab, "multi", wanted)
                #expect(both.state == .partial)
                #expect(both.platforms == ["linux/amd64"])
                #expect(both.missing == [.init(digest: absent, size: 77, role: .manifest, platform: "linux/arm64/v8")])
            }
            let other = try Self.look(lab, "multi", try selection("linux/s390x"))
            #expect(other.state == .partial)
            #expect(other.unknownPlatforms.map(\.description) == ["linux/s390x"])
        }
    }

    @Test("sizes that nothing has do no harm")
    func overflow() async throws {
        try await StoreLab.run { lab in
            let edges = [lab.config, lab.layer].map { Edge(role: .layer, digest: $0.digest, size: .max, platform: nil) }
            let facts = ManifestFacts(mediaType: .ociManifest, children: edges, subject: nil)
            let liar = try StoreLab.Content(Array("a manifest, as far as the journal is concerned".utf8), facts: facts)
            try await lab.withStore { store in
                try await lab.put(liar, into: store)
                store.setTag(try Tag(parsing: "liar"), in: lab.repository, to: liar.digest)
            }
            #expect(try Self.look(lab, "liar").state == .complete)
        }
    }

    @Test("where repositories are kept apart, another one's content is not here")
    func apart() async throws {
        try await StoreLab.run { lab in
            let other = try QualifiedRepository(parsing: "docker.io/library/other")
            try await lab.withStore { store in
                store.link(lab.manifest.digest, to: other)
                store.setTag(try Tag(parsing: "latest"), in: other, to: lab.manifest.digest)
            }
            #expect(try Self.look(lab, in: "docker.io/library/other").state == .complete)
            let apart = try Self.look(lab, keepsApart: true, in: "docker.io/library/other")
            #expect(apart.state == .partial)
            #expect(apart.missing.map(\.digest) == [lab.config.digest, lab.layer.digest])
        }
    }
}
