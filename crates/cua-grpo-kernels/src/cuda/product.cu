//! Products with at most eight rows: the linear maps of a decode step, each with what stands before and after it.
//
// Text to compile: prelude.cuh + this file with -DT_BF16=1.
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
//     n is a multiple of 16. Grid: min(tiles, 2 multiprocessors), once the multiprocessors where a block has more than 115712
//     bytes; the tiles are n / 16 a map, n / 8 in mode 2. With an adapter the blocks wait for the first half of them.
//     Block 320. Dynamic shared memory, in bytes:
//     (nf4 88064, bf16 65536) + (far 0, else m (2 k + 16)) + (norm 2 k) + 1024 m + 384 + 4 ranks m, at most 232448.
// Two launches on the same input give the same bits.

#if !T_BF16
#error "products of a decode step are compiled with -DT_BF16=1"
#endif

/// One linear map: weight [n, k], and an adapter A [rank, k], B [n, rank] in bf16 where rank > 0.
struct Map {
    const u8 *weight;
    const float *absmax;
    const u16 *a;
    const u16 *b;
    int n;
    int rank;
    float scaling;
    int unused;
};

struct Maps {
    Map at[3];
};

constexpr int ADD = 1, GATED = 2, WIDE = 3; // modes; 0 stores

constexpr int WARPS = 8;    // multiply
constexpr int SUMMERS = 64; // threads that add up what these leave
constexpr int THREADS = 32 * WARPS + SUMMERS;
constexpr int LINE = 128;         // bytes of a weight's row that a warp takes at a time
constexpr int STAGE = 16 * LINE;  // of the 16 rows of a tile
constexpr int MOST_ROWS = 8;

template <bool FOUR> struct Format {
    static constexpr int columns = FOUR ? 2 * LINE : LINE / 2; // weights of a line
    static constexpr int stages = FOUR ? 3 : 4;
    static constexpr int stride = FOUR ? 256 : LINE; // bytes from one line of a stage to the next
    // Byte -> both weights as bf16, a copy a lane, so that no two lanes meet in a bank: rows of 256 bytes, so that the byte
    // and the lane make the address with one permutation of bytes. The upper half of each row holds stages 0 and 1.
    static constexpr int table = FOUR ? 65536 : 0;
    static constexpr int lines = FOUR ? WARPS * STAGE : WARPS * stages * STAGE; // after the table
    static constexpr int scales = FOUR ? WARPS * stages * 256 : 0;               // after the lines
    static constexpr int bytes = table + lines + scales;

    static __device__ __forceinline__ u8 *line(u8 *space, int warp, int stage) {
        if (!FOUR) return space + (warp * stages + stage) * STAGE;
        return stage < 2 ? space + (warp * 2 + stage) * 16 * 256 + 128
                         : space + table + warp / 2 * 16 * 256 + warp % 2 * 128;
    }
    static __device__ __forceinline__ float *scale(u8 *space, int warp, int stage) {
        return reinterpret_cast<float *>(space + table + lines) + (warp * stages + stage) * 64;
    }
};
static_assert(WARPS * 2 * 16 == 256, "stages 0 and 1 of all warps fill the table's upper halves");

/// The 16 rows of a tile: 8 of map `low`, 8 of map `high`.
struct Tile {
    Map low, high;
    int low_row, high_row; // the first of each
    int before;            // outputs of the maps before, in modes other than GATED
    int low_ranks, high_ranks; // ranks of the maps before
    int end;                   // the first tile past the last one of the same maps
};

__device__ __forceinline__ int tiles_of(const Maps &maps, int count, int mode) {
    if (mode == GATED) return maps.at[0].n / 8;
    int tiles = 0;
#pragma unroll
    for (int i = 0; i < 3; i++)
        if (i < count) tiles += maps.at[i].n / 16;
    return tiles;
}

