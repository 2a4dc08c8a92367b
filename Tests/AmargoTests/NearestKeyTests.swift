import Testing

@testable import amargo

struct NearestKeyTests {
    @Test(
        "edits between two words",
        arguments: [
            ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("saturday", "sunday", 3),
            ("ab", "ba", 1), ("maxSize", "maxsize", 1), ("minFree", "mniFree", 1), ("listen", "listne", 1), ("abcd", "acbd", 1),
            ("flaw", "lawn", 2),
        ])
    func distance(_ first: String, _ second: String, _ expected: Int) {
        #expect(NearestKey.distance(first, second) == expected)
        #expect(NearestKey.distance(second, first) == expected)
    }

    @Test(
        "what somebody probably meant",
        arguments: [
            ("maxsize", "maxSize"), ("max_size", "maxSize"), ("maxSise", "maxSize"), ("minfree", "minFree"),
            ("minFre", "minFree"),
            ("pth", "path"), ("paht", "path"), ("PATH", "path"), ("banana", nil), ("x", nil), ("directory", nil),
        ] as [(String, String?)])
    func nearest(_ key: String, _ expected: String?) {
        #expect(NearestKey.of(key, among: ["path", "maxSize", "minFree"]) == expected)
    }

    @Test("of two that are as near, the first in the alphabet; of none, none")
    func ties() {
        #expect(NearestKey.of("cat", among: ["hat", "bat"]) == "bat")
        #expect(NearestKey.of("cat", among: [String]()) == nil)
    }
}
