//! Four-bit NF4 weights: to dense elements, and a product with few rows that reads the four bits as such.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0 (type of dense weights, x, y).
// codes: u8, two elements a byte, the first in the HIGH nibble, row-major over the flat [out * in] weight; absmax: float, one
// a block of 64 flat elements; value = NF4[code] * absmax (spec section 11). With double quantisation absmax is expanded first.
//
// nf4_dequantise(T *out, const u8 *codes, const float *absmax, i64 count)
//     out[i] = T(NF4[code i] * absmax[i / 64]), one product in float, rounded once: bit-equal with bitsandbytes.
//     Block 256, any 1D grid (grid-stride; best 16 blocks a multiprocessor), dynamic shared memory 0. count >= 0, odd too.
//
// Only with -DT_BF16=1 (float elements: dequantise and use a dense product):
// nf4_gemm_8, nf4_gemm_16, nf4_gemm_32(u16 *y, const u16 *x, const u8 *codes, const float *absmax, const u16 *bias, int m,
//                                      int n, int k, i64 x_row, i64 y_row)
//     y[m, n] = x[m, k] W^T + bias for m <= 8, 16, 32 rows; W [n, k] as codes; bias [n] or null; sums in float.
//     Each reads the weights once; with few rows take the smallest that fits.
//     W enters the tensor cores as bf16(NF4[code]) and each block's sum is multiplied by its absmax in float: as precise as
//     W rounded to bf16, not bit-equal to it.
//     Block 640; any 1D grid, best min(ceil(n / 16), multiprocessors) (a loop over tiles of 16 outputs); dynamic shared
//     memory 229376 bytes. k a multiple of 64 (traps otherwise); codes and x 16-byte aligned, absmax 4-byte; x_row a
//     multiple of 8.

extern "C" __global__ void __launch_bounds__(256) nf4_dequantise(T *out, const u8 *codes, const float *absmax, i64 count) {
    __shared__ float table[16][32]; // a copy a lane: no two lanes meet in a bank
    for (int i = threadIdx.x; i < 16 * 32; i += 256) table[i / 32][i % 32] = NF4[i / 32];
    __syncthreads();
    int lane = threadIdx.x & 31;
    i64 thread = (i64)blockIdx.x * 256 + threadIdx.x, threads = (i64)gridDim.x * 256;
    bool wide = ((u64)codes & 3) == 0 && aligned16(out);
    i64 runs = wide ? count / PACK : 0; // 16 bytes of `out` each
    for (i64 run = thread; run < runs; run += threads) {
        i64 start = run * PACK;
        float scale = absmax[start >> 6], value[PACK];
        u32 word = PACK == 8 ? reinterpret_cast<const u32 *>(codes)[run] : reinterpret_cast<const u16 *>(codes)[run];
#pragma unroll
        for (int i = 0; i < PACK / 2; i++) {
            value[2 * i] = table[word >> (8 * i + 4) & 15][lane] * scale;
            value[2 * i + 1] = table[word >> (8 * i) & 15][lane] * scale;
        }
        store<PACK>(out + start, value);
    }
    for (i64 i = runs * PACK + thread; i < count; i += threads) {
        int code = i & 1 ? codes[i >> 1] & 15 : codes[i >> 1] >> 4;
        out[i] = from_float<T>(table[code][lane] * absmax[i >> 6]);
    }
}

#if T_BF16

constexpr int GEMM_WARPS = 16; // multiply; four more add up what these leave
constexpr int GEMM_THREADS = 32 * GEMM_WARPS + 128;
constexpr int GEMM_STAGES = 4;
constexpr int CHUNK = 256;                    // weights of a row that a warp takes at a time: 128 bytes, 4 scales
constexpr int STAGE_BYTES = 16 * (CHUNK / 2); // codes of 16 rows
constexpr int STAGE_SCALES = 16 * (CHUNK / 64);

