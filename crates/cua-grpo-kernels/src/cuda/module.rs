//! CUDA C++ texts to loaded kernels: compiled with NVRTC when first used, the machine code kept in a cache folder.

use super::error::{CudaError, Named};
use cudarc::driver::{result as driver, sys as cu};
use cudarc::nvrtc::{result as nvrtc, sys as nv};
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// A text of this crate with the macros it is compiled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// File name, for messages.
    pub name: &'static str,
    /// CUDA C++.
    pub text: &'static str,
    /// Options such as `-DT_BF16`.
    pub options: &'static [&'static str],
}

/// Each name belongs to one text, so that a lookup at every launch need not read it.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.options) == (other.name, other.options)
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.options).hash(state);
    }
}

/// A kernel, and what it was told so far.
#[derive(Clone, Copy)]
struct Function {
    handle: cu::CUfunction,
    /// Most dynamic shared memory that it may be launched with.
    shared_bytes: usize,
    /// Whether it prefers shared memory to a first-level cache.
    link: bool,
}

/// The kernels that were loaded so far.
#[derive(Default)]
pub(crate) struct Modules {
    modules: HashMap<Source, cu::CUmodule>,
    functions: HashMap<(Source, &'static str), Function>,
}

impl Modules {
    /// The kernel `name` of `source`. With more than 48 KiB of shared memory the kernel is told so. A `link` of a chain of
    /// launches prefers shared memory: two kernels run on a multiprocessor at once only if they want it divided alike.
    pub fn function(
        &mut self,
        source: Source,
        name: &'static str,
        shared_bytes: usize,
        link: bool,
    ) -> Result<cu::CUfunction, CudaError> {
        let known = self.functions.get(&(source, name)).copied();
        if let Some(known) = known.filter(|known| shared_bytes <= known.shared_bytes && (known.link || !link)) {
            return Ok(known.handle);
        }
        let module = match self.modules.get(&source) {
            Some(&module) => module,
            None => {
                let image = machine_code(source)?;
                // SAFETY: the image is a cubin as the compiler gave it; loading copies it.
                let module = unsafe { driver::module::load_data(image.as_ptr().cast::<c_void>()) };
                let module = module.named(&format!("load {}", source.name))?;
                self.modules.insert(source, module);
                module
            }
        };
        let symbol = CString::new(name).named("kernel name")?;
        // SAFETY: the module is loaded and stays so as long as the process.
        let handle = unsafe { driver::module::get_function(module, symbol) };
        let handle = handle.named(&format!("find {name} in {}", source.name))?;
        let tell = |attribute, value: usize| {
            // SAFETY: the function was just found.
            let answer = unsafe { cu::cuFuncSetAttribute(handle, attribute, value as i32) };
            answer.result().named(&format!("shared memory of {name}"))
        };
        use cu::CUfunction_attribute_enum as Attribute;
        if shared_bytes > WITHOUT_ASKING {
            tell(Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes)?;
        }
        if link {
            tell(Attribute::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100)?;
        }
        let function = Function {
            handle,
            shared_bytes: shared_bytes.max(WITHOUT_ASKING),
            link,
        };
        self.functions.insert((source, name), function);
        Ok(handle)
    }
}

/// Dynamic shared memory that every kernel may have.
const WITHOUT_ASKING: usize = 48 << 10;

// SAFETY: modules and functions are handles of the context, valid on every thread where it is current.
unsafe impl Send for Modules {}

/// The machine code of `source` for the current card, from the cache where it is there.
fn machine_code(source: Source) -> Result<Vec<u8>, CudaError> {
    let mut options = vec![
        format!("--gpu-architecture={}", architecture()?),
        "-std=c++17".to_owned(),
    ];
    options.extend(source.options.iter().map(|option| (*option).to_owned()));
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both pointers are valid.
    unsafe { nv::nvrtcVersion(&mut major, &mut minor) }
        .result()
        .named("nvrtcVersion")?;
    let mut hasher = DefaultHasher::new();
    (source.text, &options, major, minor).hash(&mut hasher);
    let file = cache_dir().map(|dir| dir.join(format!("{}-{:016x}.cubin", source.name, hasher.finish())));
    if let Some(image) = file.as_ref().and_then(|file| std::fs::read(file).ok()) {
        return Ok(image);
    }
    let image = compile(source, &options)?;
    if let Some(file) = file {
        // The cache only saves time: a folder that cannot be written costs the compilation at the next start.
        let partial = file.with_extension(format!("partial-{}", std::process::id()));
        let kept = std::fs::write(&partial, &image).and_then(|()| std::fs::rename(&partial, &file));
        drop(kept);
    }
    Ok(image)
}

fn compile(source: Source, options: &[String]) -> Result<Vec<u8>, CudaError> {
    let text = CString::new(source.text).named("kernel text")?;
    let name = CString::new(source.name).named("kernel name")?;
    let program = nvrtc::create_program(&text, Some(&name)).named("nvrtcCreateProgram")?;
    // SAFETY: the program was just created and is destroyed below, once.
    unsafe {
        let answer = nvrtc::compile_program(program, options);
        if let Err(error) = answer {
            let log = nvrtc::get_program_log(program).named("nvrtcGetProgramLog")?;
            let log: Vec<u8> = log.into_iter().map(|c| c as u8).collect();
            let call = format!("compile {}: {}", source.name, String::from_utf8_lossy(&log));
            return Err(CudaError::new(call, error));
        }
        let mut size = 0usize;
        nv::nvrtcGetCUBINSize(program, &mut size)
            .result()
            .named("nvrtcGetCUBINSize")?;
        let mut image = vec![0u8; size];
        nv::nvrtcGetCUBIN(program, image.as_mut_ptr().cast())
            .result()
            .named("nvrtcGetCUBIN")?;
        nvrtc::destroy_program(program).named("nvrtcDestroyProgram")?;
        Ok(image)
    }
}

/// `sm_90a` on Hopper (whose own instructions need the `a`), `sm_XY` elsewhere.
fn architecture() -> Result<String, CudaError> {
    let mut device = 0;
    let (mut major, mut minor) = (0, 0);
    use cu::CUdevice_attribute_enum::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    // SAFETY: a context is current on the device thread, and all pointers are valid.
    unsafe {
        cu::cuCtxGetDevice(&mut device).result().named("cuCtxGetDevice")?;
        cu::cuDeviceGetAttribute(&mut major, MAJOR, device)
            .result()
            .named("compute capability")?;
        cu::cuDeviceGetAttribute(&mut minor, MINOR, device)
            .result()
            .named("compute capability")?;
    }
    if major < 8 {
        return Err(CudaError::new(
            "the CUDA kernels need compute capability 8.0 (bf16 matrix units)",
            format!("{major}.{minor}"),
        ));
    }
    Ok(if major == 9 {
        "sm_90a".to_owned()
    } else {
        format!("sm_{major}{minor}")
    })
}

/// `CUA_GRPO_KERNEL_CACHE`, or a folder below the user's cache folder.
fn cache_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("CUA_GRPO_KERNEL_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
            Some(base.join("cua-grpo").join("kernels"))
        })?;
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir)
}
