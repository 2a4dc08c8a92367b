import Foundation
import Testing

extension SystemTests {
    /// A process that may open few files serves few at a time, and never stops serving.
    @Suite("Descriptors")
    struct DescriptorTests {
        @Test("with 64 descriptors, 200 idle connections keep nobody from being served, and cost no time")
        func fewDescriptors() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let digest = try await upstream.addSparseBlob(size: 1 << 20, to: "library/small")
                var settings = try lab.settings(upstream: upstream.url)
                settings.descriptors = 64
                let amargo = try await lab.amargo(settings)
                #expect(amargo.daemon.logText().contains("only 4 connections"))
                try await Self.serves(amargo, digest, beside: 200, in: lab)
            }
        }

        @Test("when the kernel has no descriptor for another connection, accepting pauses and idle connections go")
        func exhausted() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let digest = try await upstream.addSparseBlob(size: 1 << 20, to: "library/small")
                let amargo = try await lab.amargo(upstream: upstream.url)
                // Taken away while it runs, so that its own limits know nothing of it.
                let pid = try #require(await amargo.daemon.pid)
                let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
                try await Command(.prlimit, ["--pid", "\(pid)", "--nofile=\(open + 24)"]).run()
                try await Self.serves(amargo, digest, beside: 200, in: lab)
                let warnings = amargo.daemon.logText().components(separatedBy: "No descriptor is left").count - 1
                #expect(warnings == 1, "once a minute at most")
            }
        }

        private static func serves(_ amargo: AmargoProcess, _ digest: String, beside count: Int, in lab: Lab) async throws {
            let url = "\(amargo.url)/v2/library/small/blobs/\(digest)"
            let before = try await amargo.processorTime()
            let idle = try IdleConnections(count, to: amargo.settings.port, in: try lab.newFolder("idle"))
            try await lab.start(idle.daemon) { idle.daemon.logText().contains("connected") }
            let start = ContinuousClock.now
            // Once from upstream, once from the store: a spool file, a connection and a stored file are to be had.
            for _ in 0..<2 {
                try await eventually("a good client is served", within: .seconds(15)) {
                    // A 503, or a connection that is closed, is what may happen in the first second.
                    let response = try? await Curl.get(url)
                    return response?.status == 200 && response?.body.count == 1 << 20
                }
            }
            #expect(start.duration(to: .now) < .seconds(15))
            // Spinning, it would take as long as it runs, at the least.
            try await Task.sleep(for: .seconds(3))
            #expect(try await amargo.processorTime() - before < 2)
            await idle.daemon.terminate()
            try await eventually("everybody is served again") { try await Curl.get("\(amargo.url)/v2/").status == 200 }
        }
    }
}
