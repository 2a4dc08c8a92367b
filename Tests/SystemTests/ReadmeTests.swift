import Foundation
import Testing

extension SystemTests {
    /// The README's stories, told by the real programs. With `AMARGO_PICTURES=docs/pictures` its pictures are made of what they print.
    @Suite("Readme", SystemTests.needsRoot)
    struct ReadmeTests {
        private static func amargo(_ arguments: [String], _ process: AmargoProcess) async throws -> String {
            var command = Command(try AmargoProcess.binary(), arguments + ["--config", process.configuration.path])
            command.environment = ["LC_ALL": "C.UTF-8", "COLUMNS": "100"]
            return try await command.run().text
        }

        /// A registry with images as people have them, smaller.
        private static func registry(_ format: FixtureImages.Format, in lab: Lab) async throws -> DockerRegistry {
            let upstream = try await lab.registry()
            for (name, tag, layers, size) in [
                ("library/nginx", "alpine", 3, 900_000), ("library/redis", "7", 2, 700_000),
                ("library/postgres", "16", 4, 1_200_000),
                ("library/postgres", "15", 4, 1_200_000),
            ] {
                // Random layers of one size are the same in all images, as a base image's are.
                let image = try await lab.images.image(
                    printing: "\(name):\(tag)", as: format, randomLayers: layers, layerSize: size)
                try await upstream.push(image, as: name, tag: tag)
            }
            return upstream
        }

        /// Without the steps that a terminal shows in place.
        private static func short(_ pull: String) -> String {
            let steps = ["Pulling fs layer", "Waiting", "Verifying Checksum", "Download complete"]
            return pull.split(separator: "\n").filter { line in !steps.contains { line.hasSuffix($0) } }.joined(separator: "\n")
        }

        @Test("mirror: the second pull comes from the store, also when the registry is down")
        func mirror() async throws {
            try await Lab.run { lab in
                let upstream = try await Self.registry(.docker, in: lab)
                let amargo = try await lab.amargo(upstream: upstream.url)
                let docker = try await lab.engine(mirror: amargo)
                var picture = TerminalPicture(replacing: [("127.0.0.1:\(amargo.settings.port)", "127.0.0.1:3000")])
                let first = try await docker.docker("pull", "nginx:alpine").text
                picture.comment("the first pull comes from Docker Hub, by way of Amargo")
                picture.add("docker pull nginx:alpine", Self.short(first))
                try await docker.removeImages()
                await upstream.stop()
                let second = try await docker.docker("pull", "nginx:alpine").text
                picture.comment("again, with Docker Hub down")
                picture.add("docker pull nginx:alpine", Self.short(second))
                #expect(second.contains("Status: Downloaded newer image for nginx:alpine"), "\(second)")
                let digest = try #require(second.split(separator: "\n").first { $0.hasPrefix("Digest: ") })
                #expect(first.contains(digest))
                let stats = try await Self.amargo(["stats", "--top", "3"], amargo)
                #expect(stats.contains("docker.io/library/nginx"), "\(stats)")
                picture.comment("what it was good for")
                picture.add("amargo stats", stats)
                try picture.save("mirror")
            }
        }

        @Test("air gap: warm, export, verify; import, and it is all there")
        func airGap() async throws {
            try await Lab.run { lab in
                let upstream = try await Self.registry(.oci, in: lab)
                let near = try AmargoProcess(try lab.settings(upstream: upstream.url), in: try lab.newFolder("near"))
                var settings = try lab.settings(upstream: upstream.url)
                settings.store = lab.folder.appendingPathComponent("far-store")
                let far = try AmargoProcess(settings, in: try lab.newFolder("far"))
                let bundle = lab.folder.appendingPathComponent("bundle.tar").path
                var picture = TerminalPicture(replacing: [(bundle, "bundle.tar")])
                picture.comment("here")
                picture.add(
                    "amargo warm nginx:alpine postgres:16", try await Self.amargo(["warm", "nginx:alpine", "postgres:16"], near))
                picture.add(
                    "amargo export nginx:alpine postgres:16 -o bundle.tar",
                    try await Self.amargo(["export", "nginx:alpine", "postgres:16", "-o", bundle], near))
                picture.add("amargo verify bundle.tar", try await Self.amargo(["verify", bundle], near))
                await upstream.stop()
                picture.comment("there, where nothing else is")
                picture.add("amargo import bundle.tar", try await Self.amargo(["import", bundle], far))
                let there = try await Self.amargo(["has", "nginx:alpine", "postgres:16"], far)
                picture.add("amargo has nginx:alpine postgres:16", there)
                #expect(there.split(separator: "\n").count(where: { $0.contains("complete") }) == 2, "\(there)")
                try picture.save("air-gap")
            }
        }

        @Test("administrator: what fills the disk, what an image's removal gives back, and what it was good for")
        func administrator() async throws {
            try await Lab.run { lab in
                let upstream = try await Self.registry(.oci, in: lab)
                let amargo = try await lab.amargo(upstream: upstream.url)
                _ = try await Self.amargo(["warm", "nginx:alpine", "redis:7", "postgres:16", "postgres:15"], amargo)
                _ = try await Self.amargo(["pin", "nginx:alpine"], amargo)
                let skopeo = try await ImageClient(.skopeo, amargo: amargo, in: lab)
                for _ in 0..<3 {
                    #expect(try await skopeo.pull("docker.io/library/postgres:16").succeeded)
                    try await skopeo.removeImages()
                }
                var picture = TerminalPicture()
                let tree = try await Self.amargo(["du", "--tree"], amargo)
                picture.add("amargo du --tree", tree)
                #expect(tree.contains("library/postgres") && tree.contains("█"), "\(tree)")
                let without = try await Self.amargo(["du", "--without", "postgres:15"], amargo)
                picture.comment("two images with the same base: what would the removal of one give back?")
                picture.add("amargo du --without postgres:15", without)
                let dry = try await Self.amargo(["rm", "postgres:15", "--dry-run"], amargo)
                picture.add("amargo rm --dry-run postgres:15", dry)
                // Two commands, one truth: the number of bytes that both name.
                let freed = try #require(dry.firstMatch(of: /[0-9.]+ (kB|MB)/)?.0)
                #expect(without.contains(freed), "\(without)\n\(dry)")
                try picture.save("disk")
            }
        }
    }
}