__device__ __forceinline__ Tile tile_at(const Maps &maps, int count, int mode, int tile) {
    if (mode == GATED) return {maps.at[0], maps.at[1], tile * 8, tile * 8, 0, 0, maps.at[0].rank, maps.at[0].n / 8};
    Map map = maps.at[0];
    int before = 0, ranks = 0, number = tile;
#pragma unroll
    for (int i = 1; i < 3; i++) {
        int tiles = map.n / 16;
        if (i < count && tile >= tiles) tile -= tiles, before += map.n, ranks += map.rank, map = maps.at[i];
    }
    return {map, map, tile * 16, tile * 16 + 8, before, ranks, ranks, number - tile + map.n / 16};
}

/// One warp's share of the weights: every eighth line of the tiles of its block, counted through all tiles, copied to shared
/// memory ahead of the products.
template <bool FOUR> struct Feed {
    const Maps &maps;
    int count, mode, k, tiles, lines, tile, line, end;
    const u8 *low, *high; // of this lane: row lane / 8 of each half of the tile, unit lane % 8
    const float *scales;  // of row lane % 8 of the half that bit 3 of the lane chooses

    __device__ __forceinline__ Feed(const Maps &maps, int count, int mode, int k, int tiles)
        : maps(maps), count(count), mode(mode), k(k), tiles(tiles), lines(k / Format<FOUR>::columns), tile(blockIdx.x),
          line(threadIdx.x >> 5) {
        while (line >= lines) line -= lines, tile += gridDim.x;
        aim();
    }
    __device__ __forceinline__ i64 row_bytes() const { return FOUR ? k / 2 : 2 * (i64)k; }
    /// Bytes from a tile of the block to its next.
    __device__ __forceinline__ i64 step() const { return (mode == GATED ? 8 : 16) * gridDim.x * row_bytes(); }

    __device__ __forceinline__ void aim() {
        if (tile >= tiles) return;
        int lane = threadIdx.x & 31, r = lane / 8;
        Tile at = tile_at(maps, count, mode, tile);
        end = at.end;
        low = at.low.weight + (at.low_row + r) * row_bytes() + lane % 8 * 16;
        high = at.high.weight + (at.high_row + r) * row_bytes() + lane % 8 * 16;
        if (FOUR) {
            scales = lane & 8 ? at.high.absmax + (i64)(at.high_row + lane % 8) * (k / 64)
                              : at.low.absmax + (i64)(at.low_row + lane % 8) * (k / 64);
        }
    }
    /// To the block's next tile.
    __device__ __forceinline__ void advance() {
        tile += gridDim.x;
        if (tile >= end) {
            aim();
            return;
        }
        low += step(), high += step();
        if (FOUR) scales += step() / 32;
    }
    /// Starts the copies of the next line, if there is one. Units of 16 bytes are exchanged so that the reads of the
    /// fragments fall on different banks.
    __device__ __forceinline__ void fetch(u8 *to, float *scales_to) {
        if (tile < tiles) {
            int lane = threadIdx.x & 31, r = lane / 8, unit = lane % 8 ^ (FOUR ? 2 * r : r & 1);
            u8 *place = to + r * Format<FOUR>::stride + unit * 16;
#pragma unroll
            for (int i = 0; i < 4; i++)
                copy_async16(place + 4 * i * Format<FOUR>::stride,
                             (i < 2 ? low : high) + (i64)line * LINE + (i % 2 ? 4 * row_bytes() : 0));
            if (FOUR && lane < 16) copy_async16(scales_to + lane * 4, scales + line * 4);
            line += WARPS;
            while (line >= lines) line -= lines, advance();
        }
        copy_commit();
    }
};

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

