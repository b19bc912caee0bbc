// Attention of one new token a row over a key-value cache, the keys split over blocks that the last one combines.
//
// Compiled after attention_tiles.cuh with -DHEAD_DIM=64 or 128. Method: split keys as in Dao et al., "Flash-Decoding"
// (2023). All query heads of a key head are rows of one matrix product, so the cache is read once; keys and values go
// straight from memory to the registers of mma.sync m16n8k16, with the contracted dimension (of Q K^T) and the columns
// (of P V) permuted so that every load is 16 bytes wide.
//
// Kernels: attention_decode_8 (heads / kv_heads <= 8), attention_decode_16 (<= 16). Arguments, in order:
//   const bf16* q            [batch, heads, HEAD_DIM] contiguous
//   const bf16* k, *v        [batch, kv_heads, max_len, HEAD_DIM] contiguous: one layer of the cache
//   bf16* o                  [batch, heads, HEAD_DIM] contiguous
//   const int* lens          [batch]: keys of each row, read on the device; 0 gives zeros; <= max_len
//   float* partial           scratch, batch * heads * splits * (HEAD_DIM + 2) floats (unused when splits = 1)
//   unsigned* counters       [batch * kv_heads], zero before the first launch; each launch leaves them zero
//   int heads, int kv_heads, int max_len, float scale
// Grid (splits, kv_heads, batch), block 128, no dynamic shared memory. Any splits >= 1 is right for any lens: a graph
// captured once can be replayed with other lengths. Pointers at multiples of 16 bytes; heads a multiple of kv_heads.
// Fastest on an H200: about 264 blocks, so splits = clamp(264 / (batch * kv_heads), 1, 8).
// The new key and value are those of column lens - 1; lens and the older columns are read before the kernel waits for the
// ones before it in its chain of launches.
// Two launches that share `partial` or `counters` must not overlap. The result does not depend on which block is last.

#ifndef DECODE_BLOCKS
#define DECODE_BLOCKS 2 // blocks that should fit on a multiprocessor
#endif

namespace decode {

static_assert(HEAD_DIM == 64 || HEAD_DIM == 128, "HEAD_DIM must be 64 or 128");
constexpr int WARPS = 4, STEP = 16; // keys in a warp's step
constexpr int BLOCKS_32 = HEAD_DIM / 32, BLOCKS_64 = HEAD_DIM / 64;

struct Arguments {
    const bf16 *q, *k, *v; // the group's heads, one key head of one row
    bf16* o;
    float* partial_o;      // [group, splits, HEAD_DIM]
    float2* partial_sums;  // [group, splits]: maximum (times scale, in powers of two) and sum
    unsigned* counter;
    int group, len;
    float factor;
};

// Keys key.. of a step: words of rows key + lane/4 and + 8, 32 columns at a time.
DEVICE void load_keys(uint4 (&x)[2][BLOCKS_32], const bf16* k, int key, int end, int lane) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const int row = key + j * 8 + (lane >> 2);
#pragma unroll
        for (int i = 0; i < BLOCKS_32; i++)
            x[j][i] = row < end ? load_stream(k + (i64)row * HEAD_DIM + i * 32 + (lane & 3) * 8)
                                : make_uint4(0, 0, 0, 0);
    }
}

// Values of a step: rows key + 2*(lane%4) + {0, 1, 8, 9}, 8 columns from 8*(lane/4) on of each 64.
DEVICE void load_values(uint4 (&x)[BLOCKS_64][4], const bf16* v, int key, int end, int lane) {
#pragma unroll
    for (int h = 0; h < BLOCKS_64; h++) {
#pragma unroll
        for (int r = 0; r < 4; r++) {
            const int row = key + (lane & 3) * 2 + (r & 1) + (r >> 1) * 8;
            x[h][r] = row < end ? load_stream(v + (i64)row * HEAD_DIM + h * 64 + (lane >> 2) * 8)
                                : make_uint4(0, 0, 0, 0);
        }
    }
}

DEVICE void store_scaled(bf16* to, const float4& x, float factor) {
    *(uint2*)to = make_uint2(pack(x.x * factor, x.y * factor), pack(x.z * factor, x.w * factor));
}

DEVICE u32 word(const uint4& x, int i) { return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w; }

