//! Gzip and zstd, as a stream.
//!
//! Constraints: several members or frames in one file are one stream, as the tools that write them mean it; memory
//! is bounded whatever the stream claims; damage is an error that says how far the stream was good.

use std::io::{BufReader, Error, Read, Result};

use super::Compression;

/// Frames that ask for more than a 128 MiB window are refused (`zstd --long=27` is the largest in common use).
const MAX_WINDOW_LOG: u32 = 27;

/// Unpacks what `reader` holds.
pub(super) fn decompress(reader: Box<dyn Read + Send>, compression: Compression) -> Result<Box<dyn Read + Send>> {
    let (name, inner): (&'static str, Box<dyn Read + Send>) = match compression {
        Compression::None => return Ok(reader),
        Compression::Gzip => {
            ("gzip", Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 17, reader))))
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::new(reader)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            ("zstd", Box::new(decoder))
        }
    };
    Ok(Box::new(Unpacked { name, inner, good: 0 }))
}

/// Adds to an error what was unpacked before it.
struct Unpacked {
    name: &'static str,
    inner: Box<dyn Read + Send>,
    good: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.good += read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(Error::new(
                error.kind(),
                format!(
                    "the {} stream is damaged or cut off after {} unpacked bytes ({error}); pack or download it again",
                    self.name, self.good
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn unpack(bytes: Vec<u8>, compression: Compression) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        decompress(Box::new(std::io::Cursor::new(bytes)), compression)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_and_frames_are_one_stream() {
        assert_eq!(unpack([gzip(b"one\n"), gzip(b"two\n")].concat(), Compression::Gzip).expect("good"), b"one\ntwo\n");
        let frame = |text: &[u8]| zstd::encode_all(text, 1).expect("memory");
        assert_eq!(
            unpack([frame(b"one\n"), frame(b"two\n")].concat(), Compression::Zstd).expect("good"),
            b"one\ntwo\n"
        );
    }

    #[test]
    fn a_cut_stream_says_how_far_it_was_good() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for (packed, compression) in
            [(gzip(&text), Compression::Gzip), (zstd::encode_all(&*text, 1).expect("memory"), Compression::Zstd)]
        {
            let half = packed.get(..packed.len() / 2).expect("half").to_vec();
            let error = unpack(half, compression).expect_err("half a stream").to_string();
            assert!(error.contains("cut off after") && error.contains("unpacked bytes"), "{error}");
        }
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(30).expect("allowed when packing");
        encoder.include_contentsize(false).expect("parameter");
        encoder.write_all(b"text").expect("memory");
        let packed = encoder.finish().expect("memory");
        assert!(unpack(packed, Compression::Zstd).is_err());
    }
}
