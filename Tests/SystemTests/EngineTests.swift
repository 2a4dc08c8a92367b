import Foundation
import Testing

extension SystemTests {
    /// containerd, podman, buildah and skopeo, each with the configuration that Amargo prints for it.
    @Suite("Engines", SystemTests.needsRoot)
    struct EngineTests {
        @Test("pulls from two registries, cold through Amargo, and warm from Amargo alone", arguments: ImageClient.Kind.allCases)
        func pull(_ kind: ImageClient.Kind) async throws {
            try await Lab.run { lab in
                let hub = try await lab.registry()
                let other = try await lab.registry()
                let index = try await lab.images.index(printing: "engine", as: .oci)
                let image = try await lab.images.image(printing: "engine", as: .docker)
                try await hub.push(index, as: "library/nginx", tag: "alpine")
                try await other.push(image, as: "team/app", tag: "1.0")
                var settings = try lab.settings(upstream: hub.url)
                settings.others = [("registry.lab", other.url)]
                let amargo = try await lab.amargo(settings)
                let client = try await ImageClient(kind, amargo: amargo, in: lab)
                let platforms = FixtureImages.platforms

                let names = ["docker.io/library/nginx:alpine", "registry.lab/team/app:1.0"]
                for name in names {
                    let cold = try await client.pull(name)
                    #expect(cold.succeeded, "\(name): \(cold.errorText)")
                }
                #expect(hub.requests("GET /v2/") > 0)
                #expect(other.requests("GET /v2/") > 0)

                await hub.stop()
                await other.stop()
                let digests = ["docker.io/library/nginx@\(index.root.digest)", "registry.lab/team/app@\(image.root.digest)"]
                for name in names + digests {
                    try await client.removeImages()
                    let warm = try await client.pull(name)
                    #expect(warm.succeeded, "\(name): \(warm.errorText)")
                }

                // Nobody ever pulled the other platform: that is a failure, at once, and none of the first one's.
                try await client.removeImages()
                let absent = try await client.pull(names[0], platform: platforms.other)
                #expect(!absent.succeeded)
                let present = try await client.pull(names[0], platform: platforms.own)
                #expect(present.succeeded, "\(present.errorText)")

                // Were there another way to the images, all of the above would prove nothing.
                #expect(await amargo.terminate() == .code(0))
                try await client.removeImages()
                #expect(try await !client.pull(names[1]).succeeded)
            }
        }
    }
}
