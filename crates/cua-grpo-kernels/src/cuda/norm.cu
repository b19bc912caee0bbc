//! RMS norm and layer norm over the last axis, forward and input gradient, and the decode step's residual add + RMS norm.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0.
//
// Every kernel here: block 256 threads (asserted by nothing: other sizes give wrong results), grid any 1D size, best
// `ceil(rows / 8)` when n <= 1024 (a warp a row) and `rows` otherwise (a block a row), at most 2^31 - 1; dynamic shared
// memory 0. Weights and biases are frozen: only the input gradient is computed. Pointers need the alignment of `T`;
// 16-byte accesses are used when pointers, strides and n allow them. rows >= 0, n >= 1.
//
// `x` rows may lie apart: row i starts at `x + (i / inner) * outer_stride + (i % inner) * inner_stride` (elements).
// A contiguous matrix is inner 1, outer_stride n, inner_stride 0; head h of token t inside a joined projection of row
// length S is inner = heads, outer_stride = S, inner_stride = n. Outputs are contiguous `[rows, n]` unless said.
//
// rms_norm_forward(T *y, float *rstd, const T *x, const T *weight, i64 rows, int n, i64 inner, i64 outer_stride,
//                  i64 inner_stride, float eps)
//     r = 1 / sqrt(mean(x^2) + eps);  y = weight * T(x r), the cast before the product (spec section 2).
//     rstd [rows] gets r; null: not written. y may be x when x is contiguous.
// rms_norm_backward(T *dx, const T *dy, const T *x, const T *weight, const float *rstd, const T *residual, i64 rows,
//                   int n, i64 inner, i64 outer_stride, i64 inner_stride)
//     g = dy weight, h = x r:  dx = r (g - h mean(g h)) [+ residual]. dx, dy, residual contiguous; residual null: none.
//     dx may be dy or residual.
// layer_norm_forward(T *y, float *mean, float *rstd, const T *x, const T *weight, const T *bias, i64 rows, int n, float eps)
//     y = (x - m) r weight + bias; variance biased, from the centred values; mean and rstd [rows], each may be null.
// layer_norm_backward(T *dx, const T *dy, const T *x, const T *weight, const float *mean, const float *rstd,
//                     const T *residual, i64 rows, int n)
//     g = dy weight, h = (x - m) r:  dx = r (g - mean(g) - h mean(g h)) [+ residual].
// residual_rms(T *x, T *y, const T *delta, const T *weight, i64 rows, int n, float eps)
//     x = T(x + delta) in place, then y = rms_norm(x). delta null: x is left alone. All contiguous.

constexpr int NORM_THREADS = 256;

/// The threads that share a row: one warp, or the block.
template <bool BLOCK> struct Team {
    static __device__ __forceinline__ int rank() { return BLOCK ? threadIdx.x : threadIdx.x & 31; }
    static __device__ __forceinline__ int size() { return BLOCK ? NORM_THREADS : 32; }
    static __device__ __forceinline__ i64 first() {
        return BLOCK ? (i64)blockIdx.x : (i64)blockIdx.x * (NORM_THREADS / 32) + (threadIdx.x >> 5);
    }
    static __device__ __forceinline__ i64 step() { return BLOCK ? (i64)gridDim.x : (i64)gridDim.x * (NORM_THREADS / 32); }
    static __device__ __forceinline__ float sum(float x, float *scratch) {
        if constexpr (BLOCK)
            return block_sum(x, scratch);
        else
            return warp_sum(x);
    }
};

/// Where the rows of an input start.
struct Rows {
    i64 inner, outer_stride, inner_stride;
    __device__ __forceinline__ i64 offset(i64 row) const {
        i64 outer, rest;
        split_index(row, inner, outer, rest);
        return outer * outer_stride + rest * inner_stride;
    }
    __device__ __forceinline__ bool packed() const { return packs(outer_stride) && packs(inner_stride); }
};

