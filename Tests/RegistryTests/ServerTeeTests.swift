import TestSupport
import Testing

/// One upstream GET for everybody, each client at its own speed, nothing lost when one leaves.
@Suite struct ServerTeeTests {
    private let size = 8 << 20

    @Test("64 clients on one absent blob cause one upstream GET, and every body is right")
    func singleFlight() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: self.size, seed: 1)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 1 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for _ in 0..<64 { clients.addTask { try await server.blob(digest) } }
                try await gate.waitUntilReached()
                gate.open()
                for try await response in clients {
                    #expect(response.status == 200)
                    #expect(response.isComplete)
                    #expect(response.body == bytes)
                    #expect(response.header("docker-content-digest") == digest)
                }
            }
            #expect(upstream.requests("GET", contains: digest).count == 1)
            try await server.waitUntilStored(digest)
            try await server.expectQuiet()
            let hit = try await server.blob(digest)
            #expect(hit.header("x-amargo-cache") == "HIT")
            #expect(hit.body == bytes)
        }
    }

    @Test("a client that comes late starts at the beginning, without another request")
    func lateJoiner() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: self.size, seed: 2)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 6 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let first = try await RawConnection.connect(server.port)
            try await first.request("GET", "/v2/library/nginx/blobs/\(digest)")
            _ = try await first.readHead()
            _ = try await first.readBody(count: 5 << 20)
            let second = try await RawConnection.connect(server.port)
            try await second.request("GET", "/v2/library/nginx/blobs/\(digest)")
            let head = try await second.readHead()
            #expect(head.header("x-amargo-cache") == "MISS")
            #expect(head.header("cache-status") == "amargo; fwd=miss; collapsed")
            // What has come already is there at once, while the upstream holds the rest back.
            let early = try await second.readBody(count: 5 << 20)
            gate.open()
            let rest = try await second.readToEnd()
            #expect(early + rest.bytes == bytes)
            #expect(rest.isComplete)
            #expect(upstream.requests("GET", contains: digest).count == 1)
            first.close()
            second.close()
        }
    }

    @Test("C2: a client that does not read keeps neither the download nor another client waiting")
    func slowClient() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 32 << 20, seed: 3)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            let slow = try await RawConnection.connect(server.port, receiveBuffer: 4096)
            try await slow.request("GET", "/v2/library/nginx/blobs/\(digest)")
            _ = try await slow.readHead()
            let fast = try await server.blob(digest)
            #expect(fast.body == bytes)
            try await server.waitUntilStored(digest)
            let rest = try await slow.readToEnd()
            #expect(rest.bytes == bytes)
            #expect(rest.isComplete)
            slow.close()
        }
    }

    @Test("C1: a client that leaves takes nothing along: the download goes on to its end")
    func clientGone() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: self.size, seed: 4)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 2 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let client = try await RawConnection.connect(server.port)
            try await client.request("GET", "/v2/library/nginx/blobs/\(digest)")
            _ = try await client.readHead()
            _ = try await client.readBody(count: 1 << 20)
            client.reset()
            gate.open()
            try await server.waitUntilStored(digest)
            #expect(upstream.requests("GET", contains: digest).count == 1)
            let hit = try await server.blob(digest)
            #expect(hit.header("x-amargo-cache") == "HIT")
            #expect(hit.body == bytes)
        }
    }

    @Test("the head goes out when upstream's head is there, long before the bytes are")
    func headAtOnce() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: self.size, seed: 5)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 0, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let client = try await RawConnection.connect(server.port)
            try await client.request("GET", "/v2/library/nginx/blobs/\(digest)")
            let head = try await client.readHead()
            #expect(head.status == 200)
            #expect(head.header("content-length") == "\(bytes.count)")
            gate.open()
            #expect(try await client.readToEnd().bytes == bytes)
            client.close()
        }
    }

    @Test("a range of what is still coming is answered by 206 at once", arguments: [(0, 4 << 20), (1 << 20, 8 << 20)])
    func rangeWhileArriving(_ first: Int, _ end: Int) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: self.size, seed: 6)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 2 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let client = try await RawConnection.connect(server.port)
            let range = end == self.size ? "bytes=\(first)-" : "bytes=\(first)-\(end - 1)"
            try await client.request("GET", "/v2/library/nginx/blobs/\(digest)", headers: [("Range", range)])
            let head = try await client.readHead()
            #expect(head.status == 206)
            #expect(head.header("content-range") == "bytes \(first)-\(end - 1)/\(bytes.count)")
            let early = try await client.readBody(count: 512 << 10)
            gate.open()
            let rest = try await client.readToEnd()
            #expect(early + rest.bytes == Array(bytes[first..<end]))
            #expect(rest.isComplete)
            client.close()
        }
    }

    @Test(
        "many open ranges whose clients leave after their part, as containerd's parallel fetch does it", arguments: [false, true])
    func openRanges(_ isStored: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 64 << 20, seed: 8)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let part = 4 << 20
        try await ServerHarness.run(upstream) { server async throws in
            if isStored {
                _ = try await server.blob(digest)
                try await server.waitUntilStored(digest)
            }
            try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { clients in
                for number in 0..<16 {
                    clients.addTask {
                        let client = try await RawConnection.connect(server.port)
                        let start = number * part
                        try await client.request(
                            "GET", "/v2/library/nginx/blobs/\(digest)", headers: [("Range", "bytes=\(start)-")])
                        let head = try await client.readHead()
                        // An open range is never shortened.
                        #expect(head.header("content-range") == "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")
                        let read = try await client.readBody(count: part)
                        client.reset()
                        return (start, read)
                    }
                }
                for try await (start, read) in clients { #expect(read == Array(bytes[start..<start + part])) }
            }
            try await server.waitUntilStored(digest)
            try await server.expectQuiet()
            try await upstream.waitForOpenConnections { $0 <= 16 }
            #expect(try await server.blob(digest).body == bytes)
        }
    }

    @Test("a blob by sha512 is verified and stored like any other")
    func sha512() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 300_000, seed: 7)
        let digest = upstream.addBlob(bytes, in: "library/nginx", algorithm: "sha512")
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(digest).body == bytes)
            try await server.waitUntilStored(digest)
            upstream.stop()
            #expect(try await server.blob(digest).body == bytes)
        }
    }

    @Test("an empty blob is a blob")
    func empty() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob([], in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.blob(digest)
                #expect(response.status == 200)
                #expect(response.header("content-length") == "0")
                #expect(response.isComplete)
            }
        }
    }
}
