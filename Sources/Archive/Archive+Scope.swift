// Carries images in and out: OCI layouts, tar bundles, receipts. Nothing of it exists yet; the module stands so that what comes
// has its place below `Registry` and beside `PullThrough`, and may import `Storage` and `OCI` alone.
