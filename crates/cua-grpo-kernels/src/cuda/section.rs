//! Work on a stream of our own, in order with what burn does before and after it.
//!
//! A *section* runs on the device thread of burn's runtime, as a service beside burn's own, so sections and burn's
//! launches happen in the order in which they were asked for. Burn's streams are not exposed; the order on the card
//! comes from events of the whole context (CUDA 12.5 and newer): a section waits for everything that was submitted
//! before it, and everything submitted later waits for the section. The host waits for neither: [`section`] returns
//! before its launches are made, and what goes wrong there is kept for [`raise`]. Only [`try_section`] waits.

use super::blas::Blas;
use super::capability::Capability;
use super::error::{CudaError, Named};
use super::module::Modules;
use super::source::Source;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::cuda::CudaRuntime;
use cubecl_common::device::{DeviceId, DeviceService, ServerUtilitiesHandle};
use cubecl_common::device_handle::DeviceHandle;
use cubecl_runtime::runtime::Runtime;
use cubecl_runtime::server::Handle;
use cudarc::driver::sys as cu;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A device address.
pub(crate) type Address = cu::CUdeviceptr;

/// What one card needs besides burn: a stream, two events, the vendor library, the kernels.
pub(crate) struct Gpu {
    pub stream: cu::CUstream,
    context: cu::CUcontext,
    before: cu::CUevent,
    after: cu::CUevent,
    pub blas: Blas,
    pub modules: Modules,
    /// What kernels may use of the card.
    pub card: Capability,
}

// SAFETY: streams and events belong to the context and may be used from any thread where it is current; the device
// thread is the only one that does.
unsafe impl Send for Gpu {}

/// [`Gpu`] as a service of burn's device thread; opened by the first section.
#[derive(Default)]
struct Worker(Option<Gpu>);

impl DeviceService for Worker {
    fn init(_: DeviceId) -> Self {
        Self::default()
    }

    fn utilities(&self) -> ServerUtilitiesHandle {
        Arc::new(())
    }
}

/// The workers, one a card.
static WORKERS: LazyLock<Mutex<HashMap<DeviceId, DeviceHandle<Worker>>>> = LazyLock::new(Mutex::default);

/// The first thing that went wrong in a section that nobody waited for.
static FAILURE: Mutex<Option<CudaError>> = Mutex::new(None);
static FAILED: AtomicBool = AtomicBool::new(false);

fn worker(client: &Client) -> DeviceHandle<Worker> {
    let device = client.service_id().device;
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    workers
        .entry(device)
        .or_insert_with(|| DeviceHandle::new(device))
        .clone()
}

/// Whether a section failed: its outputs, and everything computed from them, are not what they should be.
///
/// # Panics
/// When one did, with the failed call: burn's operations have no other way to report it.
pub fn raise() {
    if FAILED.load(Ordering::Acquire) {
        let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &*failure {
            panic!("CUDA: {error}");
        }
    }
}

impl Gpu {
    /// Must run on the device thread.
    fn open() -> Result<Self, CudaError> {
        let (mut stream, mut context) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (mut before, mut after) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a context is current, and all pointers are valid.
        unsafe {
            cu::cuCtxGetCurrent(&mut context).result().named("cuCtxGetCurrent")?;
            let flags = cu::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
            cu::cuStreamCreate(&mut stream, flags)
                .result()
                .named("cuStreamCreate")?;
            let flags = cu::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
            cu::cuEventCreate(&mut before, flags).result().named("cuEventCreate")?;
            cu::cuEventCreate(&mut after, flags).result().named("cuEventCreate")?;
        }
        let card = Capability::current()?;
        Ok(Self {
            stream,
            context,
            before,
            after,
            blas: Blas::open()?,
            modules: Modules::new(card),
            card,
        })
    }
}

/// The inside of a section: what may be launched, and where tensors lie.
pub(crate) struct Section<'a> {
    pub gpu: &'a mut Gpu,
    /// Whether [`Section::link`] makes links of a chain of launches. Between products of the vendor library, which are
    /// none, it would not: what a link prefers of a multiprocessor's memory ([`Modules::function`]) then only costs.
    pub chained: bool,
    client: &'a Client,
}

