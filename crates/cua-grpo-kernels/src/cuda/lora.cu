//! Adapters of one decode step: y += scaling (x A^T) B^T for few rows, up to four modules that share x, in two launches.
//
// Text to compile: prelude.cuh + this file; -DT_BF16=0|1 is the type of x and y, -DAB_BF16=0|1 that of A and B.
//
// `modules` is passed by value: LoraModules below, 4 entries of 48 bytes (C layout); unused ones n 0, rank 0.
// Any m >= 1 (made for m <= 64); rank <= 256; count 1 .. 4.
// lora_shrink(float *partial, const T *x, i64 x_row, LoraModules modules, int count, int m, int k, int splits)
//     partial[((split * count + module) * m + row) * max_rank + r], max_rank the largest rank of the modules: the part of
//     x A^T that comes from the split's columns, about k / splits of them. Grid
//     splits * count * ceil(m / 8) * ceil(max_rank / 16); block 128; dynamic shared memory 0. Best splits: ceil(k / 256)
//     while m * max_rank <= 512, ceil(k / 1024) beyond; at most ceil(k / 256).
//     partial: splits * count * m * max_rank floats. A: [rank, k] contiguous.
// lora_expand(const float *partial, LoraModules modules, int count, int m, int splits)
//     y[row][n] = T(y + scaling sum_r (sum_split partial) B[n][r]) for every module. Grid: ceil(m / 8) * (sum over modules
//     of ceil(n / 128)); block 128; dynamic shared memory 0. B: [n, rank] contiguous; y rows y_row elements apart.
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

constexpr int LORA_WARPS = 4; // of a block
constexpr int LORA_ROWS = 8;  // rows of x a warp, or an expanding block, has at a time
constexpr int LORA_RANKS = 4; // ranks a warp has at a time
constexpr int LORA_STEP = 256; // columns a warp takes at a time, eight a lane
constexpr int LORA_MOST = 256; // largest rank

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

/// Eight elements from `column` on. `wide`: in 16-byte accesses, all of them before `end`; else those past `end` are 0.
template <typename E> __device__ __forceinline__ void load_columns(const E *p, int column, int end, bool wide, float (&x)[8]) {
    if (wide) {
        load<8>(p + column, x);
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = column + i < end ? to_float(p[column + i]) : 0.0f;
    }
}

/// Sums 2 WIDTH values over groups of 2 WIDTH lanes; the l-th lane of a group gets the total of value l. Each round halves the
/// values that a lane holds.
template <int WIDTH> __device__ __forceinline__ float transposed_sum(float (&value)[2 * WIDTH]) {
    bool upper = threadIdx.x & WIDTH;
    float half[WIDTH];
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        float give = upper ? value[i] : value[i + WIDTH], keep = upper ? value[i + WIDTH] : value[i];
        half[i] = keep + __shfl_xor_sync(FULL_WARP, give, WIDTH);
    }
    if constexpr (WIDTH == 1)
        return half[0];
    else
        return transposed_sum<WIDTH / 2>(half);
}

/// The part of x A^T of ROWS rows and LORA_RANKS ranks that the warp's columns give; rows and ranks past the last are repeats.
template <int ROWS>
__device__ __forceinline__ void shrink(float *to, const T *x, i64 x_row, const LoraModule &module, int first, int rank0, int m,
                                       int k, int start, int end, int max_rank) {
    int lane = threadIdx.x & 31;
    bool wide = aligned16(module.a) && aligned16(x) && k % 8 == 0 && x_row % 8 == 0; // then `end` is a multiple of 8 too
    const Adapter *a_row[LORA_RANKS];
    const T *x_rows[ROWS];
#pragma unroll
    for (int r = 0; r < LORA_RANKS; r++) a_row[r] = module.a + (i64)(rank0 + r < module.rank ? rank0 + r : rank0) * k;
#pragma unroll
    for (int row = 0; row < ROWS; row++) x_rows[row] = x + (first + row < m ? first + row : first) * x_row;
    float sum[32] = {}; // row * LORA_RANKS + rank
    for (int column = start + 8 * lane; column < end; column += LORA_STEP) {
        float a[LORA_RANKS][8], value[ROWS][8];
#pragma unroll
        for (int r = 0; r < LORA_RANKS; r++) load_columns(a_row[r], column, end, wide, a[r]);
#pragma unroll
        for (int row = 0; row < ROWS; row++) load_columns(x_rows[row], column, end, wide, value[row]);
#pragma unroll
        for (int row = 0; row < ROWS; row++)
#pragma unroll
            for (int r = 0; r < LORA_RANKS; r++)
#pragma unroll
                for (int i = 0; i < 8; i++)
                    sum[row * LORA_RANKS + r] = fmaf(value[row][i], a[r][i], sum[row * LORA_RANKS + r]);
    }
    float total = transposed_sum<16>(sum);
    int row = lane / LORA_RANKS, r = rank0 + lane % LORA_RANKS;
    if (row < ROWS && first + row < m && r < module.rank) to[(i64)(first + row) * max_rank + r] = total;
}

