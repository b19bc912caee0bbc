// Attention backward: dQ, dK and dV from the LSE, the scores computed again; no atomics, so bitwise repeatable.
//
// Compiled after attention_tiles.cuh with -DHEAD_DIM=64|72|80|96|128. Method: Dao, "FlashAttention-2" (2023), with the
// gradient of the queries in a kernel of its own. With P = exp(scale S - LSE) and D = rowsum(dO * O):
// dV = P^T dO, dS = P * (dO V^T - D), dQ = scale dS K, dK = scale dS^T Q, dK and dV summed over a group's query heads.
//
// Three kernels, in this order on one stream. Sizes, strides, alignment, lengths and the causal rule are those of
// attention_forward.cu; lse is what it wrote. `rows` is scratch: float2 [batch, heads, sq], 16-byte aligned.
//
// 1. attention_backward_prepare(const bf16* o, i64 o_batch, o_head, o_row, const bf16* d_o, i64 do_batch, do_head,
//    do_row, const float* lse, float2* rows, int heads, int sq, const int* q_len): writes LSE * log2(e) and D.
//    Grid (ceil(sq / 16), heads, batch), block 256, no dynamic shared memory.
// 2. attention_backward_keys_full, attention_backward_keys_causal(q, 3 strides, k, 3 strides, v, 3 strides,
//    const bf16* d_o, 3 strides, const float2* rows, bf16* dk, 3 strides, bf16* dv, 3 strides,
//    int heads, int kv_heads, int sq, int sk, float scale, const int* q_len, const int* k_len): writes dK and dV.
//    Grid (kv_heads, ceil(sk / KEY_ROWS), batch), block KEY_ROWS * 2,
//    dynamic shared memory 1024 + (2 * KEY_ROWS + 4 * QUERIES) * B + 16 * QUERIES.
// 3. attention_backward_queries_full, attention_backward_queries_causal(q, 3 strides, k, 3 strides, v, 3 strides,
//    d_o, 3 strides, rows, bf16* dq, 3 strides, heads, kv_heads, sq, sk, scale, q_len, k_len): writes dQ.
//    Grid (heads, ceil(sq / QUERY_ROWS), batch), block QUERY_ROWS * 2,
//    dynamic shared memory 1024 + (2 * QUERY_ROWS + 4 * KEYS) * B.
// KEY_ROWS = 64, QUERIES = 64, QUERY_ROWS = 64, KEYS = 64 (macros change them); B = 128 for HEAD_DIM 64, else 256.
// "3 strides" are long long batch, head and row in elements. Rows past the lengths get zeros. sq > 0, sk > 0.

#ifndef BACKWARD_KEY_GROUPS
#define BACKWARD_KEY_GROUPS 1 // warpgroups of 64 keys in a block of kernel 2
#endif
#ifndef BACKWARD_KEY_STAGES
#define BACKWARD_KEY_STAGES 2 // 2 or 3
#endif
#ifndef BACKWARD_KEY_BLOCKS
#define BACKWARD_KEY_BLOCKS 2 // blocks that should fit on a multiprocessor
#endif
#ifndef BACKWARD_QUERY_GROUPS
#define BACKWARD_QUERY_GROUPS 1 // warpgroups of 64 queries in a block of kernel 3
#endif
#ifndef BACKWARD_QUERY_STAGES
#define BACKWARD_QUERY_STAGES 2
#endif
#ifndef BACKWARD_QUERY_BLOCKS
#define BACKWARD_QUERY_BLOCKS 2
#endif
#ifndef BACKWARD_KEYS
#define BACKWARD_KEYS 64 // keys in a step of kernel 3: 64 or 128
#endif

