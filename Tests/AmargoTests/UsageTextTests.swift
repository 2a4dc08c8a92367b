import ArgumentParser
import Maintenance
import OCI
import Testing

@testable import amargo

struct UsageTextTests {
    private static func node(_ name: String, _ bytes: Int64, _ children: [UsageTreeText.Node] = []) -> UsageTreeText.Node {
        var figures = DiskUsage.Figures()
        figures.attributed = bytes
        figures.unique = bytes / 2
        return UsageTreeText.Node(name: name, figures: figures, children: children)
    }

    private static let nodes = [
        node(
            "docker.io", 3_000_000,
            [
                node("library/nginx", 2_000_000, [node("1.27, latest", 2_000_000)]), node("library/redis", 750_000),
                node("org/x", 250_000),
            ]),
        node("ghcr.io", 1_000_000),
    ]

    @Test("a tree with bars, in eighths of a column")
    func tree() {
        let tree = UsageTreeText(order: .attributed, top: 2, shape: TerminalShape(columns: 70, isUnicode: true))
        let lines = tree.text(Self.nodes, whole: 0).split(separator: "\n").map(String.init)
        #expect(
            lines.map { String($0.prefix(18)) } == [
                "NAME              ", "docker.io         ", "├─ library/nginx  ", "│  └─ 1.27, latest", "├─ library/redis  ",
                "└─ … 1 more", "ghcr.io           ",
            ])
        #expect(lines.allSatisfy { $0.count <= 69 })
        let bars = lines.map { line in String(line.drop { !"█▏▎▍▌▋▊▉".contains($0) }) }
        // 75, 50, 50, 18.75 and 25 % of the columns that are left.
        #expect(bars[1].count > bars[2].count)
        #expect(bars[2] == bars[3])
        #expect(lines[1].contains("3 MB   75 %"))
        #expect(lines[4].contains("750 kB   19 %"))
    }

    @Test("bars are as long as their share, and what is there shows")
    func bars() {
        let unicode = TerminalShape(columns: 80, isUnicode: true)
        #expect(unicode.bar(0, of: 100, columns: 10) == "")
        #expect(unicode.bar(1, of: 1_000_000, columns: 10) == "▏")
        #expect(unicode.bar(50, of: 100, columns: 10) == "█████")
        #expect(unicode.bar(55, of: 100, columns: 10) == "█████▌")
        #expect(unicode.bar(100, of: 100, columns: 10) == "██████████")
        let plain = TerminalShape(columns: 80, isUnicode: false)
        #expect(plain.bar(1, of: 1_000_000, columns: 10) == "#")
        #expect(plain.bar(55, of: 100, columns: 10) == "######")
        #expect(plain.bar(100, of: 0, columns: 10) == "")
    }

    @Test("without Unicode a tree is of ASCII")
    func ascii() {
        let tree = UsageTreeText(order: .unique, top: 1, shape: TerminalShape(columns: 60, isUnicode: false))
        let text = tree.text(Self.nodes, whole: 4_000_000)
        #expect(text.utf8.allSatisfy { $0 < 0x80 })
        #expect(text.contains("|- ") || text.contains("`- "))
        #expect(text.contains("... 1 more"))
        #expect(text.hasPrefix("NAME"))
        #expect(text.contains("UNIQUE"))
    }

    @Test("fields that need it are quoted: RFC 4180")
    func csv() {
        #expect(CSVText.record(["a", "", "b c"]) == "a,,b c\r\n")
        #expect(CSVText.record(["a,b", "say \"x\"", "two\nlines"]) == "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n")
    }

    @Test(
        "a moment for programs has its seconds",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_795_510_142, "2026-11-24T08:49:02Z"), (951_827_696, "2000-02-29T12:34:56Z"),
        ] as [(Int64, String)])
    func instants(_ seconds: Int64, _ expected: String) {
        // date --utc --date=@SECONDS +%FT%TZ
        #expect(Quantity.instant(seconds) == expected)
    }

    @Test(
        "shares of a whole",
        arguments: [
            (0, 100, "0 %"), (1, 3, "33 %"), (1, 200, "0.5 %"), (1, 2000, "<0.1 %"), (99, 100, "99 %"), (100, 100, "100 %"),
            (5, 0, "0 %"),
        ] as [(Int64, Int64, String)])
    func percent(_ part: Int64, _ whole: Int64, _ expected: String) {
        #expect(UsageSummary.percent(part, of: whole) == expected)
    }

    @Test(
        "images are chosen by a beginning, a name or a pattern",
        arguments: [
            ("nginx", true), ("nginx:1.27", true), ("nginx:1.2", false), ("docker.io", true), ("docker.io/library/ng", true),
            ("library", true),
            ("ngin", false), ("*:1.27", true), ("nginx:*", true), ("library/*", true), ("redis", false), ("*redis*", false),
            ("ghcr.io", false),
            ("nginx@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
        ])
    func patterns(_ text: String, _ expected: Bool) throws {
        let settings = try Settings(storePath: "/nowhere")
        let digest = try Digest(parsing: "sha256:\(String(repeating: "a", count: 64))")
        let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
        #expect(ImagePattern(text, settings).matches(repository, try Tag(parsing: "1.27"), digest) == expected)
    }

    @Test(
        "what does not go together is refused",
        arguments: [
            ["--top", "0"], ["--older-than", "soon"], ["--tree", "--by", "layer"], ["--tree", "--format", "csv"],
            ["--by", "planet"],
            ["--without", "nginx", "--tree"], ["--sort", "taste"],
        ])
    func refused(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try DiskUsageCommand.parse(arguments) }
    }

    @Test("several images may follow --without")
    func without() throws {
        let command = try DiskUsageCommand.parse(["--without", "nginx:1", "redis", "--format", "json"])
        #expect(command.without == ["nginx:1", "redis"])
        #expect(command.format == .json)
    }
}
