//! Which bytes of which file are in which segment.

use std::ops::Range;

use crate::{HEADER_BYTES_MAX, Header, ItemKind};

/// Plain bytes of every segment but the last.
pub const SEGMENT_BYTES: usize = 1 << 20;
/// The stream begins with the length of the header, little-endian.
pub const PREFIX_BYTES: usize = 8;

/// How many segments a stream of so many bytes has; none is empty.
#[must_use]
pub fn segment_count(stream_bytes: u64) -> u64 {
    stream_bytes.div_ceil(SEGMENT_BYTES as u64)
}

/// The length of the header, from the first bytes of the stream.
///
/// `None` while they are fewer than [`PREFIX_BYTES`], an error when no header is that long.
///
/// # Errors
/// The length that no header has, in bytes.
pub fn header_length(stream: &[u8]) -> Result<Option<usize>, u64> {
    let Some(prefix) = stream.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let length = u64::from_le_bytes(*prefix);
    match usize::try_from(length) {
        Ok(length) if length <= HEADER_BYTES_MAX => Ok(Some(length)),
        _ => Err(length),
    }
}

/// Where a part of a segment belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the segment.
    pub bytes: Range<usize>,
    /// Which item of the header; `None` for the header itself.
    pub item: Option<usize>,
    /// Where in the item's contents, or in the header with its prefix, the part begins.
    pub offset: u64,
}

/// The stream of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where the contents of each file that has any begin in the stream, and which item it is.
    starts: Vec<(u64, usize)>,
    stream_bytes: u64,
}

impl Layout {
    /// The layout of a delivery with this header, which is `header_bytes` long when encoded.
    ///
    /// # Errors
    /// All files together are longer than any stream.
    pub fn new(header: &Header, header_bytes: usize) -> Result<Self, TooLong> {
        let mut end = (PREFIX_BYTES + header_bytes) as u64;
        let mut starts = Vec::new();
        for (index, item) in header.items.iter().enumerate() {
            if let ItemKind::File { size } = item.kind
                && size > 0
            {
                starts.push((end, index));
                end = end.checked_add(size).ok_or(TooLong)?;
            }
        }
        // Files have signed lengths everywhere else.
        if end > i64::MAX as u64 {
            return Err(TooLong);
        }
        Ok(Self { starts, stream_bytes: end })
    }

    /// Length of the whole stream.
    #[must_use]
    pub fn stream_bytes(&self) -> u64 {
        self.stream_bytes
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> u64 {
        segment_count(self.stream_bytes)
    }

    /// Plain length of segment `number`; 0 behind the last.
    #[must_use]
    pub fn segment_length(&self, number: u64) -> usize {
        let start = number.saturating_mul(SEGMENT_BYTES as u64);
        let left = self.stream_bytes.saturating_sub(start);
        usize::try_from(left).unwrap_or(usize::MAX).min(SEGMENT_BYTES)
    }

    /// What segment `number` consists of, in order and without gaps.
    #[must_use]
    pub fn parts(&self, number: u64) -> Vec<Part> {
        let mut at = number.saturating_mul(SEGMENT_BYTES as u64);
        let first = at;
        let end = at.saturating_add(self.segment_length(number) as u64);
        let mut parts = Vec::new();
        // The file that `at` is in: the last that begins at or before it.
        let mut next = self.starts.partition_point(|(start, _)| *start <= at);
        while at < end {
            let stop = self.starts.get(next).map_or(end, |(start, _)| (*start).min(end));
            let (start, item) = match next.checked_sub(1) {
                Some(index) => (self.starts[index].0, Some(self.starts[index].1)),
                None => (0, None),
            };
            let bytes = (at - first) as usize..(stop - first) as usize;
            parts.push(Part { bytes, item, offset: at - start });
            (at, next) = (stop, next + 1);
        }
        parts
    }
}

/// All files together are longer than any stream can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the files together are longer than 2^63 bytes")]
pub struct TooLong;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Item;
    use crate::header::tests::{directory, file};

    fn header(sizes: &[u64]) -> Header {
        let files = sizes.iter().enumerate();
        let mut items: Vec<Item> =
            files.map(|(index, size)| file(&format!("f{index:04}"), *size)).collect();
        items.push(directory("z"));
        Header { subject: String::new(), message: String::new(), sent: 0, items }
    }

    #[test]
    fn a_delivery_without_contents_is_its_header() {
        let layout = Layout::new(&header(&[0, 0]), 100).expect("fits");
        assert_eq!((layout.stream_bytes(), layout.segments()), (108, 1));
        assert_eq!(layout.parts(0), [Part { bytes: 0..108, item: None, offset: 0 }]);
        assert_eq!((layout.parts(1), layout.segment_length(1)), (Vec::new(), 0));
    }

    #[test]
    fn more_than_a_stream_can_hold_is_refused() {
        assert_eq!(Layout::new(&header(&[u64::MAX]), 0), Err(TooLong));
        assert_eq!(Layout::new(&header(&[1 << 62, 1 << 62]), 0), Err(TooLong));
        Layout::new(&header(&[1 << 62]), 0).expect("fits");
    }

    #[test]
    fn a_length_that_no_header_has_is_not_believed() {
        assert_eq!(header_length(&[1, 0, 0, 0, 0, 0, 0]), Ok(None));
        assert_eq!(header_length(&[1, 1, 0, 0, 0, 0, 0, 0, 9]), Ok(Some(257)));
        assert_eq!(header_length(&[0xff; 8]), Err(u64::MAX));
    }

    proptest! {
        /// Against the stream as it is: every byte is said to be where it is.
        #[test]
        fn every_byte_is_where_the_layout_says(
            sizes in proptest::collection::vec(prop_oneof![0u64..5, 0u64..3_000_000], 0..12),
            header_bytes in 0usize..2_500_000,
        ) {
            let header = header(&sizes);
            let layout = Layout::new(&header, header_bytes).expect("fits");
            let mut expected = vec![(None, (header_bytes + PREFIX_BYTES) as u64)];
            expected.extend(
                sizes.iter().enumerate().filter(|(_, size)| **size > 0).map(|(at, size)| (Some(at), *size)),
            );
            let mut seen: Vec<(Option<usize>, u64)> = Vec::new();
            for number in 0..layout.segments() {
                let mut at = 0;
                for part in layout.parts(number) {
                    prop_assert_eq!(part.bytes.start, at);
                    prop_assert!(!part.bytes.is_empty());
                    at = part.bytes.end;
                    match seen.last_mut() {
                        Some((item, length)) if *item == part.item => {
                            prop_assert_eq!(*length, part.offset);
                            *length += part.bytes.len() as u64;
                        }
                        _ => {
                            prop_assert_eq!(part.offset, 0);
                            seen.push((part.item, part.bytes.len() as u64));
                        }
                    }
                }
                prop_assert_eq!(at, layout.segment_length(number));
                prop_assert!(at == SEGMENT_BYTES || number + 1 == layout.segments());
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
