import Foundation
import Testing

extension SystemTests {
    /// `docker pull` on a host whose daemon names Amargo as its registry mirror.
    @Suite("Mirror for dockerd", SystemTests.needsRoot)
    struct MirrorTests {
        private static let line = "served by amargo"

        @Test(
            "a pull is served through Amargo, and from Amargo alone when the upstream is gone",
            arguments: [FixtureImages.Format.docker, .oci])
        func pull(_ format: FixtureImages.Format) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: format)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let engine = try await lab.engine(mirror: amargo)

                try await engine.docker("pull", "nginx:alpine")
                try await Self.expectToRun("nginx:alpine", on: engine)
                let digest = try #require(await upstream.digest(of: "alpine", in: "library/nginx"))
                #expect(digest == image.root.digest)
                #expect(try await Self.repositoryDigest("nginx:alpine", on: engine) == "nginx@\(digest)")

                await upstream.stop()
                try await Self.expectToPullAgain("nginx:alpine", on: engine)
                try await Self.expectToPullAgain("nginx@\(digest)", on: engine)

                // Were there another way to the image, all of the above would prove nothing.
                #expect(await amargo.terminate() == .code(0))
                try await engine.removeImages()
                #expect(try await !engine.outcome("pull", "nginx:alpine").succeeded)
            }
        }

        @Test(
            "an index is served for both of its platforms, before and after the upstream is gone",
            arguments: [FixtureImages.Format.docker, .oci])
        func index(_ format: FixtureImages.Format) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.index(printing: Self.line, as: format)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let engine = try await lab.engine(mirror: amargo)
                let platforms = FixtureImages.platforms

                try await Self.expectToPull(platforms.other, on: engine)
                try await engine.removeImages()
                try await Self.expectToPull(platforms.own, on: engine)
                try await Self.expectToRun("nginx:alpine", on: engine)
                let digest = try #require(await upstream.digest(of: "alpine", in: "library/nginx"))
                #expect(digest == image.root.digest)
                #expect(try await Self.repositoryDigest("nginx:alpine", on: engine) == "nginx@\(digest)")

                await upstream.stop()
                try await engine.removeImages()
                try await Self.expectToPull(platforms.other, on: engine)
                try await Self.expectToPullAgain("nginx:alpine", on: engine)
                try await Self.expectToPullAgain("nginx@\(digest)", on: engine)
            }
        }

        @Test("a layer of 64 MiB arrives whole, cold and from the store")
        func largeLayer() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(
                    printing: Self.line, as: .oci, randomLayers: 1, layerSize: 64 << 20)
                try await upstream.push(image, as: "library/nginx", tag: "large")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let engine = try await lab.engine(mirror: amargo)

                try await engine.docker("pull", "nginx:large")
                try await Self.expectToRun("nginx:large", on: engine)
                await upstream.stop()
                try await Self.expectToPullAgain("nginx:large", on: engine)
                try await Self.expectToPullAgain("nginx@\(image.root.digest)", on: engine)
            }
        }

        private static func expectToPullAgain(_ reference: String, on engine: DockerEngine) async throws {
            try await engine.removeImages()
            let pull = try await engine.docker("pull", reference)
            #expect(pull.text.contains("Status: Downloaded newer image"))
            try await Self.expectToRun(reference, on: engine)
        }

        private static func expectToPull(_ platform: FixtureImage.Platform, on engine: DockerEngine) async throws {
            try await engine.docker("pull", "--platform", platform.text, "nginx:alpine")
            let format = "{{.Os}}/{{.Architecture}}"
            let pulled = try await engine.docker("image", "inspect", "--format", format, "nginx:alpine")
            #expect(pulled.text == platform.text)
        }

        private static func expectToRun(_ reference: String, on engine: DockerEngine) async throws {
            let run = try await engine.docker("run", "--rm", "--pull", "never", "--network", "none", reference)
            #expect(run.text == Self.line)
        }

        private static func repositoryDigest(_ reference: String, on engine: DockerEngine) async throws -> String {
            try await engine.docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", reference).text
        }
    }
}