/// Dynamic shared memory of a block, in this order.
struct GemmShared {
    /// Byte -> both weights as bf16, a copy a lane, so that no two lanes meet in a bank. 256 bytes a row, of which half is
    /// used: the byte and the lane make the address with one permutation of bytes.
    u32 pairs[256][64];
    u8 codes[GEMM_WARPS][GEMM_STAGES][STAGE_BYTES];
    float scales[GEMM_WARPS][GEMM_STAGES][STAGE_SCALES];
    float sums[2][GEMM_WARPS][128];
};

/// One warp's share of the work: chunk `warp`, `warp + 16`, ... of every tile of 16 outputs of the block, copied to shared
/// memory GEMM_STAGES - 1 chunks ahead of the products, from one tile into the next.
struct Feed {
    const u8 *codes;
    const float *absmax;
    int n, k, tile, chunk;
    const u8 *from;          // this lane's 16 bytes of the first of its four rows
    const float *scale_from; // its scale of the first of its two rows

    /// Points at the current tile and chunk.
    __device__ __forceinline__ void aim() {
        int lane = threadIdx.x & 31;
        from = codes + ((i64)tile * 16 + lane / 8) * (k / 2) + chunk * (CHUNK / 2) + lane % 8 * 16;
        scale_from = absmax + ((i64)tile * 16 + lane / 4) * (k / 64) + chunk * 4 + lane % 4;
    }
    /// Starts the copies of the current chunk, if there is one, and goes on to the next. Unit u (16 bytes) of row r lies at
    /// unit u ^ 2 (r % 4): the eight-byte reads of four rows then fall on different banks. Past n and k the shared memory
    /// keeps what it holds: rows past n are not written, columns past k meet zeros.
    __device__ __forceinline__ void fetch(u8 *to, float *scales_to) {
        if (tile * 16 >= n) return;
        int lane = threadIdx.x & 31, r = lane / 8, unit = lane % 8, left = n - tile * 16;
        if (chunk * CHUNK + unit * 32 < k) {
            u8 *place = to + r * 128 + (unit ^ 2 * r) * 16;
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (4 * i + r < left) copy_async16(place + 512 * i, from + (i64)(2 * k) * i);
        }
        if (chunk * 4 + lane % 4 < k / 64) {
#pragma unroll
            for (int i = 0; i < 2; i++)
                if (8 * i + lane / 4 < left) copy_async4(scales_to + lane + 32 * i, scale_from + (k / 8) * i);
        }
        chunk += GEMM_WARPS;
        if (chunk * CHUNK < k) {
            from += GEMM_WARPS * (CHUNK / 2);
            scale_from += GEMM_WARPS * (CHUNK / 64);
        } else {
            chunk = threadIdx.x >> 5, tile += gridDim.x;
            aim();
        }
    }
};

/// The lane's 16 activations of a block of 64 that starts at `column`, for the 8 rows of each tile.
template <int TILES>
__device__ __forceinline__ void read_activations(uint4 (&low)[TILES], uint4 (&high)[TILES], const u16 *x, i64 x_row, int m,
                                                 int column, int k) {
    int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
#pragma unroll
    for (int j = 0; j < TILES; j++) {
        low[j] = high[j] = make_uint4(0, 0, 0, 0);
        if (8 * j + g < m && column < k) {
            const uint4 *from = reinterpret_cast<const uint4 *>(x + (8 * j + g) * x_row + column + 16 * t);
            low[j] = from[0], high[j] = from[1];
        }
    }
}

constexpr int SUMS_READY = 1, SUMS_FREE = 3; // barriers, one for each of the two copies of the sums

/// What the last four warps do: the sum of the others' sums, in their order, and bias.
template <int TILES>
__device__ __forceinline__ void add_up(u16 *y, const u16 *bias, int m, int n, i64 y_row, GemmShared &shared) {
    int thread = threadIdx.x - 32 * GEMM_WARPS, tiles = (n + 15) / 16, round = 0, left = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) left += (m + 7) / 8;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int column = tile * 16 + thread % 16;
        float start = bias && column < n ? bf16_to_float(bias[column]) : 0.0f;