impl Worker {
    /// Runs `work` between everything submitted before and everything submitted later.
    fn run<R>(
        &mut self,
        client: &Client,
        work: impl FnOnce(&mut Section<'_>) -> Result<R, CudaError>,
    ) -> Result<R, CudaError> {
        let gpu = match &mut self.0 {
            Some(gpu) => gpu,
            closed => closed.insert(Gpu::open()?),
        };
        // SAFETY: events and stream live as long as the process, and the context is current on this thread.
        unsafe {
            cu::cuCtxRecordEvent(gpu.context, gpu.before)
                .result()
                .named("cuCtxRecordEvent")?;
            cu::cuStreamWaitEvent(gpu.stream, gpu.before, 0)
                .result()
                .named("cuStreamWaitEvent")?;
        }
        let result = work(&mut Section {
            gpu,
            chained: false,
            client,
        });
        // SAFETY: as above. Also after a failure, so that later work never overtakes what was launched.
        unsafe {
            cu::cuEventRecord(gpu.after, gpu.stream)
                .result()
                .named("cuEventRecord")?;
            cu::cuCtxWaitEvent(gpu.context, gpu.after)
                .result()
                .named("cuCtxWaitEvent")?;
        }
        result
    }
}

/// Submits `work` as a section on the card of the tensors, and returns at once. `work` is given where each tensor's
/// first element lies; the tensors live until it ran. Strides are the caller's business.
///
/// # Panics
/// When an earlier section failed; see [`raise`].
pub(crate) fn section<const N: usize>(
    tensors: [&CubeTensor; N],
    work: impl FnOnce(&mut Section<'_>, [Address; N]) -> Result<(), CudaError> + Send + 'static,
) {
    raise();
    let client = tensors[0].client.clone();
    let handles = tensors.map(|tensor| tensor.handle.clone());
    worker(&client).submit(move |worker| {
        let result = worker.run(&client, |cx| {
            let mut addresses = [0; N];
            for (address, handle) in addresses.iter_mut().zip(handles) {
                *address = place(&client, handle)?;
            }
            work(cx, addresses)
        });
        if let Err(error) = result {
            FAILURE
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
            FAILED.store(true, Ordering::Release);
        }
    });
}

/// Runs `work` as a section on the card of `client` and waits until it returned (not for the card).
///
/// # Errors
/// What `work` gives back.
///
/// # Panics
/// When an earlier section failed; see [`raise`].
pub(crate) fn try_section<R: Send>(
    client: &Client,
    work: impl FnOnce(&mut Section<'_>) -> Result<R, CudaError> + Send,
) -> Result<R, CudaError> {
    raise();
    let answer = worker(client).submit_blocking(|worker| worker.run(client, work));
    raise();
    answer.named("device thread")?
}

/// Where a buffer lies. On the device thread this is answered at once.
fn place(client: &Client, handle: Handle) -> Result<Address, CudaError> {
    let resource = client.get_resource::<<CudaRuntime as Runtime>::Server>(handle);
    Ok(resource.named("address of a tensor")?.resource().ptr)
}

impl Section<'_> {
    /// Copies host bytes to the card; the bytes may be reused when the call returns.
    pub fn upload<T: bytemuck::Pod>(&mut self, to: Address, values: &[T]) -> Result<(), CudaError> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        // SAFETY: the copy from pageable memory is staged before the call returns; the target is as large (callers).
        let answer = unsafe { cu::cuMemcpyHtoDAsync_v2(to, bytes.as_ptr().cast(), bytes.len(), self.gpu.stream) };
        answer.result().named("copy to the card")
    }

    /// Copies `count` values from the card and waits for them.
    pub fn download<T: bytemuck::Pod>(&mut self, from: Address, count: usize) -> Result<Vec<T>, CudaError> {
        let mut values = vec![T::zeroed(); count];
        let bytes = size_of_val(values.as_slice());
        // SAFETY: the target holds `bytes` bytes, and lives until the stream was waited for.
        unsafe {
            cu::cuMemcpyDtoHAsync_v2(values.as_mut_ptr().cast(), from, bytes, self.gpu.stream)
                .result()
                .named("copy from the card")?;
            cu::cuStreamSynchronize(self.gpu.stream)
                .result()
                .named("wait for the card")?;
        }
        Ok(values)
    }

    /// Fills with zero bytes.
    pub fn zero(&mut self, at: Address, bytes: usize) -> Result<(), CudaError> {
        // SAFETY: the range belongs to a buffer of the caller.
        unsafe { cu::cuMemsetD8Async(at, 0, bytes, self.gpu.stream) }
            .result()
            .named("fill with zeros")
    }

    /// Where the first element of `tensor` lies. Strides are the caller's business.
    pub fn address(&self, tensor: &CubeTensor) -> Result<Address, CudaError> {
        place(self.client, tensor.handle.clone())
    }

    /// Launches a kernel on the stream of the section.
    ///
    /// The arguments must be those that the header of the kernel's text lists, in order.
    pub fn launch(
        &mut self,
        source: Source,
        name: &'static str,
        grid: [usize; 3],
        block: usize,
        shared_bytes: usize,
        arguments: &mut Arguments,
    ) -> Result<(), CudaError> {
        self.start(source, name, grid, block, shared_bytes, arguments, false)
    }

    /// As [`Section::launch`], for a kernel that waits by itself for the one before it (`wait_for_previous` in
    /// prelude.cuh): where the section is [`chained`](Section::chained) it may start while that one runs.
    pub fn link(
        &mut self,
        source: Source,
        name: &'static str,
        grid: [usize; 3],
        block: usize,
        shared_bytes: usize,
        arguments: &mut Arguments,
    ) -> Result<(), CudaError> {
        let link = self.chained && self.gpu.card.is_hopper_or_newer();
        self.start(source, name, grid, block, shared_bytes, arguments, link)
    }

    #[allow(clippy::too_many_arguments, reason = "a launch has that many")]
    fn start(
        &mut self,
        source: Source,
        name: &'static str,
        grid: [usize; 3],
        block: usize,
        shared_bytes: usize,
        arguments: &mut Arguments,
        link: bool,
    ) -> Result<(), CudaError> {
        if grid.contains(&0) {
            return Ok(());
        }
        let function = self.gpu.modules.function(source, name, shared_bytes, link)?;
        let mut pointers = arguments.pointers();
        let mut early = cu::CUlaunchAttribute {
            id: cu::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: cu::CUlaunchAttributeValue {
                programmaticStreamSerializationAllowed: 1,
            },
        };
        let config = cu::CUlaunchConfig {
            gridDimX: grid[0] as u32,
            gridDimY: grid[1] as u32,
            gridDimZ: grid[2] as u32,
            blockDimX: block as u32,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: shared_bytes as u32,
            hStream: self.gpu.stream,
            attrs: &raw mut early,
            numAttrs: u32::from(link),
        };
        // SAFETY: arguments, configuration and attribute live until the call returns, which copies them; that the
        // arguments fit the kernel is what the checks against the reference bodies show.
        let answer = unsafe { cu::cuLaunchKernelEx(&config, function, pointers.as_mut_ptr(), std::ptr::null_mut()) };
        answer.result().named(&format!("launch {name}"))
    }
}

/// Arguments of a kernel, kept as 8-byte words.
#[derive(Default)]
pub(crate) struct Arguments {
    words: Vec<u64>,
    /// Where each argument starts.
    starts: Vec<usize>,
}

impl Arguments {
    /// Device addresses, in order.
    pub fn addresses<const N: usize>(addresses: [Address; N]) -> Self {
        addresses.into_iter().fold(Self::default(), Self::address)
    }

