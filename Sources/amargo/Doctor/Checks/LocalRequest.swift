import Glibc
import OCI

/// One plain HTTP request to a program of this machine, over TCP or a Unix socket. Blocks, within a limit.
enum LocalRequest {
    enum Target: Sendable {
        /// Numbers alone, no names.
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    enum Failure: Error, Equatable {
        /// Nobody listens.
        case refused
        case forbidden
        /// No answer within the time.
        case silent
        /// An answer that is none.
        case malformed
        case io(CInt)
    }

    struct Answer: Equatable {
        let status: Int
        let body: [UInt8]
    }

    /// `GET` by HTTP/1.0, so that no answer comes in chunks.
    static func get(_ path: String, at target: Target, seconds: Double, limit: Int = 4 << 20) throws(Failure) -> Answer {
        let deadline = ContinuousClock.now + .milliseconds(Int(seconds * 1000))
        let descriptor = try self.connect(target, deadline)
        defer { close(descriptor) }
        let host =
            if case .tcp(let host, let port) = target { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" } else {
                "localhost"
            }
        let text = Array("GET \(path) HTTP/1.0\r\nHost: \(host)\r\nUser-Agent: amargo-doctor\r\nConnection: close\r\n\r\n".utf8)
        // So few bytes go into the socket's buffer as a whole.
        guard send(descriptor, text, text.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL)) == text.count else { throw .io(errno) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= limit {
            try self.wait(descriptor, POLLIN, deadline)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            // Whoever is hung up on has had what there is.
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return try self.parse(bytes)
    }

    static func parse(_ bytes: [UInt8]) throws(Failure) -> Answer {
        let text = String(decoding: bytes.prefix(16), as: UTF8.self)
        let fields = text.split(separator: " ")
        guard text.hasPrefix("HTTP/1."), fields.count > 1, let status = Int(fields[1].prefix(3)) else { throw .malformed }
        var position = 0
        while position + 4 <= bytes.count {
            if bytes[position] == 13, bytes[position + 1] == 10, bytes[position + 2] == 13, bytes[position + 3] == 10 {
                return Answer(status: status, body: Array(bytes[(position + 4)...]))
            }
            position += 1
        }
        throw .malformed
    }

    private static func connect(_ target: Target, _ deadline: ContinuousClock.Instant) throws(Failure) -> CInt {
        var storage = sockaddr_storage()
        let length: socklen_t
        let family: CInt
        switch target {
        case .unix(let path):
            family = AF_UNIX
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .io(ENAMETOOLONG) }
            withUnsafeMutableBytes(of: &address.sun_path) { bytes in
                for (index, byte) in path.utf8.enumerated() { bytes[index] = byte }
            }
            length = socklen_t(MemoryLayout<sockaddr_un>.size)
            withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: address) { storage.copyMemory(from: $0) } }
        case .tcp(let host, let port):
            if host.contains(":") {
                family = AF_INET6
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = in_port_t(port).bigEndian
                guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else { throw .io(EINVAL) }
                length = socklen_t(MemoryLayout<sockaddr_in6>.size)
                withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: address) { storage.copyMemory(from: $0) } }
            } else {
                family = AF_INET
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = in_port_t(port).bigEndian
                guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw .io(EINVAL) }
                length = socklen_t(MemoryLayout<sockaddr_in>.size)
                withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: address) { storage.copyMemory(from: $0) } }
            }
        }
        let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw .io(errno) }
        let result = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, length) }
        }
        do throws(Failure) {
            var reason = result == 0 ? 0 : errno
            if reason == EINPROGRESS {
                try self.wait(descriptor, POLLOUT, deadline)
                var size = socklen_t(MemoryLayout<CInt>.size)
                getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &reason, &size)
            }
            switch reason {
            case 0: return descriptor
            case ECONNREFUSED, ENOENT: throw Failure.refused
            case EACCES, EPERM: throw Failure.forbidden
            case EAGAIN, ETIMEDOUT: throw Failure.silent
            default: throw Failure.io(reason)
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    private static func wait(_ descriptor: CInt, _ events: CInt, _ deadline: ContinuousClock.Instant) throws(Failure) {
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            guard milliseconds > 0 else { throw .silent }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let ready = poll(&entry, 1, CInt(clamping: milliseconds))
            if ready > 0 { return }
            if ready < 0, errno != EINTR { throw .io(errno) }
        }
    }
}
