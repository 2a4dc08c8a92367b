import Testing

@testable import PullThrough

/// The tail is 65,536 bytes: RELIABILITY.md, "Words" and P1.
struct BlobDownloadStateTests {
    typealias Machine = BlobDownload.StateMachine

    static let failure = PullThroughError(.invalidUpstreamResponse, "wrong digest")

    static func arriving(size: Int64?, watermark: Int64 = 0) -> Machine {
        var machine = Machine()
        _ = machine.began(size: size)
        _ = machine.advanced(to: watermark)
        return machine
    }

    /// A step as a word, for tables.
    static func name(_ step: Machine.HeadStep) -> String {
        switch step {
        case .wait: "wait"
        case .head(let size): "head \(size.map(String.init) ?? "?")"
        case .stored: "stored"
        case .relay: "relay"
        case .fail(let error): "fail: \(error)"
        }
    }

    static func name(_ step: Machine.BodyStep) -> String {
        switch step {
        case .wait: "wait"
        case .send(let count): "send \(count)"
        case .end: "end"
        case .relay: "relay"
        case .fail(let error): "fail: \(error)"
        }
    }

    @Test("the tail is 64 KiB")
    func tail() {
        #expect(BlobDownload.tail == 65_536)
    }

    @Test(
        "with a known size the last 65,536 bytes are held back",
        arguments: [
            (0, 0, 0), (1, 1, 0), (65_535, 0, 0), (65_535, 65_535, 0), (65_536, 65_536, 0), (65_537, 0, 0), (65_537, 1, 1),
            (65_537, 65_536, 1), (65_537, 65_537, 1), (8_388_608, 0, 0), (8_388_608, 1, 1), (8_388_608, 65_537, 65_537),
            (8_388_608, 8_323_071, 8_323_071), (8_388_608, 8_323_072, 8_323_072), (8_388_608, 8_323_073, 8_323_072),
            (8_388_608, 8_388_608, 8_323_072),
            // More than was announced: still nothing of the tail.
            (65_537, 70_000, 1), (8_388_608, 9_000_000, 8_323_072),
        ] as [(Int64, Int64, Int64)])
    func knownSize(_ size: Int64, _ watermark: Int64, _ released: Int64) {
        #expect(Self.arriving(size: size, watermark: watermark).released == released)
    }

    @Test(
        "with an unknown size the latest 65,536 bytes are held back",
        arguments: [(0, 0), (1, 0), (65_535, 0), (65_536, 0), (65_537, 1), (131_072, 65_536), (8_388_608, 8_323_072)]
            as [(Int64, Int64)])
    func unknownSize(_ watermark: Int64, _ released: Int64) {
        #expect(Self.arriving(size: nil, watermark: watermark).released == released)
    }

    @Test("once verified, everything goes out", arguments: [0, 1, 65_535, 65_536, 65_537, 8_388_608] as [Int64])
    func verified(_ size: Int64) {
        for known in [size, nil] {
            var machine = Self.arriving(size: known, watermark: size)
            let changed = machine.verified()
            #expect(changed)
            #expect(machine.released == size)
            #expect(machine.size == size)
            #expect(Self.name(machine.headStep(isImpatient: false)) == "head \(size)")
            #expect(Self.name(machine.bodyStep(at: 0, upTo: nil)) == (size == 0 ? "end" : "send \(size)"))
            #expect(Self.name(machine.bodyStep(at: size, upTo: nil)) == "end")
        }
    }

    @Test(
        "a head waits for the verification of what fits into the tail, unless the client has waited long",
        arguments: [
            // size, watermark, impatient, step
            (65_535, 0, false, "wait"), (65_535, 65_535, false, "wait"), (65_535, 0, true, "head 65535"),
            (65_536, 65_536, false, "wait"), (65_536, 65_536, true, "head 65536"), (65_537, 0, false, "head 65537"),
            (65_537, 65_537, false, "head 65537"), (8_388_608, 0, false, "head 8388608"), (nil, 0, false, "wait"),
            (nil, 65_536, false, "wait"), (nil, 65_537, false, "head ?"), (nil, 0, true, "head ?"), (0, 0, false, "wait"),
        ] as [(Int64?, Int64, Bool, String)])
    func heads(_ size: Int64?, _ watermark: Int64, _ isImpatient: Bool, _ step: String) {
        #expect(Self.name(Self.arriving(size: size, watermark: watermark).headStep(isImpatient: isImpatient)) == step)
    }

