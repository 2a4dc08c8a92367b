import NIOCore
import NIOPosix

/// The threads on which files are touched. Opening and reading never queue behind a sync.
package struct StorePools: Sendable {
    package let reading: NIOThreadPool
    package let writing: NIOThreadPool

    package init(reading: Int = 4, writing: Int = 8) {
        self.reading = NIOThreadPool(numberOfThreads: reading)
        self.writing = NIOThreadPool(numberOfThreads: writing)
    }

    package func start() {
        self.reading.start()
        self.writing.start()
    }

    package func shutdown() async {
        // The error says that the pool was shut down already, which is what is wanted.
        try? await self.reading.shutdownGracefully()
        try? await self.writing.shutdownGracefully()
    }
}
