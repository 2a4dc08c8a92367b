import OCI
import TestSupport
import Testing

@testable import Archive
@testable import Storage

/// What goes into a bundle.
struct ImageExportTests {
    private static let name = "docker.io/library/nginx:alpine"

    @Test("a bundle has the members of its images in their order, and two exports are the same bytes")
    func archive() async throws {
        try await ExportLab.run { lab in
            let image = try ExportLab.image(1)
            let other = try ExportLab.image(2, layers: [0, 70_000])
            try await lab.put(image)
            try await lab.put(other)
            try lab.tag("alpine", image.manifest)
            try lab.tag("stable", other.manifest)
            try lab.tag("latest", other.manifest)
            let request = try lab.request(Self.name, "docker.io/library/nginx:stable", "docker.io/library/nginx:latest")
            let outcome = try await lab.export(request, to: lab.out("a.tar"))
            #expect(outcome.plan.images.map(\.state) == [.complete, .complete, .complete])
            #expect(outcome.plan.images[0].platforms == ["linux/amd64"] && outcome.plan.images[0].layers == 2)
            let contents = image.all + other.all
            #expect(
                try ExportLab.members(of: lab.out("a.tar")) == ["oci-layout", "index.json"] + contents.map(\.member).sorted())
            #expect(try Disk.status(lab.out("a.tar")).st_size == outcome.bytes)
            for content in contents { #expect(try ExportLab.tar("-xOf", lab.out("a.tar"), content.member) == content.bytes) }
            #expect(try ExportLab.tar("-xOf", lab.out("a.tar"), "oci-layout") == Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8))
            let index = try ExportLab.index(of: lab.out("a.tar"))
            #expect(index.entries.map(\.name) == [Self.name, "docker.io/library/nginx:latest", "docker.io/library/nginx:stable"])
            #expect(index.entries[0].at == lab.store.catalog.tag(try Tag(parsing: "alpine"), in: lab.nginx)?.fetchedAt)
            #expect(index.entries.allSatisfy { $0.platforms == nil } && index.delta == nil)

            // In another order, once more, and by everything: the same.
            let backwards = try lab.request(
                "docker.io/library/nginx:latest", "docker.io/library/nginx:stable", Self.name, Self.name)
            try await lab.export(backwards, to: lab.out("b.tar"))
            try await lab.export(ExportRequest(.all), to: lab.out("c.tar"))
            let bytes = try Disk.read(lab.out("a.tar"))
            #expect(try Disk.read(lab.out("b.tar")) == bytes)
            #expect(try Disk.read(lab.out("c.tar")) == bytes)
        }
    }

    /// An index for two platforms, each with an attestation.
    private struct Multi {
        let amd: ExportLab.Image
        let arm: ExportLab.Image
        let proofs: [ExportLab.Image]
        let index: ExportLab.Content

        init() throws {
            self.amd = try ExportLab.image(10)
            self.arm = try ExportLab.image(11, platform: "linux/arm64")
            self.proofs = [
                try ExportLab.image(12, platform: "unknown/unknown"), try ExportLab.image(13, platform: "unknown/unknown"),
            ]
            self.index = try ExportLab.index([
                (self.amd.manifest, ExportLab.platform("linux", "amd64")),
                (self.arm.manifest, ExportLab.platform("linux", "arm64")),
                (self.proofs[0].manifest, ExportLab.attestation(of: self.amd.manifest)),
                (self.proofs[1].manifest, ExportLab.attestation(of: self.arm.manifest)),
            ])
        }
    }

