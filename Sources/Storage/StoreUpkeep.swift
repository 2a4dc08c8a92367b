import ServiceLifecycle

/// What an open store does by itself: writes the layouts that changed, looks once for blobs that nobody knows, notices when its
/// folder goes or comes back, finishes removals that failed, and lets go of what nobody has pulled for long.
package final class StoreUpkeep: Service {
    private let store: ContentStore

    package init(store: ContentStore) {
        self.store = store
    }

    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.adopt() }
            group.addTask { try await self.writeLayouts() }
            group.addTask { try await self.lookAfterDisk() }
            try await group.waitForAll()
        }
    }

    private func adopt() async {
        let isStopped = StopFlag()
        await withGracefulShutdownHandler {
            do {
                // A crash loses the last second of changes to layouts.
                try await self.store.run { self.store.mendLayouts { isStopped.isRaised } }
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

    private func lookAfterDisk() async throws {
        try await cancelWhenGracefulShutdown {
            var rounds = 0
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: .seconds(2))
                    rounds += 1
                    let isMinute = rounds % 30 == 0
                    let isHour = rounds % 1800 == 15
                    try await self.store.run {
                        self.store.watchFolder()
                        if isMinute {
                            self.store.retryRemovals()
                            // What many buffers took in a busy minute is not kept for ever.
                            FreeMemory.giveBack()
                        }
                        if isHour { self.store.removeUnused() }
                    }
                } catch is CancellationError {
                    return  // the end is asked for
                }
            }
        }
    }
}
