extension Int64 {
    /// More than any disk has, and far enough from the end that a few such sums can be added without a look.
    private static let sizeLimit: Int64 = 1 << 58

    /// A sum of bytes to which a size is added that somebody else has written down: it stops before it overflows.
    package func addingSize(_ size: Int64) -> Int64 {
        let (sum, overflow) = self.addingReportingOverflow(size)
        return overflow ? Self.sizeLimit : Swift.min(sum, Self.sizeLimit)
    }
}
