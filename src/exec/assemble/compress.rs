//! Compression whose bytes are the same on every machine, on however many cores.
//!
//! A layer is cut into blocks of a fixed size, and each is compressed on its own: for gzip the blocks are parts of one deflate
//! stream, each ended at a byte boundary (a "sync flush") and none referring to another; for zstd they are frames.
//!
//! Sources: RFC 1951 (section 3.2.3 allows any sequence of blocks), RFC 1952; RFC 8878, section 3 ("one or more frames").

use std::io::{self, Write};

use flate2::{Compress, Compression as Level, Crc, FlushCompress};
use rayon::prelude::*;

use crate::oci::media_type;
use crate::project::Compression;

/// The bytes that are compressed at once, on one core.
const BLOCK: usize = 1024 * 1024;

/// The level of gzip unless the manifest names one.
const GZIP_LEVEL: i32 = 6;
/// The level of zstd unless the manifest names one.
const ZSTD_LEVEL: i32 = 3;

/// How layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub compression: Compression,
    pub level: i32,
}

impl Method {
    pub(super) fn new(compression: Compression, level: Option<i32>) -> Self {
        let level = match compression {
            Compression::Gzip => level.unwrap_or(GZIP_LEVEL).clamp(0, 9),
            Compression::Zstd => level.unwrap_or(ZSTD_LEVEL).clamp(1, 22),
            Compression::Uncompressed => 0,
        };
        Self { compression, level }
    }

    pub(super) const fn media_type(&self) -> &'static str {
        match self.compression {
            Compression::Gzip => media_type::LAYER_GZIP,
            Compression::Zstd => media_type::LAYER_ZSTD,
            Compression::Uncompressed => media_type::LAYER_TAR,
        }
    }

    fn block(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self.compression {
            Compression::Gzip => deflate(bytes, u32::try_from(self.level).unwrap_or_default()),
            Compression::Zstd => zstd::bulk::compress(bytes, self.level),
            Compression::Uncompressed => Ok(bytes.to_vec()),
        }
    }
}

/// Compresses what is written to it. [`finish`](Self::finish) must be called in the end.
pub(super) struct Compressor<W> {
    to: W,
    method: Method,
    /// Not compressed yet: less than `limit` bytes.
    buffer: Vec<u8>,
    /// So much is taken before all of it is compressed at once.
    limit: usize,
    crc: Crc,
}

impl<W: Write> Compressor<W> {
    pub(super) fn new(mut to: W, method: Method) -> io::Result<Self> {
        if method.compression == Compression::Gzip {
            // No name, no time, no flags, system 255 (unknown).
            to.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        }
        let limit = BLOCK * rayon::current_num_threads().max(1);
        Ok(Self { to, method, buffer: Vec::new(), limit, crc: Crc::new() })
    }

    fn compress(&mut self) -> io::Result<()> {
        let method = self.method;
        let blocks: Vec<io::Result<Vec<u8>>> = if self.buffer.len() <= BLOCK {
            self.buffer.chunks(BLOCK).map(|block| method.block(block)).collect()
        } else {
            self.buffer.par_chunks(BLOCK).map(|block| method.block(block)).collect()
        };
        for block in blocks {
            self.to.write_all(&block?)?;
        }
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left, and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.compress()?;
        if self.method.compression == Compression::Gzip {
            // An empty last block, then the checksum and the length modulo 2^32.
            self.to.write_all(&[0x03, 0x00])?;
            self.to.write_all(&self.crc.sum().to_le_bytes())?;
            self.to.write_all(&self.crc.amount().to_le_bytes())?;
        }
        Ok(self.to)
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.method.compression == Compression::Uncompressed {
            return self.to.write(bytes);
        }
        let count = bytes.len().min(self.limit - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.method.compression == Compression::Gzip {
            self.crc.update(&bytes[..count]);
        }
        if self.buffer.len() == self.limit {
            self.compress()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Deflate blocks that end at a byte boundary and are not the last.
fn deflate(bytes: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut deflater = Compress::new(Level::new(level), false);
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 512 + 1024);
    loop {
        let done = usize::try_from(deflater.total_in()).expect("a block fits in memory");
        deflater.compress_vec(&bytes[done..], &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
        // Room that is left over means that nothing is pending.
        if deflater.total_in() == bytes.len() as u64 && out.len() < out.capacity() {
            return Ok(out);
        }
        out.reserve(4096);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::digest::Digest;

    fn noise(length: usize) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"noise");
        let mut bytes = vec![0; length];
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    fn compressed(bytes: &[u8], method: Method, piece: usize) -> Vec<u8> {
        let mut compressor = Compressor::new(Vec::new(), method).unwrap();
        for piece in bytes.chunks(piece) {
            compressor.write_all(piece).unwrap();
        }
        compressor.finish().unwrap()
    }

    #[test]
    fn what_is_compressed_comes_back_whatever_the_pieces_and_cores() {
        let mut bytes = noise(3 * BLOCK + 17);
        bytes[BLOCK / 2..2 * BLOCK].fill(b'a');
        for compression in [Compression::Gzip, Compression::Zstd] {
            let method = Method::new(compression, None);
            let whole = compressed(&bytes, method, usize::MAX);
            assert_eq!(compressed(&bytes, method, 7777), whole);
            let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            assert_eq!(one_core.install(|| compressed(&bytes, method, 100_000)), whole);
            let mut back = Vec::new();
            match compression {
                // The plain decoder reads one member and stops: all of it must be in that one.
                Compression::Gzip => flate2::read::GzDecoder::new(&whole[..]).read_to_end(&mut back).unwrap(),
                _ => zstd::stream::read::Decoder::new(&whole[..]).unwrap().read_to_end(&mut back).unwrap(),
            };
            assert!(back == bytes, "{compression:?}");
        }
    }

    #[test]
    fn sizes_around_a_block_and_nothing_at_all_come_back() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1] {
            let bytes = noise(length);
            let method = Method::new(Compression::Gzip, Some(1));
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&compressed(&bytes, method, 4096)[..]).read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{length}");
        }
    }

    /// Other bytes for the same content are another format: `layer::FORMAT` must then change.
    #[test]
    fn the_bytes_are_the_ones_of_this_format() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 3 % 251).to_le_bytes()).collect();
        let digest = |compression| Digest::of(&compressed(&bytes, Method::new(compression, None), 4096)).short();
        assert_eq!([digest(Compression::Gzip), digest(Compression::Zstd)], ["f80d86a64cf1", "ed418fc27d72"]);
    }
}
