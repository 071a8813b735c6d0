//! Lines, written in large blocks.

use std::io::{self, Write};

/// Collects lines and writes them together.
#[derive(Debug)]
pub(super) struct BlockWriter<W> {
    output: W,
    lines: Vec<u8>,
}

/// Bytes of lines collected before a write: enough to make the cost of system calls negligible.
const BLOCK: usize = 64 * 1024;

impl<W: Write> BlockWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            lines: Vec::with_capacity(BLOCK),
        }
    }

    /// Adds the lines that `render` appends.
    pub(super) fn add(
        &mut self,
        render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        render(&mut self.lines)?;
        if self.lines.len() >= BLOCK {
            self.write_lines()?;
        }
        Ok(())
    }

    /// Writes lines that are ready, after those that were collected: without a copy, unless they are few.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.lines.len() + lines.len() < BLOCK {
            self.lines.extend_from_slice(lines);
            return Ok(());
        }
        self.write_lines()?;
        self.output.write_all(lines)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write_lines()?;
        self.output.flush()
    }

    fn write_lines(&mut self) -> io::Result<()> {
        self.output.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}