namespace backward {

// Copies of the steps in shared memory: one that arrives, one in use, and with three one that the products still in
// flight read (those of a step's gradients then end during the next step).
constexpr int KEY_STAGES = BACKWARD_KEY_STAGES, QUERY_STAGES = BACKWARD_QUERY_STAGES;

struct Matrix {
    const bf16* data; // one head of one batch row
    i64 row;
};
struct Output {
    bf16* data;
    i64 row;
};

// LSE in powers of two (+infinity for a row without keys, whose weights are then zero) and D of 16 rows of a head.
DEVICE void prepare(const bf16* o, i64 o_row, const bf16* d_o, i64 do_row, const float* lse, float2* rows, int sq,
                    int queries) {
    const int row = blockIdx.x * 16 + (threadIdx.x >> 4), chunk = threadIdx.x & 15;
    float sum = 0.f;
    if (row < queries && chunk < HEAD_CHUNKS) {
        const uint4 x = *(const uint4*)(o + row * o_row + chunk * 8);
        const uint4 y = *(const uint4*)(d_o + row * do_row + chunk * 8);
        const u32 a[4] = {x.x, x.y, x.z, x.w}, b[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
        for (int i = 0; i < 4; i++) sum += low_float(a[i]) * low_float(b[i]) + high_float(a[i]) * high_float(b[i]);
    }
#pragma unroll
    for (int m = 1; m < 16; m *= 2) sum += quad_exchange(sum, m);
    if (chunk == 0 && row < sq) {
        const float l = row < queries ? lse[row] : -infinity();
        rows[row] = make_float2(l == -infinity() ? infinity() : l * LOG2_E, sum);
    }
}

// dK and dV of KEY_ROWS keys: steps over the queries that see them, of every query head of the group.
constexpr int KEY_ROWS = BACKWARD_KEY_GROUPS * 64, QUERIES = 64, KEY_THREADS = BACKWARD_KEY_GROUPS * 128;

struct KeyArguments {
    const bf16 *q, *d_o;   // the group's first head of one batch row
    const float2* rows;
    i64 q_head, q_row, do_head, do_row;
    Matrix k, v;
    Output dk, dv;
    int group, sq, sk, queries, keys;
    float scale;
};

template <bool CAUSAL> DEVICE void run_keys(const KeyArguments& a) {
    constexpr int STEP = tile_bytes(QUERIES), OWN = tile_bytes(KEY_ROWS);
    const int thread = threadIdx.x, wg = uniform(thread >> 7), warp = (thread >> 5) & 3, lane = thread & 31;
    const int first = blockIdx.y * KEY_ROWS, own = first + wg * 64;
    const int shift = a.keys - a.queries; // key j is seen by the queries from j - shift on
    const u32 tile_k = shared_base(), tile_v = tile_k + OWN, tile_q = tile_v + OWN,
              tile_do = tile_q + KEY_STAGES * STEP, tile_rows = tile_do + KEY_STAGES * STEP;

    // Blocks of queries begin..end of each head; a step takes one, from the last on: the blocks of keys that run at the
    // same time, which begin differently, then read the same queries.
    const int begin = CAUSAL ? max(0, first - shift) / QUERIES : 0, end = (a.queries + QUERIES - 1) / QUERIES;
    const int steps = first < a.keys ? max(0, end - begin) * a.group : 0;
    auto following = [&](int block) { return block == begin ? end - 1 : block - 1; };
    int next = end - 1, next_head = 0; // to be copied
    auto load = [&](int n) {
        const int query = next * QUERIES, stage = n % KEY_STAGES;
        const bf16 *q = a.q + next_head * a.q_head, *d_o = a.d_o + next_head * a.do_head;
        load_tile<QUERIES, KEY_THREADS>(tile_q + stage * STEP, q, a.q_row, query, a.queries, thread);
        load_tile<QUERIES, KEY_THREADS>(tile_do + stage * STEP, d_o, a.do_row, query, a.queries, thread);
        if (thread < QUERIES) {
            const bool valid = query + thread < a.queries;
            const float2* rows = a.rows + (i64)next_head * a.sq;
            copy8(tile_rows + (stage * QUERIES + thread) * 8, valid ? rows + query + thread : rows, valid);
        }
        next_head += next == begin;
        next = following(next);
    };

    float dk[HEAD_PAD / 8][4], dv[HEAD_PAD / 8][4];
    zero(dk);
    zero(dv);
    const float factor = a.scale * LOG2_E;
    if (steps > 0) {
        load_tile<KEY_ROWS, KEY_THREADS>(tile_k, a.k.data, a.k.row, first, a.keys, thread);
        load_tile<KEY_ROWS, KEY_THREADS>(tile_v, a.v.data, a.v.row, first, a.keys, thread);
        load(0);
        copy_commit();
    }
    auto copy_next = [&](int n) {
        if (n + 1 < steps) load(n + 1);
        copy_commit();
    };
    for (int n = 0, block = end - 1; n < steps; n++, block = following(block)) {
        copy_wait<0>();
        fence_for_products();
        block_barrier<KEY_THREADS>();
        const int query = block * QUERIES, stage = n % KEY_STAGES;
        if (own >= a.keys || (CAUSAL && query + QUERIES - 1 + shift < own)) { // nothing is seen
            copy_next(n);
            product_wait<0>();
            continue;
        }

        // Rows are keys and columns queries: S^T = K Q^T and (dO V^T)^T = V dO^T.
        float p[QUERIES / 8][4], ds[QUERIES / 8][4];
        u32 operand[QUERIES / 16][4], operand_ds[QUERIES / 16][4];
        const u32 q = tile_q + stage * STEP, d_o = tile_do + stage * STEP;
        const u32 rows = tile_rows + stage * QUERIES * 8 + (lane & 3) * 16;
        product_begin();
        product_nt<QUERIES, KEY_ROWS>(p, tile_k, wg * 64, q, warp, lane);
        product_commit();
        product_nt<QUERIES, KEY_ROWS>(ds, tile_v, wg * 64, d_o, warp, lane);
        product_commit();
        copy_next(n); // while the products run
        product_wait<1>();
        keep(p);
#pragma unroll
        for (int j = 0; j < QUERIES / 8; j++) {
            const float4 r = load_shared_floats(rows + j * 64); // LSE and D of two queries
#pragma unroll
            for (int e = 0; e < 4; e++) p[j][e] = exp2_fast(p[j][e] * factor - (e & 1 ? r.z : r.x));
        }
        if (CAUSAL && query + shift < own + 63) {
            const int row = own + warp * 16 + (lane >> 2) - shift - query - (lane & 3) * 2;
#pragma unroll
            for (int j = 0; j < QUERIES / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    if (j * 8 + (e & 1) < row + (e < 2 ? 0 : 8)) p[j][e] = 0.f;
                }
            }
        }
        to_operand<QUERIES>(operand, p);
        keep(dv);
        product_begin();
        product_nn<QUERIES>(dv, operand, d_o, lane);
        product_commit();
        product_wait<1>();
        keep(ds);
#pragma unroll
        for (int j = 0; j < QUERIES / 8; j++) {
            const float4 r = load_shared_floats(rows + j * 64);
#pragma unroll
            for (int e = 0; e < 4; e++) ds[j][e] = p[j][e] * (ds[j][e] - (e & 1 ? r.w : r.y));
        }
        to_operand<QUERIES>(operand_ds, ds);
        keep(dk);
        product_begin();
        product_nn<QUERIES>(dk, operand_ds, q, lane);
        product_commit();
        if (KEY_STAGES < 3) {
            product_wait<0>();
            keep(dv);
            keep(dk);
        }
    }
    product_wait<0>();
    keep(dv);
    keep(dk);
    block_barrier<KEY_THREADS>();
    const int warp_row = wg * 64 + warp * 16, row = first + warp_row + (lane >> 2);
    // Rows past the keys hold products of zero rows that may have overflowed: their factor is no use, so set them.
#pragma unroll
    for (int j = 0; j < HEAD_PAD / 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const bool valid = row + (e < 2 ? 0 : 8) < a.keys;
            dk[j][e] = valid ? dk[j][e] : 0.f;
            dv[j][e] = valid ? dv[j][e] : 0.f;
        }
    }
    store_rows<KEY_ROWS>(dk, a.scale, a.scale, tile_k, warp_row, a.dk.data, a.dk.row, first + warp_row, a.sk, lane);
    store_rows<KEY_ROWS>(dv, 1.f, 1.f, tile_v, warp_row, a.dv.data, a.dv.row, first + warp_row, a.sk, lane);
}

