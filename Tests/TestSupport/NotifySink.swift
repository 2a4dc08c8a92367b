import Foundation
import Synchronization

/// The socket of a service manager, as systemd's: it hears what services say of themselves (sd_notify(3)) and keeps it.
package final class NotifySink: Sendable {
    /// What goes into `NOTIFY_SOCKET`.
    package let address: String
    private let descriptor: Int32
    private let heard = Mutex<[String]>([])

    /// - Parameter address: a path, or `@` and the name of an abstract socket.
    package init(at address: String) throws {
        self.address = address
        var bytes = Array(address.utf8)
        let isAbstract = bytes.first == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestSupportError(.system, "socket: \(String(cString: strerror(errno)))") }
        self.descriptor = descriptor
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
        let length = MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1)
        let bound = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(length)) }
        }
        guard bound == 0 else { throw TestSupportError(.system, "bind \(address): \(String(cString: strerror(errno)))") }
        Thread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0, let self else { break }
                self.heard.withLock { $0.append(String(decoding: buffer[..<count], as: UTF8.self)) }
            }
            close(descriptor)
        }.start()
    }

    deinit {
        // Wakes the thread, which closes it.
        shutdown(self.descriptor, Int32(SHUT_RDWR))
    }

    /// The datagrams so far, in their order.
    package var messages: [String] { self.heard.withLock { $0 } }

    /// Returns the messages once there are at least `count` that have a line.
    @discardableResult
    package func wait(for line: String, count: Int = 1) async throws -> [String] {
        try await eventually("\(count) × \(line) at \(self.address)") { self.count(of: line) >= count }
        return self.messages
    }

    /// How many messages have a line that begins so.
    package func count(of line: String) -> Int {
        self.messages.count { $0.split(separator: "\n").contains { $0.hasPrefix(line) } }
    }
}
