//! `/metrics` in Prometheus' text format.

use std::fmt::Write as _;
use std::fs;

use super::super::api::Stream;
use super::registry::Registry;

/// What `/metrics` shows; with neither it does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsOptions {
    /// Bytes per proxy and direction.
    pub proxies: bool,
    /// Memory and descriptors of this process.
    pub runtime: bool,
}

impl MetricsOptions {
    pub(super) const fn any(self) -> bool {
        self.proxies || self.runtime
    }
}

/// Content type of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes read and written, by proxy and direction.
pub(super) fn proxies(registry: &Registry) -> String {
    let mut text = String::new();
    for (metric, help, is_sent) in [
        ("toxiproxy_proxy_received_bytes_total", "Bytes read from senders.", false),
        ("toxiproxy_proxy_sent_bytes_total", "Bytes written to receivers.", true),
    ] {
        let _ = writeln!(text, "# HELP {metric} {help}\n# TYPE {metric} counter");
        for (name, proxy) in registry.proxies() {
            let described = proxy.describe();
            let (listener, upstream) = (escape(&described.listen), escape(&described.upstream));
            for stream in Stream::ALL {
                let (received, sent) = proxy.stream_meter(stream).totals();
                let _ = writeln!(
                    text,
                    "{metric}{{direction=\"{}\",listener=\"{listener}\",proxy=\"{}\",\
                     upstream=\"{upstream}\"}} {}",
                    stream.name(),
                    escape(name),
                    if is_sent { sent } else { received },
                );
            }
        }
    }
    text
}

/// This process, under Prometheus' usual names.
pub(super) fn runtime() -> String {
    let mut text = String::new();
    // Without procfs the metric is absent, which Prometheus can tell from zero.
    if let Some(bytes) = resident_bytes() {
        let metric = "process_resident_memory_bytes";
        let _ = writeln!(text, "# TYPE {metric} gauge\n{metric} {bytes}");
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        let metric = "process_open_fds";
        let _ = writeln!(text, "# TYPE {metric} gauge\n{metric} {}", entries.count());
    }
    text
}

fn resident_bytes() -> Option<usize> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
