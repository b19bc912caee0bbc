// Tile operations that the attention kernels share: copies to shared memory, matrix products, conversions.
//
// This text comes first: the Rust side joins it with attention_forward.cu or attention_backward.cu and compiles the
// two as one, with -DHEAD_DIM=64|72|80|96|128. No header is included, so NVRTC needs no include path.
//
// A tile is ROWS x HEAD_PAD bf16 in shared memory: blocks of 64 columns, each ROWS lines of 128 bytes whose 16-byte
// chunks are permuted by the row number (chunk ^ (row & 7)). This is the layout that the PTX manual calls 128-byte
// swizzle, so one copy serves ldmatrix without bank conflicts and wgmma through a descriptor; a tile starts at a
// multiple of 1024 bytes. HEAD_PAD is HEAD_DIM rounded up to 16 with zeros.
//
// A warpgroup (128 threads) owns 64 rows of a product, a warp 16 of them. Accumulators are float[N/8][4]: of 8 columns,
// thread `lane` holds columns 2*(lane%4) and +1 of row lane/4 in [0], [1] and of row lane/4 + 8 in [2], [3].
// On sm_90a the products are wgmma (asynchronous: product_begin, the products, product_commit, product_wait); on other
// architectures they are mma.sync m16n8k16 and the asynchronous parts are empty.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#ifndef HEAD_DIM
#error "compile with -DHEAD_DIM=64, 72, 80, 96 or 128"
#endif
static_assert(HEAD_DIM == 64 || HEAD_DIM == 72 || HEAD_DIM == 80 || HEAD_DIM == 96 || HEAD_DIM == 128,
              "HEAD_DIM must be 64, 72, 80, 96 or 128");

constexpr int HEAD_PAD = (HEAD_DIM + 15) / 16 * 16;
constexpr int HEAD_CHUNKS = HEAD_DIM / 8;          // chunks of 16 bytes with data in a row
constexpr int PAD_CHUNKS = HEAD_PAD / 8;           // chunks that a product reads
constexpr int COLUMN_BLOCKS = (HEAD_PAD + 63) / 64;
constexpr float LOG2_E = 1.4426950408889634f;

#ifndef ATTENTION_PRIMITIVES // a test may bring its own
#define DEVICE __device__ __forceinline__
#define KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define USE_WGMMA 1
#else
#define USE_WGMMA 0
#endif

extern __shared__ unsigned char dynamic_shared[];

// Address of the dynamic shared memory, rounded up to 1024 bytes (the callers ask for 1024 bytes more).
DEVICE u32 shared_base() {
    u32 base;
    asm("{.reg .u64 a;\n cvta.to.shared.u64 a, %1;\n cvt.u32.u64 %0, a;}" : "=r"(base) : "l"(dynamic_shared));
    return (base + 1023u) & ~1023u;
}