extern "C" __global__ void __launch_bounds__(32 * LORA_WARPS)
    lora_shrink(float *partial, const T *x, i64 x_row, LoraModules modules, int count, int m, int k, int splits) {
    let_next_start();
    wait_for_previous();
    int warp = threadIdx.x >> 5, max_rank = largest_rank(modules, count), block = blockIdx.x;
    int rank_groups = (max_rank + LORA_WARPS * LORA_RANKS - 1) / (LORA_WARPS * LORA_RANKS);
    int row_groups = (m + LORA_ROWS - 1) / LORA_ROWS;
    int rank0 = (block % rank_groups * LORA_WARPS + warp) * LORA_RANKS;
    block /= rank_groups;
    int first = block % row_groups * LORA_ROWS;
    block /= row_groups;
    int index = block % count, split = block / count;
    LoraModule module = pick(modules, index);
    if (rank0 >= module.rank) return;
    int steps = (k + LORA_STEP - 1) / LORA_STEP;
    int start = (int)((i64)steps * split / splits) * LORA_STEP, end = (int)((i64)steps * (split + 1) / splits) * LORA_STEP;
    if (end > k) end = k;
    float *to = partial + (i64)(split * count + index) * m * max_rank;
    if (m == 1)
        shrink<1>(to, x, x_row, module, first, rank0, m, k, start, end, max_rank);
    else if (m <= 4)
        shrink<4>(to, x, x_row, module, first, rank0, m, k, start, end, max_rank);
    else
        shrink<8>(to, x, x_row, module, first, rank0, m, k, start, end, max_rank);
}

extern "C" __global__ void __launch_bounds__(32 * LORA_WARPS)
    lora_expand(const float *partial, LoraModules modules, int count, int m, int splits) {
    __shared__ __align__(16) float hidden[LORA_ROWS * LORA_MOST]; // [row][rank]
    let_next_start();
    wait_for_previous();
    int row_groups = (m + LORA_ROWS - 1) / LORA_ROWS, tile = blockIdx.x / row_groups, index = 0;
    int first = blockIdx.x % row_groups * LORA_ROWS, rows = m - first < LORA_ROWS ? m - first : LORA_ROWS;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        int tiles = (modules.at[i].n + 127) / 128;
        if (index == i && index + 1 < count && tile >= tiles) tile -= tiles, index++;
    }
    LoraModule module = pick(modules, index);
    int max_rank = largest_rank(modules, count), rank = module.rank, column = tile * 128 + threadIdx.x;
    bool inside = column < module.n;
    float old[LORA_ROWS]; // read early: the sums of the splits hide the wait
#pragma unroll
    for (int row = 0; row < LORA_ROWS; row++)
        old[row] = inside && row < rows ? to_float(module.y[(first + row) * module.y_row + column]) : 0.0f;
    for (int i = threadIdx.x; i < rows * rank; i += 32 * LORA_WARPS) {
        int row = i / rank, r = i - row * rank;
        const float *from = partial + ((i64)index * m + first + row) * max_rank + r;
        float sum = 0.0f;
#pragma unroll 8
        for (int split = 0; split < splits; split++) sum += from[(i64)split * count * m * max_rank];
        hidden[i] = sum * module.scaling;
    }
    __syncthreads();
    if (!inside) return;
    const Adapter *b = module.b + (i64)column * rank;
    float sum[LORA_ROWS] = {};
    if (aligned16(module.b) && rank % 8 == 0) {
        for (int r = 0; r < rank; r += 8) {
            float value[8];
            load<8>(b + r, value);
#pragma unroll
            for (int row = 0; row < LORA_ROWS; row++) {
                if (row < rows) {
                    float h[8];
                    load<8>(hidden + row * rank + r, h);
#pragma unroll
                    for (int i = 0; i < 8; i++) sum[row] = fmaf(value[i], h[i], sum[row]);
                }
            }
        }
    } else {
        for (int r = 0; r < rank; r++) {
            float value = to_float(b[r]);
#pragma unroll
            for (int row = 0; row < LORA_ROWS; row++)
                if (row < rows) sum[row] = fmaf(value, hidden[row * rank + r], sum[row]);
        }
    }
#pragma unroll
    for (int row = 0; row < LORA_ROWS; row++)
        if (row < rows) module.y[(first + row) * module.y_row + column] = from_float<T>(old[row] + sum[row]);
}
