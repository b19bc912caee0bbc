// Attention forward: softmax(scale Q K^T) V by blocks of keys with a running maximum, nothing but O and the LSE written.
//
// Compiled after attention_tiles.cuh with -DHEAD_DIM=64|72|80|96|128. Method: Dao, "FlashAttention-2" (2023); the
// overlap of the softmax with the product of the block before is that of Shah et al., "FlashAttention-3" (2024).
//
// Kernels: attention_forward_full, attention_forward_causal. Arguments, in order:
//   const bf16* q; long long q_batch, q_head, q_row;      [batch, heads, sq, HEAD_DIM] by element strides
//   const bf16* k; long long k_batch, k_head, k_row;      [batch, kv_heads, sk, HEAD_DIM]
//   const bf16* v; long long v_batch, v_head, v_row;      [batch, kv_heads, sk, HEAD_DIM]
//   bf16* o;       long long o_batch, o_head, o_row;      [batch, heads, sq, HEAD_DIM]
//   float* lse;                                           [batch, heads, sq] contiguous, natural logarithm
//   int heads, int kv_heads, int sq, int sk, float scale,
//   const int* q_len, const int* k_len                    [batch], or null: every row has sq queries and sk keys
// Grid (heads, ceil(sq / ROWS), batch), block THREADS, dynamic shared memory 1024 + (ROWS + 4 * KEYS) * B bytes with
// ROWS = 64, KEYS = 64, THREADS = 128 (macros change them) and B = 128 for HEAD_DIM 64, else 256.
//
// Query head h reads key head h / (heads / kv_heads). Causal: query i sees key j when j <= i + k_len - q_len (the last
// query sees every key). Query rows from q_len on, and rows that see no key, become zeros with an LSE of -infinity.
// Needs (the caller asserts): unit stride over HEAD_DIM, pointers at multiples of 16 bytes, strides multiples of 8
// elements, heads a multiple of kv_heads, scale > 0, 0 <= q_len <= sq, 0 <= k_len <= sk, sq > 0. sk may be 0.

#ifndef FORWARD_GROUPS
#define FORWARD_GROUPS 1 // warpgroups of 64 queries in a block
#endif
#ifndef FORWARD_KEYS
#define FORWARD_KEYS 64 // keys in a step: 64 or 128
#endif
#ifndef FORWARD_BLOCKS
#define FORWARD_BLOCKS 2 // blocks that should fit on a multiprocessor
#endif

namespace forward {

constexpr int ROWS = FORWARD_GROUPS * 64, KEYS = FORWARD_KEYS, THREADS = FORWARD_GROUPS * 128;
constexpr int KEY_TILE = tile_bytes(KEYS);

// Scores from column `limit0` (row of [0], [1]) or `limit1` (row of [2], [3]) on become -infinity.
DEVICE void mask(float (&s)[KEYS / 8][4], int first_column, int limit0, int limit1) {
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int column = first_column + j * 8 + (e & 1);
            if (column >= (e < 2 ? limit0 : limit1)) s[j][e] = -infinity();
        }
    }
}

// Scores to exp(scale (s - maximum)); updates the running maximum and the thread's part of the sum, and gives the
// factors of what was summed before. `factor` is scale * log2(e).
DEVICE void soften(float (&s)[KEYS / 8][4], float (&maximum)[2], float (&sum)[2], float (&before)[2], float factor) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float top = maximum[r];
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) top = fmaxf(top, fmaxf(s[j][2 * r], s[j][2 * r + 1]));
        top = fmaxf(top, quad_exchange(top, 1));
        top = fmaxf(top, quad_exchange(top, 2));
        const float shift = top == -infinity() ? 0.f : top * factor;
        before[r] = exp2_fast(maximum[r] * factor - shift);
        maximum[r] = top;
        float part0 = 0.f, part1 = 0.f;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
            s[j][2 * r] = exp2_fast(s[j][2 * r] * factor - shift);
            s[j][2 * r + 1] = exp2_fast(s[j][2 * r + 1] * factor - shift);
            part0 += s[j][2 * r];
            part1 += s[j][2 * r + 1];
        }
        sum[r] = sum[r] * before[r] + (part0 + part1);
    }
}

