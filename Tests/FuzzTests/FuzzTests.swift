import Foundation
import Testing

/// Inputs that nobody wrote, for every parser of what comes from outside. RELIABILITY.md, "a trap reached from outside".
///
/// Without an environment this is a short round with a fixed seed; `scripts/fuzz` makes it long.
@Suite struct FuzzTests {
    /// Problems of one target that are told one by one.
    private static let told = 10

    @Test("no input traps a parser, and what a parser says of one is what its specification says")
    func round() async throws {
        let plan = try FuzzPlan()
        var inputs = 0
        var broken = 0
        for target in plan.targets {
            let start = ContinuousClock.now
            let tally = try await Self.run(target, plan)
            inputs += tally.accepted + tally.refused + tally.broken
            broken += tally.broken
            let seconds = start.duration(to: .now).formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1)))
            plan.say("\(target.name): \(tally.accepted) accepted, \(tally.refused) refused, \(tally.broken) broken, \(seconds)")
            // Else a run proves little: as many are taken as come unchanged, and most changes are noticed.
            if plan.numbers.count >= 1000 {
                #expect(tally.accepted > plan.numbers.count / 25, "\(target.name)")
                #expect(tally.refused > plan.numbers.count / 25, "\(target.name)")
            }
        }
        try plan.end(inputs: inputs, broken: broken)
    }

    private struct Tally {
        var accepted = 0
        var refused = 0
        var broken = 0
    }

    private static func run(_ target: FuzzTarget, _ plan: FuzzPlan) async throws -> Tally {
        var mutator = target.mutator
        var tally = Tally()
        for first in stride(from: plan.numbers.lowerBound, to: plan.numbers.upperBound, by: plan.batch) {
            let batch = first..<min(first + plan.batch, plan.numbers.upperBound)
            try plan.begin(target, batch)
            for number in batch {
                let input = target.input(number, seed: plan.seed, &mutator)
                if plan.numbers.count == 1 { plan.say("\(target.name) \(number) is \(Self.quoted(input))") }
                switch target.check(input, number) {
                case .accepted: tally.accepted += 1
                case .refused: tally.refused += 1
                case .broken(let problem):
                    tally.broken += 1
                    guard tally.broken <= Self.told else { continue }
                    Issue.record(
                        "\(target.name), seed \(plan.seed), input \(number), \(Self.quoted(input)): \(problem)")
                }
            }
            // The pool's threads are few, and other tests wait for answers.
            await Task.yield()
        }
        return tally
    }

    /// ASCII, with everything else escaped by byte: an input need not be text.
    private static func quoted(_ bytes: [UInt8]) -> String {
        bytes.reduce(into: "\"") { text, byte in
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += "\\\(Character(Unicode.Scalar(byte)))"
            case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        } + "\""
    }
}