// Copies 16 bytes to shared memory in the background, zeros where not `valid`.
DEVICE void copy16(u32 to, const void* from, bool valid) {
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
DEVICE void copy8(u32 to, const void* from, bool valid) {
    int bytes = valid ? 8 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

// What this thread wrote to shared memory becomes visible to wgmma.
DEVICE void fence_for_products() {
#if USE_WGMMA
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
// A chain of launches: the next kernel may start while this one runs; what came before is over and seen after the wait.
DEVICE void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
DEVICE void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
template <int THREADS> DEVICE void block_barrier() { asm volatile("bar.sync 1, %0;" ::"n"(THREADS) : "memory"); }
DEVICE void warp_barrier() { __syncwarp(); }
DEVICE float quad_exchange(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }

// The same in all threads of a warp, which the compiler cannot see.
DEVICE int uniform(int x) { return __shfl_sync(0xffffffffu, x, 0); }

DEVICE void ldmatrix(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}
DEVICE void ldmatrix_transposed(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}
DEVICE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
DEVICE void store_shared4(u32 to, u32 x) { asm volatile("st.shared.b32 [%0], %1;" ::"r"(to), "r"(x) : "memory"); }
DEVICE uint4 load_shared16(u32 from) {
    uint4 x;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                 : "r"(from)
                 : "memory");
    return x;
}
DEVICE float4 load_shared_floats(u32 from) {
    float4 x;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                 : "r"(from)
                 : "memory");
    return x;
}
// 2^x, flushing to zero far below.
DEVICE float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
// Two floats rounded to bf16, `low` in the lower half.
DEVICE u32 pack(float low, float high) {
    u32 y;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}
// The two bf16 of a word.
DEVICE float low_float(u32 x) { return __uint_as_float(x << 16); }
DEVICE float high_float(u32 x) { return __uint_as_float(x & 0xffff0000u); }
DEVICE u32 byte_permute(u32 x, u32 y, u32 pick) { return __byte_perm(x, y, pick); }
DEVICE bool any_lane(bool x) { return __any_sync(0xffffffffu, x); }
// 16 bytes that are read once.
DEVICE uint4 load_stream(const bf16* from) {
    uint4 x;
    asm volatile("ld.global.L1::no_allocate.L2::128B.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "l"(from));
    return x;
}
DEVICE float infinity() { return __int_as_float(0x7f800000); }

#if USE_WGMMA
DEVICE void product_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void product_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> DEVICE void product_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}
#define ONE_TILE(C, d, i) C(d[i][0]), C(d[i][1]), C(d[i][2]), C(d[i][3])
#define FOUR_TILES(C, d, i) ONE_TILE(C, d, i), ONE_TILE(C, d, i + 1), ONE_TILE(C, d, i + 2), ONE_TILE(C, d, i + 3)

// d = A B^T and d += A B^T, both in shared memory with the contracted dimension contiguous.
#define WGMMA_SS_64(C, ADD) \
    asm volatile("{.reg .pred p;\n setp.ne.b32 p, %34, 0;\n" \
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" \
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, " \
        "%32, %33, p, 1, 1, 0, 0;}\n" \
        : FOUR_TILES(C, d, 0), FOUR_TILES(C, d, 4) \
        : "l"(a), "l"(b), "n"(ADD))
DEVICE void wgmma_ss_set(float (&d)[8][4], u64 a, u64 b) { WGMMA_SS_64("=f", 0); }
DEVICE void wgmma_ss_add(float (&d)[8][4], u64 a, u64 b) { WGMMA_SS_64("+f", 1); }

#define WGMMA_SS_128(C, ADD) \
    asm volatile("{.reg .pred p;\n setp.ne.b32 p, %66, 0;\n" \
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" \
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, " \
        "%64, %65, p, 1, 1, 0, 0;}\n" \
        : FOUR_TILES(C, d, 0), FOUR_TILES(C, d, 4), FOUR_TILES(C, d, 8), FOUR_TILES(C, d, 12) \
        : "l"(a), "l"(b), "n"(ADD))
DEVICE void wgmma_ss_set(float (&d)[16][4], u64 a, u64 b) { WGMMA_SS_128("=f", 0); }
DEVICE void wgmma_ss_add(float (&d)[16][4], u64 a, u64 b) { WGMMA_SS_128("+f", 1); }
// d += A B, A in registers, B in shared memory with its columns contiguous.
DEVICE void wgmma_rs(float (&d)[8][4], const u32 (&a)[4], u64 b) {
    asm volatile("{.reg .pred p;\n setp.eq.b32 p, 0, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, p, 1, 1, 1;}\n"
        : FOUR_TILES("+f", d, 0), FOUR_TILES("+f", d, 4)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void wgmma_rs(float (&d)[10][4], const u32 (&a)[4], u64 b) {
    asm volatile("{.reg .pred p;\n setp.eq.b32 p, 0, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n80k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39}, "
        "{%40, %41, %42, %43}, %44, p, 1, 1, 1;}\n"
        : FOUR_TILES("+f", d, 0), FOUR_TILES("+f", d, 4), ONE_TILE("+f", d, 8), ONE_TILE("+f", d, 9)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void wgmma_rs(float (&d)[12][4], const u32 (&a)[4], u64 b) {
    asm volatile("{.reg .pred p;\n setp.eq.b32 p, 0, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47}, "
        "{%48, %49, %50, %51}, %52, p, 1, 1, 1;}\n"
        : FOUR_TILES("+f", d, 0), FOUR_TILES("+f", d, 4), FOUR_TILES("+f", d, 8)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void wgmma_rs(float (&d)[16][4], const u32 (&a)[4], u64 b) {
    asm volatile("{.reg .pred p;\n setp.eq.b32 p, 0, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "{%64, %65, %66, %67}, %68, p, 1, 1, 1;}\n"
        : FOUR_TILES("+f", d, 0), FOUR_TILES("+f", d, 4), FOUR_TILES("+f", d, 8), FOUR_TILES("+f", d, 12)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
#else
DEVICE void product_begin() {}
DEVICE void product_commit() {}
template <int PENDING> DEVICE void product_wait() {}
#endif
#endif // ATTENTION_PRIMITIVES

// Bytes of a tile of `rows` rows.
DEVICE constexpr int tile_bytes(int rows) { return rows * COLUMN_BLOCKS * 128; }

// The compiler may not move uses of `r` across this (a product in flight writes it unseen).
template <int T> DEVICE void keep(float (&r)[T][4]) {
#ifdef __CUDA_ARCH__
#pragma unroll
    for (int i = 0; i < T; i++) asm volatile("" : "+f"(r[i][0]), "+f"(r[i][1]), "+f"(r[i][2]), "+f"(r[i][3])::"memory");
#endif
}

// Zeros, of which the compiler knows no more: it would set them again between products in flight.
template <int T> DEVICE void zero(float (&x)[T][4]) {
#pragma unroll
    for (int j = 0; j < T; j++) x[j][0] = x[j][1] = x[j][2] = x[j][3] = 0.f;
    keep(x);
}

// Byte offset of a chunk of 8 columns in a tile of ROWS rows.
template <int ROWS> DEVICE u32 chunk_offset(int row, int chunk) {
    return (u32)((chunk >> 3) * (ROWS * 128) + row * 128 + (((chunk & 7) ^ (row & 7)) << 4));
}

// wgmma's description of an operand in the 128-byte swizzle (PTX manual, "matrix descriptor"), `offset` bytes into a
// tile. Groups of 8 rows are 1024 bytes apart; `block_stride` is the distance of blocks of 64 columns, used where the
// columns are not contracted.
DEVICE u64 descriptor(u32 address, int block_stride, int offset) {
    return (u64)(1u << 30 | 1024 >> 4) << 32 | (((address >> 4) | (u32)(block_stride >> 4) << 16) + (u32)(offset >> 4));
}

// Starts the copy of rows first..first+ROWS of a matrix to a tile, zeros from row `limit` on and in the padding.
template <int ROWS, int THREADS>
DEVICE void load_tile(u32 tile, const bf16* from, i64 row_stride, int first, int limit, int thread) {
    constexpr int LANES = COLUMN_BLOCKS * 8, STRIDE = THREADS / LANES; // threads of a row, rows at a time
    static_assert(STRIDE % 8 == 0 && ROWS % STRIDE == 0, "the copies keep their place in the permutation");
    const int row = thread / LANES, chunk = thread % LANES, left = chunk < HEAD_CHUNKS ? limit - first - row : 0;
    if (PAD_CHUNKS < LANES && chunk >= PAD_CHUNKS) return;
    const bf16* source = from + (first + row) * row_stride + chunk * 8;
    const u32 target = tile + chunk_offset<ROWS>(row, chunk);
#pragma unroll
    for (int r = 0; r < ROWS; r += STRIDE) {
        copy16(target + r * 128, source, r < left);
        source += STRIDE * row_stride;
    }
}

// acc = A B^T for 64 rows of tile A from `row` on and the N rows of tile B. A is read from shared memory each time: kept
// in registers over a loop, ptxas 13.0 wrote other values to them (seen at HEAD_DIM 64; no faster elsewhere).
template <int N, int A_ROWS> DEVICE void product_nt(float (&acc)[N / 8][4], u32 a, int row, u32 b, int warp, int lane) {
#if USE_WGMMA
#pragma unroll
    for (int k = 0; k < HEAD_PAD / 16; k++) {
        const int in_line = (k % 4) * 32, block = k / 4;
        const u64 left = descriptor(a + row * 128, 16, block * (A_ROWS * 128) + in_line);
        const u64 right = descriptor(b, 16, block * (N * 128) + in_line);
        if (k == 0) wgmma_ss_set(acc, left, right);
        else wgmma_ss_add(acc, left, right);
    }
#else
#pragma unroll
    for (int j = 0; j < N / 8; j++) acc[j][0] = acc[j][1] = acc[j][2] = acc[j][3] = 0.f;
#pragma unroll
    for (int k = 0; k < HEAD_PAD / 16; k++) {
        u32 fa[4], fb[4];
        ldmatrix(fa, a + chunk_offset<A_ROWS>(row + warp * 16 + (lane & 15), k * 2 + (lane >> 4)));
#pragma unroll
        for (int j = 0; j < N / 16; j++) {
            ldmatrix(fb, b + chunk_offset<N>(j * 16 + (lane & 7) + ((lane >> 4) << 3), k * 2 + ((lane >> 3) & 1)));
            mma(acc[2 * j], fa, fb[0], fb[1]);
            mma(acc[2 * j + 1], fa, fb[2], fb[3]);
        }
    }
#endif
}

// acc += A B for A of 64 x K in registers (see `to_operand`) and tile B of K rows.
template <int K> DEVICE void product_nn(float (&acc)[HEAD_PAD / 8][4], const u32 (&a)[K / 16][4], u32 b, int lane) {
#pragma unroll
    for (int k = 0; k < K / 16; k++) {
#if USE_WGMMA
        wgmma_rs(acc, a[k], descriptor(b, K * 128, k * 2048));
#else
        u32 fb[4];
#pragma unroll
        for (int j = 0; j < HEAD_PAD / 16; j++) {
            ldmatrix_transposed(fb, b + chunk_offset<K>(k * 16 + (lane & 15), j * 2 + (lane >> 4)));
            mma(acc[2 * j], a[k], fb[0], fb[1]);
            mma(acc[2 * j + 1], a[k], fb[2], fb[3]);
        }
#endif
    }
}

// An accumulator rounded to bf16 as the left operand of the next product.
template <int K> DEVICE void to_operand(u32 (&a)[K / 16][4], const float (&x)[K / 8][4]) {
#pragma unroll
    for (int k = 0; k < K / 16; k++) {
        a[k][0] = pack(x[2 * k][0], x[2 * k][1]);
        a[k][1] = pack(x[2 * k][2], x[2 * k][3]);
        a[k][2] = pack(x[2 * k + 1][0], x[2 * k + 1][1]);
        a[k][3] = pack(x[2 * k + 1][2], x[2 * k + 1][3]);
    }
}

// Writes a warp's 16 rows of an accumulator, times a factor for each of the thread's two rows, to `to` rows
// first.. below `limit`, through the rows warp_row.. of a tile that nobody else uses any more.
template <int ROWS>
DEVICE void store_rows(float (&acc)[HEAD_PAD / 8][4], float factor0, float factor1, u32 tile, int warp_row, bf16* to,
                       i64 row_stride, int first, int limit, int lane) {
    const int row = warp_row + (lane >> 2);
#pragma unroll
    for (int j = 0; j < HEAD_PAD / 8; j++) {
        const u32 upper = tile + chunk_offset<ROWS>(row, j) + (lane & 3) * 4;
        const u32 lower = tile + chunk_offset<ROWS>(row + 8, j) + (lane & 3) * 4;
        store_shared4(upper, pack(acc[j][0] * factor0, acc[j][1] * factor0));
        store_shared4(lower, pack(acc[j][2] * factor1, acc[j][3] * factor1));
    }
    warp_barrier();
    for (int i = lane; i < 16 * HEAD_CHUNKS; i += 32) {
        const int r = i / HEAD_CHUNKS, chunk = i % HEAD_CHUNKS;
        if (first + r < limit) {
            const uint4 x = load_shared16(tile + chunk_offset<ROWS>(warp_row + r, chunk));
            *(uint4*)(to + (first + r) * row_stride + chunk * 8) = x;
        }
    }
}
