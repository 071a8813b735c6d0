//! `tlscope live`.

use tlscope::capture::live::defaults;

use super::{CommonArgs, JudgementArgs, LiveMetricsArgs, MetricsArgs};

pub(super) const LIVE_EXAMPLES: &str = "\
Examples:
  Watch one interface:
      tlscope live -i eth0
  Watch all of them, only what may be TLS on two ports, as JSON lines:
      tlscope live -i any -f 'tcp port 443 or tcp port 8443' --format json
  Without being root, once the program has the one capability that it needs:
      sudo setcap cap_net_raw+ep \"$(command -v tlscope)\"
      tlscope live -i eth0";

/// What `tlscope live` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct LiveArgs {
    /// The interface to capture on, or `any` for all; can be given more than once
    #[arg(
        short,
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Input",
        env = "TLSCOPE_INTERFACE"
    )]
    pub(in crate::cli) interface: Vec<String>,

    /// Bytes of each packet to capture
    ///
    /// Handshakes need all of their packets: what is cut off makes verdicts unknown.
    #[arg(
        long, value_name = "BYTES", default_value_t = defaults::SNAP_LENGTH, value_parser = snap_length,
        help_heading = "Input", env = "TLSCOPE_SNAPLEN"
    )]
    pub(in crate::cli) snaplen: u32,

    /// The kernel's buffer for packets that are still to be taken, for each interface
    ///
    /// In bytes, or with K, M or G as in `64M`. What finds it full is lost, and counted.
    #[arg(
        long, value_name = "SIZE", default_value = BUFFER_SIZE, value_parser = size,
        help_heading = "Input", env = "TLSCOPE_BUFFER_SIZE"
    )]
    pub(in crate::cli) buffer_size: u64,

    /// Capture packets for other hosts too, where the interface sees them
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Input", env = "TLSCOPE_PROMISCUOUS"
    )]
    pub(in crate::cli) promiscuous: bool,

    #[command(flatten)]
    pub(in crate::cli) common: CommonArgs,

    #[command(flatten)]
    pub(in crate::cli) judgement: JudgementArgs,

    #[command(flatten)]
    pub(in crate::cli) metrics: MetricsArgs,

    #[command(flatten)]
    pub(in crate::cli) live_metrics: LiveMetricsArgs,
}

/// [`defaults::BUFFER_SIZE`], as one types it.
const BUFFER_SIZE: &str = "16M";

/// Below this, not even the headers before TLS fit; beyond the default, libpcap takes nothing.
fn snap_length(text: &str) -> Result<u32, String> {
    let range = 64..=defaults::SNAP_LENGTH;
    text.parse()
        .ok()
        .filter(|bytes| range.contains(bytes))
        .ok_or_else(|| {
            format!(
                "not a number of bytes from {} to {}",
                range.start(),
                range.end()
            )
        })
}

/// A number of bytes, as in `65536`, `64K`, `16M` or `1G`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => Some(1),
        "K" | "k" | "KiB" => Some(1 << 10),
        "M" | "m" | "MiB" => Some(1 << 20),
        "G" | "g" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    unit.zip(number)
        .and_then(|(unit, number)| number.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a size as in `65536`, `64K`, `16M` or `1G`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_of_bytes_or_of_a_unit() {
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size(BUFFER_SIZE), Ok(defaults::BUFFER_SIZE.into()));
        for wrong in ["", "M", "0", "-1", "1.5M", "1T", "99999999999G", "16 M"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_snap_length_leaves_room_for_headers() {
        assert_eq!(snap_length("96"), Ok(96));
        for wrong in ["63", "262145", "", "all"] {
            assert!(snap_length(wrong).is_err(), "{wrong}");
        }
    }
}
