// Measures, checks and shrinks the store, always as a plan and then its execution. Nothing of it exists yet; the module stands so
// that what comes has its place below `Registry` and may import `Storage` and `OCI` alone.
