//! An interface that does what a script says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::queue::push;
use super::thread::{Device, Losses};
use crate::capture::{Interface, LinkType, PacketBatch};
use crate::time::Timestamp;

/// What happens next on the interface.
pub(super) enum Act {
    /// Packets come, which carry nothing.
    Packets(usize),
    /// Nothing comes at so many looks.
    Quiet(usize),
    /// The interface goes, and can be opened again at once.
    Gone,
    /// Packets are lost: in the kernel, at the interface.
    Lost(u64, u64),
}

/// An interface on which the acts happen one after the other, then nothing.
pub(super) struct Scripted {
    name: Arc<str>,
    script: VecDeque<Act>,
    losses: Losses,
}

impl Scripted {
    pub(super) fn new(script: Vec<Act>) -> Self {
        Self {
            name: "test0".into(),
            script: script.into(),
            losses: Losses::default(),
        }
    }
}

/// The interface, as batches describe it.
pub(super) fn interfaces() -> Arc<[Interface]> {
    Arc::new([Interface {
        link_type: LinkType(1),
        source: "test0".into(),
        name: Some("test0".into()),
    }])
}

impl Device for Scripted {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wait(&mut self, _: Duration) {
        if self.script.is_empty() {
            std::thread::sleep(Duration::from_millis(1)); // as a wire does that is quiet
        }
    }

    fn take(&mut self, count: usize, batch: &mut PacketBatch) -> Result<usize, String> {
        match self.script.front_mut() {
            None => Ok(0),
            Some(Act::Quiet(left)) => {
                *left -= 1;
                if *left == 0 {
                    self.script.pop_front();
                }
                Ok(0)
            }
            Some(Act::Gone) => {
                self.script.pop_front();
                Err("the cable is cut".to_owned())
            }
            Some(&mut Act::Lost(kernel, interface)) => {
                self.script.pop_front();
                self.losses = Losses { kernel, interface };
                Ok(0)
            }
            Some(Act::Packets(left)) => {
                let count = count.min(*left);
                *left -= count;
                if *left == 0 {
                    self.script.pop_front();
                }
                for _ in 0..count {
                    push(batch, Timestamp::from_seconds(1_772_366_400), 60, &[0; 60]);
                }
                Ok(count)
            }
        }
    }

    fn losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    fn is_up(&self) -> bool {
        true
    }

    fn close(&mut self) {}

    fn reopen(&mut self) -> Result<(), String> {
        Ok(())
    }
}
