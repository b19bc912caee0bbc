//! CUDA C++ texts to loaded kernels: compiled with NVRTC when first used, the machine code kept in a cache folder.

use super::capability::Capability;
use super::error::{CudaError, Named};
use super::source::Source;
use cudarc::driver::{result as driver, sys as cu};
use cudarc::nvrtc::{result as nvrtc, sys as nv};
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// A kernel, and what it was told so far.
#[derive(Clone, Copy)]
struct Function {
    handle: cu::CUfunction,
    /// Most dynamic shared memory that it may be launched with.
    shared_bytes: usize,
}

/// The kernels that were loaded so far.
pub(crate) struct Modules {
    card: Capability,
    /// Links of chains are loaded apart, as what a function prefers is told once for all its launches.
    modules: HashMap<(Source, bool), cu::CUmodule>,
    functions: HashMap<(Source, &'static str, bool), Function>,
}

impl Modules {
    /// None yet, for this card.
    pub fn new(card: Capability) -> Self {
        Self {
            card,
            modules: HashMap::new(),
            functions: HashMap::new(),
        }
    }

    /// The kernel `name` of `source`. With more than 48 KiB of shared memory the kernel is told so. A `link` of a chain of
    /// launches prefers shared memory to a first-level cache: two kernels run on a multiprocessor at once only if they want
    /// it divided alike. Outside of a chain that costs a decode step 3 % at 32 rows and 9 % at 128.
    pub fn function(
        &mut self,
        source: Source,
        name: &'static str,
        shared_bytes: usize,
        link: bool,
    ) -> Result<cu::CUfunction, CudaError> {
        let known = self.functions.get(&(source, name, link)).copied();
        if let Some(known) = known.filter(|known| shared_bytes <= known.shared_bytes) {
            return Ok(known.handle);
        }
        let module = match self.modules.get(&(source, link)) {
            Some(&module) => module,
            None => {
                let image = image(source, &self.card)?;
                // SAFETY: the image is as the compiler gave it, its text ends in 0; loading copies it.
                let module = unsafe { driver::module::load_data(image.as_ptr().cast::<c_void>()) };
                let module = module.named(&format!("load {}", source.name))?;
                self.modules.insert((source, link), module);
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
        };
        self.functions.insert((source, name, link), function);
        Ok(handle)
    }
}

/// Dynamic shared memory that every kernel may have.
const WITHOUT_ASKING: usize = 48 << 10;

// SAFETY: modules and functions are handles of the context, valid on every thread where it is current.
unsafe impl Send for Modules {}

/// What the driver loads of `source`, from the cache where it is there.
fn image(source: Source, card: &Capability) -> Result<Vec<u8>, CudaError> {
    let mut options = vec![
        format!("--gpu-architecture={}", card.architecture()),
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
    let image = compile(source, &options, card.translates())?;
    if let Some(file) = file {
        // The cache only saves time: a folder that cannot be written costs the compilation at the next start.
        let partial = file.with_extension(format!("partial-{}", std::process::id()));
        let kept = std::fs::write(&partial, &image).and_then(|()| std::fs::rename(&partial, &file));
        drop(kept);
    }
    Ok(image)
}

fn compile(source: Source, options: &[String], translates: bool) -> Result<Vec<u8>, CudaError> {
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
        let (size_of, copy): (unsafe fn(_, _) -> _, unsafe fn(_, _) -> _) = match translates {
            true => (nv::nvrtcGetPTXSize, nv::nvrtcGetPTX),
            false => (nv::nvrtcGetCUBINSize, nv::nvrtcGetCUBIN),
        };
        let mut size = 0usize;
        size_of(program, &mut size)
            .result()
            .named("size of the compiled kernels")?;
        let mut image = vec![0u8; size];
        copy(program, image.as_mut_ptr().cast())
            .result()
            .named("compiled kernels")?;
        nvrtc::destroy_program(program).named("nvrtcDestroyProgram")?;
        Ok(image)
    }
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
