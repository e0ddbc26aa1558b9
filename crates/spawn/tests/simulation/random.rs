//! Numbers that look random and follow from a seed alone (splitmix64).

/// A source of numbers. The same seed gives the same numbers, everywhere and for ever.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several, of which there is at least one.
    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        let at = self.below(among.len() as u64);
        among[usize::try_from(at).unwrap()].clone()
    }

    /// One of several, if there is any.
    pub(crate) fn any<T>(&mut self, among: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let mut among = among;
        match among.len() {
            0 => None,
            len => among.nth(usize::try_from(self.below(len as u64)).unwrap()),
        }
    }

    /// A number below `end` in so many of a hundred cases, else nothing.
    pub(crate) fn maybe(&mut self, percent: u64, end: u64) -> Option<u64> {
        self.chance(percent).then(|| self.below(end))
    }
}
