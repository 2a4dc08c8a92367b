import CLinux

/// What becomes of memory that nobody needs at the moment.
package enum FreeMemory {
    /// Keeps some of it for the next download.
    ///
    /// One is buffer after buffer of a few hundred KiB: pages that go back to the kernel after each, and are cleared and mapped again
    /// for the next, are a fifth of its cost.
    package static func keepSome() { clinux_keep_memory(32 << 20, 4 << 20) }

    /// Gives all of it back to the system; a few milliseconds.
    package static func giveBack() { clinux_trim_memory() }
}