// dQ of QUERY_ROWS queries of a head: steps over the keys that they see.
constexpr int QUERY_ROWS = BACKWARD_QUERY_GROUPS * 64, KEYS = BACKWARD_KEYS, QUERY_THREADS = BACKWARD_QUERY_GROUPS * 128;

struct QueryArguments {
    Matrix q, k, v, d_o;
    const float2* rows;
    Output dq;
    int sq, queries, keys;
    float scale;
};

template <bool CAUSAL> DEVICE void run_queries(const QueryArguments& a, int block) {
    constexpr int STEP = tile_bytes(KEYS), OWN = tile_bytes(QUERY_ROWS);
    const int thread = threadIdx.x, wg = uniform(thread >> 7), warp = (thread >> 5) & 3, lane = thread & 31;
    const int first = block * QUERY_ROWS, own = first + wg * 64;
    const int shift = a.keys - a.queries;
    const u32 tile_q = shared_base(), tile_do = tile_q + OWN, tile_k = tile_do + OWN,
              tile_v = tile_k + QUERY_STAGES * STEP;
    auto steps_to = [&](int from, int end) {
        if (from >= a.queries) return 0;
        const int keys = CAUSAL ? min(a.keys, min(end, a.queries) + shift) : a.keys;
        return keys > 0 ? (keys + KEYS - 1) / KEYS : 0;
    };
    const int steps = steps_to(first, first + QUERY_ROWS), mine = steps_to(own, own + 64);
    auto load = [&](int n) {
        load_tile<KEYS, QUERY_THREADS>(tile_k + n % QUERY_STAGES * STEP, a.k.data, a.k.row, n * KEYS, a.keys, thread);
        load_tile<KEYS, QUERY_THREADS>(tile_v + n % QUERY_STAGES * STEP, a.v.data, a.v.row, n * KEYS, a.keys, thread);
    };

    const int row = own + warp * 16 + (lane >> 2);
    float lse[2], sum[2];
    int limit[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int query = row + 8 * r;
        const float2 x = query < a.queries ? a.rows[query] : make_float2(infinity(), 0.f);
        lse[r] = x.x, sum[r] = x.y;
        limit[r] = CAUSAL ? min(a.keys, query + shift + 1) : a.keys;
    }
    const int clear = CAUSAL ? min(a.keys, own + shift + 1) : a.keys; // every row sees the keys before
    const float factor = a.scale * LOG2_E;
    float dq[HEAD_PAD / 8][4];
    zero(dq);
    if (steps > 0) {
        load_tile<QUERY_ROWS, QUERY_THREADS>(tile_q, a.q.data, a.q.row, first, a.queries, thread);
        load_tile<QUERY_ROWS, QUERY_THREADS>(tile_do, a.d_o.data, a.d_o.row, first, a.queries, thread);
        load(0);
        copy_commit();
    }
    auto copy_next = [&](int n) {
        if (n + 1 < steps) load(n + 1);
        copy_commit();
    };
    for (int n = 0; n < steps; n++) {
        copy_wait<0>();
        fence_for_products();
        block_barrier<QUERY_THREADS>();
        if (n >= mine) {
            copy_next(n);
            product_wait<0>();
            continue;
        }
        float p[KEYS / 8][4], ds[KEYS / 8][4];
        u32 operand[KEYS / 16][4];
        const u32 k = tile_k + n % QUERY_STAGES * STEP, v = tile_v + n % QUERY_STAGES * STEP;
        product_begin();
        product_nt<KEYS, QUERY_ROWS>(p, tile_q, wg * 64, k, warp, lane);
        product_commit();
        product_nt<KEYS, QUERY_ROWS>(ds, tile_do, wg * 64, v, warp, lane);
        product_commit();
        copy_next(n); // while the products run
        product_wait<1>();
        keep(p);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) p[j][e] = exp2_fast(p[j][e] * factor - lse[e >> 1]);
        }
        if ((n + 1) * KEYS > clear) {
            const int column = n * KEYS + (lane & 3) * 2;
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    if (column + j * 8 + (e & 1) >= limit[e >> 1]) p[j][e] = 0.f;
                }
            }
        }
        keep(p); // during the product, not after it
        product_wait<0>();
        keep(ds);
        keep(dq);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) ds[j][e] = p[j][e] * (ds[j][e] - sum[e >> 1]);
        }
        to_operand<KEYS>(operand, ds);
        product_begin();
        product_nn<KEYS>(dq, operand, k, lane);
        product_commit();
        if (QUERY_STAGES < 3) {
            product_wait<0>();
            keep(dq);
        }
    }
    product_wait<0>();
    keep(dq);
    block_barrier<QUERY_THREADS>();
    const int warp_row = wg * 64 + warp * 16;
    store_rows<QUERY_ROWS>(dq, a.scale, a.scale, tile_q, warp_row, a.dq.data, a.dq.row, first + warp_row, a.sq, lane);
}

} // namespace backward

