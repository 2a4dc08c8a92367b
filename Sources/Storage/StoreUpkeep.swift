import ServiceLifecycle

/// What an open store does by itself: writes the layouts that changed, and looks once for blobs that nobody knows.
package final class StoreUpkeep: Service {
    private let store: ContentStore

    package init(store: ContentStore) {
        self.store = store
    }

    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.adopt() }
            group.addTask { try await self.writeLayouts() }
            try await group.waitForAll()
        }
    }

    private func adopt() async {
        let isStopped = StopFlag()
        await withGracefulShutdownHandler {
            do {
                let adopted = try await self.store.run { self.store.adoptUnknownBlobs { isStopped.isRaised } }
                if adopted > 0 {
                    self.store.logger.notice("Adopted blobs that the journal did not know", metadata: ["count": "\(adopted)"])
                }
            } catch {
                self.store.logger.warning("The search for unknown blobs did not end", metadata: ["error": "\(error)"])
            }
        } onGracefulShutdown: {
            isStopped.raise()
        }
    }

    private func writeLayouts() async throws {
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: .seconds(1))
                    try await self.store.run { self.store.flushLayouts() }
                } catch is CancellationError {
                    return  // the end is asked for; what is left is written when the store is closed
                }
            }
        }
    }
}
