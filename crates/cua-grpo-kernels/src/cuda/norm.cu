//! RMS norm and layer norm over the last axis, forward and input gradient, and the decode step's residual add + RMS norm.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0.
//
// Every kernel here: block 256 threads (asserted by nothing: other sizes give wrong results), grid any 1D size, best
// `ceil(rows / 8)` when n <= 2560 / sizeof(T) (a warp a row) and `rows` otherwise (a block a row), at most 2^31 - 1;
// dynamic shared memory 0. Weights and biases are frozen: only the input gradient is computed. Pointers need the alignment of `T`;
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

/// LANES threads share a row. Each holds HELD runs of V elements of it in registers; HELD 0: rows are read again instead.
template <int LANES, int HELD, int V> struct Team {
    static constexpr int lanes = LANES, held = HELD, run = V;
    static __device__ __forceinline__ int rank() { return threadIdx.x % LANES; }
    static __device__ __forceinline__ i64 first() {
        return (i64)blockIdx.x * (NORM_THREADS / LANES) + threadIdx.x / LANES;
    }
    static __device__ __forceinline__ i64 step() { return (i64)gridDim.x * (NORM_THREADS / LANES); }

    static __device__ __forceinline__ float sum(float x, float *scratch) {
        if constexpr (LANES == NORM_THREADS) {
            return block_sum(x, scratch);
        } else {
#pragma unroll
            for (int step = LANES / 2; step > 0; step >>= 1) x += __shfl_xor_sync(FULL_WARP, x, step);
            return x;
        }
    }

    /// Calls `f(slot, column)` for the thread's runs of a row of n.
    template <typename F> static __device__ __forceinline__ void each(int n, F f) {
        if constexpr (HELD > 0) {
#pragma unroll
            for (int slot = 0; slot < HELD; slot++) {
                int column = (slot * LANES + rank()) * V;
                if (column < n) f(slot, column);
            }
        } else {
            for (int column = rank() * V; column < n; column += LANES * V) f(0, column);
        }
    }
};

/// Runs of a row in registers as they lie in memory, or nothing when the team holds nothing.
template <typename Who> struct Held {
    static constexpr int V = Who::run;
    uint4 raw[Who::held > 0 ? Who::held : 1];

    __device__ __forceinline__ void read(int slot, const T *from, float (&value)[V]) {
        if constexpr (Who::held > 0) {
            raw[slot] = *reinterpret_cast<const uint4 *>(from);
            unpack(raw[slot], value);
        } else {
            load<V>(from, value);
        }
    }
    /// The same values once more; `from` as before.
    __device__ __forceinline__ void again(int slot, const T *from, float (&value)[V]) {
        if constexpr (Who::held > 0)
            unpack(raw[slot], value);
        else
            load<V>(from, value);
    }
    /// Values, rounded to `T` already, in the place of those read.
    __device__ __forceinline__ void keep(int slot, T *to, const float (&value)[V]) {
        store<V>(to, value);
        if constexpr (Who::held > 0) raw[slot] = repack(value);
    }
};

/// Runs `job` with the team that fits rows of n elements, read in runs of PACK when `wide`. `Job::holds`: whether long rows
/// are held in registers too; with two rows to hold the registers cost more than the second reading.
template <typename Job> __device__ __forceinline__ void with_team(int n, bool wide, const Job &job) {
    int runs = n / PACK;
    if (!wide && n <= 1024)
        job.template run<Team<32, 0, 1>>();
    else if (!wide)
        job.template run<Team<NORM_THREADS, 0, 1>>();
    else if (runs <= 16)
        job.template run<Team<16, 1, PACK>>();
    else if (runs <= 32)
        job.template run<Team<32, 1, PACK>>();
    else if (runs <= 64)
        job.template run<Team<32, 2, PACK>>();
    else if (runs <= 160)
        job.template run<Team<32, Job::holds ? 5 : 0, PACK>>();
    else if (runs <= 512)
        job.template run<Team<NORM_THREADS, Job::holds ? 2 : 0, PACK>>();
    else if (runs <= 1024)
        job.template run<Team<NORM_THREADS, Job::holds ? 4 : 0, PACK>>();
    else
        job.template run<Team<NORM_THREADS, 0, PACK>>();
}

