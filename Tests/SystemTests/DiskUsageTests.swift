import Foundation
import Testing

extension SystemTests {
    /// `du` by the real program: beside coreutils' du, beside what rm frees, and read by the programs that it is for.
    @Suite("Disk usage")
    struct DiskUsageTests {
        private static let names = ["library/one", "library/two", "org/same"]

        private struct Store {
            let lab: Lab
            let amargo: AmargoProcess
            let one: FixtureImage
            let two: FixtureImage

            var url: URL { self.amargo.settings.store }

            func du(_ arguments: [String], environment: [String: String] = [:]) async throws -> Command.Result {
                var command = Command(
                    try AmargoProcess.binary(), ["du"] + arguments + ["--config", self.amargo.configuration.path])
                command.environment = environment
                return try await command.outcome()
            }

            /// The lines that `--format json` prints.
            func lines(_ arguments: [String]) async throws -> [[String: Any]] {
                let result = try await self.du(arguments + ["--format", "json"])
                #expect(result.succeeded, "\(arguments): \(result.errorText)")
                return try result.text.split(separator: "\n").compactMap { line in
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                }
            }

            /// What coreutils says, in bytes.
            func bytes(_ script: String) async throws -> Int {
                let text = try await Command(.shell, ["-c", script, "sh", self.url.path]).run().text
                return try #require(Int(text.prefix { $0 != "\t" }), "\(text)")
            }

            func blobFiles() async throws -> Int {
                try await self.bytes("find \"$1\"/blobs -type f -print0 | du --block-size=1 --files0-from=- -c | tail -n 1")
            }

            /// What these blobs take on the disk.
            func bytes(of digests: [String]) async throws -> Int {
                let files = digests.map { digest in
                    let hex = digest.dropFirst("sha256:".count)
                    return "\"$1\"/blobs/sha256/\(hex.prefix(2))/\(hex)"
                }
                return try await self.bytes("du --block-size=1 -c \(files.joined(separator: " ")) | tail -n 1")
            }
        }