#pragma unroll 1
        for (int row = thread / 16; row - thread / 16 < m; row += 8) {
            barrier_wait(SUMS_READY + round, GEMM_THREADS);
            float sum = start;
#pragma unroll
            for (int w = 0; w < GEMM_WARPS; w++) sum += shared.sums[round][w][thread];
            if (left > 2) barrier_arrive(SUMS_FREE + round, GEMM_THREADS); // the others come back for it
            if (row < m && column < n) y[row * y_row + column] = float_to_bf16(sum);
            round ^= 1, left--;
        }
    }
}

/// The warps share a tile of 16 outputs and take turns over the chunks along k.
///
/// Fragments of mma.m16n8k16: lane (g = lane / 4, t = lane % 4) holds weights of rows g and g + 8 and activations of column
/// g. The order of k inside a product is free as long as both sides agree: here lane t takes the 16 consecutive weights
/// 16 t .. 16 t + 15 of a block of 64, four for each of the block's four products.
template <int TILES>
__device__ __forceinline__ void nf4_product(u16 *y, const u16 *x, const u8 *codes, const float *absmax, const u16 *bias,
                                            int m, int n, int k, i64 x_row, i64 y_row, GemmShared &shared) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    if (k % 64) __trap();
    int chunks = (k + CHUNK - 1) / CHUNK, tiles = (n + 15) / 16, stage = 0, round = 0, filled = 0;
    // a warp without a chunk starts past the last tile: it only leaves zeros
    Feed ahead = {codes, absmax, n, k, warp < chunks ? (int)blockIdx.x : tiles, warp, codes, absmax};
    ahead.aim();
    let_next_start();
    if (warp < GEMM_WARPS) {
#pragma unroll 1
        for (int i = 0; i < GEMM_STAGES - 1; i++) {
            ahead.fetch(shared.codes[warp][i], shared.scales[warp][i]);
            copy_commit();
        }
    }
    if (warp < 16) { // each fills 16 rows of the table
        u32 pair = pack_bf16(NF4[warp], NF4[lane & 15]);
#pragma unroll
        for (int i = 0; i < 16; i++) shared.pairs[warp * 16 + i][lane] = __shfl_sync(FULL_WARP, pair, i);
    }
    __syncthreads();
    wait_for_previous(); // the weights are there already
    if (warp >= GEMM_WARPS) {
        add_up<TILES>(y, bias, m, n, y_row, shared);
        return;
    }
    u32 here_lane = lane * 4;
    const u8 *table = reinterpret_cast<const u8 *>(shared.pairs);
    auto weights = [=](u32 word, u32 which) { // both weights of byte `which`
        return *reinterpret_cast<const u32 *>(table + __byte_perm(word, here_lane, 0x7704 | which << 4));
    };
    // one tile: the activations of a chunk stay until another chunk's turn; up to k = 4096 they are read once
    uint4 low[TILES == 1 ? 4 : 1][TILES] = {}, high[TILES == 1 ? 4 : 1][TILES] = {};
    int held = -1;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        float total[TILES][4] = {};
