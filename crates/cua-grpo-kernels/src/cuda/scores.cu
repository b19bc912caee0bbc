//! Log-sum-exp, log-prob of given tokens and entropy of rows of logits in one pass, and their gradient.
//
// Text to compile: prelude.cuh + this file, once with -DT_BF16=1 and once with -DT_BF16=0 (type of the logits).
// Block 512, grid 1D, best one block a row (a grid-stride loop over rows), dynamic shared memory 0. Rows start row_stride
// elements apart; 16-byte accesses are used when pointers, row_stride and vocab allow them. z = logits * inverse_temperature.
//
// token_scores_forward(float *lse, float *logprob, float *entropy, const T *logits, const int *targets, i64 rows, i64 vocab,
//                      i64 row_stride, float inverse_temperature)
//     lse = log sum exp z; logprob = z[target] - lse; entropy = lse - sum p z, in nats. entropy null: not computed into.
//     A negative target gives logprob 0 (a row that is masked out), one >= vocab gives NaN.
// token_scores_backward(T *dlogits, const T *logits, const int *targets, const float *lse, const float *entropy,
//                       const float *grad_logprob, const float *grad_entropy, i64 rows, i64 vocab, i64 row_stride,
//                       float inverse_temperature, float scale)
//     dlogits[j] = scale inverse_temperature (g (1[j = target] - p_j) - e p_j (log p_j + H)), with g = grad_logprob[row]
//     (0 for a negative target) and e = grad_entropy[row] (null: 0, and entropy may be null then).
//     dlogits may be logits (same strides): in place.

constexpr int SCORE_THREADS = 512;

/// Running softmax statistics: largest z, sum of exp(z - largest), sum of (z - largest) exp(z - largest).
struct Running {
    float top, sum, slope;

    __device__ __forceinline__ void raise(float to) {
        float down = top - to, shrink = exp2_fast(1.4426950408889634f * down);
        slope = (slope + down * sum) * shrink;
        sum *= shrink;
        top = to;
    }
    __device__ __forceinline__ void join(Running other) {
        float to = fmaxf(top, other.top);
        raise(to);
        other.raise(to);
        sum += other.sum;
        slope += other.slope;
    }
};

template <int V>
__device__ __forceinline__ void forward_rows(float *lse, float *logprob, float *entropy, const T *logits, const int *targets,
                                             i64 rows, i64 vocab, i64 row_stride, float inverse, Running *scratch) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const T *from = logits + row * row_stride;
        Running run = {-1e30f, 0.0f, 0.0f}; // finite, so that differences of empty states are not NaN
        for (i64 j = (i64)threadIdx.x * V; j < vocab; j += SCORE_THREADS * V) {
            float z[V];
            load<V>(from + j, z);
            float top = run.top;
#pragma unroll
            for (int i = 0; i < V; i++) {
                z[i] *= inverse;
                top = fmaxf(top, z[i]);
            }
            if (top > run.top) run.raise(top);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float below = z[i] - run.top, weight = exp2_fast(1.4426950408889634f * below);
                run.sum += weight;
                // a weight of 0 may stand beside minus infinity, whose product is NaN
                run.slope = fmaf(weight, fmaxf(below, -1e4f), run.slope);
            }
        }
#pragma unroll
        for (int step = 16; step > 0; step >>= 1) {
            Running other;
            other.top = __shfl_xor_sync(FULL_WARP, run.top, step);
            other.sum = __shfl_xor_sync(FULL_WARP, run.sum, step);
            other.slope = __shfl_xor_sync(FULL_WARP, run.slope, step);
            run.join(other);
        }
        if (lane == 0) scratch[warp] = run;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int w = 1; w < SCORE_THREADS / 32; w++) run.join(scratch[w]);
            float log_sum = logf(run.sum), normaliser = run.top + log_sum;
            int target = targets[row];
            lse[row] = normaliser;
            logprob[row] = target < 0        ? 0.0f
                           : target >= vocab ? quiet_nan()
                                             : to_float(from[target]) * inverse - run.top - log_sum;
            if (entropy) entropy[row] = log_sum - run.slope / run.sum;
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(SCORE_THREADS)
    token_scores_forward(float *lse, float *logprob, float *entropy, const T *logits, const int *targets, i64 rows,
                         i64 vocab, i64 row_stride, float inverse_temperature) {
    __shared__ Running scratch[SCORE_THREADS / 32];
    if (aligned16(logits) && packs(row_stride) && packs(vocab))
        forward_rows<PACK>(lse, logprob, entropy, logits, targets, rows, vocab, row_stride, inverse_temperature, scratch);
    else
        forward_rows<1>(lse, logprob, entropy, logits, targets, rows, vocab, row_stride, inverse_temperature, scratch);
}

template <int V>
__device__ __forceinline__ void backward_rows(T *dlogits, const T *logits, const int *targets, const float *lse,
                                              const float *entropy, const float *grad_logprob, const float *grad_entropy,
                                              i64 rows, i64 vocab, i64 row_stride, float inverse, float scale) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        int target = targets[row];
        float factor = scale * inverse, g = target < 0 ? 0.0f : grad_logprob[row] * factor;
        float e = grad_entropy ? grad_entropy[row] * factor : 0.0f, h = grad_entropy ? entropy[row] : 0.0f;
        float normaliser = lse[row];
        for (i64 j = (i64)threadIdx.x * V; j < vocab; j += SCORE_THREADS * V) {
            float x[V];
            load<V>(logits + row * row_stride + j, x);
#pragma unroll
            for (int i = 0; i < V; i++) {
                // the floor keeps 0 * infinity out of the entropy's term
                float log_p = fmaxf(x[i] * inverse - normaliser, -1e4f), p = exp2_fast(1.4426950408889634f * log_p);
                x[i] = -p * (g + e * (log_p + h));
                if (j + i == target) x[i] += g;
            }
            store<V>(dlogits + row * row_stride + j, x);
        }
    }
}

extern "C" __global__ void __launch_bounds__(SCORE_THREADS)
    token_scores_backward(T *dlogits, const T *logits, const int *targets, const float *lse, const float *entropy,
                          const float *grad_logprob, const float *grad_entropy, i64 rows, i64 vocab, i64 row_stride,
                          float inverse_temperature, float scale) {
    if (aligned16(logits) && aligned16(dlogits) && packs(row_stride) && packs(vocab))
        backward_rows<PACK>(dlogits, logits, targets, lse, entropy, grad_logprob, grad_entropy, rows, vocab, row_stride,
                            inverse_temperature, scale);
    else
        backward_rows<1>(dlogits, logits, targets, lse, entropy, grad_logprob, grad_entropy, rows, vocab, row_stride,
                         inverse_temperature, scale);
}
