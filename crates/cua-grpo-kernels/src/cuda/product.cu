//! Products with at most eight rows: the linear maps of a decode step, each with what stands before and after it.
//
// Text to compile: prelude.cuh + product_lines.cuh + this file with -DT_BF16=1.
//
// product_nf4, product_nf4_far, product_bf16, product_bf16_far(void *y, i64 y_row, const u16 *x, const u16 *norm, float eps,
//     Maps maps, int count, int m, int k, int mode, float *low, u32 *ready, int ranks)
//     z = x W^T for m rows x [m, k] and the `count` maps W [n, k] that read them, beside each other; 1 <= m <= 8.
//     norm [k] or null: x is RMS-normalised first, r = 1 / sqrt(mean(x^2) + eps), x <- norm T(x r), in `T` as stored.
//     mode 0: y = T(z); 1: y = T(y + T(z)); 2, with two maps of equal n (gate and up): y [m, n] = T(silu(gate) up);
//     3: y = z, as float. Rows of y are y_row elements apart.
//     A map with an adapter (rank > 0): T(z) becomes T(T(z) + scaling (x A^T) B^T); `ranks` is the sum of the ranks (0: no
//     map has one), low holds 8 ranks * m floats, and ready is 0 before the launch.
//     ..._nf4: maps.weight holds codes, maps.absmax scales (nf4.cu says how), k a multiple of 256; sums as in nf4_gemm.
//     ..._bf16: maps.weight is [n, k] in bf16, k a multiple of 64.
//     ..._far reads x where it lies (no norm then); the others keep it in shared memory.
//     All addresses but those of adapters 16-byte aligned.
//     n is a multiple of 16. Grid: min(tiles, 2 multiprocessors), once the multiprocessors where two blocks find no room on
//     one; the tiles are n / 16 a map, n / 8 in mode 2. With an adapter the blocks wait for the first half of them.
//     Block 320. Dynamic shared memory, in bytes:
//     (nf4 88064, bf16 65536) + (far 0, else m (2 k + 16)) + (norm 2 k) + 1024 m + 384 + 4 ranks m.
// Two launches on the same input give the same bits.

/// Copies x to shared memory, normalised where there is a norm. All threads; ends with a barrier.
__device__ __forceinline__ void bring(u16 *to, const u16 *x, const u16 *norm, float eps, float *scratch, int m, int k) {
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, row_step = k + 8;
    int team = THREADS / 32 / m, row = warp / team, packs = k / 8;
    bool mine = row < m;
    const u16 *from = x + (i64)row * k;
    u16 *place = to + row * row_step;
    float squares = 0.0f;
    if (mine) {
#pragma unroll 4
        for (int pack = warp % team * 32 + lane; pack < packs; pack += 32 * team) {
            uint4 raw = *reinterpret_cast<const uint4 *>(from + pack * 8);
            *reinterpret_cast<uint4 *>(place + pack * 8) = raw;
            float value[8];
            unpack(raw, value);
#pragma unroll
            for (int i = 0; i < 8; i++) squares = fmaf(value[i], value[i], squares);
        }
    }
    if (norm) {
        squares = warp_sum(squares);
        if (lane == 0) scratch[warp] = squares;
        __syncthreads();
        if (mine) {
            float total = 0.0f;
            for (int i = 0; i < team; i++) total += scratch[row * team + i];
            float scale = rsqrtf(total / (float)k + eps);
#pragma unroll 2
            for (int pack = warp % team * 32 + lane; pack < packs; pack += 32 * team) {
                float value[8], weight[8];
                load<8>(place + pack * 8, value);
                load<8>(norm + pack * 8, weight);
#pragma unroll
                for (int i = 0; i < 8; i++) weight[i] *= round_to_t(value[i] * scale);
                store<8>(place + pack * 8, weight);
            }
        }
    }
    __syncthreads();
}

constexpr int SUMS_READY = 1, SUMS_FREE = 3, SUMMERS_MEET = 5; // barriers; two of the first two, one for each copy of the sums

/// x A^T in pieces: a row of A, or a part of one where there are more blocks than rows. The first half of the blocks does
/// them, before any of these waits for the others: with two blocks a multiprocessor that half runs at once in any case.
struct Pieces {
    int blocks, parts, count;
    __device__ __forceinline__ Pieces(int ranks, int k) {
        int most = k / 8 / SUMMERS; // a part is no shorter than one reading of the summers
        blocks = (gridDim.x + 1) / 2;
        parts = ranks > 0 ? blocks / ranks : 1;
        parts = parts > 8 ? 8 : parts;
        parts = parts > most ? most : parts;
        parts = parts < 1 ? 1 : parts;
        count = (int)blockIdx.x < blocks ? ranks * parts : 0;
    }
};

