import Foundation
import Testing

extension SystemTests {
    /// What curl sees: which answers come from the store, and which upstream requests they cost.
    @Suite("Cache headers")
    struct CacheHeaderTests {
        private static let accept = ["Accept": Curl.manifestTypes]

        @Test("a manifest and a blob are a MISS once and a HIT ever after, for one upstream GET each")
        func missThenHit() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "hello", as: .docker)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)

                let manifest = "\(amargo.url)/v2/library/nginx/manifests/alpine"
                let layer = try #require(image.blobs.first)
                let blob = "\(amargo.url)/v2/library/nginx/blobs/\(layer.digest)"
                for (url, descriptor) in [(manifest, image.root), (blob, layer)] {
                    let first = try await Curl.get(url, headers: Self.accept)
                    #expect(first.status == 200)
                    #expect(first.headers["x-amargo-cache"] == "MISS")
                    #expect(first.headers["docker-content-digest"] == descriptor.digest)
                    #expect(first.body == (try Data(contentsOf: image.file(descriptor))))

                    // The client is not kept waiting until the bytes are durable: the HIT may come a moment later.
                    try await Self.expectHit(url)
                    let second = try await Curl.get(url, headers: Self.accept)
                    #expect(second.status == 200)
                    #expect(second.headers["docker-content-digest"] == descriptor.digest)
                    #expect(second.body == first.body)
                }
                #expect(upstream.requests("GET /v2/library/nginx/blobs/\(layer.digest) ") == 1)
                #expect(upstream.requests("GET /v2/library/nginx/manifests/") == 1)
            }
        }

        @Test("the short name, the long name and the name with its namespace are one repository")
        func names() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "hello", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)

                let names = ["nginx/manifests/alpine", "docker.io/library/nginx/manifests/alpine"]
                try await Self.expectHit("\(amargo.url)/v2/library/nginx/manifests/alpine")
                for name in names {
                    let answer = try await Curl.get("\(amargo.url)/v2/\(name)", headers: Self.accept)
                    #expect(answer.status == 200, "\(name)")
                    #expect(answer.headers["x-amargo-cache"] == "HIT", "\(name)")
                    #expect(answer.headers["docker-content-digest"] == image.root.digest, "\(name)")
                }
            }
        }

        @Test("containerd's way of asking, HEAD of the tag and GET of the digest, fills the cache for tags, too")
        func containerd() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.index(printing: "hello", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)

                let manifests = "\(amargo.url)/v2/library/nginx/manifests"
                let tag = try await Curl.head("\(manifests)/alpine?ns=docker.io", headers: Self.accept)
                #expect(tag.status == 200)
                let digest = try #require(tag.headers["docker-content-digest"])
                #expect(digest == image.root.digest)
                #expect(tag.headers["content-type"] == image.root.mediaType)
                for manifest in image.manifests.reversed() {
                    let url = "\(manifests)/\(manifest.digest)?ns=docker.io"
                    let answer = try await Curl.get(url, headers: Self.accept)
                    #expect(answer.body == (try Data(contentsOf: image.file(manifest))))
                    try await Self.expectHit(url)
                }
                for blob in image.blobs {
                    try await Self.expectHit("\(amargo.url)/v2/library/nginx/blobs/\(blob.digest)?ns=docker.io")
                }
                await upstream.stop()
                let offline = try await Curl.get("\(manifests)/alpine", headers: Self.accept)
                #expect(offline.headers["x-amargo-cache"] == "HIT")
                #expect(offline.body == (try Data(contentsOf: image.file(image.root))))
            }
        }

        @Test("a tag past its time is served STALE when the upstream is gone")
        func stale() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "hello", as: .docker)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                var settings = try lab.settings(upstream: upstream.url)
                settings.cacheTTL = 1
                let amargo = try await lab.amargo(settings)

                for blob in image.blobs {
                    try await Self.expectHit("\(amargo.url)/v2/library/nginx/blobs/\(blob.digest)")
                }
                let tag = "\(amargo.url)/v2/library/nginx/manifests/alpine"
                try await Self.expectHit(tag)
                await upstream.stop()
                try await eventually("the tag is STALE") {
                    let answer = try await Curl.get(tag, headers: Self.accept)
                    #expect(answer.status == 200)
                    #expect(answer.headers["docker-content-digest"] == image.root.digest)
                    return answer.headers["x-amargo-cache"] == "STALE"
                }
                try await Self.expectHit("\(amargo.url)/v2/library/nginx/manifests/\(image.root.digest)")
            }
        }

        @Test("/health is JSON that names the version; /v2/ answers without an upstream")
        func health() async throws {
            try await Lab.run { lab in
                let amargo = try await lab.amargo(upstream: "http://127.0.0.1:\(try LoopbackPort.free())")

                let health = try await Curl.get("\(amargo.url)/health")
                #expect(health.status == 200)
                let document = try JSONSerialization.jsonObject(with: health.body) as? [String: Any]
                #expect(document?["version"] is String)

                let base = try await Curl.get("\(amargo.url)/v2/")
                #expect(base.status == 200)
                #expect(base.headers["docker-distribution-api-version"] == "registry/2.0")
                #expect(String(decoding: base.body, as: UTF8.self) == "{}")
            }
        }

        @Test("skopeo copies an index with all its images through Amargo")
        func skopeo() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.index(printing: "hello", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)

                let target = try lab.newFolder("layout")
                try await Command(
                    .skopeo,
                    ["--insecure-policy", "copy", "--all", "--src-tls-verify=false"]
                        + ["docker://127.0.0.1:\(amargo.settings.port)/library/nginx:alpine", "oci:\(target.path):alpine"]
                ).run()
                for descriptor in image.manifests + image.blobs {
                    let file = target.appendingPathComponent("blobs/sha256/\(descriptor.digest.dropFirst(7))")
                    #expect(try await FixtureImages.digest(of: file) == descriptor.digest)
                }
            }
        }

        private static func expectHit(_ url: String) async throws {
            try await eventually("HIT for \(url)") {
                let answer = try await Curl.get(url, headers: Self.accept)
                #expect(answer.status == 200)
                return answer.headers["x-amargo-cache"] == "HIT"
            }
        }
    }
}
