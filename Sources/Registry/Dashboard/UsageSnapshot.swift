import Maintenance
import OCI
import Storage

/// What fills the disk, without what it was worked out from: that is several times as large.
struct UsageSnapshot: Sendable {
    let registries: [DiskUsage.Registry]
    let repositories: [DiskUsage.Repository]
    let images: [DiskUsage.Image]
    /// Of everything that is stored, whether an image needs it or not.
    let total: DiskUsage.Figures
    let orphans: DiskUsage.Orphans

    /// Blocks: it looks at everything.
    init(_ catalog: Catalog) {
        let usage = DiskUsage(catalog, pulls: { catalog.content($0)?.pulls ?? 0 })
        self.registries = usage.registries
        self.repositories = usage.repositories
        self.images = usage.images
        self.orphans = usage.orphans
        var total = usage.figures
        total.logical += usage.orphans.logical
        total.unique += usage.orphans.allocated
        total.attributed += usage.orphans.allocated
        total.blobs += usage.orphans.blobs
        self.total = total
    }
}
