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
//     W enters the tensor cores as bf16(NF4[code]) and each block's sum is multiplied by its absmax in float: as precise as
//     W rounded to bf16, not bit-equal to it.
//     Block 256; any 1D grid, best min(ceil(n / 16), 3 blocks a multiprocessor) (a loop over tiles of 16 columns); dynamic
//     shared memory 0 (36 to 48 KiB static). k a multiple of 64 (traps otherwise); codes 8-byte, x 16-byte aligned; x_row a
//     multiple of 8.

__constant__ float NF4[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

extern "C" __global__ void __launch_bounds__(256) nf4_dequantise(T *out, const u8 *codes, const float *absmax, i64 count) {
    __shared__ float table[16][32]; // a copy a lane: no two lanes meet in a bank
    for (int i = threadIdx.x; i < 16 * 32; i += 256) table[i / 32][i % 32] = NF4[i / 32];
    __syncthreads();
    int lane = threadIdx.x & 31;
    i64 thread = (i64)blockIdx.x * 256 + threadIdx.x, threads = (i64)gridDim.x * 256;
    bool wide = ((u64)codes & 3) == 0 && aligned16(out);
    i64 runs = wide ? count / 8 : 0;
    for (i64 run = thread; run < runs; run += threads) {
        u32 word = *reinterpret_cast<const u32 *>(codes + run * 4);
        float scale = absmax[run >> 3], value[8];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            value[2 * i] = table[word >> (8 * i + 4) & 15][lane] * scale;
            value[2 * i + 1] = table[word >> (8 * i) & 15][lane] * scale;
        }
        store<8>(out + run * 8, value);
    }
    for (i64 i = runs * 8 + thread; i < count; i += threads) {
        int code = i & 1 ? codes[i >> 1] & 15 : codes[i >> 1] >> 4;
        out[i] = from_float<T>(table[code][lane] * absmax[i >> 6]);
    }
}

#if T_BF16

constexpr int GEMM_WARPS = 8;
constexpr int GEMM_AHEAD = 4; // blocks of 64 whose loads are issued together

