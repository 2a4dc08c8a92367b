import NIOCore
import Testing

@testable import Registry

/// The times of `Limits.Server`, to the millisecond, by a clock that is a number.
struct ClientPatienceTests {
    private static func at(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
    }

    /// A patience that `#expect` can change.
    private final class Watch {
        private var patience = ClientPatience(ServerLimits())

        func isExhausted(_ activity: ClientPatience.Activity, at now: NIODeadline) -> Bool {
            self.patience.isExhausted(activity, at: now)
        }
    }

    @Test("request: ten seconds to arrive", arguments: [(9_999, false), (10_000, true)])
    func request(_ milliseconds: Int64, _ isExhausted: Bool) {
        let patience = Watch()
        #expect(patience.isExhausted(.sending(since: Self.at(0)), at: Self.at(milliseconds)) == isExhausted)
    }

    @Test("idle: sixty seconds between two requests", arguments: [(59_999, false), (60_000, true)])
    func idle(_ milliseconds: Int64, _ isExhausted: Bool) {
        let patience = Watch()
        #expect(patience.isExhausted(.idle(since: Self.at(0)), at: Self.at(milliseconds)) == isExhausted)
    }

    @Test("who waits for us may wait for ever")
    func waiting() {
        let patience = Watch()
        #expect(!patience.isExhausted(.waiting, at: Self.at(1_000_000_000)))
    }

    @Test("takenInWindow: 60 KiB in sixty seconds", arguments: [(0, true), (61_439, true), (61_440, false), (1_000_000, false)])
    func taking(_ taken: UInt64, _ isExhausted: Bool) {
        let patience = Watch()
        #expect(!patience.isExhausted(.taking(taken: 500), at: Self.at(0)))
        #expect(!patience.isExhausted(.taking(taken: 500), at: Self.at(59_999)))
        #expect(patience.isExhausted(.taking(taken: 500 + taken), at: Self.at(60_000)) == isExhausted)
    }

    @Test("each minute counts by itself: what was taken quickly buys no pause")
    func windows() {
        let patience = Watch()
        #expect(!patience.isExhausted(.taking(taken: 0), at: Self.at(0)))
        #expect(!patience.isExhausted(.taking(taken: 1 << 30), at: Self.at(60_000)))
        #expect(patience.isExhausted(.taking(taken: 1 << 30), at: Self.at(120_000)))
    }

    @Test("a client that had to wait for us in between begins anew")
    func interrupted() {
        let patience = Watch()
        #expect(!patience.isExhausted(.taking(taken: 0), at: Self.at(0)))
        #expect(!patience.isExhausted(.waiting, at: Self.at(30_000)))
        #expect(!patience.isExhausted(.taking(taken: 10), at: Self.at(60_000)))
        #expect(patience.isExhausted(.taking(taken: 10), at: Self.at(120_000)))
    }
}
