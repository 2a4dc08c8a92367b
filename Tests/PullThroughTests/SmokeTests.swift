import Testing

@testable import PullThrough

@Suite struct PullThroughSmokeTests {}
