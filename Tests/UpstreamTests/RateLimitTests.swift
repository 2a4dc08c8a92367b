import Testing
import Upstream

/// Docker Hub's headers, `ratelimit-limit: 100;w=21600`, and how much longer a tag is believed when little remains.
struct RateLimitTests {
    @Test("count, limit and window are read")
    func reads() throws {
        let limit = try #require(RateLimit(remaining: "76;w=21600", limit: "100;w=21600"))
        #expect(limit.remaining == 76)
        #expect(limit.limit == 100)
        #expect(limit.window == .seconds(21_600))
    }

    @Test("a count without anything else is a count", arguments: [nil, "", "many", "-1;w=5"])
    func lone(_ text: String?) throws {
        let limit = try #require(RateLimit(remaining: "12", limit: text))
        #expect(limit.remaining == 12)
        #expect(limit.limit == nil)
        #expect(limit.stretch == 1, "of how many nobody knows")
    }

    @Test("what is no count is nothing", arguments: [nil, "", ";w=21600", "-3", "+3", "1.5", "99999999999999999999"])
    func nothing(_ text: String?) {
        #expect(RateLimit(remaining: text, limit: "100") == nil)
    }

    @Test(
        "below 20 % twice as long, below 10 % four times, below 5 % eight times",
        arguments: [(100, 1), (20, 1), (19, 2), (10, 2), (9, 4), (5, 4), (4, 8), (1, 8), (0, 8), (200, 1)])
    func stretch(_ remaining: Int, _ factor: Int) throws {
        #expect(try #require(RateLimit(remaining: "\(remaining);w=21600", limit: "100;w=21600")).stretch == factor)
    }

    @Test("a limit of none is no limit", arguments: [0, 5])
    func zero(_ remaining: Int) throws {
        #expect(try #require(RateLimit(remaining: "\(remaining)", limit: "0")).stretch == 1)
    }
}
