import Foundation
import Glibc
import Synchronization
import Upstream

/// Something that is looked at. Checks run beside each other; none changes anything.
protocol Check: Sendable {
    /// For the progress lines, and for the one that says that it did not end.
    var id: String { get }

    func diagnoses() async -> [Diagnosis]
}

/// A check that waits for files: it gets a thread, and a limit.
protocol BlockingCheck: Check {
    var limit: Duration { get }

    func look() -> [Diagnosis]
}

extension BlockingCheck {
    var limit: Duration { .seconds(10) }

    func diagnoses() async -> [Diagnosis] {
        let found = try? await BoundedWork.run(within: self.limit) { self.look() }  // it throws nothing
        return found ?? [
            Diagnosis(
                self.id, .problem, "was not done within \(self.limit.components.seconds) s",
                "A disk, a network file system or a name server may hang: see dmesg, and /etc/resolv.conf.")
        ]
    }
}

/// Runs all checks at the same time and hands over what they found, in the checks' order.
struct Doctor: Sendable {
    let checks: [any Check]

    /// - Parameter progress: called with the checks that are still running.
    func examine(progress: @escaping @Sendable (_ running: [String], _ total: Int) -> Void) async -> [Diagnosis] {
        let running = Mutex(Set(self.checks.indices))
        let ids = self.checks.map(\.id)
        return await withTaskGroup(of: (Int, [Diagnosis]).self) { group in
            progress(ids, ids.count)
            for (index, check) in self.checks.enumerated() {
                group.addTask { (index, await check.diagnoses()) }
            }
            var found: [(index: Int, diagnoses: [Diagnosis])] = []
            for await result in group {
                found.append(result)
                let left = running.withLock { running in
                    running.remove(result.0)
                    return running.sorted().map { ids[$0] }
                }
                progress(left, ids.count)
            }
            return found.sorted { $0.index < $1.index }.flatMap(\.diagnoses)
        }
    }
}
