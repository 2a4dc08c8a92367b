import OCI

/// How long it is remembered what an upstream did wrong, and how slow it may be. Defaults are the limits of `Limits.Upstream`.
package struct UpstreamCaution: Sendable {
    /// How long a repository that was denied is not asked for again.
    package var denial = Limits.Upstream.denial
    /// How long content is not asked for again whose announced size is not what its manifest says.
    package var wrongSize = Limits.Upstream.wrongSize
    /// The window in which wrong content is counted, and how long it is not asked for again when there was too much of it.
    package var wrongContentWindow = Limits.Upstream.wrongContentWindow
    /// How often content is fetched in that window when it turns out wrong each time.
    package var wrongContentFetches = Limits.Upstream.wrongContentFetches
    /// The window in which an upstream must send its share of a body.
    package var bodyWindow = Limits.Upstream.bodyWindow
    /// Bytes that it must send in that window.
    package var bodyInWindow = Limits.Upstream.bodyInWindow
    /// How long a broken body may take to be gone on with.
    package var resuming = Limits.Upstream.resuming
    /// How long a download that shall not outlive its followers goes on without any: a client that reconnects finds it.
    package var abandonment = Limits.Upstream.abandonment

    /// Questions that are asked at once.
    package var questions = Limits.Upstream.questions

    package init() {}
}