__device__ __forceinline__ const u16 *rank_row(const Maps &maps, int index, int k) {
    const u16 *a = maps.at[0].a;
    int rank = maps.at[0].rank;
#pragma unroll
    for (int i = 1; i < 3; i++)
        if (index >= rank) index -= rank, rank = maps.at[i].rank, a = maps.at[i].a;
    return a + (i64)index * k;
}

/// The summers' first work: this block's pieces of x A^T, then all of it, [ranks][m], into shared memory.
__device__ __forceinline__ void low_ranks(float *to, const u16 *x, int x_step, const Maps &maps, int m, int k, float *low,
                                          u32 *ready, int ranks, float *scratch) {
    int thread = threadIdx.x - 32 * WARPS, warp = thread / 32, lane = thread % 32;
    Pieces pieces(ranks, k);
    for (int index = blockIdx.x; index < pieces.count; index += pieces.blocks) {
        int part = index / ranks;
        int start = k / 8 * part / pieces.parts, packs = k / 8 * (part + 1) / pieces.parts;
        const u16 *a = rank_row(maps, index - part * ranks, k);
        bool wide = aligned16(a);
        float sum[MOST_ROWS] = {};
        constexpr int BATCH = 8; // readings under way
        for (int first = start + thread; first < packs; first += BATCH * SUMMERS) {
            uint4 raw[BATCH] = {};
#pragma unroll
            for (int i = 0; i < BATCH; i++) {
                int pack = first + i * SUMMERS;
                if (pack >= packs) continue;
                if (wide) {
                    raw[i] = *reinterpret_cast<const uint4 *>(a + pack * 8);
                } else {
                    const u16 *from = a + pack * 8;
                    auto pair = [=](int j) { return from[j] | (u32)from[j + 1] << 16; };
                    raw[i] = make_uint4(pair(0), pair(2), pair(4), pair(6));
                }
            }
#pragma unroll
            for (int i = 0; i < BATCH; i++) {
                int pack = first + i * SUMMERS;
                if (pack >= packs) continue;
                float weight[8];
                unpack(raw[i], weight);
#pragma unroll
                for (int row = 0; row < MOST_ROWS; row++) {
                    if (row >= m) continue;
                    float value[8];
                    load<8>(x + (i64)row * x_step + pack * 8, value);
#pragma unroll
                    for (int j = 0; j < 8; j++) sum[row] = fmaf(value[j], weight[j], sum[row]);
                }
            }
        }
#pragma unroll
        for (int row = 0; row < MOST_ROWS; row++) {
            sum[row] = warp_sum(sum[row]);
            if (lane == row) scratch[warp * MOST_ROWS + row] = sum[row];
        }
        barrier_wait(SUMMERS_MEET, SUMMERS);
        if (warp == 0) {
            if (lane < m) {
                float total = 0.0f;
                for (int w = 0; w < SUMMERS / 32; w++) total += scratch[w * MOST_ROWS + lane];
                low[index * m + lane] = total;
            }
            __syncwarp();
            if (lane == 0) count_up(ready);
        }
        barrier_wait(SUMMERS_MEET, SUMMERS);
    }
    if (thread == 0) wait_for_count(ready, (u32)(ranks * pieces.parts));
    barrier_wait(SUMMERS_MEET, SUMMERS);
    for (int i = thread; i < ranks * m; i += SUMMERS) {
        float total = 0.0f;
#pragma unroll 8
        for (int part = 0; part < pieces.parts; part++) total += load_shared_by_all(low + part * ranks * m + i);
        to[i] = total;
    }
    barrier_wait(SUMMERS_MEET, SUMMERS);
}

