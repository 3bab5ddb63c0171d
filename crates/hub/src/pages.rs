//! Pages of rows: one more than asked for is read, and tells whether there is a next page.

use serde::Deserialize;

/// What a request for a page says: behind what it begins, and how many rows it is to have.
#[derive(Debug, Deserialize)]
pub(crate) struct PageAfter<T> {
    pub(crate) after: Option<T>,
    pub(crate) limit: Option<u32>,
}

/// How many rows a page has.
pub(crate) struct Rows(usize);

impl Rows {
    /// As many as asked for, at least one and at most `max`; `default` when nobody asked.
    pub(crate) fn new(asked: Option<u32>, default: u32, max: u32) -> Self {
        Self(asked.unwrap_or(default).clamp(1, max) as usize)
    }

    /// How many to read.
    pub(crate) fn to_read(&self) -> u32 {
        u32::try_from(self.0 + 1).unwrap_or(u32::MAX)
    }

    /// Cuts what was read to a page; returns what `cursor` says of its last row when there are
    /// more.
    pub(crate) fn cut<T, N>(&self, rows: &mut Vec<T>, cursor: impl Fn(&T) -> N) -> Option<N> {
        let more = rows.len() > self.0;
        rows.truncate(self.0);
        rows.last().filter(|_| more).map(cursor)
    }

    /// The page that begins at `offset` of rows that are all at hand, and the offset of the next.
    pub(crate) fn slice<'a, T>(&self, rows: &'a [T], offset: u64) -> (&'a [T], Option<u64>) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(rows.len());
        let end = start.saturating_add(self.0).min(rows.len());
        (&rows[start..end], (end < rows.len()).then_some(end as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let rows = Rows::new(Some(2), 5, 10);
        assert_eq!(rows.to_read(), 3);
        let mut read = vec![1, 2, 3];
        assert_eq!(rows.cut(&mut read, |last| *last), Some(2));
        assert_eq!(read, [1, 2]);
        let mut read = vec![3, 4];
        assert_eq!(rows.cut(&mut read, |last| *last), None);
        assert_eq!(rows.slice(&[1, 2, 3], 0), (&[1, 2][..], Some(2)));
        assert_eq!(rows.slice(&[1, 2, 3], 2), (&[3][..], None));
        assert_eq!(rows.slice(&[1, 2, 3], u64::MAX), (&[][..], None));
        assert_eq!(Rows::new(Some(0), 5, 10).to_read(), 2);
        assert_eq!(Rows::new(Some(99), 5, 10).to_read(), 11);
        assert_eq!(Rows::new(None, 5, 10).to_read(), 6);
    }
}