    @Test("an index goes whole, or with the chosen platforms and what is about them; its bytes stay")
    func platforms() async throws {
        try await ExportLab.run { lab in
            let multi = try Multi()
            for image in [multi.amd, multi.arm] + multi.proofs { try await lab.put(image) }
            try await lab.put(multi.index)
            try lab.tag("alpine", multi.index)
            let whole = try await lab.export(try lab.request(Self.name), to: lab.out("whole.tar"))
            #expect(whole.plan.images[0].platforms == ["linux/amd64", "linux/arm64"])
            #expect(whole.plan.images[0].gaps.isEmpty)
            #expect(try ExportLab.members(of: lab.out("whole.tar")).count == 2 + 1 + 4 * 4)
            #expect(try ExportLab.index(of: lab.out("whole.tar")).entries[0].platforms == nil)

            var request = try lab.request(Self.name)
            request.platforms = [try #require(PlatformChoice(parsing: "linux/arm64/v8"))]
            let part = try await lab.export(request, to: lab.out("part.tar"))
            #expect(part.plan.images[0].state == .complete, "what was not chosen is no gap")
            let expected = [multi.index] + multi.arm.all + multi.proofs[1].all
            #expect(try ExportLab.members(of: lab.out("part.tar")).dropFirst(2) == expected.map(\.member).sorted()[...])
            #expect(try ExportLab.tar("-xOf", lab.out("part.tar"), multi.index.member) == multi.index.bytes)
            #expect(
                try ExportLab.index(of: lab.out("part.tar")).entries[0].platforms == [
                    Platform(os: "linux", architecture: "arm64")
                ])

            request.platforms = [try #require(PlatformChoice(parsing: "linux/s390x"))]
            let none = try await lab.export(request, to: lab.out("none.tar"))
            #expect(!none.wasWritten && none.plan.images[0].state == .leftOut)
            #expect(none.plan.images[0].gaps[0].description.contains("linux/s390x the image has none for it"))
        }
    }

    @Test("what is missing is said, with the way to get it; an index with one complete platform goes")
    func gaps() async throws {
        try await ExportLab.run { lab in
            let multi = try Multi()
            try await lab.put(multi.amd)
            try await lab.put(multi.arm, without: [multi.arm.layers[1]])
            try await lab.put(multi.index)
            try lab.tag("alpine", multi.index)
            let outcome = try await lab.export(try lab.request(Self.name, "docker.io/library/nginx:none"), to: lab.out("a.tar"))
            let image = outcome.plan.images[0]
            #expect(image.state == .partial && image.platforms == ["linux/amd64"])
            #expect(
                image.gaps.map(\.description) == [
                    "linux/arm64: 1 of its 3 blobs is not stored; amargo warm --platform linux/arm64 \(Self.name)",
                    "attestation of linux/amd64: not stored; amargo warm --with-referrers \(Self.name)",
                ])
            #expect(outcome.plan.images[1].state == .leftOut)
            #expect(
                outcome.plan.images[1].gaps.map(\.description) == [
                    "the image: not stored; amargo warm docker.io/library/nginx:none"
                ])
            let members = try ExportLab.members(of: lab.out("a.tar"))
            #expect(members.dropFirst(2) == ([multi.index] + multi.amd.all).map(\.member).sorted()[...])
            #expect(
                try ExportLab.index(of: lab.out("a.tar")).entries[0].platforms == [Platform(os: "linux", architecture: "amd64")])

