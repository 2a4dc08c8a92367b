import Testing

@testable import amargo

struct QuantityTests {
    @Test(
        "sizes as people write them",
        arguments: [
            ("0", 0), ("1", 1), ("1000", 1_000), ("9223372036854775807", .max), ("10GB", 10_000_000_000),
            ("10GiB", 10_737_418_240),
            ("1TB", 1_000_000_000_000), ("1TiB", 1_099_511_627_776), ("512MiB", 536_870_912), ("200GB", 200_000_000_000),
            ("1KiB", 1_024), ("1kB", 1_000), ("1KB", 1_000), ("5MB", 5_000_000), ("5B", 5), ("1K", 1_000), ("1M", 1_000_000),
            ("1G", 1_000_000_000), ("1T", 1_000_000_000_000), ("1.5GB", 1_500_000_000), ("0.5KiB", 512),
            ("10 GB", 10_000_000_000),
            ("1_000", 1_000), ("0GB", 0),
        ] as [(String, Int64)])
    func bytes(_ text: String, _ expected: Int64) {
        #expect(Quantity.bytes(text) == expected)
    }

    @Test(
        "junk is no size",
        arguments: [
            "", " ", "GB", "B", "-1", "-1GB", "+1", "+1GB", "1XB", "1gb", "1mb", "1PB", "1GBB", "GB1", "1G B x", "one", "1,5GB",
            "1.5",
            "1e3",
            "0x10", "0x10GB", "0x1p4GB", "1e3GB", "1.GB", ".5GB", "1..5GB", "1.5.5GB", "nan", "nanGB", "infGB", "inf",
            "10000000TiB",
            "99999999999999999999", "99999999999999999999GB", "\u{661}GB", "1\u{661}GB", "1GB\n", "~",
        ])
    func noBytes(_ text: String) {
        #expect(Quantity.bytes(text) == nil)
    }

    @Test(
        "durations as people write them",
        arguments: [
            ("0", 0), ("1800", 1_800), ("30s", 30), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("0s", 0),
            ("3650d", 315_360_000), ("315360000", 315_360_000),
        ] as [(String, Int64)])
    func seconds(_ text: String, _ expected: Int64) {
        #expect(Quantity.seconds(text) == expected)
    }

    @Test(
        "junk is no duration",
        arguments: [
            "", "s", "m", "-1", "-1s", "+1", "+1m", "1.5h", "1w", "1y", "30min", "30 m", "m30", "1h30m", "1e3s", "0x10s",
            "315360001",
            "3651d", "106751991167301d", "9223372036854775807d", "99999999999999999999", "\u{661}s", "30M", "half an hour",
        ])
    func noSeconds(_ text: String) {
        #expect(Quantity.seconds(text) == nil)
    }

    @Test(
        "sizes for people",
        arguments: [
            (0, "0 bytes"), (999, "999 bytes"), (1_000, "1 kB"), (1_500, "1.5 kB"), (999_999, "999.9 kB"), (1_000_000, "1 MB"),
            (1_500_000_000, "1.5 GB"), (2_000_000_000_000, "2 TB"), (.max, "9223372 TB"),
        ] as [(Int64, String)])
    func describes(_ bytes: Int64, _ expected: String) {
        #expect(Quantity.describe(bytes: bytes) == expected)
    }
}
