import OCI

/// Writes a bundle as one tar.
enum ArchiveBundle {
    /// Bytes of the whole archive.
    static func size(of plan: ExportPlan) -> Int64 {
        plan.members.reduce(
            TarWriter.length(of: BundleLayout.layoutFile, size: Int64(BundleLayout.version.count))
                + TarWriter.length(of: BundleLayout.indexFile, size: Int64(plan.index.count)) + TarWriter.trailer
        ) { $0 + TarWriter.length(of: BundleLayout.blob($1.digest), size: $1.size) }
    }

    /// Blocks for as long as that takes.
    static func write(_ plan: ExportPlan, from blobs: StoredBlobs, to output: any BundleOutput, _ progress: ExportProgress) throws
    {
        progress.begin(plan.byteCount)
        try BlobPump.run(plan.members, from: blobs, progress) { pump in
            var tar = TarWriter(output)
            try tar.member(BundleLayout.layoutFile, BundleLayout.version)
            try tar.member(BundleLayout.indexFile, plan.index)
            for member in plan.members {
                try tar.begin(BundleLayout.blob(member.digest), size: member.size)
                try pump.carry(member.digest, size: member.size) { try tar.write($0) }
                try tar.end()
            }
            try tar.finish()
        }
        try progress.checkStop()
        try output.publish()
    }
}

/// The names in a bundle: image spec, "OCI Image Layout".
package enum BundleLayout {
    package static let layoutFile = "oci-layout"
    package static let indexFile = "index.json"
    /// The whole of `oci-layout`.
    package static let version = Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8)

    package static func blob(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }
}
