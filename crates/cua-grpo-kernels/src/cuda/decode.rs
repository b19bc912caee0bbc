//! One token a row a step, as a CUDA graph that is captured once and replayed: embedding, layers over a cache, head,
//! sampling and bookkeeping all stay on the card.
//!
//! The host gives prompts and takes tokens; between the two it only launches the graph. Weights are read where burn
//! keeps them, so a new adapter is a new [`Decoder`] over the same base.

use super::decode_state::{Buffers, History, RowStart};
use super::decode_step::step;
use super::dense;
use super::error::{CudaError, Named};
use super::section::{Section, try_section};
use burn::tensor::{DType, Tensor};
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

impl DecodeModel {
    /// With the adapters as the kernels read them: nothing may be converted while the graph is captured, and the model
    /// keeps what the graph reads.
    fn prepared(mut self) -> Result<Self, CudaError> {
        for layer in &mut self.layers {
            let maps = layer.qkv.iter_mut().chain(&mut layer.gate_up);
            for map in maps.chain([&mut layer.o, &mut layer.down]) {
                let Some((a, b, _)) = &mut map.lora else { continue };
                for factor in [a, b] {
                    let whole = dense(primitive(factor)?, DType::BF16);
                    *factor = dispatched(factor.clone().without_autodiff(), whole);
                }
            }
        }
        Ok(self)
    }
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

/// `tensor` as burn's users see it, with the dispatch of `like`.
pub(super) fn dispatched<const D: usize>(like: Tensor<D>, tensor: CubeTensor) -> Tensor<D> {
    use burn::backend::{BackendTensor, DispatchTensorKind};
    let mut dispatch = like.into_dispatch();
    dispatch.kind = DispatchTensorKind::Cube(BackendTensor::Float(tensor));
    Tensor::from_dispatch(dispatch)
}

/// A decoder for a fixed number of rows, with its cache.
pub struct Decoder {
    pub(super) model: DecodeModel,
    /// Keys and values of each layer `[rows, kv_heads, max_len, head_dim]`.
    pub(super) cache: Vec<[CubeTensor; 2]>,
    pub(super) buffers: Buffers,
    graph: Option<Graph>,
}

/// An instantiated graph. Leaked with the process when a driver call fails; freed otherwise.
struct Graph(cu::CUgraphExec);

// SAFETY: a graph is launched on the device thread alone.
unsafe impl Send for Graph {}

impl Decoder {
    /// A decoder for `rows` rows of less than `max_len` tokens each, of which `history` may be sampled in one run.
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
        let cache = (0..model.layers.len())
            .map(|_| super::decode_cache::zeros(&model, rows, max_len))
            .collect::<Result<Vec<_>, CudaError>>()?;
        let model = model.prepared()?;
        let buffers = Buffers::new(&like, &model, rows, max_len, history)?;
        let mut decoder = Self {
            model,
            cache,
            buffers,
            graph: None,
        };
        decoder.warm_up()?;
        Ok(decoder)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.buffers.sizes.rows
    }

    /// Columns of the cache. The last one is scratch.
    pub fn max_len(&self) -> usize {
        self.buffers.sizes.max_len
    }

    /// Tokens that a row may sample in one run.
    pub fn history_len(&self) -> usize {
        self.buffers.sizes.history
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

    /// Takes other weights of the same sizes, e.g. a new adapter. The cache stays as it is.
    ///
    /// # Errors
    /// When a weight is not as [`Decoder::new`] expects it.
    pub fn set_model(&mut self, model: DecodeModel) -> Result<(), CudaError> {
        self.drop_graph();
        self.model = model.prepared()?;
        self.warm_up()
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

    /// Runs a step outside the graph, so that every kernel and every plan is made before the capture. Of the cache it
    /// writes the last column.
    pub(super) fn warm_up(&mut self) -> Result<(), CudaError> {
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

impl Decoder {
    /// Forgets the graph: it holds addresses and sizes.
    pub(super) fn drop_graph(&mut self) {
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

impl Drop for Decoder {
    fn drop(&mut self) {
        self.drop_graph();
    }
}
