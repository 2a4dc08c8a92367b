import NIOCore
import Storage
import SystemPackage
import Testing

@testable import Registry

struct ErrorResponseTests {
    @Test("a file that cannot be opened for want of descriptors is a 503 that says when to come back")
    func shortage() {
        for errno in [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory] {
            let response = ErrorResponse(StorageError(errno, "open a blob"))
            #expect(response.status == .serviceUnavailable)
            #expect(response.retryAfter == 1)
        }
        let broken = ErrorResponse(StorageError(.ioError, "open a blob"))
        #expect(broken.status == .internalServerError)
        #expect(broken.retryAfter == nil)
    }

    @Test("the response of a connection that is not served is framed and says that it is the last")
    func closingResponse() {
        let error = ErrorResponse(.serviceUnavailable, .unavailable, "no", retryAfter: 1)
        #expect(
            error.closingResponse == """
                HTTP/1.1 503 Service Unavailable\r
                docker-distribution-api-version: registry/2.0\r
                content-type: application/json\r
                content-length: 65\r
                cache-control: no-store\r
                retry-after: 1\r
                connection: close\r
                \r

                """)
        #expect(String(buffer: error.body) == "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"no\",\"detail\":null}]}\n")
    }
}
