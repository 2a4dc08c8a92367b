extension String {
    /// Whether the text can be compared in bounded work.
    ///
    /// Swift compares and hashes texts by their canonical order, for which it sorts each run of combining marks by insertion: a
    /// megabyte of them in one key takes hours to be found different from "mediaType". Unicode bounds such runs for this very
    /// purpose; no language comes near the bound. Source: UAX #15, 13, "Stream-Safe Text Format",
    /// https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format
    package var isStreamSafe: Bool {
        // The first mark is U+0300, whose first byte is 0xCC.
        guard self.utf8.contains(where: { $0 >= 0xCC }) else { return true }
        var marks = 0
        for scalar in self.unicodeScalars {
            if scalar.value < 0x300 || scalar.properties.canonicalCombiningClass == .notReordered {
                marks = 0
            } else {
                marks += 1
                guard marks <= Limits.Documents.marks else { return false }
            }
        }
        return true
    }
}
