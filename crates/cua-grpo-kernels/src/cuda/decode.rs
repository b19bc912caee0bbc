//! One token a row a step, as a CUDA graph that is captured once and replayed: embedding, layers over a cache, head,
//! sampling and bookkeeping all stay on the card.
//!
//! The host gives prompts and takes tokens; between the two it only launches the graph. Weights are read where burn
//! keeps them, so a new adapter is a new [`Decoder`] over the same base.

use super::decode_state::{Buffers, History, RowStart};
use super::decode_step::step;
use super::error::{CudaError, Named};
use super::heads::Heads;
use super::section::{Arguments, Section, empty, try_section};
use super::{dense, source};
use burn::tensor::{DType, Tensor};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use cudarc::driver::sys as cu;

/// A frozen weight of the decoder.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "handles of tensors, one a weight")]
pub enum DecodeWeight {
    /// `[out, in]` in bf16.
    Dense(Tensor<2>),
    /// NF4: codes (two a byte, the first in the high nibble), and f32 scales of blocks of 64.
    Nf4 {
        /// `[out * in / 2]`, u8
        codes: Tensor<1, burn::tensor::Int>,
        /// `[out * in / 64]`
        absmax: Tensor<1>,
        /// `[out, in]`
        shape: [usize; 2],
    },
}

/// A linear map of the decoder, with its adapter.
#[derive(Debug, Clone)]
pub struct DecodeLinear {
    /// The frozen weight.
    pub weight: DecodeWeight,
    /// A `[r, in]`, B `[out, r]` and the scale of their product.
    pub lora: Option<(Tensor<2>, Tensor<2>, f64)>,
}

/// One decoder layer; norms are `[width]`.
#[derive(Debug, Clone)]
pub struct DecodeLayer {
    /// Before the attention.
    pub input_norm: Tensor<1>,
    /// Query, key and value projections.
    pub qkv: [DecodeLinear; 3],
    /// Of each query head.
    pub q_norm: Tensor<1>,
    /// Of each key head.
    pub k_norm: Tensor<1>,
    /// Output projection.
    pub o: DecodeLinear,
    /// Before the MLP.
    pub mlp_norm: Tensor<1>,
    /// Gate and up projections.
    pub gate_up: [DecodeLinear; 2],
    /// Down projection.
    pub down: DecodeLinear,
}

/// The text decoder, as the graph reads it.
#[derive(Debug, Clone)]
pub struct DecodeModel {
    /// `[vocab, hidden]`, bf16
    pub embedding: Tensor<2>,
    /// The layers.
    pub layers: Vec<DecodeLayer>,
    /// The final norm.
    pub norm: Tensor<1>,
    /// `[vocab, hidden]`, bf16
    pub head: Tensor<2>,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of a head: 64 or 128.
    pub head_dim: usize,
    /// Epsilon of the norms.
    pub eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Frequencies that height and width turn (M-RoPE sections 1 and 2).
    pub sections: [usize; 2],
}

/// A tensor below burn's dispatch.
pub(super) fn primitive<const D: usize>(tensor: &Tensor<D>) -> Result<CubeTensor, CudaError> {
    cube(tensor.clone().without_autodiff().into_dispatch())
}

/// The CUDA tensor inside a dispatched one.
pub(super) fn cube(tensor: burn::backend::DispatchTensor) -> Result<CubeTensor, CudaError> {
    use burn::backend::{BackendTensor, DispatchTensorKind};
    match tensor.kind {
        DispatchTensorKind::Cube(BackendTensor::Float(tensor) | BackendTensor::Int(tensor)) => Ok(tensor),
        other => Err(CudaError::new(
            "decoder: expected a tensor on a CUDA card",
            format!("{other:?}"),
        )),
    }
}

/// A decoder for a fixed number of rows, with its cache.
pub struct Decoder {
    model: DecodeModel,
    /// Keys and values of each layer `[rows, kv_heads, max_len, head_dim]`.
    cache: Vec<[CubeTensor; 2]>,
    /// The same as tensors.
    tensors: Vec<[Tensor<4>; 2]>,
    buffers: Buffers,
    graph: Option<Graph>,
    rows: usize,
    max_len: usize,
}

/// An instantiated graph. Leaked with the process when a driver call fails; freed otherwise.
struct Graph(cu::CUgraphExec);

// SAFETY: a graph is launched on the device thread alone.
unsafe impl Send for Graph {}