// HALVES = 1 computes 8 heads (the upper 8 rows of the product are zero), 2 computes 16.
template <int HALVES> DEVICE void run(const Arguments& a, float* shared) {
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, split = blockIdx.x, splits = gridDim.x;
    const int steps = (a.len + STEP - 1) / STEP;
    const int from = (int)((i64)steps * split / splits), to = (int)((i64)steps * (split + 1) / splits);
    const int end = min(a.len, to * STEP);

    let_next_start();
    uint4 k[2][BLOCKS_32], v[BLOCKS_64][4];
    int key = (from + warp) * STEP;
    // Only the newest key and value come from the kernels before this one: the first step of the others need not wait.
    const bool old = key + STEP < a.len;
    if (old) load_keys(k, a.k, key, end, lane), load_values(v, a.v, key, end, lane);
    wait_for_previous();
    if (!old) load_keys(k, a.k, key, end, lane), load_values(v, a.v, key, end, lane);
    u32 q[HALVES][BLOCKS_32][4];
#pragma unroll
    for (int r = 0; r < HALVES; r++) {
        const int head = r * 8 + (lane >> 2);
#pragma unroll
        for (int i = 0; i < BLOCKS_32; i++) {
            uint4 x = make_uint4(0, 0, 0, 0);
            if (head < a.group) x = *(const uint4*)(a.q + head * HEAD_DIM + i * 32 + (lane & 3) * 8);
            q[r][i][0] = x.x, q[r][i][1] = x.y, q[r][i][2] = x.z, q[r][i][3] = x.w;
        }
    }
    float out[BLOCKS_64][8][4];
#pragma unroll
    for (int h = 0; h < BLOCKS_64; h++) {
#pragma unroll
        for (int i = 0; i < 8; i++) out[h][i][0] = out[h][i][1] = out[h][i][2] = out[h][i][3] = 0.f;
    }
    float maximum[2] = {-infinity(), -infinity()}, sum[2] = {0.f, 0.f};

    for (; key < end; key += WARPS * STEP) {
        float s[2][4];
#pragma unroll
        for (int j = 0; j < 2; j++) {
            s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.f;
#pragma unroll
            for (int i = 0; i < BLOCKS_32; i++) {
                const u32(&lower)[4] = q[0][i], (&upper)[4] = q[HALVES - 1][i];
                const u32 low[4] = {lower[0], HALVES == 2 ? upper[0] : 0u, lower[1], HALVES == 2 ? upper[1] : 0u};
                const u32 high[4] = {lower[2], HALVES == 2 ? upper[2] : 0u, lower[3], HALVES == 2 ? upper[3] : 0u};
                mma(s[j], low, k[j][i].x, k[j][i].y);
                mma(s[j], high, k[j][i].z, k[j][i].w);
            }
        }
        load_keys(k, a.k, key + WARPS * STEP, end, lane); // on their way during the rest of this step
        float before[2] = {1.f, 1.f};
#pragma unroll
        for (int r = 0; r < HALVES; r++) {
            float top = maximum[r];
#pragma unroll
            for (int j = 0; j < 2; j++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float& x = s[j][2 * r + e];
                    x = key + j * 8 + (lane & 3) * 2 + e < end ? x * a.factor : -infinity();
                    top = fmaxf(top, x);
                }
            }
            top = fmaxf(top, quad_exchange(top, 1));
            top = fmaxf(top, quad_exchange(top, 2)); // finite: a step has a key
            before[r] = exp2_fast(maximum[r] - top);
            maximum[r] = top;
            float part = 0.f;
#pragma unroll
            for (int j = 0; j < 2; j++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    s[j][2 * r + e] = exp2_fast(s[j][2 * r + e] - top);
                    part += s[j][2 * r + e];
                }
            }
            sum[r] = sum[r] * before[r] + part;
        }
        if (any_lane(before[0] != 1.f || before[1] != 1.f)) {
#pragma unroll
            for (int h = 0; h < BLOCKS_64; h++) {
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    out[h][i][0] *= before[0], out[h][i][1] *= before[0];
                    if (HALVES == 2) out[h][i][2] *= before[1], out[h][i][3] *= before[1];
                }
            }
        }
        const u32 p[4] = {pack(s[0][0], s[0][1]), HALVES == 2 ? pack(s[0][2], s[0][3]) : 0u, pack(s[1][0], s[1][1]),
                          HALVES == 2 ? pack(s[1][2], s[1][3]) : 0u};
#pragma unroll
        for (int h = 0; h < BLOCKS_64; h++) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const u32 pick = i & 1 ? 0x7632 : 0x5410; // the same column of two rows
                mma(out[h][i], p, byte_permute(word(v[h][0], i >> 1), word(v[h][1], i >> 1), pick),
                    byte_permute(word(v[h][2], i >> 1), word(v[h][3], i >> 1), pick));
            }
        }
        load_values(v, a.v, key + WARPS * STEP, end, lane);
    }

    // The warps' parts together: shared [WARPS][heads][HEAD_DIM], then maxima and sums [WARPS][heads] each.
    constexpr int HEADS = HALVES * 8;
    float* maxima = shared + WARPS * HEADS * HEAD_DIM;
    float* sums = maxima + WARPS * HEADS;
