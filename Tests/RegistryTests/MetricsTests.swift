import Foundation
import OCI
import TestSupport
import Testing

/// What `/metrics` counts, against what was done.
@Suite struct MetricsTests {
    private static let image = "/v2/library/nginx/manifests/latest"

    @Test("every request, byte and question is counted once, by what it was and how it ended")
    func traffic() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", layerSizes: [1_000, 200_000])
        let manifest = image.manifest.bytes.count
        let config = image.config.bytes.count
        try await ServerHarness.run(upstream) { server async throws in
            let before = try await server.metrics()
            try await server.warm(image)
            for _ in 0..<2 { #expect(try await server.get(Self.image).status == 200) }
            #expect(try await server.get(Self.image, method: "HEAD").status == 200)
            #expect(try await server.blob(image.configDigest).status == 200)
            #expect(try await server.get("/v2/library/nginx/manifests/none").status == 404)
            for _ in 0..<2 { #expect(try await server.get("/v2/library/nginx/tags/list").status == 200) }
            #expect(try await server.get("/v2/").status == 200)
            #expect(try await server.get("/nothing").status == 404)
            try await server.expectQuiet()
            let after = try await server.metrics()

            let docker = #"upstream="docker""#
            let expected: [String: Double] = [
                #"amargo_requests_total{\#(docker),kind="manifest",outcome="miss"}"#: 1,
                #"amargo_requests_total{\#(docker),kind="manifest",outcome="hit"}"#: 3,
                #"amargo_requests_total{\#(docker),kind="manifest",outcome="absent"}"#: 1,
                #"amargo_requests_total{\#(docker),kind="blob",outcome="miss"}"#: 3,
                #"amargo_requests_total{\#(docker),kind="blob",outcome="hit"}"#: 1,
                #"amargo_requests_total{\#(docker),kind="list",outcome="miss"}"#: 1,
                #"amargo_requests_total{\#(docker),kind="list",outcome="hit"}"#: 1,
                // HEAD is no pull.
                "amargo_pulls_total{\(docker)}": 3,
                "amargo_served_bytes_total{\(docker)}": Double(3 * manifest + 2 * config + 201_000),
                "amargo_upstream_received_bytes_total{\(docker)}": Double(manifest + config + 201_000),
                // One manifest, three blobs, the tag that is none, the list.
                "amargo_upstream_questions_total{\(docker)}": 6,
                "amargo_upstream_requests_total{\(docker)}": 6,
                // Of those above with what was asked of this server alone, and the first look at the metrics.
                #"amargo_http_responses_total{class="2xx"}"#: 12,
                #"amargo_http_responses_total{class="4xx"}"#: 2,
                // Each with a connection of its own, and the second look's.
                "amargo_client_connections_accepted_total": 14,
            ]
            #expect(
                after.rise(
                    since: before, of: "amargo_requests_total", "amargo_pulls_total", "amargo_served_bytes",
                    "amargo_upstream_received",
                    "amargo_upstream_questions", "amargo_upstream_requests", "amargo_upstream_errors", "amargo_http_responses",
                    "amargo_client_connections_accepted", "amargo_client_connections_refused", "amargo_relays_total",
                    "amargo_evict", "amargo_store_refusals", "amargo_store_failures", "amargo_journal_failures") == expected)
            #expect(upstream.requests.count == 6)
            #expect(after["amargo_upstream_request_duration_seconds_count{\(docker)}"] == 6)
            #expect(after["amargo_store_blobs"] == 4)
            #expect(after["amargo_store_content_bytes"] == Double(manifest + config + 201_000))
            // Three blobs of a block each, and 200,000 bytes in blocks of 4,096.
            #expect(after[#"amargo_store_used_bytes{part="blobs"}"#] == Double(3 * 4_096 + 49 * 4_096))
            #expect(after["amargo_store_upstream_bytes{\(docker)}"] == Double(52 * 4_096))
            #expect((after["amargo_journal_sync_duration_seconds_count"] ?? 0) >= 1)
        }
    }

