import NIOCore
import NIOPosix

/// The threads on which files are touched. Opening and reading never queue behind a sync.
package struct StorePools: Sendable {
    package let reading: NIOThreadPool
    package let writing: NIOThreadPool
    /// One thread that nothing else can keep busy: everybody's durability waits for it.
    package let journaling: NIOThreadPool
    /// How much sooner than others the threads of downloads leave the processor: steps of nice(2).
    let niceness: CInt

    package init(reading: Int = 4, writing: Int = 8, niceness: CInt = 0) {
        self.niceness = niceness
        self.reading = NIOThreadPool(numberOfThreads: reading)
        self.writing = NIOThreadPool(numberOfThreads: writing)
        self.journaling = NIOThreadPool(numberOfThreads: 1)
    }

    package func start() {
        self.reading.start()
        self.writing.start()
        self.journaling.start()
    }

    package func shutdown() async {
        // The error says that the pool was shut down already, which is what is wanted.
        try? await self.reading.shutdownGracefully()
        try? await self.writing.shutdownGracefully()
        try? await self.journaling.shutdownGracefully()
    }
}
