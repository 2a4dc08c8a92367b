import CLinux
import Glibc
import OCI
import Synchronization

/// How the files of bundles get from the process that may open them to the one that holds the store: as descriptors, over a Unix socket.
///
/// The holder says what it wants by a line that it sends its own way; the answer is a letter, perhaps a text, and LF: `f` comes with a
/// descriptor, `n` says that there is no such member, `r` and `u` say why it is refused or cannot be read.
package enum BundleHandover {
    /// What is asked for.
    package enum Item: Hashable, Sendable {
        case part(Int)
        case member(BundleMember)
    }

    /// Opens something and sends it; blocks.
    ///
    /// - Returns: false when nobody is there any more.
    package static func answer(_ item: Item, of opener: (any BundleOpener)?, on socket: CInt) -> Bool {
        do {
            guard let opener else { throw BundleError(.unreadable, "there is no such bundle") }
            let descriptor: CInt? =
                switch item {
                case .part(let number): try opener.open(part: number)
                case .member(let member): try opener.open(member)
                }
            guard let descriptor else { return Self.send("n", -1, on: socket) }
            defer { close(descriptor) }
            return Self.send("f", descriptor, on: socket)
        } catch let error as BundleError {
            return Self.send((error.code == .refused ? "r" : "u") + error.message.filter { $0 != "\n" }, -1, on: socket)
        } catch {
            return Self.send("u\(error)".filter { $0 != "\n" }, -1, on: socket)
        }
    }

    private static func send(_ text: String, _ descriptor: CInt, on socket: CInt) -> Bool {
        var rest = Array("\(text)\n".utf8)[...]
        var descriptor = descriptor
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { clinux_send_descriptor(socket, $0.baseAddress, $0.count, descriptor) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            descriptor = -1  // it went with the first byte
            rest = rest.dropFirst(Int(count))
        }
        return true
    }
}

/// Bundles that another process has opened. For threads that may block.
package final class RemoteBundles: Sendable {
    /// How long an answer may take, in seconds: the other side may have to wake a disk.
    private static let patience = 60

    private let ask: @Sendable (_ bundle: Int, BundleHandover.Item) -> Void
    private let socket: CInt
    /// One question at a time.
    private let turn = Mutex(())

    /// - Parameters:
    ///   - socket: taken over; from here on only answers come from it.
    ///   - ask: sends a question to the other side.
    package init(socket: CInt, ask: @escaping @Sendable (_ bundle: Int, BundleHandover.Item) -> Void) {
        self.socket = socket
        self.ask = ask
    }

    deinit {
        close(self.socket)
    }

    /// Whether the other side has gone.
    package var isGone: Bool {
        // POLLRDHUP, which glibc shows only with _GNU_SOURCE.
        var entry = pollfd(fd: self.socket, events: 0x2000, revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    package func opener(_ bundle: Int) -> any BundleOpener { Opener(bundles: self, bundle: bundle) }

    private struct Opener: BundleOpener {
        let bundles: RemoteBundles
        let bundle: Int

        func open(part: Int) throws -> CInt {
            guard let descriptor = try self.bundles.open(self.bundle, .part(part)) else {
                throw BundleError(.unreadable, "there is no such part")
            }
            return descriptor
        }

        func open(_ member: BundleMember) throws -> CInt? { try self.bundles.open(self.bundle, .member(member)) }
    }

    private func open(_ bundle: Int, _ item: BundleHandover.Item) throws -> CInt? {
        try self.turn.withLock { _ in
            self.ask(bundle, item)
            let (text, descriptor) = try self.receive()
            if text.first == "f", let descriptor { return descriptor }
            if let descriptor { close(descriptor) }
            switch text.first {
            case "n": return nil
            case "r": throw BundleError(.refused, String(text.dropFirst()))
            default: throw BundleError(.unreadable, String(text.dropFirst()))
            }
        }
    }

    private func receive() throws -> (text: String, descriptor: CInt?) {
        var line: [UInt8] = []
        var descriptor: CInt?
        var buffer = [UInt8](repeating: 0, count: 4096)
        while line.last != 0x0A {
            var entry = pollfd(fd: self.socket, events: Int16(POLLIN), revents: 0)
            let ready = poll(&entry, 1, CInt(Self.patience * 1000))
            if ready < 0, errno == EINTR { continue }
            var received: CInt = -1
            let count = ready > 0 ? clinux_receive_descriptor(self.socket, &buffer, buffer.count, &received) : -1
            if received >= 0 {
                if let descriptor { close(descriptor) }
                descriptor = received
            }
            if ready > 0, count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0, line.count < 1 << 16 else {
                if let descriptor { close(descriptor) }
                throw BundleError(.unreadable, "who brings the bundle is gone, or does not answer")
            }
            line += buffer[..<Int(count)]
        }
        return (String(decoding: line.dropLast(), as: UTF8.self), descriptor)
    }
}
