// Real functions of single precision without branches, so that loops over them become vector instructions; products
// and sums are rounded one by one, so that the results are the same on every machine. Internal to lib/exec.
#ifndef XNOR_EXEC_FUNCTIONS_H
#define XNOR_EXEC_FUNCTIONS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

// e^x to 1e-7 of it; 0 below the smallest normal number. x = n·ln 2 + r with |r| <= ln 2 / 2, and
// e^r = 1 + r + r²·p(r), p of degree 4 the least-squares fit over Chebyshev nodes.
static inline float xnor_exp(float x) {
    const float low = -87.33654f, high = 88.72283f,
                shift = 12582912; // 1.5·2^23: rounds to integers
    const float most = x > high ? high : x, in = most < low ? low : most;
    const float n = (in * 1.44269504f + shift) - shift;
    const float r = (in - n * 0.693359375f) - n * -2.12194440e-4f; // ln 2 in two parts
    float p = 0.00139336509f;
    p = p * r + 0.00836317986f;
    p = p * r + 0.0416664667f;
    p = p * r + 0.166665763f;
    p = p * r + 0.5f;
    float y = (p * (r * r) + r) + 1;
    int32_t bits;
    memcpy(&bits, &y, sizeof bits);
    bits += (int32_t)n * (1 << 23);
    memcpy(&y, &bits, sizeof y);
    y = x < low ? 0 : y;
    y = x > high ? INFINITY : y;
    return x != x ? x : y;
}

// To 2e-7 of it: near 0 by an odd polynomial of degree 11.
static inline float xnor_tanh(float x) {
    const float magnitude = fabsf(x), e = xnor_exp(-2 * magnitude);
    const float far = copysignf((1 - e) / (1 + e), x), u = x * x;
    float p = -0.00627639005f;
    p = p * u + 0.0211162157f;
    p = p * u - 0.0538751371f;
    p = p * u + 0.133329242f;
    p = p * u - 0.333333313f;
    return magnitude < 0.6f ? x + p * (u * x) : far;
}

#endif
