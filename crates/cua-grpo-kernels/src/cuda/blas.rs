//! cuBLASLt on one card: the shapes of products, and the plan of every shape, which is kept.

use super::error::{CudaError, Named};
use cudarc::cublaslt::{result as lt, sys};
use cudarc::driver::sys as cu;
use std::collections::HashMap;
use std::ffi::c_void;

/// Scratch memory of the library, in bytes.
static WORKSPACE: usize = 64 << 20;

/// Number format of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    /// 32-bit float.
    F32,
    /// bfloat16.
    Bf16,
}

impl Element {
    fn data_type(self) -> sys::cudaDataType {
        match self {
            Self::F32 => sys::cudaDataType_t::CUDA_R_32F,
            Self::Bf16 => sys::cudaDataType_t::CUDA_R_16BF,
        }
    }
}

/// Shape of a product `D[m, n] = alpha * A B + beta * D (+ bias)`, all row-major, sums in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    /// A is stored `[k, m]`.
    pub a_transposed: bool,
    /// B is stored `[n, k]`, as weights are.
    pub b_transposed: bool,
    /// Elements from one row of A to the next, and so on.
    pub a_stride: usize,
    pub b_stride: usize,
    pub d_stride: usize,
    /// Format of A and B.
    pub input: Element,
    /// Format of D and the bias.
    pub output: Element,
    /// A bias `[n]` is added.
    pub bias: bool,
    /// D is added to.
    pub accumulate: bool,
}

impl Product {
    /// `x W^T` for dense `x [m, k]` and `W [n, k]`.
    pub fn linear(m: usize, n: usize, k: usize, element: Element) -> Self {
        Self {
            m,
            n,
            k,
            a_transposed: false,
            b_transposed: true,
            a_stride: k,
            b_stride: k,
            d_stride: n,
            input: element,
            output: element,
            bias: false,
            accumulate: false,
        }
    }

    /// `y W` for dense `y [m, k]` and `W [k, n]`: the input gradient of a linear map.
    pub fn plain(m: usize, n: usize, k: usize, element: Element) -> Self {
        Self {
            b_transposed: false,
            b_stride: n,
            ..Self::linear(m, n, k, element)
        }
    }

    /// `y^T x` for dense `y [k, m]` and `x [k, n]`: a weight gradient, in f32.
    pub fn outer(m: usize, n: usize, k: usize, element: Element) -> Self {
        Self {
            a_transposed: true,
            a_stride: m,
            output: Element::F32,
            ..Self::plain(m, n, k, element)
        }
    }
}

/// A chosen algorithm with its descriptors.
struct Plan {
    description: sys::cublasLtMatmulDesc_t,
    a: sys::cublasLtMatrixLayout_t,
    b: sys::cublasLtMatrixLayout_t,
    d: sys::cublasLtMatrixLayout_t,
    algorithm: sys::cublasLtMatmulAlgo_t,
}

/// The library on one card.
pub(crate) struct Blas {
    handle: sys::cublasLtHandle_t,
    workspace: cu::CUdeviceptr,
    plans: HashMap<Product, Plan>,
}

// SAFETY: the handle and the descriptors may be used from any thread, one at a time.
unsafe impl Send for Blas {}

impl Blas {
    pub fn open() -> Result<Self, CudaError> {
        let mut workspace = 0;
        // SAFETY: a context is current on the device thread; the pointer is valid.
        unsafe { cu::cuMemAlloc_v2(&mut workspace, WORKSPACE) }
            .result()
            .named("cuMemAlloc of the cuBLASLt workspace")?;
        Ok(Self {
            handle: lt::create_handle().named("cublasLtCreate")?,
            workspace,
            plans: HashMap::new(),
        })
    }

