import Testing

@testable import Upstream

@Suite struct UpstreamSmokeTests {}