impl Decoder {
    /// A decoder for `rows` rows of at most `max_len` tokens each, of which `history` may be sampled in one run.
    ///
    /// # Errors
    /// When the model is not on a card, a weight is not bf16 (or NF4), or a kernel cannot be loaded.
    pub fn new(model: DecodeModel, rows: usize, max_len: usize, history: usize) -> Result<Self, CudaError> {
        if !matches!(model.head_dim, 64 | 128) || model.heads / model.kv_heads.max(1) > 16 {
            let found = format!(
                "{} heads, {} key heads of {}",
                model.heads, model.kv_heads, model.head_dim
            );
            return Err(CudaError::new(
                "decoder: expected heads of 64 or 128, at most 16 a key head",
                found,
            ));
        }
        let like = primitive(&model.embedding)?;
        if like.dtype != DType::BF16 {
            return Err(CudaError::new("decoder: expected weights in bf16", like.dtype));
        }
        let shape = [rows, model.kv_heads, max_len, model.head_dim];
        let device = model.embedding.device();
        // Made flat: burn would leave gaps between rows of 64 or 128 elements.
        let flat = || Tensor::<1>::zeros([shape.iter().product::<usize>()], (&device, DType::BF16)).reshape(shape);
        let tensors: Vec<[Tensor<4>; 2]> = model.layers.iter().map(|_| [flat(), flat()]).collect();
        let cache: Vec<[CubeTensor; 2]> = tensors
            .iter()
            .map(|[k, v]| Ok([primitive(k)?, primitive(v)?]))
            .collect::<Result<_, CudaError>>()?;
        let buffers = Buffers::new(&like, &model, rows, max_len, history)?;
        let mut decoder = Self {
            model,
            cache,
            tensors,
            buffers,
            graph: None,
            rows,
            max_len,
        };
        decoder.warm_up()?;
        Ok(decoder)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Stores keys and values of new tokens `[batch, kv_heads, time, head_dim]` of layer `layer`: row `b` of them goes
    /// to row `rows[b]` of the cache, from column `start[b]`, `count[b]` columns.
    ///
    /// # Errors
    /// When a launch fails.
    pub fn store(
        &mut self,
        layer: usize,
        [k, v]: [&Tensor<4>; 2],
        rows: &[i32],
        start: &[i32],
        count: &[i32],
    ) -> Result<(), CudaError> {
        for (tensor, cache) in [k, v].into_iter().zip(&self.cache[layer]) {
            let x = Heads::of(cast(primitive(tensor)?, DType::BF16));
            let [batch, heads, time, width] = x.shape;
            let places = empty(&x.tensor, [3 * batch], DType::I32);
            try_section(&cache.client, |cx| {
                let at = cx.address(&places)?;
                cx.upload(at, &[rows, start, count].concat())?;
                let bytes = (4 * batch) as u64;
                let arguments = Arguments::default()
                    .address(cx.address(cache)?)
                    .address(cx.address(&x.tensor)?)
                    .long(heads)
                    .long(time)
                    .int(width);
                let mut arguments = arguments
                    .strides(x.strides)
                    .address(at)
                    .address(at + bytes)
                    .address(at + 2 * bytes)
                    .long(batch)
                    .long(self.max_len);
                let blocks = (batch * heads * time * width)
                    .div_ceil(256 * 4)
                    .min(16 * cx.gpu.multiprocessors);
                let kernel = source::cache(DType::BF16);
                cx.launch(kernel, "cache_store", [blocks, 1, 1], 256, 0, &mut arguments)
            })?;
        }
        Ok(())
    }

    /// Begins a run: how each row samples and where it stands. `hidden` are the states after the final norm
    /// `[rows, hidden]` that predict the first tokens, which are sampled here.
    ///
    /// # Errors
    /// When a launch fails.
    pub fn start(
        &mut self,
        starts: &[RowStart],
        stop_ids: &[i32],
        pad: i32,
        hidden: &Tensor<2>,
    ) -> Result<(), CudaError> {
        let hidden = dense(primitive(hidden)?, DType::BF16);
        let (model, buffers) = (&self.model, &mut self.buffers);
        let head = primitive(&model.head)?;
        try_section(&head.client, |cx| {
            buffers.upload(cx, starts, stop_ids, pad)?;
            let (hidden, head) = (cx.address(&hidden)?, cx.address(&head)?);
            super::decode_step::draw(cx, buffers, hidden, head)
        })
    }

    /// As [`Decoder::start`], where the first tokens `ids` were drawn elsewhere: `length` and `position` count them. A row
    /// with `max_new_tokens` 0 is finished.
    ///
    /// # Errors
    /// When a launch fails.
    pub fn resume(&mut self, starts: &[RowStart], stop_ids: &[i32], pad: i32, ids: &[i32]) -> Result<(), CudaError> {
        let buffers = &mut self.buffers;
        try_section(&self.cache[0][0].client, |cx| {
            buffers.upload(cx, starts, stop_ids, pad)?;
            cx.upload(buffers.ids, ids)
        })
    }

    /// Keys and values of layer `layer`, `[rows, kv_heads, max_len, head_dim]`: what the cache holds when they are read.
    pub fn keys_and_values(&self, layer: usize) -> &[Tensor<4>; 2] {
        &self.tensors[layer]
    }

    /// Columns of the cache.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Replays `steps` steps without waiting for them. Rows that are finished stay as they are.
    ///
    /// # Errors
    /// When a launch fails.
    pub fn run(&mut self, steps: usize) -> Result<(), CudaError> {
        if self.graph.is_none() {
            self.graph = Some(self.capture()?);
        }
        let Some(graph) = &self.graph else { return Ok(()) };
        let exec = graph.0 as usize;
        try_section(&self.cache[0][0].client, move |cx| {
            for _ in 0..steps {
                // SAFETY: the graph lives, and its buffers do as long as `self`.
                let answer = unsafe { cu::cuGraphLaunch(exec as cu::CUgraphExec, cx.gpu.stream) };
                answer.result().named("cuGraphLaunch")?;
            }
            Ok(())
        })
    }

    /// Waits for the card and counts the rows that are not finished.
    ///
    /// # Errors
    /// When an earlier launch failed.
    pub fn active(&self) -> Result<usize, CudaError> {
        let buffers = &self.buffers;
        try_section(&self.cache[0][0].client, |cx| buffers.active(cx))
    }

    /// Waits for the card and gives what was sampled since [`Decoder::start`].
    ///
    /// # Errors
    /// When an earlier launch failed.
    pub fn history(&self) -> Result<History, CudaError> {
        let buffers = &self.buffers;
        try_section(&self.cache[0][0].client, |cx| buffers.history(cx))
    }

    /// Runs a step outside the graph, so that every kernel and every plan is made before the capture.
    fn warm_up(&mut self) -> Result<(), CudaError> {
        let Self {
            model, cache, buffers, ..
        } = self;
        let client = cache[0][0].client.clone();
        try_section(&client, |cx| {
            buffers.reset(cx)?;
            step(cx, model, cache, buffers)?;
            buffers.reset(cx)
        })
    }

    fn capture(&mut self) -> Result<Graph, CudaError> {
        let Self {
            model, cache, buffers, ..
        } = self;
        let client = cache[0][0].client.clone();
        let exec = try_section(&client, |cx| {
            let mode = cu::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
            // SAFETY: the stream is ours, and nothing else uses it while the device thread is here.
            unsafe { cu::cuStreamBeginCapture_v2(cx.gpu.stream, mode) }
                .result()
                .named("cuStreamBeginCapture")?;
            let recorded = step(cx, model, cache, buffers);
            let mut graph = std::ptr::null_mut();
            // SAFETY: a capture was begun above and ends here, whatever was recorded.
            unsafe { cu::cuStreamEndCapture(cx.gpu.stream, &mut graph) }
                .result()
                .named("cuStreamEndCapture")?;
            recorded?;
            let mut exec = std::ptr::null_mut();
            // SAFETY: the graph was just captured; it is not used after it was instantiated.
            unsafe {
                cu::cuGraphInstantiateWithFlags(&mut exec, graph, 0)
                    .result()
                    .named("cuGraphInstantiate")?;
                cu::cuGraphDestroy(graph).result().named("cuGraphDestroy")?;
            }
            Ok(exec as usize)
        })?;
        Ok(Graph(exec as cu::CUgraphExec))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let Some(graph) = self.graph.take() else { return };
        let exec = graph.0 as usize;
        // A failure leaves the graph to the end of the process.
        let freed = try_section(&self.cache[0][0].client, move |cx: &mut Section<'_>| {
            // SAFETY: launches of the graph are over once the stream was waited for; it is not used again.
            unsafe {
                cu::cuStreamSynchronize(cx.gpu.stream)
                    .result()
                    .named("cuStreamSynchronize")?;
                cu::cuGraphExecDestroy(exec as cu::CUgraphExec)
                    .result()
                    .named("cuGraphExecDestroy")
            }
        });
        drop(freed);
    }
}
