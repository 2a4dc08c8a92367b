import Foundation
import Synchronization

/// What the threads of a scripted upstream share. It does not know the `ScriptedUpstream`, so that forgetting to stop
/// one is enough to stop it.
final class UpstreamState: Sendable {
    private struct Script {
        let matcher: RequestMatcher
        var queue: [Behaviour]
        let repeats: Bool
    }

    private struct Log {
        var requests: [RecordedRequest] = []
        var bodyBytes: [Int: Int] = [:]
    }

    private struct Connections {
        var open: [Int: Socket] = [:]
        var accepted = 0
        var accepting = false
    }

    let port: Int
    let content = Mutex(RegistryContent())
    let tokens: Mutex<TokenService?>
    private let scripts = Mutex<[Script]>([])
    private let log = Mutex(Log())
    private let connections = Mutex(Connections())

    init(port: Int, tokens: TokenService?) {
        self.port = port
        self.tokens = Mutex(tokens)
    }

    // MARK: Scripts

    var pendingBehaviourCount: Int {
        self.scripts.withLock { scripts in scripts.reduce(0) { $0 + ($1.repeats ? 0 : $1.queue.count) } }
    }

    func addScript(_ matcher: RequestMatcher, _ behaviours: [Behaviour], repeats: Bool) {
        self.scripts.withLock { $0.append(Script(matcher: matcher, queue: behaviours, repeats: repeats)) }
    }

    func clearScripts() { self.scripts.withLock { $0 = [] } }

    /// The next queued behaviour for the request, else the newest lasting one, else none.
    private func behaviour(for request: RecordedRequest, isAuthorized: Bool) -> Behaviour {
        self.scripts.withLock { scripts in
            func matches(_ script: Script) -> Bool {
                (isAuthorized || script.matcher.includesUnauthorized) && !script.queue.isEmpty
                    && script.matcher.matches(request)
            }
            if let index = scripts.firstIndex(where: { !$0.repeats && matches($0) }) {
                return scripts[index].queue.removeFirst()
            }
            return scripts.last { $0.repeats && matches($0) }?.queue.first ?? .normal
        }
    }

    // MARK: Recording

    var requests: [RecordedRequest] { self.log.withLock { $0.requests } }

    func bodyBytesSent(for id: Int) -> Int { self.log.withLock { $0.bodyBytes[id] ?? 0 } }

    func record(_ head: RequestHead, raw: [UInt8], body: [UInt8], connection: Int) -> RecordedRequest {
        self.log.withLock { log in
            let request = RecordedRequest(
                id: log.requests.count, connection: connection, arrival: .now, method: head.method,
                target: head.target, path: head.path, headers: head.headers, body: body, raw: raw)
            log.requests.append(request)
            return request
        }
    }

    /// Answers one request; the caller ends the connection as told.
    func answer(_ request: RecordedRequest, on socket: Socket) throws -> ResponseSender.Fate {
        let isAuthorized = !request.path.hasPrefix("/v2") || self.tokens.withLock { $0?.isAuthorized(request) ?? true }
        let behaviour = self.behaviour(for: request, isAuthorized: isAuthorized)
        let sender = ResponseSender(socket: socket, behaviour: behaviour) { count in
            self.log.withLock { $0.bodyBytes[request.id, default: 0] += count }
        }
        return try sender.send(
            { self.properResponse(to: request, isAuthorized: isAuthorized, ignoringRange: behaviour.ignoresRange) },
            isHead: request.method == "HEAD")
    }

    private func properResponse(
        to request: RecordedRequest, isAuthorized: Bool, ignoringRange: Bool
    ) -> ServerResponse {
        guard isAuthorized else { return TokenService.challenge(for: request, port: self.port) }
        if request.path == "/token", let response = self.tokens.withLock({ $0?.response(to: request) }) {
            return response
        }
        return self.content.withLock { $0.response(to: request, ignoringRange: ignoringRange) }
    }

    // MARK: Connections

    var openConnectionCount: Int { self.connections.withLock { $0.open.count } }
    var acceptedConnectionCount: Int { self.connections.withLock { $0.accepted } }
    var isAccepting: Bool { self.connections.withLock { $0.accepting } }

    func setAccepting(_ accepting: Bool) { self.connections.withLock { $0.accepting = accepting } }

    /// Accepts on the calling thread until the listener is aborted.
    func acceptConnections(on listener: Socket) {
        while true {
            do {
                let socket = try listener.accepted()
                let number = self.connections.withLock { connections in
                    connections.accepted += 1
                    connections.open[connections.accepted - 1] = socket
                    return connections.accepted - 1
                }
                Thread { self.serve(socket, number: number) }.start()
            } catch let error as TestSupportError where error.code == .aborted {
                break
            } catch {
                Thread.sleep(forTimeInterval: 0.02)  // no descriptors, or a connection that is gone already
            }
        }
        listener.close()
        self.setAccepting(false)
    }

    func abortConnections() {
        let open = self.connections.withLock { Array($0.open.values) }
        for socket in open { socket.abort() }
    }

    private func serve(_ socket: Socket, number: Int) {
        var reader = RequestReader(socket: socket)
        var fate = ResponseSender.Fate.keepAlive
        do {
            while fate == .keepAlive, let (head, raw, body) = try reader.next() {
                let request = self.record(head, raw: raw, body: body, connection: number)
                fate = try self.answer(request, on: socket)
                if fate == .keepAlive, request.header("Connection")?.lowercased() == "close" { fate = .close }
            }
        } catch {
            // The peer or `stop()` ended it; a gate nobody opened becomes a reset that the test will notice.
            fate = (error as? TestSupportError)?.code == .timedOut ? .reset : .close
        }
        if fate == .reset {
            socket.drain()
            socket.reset()
        } else {
            socket.close()
        }
        self.connections.withLock { $0.open[number] = nil }
    }
}
