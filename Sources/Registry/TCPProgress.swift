/// The beginning of Linux's `struct tcp_info`, which glibc cuts off before the field that is wanted. Source: include/uapi/linux/tcp.h.
struct TCPProgress: Sendable {
    private var before: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    private var rates: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
    /// `tcpi_bytes_acked`, at offset 120: bytes that the peer has acknowledged since the connection was made.
    private(set) var acknowledged: UInt64 = 0
}
