import Foundation
import OCI
import PullThrough
import TestSupport
import Testing

@testable import Registry

/// What the dashboard's documents say of a server that has something to say.
struct DashboardDocumentTests {
    private static func json(_ response: RawResponse) throws -> [String: Any] {
        #expect(response.status == 200)
        #expect(response.header("content-type") == "application/json")
        let value = try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any]
        return try #require(value)
    }

    private static func list(_ value: Any?) throws -> [[String: Any]] { try #require(value as? [[String: Any]]) }

    @Test("an empty store: everything is there and nothing is in it")
    func empty() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let live = try Self.json(try await server.get("/dashboard/live.json"))
            #expect((live["health"] as? [String: Any])?["status"] as? String == "ok")
            #expect((live["store"] as? [String: Any])?["blobs"] as? Int == 0)
            #expect(live["page"] as? String == DashboardPage.embedded.version)
            #expect(try Self.list(live["downloads"]).isEmpty)
            #expect(try Self.list(live["recent"]).isEmpty)
            #expect(try Self.list(live["upstreams"]).map { $0["state"] as? String } == ["unknown"])
            let disk = try Self.json(try await server.get("/dashboard/disk.json"))
            #expect(try Self.list(disk["nodes"]).isEmpty)
            let images = try Self.json(try await server.get("/dashboard/images.json"))
            #expect(images["total"] as? Int == 0)
            let traffic = try Self.json(try await server.get("/dashboard/traffic.json?window=hour"))
            // The sixty minutes before this one, and this one.
            #expect((traffic["points"] as? [[Int]])?.count == 61)
            #expect(traffic["step"] as? Int == 60)
        }
    }

    @Test("a pull shows in all of them: figures, tree, list, traffic, and as the latest pull")
    func pulled() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "Alpine", layerSizes: [10_000])
        try await ServerHarness.run(upstream) { server async throws in
            try await server.warm(image)
            let live = try Self.json(try await server.get("/dashboard/live.json"))
            let recent = try Self.list(live["recent"])
            #expect(recent.map { $0["image"] as? String } == ["docker.io/library/nginx:Alpine"])
            #expect(recent.first?["outcome"] as? String == "miss")
            #expect(recent.first?["digest"] as? String == image.manifestDigest)
            let day = try #require((live["traffic"] as? [String: Any])?["day"] as? [String: Any])
            #expect(day["pulls"] as? Int == 1)
            // Manifest, config and layer.
            #expect(day["misses"] as? Int == 3)
            #expect(day["answers"] as? Int == 3)

            let disk = try Self.json(try await server.get("/dashboard/disk.json"))
            #expect(disk["registries"] as? [String] == ["docker.io"])
            let registry = try #require(try Self.list(disk["nodes"]).first)
            // Blocks of 4 KiB: three for the layer of 10,000 bytes, one for each of the two documents.
            #expect(registry["attributedBytes"] as? Int == 5 * 4096)
            #expect(registry["uniqueBytes"] as? Int == 5 * 4096)
            #expect(try Self.list(registry["children"]).map { $0["name"] as? String } == ["library/nginx"])
            let below = try Self.json(
                try await server.get("/dashboard/disk.json?registry=docker.io&repository=library%2Fnginx"))
            let node = try #require(try Self.list(below["nodes"]).first)
            #expect(node["kind"] as? String == "image")
            #expect(node["label"] as? String == "Alpine")
            #expect(node["pulls"] as? Int == 1)
            let nowhere = try Self.json(try await server.get("/dashboard/disk.json?registry=quay.io"))
            #expect(try Self.list(nowhere["nodes"]).isEmpty)

            let images = try Self.json(try await server.get("/dashboard/images.json?q=nginx%20alpine"))
            #expect(images["matching"] as? Int == 1)
            let row = try #require(try Self.list(images["images"]).first)
            #expect(row["registry"] as? String == "docker.io")
            #expect(row["repository"] as? String == "library/nginx")
            #expect(row["tag"] as? String == "Alpine")
            #expect(row["complete"] as? Bool == true)
            // No index says so: it stands in the image's configuration.
            #expect(row["platforms"] as? [String] == ["linux/amd64"])
            #expect(try #require(row["freshUntil"] as? Int64) > server.wallClock.read())
            #expect(try Self.json(try await server.get("/dashboard/images.json?q=redis"))["matching"] as? Int == 0)
        }
    }

    @Test("an image that was pulled by digest, as engines do behind an index, is called by the tag that leads to it")
    func namedByIndex() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: nil, layerSizes: [100])
        upstream.addIndex(repository: "library/nginx", tag: "1.27", images: [(image, "linux/amd64")])
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.get("/v2/library/nginx/manifests/1.27")
            try await server.waitUntilTagged("1.27")
            _ = try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)")
            try await server.waitUntilStored(image.manifestDigest)
            let live = try Self.json(try await server.get("/dashboard/live.json"))
            #expect(try Self.list(live["recent"]).map { $0["image"] as? String } == ["docker.io/library/nginx:1.27"])
        }
    }

    @Test("a running download is shown with what has come and who waits for it")
    func download() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 7)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 600_000, gate))
        try await ServerHarness.run(upstream) { server async throws in
            async let blob = server.blob(digest)
            try await eventually("the download is shown half-way") {
                let live = try Self.json(try await server.get("/dashboard/live.json"))
                guard let download = try Self.list(live["downloads"]).first else { return false }
                return download["received"] as? Int == 600_000 && download["size"] as? Int == 1 << 20
                    && download["clients"] as? Int == 1 && download["repository"] as? String == "docker.io/library/nginx"
            }
            gate.open()
            #expect(try await blob.body == bytes)
            try await eventually("it is gone") {
                try Self.list(try Self.json(try await server.get("/dashboard/live.json"))["downloads"]).isEmpty
            }
        }
    }

    @Test("pages of the list follow each other in the order that was asked for")
    func paging() async throws {
        let upstream = try ScriptedUpstream()
        let images = (1...5).map {
            upstream.addImage(repository: "team/app\($0)", tag: "v\($0)", layerSizes: [$0 * 1000], seed: UInt64($0))
        }
        try await ServerHarness.run(upstream) { server async throws in
            for image in images {
                try await server.warm(image)
            }
            func names(_ query: String) async throws -> [String] {
                let page = try Self.json(try await server.get("/dashboard/images.json?\(query)"))
                #expect(page["total"] as? Int == 5)
                return try Self.list(page["images"]).compactMap { $0["tag"] as? String }
            }
            #expect(try await names("limit=2") == ["v1", "v2"])
            #expect(try await names("limit=2&offset=4") == ["v5"])
            #expect(try await names("limit=2&offset=5") == [])
            #expect(try await names("sort=size&order=desc&limit=3") == ["v5", "v4", "v3"])
            #expect(try await names("q=linux%2Fs390x") == [])
            #expect(try await names("q=APP3") == ["v3"])
        }
    }

    @Test("what has not changed is not sent again, except what changes each second")
    func tags() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            for path in ["disk.json", "images.json", "engines.json"] {
                let first = try await server.get("/dashboard/\(path)")
                let tag = try #require(first.header("etag"))
                #expect(first.header("cache-control") == "private, no-cache")
                #expect(try await server.get("/dashboard/\(path)", headers: [("If-None-Match", tag)]).status == 304)
            }
            let live = try await server.get("/dashboard/live.json")
            #expect(live.header("etag") == nil)
            #expect(live.header("cache-control") == "no-store")
            #expect(live.header("x-content-type-options") == "nosniff")
            #expect(live.header("access-control-allow-origin") == nil)
        }
    }

    @Test(
        "A: a page of another site reads names: what a browser asks on its behalf is refused",
        arguments: [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)])
    func otherSites(_ site: String, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            #expect(try await server.get("/dashboard/live.json", headers: [("Sec-Fetch-Site", site)]).status == status)
            // A link on another page may well lead to the dashboard; what is in it stays its own.
            #expect(try await server.get("/", headers: [("Sec-Fetch-Site", site)]).status == 200)
        }
    }

    @Test("A: DNS rebinding: a name that is not this host's gets nothing")
    func rebinding() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            for path in ["/", "/dashboard/live.json", "/dashboard/images.json", "/health"] {
                let connection = try await RawConnection.connect(server.port)
                defer { connection.close() }
                try await connection.send(
                    "GET \(path) HTTP/1.1\r\nHost: evil.example:\(server.port)\r\nConnection: close\r\n\r\n")
                #expect(try await connection.readHead().status == 421, "\(path)")
                let body = try await connection.readToEnd()
                #expect(!String(decoding: body.bytes, as: UTF8.self).contains("docker"))
            }
        }
    }

    @Test("names go out as JSON whatever they are made of, and open pages together cost one look")
    func together() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let bodies = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for _ in 0..<20 { group.addTask { try await server.get("/dashboard/disk.json").body } }
                return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(bodies.count == 1)
        }
    }
}
