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
        let sentence = Array("amargo: \(error)\n".utf8)
        _ = sentence.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        return error is SettingsError ? Self.configuration : ExitCode.failure
    }
}