#pragma unroll
    for (int r = 0; r < HALVES; r++) {
        sum[r] += quad_exchange(sum[r], 1);
        sum[r] += quad_exchange(sum[r], 2);
        const int at = warp * HEADS + r * 8 + (lane >> 2);
        if ((lane & 3) == 0) maxima[at] = maximum[r], sums[at] = sum[r];
#pragma unroll
        for (int h = 0; h < BLOCKS_64; h++) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                shared[at * HEAD_DIM + h * 64 + (lane & 3) * 16 + i] = out[h][i][2 * r];
                shared[at * HEAD_DIM + h * 64 + (lane & 3) * 16 + 8 + i] = out[h][i][2 * r + 1];
            }
        }
    }
    block_barrier<WARPS * 32>();
    constexpr int QUADS = HEAD_DIM / 4; // threads of a head, four columns each
    const int column = threadIdx.x % QUADS * 4;
    for (int head = threadIdx.x / QUADS; head < a.group; head += WARPS * 32 / QUADS) {
        float top = -infinity(), total = 0.f;
        float4 x = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
        for (int w = 0; w < WARPS; w++) top = fmaxf(top, maxima[w * HEADS + head]);
        const float safe = top == -infinity() ? 0.f : top;
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            const float weight = exp2_fast(maxima[w * HEADS + head] - safe);
            const float4 y = *(const float4*)(shared + (w * HEADS + head) * HEAD_DIM + column);
            total += weight * sums[w * HEADS + head];
            x.x += weight * y.x, x.y += weight * y.y, x.z += weight * y.z, x.w += weight * y.w;
        }
        if (splits == 1) {
            const float inverse = total > 0.f ? 1.f / total : 0.f;
            store_scaled(a.o + head * HEAD_DIM + column, x, inverse);
        } else {
            *(float4*)(a.partial_o + ((i64)head * splits + split) * HEAD_DIM + column) = x;
            if (column == 0) a.partial_sums[head * splits + split] = make_float2(top, total);
        }
    }
    if (splits == 1) return;

    // The last block of the group to arrive combines the splits, in their order.
    __threadfence();
    block_barrier<WARPS * 32>();
    if (threadIdx.x == 0) maxima[0] = atomicInc(a.counter, splits - 1) == (unsigned)splits - 1 ? 1.f : 0.f;
    block_barrier<WARPS * 32>();
    if (maxima[0] == 0.f) return;
    __threadfence();
    for (int head = threadIdx.x / QUADS; head < a.group; head += WARPS * 32 / QUADS) {
        const float2* sums_of = a.partial_sums + head * splits;
        float top = -infinity(), total = 0.f;
        float4 x = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll 4
        for (int i = 0; i < splits; i++) top = fmaxf(top, __ldcg(&sums_of[i]).x);
        if (top == -infinity()) top = 0.f;
#pragma unroll 4
        for (int i = 0; i < splits; i++) {
            const float2 y = __ldcg(&sums_of[i]);
            const float4 z =
                __ldcg((const float4*)(a.partial_o + ((i64)head * splits + i) * HEAD_DIM + column));
            const float weight = exp2_fast(y.x - top);
            total += weight * y.y;
            x.x += weight * z.x, x.y += weight * z.y, x.z += weight * z.z, x.w += weight * z.w;
        }
        const float inverse = total > 0.f ? 1.f / total : 0.f;
        store_scaled(a.o + head * HEAD_DIM + column, x, inverse);
    }
}

} // namespace decode

#define ATTENTION_DECODE(NAME, HALVES)                                                                               \
    KERNEL(128, DECODE_BLOCKS)                                                                                              \
    NAME(const bf16* q, const bf16* k, const bf16* v, bf16* o, const int* lens, float* partial, unsigned* counters,  \
         int heads, int kv_heads, int max_len, float scale) {                                                        \
        __shared__ float4 shared[decode::WARPS * HALVES * 2 * (HEAD_DIM + 2)];                                       \
        const int kv = blockIdx.y, batch = blockIdx.z, group = heads / kv_heads, splits = gridDim.x;                 \
        const i64 first = (i64)batch * heads + kv * group, cache = (i64)batch * kv_heads + kv;                       \
        decode::Arguments a;                                                                                         \
        a.q = q + first * HEAD_DIM, a.o = o + first * HEAD_DIM;                                                      \
        a.k = k + cache * max_len * HEAD_DIM, a.v = v + cache * max_len * HEAD_DIM;                                  \
        a.partial_o = partial + first * splits * HEAD_DIM;                                                           \
        a.partial_sums = (float2*)(partial + (i64)gridDim.z * heads * splits * HEAD_DIM) + first * splits;           \
        a.counter = counters + cache, a.group = group, a.len = lens[batch], a.factor = scale * LOG2_E;               \
        decode::run<HALVES>(a, (float*)shared);                                                                      \
    }
ATTENTION_DECODE(attention_decode_8, 1)
ATTENTION_DECODE(attention_decode_16, 2)
