//! Rotary position embedding, half-split, alone and with the head norm before it, and the decode step's head norm +
//! rotary + cache write in one launch.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0. Dynamic shared memory 0.
//
// rotary(T *out, const T *x, const float *cos, const float *sin, i64 batch, i64 heads, i64 time, int head_dim,
//        i64 x_batch, i64 x_head, i64 x_row, i64 out_batch, i64 out_head, i64 out_row, i64 table_batch, float sign,
//        int round_tables)
//     block 256, any 1D grid (grid-stride; best at most 4 blocks a multiprocessor). Strides in elements, unit stride over
//     head_dim (even).
//     cos, sin: [batch or 1, 1, time, head_dim] contiguous, both halves equal (only the first is read); table_batch is
//     time * head_dim, or 0 when one table serves the batch. With h = head_dim / 2, for j < h:
//         out[j] = x[j] cos[j] - sign x[j + h] sin[j];  out[j + h] = x[j + h] cos[j] + sign x[j] sin[j]
//     sign +1: forward; -1: the inverse rotation, which is the gradient. round_tables != 0: the tables are rounded to `T`
//     first (the text model's tables, spec section 2); products and sums stay float. out may be x with equal strides.
//
// norm_rotary(T *out, const T *x, const T *weight, const void *cos, const void *sin, i64 batch, i64 heads, i64 time,
//             int head_dim, i64 x_batch, i64 x_head, i64 x_row, i64 out_batch, i64 out_head, i64 out_row, i64 table_batch,
//             i64 table_row, int table_bf16, float eps)
//     block 256, grid ceil(batch * time * heads * head_dim / 4096) or any smaller. head_dim 32, 64, 128 or 256; strides, in
//     elements, multiples of 8, pointers to 16 bytes. y = RMS norm of the head with weight [head_dim], rounded as
//     rms_norm_forward rounds, then rotary with sign +1. Tables of bf16 (table_bf16 1) or float, table_row elements from
//     one time to the next (a multiple of 8); only the first half of a row is read.
// norm_rotary_backward(T *dx, const T *x, const T *weight, const void *cos, const void *sin, i64 batch, i64 heads,
//             i64 time, int head_dim, x strides, dx strides, i64 table_batch, i64 table_row, int table_bf16, float eps,
//             const T *dy, dy strides)
//     The input gradient, launched in the same way; dx may be dy with equal strides.
//
// qkv_rope_cache(T *q, T *k_cache, T *v_cache, const T *qkv, const T *q_weight, const T *k_weight, const int *position,
//                const int *column, const float *inverse_frequency, int batch, int heads, int kv_heads, int head_dim,
//                i64 qkv_row, i64 max_len, int section_h, int section_w, float eps, int round_tables)
//     block 128 (a warp a head), grid ceil(batch * (heads + 2 kv_heads) / 4). head_dim even and <= 256.
//     qkv: [batch, (heads + 2 kv_heads) * head_dim], one new token a row, row stride qkv_row. position: [3, batch] (t, h, w).
//     q and k heads: RMS norm with q_weight / k_weight [head_dim] (null: no norm), then rotary with angle
//     position[axis(j)] * inverse_frequency[j], j < head_dim / 2, axis(j) the interleaved M-RoPE of spec section 3
//     (section_h, section_w are mrope_section[1], [2]; both 0 for plain rotary). inverse_frequency: theta^(-2j/head_dim).
//     q goes to [batch, heads, head_dim]; k and v go to [batch, kv_heads, max_len, head_dim] at column[row]. A column
//     outside 0..max_len is not written.

constexpr int HEADS_AT_ONCE = 2; // heads a thread turns with one reading of the tables

