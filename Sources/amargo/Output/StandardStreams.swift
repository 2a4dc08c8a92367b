import Glibc
import OCI

/// Standard input, output and error.
enum StandardStreams {
    /// Opens /dev/null for those that are closed: else the first socket or file would get their numbers, and the log would be
    /// written into it.
    static func open() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is this one; that is what makes it stand in.
            _ = Glibc.open("/dev/null", O_RDWR)
        }
    }

    /// Writes a sentence to standard error. What others have put into it is made visible.
    static func complain(_ sentence: String) {
        let lines = sentence.split(separator: "\n", omittingEmptySubsequences: false).map { VisibleText.escaped(String($0)) }
        Self.write("amargo: \(lines.joined(separator: "\n"))\n", to: STDERR_FILENO)
    }

    /// Writes a text as a whole, unless nobody is there to read it.
    static func write(_ text: String, to descriptor: CInt) { Self.write(Array(text.utf8), to: descriptor) }

    static func write(_ bytes: [UInt8], to descriptor: CInt) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            while let base = rest.baseAddress, rest.count > 0 {
                let count = Glibc.write(descriptor, base, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    return  // nobody is there to be told
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
