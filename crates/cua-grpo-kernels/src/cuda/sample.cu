//! Drawing one token a row (temperature, top-k, top-p) and the bookkeeping that closes a decode step on the device.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0 (type of the logits).
//
// sample(int *token, float *logprob_kept, float *logprob_tempered, float *logprob_plain, float *kept_mass,
//        const T *logits, i64 row_stride, int vocab, const float *temperature, const int *top_k, const float *top_p,
//        const u64 *seed, const int *step)
//     From compute capability 9.0 on a cluster of 8 blocks serves a row and holds its logits in registers: grid 8 * rows,
//     block 512, vocab <= 8 * 512 * SAMPLE_SLOTS (163840 as it stands; a larger one makes the kernel trap). Below it one
//     block serves a row and reads the logits in every round: grid rows, block 1024, any vocab. Dynamic shared memory 0.
//     All arrays but logits have one entry a row and are read on the device, so a captured launch can be replayed:
//     temperature <= 0: the first of the largest logits; top_k <= 0: no limit; top_p >= 1: no limit. The order is
//     temperature, top-k, top-p over what top-k kept. A token is kept when fewer than top_k tokens have a larger logit
//     and the larger ones hold less than top_p of the mass: tokens equal to the smallest kept one are all kept.
//     The draw inverts the cumulated mass at a 64-bit number of Philox4x32-10, key seed[row], counter (step[row], 0, 0, 0):
//     a row's tokens depend on its own seed and step alone, not on its place in the batch.
//     Natural log-probs of the drawn token: logprob_kept under what was drawn from; logprob_tempered under the whole
//     softmax at the temperature; logprob_plain at temperature 1. kept_mass: the share that was kept. Greedy rows get
//     logprob_kept 0, logprob_tempered = logprob_plain, kept_mass 1. A NaN among the logits makes logprob_tempered and logprob_plain NaN.
//     Two runs on the same input give the same bits.
//
// advance(const int *token, const float *logprob_kept, const float *logprob_tempered, const float *logprob_plain,
//         const float *kept_mass, int *next_ids, int *column, int *lens, int *position, int *step, int *finished,
//         const int *limit, const int *stop_ids, int stop_count, int pad_id, int *history, float *score_history,
//         int history_len, int max_len, int batch, int *active)
//     grid 1, block 256, after `sample` in the same step. Arrays have one entry a row; position is [3, batch]; history is
//     [batch, history_len], score_history [4, batch, history_len] in the order of the arguments (either may be null).
//     A row with finished != 0 gets next_ids = pad_id and is otherwise left alone. For the others: history[step] = token,
//     next_ids = token, step += 1, then finished = 1 (stop id), 2 (step reached limit) or 3 (no column left: column + 1
//     >= max_len); column and lens grow by 1 where there is a column left, the three positions while the row goes on.
//     `column` is where the next qkv_rope_cache writes, `lens` = column + 1 is what attention reads then. Later steps of a
//     finished row write that column again and again: it is behind the row's tokens, but for 3. active[0] = rows that go on.

#ifndef SAMPLE_SLOTS
#define SAMPLE_SLOTS 40 // logits a thread holds
#endif

constexpr float LOG2E = 1.4426950408889634f;

#if CLUSTERS
constexpr int SAMPLE_THREADS = 512;
constexpr int SAMPLE_CLUSTER = 8;
constexpr int TRIES = 3; // keys that a round of the search tries
#define SAMPLE_CLUSTERED __cluster_dims__(8, 1, 1)
#else
constexpr int SAMPLE_THREADS = 1024;
constexpr int SAMPLE_CLUSTER = 1;
constexpr int TRIES = 7; // a round reads all logits: fewer rounds, more work in each
#define SAMPLE_CLUSTERED
#endif
constexpr int SAMPLE_WARPS = SAMPLE_THREADS / 32;

/// What the blocks of a cluster hand each other; two copies of `slots`, so that one barrier a round is enough.
struct SampleShared {
    float warps[TRIES][SAMPLE_WARPS];
    float slots[2][TRIES][SAMPLE_CLUSTER];
    u64 warp_mass[SAMPLE_WARPS];
};

/// Pack number `pack` of a thread: where it starts in the row. Pack p of a row belongs to thread p % (all threads of the row).
__device__ __forceinline__ int pack_start(int pack) {
    return ((pack * SAMPLE_CLUSTER + (int)cluster_rank()) * SAMPLE_THREADS + (int)threadIdx.x) * PACK;
}

/// The logits of a row that are this thread's, and their weights relative to the largest.
struct Logits {
    const T *from;
    int vocab;
    bool wide;