template <int V>
__device__ __forceinline__ void rotate_runs(T *out, const T *x, const float *cos, const float *sin, i64 batch, i64 heads,
                                            i64 time, int head_dim, i64 x_batch, i64 x_head, i64 x_row, i64 out_batch,
                                            i64 out_head, i64 out_row, i64 table_batch, float sign, int round_tables) {
    int half = head_dim / 2, runs = half / V;
    i64 groups = (heads + HEADS_AT_ONCE - 1) / HEADS_AT_ONCE, total = batch * time * groups * runs;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += (i64)gridDim.x * blockDim.x) {
        i64 rest, run, group, t, b;
        split_index(i, runs, rest, run);
        split_index(rest, groups, rest, group);
        split_index(rest, time, b, t);
        int j = (int)run * V, count = (int)(heads - group * HEADS_AT_ONCE);
        const T *from = x + b * x_batch + group * HEADS_AT_ONCE * x_head + t * x_row + j;
        T *to = out + b * out_batch + group * HEADS_AT_ONCE * out_head + t * out_row + j;
        i64 table = b * table_batch + t * head_dim + j;
        float first[HEADS_AT_ONCE][V], second[HEADS_AT_ONCE][V], c[V], s[V], low[V], high[V];
#pragma unroll
        for (int h = 0; h < HEADS_AT_ONCE; h++) {
            if (h < count) {
                load<V>(from + h * x_head, first[h]);
                load<V>(from + h * x_head + half, second[h]);
            }
        }
        load<V>(cos + table, c);
        load<V>(sin + table, s);
#pragma unroll
        for (int k = 0; k < V; k++) {
            if (round_tables) c[k] = round_to_t(c[k]), s[k] = round_to_t(s[k]);
            s[k] *= sign;
        }
#pragma unroll
        for (int h = 0; h < HEADS_AT_ONCE; h++) {
            if (h < count) {
#pragma unroll
                for (int k = 0; k < V; k++) {
                    low[k] = fmaf(first[h][k], c[k], -second[h][k] * s[k]);
                    high[k] = fmaf(second[h][k], c[k], first[h][k] * s[k]);
                }
                store<V>(to + h * out_head, low);
                store<V>(to + h * out_head + half, high);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    rotary(T *out, const T *x, const float *cos, const float *sin, i64 batch, i64 heads, i64 time, int head_dim,
           i64 x_batch, i64 x_head, i64 x_row, i64 out_batch, i64 out_head, i64 out_row, i64 table_batch, float sign,
           int round_tables) {
    // every stride, half a head and every pointer in units of 8 or of 4 elements
    i64 all = x_batch | x_head | x_row | out_batch | out_head | out_row | table_batch | (head_dim / 2);
    bool tables = aligned16(cos) && aligned16(sin), data = aligned16(x) && aligned16(out);
    if (PACK == 8 && all % 8 == 0 && tables && data)
        rotate_runs<PACK>(out, x, cos, sin, batch, heads, time, head_dim, x_batch, x_head, x_row, out_batch, out_head,
                          out_row, table_batch, sign, round_tables);
    else if (all % 4 == 0 && tables && data)
        rotate_runs<4>(out, x, cos, sin, batch, heads, time, head_dim, x_batch, x_head, x_row, out_batch, out_head,
                       out_row, table_batch, sign, round_tables);
    else
        rotate_runs<1>(out, x, cos, sin, batch, heads, time, head_dim, x_batch, x_head, x_row, out_batch, out_head,
                       out_row, table_batch, sign, round_tables);
}

/// Where a lane's eight pairs of a head are: j and j + head_dim / 2 from its first column on.
struct Pairs {
    i64 b, h, t;
    int column;
    __device__ __forceinline__ i64 at(i64 batch, i64 head, i64 row) const { return b * batch + h * head + t * row + column; }
};

/// The sum over `lanes` (a power of two) neighbouring lanes.
__device__ __forceinline__ float lanes_sum(float x, int lanes) {
    for (int step = lanes / 2; step > 0; step >>= 1) x += __shfl_xor_sync(FULL_WARP, x, step);
    return x;
}

__device__ __forceinline__ void load_table(const void *table, i64 at, int is_bf16, float (&x)[8]) {
    if (is_bf16)
        load<8>(static_cast<const u16 *>(table) + at, x);
    else
        load<8>(static_cast<const float *>(table) + at, x);
}

template <bool BACKWARD>
__device__ __forceinline__ void norm_rotary_any(T *out, const T *x, const T *weight, const void *cos, const void *sin,
                                                i64 batch, i64 heads, i64 time, int head_dim, i64 x_batch, i64 x_head,
                                                i64 x_row, i64 out_batch, i64 out_head, i64 out_row, i64 table_batch,
                                                i64 table_row, int table_bf16, float eps, const T *dy, i64 dy_batch,
                                                i64 dy_head, i64 dy_row) {
    int half = head_dim / 2, lanes = half / 8, teams = blockDim.x / lanes;
    int team = threadIdx.x / lanes, column = threadIdx.x % lanes * 8;
    i64 total = batch * time * heads;
    float w[2][8];
    load<8>(weight + column, w[0]);
    load<8>(weight + column + half, w[1]);
    // All teams of a block run as often, so that whole warps meet in the sums.
    for (i64 first = (i64)blockIdx.x * teams; first < total; first += (i64)gridDim.x * teams) {
        bool mine = first + team < total;
        Pairs p;
        i64 rest;
        split_index(mine ? first + team : 0, heads, rest, p.h);
        split_index(rest, time, p.b, p.t);
        p.column = column;
        const T *from = x + p.at(x_batch, x_head, x_row);
        i64 table = p.b * table_batch + p.t * table_row + column;
        float a[2][8], g[2][8], c[8], s[8], squares = 0.0f, along = 0.0f;
        load<8>(from, a[0]);
        load<8>(from + half, a[1]);
        if (BACKWARD) {
            const T *grad = dy + p.at(dy_batch, dy_head, dy_row);
            load<8>(grad, g[0]);
            load<8>(grad + half, g[1]);
        }
        load_table(cos, table, table_bf16, c);
        load_table(sin, table, table_bf16, s);
#pragma unroll
        for (int i = 0; i < 8; i++) squares = fmaf(a[0][i], a[0][i], fmaf(a[1][i], a[1][i], squares));
        float scale = rsqrtf(lanes_sum(squares, lanes) / (float)head_dim + eps);
        if (BACKWARD) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float low = g[0][i], high = g[1][i];
                g[0][i] = w[0][i] * fmaf(low, c[i], high * s[i]);
                g[1][i] = w[1][i] * fmaf(high, c[i], -low * s[i]);
                a[0][i] *= scale, a[1][i] *= scale;
                along = fmaf(g[0][i], a[0][i], fmaf(g[1][i], a[1][i], along));
            }
            along = lanes_sum(along, lanes) / (float)head_dim;
#pragma unroll
            for (int i = 0; i < 8; i++) {
                a[0][i] = scale * (g[0][i] - a[0][i] * along);
                a[1][i] = scale * (g[1][i] - a[1][i] * along);
            }
        } else {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float low = round_to_t(w[0][i] * round_to_t(a[0][i] * scale));
                float high = round_to_t(w[1][i] * round_to_t(a[1][i] * scale));
                a[0][i] = fmaf(low, c[i], -high * s[i]);
                a[1][i] = fmaf(high, c[i], low * s[i]);
            }
        }
        if (mine) {
            T *to = out + p.at(out_batch, out_head, out_row);
            store<8>(to, a[0]);
            store<8>(to + half, a[1]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    norm_rotary(T *out, const T *x, const T *weight, const void *cos, const void *sin, i64 batch, i64 heads, i64 time,
                int head_dim, i64 x_batch, i64 x_head, i64 x_row, i64 out_batch, i64 out_head, i64 out_row,
                i64 table_batch, i64 table_row, int table_bf16, float eps) {
    norm_rotary_any<false>(out, x, weight, cos, sin, batch, heads, time, head_dim, x_batch, x_head, x_row, out_batch,
                           out_head, out_row, table_batch, table_row, table_bf16, eps, nullptr, 0, 0, 0);
}

extern "C" __global__ void __launch_bounds__(256, 3)
    norm_rotary_backward(T *dx, const T *x, const T *weight, const void *cos, const void *sin, i64 batch, i64 heads,
                         i64 time, int head_dim, i64 x_batch, i64 x_head, i64 x_row, i64 dx_batch, i64 dx_head,
                         i64 dx_row, i64 table_batch, i64 table_row, int table_bf16, float eps, const T *dy,
                         i64 dy_batch, i64 dy_head, i64 dy_row) {
    norm_rotary_any<true>(dx, x, weight, cos, sin, batch, heads, time, head_dim, x_batch, x_head, x_row, dx_batch,
                          dx_head, dx_row, table_batch, table_row, table_bf16, eps, dy, dy_batch, dy_head, dy_row);
}

/// Cosine and sine of a float angle of any size, by reduction to one turn in double.
__device__ __forceinline__ void cos_sin(float angle, float &cosine, float &sine) {
    double turns = (double)angle * 0.15915494309189535;
    float part = (float)(turns - rint(turns)); // in -0.5 .. 0.5 turns
    sincospif(2.0f * part, &sine, &cosine);
}

constexpr int MAX_PAIRS = 4; // pairs a lane holds: head_dim <= 2 * 32 * MAX_PAIRS

extern "C" __global__ void __launch_bounds__(128)
    qkv_rope_cache(T *q, T *k_cache, T *v_cache, const T *qkv, const T *q_weight, const T *k_weight, const int *position,
                   const int *column, const float *inverse_frequency, int batch, int heads, int kv_heads, int head_dim,
                   i64 qkv_row, i64 max_len, int section_h, int section_w, float eps, int round_tables) {
    let_next_start();
    int lane = threadIdx.x & 31, slots = heads + 2 * kv_heads;
    i64 unit = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (unit >= (i64)batch * slots) return;
    int row = (int)(unit / slots), slot = (int)(unit % slots), half = head_dim / 2;
    const T *from = qkv + row * qkv_row + (i64)slot * head_dim;
    bool is_q = slot < heads, is_v = slot >= heads + kv_heads;
    int kv = is_v ? slot - heads - kv_heads : slot - heads;
    i64 place = column[row];
    if (!is_q && (place < 0 || place >= max_len)) return;
    T *to = is_q ? q + ((i64)row * heads + slot) * head_dim
                 : (is_v ? v_cache : k_cache) + (((i64)row * kv_heads + kv) * max_len + place) * head_dim;
    if (is_v) {
        wait_for_previous();
        for (int j = lane; j < head_dim; j += 32) to[j] = from[j];
        return;
    }
    const T *weight = is_q ? q_weight : k_weight;
    float first[MAX_PAIRS], second[MAX_PAIRS], cosine[MAX_PAIRS], sine[MAX_PAIRS], squares = 0.0f;
#pragma unroll
    for (int i = 0; i < MAX_PAIRS; i++) { // positions were counted on at the end of the step before
        int j = lane + 32 * i;
        if (j < half) {
            int axis = j % 3 == 1 && j < 3 * section_h ? 1 : j % 3 == 2 && j < 3 * section_w ? 2 : 0;
            cos_sin((float)position[axis * batch + row] * inverse_frequency[j], cosine[i], sine[i]);
            if (round_tables) cosine[i] = round_to_t(cosine[i]), sine[i] = round_to_t(sine[i]);
        }
    }
    wait_for_previous();
#pragma unroll
    for (int i = 0; i < MAX_PAIRS; i++) {
        int j = lane + 32 * i;
        if (j < half) {
            first[i] = to_float(from[j]);
            second[i] = to_float(from[j + half]);
            squares = fmaf(first[i], first[i], fmaf(second[i], second[i], squares));
        }
    }
    float scale = rsqrtf(warp_sum(squares) / (float)head_dim + eps);
#pragma unroll
    for (int i = 0; i < MAX_PAIRS; i++) {
        int j = lane + 32 * i;
        if (j < half) {
            float a = first[i], b = second[i], c = cosine[i], s = sine[i];
            if (weight) { // rounded where the unfused chain stores: after the cast, after the norm
                a = round_to_t(to_float(weight[j]) * round_to_t(a * scale));
                b = round_to_t(to_float(weight[j + half]) * round_to_t(b * scale));
            }
            to[j] = from_float<T>(fmaf(a, c, -b * s));
            to[j + half] = from_float<T>(fmaf(b, c, a * s));
        }
    }
}
