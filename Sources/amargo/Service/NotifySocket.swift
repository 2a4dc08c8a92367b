import Glibc

/// The datagram socket on which a service manager hears from its services: `NOTIFY_SOCKET`, as in sd_notify(3).
struct NotifySocket: Sendable, Hashable {
    /// `sun_path`: a path without its final zero, or a zero and the name of an abstract socket.
    let path: [UInt8]

    /// How long a manager may leave its socket full before a message is given up.
    private static let patience = timeval(tv_sec: 5, tv_usec: 0)

    /// Parses an absolute path, or `@` and the name of an abstract socket. Others, such as `vsock:`, are of virtual machines.
    init?(_ text: String) {
        var path = Array(text.utf8)
        guard path.count > 1, path.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path), !path.contains(0) else {
            return nil
        }
        switch path[0] {
        case UInt8(ascii: "/"): break
        case UInt8(ascii: "@"): path[0] = 0
        default: return nil
        }
        self.path = path
    }

    /// Sends a message as one datagram. Blocks, for as long as the socket is full, but no longer than five seconds.
    ///
    /// - Returns: 0, or the number of the error.
    func send(_ message: String) -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var patience = Self.patience
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: self.path) }
        // An abstract name is as long as the address says; a path ends with its zero, which the address has as well.
        let isAbstract = self.path[0] == 0
        let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + self.path.count + (isAbstract ? 0 : 1) } ?? 0
        let bytes = Array(message.utf8)
        let count = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                sendto(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL), generic, socklen_t(length))
            }
        }
        return count == bytes.count ? 0 : errno
    }
}
