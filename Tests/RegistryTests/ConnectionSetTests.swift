import NIOCore
import Testing

@testable import Registry

struct ConnectionSetTests {
    @Test("each warning comes once a minute at most, whichever listener has it")
    func warnings() {
        let connections = ConnectionSet(limits: ServerLimits())
        let start = NIODeadline.uptimeNanoseconds(5)
        #expect(connections.mayWarn(.shortage, at: start))
        #expect(!connections.mayWarn(.shortage, at: start + .milliseconds(59_999)))
        #expect(connections.mayWarn(.refusal, at: start))
        #expect(connections.mayWarn(.shortage, at: start + .minutes(1)))
    }

    @Test("a connection is idle from its beginning until it has a request, and again when that is answered")
    func activity() {
        let activity = ConnectionActivity()
        #expect(activity.idleSince != nil)
        activity.becomeBusy()
        #expect(activity.idleSince == nil)
        activity.becomeIdle()
        #expect(activity.idleSince != nil)
    }
}
