import Foundation
import Testing

extension SystemTests {
    /// containerd, podman, buildah, skopeo and a Kubernetes node, each with the configuration that Amargo prints for it,
    /// unedited. dockerd is MirrorTests'.
    @Suite("Engines", SystemTests.needsRoot)
    struct EngineTests {
        /// Two registries, the second known by a name with a port, and what they hold: an index and an image.
        private struct Registries {
            let hub: DockerRegistry
            let other: DockerRegistry
            let index: FixtureImage
            let image: FixtureImage

            let tags = ["docker.io/library/nginx:alpine", "registry.lab:5000/team/app:1.0"]
            var digests: [String] {
                ["docker.io/library/nginx@\(self.index.root.digest)", "registry.lab:5000/team/app@\(self.image.root.digest)"]
            }

            init(in lab: Lab) async throws {
                self.hub = try await lab.registry()
                self.other = try await lab.registry()
                self.index = try await lab.images.index(printing: "from the hub", as: .oci)
                self.image = try await lab.images.image(printing: "from the lab", as: .docker)
                try await self.hub.push(self.index, as: "library/nginx", tag: "alpine")
                try await self.other.push(self.image, as: "team/app", tag: "1.0")
            }

            func amargo(in lab: Lab) async throws -> AmargoProcess {
                var settings = try lab.settings(upstream: self.hub.url)
                settings.others = [(["registry.lab:5000", "registry.lab"], self.other.url)]
                return try await lab.amargo(settings)
            }

            func stop() async {
                await self.hub.stop()
                await self.other.stop()
            }
        }

        /// What is "at once" for an engine that asks two hosts, on a busy machine.
        private static let limit = Duration.seconds(30)

        @Test(
            "pulls from two registries, cold through Amargo, and warm from Amargo alone, by tag and digest",
            arguments: ImageClient.Kind.allCases)
        func pull(_ kind: ImageClient.Kind) async throws {
            try await Lab.run { lab in
                let registries = try await Registries(in: lab)
                let amargo = try await registries.amargo(in: lab)
                let client = try await ImageClient(kind, amargo: amargo, in: lab)

                for name in registries.tags {
                    let cold = try await client.pull(name)
                    #expect(cold.succeeded, "\(name): \(cold.errorText)")
                }
                #expect(amargo.daemon.logText().contains("[docker] Cache MISS: manifest library/nginx:alpine"))
                #expect(amargo.daemon.logText().contains("[other0] Cache MISS: manifest team/app:1.0"))
                #expect(registries.hub.requests("GET /v2/library/nginx/blobs/") == 2)  // one platform's config and layer
                // The layer is the same as the hub's: it need not be fetched twice.
                #expect(registries.other.requests("GET /v2/team/app/blobs/") > 0)

                await registries.stop()
                for name in registries.tags + registries.digests {
                    try await client.removeImages()
                    let warm = try await client.pull(name)
                    #expect(warm.succeeded, "\(name): \(warm.errorText)")
                }

                // Were there another way to the images, all of the above would prove nothing.
                #expect(await amargo.terminate() == .code(0))
                try await client.removeImages()
                for name in registries.tags {
                    #expect(try await !client.pull(name).succeeded, "\(name) came past Amargo")
                }
            }
        }

        @Test(
            "offline, a platform that was never pulled is a failure at once, and none of the one that was",
            arguments: ImageClient.Kind.allCases)
        func absentPlatform(_ kind: ImageClient.Kind) async throws {
            try await Lab.run { lab in
                let registries = try await Registries(in: lab)
                let amargo = try await registries.amargo(in: lab)
                let client = try await ImageClient(kind, amargo: amargo, in: lab)
                let platforms = FixtureImages.platforms
                let name = registries.tags[0]

                let cold = try await client.pull(name, platform: platforms.own)
                #expect(cold.succeeded, "\(cold.errorText)")
                await registries.stop()
                try await client.removeImages()

                let start = ContinuousClock.now
                #expect(try await !client.pull(name, platform: platforms.other).succeeded)
                #expect(start.duration(to: .now) < Self.limit)
                // What a failed pull leaves behind is the engine's to collect, in its own time.
                let present = try await client.pull(name, platform: platforms.own)
                #expect(present.succeeded, "\(present.errorText)")
            }
        }