    @Test("two that want the same at once are one download; while it runs, it is seen")
    func collapsed() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 300_000, seed: 71)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 100_000, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let before = try await server.metrics()
            async let first = server.blob(digest)
            async let second = server.blob(digest)
            try await server.waitForMetric(#"amargo_downloads_followers{upstream="docker"}"#, 2)
            try await server.waitForMetric(#"amargo_downloads_awaited_bytes{upstream="docker"}"#, 200_000)
            #expect(try await server.metrics()[#"amargo_downloads_in_flight{upstream="docker"}"#] == 1)
            gate.open()
            #expect(try await first.body == bytes)
            #expect(try await second.body == bytes)
            try await server.expectQuiet()
            let after = try await server.metrics()
            let expected: [String: Double] = [
                #"amargo_requests_total{upstream="docker",kind="blob",outcome="miss"}"#: 1,
                #"amargo_requests_total{upstream="docker",kind="blob",outcome="collapsed"}"#: 1,
                #"amargo_served_bytes_total{upstream="docker"}"#: 600_000,
                #"amargo_upstream_received_bytes_total{upstream="docker"}"#: 300_000,
                #"amargo_upstream_questions_total{upstream="docker"}"#: 1,
            ]
            #expect(
                after.rise(
                    since: before, of: "amargo_requests_total", "amargo_served", "amargo_upstream_received",
                    "amargo_upstream_questions", "amargo_downloads") == expected)
        }
    }

    /// A way to fail, what it is counted as, and how the request ends.
    private static let failures: [(name: String, behaviour: Behaviour, kind: String, outcome: String)] = [
        ("429", .status(429), "rate_limited", "failed"), ("403", .status(403), "denied", "absent"),
        ("400", .status(400), "invalid", "failed"), ("503", .status(503), "server_error", "miss"),
        ("reset", .reset, "interrupted", "miss"), ("half", .closeAfter(bytes: 40), "interrupted", "miss"),
        ("slow", .stallBeforeHead(Gate(timeout: .seconds(2))), "timeout", "miss"),
    ]

    @Test("a registry's failures are counted by their class, each attempt once", arguments: Self.failures.indices)
    func errors(_ index: Int) async throws {
        let (name, behaviour, kind, outcome) = Self.failures[index]
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        // Once: what is worth asking again is had then.
        upstream.script(.manifest("latest"), behaviour)
        var options = ServerHarness.Options()
        options.tune = { if kind == "timeout" { $0.headTimeout = .milliseconds(300) } }
        try await ServerHarness.run(upstream, options) { server async throws in
            let before = try await server.metrics()
            let response = try await server.get(Self.image)
            if outcome == "miss" { #expect(response.body == image.manifest.bytes, "\(name)") }
            let expected: [String: Double] = [
                #"amargo_upstream_errors_total{upstream="docker",class="\#(kind)"}"#: 1,
                #"amargo_requests_total{upstream="docker",kind="manifest",outcome="\#(outcome)"}"#: 1,
                #"amargo_upstream_requests_total{upstream="docker"}"#: outcome == "miss" ? 2 : 1,
            ]
            let after = try await server.metrics()
            #expect(
                after.rise(since: before, of: "amargo_upstream_errors", "amargo_requests_total", "amargo_upstream_requests")
                    == expected,
                "\(name)")
        }
    }

    @Test("other content than asked for is counted, and so is a registry that is gone")
    func wrongAndGone() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        upstream.script(.manifest(image.manifestDigest), .corrupt(at: 3))
        upstream.scriptForever(
            .any, Behaviour.header("ratelimit-limit", "100;w=21600").and(.header("ratelimit-remaining", "60;w=21600")))
        try await ServerHarness.run(upstream) { server async throws in
            let before = try await server.metrics()
            #expect(before[#"amargo_upstream_last_answer_timestamp_seconds{upstream="docker"}"#] == nil)
            #expect(before[#"amargo_upstream_rate_limit{upstream="docker"}"#] == nil)
            #expect(before[#"amargo_upstream_up{upstream="docker"}"#] == 1)
            #expect(try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)").status == 502)
            let wrong = try await server.metrics()
            #expect(
                wrong.rise(since: before, of: "amargo_upstream_errors") == [
                    #"amargo_upstream_errors_total{upstream="docker",class="wrong_content"}"#: 1
                ])
            let answeredAt = try #require(wrong[#"amargo_upstream_last_answer_timestamp_seconds{upstream="docker"}"#])
            #expect(abs(answeredAt - Date().timeIntervalSince1970) < 60)

            #expect(try await server.get("/v2/library/nginx/tags/list").status == 200)
            let known = try await server.metrics()
            #expect(known[#"amargo_upstream_rate_limit{upstream="docker"}"#] == 100)
            #expect(known[#"amargo_upstream_rate_limit_remaining{upstream="docker"}"#] == 60)

            upstream.stop()
            #expect(try await server.get(Self.image).status == 502)
            let gone = try await server.metrics()
            // A connection that was kept open may be cut first; then nobody listens. Each request has failed in one way or the other.
            let errors = gone.rise(since: known, of: "amargo_upstream_errors")
            let requests = gone.rise(since: known, of: "amargo_upstream_requests")
            #expect(errors.values.reduce(0, +) == requests.values.reduce(0, +), "\(errors) \(requests)")
            #expect((errors[#"amargo_upstream_errors_total{upstream="docker",class="unreachable"}"#] ?? 0) >= 1, "\(errors)")
            #expect(gone[#"amargo_upstream_up{upstream="docker"}"#] == 0)
            let place = #"amargo_upstream_circuit_open{upstream="docker",place="\#(upstream.url)"}"#
            #expect(gone[place] == 0)
            try await eventually("it is left alone") {
                _ = try await server.get("/v2/library/nginx/manifests/x\(UInt32.random(in: .min ... .max))")
                return try await server.metrics()[place] == 1
            }
            let health = try await server.get("/health").text
            #expect(health.contains("\"latencySeconds\":0."))
            #expect(!health.contains("\"errors\":0"))
        }
    }

    @Test("what does not fit is counted as refused, what goes for it as evicted")
    func room() async throws {
        let upstream = try ScriptedUpstream()
        let first = upstream.addImage(repository: "library/a", layerSizes: [2_500_000], seed: 1)
        let second = upstream.addImage(repository: "library/b", layerSizes: [2_500_000], seed: 2)
        let large = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 5_000_000, seed: 3), in: "library/c")
        // An empty store takes 2.2 MB for its folders.
        try await ServerHarness.run(upstream, .init(maxSize: 7_000_000)) { server async throws in
            let before = try await server.metrics()
            #expect(before["amargo_store_max_bytes"] == 7_000_000)
            try await server.warm(first)
            try await server.warm(second)
            #expect(try await server.blob(large, in: "library/c").isComplete)
            try await server.expectQuiet()
            let after = try await server.metrics()
            let expected: [String: Double] = [
                #"amargo_evictions_total{reason="least_recently_pulled"}"#: 1,
                // A manifest, a configuration and 611 blocks of a layer.
                #"amargo_evicted_bytes_total{reason="least_recently_pulled"}"#: 613 * 4_096,
                #"amargo_store_refusals_total{reason="max_size"}"#: 1, "amargo_relays_total": 1,
            ]
            #expect(after.rise(since: before, of: "amargo_evict", "amargo_store_refusals", "amargo_relays") == expected)
        }
    }

    @Test("damaged content is counted, and what lies in quarantine")
    func damage() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Array("content".utf8), in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            let before = try await server.metrics()
            server.store.quarantine(try Digest(parsing: digest))
            let after = try await server.metrics()
            #expect(
                after.rise(since: before, of: "amargo_damaged", "amargo_store_used_bytes{part=\"q", "amargo_store_blobs") == [
                    "amargo_damaged_blobs_total": 1, #"amargo_store_used_bytes{part="quarantine"}"#: 4_096,
                    "amargo_store_blobs": -1,
                ])
        }
    }

    @Test("all families are there from the start, always in the same order, and promtool has no complaint")
    func shape() async throws {
        let upstream = try ScriptedUpstream()
        let folder = try TemporaryDirectory()
        try await ServerHarness.run(upstream) { server async throws in
            let samples = try await server.metrics()
            #expect(samples.families == Self.families)
            _ = try await server.get(Self.image)
            #expect(try await server.metrics().families == Self.families)
            // Every class of every counter is there before anything has happened.
            #expect(samples.values.keys.filter { $0.hasPrefix("amargo_requests_total") }.count == 21)
            #expect(samples.values.keys.filter { $0.hasPrefix("amargo_upstream_errors_total") }.count == 8)
            #expect(samples.values.filter { $0.key.contains("_total") && !$0.key.hasPrefix("process") }.values.max() ?? 0 <= 1)
            let file = folder.path("metrics")
            try samples.text.write(toFile: file, atomically: true, encoding: .utf8)
            let verdict = try await onThread {
                try ShellCommand.run(["sh", "-c", "promtool check metrics < \"$1\" 2>&1", "sh", file])
            }
            #expect(verdict.status == 0, "\(String(decoding: verdict.output, as: UTF8.self))")
            #expect(verdict.output.isEmpty, "\(String(decoding: verdict.output, as: UTF8.self))")

            let head = try await server.get("/metrics", method: "HEAD")
            #expect(head.status == 200)
            #expect(Int(head.header("content-length") ?? "") ?? 0 > 10_000)
            #expect(head.body.isEmpty)
            #expect(try await server.get("/metrics?x=1").status == 200)
            #expect(try await server.get("/metrics", method: "POST").status == 405)
        }
    }

    @Test("the process is what the kernel says it is")
    func process() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let samples = try await server.metrics()
            var limit = rlimit()
            #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            #expect(samples["process_max_fds"] == Double(limit.rlim_cur))
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
            // Other tests open and close some meanwhile.
            #expect(abs((samples["process_open_fds"] ?? 0) - Double(open)) < 2_000)
            #expect((samples["process_open_fds"] ?? 0) > 5)
            #expect((samples["process_cpu_seconds_total"] ?? 0) > 0)
            let resident = try #require(samples["process_resident_memory_bytes"])
            #expect(resident > 5e6 && resident < (samples["process_virtual_memory_bytes"] ?? 0))
            let start = try #require(samples["process_start_time_seconds"])
            // proc(5): when the system began, in seconds, and when the process did, in ticks since then.
            let system = try String(contentsOfFile: "/proc/stat", encoding: .utf8)
            let boot = try #require(system.firstMatch(of: /(?m)^btime ([0-9]+)$/).flatMap { Double($0.1) })
            let own = try String(contentsOfFile: "/proc/self/stat", encoding: .utf8)
            let ticks = try #require(own.wholeMatch(of: /(?s).*\)(?: \S+){19} ([0-9]+) .*/).flatMap { Double($0.1) })
            #expect(abs(start - (boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK))))) < 3)
            #expect(start <= Date().timeIntervalSince1970)
            // It stands still.
            #expect(try await server.metrics()["process_start_time_seconds"] == start)
        }
    }

    @Test("fifty who ask at once are all answered")
    func many() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<50 {
                    group.addTask { try await server.get("/metrics").text.hasSuffix("\n") }
                }
                for try await isWhole in group { #expect(isWhole) }
            }
        }
    }

    /// The server of these tests checks no store: the scrub's families are missing.
    private static let families = """
        amargo_build_info amargo_degraded amargo_requests_total amargo_pulls_total amargo_served_bytes_total
        amargo_upstream_received_bytes_total amargo_upstream_questions_total amargo_upstream_up amargo_upstream_circuit_open
        amargo_upstream_requests_total amargo_upstream_request_duration_seconds amargo_upstream_errors_total
        amargo_upstream_last_answer_timestamp_seconds amargo_upstream_rate_limit amargo_upstream_rate_limit_remaining
        amargo_downloads_in_flight amargo_downloads_awaited_bytes amargo_downloads_followers amargo_relays_in_flight amargo_relays_total
        amargo_store_blobs amargo_store_content_bytes amargo_store_used_bytes amargo_store_max_bytes amargo_store_min_free_bytes
        amargo_store_filesystem_available_bytes amargo_store_filesystem_bytes amargo_store_upstream_bytes
        amargo_store_upstream_max_bytes amargo_evictions_total amargo_evicted_bytes_total amargo_store_refusals_total
        amargo_store_failures_total amargo_journal_bytes amargo_journal_sync_duration_seconds amargo_journal_failures_total
        amargo_journal_rewrites_total amargo_damaged_blobs_total amargo_client_connections amargo_client_connections_limit
        amargo_client_connections_accepted_total amargo_client_connections_refused_total amargo_http_responses_total
        amargo_log_lines_dropped_total process_cpu_seconds_total process_resident_memory_bytes process_virtual_memory_bytes
        process_open_fds process_max_fds process_start_time_seconds
        """.split(whereSeparator: \.isWhitespace).map(String.init)
}
