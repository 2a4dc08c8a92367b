import Foundation
import Testing

import class TestSupport.ScriptedUpstream

extension SystemTests {
    /// The whole trip: two stores with nothing but a file between them, the far one where no route leads out.
    @Suite("Air gap", SystemTests.needsRoot)
    struct AirGapTests {
        private static let nginx = "docker.io/library/nginx:alpine"
        private static let app = "signed.lab/team/app:v1"

        /// An image with a bill of materials that refers to it, from a registry that has the referrers API, which Debian's has not.
        private struct Signed {
            let upstream: ScriptedUpstream
            let image: String
            let bill: String
            let content: String

            init() throws {
                let repository = "team/app"
                let indexType = "application/vnd.oci.image.index.v1+json"
                let type = "application/vnd.oci.image.manifest.v1+json"
                self.upstream = try ScriptedUpstream()
                let image = self.upstream.addImage(repository: repository, tag: "v1")
                self.image = image.manifestDigest
                let empty = self.upstream.addBlob(Array("{}".utf8), in: repository)
                let text = Array("a bill of materials".utf8)
                self.content = self.upstream.addBlob(text, in: repository)
                let bill = Array(
                    """
                    {"schemaVersion":2,"mediaType":"\(type)","artifactType":"application/spdx+json",\
                    "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"\(empty)","size":2},\
                    "layers":[{"mediaType":"text/plain","digest":"\(self.content)","size":\(text.count)}],\
                    "subject":{"mediaType":"\(type)","digest":"\(image.manifestDigest)","size":\(image.manifest.bytes.count)}}
                    """.utf8)
                self.bill = self.upstream.addManifest(bill, mediaType: type, in: repository)
                let entry =
                    #"{"mediaType":"\#(type)","digest":"\#(self.bill)","size":\#(bill.count),"artifactType":"application/spdx+json"}"#
                for (digest, list) in [(image.manifestDigest, entry), (self.bill, "")] {
                    self.upstream.addFile(
                        Array(#"{"schemaVersion":2,"mediaType":"\#(indexType)","manifests":[\#(list)]}"#.utf8),
                        at: "/v2/\(repository)/referrers/\(digest)", mediaType: indexType)
                }
            }
        }

        /// One side of the gap: a configuration and a store.
        private struct Side {
            let process: AmargoProcess

            init(_ upstream: DockerRegistry, _ signed: Signed, isOffline: Bool, in lab: Lab) throws {
                let folder = try lab.newFolder(isOffline ? "far" : "near")
                var settings = try lab.settings(upstream: upstream.url)
                settings.store = folder.appendingPathComponent("store")
                settings.others = [(["signed.lab"], signed.upstream.url)]
                // What is new upstream is seen at once.
                settings.cacheTTL = 0
                settings.isOffline = isOffline
                self.process = try AmargoProcess(settings, in: folder)
            }

            var url: String { self.process.url }

            /// Runs a command to its success.
            @discardableResult
            func amargo(_ arguments: String...) async throws -> String {
                try await Command(try AmargoProcess.binary(), arguments + ["--config", self.process.configuration.path]).run()
                    .text
            }

            func has(_ names: String..., digest: String) async throws {
                let text = try await Command(
                    try AmargoProcess.binary(),
                    ["has", "--all-platforms", "--format", "json", "--config", self.process.configuration.path] + names
                ).run().text
                #expect(text.contains(#""state":"complete","digest":"\#(digest)""#), "\(text)")
            }

            func tags() async throws -> [String] {
                struct List: Decodable { let tags: [String] }
                return try JSONDecoder().decode(
                    List.self, from: try await Curl.get("\(self.url)/v2/library/nginx/tags/list").body
                ).tags
            }

            /// The digest of what a tag answers, by sha256sum's word.
            func digest(_ tag: String, in lab: Lab) async throws -> String {
                let answer = try await Curl.get(
                    "\(self.url)/v2/library/nginx/manifests/\(tag)", headers: ["Accept": Curl.manifestTypes])
                let file = try lab.newFolder("answer").appendingPathComponent("manifest")
                try answer.body.write(to: file)
                return try await FixtureImages.digest(of: file)
            }
        }

        /// Everything that pulls on the far side.
        private struct Engines {
            let docker: DockerEngine
            let clients: [ImageClient]

            init(_ far: Side, in lab: Lab) async throws {
                self.docker = try await lab.engine(mirror: far.process)
                var clients: [ImageClient] = []
                for kind in ImageClient.Kind.allCases {
                    clients.append(try await ImageClient(kind, amargo: far.process, in: lab))
                }
                self.clients = clients
            }

