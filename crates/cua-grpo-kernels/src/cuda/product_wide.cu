//! Four-bit products of a decode step with up to 32 rows: the columns of W in parts, each with its slice of x held by blocks
//! of its own, and the sum of the parts.
//
// Text to compile: prelude.cuh + this file with -DT_BF16=1.
//
// wide_nf4_16, wide_nf4_32(float *partial, const u16 *x, Weights weights, int count, int m, int k)
//     partial[part][m][N], N the sum of n: what columns 1024 part .. of z = x W^T give, for m <= 16, 32 rows x [m, k] and
//     `count` maps W [n, k] as codes with scales (nf4.cu says how; weights enter the tensor cores as bf16(NF4[code]), and the
//     sum of each block of 64 is multiplied by its scale in float). n a multiple of 16, k of 256; all addresses 16-byte
//     aligned. Grid: a multiple of ceil(k / 1024), best the largest within the multiprocessors. Block 512. Dynamic shared
//     memory 143360 + 2064 m bytes.
// wide_sum(u16 *y, i64 y_row, const float *partial, int parts, int m, int n)
//     y[row][column] = T(sum of the parts), in their order; n and y_row multiples of 4, y 8-byte aligned. Block 256, any 1D
//     grid (grid-stride), no dynamic shared memory.
// Two launches on the same input give the same bits.

#if !T_BF16
#error "products of a decode step are compiled with -DT_BF16=1"
#endif

struct Weight {
    const u8 *codes;
    const float *absmax;
    int n;
    int unused;
};

struct Weights {
    Weight at[3];
};

constexpr int WARPS = 16, THREADS = 32 * WARPS;
constexpr int PART = 1024;         // columns of a part
constexpr int LINE = 256;          // columns of a tile that a warp takes at a time: 128 bytes of each of 16 rows
constexpr int STAGES = 3;
constexpr int X_STEP = PART + 8;   // elements from one row of x in shared memory to the next: rows fall on different banks

/// Dynamic shared memory, in this order; x follows.
struct Space {
    /// Byte -> both weights as bf16, a copy a lane (product.cu); the upper half of each row of 256 bytes holds stage 0.
    u8 table[256][256];
    /// Stages 1 and 2 of each warp, beside each other.
    u8 lines[WARPS][16][256];
    float scales[WARPS][STAGES][64];

    __device__ __forceinline__ u8 *line(int warp, int stage) {
        return stage == 0 ? table[warp * 16] + 128 : lines[warp][0] + (stage - 1) * 128;
    }
};

/// A warp's lines, in order: those of the part, tile after tile.
struct Feed {
    const Weights &weights;
    int count, k, tiles, step, first, lines, tile, line; // `line` counts from `first`, the first of the part
    const u8 *codes;     // of this lane: row lane / 8 of the tile, unit lane % 8
    const float *scales; // of row lane % 16

    __device__ __forceinline__ void aim() {
        if (tile >= tiles) return;
        int lane = threadIdx.x & 31, at = tile;
        Weight weight = weights.at[0];
#pragma unroll
        for (int i = 1; i < 3; i++)
            if (i < count && at >= weight.n / 16) at -= weight.n / 16, weight = weights.at[i];
        codes = weight.codes + (i64)(at * 16 + lane / 8) * (k / 2) + first * (LINE / 2) + lane % 8 * 16;
        scales = weight.absmax + (i64)(at * 16 + lane % 16) * (k / 64) + first * (LINE / 64);
    }
    /// Starts the copies of the next line, if there is one. Units of 16 bytes are exchanged so that the reads of the
    /// fragments fall on different banks.
    __device__ __forceinline__ void fetch(u8 *to, float *scales_to) {
        if (tile < tiles) {
            int lane = threadIdx.x & 31, r = lane / 8;
            u8 *place = to + r * 256 + (lane % 8 ^ 2 * r) * 16;
#pragma unroll
            for (int i = 0; i < 4; i++) copy_async16(place + 4 * i * 256, codes + line * (LINE / 2) + 2 * i * (i64)k);
            if (lane < 16) copy_async16(scales_to + lane * 4, scales + line * (LINE / 64));
            if (++line == lines) {
                line = 0, tile += step;
                aim();
            }
        }
        copy_commit();
    }
};

/// The products of one line with TILES times eight rows of x; fragments as in product.cu.
template <int TILES>
__device__ __forceinline__ void multiply(float (&total)[TILES][4], const u8 *line, const float *scales, const u8 *table,
                                         const u16 *x, int m) {
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    u32 here_lane = lane * 4;
    auto weights = [=](u32 word, u32 which) { // both weights of byte `which`
        return *reinterpret_cast<const u32 *>(table + __byte_perm(word, here_lane, 0x7704 | which << 4));
    };
    float4 scale0 = *reinterpret_cast<const float4 *>(scales + g * 4);
    float4 scale1 = *reinterpret_cast<const float4 *>(scales + g * 4 + 32);
    float s0[4] = {scale0.x, scale0.y, scale0.z, scale0.w}, s1[4] = {scale1.x, scale1.y, scale1.z, scale1.w};
    const u8 *here = line + g * 256 + t * 8;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const u8 *pair = here + (i ^ (g & 3)) * 32; // rows g and g + 8 swap units alike
        uint2 w0 = *reinterpret_cast<const uint2 *>(pair), w1 = *reinterpret_cast<const uint2 *>(pair + 8 * 256);
        u32 a[4][4];
#pragma unroll
        for (int s = 0; s < 4; s++) { // bytes 2 s and 2 s + 1 of the lane's eight
            u32 word0 = s < 2 ? w0.x : w0.y, word1 = s < 2 ? w1.x : w1.y;
            a[s][0] = weights(word0, 2 * (s & 1));
            a[s][1] = weights(word1, 2 * (s & 1));
            a[s][2] = weights(word0, 2 * (s & 1) + 1);
            a[s][3] = weights(word1, 2 * (s & 1) + 1);
        }
#pragma unroll
        for (int j = 0; j < TILES; j++) {
            uint4 low = make_uint4(0, 0, 0, 0), high = low;
            if (8 * j + g < m) {
                const uint4 *from = reinterpret_cast<const uint4 *>(x + (8 * j + g) * X_STEP + i * 64 + 16 * t);
                low = from[0], high = from[1];
            }
            float sum[4] = {};
            mma_bf16(sum, a[0], low.x, low.y);
            mma_bf16(sum, a[1], low.z, low.w);
            mma_bf16(sum, a[2], high.x, high.y);
            mma_bf16(sum, a[3], high.z, high.w);
            total[j][0] = fmaf(sum[0], s0[i], total[j][0]);
            total[j][1] = fmaf(sum[1], s0[i], total[j][1]);
            total[j][2] = fmaf(sum[2], s1[i], total[j][2]);
            total[j][3] = fmaf(sum[3], s1[i], total[j][3]);
        }
    }
}