    __device__ __forceinline__ void read(int start, float (&value)[PACK]) const {
        if (wide && start + PACK <= vocab) {
            load<PACK>(from + start, value);
        } else {
#pragma unroll
            for (int i = 0; i < PACK; i++) value[i] = start + i < vocab ? to_float(from[start + i]) : minus_infinity();
        }
    }

#if CLUSTERS
    static constexpr int SLOTS = SAMPLE_SLOTS;
    float logit[SLOTS], weight[SLOTS];

    __device__ __forceinline__ Logits(const T *from, int vocab, bool wide) : from(from), vocab(vocab), wide(wide) {
        if (vocab > SAMPLE_CLUSTER * SAMPLE_THREADS * SLOTS) __trap();
#pragma unroll
        for (int s = 0; s < SLOTS; s += PACK) {
            float value[PACK];
            read(pack_start(s / PACK), value);
#pragma unroll
            for (int i = 0; i < PACK; i++) logit[s + i] = value[i];
        }
    }

    __device__ __forceinline__ void weigh(float best, float scale) {
#pragma unroll
        for (int s = 0; s < SLOTS; s++) weight[s] = exp2_fast((logit[s] - best) * scale * LOG2E);
    }

    /// f(logit, weight, place in the row), in the order of the places; weights once `weigh` was called.
    template <class F> __device__ __forceinline__ void each(F f) const {
#pragma unroll
        for (int s = 0; s < SLOTS; s++) f(logit[s], weight[s], pack_start(s / PACK) + s % PACK);
    }
#else
    float best, scale;

    __device__ __forceinline__ Logits(const T *from, int vocab, bool wide) : from(from), vocab(vocab), wide(wide), best(0.0f), scale(0.0f) {}

    __device__ __forceinline__ void weigh(float largest, float inverse) { best = largest, scale = inverse; }

    template <class F> __device__ __forceinline__ void each(F f) const {
#pragma unroll 4
        for (int start = pack_start(0); start < vocab; start += SAMPLE_THREADS * PACK) {
            float value[PACK];
            read(start, value);
#pragma unroll
            for (int i = 0; i < PACK; i++) f(value[i], exp2_fast((value[i] - best) * scale * LOG2E), start + i);
        }
    }
#endif
};

/// Sums each of `x` over the cluster; every thread gets the same bits.
template <int N> __device__ __forceinline__ void cluster_sums(float (&x)[N], SampleShared &shared, int &round) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
    for (int i = 0; i < N; i++) {
        x[i] = warp_sum(x[i]);
        if (lane == 0) shared.warps[i][warp] = x[i];
    }
    __syncthreads();
    if (warp == 0) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            float total = warp_sum(lane < SAMPLE_WARPS ? shared.warps[i][lane] : 0.0f);
            if (lane < SAMPLE_CLUSTER) cluster_store(&shared.slots[round][i][cluster_rank()], lane, total);
        }
    }
    cluster_sync();
#pragma unroll
    for (int i = 0; i < N; i++) {
        x[i] = 0.0f;
#pragma unroll
        for (int block = 0; block < SAMPLE_CLUSTER; block++) x[i] += shared.slots[round][i][block];
    }
    round ^= 1;
}

/// Unsigned keys in the order of the floats; bf16 values need only the upper half.
constexpr int KEY_SHIFT = T_BF16 ? 16 : 0;

__device__ __forceinline__ u32 float_to_key(float x) {
    u32 bits = __float_as_uint(x);
    return (bits & 0x80000000u ? ~bits : bits | 0x80000000u) >> KEY_SHIFT;
}

__device__ __forceinline__ float key_to_float(u32 key) {
    key <<= KEY_SHIFT;
    u32 bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    return __uint_as_float(KEY_SHIFT ? bits & 0xffff0000u : bits);
}

/// The smallest key above `low` whose larger logits count (or, MASS, weigh) less than `limit`; `high` is known to be one.
/// TRIES keys are tried a round, which divides the interval by one more.
template <bool MASS>
__device__ __forceinline__ u32 smallest_kept(const Logits &logits, u32 low, u32 high, float limit, SampleShared &shared,
                                             int &round) {
    while (high - low > 1) {
        u32 key[TRIES];
        float above[TRIES] = {}, value[TRIES];
#pragma unroll
        for (int i = 0; i < TRIES; i++) {
            u32 step = (u32)((u64)(high - low) * (i + 1) / (TRIES + 1));
            key[i] = low + (step > 0 ? step : 1);
            value[i] = key_to_float(key[i]);
        }
        logits.each([&](float logit, float weight, int) {
#pragma unroll
            for (int i = 0; i < TRIES; i++)
                if (logit > value[i]) above[i] += MASS ? weight : 1.0f;
        });
        cluster_sums<TRIES>(above, shared, round);
        u32 next_low = low, next_high = high;
#pragma unroll
        for (int i = TRIES - 1; i >= 0; i--)
            if (above[i] < limit) next_high = key[i];
#pragma unroll
        for (int i = 0; i < TRIES; i++)
            if (!(above[i] < limit)) next_low = key[i];
        low = next_low, high = next_high;
    }
    return high;
}

