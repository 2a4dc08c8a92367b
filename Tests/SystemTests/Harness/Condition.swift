import Foundation

/// Something another program has not done in time.
struct ConditionFailure: Error, CustomStringConvertible {
    let description: String
}

/// Asks again and again until the answer is yes: other programs' states cannot be awaited in any other way.
func eventually(
    _ what: String,
    within limit: Duration = .seconds(20),
    every interval: Duration = .milliseconds(20),
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            throw ConditionFailure(description: "after \(limit) still not: \(what)")
        }
        try await Task.sleep(for: interval)
    }
}
