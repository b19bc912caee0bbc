//! Matrix products inside a section.

use super::blas::Product;
use super::error::CudaError;
use super::section::{Address, Section};

impl Section<'_> {
    /// Runs a product. `bias` is read where the product says so.
    pub fn multiply(
        &mut self,
        product: Product,
        alpha: f64,
        a: Address,
        b: Address,
        bias: Option<Address>,
        d: Address,
    ) -> Result<(), CudaError> {
        self.multiply_onto(product, alpha, [a, b], bias, d, d)
    }

    /// As [`Section::multiply`]; a product that accumulates adds the matrix `c`, shaped as D, and D need not hold anything.
    pub fn multiply_onto(
        &mut self,
        product: Product,
        alpha: f64,
        factors: [Address; 2],
        bias: Option<Address>,
        c: Address,
        d: Address,
    ) -> Result<(), CudaError> {
        let stream = self.gpu.stream;
        self.gpu.blas.multiply(stream, product, alpha, factors, bias, [c, d])
    }
}