    /// Submits `D = alpha * A B + beta * C (+ bias)` to `stream`, with beta 1 where the product accumulates and 0
    /// elsewhere; C is shaped as D.
    pub fn multiply(
        &mut self,
        stream: cu::CUstream,
        product: Product,
        alpha: f64,
        [a, b]: [cu::CUdeviceptr; 2],
        bias: Option<cu::CUdeviceptr>,
        [c, d]: [cu::CUdeviceptr; 2],
    ) -> Result<(), CudaError> {
        let (handle, workspace) = (self.handle, self.workspace);
        let plan = self.plan(product)?;
        if let Some(bias) = bias.filter(|_| product.bias) {
            let attribute = sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER;
            // SAFETY: the description lives, and the value is an address of eight bytes.
            unsafe {
                lt::set_matmul_desc_attribute(
                    plan.description,
                    attribute,
                    (&raw const bias).cast(),
                    size_of::<cu::CUdeviceptr>(),
                )
            }
            .named("bias of a product")?;
        }
        let (alpha, beta) = (alpha as f32, if product.accumulate { 1.0f32 } else { 0.0f32 });
        // SAFETY: the operands are as large as the product says; alpha and beta are read before the call returns.
        unsafe {
            lt::matmul(
                handle,
                plan.description,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                b as *const c_void,
                plan.b,
                a as *const c_void,
                plan.a,
                c as *const c_void,
                plan.d,
                d as *mut c_void,
                plan.d,
                &raw const plan.algorithm,
                workspace as *mut c_void,
                WORKSPACE,
                stream.cast(),
            )
        }
        .named(&format!("cublasLtMatmul of {product:?}"))
    }

    fn plan(&mut self, product: Product) -> Result<&mut Plan, CudaError> {
        use std::collections::hash_map::Entry;
        match self.plans.entry(product) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(make_plan(self.handle, product)?)),
        }
    }
}

/// The library is column-major: it computes the transpose of D, from B as its first operand.
fn make_plan(handle: sys::cublasLtHandle_t, product: Product) -> Result<Plan, CudaError> {
    let Product { m, n, k, .. } = product;
    let layout = |element: Element, rows: usize, columns: usize, stride: usize| {
        lt::create_matrix_layout(element.data_type(), rows as u64, columns as u64, stride as i64)
            .named("cublasLtMatrixLayoutCreate")
    };
    let (first_rows, first_columns) = if product.b_transposed { (k, n) } else { (n, k) };
    let (second_rows, second_columns) = if product.a_transposed { (m, k) } else { (k, m) };
    let b = layout(product.input, first_rows, first_columns, product.b_stride)?;
    let a = layout(product.input, second_rows, second_columns, product.a_stride)?;
    let d = layout(product.output, n, m, product.d_stride)?;
    let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
    let description =
        lt::create_matmul_desc(compute, sys::cudaDataType_t::CUDA_R_32F).named("cublasLtMatmulDescCreate")?;
    let set = |attribute, value: *const c_void, size| {
        // SAFETY: the description lives, and `value` points to `size` bytes.
        unsafe { lt::set_matmul_desc_attribute(description, attribute, value, size) }
            .named("cublasLtMatmulDescSetAttribute")
    };
    use sys::cublasLtMatmulDescAttributes_t as Attribute;
    let operation = |transposed: bool| i32::from(transposed);
    let (first, second) = (operation(product.b_transposed), operation(product.a_transposed));
    set(
        Attribute::CUBLASLT_MATMUL_DESC_TRANSA,
        (&raw const first).cast(),
        size_of::<i32>(),
    )?;
    set(
        Attribute::CUBLASLT_MATMUL_DESC_TRANSB,
        (&raw const second).cast(),
        size_of::<i32>(),
    )?;
    if product.bias {
        let epilogue = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS as u32;
        set(
            Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE,
            (&raw const epilogue).cast(),
            size_of::<u32>(),
        )?;
        let format = product.output.data_type() as u32;
        set(
            Attribute::CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
            (&raw const format).cast(),
            size_of::<u32>(),
        )?;
    }
    let preference = lt::create_matmul_pref().named("cublasLtMatmulPreferenceCreate")?;
    let prefer = |attribute, value: *const c_void, size| {
        // SAFETY: as above.
        unsafe { lt::set_matmul_pref_attribute(preference, attribute, value, size) }
            .named("cublasLtMatmulPreferenceSetAttribute")
    };
    use sys::cublasLtMatmulPreferenceAttributes_t as Preference;
    prefer(
        Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
        (&raw const WORKSPACE).cast(),
        size_of::<usize>(),
    )?;
    // Partial sums stay in f32: a reduction in the output's format costs a digit.
    let reductions = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;
    prefer(
        Preference::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        (&raw const reductions).cast(),
        size_of::<u32>(),
    )?;
    // SAFETY: all descriptors live.
    let found = unsafe { lt::get_matmul_algo_heuristic(handle, description, b, a, d, d, preference) };
    let found = found.named(&format!("no algorithm for {product:?}"))?;
    // SAFETY: the preference is not used again.
    unsafe { lt::destroy_matmul_pref(preference) }.named("cublasLtMatmulPreferenceDestroy")?;
    Ok(Plan {
        description,
        a,
        b,
        d,
        algorithm: found.algo,
    })
}
