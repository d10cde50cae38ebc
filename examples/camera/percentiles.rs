//! How times are spread.

use std::fmt;

/// Times in microseconds, in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// The least of them that so many percent do not exceed; 0 where there are none.
    pub fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<u64> for Spread {
    fn from_iter<I: IntoIterator<Item = u64>>(times: I) -> Self {
        let mut times: Vec<u64> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, percent) in [("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)] {
            let separator = if percent == 50 { "" } else { ", " };
            write!(f, "{separator}{name} {:.1}", self.percentile(percent) as f64 / 1000.0)?;
        }
        f.write_str(" ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let spread: Spread = (1..=200).rev().map(|time| time * 1000).collect();
        assert_eq!(spread.to_string(), "p50 100.0, p95 190.0, p99 198.0, max 200.0 ms");
        assert_eq!(Spread::default().percentile(50), 0);
    }
}
