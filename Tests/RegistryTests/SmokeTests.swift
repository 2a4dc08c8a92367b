import Testing

@testable import Registry

@Suite struct RegistrySmokeTests {}
