import OCI
import Testing

/// UAX #15, 13: at most thirty non-starters in a row.
struct StreamSafeTests {
    private static func marks(_ count: Int) -> String { "e" + String(repeating: "\u{301}", count: count) }

    @Test("marks: thirty in a row are text, one more is not")
    func marks() {
        #expect(Limits.Documents.marks == 30)
        #expect(Self.marks(30).isStreamSafe)
        #expect(!Self.marks(31).isStreamSafe)
        #expect((Self.marks(30) + Self.marks(30)).isStreamSafe)
        #expect(!("a" + Self.marks(31) + "b").isStreamSafe)
        // Marks of other classes count as well, and so do those in front of everything.
        #expect(!String(repeating: "\u{323}\u{301}\u{344}", count: 11).isStreamSafe)
    }

    @Test(
        "what people write is text",
        arguments: ["", "nginx", "São Paulo", "Ṩ", "वाणिज्यिक", "שָׁלוֹם", "กิ่งก้านที่นี้", "Zą̊̈̃l̡g̷̛ơ", "👩‍👩‍👧‍👦", "한국어", "\u{F73}\u{F73}"])
    func text(_ text: String) { #expect(text.isStreamSafe) }
}
