//! Keys or values of new tokens into the cache of a decoder.
//
// Text to compile: prelude.cuh + this file.
//
// cache_store(T *cache, const T *x, i64 heads, i64 time, int head_dim, i64 x_batch, i64 x_head, i64 x_row,
//             const int *first_row, const int *start, const int *count, i64 batch, i64 max_len)
//     Row b of x [batch, heads, time, head_dim] (element strides, unit stride over head_dim) goes to row first_row[b] of
//     cache [rows, heads, max_len, head_dim], columns start[b] .. start[b] + count[b]; later rows of x are padding. A
//     column outside the cache is not written. Block 256, any 1D grid (grid-stride), no shared memory.

extern "C" __global__ void __launch_bounds__(256)
    cache_store(T *cache, const T *x, i64 heads, i64 time, int head_dim, i64 x_batch, i64 x_head, i64 x_row,
                const int *first_row, const int *start, const int *count, i64 batch, i64 max_len) {
    i64 total = batch * time * heads * head_dim;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < total; i += (i64)gridDim.x * 256) {
        i64 d = i % head_dim, rest = i / head_dim;
        i64 h = rest % heads;
        rest /= heads;
        i64 t = rest % time, b = rest / time;
        i64 column = start[b] + t;
        if (t < count[b] && column >= 0 && column < max_len)
            cache[(((i64)first_row[b] * heads + h) * max_len + column) * head_dim + d] =
                x[b * x_batch + h * x_head + t * x_row + d];
    }
}