KERNEL(256, 4)
attention_backward_prepare(const bf16* o, i64 o_batch, i64 o_head, i64 o_row, const bf16* d_o, i64 do_batch, i64 do_head,
                           i64 do_row, const float* lse, float2* rows, int heads, int sq, const int* q_len) {
    const int head = blockIdx.y, batch = blockIdx.z;
    const i64 at = ((i64)batch * heads + head) * sq;
    backward::prepare(o + batch * o_batch + head * o_head, o_row, d_o + batch * do_batch + head * do_head, do_row,
                      lse + at, rows + at, sq, q_len ? q_len[batch] : sq);
}

#define ATTENTION_BACKWARD_KEYS(NAME, CAUSAL)                                                                         \
    KERNEL(backward::KEY_THREADS, BACKWARD_KEY_BLOCKS)                                                                \
    NAME(const bf16* q, i64 q_batch, i64 q_head, i64 q_row, const bf16* k, i64 k_batch, i64 k_head, i64 k_row,        \
         const bf16* v, i64 v_batch, i64 v_head, i64 v_row, const bf16* d_o, i64 do_batch, i64 do_head, i64 do_row,   \
         const float2* rows, bf16* dk, i64 dk_batch, i64 dk_head, i64 dk_row, bf16* dv, i64 dv_batch, i64 dv_head,    \
         i64 dv_row, int heads, int kv_heads, int sq, int sk, float scale, const int* q_len, const int* k_len) {      \
        const int kv = blockIdx.x, batch = blockIdx.z, group = heads / kv_heads;                                      \
        backward::KeyArguments a;                                                                                     \
        a.q = q + batch * q_batch + kv * group * q_head;                                                              \
        a.d_o = d_o + batch * do_batch + kv * group * do_head;                                                        \
        a.rows = rows + ((i64)batch * heads + kv * group) * sq;                                                       \
        a.q_head = q_head, a.q_row = q_row, a.do_head = do_head, a.do_row = do_row;                                   \
        a.k = {k + batch * k_batch + kv * k_head, k_row};                                                             \
        a.v = {v + batch * v_batch + kv * v_head, v_row};                                                             \
        a.dk = {dk + batch * dk_batch + kv * dk_head, dk_row};                                                        \
        a.dv = {dv + batch * dv_batch + kv * dv_head, dv_row};                                                        \
        a.group = group, a.sq = sq, a.sk = sk, a.scale = scale;                                                       \
        a.queries = q_len ? q_len[batch] : sq, a.keys = k_len ? k_len[batch] : sk;                                    \
        backward::run_keys<CAUSAL>(a);                                                                                \
    }
