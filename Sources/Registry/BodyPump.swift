import NIOCore
import NIOHTTP1
import OCI
import PullThrough
import Storage

/// Pulls a response's body from its source, one slice at a time, as fast as the client takes it.
final class BodyPump {
    private var source: BodySource
    private unowned let connection: RegistryHandler
    private let exchange: Exchange
    private let cache: PullThroughCache
    /// Bytes sent at once; small enough that a small answer does not wait behind a large one.
    private static let usualSlice: Int64 = 1 << 20
    private static let firstSlice: Int64 = 256 << 10
    /// The same for a client that is slow.
    private static let slowSlice: Int64 = 64 << 10
    /// Small at first, but most layers go in one: how fast the client is shows with the first slice that has left.
    private var slice = BodyPump.firstSlice
    /// Whether something has been handed to the connection and has not left yet.
    private(set) var isWaitingForClient = false
    private var isCancelled = false

    init(source: BodySource, connection: RegistryHandler, exchange: Exchange, cache: PullThroughCache) {
        self.source = source
        self.connection = connection
        self.exchange = exchange
        self.cache = cache
    }

    /// The client is gone.
    func cancel() { self.isCancelled = true }

    /// Does the next step; called again when a slice has left or a source has more.
    func run() {
        guard !self.isCancelled else { return }
        switch self.source {
        case .none: self.connection.finish()
        case .bytes(let bytes): self.connection.send(.byteBuffer(bytes), isLast: true) { _ in }
        case .file(let file, let position, let end): self.sendFile(file, position, end)
        case .download(let download, let position, let end): self.follow(download, position, end)
        case .relay(let relay, let position, let end): self.pass(relay, position, end)
        }
    }

    // MARK: - Files

    private func sendFile(_ file: ReadableFile, _ position: Int64, _ end: Int64) {
        guard position < end else { return self.connection.finish() }
        let count = min(self.slice, end - position)
        // `sendfile` makes no progress behind the end of a file that somebody shortened, and the loop would spin.
        guard file.currentSize >= position + count else { return self.connection.cut() }
        self.whenResident(file, position, count) {
            self.source = .file(file, position: position + count, end: end)
            self.send(file, from: position, count: count, isLast: position + count == end)
        }
    }

    /// Pages that are not in memory are read ahead elsewhere: `sendfile` would make the event loop wait for the disk.
    private func whenResident(_ file: ReadableFile, _ position: Int64, _ count: Int64, _ body: @escaping () -> Void) {
        if file.isResident(at: position), file.isResident(at: position + count - 1) { return body() }
        self.cache.store.readAhead(file, from: position, count: Int(count), then: self.exchange.resuming(body))
    }

    private func send(_ file: ReadableFile, from position: Int64, count: Int64, isLast: Bool) {
        // The handle borrows the shared descriptor for this one write: it is given back, never closed, when the write has ended.
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.descriptor)
        let region = FileRegion(fileHandle: handle, readerIndex: Int(position), endIndex: Int(position + count))
        let start = NIODeadline.now()
        self.isWaitingForClient = true
        self.connection.send(.fileRegion(region), isLast: isLast) { isSent in
            // The only error is that the handle is closed already, which it cannot be.
            _ = try? handle.takeDescriptorOwnership()
            withExtendedLifetime(file) {}
            self.isWaitingForClient = false
            self.slice = NIODeadline.now() - start > .seconds(1) ? Self.slowSlice : Self.usualSlice
            if isSent, !isLast { self.run() }
        }
    }

    // MARK: - Downloads

    private func follow(_ download: BlobDownload, _ position: Int64, _ end: Int64?) {
        switch download.bodyStep(at: position, upTo: end, wake: self.exchange.resuming { self.run() }) {
        case .wait: self.connection.flush()
        case .send(let available):
            guard let file = download.file else { return self.connection.cut() }
            let count = min(self.slice, available)
            self.source = .download(download, position: position + count, end: end)
            self.send(file, from: position, count: count, isLast: position + count == end)
        case .end: self.connection.finish()
        case .fail: self.connection.cut()
        case .relay:
            self.cache.relay(
                continuing: download,
                then: self.exchange.resuming { result in
                    switch result {
                    case .success(let relay):
                        self.exchange.start(relay, on: self.cache)
                        self.source = .relay(relay, position: position, end: end)
                        self.pass(relay, position, end)
                    case .failure: self.connection.cut()
                    }
                })
        }
    }

    // MARK: - Relays

    private var relayed: Int64?

    private func pass(_ relay: BlobRelay, _ position: Int64, _ end: Int64?) {
        let next = self.relayed ?? relay.start
        // A relay that begins behind the client would leave a hole.
        guard position >= next || self.relayed != nil else { return self.connection.cut() }
        if let end, position >= end {
            relay.cancel()
            return self.connection.finish()
        }
        switch relay.next(wake: self.exchange.resuming { self.run() }) {
        case .wait: self.connection.flush()
        case .end: self.connection.finish()
        case .fail: self.connection.cut()
        case .send(var part):
            let partEnd = next + Int64(part.readableBytes)
            self.relayed = partEnd
            // What the client has already, and what it did not ask for, is hashed but not sent.
            if position > next { part.moveReaderIndex(forwardBy: Int(min(position, partEnd) - next)) }
            if let end, partEnd > end {
                part.moveWriterIndex(to: part.writerIndex - Int(min(partEnd - end, Int64(part.readableBytes))))
            }
            let newPosition = max(position, min(partEnd, end ?? .max))
            self.source = .relay(relay, position: newPosition, end: end)
            guard part.readableBytes > 0 else { return self.run() }
            self.isWaitingForClient = true
            let isLast = newPosition == end && relay.isVerified
            self.connection.send(.byteBuffer(part), isLast: isLast) { isSent in
                self.isWaitingForClient = false
                if isSent, !isLast { self.run() }
            }
        }
    }
}