    fn word(mut self, word: u64) -> Self {
        self.starts.push(self.words.len());
        self.words.push(word);
        self
    }

    /// A device address; 0 is a null pointer.
    pub fn address(self, address: Address) -> Self {
        self.word(address)
    }

    /// An `int`.
    pub fn int(self, value: usize) -> Self {
        self.word(u64::from(value as u32))
    }

    /// A `long long`.
    pub fn long(self, value: usize) -> Self {
        self.word(value as u64)
    }

    /// `long long` strides of batch, head and row, in elements.
    pub fn strides(self, strides: [usize; 3]) -> Self {
        strides.into_iter().fold(self, Self::long)
    }

    /// A `float`.
    pub fn float(self, value: f64) -> Self {
        self.word(u64::from((value as f32).to_bits()))
    }

    /// A structure by value, as the words of its memory.
    pub fn structure(mut self, words: &[u64]) -> Self {
        self.starts.push(self.words.len());
        self.words.extend_from_slice(words);
        self
    }

    fn pointers(&mut self) -> Vec<*mut c_void> {
        // Little-endian words: an int or float is read from the first four bytes.
        let base = self.words.as_mut_ptr();
        // SAFETY: every start is inside the words.
        self.starts
            .iter()
            .map(|&start| unsafe { base.add(start) }.cast())
            .collect()
    }
}