/// Asks for what the summers will read of the adapters: their rows of A, and the rows of B of the block's tiles.
__device__ __forceinline__ void early_adapters(const Maps &maps, int count, int mode, int k, int tiles, int ranks) {
    int thread = threadIdx.x - 32 * WARPS, part = thread % 16;
    Pieces pieces(ranks, k);
    for (int index = blockIdx.x; index < pieces.count; index += pieces.blocks) {
        int number = index / ranks, start = k / 8 * number / pieces.parts, end = k / 8 * (number + 1) / pieces.parts;
        const u16 *a = rank_row(maps, index - number * ranks, k);
        for (int pack = start + thread * 8; pack < end; pack += SUMMERS * 8) prefetch_l2(a + pack * 8);
    }
    for (int tile = blockIdx.x + thread / 16 * gridDim.x; tile < tiles; tile += SUMMERS / 16 * gridDim.x) {
        Tile at = tile_at(maps, count, mode, tile);
        Map map = at.low;
        if (part >= 8) map = at.high;
        int n = part >= 8 ? at.high_row + part - 8 : at.low_row + part;
        if (map.rank > 0) prefetch_l2(map.b + (i64)n * map.rank);
    }
}

constexpr int AT_ONCE = SUMMERS / 16, PASSES = MOST_ROWS / AT_ONCE; // rows that the summers add up at once, and how often

/// scaling (x A^T) B^T of one output of the thread's rows.
__device__ __forceinline__ void update(float (&more)[PASSES], const Map &map, int n, int m, const float *low) {
    int row = (threadIdx.x - 32 * WARPS) / 16;
    const u16 *b = map.b + (i64)n * map.rank;
    if (map.rank % 8 == 0 && aligned16(map.b)) {
        for (int r = 0; r < map.rank; r += 8) {
            float weight[8];
            load<8>(b + r, weight);
#pragma unroll
            for (int pass = 0; pass < PASSES; pass++) {
                if (row + pass * AT_ONCE >= m) continue;
#pragma unroll
                for (int i = 0; i < 8; i++)
                    more[pass] = fmaf(weight[i], low[(r + i) * m + row + pass * AT_ONCE], more[pass]);
            }
        }
    } else {
        for (int r = 0; r < map.rank; r++)
#pragma unroll
            for (int pass = 0; pass < PASSES; pass++)
                if (row + pass * AT_ONCE < m) more[pass] = fmaf(to_float(b[r]), low[r * m + row + pass * AT_ONCE], more[pass]);
    }
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) more[pass] *= map.scaling;
}

__device__ __forceinline__ float silu(float x) { return x * reciprocal(1.0f + exp2_fast(-1.4426950408889634f * x)); }

/// What the last warps do: the sums of the others' sums, in their order, and what follows from them.
__device__ __forceinline__ void add_up(void *y, i64 y_row, const Maps &maps, int count, int mode, int m, int tiles,
                                       const float *sums, const float *low) {
    int thread = threadIdx.x - 32 * WARPS, part = thread % 16, round = 0;
    bool high = part >= 8;
    u16 *narrow = reinterpret_cast<u16 *>(y);
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        Tile at = tile_at(maps, count, mode, tile);
        Map map = at.low;
        if (high) map = at.high;
        int n = high ? at.high_row + part - 8 : at.low_row + part;
        float more[PASSES] = {}, old[PASSES] = {}, sum[PASSES] = {};
        if (map.rank > 0) update(more, map, n, m, low + (high ? at.high_ranks : at.low_ranks) * m);
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = i * AT_ONCE + thread / 16;
            if (row >= m) continue;
            if (mode == ADD) old[i] = bf16_to_float(narrow[row * y_row + at.before + n]);
        }
        barrier_wait(SUMS_READY + round, THREADS);
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = i * AT_ONCE + thread / 16;
            if (row >= m) continue;
            for (int w = 0; w < WARPS; w++) sum[i] += sums[((round * WARPS + w) * m + row) * 16 + part];
        }
        if (tile + 2 * (int)gridDim.x < tiles) barrier_arrive(SUMS_FREE + round, THREADS); // the others come back for it
        round ^= 1;
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = i * AT_ONCE + thread / 16;
            bool mine = row < m;
            i64 place = row * y_row + at.before + n;
            if (mode == WIDE) {
                if (mine) reinterpret_cast<float *>(y)[place] = sum[i];
                continue;
            }
            float value = round_to_t(sum[i]);
            if (map.rank > 0) value = round_to_t(value + more[i]);
            if (mode == GATED) {
                float up = __shfl_xor_sync(FULL_WARP, value, 8);
                if (mine && !high) narrow[place] = float_to_bf16(silu(value) * up);
            } else if (mine) {
                narrow[place] = float_to_bf16(value + old[i]);
            }
        }
    }
}

