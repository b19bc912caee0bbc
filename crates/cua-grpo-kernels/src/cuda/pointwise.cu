//! SwiGLU, GELU, casts, and the gather of rows.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0.
//
// Every kernel: block 256 threads, any 1D grid (a grid-stride loop; best about 8 blocks a multiprocessor, fewer when
// there is less work), dynamic shared memory 0. Pointers need the alignment of `T`; 16-byte accesses are used when
// pointers, lengths and strides allow them. An output may be one of the inputs where "may alias" is said.
//
// swiglu_forward(T *out, const T *gate, const T *up, i64 rows, i64 n, i64 gate_stride, i64 up_stride, i64 out_stride)
//     out = silu(gate) up, rows of n, row strides in elements. Halves of one [rows, 2n] buffer: up = gate + n, strides 2n.
//     May alias.
// swiglu_backward(T *dgate, T *dup, const T *dout, const T *gate, const T *up, i64 rows, i64 n, i64 dgate_stride,
//                 i64 dup_stride, i64 dout_stride, i64 gate_stride, i64 up_stride)
//     s = sigmoid(gate): dgate = dout up s (1 + gate (1 - s)); dup = dout gate s. May alias.
// gelu_tanh_forward, gelu_erf_forward(T *out, const T *x, i64 count)           may alias
// gelu_tanh_backward, gelu_erf_backward(T *dx, const T *dy, const T *x, i64 count)   may alias
// cast_f32_to_bf16(u16 *out, const float *x, i64 count)
// gather_rows_i32(T *out, const T *table, const int *ids, i64 count, i64 n, i64 table_rows)
//     out[i] = table[ids[i]], rows of n; an id outside the table gives a row of NaN.

/// Calls `body(row, column)` for every run of V elements of a [rows, n] matrix; n is a multiple of V.
template <int V, typename Body> __device__ __forceinline__ void for_runs(i64 rows, i64 n, Body body) {
    i64 per_row = n / V, total = rows * per_row;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += (i64)gridDim.x * blockDim.x) {
        i64 row, run;
        split_index(i, per_row, row, run);
        body(row, run * V);
    }
}

/// Calls `body(start)` for every run of V elements, and `tail(index)` for what is left of `count`.
template <int V, typename Body, typename Tail>
__device__ __forceinline__ void for_flat(i64 count, Body body, Tail tail) {
    i64 runs = count / V, thread = (i64)blockIdx.x * blockDim.x + threadIdx.x, threads = (i64)gridDim.x * blockDim.x;
    for (i64 i = thread; i < runs; i += threads) body(i * V);
    for (i64 i = runs * V + thread; i < count; i += threads) tail(i);
}

__device__ __forceinline__ float sigmoid(float x) { return reciprocal(1.0f + exp2_fast(-1.4426950408889634f * x)); }

// ---- SwiGLU ----

template <int V>
__device__ __forceinline__ void swiglu_runs(T *out, const T *gate, const T *up, i64 rows, i64 n, i64 gate_stride,
                                            i64 up_stride, i64 out_stride) {
    for_runs<V>(rows, n, [=](i64 row, i64 column) {
        float g[V], u[V];
        load<V>(gate + row * gate_stride + column, g);
        load<V>(up + row * up_stride + column, u);
#pragma unroll
        for (int i = 0; i < V; i++) g[i] = g[i] * sigmoid(g[i]) * u[i];
        store<V>(out + row * out_stride + column, g);
    });
}

extern "C" __global__ void __launch_bounds__(256)
    swiglu_forward(T *out, const T *gate, const T *up, i64 rows, i64 n, i64 gate_stride, i64 up_stride, i64 out_stride) {
    let_next_start();
    wait_for_previous();
    if (packs(n) && packs(gate_stride) && packs(up_stride) && packs(out_stride) && aligned16(out) && aligned16(gate) &&
        aligned16(up))
        swiglu_runs<PACK>(out, gate, up, rows, n, gate_stride, up_stride, out_stride);
    else
        swiglu_runs<1>(out, gate, up, rows, n, gate_stride, up_stride, out_stride);
}

template <int V>
__device__ __forceinline__ void swiglu_backward_runs(T *dgate, T *dup, const T *dout, const T *gate, const T *up, i64 rows,
                                                     i64 n, i64 dgate_stride, i64 dup_stride, i64 dout_stride,
                                                     i64 gate_stride, i64 up_stride) {
    for_runs<V>(rows, n, [=](i64 row, i64 column) {
        float d[V], g[V], u[V];
        load<V>(dout + row * dout_stride + column, d);
        load<V>(gate + row * gate_stride + column, g);
        load<V>(up + row * up_stride + column, u);
#pragma unroll
        for (int i = 0; i < V; i++) {
            float s = sigmoid(g[i]);
            u[i] = d[i] * u[i] * s * (1.0f + g[i] * (1.0f - s));
            d[i] = d[i] * g[i] * s;
        }
        store<V>(dgate + row * dgate_stride + column, u);
        store<V>(dup + row * dup_stride + column, d);
    });
}

