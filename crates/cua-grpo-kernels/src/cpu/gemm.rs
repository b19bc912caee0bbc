//! Matrix products of strided views.

use super::columns::Block;
use ::gemm::Parallelism;

/// A matrix inside a slice that starts at its first element.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` neighbours, `stride` apart.
    ///
    /// # Panics
    /// When `data` is too short.
    pub(super) fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let fits = rows == 0 || columns == 0 || (rows - 1) * stride + columns <= data.len();
        assert!(
            fits,
            "matrix view: expected {rows} rows of {columns}, {stride} apart; got {} elements",
            data.len()
        );
        Self {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// Columns `start..start + count`, which must be among its own.
    fn columns_from(self, start: usize, count: usize) -> Self {
        Self {
            data: self.data.get(start * self.column_stride..).unwrap_or_default(),
            columns: count,
            ..self
        }
    }

    /// Rows `start..start + count`, which must be among its own.
    fn rows_from(self, start: usize, count: usize) -> Self {
        self.transpose().columns_from(start, count).transpose()
    }

    /// The transpose.
    pub(super) fn transpose(self) -> Self {
        let Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride,
        } = self;
        Self {
            data,
            rows: columns,
            columns: rows,
            row_stride: column_stride,
            column_stride: row_stride,
        }
    }
}

/// `destination += factor * a b` where `add`, else `destination = factor * a b`, on this thread; the destination is
/// dense.
///
/// # Panics
/// When the sizes do not match.
pub(super) fn gemm(destination: &mut [f32], add: bool, factor: f32, a: Matrix<'_>, b: Matrix<'_>) {
    let mut whole = Block::all(destination, a.rows, b.columns);
    product(&mut whole, add, factor, a, b, Parallelism::None);
}

/// As `gemm`, into columns of a matrix.
pub(super) fn gemm_columns(destination: &mut Block<'_>, add: bool, factor: f32, a: Matrix<'_>, b: Matrix<'_>) {
    product(destination, add, factor, a, b, Parallelism::None);
}

/// As `gemm`, on all threads where that pays. They share rows and columns, never a sum.
pub(super) fn gemm_parallel(destination: &mut [f32], add: bool, factor: f32, a: Matrix<'_>, b: Matrix<'_>) {
    let large = a.rows * a.columns * b.columns > 1 << 22;
    let threads = if large {
        Parallelism::Rayon(0)
    } else {
        Parallelism::None
    };
    let mut whole = Block::all(destination, a.rows, b.columns);
    product(&mut whole, add, factor, a, b, threads);
}

/// Products of at most so many elements take a routine of `gemm` that sums in another order, where both matrices lie along
/// the sum.
const FEW: usize = 256;

/// How many rows a product of `rows` by `columns` is computed with, so that a row comes out the same whatever other rows
/// there are: `gemm` has routines of their own for a single row and for small products.
fn enough_rows(rows: usize, columns: usize) -> usize {
    rows.max(2).max(FEW / columns.max(1) + 1)
}

fn product(out: &mut Block<'_>, add: bool, factor: f32, a: Matrix<'_>, b: Matrix<'_>, threads: Parallelism) {
    let rows = enough_rows(a.rows, b.columns);
    let along_the_sum = a.column_stride == 1 && b.row_stride == 1;
    if a.rows == 0 || a.rows == rows || !along_the_sum {
        return multiply(out, add, factor, a, b, threads);
    }
    // Rows of zeros besides: what they give is left behind.
    let mut more = vec![0.0; rows * a.columns];
    for (row, more) in more.chunks_exact_mut(a.columns.max(1)).take(a.rows).enumerate() {
        more.copy_from_slice(&a.data[row * a.row_stride..row * a.row_stride + a.columns]);
    }
    let mut result = vec![0.0; rows * b.columns];
    let columns = b.columns;
    if add {
        out.copy_to(&mut result[..a.rows * columns]);
    }
    let padded = Matrix::new(&more, rows, a.columns, a.columns);
    let mut whole = Block::all(&mut result, rows, columns);
    multiply(&mut whole, add, factor, padded, b, threads);
    out.copy_from(&result[..a.rows * columns]);
}

/// Longer sums are made of pieces of so many products: `gemm` would split them at places that depend on how many rows and
/// columns there are.
const DEPTH: usize = 512;

fn multiply(out: &mut Block<'_>, add: bool, factor: f32, a: Matrix<'_>, b: Matrix<'_>, threads: Parallelism) {
    assert!(
        a.columns == b.rows && out.rows() == a.rows && out.columns() == b.columns,
        "matrix product: expected matching sizes"
    );
    let (mut add, mut start) = (add, 0);
    loop {
        let count = DEPTH.min(a.columns - start);
        piece(
            out,
            add,
            factor,
            a.columns_from(start, count),
            b.rows_from(start, count),
            threads,
        );
        (add, start) = (true, start + count);
        if start == a.columns {
            return;
        }
    }
}

#[allow(unsafe_code)]
fn piece(out: &mut Block<'_>, add: bool, factor: f32, a: Matrix<'_>, b: Matrix<'_>, threads: Parallelism) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    // SAFETY: `Matrix` is only made over slices that hold all its elements (a transpose spans the same ones, a part fewer);
    // the destination owns `m` rows of `n` elements, so it does not overlap `a` or `b`.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out.pointer(),
            1,
            out.stride() as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            threads,
        );
    }
}
