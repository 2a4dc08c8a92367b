import Glibc
import OCI
import Synchronization

/// Standard input, output and error.
enum StandardStreams {
    /// The errno of output that could not be written although somebody wants it; 0 for none.
    private static let loss = Atomic<CInt>(0)

    /// Has the process end with 1, and say why, should what it prints be lost, as on a full disk: that is no success.
    static func watchOutput() {
        atexit {
            let unflushed = fflush(nil) == 0 ? 0 : errno
            let reason = unflushed != 0 ? unflushed : StandardStreams.loss.load(ordering: .relaxed)
            guard reason != 0, reason != EPIPE else { return }
            StandardStreams.complain("the output cannot be written: \(String(cString: strerror(reason)))")
            _exit(1)
        }
    }

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
                    // With nobody to read it, nothing is lost.
                    if descriptor == STDOUT_FILENO, errno != EPIPE { Self.loss.store(errno, ordering: .relaxed) }
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
