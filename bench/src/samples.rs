//! Many measurements of one thing.

use std::time::Duration;

/// Many measurements of one thing, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    /// The one that half of them do not exceed.
    pub(crate) fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// The one that 99 of 100 do not exceed: of less than 100 samples, the largest.
    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The largest.
    pub(crate) fn max(&self) -> Duration {
        self.percentile(100)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Samples;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let ms = Duration::from_millis;
        let samples = Samples::new((1..=200).rev().map(ms).collect());
        assert_eq!((samples.p50(), samples.p99(), samples.max()), (ms(100), ms(198), ms(200)));
        let few = Samples::new(vec![ms(3), ms(1), ms(2)]);
        assert_eq!((few.p50(), few.p99()), (ms(2), ms(3)));
        assert_eq!(Samples::new(Vec::new()).p50(), Duration::ZERO);
    }
}