struct Arguments {
    const bf16 *q, *k, *v;
    bf16* o;
    float* lse;
    i64 q_row, k_row, v_row, o_row; // the pointers are those of one head of one batch row
    int sq, queries, keys;
    float scale;
};

template <bool CAUSAL> DEVICE void run(const Arguments& a, int block) {
    const int thread = threadIdx.x, group = uniform(thread >> 7), warp = (thread >> 5) & 3, lane = thread & 31;
    const int first = block * ROWS, group_first = first + group * 64;
    const int row = group_first + warp * 16 + (lane >> 2); // and row + 8
    const int shift = a.keys - a.queries;
    // Keys that rows up to `end` see, in steps.
    auto steps_to = [&](int from, int end) {
        if (from >= a.queries) return 0;
        const int keys = CAUSAL ? min(a.keys, min(end, a.queries) + shift) : a.keys;
        return keys > 0 ? (keys + KEYS - 1) / KEYS : 0;
    };
    const int steps = steps_to(first, first + ROWS), mine = steps_to(group_first, group_first + 64);

    const u32 base = shared_base();
    const u32 tile_q = base, tile_k = base + tile_bytes(ROWS), tile_v = tile_k + 2 * KEY_TILE;
    // Step n needs K(n) and V(n-1). Past `arrive` nobody reads K(n-1) and V(n-2) any more: K(n+1) and V(n) replace them,
    // copied once the products of the step have been started.
    auto arrive = [&] {
        copy_wait<0>();
        fence_for_products();
        block_barrier<THREADS>();
    };
    auto copy_next = [&](int n) {
        if (n + 1 < steps)
            load_tile<KEYS, THREADS>(tile_k + ((n + 1) & 1) * KEY_TILE, a.k, a.k_row, (n + 1) * KEYS, a.keys, thread);
        if (n < steps) load_tile<KEYS, THREADS>(tile_v + (n & 1) * KEY_TILE, a.v, a.v_row, n * KEYS, a.keys, thread);
        copy_commit();
    };
    const float factor = a.scale * LOG2_E;
    const int limit0 = CAUSAL ? min(a.keys, row + shift + 1) : a.keys;
    const int limit1 = CAUSAL ? min(a.keys, row + shift + 9) : a.keys;
    const int clear = CAUSAL ? min(a.keys, group_first + shift + 1) : a.keys; // every row sees the keys before
    auto mask_step = [&](float (&s)[KEYS / 8][4], int n) {
        if ((n + 1) * KEYS > clear) mask(s, n * KEYS + (lane & 3) * 2, limit0, limit1);
    };

    float out[HEAD_PAD / 8][4];
    zero(out);
    float maximum[2] = {-infinity(), -infinity()}, sum[2] = {0.f, 0.f}, before[2];

    if (steps > 0) {
        load_tile<ROWS, THREADS>(tile_q, a.q, a.q_row, first, a.queries, thread);
        load_tile<KEYS, THREADS>(tile_k, a.k, a.k_row, 0, a.keys, thread);
        copy_commit();
        arrive();
        if (mine == 0) copy_next(0);
        if (mine > 0) {
            float s[KEYS / 8][4];
            u32 p[KEYS / 16][4];
            product_begin();
            product_nt<KEYS, ROWS>(s, tile_q, group * 64, tile_k, warp, lane);
            product_commit();
            copy_next(0);
            product_wait<0>();
            keep(s);
            mask_step(s, 0);
            soften(s, maximum, sum, before, factor);
            to_operand<KEYS>(p, s);
            for (int n = 1; n < mine; n++) {
                arrive();
                keep(out);
                product_begin();
                product_nt<KEYS, ROWS>(s, tile_q, group * 64, tile_k + (n & 1) * KEY_TILE, warp, lane);
                product_commit();
                product_nn<KEYS>(out, p, tile_v + ((n - 1) & 1) * KEY_TILE, lane);
                product_commit();
                copy_next(n);
                product_wait<1>();
                keep(s);
                mask_step(s, n);
                soften(s, maximum, sum, before, factor);
                const bool higher = any_lane(before[0] != 1.f || before[1] != 1.f);
                keep(s); // during the product, not after it
                if (higher) { // a new maximum: rare after the first steps
                    product_wait<0>();
                    keep(out);
#pragma unroll
                    for (int j = 0; j < HEAD_PAD / 8; j++) {
                        out[j][0] *= before[0], out[j][1] *= before[0];
                        out[j][2] *= before[1], out[j][3] *= before[1];
                    }
                } else {
                    product_wait<0>();
                    keep(out);
                }
                to_operand<KEYS>(p, s);
            }
            arrive();
            keep(out);
            product_begin();
            product_nn<KEYS>(out, p, tile_v + ((mine - 1) & 1) * KEY_TILE, lane);
            product_commit();
            copy_next(mine);
            product_wait<0>();
            keep(out);
        }
        for (int n = mine + 1; n <= steps; n++) { // what the other warpgroups still need
            arrive();
            copy_next(n);
        }
    }

    float inverse[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        sum[r] += quad_exchange(sum[r], 1);
        sum[r] += quad_exchange(sum[r], 2);
        const int query = row + 8 * r;
        const bool any = sum[r] > 0.f && query < a.queries;
        inverse[r] = any ? 1.f / sum[r] : 0.f;
        if ((lane & 3) == 0 && query < a.sq) a.lse[query] = any ? maximum[r] * a.scale + logf(sum[r]) : -infinity();
    }
    store_rows<ROWS>(out, inverse[0], inverse[1], tile_q, group * 64 + warp * 16, a.o, a.o_row,
                     group_first + warp * 16, a.sq, lane);
}

} // namespace forward