            var strict = ImageExporter.Options()
            strict.isStrict = true
            let refused = try await lab.export(try lab.request(Self.name), to: lab.out("strict.tar"), options: strict)
            #expect(!refused.wasWritten && refused.plan.hasGaps)
            #expect(try Disk.names(in: lab.out("")) == ["a.tar"])
        }
    }

    @Test("an image is left out when it is for another platform, or when a blob of it is missing")
    func single() async throws {
        try await ExportLab.run { lab in
            let arm = try ExportLab.image(1, platform: "linux/arm64")
            let holed = try ExportLab.image(2)
            try await lab.put(arm)
            try await lab.put(holed, without: [holed.config])
            try lab.tag("arm", arm.manifest)
            try lab.tag("holed", holed.manifest)
            var request = try lab.request("docker.io/library/nginx:arm", "docker.io/library/nginx:holed")
            request.platforms = [try #require(PlatformChoice(parsing: "linux/amd64"))]
            let outcome = try await lab.export(request, to: lab.out("a.tar"))
            #expect(!outcome.wasWritten)
            #expect(
                outcome.plan.images.flatMap(\.gaps).map(\.reason) == [
                    "it is for linux/arm64 alone", "1 of its 3 blobs is not stored",
                ])
        }
    }

    @Test("signatures, referrers and what refers to them come along, each under its name or none")
    func referrers() async throws {
        try await ExportLab.run { lab in
            let image = try ExportLab.image(1)
            let signature = try ExportLab.image(2, layers: [50])
            let sbom = try ExportLab.image(3, layers: [60], subject: image.manifest)
            let sbomSignature = try ExportLab.image(4, layers: [70], subject: sbom.manifest)
            let stranger = try ExportLab.image(5, layers: [80], subject: signature.manifest)
            let holed = try ExportLab.image(6, layers: [90], subject: image.manifest)
            for one in [image, signature, sbom, sbomSignature] { try await lab.put(one) }
            try await lab.put(holed, without: holed.layers)
            // Of another repository: not what was asked for.
            let other = try QualifiedRepository(parsing: "docker.io/library/other")
            try await lab.put(stranger, in: other)
            try lab.tag("alpine", image.manifest)
            let signatureTag = "sha256-\(image.manifest.digest.hex).sig"
            try lab.tag(signatureTag, signature.manifest)
            let outcome = try await lab.export(try lab.request(Self.name), to: lab.out("a.tar"))
            #expect(outcome.plan.images.count == 1)
            #expect(outcome.plan.images[0].referrers == 3)
            #expect(outcome.plan.images[0].gaps.map(\.subject) == ["referrer \(holed.manifest.digest)"])
            let entries = try ExportLab.index(of: lab.out("a.tar")).entries
            #expect(
                Set(entries.map { "\($0.descriptor.digest) \($0.tag?.description ?? "-")" }) == [
                    "\(image.manifest.digest) alpine", "\(signature.manifest.digest) \(signatureTag)",
                    "\(sbom.manifest.digest) -",
                    "\(sbomSignature.manifest.digest) -",
                ])
            #expect(entries.allSatisfy { $0.repository == lab.nginx })
            let expected = image.all + signature.all + sbom.all + sbomSignature.all
            #expect(try ExportLab.members(of: lab.out("a.tar")).dropFirst(2) == expected.map(\.member).sorted()[...])
            // Everything: the other repository's manifest too, and nothing twice.
            let all = try await lab.export(ExportRequest(.all), to: lab.out("all.tar"))
            #expect(all.plan.images.map(\.name) == [Self.name, "docker.io/library/other@\(stranger.manifest.digest)"])
        }
    }

    @Test("an image named by its digest has no name in the bundle; sha512 and Docker's types go as they are")
    func digests() async throws {
        try await ExportLab.run { lab in
            let docker = try ExportLab.image(1, flavour: .docker)
            let layer = try ExportLab.Content(Array("abc".utf8), nil, .sha512)
            let config = try ExportLab.Content(Array("{\"architecture\":\"amd64\",\"os\":\"linux\"}".utf8))
            let text =
                "{\"schemaVersion\":2,\"config\":{\(config.descriptor("application/vnd.oci.image.config.v1+json"))},"
                + "\"layers\":[{\(layer.descriptor("application/vnd.oci.image.layer.v1.tar"))}]}"
            let long = try ExportLab.Content(Array(text.utf8), .ociManifest, .sha512)
            try await lab.put(docker)
            for content in [layer, config, long] { try await lab.put(content) }
            let names = ["docker.io/library/nginx@\(docker.manifest.digest)", "docker.io/library/nginx@\(long.digest)"]
            let outcome = try await lab.export(try lab.request(names[0], names[1]), to: lab.out("a.tar"))
            #expect(outcome.plan.images.map(\.isDocker) == [true, false])
            let entries = try ExportLab.index(of: lab.out("a.tar")).entries
            #expect(entries.map(\.tag) == [nil, nil])
            #expect(entries.map(\.descriptor.mediaType) == [.dockerManifest, .ociManifest])
            #expect(try ExportLab.tar("-xOf", lab.out("a.tar"), long.member) == long.bytes)
            #expect(try ExportLab.members(of: lab.out("a.tar")).suffix(2) == [layer.member, long.member].sorted()[...])
        }
    }

    @Test("a manifest that two readers could understand differently does not travel")
    func ambiguous() async throws {
        try await ExportLab.run { lab in
            let image = try ExportLab.image(1)
            try await lab.put(image)
            let text = String(decoding: image.manifest.bytes, as: UTF8.self)
            let twice = try ExportLab.Content(Array(("{\"schemaVersion\":2," + text.dropFirst()).utf8))
            let facts = try image.manifest.bytes.withUnsafeBytes { bytes in
                ManifestFacts(try Manifest(parsing: bytes, as: .ociManifest))
            }
            try await lab.put(twice, facts: facts)
            try lab.tag("alpine", twice)
            let outcome = try await lab.export(try lab.request(Self.name), to: lab.out("a.tar"))
            #expect(!outcome.wasWritten)
            #expect(outcome.plan.images[0].gaps[0].reason.contains("twice"))
        }
    }

    @Test("an index that says another size of a manifest goes without it")
    func wrongSize() async throws {
        try await ExportLab.run { lab in
            let (amd, arm) = (try ExportLab.image(1), try ExportLab.image(2, platform: "linux/arm64"))
            let right = try ExportLab.index([
                (amd.manifest, ExportLab.platform("linux", "amd64")), (arm.manifest, ExportLab.platform("linux", "arm64")),
            ])
            let size = "\"\(arm.manifest.digest)\",\"size\":"
            let text = String(decoding: right.bytes, as: UTF8.self).replacing(
                "\(size)\(arm.manifest.bytes.count)", with: "\(size)7")
            let wrong = try ExportLab.Content(Array(text.utf8), .ociIndex)
            try #require(wrong.digest != right.digest)
            try await lab.put(amd)
            try await lab.put(arm)
            try await lab.put(wrong)
            try lab.tag("alpine", wrong)
            let outcome = try await lab.export(try lab.request(Self.name), to: lab.out("a.tar"))
            #expect(outcome.plan.images[0].platforms == ["linux/amd64"])
            #expect(outcome.plan.images[0].gaps.map(\.subject) == ["linux/arm64"])
            #expect(try ExportLab.members(of: lab.out("a.tar")).count == 2 + 1 + 4)
        }
    }

    @Test("a delta has what the receipt does not list, and needs nothing here that the other side has")
    func delta() async throws {
        try await ExportLab.run { lab in
            let old = try ExportLab.image(1)
            try await lab.put(old)
            try lab.tag("alpine", old.manifest)
            try await lab.store.journal.append([])
            _ = try await onThread {
                try Receipt.write(of: try StoreReader(folder: lab.folder.path("store")), to: .file(lab.out("receipt")), at: 9)
            }
            // The new version shares a layer with the old one, which is gone from here meanwhile.
            let shared = old.layers[0]
            let fresh = try ExportLab.image(2)
            let list = [shared, fresh.layers[0]].map {
                Fixtures.Descriptor(mediaType: ManifestFlavour.oci.layerType, digest: "\($0.digest)", size: $0.bytes.count)
            }
            let manifest = try ExportLab.Content(
                Fixtures.imageManifest(
                    config: .init(
                        mediaType: ManifestFlavour.oci.configType, digest: "\(fresh.config.digest)",
                        size: fresh.config.bytes.count),
                    layers: list), .ociManifest)
            for content in [fresh.layers[0], fresh.config, manifest] { try await lab.put(content) }
            try lab.tag("alpine", manifest)
            lab.store.forget(shared.digest)
            var request = try lab.request(Self.name)
            request.receipt = try Receipt(reading: lab.out("receipt"))
            let outcome = try await lab.export(request, to: lab.out("delta.tar"))
            #expect(outcome.plan.images[0].state == .complete)
            #expect(outcome.plan.sparedBlobs == 1 && outcome.plan.sparedBytes == 5000)
            let expected = [fresh.layers[0], fresh.config, manifest].map(\.member).sorted()
            #expect(try ExportLab.members(of: lab.out("delta.tar")).dropFirst(2) == expected[...])
            #expect(try ExportLab.index(of: lab.out("delta.tar")).delta == sha256Hex(try Disk.read(lab.out("receipt"))))
            let alone = try await lab.export(try lab.request(Self.name), to: lab.out("alone.tar"))
            #expect(!alone.wasWritten)
        }
    }
}
