import Foundation

/// A program of the system, by `popen`. Foundation's `Process` looks through all open files before it starts one, and falls when other
/// tests open some meanwhile.
package enum ShellCommand {
    /// Runs a program to its end and returns what it said. Blocks.
    package static func run(_ arguments: [String]) throws -> (status: Int32, output: [UInt8]) {
        let command = arguments.map { "'\($0.replacingOccurrences(of: "'", with: "'\\''"))'" }.joined(separator: " ")
        guard let stream = popen(command, "re") else {
            throw TestSupportError(.system, "popen: \(String(cString: strerror(errno)))")
        }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, stream)
            guard count > 0 else { break }
            output += buffer[..<count]
        }
        let status = pclose(stream)
        return (status & 0x7F == 0 ? (status >> 8) & 0xFF : -1, output)
    }
}
