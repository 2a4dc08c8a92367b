#include "CLinux.h"

#if defined(__x86_64__)
#include <immintrin.h>

// "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", V. Gopal, E. Ozturk et al., 2009; the constants
// are those of its bit-reflected CRC-32.
__attribute__((target("sse4.1,pclmul"))) static inline __m128i fold(__m128i value, __m128i constants, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(value, constants, 0x00);
    __m128i high = _mm_clmulepi64_si128(value, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("sse4.1,pclmul"))) static uint32_t crc32_by_multiplication(const uint8_t *bytes, size_t count) {
    const __m128i by_64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i to_64_bits = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i *next = (const __m128i *)bytes;
    const __m128i *end = (const __m128i *)(bytes + count);

    __m128i a = _mm_xor_si128(_mm_loadu_si128(next), _mm_cvtsi32_si128(-1));
    __m128i b = _mm_loadu_si128(next + 1);
    __m128i c = _mm_loadu_si128(next + 2);
    __m128i d = _mm_loadu_si128(next + 3);
    for (next += 4; end - next >= 4; next += 4) {
        a = fold(a, by_64, _mm_loadu_si128(next));
        b = fold(b, by_64, _mm_loadu_si128(next + 1));
        c = fold(c, by_64, _mm_loadu_si128(next + 2));
        d = fold(d, by_64, _mm_loadu_si128(next + 3));
    }
    a = fold(fold(fold(a, by_16, b), by_16, c), by_16, d);
    for (; next < end; next++) a = fold(a, by_16, _mm_loadu_si128(next));

    // 128 bits to 64, and those to 32 (Barrett).
    const __m128i mask = _mm_setr_epi32(-1, 0, -1, 0);
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_16, 0x10));
    a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, mask), to_64_bits, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, mask), polynomial, 0x10);
    quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, mask), polynomial, 0x00);
    return ~(uint32_t)_mm_extract_epi32(_mm_xor_si128(a, quotient), 1);
}
#endif

size_t clinux_crc32(const uint8_t *bytes, size_t count, uint32_t *crc) {
#if defined(__x86_64__)
    size_t whole = count & ~(size_t)15;
    if (whole >= 64 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        *crc = crc32_by_multiplication(bytes, whole);
        return whole;
    }
#endif
    *crc = 0;
    return 0;
}