extern "C" __global__ void __launch_bounds__(256)
    swiglu_backward(T *dgate, T *dup, const T *dout, const T *gate, const T *up, i64 rows, i64 n, i64 dgate_stride,
                    i64 dup_stride, i64 dout_stride, i64 gate_stride, i64 up_stride) {
    if (packs(n) && packs(dgate_stride) && packs(dup_stride) && packs(dout_stride) && packs(gate_stride) &&
        packs(up_stride) && aligned16(dgate) && aligned16(dup) && aligned16(dout) && aligned16(gate) && aligned16(up))
        swiglu_backward_runs<PACK>(dgate, dup, dout, gate, up, rows, n, dgate_stride, dup_stride, dout_stride,
                                   gate_stride, up_stride);
    else
        swiglu_backward_runs<1>(dgate, dup, dout, gate, up, rows, n, dgate_stride, dup_stride, dout_stride, gate_stride,
                                up_stride);
}

// ---- functions of one or two arrays ----

/// out[i] = f(a[i], b[i]); b null: f(a[i], 0).
template <typename F> __device__ __forceinline__ void map(T *out, const T *a, const T *b, i64 count, F f) {
    auto tail = [=](i64 i) { out[i] = from_float<T>(f(to_float(a[i]), b ? to_float(b[i]) : 0.0f)); };
    if (aligned16(out) && aligned16(a) && aligned16(b))
        for_flat<PACK>(
            count,
            [=](i64 start) {
                float x[PACK], y[PACK] = {};
                load<PACK>(a + start, x);
                if (b) load<PACK>(b + start, y);
#pragma unroll
                for (int i = 0; i < PACK; i++) x[i] = f(x[i], y[i]);
                store<PACK>(out + start, x);
            },
            tail);
    else
        for_flat<1>(count, tail, tail);
}

/// 0.5 (1 + tanh(z)) is sigmoid(2 z); z = sqrt(2/pi) (x + 0.044715 x^3).
struct GeluTanh {
    static __device__ __forceinline__ float gate(float x) {
        return sigmoid(1.5957691216057308f * fmaf(0.044715f * x * x, x, x));
    }
    static __device__ __forceinline__ float value(float x) { return x * gate(x); }
    static __device__ __forceinline__ float slope(float x) {
        float s = gate(x);
        return s + x * s * (1.0f - s) * 1.5957691216057308f * fmaf(0.134145f * x, x, 1.0f);
    }
};

/// x Phi(x); the slope is Phi(x) + x phi(x).
struct GeluErf {
    static __device__ __forceinline__ float value(float x) { return 0.5f * x * (1.0f + erff(x * 0.7071067811865476f)); }
    static __device__ __forceinline__ float slope(float x) {
        float density = 0.3989422804014327f * exp2_fast(-0.7213475204444817f * x * x);
        return fmaf(x, density, 0.5f * (1.0f + erff(x * 0.7071067811865476f)));
    }
};

extern "C" __global__ void __launch_bounds__(256) gelu_tanh_forward(T *out, const T *x, i64 count) {
    map(out, x, nullptr, count, [](float v, float) { return GeluTanh::value(v); });
}

extern "C" __global__ void __launch_bounds__(256) gelu_tanh_backward(T *dx, const T *dy, const T *x, i64 count) {
    map(dx, dy, x, count, [](float d, float v) { return d * GeluTanh::slope(v); });
}

extern "C" __global__ void __launch_bounds__(256) gelu_erf_forward(T *out, const T *x, i64 count) {
    map(out, x, nullptr, count, [](float v, float) { return GeluErf::value(v); });
}

extern "C" __global__ void __launch_bounds__(256) gelu_erf_backward(T *dx, const T *dy, const T *x, i64 count) {
    map(dx, dy, x, count, [](float d, float v) { return d * GeluErf::slope(v); });
}

// ---- casts ----

template <typename To, typename From> __device__ __forceinline__ void cast(To *out, const From *x, i64 count) {
    auto tail = [=](i64 i) { out[i] = from_float<To>(to_float(x[i])); };
    if (aligned16(out) && aligned16(x))
        for_flat<4>( // 16 bytes on the wider side, so that neighbours touch each other there
            count,
            [=](i64 start) {
                float value[4];
                load<4>(x + start, value);
                store<4>(out + start, value);
            },
            tail);
    else
        for_flat<1>(count, tail, tail);
}

extern "C" __global__ void __launch_bounds__(256) cast_f32_to_bf16(u16 *out, const float *x, i64 count) {
    cast(out, x, count);
}

// ---- rows by index ----

template <int V, typename Id>
__device__ __forceinline__ void gather_runs(T *out, const T *table, const Id *ids, i64 count, i64 n, i64 table_rows) {
    for_runs<V>(count, n, [=](i64 row, i64 column) {
        i64 id = ids[row];
        float value[V];
        if (id >= 0 && id < table_rows) {
            load<V>(table + id * n + column, value);
        } else {
#pragma unroll
            for (int i = 0; i < V; i++) value[i] = quiet_nan();
        }
        store<V>(out + row * n + column, value);
    });
}

template <typename Id>
__device__ __forceinline__ void gather(T *out, const T *table, const Id *ids, i64 count, i64 n, i64 table_rows) {
    if (packs(n) && aligned16(out) && aligned16(table))
        gather_runs<PACK>(out, table, ids, count, n, table_rows);
    else
        gather_runs<1>(out, table, ids, count, n, table_rows);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_rows_i32(T *out, const T *table, const int *ids, i64 count, i64 n, i64 table_rows) {
    gather(out, table, ids, count, n, table_rows);
}