#pragma unroll 1
        for (int chunk = warp; chunk < chunks; chunk += GEMM_WARPS) {
            // activations of the chunk; blocks past k and rows past m count as 0
            if (TILES == 1 && chunk != held) {
#pragma unroll
                for (int i = 0; i < 4; i++)
                    read_activations<TILES>(low[i], high[i], x, x_row, m, chunk * CHUNK + i * 64, k);
                held = chunk;
            }
            copy_wait<GEMM_STAGES - 2>();
            __syncwarp();
            int free = stage == 0 ? GEMM_STAGES - 1 : stage - 1; // read in the round before
            ahead.fetch(shared.codes[warp][free], shared.scales[warp][free]);
            copy_commit();
            const u8 *here = shared.codes[warp][stage] + g * 128 + (t & 1) * 8; // rows g and g + 8 swap units alike
            const float *scales = shared.scales[warp][stage];
            float4 scale0 = *reinterpret_cast<const float4 *>(scales + g * 4);
            float4 scale1 = *reinterpret_cast<const float4 *>(scales + g * 4 + 32);
            float s0[4] = {scale0.x, scale0.y, scale0.z, scale0.w}, s1[4] = {scale1.x, scale1.y, scale1.z, scale1.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int kept = TILES == 1 ? i : 0;
                if constexpr (TILES > 1) read_activations<TILES>(low[0], high[0], x, x_row, m, chunk * CHUNK + i * 64, k);
                int unit = (2 * i + (t >> 1)) ^ 2 * (g & 3);
                uint2 w0 = *reinterpret_cast<const uint2 *>(here + unit * 16);
                uint2 w1 = *reinterpret_cast<const uint2 *>(here + unit * 16 + 8 * 128);
                u32 a[4][4];
#pragma unroll
                for (int s = 0; s < 4; s++) { // bytes 2 s and 2 s + 1 of the lane's eight
                    u32 word0 = s < 2 ? w0.x : w0.y, word1 = s < 2 ? w1.x : w1.y;
                    a[s][0] = weights(word0, 2 * (s & 1));
                    a[s][1] = weights(word1, 2 * (s & 1));
                    a[s][2] = weights(word0, 2 * (s & 1) + 1);
                    a[s][3] = weights(word1, 2 * (s & 1) + 1);
                }
                bool inside = chunk * CHUNK + i * 64 < k; // else the scales in shared memory are left from before
                float up = inside ? s0[i] : 0.0f, down = inside ? s1[i] : 0.0f;
#pragma unroll
                for (int j = 0; j < TILES; j++) {
                    float part[4] = {};
                    mma_bf16(part, a[0], low[kept][j].x, low[kept][j].y);
                    mma_bf16(part, a[1], low[kept][j].z, low[kept][j].w);
                    mma_bf16(part, a[2], high[kept][j].x, high[kept][j].y);
                    mma_bf16(part, a[3], high[kept][j].z, high[kept][j].w);
                    total[j][0] = fmaf(part[0], up, total[j][0]);
                    total[j][1] = fmaf(part[1], up, total[j][1]);
                    total[j][2] = fmaf(part[2], down, total[j][2]);
                    total[j][3] = fmaf(part[3], down, total[j][3]);
                }
            }
            stage = stage == GEMM_STAGES - 1 ? 0 : stage + 1;
        }
        // the four sums of a lane are (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
#pragma unroll
        for (int j = 0; j < TILES; j++) {
            if (8 * j < m) {
                if (filled >= 2) barrier_wait(SUMS_FREE + round, GEMM_THREADS);
#pragma unroll
                for (int c = 0; c < 4; c++) shared.sums[round][warp][(2 * t + (c & 1)) * 16 + g + 8 * (c >> 1)] = total[j][c];
                barrier_arrive(SUMS_READY + round, GEMM_THREADS);
                round ^= 1, filled++;
            }
        }
    }
    copy_wait<0>();
}

#define NF4_GEMM(NAME, TILES)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(GEMM_THREADS, 1)                                                              \
        NAME(u16 *y, const u16 *x, const u8 *codes, const float *absmax, const u16 *bias, int m, int n, int k, i64 x_row,      \
             i64 y_row) {                                                                                                      \
        extern __shared__ __align__(16) float space[];                                                                         \
        nf4_product<TILES>(y, x, codes, absmax, bias, m, n, k, x_row, y_row, *reinterpret_cast<GemmShared *>(space));          \
    }

NF4_GEMM(nf4_gemm_8, 1)
NF4_GEMM(nf4_gemm_16, 2)
NF4_GEMM(nf4_gemm_32, 4)

#endif
