//! The interfaces of a whole run, each known by its index.

use std::collections::HashMap;
use std::sync::Arc;

use super::Interface;

/// The interfaces met so far; equal ones share an index, so that a file which
/// repeats its section headers does not fill the table.
#[derive(Debug, Default)]
pub(super) struct InterfaceTable {
    indices: HashMap<Interface, u32>,
    interfaces: Vec<Interface>,
    shared: Arc<[Interface]>,
}

impl InterfaceTable {
    /// The index of `interface`, which is added if it is new; `None` if the table is full.
    pub(super) fn index(&mut self, interface: Interface) -> Option<u32> {
        if let Some(&index) = self.indices.get(&interface) {
            return Some(index);
        }
        if self.interfaces.len() >= MAX_INTERFACES {
            return None;
        }
        let index = u32::try_from(self.interfaces.len()).ok()?;
        self.interfaces.push(interface.clone());
        self.indices.insert(interface, index);
        Some(index)
    }

    /// All interfaces met so far; copied only if there are new ones.
    pub(super) fn shared(&mut self) -> Arc<[Interface]> {
        if self.shared.len() != self.interfaces.len() {
            self.shared = self.interfaces.as_slice().into();
        }
        Arc::clone(&self.shared)
    }
}

/// How many interfaces a run can tell apart: one for each file of the largest
/// rotated set that is likely, and some 20 MiB in the hands of a hostile file.
pub(super) const MAX_INTERFACES: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::LinkType;

    fn interface(link_type: u32) -> Interface {
        Interface {
            link_type: LinkType(link_type),
            source: "a.pcap".into(),
            name: None,
        }
    }

    #[test]
    fn equal_interfaces_share_an_index() {
        let mut table = InterfaceTable::default();
        assert_eq!(table.index(interface(1)), Some(0));
        assert_eq!(table.index(interface(113)), Some(1));
        assert_eq!(table.index(interface(1)), Some(0));
        assert_eq!(*table.shared(), [interface(1), interface(113)]);
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut table = InterfaceTable::default();
        for link_type in 0..MAX_INTERFACES as u32 {
            assert_eq!(table.index(interface(link_type)), Some(link_type));
        }
        assert_eq!(table.index(interface(u32::MAX)), None);
        assert_eq!(table.index(interface(7)), Some(7));
    }
}
