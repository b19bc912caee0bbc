//! The kernels compile for every card that is supported, without a card: NVRTC translates them, and says how many registers
//! each takes and what of them it had to keep in memory. `cargo xtask kernels` fetches NVRTC and runs this.

#![allow(unsafe_code)] // Calls of a library in C.
#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "the launches that use the rest are in the crate")]
#[path = "../src/cuda/source.rs"]
mod source;

use burn::tensor::DType;
use libloading::Library;
use source::Source;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ampere, its smaller cards, Ada, Hopper, Blackwell, its smaller cards.
const CARDS: &[&str] = &["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"];

/// Kernels that may keep bytes of a thread in memory, and how many at most on any card. Others none.
const SPILLS: &[(&str, usize)] = &[
    ("attention_backward_keys_causal", 32),
    ("attention_backward_keys_full", 32),
    ("norm_rotary", 32),
    ("norm_rotary_backward", 32),
    ("nf4_gemm_8", 16),
    ("nf4_gemm_16", 48),
    ("nf4_gemm_32", 96),
    ("product_nf4", 16),
    ("product_nf4_far", 48),
    ("rotary", 32),
    ("sample", 192),
    ("wide_nf4_32", 64),
];

/// Static shared memory that a block of any card may have.
const SHARED: usize = 48 << 10;

/// What NVRTC says of a kernel.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Use {
    name: String,
    registers: usize,
    shared: usize,
    spilled: usize,
}

fn all() -> Vec<Source> {
    let typed = source::OF_A_FORMAT.iter();
    let typed = typed.flat_map(|text| [DType::BF16, DType::F32].map(text));
    // It has no form in f32, and decoding has heads of two sizes.
    let meant = |source: &Source| match source.name {
        "product_wide.cu" => source.options.contains(&"-DT_BF16=1"),
        "attention_decode.cu" => source
            .options
            .iter()
            .any(|o| matches!(*o, "-DHEAD_DIM=64" | "-DHEAD_DIM=128")),
        _ => true,
    };
    let heads = source::OF_HEADS.iter();
    let heads = heads.flat_map(|text| [64, 72, 80, 96, 128].into_iter().filter_map(text));
    let all = typed.chain(heads).chain([source::product(), source::lora()]);
    all.filter(meant).collect()
}

type Program = *mut c_void;

/// Compiles `source` for `card`, and gives what is said of its kernels.
fn compile(nvrtc: &Library, source: &Source, card: &str) -> Result<Vec<Use>, String> {
    type Create =
        unsafe extern "C" fn(*mut Program, *const c_char, *const c_char, c_int, *const c_void, *const c_void) -> c_int;
    type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
    type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
    type Copy = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
    type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;
    let c = |text: &str| CString::new(text).unwrap();
    let (text, name) = (c(source.text), c(source.name));
    let card = format!("--gpu-architecture={card}");
    let fixed = [card.as_str(), "-std=c++17", "--ptxas-options=-v"];
    let options: Vec<CString> = fixed.iter().chain(source.options).map(|option| c(option)).collect();
    let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    // SAFETY: the types are those of nvrtc.h, all texts live until the program is destroyed, and the log has its size.
    let (answer, log) = unsafe {
        let create = nvrtc.get::<Create>(b"nvrtcCreateProgram").unwrap();
        let run = nvrtc.get::<Compile>(b"nvrtcCompileProgram").unwrap();
        let size_of = nvrtc.get::<Size>(b"nvrtcGetProgramLogSize").unwrap();
        let copy = nvrtc.get::<Copy>(b"nvrtcGetProgramLog").unwrap();
        let destroy = nvrtc.get::<Destroy>(b"nvrtcDestroyProgram").unwrap();
        let (mut program, mut size) = (null_mut(), 0);
        assert_eq!(create(&mut program, text.as_ptr(), name.as_ptr(), 0, null(), null()), 0);
        let answer = run(program, options.len() as c_int, options.as_ptr());
        assert_eq!(size_of(program, &mut size), 0);
        let mut log = vec![0u8; size.max(1)];
        assert_eq!(copy(program, log.as_mut_ptr().cast()), 0);
        assert_eq!(destroy(&mut program), 0);
        let log = CStr::from_bytes_until_nul(&log).map_or_else(|_| String::new(), |log| log.to_string_lossy().into());
        (answer, log)
    };
    if answer == 0 { Ok(uses(&log)) } else { Err(log) }
}

