import Testing

@testable import Upstream

/// RFC 9110, 10.2.3. Unix seconds are from `date -u -d … +%s`.
struct RetryAfterTests {
    @Test(
        "seconds",
        arguments: [("0", 0), ("60", 60), ("007", 7), ("86400", 86_400), ("86401", 86_400), ("99999999999999999999", 86_400)])
    func seconds(_ text: String, _ expected: Int) { #expect(RetryAfter.seconds(text, now: 0) == expected) }

    @Test(
        "a date is as far away as it is; one that has passed is now",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777, 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_700, 77),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_139, 60), ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_199, 1),
            ("Tue, 24 Nov 2026 17:00:30 GMT", 1_795_539_600, 30), ("Fri, 31 Dec 2100 00:00:00 GMT", 0, 86_400),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 1_700_000_000, 0),
        ] as [(String, Int64, Int)])
    func dates(_ text: String, _ now: Int64, _ expected: Int) { #expect(RetryAfter.seconds(text, now: now) == expected) }

    @Test(
        "anything else says nothing",
        arguments: [
            "", " ", "-1", "+1", "1.5", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
            "06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
        ])
    func others(_ text: String) { #expect(RetryAfter.seconds(text, now: 0) == nil) }
}
