//! What the products of product.cu read: maps, tiles of their outputs, lines of weights on their way through shared memory,
//! and the products of one line.
//
// Not compiled alone: the text goes between prelude.cuh and product.cu.

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
