import Testing

@testable import PullThrough

/// U7: at most three ranged resumes within 30 seconds; 1 MiB of progress renews both.
struct ResumeBudgetTests {
    private static let start = ContinuousClock.now

    @Test("three in a row, not four")
    func three() {
        var budget = ResumeBudget(at: 0, time: .seconds(30))
        for expected in [true, true, true, false] {
            let mayResume = budget.spend(at: 1_048_575, now: Self.start)
            #expect(mayResume == expected)
        }
    }

    @Test("not after 30 seconds, however many are left")
    func time() {
        var budget = ResumeBudget(at: 0, time: .seconds(30))
        for (milliseconds, expected) in [(0, true), (29_999, true), (30_000, false)] {
            let mayResume = budget.spend(at: 5, now: Self.start + .milliseconds(milliseconds))
            #expect(mayResume == expected)
        }
    }

    @Test("each MiB of progress renews it")
    func progress() {
        var budget = ResumeBudget(at: 100, time: .seconds(30))
        for round in 1...10 {
            let position = Int64(100 + round * 1_048_576)
            let now = Self.start + .seconds(round * 60)
            for expected in [true, true, true, false] {
                let mayResume = budget.spend(at: position, now: now)
                #expect(mayResume == expected)
            }
        }
    }
}