/// The warps share a tile of 16 outputs and take turns over the blocks of 64 along k, GEMM_AHEAD at a time.
///
/// Fragments of mma.m16n8k16: lane (g = lane / 4, t = lane % 4) holds weights of rows g and g + 8 and activations of column
/// g. The order of k inside a product is free as long as both sides agree: here lane t takes the 16 consecutive weights
/// 16 t .. 16 t + 15 of a block, four for each of the block's four products.
template <int TILES>
__device__ __forceinline__ void nf4_product(u16 *y, const u16 *x, const u8 *codes, const float *absmax, const u16 *bias,
                                            int m, int n, int k, i64 x_row, i64 y_row, u32 *pairs, float *sums) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    for (int i = threadIdx.x; i < 256 * 32; i += 256) // byte -> both weights as bf16, a copy a lane
        pairs[i] = pack_bf16(NF4[i >> 9], NF4[i >> 5 & 15]);
    if (k % 64) __trap();
    __syncthreads();
    int blocks = k / 64, tiles = (n + 15) / 16;
    const u32 *mine = pairs + lane;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        i64 row0 = tile * 16 + g, row1 = row0 + 8;
        if (row0 >= n) row0 = n - 1; // read but not written
        if (row1 >= n) row1 = n - 1;
        const uint2 *codes0 = reinterpret_cast<const uint2 *>(codes + row0 * (k / 2)) + t;
        const uint2 *codes1 = reinterpret_cast<const uint2 *>(codes + row1 * (k / 2)) + t;
        const float *scale0 = absmax + row0 * blocks, *scale1 = absmax + row1 * blocks;
        float total[TILES][4] = {};
        for (int first = warp * GEMM_AHEAD; first < blocks; first += GEMM_WARPS * GEMM_AHEAD) {
            uint2 w0[GEMM_AHEAD], w1[GEMM_AHEAD];
            float s0[GEMM_AHEAD], s1[GEMM_AHEAD];
#pragma unroll
            for (int i = 0; i < GEMM_AHEAD; i++) {
                int block = first + i < blocks ? first + i : blocks - 1;
                w0[i] = codes0[block * 4], w1[i] = codes1[block * 4];
                s0[i] = scale0[block], s1[i] = scale1[block];
            }
#pragma unroll
            for (int i = 0; i < GEMM_AHEAD; i++) {
                if (first + i < blocks) {
                    u32 a[4][4];
#pragma unroll
                    for (int s = 0; s < 4; s++) { // bytes 2 s and 2 s + 1 of the lane's eight
                        u32 word0 = s < 2 ? w0[i].x : w0[i].y, word1 = s < 2 ? w1[i].x : w1[i].y;
                        int shift = 16 * (s & 1);
                        a[s][0] = mine[(word0 >> shift & 255) * 32];
                        a[s][1] = mine[(word1 >> shift & 255) * 32];
                        a[s][2] = mine[(word0 >> (shift + 8) & 255) * 32];
                        a[s][3] = mine[(word1 >> (shift + 8) & 255) * 32];
                    }
#pragma unroll
                    for (int j = 0; j < TILES; j++) {
                        uint4 low = make_uint4(0, 0, 0, 0), high = low;
                        if (8 * j + g < m) {
                            const uint4 *from =
                                reinterpret_cast<const uint4 *>(x + (8 * j + g) * x_row + (first + i) * 64 + 16 * t);
                            low = from[0], high = from[1];
                        }
                        float part[4] = {};
                        mma_bf16(part, a[0], low.x, low.y);
                        mma_bf16(part, a[1], low.z, low.w);
                        mma_bf16(part, a[2], high.x, high.y);
                        mma_bf16(part, a[3], high.z, high.w);
                        total[j][0] = fmaf(part[0], s0[i], total[j][0]);
                        total[j][1] = fmaf(part[1], s0[i], total[j][1]);
                        total[j][2] = fmaf(part[2], s1[i], total[j][2]);
                        total[j][3] = fmaf(part[3], s1[i], total[j][3]);
                    }
                }
            }
        }
        // the warps' sums, then bias; the four sums of a lane are (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
#pragma unroll
        for (int j = 0; j < TILES; j++) {
            __syncthreads();
#pragma unroll
            for (int c = 0; c < 4; c++) sums[warp * 128 + (2 * t + (c & 1)) * 16 + g + 8 * (c >> 1)] = total[j][c];
            __syncthreads();
            if (threadIdx.x < 128) {
                int row = 8 * j + threadIdx.x / 16, column = tile * 16 + threadIdx.x % 16;
                float sum = 0.0f;
#pragma unroll
                for (int w = 0; w < GEMM_WARPS; w++) sum += sums[w * 128 + threadIdx.x];
                if (row < m && column < n) y[row * y_row + column] = float_to_bf16(bias ? sum + bf16_to_float(bias[column]) : sum);
            }
        }
    }
}

#define NF4_GEMM(NAME, TILES, BLOCKS)                                                                                          \
    extern "C" __global__ void __launch_bounds__(256, BLOCKS)                                                                  \
        NAME(u16 *y, const u16 *x, const u8 *codes, const float *absmax, const u16 *bias, int m, int n, int k, i64 x_row,      \
             i64 y_row) {                                                                                                      \
        __shared__ u32 pairs[256 * 32];                                                                                        \
        __shared__ float sums[GEMM_WARPS * 128];                                                                               \
        nf4_product<TILES>(y, x, codes, absmax, bias, m, n, k, x_row, y_row, pairs, sums);                                     \
    }

NF4_GEMM(nf4_gemm_8, 1, 3)
NF4_GEMM(nf4_gemm_16, 2, 3)
NF4_GEMM(nf4_gemm_32, 4, 2)

#endif