            /// Each of them gets the image by its tag, and by its digest, and knows it by the upstream's.
            func pull(_ digest: String, line: String) async throws {
                try await self.docker.docker("pull", "nginx:alpine")
                let known = try await self.docker.docker(
                    "image", "inspect", "--format", "{{index .RepoDigests 0}}", "nginx:alpine")
                #expect(known.text == "nginx@\(digest)")
                let run = try await self.docker.docker("run", "--rm", "--pull", "never", "--network", "none", "nginx:alpine")
                #expect(run.text == line)
                try await self.docker.removeImages()
                try await self.docker.docker("pull", "nginx@\(digest)")
                try await self.docker.removeImages()
                for client in self.clients {
                    let pulled = try await client.pull(AirGapTests.nginx)
                    #expect(pulled.succeeded, "\(client.kind): \(pulled.errorText)")
                    let digests = try await client.digests(of: AirGapTests.nginx)
                    #expect(digests.contains(digest), "\(client.kind): \(digests)")
                    try await client.removeImages()
                    let again = try await client.pull("docker.io/library/nginx@\(digest)")
                    #expect(again.succeeded, "\(client.kind): \(again.errorText)")
                    try await client.removeImages()
                }
            }
        }

        /// Pushes a version of the image under its tag, and a signature under cosign's; the latter's tag is returned with what it names.
        private static func publish(_ image: FixtureImage, to upstream: DockerRegistry, in lab: Lab) async throws
            -> (tag: String, image: FixtureImage)
        {
            try await upstream.push(image, as: "library/nginx", tag: "alpine")
            let signature = try await lab.images.image(printing: "signature of \(image.root.digest)", as: .oci)
            let tag = "sha256-\(image.root.digest.dropFirst("sha256:".count)).sig"
            try await upstream.push(signature, as: "library/nginx", tag: tag)
            #expect(try await upstream.digest(of: "alpine", in: "library/nginx") == image.root.digest)
            return (tag, signature)
        }

        private static func members(_ bundle: String) async throws -> [String] {
            try await Command(.tar, ["-tf", bundle]).run().text.split(separator: "\n").map(String.init)
        }

        @Test("images with all platforms, signatures and referrers reach engines without a route, and then what is new in them")
        func trip() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let signed = try Signed()
                let old = try await lab.images.index(printing: "the first version", as: .oci)
                let oldSignature = try await Self.publish(old, to: upstream, in: lab)
                let near = try Side(upstream, signed, isOffline: false, in: lab)
                let far = try Side(upstream, signed, isOffline: true, in: lab)
                let stick = try lab.newFolder("stick").path

                try await near.amargo("warm", "nginx:alpine", Self.app, "--all-platforms", "--with-referrers")
                try await near.has("nginx:alpine", digest: old.root.digest)
                try await near.has(Self.app, digest: signed.image)
                try await near.amargo("export", "nginx:alpine", Self.app, "--strict", "-o", "\(stick)/bundle.tar")
                try await near.amargo("verify", "\(stick)/bundle.tar")

                let network = try await NetworkNamespace(in: lab)
                #expect(try network.routes() == [])
                let answers = try await Curl.answers("\(upstream.url)/v2/")
                #expect(answers)
                try await network.run {
                    let reached = try await Curl.answers("\(upstream.url)/v2/")
                    #expect(!reached, "the gap has a bridge")
                    let imported = try await far.amargo("import", "\(stick)/bundle.tar")
                    #expect(imported.contains("Imported \(Self.nginx)"), "\(imported)")
                    try await far.has("nginx:alpine", digest: old.root.digest)
                    try await far.has(Self.app, digest: signed.image)
                    try await far.amargo("verify")

                    let daemon = far.process.daemon
                    try await lab.start(daemon) { try await Curl.answers("\(far.url)/health") }
                    let engines = try await Engines(far, in: lab)
                    try await engines.pull(old.root.digest, line: "the first version")
                    for platform in [FixtureImages.platforms.own, FixtureImages.platforms.other] {
                        let pulled = try await engines.clients.first { $0.kind == .skopeo }?.pull(Self.nginx, platform: platform)
                        #expect(pulled?.succeeded == true, "\(pulled?.errorText ?? "no skopeo")")
                    }
                    let digest = try await far.digest(oldSignature.tag, in: lab)
                    #expect(digest == oldSignature.image.root.digest)
                    let tags = try await far.tags()
                    #expect(tags == ["alpine", oldSignature.tag])
                    // By the registry's name in front of the path, as engines that have no mirrors ask.
                    let base = "\(far.url)/v2/signed.lab/team/app"
                    let referrers = try await Curl.get("\(base)/referrers/\(signed.image)")
                    #expect(String(decoding: referrers.body, as: UTF8.self).contains(signed.bill))
                    for path in ["manifests/\(signed.bill)", "blobs/\(signed.content)"] {
                        let answer = try await Curl.get("\(base)/\(path)")
                        #expect(answer.status == 200, "\(path)")
                    }
                    try await far.amargo("receipt", "-o", "\(stick)/receipt")

                    let new = try await lab.images.index(printing: "the second version", as: .oci)
                    let newSignature = try await NetworkNamespace.onHost { try await Self.publish(new, to: upstream, in: lab) }
                    let known = Set((old.blobs + old.manifests).map(\.digest))
                    let expected = Set(
                        (new.blobs + new.manifests + newSignature.image.blobs + newSignature.image.manifests).map(\.digest)
                    ).subtracting(known)
                    try await NetworkNamespace.onHost {
                        try await near.amargo("warm", "nginx:alpine", "--all-platforms", "--with-referrers")
                        try await near.has("nginx:alpine", digest: new.root.digest)
                        try await near.amargo(
                            "export", "nginx:alpine", "--strict", "--since", "\(stick)/receipt", "-o", "\(stick)/delta.tar")
                    }
                    let members = try await Self.members("\(stick)/delta.tar")
                    #expect(
                        members == ["oci-layout", "index.json"] + expected.map { "blobs/sha256/\($0.dropFirst(7))" }.sorted())

