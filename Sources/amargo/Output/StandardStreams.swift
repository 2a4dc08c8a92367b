import Glibc

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
}
