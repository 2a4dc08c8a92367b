import Logging

/// Takes the lines about hits: many, and the same again and again, so that they are made ready once.
package protocol HitLog: Sendable {
    /// The line that a message makes; nil when such lines are not wanted.
    func line(_ message: String) -> (any HitLine)?
}

/// A line that can be written again and again.
package protocol HitLine: Sendable {
    func write()
}

/// Writes to a logger, which makes each line anew.
struct LoggerHitLog: HitLog {
    let logger: Logger

    private struct Line: HitLine {
        let logger: Logger
        let message: Logger.Message

        func write() { self.logger.info(self.message) }
    }

    func line(_ message: String) -> (any HitLine)? {
        self.logger.logLevel <= .info ? Line(logger: self.logger, message: "\(message)") : nil
    }
}