/// The products of one line. Fragments of mma.m16n8k16: lane (g = lane / 4, t = lane % 4) holds weights of rows g and g + 8
/// and activations of row g of x. The order of k inside a product is free as long as both sides agree: lane t takes the 16
/// consecutive columns 16 t .. 16 t + 15 of a block of 64, four for each of the block's four products.
template <bool FOUR>
__device__ __forceinline__ void multiply(float (&total)[4], const u8 *line, const float *scales, const u8 *table, const u16 *x,
                                         bool mine) {
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    // rows past the last count as 0: with one row an eighth of the lanes reads
    auto read = [=](const u16 *from) { return mine ? *reinterpret_cast<const uint4 *>(from) : make_uint4(0, 0, 0, 0); };
    if constexpr (FOUR) {
        u32 here_lane = lane * 4;
        auto weights = [=](u32 word, u32 which) { // both weights of byte `which`
            return *reinterpret_cast<const u32 *>(table + __byte_perm(word, here_lane, 0x7704 | which << 4));
        };
        float4 scale0 = *reinterpret_cast<const float4 *>(scales + g * 4);
        float4 scale1 = *reinterpret_cast<const float4 *>(scales + g * 4 + 32);
        float s0[4] = {scale0.x, scale0.y, scale0.z, scale0.w}, s1[4] = {scale1.x, scale1.y, scale1.z, scale1.w};
        const u8 *here = line + g * 256 + t * 8;
        uint2 w[4][2];
#pragma unroll
        for (int i = 0; i < 4; i++) { // rows g and g + 8 swap units alike
            const u8 *pair = here + (i ^ (g & 3)) * 32;
            w[i][0] = *reinterpret_cast<const uint2 *>(pair), w[i][1] = *reinterpret_cast<const uint2 *>(pair + 8 * 256);
        }
        u32 a[2][4][4]; // of two blocks: one is looked up while the other is multiplied
        auto look_up = [&](int i) {
#pragma unroll
            for (int s = 0; s < 4; s++) { // bytes 2 s and 2 s + 1 of the lane's eight
                u32 word0 = s < 2 ? w[i][0].x : w[i][0].y, word1 = s < 2 ? w[i][1].x : w[i][1].y;
                a[i & 1][s][0] = weights(word0, 2 * (s & 1));
                a[i & 1][s][1] = weights(word1, 2 * (s & 1));
                a[i & 1][s][2] = weights(word0, 2 * (s & 1) + 1);
                a[i & 1][s][3] = weights(word1, 2 * (s & 1) + 1);
            }
        };
        look_up(0);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint4 first = read(x + i * 64), last = read(x + i * 64 + 8);
            if (i < 3) look_up(i + 1);
            float sum[4] = {};
            mma_bf16(sum, a[i & 1][0], first.x, first.y);
            mma_bf16(sum, a[i & 1][1], first.z, first.w);
            mma_bf16(sum, a[i & 1][2], last.x, last.y);
            mma_bf16(sum, a[i & 1][3], last.z, last.w);
            total[0] = fmaf(sum[0], s0[i], total[0]);
            total[1] = fmaf(sum[1], s0[i], total[1]);
            total[2] = fmaf(sum[2], s1[i], total[2]);
            total[3] = fmaf(sum[3], s1[i], total[3]);
        }
    } else {
        const u8 *here = line + g * LINE + (2 * t ^ (g & 1)) * 16, *there = line + g * LINE + ((2 * t + 1) ^ (g & 1)) * 16;
        uint4 a0 = *reinterpret_cast<const uint4 *>(here), a1 = *reinterpret_cast<const uint4 *>(here + 8 * LINE);
        uint4 b0 = *reinterpret_cast<const uint4 *>(there), b1 = *reinterpret_cast<const uint4 *>(there + 8 * LINE);
        uint4 first = read(x), last = read(x + 8);
        u32 a[4][4] = {{a0.x, a1.x, a0.y, a1.y}, {a0.z, a1.z, a0.w, a1.w}, {b0.x, b1.x, b0.y, b1.y}, {b0.z, b1.z, b0.w, b1.w}};
        mma_bf16(total, a[0], first.x, first.y);
        mma_bf16(total, a[1], first.z, first.w);
        mma_bf16(total, a[2], last.x, last.y);
        mma_bf16(total, a[3], last.z, last.w);
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
