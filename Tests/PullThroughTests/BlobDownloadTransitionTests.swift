import Testing

@testable import PullThrough

struct BlobDownloadTransitionTests {
    typealias Machine = BlobDownload.StateMachine

    enum Event: String, CaseIterable, Sendable {
        case began, verified, detached, stored, failed
    }

    static func name(_ phase: Machine.Phase) -> String {
        switch phase {
        case .waiting: "waiting"
        case .arriving: "arriving"
        case .verified: "verified"
        case .detached: "detached"
        case .stored: "stored"
        case .failed(let error): "failed: \(error)"
        }
    }

    private static func machine(_ phase: String) -> Machine {
        var machine = Machine()
        switch phase {
        case "arriving": _ = machine.began(size: 9)
        case "verified":
            _ = machine.began(size: 9)
            _ = machine.verified()
        case "detached": _ = machine.detached()
        case "stored": _ = machine.stored()
        case "failed: first": _ = machine.failed(PullThroughError(.unavailable, "first"))
        default: break
        }
        return machine
    }

    private static func take(_ event: Event, _ machine: inout Machine) -> Bool {
        switch event {
        case .began: machine.began(size: 9)
        case .verified: machine.verified()
        case .detached: machine.detached()
        case .stored: machine.stored()
        case .failed: machine.failed(PullThroughError(.unavailable, "second"))
        }
    }

    /// For each phase: where each event leads; an event that is missing changes nothing.
    static let table: [(phase: String, steps: [Event: String])] = [
        ("waiting", [.began: "arriving", .detached: "detached", .stored: "stored", .failed: "failed: second"]),
        ("arriving", [.verified: "verified", .detached: "detached", .failed: "failed: second"]),
        ("verified", [.failed: "failed: second"]),
        ("detached", [.failed: "failed: second"]),
        ("stored", [.failed: "failed: second"]),
        ("failed: first", [:]),
    ]

    @Test("every event in every phase", arguments: 0..<6)
    func transitions(_ row: Int) {
        let (phase, steps) = Self.table[row]
        for event in Event.allCases {
            var machine = Self.machine(phase)
            #expect(Self.name(machine.phase) == phase)
            let changed = Self.take(event, &machine)
            #expect(changed == (steps[event] != nil), "\(event.rawValue) in \(phase)")
            #expect(Self.name(machine.phase) == steps[event] ?? phase, "\(event.rawValue) in \(phase)")
        }
    }

    @Test("followers hear of an advance only when it gives them something")
    func advances() {
        var machine = Machine()
        _ = machine.began(size: 100_000)
        let steps: [(watermark: Int64, isNews: Bool)] = [
            (0, false), (1, true), (1, false), (34_464, true), (34_465, false), (100_000, false),
        ]
        for step in steps {
            let isNews = machine.advanced(to: step.watermark)
            #expect(isNews == step.isNews, "at \(step.watermark)")
        }
        let isVerified = machine.verified()
        #expect(isVerified)
        #expect(machine.watermark == 100_000)
        var small = Machine()
        _ = small.began(size: nil)
        let isNews = small.advanced(to: 65_536)
        #expect(!isNews)
    }
}
