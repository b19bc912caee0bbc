//! Adapters of one decode step: y += scaling (x A^T) B^T for few rows, up to four modules that share x, in two launches.
//
// Text to compile: prelude.cuh + this file; -DT_BF16=0|1 is the type of x and y, -DAB_BF16=0|1 that of A and B.
//
// `modules` is passed by value: LoraModules below, 4 entries of 48 bytes (C layout); unused ones n 0, rank 0.
// m <= 64 rows (asserted by nothing); rank <= 256.
// lora_shrink(float *partial, const T *x, i64 x_row, LoraModules modules, int count, int m, int k, int splits)
//     partial[((split * count + module) * m + row) * max_rank + r], max_rank the largest rank of the modules: the part of x A^T that comes from columns split * LORA_SLICE .. + LORA_SLICE of k. Grid splits * count * LORA_PARTS
//     with splits = ceil(k / LORA_SLICE), LORA_SLICE = 512, LORA_PARTS = 4 (each a quarter of the ranks); block 256;
//     dynamic shared memory 0. partial: splits * count * m * max_rank floats. A: [rank, k] contiguous.
// lora_expand(const float *partial, LoraModules modules, int count, int m, int splits)
//     y[row][n] = T(y + scaling sum_r (sum_split partial) B[n][r]) for every module. Grid: sum over modules of
//     ceil(n / 128); block 128; dynamic shared memory m * max_rank * 4 bytes (64 KiB at m 64, rank 256).
//     B: [n, rank] contiguous; y rows y_row elements apart.
// The sums run in a fixed order: two runs give the same bits.

#ifndef AB_BF16
#error "compile with -DAB_BF16=1 (bfloat16 adapters) or -DAB_BF16=0 (float adapters)"
#endif

#if AB_BF16
typedef u16 Adapter;
#else
typedef float Adapter;
#endif

/// One adapter: A [rank, k], B [n, rank], and the rows of y [m, n] that it adds to.
struct LoraModule {
    const Adapter *a;
    const Adapter *b;
    T *y;
    i64 y_row;
    int n;
    int rank;
    float scaling;
    int unused;
};

struct LoraModules {
    LoraModule at[4];
};

constexpr int LORA_SLICE = 512;
constexpr int LORA_PARTS = 4;
constexpr int LORA_ROWS = 8; // rows of x held in shared memory at a time

__device__ __forceinline__ int largest_rank(const LoraModules &modules, int count) {
    int rank = 0;
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < count && modules.at[i].rank > rank) rank = modules.at[i].rank;
    return rank;
}

/// The entry `index` of the modules, found by constant indices so that the argument stays out of local memory.
__device__ __forceinline__ LoraModule pick(const LoraModules &modules, int index) {
    LoraModule found = modules.at[0];
#pragma unroll
    for (int i = 1; i < 4; i++)
        if (i == index) found = modules.at[i];
    return found;
}

extern "C" __global__ void __launch_bounds__(256)
    lora_shrink(float *partial, const T *x, i64 x_row, LoraModules modules, int count, int m, int k, int splits) {
    __shared__ float rows[LORA_ROWS][LORA_SLICE];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int part = blockIdx.x % LORA_PARTS, index = blockIdx.x / LORA_PARTS % count, split = blockIdx.x / LORA_PARTS / count;
    LoraModule module = pick(modules, index);
    int max_rank = largest_rank(modules, count), start = split * LORA_SLICE;
    float *to = partial + (i64)(split * count + index) * m * max_rank;
    for (int first = 0; first < m; first += LORA_ROWS) {
        __syncthreads();
        for (int i = threadIdx.x; i < LORA_ROWS * LORA_SLICE; i += 256) {
            int row = first + i / LORA_SLICE, column = start + i % LORA_SLICE;
            rows[i / LORA_SLICE][i % LORA_SLICE] = row < m && column < k ? to_float(x[row * x_row + column]) : 0.0f;
        }
        __syncthreads();
        for (int r = part * 8 + warp; r < module.rank; r += 8 * LORA_PARTS) {
            const Adapter *a = module.a + (i64)r * k + start;
            float sum[LORA_ROWS] = {};
            for (int j = lane; j < LORA_SLICE; j += 32) {
                float value = start + j < k ? to_float(a[j]) : 0.0f;
#pragma unroll
                for (int row = 0; row < LORA_ROWS; row++) sum[row] = fmaf(value, rows[row][j], sum[row]);
            }
#pragma unroll
            for (int row = 0; row < LORA_ROWS; row++) {
                float total = warp_sum(sum[row]);
                if (lane == 0 && first + row < m) to[(i64)(first + row) * max_rank + r] = total;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(128)
    lora_expand(const float *partial, LoraModules modules, int count, int m, int splits) {
    extern __shared__ __align__(16) float hidden[]; // [m][rank]
    int tile = blockIdx.x, index = 0;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        int tiles = (modules.at[i].n + 127) / 128;
        if (index == i && index + 1 < count && tile >= tiles) tile -= tiles, index++;
    }
    LoraModule module = pick(modules, index);
    int max_rank = largest_rank(modules, count), rank = module.rank;
    for (int i = threadIdx.x; i < m * rank; i += 128) {
        int row = i / rank, r = i - row * rank;
        float sum = 0.0f;
        for (int split = 0; split < splits; split++)
            sum += partial[((i64)(split * count + index) * m + row) * max_rank + r];
        hidden[i] = sum * module.scaling;
    }
    __syncthreads();
    int column = tile * 128 + threadIdx.x;
    if (column >= module.n) return;
    const Adapter *b = module.b + (i64)column * rank;
    bool wide = aligned16(module.b) && rank % 8 == 0;
    for (int first = 0; first < m; first += 8) {
        float sum[8] = {};
        int rows = m - first < 8 ? m - first : 8;
        if (wide) {
            for (int r = 0; r < rank; r += 8) {
                float value[8];
                load<8>(b + r, value);
#pragma unroll
                for (int row = 0; row < 8; row++) {
                    const float *h = hidden + (first + (row < rows ? row : 0)) * rank + r;
                    float4 low = *reinterpret_cast<const float4 *>(h), high = *reinterpret_cast<const float4 *>(h + 4);
                    sum[row] = fmaf(value[0], low.x, fmaf(value[1], low.y, fmaf(value[2], low.z, fmaf(value[3], low.w, sum[row]))));
                    sum[row] = fmaf(value[4], high.x, fmaf(value[5], high.y, fmaf(value[6], high.z, fmaf(value[7], high.w, sum[row]))));
                }
            }
        } else {
            for (int r = 0; r < rank; r++) {
                float value = to_float(b[r]);
#pragma unroll
                for (int row = 0; row < 8; row++)
                    sum[row] = fmaf(value, hidden[(first + (row < rows ? row : 0)) * rank + r], sum[row]);
            }
        }
#pragma unroll
        for (int row = 0; row < 8; row++) {
            if (row < rows) {
                T *to = module.y + (first + row) * module.y_row + column;
                *to = from_float<T>(to_float(*to) + sum[row]);
            }
        }
    }
}
