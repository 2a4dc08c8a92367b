import Testing

@testable import Archive
@testable import amargo

struct ExportPrinterTests {
    private static func image(_ gaps: [ExportGap]) -> ExportedImage {
        ExportedImage(
            name: "docker.io/library/nginx:alpine", digest: nil, mediaType: nil, state: .partial, platforms: [], layers: 0,
            referrers: 0, blobs: 0, bytes: 0, gaps: gaps, isDocker: false)
    }

    @Test("gaps with one cause are one line, with one command that mends them")
    func gaps() {
        let name = "docker.io/library/nginx:alpine"
        let image = Self.image([
            ExportGap("linux/arm64", "not stored", remedy: "amargo warm --platform linux/arm64 \(name)"),
            ExportGap("linux/s390x", "1 of its 3 blobs is not stored", remedy: "amargo warm --platform linux/s390x \(name)"),
            ExportGap("linux/arm/v7", "not stored", remedy: "amargo warm --platform linux/arm/v7 \(name)"),
            ExportGap("linux/mips", "the image has none for it"),
        ])
        #expect(
            ExportPrinter.gaps(image) == [
                "linux/arm64, linux/arm/v7: not stored; amargo warm --platform linux/arm64,linux/arm/v7 \(name)",
                "linux/s390x: 1 of its 3 blobs is not stored; amargo warm --platform linux/s390x \(name)",
                "linux/mips: the image has none for it",
            ])
    }

    @Test("progress has a total, a speed and the time left")
    func progress() {
        #expect(
            ExportPrinter.line(1_500_000_000, 6_000_000_000, .seconds(3)) == "1.5 GB of 6 GB, 25 %, 500 MB/s, 9 s left")
        #expect(ExportPrinter.line(0, 0, .seconds(3)) == "0 bytes of 0 bytes, 0 %")
    }
}
