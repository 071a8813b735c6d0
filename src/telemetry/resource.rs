//! The resource: how metrics, log records and spans identify the process they come from.

use std::fs;

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use sha2::{Digest, Sha256};

use crate::hex::Hex;

/// The resource; attributes from the environment take precedence.
pub(super) fn resource() -> Resource {
    let stated = Resource::builder().build();
    let resource = Resource::builder();
    let mut resource = match stated.get(&Key::new("service.name")) {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => resource.with_service_name(env!("CARGO_PKG_NAME")),
    };
    let host = host_name();
    let instance = host.as_deref().map(instance_id);
    for (key, value) in [
        (
            "service.version",
            Some(env!("CARGO_PKG_VERSION").to_owned()),
        ),
        ("service.instance.id", instance),
        ("host.name", host),
    ] {
        if let (None, Some(value)) = (stated.get(&Key::new(key)), value) {
            resource = resource.with_attribute(KeyValue::new(key, value));
        }
    }
    resource.build()
}

/// The identifier that distinguishes this process from others.
pub(super) fn instance(resource: &Resource) -> String {
    let instance = resource.get(&Key::new("service.instance.id"));
    instance.map_or_else(String::new, |instance| instance.to_string())
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The same for each run on this host, so that a restart continues its series. A UUID that
/// reveals nothing, as OpenTelemetry recommends.
fn instance_id(host: &str) -> String {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [env!("CARGO_PKG_NAME"), host, machine.trim()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut bytes: [u8; 16] = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    bytes[6] = bytes[6] & 0x0f | 0x80; // RFC 9562 §5.8: version 8, for application-specific data
    bytes[8] = bytes[8] & 0x3f | 0x80; // RFC 9562 §4.1: the variant
    let hexadecimal = Hex(&bytes).to_string();
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    let groups = groups.map(|group| hexadecimal.get(group).unwrap_or_default());
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_uuid_that_stays() {
        let id = instance_id("host");
        assert_eq!(id, instance_id("host"));
        assert_ne!(id, instance_id("other"));
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'8');
    }

    #[test]
    fn the_resource_identifies_program_and_host() {
        let resource = resource();
        for key in ["service.name", "service.version", "service.instance.id"] {
            assert!(resource.get(&Key::new(key)).is_some(), "{key}");
        }
    }
}
