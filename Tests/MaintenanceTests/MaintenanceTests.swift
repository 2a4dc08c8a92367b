import Testing

/// One after the other: each hashes on all cores, and other tests need this machine, too.
@Suite("Maintenance", .serialized)
struct MaintenanceTests {}
