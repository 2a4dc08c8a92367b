import Logging
import NIOCore
import NIOHTTP1
import OCI
import PullThrough

/// The route table: one place decides what every request may do before it is served.
final class RegistryResources: Sendable {
    let cache: PullThroughCache
    let dates = DateHeader()
    /// Answers that went through a `RegistryHandler`.
    let responses = ResponseCounts()
    private let settings: Mutex<RegistryConfiguration>
    private let logger: Logger
    private let startedAt = ContinuousClock.now
    private let dashboard: Dashboard
    private let metrics: MetricsHandler
    private let hitLog: any HitLog
    private let loopCount: Int
    private let answers: ReadyAnswersTable

    init(
        cache: PullThroughCache, configuration: RegistryConfiguration, connections: ConnectionSet, instruments: Instruments,
        group: any EventLoopGroup, hitLog: any HitLog, logger: Logger
    ) {
        self.cache = cache
        self.settings = Mutex(configuration)
        self.dashboard = Dashboard(cache: cache, configuration: configuration)
        self.logger = logger
        self.hitLog = hitLog
        self.loopCount = max(1, group.makeIterator().reduce(0) { count, _ in count + 1 })
        let answers = ReadyAnswersTable()
        self.answers = answers
        let responses = self.responses
        self.metrics = MetricsHandler(submit: { cache.store.look($0) }) {
            MetricsReport(
                cache: cache, configuration: configuration, connections: connections.counts,
                responses: [responses] + answers.responses, instruments: instruments
            ).text
        }
    }

    /// What is in force.
    private var configuration: RegistryConfiguration { self.settings.withLock { $0 } }

    /// See `RegistryServer.reload`.
    func reload(operations: RegistryConfiguration.Reach) {
        self.settings.withLock { $0.operations = operations }
        self.answers.forgetOldUpstreams()
    }

    /// What a loop has at hand; nil when it is to have nothing. On that loop, once a connection.
    func answers(on loop: any EventLoop) -> ReadyAnswers? {
        guard self.configuration.hasHotPath else { return nil }
        return self.answers.answers(on: loop) {
            ReadyAnswers(
                cache: self.cache, dates: self.dates, log: self.hitLog, limit: Limits.Memory.readyAnswerBytes / self.loopCount)
        }
    }

    func handle(_ exchange: Exchange, isDraining: Bool) {
        guard exchange.request.method == .GET || exchange.request.method == .HEAD else {
            return exchange.fail(
                ErrorResponse(
                    .methodNotAllowed, .unsupported, "this registry is a cache: push to the registry itself", allow: "GET, HEAD"))
        }
        let route: Route
        do {
            route = try Route(target: exchange.request.uri)
        } catch {
            return exchange.fail(ErrorResponse(error))
        }
        if route.isOperational,
            let refusal = OperationsAccess(self.configuration).refusal(route, exchange.request, isLocal: exchange.isLocal)
        {
            return exchange.fail(refusal)
        }
        switch route {
        case .base: Self.answerBase(exchange)
        case .health: self.operations.health(exchange)
        case .ready: self.operations.ready(exchange, isDraining: isDraining)
        case .dashboard(let request): DashboardHandler(dashboard: self.dashboard).handle(request, exchange)
        case .metrics: self.metrics.answer(exchange)
        case .catalog(let count, let last, let ns):
            ListHandler(cache: self.cache).catalog(count: count, after: last, ns: ns, exchange)
        case .tags(let name, let count, let last, let ns):
            self.withSource(name, ns, .list, exchange) { source in
                ListHandler(cache: self.cache).tags(name, in: source, count: count, after: last, ns: ns, exchange)
            }
        case .referrers(let name, let digest, let type, let ns):
            self.withSource(name, ns, .list, exchange) { source in
                ListHandler(cache: self.cache).referrers(of: digest, in: source, artifactType: type, exchange)
            }
        case .manifest(let name, let reference, let ns):
            self.withSource(name, ns, .manifest, exchange) { source in
                ManifestHandler(cache: self.cache, logger: self.logger).handle(reference, in: source, exchange)
            }
        case .blob(let name, let digest, let ns):
            self.withSource(name, ns, .blob, exchange) { source in
                BlobHandler(cache: self.cache, logger: self.logger).handle(digest, in: source, exchange)
            }
        }
    }

    /// One line for each request that was not answered with content, without its query.
    func note(_ error: ErrorResponse, for request: HTTPRequestHead) {
        let path = request.uri.prefix { $0 != "?" }.prefix(300)
        let line: Logger.Message = "\(error.status.code) \(error.code.rawValue): \(request.method) \(path): \(error.message)"
        // What is nowhere is ordinary; what an upstream or this host cannot do is not.
        if error.isExpected || error.status.code < 500, error.status != .tooManyRequests, error.status != .forbidden {
            self.logger.info(line)
        } else {
            self.logger.warning(line)
        }
    }

    private var operations: OperationsHandler {
        OperationsHandler(cache: self.cache, configuration: self.configuration, startedAt: self.startedAt)
    }

    private func withSource(
        _ name: Substring, _ ns: Namespace?, _ kind: RequestKind, _ exchange: Exchange, _ body: (RoutedRepository) -> Void
    ) {
        do {
            let source = try self.cache.directory.route(name, ns: ns)
            exchange.concerns(kind, source)
            body(source)
        } catch let error as ReferenceError {
            exchange.fail(ErrorResponse(.badRequest, .nameInvalid, error.description))
        } catch let error as PullThroughError {
            exchange.fail(ErrorResponse(error, unknown: .nameUnknown))
        } catch {
            exchange.fail(ErrorResponse(.badRequest, .nameInvalid, "\(error)"))
        }
    }

    /// `GET /v2/`: yes, a registry; asked of nobody. Source: distribution spec, "Determining Support".
    private static func answerBase(_ exchange: Exchange) {
        var head = ResponseHead(.ok)
        head.add("content-type", "application/json")
        head.add("content-length", "2")
        exchange.respond(head, .bytes(ByteBuffer(string: "{}")))
    }
}