template <bool BLOCK, int V>
__device__ __forceinline__ void rms_rows(T *y, float *rstd, T *x, const T *delta, const T *weight, i64 rows, int n,
                                         Rows at, float eps, float *scratch) {
    typedef Team<BLOCK> Who;
    float inverse_n = 1.0f / (float)n;
    for (i64 row = Who::first(); row < rows; row += Who::step()) {
        T *from = x + at.offset(row);
        T *to = y + row * n;
        float squares = 0.0f;
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V];
            load<V>(from + j, value);
            if (delta) {
                float more[V];
                load<V>(delta + row * n + j, more);
#pragma unroll
                for (int i = 0; i < V; i++) value[i] = round_to_t(value[i] + more[i]);
                store<V>(from + j, value);
            }
#pragma unroll
            for (int i = 0; i < V; i++) squares = fmaf(value[i], value[i], squares);
        }
        float scale = rsqrtf(Who::sum(squares, scratch) * inverse_n + eps);
        if (rstd && Who::rank() == 0) rstd[row] = scale;
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V], w[V];
            load<V>(from + j, value);
            load<V>(weight + j, w);
#pragma unroll
            for (int i = 0; i < V; i++) value[i] = w[i] * round_to_t(value[i] * scale);
            store<V>(to + j, value);
        }
    }
}

template <int V>
__device__ __forceinline__ void rms_any(T *y, float *rstd, T *x, const T *delta, const T *weight, i64 rows, int n,
                                        Rows at, float eps, float *scratch) {
    if (n <= 1024)
        rms_rows<false, V>(y, rstd, x, delta, weight, rows, n, at, eps, scratch);
    else
        rms_rows<true, V>(y, rstd, x, delta, weight, rows, n, at, eps, scratch);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    rms_norm_forward(T *y, float *rstd, const T *x, const T *weight, i64 rows, int n, i64 inner, i64 outer_stride,
                     i64 inner_stride, float eps) {
    __shared__ float scratch[32];
    Rows at = {inner, outer_stride, inner_stride};
    T *from = const_cast<T *>(x); // not written: no delta
    if (packs(n) && at.packed() && aligned16(x) && aligned16(y) && aligned16(weight))
        rms_any<PACK>(y, rstd, from, nullptr, weight, rows, n, at, eps, scratch);
    else
        rms_any<1>(y, rstd, from, nullptr, weight, rows, n, at, eps, scratch);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    residual_rms(T *x, T *y, const T *delta, const T *weight, i64 rows, int n, float eps) {
    __shared__ float scratch[32];
    Rows at = {1, n, 0};
    if (packs(n) && aligned16(x) && aligned16(y) && aligned16(delta) && aligned16(weight))
        rms_any<PACK>(y, nullptr, x, delta, weight, rows, n, at, eps, scratch);
    else
        rms_any<1>(y, nullptr, x, delta, weight, rows, n, at, eps, scratch);
}

template <bool BLOCK, int V>
__device__ __forceinline__ void layer_rows(T *y, float *mean, float *rstd, const T *x, const T *weight, const T *bias,
                                           i64 rows, int n, float eps, float *scratch) {
    typedef Team<BLOCK> Who;
    float inverse_n = 1.0f / (float)n;
    for (i64 row = Who::first(); row < rows; row += Who::step()) {
        const T *from = x + row * n;
        float total = 0.0f, squares = 0.0f;
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V];
            load<V>(from + j, value);
#pragma unroll
            for (int i = 0; i < V; i++) total += value[i];
        }
        float centre = Who::sum(total, scratch) * inverse_n;
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V];
            load<V>(from + j, value);
#pragma unroll
            for (int i = 0; i < V; i++) squares = fmaf(value[i] - centre, value[i] - centre, squares);
        }
        float scale = rsqrtf(Who::sum(squares, scratch) * inverse_n + eps);
        if (Who::rank() == 0) {
            if (mean) mean[row] = centre;
            if (rstd) rstd[row] = scale;
        }
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V], w[V], b[V];
            load<V>(from + j, value);
            load<V>(weight + j, w);
            load<V>(bias + j, b);