/// Where the rows of an input start.
struct Rows {
    i64 inner, outer_stride, inner_stride;
    __device__ __forceinline__ i64 offset(i64 row) const {
        if (inner == 1) return row * outer_stride;
        i64 outer, rest;
        split_index(row, inner, outer, rest);
        return outer * outer_stride + rest * inner_stride;
    }
    __device__ __forceinline__ bool packed() const { return packs(outer_stride) && packs(inner_stride); }
};

struct RmsForward {
    static constexpr bool holds = true;
    T *y;
    float *rstd;
    T *x;
    const T *delta, *weight;
    i64 rows;
    int n;
    Rows at;
    float eps, *scratch;

    template <typename Who> __device__ __forceinline__ void run() const;
};

template <typename Who> __device__ __forceinline__ void RmsForward::run() const {
    constexpr int V = Who::run;
    float inverse_n = 1.0f / (float)n;
    // the rows of a warp's teams start together: lanes past the last row only take part in the sums
    for (i64 row = Who::first(), leader = row - row % (NORM_THREADS / Who::lanes); leader < rows;
         row += Who::step(), leader += Who::step()) {
        bool mine = row < rows;
        T *from = x + at.offset(mine ? row : 0);
        Held<Who> held;
        float squares = 0.0f;
        if (mine)
            Who::each(n, [&](int slot, int j) {
                float value[V];
                held.read(slot, from + j, value);
                if (delta) {
                    float more[V];
                    load<V>(delta + row * n + j, more);
#pragma unroll
                    for (int i = 0; i < V; i++) value[i] = round_to_t(value[i] + more[i]);
                    held.keep(slot, from + j, value);
                }
#pragma unroll
                for (int i = 0; i < V; i++) squares = fmaf(value[i], value[i], squares);
            });
        float scale = rsqrtf(Who::sum(squares, scratch) * inverse_n + eps);
        if (!mine) continue;
        if (rstd && Who::rank() == 0) rstd[row] = scale;
        Who::each(n, [&](int slot, int j) {
            float value[V], out[V];
            held.again(slot, from + j, value);
            load<V>(weight + j, out);
#pragma unroll
            for (int i = 0; i < V; i++) out[i] *= round_to_t(value[i] * scale);
            store<V>(y + row * n + j, out);
        });
    }
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    rms_norm_forward(T *y, float *rstd, const T *x, const T *weight, i64 rows, int n, i64 inner, i64 outer_stride,
                     i64 inner_stride, float eps) {
    __shared__ float scratch[32];
    Rows at = {inner, outer_stride, inner_stride};
    T *from = const_cast<T *>(x); // not written: no delta
    RmsForward job = {y, rstd, from, nullptr, weight, rows, n, at, eps, scratch};
    with_team(n, packs(n) && at.packed() && aligned16(x) && aligned16(y) && aligned16(weight), job);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    residual_rms(T *x, T *y, const T *delta, const T *weight, i64 rows, int n, float eps) {
    let_next_start();
    wait_for_previous();
    __shared__ float scratch[32];
    RmsForward job = {y, nullptr, x, delta, weight, rows, n, {1, n, 0}, eps, scratch};
    with_team(n, packs(n) && aligned16(x) && aligned16(y) && aligned16(delta) && aligned16(weight), job);
}

struct LayerForward {
    static constexpr bool holds = true;
    T *y;
    float *mean, *rstd;
    const T *x, *weight, *bias;
    i64 rows;
    int n;
    float eps, *scratch;

    template <typename Who> __device__ __forceinline__ void run() const;
};

template <typename Who> __device__ __forceinline__ void LayerForward::run() const {
    constexpr int V = Who::run;
    float inverse_n = 1.0f / (float)n;
    for (i64 row = Who::first(), leader = row - row % (NORM_THREADS / Who::lanes); leader < rows;
         row += Who::step(), leader += Who::step()) {
        bool mine = row < rows;
        const T *from = x + (mine ? row : 0) * n;
        Held<Who> held;
        float total = 0.0f, squares = 0.0f;
        if (mine)
            Who::each(n, [&](int slot, int j) {
                float value[V];
                held.read(slot, from + j, value);
#pragma unroll
                for (int i = 0; i < V; i++) total += value[i];
            });
        float centre = Who::sum(total, scratch) * inverse_n;
        if (mine)
            Who::each(n, [&](int slot, int j) {
                float value[V];
                held.again(slot, from + j, value);
#pragma unroll
                for (int i = 0; i < V; i++) squares = fmaf(value[i] - centre, value[i] - centre, squares);
            });
        float scale = rsqrtf(Who::sum(squares, scratch) * inverse_n + eps);
        if (!mine) continue;
        if (Who::rank() == 0) {
            if (mean) mean[row] = centre;
            if (rstd) rstd[row] = scale;
        }
        Who::each(n, [&](int slot, int j) {
            float value[V], w[V], b[V];
            held.again(slot, from + j, value);
            load<V>(weight + j, w);
            load<V>(bias + j, b);
#pragma unroll
            for (int i = 0; i < V; i++) w[i] = fmaf((value[i] - centre) * scale, w[i], b[i]);
            store<V>(y + row * n + j, w);
        });
    }
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    layer_norm_forward(T *y, float *mean, float *rstd, const T *x, const T *weight, const T *bias, i64 rows, int n,
                       float eps) {
    __shared__ float scratch[32];
    bool wide = packs(n) && aligned16(x) && aligned16(y) && aligned16(weight) && aligned16(bias);
    LayerForward job = {y, mean, rstd, x, weight, bias, rows, n, eps, scratch};
    with_team(n, wide, job);
}

/// Input gradient of both norms; RMS norm is the case without a mean.
template <bool CENTRED> struct Backward {
    static constexpr bool holds = false;
    T *dx;
    const T *dy, *x, *weight;
    const float *mean, *rstd;
    const T *residual;
    i64 rows;
    int n;
    Rows at;
    float *scratch;

    template <typename Who> __device__ __forceinline__ void run() const;
};

template <bool CENTRED> template <typename Who> __device__ __forceinline__ void Backward<CENTRED>::run() const {
    constexpr int V = Who::run;
    float inverse_n = 1.0f / (float)n;
    for (i64 row = Who::first(), leader = row - row % (NORM_THREADS / Who::lanes); leader < rows;
         row += Who::step(), leader += Who::step()) {
        bool mine = row < rows;
        i64 safe = mine ? row : 0;
        const T *from = x + at.offset(safe);
        float centre = CENTRED ? mean[safe] : 0.0f, scale = rstd[safe], plain = 0.0f, along = 0.0f;
        Held<Who> values, grads;
        if (mine)
            Who::each(n, [&](int slot, int j) {
                float value[V], grad[V], w[V];
                values.read(slot, from + j, value);
                grads.read(slot, dy + row * n + j, grad);
                load<V>(weight + j, w);
#pragma unroll
                for (int i = 0; i < V; i++) {
                    plain = fmaf(grad[i], w[i], plain);
                    along = fmaf(grad[i] * w[i], (value[i] - centre) * scale, along);
                }
            });
        along = Who::sum(along, scratch) * inverse_n;
        plain = CENTRED ? Who::sum(plain, scratch) * inverse_n : 0.0f;
        if (!mine) continue;
        Who::each(n, [&](int slot, int j) {
            float value[V], grad[V], w[V], out[V] = {};
            values.again(slot, from + j, value);
            grads.again(slot, dy + row * n + j, grad);
            load<V>(weight + j, w);
            if (residual) load<V>(residual + row * n + j, out);
#pragma unroll
            for (int i = 0; i < V; i++)
                out[i] += scale * (fmaf(grad[i], w[i], -plain) - (value[i] - centre) * scale * along);
            store<V>(dx + row * n + j, out);
        });
    }
}

template <bool CENTRED>
__device__ __forceinline__ void backward_any(T *dx, const T *dy, const T *x, const T *weight, const float *mean,
                                             const float *rstd, const T *residual, i64 rows, int n, Rows at) {
    __shared__ float scratch[32];
    bool wide = packs(n) && at.packed() && aligned16(x) && aligned16(dx) && aligned16(dy) && aligned16(weight) &&
                aligned16(residual);
    Backward<CENTRED> job = {dx, dy, x, weight, mean, rstd, residual, rows, n, at, scratch};
    with_team(n, wide, job);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    rms_norm_backward(T *dx, const T *dy, const T *x, const T *weight, const float *rstd, const T *residual, i64 rows,
                      int n, i64 inner, i64 outer_stride, i64 inner_stride) {
    Rows at = {inner, outer_stride, inner_stride};
    backward_any<false>(dx, dy, x, weight, nullptr, rstd, residual, rows, n, at);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    layer_norm_backward(T *dx, const T *dy, const T *x, const T *weight, const float *mean, const float *rstd,
                        const T *residual, i64 rows, int n) {
    Rows at = {1, n, 0};
    backward_any<true>(dx, dy, x, weight, mean, rstd, residual, rows, n, at);
}
