/// What the test library reports when a wait times out or a socket misbehaves.
package struct TestSupportError: Error, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case timedOut
        case connectFailed
        /// The peer ended the connection cleanly (FIN) where more was due.
        case closed
        /// The peer ended the connection with RST.
        case reset
        /// We ended it ourselves: `close()`, `reset()` or `stop()` while the call was under way.
        case aborted
        case malformed
        case system
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(self.code): \(self.message)" }
}