/// Each warp has tiles of 16 outputs of its own, over the columns of the block's part.
template <int TILES>
__device__ __forceinline__ void wide(float *partial, const u16 *x, const Weights &weights, int count, int m, int k, Space &space) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    int parts = (k + PART - 1) / PART, part = blockIdx.x % parts, tiles = 0;
    u16 *held = reinterpret_cast<u16 *>(&space + 1);
#pragma unroll
    for (int i = 0; i < 3; i++)
        if (i < count) tiles += weights.at[i].n / 16;
    int first = part * (PART / LINE), lines = k / LINE - first < PART / LINE ? k / LINE - first : PART / LINE;
    int blocks = gridDim.x / parts, step = blocks * WARPS, tile = blockIdx.x / parts + warp * blocks;
    Feed ahead = {weights, count, k, tiles, step, first, lines, tile, 0, nullptr, nullptr};
    ahead.aim();
#pragma unroll 1
    for (int i = 0; i < STAGES - 1; i++) ahead.fetch(space.line(warp, i), space.scales[warp][i]);
    for (int byte = threadIdx.x / 8; byte < 256; byte += THREADS / 8) {
        u32 pair = pack_bf16(NF4[byte >> 4], NF4[byte & 15]);
        *reinterpret_cast<uint4 *>(space.table[byte] + threadIdx.x % 8 * 16) = make_uint4(pair, pair, pair, pair);
    }
    wait_for_previous();
    let_next_start();
    int packs = lines * (LINE / 8);
#pragma unroll 4
    for (int i = threadIdx.x; i < m * packs; i += THREADS) {
        int row = i / packs, pack = i - row * packs;
        *reinterpret_cast<uint4 *>(held + row * X_STEP + pack * 8) =
            *reinterpret_cast<const uint4 *>(x + (i64)row * k + part * PART + pack * 8);
    }
    __syncthreads();
    int stage = 0;
    float *to = partial + (i64)part * m * tiles * 16;
    for (; tile < tiles; tile += step) {
        float total[TILES][4] = {};
#pragma unroll 1
        for (int line = 0; line < lines; line++) {
            copy_wait<STAGES - 2>();
            __syncwarp();
            int free = stage == 0 ? STAGES - 1 : stage - 1; // read in the round before
            ahead.fetch(space.line(warp, free), space.scales[warp][free]);
            multiply<TILES>(total, space.line(warp, stage), space.scales[warp][stage], space.table[0], held + line * LINE, m);
            stage = stage == STAGES - 1 ? 0 : stage + 1;
        }
        // the four sums of a lane are (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
#pragma unroll
        for (int j = 0; j < TILES; j++)
#pragma unroll
            for (int c = 0; c < 4; c++) {
                int row = 8 * j + 2 * t + (c & 1);
                if (row < m) to[(i64)row * tiles * 16 + tile * 16 + g + 8 * (c >> 1)] = total[j][c];
            }
    }
    copy_wait<0>();
}

#define WIDE(NAME, TILES)                                                                                                      \
    extern "C" __global__ void __launch_bounds__(THREADS, 1)                                                                   \
        NAME(float *partial, const u16 *x, const __grid_constant__ Weights weights, int count, int m, int k) {                 \
        extern __shared__ __align__(16) float space[];                                                                         \
        wide<TILES>(partial, x, weights, count, m, k, *reinterpret_cast<Space *>(space));                                      \
    }

WIDE(wide_nf4_16, 2)
WIDE(wide_nf4_32, 4)

extern "C" __global__ void __launch_bounds__(256)
    wide_sum(u16 *y, i64 y_row, const float *partial, int parts, int m, int n) {
    wait_for_previous();
    let_next_start();
    i64 runs = (i64)m * n / 4;
    for (i64 run = (i64)blockIdx.x * 256 + threadIdx.x; run < runs; run += (i64)gridDim.x * 256) {
        float sum[4] = {};
#pragma unroll 4
        for (int part = 0; part < parts; part++) {
            float value[4];
            load<4>(partial + (part * runs + run) * 4, value);
#pragma unroll
            for (int i = 0; i < 4; i++) sum[i] += value[i];
        }
        i64 row, column;
        split_index(run, n / 4, row, column);
        store<4>(y + row * y_row + column * 4, sum);
    }
}
