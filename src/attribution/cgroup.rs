//! What the path of a control group says: container, Kubernetes pod, systemd unit.
//!
//! Runtimes name groups by the identifier of the container, with a prefix and `.scope` if systemd makes the group:
//!
//! | runtime | last component |
//! | --- | --- |
//! | Docker | `docker-ID.scope`, `docker/ID` |
//! | containerd, in Kubernetes | `cri-containerd-ID.scope`, `podUID/ID`, `….slice:cri-containerd:ID` |
//! | CRI-O | `crio-ID.scope`, `crio-ID` |
//! | Podman | `libpod-ID.scope`, and `container` in it |
//! | LXC | `lxc.payload.NAME`, `lxc/NAME` |

use crate::event::Workload;

/// Names what a group belongs to.
pub(super) fn workload(path: &str) -> Workload {
    let components = || path.rsplit('/').filter(|component| !component.is_empty());
    let container_id = components().find_map(container).or_else(|| lxc(path));
    let is_contained = container_id.is_some();
    let mut workload = Workload::new(path.to_owned());
    workload.pod_uid = components().find_map(pod);
    workload.container_id = container_id;
    if !is_contained {
        workload.unit = components().find_map(unit);
    }
    workload
}

/// Digits of a container's identifier, of a SHA-256.
const IDENTIFIER: usize = 64;

fn container(component: &str) -> Option<String> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let (runtime, identifier) = match name.rfind(['-', ':']) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => ("", name),
    };
    // Podman and CRI-O give the process that watches a container a group of its own, named after the container.
    let is_monitor = runtime.ends_with("conmon");
    let is_identifier = identifier.len() == IDENTIFIER && identifier.bytes().all(is_hex);
    (is_identifier && !is_monitor).then(|| identifier.to_owned())
}

fn lxc(path: &str) -> Option<String> {
    let mut components = path.split('/');
    let name = components.find_map(|component| match component {
        "lxc" => Some(None),
        _ => component.strip_prefix("lxc.payload.").map(Some),
    })?;
    let name = name.or_else(|| components.next())?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The UID of a pod: `podUID`, or `kubepods-burstable-podUID.slice` with underscores for hyphens. Those of static pods are 32 digits
/// without hyphens.
fn pod(component: &str) -> Option<String> {
    let name = component.split(':').next().unwrap_or(component);
    let name = match name.strip_suffix(".slice") {
        Some(slice) if slice.starts_with("kubepods") => slice.rsplit('-').next()?,
        Some(_) => return None,
        None => name,
    };
    let uid = name.strip_prefix("pod")?.replace('_', "-");
    let digits = uid.bytes().filter(|byte| *byte != b'-');
    let is_uid = digits.clone().count() == 32 && digits.into_iter().all(is_hex);
    is_uid.then_some(uid)
}

fn unit(component: &str) -> Option<String> {
    // systemd puts this in front of names that the kernel reserves.
    let name = component.strip_prefix('_').unwrap_or(component);
    let kinds = [".service", ".scope"];
    kinds
        .iter()
        .any(|kind| name.ends_with(kind))
        .then(|| name.to_owned())
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

/// The path in `/proc/PID/cgroup` that says most: that of version 2, else of systemd's own hierarchy, else the longest. `None` if the
/// process is in the root of all.
pub(super) fn path_of_process(text: &str) -> Option<&str> {
    let hierarchies = || {
        text.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            (path != "/").then_some((controllers, path))
        })
    };
    let of = |wanted: &str| hierarchies().find(|(controllers, _)| *controllers == wanted);
    of("")
        .or_else(|| of("name=systemd"))
        .or_else(|| hierarchies().max_by_key(|(_, path)| path.len()))
        .map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "3ee1d1f4-6c1a-4b8e-9a76-2a9d3c1b5f01";
    const UID_IN_SLICE: &str = "3ee1d1f4_6c1a_4b8e_9a76_2a9d3c1b5f01";

    #[test]
    fn paths_name_containers_pods_and_units() {
        // The path, then container, pod and unit; `-` for none.
        let table = format!(
            "/system.slice/docker-{ID}.scope                                                {ID} - -
             /docker/{ID}                                                                   {ID} - -
             /docker/{ID}/init                                                              {ID} - -
             /kubepods/burstable/pod{UID}/{ID}                                              {ID} {UID} -
             /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_IN_SLICE}.slice/cri-containerd-{ID}.scope {ID} {UID} -
             /kubepods.slice/kubepods-pod{UID_IN_SLICE}.slice/crio-{ID}.scope               {ID} {UID} -
             /kubepods.slice/kubepods-pod{UID_IN_SLICE}.slice/crio-conmon-{ID}.scope        - {UID} crio-conmon-{ID}.scope
             /kubepods/pod0123456789abcdef0123456789abcdef/{ID}                             {ID} 0123456789abcdef0123456789abcdef -
             /system.slice/containerd.service/kubepods-besteffort-pod{UID_IN_SLICE}.slice:cri-containerd:{ID} {ID} {UID} -
             /machine.slice/libpod-{ID}.scope/container                                     {ID} - -
             /machine.slice/libpod-conmon-{ID}.scope                                        - - libpod-conmon-{ID}.scope
             /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope     {ID} - -
             /docker/{ID}/kubepods/pod{UID}/{ID}                                            {ID} {UID} -
             /lxc/web                                                                       web - -
             /lxc.payload.web/system.slice/nginx.service                                    web - -
             /machine.slice/machine-web.scope                                               - - machine-web.scope
             /system.slice/nginx.service                                                    - - nginx.service
             /system.slice/system-postgresql.slice/postgresql@16-main.service               - - postgresql@16-main.service
             /system.slice/ssh.service/helper                                               - - ssh.service
             /user.slice/user-1000.slice/session-3.scope                                    - - session-3.scope
             /user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-12.scope   - - app-firefox-12.scope
             /user.slice/user-1000.slice                                                    - - -
             /podium/pod12                                                                  - - -
             /{ID}00                                                                        - - -
             /                                                                              - - -"
        );
        for line in table.lines() {
            let [path, container, pod, unit] = {
                let words: Vec<_> = line.split_whitespace().collect();
                <[&str; 4]>::try_from(words).unwrap()
            };
            let found = workload(path);
            let or_none = |text: &'static str, found: &Option<String>| {
                found.clone().unwrap_or_else(|| text.to_owned())
            };
            let shown = [&found.container_id, &found.pod_uid, &found.unit];
            let shown = shown.map(|text| or_none("-", text));
            assert_eq!(shown, [container, pod, unit], "{path}");
            assert_eq!(found.cgroup, path);
        }
    }

    #[test]
    fn the_path_of_version_2_comes_first_and_the_root_says_nothing() {
        let hybrid = "4:memory:/user.slice\n1:name=systemd:/user.slice/session-1.scope\n0::/\n";
        assert_eq!(path_of_process(hybrid), Some("/user.slice/session-1.scope"));
        let unified = "0::/system.slice/nginx.service\n";
        assert_eq!(
            path_of_process(unified),
            Some("/system.slice/nginx.service")
        );
        let controllers = "4:memory:/a/b\n1:name=systemd:/\n2:cpu,cpuacct:/a\n";
        assert_eq!(path_of_process(controllers), Some("/a/b"));
        assert_eq!(path_of_process("0::/\n"), None);
        assert_eq!(path_of_process("nonsense"), None);
    }
}
