import Foundation

/// What a run is asked for, by the environment that `scripts/fuzz` sets, and where it says how far it is.
struct FuzzPlan: Sendable {
    /// Inputs in all, shared out evenly.
    let rounds: Int
    let seed: UInt64
    let targets: [FuzzTarget]
    /// Of each target's inputs only these.
    let numbers: Range<Int>
    /// Inputs that are begun together; 1 names the one that does not return.
    let batch: Int
    /// Where the batch is written before it is begun: after a trap it is all that is left.
    let state: String?

    init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        let names = environment["AMARGO_FUZZ_TARGETS"].map { $0.split(separator: " ").map(String.init) } ?? []
        self.targets = names.isEmpty ? FuzzTarget.all : try names.map { try Self.target($0) }
        self.rounds = try Self.number("AMARGO_FUZZ_ROUNDS", environment) ?? 100_000
        self.seed = UInt64(try Self.number("AMARGO_FUZZ_SEED", environment) ?? 1)
        self.state = environment["AMARGO_FUZZ_STATE"]
        let first = try Self.number("AMARGO_FUZZ_FIRST", environment) ?? 0
        let share = (self.rounds + self.targets.count - 1) / self.targets.count
        self.numbers = first..<first + (try Self.number("AMARGO_FUZZ_COUNT", environment) ?? share)
        self.batch = max(1, try Self.number("AMARGO_FUZZ_BATCH", environment) ?? 1000)
    }

    private static func target(_ name: String) throws -> FuzzTarget {
        guard let target = (FuzzTarget.all + [.trapping]).first(where: { $0.name == name }) else {
            let known = FuzzTarget.all.map(\.name).joined(separator: " ")
            throw FuzzPlanError(description: "there is no target \(name); there are: \(known)")
        }
        return target
    }

    private static func number(_ key: String, _ environment: [String: String]) throws -> Int? {
        guard let text = environment[key], !text.isEmpty else { return nil }
        guard let number = Int(text), number >= 0 else {
            throw FuzzPlanError(description: "\(key) must be a number, not \"\(text)\"")
        }
        return number
    }

    /// `TARGET FIRST COUNT`: what is begun now.
    func begin(_ target: FuzzTarget, _ numbers: Range<Int>) throws {
        guard let state else { return }
        try Data("\(target.name) \(numbers.lowerBound) \(numbers.count)\n".utf8).write(to: URL(fileURLWithPath: state))
    }

    func end(inputs: Int, broken: Int) throws {
        guard let state else { return }
        try Data("done \(inputs) \(broken)\n".utf8).write(to: URL(fileURLWithPath: state))
    }

    /// A line on standard error, for whoever watches a long run.
    func say(_ text: String) {
        guard self.state != nil else { return }
        FileHandle.standardError.write(Data("fuzz: \(text)\n".utf8))
    }
}

struct FuzzPlanError: Error, CustomStringConvertible {
    let description: String
}
