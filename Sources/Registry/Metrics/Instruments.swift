import Maintenance

/// What is counted elsewhere in this process and shown by `/metrics`.
package struct Instruments: Sendable {
    /// Nil where nobody checks the store.
    package var scrub: (@Sendable () -> Scrub.Report)?
    /// Log lines that were not written since this process began.
    package var droppedLogLines: @Sendable () -> Int64 = { 0 }

    package init() {}
}
