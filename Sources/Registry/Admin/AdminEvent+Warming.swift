import OCI
import PullThrough

/// How a request to warm, and what comes of it, look on the socket.
extension AdminEvent {
    static func warm(_ request: WarmRequest) -> AdminEvent {
        let event = AdminEvent("warm").with("images", request.images).with("withReferrers", request.withReferrers)
            .with("jobs", Int64(request.jobs))
        return request.platforms.platforms.map { event.with("platforms", $0.map(\.description)) } ?? event
    }

    /// Nil for platforms that are none.
    var warmRequest: WarmRequest? {
        var selection = PlatformSelection.all
        if self.fields.contains(where: { $0.key == "platforms" }) {
            let texts = self.list("platforms")
            let platforms = texts.compactMap { Platform(parsing: $0) }
            guard platforms.count == texts.count, !platforms.isEmpty else { return nil }
            selection = PlatformSelection(platforms)
        }
        return WarmRequest(
            images: self.list("images"), platforms: selection, withReferrers: self.flag("withReferrers"),
            jobs: Int(clamping: self.number("jobs")))
    }

    init(_ event: WarmEvent) {
        switch event {
        case .began(let image): self = AdminEvent("warming").with("image", image)
        case .note(let image, let text): self = AdminEvent("note").with("image", image).with("message", text)
        case .progress(let progress):
            let layers = progress.layers.map { "\($0.digest) \($0.received) \($0.size) \($0.image)" }
            self = AdminEvent("progress").with("received", progress.received).with("wanted", progress.wanted)
                .with("images", Int64(progress.images)).with("endedImages", Int64(progress.endedImages))
                .with("milliseconds", progress.milliseconds).with("layers", layers)
        case .ended(let image): self = Self.ended(image)
        }
    }

    private static func ended(_ image: WarmedImage) -> AdminEvent {
        var event = AdminEvent(image.failure == nil ? "warmed" : "warmFailed").with("image", image.name)
        if let digest = image.digest { event = event.with("digest", digest.description) }
        event = event.with("platforms", image.platforms).with("manifests", Int64(image.manifests))
            .with("blobs", Int64(image.blobs)).with("fetchedManifests", Int64(image.fetchedManifests))
            .with("fetchedBlobs", Int64(image.fetchedBlobs)).with("bytes", image.bytes)
            .with("fetchedBytes", image.fetchedBytes).with("referrers", Int64(image.referrers))
            .with("milliseconds", image.milliseconds)
        if let failure = image.failure { event = event.with("message", failure.description) }
        if let retryAt = image.failure?.retryAt { event = event.with("retryAt", retryAt) }
        return event
    }

    init(_ summary: WarmSummary, gaveWay: Bool) {
        self = AdminEvent("warmSummary").with("complete", Int64(summary.complete)).with("unchanged", Int64(summary.unchanged))
            .with("failed", Int64(summary.failed)).with("interrupted", Int64(summary.interrupted))
            .with("fetchedBlobs", Int64(summary.fetchedBlobs)).with("fetchedBytes", summary.fetchedBytes)
            .with("milliseconds", summary.milliseconds).with("gaveWay", gaveWay)
    }

    /// What is said in progress, read back from the text of one layer.
    package static func layer(_ text: String) -> WarmProgress.Layer? {
        let parts = text.split(separator: " ", maxSplits: 3)
        guard parts.count == 4, let digest = try? Digest(parsing: parts[0]),  // said by a later version
            let received = Int64(parts[1]), let size = Int64(parts[2])
        else { return nil }
        return WarmProgress.Layer(digest: digest, received: received, size: size, image: String(parts[3]))
    }
}

extension StoreAdministration {
    /// Brings images into the store. Returns the exit code: 0 all, 1 some of them not, 2 none.
    func warm(_ request: WarmRequest, _ emit: @escaping @Sendable (AdminEvent) -> Void) async throws -> Int {
        if self.store.isReadOnly { throw StorageRefusal(self.store.degradation ?? "the store is read-only") }
        guard let warmer = self.warmer else { throw StorageRefusal("the process that holds the store asks no registries") }
        let summary = await warmer.run(request, isStopped: { self.isAskedToEnd }, report: { emit(AdminEvent($0)) })
        emit(AdminEvent(summary, gaveWay: self.isAskedToEnd && summary.interrupted > 0))
        if summary.failed == 0, summary.interrupted == 0 { return 0 }
        return summary.complete > 0 ? 1 : 2
    }

    struct StorageRefusal: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }
}
