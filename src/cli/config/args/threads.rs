//! `--threads`: a number, or `auto`.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::thread;

use tlscope::memory::MemoryLimit;

use super::defaults;

/// How many worker threads follow connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Threads {
    /// As many as suit the input.
    #[default]
    Auto,
    /// So many.
    Number(NonZeroUsize),
}

impl Threads {
    /// For captures in files: they are read as fast as they are evaluated, so each core shortens the wait. A small limit on
    /// memory allows fewer.
    pub(crate) fn for_files(self, limit: MemoryLimit) -> usize {
        match self {
            Self::Auto => {
                let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
                let most = defaults::MOST_AUTO_THREADS.min(limit.most_threads());
                cores.min(most)
            }
            Self::Number(number) => number.get(),
        }
    }

    /// For live captures: one thread costs least, and keeps up with more than most links carry.
    #[cfg(live_capture)]
    pub(crate) const fn for_live(self) -> usize {
        match self {
            Self::Auto => 1,
            Self::Number(number) => number.get(),
        }
    }
}

impl FromStr for Threads {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = text.parse();
        number
            .map(Self::Number)
            .map_err(|_| "not `auto` or a number above zero")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_for_every_input() {
        let three: Threads = "3".parse().unwrap();
        assert_eq!(three.for_files(MemoryLimit::LEAST), 3);
        #[cfg(live_capture)]
        assert_eq!(three.for_live(), 3);
    }

    #[test]
    fn auto_is_the_cores_for_files_but_not_too_many_and_one_for_live_captures() {
        let auto: Threads = "auto".parse().unwrap();
        assert!((1..=defaults::MOST_AUTO_THREADS).contains(&auto.for_files(MemoryLimit::USUAL)));
        assert_eq!(auto.for_files(MemoryLimit::LEAST), 1);
        #[cfg(live_capture)]
        assert_eq!(auto.for_live(), 1);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["0", "-1", "", "many", "Auto"] {
            assert!(text.parse::<Threads>().is_err(), "{text}");
        }
    }
}
