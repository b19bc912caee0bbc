//! One token a row a step, as a CUDA graph that is captured once and replayed: embedding, layers over a cache, head,
//! sampling and bookkeeping all stay on the card.
//!
//! The host gives prompts and takes tokens; between the two it only launches the graph. Weights are read where burn
//! keeps them, so a new adapter is a new [`Decoder`] over the same base.

use super::buffers::{Buffers, History, RowStart};
use super::cache::{Cache, Span};
use super::model::DecodeModel;
use super::step::{draw, step};
use crate::cuda::error::{CudaError, Named};
use crate::cuda::section::{Section, try_section};
use crate::cuda::tensor::{dense, primitive};
use burn::tensor::{DType, Tensor};
use cubecl::client::Client;
use cudarc::driver::sys as cu;

/// A decoder for a fixed number of rows, with its cache.
pub struct Decoder {
    model: DecodeModel,
    cache: Cache,
    buffers: Buffers,
    client: Client,
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
        let cache = Cache::new(&model, rows, max_len)?;
        let model = model.prepared()?;
        let buffers = Buffers::new(&like, &model, rows, max_len, history)?;
        let mut decoder = Self {
            model,
            cache,
            buffers,
            client: like.client,
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

    /// Tokens that a row may sample for one reply.
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
            draw(cx, buffers, hidden, head)
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
        try_section(&self.client, move |cx| {
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
        try_section(&self.client, |cx| buffers.active(cx))
    }

    /// Waits for the card and tells of each row whether it is finished, as in [`History::finished`].
    ///
    /// # Errors
    /// When an earlier launch failed.
    pub fn finished(&self) -> Result<Vec<i32>, CudaError> {
        let buffers = &self.buffers;
        try_section(&self.client, |cx| buffers.finished(cx))
    }

    /// Waits for the card and gives what was sampled since [`Decoder::start`].
    ///
    /// # Errors
    /// When an earlier launch failed.
    pub fn history(&self) -> Result<History, CudaError> {
        let buffers = &self.buffers;
        try_section(&self.client, |cx| buffers.history(cx))
    }

    /// Puts keys `k` and values `v` of new tokens of layer `layer` into the cache, row `b` of them as `spans[b]` says,
    /// and gives what the queries `q` see: the tokens of their row up to their own. Padding gives zeros. Each of `copies`
    /// says where else the rows go, and a span of no tokens that one goes nowhere.
    ///
    /// # Shapes
    /// - q, output: `[batch, heads, time, head_dim]`
    /// - k, v: `[batch, kv_heads, time, head_dim]`
    ///
    /// # Errors
    /// When a tensor is not on the card, or a span does not fit the cache.
    pub fn attend(
        &mut self,
        layer: usize,
        q: Tensor<4>,
        kv: [Tensor<4>; 2],
        spans: &[Span],
        copies: &[Vec<Span>],
    ) -> Result<Tensor<4>, CudaError> {
        self.cache.attend(layer, q, kv, spans, copies)
    }

    /// Copies beginnings of rows: the first `count` columns of row `from` to row `to`, for each `(from, to, count)`. A
    /// row that is copied from is not copied to.
    ///
    /// # Errors
    /// When a row or a count lies outside the cache.
    pub fn copy(&mut self, beginnings: &[(usize, usize, usize)]) -> Result<(), CudaError> {
        self.cache.copy(beginnings)
    }

    /// Makes the decoder one of `from.len()` rows of less than `max_len` tokens, of which `history` may be sampled in one
    /// run. Row `i` continues row `r`, whose first `n` columns hold tokens, where `from[i]` is `Some((r, n))`; other
    /// rows are empty.
    ///
    /// # Errors
    /// When a launch fails.
    pub fn rearrange(
        &mut self,
        from: &[Option<(usize, usize)>],
        max_len: usize,
        history: usize,
    ) -> Result<(), CudaError> {
        self.drop_graph();
        self.cache.rearrange(&self.model, from, max_len)?;
        let like = primitive(&self.model.embedding)?;
        self.buffers = Buffers::new(&like, &self.model, from.len(), max_len, history)?;
        self.warm_up()
    }

    /// Runs a step outside the graph, so that every kernel and every plan is made before the capture. Of the cache it
    /// writes the last column.
    fn warm_up(&mut self) -> Result<(), CudaError> {
        let Self {
            model,
            cache,
            buffers,
            client,
            ..
        } = self;
        try_section(client, |cx| {
            buffers.reset(cx)?;
            step(cx, model, &cache.layers, buffers)?;
            buffers.reset(cx)
        })
    }

    fn capture(&mut self) -> Result<Graph, CudaError> {
        let Self {
            model,
            cache,
            buffers,
            client,
            ..
        } = self;
        let exec = try_section(client, |cx| {
            let mode = cu::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
            // SAFETY: the stream is ours, and nothing else uses it while the device thread is here.
            unsafe { cu::cuStreamBeginCapture_v2(cx.gpu.stream, mode) }
                .result()
                .named("cuStreamBeginCapture")?;
            let recorded = step(cx, model, &cache.layers, buffers);
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
    fn drop_graph(&mut self) {
        let Some(graph) = self.graph.take() else { return };
        let exec = graph.0 as usize;
        // A failure leaves the graph to the end of the process.
        let freed = try_section(&self.client, move |cx: &mut Section<'_>| {
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