                    // Beside the server that serves the first one.
                    try await far.amargo("import", "\(stick)/delta.tar")
                    try await far.has("nginx:alpine", digest: new.root.digest)
                    try await engines.pull(new.root.digest, line: "the second version")
                    let both = try await far.tags()
                    #expect(both == ["alpine"] + [oldSignature.tag, newSignature.tag].sorted())
                    let signature = try await far.digest(newSignature.tag, in: lab)
                    #expect(signature == newSignature.image.root.digest)
                    // Who has the first version by its digest keeps it.
                    let first = try await far.digest(old.root.digest, in: lab)
                    #expect(first == old.root.digest)
                    // An older bundle that comes late takes nothing back.
                    try await far.amargo("import", "\(stick)/bundle.tar")
                    try await far.has("nginx:alpine", digest: new.root.digest)
                    #expect(await far.process.terminate() == .code(0))
                    try await far.amargo("verify")
                }
            }
        }

        @Test("a delta without its base names what is missing, and nothing comes in by halves")
        func withoutBase() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let signed = try Signed()
                let image = try await lab.images.index(printing: "the second version", as: .oci)
                _ = try await Self.publish(image, to: upstream, in: lab)
                let near = try Side(upstream, signed, isOffline: false, in: lab)
                try await near.amargo("warm", "nginx:alpine", "--all-platforms", "--with-referrers")
                let stick = try lab.newFolder("stick").path
                // Of a store that has the layer, which is in every image here, and nothing else.
                let layer = image.blobs[0].digest
                let receipt = """
                    {"amargo":"receipt","format":1,"store":"elsewhere","at":1700000000,"blobs":[
                    "\(layer)"]}

                    """
                try Data(receipt.utf8).write(to: URL(fileURLWithPath: "\(stick)/receipt"))
                try await near.amargo("export", "nginx:alpine", "--since", "\(stick)/receipt", "-o", "\(stick)/delta.tar")
                try await near.amargo("verify", "\(stick)/delta.tar")

                let empty = "\(lab.folder.path)/empty"
                let binary = try AmargoProcess.binary()
                let result = try await Command(binary, ["import", "\(stick)/delta.tar", "--store", empty]).outcome()
                #expect(result.exit == .code(2))
                #expect((result.text + result.errorText).contains(layer), "\(result.text)\n\(result.errorText)")
                #expect(try await Command(binary, ["has", "nginx:alpine", "--store", empty]).outcome().exit == .code(2))
                #expect(try StoreFiles(url: URL(fileURLWithPath: empty)).blobs().isEmpty)
            }
        }

        @Test("containerd takes a bundle by itself, by the names in it")
        func containerd() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.index(printing: "without a registry", as: .oci)
                let signature = try await Self.publish(image, to: upstream, in: lab)
                let signed = try Signed()
                let near = try Side(upstream, signed, isOffline: false, in: lab)
                let bundle = "\(lab.folder.path)/bundle.tar"
                try await near.amargo("warm", "nginx:alpine", Self.app, "--all-platforms", "--with-referrers")
                try await near.amargo("export", "--all", "-o", bundle)
                let containerd = try await Containerd(
                    configuration: "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n", namespace: "default",
                    folder: try lab.newFolder("containerd"), in: lab)
                try await containerd.ctr(["images", "import", "--all-platforms", "--no-unpack", bundle]).run()
                let images = try await containerd.ctr(["images", "ls"]).run().text.split(separator: "\n")
                for (name, digest) in [
                    (Self.nginx, image.root.digest), (Self.app, signed.image),
                    ("docker.io/library/nginx:\(signature.tag)", signature.image.root.digest),
                ] {
                    #expect(images.contains { $0.hasPrefix("\(name) ") && $0.contains(digest) }, "\(name): \(images)")
                }
            }
        }
    }
}