    @Test("before the upstream answers even an impatient client has no head", arguments: [true, false])
    func waiting(_ isImpatient: Bool) {
        let machine = Machine()
        #expect(Self.name(machine.headStep(isImpatient: isImpatient)) == "wait")
        #expect(Self.name(machine.bodyStep(at: 0, upTo: nil)) == "wait")
        #expect(machine.released == 0)
    }

    @Test(
        "a follower gets what is released, from where it is to where it wants",
        arguments: [
            // offset, end, step; 1,000,000 bytes have come of 8 MiB
            (0, nil, "send 1000000"), (999_999, nil, "send 1"), (1_000_000, nil, "wait"), (1_000_001, nil, "wait"),
            (0, 10, "send 10"), (10, 10, "end"), (11, 10, "end"), (500_000, 2_000_000, "send 500000"),
            (1_500_000, 2_000_000, "wait"), (8_388_608, nil, "wait"), (8_388_608, 8_388_608, "end"), (0, 0, "end"),
        ] as [(Int64, Int64?, String)])
    func bodies(_ offset: Int64, _ end: Int64?, _ step: String) {
        let machine = Self.arriving(size: 8_388_608, watermark: 1_000_000)
        #expect(Self.name(machine.bodyStep(at: offset, upTo: end)) == step)
    }

    @Test("when storing fails, each sends what is released and goes on alone from there")
    func detached() {
        var machine = Self.arriving(size: 8_388_608, watermark: 1_000_000)
        #expect(machine.detached() == true)
        #expect(machine.released == 1_000_000)
        // What the spool may give comes from the spool first; only with nothing of it does a relay begin at once.
        #expect(Self.name(machine.headStep(isImpatient: false)) == "head 8388608")
        var empty = Self.arriving(size: 8_388_608, watermark: 0)
        #expect(empty.detached() == true)
        #expect(Self.name(empty.headStep(isImpatient: false)) == "relay")
        #expect(Self.name(machine.bodyStep(at: 400_000, upTo: nil)) == "send 600000")
        #expect(Self.name(machine.bodyStep(at: 1_000_000, upTo: nil)) == "relay")
        #expect(Self.name(machine.bodyStep(at: 1_000_000, upTo: 1_000_000)) == "end")
        #expect(Self.name(machine.bodyStep(at: 2_000_000, upTo: 3_000_000)) == "relay")
        // Even with all bytes there, the tail was never verified.
        var whole = Self.arriving(size: 100_000, watermark: 100_000)
        #expect(whole.detached() == true)
        #expect(whole.released == 34_464)
        #expect(Self.name(whole.bodyStep(at: 34_464, upTo: nil)) == "relay")
    }

    @Test("a failure ends everybody, also those who were done but for the last byte")
    func failed() {
        for machine in [Machine(), Self.arriving(size: 8_388_608, watermark: 8_388_608), Self.arriving(size: nil, watermark: 9)] {
            var machine = machine
            #expect(machine.failed(Self.failure) == true)
            #expect(machine.released == 0)
            #expect(Self.name(machine.headStep(isImpatient: true)) == "fail: wrong digest")
            for (offset, end) in [(0, nil), (8_323_072, nil), (10, 10)] as [(Int64, Int64?)] {
                #expect(Self.name(machine.bodyStep(at: offset, upTo: end)) == "fail: wrong digest")
            }
        }
    }

    @Test("a sync that failed cuts whoever still reads verified bytes")
    func failedSync() {
        var machine = Self.arriving(size: 10, watermark: 10)
        _ = machine.verified()
        #expect(machine.failed(PullThroughError(.unavailable, "sync failed")) == true)
        #expect(Self.name(machine.bodyStep(at: 5, upTo: nil)) == "fail: sync failed")
        #expect(machine.released == 0)
    }

    @Test("content that was on the disk all the time")
    func stored() {
        var machine = Machine()
        #expect(machine.stored() == true)
        #expect(Self.name(machine.headStep(isImpatient: false)) == "stored")
        #expect(Self.name(machine.bodyStep(at: 0, upTo: nil)) == "wait")
        #expect(machine.released == 0)
    }
}
