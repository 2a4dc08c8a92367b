import Archive
import Glibc
import Storage

/// Asks the holder of a store. For commands: it blocks, and is used by one thread at a time.
package final class AdminClient: @unchecked Sendable {  // handed from thread to thread, never shared
    /// Why there is no answer.
    package enum Failure: Error, Hashable, Sendable {
        /// Nothing came for as long as was waited.
        case silent
        /// The connection ended in the middle.
        case ended
        case io(CInt)
    }

    private let descriptor: CInt
    private var buffer: [UInt8] = []

    /// Connects; nil when nobody listens on the store's socket.
    package init?(to root: StoreRoot) throws {
        guard let descriptor = try root.connect(to: StoreLayout.socket) else { return nil }
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Ends the connection, so that whoever waits for an answer is told, and the other side too. From any thread.
    package func hangUp() { _ = shutdown(self.descriptor, CInt(SHUT_RDWR)) }

    /// Sends a request and hands over its events up to the last, which is not among them.
    ///
    /// - Parameters:
    ///   - patience: how long to wait for each event, in seconds; nil is for ever.
    ///   - bundles: what the holder may ask for.
    /// - Returns: the exit code.
    package func perform(
        _ request: AdminRequest, patience: Int?, bundles: [any BundleOpener] = [], _ receive: (AdminEvent) -> Void
    ) throws -> Int {
        try self.send(request)
        while true {
            let event = try self.next(patience: patience)
            if event.kind == "end" { return Int(event.number("code")) }
            if event.kind == "open" {
                guard BundleQuestion.answer(event, bundles, on: self.descriptor) else { throw Failure.ended }
            } else {
                receive(event)
            }
        }
    }

    /// Who holds the store.
    package func hello(patience: Int) throws -> AdminEvent {
        try self.send(.hello)
        return try self.next(patience: patience)
    }

    private func send(_ request: AdminRequest) throws {
        var rest = Array((request.event.json + "\n").utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress, $0.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL))
            }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw errno == EPIPE || errno == ECONNRESET ? Failure.ended : Failure.io(errno)
            }
            rest = rest.dropFirst(count)
        }
    }

    private func next(patience: Int?) throws -> AdminEvent {
        while true {
            if let end = self.buffer.firstIndex(of: 0x0A) {
                let line = Array(self.buffer[..<end])
                self.buffer.removeFirst(end + 1)
                return try AdminEvent(parsing: line)
            }
            var entry = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&entry, 1, patience.map { CInt(clamping: $0 * 1000) } ?? -1)
            if ready == 0 { throw Failure.silent }
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = ready < 0 ? -1 : recv(self.descriptor, &chunk, chunk.count, 0)
            if count < 0 {
                if errno == EINTR { continue }
                throw errno == ECONNRESET ? Failure.ended : Failure.io(errno)
            }
            guard count > 0 else { throw Failure.ended }
            self.buffer += chunk[..<count]
        }
    }
}
