import Registry
import ServiceLifecycle
import UnixSignals

/// Whoever asks twice for the end does not want to wait for running responses.
struct ImpatientStop: Service {
    let server: RegistryServer

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        await cancelWhenGracefulShutdown {
            var count = 0
            for await _ in signals {
                count += 1
                if count > 1 { self.server.cut() }
            }
        }
    }
}
