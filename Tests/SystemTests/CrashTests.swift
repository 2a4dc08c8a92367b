import Foundation
import Testing

extension SystemTests {
    /// SIGKILL at bad moments.
    @Suite("Crash")
    struct CrashTests {
        @Test("killed in mid-pull and started again on the same store, it serves the image and nothing damaged")
        func killedInMidPull() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(
                    printing: "hello", as: .docker, randomLayers: 4, layerSize: 16 << 20)
                try await upstream.push(image, as: "library/nginx", tag: "large")
                // 64 MiB in four layers take seconds: enough to be caught in the middle of them.
                let line = try await lab.throttle(upstream, bytesPerSecond: 16 << 20)
                let amargo = try await lab.amargo(upstream: line.url)
                let store = StoreFiles(url: amargo.settings.store)

                async let interrupted = Self.pull("nginx:large", from: amargo, to: try lab.newFolder("first"))
                try await eventually("a quarter has been downloaded", every: .milliseconds(5)) {
                    try store.bytes() > 16 << 20
                }
                await amargo.kill()
                #expect(try await !interrupted.succeeded)
                #expect(try await store.damagedBlobs() == [])

                try await amargo.start()
                let target = try lab.newFolder("second")
                let again = try await Self.pull("nginx:large", from: amargo, to: target)
                #expect(again.succeeded, "\(again.errorText)")
                for blob in image.blobs {
                    let file = target.appendingPathComponent(String(blob.digest.dropFirst("sha256:".count)))
                    #expect(try await FixtureImages.digest(of: file) == blob.digest)
                }
                #expect(await amargo.terminate() == .code(0))
                #expect(try await store.damagedBlobs() == [])
                #expect(Set(try store.blobs().map(\.lastPathComponent)).isSuperset(of: image.hexDigests))
            }
        }

        @Test("what was a HIT before a SIGKILL is served after it, with no upstream")
        func hitsSurvive() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "hello", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let repository = "\(amargo.url)/v2/library/nginx"
                let urls = ["\(repository)/manifests/alpine"] + image.blobs.map { "\(repository)/blobs/\($0.digest)" }
                for url in urls {
                    try await eventually("HIT for \(url)") {
                        try await Curl.get(url).headers["x-amargo-cache"] == "HIT"
                    }
                }

                await amargo.kill()
                await upstream.stop()
                try await amargo.start()
                let again = try await Self.pull("nginx:alpine", from: amargo, to: try lab.newFolder("again"))
                #expect(again.succeeded, "\(again.errorText)")
            }
        }

        private static func pull(
            _ reference: String, from amargo: AmargoProcess, to folder: URL
        ) async throws -> Command.Result {
            let source = "docker://127.0.0.1:\(amargo.settings.port)/library/\(reference)"
            return try await Command(
                .skopeo,
                ["--insecure-policy", "copy", "--src-tls-verify=false", source, "dir:\(folder.path)"]
            ).outcome()
        }
    }
}

extension FixtureImage {
    fileprivate var hexDigests: [String] {
        (self.blobs + self.manifests).map { String($0.digest.dropFirst("sha256:".count)) }
    }
}