        /// Three names of two images with one layer in common: `one` and `same` are the same image in two repositories.
        private static func run(_ test: @Sendable (Store) async throws -> Void) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let one = try await lab.images.image(printing: "one", as: .oci, randomLayers: 1, layerSize: 300_000)
                let two = try await lab.images.image(printing: "two", as: .oci, randomLayers: 1, layerSize: 90_000)
                for (name, image) in zip(Self.names, [one, two, one]) { try await upstream.push(image, as: name, tag: "v1") }
                let amargo = try await lab.amargo(upstream: upstream.url)
                let binary = try AmargoProcess.binary()
                let warmed = try await Command(
                    binary, ["warm"] + Self.names.map { "\($0):v1" } + ["--config", amargo.configuration.path]
                ).outcome()
                #expect(warmed.succeeded, "\(warmed.errorText)")
                try await test(Store(lab: lab, amargo: amargo, one: one, two: two))
            }
        }

        @Test("beside a server and without one the totals are coreutils', and the parts what was worked out by hand")
        func totals() async throws {
            try await Self.run { store in
                // The blobs are busybox, a random layer and the config.
                let busybox = store.one.blobs[0].digest
                #expect(store.two.blobs[0].digest == busybox)
                let own = store.two.blobs.dropFirst().map(\.digest) + [store.two.root.digest]
                let same = store.one.blobs.dropFirst().map(\.digest) + [store.one.root.digest]
                let (all, shared) = (try await store.blobFiles(), try await store.bytes(of: [busybox]))
                let (unique, twice) = (try await store.bytes(of: own), try await store.bytes(of: same))
                #expect(all == shared + unique + twice)
                for isServing in [true, false] {
                    if !isServing { #expect(await store.amargo.terminate() == .code(0)) }
                    let lines = try await store.lines(["--sort", "name"])
                    let total = try #require(lines.last)
                    #expect(total["allocatedBytes"] as? Int == all)
                    #expect(total["images"] as? Int == 3)
                    #expect(total["blobs"] as? Int == 7)
                    #expect(lines.map { $0["name"] as? String } == Self.names.map { "docker.io/\($0):v1" } + [nil])
                    #expect(lines.map { $0["uniqueBytes"] as? Int } == [0, unique, 0, nil])
                    #expect(lines.map { $0["sharedBytes"] as? Int } == [shared + twice, shared, shared + twice, nil])
                    let attributed = lines.dropLast().compactMap { $0["attributedBytes"] as? Int }
                    #expect(attributed.reduce(0, +) == all)
                    #expect(attributed[1] - unique == shared / 3)
                    let registries = try await store.lines(["--by", "registry"])
                    #expect(registries[0]["uniqueBytes"] as? Int == all)
                    #expect(try await store.lines(["--by", "layer"]).count == 8)
                    // Everything: links count once, and what is beside the blobs is counted, too.
                    let kept = try #require(total["store"] as? [String: Any])
                    let beside = kept.filter { $0.key.hasSuffix("Bytes") && $0.key != "freeBytes" }.values.compactMap {
                        $0 as? Int
                    }
                    if !isServing {
                        #expect(try await store.bytes("du -s --block-size=1 \"$1\"") == all + beside.reduce(0, +))
                    }
                }
            }
        }

        @Test("--without promises what rm frees, alone and together")
        func without() async throws {
            try await Self.run { store in
                let binary = try AmargoProcess.binary()
                let before = try await store.blobFiles()
                let alone = try await store.lines(["--without", "one:v1"])
                #expect(alone.last?["freedBytes"] as? Int == 0)
                #expect((alone[0]["keptFor"] as? [[String: Any]])?.first?["image"] as? String == "docker.io/org/same:v1")
                let both = try await store.lines(["--without", "one:v1", "org/same:v1"])
                let promised = try #require(both.last?["freedBytes"] as? Int)
                #expect(promised > 300_000)
                #expect(try await store.lines(["--without", "*:v1"]).last?["freedBytes"] as? Int == before)
                let table = try await store.du(["--without", "one:v1", "org/same:v1"])
                #expect(table.text.contains("Removing these 2 images together would free"))
                #expect(table.text.contains("stay for docker.io/library/two:v1"))
                let removed = try await Command(
                    binary, ["rm", "one:v1", "org/same:v1", "--config", store.amargo.configuration.path]
                ).outcome()
                #expect(removed.succeeded, "\(removed.errorText)")
                #expect(try await store.blobFiles() == before - promised)
                let unknown = try await store.du(["--without", "one:v1", "two:v1"])
                #expect(unknown.exit == .code(1))
                #expect(unknown.errorText.contains("one:v1 is no stored image"))
                #expect(unknown.text.contains("Removing this image would free"))
            }
        }

        @Test("CSV is read by Python's reader, JSON by jq, and a tree is as wide as its terminal")
        func formats() async throws {
            try await Self.run { store in
                let csv = store.lab.folder.appendingPathComponent("usage.csv")
                try await store.du(["--by", "tag", "--format", "csv"]).output.write(to: csv)
                let script = """
                    import csv, sys
                    rows = list(csv.DictReader(open(sys.argv[1], newline=""), strict=True))
                    print(len(rows), sum(int(row["attributed_bytes"]) for row in rows), {row["kind"] for row in rows} == {"tag"})
                    """
                let read = try await Command(.python, ["-c", script, csv.path]).run().text
                #expect(read == "3 \(try await store.blobFiles()) True")
                let json = store.lab.folder.appendingPathComponent("usage.json")
                try await store.du(["--tree", "--format", "json"]).output.write(to: json)
                let sum = try await Command(
                    .jq,
                    [
                        "-c",
                        "[([.tree[].attributedBytes] | add) == .total.allocatedBytes, .tree[0].children[0].children[0].name]",
                        json.path,
                    ]
                ).run().text
                #expect(sum.hasPrefix("[true,"))
                // A terminal of 60 columns, whose locale has no bars of its own.
                let binary = try AmargoProcess.binary().path
                for (locale, bar) in [("C.UTF-8", "█"), ("C", "#")] {
                    let shown = try await Command(
                        Program(name: "script", package: "bsdutils").url(),
                        [
                            "-qec",
                            "stty cols 60; LC_ALL=\(locale) \(binary) du --tree --config \(store.amargo.configuration.path)",
                            "/dev/null",
                        ]
                    ).run().text
                    let lines = shown.replacingOccurrences(of: "\r", with: "").split(separator: "\n")
                    let tree = lines.prefix { !$0.hasPrefix("Total") }
                    #expect(tree.allSatisfy { $0.count < 60 }, "\(shown)")
                    #expect(shown.contains(bar), "\(shown)")
                    #expect(shown.contains("library/two"))
                }
            }
        }

        @Test("images are chosen by name and by age, and what matches nothing says so")
        func chosen() async throws {
            try await Lab.run { lab in
                let folder = lab.folder.appendingPathComponent("generated")
                let tool = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                    .appendingPathComponent("Tools/make-store.py")
                // Twenty-two blobs of a block each: two images of eleven, that were stored in November 2025.
                try await Command(.python, [tool.path, folder.path, "22"]).run()
                let binary = try AmargoProcess.binary()
                func du(_ arguments: [String]) async throws -> Command.Result {
                    try await Command(binary, ["du", "--store", folder.path] + arguments).outcome()
                }
                let old = try await du(["--older-than", "30d", "--format", "json"])
                #expect(old.succeeded, "\(old.errorText)")
                #expect(old.text.contains("\"chosen\":{\"logicalBytes\":"))
                #expect(
                    old.text.contains(
                        "\"uniqueBytes\":90112,\"sharedBytes\":0,\"attributedBytes\":90112,\"blobs\":22,\"images\":2"))
                let none = try await du(["--older-than", "3650d"])
                #expect(none.exit == .code(1))
                #expect(none.errorText.contains("no stored image is like that"), "\(none.errorText)")
                let one = try await du(["image-0:1"])
                #expect(one.text.contains("Chosen   1 image: removing all of them frees 45 kB"), "\(one.text)")
                #expect(try await du(["nginx"]).exit == .code(1))
                #expect(try await du(["--older-than", "soon"]).exit == .code(64))
                let estimate = try await du(["--estimate"])
                #expect(estimate.text.contains("Total    90.1 kB (estimated) in 22 blobs: 2 images"), "\(estimate.text)")
                let missing = try await Command(binary, ["du", "--store", folder.path + "-none"]).outcome()
                #expect(missing.exit == .code(1))
                #expect(missing.errorText.contains("there is no store at"))
            }
        }

        @Test("somebody else's store is named as such", SystemTests.needsRoot)
        func somebodyElses() async throws {
            try await Self.run { store in
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: store.lab.folder.path)
                let result = try await Command(
                    Program(name: "setpriv", package: "util-linux").url(),
                    [
                        "--reuid=65534", "--regid=65534", "--clear-groups", try AmargoProcess.binary().path, "du", "--store",
                        store.url.path,
                    ]
                ).outcome()
                #expect(result.exit == .code(1))
                #expect(
                    result.errorText.contains("it belongs to somebody else, so run this as root or as its owner"),
                    "\(result.errorText)")
            }
        }
    }
}
