import Foundation
import Testing

extension SystemTests {
    /// A caching proxy in front of Amargo, which knows nothing of registries but the headers it gets.
    @Suite("nginx in front", SystemTests.needsRoot)
    struct NginxTests {
        @Test("digests stay in the proxy, tags as long as they are fresh, stale answers not at all")
        func cachingProxy() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "proxied", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                var settings = try lab.settings(upstream: upstream.url)
                settings.cacheTTL = 3
                let amargo = try await lab.amargo(settings)
                let proxy = try await Self.startProxy(to: amargo, in: lab)
                let tag = "\(proxy)/v2/library/nginx/manifests/alpine"
                let digest = "\(proxy)/v2/library/nginx/manifests/\(image.root.digest)"
                let layer = try #require(image.blobs.last)
                let blob = "\(proxy)/v2/library/nginx/blobs/\(layer.digest)"

                // Twice through: the second time the proxy has them.
                for url in [tag, digest, blob] {
                    #expect(try await Self.get(url).headers["x-proxy"] == "MISS")
                    #expect(try await Self.get(url).headers["x-proxy"] == "HIT")
                }
                #expect(try await Self.get(tag).headers["docker-content-digest"] == image.root.digest)

                // The tag's time passes; the proxy asks again, learns that it is the same, and has it for another while.
                try await eventually("the tag is confirmed") { try await Self.get(tag).headers["x-proxy"] == "REVALIDATED" }
                let confirmed = try await Self.get(tag)
                #expect(confirmed.headers["x-proxy"] == "HIT")
                #expect(confirmed.headers["docker-content-digest"] == image.root.digest)

                // The registry is gone: Amargo says STALE, and the proxy asks again each time.
                for blob in image.blobs { _ = try await Curl.get("\(proxy)/v2/library/nginx/blobs/\(blob.digest)") }
                await upstream.stop()
                try await eventually("a stale answer is given") {
                    let status = try await Self.get(tag).status
                    #expect(status == 200)
                    return amargo.daemon.logText().contains("Cache STALE")
                }
                for _ in 0..<3 {
                    let response = try await Self.get(tag)
                    #expect(response.status == 200)
                    #expect(response.headers["x-proxy"] != "HIT")
                }

                // Amargo is gone: what is asked by digest is there all the same.
                #expect(await amargo.terminate() == .code(0))
                #expect(try await Self.get(digest).status == 200)
                #expect(try await Self.get(blob).status == 200)
            }
        }

        @Test("HEAD and Range come through the proxy, kept or not, and one client's Accept is not another's")
        func headsAndRanges() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "proxied", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let proxy = try await Self.startProxy(to: amargo, in: lab)
                let tag = "\(proxy)/v2/library/nginx/manifests/alpine"

                for expected in ["MISS", "HIT"] {
                    let head = try await Curl.head(tag, headers: Self.accept)
                    #expect(head.status == 200)
                    #expect(head.headers["x-proxy"] == expected)
                    #expect(head.headers["docker-content-digest"] == image.root.digest)
                    #expect(head.headers["content-length"] == "\(image.root.size)")
                }

                // The last bytes of each blob, first unknown to the proxy, then kept by it.
                for blob in image.blobs {
                    let url = "\(proxy)/v2/library/nginx/blobs/\(blob.digest)"
                    let content = try Data(contentsOf: image.file(blob))
                    for expected in ["MISS", "HIT"] {
                        let part = try await Curl.get(url, headers: ["Range": "bytes=\(blob.size - 10)-"])
                        #expect(part.status == 206)
                        #expect(part.headers["x-proxy"] == expected)
                        #expect(part.headers["content-range"] == "bytes \(blob.size - 10)-\(blob.size - 1)/\(blob.size)")
                        #expect(part.body == content.suffix(10))
                    }
                }

                // Who does not accept what the tag is gets the reason, and does not spoil it for others.
                let docker = ["Accept": "application/vnd.docker.distribution.manifest.v2+json"]
                for _ in 0..<2 { #expect(try await Curl.get(tag, headers: docker).status == 404) }
                let again = try await Self.get(tag)
                #expect(again.status == 200)
                #expect(again.headers["x-proxy"] == "HIT")
            }
        }

        private static let accept = ["Accept": "application/vnd.oci.image.manifest.v1+json, application/octet-stream"]

        private static func get(_ url: String) async throws -> Curl.Response {
            try await Curl.get(url, headers: Self.accept)
        }

        private static func startProxy(to amargo: AmargoProcess, in lab: Lab) async throws -> String {
            let folder = try lab.newFolder("nginx")
            let port = try LoopbackPort.free()
            let configuration = """
                daemon off;
                pid \(folder.path)/nginx.pid;
                error_log stderr;
                events {}
                http {
                  access_log off;
                  client_body_temp_path \(folder.path)/body;
                  proxy_temp_path \(folder.path)/temporary;
                  fastcgi_temp_path \(folder.path)/f; uwsgi_temp_path \(folder.path)/u; scgi_temp_path \(folder.path)/s;
                  proxy_cache_path \(folder.path)/cache keys_zone=images:1m;
                  server {
                    listen 127.0.0.1:\(port);
                    location /v2/ {
                      proxy_pass \(amargo.url);
                      proxy_cache images;
                      proxy_cache_revalidate on;
                      add_header X-Proxy $upstream_cache_status always;
                    }
                  }
                }
                """
            let file = folder.appendingPathComponent("nginx.conf")
            try Data(configuration.utf8).write(to: file)
            let url = "http://127.0.0.1:\(port)"
            let daemon = Daemon(
                "nginx", try Program.nginx.url(), ["-c", file.path, "-g", "user root;"],
                log: folder.appendingPathComponent("nginx.log"))
            try await lab.start(daemon) { (try? await Curl.get("\(url)/v2/"))?.status == 200 }
            return url
        }
    }
}
