//! Element types, conversions, 16-byte accesses and reductions shared by the kernels beside this file.
//
// Not compiled alone: the text of this file goes in front of the text of norm.cu, pointwise.cu, rotary.cu, sample.cu,
// scores.cu, lora.cu or nf4.cu, and NVRTC compiles the two as one (`-std=c++17`, for the card that there is; no include
// path: nothing is included). Everything that is PTX is here, so that the other files are plain C++.
//
// Macros:
//   T_BF16=1  elements `T` are bfloat16 (kept as unsigned short);   T_BF16=0  elements `T` are float.
// Arithmetic is float in both cases.

#ifndef T_BF16
#error "compile with -DT_BF16=1 (bfloat16 elements) or -DT_BF16=0 (float elements)"
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#if T_BF16
typedef u16 T;
#else
typedef float T;
#endif

#define FULL_WARP 0xffffffffu

/// Elements of `T` in 16 bytes.
constexpr int PACK = 16 / sizeof(T);

__device__ __forceinline__ float quiet_nan() { return __uint_as_float(0x7fc00000u); }
__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xff800000u); }

// ---- conversions, rounding to nearest even ----

__device__ __forceinline__ float bf16_to_float(u16 x) { return __uint_as_float((u32)x << 16); }

__device__ __forceinline__ u16 float_to_bf16(float x) {
    u16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return y;
}

/// Two bf16 in one word, `low` in the low half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 y;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}

/// 2^x, flushing denormals (relative error about 2^-22).
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// 1 / x (relative error about 2^-23; 0 for infinity).
__device__ __forceinline__ float reciprocal(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// d += a b on the tensor cores: a 16x16, b 16x8, bf16 in, float out (`mma.sync.m16n8k16`).
__device__ __forceinline__ void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- copies from device to shared memory that run on while the thread goes on ----

/// 16 bytes, both addresses 16-byte aligned; past the caches of the multiprocessor.
__device__ __forceinline__ void copy_async16(void *to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}

__device__ __forceinline__ void copy_async4(void *to, const void *from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}

/// Closes a group of copies.
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most PENDING of the thread's groups are under way.
template <int PENDING> __device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// ---- numbered barriers of a block (0 is __syncthreads): `threads` of it meet, of which those that arrive do not wait ----

__device__ __forceinline__ void barrier_arrive(int id, int threads) {
    asm volatile("barrier.cta.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void barrier_wait(int id, int threads) {
    asm volatile("barrier.cta.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- thread block clusters; where the card has none, a block is alone in its cluster ----

#if __CUDA_ARCH__ >= 900
#define CLUSTERS 1

/// Number of this block in its cluster.
__device__ __forceinline__ u32 cluster_rank() {
    u32 rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

/// Barrier over all threads of the cluster; what was stored before it, remotely too, is seen after it.
__device__ __forceinline__ void cluster_sync() {
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/// Stores `value` at the place of `slot` in the shared memory of block `rank` of the cluster.
__device__ __forceinline__ void cluster_store(float *slot, u32 rank, float value) {
    u32 here = (u32)__cvta_generic_to_shared(slot), there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
    asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(there), "f"(value) : "memory");
}
#else
#define CLUSTERS 0

__device__ __forceinline__ u32 cluster_rank() { return 0; }
__device__ __forceinline__ void cluster_sync() { __syncthreads(); }
__device__ __forceinline__ void cluster_store(float *slot, u32, float value) { *slot = value; }
#endif

// ---- a chain of launches: the next kernel starts while this one runs, and waits for its results itself ----

/// The next kernel of the stream may start, if it was launched as a link of a chain. What it reads of this one it waits for.
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Waits until the kernels before this one are over and what they wrote is seen. Before it only what never changes may be
/// read. Every kernel of a chain calls it, so that an earlier one is over as well.
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Asks for the line of 128 bytes around `from` to be in the second-level cache soon.
__device__ __forceinline__ void prefetch_l2(const void *from) { asm volatile("prefetch.global.L2 [%0];" ::"l"(from)); }

/// Adds one to a counter; what the thread (and, after a barrier, its warp) wrote before is seen by who reads the new count.
__device__ __forceinline__ void count_up(u32 *counter) {
    asm volatile("fence.acq_rel.gpu;\n\tred.relaxed.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}

/// Waits until a counter has reached `least`.
__device__ __forceinline__ void wait_for_count(const u32 *counter, u32 least) {
    u32 seen;
    do {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
    } while (seen < least);
}

/// Reads past the first-level cache, which does not see what other multiprocessors write.
__device__ __forceinline__ float load_shared_by_all(const float *from) {
    float value;
    asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(value) : "l"(from) : "memory");
    return value;
}
// ---- end of PTX ----

__device__ __forceinline__ float to_float(u16 x) { return bf16_to_float(x); }
__device__ __forceinline__ float to_float(float x) { return x; }

template <typename E> __device__ __forceinline__ E from_float(float x);
template <> __device__ __forceinline__ u16 from_float<u16>(float x) { return float_to_bf16(x); }
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }

/// `x` rounded to `T` and back.
__device__ __forceinline__ float round_to_t(float x) { return to_float(from_float<T>(x)); }

// ---- V elements at once: 16, 8 or 4 bytes where V says so (the address must be aligned to them), else one by one ----

__device__ __forceinline__ void unpack_word(u32 word, float &low, float &high) {
    low = __uint_as_float(word << 16);
    high = __uint_as_float(word & 0xffff0000u);
}

/// 16 bytes as the elements they hold, and back (values rounded to the element type).
__device__ __forceinline__ void unpack(uint4 w, float (&x)[8]) {
    unpack_word(w.x, x[0], x[1]);
    unpack_word(w.y, x[2], x[3]);
    unpack_word(w.z, x[4], x[5]);
    unpack_word(w.w, x[6], x[7]);
}

__device__ __forceinline__ void unpack(uint4 w, float (&x)[4]) {
    x[0] = __uint_as_float(w.x), x[1] = __uint_as_float(w.y), x[2] = __uint_as_float(w.z), x[3] = __uint_as_float(w.w);
}

__device__ __forceinline__ uint4 repack(const float (&x)[8]) {
    return make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
}

__device__ __forceinline__ uint4 repack(const float (&x)[4]) {
    return make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3]));
}

template <int V> __device__ __forceinline__ void load(const u16 *p, float (&x)[V]) {
    if constexpr (V == 8) {
        unpack(*reinterpret_cast<const uint4 *>(p), x);
    } else if constexpr (V == 4) {
        uint2 w = *reinterpret_cast<const uint2 *>(p);
        unpack_word(w.x, x[0], x[1]);
        unpack_word(w.y, x[2], x[3]);
    } else {
#pragma unroll
        for (int i = 0; i < V; i++) x[i] = to_float(p[i]);
    }
}

template <int V> __device__ __forceinline__ void load(const float *p, float (&x)[V]) {
    if constexpr (V % 4 == 0) {
#pragma unroll
        for (int i = 0; i < V; i += 4) {
            float4 w = *reinterpret_cast<const float4 *>(p + i);
            x[i] = w.x, x[i + 1] = w.y, x[i + 2] = w.z, x[i + 3] = w.w;
        }
    } else {
#pragma unroll
        for (int i = 0; i < V; i++) x[i] = p[i];
    }
}

template <int V> __device__ __forceinline__ void store(u16 *p, const float (&x)[V]) {
    if constexpr (V == 8) {
        *reinterpret_cast<uint4 *>(p) = repack(x);
    } else if constexpr (V == 4) {
        *reinterpret_cast<uint2 *>(p) = make_uint2(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]));
    } else {
#pragma unroll
        for (int i = 0; i < V; i++) p[i] = float_to_bf16(x[i]);
    }
}