        @Test("a Kubernetes node pulls from both, cold through Amargo, and warm from Amargo alone, by tag and digest")
        func kubernetes() async throws {
            try await Lab.run { lab in
                let registries = try await Registries(in: lab)
                let amargo = try await registries.amargo(in: lab)
                let node = try await Kubelet(amargo: amargo, in: lab)

                for name in registries.tags { #expect(try await node.pull(name) == nil) }
                #expect(registries.hub.requests("GET /v2/library/nginx/blobs/") == 2)
                #expect(registries.other.requests("GET /v2/team/app/blobs/") > 0)

                await registries.stop()
                for name in registries.tags + registries.digests {
                    try await node.removeImages()
                    #expect(try await node.pull(name) == nil)
                }

                #expect(await amargo.terminate() == .code(0))
                try await node.removeImages()
                #expect(try await node.pull(registries.tags[0]) != nil)
            }
        }

        @Test("a registry's images are pulled through Amargo by its name in front, by dockerd as well")
        func dockerByName() async throws {
            try await Lab.run { lab in
                let registries = try await Registries(in: lab)
                let amargo = try await registries.amargo(in: lab)
                let engine = try await lab.engine(mirror: amargo)
                let name = "127.0.0.1:\(amargo.settings.port)/registry.lab/team/app:1.0"

                try await engine.docker("pull", name)
                await registries.stop()
                try await engine.removeImages()
                try await engine.docker("pull", name)
                let run = try await engine.docker("run", "--rm", "--pull", "never", "--network", "none", name)
                #expect(run.text == "from the lab")
            }
        }

        @Test("the BuildKit inside dockerd builds on images that come through Amargo, and from Amargo alone")
        func buildKit() async throws {
            try await Lab.run { lab in
                let registries = try await Registries(in: lab)
                let amargo = try await registries.amargo(in: lab)
                let engine = try await lab.engine(mirror: amargo)
                let second = "127.0.0.1:\(amargo.settings.port)/registry.lab/team/app:1.0"
                let dockerfile = "FROM nginx:alpine\nCOPY --from=\(second) /bin/busybox /bin/second\n"
                let page = try await lab.page(dockerfile)

                try await engine.build(page, as: "cold")
                #expect(amargo.daemon.logText().contains("[docker] Cache MISS: manifest library/nginx:alpine"))
                await registries.stop()
                try await engine.removeImages()
                try await engine.build(page, as: "warm")
                let run = try await engine.docker("run", "--rm", "--pull", "never", "--network", "none", "warm")
                #expect(run.text == "from the hub")

                #expect(await amargo.terminate() == .code(0))
                try await engine.removeImages()
                await #expect(throws: ConditionFailure.self) { try await engine.build(page, as: "none") }
            }
        }

        @Test("client-config writes again what it wrote, and nothing over what somebody else wrote")
        func overwriting() async throws {
            try await Lab.run { lab in
                let settings = try lab.settings(upstream: "http://127.0.0.1:9")
                let amargo = try AmargoProcess(settings, in: lab.newFolder("amargo"))
                let folder = try lab.newFolder("etc")
                for engine in ["docker", "containerd", "podman", "buildkit", "k3s", "kaniko"] {
                    try await amargo.clientConfiguration(for: engine, in: folder)
                    try await amargo.clientConfiguration(for: engine, in: folder)
                }
                for (engine, name) in [("docker", "daemon.json"), ("podman", "amargo.conf")] {
                    let file = folder.appendingPathComponent(name)
                    try Data("{}".utf8).write(to: file)
                    await #expect(throws: Command.Failure.self) {
                        try await amargo.clientConfiguration(for: engine, in: folder)
                    }
                    #expect(try String(contentsOf: file, encoding: .utf8) == "{}")
                }
            }
        }

        @Test("what client-config prints is what it writes, and an engine that it does not know is wrong usage")
        func printing() async throws {
            try await Lab.run { lab in
                let settings = try lab.settings(upstream: "http://127.0.0.1:9")
                let amargo = try AmargoProcess(settings, in: lab.newFolder("amargo"))
                let folder = try lab.newFolder("etc")
                let binary = try AmargoProcess.binary()
                let options = ["--config", amargo.configuration.path]
                for (engine, name) in [("docker", "daemon.json"), ("podman", "amargo.conf"), ("k3s", "registries.yaml")] {
                    try await amargo.clientConfiguration(for: engine, in: folder)
                    let printed = try await Command(binary, ["client-config", engine] + options).run()
                    #expect(printed.output == (try Data(contentsOf: folder.appendingPathComponent(name))))
                }
                let unknown = try await Command(binary, ["client-config", "conainerd"] + options).outcome()
                #expect(unknown.exit == .code(64))
                #expect(unknown.errorText.contains("Did you mean containerd? Engines are docker, docker-desktop, containerd"))
                #expect(unknown.output.isEmpty)
                let odd = try await Command(binary, ["client-config", "docker", "--host", "http://cache.lan"]).outcome()
                #expect(odd.exit == .code(64))
            }
        }
    }
}
