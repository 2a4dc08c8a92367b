import Foundation
import Synchronization

/// A blocking TCP socket on loopback.
///
/// One thread, the owner, reads, writes and closes it. Any thread may `abort()` it: the owner's call then throws
/// `aborted`. Because only the owner closes, a descriptor is never used after it was given back to the kernel.
final class Socket: Sendable {
    private enum State { case open, aborted, closed }

    private static let sliceInMilliseconds: Int32 = 100
    /// `POLLRDHUP`, which Glibc's module map hides behind `_GNU_SOURCE`.
    private static let peerHasShutDown: Int16 = 0x2000

    let descriptor: Int32
    private let state = Mutex(State.open)

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var on: Int32 = 1
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { self.close() }

    // MARK: Making

    /// Listens on 127.0.0.1; port 0 lets the kernel choose.
    static func listening(on port: Int) throws -> Socket {
        let listener = Socket(descriptor: try self.newDescriptor())
        var on: Int32 = 1
        _ = setsockopt(listener.descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = self.withAddress(port: port) { bind(listener.descriptor, $0, $1) }
        guard bound == 0, listen(listener.descriptor, 1024) == 0 else { throw self.systemError("listen on \(port)") }
        return listener
    }

    /// - Parameter receiveBuffer: `SO_RCVBUF`, set before the handshake so that the window is small from the start.
    /// Holds a port without listening: connecting is refused, and nobody else gets the port.
    static func holding(_ port: Int) throws -> Socket {
        let socket = Socket(descriptor: try Self.newDescriptor())
        var one: Int32 = 1
        setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard Self.withAddress(port: port, { bind(socket.descriptor, $0, $1) }) == 0 else {
            throw Self.systemError("hold port \(port)")
        }
        return socket
    }

    static func connected(to port: Int, receiveBuffer: Int? = nil) throws -> Socket {
        let socket = Socket(descriptor: try self.newDescriptor())
        if let receiveBuffer {
            var size = Int32(clamping: receiveBuffer)
            _ = setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: 20, tv_usec: 0)  // also the limit of connect(2)
        _ = setsockopt(socket.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard self.withAddress(port: port, { connect(socket.descriptor, $0, $1) }) == 0 else {
            throw TestSupportError(.connectFailed, "127.0.0.1:\(port): \(String(cString: strerror(errno)))")
        }
        return socket
    }

    func accepted() throws -> Socket {
        try self.wait(for: Int16(POLLIN), until: nil)
        let client = accept(self.descriptor, nil, nil)
        guard client >= 0 else { throw Self.systemError("accept") }
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        return Socket(descriptor: client)
    }

    var localPort: Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutableBytes(of: &address) { bytes in
            getsockname(self.descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    // MARK: Transfer

    /// The number of bytes read, 0 at the end of the stream.
    func receive(into buffer: UnsafeMutableRawBufferPointer, within timeout: Duration?) throws -> Int {
        try self.checkNotAborted()  // the descriptor may belong to somebody else by now
        let deadline = timeout.map { ContinuousClock.now.advanced(by: $0) }
        while true {
            let count = recv(self.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { return count }
            if count == 0 {
                try self.checkNotAborted()
                return 0
            }
            try self.continueAfter(errno, waitingFor: Int16(POLLIN), until: deadline)
        }
    }

    /// - Parameter timeout: the longest time without progress.
    func send(_ bytes: UnsafeRawBufferPointer, within timeout: Duration?) throws {
        try self.checkNotAborted()  // the descriptor may belong to somebody else by now
        var rest = bytes[...]
        while !rest.isEmpty {
            let slice = UnsafeRawBufferPointer(rebasing: rest)
            let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
            let count = Glibc.send(self.descriptor, slice.baseAddress, slice.count, flags)
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else {
                let failure = errno
                let deadline = timeout.map { ContinuousClock.now.advanced(by: $0) }
                try self.continueAfter(failure, waitingFor: Int16(POLLOUT), until: deadline)
            }
        }
    }

    func send(_ bytes: [UInt8], within timeout: Duration?) throws {
        try bytes.withUnsafeBytes { try self.send($0, within: timeout) }
    }

    /// Whether the peer has closed its side, or we were told to stop.
    var hasEnded: Bool {
        guard self.state.withLock({ $0 == .open }) else { return true }
        var entry = pollfd(fd: self.descriptor, events: Self.peerHasShutDown, revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    // MARK: Ending

    /// Ends our side with FIN; the peer may go on sending.
    func endSending() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// From any thread: makes the owner's present and future calls throw `aborted`.
    ///
    /// - Parameter sendingFIN: the peer sees the end at once; otherwise it sees what the owner does next.
    func abort(sendingFIN: Bool = true) {
        self.state.withLock { state in
            guard state == .open else { return }
            state = .aborted
            if sendingFIN { shutdown(self.descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// Closes with FIN, unless the peer has sent what nobody read: then the kernel makes it a RST.
    func close() {
        self.state.withLock { state in
            guard state != .closed else { return }
            state = .closed
            Glibc.close(self.descriptor)
        }
    }

    /// Waits, at most a second, until the peer's kernel has acknowledged all we sent; a RST would drop the rest.
    func drain() {
        let limit = ContinuousClock.now.advanced(by: .seconds(1))
        var unacknowledged: Int32 = 0
        while ioctl(self.descriptor, UInt(TIOCOUTQ), &unacknowledged) == 0, unacknowledged > 0, .now < limit {
            Thread.sleep(forTimeInterval: 0.001)
        }
    }

    /// Closes with RST: what the peer's kernel has not acknowledged is lost.
    func reset() {
        self.state.withLock { state in
            guard state != .closed else { return }
            var none = linger(l_onoff: 1, l_linger: 0)
            _ = setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
            state = .closed
            Glibc.close(self.descriptor)
        }
    }

    // MARK: Helpers

    private func continueAfter(
        _ failure: Int32, waitingFor events: Int16, until deadline: ContinuousClock.Instant?
    ) throws {
        switch failure {
        case EINTR: return
        case EAGAIN: try self.wait(for: events, until: deadline)
        case ECONNRESET, EPIPE:
            try self.checkNotAborted()
            throw TestSupportError(.reset, "by the peer")
        default:
            try self.checkNotAborted()
            throw TestSupportError(.system, "transfer: \(String(cString: strerror(failure)))")
        }
    }

    private func wait(for events: Int16, until deadline: ContinuousClock.Instant?) throws {
        while true {
            try self.checkNotAborted()
            var entry = pollfd(fd: self.descriptor, events: events, revents: 0)
            let ready = poll(&entry, 1, Self.sliceInMilliseconds)
            if ready > 0 { return try self.checkNotAborted() }
            if ready < 0, errno != EINTR { throw Self.systemError("poll") }
            if let deadline, ContinuousClock.now >= deadline {
                throw TestSupportError(.timedOut, "no progress on the connection")
            }
        }
    }

    private func checkNotAborted() throws {
        guard self.state.withLock({ $0 == .open }) else { throw TestSupportError(.aborted, "ended on this side") }
    }

    private static func newDescriptor() throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw self.systemError("socket") }
        return descriptor
    }

    private static func withAddress(port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func systemError(_ action: String) -> TestSupportError {
        TestSupportError(.system, "\(action): \(String(cString: strerror(errno)))")
    }
}
