import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// SIGHUP: what is configured anew is in force, what runs goes on, and what is wrong changes nothing.
    @Suite("Reload")
    struct ReloadTests {
        /// A server whose configuration is written again and again.
        private struct Subject {
            let amargo: AmargoProcess
            let pid: Int32

            init(_ amargo: AmargoProcess) async throws {
                self.amargo = amargo
                self.pid = try #require(await amargo.daemon.pid)
            }

            var port: Int { self.amargo.settings.port }
            var log: String { self.amargo.daemon.logText() }

            func get(_ path: String) async throws -> RawResponse { try await RawHTTPClient.get(port: self.port, path: path) }

            /// Lines of the log that hold a text.
            func lines(_ text: String) -> [String] {
                self.log.split(separator: "\n").map(String.init).filter { $0.contains(text) }
            }

            /// Puts a configuration in force, and returns the line that says what changed.
            func reload(_ settings: AmargoProcess.Settings) async throws -> String {
                try await self.reload(settings.configuration)
            }

            func reload(_ text: String, saying words: String = " Reloaded ") async throws -> String {
                let end = try self.logSize()
                try Data(text.utf8).write(to: self.amargo.configuration)
                kill(self.pid, SIGHUP)
                var line: String?
                try await eventually("the configuration is reloaded", every: .milliseconds(5)) {
                    line = try self.log(from: end).split(separator: "\n").last { $0.contains(words) }.map(String.init)
                    return line != nil
                }
                return try #require(line)
            }

            private func logSize() throws -> UInt64 {
                let file = try FileHandle(forReadingFrom: self.amargo.daemon.log)
                defer { try? file.close() }  // it was only read
                return try file.seekToEnd()
            }

            /// Whole lines of the log from a place on.
            private func log(from start: UInt64) throws -> String {
                let file = try FileHandle(forReadingFrom: self.amargo.daemon.log)
                defer { try? file.close() }  // it was only read
                try file.seek(toOffset: start)
                let text = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
                return String(text[..<(text.lastIndex(of: "\n") ?? text.startIndex)])
            }

            func refuse(_ text: String) async throws -> String {
                try await self.reload(text, saying: " ERROR The configuration was not reloaded, what was in force still is: ")
            }

            /// Files and sockets that it has open.
            func descriptors() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/\(self.pid)/fd").count
            }
        }

        private static func upstreamNames(_ subject: Subject) async throws -> [String] {
            let health = try await Curl.get("\(subject.amargo.url)/health")
            let object = try JSONSerialization.jsonObject(with: health.body) as? [String: Any]
            let upstreams = object?["upstreams"] as? [[String: Any]]
            return upstreams?.compactMap { $0["name"] as? String } ?? []
        }

        @Test("a tag's time, a registry more or less, and who may have what are in force at once")
        func registries() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let other = try ScriptedUpstream()
                let (first, second) = (
                    hub.addImage(repository: "library/nginx", seed: 1), hub.addImage(repository: "library/nginx", seed: 2)
                )
                let theirs = other.addImage(repository: "team/app", seed: 3)
                hub.setTag("latest", in: "library/nginx", to: first.manifestDigest)
                var settings = try lab.settings(upstream: hub.url)
                let subject = try await Subject(try await lab.amargo(settings))

                #expect(try await subject.get(first.manifestPath).header("docker-content-digest") == first.manifestDigest)
                hub.setTag("latest", in: "library/nginx", to: second.manifestDigest)
                // Believed for half an hour.
                #expect(try await subject.get(first.manifestPath).header("docker-content-digest") == first.manifestDigest)
                settings.cacheTTL = 0
                #expect(try await subject.reload(settings).hasSuffix(": [docker] cacheTtl 1800 → 0"))
                #expect(try await subject.get(first.manifestPath).header("docker-content-digest") == second.manifestDigest)

                let path = "/v2/other.example/team/app/manifests/latest"
                #expect(try await subject.get(path).status == 404)
                settings.others = [(["other.example"], other.url)]
                settings.upstreamLines = ["deny: [library/nginx]"]
                #expect(
                    try await subject.reload(settings).hasSuffix(
                        ": [docker] deny default → [\"library/nginx\"]; registry other0 added"))
                #expect(try await subject.get(path).body == theirs.manifest.bytes)
                #expect(try await subject.get(first.manifestPath).status == 403)
                #expect(try await Self.upstreamNames(subject).contains("other0"))

                settings.others = []
                settings.upstreamLines = []
                #expect(
                    try await subject.reload(settings).hasSuffix(
                        ": [docker] deny [\"library/nginx\"] → default; registry other0 removed"))
                // Stored or not: it is not among the configured ones.
                #expect(try await subject.get(path).status == 404)
                #expect(try await subject.get(first.manifestPath).body == second.manifest.bytes)
                #expect(try await !Self.upstreamNames(subject).contains("other0"))
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }

        @Test("a lower cap makes room at once, and a higher one takes what did not fit")
        func caps() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let images = (1...3).map {
                    hub.addImage(repository: "library/app\($0)", layerSizes: [5_000_000], seed: UInt64($0))
                }
                let large = hub.addImage(repository: "library/large", layerSizes: [12_000_000], seed: 9)
                let settings = try lab.settings(upstream: hub.url)
                let subject = try await Subject(try await lab.amargo(settings))
                func isStored(_ image: TestSupport.FixtureImage) -> Bool {
                    let hex = image.layerDigests[0].dropFirst(7)
                    let blob = settings.store.appendingPathComponent("blobs/sha256/\(hex.prefix(2))/\(hex)")
                    return FileManager.default.fileExists(atPath: blob.path)
                }
                for image in images {
                    #expect(try await subject.get(image.manifestPath).status == 200)
                    for blob in image.blobs { #expect(try await subject.get(image.blobPath(blob.digest)).body == blob.bytes) }
                    try await eventually("\(image.repository) is stored") { isStored(image) }
                }
                // Room for one or two of 5 MB, beside somewhat more than 1 MB of folders.
                let store = settings.configuration.replacingOccurrences(of: "  path:", with: "  maxSize: 12MB\n  path:")
                #expect(try await subject.reload(store).hasSuffix(": store.maxSize none → 12 MB"))
                try await eventually("an image is gone") { images.count(where: isStored) < 3 }
                #expect(images.count(where: isStored) > 0)
                let path = large.blobPath(large.layerDigests[0])
                #expect(try await subject.get(path).body == large.layers[0].bytes)
                #expect(!isStored(large))
                let higher = settings.configuration.replacingOccurrences(of: "  path:", with: "  maxSize: 100MB\n  path:")
                #expect(try await subject.reload(higher).hasSuffix(": store.maxSize 12 MB → 100 MB"))
                #expect(try await subject.get(path).body == large.layers[0].bytes)
                try await eventually("the large layer is stored") { isStored(large) }
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }

        @Test("the level of the log is in force for hits as well, unless an option said it")
        func logLevel() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let image = hub.addImage(repository: "library/nginx")
                let settings = try lab.settings(upstream: hub.url)
                let subject = try await Subject(try await lab.amargo(settings))
                func configuration(_ level: String) -> String { settings.configuration + "\n  level: \(level)\n" }
                func pull() async throws { #expect(try await subject.get(image.manifestPath).status == 200) }
                try await pull()
                try await eventually("the image is stored") {
                    try await subject.get(image.manifestPath).header("x-amargo-cache") == "HIT"
                }
                let hits = { subject.lines("Cache HIT: manifest").count }
                try await eventually("hits are logged") { hits() > 0 }
                #expect(try await subject.reload(configuration("warning")).hasSuffix(": log.level info → warning"))
                let before = hits()
                for _ in 0..<5 { try await pull() }
                #expect(try await subject.reload(configuration("info")).hasSuffix(": log.level warning → info"))
                try await pull()
                // The log is in order: those five would stand before this one.
                try await eventually("hits are logged again") { hits() > before }
                #expect(hits() == before + 1)
                #expect(await subject.amargo.terminate() == .code(0))

                var chosen = settings
                chosen.arguments = ["--log-level", "info"]
                let other = try await Subject(try await lab.amargo(chosen))
                #expect(try await other.reload(configuration("error")).hasSuffix(": nothing has changed"))
                try await pull()
                #expect(await other.amargo.terminate() == .code(0))
            }
        }

        @Test("what takes a restart is named, and stays as it is")
        func restarts() async throws {
            try await Lab.run { lab in
                var settings = try lab.settings(upstream: "http://127.0.0.1:9")
                let (port, store) = (settings.port, settings.store.path)
                settings.arguments = []
                let subject = try await Subject(try await lab.amargo(settings))
                settings.port = try LoopbackPort.free()
                settings.logFormat = "json"
                settings.extraLines = ["import:", "  watch: /nowhere"]
                let line = try await subject.reload(settings)
                #expect(line.hasSuffix(": nothing has changed"))
                for sentence in [
                    "server.listen takes a restart: it is still 127.0.0.1:\(port), not 127.0.0.1:\(settings.port)",
                    "import.watch takes a restart: it is still no folder, not /nowhere",
                    "log.format takes a restart: it is still text, not json",
                ] {
                    try await eventually("it is said: \(sentence)") { subject.lines(" WARNING \(sentence)").count == 1 }
                }
                #expect(try await Curl.get("\(subject.amargo.url)/health").status == 200)
                // The store is chosen by an option, which wins over the file.
                let elsewhere = settings.configuration.replacingOccurrences(of: "path: \(store)", with: "path: /elsewhere")
                _ = try await subject.reload(elsewhere)
                #expect(subject.lines("store.path").isEmpty)
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }

        @Test("a configuration that is wrong, or gone, changes nothing and says where; the next right one is taken")
        func wrong() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let image = hub.addImage(repository: "library/nginx")
                var settings = try lab.settings(upstream: hub.url)
                let subject = try await Subject(try await lab.amargo(settings))
                let file = subject.amargo.configuration.path
                let right = settings.configuration
                let cases: [(text: String, reason: String)] = [
                    (right + "\n  levle: info\n", "unknown key log.levle; did you mean log.level?"),
                    ("server:\n  listen: [\n", "\(file), line 3: this is not valid YAML"),
                    (right.replacingOccurrences(of: "cacheTtl: 1800", with: "cacheTtl: soon"), "not \"soon\""),
                    (
                        right.replacingOccurrences(
                            of: "    default: true", with: "    credentials: {username: a, passwordFile: /nowhere}"),
                        "repositories.docker: /nowhere cannot be read: No such file or directory"
                    ),
                    (
                        right.replacingOccurrences(of: "    default: true", with: "    ca: \(file)"),
                        "repositories.docker: \(file) holds no certificate"
                    ),
                ]
                for (text, reason) in cases {
                    let line = try await subject.refuse(text)
                    #expect(line.contains(reason), "\(line)")
                    #expect(try await subject.get(image.manifestPath).body == image.manifest.bytes)
                }
                try FileManager.default.removeItem(atPath: file)
                kill(subject.pid, SIGHUP)
                try await eventually("it is said that the file is gone") {
                    subject.lines("the configuration \(file) cannot be read: ").count == 1
                }
                // A pipe would be waited for, at this reload and for ever after.
                #expect(mkfifo(file, 0o600) == 0)
                kill(subject.pid, SIGHUP)
                try await eventually("it is said that it is no file") {
                    subject.lines("the configuration \(file) cannot be read: it is no file").count == 1
                }
                try FileManager.default.removeItem(atPath: file)
                #expect(try await subject.get(image.manifestPath).status == 200)
                settings.cacheTTL = 60
                #expect(try await subject.reload(settings).hasSuffix(": [docker] cacheTtl 1800 → 60"))
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }

        @Test(
            "a server that root has started on somebody's store keeps what only root may read, and says what it cannot read",
            SystemTests.needsRoot)
        func lostPermission() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let image = hub.addImage(repository: "library/nginx")
                var settings = try lab.settings(upstream: hub.url)
                let files = FileManager.default
                try files.createDirectory(at: settings.store, withIntermediateDirectories: true)
                try files.setAttributes([.ownerAccountID: 65_534, .posixPermissions: 0o700], ofItemAtPath: settings.store.path)
                try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: lab.folder.path)
                let secret = lab.folder.appendingPathComponent("secret").path
                try Data("canary-password\n".utf8).write(to: URL(fileURLWithPath: secret))
                try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secret)
                settings.upstreamLines = ["credentials: { username: user, passwordFile: \(secret) }"]
                let subject = try await Subject(try await lab.amargo(settings))
                #expect(try await subject.get(image.manifestPath).status == 200)

                // Its own password was read by root, and holds.
                settings.cacheTTL = 60
                #expect(try await subject.reload(settings).hasSuffix(": [docker] cacheTtl 1800 → 60"))
                let denial = "\(secret) cannot be read: Permission denied"
                try await eventually("it is said that the file cannot be read") {
                    subject.lines("WARNING repositories.docker: \(denial); the registry is asked as before").count == 1
                }
                #expect(try await subject.get(image.manifestPath).status == 200)

                let before = settings.configuration
                settings.others = [(["other.example"], hub.url)]
                let text = settings.configuration.replacingOccurrences(
                    of: "    namespaces: [\"other.example\"]\n",
                    with: "    namespaces: [other.example]\n    credentials: { username: user, passwordFile: \(secret) }\n")
                let line = try await subject.refuse(text)
                #expect(
                    line.hasSuffix(
                        "repositories.other0: \(denial); Amargo has become user 65534, the store's owner, since root started it: "
                            + "let that user read it, or restart Amargo"), "\(line)")
                #expect(try await !Self.upstreamNames(subject).contains("other0"))
                // The file that says all this may be root's as well.
                try Data(before.utf8).write(to: subject.amargo.configuration)
                try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: subject.amargo.configuration.path)
                let unreadable = try await subject.refuse(before)
                #expect(
                    unreadable.contains(
                        "\(subject.amargo.configuration.path) cannot be read: permission denied; Amargo has become"))
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }

        @Test("a download of a registry that is removed goes on to its end, and then its connections are closed")
        func running() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let slow = try ScriptedUpstream()
                let gate = Gate()
                let bytes = Fixtures.pseudoRandomBytes(count: 2_000_000, seed: 5)
                let digest = slow.addBlob(bytes, in: "team/app")
                slow.script(.blob(digest), .holdAfter(bytes: 500_000, gate))
                var settings = try lab.settings(upstream: hub.url)
                settings.others = [(["slow.example"], slow.url)]
                settings.extraLines = []
                let subject = try await Subject(try await lab.amargo(settings))
                let path = "/v2/slow.example/team/app/blobs/\(digest)"
                async let answer = subject.get(path)
                try await gate.waitUntilReached()
                settings.others = []
                let text = settings.configuration + "\n  level: debug\n"
                #expect(try await subject.reload(text).hasSuffix("registry other0 removed"))
                #expect(try await subject.get(path).status == 404)
                // Some more reloads do not touch what still runs.
                for _ in 0..<3 { _ = try await subject.reload(text) }
                #expect(slow.openConnectionCount > 0)
                let closing = "[other0] The connections of its former configuration are closed"
                #expect(subject.lines(closing).isEmpty)
                gate.open()
                let got = try await answer
                #expect(got.isComplete && got.body == bytes)
                try await slow.waitForOpenConnections { $0 == 0 }
                try await eventually("the old client is closed") { subject.lines(closing).count == 1 }
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }

        @Test("a hundred reloads under load cut nobody off, and leave nothing behind", .timeLimit(.minutes(5)))
        func many() async throws {
            try await Lab.run { lab in
                let hub = try ScriptedUpstream()
                let images = (0..<40).map {
                    hub.addImage(repository: "library/app\($0)", layerSizes: [20_000, 300_000], seed: UInt64($0))
                }
                let settings = try lab.settings(upstream: hub.url)
                let subject = try await Subject(try await lab.amargo(settings))
                func configuration(_ round: Int) -> String {
                    var next = settings
                    next.cacheTTL = 1800 + round
                    // Two reloads of three make a new client.
                    next.upstreamLines = ["answerTimeout: \(20 + round / 3 * 2 + round % 3 / 2)s"]
                    return next.configuration + "\n  level: debug\n"
                }
                _ = try await subject.reload(configuration(0))
                #expect(try await subject.get(images[0].manifestPath).status == 200)
                let before = try subject.descriptors()

                try await withThrowingTaskGroup(of: Int.self) { group in
                    for client in 0..<4 {
                        group.addTask {
                            var pulls = 0
                            // Misses at first, hits afterwards, until all reloads are done.
                            while !Task.isCancelled {
                                let image = images[(pulls * 4 + client) % images.count]
                                let manifest = try await subject.get(image.manifestPath)
                                guard manifest.status == 200, manifest.body == image.manifest.bytes else {
                                    throw ConditionFailure(description: "\(manifest.status) \(manifest.text)")
                                }
                                for blob in image.blobs {
                                    let answer = try await subject.get(image.blobPath(blob.digest))
                                    guard answer.isComplete, answer.body == blob.bytes else {
                                        throw ConditionFailure(description: "\(answer.status), \(answer.ending)")
                                    }
                                }
                                pulls += 1
                            }
                            return pulls
                        }
                    }
                    for round in 1...100 {
                        _ = try await subject.reload(configuration(round), saying: "[docker] cacheTtl \(1800 + round - 1) → ")
                    }
                    group.cancelAll()
                    for try await pulls in group { #expect(pulls > 0) }
                }
                let replaced = subject.lines("[docker] answerTimeout ").count
                #expect(replaced > 50)
                try await eventually("every old client is closed") {
                    subject.lines("[docker] The connections of its former configuration are closed").count == replaced
                }
                // One client's connections, and stored files that are kept open for the next hit.
                try await eventually("what was opened is closed") { try subject.descriptors() <= before + 4 * images.count + 8 }
                #expect(subject.lines(" ERROR ").isEmpty && subject.lines(" WARNING ").isEmpty)
                #expect(await subject.amargo.terminate() == .code(0))
            }
        }
    }
}
