//! What of the problem lies on the device: tiles of references, chunks of rows with their cosines or their vectors.
//!
//! Constraints: no binding past the adapter's limit, kept cosines within the budget; what the device has no memory for
//! is made again in every sweep.

use super::format::GpuKernel;
use super::layout::{TILE_COLUMNS, TILE_ROWS};
use super::machine::Machine;
use crate::gpu::{GpuError, PIECE};
use crate::jobs::Progress;

/// Bytes of a strip of cosines that are not kept.
const STRIP_BYTES: u64 = 32 << 20;
/// A kept chunk is one binding of at most this many bytes.
const CHUNK_BYTES: u64 = 1 << 30;

/// Columns of the references in one binding.
pub(super) struct Tile {
    pub buffer: wgpu::Buffer,
    pub first: usize,
    pub columns: usize,
}

/// A run of rows with its cosines or its vectors on the device.
pub(super) struct Chunk {
    pub first: usize,
    pub rows: usize,
    pub cosines: Option<wgpu::Buffer>,
    pub vectors: Option<wgpu::Buffer>,
}

impl Machine<'_> {
    pub(super) fn lay_tiles(&mut self, progress: &dyn Progress) -> Result<(), GpuError> {
        let most = self.device.binding_limit() as usize / self.vector_bytes() / TILE_COLUMNS * TILE_COLUMNS;
        if most == 0 {
            let needed = (TILE_COLUMNS * self.vector_bytes()) as u64;
            return Err(GpuError::TooLarge { what: "vectors", needed, allowed: self.device.binding_limit() });
        }
        let width = self.width();
        for first in (0..width).step_by(most) {
            let columns = most.min(width - first);
            let buffer = self.device.storage("references", (columns * self.vector_bytes()) as u64)?;
            self.upload(&buffer, self.clouds.references(), first, columns, progress)?;
            self.tiles.push(Tile { buffer, first, columns });
        }
        Ok(())
    }

    /// Cuts the rows into chunks: as many as fit the budget are kept.
    pub(super) fn lay_chunks(&mut self, budget: u64, progress: &dyn Progress) -> Result<(), GpuError> {
        let (n, width, limit) = (self.clouds.rows, self.width(), self.device.binding_limit().min(CHUNK_BYTES));
        let by_vectors = limit as usize / self.vector_bytes();
        let entry = if self.kernel == GpuKernel::Packed { 2 } else { 4 };
        let most = by_vectors.min(limit as usize / (entry * width)) / TILE_ROWS * TILE_ROWS;
        if most == 0 {
            let needed = (TILE_ROWS * (entry * width).max(self.vector_bytes())) as u64;
            return Err(GpuError::TooLarge { what: "a tile of the kernel", needed, allowed: limit });
        }
        let row_bytes = (self.kernel.bytes() * width) as u64;
        let fitting = budget.checked_div(row_bytes).unwrap_or(0).min(n as u64) as usize;
        self.kept = if fitting == n { n } else { fitting / TILE_ROWS * TILE_ROWS };
        let mut left = budget.saturating_sub(self.kept as u64 * row_bytes);
        let mut first = 0;
        while first < n {
            let end = if first < self.kept { self.kept } else { n };
            let rows = most.min(end - first);
            let mut chunk = Chunk { first, rows, cosines: None, vectors: None };
            if first < self.kept && !self.refused {
                match self.device.storage("cosines", rows as u64 * row_bytes) {
                    Ok(buffer) => chunk.cosines = Some(buffer),
                    Err(GpuError::OutOfMemory { .. }) => {
                        (self.kept, self.refused, left) = (first, true, 0);
                        // The rest is cut anew, as recomputed.
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let bytes = (rows * self.vector_bytes()) as u64;
            if chunk.cosines.is_none() && bytes <= left {
                let buffer = self.device.storage("vectors", bytes)?;
                self.upload(&buffer, self.clouds.custom(), first, rows, progress)?;
                left -= bytes;
                chunk.vectors = Some(buffer);
            }
            self.chunks.push(chunk);
            first += rows;
        }
        let tallest = self.chunks.iter().map(|chunk| chunk.rows).max().unwrap_or(0);
        if self.chunks.iter().any(|chunk| chunk.vectors.is_none()) {
            self.vectors = Some(self.device.storage("vectors", (tallest * self.vector_bytes()) as u64)?);
        }
        if self.kept < n {
            let bytes = STRIP_BYTES.min(limit) as usize / (entry * width) / TILE_ROWS * TILE_ROWS;
            let rows = bytes.clamp(TILE_ROWS, tallest.next_multiple_of(TILE_ROWS));
            self.strip = Some((self.device.storage("strip", (rows * entry * width) as u64)?, rows));
        }
        Ok(())
    }

    /// Writes vectors `first..first + rows` of `data`, padded to whole tiles of the product.
    pub(super) fn upload(
        &self,
        buffer: &wgpu::Buffer,
        data: &[f32],
        first: usize,
        rows: usize,
        progress: &dyn Progress,
    ) -> Result<(), GpuError> {
        let (dim, padded) = (self.clouds.dim, self.clouds.dim.next_multiple_of(16));
        let data = data.get(first * dim..(first + rows) * dim).unwrap_or_default();
        // In pieces, so that a cancel is heard and the driver's copy of what is under way stays small.
        let piece = (PIECE / self.vector_bytes()).max(1);
        let mut offset = 0;
        for part in data.chunks(piece * dim) {
            progress.check()?;
            if dim == padded {
                self.write_part(buffer, offset, bytemuck::cast_slice(part), progress)?;
            } else {
                let mut wide = vec![0.0f32; part.len() / dim * padded];
                for (wide, row) in wide.chunks_exact_mut(padded).zip(part.chunks_exact(dim)) {
                    wide[..dim].copy_from_slice(row);
                }
                self.write_part(buffer, offset, bytemuck::cast_slice(&wide), progress)?;
            }
            offset += (part.len() / dim * self.vector_bytes()) as u64;
        }
        self.device.check()
    }

    /// Rows of more than a piece go there in several.
    fn write_part(
        &self,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: &[u8],
        progress: &dyn Progress,
    ) -> Result<(), GpuError> {
        let mut offset = offset;
        for piece in bytes.chunks(PIECE) {
            self.device.upload(buffer, offset, piece, progress)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }
}
