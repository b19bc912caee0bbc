//! Work on a stream of our own, in order with what burn does before and after it.
//!
//! Burn's streams are not exposed, so the order comes from events of the whole context (CUDA 12.5 and newer): a section
//! waits for everything that was submitted before it, and everything submitted later waits for the section. The host
//! waits for neither.

use super::error::{CudaError, Named};
use super::gemm::Blas;
use super::module::{Modules, Source};
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::cuda::CudaRuntime;
use cubecl_runtime::runtime::Runtime;
use cudarc::driver::sys as cu;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A device address.
pub(crate) type Address = cu::CUdeviceptr;

/// What one card needs besides burn: a stream, two events, the vendor library, the kernels.
pub(crate) struct Gpu {
    pub stream: cu::CUstream,
    before: cu::CUevent,
    after: cu::CUevent,
    pub blas: Blas,
    pub modules: Modules,
    /// Number of multiprocessors.
    pub multiprocessors: usize,
}

// SAFETY: streams and events belong to the context and may be used from any thread where it is current; a mutex
// around each `Gpu` keeps uses apart.
unsafe impl Send for Gpu {}

static GPUS: LazyLock<Mutex<HashMap<String, Arc<Mutex<Gpu>>>>> = LazyLock::new(Mutex::default);

impl Gpu {
    /// Must run on the device thread.
    fn open() -> Result<Self, CudaError> {
        let mut stream = std::ptr::null_mut();
        let (mut before, mut after) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (mut device, mut multiprocessors) = (0, 0);
        let count = cu::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        // SAFETY: a context is current, and all pointers are valid.
        unsafe {
            let flags = cu::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
            cu::cuStreamCreate(&mut stream, flags)
                .result()
                .named("cuStreamCreate")?;
            let flags = cu::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
            cu::cuEventCreate(&mut before, flags).result().named("cuEventCreate")?;
            cu::cuEventCreate(&mut after, flags).result().named("cuEventCreate")?;
            cu::cuCtxGetDevice(&mut device).result().named("cuCtxGetDevice")?;
            cu::cuDeviceGetAttribute(&mut multiprocessors, count, device)
                .result()
                .named("multiprocessors")?;
        }
        Ok(Self {
            stream,
            before,
            after,
            blas: Blas::open()?,
            modules: Modules::default(),
            multiprocessors: multiprocessors as usize,
        })
    }
}

/// The inside of a section: what may be launched, and where tensors lie.
pub(crate) struct Section<'a> {
    pub gpu: &'a mut Gpu,
    client: &'a Client,
}

/// Runs `work` as a section on the card of `client`, in order with burn's work.
///
/// # Panics
/// When a call of the driver fails: burn's operations have no other way to report it.
pub(crate) fn section<R: Send + 'static>(
    client: &Client,
    work: impl FnOnce(&mut Section<'_>) -> Result<R, CudaError> + Send,
) -> R {
    let answer = try_section(client, work);
    answer.unwrap_or_else(|error| panic!("CUDA: {error}"))
}

/// As [`section`], with the error given back.
pub(crate) fn try_section<R: Send + 'static>(
    client: &Client,
    work: impl FnOnce(&mut Section<'_>) -> Result<R, CudaError> + Send,
) -> Result<R, CudaError> {
    let task = || -> Result<R, CudaError> {
        let mut context = std::ptr::null_mut();
        // SAFETY: the pointer is valid.
        unsafe { cu::cuCtxGetCurrent(&mut context) }
            .result()
            .named("cuCtxGetCurrent")?;
        let gpu = {
            let mut gpus = GPUS.lock().unwrap_or_else(PoisonError::into_inner);
            let key = format!("{:?}", context as usize);
            match gpus.get(&key) {
                Some(gpu) => Arc::clone(gpu),
                None => {
                    let gpu = Arc::new(Mutex::new(Gpu::open()?));
                    gpus.insert(key, Arc::clone(&gpu));
                    gpu
                }
            }
        };
        let mut gpu = gpu.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: events and stream live as long as the process, and the context is current on this thread.
        unsafe {
            cu::cuCtxRecordEvent(context, gpu.before)
                .result()
                .named("cuCtxRecordEvent")?;
            cu::cuStreamWaitEvent(gpu.stream, gpu.before, 0)
                .result()
                .named("cuStreamWaitEvent")?;
        }
        let result = work(&mut Section { gpu: &mut gpu, client });
        // SAFETY: as above. Also after a failure, so that later work never overtakes what was launched.
        unsafe {
            cu::cuEventRecord(gpu.after, gpu.stream)
                .result()
                .named("cuEventRecord")?;
            cu::cuCtxWaitEvent(context, gpu.after)
                .result()
                .named("cuCtxWaitEvent")?;
        }
        result
    };
    client.exclusive(task).named("device thread")?
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
        // On the device thread this runs at once.
        let resource = self
            .client
            .get_resource::<<CudaRuntime as Runtime>::Server>(tensor.handle.clone());
        Ok(resource.named("address of a tensor")?.resource().ptr)
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
        if grid.contains(&0) {
            return Ok(());
        }
        let function = self.gpu.modules.function(source, name, shared_bytes)?;
        let mut pointers = arguments.pointers();
        // SAFETY: the arguments live until the call returns, which copies them; that they fit the kernel is what the
        // checks against the reference bodies show.
        let answer = unsafe {
            cu::cuLaunchKernel(
                function,
                grid[0] as u32,
                grid[1] as u32,
                grid[2] as u32,
                block as u32,
                1,
                1,
                shared_bytes as u32,
                self.gpu.stream,
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
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

/// A fresh contiguous tensor on the device of `like`, not filled.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let shape = shape.into();
    let handle = like.client.empty(shape.num_elements() * dtype.size());
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, dtype)
}