/// Reads the lines of the assembler: a kernel's name, what it spills, what it uses.
fn uses(log: &str) -> Vec<Use> {
    let before = |line: &str, words: &str| -> Option<usize> {
        let end = line.find(words)?;
        line[..end]
            .rsplit([' ', ','])
            .find(|word| !word.is_empty())?
            .parse()
            .ok()
    };
    let mut all: Vec<Use> = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.split("Compiling entry function '").nth(1) {
            all.push(Use {
                name: name.split('\'').next().unwrap_or_default().into(),
                ..Use::default()
            });
        }
        let Some(last) = all.last_mut() else { continue };
        if let Some(bytes) = before(line, " bytes spill stores") {
            last.spilled = bytes;
        }
        if let Some(registers) = line.split("Used ").nth(1).and_then(|line| before(line, " registers")) {
            last.registers = registers;
            last.shared = before(line, " bytes smem").unwrap_or(0);
        }
    }
    all
}

#[test]
fn the_assembler_is_understood() {
    let log = "ptxas info    : Compiling entry function 'sample' for 'sm_80'\n\
        ptxas info    : Function properties for sample\n    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads\n\
        ptxas info    : Used 64 registers, used 1 barriers, 1208 bytes smem, 456 bytes cmem[0]\n\
        ptxas info    : Compiling entry function 'advance' for 'sm_80'\n\
        ptxas info    : Used 20 registers, 456 bytes cmem[0]\n";
    let want = |name: &str, registers, shared, spilled| Use {
        name: name.into(),
        registers,
        shared,
        spilled,
    };
    assert_eq!(uses(log), [want("sample", 64, 1208, 12), want("advance", 20, 0, 0)]);
}

#[test]
#[ignore = "needs NVRTC: `cargo xtask kernels`"]
fn kernels_compile_for_every_card() {
    let path = std::env::var_os("NVRTC").expect("NVRTC names the library: `cargo xtask kernels` does it");
    // SAFETY: the library of NVIDIA; what runs when it is opened is its own.
    let nvrtc = unsafe { Library::new(&path) }.unwrap();
    let sources = all();
    assert!(sources.len() > 20, "{}", sources.len());
    let work: Vec<(&str, &Source)> = CARDS
        .iter()
        .flat_map(|card| sources.iter().map(move |s| (*card, s)))
        .collect();
    let (next, wrong, most) = (
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
        Mutex::new(Vec::<(Use, String)>::new()),
    );
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((card, source)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let place = format!("{} {} on {card}", source.name, source.options.join(" "));
                    let kernels = match compile(&nvrtc, source, card) {
                        Ok(kernels) if !kernels.is_empty() => kernels,
                        Ok(_) => {
                            wrong.lock().unwrap().push(format!("{place}: no kernel"));
                            continue;
                        }
                        Err(log) => {
                            wrong.lock().unwrap().push(format!("{place}: {log}"));
                            continue;
                        }
                    };
                    for kernel in kernels {
                        let known = SPILLS.iter().find(|(name, _)| *name == kernel.name);
                        let allowed = known.map_or(0, |(_, bytes)| *bytes);
                        if kernel.spilled > allowed || kernel.shared > SHARED || kernel.registers == 0 {
                            wrong.lock().unwrap().push(format!(
                                "{place}: {kernel:?}; allowed are {allowed} bytes in memory and {SHARED} shared"
                            ));
                        }
                        most.lock().unwrap().push((kernel, place.clone()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let most = most.into_inner().unwrap();
    let registers = most.iter().max_by_key(|(kernel, _)| kernel.registers).unwrap();
    let spilled = most.iter().filter(|(kernel, _)| kernel.spilled > 0).count();
    eprintln!(
        "{} kernels of {} texts on {} cards: at most {} registers ({}, {}); {spilled} keep bytes in memory",
        most.len(),
        sources.len(),
        CARDS.len(),
        registers.0.registers,
        registers.0.name,
        registers.1
    );
}
