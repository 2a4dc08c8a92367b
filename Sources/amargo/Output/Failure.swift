import ArgumentParser
import Glibc
import Registry
import Storage

/// The one place where errors become a sentence on standard error and an exit code.
enum Failure {
    /// sysexits.h, EX_CONFIG.
    static let configuration = ExitCode(78)

    static func report(_ error: any Error) -> any Error {
        if error is ExitCode || error is CleanExit || error is ValidationError { return error }
        StandardStreams.complain("\(error)")
        return error is SettingsError ? Self.configuration : ExitCode.failure
    }
}
