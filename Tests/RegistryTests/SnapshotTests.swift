import Foundation
import Synchronization
import Testing

@testable import Registry

/// What is made once for all who ask.
struct SnapshotTests {
    @Test("those who ask while it is made wait for it; it is made once")
    func collapses() {
        let made = Atomic(0)
        let started = DispatchSemaphore(value: 0)
        let mayEnd = DispatchSemaphore(value: 0)
        let snapshot = Snapshot(lifetime: .seconds(60)) {
            started.signal()
            mayEnd.wait()
            return made.add(1, ordering: .relaxed).newValue
        }
        let answers = Mutex<[Int]>([])
        let thread = Thread { snapshot.value { value in answers.withLock { $0.append(value) } } }
        thread.start()
        started.wait()
        for _ in 0..<5 { snapshot.value { value in answers.withLock { $0.append(value) } } }
        #expect(answers.withLock { $0 }.isEmpty)
        mayEnd.signal()
        while !thread.isFinished { sched_yield() }
        #expect(answers.withLock { $0 } == [1, 1, 1, 1, 1, 1])
        snapshot.value { value in answers.withLock { $0.append(value) } }
        #expect(made.load(ordering: .relaxed) == 1)
    }

    @Test("an expired value is made anew, and one that nobody asks for is let go of")
    func ends() {
        let made = Atomic(0)
        let snapshot = Snapshot(lifetime: .zero) { made.add(1, ordering: .relaxed).newValue }
        snapshot.value { _ in }
        #expect(snapshot.forget(unusedFor: .seconds(60)))
        #expect(!snapshot.forget(unusedFor: .zero))
        snapshot.value { #expect($0 == 2) }
    }
}