#pragma unroll
            for (int i = 0; i < V; i++) value[i] = fmaf((value[i] - centre) * scale, w[i], b[i]);
            store<V>(y + row * n + j, value);
        }
    }
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    layer_norm_forward(T *y, float *mean, float *rstd, const T *x, const T *weight, const T *bias, i64 rows, int n,
                       float eps) {
    __shared__ float scratch[32];
    bool fits = packs(n) && aligned16(x) && aligned16(y) && aligned16(weight) && aligned16(bias);
    if (fits && n <= 1024)
        layer_rows<false, PACK>(y, mean, rstd, x, weight, bias, rows, n, eps, scratch);
    else if (fits)
        layer_rows<true, PACK>(y, mean, rstd, x, weight, bias, rows, n, eps, scratch);
    else if (n <= 1024)
        layer_rows<false, 1>(y, mean, rstd, x, weight, bias, rows, n, eps, scratch);
    else
        layer_rows<true, 1>(y, mean, rstd, x, weight, bias, rows, n, eps, scratch);
}

/// Input gradient of both norms; RMS norm is the case without a mean.
template <bool BLOCK, bool CENTRED, int V>
__device__ __forceinline__ void backward_rows(T *dx, const T *dy, const T *x, const T *weight, const float *mean,
                                              const float *rstd, const T *residual, i64 rows, int n, Rows at,
                                              float *scratch) {
    typedef Team<BLOCK> Who;
    float inverse_n = 1.0f / (float)n;
    for (i64 row = Who::first(); row < rows; row += Who::step()) {
        const T *from = x + at.offset(row);
        const T *grad = dy + row * n;
        float centre = CENTRED ? mean[row] : 0.0f, scale = rstd[row];
        float plain = 0.0f, along = 0.0f;
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V], g[V], w[V];
            load<V>(from + j, value);
            load<V>(grad + j, g);
            load<V>(weight + j, w);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float product = g[i] * w[i];
                plain += product;
                along = fmaf(product, (value[i] - centre) * scale, along);
            }
        }
        along = Who::sum(along, scratch) * inverse_n;
        plain = CENTRED ? Who::sum(plain, scratch) * inverse_n : 0.0f;
        for (int j = Who::rank() * V; j < n; j += Who::size() * V) {
            float value[V], g[V], w[V];
            load<V>(from + j, value);
            load<V>(grad + j, g);
            load<V>(weight + j, w);
#pragma unroll
            for (int i = 0; i < V; i++)
                g[i] = scale * (g[i] * w[i] - plain - (value[i] - centre) * scale * along);
            if (residual) {
                load<V>(residual + row * n + j, w);
#pragma unroll
                for (int i = 0; i < V; i++) g[i] += w[i];
            }
            store<V>(dx + row * n + j, g);
        }
    }
}

template <bool CENTRED>
__device__ __forceinline__ void backward_any(T *dx, const T *dy, const T *x, const T *weight, const float *mean,
                                             const float *rstd, const T *residual, i64 rows, int n, Rows at) {
    __shared__ float scratch[32];
    bool fits = packs(n) && at.packed() && aligned16(x) && aligned16(dx) && aligned16(dy) && aligned16(weight) &&
                aligned16(residual);
    if (fits && n <= 1024)
        backward_rows<false, CENTRED, PACK>(dx, dy, x, weight, mean, rstd, residual, rows, n, at, scratch);
    else if (fits)
        backward_rows<true, CENTRED, PACK>(dx, dy, x, weight, mean, rstd, residual, rows, n, at, scratch);
    else if (n <= 1024)
        backward_rows<false, CENTRED, 1>(dx, dy, x, weight, mean, rstd, residual, rows, n, at, scratch);
    else
        backward_rows<true, CENTRED, 1>(dx, dy, x, weight, mean, rstd, residual, rows, n, at, scratch);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    rms_norm_backward(T *dx, const T *dy, const T *x, const T *weight, const float *rstd, const T *residual, i64 rows,
                      int n, i64 inner, i64 outer_stride, i64 inner_stride) {
    Rows at = {inner, outer_stride, inner_stride};
    backward_any<false>(dx, dy, x, weight, nullptr, rstd, residual, rows, n, at);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    layer_norm_backward(T *dx, const T *dy, const T *x, const T *weight, const float *mean, const float *rstd,
                        const T *residual, i64 rows, int n) {
    Rows at = {1, n, 0};
    backward_any<true>(dx, dy, x, weight, mean, rstd, residual, rows, n, at);
}