/// The warps share a tile of 16 outputs and take turns over the lines along k.
template <bool FOUR, bool FAR>
__device__ __forceinline__ void product(void *y, i64 y_row, const u16 *x, const u16 *norm, float eps, const Maps &maps,
                                        int count, int m, int k, int mode, float *low, u32 *ready, int ranks, u8 *space) {
    using F = Format<FOUR>;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, tiles = tiles_of(maps, count, mode), stage = 0, round = 0;
    u8 *after = space + F::bytes;
    u16 *held = reinterpret_cast<u16 *>(after);
    if (!FAR) after += m * (k + 8) * 2;
    u16 *held_norm = reinterpret_cast<u16 *>(after);
    if (norm) after += k * 2;
    float *sums = reinterpret_cast<float *>(after), *scratch = sums + 2 * WARPS * 16 * m, *held_low = scratch + 96;

    // What never changes: the first weights, the table, the norm.
    Feed<FOUR> ahead(maps, count, mode, k, warp < WARPS ? tiles : 0);
    if (warp < WARPS) {
#pragma unroll 1
        for (int i = 0; i < F::stages - 1; i++) ahead.fetch(F::line(space, warp, i), F::scale(space, warp, i));
    }
    if (FOUR) {
        for (int byte = threadIdx.x / 8; byte < 256; byte += THREADS / 8) {
            u32 pair = pack_bf16(NF4[byte >> 4], NF4[byte & 15]);
            *reinterpret_cast<uint4 *>(space + byte * 256 + threadIdx.x % 8 * 16) = make_uint4(pair, pair, pair, pair);
        }
    }
    if (norm)
        for (int pack = threadIdx.x; pack < k / 8; pack += THREADS)
            *reinterpret_cast<uint4 *>(held_norm + pack * 8) = *reinterpret_cast<const uint4 *>(norm + pack * 8);
    if (warp >= WARPS && ranks > 0) early_adapters(maps, count, mode, k, tiles, ranks);
    if (norm || FAR) __syncthreads();
    wait_for_previous();
    let_next_start(); // not before: three kernels at once would share the multiprocessors unevenly
    if (!FAR) bring(held, x, norm ? held_norm : nullptr, eps, scratch, m, k);
    const u16 *source = FAR ? x : held;
    int step = FAR ? k : k + 8;
    if (warp >= WARPS) {
        if (ranks > 0) low_ranks(held_low, source, step, maps, m, k, low, ready, ranks, scratch);
        add_up(y, y_row, maps, count, mode, m, tiles, sums, held_low);
        return;
    }
    int g = lane >> 2, t = lane & 3, line = warp, handed = 0, lines = ahead.lines;
    source += (i64)(g < m ? g : 0) * step + 16 * t;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        float total[4] = {};
#pragma unroll 1
        for (; line < lines; line += WARPS) {
            copy_wait<F::stages - 2>();
            __syncwarp();
            int free = stage == 0 ? F::stages - 1 : stage - 1; // read in the round before
            ahead.fetch(F::line(space, warp, free), F::scale(space, warp, free));
            multiply<FOUR>(total, F::line(space, warp, stage), F::scale(space, warp, stage), space, source + line * F::columns, g < m);
            stage = stage == F::stages - 1 ? 0 : stage + 1;
        }
        line -= lines;
        // the four sums of a lane are (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
        if (handed >= 2) barrier_wait(SUMS_FREE + round, THREADS);
        float *to = sums + (round * WARPS + warp) * 16 * m;
#pragma unroll
        for (int c = 0; c < 4; c++)
            if (2 * t + (c & 1) < m) to[(2 * t + (c & 1)) * 16 + g + 8 * (c >> 1)] = total[c];
        barrier_arrive(SUMS_READY + round, THREADS);
        round ^= 1, handed++;
    }
    copy_wait<0>();
}

#define PRODUCT(NAME, FOUR, FAR)                                                                                               \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                                                   \
        NAME(void *y, i64 y_row, const u16 *x, const u16 *norm, float eps, const __grid_constant__ Maps maps, int count,       \
             int m, int k, int mode, float *low, u32 *ready, int ranks) {                                                      \
        extern __shared__ __align__(16) float space[];                                                                         \
        product<FOUR, FAR>(y, y_row, x, norm, eps, maps, count, m, k, mode, low, ready, ranks, reinterpret_cast<u8 *>(space)); \
    }

PRODUCT(product_nf4, true, false)
PRODUCT(product_nf4_far, true, true)
PRODUCT(product_bf16, false, false)
PRODUCT(product_bf16_far, false, true)
