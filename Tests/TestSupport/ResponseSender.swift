import Foundation

/// Writes one response the way its behaviour wants it.
struct ResponseSender {
    enum Fate { case keepAlive, close, reset }

    private static let largestWrite = 256 * 1024

    let socket: Socket
    let behaviour: Behaviour
    /// Called with the number of body bytes the kernel took.
    let onBodyBytes: (Int) -> Void

    /// - Parameter proper: made only when needed, after the stall before the head.
    func send(_ proper: () -> ServerResponse, isHead: Bool) throws -> Fate {
        for gate in self.behaviour.gatesBeforeHead { try self.hold(at: gate) }
        if let takeover = self.behaviour.takeover { return try self.perform(takeover) }
        var response =
            self.behaviour.answer.map {
                ServerResponse(status: $0.status, headers: $0.headers, body: $0.body)
            }
            ?? proper()
        self.changeBody(of: &response)
        let framing = self.behaviour.framing ?? .contentLength(response.window.count)
        let declared = response.window.count
        if self.behaviour.extraBytes > 0 {
            response.body =
                Array(response.body[response.window]) + Array(repeating: 0, count: self.behaviour.extraBytes)
            response.window = 0..<response.body.count
        }
        try self.sendHead(of: response, framing: framing, declared: declared)
        if isHead || response.forbidsBody {
            return self.behaviour.end.map { $0.kind == .reset ? .reset : .close } ?? .keepAlive
        }
        return try self.sendBody(of: response, framing: framing, declared: declared)
    }

    private func changeBody(of response: inout ServerResponse) {
        guard !self.behaviour.bodyChanges.isEmpty else { return }
        var body = Array(response.body[response.window])
        for change in self.behaviour.bodyChanges { change(&body) }
        response.body = body
        response.window = 0..<body.count
    }

    private func sendHead(of response: ServerResponse, framing: Behaviour.Framing, declared: Int) throws {
        var response = response
        let hasOwnLength = response.headers.contains { $0.name.lowercased() == "content-length" }
        switch framing {
        case .contentLength(let length):
            let isExplicit = self.behaviour.framing != nil
            if isExplicit || !(hasOwnLength || [204, 304].contains(response.status)) {
                response.apply(.set(name: "Content-Length", value: String(length)))
            }
        case .chunked: response.apply(.set(name: "Transfer-Encoding", value: "chunked"))
        case .none: response.apply(.set(name: "Connection", value: "close"))
        }
        for change in self.behaviour.headerChanges { response.apply(change) }
        var text = "HTTP/1.1 \(response.status) Scripted\r\n"
        for header in response.headers { text += "\(header.name): \(header.value)\r\n" }
        try self.socket.send(self.behaviour.preface + Array((text + "\r\n").utf8), within: nil)
    }

    private func sendBody(of response: ServerResponse, framing: Behaviour.Framing, declared: Int) throws -> Fate {
        let total = response.window.count
        let limit = min(self.behaviour.end?.offset ?? total, total)
        var holds = self.behaviour.holds.sorted { $0.offset < $1.offset }[...]
        let start = ContinuousClock.now
        var offset = 0
        while true {
            while let hold = holds.first, hold.offset <= offset || offset == limit {
                // A hold beyond an early end is never reached.
                if hold.offset > limit, limit < total { break }
                try self.hold(at: hold.gate)
                holds = holds.dropFirst()
            }
            guard offset < limit else { break }
            let next = self.nextStop(after: offset, limit: limit, hold: holds.first, framing: framing)
            let window = (response.window.lowerBound + offset)..<(response.window.lowerBound + next)
            try self.sendPiece(response.body, window, framing: framing)
            self.onBodyBytes(next - offset)
            offset = next
            if let speed = self.behaviour.bytesPerSecond {
                try self.pause(until: start.advanced(by: .seconds(Double(offset) / Double(speed))))
            }
        }
        if let end = self.behaviour.end { return end.kind == .reset ? .reset : .close }
        switch framing {
        case .contentLength(let length): return length == total && total == declared ? .keepAlive : .close
        case .none, .chunked(_, sendsEnd: false): return .close
        case .chunked(_, sendsEnd: true):
            try self.socket.send(Array("0\r\n\r\n".utf8), within: nil)
            return .keepAlive
        }
    }

    private func nextStop(after offset: Int, limit: Int, hold: Behaviour.Hold?, framing: Behaviour.Framing) -> Int {
        var next = min(limit, offset + Self.largestWrite)
        if let hold, hold.offset > offset { next = min(next, hold.offset) }
        if case .chunked(let size, _) = framing { next = min(next, offset + size) }
        if let speed = self.behaviour.bytesPerSecond { next = min(next, offset + max(1, speed / 20)) }
        return next
    }

    private func sendPiece(_ body: [UInt8], _ window: Range<Int>, framing: Behaviour.Framing) throws {
        if case .chunked = framing {
            let size = Array(String(window.count, radix: 16).utf8)
            try self.socket.send(size + [13, 10] + body[window] + [13, 10], within: nil)
        } else {
            try body.withUnsafeBytes { bytes in
                try self.socket.send(UnsafeRawBufferPointer(rebasing: bytes[window]), within: nil)
            }
        }
    }

    private func perform(_ takeover: Behaviour.Takeover) throws -> Fate {
        switch takeover {
        case .close: return .close
        case .reset: return .reset
        case .raw(let pieces, let pause, let thenClose):
            for (index, piece) in pieces.enumerated() {
                if index > 0 { try self.pause(until: .now.advanced(by: pause)) }
                try self.socket.send(piece, within: nil)
            }
            return thenClose ? .close : .keepAlive
        case .endless(let preface, let repeating):
            try self.socket.send(preface, within: nil)
            let copies = max(1, 16_384 / max(1, repeating.count))
            let block = Array(repeatElement(repeating, count: copies).joined())
            while !block.isEmpty {
                try self.socket.send(block, within: nil)
                self.onBodyBytes(block.count)
            }
            return .close
        }
    }

    private func hold(at gate: Gate) throws {
        switch gate.wait(isCancelled: { self.socket.hasEnded }) {
        case .opened: return
        case .timedOut: throw TestSupportError(.timedOut, "nobody opened the gate")
        case .cancelled: throw TestSupportError(.aborted, "the peer left while we held")
        }
    }

    private func pause(until end: ContinuousClock.Instant) throws {
        while true {
            let rest = ContinuousClock.now.duration(to: end)
            guard rest > .zero else { return }
            if self.socket.hasEnded { throw TestSupportError(.aborted, "the peer left while we paused") }
            Thread.sleep(forTimeInterval: min(0.05, rest.inSeconds))
        }
    }
}
