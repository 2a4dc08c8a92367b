import Foundation
import Testing

import enum TestSupport.RawHTTPClient
import class TestSupport.ScriptedUpstream

extension SystemTests {
    /// `amargo serve --offline`: the real binary beside an upstream that counts who comes.
    @Suite("Offline")
    struct OfflineTests {
        @Test("hits and stale tags are served, misses are 404s, and the upstream sees no connection")
        func asksNobody() async throws {
            try await Lab.run { lab in
                let upstream = try ScriptedUpstream()
                let image = upstream.addImage(repository: "library/nginx", tag: "alpine")
                var settings = try lab.settings(upstream: upstream.url)
                settings.cacheTTL = 0
                let online = try await lab.amargo(settings)
                let manifest = "/v2/library/nginx/manifests/"
                #expect(try await Self.status(online, manifest + "alpine") == 200)
                for blob in image.blobs { #expect(try await Self.status(online, image.blobPath(blob.digest)) == 200) }
                for path in [manifest + image.manifestDigest] + image.blobs.map({ image.blobPath($0.digest) }) {
                    try await eventually("\(path) is stored") {
                        try await RawHTTPClient.get(port: settings.port, path: path).header("x-amargo-cache") == "HIT"
                    }
                }
                #expect(await online.terminate() == .code(0))

                let connections = upstream.acceptedConnectionCount
                settings.isOffline = true
                let offline = try await lab.amargo(settings)
                for path in [manifest + "alpine", manifest + image.manifestDigest]
                    + image.blobs.map({ image.blobPath($0.digest) })
                {
                    #expect(try await Self.status(offline, path) == 200, "\(path)")
                }
                for path in [manifest + "other", "/v2/library/redis/manifests/latest", "/v2/library/redis/tags/list"] {
                    #expect(try await Self.status(offline, path) == 404, "\(path)")
                }
                #expect(await offline.terminate() == .code(0))
                #expect(upstream.acceptedConnectionCount == connections)
            }
        }

        private static func status(_ amargo: AmargoProcess, _ path: String) async throws -> Int {
            try await RawHTTPClient.get(port: amargo.settings.port, path: path).status
        }
    }
}