template <int V> __device__ __forceinline__ void store(float *p, const float (&x)[V]) {
    if constexpr (V % 4 == 0) {
#pragma unroll
        for (int i = 0; i < V; i += 4)
            *reinterpret_cast<float4 *>(p + i) = make_float4(x[i], x[i + 1], x[i + 2], x[i + 3]);
    } else {
#pragma unroll
        for (int i = 0; i < V; i++) p[i] = x[i];
    }
}

/// Whether an address is a multiple of 16 bytes (null is).
__device__ __forceinline__ bool aligned16(const void *p) { return ((u64)p & 15) == 0; }

/// Whether accesses of `PACK` elements may be used with this stride or length, in elements.
__device__ __forceinline__ bool packs(i64 elements) { return elements % PACK == 0; }

/// The sixteen values of a four-bit weight (spec section 11).
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

// ---- reductions; every thread gets the result; the order is fixed ----

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(FULL_WARP, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, step));
    return x;
}

/// Sum over the block (blockDim.x a multiple of 32). `scratch`: 32 floats of shared memory, free again at the return.
__device__ __forceinline__ float block_sum(float x, float *scratch) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    x = warp_sum(x);
    if (lane == 0) scratch[warp] = x;
    __syncthreads();
    x = warp_sum(lane < warps ? scratch[lane] : 0.0f);
    __syncthreads();
    return x;
}

__device__ __forceinline__ float block_max(float x, float *scratch) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    x = warp_max(x);
    if (lane == 0) scratch[warp] = x;
    __syncthreads();
    x = warp_max(lane < warps ? scratch[lane] : minus_infinity());
    __syncthreads();
    return x;
}

/// Quotient and rest of an index, in 32 bits where that is enough.
__device__ __forceinline__ void split_index(i64 index, i64 width, i64 &row, i64 &column) {
    if ((u64)index >> 32 == 0 && (u64)width >> 32 == 0) {
        row = (u32)index / (u32)width;
        column = (u32)index - (u32)row * (u32)width;
    } else {
        row = index / width;
        column = index - row * width;
    }
}

