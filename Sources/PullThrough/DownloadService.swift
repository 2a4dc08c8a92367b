import ServiceLifecycle

/// Runs downloads and questions to upstreams as children of one long-lived task, so that none belongs to a client.
package final class DownloadService: Service {
    package typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let continuation: AsyncStream<Job>.Continuation

    package init() {
        (self.jobs, self.continuation) = AsyncStream.makeStream(of: Job.self)
    }

    /// Starts a job. Never blocks; a job that comes after the end is dropped, false then.
    @discardableResult
    package func start(_ job: @escaping Job) -> Bool {
        if case .enqueued = self.continuation.yield(job) { true } else { false }
    }

    /// Runs jobs until a graceful shutdown, which cancels those that are left.
    package func run() async throws {
        await withDiscardingTaskGroup { group in
            await withGracefulShutdownHandler {
                for await job in self.jobs { group.addTask { await job() } }
            } onGracefulShutdown: {
                self.continuation.finish()
            }
            group.cancelAll()
        }
    }
}
