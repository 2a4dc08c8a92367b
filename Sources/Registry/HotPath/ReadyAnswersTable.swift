import NIOCore
import Synchronization

/// What each event loop has at hand.
final class ReadyAnswersTable: Sendable {
    private struct Entry {
        let loop: any EventLoop
        let answers: NIOLoopBound<ReadyAnswers>
        let responses: ResponseCounts
    }

    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

    /// A loop's answers, made when they are missing. On that loop.
    func answers(on loop: any EventLoop, _ make: () -> ReadyAnswers) -> ReadyAnswers {
        if let known = self.entries.withLock({ $0[ObjectIdentifier(loop)] }) { return known.answers.value }
        let made = make()
        let entry = Entry(loop: loop, answers: NIOLoopBound(made, eventLoop: loop), responses: made.responses)
        self.entries.withLock { $0[ObjectIdentifier(loop)] = entry }
        return made
    }

    /// Has all loops let go of what was made for upstreams that are no longer in force.
    func forgetOldUpstreams() {
        for entry in self.entries.withLock({ Array($0.values) }) {
            let answers = entry.answers
            entry.loop.execute { answers.value.forgetOldUpstreams() }
        }
    }

    /// The counts of all loops. From anywhere.
    var responses: [ResponseCounts] { self.entries.withLock { $0.values.map(\.responses) } }
}
