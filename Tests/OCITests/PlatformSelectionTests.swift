import OCI
import Testing

/// What engines would take of an index.
struct PlatformSelectionTests {
    /// As the official images have it: alpine's index, with BuildKit's attestations.
    private static let alpine = [
        "linux/amd64", "unknown/unknown", "linux/arm/v6", "unknown/unknown", "linux/arm/v7", "unknown/unknown", "linux/arm64/v8",
        "unknown/unknown", "linux/386", "linux/ppc64le", "linux/riscv64", "linux/s390x",
    ]

    @Test(
        "a platform without a variant means the one that engines mean",
        arguments: [
            ("linux/amd64", ["linux/amd64"]), ("linux/x86_64", ["linux/amd64"]), ("linux/amd64/v1", ["linux/amd64"]),
            ("linux/arm64", ["linux/arm64/v8"]), ("linux/aarch64", ["linux/arm64/v8"]), ("linux/arm64/v8", ["linux/arm64/v8"]),
            ("linux/arm", ["linux/arm/v7"]), ("linux/arm/v7", ["linux/arm/v7"]), ("linux/arm/v6", ["linux/arm/v6"]),
            ("linux/armhf", ["linux/arm/v7"]), ("linux/i386", ["linux/386"]), ("LINUX/AMD64", ["linux/amd64"]),
        ])
    func one(_ wanted: String, _ expected: [String]) throws {
        let selection = PlatformSelection([try #require(Platform(parsing: wanted))])
        let choice = selection.choose(among: Self.alpine)
        #expect(choice.chosen.map { Self.alpine[$0] } == expected)
        #expect(choice.missing.isEmpty)
    }

    @Test("a processor runs what was made for an older one, and nothing newer")
    func older() throws {
        let v7 = PlatformSelection([try #require(Platform(parsing: "linux/arm/v7"))])
        #expect(v7.choose(among: ["linux/arm/v5", "linux/arm/v6"]).chosen == [1])
        let v6 = PlatformSelection([try #require(Platform(parsing: "linux/arm/v6"))])
        #expect(
            v6.choose(among: ["linux/arm/v7"])
                == .init(chosen: [], missing: [Platform(os: "linux", architecture: "arm", variant: "v6")]))
        let amd64 = PlatformSelection([try #require(Platform(parsing: "linux/amd64"))])
        #expect(amd64.choose(among: ["linux/amd64/v3"]).chosen.isEmpty)
    }

    @Test("all is all, and what says nothing of platforms is always wanted")
    func all() throws {
        #expect(PlatformSelection.all.choose(among: Self.alpine).chosen.count == Self.alpine.count)
        let one = PlatformSelection([try #require(Platform(parsing: "linux/s390x"))])
        #expect(one.choose(among: [nil, nil]) == .init(chosen: [0, 1], missing: []))
        #expect(one.choose(among: [nil, "linux/amd64"]).chosen == [0])
        #expect(one.choose(among: [nil, "linux/amd64"]).missing.count == 1)
        #expect(one.choose(among: []) == .init())
    }

    @Test("several, and every one that is not there is named")
    func several() throws {
        let selection = PlatformSelection(
            try ["linux/arm64", "windows/amd64", "linux/amd64"].map { try #require(Platform(parsing: $0)) })
        let choice = selection.choose(among: ["linux/amd64", "linux/arm64"])
        #expect(choice.chosen == [0, 1])
        #expect(choice.missing.map(\.description) == ["windows/amd64"])
    }

    @Test(
        "junk is no platform",
        arguments: ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux/amd64,linux/arm64", "*/x"])
    func junk(_ text: String) {
        #expect(Platform(parsing: text) == nil)
    }
}