ATTENTION_BACKWARD_KEYS(attention_backward_keys_full, false)
ATTENTION_BACKWARD_KEYS(attention_backward_keys_causal, true)

#define ATTENTION_BACKWARD_QUERIES(NAME, CAUSAL)                                                                      \
    KERNEL(backward::QUERY_THREADS, BACKWARD_QUERY_BLOCKS)                                                            \
    NAME(const bf16* q, i64 q_batch, i64 q_head, i64 q_row, const bf16* k, i64 k_batch, i64 k_head, i64 k_row,        \
         const bf16* v, i64 v_batch, i64 v_head, i64 v_row, const bf16* d_o, i64 do_batch, i64 do_head, i64 do_row,   \
         const float2* rows, bf16* dq, i64 dq_batch, i64 dq_head, i64 dq_row, int heads, int kv_heads, int sq, int sk,\
         float scale, const int* q_len, const int* k_len) {                                                           \
        const int head = blockIdx.x, batch = blockIdx.z, kv = head / (heads / kv_heads);                              \
        backward::QueryArguments a;                                                                                   \
        a.q = {q + batch * q_batch + head * q_head, q_row};                                                           \
        a.k = {k + batch * k_batch + kv * k_head, k_row};                                                             \
        a.v = {v + batch * v_batch + kv * v_head, v_row};                                                             \
        a.d_o = {d_o + batch * do_batch + head * do_head, do_row};                                                    \
        a.rows = rows + ((i64)batch * heads + head) * sq;                                                             \
        a.dq = {dq + batch * dq_batch + head * dq_head, dq_row};                                                      \
        a.sq = sq, a.scale = scale, a.queries = q_len ? q_len[batch] : sq, a.keys = k_len ? k_len[batch] : sk;        \
        backward::run_queries<CAUSAL>(a, CAUSAL ? gridDim.y - 1 - blockIdx.y : blockIdx.y);                           \
    }
ATTENTION_BACKWARD_QUERIES(attention_backward_queries_full, false)
ATTENTION_BACKWARD_QUERIES(attention_backward_queries_causal, true)