#define ATTENTION_FORWARD(NAME, CAUSAL)                                                                              \
    KERNEL(forward::THREADS, FORWARD_BLOCKS)                                                                         \
    NAME(const bf16* q, i64 q_batch, i64 q_head, i64 q_row, const bf16* k, i64 k_batch, i64 k_head, i64 k_row,       \
         const bf16* v, i64 v_batch, i64 v_head, i64 v_row, bf16* o, i64 o_batch, i64 o_head, i64 o_row, float* lse, \
         int heads, int kv_heads, int sq, int sk, float scale, const int* q_len, const int* k_len) {                 \
        const int head = blockIdx.x, batch = blockIdx.z, kv = head / (heads / kv_heads);                             \
        forward::Arguments a;                                                                                        \
        a.q = q + batch * q_batch + head * q_head;                                                                   \
        a.k = k + batch * k_batch + kv * k_head;                                                                     \
        a.v = v + batch * v_batch + kv * v_head;                                                                     \
        a.o = o + batch * o_batch + head * o_head;                                                                   \
        a.lse = lse + ((i64)batch * heads + head) * sq;                                                              \
        a.q_row = q_row, a.k_row = k_row, a.v_row = v_row, a.o_row = o_row;                                          \
        a.sq = sq, a.queries = q_len ? q_len[batch] : sq, a.keys = k_len ? k_len[batch] : sk, a.scale = scale;       \
        /* the heaviest blocks of a causal head start first */                                                       \
        forward::run<CAUSAL>(a, CAUSAL ? gridDim.y - 1 - blockIdx.y : blockIdx.y);                                   \
    }

ATTENTION_FORWARD(attention_forward_full, false)
ATTENTION_FORWARD(attention_forward_causal, true)
