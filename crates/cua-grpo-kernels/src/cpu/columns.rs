//! Memory for a matrix that is written in blocks of columns, each by one thread.

use std::marker::PhantomData;

/// A block of neighbouring columns of a matrix under construction.
pub(super) struct Block<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: a block is a mutable borrow of its own elements, and f32 can be sent.
#[allow(unsafe_code)]
unsafe impl Send for Block<'_> {}

impl<'a> Block<'a> {
    /// All of a dense matrix with rows of `columns`.
    ///
    /// # Panics
    /// When `data` is not whole rows.
    pub(super) fn all(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert!(
            data.len() == rows * columns,
            "matrix: expected {rows} rows of {columns}, got {} elements",
            data.len()
        );
        Self {
            start: data.as_mut_ptr(),
            rows,
            columns,
            stride: columns,
            matrix: PhantomData,
        }
    }

    /// Blocks of `many` columns, the last one possibly narrower, that do not overlap.
    #[allow(unsafe_code)]
    pub(super) fn split(self, many: usize) -> Vec<Self> {
        let many = many.max(1);
        (0..self.columns)
            .step_by(many)
            .map(|first| Self {
                // SAFETY: `first` is below the width of a row, so the pointer stays inside the matrix (or is not
                // read where there are no rows).
                start: if self.rows == 0 {
                    self.start
                } else {
                    unsafe { self.start.add(first) }
                },
                columns: many.min(self.columns - first),
                ..self
            })
            .collect()
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Distance between rows.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The first element; rows of `columns` follow, `stride` apart, and nobody else reaches them.
    pub(super) fn pointer(&mut self) -> *mut f32 {
        self.start
    }

    /// The rows, one after the other.
    ///
    /// # Panics
    /// When `values` has another number of elements.
    pub(super) fn copy_to(&mut self, values: &mut [f32]) {
        self.rows_beside(values.len(), |row, own| {
            values[row * own.len()..(row + 1) * own.len()].copy_from_slice(own);
        });
    }

    /// Sets the rows to `values`, which has them one after the other.
    ///
    /// # Panics
    /// When `values` has another number of elements.
    pub(super) fn copy_from(&mut self, values: &[f32]) {
        self.rows_beside(values.len(), |row, own| {
            let width = own.len();
            own.copy_from_slice(&values[row * width..(row + 1) * width]);
        });
    }

    /// Each row with its number; `count` elements lie beside them.
    #[allow(unsafe_code)]
    fn rows_beside(&mut self, count: usize, mut each: impl FnMut(usize, &mut [f32])) {
        assert_eq!(
            count,
            self.rows * self.columns,
            "block of columns: expected a value for each element"
        );
        for row in 0..self.rows {
            // SAFETY: the block owns `columns` elements of each row, and `row` is one of them.
            each(row, unsafe {
                std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.columns)
            });
        }
    }

    /// Sets every row to `values`.
    ///
    /// # Panics
    /// When there are not as many values as columns.
    pub(super) fn fill_rows(&mut self, values: &[f32]) {
        assert_eq!(
            values.len(),
            self.columns,
            "block of columns: expected a value for each"
        );
        self.rows_beside(self.rows * self.columns, |_, own| own.copy_from_slice(values));
    }
}
