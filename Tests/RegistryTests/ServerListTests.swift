import Foundation
import TestSupport
import Testing

/// tags/list, referrers and _catalog: fresh, stale, and from the store.
@Suite struct ServerListTests {
    private static let index = "application/vnd.oci.image.index.v1+json"

    private func json(_ response: RawResponse) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any])
    }

    private func tags(_ response: RawResponse) throws -> [String] { try #require(try self.json(response)["tags"] as? [String]) }

    @Test("pages of tags follow each other by Link on our own path, with ns kept")
    func paging() async throws {
        let upstream = try ScriptedUpstream()
        for tag in ["a", "b", "c", "d", "e"] { upstream.addImage(repository: "library/nginx", tag: tag) }
        try await ServerHarness.run(upstream) { server async throws in
            var path = "/v2/library/nginx/tags/list?n=2&ns=docker.io"
            var seen: [[String]] = []
            var links: [String] = []
            while true {
                let response = try await server.get(path)
                #expect(response.status == 200)
                #expect(try self.json(response)["name"] as? String == "library/nginx")
                seen.append(try self.tags(response))
                guard let link = response.header("link") else { break }
                links.append(link)
                path = String(link.dropFirst().prefix { $0 != ">" })
            }
            #expect(seen == [["a", "b"], ["c", "d"], ["e"]])
            #expect(links.first == "</v2/library/nginx/tags/list?n=2&last=b&ns=docker.io>; rel=\"next\"")
            // A page is asked for once while it is fresh.
            let requests = upstream.requests.count
            #expect(try await server.get("/v2/library/nginx/tags/list?n=2&ns=docker.io").header("x-amargo-cache") == "HIT")
            #expect(upstream.requests.count == requests)
            #expect(try self.tags(try await server.get("/v2/library/nginx/tags/list?n=0")).isEmpty)
            #expect(upstream.requests.count == requests)
        }
    }

    @Test(
        "B: catalog n: nonsense is a 400, as is one that stands twice",
        arguments: ["-1", "abc", "1.5", "1&n=2", "1&n=1", "%2B1", "%201", "1e3", "0x10", "-0", "1,2", "\u{661}"])
    func malformedCount(_ count: String) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for path in ["/v2/library/nginx/tags/list", "/v2/_catalog"] {
                #expect(try await server.get("\(path)?n=\(count)").status == 400)
            }
            #expect(try await server.get("/v2/_catalog?n=99999999999999999999").status == 200)
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test("with the upstream gone tags come as they were last seen, and after a restart from the store")
    func staleTags() async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "stored")
        upstream.addImage(repository: "library/nginx", tag: "never-pulled", seed: 2)
        let options = ServerHarness.Options(cacheTtl: .zero, storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.get("/v2/library/nginx/manifests/stored")
            try await server.waitUntilStored(image.manifestDigest)
            #expect(try self.tags(try await server.get("/v2/library/nginx/tags/list")) == ["never-pulled", "stored"])
            upstream.stop()
            let response = try await server.get("/v2/library/nginx/tags/list")
            #expect(try self.tags(response) == ["never-pulled", "stored"])
            #expect(response.header("x-amargo-cache") == "STALE")
            #expect(response.header("cache-control") == "public, max-age=0")
        }
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try self.tags(try await server.get("/v2/library/nginx/tags/list")) == ["stored"])
            #expect(try await server.get("/v2/library/redis/tags/list").status == 502)
        }
    }

    @Test("a repository that its registry does not know is a 404")
    func unknownRepository() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get("/v2/library/nothing/tags/list")
            #expect(response.status == 404)
            #expect(response.text.contains("NAME_UNKNOWN"))
        }
    }

    /// A signature in the shape of an OCI image manifest that refers to `subject`.
    private static func signature(of subject: FixtureImage, type: String) -> [UInt8] {
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        return Array(
            """
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"\(type)",\
            "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"\(empty)","size":2},"layers":[],\
            "subject":{"mediaType":"\(subject.mediaType)","digest":"\(subject.manifestDigest)","size":\(subject.manifest.bytes.count)},\
            "annotations":{"made":"here"}}
            """.utf8)
    }

    @Test("referrers come from the API, filtered here, and are an image index even when there is none")
    func referrers() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let path = "/v2/library/nginx/referrers/\(image.manifestDigest)"
        let entries = ["application/a", "application/b"].map { type in
            "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:\(String(repeating: "a", count: 64))\","
                + "\"size\":5,\"artifactType\":\"\(type)\"}"
        }
        upstream.addFile(
            Array("{\"schemaVersion\":2,\"mediaType\":\"\(Self.index)\",\"manifests\":[\(entries.joined(separator: ","))]}".utf8),
            at: path, mediaType: Self.index)
        try await ServerHarness.run(upstream) { server async throws in
            let all = try await server.get(path)
            #expect(all.header("content-type") == Self.index)
            #expect((try self.json(all)["manifests"] as? [[String: Any]])?.count == 2)
            #expect(all.header("oci-filters-applied") == nil)
            let one = try await server.get("\(path)?artifactType=application%2Fb")
            #expect(one.header("oci-filters-applied") == "artifactType")
            let kept = try #require(try self.json(one)["manifests"] as? [[String: Any]])
            #expect(kept.map { $0["artifactType"] as? String } == ["application/b"])
            #expect(upstream.requests(contains: "/referrers/").count == 1, "one answer serves every filter")
        }
    }

    @Test("a registry without the API is asked for the fallback tag, and only then the list is empty")
    func fallbackTag() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let lonely = upstream.addImage(repository: "library/nginx", tag: "lonely", seed: 3)
        let signature = Self.signature(of: image, type: "application/a")
        let digest = upstream.addManifest(
            signature, mediaType: "application/vnd.oci.image.manifest.v1+json", in: "library/nginx")
        let list =
            "{\"schemaVersion\":2,\"mediaType\":\"\(Self.index)\",\"manifests\":[{\"mediaType\":"
            + "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"\(digest)\",\"size\":\(signature.count),"
            + "\"artifactType\":\"application/a\"}]}"
        upstream.addManifest(
            Array(list.utf8), mediaType: Self.index, in: "library/nginx",
            tag: image.manifestDigest.replacingOccurrences(of: ":", with: "-"))
        try await ServerHarness.run(upstream) { server async throws in
            let found = try self.json(try await server.get("/v2/library/nginx/referrers/\(image.manifestDigest)"))
            #expect((found["manifests"] as? [[String: Any]])?.first?["digest"] as? String == digest)
            let none = try await server.get("/v2/library/nginx/referrers/\(lonely.manifestDigest)")
            #expect(none.status == 200)
            #expect(none.header("content-type") == Self.index)
            #expect((try self.json(none)["manifests"] as? [Any])?.isEmpty == true)
        }
    }

    @Test("with the upstream gone referrers come from what is stored, as the registry would describe them")
    func storedReferrers() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let signature = Self.signature(of: image, type: "application/a")
        let digest = upstream.addManifest(
            signature, mediaType: "application/vnd.oci.image.manifest.v1+json", in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.get("/v2/library/nginx/manifests/\(digest)")
            try await server.waitUntilStored(digest)
            upstream.stop()
            let response = try await server.get("/v2/library/nginx/referrers/\(image.manifestDigest)")
            #expect(response.header("x-amargo-cache") == "STALE")
            let entry = try #require((try self.json(response)["manifests"] as? [[String: Any]])?.first)
            #expect(entry["digest"] as? String == digest)
            #expect(entry["artifactType"] as? String == "application/a")
            #expect(entry["size"] as? Int == signature.count)
            #expect((entry["annotations"] as? [String: String])?["made"] == "here")
        }
    }

    @Test("_catalog lists what is stored, in pages")
    func catalog() async throws {
        let upstream = try ScriptedUpstream()
        for (seed, name) in ["library/a", "library/b", "org/c"].enumerated() {
            upstream.addImage(repository: name, seed: UInt64(seed + 1))
        }
        try await ServerHarness.run(upstream) { server async throws in
            for name in ["org/c", "a", "library/b"] {
                _ = try await server.get("/v2/\(name)/manifests/latest")
            }
            try await eventually("all are stored") { server.store.catalog.total.blobs == 3 }
            let all = try self.json(try await server.get("/v2/_catalog"))["repositories"] as? [String]
            #expect(all == ["library/a", "library/b", "org/c"])
            let page = try await server.get("/v2/_catalog?n=2")
            #expect(try self.json(page)["repositories"] as? [String] == ["library/a", "library/b"])
            #expect(page.header("link") == "</v2/_catalog?n=2&last=library/b>; rel=\"next\"")
            let rest = try await server.get("/v2/_catalog?n=2&last=library/b")
            #expect(try self.json(rest)["repositories"] as? [String] == ["org/c"])
            #expect(rest.header("link") == nil)
        }
    }
}
