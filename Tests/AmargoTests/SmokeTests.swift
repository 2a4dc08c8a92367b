import Testing

@testable import amargo

@Suite struct AmargoSmokeTests {}
