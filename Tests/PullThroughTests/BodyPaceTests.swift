import Testing

@testable import PullThrough

/// U1: below 1 KiB a second for 60 seconds another connection is tried.
struct BodyPaceTests {
    /// A body of which `count` bytes come each second.
    static func slowSeconds(_ count: Int, for seconds: Int, isHeldBack: (Int) -> Bool = { _ in false }) -> [Int] {
        var pace = BodyPace(window: .seconds(60), minimum: 61_440)
        let start = ContinuousClock.now
        pace.began(at: start)
        return (1...seconds).filter { pace.received(count, at: start + .seconds($0), isHeldBack: isHeldBack($0)) }
    }

    @Test("1 KiB a second is enough, one byte less is too slow at each window's end")
    func limit() {
        #expect(Self.slowSeconds(1_024, for: 600).isEmpty)
        #expect(Self.slowSeconds(1_023, for: 180) == [60, 120, 180])
        #expect(Self.slowSeconds(1, for: 59).isEmpty)
    }

    @Test("a window in which we held the upstream back says nothing; the next one does again")
    func heldBack() {
        #expect(Self.slowSeconds(1, for: 180) { $0 == 30 } == [120, 180])
        // What is held back at a window's end is still held back in the next.
        #expect(Self.slowSeconds(1, for: 180) { $0 == 60 } == [180])
    }

    @Test("a new response begins anew")
    func again() {
        var pace = BodyPace(window: .seconds(60), minimum: 61_440)
        let start = ContinuousClock.now
        pace.began(at: start)
        let early = pace.received(1, at: start + .seconds(59), isHeldBack: false)
        pace.began(at: start + .seconds(59))
        let late = pace.received(1, at: start + .seconds(100), isHeldBack: false)
        #expect(!early && !late)
    }
}