/// 64 random bits: Philox4x32-10 of (counter, 0, 0, 0) under `key` (Salmon et al. 2011, section 3.3).
__device__ __forceinline__ u64 philox(u64 key, u32 counter) {
    u32 c0 = counter, c1 = 0, c2 = 0, c3 = 0, k0 = (u32)key, k1 = (u32)(key >> 32);
#pragma unroll
    for (int i = 0; i < 10; i++) {
        u32 high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        u32 high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return (u64)c1 << 32 | c0;
}

/// A weight in 0 .. 1 as a whole number of 2^-40: sums of these are exact in any order.
__device__ __forceinline__ u64 fixed_point(float weight) { return (u64)(weight * 1099511627776.0f); }

extern "C" __global__ void __launch_bounds__(SAMPLE_THREADS, 1) SAMPLE_CLUSTERED
    sample(int *token, float *logprob_kept, float *logprob_tempered, float *logprob_plain, float *kept_mass,
           const T *all, i64 row_stride, int vocab, const float *temperature, const int *top_k, const float *top_p,
           const u64 *seed, const int *step) {
    __shared__ SampleShared shared;
    let_next_start();
    wait_for_previous();
    int row = blockIdx.x / SAMPLE_CLUSTER, block = cluster_rank(), round = 0;
    int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
    cluster_sync(); // every block has started before the first remote store

    // 1. The thread's logits; the largest, and where.
    Logits logits(all + row * row_stride, vocab, aligned16(all) && packs(row_stride));
    float best = minus_infinity();
    int best_index = vocab;
    logits.each([&](float logit, float, int place) {
        if (logit > best) best = logit, best_index = place;
    });
#pragma unroll
    for (int stride = 16; stride > 0; stride >>= 1) {
        float other = __shfl_xor_sync(FULL_WARP, best, stride);
        int index = __shfl_xor_sync(FULL_WARP, best_index, stride);
        if (other > best || (other == best && index < best_index)) best = other, best_index = index;
    }
    if (lane == 0) shared.warps[0][warp] = best, shared.warps[1][warp] = __int_as_float(best_index);
    __syncthreads();
    if (thread == 0) {
        for (int w = 1; w < SAMPLE_WARPS; w++) {
            float other = shared.warps[0][w];
            int index = __float_as_int(shared.warps[1][w]);
            if (other > best || (other == best && index < best_index)) best = other, best_index = index;
        }
        for (int to = 0; to < SAMPLE_CLUSTER; to++) {
            cluster_store(&shared.slots[round][0][block], to, best);
            cluster_store(&shared.slots[round][1][block], to, __int_as_float(best_index));
        }
    }
    cluster_sync();
    best = shared.slots[round][0][0], best_index = __float_as_int(shared.slots[round][1][0]);
    for (int other = 1; other < SAMPLE_CLUSTER; other++) {
        float value = shared.slots[round][0][other];
        int index = __float_as_int(shared.slots[round][1][other]);
        if (value > best || (value == best && index < best_index)) best = value, best_index = index;
    }
    round ^= 1;

    // 2. Weights relative to the largest, and both normalisers.
    bool greedy = !(temperature[row] > 0.0f);
    float inverse = greedy ? 1.0f : 1.0f / temperature[row];
    float total[2] = {0.0f, 0.0f}; // at the temperature, at 1
    logits.weigh(best, inverse);
    logits.each([&](float logit, float weight, int) {
        total[0] += weight;
        total[1] += exp2_fast((logit - best) * LOG2E);
    });
    cluster_sums<2>(total, shared, round);
    if (greedy) {
        if (block == 0 && thread == 0) {
            token[row] = best_index < vocab ? best_index : 0;
            logprob_kept[row] = 0.0f;
            logprob_tempered[row] = logprob_plain[row] = -logf(total[1]);
            kept_mass[row] = 1.0f;
        }
        return;
    }

    // 3. The smallest logit that is kept.
    u32 low = float_to_key(minus_infinity()) - 1, high = float_to_key(best), lowest = low + 1;
    if (top_k[row] > 0 && top_k[row] < vocab)
        lowest = smallest_kept<false>(logits, low, high, (float)top_k[row], shared, round);
    if (top_p[row] < 1.0f) {
        float inside[1] = {0.0f};
        float edge = key_to_float(lowest);
        logits.each([&](float logit, float weight, int) {
            if (logit >= edge) inside[0] += weight;
        });
        cluster_sums<1>(inside, shared, round);
        lowest = smallest_kept<true>(logits, lowest - 1, high, top_p[row] * inside[0], shared, round);
    }
    float edge = key_to_float(lowest);

    // 4. Cumulated mass over (block, thread, slot), in whole numbers, and the thread where the draw falls.
    u64 mine = 0;
    logits.each([&](float logit, float weight, int) {
        if (logit >= edge) mine += fixed_point(weight);
    });
    u64 upto = mine;
#pragma unroll
    for (int stride = 1; stride < 32; stride <<= 1) {
        u64 before = __shfl_up_sync(FULL_WARP, upto, stride);
        if (lane >= stride) upto += before;
    }
    if (lane == 31) shared.warp_mass[warp] = upto;
    __syncthreads();
    u64 start = upto - mine, block_mass = 0;
    for (int w = 0; w < SAMPLE_WARPS; w++) {
        if (w < warp) start += shared.warp_mass[w];
        block_mass += shared.warp_mass[w];
    }
    if (thread < SAMPLE_CLUSTER) {
        cluster_store(&shared.slots[round][0][block], thread, __uint_as_float((u32)block_mass));
        cluster_store(&shared.slots[round][1][block], thread, __uint_as_float((u32)(block_mass >> 32)));
    }
    cluster_sync();
    u64 kept = 0;
    for (int other = 0; other < SAMPLE_CLUSTER; other++) {
        u64 mass = (u64)__float_as_uint(shared.slots[round][1][other]) << 32 | __float_as_uint(shared.slots[round][0][other]);
        if (other < block) start += mass;
        kept += mass;
    }
    u64 target = __umul64hi(philox(seed[row], (u32)step[row]), kept);
    bool nothing = kept == 0; // only when the logits hold a NaN or no finite value
    if (nothing ? block == 0 && thread == 0 : target >= start && target < start + mine) {
        int drawn = best_index < vocab ? best_index : 0;
        float value = quiet_nan();
        bool found = nothing;
        logits.each([&](float logit, float weight, int place) {
            if (!found && logit >= edge) {
                start += fixed_point(weight);
                if (target < start) found = true, value = logit, drawn = place;
            }
        });
        float share = (float)kept * 9.094947017729282e-13f; // 2^-40
        token[row] = drawn;
        logprob_kept[row] = (value - best) * inverse - logf(share);
        logprob_tempered[row] = (value - best) * inverse - logf(total[0]);
        logprob_plain[row] = value - best - logf(total[1]);
        kept_mass[row] = share < total[0] ? share / total[0] : 1.0f;
    }
}

extern "C" __global__ void __launch_bounds__(256)
    advance(const int *token, const float *logprob_kept, const float *logprob_tempered, const float *logprob_plain,
            const float *kept_mass, int *next_ids, int *column, int *lens, int *position, int *step, int *finished,
            const int *limit, const int *stop_ids, int stop_count, int pad_id, int *history, float *score_history,
            int history_len, int max_len, int batch, int *active) {
    __shared__ float scratch[32];
    let_next_start();
    wait_for_previous();
    float going = 0.0f;
    for (int row = threadIdx.x; row < batch; row += blockDim.x) {
        if (finished[row]) {
            next_ids[row] = pad_id;
            continue;
        }
        int id = token[row], at = step[row], end = 0;
        if (at < history_len) {
            if (history) history[(i64)row * history_len + at] = id;
            if (score_history) {
                i64 plane = (i64)batch * history_len;
                float *to = score_history + (i64)row * history_len + at;
                to[0] = logprob_kept[row];
                to[plane] = logprob_tempered[row];
                to[2 * plane] = logprob_plain[row];
                to[3 * plane] = kept_mass[row];
            }
        }
        next_ids[row] = id;
        step[row] = at + 1;
        for (int i = 0; i < stop_count; i++)
            if (stop_ids[i] == id) end = 1;
        if (end == 0 && at + 1 >= limit[row]) end = 2;
        if (end == 0 && column[row] + 1 >= max_len) end = 3;
        // Also a row that ends moves on, where it can: the steps that others still need write there, not over its last token.
        if (column[row] + 1 < max_len) {
            column[row] += 1;
            lens[row] += 1;
        }
        if (end) {
            finished[row] = end;
            continue;
        }
        for (int axis = 0; axis < 3; axis++) position[axis * batch + row] += 1;
        going += 1.0f;
    }
    going = block_sum(going, scratch);
    if (threadIdx.x == 0) active[0] = (int)going;
}
